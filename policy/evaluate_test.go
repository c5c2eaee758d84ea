package policy_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// every are the traits of a server that offers everything but SMS and Duo.
func every(k authn.Kind) (authn.Traits, bool) {
	t, ok := map[authn.Kind]authn.Traits{
		authn.Password:   {Knowledge: true},
		authn.TOTP:       {Possession: true},
		authn.Email:      {OutOfBand: true},
		authn.WebAuthn:   {Possession: true, PhishingResistant: true},
		authn.BackupCode: {Possession: true, Recovery: true},
		authn.BypassCode: {OpensSetUp: true},
	}[k]
	return t, ok
}

func shows(k authn.Kind) authn.Proof {
	t, _ := every(k)
	if k == authn.Invitation {
		t = authn.Traits{OutOfBand: true, OpensSetUp: true}
	}
	p := authn.Proof{Kind: k, Factor: "fac_" + string(k), Traits: t, At: now}
	switch k {
	case authn.WebAuthn:
		p.AMR = "swk user"
	case verified:
		p.Kind, p.Factor, p.Traits, p.AMR = authn.WebAuthn, "fac_webauthn", authn.Traits{Possession: true, PhishingResistant: true, UserVerified: true}, "swk user"
	}
	return p
}

// verified is a proof by a passkey whose device made sure who holds it: a whole sign-in.
const verified authn.Kind = "verified"

// dimension is one thing that a case can have, and how.
type dimension struct {
	name   string
	values []string
}

// Everything that Evaluate looks at, as words.
var dimensions = []dimension{
	{"policy", []string{"off", "on", "required", "user"}},
	{"own way", []string{"", "own_way"}},
	{"strength", []string{"", "possession", "phishing_resistant"}},
	{"had", []string{"", "had"}},
	{"has", []string{"nobody", "app", "mail", "app+mail", "key", "key not taken", "asleep", "locked", "paused", "sms"}},
	{"codes", []string{"", "codes", "codes used up"}},
	{"bypass", []string{"", "bypass", "bypass over", "bypass of an epoch before"}},
	{"contact", []string{"verified", "unverified", "new", "none"}},
	{"secured", []string{"", "secured"}},
	{"grace", []string{"", "grace"}},
	{"proofs", []string{"", "password", "password password", "email", "totp", "password email", "password totp", "password webauthn", "password backup_code",
		"password bypass_code", "invitation password", "verified", "verified totp", "verified email", "webauthn", "password bypass_code totp", "invitation password totp", "invitation password email", "password email totp"}},
	{"purpose", []string{"sign_in", "step_up"}},
}

type tableCase struct {
	policy.Asked
	words []string
}

func (c tableCase) is(word string) bool { return slices.Contains(c.words, word) }

func build(words []string) tableCase {
	c := tableCase{words: words}
	a := &c.Asked
	a.Document, a.Lane, a.Now, a.Traits, a.Purpose = policy.Document{Format: 1, TwoFactor: policy.On}, authn.Stranger, now, every, authn.Purpose(words[11])
	a.User = authn.User{Company: "cmp_1", ID: "usr_1", Status: authn.Active, Epoch: 5, Email: "maya@acme.example", EmailVerifiedAt: now.Add(-time.Hour * 1000),
		Audience: authn.InternalAudience, Roles: []string{"role"}}
	switch words[0] {
	case "off":
		a.Document.TwoFactor = policy.Off
	case "required":
		a.Document.TwoFactor = policy.Required
	case "user":
		a.User.RequireTwoFactor = true
	}
	if c.is("own_way") {
		a.Document.OwnWay = []authn.Audience{authn.InternalAudience}
	}
	if words[2] != "" {
		a.Document.Strength = map[string]policy.Strength{"role": policy.Strength(words[2])}
	}
	if c.is("had") {
		a.User.HadFactorAt = now.Add(-time.Hour)
	}
	add := func(k authn.Kind, s authn.FactorState, change func(*authn.Factor)) {
		f := authn.Factor{ID: "fac_" + string(k), Kind: k, State: s, Counts: map[authn.Lane]authn.Count{}}
		if change != nil {
			change(&f)
		}
		a.Factors = append(a.Factors, f)
	}
	tries := func(n int, until time.Time) func(*authn.Factor) {
		return func(f *authn.Factor) { f.Counts[authn.Stranger] = authn.Count{Tries: n, PausedUntil: until} }
	}
	switch words[4] {
	case "app":
		add(authn.TOTP, authn.Confirmed, nil)
	case "mail":
		add(authn.Email, authn.Confirmed, nil)
	case "app+mail":
		add(authn.TOTP, authn.Confirmed, nil)
		add(authn.Email, authn.Confirmed, nil)
	case "key":
		add(authn.WebAuthn, authn.Confirmed, nil)
	case "key not taken":
		a.Document.Passkeys = &policy.Passkeys{DeviceBound: true}
		add(authn.WebAuthn, authn.Confirmed, func(f *authn.Factor) { f.Data = []byte(`{"be":true}`) })
	case "asleep":
		add(authn.TOTP, authn.Asleep, nil)
	case "locked":
		add(authn.TOTP, authn.Confirmed, tries(authn.ShareStranger, time.Time{}))
	case "paused":
		add(authn.TOTP, authn.Confirmed, tries(12, now.Add(time.Minute)))
	case "sms":
		add(authn.SMS, authn.Confirmed, nil)
	}
	switch words[5] {
	case "codes":
		add(authn.BackupCode, authn.Confirmed, func(f *authn.Factor) { f.Left = 3 })
	case "codes used up":
		add(authn.BackupCode, authn.Confirmed, nil)
	}
	switch words[6] {
	case "bypass":
		add(authn.BypassCode, authn.Confirmed, func(f *authn.Factor) { f.ExpiresAt, f.Epoch = now.Add(time.Minute), 5 })
	case "bypass over":
		add(authn.BypassCode, authn.Confirmed, func(f *authn.Factor) { f.ExpiresAt, f.Epoch = now, 5 })
	case "bypass of an epoch before":
		add(authn.BypassCode, authn.Confirmed, func(f *authn.Factor) { f.ExpiresAt, f.Epoch = now.Add(time.Minute), 4 })
	}
	switch words[7] {
	case "unverified":
		a.User.EmailVerifiedAt = time.Time{}
	case "new":
		a.User.EmailChangedAt = now.Add(-23 * time.Hour)
	case "none":
		a.User.Email, a.User.EmailVerifiedAt = "", time.Time{}
	}
	if c.is("secured") {
		a.User.SecuredAt = now.Add(-time.Hour)
	}
	if c.is("grace") {
		a.Document.GraceDays = 7
	}
	var kind string
	for rest := words[10]; rest != ""; {
		if _, err := fmt.Sscan(rest, &kind); err != nil {
			panic(err)
		}
		a.Proofs = append(a.Proofs, shows(authn.Kind(kind)))
		rest = rest[min(len(rest), len(kind)):]
		if rest != "" {
			rest = rest[1:]
		}
	}
	return c
}

// eachCase is a tenth of all mixes, another one each time; SALLYPORT_TEST_ALL=1
// for the two and a half million.
func eachCase(t *testing.T, f func(tableCase)) (n int) {
	seed, all := uint64(time.Now().UnixNano()), os.Getenv("SALLYPORT_TEST_ALL") != ""
	if s := os.Getenv("SALLYPORT_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SALLYPORT_TEST_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	words := make([]string, len(dimensions))
	var walk func(i int)
	walk = func(i int) {
		if i == len(dimensions) {
			if !all && r.IntN(10) > 0 {
				return
			}
			n++
			f(build(slices.Clone(words)))
			return
		}
		for _, v := range dimensions[i].values {
			words[i] = v
			walk(i + 1)
		}
	}
	walk(0)
	return n
}

func (c tableCase) String() string {
	raw, _ := json.Marshal(c.words)
	return string(raw)
}

func (c tableCase) proved(k authn.Kind) bool {
	return slices.ContainsFunc(c.Proofs, func(p authn.Proof) bool { return p.Kind == k && (k != authn.WebAuthn || !c.is("key not taken")) })
}

// knows reports whether something known was proven, or that the device made sure.
func (c tableCase) knows() bool {
	return c.proved(authn.Password) || c.proved(authn.WebAuthn) && slices.ContainsFunc(c.Proofs, func(p authn.Proof) bool { return p.Traits.UserVerified })
}

// TestEvaluateTable_rul1_rul2_rul18_rul26_invD holds mixes of policy,
// account and proofs against what must never be.
func TestEvaluateTable_rul1_rul2_rul18_rul26_invD(t *testing.T) {
	failed := 0
	fail := func(c tableCase, n policy.Need, what string) {
		if failed++; failed <= 10 {
			t.Errorf("%s\n%v\n%+v", what, c, n)
		}
	}
	states := map[authn.State]int{}
	n := eachCase(t, func(c tableCase) {
		n := policy.Evaluate(c.Asked)
		states[n.State]++
		signIn := c.Purpose == authn.SignIn
		in := n.State == authn.Complete || n.State == authn.NeedPasswordChange
		demanded := len(policy.Why(c.Document, c.User, c.Factors)) > 0
		has := c.proved(authn.TOTP) || c.proved(authn.WebAuthn) || c.proved(authn.BackupCode)
		outside := has || c.proved(authn.Email) || c.proved(authn.BypassCode) || c.proved(authn.Invitation)
		minimum := c.Document.Minimum(c.User)

		if signIn && in && !c.knows() {
			fail(c, n, "let in without something known")
		}
		if signIn && in && demanded && !has && !c.proved(authn.Email) && !c.proved(authn.Invitation) {
			fail(c, n, "let in on knowledge alone although something is demanded (F2)")
		}
		if n.State == authn.NeedEnrolment {
			if !signIn || !outside || !c.knows() {
				fail(c, n, "set-up without a proof from outside the password (rul-1)")
			}
			if minimum != policy.AnyStrength && !c.proved(authn.BypassCode) && !c.proved(authn.Invitation) {
				fail(c, n, "set-up of a role with a minimum strength by a code to a contact (rul-1)")
			}
			if c.proved(authn.Email) && !c.proved(authn.Invitation) && !c.proved(authn.BypassCode) && !c.is("mail") && !c.is("app+mail") &&
				(c.is("unverified") || c.is("new") || c.is("none")) {
				fail(c, n, "a contact that is no way for the person opened set-up (rul-2)")
			}
			if n.Opened != c.proved(authn.BypassCode) && n.Opened {
				fail(c, n, "on probation without a help code")
			}
		}
		if !n.GraceUntil.IsZero() && (n.State != authn.NeedEnrolment || c.proved(authn.BypassCode) || minimum != policy.AnyStrength || c.is("secured") || !c.is("grace")) {
			fail(c, n, "grace where there is none")
		}
		if signIn && in && demanded && minimum == policy.PhishingResistant && !c.proved(authn.WebAuthn) {
			fail(c, n, "weaker than the role asks (G4)")
		}
		if signIn && in && demanded && minimum == policy.OwnPossession && !has {
			fail(c, n, "weaker than the role asks (G4)")
		}
		if in && n.ACR == authn.AAL2 && (!c.knows() || !has || c.proved(authn.BypassCode)) {
			fail(c, n, "above what was proven (inv-D, rul-18)")
		}
		if in && n.ACR == authn.AAL1 && c.knows() && has && !c.proved(authn.BypassCode) {
			fail(c, n, "below what was proven")
		}
		if n.ACR != "" && n.ACR != authn.AAL1 && n.ACR != authn.AAL2 {
			fail(c, n, "a level that nothing here shows (std-29)")
		}
		if slices.ContainsFunc(n.Offers, func(o policy.Offer) bool { return o.Kind == authn.WebAuthn && !c.is("key") }) {
			fail(c, n, "a passkey that the company does not take is offered")
		}
		if !in && (n.ACR != "" || len(n.AMR) > 0) {
			fail(c, n, "a level before the end")
		}
		if signIn && c.is("secured") && n.State == authn.Complete {
			fail(c, n, "the password of before goes on after \"this wasn't me\"")
		}
		if (n.State == authn.NeedFactor) != (len(n.Offers) > 0) {
			fail(c, n, "offers")
		}
		if signIn && n.State == authn.Denied && n.Denied == "" {
			fail(c, n, "denied without a reason")
		}
		for i, o := range n.Offers {
			helps := o.Kind == authn.BackupCode || o.Kind == authn.BypassCode
			if helps && (o.Preferred || i == 0 && n.Offers[len(n.Offers)-1].Usable() && !n.Offers[len(n.Offers)-1].Recovery && o.Usable()) {
				fail(c, n, "what helps out comes first")
			}
			if o.Preferred != (i == 0) && !n.Offers[0].Recovery {
				fail(c, n, "preferred")
			}
			if o.Fallback && (policy.Enrolled(c.Factors) || c.is("had") && !(c.is("secured") && !policy.Demanded(c.Document, c.User)) || minimum != policy.AnyStrength && signIn ||
				!c.is("verified")) {
				fail(c, n, "a fall-back code (rul-2)")
			}
			if o.Kind == authn.BackupCode && (!c.is("codes") || !policy.Enrolled(c.Factors)) {
				fail(c, n, "backup codes")
			}
			if o.Kind == authn.BypassCode && (!c.is("bypass") || !signIn) {
				fail(c, n, "a help code (rul-18, rul-26)")
			}
			if o.Kind == authn.BackupCode && !signIn && (c.is("app") || c.is("app+mail") || c.is("key") || c.is("paused")) {
				fail(c, n, "backup codes at a step-up of somebody who has a way (rul-26)")
			}
			if c.is("off") {
				fail(c, n, "something is offered although two steps are off (G1)")
			}
		}
		if !signIn && n.State == authn.Complete {
			holds := policy.Holds(c.Factors, every) && !c.is("off")
			if holds && !has {
				fail(c, n, "a step-up below the strongest factor (rul-26)")
			}
			if len(c.Proofs) == 0 {
				fail(c, n, "a step-up by nothing")
			}
			if !c.proved(authn.Password) && !has && !c.proved(authn.Email) {
				fail(c, n, "a step-up by what is none")
			}
		}
		// A session made now is good now, and under the strictest policy only if it
		// showed what that one asks (cve-53).
		if signIn && n.State == authn.Complete {
			agrees(c, n, fail)
		}
	})
	t.Logf("%d cases: %v", n, states)
	if failed > 10 {
		t.Errorf("%d failures", failed)
	}
	for _, s := range []authn.State{authn.Complete, authn.NeedFactor, authn.NeedEnrolment, authn.NeedPassword, authn.NeedPasswordChange, authn.Denied} {
		if states[s] == 0 {
			t.Errorf("%s was never reached", s)
		}
	}
}

func agrees(c tableCase, n policy.Need, fail func(tableCase, policy.Need, string)) {
	raw, err := c.Document.Encode()
	if err != nil {
		panic(err)
	}
	u := c.User
	rows := &authn.Rows{Company: &authn.Company{Policy: raw}, User: &u, Factors: c.Factors,
		Session: &authn.Session{Epoch: u.Epoch, AMR: n.AMR, ACR: n.ACR, LastSeenAt: now, ExpiresAt: now.Add(time.Hour)}}
	if policy.CheckSession(rows, now) != nil {
		fail(c, n, "the session is dead at once")
	}
	strict := policy.Document{Format: 1, TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience, authn.ExternalAudience},
		Strength: map[string]policy.Strength{"role": policy.PhishingResistant}}
	if rows.Company.Policy, err = strict.Encode(); err != nil {
		panic(err)
	}
	if good := policy.CheckSession(rows, now) == nil; good != c.proved(authn.WebAuthn) {
		fail(c, n, fmt.Sprintf("under the strictest policy the session is good: %t", good))
	}
	strict.Strength = nil
	if rows.Company.Policy, err = strict.Encode(); err != nil {
		panic(err)
	}
	showed := slices.ContainsFunc(c.Proofs, func(p authn.Proof) bool { return p.Traits.Possession && c.proved(p.Kind) })
	beside := policy.Holds(c.Factors, every) && (c.proved(authn.Email) || c.proved(authn.Invitation))
	if good := policy.CheckSession(rows, now) == nil; good != (showed || beside) {
		fail(c, n, fmt.Sprintf("where a way of one's own is asked, the session is good: %t", good))
	}
}

// A session of somebody who put set-up off is good for as long as sign-in would
// let them put it off again.
func TestPostponedSession_F3(t *testing.T) {
	d := policy.Document{Format: 1, TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience}, GraceDays: 2}
	raw, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	u := authn.User{Status: authn.Active, Audience: authn.InternalAudience, Email: "m@acme.example", EmailVerifiedAt: now, GraceAt: now}
	for _, proofs := range [][]authn.Proof{{shows(authn.Password), shows(authn.Email)}, {shows(authn.Invitation), shows(authn.Password)}} {
		for after, want := range map[time.Duration]bool{0: true, 47 * time.Hour: true, 48 * time.Hour: false} {
			at := now.Add(after)
			n := policy.Evaluate(policy.Asked{Document: d, User: u, Proofs: proofs, Purpose: authn.SignIn, Lane: authn.Stranger, Now: at, Traits: every})
			_, methods := policy.Level(proofs)
			rows := &authn.Rows{Company: &authn.Company{Policy: raw}, User: &u, Session: &authn.Session{AMR: methods, LastSeenAt: at, ExpiresAt: at.Add(time.Hour)}}
			if (policy.CheckSession(rows, at) == nil) != want || n.State != authn.NeedEnrolment || n.GraceUntil.IsZero() == want {
				t.Errorf("after %v: session %v, %+v", after, policy.CheckSession(rows, at), n)
			}
		}
	}
}

// --- what is sent

func TestSend_std20_decision7(t *testing.T) {
	next := func(id, factor string) authn.Challenge {
		return authn.Challenge{ID: id, Factor: factor, Destination: "m@acme.example", Purpose: authn.CodeSignIn, Lane: authn.Stranger}
	}
	const lives = 2 * time.Minute
	var sent []authn.Challenge
	at := func(s time.Duration) time.Time { return now.Add(s * time.Second) }
	for i, tt := range []struct {
		after  time.Duration // seconds since the first
		wait   time.Duration // refused, for so long
		limit  bool          // refused for good
		fresh  bool          // a new code
		resend time.Duration // seconds from then; -1: never
	}{
		{after: 0, fresh: true, resend: 30},
		{after: 0, wait: 30 * time.Second},
		{after: 29, wait: time.Second},
		{after: 30, resend: 60}, // 90 s are left: the same
		{after: 89, wait: time.Second},
		{after: 90, fresh: true, resend: 120}, // 30 s are left: a new one
		{after: 209, wait: time.Second},       // the first is over, and still counts
		{after: 210, fresh: true, resend: -1},
		{after: 211, limit: true},
		{after: 800, limit: true},
	} {
		got, err := policy.Send(next(fmt.Sprint("c", i), "f"), sent, authn.SentCodes{}, lives, at(tt.after))
		e := &authn.Error{}
		if err != nil {
			e = authn.AsError(err)
		}
		switch {
		case tt.limit:
			if e.Code != authn.TooManyRequests || e.TextKey() != "error.send_limit" {
				t.Errorf("%d: %v", i, err)
			}
		case tt.wait > 0:
			if e.Code != authn.TooManyRequests || e.TextKey() != "error.send_wait" || e.RetryAfter != tt.wait || !e.ExpiresAt.Equal(at(tt.after).Add(tt.wait)) {
				t.Errorf("%d: %+v", i, e)
			}
		case err != nil:
			t.Errorf("%d: %v", i, err)
		default:
			if got.New != tt.fresh {
				t.Errorf("%d: new %t", i, got.New)
			}
			if c := got.Challenge; c.Sends != 1 && got.New || !c.SentAt.Equal(at(tt.after)) || got.New && (!c.CreatedAt.Equal(at(tt.after)) || c.ExpiresAt.Sub(c.CreatedAt) != lives) {
				t.Errorf("%d: %+v", i, c)
			}
			want := time.Time{}
			if tt.resend >= 0 {
				want = at(tt.after + tt.resend)
			}
			if !got.ResendAt.Equal(want) {
				t.Errorf("%d: again at %v, want %v", i, got.ResendAt, want)
			}
			if !got.New {
				sent = sent[:len(sent)-1]
			}
			sent = append(sent, got.Challenge)
			if again := policy.ResendAt(sent); !again.Equal(want) {
				t.Errorf("%d: ResendAt %v, want %v", i, again, want)
			}
		}
	}
	// Another factor, address or purpose has waits of its own.
	for name, change := range map[string]func(*authn.Challenge){
		"factor":  func(c *authn.Challenge) { c.Factor = "g" },
		"address": func(c *authn.Challenge) { c.Destination = "n@acme.example" },
		"purpose": func(c *authn.Challenge) { c.Purpose = authn.CodeStepUp },
	} {
		c := next("other", "f")
		change(&c)
		if got, err := policy.Send(c, sent, authn.SentCodes{}, lives, at(211)); err != nil || !got.New {
			t.Errorf("another %s: %v", name, err)
		}
	}
	// The limits of a lane hold whatever the waits say, and the last one below is let through.
	for _, lane := range []authn.Lane{authn.Stranger, authn.Known} {
		l := policy.SendLimit(lane)
		for total, ok := range map[authn.SentCodes]bool{
			{}: true, {Hour: l.Hour - 1, Day: l.Hour}: true, {Hour: l.Hour, Day: l.Hour}: false, {Hour: 0, Day: l.Day - 1}: true, {Hour: 0, Day: l.Day}: false,
		} {
			c := next("c", "f")
			c.Lane = lane
			if _, err := policy.Send(c, nil, total, lives, now); (err == nil) != ok {
				t.Errorf("%s %+v: %v", lane, total, err)
			}
		}
	}
	if k, s := policy.SendLimit(authn.Known), policy.SendLimit(authn.Stranger); k.Hour <= s.Hour || k.Day <= s.Day {
		t.Error("strangers may have more sent than the person")
	}
	// A short life: the same code while half of it is left.
	first, err := policy.Send(next("a", "f"), nil, authn.SentCodes{}, 40*time.Second, now)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := policy.Send(next("b", "f"), []authn.Challenge{first.Challenge}, authn.SentCodes{}, 40*time.Second, at(30)); err != nil || !got.New {
		t.Errorf("10 of 40 s are left: %+v %v", got, err)
	}
}
