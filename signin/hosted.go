package signin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// People whom a host program's own table knows (ruling 36). The guess is charged for
// as ever; then our hash and the host's run side by side for every name, so that the
// time says neither whether there is such a person nor who keeps them. Whoever has the
// name here without an ExternalID is let in by our hash alone, and everybody else by
// the host alone. Whom the host lets in gets a row of ours, found by their id and by
// nothing else, and brought up to date in the transaction that lets them in.

// tried is what the two checks of a password came to.
type tried struct {
	match authn.Match
	host  *HostUser // whom the host program lets in; nil: nobody, or it is not asked
}

// try runs our hash and the host's. An error is for what could not be evaluated, and
// the charge is given back, unless our own hash was and said no.
func (s *Service) try(ctx context.Context, company authn.Company, k authn.Keys, p *paid, b Begin) (tried, error) {
	host := s.askHost(ctx, company.Slug, k.Login, b.Password)
	match, err := s.methods[authn.Password].Verify(ctx, authn.Request{
		Company: company, User: p.person(), Secret: p.secret, Client: b.Client, Now: s.now().Unix(), Lane: p.lane,
	}, authn.Answer{Password: b.Password})
	if err != nil {
		err = fmt.Errorf("signin: password: %w", err)
	}
	u, hostErr := host()
	ours := p.user != nil && p.user.ExternalID == ""
	if err == nil && ours && match.Outcome == authn.Right {
		return tried{match: match}, nil // whatever the host says of the name
	}
	if err == nil && hostErr != nil && !errors.Is(hostErr, ErrNobody) {
		if err = hostErr; ours {
			return tried{}, err
		}
	}
	switch {
	case err != nil:
		s.giveBack(ctx, k)
		return tried{}, err
	case ours:
		p.taken = hostErr == nil
		return tried{match: match}, nil
	case hostErr == nil:
		return tried{host: &u}, nil
	}
	return tried{}, nil
}

// askHost begins asking for a name and a password, and gives what waits for the
// answer. A guess that is under way stays one when whoever made it leaves.
func (s *Service) askHost(ctx context.Context, company, login, password string) func() (HostUser, error) {
	if s.hosted == nil {
		return func() (HostUser, error) { return HostUser{}, ErrNobody }
	}
	if login == nobodysName {
		login = ""
	}
	var u HostUser
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		u, err = s.hosted.check(context.WithoutCancel(ctx), company, login, password)
	}()
	return func() (HostUser, error) {
		<-done // within Config.UsersAnswer
		return u, err
	}
}

// enterHosted lets in whom the host program named, by the name that was typed. It
// settles what was charged to that name, and everything else is about the person.
func (s *Service) enterHosted(ctx context.Context, k authn.Keys, p paid, h HostUser, b Begin) (Status, error) {
	refused := ""
	if !h.goesBy(k.Login) {
		refused = "other_name"
	}
	k.External, k.Charge = h.ID, authn.SettlePassword
	k.TrustToken, _ = authn.ParseToken(authn.TrustToken, b.Trusted)
	var st Status
	for range 4 {
		now := s.now()
		k.Now, k.User = now, authn.NewID(authn.UserID, now, s.random)
		err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
			st = Status{}
			why := refused
			if why == "" {
				why = barredHosted(rows, p, h)
			}
			if why == "" {
				return s.admitHosted(rows, k.User, p, h, b, now, &st)
			}
			if rows.User == nil {
				rows.User = rows.Named // whose log says that somebody else has their name
			}
			return s.wrongPassword(rows, b.Client, now, why)
		})
		if !errors.Is(err, authn.Conflict) {
			if err != nil {
				return Status{}, fmt.Errorf("signin: begin: %w", err)
			}
			return st, nil
		}
		// Somebody else has the name or the address; or the same person came in beside
		// this, and is there now.
		if fields := authn.AsError(err).Fields; len(fields) > 0 {
			refused = fields[0].Name + "_taken"
		}
	}
	return Status{}, &authn.Error{Code: authn.Busy, RetryAfter: time.Second}
}

// barredHosted says why somebody whom the host program lets in is let in nowhere, for
// the audit log only. A name that somebody else has here is never taken from them:
// with it would go whatever they had set up.
func barredHosted(rows *authn.Rows, p paid, h HostUser) string {
	u := rows.User
	switch {
	case rows.Gone:
		return "erased"
	case rows.Named != nil && (u == nil || rows.Named.ID != u.ID):
		return "login_taken"
	case h.Suspended:
		return "suspended_by_host"
	case u == nil:
		return ""
	case u.Status != authn.Active:
		return "suspended"
	case p.user != nil && p.user.ID == u.ID && p.user.Epoch != u.Epoch:
		return "changed_meanwhile"
	case !u.PasswordKnownAt.IsZero() && !h.PasswordChangedAt.After(u.PasswordKnownAt) && rows.Lane == authn.Stranger:
		return "password_known_to_others"
	}
	return ""
}

func (s *Service) admitHosted(rows *authn.Rows, id string, p paid, h HostUser, b Begin, now time.Time, st *Status) authn.Verdict {
	var before []authn.Write
	typ, detail := "host_user.added", map[string]string(nil)
	if rows.User == nil {
		before = newHostUser(rows, id, h, now)
	} else {
		var fields []string
		fields, before = bringUpToDate(rows, h, now)
		typ, detail = "host_user.changed", map[string]string{"fields": strings.Join(fields, " ")}
	}
	changed := len(before) > 0
	v := s.admit(rows, s.byPassword(p, now), b, append(before, passwordPaid(p, authn.Match{})...), now, st)
	if changed && v.Refusal() == nil {
		v = v.And(s.event(typ, authn.Succeeded, rows, b.Client, now.Add(-time.Millisecond), detail))
	}
	return v
}

// newHostUser makes the row of a person at their first right password. What they may do
// here is given to them here.
func newHostUser(rows *authn.Rows, id string, h HostUser, now time.Time) []authn.Write {
	u := authn.User{
		Company: rows.Company.ID, ID: id, ExternalID: h.ID, Login: h.Login, Name: h.Name, Locale: h.Locale, Audience: h.Audience,
		Status: authn.Active, Roles: []string{"member"}, Epoch: 1, PasswordChangedAt: h.PasswordChangedAt, CreatedAt: now,
	}
	name, _ := authn.CanonicalLogin(h.Login)
	logins := []authn.Login{{Name: name, Kind: "name"}}
	if h.Email != "" {
		u.Email, u.EmailVerifiedAt = h.Email, now
		if address, _ := authn.CanonicalLogin(h.Email); address != name {
			logins = append(logins, authn.Login{Name: address, Kind: "email"})
		}
	}
	rows.User = &u
	return []authn.Write{authn.NewUser{User: u, Logins: logins}}
}

// bringUpToDate makes rows.User what the host says, and names what changed. What moves
// the account signs the person out elsewhere (ruling 3).
func bringUpToDate(rows *authn.Rows, h HostUser, now time.Time) (fields []string, writes []authn.Write) {
	u := rows.User
	moved := false
	if h.Login != u.Login {
		u.Login, moved = h.Login, true
		fields, writes = append(fields, "login"), append(writes, authn.SetLogin{Login: h.Login})
	}
	if h.Email != "" && (h.Email != u.Email || u.EmailVerifiedAt.IsZero()) {
		fields = append(fields, "email")
		was, _ := authn.CanonicalLogin(u.Email)
		if is, _ := authn.CanonicalLogin(h.Email); is != was {
			writes = append(writes, newAddress(rows, now)...)
			moved = true
		}
		if h.Email != u.Email {
			writes = append(writes, authn.SetEmail{Email: h.Email})
		}
		u.Email, u.EmailVerifiedAt, u.EmailTrustedAt = h.Email, now, time.Time{}
	}
	if h.Name != u.Name {
		u.Name, fields = h.Name, append(fields, "name")
	}
	if h.Audience != u.Audience {
		u.Audience, fields = h.Audience, append(fields, "audience")
	}
	if h.PasswordChangedAt.After(u.PasswordChangedAt) {
		fields, moved = append(fields, "password"), true
		writes = append(writes, otherPassword(u, h)...)
	}
	if moved {
		u.Epoch++
		writes = append(writes, authn.EndSessions{}, authn.EndAttempts{})
	}
	if len(fields) > 0 {
		writes = append(writes, authn.PutUser{User: *u})
	}
	return fields, writes
}

// newAddress takes away what went to the old address: it would go to the new one, which
// gets no code that stands in for a day (ruling 2).
func newAddress(rows *authn.Rows, now time.Time) (writes []authn.Write) {
	u := rows.User
	u.EmailChangedAt = now
	rows.Factors = slices.DeleteFunc(slices.Clone(rows.Factors), func(f authn.Factor) bool {
		if f.Kind != authn.Email {
			return false
		}
		writes = append(writes, authn.DeleteFactor{ID: f.ID})
		if u.Preferred == f.ID {
			u.Preferred = ""
		}
		return true
	})
	return writes
}

// otherPassword takes back what stood against the password before this one, and not
// what was said after it was chosen.
func otherPassword(u *authn.User, h HostUser) []authn.Write {
	u.PasswordChangedAt = h.PasswordChangedAt
	if h.PasswordChangedAt.After(u.PasswordKnownAt) {
		u.PasswordKnownAt, u.WrongInRow, u.WrongInMonth = time.Time{}, 0, 0
	}
	if h.PasswordChangedAt.After(u.SecuredAt) {
		u.SecuredAt = time.Time{}
	}
	return []authn.Write{authn.ForgetBrowsers{All: true}}
}

// passwordOf checks the password of somebody who is known, for a step-up: by whoever
// keeps them. The person that the host names must be this one.
func (s *Service) passwordOf(ctx context.Context, company authn.Company, p paid, r authn.Request, a authn.Answer) (authn.Match, error) {
	if p.user == nil || p.user.ExternalID == "" {
		return s.methods[authn.Password].Verify(ctx, r, a)
	}
	if s.hosted == nil {
		return authn.Match{}, noHost()
	}
	login, _ := authn.CanonicalLogin(p.user.Login)
	u, err := s.hosted.check(context.WithoutCancel(ctx), company.Slug, login, a.Password)
	switch {
	case errors.Is(err, ErrNobody):
		return authn.Match{}, nil
	case err != nil:
		return authn.Match{}, err
	case u.ID != p.user.ExternalID || u.Suspended || !u.goesBy(login) || u.PasswordChangedAt.After(p.user.PasswordChangedAt):
		return authn.Match{}, nil // the next look at the session says what there is to say
	}
	return authn.Match{Outcome: authn.Right}, nil
}

// noHost is for a person of a host program, where there is none: a command beside it,
// or a configuration without Users.
func noHost() error {
	return unanswered(errors.New("signin: a host program keeps the person, and Config.Users is nil"))
}

// Present asks the host program whether the person of a session is still there, each
// time: nothing of it is kept (ruling 36). Whom it does not know any more, has
// suspended, or has given another password since is signed out everywhere. Nothing is
// asked for people whom Sallyport keeps.
//
// Errors: Unauthenticated (signed out), ProviderUnavailable (it cannot be found out; the
// session stays), Busy.
func (s *Service) Present(ctx context.Context, c authn.Company, u authn.User) error {
	h, why, err := s.standing(ctx, c, u)
	if why == "" && err == nil && h.PasswordChangedAt.After(u.PasswordChangedAt) {
		why = "password"
	}
	if why == "" || err != nil {
		return err
	}
	// The person may have gone, and is signed out all the same.
	if err := s.signOut(context.WithoutCancel(ctx), u, h, why); err != nil {
		return err
	}
	return authn.Unauthenticated
}

// Stands is Present for the owner of a key, which ends with their standing and not
// with their password. It signs nobody out.
func (s *Service) Stands(ctx context.Context, c authn.Company, u authn.User) error {
	_, why, err := s.standing(ctx, c, u)
	if why != "" && err == nil {
		err = authn.Unauthenticated
	}
	return err
}

// standing says why the host program lets the person in no more; empty: it does, or
// Sallyport keeps them.
func (s *Service) standing(ctx context.Context, c authn.Company, u authn.User) (h HostUser, why string, err error) {
	if u.ExternalID == "" {
		return h, "", nil
	}
	if s.hosted == nil {
		return h, "", noHost()
	}
	h, err = s.hosted.lookUp(ctx, c.Slug, u.ExternalID)
	switch {
	case errors.Is(err, ErrNobody):
		return h, "unknown", nil
	case err == nil && h.Suspended:
		why = "suspended_by_host"
	}
	return h, why, err
}

func (s *Service) signOut(ctx context.Context, u authn.User, h HostUser, why string) error {
	now := s.now()
	err := s.store.Decide(ctx, authn.Keys{Company: u.Company, User: u.ID, Now: now}, func(rows *authn.Rows) authn.Verdict {
		if rows.User == nil || rows.User.Epoch != u.Epoch || rows.User.ExternalID != u.ExternalID {
			return authn.Continue() // somebody was first
		}
		writes := []authn.Write{authn.EndSessions{}, authn.EndAttempts{}, authn.ForgetBrowsers{All: true}}
		typ, detail := "host_user.gone", map[string]string{"reason": why}
		if why == "password" {
			otherPassword(rows.User, h)
			typ, detail = "host_user.changed", map[string]string{"fields": why}
		}
		rows.User.Epoch++
		ev := s.event(typ, authn.Succeeded, rows, authn.Client{}, now, detail)
		ev.Actor = ""
		return authn.Accept(ev, append(writes, authn.PutUser{User: *rows.User})...)
	})
	if err != nil {
		return fmt.Errorf("signin: sign out: %w", err)
	}
	return nil
}

// assertable is attending for somebody whom a program has checked the password of.
func (s *Service) assertable(ctx context.Context, k authn.Keys) error {
	if s.hosted == nil {
		return nil
	}
	rows, err := s.store.View(ctx, k)
	if err != nil {
		return fmt.Errorf("signin: %w", err)
	}
	if rows.By == nil || rows.By.Key == nil || rows.User == nil {
		return nil // what follows finds out, and says so
	}
	if err = s.Stands(ctx, *rows.Company, *rows.User); errors.Is(err, authn.Unauthenticated) {
		return authn.NotFound
	}
	return err
}

// attending asks whether the person of an attempt is still there, before something is
// taken from them, sent to them or given to them.
func (s *Service) attending(ctx context.Context, o Opener) error {
	if s.hosted == nil {
		return nil
	}
	k := o.keys(s.now())
	k.Company = o.company()
	rows, err := s.store.View(ctx, k)
	if err != nil {
		return fmt.Errorf("signin: %w", err)
	}
	if open(&rows, k.Now) != nil || rows.Attempt.State == authn.Complete {
		return nil // what follows finds out, and says so
	}
	if err = s.Present(ctx, *rows.Company, *rows.User); errors.Is(err, authn.Unauthenticated) {
		return &authn.Error{Code: authn.Expired, Key: "error.attempt_expired"}
	}
	return err
}
