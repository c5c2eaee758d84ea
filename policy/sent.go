package policy

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/authn"
)

// The limits of sent codes (ux rule 19, security section 5). A person's known
// browsers have their own, which strangers who know the password cannot use up.
const (
	// A code with less than this left is not sent again: a new one is made, and
	// the old one stays good to its own end (ux rule 17).
	FreshCode = 60 * time.Second
	// MaxSends is how often one attempt may send.
	MaxSends = 4
)

var resendWaits = [MaxSends]time.Duration{30 * time.Second, 60 * time.Second, 120 * time.Second, 120 * time.Second}

// SendLimit is how many codes one lane may have sent to it.
func SendLimit(l authn.Lane) authn.SentCodes {
	if l == authn.Known {
		return authn.SentCodes{Hour: 20, Day: 60}
	}
	return authn.SentCodes{Hour: 5, Day: 15}
}

// Sending is what is to be sent, or why nothing is.
type Sending struct {
	Challenge authn.Challenge
	New       bool      // store it; otherwise it is sent again
	ResendAt  time.Time // when another one can be asked for; zero: not in this attempt
}

// ResendAt is when another code can be asked for; zero: not in this attempt.
// sent are all codes of the attempt for one factor, those that are over too.
func ResendAt(sent []authn.Challenge) time.Time {
	n, last := 0, time.Time{}
	for _, c := range sent {
		n += c.Sends
		if c.SentAt.After(last) {
			last = c.SentAt
		}
	}
	if n == 0 || n >= MaxSends {
		return time.Time{}
	}
	return last.Add(resendWaits[n-1])
}

// same are the codes that a send to next is counted with.
func same(next authn.Challenge, sent []authn.Challenge) []authn.Challenge {
	var of []authn.Challenge
	for _, c := range sent {
		if c.Factor == next.Factor && c.Destination == next.Destination && c.Purpose == next.Purpose {
			of = append(of, c)
		}
	}
	return of
}

// maySend says whether something may be sent after of.
func maySend(of []authn.Challenge, lane authn.Lane, total authn.SentCodes, now time.Time) error {
	n := 0
	for _, c := range of {
		n += c.Sends
	}
	limit := SendLimit(lane)
	switch at := ResendAt(of); {
	case n >= MaxSends, total.Day >= limit.Day:
		return &authn.Error{Code: authn.TooManyRequests, Key: "error.send_limit", RetryAfter: time.Hour}
	case total.Hour >= limit.Hour:
		return &authn.Error{Code: authn.TooManyRequests, Key: "error.send_limit", RetryAfter: 30 * time.Minute}
	case n > 0 && now.Before(at):
		return &authn.Error{Code: authn.TooManyRequests, Key: "error.send_wait", RetryAfter: at.Sub(now), ExpiresAt: at}
	}
	return nil
}

// Push decides about asking a person at an outside service, whoever that is: it
// is limited as codes are, so that nobody is tired out by pushes.
func Push(next authn.Challenge, sent []authn.Challenge, total authn.SentCodes, lives time.Duration, now time.Time) (authn.Challenge, error) {
	if err := maySend(same(next, sent), next.Lane, total, now); err != nil {
		return authn.Challenge{}, err
	}
	next.Sends, next.SentAt, next.CreatedAt, next.ExpiresAt = 1, now, now, now.Add(lives)
	return next, nil
}

// Send decides about sending the code of a factor: the same one while it is
// fresh, else a new one. sent are the codes of the attempt, those that are over
// too; total is what was sent to the person in this lane.
func Send(next authn.Challenge, sent []authn.Challenge, total authn.SentCodes, lives time.Duration, now time.Time) (Sending, error) {
	of := same(next, sent)
	if err := maySend(of, next.Lane, total, now); err != nil {
		return Sending{}, err
	}
	out := Sending{Challenge: next, New: true}
	if len(of) > 0 && of[len(of)-1].ExpiresAt.Sub(now) >= min(FreshCode, lives/2) {
		out.Challenge, out.New = of[len(of)-1], false
	}
	c := &out.Challenge
	if out.New {
		c.CreatedAt, c.ExpiresAt = now, now.Add(lives)
		of = append(of, *c)
	}
	c.Sends, c.SentAt = c.Sends+1, now
	of[len(of)-1] = *c
	out.ResendAt = ResendAt(of)
	return out, nil
}

// Mask is an address or number as its owner knows it again, and nobody learns
// it: m•••@example.com, •• 42. Only the password's holder is shown it.
func Mask(k authn.Kind, to string) string {
	if k == authn.SMS {
		digits := strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, to)
		return "•• " + digits[max(len(digits)-2, 0):]
	}
	name, domain, ok := strings.Cut(to, "@")
	if !ok || name == "" {
		return "•••"
	}
	_, size := utf8.DecodeRuneInString(name)
	return name[:size] + "•••@" + domain
}
