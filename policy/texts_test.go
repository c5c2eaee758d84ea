package policy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// withTexts gives the traits of a server with texts and Duo.
func withTexts(k authn.Kind) (authn.Traits, bool) {
	switch k {
	case authn.SMS, authn.Duo:
		return authn.Traits{Possession: true, OutOfBand: true}, true
	}
	return every(k)
}

// Requirement C1: which contacts stand in, the number before the address.
func TestFallbacks_C1_rul2(t *testing.T) {
	day := 24 * time.Hour
	for name, tt := range map[string]struct {
		change func(*policy.Document, *authn.User)
		want   []authn.Kind
		why    policy.Denial
	}{
		"both":                      {func(*policy.Document, *authn.User) {}, []authn.Kind{authn.SMS, authn.Email}, ""},
		"the policy wants no texts": {func(d *policy.Document, _ *authn.User) { d.SMSFallback = false }, []authn.Kind{authn.Email}, ""},
		"no number":                 {func(_ *policy.Document, u *authn.User) { u.Phone = "" }, []authn.Kind{authn.Email}, ""},
		"a number of their own":     {func(_ *policy.Document, u *authn.User) { u.PhoneTrustedAt = time.Time{} }, []authn.Kind{authn.Email}, ""},
		"a new number":              {func(_ *policy.Document, u *authn.User) { u.PhoneChangedAt = now.Add(-day + time.Second) }, []authn.Kind{authn.Email}, ""},
		"a number a day old":        {func(_ *policy.Document, u *authn.User) { u.PhoneChangedAt = now.Add(-day) }, []authn.Kind{authn.SMS, authn.Email}, ""},
		"no address":                {func(_ *policy.Document, u *authn.User) { u.Email = "" }, []authn.Kind{authn.SMS}, ""},
		"neither":                   {func(_ *policy.Document, u *authn.User) { u.Email, u.Phone = "", "" }, nil, policy.NoContact},
		"both new":                  {func(_ *policy.Document, u *authn.User) { u.EmailChangedAt, u.PhoneChangedAt = now, now }, nil, policy.NewOne},
		"had a way of their own":    {func(_ *policy.Document, u *authn.User) { u.HadFactorAt = now.Add(-day) }, nil, policy.Stranded},
		"the role asks for more": {func(d *policy.Document, u *authn.User) {
			u.Roles, d.Strength = []string{"owner"}, map[string]policy.Strength{"owner": policy.OwnPossession}
		}, nil, policy.TooWeak},
	} {
		d := policy.Document{Format: 1, TwoFactor: policy.Required, SMSFallback: true}
		u := authn.User{Email: "omar@acme.example", EmailVerifiedAt: now.Add(-day), Phone: "+46701740605", PhoneTrustedAt: now.Add(-day)}
		tt.change(&d, &u)
		got, why := policy.Fallbacks(d, u, nil, withTexts, now)
		if !slices.Equal(got, tt.want) || why != tt.why {
			t.Errorf("%s: %v %q, want %v %q", name, got, why, tt.want, tt.why)
		}
		// Where the company has no texts, nothing of the number matters.
		if got, _ := policy.Fallbacks(d, u, nil, every, now); slices.Contains(got, authn.SMS) {
			t.Errorf("%s: texts of a company that has none", name)
		}
	}
}

// What a way proves where it can prove in more than one manner (RFC 8176).
func TestLevelOfOutside_decision5(t *testing.T) {
	pwd := authn.Proof{Kind: authn.Password, Traits: authn.Traits{Knowledge: true}}
	for amr, want := range map[string]string{"": "pop", "tel": "tel", "otp": "otp"} {
		acr, got := policy.Level([]authn.Proof{pwd, {Kind: authn.Duo, Traits: authn.Traits{Possession: true, OutOfBand: true}, AMR: amr}})
		if acr != authn.AAL2 || !slices.Equal(got, []string{"pwd", want}) {
			t.Errorf("%q: %s %v", amr, acr, got)
		}
	}
	if acr, _ := policy.Level([]authn.Proof{pwd, {Kind: authn.SMS, Traits: authn.Traits{OutOfBand: true}, AMR: "mca"}}); acr != authn.AAL1 {
		t.Errorf("a code to the contact number: %s", acr)
	}
}

// The limits of pushes are those of codes (cve-73).
func TestPush_cve73(t *testing.T) {
	next := authn.Challenge{Factor: "fac_1", Purpose: authn.CodeSignIn, Lane: authn.Stranger}
	var sent []authn.Challenge
	at := now
	for i := range policy.MaxSends {
		c, err := policy.Push(next, sent, authn.SentCodes{}, time.Minute, at)
		if err != nil || c.Sends != 1 || !c.ExpiresAt.Equal(at.Add(time.Minute)) {
			t.Fatalf("%d: %+v %v", i, c, err)
		}
		sent = append(sent, c)
		if _, err := policy.Push(next, sent, authn.SentCodes{}, time.Minute, at.Add(29*time.Second)); authn.AsError(err).Code != authn.TooManyRequests {
			t.Errorf("%d: again at once: %v", i, err)
		}
		at = at.Add(3 * time.Minute)
	}
	if _, err := policy.Push(next, sent, authn.SentCodes{}, time.Minute, at.Add(time.Hour)); authn.AsError(err).Code != authn.TooManyRequests {
		t.Errorf("one too many: %v", err)
	}
	for _, total := range []authn.SentCodes{{Hour: 5, Day: 5}, {Day: 15}} {
		if _, err := policy.Push(next, nil, total, time.Minute, at); authn.AsError(err).Code != authn.TooManyRequests {
			t.Errorf("%+v: %v", total, err)
		}
	}
}

// A number is verified for the budgets while a right code came back lately.
func TestAskText_rul13(t *testing.T) {
	for name, tt := range map[string]struct {
		f    *authn.Factor
		want bool
	}{
		"none":                {nil, false},
		"never used":          {&authn.Factor{}, false},
		"confirmed lately":    {&authn.Factor{ConfirmAt: now.Add(-authn.VerifiedLasts + time.Second)}, true},
		"confirmed long ago":  {&authn.Factor{ConfirmAt: now.Add(-authn.VerifiedLasts)}, false},
		"and used since then": {&authn.Factor{ConfirmAt: now.Add(-authn.VerifiedLasts), LastUsedAt: now.Add(-time.Hour)}, true},
	} {
		if got := policy.AskText(tt.f, "usr_1", "+46701740605", authn.Known, authn.Client{}, now); got.Verified != tt.want {
			t.Errorf("%s: %v", name, got.Verified)
		}
	}
}
