package directory_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// office is a company with somebody of each role, who has just proved themselves.
type office struct {
	*sallyporttest.Server
	t *testing.T
}

func newOffice(t *testing.T) *office { return &office{sallyporttest.NewServer(t), t} }

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// member makes somebody with roles and an app.
func (o *office) member(c authn.Company, login string, roles ...string) sallyporttest.Person {
	o.t.Helper()
	u, err := o.Directory.CreateUser(o.t.Context(), c, directory.NewUser{Login: login, Name: "Test " + login, Email: login + "@" + c.Slug + ".example",
		Verified: true, Password: sallyporttest.Password, Roles: roles})
	o.must(err)
	p := sallyporttest.Person{User: u}
	p.Factor, p.Secret = o.AddApp(o.t, u)
	return p
}

func logins(page directory.PeoplePage) []string {
	var out []string
	for _, p := range page.People {
		out = append(out, p.Login)
	}
	return out
}

func TestPeopleFilters_H2(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	o.must(o.setRoles(o.Company, authn.Role{Name: "auditor", Title: "Auditor", Permissions: []string{"audit.read"}}))
	o.Company, _ = o.Directory.Company(ctx, "acme")
	beta := o.AddCompany(t, "beta", "Beta")
	o.member(beta, "stranger")
	o.member(o.Company, "olga", directory.Owner)
	o.member(o.Company, "hal", directory.Helpdesk, "auditor")
	for _, n := range []directory.NewUser{
		{Login: "none"}, {Login: "must", Require: true}, {Login: "out", Audience: authn.ExternalAudience}, {Login: "gone"}, {Login: "lucky", Require: true},
	} {
		_, err := o.Directory.CreateUser(ctx, o.Company, n)
		o.must(err)
	}
	op := directory.TheOperator(o.Company.ID)
	o.must(o.Directory.SetStatus(ctx, o.Company, "gone", authn.Suspended))
	_, err := o.Directory.Do(ctx, op, directory.PersonAct{Do: directory.Exempt, Target: "lucky", Reason: "on leave", Args: map[string]string{"until": o.Clock.Now().Add(time.Hour).Format(time.RFC3339)}})
	o.must(err)
	o.SetPolicy(t, "acme", func(d *policy.Document) { d.TwoFactor = policy.On })
	for _, c := range []struct {
		filters map[string]string
		want    string
	}{
		{nil, "gone hal lucky must none olga out"},
		{map[string]string{"method": "totp"}, "hal olga"}, {map[string]string{"method": "none"}, "gone lucky must none out"}, {map[string]string{"method": "sms"}, ""},
		{map[string]string{"status": "suspended"}, "gone"}, {map[string]string{"status": "active", "audience": "external"}, "out"},
		{map[string]string{"set_up": "yes"}, "hal olga"}, {map[string]string{"set_up": "no", "status": "active"}, "lucky must none out"},
		{map[string]string{"set_up": "due"}, "must"}, {map[string]string{"state": "exempt"}, "lucky"}, {map[string]string{"state": "locked"}, ""}, {map[string]string{"state": "api"}, ""},
		{map[string]string{"role": "owner"}, "olga"}, {map[string]string{"role": "auditor"}, "hal"}, {map[string]string{"role": "member"}, "gone lucky must none out"},
		{map[string]string{"audience": "internal", "search": "m"}, "must"}, {map[string]string{"search": "test"}, "hal olga"}, {map[string]string{"search": "test", "role": "owner"}, "olga"},
	} {
		page, err := o.Directory.People(ctx, op, directory.PeopleQuery{Filters: c.filters})
		if got := logins(page); err != nil || !slices.Equal(slices.Sorted(slices.Values(got)), strings.Fields(c.want)) {
			t.Errorf("%v: %v %v, want %s", c.filters, got, err, c.want)
		}
		if c.filters["search"] == "" && page.Count != int64(len(page.People)) {
			t.Errorf("%v: counted %d", c.filters, page.Count)
		}
	}
	sum, err := o.Directory.Summary(ctx, op)
	if err != nil || sum[directory.StandsOn] != 2 || sum[directory.StandsDue] != 1 || sum[directory.StandsSuspended] != 1 || sum[directory.StandsExempt] != 1 || sum[directory.StandsOff] != 2 {
		t.Errorf("%v %v", sum, err)
	}
	for name, value := range map[string]string{"method": "telepathy", "status": "ACTIVE", "set_up": "maybe", "state": "x", "role": "nobody", "audience": "both", "search": strings.Repeat("x", 201)} {
		_, err := o.Directory.People(ctx, op, directory.PeopleQuery{Filters: map[string]string{name: value}})
		want := name + " not_one_of"
		if name == "search" {
			want = "search too_long"
		}
		if field(err) != want {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
	if _, err := o.Directory.People(ctx, op, directory.PeopleQuery{Filters: map[string]string{"search": "a b c d e f g h i"}}); field(err) != "search too_many" {
		t.Error(err)
	}
}

func (o *office) setRoles(c authn.Company, roles ...authn.Role) error {
	return o.Store.Decide(o.t.Context(), authn.Keys{Company: c.ID, Now: o.Clock.Now()}, func(rows *authn.Rows) authn.Verdict {
		return authn.Accept(authn.Event{Type: "roles.changed", Result: authn.Succeeded}, authn.SetRoles{Roles: roles, Version: rows.Company.RolesVersion + 1})
	})
}

func TestChangePerson_rul19(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	maya := o.member(o.Company, "maya")
	o.member(o.Company, "omar")
	op := directory.TheOperator(o.Company.ID)
	for _, c := range []struct{ do, arg, value, want string }{
		{directory.SetName, "name", "", "name required"}, {directory.SetName, "name", "a\u202eb", "name invalid"}, {directory.SetName, "name", strings.Repeat("x", 101), "name too_long"},
		{directory.SetLocale, "locale", "xx", "locale not_one_of"}, {directory.SetLocale, "locale", "en'--", "locale not_one_of"},
		{directory.SetAudience, "audience", "both", "audience not_one_of"},
		{directory.SetLogin, "login", "", "login required"}, {directory.SetLogin, "login", "\u200b", "login invalid"}, {directory.SetLogin, "login", "omar", "login taken"},
		{directory.SetLogin, "login", maya.ID, "login invalid"},
		{directory.SetEmail, "email", "x", "email invalid"}, {directory.SetEmail, "email", "OMAR@acme.example", "email taken"}, {directory.SetEmail, "email", "maya@acme.example", "email same"},
		{directory.SetPhone, "phone", "12", "phone no_country"}, {directory.SetPhone, "phone", "+4671", "phone too_few"},
		{directory.SetRoles, "roles", "boss", "roles not_one_of"}, {directory.SetRoles, "roles", "owner,boss", "roles not_one_of"},
		{directory.SetName, "nom", "x", "nom unknown"},
	} {
		_, err := o.Directory.Do(ctx, op, directory.PersonAct{Do: c.do, Target: maya.ID, Args: map[string]string{c.arg: c.value}})
		if field(err) != c.want {
			t.Errorf("%s %q: %v (%s), want %s", c.do, c.value, err, field(err), c.want)
		}
	}
	before, _, err := o.Directory.Lookup(ctx, o.Company, maya.ID)
	o.must(err)
	done, err := o.Directory.Change(ctx, op, maya.ID, "", map[string]map[string]string{
		directory.SetName: {"name": "Maya L"}, directory.SetLogin: {"login": "Maya.L"}, directory.SetEmail: {"email": "new@acme.example"},
		directory.SetPhone: {"phone": "+46701740605"}, directory.SetRoles: {"roles": "helpdesk"}, directory.SetAudience: {"audience": "external"}, directory.SetLocale: {"locale": "pl"},
	})
	if err != nil || len(done.Done) != 7 {
		t.Fatalf("%+v %v", done, err)
	}
	u, _, err := o.Directory.Lookup(ctx, o.Company, "maya.l")
	o.must(err)
	if u.Name != "Maya L" || u.Email != "new@acme.example" || u.Phone != "+46701740605" || u.PhoneTrustedAt.IsZero() || u.Audience != authn.ExternalAudience || u.Locale != "pl" ||
		!slices.Equal(u.Roles, []string{"helpdesk"}) || u.Epoch != before.Epoch+5 {
		t.Errorf("%+v", u)
	}
	// Ruling 2: codes go there after a day; ruling 5: it signs nobody in.
	if !u.EmailVerifiedAt.IsZero() || u.EmailTrustedAt.IsZero() || u.EmailChangedAt.IsZero() || !u.EmailReaches() {
		t.Errorf("%+v", u)
	}
	if mail := o.Mail(t, "maya@acme.example"); len(mail) == 0 || !strings.Contains(mail[0].Text, "/not-me/") {
		t.Errorf("the old address is told: %v", mail)
	}
	if _, _, err := o.Directory.Lookup(ctx, o.Company, "maya"); code(err) != authn.NotFound {
		t.Errorf("the old name leads to %v", err)
	}
}

func TestRolesAreGiven_cve56(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	o.must(o.setRoles(o.Company, authn.Role{Name: "roler", Title: "Gives roles", Permissions: []string{"roles.write", "users.read", "users.write"}}))
	o.Company, _ = o.Directory.Company(ctx, "acme")
	olga, roler, admin, maya := o.member(o.Company, "olga", "owner"), o.member(o.Company, "roler", "roler"), o.member(o.Company, "ada", "administrator"), o.member(o.Company, "maya")
	set := func(who directory.Who, target, roles string) error {
		_, err := o.Directory.Do(ctx, who, directory.PersonAct{Do: directory.SetRoles, Target: target, Args: map[string]string{"roles": roles}, Reason: "test"})
		return err
	}
	ow, rw, aw := o.sitting(olga), o.sitting(roler), o.sitting(admin)
	for _, c := range []struct {
		who    directory.Who
		target string
		roles  string
		want   authn.Code
	}{
		{aw, maya.ID, "helpdesk", authn.Forbidden}, {rw, maya.ID, "owner", authn.Forbidden}, {rw, maya.ID, "administrator", authn.Forbidden},
		{rw, roler.ID, "owner", authn.Forbidden}, {rw, admin.ID, "member", authn.Forbidden}, {ow, olga.ID, "member", authn.Forbidden},
		{rw, maya.ID, "roler", ""}, {ow, maya.ID, "A,b,c", authn.Invalid},
	} {
		if err := set(c.who, c.target, c.roles); code(err) != c.want {
			t.Errorf("%s: %v, want %q", c.roles, err, c.want)
		}
	}
	if err := set(directory.TheOperator(o.Company.ID), olga.ID, "member"); code(err) != authn.Conflict || authn.AsError(err).Key != "error.last_owner" {
		t.Errorf("the last owner: %v", err)
	}
	// A target with rights waits for a second person.
	out, err := o.Directory.Do(ctx, ow, directory.PersonAct{Do: directory.SetEmail, Target: admin.ID, Args: map[string]string{"email": "x@acme.example"}, Reason: "new"})
	if err != nil || out.Waits == nil {
		t.Errorf("%+v %v", out, err)
	}
}

// sitting is a session that proved itself just now.
func (o *office) sitting(p sallyporttest.Person) directory.Who {
	o.t.Helper()
	return directory.Session(signedIn(o.t, o.Server, p), authn.Client{})
}

func TestAddPerson(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	olga, ada, hal := o.member(o.Company, "olga", "owner"), o.member(o.Company, "ada", "administrator"), o.member(o.Company, "hal", "helpdesk")
	ow, aw, hw := o.sitting(olga), o.sitting(ada), o.sitting(hal)
	if _, err := o.Directory.AddPerson(ctx, hw, directory.NewPerson{Login: "x"}); code(err) != authn.Forbidden {
		t.Errorf("helpdesk: %v", err)
	}
	if _, err := o.Directory.AddPerson(ctx, aw, directory.NewPerson{Login: "x", Roles: []string{"helpdesk"}}); code(err) != authn.Forbidden {
		t.Errorf("an administrator gives roles: %v", err)
	}
	for _, c := range []struct {
		n    directory.NewPerson
		want string
	}{
		{directory.NewPerson{}, "login required"}, {directory.NewPerson{Login: "ada"}, "login taken"}, {directory.NewPerson{Login: "n", Invite: true}, "email required"},
		{directory.NewPerson{Login: "n", Email: "ada@acme.example"}, "email taken"}, {directory.NewPerson{Login: "n", Email: "@"}, "email invalid"},
		{directory.NewPerson{Login: "n", Audience: "x"}, "audience not_one_of"}, {directory.NewPerson{Login: "n", Locale: "zz"}, "locale not_one_of"},
		{directory.NewPerson{Login: "n", Roles: []string{"x"}}, "roles not_one_of"},
	} {
		if _, err := o.Directory.AddPerson(ctx, aw, c.n); field(err) != c.want {
			t.Errorf("%+v: %v, want %s", c.n, err, c.want)
		}
	}
	g, err := o.Directory.AddPerson(ctx, aw, directory.NewPerson{Login: "nina", Email: "nina@acme.example", Invite: true})
	o.must(err)
	if mail := o.Mail(t, "nina@acme.example"); len(mail) != 1 || !strings.Contains(mail[0].Text, "/invitation/") || !g.Token.IsZero() || g.ExpiresAt.IsZero() {
		t.Errorf("%v %+v", mail, g)
	}
	if _, err := o.Directory.AddPerson(ctx, ow, directory.NewPerson{Login: "otto", Roles: []string{"owner"}}); err != nil {
		t.Error(err)
	}
	o.Clock.Advance(2 * time.Hour) // the proof is old by now
	if _, err := o.Directory.AddPerson(ctx, ow, directory.NewPerson{Login: "olaf", Roles: []string{"owner"}}); code(err) != authn.StepUpRequired && code(err) != authn.Unauthenticated {
		t.Error(err)
	}
}

func TestBulk(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	o.SetPolicy(t, "acme", func(d *policy.Document) { d.TwoFactor = policy.Required })
	beta := o.AddCompany(t, "beta", "Beta")
	stranger := o.member(beta, "stranger")
	ada, olga := o.member(o.Company, "ada", "administrator"), o.member(o.Company, "olga", "owner")
	due := o.AddUser(t, o.Company, "due", false)
	mute, err := o.Directory.CreateUser(ctx, o.Company, directory.NewUser{Login: "mute"})
	o.must(err)
	who := o.sitting(ada)
	why := func(list []directory.Touched) string {
		var out []string
		for _, t := range list {
			key := "done"
			if t.Err != nil {
				key = authn.AsError(t.Err).TextKey()
			}
			out = append(out, key)
		}
		return strings.Join(out, " ")
	}
	list, err := o.Directory.Bulk(ctx, who, directory.RemindPeople, "", []string{due.ID, due.ID, mute.ID, olga.ID, stranger.ID, "x"})
	if got := why(list); err != nil || got != "done error.remind_no_address error.forbidden.owner error.not_found error.not_found" {
		t.Errorf("%s %v", got, err)
	}
	if mail := o.Mail(t, due.Email); len(mail) != 1 || !strings.Contains(mail[0].Subject, "second step") {
		t.Errorf("%v", mail)
	}
	list, err = o.Directory.Bulk(ctx, who, directory.RemindPeople, "", []string{due.ID})
	if got := why(list); err != nil || got != "error.remind_today" {
		t.Errorf("%s %v", got, err)
	}
	list, err = o.Directory.Bulk(ctx, who, directory.RequireTwo, "", []string{due.ID, mute.ID})
	if got := why(list); err != nil || got != "done done" {
		t.Errorf("%s %v", got, err)
	}
	if u, _, _ := o.Directory.Lookup(ctx, o.Company, "mute"); !u.RequireTwoFactor {
		t.Error("not required")
	}
	for do, ids := range map[string][]string{directory.Suspend: {due.ID}, directory.RemindPeople: nil, directory.RequireTwo: make([]string, 201)} {
		if _, err := o.Directory.Bulk(ctx, who, do, "", ids); code(err) != authn.Invalid {
			t.Errorf("%s: %v", do, err)
		}
	}
	if _, err := o.Directory.Bulk(ctx, o.sitting(o.member(o.Company, "hal", "helpdesk")), directory.RemindPeople, "", []string{due.ID}); code(err) != authn.Forbidden {
		t.Error(err)
	}
}

func TestExport_rul37(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	for i, name := range []string{"=HYPERLINK(1)", " +1", "@x", "-1", "＝1", "a,\"b\"", "plain"} {
		_, err := o.Directory.CreateUser(ctx, o.Company, directory.NewUser{Login: fmt.Sprintf("user%d", i), Name: name, Password: sallyporttest.Password})
		o.must(err)
	}
	op := directory.TheOperator(o.Company.ID)
	var csv, lines bytes.Buffer
	n, err := o.Directory.ExportPeople(ctx, op, "csv", map[string]string{"status": "active"}, &csv)
	if err != nil || n != 7 {
		t.Fatal(n, err)
	}
	for _, want := range []string{"'=HYPERLINK(1)", ",'+1,", ",'@x,", ",'-1,", ",'＝1,", `"a,""b"""`, ",plain,", "id,login,name,"} {
		if !strings.Contains(csv.String(), want) {
			t.Errorf("%q is not in\n%s", want, csv.String())
		}
	}
	n, err = o.Directory.ExportPeople(ctx, op, "jsonl", nil, &lines)
	if err != nil || n != 7 {
		t.Fatal(n, err)
	}
	for line := range strings.Lines(lines.String()) {
		var p directory.ExportedPerson
		if err := json.Unmarshal([]byte(line), &p); err != nil || p.ID == "" || strings.HasPrefix(p.Name, "'") {
			t.Errorf("%s: %v", line, err)
		}
	}
	if strings.Contains(csv.String()+lines.String(), "argon2") {
		t.Error("a secret")
	}
	events, err := o.Audit.Events(ctx, o.Company.ID, authn.EventQuery{Type: "users.exported"})
	if err != nil || len(events) != 2 || events[1].Personal.Detail["status"] != "active" {
		t.Errorf("%v %v", events, err)
	}
	if _, err := o.Directory.ExportPeople(ctx, op, "xml", nil, &lines); field(err) != "format not_one_of" {
		t.Error(err)
	}
}
