package notice

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/text"
)

const testCode = "418207"

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

var (
	companyID = authn.NewID(authn.CompanyID, noon, zeros{})
	linkID    = authn.NewID(authn.LinkID, noon, zeros{})
	link      = authn.NewToken(authn.LinkToken, companyID, linkID, zeros{})
)

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

type noOutbox struct{ Outbox }

func service(t testing.TB, texts *text.Catalogue) *Service {
	t.Helper()
	s, err := New(Config{Outbox: noOutbox{}, Texts: texts, PublicURL: "https://login.acme.example/", Code: func([]byte) string { return testCode }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// letter is one with everything that its template can show.
func letter(tpl authn.Template) authn.Letter {
	sh := shapes[tpl]
	l := authn.Letter{
		Company: authn.Company{ID: companyID, Slug: "acme", Name: "Acme Projects"},
		User:    authn.User{ID: authn.NewID(authn.UserID, noon, zeros{}), Login: "maya", Name: "Maya Lindqvist"},
		ID:      authn.NewID(authn.MessageID, noon, zeros{}), Channel: authn.Email, Template: tpl, To: "maya@acme.example",
		Args: map[string]string{"agent": "Chrome on Windows", "address": "203.0.113.77", "method": "totp"},
		At:   noon, Tries: 1,
	}
	switch {
	case sh.code:
		l.Seed, l.ExpiresAt = []byte("seed"), noon.Add(2*time.Minute)
		delete(l.Args, "method")
	case sh.link != "":
		l.Link, l.ExpiresAt, l.Args = link, noon.Add(7*24*time.Hour), map[string]string{"name": "Priya Raman"}
	case sh.wasnt:
		l.Link = link
	}
	if sh.plural != "" {
		l.Args[sh.plural] = "3"
	}
	if tpl == CodeStepUp {
		l.Args["action"] = "password.change"
	}
	return l
}

func templates() []authn.Template { return slices.Sorted(maps.Keys(shapes)) }

func render(t testing.TB, s *Service, l authn.Letter) authn.Message {
	t.Helper()
	m, err := s.Render(l)
	if err != nil {
		t.Fatalf("%s: %v", l.Template, err)
	}
	return m
}

// parse reads the HTML as XML, which mends nothing: markup that came out of a
// name is an error or one of the links and elements that are returned.
func parse(t testing.TB, source string) (links []string, elements map[string]int, words string) {
	t.Helper()
	elements = map[string]int{}
	dec := xml.NewDecoder(strings.NewReader(source))
	var b strings.Builder
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return links, elements, b.String()
		}
		if err != nil {
			t.Fatalf("HTML: %v\n%s", err, source)
		}
		switch x := tok.(type) {
		case xml.StartElement:
			elements[x.Name.Local]++
			for _, a := range x.Attr {
				switch {
				case a.Name.Local == "href":
					links = append(links, a.Value)
				case a.Name.Local == "src", strings.HasPrefix(a.Name.Local, "on"), strings.Contains(a.Value, "url("):
					t.Errorf("attribute %s=%q", a.Name.Local, a.Value)
				case strings.Contains(a.Value, "ZgotmplZ"):
					t.Errorf("html/template refused %s", a.Name.Local)
				}
			}
		case xml.CharData:
			b.Write(x)
			b.WriteByte(' ')
		}
	}
}

// Every event that is told has a template, every template its texts.
func TestTemplates(t *testing.T) {
	c := text.Default()
	for typ, e := range events {
		if !c.Has("event." + typ) {
			t.Errorf("no text for event.%s", typ)
		}
		if _, ok := shapes[e.template]; !ok {
			t.Errorf("%s is told by %q, which is no template", typ, e.template)
		}
	}
	if !c.Has("event.message.failed") {
		t.Error("no text for event.message.failed")
	}
	for tpl, sh := range shapes {
		keys := []string{"subject", "title", "body"}
		if sh.code || sh.link != "" {
			keys = append(keys, "not_you")
		}
		if sh.link != "" {
			keys = append(keys, "action")
		}
		if sh.plural != "" {
			keys = append(keys, "body_some")
		}
		for _, key := range keys {
			if key := "mail." + string(tpl) + "." + key; !c.Has(key) {
				t.Errorf("no text for %s", key)
			}
		}
		if sh.sms && (!c.Has("sms."+string(tpl)) || sh.code && !c.Has("sms."+string(tpl)+"_seconds")) {
			t.Errorf("no text message for %s", tpl)
		}
	}
	told := regexp.MustCompile(`^mail\.([a-z_]+)\.(subject|title|body.*|not_you|action|foot|wasnt_.*)$`)
	for _, key := range c.Keys() {
		m := told.FindStringSubmatch(key)
		if m == nil || m[1] == "wasnt" {
			continue
		}
		if _, ok := shapes[authn.Template(m[1])]; !ok {
			t.Errorf("%s is the text of no template", key)
		}
	}
}

func TestFor(t *testing.T) {
	ev := func(typ string, change ...func(*authn.Event)) authn.Event {
		e := authn.Event{Company: "c", Type: typ, Actor: "u", Target: "u", Result: authn.Succeeded}
		if events[typ].refused {
			e.Result = authn.Refused
		}
		for _, f := range change {
			f(&e)
		}
		return e
	}
	detail := func(pairs ...string) func(*authn.Event) {
		return func(e *authn.Event) {
			e.Personal.Detail = map[string]string{}
			for i := 0; i < len(pairs); i += 2 {
				e.Personal.Detail[pairs[i]] = pairs[i+1]
			}
		}
	}
	for typ, e := range events {
		if e.template == ManyWrong {
			continue
		}
		if got, ok := For(ev(typ)); !ok || got != e.template {
			t.Errorf("%s: %q, %v", typ, got, ok)
		}
		if _, ok := For(ev(typ, func(e *authn.Event) { e.Target = "" })); ok != e.anybody {
			t.Errorf("%s about nobody: %v", typ, ok)
		}
		if _, ok := For(ev(typ, func(e *authn.Event) { e.Result = authn.Refused })); ok != e.refused {
			t.Errorf("%s refused: %v", typ, ok)
		}
	}
	for _, typ := range []string{"", "passkey.backup_changed", "session.started", "session.ended", "factor.begun", "factor.preferred", "message.failed", "sign_in.refused"} {
		if got, ok := For(ev(typ)); ok {
			t.Errorf("%q is told as %q", typ, got)
		}
	}
	for tries, want := range map[string]bool{"": false, "1": false, "2": false, "3": true, "4": false, "9": false, "10": true, "11": false, "30": false} {
		if _, ok := For(ev("factor.refused", detail("tries", tries))); ok != want {
			t.Errorf("after %q wrong codes: %v", tries, ok)
		}
		if _, ok := For(ev("factor.refused", detail("tries", tries, "reason", "wrong_code"), func(e *authn.Event) { e.Actor = "" })); ok != want {
			t.Errorf("after %q wrong codes of nobody known: %v", tries, ok)
		}
		if _, ok := For(ev("factor.refused", detail("tries", tries, "reason", "wrong_password"))); ok {
			t.Error("wrong passwords are told as wrong codes")
		}
	}
}

// What an administrator's browser is, is none of the person's business.
func TestArgs(t *testing.T) {
	ev := authn.Event{Actor: "u", Target: "u", Personal: authn.Personal{Address: "203.0.113.77", Agent: "Chrome on Windows",
		Detail: map[string]string{"method": "totp", "left": "3", "secret": "x"}}}
	if got, want := Args(ev), (map[string]string{"method": "totp", "left": "3", "address": "203.0.113.77", "agent": "Chrome on Windows"}); !maps.Equal(got, want) {
		t.Errorf("oneself: %v", got)
	}
	for actor, by := range map[string]string{"operator": "operator", "usr_other": "admin"} {
		ev.Actor = actor
		if got, want := Args(ev), (map[string]string{"method": "totp", "left": "3", "by": by}); !maps.Equal(got, want) {
			t.Errorf("%s: %v", actor, got)
		}
	}
}

// Every template in every language: complete, one subject line, the code once,
// the link where it belongs (ruling 15, cve-63).
func TestRender(t *testing.T) {
	c := text.Default().WithPseudo()
	s := service(t, c)
	for _, tpl := range templates() {
		sh := shapes[tpl]
		for _, lang := range append(c.Languages(), text.PseudoLong, text.PseudoRTL) {
			l := letter(tpl)
			l.User.Locale, l.Args["locale"] = lang, lang
			m := render(t, s, l)
			if again := render(t, s, l); again != m {
				t.Errorf("%s %s: a second try gives another message", tpl, lang)
			}
			if m.ID != l.ID || m.To != l.To || m.From != "Acme Projects" || m.Language != lang {
				t.Errorf("%s %s: %q %q %q %q", tpl, lang, m.ID, m.To, m.From, m.Language)
			}
			if m.Subject == "" || strings.ContainsFunc(m.Subject, unicode.IsControl) || utf8.RuneCountInString(m.Subject) > 200 {
				t.Errorf("%s %s: subject %q", tpl, lang, m.Subject)
			}
			links, elements, words := parse(t, m.HTML)
			if elements["html"] != 1 || elements["h1"] != 1 || elements["img"]+elements["script"]+elements["style"]+elements["link"] > 0 {
				t.Errorf("%s %s: elements %v", tpl, lang, elements)
			}
			if want := fmt.Sprintf(`<html lang=%q dir=%q>`, lang, text.Dir(lang)); !strings.Contains(m.HTML, want) {
				t.Errorf("%s %s: no %s", tpl, lang, want)
			}
			codes := 0
			if sh.code {
				codes = 1
			}
			if got := strings.Count(m.Text, testCode); got != codes {
				t.Errorf("%s %s: the code stands %d times in the text", tpl, lang, got)
			}
			if got := strings.Count(words, testCode); got != codes {
				t.Errorf("%s %s: the code stands %d times on the page", tpl, lang, got)
			}
			if got := strings.Contains(m.Subject, testCode); got != (tpl == Code) {
				t.Errorf("%s %s: code in the subject: %v", tpl, lang, got)
			}
			var want []string
			switch {
			case sh.link != "":
				want = []string{"https://login.acme.example/invitation/" + link.Reveal()}
			case sh.wasnt:
				want = []string{"https://login.acme.example/not-me/" + link.Reveal()}
			}
			if !slices.Equal(links, want) {
				t.Errorf("%s %s: links %q, want %q", tpl, lang, links, want)
			}
			if strings.Count(m.Text, "://") != len(want) || len(want) > 0 && !strings.Contains(m.Text, "\n"+want[0]+"\n") {
				t.Errorf("%s %s: links of the text:\n%s", tpl, lang, m.Text)
			}
			for line := range strings.Lines(m.Text) {
				if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > width && !strings.HasPrefix(line, "https://") && lang != text.PseudoRTL {
					t.Errorf("%s %s: a line of the text is too long: %q", tpl, lang, line)
				}
			}
			if lang == text.English && strings.ContainsAny(m.Text+m.Subject+words, "{}\ue000\ue001") {
				t.Errorf("%s: something was not filled in:\n%s", tpl, m.Text)
			}
		}
	}
	if m := c.Missing(); len(m) > 0 {
		t.Errorf("missing: %v", m)
	}
}

// Letters that lack what could be known are complete sentences, too.
func TestRender_bare(t *testing.T) {
	c := text.Default().WithPseudo()
	s := service(t, c)
	for _, tpl := range templates() {
		l := letter(tpl)
		l.Args, l.User, l.Company.Name, l.Channel = nil, authn.User{}, "", authn.Email
		if shapes[tpl].wasnt {
			l.Link = authn.Token{}
		}
		m := render(t, s, l)
		if m.From != "acme" || strings.Contains(m.Text, "…") {
			t.Errorf("%s: %q\n%s", tpl, m.From, m.Text)
		}
		if shapes[tpl].wasnt && !strings.Contains(strings.Join(strings.Fields(m.Text), " "), "Tell your admin") {
			t.Errorf("%s without a link does not say what to do:\n%s", tpl, m.Text)
		}
	}
	if m := c.Missing(); len(m) > 0 {
		t.Errorf("missing: %v", m)
	}
	for name, l := range map[string]authn.Letter{
		"unknown":  letter("nonsense"),
		"no seed":  func() authn.Letter { l := letter(Code); l.Seed = nil; return l }(),
		"no link":  func() authn.Letter { l := letter(Invitation); l.Link = authn.Token{}; return l }(),
		"bad link": func() authn.Letter { l := letter(Invitation); l.Link = authn.Token{Kind: "lnk"}; return l }(),
		"channel":  func() authn.Letter { l := letter(MethodOn); l.Channel = authn.SMS; return l }(),
	} {
		if _, err := s.Render(l); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// An administrator reads in the administrator's language, not in that of the
// person who asks for help.
func TestRender_language(t *testing.T) {
	s := service(t, text.Default().WithPseudo())
	for _, tt := range []struct {
		tpl               authn.Template
		user, given, want string
	}{
		{NewBrowser, text.PseudoRTL, "", text.PseudoRTL}, {NewBrowser, "", "", text.English}, {NewBrowser, "xx", "", text.English},
		{HelpAskedAdmin, text.PseudoRTL, "", text.English}, {HelpAskedAdmin, text.PseudoRTL, text.PseudoLong, text.PseudoLong},
		{EmailChanged, text.PseudoRTL, text.PseudoLong, text.PseudoLong},
	} {
		l := letter(tt.tpl)
		l.User.Locale = tt.user
		if tt.given != "" {
			l.Args["locale"] = tt.given
		}
		if got := render(t, s, l).Language; got != tt.want {
			t.Errorf("%s, %q, %q: %q", tt.tpl, tt.user, tt.given, got)
		}
	}
}

// Ruling 15 holds against a catalogue, too.
func TestRender_subject_rul15(t *testing.T) {
	en := map[string]string{}
	for _, key := range []string{"subject", "title", "body", "not_you"} {
		en["mail.code_step_up."+key] = "x {Company}"
	}
	en["mail.code_step_up.subject"] = "Your {Code}"
	b, err := json.Marshal(en)
	if err != nil {
		t.Fatal(err)
	}
	c, err := text.Load(fstest.MapFS{"en.json": {Data: b}})
	if err != nil {
		t.Fatal(err)
	}
	if got := render(t, service(t, c), letter(CodeStepUp)).Subject; strings.Contains(got, testCode) {
		t.Errorf("subject %q", got)
	}
}

func TestRender_says(t *testing.T) {
	s := service(t, nil)
	for _, tt := range []struct {
		tpl  authn.Template
		args map[string]string
		want []string
	}{
		{NewBrowser, nil, []string{"Account: Maya Lindqvist", "When: 22 Nov 2026 at 12:00 UTC", "Browser: Chrome on Windows", "Network: about 203.0.113.*", "Way to verify: authenticator app"}},
		{NewBrowser, map[string]string{"agent": "Unknown browser", "address": "2001:db8:1:2::3"}, []string{"Browser: Unknown browser", "about 2001:db8:1:*"}},
		{MethodsReset, map[string]string{"by": "operator"}, []string{"By: The operator of the server"}},
		{MethodsReset, map[string]string{"by": "admin", "name": "Priya"}, []string{"By: Priya"}},
		{BackupCodeUsed, map[string]string{"left": "1"}, []string{"1 backup code is left"}},
		{BackupCodeUsed, map[string]string{"left": "nine"}, []string{"It works only once."}},
		{ManyWrong, map[string]string{"tries": "10"}, []string{"10 wrong codes"}},
		{EmailChanged, map[string]string{"variant": "old"}, []string{"went to the old address"}},
		{EmailChanged, map[string]string{"variant": "none of these"}, []string{"e-mail address of your account at Acme Projects was changed."}},
		{CodeStepUp, nil, []string{"What for: Change the password", "It works for 2 minutes, until 12:02 UTC, and only once."}},
		{CodeStepUp, map[string]string{"action": "billing.change", "act": "Change the billing"}, []string{"What for: Change the billing"}},
		{MethodOn, map[string]string{"method": "webauthn", "called": "YubiKey 5"}, []string{"A passkey was added", "Way to verify: passkey", "Name: YubiKey 5"}},
		{MethodOff, map[string]string{"method": "webauthn", "called": "YubiKey 5"}, []string{"A passkey was removed", "Name: YubiKey 5"}},
		{MethodsReset, map[string]string{"method": "webauthn", "called": "YubiKey 5", "by": "admin", "name": "Priya"}, []string{"A passkey was removed", "Name: YubiKey 5", "By: Priya"}},
		{MethodsReset, map[string]string{"method": "all"}, []string{"Your ways to verify were reset"}},
		{MethodLocked, map[string]string{"method": "webauthn"}, []string{"A passkey was turned off"}},
		{ManyWrong, map[string]string{"method": "webauthn", "tries": "3"}, []string{"3 passkey answers were wrong"}},
		{PasskeyCopied, map[string]string{"method": "webauthn", "called": "YubiKey 5"}, []string{"A passkey may have been copied", "Name: YubiKey 5", "remove the passkey on your security page"}},
		{HelpAskedAdmin, nil, []string{"Person: Maya Lindqvist", "Call back on the number"}},
		{Invitation, nil, []string{"By: Priya Raman", "until 29 Nov 2026 at 12:00 UTC"}},
	} {
		l := letter(tt.tpl)
		if tt.args != nil {
			l.Args = tt.args
		}
		got := strings.Join(strings.Fields(render(t, s, l).Text), " ")
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s %v lacks %q: %s", tt.tpl, tt.args, want, got)
			}
		}
	}
	if got := render(t, s, letter(Code)).Subject; got != "418207 is your Acme Projects code" {
		t.Errorf("subject %q", got)
	}
	for validity, want := range map[time.Duration]string{30 * time.Second: "30 seconds", time.Minute: "1 minute", 90 * time.Second: "90 seconds", 10 * time.Minute: "10 minutes", 0: "a short time"} {
		l := letter(Code)
		if l.ExpiresAt = noon.Add(validity); !strings.Contains(render(t, s, l).Text, "It works for "+want) {
			t.Errorf("%v: %s", validity, render(t, s, l).Text)
		}
	}
}

// cve-65: no name makes markup, a link, a header line or a line of its own, in
// any template.
func TestHostileNames_cve65(t *testing.T) {
	c := text.Default().WithPseudo()
	s := service(t, c)
	shapeOf := map[authn.Template]map[string]int{}
	for _, tpl := range templates() {
		_, shapeOf[tpl], _ = parse(t, render(t, s, letter(tpl)).HTML)
	}
	for _, evil := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</td></table><a href="https://evil.example">x</a>`,
		"https://evil.example/login", "HTTPS://EVIL.EXAMPLE", "www.evil.example", "evil.example/x", "javascript:alert(1)", "mailto:a@evil.example",
		"a@evil.example", "hhttpttp://evil.example", "evil。example", "evil．example", "evil․example", `\\evil.example\x`, "//evil.example", "http:///evil",
		"Maya\r\nBcc: all@evil.example", "Maya\n\nhttps://evil.example", "Maya\u2028https://evil.example\u0085x", "\x00\x01\x7f",
		"\u202egro.elpmaxe\u202c", "\u2066x\u2069\u200b\u200f\ufeff", "evil\u200d.\u200dexample", "http\u200b://evil.example", "\xff\xfe", "{{.}} {Company} {Code}",
		"\ue0000\ue001", strings.Repeat("Z", 5000), strings.Repeat("a\u0301\u0302\u0303\u0304\u0305", 500), "%0d%0aBcc:x", "&lt;b&gt;", "x' style='position:fixed",
	} {
		for _, tpl := range templates() {
			l := letter(tpl)
			l.User.Name, l.User.Login, l.Company.Name = evil, evil, evil
			l.Args["agent"], l.Args["name"], l.Args["by"], l.Args["act"] = evil+" on "+evil, evil, evil, evil
			l.Args["address"], l.Args["method"], l.Args["action"], l.Args["variant"], l.Args["called"] = evil, evil, evil, evil, evil
			m := render(t, s, l)
			links, elements, words := parse(t, m.HTML)
			for _, el := range []string{"script", "img", "a", "style", "h1", "h2", "input", "form"} {
				if elements[el] != shapeOf[tpl][el] {
					t.Errorf("%s %.40q: %d <%s>, want %d", tpl, evil, elements[el], el, shapeOf[tpl][el])
				}
			}
			for _, link := range links {
				if !strings.HasPrefix(link, "https://login.acme.example/") {
					t.Errorf("%s %.40q: link %q", tpl, evil, link)
				}
			}
			all := strings.ReplaceAll(m.Text+"\n"+words+"\n"+m.Subject+"\n"+m.From, "https://login.acme.example/", "")
			if looksLinked.MatchString(all) {
				t.Errorf("%s %.40q: %q would become a link", tpl, evil, looksLinked.FindString(all))
			}
			for _, one := range []string{m.Subject, m.From} {
				if strings.ContainsFunc(one, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) || !utf8.ValidString(one) {
					t.Errorf("%s %.40q: %q", tpl, evil, one)
				}
			}
			if strings.Contains(m.Text, strings.Repeat("Z", maxName)) {
				t.Errorf("%s %.40q:\n%s", tpl, evil, m.Text)
			}
			if strings.ContainsFunc(m.Text+words, func(r rune) bool {
				return r != '\n' && r != '\u200d' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r))
			}) {
				t.Errorf("%s %.40q: an invisible character:\n%q", tpl, evil, m.Text)
			}
		}
	}
}

// looksLinked is what mail programs make links of.
var looksLinked = regexp.MustCompile(`(?i)http|://|www\.[\p{L}\p{N}]|[\p{L}\p{N}]\.\p{L}|\\\\|//`)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"Maya Lindqvist":            "Maya Lindqvist",
		"  Maya \t\n Lindqvist ":    "Maya Lindqvist",
		"J.R. Smith":                "J. R. Smith",
		"Acme 2.0":                  "Acme 2.0",
		"10.0.0.1":                  "10. 0. 0. 1",
		"at 12:30":                  "at 12:30",
		"https://evil.example":      "hxxps: / /evil. example",
		"www.evil.example":          "www. evil. example",
		"شركة أكمي":                 "شركة أكمي",
		"می\u200cخواهم":             "می\u200cخواهم",
		"\u200cx":                   "x",
		"👩\u200d💻 Dev":              "👩💻 Dev",
		"株式会社。アクメ":                  "株式会社. アクメ",
		"":                          "",
		"\u202e\u0000":              "",
		"a\u0301\u0302\u0303\u0304": "a\u0301\u0302\u0303",
		strings.Repeat("a", 60):     strings.Repeat("a", 60),
		strings.Repeat("a", 61):     strings.Repeat("a", 59) + "…",
		strings.Repeat("ab ", 30):   strings.TrimSpace(strings.Repeat("ab ", 30)[:59]) + "…",
	} {
		if got := clean(in, maxName); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"203.0.113.77": "203.0.113.*", "10.0.0.0": "10.0.0.*", "::ffff:203.0.113.77": "203.0.113.*", "2001:db8:1:2::3": "2001:db8:1:*",
		"fe80::1%eth0": "fe80:*", "::1": ":*", "": "", "evil.example": "",
	} {
		if got := network(in); got != want {
			t.Errorf("network(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"Maya", "https://evil.example", "a\u0301\u0302\u0303\u0304", "1.2.3.4", "\u202ex\xff", "evil。example", "a:b//c\\\\d", "www..!"} {
		f.Add(s, 60)
	}
	f.Fuzz(func(t *testing.T, s string, most int) {
		if most < 1 || most > 500 {
			return
		}
		got := clean(s, most)
		if utf8.RuneCountInString(got) > most || !utf8.ValidString(got) || strings.TrimSpace(got) != got {
			t.Errorf("clean(%q, %d) = %q", s, most, got)
		}
		if looksLinked.MatchString(got) {
			t.Errorf("%q keeps %q", got, looksLinked.FindString(got))
		}
		for _, r := range got {
			if !unicode.IsGraphic(r) && r != '\u200c' && r != '\u200d' || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Co, r) {
				t.Errorf("%q keeps %U", got, r)
			}
		}
		smsName(s)
		network(s)
	})
}

// cve-63: links lead to the configured address, or there is no service.
func TestNew(t *testing.T) {
	for _, bad := range []string{"", "login.acme.example", "ftp://x", "https://", "https://u@x", "https://x/?a=b", "https://x/#a", "javascript:alert(1)", "https://x y"} {
		if _, err := New(Config{Outbox: noOutbox{}, PublicURL: bad, Code: func([]byte) string { return "" }}); err == nil {
			t.Errorf("public URL %q is accepted", bad)
		}
	}
	good := Config{Outbox: noOutbox{}, PublicURL: "https://example.com/login/", Code: func([]byte) string { return testCode }}
	for name, c := range map[string]Config{"outbox": {PublicURL: good.PublicURL, Code: good.Code}, "code": {Outbox: good.Outbox, PublicURL: good.PublicURL}} {
		if _, err := New(c); err == nil {
			t.Errorf("no %s is accepted", name)
		}
	}
	s, err := New(good)
	if err != nil {
		t.Fatal(err)
	}
	if m := render(t, s, letter(Invitation)); !strings.Contains(m.Text, "\nhttps://example.com/login/invitation/sp_lnk_") {
		t.Errorf("%s", m.Text)
	}
}

// Every message can be written to a file and looked at; SALLYPORT_MAIL_DIR says
// where to keep them.
func TestRender_files(t *testing.T) {
	dir := cmp.Or(os.Getenv("SALLYPORT_MAIL_DIR"), t.TempDir())
	s := service(t, text.Default().WithPseudo())
	for _, tpl := range templates() {
		for _, lang := range append(text.Default().Languages(), text.PseudoLong, text.PseudoRTL) {
			l := letter(tpl)
			l.User.Locale, l.Args["locale"] = lang, lang
			m := render(t, s, l)
			if m.Subject == "" || strings.TrimSpace(m.Text) == "" || !strings.HasSuffix(strings.TrimSpace(m.HTML), "</html>") {
				t.Errorf("%s in %s is no whole message: %q", tpl, lang, m.Subject)
			}
			for name, content := range map[string]string{"html": m.HTML, "txt": "Subject: " + m.Subject + "\n\n" + m.Text} {
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s.%s.%s", tpl, lang, name)), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// What owners are told of providers names what it is about (rul-19, B3), and
// nothing of an argument that is no number gets in.
func TestRender_providers(t *testing.T) {
	s := service(t, nil)
	for _, tt := range []struct {
		tpl                 authn.Template
		args                map[string]string
		lang, subject, says string
	}{
		{ProviderChanged, map[string]string{"channel": "email"}, "", "Settings for sending messages were changed – Acme Projects", "of the mail server"},
		{ProviderChanged, map[string]string{"channel": "sms"}, "", "Settings for sending messages were changed – Acme Projects", "of the text messages of Acme Projects"},
		{ProviderChanged, map[string]string{"channel": "duo"}, "", "The settings of Duo were changed – Acme Projects", "which Duo says who you are"},
		{ProviderChanged, map[string]string{"channel": "pigeon"}, "", "Settings for sending messages were changed – Acme Projects", "settings of a provider"},
		{ProviderChanged, map[string]string{"channel": "duo"}, "pl", "Zmieniono ustawienia Duo – Acme Projects", "które Duo"},
		{PolicyChanged, map[string]string{}, "", "Less is asked at sign-in – Acme Projects", "asked for less than before"},
		{PolicySoon, map[string]string{"from": "2026-12-06T09:00:00Z", "days": "14"}, "", "Signing in to Acme Projects will change", "From 6 Dec 2026 at 09:00 UTC on"},
		{PolicySoon, map[string]string{"from": "2026-12-06T09:00:00Z", "days": "0"}, "", "Signing in to Acme Projects has changed", "Since 6 Dec 2026 at 09:00 UTC"},
		{PolicySoon, map[string]string{"from": "tomorrow", "days": "3"}, "pl", "Logowanie do firmy Acme Projects się zmieni", "wkrótce"},
		{TextsWarning, map[string]string{"scope": "company_day"}, "", "Text messages are nearly used up – Acme Projects", "may send today"},
		{TextsWarning, map[string]string{"scope": "company_month"}, "", "Text messages are nearly used up – Acme Projects", "may send this month"},
		{TextsStopped, map[string]string{"scope": "company_day"}, "", "Text messages are stopped – Acme Projects", "after midnight UTC"},
		{TextsStopped, map[string]string{"scope": "company_month"}, "pl", "Wysyłanie SMS-ów zatrzymano – Acme Projects", "następnym miesiącu"},
		{TextsStopped, map[string]string{"scope": "came_back_dial", "dial": "46"}, "", "Text messages are stopped – Acme Projects", "begin with +46, and"},
		{TextsStopped, map[string]string{"scope": "came_back_dial", "dial": "4<b>6 http://x"}, "", "Text messages are stopped – Acme Projects", "begin with +46, and"},
		{TextsStopped, map[string]string{"scope": "came_back_prefix"}, "", "Text messages are stopped – Acme Projects", "neighbouring numbers"},
	} {
		l := letter(tt.tpl)
		tt.args["locale"], l.Args, l.User = tt.lang, tt.args, authn.User{}
		m := render(t, s, l)
		got := strings.Join(strings.Fields(m.Text), " ")
		if m.Subject != tt.subject || !strings.Contains(got, tt.says) || strings.Contains(got, "http") || strings.Contains(m.HTML, "<b>") {
			t.Errorf("%s %v: %q\n%s", tt.tpl, tt.args, m.Subject, got)
		}
		if strings.Contains(got, "Person:") {
			t.Errorf("%s is about nobody:\n%s", tt.tpl, got)
		}
	}
}

type atlas authn.Place

func (a atlas) Place(netip.Addr, string) authn.Place { return authn.Place(a) }
func (a atlas) Credit() (name, url string)           { return "", "" }

// About where, if it is known: cleaned as every name from outside is.
func TestPlace_J2(t *testing.T) {
	for _, c := range []struct {
		place   authn.Place
		address string
		locale  string
		want    string // empty: not said
	}{
		{authn.Place{City: "Krakow", Country: "PL"}, "192.0.2.7", "en", "Place: near Krakow, Poland\n"},
		{authn.Place{City: "Krakow", Country: "PL"}, "192.0.2.7", "pl", "Miejsce: Krakow i okolice, Polska\n"},
		{authn.Place{Country: "PL"}, "192.0.2.7", "pl", "Miejsce: Polska\n"},
		{authn.Place{City: "https://evil.example/", Country: "PL"}, "192.0.2.7", "en", "Poland\n"},
		{authn.Place{City: "\u202e\n", Country: "PL"}, "192.0.2.7", "en", "Place: Poland\n"},
		{authn.Place{City: "Krakow"}, "192.0.2.7", "en", ""},
		{authn.Place{City: "Krakow", Country: "PL"}, "", "en", ""},
		{authn.Place{City: "Krakow", Country: "PL"}, "not an address", "en", ""},
	} {
		s := service(t, text.Default())
		s.c.Places = atlas(c.place)
		l := letter(NewBrowser)
		l.User.Locale, l.Args["address"] = c.locale, c.address
		m, err := s.Render(l)
		if err != nil {
			t.Fatal(err)
		}
		said := strings.Contains(m.Text, "Place:") || strings.Contains(m.Text, "Miejsce:")
		if said != (c.want != "") || !strings.Contains(m.Text, c.want) || strings.Contains(m.Text, "://evil") {
			t.Errorf("%+v in %s: %s", c.place, c.locale, m.Text)
		}
	}
}
