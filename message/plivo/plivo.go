// Package plivo sends text messages through Plivo's Message API, and reads its
// status reports.
//
// # Flow
//
// The account is the Auth ID, the secret the Auth Token, the sender a number or an
// alphanumeric sender. Try posts JSON with HTTP Basic; 202 with a message_uuid is
// success. Plivo's errors are an HTTP status and a sentence without a code: the
// kind of a 400 is read from words in it, and where they say nothing it is
// "other". There is no idempotency key. Plivo chooses GSM-7 by itself where the
// text allows it.
//
// # Threats
//
//   - Forged reports: X-Plivo-Signature-V3 is an HMAC-SHA256 with the Auth Token
//     over address, parameters and a nonce. The Ma header is the same with the
//     token of the main account. Plivo's libraries disagree on one character where
//     the address has no query; both ways are tried.
//   - Plivo documents only the older V2 for messages, which covers address and
//     nonce, not the parameters. It is accepted where a report has no V3. Whoever
//     has seen one such report, which is Plivo and we, could make others; they
//     change what is told of a message, and nothing else.
//   - The constant host (ruling 32), and the rest, which is httpsend's.
package plivo

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/httpsend"
)

const host = "https://api.plivo.com"

// Driver speaks to Plivo. It is safe for concurrent use.
type Driver struct {
	// Base is a local gateway's address instead of Plivo's, for tests and the demo,
	// such as "http://127.0.0.1:8090". Set before use; empty: Plivo.
	Base string

	client *httpsend.Client
}

// New makes a driver that connects through client, which is needed.
func New(client *http.Client) *Driver { return &Driver{client: httpsend.New(client)} }

var _ authn.TextReceipts = (*Driver)(nil)

// Fields are account, secret and from.
func (d *Driver) Fields() []string { return []string{"account", "secret", "from"} }

var authID = regexp.MustCompile(`^[MS]A[0-9A-Z]{18}$`)

// Open makes a sender, or gives Invalid.
func (d *Driver) Open(p authn.TextProvider) (authn.TextSender, error) {
	var f httpsend.Fields
	f.Check("account", p.Account, authID.MatchString(p.Account))
	f.Check("secret", p.Secret, httpsend.IsSecret(p.Secret))
	f.Check("from", p.From, httpsend.IsFrom(p.From))
	if err := f.Err(); err != nil {
		return nil, err
	}
	return &sender{Quiet: "texts:plivo", d: d, p: p}, nil
}

type sender struct {
	httpsend.Quiet
	d        *Driver
	p        authn.TextProvider
	callback string
}

// Callback is s with the address that Plivo posts reports to.
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

type outgoing struct {
	Src    string `json:"src"`
	Dst    string `json:"dst"`
	Text   string `json:"text"`
	Type   string `json:"type"`
	URL    string `json:"url,omitempty"`
	Method string `json:"method,omitempty"`
}

func (s *sender) request(ctx context.Context, m authn.Message) (*http.Request, error) {
	// Numbers without their plus sign, as Plivo has them.
	out := outgoing{Src: strings.TrimPrefix(s.p.From, "+"), Dst: strings.TrimPrefix(m.To, "+"), Text: m.Text, Type: "sms"}
	if s.callback != "" {
		out.URL, out.Method = s.callback, http.MethodPost
	}
	body, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	base := s.d.Base
	if base == "" {
		base = host
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/Account/"+s.p.Account+"/Message/", strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth(s.p.Account, s.p.Secret)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	return r, nil
}

func read(a httpsend.Answer) (authn.TextReply, *authn.SendError) {
	var body struct {
		IDs     []string        `json:"message_uuid"`
		Message string          `json:"message"`
		Invalid []string        `json:"invalid_number"`
		Error   json.RawMessage `json:"error"` // a sentence, or several by parameter
	}
	if json.Unmarshal(a.Body, &body) != nil {
		return authn.TextReply{}, a.Unread()
	}
	words := string(body.Error)
	if json.Unmarshal(body.Error, &words) != nil && words == "null" {
		words = ""
	}
	switch {
	case a.OK() && len(body.IDs) == 1 && httpsend.IsReference(body.IDs[0]) && words == "":
		return authn.TextReply{Reference: body.IDs[0], Raw: body.Message}, nil
	case a.OK() && len(body.IDs) == 0 && len(body.Invalid) > 0:
		return authn.TextReply{}, a.Refused("", "invalid_number", httpsend.Number)
	case a.OK() && len(body.IDs) == 0 && words != "":
		return authn.TextReply{}, a.Refused("", words, kind(words))
	}
	e := a.Unread()
	if k := kind(words); a.Status == http.StatusBadRequest && words != "" {
		e = a.Refused(e.Code, words, k)
	} else if words != "" {
		e.Reply = words
	}
	return authn.TextReply{}, e
}

// kind reads the sentence of a refusal.
func kind(words string) httpsend.Kind {
	words = strings.ToLower(words)
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(words, part) })
	}
	switch {
	case has("credit", "balance", "funds"):
		return httpsend.Funds
	case has("trial", "sandbox"):
		return httpsend.Trial
	case has("opted out", "opt-out", "unsubscribed", "blocked", "blacklist"):
		return httpsend.Blocked
	case has("country", "geo", "region"):
		return httpsend.Country
	case has("src", "source", "sender"):
		return httpsend.From
	case has("dst", "destination", "phone number"):
		return httpsend.Number
	case has("text"):
		return httpsend.Content
	}
	return httpsend.Other
}

// Receipt checks the signature and reads MessageUUID, Status and ErrorCode.
func (d *Driver) Receipt(p authn.TextProvider, q authn.ReceiptRequest) (authn.Receipt, error) {
	form, err := httpsend.Form(q)
	if err != nil {
		return authn.Receipt{}, err
	}
	u, err := url.Parse(q.URL)
	if err != nil {
		return authn.Receipt{}, httpsend.Unreadable(errors.New("no address"))
	}
	if p.Secret == "" || q.Method != http.MethodPost || !signed(p.Secret, u, form, q.Header) {
		return authn.Receipt{}, httpsend.Unsigned("not signed by Plivo")
	}
	return httpsend.NewReceipt(form.Get("MessageUUID"), state(form.Get("Status")), form.Get("ErrorCode"))
}

func signed(token string, u *url.URL, form url.Values, header http.Header) bool {
	version, texts := "V3", v3
	if header.Get("X-Plivo-Signature-V3") == "" && header.Get("X-Plivo-Signature-Ma-V3") == "" {
		version, texts = "V2", v2
	}
	nonce := header.Get("X-Plivo-Signature-" + version + "-Nonce")
	if nonce == "" {
		return false
	}
	ok := false
	for _, name := range []string{"X-Plivo-Signature-", "X-Plivo-Signature-Ma-"} {
		// One for each token that the account has while it changes them.
		for _, got := range strings.Split(header.Get(name+version), ",") {
			for _, text := range texts(u, form, nonce) {
				ok = httpsend.Same(strings.TrimSpace(got), sign(token, text)) || ok
			}
		}
	}
	return ok
}

// v3 is what V3 signs of a POST.
func v3(u *url.URL, form url.Values, nonce string) []string {
	base := u.Scheme + "://" + u.Host + u.EscapedPath()
	query, body := sorted(u.Query(), "=", "&"), sorted(form, "", "")
	switch {
	case body == "" && query == "":
		return []string{base + "." + nonce}
	case body == "":
		return []string{base + "?" + query + "." + nonce}
	case query == "":
		return []string{base + "?" + body + "." + nonce, base + "." + body + "." + nonce}
	}
	return []string{base + "?" + query + "." + body + "." + nonce}
}

// v2 is what V2 signs.
func v2(u *url.URL, _ url.Values, nonce string) []string {
	return []string{u.Scheme + "://" + u.Host + u.EscapedPath() + nonce}
}

// sorted joins parameters by name, those of one name by value.
func sorted(form url.Values, is, and string) string {
	var parts []string
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := slices.Clone(form[name])
		slices.Sort(values)
		for _, v := range values {
			parts = append(parts, name+is+v)
		}
	}
	return strings.Join(parts, and)
}

func sign(token, text string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func state(word string) string {
	switch word {
	case "delivered", "read":
		return httpsend.Delivered
	case "failed", "undelivered", "rejected":
		return httpsend.Failed
	}
	return httpsend.Pending // "queued", "sent"
}
