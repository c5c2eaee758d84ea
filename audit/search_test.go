package audit_test

import (
	"bytes"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// write puts events into a company's log, a second apart.
func write(t *testing.T, w *sallyporttest.Server, c authn.Company, events ...authn.Event) {
	t.Helper()
	for _, ev := range events {
		w.Clock.Advance(time.Second)
		ev.Company, ev.At, ev.ID = c.ID, w.Clock.Now(), authn.NewID(authn.EventID, w.Clock.Now(), rand.Reader)
		if ev.Result == "" {
			ev.Result = authn.Succeeded
		}
		err := w.Store.Decide(t.Context(), authn.Keys{Company: c.ID, Now: w.Clock.Now()}, func(*authn.Rows) authn.Verdict { return authn.Accept(ev) })
		if err != nil {
			t.Fatal(err)
		}
	}
}

// K1: every combination of filters finds what a look at everything finds, newest
// first, whatever the size of pages; and nothing of the other company.
func TestSearchFindsWhatALookFinds_K1(t *testing.T) {
	w := sallyporttest.NewServer(t)
	other := w.AddCompany(t, "other", "Other")
	maya, priya := w.AddUser(t, w.Company, "maya", false), w.AddUser(t, w.Company, "priya", false)
	start := w.Clock.Now()
	types := []string{"factor.removed", "factor.confirmed", "session.started", "factors.reset_by_operator", "factor_x.y"}
	people := []string{maya.ID, priya.ID, "", "operator"}
	for i := range 60 {
		ev := authn.Event{Type: types[i%len(types)], Actor: people[i%4], Target: []string{maya.ID, priya.ID, ""}[i%3]}
		if i%7 == 0 {
			ev.Result = authn.Refused
		}
		write(t, w, w.Company, ev)
		ev.Type = "factor.removed"
		write(t, w, other, ev)
	}
	all, err := w.Audit.Events(t.Context(), w.Company.ID, authn.EventQuery{Limit: 200})
	if err != nil || len(all) < 60 {
		t.Fatal(len(all), err)
	}
	fits := func(q authn.EventQuery, e authn.Event) bool {
		return (q.Target == "" || e.Target == q.Target) && (q.Actor == "" || e.Actor == q.Actor) && (q.Result == "" || e.Result == q.Result) &&
			(q.Type == "" || e.Type == q.Type || strings.HasSuffix(q.Type, ".") && strings.HasPrefix(e.Type, q.Type)) &&
			!e.At.Before(q.Since) && (q.Until.IsZero() || e.At.Before(q.Until))
	}
	checked := 0
	for _, target := range []string{"", maya.ID} {
		for _, actor := range []string{"", priya.ID, "operator"} {
			for _, typ := range []string{"", "factor.", "factor.removed", "none.at_all", "none."} {
				for _, result := range []authn.Result{"", authn.Refused} {
					for _, since := range []time.Time{{}, start.Add(41 * time.Second)} {
						for _, until := range []time.Time{{}, start.Add(90 * time.Second)} {
							q := authn.EventQuery{Target: target, Actor: actor, Type: typ, Result: result, Since: since, Until: until}
							var want, got []string
							for _, e := range all {
								if fits(q, e) {
									want = append(want, e.ID)
								}
							}
							for q.Limit = 1 + checked%7; ; {
								page, err := w.Audit.Search(t.Context(), w.Company.ID, q)
								if err != nil || len(page.Events) > q.Limit {
									t.Fatal(len(page.Events), err)
								}
								for _, e := range page.Events {
									got = append(got, e.ID)
								}
								if q.Before = page.Next; page.Next == "" {
									break
								}
							}
							if checked++; !slices.Equal(got, want) {
								t.Errorf("%+v: %d, want %d", q, len(got), len(want))
							}
						}
					}
				}
			}
		}
	}
	if checked < 200 {
		t.Errorf("only %d combinations", checked)
	}
	for _, q := range []authn.EventQuery{{Target: "x' OR 1=1"}, {Actor: "%"}, {Before: "'"}} { // cve-67
		if page, err := w.Audit.Search(t.Context(), w.Company.ID, q); err != nil || page.Events != nil {
			t.Errorf("%+v: %d %v", q, len(page.Events), err)
		}
	}
}

// What is rare is not looked for without end: the search says how far it came.
func TestSearchIsBounded_K1(t *testing.T) {
	w := sallyporttest.NewServer(t)
	write(t, w, w.Company, authn.Event{Type: "a.b", Actor: "operator", Result: authn.Refused})
	rare := w.Clock.Now()
	k := authn.Keys{Company: w.Company.ID, Now: w.Clock.Now()}
	for range 6 { // 6000 in a few transactions
		err := w.Store.Decide(t.Context(), k, func(*authn.Rows) authn.Verdict {
			v := authn.Accept(authn.Event{Type: "a.b", Actor: "operator", Result: authn.Succeeded})
			for range 999 {
				v = v.And(authn.Event{Type: "a.c", Actor: "operator", Result: authn.Succeeded})
			}
			return v
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []authn.EventQuery{{Result: authn.Refused}, {Actor: "operator", Result: authn.Refused}, {Type: "a.", Result: authn.Refused}} {
		pages, found := 0, 0
		for ; pages == 0 || q.Before != ""; pages++ {
			page, err := w.Audit.Search(t.Context(), w.Company.ID, q)
			if err != nil || pages > 12 {
				t.Fatalf("%+v: %d pages, %v", q, pages, err)
			}
			if (page.Searched.IsZero()) != (page.Next == "") {
				t.Errorf("%+v: next %q, searched %s", q, page.Next, page.Searched)
			}
			if found += len(page.Events); len(page.Events) == 1 && !page.Events[0].At.Equal(rare) {
				t.Errorf("%+v", page.Events[0])
			}
			q.Before = page.Next
		}
		if found != 1 || pages < 2 {
			t.Errorf("%+v: %d in %d pages", q, found, pages)
		}
	}
}

// Exports hold what a search finds, in both formats; they end with the head.
func TestExport_rul37(t *testing.T) {
	w := sallyporttest.NewServer(t)
	other := w.AddCompany(t, "other", "Other")
	write(t, w, other, authn.Event{Type: "a.b", Actor: "operator"})
	write(t, w, w.Company, authn.Event{Type: "a.b", Actor: "operator", Personal: authn.Personal{Agent: "=cmd|' /C calc'!A0", Detail: map[string]string{"reason": "=1"}}})
	write(t, w, w.Company, authn.Event{Type: "a.c", Actor: "operator"})
	if _, err := w.Audit.SealSome(t.Context()); err != nil {
		t.Fatal(err)
	}
	export := func(format string) string {
		t.Helper()
		var b bytes.Buffer
		pages := 0
		n, err := w.Audit.Export(t.Context(), &b, w.Company.ID, format, authn.EventQuery{Actor: "operator", Type: "a."}, func(e authn.Event) string { return "+" + e.Type },
			func() error { pages++; return nil })
		if err != nil || n != 2 || pages != 1 {
			t.Fatal(n, pages, err)
		}
		return b.String()
	}
	rows, err := csv.NewReader(strings.NewReader(export("csv"))).ReadAll()
	if err != nil || len(rows) != 4 || rows[2][7] != "'=cmd|' /C calc'!A0" || rows[2][9] != "'+a.b" || rows[3][2] != audit.HeadType || rows[1][2] != "a.c" {
		t.Errorf("%q %v", rows, err)
	}
	var lines []audit.Line
	for l := range strings.Lines(export("jsonl")) {
		var one audit.Line
		if err := json.Unmarshal([]byte(l), &one); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, one)
	}
	if len(lines) != 3 || lines[1].Agent != "=cmd|' /C calc'!A0" || lines[1].Detail["reason"] != "=1" || lines[0].Prev != lines[1].Hash || lines[2].Hash != lines[0].Hash {
		t.Errorf("%+v", lines)
	}
}

// Names are those of the company, and of its keys.
func TestNames_cve46(t *testing.T) {
	w := sallyporttest.NewServer(t)
	other := w.AddCompany(t, "other", "Other")
	maya, zoe := w.AddUser(t, w.Company, "maya", false), w.AddUser(t, other, "zoe", false)
	names, err := w.Audit.Names(t.Context(), w.Company.ID, []authn.SealedEvent{{Event: authn.Event{Actor: "operator", Target: maya.ID}}, {Event: authn.Event{Actor: zoe.ID, Target: "x'"}}})
	if err != nil || len(names) != 1 || names[maya.ID].Login != "maya" || names[maya.ID].Name != "Test maya" {
		t.Errorf("%+v %v", names, err)
	}
}
