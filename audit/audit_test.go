package audit_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// Every field of an event changes the link, and none can be moved to another.
func TestLink_rul40(t *testing.T) {
	base := authn.Event{Company: "cmp_1", ID: "evt_1", Type: "a.b", Actor: "usr_1", Target: "usr_2", Result: authn.Succeeded, At: time.Unix(1, 0)}
	want := audit.Link([]byte("prev"), 5, base, []byte("c"))
	if len(want) != 32 || !bytes.Equal(want, audit.Link([]byte("prev"), 5, base, []byte("c"))) {
		t.Fatal("not a stable hash")
	}
	change := func(f func(*authn.Event)) []byte {
		e := base
		f(&e)
		return audit.Link([]byte("prev"), 5, e, []byte("c"))
	}
	for name, got := range map[string][]byte{
		"prev":          audit.Link([]byte("prex"), 5, base, []byte("c")),
		"seq":           audit.Link([]byte("prev"), 6, base, []byte("c")),
		"commitment":    audit.Link([]byte("prev"), 5, base, []byte("d")),
		"company":       change(func(e *authn.Event) { e.Company = "cmp_2" }),
		"id":            change(func(e *authn.Event) { e.ID = "evt_2" }),
		"type":          change(func(e *authn.Event) { e.Type = "a.c" }),
		"actor":         change(func(e *authn.Event) { e.Actor = "usr_2" }),
		"target":        change(func(e *authn.Event) { e.Target = "usr_1" }),
		"result":        change(func(e *authn.Event) { e.Result = authn.Refused }),
		"at":            change(func(e *authn.Event) { e.At = e.At.Add(time.Microsecond) }),
		"moved letters": change(func(e *authn.Event) { e.Type, e.Actor = "a.bu", "sr_1" }),
	} {
		if bytes.Equal(got, want) {
			t.Errorf("%s is not covered", name)
		}
	}
	// The personal part is covered by its commitment only, so that it can be erased.
	if got := change(func(e *authn.Event) { e.Personal.Address = "192.0.2.1" }); !bytes.Equal(got, want) {
		t.Error("erasing would break the chain")
	}
}

func TestSealing_rul53(t *testing.T) {
	w := sallyporttest.NewServer(t)
	other := w.AddCompany(t, "other", "Other")
	for _, login := range []string{"a", "b", "c"} {
		w.AddUser(t, w.Company, login, true)
	}
	w.AddUser(t, other, "d", false)
	n, err := w.Audit.SealSome(t.Context())
	if err != nil || n == 0 {
		t.Fatalf("%d %v", n, err)
	}
	for _, c := range []authn.Company{w.Company, other} {
		events, err := w.Audit.Events(t.Context(), c.ID, authn.EventQuery{Limit: 200})
		if err != nil {
			t.Fatal(err)
		}
		var prev []byte
		for i := len(events) - 1; i >= 0; i-- { // oldest first
			e := events[i]
			if e.Seq != int64(len(events)-i) || len(e.Hash) != 32 || !bytes.Equal(e.Prev, prev) {
				t.Fatalf("%s: event %d has seq %d, prev %x", c.Slug, len(events)-i, e.Seq, e.Prev)
			}
			prev = e.Hash
		}
	}
	if n, err := w.Audit.SealSome(t.Context()); err != nil || n != 0 {
		t.Errorf("sealed twice: %d %v", n, err)
	}
	// What comes later goes on where the chain ended.
	w.AddUser(t, w.Company, "e", false)
	if n, err := w.Audit.SealSome(t.Context()); err != nil || n != 1 {
		t.Errorf("%d %v", n, err)
	}
	// rul-55: another node does not seal while the lease is held, and does after.
	second, err := audit.New(audit.Config{Store: w.Store, Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	w.AddUser(t, w.Company, "f", false)
	if n, err := second.SealSome(t.Context()); err != nil || n != 0 {
		t.Errorf("two sealers at once: %d %v", n, err)
	}
	w.Clock.Advance(time.Minute)
	if n, err := second.SealSome(t.Context()); err != nil || n != 1 {
		t.Errorf("the lease was never free: %d %v", n, err)
	}
}

func TestNewRefusesBadConfig(t *testing.T) {
	if _, err := audit.New(audit.Config{}); err == nil {
		t.Error("no error")
	}
}
