package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/httpsend"
	"github.com/sallyport-mfa/sallyport/method/duo"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// Every reason that a provider or Duo can give has words of its own, and says what
// to do. What is not known is said to be that.
func TestReasonsHaveWords(t *testing.T) {
	reasons := map[authn.Kind][]string{authn.SMS: httpsend.Reasons(), authn.Duo: {duo.Unreachable, duo.Timeout, duo.WrongClock, duo.Credentials, duo.WrongHost,
		duo.Permission, duo.Throttled, duo.Down, duo.Garbled, duo.Other}}
	for channel, list := range reasons {
		unknown, _ := stepWords(channel, authn.MailStep{Reason: "new"})
		seen := map[string]string{}
		for _, r := range list {
			what, do := stepWords(channel, authn.MailStep{Reason: r})
			if what == "" || do == "" || seen[what] != "" || (what == unknown) != (r == "other") {
				t.Errorf("%s %s: %q, %q, as %q", channel, r, what, do, seen[what])
			}
			seen[what] = r
		}
	}
}

// What drivers take is said for every field that they have.
func TestFormsOfDrivers(t *testing.T) {
	for name, d := range textDrivers(http.DefaultClient) {
		fields := map[string]bool{}
		for _, f := range d.Fields() {
			fields[f] = true
			if smsForms[name][f] == "" {
				t.Errorf("%s: nothing about %s", name, f)
			}
		}
		if len(fields) != len(smsForms[name]) || !strings.Contains(smsDrivers, name) {
			t.Errorf("%s: %v", name, smsForms[name])
		}
	}
}

// pretend is an operator of companies whose Duo is a pretend one.
func pretend(t *testing.T, now func() time.Time) (*sallyporttest.Server, provider.Operator) {
	t.Helper()
	s := sallyporttest.NewServer(t)
	fake := sallyporttest.NewDuo(t, sallyporttest.DuoConfig{Now: now})
	m, err := duo.New(duo.Config{HTTP: http.DefaultClient, Base: fake.Base})
	if err != nil {
		t.Fatal(err)
	}
	p, err := provider.New(provider.Config{Store: s.Store, Duo: m, Now: s.Clock.Now, Render: func(authn.Letter) (authn.Message, error) { return authn.Message{}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return s, p.Operator()
}

func giveDuo(t *testing.T, o provider.Operator, company authn.Company, change func(*authn.DuoSettings)) {
	t.Helper()
	d := authn.DuoSettings{IKey: sallyporttest.DuoIKey, SKey: sallyporttest.DuoSKey, Host: sallyporttest.DuoHost}
	if change != nil {
		change(&d)
	}
	if _, err := o.SetDuo(t.Context(), company.ID, provider.DuoChange{DuoSettings: d}); err != nil {
		t.Fatal(err)
	}
}

// Doctor asks the Duo of each company, and says what is wrong and how to mend it.
func TestDoctorDuo_D1(t *testing.T) {
	s, o := pretend(t, nil)
	beta := s.AddCompany(t, "beta", "Beta")
	giveDuo(t, o, s.Company, nil)
	giveDuo(t, o, beta, func(d *authn.DuoSettings) { d.SKey = strings.Repeat("0", 40) })
	got := companyDuo(t.Context(), []authn.Company{s.Company, beta, {ID: "cmp_gone", Slug: "gone"}}, o)
	if len(got) != 3 || got[0].Result != checkOK || got[0].Text != "acme: Duo answers at this host. The clocks of this server and of Duo agree. Duo accepts both keys." {
		t.Fatalf("%+v", got)
	}
	if got[1].Result != checkFail || !strings.Contains(got[1].Text, "Duo does not accept integration key and secret key. (401") || !strings.HasPrefix(got[1].Cure, "Copy both anew") {
		t.Errorf("%+v", got[1])
	}
	if got[2].Result != checkOK || got[2].Text != "gone: no Duo any more" {
		t.Errorf("%+v", got[2])
	}
	if got := companyDuo(t.Context(), nil, o); len(got) != 1 || got[0].Result != checkOK {
		t.Errorf("%+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := companyDuo(ctx, []authn.Company{s.Company}, o); got[0].Result != checkFail {
		t.Errorf("cut off: %+v", got)
	}
}

// Clocks that differ are a warning, and more companies than a look takes are counted.
func TestDoctorDuoBounds(t *testing.T) {
	s, o := pretend(t, func() time.Time { return time.Now().Add(-2 * time.Hour) })
	giveDuo(t, o, s.Company, nil)
	many := make([]authn.Company, mostDuo+3)
	for i := range many {
		many[i] = s.Company
		many[i].Slug = fmt.Sprintf("c%d", i)
	}
	got := companyDuo(t.Context(), many, o)
	if len(got) != mostDuo+1 || got[mostDuo].Text != "Duo of 3 companies was not asked" || got[mostDuo].Result != checkWarn {
		t.Fatalf("%d: %+v", len(got), got[len(got)-1])
	}
	if got[0].Result != checkWarn || !strings.Contains(got[0].Text, "The clock of this server and Duo’s do not agree.") || !strings.HasPrefix(got[0].Cure, "Set the clock of this machine") {
		t.Errorf("%+v", got[0])
	}
}

// A test that a budget refuses says which one, and until when. (The script of the
// command runs by the clock of the machine, and a window of ten minutes may end
// between two of its lines.)
func TestRefusedTextTest_B5(t *testing.T) {
	acme := authn.Company{Slug: "acme"}
	until := time.Date(2026, 11, 22, 7, 20, 0, 0, time.UTC)
	for scope, want := range map[string]string{
		"number":      "acme may send no more texts to this number until 2026-11-22 07:20 UTC",
		"company_day": "acme may send no more texts today until 2026-11-22 07:20 UTC",
	} {
		refusal := &authn.Error{Code: authn.TooManyRequests, Key: "error.message_budget", Err: &authn.BudgetError{Scope: scope, Until: until}}
		if err := notTested(refusal, acme, 1, provider.TextState{}); !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", scope, err)
		}
	}
}

// Doctor names the companies whose provider did not take the last message.
func TestDoctorTexts_B5(t *testing.T) {
	s := sallyporttest.NewServer(t)
	s.UseTexts(t, s.Company)
	if got := companyTexts(t.Context(), nil, s.Providers); got != nil {
		t.Errorf("%+v", got)
	}
	if got := companyTexts(t.Context(), []authn.Company{s.Company}, s.Providers); len(got) != 1 || got[0].Result != checkOK {
		t.Errorf("%+v", got)
	}
	if err := s.Store.ProviderHealthNoted(t.Context(), s.Company.ID, authn.SMS, "inbox-1", 1, s.Clock.Now(), "accept funds"); err != nil {
		t.Fatal(err)
	}
	got := companyTexts(t.Context(), []authn.Company{s.Company}, s.Providers)
	if len(got) != 1 || got[0].Result != checkWarn || !strings.Contains(got[0].Text, "acme: the last message through inbox failed (accept funds). The account at the provider has no money left") || got[0].Cure == "" {
		t.Errorf("%+v", got)
	}
	many := make([]authn.Company, mostTexts+1)
	for i := range many {
		many[i] = s.Company
	}
	got = companyTexts(t.Context(), many, s.Providers)
	if last := got[len(got)-1]; last.Text != "not looked at: 1 company" {
		t.Errorf("%+v", last)
	}
}
