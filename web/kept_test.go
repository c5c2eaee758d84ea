package web_test

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/web"
)

const (
	keptPage  = "/account/confirm/att_.*/form"
	keptForm  = "#kept form"
	canarySec = "canary0secret000000000000000000000000000"
)

// keptRow is one form: typed in time, and sent too late.
type keptRow struct {
	route, page, form string
	typed             []string
	scene             func(*testing.T, *sallyporttest.Server, map[string]string)
	is                string // what the step-up names
	event             string // of the act; empty: it changes nothing
	ends              string // where the one click leads, if not to the page
}

func keptRows() []keptRow {
	texts := func(t *testing.T, s *sallyporttest.Server, _ map[string]string) { s.UseTexts(t, s.Company) }
	key := func(t *testing.T, s *sallyporttest.Server, ids map[string]string) {
		if ids["key"] != "" {
			return
		}
		k, _, err := s.Directory.CreateKey(t.Context(), directory.TheOperator(s.Company.ID), directory.NewKey{Name: "nightly", Owner: ids["priya"], Scopes: []string{"audit.read", "grants.redeem"}})
		if err != nil {
			t.Fatal(err)
		}
		ids["key"] = k.ID
	}
	return []keptRow{
		{route: "POST /account/email", page: "/account/email", typed: []string{"email", "new@acme.example"}, is: "Change your e-mail address", event: "email.change_begun", ends: "/account/email/fac_.*"},
		{route: "POST /account/security/phone", page: "/account/security/phone", typed: []string{"phone", "+46 70 174 06 05"}, scene: texts, is: "mobile number", event: "factor.begun", ends: "/account/security/phone/fac_.*"},
		{route: "POST /account/password", page: "/account/password", typed: []string{"current", sallyporttest.Password, "new", canarySec, "confirm", canarySec}, is: "password", event: "password.changed", ends: "/account/security"},
		{route: "POST /admin/providers/email", page: "/admin/providers/email", form: "#server", is: "E-mail server", event: "provider.changed",
			typed: []string{"do", "save", "host", "smtp.example.com", "port", "587", "username", "acme", "password", canarySec, "from", "no-reply@acme.example", "from_name", "Acme <b>", "reason", "moved"}},
		{route: "POST /admin/providers/texts", page: "/admin/providers/texts", form: "#texts", is: "Text messages", event: "provider.changed", scene: texts, typed: []string{"do", "save", "day_texts", "77", "reason", "fewer"}},
		{route: "POST /admin/providers/duo", page: "/admin/providers/duo", form: "#duo", is: "Duo", event: "provider.changed",
			typed: []string{"do", "save", "ikey", sallyporttest.DuoIKey, "skey", canarySec, "host", sallyporttest.DuoHost, "let_in", "yes"}},
		{route: "POST /admin/audit/streams", page: "/admin/audit/streams", form: "#webhook-form", is: "Webhook over HTTPS", event: "provider.changed",
			typed: []string{"do", "save", "url", "https://siem.acme.example/in", "secret", canarySec}},
		{route: "POST /admin/branding", page: "/admin/branding", form: "#branding", is: "How your pages look", event: "branding.changed", typed: []string{"do", "save", "help_text", "Floor 3, ask Olga", "accent", "#1f5fd6"}},
		{route: "POST /admin/policy", page: "/admin/policy", form: "#policy", is: "Sign-in rules", typed: []string{"do", "preview", "methods_all", "1", "grace_days", "4"}, ends: keptPage},
		{route: "POST /admin/policy/save", is: "Sign-in rules", event: "policy.changed", typed: []string{"do", "save", "reason", "because of the board"}, ends: "/admin/policy", form: "main form[action=/admin/policy/save]"},
		{route: "POST /admin/roles", page: "/admin/roles?role=", is: "New role", event: "role.saved", typed: []string{"do", "save", "name", "readers", "title", "Readers", "permissions", "audit.read", "reason", "asked"}, ends: "/admin/roles"},
		{route: "POST /admin/actions", page: "/admin/actions?action=", is: "New action", event: "action.saved", typed: []string{"do", "save", "name", "invoice.pay", "title", "pay an <i>invoice", "title_pl", "zapłacić fakturę",
			"audience", "https://shop.example.com", "reason", "the new shop"}, ends: "/admin/actions"},
		{route: "POST /admin/keys", page: "/admin/keys/new", is: "New key", event: "key.created", typed: []string{"name", "weekly", "owner", "priya", "scopes", "audit.read", "networks", "10.0.0.0/8", "expires", "30"}, ends: keptPage},
		{route: "POST /admin/keys/{id}", page: "/admin/keys/{key}", scene: key, is: "nightly", event: "key.renamed", typed: []string{"do", "rename", "name", "daily", "reason", "clearer"}},
		{route: "POST /admin/keys/{id}", page: "/admin/keys/{key}", scene: key, is: "nightly", event: "return_address.added", typed: []string{"do", "return_add", "address", "https://app.example.com/in", "reason", "a new page"}},
		{route: "POST /admin/people", page: "/admin/people", form: "#people", is: "Require two-step sign-in", event: "user.two_factor_required", typed: []string{"do", "require", "person", "{tom}"}, ends: keptPage},
		{route: "POST /admin/people/new", page: "/admin/people/new", is: "Add a person", event: "user.created", typed: []string{"login", "nadia", "email", "nadia@acme.example", "name", "Nadia", "roles", "helpdesk", "reason", "new here"}, ends: "/admin/people"},
		{route: "POST /admin/people/{id}/do/{act}", page: "/admin/people/{tom}/do/suspend", is: "Test tom", event: "user.suspended", typed: []string{"reason", "left the company"}, ends: "/admin/people/{tom}"},
		{route: "POST /admin/people/{id}/do/{act}/{arg}", page: "/admin/people/{tom}/do/disable/{factor}", is: "Test tom", event: "factor.disabled", typed: []string{"reason", "lost the phone"}, ends: "/admin/people/{tom}"},
		{route: "POST /admin/people/{id}/erase", page: "/admin/people/{tom}/erase", form: "#erase", is: "Erase for good", event: "user.erased", typed: []string{"login", "tom", "reason", "asked for it"}},
		{route: "POST /admin/people/{id}/api", page: "/admin/people/{tom}/api", form: "#give", is: "Test tom", event: "api_account.on",
			typed: []string{"do", "tick", "api", "1", "owner", "priya", "reason", "a program", "password", canarySec}, ends: keptPage},
	}
}

// late is a browser whose owner typed all of row's form in time; the session is
// stale by now, and nothing was sent.
func (row keptRow) late(t *testing.T) (*sallyporttest.Server, *browser, sallyporttest.Person, map[string]string) {
	s := newServer(t)
	priya, tom := owner(t, s, s.Company, "priya"), s.AddUser(t, s.Company, "tom", true)
	ids := map[string]string{"tom": tom.ID, "factor": tom.Factor, "priya": priya.ID}
	if row.scene != nil {
		row.scene(t, s, ids)
	}
	b := newBrowser(t, s)
	b.signIn(priya)
	if row.page == "" { // what a change of the rules would do is the answer to a form
		b.get(rulesPage).submit(rulesForm, "methods_all", "1", "grace_days", "5", "do", "preview")
	} else {
		b.get(fillIn(row.page, ids)).want(200, ".*")
	}
	s.Clock.Advance(11 * time.Minute)
	return s, b, priya, ids
}

func fillIn(text string, ids map[string]string) string {
	for name, id := range ids {
		text = strings.ReplaceAll(text, "{"+name+"}", id)
	}
	return text
}

// send sends the form, so that the step-up shows.
func (row keptRow) send(b *browser, ids map[string]string) {
	b.t.Helper()
	form := row.form
	if form == "" {
		form = mainForm
	}
	pairs := slices.Clone(row.typed)
	for i := range pairs {
		pairs[i] = fillIn(pairs[i], ids)
	}
	// Buttons are in no value of a form, but one of them was pressed.
	b.submit(form, pairs...).want(200, "/account/confirm/att_.*")
}

func occurred(t testing.TB, s *sallyporttest.Server, typ string) (n int) {
	t.Helper()
	list, err := s.Audit.Events(context.Background(), s.Company.ID, authn.EventQuery{Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range list {
		if raw := fmt.Sprintf("%+v", ev.Personal); strings.Contains(raw, canarySec) {
			t.Errorf("%s has the secret: %s", ev.Type, raw)
		}
		if ev.Type == typ && ev.Result == authn.Succeeded {
			n++
		}
	}
	return n
}

// rul-27: every form on the list, sent with a proof that is too old: the step-up says
// what it is for, the form is shown again, one click sends it, and no second one does.
func TestKeptForms_rul27_std55(t *testing.T) {
	var routes []string
	for _, row := range keptRows() {
		routes = append(routes, row.route)
		t.Run(row.route, func(t *testing.T) {
			t.Parallel()
			s, b, priya, ids := row.late(t)
			before := occurred(t, s, row.event)
			row.send(b, ids)
			b.shows("#act", row.is).shows("#kept", "ten minutes")
			b.submit(mainForm, "code", s.Code(t, priya.Secret)).want(200, keptPage).shows("#act", row.is)
			if row.event != "" && occurred(t, s, row.event) != before {
				t.Fatal("applied before the click")
			}
			row.shown(b, ids)
			_, again := b.fill(b.form(keptForm))
			at := b.path
			ends := row.ends
			if ends == "" {
				ends, _, _ = strings.Cut(row.page, "?")
			}
			b.submit(keptForm).want(200, fillIn(ends, ids))
			if occurred(t, s, "step_up.form_sent") != 1 || row.event != "" && occurred(t, s, row.event) != before+1 {
				t.Fatalf("%s happened %d times", row.event, occurred(t, s, row.event)-before)
			}
			// Reload, Back, a second click. Some acts issue the session anew.
			again.Set("form", httpserveForm(b.cookie("sallyport_session")))
			if b.send("POST", at, again); b.status != 410 || !strings.Contains(b.doc.one(t, "main").words(), "nothing was changed") {
				t.Errorf("twice: %d", b.status)
			}
			if row.event != "" && occurred(t, s, row.event) != before+1 {
				t.Error("applied twice")
			}
			b.get(at).want(410, keptPage).get(b.doc.one(t, "main a.btn").attrs["href"])
		})
	}
	slices.Sort(routes)
	routes = slices.Compact(routes) // a form with several buttons has several rows
	if kept := web.KeptRoutes(); !slices.Equal(routes, kept) {
		t.Errorf("tested: %q\nkept:   %q", routes, kept)
	}
}

// shown checks that the page has all that was typed, and nothing of a secret.
func (row keptRow) shown(b *browser, ids map[string]string) {
	b.t.Helper()
	page := b.doc.one(b.t, "main").words()
	for i := 0; i < len(row.typed); i += 2 {
		name, value := row.typed[i], fillIn(row.typed[i+1], ids)
		switch name {
		case "password", "skey", "secret", "new", "current", "confirm":
			if strings.Contains(page, value) || !strings.Contains(page, "not shown here") {
				b.t.Errorf("%s: %s", name, page)
			}
		case "do", "api", "let_in", "methods_all", "person", "scopes", "permissions", "roles", "expires", "grace_days": // in words
		default:
			if !strings.Contains(page, value) {
				b.t.Errorf("%s: %q is not in %s", name, value, page)
			}
		}
	}
	if strings.Contains(b.everything(), canarySec) {
		b.t.Error("the page has the secret")
	}
}

// everything is all of the page.
func (b *browser) everything() string {
	var out strings.Builder
	b.doc.walk(func(n *node) {
		for name, value := range n.attrs {
			out.WriteString(name + "=" + value + "\n")
		}
	})
	return out.String() + b.doc.words()
}

// Every field that a form has, and that people type in, is on the page that shows it
// again: under its own words, or as a secret.
func TestKeptFormsShowEachField_rul27(t *testing.T) {
	s := newServer(t)
	priya, tom := owner(t, s, s.Company, "priya"), s.AddUser(t, s.Company, "tom", true)
	ids := map[string]string{"tom": tom.ID, "factor": tom.Factor, "priya": priya.ID}
	b := newBrowser(t, s)
	b.signIn(priya)
	for _, row := range keptRows() {
		if row.route == "POST /admin/policy" {
			continue // shown as what changes
		}
		if row.scene != nil {
			row.scene(t, s, ids)
		}
		if row.page == "" {
			b.get(rulesPage).submit(rulesForm, "methods_all", "1", "grace_days", "5", "do", "preview")
		} else {
			b.get(fillIn(row.page, ids)).want(200, ".*")
		}
		s.Clock.Advance(31 * time.Second) // for the next code
		row.shownByField(b, priya)
	}
}

func (row keptRow) shownByField(b *browser, priya sallyporttest.Person) {
	t := b.t
	t.Helper()
	form := row.form
	if form == "" {
		form = mainForm
	}
	action, values := b.fill(b.form(form))
	want, secrets := map[string]string{}, 0
	for i, in := range append(b.form(form).all("input"), b.form(form).all("textarea")...) {
		name, mark := in.attrs["name"], fmt.Sprintf("mark%dx", i)
		switch kind := in.attrs["type"]; {
		case in.tag == "textarea" && name == "key", kind == "password":
			values.Set(name, mark)
			secrets++
		case slices.Contains([]string{"hidden", "checkbox", "radio", "file", "color"}, kind), in.has("readonly"):
		default:
			values.Set(name, mark)
			want[name] = mark
		}
	}
	if i := slices.Index(row.typed, "do"); i >= 0 {
		values.Set("do", row.typed[i+1])
		if row.route == "POST /admin/keys/{id}" { // one form, and each button has fields of its own
			delete(want, map[string]string{"rename": "address", "return_add": "name"}[row.typed[i+1]])
		}
	}
	values.Del("form")
	token, _ := authn.ParseToken(authn.SessionToken, b.cookie("sallyport_session"))
	// Straight into the store: the handler would refuse these before it asks for a proof.
	up, err := b.s.SignIn.StepUpKeeping(t.Context(), token, "admin.act", "/account/confirm/form?then=/account", authn.Form{Route: row.route, Path: action, Body: []byte(values.Encode())},
		authn.Client{Browser: b.cookie("sallyport_browser")})
	if err != nil {
		t.Fatal(err)
	}
	b.get("/account/confirm/"+up.Attempt.ID).submit(mainForm, "code", b.s.Code(t, priya.Secret)).want(200, keptPage)
	page := b.doc.one(t, "main").words()
	for name, mark := range want {
		if !strings.Contains(page, mark) {
			t.Errorf("%s: %s is not shown: %s", row.route, name, page)
		}
	}
	if n := strings.Count(page, "not shown here"); n != secrets {
		t.Errorf("%s: %d of %d secrets are named", row.route, n, secrets)
	}
}

// What does not belong together is not sent, and the answer says so.
func TestKeptFormOfOthers_rul27(t *testing.T) {
	row := keptRows()[slices.IndexFunc(keptRows(), func(r keptRow) bool { return strings.HasSuffix(r.route, "do/{act}") })]
	cases := map[string]struct {
		do   func(*testing.T, *sallyporttest.Server, *browser, sallyporttest.Person) *browser // gives who sends it
		want int
	}{
		"another browser with the session": {func(t *testing.T, s *sallyporttest.Server, b *browser, _ sallyporttest.Person) *browser {
			o := newBrowser(t, s)
			o.get("/signin")
			o.setCookie("sallyport_session", b.cookie("sallyport_session"))
			return o
		}, 410},
		"an altered cookie": {func(t *testing.T, _ *sallyporttest.Server, b *browser, _ sallyporttest.Person) *browser {
			c := b.cookie("sallyport_browser")
			last := "a"
			if strings.HasSuffix(c, last) {
				last = "b"
			}
			b.setCookie("sallyport_browser", c[:len(c)-1]+last)
			return b
		}, 410},
		"no cookie": {func(t *testing.T, _ *sallyporttest.Server, b *browser, _ sallyporttest.Person) *browser {
			b.setCookie("sallyport_browser", "")
			return b
		}, 410},
		"another person in the browser": {func(t *testing.T, s *sallyporttest.Server, b *browser, _ sallyporttest.Person) *browser {
			omar := owner(t, s, s.Company, "omar")
			b.get("/signout").submit("main form")
			return b.signIn(omar)
		}, 410},
		"signed in anew": {func(t *testing.T, s *sallyporttest.Server, b *browser, p sallyporttest.Person) *browser {
			b.get("/signout").submit("main form")
			s.Clock.Advance(31 * time.Second)
			return b.signIn(p)
		}, 410},
		"signed out": {func(t *testing.T, s *sallyporttest.Server, b *browser, p sallyporttest.Person) *browser {
			return b.get("/signout").submit("main form")
		}, 303},
		"too late": {func(t *testing.T, s *sallyporttest.Server, b *browser, _ sallyporttest.Person) *browser {
			s.Clock.Advance(10 * time.Minute)
			return b
		}, 410},
		"another company": {func(t *testing.T, s *sallyporttest.Server, b *browser, _ sallyporttest.Person) *browser {
			c, err := s.Directory.CreateCompany(t.Context(), "beta", "Beta")
			if err != nil {
				t.Fatal(err)
			}
			zoe := owner(t, s, c, "zoe")
			b.get("/signout").submit("main form")
			b.get("/c/beta/signin").submit(mainForm, "login", "zoe", "password", sallyporttest.Password)
			return b.submit(mainForm, "code", s.Code(t, zoe.Secret)).want(200, "/continue")
		}, 410},
		"the epoch moved": {func(t *testing.T, s *sallyporttest.Server, b *browser, _ sallyporttest.Person) *browser {
			b.get("/account/password").submit(mainForm, "current", sallyporttest.Password, "new", "another long password", "confirm", "another long password").want(200, "/account/security")
			return b
		}, 410},
		"the role is gone": {func(t *testing.T, s *sallyporttest.Server, b *browser, p sallyporttest.Person) *browser {
			k := authn.Keys{Company: s.Company.ID, User: p.ID, Now: s.Clock.Now()}
			err := s.Store.Decide(t.Context(), k, func(rows *authn.Rows) authn.Verdict {
				u := *rows.User
				u.Roles = []string{directory.Member}
				return authn.Continue(authn.PutUser{User: u})
			})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}, 403},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, b, priya, ids := row.late(t)
			row.send(b, ids)
			b.submit(mainForm, "code", s.Code(t, priya.Secret)).want(200, keptPage)
			at := b.path
			o := c.do(t, s, b, priya)
			o.send("POST", at, url.Values{"form": {httpserveForm(o.cookie("sallyport_session"))}})
			if o.status != c.want {
				t.Errorf("%d, want %d: %s", o.status, c.want, o.title())
			}
			if o.status == 410 && !strings.Contains(o.doc.one(t, "main").words(), "nothing was changed") {
				t.Error(o.doc.one(t, "main").words())
			}
			if occurred(t, s, row.event) != 0 {
				t.Error("applied")
			}
		})
	}
}

// The object of the form changed meanwhile: the handler says so, as ever.
func TestKeptFormVersion_rul25_rul27(t *testing.T) {
	s := newServer(t)
	s.SetPolicy(t, "acme", func(d *policy.Document) { d.StepUpSeconds = policy.MinStepUpSeconds })
	priya, olga := owner(t, s, s.Company, "priya"), owner(t, s, s.Company, "olga")
	one, two := newBrowser(t, s), newBrowser(t, s)
	one.signIn(priya).get(rulesPage).submit(rulesForm, "methods_all", "1", "grace_days", "3", "do", "preview").want(200, rulesPage)
	s.Clock.Advance(11 * time.Minute)
	one.submit(lookForm, "reason", "three", "do", "save").want(200, "/account/confirm/att_.*").shows("#act", "Save")
	one.submit(mainForm, "code", s.Code(t, priya.Secret)).want(200, keptPage).shows("#typed", "three")
	two.signIn(olga).get(rulesPage).submit(rulesForm, "methods_all", "1", "grace_days", "5", "do", "preview").submit(lookForm, "reason", "five", "do", "save").want(200, rulesPage)
	one.submit(keptForm).want(409, keptPage).doc.one(t, "[role=alert]")
	if got := one.doc.one(t, "#grace_days").attrs["value"]; got != "3" {
		t.Errorf("what was typed is gone: %q", got)
	}
	if d, v := saved(t, s); v != 3 || d.GraceDays != 5 {
		t.Errorf("version %d: %+v", v, d)
	}
	// And where the proof is too old again, it is asked for again, with the form.
	one.get(rulesPage).submit(rulesForm, "methods_all", "1", "grace_days", "6", "do", "preview").want(200, rulesPage)
	s.Clock.Advance(11 * time.Minute)
	one.submit(lookForm, "reason", "six", "do", "save").submit(mainForm, "code", s.Code(t, priya.Secret)).want(200, keptPage)
	s.Clock.Advance(2 * time.Minute)
	one.submit(keptForm).want(200, "/account/confirm/att_.*").submit(mainForm, "code", s.Code(t, priya.Secret)).want(200, keptPage).shows("#typed", "six")
}

// inv-A: a hundred clicks at once, one act.
func TestKeptFormRace_invA(t *testing.T) {
	row := keptRows()[slices.IndexFunc(keptRows(), func(r keptRow) bool { return r.route == "POST /admin/keys" })]
	s, b, priya, ids := row.late(t)
	row.send(b, ids)
	b.submit(mainForm, "code", s.Code(t, priya.Secret)).want(200, keptPage)
	_, values := b.fill(b.form(keptForm))
	before := occurred(t, s, row.event)
	var sent, gone atomic.Int32
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			req, err := http.NewRequest("POST", s.URL+b.path, strings.NewReader(values.Encode()))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Sec-Fetch-Site", "same-origin")
			res, err := b.http.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			switch res.StatusCode {
			case http.StatusOK:
				sent.Add(1)
			case http.StatusGone:
				gone.Add(1)
			default:
				t.Errorf("%d", res.StatusCode)
			}
		})
	}
	all.Wait()
	if sent.Load() != 1 || gone.Load() != 99 || occurred(t, s, row.event) != before+1 || occurred(t, s, "step_up.form_sent") != 1 {
		t.Errorf("%d sent, %d gone, %d events", sent.Load(), gone.Load(), occurred(t, s, row.event)-before)
	}
}

// Too long, with a file, not on the list, or waited for too long: nothing is kept, and
// the page says so. Back, a second click, and the form before its proof lead on.
func TestKeptFormNot_rul27(t *testing.T) {
	s := newServer(t)
	priya := owner(t, s, s.Company, "priya")
	b := newBrowser(t, s)
	b.signIn(priya).get("/admin/branding").want(200, "/admin/branding")
	_, values := b.fill(b.form("#branding"), "help_text", "Floor 3")
	values.Set("do", "save")
	s.Clock.Advance(11 * time.Minute)
	for name, body := range map[string]func(*multipart.Writer){
		"a file": func(w *multipart.Writer) {
			f, _ := w.CreateFormFile("logo", "logo.png")
			f.Write([]byte("x"))
		},
		"too long": func(w *multipart.Writer) { w.WriteField("more", strings.Repeat("%", 40<<10)) },
		"neither":  func(w *multipart.Writer) { w.WriteField("logo", "") },
	} {
		var buf bytes.Buffer
		w := multipart.NewWriter(&buf)
		for field := range values {
			w.WriteField(field, values.Get(field))
		}
		body(w)
		w.Close()
		b.sendBody("POST", "/admin/branding", &buf, "Content-Type", w.FormDataContentType(), "Origin", s.URL)
		b.follow().want(200, "/account/confirm/att_.*")
		if kept := len(b.doc.all("#kept")) == 1; kept != (name == "neither") || kept == (len(b.doc.all("#notice")) == 1) {
			t.Errorf("%s: kept %v", name, kept)
		}
	}

	// What a session says to come back to leads to the page, and nowhere else.
	for then, want := range map[string]string{"/admin/people": "/admin/people", "https://evil.example/": "/account/security", "//evil.example": "/account/security", "": "/account/security"} {
		b.send("GET", "/account/confirm/form?then="+url.QueryEscape(then), nil)
		if got := b.header.Get("Location"); b.status != 303 || got != want {
			t.Errorf("%q leads to %q (%d)", then, got, b.status)
		}
	}

	// Before the proof nothing of it can be reached, and after ten minutes the step-up says so.
	b.get("/admin/people").want(200, "/admin/people")
	row := keptRows()[slices.IndexFunc(keptRows(), func(r keptRow) bool { return r.route == "POST /admin/people/new" })]
	b.get("/admin/people/new")
	row.send(b, nil)
	at := b.path
	b.get(at+"/form").want(200, at)
	b.send("POST", at+"/form", url.Values{"form": {b.formValue()}})
	b.follow().want(200, at).shows("#kept", "ten minutes")
	_, code := b.fill(b.form(mainForm), "code", s.Code(t, priya.Secret))
	b.send("POST", at, code)
	b.send("POST", at, code) // a second click: its answer is the one that is shown
	b.follow().want(200, keptPage)
	b.get(at).want(200, keptPage)
	s.Clock.Advance(10 * time.Minute)
	b.get(at+"/form").want(410, keptPage).get(b.doc.one(t, "main a.btn").attrs["href"]).want(200, "/admin/people/new")

	row.send(b, nil)
	s.Clock.Advance(10 * time.Minute)
	b.get(b.path).shows("#kept-over", "Nothing was changed").submit(mainForm, "code", s.Code(t, priya.Secret)).want(410, keptPage)
	s.Clock.Advance(11 * time.Minute)
	b.get("/admin/people/new")
	row.send(b, nil)
	s.Clock.Advance(16 * time.Minute)
	b.get(b.path).want(200, "/account/confirm").shows("#notice", "Nothing was changed")
	if _, _, err := s.Directory.Lookup(t.Context(), s.Company, "nadia"); authn.AsError(err).Code != authn.NotFound {
		t.Errorf("she was added: %v", err)
	}
}

// Opening a page can ask for the proof, too, and leads back to that page.
func TestConfirmOnOpening_rul27(t *testing.T) {
	s := newServer(t)
	priya := owner(t, s, s.Company, "priya")
	tom := s.AddUser(t, s.Company, "tom", true)
	b := newBrowser(t, s)
	s.SetPolicy(t, "acme", func(d *policy.Document) { d.GraceDays = 9 })
	b.signIn(priya)
	for _, page := range []string{"/admin/people/" + tom.ID + "/do/suspend", "/admin/roles?role=", "/admin/providers/email", "/admin/audit/streams", "/account/password",
		"/admin/policy/preview?undo=1&version=2"} {
		s.Clock.Advance(11 * time.Minute)
		b.begin(page).submit(mainForm, "code", s.Code(t, priya.Secret))
		if b.status != 200 && b.status != 422 || b.path != page {
			t.Errorf("%s leads to %s (%d)", page, b.path, b.status)
		}
	}
}

// notKept are the other forms of people who are signed in, with why nothing typed in
// them is lost.
var notKept = map[string][]string{
	"a button; the step-up leads back to its page or goes on with it": {
		"POST /account/security/app", "POST /account/security/app/off", "POST /account/security/email", "POST /account/security/email/off", "POST /account/security/phone/off",
		"POST /account/security/duo", "POST /account/security/duo/off", "POST /account/security/passkeys", "POST /account/security/passkeys/{passkey}/off", "POST /account/security/backup-codes/new", "POST /account/data/export",
		"POST /admin/people/{id}/export", "POST /admin/approvals/{approval}",
	},
	"no proof is asked for": {
		"POST /account", "POST /account/security/usual", "POST /account/security/sign-out-others", "POST /account/security/backup-codes", "POST /admin/audit",
		"POST /account/devices/trusted/end", "POST /account/devices/trusted/{browser}/end", "POST /account/devices/trusted/{browser}/name", "POST /account/devices/{session}/end", "POST /account/devices/{session}/name",
		"POST /account/security/passkeys/{passkey}/name",
	},
	"a code or a button of a set-up, whose page is still there": {
		"POST /account/security/app/{factor}/cancel", "POST /account/security/app/{factor}/confirm", "POST /account/email/{factor}/cancel", "POST /account/email/{factor}/confirm",
		"POST /account/email/{factor}/send", "POST /account/security/email/{factor}/cancel", "POST /account/security/email/{factor}/confirm", "POST /account/security/email/{factor}/send",
		"POST /account/security/phone/{factor}/cancel", "POST /account/security/phone/{factor}/confirm", "POST /account/security/phone/{factor}/send",
		"POST /account/security/duo/{factor}/cancel", "POST /account/security/duo/{factor}/code", "POST /account/security/duo/{factor}/continue", "POST /account/security/duo/{factor}/start",
		"POST /account/security/duo/{factor}/ways", "POST /admin/people/{id}/app/{factor}",
		"POST /account/security/passkeys/{factor}/cancel", "POST /account/security/passkeys/{factor}/confirm", "POST /account/security/passkeys/{factor}/options",
	},
	"a file": {"POST /admin/people/import"},
	"the step-up itself": {
		"POST /account/confirm", "POST /account/confirm/{attempt}", "POST /account/confirm/{attempt}/continue", "POST /account/confirm/{attempt}/duo/start",
		"POST /account/confirm/{attempt}/duo/ways", "POST /account/confirm/{attempt}/form", "POST /account/confirm/{attempt}/passkey",
	},
}

// A form that is new is put on one of the lists.
func TestFormsAreKeptOrNot_rul27(t *testing.T) {
	s := newServer(t)
	known := web.KeptRoutes()
	for _, list := range notKept {
		known = append(known, list...)
	}
	slices.Sort(known)
	var there []string
	for _, route := range s.Routes() {
		if strings.HasPrefix(route, "POST /account") || strings.HasPrefix(route, "POST /admin") {
			there = append(there, route)
		}
	}
	for _, route := range there {
		if !slices.Contains(known, route) {
			t.Errorf("%s is in no list: see keptForms", route)
		}
	}
	for _, route := range known {
		if !slices.Contains(there, route) {
			t.Errorf("there is no %s", route)
		}
	}
}
