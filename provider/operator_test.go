package provider_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/message/inbox"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// keeps is a driver that wants a secret, and keeps what it is given in an inbox.
type keeps struct{ inbox.Driver }

func (keeps) Fields() []string { return []string{"account", "secret"} }

func (k keeps) Open(p authn.TextProvider) (authn.TextSender, error) {
	var bad []authn.Field
	for _, f := range [][2]string{{"account", p.Account}, {"secret", p.Secret}} {
		if f[1] == "" {
			bad = append(bad, authn.Field{Name: f[0], Code: "required"})
		}
	}
	if bad != nil {
		return nil, &authn.Error{Code: authn.Invalid, Fields: bad}
	}
	return k.Driver.Open(p)
}

// newDesk is a server with an owner, and what the operator can do there.
func newDesk(t *testing.T, texts authn.TextSettings) (*sallyporttest.Server, provider.Operator) {
	t.Helper()
	s := sallyporttest.NewServer(t, func(c *sallyport.Config) {
		box := c.TextDrivers["inbox"].(inbox.Driver)
		c.TextDrivers = map[string]authn.TextDriver{"inbox": box, "keeps": keeps{box}}
		c.Texts = texts
	})
	_, err := s.Directory.CreateUser(t.Context(), s.Company, directory.NewUser{Login: "priya", Email: "priya@acme.example", Verified: true,
		Roles: []string{directory.Owner}, Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	return s, s.Providers.Operator()
}

// last is the last event of a type, which the operator must have done.
func last(t *testing.T, s *sallyporttest.Server, typ string) authn.Event {
	t.Helper()
	list, err := s.Audit.Events(t.Context(), s.Company.ID, authn.EventQuery{Type: typ, Limit: 1})
	if err != nil || len(list) != 1 || list[0].Actor != directory.Operator {
		t.Fatalf("%s: %+v, %v", typ, list, err)
	}
	return list[0]
}

// wrong are the fields of an error, as "name code".
func wrong(err error) string {
	var e *authn.Error
	var list []string
	if errors.As(err, &e) {
		for _, f := range e.Fields {
			list = append(list, strings.TrimSpace(f.Name+" "+f.Code+" "+f.Key))
		}
	}
	return strings.Join(list, ", ")
}

// The operator's changes follow the owners' rules, and the owners hear of them.
func TestOperatorTexts_B5_rul23(t *testing.T) {
	s, o := newDesk(t, authn.TextSettings{})
	company := s.Company.ID
	for _, tt := range []struct {
		change authn.TextSettings
		want   string
	}{
		{authn.TextSettings{}, "providers required, countries required"},
		{authn.TextSettings{Providers: []authn.TextProvider{{Driver: "pigeon"}}, Countries: []string{"SE"}}, "providers.0.driver not_one_of"},
		{authn.TextSettings{Providers: []authn.TextProvider{{Driver: "keeps"}}, Countries: []string{"Sweden"}},
			"providers.0.account required, providers.0.secret required, countries invalid"},
	} {
		_, err := o.SetTexts(t.Context(), company, provider.TextChange{TextSettings: tt.change})
		if got := wrong(err); got != tt.want {
			t.Errorf("%v: %s", tt.change.Countries, got)
		}
	}
	one := []authn.TextProvider{{Driver: "keeps", Account: "a", Secret: "canary-secret"}}
	st, err := o.SetTexts(t.Context(), company, provider.TextChange{TextSettings: authn.TextSettings{Providers: one, Countries: []string{"SE"}}})
	if err != nil || !st.Offered || st.UpdatedBy != directory.Operator || st.Settings.Providers[0].Secret != "" || !st.HasSecret[0] {
		t.Fatalf("%+v, %v", st, err)
	}
	ev := last(t, s, "provider.changed")
	if ev.Personal.Detail["channel"] != "sms" || ev.Personal.Detail["host"] != "keeps" {
		t.Errorf("%+v", ev)
	}
	if got := s.Mail(t, "priya@acme.example"); len(got) != 1 {
		t.Errorf("%d letters to the owner", len(got))
	}
	// The saved secret belongs to its target (ruling 32), and a version that moved is a conflict.
	one[0].Secret = ""
	if _, err := o.SetTexts(t.Context(), company, provider.TextChange{TextSettings: authn.TextSettings{Providers: one, Countries: []string{"SE", "PL"}}, From: st.Version}); err != nil {
		t.Error(err)
	}
	if _, err := o.SetTexts(t.Context(), company, provider.TextChange{TextSettings: authn.TextSettings{Providers: one, Countries: []string{"SE"}}, From: st.Version}); !errors.Is(err, authn.Conflict) {
		t.Errorf("an old version: %v", err)
	}
	one[0].Account = "b"
	if _, err := o.SetTexts(t.Context(), company, provider.TextChange{TextSettings: authn.TextSettings{Providers: one, Countries: []string{"SE"}}}); wrong(err) != "providers.0.secret again field.again_secret" {
		t.Errorf("another target: %v", err)
	}
	if _, err := o.SetTexts(t.Context(), "cmp_nobody", provider.TextChange{TextSettings: authn.TextSettings{Providers: one, Countries: []string{"SE"}}}); err == nil {
		t.Error("a company that is not there")
	}
	if st, err = o.RemoveTexts(t.Context(), company, 0); err != nil || st.Own || st.Offered {
		t.Errorf("%+v, %v", st, err)
	}
}

// A test costs what any text does, and says what is wrong with the number.
func TestOperatorTestTexts_rul13_rul32(t *testing.T) {
	s, o := newDesk(t, authn.TextSettings{Providers: []authn.TextProvider{{Driver: "inbox"}}, Countries: []string{"SE"}, DayTexts: 2})
	company := s.Company.ID
	for to, want := range map[string]string{"": "to required field.phone.required", "+46": "to too_few field.phone.too_few", "+468123456": "to not_mobile field.phone.not_mobile", "x": "to letters field.phone.letters"} {
		if _, err := o.TestTexts(t.Context(), company, 0, to, ""); wrong(err) != want {
			t.Errorf("%q: %v", to, err)
		}
		if _, err := o.TryServer(t.Context(), 0, to); wrong(err) != want {
			t.Errorf("server, %q: %v", to, err)
		}
	}
	if _, err := o.TestTexts(t.Context(), company, 0, "+48512345678", ""); authn.AsError(err).Key != "error.text_country" {
		t.Errorf("another country: %v", err)
	}
	if _, err := o.TryServer(t.Context(), 0, "+48512345678"); authn.AsError(err).Key != "error.text_country" {
		t.Errorf("another country: %v", err)
	}
	if _, err := o.TestTexts(t.Context(), company, 1, "+46701740605", ""); wrong(err) != "provider not_one_of" {
		t.Errorf("no such provider: %v", err)
	}
	// A company without settings of its own tests the server's, by its own share.
	for range 2 {
		r, err := o.TestTexts(t.Context(), company, 0, "070-174 06 05", "SE")
		if err != nil || !r.OK || r.Reply != "kept in the development inbox" {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if ev := last(t, s, "provider.tested"); ev.Personal.Detail["channel"] != "sms" || ev.Personal.Detail["host"] != "server" {
		t.Errorf("%+v", ev)
	}
	if _, err := o.TestTexts(t.Context(), company, 0, "+46701740605", ""); authn.AsError(err).Code != authn.TooManyRequests {
		t.Errorf("above the share: %v", err)
	}
	st, err := s.Providers.TextsOf(t.Context(), company)
	if err != nil || st.Usage[0].N != 2 || st.Usage[0].Most != 2 {
		t.Errorf("%+v, %v", st.Usage, err)
	}
	if r, err := o.TryServer(t.Context(), 0, "0701740605"); err != nil || !r.OK {
		t.Errorf("%+v, %v", r, err)
	}
	if got := len(s.Inbox.Messages()); got != 3 {
		t.Errorf("%d texts", got)
	}
	if _, err := o.TestTexts(t.Context(), "cmp_nobody", 0, "+46701740605", ""); err == nil {
		t.Error("a company that is not there")
	}
}

// Duo by the operator: saved, tried, looked at without a trace, removed.
func TestOperatorDuo_D1_rul23(t *testing.T) {
	s, o := newDesk(t, authn.TextSettings{})
	s.UseDuo(t, s.AddCompany(t, "other", "Other"))
	company := s.Company.ID
	if _, err := o.TestDuo(t.Context(), company); !errors.Is(err, authn.NotFound) {
		t.Errorf("without settings: %v", err)
	}
	if _, err := o.LookAtDuo(t.Context(), company); !errors.Is(err, authn.NotFound) {
		t.Errorf("without settings: %v", err)
	}
	if _, err := o.SetDuo(t.Context(), company, provider.DuoChange{DuoSettings: authn.DuoSettings{Host: "duo.example.com"}}); wrong(err) != "ikey required, skey required, host invalid" {
		t.Errorf("%v", err)
	}
	good := authn.DuoSettings{IKey: sallyporttest.DuoIKey, SKey: sallyporttest.DuoSKey, Host: sallyporttest.DuoHost}
	st, err := o.SetDuo(t.Context(), company, provider.DuoChange{DuoSettings: good})
	if err != nil || !st.HasSecret || st.Settings.SKey != "" || st.UpdatedBy != directory.Operator {
		t.Fatalf("%+v, %v", st, err)
	}
	if got := s.Mail(t, "priya@acme.example"); len(got) != 1 || last(t, s, "provider.changed").Personal.Detail["channel"] != "duo" {
		t.Errorf("%d letters", len(got))
	}
	r, err := o.LookAtDuo(t.Context(), company)
	if err != nil || !r.OK || len(r.Steps) != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	if list, err := s.Audit.Events(t.Context(), company, authn.EventQuery{Type: "provider.tested", Limit: 1}); err != nil || len(list) != 0 {
		t.Errorf("a look is on record: %v, %v", list, err)
	}
	if r, err = o.TestDuo(t.Context(), company); err != nil || !r.OK || last(t, s, "provider.tested").Personal.Detail["host"] != sallyporttest.DuoHost {
		t.Errorf("%+v, %v", r, err)
	}
	for range provider.TestsPerHour - 1 {
		_, err = o.TestDuo(t.Context(), company)
	}
	if err != nil {
		t.Error(err)
	}
	if _, err = o.TestDuo(t.Context(), company); authn.AsError(err).Code != authn.TooManyRequests {
		t.Errorf("more tests than there are: %v", err)
	}
	s.Clock.Advance(time.Hour)
	if st, err = o.RemoveDuo(t.Context(), company, 0); err != nil || st.Own {
		t.Errorf("%+v, %v", st, err)
	}
}
