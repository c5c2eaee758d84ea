package policy

import (
	"slices"
	"sync"
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
		u.API,
		s.Epoch != u.Epoch,
		!now.Before(s.ExpiresAt),
		s.Idle > 0 && now.Sub(s.LastSeenAt) >= s.Idle:
		return authn.Unauthenticated
	}
	doc, err := Current(*rows.Company, now)
	if err != nil {
		return err
	}
	if !enough(doc, rows, now) || doc.outlived(s, now) {
		return authn.Unauthenticated
	}
	return nil
}

// outlived reports whether the session is older, or idle for longer, than the
// policy of now lets any be: lifetimes that are shortened hold at once.
func (d Document) outlived(s *authn.Session, now time.Time) bool {
	l := d.Lifetimes(Lifetimes{})
	return l.Session > 0 && now.Sub(s.CreatedAt) >= l.Session || l.Idle > 0 && now.Sub(s.LastSeenAt) >= l.Idle
}

// documents are the policies that sessions were checked against lately; reading
// one costs more than the rest of the check.
var documents struct {
	sync.RWMutex
	m map[string]Document
}

const maxDocuments = 256

func parsed(raw []byte) (Document, error) {
	documents.RLock()
	doc, ok := documents.m[string(raw)]
	documents.RUnlock()
	if ok {
		return doc, nil
	}
	doc, err := Parse(raw)
	if err != nil {
		return doc, err
	}
	documents.Lock()
	defer documents.Unlock()
	if documents.m == nil || len(documents.m) >= maxDocuments {
		documents.m = map[string]Document{}
	}
	documents.m[string(raw)] = doc
	return doc, nil
}

// enough reports whether the session showed what policy asks of the person now.
func enough(d Document, rows *authn.Rows, now time.Time) bool {
	s, u := rows.Session, *rows.User
	if len(Why(d, u, rows.Factors)) == 0 {
		return true
	}
	shown := map[string]bool{}
	for _, m := range s.AMR {
		shown[m] = true
	}
	bound := shown["hwk"] || shown["swk"] && !d.passkeys().DeviceBound
	had := shown["otp"] || shown["sms"] || shown["pop"] || shown["tel"] || bound
	grace := !d.GraceUntil(u, now).IsZero()
	if d.Proofs(u) > 1 && !shown["mfa"] && !grace {
		return false
	}
	switch d.Minimum(u) {
	case PhishingResistant:
		return bound
	case OwnPossession:
		return had
	}
	if had || shown[AMRTrusted] && d.Trusts(u) > 0 {
		return true
	}
	// A code to a contact is enough for those of whom no way of their own is
	// asked, for those who have one beside it, and while setting up is put off.
	beside := slices.ContainsFunc(rows.Factors, func(f authn.Factor) bool {
		return f.Kind.Own() && f.Kind != authn.Email && (f.State == authn.Confirmed || f.State == authn.Asleep)
	})
	return shown["mca"] && (!d.NeedsOwnWay(u) || beside || grace)
}

// Fresh says whether the session's person proved themselves recently enough
// for a sensitive act: with a factor if they have one, else with the password or
// a code to their contact (rulings 1 and 26). A password given at sign-in does not count for the
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
