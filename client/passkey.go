package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// PasskeyQuestion is what a person's browser is asked. Give Options to your page, which
// reads them by PublicKeyCredential.parseRequestOptionsFromJSON (or
// parseCreationOptionsFromJSON, to set one up) and gives them to navigator.credentials;
// what toJSON() of the answer gives is the Credential of the next call. The page has to
// be of the server's own origin, or of a related one (WebAuthn Level 3 section 5.11).
type PasskeyQuestion struct {
	Options   json.RawMessage `json:"options"`    // answered once
	ExpiresAt time.Time       `json:"expires_at"` // after five minutes
}

func (q *PasskeyQuestion) whole() bool { return len(q.Options) > 1 && q.Options[0] == '{' }

// AskPasskey asks for a whole sign-in by passkey. It names nobody: the browser shows the
// passkeys that the device has. company is a slug; empty on a server with one company.
// PolicyForbids: passkeys are not offered there.
func (c *Client) AskPasskey(ctx context.Context, company string) (*PasskeyQuestion, error) {
	b := body{}
	add(b, "company", company)
	return sent[PasskeyQuestion](ctx, c, http.MethodPost, apiPath+"passkeys", again, b)
}

// PasskeySignIn is an answer to AskPasskey.
type PasskeySignIn struct {
	Company    string          // as in AskPasskey
	Credential json.RawMessage // what the browser answered
	ReturnTo   string          // as in SignIn, with Nonce
	Nonce      string
}

// BeginByPasskey begins a sign-in by what the browser answered; mostly it is complete at
// once. Expired: it was answered before, or too late; ask again. Invalid with the field
// "credential" and its code "unknown": nobody here has this passkey any more.
func (c *Client) BeginByPasskey(ctx context.Context, s PasskeySignIn) (*Attempt, error) {
	b := withCredential(s.Credential)
	add(b, "company", s.Company)
	add(b, "return_to", s.ReturnTo)
	add(b, "nonce", s.Nonce)
	return c.attempt(ctx, &Attempt{}, http.MethodPost, apiPath+"passkeys/verify", once, b)
}

// ConfirmPasskey is ConfirmFactor for a passkey: credential is what the browser made.
func (c *Client) ConfirmPasskey(ctx context.Context, id string, credential json.RawMessage) (*Confirmed, error) {
	return sent[Confirmed](ctx, c, http.MethodPost, route("account/factors/%s/confirm", id), once, withCredential(credential))
}

// withCredential leaves one that is missing to the server, which says so.
func withCredential(credential json.RawMessage) body {
	b := body{}
	if len(credential) > 0 {
		b["credential"] = credential
	}
	return b
}

// UnmarshalJSON reads "options" as what it is of: a list of Duo's, or what a passkey is asked.
func (c *Challenge) UnmarshalJSON(b []byte) error {
	type plain Challenge
	in := struct {
		*plain
		Options json.RawMessage `json:"options"`
	}{plain: (*plain)(c)}
	if err := json.Unmarshal(b, &in); err != nil || len(in.Options) == 0 {
		return err
	}
	if in.Options[0] == '{' {
		c.Passkey = in.Options
		return nil
	}
	return json.Unmarshal(in.Options, &c.Options)
}
