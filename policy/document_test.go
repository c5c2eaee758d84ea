package policy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

func fieldsOf(err error) []string {
	var e *authn.Error
	if !errors.As(err, &e) || e.Code != authn.Invalid {
		return nil
	}
	var out []string
	for _, f := range e.Fields {
		out = append(out, f.Name+" "+f.Code)
	}
	slices.Sort(out)
	return out
}

// Each rule about a document, and the field that is named.
func TestParseNamesTheField_G1_G2_G3_G4(t *testing.T) {
	for _, tt := range []struct{ more, want string }{
		{`"internal":"required","external":"not_offered"`, ""},
		{`"internal":"maybe"`, "policy.internal not_one_of"},
		{`"external":"x"`, "policy.external not_one_of"},
		{`"company_wide_only":true`, ""},
		{`"company_wide_only":true,"internal":"required"`, "policy.internal company_wide"},
		{`"methods":["totp","backup_code"]`, ""},
		{`"methods":["password"]`, "policy.methods no_way"},
		{`"methods":["totp","totp"]`, "policy.methods not_one_of"},
		{`"methods":["totp","pigeon"]`, "policy.methods not_one_of"},
		{`"methods":["backup_code"]`, "policy.methods no_way"},
		{`"methods":["sms"]`, "policy.methods sms_only"},
		{`"methods":["sms","email","backup_code"]`, "policy.methods sms_only"},
		{`"methods":["sms","totp"]`, ""},
		{`"methods":["email"]`, ""},
		{`"own_way":["internal","internal"]`, "policy.own_way not_one_of"},
		{`"require_roles":["owner","a-role_2"]`, ""},
		{`"require_roles":["Owner"]`, "policy.require_roles invalid"},
		{`"require_roles":["owner","owner"]`, "policy.require_roles not_one_of"},
		{`"strength":{"owner":"possession"}`, ""},
		{`"strength":{"owner":""}`, "policy.strength not_one_of"},
		{`"strength":{"o r":"possession"}`, "policy.strength invalid"},
		{`"proofs_by_role":{"owner":1,"agent":2}`, ""},
		{`"proofs_by_role":{"owner":3}`, "policy.proofs_by_role between"},
		{`"proofs_by_role":{"owner":0}`, "policy.proofs_by_role between"},
		{`"grace_days":91`, "policy.grace_days between"},
		{`"grace_days":-1`, "policy.grace_days between"},
		{`"code_seconds":29`, "policy.code_seconds between"},
		{`"code_seconds":601`, "policy.code_seconds between"},
		{`"password_length":65`, "policy.password_length between"},
		{`"step_up_seconds":59`, "policy.step_up_seconds between"},
		{`"session_seconds":86401`, "policy.session_seconds between"},
		{`"session_seconds":299`, "policy.session_seconds between"},
		{`"idle_seconds":3601`, "policy.idle_seconds between"},
		{`"idle_seconds":299`, "policy.idle_seconds between"},
		{`"session_seconds":600,"idle_seconds":601`, "policy.idle_seconds between"},
		{`"attempt_seconds":901`, "policy.attempt_seconds between"},
		{`"attempt_seconds":120`, ""},
		{`"free_tries":2`, "policy.free_tries between"},
		{`"free_tries":11`, "policy.free_tries between"},
		{`"pause_seconds":29`, "policy.pause_seconds between"},
		{`"pause_seconds":3601`, "policy.pause_seconds between"},
		{`"pause_seconds":1800,"longest_pause_seconds":1799`, "policy.longest_pause_seconds between"},
		{`"passkeys":{"block_copied":true,"device_bound":true,"attested":true,"models":["2fc0579f-8113-47ea-b116-bb5a8db9202a"]}`, ""},
		{`"passkeys":{}`, ""},
		{`"passkeys":{"models":["2FC0579F-8113-47EA-B116-BB5A8DB9202A"]}`, "policy.passkeys.models not_a_model"},
		{`"passkeys":{"models":["2fc0579f811347eab116bb5a8db9202a"]}`, "policy.passkeys.models not_a_model"},
		{`"passkeys":{"models":["00000000-0000-0000-0000-000000000000"]}`, "policy.passkeys.models not_a_model"},
		{`"passkeys":{"models":[""]}`, "policy.passkeys.models not_a_model"},
		{`"passkeys":{"models":["2fc0579f-8113-47ea-b116-bb5a8db9202a\n"]}`, "policy.passkeys.models not_a_model"},
		{`"passkeys":{"models":["2fc0579f-8113-47ea-b116-bb5a8db9202a","2fc0579f-8113-47ea-b116-bb5a8db9202a"]}`, "policy.passkeys.models twice"},
		{`"passkeys":{"models":[` + strings.Repeat(`"x",`, 100) + `"x"]}`, "policy.passkeys.models too_many_models"},
		{`"passkeys":{"models":"x"}`, "policy.passkeys.models invalid"},
		{`"passkeys":{"bound":true}`, "policy.bound unknown"},
		{`"next":{"from":"2027-01-01T00:00:00Z","document":{"format":1,"two_factor":"on","passkeys":{"models":["x"]}}}`, "policy.next.document.passkeys.models not_a_model"},
		{`"grace":3`, "policy.grace unknown"},
		{`"grace_days":"3"`, "policy.grace_days invalid"},
		{`"next":{"from":"2027-01-01T00:00:00Z","document":{"format":1,"two_factor":"required"}}`, ""},
		{`"next":{"document":{"format":1,"two_factor":"required"}}`, "policy.next.from required"},
		{`"next":{"from":"2027-01-01T00:00:00Z","document":{"format":1,"two_factor":"x"}}`, "policy.next.document.two_factor not_one_of"},
		{`"next":{"from":"2027-01-01T00:00:00Z","document":{"format":1,"two_factor":"on","next":{"from":"2028-01-01T00:00:00Z","document":{"format":1,"two_factor":"on"}}}}`, "policy.next.document.next invalid"},
	} {
		_, err := policy.Parse([]byte(`{"format":1,"two_factor":"on",` + tt.more + `}`))
		if got := fieldsOf(err); tt.want == "" && err != nil || tt.want != "" && !slices.Contains(got, tt.want) {
			t.Errorf("%s: %v, want %s", tt.more, err, tt.want)
		}
	}
	for _, side := range []string{"not_offered", "offered"} {
		if _, err := policy.Parse([]byte(`{"format":1,"two_factor":"required","external":"` + side + `"}`)); !slices.Equal(fieldsOf(err), []string{"policy.external contradicts"}) {
			t.Errorf("%s: %v", side, err)
		}
	}
	if _, err := policy.Parse(bytes.Repeat([]byte(" "), 70<<10)); !slices.Equal(fieldsOf(err), []string{"policy invalid"}) {
		t.Error(err)
	}
}

// Documents of earlier releases mean what they meant.
func TestOldDocuments_rul52(t *testing.T) {
	for _, raw := range []string{`{"format":1,"two_factor":"required"}`,
		`{"format":1,"two_factor":"on","own_way":["internal"],"grace_days":14,"code_seconds":300,"sms_fallback":true,"send_at_once":true,"strength":{"owner":"possession"}}`} {
		d, err := policy.Parse([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		if back, err := d.Encode(); err != nil || string(back) != raw && !sameJSON(t, back, []byte(raw)) {
			t.Errorf("%s became %s: %v", raw, back, err)
		}
		if d.Lockout() != (policy.Lockout{FreeTries: policy.FreeTries, FirstPause: policy.FirstPause, LongestPause: policy.LongestPause}) {
			t.Errorf("%+v", d.Lockout())
		}
		if server := (policy.Lifetimes{Session: time.Hour}.WithDefaults()); d.Lifetimes(server) != server {
			t.Errorf("%+v", d.Lifetimes(server))
		}
		for _, k := range kinds {
			if !d.Offers(k) {
				t.Errorf("%s is not offered", k)
			}
		}
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		t.Fatalf("%s or %s is no JSON", a, b)
	}
	return reflect.DeepEqual(x, y)
}

// What nobody could do with what the server has is refused when it is saved.
func TestContradictions_G2_std21(t *testing.T) {
	some := func(have ...authn.Kind) func(authn.Kind) (authn.Traits, bool) {
		return func(k authn.Kind) (authn.Traits, bool) {
			t, _ := all(k)
			return t, slices.Contains(have, k)
		}
	}
	for _, tt := range []struct {
		doc  string
		have []authn.Kind
		want string
	}{
		{`"two_factor":"required"`, []authn.Kind{authn.TOTP}, ""},
		{`"two_factor":"required"`, nil, "policy.methods no_way"},
		{`"two_factor":"off","methods":["webauthn"]`, nil, ""},
		{`"two_factor":"on"`, nil, ""},
		{`"two_factor":"on","methods":["webauthn"]`, []authn.Kind{authn.TOTP}, "policy.methods no_way"},
		{`"two_factor":"on","methods":["webauthn","totp"]`, []authn.Kind{authn.TOTP}, ""},
		{`"two_factor":"on","require_roles":["owner"]`, nil, "policy.methods no_way"},
		{`"two_factor":"required","own_way":["internal"]`, []authn.Kind{authn.Email}, "policy.own_way no_method"},
		{`"two_factor":"on","strength":{"owner":"phishing_resistant"}`, []authn.Kind{authn.TOTP, authn.Duo}, "policy.strength no_method"},
		{`"two_factor":"on","strength":{"owner":"possession"},"methods":["email"]`, []authn.Kind{authn.TOTP, authn.Email}, "policy.strength no_method"},
		{`"two_factor":"on","proofs_by_role":{"owner":2}`, []authn.Kind{authn.TOTP}, "policy.proofs_by_role no_method"},
		{`"two_factor":"on","proofs_by_role":{"owner":2}`, []authn.Kind{authn.TOTP, authn.Email}, ""},
		{`"two_factor":"on","proofs_by_role":{"owner":2},"strength":{"owner":"phishing_resistant"}`, []authn.Kind{authn.TOTP, authn.WebAuthn}, "policy.proofs_by_role no_method"},
		{`"two_factor":"on","proofs_by_role":{"agent":2},"strength":{"owner":"phishing_resistant"}`, []authn.Kind{authn.TOTP, authn.WebAuthn}, ""},
		{`"two_factor":"on","passkeys":{"device_bound":true}`, []authn.Kind{authn.WebAuthn}, ""},
		{`"two_factor":"on","passkeys":{"attested":true}`, []authn.Kind{authn.WebAuthn}, "policy.passkeys.attested no_models"},
		{`"two_factor":"on","passkeys":{"models":["2fc0579f-8113-47ea-b116-bb5a8db9202a"]}`, []authn.Kind{authn.WebAuthn}, "policy.passkeys.attested no_models"},
		{`"two_factor":"on","passkeys":{"attested":true}`, []authn.Kind{authn.TOTP}, ""},
		{`"two_factor":"off","passkeys":{"attested":true}`, []authn.Kind{authn.WebAuthn}, ""},
		{`"two_factor":"on","next":{"from":"2027-01-01T00:00:00Z","document":{"format":1,"two_factor":"required"}}`, nil, "policy.next.document.methods no_way"},
	} {
		d, err := policy.Parse([]byte(`{"format":1,` + tt.doc + `}`))
		if err != nil {
			t.Fatal(err)
		}
		err = d.Contradictions(some(tt.have...))
		if got := fieldsOf(err); tt.want == "" && err != nil || tt.want != "" && !slices.Contains(got, tt.want) {
			t.Errorf("%s with %v: %v", tt.doc, tt.have, err)
		}
	}
}

// The numbers of a company (G4), and the form that PCI DSS 8.3.4 asks for.
func TestLockout_G4(t *testing.T) {
	d := policy.Document{FreeTries: 3, PauseSeconds: 60, LongestPauseSeconds: 150}
	for tries, want := range map[int]time.Duration{2: 0, 3: time.Minute, 4: 2 * time.Minute, 5: 150 * time.Second, 99: 150 * time.Second} {
		if got := d.Lockout().Pause(tries); got != want {
			t.Errorf("%d tries: %s", tries, got)
		}
	}
	c := &authn.Charged{Count: authn.Count{Tries: 2}}
	if e := d.Lockout().WrongCode(c, now); e.AttemptsLeft != 1 {
		t.Errorf("%+v", e)
	}
	rows := &authn.Rows{Company: &authn.Company{Policy: []byte(`{"format":1,"two_factor":"on","free_tries":4}`)}}
	if l := policy.LockoutOf(rows, now); l.FreeTries != 4 {
		t.Errorf("%+v", l)
	}
	rows.Company.Policy = []byte(`{`)
	if l := policy.LockoutOf(rows, now); l.FreeTries != policy.FreeTries {
		t.Errorf("guesses are not counted under a policy that cannot be read: %+v", l)
	}
}

func FuzzParse(f *testing.F) {
	for _, p := range policy.Presets() {
		raw, err := p.Document.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"format":1,"two_factor":"on","next":{"from":"2027-01-01T00:00:00Z","document":{"format":1,"two_factor":"required"}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := policy.Parse(raw)
		if err != nil {
			if fieldsOf(err) == nil {
				t.Fatalf("%q: %v names no field", raw, err)
			}
			return
		}
		out, err := d.Encode()
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		again, err := policy.Parse(out)
		if err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		if twice, err := again.Encode(); err != nil || !bytes.Equal(out, twice) {
			t.Fatalf("%q, then %q: %v", out, twice, err)
		}
		if l := d.Lockout(); l.Pause(99) > authn.LongestPause || l.FreeTries < 3 || l.FreeTries > 10 {
			t.Fatalf("%+v", l)
		}
	})
}
