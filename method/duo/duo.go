// Package duo is the method "duo": Cisco Duo's Auth API v2, by push, phone call
// and passcode. A company brings its own "Auth API" application.
//
// # Flow
//
// Set-up: [Method.Begin] asks Duo (preauth) for the person's login name, then for
// their confirmed e-mail address. Whom Duo knows confirms with a push, a call or a
// passcode; whom it does not know sets themselves up in Duo's own pages first,
// which [Method.Enrolled] follows. Sign-in and step-up: [Method.Options] asks
// preauth anew each time; [Method.Start] asks once more and begins;
// [Method.Follow] waits by Duo's long polls. [Method.Verify] is for passcodes.
// Every request is signed (version 2, HMAC-SHA-512).
//
// # Threats
//
//   - Duo cannot be asked, or answers nonsense: nobody is let in, and no setting
//     changes that (rulings 33, std-64; OWASP ASVS 5.0.0 16.5.3). An approval is
//     result and status "allow" and nothing else; what is unknown is a denial.
//   - Whom Duo lets in without asking has proven nothing: it never confirms a
//     set-up, never counts at a step-up, and at sign-in only where the company says
//     so (ruling 33).
//   - One person's Duo is linked by another: an answer there is demanded before the
//     link counts, and one Duo name is one person's here (Shown.Subject). Other
//     names (aliases) of the same Duo user cannot be told apart by this API.
//   - Tired people press Approve (NIST SP 800-63B-4 section 3.1.3.3 wants more
//     than a tap): the push shows company, place and browser, and the number of a
//     verified push is passed on where the company's Duo policy asks for one. A push
//     is not phishing-resistant, and is not reported as such (decision 5).
//   - A host that a company names: the name has one form, the HTTP client is the
//     guarded one (ruling 32), there are no redirects, answers end at 64 KiB, and
//     links from Duo lead to Duo.
//   - Hostile words: what Duo says is cut, and cleaned of control and direction
//     characters, before anybody sees it. None of it is in an error's text.
//   - Our clock is wrong: Duo's own time corrects the date line, never a check of
//     ours.
package duo

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Config sets a Method.
type Config struct {
	// HTTP is what carries the requests; its Transport must be guarded (ruling 32)
	// and read no proxy from the environment. Redirects, cookies and its own Timeout
	// are not used. Needed.
	HTTP *http.Client
	Now  func() time.Time // nil: time.Now
	// Sleep waits for d or until ctx ends. nil: it really does.
	Sleep func(ctx context.Context, d time.Duration) error
	// Base says where the API of a host is reached, such as "http://127.0.0.1:8080/x",
	// and so where links to it may lead; "": where the name says. For pretend Duos.
	// nil: all hosts are real.
	Base func(host string) string
}

// Method is safe for concurrent use.
type Method struct {
	c       Config
	http    *http.Client
	offsets offsets
}

var (
	_ authn.Enroller   = (*Method)(nil)
	_ authn.PerCompany = (*Method)(nil)
	_ authn.Remote     = (*Method)(nil)
	_ authn.Elsewhere  = (*Method)(nil)
	_ authn.DuoService = (*Method)(nil)
)

// New makes the method, or says that c has no HTTP client.
func New(c Config) (*Method, error) {
	if c.HTTP == nil {
		return nil, errors.New("duo: there is no HTTP client")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	return &Method{c: c, http: &http.Client{
		Transport:     c.HTTP.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// base is the beginning of every address of a host.
func (m *Method) base(host string) string {
	if m.c.Base != nil {
		if b := m.c.Base(host); b != "" {
			return strings.TrimSuffix(b, "/")
		}
	}
	return "https://" + host
}

// Kind is duo.
func (*Method) Kind() authn.Kind { return authn.Duo }

// Traits: a phone that the person has, over a channel of its own.
func (*Method) Traits() authn.Traits { return authn.Traits{Possession: true, OutOfBand: true} }

// Quick: Duo is asked.
func (*Method) Quick() bool { return false }

// Offered: the company has settings for it.
func (*Method) Offered(c authn.Company) bool { return slices.Contains(c.Provides, authn.Duo) }

// Passcodes are of six digits (Duo Mobile) to ten; bypass codes of Duo have nine.
const (
	minDigits = 6
	maxDigits = 10
)

// Shape refuses what can be no passcode: "required", "not_digits", "too_few" or
// "too_many" of "code".
func (*Method) Shape(a authn.Answer) error {
	_, err := passcode(a.Code)
	return err
}

// passcode takes spaces and dashes out of what was typed, and digits of any script.
func passcode(typed string) (string, error) {
	invalid := func(code string, digits int) (string, error) {
		return "", authn.InvalidField("code", code, map[string]any{"Digits": digits})
	}
	if len(typed) > 256 {
		return invalid("too_many", maxDigits)
	}
	var code []byte
	for _, r := range typed {
		d, ok := digit(r)
		switch {
		case ok:
			code = append(code, d)
		case unicode.IsSpace(r), unicode.Is(unicode.Pd, r), unicode.Is(unicode.Cf, r):
		default:
			return invalid("not_digits", minDigits)
		}
	}
	switch {
	case len(code) == 0:
		return invalid("required", minDigits)
	case len(code) < minDigits:
		return invalid("too_few", minDigits)
	case len(code) > maxDigits:
		return invalid("too_many", maxDigits)
	}
	return string(code), nil
}

// digit is the ASCII digit for a decimal digit of any script: Unicode has the ten
// of each in a row, from zero.
func digit(r rune) (byte, bool) {
	for _, t := range unicode.Nd.R16 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return '0' + byte((r-rune(t.Lo))%10), true
		}
	}
	for _, t := range unicode.Nd.R32 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return '0' + byte((r-rune(t.Lo))%10), true
		}
	}
	return 0, false
}

// Verify lets Duo check a passcode. Like every answer it begins with preauth. Only
// a plain denial is Wrong; everything else is an error, and no guess.
func (m *Method) Verify(ctx context.Context, r authn.Request, a authn.Answer) (authn.Match, error) {
	void := authn.Match{Outcome: authn.Void}
	code, err := passcode(a.Code)
	if err != nil {
		return void, err
	}
	in, err := m.ask(ctx, r)
	if err != nil {
		return void, err
	}
	if err := in.mustAsk(); err != nil {
		return void, err
	}
	p := params("factor", "passcode", "passcode", code, "ipaddr", address(r))
	in.who.name(p)
	got, err := in.c.auth(ctx, p)
	switch {
	case err != nil:
		return void, err
	case got.allowed():
		return authn.Match{Outcome: authn.Right, AMR: "otp"}, nil
	case got.Result == "deny" && got.Status == "locked_out":
		return void, &authn.Error{Code: authn.PolicyForbids, Key: "error.duo_locked_out"}
	case got.Result == "deny":
		return authn.Match{Outcome: authn.Wrong}, nil
	}
	return void, garbled(http.StatusOK, errShape)
}

// Confirm is Verify: a right passcode confirms the link.
func (m *Method) Confirm(ctx context.Context, r authn.Request, a authn.Answer) (authn.Match, error) {
	return m.Verify(ctx, r, a)
}

// account is who a person is at Duo; the secret of a factor. Links and activation
// code are of the set-up: whoever has them can set up a phone for this person.
type account struct {
	UserID     string `json:"user_id,omitempty"`
	Username   string `json:"username"`
	Activation string `json:"activation,omitempty"`
	Portal     string `json:"portal,omitempty"`
	Barcode    string `json:"barcode,omitempty"`
}

var errAccount = errors.New("duo: the factor does not say who the person is at Duo")

// accountOf reads a factor's secret.
func accountOf(secret []byte) (account, error) {
	var a account
	if json.Unmarshal(secret, &a) != nil || a.UserID == "" && a.Username == "" {
		return account{}, errAccount
	}
	return a, nil
}

// name puts the person into parameters: Duo takes one of the two.
func (a account) name(p url.Values) {
	if a.UserID != "" {
		p.Set("user_id", a.UserID)
		return
	}
	p.Set("username", a.Username)
}

// address is what Duo's rules about networks and places go by; without it they
// would have no effect.
func address(r authn.Request) string {
	if !r.Client.Address.IsValid() {
		return ""
	}
	return r.Client.Address.Unmap().WithZone("").String()
}
