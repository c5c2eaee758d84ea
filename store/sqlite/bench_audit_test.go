package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// BenchmarkSearch is a page of the event log, by filter, in a company of 50,000
// people and 1,000,000 events (or SALLYPORT_BENCH_EVENTS):
//
//	go test -run '^$' -bench Search -benchtime 200x ./store/sqlite
func BenchmarkSearch(b *testing.B) {
	n := 1_000_000
	if s := os.Getenv("SALLYPORT_BENCH_EVENTS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	f := fixture(b, filepath.Join(b.TempDir(), "sallyport.db"))
	ctx, start := context.Background(), time.Date(2025, 11, 21, 0, 0, 0, 0, time.UTC)
	random := rand.New(rand.NewPCG(1, 2))
	c := authn.Company{ID: authn.NewID(authn.CompanyID, start, zeros{}), Slug: "acme", Name: "Acme", Policy: []byte("{}"), PolicyVersion: 1, CreatedAt: start}
	if err := f.Store.CreateCompany(ctx, c, authn.Event{Type: "company.created", At: start}); err != nil {
		b.Fatal(err)
	}
	people := make([]string, 50_000)
	for i := range people {
		people[i] = authn.NewID(authn.UserID, start, zeros{})
	}
	types := []string{"session.started", "sign_in.begun", "factor.proved", "code.sent", "factor.refused", "sign_in.refused", "session.ended", "factor.confirmed", "factor.removed", "password.changed"}
	indexed := withoutIndexes(b, f.SQL)
	tx, err := f.SQL.Begin()
	if err != nil {
		b.Fatal(err)
	}
	insert, err := tx.Prepare("INSERT INTO events (company, id, type, actor, target, result, at, person, commitment, seq, prev, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, '', x'', $8, x'00', x'00')")
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		at := start.Add(time.Duration(i) * (365 * 24 * time.Hour / time.Duration(n)))
		typ, who, result := types[min(random.IntN(len(types)), random.IntN(len(types)))], people[random.IntN(len(people))], "success"
		actor := who
		switch {
		case i%1000 == 0:
			typ, actor = "user.suspended", "operator"
		case i%100_000 == 7:
			typ, actor = "provider.changed", people[0]
		}
		if random.IntN(12) == 0 && i < n/2 { // none lately
			result = "refused"
		}
		if _, err := insert.Exec(c.ID, authn.NewID(authn.EventID, at, zeros{}), typ, actor, who, result, at.UnixMicro(), i+1); err != nil {
			b.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	indexed()
	middle := start.Add(180 * 24 * time.Hour)
	for _, q := range []struct {
		name string
		authn.EventQuery
	}{
		{"all", authn.EventQuery{}},
		{"person", authn.EventQuery{Target: people[77]}},
		{"by=operator", authn.EventQuery{Actor: "operator"}},
		{"type", authn.EventQuery{Type: "factor.removed"}},
		{"family", authn.EventQuery{Type: "factor."}},
		{"family,month", authn.EventQuery{Type: "factor.", Since: middle, Until: middle.AddDate(0, 1, 0)}},
		{"month", authn.EventQuery{Since: middle, Until: middle.AddDate(0, 1, 0)}},
		{"refused", authn.EventQuery{Result: authn.Refused, Until: middle}},
		{"refused,rare", authn.EventQuery{Result: authn.Refused}},
		{"family,refused,rare", authn.EventQuery{Type: "factor.", Result: authn.Refused}},
		{"by=operator,type,rare", authn.EventQuery{Actor: "operator", Type: "policy.changed"}},
		{"person,by,family,refused,month", authn.EventQuery{Target: people[77], Actor: people[77], Type: "factor.", Result: authn.Refused, Since: middle, Until: middle.AddDate(0, 1, 0)}},
		{"nothing", authn.EventQuery{Type: "none.at_all"}},
	} {
		b.Run(q.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				from := time.Now()
				if _, err := f.Store.Search(ctx, c.ID, q.EventQuery); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(from))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
		})
	}
	page, err := f.Store.Search(ctx, c.ID, authn.EventQuery{Result: authn.Refused})
	if err != nil || page.Searched.IsZero() {
		b.Errorf("a rare search is not cut short: %+v %v", page.Searched, err)
	}
	b.Log(fmt.Sprint(n, " events"))
}

// withoutIndexes drops the indexes of events and answers how they are made again:
// sorting ten million rows once is hours faster than inserting each where it belongs.
func withoutIndexes(b *testing.B, db *sql.DB) func() {
	b.Helper()
	rows, err := db.Query("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'events' AND sql IS NOT NULL")
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	made := map[string]string{}
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			b.Fatal(err)
		}
		made[name] = text
	}
	if err := rows.Err(); err != nil || len(made) == 0 {
		b.Fatalf("%d indexes: %v", len(made), err)
	}
	rows.Close()
	for name := range made {
		if _, err := db.Exec("DROP INDEX " + name); err != nil {
			b.Fatal(err)
		}
	}
	return func() {
		for _, text := range made {
			if _, err := db.Exec(text); err != nil {
				b.Fatal(err)
			}
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
