package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Strength is what a proof must show at least; each contains those before it.
type Strength string

// The strengths of requirement G4.
const (
	AnyStrength       Strength = ""                   // whatever the company offers, an e-mail code too
	OwnPossession     Strength = "possession"         // something the person has
	PhishingResistant Strength = "phishing_resistant" // bound to our origin
)

// Bounds of what a document may say.
const (
	MinCodeSeconds = 30
	MaxCodeSeconds = 600 // ASVS 6.5.5
	MaxGraceDays   = 90
)

// Document is a company's policy, format 1. It is stored as one versioned JSON
// document (ruling 52); an unknown field is refused rather than ignored, since
// an ignored rule is a hole.
type Document struct {
	Format    int       `json:"format"`
	TwoFactor TwoFactor `json:"two_factor"`
	// OwnWay names the audiences of whom a way of their own is asked: the e-mail
	// code lets them in once, to set one up (requirement F3).
	OwnWay []authn.Audience `json:"own_way,omitempty"`
	// GraceDays is for how long that set-up can be put off; 0: not at all.
	GraceDays int `json:"grace_days,omitempty"`
	// CodeSeconds is how long a sent code is good; 0: 120.
	CodeSeconds int `json:"code_seconds,omitempty"`
	// SMSFallback lets codes to the profile's number stand in, before e-mail, for
	// who has no way of their own yet (requirement C1).
	SMSFallback bool `json:"sms_fallback,omitempty"`
	// SendAtOnce sends the code with the right password, where a code that is sent
	// is what the person is asked for first.
	SendAtOnce bool `json:"send_at_once,omitempty"`
	// Strength is the least that people of a role must prove, by role.
	Strength map[string]Strength `json:"strength,omitempty"`
}

// Default is the policy of a new company.
func Default() Document {
	return Document{Format: 1, TwoFactor: On, OwnWay: []authn.Audience{authn.InternalAudience}}
}

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
	default:
		return fmt.Errorf(`policy: two_factor is %q; it must be "off", "on" or "required"`, d.TwoFactor)
	}
	for i, a := range d.OwnWay {
		if a != authn.InternalAudience && a != authn.ExternalAudience || slices.Contains(d.OwnWay[:i], a) {
			return fmt.Errorf(`policy: own_way holds %q; it may hold "internal" and "external", once each`, a)
		}
	}
	if d.GraceDays < 0 || d.GraceDays > MaxGraceDays {
		return fmt.Errorf("policy: grace_days is %d; it must be 0 to %d", d.GraceDays, MaxGraceDays)
	}
	if d.CodeSeconds != 0 && (d.CodeSeconds < MinCodeSeconds || d.CodeSeconds > MaxCodeSeconds) {
		return fmt.Errorf("policy: code_seconds is %d; it must be %d to %d", d.CodeSeconds, MinCodeSeconds, MaxCodeSeconds)
	}
	for role, s := range d.Strength {
		if s != OwnPossession && s != PhishingResistant {
			return fmt.Errorf(`policy: strength of role %q is %q; it must be "possession" or "phishing_resistant"`, role, s)
		}
	}
	return nil
}

// Encode writes the document as it is stored.
func (d Document) Encode() ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	return json.Marshal(d)
}

// CodeLives is how long a sent code is good.
func (d Document) CodeLives() time.Duration {
	if d.CodeSeconds == 0 {
		return 2 * time.Minute
	}
	return time.Duration(d.CodeSeconds) * time.Second
}

// Minimum is the least that the person must prove: the strictest of their roles.
func (d Document) Minimum(u authn.User) Strength {
	least := AnyStrength
	for _, role := range u.Roles {
		switch s := d.Strength[role]; {
		case s == PhishingResistant:
			return s
		case s != AnyStrength:
			least = s
		}
	}
	return least
}

// NeedsOwnWay reports whether policy asks a way of their own of the person.
func (d Document) NeedsOwnWay(u authn.User) bool {
	return Demanded(d, u) && (slices.Contains(d.OwnWay, u.Audience) || d.Minimum(u) != AnyStrength)
}

// GraceUntil is until when the person can put setting up off; zero: they cannot,
// as after "this wasn't me", when nothing goes on with the password of before.
func (d Document) GraceUntil(u authn.User, now time.Time) time.Time {
	if d.GraceDays == 0 || d.Minimum(u) != AnyStrength || !u.SecuredAt.IsZero() {
		return time.Time{}
	}
	from := u.GraceAt
	if from.IsZero() {
		from = now
	}
	until := from.AddDate(0, 0, d.GraceDays)
	if !now.Before(until) {
		return time.Time{}
	}
	return until
}
