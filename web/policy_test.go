package web_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const (
	rulesPage = "/admin/policy"
	rulesForm = "#policy"
	lookForm  = "main form[action=/admin/policy/save]"
)

// withRole gives the company a role of its own.
func makeRole(t testing.TB, s *sallyporttest.Server, r authn.Role) {
	t.Helper()
	k := authn.Keys{Company: s.Company.ID, Now: s.Clock.Now()}
	err := s.Store.Decide(context.Background(), k, func(rows *authn.Rows) authn.Verdict {
		return authn.Continue(authn.SetRoles{Roles: append(rows.Company.Roles, r), Version: rows.Company.RolesVersion + 1})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func saved(t testing.TB, s *sallyporttest.Server) (policy.Document, int64) {
	t.Helper()
	c, err := s.Directory.Company(context.Background(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	d, err := policy.Parse(c.Policy)
	if err != nil {
		t.Fatal(err)
	}
	return d, c.PolicyVersion
}

// S30 in every language, without JavaScript: as it is, refused, tried, saved, from a
// date on, taken back, undone.
func TestPolicyPage_S30(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			makeRole(t, s, authn.Role{Name: "desk", Title: `<script>alert(1)</script>"'`, Permissions: []string{string(directory.UsersRead)}})
			priya := owner(t, s, s.Company, "priya")
			s.AddUser(t, s.Company, "omar", false)
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.signIn(priya).get("/account").want(200, "/account")
			b.doc.one(t, "nav.side a[href="+rulesPage+"]")
			b.get(rulesPage).want(200, rulesPage).shows("legend", `<script>alert(1)</script>"'`)

			b.submit(rulesForm, "two_factor", "required", "external", "not_offered", "grace_days", "91", "session_seconds", "2", "free_tries", "many", "idle_seconds", "",
				"methods", "sms", "do", "preview").want(422, rulesPage)
			for _, id := range []string{"external", "grace_days", "session_seconds", "free_tries"} {
				if b.doc.one(t, "#"+id).attrs["aria-invalid"] != "true" {
					t.Errorf("%s is not marked", id)
				}
			}
			b.doc.one(t, "#methods-err")
			if got := b.doc.one(t, "#free_tries").attrs["value"]; got != "many" {
				t.Errorf("what was typed is gone: %q", got)
			}
			if words := b.doc.one(t, "#session_seconds-err").words(); !strings.Contains(words, "5") || !strings.Contains(words, "1440") {
				t.Errorf("bounds in minutes: %q", words)
			}
			// Nothing ticked would mean all of them.
			b.get(rulesPage).submit(rulesForm, "do", "preview").want(422, rulesPage).doc.one(t, "#methods-err")
			b.get(rulesPage).submit(rulesForm, "start", "later", "methods_all", "1", "do", "preview").want(422, rulesPage)
			b.doc.one(t, "#from-err")

			all := []string{"two_factor", "required", "methods_all", "1", "own_way", "internal", "grace_days", "14", "session_seconds", "90.5", "do", "preview"}
			b.get(rulesPage).submit(rulesForm, all...).want(200, rulesPage)
			if _, v := saved(t, s); v != 1 {
				t.Fatalf("a look saved version %d", v)
			}
			b.doc.one(t, "#you")
			b.submit(lookForm, "reason", " ", "do", "save").want(422, rulesPage+"/save").doc.one(t, "#reason-err")
			b.submit(lookForm, "do", "back").want(200, rulesPage+"/save")
			if got := b.doc.one(t, "#grace_days").attrs["value"] + b.doc.one(t, "#session_seconds").attrs["value"]; got != "1490.5" {
				t.Errorf("back at the form: %s", got)
			}
			b.submit(rulesForm, all...).submit(lookForm, "reason", "<b>The board</b> says so", "do", "save").want(200, rulesPage)
			d, v := saved(t, s)
			if v != 2 || d.TwoFactor != policy.Required || d.GraceDays != 14 || d.SessionSeconds != 5430 || fmt.Sprint(d.OwnWay) != "[internal]" {
				t.Errorf("version %d: %+v", v, d)
			}
			b.submit(rulesForm, all...).want(200, rulesPage)
			if len(b.doc.all("#reason")) != 0 {
				t.Error("nothing would change, and it can be saved")
			}

			// From a date on; then what comes is shown, changed, and taken back.
			from := s.Clock.Now().AddDate(0, 1, 0).UTC().Format("2006-01-02T15:04")
			b.get(rulesPage).submit(rulesForm, "two_factor", "on", "methods_all", "1", "start", "later", "from", from, "do", "preview").want(200, rulesPage).doc.one(t, "#weakens")
			b.submit(lookForm, "reason", "later", "do", "save").want(200, rulesPage).doc.one(t, "#next")
			if d, _ = saved(t, s); d.TwoFactor != policy.Required || d.Next == nil || d.Next.Document.TwoFactor != policy.On || d.Next.From.Format("2006-01-02T15:04") != from {
				t.Errorf("%+v", d)
			}
			b.get(rulesPage+"?next=1").want(200, rulesPage)
			if got := b.doc.one(t, "#from").attrs["value"]; got != from {
				t.Errorf("%s", got)
			}
			b.get(rulesPage).submit(rulesForm, "methods_all", "1", "own_way", "internal", "grace_days", "7", "do", "preview").submit(lookForm, "reason", "seven", "do", "save").want(200, rulesPage)
			if d, _ = saved(t, s); d.GraceDays != 7 || d.Next == nil {
				t.Errorf("what comes is gone: %+v", d)
			}
			b.press("[value=take_back]").want(200, rulesPage).submit(lookForm, "reason", "no", "do", "save").want(200, rulesPage)
			if d, _ = saved(t, s); d.Next != nil || d.GraceDays != 7 {
				t.Errorf("%+v", d)
			}

			b.get(rulesPage+"/history").want(200, rulesPage+"/history").shows("p", "<b>The board</b> says so")
			links := b.doc.all("main .card-head a")
			if len(links) != 4 {
				t.Fatalf("%d versions can be brought back", len(links))
			}
			b.get(links[3].attrs["href"]).want(200, rulesPage+"/preview").submit(lookForm, "reason", "as it was", "do", "save").want(200, rulesPage)
			if d, v = saved(t, s); v != 6 || d.TwoFactor != policy.On || d.GraceDays != 0 {
				t.Errorf("version %d: %+v", v, d)
			}
			for _, bad := range []string{"?packed=x", "?version=6&undo=0", "?version=6&undo=x", "?version=6&document=%7B%7D"} {
				b.get(rulesPage+"/preview"+bad).want(404, ".*")
			}
		})
	}
}

// Two at once: the later one sees their own form again, on what holds now. And what
// was typed comes along over the confirmation that it is them.
func TestPolicyPageMoved_rul25(t *testing.T) {
	s := newServer(t)
	priya, olga := owner(t, s, s.Company, "priya"), owner(t, s, s.Company, "olga")
	one, two := newBrowser(t, s), newBrowser(t, s)
	one.signIn(priya).get(rulesPage)
	two.signIn(olga).get(rulesPage)
	one.submit(rulesForm, "methods_all", "1", "grace_days", "3", "do", "preview").want(200, rulesPage)
	two.submit(rulesForm, "methods_all", "1", "grace_days", "5", "do", "preview").submit(lookForm, "reason", "five", "do", "save").want(200, rulesPage)
	one.submit(lookForm, "reason", "three", "do", "save").want(409, rulesPage+"/save").doc.one(t, "[role=alert]")
	if got := one.doc.one(t, "#grace_days").attrs["value"]; got != "3" {
		t.Errorf("what was typed is gone: %q", got)
	}
	s.Clock.Advance(11 * time.Minute)
	one.submit(rulesForm, "methods_all", "1", "grace_days", "4", "do", "preview").want(200, "/account/confirm/att_.*")
	one.submit(mainForm, "code", s.Code(t, priya.Secret)).want(200, keptPage).shows("#effects", "4").submit(keptForm).want(200, keptPage)
	one.submit(lookForm, "reason", "four", "do", "save").want(200, rulesPage)
	if d, v := saved(t, s); v != 3 || d.GraceDays != 4 {
		t.Errorf("version %d: %+v", v, d)
	}
}

// Nobody saves what they, or all owners, could not sign in with; the page says so
// before, and whom it strands.
func TestPolicyPageStrands_G2(t *testing.T) {
	s := newServer(t)
	priya := owner(t, s, s.Company, "priya")
	b := newBrowser(t, s)
	b.signIn(priya).get(rulesPage).submit(rulesForm, "two_factor", "required", "methods", "email", "do", "preview").want(200, rulesPage)
	b.shows("#refusal", "no owner").doc.one(t, "#stranded")
	if len(b.doc.all("#reason")) != 0 {
		t.Error("it can be saved")
	}
	// Who is left without codes is told so, and the page says it beforehand.
	s.AddUser(t, s.Company, "lena", false)
	b.get(rulesPage).submit(rulesForm, "two_factor", "required", "methods_all", "1", "no_email_fallback", "1", "do", "preview").want(200, rulesPage)
	b.shows("#stranded", "no codes are sent").submit(lookForm, "reason", "by invitation", "do", "save").want(200, rulesPage)
	newBrowser(t, s).password("lena", sallyporttest.Password).want(403, "/signin/att_.*").shows("main", "sends no codes to people who have none")
	b.get(rulesPage).submit(rulesForm, "two_factor", "off", "methods_all", "1", "do", "preview").shows("#impact-lines", "2 of 2 people sign in with the password alone").shows("#impact-lines", "asked for less than before").doc.one(t, "#weakens")

	ada := s.AddUser(t, s.Company, "ada", false)
	a := newBrowser(t, s)
	s.SetTwoFactor(t, "acme", policy.On)
	a.signIn(ada).get(rulesPage).want(403, rulesPage)
}

// "Why must I?": the security page and the set-up during sign-in say it, and ways
// that are not offered are not.
func TestWhyMustI_G3(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	s.SetPolicy(t, "acme", func(d *policy.Document) {
		d.TwoFactor, d.RequireRoles, d.Internal = policy.On, []string{directory.Member}, policy.RequiredThere
		d.Methods = []authn.Kind{authn.TOTP, authn.BackupCode}
	})
	b.signIn(maya).get("/account/security").want(200, "/account/security")
	b.shows("section p", "asks its own staff for a second way").shows("section p", "Your role at")
	if len(b.doc.all("#email")) != 0 {
		t.Error("a way that is not offered is on the page")
	}
	s.SetPolicy(t, "acme", func(d *policy.Document) { d.RequireRoles, d.Internal = nil, policy.NotOffered })
	b.get("/account/security").shows("section p", "does not use a second way to verify for people like you").shows("#app", "")
	if len(b.doc.all("#app form")) != 0 {
		t.Error("what sleeps can be changed")
	}

	s.SetPolicy(t, "acme", func(d *policy.Document) {
		d.Internal, d.OwnWay = policy.RequiredThere, []authn.Audience{authn.InternalAudience}
	})
	lena := s.AddUser(t, s.Company, "lena", false)
	c := newBrowser(t, s)
	c.password("lena", sallyporttest.Password).press("[formaction]")
	c.submit(mainForm, "code", s.LastCode(t, lena.Email)).want(200, "/signin/att_.*")
	c.shows("p", "asks its own staff").shows("p", "a way to verify of your own")
}

// A company that pauses after three wrong codes says so from the first one on.
func TestTriesOfTheCompany_G4(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	s.SetPolicy(t, "acme", func(d *policy.Document) { d.FreeTries = 3 })
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password)
	for _, left := range []string{"2", "1"} {
		b.submit(mainForm, "code", s.WrongCode(t, maya.Secret)).want(422, "/signin/att_.*").shows("#code-err", left)
	}
}

// The rules for passkeys on the page: refused with what is wrong, tried, saved, in words.
func TestPolicyPage_passkeys_N1(t *testing.T) {
	const known, other = "2fc0579f-8113-47ea-b116-bb5a8db9202a", "cb69481e-8ff7-4039-93ec-0a2729a154a8"
	bare := newServer(t)
	newBrowser(t, bare).signIn(owner(t, bare, bare.Company, "priya")).get(rulesPage).submit(rulesForm, "methods_all", "1", "passkeys_attested", "1", "do", "preview").
		want(422, rulesPage).doc.one(t, "#passkeys_attested-err") // that server knows no models
	s := newServer(t, vouches)
	priya := owner(t, s, s.Company, "priya")
	omar := s.AddUser(t, s.Company, "omar", false)
	keys := s.Passkeys(t)
	keys.Synced = true
	s.AddPasskey(t, omar.User, keys)
	b := newBrowser(t, s)
	b.signIn(priya).get(rulesPage).want(200, rulesPage)
	if b.doc.one(t, "#passkeys_block_copied").attrs["checked"] != "" {
		t.Error("a rule is ticked that there is not")
	}
	b.submit(rulesForm, "methods_all", "1", "passkeys_models", "YubiKey 5\n"+known, "do", "preview").want(422, rulesPage)
	if area := b.doc.one(t, "#passkeys_models"); area.attrs["aria-invalid"] != "true" || !strings.Contains(area.words(), "YubiKey 5 "+known) {
		t.Errorf("%v %q", area.attrs, area.words())
	}
	b.submit(rulesForm, "methods_all", "1", "passkeys_models", known+"\n"+known, "do", "preview").want(422, rulesPage).doc.one(t, "#passkeys_models-err")
	// Omar's passkey would not count: he could not sign in.
	b.submit(rulesForm, "methods_all", "1", "passkeys_block_copied", "1", "passkeys_device_bound", "1", "passkeys_attested", "1",
		"passkeys_models", "  "+strings.ToUpper(known)+"  the blue ones\r\n\r\n"+other, "do", "preview").want(200, rulesPage)
	b.shows("#stranded", "do not meet the rules")
	b.shows("li", known+", "+other)
	if words := b.doc.one(t, "#impact-lines").words(); words != "" {
		t.Errorf("somebody is stranded, and it says %q", words)
	}
	b.submit(lookForm, "reason", "the keys that we hand out", "do", "save").want(200, rulesPage)
	d, _ := saved(t, s)
	if want := (policy.Passkeys{BlockCopied: true, DeviceBound: true, Attested: true, Models: []string{known, other}}); d.Passkeys == nil || !reflect.DeepEqual(*d.Passkeys, want) {
		t.Fatalf("%+v", d.Passkeys)
	}
	b.get(rulesPage).want(200, rulesPage)
	for _, id := range []string{"block_copied", "device_bound", "attested"} {
		b.doc.one(t, "#passkeys_"+id+"[checked]")
	}
	if got := b.doc.one(t, "#passkeys_models").words(); got != known+" "+other {
		t.Errorf("%q", got)
	}
	// Loosened: all owners are told. The history has both.
	b.submit(rulesForm, "methods_all", "1", "passkeys_attested", "1", "passkeys_models", "", "do", "preview").want(200, rulesPage).doc.one(t, "#weakens")
	b.submit(lookForm, "reason", "others, too", "do", "save").want(200, rulesPage)
	b.get("/admin/policy/history").want(200, "/admin/policy/history").shows("section", known+", "+other)
	if d, _ := saved(t, s); len(d.Passkeys.Models) > 0 || !d.Passkeys.Attested {
		t.Errorf("%+v", d.Passkeys)
	}
}

// vouching is a server that can tell who made a key.
type vouching struct{ authn.Ceremony }

func (v vouching) Traits() authn.Traits {
	t := v.Ceremony.Traits()
	t.Attests = true
	return t
}

func vouches(c *sallyport.Config) {
	c.Methods = slices.Clone(c.Methods)
	for i, m := range c.Methods {
		if keys, ok := m.(authn.Ceremony); ok {
			c.Methods[i] = vouching{keys}
		}
	}
}
