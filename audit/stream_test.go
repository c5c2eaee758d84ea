package audit_test

import (
	"bytes"
	"encoding/hex"
	"net/http"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

func deliver(t *testing.T, w *sallyporttest.Server) {
	t.Helper()
	if err := w.Audit.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func many(t *testing.T, w *sallyporttest.Server, c authn.Company, n int) {
	t.Helper()
	for range n {
		write(t, w, c, authn.Event{Type: "a.b", Actor: "operator", Personal: authn.Personal{Agent: "Łódź 🙂"}})
	}
	seal(t, w)
}

// checkLines computes the chain from what a receiver has: nothing else is needed.
func checkLines(t *testing.T, company string, lines []audit.Line, first int64) {
	t.Helper()
	var prev []byte
	for i, l := range lines {
		want, _ := hex.DecodeString(l.Hash)
		before, _ := hex.DecodeString(l.Prev)
		commitment, _ := hex.DecodeString(l.Commitment)
		if l.Company != company || l.Seq != first+int64(i) || i > 0 && !bytes.Equal(before, prev) {
			t.Fatalf("line %d: seq %d of %s", i, l.Seq, l.Company)
		}
		e := authn.Event{Company: l.Company, ID: l.ID, Type: l.Type, Actor: l.Actor, Target: l.Target, Result: l.Result, At: l.At}
		if !bytes.Equal(audit.Link(before, l.Seq, e, commitment), want) {
			t.Fatalf("line %d has another hash", i)
		}
		prev = want
	}
}

// K1: both kinds of targets get every event once and in order, and can verify it;
// of their own company only.
func TestStreams_K1(t *testing.T) {
	w := sallyporttest.NewServer(t)
	other := w.AddCompany(t, "other", "Other")
	sys, hook := sallyporttest.NewSyslog(t), sallyporttest.NewEventHook(t, w.Clock.Now)
	many(t, w, w.Company, 3)
	many(t, w, other, 2)
	w.Stream(t, w.Company, authn.AuditSyslog, authn.StreamSettings{Host: sys.Host, Port: sys.Port, CA: sys.CA}, false)
	w.Stream(t, w.Company, authn.AuditWebhook, authn.StreamSettings{URL: hook.URL, Secret: hook.Secret}, true)
	many(t, w, w.Company, 450)
	deliver(t, w)
	lines := sys.Lines(t)
	if len(lines) != 452 { // and the two changes of settings, but nothing from before
		t.Fatalf("%d lines", len(lines))
	}
	checkLines(t, w.Company.ID, lines, 5)
	if lines[10].Agent != "Łódź 🙂" || lines[10].Text == "" {
		t.Errorf("%+v", lines[10])
	}
	form := regexp.MustCompile(`^<110>1 2026-11-21T\d\d:\d\d:\d\d\.\d{6}Z sallyport\.example sallyport - (a\.b|provider\.changed) - \{[\x20-\x7e]+\}$`)
	for _, m := range sys.Messages(t) {
		if !form.MatchString(m) {
			t.Fatalf("not RFC 5424: %s", m)
		}
	}
	got := hook.Lines(t)
	checkLines(t, w.Company.ID, got, 1)
	if len(got) != 456 {
		t.Errorf("%d lines", len(got))
	}
	deliver(t, w)
	if len(sys.Lines(t)) != 452 || len(hook.Lines(t)) != 456 {
		t.Error("sent again")
	}
	list, err := w.Store.Streams(t.Context(), w.Company.ID)
	if err != nil || len(list) != 2 || list[0].Behind != 0 || list[0].SentAt.IsZero() || list[0].Failed != "" {
		t.Errorf("%+v %v", list, err)
	}
	if list, err := w.Store.Streams(t.Context(), other.ID); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
}

// A target that is down for a day catches up where it stopped; sealing and the
// other stream go on.
func TestStreamsResume(t *testing.T) {
	w := sallyporttest.NewServer(t)
	sys, hook := sallyporttest.NewSyslog(t), sallyporttest.NewEventHook(t, w.Clock.Now)
	w.Stream(t, w.Company, authn.AuditSyslog, authn.StreamSettings{Host: sys.Host, Port: sys.Port}, true)
	w.Stream(t, w.Company, authn.AuditWebhook, authn.StreamSettings{URL: hook.URL, Secret: hook.Secret}, true)
	many(t, w, w.Company, 5)
	deliver(t, w)
	sent := len(sys.Lines(t))
	sys.Down()
	hook.Answer(http.StatusInternalServerError)
	many(t, w, w.Company, 250)
	state := func() authn.Stream {
		t.Helper()
		list, err := w.Store.Streams(t.Context(), w.Company.ID)
		if err != nil || len(list) != 2 {
			t.Fatal(list, err)
		}
		return list[0]
	}
	for i := range 12 {
		deliver(t, w)
		st := state()
		if st.Tries != i+1 || st.Failed != "connect unreachable" || st.Behind != 250 || !st.NextAt.Equal(w.Clock.Now().Add(audit.Pause(i))) || st.Oldest.IsZero() {
			t.Fatalf("try %d: %+v", i, st)
		}
		deliver(t, w) // not before its time
		if state().Tries != i+1 {
			t.Fatal("tried at once again")
		}
		w.Clock.Advance(audit.Pause(i))
	}
	w.Clock.Advance(24 * time.Hour)
	many(t, w, w.Company, 20)
	sys.Up(t)
	hook.Answer(http.StatusOK)
	deliver(t, w)
	for name, lines := range map[string][]audit.Line{"syslog": sys.Lines(t), "webhook": hook.Lines(t)} {
		checkLines(t, w.Company.ID, lines, 1)
		if len(lines) != sent+270 {
			t.Errorf("%s: %d lines, want %d", name, len(lines), sent+270)
		}
	}
	if st := state(); st.Tries != 0 || st.Failed != "" || st.Behind != 0 {
		t.Errorf("%+v", st)
	}
}

// A receiver that dies within a batch gets that batch again: at least once.
func TestStreamsAtLeastOnce(t *testing.T) {
	w := sallyporttest.NewServer(t)
	sys := sallyporttest.NewSyslog(t)
	w.Stream(t, w.Company, authn.AuditSyslog, authn.StreamSettings{Host: sys.Host, Port: sys.Port}, true)
	many(t, w, w.Company, 30)
	sys.Cut(7)
	deliver(t, w)
	if n := len(sys.Lines(t)); n != 7 {
		t.Fatalf("%d", n)
	}
	sys.Cut(0)
	w.Clock.Advance(time.Minute)
	deliver(t, w)
	lines := sys.Lines(t)[7:]
	checkLines(t, w.Company.ID, lines, 1)
	if len(lines) != 32 {
		t.Errorf("%d lines", len(lines))
	}
}

// rul-55: another node does not send while the lease is held, and goes on after.
func TestStreamLease_rul55(t *testing.T) {
	w := sallyporttest.NewServer(t)
	hook := sallyporttest.NewEventHook(t, w.Clock.Now)
	w.Stream(t, w.Company, authn.AuditWebhook, authn.StreamSettings{URL: hook.URL, Secret: hook.Secret}, true)
	many(t, w, w.Company, 1)
	if ok, err := w.Store.Acquire(t.Context(), "stream "+w.Company.ID+" "+string(authn.AuditWebhook), "another", w.Clock.Now(), time.Minute); err != nil || !ok {
		t.Fatal(ok, err)
	}
	deliver(t, w)
	if len(hook.Lines(t)) != 0 {
		t.Error("two nodes send")
	}
	w.Clock.Advance(time.Minute)
	deliver(t, w)
	if len(hook.Lines(t)) != 3 {
		t.Errorf("%d lines", len(hook.Lines(t)))
	}
}

// What a stream has not sent is kept for it, for 30 days.
func TestRetentionWaitsForStreams(t *testing.T) {
	w := sallyporttest.NewServer(t)
	hook := sallyporttest.NewEventHook(t, w.Clock.Now)
	hook.Answer(http.StatusBadGateway)
	w.Stream(t, w.Company, authn.AuditWebhook, authn.StreamSettings{URL: hook.URL, Secret: hook.Secret}, true)
	w.SetKeep(t, w.Company, 3)
	many(t, w, w.Company, 5)
	deliver(t, w)
	w.Clock.Advance(93 * 24 * time.Hour)
	if n := prune(t, w); n != 0 {
		t.Fatalf("%d deleted that were not sent", n)
	}
	w.Clock.Advance(20 * 24 * time.Hour)
	if n := prune(t, w); n != 0 {
		t.Fatalf("%d deleted that were not sent", n)
	}
	w.Clock.Advance(12 * 24 * time.Hour)
	if n := prune(t, w); n != 8 {
		t.Fatalf("%d deleted after 30 days", n)
	}
	hook.Answer(http.StatusOK)
	many(t, w, w.Company, 1)
	deliver(t, w)
	lines := hook.Lines(t)
	if len(lines) != 2 || !slices.ContainsFunc(lines, func(l audit.Line) bool { return l.Type == "audit.pruned" }) {
		t.Fatalf("%+v", lines)
	}
	checkLines(t, w.Company.ID, lines, 9) // the gap shows
}
