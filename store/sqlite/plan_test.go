package sqlite

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// TestPlans: no statement of the store reads a whole table, so that the cost of
// a sign-in does not grow with the number of people and events.
func TestPlans(t *testing.T) {
	b := newBed(t, t.TempDir(), 1)
	ctx := context.Background()
	b.everyStatement(ctx)
	texts := slices.Sorted(maps.Keys(b.w.stmts))
	texts = append(texts, slices.Sorted(maps.Keys(b.r.stmts))...)
	if len(texts) < 40 {
		t.Errorf("only %d statements were run", len(texts))
	}
	for _, text := range texts {
		if first, _, _ := strings.Cut(text, " "); !slices.Contains([]string{"SELECT", "UPDATE", "INSERT", "DELETE"}, first) {
			continue
		}
		if strings.Contains(text, "factors_2") || strings.HasPrefix(text, "UPDATE users SET owner =") || strings.HasPrefix(text, "UPDATE users SET had_factor_at =") {
			continue // a migration, once
		}
		for _, step := range b.plan(text) {
			switch {
			case !strings.Contains(step, "SCAN"), strings.Contains(step, "CONSTANT ROW"):
			case strings.Contains(text, "FROM companies c ORDER BY"), strings.Contains(text, "$1 = ''"), strings.Contains(text, "FROM migrations"),
				strings.Contains(text, "FROM leases"), strings.Contains(text, "count(*) FROM companies"),
				strings.Contains(text, "FROM events WHERE seq IS NULL"): // by an index that holds those few // few rows, not on the way of a sign-in
			default:
				t.Errorf("%s\n\t%s", text, step)
			}
		}
	}
}

func (b *bed) plan(text string) []string {
	b.t.Helper()
	rows, err := b.beside().Query("EXPLAIN QUERY PLAN "+text, make([]any, strings.Count(text, "$"))...)
	if err != nil {
		b.t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			b.t.Fatal(err)
		}
		steps = append(steps, detail)
	}
	return steps
}

// everyStatement makes the store use what it has.
func (b *bed) everyStatement(ctx context.Context) {
	b.t.Helper()
	u, f := b.users[0], b.factors[0]
	att, ses := b.id(authn.AttemptID), b.id(authn.SessionID)
	at := authn.NewToken(authn.AttemptToken, b.company, att, zero{})
	st := authn.NewToken(authn.SessionToken, b.company, ses, zero{})
	later := b.now.Add(time.Hour)
	accept := func(k authn.Keys, writes ...authn.Write) {
		b.t.Helper()
		k.Company, k.Now, k.Browser = b.company, b.now, "b"
		b.must(b.Decide(ctx, k, func(*authn.Rows) authn.Verdict {
			return authn.Accept(authn.Event{Type: "x", Target: "usr_other", Personal: authn.Personal{Agent: "x"}}, writes...)
		}))
		_, err := b.View(ctx, k)
		b.must(err)
	}
	accept(authn.Keys{User: u}, authn.NewAttempt{Attempt: authn.Attempt{ID: att, ExpiresAt: later, Version: 1}, Token: at},
		authn.NewSession{Session: authn.Session{ID: ses, ExpiresAt: later}, Token: st}, authn.KnowBrowser{},
		authn.SetPassword{ID: b.id(authn.FactorID), Hash: []byte("h")}, authn.Rehash{Old: []byte("h"), New: []byte("i")},
		authn.PutUser{User: authn.User{ID: u}})
	accept(authn.Keys{User: u}, authn.SetProvider{Provider: authn.Provider{Channel: authn.Email, Version: 1, Settings: []byte("{}")}})
	_, err := b.Provider(ctx, b.company, authn.Email)
	b.must(err)
	b.must(b.ProviderNoted(ctx, b.company, authn.Email, 1, b.now, ""))
	b.must(b.ProviderNoted(ctx, b.company, authn.Email, 1, b.now, "connect"))
	for range 2 {
		_, _, err = b.SpendTest(ctx, b.company, authn.Email, b.now, time.Hour, 1)
		b.must(err)
	}
	_, err = b.CompanyOutbox(ctx, b.company, authn.Email)
	b.must(err)
	_, err = b.Standing(ctx)
	b.must(err)
	accept(authn.Keys{AttemptToken: at}, authn.PutAttempt{Attempt: authn.Attempt{ID: att, Version: 2, ExpiresAt: later}})
	accept(authn.Keys{SessionToken: st}, authn.PutSession{Session: authn.Session{ID: ses}})
	for _, o := range []authn.Outcome{authn.Wrong, authn.Void, authn.Right} {
		accept(authn.Keys{User: u, Factor: f, Charge: authn.GuessFactor}, authn.Settle{Outcome: o, PausedUntil: b.now})
		accept(authn.Keys{Login: "user0", Charge: authn.GuessPassword}, authn.Settle{Outcome: o, PausedUntil: b.now})
		accept(authn.Keys{Login: "user0", Charge: authn.SettlePassword}, authn.Settle{Outcome: o, PausedUntil: b.now})
	}
	next := b.id(authn.FactorID)
	accept(authn.Keys{User: u}, authn.NewFactor{Factor: authn.Factor{ID: next, Kind: authn.TOTP, State: authn.Pending, ExpiresAt: later}})
	_, err = b.PendingSecret(ctx, authn.Keys{Company: b.company, User: u, Now: b.now, Factor: next})
	b.must(err)
	accept(authn.Keys{User: u}, authn.ActivateFactor{ID: next}, authn.PutFactor{Factor: authn.Factor{ID: next, State: authn.Asleep}}, authn.DeleteFactor{ID: next},
		authn.EndSession{ID: ses}, authn.EndSessions{}, authn.EndAttempts{})
	accept(authn.Keys{}, authn.SetPolicy{Version: 1})
	_, err = b.SealEvents(ctx, b.company, b.now, 0, func([]byte, int64, authn.Event, []byte) []byte { return []byte{1} })
	b.must(err)
	b.must(b.Sweep(ctx, b.now))
	b.must(b.Ready(ctx))
	_, err = b.Companies(ctx)
	b.must(err)
	_, err = b.CompanyBySlug(ctx, "acme")
	b.must(err)
	_, err = b.Users(ctx, b.company, "", 0)
	b.must(err)
	_, err = b.Sessions(ctx, b.company, u)
	b.must(err)
	for _, target := range []string{"", u} {
		_, err = b.Events(ctx, b.company, authn.EventQuery{Target: target})
		b.must(err)
	}
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }
