package audit_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// K1: whatever is done to a row of the log, the first row concerned is named.
func TestVerifyNamesTheFirstBrokenRow_rul40(t *testing.T) {
	w := sallyporttest.NewServer(t)
	other := w.AddCompany(t, "other", "Other")
	p := w.AddUser(t, w.Company, "maya", true)
	for i := range 8 {
		if err := w.Directory.SetRequire(t.Context(), w.Company, p.ID, i%2 == 0); err != nil {
			t.Fatal(err)
		}
	}
	w.AddUser(t, other, "zoe", true)
	if _, err := w.Audit.SealSome(t.Context()); err != nil {
		t.Fatal(err)
	}
	verify := func(known audit.Head) audit.Report {
		t.Helper()
		r, err := w.Audit.Verify(t.Context(), w.Company.ID, audit.Check{Known: known})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	good := verify(audit.Head{})
	if good.Broken != "" || good.Events != good.Head.Seq || good.Events < 10 || good.Unsealed != 0 {
		t.Fatalf("%+v", good)
	}
	if r := verify(good.Head); r.Broken != "" {
		t.Errorf("with its own head: %+v", r)
	}
	if r := verify(audit.Head{Seq: 3, Hash: []byte("x")}); r.Broken != audit.OtherHead || r.Seq != 3 {
		t.Errorf("another head: %+v", r)
	}

	db, err := sql.Open("sqlite", w.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, c := range []struct {
		name, statement string
		known           audit.Head
		want            audit.Fault
		seq             int64
	}{
		{"type", "UPDATE events SET type = 'session.ended' WHERE company = $1 AND seq = 4", audit.Head{}, audit.Altered, 4},
		{"time", "UPDATE events SET at = at - 1 WHERE company = $1 AND seq = 4", audit.Head{}, audit.Altered, 4},
		{"actor", "UPDATE events SET actor = 'usr_x' WHERE company = $1 AND seq = 4", audit.Head{}, audit.Altered, 4},
		{"prev", "UPDATE events SET prev = x'00' WHERE company = $1 AND seq = 4", audit.Head{}, audit.Moved, 4},
		{"commitment", "UPDATE events SET commitment = x'00' WHERE company = $1 AND seq = 4", audit.Head{}, audit.Altered, 4},
		{"deleted", "DELETE FROM events WHERE company = $1 AND seq = 4", audit.Head{}, audit.Missing, 5},
		{"swapped", "UPDATE events SET seq = CASE seq WHEN 4 THEN 1004 ELSE 4 END WHERE company = $1 AND seq IN (4, 5)", audit.Head{}, audit.Moved, 4},
		{"end deleted", "DELETE FROM events WHERE company = $1 AND seq > 6", audit.Head{}, audit.CutOff, 7},
		{"end and head deleted", "DELETE FROM events WHERE company = $1 AND seq > 6; DELETE FROM chains", good.Head, audit.CutOff, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				for _, table := range []string{"events", "chains"} {
					if _, err := db.Exec(fmt.Sprintf("DELETE FROM main.%[1]s; INSERT INTO main.%[1]s SELECT * FROM temp.kept_%[1]s; DROP TABLE temp.kept_%[1]s", table)); err != nil {
						t.Fatal(err)
					}
				}
			}()
			if _, err := db.Exec("CREATE TEMP TABLE kept_events AS SELECT * FROM main.events; CREATE TEMP TABLE kept_chains AS SELECT * FROM main.chains"); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(c.statement, w.Company.ID); err != nil {
				t.Fatal(err)
			}
			if r := verify(c.known); r.Broken != c.want || r.Seq != c.seq || r.Events < 3 {
				t.Errorf("%+v", r)
			}
		})
	}
	// The other company's chain is its own, and what was erased is not broken.
	if _, err := db.Exec("UPDATE users SET person_key = NULL WHERE company = $1", w.Company.ID); err != nil {
		t.Fatal(err)
	}
	if r := verify(good.Head); r.Broken != "" {
		t.Errorf("after erasing: %+v", r)
	}
	if r, err := w.Audit.Verify(t.Context(), other.ID, audit.Check{}); err != nil || r.Broken != "" || r.Events == 0 {
		t.Errorf("other: %+v %v", r, err)
	}
	// What is not in the chain yet is counted, with its age.
	w.Clock.Advance(time.Minute)
	w.AddUser(t, w.Company, "tail", false)
	if r := verify(good.Head); r.Broken != "" || r.Unsealed != 1 || !r.Oldest.Equal(w.Clock.Now()) {
		t.Errorf("tail: %+v", r)
	}
}

// What an event says of a person is covered too: by the commitment.
func TestVerifyPersonal(t *testing.T) {
	w := sallyporttest.NewServer(t)
	w.SetTwoFactor(t, "acme", "required")
	if _, err := w.Audit.SealSome(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", w.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE events SET personal = zeroblob(length(personal)) WHERE seq = 2"); err != nil {
		t.Fatal(err)
	}
	r, err := w.Audit.Verify(t.Context(), w.Company.ID, audit.Check{})
	if err != nil || r.Broken != audit.Unreadable || r.Seq != 2 {
		t.Errorf("%+v %v", r, err)
	}
}

// Walk gives every event once, also those that are sealed while it walks.
func TestWalkMissesNothing(t *testing.T) {
	w := sallyporttest.NewServer(t)
	p := w.AddUser(t, w.Company, "maya", false)
	more := func(n int) {
		for i := range n {
			if err := w.Directory.SetRequire(t.Context(), w.Company, p.ID, i%2 == 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	more(3)
	if _, err := w.Audit.SealSome(t.Context()); err != nil {
		t.Fatal(err)
	}
	more(4)
	n, seen := 0, map[string]bool{}
	head, err := w.Audit.Walk(t.Context(), w.Company.ID, func(e authn.SealedEvent) error {
		if seen[e.ID] {
			t.Errorf("%s twice", e.ID)
		}
		if seen[e.ID] = true; e.Seq == 0 && n == 0 {
			n++
			if _, err := w.Audit.SealSome(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return nil
	})
	if err != nil || len(seen) != 9 || head.Seq != 9 || bytes.Equal(head.Hash, nil) {
		t.Errorf("%d %+v %v", len(seen), head, err)
	}
}
