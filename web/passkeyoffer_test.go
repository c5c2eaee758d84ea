package web_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const offered = "/signin/passkey-offer"

// A passkey is offered between a sign-in by a weaker way and where it leads: once.
func TestPasskeyOffer_N1(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.signIn(maya)
	b.want(200, "/continue") // the browser did not say that it can; without a script none does
	b.setCookie("sallyport_passkeys", "1")
	b.get(offered).want(200, "/continue")

	s.Clock.Advance(30 * time.Second)
	b.get("/signout").submit(mainForm)
	b.get("/signin?return_to=%2Faccount%2Factivity").submit(mainForm, "login", "maya", "password", sallyporttest.Password)
	b.submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, offered)
	b.shows("h1", "Sign in faster next time").shows("#not-now", "Not now")
	b.get(offered).want(200, offered) // Reload
	b.get(b.doc.one(t, "#not-now").attrs["href"]).want(200, "/continue")
	if got := b.header.Get("Refresh"); got != "0; url=/account/activity" {
		t.Errorf("not now leads to %q", got)
	}

	s.Clock.Advance(400 * 24 * time.Hour)
	b.signIn(maya)
	b.want(200, "/continue") // never again
	b.get(offered).want(200, "/continue")
}

func TestPasskeyOffer_notTo(t *testing.T) {
	for name, scene := range map[string]func(*sallyporttest.Server, sallyporttest.Person){
		"who has one": func(s *sallyporttest.Server, p sallyporttest.Person) { s.AddPasskey(t, p.User, s.Passkeys(t)) },
		"where none are offered": func(s *sallyporttest.Server, _ sallyporttest.Person) {
			setPolicy(t, s, policy.Document{TwoFactor: policy.On, Methods: []authn.Kind{authn.TOTP, authn.BackupCode}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			maya := s.AddUser(t, s.Company, "maya", true)
			scene(s, maya)
			b := newBrowser(t, s)
			b.setCookie("sallyport_passkeys", "1")
			b.password("maya", sallyporttest.Password).get(b.path+"?way=totp").submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/continue")
		})
	}
}

// Who is asked to set something up hears of passkeys there, whether they do or put it
// off; an administrator's code opens nothing but that (rul-18). Later they are asked.
func TestPasskeyOffer_later_rul18(t *testing.T) {
	s := newServer(t)
	omar := s.AddUser(t, s.Company, "omar", false)
	setPolicy(t, s, ownWay(7))
	b := newBrowser(t, s)
	b.setCookie("sallyport_passkeys", "1")
	b.emailed("omar").press("[formaction]").want(200, "/continue") // put off
	b.get("/account").submit(signOutForm)
	code := bypassCode(t, s, "omar")
	b.password("omar", sallyporttest.Password).get(b.path+"?way=bypass_code").submit(mainForm, "code", code)
	b.press("button.option[value=totp]")
	omar.Secret = b.shownKey()
	b.submit(mainForm, "code", s.Code(t, omar.Secret)).submit(mainForm, "saved", "yes").want(200, "/continue")
	s.Clock.Advance(time.Hour)
	b.signIn(omar).want(200, "/continue") // the new app is on probation
	s.Clock.Advance(24 * time.Hour)
	b.password("omar", sallyporttest.Password).submit(mainForm, "code", s.Code(t, omar.Secret)).want(200, offered)
}

// The way to an application is not interrupted: its handle is in the answer (rul-57).
func TestPasskeyOffer_application_rul57(t *testing.T) {
	s, maya, key := returning(t)
	b := newBrowser(t, s)
	b.setCookie("sallyport_passkeys", "1")
	b.get("/signin?return_to="+url.QueryEscape(backTo)+"&nonce="+backNonce).submit(mainForm, "login", "maya", "password", sallyporttest.Password)
	b.submit(mainForm, "code", s.Code(t, maya.Secret))
	told(t, s, key, b.handed())
	s.Clock.Advance(time.Hour)
	b.password("maya", sallyporttest.Password).submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, offered)
}

// A form that was sent twice has two answers, of which the browser shows the second.
func TestPasskeyOffer_twice_rul49(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.setCookie("sallyport_passkeys", "1")
	b.password("maya", sallyporttest.Password)
	action, values := b.fill(b.form(mainForm), "code", s.Code(t, maya.Secret))
	b.send(http.MethodPost, action, values)
	b.setCookie("sallyport_session", "")
	b.send(http.MethodPost, action, values)
	b.follow().want(200, offered)
	b.submit(mainForm).want(200, "/account/security/passkeys/fac_.*") // the proof is at hand
}
