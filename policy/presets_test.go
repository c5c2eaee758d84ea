package policy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

func preset(t *testing.T, name string) policy.Document {
	t.Helper()
	for _, p := range policy.Presets() {
		if p.Name == name {
			return p.Document
		}
	}
	t.Fatalf("no preset %q", name)
	return policy.Document{}
}

func TestPresets_valid(t *testing.T) {
	var names []string
	for _, p := range policy.Presets() {
		names = append(names, p.Name)
		if _, err := p.Document.Encode(); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if err := p.Document.Contradictions(all); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
	if want := []string{"plain", "pci_dss_8", "nist_aal2", "incident", "business", "network", "cases", "chat"}; !slices.Equal(names, want) {
		t.Errorf("%v", names)
	}
}

// Each row of the source, and what the preset does about it.
func TestPresets_sources_G4(t *testing.T) {
	pci, nist := preset(t, "pci_dss_8"), preset(t, "nist_aal2")
	anybody := authn.User{Audience: authn.ExternalAudience, Status: authn.Active, Email: "a@b.example", EmailVerifiedAt: now.AddDate(-1, 0, 0)}
	setsUp := func(d policy.Document) bool {
		o := policy.Foresee(d, anybody, nil, all, now)
		return o.Ask == policy.AskSetUp && o.SetUpBy.IsZero()
	}
	held := func(d policy.Document) bool {
		return !slices.ContainsFunc([]authn.Kind{authn.TOTP, authn.SMS, authn.Email, authn.Duo, authn.WebAuthn}, func(k authn.Kind) bool {
			x, _ := all(k)
			return d.Offers(k) && !policy.OwnPossession.Meets(x)
		})
	}
	resists, _ := all(authn.WebAuthn)
	byPasskey := func(d policy.Document) policy.Need {
		return policy.Evaluate(policy.Asked{Document: d, User: anybody, Factors: []authn.Factor{keyOf("fac_webauthn", `{"be":true}`)}, Proofs: []authn.Proof{shows(verified)},
			Purpose: authn.SignIn, Lane: authn.Stranger, Now: now, Traits: all})
	}
	life := func(d policy.Document) policy.Lifetimes { return d.Lifetimes(policy.Lifetimes{}.WithDefaults()) }
	for name, ok := range map[string]bool{
		"PCI DSS 8.2.8: idle for more than 15 minutes":              life(pci).Idle == 15*time.Minute,
		"PCI DSS 8.3.4: locked after not more than 10 attempts":     pci.Lockout().FreeTries <= 10,
		"PCI DSS 8.3.4: for at least 30 minutes":                    pci.Lockout().Pause(10) >= 30*time.Minute && pci.Lockout().Pause(11) >= 30*time.Minute,
		"PCI DSS 8.3.6: passwords of at least 12 characters":        policy.MinimumPassword(pci, anybody) >= 12,
		"PCI DSS 8.4.2, 8.4.3: MFA for everybody":                   policy.Demanded(pci, anybody) && setsUp(pci),
		"PCI DSS 8.5.1: two different types of factors":             held(pci),
		"PCI DSS 8.5.1: cannot be bypassed, but by exception":       pci.GraceDays == 0 && !pci.CompanyWideOnly,
		"NIST 2.2.1: two factors of everybody":                      policy.Demanded(nist, anybody) && setsUp(nist),
		"NIST 2.2.2: one that resists phishing is offered (std-28)": nist.Offers(authn.WebAuthn) && policy.PhishingResistant.Meets(resists) && byPasskey(nist).ACR == authn.AAL2,
		"PCI DSS 8.4.2: one that resists phishing":                  pci.Offers(authn.WebAuthn) && byPasskey(pci).State == authn.Complete,
		"NIST 3.1.7: it is two factors by itself":                   byPasskey(nist).State == authn.Complete,
		"NIST 2.2.3: 24 hours at most (std-30)":                     life(nist).Session <= 24*time.Hour,
		"NIST 2.2.3: an hour idle at most (std-30)":                 life(nist).Idle <= time.Hour,
		"NIST 3.1.3.1: no codes by e-mail as a factor":              held(nist),
		"NIST 3.1.3.2: codes are good for ten minutes at most":      nist.CodeLives() <= 10*time.Minute,
		"NIST 3.2.2: slowed down before 100":                        nist.Lockout().FreeTries < 100,
		"NIST 3.2.9: SMS not alone (std-21)":                        !nist.Offers(authn.SMS) || nist.Offers(authn.TOTP),
	} {
		if !ok {
			t.Error(name)
		}
	}
}

// The set-ups of section L, as far as a document says them.
func TestPresets_setUps_L(t *testing.T) {
	has := func(k authn.Kind) []authn.Factor {
		return []authn.Factor{{ID: "fac_1", Kind: k, State: authn.Confirmed, Counts: map[authn.Lane]authn.Count{}}}
	}
	u := authn.User{Audience: authn.InternalAudience, Status: authn.Active, Email: "a@b.example", EmailVerifiedAt: now.AddDate(-1, 0, 0), Phone: "+46701740605", PhoneTrustedAt: now.AddDate(-1, 0, 0)}
	agent, wanted, exempt := u, u, u
	agent.Roles, wanted.RequireTwoFactor, exempt.ExemptUntil = []string{"agent"}, true, now.Add(time.Hour)
	ask := func(d policy.Document, u authn.User, factors []authn.Factor) policy.Outcome {
		return policy.Foresee(d, u, factors, all, now)
	}
	l1, l2, l3, l4, l5 := preset(t, "incident"), preset(t, "business"), preset(t, "network"), preset(t, "cases"), preset(t, "chat")
	for name, ok := range map[string]bool{
		"L1: their own choice":                             ask(l1, u, nil).Ask == policy.AskNothing,
		"L1: of app and text messages":                     l1.Offers(authn.TOTP) && l1.Offers(authn.SMS) && !l1.Offers(authn.Duo),
		"L1: no codes to the profile's number":             !l1.SMSFallback,
		"L2: offered":                                      ask(l2, u, nil).Ask == policy.AskNothing,
		"L2: required of single people, who set up an app": ask(l2, wanted, nil).Ask == policy.AskSetUp && l2.Offers(authn.TOTP) && !l2.Offers(authn.SMS),
		"L3: everybody, at once, by text message":          ask(l3, u, nil).Ask == policy.AskCode && ask(l3, u, nil).Kinds[0] == authn.SMS && l3.SendAtOnce,
		"L3: company-wide only":                            ask(l3, exempt, nil).Ask == policy.AskCode,
		"L3: app and Duo":                                  l3.Offers(authn.TOTP) && l3.Offers(authn.Duo),
		"L3: codes of two minutes":                         l3.CodeLives() == 2*time.Minute,
		"L3: sign-ins of two minutes (F4)":                 l3.Lifetimes(policy.Lifetimes{}.WithDefaults()).Attempt == 2*time.Minute,
		"L4: asked at each sign-in, once it is on":         ask(l4, u, nil).Ask == policy.AskNothing && ask(l4, u, has(authn.TOTP)).Ask == policy.AskOwn,
		"L5: enforced for agents":                          ask(l5, agent, nil).Ask == policy.AskSetUp && ask(l5, u, nil).Ask == policy.AskNothing,
		"L5: step-up":                                      l5.Lifetimes(policy.Lifetimes{}.WithDefaults()).StepUpAge <= 10*time.Minute,
	} {
		if !ok {
			t.Error(name)
		}
	}
}
