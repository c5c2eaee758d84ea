package browsertest

import (
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/text"
)

// plain are the words of a page that are in no catalogue: in the pseudo-language
// every vowel of ours has an accent. Names of people, companies and browsers are
// not ours, and the name of a language is in that language.
const plain = `(() => {
	const known = new Set(['Acme', 'Projects', 'Test', 'maya', 'omar', 'nora', 'acme', 'example', 'Chrome', 'Linux', 'nothing', 'Sweden']);
	const found = new Set();
	const look = s => { for (const w of s.split(/[^\p{L}]+/u)) if (/^[A-Za-z]{3,}$/.test(w) && /[aeiouy]/.test(w) && !known.has(w)) found.add(w); };
	const walk = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
	for (let n; n = walk.nextNode();) if (!n.parentElement.closest('script, style, code, .key, option[lang]')) look(n.textContent);
	for (const e of document.querySelectorAll('*')) for (const a of ['aria-label', 'title', 'alt', 'placeholder', 'data-busy', 'data-copied', 'data-text', 'data-enough']) look((e.getAttribute(a) || '').replace('{n}', ''));
	return [...found];
})()`

// ux rule 59: every language fits, and so do texts of 1.4 times the length; pages
// mirror, and no text is outside the catalogues.
func TestLanguages_ux59(t *testing.T) {
	t.Parallel()
	translations := text.Default().Languages()[1:] // English is in every other test
	for _, lang := range append(translations, text.PseudoLong, text.PseudoRTL) {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			cat := text.Default().WithPseudo()
			s := sallyporttest.NewServer(t, func(c *sallyport.Config) { c.Catalogue = cat })
			maya := s.AddUser(t, s.Company, "maya", true)
			s.AddUser(t, s.Company, "omar", false)
			addUnverified(t, s, "nora")
			tb := newTab(t, s.URL, true)
			tb.lang, tb.cat = lang, cat
			tb.setCookie("sallyport_lang", lang)
			page := func(name string, status int64) {
				t.Helper()
				tb.page(lang+"-"+name, status)
				if got := eval[[2]string](tb, "[document.documentElement.lang, document.documentElement.dir]"); got != [2]string{lang, text.Dir(lang)} {
					t.Errorf("%s: lang and dir are %q", name, got)
				}
				if lang == text.PseudoLong {
					if words := eval[[]string](tb, plain); len(words) > 0 {
						t.Errorf("%s: in no catalogue: %q", name, words)
					}
				}
			}
			tb.open("/account/security")
			page("signin", 200)
			tb.password("maya", "not this one")
			page("signin/wrong", 422)
			tb.password("omar", sallyporttest.Password)
			tb.lands("/account/security")
			page("security/none", 200)
			tb.press("page.security.set_up_label", "Way", tb.T("page.way.totp"))
			page("confirm/password", 200)
			tb.signOut()
			page("signin/out", 200)
			s.SetTwoFactor(t, "acme", policy.Required)
			tb.password("nora", sallyporttest.Password)
			page("denied", 403)
			tb.open("/signin")
			tb.password("omar", sallyporttest.Password)
			page("send", 200)
			tb.press("page.send.button", "To", "o•••@acme.example")
			page("mail-code", 200)
			tb.code(wrongFor(s.LastCode(t, "omar@acme.example")))
			page("mail-code/wrong", 422)
			setPolicy(t, s, ownWay(3))
			tb.code(s.LastCode(t, "omar@acme.example"))
			page("enrolment", 200)
			tb.option(authn.TOTP)
			tb.fill("code", s.Code(t, decode(t, tb.shown().Key)))
			tb.press("page.setup.button")
			tb.press("page.codes.done")
			page("codes", 422)
			tb.tick("saved")
			tb.press("page.codes.done")
			tb.open("/account/devices")
			page("devices", 200)
			tb.open("/account/activity")
			page("activity", 200)
			tb.open("/account/security/backup-codes/new")
			page("new-codes", 200)
			tb.signOut()
			tb.password("omar", sallyporttest.Password)
			tb.press("page.code.other")
			page("choose", 200)
			tb.press("page.choose.none")
			page("help", 200)
			tb.option("backup_code")
			page("backup-code", 200)
			tb.open("/invitation/x")
			page("invitation-unknown", 404)
			s.SetTwoFactor(t, "acme", policy.Required)
			tb.open("/signin")
			tb.password("maya", sallyporttest.Password)
			page("code", 200)
			for range 4 {
				tb.code(s.WrongCode(t, maya.Secret))
			}
			page("code/wrong", 422)
			tb.code(s.Code(t, maya.Secret))
			tb.lands("/account/security")
			page("security", 200)
			tb.menu()
			page("security/menu", 200)
			tb.press("page.menu.sync")
			page("setup", 200)
			tb.fill("code", s.WrongCode(t, decode(t, tb.shown().Key)))
			tb.press("page.setup.button")
			page("setup/wrong", 422)
			tb.open("/account/security/app/off")
			page("off/last", 200)
			s.SetTwoFactor(t, "acme", policy.On)
			tb.open("/account/security/app/off")
			page("off", 200)
			tb.open("/account")
			page("profile", 200)
			tb.open("/account/password")
			tb.fill("new", "short")
			page("password", 200)
			tb.press("page.password.button")
			page("password/wrong", 422)
			s.Clock.Advance(11 * time.Minute)
			tb.open("/account/password")
			page("confirm/begin", 200)
			tb.press("page.confirm.begin")
			page("confirm/code", 200)
			tb.open("/nothing")
			page("not-found", 404)
			tb.open("/signout")
			page("signout", 200)
			tb.press("page.menu.signout")
			tb.password("maya", sallyporttest.Password)
			for range policy.FreeTries {
				tb.code(s.WrongCode(t, maya.Secret))
			}
			page("paused", 429)
			if missing := cat.Missing(); len(missing) > 0 {
				t.Errorf("in no catalogue: %q", missing)
			}
		})
	}
}
