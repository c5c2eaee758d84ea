package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// keyOf is a passkey that somebody has.
func keyOf(id, data string) authn.Factor {
	return authn.Factor{ID: id, Kind: authn.WebAuthn, State: authn.Confirmed, Data: []byte(data), Counts: map[authn.Lane]authn.Count{}}
}

func ids(factors []authn.Factor) string {
	var out []string
	for _, f := range factors {
		out = append(out, f.ID)
	}
	return strings.Join(out, " ")
}

// Which passkeys count under which rules, and what is said of the others (4.13, std-29).
func TestPasskeyRules_N1(t *testing.T) {
	known, other := models[0], models[1]
	factors := []authn.Factor{
		keyOf("synced", `{"be":true,"aaguid":"`+known+`"}`), keyOf("bound", `{"be":false,"aaguid":"`+known+`"}`),
		keyOf("vouched", `{"attested":true,"aaguid":"`+known+`"}`), keyOf("another", `{"be":true,"attested":true,"aaguid":"`+other+`"}`),
		keyOf("strange", `{`), app(0, time.Time{}),
	}
	asleep, pending := keyOf("asleep", `{"be":true}`), keyOf("pending", `{"be":true}`)
	asleep.State, pending.State = authn.Asleep, authn.Pending
	factors = append(factors, asleep, pending)
	u := authn.User{ID: "usr_1", Status: authn.Active, Email: "maya@acme.example", EmailVerifiedAt: now.AddDate(-1, 0, 0)}
	type rules = []policy.Reason
	for name, tt := range map[string]struct {
		rules *policy.Passkeys
		count string
		said  rules
		json  string
	}{
		"none":             {nil, "synced bound vouched another strange fac_1", nil, ""},
		"copies":           {&policy.Passkeys{BlockCopied: true}, "synced bound vouched another strange fac_1", nil, ""},
		"one device":       {&policy.Passkeys{DeviceBound: true}, "bound vouched fac_1", rules{policy.PasskeySynced}, `{"bound":true}`},
		"a known maker":    {&policy.Passkeys{Attested: true}, "vouched another fac_1", rules{policy.PasskeyAttested}, `{"attested":true}`},
		"models":           {&policy.Passkeys{Models: []string{known}}, "vouched fac_1", rules{policy.PasskeyAttested, policy.PasskeyModel}, `{"models":["` + known + `"]}`},
		"one device, too":  {&policy.Passkeys{DeviceBound: true, Models: []string{known, other}}, "vouched fac_1", rules{policy.PasskeySynced, policy.PasskeyAttested}, `{"bound":true,"models":["` + known + `","` + other + `"]}`},
		"a model of none":  {&policy.Passkeys{DeviceBound: true, Models: []string{other}}, "fac_1", rules{policy.PasskeySynced, policy.PasskeyAttested, policy.PasskeyModel}, `{"bound":true,"models":["` + other + `"]}`},
		"all three, known": {&policy.Passkeys{Attested: true, Models: []string{known, other}}, "vouched another fac_1", rules{policy.PasskeyAttested}, `{"attested":true,"models":["` + known + `","` + other + `"]}`},
	} {
		d := policy.Document{Format: 1, TwoFactor: policy.On, Passkeys: tt.rules}
		if got := ids(policy.Second(d, u, factors, all)); got != tt.count {
			t.Errorf("%s: %s count, want %s", name, got, tt.count)
		}
		var said rules
		for _, b := range policy.Explain(d, u, factors, all, now).Because {
			if strings.HasPrefix(string(b.Rule), "passkey_") {
				said = append(said, b.Rule)
			}
		}
		if !slices.Equal(said, tt.said) {
			t.Errorf("%s: %v is said, want %v", name, said, tt.said)
		}
		if got, err := d.PasskeyDemands(); err != nil || string(got) != tt.json {
			t.Errorf("%s: %s %v", name, got, err)
		}
		// What does not count opens nothing, and is not confirmed again either.
		again := d
		again.AllowedAgain = map[authn.Kind]int{authn.WebAuthn: 1}
		if got := ids(policy.ToConfirm(again, u, factors, all)); got != strings.TrimSuffix(strings.TrimSuffix(tt.count, "fac_1"), " ") {
			t.Errorf("%s: %s are to be confirmed again", name, got)
		}
		for _, f := range factors[:5] {
			counts := slices.Contains(strings.Fields(tt.count), f.ID)
			p := shows(verified)
			p.Factor = f.ID
			for _, proofs := range [][]authn.Proof{{p}, {shows(authn.Password), p}} {
				need := policy.Evaluate(policy.Asked{Document: d, User: u, Factors: factors, Proofs: proofs, Purpose: authn.SignIn, Lane: authn.Stranger, Now: now, Traits: all})
				if (need.State == authn.Complete) != counts {
					t.Errorf("%s, by %s: %+v", name, f.ID, need)
				}
			}
			d.TrustDays = 30
			if got := policy.Trustable(d, u, factors, []authn.Proof{p}, now); (got != "") != counts {
				t.Errorf("%s: trusted by %s: %q", name, f.ID, got)
			}
		}
		// Two-factor off, or passkeys not offered: nothing is said of them.
		for _, off := range []policy.Document{{Format: 1, TwoFactor: policy.Off, Passkeys: tt.rules}, {Format: 1, TwoFactor: policy.On, Methods: []authn.Kind{authn.TOTP}, Passkeys: tt.rules}} {
			for _, b := range policy.Explain(off, u, factors, all, now).Because {
				if strings.HasPrefix(string(b.Rule), "passkey_") {
					t.Errorf("%s: %s where no passkey counts", name, b.Rule)
				}
			}
		}
	}
}

// Who has only passkeys that do not count is stranded, as if the kind was taken away:
// nothing weaker stands in (rul-2), and the reason is said.
func TestPasskeysNotTaken_rul2_rul26(t *testing.T) {
	d := policy.Document{Format: 1, TwoFactor: policy.Required, Passkeys: &policy.Passkeys{DeviceBound: true}}
	u := authn.User{ID: "usr_1", Status: authn.Active, Email: "maya@acme.example", EmailVerifiedAt: now.AddDate(-1, 0, 0), HadFactorAt: now.AddDate(-1, 0, 0)}
	only := []authn.Factor{keyOf("fac_webauthn", `{"be":true}`)}
	ask := func(factors []authn.Factor, purpose authn.Purpose, proofs ...authn.Proof) policy.Need {
		return policy.Evaluate(policy.Asked{Document: d, User: u, Factors: factors, Proofs: proofs, Purpose: purpose, Lane: authn.Stranger, Now: now, Traits: every})
	}
	if n := ask(only, authn.SignIn, shows(authn.Password)); n.State != authn.Denied || n.Denied != policy.NotTaken {
		t.Errorf("%+v", n)
	}
	if n := ask(only, authn.StepUp, shows(authn.Password)); n.State != authn.Denied {
		t.Errorf("the password stands in: %+v", n)
	}
	if n := ask(only, authn.SignIn, shows(authn.Invitation), shows(authn.Password)); n.State != authn.NeedEnrolment || !n.GraceUntil.IsZero() {
		t.Errorf("by an invitation: %+v", n)
	}
	if n := ask(append(only, app(0, time.Time{})), authn.SignIn, shows(authn.Password)); n.State != authn.NeedFactor || len(n.Offers) != 1 || n.Offers[0].Kind != authn.TOTP {
		t.Errorf("with an app: %+v", n)
	}
	codes := authn.Factor{ID: "fac_backup_code", Kind: authn.BackupCode, State: authn.Confirmed, Left: 3}
	if n := ask(append(only, codes), authn.SignIn, shows(authn.Password)); n.State != authn.NeedFactor || n.Offers[0].Kind != authn.BackupCode || n.Offers[0].Preferred {
		t.Errorf("with backup codes: %+v", n)
	}
	// The preview of the rule says so before it is saved.
	shapes := map[string]int{authn.ShapeOf(u, only, now).String(): 3, authn.ShapeOf(u, append(only, app(0, time.Time{})), now).String(): 4}
	before := policy.Document{Format: 1, TwoFactor: policy.Required}
	p := compare(t, before, d, shapes)
	if g := p.Groups[policy.GroupStranded]; g.People != 3 || g.Denied[policy.NotTaken] != 3 || g.New != 3 || p.Groups[policy.GroupAsleep].New != 7 || p.Weakens {
		t.Errorf("%+v %+v", g, p)
	}
	if back := compare(t, d, before, shapes); !back.Weakens || back.Groups[policy.GroupStranded].People != 0 {
		t.Errorf("%+v", back)
	}
}

// A session that a synced passkey opened is over where keys have to stay on one device
// (rul-52); what else it showed counts.
func TestPasskeySession_rul52(t *testing.T) {
	bound := &policy.Passkeys{DeviceBound: true}
	phishing := map[string]policy.Strength{"owner": policy.PhishingResistant}
	for _, tt := range []struct {
		amr      string
		rules    *policy.Passkeys
		strength map[string]policy.Strength
		good     bool
	}{
		{"swk user", nil, nil, true}, {"hwk user", nil, nil, true}, {"swk user", nil, phishing, true}, {"pwd otp", nil, phishing, false},
		{"swk user", bound, nil, false}, {"hwk user", bound, nil, true}, {"hwk user", bound, phishing, true}, {"pwd swk user otp", bound, nil, true}, {"pwd swk user otp", bound, phishing, false},
	} {
		d := policy.Document{Format: 1, TwoFactor: policy.Required, Passkeys: tt.rules, Strength: tt.strength}
		raw, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		rows := &authn.Rows{Company: &authn.Company{Policy: raw}, User: &authn.User{Status: authn.Active, Roles: []string{"owner"}}, Factors: []authn.Factor{keyOf("fac_1", `{}`)},
			Session: &authn.Session{AMR: strings.Fields(tt.amr), CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(time.Hour)}}
		if err := policy.CheckSession(rows, now); (err == nil) != tt.good {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// A whole sign-in by a passkey under each rule that has a say (G1, G3, G4, F3, rul-29):
// the device made sure who holds it, so that nothing known is asked for besides.
func TestWholeSignInByPasskey_N1_G1_G3_G4(t *testing.T) {
	type change = func(*policy.Document, *authn.User)
	long := now.AddDate(-1, 0, 0)
	strength := func(s policy.Strength) change {
		return func(d *policy.Document, _ *authn.User) { d.Strength = map[string]policy.Strength{"owner": s} }
	}
	two := func(d *policy.Document, _ *authn.User) { d.ProofsByRole = map[string]int{"owner": 2} }
	codes := authn.Factor{ID: "fac_backup_code", Kind: authn.BackupCode, State: authn.Confirmed, Left: 3}
	totp := app(0, time.Time{})
	totp.ID = "fac_totp"
	for name, tt := range map[string]struct {
		change change
		has    []authn.Factor
		proofs string
		state  authn.State
		acr    string
		offers string
	}{
		"alone":                                    {nil, nil, "verified", authn.Complete, authn.AAL2, ""},
		"required of all":                          {func(d *policy.Document, _ *authn.User) { d.TwoFactor, d.OwnWay = policy.Required, sides }, nil, "verified", authn.Complete, authn.AAL2, ""},
		"without making sure: something known":     {nil, nil, "webauthn", authn.NeedPassword, "", ""},
		"without making sure, and the password":    {nil, nil, "password webauthn", authn.Complete, authn.AAL2, ""},
		"phishing-resistant only":                  {strength(policy.PhishingResistant), nil, "verified", authn.Complete, authn.AAL2, ""},
		"that, by password and passkey":            {strength(policy.PhishingResistant), nil, "password webauthn", authn.Complete, authn.AAL2, ""},
		"that, by the app":                         {strength(policy.PhishingResistant), []authn.Factor{totp, codes}, "password totp", authn.NeedFactor, "", "webauthn"},
		"that, by a backup code":                   {strength(policy.PhishingResistant), []authn.Factor{codes}, "password backup_code", authn.NeedFactor, "", "webauthn"},
		"that, with the password: only passkeys":   {strength(policy.PhishingResistant), []authn.Factor{totp, codes}, "password", authn.NeedFactor, "", "webauthn"},
		"something held":                           {strength(policy.OwnPossession), []authn.Factor{totp, codes}, "verified", authn.Complete, authn.AAL2, ""},
		"two proofs: another kind follows":         {two, []authn.Factor{totp}, "verified", authn.NeedFactor, "", "totp"},
		"two proofs: both":                         {two, []authn.Factor{totp}, "verified totp", authn.Complete, authn.AAL2, ""},
		"two proofs: a second passkey is the same": {two, []authn.Factor{keyOf("fac_2", `{}`)}, "verified webauthn", authn.NeedEnrolment, "", ""},
		"two phishing-resistant: passkeys are one": {func(d *policy.Document, u *authn.User) { two(d, u); strength(policy.PhishingResistant)(d, u) }, []authn.Factor{totp}, "verified totp", authn.NeedEnrolment, "", ""},
		"exempt: what they have counts": {func(d *policy.Document, u *authn.User) {
			d.TwoFactor, u.ExemptUntil = policy.Required, now.Add(time.Hour)
		}, nil, "verified", authn.Complete, authn.AAL2, ""},
		"this wasn't me: a new password": {func(_ *policy.Document, u *authn.User) { u.SecuredAt = now.Add(-time.Hour) }, nil, "verified", authn.NeedPasswordChange, authn.AAL2, ""},
		"that, where the host keeps it":  {func(_ *policy.Document, u *authn.User) { u.SecuredAt, u.ExternalID = now.Add(-time.Hour), "7" }, nil, "verified", authn.Denied, "", ""},
		"allowed again: not alone":       {func(d *policy.Document, _ *authn.User) { d.AllowedAgain = map[authn.Kind]int{authn.WebAuthn: 1} }, nil, "verified", authn.NeedFactor, "", "email"},
		"own way and grace": {func(d *policy.Document, _ *authn.User) {
			d.TwoFactor, d.OwnWay, d.GraceDays = policy.Required, sides, 7
		}, nil, "verified", authn.Complete, authn.AAL2, ""},
		"trusted browsers": {func(d *policy.Document, _ *authn.User) { d.TrustDays = 30 }, nil, "password", authn.NeedFactor, "", "webauthn"},
	} {
		d := policy.Document{Format: 1, TwoFactor: policy.On}
		u := authn.User{ID: "usr_1", Status: authn.Active, Epoch: 1, Roles: []string{"owner"}, Email: "maya@acme.example", EmailVerifiedAt: long, HadFactorAt: long}
		if tt.change != nil {
			tt.change(&d, &u)
		}
		a := policy.Asked{Document: policy.At(d, now), User: u, Factors: append([]authn.Factor{keyOf("fac_webauthn", `{"be":true}`)}, tt.has...), Purpose: authn.SignIn, Lane: authn.Stranger, Now: now, Traits: all}
		for _, k := range strings.Fields(tt.proofs) {
			a.Proofs = append(a.Proofs, shows(authn.Kind(k)))
		}
		n := policy.Evaluate(a)
		var offers []string
		for _, o := range n.Offers {
			offers = append(offers, string(o.Kind))
			if (o.TrustDays > 0) != (d.TrustDays > 0) {
				t.Errorf("%s: trusted for %d days", name, o.TrustDays)
			}
		}
		if n.State != tt.state || n.ACR != tt.acr || strings.Join(offers, " ") != tt.offers {
			t.Errorf("%s: %s %s %v, want %s %s %s", name, n.State, n.ACR, offers, tt.state, tt.acr, tt.offers)
		}
	}
	// Where two-factor is off, or not offered to the person, passkeys sleep: no sign-in
	// begins by one, and the person has the password (G1, G3).
	u := authn.User{ID: "usr_1", Status: authn.Active, Audience: authn.ExternalAudience}
	for name, d := range map[string]policy.Document{"off": {Format: 1, TwoFactor: policy.Off}, "not offered": {Format: 1, TwoFactor: policy.On, External: policy.NotOffered},
		"another way only": {Format: 1, TwoFactor: policy.On, Methods: []authn.Kind{authn.TOTP}}} {
		if got := policy.Second(d, u, []authn.Factor{keyOf("fac_webauthn", `{}`)}, all); len(got) > 0 {
			t.Errorf("%s: %s", name, ids(got))
		}
	}
}
