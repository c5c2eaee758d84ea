package web

import (
	"net/url"
	"reflect"
	"testing"

	"github.com/sallyport-mfa/sallyport/policy"
)

// same holds a document to the form that is made of it.
func same(t *testing.T, d policy.Document) {
	t.Helper()
	again, err := readPolicy(policyValues(d, func(string) string { return "A key\n of some maker" }))
	if err != nil {
		t.Fatalf("%+v: %v", d, err)
	}
	a, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := again.Encode()
	if err != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("%s\nis then\n%s %v", a, b, err)
	}
}

// Every preset goes through the form as it is.
func TestPolicyForm(t *testing.T) {
	for _, p := range policy.Presets() {
		same(t, p.Document)
	}
	same(t, policy.Document{Format: 1, TwoFactor: policy.On, SessionSeconds: 301, StepUpSeconds: 61, PauseSeconds: 31, LongestPauseSeconds: 3599,
		Strength: map[string]policy.Strength{"owner": policy.OwnPossession, "desk-1": policy.PhishingResistant}, ProofsByRole: map[string]int{"owner": 2, "desk_2": 1}})
	same(t, policy.Document{Format: 1, TwoFactor: policy.On, Passkeys: &policy.Passkeys{BlockCopied: true, DeviceBound: true, Attested: true,
		Models: []string{"2fc0579f-8113-47ea-b116-bb5a8db9202a", "cb69481e-8ff7-4039-93ec-0a2729a154a8"}}})
}

// Whatever a form says: what is taken is a document that the form shows as it is.
func FuzzReadPolicy(f *testing.F) {
	for _, p := range policy.Presets() {
		f.Add(policyValues(p.Document, unnamed).Encode())
	}
	f.Add("two_factor=on&methods_all=1&grace_days=1e9&session_seconds=5.5&pause_seconds=,5&strength.=x&proofs.x=%00&own_way=&own_way=")
	f.Add("two_factor=on&methods=totp&free_tries=NaN&idle_seconds=Inf&code_seconds=-0&password_length=0x10")
	f.Add("two_factor=on&methods_all=1&passkeys_attested=1&passkeys_models=2FC0579F-8113-47EA-B116-BB5A8DB9202A+A+key%0D%0A%0D%0A+cb69481e-8ff7-4039-93ec-0a2729a154a8")
	f.Fuzz(func(t *testing.T, form string) {
		values, err := url.ParseQuery(form)
		if err != nil {
			return
		}
		d, err := readPolicy(values)
		if err != nil {
			return
		}
		same(t, d)
	})
}
