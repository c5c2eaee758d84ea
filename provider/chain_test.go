package provider_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// The first provider that takes a message has it; which of them is asked, and what
// is noted, depends on how the others do.
func TestChain_B5(t *testing.T) {
	ctx := context.Background()
	sent := func(x *texter) string { return fmt.Sprint(len(x.twilio.Sent()), len(x.plivo.Sent())) }
	for _, tt := range []struct {
		fault sallyporttest.TextFault
		sent  string // by each
		err   bool
		note  string // of the first; "": none
	}{
		{sallyporttest.TextFine, "1 0", false, "fine"},
		{sallyporttest.TextThrottled, "0 1", false, "accept throttled"},
		{sallyporttest.TextCredentials, "0 1", false, "sign_in credentials"},
		{sallyporttest.TextFunds, "0 1", false, "accept funds"},
		{sallyporttest.TextRedirect, "0 1", false, "accept redirect"},
		{sallyporttest.TextNumber, "0 0", true, ""},                // another would say the same
		{sallyporttest.TextBlocked, "0 0", true, ""},               // so it is here
		{sallyporttest.TextGarbage, "1 0", true, "accept garbled"}, // it may be on its way
		{sallyporttest.TextLost, "1 0", true, "accept unreachable"},
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			t.Parallel()
			x := newTexter(t)
			x.set()
			x.twilio.Fail(tt.fault)
			sender, err := x.Providers.SenderFor(ctx, x.Company.ID, authn.SMS, "")
			if err != nil {
				t.Fatal(err)
			}
			if err := sender.Send(ctx, text("1")); (err != nil) != tt.err {
				t.Errorf("%v", err)
			}
			if got := sent(x); got != tt.sent {
				t.Errorf("sent %s, not %s", got, tt.sent)
			}
			st, err := x.Providers.TextsOf(ctx, x.Company.ID)
			if err != nil || len(st.Health) != 2 || st.Health[0].Name != "twilio-1" {
				t.Fatalf("%+v, %v", st.Health, err)
			}
			h := st.Health[0]
			switch tt.note {
			case "":
				if h.Failed != "" || !h.SentAt.IsZero() {
					t.Errorf("noted: %+v", h)
				}
			case "fine":
				if h.SentAt.IsZero() || h.Failed != "" || st.State() != provider.Working {
					t.Errorf("noted: %+v, %s", h, st.State())
				}
			default:
				if h.Failed != tt.note || st.State() != provider.Failing {
					t.Errorf("noted: %+v, %s", h, st.State())
				}
			}
		})
	}
}

// A provider that failed comes after the others for a minute; when all fail the
// last reason is told; a new version of the settings begins anew.
func TestChain_rests(t *testing.T) {
	ctx := t.Context()
	x := newTexter(t)
	x.set()
	n := 0
	send := func() error {
		t.Helper()
		n++
		sender, err := x.Providers.SenderFor(ctx, x.Company.ID, authn.SMS, "")
		if err != nil {
			t.Fatal(err)
		}
		return sender.Send(ctx, text(fmt.Sprint(n)))
	}
	asked := func(twilio, plivo int) {
		t.Helper()
		if a, b := x.twilio.Asked(), x.plivo.Asked(); a != twilio || b != plivo {
			t.Fatalf("asked %d and %d times, not %d and %d", a, b, twilio, plivo)
		}
	}
	x.twilio.Fail(sallyporttest.TextThrottled)
	if err := send(); err != nil {
		t.Fatal(err)
	}
	asked(1, 1)
	x.twilio.Fail(sallyporttest.TextFine)
	if err := send(); err != nil {
		t.Fatal(err)
	}
	asked(1, 2) // the first rests
	x.Clock.Advance(time.Minute)
	if err := send(); err != nil {
		t.Fatal(err)
	}
	asked(2, 2)
	x.twilio.Fail(sallyporttest.TextFunds)
	x.plivo.Fail(sallyporttest.TextCredentials)
	var se *authn.SendError
	if err := send(); !errors.As(err, &se) || se.Reason != "credentials" || !errors.Is(err, authn.MessageNotSent) {
		t.Errorf("%v", err)
	}
	asked(3, 3)
	x.plivo.Fail(sallyporttest.TextFine)
	x.twilio.Fail(sallyporttest.TextFine)
	x.set(func(s *authn.TextSettings) { slices.Reverse(s.Providers) })
	if err := send(); err != nil {
		t.Fatal(err)
	}
	asked(3, 4) // the order that was saved
	gone, cancel := context.WithCancel(ctx)
	cancel()
	sender, err := x.Providers.SenderFor(ctx, x.Company.ID, authn.SMS, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := sender.Send(gone, text("gone")); err == nil || x.twilio.Asked() != 3 {
		t.Errorf("after the time was over another one was asked: %v", err)
	}
	if _, err := x.Providers.RemoveTexts(ctx, x.who, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Providers.SenderFor(ctx, x.Company.ID, authn.SMS, ""); err == nil {
		t.Error("something is sent without a provider")
	}
}

// Each step of Duo is told by itself; a wrong clock that is still borne is no
// failure.
func TestDuoSteps(t *testing.T) {
	x := newTexter(t)
	ctx := t.Context()
	set := provider.DuoChange{DuoSettings: authn.DuoSettings{IKey: sallyporttest.DuoIKey, SKey: sallyporttest.DuoSKey, Host: strings.ToUpper(sallyporttest.DuoHost) + " "}}
	stages := func(ch provider.DuoChange) string {
		t.Helper()
		res, err := x.Providers.TestDuo(ctx, x.who, ch)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, s := range res.Steps {
			list = append(list, fmt.Sprint(s.Stage, " ", s.OK, " ", s.Reason))
		}
		return fmt.Sprint(res.OK, " ", strings.Join(list, ", "))
	}
	if got := stages(set); got != "false connect false unreachable" {
		t.Errorf("%s", got)
	}
	x.Duo = sallyporttest.NewDuo(t, sallyporttest.DuoConfig{Now: x.Clock.Now})
	if got := stages(set); got != "true connect true , clock true , sign_in true " {
		t.Errorf("%s", got)
	}
	x.Duo = sallyporttest.NewDuo(t, sallyporttest.DuoConfig{Now: func() time.Time { return x.Clock.Now().Add(-40 * time.Second) }})
	if got := stages(set); got != "true connect true , clock true clock, sign_in true " {
		t.Errorf("%s", got)
	}
	if _, err := x.Providers.SetDuo(ctx, x.who, set); err != nil {
		t.Fatal(err)
	}
	set.SKey, set.LetIn = "", true
	if st, err := x.Providers.SetDuo(ctx, x.who, set); err != nil || !st.HasSecret || !st.Settings.LetIn || st.Settings.SKey != "" || st.Settings.Host != sallyporttest.DuoHost {
		t.Errorf("%+v, %v", st, err)
	}
	for _, f := range []func(*provider.DuoChange){func(c *provider.DuoChange) { c.IKey = "DITESTINTEGRATION002" }, func(c *provider.DuoChange) { c.Host = "api-1badcafe.duosecurity.com" }} {
		ch := set
		f(&ch)
		for _, err := range []error{second(x.Providers.SetDuo(ctx, x.who, ch)), second(x.Providers.TestDuo(ctx, x.who, ch))} {
			if e := authn.AsError(err); e.Code != authn.Invalid || e.Fields[0].Name != "skey" || e.Fields[0].Code != "again" {
				t.Errorf("%v", err)
			}
		}
	}
	set.From = 1
	if _, err := x.Providers.SetDuo(ctx, x.who, set); !errors.Is(err, authn.Conflict) {
		t.Errorf("%v", err)
	}
	c, err := x.Directory.Company(ctx, "acme")
	if err != nil || !slices.Contains(c.Provides, authn.Duo) {
		t.Errorf("%v, %v", c.Provides, err)
	}
	if _, err := x.Providers.RemoveDuo(ctx, x.who, 0); err != nil {
		t.Fatal(err)
	}
	if c, err = x.Directory.Company(ctx, "acme"); err != nil || slices.Contains(c.Provides, authn.Duo) {
		t.Errorf("%v, %v", c.Provides, err)
	}
}

// Every reason that a provider gives is explained in its own words, with what to do.
func TestWordsOf(t *testing.T) {
	key := func(k string) string { return k }
	all := func(string) bool { return true }
	for _, tt := range []struct {
		channel  authn.Kind
		step     authn.MailStep
		has      func(string) bool
		what, do string
	}{
		{authn.SMS, provider.TextResult{OK: true}.Step(), all, "admin.provider.sms.done.content", ""},
		{authn.SMS, provider.TextResult{Reason: "trial", Stage: "accept"}.Step(), all, "admin.provider.sms.reason.trial", "admin.provider.sms.todo.trial"},
		{authn.SMS, provider.LastFailure(authn.ProviderHealth{Failed: "accept funds"}), all, "admin.provider.sms.reason.funds", "admin.provider.sms.todo.funds"},
		{authn.SMS, provider.LastFailure(authn.ProviderHealth{Failed: "other"}), func(k string) bool { return strings.HasSuffix(k, "reason.other") }, "admin.provider.sms.reason.other", ""},
		{authn.Duo, authn.MailStep{Stage: "clock", OK: true}, all, "admin.provider.duo.done.clock", ""},
		{authn.Duo, authn.MailStep{Stage: "clock", OK: true, Reason: "clock"}, all, "admin.provider.duo.reason.clock", "admin.provider.duo.todo.clock"},
		{authn.Email, authn.MailStep{Stage: "connect", Reason: "dns"}, func(k string) bool { return !strings.Contains(k, ".email.") }, "admin.provider.reason.dns", "admin.provider.todo.dns"},
	} {
		if what, do := provider.WordsOf(tt.channel, tt.step, key, tt.has); what != tt.what || do != tt.do {
			t.Errorf("%s %+v: %q, %q", tt.channel, tt.step, what, do)
		}
	}
}
