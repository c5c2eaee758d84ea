// Package sns sends text messages through Amazon SNS.
//
// # Flow
//
// The account is an access key id of an IAM user who may sns:Publish to phone
// numbers, the secret its secret access key, the region one that SNS sends text
// messages from. The sender may be left empty: then AWS chooses. Try posts
// Publish as a form, signed with Signature Version 4 (sign.go), as a transactional
// message; 200 with a MessageId is success.
//
// SNS has neither delivery reports over HTTP nor an idempotency key for text
// messages. What becomes of a message after it was taken, a used-up spending limit
// included, stands only in CloudWatch.
//
// # Threats
//
//   - The region becomes part of a host name: it must have the form of one, so
//     that nothing else can be addressed with the signature (ruling 32).
//   - The secret key is never sent. A signature is good for this request alone,
//     and by AWS's rules for 5 minutes.
//   - The rest is httpsend's.
package sns

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/httpsend"
)

// Driver speaks to SNS. It is safe for concurrent use.
type Driver struct {
	// Base is a local gateway's address instead of the region's, for tests and the
	// demo, such as "http://127.0.0.1:8090". Set before use; empty: AWS.
	Base string
	// Now is what requests are dated with. Set before use; nil: time.Now.
	Now func() time.Time

	client *httpsend.Client
}

// New makes a driver that connects through client, which is needed.
func New(client *http.Client) *Driver { return &Driver{client: httpsend.New(client)} }

var _ authn.TextDriver = (*Driver)(nil)

// Fields are account, secret, region and from.
func (d *Driver) Fields() []string { return []string{"account", "secret", "region", "from"} }

var (
	// accessKey is the id of a lasting key. Those that last for hours (ASIA…) need
	// a token besides, and would end in the middle of the night.
	accessKey = regexp.MustCompile(`^AKIA[0-9A-Z]{12,124}$`)
	region    = regexp.MustCompile(`^[a-z]{2}(-[a-z]{3,12}){1,2}-[1-9][0-9]?$`)
)

// Open makes a sender, or gives Invalid. The sender may be empty; a name has no
// spaces.
func (d *Driver) Open(p authn.TextProvider) (authn.TextSender, error) {
	var f httpsend.Fields
	f.Check("account", p.Account, accessKey.MatchString(p.Account))
	f.Check("secret", p.Secret, httpsend.IsSecret(p.Secret))
	f.Check("region", p.Region, region.MatchString(p.Region))
	if p.From != "" {
		f.Check("from", p.From, httpsend.IsFrom(p.From) && !strings.Contains(p.From, " "))
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	return &sender{Quiet: "texts:sns", d: d, p: p}, nil
}

type sender struct {
	httpsend.Quiet
	d *Driver
	p authn.TextProvider
}

// Send is Try without the answer.
func (s *sender) Send(ctx context.Context, m authn.Message) error {
	_, err := s.Try(ctx, m)
	return err
}

// Try sends m.
func (s *sender) Try(ctx context.Context, m authn.Message) (authn.TextReply, error) {
	return s.d.client.Try(ctx, m, httpsend.Exchange{Secrets: []string{s.p.Secret}, Request: s.request, Read: read})
}

func (s *sender) request(ctx context.Context, m authn.Message) (*http.Request, error) {
	form := url.Values{"Action": {"Publish"}, "Version": {"2010-03-31"}, "PhoneNumber": {m.To}, "Message": {m.Text}}
	attributes := [][2]string{{"AWS.SNS.SMS.SMSType", "Transactional"}}
	if httpsend.IsNumber(s.p.From) {
		attributes = append(attributes, [2]string{"AWS.MM.SMS.OriginationNumber", s.p.From})
	} else if s.p.From != "" {
		attributes = append(attributes, [2]string{"AWS.SNS.SMS.SenderID", s.p.From})
	}
	for i, a := range attributes {
		entry := "MessageAttributes.entry." + strconv.Itoa(i+1)
		form.Set(entry+".Name", a[0])
		form.Set(entry+".Value.DataType", "String")
		form.Set(entry+".Value.StringValue", a[1])
	}
	body := form.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base()+"/", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	now := time.Now
	if s.d.Now != nil {
		now = s.d.Now
	}
	sign(r, body, key{s.p.Account, s.p.Secret, s.p.Region, "sns"}, now())
	return r, nil
}

func (s *sender) base() string {
	switch {
	case s.d.Base != "":
		return s.d.Base
	case strings.HasPrefix(s.p.Region, "cn-"):
		return "https://sns." + s.p.Region + ".amazonaws.com.cn"
	}
	return "https://sns." + s.p.Region + ".amazonaws.com"
}

func read(a httpsend.Answer) (authn.TextReply, *authn.SendError) {
	var body struct {
		XMLName xml.Name
		ID      string `xml:"PublishResult>MessageId"`
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	if xml.Unmarshal(a.Body, &body) != nil {
		return authn.TextReply{}, a.Unread()
	}
	switch {
	case body.XMLName.Local == "ErrorResponse" && body.Code != "":
		return authn.TextReply{}, a.Refused(body.Code, body.Message, kind(body.Code, body.Message))
	case !a.OK() || body.XMLName.Local != "PublishResponse" || !httpsend.IsReference(body.ID):
		return authn.TextReply{}, a.Unread()
	}
	return authn.TextReply{Reference: body.ID, Raw: "taken"}, nil
}

// kind sorts the errors of Publish and those that all of AWS has in common.
func kind(code, words string) httpsend.Kind {
	switch strings.TrimSuffix(code, "Exception") {
	case "InvalidClientTokenId", "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken", "InvalidSecurity",
		"UnrecognizedClient", "ExpiredToken", "RequestExpired", "InvalidSignature":
		return httpsend.Credentials
	case "Throttled", "Throttling", "TooManyRequests", "KMSThrottling", "RequestLimitExceeded":
		return httpsend.Throttled
	case "OptedOut":
		return httpsend.Blocked
	case "AuthorizationError", "AccessDenied", "NotAuthorized", "OptInRequired", "AccountProblem",
		"KMSAccessDenied", "KMSDisabled", "KMSInvalidState", "KMSNotFound", "KMSOptInRequired":
		return httpsend.Permission
	case "EndpointDisabled":
		return httpsend.Unreachable
	case "InternalError", "InternalFailure", "ServiceUnavailable":
		return httpsend.Down
	case "UserError", "InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid", "ValidationError", "Validation":
		return parameter(strings.ToLower(words))
	}
	return httpsend.Other
}

// parameter finds which one is meant: SNS has one code for all.
func parameter(words string) httpsend.Kind {
	switch {
	case strings.Contains(words, "sandbox"):
		return httpsend.Trial
	case strings.Contains(words, "phonenumber"), strings.Contains(words, "phone number"):
		return httpsend.Number
	case strings.Contains(words, "senderid"), strings.Contains(words, "sender id"), strings.Contains(words, "origination"):
		return httpsend.From
	case strings.Contains(words, "message too long"), strings.Contains(words, "empty message"):
		return httpsend.Content
	}
	return httpsend.Other
}
