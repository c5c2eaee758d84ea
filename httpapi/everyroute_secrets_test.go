package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// cve-59, inv-H, std-25, std-63: what is stored as a secret is in no answer,
// beyond the one that makes it.
func TestNoSecretInAnyAnswer(t *testing.T) {
	w := newWorld(t)
	each(t, w, func(t *testing.T, w *world, r route, p sallyporttest.Person) {
		if r.pattern == "GET /api/v1/openapi.json" {
			return // its examples have a password, which is nobody's
		}
		secret := p.Secret.Base32()
		forbidden := []string{secret, sallyporttest.Password, newPassword, mailSecret, "argon2", "$argon", "otpauth://totp/Acme%20Projects:" + p.Email + "?secret=" + secret}
		look := func(a answer) {
			t.Helper()
			var head strings.Builder
			_ = a.header.Write(&head)
			for _, s := range forbidden {
				if strings.Contains(string(a.body), s) || strings.Contains(head.String(), s) {
					t.Errorf("%s %s: the answer holds %.8s…: %s", a.call.method, a.call.path, s, a.body)
				}
			}
		}
		good := r.good(w, p)
		look(w.do(call{method: good.method, path: good.path, bearer: good.bearer, body: "{"}))
		look(w.do(call{method: good.method, path: good.path, body: good.body}))
		a := w.do(good)
		look(a)
		// The new secret of a pending app is in that answer only.
		if s := a.str("totp.secret"); s != "" && r.kind == authn.SessionToken {
			forbidden = append(forbidden, s)
			look(w.get("/api/v1/account/factors", good.bearer).want(200))
			look(w.do(call{method: "PATCH", path: "/api/v1/account/factors/" + a.str("id"), bearer: good.bearer, body: object{"name": "x"}}).want(200))
			look(w.post("/api/v1/account/factors/"+a.str("id")+"/confirm", good.bearer, object{"code": "abc"}))
			look(w.post("/api/v1/account/factors", good.bearer, object{"method": "totp"}))
		}
	})
}

// std-63, inv-H: neither does the log hold a token, a password or a code,
// whatever the request looks like.
func TestNoSecretInTheLog(t *testing.T) {
	var log sallyporttest.LogBuffer
	w := newWorld(t, func(c *sallyport.Config) { c.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	var secrets []string
	each(t, w, func(t *testing.T, w *world, r route, p sallyporttest.Person) {
		good := r.good(w, p)
		broken, odd := good, good
		broken.body = `{"password":"` + sallyporttest.Password + `","code":"` + good.bearer
		odd.path += "?token=" + good.bearer
		odd.header = map[string]string{"User-Agent": good.bearer, "X-Forwarded-For": good.bearer, "Cookie": cookies.Session() + "=" + good.bearer}
		if good.body != nil {
			w.do(broken)
		}
		w.do(odd)
		a := w.do(good).want(r.status)
		secrets = append(secrets, good.bearer, p.Secret.Base32(), a.str("token"), a.str("session.token"), a.str("totp.secret"))
		if body, ok := good.body.(object); ok {
			secrets = append(secrets, fmt.Sprint(body["code"]), fmt.Sprint(body["token"]))
		}
		if codes, ok := a.at("backup_codes").([]any); ok {
			secrets = append(secrets, fmt.Sprint(codes[0]))
		}
	})
	text := log.String()
	if strings.Count(text, "\n") < 3*len(routes) {
		t.Errorf("only %d records", strings.Count(text, "\n"))
	}
	for _, s := range append(secrets, sallyporttest.Password, newPassword, "sp_ses_", "sp_att_", "sp_lnk_", "sp_rst_") {
		if s != "" && s != "<nil>" && strings.Contains(text, s) {
			t.Errorf("the log holds %.8s…", s)
		}
	}
}

// failing is a store that fails from the nth call on.
type failing struct {
	sallyport.Store
	left atomic.Int64
	busy atomic.Bool
}

const leak = "dial tcp 10.1.2.3:5432: password=cAnArY user=sallyport SELECT sealed FROM factors"

func (f *failing) fail() error {
	if f.left.Add(-1) >= 0 {
		return nil
	}
	if f.busy.Load() {
		return &authn.Error{Code: authn.Busy, Err: errors.New(leak), RetryAfter: time.Second}
	}
	return errors.New(leak)
}

func (f *failing) Decide(ctx context.Context, k authn.Keys, d func(*authn.Rows) authn.Verdict) error {
	if err := f.fail(); err != nil {
		return err
	}
	return f.Store.Decide(ctx, k, d)
}

func (f *failing) View(ctx context.Context, k authn.Keys) (authn.Rows, error) {
	if err := f.fail(); err != nil {
		return authn.Rows{}, err
	}
	return f.Store.View(ctx, k)
}

func (f *failing) CompanyBySlug(ctx context.Context, slug string) (authn.Company, error) {
	if err := f.fail(); err != nil {
		return authn.Company{}, err
	}
	return f.Store.CompanyBySlug(ctx, slug)
}

func (f *failing) Sessions(ctx context.Context, company, user string) ([]authn.Session, error) {
	if err := f.fail(); err != nil {
		return nil, err
	}
	return f.Store.Sessions(ctx, company, user)
}

func (f *failing) Events(ctx context.Context, company string, q authn.EventQuery) ([]authn.Event, error) {
	if err := f.fail(); err != nil {
		return nil, err
	}
	return f.Store.Events(ctx, company, q)
}

func (f *failing) GrantKeys(ctx context.Context, company string, now time.Time) ([]authn.GrantPublicKey, error) {
	if err := f.fail(); err != nil {
		return nil, err
	}
	return f.Store.GrantKeys(ctx, company, now)
}

func (f *failing) PendingSecret(ctx context.Context, k authn.Keys) ([]byte, error) {
	if err := f.fail(); err != nil {
		return nil, err
	}
	return f.Store.PendingSecret(ctx, k)
}

const never = 1 << 40

func (f *failing) heal() { f.left.Store(never); f.busy.Store(false) }

func newFailing(t testing.TB) (*world, *failing) {
	f := &failing{}
	f.left.Store(never)
	w := newWorld(t, func(c *sallyport.Config) { f.Store = c.Store; c.Store = f })
	return w, f
}

// cve-61, inv-I, std-64: whichever call to the store fails, the answer is no,
// and says nothing of the inside.
func TestFailingStoreOnEveryRoute(t *testing.T) {
	w, f := newFailing(t)
	each(t, w, func(t *testing.T, w *world, r route, p sallyporttest.Person) {
		for n := range int64(20) {
			person := w.AddUser(t, w.Company, fmt.Sprint(p.Login, "n", n), true)
			c := r.good(w, person)
			f.busy.Store(n%2 == 1)
			f.left.Store(n)
			a := w.do(c)
			failed := f.left.Swap(never) < 0
			if !failed {
				if a.status != r.status {
					t.Errorf("after %d calls: %d %s", n, a.status, a.body)
				}
				return
			}
			if r.pattern == "POST /api/v1/account/factors/{id}/confirm" && r.kind == authn.AttemptToken && a.status == r.status {
				return // all is done but to ask where that leads: the codes are told, for no other answer has them
			}
			want := authn.Internal
			if f.busy.Load() {
				want = authn.Busy
			}
			a.refused(want)
			for _, s := range []string{"cAnArY", "10.1.2.3", "SELECT", "store", "signin:", "enroll:", "goroutine", "sp_"} {
				if bytes.Contains(a.body, []byte(s)) {
					t.Errorf("call %d: the answer holds %q: %s", n, s, a.body)
				}
			}
			if _, set := a.cookie(cookies.Session()); set {
				t.Errorf("call %d: a session cookie with a refusal", n)
			}
		}
		t.Error("more than 20 calls to the store")
	})
}

// Every answer, also a refusal, has what the outer layer gives.
func TestHeadersOnEveryRoute(t *testing.T) {
	w := newWorld(t)
	each(t, w, func(t *testing.T, w *world, r route, p sallyporttest.Person) {
		good := r.good(w, p)
		bad := good
		bad.bearer = "x"
		for _, a := range []answer{w.do(bad), w.do(good)} {
			if id := a.header.Get("X-Request-Id"); id == "" || a.status >= 400 && a.str("request_id") != id {
				t.Errorf("request id %q: %s", id, a.body)
			}
			kept := "no-store"
			if r.pattern == "GET /api/v1/grants/{company}/keys" && a.status == 200 {
				kept = "public, max-age=3600" // decision 0034
			}
			if a.header.Get("Cache-Control") != kept || a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Content-Security-Policy") == "" {
				t.Errorf("headers: %v", a.header)
			}
			if a.status >= 400 && a.status != httpserve.Status(authn.Code(a.str("code"))) {
				t.Errorf("%s with status %d", a.str("code"), a.status)
			}
		}
		evil := good
		evil.host = "evil.example"
		w.do(evil).refused(authn.WrongHost)
		for _, m := range []string{"TRACE", "OPTIONS", "PROPFIND"} {
			other := good
			other.method, other.body = m, nil
			if a := w.do(other); a.status != 405 || a.header.Get("Allow") == "" {
				t.Errorf("%s: %d %v", m, a.status, a.header)
			}
		}
	})
	for _, path := range []string{"/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v2/session", "/api/v1/session/", "/api/v1//session", "/api/v1/attempts/"} {
		w.get(path, "").refused(authn.NotFound)
	}
}
