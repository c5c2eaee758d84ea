package web_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/text"
)

// browser is somebody without JavaScript: it follows links, sends forms with
// what is in them, and keeps cookies. Every page it sees is checked.
type browser struct {
	t      testing.TB
	s      *sallyporttest.Server
	http   *http.Client
	routes *http.ServeMux
	path   string // of the page that is shown
	status int
	header http.Header
	plain  string // what was answered, if it is no page
	doc    *node
	seen   map[string]bool // titles
}

// newServer starts a server whose pages can also be had in pseudo-languages,
// and fails the test if a text was missing.
func newServer(t testing.TB, opts ...sallyporttest.Option) *sallyporttest.Server {
	t.Helper()
	texts := text.Default().WithPseudo()
	s := sallyporttest.NewServer(t, append(opts, func(c *sallyport.Config) { c.Catalogue = texts })...)
	t.Cleanup(func() {
		if m := texts.Missing(); len(m) > 0 {
			t.Errorf("missing texts: %q", m)
		}
	})
	return s
}

func newBrowser(t testing.TB, s *sallyporttest.Server) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, s: s, routes: http.NewServeMux(), seen: map[string]bool{}, http: &http.Client{Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	for _, r := range s.Routes() {
		b.routes.Handle(r, http.NotFoundHandler())
	}
	return b
}

// send does one request, without following.
func (b *browser) send(method, path string, form url.Values, headers ...string) {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
		headers = append([]string{"Content-Type", "application/x-www-form-urlencoded", "Origin", b.s.URL}, headers...)
	}
	b.sendBody(method, path, body, headers...)
}

func (b *browser) sendBody(method, path string, body io.Reader, headers ...string) {
	b.t.Helper()
	req, err := http.NewRequest(method, b.s.URL+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36")
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i < len(headers); i += 2 {
		if req.Header.Del(headers[i]); headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.path, b.status, b.header, b.doc, b.plain = path, res.StatusCode, res.Header, nil, string(raw)
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		if b.doc, err = parseHTML(string(raw)); err != nil {
			b.t.Fatalf("%s %s: %v\n%s", method, path, err, raw)
		}
		b.check(string(raw))
	}
}

// get opens a page and follows redirects.
func (b *browser) get(path string) *browser {
	b.t.Helper()
	b.send(http.MethodGet, path, nil)
	return b.follow()
}

func (b *browser) follow() *browser {
	b.t.Helper()
	for range 6 {
		if b.status != http.StatusSeeOther {
			return b
		}
		to := b.header.Get("Location")
		if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") {
			b.t.Fatalf("%s leads to %s", b.path, to)
		}
		b.send(http.MethodGet, to, nil)
	}
	b.t.Fatalf("%s: too many redirects", b.path)
	return b
}

// fill is what a form would send: its own values, and those given as pairs.
func (b *browser) fill(form *node, pairs ...string) (action string, values url.Values) {
	b.t.Helper()
	values = url.Values{}
	for _, in := range form.all("input") {
		if kind := in.attrs["type"]; kind != "checkbox" && kind != "radio" {
			values.Set(in.attrs["name"], in.attrs["value"])
		}
	}
	for _, area := range form.all("textarea") {
		values.Set(area.attrs["name"], area.text0())
	}
	for _, sel := range form.all("select") {
		for _, o := range sel.all("option") {
			if o.has("selected") || !values.Has(sel.attrs["name"]) {
				values.Set(sel.attrs["name"], o.attrs["value"])
			}
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		if len(form.all("[name="+pairs[i]+"]")) == 0 {
			b.t.Fatalf("%s: the form has no %s", b.path, pairs[i])
		}
		values.Set(pairs[i], pairs[i+1])
	}
	return form.attrs["action"], values
}

// submit sends the form that a selector finds and follows.
func (b *browser) submit(selector string, pairs ...string) *browser {
	b.t.Helper()
	action, values := b.fill(b.form(selector), pairs...)
	b.send(http.MethodPost, action, values)
	return b.follow()
}

// press sends a form by one of its buttons: to the button's own address, if it
// has one, and with the button's value.
func (b *browser) press(button string, pairs ...string) *browser {
	b.t.Helper()
	n := b.doc.one(b.t, "main "+button)
	form := n.parent
	for form.tag != "form" {
		form = form.parent
	}
	action, values := b.fill(form, pairs...)
	if to := n.attrs["formaction"]; to != "" {
		action = to
	}
	if n.has("name") {
		values.Set(n.attrs["name"], n.attrs["value"])
	}
	if form.attrs["method"] == "get" {
		return b.get(action + "?" + values.Encode())
	}
	b.send(http.MethodPost, action, values)
	return b.follow()
}

func (b *browser) form(selector string) *node {
	b.t.Helper()
	if b.doc == nil {
		b.t.Fatalf("%s (%d) is no page", b.path, b.status)
	}
	// What is hidden until a script shows it, nobody without one can send.
	found := slices.DeleteFunc(b.doc.all(selector), func(n *node) bool { return n.has("hidden") && !strings.Contains(selector, "hidden") })
	if len(found) != 1 || found[0].tag != "form" {
		b.t.Fatalf("%s (%d) %q: %d forms are %q", b.path, b.status, b.title(), len(found), selector)
	}
	return found[0]
}

// want checks status and address of the page that is shown.
func (b *browser) want(status int, path string) *browser {
	b.t.Helper()
	at, _, _ := strings.Cut(b.path, "?")
	if ok, err := regexp.MatchString("^"+path+"$", at); err != nil || !ok || b.status != status {
		b.t.Fatalf("shows %s (%d, %q), not %s (%d)", b.path, b.status, b.title(), path, status)
	}
	return b
}

// shows checks that a selector finds something, with a text in it.
func (b *browser) shows(selector, words string) *browser {
	b.t.Helper()
	for _, n := range b.doc.all(selector) {
		if strings.Contains(n.words(), words) {
			return b
		}
	}
	b.t.Fatalf("%s: no %s says %q:\n%s", b.path, selector, words, b.doc.one(b.t, "main").words())
	return b
}

func (b *browser) title() string {
	if b.doc == nil {
		return ""
	}
	return b.doc.one(b.t, "title").words()
}

func (b *browser) cookie(name string) string {
	u, _ := url.Parse(b.s.URL)
	for _, c := range b.http.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (b *browser) setCookie(name, value string) {
	u, _ := url.Parse(b.s.URL)
	b.http.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

// The forms of the pages.
const (
	mainForm    = "main form[method=post]"
	signOutForm = ".menu-list form[action=/signout]"
	syncForm    = ".menu-list form[action=/account/security/app]"
	beginForm   = "#confirm-begin form"
	appForm     = "#app form[action=/account/security/app]"
	codesForm   = "main form[action=/account/security/backup-codes]"
)

// password does the first step.
func (b *browser) password(login, password string) *browser {
	b.t.Helper()
	return b.get("/signin").submit(mainForm, "login", login, "password", password)
}

// signIn does both.
func (b *browser) signIn(p sallyporttest.Person) *browser {
	b.t.Helper()
	b.password(p.Login, sallyporttest.Password)
	if p.Secret != nil {
		b.submit(mainForm, "code", b.s.Code(b.t, p.Secret))
	}
	return b.want(200, "/continue")
}

// begin opens the confirmation that an address asks for, and begins it.
func (b *browser) begin(path string) *browser {
	b.t.Helper()
	return b.get(path).want(200, "/account/confirm").submit(beginForm).want(200, "/account/confirm/att_.*")
}

// saved ticks the box below the new backup codes.
func (b *browser) saved() *browser {
	b.t.Helper()
	b.want(200, "/account/security/backup-codes")
	_, values := b.fill(b.form(codesForm))
	values.Set("saved", "yes")
	b.send(http.MethodPost, "/account/security/backup-codes", values)
	return b.follow().want(200, "/account/security")
}

// neverSay are the words of ux.md that people never read.
var neverSay = regexp.MustCompile(`(?i)\b(T?OTP|tokens?|factors?|2FA|MFA|credentials?|authenticate|authentication|log ?in|enrol\w*|provision\w*|invalid|an error occurred)\b`)

// check holds every page to the rules of ux.md that a machine can check.
func (b *browser) check(raw string) {
	b.t.Helper()
	fail := func(format string, args ...any) {
		b.t.Helper()
		b.t.Errorf("%s (%d, %q): "+format, append([]any{b.path, b.status, b.title()}, args...)...)
	}
	if strings.Contains(raw, "ZgotmplZ") || strings.Contains(raw, "<no value>") || strings.Contains(raw, "{0x") {
		fail("a template could not write something")
	}
	if got := b.header.Get("Content-Security-Policy"); got != httpserve.CSP {
		fail("policy %q", got)
	}
	if got := b.header.Get("Cache-Control"); got != "no-store" {
		fail("Cache-Control %q", got)
	}
	root := b.doc.one(b.t, "html")
	if root.attrs["lang"] == "" || root.attrs["dir"] != text.Dir(root.attrs["lang"]) {
		fail("lang %q, dir %q", root.attrs["lang"], root.attrs["dir"])
	}
	if n := len(b.doc.all("h1")); n != 1 {
		fail("%d h1", n)
	}
	if len(b.doc.all("main#main")) != 1 || b.doc.one(b.t, ".skip").attrs["href"] != "#main" {
		fail("no skip link to main")
	}
	b.checkNodes(fail)
	b.checkForms(fail)
	b.checkWords(root.attrs["lang"], fail)
	b.seen[b.doc.one(b.t, "h1").words()] = true
}

func (b *browser) checkNodes(fail func(string, ...any)) {
	ids := map[string]bool{}
	b.doc.walk(func(n *node) {
		for name, value := range n.attrs {
			switch {
			case name == "style", strings.HasPrefix(name, "on"):
				fail("<%s %s>", n.tag, name)
			case name == "id":
				if ids[value] {
					fail("two #%s", value)
				}
				ids[value] = true
			case name == "aria-label" && value == "":
				fail("<%s> has an empty name", n.tag)
			}
		}
	})
	b.doc.walk(func(n *node) {
		for _, name := range []string{"for", "aria-describedby", "aria-labelledby", "aria-controls"} {
			for _, id := range strings.Fields(n.attrs[name]) {
				if !ids[id] {
					fail("<%s %s=%q> points nowhere", n.tag, name, id)
				}
			}
		}
		switch n.tag {
		case "script":
			if src := n.attrs["src"]; !strings.HasPrefix(src, "/assets/app.") && !strings.HasPrefix(src, "/assets/passkey.") || len(n.kids) > 0 {
				fail("an inline script")
			}
		case "style", "iframe", "object", "base":
			fail("<%s>", n.tag)
		case "img":
			if src := n.attrs["src"]; !strings.HasPrefix(src, "/brand/") && !strings.HasPrefix(src, "/admin/branding/draft/") || n.attrs["alt"] == "" || n.attrs["width"] == "" {
				fail("<img> %v", n.attrs)
			}
		case "a":
			b.checkLink(n, ids, fail)
		case "button", "summary", "label", "th", "title", "h1", "h2", "h3":
			if n.words() == "" {
				fail("an empty <%s>", n.tag)
			}
		}
	})
}

func (b *browser) checkLink(n *node, ids map[string]bool, fail func(string, ...any)) {
	href := n.attrs["href"]
	switch {
	case n.words() == "":
		fail("a link without words: %s", href)
	case strings.HasPrefix(href, "otpauth://totp/"):
	case n.attrs["target"] == "_blank":
		// Elsewhere: it is told nothing of us, and gets no hold of our page.
		if n.attrs["rel"] != "noopener noreferrer" || !strings.HasPrefix(href, "http") {
			fail("a link to elsewhere: %v", n.attrs)
		}
	case n.attrs["rel"] == "external noreferrer":
		// To an application, whose address an administrator has written down.
		if !authn.GoodReturnAddress(href[:strings.IndexByte(href+"?", '?')]) {
			fail("a link out to %s", href)
		}
	case strings.HasPrefix(href, "#"):
		if !ids[href[1:]] {
			fail("link to %s, which is not there", href)
		}
	case strings.HasPrefix(b.path, "/continue"):
		// Wherever the person asked to go; that it is a path is tested elsewhere.
	default:
		b.checkRoute("GET", href, fail)
	}
}

// unbuilt is a page that the account gets next; this goes with it.
const unbuilt = "/account/security/backup-codes"

func (b *browser) checkRoute(method, address string, fail func(string, ...any)) {
	if _, ok := httpserve.SafePath(address); !ok {
		fail("%q is no path of ours", address)
		return
	}
	req, err := http.NewRequest(method, address, nil)
	if err != nil {
		fail("%v", err)
		return
	}
	if _, pattern := b.routes.Handler(req); pattern == "" && address != unbuilt {
		fail("%s %s leads nowhere", method, address)
	}
}

func (b *browser) checkForms(fail func(string, ...any)) {
	for _, f := range b.doc.all("form") {
		switch f.attrs["method"] {
		case "post":
			if token := f.all("input[name=form]"); len(token) != 1 || len(token[0].attrs["value"]) != 26 {
				fail("the form to %s carries no value of its own", f.attrs["action"])
			}
			b.checkRoute("POST", f.attrs["action"], fail)
			for _, n := range f.all("[formaction]") {
				b.checkRoute("POST", n.attrs["formaction"], fail)
			}
		case "get":
			b.checkRoute("GET", f.attrs["action"], fail)
		default:
			fail("a form without method")
		}
		if len(f.all("button")) == 0 {
			fail("the form to %s has no button", f.attrs["action"])
		}
	}
	for _, in := range append(b.doc.all("input"), b.doc.all("select")...) {
		if in.attrs["type"] == "hidden" || in.attrs["aria-hidden"] == "true" {
			continue
		}
		if id := in.attrs["id"]; id == "" || len(b.doc.all("label[for="+id+"]")) != 1 {
			fail("#%s has no label", id)
		}
		if in.attrs["aria-invalid"] == "true" && in.attrs["aria-describedby"] == "" {
			fail("#%s is wrong, and nothing says why", in.attrs["id"])
		}
		if in.attrs["type"] == "password" && in.attrs["value"] != "" {
			fail("#%s is filled in", in.attrs["id"])
		}
	}
	lang := b.doc.one(b.t, "html").attrs["lang"]
	prefix, _, _ := strings.Cut(text.Default().Text(lang, "page.title.error", map[string]any{"Title": "\x00"}), "\x00")
	if invalid := b.doc.all("[aria-invalid=true]"); len(invalid) > 0 && !strings.HasPrefix(b.title(), prefix) && slices.Contains(text.Default().Languages(), lang) {
		fail("the title does not say that there is an error")
	}
	if code := b.doc.all("input#code"); len(code) > 0 {
		c := code[0].attrs
		if c["name"] != "code" || c["type"] != "text" || c["inputmode"] != "numeric" || c["autocomplete"] != "one-time-code" || c["dir"] != "ltr" || code[0].has("maxlength") || code[0].has("pattern") {
			fail("the code field: %v", c)
		}
	}
}

// checkWords: nothing technical, and in the pseudo-language nothing that the
// catalogue did not say. The content for developers is English and says so.
func (b *browser) checkWords(lang string, fail func(string, ...any)) {
	b.doc.walk(func(n *node) {
		if n.text == "" || strings.TrimSpace(n.text) == "" {
			return
		}
		for p := n.parent; p != nil; p = p.parent {
			// The name of a language is in that language.
			if slices.Contains([]string{"bdi", "time", "code", "textarea"}, p.tag) || p.tag == "option" && p.has("lang") || p.attrs["translate"] == "no" || p.has("aria-hidden") {
				return
			}
			if l := p.attrs["lang"]; l != "" && p.tag != "html" {
				if l == "en" {
					return
				}
				break
			}
		}
		if w := neverSay.FindString(n.text); w != "" && !(n.parent.tag == "title" && strings.HasPrefix(b.path, "/docs/")) {
			fail("says %q: %s", w, n.text)
		}
		plain := strings.IndexFunc(n.text, func(r rune) bool { return r > unicode.MaxASCII || r == '[' || r == ']' }) < 0
		if lang == text.PseudoLong && plain && strings.IndexFunc(n.text, unicode.IsLetter) >= 0 {
			fail("not from the catalogue: %q", n.text)
		}
	})
}
