// Package httpsend is what the senders of text messages share: one HTTP request
// to a provider, and what is known of the message when it fails.
//
// # Flow
//
// A driver gives [Client.Try] an [Exchange]: how the request is made and how the
// answer is read. Try checks the message, sends the request once, reads the
// answer, and cleans whatever words come back. The time limit is the context's.
//
// # What is known after a failure
//
// Another provider may be asked only if this one has certainly not taken the
// message (authn.SendError.Unsure). Certain are: no connection, no encryption, a
// redirect, an answer of 4xx, and an error code of the provider. Unsure are: the
// connection was lost or the time was over when the request may have been written,
// 2xx with an answer that cannot be read, 5xx without a code. A request may have
// been written from the moment net/http has its header written: what comes later
// is told to us only after the bytes have left.
//
// # Threats
//
//   - A provider, or what stands in its place, sends us elsewhere: no redirect is
//     followed, whatever the given client does (ruling 32).
//   - A hostile answer: at most [Most] bytes are read, unpacked ones included.
//   - Words of a provider reach owners and logs: they lose control characters, the
//     secret, everything in the message that could be a code, and every long
//     number, and are bounded to 300 bytes. Errors of the network are treated the
//     same way and hold no URL.
//   - A sender is printed by mistake: [Quiet] shows a name instead.
package httpsend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Most is how many bytes of an answer, or of a report, are read.
const Most = 64 << 10

// Client sends requests. It is safe for concurrent use.
type Client struct{ http http.Client }

// New makes one that goes the ways of c, which is needed, and follows no redirects.
func New(c *http.Client) *Client {
	own := *c
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	own.Jar = nil
	return &Client{own}
}

// Exchange is how one provider is spoken to.
type Exchange struct {
	Secrets []string // what may stand in no error, in each form it is sent in
	Request func(context.Context, authn.Message) (*http.Request, error)
	// Read reads an answer that is not 3xx. What it gives need not be clean.
	Read func(Answer) (authn.TextReply, *authn.SendError)
}

// Try sends m. A failure is an *authn.SendError.
func (c *Client) Try(ctx context.Context, m authn.Message, e Exchange) (authn.TextReply, error) {
	switch {
	case !IsNumber(m.To):
		return authn.TextReply{}, &authn.SendError{Stage: "accept", Reason: string(Number), Permanent: true, Err: errors.New("not a number in E.164")}
	case m.Text == "" || !utf8.ValidString(m.Text):
		return authn.TextReply{}, &authn.SendError{Stage: "content", Reason: string(Other), Permanent: true, Err: errors.New("no text, or not UTF-8")}
	}
	clean := cleaner(m, e.Secrets)
	r, err := e.Request(ctx, m)
	if err != nil {
		return authn.TextReply{}, &authn.SendError{Stage: "content", Reason: string(Other), Err: causeOf(err, clean)}
	}
	a, failed := c.do(r, clean)
	if failed != nil {
		return authn.TextReply{}, failed
	}
	reply, failed := e.Read(a)
	if failed != nil {
		failed.Code, failed.Reply = token(failed.Code, clean), clean(failed.Reply)
		return authn.TextReply{}, failed
	}
	return authn.TextReply{Reference: reply.Reference, Raw: clean(strconv.Itoa(a.Status) + " " + reply.Raw)}, nil
}

func (c *Client) do(r *http.Request, clean func(string) string) (Answer, *authn.SendError) {
	var w way
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), w.trace()))
	resp, err := c.http.Do(r)
	if err != nil {
		return Answer{}, w.failure(r.Context(), err, clean)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 3 {
		return Answer{}, &authn.SendError{Stage: "accept", Code: strconv.Itoa(resp.StatusCode), Reason: "redirect"}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, Most+1))
	if err == nil && len(body) > Most {
		err = fmt.Errorf("the answer is longer than %d bytes", Most)
	}
	a := Answer{Status: resp.StatusCode, Body: body}
	if err != nil {
		a.Body, a.late, a.err = nil, isTimeout(r.Context(), err), causeOf(err, clean)
	}
	return a, nil
}

// Answer is what a provider answered.
type Answer struct {
	Status int
	Body   []byte // nil: it did not come whole, or is too long
	late   bool   // because the time was over
	err    error
}

// OK reports a status of 2xx.
func (a Answer) OK() bool { return a.Status/100 == 2 }

// Refused is the failure for which the provider gave a code. words are its own;
// empty: those of the HTTP status.
func (a Answer) Refused(code, words string, k Kind) *authn.SendError {
	if words == "" {
		words = http.StatusText(a.Status)
	}
	e := &authn.SendError{Stage: "accept", Code: code, Reply: words, Reason: string(k)}
	switch k {
	case Credentials:
		e.Stage = "sign_in"
	case Content:
		e.Stage, e.Reason, e.Permanent = "content", string(Other), true
	case Number, Blocked:
		e.Permanent = true
	}
	return e
}

// Unread is the failure of an answer in which nothing that the provider documents
// was found: what the status alone says.
func (a Answer) Unread() *authn.SendError {
	code := strconv.Itoa(a.Status)
	var e *authn.SendError
	switch {
	case a.OK() && a.late:
		e = &authn.SendError{Stage: "accept", Reason: "timeout", Unsure: true}
	case a.OK():
		e = &authn.SendError{Stage: "accept", Reason: "garbled", Unsure: true}
	case a.Status >= 500:
		e = a.Refused(code, "", Down)
		e.Unsure = true
	case a.Status == http.StatusUnauthorized:
		e = a.Refused(code, "", Credentials)
	case a.Status == http.StatusPaymentRequired:
		e = a.Refused(code, "", Funds)
	case a.Status == http.StatusForbidden:
		e = a.Refused(code, "", Permission)
	case a.Status == http.StatusTooManyRequests:
		e = a.Refused(code, "", Throttled)
	default:
		e = a.Refused(code, "", Other)
	}
	e.Err = a.err
	return e
}

// Kind is why a provider refused a message: the Reason of an *authn.SendError.
type Kind string

// The kinds. A page has a text for each.
const (
	Credentials Kind = "credentials" // at stage "sign_in"
	Funds       Kind = "funds"
	From        Kind = "from"        // the sender is not ours, or not allowed there
	Number      Kind = "number"      // no such number, or none that takes text messages
	Country     Kind = "country"     // not switched on at the provider
	Blocked     Kind = "blocked"     // the recipient opted out, or the carrier filters
	Throttled   Kind = "throttled"   // too fast, or too many today
	Unreachable Kind = "unreachable" // no way to the provider, or from it to the number
	Permission  Kind = "permission"  // the account may not
	Down        Kind = "down"        // the provider has trouble
	Trial       Kind = "trial"       // a trial account, and not a number that it may write to
	Other       Kind = "other"
	Content     Kind = "content" // the text itself: Reason "other" at stage "content"
)

// Reasons are all that stand in SendError.Reason: the kinds, and what only this
// package finds.
func Reasons() []string {
	return []string{"credentials", "funds", "from", "number", "country", "blocked", "throttled", "unreachable", "timeout",
		"permission", "garbled", "down", "trial", "redirect", "other"}
}

// Quiet, embedded, is all that a sender shows of itself in logs and errors.
type Quiet string

// Format writes the name, whatever was asked for: fmt does not ask the fields of
// a struct that are not exported how they want to be shown.
func (q Quiet) Format(s fmt.State, _ rune) { io.WriteString(s, string(q)) }

// LogValue is the name, for slog.
func (q Quiet) LogValue() slog.Value { return slog.StringValue(string(q)) }
