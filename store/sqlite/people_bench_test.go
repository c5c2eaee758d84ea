package sqlite_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// crowds are the sizes of the companies that BenchmarkPeople looks at.
// SALLYPORT_PEOPLE is another one.
func crowds() []int {
	var n int
	if _, err := fmt.Sscan(os.Getenv("SALLYPORT_PEOPLE"), &n); err == nil && n > 0 {
		return []int{n}
	}
	return []int{100_000, 1_000_000}
}

// BenchmarkPeople is what one page of the list of people costs. The people are put
// into the tables as the store would, without its decisions.
func BenchmarkPeople(b *testing.B) {
	for _, n := range crowds() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := fixture(b, filepath.Join(b.TempDir(), "sallyport.db"))
			company := crowd(b, f, n)
			has := func(parts ...string) func(string) bool {
				return func(shape string) bool {
					s, err := authn.ParseShape(shape)
					return err == nil && !slices.ContainsFunc(parts, func(p string) bool {
						switch p {
						case "totp", "duo":
							return !slices.Contains(s.Kinds, authn.Kind(p))
						case "locked":
							return !s.Locked
						case "none":
							return len(s.Kinds) > 0
						case "suspended":
							return s.Status == authn.Active
						}
						return !slices.Contains(s.Roles, p)
					})
				}
			}
			for _, c := range []struct {
				name string
				q    authn.PeopleQuery
			}{
				{"all", authn.PeopleQuery{}}, {"way", authn.PeopleQuery{Fits: has("totp")}}, {"no way", authn.PeopleQuery{Fits: has("none")}},
				{"role of ten", authn.PeopleQuery{Fits: has("auditor")}}, {"locked, one in 5,000", authn.PeopleQuery{Fits: has("locked")}},
				{"nobody", authn.PeopleQuery{Fits: has("locked", "suspended", "auditor")}},
				{"search for one", authn.PeopleQuery{Words: []string{"user000777@"}}}, {"search for none", authn.PeopleQuery{Words: []string{"zzz"}}},
				{"search for a letter", authn.PeopleQuery{Words: []string{"a"}}}, {"search for a name", authn.PeopleQuery{Words: []string{"anna"}}},
				{"first and last name", authn.PeopleQuery{Words: []string{"anna", "berg"}}}, {"two letters that many have", authn.PeopleQuery{Words: []string{"a", "b"}}},
				{"domain and a rare role", authn.PeopleQuery{Words: []string{"crowd.example"}, Fits: has("auditor")}},
				{"letter and a filter of few", authn.PeopleQuery{Words: []string{"a"}, Fits: has("locked")}},
				{"letters that nobody has together", authn.PeopleQuery{Words: []string{"anna", "otto"}}},
			} {
				b.Run(c.name, func(b *testing.B) { pages(b, f, company, c.q) })
			}
		})
	}
}

// pages reads page after page, and begins anew at the end.
func pages(b *testing.B, f *sallyporttest.Fixture, company string, q authn.PeopleQuery) {
	var took []time.Duration
	first := q
	for range b.N {
		from := time.Now()
		page, err := f.Store.FindPeople(context.Background(), company, q)
		took = append(took, time.Since(from))
		if err != nil {
			b.Fatal(err)
		}
		if q = first; page.Next != "" {
			q.After = page.Next
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
}

var (
	firsts = []string{"Anna", "Omar", "Maya", "Otto", "Zoë", "Björn", "Priya", "Chen", "Aleksandra", "Bartosz", "Diego", "Fatima", "Ivan", "Lena", "Nadia", "Tom"}
	lasts  = []string{"Berg", "Lindqvist", "O'Brien", "Nair", "Kowalska", "García", "Ångström", "Wang", "Smith", "Nowak", "Rossi", "Dubois", "Meyer", "Hassan", "Silva", "Tanaka", "Okafor"}
)

// crowd makes a company of n people and gives its id.
func crowd(b *testing.B, f *sallyporttest.Fixture, n int) string {
	b.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	company := authn.NewID(authn.CompanyID, now, rand.Reader)
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	must(f.Store.CreateCompany(context.Background(), authn.Company{ID: company, Slug: "crowd", Name: "Crowd", CreatedAt: now}, authn.Event{Type: "company.created", Result: authn.Succeeded}))
	counts := map[string]int64{}
	const batch = 10_000
	for from := 0; from < n; from += batch {
		tx, err := f.SQL.Begin()
		must(err)
		user, err := tx.Prepare(`INSERT INTO users (company, id, login, email, email_verified_at, name, locale, audience, status, roles, require_two_factor, epoch,
			password_changed_at, wrong_in_row, wrong_in_month, month_start, password_known_at, created_at, shape, reshape_at)
			VALUES (?, ?, ?, ?, 1, ?, '', ?, ?, ?, 0, 1, 0, 0, 0, 0, 0, 0, ?, 0)`)
		must(err)
		word, err := tx.Prepare("INSERT INTO user_words (company, word, user_id) VALUES (?, ?, ?)")
		must(err)
		for i := from; i < min(from+batch, n); i++ {
			one(b, user, word, company, i, n, now.Add(time.Duration(i)*time.Millisecond), counts)
		}
		must(tx.Commit())
	}
	for shape, count := range counts {
		_, err := f.SQL.Exec("INSERT INTO people_shapes (company, shape, n) VALUES (?, ?, ?)", company, shape, count)
		must(err)
	}
	return company
}

func one(b *testing.B, user, word *sql.Stmt, company string, i, n int, at time.Time, counts map[string]int64) {
	u := authn.User{Company: company, ID: authn.NewID(authn.UserID, at, rand.Reader), Login: fmt.Sprintf("user%06d", i), Email: fmt.Sprintf("user%06d@crowd.example", i),
		EmailVerifiedAt: at, Name: firsts[i%len(firsts)] + " " + lasts[i%len(lasts)], Audience: authn.ExternalAudience, Status: authn.Active, Roles: []string{"member"}}
	if i%7 == 0 {
		u.Audience = authn.InternalAudience
	}
	if i%50 == 0 {
		u.Status = authn.Suspended
	}
	if i%1000 == 0 {
		u.Roles = []string{"helpdesk"}
	}
	if i%(n/10) == 5 {
		u.Roles = []string{"auditor"}
	}
	var factors []authn.Factor
	add := func(k authn.Kind, tries int) {
		factors = append(factors, authn.Factor{Kind: k, State: authn.Confirmed, Left: 5, Counts: map[authn.Lane]authn.Count{authn.Stranger: {Tries: tries}}})
	}
	add(authn.Password, 0)
	for d, k := range map[int]authn.Kind{3: authn.TOTP, 5: authn.SMS, 11: authn.Duo} {
		if tries := 0; i%d == 0 {
			if i%5000 == 0 {
				tries = 70
			}
			add(k, tries)
			u.HadFactorAt = at
		}
	}
	if i%6 == 0 {
		add(authn.BackupCode, 0)
	}
	shape := authn.ShapeOf(u, factors, at).String()
	counts[shape]++
	if _, err := user.Exec(company, u.ID, u.Login, u.Email, u.Name, string(u.Audience), string(u.Status), `["`+strings.Join(u.Roles, `","`)+`"]`, shape); err != nil {
		b.Fatal(err)
	}
	for _, w := range authn.PersonWords(u) {
		if _, err := word.Exec(company, w, u.ID); err != nil {
			b.Fatal(err)
		}
	}
}
