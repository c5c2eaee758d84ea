package signin

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/grant"
	"github.com/sallyport-mfa/sallyport/policy"
)

// This file is what a step-up for an application comes to: a grant, bound to the
// person, the sign-in, their epoch, the strength of what they showed, one action
// and, where the application says so, one request (cve-52). It is made in the
// transaction that completes the attempt, and only there.

// For is what an application asks somebody to prove themselves for.
type For struct {
	Action string // a registered one
	// RequestHash binds the grant to one request: see authn.GoodRequestHash. Empty: to none.
	RequestHash string
	// MaxAge shortens how long the grant is good; 0: authn.GrantKind.Lives.
	MaxAge time.Duration
	Kind   authn.GrantKind // empty: OnlineGrant
	// ReturnTo is a path that the caller has checked; or authn.Return.String, and then
	// the grant is a handle for the key that has the address, whatever Kind says.
	ReturnTo string
}

// Issued is the grant that a completed step-up gave.
type Issued struct {
	authn.Grant
	// Token is the secret of an OnlineGrant, or all of a SignedGrant; in no other answer.
	Token string
}

// StepUpFor is StepUp for an application: completing it gives, beside the session,
// one grant (Status.Grant). The acts of Sallyport itself give none.
//
// Errors: those of StepUp; Invalid (fields action, request_hash, max_age, grant, return_to).
func (s *Service) StepUpFor(ctx context.Context, session authn.Token, f For, c authn.Client) (Status, error) {
	if _, ok := authn.ParseReturn(f.ReturnTo); ok {
		f.Kind = authn.ReturnGrant
	}
	if slices.Contains(s.ownActs, f.Action) && f.RequestHash == "" && f.MaxAge == 0 && f.Kind == "" {
		return s.StepUp(ctx, session, f.Action, f.ReturnTo, c)
	}
	if f.Kind == "" {
		f.Kind = authn.OnlineGrant
	}
	switch {
	case !authn.GoodAction(f.Action):
		return Status{}, authn.InvalidField("action", "action_name", nil)
	case f.RequestHash != "" && !authn.GoodRequestHash(f.RequestHash):
		return Status{}, authn.InvalidField("request_hash", "request_hash", nil)
	case f.MaxAge < 0 || f.MaxAge > 24*time.Hour:
		return Status{}, authn.InvalidField("max_age", "out_of_range", nil)
	case f.Kind != authn.OnlineGrant && f.Kind != authn.SignedGrant && f.Kind != authn.PageGrant && f.Kind != authn.ReturnGrant:
		return Status{}, authn.InvalidField("grant", "not_one_of", nil)
	}
	return s.stepUp(ctx, session, f, nil, true, c)
}

// Action is an action that people of a company can be asked to confirm: the host
// program's, or one that the company registered.
//
// Errors: NotFound, Busy.
func (s *Service) Action(ctx context.Context, company, name string) (authn.Action, error) {
	if !authn.GoodAction(name) {
		return authn.Action{}, authn.NotFound
	}
	rows, err := s.store.View(ctx, authn.Keys{Company: company, Action: name, Now: s.now()})
	if err != nil {
		return authn.Action{}, fmt.Errorf("signin: action: %w", err)
	}
	a, ok := s.actionOf(&rows, name)
	if !ok {
		return authn.Action{}, authn.NotFound
	}
	return a, nil
}

// actionOf prefers the host program's: a company changes no text of those.
func (s *Service) actionOf(rows *authn.Rows, name string) (authn.Action, bool) {
	for _, a := range s.actions {
		if a.Name == name {
			return a, true
		}
	}
	if rows.Action == nil {
		return authn.Action{}, false
	}
	return *rows.Action, true
}

// wants is what the attempt carries of f; the title is said in the language that
// the person reads.
func (s *Service) wants(rows *authn.Rows, f For, c authn.Client) (*authn.GrantAsked, error) {
	a, ok := s.actionOf(rows, f.Action)
	if !ok {
		return nil, authn.InvalidField("action", "not_registered", nil)
	}
	if f.Kind == authn.ReturnGrant && rows.Return == nil {
		return nil, authn.InvalidField("return_to", "unknown_address", nil)
	}
	lives := f.Kind.Lives()
	if f.MaxAge > 0 {
		lives = min(lives, f.MaxAge)
	}
	lang := rows.User.Locale
	if lang == "" {
		lang = c.Locale
	}
	w := &authn.GrantAsked{Kind: f.Kind, Title: a.In(lang), RequestHash: f.RequestHash, Lives: lives}
	if f.Kind == authn.SignedGrant {
		if w.Audience = a.Audience; w.Audience == "" || s.issuer == "" {
			return nil, authn.InvalidField("grant", "no_audience", nil)
		}
	}
	return w, nil
}

// grantFor adds the grant to the verdict that completes a step-up.
func (s *Service) grantFor(rows *authn.Rows, need policy.Need, sess authn.Session, c authn.Client, now time.Time, st *Status, v authn.Verdict) authn.Verdict {
	a, w := rows.Attempt, rows.Attempt.Wants
	g := authn.Grant{
		Company: a.Company, ID: authn.NewID(authn.GrantID, now, s.random), User: a.User, SignIn: sess.Attempt, Kind: w.Kind, Action: a.Action,
		RequestHash: w.RequestHash, ACR: authn.AAL1, AMR: need.AMR, Epoch: sess.Epoch, MadeAt: now, ExpiresAt: now.Add(w.Lives),
	}
	if sess.ACR == authn.AAL2 && !sess.FactorTime.Before(a.CreatedAt) {
		g.ACR = authn.AAL2 // this proof, not an earlier one of the session (cve-52)
	}
	if w.Kind == authn.ReturnGrant {
		return s.handOver(rows, authn.Handle{Kind: authn.StepUpHandle, SignIn: g.SignIn, Action: g.Action, RequestHash: g.RequestHash, ACR: g.ACR, AMR: g.AMR,
			AuthTime: now, Epoch: g.Epoch, ExpiresAt: g.ExpiresAt}, a.ReturnTo, c, now, st, v)
	}
	st.Grant = &Issued{Grant: g}
	v = v.And(s.event("grant.issued", authn.Succeeded, rows, c, now, map[string]string{"action": g.Action, "grant": g.ID, "acr": g.ACR, "how": string(g.Kind)}))
	if w.Kind == authn.SignedGrant {
		signed, err := s.sign(rows, g, sess, w.Audience)
		if err != nil {
			return authn.Drop(err)
		}
		st.Grant.Token = signed
		return v
	}
	token := authn.NewToken(authn.GrantToken, g.Company, g.ID, s.random)
	if w.Kind == authn.OnlineGrant {
		st.Grant.Token = token.Reveal()
	}
	return v.With(authn.NewGrant{Grant: g, Token: token})
}

// sign takes about 50 µs, so that it may stand inside a decision: nothing can fail
// once the old session is gone.
func (s *Service) sign(rows *authn.Rows, g authn.Grant, sess authn.Session, audience string) (string, error) {
	if rows.GrantKey == nil {
		return "", &authn.Error{Code: authn.Internal}
	}
	signed, err := grant.Sign(ed25519.NewKeyFromSeed(rows.GrantKey.Seed[:]), rows.GrantKey.ID, grant.Claims{
		Issuer: s.issuer + g.Company, Audience: audience, Subject: g.User, Session: sess.ID, Action: g.Action, ACR: g.ACR, AMR: g.AMR,
		AuthTime: g.MadeAt.Unix(), IssuedAt: g.MadeAt.Unix(), ExpiresAt: g.ExpiresAt.Unix(), ID: g.ID, RequestHash: g.RequestHash,
	})
	if err != nil {
		return "", fmt.Errorf("signin: sign: %w", err)
	}
	return signed, nil
}
