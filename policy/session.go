package policy

import (
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// CheckSession says whether the session in rows is good at now: it exists, is
// neither over nor idle too long, its person may sign in, nothing that ends
// sessions happened since (ruling 3), and it showed what the policy of now asks
// of the person (cve-53). The answer is the same for each reason, because the
// holder of a dead token has no right to know which.
func CheckSession(rows *authn.Rows, now time.Time) error {
	s, u := rows.Session, rows.User
	switch {
	case s == nil || u == nil || rows.Company == nil,
		u.Status != authn.Active,
		s.Epoch != u.Epoch,
		!now.Before(s.ExpiresAt),
		s.Idle > 0 && now.Sub(s.LastSeenAt) >= s.Idle:
		return authn.Unauthenticated
	}
	if s.ACR == authn.AAL2 {
		return nil
	}
	doc, err := Parse(rows.Company.Policy)
	if err != nil {
		return err
	}
	if len(Why(doc, *u, rows.Factors)) > 0 {
		return authn.Unauthenticated
	}
	return nil
}

// Fresh says whether the session's person proved themselves recently enough
// for a sensitive act: with a factor if they have one, else with the password
// (rulings 1 and 26). A password given at sign-in does not count for the
// latter: whoever took over an open session must not add a factor to it.
func Fresh(rows *authn.Rows, hasFactor bool, maxAge time.Duration, now time.Time) error {
	at, acr := rows.Session.FactorTime, authn.AAL2
	if !hasFactor {
		acr = authn.AAL1
		if rows.Session.ConfirmedAt.After(at) {
			at = rows.Session.ConfirmedAt
		}
	}
	if !at.IsZero() && now.Sub(at) < maxAge && !at.After(now.Add(time.Minute)) {
		return nil
	}
	return &authn.Error{Code: authn.StepUpRequired, MaxAge: maxAge, ACRValues: acr}
}
