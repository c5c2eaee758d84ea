package directory_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// erasing is a server with an owner who can erase.
type erasing struct {
	*sallyporttest.Server
	t     *testing.T
	owner sallyporttest.Person
}

func newErasing(t *testing.T) *erasing {
	w := &erasing{Server: sallyporttest.NewServer(t), t: t}
	w.owner = w.add("zoe", directory.Owner)
	return w
}

func (w *erasing) add(login string, roles ...string) sallyporttest.Person {
	w.t.Helper()
	u, err := w.Directory.CreateUser(w.t.Context(), w.Company, directory.NewUser{Login: login, Name: "Canary " + login, Email: login + "@acme.example", Verified: true,
		Password: sallyporttest.Password, Roles: roles})
	if err != nil {
		w.t.Fatal(err)
	}
	p := sallyporttest.Person{User: u}
	p.Factor, p.Secret = w.AddApp(w.t, u)
	return p
}

var home = authn.Client{Agent: "Firefox on Linux"}

// session is a fresh one, with two ways shown just now.
func (w *erasing) session(p sallyporttest.Person) authn.Token {
	w.t.Helper()
	w.Clock.Advance(30 * time.Second) // a code works once
	st, err := w.SignIn.Begin(w.t.Context(), signin.Begin{Company: "acme", Login: p.Login, Password: sallyporttest.Password, Client: home})
	if err == nil {
		st, err = w.SignIn.Verify(w.t.Context(), signin.OpenerOf(st.Token, home), signin.Verify{Version: st.Attempt.Version, Method: authn.TOTP,
			Answer: authn.Answer{Code: w.Code(w.t, p.Secret)}})
	}
	if err != nil || st.SessionToken.IsZero() {
		w.t.Fatalf("%s does not get in: %v", p.Login, err)
	}
	return st.SessionToken
}

func (w *erasing) as(p sallyporttest.Person) directory.Who {
	return directory.Session(w.session(p), home)
}

const ticket = "asked for it, ticket 4711"

func (w *erasing) verify() {
	w.t.Helper()
	w.Clock.Advance(time.Minute)
	for n := 1; n > 0; {
		var err error
		if n, err = w.Audit.SealSome(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	if r, err := w.Audit.Verify(w.t.Context(), w.Company.ID, audit.Check{}); err != nil || r.Broken != "" || r.Events == 0 {
		w.t.Errorf("%+v %v", r, err)
	}
}

func TestErase_K2(t *testing.T) {
	w := newErasing(t)
	maya := w.add("maya")
	hers := w.session(maya)
	w.verify()
	locale := "pl"
	if _, err := w.Directory.UpdateProfile(t.Context(), hers, []string{"en", "pl"}, directory.Profile{Locale: &locale}); err != nil {
		t.Fatal(err)
	}
	who := w.as(w.owner)
	for reason, want := range map[string]string{
		"": "reason required", "Canary Maya asked": "reason names_person", "for MAYA@acme.example": "reason names_person", "maya": "reason names_person",
	} {
		if _, err := w.Directory.EraseUser(t.Context(), who, maya.ID, "maya", reason); field(err) != want {
			t.Errorf("%q: %v", reason, err)
		}
	}
	for _, typed := range []string{"", "zoe", maya.ID, "maya@acme.example"} {
		if _, err := w.Directory.EraseUser(t.Context(), who, maya.ID, typed, ticket); field(err) != "login not_theirs" {
			t.Errorf("%q: %v", typed, err)
		}
	}
	out, err := w.Directory.EraseUser(t.Context(), who, maya.ID, "MAYA", ticket)
	if err != nil || out.Waits != nil {
		t.Fatalf("%+v %v", out, err)
	}
	if _, err := w.Sessions.Check(t.Context(), hers.Reveal(), home); code(err) != authn.Unauthenticated {
		t.Errorf("cve-54 the session: %v", err)
	}
	if _, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: "maya", Password: sallyporttest.Password}); code(err) != authn.WrongCredentials {
		t.Errorf("the login: %v", err)
	}
	if _, err := w.Directory.EraseUser(t.Context(), who, maya.ID, "maya", ticket); code(err) != authn.NotFound {
		t.Errorf("again: %v", err)
	}
	letters := w.Mail(t, "maya@acme.example")
	if len(letters) == 0 || letters[len(letters)-1].Subject != "Konto zostało usunięte – Acme Projects" {
		t.Errorf("%+v", letters)
	}
	events, err := w.Audit.Events(t.Context(), w.Company.ID, authn.EventQuery{Target: maya.ID})
	if err != nil || len(events) == 0 || events[0].Type != "user.erased" || events[0].Actor != w.owner.ID || events[0].Personal.Detail["reason"] != ticket {
		t.Fatalf("%+v %v", events, err)
	}
	for _, ev := range events[1:] {
		if ev.Personal.Address != "" || ev.Personal.Agent != "" || len(ev.Personal.Detail) > 0 {
			t.Errorf("what an event said can be read: %+v", ev)
		}
	}
	stones, err := w.Directory.Erased(t.Context(), w.Company.ID, []string{maya.ID, w.owner.ID})
	if err != nil || len(stones) != 1 || stones[maya.ID].By != w.owner.ID {
		t.Errorf("%+v %v", stones, err)
	}
	w.verify()
	again := w.add("maya")
	if events, err := w.Audit.Events(t.Context(), w.Company.ID, authn.EventQuery{Target: again.ID}); err != nil || len(events) != 2 || again.ID == maya.ID {
		t.Errorf("somebody new has a past: %+v %v", events, err)
	}
}

// rul-17: who may erase whom, and who has to agree.
func TestEraseRules_rul17(t *testing.T) {
	w := newErasing(t)
	tom, ada, other := w.add("tom", directory.Administrator), w.add("ada", directory.Owner), w.AddCompany(t, "beta", "Beta")
	stranger, err := w.Directory.CreateUser(t.Context(), other, directory.NewUser{Login: "lena"})
	if err != nil {
		t.Fatal(err)
	}
	maya := w.add("maya")
	for name, tt := range map[string]struct {
		who    directory.Who
		target string
		want   authn.Code
	}{
		"an administrator":    {w.as(tom), maya.ID, authn.Forbidden},
		"themself":            {w.as(w.owner), w.owner.ID, authn.Forbidden},
		"of another company":  {w.as(w.owner), stranger.ID, authn.NotFound},
		"nobody":              {directory.Who{}, maya.ID, authn.Unauthenticated},
		"the other's session": {directory.Who{Actor: authn.Actor{Session: w.session(ada)}, Company: other.ID}, stranger.ID, authn.Unauthenticated},
	} {
		if _, err := w.Directory.Do(t.Context(), tt.who, directory.PersonAct{Do: directory.Erase, Target: tt.target, Reason: ticket}); code(err) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	old := w.as(w.owner)
	w.Clock.Advance(20 * time.Minute)
	if _, err := w.Directory.Do(t.Context(), old, directory.PersonAct{Do: directory.Erase, Target: maya.ID, Reason: ticket}); code(err) != authn.StepUpRequired {
		t.Errorf("cve-55 an old proof: %v", err)
	}
	// Somebody with administrative rights: the word of a second person.
	act := directory.PersonAct{Do: directory.Erase, Target: tom.ID, Reason: ticket}
	who := w.as(w.owner)
	out, err := w.Directory.Do(t.Context(), who, act)
	if err != nil || out.Waits == nil {
		t.Fatalf("%+v %v", out, err)
	}
	if u, _, err := w.Directory.Lookup(t.Context(), w.Company, tom.ID); err != nil || u.Login != "tom" {
		t.Fatalf("he is gone: %v", err)
	}
	if _, err := w.Directory.Approve(t.Context(), w.as(ada), out.Waits.ID, "seen"); err != nil {
		t.Fatal(err)
	}
	if out, err = w.Directory.Do(t.Context(), w.as(w.owner), act); err != nil || out.Waits != nil {
		t.Fatalf("%+v %v", out, err)
	}
	if list, err := w.Directory.Approvals(t.Context(), w.as(w.owner), tom.ID, "", 10); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
	// What waits about somebody who is erased meanwhile comes to nothing.
	eve := w.add("eve", directory.Helpdesk)
	suspend := directory.PersonAct{Do: directory.Suspend, Target: eve.ID, Reason: "left"}
	if out, err = w.Directory.Do(t.Context(), w.as(w.owner), suspend); err != nil || out.Waits == nil {
		t.Fatalf("%+v %v", out, err)
	}
	if _, err := w.Directory.Do(t.Context(), directory.TheOperator(w.Company.ID), directory.PersonAct{Do: directory.Erase, Target: eve.ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Directory.Approve(t.Context(), w.as(ada), out.Waits.ID, ""); code(err) != authn.NotFound {
		t.Errorf("%v", err)
	}
	if _, err := w.Directory.Do(t.Context(), w.as(w.owner), suspend); code(err) != authn.NotFound {
		t.Errorf("%v", err)
	}
	// The last owner who may sign in stays.
	if _, err := w.Directory.Do(t.Context(), directory.TheOperator(w.Company.ID), directory.PersonAct{Do: directory.Erase, Target: ada.ID}); err != nil {
		t.Fatal(err)
	}
	_, err = w.Directory.Do(t.Context(), directory.TheOperator(w.Company.ID), directory.PersonAct{Do: directory.Erase, Target: w.owner.ID})
	if e := authn.AsError(err); e.Code != authn.Conflict || e.Key != "error.last_owner" {
		t.Errorf("the last owner: %v", err)
	}
	if _, err := w.Sessions.Check(t.Context(), w.session(w.owner).Reveal(), home); err != nil {
		t.Errorf("nothing of it was done: %v", err)
	}
	w.verify()
}

// An erasure beside sign-ins of the same person: whoever is late finds nobody.
func TestEraseRacesWithSignIn_K2(t *testing.T) {
	w := newErasing(t)
	for range 5 {
		maya := w.add("maya")
		w.Clock.Advance(30 * time.Second)
		answer := authn.Answer{Code: w.Code(t, maya.Secret)}
		st, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: "maya", Password: sallyporttest.Password, Client: home})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var token authn.Token
		wg.Go(func() {
			if done, err := w.SignIn.Verify(t.Context(), signin.OpenerOf(st.Token, home), signin.Verify{Version: st.Attempt.Version, Method: authn.TOTP, Answer: answer}); err == nil {
				token = done.SessionToken
			}
		})
		wg.Go(func() {
			if _, err := w.Directory.Do(t.Context(), directory.TheOperator(w.Company.ID), directory.PersonAct{Do: directory.Erase, Target: maya.ID}); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if !token.IsZero() {
			if _, err := w.Sessions.Check(t.Context(), token.Reveal(), home); code(err) != authn.Unauthenticated {
				t.Errorf("a session of nobody: %v", err)
			}
		}
		if _, _, err := w.Directory.Lookup(t.Context(), w.Company, maya.ID); code(err) != authn.NotFound {
			t.Errorf("%v", err)
		}
	}
	w.verify()
}

func TestExport_K2(t *testing.T) {
	w := newErasing(t)
	// A name that no id has by chance.
	maya, tom := w.add("maya"), w.add("tom-the-administrator", directory.Administrator)
	hers := w.session(maya)
	other := w.AddCompany(t, "beta", "Beta")
	// Something by an administrator, from where he sits.
	tomsClient := authn.Client{Agent: "Tom's own browser"}
	if _, err := w.Directory.Do(t.Context(), directory.Session(w.session(tom), tomsClient), directory.PersonAct{Do: directory.Suspend, Target: maya.ID, Reason: "looked odd"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Directory.Do(t.Context(), directory.Session(w.session(tom), tomsClient), directory.PersonAct{Do: directory.Activate, Target: maya.ID, Reason: "was fine"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Directory.ExportOwn(t.Context(), hers, home, maya.ID); code(err) != authn.Unauthenticated {
		t.Errorf("a session that was ended: %v", err)
	}
	hers = w.session(maya)
	for range 250 { // more than a page
		if _, err := w.Directory.UpdateProfile(t.Context(), hers, nil, directory.Profile{Name: &maya.Name}); err != nil {
			t.Fatal(err)
		}
	}
	write := func(e *directory.Export, err error) map[string]any {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := e.Write(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
			t.Fatalf("%v: %s", err, b.Bytes())
		}
		for _, no := range []string{"Tom's own browser", tom.ID, w.owner.ID, tom.Login, hers.Reveal(), "argon2"} {
			if bytes.Contains(b.Bytes(), []byte(no)) {
				t.Errorf("%q is in it", no)
			}
		}
		return doc
	}
	doc := write(w.Directory.ExportOwn(t.Context(), hers, home, maya.ID))
	events := doc["events"].([]any)
	if len(events) < 255 || !strings.Contains(asText(events), "looked odd") || !strings.Contains(asText(events), `"by":"administrator"`) || len(doc["acts"].([]any)) != 0 {
		t.Errorf("%d events: %s", len(events), asText(events)[:300])
	}
	if p := doc["profile"].(map[string]any); p["email"] != "maya@acme.example" || p["name"] != "Canary maya" || len(doc["logins"].([]any)) != 2 || len(doc["sessions"].([]any)) != 1 {
		t.Errorf("%v", doc["profile"])
	}
	if toms := write(w.Directory.Export(t.Context(), directory.TheOperator(w.Company.ID), maya.ID)); len(toms["events"].([]any)) != len(events)+1 {
		t.Error("that it was made is not in it")
	}
	e, err := w.Directory.Export(t.Context(), w.as(w.owner), tom.ID)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := e.Write(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if acts := b.String()[strings.Index(b.String(), `"acts"`):]; !strings.Contains(acts, "user.suspended") || strings.Contains(acts, maya.ID) || strings.Contains(acts, "looked odd") {
		t.Errorf("what he did to others: %s", acts)
	}
	for name, tt := range map[string]struct {
		err  error
		want authn.Code
	}{
		"an administrator":       {second(w.Directory.Export(t.Context(), w.as(tom), maya.ID)), authn.Forbidden},
		"a member":               {second(w.Directory.Export(t.Context(), w.as(maya), tom.ID)), authn.Forbidden},
		"another's as one's own": {second(w.Directory.ExportOwn(t.Context(), w.session(maya), home, tom.ID)), authn.Forbidden},
		"from another company":   {second(w.Directory.Export(t.Context(), directory.TheOperator(other.ID), maya.ID)), authn.NotFound},
		"nobody":                 {second(w.Directory.Export(t.Context(), w.as(w.owner), "nobody")), authn.NotFound},
		"no target":              {second(w.Directory.Export(t.Context(), w.as(w.owner), "")), authn.NotFound},
	} {
		if code(tt.err) != tt.want {
			t.Errorf("%s: %v", name, tt.err)
		}
	}
	hers = w.session(maya)
	w.Clock.Advance(20 * time.Minute)
	if _, err := w.Directory.ExportOwn(t.Context(), hers, home, maya.ID); code(err) != authn.StepUpRequired {
		t.Errorf("cve-55 an old proof: %v", err)
	}
}

func second(_ *directory.Export, err error) error { return err }

func asText(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// The members of the document are those that docs/privacy.md lists.
func TestExportIsDocumented_K2(t *testing.T) {
	w := newErasing(t)
	e, err := w.Directory.Export(t.Context(), directory.TheOperator(w.Company.ID), w.owner.ID)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := e.Write(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../docs/privacy.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range doc {
		if !strings.Contains(string(text), "| `"+name+"` |") {
			t.Errorf("docs/privacy.md does not say what %s is", name)
		}
	}
}

func TestEraseCompany_K2(t *testing.T) {
	w := newErasing(t)
	other := w.AddCompany(t, "beta", "Beta")
	hers := w.session(w.owner)
	if err := w.Directory.EraseCompany(t.Context(), w.Company.ID); err != nil {
		t.Fatal(err)
	}
	_, unknown := w.SignIn.Begin(t.Context(), signin.Begin{Company: "unheard-of", Login: "zoe", Password: sallyporttest.Password})
	_, erased := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: "zoe", Password: sallyporttest.Password})
	if code(erased) != code(unknown) || code(erased) == "" {
		t.Errorf("erased: %v, unknown: %v", erased, unknown)
	}
	if _, err := w.Sessions.Check(t.Context(), hers.Reveal(), home); code(err) != authn.Unauthenticated {
		t.Errorf("%v", err)
	}
	if _, err := w.Directory.Export(t.Context(), directory.TheOperator(w.Company.ID), w.owner.ID); code(err) != authn.NotFound {
		t.Errorf("%v", err)
	}
	if err := w.Directory.FlushRefusals(t.Context()); err != nil {
		t.Error(err)
	}
	for done, n := false, 0; !done && n < 100; n++ {
		var err error
		if done, err = w.Directory.PurgeCompany(t.Context(), w.Company.ID, 1); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := w.Directory.Companies(t.Context()); err != nil || len(all) != 1 || all[0].ID != other.ID {
		t.Errorf("%+v %v", all, err)
	}
	if _, err := w.Directory.CreateCompany(t.Context(), "acme", "Somebody Else"); err != nil {
		t.Errorf("the name is free: %v", err)
	}
	if err := w.Directory.EraseCompany(t.Context(), w.Company.ID); code(err) != authn.NotFound {
		t.Errorf("%v", err)
	}
}
