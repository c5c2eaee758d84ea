package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Groups are the people of a company by what policy sees of them. It reads
// everybody: where a count of people per shape is kept, that takes its place.
func (s *Store) Groups(ctx context.Context, company string) ([]authn.Group, error) {
	var list []authn.Group
	at := map[string]int{}
	for after := ""; ; {
		page, err := s.Holders(ctx, company, after, 200)
		if err != nil {
			return nil, in("groups", err)
		}
		for _, h := range page {
			after = h.User.ID
			key := groupOf(&h)
			if i, known := at[key]; known {
				list[i].People++
				continue
			}
			// What rests for a day only is no trait of a group.
			h.User.EmailChangedAt, h.User.PhoneChangedAt = time.Time{}, time.Time{}
			at[key] = len(list)
			list = append(list, authn.Group{Holder: h, People: 1})
		}
		if len(page) < 200 {
			return list, nil
		}
	}
}

// groupOf is everything of a person that policy looks at, apart from time.
func groupOf(h *authn.Holder) string {
	u := &h.User
	var b strings.Builder
	fmt.Fprint(&b, u.Status, " ", u.Audience, " ", slices.Sorted(slices.Values(u.Roles)), u.RequireTwoFactor, u.SecuredAt.IsZero(), u.HadFactorAt.IsZero(),
		u.SecuredAt.Sub(u.HadFactorAt) >= 7*24*time.Hour, u.Email != "" && !u.EmailVerifiedAt.IsZero(), u.Phone != "" && !u.PhoneTrustedAt.IsZero(), u.API, u.ExemptUntil.Unix())
	for _, f := range h.Factors {
		fmt.Fprint(&b, " ", f.Kind, f.State)
	}
	return b.String()
}
