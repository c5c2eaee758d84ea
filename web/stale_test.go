package web_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
	"github.com/sallyport-mfa/sallyport/web"
)

// pressed are the forms that matter and in which nothing is typed, and what their
// buttons send.
var pressed = map[string]url.Values{
	"POST /account/security/app":                    {},
	"POST /account/security/app/off":                {"factor": {"{app}"}},
	"POST /account/security/email":                  {},
	"POST /account/security/email/off":              {"factor": {"{email}"}},
	"POST /account/security/phone/off":              {"factor": {"{phone}"}},
	"POST /account/security/duo":                    {},
	"POST /account/security/duo/off":                {"factor": {"{duo}"}},
	"POST /account/security/passkeys":               {},
	"POST /account/security/passkeys/{passkey}/off": {"factor": {"{passkey}"}},
	"POST /account/security/backup-codes/new":       {},
	"POST /account/data/export":                     {},
	"POST /admin/people/{id}/export":                {},
	"POST /admin/approvals/{approval}":              {"do": {"approve"}},
	"POST /admin/people/import":                     nil, // a file
}

// staleWorld is an owner with every way, signed in on this browser and, by trust
// alone, in a second session.
type staleWorld struct {
	*browser
	priya         sallyporttest.Person
	ids           map[string]string
	mine, trusted string // sessions
}

func newStaleWorld(t *testing.T) *staleWorld {
	s := newServer(t)
	s.SetPolicy(t, s.Company.Slug, func(d *policy.Document) { d.TrustDays = 30 })
	s.UseTexts(t, s.Company)
	s.UseDuo(t, s.Company)
	x := &staleWorld{browser: newBrowser(t, s), priya: owner(t, s, s.Company, "priya")}
	tom, omar := s.AddUser(t, s.Company, "tom", true), owner(t, s, s.Company, "omar")
	help := withRole(t, s, s.AddUser(t, s.Company, "help", true), directory.Helpdesk)
	x.ids = map[string]string{"tom": tom.ID, "factor": tom.Factor, "id": tom.ID, "priya": x.priya.ID, "app": x.priya.Factor}

	theirs := x.signedIn(signin.Begin{Login: omar.Login}, omar, false)
	out, err := s.Directory.Do(t.Context(), directory.Session(theirs.SessionToken, authn.Client{}), directory.PersonAct{Do: directory.Suspend, Target: help.ID, Reason: "looks wrong"})
	if err != nil || out.Waits == nil {
		t.Fatalf("%+v %v", out, err)
	}
	x.ids["approval"] = out.Waits.ID

	x.signIn(x.priya)
	s.Clock.Advance(31 * time.Second)
	x.ids["phone"], x.ids["duo"] = s.AddPhone(t, x.priya.User, "+46701740605"), s.AddDuo(t, x.priya.User, "priya")
	x.ids["passkey"] = s.AddPasskey(t, x.priya.User, s.Passkeys(t))
	x.mailOn(x.priya.Email) // issues the session anew, and ends the others
	x.mine = x.cookie("sallyport_session")
	first := x.signedIn(signin.Begin{Login: "priya"}, x.priya, true)
	second := x.signedIn(signin.Begin{Login: "priya", Trusted: first.TrustToken.Reveal()}, x.priya, false)
	if second.Session.ACR != authn.AAL1 {
		t.Fatalf("not by trust: %+v", second.Session)
	}
	x.trusted = second.SessionToken.Reveal()
	rows, err := s.Store.View(t.Context(), authn.Keys{Company: s.Company.ID, User: x.priya.ID, Now: s.Clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	x.ids["email"] = rows.FactorOf(authn.Email, authn.Confirmed).ID
	return x
}

// signedIn signs somebody in elsewhere, with the app where that is asked for.
func (x *staleWorld) signedIn(b signin.Begin, p sallyporttest.Person, trust bool) signin.Status {
	t := x.t
	t.Helper()
	b.Company, b.Password = x.s.Company.Slug, sallyporttest.Password
	st, err := x.s.SignIn.Begin(t.Context(), b)
	if err == nil && st.Session == nil {
		x.s.Clock.Advance(31 * time.Second)
		st, err = x.s.SignIn.Verify(t.Context(), signin.OpenerOf(st.Token, authn.Client{}), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: x.s.Code(t, p.Secret)}, Trust: trust})
	}
	if err != nil || st.Session == nil {
		t.Fatalf("%+v %v", st.Need, err)
	}
	return st
}

// lately sets when this browser's session proved itself: with what its person holds,
// and by what stands in for that.
func (x *staleWorld) lately(factor, confirmed time.Time) {
	x.t.Helper()
	token, _ := authn.ParseToken(authn.SessionToken, x.cookie("sallyport_session"))
	err := x.s.Store.Decide(x.t.Context(), authn.Keys{Company: token.Company, SessionToken: token, Now: x.s.Clock.Now()}, func(rows *authn.Rows) authn.Verdict {
		rows.Session.FactorTime, rows.Session.ConfirmedAt = factor, confirmed
		return authn.Continue(authn.PutSession{Session: *rows.Session})
	})
	if err != nil {
		x.t.Fatal(err)
	}
}

// asked reports whether the form, sent now, leads to a step-up.
func (x *staleWorld) asked(path string, values url.Values) bool {
	x.t.Helper()
	form := httpserveForm(x.cookie("sallyport_session"))
	if values == nil {
		var buf bytes.Buffer
		m := multipart.NewWriter(&buf)
		_ = m.WriteField("form", form)
		_ = m.WriteField("do", "import")
		f, _ := m.CreateFormFile("file", "people.csv")
		_, _ = f.Write([]byte("login,email\nnadia,nadia@acme.example\n"))
		_ = m.Close()
		x.sendBody(http.MethodPost, path, &buf, "Content-Type", m.FormDataContentType(), "Origin", x.s.URL)
	} else {
		values.Set("form", form)
		x.send(http.MethodPost, path, values)
	}
	return x.status == http.StatusSeeOther && strings.HasPrefix(x.header.Get("Location"), "/account/confirm/att_")
}

// everyProof sends a form with each proof that is none, and says whether anything
// happened.
func (x *staleWorld) everyProof(t *testing.T, path string, values url.Values) {
	t.Helper()
	now := x.s.Clock.Now()
	old := now.Add(-10 * time.Minute)
	before := x.acts()
	for what, at := range map[string][2]time.Time{
		"stale": {old, old}, "never": {}, "of tomorrow": {now.Add(time.Hour), now.Add(time.Hour)},
		"the password, or a code to a contact": {{}, now}, "one of these after a stale one": {old, now},
	} {
		if x.lately(at[0], at[1]); !x.asked(path, values) {
			t.Errorf("%s, %s: %d %s", path, what, x.status, x.header.Get("Location"))
		}
	}
	x.setCookie("sallyport_session", x.trusted)
	if !x.asked(path, values) {
		t.Errorf("%s, a trusted browser: %d %s", path, x.status, x.header.Get("Location"))
	}
	x.setCookie("sallyport_session", x.mine)
	if after := x.acts(); after != before {
		t.Errorf("%s: %d events that are no step-up", path, after-before)
	}
	x.lately(now, time.Time{})
}

// acts is how many events there are that something was done.
func (x *staleWorld) acts() (n int) {
	x.t.Helper()
	var before string
	for range 100 {
		list, err := x.s.Audit.Events(x.t.Context(), x.s.Company.ID, authn.EventQuery{Limit: 200, Before: before})
		if err != nil {
			x.t.Fatal(err)
		}
		for _, ev := range list {
			if !strings.HasPrefix(ev.Type, "step_up.") && ev.Result == authn.Succeeded {
				n++
			}
			before = ev.ID
		}
		if len(list) < 200 {
			return n
		}
	}
	x.t.Fatal("too many events")
	return 0
}

// I1, rul-26, std-55, cve-50, cve-52: every form that matters, with each proof that is
// too old or too weak, leads to a step-up and does nothing. One that is new has no row.
func TestSensitiveFormsWantARecentProof_I1_rul26_std55_cve52(t *testing.T) {
	x := newStaleWorld(t)
	var kept []string
	for _, row := range keptRows() {
		kept = append(kept, row.route)
		if row.scene != nil && !strings.Contains(row.route, "phone") && !strings.Contains(row.route, "texts") {
			row.scene(t, x.s, x.ids)
		}
		if row.page == "" {
			x.get(rulesPage).submit(rulesForm, "methods_all", "1", "grace_days", "5", "do", "preview")
		} else {
			x.get(fillIn(row.page, x.ids)).want(200, ".*")
		}
		form := row.form
		if form == "" {
			form = mainForm
		}
		pairs := slices.Clone(row.typed)
		for i := range pairs {
			pairs[i] = fillIn(pairs[i], x.ids)
		}
		action, values := x.fill(x.form(form), pairs...)
		x.everyProof(t, action, values)
	}
	slices.Sort(kept)
	if kept = slices.Compact(kept); !slices.Equal(kept, web.KeptRoutes()) {
		t.Errorf("%q", kept)
	}
	var want, there []string
	for why, list := range notKept {
		if strings.HasPrefix(why, "a button") || why == "a file" {
			want = append(want, list...)
		}
	}
	for route, values := range pressed {
		there = append(there, route)
		x.everyProof(t, fillIn(strings.TrimPrefix(route, "POST "), x.ids), x.filled(values))
	}
	slices.Sort(want)
	slices.Sort(there)
	if !slices.Equal(want, there) {
		t.Errorf("tried: %q\nthere are: %q", there, want)
	}
	// That was all that was wrong.
	for _, route := range there {
		x.lately(x.s.Clock.Now(), time.Time{})
		if x.asked(fillIn(strings.TrimPrefix(route, "POST "), x.ids), x.filled(pressed[route])) || x.status >= 400 {
			t.Errorf("%s with a recent proof: %d %s", route, x.status, x.header.Get("Location"))
		}
	}
}

// filled are values with the ids that they name; nil is a file.
func (x *staleWorld) filled(values url.Values) url.Values {
	if values == nil {
		return nil
	}
	out := url.Values{}
	for name := range values {
		out.Set(name, fillIn(values.Get(name), x.ids))
	}
	return out
}
