package directory

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// What an administrator changes of a person's data. Whatever decides where codes
// go, or by what name somebody signs in, needs users.identity (ruling 19).
const (
	SetName     = "set_name"     // name
	SetLocale   = "set_locale"   // locale; empty: the browser decides
	SetAudience = "set_audience" // audience
	SetLogin    = "set_login"    // login
	SetEmail    = "set_email"    // email; empty: none
	SetPhone    = "set_phone"    // phone, and country where it names none; empty: none
	SetRoles    = "set_roles"    // roles, with commas between them
)

func planName(_ context.Context, _ *Service, a asked) (change, error) {
	p := a.PersonAct
	name, err := authn.CleanName("name", p.Args["name"], 100)
	if err != nil {
		return nil, err
	}
	return func(_ *authn.Rows, u *authn.User, _ time.Time) (Done, error) {
		d := Done{Detail: map[string]string{"before": u.Name, "after": name}}
		u.Name = name
		return d, nil
	}, nil
}

func (s *Service) locale(value string) (string, error) {
	if value != "" && (len(s.c.Locales) > 0 && !slices.Contains(s.c.Locales, value) || !localeForm.MatchString(value)) {
		return "", authn.InvalidField("locale", "not_one_of", nil)
	}
	return value, nil
}

func planLocale(_ context.Context, s *Service, a asked) (change, error) {
	p := a.PersonAct
	locale, err := s.locale(p.Args["locale"])
	if err != nil {
		return nil, err
	}
	return func(_ *authn.Rows, u *authn.User, _ time.Time) (Done, error) {
		d := Done{Detail: map[string]string{"before": u.Locale, "after": locale}}
		u.Locale = locale
		return d, nil
	}, nil
}

func planAudience(_ context.Context, _ *Service, a asked) (change, error) {
	p := a.PersonAct
	audience := authn.Audience(p.Args["audience"])
	if audience != authn.InternalAudience && audience != authn.ExternalAudience {
		return nil, authn.InvalidField("audience", "not_one_of", nil)
	}
	return func(_ *authn.Rows, u *authn.User, _ time.Time) (Done, error) {
		d := Done{Detail: map[string]string{"before": string(u.Audience), "after": string(audience)}}
		u.Audience = audience
		return d, nil
	}, nil
}

// cleanLogin is a login name as it is stored, and as it is looked up.
func cleanLogin(typed string) (login, canonical string, err error) {
	if login, err = authn.CleanName("login", typed, 100); err != nil {
		return "", "", err
	}
	canonical, ok := authn.CanonicalLogin(login)
	if !ok || authn.CheckID(authn.UserID, canonical) {
		return "", "", authn.InvalidField("login", "invalid", nil)
	}
	return login, canonical, nil
}

func planLogin(_ context.Context, _ *Service, a asked) (change, error) {
	p := a.PersonAct
	login, _, err := cleanLogin(p.Args["login"])
	if err != nil {
		return nil, err
	}
	return func(_ *authn.Rows, u *authn.User, _ time.Time) (Done, error) {
		d := Done{Detail: map[string]string{"before": u.Login, "after": login}, Writes: []authn.Write{authn.SetLogin{Login: login}}}
		u.Login = login
		return d, nil
	}, nil
}

// planEmail sets the address on an administrator's word: codes that stand in go
// there after a day (ruling 2), and it signs nobody in before its owner has
// verified it (ruling 5). The one before is told, with a link that takes it back.
func planEmail(_ context.Context, s *Service, a asked) (change, error) {
	p := a.PersonAct
	email := p.Args["email"]
	var err error
	if email != "" {
		if email, err = authn.CleanEmail(email); err != nil {
			return nil, err
		}
	}
	link := authn.NewID(authn.LinkID, s.c.Now(), s.c.Random)
	return func(rows *authn.Rows, u *authn.User, now time.Time) (Done, error) {
		var d Done
		old, reached, changed := u.Email, u.EmailReaches(), u.EmailChangedAt
		if f := rows.FactorOf(authn.Email, authn.Fallback); f != nil && old != email {
			d.Writes = append(d.Writes, authn.DeleteFactor{ID: f.ID}) // it speaks of the old address
		}
		if f := rows.FactorOf(authn.Email, authn.Confirmed); f != nil && old != email {
			d.Writes = append(d.Writes, authn.DeleteFactor{ID: f.ID}) // codes of this way would go to the new one
			if u.Preferred == f.ID {
				u.Preferred = ""
			}
		}
		if old == email {
			return Done{}, authn.InvalidField("email", "same", nil)
		}
		u.Email, u.EmailVerifiedAt, u.EmailTrustedAt, u.EmailChangedAt = email, time.Time{}, time.Time{}, now
		if email != "" {
			u.EmailTrustedAt = now
		}
		d.Writes = append(d.Writes, authn.SetEmail{Email: email})
		if !reached {
			return d, nil
		}
		args := map[string]string{"email": old}
		if !changed.IsZero() {
			args["changed"] = changed.UTC().Format(time.RFC3339)
		}
		token := authn.NewToken(authn.LinkToken, u.Company, link, s.c.Random)
		d.Writes = append(d.Writes,
			authn.NewLink{Token: token, Link: authn.Link{ID: link, Purpose: authn.NotMeLink, Mailed: true, Epoch: u.Epoch - 1,
				Args: args, CreatedAt: now, ExpiresAt: now.Add(policy.NotMeLives)}},
			authn.NewLetter{Letter: authn.Letter{ID: authn.NewID(authn.MessageID, now, s.c.Random), Template: "email_changed", To: old, At: now,
				Link: token, Args: map[string]string{"type": "email.changed", "by": "admin", "variant": "old"}}})
		return d, nil
	}, nil
}

func planPhone(_ context.Context, _ *Service, a asked) (change, error) {
	p := a.PersonAct
	number := ""
	if p.Args["phone"] != "" {
		typed := Phone{Typed: p.Args["phone"]}
		if c := p.Args["country"]; c != "" {
			typed.Home = c
		}
		var err error
		if number, err = typed.read(); err != nil {
			return nil, err
		}
	}
	return func(rows *authn.Rows, u *authn.User, now time.Time) (Done, error) {
		return Done{Writes: setPhone(rows, u, number, now)}, nil
	}, nil
}

// readRoles are roles of a company, each once; none are a member's.
func readRoles(c authn.Company, list []string) ([]string, error) {
	var roles []string
	for _, r := range list {
		if r = strings.TrimSpace(r); r == "" {
			continue
		}
		if _, ok := RolePermissions(c, r); !ok {
			return nil, authn.InvalidField("roles", "not_one_of", nil)
		}
		if !slices.Contains(roles, r) {
			roles = append(roles, r)
		}
	}
	if len(roles) > authn.MaxRoles {
		return nil, &authn.Error{Code: authn.Invalid, Fields: []authn.Field{{Name: "roles", Code: "too_many", Key: "field.too_many_roles", Args: map[string]any{"Max": authn.MaxRoles}}}}
	}
	if len(roles) == 0 {
		roles = []string{Member}
	}
	return roles, nil
}

// mayGrant says whether who acts may give roles: those whose every permission they
// hold, and only owners make owners. Roles that allow nothing anybody may give.
func mayGrant(w Who, rows *authn.Rows, roles []string) error {
	if w.Actor.Operator {
		return nil
	}
	u := authn.User{Roles: roles, Status: authn.Active}
	return mayTouch(&authn.Rows{Company: rows.Company, By: rows.By, User: &u}, Act{})
}

func planRoles(_ context.Context, _ *Service, a asked) (change, error) {
	p := a.PersonAct
	w := a.who
	for role := range strings.SplitSeq(p.Args["roles"], ",") {
		if role = strings.TrimSpace(role); role != "" && !roleForm.MatchString(role) {
			return nil, authn.InvalidField("roles", "not_one_of", nil)
		}
	}
	return func(rows *authn.Rows, u *authn.User, _ time.Time) (Done, error) {
		roles, err := readRoles(*rows.Company, strings.Split(p.Args["roles"], ","))
		if err != nil {
			return Done{}, err
		}
		if err := mayGrant(w, rows, roles); err != nil {
			return Done{}, err
		}
		// An API account has one role, which lists what it may do (ruling 21).
		if u.API && (len(roles) != 1 || roles[0] != Member && indexOf(rows.Company.Roles, roles[0]) < 0) {
			return Done{}, authn.InvalidField("roles", "api_account", nil)
		}
		d := Done{Detail: map[string]string{"before": strings.Join(u.Roles, ","), "after": strings.Join(roles, ",")}}
		if hasRole(*u, Owner) && !slices.Contains(roles, Owner) {
			d.Writes = []authn.Write{authn.KeepOwner{}}
		}
		u.Roles = roles
		return d, nil
	}, nil
}

// changes are the acts of Change, those that can fail in the transaction first.
var changes = []string{SetLogin, SetEmail, SetPhone, SetRoles, SetAudience, SetName, SetLocale}

// Changed is what Change came to.
type Changed struct {
	Done  []string         // names of acts
	Waits []authn.Approval // of acts that wait for a second person
}

// Change does several acts of this file about one person, each with its own rules,
// approval and event, in the order login, e-mail, phone, roles, audience, name,
// language. All arguments are judged before the first is done; where one of them
// fails after that, those before it stay done.
//
// Errors: those of Do.
func (s *Service) Change(ctx context.Context, w Who, target, reason string, args map[string]map[string]string) (Changed, error) {
	var out Changed
	var wrong []authn.Field
	for _, do := range changes {
		if args[do] == nil {
			continue
		}
		kind := personActs[do]
		if _, err := s.Check(ctx, w, kind.permission); err != nil && !w.Actor.Operator {
			return out, err
		}
		_, err := kind.plan(ctx, s, asked{who: w, PersonAct: PersonAct{Do: do, Target: target, Args: args[do], Reason: reason}, out: &Outcome{}})
		if e := authn.AsError(err); err != nil && e.Code == authn.Invalid {
			wrong = append(wrong, e.Fields...)
		} else if err != nil {
			return out, err
		}
		if reason == "" && !kind.unexplained && !w.Actor.Operator && !slices.ContainsFunc(wrong, func(f authn.Field) bool { return f.Name == "reason" }) {
			wrong = append(wrong, authn.Field{Name: "reason", Code: "required"})
		}
	}
	if len(wrong) > 0 {
		return out, &authn.Error{Code: authn.Invalid, Fields: wrong}
	}
	for _, do := range changes {
		if args[do] == nil {
			continue
		}
		o, err := s.Do(ctx, w, PersonAct{Do: do, Target: target, Args: args[do], Reason: reason})
		if err != nil {
			return out, err
		}
		if o.Waits != nil {
			out.Waits = append(out.Waits, *o.Waits)
		} else {
			out.Done = append(out.Done, do)
		}
	}
	return out, nil
}
