package policy_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

var now = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// usual are the numbers of a company that says nothing of them.
var usual = policy.Document{}.Lockout()

func traits(k authn.Kind) (authn.Traits, bool) {
	switch k {
	case authn.Password:
		return authn.Traits{Knowledge: true}, true
	case authn.TOTP:
		return authn.Traits{Possession: true}, true
	case authn.Email: // registered for these tests only; never possession
		return authn.Traits{OutOfBand: true}, true
	}
	return authn.Traits{}, false
}

func proof(k authn.Kind) authn.Proof {
	t, _ := traits(k)
	return authn.Proof{Kind: k, Traits: t, At: now}
}

func app(tries int, paused time.Time) authn.Factor {
	return authn.Factor{ID: "fac_1", Kind: authn.TOTP, State: authn.Confirmed,
		Counts: map[authn.Lane]authn.Count{authn.Stranger: {Tries: tries, PausedUntil: paused}}}
}

func TestEvaluate_F2_rul1_rul26(t *testing.T) {
	pw, otp, mail := proof(authn.Password), proof(authn.TOTP), proof(authn.Email)
	active, pending := app(0, time.Time{}), app(0, time.Time{})
	pending.State = authn.Pending
	asleep := app(0, time.Time{})
	asleep.State = authn.Asleep
	sms := authn.Factor{ID: "fac_2", Kind: authn.SMS, State: authn.Confirmed} // no such method here

	for _, tt := range []struct {
		name    string
		tf      policy.TwoFactor
		require bool
		purpose authn.Purpose
		factors []authn.Factor
		proofs  []authn.Proof
		state   authn.State
		acr     string
		why     []policy.Reason
	}{
		{name: "nothing proven", tf: policy.On, state: authn.NeedPassword},
		{name: "nothing proven, policy off", tf: policy.Off, state: authn.NeedPassword},
		{name: "code before password", tf: policy.On, factors: []authn.Factor{active}, proofs: []authn.Proof{otp}, state: authn.NeedPassword, why: []policy.Reason{policy.HasFactor}},
		{name: "on, no factor", tf: policy.On, proofs: []authn.Proof{pw}, state: authn.Complete, acr: authn.AAL1},
		{name: "on, factor", tf: policy.On, factors: []authn.Factor{active}, proofs: []authn.Proof{pw}, state: authn.NeedFactor, why: []policy.Reason{policy.HasFactor}},
		{name: "on, factor, both", tf: policy.On, factors: []authn.Factor{active}, proofs: []authn.Proof{pw, otp}, state: authn.Complete, acr: authn.AAL2, why: []policy.Reason{policy.HasFactor}},
		{name: "pending does not count", tf: policy.On, factors: []authn.Factor{pending}, proofs: []authn.Proof{pw}, state: authn.Complete, acr: authn.AAL1},
		{name: "asleep does not count", tf: policy.On, factors: []authn.Factor{asleep}, proofs: []authn.Proof{pw}, state: authn.Complete, acr: authn.AAL1},
		{name: "kind not offered: not let in on the password (inv-I)", tf: policy.On, factors: []authn.Factor{sms}, proofs: []authn.Proof{pw}, state: authn.Denied, why: []policy.Reason{policy.HasFactor}},
		{name: "step-up, kind not offered", tf: policy.On, purpose: authn.StepUp, factors: []authn.Factor{sms}, proofs: []authn.Proof{pw}, state: authn.Denied, why: []policy.Reason{policy.HasFactor}},
		{name: "paused still counts", tf: policy.On, factors: []authn.Factor{app(12, now.Add(time.Hour))}, proofs: []authn.Proof{pw}, state: authn.NeedFactor, why: []policy.Reason{policy.HasFactor}},
		{name: "locked still counts", tf: policy.On, factors: []authn.Factor{app(70, time.Time{})}, proofs: []authn.Proof{pw}, state: authn.NeedFactor, why: []policy.Reason{policy.HasFactor}},
		{name: "off, factor sleeps", tf: policy.Off, factors: []authn.Factor{active}, proofs: []authn.Proof{pw}, state: authn.Complete, acr: authn.AAL1},
		{name: "off outranks the person's own setting", tf: policy.Off, require: true, proofs: []authn.Proof{pw}, state: authn.Complete, acr: authn.AAL1},
		{name: "required, none", tf: policy.Required, proofs: []authn.Proof{pw}, state: authn.Denied, why: []policy.Reason{policy.CompanyRequires}},
		{name: "person required, none", tf: policy.On, require: true, proofs: []authn.Proof{pw}, state: authn.Denied, why: []policy.Reason{policy.UserRequired}},
		{name: "two passwords are not two factors (std-27)", tf: policy.Required, factors: []authn.Factor{active}, proofs: []authn.Proof{pw, pw}, state: authn.NeedFactor, why: []policy.Reason{policy.CompanyRequires, policy.HasFactor}},
		{name: "e-mail is not possession (decision 4)", tf: policy.Required, factors: []authn.Factor{active}, proofs: []authn.Proof{pw, mail}, state: authn.NeedFactor, why: []policy.Reason{policy.CompanyRequires, policy.HasFactor}},
		{name: "step-up with a factor", tf: policy.On, purpose: authn.StepUp, factors: []authn.Factor{active}, state: authn.NeedFactor, why: []policy.Reason{policy.HasFactor}},
		{name: "step-up by password although there is a factor", tf: policy.On, purpose: authn.StepUp, factors: []authn.Factor{active}, proofs: []authn.Proof{pw}, state: authn.NeedFactor, why: []policy.Reason{policy.HasFactor}},
		{name: "step-up without a factor", tf: policy.On, purpose: authn.StepUp, state: authn.NeedPassword},
		{name: "step-up without a factor, password", tf: policy.On, purpose: authn.StepUp, proofs: []authn.Proof{pw}, state: authn.Complete, acr: authn.AAL1},
		{name: "step-up by code", tf: policy.On, purpose: authn.StepUp, factors: []authn.Factor{active}, proofs: []authn.Proof{otp}, state: authn.Complete, acr: authn.AAL1, why: []policy.Reason{policy.HasFactor}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.purpose == "" {
				tt.purpose = authn.SignIn
			}
			n := policy.Evaluate(policy.Asked{
				Document: policy.Document{Format: 1, TwoFactor: tt.tf}, User: authn.User{RequireTwoFactor: tt.require},
				Factors: tt.factors, Proofs: tt.proofs, Purpose: tt.purpose, Lane: authn.Stranger, Now: now, Traits: traits,
			})
			if n.State != tt.state || n.ACR != tt.acr || !slices.Equal(n.Why, tt.why) {
				t.Errorf("got %s acr %q why %v, want %s acr %q why %v", n.State, n.ACR, n.Why, tt.state, tt.acr, tt.why)
			}
			if (n.State == authn.NeedFactor) != (len(n.Offers) > 0) {
				t.Errorf("state %s with %d offers", n.State, len(n.Offers))
			}
		})
	}
}

// inv-D: whatever the mix, the level is never above what was proven, and a
// person who has or must have a factor never completes on knowledge alone.
func TestEvaluate_invD(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	kinds := []authn.Kind{authn.Password, authn.TOTP, authn.Email, authn.SMS}
	states := []authn.FactorState{authn.Pending, authn.Confirmed, authn.Asleep}
	for range 20_000 {
		a := policy.Asked{Lane: authn.Stranger, Now: now, Traits: traits, Purpose: authn.SignIn,
			Document: policy.Document{Format: 1, TwoFactor: []policy.TwoFactor{policy.Off, policy.On, policy.Required}[r.IntN(3)]},
			User:     authn.User{RequireTwoFactor: r.IntN(2) == 0}}
		for range r.IntN(4) {
			a.Factors = append(a.Factors, authn.Factor{ID: "f", Kind: kinds[r.IntN(4)], State: states[r.IntN(3)]})
		}
		var knows, has, sent bool
		for range r.IntN(4) {
			p := proof(kinds[r.IntN(3)])
			knows, has, sent = knows || p.Traits.Knowledge, has || p.Traits.Possession, sent || p.Kind == authn.Email
			a.Proofs = append(a.Proofs, p)
		}
		n := policy.Evaluate(a)
		if n.State != authn.Complete {
			continue
		}
		must := len(policy.Why(a.Document, a.User, a.Factors)) > 0
		// A code by e-mail is enough only for who has set that up; it stays aal1.
		sent = sent && slices.ContainsFunc(a.Factors, func(f authn.Factor) bool { return f.Kind == authn.Email && f.State == authn.Confirmed })
		if !knows || must && !has && !sent {
			t.Fatalf("let in: %+v", a)
		}
		if (n.ACR == authn.AAL2) != (knows && has) {
			t.Fatalf("level %s with knows=%t has=%t", n.ACR, knows, has)
		}
	}
}

func TestOffersUsableFirst(t *testing.T) {
	locked, paused, good := app(70, time.Time{}), app(11, now.Add(time.Minute)), app(3, now.Add(-time.Minute))
	locked.ID, paused.ID, good.ID = "l", "p", "g"
	n := policy.Evaluate(policy.Asked{Document: policy.Default(), Factors: []authn.Factor{locked, paused, good},
		Proofs: []authn.Proof{proof(authn.Password)}, Purpose: authn.SignIn, Lane: authn.Stranger, Now: now, Traits: traits})
	var ids []string
	for _, o := range n.Offers {
		ids = append(ids, o.Factor)
	}
	if got := strings.Join(ids, ""); got != "gpl" {
		t.Errorf("order %s", got)
	}
	if !n.Offers[0].Preferred || n.Offers[1].Preferred || !n.Offers[2].Locked || n.Offers[1].PausedUntil.IsZero() || !n.Offers[0].PausedUntil.IsZero() {
		t.Errorf("%+v", n.Offers)
	}
	// rul-10: what strangers used up is not used up for the person's own browser.
	n = policy.Evaluate(policy.Asked{Document: policy.Default(), Factors: []authn.Factor{locked},
		Proofs: []authn.Proof{proof(authn.Password)}, Purpose: authn.SignIn, Lane: authn.Known, Now: now, Traits: traits})
	if n.Offers[0].Locked {
		t.Error("strangers closed the known browser's lane")
	}
}

func TestPause_decision2_std12(t *testing.T) {
	for tries, want := range map[int]time.Duration{
		0: 0, 1: 0, 9: 0, 10: 30 * time.Second, 11: time.Minute, 12: 2 * time.Minute, 13: 4 * time.Minute,
		16: 32 * time.Minute, 17: time.Hour, 18: time.Hour, 69: time.Hour, 1 << 30: time.Hour,
	} {
		if got := usual.Pause(tries); got != want {
			t.Errorf("Pause(%d) = %v, want %v", tries, got, want)
		}
	}
	if policy.Share(authn.Stranger)+policy.Share(authn.Known) != 100 {
		t.Error("the shares must add up to the 100 of NIST SP 800-63B-4 3.2.2")
	}
}

func TestStrangerWrong_rul10(t *testing.T) {
	u := authn.User{}
	for i := 1; i <= 9; i++ {
		if policy.StrangerWrong(&u, now) {
			t.Fatalf("marked after %d", i)
		}
	}
	if !policy.StrangerWrong(&u, now) || u.PasswordKnownAt != now {
		t.Fatal("not marked after ten in a row")
	}
	if policy.StrangerWrong(&u, now) {
		t.Error("marked twice")
	}
	// 30 within 30 days, whatever came between.
	u = authn.User{}
	at := now
	for i := 1; i <= 29; i++ {
		u.WrongInRow = 0 // a completed sign-in came between
		if policy.StrangerWrong(&u, at) {
			t.Fatalf("marked after %d", i)
		}
		at = at.Add(time.Hour)
	}
	u.WrongInRow = 0
	if !policy.StrangerWrong(&u, at) {
		t.Error("not marked after thirty in thirty days")
	}
	// A new month begins anew.
	u = authn.User{WrongInMonth: 29, MonthStart: now.Add(-policy.Month)}
	if policy.StrangerWrong(&u, now) || u.WrongInMonth != 1 {
		t.Errorf("month not over: %+v", u)
	}
	// cve-73: a clock that was set back does not lengthen the month.
	u = authn.User{WrongInMonth: 5, MonthStart: now.Add(time.Hour)}
	if policy.StrangerWrong(&u, now); u.MonthStart != now {
		t.Error("month starts in the future")
	}
}

func TestRefusals(t *testing.T) {
	c := &authn.Charged{Count: authn.Count{Tries: 7}}
	if e := usual.WrongCode(c, now); e.AttemptsLeft != 3 || !e.HasLeft || e.RetryAfter != 0 {
		t.Errorf("%+v", e)
	}
	c.Count.Tries = 11
	if e := usual.WrongCode(c, now); e.AttemptsLeft != 0 || e.RetryAfter != time.Minute || e.ExpiresAt != now.Add(time.Minute) {
		t.Errorf("%+v", e)
	}
	e := authn.AsError(policy.Unpaid(&authn.Charged{Count: authn.Count{PausedUntil: now.Add(90 * time.Second)}}, now))
	if e.Code != authn.Paused || e.RetryAfter != 90*time.Second {
		t.Errorf("%+v", e)
	}
	if e := authn.AsError(policy.Unpaid(&authn.Charged{Locked: true}, now)); e.Code != authn.Locked {
		t.Errorf("%+v", e)
	}
}

func TestParseDocument(t *testing.T) {
	for raw, bad := range map[string]string{
		`{"format":1,"two_factor":"on"}`:             "",
		`{"format":1,"two_factor":"required"}`:       "",
		`{"format":1,"two_factor":"off"}`:            "",
		`{"format":2,"two_factor":"on"}`:             "format is not 1",
		`{"two_factor":"on"}`:                        "format is not 1",
		`{"format":1}`:                               "two_factor",
		`{"format":1,"two_factor":"ON"}`:             "two_factor",
		`{"format":1,"two_factor":"on","grace":3}`:   "grace",
		`{"format":1,"two_factor":"on"}{"format":1}`: "after",
		`{"format":1,"two_factor":["on"]}`:           "two_factor",
		``:                                           "EOF",
		`null`:                                       "format",
	} {
		_, err := policy.Parse([]byte(raw))
		if bad == "" && err != nil || bad != "" && (err == nil || !strings.Contains(err.Error(), bad)) {
			t.Errorf("%s: %v, want %q", raw, err, bad)
		}
	}
	d := policy.Default()
	raw, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := policy.Parse(raw); err != nil || !reflect.DeepEqual(back, d) {
		t.Errorf("%v %v", back, err)
	}
	if _, err := (policy.Document{Format: 1, TwoFactor: "maybe"}).Encode(); err == nil {
		t.Error("a bad document was written")
	}
}

func TestMinimumPassword_decision1(t *testing.T) {
	for _, tt := range []struct {
		tf      policy.TwoFactor
		require bool
		want    int
	}{{policy.Off, false, 15}, {policy.Off, true, 15}, {policy.On, false, 15}, {policy.On, true, 8}, {policy.Required, false, 8}} {
		d := policy.Document{Format: 1, TwoFactor: tt.tf}
		if got := policy.MinimumPassword(d, authn.User{RequireTwoFactor: tt.require}); got != tt.want {
			t.Errorf("%+v: %d", tt, got)
		}
	}
}

func TestCheckSession_std30_std37(t *testing.T) {
	good := func() *authn.Rows {
		return &authn.Rows{
			Company: &authn.Company{Policy: []byte(`{"format":1,"two_factor":"on"}`)},
			User:    &authn.User{Status: authn.Active, Epoch: 3},
			Session: &authn.Session{Epoch: 3, LastSeenAt: now.Add(-time.Minute), ExpiresAt: now.Add(time.Hour), Idle: time.Hour},
		}
	}
	if err := policy.CheckSession(good(), now); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*authn.Rows){
		"no company":                            func(r *authn.Rows) { r.Company = nil },
		"weaker than the company asks (cve-53)": func(r *authn.Rows) { r.Company.Policy = []byte(`{"format":1,"two_factor":"required"}`) },
		"weaker than the person must":           func(r *authn.Rows) { r.User.RequireTwoFactor = true },
		"weaker than what they have":            func(r *authn.Rows) { r.Factors = []authn.Factor{app(0, time.Time{})} },
		"no session":                            func(r *authn.Rows) { r.Session = nil },
		"no user":                               func(r *authn.Rows) { r.User = nil },
		"suspended (cve-54)":                    func(r *authn.Rows) { r.User.Status = authn.Suspended },
		"no status":                             func(r *authn.Rows) { r.User.Status = "" },
		"epoch (cve-53)":                        func(r *authn.Rows) { r.User.Epoch = 4 },
		"over":                                  func(r *authn.Rows) { r.Session.ExpiresAt = now },
		"idle":                                  func(r *authn.Rows) { r.Session.LastSeenAt = now.Add(-time.Hour) },
	} {
		rows := good()
		spoil(rows)
		if err := policy.CheckSession(rows, now); err != authn.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
	rows := good()
	rows.Company.Policy = []byte(`{`)
	if err := policy.CheckSession(rows, now); err == nil {
		t.Error("good under a policy that cannot be read (inv-I)")
	}
}

func TestGiveBack(t *testing.T) {
	until := now.Add(time.Minute)
	for tries, want := range map[int]time.Time{1: {}, 10: {}, 11: until, 12: until} {
		s := usual.GiveBack(&authn.Charged{Count: authn.Count{Tries: tries, PausedUntil: until}})
		if s.Outcome != authn.Void || s.PausedUntil != want {
			t.Errorf("%d tries: %+v", tries, s)
		}
	}
}

func TestFresh_I1_cve52(t *testing.T) {
	const age = 10 * time.Minute
	for _, tt := range []struct {
		name              string
		factor, confirmed time.Time
		has, ok           bool
		acr               string
	}{
		{name: "just proven", factor: now, has: true, ok: true},
		{name: "a second before the limit", factor: now.Add(-age + time.Second), has: true, ok: true},
		{name: "at the limit", factor: now.Add(-age), has: true, acr: authn.AAL2},
		{name: "never", has: true, acr: authn.AAL2},
		{name: "password confirmed, but has a factor (downgrade)", confirmed: now, has: true, acr: authn.AAL2},
		{name: "password confirmed, no factor", confirmed: now, ok: true},
		{name: "factor just removed", factor: now, ok: true},
		{name: "only signed in", acr: authn.AAL1},
		{name: "clock set back", factor: now.Add(time.Hour), has: true, acr: authn.AAL2},
	} {
		err := policy.Fresh(&authn.Rows{Session: &authn.Session{FactorTime: tt.factor, ConfirmedAt: tt.confirmed}}, tt.has, age, now)
		if tt.ok != (err == nil) {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if e := authn.AsError(err); err != nil && (e.Code != authn.StepUpRequired || e.MaxAge != age || e.ACRValues != tt.acr) {
			t.Errorf("%s: %+v", tt.name, e)
		}
	}
}

func TestLifetimes_rul45(t *testing.T) {
	l := policy.Lifetimes{Idle: time.Minute}.WithDefaults()
	want := policy.Lifetimes{Attempt: 15 * time.Minute, Setup: 30 * time.Minute, Session: 24 * time.Hour, Idle: time.Minute, StepUpAge: 10 * time.Minute}
	if l != want {
		t.Errorf("%+v", l)
	}
}
