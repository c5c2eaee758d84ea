package auditstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/egress"
	"github.com/sallyport-mfa/sallyport/message/webhook"
)

// LeastSecret is how many characters a webhook's secret has at least.
const LeastSecret = 16

// Webhook posts batches. It is safe for concurrent use.
type Webhook struct {
	Client *http.Client // follows no redirects; that of internal/egress. Needed.
	// Allowed says what is wrong with a target before it is dialled; nil: nothing is.
	Allowed func(*url.URL) error
	Now     func() time.Time // nil: time.Now
}

var _ authn.StreamSender = (*Webhook)(nil)

// Check: url is https without user or fragment; secret has 16 to 256 characters of
// ASCII without spaces.
func (w *Webhook) Check(to authn.StreamSettings) []authn.Field {
	var f []authn.Field
	u, err := url.Parse(to.URL)
	switch {
	case to.URL == "":
		f = append(f, authn.Field{Name: "url", Code: "required"})
	case err != nil || !webhook.IsAddress(to.URL):
		f = append(f, authn.Field{Name: "url", Code: "invalid"})
	case w.Allowed != nil && w.Allowed(u) != nil:
		f = append(f, authn.Field{Name: "url", Code: "not_allowed", Key: "field.target_not_allowed"})
	}
	switch {
	case to.Secret == "":
		f = append(f, authn.Field{Name: "secret", Code: "required"})
	case len(to.Secret) < LeastSecret || len(to.Secret) > 256 || word(to.Secret, 256) != to.Secret:
		f = append(f, authn.Field{Name: "secret", Code: "invalid"})
	}
	return f
}

// Send is one request.
func (w *Webhook) Send(ctx context.Context, to authn.StreamSettings, b authn.StreamBatch) error {
	var body bytes.Buffer
	for _, l := range b.Lines {
		body.Write(l.JSON)
		body.WriteByte('\n')
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, bytes.NewReader(body.Bytes()))
	if err != nil {
		return failure("connect", errors.New("no request"))
	}
	now := time.Now
	if w.Now != nil {
		now = w.Now
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	r.Header.Set("Idempotency-Key", b.Company+"-"+strconv.FormatInt(b.First, 10)+"-"+strconv.FormatInt(b.Last, 10))
	r.Header.Set(webhook.SignatureHeader, webhook.Sign(to.Secret, now(), body.Bytes()))
	resp, err := w.Client.Do(r)
	if errors.Is(err, egress.ErrRedirect) {
		return &authn.SendError{Stage: "accept", Reason: "redirect", Err: errors.New("auditstream: the answer is a redirect")}
	}
	if err != nil {
		return failure("connect", err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, egress.MaxBody)) // the status is the answer
	if resp.StatusCode/100 == 2 {
		return nil
	}
	e := &authn.SendError{Stage: "accept", Code: strconv.Itoa(resp.StatusCode), Reason: "other", Err: fmt.Errorf("auditstream: status %d", resp.StatusCode)}
	switch {
	case resp.StatusCode/100 == 3:
		e.Reason = "redirect"
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		e.Reason = "credentials"
	case resp.StatusCode == http.StatusTooManyRequests:
		e.Reason = "throttled"
	case resp.StatusCode >= 500:
		e.Reason = "down"
	}
	return e
}
