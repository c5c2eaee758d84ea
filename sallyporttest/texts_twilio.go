package sallyporttest

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Twilio is a gateway that behaves as Twilio's Messages API.
type Twilio struct {
	TextGateway
	Account, Secret, From string
}

// NewTwilio starts one with an account of its own. t may be nil.
func NewTwilio(t testing.TB) *Twilio {
	g := &Twilio{Account: "AC0123456789abcdef0123456789abcdef", Secret: "f6e5d4c3b2a1908f7e6d5c4b3a291807", From: "+12025550143"}
	g.start(t, g)
	return g
}

// Provider is what to configure.
func (g *Twilio) Provider() authn.TextProvider {
	return authn.TextProvider{Driver: "twilio", Account: g.Account, Secret: g.Secret, From: g.From}
}

func twilioError(status, code int, words string) reply {
	return jsonReply(status, map[string]any{"code": code, "message": words, "more_info": fmt.Sprintf("https://www.twilio.com/docs/errors/%d", code), "status": status})
}

func (g *Twilio) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, fault, n := g.begin(r)
	account, secret, _ := r.BasicAuth()
	form, err := url.ParseQuery(string(body))
	m := TextSent{To: form.Get("To"), From: form.Get("From") + form.Get("MessagingServiceSid"), Text: form.Get("Body"), Callback: form.Get("StatusCallback"),
		Reference: fmt.Sprintf("SM%032x", n)}
	switch {
	case r.URL.Path != "/2010-04-01/Accounts/"+account+"/Messages.json":
		twilioError(404, 20404, "The requested resource "+r.URL.Path+" was not found").write(w)
	case r.Method != http.MethodPost:
		twilioError(405, 20004, "Method not allowed").write(w)
	case account != g.Account || secret != g.Secret:
		twilioError(401, 20003, "Authenticate").write(w)
	case err != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || m.To == "":
		twilioError(400, 21604, "A 'To' phone number is required.").write(w)
	case m.From == "" || form.Get("From") != "" && form.Get("MessagingServiceSid") != "":
		twilioError(400, 21603, "A 'From' phone number is required.").write(w)
	case m.From != g.From && form.Get("From") != "":
		twilioError(400, 21606, "The 'From' phone number "+m.From+" is not a valid message-capable Twilio phone number for this destination.").write(w)
	case m.Text == "":
		twilioError(400, 21602, "Message body is required.").write(w)
	case m.Callback != "" && !strings.HasPrefix(m.Callback, "http"):
		twilioError(400, 21609, "The 'StatusCallback' URL is not a valid URL.").write(w)
	default:
		message := map[string]any{"sid": m.Reference, "account_sid": g.Account, "to": m.To, "from": m.From, "body": m.Text, "status": "queued",
			"error_code": nil, "error_message": nil, "num_segments": "1", "price": nil, "uri": r.URL.Path}
		failed := maps.Clone(message)
		failed["status"], failed["error_code"], failed["error_message"] = "failed", 30007, "Message filtered"
		g.end(w, r, m, fault, jsonReply(201, message), map[TextFault]reply{
			TextThrottled:   twilioError(429, 20429, "Too Many Requests"),
			TextCredentials: twilioError(401, 20003, "Authenticate"),
			TextFunds:       twilioError(403, 20005, "Account not active"),
			TextNumber:      twilioError(400, 21211, "The 'To' number "+m.To+" is not a valid phone number."),
			TextBlocked:     twilioError(400, 21610, "Attempt to send to unsubscribed recipient"),
			TextInside:      jsonReply(201, failed),
			TextEcho:        twilioError(400, 21999, echo(r, secret, m)),
		})
	}
}

// echo repeats all that a provider was told, with what breaks lines and hides.
func echo(r *http.Request, secret string, m TextSent) string {
	bare := strings.TrimPrefix(m.To, "+")
	return "secret " + secret + "\r\n\x1b[31m to " + m.To + " or " + bare[:1] + " (" + bare[1:4] + ") " + bare[4:7] + "-" + bare[7:] + "\u202e text " + m.Text +
		"\x00 with " + r.Header.Get("Authorization")
}

// Report makes a signed report for the callback; state is Twilio's word.
func (g *Twilio) Report(callback, reference, state, code string, at time.Time) authn.ReceiptRequest {
	form := url.Values{"MessageSid": {reference}, "SmsSid": {reference}, "MessageStatus": {state}, "SmsStatus": {state}, "AccountSid": {g.Account},
		"To": {"+12025550199"}, "From": {g.From}, "ApiVersion": {"2010-04-01"}}
	if code != "" {
		form.Set("ErrorCode", code)
	}
	mac := hmac.New(sha1.New, []byte(g.Secret))
	mac.Write([]byte(callback))
	for _, name := range slices.Sorted(maps.Keys(form)) {
		mac.Write([]byte(name + form.Get(name)))
	}
	return authn.ReceiptRequest{Method: http.MethodPost, URL: callback, Body: []byte(form.Encode()), Now: at, Header: http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"}, "X-Twilio-Signature": {base64.StdEncoding.EncodeToString(mac.Sum(nil))}}}
}
