package httpapi_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// numbers of people in these tests; those that Sweden keeps free for stories.
const (
	nadiasNumber = "+46701740605"
	lenasNumber  = "+46701740606"
)

// flakyTexts is a driver whose messages meet what a flaky sender does.
type flakyTexts struct {
	authn.TextDriver
	f *flaky
}

func (d flakyTexts) Open(p authn.TextProvider) (authn.TextSender, error) {
	s, err := d.TextDriver.Open(p)
	return flakyText{s, d.f}, err
}

type flakyText struct {
	authn.TextSender
	f *flaky
}

func (s flakyText) Send(ctx context.Context, m authn.Message) error {
	if err := s.f.meet(ctx, m); err != nil {
		return err
	}
	return s.TextSender.Send(ctx, m)
}

// readyDuo makes the pretend Duo of a server before anybody asks for it, so that
// it lives as long as the test that made the server.
func readyDuo(t testing.TB, s *sallyporttest.Server) *sallyporttest.Server {
	s.Duo = sallyporttest.NewDuo(t, sallyporttest.DuoConfig{Now: s.Clock.Now, Poll: 20 * time.Millisecond})
	return s
}

// texted adds somebody whose only way is codes to a number.
func (w *world) texted(login, number string) sallyporttest.Person {
	w.t.Helper()
	w.UseTexts(w.t, w.Company)
	p := w.AddUser(w.t, w.Company, login, false)
	p.Factor = w.AddPhone(w.t, p.User, number)
	return p
}

// duoUser is somebody as Duo knows them.
func duoUser(name string) sallyporttest.DuoUser {
	return sallyporttest.DuoUser{Username: name, Devices: []sallyporttest.DuoDevice{sallyporttest.DuoPhone("DP1")}, Passcodes: []string{"123456", "7654321"}}
}

// duoed adds somebody whose only way is Duo.
func (w *world) duoed(login string) sallyporttest.Person {
	w.t.Helper()
	w.UseDuo(w.t, w.Company)
	p := w.AddUser(w.t, w.Company, login, false)
	p.Factor = w.AddDuo(w.t, p.User, login)
	w.Duo.AddUser(duoUser(login))
	return p
}

// duoSetUp begins Duo for somebody whom Duo knows.
func (w *world) duoSetUp(p sallyporttest.Person, bearer string) (path string) {
	w.t.Helper()
	w.UseDuo(w.t, w.companyOf(p))
	w.Duo.AddUser(duoUser(p.Login))
	a := w.post("/api/v1/account/factors", bearer, object{"method": "duo"}).want(201)
	return "/api/v1/account/factors/" + a.str("id")
}

// lastPush is what the person's phone shows.
func (w *world) lastPush() sallyporttest.DuoPush {
	w.t.Helper()
	list := w.Duo.Pushes()
	if len(list) == 0 {
		w.t.Fatal("nothing was pushed")
	}
	return list[len(list)-1]
}

// until asks again until an answer is as wanted; Duo is followed in the
// background, with the clock of the machine.
func (w *world) until(path, bearer, at, want string) answer {
	w.t.Helper()
	for range 500 {
		if a := w.get(path, bearer).want(200); a.str(at) == want {
			return a
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.t.Fatalf("%s of %s does not become %s: %s", at, path, want, w.get(path, bearer).body)
	return answer{}
}

// pushed asks somebody with Duo.
func (w *world) pushed(p sallyporttest.Person) (id, token string) {
	w.t.Helper()
	id, token = w.begin(p)
	if a := w.post("/api/v1/attempts/"+id+"/challenge", token, object{"method": "duo", "option": "auto"}).want(200); a.at("waiting") != true {
		w.t.Fatalf("challenge: %s", a.body)
	}
	return id, token
}

// Scenes of the examples.

func nadia(w *world, _ sallyporttest.Person, _ *call) { w.texted("nadia", nadiasNumber) }

func asNadia(w *world, _ sallyporttest.Person, c *call) {
	n := w.texted("nadia", nadiasNumber)
	w.turn(c)(w.begin(n))
	if body, ok := c.body.(object); ok && body["factor"] != nil {
		body["factor"] = n.Factor
	}
}

func asDiego(w *world, _ sallyporttest.Person, c *call) { w.turn(c)(w.begin(w.duoed("diego"))) }

// garbled makes Duo's next answer none.
func garbled(w *world) { w.Duo.Play("/auth/v2/preauth", sallyporttest.DuoFault{Body: "<html>"}) }

// answered is an attempt in which Duo was asked, and how that ended.
func answered(end func(d *sallyporttest.Duo, txid string) error, at, want string) scene {
	return func(w *world, _ sallyporttest.Person, c *call) {
		w.turn(c)(w.pushed(w.duoed("diego")))
		if end == nil {
			return
		}
		if err := end(w.Duo, w.lastPush().TxID); err != nil {
			w.t.Fatal(err)
		}
		w.until(c.path, c.bearer, at, want)
	}
}

func approve(d *sallyporttest.Duo, txid string) error { return d.Approve(txid) }
func deny(d *sallyporttest.Duo, txid string) error    { return d.Deny(txid) }

// atDuo makes a request one about the pending Duo of its person.
func atDuo(w *world, p sallyporttest.Person, c *call) {
	last := c.path[strings.LastIndex(c.path, "/"):]
	if strings.HasPrefix(last, "/fac_") {
		last = ""
	}
	c.path = w.duoSetUp(p, c.bearer) + last
}
