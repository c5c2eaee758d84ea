package directory

import (
	"context"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/phone"
)

// Phone is a person's contact number, as an administrator gives it. Codes can go
// there until the person has a way of their own (requirement C1); a number for
// signing in is a factor, and not this one (B2).
type Phone struct {
	Typed string
	// Countries are where the company sends texts to; the first is that of a number
	// that is typed without one. None: anywhere, and the number names its country.
	Countries []string
}

// read gives the number in E.164.
func (p Phone) read() (string, error) { return p.from("") }

// from is read where the country of a number without one may be known.
func (p Phone) from(home string) (string, error) {
	if home == "" && len(p.Countries) > 0 {
		home = p.Countries[0]
	}
	n, err := phone.Parse(p.Typed, home)
	if err != nil {
		code := phone.Problem(err)
		return "", &authn.Error{Code: authn.Invalid, Fields: []authn.Field{{Name: "phone", Code: code, Key: "field.phone." + code}}}
	}
	if len(p.Countries) > 0 && !slices.Contains(p.Countries, n.Country) {
		return "", &authn.Error{Code: authn.PolicyForbids, Key: "error.text_country"}
	}
	return n.E164, nil
}

// SetPhone gives a person another contact number, or none. It ends their sessions
// (ruling 3) and tells them. A number that takes another's place rests for a day
// before codes go there (ruling 2), also when the one before was removed first.
//
// Errors: NotFound, Invalid (field phone), PolicyForbids (error.text_country: the
// company sends no texts there).
func (s *Service) SetPhone(ctx context.Context, company authn.Company, user string, p Phone) error {
	number := ""
	if p.Typed != "" {
		var err error
		if number, err = p.read(); err != nil {
			return err
		}
	}
	now := s.c.Now()
	return s.change(ctx, company.ID, user, "phone.changed", func(rows *authn.Rows, u *authn.User) []authn.Write {
		var writes []authn.Write
		if f := rows.FactorOf(authn.SMS, authn.Fallback); f != nil && u.Phone != number {
			writes = append(writes, authn.DeleteFactor{ID: f.ID}) // it speaks of the old number
		}
		if u.Phone != "" && u.Phone != number {
			u.PhoneChangedAt = now
		}
		u.Phone, u.PhoneTrustedAt = number, now
		if number == "" {
			u.PhoneTrustedAt = time.Time{}
		}
		return writes
	})
}
