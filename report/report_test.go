package report_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/report"
)

var now = time.Date(2026, 11, 21, 9, 14, 10, 0, time.UTC)

// fake is a store that holds what a test says.
type fake struct {
	people            []authn.Person
	counts            []authn.EventCount
	oldest            time.Time
	owners, wrong     []authn.Person
	grace, known, end int
	keys              []authn.APIKey
	asked             authn.CountQuery
	fail              error
	pages             int
}

func (f *fake) EventCounts(_ context.Context, company string, q authn.CountQuery) ([]authn.EventCount, error) {
	f.asked = q
	var out []authn.EventCount
	for _, c := range f.counts {
		if company == acme.ID && slices.Contains(q.Types, c.Type) {
			out = append(out, c)
		}
	}
	return out, f.fail
}
func (f *fake) OldestUnsealed(context.Context, string) (time.Time, error) { return f.oldest, f.fail }
func (f *fake) People(_ context.Context, _, after string, limit int) ([]authn.Person, error) {
	f.pages++
	i := 0
	for i < len(f.people) && f.people[i].User.ID <= after {
		i++
	}
	return f.people[i:min(i+limit, len(f.people))], f.fail
}
func (f *fake) Owners(context.Context, string) ([]authn.Person, error)     { return f.owners, f.fail }
func (f *fake) Wrong(context.Context, string, int) ([]authn.Person, error) { return f.wrong, f.fail }
func (f *fake) PasswordsKnown(context.Context, string, int) (int, error)   { return f.known, f.fail }
func (f *fake) APIKeys(_ context.Context, _, _, after string, _ int) ([]authn.APIKey, error) {
	if after != "" {
		return nil, f.fail
	}
	return f.keys, f.fail
}
func (f *fake) GraceBegun(_ context.Context, _ string, after, until time.Time, _ int) (int, error) {
	if !until.After(after) || until.After(now) {
		return 0, errors.New("a window of the wrong time")
	}
	return f.grace, f.fail
}
func (f *fake) ExemptionsEnding(_ context.Context, _ string, after, _ time.Time, _ int) (int, error) {
	if !after.Equal(now) {
		return 0, errors.New("those that are over count")
	}
	return f.end, f.fail
}

// method is a way that is offered.
type method struct {
	kind   authn.Kind
	traits authn.Traits
}

func (m method) Kind() authn.Kind         { return m.kind }
func (m method) Traits() authn.Traits     { return m.traits }
func (m method) Quick() bool              { return true }
func (m method) Shape(authn.Answer) error { return nil }
func (m method) Verify(context.Context, authn.Request, authn.Answer) (authn.Match, error) {
	return authn.Match{}, nil
}

var methods = []authn.Method{method{authn.Password, authn.Traits{Knowledge: true}}, method{authn.TOTP, authn.Traits{Possession: true}},
	method{authn.Email, authn.Traits{OutOfBand: true}}, method{authn.BackupCode, authn.Traits{Possession: true, Recovery: true}}}

var acme = authn.Company{ID: "cmp_acme", Slug: "acme", Policy: []byte(`{"format":1,"two_factor":"required","own_way":["internal"],"grace_days":14}`), PolicyVersion: 3}

func service(t testing.TB, f *fake) *report.Service {
	t.Helper()
	s, err := report.New(report.Config{Store: f, Methods: methods, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// person is somebody with ways.
func person(id string, change func(*authn.User), kinds ...authn.Kind) authn.Person {
	p := authn.Person{User: authn.User{Company: acme.ID, ID: "usr_" + id, Login: id, Name: "Test " + id, Email: id + "@acme.example", EmailVerifiedAt: now.AddDate(-1, 0, 0),
		Audience: authn.InternalAudience, Status: authn.Active, Roles: []string{directory.Member}, Epoch: 1}}
	if change != nil {
		change(&p.User)
	}
	for _, k := range append([]authn.Kind{authn.Password}, kinds...) {
		p.Factors = append(p.Factors, authn.Factor{ID: "fac_" + id + string(k), User: p.User.ID, Kind: k, State: authn.Confirmed, ConfirmAt: now.AddDate(0, -1, 0), Counts: map[authn.Lane]authn.Count{}})
	}
	return p
}

func crowd() []authn.Person {
	return []authn.Person{
		person("a", nil, authn.TOTP), person("b", nil),
		person("c", func(u *authn.User) { u.Audience = authn.ExternalAudience }),
		person("d", func(u *authn.User) { u.EmailVerifiedAt = time.Time{} }),
		person("e", func(u *authn.User) {
			u.ExemptUntil, u.ExemptReason, u.ExemptBy = now.Add(time.Hour), "=new phone", "usr_a"
		}),
		person("f", func(u *authn.User) { u.API = true }), person("g", func(u *authn.User) { u.Status = authn.Suspended }, authn.TOTP),
	}
}

func TestAdoption_H7(t *testing.T) {
	f := &fake{people: crowd()}
	a, err := service(t, f).Adoption(t.Context(), acme)
	if err != nil {
		t.Fatal(err)
	}
	want := map[report.Standing]int64{report.HasWay: 1, report.Missing: 1, report.ByContact: 1, report.Stranded: 1, report.Exempt: 1, report.APIUse: 1, report.Suspended: 1}
	if a.People != 5 || !reflect.DeepEqual(a.By, want) || a.PolicyVersion != 3 || a.Percent() != 20 || !slices.Equal(a.Ways, []report.WayCount{{Kind: authn.TOTP, N: 1}}) {
		t.Errorf("%+v", a)
	}
	// Who has several passkeys counts once; of who has none of the other kind nothing is said.
	methods = append(methods, method{authn.WebAuthn, authn.Traits{Possession: true, PhishingResistant: true}})
	defer func() { methods = methods[:len(methods)-1] }()
	f.people = append(f.people, person("h", nil, authn.TOTP, authn.WebAuthn, authn.WebAuthn))
	if a, err = service(t, f).Adoption(t.Context(), acme); err != nil || a.Resistant != 1 || !slices.Equal(a.Ways, []report.WayCount{{Kind: authn.TOTP, N: 2}, {Kind: authn.WebAuthn, N: 1}}) {
		t.Errorf("%+v %v", a, err)
	}
	f.people = crowd()
	off := acme
	off.Policy = []byte(`{"format":1,"two_factor":"off"}`)
	if a, err = service(t, f).Adoption(t.Context(), off); err != nil || a.By[report.NotAsked] != 5 || a.By[report.HasWay] != 0 || len(a.Ways) != 0 {
		t.Errorf("%+v %v", a, err)
	}
	f.people = nil
	if a, err = service(t, f).Adoption(t.Context(), acme); err != nil || a.People != 0 || a.Percent() != 0 {
		t.Errorf("%+v %v", a, err)
	}
	bad := acme
	bad.Policy = []byte(`{`)
	if _, err := service(t, f).Adoption(t.Context(), bad); err == nil {
		t.Error("a policy that cannot be read")
	}
}

// Each person's standing is that of their shape.
func TestAdoption_asCoverage(t *testing.T) {
	f := &fake{people: crowd()}
	s := service(t, f)
	a, err := s.Adoption(t.Context(), acme)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Coverage(acme)
	if err != nil {
		t.Fatal(err)
	}
	got := map[report.Standing]int64{}
	if _, err := c.Each(t.Context(), func(r report.Row) error { got[r.Standing]++; return nil }); err != nil || !reflect.DeepEqual(got, a.By) {
		t.Errorf("%v, and by shape %v: %v", got, a.By, err)
	}
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		n, all int64
		want   int
	}{{0, 0, 0}, {0, 5, 0}, {5, 5, 100}, {1, 1000, 1}, {999, 1000, 99}, {2, 3, 67}, {7, 3, 100}, {-1, 3, 0}, {1 << 60, 1 << 61, 50}} {
		if got := report.Share(c.n, c.all); got != c.want {
			t.Errorf("%d of %d: %d", c.n, c.all, got)
		}
	}
}

func TestSignIns_H7(t *testing.T) {
	day := now.Unix() / 86400
	f := &fake{counts: []authn.EventCount{
		{Day: day, Type: "session.started", Detail: "totp", N: 5}, {Day: day, Type: "session.started", Detail: "password", N: 2}, {Day: day, Type: "session.started", Detail: "aal2", N: 1},
		{Day: day - 1, Type: "factor.refused", Detail: "totp", N: 3}, {Day: day - 1, Type: "sign_in.refused", N: 4}, {Day: day - 1, Type: "sign_in.refusals_counted", N: 100},
		{Day: day - 29, Type: "sign_in.denied", N: 1}, {Day: day - 30, Type: "session.started", N: 7}, {Day: day + 1, Type: "session.started", N: 7},
		{Day: day, Type: "factor.proved", Detail: "sms", N: 6}, {Day: day, Type: "session.confirmed", Detail: "totp", N: 2},
	}}
	s, err := service(t, f).SignIns(t.Context(), acme, 30, 0)
	if err != nil || len(s.Days) != 30 {
		t.Fatalf("%+v %v", s, err)
	}
	if d := s.Days[29]; d.SignedIn != 8 || d.TwoSteps != 5 || d.Failed != 0 || d.Date.Format(time.DateOnly) != "2026-11-21" {
		t.Errorf("%+v", d)
	}
	if s.Days[28].Failed != 107 || s.Days[0].Failed != 1 || s.Total().SignedIn != 8 {
		t.Errorf("%+v", s.Days)
	}
	if !slices.Equal(s.Used, []report.WayCount{{Kind: "totp", N: 7}, {Kind: "sms", N: 6}}) {
		t.Errorf("%+v", s.Used)
	}
	for _, days := range []int{0, -1, report.MostDays + 1} {
		if _, err := service(t, f).SignIns(t.Context(), acme, days, 0); authn.AsError(err).Code != authn.Invalid {
			t.Errorf("%d days: %v", days, err)
		}
	}
	// The window is that of the reader's days.
	for offset, from := range map[time.Duration]string{0: "2026-11-21T00:00:00Z", time.Hour: "2026-11-20T23:00:00Z", 15 * time.Hour: "2026-11-21T09:00:00Z", -10 * time.Hour: "2026-11-20T10:00:00Z"} {
		if _, err := service(t, f).SignIns(t.Context(), acme, 1, offset); err != nil || f.asked.From.Format(time.RFC3339) != from || f.asked.Until.Sub(f.asked.From) != 24*time.Hour {
			t.Errorf("%v: %v to %v, %v", offset, f.asked.From, f.asked.Until, err)
		}
	}
}

func TestAttention_H7(t *testing.T) {
	owner := func(id string, kinds ...authn.Kind) authn.Person {
		return person(id, func(u *authn.User) { u.Roles = []string{directory.Owner} }, kinds...)
	}
	locked := func(id string, tries int, paused time.Time) authn.Person {
		p := person(id, nil, authn.TOTP)
		p.Factors[1].Counts[authn.Stranger] = authn.Count{Tries: tries, PausedUntil: paused}
		return p
	}
	day := now.Unix() / 86400
	two := []authn.Person{owner("o", authn.TOTP), owner("p", authn.TOTP)}
	for name, c := range map[string]struct {
		f    fake
		want []string
	}{
		"nothing":                   {fake{owners: two}, nil},
		"no owner":                  {fake{}, []string{"no_owner_has_way"}},
		"one owner":                 {fake{owners: two[:1]}, []string{"few_owners"}},
		"one without":               {fake{owners: []authn.Person{two[0], owner("q")}}, []string{"owner_without_way Test q"}},
		"all without":               {fake{owners: []authn.Person{owner("q"), owner("r")}}, []string{"no_owner_has_way"}},
		"paused":                    {fake{owners: two, wrong: []authn.Person{locked("x", 10, now.Add(time.Minute))}}, []string{"locked Test x"}},
		"pause over":                {fake{owners: two, wrong: []authn.Person{locked("x", 10, now.Add(-time.Minute))}}, nil},
		"pause of a put-back clock": {fake{owners: two, wrong: []authn.Person{locked("x", 10, now.Add(5*time.Hour))}}, nil},
		"locked":                    {fake{owners: two, wrong: []authn.Person{locked("x", 70, time.Time{}), locked("y", 70, time.Time{}), locked("z", 5, time.Time{})}}, []string{"locked 2"}},
		"passwords":                 {fake{owners: two, known: 3}, []string{"passwords_known 3"}},
		"very many passwords":       {fake{owners: two, known: 1001}, []string{"passwords_known 1000+"}},
		"grace":                     {fake{owners: two, grace: 2}, []string{"grace_ends 2"}},
		"exemptions":                {fake{owners: two, end: 1}, []string{"exemptions_end 1"}},
		"help": {fake{owners: two, people: []authn.Person{person("h", func(u *authn.User) { u.HelpAskedAt = now }, authn.TOTP),
			person("i", func(u *authn.User) { u.HelpAskedAt, u.Status = now, authn.Suspended }, authn.TOTP)}}, []string{"help_asked 1"}},
		"unsealed":    {fake{owners: two, oldest: now.Add(-10 * time.Minute)}, []string{"unsealed"}},
		"sealed soon": {fake{owners: two, oldest: now.Add(-time.Minute)}, nil},
		"alarm":       {fake{owners: two, counts: []authn.EventCount{{Day: day, Type: "company.many_failures", N: 2}}}, []string{"many_failures 2"}},
		"keys": {fake{owners: two, keys: []authn.APIKey{{Name: "old", ExpiresAt: now.Add(-time.Hour)}, {Name: "siem", ExpiresAt: now.AddDate(0, 0, 13)},
			{Name: "far", ExpiresAt: now.AddDate(0, 0, 15)}}}, []string{"keys_end siem"}},
		"missing and stranded, worst first": {fake{owners: two[:1], people: crowd(), known: 1}, []string{"passwords_known 1", "stranded 1", "few_owners", "missing 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := service(t, &c.f).Attention(t.Context(), acme)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, i := range list {
				words := string(i.Kind)
				switch {
				case i.Name != "":
					words += " " + i.Name
				case i.More:
					words += fmt.Sprintf(" %d+", i.N)
				case i.N > 0 && i.Kind != report.NoOwnerHasWay && i.Kind != report.FewOwners:
					words += fmt.Sprintf(" %d", i.N)
				}
				if got = append(got, words); i.Link == "" || !strings.HasPrefix(i.TextKey(), "admin.attention.") {
					t.Errorf("%+v", i)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Whoever lacks reports.read is told of what they can see to, and of nothing else.
func TestMay(t *testing.T) {
	for _, k := range report.Kinds() {
		if p := report.May(k); !slices.Contains(directory.Permissions(), p) || p == directory.ReportsRead {
			t.Errorf("%s: %s", k, p)
		}
	}
	if report.May(report.ProviderFailing) != directory.ProvidersWrite || report.May(report.Locked) != directory.UsersRead {
		t.Error("providers are the owners', people the help desk's")
	}
}

func TestCoverage_pages(t *testing.T) {
	f := &fake{}
	for i := range 450 {
		f.people = append(f.people, person(fmt.Sprintf("%04d", i), nil, authn.TOTP))
	}
	c, err := service(t, f).Coverage(acme)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	n, err := c.Each(t.Context(), func(r report.Row) error { seen[r.User.ID] = true; return nil })
	if err != nil || n != 450 || len(seen) != 450 || f.pages != 3 {
		t.Errorf("%d rows, %d people in %d pages: %v", n, len(seen), f.pages, err)
	}
	stop := errors.New("full")
	if _, err := c.Each(t.Context(), func(report.Row) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	var b bytes.Buffer
	f.fail = errors.New("gone")
	if err := c.WriteCSV(t.Context(), &b); err == nil || strings.Contains(b.String(), "end of report") {
		t.Errorf("%v %s", err, b.String())
	}
}

func TestCoverage_rows_rul37(t *testing.T) {
	f := &fake{people: crowd()}
	f.people[1].User.Name = "+46 70"
	f.people[0].Factors = append(f.people[0].Factors, authn.Factor{Kind: authn.BackupCode, State: authn.Confirmed, Left: 7},
		authn.Factor{ID: "fac_x", Kind: authn.SMS, State: authn.Confirmed}, authn.Factor{ID: "fac_y", Kind: authn.Duo, State: authn.Pending})
	c, err := service(t, f).Coverage(acme)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := c.Page(t.Context(), "", 10)
	if err != nil || len(rows) != 7 {
		t.Fatalf("%d %v", len(rows), err)
	}
	if r := rows[0]; r.Codes != 7 || len(r.Ways) != 2 || !r.Ways[0].Counts || r.Ways[1].Counts || !r.Demanded || r.Why[0].Rule != policy.CompanyRequires {
		t.Errorf("%+v", r)
	}
	if r := rows[4]; !r.Exempt || r.Demanded {
		t.Errorf("%+v", r)
	}
	var b bytes.Buffer
	if err := c.WriteCSV(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	table, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(table) != 9 || table[2][2] != "'+46 70" || !slices.Contains(table[5], "'=new phone") || table[8][1] != "people: 7" {
		t.Errorf("%q %v", table, err)
	}
}

func TestNew(t *testing.T) {
	if _, err := report.New(report.Config{}); err == nil {
		t.Error("without a store")
	}
	f := &fake{fail: errors.New("gone")}
	if _, err := service(t, f).Overview(t.Context(), acme, 0); !errors.Is(err, f.fail) {
		t.Errorf("%v", err)
	}
}
