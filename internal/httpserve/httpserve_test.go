package httpserve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

const host = "login.acme.example"

// words is a catalogue that shows what it was asked for.
type words struct{}

func (words) Text(lang, key string, args map[string]any) string {
	return fmt.Sprintf("%s|%s|%v", lang, key, args)
}

type server struct {
	http.Handler
	log *bytes.Buffer
}

func serve(t *testing.T, cfg Config, routes map[string]http.Handler) server {
	t.Helper()
	log := &bytes.Buffer{}
	cfg.Log = slog.New(slog.NewJSONHandler(log, nil))
	if cfg.Hosts == nil {
		cfg.Hosts = []string{host}
	}
	mux := NewMux()
	for p, h := range routes {
		mux.Handle(p, h)
	}
	return server{Wrap(mux, cfg), log}
}

func (s server) do(method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = host
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// record is the last log record.
func (s server) record(t *testing.T) map[string]any {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
	m := map[string]any{}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func ok(w http.ResponseWriter, r *http.Request) error {
	return WriteJSON(w, http.StatusOK, map[string]string{"client": ClientOf(r).Address.String(), "id": RequestID(r.Context())})
}

func problem(t *testing.T, w *httptest.ResponseRecorder) Problem {
	t.Helper()
	var p Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("no problem document: %v: %s", err, w.Body)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" || p.Status != w.Code || p.Type != "/docs/errors/"+string(p.Code) {
		t.Errorf("%s %+v", ct, p)
	}
	return p
}

func TestHost(t *testing.T) {
	reached := 0
	page := func(w http.ResponseWriter, r *http.Request, e *authn.Error) { t.Error("a page for a foreign host") }
	cfg := Config{Hosts: []string{"Login.acme.example", "localhost:8080", "[::1]:8080"}, PublicURL: "https://login.acme.example", ErrorPage: page, HSTS: true}
	s := serve(t, cfg, map[string]http.Handler{"GET /{$}": JSON(func(http.ResponseWriter, *http.Request) error { reached++; return nil })})
	for h, good := range map[string]bool{
		"login.acme.example": true, "LOGIN.ACME.EXAMPLE": true, "localhost:8080": true, "[::1]:8080": true,
		"login.acme.example:443": false, "login.acme.example.": false, "localhost": false, "localhost:8081": false, "[::1]": false, "::1:8080": false,
		"": false, "evil.example": false, "login.acme.example.evil.example": false, "login.acme.example@evil.example": false, "<script>alert(1)</script>": false,
	} {
		before := reached
		w := s.do("GET", "/", "", "Host", h, "X-Forwarded-Host", "login.acme.example")
		if good != (w.Code == 200) || good != (reached > before) {
			t.Errorf("%q: %d", h, w.Code)
		}
		if good {
			continue
		}
		if w.Code != http.StatusMisdirectedRequest || !strings.Contains(w.Body.String(), "https://login.acme.example") {
			t.Errorf("%q: %d %s", h, w.Code, w.Body)
		}
		if h != "" && h != "::1:8080" && strings.Contains(strings.ReplaceAll(w.Body.String(), "https://login.acme.example", ""), h) {
			t.Errorf("%q is echoed: %s", h, w.Body)
		}
		if w.Header().Get("Strict-Transport-Security") != "" {
			t.Errorf("%q: HSTS binds a foreign domain", h)
		}
	}
	if p := problem(t, s.do("GET", "/api/v1/x", "", "Host", "evil.example")); p.Code != authn.WrongHost {
		t.Errorf("%+v", p)
	}
	if w := serve(t, Config{Hosts: []string{}}, nil).do("GET", "/", ""); w.Code != http.StatusMisdirectedRequest {
		t.Errorf("no hosts: %d", w.Code)
	}
}

func TestClientAddress(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tt := range []struct {
		peer      string
		forwarded []string
		trusted   []netip.Prefix
		want      string
	}{
		{"192.0.2.1:5", nil, nil, "192.0.2.1"},
		{"192.0.2.1:5", []string{"198.51.100.7"}, nil, "192.0.2.1"},
		{"192.0.2.1:5", []string{"198.51.100.7"}, proxies, "192.0.2.1"},
		{"10.0.0.1:5", []string{"198.51.100.7"}, nil, "10.0.0.1"},
		{"10.0.0.1:5", nil, proxies, "10.0.0.1"},
		{"10.0.0.1:5", []string{""}, proxies, "10.0.0.1"},
		{"10.0.0.1:5", []string{"198.51.100.7"}, proxies, "198.51.100.7"},
		{"10.0.0.1:5", []string{"1.2.3.4, 198.51.100.7"}, proxies, "198.51.100.7"},
		{"10.0.0.1:5", []string{"1.2.3.4", "198.51.100.7"}, proxies, "198.51.100.7"},
		{"10.0.0.1:5", []string{"1.2.3.4, 198.51.100.7, 10.9.9.9"}, proxies, "198.51.100.7"},
		{"10.0.0.1:5", []string{"198.51.100.7", "10.9.9.9,10.8.8.8"}, proxies, "198.51.100.7"},
		{"10.0.0.1:5", []string{"nonsense, 198.51.100.7"}, proxies, "198.51.100.7"},
		{"10.0.0.1:5", []string{"198.51.100.7, nonsense"}, proxies, "10.0.0.1"},
		{"10.0.0.1:5", []string{"198.51.100.7,"}, proxies, "10.0.0.1"},
		{"10.0.0.1:5", []string{"10.2.2.2"}, proxies, "10.2.2.2"},
		{"10.0.0.1:5", []string{"198.51.100.7:4711"}, proxies, "198.51.100.7"},
		{"[fd00::1]:5", []string{"[2001:db8::5]:443"}, proxies, "2001:db8::5"},
		{"[::ffff:10.0.0.1]:5", []string{"::ffff:198.51.100.7"}, proxies, "198.51.100.7"},
		{"[fe80::1%eth0]:5", nil, proxies, "fe80::1"},
		{"@", []string{"198.51.100.7"}, proxies, "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: tt.peer}
		if got := clientAddress(peerOf(r), tt.forwarded, tt.trusted); got.String() != tt.want {
			t.Errorf("%s %q: %v, want %s", tt.peer, tt.forwarded, got, tt.want)
		}
	}
}

// cve-20: no forwarding header of a peer that nobody named changes anything.
func TestSpoofedForwarding(t *testing.T) {
	s := serve(t, Config{}, map[string]http.Handler{"GET /{$}": JSON(ok)})
	for _, h := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP",
		"X-Cluster-Client-Ip", "X-Originating-IP", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Host", "X-Request-Id"} {
		w := s.do("GET", "/", "", h, "203.0.113.77")
		if w.Code != 200 || !strings.Contains(w.Body.String(), "192.0.2.1") || w.Header().Get("X-Request-Id") == "203.0.113.77" {
			t.Errorf("%s: %d %s", h, w.Code, w.Body)
		}
	}
}

func TestHeadersOnEveryAnswer(t *testing.T) {
	s := serve(t, Config{HSTS: true, URLLimit: 100, BodyLimit: 10}, map[string]http.Handler{
		"GET /{$}":     JSON(ok),
		"GET /fail":    JSON(func(http.ResponseWriter, *http.Request) error { return errors.New("x") }),
		"GET /panic":   JSON(func(http.ResponseWriter, *http.Request) error { panic("x") }),
		"GET /nothing": JSON(func(http.ResponseWriter, *http.Request) error { return nil }),
		"GET /app.css": Page(func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Cache-Control", "max-age=60")
			return nil
		}),
		"POST /api/v1/x":   JSON(ok),
		"DELETE /away":     Page(ok),
		"GET /slashed/{$}": JSON(ok),
	})
	ids := map[string]bool{}
	for _, tt := range []struct {
		method, target string
		status         int
		header         []string
	}{
		{"GET", "/", 200, nil}, {"HEAD", "/", 200, nil}, {"GET", "/fail", 500, nil}, {"GET", "/panic", 500, nil}, {"GET", "/nothing", 200, nil},
		{"GET", "/none", 404, nil}, {"POST", "/", 405, nil}, {"OPTIONS", "/", 405, nil}, {"TRACE", "/", 405, nil}, {"GET", "/api/v1/x", 405, nil},
		{"GET", "/" + strings.Repeat("x", 200), 413, nil}, {"GET", "/?" + strings.Repeat("x", 200), 413, nil},
		{"POST", "/api/v1/x", 413, []string{"Origin", "https://" + host}}, {"POST", "/api/v1/x", 403, []string{"Origin", "https://evil.example"}},
		{"GET", "/", 421, []string{"Host", "evil.example"}}, {"GET", "//", 404, nil}, {"GET", "/x/../", 404, nil}, {"GET", "/fail/", 404, nil},
		{"GET", "/%00", 404, nil}, {"GET", "/%ff", 404, nil}, {"GET", "/slashed", 404, nil}, {"GET", "/app.css", 200, nil},
	} {
		body := ""
		if tt.method == "POST" && tt.target != "/" {
			body = strings.Repeat("x", 11)
		}
		w := s.do(tt.method, tt.target, body, tt.header...)
		if w.Code != tt.status {
			t.Errorf("%s %.20s %v: %d, want %d", tt.method, tt.target, tt.header, w.Code, tt.status)
		}
		for _, kv := range headers {
			want := kv[1]
			if tt.target == "/app.css" && kv[0] == "Cache-Control" {
				want = "max-age=60"
			}
			if got := w.Header().Values(kv[0]); len(got) != 1 || got[0] != want {
				t.Errorf("%s %.20s: %s: %q", tt.method, tt.target, kv[0], got)
			}
		}
		if got := w.Header().Get("Strict-Transport-Security"); (got == hsts) != (tt.status != 421) {
			t.Errorf("%s %.20s: HSTS %q", tt.method, tt.target, got)
		}
		id := w.Header().Get("X-Request-Id")
		if len(id) != 16 || ids[id] {
			t.Errorf("request id %q", id)
		}
		ids[id] = true
		if rec := s.record(t); rec["request_id"] != id || rec["status"] != float64(tt.status) {
			t.Errorf("%s %.20s: record %v", tt.method, tt.target, rec)
		}
	}
	if w := serve(t, Config{}, nil).do("GET", "/", ""); w.Header().Get("Strict-Transport-Security") != "" {
		t.Error("HSTS without being asked for")
	}
}

// cve-66: every unsafe method, with and without what browsers tell.
func TestCrossSite(t *testing.T) {
	c := Cookies{Secure: true}
	session := c.Session() + "=sp_ses_abc"
	browser := c.Browser() + "=" + strings.Repeat("0", browserLen)
	changed := 0
	h := JSON(func(w http.ResponseWriter, r *http.Request) error { changed++; return nil })
	routes := map[string]http.Handler{}
	methods := []string{"POST", "PUT", "PATCH", "DELETE"}
	for _, m := range methods {
		routes[m+" /api/v1/x"] = h
	}
	s := serve(t, Config{Cookies: c}, routes)
	for _, tt := range []struct {
		name   string
		header []string
		pass   bool
	}{
		{"same origin", []string{"Sec-Fetch-Site", "same-origin", "Cookie", session}, true},
		{"same origin, null", []string{"Sec-Fetch-Site", "same-origin", "Origin", "null", "Cookie", session}, true},
		{"typed", []string{"Sec-Fetch-Site", "none", "Cookie", session}, true},
		{"old browser", []string{"Origin", "https://" + host, "Cookie", session}, true},
		{"program", nil, true},
		{"program with bearer", []string{"Authorization", "Bearer sp_ses_abc"}, true},
		{"program with bearer and cookie jar", []string{"Authorization", "Bearer sp_ses_abc", "Cookie", session}, true},
		{"foreign cookie only", []string{"Cookie", "other=1"}, true},
		{"cross site", []string{"Sec-Fetch-Site", "cross-site", "Cookie", session}, false},
		{"cross site without cookie", []string{"Sec-Fetch-Site", "cross-site"}, false},
		{"cross site with bearer", []string{"Sec-Fetch-Site", "cross-site", "Authorization", "Bearer x"}, false},
		{"same site", []string{"Sec-Fetch-Site", "same-site", "Cookie", session}, false},
		{"unknown word", []string{"Sec-Fetch-Site", "Same-Origin", "Cookie", session}, false},
		{"foreign origin", []string{"Origin", "https://evil.example", "Cookie", session}, false},
		{"foreign origin, no cookie", []string{"Origin", "https://evil.example"}, false},
		{"sandboxed", []string{"Origin", "null", "Cookie", session}, false},
		{"other port", []string{"Origin", "https://" + host + ":8443", "Cookie", session}, false},
		{"neither, session", []string{"Cookie", session}, false},
		{"neither, browser", []string{"Cookie", browser}, false},
		{"neither, broken value", []string{"Cookie", c.Session() + "=?"}, false},
		{"neither, two", []string{"Cookie", session + "; " + session}, false},
	} {
		for _, m := range methods {
			changed = 0
			w := s.do(m, "/api/v1/x", "", tt.header...)
			if (w.Code == 200) != tt.pass || (changed == 1) != tt.pass {
				t.Errorf("%s %s: %d", m, tt.name, w.Code)
			}
			if !tt.pass && problem(t, w).Code != authn.Forbidden {
				t.Errorf("%s %s: %s", m, tt.name, w.Body)
			}
		}
	}
}

func TestProblem(t *testing.T) {
	at := time.Date(2026, 1, 12, 9, 14, 0, 5, time.FixedZone("", 3600))
	canary := errors.New("canary-4711 in the database")
	for _, tt := range []struct {
		name   string
		err    error
		status int
		want   []string // in the body
		header map[string]string
	}{
		{"code", authn.NotFound, 404, []string{`"code":"not_found"`, `"title":"en|error.not_found.title|map[]"`, `"detail":"sv|error.not_found|map[]"`}, nil},
		{"wrapped", fmt.Errorf("verify: %w", authn.Locked), 423, []string{`"code":"locked"`}, nil},
		{"left", &authn.Error{Code: authn.WrongCode, HasLeft: true, AttemptsLeft: 0}, 422, []string{`"attempts_left":0`, "error.wrong_code.left|map[Count:0]"}, nil},
		{"clock", &authn.Error{Code: authn.WrongCode, HasLeft: true, ClockSkew: -119 * time.Second}, 422, []string{`"clock_skew_seconds":-119`, "clock_behind|map[Count:2]"}, nil},
		{"clock ahead", &authn.Error{Code: authn.WrongCode, ClockSkew: time.Minute}, 422, []string{"clock_ahead|map[Count:1]"}, nil},
		{"paused", &authn.Error{Code: authn.Paused, RetryAfter: 4*time.Minute + time.Millisecond}, 429, []string{`"retry_after":241`, "paused.minutes|map[Count:5]"}, map[string]string{"Retry-After": "241"}},
		{"seconds", &authn.Error{Code: authn.TooManyRequests, RetryAfter: time.Millisecond}, 429, []string{`"retry_after":1`, "too_many_requests.seconds|map[Count:1]"}, map[string]string{"Retry-After": "1"}},
		{"busy", &authn.Error{Code: authn.Busy, RetryAfter: time.Second}, 503, []string{"error.busy|map[]"}, map[string]string{"Retry-After": "1"}},
		{"expires", &authn.Error{Code: authn.Expired, ExpiresAt: at}, 410, []string{`"expires_at":"2026-01-12T08:14:00Z"`}, nil},
		{"fields", authn.InvalidField("code", "too_few", map[string]any{"Digits": 6}), 422, []string{`"fields":[{"name":"code","code":"too_few","message":"sv|field.too_few|map[Digits:6]"}]`}, nil},
		{"own key", &authn.Error{Code: authn.Forbidden, Key: "error.own", Args: map[string]any{"A": 1}}, 403, []string{"sv|error.own|map[A:1]"}, nil},
		{"sign in", authn.Unauthenticated, 401, nil, map[string]string{"WWW-Authenticate": `Bearer realm="sallyport"`}},
		{"step up", &authn.Error{Code: authn.StepUpRequired, MaxAge: 10 * time.Minute, ACRValues: "aal2"}, 401, []string{`"max_age":600`, `"acr_values":"aal2"`},
			map[string]string{"WWW-Authenticate": `Bearer realm="sallyport", error="insufficient_user_authentication", error_description="A more recent or stronger sign-in is required", acr_values="aal2", max_age="600"`}},
		{"plain error", canary, 500, []string{`"code":"internal"`}, nil},
		{"cause", &authn.Error{Code: authn.Busy, Err: canary}, 503, []string{`"code":"busy"`}, nil},
		{"made-up code", authn.Code("canary-4711"), 500, []string{`"code":"internal"`}, nil},
		{"body", fmt.Errorf("read: %w", &http.MaxBytesError{Limit: 5}), 413, []string{`"code":"too_large"`, "too_large.limit|map[Limit:5 bytes]"}, nil},
		{"size", tooLarge(64<<10, nil), 413, []string{"too_large.limit|map[Limit:64 KiB]"}, nil},
	} {
		s := serve(t, Config{Texts: words{}, Locale: func(*http.Request) string { return "sv" }}, map[string]http.Handler{
			"GET /api/v1/x": JSON(func(w http.ResponseWriter, r *http.Request) error {
				w.Header().Set("Content-Length", "3")
				w.Header().Set("Cache-Control", "max-age=99")
				return tt.err
			}),
		})
		w := s.do("GET", "/api/v1/x", "")
		if p := problem(t, w); w.Code != tt.status || p.RequestID != w.Header().Get("X-Request-Id") {
			t.Errorf("%s: %d %+v", tt.name, w.Code, p)
		}
		for _, want := range tt.want {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: %s lacks %s", tt.name, w.Body, want)
			}
		}
		for k, v := range tt.header {
			if w.Header().Get(k) != v {
				t.Errorf("%s: %s: %q", tt.name, k, w.Header().Get(k))
			}
		}
		if strings.Contains(w.Body.String(), "canary") {
			t.Errorf("%s: the cause is told: %s", tt.name, w.Body)
		}
		if w.Header().Get("Content-Length") != "" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers of the answer that was not given: %v", tt.name, w.Header())
		}
	}
}

func TestBearerChallengeNamesABadToken(t *testing.T) {
	s := serve(t, Config{}, map[string]http.Handler{"GET /api/v1/x": JSON(func(http.ResponseWriter, *http.Request) error { return authn.Unauthenticated })})
	w := s.do("GET", "/api/v1/x", "", "Authorization", "Bearer old")
	if got := w.Header().Get("WWW-Authenticate"); got != `Bearer realm="sallyport", error="invalid_token"` {
		t.Error(got)
	}
}

// Every code that authn declares has a status, and no other has.
func TestEveryCodeHasAStatus(t *testing.T) {
	declared := declaredCodes(t)
	for _, c := range declared {
		if _, ok := status[c]; !ok {
			t.Errorf("no status for %s", c)
		}
	}
	if len(declared) != len(status) {
		t.Errorf("%d codes, %d statuses", len(declared), len(status))
	}
	if Status("made up") != 500 {
		t.Error("a made-up code is not a 500")
	}
}

func TestProblemOrPage(t *testing.T) {
	page := func(w http.ResponseWriter, r *http.Request, e *authn.Error) {
		w.WriteHeader(Status(e.Code))
		fmt.Fprintf(w, "<h1>%s %s</h1>", e.Code, RequestID(r.Context()))
	}
	routes := map[string]http.Handler{
		"GET /page": Page(func(http.ResponseWriter, *http.Request) error { return authn.Expired }),
		"GET /boom": Page(func(http.ResponseWriter, *http.Request) error { panic("x") }),
		"GET /both": Page(ok),
	}
	s := serve(t, Config{ErrorPage: page}, routes)
	for _, tt := range []struct{ target, accept, want string }{
		{"/page", "text/html", "<h1>expired "}, {"/page", "application/json", "<h1>expired "}, // a page's own handler always answers a page
		{"/none", "text/html,*/*", "<h1>not_found "}, {"/none", "", "<h1>not_found "}, {"/none", "application/json", `"not_found"`},
		{"/none", "application/problem+json", `"not_found"`}, {"/none", "text/html, application/json", "<h1>"}, {"/api/v1/none", "text/html", `"not_found"`},
		{"/boom", "text/html", "<h1>internal "}, {"/boom", "application/json", `"internal"`},
	} {
		w := s.do("GET", tt.target, "", "Accept", tt.accept)
		if !strings.Contains(w.Body.String(), tt.want) || !strings.Contains(w.Body.String(), w.Header().Get("X-Request-Id")) {
			t.Errorf("%+v: %d %s", tt, w.Code, w.Body)
		}
	}
	for name, page := range map[string]func(http.ResponseWriter, *http.Request, *authn.Error){
		"none": nil, "silent": func(http.ResponseWriter, *http.Request, *authn.Error) {}, "panics": func(http.ResponseWriter, *http.Request, *authn.Error) { panic("template") },
	} {
		s := serve(t, Config{ErrorPage: page, Texts: words{}}, routes)
		for target, code := range map[string]int{"/boom": 500, "/page": 410} {
			if name == "panics" && target == "/page" {
				code = 500
			}
			w := s.do("GET", target, "")
			if w.Code != code || !strings.Contains(w.Body.String(), "error.") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
				t.Errorf("%s %s: %d %s", name, target, w.Code, w.Body)
			}
		}
	}
}

func TestMux(t *testing.T) {
	s := serve(t, Config{}, map[string]http.Handler{"GET /a/{id}": JSON(ok), "POST /a/{id}": JSON(ok), "DELETE /b": JSON(ok)})
	w := s.do("PUT", "/a/1", "")
	if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("%d %q", w.Code, w.Header().Get("Allow"))
	}
	if w := s.do("GET", "/a/x%2Fy", ""); w.Code != 200 || s.record(t)["route"] != "GET /a/{id}" {
		t.Errorf("%d %v", w.Code, s.record(t))
	}
	m := NewMux()
	m.Handle("POST /z", JSON(ok))
	m.Handle("GET /a", JSON(ok))
	if !slices.Equal(m.Routes(), []string{"GET /a", "POST /z"}) {
		t.Error(m.Routes())
	}
	for _, bad := range []string{"/x", "GET x", "BREW /x", "GET host/x", ""} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q is accepted", bad)
				}
			}()
			NewMux().Handle(bad, JSON(ok))
		}()
	}
}

func TestPanicAfterHalfAnAnswerCuts(t *testing.T) {
	for name, h := range map[string]Func{
		"panic": func(w http.ResponseWriter, _ *http.Request) error { io.WriteString(w, "half"); panic("x") },
		"error": func(w http.ResponseWriter, _ *http.Request) error { io.WriteString(w, "half"); return authn.Busy },
		"abort": func(w http.ResponseWriter, _ *http.Request) error { panic(http.ErrAbortHandler) },
		"flushed": func(w http.ResponseWriter, _ *http.Request) error {
			http.NewResponseController(w).Flush()
			return authn.Busy
		},
	} {
		s := serve(t, Config{}, map[string]http.Handler{"GET /x": JSON(h)})
		func() {
			defer func() {
				if recover() != http.ErrAbortHandler {
					t.Errorf("%s: not cut", name)
				}
			}()
			s.do("GET", "/x", "")
		}()
		if s.record(t)["route"] != "GET /x" {
			t.Errorf("%s: no record", name)
		}
	}
}

func TestBodyLimit(t *testing.T) {
	read := JSON(func(w http.ResponseWriter, r *http.Request) error {
		var v struct {
			A string `json:"a"`
		}
		return Decode(r, &v)
	})
	s := serve(t, Config{}, map[string]http.Handler{"POST /api/v1/x": read})
	big := `{"a":"` + strings.Repeat("x", 1<<20) + `"}`
	for _, chunked := range []bool{false, true} {
		r := httptest.NewRequest("POST", "/api/v1/x", strings.NewReader(big))
		r.Host = host
		r.Header.Set("Content-Type", "application/json")
		if chunked {
			r.ContentLength = -1
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 413 || problem(t, w).Code != authn.TooLarge {
			t.Errorf("chunked %v: %d %s", chunked, w.Code, w.Body)
		}
	}
	if w := s.do("POST", "/api/v1/x", big[:6]+big[6:60000]+`"}`, "Content-Type", "application/json"); w.Code != 200 {
		t.Errorf("60 kB: %d %s", w.Code, w.Body)
	}
	form := JSON(func(w http.ResponseWriter, r *http.Request) error { _, err := Form(r); return err })
	s = serve(t, Config{BodyLimit: 10}, map[string]http.Handler{"POST /f": form})
	r := httptest.NewRequest("POST", "/f", strings.NewReader("a="+strings.Repeat("x", 20)))
	r.Host, r.ContentLength = host, -1
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != 413 {
		t.Errorf("form: %d", w.Code)
	}
}

type secretError struct{ value string }

func (s secretError) Error() string { return "panic with " + s.value }

// inv-H, cve-61: whatever is sent and however the handler fails, no secret
// reaches the log.
func TestNoSecretInTheLog(t *testing.T) {
	const canary = "canary4711"
	token := authn.NewToken(authn.SessionToken, authn.NewID("cmp", time.Now(), zeros{}), authn.NewID("ses", time.Now(), zeros{}), zeros{})
	_, numErr := strconv.Atoi(canary)
	_, timeErr := time.Parse(time.RFC3339, canary)
	//lint:ignore SA1007 the error of a bad address is what is tested
	_, urlErr := url.Parse("https://x.example/%zz?key=" + canary)
	var n int
	typeErr := json.Unmarshal([]byte(`"`+canary+`"`), &n)
	fails := map[string]Func{
		"fine": ok,
		"decode": func(w http.ResponseWriter, r *http.Request) error {
			var v struct {
				Code int `json:"code"`
			}
			return Decode(r, &v)
		},
		"client": func(http.ResponseWriter, *http.Request) error {
			return &authn.Error{Code: authn.WrongCode, Err: errors.New(canary)}
		},
		"panic":    func(http.ResponseWriter, *http.Request) error { panic(canary) },
		"panicerr": func(http.ResponseWriter, *http.Request) error { panic(secretError{canary}) },
		"number":   func(http.ResponseWriter, *http.Request) error { return fmt.Errorf("x: %w", numErr) },
		"time":     func(http.ResponseWriter, *http.Request) error { return timeErr },
		"url":      func(http.ResponseWriter, *http.Request) error { return urlErr },
		"type":     func(http.ResponseWriter, *http.Request) error { return typeErr },
		"token":    func(http.ResponseWriter, *http.Request) error { return fmt.Errorf("no row for %s", token.Reveal()) },
		"otpauth": func(http.ResponseWriter, *http.Request) error {
			return errors.New("bad otpauth://totp/x?secret=" + canary)
		},
		"subject": func(w http.ResponseWriter, r *http.Request) error {
			Subject(r.Context(), canary, token.Reveal(), token.ID)
			return nil
		},
	}
	routes := map[string]http.Handler{}
	for name, f := range fails {
		routes["POST /api/v1/"+name] = JSON(f)
	}
	c := Cookies{}
	s := serve(t, Config{Cookies: c}, routes)
	for _, name := range append(slices.Sorted(maps.Keys(fails)), canary, "x/"+canary) {
		for _, body := range []string{`{"code":"` + canary + `"}`, `{"` + canary + `":1}`, canary, `{"code": ` + canary} {
			s.do("POST", "/api/v1/"+name+"?code="+canary, body, "Content-Type", "application/json", "Authorization", "Bearer "+token.Reveal(),
				"Cookie", c.Session()+"="+canary, "User-Agent", canary, "X-Request-Id", canary, "Referer", "https://x/"+canary, "Idempotency-Key", canary)
		}
	}
	s.do(strings.ToUpper(canary), "/api/v1/fine", "")
	s.do("GET", "/", "", "Host", canary+".example")
	log := s.log.String()
	if strings.Contains(strings.ToLower(log), canary) || strings.Contains(log, token.Reveal()) || strings.Contains(log, "192.0.2.1\"") {
		t.Errorf("a secret is in the log:\n%s", log)
	}
	if !strings.Contains(log, `"client":"192.0.2.0/24"`) || !strings.Contains(log, token.ID) || !strings.Contains(log, "httpserve.TestNoSecretInTheLog") {
		t.Errorf("the log lacks what it is for:\n%s", log)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestCauseIsForOurFaultsOnly(t *testing.T) {
	s := serve(t, Config{}, map[string]http.Handler{
		"GET /a": JSON(func(http.ResponseWriter, *http.Request) error {
			return fmt.Errorf("save: %w", errors.New("disk full\nforged"))
		}),
		"GET /b": JSON(func(http.ResponseWriter, *http.Request) error { panic([]int{}[len(authn.AAL1):]) }),
		"GET /c": JSON(func(http.ResponseWriter, *http.Request) error { return errors.New(strings.Repeat("é", 600)) }),
	})
	s.do("GET", "/a", "")
	if rec := s.record(t); rec["cause"] != "save: disk full\nforged" || rec["code"] != "internal" || rec["level"] != "ERROR" || strings.Count(s.log.String(), "\n") != 1 {
		t.Errorf("%v", rec)
	}
	s.do("GET", "/b", "")
	if rec := s.record(t); !strings.Contains(rec["cause"].(string), "out of range") {
		t.Errorf("%v", rec)
	}
	s.do("GET", "/c", "")
	if rec := s.record(t); len(rec["cause"].(string)) > maxCause+1 {
		t.Errorf("%v", rec)
	}
}

func TestLoopbackOnly(t *testing.T) {
	for _, tt := range []struct {
		peer string
		add  []string
		want int
	}{
		{"127.0.0.1:1", nil, 200}, {"[::1]:1", nil, 200}, {"[::ffff:127.0.0.1]:1", nil, 200}, {"127.0.0.1:1", []string{"Sec-Fetch-Site", "none"}, 200},
		{"127.0.0.1:1", []string{"Sec-Fetch-Site", "same-origin"}, 200}, {"127.0.0.1:1", []string{"Sec-Fetch-Site", "cross-site"}, 404},
		{"127.0.0.1:1", []string{"Sec-Fetch-Site", "same-site"}, 404}, {"192.0.2.1:1", nil, 404}, {"192.0.2.1:1", []string{"X-Forwarded-For", "127.0.0.1"}, 404},
		{"127.0.0.1:1", []string{"X-Forwarded-For", "127.0.0.1"}, 404}, {"127.0.0.1:1", []string{"Forwarded", ""}, 404}, {"127.0.0.1:1", []string{"Via", "1.1 x"}, 404},
		{"127.0.0.1:1", []string{"X-Forwarded-Proto", "http"}, 404}, {"@", nil, 404},
	} {
		r := httptest.NewRequest("GET", "/dev", nil)
		r.RemoteAddr = tt.peer
		for i := 0; i+1 < len(tt.add); i += 2 {
			r.Header.Set(tt.add[i], tt.add[i+1])
		}
		w := httptest.NewRecorder()
		LoopbackOnly(JSON(ok)).ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%+v: %d", tt, w.Code)
		}
	}
}

func TestWriteJSON(t *testing.T) {
	w := httptest.NewRecorder()
	if err := WriteJSON(w, 201, func() {}); err == nil || w.Body.Len() > 0 {
		t.Errorf("%v %s", err, w.Body)
	}
	w = httptest.NewRecorder()
	if err := WriteJSON(w, 201, map[string]string{"a": "<b>"}); err != nil || w.Code != 201 || w.Body.String() != "{\"a\":\"\\u003cb\\u003e\"}\n" {
		t.Errorf("%v %d %s", err, w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	if err := WriteJSON(w, 204, nil); err != nil || w.Code != 204 || w.Body.Len() > 0 {
		t.Errorf("%v %d", err, w.Code)
	}
}

func TestAgent(t *testing.T) {
	for ua, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36":                        "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0":              "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15":                  "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                 "Firefox on Linux",
		"Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0 Mobile Safari/537.36":           "Samsung Internet on Android",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36":                         "Chrome on ChromeOS",
		"Firefox/1": "Firefox", "": unknownBrowser, "curl/8.5": unknownBrowser, "<b>Windows</b>": unknownBrowser, strings.Repeat("x", 600) + "Firefox/1 Windows": unknownBrowser,
	} {
		if got := Agent(ua); got != want {
			t.Errorf("%q: %q, want %q", ua, got, want)
		}
	}
}

func FuzzForwarded(f *testing.F) {
	f.Add("1.2.3.4, [::1]:5,10.0.0.1", "x")
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	peer := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, a, b string) {
		got := clientAddress(peer, []string{a, b}, trusted)
		if !got.IsValid() || got.Zone() != "" || got.Is4In6() {
			t.Errorf("%q %q: %v", a, b, got)
		}
		if own := clientAddress(netip.MustParseAddr("192.0.2.1"), []string{a, b}, trusted); own.String() != "192.0.2.1" {
			t.Errorf("an untrusted peer is believed: %v", own)
		}
	})
}

func FuzzAgent(f *testing.F) {
	f.Add("Mozilla/5.0 (Windows NT 10.0) Chrome/1")
	f.Fuzz(func(t *testing.T, ua string) {
		got := Agent(ua)
		for _, r := range got {
			if !(r == ' ' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
				t.Errorf("%q: %q", ua, got)
			}
		}
		if got == "" || len(got) > 40 {
			t.Errorf("%q: %q", ua, got)
		}
	})
}
