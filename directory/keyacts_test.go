package directory_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/message/inbox"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// give sets somebody's roles, beside everything.
func give(t *testing.T, w *sallyporttest.Server, u authn.User, roles ...string) {
	t.Helper()
	err := w.Store.Decide(t.Context(), authn.Keys{Company: u.Company, User: u.ID, Now: w.Clock.Now()}, func(rows *authn.Rows) authn.Verdict {
		next := *rows.User
		next.Roles = roles
		return authn.Continue(authn.PutUser{User: next})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// as is somebody new with these roles, just signed in with a proof.
func as(t *testing.T, w *sallyporttest.Server, login string, roles ...string) (sallyporttest.Person, directory.Who) {
	t.Helper()
	p := w.AddUser(t, w.Company, login, true)
	give(t, w, p.User, roles...)
	return p, directory.Session(signedIn(t, w, p), authn.Client{Browser: "home"})
}

// role makes a role on the operator's word.
func role(t *testing.T, w *sallyporttest.Server, name string, permissions ...directory.Permission) {
	t.Helper()
	c := directory.RoleChange{Name: name, Title: "Role " + name}
	for _, p := range permissions {
		c.Permissions = append(c.Permissions, string(p))
	}
	if _, err := w.Directory.SaveRole(t.Context(), directory.TheOperator(w.Company.ID), c); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refusal fails the test unless the error has the code and, if there is one, the key.
func refusal(t *testing.T, what string, err error, code authn.Code, key string) {
	t.Helper()
	e := authn.AsError(err)
	if err == nil || e.Code != code || key != "" && e.Key != key {
		t.Errorf("%s: %v (%s %s), want %s %s", what, err, e.Code, e.Key, code, key)
	}
}

// H5: who may make which role.
func TestRoles_H5_rul19(t *testing.T) {
	w := sallyporttest.NewServer(t)
	_, owner := as(t, w, "priya", directory.Owner)
	role(t, w, "rolemaker", directory.RolesWrite, directory.AuditRead, directory.UsersRead)
	_, maker := as(t, w, "maker", "rolemaker")
	_, admin := as(t, w, "admin", directory.Administrator)
	save := func(who directory.Who, name string, may ...string) error {
		_, err := w.Directory.SaveRole(t.Context(), who, directory.RoleChange{Name: name, Title: "A title", Permissions: may})
		return err
	}
	refusal(t, "without the permission", save(admin, "auditor", "audit.read"), authn.Forbidden, "")
	must(t, save(maker, "auditor", "audit.read"))
	refusal(t, "what they lack", save(maker, "auditor", "audit.read", "factors.manage"), authn.Forbidden, "error.forbidden.role_above")
	refusal(t, "owner-class", save(maker, "other", "roles.write"), authn.Forbidden, "error.forbidden.role_owner")
	refusal(t, "special", save(maker, "other", "attempts.assert"), authn.Forbidden, "error.forbidden.role_owner")
	must(t, save(owner, "keeper", "keys.write", "audit.read"))
	refusal(t, "taking away what they could not give", save(maker, "keeper", "audit.read"), authn.Forbidden, "error.forbidden.role_owner")
	must(t, save(owner, "app", "attempts.assert"))
	// An owner who holds a role gives themselves nothing with it.
	give(t, w, lookup(t, w, "priya"), directory.Owner, "auditor")
	refusal(t, "own role", save(owner, "auditor", "audit.read", "attempts.assert"), authn.Forbidden, "error.forbidden.role_own")

	for name, c := range map[string]directory.RoleChange{
		"name":        {Name: "Auditor", Title: "x"},
		"name 2":      {Name: directory.Member, Title: "x"},
		"name 3":      {Name: strings.Repeat("a", 41), Title: "x"},
		"title":       {Name: "x", Title: " "},
		"permissions": {Name: "x", Title: "x", Permissions: []string{"users.everything"}},
	} {
		field, _, _ := strings.Cut(name, " ")
		_, err := w.Directory.SaveRole(t.Context(), owner, c)
		if e := authn.AsError(err); e.Code != authn.Invalid || e.Fields[0].Name != field {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := w.Directory.Company(t.Context(), "acme")
	must(t, err)
	_, err = w.Directory.SaveRole(t.Context(), owner, directory.RoleChange{Name: "late", Title: "x", Version: c.RolesVersion - 1})
	refusal(t, "somebody was first", err, authn.Conflict, "error.roles_moved")

	// Emptied, its holders would be no administrators any more, whom nobody touches
	// alone: that is done to each of them, and waits.
	refusal(t, "emptied", save(owner, "auditor"), authn.Conflict, "error.role_held")
	must(t, save(owner, "auditor", "reports.read"))
	must(t, save(owner, "auditor", "audit.read"))
	must(t, save(owner, "spare", "audit.read"))
	must(t, save(owner, "spare"))

	// A role is removed when nobody holds it, and its name does not come back to
	// whoever held it.
	refusal(t, "held", w.Directory.RemoveRole(t.Context(), owner, "auditor", ""), authn.Conflict, "error.role_held")
	if n, err := w.Directory.Holders(t.Context(), owner, "auditor"); err != nil || n != 1 {
		t.Errorf("%d %v", n, err)
	}
	give(t, w, lookup(t, w, "priya"), directory.Owner)
	must(t, w.Directory.RemoveRole(t.Context(), owner, "auditor", "not needed"))
	refusal(t, "gone", w.Directory.RemoveRole(t.Context(), owner, "auditor", ""), authn.NotFound, "")
	give(t, w, lookup(t, w, "admin"), directory.Administrator, "ghost")
	refusal(t, "a name that somebody has", save(owner, "ghost", "audit.read"), authn.Conflict, "error.role_held")

	// A key cannot confirm that it is somebody.
	_, token, err := w.Directory.CreateKey(t.Context(), directory.TheOperator(w.Company.ID), directory.NewKey{Name: "k", Owner: "priya", Scopes: []string{"roles.write"}})
	must(t, err)
	refusal(t, "a key", save(directory.Program(token, authn.Client{}), "bykey", "audit.read"), authn.Forbidden, "")
	_, _, types := row(t, w, "priya")
	if slices.Contains(types, "role.saved by "+lookup(t, w, "priya").ID) {
		t.Error("a role is about the company")
	}
	list, err := w.Audit.Events(t.Context(), w.Company.ID, authn.EventQuery{Type: "role.", Limit: 100})
	must(t, err)
	seen := map[string]map[string]string{}
	for _, ev := range list {
		if ev.Result == authn.Succeeded {
			seen[ev.Type+" "+ev.Personal.Detail["role"]] = ev.Personal.Detail
		}
	}
	if d := seen["role.removed auditor"]; d["before"] != "audit.read" || d["reason"] != "not needed" || seen["role.saved keeper"]["after"] != "keys.write audit.read" {
		t.Errorf("%+v", seen)
	}
	for i := range directory.MaxRoles {
		err = save(owner, "many-"+string(rune('a'+i/26))+string(rune('a'+i%26)))
	}
	refusal(t, "too many", err, authn.Conflict, "error.too_many_roles")
}

func lookup(t *testing.T, w *sallyporttest.Server, login string) authn.User {
	t.Helper()
	u, _, err := w.Directory.Lookup(t.Context(), w.Company, login)
	must(t, err)
	return u
}

// S36: a key by a person, for themselves and for others.
func TestKeysByPeople_S36_rul21(t *testing.T) {
	w := sallyporttest.NewServer(t)
	priya, owner := as(t, w, "priya", directory.Owner)
	role(t, w, "keeper", directory.KeysWrite, directory.AuditRead)
	_, keeper := as(t, w, "keeper", "keeper")
	as(t, w, "auditor", directory.Administrator)
	newKey := func(who directory.Who, change func(*directory.NewKey)) (authn.APIKey, authn.Token, error) {
		n := directory.NewKey{Name: "key " + authn.NewID(authn.KeyID, w.Clock.Now(), zero{}), Scopes: []string{"audit.read"}}
		change(&n)
		return w.Directory.CreateKey(t.Context(), who, n)
	}
	k, token, err := newKey(owner, func(n *directory.NewKey) { n.Life = 30 * 24 * time.Hour })
	must(t, err)
	if k.User != priya.ID || k.MadeBy != priya.ID || !k.ExpiresAt.Equal(w.Clock.Now().Add(30*24*time.Hour)) {
		t.Errorf("%+v", k)
	}
	use := func(tok authn.Token) error {
		_, err := w.Directory.CheckKey(t.Context(), tok.Reveal(), authn.Client{Address: netip.MustParseAddr("203.0.113.77")}, directory.AuditRead)
		return err
	}
	must(t, use(token))
	_, _, err = newKey(keeper, func(n *directory.NewKey) { n.Owner = "priya" })
	refusal(t, "of an owner", err, authn.Forbidden, "error.forbidden.owner")
	_, _, err = newKey(keeper, func(n *directory.NewKey) { n.Owner = "auditor" })
	refusal(t, "of somebody above", err, authn.Forbidden, "error.forbidden.above")
	_, _, err = newKey(keeper, func(n *directory.NewKey) { n.Scopes = []string{"users.read"} })
	refusal(t, "what nobody of them holds", err, authn.Invalid, "")
	_, _, err = newKey(owner, func(n *directory.NewKey) { n.Owner, n.Scopes = "auditor", []string{"keys.write"} })
	refusal(t, "what its owner does not hold", err, authn.Invalid, "")
	for field, change := range map[string]func(*directory.NewKey){
		"name": func(n *directory.NewKey) { n.Name = "" }, "owner": func(n *directory.NewKey) { n.Owner = "nobody" },
		"scopes": func(n *directory.NewKey) { n.Scopes = nil }, "expires": func(n *directory.NewKey) { n.Life = 366 * 24 * time.Hour },
		"networks": func(n *directory.NewKey) { n.Unattended = []string{"user.unlocked"} }, "unattended": func(n *directory.NewKey) { n.Unattended = []string{"role.saved"} },
	} {
		_, _, err := newKey(owner, change)
		if e := authn.AsError(err); e.Code != authn.Invalid || e.Fields[0].Name != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	// A network that everybody is in binds to nothing.
	for _, wide := range []string{"0.0.0.0/0", "128.0.0.0/1", "::/0", "2000::/3"} {
		_, _, err := newKey(owner, func(n *directory.NewKey) {
			n.Unattended, n.Networks = []string{"user.unlocked"}, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix(wide)}
		})
		if e := authn.AsError(err); e.Code != authn.Invalid || e.Fields[0].Name != "networks" {
			t.Errorf("%s: %v", wide, err)
		}
	}
	near := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	_, _, err = newKey(keeper, func(n *directory.NewKey) { n.Unattended, n.Networks = []string{"user.unlocked"}, near })
	refusal(t, "unattended by no owner", err, authn.Forbidden, "error.forbidden.unattended")

	// A key that may act alone does so from its networks only, and that act only.
	lena := w.AddUser(t, w.Company, "lena", true)
	_, robot, err := newKey(owner, func(n *directory.NewKey) {
		n.Owner, n.Scopes, n.Networks, n.Unattended = "auditor", []string{"factors.manage"}, near, []string{"user.unlocked"}
	})
	must(t, err)
	act := func(from, do string) error {
		_, err := w.Directory.Do(t.Context(), directory.Program(robot, authn.Client{Address: netip.MustParseAddr(from)}), directory.PersonAct{Do: do, Target: lena.ID, Reason: "r"})
		return err
	}
	must(t, act("10.1.1.1", directory.Unlock))
	refusal(t, "from elsewhere", act("192.0.2.1", directory.Unlock), authn.Unauthenticated, "")
	refusal(t, "another act", act("10.1.1.1", directory.SignOut), authn.Forbidden, "error.forbidden.key")

	// Rolled: both work for the overlap, then the new one only.
	w.Clock.Advance(time.Minute)
	owner = directory.Session(signedIn(t, w, priya), authn.Client{Browser: "home"})
	for _, bad := range []time.Duration{time.Minute, 15 * 24 * time.Hour, -time.Hour} {
		_, _, err = w.Directory.RollKey(t.Context(), owner, k.ID, directory.Roll{Overlap: bad})
		refusal(t, bad.String(), err, authn.Invalid, "")
	}
	rolled, second, err := w.Directory.RollKey(t.Context(), owner, k.ID, directory.Roll{Overlap: 2 * time.Hour})
	must(t, err)
	must(t, use(token))
	must(t, use(second))
	w.Clock.Advance(2 * time.Hour)
	refusal(t, "after the overlap", use(token), authn.Unauthenticated, "")
	must(t, use(second))
	stored, err := w.Directory.APIKey(t.Context(), directory.TheOperator(w.Company.ID), rolled.Name)
	must(t, err)
	if stored.UsedFrom != "203.0.113.0/24" || stored.LastUsedAt.IsZero() {
		t.Errorf("%+v", stored)
	}
	// A role that loses something takes it from the keys at once.
	give(t, w, priya.User, directory.Member)
	refusal(t, "the owner's rights are gone", use(second), authn.Forbidden, "")
	give(t, w, priya.User, directory.Owner)
	must(t, use(second))
	must(t, func() error {
		_, err := w.Directory.RenameKey(t.Context(), directory.TheOperator(w.Company.ID), k.ID, "another name", "")
		return err
	}())
	_, err = w.Directory.RemoveKey(t.Context(), directory.TheOperator(w.Company.ID), "another name", "over")
	must(t, err)
	refusal(t, "ended", use(second), authn.Unauthenticated, "")
	_, _, types := row(t, w, "priya")
	for _, want := range []string{"key.created by " + priya.ID, "key.rolled by " + priya.ID, "key.renamed by operator", "key.removed by operator", "key.old_used by " + k.ID} {
		if !slices.Contains(types, want) {
			t.Errorf("no %s in %v", want, types)
		}
	}
	if mail := w.Mail(t, "priya@acme.example"); !slices.ContainsFunc(mail, func(m inbox.Kept) bool { return strings.Contains(m.Subject, "program") }) {
		t.Errorf("%d letters", len(mail))
	}
}

type zero struct{}

func (zero) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// S36: the letters before the end, each once, to owner and maker.
func TestEndsAreTold_S36(t *testing.T) {
	w := sallyporttest.NewServer(t)
	_, owner := as(t, w, "priya", directory.Owner)
	as(t, w, "hiroshi", directory.Administrator)
	w.AddUser(t, w.Company, "build-bot", false)
	_, _, err := w.Directory.CreateKey(t.Context(), owner, directory.NewKey{Name: "siem", Owner: "hiroshi", Scopes: []string{"audit.read"}, Life: 30 * 24 * time.Hour})
	must(t, err)
	_, _, err = w.Directory.CreateKey(t.Context(), owner, directory.NewKey{Name: "short", Owner: "hiroshi", Scopes: []string{"audit.read"}, Life: 12 * time.Hour})
	must(t, err)
	_, err = w.Directory.Do(t.Context(), owner, apiOn(w, "build-bot", "hiroshi", 30*24*time.Hour))
	must(t, err)
	told := func(address string) (n int) {
		for _, m := range w.Mail(t, address) {
			if strings.Contains(m.Subject, "ends soon") {
				n++
			}
		}
		return n
	}
	for _, tt := range []struct {
		after          time.Duration
		hiroshi, priya int
	}{{0, 0, 0}, {15 * 24 * time.Hour, 0, 0}, {24 * time.Hour, 2, 1}, {time.Hour, 2, 1}, {11 * 24 * time.Hour, 4, 2}, {30 * 24 * time.Hour, 4, 2}} {
		w.Clock.Advance(tt.after)
		for range 2 {
			must(t, w.Directory.TellEnds(t.Context()))
		}
		if a, b := told("hiroshi@acme.example"), told("priya@acme.example"); a != tt.hiroshi || b != tt.priya {
			t.Errorf("%v later: %d and %d letters, want %d and %d", tt.after, a, b, tt.hiroshi, tt.priya)
		}
	}
	_, _, types := row(t, w, "build-bot")
	if n := len(slices.DeleteFunc(types, func(s string) bool { return s != "api_account.ended by " })); n != 1 {
		t.Errorf("%d ends", n)
	}
}

func apiOn(w *sallyporttest.Server, login, owner string, life time.Duration) directory.PersonAct {
	return directory.PersonAct{Do: directory.APIOn, Target: login, Reason: "nightly builds",
		Args: map[string]string{"owner": owner, "until": w.Clock.Now().Add(life).Format(time.RFC3339)}}
}

// H4, rul-21: what ticking the box does, and that nothing signs in afterwards.
func TestAPIAccount_H4_rul21(t *testing.T) {
	w := sallyporttest.NewServer(t)
	_, owner := as(t, w, "priya", directory.Owner)
	_, admin := as(t, w, "hiroshi", directory.Administrator)
	bot := w.AddUser(t, w.Company, "build-bot", true)
	session := signedIn(t, w, bot)
	begun, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: "build-bot", Password: sallyporttest.Password})
	must(t, err)
	invited, err := w.Directory.Reinvite(t.Context(), w.Company, w.AddUser(t, w.Company, "second-bot", false).ID, false)
	must(t, err)
	role(t, w, "deploy", directory.UsersRead)
	on := apiOn(w, "build-bot", "hiroshi", 90*24*time.Hour)
	on.Args["role"], on.Args["networks"] = "deploy", "10.0.0.0/8, 192.0.2.7"

	_, err = w.Directory.Do(t.Context(), admin, on)
	refusal(t, "no owner", err, authn.Forbidden, "")
	above := apiOn(w, "hiroshi", "priya", time.Hour)
	_, err = w.Directory.Do(t.Context(), owner, above)
	refusal(t, "an administrator", err, authn.PolicyForbids, "error.api_administrative")
	for field, change := range map[string]func(*directory.PersonAct){
		"role": func(p *directory.PersonAct) { p.Args["role"] = directory.Helpdesk }, "networks": func(p *directory.PersonAct) { p.Args["networks"] = "here" },
		"owner": func(p *directory.PersonAct) { p.Args["owner"] = "build-bot" }, "until": func(p *directory.PersonAct) { p.Args["until"] = "2030-01-01T00:00:00Z" },
		"reason": func(p *directory.PersonAct) { p.Reason = "" }, "password": func(p *directory.PersonAct) { p.Password = "twenty-three characters" },
	} {
		bad := apiOn(w, "build-bot", "hiroshi", time.Hour)
		change(&bad)
		_, err := w.Directory.Do(t.Context(), owner, bad)
		if e := authn.AsError(err); e.Code != authn.Invalid || e.Fields[0].Name != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	out, err := w.Directory.Do(t.Context(), owner, on)
	must(t, err)
	u, factors, types := row(t, w, "build-bot")
	if !u.API || !slices.Equal(u.Roles, []string{"deploy"}) || len(factors) != 1 || factors[0].Kind != authn.Password || alive(w, session) || !strings.HasPrefix(out.Secret, directory.SecretPrefix) {
		t.Fatalf("%+v %+v %q", u, factors, out.Secret)
	}
	if !slices.Contains(types, "api_account.on by "+lookup(t, w, "priya").ID) {
		t.Errorf("%v", types)
	}
	// Every way in is closed, to the old password and to the secret.
	for what, password := range map[string]string{"the old password": sallyporttest.Password, "the secret": out.Secret} {
		_, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: "build-bot", Password: password})
		refusal(t, what, err, authn.WrongCredentials, "")
	}
	_, err = w.SignIn.Verify(t.Context(), signin.OpenerOf(begun.Token, authn.Client{}), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: w.Code(t, bot.Secret)}})
	if err == nil {
		t.Error("what was begun goes on")
	}
	_, err = w.SignIn.StepUp(t.Context(), session, "admin.act", "", authn.Client{})
	refusal(t, "a step-up", err, authn.Unauthenticated, "")
	_, err = w.Directory.Reinvite(t.Context(), w.Company, "build-bot", false)
	refusal(t, "an invitation", err, authn.Conflict, "error.api_account")
	refusal(t, "a password", w.Directory.SetPassword(t.Context(), w.Company, "build-bot", "another harbour at dawn"), authn.Conflict, "error.api_account")
	_, err = w.Directory.Do(t.Context(), owner, apiOn(w, "second-bot", "hiroshi", time.Hour))
	must(t, err)
	_, err = w.Directory.Do(t.Context(), owner, directory.PersonAct{Do: directory.HelpCode, Target: "second-bot", Reason: "r"})
	refusal(t, "a help code", err, authn.Conflict, "error.api_account")
	_, err = w.SignIn.Invitation(t.Context(), invited.Token)
	refusal(t, "a link from before", err, authn.NotFound, "")

	// It may do what its role lists, from its networks, while it lasts.
	near := authn.Client{Address: netip.MustParseAddr("10.1.2.3")}
	ref, err := w.SignIn.Account(t.Context(), signin.AccountSecret{Login: "Build-Bot", Secret: out.Secret, Client: near})
	must(t, err)
	check := func(c authn.Client, p directory.Permission) error {
		_, err := w.Directory.CheckAccount(t.Context(), ref, c, p)
		return err
	}
	must(t, check(near, directory.UsersRead))
	refusal(t, "more", check(near, directory.AuditRead), authn.Forbidden, "")
	refusal(t, "elsewhere", check(authn.Client{Address: netip.MustParseAddr("192.0.2.8")}, directory.UsersRead), authn.Unauthenticated, "")
	_, err = w.Directory.Do(t.Context(), directory.Account(ref, near), directory.PersonAct{Do: directory.Unlock, Target: "hiroshi", Reason: "r"})
	refusal(t, "an act of more", err, authn.Forbidden, "")
	for what, bad := range map[string]signin.AccountSecret{
		"secret": {Login: "build-bot", Secret: out.Secret + "x"}, "nobody": {Login: "no-bot", Secret: out.Secret}, "a person": {Login: "hiroshi", Secret: sallyporttest.Password},
		"company": {Company: "globex", Login: "build-bot", Secret: out.Secret}, "no secret": {Login: "build-bot"},
	} {
		bad.Client = authn.Client{Address: netip.MustParseAddr("198.51.100.9")}
		_, err := w.SignIn.Account(t.Context(), bad)
		refusal(t, what, err, authn.Unauthenticated, "")
	}
	// Strangers who guess pause strangers, not the program where it works.
	for range 20 {
		_, err = w.SignIn.Account(t.Context(), signin.AccountSecret{Login: "build-bot", Secret: "a wrong one", Client: authn.Client{Address: netip.MustParseAddr("198.51.100.9")}})
	}
	refusal(t, "guesses", err, authn.Paused, "")
	w.SignIn.Forget(ref)
	_, err = w.SignIn.Account(t.Context(), signin.AccountSecret{Login: "build-bot", Secret: out.Secret, Client: near})
	must(t, err)

	// Again: another secret; the one before is worth nothing, remembered or not.
	again := apiOn(w, "build-bot", "hiroshi", 90*24*time.Hour)
	again.Password = "wind over the northern pier"
	second, err := w.Directory.Do(t.Context(), directory.TheOperator(w.Company.ID), again)
	must(t, err)
	if second.Secret != "" {
		t.Error("what was typed is not shown")
	}
	refusal(t, "the one before", check(near, directory.UsersRead), authn.Conflict, "")
	ref, err = w.SignIn.Account(t.Context(), signin.AccountSecret{Login: "build-bot", Secret: again.Password, Client: near})
	must(t, err)
	refusal(t, "no role", check(near, directory.UsersRead), authn.Forbidden, "")
	k, token, err := w.Directory.CreateKey(t.Context(), directory.TheOperator(w.Company.ID), directory.NewKey{Name: "k", Owner: "build-bot", Scopes: []string{"users.read"}})
	refusal(t, "a key for what it may not", err, authn.Invalid, "")
	_, _ = k, token
	w.Clock.Advance(90 * 24 * time.Hour)
	refusal(t, "over", check(near, ""), authn.Unauthenticated, "")

	_, err = w.Directory.Do(t.Context(), directory.TheOperator(w.Company.ID), directory.PersonAct{Do: directory.APIOff, Target: "build-bot", Reason: "over"})
	must(t, err)
	if u, factors, _ := row(t, w, "build-bot"); u.API || len(factors) != 0 || !u.PasswordChangedAt.IsZero() {
		t.Errorf("%+v %+v", u, factors)
	}
	_, err = w.SignIn.Account(t.Context(), signin.AccountSecret{Login: "build-bot", Secret: again.Password, Client: near})
	refusal(t, "off", err, authn.Unauthenticated, "")
	_, err = w.Directory.Reinvite(t.Context(), w.Company, "build-bot", false)
	must(t, err)
	_, err = w.Directory.Do(t.Context(), directory.TheOperator(w.Company.ID), directory.PersonAct{Do: directory.APIOff, Target: "build-bot", Reason: "over"})
	refusal(t, "twice", err, authn.Conflict, "error.no_api_account")
}

// H4: the report has all of them, page by page, and of one company.
func TestExemptions_H4(t *testing.T) {
	w := sallyporttest.NewServer(t)
	_, owner := as(t, w, "priya", directory.Owner)
	other := w.AddCompany(t, "globex", "Globex")
	w.AddUser(t, other, "foreign", false)
	_, err := w.Directory.Do(t.Context(), directory.TheOperator(other.ID), directory.PersonAct{Do: directory.Exempt, Target: "foreign", Reason: "r",
		Args: map[string]string{"until": w.Clock.Now().Add(time.Hour).Format(time.RFC3339)}})
	must(t, err)
	for _, login := range []string{"bot-1", "bot-2"} {
		w.AddUser(t, w.Company, login, false)
		_, err := w.Directory.Do(t.Context(), owner, apiOn(w, login, "priya", time.Hour))
		must(t, err)
	}
	for _, login := range []string{"lena", "omar"} {
		w.AddUser(t, w.Company, login, false)
		_, err := w.Directory.Do(t.Context(), owner, directory.PersonAct{Do: directory.Exempt, Target: login, Reason: "new phone on its way",
			Args: map[string]string{"until": w.Clock.Now().Add(time.Hour).Format(time.RFC3339)}})
		must(t, err)
	}
	_, _, err = w.Directory.CreateKey(t.Context(), owner, directory.NewKey{Name: "robot", Scopes: []string{"factors.manage"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Unattended: []string{"user.unlocked"}})
	must(t, err)
	for _, limit := range []int{1, 2, 3, 200} {
		var got []string
		for next := ""; ; {
			list, after, err := w.Directory.Exemptions(t.Context(), owner, next, limit)
			must(t, err)
			for _, e := range list {
				got = append(got, e.Kind+" "+e.Name+" "+e.Owner+" "+e.By)
			}
			if next = after; next == "" {
				break
			}
		}
		want := []string{"api_account bot-1 priya priya", "api_account bot-2 priya priya", "person lena lena priya", "person omar omar priya", "key robot priya priya"}
		if !slices.Equal(got, want) {
			t.Errorf("by %d: %q", limit, got)
		}
	}
	for _, bad := range []string{"x", "person.", "key.usr_1", "person.x"} {
		if _, _, err := w.Directory.Exemptions(t.Context(), owner, bad, 1); bad != "person." && !errors.Is(err, authn.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	w.Clock.Advance(time.Hour)
	if list, _, err := w.Directory.Exemptions(t.Context(), directory.TheOperator(w.Company.ID), "", 0); err != nil || len(list) != 3 {
		t.Errorf("%d %v", len(list), err)
	}
}

// H5: whatever an administrator and somebody with a role of the company's own do,
// in whatever order, allowed or refused: they never hold a permission that they did
// not hold, nor does a key of theirs.
func TestNobodyEscalates_H5_rul17_rul19(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 7))
		w := sallyporttest.NewServer(t)
		as(t, w, "priya", directory.Owner)
		all := directory.Permissions()
		var some []directory.Permission
		for _, p := range all {
			if r.IntN(2) == 0 {
				some = append(some, p)
			}
		}
		role(t, w, "own", append(some, directory.RolesWrite, directory.KeysWrite)...)
		role(t, w, "small", directory.AuditRead)
		people := []string{"admin", "custom"}
		_, a := as(t, w, "admin", directory.Administrator)
		_, b := as(t, w, "custom", "own", "small")
		w.AddUser(t, w.Company, "bot", false)
		w.AddUser(t, w.Company, "lena", true)
		actors := map[string]directory.Who{"admin": a, "custom": b}
		rights := func(login string) (list []directory.Permission) {
			c, err := w.Directory.Company(t.Context(), "acme")
			must(t, err)
			u := lookup(t, w, login)
			for _, p := range all {
				if directory.Can(c, u, p) {
					list = append(list, p)
				}
			}
			return list
		}
		before := map[string][]directory.Permission{"admin": rights("admin"), "custom": rights("custom")}
		pick := func(list []string) string { return list[r.IntN(len(list))] }
		subset := func() (list []string) {
			for _, p := range all {
				if r.IntN(4) == 0 {
					list = append(list, string(p))
				}
			}
			return list
		}
		logins := []string{"priya", "admin", "custom", "bot", "lena"}
		done := 0
		for range 150 {
			who := actors[pick(people)]
			var err error
			switch r.IntN(6) {
			case 0:
				_, err = w.Directory.SaveRole(t.Context(), who, directory.RoleChange{Name: pick([]string{"own", "small", "fresh"}), Title: "x", Permissions: subset()})
			case 1:
				err = w.Directory.RemoveRole(t.Context(), who, pick([]string{"own", "small", "fresh"}), "")
			case 2:
				n := directory.NewKey{Name: authn.NewID(authn.KeyID, w.Clock.Now(), zero{}), Owner: pick(logins), Scopes: []string{string(all[r.IntN(len(all))])}}
				var k authn.APIKey
				var token authn.Token
				if k, token, err = w.Directory.CreateKey(t.Context(), who, n); err == nil {
					maker := "admin"
					if k.MadeBy == lookup(t, w, "custom").ID {
						maker = "custom"
					}
					for _, p := range all {
						if _, err := w.Directory.CheckKey(t.Context(), token.Reveal(), authn.Client{}, p); err == nil && !slices.Contains(before[maker], p) {
							t.Fatalf("seed %d: a key of %s may %s", seed, maker, p)
						}
					}
				}
			case 3:
				on := apiOn(w, pick(logins), "priya", time.Hour)
				on.Args["role"] = pick([]string{"own", "small", "fresh", ""})
				_, err = w.Directory.Do(t.Context(), who, on)
			case 4:
				p := directory.PersonAct{Do: pick(directory.Acts()), Target: pick(logins), Reason: "r"}
				if p.Do == directory.Exempt {
					p.Args = map[string]string{"until": w.Clock.Now().Add(time.Hour).Format(time.RFC3339)}
				}
				_, err = w.Directory.Do(t.Context(), who, p)
			case 5:
				var k authn.APIKey
				if k, err = w.Directory.APIKey(t.Context(), who, "none"); err == nil {
					_, _, err = w.Directory.RollKey(t.Context(), who, k.ID, directory.Roll{})
				}
			}
			if err == nil {
				done++
			}
			for _, login := range people {
				for _, p := range rights(login) {
					if !slices.Contains(before[login], p) {
						t.Fatalf("seed %d: %s holds %s now", seed, login, p)
					}
				}
			}
		}
		if done == 0 {
			t.Errorf("seed %d: nothing was allowed, so nothing was tried", seed)
		}
	}
}

// A new secret while the old one is remembered, and who asks gives up meanwhile.
func TestAccountGivesUp_H4(t *testing.T) {
	w := sallyporttest.NewServer(t)
	as(t, w, "priya", directory.Owner)
	w.AddUser(t, w.Company, "bot", false)
	out, err := w.Directory.Do(t.Context(), directory.TheOperator(w.Company.ID), apiOn(w, "bot", "priya", time.Hour))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.SignIn.Account(ctx, signin.AccountSecret{Login: "bot", Secret: out.Secret}); err == nil {
		t.Error("nobody waits any more")
	}
	for range maxTries {
		if _, err = w.SignIn.Account(t.Context(), signin.AccountSecret{Login: "bot", Secret: out.Secret}); err != nil {
			t.Fatal(err)
		}
	}
}

const maxTries = 30
