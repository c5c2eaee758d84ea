package demo

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/otp"
)

// account is a person as they are now.
type account struct {
	login, name string
	role        string
	state       string // in words, for the tour
	password    string // empty: changed since, and not known here
	secret      string // base32; empty: no app, or one that is not known here
	hasApp      bool
}

// accounts reads everybody from the database: what is shown holds, whatever
// was done in the demo meanwhile.
func (d *Demo) accounts(ctx context.Context) ([]account, error) {
	users, err := d.directory.Users(ctx, d.company.ID, "", 200)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(users, func(a, b authn.User) int { return place(a.Login) - place(b.Login) })
	all := []account{}
	for _, u := range users {
		_, factors, err := d.directory.Lookup(ctx, d.company, u.ID)
		if err != nil {
			return nil, err
		}
		all = append(all, d.account(u, factors, time.Now()))
	}
	return all, nil
}

// place is where a person stands in the list of the demo; people who were added
// later come last.
func place(login string) int {
	i := slices.IndexFunc(people, func(p person) bool { return p.login == login })
	if i < 0 {
		return len(people)
	}
	return i
}

func (d *Demo) account(u authn.User, factors []authn.Factor, now time.Time) account {
	a := account{login: u.Login, name: u.Name, password: Password}
	if len(u.Roles) > 0 {
		a.role = u.Roles[0]
	}
	if u.Audience == authn.ExternalAudience {
		a.role = "customer"
	}
	// Everybody was created with the password of the demo, at that very moment.
	if !u.PasswordChangedAt.Equal(u.CreatedAt) {
		a.password = ""
	}
	i := slices.IndexFunc(factors, func(f authn.Factor) bool { return f.Kind == authn.TOTP && f.State == authn.Confirmed })
	if i >= 0 {
		a.hasApp, a.secret = true, d.store.seen.of(factors[i].ID)
		a.state = appState(factors[i], now)
	} else if u.RequireTwoFactor {
		a.state = "must have a second step and has none: turned away"
	} else {
		a.state = "nothing set up: the password is enough"
	}
	if u.Status != authn.Active {
		a.state = "suspended: turned away like a wrong password"
	}
	return a
}

func appState(f authn.Factor, now time.Time) string {
	s, k := f.Counts[authn.Stranger], f.Counts[authn.Known]
	switch {
	case s.Tries >= authn.ShareStranger && k.Tries >= authn.ShareKnown:
		return "authenticator app, disabled after 100 wrong codes"
	case s.PausedUntil.After(now):
		return "authenticator app, paused until " + s.PausedUntil.Format("15:04") + " after wrong codes"
	}
	return "authenticator app"
}

// item is what tests read. A field that is empty is not known or not there.
type item struct {
	Company    string `json:"company"`
	Login      string `json:"login"`
	Password   string `json:"password"`
	TOTPSecret string `json:"totp_secret"`
}

func (d *Demo) accountsJSON(w http.ResponseWriter, r *http.Request) error {
	all, err := d.accounts(r.Context())
	if err != nil {
		return err
	}
	items := []item{}
	for _, a := range all {
		items = append(items, item{d.company.Slug, a.login, a.password, a.secret})
	}
	return httpserve.WriteJSON(w, http.StatusOK, map[string]any{"items": items})
}

// running is the code of a person's app at a moment.
type running struct {
	Login string `json:"login"`
	Name  string `json:"-"`
	Code  string `json:"code"` // "123 456"; empty: the secret is not known here
}

// codes are the running codes of everybody who has an app, and how many
// seconds they are still good for.
func (d *Demo) codes(ctx context.Context, now time.Time) ([]running, int, error) {
	all, err := d.accounts(ctx)
	if err != nil {
		return nil, 0, err
	}
	list := []running{}
	for _, a := range all {
		if !a.hasApp {
			continue
		}
		c := running{Login: a.login, Name: a.name}
		if secret, err := otp.DecodeSecret(a.secret); err == nil {
			if c.Code, err = grouped(otp.Key{Secret: secret}, now); err != nil {
				return nil, 0, err
			}
		}
		list = append(list, c)
	}
	return list, left(otp.Params{}, now), nil
}

// grouped is a code as apps show it: in two halves.
func grouped(k otp.Key, now time.Time) (string, error) {
	code, err := k.TOTP(now)
	if err != nil {
		return "", err
	}
	half := len(code) / 2
	return code[:half] + " " + code[half:], nil
}

// left is how many seconds a code is still shown, at least 1.
func left(p otp.Params, now time.Time) int {
	end := p.Start(p.Step(now) + 1)
	return int((end.Sub(now) + time.Second - 1) / time.Second)
}
