package directory_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

func (o *office) importing(who directory.Who, format, data string, dry bool) (directory.ImportReport, error) {
	o.t.Helper()
	return o.Directory.Import(o.t.Context(), who, directory.ImportFile{Format: format, Data: strings.NewReader(data), DryRun: dry})
}

func said(rep directory.ImportReport) string {
	var out []string
	for _, e := range rep.Errors {
		out = append(out, fmt.Sprintf("%d %s %s", e.Row, e.Field, e.Code))
	}
	return strings.Join(out, "; ")
}

func TestImport_rul24(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	op := directory.TheOperator(o.Company.ID)
	beta := o.AddCompany(t, "beta", "Beta")
	o.member(beta, "maya")
	file := "\xEF\xBB\xBFLogin,email,name,audience,roles,phone,locale,password_hash\r\n" +
		"maya,maya@acme.example,\"=cmd|' /C calc'!A0\",external,\"member; helpdesk\",'+46701740605,pl,\"" + hashOf(t) + "\"\r\n" +
		"\"o'brien\",,O'Brien,,,,,\r\n"
	rep, err := o.importing(op, "csv", file, true)
	if err != nil || rep.Wrong != 0 || rep.Rows != 2 || rep.Created != 0 || !rep.DryRun {
		t.Fatalf("%+v %v", rep, err)
	}
	if _, _, err := o.Directory.Lookup(ctx, o.Company, "maya"); code(err) != authn.NotFound {
		t.Fatal("a try created somebody")
	}
	rep, err = o.importing(op, "csv", file, false)
	if err != nil || rep.Created != 2 || rep.Wrong != 0 {
		t.Fatalf("%+v %v", rep, err)
	}
	u, _, err := o.Directory.Lookup(ctx, o.Company, "maya")
	o.must(err)
	if u.Name != "=cmd|' /C calc'!A0" || u.Audience != authn.ExternalAudience || !slices.Equal(u.Roles, []string{"member", "helpdesk"}) || u.Phone != "+46701740605" ||
		u.Locale != "pl" || !u.EmailVerifiedAt.IsZero() || !u.EmailTrustedAt.IsZero() || !u.PhoneTrustedAt.IsZero() || u.SecuredAt.IsZero() {
		t.Errorf("%+v", u)
	}
	st, err := o.SignIn.Begin(ctx, signin.Begin{Company: "acme", Login: "maya", Password: sallyporttest.Password})
	if err != nil || st.Attempt.State == authn.Complete {
		t.Errorf("the password is right, and has to be changed: %+v %v", st.Attempt.State, err)
	}
	events, err := o.Audit.Events(ctx, o.Company.ID, authn.EventQuery{Type: "users.imported"})
	if err != nil || len(events) != 1 || events[0].Personal.Detail["people"] != "2" {
		t.Errorf("%v %v", events, err)
	}
	events, err = o.Audit.Events(ctx, o.Company.ID, authn.EventQuery{Type: "user.created"})
	if err != nil || len(events) != 2 {
		t.Errorf("%d events, %v", len(events), err)
	}
	// Again: who is there is an error, and is not changed.
	rep, err = o.importing(op, "jsonl", `{"login":"maya","name":"Other","roles":["helpdesk"]}`+"\n\n"+`{"login":"new"}`, false)
	if err != nil || said(rep) != "1 login taken" || rep.Created != 0 {
		t.Errorf("%+v %v", rep, err)
	}
	if v, _, _ := o.Directory.Lookup(ctx, o.Company, "maya"); v.Name != u.Name || v.Epoch != u.Epoch {
		t.Error("changed")
	}
	if _, _, err := o.Directory.Lookup(ctx, o.Company, "new"); code(err) != authn.NotFound {
		t.Error("half of a file")
	}
}

// hashOf is what the password method of the tests makes of their password.
func hashOf(t *testing.T) string {
	t.Helper()
	pw, _ := sallyporttest.Methods(t)
	hash, err := pw.Hash(t.Context(), sallyporttest.Password)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func TestImportRefusals(t *testing.T) {
	o := newOffice(t)
	o.member(o.Company, "omar")
	op := directory.TheOperator(o.Company.ID)
	many := strings.Repeat("x,", 40000)
	for name, c := range map[string]struct{ format, data, want string }{
		"empty":            {"csv", "", "1 file empty"},
		"header only":      {"csv", "login,name\n", "1 file empty"},
		"empty lines":      {"jsonl", "", "1 file empty"},
		"utf-16":           {"csv", "\xFF\xFEl\x00o\x00", "1 file utf16"},
		"latin-1":          {"csv", "login,name\na,J\xF6rg\n", "2 file encoding"},
		"latin-1 lines":    {"jsonl", "{\"login\":\"a\"}\n{\"login\":\"\xF6\"}\n", "2 file encoding"},
		"nul":              {"csv", "login\na\x00b\n", "2 file encoding"},
		"no login":         {"csv", "name\nx\n", "1 file no_login"},
		"unknown column":   {"csv", "login,secret\nx,y\n", "1 file unknown_column"},
		"column twice":     {"csv", "login,Login\nx,y\n", "1 file twice"},
		"bare quote":       {"csv", "login,name\nx,a\"b\n", "2 file quotes"},
		"open quote":       {"csv", "login,name\nx,\"ab\n", "2 file quotes"},
		"cells":            {"csv", "login,name\nx\ny,z,a\nok,ok\n", "2 row columns; 3 row columns"},
		"long row":         {"csv", "login,name\nx,\"" + strings.Repeat("y\n", 80<<10) + "\"\n", "file row_too_long"},
		"long header":      {"csv", many + "\n", "1 file unknown_column"},
		"long line":        {"jsonl", `{"login":"` + strings.Repeat("y", 80<<10) + `"}`, "1 file row_too_long"},
		"twice in file":    {"csv", "login,email\na,a@x.example\nA,b@x.example\nc,A@X.example\n", "3 login twice; 4 email twice"},
		"taken":            {"csv", "login,email\nOMAR,\nx,omar@acme.example\n", "2 login taken; 3 email taken"},
		"no json":          {"jsonl", "x\n[1]\n{\"login\":\"a\"} x\n{\"login\":\"a\"\n", "1 row json; 2 row json; 3 row json; 4 row json"},
		"json fields":      {"jsonl", `{"login":1}` + "\n" + `{"login":"a","login":"b"}` + "\n" + `{"Login":"a"}` + "\n" + `{"login":null}` + "\n" + `{"login":"a","roles":[1]}`, "1 login wrong_type; 2 login duplicate; 3 Login unknown; 4 login wrong_type; 5 roles wrong_type"},
		"fields":           {"csv", "login,email,name,audience,roles,phone,locale,password_hash\n,x,,,,,,\na,x,,,,,,\nb,,,both,,,,\nc,,,,boss,,,\nd,,,,owner,,,\ne,,,,,12,,\nf,,,,,,zz,\ng,,,,,,,$2y$10$abc\n", "2 login required; 3 email invalid; 4 audience not_one_of; 5 roles not_one_of; 6 roles not_yours; 7 phone no_country; 8 locale not_one_of; 9 password_hash hash"},
		"several of a row": {"csv", "login,phone,locale,password_hash\n,12,zz,x\n", "2 login required; 2 locale not_one_of; 2 phone no_country; 2 password_hash hash"},
		"costly hash":      {"csv", "login,password_hash\na,\"$argon2id$v=19$m=999999,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$TYsh0B4EcPbn0p1RkWhgmqBBFIQ0A5TKR0a2yVoyfsc\"\n", "2 password_hash hash"},
		"names":            {"csv", "login,name\na\u202eb,x\n\u200b,x\nc,\u202ex\n", "2 login invalid; 3 login invalid; 4 name invalid"},
	} {
		rep, err := o.importing(op, c.format, c.data, false)
		got := said(rep)
		if name == "long row" { // where it is noticed depends on how it is read
			got = strings.Join(strings.Fields(got)[1:], " ")
		}
		if err != nil || got != c.want || rep.Created != 0 {
			t.Errorf("%s: %q %v, want %q", name, got, err, c.want)
		}
	}
	list, err := o.Directory.Users(t.Context(), o.Company.ID, "", 0)
	if err != nil || len(list) != 1 {
		t.Errorf("%d people, %v", len(list), err)
	}
	if _, err := o.importing(op, "xml", "", false); field(err) != "format not_one_of" {
		t.Error(err)
	}
}

func TestImportPermissions_rul19(t *testing.T) {
	o := newOffice(t)
	olga, ada, hal := o.member(o.Company, "olga", "owner"), o.member(o.Company, "ada", "administrator"), o.member(o.Company, "hal", "helpdesk")
	for _, p := range []sallyporttest.Person{ada, hal} {
		if _, err := o.importing(o.sitting(p), "csv", "login\nx\n", true); code(err) != authn.Forbidden {
			t.Errorf("%s: %v", p.Login, err)
		}
	}
	ow := o.sitting(olga)
	rep, err := o.importing(ow, "csv", "login,roles\nx,administrator\ny,owner\n", false)
	if err != nil || said(rep) != "3 roles not_yours" {
		t.Errorf("%+v %v", rep, err)
	}
	rep, err = o.importing(ow, "csv", "login,roles\nx,administrator\n", false)
	if err != nil || rep.Created != 1 {
		t.Errorf("%+v %v", rep, err)
	}
	// A reader that fails leaves nothing.
	_, err = o.Directory.Import(t.Context(), ow, directory.ImportFile{Format: "csv", Data: io.MultiReader(strings.NewReader("login\nq1\nq2\n"), failing{})})
	if err == nil {
		t.Error("no error")
	}
	if _, _, err := o.Directory.Lookup(t.Context(), o.Company, "q1"); code(err) != authn.NotFound {
		t.Error("half a file")
	}
	rep, err = o.importing(ow, "csv", "login\nq1\n", false)
	if err != nil || rep.Created != 1 {
		t.Errorf("the one before is in the way: %+v %v", rep, err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, fmt.Errorf("the line was cut") }
