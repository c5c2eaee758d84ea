package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// CurrentSession is the session that asks.
type CurrentSession struct {
	ID            string    `json:"id"`
	ACR           string    `json:"acr"` // "aal1" or "aal2"
	AMR           []string  `json:"amr"` // RFC 8176
	AuthTime      time.Time `json:"auth_time"`
	FactorTime    time.Time `json:"factor_time"` // of the last proof; zero: none but the password
	ExpiresAt     time.Time `json:"expires_at"`
	IdleExpiresAt time.Time `json:"idle_expires_at"`
	User          Person    `json:"user"`
	Company       Company   `json:"company"`
}

func (s *CurrentSession) whole() bool { return s.ID != "" && s.User.ID != "" && s.Company.ID != "" }

// Person is who somebody is, in short.
type Person struct {
	ID    string `json:"id"`
	Login string `json:"login"`
	Name  string `json:"name"`
}

// Company is the company that somebody belongs to.
type Company struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Name string `json:"name"`
}

// Session says whose the session is, or Unauthenticated. Its answer is of this moment:
// ask again with each request rather than keep it.
func (c *Client) Session(ctx context.Context) (*CurrentSession, error) {
	return sent[CurrentSession](ctx, c, http.MethodGet, apiPath+"session", again, nil)
}

// SignOut ends the session. It is not repeated: the second answer would be Unauthenticated.
func (c *Client) SignOut(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, apiPath+"session", once, nil, nil)
}

// Account is a person's own account.
type Account struct {
	Person
	Email             string    `json:"email"`
	EmailVerified     bool      `json:"email_verified"`
	Phone             string    `json:"phone"`
	Locale            string    `json:"locale"`
	Audience          string    `json:"audience"` // "internal" or "external"
	Roles             []string  `json:"roles"`
	Company           Company   `json:"company"`
	TwoFactorRequired bool      `json:"two_factor_required"`
	Why               []Why     `json:"why"`
	Methods           []Method  `json:"methods"` // that may be set up
	PreferredMethod   Method    `json:"preferred_method"`
	GraceUntil        time.Time `json:"grace_until"`
	BackupCodesLeft   int       `json:"backup_codes_left"`
}

func (a *Account) whole() bool { return a.ID != "" }

// Why is a rule, and its words for the person.
type Why struct {
	Rule string `json:"rule"`
	Text string `json:"text"`
}

// Account is the account of the person whose session it is.
func (c *Client) Account(ctx context.Context) (*Account, error) {
	return sent[Account](ctx, c, http.MethodGet, apiPath+"account", again, nil)
}

// AccountChange holds what is to be changed; nil stays as it is.
type AccountChange struct {
	Name   *string `json:"name,omitempty"`
	Locale *string `json:"locale,omitempty"`
	Phone  *string `json:"phone,omitempty"`
}

// ChangeAccount changes the profile.
func (c *Client) ChangeAccount(ctx context.Context, change AccountChange) (*Account, error) {
	return sent[Account](ctx, c, http.MethodPatch, apiPath+"account", once, change)
}

// ChangePassword changes the password, and gives the session anew.
func (c *Client) ChangePassword(ctx context.Context, current, next Secret) (*Session, error) {
	r, err := sent[reissued](ctx, c, http.MethodPut, apiPath+"account/password", once, body{"current": current.Reveal(), "new": next.Reveal()})
	if err != nil {
		return nil, err
	}
	return r.Session, nil
}

// reissued is the session anew.
type reissued struct {
	Session *Session `json:"session"`
}

func (r *reissued) whole() bool { return r.Session != nil }

// Factor is a way to verify that somebody has.
type Factor struct {
	ID           string    `json:"id"`
	Method       Method    `json:"method"`
	Name         string    `json:"name"`
	State        string    `json:"state"`   // "pending", "active" or "asleep"
	SentTo       string    `json:"sent_to"` // where codes go, masked
	Preferred    bool      `json:"preferred"`
	Locked       bool      `json:"locked"`
	ConfirmAgain bool      `json:"confirm_again"`
	Left         int       `json:"left"` // backup codes that are not used
	CreatedAt    time.Time `json:"created_at"`
	ConfirmedAt  time.Time `json:"confirmed_at"`
	LastUsedAt   time.Time `json:"last_used_at"`
	ExpiresAt    time.Time `json:"expires_at"` // of a pending one
	Passkey      *Passkey  `json:"webauthn"`   // only with WebAuthn
}

// Passkey is what a passkey says of itself.
type Passkey struct {
	Synced       bool   `json:"synced"`        // it may be copied to other devices of its person
	BackedUp     bool   `json:"backed_up"`     // it was, when it was used last
	UserVerified bool   `json:"user_verified"` // its device made sure at least once who holds it
	Attested     bool   `json:"attested"`      // its maker's certificate proved the model
	Attachment   string `json:"attachment"`    // "platform" or "cross-platform"; empty: not known
	AAGUID       string `json:"aaguid"`        // of its model; empty: it does not say
}

func (f *Factor) whole() bool { return f.ID != "" && f.State != "" }

// Factors are the ways to verify of the person whose session it is.
func (c *Client) Factors(ctx context.Context) iter.Seq2[Factor, error] {
	return List[Factor](ctx, c, apiPath+"account/factors", nil)
}

// NewFactor begins a way to verify.
type NewFactor struct {
	Method   Method `json:"method"`             // one of Account.Methods, or of Attempt.Methods
	Replaces string `json:"replaces,omitempty"` // id of the active one of this method; needed if there is one
	Phone    string `json:"phone,omitempty"`    // needed with SMS
	Country  string `json:"country,omitempty"`  // of a Phone without + (ISO 3166 alpha-2)
}

// PendingFactor is a way to verify that does not count yet. What is secret in it comes
// from BeginFactor and from no other call.
type PendingFactor struct {
	ID        string    `json:"id"`
	Method    Method    `json:"method"`
	State     string    `json:"state"` // "pending"; something else once it was confirmed
	ExpiresAt time.Time `json:"expires_at"`
	App       *AppSetUp `json:"totp"`
	SMS       *CodeSent `json:"sms"`
	Email     *CodeSent `json:"email"`
	Duo       *DuoSetUp `json:"duo"`
	// Passkey is what the browser is asked to make; from SendAgain, too, which asks anew.
	Passkey *PasskeyQuestion `json:"webauthn"`
}

func (f *PendingFactor) whole() bool { return f.ID != "" && f.State != "" }

// AppSetUp is what an authenticator app takes in; each of its fields holds the secret.
type AppSetUp struct {
	Secret Secret `json:"secret"`      // base32, to type
	URI    Secret `json:"otpauth_uri"` // to open on the same phone
	QRSVG  Secret `json:"qr_svg"`      // to scan: a picture
}

// CodeSent is a code that is out.
type CodeSent struct {
	SentTo    string    `json:"sent_to"` // masked
	ExpiresAt time.Time `json:"expires_at"`
	ResendAt  time.Time `json:"resend_at"` // zero: this was the last one
}

// DuoSetUp is how far somebody is at Duo.
type DuoSetUp struct {
	DuoState
	Username   string `json:"username"`
	Known      bool   `json:"known"`    // Duo has them: ChallengeFactor asks them
	Enrolled   bool   `json:"enrolled"` // they did what PortalURL asks
	PortalURL  Secret `json:"portal_url"`
	BarcodeURL Secret `json:"barcode_url"`
}

// BeginFactor begins to set up a way to verify, with a session, or with the token of an
// attempt in StateNeedEnrolment. SMS and Email send a code at once.
func (c *Client) BeginFactor(ctx context.Context, f NewFactor) (*PendingFactor, error) {
	return sent[PendingFactor](ctx, c, http.MethodPost, apiPath+"account/factors", once, f)
}

// PendingFactor says how far a set-up is, which is the call while Duo waits.
func (c *Client) PendingFactor(ctx context.Context, id string) (*PendingFactor, error) {
	return sent[PendingFactor](ctx, c, http.MethodGet, route("account/factors/%s", id), again, nil)
}

// ChallengeFactor asks the person at Duo; option as in Ask.
func (c *Client) ChallengeFactor(ctx context.Context, id, option string) (*Challenge, error) {
	b := body{}
	add(b, "option", option)
	return sent[Challenge](ctx, c, http.MethodPost, route("account/factors/%s/challenge", id), once, b)
}

// SendAgain sends the code of a set-up once more; of a passkey it asks anew.
func (c *Client) SendAgain(ctx context.Context, id string) (*PendingFactor, error) {
	return sent[PendingFactor](ctx, c, http.MethodPost, route("account/factors/%s/send", id), once, body{})
}

// Confirmed is a way to verify that counts from now on.
type Confirmed struct {
	Factor      *Factor  `json:"factor"`
	Email       string   `json:"email"`        // after ChangeEmail: the new address
	BackupCodes []Secret `json:"backup_codes"` // with the first way; they come in no other answer
	State       State    `json:"state"`        // of the attempt, if its token was used
	Session     *Session `json:"session"`      // anew, if a session's token was used
}

func (f *Confirmed) whole() bool { return f.Factor != nil || f.Email != "" || f.State != "" }

// ConfirmFactor makes a way count that was begun. An empty code is for Duo, once Duo said
// yes. For a passkey there is ConfirmPasskey.
func (c *Client) ConfirmFactor(ctx context.Context, id string, code Secret) (*Confirmed, error) {
	b := body{}
	add(b, "code", code)
	return sent[Confirmed](ctx, c, http.MethodPost, route("account/factors/%s/confirm", id), once, b)
}

// FactorChange holds what is to be changed; nil stays as it is.
type FactorChange struct {
	Name      *string `json:"name,omitempty"`
	Preferred *bool   `json:"preferred,omitempty"`
}

// ChangeFactor renames a way, or makes it the first that is offered.
func (c *Client) ChangeFactor(ctx context.Context, id string, change FactorChange) (*Factor, error) {
	return sent[Factor](ctx, c, http.MethodPatch, route("account/factors/%s", id), once, change)
}

// RemoveFactor turns a way off, and gives the session anew; nil if it was pending, where
// the session stays.
func (c *Client) RemoveFactor(ctx context.Context, id string) (*Session, error) {
	var r struct { // 204, and nothing in it, for a pending one
		Session *Session `json:"session"`
	}
	if err := c.call(ctx, http.MethodDelete, route("account/factors/%s", id), once, nil, &r); err != nil {
		return nil, err
	}
	return r.Session, nil
}

// BackupCodes are ten new ones. They come in no other answer; the old ones are dead.
type BackupCodes struct {
	Factor  Factor   `json:"factor"`
	Codes   []Secret `json:"backup_codes"`
	Session *Session `json:"session"` // anew
}

func (b *BackupCodes) whole() bool { return len(b.Codes) > 0 && b.Session != nil }

// NewBackupCodes makes backup codes in place of those that there are.
func (c *Client) NewBackupCodes(ctx context.Context) (*BackupCodes, error) {
	return sent[BackupCodes](ctx, c, http.MethodPost, apiPath+"account/backup-codes", once, body{})
}

// ChangeEmail begins a change of the address, which ConfirmFactor ends.
func (c *Client) ChangeEmail(ctx context.Context, address string) (*PendingFactor, error) {
	return sent[PendingFactor](ctx, c, http.MethodPost, apiPath+"account/email", once, body{"email": address})
}

// ListedSession is one place where somebody is signed in.
type ListedSession struct {
	ID            string    `json:"id"`
	ACR           string    `json:"acr"`
	AMR           []string  `json:"amr"`
	AuthTime      time.Time `json:"auth_time"`
	FactorTime    time.Time `json:"factor_time"`
	ExpiresAt     time.Time `json:"expires_at"`
	IdleExpiresAt time.Time `json:"idle_expires_at"`
	Current       bool      `json:"current"` // the one that asks
	Name          string    `json:"name"`
	Agent         string    `json:"agent"` // browser, or program
	LastSeenAt    time.Time `json:"last_seen_at"`
	Place         *Place    `json:"place"` // about where it was opened; nil: not known
}

// Place is about where something came from. It is often wrong: decide nothing by it.
type Place struct {
	City    string `json:"city"`    // empty: not known
	Country string `json:"country"` // ISO 3166
	Text    string `json:"text"`    // in words for the person
}

// Sessions are the places where the person is signed in.
func (c *Client) Sessions(ctx context.Context) iter.Seq2[ListedSession, error] {
	return List[ListedSession](ctx, c, apiPath+"account/sessions", nil)
}

// EndSession signs the person out in another place.
func (c *Client) EndSession(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, route("account/sessions/%s", id), once, nil, nil)
}

// EndOtherSessions signs the person out everywhere else.
func (c *Client) EndOtherSessions(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, apiPath+"account/sessions", again, nil, nil)
}

// OwnEvent is something that happened to the account, in words for the person.
type OwnEvent struct {
	ID      string    `json:"id"`
	Type    string    `json:"type"`
	At      time.Time `json:"at"`
	Result  string    `json:"result"` // "success" or "refused"
	Agent   string    `json:"agent"`
	Address string    `json:"address"`
	Place   *Place    `json:"place"` // nil: not known
	Text    string    `json:"text"`
}

// OwnEvents is what happened to the account in the last 90 days, newest first.
func (c *Client) OwnEvents(ctx context.Context) iter.Seq2[OwnEvent, error] {
	return List[OwnEvent](ctx, c, apiPath+"account/events", nil)
}
