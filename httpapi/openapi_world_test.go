package httpapi_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// scene brings the server to where an example begins, and puts what cannot be
// known beforehand (ids, codes) into its request.
type scene func(w *world, p sallyporttest.Person, c *call)

// askedOften uses up what one network may ask about passwords.
func askedOften(w *world, _ sallyporttest.Person, c *call) {
	for range 120 {
		w.do(*c).want(200)
	}
}

// everywhere are the examples that any operation may have.
var everywhere = map[string]scene{
	"bad_request": func(_ *world, _ sallyporttest.Person, c *call) { c.body = "{" },
	"unsupported_media": func(_ *world, _ sallyporttest.Person, c *call) {
		c.header = map[string]string{"Content-Type": "text/plain"}
	},
	"wrong_host": func(_ *world, _ sallyporttest.Person, c *call) { c.host = "evil.example" },
	"unauthenticated": func(_ *world, _ sallyporttest.Person, c *call) {
		c.bearer = "sp_ses_that_is_none"
	},
	"forbidden": func(_ *world, _ sallyporttest.Person, c *call) {
		c.bearer, c.header = "", map[string]string{"Sec-Fetch-Site": "cross-site"}
	},
	"too_large": func(_ *world, _ sallyporttest.Person, c *call) {
		if c.body != nil {
			c.body = strings.Repeat(" ", 70_000)
		} else {
			c.path += "?x=" + strings.Repeat("x", 5000)
		}
	},
	"invalid": func(_ *world, _ sallyporttest.Person, c *call) {
		if _, file := c.body.(string); file || c.body == nil {
			c.path += "?unheard_of=1"
		} else if len(c.body.(object)) == 0 || strings.Contains(c.path, "/users") {
			c.body = object{"unheard_of": 1}
		}
	},
	"not_found": func(w *world, p sallyporttest.Person, c *call) {
		if body, ok := c.body.(object); ok && body["token"] != nil {
			body["token"] = noLink
		} else if strings.Contains(c.path, "/users/") {
			c.path = regexp.MustCompile(`usr_\w+`).ReplaceAllString(c.path, "usr_06gvqojiq1qq57jp3br4pat4so")
		} else if strings.Contains(c.path, "/sessions/") {
			c.path = regexp.MustCompile(`ses_\w+`).ReplaceAllString(c.path, "ses_06gvqojiq1qq57jp3br4pat4so")
		} else if strings.Contains(c.path, "/trusted-browsers/") {
			c.path = regexp.MustCompile(`tru_\w+`).ReplaceAllString(c.path, "tru_06gvqojiq1tch8gdppkvf1jp7k")
		} else if strings.Contains(c.path, "/factors/") {
			c.path = regexp.MustCompile(`fac_\w+`).ReplaceAllString(c.path, "fac_06gvqojiq1tch8gdppkvf1jp7k")
		} else if strings.Contains(c.path, "/users/") {
			c.path = regexp.MustCompile(`usr_\w+`).ReplaceAllString(c.path, "usr_06gvqojiq1qlv7438sknb41ae8")
		} else if strings.Contains(c.path, "/attempts/") {
			_, c.bearer = w.begin(p) // another attempt
		}
	},
	"internal": func(w *world, _ sallyporttest.Person, c *call) { w.failing.left.Store(0) },
	"busy":     func(w *world, _ sallyporttest.Person, c *call) { w.failing.busy.Store(true); w.failing.left.Store(0) },
}

// regrant fills in a grant of the person.
func regrant(w *world, p sallyporttest.Person, c *call) {
	c.body = object{"token": w.granted(p, object{"action": "billing.change"}).str("grant.token"), "action": "billing.change"}
}

// noLink is the token of a link that nobody gave.
const noLink = "sp_lnk_06gvqojiq1qe7alb8eh5a55tok0q3vb2eb87drk9oh2bemtmu8nb47e7gk11vrdn9enm78vo72lph1p76m3k29nvf82csrp53q2i8g0"

// code fills in the person's next code.
func code(w *world, p sallyporttest.Person, c *call) { c.body.(object)["code"] = w.code(p) }

func wrong(n int, body object) scene {
	return func(w *world, p sallyporttest.Person, c *call) {
		before := *c
		before.body = body
		for range n {
			w.do(before).want(422)
		}
	}
}

func wrongCodes(w *world, p sallyporttest.Person, c *call) {
	path := strings.TrimSuffix(strings.TrimSuffix(c.path, "/verify"), "/challenge") + "/verify"
	for range policy.FreeTries {
		w.post(path, c.bearer, object{"method": "totp", "code": w.WrongCode(w.t, p.Secret)}).refused(authn.WrongCode)
	}
}

func finish(w *world, p sallyporttest.Person, c *call) {
	path, _, _ := strings.Cut(strings.TrimPrefix(c.path, "/api/v1/attempts/"), "/")
	w.post("/api/v1/attempts/"+path+"/verify", c.bearer, object{"method": "totp", "code": w.code(p)}).want(200)
}

func later(d time.Duration) scene {
	return func(w *world, _ sallyporttest.Person, _ *call) { w.Clock.Advance(d) }
}

// plain makes the request that of somebody without a factor, confirmed again or not.
func plain(again bool) scene {
	return func(w *world, _ sallyporttest.Person, c *call) {
		lena := w.AddUser(w.t, w.Company, "lena", false)
		if c.bearer = w.signIn(lena); again {
			c.bearer = w.confirmed(lena)
		}
	}
}

// stepUpFor makes the request one about a step-up attempt of p.
func stepUpFor(w *world, session string, c *call) {
	a := w.post("/api/v1/account/step-up", session, object{}).want(201)
	c.path = "/api/v1/attempts/" + a.str("id") + c.path[strings.LastIndex(c.path, "/"):]
	c.bearer = a.str("token")
}

func passwordStepUp(w *world, _ sallyporttest.Person, c *call) {
	stepUpFor(w, w.signIn(w.AddUser(w.t, w.Company, "lena", false)), c)
}

// oneDay has a day with sign-ins and a failure in it, counted.
func oneDay(w *world, p sallyporttest.Person, c *call) {
	w.post("/api/v1/attempts", "", object{"company": "acme", "login": p.Login, "password": "not the right one"}).want(422)
	w.Clock.Advance(time.Minute)
	c.bearer = w.signIn(p)
	w.seal()
	c.path += "?days=1"
}

func unheardOf(_ *world, _ sallyporttest.Person, c *call) { c.body = object{"unheard_of": 1} }

// saved gives the company a provider of its own.
func saved(channel string, body object) scene {
	return func(w *world, _ sallyporttest.Person, c *call) {
		w.do(call{method: "PUT", path: "/api/v1/providers/" + channel, bearer: c.bearer, body: body}).want(200)
	}
}

// providerScenes adds what the examples of all channels have in common.
func providerScenes(list map[string]scene) map[string]scene {
	for name, own := range map[string]scene{"mail": saved("email", mailOf("smtp.example.com")), "sms": saved("sms", smsOf()), "duo": saved("duo", duoOf())} {
		name += "_provider"
		list[name+" own"] = own
		list["set_"+name+" saved"] = nil
		list["set_"+name+" conflict"] = nil
		list["remove_"+name+" removed"] = own
		for _, does := range []string{"set_", "remove_", "test_"} {
			list[does+name+" step_up_required"] = later(11 * time.Minute)
		}
	}
	return list
}

// times makes the same request before.
func times(n int) scene {
	return func(w *world, _ sallyporttest.Person, c *call) {
		for range n {
			w.do(*c).want(200)
		}
	}
}

// pretendDuo lets a Duo answer.
func pretendDuo(w *world, _ sallyporttest.Person, _ *call) {
	w.Duo = sallyporttest.NewDuo(w.t, sallyporttest.DuoConfig{Now: w.Clock.Now})
}

// turn makes a request one about another attempt.
func (w *world) turn(c *call) func(id, token string) {
	return func(id, token string) {
		c.path = regexp.MustCompile(`att_\w+`).ReplaceAllString(c.path, id)
		c.bearer = token
	}
}

// required adds somebody of whom a second step is demanded.
func (w *world) required(login, email string) sallyporttest.Person {
	w.t.Helper()
	u, err := w.Directory.CreateUser(w.t.Context(), w.Company, directory.NewUser{Login: login, Email: email, Verified: email != "", Password: sallyporttest.Password})
	if err == nil {
		err = w.Directory.SetRequire(w.t.Context(), w.Company, login, true)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return sallyporttest.Person{User: u}
}

// fallback makes a request one about the attempt of somebody who has only an address.
func (w *world) fallback(c *call) { w.turn(c)(w.begin(w.required("lena", "lena@acme.example"))) }

func mailFails(w *world, _ sallyporttest.Person, _ *call) { w.mail.fails.Store(true) }

func often(n int) scene {
	return func(w *world, _ sallyporttest.Person, c *call) {
		for range n {
			w.do(*c).want(201)
		}
	}
}

// locked makes a request one of a browser in which the app was turned off.
func locked(w *world, p sallyporttest.Person, c *call) {
	b := w.browser()
	b.signIn(p)
	lock(b, p)
	a := b.do(call{method: "POST", path: "/api/v1/attempts", body: object{"company": "acme", "login": "maya", "password": sallyporttest.Password}}).want(201)
	w.turn(c)(a.str("id"), a.str("token"))
}

// begunApp makes the request one about a new pending app of its person.
func (w *world) begunApp(c *call) sallyporttest.Person {
	w.t.Helper()
	id := c.path[len("/api/v1/account/factors/"):]
	id = id[:strings.Index(id, "/")]
	a := w.post("/api/v1/account/factors", c.bearer, object{"method": "totp", "replaces": id}).want(201)
	c.path = "/api/v1/account/factors/" + a.str("id") + "/confirm"
	return sallyporttest.Person{Factor: a.str("id"), Secret: secretOf(w.t, a.str("totp.secret"))}
}

// stage is a server as the examples take it to be.
func stage(t testing.TB, opts ...sallyporttest.Option) (*world, sallyporttest.Person) {
	t.Helper()
	f := &failing{}
	f.left.Store(never)
	m := &flaky{}
	opts = append([]sallyporttest.Option{func(c *sallyport.Config) {
		f.Store, c.Store = c.Store, f
		m.around(c)
	}, withTwilio(t), withActions}, opts...)
	w := &world{Server: readyDuo(t, sallyporttest.NewServer(t, opts...)), t: t, failing: f, mail: m}
	u, err := w.Directory.CreateUser(t.Context(), w.Company, directory.NewUser{
		Login: "maya", Name: "Maya Lindqvist", Email: "maya@acme.example", Verified: true, Password: sallyporttest.Password,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := sallyporttest.Person{User: u}
	p.Factor, p.Secret = w.AddApp(t, u)
	w.do(call{method: "PATCH", path: "/api/v1/account/factors/" + p.Factor, bearer: w.signIn(p), body: object{"name": "Maya's phone"}}).want(200)
	return w, p
}
