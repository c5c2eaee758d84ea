package policy_test

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

func compare(t *testing.T, prev, next policy.Document, shapes map[string]int) policy.Preview {
	t.Helper()
	p, err := policy.Compare(policy.PreviewAsk{Old: prev, New: next, Shapes: shapes, Traits: all, Now: now, Administrators: []string{"owner", "administrator"}, Owner: "owner"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The preview of a company is what then happens to each of its people (G5), for
// random companies and policies.
func TestPreviewIsWhatHappens_property_G5(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 400 {
		prev, next := randomDocument(r), randomDocument(r)
		next = next.Following(prev)
		at := now
		if r.IntN(3) == 0 {
			at = now.Add(time.Hour)
			later := prev
			later.Next = &policy.Next{From: at, Document: next}
			next = later.Following(prev)
		}
		shapes, want := map[string]int{}, map[policy.Ask]int{}
		denied, weakened, owners, asleep, again := map[policy.Denial]int{}, 0, 0, 0, map[authn.Kind]int{}
		for range 30 {
			u, factors := randomPerson(r)
			if at.After(now) && u.ExemptUntil.After(now) {
				u.ExemptUntil = at.Add(time.Hour) // a shape knows of an exemption, and not until when
			}
			shapes[authn.ShapeOf(u, factors, now).String()]++
			o := policy.Foresee(next, u, factors, all, at)
			want[o.Ask]++
			await := policy.ToConfirm(policy.At(next, at), u, factors, all)
			for _, k := range kinds {
				if slices.ContainsFunc(await, func(f authn.Factor) bool { return f.Kind == k }) {
					again[k]++
				}
			}
			usable := append(policy.Second(policy.At(next, at), u, factors, all), await...)
			if slices.ContainsFunc(factors, func(f authn.Factor) bool {
				return f.Kind.Own() && f.State != authn.Pending && !slices.ContainsFunc(usable, func(x authn.Factor) bool { return x.ID == f.ID })
			}) {
				asleep++
			}
			if o.Ask == policy.AskDenied {
				denied[o.Denied]++
			} else if slices.Contains(u.Roles, "owner") && policy.Foresee(next, u, factors, all, now).Ask != policy.AskDenied {
				owners++
			}
			before := policy.Foresee(prev, u, factors, all, now)
			if o.Ask != policy.AskDenied && before.Ask != policy.AskDenied && policy.AsksMore(o, before) {
				weakened++
			}
		}
		p := compare(t, prev, next, shapes)
		got := map[policy.Ask]int{policy.AskSetUp: p.Groups[policy.GroupSetUp].People, policy.AskCode: p.Groups[policy.GroupCode].People,
			policy.AskOwn: p.Groups[policy.GroupOwn].People - want[policy.AskAgain], policy.AskNothing: p.Groups[policy.GroupNothing].People, policy.AskDenied: p.Groups[policy.GroupStranded].People}
		for ask, n := range got {
			if want[ask] != n {
				t.Fatalf("%s: the preview says %d, it happens to %d\n%+v\n%+v", ask, n, want[ask], prev, next)
			}
		}
		if got := p.Groups[policy.GroupAgain].Awaited; len(got)+len(again) > 0 && !maps.Equal(got, again) {
			t.Fatalf("to be confirmed again: the preview says %v, it is %v\n%+v\n%+v", got, again, prev, next)
		}
		if got := p.Groups[policy.GroupAsleep].People; got != asleep {
			t.Fatalf("cannot be used: the preview says %d, it is %d\n%+v\n%+v", got, asleep, prev, next)
		}
		for why, n := range denied {
			if p.Groups[policy.GroupStranded].Denied[why] != n {
				t.Fatalf("%s: %+v, want %v", why, p.Groups[policy.GroupStranded], denied)
			}
		}
		if p.People != 30 || p.OwnersLeft != owners || p.Groups[policy.GroupWeakened].People < weakened || weakened > 0 && !p.Weakens {
			t.Fatalf("%+v, want %d owners, %d weakened\n%+v\n%+v", p, owners, weakened, prev, next)
		}
	}
}

func shapeOf(n int, roles []string, kinds ...authn.Kind) (string, int) {
	s := authn.Shape{Audience: authn.InternalAudience, Status: authn.Active, Roles: roles, Email: true, Password: true, HadFactor: len(kinds) > 0, Kinds: kinds}
	return s.String(), n
}

// G5 as an administrator reads it: who is asked, who is excepted, who is stranded.
func TestPreview_G2_G5(t *testing.T) {
	shapes := map[string]int{}
	add := func(s string, n int) { shapes[s] += n }
	add(shapeOf(214, []string{"member"}))
	add(shapeOf(50, []string{"member"}, authn.TOTP))
	add(shapeOf(7, []string{"member"}, authn.SMS))
	add(shapeOf(2, []string{"owner"}, authn.SMS))
	api := authn.Shape{Audience: authn.InternalAudience, Status: authn.Active, API: true, Password: true}
	gone := authn.Shape{Audience: authn.InternalAudience, Status: authn.Suspended, Password: true, Email: true}
	shapes[api.String()], shapes[gone.String()] = 3, 11
	on := policy.Document{Format: 1, TwoFactor: policy.On, OwnWay: sides}
	required := on
	required.TwoFactor = policy.Required
	p := compare(t, on, required, shapes)
	if up := p.Groups[policy.GroupSetUp]; up.People != 214 || up.New != 214 || up.Roles["member"] != 214 || up.Administrators != 0 || len(up.Shapes) != 1 {
		t.Errorf("%+v", up)
	}
	if p.People != 276 || p.Groups[policy.GroupAPI].People != 3 || p.Groups[policy.GroupAPI].New != 0 || p.Weakens || p.OwnersBefore != 2 || p.OwnersLeft != 2 {
		t.Errorf("%+v", p)
	}
	// A method is taken away: who relied on it, and that the owners are among them.
	apps := required
	apps.Methods = []authn.Kind{authn.TOTP}
	p = compare(t, required, apps, shapes)
	lost := p.Groups[policy.GroupStranded]
	if lost.People != 9 || lost.Administrators != 2 || lost.Owners != 2 || lost.Methods[authn.SMS] != 9 || lost.Denied[policy.Stranded] != 9 || p.OwnersLeft != 0 || p.OwnersBefore != 2 {
		t.Errorf("%+v %+v", lost, p)
	}
	if asleep := p.Groups[policy.GroupAsleep]; asleep.People != 9 {
		t.Errorf("%+v", asleep)
	}
	// Off again: everybody is asked for less, and the ways sleep.
	off := policy.Document{Format: 1, TwoFactor: policy.Off}
	p = compare(t, required, off, shapes)
	if weak := p.Groups[policy.GroupWeakened]; weak.People != 273 || weak.Administrators != 2 || !p.Weakens || p.Groups[policy.GroupAsleep].People != 59 {
		t.Errorf("%+v", p)
	}
	if _, err := json.Marshal(p); err != nil {
		t.Error(err)
	}
	if _, err := policy.Compare(policy.PreviewAsk{Old: on, New: on, Shapes: map[string]int{"no shape": 1}, Traits: all, Now: now}); err == nil {
		t.Error("people were left out")
	}
}

// What weakens everybody, whatever shape people are of (rul-25).
func TestWeakens_rul25(t *testing.T) {
	keys := func(copies, bound, attested bool, models ...string) *policy.Passkeys {
		return &policy.Passkeys{BlockCopied: copies, DeviceBound: bound, Attested: attested, Models: models}
	}
	old := policy.Document{Format: 1, TwoFactor: policy.Required, Passkeys: keys(true, true, false, "a", "b"), CompanyWideOnly: true, Methods: []authn.Kind{authn.TOTP, authn.WebAuthn}, RequireRoles: []string{"agent"},
		Strength: map[string]policy.Strength{"owner": policy.PhishingResistant}, ProofsByRole: map[string]int{"owner": 2}, NoEmailFallback: true, GraceDays: 3, CodeSeconds: 120,
		PasswordLength: 16, StepUpSeconds: 300, SessionSeconds: 3600, IdleSeconds: 600, AttemptSeconds: 300, FreeTries: 5, PauseSeconds: 600, LongestPauseSeconds: 1800}
	if compare(t, old, old, nil).Weakens {
		t.Error("nothing changed")
	}
	for name, tt := range map[string]struct {
		change func(*policy.Document)
		want   bool
	}{
		"off":                {func(d *policy.Document) { d.TwoFactor = policy.Off }, true},
		"exceptions allowed": {func(d *policy.Document) { d.CompanyWideOnly = false }, true},
		"weaker method":      {func(d *policy.Document) { d.Methods = append(slices.Clone(d.Methods), authn.Email) }, true},
		"stronger methods":   {func(d *policy.Document) { d.Methods = []authn.Kind{authn.WebAuthn} }, false},
		"role":               {func(d *policy.Document) { d.RequireRoles = nil }, true},
		"role, by proofs": {func(d *policy.Document) {
			d.RequireRoles, d.ProofsByRole = nil, map[string]int{"owner": 2, "agent": 1}
		}, false},
		"strength":        {func(d *policy.Document) { d.Strength = map[string]policy.Strength{"owner": policy.OwnPossession} }, true},
		"proofs":          {func(d *policy.Document) { d.ProofsByRole = map[string]int{"owner": 1} }, true},
		"mail":            {func(d *policy.Document) { d.NoEmailFallback = false }, true},
		"texts":           {func(d *policy.Document) { d.SMSFallback = true }, true},
		"grace":           {func(d *policy.Document) { d.GraceDays = 4 }, true},
		"less grace":      {func(d *policy.Document) { d.GraceDays = 0 }, false},
		"codes":           {func(d *policy.Document) { d.CodeSeconds = 121 }, true},
		"password":        {func(d *policy.Document) { d.PasswordLength = 0 }, true},
		"step-up":         {func(d *policy.Document) { d.StepUpSeconds = 0 }, true},
		"session":         {func(d *policy.Document) { d.SessionSeconds = 0 }, true},
		"shorter session": {func(d *policy.Document) { d.SessionSeconds = 1800 }, false},
		"idle":            {func(d *policy.Document) { d.IdleSeconds = 601 }, true},
		"attempt":         {func(d *policy.Document) { d.AttemptSeconds = 0 }, true},
		"tries":           {func(d *policy.Document) { d.FreeTries = 6 }, true},
		"fewer tries":     {func(d *policy.Document) { d.FreeTries = 3 }, false},
		"pause":           {func(d *policy.Document) { d.PauseSeconds = 599 }, true},
		"longest pause":   {func(d *policy.Document) { d.LongestPauseSeconds = 1000 }, true},
		"longer lock":     {func(d *policy.Document) { d.LongestPauseSeconds = 3600 }, false},
		"copies":          {func(d *policy.Document) { d.Passkeys = keys(false, true, false, "a", "b") }, true},
		"synced keys":     {func(d *policy.Document) { d.Passkeys = keys(true, false, false, "a", "b") }, true},
		"any maker":       {func(d *policy.Document) { d.Passkeys = keys(true, true, false) }, true},
		"any model":       {func(d *policy.Document) { d.Passkeys = keys(true, true, true) }, true},
		"another model":   {func(d *policy.Document) { d.Passkeys = keys(true, true, false, "b", "c") }, true},
		"fewer models":    {func(d *policy.Document) { d.Passkeys = keys(true, true, true, "b") }, false},
		"attested twice":  {func(d *policy.Document) { d.Passkeys = keys(true, true, true, "b", "a") }, false},
		"no rules":        {func(d *policy.Document) { d.Passkeys = nil }, true},
		"weaker from Monday": {func(d *policy.Document) {
			d.Next = &policy.Next{From: now.Add(time.Hour), Document: policy.Document{Format: 1, TwoFactor: policy.On}}
		}, true},
	} {
		next := old
		tt.change(&next)
		if got := compare(t, old, next, nil).Weakens; got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// What is demanded of nobody who is there, and of whoever comes next: to take it away
// weakens, although everybody has a way of their own or the audience has no people.
func TestWeakensForThoseToCome_rul25(t *testing.T) {
	enrolled := map[string]int{authn.Shape{Audience: authn.InternalAudience, Status: authn.Active, Roles: []string{"owner"}, Kinds: []authn.Kind{authn.TOTP}, Password: true, Email: true}.String(): 3}
	required := policy.Document{Format: 1, TwoFactor: policy.Required}
	for name, tt := range map[string]struct {
		old    policy.Document
		change func(*policy.Document)
		want   bool
	}{
		"nothing":                      {required, func(*policy.Document) {}, false},
		"required no more":             {required, func(d *policy.Document) { d.TwoFactor = policy.On }, true},
		"required from now on":         {policy.Document{Format: 1, TwoFactor: policy.On}, func(d *policy.Document) { d.TwoFactor = policy.Required }, false},
		"customers no more":            {policy.Document{Format: 1, TwoFactor: policy.On, External: policy.RequiredThere}, func(d *policy.Document) { d.External = policy.OfferedToThem }, true},
		"customers from now on":        {policy.Document{Format: 1, TwoFactor: policy.On}, func(d *policy.Document) { d.External = policy.RequiredThere }, false},
		"no way of their own any more": {policy.Document{Format: 1, TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience}}, func(d *policy.Document) { d.OwnWay = nil }, true},
	} {
		next := tt.old
		tt.change(&next)
		if got := compare(t, tt.old, next, enrolled).Weakens; got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
