package directory_test

import (
	"context"
	"crypto/rand"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

var here = authn.Client{Browser: "b", Address: netip.MustParseAddr("203.0.113.9"), Agent: "Firefox on Linux"}

// world is a server with two companies and somebody of each role.
type world struct {
	*sallyporttest.Server
	t     testing.TB
	other authn.Company
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return worldOf(t, sallyporttest.NewServer(t))
}

func worldOf(t testing.TB, s *sallyporttest.Server) *world {
	t.Helper()
	return &world{Server: s, t: t, other: s.AddCompany(t, "globex", "Globex")}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// decide writes about a person as the store's own caller.
func (w *world) decide(company, user, typ string, f func(*authn.Rows) []authn.Write) {
	w.t.Helper()
	now := w.Clock.Now()
	w.must(w.Store.Decide(context.Background(), authn.Keys{Company: company, User: user, Now: now}, func(rows *authn.Rows) authn.Verdict {
		ev := authn.Event{Company: company, ID: authn.NewID(authn.EventID, now, rand.Reader), Type: typ, Actor: directory.Operator, Target: user, Result: authn.Succeeded, At: now}
		return authn.Accept(ev, f(rows)...)
	}))
}

// add makes a person with an app and the roles.
func (w *world) add(c authn.Company, login string, roles ...string) sallyporttest.Person {
	w.t.Helper()
	p := w.AddUser(w.t, c, login, true)
	w.decide(c.ID, p.ID, "user.roles_changed", func(rows *authn.Rows) []authn.Write {
		u := *rows.User
		u.Roles = roles
		p.User = u
		return []authn.Write{authn.PutUser{User: u}}
	})
	return p
}

// session signs a person in and is them.
func (w *world) session(p sallyporttest.Person) directory.Who {
	w.t.Helper()
	c, err := w.Directory.Companies(w.t.Context())
	w.must(err)
	slug := c[slices.IndexFunc(c, func(c authn.Company) bool { return c.ID == p.Company })].Slug
	st, err := w.SignIn.Begin(w.t.Context(), signin.Begin{Company: slug, Login: p.Login, Password: sallyporttest.Password, Client: here})
	w.must(err)
	if p.Secret != nil {
		w.Clock.Advance(30 * time.Second)
		st, err = w.SignIn.Verify(w.t.Context(), signin.OpenerOf(st.Token, here),
			signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: w.Code(w.t, p.Secret)}})
		w.must(err)
	}
	return directory.Session(st.SessionToken, here)
}

// key is a program of an owner with scopes.
func (w *world) key(p sallyporttest.Person, unattended []string, scopes ...string) directory.Who {
	w.t.Helper()
	now := w.Clock.Now()
	k := authn.APIKey{Company: p.Company, ID: authn.NewID(authn.KeyID, now, rand.Reader), User: p.ID, Name: "k" + authn.NewID(authn.KeyID, now, rand.Reader),
		Scopes: slices.Sorted(slices.Values(scopes)), Unattended: unattended, CreatedAt: now, ExpiresAt: now.Add(24 * time.Hour)}
	if unattended != nil {
		k.Networks = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	}
	token := authn.NewToken(authn.KeyToken, k.Company, k.ID, rand.Reader)
	ev := authn.Event{Company: k.Company, ID: authn.NewID(authn.EventID, now, rand.Reader), Type: "key.created", Actor: directory.Operator, Target: p.ID, Result: authn.Succeeded, At: now}
	keys := authn.Keys{Company: p.Company, User: p.ID, Now: now}
	w.must(w.Store.Decide(w.t.Context(), keys, func(*authn.Rows) authn.Verdict { return authn.Accept(ev, authn.NewAPIKey{Key: k, Token: token}) }))
	return directory.Program(token, here)
}

func (w *world) do(who directory.Who, do string, target authn.User, args ...string) (directory.Outcome, error) {
	p := directory.PersonAct{Do: do, Target: target.ID, Reason: "because", Args: map[string]string{}}
	for i := 0; i+1 < len(args); i += 2 {
		p.Args[args[i]] = args[i+1]
	}
	return w.Directory.Do(w.t.Context(), who, p)
}

func (w *world) user(p sallyporttest.Person) authn.User {
	w.t.Helper()
	u, _, err := w.Directory.Lookup(w.t.Context(), authn.Company{ID: p.Company}, p.ID)
	w.must(err)
	return u
}

func (w *world) events(company, typ string) []authn.Event {
	w.t.Helper()
	list, err := w.Audit.Events(w.t.Context(), company, authn.EventQuery{Type: typ, Limit: 200})
	w.must(err)
	return list
}

func (w *world) customRoles(roles ...authn.Role) {
	w.t.Helper()
	now := w.Clock.Now()
	w.must(w.Store.Decide(w.t.Context(), authn.Keys{Company: w.Company.ID, Now: now}, func(rows *authn.Rows) authn.Verdict {
		ev := authn.Event{Company: w.Company.ID, ID: authn.NewID(authn.EventID, now, rand.Reader), Type: "roles.changed", Actor: directory.Operator, Result: authn.Succeeded, At: now}
		return authn.Accept(ev, authn.SetRoles{Roles: roles, Version: rows.Company.RolesVersion + 1})
	}))
}

// key is what an error says: its code and which rule.
func why(err error) string {
	if err == nil {
		return ""
	}
	e := authn.AsError(err)
	if e.Key != "" {
		return e.Key
	}
	return string(e.Code)
}

// What everybody may do to everybody, for every act.
func TestWhoMayDoWhatToWhom_rul17_rul20_rul21_H5(t *testing.T) {
	w := newWorld(t)
	w.customRoles(authn.Role{Name: "desk", Title: "Desk", Permissions: []string{"users.read", "factors.manage"}},
		authn.Role{Name: "app", Title: "App", Permissions: []string{"attempts.assert"}})
	people := map[string]sallyporttest.Person{
		"owner": w.add(w.Company, "owner", "owner"), "administrator": w.add(w.Company, "admin", "administrator"), "helpdesk": w.add(w.Company, "help", "helpdesk"),
		"custom": w.add(w.Company, "custom", "desk"), "member": w.add(w.Company, "member", "member"), "app": w.add(w.Company, "program", "app"),
		"suspended": w.add(w.Company, "gone", "owner"), "stranger": w.add(w.other, "owner", "owner"),
		"owner2": w.add(w.Company, "owner2", "owner"), "helpdesk2": w.add(w.Company, "help2", "helpdesk"),
	}
	actors := map[string]directory.Who{}
	for _, name := range []string{"owner", "administrator", "helpdesk", "custom", "member", "suspended", "stranger"} {
		actors[name] = w.session(people[name])
	}
	w.decide(w.Company.ID, people["suspended"].ID, "user.suspended", func(rows *authn.Rows) []authn.Write {
		u := *rows.User
		u.Status = authn.Suspended
		return []authn.Write{authn.PutUser{User: u}}
	})
	actors["key"] = w.key(people["owner"], nil, "users.read", "factors.manage", "users.write", "users.identity", "roles.write")
	actors["operator"] = directory.TheOperator(w.Company.ID)
	actors["nobody"] = directory.Who{Company: w.Company.ID}

	targets := []string{"owner2", "administrator", "helpdesk2", "custom", "member", "app", "suspended", "stranger"}
	for actor, who := range actors {
		for _, name := range targets {
			for _, do := range directory.Acts() {
				target := people[name]
				kind, _ := directory.ActOf(do)
				want := expected(actor, name, do, kind.Permission)
				if want == "waits" || want == "" {
					// Only who may is asked here; what comes of it is another test's.
					kind.Target = target.ID
					err := w.Directory.Act(t.Context(), who, directory.Act{Type: kind.Type, Permission: kind.Permission, Target: target.ID},
						func(*authn.Rows) (directory.Done, error) { return directory.Done{}, nil })
					if err != nil {
						t.Errorf("%s does %s to %s: %v", actor, do, name, err)
					}
					continue
				}
				out, err := w.do(who, do, target.User)
				if why(err) != want {
					t.Errorf("%s does %s to %s: %q %v, want %s", actor, do, name, why(err), err, want)
				}
				if err == nil || out.Waits != nil || out.Code != "" {
					t.Errorf("%s does %s to %s: %+v", actor, do, name, out)
				}
			}
		}
	}
}

// expected is what the rules answer; "" and "waits": it may be done.
func expected(actor, target, do string, p directory.Permission) string {
	has := map[string][]directory.Permission{
		"administrator": {directory.UsersWrite, directory.FactorsManage}, "helpdesk": {directory.FactorsManage}, "custom": {directory.FactorsManage},
	}
	switch actor {
	case "operator":
		if target == "stranger" {
			return "not_found"
		}
		return ""
	case "nobody", "suspended":
		return "unauthenticated"
	case "stranger":
		if target == "stranger" {
			return "error.forbidden.self"
		}
		return "not_found"
	case "owner", "key":
	default:
		if !slices.Contains(has[actor], p) {
			return "forbidden"
		}
	}
	if target == "stranger" {
		return "not_found"
	}
	if actor == target {
		return "error.forbidden.self"
	}
	isOwner := target == "owner2" || target == "suspended"
	switch {
	case actor == "key" && isOwner, actor != "owner" && isOwner:
		return "error.forbidden.owner"
	case actor == "key" && (target == "administrator" || target == "app"),
		(actor == "helpdesk" || actor == "custom") && target == "administrator", actor != "owner" && target == "app":
		return "error.forbidden.above"
	case actor == "key":
		return "error.forbidden.key"
	}
	return "waits"
}

// A refusal of somebody who is known is an event, with who, whom, and which rule;
// beyond a rate they are counted.
func TestRefusalsAreRecorded_H5(t *testing.T) {
	w := newWorld(t)
	owner, help := w.add(w.Company, "owner", "owner"), w.add(w.Company, "help", "helpdesk")
	who := w.session(help)
	if _, err := w.do(who, directory.Reset, owner.User); why(err) != "error.forbidden.owner" {
		t.Fatal(err)
	}
	if _, err := w.Directory.Check(t.Context(), who, directory.PolicyWrite); why(err) != "forbidden" {
		t.Fatal(err)
	}
	list := w.events(w.Company.ID, "factors.reset")
	if len(list) != 1 || list[0].Actor != help.ID || list[0].Target != owner.ID || list[0].Result != authn.Refused ||
		list[0].Personal.Detail["permission"] != "factors.manage" || list[0].Personal.Detail["rule"] != "error.forbidden.owner" || list[0].Personal.Detail["reason"] != "because" {
		t.Errorf("%+v", list)
	}
	if list := w.events(w.Company.ID, "access.refused"); len(list) != 1 || list[0].Personal.Detail["permission"] != "policy.write" {
		t.Errorf("%+v", list)
	}
	w.Clock.Advance(time.Minute)
	for range 150 {
		_, _ = w.Directory.Check(t.Context(), who, directory.PolicyWrite)
	}
	if n := len(w.events(w.Company.ID, "access.refused")); n > 61 {
		t.Errorf("%d events", n)
	}
	w.must(w.Directory.FlushRefusals(t.Context()))
	if list := w.events(w.Company.ID, "key.refusals_counted"); len(list) != 1 || list[0].Personal.Detail["forbidden"] == "" {
		t.Errorf("%+v", list)
	}
}

// What changes somebody asks for a recent proof, by no way that is on probation.
func TestActsStepUp_rul18_rul21_rul26(t *testing.T) {
	w := newWorld(t)
	owner, tom := w.add(w.Company, "owner", "owner"), w.add(w.Company, "tom", "member")
	who := w.session(owner)
	w.Clock.Advance(11 * time.Minute)
	if _, err := w.do(who, directory.SignOut, tom.User); code(err) != authn.StepUpRequired || authn.AsError(err).ACRValues != authn.AAL2 {
		t.Errorf("%v", err)
	}
	act, _ := directory.ActOf(directory.SignOut)
	if err := w.Directory.Ready(t.Context(), who, act); code(err) != authn.StepUpRequired {
		t.Errorf("ready: %v", err)
	}
	who = w.session(owner)
	if _, err := w.do(who, directory.SignOut, tom.User); err != nil {
		t.Errorf("%v", err)
	}
	// A key cannot prove itself: only what an owner marked for it goes on, from its networks.
	if _, err := w.do(w.key(owner, nil, "factors.manage"), directory.SignOut, tom.User); why(err) != "error.forbidden.key" {
		t.Errorf("%v", err)
	}
	marked := w.key(owner, []string{"user.signed_out"}, "factors.manage")
	if _, err := w.do(marked, directory.SignOut, tom.User); err != nil {
		t.Errorf("%v", err)
	}
	if _, err := w.do(marked, directory.Unlock, tom.User); why(err) != "error.forbidden.key" {
		t.Errorf("%v", err)
	}
	marked.Client.Address = netip.MustParseAddr("198.51.100.1")
	if _, err := w.do(marked, directory.SignOut, tom.User); code(err) != authn.Unauthenticated {
		t.Errorf("from elsewhere: %v", err)
	}
	// On probation.
	w.decide(w.Company.ID, owner.ID, "factor.replaced", func(rows *authn.Rows) []authn.Write {
		now := w.Clock.Now()
		f := authn.Factor{ID: authn.NewID(authn.FactorID, now, rand.Reader), Kind: authn.TOTP, State: authn.Pending, Epoch: rows.User.Epoch, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
		return []authn.Write{authn.NewFactor{Factor: f, Secret: owner.Secret}, authn.ActivateFactor{ID: f.ID, At: now, ProbationUntil: now.Add(24 * time.Hour)}}
	})
	if _, err := w.do(who, directory.SignOut, tom.User); why(err) != "error.probation" {
		t.Errorf("on probation: %v", err)
	}
}

// Malformed acts are refused before anything else, and nothing is done.
func TestActsRefuse(t *testing.T) {
	w := newWorld(t)
	owner, tom := w.add(w.Company, "owner", "owner"), w.add(w.Company, "tom", "member")
	who := w.session(owner)
	long := make([]byte, directory.ReasonMax+1)
	for i := range long {
		long[i] = 'a'
	}
	for _, tt := range []struct {
		p    directory.PersonAct
		want string
	}{
		{directory.PersonAct{Do: "become", Target: tom.ID, Reason: "x"}, "do not_one_of"},
		{directory.PersonAct{Do: directory.Suspend, Target: tom.ID}, "reason required"},
		{directory.PersonAct{Do: directory.Suspend, Target: tom.ID, Reason: string(long)}, "reason too_long"},
		{directory.PersonAct{Do: directory.Suspend, Target: tom.ID, Reason: "a\x00b"}, "reason invalid"},
		{directory.PersonAct{Do: directory.Suspend, Target: tom.ID, Reason: "x", Args: map[string]string{"roles": "owner"}}, "roles unknown"},
		{directory.PersonAct{Do: directory.Reset, Target: tom.ID, Reason: "x", Args: map[string]string{"factor": "1 OR 1"}}, "factor invalid"},
		{directory.PersonAct{Do: directory.Exempt, Target: tom.ID, Reason: "x", Args: map[string]string{"until": "tomorrow"}}, "until invalid"},
		{directory.PersonAct{Do: directory.Exempt, Target: tom.ID, Reason: "x", Args: map[string]string{"until": w.Clock.Now().Format(time.RFC3339)}}, "until exemption"},
		{directory.PersonAct{Do: directory.Exempt, Target: tom.ID, Reason: "x", Args: map[string]string{"until": w.Clock.Now().AddDate(1, 0, 0).Format(time.RFC3339)}}, "until exemption"},
		{directory.PersonAct{Do: directory.Prepare, Target: tom.ID, Reason: "x", Args: map[string]string{"method": "totp"}}, "method not_one_of"},
		{directory.PersonAct{Do: directory.Prepare, Target: tom.ID, Reason: "x", Args: map[string]string{"method": "sms", "phone": "+46701740605"}}, "method not_one_of"}, // no provider
		{directory.PersonAct{Do: directory.InviteAgain, Target: tom.ID, Reason: "x", Args: map[string]string{"shown": "yes"}}, ""},
	} {
		before := w.user(tom)
		_, err := w.Directory.Do(t.Context(), who, tt.p)
		if field(err) != tt.want || err == nil {
			t.Errorf("%+v: %v, want %s", tt.p, err, tt.want)
		}
		if after := w.user(tom); after.Epoch != before.Epoch {
			t.Errorf("%+v changed the person", tt.p)
		}
	}
	if _, err := w.Directory.Do(t.Context(), who, directory.PersonAct{Do: directory.Suspend, Target: "' OR 1=1 --", Reason: "x"}); code(err) != authn.NotFound {
		t.Errorf("%v", err)
	}
}
