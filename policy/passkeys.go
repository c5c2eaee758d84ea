package policy

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Passkeys are rules for passkeys and security keys. They hold when one is set up, and
// for those that people have already: one that does not meet them is no way any more, as
// if its kind was not offered (decision 50).
type Passkeys struct {
	// BlockCopied refuses an answer whose count of signatures went back, as that of a
	// copied key does; otherwise its person is warned.
	BlockCopied bool `json:"block_copied,omitempty"`
	// DeviceBound takes only keys that never leave their device (NIST SP 800-63B-4
	// section 3.2.13): security keys, and no passkeys that are synced.
	DeviceBound bool `json:"device_bound,omitempty"`
	// Attested takes only keys whose maker vouches for the model.
	Attested bool `json:"attested,omitempty"`
	// Models are the AAGUIDs that are taken, attested then, as lower-case UUIDs; at most
	// MaxModels. Empty: all.
	Models []string `json:"models,omitempty"`
}

// MaxModels bounds Passkeys.Models.
const MaxModels = 100

var modelForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// noModel is what keys say that do not say what they are.
const noModel = "00000000-0000-0000-0000-000000000000"

// passkeys are the rules; what is left out asks nothing.
func (d Document) passkeys() Passkeys {
	if d.Passkeys == nil {
		return Passkeys{}
	}
	return *d.Passkeys
}

func (p Passkeys) attested() bool { return p.Attested || len(p.Models) > 0 }

func (d Document) findPasskeys(f *findings) {
	models := d.passkeys().Models
	if len(models) > MaxModels {
		f.wrong("passkeys.models", "too_many_models", map[string]any{"Max": MaxModels})
		return
	}
	for i, m := range models {
		switch {
		case !modelForm.MatchString(m), m == noModel:
			f.wrong("passkeys.models", "not_a_model", nil)
		case slices.Contains(models[:i], m):
			f.wrong("passkeys.models", "twice", nil)
		}
	}
}

// BlocksCopied reports whether a passkey that seems to be copied is refused.
func (d Document) BlocksCopied() bool { return d.passkeys().BlockCopied }

// PasskeyDemands is what a new passkey has to meet, as JSON for its method; nil: nothing.
func (d Document) PasskeyDemands() ([]byte, error) {
	p := d.passkeys()
	if !p.DeviceBound && !p.attested() {
		return nil, nil
	}
	b, err := json.Marshal(struct {
		Bound    bool     `json:"bound,omitempty"`
		Attested bool     `json:"attested,omitempty"`
		Models   []string `json:"models,omitempty"`
	}{p.DeviceBound, p.Attested, p.Models})
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return b, nil
}

// Unmet is which of the rules for passkeys a factor does not meet; empty: it meets them,
// or is no passkey.
func (d Document) Unmet(f authn.Factor) Reason {
	p := d.passkeys()
	if f.Kind != authn.WebAuthn || !p.DeviceBound && !p.attested() {
		return ""
	}
	switch is := authn.PasskeyOf(f); {
	case p.DeviceBound && is.Synced:
		return PasskeySynced
	case !p.attested():
	case !is.Attested:
		return PasskeyAttested
	case len(p.Models) > 0 && !slices.Contains(p.Models, is.Model):
		return PasskeyModel
	}
	return ""
}

// NotTakenError is the refusal of a passkey that does not meet a rule.
func NotTakenError(rule Reason) error {
	return &authn.Error{Code: authn.PolicyForbids, Key: "error." + string(rule)}
}

// unmet are the rules that keep active passkeys of the person from counting, each once.
func unmet(d Document, u authn.User, factors []authn.Factor, traits func(authn.Kind) (authn.Traits, bool)) []Reason {
	if _, offered := d.Only(traits)(authn.WebAuthn); !offered || d.Sleeps(u) {
		return nil
	}
	var out []Reason
	for _, rule := range []Reason{PasskeySynced, PasskeyAttested, PasskeyModel} {
		if slices.ContainsFunc(factors, func(f authn.Factor) bool { return f.State == authn.Confirmed && d.Unmet(f) == rule }) {
			out = append(out, rule)
		}
	}
	return out
}

// counted are the proofs without those by passkeys that the company takes no more: they
// show nothing, not even in a sign-in that was begun before.
func (a Asked) counted() []authn.Proof {
	return slices.DeleteFunc(slices.Clone(a.Proofs), func(p authn.Proof) bool {
		return p.Kind == authn.WebAuthn && a.Document.Unmet(a.factor(p.Factor)) != ""
	})
}

// loosensPasskeys reports whether b takes passkeys that a does not.
func loosensPasskeys(a, b Passkeys) bool {
	return a.BlockCopied && !b.BlockCopied || a.DeviceBound && !b.DeviceBound || a.attested() && !b.attested() ||
		len(a.Models) > 0 && (len(b.Models) == 0 || slices.ContainsFunc(b.Models, func(m string) bool { return !slices.Contains(a.Models, m) }))
}
