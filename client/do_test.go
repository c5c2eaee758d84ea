package client_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/client"
)

// What is repeated, how often, and after which waits.
func TestRepeats(t *testing.T) {
	type answer struct {
		status int
		body   string
		after  string // Retry-After
		drop   bool   // no answer at all
	}
	busy, gone := answer{status: 503, body: problem("busy"), after: "2"}, answer{drop: true}
	fine := answer{status: 200, body: aSession}
	session := func(c *client.Client) error { _, err := c.Session(t.Context()); return err }
	for name, x := range map[string]struct {
		config  client.Config
		answers []answer // the last one again and again
		do      func(c *client.Client) error
		asked   int
		want    error // nil: it works
		least   []time.Duration
	}{
		"works at once":            {answers: []answer{fine}, asked: 1},
		"busy, then works":         {answers: []answer{busy, busy, fine}, asked: 3, least: []time.Duration{2 * time.Second, 2 * time.Second}},
		"always busy":              {answers: []answer{busy}, asked: 4, want: client.Busy, least: []time.Duration{2 * time.Second, 2 * time.Second, 2 * time.Second}},
		"once more":                {config: client.Config{Retries: 1}, answers: []answer{busy}, asked: 2, want: client.Busy, least: []time.Duration{2 * time.Second}},
		"never":                    {config: client.Config{Retries: -1}, answers: []answer{busy}, asked: 1, want: client.Busy},
		"too long a wait":          {answers: []answer{{status: 503, body: problem("busy"), after: "31"}}, asked: 1, want: client.Busy},
		"a longer wait allowed":    {config: client.Config{MaxWait: time.Hour}, answers: []answer{{status: 503, body: problem("busy"), after: "31"}, fine}, asked: 2, least: []time.Duration{31 * time.Second}},
		"short waits":              {config: client.Config{MaxWait: time.Millisecond}, answers: []answer{gone, fine}, asked: 2, least: []time.Duration{500 * time.Microsecond}},
		"a date":                   {answers: []answer{{status: 503, body: problem("busy"), after: now.Add(3 * time.Second).Format(http.TimeFormat)}, fine}, asked: 2, least: []time.Duration{3 * time.Second}},
		"503 without a time":       {answers: []answer{{status: 503, body: problem("provider_unavailable")}, fine}, asked: 2, least: []time.Duration{100 * time.Millisecond}},
		"429 with a time":          {answers: []answer{{status: 429, body: problem("too_many_requests"), after: "1"}, fine}, asked: 2, least: []time.Duration{time.Second}},
		"429 without a time":       {answers: []answer{{status: 429, body: problem("too_many_requests")}}, asked: 1, want: client.TooManyRequests},
		"paused":                   {answers: []answer{{status: 429, body: problem("paused"), after: "1"}}, asked: 1, want: client.Paused},
		"502 of a proxy":           {answers: []answer{{status: 502, body: "<html>"}, fine}, asked: 2, least: []time.Duration{100 * time.Millisecond}},
		"502 of the server":        {answers: []answer{{status: 502, body: problem("message_not_sent")}}, asked: 1, want: client.MessageNotSent},
		"500":                      {answers: []answer{{status: 500, body: problem("internal")}}, asked: 1, want: client.Internal},
		"404":                      {answers: []answer{{status: 404, body: problem("not_found")}}, asked: 1, want: client.NotFound},
		"no answer, then one":      {answers: []answer{gone, gone, fine}, asked: 3, least: []time.Duration{100 * time.Millisecond, 200 * time.Millisecond}},
		"garbage":                  {answers: []answer{{status: 200, body: "<html>"}}, asked: 1, want: client.ErrAnswer},
		"Verify is busy":           {answers: []answer{busy}, do: verify, asked: 1, want: client.Busy},
		"Verify has no answer":     {answers: []answer{gone}, do: verify, asked: 1, want: io.EOF},
		"Verify is 429":            {answers: []answer{{status: 429, body: problem("too_many_requests"), after: "1"}}, do: verify, asked: 1, want: client.TooManyRequests},
		"Redeem has no answer":     {answers: []answer{gone}, do: redeem, asked: 1, want: io.EOF},
		"a preview changes no-one": {answers: []answer{busy, {status: 200, body: `{"version": 2, "document": {"format": 1}}`}}, do: preview, asked: 2, least: []time.Duration{2 * time.Second}},
		"PUT by Do":                {answers: []answer{busy}, do: func(c *client.Client) error { return c.Do(t.Context(), "PUT", "/api/v1/roles/x", struct{}{}, nil) }, asked: 1, want: client.Busy},
		"GET by Do":                {answers: []answer{busy, fine}, do: func(c *client.Client) error { return c.Do(t.Context(), "GET", "/api/v1/roles", nil, nil) }, asked: 2, least: []time.Duration{2 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
				a := x.answers[min(n, len(x.answers))-1]
				if a.drop {
					panic(http.ErrAbortHandler)
				}
				if a.after != "" {
					w.Header().Set("Retry-After", a.after)
				}
				media := asProblem
				if a.status == 200 {
					media = asJSON
				}
				if a.body == "<html>" {
					media = "text/html"
				}
				say(w, a.status, media, a.body)
			})
			do := x.do
			if do == nil {
				do = session
			}
			err := do(f.client(t, x.config))
			if !errors.Is(err, x.want) || x.want == nil && err != nil {
				t.Errorf("%v, want %v", err, x.want)
			}
			if len(f.requests()) != x.asked || len(f.waits) != len(x.least) {
				t.Fatalf("asked %d times, want %d; waits %v", len(f.requests()), x.asked, f.waits)
			}
			for i, d := range f.waits {
				if d < x.least[i] || d > x.least[i]*2+time.Millisecond {
					t.Errorf("wait %d is %v, want about %v", i, d, x.least[i])
				}
			}
		})
	}
}

func verify(c *client.Client) error {
	_, err := c.Verify(context.Background(), &client.Attempt{ID: "att_1", Token: secret}, client.Answer{Method: client.TOTP, Code: client.NewSecret("123456")})
	return err
}

func redeem(c *client.Client) error {
	_, err := c.Redeem(context.Background(), client.Redemption{Token: client.NewSecret("sp_grt_secret"), Action: "billing.change"})
	return err
}

func preview(c *client.Client) error {
	_, err := c.PreviewPolicy(context.Background(), client.PolicyChange{Version: 1, Document: json.RawMessage(`{"format": 1}`)})
	return err
}

// The context ends a call, the wait between two tries, and keeps one from beginning that
// would be longer than it.
func TestContext(t *testing.T) {
	f := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "20")
		say(w, 503, asProblem, problem("busy"))
	})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.client(t, client.Config{}).Session(over); !errors.Is(err, context.Canceled) || len(f.requests()) != 0 {
		t.Errorf("%v, asked %d times", err, len(f.requests()))
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := f.client(t, client.Config{}).Session(short); !errors.Is(err, client.Busy) || len(f.requests()) != 1 || len(f.waits) != 0 {
		t.Errorf("%v, asked %d times, waits %v", err, len(f.requests()), f.waits)
	}
	// It is cancelled while the client waits, really.
	waiting, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	why := errors.New("shutting down")
	g := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "20")
		say(w, 503, asProblem, problem("busy"))
		context.AfterFunc(r.Context(), func() { stop(why) })
	})
	c, err := client.New(client.Config{BaseURL: g.URL, Token: secret})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Session(waiting); !errors.Is(err, why) && !errors.Is(err, context.Canceled) || len(g.requests()) != 1 {
		t.Errorf("%v, asked %d times", err, len(g.requests()))
	}
	var none context.Context
	if _, err := f.client(t, client.Config{}).Session(none); err == nil {
		t.Error("no context")
	}
}

// A try has an end of its own, and so has all of it.
func TestTimeout(t *testing.T) {
	f := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	_, err := f.client(t, client.Config{Timeout: time.Nanosecond}).Session(t.Context())
	if !errors.Is(err, context.DeadlineExceeded) || len(f.waits) != 3 {
		t.Errorf("%v, waits %v", err, f.waits)
	}
}

// Answers that are none are errors and never a yes.
func TestAnswers_bad(t *testing.T) {
	for name, x := range map[string]struct {
		status      int
		media, body string
		do          func(c *client.Client) error
	}{
		"a page":               {200, "text/html", "<html>Welcome to the hotel", session},
		"a page for a DELETE":  {200, "text/html", "<html>Welcome to the hotel", signOut},
		"no type":              {200, "", aSession, session},
		"half of it":           {200, asJSON, aSession[:40], session},
		"nothing":              {200, asJSON, "", session},
		"no content":           {204, asJSON, "", session},
		"null":                 {200, asJSON, "null", session},
		"another form":         {200, asJSON, `{"id": 7}`, session},
		"a list":               {200, asJSON, `[]`, session},
		"two":                  {200, asJSON, aSession + aSession, session},
		"empty":                {200, asJSON, `{}`, session},
		"nobody":               {200, asJSON, `{"id": "ses_1", "user": {}, "company": {"id": "cmp_1"}}`, session},
		"complete, no session": {200, asJSON, `{"id": "att_1", "state": "complete"}`, verify},
		"a refusal without":    {403, asProblem, `{"title": "no"}`, session},
		"a refusal as a page":  {502, "text/html", "<html>", verify},
		"a refusal cut off":    {422, asProblem, problem("wrong_code")[:30], verify},
		"a code with a line":   {422, asProblem, `{"code": "wrong\ncode"}`, verify},
		"a redirect":           {302, asJSON, aSession, session},
		"redeemed for another": {200, asJSON, `{"id": "grt_1", "action": "money.send", "user": {"id": "usr_1"}}`, redeem},
		"redeemed by nobody":   {200, asJSON, `{"id": "grt_1", "action": "billing.change"}`, redeem},
		"a list without items": {200, asJSON, `{"next_cursor": "x"}`, users},
		"a list in a circle":   {200, asJSON, `{"items": [], "next_cursor": "x"}`, users},
	} {
		f := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) { say(w, x.status, x.media, x.body) })
		if err := x.do(f.client(t, client.Config{Retries: -1})); !errors.Is(err, client.ErrAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func session(c *client.Client) error { _, err := c.Session(context.Background()); return err }

func signOut(c *client.Client) error { return c.SignOut(context.Background()) }

func users(c *client.Client) error {
	for _, err := range c.Users(context.Background(), client.UserFilter{}) {
		if err != nil {
			return err
		}
	}
	return nil
}

// A list asks only for what is looked at, and ends with its first error.
func TestList(t *testing.T) {
	f := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") == "c2" {
			say(w, 410, asProblem, problem("expired"))
			return
		}
		say(w, 200, asJSON, fmt.Sprintf(`{"items": [{"id": "usr_%d"}, {"id": "usr_x"}], "next_cursor": "c%d"}`, n, n))
	})
	c := f.client(t, client.Config{})
	for u, err := range c.Users(t.Context(), client.UserFilter{Role: "owner"}) {
		if err != nil || u.ID != "usr_1" {
			t.Errorf("%+v %v", u, err)
		}
		break
	}
	if len(f.requests()) != 1 || f.requests()[0].URL.RawQuery != "limit=200&role=owner" {
		t.Errorf("asked %d times, first %s", len(f.requests()), f.requests()[0].URL)
	}
	query := url.Values{"limit": {"2"}}
	ids, failed := 0, 0
	for u, err := range client.List[client.User](t.Context(), c, "/api/v1/users", query) {
		if err != nil {
			if failed++; !errors.Is(err, client.Expired) || u.ID != "" {
				t.Errorf("%+v %v", u, err)
			}
			continue // it is the last all the same
		}
		ids++
	}
	if ids != 2 || failed != 1 || len(f.requests()) != 3 || len(query) != 1 {
		t.Errorf("%d people, %d errors, asked %d times, %v", ids, failed, len(f.requests()), query)
	}
	for _, err := range client.List[client.User](t.Context(), c, "/api/v1/users/../roles", nil) {
		if err == nil {
			t.Error("a path with dots")
		}
	}
}

// One client serves many at once, each with their own credential.
func TestConcurrent(t *testing.T) {
	f := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
		say(w, 200, asJSON, strings.Replace(aSession, "ses_1", strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), 1))
	})
	c := f.client(t, client.Config{})
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			mine := fmt.Sprintf("sp_ses_%d", i)
			if s, err := c.As(client.NewSecret(mine)).Session(t.Context()); err != nil || s.ID != mine {
				t.Errorf("%+v %v", s, err)
			}
		})
	}
	all.Wait()
}

// No answer takes more memory than it may, packed ones neither.
func TestAnswers_huge(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]func(w http.ResponseWriter){
		"plain":   func(w http.ResponseWriter) { say(w, 200, asJSON, strings.Repeat(" ", 1<<20)) },
		"refusal": func(w http.ResponseWriter) { say(w, 403, asProblem, strings.Repeat(" ", 1<<20)) },
		"packed": func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			say(w, 200, asJSON, packed.String())
		},
	} {
		f := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) { answer(w) })
		_, err := f.client(t, client.Config{MaxAnswer: 4096}).Session(t.Context())
		if !errors.Is(err, client.ErrAnswer) || !strings.Contains(err.Error(), "4096") || len(f.requests()) != 1 {
			t.Errorf("%s: %v, asked %d times", name, err, len(f.requests()))
		}
	}
	// One that is just as long as it may be.
	f := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) { say(w, 200, asJSON, aSession) })
	if _, err := f.client(t, client.Config{MaxAnswer: int64(len(aSession))}).Session(t.Context()); err != nil {
		t.Error(err)
	}
	// One that ends too soon is asked for again.
	f = newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			w.Header().Set("Content-Length", "9000")
		}
		say(w, 200, asJSON, aSession)
	})
	if _, err := f.client(t, client.Config{}).Session(t.Context()); err != nil || len(f.requests()) != 2 {
		t.Errorf("%v, asked %d times", err, len(f.requests()))
	}
}

// The credential goes to the server it is for: no redirect is followed, whatever the
// http.Client that was given would do, and its cookies are left alone.
func TestRedirects(t *testing.T) {
	elsewhere := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) { say(w, 200, asJSON, aSession) })
	f := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "sallyport_session", Value: "x"})
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(f.URL)
	if err != nil {
		t.Fatal(err)
	}
	jar.SetCookies(at, []*http.Cookie{{Name: "mine", Value: "1"}})
	given := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
	c := f.client(t, client.Config{HTTPClient: given})
	for _, do := range []func(*client.Client) error{session, verify, signOut} {
		if err := do(c); !errors.Is(err, client.ErrAnswer) || !strings.Contains(err.Error(), "redirect") {
			t.Error(err)
		}
	}
	if len(elsewhere.requests()) != 0 || len(f.requests()) != 3 {
		t.Errorf("asked elsewhere %d times, here %d", len(elsewhere.requests()), len(f.requests()))
	}
	if len(f.requests()[0].Cookies()) != 0 || len(jar.Cookies(at)) != 1 || given.Jar == nil {
		t.Error("cookies were used")
	}
}

// What goes out with each request.
func TestHeaders(t *testing.T) {
	f := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) { say(w, 200, asJSON, aSession) })
	c := f.client(t, client.Config{BaseURL: f.URL + "/auth/", UserAgent: "shop/1.2", Language: "pl"})
	account := f.client(t, client.Config{Account: "acme/build-bot", Token: client.NewSecret("wind over the northern pier")})
	for _, do := range []func() error{func() error { return session(c) }, func() error { return session(c.As(client.NewSecret("sp_ses_other"))) }, func() error { return session(c.As(client.Secret{})) },
		func() error { return session(account) }, func() error { return session(account.As(secret)) }} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	first := f.requests()[0]
	if first.URL.Path != "/auth/api/v1/session" || first.UserAgent() != "shop/1.2 sallyport-go" || first.Header.Get("Accept-Language") != "pl" || first.Header.Get("Content-Type") != "" {
		t.Errorf("%s %v", first.URL, first.Header)
	}
	for i, want := range []string{"Bearer " + token, "Bearer sp_ses_other", "", "Basic ", "Bearer " + token} {
		if got := f.requests()[i].Header.Get("Authorization"); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%d: %q", i, got)
		}
	}
	if login, secret, ok := f.requests()[3].BasicAuth(); !ok || login != "acme/build-bot" || secret != "wind over the northern pier" {
		t.Errorf("%q %q", login, secret)
	}
}

// What is no configuration, no path and no id is refused before anything goes out.
func TestBadInput(t *testing.T) {
	for name, c := range map[string]client.Config{
		"nothing":        {},
		"no scheme":      {BaseURL: "login.example.com"},
		"another scheme": {BaseURL: "ftp://login.example.com"},
		"no host":        {BaseURL: "https:///auth"},
		"http":           {BaseURL: "http://login.example.com"},
		"a user":         {BaseURL: "https://me:" + token + "@login.example.com"},
		"a query":        {BaseURL: "https://login.example.com/?a=" + token},
		"a fragment":     {BaseURL: "https://login.example.com/#" + token},
		"dots":           {BaseURL: "https://login.example.com/a/../b"},
		"the whole path": {BaseURL: "https://login.example.com/api/v1"},
		"not an address": {BaseURL: "https://login.example.com:" + token},
		"a line":         {BaseURL: "https://login.example.com", Token: client.NewSecret(token + "\r\nX: y")},
		"a blank":        {BaseURL: "https://login.example.com", Token: client.NewSecret(token + " ")},
		"no secret":      {BaseURL: "https://login.example.com", Account: "build-bot"},
		"a colon":        {BaseURL: "https://login.example.com", Account: "build:bot", Token: secret},
		"tries":          {BaseURL: "https://login.example.com", Retries: 11},
		"wait":           {BaseURL: "https://login.example.com", MaxWait: -1},
		"answer":         {BaseURL: "https://login.example.com", MaxAnswer: -1},
	} {
		if _, err := client.New(c); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, good := range []client.Config{{BaseURL: "https://login.example.com/auth/"}, {BaseURL: "http://127.0.0.1:8080"}, {BaseURL: "http://localhost"}, {BaseURL: "http://[::1]:80"},
		{BaseURL: "http://sallyport", PlainHTTP: true}} {
		if _, err := client.New(good); err != nil {
			t.Errorf("%s: %v", good.BaseURL, err)
		}
	}
	f := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) { say(w, 200, asJSON, "{}") })
	c := f.client(t, client.Config{})
	for _, path := range []string{"", "/", "session", "/api/v1", "/api/v2/session", "/api/v1/../../admin", "/api/v1/%2e%2e/admin", "/api/v1/a%2fb", "/api/v1//session", "/api/v1/users/",
		"https://elsewhere.example/api/v1/session", "//elsewhere.example/api/v1/session", "/api/v1/session#x", "/api/v1/a\\b", "/api/v1/\n"} {
		if err := c.Do(t.Context(), "GET", path, nil, nil); err == nil {
			t.Errorf("%q goes out", path)
		}
	}
	for _, id := range []string{"", ".", "..", "a/b", "a?b=c", "a%2fb", "a b", "a\nb", strings.Repeat("a", 101)} {
		if err := c.EndSession(t.Context(), id); err == nil {
			t.Errorf("%q is an id", id)
		}
		if _, err := c.Attempt(t.Context(), &client.Attempt{ID: id}); err == nil {
			t.Errorf("%q is an id", id)
		}
	}
	if err := session(c.As(client.NewSecret("sp_ses_\r\nX: y"))); err == nil || strings.Contains(err.Error(), "sp_ses_") {
		t.Error(err)
	}
	if err := c.Do(t.Context(), "POST", "/api/v1/roles", func() {}, nil); err == nil {
		t.Error("a function is sent")
	}
	if err := c.Do(t.Context(), "G T", "/api/v1/roles", nil, nil); err == nil {
		t.Error("a method with a blank is sent")
	}
	if len(f.requests()) != 0 {
		t.Errorf("%d requests went out, the first %s", len(f.requests()), f.requests()[0].URL)
	}
}

// No secret is in an error or a log, however somebody prints things.
func TestSecrets(t *testing.T) {
	f := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
		say(w, 422, asProblem, `{"code": "invalid", "detail": "`+token+`", "request_id": "`+token+` `+token+`", "fields": [{"name": "`+token+` x", "code": "a\nb", "message": "`+token+`"}]}`)
	})
	c := f.client(t, client.Config{})
	attempt := &client.Attempt{ID: "att_1", Token: secret, Session: &client.Session{Token: secret}, Grant: &client.Grant{Token: secret}, TrustedBrowser: &client.Trust{Token: secret}}
	things := []any{c, *c, c.As(secret), client.Config{Token: secret}, attempt, *attempt, client.SignIn{Password: secret, TrustedBrowser: secret}, client.Answer{Code: secret, Password: secret},
		client.Redemption{Token: secret}, client.BackupCodes{Codes: []client.Secret{secret}}, client.Acted{Code: secret},
		client.PendingFactor{App: &client.AppSetUp{Secret: secret, URI: secret, QRSVG: secret}, Duo: &client.DuoSetUp{PortalURL: secret, BarcodeURL: secret}}, secret}
	things = append(things, struct{ A, B, C, D any }{&client.Config{Token: secret}, &client.SignIn{Password: secret}, &attempt, c}, struct {
		A *client.Config
		B *client.BackupCodes
		C []client.Secret
		d *client.Secret
		e client.Secret
	}{&client.Config{Token: secret}, &client.BackupCodes{Codes: []client.Secret{secret}}, []client.Secret{secret}, &secret, secret})
	_, refused := c.Begin(t.Context(), client.SignIn{Login: "maya", Password: secret})
	things = append(things, refused.Error(), c.Do(t.Context(), "GET", "/api/v1/users?search="+token, nil, nil).Error())
	f.Close()
	_, gone := c.Verify(t.Context(), attempt, client.Answer{Method: client.TOTP, Code: secret})
	things = append(things, gone, c.Do(t.Context(), "GET", "/api/v1/users?search="+token, nil, nil))
	var out bytes.Buffer
	text, js := slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))
	for _, x := range things {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb, x)
		}
		text.Info("x", "x", x)
		js.Info("x", "x", x)
		if err := json.NewEncoder(&out).Encode(x); err != nil {
			t.Error(err)
		}
	}
	if s := out.String(); strings.Contains(s, "this-one-is-secret") || strings.Contains(s, fmt.Sprintf("%x", token)) {
		t.Errorf("%s", s)
	}
	if !strings.Contains(refused.Error(), "invalid: ? ? (request ?)") {
		t.Error(refused)
	}
	if secret.Reveal() != token || fmt.Sprint(client.NewSecret("")) != "" {
		t.Error("Reveal")
	}
}

// Bodies that are not JSON go both ways.
func TestContent(t *testing.T) {
	f := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
		say(w, 200, "text/csv; charset=utf-8", "login\r\nmaya\r\n")
	})
	c := f.client(t, client.Config{})
	var out client.Content
	if err := c.Do(t.Context(), "POST", "/api/v1/users/import?dry_run=true", client.Content{Type: "text/csv", Bytes: []byte("login\nnina\n")}, &out); err != nil {
		t.Fatal(err)
	}
	if out.Type != "text/csv; charset=utf-8" || string(out.Bytes) != "login\r\nmaya\r\n" || f.bodies()[0] != "login\nnina\n" || f.requests()[0].Header.Get("Content-Type") != "text/csv" || f.requests()[0].URL.RawQuery != "dry_run=true" {
		t.Errorf("%+v %q", out, f.bodies())
	}
}

// Everything that a refusal says is in the error.
func TestError(t *testing.T) {
	f := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		say(w, 422, asProblem, `{"code": "wrong_code", "detail": "That code is not right.", "request_id": "req_1", "attempts_left": 0, "retry_after": 90, "expires_at": "2026-11-21T10:00:00Z",
			"max_age": 600, "acr_values": "aal2", "clock_skew_seconds": -45, "fields": [{"name": "code", "code": "wrong", "message": "m"}], "new": true}`)
	})
	err := verify(f.client(t, client.Config{}))
	var e *client.Error
	if !errors.As(err, &e) || !errors.Is(err, client.WrongCode) || errors.Is(err, client.ErrAnswer) || errors.Is(err, client.Locked) {
		t.Fatal(err)
	}
	if e.Status != 422 || e.Detail != "That code is not right." || e.RequestID != "req_1" || !e.HasLeft || e.AttemptsLeft != 0 || e.RetryAfter != 90*time.Second ||
		!e.ExpiresAt.Equal(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)) || e.MaxAge != 10*time.Minute || e.ACRValues != "aal2" || e.ClockSkew != -45*time.Second || e.Fields[0].Message != "m" {
		t.Errorf("%+v", e)
	}
	if got := err.Error(); got != "client: POST /api/v1/attempts/att_1/verify: HTTP 422 wrong_code: code wrong (request req_1)" {
		t.Error(got)
	}
	// A newer server's code is one, too.
	f = newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		say(w, 409, asProblem, `{"code": "brand_new", "retry_after": 99999999999}`)
	})
	if err := verify(f.client(t, client.Config{})); !errors.Is(err, client.Code("brand_new")) || !errors.As(err, &e) || e.HasLeft || e.RetryAfter != 10*365*24*time.Hour {
		t.Errorf("%+v", err)
	}
}

// Whatever a server answers, a call ends with an error or with something to go on with.
func FuzzAnswer(f *testing.F) {
	f.Add(200, asJSON, `{"id": "att_1", "state": "complete", "session": {"id": "ses_1"}}`, "")
	f.Add(422, asProblem, problem("wrong_code"), "3")
	f.Add(503, asProblem, `{"code": "busy", "retry_after": -9223372036854775808}`, "Sat, 21 Nov 2026 09:14:13 GMT")
	f.Fuzz(func(t *testing.T, status int, media, body, after string) {
		if status < 200 || status > 999 {
			return
		}
		c, err := client.New(client.Config{BaseURL: "https://login.example.com", Token: secret, Retries: -1, HTTPClient: &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
			h := http.Header{"Content-Type": {media}, "Retry-After": {after}}
			return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		})}})
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.Verify(t.Context(), &client.Attempt{ID: "att_1", Token: secret}, client.Answer{Method: client.TOTP, Code: client.NewSecret("123456")})
		if err == nil && (a.ID == "" || a.State == client.StateComplete && a.Session == nil || status > 299) {
			t.Errorf("%d %s gives %+v", status, body, a)
		}
		if err != nil && (strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), token) || len(err.Error()) > 100_000) {
			t.Errorf("%q", err)
		}
		var e *client.Error
		if errors.As(err, &e) && (e.RetryAfter < 0 || e.MaxAge < 0) {
			t.Errorf("%+v", e)
		}
	})
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
