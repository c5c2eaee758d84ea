package duo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/method/duo"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// world is a company with Duo, and a person.
type world struct {
	*sallyporttest.Duo
	m     *duo.Method
	slept []time.Duration
}

func newWorld(t *testing.T, c sallyporttest.DuoConfig) *world {
	t.Helper()
	w := &world{Duo: sallyporttest.NewDuo(t, c)}
	m, err := duo.New(duo.Config{HTTP: w.HTTP.Client(), Base: w.Base, Sleep: func(ctx context.Context, d time.Duration) error {
		w.slept = append(w.slept, d)
		return ctx.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.m = m
	return w
}

// maya is a person with a phone.
func maya() sallyporttest.DuoUser {
	return sallyporttest.DuoUser{Username: "maya", UserID: "DUMAYA", Devices: []sallyporttest.DuoDevice{sallyporttest.DuoPhone("DPMAYA")}, Passcodes: []string{"123456", "123456789"}}
}

func (w *world) request(secret string) authn.Request {
	return authn.Request{
		Company: authn.Company{Name: "Acme Projects"}, User: authn.User{Login: "maya", Email: "maya@acme.example", EmailVerifiedAt: time.Unix(1, 0)},
		Attempt: &authn.Attempt{Purpose: authn.SignIn}, Factor: authn.Factor{Kind: authn.Duo, State: authn.Confirmed}, Secret: []byte(secret),
		Client: authn.Client{Address: netip.MustParseAddr("::ffff:192.0.2.7"), Agent: "Chrome on Windows"}, Settings: w.Settings(),
	}
}

const (
	byName = `{"username":"maya"}`
	byID   = `{"user_id":"DUMAYA","username":"maya"}`
)

// forbidden is the key of a PolicyForbids, or "".
func forbidden(err error) string {
	var e *authn.Error
	if !errors.As(err, &e) || e.Code != authn.PolicyForbids {
		return ""
	}
	return e.Key
}

func TestNew(t *testing.T) {
	if _, err := duo.New(duo.Config{}); err == nil {
		t.Error("no HTTP client, and no error")
	}
	w := newWorld(t, sallyporttest.DuoConfig{})
	if w.m.Kind() != authn.Duo || w.m.Quick() || w.m.Traits() != (authn.Traits{Possession: true, OutOfBand: true}) {
		t.Errorf("%v %v", w.m.Kind(), w.m.Traits())
	}
	if w.m.Offered(authn.Company{}) || w.m.Offered(authn.Company{Provides: []authn.Kind{authn.Email}}) || !w.m.Offered(authn.Company{Provides: []authn.Kind{authn.Duo}}) {
		t.Error("offered to the wrong companies")
	}
}

// D3: a push, with what it shows, to its end.
func TestPush_D3(t *testing.T) {
	type end struct {
		act    func(*world, string) error
		ok     bool
		reason string
	}
	ends := map[string]end{
		"approve":                {func(w *world, id string) error { return w.Approve(id) }, true, ""},
		"deny":                   {func(w *world, id string) error { return w.Deny(id) }, false, "denied"},
		"fraud":                  {func(w *world, id string) error { return w.Fraud(id) }, false, "fraud"},
		"timeout":                {func(w *world, id string) error { return w.TimeOut(id) }, false, "timeout"},
		"locked":                 {func(w *world, id string) error { return w.LockOut(id) }, false, "locked_out"},
		"bypass":                 {func(w *world, id string) error { return w.Set(id, "allow", "bypass", "You are bypassed") }, false, "failed"},
		"unknown status":         {func(w *world, id string) error { return w.Set(id, "allow", "remembered", "") }, false, "failed"},
		"unknown result":         {func(w *world, id string) error { return w.Set(id, "yes", "allow", "") }, false, "failed"},
		"no result":              {func(w *world, id string) error { return w.Set(id, "", "", "") }, false, "failed"},
		"push failed, then deny": {func(w *world, id string) error { return errors.Join(w.FailPush(id), w.Deny(id)) }, false, "denied"},
	}
	for name, end := range ends {
		for _, secret := range []string{byName, byID} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, sallyporttest.DuoConfig{})
				w.AddUser(maya())
				r := w.request(secret)
				s, err := w.m.Start(t.Context(), r, "push:DPMAYA")
				if err != nil {
					t.Fatal(err)
				}
				if !s.Waits || s.LetIn || s.Way != "push" || s.Device != "iOS (XXX-XXX-1242)" || s.Ends != "42" || s.Number != "" || s.Lives != time.Minute {
					t.Errorf("%+v", s)
				}
				p := w.Pushes()
				if len(p) != 1 || p[0].TxID != s.Reference || p[0].Type != "Sign-in" || p[0].Display != "maya" || p[0].Address != "192.0.2.7" || p[0].Device != "DPMAYA" {
					t.Fatalf("%+v", p)
				}
				if i := p[0].Info; i.Get("Company") != "Acme Projects" || i.Get("Browser") != "Chrome on Windows" || i.Get("Address") != "192.0.2.7" {
					t.Errorf("%v", i)
				}
				var notes []string
				got, err := w.m.Follow(t.Context(), r, s, func(m string) {
					if notes = append(notes, m); len(notes) == 1 {
						if err := end.act(w, s.Reference); err != nil {
							t.Error(err)
						}
					}
				})
				if err != nil || got.Approved != end.ok || got.Reason != end.reason || (got.AMR == "pop") != end.ok {
					t.Errorf("%+v, %v", got, err)
				}
				if len(notes) == 0 || notes[0] != "Pushed a login request to your device..." {
					t.Errorf("%q", notes)
				}
			})
		}
	}
}

func TestPhone_D3(t *testing.T) {
	w := newWorld(t, sallyporttest.DuoConfig{})
	w.AddUser(maya())
	r := w.request(byName)
	s, err := w.m.Start(t.Context(), r, "phone:DPMAYA")
	if err != nil || s.Way != "phone" || !s.Waits {
		t.Fatalf("%+v %v", s, err)
	}
	var notes []string
	got, err := w.m.Follow(t.Context(), r, s, func(m string) {
		notes = append(notes, m)
		next := w.PickUp
		if len(notes) == 2 {
			next = w.Approve
		}
		if err := next(s.Reference); err != nil {
			t.Error(err)
		}
	})
	if err != nil || !got.Approved || got.AMR != "tel" || len(notes) != 2 {
		t.Errorf("%+v %v %q", got, err, notes)
	}
}

// D3: passcodes by text message are sent, and then typed; each is good once.
func TestTexts_D3(t *testing.T) {
	w := newWorld(t, sallyporttest.DuoConfig{})
	w.AddUser(maya())
	r := w.request(byID)
	s, err := w.m.Start(t.Context(), r, "sms:DPMAYA")
	if err != nil || s.Waits || s.LetIn || s.Way != "sms" {
		t.Fatalf("%+v %v", s, err)
	}
	if got, err := w.m.Follow(t.Context(), r, s, nil); err != nil || got.Approved {
		t.Errorf("%+v %v", got, err)
	}
	code := w.Texts()[0].Codes[1]
	for i, want := range []authn.Outcome{authn.Right, authn.Wrong} {
		got, err := w.m.Verify(t.Context(), r, authn.Answer{Code: code[:3] + " " + code[3:]})
		if err != nil || got.Outcome != want || (got.AMR == "otp") != (want == authn.Right) {
			t.Errorf("%d: %+v %v", i, got, err)
		}
	}
}

func TestStart_chooses_D3(t *testing.T) {
	phone := func(id string, can ...string) sallyporttest.DuoDevice {
		return sallyporttest.DuoDevice{ID: id, Type: "phone", Name: id, Capabilities: can}
	}
	tests := []struct {
		name, option string
		devices      []sallyporttest.DuoDevice
		way, device  string // at Duo
		shown        string
	}{
		{"one", "", []sallyporttest.DuoDevice{phone("DPA", "push", "sms")}, "push", "DPA", "DPA"},
		{"two", "", []sallyporttest.DuoDevice{phone("DPA", "phone"), phone("DPB", "push"), phone("DPC", "push")}, "push", "DPB", ""},
		{"a desk phone", "", []sallyporttest.DuoDevice{phone("DPA", "sms", "phone")}, "phone", "DPA", "DPA"},
		{"chosen", "push:DPC", []sallyporttest.DuoDevice{phone("DPB", "push"), phone("DPC", "push")}, "push", "DPC", "DPC"},
		{"not there", "push:DPX", []sallyporttest.DuoDevice{phone("DPB", "push")}, "", "", ""},
		{"cannot", "phone:DPB", []sallyporttest.DuoDevice{phone("DPB", "push")}, "", "", ""},
		{"not a way", "auto:DPB", []sallyporttest.DuoDevice{phone("DPB", "auto", "push")}, "", "", ""},
		{"only a token", "", []sallyporttest.DuoDevice{{ID: "DHT", Type: "token"}}, "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, sallyporttest.DuoConfig{})
			w.AddUser(sallyporttest.DuoUser{Username: "maya", Devices: tt.devices})
			s, err := w.m.Start(t.Context(), w.request(byName), tt.option)
			if tt.way == "" {
				if !errors.Is(err, authn.Invalid) || len(w.Pushes()) != 0 {
					t.Errorf("%+v %v", s, err)
				}
				return
			}
			if p := w.Pushes(); err != nil || s.Way != tt.way || s.Device != tt.shown || p[0].Factor != tt.way || p[0].Device != tt.device {
				t.Errorf("%+v %v %+v", s, err, p)
			}
		})
	}
}

func TestVerifiedPush_D3(t *testing.T) {
	for _, right := range []bool{true, false} {
		w := newWorld(t, sallyporttest.DuoConfig{})
		u := maya()
		u.Verified = true
		w.AddUser(u)
		r := w.request(byName)
		if _, err := w.m.Options(t.Context(), r); err != nil { // its number is another
			t.Fatal(err)
		}
		s, err := w.m.Start(t.Context(), r, "push:DPMAYA")
		if err != nil || len(s.Number) != 3 {
			t.Fatalf("%+v %v", s, err)
		}
		if p := w.Pushes(); len(p) != 1 || p[0].Number != s.Number || p[0].TxID != s.Reference {
			t.Fatalf("%+v", p)
		}
		number := s.Number
		if !right {
			number += "0"
		}
		got, err := w.m.Follow(t.Context(), r, s, func(string) {
			if err := w.Enter(s.Reference, number); err != nil {
				t.Error(err)
			}
		})
		if err != nil || got.Approved != right {
			t.Errorf("%+v %v", got, err)
		}
	}
}

// rul-33: what preauth says is obeyed each time, by everything that asks.
func TestPreauth_D4_rul33(t *testing.T) {
	for result, want := range map[string]string{"deny": "error.duo_denied", "allow": "error.duo_allow", "enroll": "error.duo_enroll", "later": "error.duo_denied", "": ""} {
		t.Run(result, func(t *testing.T) {
			w := newWorld(t, sallyporttest.DuoConfig{})
			u := maya()
			u.Result, u.Message = result, "Words\x1b of\u202e Duo"
			w.AddUser(u)
			r := w.request(byName)
			o, err := w.m.Options(t.Context(), r)
			if err != nil || o.Message != "Words of Duo" || o.Code != (want == "") || (o.Verdict == authn.Asks) != (want == "") || len(o.List) != 3 && want == "" || len(o.List) != 0 && want != "" {
				t.Errorf("%+v %v", o, err)
			}
			if (o.Portal != "") != (result == "enroll") {
				t.Errorf("portal %q", o.Portal)
			}
			s, err := w.m.Start(t.Context(), r, "")
			if forbidden(err) != want || want != "" && s != (authn.Started{}) {
				t.Errorf("Start: %+v %v", s, err)
			}
			m, err := w.m.Verify(t.Context(), r, authn.Answer{Code: "123456"})
			if forbidden(err) != want || want != "" && m.Outcome != authn.Void {
				t.Errorf("Verify: %+v %v", m, err)
			}
			if n := len(w.Pushes()); want != "" && n != 0 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// rul-33: whom Duo lets in counts where the company says so, at sign-in only.
func TestLetIn_rul33(t *testing.T) {
	w := newWorld(t, sallyporttest.DuoConfig{})
	u := maya()
	u.Result = "allow"
	w.AddUser(u)
	on := []byte(strings.Replace(string(w.Settings()), "{", `{"let_in":true,`, 1))
	r := w.request(byName)
	r.Settings = on
	if s, err := w.m.Start(t.Context(), r, ""); err != nil || !s.LetIn || s.Waits || s.Reference != "" {
		t.Errorf("at sign-in: %+v %v", s, err)
	}
	if m, err := w.m.Verify(t.Context(), r, authn.Answer{Code: "123456"}); forbidden(err) != "error.duo_allow" || m.Outcome == authn.Right {
		t.Errorf("as a passcode: %+v %v", m, err)
	}
	for name, change := range map[string]func(*authn.Request){
		"not switched on":    func(r *authn.Request) { r.Settings = w.Settings() },
		"step-up":            func(r *authn.Request) { r.Attempt = &authn.Attempt{Purpose: authn.StepUp} },
		"an action":          func(r *authn.Request) { r.Action = "factor.remove" },
		"set-up":             func(r *authn.Request) { r.Factor.State = authn.Pending },
		"set-up, no attempt": func(r *authn.Request) { r.Attempt = nil },
		"asleep":             func(r *authn.Request) { r.Factor.State = authn.Asleep },
	} {
		r := w.request(byName)
		r.Settings = on
		change(&r)
		if s, err := w.m.Start(t.Context(), r, ""); forbidden(err) != "error.duo_allow" || s.LetIn {
			t.Errorf("%s: %+v %v", name, s, err)
		}
	}
	for _, result := range []string{"deny", "enroll", "what"} {
		u.Result = result
		w.AddUser(u)
		if s, err := w.m.Start(t.Context(), r, ""); err == nil || s.LetIn {
			t.Errorf("%s: %+v", result, s)
		}
	}
}

func TestVerify_D3(t *testing.T) {
	tests := []struct {
		name, code, auth string
		want             authn.Outcome
		key              string
	}{
		{"six digits", "123456", "", authn.Right, ""},
		{"bypass code of Duo", "123 456-789", "", authn.Right, ""},
		{"other digits", "１２３４５６", "", authn.Right, ""},
		{"wrong", "654321", "", authn.Wrong, ""},
		{"denied", "123456", "deny", authn.Wrong, ""},
		{"bypassed", "000000", "bypass", authn.Void, ""},
		{"locked out", "123456", "locked_out", authn.Void, "error.duo_locked_out"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, sallyporttest.DuoConfig{})
			u := maya()
			u.Auth = tt.auth
			w.AddUser(u)
			a := authn.Answer{Code: tt.code}
			if err := w.m.Shape(a); err != nil {
				t.Fatal(err)
			}
			got, err := w.m.Confirm(t.Context(), w.request(byName), a)
			if got.Outcome != tt.want || (err != nil) != (tt.want == authn.Void) || forbidden(err) != tt.key {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
}

// rul-44: what is no code is refused before anything is charged.
func TestShape_rul44(t *testing.T) {
	w := newWorld(t, sallyporttest.DuoConfig{})
	for code, want := range map[string]string{
		"": "required", " - ": "required", "12345": "too_few", "12345678901": "too_many", "12345a": "not_digits", strings.Repeat("1", 300): "too_many",
		"12\x00456": "not_digits", "123456": "", "1234567890": "", "١٢٣٤٥٦": "",
	} {
		err := w.m.Shape(authn.Answer{Code: code})
		var e *authn.Error
		got := ""
		if errors.As(err, &e) && e.Code == authn.Invalid && e.Fields[0].Name == "code" {
			got = e.Fields[0].Code
		}
		if got != want || strings.Contains(fmt.Sprint(err), "12345") {
			t.Errorf("%q: %v", code, err)
		}
		if _, err := w.m.Verify(t.Context(), w.request(byName), authn.Answer{Code: code}); want != "" && !errors.Is(err, authn.Invalid) {
			t.Errorf("%q is asked for: %v", code, err)
		}
	}
}

func TestBegin_D2(t *testing.T) {
	known := func(name, result string) sallyporttest.DuoUser {
		return sallyporttest.DuoUser{Username: name, Result: result, Devices: maya().Devices}
	}
	tests := []struct {
		name    string
		users   []sallyporttest.DuoUser
		config  sallyporttest.DuoConfig
		change  func(*authn.User)
		want    string // Duo user
		known   bool
		portal  bool
		barcode bool
		key     string
	}{
		{name: "by login", users: []sallyporttest.DuoUser{known("MAYA", "auth")}, want: "maya", known: true},
		{name: "by address", users: []sallyporttest.DuoUser{known("maya@acme.example", "auth")}, want: "maya@acme.example", known: true},
		{name: "by an address that nobody confirmed", users: []sallyporttest.DuoUser{known("maya@acme.example", "auth")}, want: "maya", portal: true,
			change: func(u *authn.User) { u.EmailVerifiedAt = time.Time{} }},
		{name: "by nothing", want: "maya", portal: true},
		{name: "login is the address", want: "maya@acme.example", portal: true, change: func(u *authn.User) { u.Login = "Maya@acme.example" }},
		{name: "without portal", config: sallyporttest.DuoConfig{NoPortal: true}, want: "maya", barcode: true},
		{name: "a portal elsewhere", config: sallyporttest.DuoConfig{Portal: "https://evil.example/?c="}, want: "maya", barcode: true},
		{name: "there, without a phone or a portal", users: []sallyporttest.DuoUser{known("maya", "enroll")}, config: sallyporttest.DuoConfig{NoPortal: true}, key: "error.duo_enroll"},
		{name: "no name", change: func(u *authn.User) { u.Login, u.Email = "", "" }, key: "error.duo_enroll"},
		{name: "denied", users: []sallyporttest.DuoUser{known("maya", "deny")}, key: "error.duo_denied"},
		{name: "let in", users: []sallyporttest.DuoUser{known("maya", "allow")}, key: "error.duo_allow"},
		{name: "let in by the address", users: []sallyporttest.DuoUser{known("maya@acme.example", "allow")}, key: "error.duo_allow"},
		{name: "strangers are let in", config: sallyporttest.DuoConfig{Strangers: "allow"}, key: "error.duo_allow"},
		{name: "strangers are denied", config: sallyporttest.DuoConfig{Strangers: "deny"}, key: "error.duo_denied"},
		{name: "unknown", users: []sallyporttest.DuoUser{known("maya", "perhaps")}, key: "error.duo_denied"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.config)
			for _, u := range tt.users {
				w.AddUser(u)
			}
			r := w.request("")
			r.Factor.State = authn.Pending
			if tt.change != nil {
				tt.change(&r.User)
			}
			got, err := w.m.Begin(t.Context(), r)
			if tt.key != "" {
				if forbidden(err) != tt.key || got.Secret != nil || got.Subject != "" {
					t.Errorf("%+v %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.EqualFold(got.Subject, "duo:"+tt.want) || got.Subject != strings.ToLower(got.Subject) {
				t.Errorf("subject %q", got.Subject)
			}
			var d struct {
				Username string
				Known    bool
			}
			if err := json.Unmarshal(got.Data, &d); err != nil || !strings.EqualFold(d.Username, tt.want) || d.Known != tt.known || strings.Contains(string(got.Data), "//") {
				t.Errorf("%s %v", got.Data, err)
			}
			r.Secret = got.Secret
			p, err := w.m.Present(r)
			if err != nil || (p.Portal != "") != tt.portal || (p.Barcode != "") != tt.barcode || strings.HasPrefix(p.URI, "duo://") != tt.barcode || !strings.EqualFold(p.Account, tt.want) || p.Issuer != "Acme Projects" {
				t.Errorf("%+v %v", p, err)
			}
			if ok, err := w.m.Enrolled(t.Context(), r); err != nil || ok != tt.known {
				t.Errorf("enrolled: %v %v", ok, err)
			}
			w.Activate(d.Username)
			if ok, err := w.m.Enrolled(t.Context(), r); err != nil || !ok {
				t.Errorf("enrolled afterwards: %v %v", ok, err)
			}
			s, err := w.m.Start(t.Context(), r, "")
			if err != nil || w.Pushes()[0].Type != "Set-up" {
				t.Fatalf("%+v %v", s, err)
			}
			a, err := w.m.Follow(t.Context(), r, s, func(string) { _ = w.Approve(s.Reference) })
			if err != nil || !a.Approved {
				t.Errorf("%+v %v", a, err)
			}
		})
	}
}

// An activation code that ran out does not hide that Duo has the person by now.
func TestEnrolled_D2_codeOver(t *testing.T) {
	clock := sallyporttest.NewClock()
	w := newWorld(t, sallyporttest.DuoConfig{NoPortal: true, Now: clock.Now})
	m, err := duo.New(duo.Config{HTTP: w.HTTP.Client(), Base: w.Base, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	r := w.request("")
	begun, err := m.Begin(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	r.Secret = begun.Secret
	for _, step := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {29 * time.Minute, false}, {2 * time.Minute, false}} {
		clock.Advance(step.after)
		if ok, err := m.Enrolled(t.Context(), r); err != nil || ok != step.want {
			t.Errorf("%v: %v %v", step.after, ok, err)
		}
	}
	w.Activate("maya")
	if ok, err := m.Enrolled(t.Context(), r); err != nil || !ok {
		t.Errorf("%v %v", ok, err)
	}
	w.AddUser(maya())
	r.Secret = []byte(`{"user_id":"DUMAYA","username":"maya","activation":"duo://over"}`)
	if ok, err := m.Enrolled(t.Context(), r); err != nil || !ok {
		t.Errorf("with a code that is over: %v %v", ok, err)
	}
}

// A factor without a secret, or with a broken one, asks nobody.
func TestSecret_broken(t *testing.T) {
	w := newWorld(t, sallyporttest.DuoConfig{})
	w.AddUser(maya())
	for _, secret := range []string{"", "{}", "[]", `{"username":""}`, `{"username":`} {
		r := w.request(secret)
		if _, err := w.m.Options(t.Context(), r); err == nil {
			t.Errorf("%q: Options", secret)
		}
		if _, err := w.m.Start(t.Context(), r, ""); err == nil {
			t.Errorf("%q: Start", secret)
		}
		if m, err := w.m.Verify(t.Context(), r, authn.Answer{Code: "123456"}); err == nil || m.Outcome != authn.Void {
			t.Errorf("%q: Verify", secret)
		}
		if _, err := w.m.Present(r); err == nil {
			t.Errorf("%q: Present", secret)
		}
		if ok, err := w.m.Enrolled(t.Context(), r); err == nil || ok {
			t.Errorf("%q: Enrolled", secret)
		}
	}
	if n := len(w.Calls()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// Without an address of the client none is sent; it is never a made-up one.
func TestAddress_D3(t *testing.T) {
	w := newWorld(t, sallyporttest.DuoConfig{})
	w.AddUser(maya())
	for in, want := range map[string]string{"": "", "2001:db8::1%eth0": "2001:db8::1", "198.51.100.4": "198.51.100.4"} {
		r := w.request(byName)
		r.Client.Address = netip.Addr{}
		if in != "" {
			r.Client.Address = netip.MustParseAddr(in)
		}
		if _, err := w.m.Start(t.Context(), r, ""); err != nil {
			t.Fatal(err)
		}
		calls := w.Calls()
		for _, c := range calls[len(calls)-2:] {
			if c.Form.Get("ipaddr") != want || c.Form.Has("ipaddr") != (want != "") {
				t.Errorf("%s: %v", c.Path, c.Form)
			}
		}
		if c := calls[len(calls)-2]; c.Path != "/auth/v2/preauth" || c.Form.Get("client_supports_verified_push") != "1" {
			t.Errorf("%+v", c)
		}
	}
}

var _ http.Handler = (*sallyporttest.DuoServer)(nil)
