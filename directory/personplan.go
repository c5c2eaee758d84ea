package directory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// plain is the plan of an act without arguments.
func plain(f func(*authn.User), writes ...authn.Write) plan {
	return func(_ context.Context, _ *Service, a asked) (change, error) {
		mine := slices.Clone(writes) // the table is everybody's
		if a.who.Actor.Operator {    // who can always let an owner in again (requirement H6)
			mine = slices.DeleteFunc(mine, func(w authn.Write) bool { _, keep := w.(authn.KeepOwner); return keep })
		}
		return func(_ *authn.Rows, u *authn.User, _ time.Time) (Done, error) {
			f(u)
			return Done{Writes: slices.Clone(mine)}, nil
		}, nil
	}
}

// wayOf is the person's way to verify that an act names.
func wayOf(rows *authn.Rows, id string) (authn.Factor, error) {
	f := rows.Factor(id)
	if f == nil || f.Kind == authn.Password || f.State == authn.Fallback {
		return authn.Factor{}, authn.NotFound
	}
	return *f, nil
}

// checkFactor wants the argument "factor".
func (a asked) checkFactor() error {
	if !authn.CheckID(authn.FactorID, a.Args["factor"]) {
		return authn.InvalidField("factor", "invalid", nil)
	}
	return nil
}

// planReset removes one way to verify, or all and what came with them.
func planReset(_ context.Context, _ *Service, a asked) (change, error) {
	id := a.Args["factor"]
	if id != "" {
		if err := a.checkFactor(); err != nil {
			return nil, err
		}
	}
	return func(rows *authn.Rows, u *authn.User, _ time.Time) (Done, error) {
		if id == "" {
			u.Preferred = ""
			return Done{Detail: map[string]string{"method": "all", "before": waysHeld(rows)}, Writes: append(deleteFactors(rows), authn.ForgetBrowsers{All: true})}, nil
		}
		f, err := wayOf(rows, id)
		if err != nil {
			return Done{}, err
		}
		if u.Preferred == id {
			u.Preferred = ""
		}
		writes := []authn.Write{authn.DeleteFactor{ID: id}, authn.ForgetBrowsers{All: true}}
		// Backup codes stand in for a way of one's own; without one they open nothing.
		if saved := rows.FactorOf(authn.BackupCode, authn.Confirmed); saved != nil && saved.ID != id && !slices.ContainsFunc(rows.Factors, func(other authn.Factor) bool {
			return other.ID != id && other.Kind.Own() && (other.State == authn.Confirmed || other.State == authn.Asleep)
		}) {
			writes = append(writes, authn.DeleteFactor{ID: saved.ID})
		}
		detail := f.Detail()
		detail["before"] = string(f.State)
		return Done{Detail: detail, Writes: writes}, nil
	}, nil
}

// waysHeld are the kinds of a person's ways to verify.
func waysHeld(rows *authn.Rows) string {
	var kinds []string
	for _, f := range rows.Factors {
		if _, err := wayOf(rows, f.ID); err == nil {
			kinds = append(kinds, string(f.Kind))
		}
	}
	return strings.Join(kinds, " ")
}

// planState puts a way to sleep, or wakes it: no right answer is needed for the
// latter, since there was one before (cve-50).
func planState(to authn.FactorState) plan {
	return func(_ context.Context, _ *Service, a asked) (change, error) {
		if err := a.checkFactor(); err != nil {
			return nil, err
		}
		return func(rows *authn.Rows, _ *authn.User, _ time.Time) (Done, error) {
			f, err := wayOf(rows, a.Args["factor"])
			switch {
			case err != nil:
				return Done{}, err
			case !f.Kind.Own(), f.State != authn.Confirmed && f.State != authn.Asleep, f.State == to:
				return Done{}, &authn.Error{Code: authn.Conflict, Key: "error.factor_state"}
			}
			detail := f.Detail()
			detail["before"], detail["after"] = string(f.State), string(to)
			f.State = to
			a.out.Factor = &f
			return Done{Detail: detail, Writes: []authn.Write{authn.PutFactor{Factor: f}, authn.ForgetBrowsers{All: true}}}, nil
		}, nil
	}
}

func planPrefer(_ context.Context, _ *Service, a asked) (change, error) {
	if err := a.checkFactor(); err != nil {
		return nil, err
	}
	return func(rows *authn.Rows, u *authn.User, _ time.Time) (Done, error) {
		f, err := wayOf(rows, a.Args["factor"])
		if err != nil {
			return Done{}, err
		}
		if !f.Kind.Own() || f.State != authn.Confirmed {
			return Done{}, authn.InvalidField("factor", "invalid", nil)
		}
		u.Preferred = f.ID
		a.out.Factor = &f
		return Done{Detail: f.Detail()}, nil
	}, nil
}

// planCloseHelp ends what somebody asked for from the sign-in page: they were helped,
// or it was not they who asked.
func planCloseHelp(_ context.Context, _ *Service, a asked) (change, error) {
	return func(_ *authn.Rows, u *authn.User, _ time.Time) (Done, error) {
		if u.HelpAskedAt.IsZero() {
			return Done{}, &authn.Error{Code: authn.Conflict, Key: "error.help_over"}
		}
		d := Done{Detail: map[string]string{"before": u.HelpAskedAt.UTC().Format(time.RFC3339)}}
		u.HelpAskedAt = time.Time{}
		return d, nil
	}, nil
}

// twoFactor refuses what is about ways to verify where the person uses none, or
// none of that kind, or may not sign in.
func (s *Service) twoFactor(c authn.Company, u authn.User, k authn.Kind) error {
	doc, err := policy.Current(c, s.c.Now())
	switch {
	case err != nil:
		return fmt.Errorf("directory: %w", err)
	case doc.Sleeps(u):
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.two_factor_off"}
	case !doc.Offers(k):
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.method_not_offered"}
	case u.API:
		return &authn.Error{Code: authn.Conflict, Key: "error.api_account"}
	case u.Status != authn.Active:
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.user_suspended"}
	}
	return nil
}

// planHelpCode makes a code of one hour that opens set-up only (ruling 18). It
// takes nothing away, so that what was prepared for the person stays.
func planHelpCode(_ context.Context, s *Service, a asked) (change, error) {
	if s.c.Bypasses == nil {
		return nil, authn.NotFound
	}
	code, secret := s.c.Bypasses.NewCode()
	return func(rows *authn.Rows, u *authn.User, now time.Time) (Done, error) {
		if err := s.twoFactor(*rows.Company, *u, authn.BypassCode); err != nil {
			return Done{}, err
		}
		a.out.Code, a.out.ExpiresAt = code, now.Add(BypassLives)
		f := authn.Factor{Company: u.Company, ID: authn.NewID(authn.FactorID, now, s.c.Random), User: u.ID, Kind: authn.BypassCode,
			State: authn.Confirmed, Epoch: u.Epoch, CreatedAt: now, ConfirmAt: now, ExpiresAt: a.out.ExpiresAt}
		return Done{Detail: map[string]string{"until": f.ExpiresAt.UTC().Format(time.RFC3339)}, Writes: []authn.Write{authn.NewFactor{Factor: f, Secret: secret}}}, nil
	}, nil
}

// PreparedLives is for how long a person can confirm what was prepared for them.
const PreparedLives = 7 * 24 * time.Hour

// CanPrepare reports whether a way of the kind can be prepared for its person. What is
// made on their own device, an app or a passkey, cannot.
func CanPrepare(k authn.Kind) bool { return k == authn.SMS || k == authn.Email || k == authn.Duo }

// planPrepare makes a way that the person confirms, with a code that is sent
// there or by approving it at Duo. Until then it is nothing.
func planPrepare(ctx context.Context, s *Service, a asked) (change, error) {
	kind := authn.Kind(a.Args["method"])
	if !CanPrepare(kind) {
		return nil, authn.InvalidField("method", "not_one_of", nil)
	}
	// What the method does not use would be shown to whoever agrees to it.
	of := map[authn.Kind][]string{authn.SMS: {"phone", "country"}, authn.Duo: {"username"}}[kind]
	for _, name := range slices.Sorted(maps.Keys(a.Args)) {
		if name != "method" && a.Args[name] != "" && !slices.Contains(of, name) {
			return nil, authn.InvalidField(name, "unknown", nil)
		}
	}
	m, ok := s.methods[kind].(authn.Enroller)
	if _, here := authn.TraitsFor(s.methods, a.company)(kind); !ok || !here {
		return nil, authn.InvalidField("method", "not_one_of", nil)
	}
	if err := s.twoFactor(a.company, a.user, kind); err != nil {
		return nil, err
	}
	ask := authn.Request{Company: a.company, User: a.user, Client: a.who.Client, Now: s.c.Now().Unix(), Phone: a.Args["phone"], Country: a.Args["country"]}
	switch kind {
	case authn.Email:
		if a.user.Email == "" {
			return nil, &authn.Error{Code: authn.PolicyForbids, Key: "error.no_address"}
		}
	case authn.SMS:
		if err := s.reaches(ctx, a); err != nil {
			return nil, err
		}
	case authn.Duo:
		name, err := authn.CleanName("username", a.Args["username"], 100)
		if err != nil {
			return nil, err
		}
		ask.User.Login, ask.User.Email = name, ""
	}
	var err error
	if _, own := m.(authn.PerCompany); own && s.c.Settings != nil {
		if ask.Settings, err = s.c.Settings(ctx, a.company.ID, kind); err != nil {
			return nil, fmt.Errorf("directory: prepare: %w", err)
		}
	}
	shown, err := m.Begin(ctx, ask)
	if err != nil {
		return nil, fmt.Errorf("directory: prepare: %w", err)
	}
	return s.begin(a, kind, shown, PreparedLives), nil
}

// reaches refuses a number that no code would be sent to.
func (s *Service) reaches(ctx context.Context, a asked) error {
	p := Phone{Typed: a.Args["phone"], Home: a.Args["country"]}
	if s.c.Countries != nil {
		var err error
		if p.Countries, err = s.c.Countries(ctx, a.company.ID); err != nil {
			return fmt.Errorf("directory: prepare: %w", err)
		}
	}
	_, err := p.read()
	return err
}

// begin makes a pending way of somebody else. What is confirmed where it was begun
// belongs to that sign-in.
func (s *Service) begin(a asked, kind authn.Kind, shown authn.Shown, lives time.Duration) change {
	return func(rows *authn.Rows, u *authn.User, now time.Time) (Done, error) {
		if err := s.twoFactor(*rows.Company, *u, kind); err != nil {
			return Done{}, err
		}
		f := authn.Factor{Company: u.Company, ID: authn.NewID(authn.FactorID, now, s.c.Random), User: u.ID, Kind: kind, State: authn.Pending,
			Data: shown.Data, Epoch: u.Epoch, SetBy: actorOf(a.who, rows), CreatedAt: now, ExpiresAt: now.Add(lives)}
		if f.HandedOver() {
			f.Attempt = rows.By.Session.Attempt
		}
		a.out.Factor = &f
		return Done{Detail: f.Detail(), Writes: []authn.Write{authn.NewFactor{Factor: f, Secret: shown.Secret, Subject: shown.Subject}}}, nil
	}
}

// planInvite gives the person a new link that sets their password; the one before
// it dies. It goes by mail; only the operator may be shown it, since whoever has
// it has the password.
func planInvite(_ context.Context, s *Service, a asked) (change, error) {
	shown := a.Args["shown"] != ""
	switch {
	case shown && !a.who.Actor.Operator:
		return nil, authn.Forbidden
	case a.user.API:
		return nil, &authn.Error{Code: authn.Conflict, Key: "error.api_account"}
	case a.user.ExternalID != "":
		return nil, authn.HostPassword()
	case !shown && a.user.Email == "":
		return nil, authn.InvalidField("email", "required", nil)
	case !a.who.Actor.Operator && a.user.Status != authn.Active:
		return nil, &authn.Error{Code: authn.PolicyForbids, Key: "error.user_suspended"}
	}
	return func(rows *authn.Rows, u *authn.User, now time.Time) (Done, error) {
		after := *u
		after.Epoch++ // as the act leaves it
		g, writes := s.link(*rows.Company, after, authn.InvitationLink, !shown, now)
		a.out.Link, a.out.ExpiresAt = g.Token, g.ExpiresAt
		return Done{Detail: map[string]string{"until": g.ExpiresAt.UTC().Format(time.RFC3339)}, Writes: writes}, nil
	}, nil
}

// MaxExemption is the longest that policy can be lifted for a person at a time.
const MaxExemption = 90 * 24 * time.Hour

func planExempt(_ context.Context, s *Service, a asked) (change, error) {
	until, err := time.Parse(time.RFC3339, a.Args["until"])
	if err != nil {
		return nil, authn.InvalidField("until", "invalid", nil)
	}
	if now := s.c.Now(); !until.After(now) || until.After(now.Add(MaxExemption)) {
		return nil, authn.InvalidField("until", "exemption", map[string]any{"Days": int(MaxExemption.Hours() / 24)})
	}
	if a.Reason == "" {
		return nil, authn.InvalidField("reason", "required", nil)
	}
	return func(rows *authn.Rows, u *authn.User, now time.Time) (Done, error) {
		doc, err := policy.Current(*rows.Company, now)
		switch {
		case err != nil:
			return Done{}, fmt.Errorf("directory: %w", err)
		case doc.CompanyWideOnly:
			return Done{}, &authn.Error{Code: authn.PolicyForbids, Key: "error.company_wide_only"}
		}
		u.ExemptUntil, u.ExemptReason, u.ExemptBy = until.UTC().Truncate(time.Second), a.Reason, actorOf(a.who, rows)
		return Done{Detail: map[string]string{"until": u.ExemptUntil.Format(time.RFC3339)}}, nil
	}, nil
}
