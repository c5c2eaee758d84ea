package client

import (
	"context"
	"net/http"
	"time"
)

// Assertion is what an application says that has checked the password itself.
type Assertion struct {
	User  string // id, login name or verified e-mail address, in the company of the key
	Nonce string // 16 to 200 random letters, digits, "-", ".", "_" or "~", of this browser's sign-in (see Returned)
	// ReturnTo is a return address of the key: send the browser to Attempt.URL, and it
	// comes back there. Empty: ask the person for the second step yourself.
	ReturnTo      string
	ClientAddress string // IP address of the person's device; needs attempts.client_address; empty: not stated
}

// Result is what comes of Assert, in place of a session: RedeemHandle takes it.
type Result struct {
	Handle    Secret    `json:"handle"`
	ExpiresAt time.Time `json:"expires_at"` // a minute later
}

// Assert begins the second step of a sign-in whose first one the application has done,
// with a key that has attempts.assert. Go on as in a sign-in. NotFound: nobody who may
// sign in.
func (c *Client) Assert(ctx context.Context, a Assertion) (*Attempt, error) {
	b := body{"user": a.User, "first_factor": "verified_by_caller", "nonce": a.Nonce}
	add(b, "return_to", a.ReturnTo)
	add(b, "client_address", a.ClientAddress)
	return c.attempt(ctx, &Attempt{}, http.MethodPost, apiPath+"attempts", once, b)
}

// Returned is who came back, and how they proved themselves.
type Returned struct {
	ID   string `json:"id"`
	Kind string `json:"kind"` // "sign_in", "step_up" or "verified_by_caller"
	User Person `json:"user"`
	// Nonce is what the application gave. Believe nothing before it is the one that it
	// keeps for the browser which brought the handle: otherwise somebody else's sign-in
	// was put under it.
	Nonce       string    `json:"nonce"`
	Session     string    `json:"session"`      // id; empty with "verified_by_caller"
	Action      string    `json:"action"`       // with "step_up"
	RequestHash string    `json:"request_hash"` // with "step_up": compare it with that of the request
	ACR         string    `json:"acr"`          // "aal1" or "aal2"
	AMR         []string  `json:"amr"`          // RFC 8176; "caller" is the application's own check
	AuthTime    time.Time `json:"auth_time"`
}

// RedeemHandle exchanges what a browser brought to a return address (parameter
// "handle"), or a Result, with the key that it is for. It counts once and is never
// repeated: if the answer is lost the handle is, too. Conflict: it was used before, which
// means that somebody else may have come by it.
func (c *Client) RedeemHandle(ctx context.Context, handle Secret) (*Returned, error) {
	const path = apiPath + "handles/redeem"
	out, err := sent[Returned](ctx, c, http.MethodPost, path, once, body{"handle": handle.Reveal()})
	if err != nil {
		return nil, err
	}
	if out.ID == "" || out.User.ID == "" || out.Nonce == "" || out.ACR == "" || (out.Kind == "step_up") != (out.Action != "") {
		return nil, &Error{Method: http.MethodPost, Path: path, Status: http.StatusOK, why: "something of it is missing"}
	}
	return out, nil
}

// AddReturnAddress lets people be sent to an address with a handle for a key. It needs
// keys.write and a recent proof, which a program cannot give.
func (c *Client) AddReturnAddress(ctx context.Context, key, address, reason string) error {
	return c.returnAddress(ctx, http.MethodPost, key, address, reason)
}

// RemoveReturnAddress ends it at once.
func (c *Client) RemoveReturnAddress(ctx context.Context, key, address, reason string) error {
	return c.returnAddress(ctx, http.MethodDelete, key, address, reason)
}

func (c *Client) returnAddress(ctx context.Context, method, key, address, reason string) error {
	b := body{"address": address}
	add(b, "reason", reason)
	return c.call(ctx, method, route("api-keys/%s/return-addresses", key), once, b, nil)
}
