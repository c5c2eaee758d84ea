package sallyport_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

const requestHash = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"

// shop is a server with an application, which has two actions and a key.
type shop struct {
	*sallyporttest.Server
	t    *testing.T
	maya sallyporttest.Person
	app  directory.Who
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t, Server: sallyporttest.NewServer(t, func(c *sallyport.Config) {
		c.Actions = []authn.Action{{Name: "billing.change", Title: "change the billing details", Titles: map[string]string{"pl": "zmienić dane rozliczeniowe"}, Audience: "https://app.acme.example"},
			{Name: "webhooks.change", Title: "change the webhooks"}}
		c.Home = "/app"
	})}
	s.maya = s.AddUser(t, s.Company, "maya", true)
	s.app = s.key(s.Company)
	return s
}

// key is the key of an application of a company.
func (s *shop) key(c authn.Company) directory.Who {
	s.t.Helper()
	boss, err := s.Directory.CreateUser(s.t.Context(), c, directory.NewUser{Login: "boss", Roles: []string{directory.Owner}})
	s.must(err)
	_, token, err := s.Directory.CreateKey(s.t.Context(), directory.TheOperator(c.ID), directory.NewKey{Name: "shop", Owner: boss.ID, Scopes: []string{"grants.redeem"}})
	s.must(err)
	return directory.Program(token, authn.Client{})
}

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err, authn.AsError(err).Fields)
	}
}

// signIn is a session of a person with an app.
func (s *shop) signIn(p sallyporttest.Person) authn.Token {
	s.t.Helper()
	c, err := s.Directory.Companies(s.t.Context())
	s.must(err)
	slug := ""
	for _, one := range c {
		if one.ID == p.Company {
			slug = one.Slug
		}
	}
	st, err := s.SignIn.Begin(s.t.Context(), signin.Begin{Company: slug, Login: p.Login, Password: sallyporttest.Password})
	s.must(err)
	return s.prove(st, p).SessionToken
}

// prove answers an attempt with the app's next code.
func (s *shop) prove(st signin.Status, p sallyporttest.Person) signin.Status {
	s.t.Helper()
	s.Clock.Advance(30 * time.Second)
	done, err := s.SignIn.Verify(s.t.Context(), signin.OpenerOf(st.Token, authn.Client{}), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: s.Code(s.t, p.Secret)}})
	s.must(err)
	return done
}

// confirm is a completed step-up of a session.
func (s *shop) confirm(session authn.Token, p sallyporttest.Person, f signin.For) signin.Status {
	s.t.Helper()
	st, err := s.SignIn.StepUpFor(s.t.Context(), session, f, authn.Client{})
	s.must(err)
	return s.prove(st, p)
}

func (s *shop) redeem(w directory.Who, r directory.Redeem) error {
	_, err := s.Directory.RedeemGrant(s.t.Context(), w, r)
	return err
}

func (s *shop) events(typ string) []authn.Event {
	s.t.Helper()
	list, err := s.Audit.Events(s.t.Context(), s.Company.ID, authn.EventQuery{Type: typ, Limit: 200})
	s.must(err)
	return list
}

func TestGrant_I1_rul28(t *testing.T) {
	s := newShop(t)
	done := s.confirm(s.signIn(s.maya), s.maya, signin.For{Action: "billing.change", RequestHash: requestHash})
	got, err := s.Directory.RedeemGrant(t.Context(), s.app, directory.Redeem{Token: done.Grant.Token, Action: "billing.change", RequestHash: requestHash,
		User: s.maya.ID, MaxAge: time.Minute, ACR: authn.AAL2})
	s.must(err)
	if got.User.ID != s.maya.ID || got.Session.ID != done.Session.ID || got.Grant.ACR != authn.AAL2 || len(got.Grant.AMR) != 1 || got.Grant.AMR[0] != "otp" || !got.Grant.MadeAt.Equal(s.Clock.Now()) {
		t.Errorf("%+v", got)
	}
	for _, typ := range []string{"grant.issued", "grant.redeemed"} {
		if list := s.events(typ); len(list) != 1 || list[0].Target != s.maya.ID || list[0].Personal.Detail["action"] != "billing.change" {
			t.Errorf("%s: %+v", typ, list)
		}
	}
}

// I1, rul-3, rul-28, cve-34, cve-52, cve-54, cve-56: what a grant is not good for. Each
// begins with a good one for billing.change and requestHash.
func TestGrantIsGoodForNothingElse_rul3_rul28_cve34_cve52_cve54(t *testing.T) {
	s := newShop(t)
	globex := s.AddCompany(t, "globex", "Globex")
	elsewhere, nadia := s.key(globex), s.AddUser(t, s.Company, "nadia", true)
	type setting struct {
		w    directory.Who
		r    directory.Redeem
		done signin.Status
	}
	change := func(f func(*authn.User)) func(*setting) {
		return func(x *setting) {
			s.must(s.Store.Decide(t.Context(), authn.Keys{Company: s.Company.ID, User: s.maya.ID, Now: s.Clock.Now()}, func(rows *authn.Rows) authn.Verdict {
				f(rows.User)
				return authn.Continue(authn.PutUser{User: *rows.User})
			}))
		}
	}
	for what, c := range map[string]struct {
		f     func(*setting)
		code  authn.Code
		field string
	}{
		"another action":       {func(x *setting) { x.r.Action = "webhooks.change" }, authn.Invalid, "action"},
		"no action":            {func(x *setting) { x.r.Action = "" }, authn.Invalid, "action"},
		"another request":      {func(x *setting) { x.r.RequestHash = "58DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU" }, authn.Invalid, "request_hash"},
		"no request":           {func(x *setting) { x.r.RequestHash = "" }, authn.Invalid, "request_hash"},
		"another person":       {func(x *setting) { x.r.User = nadia.ID }, authn.Invalid, "user"},
		"another company":      {func(x *setting) { x.w = elsewhere }, authn.NotFound, ""},
		"not a token":          {func(x *setting) { x.r.Token = x.done.SessionToken.Reveal() }, authn.NotFound, ""},
		"another secret":       {func(x *setting) { x.r.Token = x.r.Token[:len(x.r.Token)-4] + "0000" }, authn.NotFound, ""},
		"twice":                {func(x *setting) { s.must(s.redeem(x.w, x.r)) }, authn.Conflict, ""},
		"too late":             {func(x *setting) { s.Clock.Advance(5 * time.Minute) }, authn.Expired, ""},
		"older than asked":     {func(x *setting) { s.Clock.Advance(time.Minute); x.r.MaxAge = time.Minute }, authn.StepUpRequired, ""},
		"stronger than it was": {func(x *setting) { x.r.ACR = "aal3" }, authn.Invalid, "acr"},
		"after signing out":    {func(x *setting) { s.must(s.Sessions.SignOut(t.Context(), x.done.SessionToken, authn.Client{})) }, authn.Expired, ""},
		"signed out by others": {func(x *setting) {
			s.must(s.Store.Decide(t.Context(), authn.Keys{Company: s.Company.ID, User: s.maya.ID, Now: s.Clock.Now()}, func(*authn.Rows) authn.Verdict { return authn.Continue(authn.EndSessions{}) }))
		}, authn.Expired, ""},
		"after a change of the account": {change(func(u *authn.User) { u.Epoch++ }), authn.Expired, ""},
		"of somebody suspended":         {change(func(u *authn.User) { u.Status = authn.Suspended }), authn.Expired, ""},
		"of a program's account":        {change(func(u *authn.User) { u.API = true }), authn.Expired, ""},
		"without a key":                 {func(x *setting) { x.w = directory.Who{Company: s.Company.ID} }, authn.Unauthenticated, ""},
		"by somebody without the right": {func(x *setting) { x.w = directory.Session(x.done.SessionToken, authn.Client{}) }, authn.Forbidden, ""},
	} {
		t.Run(what, func(t *testing.T) {
			change(func(u *authn.User) { u.Status, u.API = authn.Active, false })(nil)
			x := setting{w: s.app, done: s.confirm(s.signIn(s.maya), s.maya, signin.For{Action: "billing.change", RequestHash: requestHash})}
			x.r = directory.Redeem{Token: x.done.Grant.Token, Action: "billing.change", RequestHash: requestHash}
			good := x
			c.f(&x)
			err := s.redeem(x.w, x.r)
			if e := authn.AsError(err); err == nil || e.Code != c.code || c.field != "" && (len(e.Fields) != 1 || e.Fields[0].Name != c.field) {
				t.Fatalf("%v", err)
			}
			// A refusal leaves it as it is.
			if c.code == authn.Invalid || c.code == authn.NotFound {
				if err := s.redeem(good.w, good.r); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			}
		})
	}
	if list := s.events("grant.refused"); len(list) == 0 || list[0].Result != authn.Refused {
		t.Errorf("no refusal is on record: %+v", list)
	}
}

// inv-A, cve-24: a hundred programs with one grant.
func TestGrantIsUsedOnce_invA_cve24(t *testing.T) {
	s := newShop(t)
	done := s.confirm(s.signIn(s.maya), s.maya, signin.For{Action: "billing.change"})
	var good, used atomic.Int64
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			switch err := s.redeem(s.app, directory.Redeem{Token: done.Grant.Token, Action: "billing.change"}); {
			case err == nil:
				good.Add(1)
			case errors.Is(err, authn.Conflict):
				used.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if good.Load() != 1 || used.Load() != 99 || len(s.events("grant.redeemed")) != 1 {
		t.Errorf("%d good, %d used", good.Load(), used.Load())
	}
}

// A second step-up issues the session anew; what was confirmed before stays good, and
// is good for its own action.
func TestGrantSurvivesAnother_std53(t *testing.T) {
	s := newShop(t)
	first := s.confirm(s.signIn(s.maya), s.maya, signin.For{Action: "billing.change"})
	second := s.confirm(first.SessionToken, s.maya, signin.For{Action: "webhooks.change"})
	s.must(s.redeem(s.app, directory.Redeem{Token: first.Grant.Token, Action: "billing.change"}))
	if err := s.redeem(s.app, directory.Redeem{Token: second.Grant.Token, Action: "billing.change"}); !errors.Is(err, authn.Invalid) {
		t.Error(err)
	}
}

func TestStepUpForIsChecked_I1(t *testing.T) {
	s := newShop(t)
	session := s.signIn(s.maya)
	for what, c := range map[string]struct {
		f     signin.For
		field string
	}{
		"not registered":         {signin.For{Action: "money.send"}, "action"},
		"no name":                {signin.For{Action: "Billing Change"}, "action"},
		"one of ours":            {signin.For{Action: "password.change", Kind: authn.OnlineGrant}, "action"},
		"no hash":                {signin.For{Action: "billing.change", RequestHash: "e3b0c442"}, "request_hash"},
		"a second spelling":      {signin.For{Action: "billing.change", RequestHash: requestHash[:42] + "V"}, "request_hash"},
		"a line end in it":       {signin.For{Action: "billing.change", RequestHash: requestHash[:20] + "\n" + requestHash[21:]}, "request_hash"},
		"an age before it":       {signin.For{Action: "billing.change", MaxAge: -1}, "max_age"},
		"a kind that is not":     {signin.For{Action: "billing.change", Kind: "paper"}, "grant"},
		"signed, and for nobody": {signin.For{Action: "webhooks.change", Kind: authn.SignedGrant}, "grant"},
	} {
		_, err := s.SignIn.StepUpFor(t.Context(), session, c.f, authn.Client{})
		if e := authn.AsError(err); err == nil || e.Code != authn.Invalid || len(e.Fields) != 1 || e.Fields[0].Name != c.field {
			t.Errorf("%s: %v", what, err)
		}
	}
	// What Sallyport itself asks for gives no grant.
	st, err := s.SignIn.StepUpFor(t.Context(), session, signin.For{Action: "password.change"}, authn.Client{})
	s.must(err)
	if done := s.prove(st, s.maya); done.Session == nil || done.Grant != nil {
		t.Errorf("%+v", done.Grant)
	}
}

// A company registers actions for itself, in its own words, and none that the server has.
func TestActions_rul28(t *testing.T) {
	s := newShop(t)
	globex := s.AddCompany(t, "globex", "Globex")
	op := directory.TheOperator(s.Company.ID)
	save := func(a authn.Action) error {
		_, err := s.Directory.SaveAction(t.Context(), op, directory.ActionChange{Action: a})
		return err
	}
	s.must(save(authn.Action{Name: "invoice.pay", Title: "pay an invoice", Titles: map[string]string{"pl": "zapłacić fakturę"}}))
	for what, a := range map[string]authn.Action{
		"name": {Name: "Invoice", Title: "t"}, "title": {Name: "a.b"}, "titles": {Name: "a.b", Title: "t", Titles: map[string]string{"pl": "\u202e"}},
		"audience": {Name: "a.b", Title: "t", Audience: "with spaces"},
	} {
		if e := authn.AsError(save(a)); e.Code != authn.Invalid || e.Fields[0].Name != what {
			t.Errorf("%s: %+v", what, e)
		}
	}
	for _, taken := range []string{"billing.change", "password.change"} {
		if e := authn.AsError(save(authn.Action{Name: taken, Title: "do something harmless"})); e.Code != authn.Invalid || e.Fields[0].Code != "action_taken" {
			t.Errorf("%s: %+v", taken, e)
		}
	}
	list, err := s.Directory.Actions(t.Context(), op)
	s.must(err)
	if len(list) != 3 || !list[0].BuiltIn || list[2].Name != "invoice.pay" || list[2].BuiltIn {
		t.Errorf("%+v", list)
	}
	if _, err := s.SignIn.Action(t.Context(), globex.ID, "invoice.pay"); !errors.Is(err, authn.NotFound) {
		t.Errorf("another company's: %v", err)
	}
	done := s.confirm(s.signIn(s.maya), s.maya, signin.For{Action: "invoice.pay"})
	s.must(s.Directory.RemoveAction(t.Context(), op, "invoice.pay", ""))
	if err := s.Directory.RemoveAction(t.Context(), op, "invoice.pay", ""); !errors.Is(err, authn.NotFound) {
		t.Error(err)
	}
	if _, err := s.SignIn.StepUpFor(t.Context(), done.SessionToken, signin.For{Action: "invoice.pay"}, authn.Client{}); !errors.Is(err, authn.Invalid) {
		t.Error(err)
	}
	s.must(s.redeem(s.app, directory.Redeem{Token: done.Grant.Token, Action: "invoice.pay"}))
	// The host program's own are checked when the server is made.
	for _, bad := range [][]authn.Action{{{Name: "A", Title: "t"}}, {{Name: "a"}}, {{Name: "a", Title: "t"}, {Name: "a", Title: "t"}}, {{Name: "password.change", Title: "t"}}} {
		if _, err := sallyport.New(sallyport.Config{Actions: bad}); err == nil || !strings.Contains(err.Error(), "Config.Actions") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
