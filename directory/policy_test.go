package directory_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/message/inbox"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

var desk = authn.Client{Browser: "desk", Agent: "Chrome on Windows"}

// owner is an owner with an app who has just signed in with it.
func owner(t *testing.T, w *sallyporttest.Server, c authn.Company, login string, roles ...string) (authn.User, directory.Who) {
	t.Helper()
	u, err := w.Directory.CreateUser(t.Context(), c, directory.NewUser{Login: login, Email: login + "@" + c.Slug + ".example", Verified: true, Password: sallyporttest.Password, Roles: append(roles, directory.Owner)[:1]})
	if err != nil {
		t.Fatal(err)
	}
	_, secret := w.AddApp(t, u)
	return u, provenBy(t, w, c, u, secret)
}

func provenBy(t *testing.T, w *sallyporttest.Server, c authn.Company, u authn.User, secret []byte) directory.Who {
	t.Helper()
	st, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: c.Slug, Login: u.Login, Password: sallyporttest.Password, Client: desk})
	if err != nil {
		t.Fatal(err)
	}
	st, err = w.SignIn.Verify(t.Context(), signin.OpenerOf(st.Token, desk), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: w.Code(t, secret)}})
	if err != nil || st.Session == nil {
		t.Fatalf("%+v %v", st.Need, err)
	}
	return directory.Session(st.SessionToken, desk)
}

func key(err error) string {
	if err == nil {
		return ""
	}
	return authn.AsError(err).TextKey()
}

func save(d policy.Document, from int64) directory.PolicyChange {
	return directory.PolicyChange{Document: d, From: from, Reason: "asked for by audit"}
}

var (
	onFor  = policy.Document{Format: 1, TwoFactor: policy.On}
	forAll = policy.Document{Format: 1, TwoFactor: policy.Required}
)

func TestSavePolicy_rul25_G5(t *testing.T) {
	w := sallyporttest.NewServer(t)
	u, priya := owner(t, w, w.Company, "priya")
	_, zoe := owner(t, w, w.AddCompany(t, "beta", "Beta"), "zoe")
	for i := range 3 {
		w.AddUser(t, w.Company, fmt.Sprintf("member%d", i), false)
	}
	// The preview says what happens, and saves nothing.
	seen, err := w.Directory.PreviewPolicy(t.Context(), priya, save(forAll, 1))
	if err != nil || seen.Preview.People != 4 || seen.Preview.Groups[policy.GroupCode].People != 3 || seen.Preview.Groups[policy.GroupOwn].Owners != 1 || seen.Preview.Weakens {
		t.Fatalf("%+v %v", seen.Preview, err)
	}
	if c, err := w.Directory.Company(t.Context(), "acme"); err != nil || c.PolicyVersion != 1 {
		t.Fatalf("%+v %v", c, err)
	}
	if _, err := w.Directory.SavePolicy(t.Context(), priya, directory.PolicyChange{Document: forAll, From: 1}); field(err) != "reason required" {
		t.Errorf("without a reason: %v", err)
	}
	if saved, err := w.Directory.SavePolicy(t.Context(), priya, save(forAll, 1)); err != nil || saved.Version != 2 {
		t.Fatalf("%+v %v", saved, err)
	}
	// Two administrators at once: the second looks at it again.
	if _, err := w.Directory.SavePolicy(t.Context(), priya, save(onFor, 1)); key(err) != "error.policy_moved" {
		t.Errorf("%v", err)
	}
	if got := w.Mail(t, u.Email); slices.ContainsFunc(got, about("Less is asked")) {
		t.Error("owners are told of more being asked")
	}
	// Less than before: all owners hear of it.
	if saved, err := w.Directory.SavePolicy(t.Context(), priya, save(onFor, 2)); err != nil || !saved.Preview.Weakens {
		t.Fatalf("%+v %v", saved.Preview, err)
	}
	if !slices.ContainsFunc(w.Mail(t, u.Email), about("Less is asked")) {
		t.Error("the owners do not hear that less is asked")
	}
	// Undo is a save, with who, why and what it brought back.
	saved, err := w.Directory.SavePolicy(t.Context(), priya, directory.PolicyChange{From: 3, UndoOf: 2, Reason: "a mistake"})
	if err != nil || saved.Document.TwoFactor != policy.Required {
		t.Fatalf("%+v %v", saved, err)
	}
	list, err := w.Directory.PolicyVersions(t.Context(), w.Company.ID, 0, 0)
	if err != nil || len(list) != 4 || list[0].UndoOf != 2 || list[0].Actor != u.ID || list[0].Reason != "a mistake" || list[3].Actor != directory.Operator {
		t.Fatalf("%+v %v", list, err)
	}
	var summary policy.Preview
	if err := json.Unmarshal(list[0].Summary, &summary); err != nil || summary.People != 4 {
		t.Errorf("%s %v", list[0].Summary, err)
	}
	if _, err := w.Directory.SavePolicy(t.Context(), priya, directory.PolicyChange{From: 4, UndoOf: 99, Reason: "x"}); code(err) != authn.NotFound {
		t.Errorf("an undo of nothing: %v", err)
	}
	events, err := w.Store.Events(t.Context(), w.Company.ID, authn.EventQuery{Type: "policy.changed"})
	if err != nil || len(events) != 3 {
		t.Fatalf("%+v %v", events, err)
	}
	if d := events[0].Personal.Detail; events[0].Actor != u.ID || d["undo_of"] != "2" || d["reason"] != "a mistake" || d["changed"] != "two_factor" || d["weakens"] != "false" {
		t.Errorf("%+v", events[0])
	}
	// Nothing of it reaches another company.
	if list, err := w.Directory.PolicyVersions(t.Context(), zoe.Company, 0, 0); err != nil || len(list) != 1 {
		t.Errorf("%+v %v", list, err)
	}
	other := zoe
	other.Company = w.Company.ID
	if _, err := w.Directory.SavePolicy(t.Context(), other, save(onFor, 4)); code(err) != authn.Unauthenticated {
		t.Errorf("an owner of another company: %v", err)
	}
}

func about(what string) func(m inbox.Kept) bool {
	return func(m inbox.Kept) bool { return strings.Contains(m.Subject, what) }
}

func TestSavePolicy_refuses(t *testing.T) {
	w := sallyporttest.NewServer(t)
	u, priya := owner(t, w, w.Company, "priya")
	_, admin := owner(t, w, w.Company, "adam", directory.Administrator)
	if _, err := w.Directory.SavePolicy(t.Context(), admin, save(forAll, 1)); code(err) != authn.Forbidden {
		t.Errorf("an administrator: %v", err)
	}
	if _, err := w.Directory.PreviewPolicy(t.Context(), admin, save(forAll, 1)); code(err) != authn.Forbidden {
		t.Errorf("an administrator: %v", err)
	}
	mail := policy.Document{Format: 1, TwoFactor: policy.On, Methods: []authn.Kind{authn.Email}}
	weak := forAll
	weak.Methods, weak.Strength = []authn.Kind{authn.TOTP}, map[string]policy.Strength{directory.Owner: policy.PhishingResistant}
	late, far := onFor, onFor
	late.Next = &policy.Next{From: w.Clock.Now(), Document: forAll}
	far.Next = &policy.Next{From: w.Clock.Now().Add(367 * 24 * time.Hour), Document: forAll}
	coming := onFor
	coming.Next = &policy.Next{From: w.Clock.Now().Add(time.Hour), Document: mail}
	for name, tt := range map[string]struct {
		d         policy.Document
		key, want string
	}{
		"the last owner's way is not offered any more": {mail, "error.policy_strands_owners", ""},
		"nor from tomorrow on":                         {coming, "error.policy_strands_owners", ""},
		"no way here is strong enough":                 {weak, "", "policy.strength no_method"},
		"a document that says nothing":                 {policy.Document{}, "", ""},
		"from now on is not ahead":                     {late, "", "policy.next.from not_ahead"},
		"more than a year ahead":                       {far, "", "policy.next.from not_ahead"},
	} {
		_, err := w.Directory.SavePolicy(t.Context(), priya, save(tt.d, 1))
		switch {
		case tt.key != "" && key(err) != tt.key, tt.key == "" && code(err) != authn.Invalid, tt.want != "" && field(err) != tt.want:
			t.Errorf("%s: %v", name, err)
		}
	}
	// Another owner could still get in, but not whoever saves.
	o, err := w.Directory.CreateUser(t.Context(), w.Company, directory.NewUser{Login: "olga", Email: "olga@acme.example", Verified: true, Password: sallyporttest.Password, Roles: []string{directory.Owner}})
	if err != nil || o.ID == u.ID {
		t.Fatal(err)
	}
	mail.TwoFactor = policy.Required
	if seen, err := w.Directory.PreviewPolicy(t.Context(), priya, save(mail, 1)); err != nil || seen.Preview.OwnersLeft != 1 || seen.Preview.OwnersBefore != 2 {
		t.Errorf("the preview may show it: %+v %v", seen.Preview, err)
	}
	if _, err := w.Directory.SavePolicy(t.Context(), priya, save(mail, 1)); key(err) != "error.policy_strands_you" {
		t.Errorf("%v", err)
	}
	// The proof is too old: it takes the strongest step-up.
	w.Clock.Advance(11 * time.Minute)
	if _, err := w.Directory.SavePolicy(t.Context(), priya, save(forAll, 1)); code(err) != authn.StepUpRequired || authn.AsError(err).ACRValues != authn.AAL2 {
		t.Errorf("%v", err)
	}
	if c, err := w.Directory.Company(t.Context(), "acme"); err != nil || c.PolicyVersion != 1 {
		t.Errorf("%+v %v", c, err)
	}
	// The operator needs neither a session nor a reason.
	if _, err := w.Directory.SavePolicy(t.Context(), directory.TheOperator(w.Company.ID), directory.PolicyChange{Document: forAll, From: 1}); err != nil {
		t.Error(err)
	}
}

// A staged rollout: everybody who will be asked hears of it once each time.
func TestRemindPolicies_G5(t *testing.T) {
	w := sallyporttest.NewServer(t)
	_, priya := owner(t, w, w.Company, "priya")
	w.AddUser(t, w.Company, "ada", true) // has an app already
	maya, omar := w.AddUser(t, w.Company, "maya", false), w.AddUser(t, w.Company, "omar", false)
	if err := w.Directory.SetStatus(t.Context(), w.Company, omar.ID, authn.Suspended); err != nil {
		t.Fatal(err)
	}
	other := w.AddUser(t, w.AddCompany(t, "beta", "Beta"), "zoe", false)
	from := w.Clock.Now().Add(20 * 24 * time.Hour)
	doc := onFor
	doc.Next = &policy.Next{From: from, Document: forAll}
	if _, err := w.Directory.SavePolicy(t.Context(), priya, save(doc, 1)); err != nil {
		t.Fatal(err)
	}
	count := func(address string) (n int) {
		for _, m := range w.Mail(t, address) {
			if strings.HasPrefix(m.Subject, "Signing in to") {
				n++
			}
		}
		return n
	}
	for _, tt := range []struct {
		at   time.Duration // before it begins
		want int
	}{{20 * 24 * time.Hour, 0}, {14*24*time.Hour + time.Second, 0}, {14 * 24 * time.Hour, 1}, {5 * 24 * time.Hour, 1}, {3 * 24 * time.Hour, 2}, {time.Hour, 2}, {0, 3}, {-time.Hour, 3}, {-30 * 24 * time.Hour, 3}} {
		w.Clock.Advance(from.Add(-tt.at).Sub(w.Clock.Now()))
		for range 3 { // on each node, every minute
			if err := w.Directory.RemindPolicies(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := count(maya.Email); got != tt.want {
			t.Errorf("%s before: %d letters, want %d", tt.at, got, tt.want)
		}
	}
	for _, who := range []string{"ada@acme.example", "priya@acme.example", omar.Email, other.Email} {
		if n := count(who); n != 0 {
			t.Errorf("%s got %d", who, n)
		}
	}
	// It holds by itself.
	st, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: "maya", Password: sallyporttest.Password, Client: desk})
	if err != nil || st.Need.State != authn.NeedFactor {
		t.Errorf("%+v %v", st.Need, err)
	}
}

// Hundreds of people are told page by page, however often it is interrupted.
func TestRemindPolicies_pages(t *testing.T) {
	w := sallyporttest.NewServer(t)
	const people = 430
	for i := range people {
		if _, err := w.Directory.CreateUser(t.Context(), w.Company, directory.NewUser{Login: fmt.Sprintf("u%03d", i), Email: fmt.Sprintf("u%03d@acme.example", i), Verified: true}); err != nil {
			t.Fatal(err)
		}
	}
	doc := onFor
	doc.Next = &policy.Next{From: w.Clock.Now().Add(24 * time.Hour), Document: forAll}
	if err := w.Directory.SetPolicy(t.Context(), w.Company.ID, doc, 1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Directory.RemindPolicies(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	st, err := w.Store.CompanyOutbox(t.Context(), w.Company.ID, authn.Email)
	if err != nil || st.Waiting != people {
		t.Errorf("%d letters, %v", st.Waiting, err)
	}
}

// Whom a save strands gets an invitation, once for each change, wherever the work
// was interrupted; and the preview says how many (rul-2).
func TestInviteStranded_rul2(t *testing.T) {
	w := sallyporttest.NewServer(t)
	_, priya := owner(t, w, w.Company, "priya")
	w.UseTexts(t, w.Company)
	const people = 250 // more than a page
	stranded := map[string]bool{}
	for i := range people {
		u, err := w.Directory.CreateUser(t.Context(), w.Company, directory.NewUser{Login: fmt.Sprintf("u%03d", i), Email: fmt.Sprintf("u%03d@acme.example", i), Verified: true})
		if err != nil {
			t.Fatal(err)
		}
		if i%60 == 0 {
			w.AddPhone(t, u, fmt.Sprintf("+4670174%04d", i))
			stranded[u.ID] = true
		}
	}
	noMail, err := w.Directory.CreateUser(t.Context(), w.Company, directory.NewUser{Login: "nomail"})
	if err != nil {
		t.Fatal(err)
	}
	w.AddPhone(t, noMail, "+46701740988")
	zoe := w.AddUser(t, w.AddCompany(t, "beta", "Beta"), "zoe", true)
	run := func() {
		t.Helper()
		for range 2 {
			if err := w.Directory.InviteStranded(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	invited := func() map[string]int {
		t.Helper()
		events, err := w.Store.Events(t.Context(), w.Company.ID, authn.EventQuery{Type: "user.invited"})
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]int{}
		for _, e := range events {
			if e.Personal.Detail["reason"] == "policy" {
				out[e.Target]++
			}
		}
		return out
	}
	apps := policy.Document{Format: 1, TwoFactor: policy.Required, Methods: []authn.Kind{authn.TOTP, authn.Duo}}
	saved, err := w.Directory.SavePolicy(t.Context(), priya, save(apps, 1))
	if err != nil || saved.Preview.Groups[policy.GroupStranded].People != len(stranded)+1 || saved.Preview.Groups[policy.GroupStranded].Invited != len(stranded) {
		t.Fatalf("%+v %v", saved.Preview.Groups[policy.GroupStranded], err)
	}
	run()
	got := invited()
	for id := range stranded {
		if got[id] != 1 {
			t.Errorf("%s got %d invitations", id, got[id])
		}
	}
	if other, err := w.Store.Events(t.Context(), zoe.Company, authn.EventQuery{Type: "user.invited"}); err != nil || len(other) != 0 {
		t.Errorf("another company: %+v %v", other, err)
	}
	if len(got) != len(stranded) {
		t.Errorf("%d invitations, want %d", len(got), len(stranded))
	}
	// A save that strands nobody more invites nobody again.
	apps.GraceDays = 7
	if _, err := w.Directory.SavePolicy(t.Context(), priya, save(apps, 2)); err != nil {
		t.Fatal(err)
	}
	run()
	if again := invited(); len(again) != len(stranded) {
		t.Errorf("%v", again)
	}
	for _, n := range invited() {
		if n != 1 {
			t.Errorf("%d invitations of one person", n)
		}
	}
	if at, err := w.Store.Invitations(t.Context(), w.Company.ID); err != nil || !at.Done {
		t.Errorf("%+v %v", at, err)
	}
}
