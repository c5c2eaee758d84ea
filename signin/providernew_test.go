package signin_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// staffed is a company with an owner, somebody who may change providers and is none, and
// somebody who may nothing. All have an app, and text messages and Duo besides.
type staffed struct {
	world
	kind               authn.Kind
	priya, editor, tom sallyporttest.Person
	browserOf          authn.Client
	numbers            map[string]string
}

func newStaffed(t *testing.T, kind authn.Kind) *staffed {
	s := &staffed{world: newWorld(t), kind: kind, browserOf: browser("b"), numbers: map[string]string{}}
	role := directory.RoleChange{Name: "senders", Title: "Senders", Permissions: []string{string(directory.ProvidersWrite)}}
	if _, err := s.Directory.SaveRole(t.Context(), directory.TheOperator(s.Company.ID), role); err != nil {
		t.Fatal(err)
	}
	acme, err := s.Directory.Company(t.Context(), s.Company.Slug)
	must(t, err)
	s.Duo = sallyporttest.NewDuo(t, sallyporttest.DuoConfig{Now: s.Clock.Now, Poll: 20 * time.Millisecond})
	add := func(login, number string, roles ...string) sallyporttest.Person {
		p := s.AddUser(t, acme, login, true, roles...)
		s.AddPhone(t, p.User, number)
		s.AddDuo(t, p.User, login)
		s.numbers[login] = number
		return p
	}
	s.priya, s.editor, s.tom = add("priya", mobile, directory.Owner), add("eddie", second, "senders"), add("tom", "+46701740607")
	return s
}

func (s *staffed) who(p sallyporttest.Person) provider.Who {
	s.t.Helper()
	s.Clock.Advance(time.Minute)
	return provider.Who{Token: s.signIn(p, s.browserOf).SessionToken, Client: s.browserOf}
}

// saves is somebody who saves settings; they are the same each time.
func (s *staffed) saves(p sallyporttest.Person) {
	s.t.Helper()
	var err error
	if s.kind == authn.SMS {
		_, err = s.Providers.SetTexts(s.t.Context(), s.who(p), provider.TextChange{TextSettings: authn.TextSettings{
			Providers: []authn.TextProvider{{Driver: "inbox"}}, Countries: []string{"SE"}}})
	} else {
		var set authn.DuoSettings
		must(s.t, json.Unmarshal(s.Duo.Settings(), &set))
		_, err = s.Providers.SetDuo(s.t.Context(), s.who(p), provider.DuoChange{DuoSettings: set})
	}
	must(s.t, err)
}

func (s *staffed) removes(p sallyporttest.Person) {
	s.t.Helper()
	var err error
	if s.kind == authn.SMS {
		_, err = s.Providers.RemoveTexts(s.t.Context(), s.who(p), 0)
	} else {
		_, err = s.Providers.RemoveDuo(s.t.Context(), s.who(p), 0)
	}
	must(s.t, err)
}

// asks has the provider used in an attempt, and gives how often it was.
func (s *staffed) asks(p sallyporttest.Person, st signin.Status) (used int, err error) {
	s.t.Helper()
	before := s.texts(s.numbers[p.Login]) + s.calls()
	if s.kind == authn.SMS {
		_, err = s.text(st, s.browserOf)
	} else {
		_, err = s.SignIn.Start(s.t.Context(), opener(st, s.browserOf), authn.Duo, "", "")
	}
	return s.texts(s.numbers[p.Login]) + s.calls() - before, err
}

// calls are those of Duo but for what the pushes before are followed by, which goes on
// beside the test.
func (s *staffed) calls() (n int) {
	for _, c := range s.Duo.Calls() {
		if !strings.HasSuffix(c.Path, "/auth_status") {
			n++
		}
	}
	return n
}

func isNew(err error) bool {
	return err != nil && authn.AsError(err).Code == authn.PolicyForbids && authn.AsError(err).Key == "error.provider_new"
}

// serves checks for whom of the three the provider is used.
func (s *staffed) serves(what string, owner bool) {
	s.t.Helper()
	s.Clock.Advance(11 * time.Minute)
	for _, p := range []sallyporttest.Person{s.priya, s.editor, s.tom} {
		st := s.mustBegin(p, s.browserOf)
		used, err := s.asks(p, st)
		if want := owner || p.ID != s.priya.ID; want != (err == nil && used > 0) || !want && (!isNew(err) || used != 0) {
			s.t.Errorf("%s: %s: used %d times, %v", what, p.Login, used, err)
		}
	}
}

// rul-19: who changes the provider of text messages, or Duo, has no codes and no
// approvals of who may do more for a day, whatever was there before.
func TestProviderIsNew_rul19_rul4(t *testing.T) {
	for _, kind := range []authn.Kind{authn.SMS, authn.Duo} {
		t.Run(string(kind), func(t *testing.T) {
			s := newStaffed(t, kind)
			s.saves(s.editor)
			s.serves("the first settings", false)
			s.saves(s.priya)
			s.serves("an owner agrees", true)
			s.saves(s.editor)
			s.serves("changed", false)
			s.Clock.Advance(23 * time.Hour)
			s.serves("23 hours later", false)
			s.Clock.Advance(40 * time.Minute)
			s.serves("a day later", true)
			s.removes(s.editor)
			s.saves(s.editor)
			s.serves("removed and set again", false)
			s.Clock.Advance(23 * time.Hour)
			s.removes(s.editor)
			s.Clock.Advance(2 * time.Hour)
			s.saves(s.editor)
			s.serves("removed, and set again after the day", false)
			s.saves(s.another())
			s.serves("another owner agrees", true)
		})
	}
}

// another is a second owner.
func (s *staffed) another() sallyporttest.Person {
	return s.AddUser(s.t, s.Company, "olga", true, directory.Owner)
}

// The way stays listed, other ways work, and nothing is charged: in a sign-in, when it
// is confirmed that it's them, and in a set-up.
func TestProviderIsNewUncharged_rul19(t *testing.T) {
	for _, kind := range []authn.Kind{authn.SMS, authn.Duo} {
		t.Run(string(kind), func(t *testing.T) {
			s := newStaffed(t, kind)
			s.saves(s.priya)
			s.saves(s.editor)
			s.Clock.Advance(11 * time.Minute)
			st := s.mustBegin(s.priya, s.browserOf)
			for range 12 { // more than are ever sent, or guessed
				if used, err := s.asks(s.priya, st); !isNew(err) || used != 0 {
					t.Fatalf("used %d times: %v", used, err)
				}
				if kind == authn.Duo {
					if _, err := s.answer(st, authn.Duo, "123456", s.browserOf); !isNew(err) {
						t.Fatalf("a code from Duo: %v", err)
					}
					if _, _, err := s.SignIn.Options(t.Context(), opener(st, s.browserOf), authn.Duo, ""); !isNew(err) {
						t.Fatalf("the ways at Duo: %v", err)
					}
				}
			}
			now, err := s.SignIn.Get(t.Context(), opener(st, s.browserOf))
			must(t, err)
			listed := false
			for _, o := range now.Need.Offers {
				listed = listed || o.Kind == kind && o.Usable()
			}
			if !listed || len(now.Sent) != 0 {
				t.Errorf("%+v %+v", now.Need.Offers, now.Sent)
			}
			done, err := s.verify(st, s.Code(t, s.priya.Secret), s.browserOf)
			must(t, err)
			up, err := s.SignIn.StepUp(t.Context(), done.SessionToken, "", "", s.browserOf)
			must(t, err)
			if used, err := s.asks(s.priya, up); !isNew(err) || used != 0 {
				t.Errorf("step-up: used %d times: %v", used, err)
			}
			who := enroll.Who{Token: done.SessionToken, Client: s.browserOf}
			calls, texts := s.calls(), s.texts("+46701740608")
			replaces := s.factorOf(s.priya, kind)
			if kind == authn.SMS {
				_, err = s.Enroll.BeginPhone(t.Context(), who, replaces, "+46701740608", "")
			} else {
				_, err = s.Enroll.Begin(t.Context(), who, authn.Duo, replaces)
			}
			if !isNew(err) || s.calls() != calls || s.texts("+46701740608") != texts {
				t.Errorf("set-up: %v", err)
			}
			s.saves(s.priya)
			s.Clock.Advance(time.Minute)
			if used, err := s.asks(s.priya, s.mustBegin(s.priya, s.browserOf)); err != nil || used == 0 {
				t.Errorf("afterwards: used %d times: %v", used, err)
			}
		})
	}
}

func (s *staffed) factorOf(p sallyporttest.Person, kind authn.Kind) string {
	s.t.Helper()
	rows, err := s.Store.View(s.t.Context(), authn.Keys{Company: p.Company, User: p.ID, Now: s.Clock.Now()})
	must(s.t, err)
	return rows.FactorOf(kind, authn.Confirmed).ID
}
