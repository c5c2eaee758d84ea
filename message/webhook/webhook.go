// Package webhook hands text messages to a program of the company's own, at an
// https address that the company names, and reads that program's delivery reports.
// docs/texts-webhook.md is the same for whoever writes the program.
//
// # Flow
//
// Each message is one POST of JSON: type "text.send", id, to, text, language, and
// callback if reports are wanted. Idempotency-Key is the id: a program that has
// seen it takes the message as taken. Any 2xx means taken, whatever the body; a
// JSON body {"reference": "…"} may give the program's own id for reports. Anything
// else means not taken, and {"reason": "number"} may say why, in the words of
// httpsend.Kind. A report is a POST of JSON to callback: type "text.receipt",
// reference, state ("delivered", "failed" or "pending"), and a code if there is one.
//
// # The signature
//
// Requests in both directions are signed with the same secret:
//
//	Sallyport-Signature: t=<seconds since 1970>,v1=<hex>
//
// where the hex is HMAC-SHA256, keyed with the secret's bytes, of the digits of t,
// a full stop and the body's bytes. Who checks it recomputes it over the body as
// it came, compares in constant time, and refuses a t that is more than 5 minutes
// off. "type" is within what is signed, so that a message sent back is no report.
//
// # Threats
//
//   - The address is the company's: the client that [New] is given must dial
//     through internal/egress (ruling 32). What the other side answers is read for
//     reference and reason only and shown to nobody: it could be something inside
//     that answers.
//   - The secret is never sent.
//   - The rest is httpsend's.
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/httpsend"
)

// SignatureHeader is the header with time and signature.
const SignatureHeader = "Sallyport-Signature"

// Tolerance is how far the time of a signature may be off.
const Tolerance = 5 * time.Minute

// Driver speaks to companies' programs. It is safe for concurrent use.
type Driver struct {
	// Base is a local gateway's scheme and host instead of the address's own, for
	// tests and the demo, such as "http://127.0.0.1:8090". Set before use; empty:
	// the address as it is.
	Base string
	// Now is what requests are dated with. Set before use; nil: time.Now.
	Now func() time.Time

	client *httpsend.Client
}

// New makes a driver that connects through client, which is needed.
func New(client *http.Client) *Driver { return &Driver{client: httpsend.New(client)} }

var _ authn.TextReceipts = (*Driver)(nil)

// Fields are url and secret.
func (d *Driver) Fields() []string { return []string{"url", "secret"} }

// Open makes a sender, or gives Invalid. The secret has 16 characters at least.
func (d *Driver) Open(p authn.TextProvider) (authn.TextSender, error) {
	var f httpsend.Fields
	f.Check("url", p.URL, IsAddress(p.URL))
	f.Check("secret", p.Secret, len(p.Secret) >= 16 && httpsend.IsSecret(p.Secret))
	if err := f.Err(); err != nil {
		return nil, err
	}
	return &sender{Quiet: "texts:webhook", d: d, p: p}, nil
}

// IsAddress reports an https URL of ASCII, without user or fragment, of at most
// 2048 characters.
func IsAddress(s string) bool {
	if len(s) > 2048 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil && !strings.Contains(s, "#")
}

type sender struct {
	httpsend.Quiet
	d        *Driver
	p        authn.TextProvider
	callback string
}

// Callback is s with the address that reports are to be posted to.
func (d *Driver) Callback(s authn.TextSender, url string) authn.TextSender {
	own, ok := s.(*sender)
	if !ok {
		return s
	}
	with := *own
	with.callback = url
	return &with
}

// Send is Try without the answer.
func (s *sender) Send(ctx context.Context, m authn.Message) error {
	_, err := s.Try(ctx, m)
	return err
}

// Try sends m. The reply holds no words of the other side.
func (s *sender) Try(ctx context.Context, m authn.Message) (authn.TextReply, error) {
	return s.d.client.Try(ctx, m, httpsend.Exchange{
		Secrets: []string{s.p.Secret},
		Request: s.request,
		Read:    func(a httpsend.Answer) (authn.TextReply, *authn.SendError) { return read(a, m.ID) },
	})
}

type outgoing struct {
	Type     string `json:"type"`
	ID       string `json:"id"`
	To       string `json:"to"`
	Text     string `json:"text"`
	Language string `json:"language,omitempty"`
	Callback string `json:"callback,omitempty"`
}

func (s *sender) request(ctx context.Context, m authn.Message) (*http.Request, error) {
	if !httpsend.IsReference(m.ID) {
		return nil, errors.New("the message has no id fit for a header")
	}
	var body strings.Builder
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(outgoing{"text.send", m.ID, m.To, m.Text, m.Language, s.callback}); err != nil {
		return nil, err
	}
	address := s.p.URL
	if s.d.Base != "" {
		u, err := url.Parse(address)
		if err != nil {
			return nil, err
		}
		address = s.d.Base + u.RequestURI()
	}
	text := strings.TrimSuffix(body.String(), "\n")
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	now := time.Now
	if s.d.Now != nil {
		now = s.d.Now
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", m.ID)
	r.Header.Set(SignatureHeader, Sign(s.p.Secret, now(), []byte(text)))
	return r, nil
}

// Sign gives the value of SignatureHeader for a body.
func Sign(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// reasons are what the other side may give.
var reasons = []httpsend.Kind{httpsend.Credentials, httpsend.Funds, httpsend.From, httpsend.Number, httpsend.Country, httpsend.Blocked,
	httpsend.Throttled, httpsend.Unreachable, httpsend.Permission, httpsend.Down, httpsend.Content, httpsend.Other}

func read(a httpsend.Answer, id string) (authn.TextReply, *authn.SendError) {
	var body struct {
		Reference string        `json:"reference"`
		Reason    httpsend.Kind `json:"reason"`
	}
	readable := json.Unmarshal(a.Body, &body) == nil
	switch {
	case a.OK() && readable && httpsend.IsReference(body.Reference):
		return authn.TextReply{Reference: body.Reference, Raw: http.StatusText(a.Status)}, nil
	case a.OK(): // the status is the answer
		return authn.TextReply{Reference: id, Raw: http.StatusText(a.Status)}, nil
	case readable && slices.Contains(reasons, body.Reason):
		return authn.TextReply{}, a.Refused(strconv.Itoa(a.Status), "", body.Reason)
	}
	return authn.TextReply{}, a.Unread()
}

// Receipt checks the signature and reads a report.
func (d *Driver) Receipt(p authn.TextProvider, q authn.ReceiptRequest) (authn.Receipt, error) {
	if len(q.Body) > httpsend.Most {
		return authn.Receipt{}, httpsend.Unreadable(errors.New("too long"))
	}
	got := http.Header(q.Header).Get(SignatureHeader)
	stamp, _, _ := strings.Cut(strings.TrimPrefix(got, "t="), ",")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	at := time.Unix(seconds, 0)
	if err != nil || p.Secret == "" || q.Method != http.MethodPost || !httpsend.Same(got, Sign(p.Secret, at, q.Body)) {
		return authn.Receipt{}, httpsend.Unsigned("not signed with the secret")
	}
	if q.Now.Sub(at).Abs() > Tolerance {
		return authn.Receipt{}, httpsend.Unsigned("signed at another time")
	}
	var body struct {
		Type      string `json:"type"`
		Reference string `json:"reference"`
		State     string `json:"state"`
		Code      string `json:"code"`
	}
	states := []string{httpsend.Delivered, httpsend.Failed, httpsend.Pending}
	if json.Unmarshal(q.Body, &body) != nil || body.Type != "text.receipt" || !slices.Contains(states, body.State) {
		return authn.Receipt{}, httpsend.Unreadable(errors.New("no report"))
	}
	return httpsend.NewReceipt(body.Reference, body.State, body.Code)
}
