package sallyporttest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// SNS is a gateway that behaves as Publish of Amazon SNS.
type SNS struct {
	TextGateway
	Account, Secret, Region, From string
}

// NewSNS starts one with an account of its own. t may be nil.
func NewSNS(t testing.TB) *SNS {
	g := &SNS{Account: "AKIAIOSFODNN7EXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", Region: "eu-central-1", From: "ACME"}
	g.start(t, g)
	return g
}

// Provider is what to configure.
func (g *SNS) Provider() authn.TextProvider {
	return authn.TextProvider{Driver: "sns", Account: g.Account, Secret: g.Secret, Region: g.Region, From: g.From}
}

func snsError(status int, code, words string) reply {
	var text strings.Builder
	xml.EscapeText(&text, []byte(words))
	return reply{status, "text/xml", `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>` + code +
		`</Code><Message>` + text.String() + `</Message></Error><RequestId>6f2f6bd1-8f7f-5bd4-b4d5-30d7a3d5b6ac</RequestId></ErrorResponse>`}
}

var sigV4 = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/,]+)/(\d{8})/([^/,]+)/([^/,]+)/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$`)

func hmac256(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// refuse checks the signature of a request; nil: it is right.
func (g *SNS) refuse(r *http.Request, body []byte) *reply {
	no := func(status int, code, words string) *reply { a := snsError(status, code, words); return &a }
	part := sigV4.FindStringSubmatch(r.Header.Get("Authorization"))
	if part == nil {
		return no(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
	}
	if part[1] != g.Account {
		return no(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
	}
	stamp := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", stamp)
	if err != nil || g.now().Sub(at).Abs() > 5*time.Minute || part[2] != stamp[:8] {
		return no(403, "SignatureDoesNotMatch", "Signature expired: "+stamp)
	}
	headers, names := "", strings.Split(part[5], ";")
	for _, name := range names {
		v := r.Header.Get(name)
		if name == "host" {
			v = r.Host
		}
		headers += name + ":" + strings.TrimSpace(v) + "\n"
	}
	sum := sha256.Sum256(body)
	canonical := sha256.Sum256([]byte(r.Method + "\n" + r.URL.EscapedPath() + "\n" + r.URL.RawQuery + "\n" + headers + "\n" + part[5] + "\n" + hex.EncodeToString(sum[:])))
	text := "AWS4-HMAC-SHA256\n" + stamp + "\n" + part[2] + "/" + g.Region + "/sns/aws4_request\n" + hex.EncodeToString(canonical[:])
	key := hmac256(hmac256(hmac256(hmac256([]byte("AWS4"+g.Secret), part[2]), g.Region), "sns"), "aws4_request")
	if hex.EncodeToString(hmac256(key, text)) != part[6] || !strings.Contains(";"+part[5]+";", ";host;") || !strings.Contains(";"+part[5]+";", ";x-amz-date;") {
		return no(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
	}
	return nil
}

func (g *SNS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, fault, n := g.begin(r)
	if no := g.refuse(r, body); no != nil {
		no.write(w)
		return
	}
	form, err := url.ParseQuery(string(body))
	attributes := map[string]string{}
	for i := 1; form.Has(fmt.Sprintf("MessageAttributes.entry.%d.Name", i)); i++ {
		entry := fmt.Sprintf("MessageAttributes.entry.%d.", i)
		if form.Get(entry+"Value.DataType") == "String" {
			attributes[form.Get(entry+"Name")] = form.Get(entry + "Value.StringValue")
		}
	}
	m := TextSent{To: form.Get("PhoneNumber"), Text: form.Get("Message"), From: attributes["AWS.SNS.SMS.SenderID"] + attributes["AWS.MM.SMS.OriginationNumber"],
		Reference: fmt.Sprintf("567910cd-659e-55d4-8ccb-%012x", n)}
	switch {
	case err != nil || r.Method != http.MethodPost || r.URL.Path != "/" || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		snsError(400, "MalformedInput", "malformed").write(w)
	case form.Get("Action") != "Publish" || form.Get("Version") != "2010-03-31":
		snsError(400, "InvalidAction", "The action or operation requested is invalid.").write(w)
	case !strings.HasPrefix(m.To, "+"):
		snsError(400, "InvalidParameter", "Invalid parameter: PhoneNumber Reason: "+m.To+" is not valid to publish to").write(w)
	case m.Text == "":
		snsError(400, "InvalidParameter", "Invalid parameter: Empty message").write(w)
	case attributes["AWS.SNS.SMS.SMSType"] != "Transactional" || m.From != g.From:
		snsError(400, "InvalidParameterValue", "Invalid parameter: SenderID or SMSType").write(w)
	default:
		g.end(w, r, m, fault, reply{200, "text/xml", `<PublishResponse xmlns="https://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>` + m.Reference +
			`</MessageId></PublishResult><ResponseMetadata><RequestId>f187a3c1-376f-11df-8963-01868b7c937a</RequestId></ResponseMetadata></PublishResponse>`},
			map[TextFault]reply{
				TextThrottled:   snsError(429, "Throttled", "Rate exceeded"),
				TextCredentials: snsError(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."),
				TextFunds:       snsError(403, "OptInRequired", "The AWS Access Key Id needs a subscription for the service"),
				TextNumber:      snsError(400, "InvalidParameter", "Invalid parameter: PhoneNumber Reason: "+m.To+" is not valid to publish to"),
				TextBlocked:     snsError(400, "OptedOut", "Phone number is opted out"),
				TextInside:      snsError(200, "InternalError", "We encountered an internal error. Please try again."),
				TextEcho:        snsError(400, "Odd", strings.Map(xmlRune, echo(r, g.Secret, m))),
			})
	}
}

// xmlRune drops what XML 1.0 cannot hold.
func xmlRune(r rune) rune {
	if r < ' ' && r != '\n' && r != '\r' {
		return -1
	}
	return r
}
