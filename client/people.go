package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// User is a person as administrators see them.
type User struct {
	Person
	Email             string    `json:"email"`
	EmailVerified     bool      `json:"email_verified"`
	Audience          string    `json:"audience"` // "internal" or "external"
	Roles             []string  `json:"roles"`
	Status            string    `json:"status"`   // "active" or "suspended"
	Standing          string    `json:"standing"` // "on", "due", "off", "exempt", "locked", "again", "api" or "suspended"
	Methods           []Method  `json:"methods"`  // that they have
	TwoFactorRequired bool      `json:"two_factor_required"`
	ExemptUntil       time.Time `json:"exempt_until"`
	HelpAskedAt       time.Time `json:"help_asked_at"` // from the sign-in page, and it is open
	LastSignInAt      time.Time `json:"last_sign_in_at"`
	CreatedAt         time.Time `json:"created_at"`

	// Not in lists.
	Locale     string   `json:"locale"`
	Phone      string   `json:"phone"`
	ExternalID string   `json:"external_id"` // in a host program's own table; empty: Sallyport keeps them
	Why        []string `json:"why"`

	InvitedUntil time.Time `json:"invited_until"` // only in the answer to AddUser with Invite
}

func (u *User) whole() bool { return u.ID != "" }

// UserFilter narrows a list of people down. Empty: all of them.
type UserFilter struct {
	Search   string // beginnings of words of login, name or e-mail address
	Method   string // who has this way, or "none"
	Status   string // "active" or "suspended"
	SetUp    string // "yes", "no" or "due"
	State    string // "locked", "exempt", "api", "confirm_again" or "help"
	Role     string
	Audience string // "internal" or "external"
}

// Users are the people of the company, newest first; those who are searched for by a
// word stand in its order. It needs users.read.
func (c *Client) Users(ctx context.Context, f UserFilter) iter.Seq2[User, error] {
	q := url.Values{}
	for name, value := range map[string]string{"search": f.Search, "method": f.Method, "status": f.Status, "set_up": f.SetUp,
		"state": f.State, "role": f.Role, "audience": f.Audience} {
		set(q, name, value)
	}
	return List[User](ctx, c, apiPath+"users", q)
}

// User is one of them.
func (c *Client) User(ctx context.Context, id string) (*User, error) {
	return sent[User](ctx, c, http.MethodGet, route("users/%s", id), again, nil)
}

// NewUser is a person to be added.
type NewUser struct {
	Login    string   `json:"login"`
	Email    string   `json:"email,omitempty"`
	Name     string   `json:"name,omitempty"`
	Audience string   `json:"audience,omitempty"` // empty: "internal"
	Locale   string   `json:"locale,omitempty"`
	Roles    []string `json:"roles,omitempty"`
	Invite   bool     `json:"invite,omitempty"` // mails the link by which they choose a password
	Reason   string   `json:"reason,omitempty"` // for the log
}

// AddUser adds a person. It needs users.write, and for roles more.
func (c *Client) AddUser(ctx context.Context, u NewUser) (*User, error) {
	return sent[User](ctx, c, http.MethodPost, apiPath+"users", once, u)
}

// UserChange holds what is to be changed; nil stays as it is. Empty takes Email and
// Phone away. All but Name and Locale need a Reason and sign the person out.
type UserChange struct {
	Name     *string   `json:"name,omitempty"`
	Locale   *string   `json:"locale,omitempty"`
	Audience *string   `json:"audience,omitempty"`
	Login    *string   `json:"login,omitempty"`
	Email    *string   `json:"email,omitempty"`
	Phone    *string   `json:"phone,omitempty"`
	Country  string    `json:"country,omitempty"` // of a Phone without +
	Roles    *[]string `json:"roles,omitempty"`
	Reason   string    `json:"reason,omitempty"`
}

// UserChanged is what was done, and what waits for a second person.
type UserChanged struct {
	Changed []string `json:"changed"`
	Waits   []Wait   `json:"waits"`
}

func (u *UserChanged) whole() bool { return u.Changed != nil || u.Waits != nil }

// Wait is an act that a second person has to approve, or that can be done from NotBefore
// on: make the same call again then.
type Wait struct {
	ID        string    `json:"id"`
	Act       string    `json:"act"` // only in UserChanged
	NotBefore time.Time `json:"not_before"`
	ExpiresAt time.Time `json:"expires_at"`
}

// ChangeUser changes a person.
func (c *Client) ChangeUser(ctx context.Context, id string, change UserChange) (*UserChanged, error) {
	return sent[UserChanged](ctx, c, http.MethodPatch, route("users/%s", id), once, change)
}

// Act is something that is done about a person.
type Act string

// The acts. Unlock, SignOutUser, Reset and HelpCode need factors.manage, the others users.write.
const (
	Suspend      Act = "suspend"
	Activate     Act = "activate"
	Leave        Act = "leave"         // suspends, signs out, and ends their keys
	SignOutUser  Act = "sign-out"      // everywhere
	Unlock       Act = "unlock"        // what too many wrong codes turned off
	Reset        Act = "reset"         // all their ways to verify
	HelpCode     Act = "bypass-code"   // Acted.Code, for an hour; check first that it is really them
	Invite       Act = "invite"        // mails a new link
	Require      Act = "require"       // two steps, whatever policy says
	NotRequire   Act = "not-require"   // no longer
	Exempt       Act = "exempt"        // until ActOn.Until, at most 90 days
	EndExemption Act = "end-exemption" // at once
	CloseHelp    Act = "close-help"    // what they asked for from the sign-in page is dealt with; at once
)

// ActOn is why, for the log and the person, and with Exempt until when.
type ActOn struct {
	Reason string    `json:"reason,omitempty"`
	Until  time.Time `json:"until,omitzero"`
}

// Acted is what came of an act: nothing, where it is done.
type Acted struct {
	Code      Secret    `json:"code"`       // with HelpCode; told this once
	ExpiresAt time.Time `json:"expires_at"` // of the code
	Waiting   *Wait     `json:"waiting"`    // it is not done yet
}

// Act does something about a person, who is told of it.
func (c *Client) Act(ctx context.Context, id string, act Act, on ActOn) (*Acted, error) {
	return sent[Acted](ctx, c, http.MethodPost, route("users/%s/%s", id, string(act)), once, on)
}

// UserFactors are the ways to verify of somebody. It needs users.read.
func (c *Client) UserFactors(ctx context.Context, id string) ([]Factor, error) {
	p, err := sent[page[Factor]](ctx, c, http.MethodGet, route("users/%s/factors", id), again, nil)
	if err != nil {
		return nil, err
	}
	return p.Items, nil
}

// Event is an entry of the company's event log.
type Event struct {
	ID      string            `json:"id"`
	Seq     int64             `json:"seq"` // place in the chain; 0: not sealed yet
	At      time.Time         `json:"at"`
	Type    string            `json:"type"`   // "sign_in.completed" …
	Result  string            `json:"result"` // "success" or "refused"
	Actor   string            `json:"actor"`  // id of a person or a key, or "operator"; empty: nobody
	Target  string            `json:"target"` // id of the person that it is about
	Address string            `json:"address"`
	Agent   string            `json:"agent"`
	Detail  map[string]string `json:"detail"`
	Damaged bool              `json:"damaged"` // it cannot be read any more
}

// EventFilter narrows the log down. Zero: all of it.
type EventFilter struct {
	Type         string // with a dot at the end all that begin with it: "factor."
	Target       string // id of a person
	Actor        string // id of a person or a key, or "operator"
	Result       string // "success" or "refused"
	Since, Until time.Time
}

// Events goes through the log, newest first. It needs audit.read.
func (c *Client) Events(ctx context.Context, f EventFilter) iter.Seq2[Event, error] {
	q := url.Values{}
	set(q, "type", f.Type)
	set(q, "target", f.Target)
	set(q, "actor", f.Actor)
	set(q, "result", f.Result)
	if !f.Since.IsZero() {
		q.Set("since", f.Since.UTC().Format(time.RFC3339))
	}
	if !f.Until.IsZero() {
		q.Set("until", f.Until.UTC().Format(time.RFC3339))
	}
	return List[Event](ctx, c, apiPath+"audit/events", q)
}

// Policy is a version of the company's rules. Document is passed through whole, as the
// reference describes it, so that a client that is older than the server drops nothing.
type Policy struct {
	Version  int             `json:"version"`
	Document json.RawMessage `json:"document"`
	SavedAt  time.Time       `json:"saved_at"`
	SavedBy  string          `json:"saved_by"`
	Reason   string          `json:"reason"`
	Preview  *PolicyPreview  `json:"preview"` // what it did, or in an answer to PreviewPolicy would do
}

func (p *Policy) whole() bool { return len(p.Document) > 0 }

// PolicyPreview is what a change does to how many people.
type PolicyPreview struct {
	People       int                    `json:"people"`
	Groups       map[string]PolicyGroup `json:"groups"` // "set_up", "own_way", "stranded" …
	OwnersBefore int                    `json:"owners_before"`
	OwnersLeft   int                    `json:"owners_left"` // who can still sign in
	Weakens      bool                   `json:"weakens"`     // somebody is asked for less
}

// PolicyGroup is how many people are in a group.
type PolicyGroup struct {
	People         int `json:"people"`
	New            int `json:"new"` // who were not in it before
	Administrators int `json:"administrators"`
	Owners         int `json:"owners"`
}

// PolicyChange is a document in place of the version that it was made from.
type PolicyChange struct {
	Version  int             `json:"version"`
	Document json.RawMessage `json:"document,omitempty"`
	UndoOf   int             `json:"undo_of,omitempty"` // a version to go back to, in place of Document
	Reason   string          `json:"reason,omitempty"`
}

// Policy is the policy as it is. It needs policy.write.
func (c *Client) Policy(ctx context.Context) (*Policy, error) {
	return sent[Policy](ctx, c, http.MethodGet, apiPath+"policy", again, nil)
}

// PreviewPolicy says what a change would do, and does nothing.
func (c *Client) PreviewPolicy(ctx context.Context, change PolicyChange) (*Policy, error) {
	return sent[Policy](ctx, c, http.MethodPost, apiPath+"policy/preview", again, change)
}

// SavePolicy saves the next version. It needs a recent proof, which a program cannot
// give. Conflict: somebody else saved in between.
func (c *Client) SavePolicy(ctx context.Context, change PolicyChange) (*Policy, error) {
	return sent[Policy](ctx, c, http.MethodPut, apiPath+"policy", once, change)
}
