package httpapi_test

import (
	"errors"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// onPerson is a request of an owner about the person.
func onPerson(method, path string, body any) func(*world, sallyporttest.Person) call {
	return func(w *world, p sallyporttest.Person) call {
		c := w.inSession(w.owner(p), method, "", body)
		c.path = "/api/v1/users/" + p.ID + strings.Replace(path, "{factor}", p.Factor, 1)
		return c
	}
}

// onWaiting is a request of an owner about something that another owner asked for.
func onWaiting(verb string) func(*world, sallyporttest.Person) call {
	return func(w *world, p sallyporttest.Person) call {
		w.promote(p.User, directory.Helpdesk)
		c := onPerson("POST", "/reset", object{"reason": "Lost the phone"})(w, p)
		a := w.do(c)
		if a.status == 204 { // somebody agreed to it before
			c.body = object{"reason": "Lost the phone, " + w.next()}
			a = w.do(c)
		}
		id := a.want(202).str("waiting.id")
		second := p
		second.ID, second.Login = p.ID+"2", p.Login+"-second"
		return w.inSession(w.owner(second), "POST", "/api/v1/approvals/"+id+"/"+verb, object{})
	}
}

const syslogPath = "/api/v1/audit/streams/syslog"

// streamTo is a target at which nobody listens.
func streamTo() object { return object{"host": "127.0.0.1", "port": 1} }

func auditor() object {
	return object{"title": "Auditor", "permissions": []string{"audit.read", "reports.read"}}
}

var words atomic.Int64

// next is a word that nothing else has.
func (w *world) next() string { return strconv.FormatInt(words.Add(1), 10) }

// keyOf is a new key of the person's company, with its token.
func (w *world) keyOf(p sallyporttest.Person, scopes ...string) (authn.APIKey, string) {
	w.t.Helper()
	n := directory.NewKey{Name: "nightly export", Owner: w.owner(p).ID, Scopes: scopes}
	k, token, err := w.Directory.CreateKey(w.t.Context(), directory.TheOperator(p.Company), n)
	if errors.Is(err, authn.Conflict) {
		n.Name += " " + w.next()
		k, token, err = w.Directory.CreateKey(w.t.Context(), directory.TheOperator(p.Company), n)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return k, token.Reveal()
}

const backTo, backNonce = "https://app.example.com/back", "n-0S6_WzA2Mj-of-16"

// returnTo makes the address one of the key, whoever had it.
func (w *world) returnTo(k authn.APIKey) string {
	w.t.Helper()
	op := directory.TheOperator(k.Company)
	rows, err := w.Store.View(w.t.Context(), authn.Keys{Company: k.Company, ReturnAddress: backTo, Now: w.Clock.Now()})
	if err == nil && rows.Return != nil {
		_, err = w.Directory.RemoveReturnAddress(w.t.Context(), op, rows.Return.Key, backTo, "")
	}
	if err == nil {
		_, err = w.Directory.AddReturnAddress(w.t.Context(), op, k.ID, backTo, "")
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return backTo
}

// handle is what the person brings back there.
func (w *world) handle(p sallyporttest.Person) string {
	w.t.Helper()
	id, token := w.beginWith(p, object{"return_to": backTo, "nonce": backNonce})
	done := w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "totp", "code": w.code(p)}).want(200)
	_, handle, ok := strings.Cut(done.str("return_to"), "?handle=")
	if !ok {
		w.t.Fatalf("%s", done.body)
	}
	return handle
}

// beginWith begins a sign-in that says more.
func (w *world) beginWith(p sallyporttest.Person, more object) (id, token string) {
	w.t.Helper()
	body := object{"company": w.slug(p), "login": p.Login, "password": sallyporttest.Password}
	maps.Copy(body, more)
	a := w.post("/api/v1/attempts", "", body).want(201)
	return a.str("id"), a.str("token")
}

// keyPath is the address of a new key of the person's company.
func (w *world) keyPath(p sallyporttest.Person) string {
	w.t.Helper()
	n := directory.NewKey{Name: "nightly export", Owner: w.owner(p).ID, Scopes: []string{"audit.read"}}
	k, _, err := w.Directory.CreateKey(w.t.Context(), directory.TheOperator(p.Company), n)
	if errors.Is(err, authn.Conflict) {
		n.Name += " " + w.next()
		k, _, err = w.Directory.CreateKey(w.t.Context(), directory.TheOperator(p.Company), n)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return "/api/v1/api-keys/" + k.ID
}

// bot is a new user of the person's company.
func (w *world) bot(p sallyporttest.Person) string {
	w.t.Helper()
	c := w.Company
	if p.Company == w.other.ID {
		c = w.other
	}
	login := "build-bot"
	if _, _, err := w.Directory.Lookup(w.t.Context(), c, login); err == nil {
		login += "-" + w.next()
	}
	return w.AddUser(w.t, c, login, false).ID
}

func (w *world) botOf(p sallyporttest.Person) object {
	return object{"owner": p.Login, "reason": "builds", "expires_at": w.Clock.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)}
}

// ofCompany reports whether what a path names is the company's, so that every
// owner of it may change it.
func (r route) ofCompany() bool {
	return strings.Contains(r.pattern, "/api-keys/") || strings.Contains(r.pattern, "/users/")
}

// mailOf are the settings of a mail server.
func mailOf(host string) object {
	return object{"host": host, "username": "acme", "password": mailSecret, "from": "no-reply@acme.example", "from_name": "Acme Projects"}
}

const mailSecret = "hunter2-7YqK2-correct horse"

var owners sync.Map // of each test server, by person

// owner is an owner of the person's company, one for each person.
func (w *world) owner(p sallyporttest.Person) sallyporttest.Person {
	w.t.Helper()
	key := w.URL + p.ID
	if o, ok := owners.Load(key); ok {
		return o.(sallyporttest.Person)
	}
	c := w.Company
	if p.Company == w.other.ID {
		c = w.other
	}
	login := p.Login + "-owner"
	u, err := w.Directory.CreateUser(w.t.Context(), c, directory.NewUser{Login: login, Email: login + "@acme.example", Verified: true,
		Roles: []string{directory.Owner}, Password: sallyporttest.Password})
	if err != nil {
		w.t.Fatal(err)
	}
	o := sallyporttest.Person{User: u}
	o.Factor, o.Secret = w.AddApp(w.t, u)
	owners.Store(key, o)
	return o
}

// somebody is a new person of p's company.
func (w *world) somebody(p sallyporttest.Person) sallyporttest.Person {
	w.t.Helper()
	return w.AddUser(w.t, w.companyOf(p), fresh(p.Login), false)
}
