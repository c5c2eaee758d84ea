// Package policy decides which proofs a sign-in or a sensitive act still
// needs, and why. It holds pure functions: no clock, no store, no I/O.
//
// The rules, in the order in which they are asked:
//
//  1. Without a proof of knowledge nothing else is looked at.
//  2. Once a person has a factor, or policy demands one, the password alone is
//     never enough (requirement F2). A paused or locked factor still counts as
//     having one: guessing at it must not make a sign-in easier. So does one of
//     a kind that this server does not offer: a node that lacks a method must
//     not let in those who have it.
//  3. Who must have a factor and can use none is not let in on the password
//     (ruling 1).
//  4. A session that showed less than these rules ask is over (ruling 52).
//
// The level of the outcome ("acr") is computed from what was proven in this
// ceremony, never from what the person could have proven.
package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// TwoFactor is whether a company uses two-factor sign-in at all.
type TwoFactor string

// The settings of requirement G1 that exist in the first document.
const (
	Off      TwoFactor = "off"      // no method offered; enrolled factors sleep
	On       TwoFactor = "on"       // offered to everybody
	Required TwoFactor = "required" // demanded of everybody
)

// Document is a company's policy, format 1. It is stored as one versioned JSON
// document (ruling 52); an unknown field is refused rather than ignored, since
// an ignored rule is a hole.
type Document struct {
	Format    int       `json:"format"`
	TwoFactor TwoFactor `json:"two_factor"`
}

// Default is the policy of a new company.
func Default() Document { return Document{Format: 1, TwoFactor: On} }

// Parse reads a policy document strictly. The errors name the field.
func Parse(raw []byte) (Document, error) {
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.DisallowUnknownFields()
	var d Document
	if err := dec.Decode(&d); err != nil {
		return Document{}, fmt.Errorf("policy: %w", err)
	}
	if dec.More() {
		return Document{}, fmt.Errorf("policy: text after the document")
	}
	return d, d.check()
}

func (d Document) check() error {
	if d.Format != 1 {
		return fmt.Errorf("policy: format is %d; this program knows format 1", d.Format)
	}
	switch d.TwoFactor {
	case Off, On, Required:
		return nil
	}
	return fmt.Errorf(`policy: two_factor is %q; it must be "off", "on" or "required"`, d.TwoFactor)
}

// Encode writes the document as it is stored.
func (d Document) Encode() ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	return json.Marshal(d)
}

// Lifetimes says how long things last (ruling 45).
type Lifetimes struct {
	Attempt   time.Duration // sign-in or step-up, from its beginning; 0: 15 min
	Setup     time.Duration // a pending factor; 0: 30 min
	Session   time.Duration // 0: 24 h
	Idle      time.Duration // a session not seen; 0: 1 h
	StepUpAge time.Duration // how recent a proof must be for a sensitive act; 0: 10 min
}

// WithDefaults fills the zero fields.
func (l Lifetimes) WithDefaults() Lifetimes {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&l.Attempt, 15*time.Minute)
	set(&l.Setup, 30*time.Minute)
	set(&l.Session, 24*time.Hour)
	set(&l.Idle, time.Hour)
	set(&l.StepUpAge, 10*time.Minute)
	return l
}

// Need is what an attempt still needs.
type Need struct {
	State  authn.State
	Offers []Offer // with NeedFactor: at least one, usual one first
	Why    []Reason
	ACR    string   // with Complete
	AMR    []string // with Complete
}

// Offer is one way to go on.
type Offer struct {
	Kind        authn.Kind
	Factor      string
	Name        string
	Preferred   bool
	Locked      bool
	PausedUntil time.Time // zero, or later than now
}

// Reason is a rule that made a second factor necessary. Its text is the
// catalogue's "why." + Reason.
type Reason string

// The reasons.
const (
	CompanyRequires Reason = "company_requires"
	UserRequired    Reason = "user_required"
	HasFactor       Reason = "has_factor"
)

// Asked is all that Evaluate looks at.
type Asked struct {
	Document Document
	User     authn.User
	Factors  []authn.Factor
	Proofs   []authn.Proof
	Purpose  authn.Purpose
	Lane     authn.Lane
	Now      time.Time
	// Traits of a kind; false for one that this server does not offer.
	Traits func(authn.Kind) (authn.Traits, bool)
}

// Why says which rules make a second factor necessary for a person, strictest
// first; none means that the password is enough. Off outranks the person's own
// setting: where no method is offered, nothing can be demanded.
func Why(d Document, u authn.User, factors []authn.Factor) []Reason {
	if d.TwoFactor == Off {
		return nil
	}
	var why []Reason
	if d.TwoFactor == Required {
		why = append(why, CompanyRequires)
	}
	if u.RequireTwoFactor {
		why = append(why, UserRequired)
	}
	if slices.ContainsFunc(factors, func(f authn.Factor) bool { return f.State == authn.Confirmed && f.Kind != authn.Password }) {
		why = append(why, HasFactor)
	}
	return why
}

// Enrolled reports whether the person has a factor of their own that counts or
// sleeps, whatever the policy and whatever this server offers.
func Enrolled(factors []authn.Factor) bool {
	return slices.ContainsFunc(factors, func(f authn.Factor) bool { return f.State != authn.Pending && f.Kind != authn.Password })
}

// Demanded reports whether policy itself demands a second factor of the
// person, whatever they have.
func Demanded(d Document, u authn.User) bool {
	return d.TwoFactor == Required || d.TwoFactor == On && u.RequireTwoFactor
}

// MinimumPassword is the least length of a password in code points: 15, or 8
// for someone of whom a second factor is demanded (decision 1).
func MinimumPassword(d Document, u authn.User) int {
	if Demanded(d, u) {
		return 8
	}
	return 15
}

// Second lists the active factors that can be a second step, in the order given.
func Second(d Document, factors []authn.Factor, traits func(authn.Kind) (authn.Traits, bool)) []authn.Factor {
	if d.TwoFactor == Off {
		return nil
	}
	var out []authn.Factor
	for _, f := range factors {
		t, offered := traits(f.Kind)
		if offered && !t.Knowledge && f.State == authn.Confirmed {
			out = append(out, f)
		}
	}
	return out
}

// Evaluate never reports Complete because nothing applies: without a proof of
// knowledge it asks for the password, and what it cannot satisfy it denies.
func Evaluate(a Asked) Need {
	var knows, has bool
	for _, p := range a.Proofs {
		knows = knows || p.Traits.Knowledge
		has = has || p.Traits.Possession || p.Traits.PhishingResistant
	}
	second := Second(a.Document, a.Factors, a.Traits)
	need := Need{Why: Why(a.Document, a.User, a.Factors)}
	if a.Purpose == authn.StepUp {
		// A step-up matches the strongest usable factor; the password counts only
		// for those who have nothing else (ruling 26).
		switch {
		case has:
			need.State = authn.Complete
		case len(second) > 0:
			need.State = authn.NeedFactor
		case Enrolled(a.Factors):
			need.State = authn.Denied // has one that cannot be used here
		case !knows:
			need.State = authn.NeedPassword
		default:
			need.State = authn.Complete
		}
	} else {
		switch {
		case !knows:
			need.State = authn.NeedPassword
		case has || len(need.Why) == 0:
			need.State = authn.Complete
		case len(second) > 0:
			need.State = authn.NeedFactor
		default:
			need.State = authn.Denied // must have one, has none, and no proof from outside yet (ruling 1)
		}
	}
	switch need.State {
	case authn.NeedFactor:
		need.Offers = offers(second, a.Lane, a.Now)
	case authn.Complete:
		need.ACR, need.AMR = Level(a.Proofs)
	}
	return need
}

func offers(second []authn.Factor, lane authn.Lane, now time.Time) []Offer {
	out := make([]Offer, 0, len(second))
	for _, f := range second {
		c := f.Counts[lane]
		o := Offer{Kind: f.Kind, Factor: f.ID, Name: f.Name, Locked: c.Tries >= Share(lane)}
		if c.Paused(now) {
			o.PausedUntil = c.PausedUntil
		}
		out = append(out, o)
	}
	// What can be used now comes first; among those the order of enrolment.
	slices.SortStableFunc(out, func(x, y Offer) int { return rank(x) - rank(y) })
	if len(out) > 0 {
		out[0].Preferred = true
	}
	return out
}

func rank(o Offer) int {
	switch {
	case o.Locked:
		return 2
	case !o.PausedUntil.IsZero():
		return 1
	}
	return 0
}

// amr maps kinds to the values of RFC 8176 section 2.
var amr = map[authn.Kind]string{
	authn.Password: "pwd",
	authn.TOTP:     "otp",
}

// Level computes acr and amr from proofs of one ceremony. aal2 takes something
// known and something had; e-mail is never possession (decision 4, std-27).
func Level(proofs []authn.Proof) (acr string, methods []string) {
	var knows, has bool
	for _, p := range proofs {
		knows = knows || p.Traits.Knowledge
		has = has || p.Traits.Possession
		if v := amr[p.Kind]; v != "" && !slices.Contains(methods, v) {
			methods = append(methods, v)
		}
	}
	if knows && has {
		return authn.AAL2, methods
	}
	return authn.AAL1, methods
}
