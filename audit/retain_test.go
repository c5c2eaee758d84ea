package audit_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const month = 31 * 24 * time.Hour

func seal(t *testing.T, w *sallyporttest.Server) {
	t.Helper()
	w.Clock.Advance(time.Minute) // the lease of whoever sealed before
	if _, err := w.Audit.SealSome(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func prune(t *testing.T, w *sallyporttest.Server) int {
	t.Helper()
	n, err := w.Audit.PruneSome(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func verify(t *testing.T, w *sallyporttest.Server, c authn.Company, ch audit.Check) audit.Report {
	t.Helper()
	r, err := w.Audit.Verify(t.Context(), c.ID, ch)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func beside(t *testing.T, w *sallyporttest.Server) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", w.Path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// std-76 (PCI DSS 10.5.1): events are kept as long as the company says, and
// deleting the old ones is told from deleting otherwise.
func TestRetention_std76(t *testing.T) {
	w := sallyporttest.NewServer(t)
	other := w.AddCompany(t, "other", "Other")
	for range 9 {
		write(t, w, w.Company, authn.Event{Type: "a.b", Actor: "operator"})
		write(t, w, other, authn.Event{Type: "a.b", Actor: "operator"})
	}
	seal(t, w)
	oldest := verify(t, w, w.Company, audit.Check{})
	w.Clock.Advance(4 * month)
	write(t, w, w.Company, authn.Event{Type: "a.young", Actor: "operator"})
	seal(t, w)
	if n := prune(t, w); n != 0 {
		t.Fatalf("%d deleted of a company that keeps everything", n)
	}
	w.SetKeep(t, w.Company, 12)
	if n := prune(t, w); n != 0 {
		t.Fatalf("%d deleted too early", n)
	}
	w.SetKeep(t, w.Company, 3)
	seal(t, w)
	before := verify(t, w, w.Company, audit.Check{})
	if n := prune(t, w); int64(n) != oldest.Head.Seq {
		t.Fatalf("%d deleted, want %d", n, oldest.Head.Seq)
	}
	for _, state := range []string{"before the event is sealed", "after"} {
		r := verify(t, w, w.Company, audit.Check{Known: before.Head})
		if r.Broken != "" || r.Deleted != oldest.Head.Seq || r.Head.Seq < before.Head.Seq {
			t.Errorf("%s: %+v", state, r)
		}
		seal(t, w)
	}
	page, err := w.Audit.Search(t.Context(), w.Company.ID, authn.EventQuery{Type: "audit.pruned"})
	if err != nil || len(page.Events) != 1 || page.Events[0].Personal.Detail["hash"] != hex.EncodeToString(oldest.Head.Hash) || page.Events[0].Personal.Detail["seq"] == "" {
		t.Fatalf("%+v %v", page, err)
	}
	if r := verify(t, w, other, audit.Check{}); r.Broken != "" || r.Events < 9 || r.Deleted != 0 {
		t.Errorf("other: %+v", r)
	}
	// Once a day, not an event a minute.
	w.Clock.Advance(2 * time.Minute)
	if n := prune(t, w); n != 0 {
		t.Errorf("%d more", n)
	}
	// The next run says so anew, and its event outlives the one before.
	w.Clock.Advance(5 * month)
	if n := prune(t, w); n == 0 {
		t.Error("nothing more is deleted")
	}
	seal(t, w)
	if r := verify(t, w, w.Company, audit.Check{}); r.Broken != "" || r.Events != 1 || r.Deleted != before.Head.Seq+1 {
		t.Errorf("%+v", r)
	}
}

// Verify is not fooled by an anchor: each way to take away the beginning is found.
func TestVerifyAtTheAnchor_rul40(t *testing.T) {
	w := sallyporttest.NewServer(t)
	for range 6 {
		write(t, w, w.Company, authn.Event{Type: "a.b", Actor: "operator"})
	}
	w.SetKeep(t, w.Company, 3)
	seal(t, w)
	w.Clock.Advance(4 * month)
	for range 6 {
		write(t, w, w.Company, authn.Event{Type: "a.b", Actor: "operator"})
	}
	seal(t, w)
	deleted := int64(prune(t, w))
	seal(t, w)
	good := verify(t, w, w.Company, audit.Check{})
	if good.Broken != "" || good.Deleted != deleted || deleted < 6 {
		t.Fatalf("%+v", good)
	}
	db := beside(t, w)
	db.SetMaxOpenConns(1)
	next := deleted + 1
	cut := `DELETE FROM events WHERE seq <= $1 + 2; UPDATE audit_anchors SET seq = $1 + 2, hash = (SELECT prev FROM events WHERE seq = $1 + 3)`
	for _, c := range []struct {
		name, statement string
		want            audit.Fault
		seq             int64
	}{
		{"one more at the anchor", "DELETE FROM events WHERE seq = $1 + 1", audit.Missing, next + 1},
		{"more, and the anchor moved to fit", cut, audit.Missing, next + 2},
		{"anchor taken away", "DELETE FROM audit_anchors WHERE seq = $1", audit.Missing, next},
		{"anchor of another hash", "UPDATE audit_anchors SET hash = x'00' WHERE seq = $1", audit.Missing, next},
		{"anchor lowered", "UPDATE audit_anchors SET seq = $1 - 1", audit.Missing, next},
		{"the event that says so", "DELETE FROM events WHERE type = 'audit.pruned' AND $1 > 0", audit.CutOff, good.Head.Seq},
		{"that event and the noted head", "DELETE FROM events WHERE type = 'audit.pruned' AND $1 > 0; UPDATE chains SET (seq, hash) = (SELECT seq, hash FROM events WHERE seq = (SELECT max(seq) FROM events))", audit.Missing, next},
		{"first row altered", "UPDATE events SET actor = 'usr_x' WHERE seq = $1 + 1", audit.Altered, next},
		{"swapped", "UPDATE events SET seq = CASE seq WHEN $1 + 1 THEN 9001 ELSE $1 + 1 END WHERE seq IN ($1 + 1, $1 + 2)", audit.Moved, next},
		{"end cut off", "DELETE FROM events WHERE seq > $1 + 3", audit.CutOff, next + 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, table := range []string{"events", "audit_anchors", "chains"} {
				if _, err := db.Exec("CREATE TEMP TABLE kept_" + table + " AS SELECT * FROM main." + table); err != nil {
					t.Fatal(err)
				}
				defer db.Exec("DELETE FROM main." + table + "; INSERT INTO main." + table + " SELECT * FROM temp.kept_" + table + "; DROP TABLE temp.kept_" + table)
			}
			if _, err := db.Exec(c.statement, deleted); err != nil {
				t.Fatal(err)
			}
			if r := verify(t, w, w.Company, audit.Check{}); r.Broken != c.want || r.Seq != c.seq {
				t.Errorf("%+v, want %s at %d", r, c.want, c.seq)
			}
		})
	}
	if r := verify(t, w, w.Company, audit.Check{Known: good.Head}); r.Broken != "" {
		t.Errorf("put back: %+v", r)
	}
	// In parts, as requests do it; a part does not begin with a link of somebody's invention.
	part := audit.Check{Most: 2}
	var total int64
	for range 20 {
		r := verify(t, w, w.Company, part)
		if total += r.Events; r.Broken != "" || !r.More {
			break
		}
		part.From = r.Head
	}
	if total != good.Events {
		t.Errorf("%d in parts, %d at once", total, good.Events)
	}
	if r := verify(t, w, w.Company, audit.Check{From: audit.Head{Seq: next + 1, Hash: []byte("x")}}); r.Broken != audit.OtherHead || r.Seq != next+1 {
		t.Errorf("%+v", r)
	}
}

// A run that was cut off goes on; the chain holds meanwhile.
func TestPruneGoesOn(t *testing.T) {
	w := sallyporttest.NewServer(t)
	for range 8 {
		write(t, w, w.Company, authn.Event{Type: "a.b", Actor: "operator"})
	}
	w.SetKeep(t, w.Company, 3)
	seal(t, w)
	w.Clock.Advance(4 * month)
	write(t, w, w.Company, authn.Event{Type: "a.b", Actor: "operator"})
	seal(t, w)
	short := &shortStore{Store: w.Store}
	s, err := audit.New(audit.Config{Store: short, Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.PruneSome(t.Context()); n != 3 || err == nil {
		t.Fatalf("%d %v", n, err)
	}
	if r := verify(t, w, w.Company, audit.Check{}); r.Broken != "" || r.Deleted != 3 {
		t.Errorf("%+v", r)
	}
	w.Clock.Advance(2 * time.Minute) // the lease
	if n := prune(t, w); n != 7 {
		t.Errorf("%d", n)
	}
	if r := verify(t, w, w.Company, audit.Check{}); r.Broken != "" || r.Deleted != 10 {
		t.Errorf("%+v", r)
	}
}

// shortStore deletes three, and then no more.
type shortStore struct {
	audit.Store
	done bool
}

func (s *shortStore) PruneEvents(ctx context.Context, company string, to int64, max int, now time.Time) (int, error) {
	if s.done {
		return 0, authn.Busy
	}
	s.done = true
	return s.Store.PruneEvents(ctx, company, to, 3, now)
}
