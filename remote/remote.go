// Package remote keeps what an outside service is asked about a person: Duo's
// pushes and calls, in a sign-in and while one is set up.
//
// # Flow
//
// A person's act stores a challenge (authn.Challenge, Outcome Asked), then the
// service is asked, outside of any transaction; what it began is stored
// (Waiting), and a [Runner] follows it in the background until the person has
// answered there. How it ended is written by compare-and-set (Approved or
// Refusal). An approval is consumed like a code, by the transaction that uses it.
// Pages and polls read the row and never the service, so that a GET asks nothing.
//
// # Threats
//
//   - The service is down, slow or lies: nothing is approved (ruling 33). A process
//     that dies while it follows leaves a challenge that runs out.
//   - An approval used twice, or for another attempt or person: the challenge
//     belongs to one factor of one attempt, and is consumed once (ruling 14).
//   - Pushes without end, to tire somebody out: each costs one of the sends of
//     package policy, which count per attempt, hour and day.
package remote

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

const (
	// AskTimeout is for one question to the service, its repetitions included.
	AskTimeout = 15 * time.Second
	// StoppedIn is how long what is being followed gets when the server stops.
	StoppedIn = 2 * time.Second
	// ApprovalLives is how long an approval waits to be used.
	ApprovalLives = 5 * time.Minute
	// MaxLives bounds how long somebody is waited for.
	MaxLives = 2 * time.Minute
	// MaxAsks is how often one sign-in may ask which ways there are.
	MaxAsks = 10
	// maxFollowed bounds what one process waits for at a time.
	maxFollowed = 4096
)

// Detail is what a challenge of an outside service keeps.
type Detail struct {
	Options   []authn.Option `json:"options,omitempty"` // Asked: the ways to answer
	Code      bool           `json:"code,omitempty"`    // a code from there is taken too
	Way       string         `json:"way,omitempty"`     // "push", "phone", "sms"
	Device    string         `json:"device,omitempty"`
	Ends      string         `json:"ends,omitempty"`
	Number    string         `json:"number,omitempty"` // to be typed there (verified push)
	Reference string         `json:"reference,omitempty"`
	Reason    string         `json:"reason,omitempty"` // why not: see authn.Answered
	Message   string         `json:"message,omitempty"`
	AMR       string         `json:"amr,omitempty"`
}

// Encode makes the form that is stored.
func (d Detail) Encode() []byte {
	b, err := json.Marshal(d)
	if err != nil {
		panic(err) // strings and booleans only
	}
	return b
}

// Read gives the detail of a challenge; what cannot be read is empty.
func Read(c authn.Challenge) Detail {
	var d Detail
	if json.Unmarshal(c.Detail, &d) != nil {
		return Detail{}
	}
	return d
}

// Last is the newest of the challenges of a factor that outside services decide,
// or nil. Sent are those that are not over, oldest first.
func Last(sent []authn.Challenge, factor string) *authn.Challenge {
	for i := len(sent) - 1; i >= 0; i-- {
		if sent[i].Factor == factor && sent[i].Outcome != authn.NotOutside {
			return &sent[i]
		}
	}
	return nil
}

// Asking reports whether the person is being asked by a factor, and has not
// answered.
func Asking(sent []authn.Challenge, factor string) bool {
	last := Last(sent, factor)
	return last != nil && last.Outcome == authn.Waiting
}

// Asks is how often the service of a factor was asked which ways there are.
func Asks(sent []authn.Challenge, factor string) (n int) {
	for _, c := range sent {
		if c.Factor == factor && c.Kind.Remote() && c.Sends == 0 {
			n++
		}
	}
	return n
}

// Approval is an approval of a factor that was not used yet, or nil.
func Approval(sent []authn.Challenge, factor string) *authn.Challenge {
	for i := len(sent) - 1; i >= 0; i-- {
		if sent[i].Factor == factor && sent[i].Outcome == authn.Approved {
			return &sent[i]
		}
	}
	return nil
}

// Began is what is stored of a challenge once the service has begun it.
func Began(c authn.Challenge, st authn.Started, now time.Time) authn.Challenge {
	d := Detail{Way: st.Way, Device: st.Device, Ends: st.Ends, Number: st.Number, Reference: st.Reference}
	c.Outcome, c.ExpiresAt = authn.Waiting, now.Add(lives(st))
	if !st.Waits {
		c.Outcome = authn.Passcode
	}
	c.Detail = d.Encode()
	return c
}

func lives(st authn.Started) time.Duration {
	if st.Lives <= 0 {
		return time.Minute
	}
	return min(st.Lives, MaxLives)
}

// Failed is what is stored of a challenge that the service could not begin.
func Failed(c authn.Challenge, reason string) authn.Challenge {
	c.Outcome, c.Detail = authn.Refusal, Detail{Reason: reason}.Encode()
	return c
}

// Reason is why a service could not be asked, in a word that pages explain:
// "refused" (it refuses the person), "failed" (it has nothing to ask them by),
// "unavailable".
func Reason(err error) string {
	switch authn.AsError(err).Code {
	case authn.PolicyForbids:
		return "refused"
	case authn.Invalid:
		return "failed"
	}
	return "unavailable"
}

// Ended is what is stored of a challenge that the person answered.
func Ended(c authn.Challenge, a authn.Answered, now time.Time) authn.Challenge {
	d := Read(c)
	d.Reason, d.Message, d.AMR = a.Reason, a.Message, a.AMR
	c.Outcome = authn.Refusal
	if a.Approved {
		c.Outcome, c.ExpiresAt, d.Reason = authn.Approved, now.Add(ApprovalLives), ""
	}
	c.Detail = d.Encode()
	return c
}

// Runner follows what was begun. The zero value is ready; it must not be copied.
type Runner struct {
	mu     sync.Mutex
	n      int
	closed bool
	stop   chan struct{}
	all    sync.WaitGroup
}

// Follow waits in the background until the person has answered, and calls done
// with what they answered. What the service does not say in time is no answer:
// Reason is "timeout", or "failed". It reports false, and follows nothing, when
// too much is being followed or the server stops.
func (r *Runner) Follow(m authn.Remote, ask authn.Request, st authn.Started, done func(context.Context, authn.Answered)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.n >= maxFollowed {
		return false
	}
	if r.stop == nil {
		r.stop = make(chan struct{})
	}
	stop := r.stop
	r.n++
	r.all.Add(1)
	go func() {
		defer func() {
			r.mu.Lock()
			r.n--
			r.mu.Unlock()
			r.all.Done()
		}()
		ctx, cancel := context.WithTimeout(context.Background(), lives(st))
		defer cancel()
		go func() {
			select {
			case <-stop:
				cancel()
			case <-ctx.Done():
			}
		}()
		done(context.WithoutCancel(ctx), follow(ctx, m, ask, st))
	}()
	return true
}

// follow turns every failure into "not approved".
func follow(ctx context.Context, m authn.Remote, ask authn.Request, st authn.Started) (a authn.Answered) {
	defer func() {
		if recover() != nil { // a service's answer must not end the program
			a = authn.Answered{Reason: "failed"}
		}
	}()
	a, err := m.Follow(ctx, ask, st, func(string) {})
	switch {
	case ctx.Err() != nil && !a.Approved:
		return authn.Answered{Reason: "timeout"}
	case err != nil:
		return authn.Answered{Reason: "failed"}
	case !a.Approved && a.Reason == "":
		a.Reason = "failed"
	}
	return a
}

// Close stops following: what nobody answered yet is not approved. It returns
// when all that was followed has been written down, or after StoppedIn.
func (r *Runner) Close() {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		if r.stop != nil {
			close(r.stop)
		}
	}
	r.mu.Unlock()
	done := make(chan struct{})
	go func() { r.all.Wait(); close(done) }()
	t := time.NewTimer(StoppedIn)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}
