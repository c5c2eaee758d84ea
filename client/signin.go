package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Method is a way to verify.
type Method string

// The ways to verify. A newer server may have others.
const (
	Password   Method = "password"
	TOTP       Method = "totp" // authenticator app (RFC 6238)
	SMS        Method = "sms"
	Email      Method = "email"
	Duo        Method = "duo"
	WebAuthn   Method = "webauthn" // passkey or security key
	BackupCode Method = "backup_code"
	BypassCode Method = "bypass_code" // help code of an administrator
)

// State is what an attempt waits for.
type State string

// The states of an attempt. One that is over is no state but the error Expired.
const (
	StateNeedFactor         State = "need_factor"          // Challenge, where a code has to be sent, and Verify
	StateWaiting            State = "waiting"              // the person answers at Duo: Attempt again in a second or two
	StateNeedEnrolment      State = "need_enrolment"       // set up one of Methods, or Postpone where GraceUntil is given
	StateNeedPassword       State = "need_password"        // only in a step-up: Verify with the password
	StateNeedPasswordChange State = "need_password_change" // NewPassword
	StateReady              State = "ready"                // Complete
	StateComplete           State = "complete"             // there is a Session, or the Result of Assert
	StateDenied             State = "denied"               // Denied and Detail say why
)

// Attempt is a sign-in or a step-up that is under way. ID and Token are all that has to
// be kept of it from one request to the next: &Attempt{ID: …, Token: …} is enough for
// the calls that take one.
type Attempt struct {
	ID string `json:"id"`
	// Token opens this attempt and nothing else. The server tells it once; the client
	// puts it into every answer until the attempt is complete.
	Token     Secret    `json:"token"`
	State     State     `json:"state"`
	ExpiresAt time.Time `json:"expires_at"`

	Why        []string  `json:"why"`         // the rules that ask for more, strictest first
	Methods    []Way     `json:"methods"`     // the ways to go on, best first
	GraceUntil time.Time `json:"grace_until"` // until then Postpone is possible; zero: it is not
	// HelpAskedAt is since when the administrators know, see AskHelp; zero: they do not.
	HelpAskedAt time.Time  `json:"help_asked_at"`
	Denied      string     `json:"denied"`   // with StateDenied
	Detail      string     `json:"detail"`   // with StateDenied: for the person
	Session     *Session   `json:"session"`  // only with StateComplete
	Grant       *Grant     `json:"grant"`    // with StateComplete of a step-up for an action
	Sent        *Challenge `json:"sent"`     // the code that went out with the password
	NotSent     *NotSent   `json:"not_sent"` // or why none did

	URL      string  `json:"url"`       // of Assert with ReturnTo: where to send the browser
	ReturnTo string  `json:"return_to"` // with StateComplete, where it leads to an application: send the browser there, with the handle in it
	Result   *Result `json:"result"`    // with StateComplete of Assert, in place of a Session

	TrustedBrowser *Trust `json:"trusted_browser"` // takes the place of the token before, at once
}

func (a *Attempt) whole() bool {
	return a.ID != "" && a.State != "" && (a.State == StateComplete) == (a.Session != nil || a.Result != nil)
}

// Way is a way to go on in an attempt.
type Way struct {
	Method       Method    `json:"method"`
	Factor       string    `json:"factor"`  // id, to tell two of one method apart; may be empty
	Name         string    `json:"name"`    // what the person calls it
	SentTo       string    `json:"sent_to"` // where codes go, masked
	Preferred    bool      `json:"preferred"`
	Fallback     bool      `json:"fallback"`      // helps out until the person has a way of their own
	ConfirmAgain bool      `json:"confirm_again"` // counts after one more proof, which is asked for next
	Locked       bool      `json:"locked"`        // after too many wrong codes
	PausedUntil  time.Time `json:"paused_until"`
	ExpiresAt    time.Time `json:"expires_at"` // of the code that is out
	ResendAt     time.Time `json:"resend_at"`  // from when on another can be asked for
	Duo          *DuoState `json:"duo"`        // what Duo was asked last
	TrustDays    int       `json:"trust_days"` // for how many days this browser can be trusted; 0: it cannot
}

// DuoState is what Duo was asked, and what came of it.
type DuoState struct {
	Outcome   string    `json:"outcome"` // "asked", "waiting", "passcode", "approved" or "refused"
	Way       string    `json:"way"`     // "push", "phone" or "sms"
	Device    string    `json:"device"`
	Ends      string    `json:"ends"`   // last digits of its number
	Number    string    `json:"number"` // show it: the person types it at Duo
	Reason    string    `json:"reason"` // with "refused"
	Message   string    `json:"message"`
	ExpiresAt time.Time `json:"expires_at"`
}

// NotSent is why no code went out with the password. The attempt goes on.
type NotSent struct {
	Code       Code   `json:"code"`
	Detail     string `json:"detail"`      // for the person
	RetryAfter int    `json:"retry_after"` // seconds
}

// Challenge is what was sent or asked.
type Challenge struct {
	Method    Method      `json:"method"`
	Factor    string      `json:"factor"`
	SentTo    string      `json:"sent_to"`    // masked
	ExpiresAt time.Time   `json:"expires_at"` // of the code, or of the question
	ResendAt  time.Time   `json:"resend_at"`  // zero: this was the last one of this attempt
	Options   []DuoOption `json:"options"`    // how Duo can ask, best first
	Code      bool        `json:"code"`       // a code that the person has from Duo is taken, too
	Waiting   bool        `json:"waiting"`    // the person has to answer at Duo
	Passcode  bool        `json:"passcode"`   // Duo sent codes
	Way       string      `json:"way"`
	Device    string      `json:"device"`
	Ends      string      `json:"ends"`
	Number    string      `json:"number"` // show it: the person types it at Duo
	Message   string      `json:"message"`
	Attempt   *Attempt    `json:"attempt"` // where Duo let the person in unasked

	Passkey json.RawMessage `json:"-"` // what the browser is asked, as PasskeyQuestion.Options; "options" of WebAuthn
}

// DuoOption is one way in which Duo can ask.
type DuoOption struct {
	ID     string `json:"id"`
	Way    string `json:"way"` // "push", "phone" or "sms"
	Device string `json:"device"`
	Ends   string `json:"ends"`
}

// Session is a session that was given just now, to whoever signed in, or anew to
// whoever changed their account.
type Session struct {
	ID            string    `json:"id"`
	Token         Secret    `json:"token"` // told this once
	ACR           string    `json:"acr"`   // "aal1" or "aal2"
	AMR           []string  `json:"amr"`   // RFC 8176
	AuthTime      time.Time `json:"auth_time"`
	FactorTime    time.Time `json:"factor_time"` // of the last proof; zero: none but the password
	ExpiresAt     time.Time `json:"expires_at"`
	IdleExpiresAt time.Time `json:"idle_expires_at"`
}

// Trust is the token of a trusted browser, to be shown with the next password.
type Trust struct {
	Token     Secret    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

// SignIn begins a sign-in.
type SignIn struct {
	Company        string // slug; empty on a server with one company
	Login          string // login name or verified e-mail address
	Password       Secret
	ReturnTo       string // path on the server where /continue leads, or a return address of an API key; empty: its own choice
	Nonce          string // with a return address: random, of this browser's sign-in (see Returned)
	TrustedBrowser Secret // Trust.Token of the answer before; zero: none
}

// Begin begins a sign-in. WrongCredentials does not say which was wrong. The attempt may
// be complete at once.
func (c *Client) Begin(ctx context.Context, s SignIn) (*Attempt, error) {
	b := body{"login": s.Login, "password": s.Password.Reveal()}
	add(b, "company", s.Company)
	add(b, "return_to", s.ReturnTo)
	add(b, "nonce", s.Nonce)
	add(b, "trusted_browser", s.TrustedBrowser)
	return c.attempt(ctx, &Attempt{}, http.MethodPost, apiPath+"attempts", once, b)
}

// Attempt asks how far an attempt is, which is the call while Duo waits.
func (c *Client) Attempt(ctx context.Context, a *Attempt) (*Attempt, error) {
	return c.As(a.Token).attempt(ctx, a, http.MethodGet, route("attempts/%s", a.ID), again, nil)
}

// Ask is a way that Challenge is asked for.
type Ask struct {
	Method Method `json:"method"`
	Factor string `json:"factor,omitempty"` // id; empty: the first of the method
	Option string `json:"option,omitempty"` // of Duo: DuoOption.ID, or "auto"; empty: Duo only lists Options
}

// Challenge sends a code, asks the person at Duo, or says what their browser is asked.
func (c *Client) Challenge(ctx context.Context, a *Attempt, ask Ask) (*Challenge, error) {
	return sent[Challenge](ctx, c.As(a.Token), http.MethodPost, route("attempts/%s/challenge", a.ID), once, ask)
}

// Answer is what the person answers.
type Answer struct {
	Method       Method
	Factor       string // id; empty: the one that was challenged, or the only one
	Code         Secret // blanks in it do not count
	Password     Secret // in place of Code, with StateNeedPassword
	TrustBrowser bool   // only where Way.TrustDays is given

	Credential json.RawMessage // in place of Code, with WebAuthn: what the browser answered
}

// Verify answers. WrongCode is charged: never repeat it by program. The attempt that
// comes back may ask for more.
func (c *Client) Verify(ctx context.Context, a *Attempt, answer Answer) (*Attempt, error) {
	b := withCredential(answer.Credential)
	b["method"] = answer.Method
	switch answer.Method {
	case Password:
		b["password"] = answer.Password.Reveal()
	case WebAuthn:
		add(b, "code", answer.Code)
	default:
		b["code"] = answer.Code.Reveal()
	}
	add(b, "factor", answer.Factor)
	add(b, "trust_browser", answer.TrustBrowser)
	return c.As(a.Token).attempt(ctx, a, http.MethodPost, route("attempts/%s/verify", a.ID), once, b)
}

// Complete turns StateReady into the session, once. TrustBrowser asks for Trust, as in Answer.
func (c *Client) Complete(ctx context.Context, a *Attempt, trustBrowser bool) (*Attempt, error) {
	b := body{}
	add(b, "trust_browser", trustBrowser)
	return c.As(a.Token).attempt(ctx, a, http.MethodPost, route("attempts/%s/complete", a.ID), once, b)
}

// Postpone puts off what StateNeedEnrolment asks for; the session is "aal1".
func (c *Client) Postpone(ctx context.Context, a *Attempt) (*Attempt, error) {
	return c.As(a.Token).attempt(ctx, a, http.MethodPost, route("attempts/%s/postpone", a.ID), once, body{})
}

// AskHelp asks the administrators for help, where a person cannot verify: they are
// told, and the person is. Asking again changes nothing. Attempt.HelpAskedAt says
// since when they know.
func (c *Client) AskHelp(ctx context.Context, a *Attempt) (*Attempt, error) {
	return c.As(a.Token).attempt(ctx, a, http.MethodPost, route("attempts/%s/help", a.ID), again, body{})
}

// NewPassword answers StateNeedPasswordChange.
func (c *Client) NewPassword(ctx context.Context, a *Attempt, password Secret) (*Attempt, error) {
	return c.As(a.Token).attempt(ctx, a, http.MethodPost, route("attempts/%s/password", a.ID), once, body{"new": password.Reveal()})
}

// attempt makes a call that answers with an attempt, which keeps its token.
func (c *Client) attempt(ctx context.Context, a *Attempt, method, path string, repeat bool, b any) (*Attempt, error) {
	next, err := sent[Attempt](ctx, c, method, path, repeat, b)
	if err != nil {
		return nil, err
	}
	if next.Token.IsZero() && next.State != StateComplete && next.State != StateDenied {
		next.Token = a.Token
	}
	return next, nil
}

// sent makes a call that answers with a T.
func sent[T any](ctx context.Context, c *Client, method, path string, repeat bool, b any) (*T, error) {
	out := new(T)
	if err := c.call(ctx, method, path, repeat, b, out); err != nil {
		return nil, err
	}
	return out, nil
}
