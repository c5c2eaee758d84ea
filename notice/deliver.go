package notice

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport-mfa/sallyport/authn"
)

const (
	// noticesLast is how long a notice is tried; a code is tried until it expires.
	noticesLast = 3 * 24 * time.Hour
	// afterTimeout is what a sender gets to say which stage it was at.
	afterTimeout = 250 * time.Millisecond
	// perLane is how many messages one provider of one company is sent at a time.
	perLane = 4
	// markTimeout is for writing down how a send ended.
	markTimeout = 5 * time.Second
	maxReason   = 120
	// longestPause between two tries of a notice.
	longestPause = time.Hour
	maxAddress   = 254 // RFC 5321 section 4.5.3.1.3, less the brackets
)

// pauses between the tries of one letter; the last one repeats.
var pauses = []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, longestPause}

var (
	errTooLate  = errors.New("notice: it is too late for this message")
	errNoSender = errors.New("notice: no provider for this channel")
	errTimeout  = errors.New("notice: the provider did not answer in time")
	errPanic    = errors.New("notice: panic")
	errUnsure   = errors.New("notice: it may have been sent before")
)

// Deliver sends one letter now, for somebody who waits for it. It returns nil
// if the letter is taken, gone, or another node is at it; MessageNotSent if not.
// What is worth another try stays for Drain.
//
// A person who leaves ends nothing: a send that was begun would otherwise be
// broken off half way, and repeated.
func (s *Service) Deliver(ctx context.Context, company, id string) error {
	l, ok, err := s.c.Outbox.ClaimLetter(ctx, company, id, s.c.Now(), s.lease)
	if err != nil {
		return fmt.Errorf("notice: claim: %w", err)
	}
	if !ok {
		return nil
	}
	err = s.try(ctx, l)
	s.heard(laneOf(l), err)
	if marked := s.settle(ctx, l, err); marked != nil {
		s.c.Log.ErrorContext(ctx, "message: outcome not written", "company", l.Company.ID, "message", l.ID, "error", marked)
	}
	if err != nil {
		return &authn.Error{Code: authn.MessageNotSent, Err: err}
	}
	return nil
}

// Drain claims a batch of letters that are due and sends them; n is how many it
// claimed, so that a full batch means: call again. It takes about twice the
// time limit of a send at most. Several may run at once, in one process or
// more: while one waits for a slow provider, another serves the rest. When ctx
// ends, sends that were begun are finished and no others are begun.
func (s *Service) Drain(ctx context.Context) (n int, err error) {
	start := s.c.Now()
	letters, err := s.c.Outbox.ClaimLetters(ctx, start, s.c.Batch, s.lease)
	if err != nil {
		return 0, fmt.Errorf("notice: claim: %w", err)
	}
	queues := map[lane][]authn.Letter{}
	for _, l := range letters {
		queues[laneOf(l)] = append(queues[laneOf(l)], l)
	}
	results := make(chan error)
	workers := 0
	for ln, queue := range queues {
		todo := make(chan authn.Letter, len(queue))
		for _, l := range queue {
			todo <- l
		}
		close(todo)
		for range min(perLane, len(queue)) {
			workers++
			go func() { results <- s.work(ctx, ln, todo, start) }()
		}
	}
	var errs []error
	for range workers {
		errs = append(errs, <-results)
	}
	return len(letters), errors.Join(errs...)
}

// work sends letters of one lane until there are none, or it is time to hand
// the rest back.
func (s *Service) work(ctx context.Context, ln lane, todo <-chan authn.Letter, start time.Time) error {
	var errs []error
	for l := range todo {
		now := s.c.Now()
		wait, ok := time.Duration(0), ctx.Err() == nil && now.Sub(start) < s.c.SendTimeout
		if ok {
			wait, ok = s.enter(ln, now)
		}
		if !ok {
			errs = append(errs, s.putBack(ctx, l, now.Add(wait)))
			continue
		}
		err := s.try(ctx, l)
		s.leave(ln, err)
		errs = append(errs, s.settle(ctx, l, err))
	}
	return errors.Join(errs...)
}

// try writes a letter and sends it. Its errors carry neither the code nor the
// link nor the address, whatever the provider quoted (cve-61).
func (s *Service) try(ctx context.Context, l authn.Letter) (err error) {
	if !l.ExpiresAt.IsZero() && !s.c.Now().Before(l.ExpiresAt) {
		return errTooLate
	}
	if once(l) && l.Tries > 1 {
		return errUnsure // whoever claimed it before may have sent it
	}
	defer func() {
		if x := recover(); x != nil {
			// What it says may contain the code; where it happened does not.
			s.c.Log.ErrorContext(ctx, "message: panic", "company", l.Company.ID, "message", l.ID, "template", l.Template,
				"kind", fmt.Sprintf("%T", x), "stack", stack())
			err = errPanic
		}
	}()
	if l.To == "" || len(l.To) > maxAddress || strings.ContainsFunc(l.To, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return &authn.SendError{Stage: "content", Code: "address", Permanent: true}
	}
	m, err := s.Render(l)
	if err != nil {
		return fmt.Errorf("%w: %w", errRender, err)
	}
	sender, err := s.sender(ctx, l)
	if err != nil {
		return err
	}
	return hide(s.send(ctx, l, sender, m), append(s.secrets(l), l.To))
}

// errRender can be mended by the next release: another node may have it already.
var errRender = errors.New("notice: not written")

func (s *Service) sender(ctx context.Context, l authn.Letter) (authn.Sender, error) {
	if s.c.SenderFor != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markTimeout)
		defer cancel()
		via, err := l.Via, error(nil)
		if via == "" && s.c.ViaFor != nil {
			via, err = s.c.ViaFor(ctx, l)
		}
		var sender authn.Sender
		if err == nil {
			sender, err = s.c.SenderFor(ctx, l.Company.ID, l.Channel, via)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoSender, err)
		}
		if sender != nil {
			return sender, nil
		}
	}
	if sender := s.c.Senders[l.Channel]; sender != nil {
		return sender, nil
	}
	return nil, errNoSender
}

// send gives every message its own time limit, also to a sender that does not
// look at it. What such a one still does may repeat the message, not lose it.
func (s *Service) send(ctx context.Context, l authn.Letter, sender authn.Sender, m authn.Message) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.c.SendTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if x := recover(); x != nil {
				s.c.Log.ErrorContext(ctx, "message: panic of the sender", "company", l.Company.ID, "message", l.ID,
					"kind", fmt.Sprintf("%T", x), "stack", stack())
				done <- errPanic
			}
		}()
		done <- sender.Send(ctx, m)
	}()
	select {
	case err := <-done:
		return timeout(ctx, err)
	case <-ctx.Done():
	}
	late := time.NewTimer(afterTimeout)
	defer late.Stop()
	select {
	case err := <-done:
		return timeout(ctx, err)
	case <-late.C:
		return errTimeout
	}
}

// timeout tells a sender's own failure from one that the time limit made.
func timeout(ctx context.Context, err error) error {
	var se *authn.SendError
	if err == nil || errors.As(err, &se) || ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	return errTimeout
}

// settle writes down how a try ended.
func (s *Service) settle(ctx context.Context, l authn.Letter, err error) error {
	now := s.c.Now()
	if err == nil {
		// The message is out. Not writing it down would send it again.
		return s.mark(ctx, func(ctx context.Context) error { return s.c.Outbox.LetterSent(ctx, l.Company.ID, l.ID, now) })
	}
	why, next := reason(err), now.Add(s.jitter(pauses[min(max(l.Tries, 1), len(pauses))-1]))
	var ev *authn.Event
	if once(l) || final(err) || !next.Before(last(l, now)) {
		ev = &authn.Event{
			Company: l.Company.ID, ID: authn.NewID(authn.EventID, now, s.c.Random), Type: "message.failed",
			Target: l.User.ID, Result: authn.Refused, At: now,
			Personal: authn.Personal{Detail: map[string]string{
				"template": string(l.Template), "channel": string(l.Channel), "reason": why, "message": l.ID,
			}},
		}
	}
	s.c.Log.WarnContext(ctx, "message not sent", "company", l.Company.ID, "message", l.ID, "template", l.Template,
		"channel", l.Channel, "reason", why, "try", l.Tries, "given_up", ev != nil)
	return s.mark(ctx, func(ctx context.Context) error {
		return s.c.Outbox.LetterFailed(ctx, l.Company.ID, l.ID, next, why, ev)
	})
}

// putBack ends a claim without a try.
func (s *Service) putBack(ctx context.Context, l authn.Letter, next time.Time) error {
	return s.mark(ctx, func(ctx context.Context) error {
		return s.c.Outbox.LetterFailed(ctx, l.Company.ID, l.ID, next, "", nil)
	})
}

// mark writes, three times if need be, and also while the process is stopping.
func (s *Service) mark(ctx context.Context, write func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markTimeout)
	defer cancel()
	for i := range 3 {
		if err = write(ctx); err == nil || ctx.Err() != nil {
			break
		}
		t := time.NewTimer(time.Duration(i+1) * 100 * time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
	if err != nil {
		return fmt.Errorf("notice: outcome not written: %w", err)
	}
	return nil
}

// once reports whether a letter is tried once only. A text message costs money and
// is asked for again by whoever waits for it, so that none is ever sent twice.
func once(l authn.Letter) bool { return l.Channel == authn.SMS }

// last is until when a letter is tried.
func last(l authn.Letter, now time.Time) time.Time {
	end := l.At.Add(noticesLast)
	if l.At.IsZero() { // never written so; it must neither be lost nor stay for ever
		end = now.Add(noticesLast - time.Duration(l.Tries)*longestPause)
	}
	if !l.ExpiresAt.IsZero() && l.ExpiresAt.Before(end) {
		return l.ExpiresAt
	}
	return end
}

// final reports whether no other try can succeed. A provider that cannot be
// reached or does not let us in has not judged the message: its settings can be
// mended, and the notices of these days must not be lost with them.
func final(err error) bool {
	var se *authn.SendError
	if errors.As(err, &se) {
		return se.Permanent && !down(err)
	}
	return errors.Is(err, errTooLate)
}

// down reports whether a failure speaks of the provider, not of the message.
func down(err error) bool {
	var se *authn.SendError
	if errors.As(err, &se) {
		return se.Stage == "connect" || se.Stage == "encrypt" || se.Stage == "sign_in"
	}
	return errors.Is(err, errTimeout)
}

// reason is a failure in a word or two: for the row, the event and the log.
func reason(err error) string {
	var se *authn.SendError
	switch {
	case errors.Is(err, errTooLate):
		return "expired"
	case errors.Is(err, errNoSender):
		return "no_provider"
	case errors.Is(err, errTimeout):
		return "timeout"
	case errors.Is(err, errUnsure):
		return "unsure"
	case errors.Is(err, errPanic):
		return "panic"
	case errors.Is(err, errRender):
		return "not_written"
	case errors.As(err, &se):
		return printable(strings.TrimSpace(se.Stage + " " + se.Code))
	}
	return "unknown"
}

// printable bounds what a provider calls its code.
func printable(s string) string {
	s = s[:min(len(s), maxReason)]
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
}

// secrets are what a provider could quote from a message.
func (s *Service) secrets(l authn.Letter) []string {
	list := []string{l.Link.Reveal()}
	if len(l.Seed) > 0 {
		list = append(list, s.c.Code(l.Seed))
	}
	return list
}

// hide takes the words out of an error that quotes a secret, and leaves what
// kind of error it was. An HTTP client quotes the address, and some gateways
// want the message there.
func hide(err error, secrets []string) error {
	if err == nil {
		return nil
	}
	quotes := func(s string) bool {
		for _, x := range secrets {
			if x != "" && strings.Contains(s, x) {
				return true
			}
		}
		return false
	}
	var se *authn.SendError
	if !errors.As(err, &se) {
		if quotes(err.Error()) {
			return fmt.Errorf("%T that quotes the message", err)
		}
		return err
	}
	safe := *se
	if quotes(safe.Code) {
		safe.Code = ""
	}
	if quotes(safe.Reply) {
		safe.Reply = ""
	}
	if safe.Err != nil && quotes(safe.Err.Error()) {
		safe.Err = fmt.Errorf("%T that quotes the message", safe.Err)
	}
	return &safe
}

// stack is where a panic came from. The first lines of a stack show no
// arguments but addresses.
func stack() string {
	const most = 4096
	b := debug.Stack()
	return string(b[:min(len(b), most)])
}

// jitter spreads d by a fifth either way, so that what failed together does not
// come back together.
func (s *Service) jitter(d time.Duration) time.Duration {
	var b [1]byte
	if _, err := s.c.Random.Read(b[:]); err != nil {
		return d
	}
	return d*4/5 + d*2/5*time.Duration(b[0])/255
}
