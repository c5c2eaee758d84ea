package sallyporttest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// TextWebhook is a program of a company that takes messages as
// docs/texts-webhook.md says.
type TextWebhook struct {
	TextGateway
	Address, Secret string // https address that is configured, with its path
}

// NewTextWebhook starts one. It speaks plain HTTP: the driver's Base leads to it.
// t may be nil.
func NewTextWebhook(t testing.TB) *TextWebhook {
	g := &TextWebhook{Address: "https://texts.acme.example/hooks/texts?for=sallyport", Secret: "whs-3kV8mQ2xLr7TzN5c"}
	g.start(t, g)
	return g
}

// Provider is what to configure.
func (g *TextWebhook) Provider() authn.TextProvider {
	return authn.TextProvider{Driver: "webhook", URL: g.Address, Secret: g.Secret}
}

var webhookSignature = regexp.MustCompile(`^t=(\d{1,12}),v1=([0-9a-f]{64})$`)

func (g *TextWebhook) sign(stamp string, body []byte) string {
	return hex.EncodeToString(hmac256([]byte(g.Secret), stamp+"."+string(body)))
}

func webhookRefusal(status int, reason string) reply {
	return jsonReply(status, map[string]string{"reason": reason})
}

func (g *TextWebhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, fault, n := g.begin(r)
	part := webhookSignature.FindStringSubmatch(r.Header.Get("Sallyport-Signature"))
	var in struct{ Type, ID, To, Text, Language, Callback string }
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err := dec.Decode(&in)
	m := TextSent{To: in.To, Text: in.Text, ID: in.ID, Callback: in.Callback, Reference: fmt.Sprintf("own-%d", n)}
	if part == nil {
		webhookRefusal(401, "credentials").write(w)
		return
	}
	seconds, _ := strconv.ParseInt(part[1], 10, 64) // at most 12 digits, by the pattern
	switch {
	case g.sign(part[1], body) != part[2] || g.now().Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute:
		webhookRefusal(401, "credentials").write(w)
	case r.Method != http.MethodPost || "https://texts.acme.example"+r.URL.RequestURI() != g.Address || r.Header.Get("Content-Type") != "application/json":
		webhookRefusal(400, "other").write(w)
	case err != nil || in.Type != "text.send" || in.To == "" || in.Text == "" || in.ID == "" || in.ID != r.Header.Get("Idempotency-Key"):
		webhookRefusal(400, "content").write(w)
	default:
		g.end(w, r, m, fault, jsonReply(202, map[string]string{"reference": m.Reference}), map[TextFault]reply{
			TextThrottled:   reply{429, "text/plain", "slow down"},
			TextCredentials: webhookRefusal(401, "credentials"),
			TextFunds:       reply{402, "text/plain", ""},
			TextNumber:      webhookRefusal(422, "number"),
			TextBlocked:     webhookRefusal(422, "blocked"),
			TextInside:      webhookRefusal(500, "down"),
			TextEcho:        jsonReply(400, map[string]string{"reason": echo(r, g.Secret, m), "message": echo(r, g.Secret, m)}),
		})
	}
}

// Report makes a signed report for the callback.
func (g *TextWebhook) Report(callback, reference, state, code string, at time.Time) authn.ReceiptRequest {
	body := []byte(jsonReply(200, map[string]string{"type": "text.receipt", "reference": reference, "state": state, "code": code}).body)
	stamp := strconv.FormatInt(at.Unix(), 10)
	return authn.ReceiptRequest{Method: http.MethodPost, URL: callback, Body: body, Now: at, Header: http.Header{
		"Content-Type": {"application/json"}, "Sallyport-Signature": {"t=" + stamp + ",v1=" + g.sign(stamp, body)}}}
}
