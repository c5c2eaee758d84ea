package signin

import (
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// notTrusted is the answer where a browser is to be trusted and may not be.
func notTrusted() error {
	return &authn.Error{Code: authn.PolicyForbids, Key: "error.no_trusted_browsers"}
}

// recognised is what the token of a trusted browser came to.
type recognised struct {
	proof  *authn.Proof // nil: it stands in for nothing
	need   policy.Need  // with it
	writes []authn.Write
	token  authn.Token // the next one; zero: the one that was shown a moment before was replaced already
	ends   time.Time
	told   *authn.Event
}

// recognise asks whether the browser stands in for the second step. The password was
// right. A token that was used up before is a copy, whoever shows it: then neither
// copy is worth anything any more, and the person is told (cve-55).
func (s *Service) recognise(rows *authn.Rows, need policy.Need, c authn.Client, now time.Time) (recognised, error) {
	var r recognised
	t := rows.Trust
	if t == nil || need.State != authn.NeedFactor {
		return r, nil
	}
	doc, err := policy.Current(*rows.Company, now)
	if err != nil {
		return r, fmt.Errorf("signin: %w", err)
	}
	if !doc.TrustLives(*rows.Company, *rows.User, *t, now) {
		return r, nil
	}
	if t.Shown == authn.OldTrustToken || t.Shown == authn.PreviousTrustToken && now.Sub(t.RotatedAt) > policy.TrustGrace {
		ev := s.event("trusted_browser.reused", authn.Refused, rows, c, now, map[string]string{"browser": t.ID})
		ev.Actor = "" // one of two, and who is not known
		r.told, r.writes = &ev, []authn.Write{authn.EndTrust{ID: t.ID}}
		return r, nil
	}
	p := authn.Proof{Kind: authn.Trusted, Factor: t.Factor, At: now}
	with, err := s.next(rows, append(slices.Clone(rows.Attempt.Proofs), p), now)
	if err != nil || with.State != authn.Complete {
		return r, err
	}
	r.proof, r.need, r.ends = &p, with, policy.TrustEnds(doc, *rows.User, *t)
	if t.Shown == authn.CurrentTrustToken {
		used := *t
		used.UsedAt, used.RotatedAt, used.Agent = now, now, c.Agent
		r.token = rows.TrustToken.Next(s.random)
		r.writes = []authn.Write{authn.RotateTrust{Trust: used, Token: r.token}}
	}
	return r, nil
}

// trust makes the browser one that the person trusts, if v completes a sign-in by
// which it may be; ok says whether.
func (s *Service) trust(rows *authn.Rows, v authn.Verdict, c authn.Client, now time.Time, st *Status) (_ authn.Verdict, ok bool) {
	if v.Refusal() != nil || st.Session == nil || rows.Attempt.Purpose != authn.SignIn {
		return v, false
	}
	doc, err := policy.Current(*rows.Company, now)
	if err != nil {
		return v, false
	}
	factor := policy.Trustable(doc, *rows.User, rows.Factors, rows.Attempt.Proofs, now)
	if factor == "" {
		return v, false
	}
	t := authn.Trust{
		Company: rows.Company.ID, ID: authn.NewID(authn.TrustID, now, s.random), User: rows.User.ID, Epoch: rows.User.Epoch,
		PolicyVersion: rows.Company.PolicyVersion, Factor: factor, Agent: c.Agent,
		CreatedAt: now, UsedAt: now, RotatedAt: now, ExpiresAt: now.AddDate(0, 0, doc.Trusts(*rows.User)),
	}
	st.TrustToken, st.TrustEnds = authn.NewToken(authn.TrustToken, t.Company, t.ID, s.random), t.ExpiresAt
	for i, w := range v.Writes() {
		if n, is := w.(authn.NewSession); is {
			n.Session.Trust = t.ID
			v.Writes()[i] = n
		}
	}
	st.Session.Trust = t.ID
	v = v.With(authn.NewTrust{Trust: t, Token: st.TrustToken})
	return v.And(s.event("trusted_browser.added", authn.Succeeded, rows, c, now, map[string]string{"browser": t.ID})), true
}
