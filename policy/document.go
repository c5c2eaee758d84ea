package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// Offering is how it stands with an audience (requirement G3).
type Offering string

// The offerings.
const (
	AsCompany     Offering = ""            // as two_factor says
	NotOffered    Offering = "not_offered" // its people have no factors to be asked for
	OfferedToThem Offering = "offered"     // as it is where two_factor is "on"
	RequiredThere Offering = "required"    // demanded of its people
)

// Document is a company's policy, format 1. It is stored as one versioned JSON
// document (ruling 52); an unknown field is refused rather than ignored, since
// an ignored rule is a hole. A field that is left out changes nothing: documents
// of earlier releases mean what they meant.
//
// A document that was only parsed knows no time, and exempts nobody; [At] gives
// the one that holds at a time.
type Document struct {
	Format    int       `json:"format"`
	TwoFactor TwoFactor `json:"two_factor"`
	// Internal and External are for one audience each. The strictest wins: what is
	// required by the company, a role or a person's own setting stays so.
	Internal Offering `json:"internal,omitempty"`
	External Offering `json:"external,omitempty"`
	// CompanyWideOnly forbids every exception but API accounts: no audience is
	// treated in a way of its own, and exemptions of people count for nothing.
	CompanyWideOnly bool `json:"company_wide_only,omitempty"`
	// Methods are the ways that are offered: of authn.Kind.Own, and backup_code;
	// empty: all that the server has. What stands in until a person has a way of
	// their own is not among them, but below.
	Methods []authn.Kind `json:"methods,omitempty"`
	// OwnWay names the audiences of whom a way of their own is asked: the e-mail
	// code lets them in once, to set one up (requirement F3).
	OwnWay []authn.Audience `json:"own_way,omitempty"`
	// RequireRoles are roles whose people must verify, whatever the company says.
	RequireRoles []string `json:"require_roles,omitempty"`
	// Strength is the least that people of a role must prove, by role.
	Strength map[string]Strength `json:"strength,omitempty"`
	// ProofsByRole is how many proofs of different kinds the people of a role give
	// beside the password: 1 or 2. Either raises them to required.
	ProofsByRole map[string]int `json:"proofs_by_role,omitempty"`
	// SMSFallback lets codes to the profile's number stand in, before e-mail, for
	// who has no way of their own yet (requirement C1).
	SMSFallback bool `json:"sms_fallback,omitempty"`
	// NoEmailFallback takes codes by e-mail away from them: who has no number either
	// comes in by an invitation.
	NoEmailFallback bool `json:"no_email_fallback,omitempty"`
	// EmailAfterReset lets e-mail be the second step also in the 24 hours after it reset
	// the password: then a mailbox alone opens accounts that have no other way. The
	// company takes that risk, and each use is on record (ruling 4).
	EmailAfterReset bool `json:"email_after_reset,omitempty"`
	// SendAtOnce sends the code with the right password, where a code that is sent
	// is what the person is asked for first.
	SendAtOnce bool `json:"send_at_once,omitempty"`
	// GraceDays is for how long the set-up of a way can be put off; 0: not at all.
	GraceDays int `json:"grace_days,omitempty"`
	// CodeSeconds is how long a sent code is good; 0: 120.
	CodeSeconds int `json:"code_seconds,omitempty"`
	// PasswordLength is the least length of a password in characters, where that is
	// more than decision 1 asks; 0: what that asks.
	PasswordLength int `json:"password_length,omitempty"`

	// TrustDays is for how long a browser can be trusted, in which its person then is
	// asked for the password only; 0: never (decision 8). TrustFor are the audiences
	// whose people may trust one; empty: both. People of NoTrustRoles may not.
	TrustDays    int              `json:"trust_days,omitempty"`
	TrustFor     []authn.Audience `json:"trust_for,omitempty"`
	NoTrustRoles []string         `json:"no_trust_roles,omitempty"`

	// Passkeys are what is asked of them besides; nil: nothing.
	Passkeys *Passkeys `json:"passkeys,omitempty"`

	// How long things last; 0: what the server says (Lifetimes).
	StepUpSeconds  int `json:"step_up_seconds,omitempty"`
	SessionSeconds int `json:"session_seconds,omitempty"`
	IdleSeconds    int `json:"idle_seconds,omitempty"`
	AttemptSeconds int `json:"attempt_seconds,omitempty"`

	// The counting of wrong answers; 0: the numbers of Lockout. That 100 in a row
	// disable a factor is no setting.
	FreeTries           int `json:"free_tries,omitempty"`
	PauseSeconds        int `json:"pause_seconds,omitempty"`         // the first; each further one doubles
	LongestPauseSeconds int `json:"longest_pause_seconds,omitempty"` // where that ends

	// AllowedAgain counts, for each of Methods, how often it was allowed after the
	// policy before had not allowed it. It is kept by whoever saves (Following), and
	// what a person sends of it is not looked at. A way that was confirmed in an earlier
	// round has to be confirmed again before it counts (ruling 2).
	AllowedAgain map[authn.Kind]int `json:"allowed_again,omitempty"`

	// Next is what takes the place of this document from a time on.
	Next *Next `json:"next,omitempty"`

	at time.Time // when this holds; set by At
}

// Next is a document that begins to hold by itself.
type Next struct {
	From     time.Time `json:"from"`
	Document Document  `json:"document"` // has no Next
}

// Bounds of what a document may say.
const (
	MinCodeSeconds      = 30
	MaxCodeSeconds      = 600 // ASVS 6.5.5
	MaxGraceDays        = 90
	MinStepUpSeconds    = 60
	MaxStepUpSeconds    = 3600
	MinSessionSeconds   = 300
	MaxSessionSeconds   = 24 * 3600 // NIST SP 800-63B-4 section 2.2.3
	MinIdleSeconds      = 300       // a use is noted once a minute at most
	MaxIdleSeconds      = 3600      // the same
	MinAttemptSeconds   = 60
	MaxAttemptSeconds   = 900 // ruling 45
	MinFreeTries        = 3
	MaxFreeTries        = FreeTries
	MinPauseSeconds     = 30
	MaxPauseSeconds     = 3600 // authn.LongestPause
	MaxPasswordLength   = 64
	maxRoles            = 100
	maxDocument         = 64 << 10
	leastPasswordLength = 8
)

// Default is the policy of a new company.
func Default() Document {
	return Document{Format: 1, TwoFactor: On, OwnWay: []authn.Audience{authn.InternalAudience}}
}

// Parse reads a policy document strictly. The error is Invalid, and its fields
// name what is wrong: "policy" where the text cannot be read, else "policy." and
// the field's name; of the next document "policy.next.document." and the name.
func Parse(raw []byte) (Document, error) {
	if len(raw) > maxDocument {
		return Document{}, unreadable("policy", "invalid", errors.New("policy: the document is too long"))
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var d Document
	if err := dec.Decode(&d); err != nil {
		name, code := "policy", "invalid"
		var typ *json.UnmarshalTypeError
		if unknown, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			name, code = "policy."+strings.Trim(unknown, `"`), "unknown"
		} else if errors.As(err, &typ) && typ.Field != "" {
			name += "." + typ.Field
		}
		return Document{}, unreadable(name, code, fmt.Errorf("policy: %w", err))
	}
	if _, err := dec.Token(); err != io.EOF {
		return Document{}, unreadable("policy", "invalid", errors.New("policy: text after the document"))
	}
	return d, d.check()
}

func unreadable(field, code string, err error) error {
	return &authn.Error{Code: authn.Invalid, Err: err, Fields: []authn.Field{{Name: field, Code: code}}}
}

// Encode writes the document as it is stored.
//
// Errors: Invalid, as Parse.
func (d Document) Encode() ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	return json.Marshal(d)
}

// At is the document that holds at now: d, or what it says comes next.
func At(d Document, now time.Time) Document {
	if d.Next != nil && !now.Before(d.Next.From) {
		d = d.Next.Document
	}
	d.at = now
	return d
}

// Current is the policy of a company that holds at now. A stored document that
// cannot be read is an error of ours, never a policy by default (inv-I).
func Current(c authn.Company, now time.Time) (Document, error) {
	d, err := parsed(c.Policy)
	if err != nil {
		return d, &authn.Error{Code: authn.Internal, Err: fmt.Errorf("policy of %s: %v", c.ID, err)}
	}
	return At(d, now), nil
}

// CodeLives is how long a sent code is good.
func (d Document) CodeLives() time.Duration {
	if d.CodeSeconds == 0 {
		return 2 * time.Minute
	}
	return time.Duration(d.CodeSeconds) * time.Second
}

// Lifetimes are those of the server, where the document says nothing else.
func (d Document) Lifetimes(server Lifetimes) Lifetimes {
	set := func(v *time.Duration, seconds int) {
		if seconds > 0 {
			*v = time.Duration(seconds) * time.Second
		}
	}
	set(&server.StepUpAge, d.StepUpSeconds)
	set(&server.Session, d.SessionSeconds)
	set(&server.Idle, d.IdleSeconds)
	set(&server.Attempt, d.AttemptSeconds)
	return server
}

// Offers reports whether the document lets people use ways of a kind. What is no
// way of one's own and no backup code is not the document's to say.
func (d Document) Offers(k authn.Kind) bool {
	return len(d.Methods) == 0 || !k.Own() && k != authn.BackupCode || slices.Contains(d.Methods, k)
}

// audience is what the document says of the person's audience.
func (d Document) audience(u authn.User) Offering {
	if u.Audience == authn.ExternalAudience {
		return d.External
	}
	return d.Internal
}

// Minimum is the least that the person must prove: the strictest of their roles.
func (d Document) Minimum(u authn.User) Strength {
	least, _ := d.strictest(u)
	return least
}

func (d Document) strictest(u authn.User) (least Strength, of string) {
	if u.API {
		return AnyStrength, ""
	}
	for _, role := range u.Roles {
		switch s := d.Strength[role]; {
		case s == PhishingResistant:
			return s, role
		case s != AnyStrength && least == AnyStrength:
			least, of = s, role
		}
	}
	return least, of
}

// Proofs is how many proofs of different kinds the person gives beside the
// password, where one is demanded at all: 1 or 2.
func (d Document) Proofs(u authn.User) int {
	n, _ := d.proofs(u)
	return n
}

func (d Document) proofs(u authn.User) (n int, of string) {
	if !u.API && d.TwoFactor != Off {
		for _, role := range u.Roles {
			if d.ProofsByRole[role] > 1 {
				return d.ProofsByRole[role], role
			}
		}
	}
	return 1, ""
}

// NeedsOwnWay reports whether policy asks a way of their own of the person.
func (d Document) NeedsOwnWay(u authn.User) bool {
	return Demanded(d, u) && (slices.Contains(d.OwnWay, u.Audience) || d.Minimum(u) != AnyStrength || d.Proofs(u) > 1)
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
