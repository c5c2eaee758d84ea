// Package vonage sends text messages through Vonage's SMS API (once Nexmo), and
// reads its delivery receipts.
//
// # Flow
//
// The account is the API key. The secret is the account's signature secret, not
// its API secret, with "SHA-256 HMAC" chosen beside it in Vonage's dashboard: the
// SMS API signs its receipts with that secret, in a parameter "sig", and knows no
// JWT there, and it takes requests signed in the same way. So one secret does
// both, and it is never sent. Receipts come signed once Vonage's support has
// switched "signed webhooks" on; before that they are refused here.
//
// Try posts a form to /sms/json. Vonage answers 200 to nearly everything; the
// status of each part of the message says what became of it, and only "0" is
// success. If some parts of a long text were taken and others not, the message is
// on its way, broken: a failure, unsure, so that nobody sends it again elsewhere.
// There is no idempotency key.
//
// Texts that GSM-7 can write are sent as type "text", others as "unicode".
//
// # Threats
//
//   - Forged receipts: HMAC-SHA256 over the sorted parameters. In each value "&"
//     and "=" become "_" before that (Vonage's rule), so a signature does not tell
//     them apart: a receipt with one of them in a name, or in a value that is read
//     here, is refused.
//   - Receipts that are repeated later: refused once they are older than 25 hours
//     (Vonage tries again for 24), or more than 5 minutes from the future.
//   - The constant host (ruling 32), and the rest, which is httpsend's.
package vonage

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/httpsend"
)

const host = "https://rest.nexmo.com"

// Driver speaks to Vonage. It is safe for concurrent use.
type Driver struct {
	// Base is a local gateway's address instead of Vonage's, for tests and the
	// demo, such as "http://127.0.0.1:8090". Set before use; empty: Vonage.
	Base string
	// Now is what requests are dated with. Set before use; nil: time.Now.
	Now func() time.Time

	client *httpsend.Client
}

// New makes a driver that connects through client, which is needed.
func New(client *http.Client) *Driver { return &Driver{client: httpsend.New(client)} }

var _ authn.TextReceipts = (*Driver)(nil)

// Fields are account, secret and from.
func (d *Driver) Fields() []string { return []string{"account", "secret", "from"} }

var apiKey = regexp.MustCompile(`^[0-9A-Za-z]{5,32}$`)

// Open makes a sender, or gives Invalid.
func (d *Driver) Open(p authn.TextProvider) (authn.TextSender, error) {
	var f httpsend.Fields
	f.Check("account", p.Account, apiKey.MatchString(p.Account))
	f.Check("secret", p.Secret, httpsend.IsSecret(p.Secret))
	f.Check("from", p.From, httpsend.IsFrom(p.From))
	if err := f.Err(); err != nil {
		return nil, err
	}
	return &sender{Quiet: "texts:vonage", d: d, p: p}, nil
}

type sender struct {
	httpsend.Quiet
	d        *Driver
	p        authn.TextProvider
	callback string
}

// Callback is s with the address that Vonage sends receipts to.
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
	return s.d.client.Try(ctx, m, httpsend.Exchange{Secrets: []string{s.p.Secret}, Request: s.request, Read: read})
}

func (s *sender) request(ctx context.Context, m authn.Message) (*http.Request, error) {
	now := time.Now
	if s.d.Now != nil {
		now = s.d.Now
	}
	form := url.Values{
		"api_key":   {s.p.Account},
		"from":      {strings.TrimPrefix(s.p.From, "+")},
		"to":        {strings.TrimPrefix(m.To, "+")},
		"text":      {m.Text},
		"type":      {"text"},
		"timestamp": {strconv.FormatInt(now().Unix(), 10)},
	}
	if !isGSM7(m.Text) {
		form.Set("type", "unicode")
	}
	if s.callback == "" {
		form.Set("status-report-req", "false")
	} else {
		form.Set("callback", s.callback)
	}
	form.Set("sig", sign(s.p.Secret, form))
	base := s.d.Base
	if base == "" {
		base = host
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/sms/json", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	return r, nil
}

// gsm7 are the characters of 3GPP TS 23.038, 6.2.1 and its extension table.
const gsm7 = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà" + "^{}\\[~]|€"

func isGSM7(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune(gsm7, r) })
}

// sign is Vonage's signature of parameters, with SHA-256 HMAC.
func sign(secret string, form url.Values) string {
	names := make([]string, 0, len(form))
	for name := range form {
		if name != "sig" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	mac := hmac.New(sha256.New, []byte(secret))
	for _, name := range names {
		mac.Write([]byte("&" + name + "=" + strings.NewReplacer("&", "_", "=", "_").Replace(form.Get(name))))
	}
	return hex.EncodeToString(mac.Sum(nil))
}

func read(a httpsend.Answer) (authn.TextReply, *authn.SendError) {
	var body struct {
		Messages []struct {
			ID     string `json:"message-id"`
			Status string `json:"status"`
			Text   string `json:"error-text"`
		} `json:"messages"`
		Detail string `json:"detail"` // of an error before the API itself
	}
	if json.Unmarshal(a.Body, &body) != nil || a.OK() && len(body.Messages) == 0 {
		return authn.TextReply{}, a.Unread()
	}
	taken := 0
	for _, part := range body.Messages {
		if part.Status == "0" {
			taken++
		}
	}
	for _, part := range body.Messages {
		if n, err := strconv.Atoi(part.Status); err != nil {
			return authn.TextReply{}, a.Unread()
		} else if n != 0 {
			e := a.Refused(part.Status, part.Text, kind(n))
			if taken > 0 {
				e.Unsure, e.Permanent = true, false
			}
			return authn.TextReply{}, e
		}
	}
	if !a.OK() {
		e := a.Unread()
		e.Reply = body.Detail
		return authn.TextReply{}, e
	}
	if !httpsend.IsReference(body.Messages[0].ID) {
		return authn.TextReply{}, a.Unread()
	}
	return authn.TextReply{Reference: body.Messages[0].ID, Raw: "status 0, parts: " + strconv.Itoa(taken)}, nil
}

// kind sorts the statuses of the SMS API.
func kind(status int) httpsend.Kind {
	switch status {
	case 1, 10:
		return httpsend.Throttled
	case 4, 14, 32:
		return httpsend.Credentials
	case 5:
		return httpsend.Down
	case 6, 33, 34:
		return httpsend.Number
	case 7:
		return httpsend.Blocked
	case 8, 11, 19:
		return httpsend.Permission
	case 9:
		return httpsend.Funds
	case 12:
		return httpsend.Content
	case 13:
		return httpsend.Unreachable
	case 15:
		return httpsend.From
	case 29:
		return httpsend.Trial
	}
	return httpsend.Other // 2, 3, 22, 23, …: a request that it does not like
}

// Receipt checks "sig" and reads messageId, status and err-code. Vonage sends
// parameters in the address, a form or JSON, as the account is set up.
func (d *Driver) Receipt(p authn.TextProvider, q authn.ReceiptRequest) (authn.Receipt, error) {
	form, err := parameters(q)
	if err != nil {
		return authn.Receipt{}, err
	}
	if p.Secret == "" || !httpsend.Same(strings.ToLower(form.Get("sig")), sign(p.Secret, form)) {
		return authn.Receipt{}, httpsend.Unsigned("not signed by Vonage")
	}
	at, err := strconv.ParseInt(form.Get("timestamp"), 10, 64)
	if age := q.Now.Sub(time.Unix(at, 0)); err != nil || age > 25*time.Hour || age < -5*time.Minute {
		return authn.Receipt{}, httpsend.Unsigned("signed at another time")
	}
	return httpsend.NewReceipt(form.Get("messageId"), state(form.Get("status")), form.Get("err-code"))
}

// told are the parameters that are read.
var told = []string{"sig", "timestamp", "messageId", "status", "err-code"}

func parameters(q authn.ReceiptRequest) (url.Values, error) {
	form := url.Values{}
	switch kind := http.Header(q.Header).Get("Content-Type"); {
	case q.Method == http.MethodGet:
		u, err := url.Parse(q.URL)
		if err != nil {
			return nil, httpsend.Unreadable(errors.New("no address"))
		}
		form = u.Query()
	case len(q.Body) > httpsend.Most:
		return nil, httpsend.Unreadable(errors.New("too long"))
	case strings.HasPrefix(kind, "application/json"):
		var fields map[string]string
		if json.Unmarshal(q.Body, &fields) != nil {
			return nil, httpsend.Unreadable(errors.New("no JSON of strings"))
		}
		for name, v := range fields {
			form.Set(name, v)
		}
	default:
		var err error
		if form, err = httpsend.Form(q); err != nil {
			return nil, err
		}
	}
	for name, values := range form {
		if len(values) > 1 { // only the first would be signed
			return nil, httpsend.Unreadable(errors.New("a parameter twice"))
		}
		if strings.ContainsAny(name, "&=") || slices.Contains(told, name) && strings.ContainsAny(values[0], "&=") {
			return nil, httpsend.Unreadable(errors.New("more than one meaning"))
		}
	}
	return form, nil
}

func state(word string) string {
	switch word {
	case "delivered":
		return httpsend.Delivered
	case "expired", "failed", "rejected", "undelivered":
		return httpsend.Failed
	}
	return httpsend.Pending // "accepted", "buffered", "unknown"
}
