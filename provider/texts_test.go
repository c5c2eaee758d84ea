package provider_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/message/plivo"
	"github.com/sallyport-mfa/sallyport/message/twilio"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const (
	mobile = "+46701740605"
	other  = "+46701740606" // a neighbour
	far    = "+46731740605"
	polish = "+48512345678"
)

// texter is a server with two kinds of provider, and an owner with a fresh proof.
type texter struct {
	*stage
	t      *testing.T
	twilio *sallyporttest.Twilio
	plivo  *sallyporttest.Plivo
	log    *bytes.Buffer
}

func newTexter(t *testing.T, opts ...sallyporttest.Option) *texter {
	t.Helper()
	x := &texter{t: t, twilio: sallyporttest.NewTwilio(t), plivo: sallyporttest.NewPlivo(t), log: &bytes.Buffer{}}
	a, b := twilio.New(&http.Client{}), plivo.New(&http.Client{})
	a.Base, b.Base = x.twilio.URL(), x.plivo.URL()
	opts = append([]sallyporttest.Option{func(c *sallyport.Config) {
		c.TextDrivers = map[string]authn.TextDriver{"twilio": a, "plivo": b}
		c.Log = slog.New(slog.NewTextHandler(x.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}}, opts...)
	x.stage = &stage{Server: sallyporttest.NewServer(t, opts...)}
	x.owner = x.addOwner("priya")
	x.signIn(t)
	return x
}

func (x *texter) addOwner(login string) sallyporttest.Person {
	x.t.Helper()
	u, err := x.Directory.CreateUser(x.t.Context(), x.Company, directory.NewUser{Login: login, Email: login + "@acme.example", Verified: true,
		Roles: []string{directory.Owner}, Password: sallyporttest.Password})
	if err != nil {
		x.t.Fatal(err)
	}
	p := sallyporttest.Person{User: u}
	p.Factor, p.Secret = x.AddApp(x.t, u)
	return p
}

// set saves both providers, Twilio first, for Sweden and Poland.
func (x *texter) set(change ...func(*authn.TextSettings)) provider.TextState {
	x.t.Helper()
	set := authn.TextSettings{Providers: []authn.TextProvider{x.twilio.Provider(), x.plivo.Provider()}, Countries: []string{"SE", "PL"}}
	for _, f := range change {
		f(&set)
	}
	st, err := x.Providers.SetTexts(x.t.Context(), x.who, provider.TextChange{TextSettings: set})
	if err != nil {
		x.t.Fatal(err)
	}
	return st
}

// ask pays for one text as a sign-in does; the zero address is none.
func (x *texter) ask(to, user, address string, verified bool) error {
	x.t.Helper()
	price, err := x.Providers.Price(x.t.Context(), x.Company.ID)
	if err != nil {
		x.t.Fatal(err)
	}
	now := x.Clock.Now()
	ask := authn.TextAsk{To: to, User: user, Verified: verified, Now: now}
	if address != "" {
		ask.Address = netip.MustParseAddr(address)
	}
	of, err := price(ask)
	if err == nil {
		err = x.Store.Decide(x.t.Context(), authn.Keys{Company: x.Company.ID, Now: now}, func(*authn.Rows) authn.Verdict {
			return authn.Continue(authn.SpendBudget{Of: of})
		})
	}
	x.Providers.Asked(x.t.Context(), x.Company.ID, err)
	return err
}

// scope is what refused; "": nothing did.
func scope(t *testing.T, err error) string {
	t.Helper()
	var b *authn.BudgetError
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &b) || authn.AsError(err).Code != authn.TooManyRequests || authn.AsError(err).RetryAfter <= 0:
		t.Fatalf("refused otherwise: %v", err)
	}
	return b.Scope
}

// number is one of many Swedish ones; numbers of one block are neighbours.
func number(block, n int) string { return fmt.Sprintf("+4673%03d%04d", block, n) }

// Rul-13: each budget refuses at its limit and not before; what a window was
// spends comes back when it is over.
func TestBudgets_rul13(t *testing.T) {
	for _, tt := range []struct {
		name, scope string
		most        int
		window      time.Duration
		set         func(*authn.TextSettings)
		ask         func(x *texter, i int) error
	}{
		{"number", "number", 4, 10 * time.Minute, nil, func(x *texter, i int) error { return x.ask(mobile, fmt.Sprint("u", i), "", true) }},
		{"user", "user", 30, 24 * time.Hour, nil, func(x *texter, i int) error { return x.ask(number(i, 0), "u", "", true) }},
		{"prefix", "prefix", 20, time.Hour, nil, func(x *texter, i int) error { return x.ask(number(1, i), fmt.Sprint("u", i), "", false) }},
		{"address", "address", 10, time.Hour, nil, func(x *texter, i int) error { return x.ask(number(i, i), fmt.Sprint("u", i), "198.51.100.7", false) }},
		{"IPv6 by its /64", "address", 10, time.Hour, nil, func(x *texter, i int) error {
			return x.ask(number(i, i), fmt.Sprint("u", i), fmt.Sprintf("2001:db8:1:2:%x::1", i), false)
		}},
		{"day", "company_day", 7, 24 * time.Hour, func(s *authn.TextSettings) { s.DayTexts = 7 }, func(x *texter, i int) error { return x.ask(number(i, i), fmt.Sprint("u", i), "", true) }},
		{"month", "company_month", 5, 31 * 24 * time.Hour, func(s *authn.TextSettings) { s.MonTexts = 5 }, func(x *texter, i int) error { return x.ask(number(i, i), fmt.Sprint("u", i), "", true) }},
		{"money of a day", "company_day", 4, 24 * time.Hour, func(s *authn.TextSettings) { s.Currency, s.Price, s.DayMoney = "EUR", 300, 1499 },
			func(x *texter, i int) error { return x.ask(number(i, i), fmt.Sprint("u", i), "", true) }},
		{"money of a month", "company_month", 2, 31 * 24 * time.Hour, func(s *authn.TextSettings) { s.Currency, s.Price, s.MonMoney = "EUR", 500, 1000 },
			func(x *texter, i int) error { return x.ask(number(i, i), fmt.Sprint("u", i), "", true) }},
		{"dial", "dial", 300, 24 * time.Hour, nil, func(x *texter, i int) error { return x.ask(number(i, i), fmt.Sprint("u", i), "", false) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newTexter(t)
			var change []func(*authn.TextSettings)
			if tt.set != nil {
				change = append(change, tt.set)
			}
			x.set(change...)
			for i := range tt.most {
				if got := scope(t, tt.ask(x, i)); got != "" {
					t.Fatalf("number %d of %d is refused by %q", i+1, tt.most, got)
				}
			}
			if got := scope(t, tt.ask(x, tt.most)); got != tt.scope {
				t.Fatalf("refused by %q, not by %q", got, tt.scope)
			}
			x.Clock.Advance(tt.window)
			if got := scope(t, tt.ask(x, tt.most+1)); got != "" {
				t.Errorf("afterwards refused by %q", got)
			}
		})
	}
}

// Where hardly any code comes back nothing more is sent to strangers, and the owners
// are told where that is.
func TestConversion_B3(t *testing.T) {
	x := newTexter(t)
	x.set()
	for i := range authn.ConversionLeast {
		if got := scope(t, x.ask(number(i, i), fmt.Sprint("u", i), "", false)); got != "" {
			t.Fatalf("%d: %s", i, got)
		}
	}
	x.Clock.Advance(authn.ConversionRest + authn.ConversionBucket)
	for range 3 {
		if got := scope(t, x.ask(far, "u", "", false)); got != "came_back_dial" {
			t.Errorf("refused by %q", got)
		}
	}
	if got := scope(t, x.ask(far, "u", "", true)) + scope(t, x.ask(polish, "u", "", false)); got != "" {
		t.Errorf("refused by %q", got)
	}
	n := 0
	for _, m := range x.Mail(t, x.owner.Email) {
		if strings.Contains(m.Subject, "are stopped") && strings.Contains(strings.Join(strings.Fields(m.Text), " "), "begin with +46, and") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the owner was told %d times", n)
	}
}

// A number that a code came back from lately is not counted among strangers; where
// it may not go to, nothing is counted at all.
func TestPrice_rul13(t *testing.T) {
	x := newTexter(t)
	x.set(func(s *authn.TextSettings) { s.Currency, s.Price = "EUR", 45 })
	price, err := x.Providers.Price(t.Context(), x.Company.ID)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC)
	scopes := func(ask authn.TextAsk) (list []string) {
		ask.Now, ask.User = at, "u"
		of, err := price(ask)
		if err != nil {
			return []string{authn.AsError(err).Key}
		}
		for _, b := range of {
			list = append(list, b.Scope)
			if hides := slices.Contains([]string{"number", "number_day", "user", "prefix", "came_back_prefix", "address"}, b.Scope); b.Hidden != hides {
				t.Errorf("%s: hidden %v", b.Scope, b.Hidden)
			}
			if watched := strings.HasPrefix(b.Scope, "came_back"); b.Watch != watched || !b.From.Before(b.Until) || at.Before(b.From) || !at.Before(b.Until) {
				t.Errorf("%+v", b)
			}
			if strings.HasPrefix(b.Scope, "company_") && b.Money != 45 {
				t.Errorf("%s costs %d", b.Scope, b.Money)
			}
			if b.Scope == "company_month" && (b.From.Month() != time.December || b.Until != time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)) {
				t.Errorf("a month from %v until %v", b.From, b.Until)
			}
		}
		return list
	}
	known := []string{"company_day", "company_month", "number", "number_day", "user"}
	strange := append(slices.Clone(known), "prefix", "dial", "came_back_prefix", "came_back_dial")
	address := netip.MustParseAddr("2001:db8::1")
	for _, tt := range []struct {
		ask  authn.TextAsk
		want []string
	}{
		{authn.TextAsk{To: mobile, Verified: true, Address: address}, known},
		{authn.TextAsk{To: mobile}, strange},
		{authn.TextAsk{To: polish, Address: address}, append(slices.Clone(strange), "address")},
		{authn.TextAsk{To: "+12025550143"}, []string{"error.text_country"}},
		{authn.TextAsk{To: "+4470"}, []string{"error.text_number"}},
		{authn.TextAsk{To: "hello"}, []string{"error.text_number"}},
	} {
		if got := scopes(tt.ask); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %v, not %v", tt.ask, got, tt.want)
		}
	}
	of := func(a string) string {
		list, err := price(authn.TextAsk{To: mobile, Address: netip.MustParseAddr(a), Now: at})
		if err != nil {
			t.Fatal(err)
		}
		return list[len(list)-1].Subject
	}
	for _, same := range [][2]string{{"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"}, {"::ffff:198.51.100.7", "198.51.100.7"}, {"fe80::1%eth0", "fe80::2"}} {
		if of(same[0]) != of(same[1]) {
			t.Errorf("%v are two", same)
		}
	}
	if of("2001:db8:1:2::1") == of("2001:db8:1:3::1") || of("198.51.100.7") == of("198.51.100.8") {
		t.Error("two networks are one")
	}
}

// Whoever sends through the operator's provider stays within the operator's
// limits, whatever was saved or typed for a test.
func TestOperatorsShare(t *testing.T) {
	var limits authn.TextSettings
	x := newTexter(t, func(c *sallyport.Config) {
		g := sallyporttest.NewTwilio(t)
		d := twilio.New(&http.Client{})
		d.Base = g.URL()
		c.TextDrivers["server"] = d
		p := g.Provider()
		p.Driver = "server"
		limits = authn.TextSettings{Providers: []authn.TextProvider{p}, Countries: []string{"SE", "NO"}, Currency: "EUR", Price: 100, DayTexts: 10, MonMoney: 5000}
		c.Texts = limits
	})
	st, err := x.Providers.Texts(t.Context(), x.who)
	if err != nil || st.State() != provider.Server || !st.Offered || len(st.Settings.Providers) != 0 || st.Settings.DayTexts != 10 {
		t.Fatalf("%+v, %v", st, err)
	}
	// A test through it, without settings of one's own.
	res, err := x.Providers.TestTexts(t.Context(), x.who, provider.TextChange{}, 0, "070-174 06 05", "")
	if err != nil || !res.OK {
		t.Errorf("%+v, %v", res, err)
	}
	mine := authn.TextSettings{Countries: []string{"NO", "SE"}, Currency: "USD", Price: 1, DayTexts: 500, MonTexts: 700, DayMoney: 2000}
	if _, err := x.Providers.SetTexts(t.Context(), x.who, provider.TextChange{TextSettings: mine}); err != nil {
		t.Fatal(err)
	}
	st, err = x.Providers.Texts(t.Context(), x.who)
	want := authn.TextSettings{Countries: []string{"NO", "SE"}, Currency: "EUR", Price: 100, DayTexts: 10, MonTexts: 700, DayMoney: 2000, MonMoney: 5000}
	if err != nil || fmt.Sprintf("%#v", plain(st.Settings)) != fmt.Sprintf("%#v", plain(want)) {
		t.Errorf("%+v, %v", plain(st.Settings), err)
	}
	mine.Countries = []string{"SE", "PL"}
	for _, err := range []error{
		second(x.Providers.SetTexts(t.Context(), x.who, provider.TextChange{TextSettings: mine})),
		second(x.Providers.TestTexts(t.Context(), x.who, provider.TextChange{TextSettings: mine}, 0, polish, "")),
	} {
		if e := authn.AsError(err); e.Code != authn.Invalid || e.Fields[0].Code != "not_allowed" {
			t.Errorf("%v", err)
		}
	}
	// Typed limits raise nothing: of the operator's ten a day one went before.
	mine.Countries = []string{"SE"}
	for i := range 9 {
		if got := scope(t, x.ask(number(i, i), "u", "", true)); got != "" {
			t.Fatalf("%d: %s", i, got)
		}
	}
	_, err = x.Providers.TestTexts(t.Context(), x.who, provider.TextChange{TextSettings: mine}, 0, mobile, "")
	if got := scope(t, err); got != "company_day" {
		t.Errorf("refused by %q", got)
	}
}

func second[T any](_ T, err error) error { return err }

// plain is t as a type that prints itself.
func plain(t authn.TextSettings) any {
	type bare authn.TextSettings
	return bare(t)
}

// B3: owners are told once at 80 % and once at the end, of each window; raising a
// limit lets messages through again.
func TestOwnersAreTold_B3(t *testing.T) {
	x := newTexter(t)
	x.addOwner("lena")
	x.set(func(s *authn.TextSettings) { s.DayTexts = 10 })
	told := func(login string) (near, over int) {
		t.Helper()
		for _, m := range x.Mail(t, login+"@acme.example") {
			switch {
			case strings.Contains(m.Subject, "nearly used up"):
				near++
			case strings.Contains(m.Subject, "are stopped"):
				over++
			}
		}
		return near, over
	}
	events := func(typ string) (n int) {
		list, err := x.Audit.Events(t.Context(), x.Company.ID, authn.EventQuery{Type: typ, Limit: 50})
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	expect := func(when string, near, over int) {
		t.Helper()
		for _, login := range []string{"priya", "lena"} {
			if a, b := told(login); a != near || b != over {
				t.Errorf("%s: %s was told %d and %d times", when, login, a, b)
			}
		}
		if a, b := events("texts.limit_near"), events("texts.stopped"); a != near || b != over {
			t.Errorf("%s: %d and %d events", when, a, b)
		}
	}
	spend := func(from, to int) {
		for i := from; i < to; i++ {
			x.ask(number(i, i), fmt.Sprint("u", i), "", true)
		}
	}
	spend(0, 7)
	expect("at 70 %", 0, 0)
	spend(7, 8)
	expect("at 80 %", 1, 0)
	spend(8, 10)
	expect("at 100 %", 1, 0)
	spend(10, 14)
	expect("over it", 1, 1)
	x.ask(mobile, "u", "", true)
	x.Providers.Asked(t.Context(), x.Company.ID, errors.New("the provider is down"))
	expect("of anything else", 1, 1)
	x.set(func(s *authn.TextSettings) { s.DayTexts = 40 })
	if got := scope(t, x.ask(far, "u", "", true)); got != "" {
		t.Errorf("raised, and refused by %q", got)
	}
	x.Clock.Advance(24 * time.Hour)
	spend(100, 132)
	expect("the next day", 2, 1)
	st, err := x.Providers.TextsOf(t.Context(), x.Company.ID)
	if err != nil || st.Usage[0].Scope != "company_day" || st.Usage[0].N != 32 || st.Usage[0].Percent() != 80 || st.Usage[1].N != 43 {
		t.Errorf("%+v, %v", st.Usage, err)
	}
}

// Secrets go where they were entered for; who saves over another is told; nobody
// but an owner with a fresh proof does anything (rul-19, rul-32).
func TestSavingTexts_rul19_rul32(t *testing.T) {
	x := newTexter(t)
	ctx := t.Context()
	first := x.set()
	change := func(f func(*authn.TextSettings)) provider.TextChange {
		set := authn.TextSettings{Providers: []authn.TextProvider{x.twilio.Provider(), x.plivo.Provider()}, Countries: []string{"SE", "PL"}}
		f(&set)
		return provider.TextChange{TextSettings: set}
	}
	kept, err := x.Providers.SetTexts(ctx, x.who, change(func(s *authn.TextSettings) {
		s.Providers[0].Secret, s.Providers[1].Secret = "", ""
		slices.Reverse(s.Providers)
	}))
	if err != nil || !slices.Equal(kept.HasSecret, []bool{true, true}) || kept.Settings.Providers[0].Driver != "plivo" || kept.Settings.Providers[0].Secret != "" {
		t.Fatalf("%+v, %v", kept, err)
	}
	for name, f := range map[string]func(*authn.TextSettings){
		"another account": func(s *authn.TextSettings) { s.Providers[0].Account = "AC0123456789abcdef0123456789abcdee" },
		"another driver":  func(s *authn.TextSettings) { s.Providers[0].Driver = "plivo" },
	} {
		ch := change(func(s *authn.TextSettings) { s.Providers[0].Secret = ""; f(s) })
		if e := authn.AsError(second(x.Providers.SetTexts(ctx, x.who, ch))); e.Code != authn.Invalid || e.Fields[0].Name != "providers.0.secret" || e.Fields[0].Code != "again" {
			t.Errorf("%s: %v", name, e)
		}
		if e := authn.AsError(second(x.Providers.TestTexts(ctx, x.who, ch, 0, mobile, ""))); e.Code != authn.Invalid {
			t.Errorf("%s, tested: %v", name, e)
		}
	}
	if n := x.twilio.Asked() + x.plivo.Asked(); n != 0 {
		t.Errorf("%d requests went out", n)
	}
	old := change(func(*authn.TextSettings) {})
	old.From = first.Version
	if err := second(x.Providers.SetTexts(ctx, x.who, old)); !errors.Is(err, authn.Conflict) {
		t.Errorf("saved over another's change: %v", err)
	}
	if err := second(x.Providers.RemoveTexts(ctx, x.who, first.Version)); !errors.Is(err, authn.Conflict) {
		t.Errorf("removed another's change: %v", err)
	}
	everything := func(w provider.Who) map[string]error {
		return map[string]error{
			"see": second(x.Providers.Texts(ctx, w)), "set": second(x.Providers.SetTexts(ctx, w, change(func(*authn.TextSettings) {}))),
			"remove": second(x.Providers.RemoveTexts(ctx, w, 0)), "test": second(x.Providers.TestTexts(ctx, w, provider.TextChange{}, 0, mobile, "")),
			"see Duo": second(x.Providers.Duo(ctx, w)), "set Duo": second(x.Providers.SetDuo(ctx, w, provider.DuoChange{})),
			"remove Duo": second(x.Providers.RemoveDuo(ctx, w, 0)), "test Duo": second(x.Providers.TestDuo(ctx, w, provider.DuoChange{})),
		}
	}
	x.Clock.Advance(11 * time.Minute)
	for act, err := range everything(x.who) {
		if see := strings.HasPrefix(act, "see"); see && err != nil || !see && !errors.Is(err, authn.StepUpRequired) {
			t.Errorf("%s without a fresh proof: %v", act, err)
		}
	}
	x.owner = x.AddUser(t, x.Company, "maya", true)
	x.signIn(t)
	for act, err := range everything(x.who) {
		if !errors.Is(err, authn.Forbidden) {
			t.Errorf("%s by somebody: %v", act, err)
		}
	}
}

// A test costs what a text costs, and there are ten an hour.
func TestTestsAreCounted_rul32(t *testing.T) {
	x := newTexter(t)
	x.set(func(s *authn.TextSettings) { s.DayTexts = 100 })
	try := func(to string) error {
		return second(x.Providers.TestTexts(t.Context(), x.who, provider.TextChange{}, 0, to, ""))
	}
	for i := range 4 {
		if err := try(mobile); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if got := scope(t, try(mobile)); got != "number" {
		t.Errorf("refused by %q", got)
	}
	for i := range provider.TestsPerHour - 5 {
		if err := try(number(i, i)); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if e := authn.AsError(try(far)); e.Code != authn.TooManyRequests || e.Key != "error.mail_tests" {
		t.Errorf("%v", e)
	}
	st, err := x.Providers.TextsOf(t.Context(), x.Company.ID)
	if err != nil || st.Usage[0].N != 9 || len(x.twilio.Sent()) != 9 {
		t.Errorf("%d were counted, %d sent, %v", st.Usage[0].N, len(x.twilio.Sent()), err)
	}
	x.Clock.Advance(time.Hour)
	x.signIn(t)
	if err := try(far); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}

// Rul-13: what a provider reports is believed by its signature, changes no budget,
// and counts once.
func TestReceipts_rul13(t *testing.T) {
	x := newTexter(t)
	x.set()
	for i, g := range []interface {
		Report(callback, reference, state, code string, at time.Time) authn.ReceiptRequest
	}{x.twilio, x.plivo} {
		name := []string{"twilio-1", "plivo-2"}[i]
		path := provider.ReceiptPath(x.Company.ID, name)
		report := func(reference, state string) authn.ReceiptRequest {
			q := g.Report(x.URL+path, reference, state, "", x.Clock.Now())
			q.URL = strings.TrimPrefix(q.URL, x.URL+path)
			return q
		}
		send := func(name string, q authn.ReceiptRequest) error {
			return x.Providers.Receipt(t.Context(), x.Company.ID, name, q)
		}
		good, bad := report(fmt.Sprintf("SM%032x", i), "delivered"), report(fmt.Sprintf("SM%032x", 10+i), "failed")
		for range 3 {
			if err := send(name, good); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := send(name, bad); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		forged := report(fmt.Sprintf("SM%032x", 20+i), "delivered")
		forged.Body = bytes.ReplaceAll(forged.Body, []byte("delivered"), []byte("undelivered"))
		unsigned := report(fmt.Sprintf("SM%032x", 30+i), "delivered")
		unsigned.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		for what, q := range map[string]authn.ReceiptRequest{"forged": forged, "unsigned": unsigned} {
			if err := send(name, q); !errors.Is(err, authn.Forbidden) && !errors.Is(err, authn.Invalid) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		for _, place := range []string{"twilio-2", "plivo-1", "", "twilio", name + "x"} {
			if err := send(place, good); !errors.Is(err, authn.NotFound) {
				t.Errorf("at %q: %v", place, err)
			}
		}
	}
	st, err := x.Providers.TextsOf(t.Context(), x.Company.ID)
	if err != nil || st.Delivered != 2 || st.Failed != 2 || st.Usage[0].N != 0 {
		t.Errorf("%+v, %v", st, err)
	}
	// Another company, also one with the same provider, takes nothing of it.
	globex := x.AddCompany(t, "globex", "Globex")
	q := x.twilio.Report(x.URL+provider.ReceiptPath(x.Company.ID, "twilio-1"), "SM1", "delivered", "", x.Clock.Now())
	q.URL = ""
	if err := x.Providers.Receipt(t.Context(), globex.ID, "twilio-1", q); !errors.Is(err, authn.NotFound) {
		t.Errorf("%v", err)
	}
	x.UseTexts(t, globex, func(s *authn.TextSettings) { s.Providers = []authn.TextProvider{x.twilio.Provider()} })
	if err := x.Providers.Receipt(t.Context(), globex.ID, "twilio-1", q); !errors.Is(err, authn.Forbidden) {
		t.Errorf("a report for another company: %v", err)
	}
}

// cve-61: no secret and no number is in any answer, event, log or error, also when
// a provider repeats all that it was told.
func TestNoSecretAnywhere_cve61(t *testing.T) {
	x := newTexter(t)
	ctx := t.Context()
	x.twilio.Fail(sallyporttest.TextEcho)
	var said []string
	say := func(v any, err error) {
		said = append(said, fmt.Sprintf("%v %+v %#v %v", v, v, v, err))
	}
	say(x.set(), nil)
	say(x.Providers.Texts(ctx, x.who))
	say(x.Providers.TestTexts(ctx, x.who, provider.TextChange{}, 0, mobile, ""))
	sender, err := x.Providers.SenderFor(ctx, x.Company.ID, authn.SMS, "")
	if err != nil {
		t.Fatal(err)
	}
	say(nil, sender.Send(ctx, text("1")))
	x.UseDuo(t, x.Company)
	say(x.Providers.Duo(ctx, x.who))
	say(x.Providers.TestDuo(ctx, x.who, provider.DuoChange{}))
	list, err := x.Audit.Events(ctx, x.Company.ID, authn.EventQuery{Limit: 100})
	say(list, err)
	say(x.log.String(), nil)
	for _, s := range said {
		for _, secret := range []string{x.twilio.Secret, x.plivo.Secret, sallyporttest.DuoSKey, mobile[1:], "123 456", "123456"} {
			if i := strings.Index(s, secret); i >= 0 {
				t.Errorf("%q stands in %q", secret, s[max(0, i-80):min(len(s), i+80)])
			}
		}
	}
}

func text(id string) authn.Message {
	return authn.Message{ID: "msg_" + id, Channel: authn.SMS, To: mobile, Text: "123456 is your code", Language: "en"}
}
