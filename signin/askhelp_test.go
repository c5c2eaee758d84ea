package signin_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

func (w world) askHelp(st signin.Status, b string) (signin.Status, error) {
	return w.SignIn.AskHelp(w.t.Context(), signin.OpenerOf(st.Token, browser(b)))
}

// asks reports whether somebody asks for help, as lists and counts have it.
func (w world) asks(p sallyporttest.Person) bool {
	w.t.Helper()
	u := w.rows(p).User
	shapes, err := w.Store.Shapes(w.t.Context(), w.Company.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	var n int64
	for text, people := range shapes {
		if s, err := authn.ParseShape(text); err != nil {
			w.t.Fatal(err)
		} else if s.Asks {
			n += people
		}
	}
	if asks := !u.HelpAskedAt.IsZero(); asks != (n == 1) {
		w.t.Errorf("asked at %v, and %d are counted", u.HelpAskedAt, n)
	}
	return !u.HelpAskedAt.IsZero()
}

// letters is how many messages to an address say all of this.
func (w world) letters(to string, says ...string) int {
	w.t.Helper()
	n := 0
	for _, m := range w.Mail(w.t, to) {
		if !slices.ContainsFunc(says, func(words string) bool { return !strings.Contains(m.Text, words) }) {
			n++
		}
	}
	return n
}

// S9, rul-18: who shows the password can ask; the person and who may help are told
// once, nothing of the account changes, and it ends with the next sign-in.
func TestAskHelp_S9_rul18(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	boss := w.addUser(directory.NewUser{Login: "boss", Email: "boss@acme.example", Verified: true, Roles: []string{directory.Owner}})
	st := w.mustBegin(maya, browser("b"))
	epoch := w.rows(maya).User.Epoch
	asked, err := w.askHelp(st, "b")
	if err != nil || asked.Need.State != authn.NeedFactor || !asked.User.HelpAskedAt.Equal(w.Clock.Now()) || asked.Attempt.Version != st.Attempt.Version {
		t.Fatalf("%+v %v", asked, err)
	}
	w.Clock.Advance(time.Minute)
	if again, err := w.askHelp(st, "b"); err != nil || !again.User.HelpAskedAt.Equal(asked.User.HelpAskedAt) {
		t.Errorf("again: %v %v", again.User.HelpAskedAt, err)
	}
	if !w.asks(maya) || w.rows(maya).User.Epoch != epoch {
		t.Error("it is not kept, or something else changed")
	}
	if n := w.letters(maya.Email, "asked your admin", "/not-me/"); n != 1 {
		t.Errorf("%d to the person", n)
	}
	if n := w.letters(boss.Email, "asks for your help", "Call back on the number"); n != 1 {
		t.Errorf("%d to the owner", n)
	}
	if n := len(slices.DeleteFunc(w.events(maya), func(e string) bool { return !strings.HasPrefix(e, "help.asked") })); n != 1 {
		t.Errorf("%d events", n)
	}
	if _, err := w.verify(st, w.Code(t, maya.Secret), browser("b")); err != nil {
		t.Fatal(err)
	}
	if w.asks(maya) {
		t.Error("it is open after the sign-in")
	}
}

// Everybody who may help is told: by built-in roles and by the company's own, once each,
// and no program.
func TestAskHelp_S9_helpers(t *testing.T) {
	w := newWorld(t)
	for name, may := range map[string][]string{"first-aid": {"users.read", "factors.manage"}, "readers": {"users.read", "audit.read"}} {
		if _, err := w.Directory.SaveRole(t.Context(), directory.TheOperator(w.Company.ID), directory.RoleChange{Name: name, Title: name, Permissions: may}); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if w.Company, err = w.Directory.Company(t.Context(), w.Company.Slug); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for login, c := range map[string]struct {
		roles []string
		n     int
	}{
		"boss": {[]string{directory.Owner}, 1}, "admin": {[]string{directory.Administrator}, 1}, "desk": {[]string{directory.Helpdesk, directory.Administrator}, 1},
		"aid": {[]string{directory.Member, "first-aid"}, 1}, "reader": {[]string{"readers"}, 0}, "member": {[]string{directory.Member}, 0},
	} {
		p := w.addUser(directory.NewUser{Login: login, Email: login + "@acme.example", Verified: true, Roles: c.roles})
		want[p.Email] = c.n
	}
	maya := w.AddUser(t, w.Company, "maya", true)
	if _, err := w.askHelp(w.mustBegin(maya, browser("b")), "b"); err != nil {
		t.Fatal(err)
	}
	for to, n := range want {
		if got := w.letters(to, "asks for your help", "Call back on the number"); got != n {
			t.Errorf("%s: %d letters, want %d", to, got, n)
		}
	}
}

// It proves nothing: who is refused stays refused, and asks all the same.
func TestAskHelp_S9_denied(t *testing.T) {
	w := newWorld(t)
	w.setPolicy(policy.Document{TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience}})
	maya := w.AddUser(t, w.Company, "maya", true)
	rows := w.rows(maya)
	w.lock(maya, rows.FactorOf(authn.TOTP, authn.Confirmed).ID)
	st := w.mustBegin(maya, browser("b"))
	if got, err := w.askHelp(st, "b"); err != nil || !got.SessionToken.IsZero() || got.Need.State == authn.Complete {
		t.Errorf("%+v %v", got, err)
	}
	if !w.asks(maya) {
		t.Error("it is not kept")
	}
}

// Whoever was not asked to verify has nothing to ask, and nobody asks for others.
func TestAskHelp_S9_refused(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	st := w.mustBegin(maya, browser("b"))
	if _, err := w.verify(st, w.Code(t, maya.Secret), browser("b")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.askHelp(st, "b"); authn.AsError(err).Code != authn.Conflict && authn.AsError(err).Code != authn.NotFound {
		t.Errorf("after the sign-in: %v", err)
	}
	w.Clock.Advance(time.Minute)
	done := w.signIn(maya, browser("b"))
	up, err := w.SignIn.StepUp(t.Context(), done.SessionToken, "", "", browser("b"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.askHelp(up, "b"); authn.AsError(err).Code != authn.NotFound {
		t.Errorf("in a step-up: %v", err)
	}
	st = w.mustBegin(maya, browser("b"))
	w.Clock.Advance(16 * time.Minute)
	if _, err := w.askHelp(st, "b"); authn.AsError(err).Code != authn.Expired {
		t.Errorf("too late: %v", err)
	}
	if w.asks(maya) {
		t.Error("one of them counted")
	}
}

// A hundred at once are one.
func TestAskHelp_S9_raced(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	st := w.mustBegin(maya, browser("b"))
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, err := w.askHelp(st, "b"); err != nil && authn.AsError(err).Code != authn.Busy {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := w.letters(maya.Email, "asked your admin"); n != 1 || !w.asks(maya) {
		t.Errorf("%d letters", n)
	}
}
