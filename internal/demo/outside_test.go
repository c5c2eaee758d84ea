package demo

import (
	"html"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/phone"
	"github.com/sallyport-mfa/sallyport/message/twilio"
)

// duoAnswer is the part of what the API says of Duo that the tests look at.
type duoAnswer struct {
	ID, State string
	Waiting   bool
	Number    string
	Options   []struct{ ID string }
	Methods   []struct {
		Duo struct{ Outcome, Reason string }
	}
	Session struct{ ACR string }
}

// await polls until an attempt leaves the state "waiting": what the person
// answered at Duo is followed in the background.
func (s *server) await(t testing.TB, a attempt) (out duoAnswer) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if s.call(t, "GET", "/api/v1/attempts/"+a.ID, a.Token, nil, http.StatusOK, &out); out.State != "waiting" {
			return out
		}
		out = duoAnswer{}
	}
	t.Fatal("the attempt waits without end")
	return out
}

// pushes are what /dev/duo.json lists.
func (s *server) pushes(t testing.TB) (items []pushItem, known []duoPerson) {
	t.Helper()
	var out struct {
		Items  []pushItem
		People []duoPerson
	}
	s.call(t, "GET", "/dev/duo.json", "", nil, http.StatusOK, &out)
	return out.Items, out.People
}

func (s *server) passcodes(t testing.TB, login string) []string {
	t.Helper()
	_, known := s.pushes(t)
	for _, p := range known {
		if p.Login == login {
			return p.Passcodes
		}
	}
	t.Fatalf("Duo does not know %s", login)
	return nil
}

// ask has Duo ask the person of an attempt, and gives the request.
func (s *server) ask(t testing.TB, path, token string) (duoAnswer, pushItem) {
	t.Helper()
	var asked duoAnswer
	s.call(t, "POST", path+"/challenge", token, map[string]string{"method": "duo", "option": "auto"}, http.StatusOK, &asked)
	items, _ := s.pushes(t)
	last := items[len(items)-1]
	if !asked.Waiting || !last.Waiting || last.Way != "push" || time.Since(last.At) > time.Minute {
		t.Fatalf("%+v %+v", asked, last)
	}
	return asked, last
}

// The texts of the demo come to its inbox, and sign people in.
func TestTexts(t *testing.T) {
	s := start(t, "")
	for login, want := range map[string]struct{ to, acr string }{"nadia": {"+46701740606", "aal2"}, "maya": {"+46701740605", "aal2"},
		"lukas": {"+491713920017", "aal2"}, "grace": {"+12025550123", "aal1"}} {
		a := s.begin(t, login)
		s.call(t, "POST", "/api/v1/attempts/"+a.ID+"/challenge", a.Token, map[string]string{"method": "sms"}, http.StatusOK, nil)
		list := s.messages(t)
		got := list[len(list)-1]
		if got.Channel != authn.SMS || got.To != want.to || got.Subject != "" || got.Code == nil || !strings.HasSuffix(got.Text, "\n@localhost #"+*got.Code) {
			t.Fatalf("%s got %+v", login, got)
		}
		var done duoAnswer
		s.call(t, "POST", "/api/v1/attempts/"+a.ID+"/verify", a.Token, map[string]string{"method": "sms", "code": *got.Code}, http.StatusOK, &done)
		if done.State != "complete" || done.Session.ACR != want.acr {
			t.Errorf("%s: %+v", login, done)
		}
	}
	texts := html.UnescapeString(s.page(t, "/dev/inbox?channel=sms", nil, http.StatusOK))
	for _, want := range []string{"+46 70 174 06 06", "Nadia Benali", "Grace Miller", "@localhost #", "Copy "} {
		if !strings.Contains(texts, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	if mail := s.page(t, "/dev/inbox?channel=email", nil, http.StatusOK); strings.Contains(mail, "Nadia Benali") {
		t.Error("the texts are among the mail")
	}
	if all := s.page(t, "/dev/inbox?channel=%3Cb%3E", nil, http.StatusOK); !strings.Contains(all, "Nadia Benali") || strings.Contains(all, "<b>") {
		t.Error("an unknown channel is not all of them")
	}
}

// What owners set for texts is judged as in a real server, and sends nothing.
func TestTextDrivers(t *testing.T) {
	d := &Demo{c: Config{TextDrivers: map[string]authn.TextDriver{"twilio": twilio.New(&http.Client{Transport: nowhere{t}})}}}
	driver := d.textDrivers()["twilio"]
	if _, err := driver.Open(authn.TextProvider{Driver: "twilio", Account: "AC1", Secret: "x", From: "Acme"}); authn.AsError(err).Code != authn.Invalid {
		t.Errorf("settings that are wrong: %v", err)
	}
	sender, err := driver.Open(authn.TextProvider{Driver: "twilio", Account: "AC" + strings.Repeat("0", 32), Secret: strings.Repeat("0", 32), From: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sender.Try(t.Context(), authn.Message{ID: "msg_1", Channel: authn.SMS, To: "+46701740605", Text: "A test"}); err != nil {
		t.Error(err)
	}
	if list := d.inbox.Messages(); len(list) != 1 || list[0].ID != "msg_1" || len(driver.Fields()) != 3 || d.textDrivers()["inbox"] == nil {
		t.Errorf("%+v", list)
	}
}

// nowhere fails the test that connects.
type nowhere struct{ t *testing.T }

func (n nowhere) RoundTrip(r *http.Request) (*http.Response, error) {
	n.t.Errorf("asks %s", r.URL.Host)
	return nil, http.ErrServerClosed
}

// Everybody's number can be sent a text, and the bars of the owners' page show
// what the events tell of.
func TestNumbers_B1(t *testing.T) {
	for _, p := range people {
		for _, number := range []string{p.number, p.contact} {
			if number == "" {
				continue
			}
			if n, err := phone.Parse(number, ""); err != nil || n.E164 != number {
				t.Errorf("%s: %q: %v", p.login, number, err)
			}
		}
	}
	s := start(t, "")
	state, err := s.srv.Providers.TextsOf(t.Context(), s.company.ID)
	if err != nil || !state.Offered || len(state.Usage) != 2 {
		t.Fatalf("%+v, %v", state, err)
	}
	now := time.Now().UTC()
	want, last := map[string]int{}, ""
	for n := 1; n > 0; {
		list, err := s.srv.Audit.Events(t.Context(), s.company.ID, authn.EventQuery{Before: last, Limit: 200})
		if err != nil {
			t.Fatal(err)
		}
		if n = len(list); n > 0 {
			last = list[n-1].ID
		}
		for _, ev := range list {
			// A set-up sends a code, too.
			if sent := ev.Type == "code.sent" || ev.Type == "factor.begun"; !sent || ev.Personal.Detail["method"] != string(authn.SMS) {
				continue
			}
			if at := ev.At.UTC(); at.Year() == now.Year() && at.Month() == now.Month() {
				want["company_month"]++
				if at.Day() == now.Day() {
					want["company_day"]++
				}
			}
		}
	}
	for _, u := range state.Usage {
		if u.N != want[u.Scope] || u.Money != 45*int64(u.N) {
			t.Errorf("%s: %d texts for %d; the events tell of %d", u.Scope, u.N, u.Money, want[u.Scope])
		}
	}
}

// Every answer that a person can give at Duo, and a passcode.
func TestDuo(t *testing.T) {
	s := start(t, "")
	for answer, reason := range map[string]string{"deny": "denied", "fraud": "fraud", "timeout": "timeout"} {
		a := s.begin(t, "diego")
		_, push := s.ask(t, "/api/v1/attempts/"+a.ID, a.Token)
		if push.Login != "diego" || push.Number != "" {
			t.Errorf("%+v", push)
		}
		page := s.page(t, "/dev/duo", nil, http.StatusOK)
		for _, want := range []string{"Sign-in request", "Diego Fuentes", "Acme Projects", "127.0.0.1", `value="` + push.ID + `"`} {
			if !strings.Contains(page, want) {
				t.Errorf("%q is not on the page", want)
			}
		}
		s.call(t, "POST", "/dev/duo.json", "", map[string]string{"id": push.ID, "answer": answer}, http.StatusNoContent, nil)
		if got := s.await(t, a); got.State != "need_factor" || got.Methods[0].Duo.Outcome != "refused" || got.Methods[0].Duo.Reason != reason {
			t.Errorf("%s: %+v", answer, got)
		}
		s.call(t, "POST", "/dev/duo.json", "", map[string]string{"id": push.ID, "answer": "approve"}, http.StatusConflict, nil)
		if !strings.Contains(s.page(t, "/dev/duo", url.Values{"id": {push.ID}, "answer": {"approve"}}, http.StatusConflict), "This request is over") {
			t.Error("the page does not say that it is over")
		}
	}
	a := s.begin(t, "diego")
	_, push := s.ask(t, "/api/v1/attempts/"+a.ID, a.Token)
	s.call(t, "POST", "/dev/duo.json", "", map[string]string{"id": push.ID, "answer": "perhaps"}, http.StatusUnprocessableEntity, nil)
	s.call(t, "POST", "/dev/duo.json", "", map[string]string{"id": "no-such", "answer": "approve"}, http.StatusNotFound, nil)
	s.call(t, "POST", "/dev/duo.json", "", map[string]string{"id": push.ID, "answer": "approve"}, http.StatusNoContent, nil)
	if got := s.await(t, a); got.State != "ready" {
		t.Fatalf("%+v", got)
	}
	var done duoAnswer
	s.call(t, "POST", "/api/v1/attempts/"+a.ID+"/complete", a.Token, map[string]string{}, http.StatusOK, &done)
	if done.State != "complete" || done.Session.ACR != "aal2" {
		t.Errorf("%+v", done)
	}
	// A passcode is good once, and the app makes another.
	code := s.passcodes(t, "diego")[0]
	for i, want := range []int{http.StatusOK, http.StatusUnprocessableEntity} {
		b := s.begin(t, "diego")
		s.call(t, "POST", "/api/v1/attempts/"+b.ID+"/verify", b.Token, map[string]string{"method": "duo", "code": code}, want, nil)
		if left := s.passcodes(t, "diego"); len(left) != 3 || left[0] == code {
			t.Errorf("try %d leaves %v", i+1, left)
		}
	}
}

// yusuf's pushes ask for the number that his sign-in shows.
func TestDuo_verifiedPush(t *testing.T) {
	s := start(t, "")
	for right, want := range map[bool]string{true: "ready", false: "need_factor"} {
		a := s.begin(t, "yusuf")
		asked, push := s.ask(t, "/api/v1/attempts/"+a.ID, a.Token)
		if len(asked.Number) < 3 || asked.Number != push.Number {
			t.Fatalf("%+v %+v", asked, push)
		}
		form := url.Values{"id": {push.ID}, "answer": {"approve"}}
		if page := s.page(t, "/dev/duo", form, http.StatusUnprocessableEntity); !strings.Contains(page, `aria-invalid="true"`) || strings.Contains(page, ">"+asked.Number+"<") {
			t.Errorf("an approval without the number is not refused, or the page tells %s:\n%s", asked.Number, page)
		}
		s.call(t, "POST", "/dev/duo.json", "", map[string]string{"id": push.ID, "answer": "approve"}, http.StatusUnprocessableEntity, nil)
		form.Set("number", asked.Number)
		if !right {
			form.Set("number", "12345")
		}
		s.page(t, "/dev/duo", form, http.StatusOK) // after the redirect
		if got := s.await(t, a); got.State != want {
			t.Errorf("%v: %+v", right, got)
		}
	}
}

// The other ways that Duo has: here a call.
func TestDuo_call(t *testing.T) {
	s := start(t, "")
	a := s.begin(t, "diego")
	var asked duoAnswer
	path := "/api/v1/attempts/" + a.ID + "/challenge"
	s.call(t, "POST", path, a.Token, map[string]string{"method": "duo"}, http.StatusOK, &asked)
	ways := ""
	for _, o := range asked.Options {
		ways += o.ID + " "
	}
	if ways != "push:DPDIEGO phone:DPDIEGO sms:DPDIEGO " {
		t.Fatalf("ways: %s", ways)
	}
	s.call(t, "POST", path, a.Token, map[string]string{"method": "duo", "option": "phone:DPDIEGO"}, http.StatusOK, nil)
	if page := s.page(t, "/dev/duo", nil, http.StatusOK); !strings.Contains(page, "Phone call") || !strings.Contains(page, "Android (XXX-XXX-XX07)") {
		t.Error("the call is not on the page")
	}
	items, _ := s.pushes(t)
	s.page(t, "/dev/duo", url.Values{"id": {items[0].ID}, "answer": {"approve"}}, http.StatusOK)
	if got := s.await(t, a); got.State != "ready" {
		t.Errorf("%+v", got)
	}
}

// lena, whom Duo does not know, sets herself up in its pretended pages; that is
// kept with the demo.
func TestDuo_portal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	s := start(t, dir)
	a := s.begin(t, "lena")
	path := "/api/v1/attempts/" + a.ID
	s.call(t, "POST", path+"/challenge", a.Token, map[string]string{"method": "email"}, http.StatusOK, nil)
	list := s.messages(t)
	s.call(t, "POST", path+"/verify", a.Token, map[string]string{"method": "email", "code": *list[len(list)-1].Code}, http.StatusOK, nil)
	var factor struct {
		ID  string
		Duo struct {
			Portal   string `json:"portal_url"`
			Enrolled bool
		}
	}
	s.call(t, "POST", "/api/v1/account/factors", a.Token, map[string]string{"method": "duo"}, http.StatusCreated, &factor)
	portal, ours := strings.CutPrefix(factor.Duo.Portal, s.url)
	if !ours || !strings.Contains(s.page(t, portal, nil, http.StatusOK), "Finish set-up at Duo") {
		t.Fatalf("the portal is at %q", factor.Duo.Portal)
	}
	s.page(t, "/dev/duo/portal?code=other", nil, http.StatusNotFound)
	s.page(t, "/dev/duo/portal", url.Values{"code": {"other"}}, http.StatusNotFound)
	u, err := url.Parse(portal)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.page(t, "/dev/duo/portal", url.Values{"code": {u.Query().Get("code")}}, http.StatusOK), "Done.") {
		t.Error("the end of set-up is not said")
	}
	path = "/api/v1/account/factors/" + factor.ID
	if s.call(t, "GET", path, a.Token, nil, http.StatusOK, &factor); !factor.Duo.Enrolled {
		t.Error("Duo does not know her")
	}
	s.call(t, "POST", path+"/confirm", a.Token, map[string]string{"code": s.passcodes(t, "lena")[0]}, http.StatusOK, nil)
	if !regexp.MustCompile(`(?s)lena.*Duo; 10 backup codes left`).MatchString(s.page(t, "/demo", nil, http.StatusOK)) {
		t.Error("the tour does not show it")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, dir)
	for _, login := range []string{"lena", "diego"} {
		a := again.begin(t, login)
		again.call(t, "POST", "/api/v1/attempts/"+a.ID+"/verify", a.Token, map[string]string{"method": "duo", "code": again.passcodes(t, login)[0]}, http.StatusOK, nil)
	}
}

// Each demo has keys of its own at Duo, and the pretend Duo checks them.
func TestDuo_rul34(t *testing.T) {
	one, two := newDuo(), newDuo()
	if one.SKey == two.SKey || one.IKey == two.IKey {
		t.Error("two demos share keys")
	}
	s := start(t, "")
	state, err := s.srv.Providers.DuoOf(t.Context(), s.company.ID)
	if err != nil {
		t.Fatal(err)
	}
	settings := state.Settings
	for skey, want := range map[string]bool{s.store.seen.kept.Duo.SKey: true, one.SKey: false} {
		settings.SKey = skey
		if got, err := s.srv.Providers.TryDuo(t.Context(), settings); err != nil || got.OK != want {
			t.Errorf("%v: %+v, %v", want, got, err)
		}
	}
	// Its API has no address that others reach.
	s.page(t, "/dev/duo/auth/v2/ping", nil, http.StatusNotFound)
	s.page(t, "/auth/v2/ping", nil, http.StatusNotFound)
}
