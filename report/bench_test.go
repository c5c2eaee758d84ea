package report_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/report"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// counted are the types of events with the words that they are counted under.
var counted = map[string][]string{
	"session.started": {"password", "totp", "sms", "email", "duo", "backup_code", "aal2"}, "session.confirmed": {"totp", "sms", "duo"}, "factor.proved": {"totp"},
	"factor.refused": {"totp", "sms", "email", "duo"}, "sign_in.refused": {""}, "sign_in.denied": {""}, "sign_in.refusals_counted": {""},
	"code.sent": {"sms", "email"}, "message.failed": {"sms", "email"},
}

// BenchmarkOverview: the page takes as long for a million people and ten million
// events as for few. The summaries are seeded, as sealing leaves them: a company
// with events in every hour has the same rows, however many events there were.
func BenchmarkOverview(b *testing.B) {
	for _, c := range []struct{ people, events int }{{1_000, 20_000}, {100_000, 1_000_000}, {1_000_000, 10_000_000}} {
		b.Run(fmt.Sprintf("people=%d/events=%d", c.people, c.events), func(b *testing.B) {
			s := sallyporttest.NewServer(b)
			seed(b, s, c.events)
			shapes := shapesOf(c.people)
			r, err := report.New(report.Config{Store: s.Store, Methods: methods, Now: s.Clock.Now,
				Shapes: func(context.Context, string) (map[string]int, error) { return shapes, nil }})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				o, err := r.Overview(context.Background(), s.Company, time.Hour)
				if err != nil || o.Adoption.People != int64(c.people) || o.SignIns.Total().SignedIn == 0 {
					b.Fatalf("%+v %v", o.Adoption, err)
				}
			}
		})
	}
}

// seed fills the summaries of 60 days with so many events, and of another company
// with as many.
func seed(b *testing.B, s *sallyporttest.Server, events int) {
	b.Helper()
	db, err := sql.Open("sqlite", s.Path)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		b.Fatal(err)
	}
	const hours = 60 * 24
	now := s.Clock.Now().Unix() / 3600
	for _, company := range []string{s.Company.ID, "cmp_other"} {
		for typ, words := range counted {
			for _, word := range words {
				for h := range int64(hours) {
					if _, err := tx.Exec("INSERT INTO event_counts (company, type, hour, result, detail, n) VALUES (?, ?, ?, 'success', ?, ?)",
						company, typ, now-h, word, max(events/hours/22, 1)); err != nil {
						b.Fatal(err)
					}
				}
			}
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
}

// shapesOf are people of a company's usual variety.
func shapesOf(people int) map[string]int {
	shapes := map[string]int{}
	for _, audience := range []authn.Audience{authn.InternalAudience, authn.ExternalAudience} {
		for _, role := range []string{directory.Member, directory.Helpdesk, directory.Administrator, directory.Owner} {
			for _, kinds := range [][]authn.Kind{nil, {authn.TOTP}, {authn.SMS}, {authn.SMS, authn.TOTP}} {
				for _, saved := range []bool{true, false} {
					s := authn.Shape{Audience: audience, Status: authn.Active, Roles: []string{role}, Email: true, Password: true, Saved: saved, Kinds: kinds, HadFactor: kinds != nil}
					shapes[s.String()] = people / 64
				}
			}
		}
	}
	for text := range shapes {
		shapes[text] += people - people/64*64
		break
	}
	return shapes
}
