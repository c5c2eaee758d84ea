package sallyporttest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
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

// Plivo is a gateway that behaves as Plivo's Message API.
type Plivo struct {
	TextGateway
	Account, Secret, From string
}

// NewPlivo starts one with an account of its own. t may be nil.
func NewPlivo(t testing.TB) *Plivo {
	g := &Plivo{Account: "MAQWERTYUIOPASDFGHJK", Secret: "NDg5YjJkMzc0YTRlNzVjOTBkZmE2ZDU4ZDhkYmY2", From: "+12025550143"}
	g.start(t, g)
	return g
}

// Provider is what to configure.
func (g *Plivo) Provider() authn.TextProvider {
	return authn.TextProvider{Driver: "plivo", Account: g.Account, Secret: g.Secret, From: g.From}
}

func plivoError(status int, words any) reply {
	return jsonReply(status, map[string]any{"api_id": "97ceeb52-58b6-11e1-86da-77300b68f8bb", "error": words})
}

func (g *Plivo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, fault, n := g.begin(r)
	account, secret, _ := r.BasicAuth()
	var in struct{ Src, Dst, Text, Type, URL, Method string }
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err := dec.Decode(&in)
	m := TextSent{To: "+" + in.Dst, From: in.Src, Text: in.Text, Callback: in.URL, Reference: fmt.Sprintf("db3ce55a-7f1d-11e1-8ea7-%012x", n)}
	unknown := reply{401, "text/plain", "Could not verify your access level for that URL.\nYou have to login with proper credentials"}
	switch {
	case r.URL.Path != "/v1/Account/"+account+"/Message/" || account != g.Account || secret != g.Secret:
		unknown.write(w)
	case r.Method != http.MethodPost:
		plivoError(405, "method not allowed").write(w)
	case err != nil || r.Header.Get("Content-Type") != "application/json":
		plivoError(400, "invalid JSON").write(w)
	case in.Dst == "" || strings.Trim(in.Dst, "0123456789") != "":
		plivoError(400, map[string]any{"dst": []string{"dst parameter not valid"}}).write(w)
	case in.Src != strings.TrimPrefix(g.From, "+"):
		plivoError(400, "invalid src parameter").write(w)
	case in.Text == "" || in.Type != "sms":
		plivoError(400, "text parameter not present").write(w)
	case in.URL != "" && in.Method != http.MethodPost:
		plivoError(400, "method parameter not valid").write(w)
	default:
		g.end(w, r, m, fault, jsonReply(202, map[string]any{"message": "message(s) queued", "message_uuid": []string{m.Reference}, "api_id": "db342550-7f1d-11e1-8ea7-1231380bc196"}),
			map[TextFault]reply{
				TextThrottled:   plivoError(429, "API rate limit exceeded"),
				TextCredentials: unknown,
				TextFunds:       plivoError(400, "insufficient credit"),
				TextNumber:      plivoError(400, "dst "+in.Dst+" is not a valid phone number"),
				TextBlocked:     plivoError(400, "the recipient has opted out"),
				TextInside:      jsonReply(202, map[string]any{"api_id": "db342550-7f1d-11e1-8ea7-1231380bc196", "message_uuid": []string{}, "invalid_number": []string{in.Dst}}),
				TextEcho:        plivoError(404, echo(r, secret, m)),
			})
	}
}

// Report makes a report for the callback, signed with V3 and V2; state is Plivo's
// word.
func (g *Plivo) Report(callback, reference, state, code string, at time.Time) authn.ReceiptRequest {
	form := url.Values{"MessageUUID": {reference}, "Status": {state}, "To": {"12025550199"}, "From": {strings.TrimPrefix(g.From, "+")}, "Type": {"sms"},
		"Units": {"1"}, "TotalRate": {"0.00550"}, "TotalAmount": {"0.00550"}, "MCC": {"310"}, "MNC": {"160"}}
	if code != "" {
		form.Set("ErrorCode", code)
	}
	const nonce = "05429567804466091622"
	base, query, has := strings.Cut(callback, "?")
	text := base + "?"
	if has { // Plivo joins its values unescaped
		given, err := url.ParseQuery(query)
		if err != nil {
			return authn.ReceiptRequest{}
		}
		pairs := []string{}
		for _, name := range slices.Sorted(maps.Keys(given)) {
			pairs = append(pairs, name+"="+given.Get(name))
		}
		text += strings.Join(pairs, "&") + "."
	}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		text += name + form.Get(name)
	}
	sign := func(text string) []string {
		return []string{base64.StdEncoding.EncodeToString(hmac256([]byte(g.Secret), text))}
	}
	return authn.ReceiptRequest{Method: http.MethodPost, URL: callback, Body: []byte(form.Encode()), Now: at, Header: http.Header{
		"Content-Type":         {"application/x-www-form-urlencoded"},
		"X-Plivo-Signature-V3": sign(text + "." + nonce), "X-Plivo-Signature-V3-Nonce": {nonce},
		"X-Plivo-Signature-V2": sign(base + nonce), "X-Plivo-Signature-V2-Nonce": {nonce}}}
}
