package httpapi_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// flaky is a sender that can be told to fail.
type flaky struct {
	authn.Sender
	fails atomic.Bool
	// met is what a message meets before it is taken; nil: nothing.
	met atomic.Pointer[func(context.Context, authn.Message) error]
}

func (f *flaky) Send(ctx context.Context, m authn.Message) error {
	if err := f.meet(ctx, m); err != nil {
		return err
	}
	return f.Sender.Send(ctx, m)
}

func (f *flaky) meet(ctx context.Context, m authn.Message) error {
	if f.fails.Load() {
		return &authn.SendError{Stage: "connect", Code: "cAnArY", Reply: "cAnArY 10.1.2.3"}
	}
	if met := f.met.Load(); met != nil {
		return (*met)(ctx, m)
	}
	return nil
}

// around puts a flaky sender in front of every channel of a server.
func (f *flaky) around(c *sallyport.Config) {
	f.Sender = c.Senders[authn.Email]
	c.Senders = map[authn.Kind]authn.Sender{authn.Email: f}
	if d, ok := c.TextDrivers["inbox"]; ok {
		c.TextDrivers = map[string]authn.TextDriver{"inbox": flakyTexts{d, f}}
	}
}

var serial atomic.Int64

func fresh(login string) string { return fmt.Sprintf("%s-%d", login, serial.Add(1)) }

func (w *world) companyOf(p sallyporttest.Person) authn.Company {
	if p.Company == w.other.ID {
		return w.other
	}
	return w.Company
}

// opened is an attempt that a help code has opened: need_enrolment.
func (w *world) opened(p sallyporttest.Person) (id, token string) {
	w.t.Helper()
	code, _, err := w.Directory.BypassCode(w.t.Context(), w.companyOf(p), p.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	id, token = w.begin(p)
	a := w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "bypass_code", "code": code}).want(200)
	if a.str("state") != "need_enrolment" {
		w.t.Fatalf("help code: %s", a.body)
	}
	return id, token
}

// ready is an attempt in which a way was set up. p's app is another one then.
func (w *world) ready(p sallyporttest.Person) (id, token string) {
	w.t.Helper()
	id, token = w.opened(p)
	a := w.post("/api/v1/account/factors", token, object{"method": "totp"}).want(201)
	code := w.code(sallyporttest.Person{Secret: secretOf(w.t, a.str("totp.secret"))})
	if a := w.post("/api/v1/account/factors/"+a.str("id")+"/confirm", token, object{"code": code}).want(200); a.str("state") != "ready" {
		w.t.Fatalf("confirm: %s", a.body)
	}
	return id, token
}

// emailed begins an attempt of somebody who has nothing but an address, and
// proves that, if there is a code for it.
func (w *world) emailed(slug string, p sallyporttest.Person) answer {
	w.t.Helper()
	a := w.post("/api/v1/attempts", "", object{"company": slug, "login": p.Login, "password": sallyporttest.Password}).want(201)
	path, token := "/api/v1/attempts/"+a.str("id"), a.str("token")
	w.post(path+"/challenge", token, object{"method": "email"}).want(200)
	out := w.post(path+"/verify", token, object{"method": "email", "code": w.LastCode(w.t, p.Email)}).want(200)
	out.json["token"] = token
	return out
}

// graceful is an attempt of a new person in a company whose rules ask for a way
// of one's own, and let it be put off.
func (w *world) graceful(p sallyporttest.Person) (id, token string) {
	w.t.Helper()
	c, err := w.Directory.Company(w.t.Context(), "initech")
	if err != nil {
		c = w.AddCompany(w.t, "initech", "Initech")
		doc := policy.Document{Format: 1, TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience}, GraceDays: 14}
		if err := w.Directory.SetPolicy(w.t.Context(), c.ID, doc, c.PolicyVersion); err != nil {
			w.t.Fatal(err)
		}
	}
	a := w.emailed("initech", w.AddUser(w.t, c, fresh(p.Login), false))
	if a.str("state") != "need_enrolment" || a.str("grace_until") == "" {
		w.t.Fatalf("grace: %s", a.body)
	}
	return a.str("id"), a.str("token")
}

// invited is a new person of p's company who holds an invitation.
func (w *world) invited(p sallyporttest.Person, login string) string {
	w.t.Helper()
	g, err := w.Directory.Invite(w.t.Context(), w.companyOf(p), directory.NewUser{Login: login, Name: "Lena Fischer"}, false)
	if err != nil {
		w.t.Fatal(err)
	}
	return g.Token.Reveal()
}

// forgot asks for a code for p, and gives it with the token.
func (w *world) forgot(p sallyporttest.Person) (token, code string) {
	w.t.Helper()
	w.Clock.Advance(2 * time.Hour) // so that those before do not count
	token = w.post("/api/v1/password-resets", "", object{"company": w.companyOf(p).Slug, "login": p.Login}).want(202).str("token")
	w.Mail(w.t, p.Email)
	return token, w.LastCode(w.t, p.Email)
}

var link = regexp.MustCompile(`sp_lnk_[0-9a-v]+`)

// notMe is the token of the link in a notice to p.
func (w *world) notMe(p sallyporttest.Person) string {
	w.t.Helper()
	w.Clock.Advance(time.Minute) // what was set up before the event stays
	if _, _, err := w.Directory.BypassCode(w.t.Context(), w.companyOf(p), p.ID); err != nil {
		w.t.Fatal(err)
	}
	for _, m := range slices.Backward(w.Mail(w.t, p.Email)) {
		if token := link.FindString(m.Text); token != "" && strings.HasPrefix(m.Subject, "A help code was made") {
			return token
		}
	}
	w.t.Fatalf("no link was sent to %s", p.Email)
	return ""
}

// secured is an attempt of p, who said "this wasn't me": a new password is asked for.
func (w *world) secured(p sallyporttest.Person) (id, token string) {
	w.t.Helper()
	w.post("/api/v1/not-me", "", object{"token": w.notMe(p)}).want(200)
	id, token = w.begin(p)
	a := w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "totp", "code": w.code(p)}).want(200)
	if a.str("state") != "need_password_change" {
		w.t.Fatalf("secured: %s", a.body)
	}
	return id, token
}

// sent is a pending e-mail code whose code may be sent again.
func (w *world) sent(bearer string) (path string) {
	w.t.Helper()
	a := w.post("/api/v1/account/factors", bearer, object{"method": "email"}).want(201)
	w.Clock.Advance(31 * time.Second)
	return "/api/v1/account/factors/" + a.str("id")
}

// at is a request about an attempt.
func at(id, token, method, path string, body any) call {
	return call{method: method, path: strings.ReplaceAll(path, "{id}", id), bearer: token, body: body}
}

func sessionID(token string) string {
	t, _ := authn.ParseToken(authn.SessionToken, token)
	return t.ID
}
