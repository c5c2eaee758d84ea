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
//  3. Who must have a factor and never had one gets a code to a contact that was
//     verified earlier (requirement C1). It is no way of their own: where policy
//     asks for one, setting it up follows (requirement F3), now or within the
//     days of grace.
//  4. Setting one up on a password alone is not possible: it takes that code, an
//     invitation or a code from an administrator. A role with a minimum strength
//     accepts only the last two (ruling 1).
//  5. Who must have a factor and has no such proof is not let in.
//  6. A session that showed less than these rules ask is over (ruling 52).
//
// What makes a second factor necessary, and what of it is lifted, has one order,
// whatever company it is (requirement G3: the strictest wins). Each line outranks
// those below it; Explain names them:
//
//   - two-factor is off: nothing is demanded, and factors sleep (switched_off).
//   - an API account: policy demands nothing; what it has still counts (api_account).
//   - a role that policy names: required (role_requires), two proofs (two_proofs),
//     a strength (minimum_strength). No exemption lifts it.
//   - "company-wide only": no exemption of anybody counts (exempt_outranked).
//   - an exemption of the person, until its date: it lifts what follows (exempt).
//   - the company, the audience or the person's own setting requires
//     (company_requires, internal_users, external_users, user_required).
//   - the audience is not offered: its people's factors sleep (not_offered). Whom a
//     role or their own setting is about is not among them.
//   - what the person has, and what they told us, counts whatever else holds but
//     off and not offered (has_factor, account_secured).
//
// A document may carry the one that follows it. [At] gives the one that holds, and
// whoever decides something asks [Current]: nothing has to run for the switch.
//
// The level of the outcome ("acr") is computed from what was proven in this
// ceremony, never from what the person could have proven.
package policy

import "time"

// TwoFactor is whether a company uses two-factor sign-in at all.
type TwoFactor string

// The settings of requirement G1 that exist in the first document.
const (
	Off      TwoFactor = "off"      // no method offered; enrolled factors sleep
	On       TwoFactor = "on"       // offered to everybody
	Required TwoFactor = "required" // demanded of everybody
)

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
