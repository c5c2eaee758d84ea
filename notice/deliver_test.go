package notice

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// box is an outbox in memory that keeps the promises of Outbox.
type box struct {
	mu     sync.Mutex
	rows   map[string]*row
	events []authn.Event
	sent   []string
	state  authn.OutboxState
	broken int // so many marks fail
}

type row struct {
	l      authn.Letter
	due    time.Time
	leased time.Time
	reason string
}

func newBox(letters ...authn.Letter) *box {
	b := &box{rows: map[string]*row{}}
	for _, l := range letters {
		l.Tries = 0
		b.rows[l.ID] = &row{l: l, due: l.At}
	}
	return b
}

func (b *box) claim(r *row, now time.Time, lease time.Duration) authn.Letter {
	r.l.Tries++
	r.leased = now.Add(lease)
	return r.l
}

func (b *box) ClaimLetters(_ context.Context, now time.Time, most int, lease time.Duration) (list []authn.Letter, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var due []*row
	for _, r := range b.rows {
		if !r.due.After(now) && !r.leased.After(now) {
			due = append(due, r)
		}
	}
	slices.SortFunc(due, func(x, y *row) int { return cmp.Or(x.due.Compare(y.due), cmp.Compare(x.l.ID, y.l.ID)) })
	for _, r := range due[:min(len(due), most)] {
		list = append(list, b.claim(r, now, lease))
	}
	return list, nil
}

func (b *box) ClaimLetter(_ context.Context, company, id string, now time.Time, lease time.Duration) (authn.Letter, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rows[id]
	if r == nil || r.l.Company.ID != company || r.leased.After(now) {
		return authn.Letter{}, false, nil
	}
	return b.claim(r, now, lease), true, nil
}

var errBroken = errors.New("database is gone")

func (b *box) mark(id string) (*row, error) {
	if b.broken > 0 {
		b.broken--
		return nil, errBroken
	}
	r := b.rows[id]
	if r == nil {
		return nil, fmt.Errorf("no letter %s", id)
	}
	return r, nil
}

func (b *box) LetterSent(ctx context.Context, _, id string, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.mark(id); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	delete(b.rows, id)
	b.sent = append(b.sent, id)
	b.state.LastSent = now
	return nil
}

func (b *box) LetterFailed(_ context.Context, _, id string, next time.Time, reason string, ev *authn.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, err := b.mark(id)
	if err != nil {
		return err
	}
	if ev != nil {
		delete(b.rows, id)
		b.events = append(b.events, *ev)
		return nil
	}
	if reason == "" {
		r.l.Tries--
	}
	r.due, r.leased, r.reason = next, time.Time{}, reason
	return nil
}

func (b *box) OutboxState(context.Context) (authn.OutboxState, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.Waiting = len(b.rows)
	return b.state, nil
}

// sender is a provider; nil takes everything.
type sender func(context.Context, authn.Message) error

type provider struct {
	mu   sync.Mutex
	got  []authn.Message
	when []time.Time
	do   sender
}

func (p *provider) Send(ctx context.Context, m authn.Message) error {
	p.mu.Lock()
	p.got, p.when = append(p.got, m), append(p.when, time.Now())
	p.mu.Unlock()
	if p.do == nil {
		return nil
	}
	return p.do(ctx, m)
}

// stalls waits as long as it may, as a provider that does not answer.
func stalls(ctx context.Context, _ authn.Message) error {
	<-ctx.Done()
	return ctx.Err()
}

func withBox(t *testing.T, b *box, senders map[authn.Kind]authn.Sender, change ...func(*Config)) *Service {
	t.Helper()
	c := Config{
		Outbox: b, Senders: senders, PublicURL: "https://login.acme.example", Code: func([]byte) string { return testCode },
		Random: half{},
	}
	for _, f := range change {
		f(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// half makes the jitter nothing, all but.
type half struct{}

func (half) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 128
	}
	return len(b), nil
}

// waiting is a letter of now.
func waiting(tpl authn.Template, n int) authn.Letter {
	l := letter(tpl)
	l.ID = fmt.Sprintf("msg_%04d", n)
	l.At = time.Now()
	if shapes[tpl].code {
		l.ExpiresAt = l.At.Add(2 * time.Minute)
	}
	return l
}

func drain(t *testing.T, s *Service) int {
	t.Helper()
	n, err := s.Drain(t.Context())
	if err != nil {
		t.Error(err)
	}
	return n
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var letters []authn.Letter
		for i := range 150 {
			letters = append(letters, waiting(NewBrowser, i))
		}
		b, p := newBox(letters...), &provider{}
		s := withBox(t, b, map[authn.Kind]authn.Sender{authn.Email: p})
		for _, want := range []int{64, 64, 22, 0} {
			if n := drain(t, s); n != want {
				t.Errorf("claimed %d, want %d", n, want)
			}
		}
		ids := map[string]int{}
		for _, m := range p.got {
			ids[m.ID]++
		}
		if len(ids) != 150 || len(p.got) != 150 || len(b.rows) != 0 || len(b.events) != 0 {
			t.Errorf("%d messages, %d of them different; %d letters left, %d events", len(p.got), len(ids), len(b.rows), len(b.events))
		}
		if st, err := s.State(t.Context()); err != nil || st.Waiting != 0 || st.LastSent.IsZero() {
			t.Errorf("state %+v, %v", st, err)
		}
		if len(s.lanes) != 0 {
			t.Errorf("%d lanes are remembered", len(s.lanes))
		}
	})
}

// Several at once, in one process or two: everything once.
func TestDrain_concurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var letters []authn.Letter
		for i := range 200 {
			l := waiting(NewBrowser, i)
			l.Company.ID = fmt.Sprint("cmp_", i%7)
			l.Link = authn.Token{}
			letters = append(letters, l)
		}
		b := newBox(letters...)
		p := &provider{do: func(context.Context, authn.Message) error { time.Sleep(100 * time.Millisecond); return nil }}
		senders := map[authn.Kind]authn.Sender{authn.Email: p}
		one, two := withBox(t, b, senders), withBox(t, b, senders)
		for range 60 {
			var wg sync.WaitGroup
			for _, s := range []*Service{one, two, one} {
				wg.Go(func() { drain(t, s) })
			}
			wg.Wait()
			time.Sleep(time.Second)
		}
		if len(p.got) != 200 || len(b.sent) != 200 {
			t.Errorf("%d messages of 200, %d marked", len(p.got), len(b.sent))
		}
	})
}

// A crash, or a database that fails, between the sender's yes and the mark:
// the message is sent again under its old id, after the lease, and never lost.
func TestDrain_crash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, p := newBox(waiting(PasswordChanged, 1)), &provider{}
		s := withBox(t, b, map[authn.Kind]authn.Sender{authn.Email: p})
		b.broken = 3
		if n, err := s.Drain(t.Context()); n != 1 || !errors.Is(err, errBroken) {
			t.Fatalf("%d, %v", n, err)
		}
		if drain(t, s) != 0 {
			t.Error("claimed during the lease")
		}
		time.Sleep(s.lease)
		if drain(t, s) != 1 || len(p.got) != 2 || p.got[0] != p.got[1] || len(b.rows) != 0 {
			t.Errorf("%d messages, %d letters left", len(p.got), len(b.rows))
		}

		b = newBox(waiting(PasswordChanged, 2)) // one failure is got over at once
		s = withBox(t, b, map[authn.Kind]authn.Sender{authn.Email: p})
		b.broken = 1
		if drain(t, s); len(b.rows) != 0 {
			t.Error("not marked at the second time")
		}
	})
}

// The pauses between tries, and how long a notice and a code are tried.
func TestDrain_backoff(t *testing.T) {
	for _, tt := range []struct {
		tpl   authn.Template
		first []time.Duration
		tries int
		ends  time.Duration
	}{
		{NewBrowser, []time.Duration{0, 10 * time.Second, 40 * time.Second, 100 * time.Second, 400 * time.Second, 1300 * time.Second, 4900 * time.Second}, 77, 71 * time.Hour},
		{Code, []time.Duration{0, 10 * time.Second, 40 * time.Second, 100 * time.Second}, 4, 100 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			b := newBox(waiting(tt.tpl, 1))
			p := &provider{do: func(context.Context, authn.Message) error {
				return &authn.SendError{Stage: "accept", Code: "451 4.3.0", Reply: "later"}
			}}
			s := withBox(t, b, map[authn.Kind]authn.Sender{authn.Email: p})
			for len(b.rows) > 0 && time.Since(start) < 4*24*time.Hour {
				drain(t, s)
				if time.Since(start) < 2*time.Hour {
					time.Sleep(time.Second)
				} else {
					time.Sleep(time.Minute)
				}
			}
			for i, want := range tt.first {
				if i >= len(p.when) {
					t.Fatalf("%s: only %d tries", tt.tpl, len(p.when))
				}
				if got := p.when[i].Sub(start); got < want || got > want+want/50+time.Second*time.Duration(i) {
					t.Errorf("%s: try %d after %v, want %v", tt.tpl, i+1, got, want)
				}
			}
			last := p.when[len(p.when)-1].Sub(start)
			if n := len(p.when); n < tt.tries-4 || n > tt.tries || last < tt.ends-time.Minute || last > tt.ends+time.Hour {
				t.Errorf("%s: %d tries, the last after %v", tt.tpl, n, last)
			}
			if len(b.rows) != 0 || len(b.events) != 1 {
				t.Fatalf("%s: %d letters left, %d events", tt.tpl, len(b.rows), len(b.events))
			}
			ev := b.events[0]
			if ev.Type != "message.failed" || ev.Company != companyID || ev.Target == "" || ev.Result != authn.Refused ||
				ev.Personal.Detail["reason"] != "accept 451 4.3.0" || !authn.CheckID(authn.EventID, ev.ID) {
				t.Errorf("%s: event %+v", tt.tpl, ev)
			}
			if _, told := For(ev); told {
				t.Error("a message that failed makes a message")
			}
		})
	}
}

func TestJitter(t *testing.T) {
	s := withBox(t, newBox(), nil)
	for _, b := range []byte{0, 128, 255} {
		s.c.Random = bytes.NewReader([]byte{b})
		if d := s.jitter(time.Minute); d < 48*time.Second || d > 72*time.Second {
			t.Errorf("%d: %v", b, d)
		}
	}
	if d := s.jitter(time.Minute); d != time.Minute { // nothing left to read
		t.Errorf("without randomness: %v", d)
	}
}

// What cannot succeed is given up at once and leaves an event. A provider that
// cannot be reached says nothing about the message, whatever it calls it.
func TestDrain_permanent(t *testing.T) {
	for _, tt := range []struct {
		err     error
		givenUp bool
		reason  string
	}{
		{&authn.SendError{Stage: "accept", Code: "550", Reply: "no such user", Permanent: true}, true, "accept 550"},
		{&authn.SendError{Stage: "content", Permanent: true}, true, "content"},
		{fmt.Errorf("smtp: %w", &authn.SendError{Stage: "accept", Code: "550", Permanent: true}), true, "accept 550"},
		{&authn.SendError{Stage: "accept", Code: "450"}, false, "accept 450"},
		{&authn.SendError{Stage: "sign_in", Code: "535", Permanent: true}, false, "sign_in 535"},
		{&authn.SendError{Stage: "connect", Err: errors.New("refused")}, false, "connect"},
		{errors.New("anything"), false, "unknown"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBox(waiting(NewBrowser, 1))
			s := withBox(t, b, map[authn.Kind]authn.Sender{authn.Email: &provider{do: func(context.Context, authn.Message) error { return tt.err }}})
			drain(t, s)
			if tt.givenUp != (len(b.events) == 1) || tt.givenUp != (len(b.rows) == 0) {
				t.Errorf("%v: %d letters left, %d events", tt.err, len(b.rows), len(b.events))
			}
			if tt.givenUp && b.events[0].Personal.Detail["reason"] != tt.reason {
				t.Errorf("%v: reason %q", tt.err, b.events[0].Personal.Detail["reason"])
			}
			if !tt.givenUp && b.rows["msg_0001"].reason != tt.reason {
				t.Errorf("%v: reason %q", tt.err, b.rows["msg_0001"].reason)
			}
		})
	}
}

// One provider that does not answer delays nobody else, not even at its first
// time, and its own letters wait without being tried one by one.
func TestDrain_stalledProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b := newBox()
		for i := range 60 {
			l := waiting(NewBrowser, i)
			if i >= 50 {
				l.Company.ID, l.Link = "cmp_other", authn.Token{}
			}
			b.rows[l.ID] = &row{l: l, due: l.At}
			b.rows[l.ID].l.Tries = 0
		}
		slow, fine := &provider{do: stalls}, &provider{}
		s := withBox(t, b, nil, func(c *Config) {
			c.SenderFor = func(_ context.Context, company string, _ authn.Kind, _ string) (authn.Sender, error) {
				if company == "cmp_other" {
					return fine, nil
				}
				return slow, nil
			}
		})
		drain(t, s)
		if took := time.Since(start); took > 11*time.Second {
			t.Errorf("took %v", took)
		}
		if len(fine.got) != 10 || fine.when[9].Sub(start) > 0 {
			t.Errorf("the other provider sent %d, the last at %v", len(fine.got), fine.when[len(fine.when)-1].Sub(start))
		}
		if len(slow.got) != perLane || len(b.rows) != 50 {
			t.Errorf("the slow provider was tried %d times; %d letters left", len(slow.got), len(b.rows))
		}
		tried := 0
		for _, r := range b.rows {
			tried += r.l.Tries
			if r.due.Before(time.Now()) || r.l.Tries > 0 && r.reason != "timeout" {
				t.Errorf("%s: due %v, reason %q", r.l.ID, r.due, r.reason)
			}
		}
		if tried != perLane {
			t.Errorf("%d tries are counted", tried)
		}
		start = time.Now()
		drain(t, s) // it rests: no other letter is spent on finding out
		if took := time.Since(start); took > 0 || len(slow.got) != perLane {
			t.Errorf("after %v the slow provider was tried %d times", took, len(slow.got))
		}
		slow.do = nil // it comes back, and nothing was lost
		for range 30 {
			time.Sleep(5 * time.Second)
			drain(t, s)
		}
		if len(b.rows) != 0 || len(b.events) != 0 {
			t.Errorf("%d letters left, %d events", len(b.rows), len(b.events))
		}
	})
}

// A provider that works but takes its time: a Drain ends, the rest waits for
// the next one, and no provider is sent more than a few at a time.
func TestDrain_slowProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var letters []authn.Letter
		for i := range 64 {
			letters = append(letters, waiting(NewBrowser, i))
		}
		b, busy, most := newBox(letters...), 0, 0
		var mu sync.Mutex
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			busy += n
			most = max(most, busy)
		}
		s := withBox(t, b, map[authn.Kind]authn.Sender{authn.Email: &provider{do: func(context.Context, authn.Message) error {
			count(1)
			defer count(-1)
			time.Sleep(4 * time.Second)
			return nil
		}}}, func(c *Config) { c.Batch = 32 })
		for _, at := range []int{1, 2} {
			start := time.Now()
			var wg sync.WaitGroup
			for range at {
				wg.Go(func() { drain(t, s) })
			}
			wg.Wait()
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%d at once took %v", at, took)
			}
		}
		for range 30 {
			drain(t, s)
			time.Sleep(time.Second)
		}
		if len(b.rows) != 0 || len(b.sent) != 64 || most > perLane {
			t.Errorf("%d letters left, %d sent, %d at a time", len(b.rows), len(b.sent), most)
		}
	})
}

// A sender that does not look at its time limit, and one that panics.
func TestDrain_badSenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		bad, panics := waiting(NewBrowser, 1), waiting(NewBrowser, 2)
		bad.Company.ID, panics.Company.ID = "cmp_1", "cmp_2"
		bad.Link, panics.Link = authn.Token{}, authn.Token{}
		b := newBox(bad, panics)
		s := withBox(t, b, nil, func(c *Config) {
			c.SenderFor = func(_ context.Context, company string, _ authn.Kind, _ string) (authn.Sender, error) {
				return &provider{do: func(context.Context, authn.Message) error {
					if company == "cmp_2" {
						panic("the code is " + testCode)
					}
					time.Sleep(time.Hour)
					return nil
				}}, nil
			}
		})
		drain(t, s)
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("took %v", took)
		}
		if b.rows["msg_0001"].reason != "timeout" || b.rows["msg_0002"].reason != "panic" {
			t.Errorf("reasons %q, %q", b.rows["msg_0001"].reason, b.rows["msg_0002"].reason)
		}
		time.Sleep(2 * time.Hour) // the one that stalls ends, too
	})
}

// A letter that cannot be written keeps no other from being sent.
func TestDrain_badLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, unknown, address, late := waiting(Code, 1), waiting("of_the_next_release", 2), waiting(NewBrowser, 3), waiting(Code, 4)
		broken.Seed = []byte("panic")
		address.To = "maya@acme.example\r\nBcc: all@acme.example"
		late.ExpiresAt = late.At
		b, p := newBox(broken, unknown, address, late, waiting(NewBrowser, 5)), &provider{}
		s := withBox(t, b, map[authn.Kind]authn.Sender{authn.Email: p}, func(c *Config) {
			c.Code = func(seed []byte) string {
				if string(seed) == "panic" {
					panic("bad seed")
				}
				return testCode
			}
		})
		drain(t, s)
		if len(p.got) != 1 || p.got[0].ID != "msg_0005" {
			t.Errorf("sent %d", len(p.got))
		}
		if len(b.rows) != 2 || b.rows["msg_0001"].reason != "panic" || b.rows["msg_0002"].reason != "not_written" {
			t.Errorf("%d letters left", len(b.rows))
		}
		reasons := map[string]string{}
		for _, ev := range b.events {
			reasons[ev.Personal.Detail["message"]] = ev.Personal.Detail["reason"]
		}
		if len(reasons) != 2 || reasons["msg_0003"] != "content address" || reasons["msg_0004"] != "expired" {
			t.Errorf("given up: %v", reasons)
		}
	})
}

// When the process stops, what was begun is finished and nothing else is begun.
func TestDrain_stops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var letters []authn.Letter
		for i := range 20 {
			letters = append(letters, waiting(NewBrowser, i))
		}
		b := newBox(letters...)
		p := &provider{do: func(ctx context.Context, _ authn.Message) error {
			cancel()
			select {
			case <-time.After(time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		s := withBox(t, b, map[authn.Kind]authn.Sender{authn.Email: p})
		if n, err := s.Drain(ctx); n != 20 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if len(p.got) > perLane || len(p.got) == 0 || len(b.sent) != len(p.got) || len(b.rows) != 20-len(b.sent) {
			t.Errorf("%d begun, %d sent, %d left", len(p.got), len(b.sent), len(b.rows))
		}
	})
}

func TestDeliver(t *testing.T) {
	for name, tt := range map[string]struct {
		do      sender
		late    bool
		want    error // nil: taken
		waits   bool
		givenUp bool
	}{
		"taken":     {},
		"refused":   {do: func(context.Context, authn.Message) error { return &authn.SendError{Stage: "accept", Code: "450"} }, want: authn.MessageNotSent, waits: true},
		"permanent": {do: func(context.Context, authn.Message) error { return &authn.SendError{Stage: "accept", Permanent: true} }, want: authn.MessageNotSent, givenUp: true},
		"stalls":    {do: stalls, want: authn.MessageNotSent, waits: true},
		"late":      {late: true, want: authn.MessageNotSent, givenUp: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			b, p := newBox(waiting(Code, 1)), &provider{do: tt.do}
			s := withBox(t, b, map[authn.Kind]authn.Sender{authn.Email: p})
			if tt.late {
				time.Sleep(3 * time.Minute)
				start = time.Now()
			}
			err := s.Deliver(t.Context(), companyID, "msg_0001")
			if took := time.Since(start); took > 5500*time.Millisecond {
				t.Errorf("%s: took %v", name, took)
			}
			var e *authn.Error
			if !errors.Is(err, tt.want) || err != nil && (!errors.As(err, &e) || e.Code != authn.MessageNotSent) {
				t.Errorf("%s: %v", name, err)
			}
			if tt.waits != (len(b.rows) == 1) || tt.givenUp != (len(b.events) == 1) {
				t.Errorf("%s: %d letters left, %d events", name, len(b.rows), len(b.events))
			}
			if err := s.Deliver(t.Context(), companyID, "msg_0002"); err != nil {
				t.Errorf("%s: a letter that is gone: %v", name, err)
			}
		})
	}
}

// Who waits for a code finds out for Drain, and is tried although the lane rests.
func TestDeliver_lane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, p := newBox(waiting(Code, 1), waiting(Code, 2), waiting(NewBrowser, 3)), &provider{do: stalls}
		s := withBox(t, b, map[authn.Kind]authn.Sender{authn.Email: p})
		if err := s.Deliver(t.Context(), companyID, "msg_0001"); !errors.Is(err, authn.MessageNotSent) {
			t.Error(err)
		}
		if drain(t, s); len(p.got) != 1 {
			t.Errorf("%d tries on a lane that rests", len(p.got))
		}
		p.do = nil
		if err := s.Deliver(t.Context(), companyID, "msg_0002"); err != nil || len(p.got) != 2 {
			t.Errorf("%d messages, %v", len(p.got), err)
		}
		if len(s.lanes) != 0 {
			t.Error("the lane that works again is not forgotten")
		}
	})
}

// Another node has it; or the person goes away while it is sent.
func TestDeliver_meanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(waiting(Code, 1))
		p := &provider{do: func(ctx context.Context, _ authn.Message) error {
			select {
			case <-time.After(2 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		s := withBox(t, b, map[authn.Kind]authn.Sender{authn.Email: p})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if err := s.Deliver(ctx, companyID, "msg_0001"); err != nil {
					t.Error(err)
				}
				drain(t, s)
			})
		}
		wg.Wait()
		if len(p.got) != 1 || len(b.rows) != 0 {
			t.Errorf("%d messages, %d letters left", len(p.got), len(b.rows))
		}
	})
}

// Which sender: a company's own, its earlier one (ruling 19), the operator's, none.
func TestSenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own, previous, operators := &provider{}, &provider{}, &provider{}
		list := []authn.Letter{waiting(ProviderChanged, 1), waiting(NewBrowser, 2), waiting(NewBrowser, 3), waiting(NewBrowser, 4), waiting(Code, 5)}
		list[0].Via = "previous"
		list[2].Company.ID, list[3].Company.ID, list[4].Channel = "cmp_none", "cmp_broken", authn.SMS
		list[2].Link, list[3].Link = authn.Token{}, authn.Token{}
		b := newBox(list...)
		s := withBox(t, b, map[authn.Kind]authn.Sender{authn.Email: operators}, func(c *Config) {
			c.SenderFor = func(_ context.Context, company string, channel authn.Kind, via string) (authn.Sender, error) {
				switch {
				case company == "cmp_broken":
					return nil, errors.New("sealed under a key that is gone")
				case company == "cmp_none" || channel == authn.SMS:
					return nil, nil
				case via == "previous":
					return previous, nil
				}
				return own, nil
			}
		})
		drain(t, s)
		for name, tt := range map[string]struct {
			p  *provider
			id string
		}{"own": {own, "msg_0002"}, "previous": {previous, "msg_0001"}, "operator's": {operators, "msg_0003"}} {
			if len(tt.p.got) != 1 || tt.p.got[0].ID != tt.id {
				t.Errorf("%s: %v", name, tt.p.got)
			}
		}
		if b.rows["msg_0004"].reason != "no_provider" {
			t.Error("a letter without a provider does not wait")
		}
		if b.rows["msg_0005"] != nil {
			t.Error("a text message waits, although whoever asked for it asks again")
		}
	})
}

// cve-61: neither code nor link nor address get into logs, rows, events or
// errors, whatever a provider quotes.
func TestSecrets_cve61(t *testing.T) {
	quote := func(m authn.Message) string { return "GET /send?to=" + m.To + "&text=" + m.Text + m.HTML }
	for name, do := range map[string]sender{
		"plain":  func(_ context.Context, m authn.Message) error { return errors.New(quote(m)) },
		"nested": func(_ context.Context, m authn.Message) error { return fmt.Errorf("x: %w", errors.New(quote(m))) },
		"stage": func(_ context.Context, m authn.Message) error {
			return &authn.SendError{Stage: "accept", Code: quote(m), Reply: quote(m), Err: errors.New(quote(m))}
		},
		"address": func(_ context.Context, m authn.Message) error {
			return &authn.SendError{Stage: "accept", Code: "550 <" + m.To + ">", Reply: "no " + m.To, Err: errors.New(m.To)}
		},
		"panic": func(_ context.Context, m authn.Message) error { panic(quote(m)) },
		"given": func(_ context.Context, m authn.Message) error {
			return &authn.SendError{Stage: "accept", Code: quote(m), Permanent: true}
		},
	} {
		for _, tpl := range []authn.Template{Code, NewBrowser} {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				one, two := waiting(tpl, 1), waiting(tpl, 2)
				b := newBox(one, two)
				s := withBox(t, b, map[authn.Kind]authn.Sender{authn.Email: &provider{do: do}}, func(c *Config) {
					c.Log = slog.New(slog.NewTextHandler(&log, nil))
				})
				err := s.Deliver(t.Context(), companyID, "msg_0001")
				drain(t, s)
				var se *authn.SendError
				all := fmt.Sprintf("%v %+v %s", err, b.events, log.String())
				if errors.As(err, &se) {
					all += fmt.Sprint(*se, se.Code, se.Reply, se.Err)
				}
				for e := err; e != nil; e = errors.Unwrap(e) {
					all += fmt.Sprintf(" %v %#v", e, e)
				}
				for _, r := range b.rows {
					all += r.reason
				}
				for _, secret := range []string{testCode, link.Reveal(), one.To} {
					if strings.Contains(all, secret) {
						t.Errorf("%s %s: %q in %s", name, tpl, secret, all)
					}
				}
				if err == nil || log.Len() == 0 {
					t.Errorf("%s: nothing was said", name)
				}
			})
		}
	}
}
