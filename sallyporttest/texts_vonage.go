package sallyporttest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Vonage is a gateway that behaves as Vonage's SMS API, for an account that
// signs with SHA-256 HMAC.
type Vonage struct {
	TextGateway
	Account, Secret, From string // the secret is the signature secret
}

// NewVonage starts one with an account of its own. t may be nil.
func NewVonage(t testing.TB) *Vonage {
	g := &Vonage{Account: "4f1c9b72", Secret: "pT9vQm3XcR7LkWz2BnYh5JdGs8FaEu4V", From: "ACME"}
	g.start(t, g)
	return g
}

// Provider is what to configure.
func (g *Vonage) Provider() authn.TextProvider {
	return authn.TextProvider{Driver: "vonage", Account: g.Account, Secret: g.Secret, From: g.From}
}

// vonageError is 200, as the SMS API answers.
func vonageError(status, words string) reply {
	return jsonReply(200, map[string]any{"message-count": "1", "messages": []any{map[string]string{"status": status, "error-text": words}}})
}

func vonageSignature(secret string, form url.Values) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if name != "sig" {
			text += "&" + name + "=" + strings.ReplaceAll(strings.ReplaceAll(form.Get(name), "&", "_"), "=", "_")
		}
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

func (g *Vonage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, fault, n := g.begin(r)
	form, err := url.ParseQuery(string(body))
	m := TextSent{To: "+" + form.Get("to"), From: form.Get("from"), Text: form.Get("text"), Callback: form.Get("callback"), Unicode: form.Get("type") == "unicode",
		Reference: fmt.Sprintf("0A%014X", n)}
	stamp, late := strconv.ParseInt(form.Get("timestamp"), 10, 64)
	switch {
	case r.URL.Path != "/sms/json" || r.Method != http.MethodPost:
		reply{404, "text/html", "<html>Not Found</html>"}.write(w)
	case err != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || form.Get("api_key") == "":
		vonageError("2", "Missing api_key").write(w)
	case form.Get("api_key") != g.Account:
		vonageError("4", "Bad Credentials").write(w)
	case form.Has("api_secret"):
		vonageError("32", "Signature And API Secret Disallowed").write(w)
	case late != nil || g.now().Sub(time.Unix(stamp, 0)).Abs() > time.Hour || form.Get("sig") != vonageSignature(g.Secret, form):
		vonageError("14", "Invalid Signature").write(w)
	case m.To == "+" || m.Text == "" || m.From == "":
		vonageError("2", "Missing to, from or text").write(w)
	case strings.Trim(m.To[1:], "0123456789") != "" || !slices.Contains([]string{"text", "unicode"}, form.Get("type")):
		vonageError("3", "Invalid to or type param").write(w)
	case m.From != strings.TrimPrefix(g.From, "+"):
		vonageError("15", "Illegal Sender Address - rejected").write(w)
	default:
		g.end(w, r, m, fault, jsonReply(200, map[string]any{"message-count": "1", "messages": []any{map[string]string{
			"to": m.To[1:], "message-id": m.Reference, "status": "0", "remaining-balance": "15.53590000", "message-price": "0.03330000", "network": "23410"}}}),
			map[TextFault]reply{
				TextThrottled:   vonageError("1", "Throughput Rate Exceeded - please wait [ 250 ] and retry"),
				TextCredentials: vonageError("14", "Invalid Signature"),
				TextFunds:       vonageError("9", "Quota Exceeded - rejected"),
				TextNumber:      vonageError("6", "Unroutable message - rejected: "+m.To),
				TextBlocked:     vonageError("7", "The number you are trying to send messages to is on the list of barred numbers."),
				TextInside:      vonageError("5", "Internal Error"),
				TextEcho:        vonageError("99", echo(r, g.Secret, m)),
			})
	}
}

// Report makes a signed receipt for the callback, as a POST of a form; state is
// Vonage's word.
func (g *Vonage) Report(callback, reference, state, code string, at time.Time) authn.ReceiptRequest {
	form := url.Values{"messageId": {reference}, "status": {state}, "msisdn": {"12025550199"}, "to": {g.From}, "network-code": {"23410"}, "price": {"0.03330000"},
		"scts": {at.Format("0601021504")}, "message-timestamp": {at.Format("2006-01-02 15:04:05")}, "timestamp": {strconv.FormatInt(at.Unix(), 10)},
		"nonce": {"aaaaaaaa-bbbb-cccc-dddd-0123456789ab"}, "err-code": {"0"}, "api-key": {g.Account}}
	if code != "" {
		form.Set("err-code", code)
	}
	form.Set("sig", vonageSignature(g.Secret, form))
	return authn.ReceiptRequest{Method: http.MethodPost, URL: callback, Body: []byte(form.Encode()), Now: at,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}
}
