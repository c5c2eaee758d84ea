package client

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"
)

// StepUp asks a person to prove themselves again. The zero value is for the acts of the
// account and the administration; with an Action the proof gives a Grant besides.
type StepUp struct {
	Action      string `json:"action,omitempty"`       // registered by the host program or with SetAction
	RequestHash string `json:"request_hash,omitempty"` // RequestHash of what is to be done; empty: of no request in particular
	MaxAge      int    `json:"max_age,omitempty"`      // seconds; makes the grant end sooner
	Grant       string `json:"grant,omitempty"`        // "signed"; empty: "online", which is redeemed
	ReturnTo    string `json:"return_to,omitempty"`    // where the page /continue leads afterwards, or a return address of an API key
	Nonce       string `json:"nonce,omitempty"`        // with a return address: see Returned
}

// StepUp begins to prove oneself again, with the token of a session. Go on as in a
// sign-in, with Challenge and Verify; the complete attempt has the session anew.
func (c *Client) StepUp(ctx context.Context, s StepUp) (*Attempt, error) {
	return c.attempt(ctx, &Attempt{}, http.MethodPost, apiPath+"account/step-up", once, s)
}

// RequestHash is the form in which StepUp and Redemption take what a grant is bound to:
// the SHA-256 of bytes that the application chooses, in base64url without padding. They
// should be all that makes the request what it is: method, path and the exact body.
func RequestHash(b []byte) string {
	h := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// Grant says that a person proved themselves for an action. The application redeems it,
// or checks a signed one with package grant.
type Grant struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"` // "online" or "signed"
	Token     Secret    `json:"token"`
	Action    string    `json:"action"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Redemption is the grant, and what the application is about to do.
type Redemption struct {
	Token       Secret // Grant.Token
	Action      string
	RequestHash string // computed anew from the request; empty if the step-up had none
	User        string // id of the person who sends the request; empty: whoever the grant is of
	MaxAge      int    // seconds since the proof; 0: as long as the grant lives
	ACR         string // the least: "aal1" or "aal2"; empty: any
}

// Redeemed is who proved themselves, and how.
type Redeemed struct {
	ID          string    `json:"id"`
	Action      string    `json:"action"`
	RequestHash string    `json:"request_hash"`
	User        Person    `json:"user"`
	Session     string    `json:"session"` // id
	ACR         string    `json:"acr"`
	AMR         []string  `json:"amr"`
	AuthTime    time.Time `json:"auth_time"`
}

// Redeem uses a grant up, with a key that has grants.redeem. Whatever error it gives: do
// not act, and ask the person to confirm again. It is never repeated, since a grant
// counts once: if the answer is lost the grant is, too.
func (c *Client) Redeem(ctx context.Context, r Redemption) (*Redeemed, error) {
	b := body{"token": r.Token.Reveal(), "action": r.Action}
	add(b, "request_hash", r.RequestHash)
	add(b, "user", r.User)
	add(b, "max_age", r.MaxAge)
	add(b, "acr", r.ACR)
	const path = apiPath + "grants/redeem"
	out, err := sent[Redeemed](ctx, c, http.MethodPost, path, once, b)
	if err != nil {
		return nil, err
	}
	if out.ID == "" || out.User.ID == "" || out.Action != r.Action || out.RequestHash != r.RequestHash || r.User != "" && out.User.ID != r.User {
		return nil, &Error{Method: http.MethodPost, Path: path, Status: http.StatusOK, why: "it is for something else"}
	}
	return out, nil
}

// Action is what people can be asked to confirm.
type Action struct {
	Name     string            `json:"name"`
	Title    string            `json:"title"`    // what follows "Confirm that it's you to"
	Titles   map[string]string `json:"titles"`   // in other languages, by "pl" …
	Audience string            `json:"audience"` // of signed grants; empty: there are none
	BuiltIn  bool              `json:"built_in"` // by the host program or Sallyport itself
}

// Actions are all that people of the company can be asked to confirm.
func (c *Client) Actions(ctx context.Context) ([]Action, error) {
	p, err := sent[page[Action]](ctx, c, http.MethodGet, apiPath+"actions", again, nil)
	if err != nil {
		return nil, err
	}
	return p.Items, nil
}

// ActionText is what an action is to be.
type ActionText struct {
	Title    string            `json:"title"`
	Titles   map[string]string `json:"titles,omitempty"`
	Audience string            `json:"audience,omitempty"`
	Reason   string            `json:"reason,omitempty"` // for the log
}

// SetAction registers an action, or changes it. It needs keys.write and a recent proof,
// which a program cannot give.
func (c *Client) SetAction(ctx context.Context, name string, a ActionText) (*Action, error) {
	return sent[Action](ctx, c, http.MethodPut, route("actions/%s", name), again, a)
}

// RemoveAction takes an action out. What was confirmed already stays good until it is
// over. The reason is for the log and may be empty.
func (c *Client) RemoveAction(ctx context.Context, name, reason string) error {
	return c.call(ctx, http.MethodDelete, route("actions/%s", name), once, body{"reason": reason}, nil)
}
