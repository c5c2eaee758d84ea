package duo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/authn"
)

const (
	pushLives = 60 * time.Second // Duo's own, for a push and for a call
	textLives = 10 * time.Minute // of passcodes by text message; Duo keeps them longer
	maxLabel  = 40               // characters of a device's name, and of the push's kind
	maxFails  = 5                // polls in a row that fail before Follow gives up
)

// ways are what a device can do that a person has to wait for, best first.
var ways = []string{"push", "phone", "sms"}

// amr holds what an approval adds to "amr" (RFC 8176), by way.
var amr = map[string]string{"push": "pop", "phone": "tel"}

// inquiry is what preauth said of a person, just now.
type inquiry struct {
	c   *client
	who account
	got preauthAnswer
}

// ask is what every sign-in, step-up and confirmation begins with.
func (m *Method) ask(ctx context.Context, r authn.Request) (inquiry, error) {
	c, err := m.open(r.Settings)
	if err != nil {
		return inquiry{}, err
	}
	who, err := accountOf(r.Secret)
	if err != nil {
		return inquiry{}, err
	}
	got, err := c.preauth(ctx, who, address(r))
	return inquiry{c, who, got}, err
}

// verdict is what Duo said; what is unknown is a denial.
func (in inquiry) verdict() authn.OptionsVerdict {
	switch v := authn.OptionsVerdict(in.got.Result); v {
	case authn.Asks, authn.LetsIn, authn.MustEnrol:
		return v
	}
	return authn.Refuses
}

// mustAsk refuses everybody whom Duo would not ask.
func (in inquiry) mustAsk() error {
	switch in.verdict() {
	case authn.Asks:
		return nil
	case authn.LetsIn:
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.duo_allow"}
	case authn.MustEnrol:
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.duo_enroll"}
	}
	return &authn.Error{Code: authn.PolicyForbids, Key: "error.duo_denied"}
}

// options are the devices with what each can do, in Duo's order.
func (in inquiry) options() []authn.Option {
	var list []authn.Option
	for _, d := range in.got.devices() {
		can := d.can()
		for _, way := range ways {
			if slices.Contains(can, way) {
				list = append(list, authn.Option{ID: way + ":" + string(d.ID), Way: way,
					Device: cmp.Or(clean(string(d.DisplayName), maxLabel), clean(string(d.Name), maxLabel)), Ends: ends(string(d.Number))})
			}
		}
	}
	return list
}

// ends is the last two digits of a number, which Duo masks itself; "" if it does
// not end with two.
func ends(number string) string {
	if len(number) < 2 || !isDigits(number[len(number)-2:]) {
		return ""
	}
	return number[len(number)-2:]
}

// Options asks Duo what it would take from the person now.
func (m *Method) Options(ctx context.Context, r authn.Request) (authn.Options, error) {
	in, err := m.ask(ctx, r)
	if err != nil {
		return authn.Options{}, err
	}
	o := authn.Options{Verdict: in.verdict(), Message: clean(string(in.got.Message), maxMessage)}
	switch o.Verdict {
	case authn.Asks:
		o.List, o.Code = in.options(), true
	case authn.MustEnrol:
		o.Portal = m.link(in.c.s.Host, string(in.got.Portal))
	}
	return o, nil
}

// link lets through what leads to Duo.
func (m *Method) link(host, raw string) string {
	u, err := url.Parse(raw)
	if err != nil || len(raw) > 2048 || u.User != nil {
		return ""
	}
	if m.c.Base != nil && m.c.Base(host) != "" && strings.HasPrefix(raw, m.base(host)+"/") {
		return raw
	}
	name := strings.ToLower(u.Hostname())
	if u.Scheme != "https" || u.Port() != "" && u.Port() != "443" || name != "duosecurity.com" && !strings.HasSuffix(name, ".duosecurity.com") {
		return ""
	}
	return raw
}

// Start asks the person by an option of Options, or by the best way that they have
// ("", the device is Duo's choice then). PolicyForbids has the Key
// "error.duo_denied", "error.duo_allow" or "error.duo_enroll"; Invalid is for
// "option" with "not_one_of".
func (m *Method) Start(ctx context.Context, r authn.Request, option string) (authn.Started, error) {
	in, err := m.ask(ctx, r)
	if err != nil {
		return authn.Started{}, err
	}
	if in.verdict() == authn.LetsIn && mayLetIn(in.c.s, r) {
		return authn.Started{LetIn: true}, nil
	}
	if err := in.mustAsk(); err != nil {
		return authn.Started{}, err
	}
	s, p, err := in.begin(r, option)
	if err != nil {
		return authn.Started{}, err
	}
	got, err := in.c.auth(ctx, p)
	if err != nil {
		return authn.Started{}, err
	}
	if !isID(string(got.TxID)) {
		return authn.Started{}, garbled(http.StatusOK, errShape)
	}
	s.Reference = string(got.TxID)
	return s, nil
}

// mayLetIn: only at sign-in, only for a link that was confirmed, and only where the
// company says so (ruling 33).
func mayLetIn(s Settings, r authn.Request) bool {
	return s.LetIn && r.Attempt != nil && r.Attempt.Purpose == authn.SignIn && r.Action == "" && r.Factor.State == authn.Confirmed
}

// begin chooses the way and puts the request together.
func (in inquiry) begin(r authn.Request, option string) (authn.Started, url.Values, error) {
	chosen, device, ok := choose(in.options(), option)
	if !ok {
		return authn.Started{}, nil, authn.InvalidField("option", "not_one_of", nil)
	}
	s := authn.Started{Way: chosen.Way, Device: chosen.Device, Ends: chosen.Ends, Waits: true, Lives: pushLives}
	p := params("factor", chosen.Way, "device", device, "async", "1", "ipaddr", address(r))
	in.who.name(p)
	switch chosen.Way {
	case "push":
		p.Set("type", word(r))
		p.Set("pushinfo", pushinfo(r))
		if name := clean(cmp.Or(r.User.Login, r.User.Email), maxMessage); name != "" {
			p.Set("display_username", name)
		}
		if txid, number := in.got.verified(); txid != "" {
			p.Set("txid", txid)
			s.Number = number
		}
	case "sms":
		s.Waits, s.Lives = false, textLives
	}
	return s, p, nil
}

// choose finds an option; "" is the best way that there is, on the device that Duo
// chooses, which has a name only where there is one to choose from.
func choose(list []authn.Option, id string) (o authn.Option, device string, ok bool) {
	if id != "" {
		for _, o := range list {
			if o.ID == id {
				return o, strings.TrimPrefix(id, o.Way+":"), true
			}
		}
		return authn.Option{}, "", false
	}
	for _, way := range ways {
		found := slices.Clone(list)
		found = slices.DeleteFunc(found, func(o authn.Option) bool { return o.Way != way })
		switch len(found) {
		case 0:
		case 1:
			return found[0], "auto", true
		default:
			return authn.Option{Way: way}, "auto", true
		}
	}
	return authn.Option{}, "", false
}

// word is what Duo shows before "request".
func word(r authn.Request) string {
	switch {
	case r.Action != "":
		w := clean(strings.NewReplacer("_", " ", ".", " ").Replace(r.Action), maxLabel)
		if first, size := utf8.DecodeRuneInString(w); size > 0 {
			return string(unicode.ToUpper(first)) + w[size:]
		}
		return "Confirmation"
	case r.Attempt != nil && r.Attempt.Purpose == authn.StepUp:
		return "Confirmation"
	case r.Factor.State == authn.Pending:
		return "Set-up"
	}
	return "Sign-in"
}

// pushinfo is what the phone shows of the request: from where and for whom. With
// at most 200 characters each it stays far below Duo's 20,000 bytes.
func pushinfo(r authn.Request) string {
	var b strings.Builder
	for _, pair := range [][2]string{{"Company", r.Company.Name}, {"Browser", r.Client.Agent}, {"Address", address(r)}} {
		if v := clean(pair[1], maxMessage); v != "" {
			if b.Len() > 0 {
				b.WriteByte('&')
			}
			b.WriteString(pair[0] + "=" + strings.ReplaceAll(url.QueryEscape(v), "+", "%20"))
		}
	}
	return b.String()
}

// Follow waits for the end of what Start began. Failures that may pass are tried
// again, five in a row at most. When ctx ends first, the error is also ctx's.
func (m *Method) Follow(ctx context.Context, r authn.Request, s authn.Started, note func(message string)) (authn.Answered, error) {
	c, err := m.open(r.Settings)
	if err != nil {
		return authn.Answered{}, err
	}
	if amr[s.Way] == "" || !isID(s.Reference) {
		return authn.Answered{Reason: "failed"}, nil
	}
	// Duo itself gives up first; this is for one that never says so.
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Lives, pushLives)+pushLives)
	defer cancel()
	last, fails := authAnswer{}, 0
	for {
		began := m.c.Now()
		got, err := c.authStatus(ctx, s.Reference)
		switch {
		case err == nil && got.Result != "waiting":
			return answered(got, amr[s.Way]), nil
		case ctx.Err() != nil:
			return authn.Answered{}, unanswered(ctx.Err())
		case err != nil:
			if fails++; fails == maxFails || !mayPass(err) || m.pause(ctx, time.Duration(fails)*firstPause) != nil {
				return authn.Answered{}, err
			}
			continue
		}
		fails = 0
		if message := clean(string(got.Message), maxMessage); message != "" && got.Message != last.Message && note != nil {
			note(message)
		}
		if got == last && m.c.Now().Sub(began) < firstPause { // this was no long poll
			if err := m.pause(ctx, firstPause); err != nil {
				return authn.Answered{}, unanswered(err)
			}
		}
		last = got
	}
}

// unanswered is the end of ctx, while Duo still waits.
func unanswered(why error) error {
	return &authn.Error{Code: authn.ProviderUnavailable, Err: fmt.Errorf("duo: nobody answered yet: %w", why)}
}

// mayPass: the next poll may succeed.
func mayPass(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Reason() {
	case Unreachable, Timeout, Down, Garbled: // Throttled was waited for already
		return true
	}
	return false
}

// answered reads a result that is final. Unknown ones are "failed".
func answered(got authAnswer, amr string) authn.Answered {
	a := authn.Answered{Message: clean(string(got.Message), maxMessage)}
	switch {
	case got.allowed():
		a.Approved, a.AMR = true, amr
	case got.Result != "deny":
		a.Reason = "failed"
	case got.Status == "deny":
		a.Reason = "denied"
	case got.Status == "fraud", got.Status == "timeout", got.Status == "locked_out":
		a.Reason = string(got.Status)
	default:
		a.Reason = "failed"
	}
	return a
}
