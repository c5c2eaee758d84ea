package directory

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// This file says whether what somebody proved for an application still counts: to a
// program that shows the token of a grant, and to a page of the host program. Both
// ask the same of it (cve-52): the person and their sign-in as they are now, the
// epoch, the action, the request, the age, the strength, and that it was not used.

// Redeem is what a program says of the grant that it was given.
type Redeem struct {
	Token       string
	Action      string        // must be that of the grant
	RequestHash string        // must be that of the grant; empty: the grant has none either
	User        string        // id; empty: whoever the grant is of
	MaxAge      time.Duration // of the proof; 0: as long as the grant lives
	ACR         string        // the least; empty: any
}

// Redeemed is a grant that was used just now.
type Redeemed struct {
	Grant   authn.Grant
	User    authn.User
	Session authn.Session // as it is now
}

// RedeemGrant uses a grant, once. A token that is not of the company of w, or not
// known there, is not found. A refusal leaves the grant as it is.
//
// Errors: those of Act; NotFound, Conflict (error.grant_used), Expired
// (error.grant_over: too old, or the person's sign-in ended or their account
// changed), StepUpRequired (older or weaker than asked), Invalid (fields action,
// request_hash, user, acr, max_age).
func (s *Service) RedeemGrant(ctx context.Context, w Who, r Redeem) (Redeemed, error) {
	t, ok := authn.ParseToken(authn.GrantToken, r.Token)
	switch {
	case !ok || t.Company != w.Company:
		return Redeemed{}, authn.NotFound
	case !authn.GoodAction(r.Action):
		return Redeemed{}, authn.InvalidField("action", "action_name", nil)
	case r.RequestHash != "" && !authn.GoodRequestHash(r.RequestHash):
		return Redeemed{}, authn.InvalidField("request_hash", "request_hash", nil)
	case r.ACR != "" && r.ACR != authn.AAL1 && r.ACR != authn.AAL2:
		return Redeemed{}, authn.InvalidField("acr", "not_one_of", nil)
	case r.MaxAge < 0 || r.MaxAge > 24*time.Hour:
		return Redeemed{}, authn.InvalidField("max_age", "out_of_range", nil)
	}
	var out Redeemed
	var bad unused
	a := Act{Type: "grant.redeemed", Permission: GrantsRedeem, grant: t}
	err := s.act(ctx, w, a, func(rows *authn.Rows, now time.Time) authn.Verdict {
		bad = unused{}
		if rows.Grant == nil {
			return authn.Drop(authn.NotFound)
		}
		reason, err := r.fits(rows, now)
		if err != nil {
			bad = unused{*rows, "grant.refused", map[string]string{"action": r.Action, "grant": rows.Grant.ID, "why": reason}}
			return authn.Drop(err)
		}
		out = Redeemed{Grant: *rows.Grant, User: *rows.User, Session: *rows.Session}
		detail := map[string]string{"action": r.Action, "grant": rows.Grant.ID, "acr": rows.Grant.ACR}
		return authn.Accept(s.actEvent(w, rows, a, now, authn.Succeeded, detail), authn.SpendGrant{})
	})
	if err != nil {
		s.noteUnused(ctx, w, a, "grant", &bad, err)
		return Redeemed{}, err
	}
	return out, nil
}

// fits says why a grant is not what the program asks for; the word is for the log.
func (r Redeem) fits(rows *authn.Rows, now time.Time) (string, error) {
	g := rows.Grant
	over := &authn.Error{Code: authn.Expired, Key: "error.grant_over"}
	switch {
	case g.Kind != authn.OnlineGrant:
		return "kind", authn.NotFound
	case !g.UsedAt.IsZero():
		return "used", &authn.Error{Code: authn.Conflict, Key: "error.grant_used"}
	case !now.Before(g.ExpiresAt):
		return "expired", over
	case rows.User == nil || g.Epoch != rows.User.Epoch || policy.CheckSession(rows, now) != nil:
		return "session", over
	case g.Action != r.Action:
		return "action", authn.InvalidField("action", "grant_other", nil)
	case g.RequestHash != r.RequestHash:
		return "request", authn.InvalidField("request_hash", "grant_other", nil)
	case r.User != "" && r.User != g.User:
		return "user", authn.InvalidField("user", "grant_other", nil)
	case r.MaxAge > 0 && now.Sub(g.MadeAt) >= r.MaxAge:
		return "age", &authn.Error{Code: authn.StepUpRequired, MaxAge: r.MaxAge, ACRValues: r.ACR}
	case r.ACR == authn.AAL2 && g.ACR != authn.AAL2:
		return "acr", &authn.Error{Code: authn.StepUpRequired, MaxAge: r.MaxAge, ACRValues: r.ACR}
	}
	return "", nil
}

// unused is why a decision did not use the grant or the handle that it was about.
type unused struct {
	rows   authn.Rows
	typ    string // of the event; empty: there is none
	detail map[string]string
}

// noteUnused records it, where there are not too many; what is the word that the rest
// is counted under.
func (s *Service) noteUnused(ctx context.Context, w Who, a Act, what string, bad *unused, err error) {
	// After Busy the decision may still be running: what it left is not read then.
	if code := authn.AsError(err).Code; code == authn.Busy || code == authn.Internal || bad.typ == "" {
		return
	}
	if now := s.c.Now(); s.keys.list(w.Company, now) {
		a.Type = bad.typ
		ev := s.actEvent(w, &bad.rows, a, now, authn.Refused, bad.detail)
		if s.c.Store.Decide(ctx, authn.Keys{Company: w.Company, Now: now}, func(*authn.Rows) authn.Verdict { return authn.Accept(ev) }) == nil {
			return
		}
	}
	s.keys.add(w.Company, what, 1)
}

// Proof is what a page of the host program asks of whoever opens it.
type Proof struct {
	// Action that it must have been made for; empty: any recent proof will do.
	Action string
	// MaxAge of the proof; 0, or longer than the company's policy says: as that says.
	MaxAge time.Duration
	// Use the proof up; with Action only. Otherwise one that was used counts too.
	Use bool
}

// Proved says whether the person of a session proved themselves as p asks. A key or
// an API account has no session, and never does (ruling 21).
//
// Errors: Unauthenticated, StepUpRequired, PolicyForbids (error.probation), Busy.
func (s *Service) Proved(ctx context.Context, t authn.Token, c authn.Client, p Proof) error {
	now := s.c.Now()
	k := authn.Keys{Company: t.Company, SessionToken: t, Browser: c.Browser, GrantFor: p.Action, Now: now}
	if p.Action == "" || !p.Use {
		rows, err := s.c.Store.View(ctx, k)
		if err != nil {
			return fmt.Errorf("directory: proof: %w", err)
		}
		return s.proved(&rows, p, now)
	}
	err := s.c.Store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if err := s.proved(rows, p, now); err != nil {
			return authn.Drop(err)
		}
		ev := s.actEvent(Who{Company: t.Company, Client: c}, rows, Act{Type: "grant.used"}, now, authn.Succeeded,
			map[string]string{"action": p.Action, "grant": rows.Grant.ID, "acr": rows.Grant.ACR})
		ev.Actor = rows.User.ID
		return authn.Accept(ev, authn.SpendGrant{})
	})
	if err != nil {
		return fmt.Errorf("directory: proof: %w", err)
	}
	return nil
}

func (s *Service) proved(rows *authn.Rows, p Proof, now time.Time) error {
	if err := policy.CheckSession(rows, now); err != nil {
		return err
	}
	doc, err := policy.Current(*rows.Company, now)
	if err != nil {
		return err
	}
	age := doc.Lifetimes(s.life).StepUpAge
	if p.MaxAge > 0 {
		age = min(age, p.MaxAge)
	}
	if p.Action == "" {
		return Recent(rows, age, now)
	}
	if err := probation(rows, now); err != nil {
		return err
	}
	least := authn.AAL1
	if holdsOwn(rows) {
		least = authn.AAL2
	}
	g := rows.Grant
	if g == nil || g.Epoch != rows.User.Epoch || g.SignIn != rows.Session.Attempt || p.Use && !g.UsedAt.IsZero() || !now.Before(g.ExpiresAt) ||
		now.Sub(g.MadeAt) >= age || least == authn.AAL2 && g.ACR != rows.Session.ACR {
		return &authn.Error{Code: authn.StepUpRequired, MaxAge: age, ACRValues: least}
	}
	return nil
}
