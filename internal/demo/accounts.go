package demo

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/internal/phone"
	"github.com/sallyport-mfa/sallyport/otp"
)

// account is a person as they are now.
type account struct {
	login, name string
	role        string
	state       string // in words, for the tour
	email       string
	password    string   // empty: none yet, or changed since and not known here
	changed     bool     // the latter
	secret      string   // base32; empty: no app, or one that is not known here
	codes       []string // backup codes that are left and known here
	hasApp      bool
	numbers     []string // that texts go to, E.164
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
		rows, err := d.store.View(ctx, authn.Keys{Company: d.company.ID, User: u.ID, Sent: true, Now: time.Now()}) // with the numbers
		if err != nil {
			return nil, err
		}
		all = append(all, d.account(u, rows.Factors, time.Now()))
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
	a := account{login: u.Login, name: u.Name, email: u.Email, password: Password, codes: []string{}}
	if len(u.Roles) > 0 {
		a.role = u.Roles[0]
	}
	if u.Audience == authn.ExternalAudience {
		a.role = "customer"
	}
	// Until the past ended everybody had the password of the demo.
	if a.changed = u.PasswordChangedAt.After(d.seeded); a.changed || u.PasswordChangedAt.IsZero() {
		a.password = ""
	}
	if u.Phone != "" {
		a.numbers = append(a.numbers, u.Phone)
	}
	var ways []string
	saved := ""
	for _, f := range factors {
		switch {
		case f.State != authn.Confirmed:
		case f.Kind == authn.TOTP:
			a.hasApp, a.secret = true, d.store.seen.of(f.ID)
			ways = append(ways, appState(f, now))
		case f.Kind == authn.SMS:
			a.numbers = append(a.numbers, f.Destination)
			ways = append(ways, "text message to "+shownNumber(f.Destination))
		case f.Kind == authn.Duo:
			ways = append(ways, "Duo")
		case f.Kind == authn.Email:
			ways = append(ways, "codes by e-mail, turned on")
		case f.Kind == authn.BackupCode:
			a.codes = d.store.seen.codes(f.ID)
			saved = plural(f.Left, "backup code")
		}
	}
	if saved != "" {
		ways = append(ways, saved)
	}
	a.state = strings.Join(ways, "; ")
	switch {
	case u.API:
		a.password, a.state = "", "an API account: programs send its name and “"+BotSecret+"” with HTTP Basic"
	case u.Status != authn.Active:
		a.state = "suspended: turned away like a wrong password"
	case u.PasswordChangedAt.IsZero():
		a.state = "invited, and has not come yet"
	case !u.PasswordKnownAt.IsZero():
		a.state += "; the password is known to others, and opens nothing in a new browser"
	case !u.SecuredAt.IsZero():
		a.state += "; said “this wasn’t me”: then asked for a new password"
	case len(ways) > 0:
	case !u.HadFactorAt.IsZero():
		a.state = "has given up every way to verify: turned away"
	case u.EmailVerifiedAt.IsZero():
		a.state = "nothing set up, and an address that nobody has confirmed: turned away"
	case u.Audience == authn.InternalAudience:
		a.state = "nothing set up: a code by e-mail, then has to set up a way"
	case u.Phone != "":
		a.state = "nothing set up: codes by text message to " + shownNumber(u.Phone) + " or by e-mail are enough"
	default:
		a.state = "nothing set up: codes by e-mail are enough"
	}
	return a
}

// shownNumber is a number as people write it.
func shownNumber(e164 string) string {
	n, err := phone.FromE164(e164)
	if err != nil {
		return e164
	}
	return n.International
}

func plural(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + " left"
	case 1:
		return "one " + what + " left"
	}
	return strconv.Itoa(n) + " " + what + "s left"
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
	// BackupCodes are those that are left.
	BackupCodes []string `json:"backup_codes"`
}

func (d *Demo) accountsJSON(w http.ResponseWriter, r *http.Request) error {
	all, err := d.accounts(r.Context())
	if err != nil {
		return err
	}
	items := []item{}
	for _, a := range all {
		items = append(items, item{d.company.Slug, a.login, a.password, a.secret, a.codes})
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
		if code, err := codeAt(a.secret, now); err == nil {
			c.Code = halves(code)
		}
		list = append(list, c)
	}
	return list, left(otp.Params{}, now), nil
}

// codeAt is the code of a secret in base32.
func codeAt(secret string, now time.Time) (string, error) {
	s, err := otp.DecodeSecret(secret)
	if err != nil {
		return "", err
	}
	return otp.Key{Secret: s}.TOTP(now)
}

// halves is a code as apps show it.
func halves(code string) string { return code[:len(code)/2] + " " + code[len(code)/2:] }

// left is how many seconds a code is still shown, at least 1.
func left(p otp.Params, now time.Time) int {
	end := p.Start(p.Step(now) + 1)
	return int((end.Sub(now) + time.Second - 1) / time.Second)
}
