package signin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// PasskeyAsk is the question of a whole sign-in by a passkey.
type PasskeyAsk struct {
	// Options are PublicKeyCredentialRequestOptionsJSON (WebAuthn Level 3 section 5.1.9).
	Options   []byte
	ExpiresAt time.Time
}

// ByPasskey is a whole sign-in by a passkey: the device says who it is.
type ByPasskey struct {
	Company    string // slug; empty: the only company of the server
	Credential []byte // AuthenticationResponseJSON
	ReturnTo   string // as in Begin
	Client     authn.Client
}

// Passkeys asks whatever passkey the person's device has for us. Nobody is named and no
// credential is listed, so that it tells nothing of anybody.
//
// Errors: NotFound (company), PolicyForbids (not offered there), TooManyRequests, Busy
// (with RetryAfter: too many ask).
func (s *Service) Passkeys(ctx context.Context, company string, c authn.Client) (PasskeyAsk, error) {
	m, ok := s.methods[authn.WebAuthn].(authn.Ceremony)
	if !ok {
		return PasskeyAsk{}, notOffered()
	}
	if err := s.clock(); err != nil {
		return PasskeyAsk{}, err
	}
	if s.store.LowSpace() {
		return PasskeyAsk{}, &authn.Error{Code: authn.Busy, RetryAfter: 30 * time.Second}
	}
	if s.meter != nil {
		// Every page of sign-in asks; what costs something is limited where it is answered.
		if err := s.meter.Allow(c.Address); err != nil {
			return PasskeyAsk{}, err
		}
	}
	in, err := s.store.CompanyBySlug(ctx, company)
	if err != nil {
		return PasskeyAsk{}, fmt.Errorf("signin: company: %w", err)
	}
	now := s.now()
	doc, err := policy.Current(in, now)
	if err != nil {
		return PasskeyAsk{}, fmt.Errorf("signin: %w", err)
	}
	if doc.TwoFactor == policy.Off || !doc.Offers(authn.WebAuthn) {
		return PasskeyAsk{}, notOffered()
	}
	q, err := m.Get(authn.Request{Company: in, Client: c, Now: now.Unix()}, nil)
	if err != nil {
		return PasskeyAsk{}, fmt.Errorf("signin: passkeys: %w", err)
	}
	ask := authn.Ask{Challenge: m.Asked(q.Kept), Kept: q.Kept, CreatedAt: now, ExpiresAt: now.Add(authn.CeremonyLives)}
	err = s.store.Decide(ctx, authn.Keys{Company: in.ID, Browser: c.Browser, Now: now}, func(*authn.Rows) authn.Verdict {
		return authn.Continue(authn.NewAsk{Ask: ask})
	})
	if err != nil {
		return PasskeyAsk{}, fmt.Errorf("signin: passkeys: %w", err)
	}
	return PasskeyAsk{q.Options, ask.ExpiresAt}, nil
}

func notOffered() error {
	return &authn.Error{Code: authn.PolicyForbids, Key: "error.method_not_offered"}
}

// ErrUnknownPasskey is wrapped by the refusal of a passkey that nobody here has, beside
// those of people who may not sign in: a browser can forget it.
var ErrUnknownPasskey = errors.New("signin: nobody has this passkey")

// unknownPasskey is one answer for all that leads to nobody who may sign in by it.
func unknownPasskey() error {
	return &authn.Error{Code: authn.Invalid, Fields: []authn.Field{{Name: "credential", Code: "unknown", Key: "field.unknown_passkey"}}}
}

// BeginByPasskey signs in by an answer to Passkeys. The device made sure who holds it, so
// that no password is asked for; policy may ask for another proof.
//
// Errors: Invalid (field credential: it cannot be read, or is nobody's here), Expired
// (answered already, too late, or asked by another browser), WrongCode, PolicyForbids (not
// offered; or the passkey seems to be copied), Paused, Locked, TooManyRequests, Busy,
// ProviderUnavailable (the host program's users), NotFound (company).
func (s *Service) BeginByPasskey(ctx context.Context, b ByPasskey) (Status, error) {
	m, ok := s.methods[authn.WebAuthn].(authn.Ceremony)
	if !ok {
		return Status{}, notOffered()
	}
	a := authn.Answer{Credential: b.Credential}
	if err := m.Shape(a); err != nil {
		return Status{}, err
	}
	credential, challenge, err := m.Answered(a)
	if err != nil {
		return Status{}, err
	}
	if err := s.clock(); err != nil {
		return Status{}, err
	}
	company, err := s.store.CompanyBySlug(ctx, b.Company)
	if err != nil {
		return Status{}, fmt.Errorf("signin: company: %w", err)
	}
	k := authn.Keys{Company: company.ID, Credential: credential, Browser: b.Client.Browser}
	if err := s.admitStranger(ctx, k, b.Client); err != nil {
		return Status{}, err
	}
	r, err := s.payPasskey(ctx, k, challenge, m, b.Client)
	if err != nil {
		return Status{}, err
	}
	match, err := m.Verify(ctx, r, a)
	if err == nil && match.Outcome == authn.Right {
		if err = s.Present(ctx, r.Company, r.User); errors.Is(err, authn.Unauthenticated) {
			err = unknownPasskey()
		}
	}
	k.Factor, k.Charge = r.Factor.ID, authn.SettleFactor
	if err != nil { // not evaluated, so not a guess; the person may have gone
		k.Now = s.now()
		_ = s.store.Decide(context.WithoutCancel(ctx), k, func(rows *authn.Rows) authn.Verdict {
			return authn.Continue(policy.LockoutOf(rows, k.Now).GiveBack(rows.Charged))
		})
		return Status{}, fmt.Errorf("signin: passkey: %w", err)
	}
	return s.enterByPasskey(ctx, k, r, m, match, b)
}

// payPasskey uses the question up and charges for the answer.
func (s *Service) payPasskey(ctx context.Context, k authn.Keys, challenge []byte, m authn.Ceremony, c authn.Client) (authn.Request, error) {
	k.Now, k.Charge, k.Ask = s.now(), authn.GuessFactor, challenge
	k.Choose = func(rows *authn.Rows) (string, error) {
		if rows.Ask == nil {
			return "", &authn.Error{Code: authn.Expired, Key: "error.passkey_expired"}
		}
		return s.passkeyOf(rows, m, k.Credential, k.Now)
	}
	var r authn.Request
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if !rows.Charged.Paid {
			return authn.Drop(policy.Unpaid(rows.Charged, k.Now), authn.SpendAsk{})
		}
		r = authn.Request{Company: *rows.Company, User: *rows.User, Factor: *rows.Charged.Factor, Secret: rows.Charged.Secret, Client: c, Lane: rows.Lane, Now: k.Now.Unix(),
			Challenges: []authn.Challenge{{Kind: authn.WebAuthn, Detail: rows.Ask.Kept}}}
		return authn.Continue(authn.SpendAsk{}, authn.Settle{Outcome: authn.Wrong, PausedUntil: policy.LockoutOf(rows, k.Now).PausedUntil(k.Now, rows.Charged.Count.Tries)})
	})
	if err != nil {
		s.refusals.add(k.Company, authn.AsError(err).Code)
		return r, fmt.Errorf("signin: passkey: %w", err)
	}
	return r, nil
}

// passkeyOf is the factor that has the credential, where its person may sign in by it.
func (s *Service) passkeyOf(rows *authn.Rows, m authn.Ceremony, credential []byte, now time.Time) (string, error) {
	if rows.User == nil {
		return "", fmt.Errorf("%w: %w", ErrUnknownPasskey, unknownPasskey())
	}
	if u := rows.User; u.Status != authn.Active || u.API {
		return "", unknownPasskey()
	}
	doc, err := policy.Current(*rows.Company, now)
	if err != nil {
		return "", fmt.Errorf("signin: %w", err)
	}
	for _, f := range policy.Second(doc, *rows.User, rows.Factors, authn.TraitsFor(s.methods, *rows.Company)) {
		if m.Holds(f, credential) {
			return f.ID, nil
		}
	}
	if doc.TwoFactor == policy.Off || !doc.Offers(authn.WebAuthn) {
		return "", notOffered()
	}
	if err := notTaken(rows, doc, m, credential); err != nil {
		return "", err
	}
	if slices.ContainsFunc(rows.Factors, func(f authn.Factor) bool { return m.Holds(f, credential) }) {
		return "", notOffered() // it is theirs, and sleeps or has to be confirmed again
	}
	return "", unknownPasskey()
}

// notTaken refuses a passkey of the person that does not meet the company's rules for
// them; nil: it is none. The id of a credential is random: only who has it knows one.
func notTaken(rows *authn.Rows, doc policy.Document, m authn.Ceremony, credential []byte) error {
	if doc.Sleeps(*rows.User) {
		return nil
	}
	for _, f := range rows.Factors {
		if rule := doc.Unmet(f); rule != "" && f.State == authn.Confirmed && m.Holds(f, credential) {
			return policy.NotTakenError(rule)
		}
	}
	return nil
}

// enterByPasskey is the second half.
func (s *Service) enterByPasskey(ctx context.Context, k authn.Keys, r authn.Request, m authn.Ceremony, match authn.Match, b ByPasskey) (Status, error) {
	k.Now = s.now()
	var st Status
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		st = Status{}
		f := rows.Charged.Factor
		if rows.User == nil || f == nil || rows.User.ID != r.User.ID || rows.User.Epoch != r.User.Epoch {
			return authn.Drop(authn.Conflict)
		}
		match := inOrder(*f, match)
		detail := f.Detail()
		if refusal := copied(rows, match, k.Now); refusal != nil {
			detail["reason"] = "counter_back"
			return s.noted(authn.Refuse(refusal, s.event("sign_in.refused", authn.Refused, rows, b.Client, k.Now, detail)), rows, b.Client, k.Now, *f, match)
		}
		if match.Outcome != authn.Right {
			refusal := policy.LockoutOf(rows, k.Now).WrongCode(rows.Charged, k.Now)
			refusal.Key = "error.passkey_refused"
			tries := rows.Charged.Count.Tries
			detail["reason"], detail["tries"] = "wrong_code", strconv.Itoa(tries)
			ev := s.event("sign_in.refused", authn.Refused, rows, b.Client, k.Now, detail)
			ev.Actor = ""
			v := authn.Refuse(refusal, ev)
			if tries >= policy.Share(rows.Lane) {
				v = v.And(s.locked(rows, rows.Lane, b.Client, k.Now))
			}
			return v
		}
		writes := append([]authn.Write{authn.Settle{Outcome: authn.Right, Step: match.Step}}, changed(rows, *f, match)...)
		// The policy may have changed since, or what this answer says of the passkey.
		if _, err := s.passkeyOf(rows, m, k.Credential, k.Now); err != nil {
			detail["reason"] = "not_taken"
			return s.noted(authn.Refuse(err, s.event("sign_in.refused", authn.Refused, rows, b.Client, k.Now, detail), writes...), rows, b.Client, k.Now, *f, match)
		}
		v := s.admit(rows, proofOf(m, *f, match, k.Now), Begin{Company: b.Company, ReturnTo: b.ReturnTo, Client: b.Client}, writes, k.Now, &st)
		return s.noted(v, rows, b.Client, k.Now, *f, match)
	})
	if err != nil {
		return Status{}, fmt.Errorf("signin: passkey: %w", err)
	}
	return st, nil
}

// question asks the person's device for a proof by any of the passkeys that the attempt
// offers, in place of what was asked before.
func (s *Service) question(rows *authn.Rows, m authn.Ceremony, now time.Time, st *Status, out *Sent) authn.Verdict {
	own := []authn.Factor{}
	for _, o := range st.Need.Offers {
		if f := rows.Factor(o.Factor); o.Kind == m.Kind() && o.Usable() && f != nil {
			own = append(own, *f)
		}
	}
	q, err := m.Get(authn.Request{Company: *rows.Company, User: *rows.User, Attempt: rows.Attempt, Now: now.Unix()}, own)
	if err != nil {
		return authn.Drop(fmt.Errorf("signin: %w", err))
	}
	ch := authn.Challenge{Company: rows.Company.ID, ID: authn.NewID(authn.MessageID, now, s.random), User: rows.User.ID, Attempt: rows.Attempt.ID, Kind: m.Kind(),
		Purpose: authn.CodeSignIn, Lane: rows.Lane, Detail: q.Kept, CreatedAt: now, ExpiresAt: now.Add(authn.CeremonyLives)}
	if rows.Attempt.Purpose == authn.StepUp {
		ch.Purpose = authn.CodeStepUp
	}
	out.Options, out.ExpiresAt = q.Options, ch.ExpiresAt
	return authn.Continue(authn.NewChallenge{Challenge: ch})
}

// answers finds the factor that an answer is from. Nothing is charged for what answers
// no question that is still open, nor for a credential that is not the person's.
func answers(rows *authn.Rows, doc policy.Document, m authn.Ceremony, v Verify) (string, error) {
	credential, challenge, err := m.Answered(v.Answer)
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(rows.Challenges, func(c authn.Challenge) bool {
		return c.Kind == m.Kind() && c.Factor == "" && bytes.Equal(m.Asked(c.Detail), challenge)
	}) {
		return "", &authn.Error{Code: authn.Expired, Key: "error.passkey_expired"}
	}
	for _, f := range rows.Factors {
		if m.Holds(f, credential) && (v.Factor == "" || v.Factor == f.ID) {
			return f.ID, notTaken(rows, doc, m, credential)
		}
	}
	return "", unknownPasskey()
}

// inOrder looks at the count of an answer that was checked before another one was
// settled: whichever comes second must be the later one.
func inOrder(f authn.Factor, match authn.Match) authn.Match {
	if f.Kind == authn.WebAuthn && match.Outcome == authn.Right && match.Step > 0 && match.Step <= f.LastStep {
		match.Step, match.Noted = 0, append(slices.Clip(match.Noted), counterBack)
	}
	return match
}

// counterBack is the event of a count of signatures that did not grow.
const counterBack = "passkey.counter_back"

// proofOf is what a right answer is.
func proofOf(m authn.Method, f authn.Factor, match authn.Match, now time.Time) authn.Proof {
	p := authn.Proof{Kind: m.Kind(), Factor: f.ID, Traits: m.Traits(), At: now, Step: match.Step, AMR: match.AMR}
	if match.Traits != nil {
		p.Traits = *match.Traits
	}
	return p
}

// changed writes what a right answer said anew of its factor, and holds it to that from now on.
func changed(rows *authn.Rows, f authn.Factor, match authn.Match) []authn.Write {
	if match.Data == nil {
		return nil
	}
	f.Data = match.Data
	if row := rows.Factor(f.ID); row != nil {
		row.Data = match.Data
	}
	return []authn.Write{authn.PutFactor{Factor: f}}
}

// copied refuses a right answer of what seems to be a copy, where the company wants that.
func copied(rows *authn.Rows, match authn.Match, now time.Time) error {
	if match.Outcome != authn.Right || !slices.Contains(match.Noted, counterBack) {
		return nil
	}
	if doc, err := policy.Current(*rows.Company, now); err == nil && !doc.BlocksCopied() {
		return nil
	}
	return &authn.Error{Code: authn.PolicyForbids, Key: "error.passkey_copied"}
}

// noted adds the events of what a right answer showed besides.
func (s *Service) noted(v authn.Verdict, rows *authn.Rows, c authn.Client, now time.Time, f authn.Factor, match authn.Match) authn.Verdict {
	for _, typ := range match.Noted {
		v = v.And(s.event(typ, authn.Succeeded, rows, c, now, f.Detail()))
	}
	return v
}
