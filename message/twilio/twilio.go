// Package twilio sends text messages through Twilio's Programmable Messaging
// (API of 2010-04-01), and reads its delivery reports.
//
// # Flow
//
// The account is the account SID, the secret its auth token, the sender a number,
// an alphanumeric sender or the SID of a messaging service (MG…). [Driver.Open]
// checks their shape. Try posts a form to Messages.json with HTTP Basic; 201 with
// the SID of the message is success, as long as it does not say "failed" at once.
// Twilio knows no idempotency key for messages, so that nothing is ever repeated
// here. If Callback was set, Twilio posts each change of state there.
//
// # Threats
//
//   - Forged reports: X-Twilio-Signature is an HMAC-SHA1 with the auth token over
//     the address that Twilio was told and the sorted parameters. Whoever has no
//     token cannot make one; a true one can be repeated, which says the same of
//     the same message again.
//   - The auth token goes to one constant host only (ruling 32). API keys (SK…)
//     are not taken: reports are signed with the auth token alone.
//   - The rest is httpsend's.
package twilio

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/httpsend"
)

const host = "https://api.twilio.com"

// Driver speaks to Twilio. It is safe for concurrent use.
type Driver struct {
	// Base is a local gateway's address instead of Twilio's, for tests and the
	// demo, such as "http://127.0.0.1:8090". Set before use; empty: Twilio.
	Base string

	client *httpsend.Client
}

// New makes a driver that connects through client, which is needed.
func New(client *http.Client) *Driver { return &Driver{client: httpsend.New(client)} }

var _ authn.TextReceipts = (*Driver)(nil)

// Fields are account, secret and from.
func (d *Driver) Fields() []string { return []string{"account", "secret", "from"} }

var (
	accountSID = regexp.MustCompile(`^AC[0-9a-f]{32}$`)
	serviceSID = regexp.MustCompile(`^MG[0-9a-f]{32}$`)
)

// Open makes a sender, or gives Invalid.
func (d *Driver) Open(p authn.TextProvider) (authn.TextSender, error) {
	var f httpsend.Fields
	f.Check("account", p.Account, accountSID.MatchString(p.Account))
	f.Check("secret", p.Secret, httpsend.IsSecret(p.Secret))
	f.Check("from", p.From, serviceSID.MatchString(p.From) || httpsend.IsFrom(p.From))
	if err := f.Err(); err != nil {
		return nil, err
	}
	return &sender{Quiet: "texts:twilio", d: d, p: p}, nil
}

type sender struct {
	httpsend.Quiet
	d        *Driver
	p        authn.TextProvider
	callback string
}

// Callback is s with the address that Twilio posts reports to.
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

// Try sends m.
func (s *sender) Try(ctx context.Context, m authn.Message) (authn.TextReply, error) {
	return s.d.client.Try(ctx, m, httpsend.Exchange{
		Secrets: []string{s.p.Secret, s.p.Account + ":" + s.p.Secret},
		Request: s.request, Read: read,
	})
}

func (s *sender) request(ctx context.Context, m authn.Message) (*http.Request, error) {
	form := url.Values{"To": {m.To}, "Body": {m.Text}}
	if serviceSID.MatchString(s.p.From) {
		form.Set("MessagingServiceSid", s.p.From)
	} else {
		form.Set("From", s.p.From)
	}
	if s.callback != "" {
		form.Set("StatusCallback", s.callback)
	}
	base := s.d.Base
	if base == "" {
		base = host
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/2010-04-01/Accounts/"+s.p.Account+"/Messages.json", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth(s.p.Account, s.p.Secret)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	return r, nil
}

func read(a httpsend.Answer) (authn.TextReply, *authn.SendError) {
	var body struct {
		SID     string `json:"sid"`
		Status  any    `json:"status"` // a word of a message, a number of an error
		Code    int    `json:"code"`
		Message string `json:"message"`
		// Of a message that was taken and failed at once.
		ErrorCode    int    `json:"error_code"`
		ErrorMessage string `json:"error_message"`
	}
	if json.Unmarshal(a.Body, &body) != nil {
		return authn.TextReply{}, a.Unread()
	}
	word, _ := body.Status.(string)
	switch {
	case !a.OK() && body.Code != 0:
		return authn.TextReply{}, a.Refused(strconv.Itoa(body.Code), body.Message, kind(body.Code))
	case a.OK() && body.ErrorCode != 0:
		return authn.TextReply{}, a.Refused(strconv.Itoa(body.ErrorCode), body.ErrorMessage, kind(body.ErrorCode))
	case a.OK() && state(word) == httpsend.Failed:
		return authn.TextReply{}, a.Refused("", word, httpsend.Other)
	case !a.OK() || !strings.HasPrefix(body.SID, "SM") && !strings.HasPrefix(body.SID, "MM") || !httpsend.IsReference(body.SID):
		return authn.TextReply{}, a.Unread()
	}
	return authn.TextReply{Reference: body.SID, Raw: word}, nil
}

// kind sorts the codes of Twilio's error dictionary that sending can give. An
// account that is not active is most often one without money.
func kind(code int) httpsend.Kind {
	switch code {
	case 20003, 20101, 20107, 20404:
		return httpsend.Credentials
	case 20005, 30002, 30010:
		return httpsend.Funds
	case 14107, 20429, 21611, 30001, 30022, 30023, 63018:
		return httpsend.Throttled
	case 21211, 21214, 21217, 21265, 21604, 21614, 21635, 30005, 30006:
		return httpsend.Number
	case 21408, 21409:
		return httpsend.Country
	case 21212, 21267, 21603, 21606, 21607, 21659, 21660, 21661, 21701, 21702, 21703, 21704, 21705, 21710, 21712, 30032, 30034, 30035, 30038:
		return httpsend.From
	case 20008, 21608:
		return httpsend.Trial
	case 21610, 30004, 30007, 30450, 30453:
		return httpsend.Blocked
	case 21612, 30003:
		return httpsend.Unreachable
	case 20006, 20403:
		return httpsend.Permission
	case 21602, 21605, 21617, 21619:
		return httpsend.Content
	case 20500, 20503, 20504:
		return httpsend.Down
	}
	return httpsend.Other
}

// Receipt checks X-Twilio-Signature and reads MessageSid, MessageStatus and
// ErrorCode.
func (d *Driver) Receipt(p authn.TextProvider, q authn.ReceiptRequest) (authn.Receipt, error) {
	form, err := httpsend.Form(q)
	if err != nil {
		return authn.Receipt{}, err
	}
	got, ok := http.Header(q.Header).Get("X-Twilio-Signature"), false
	for _, address := range ports(q.URL) {
		ok = httpsend.Same(got, sign(p.Secret, address, form)) || ok
	}
	if !ok || p.Secret == "" || q.Method != http.MethodPost {
		return authn.Receipt{}, httpsend.Unsigned("not signed by Twilio")
	}
	return httpsend.NewReceipt(form.Get("MessageSid"), state(form.Get("MessageStatus")), form.Get("ErrorCode"))
}

// ports are the ways in which Twilio may have written the address when it signed:
// as told, and with the usual port of https or without it.
func ports(address string) []string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" {
		return []string{address}
	}
	if bare, ok := strings.CutSuffix(u.Host, ":443"); ok {
		return []string{address, strings.Replace(address, u.Host, bare, 1)}
	}
	if u.Port() == "" {
		return []string{address, strings.Replace(address, u.Host, u.Host+":443", 1)}
	}
	return []string{address}
}

// sign is Twilio's signature of a request: each name with each of its different
// values, sorted, behind the address.
func sign(token, address string, form url.Values) string {
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(address))
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := slices.Clone(form[name])
		slices.Sort(values)
		for _, v := range slices.Compact(values) {
			mac.Write([]byte(name + v))
		}
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func state(word string) string {
	switch word {
	case "delivered", "read":
		return httpsend.Delivered
	case "failed", "undelivered", "canceled":
		return httpsend.Failed
	}
	return httpsend.Pending
}
