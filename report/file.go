package report

import (
	"context"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/internal/csvfile"
)

// columns of the coverage report as a table.
var columns = []string{"id", "login", "name", "email", "audience", "roles", "status", "standing", "demanded", "why", "strength",
	"ways", "ways_not_counting", "backup_codes_left", "exempt_until", "exempt_reason", "exempt_by", "api_account", "last_verified_at", "last_sign_in_at", "created_at"}

// endOfReport stands in the first column of the last line: a file without it was
// cut off.
const endOfReport = "end of report"

// WriteCSV writes everybody, page by page, and then how many they were, as of when
// and by which policy. Its words are those of the API, whatever the reader's language.
func (c *Coverage) WriteCSV(ctx context.Context, w io.Writer) error {
	t := csvfile.New(w, columns...)
	n, err := c.Each(ctx, func(r Row) error {
		t.Row(r.cells()...)
		return nil
	})
	if err != nil {
		return err
	}
	end := make([]string, len(columns))
	copy(end, []string{endOfReport, "people: " + strconv.Itoa(n), "company: " + c.Company.Slug, "as of: " + c.At.UTC().Format(time.RFC3339),
		"policy version: " + strconv.FormatInt(c.PolicyVersion, 10), "two-factor: " + string(c.TwoFactor)})
	t.Row(end...)
	return t.Flush()
}

func (r Row) cells() []string {
	var why, counting, other []string
	for _, x := range r.Why {
		why = append(why, string(x.Rule))
	}
	for _, x := range r.Ways {
		list := &other
		if x.Counts {
			list = &counting
		}
		if !slices.Contains(*list, string(x.Kind)) { // of passkeys somebody may have several
			*list = append(*list, string(x.Kind))
		}
	}
	u := r.User
	join := func(list []string) string { return strings.Join(list, " ") }
	return []string{u.ID, u.Login, u.Name, u.Email, string(u.Audience), join(u.Roles), string(u.Status), string(r.Standing), strconv.FormatBool(r.Demanded),
		join(why), string(r.Strength), join(counting), join(other), strconv.Itoa(r.Codes),
		stamp(u.ExemptUntil), u.ExemptReason, u.ExemptBy, strconv.FormatBool(u.API), stamp(r.LastWay), stamp(u.LastSignInAt), stamp(u.CreatedAt)}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
