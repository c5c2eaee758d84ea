package duo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/duosecurity/duo_api_golang"
	"github.com/duosecurity/duo_api_golang/authapi"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/method/duo"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// faults are the ways in which Duo does not answer.
var faults = map[string]struct {
	fault  sallyporttest.DuoFault
	reason string
}{
	"40002":          {sallyporttest.DuoFault{Code: 40002, Message: "Invalid request parameters"}, duo.Other},
	"40103":          {sallyporttest.DuoFault{Code: 40103, Message: "Invalid signature in request credentials"}, duo.Credentials},
	"40301":          {sallyporttest.DuoFault{Code: 40301, Message: "Access forbidden"}, duo.Permission},
	"40401":          {sallyporttest.DuoFault{Code: 40401, Message: "Resource not found"}, duo.WrongHost},
	"42901":          {sallyporttest.DuoFault{Code: 42901, Message: "Too many requests"}, duo.Throttled},
	"50000":          {sallyporttest.DuoFault{Code: 50000, Message: "Server error"}, duo.Down},
	"500":            {sallyporttest.DuoFault{Status: 500}, duo.Down},
	"503 with HTML":  {sallyporttest.DuoFault{Status: 503, Body: "<html>"}, duo.Down},
	"garbage":        {sallyporttest.DuoFault{Body: "\x00\xff allow"}, duo.Garbled},
	"HTML":           {sallyporttest.DuoFault{Body: "<html>allow</html>"}, duo.Garbled},
	"no response":    {sallyporttest.DuoFault{Body: `{"stat":"OK"}`}, duo.Garbled},
	"null":           {sallyporttest.DuoFault{Body: `{"stat":"OK","response":null}`}, duo.Garbled},
	"a list":         {sallyporttest.DuoFault{Body: `{"stat":"OK","response":["allow"]}`}, duo.Garbled},
	"too long":       {sallyporttest.DuoFault{Body: `{"stat":"OK","response":{"result":"allow","status":"allow","status_msg":"` + strings.Repeat("a", 70_000) + `"}}`}, duo.Garbled},
	"allow with 500": {sallyporttest.DuoFault{Status: 500, Body: `{"stat":"OK","response":{"result":"allow","status":"allow"}}`}, duo.Down},
	"half":           {sallyporttest.DuoFault{Half: true}, duo.Garbled},
	"moved":          {sallyporttest.DuoFault{Moved: "/auth/v2/check"}, duo.Garbled},
}

func reason(err error) string {
	var e *duo.Error
	if !errors.As(err, &e) || !errors.Is(err, authn.ProviderUnavailable) {
		return fmt.Sprintf("not of Duo: %v", err)
	}
	return e.Reason()
}

// rul-33, std-64: whatever goes wrong, wherever, nobody is let in.
func TestFailClosed_rul33_std64(t *testing.T) {
	for name, f := range faults {
		for _, path := range []string{"/auth/v2/preauth", "/auth/v2/auth", "/auth/v2/auth_status"} {
			t.Run(name+path, func(t *testing.T) {
				w := newWorld(t, sallyporttest.DuoConfig{})
				w.AddUser(maya())
				r := w.request(byName)
				r.Settings = []byte(strings.Replace(string(r.Settings), "{", `{"let_in":true,`, 1))
				play := func() {
					for range 20 {
						w.Play(path, f.fault)
					}
				}
				if path != "/auth/v2/auth_status" {
					play()
					if m, err := w.m.Verify(t.Context(), r, authn.Answer{Code: "123456"}); m.Outcome != authn.Void || reason(err) != f.reason {
						t.Errorf("Verify: %+v %v", m, err)
					}
				}
				s, err := w.m.Start(t.Context(), r, "")
				if path == "/auth/v2/auth_status" {
					if err != nil {
						t.Fatal(err)
					}
					play()
					a, err := w.m.Follow(t.Context(), r, s, nil)
					if a.Approved || reason(err) != f.reason {
						t.Errorf("Follow: %+v %v", a, err)
					}
					return
				}
				if s != (authn.Started{}) || reason(err) != f.reason {
					t.Errorf("Start: %+v %v", s, err)
				}
			})
		}
	}
}

// A link that cannot be looked up is not begun, and is not taken for enrolled.
func TestFailClosed_D2(t *testing.T) {
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, sallyporttest.DuoConfig{NoPortal: true})
			r := w.request("")
			shown, err := w.m.Begin(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			r.Secret = shown.Secret
			for range 20 {
				w.Play("/auth/v2/enroll_status", f.fault)
				w.Play("/auth/v2/preauth", f.fault)
			}
			// The answer of enroll_status is a word, so that a list or an object is nothing.
			if ok, err := w.m.Enrolled(t.Context(), r); ok || reason(err) != f.reason {
				t.Errorf("Enrolled: %v %v", ok, err)
			}
			if got, err := w.m.Begin(t.Context(), r); got.Secret != nil || reason(err) != f.reason {
				t.Errorf("Begin: %+v %v", got, err)
			}
			w2 := newWorld(t, sallyporttest.DuoConfig{NoPortal: true})
			for range 20 {
				w2.Play("/auth/v2/enroll", f.fault)
			}
			r.Settings = w2.Settings()
			if got, err := w2.m.Begin(t.Context(), r); got.Secret != nil || err == nil || name != "40002" && reason(err) != f.reason {
				t.Errorf("enroll: %+v %v", got, err)
			}
		})
	}
}

// What passes is tried again while there is time; a refusal of the keys is not.
func TestFollow_retries_D3(t *testing.T) {
	for name, tries := range map[string]int{"500": 4, "garbage": 4, "half": 4, "40301": 0, "40002": 0} {
		w := newWorld(t, sallyporttest.DuoConfig{})
		w.AddUser(maya())
		r := w.request(byName)
		s, err := w.m.Start(t.Context(), r, "")
		if err != nil {
			t.Fatal(err)
		}
		for range max(tries, 1) {
			w.Play("/auth/v2/auth_status", faults[name].fault)
		}
		a, err := w.m.Follow(t.Context(), r, s, func(string) { _ = w.Approve(s.Reference) })
		if a.Approved != (tries > 0) || (err == nil) != (tries > 0) || len(w.slept) != tries {
			t.Errorf("%s: %+v %v %v", name, a, err, w.slept)
		}
	}
}

// A wait ends with the caller's context, and not with an approval.
func TestFollow_ends_D3(t *testing.T) {
	w := newWorld(t, sallyporttest.DuoConfig{})
	w.AddUser(maya())
	r := w.request(byName)
	s, err := w.m.Start(t.Context(), r, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	a, err := w.m.Follow(ctx, r, s, func(string) { cancel() })
	if a.Approved || a.Reason != "" || !errors.Is(err, context.Canceled) || !errors.Is(err, authn.ProviderUnavailable) {
		t.Errorf("%+v %v", a, err)
	}
	// It can be taken up again, and what was approved meanwhile counts.
	if err := w.Approve(s.Reference); err != nil {
		t.Fatal(err)
	}
	if a, err := w.m.Follow(t.Context(), r, s, nil); err != nil || !a.Approved {
		t.Errorf("%+v %v", a, err)
	}
	for _, bad := range []authn.Started{{}, {Reference: s.Reference}, {Reference: s.Reference, Way: "sms"}, {Way: "push", Reference: "a b"}, {Way: "push", LetIn: true}} {
		if a, err := w.m.Follow(t.Context(), r, bad, nil); err != nil || a.Approved || a.Reason != "failed" {
			t.Errorf("%+v: %+v %v", bad, a, err)
		}
	}
}

// A Duo that answers long polls at once is not asked without a pause.
func TestFollow_noLongPoll(t *testing.T) {
	w := newWorld(t, sallyporttest.DuoConfig{Poll: time.Nanosecond})
	w.AddUser(maya())
	r := w.request(byName)
	s, err := w.m.Start(t.Context(), r, "")
	if err != nil {
		t.Fatal(err)
	}
	m, err := duo.New(duo.Config{HTTP: w.HTTP.Client(), Base: w.Base, Sleep: func(_ context.Context, d time.Duration) error {
		if w.slept = append(w.slept, d); len(w.slept) == 3 {
			return w.Approve(s.Reference)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := m.Follow(t.Context(), r, s, nil)
	if err != nil || !a.Approved || !slices.Equal(w.slept, []time.Duration{time.Second, time.Second, time.Second}) {
		t.Errorf("%+v %v %v", a, err, w.slept)
	}
}

// D4, 42901: later, twice as late each time, and not beyond the context.
func TestThrottled_D4(t *testing.T) {
	w := newWorld(t, sallyporttest.DuoConfig{})
	w.AddUser(maya())
	w.Busy("/auth/v2/preauth", 4)
	if o, err := w.m.Options(t.Context(), w.request(byName)); err != nil || o.Verdict != authn.Asks {
		t.Fatalf("%+v %v", o, err)
	}
	for i, least := range []time.Duration{1, 2, 4, 8} {
		if len(w.slept) != 4 || w.slept[i] < least*time.Second || w.slept[i] >= (least+1)*time.Second {
			t.Fatalf("%v", w.slept)
		}
	}
	w.slept = nil
	w.Busy("/auth/v2/preauth", 20)
	if _, err := w.m.Options(t.Context(), w.request(byName)); reason(err) != duo.Throttled || len(w.slept) != 6 || w.slept[5] >= 33*time.Second {
		t.Errorf("%v %v", err, w.slept)
	}
	w.slept = nil
	ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
	defer cancel()
	if _, err := w.m.Options(ctx, w.request(byName)); reason(err) != duo.Throttled || len(w.slept) != 0 {
		t.Errorf("%v %v", err, w.slept)
	}
}

// A wrong clock looks like a wrong signature: Duo's time is asked for, once, and
// kept for the next requests.
func TestClock_D4(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, -time.Hour, 366 * 24 * time.Hour} {
		w := newWorld(t, sallyporttest.DuoConfig{})
		w.AddUser(maya())
		w.SetAhead(ahead)
		for i, want := range []int{1, 1} {
			if o, err := w.m.Options(t.Context(), w.request(byName)); err != nil || o.Verdict != authn.Asks {
				t.Fatalf("%v: %+v %v", ahead, o, err)
			}
			if n := pings(w); n != want {
				t.Errorf("%v: %d pings after request %d", ahead, n, i)
			}
		}
		w.SetAhead(0) // and back
		if _, err := w.m.Options(t.Context(), w.request(byName)); err != nil || pings(w) != 2 {
			t.Errorf("%v: %v", ahead, err)
		}
	}
	w := newWorld(t, sallyporttest.DuoConfig{})
	w.SetAhead(time.Hour)
	w.Play("/auth/v2/ping", sallyporttest.DuoFault{Body: `{"stat":"OK","response":{"time":"soon"}}`})
	if _, err := w.m.Options(t.Context(), w.request(byName)); reason(err) != duo.WrongClock {
		t.Error(err)
	}
}

func pings(w *world) int {
	n := 0
	for _, c := range w.Calls() {
		if c.Path == "/auth/v2/ping" {
			n++
		}
	}
	return n
}

// A Duo that does not answer costs the time that the context has, and no more.
func TestSlow_D3(t *testing.T) {
	w := newWorld(t, sallyporttest.DuoConfig{})
	w.AddUser(maya())
	never := make(chan struct{})
	defer close(never)
	for range 3 {
		w.Play("/auth/v2/preauth", sallyporttest.DuoFault{Wait: never})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	s, err := w.m.Start(ctx, w.request(byName), "")
	if s != (authn.Started{}) || reason(err) != duo.Timeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%+v %v", s, err)
	}
}

// breaks is an http.RoundTripper that fails.
type breaks struct{ err error }

func (b breaks) RoundTrip(*http.Request) (*http.Response, error) { return nil, b.err }

func TestTest_D1(t *testing.T) {
	good := duo.Settings{IKey: sallyporttest.DuoIKey, SKey: sallyporttest.DuoSKey, Host: sallyporttest.DuoHost}
	with := func(change func(*duo.Settings)) duo.Settings { s := good; change(&s); return s }
	fault := func(path string, f sallyporttest.DuoFault) func(*world) {
		return func(w *world) {
			for range 20 {
				w.Play(path, f)
			}
		}
	}
	tests := []struct {
		name    string
		s       duo.Settings
		prepare func(*world)
		carrier http.RoundTripper
		stages  string // with the reason, if any
	}{
		{name: "fine", s: good, stages: "ping check"},
		{name: "wrong secret key", s: with(func(s *duo.Settings) { s.SKey = strings.Repeat("a", 40) }), stages: "ping check:credentials"},
		{name: "wrong integration key", s: with(func(s *duo.Settings) { s.IKey = "DIXXXXXXXXXXXXXXXXXX" }), stages: "ping check:credentials"},
		{name: "another host", s: with(func(s *duo.Settings) { s.Host = "api-00000000.duosecurity.com" }), stages: "ping check:credentials"},
		{name: "clock", s: good, prepare: func(w *world) { w.SetAhead(-10 * time.Minute) }, stages: "ping:clock check"},
		{name: "clock that Duo will not have", s: good, prepare: fault("/auth/v2/check", sallyporttest.DuoFault{Code: 40105, Message: "Bad request timestamp"}), stages: "ping check:clock"},
		{name: "other application", s: good, prepare: fault("/auth/v2/check", sallyporttest.DuoFault{Code: 40301, Message: "Access forbidden"}), stages: "ping check:permission"},
		{name: "throttled", s: good, prepare: fault("/auth/v2/check", sallyporttest.DuoFault{Code: 42901}), stages: "ping check:throttled"},
		{name: "down", s: good, prepare: fault("/auth/v2/ping", sallyporttest.DuoFault{Status: 503}), stages: "ping:down"},
		{name: "something else there", s: good, prepare: fault("/auth/v2/ping", sallyporttest.DuoFault{Body: "<html>"}), stages: "ping:garbled"},
		{name: "another service", s: good, prepare: fault("/auth/v2/ping", sallyporttest.DuoFault{Status: 404, Body: "no"}), stages: "ping:host"},
		{name: "no time", s: good, prepare: fault("/auth/v2/ping", sallyporttest.DuoFault{Body: `{"stat":"OK","response":{}}`}), stages: "ping:garbled"},
		{name: "other", s: good, prepare: fault("/auth/v2/check", sallyporttest.DuoFault{Code: 40002, Message: "x"}), stages: "ping check:other"},
		{name: "no such name", s: good, carrier: breaks{&net.DNSError{IsNotFound: true}}, stages: "ping:host"},
		{name: "no connection", s: good, carrier: breaks{errors.New("refused")}, stages: "ping:unreachable"},
		{name: "no answer", s: good, carrier: breaks{context.DeadlineExceeded}, stages: "ping:timeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, sallyporttest.DuoConfig{})
			if tt.prepare != nil {
				tt.prepare(w)
			}
			if tt.carrier != nil {
				var err error
				if w.m, err = duo.New(duo.Config{HTTP: &http.Client{Transport: tt.carrier}}); err != nil {
					t.Fatal(err)
				}
			}
			steps, err := w.m.Test(t.Context(), tt.s)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range steps {
				word := s.Stage
				if s.Reason != "" {
					word += ":" + s.Reason
				}
				if got = append(got, word); s.Took <= 0 || s.OK == (s.Reason != "") && s.Reason != duo.WrongClock {
					t.Errorf("%+v", s)
				}
			}
			if strings.Join(got, " ") != tt.stages {
				t.Errorf("got %q, want %q", got, tt.stages)
			}
			if tt.name == "clock" && (steps[0].Ahead-(-10*time.Minute)).Abs() > 2*time.Second {
				t.Errorf("%v", steps[0].Ahead)
			}
			if tt.name == "wrong secret key" && (steps[1].Code != 40103 || steps[1].Reply != "Invalid signature in request credentials") {
				t.Errorf("%+v", steps[1])
			}
		})
	}
	w := newWorld(t, sallyporttest.DuoConfig{})
	if steps, err := w.m.Test(t.Context(), duo.Settings{}); !errors.Is(err, authn.Invalid) || steps != nil || len(w.Calls()) != 0 {
		t.Errorf("%+v %v", steps, err)
	}
}

func TestSettings_D1(t *testing.T) {
	for doc, want := range map[string]string{
		`{"ikey":" DITESTINTEGRATION001 ","skey":"SkeyOfTheFakeDuoServer000000000000000001\n","host":"API-0badcafe.duosecurity.com"}`: "",
		`{}`: "ikey:required skey:required host:required",
		`{"ikey":"DXTESTINTEGRATION001","skey":"short","host":"duosecurity.com"}`:                                                                           "ikey:invalid skey:invalid host:invalid",
		`{"ikey":"DITESTINTEGRATION001","skey":"SkeyOfTheFakeDuoServer000000000000000001","host":"api-0badcafe.duosecurity.com.evil.example"}`:              "host:invalid",
		`{"ikey":"DITESTINTEGRATION001","skey":"SkeyOfTheFakeDuoServer000000000000000001","host":"127.0.0.1"}`:                                              "host:invalid",
		`{"ikey":"DITESTINTEGRATION001","skey":"SkeyOfTheFakeDuoServer000000000000000001","host":"api-0badcafe.duosecurity.com\r\nx"}`:                      "host:invalid",
		`{"ikey":"DITESTINTEGRATION001","skey":"SkeyOfTheFakeDuoServer000000000000000001","host":"api-0badcafe.duosecurity.com:22"}`:                        "host:invalid",
		`{"ikey":"DITESTINTEGRATION00","skey":"SkeyOfTheFakeDuoServer00000000000000000!","host":"api-0badcafe.duosecurity.com@evil.example","let_in":true}`: "ikey:invalid skey:invalid host:invalid",
	} {
		s, err := duo.ParseSettings([]byte(doc))
		if err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		var got []string
		for _, f := range s.Check() {
			got = append(got, f.Name+":"+f.Code)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", doc, got, want)
		}
	}
	for _, doc := range []string{"", "[]", "{", `{"ikey":1}`, `{"skey":"` + strings.Repeat("a", 5000) + `"}`} {
		if _, err := duo.ParseSettings([]byte(doc)); err == nil || strings.Contains(err.Error(), "aaaa") {
			t.Errorf("%.20s: %v", doc, err)
		}
	}
	a := duo.Settings{IKey: "DI1", SKey: "x", Host: "h"}
	if b := (duo.Settings{IKey: "DI1", SKey: "y", Host: "h", LetIn: true}); a.Target() != b.Target() || a.Target() == (duo.Settings{IKey: "DI2", Host: "h"}).Target() || a.Target() == (duo.Settings{IKey: "DI1", Host: "i"}).Target() {
		t.Error("the target is not key and host")
	}
}

// Settings that cannot be used let nobody in, and nobody is asked.
func TestSettings_rul33(t *testing.T) {
	w := newWorld(t, sallyporttest.DuoConfig{})
	w.AddUser(maya())
	for _, settings := range []string{"", "{", "{}", `{"ikey":"DITESTINTEGRATION001","skey":"SkeyOfTheFakeDuoServer000000000000000001","host":"evil.example"}`} {
		r := w.request(byName)
		r.Settings = []byte(settings)
		if _, err := w.m.Options(t.Context(), r); !errors.Is(err, authn.ProviderUnavailable) {
			t.Errorf("%s: %v", settings, err)
		}
		if a, err := w.m.Follow(t.Context(), r, authn.Started{Way: "push", Reference: "x"}, nil); a.Approved || !errors.Is(err, authn.ProviderUnavailable) {
			t.Errorf("%s: %v", settings, err)
		}
	}
	if len(w.Calls()) != 0 {
		t.Error("Duo was asked")
	}
}

// The secret key, passcodes and what Duo says are in no error, in no form of it.
func TestCanary(t *testing.T) {
	const canary = "CANARY"
	skey := canary + strings.Repeat("0", 34)
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		said := canary + fmt.Sprint(r.Form)
		switch c, _, err := w.(http.Hijacker).Hijack(); {
		case err != nil:
			t.Error(err)
		case r.Form.Get("username") == "not HTTP":
			_, _ = fmt.Fprint(c, said)
			_ = c.Close()
		default:
			body := fmt.Sprintf(`{"stat":"FAIL","code":"%s","message":"%s\u001b","message_detail":%q}`, canary, said, said)
			_, _ = fmt.Fprintf(c, "HTTP/1.1 400 %s\r\nContent-Length: %d\r\n\r\n%s", canary, len(body), body)
			_ = c.Close()
		}
	}))
	t.Cleanup(echo.Close)
	m, err := duo.New(duo.Config{HTTP: echo.Client(), Base: func(string) string { return echo.URL }})
	if err != nil {
		t.Fatal(err)
	}
	s := duo.Settings{IKey: sallyporttest.DuoIKey, SKey: skey, Host: sallyporttest.DuoHost}
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	for _, name := range []string{"maya", "not HTTP"} {
		r := authn.Request{Secret: fmt.Appendf(nil, `{"username":%q}`, name),
			Settings: fmt.Appendf(nil, `{"ikey":%q,"skey":%q,"host":%q}`, s.IKey, s.SKey, s.Host)}
		_, err1 := m.Verify(t.Context(), r, authn.Answer{Code: "918273"})
		_, err2 := m.Start(t.Context(), r, "push:"+canary)
		_, err3 := m.Follow(t.Context(), r, authn.Started{Way: "push", Reference: canary}, nil)
		for i, err := range []error{err1, err2, err3} {
			if err == nil {
				t.Errorf("%s %d: no error", name, i)
			}
			logger.Info("x", "err", err, "text", fmt.Sprintf("%v %+v", err, authn.AsError(err)))
		}
	}
	logger.Info("x", "s", s, "p", &s, "text", fmt.Sprintf("%v %+v %#v %s", s, s, s, s))
	for _, leak := range []string{canary, "918273"} {
		if strings.Contains(log.String(), leak) {
			t.Errorf("%s is in the log:\n%s", leak, log.String())
		}
	}
}

// loop carries requests for any host to a fake.
type loop struct{ to string }

func (l loop) RoundTrip(r *http.Request) (*http.Response, error) {
	u, err := url.Parse(l.to)
	if err != nil {
		return nil, err
	}
	out := r.Clone(r.Context())
	out.Host, out.URL.Scheme, out.URL.Host = r.URL.Host, u.Scheme, u.Host
	return http.DefaultTransport.RoundTrip(out)
}

// Duo's own client passes the checks of the fake, so that the fake is no easier
// and no harder than what it stands for.
func TestFake_official_D4(t *testing.T) {
	w := sallyporttest.NewDuo(t, sallyporttest.DuoConfig{})
	w.AddUser(maya())
	open := func(skey string) *authapi.AuthApi {
		api := duoapi.NewDuoApi(sallyporttest.DuoIKey, skey, sallyporttest.DuoHost, "test")
		api.SetCustomHTTPClient(&http.Client{Transport: loop{w.HTTP.URL}, Timeout: 30 * time.Second})
		return authapi.NewAuthApi(*api)
	}
	api := open(sallyporttest.DuoSKey)
	if got, err := api.Check(); err != nil || got.Stat != "OK" || got.Response.Time == 0 {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := open("wrong").Check(); err != nil || got.Stat != "FAIL" || *got.Code != 40103 {
		t.Errorf("%+v %v", got, err)
	}
	pre, err := api.Preauth(authapi.PreauthUsername("maya"), authapi.PreauthIpAddr("192.0.2.1"))
	if err != nil || pre.Response.Result != "auth" || len(pre.Response.Devices) != 1 || pre.Response.Devices[0].Device != "DPMAYA" {
		t.Errorf("%+v %v", pre, err)
	}
	tx, err := api.Auth("push", authapi.AuthUserId("DUMAYA"), authapi.AuthDevice("auto"), authapi.AuthAsync(), authapi.AuthType("ż & +"), authapi.AuthPushinfo("a=b%20c"))
	if err != nil || tx.Response.Txid == "" {
		t.Fatalf("%+v %v", tx, err)
	}
	if got, err := api.AuthStatus(tx.Response.Txid); err != nil || got.Response.Result != "waiting" || got.Response.Status != "pushed" {
		t.Errorf("%+v %v", got, err)
	}
	if err := w.Approve(tx.Response.Txid); err != nil {
		t.Fatal(err)
	}
	if got, err := api.AuthStatus(tx.Response.Txid); err != nil || got.Response.Result != "allow" {
		t.Errorf("%+v %v", got, err)
	}
	made, err := api.Enroll(authapi.EnrollUsername("new"), authapi.EnrollValidSeconds(60))
	if err != nil || made.Response.User_Id == "" {
		t.Fatalf("%+v %v", made, err)
	}
	if got, err := api.EnrollStatus(made.Response.User_Id, made.Response.Activation_Code); err != nil || got.Response != "waiting" {
		t.Errorf("%+v %v", got, err)
	}
}
