package directory

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// The document of an export, apart from the log. Its fields are a promise:
// docs/privacy.md lists them, and a test compares.

type heldDocument struct {
	Version    int            `json:"version"`
	ExportedAt time.Time      `json:"exported_at"`
	Company    heldCompany    `json:"company"`
	Profile    heldProfile    `json:"profile"`
	Logins     []heldLogin    `json:"logins"`
	Password   *heldPassword  `json:"password,omitempty"`
	Ways       []heldWay      `json:"ways_to_verify"`
	Sessions   []heldSession  `json:"sessions"`
	Trusted    []heldTrust    `json:"trusted_browsers"`
	SignIns    []heldSignIn   `json:"unfinished_sign_ins"`
	Browsers   int            `json:"known_browsers"`
	Codes      []heldCode     `json:"codes_sent"`
	Links      []heldLink     `json:"links"`
	Keys       []heldKey      `json:"api_keys"`
	Approvals  []heldApproval `json:"approvals"`
	Letters    []heldLetter   `json:"letters_waiting"`
}

type heldCompany struct {
	Slug string `json:"slug"`
	Name string `json:"name"`
}

type heldProfile struct {
	ID                string     `json:"id"`
	ExternalID        string     `json:"external_id,omitempty"`
	Login             string     `json:"login"`
	Name              string     `json:"name"`
	Email             string     `json:"email,omitempty"`
	EmailVerifiedAt   *time.Time `json:"email_verified_at,omitempty"`
	EmailChangedAt    *time.Time `json:"email_changed_at,omitempty"`
	Phone             string     `json:"phone,omitempty"`
	PhoneTrustedAt    *time.Time `json:"phone_trusted_at,omitempty"`
	PhoneChangedAt    *time.Time `json:"phone_changed_at,omitempty"`
	Locale            string     `json:"locale,omitempty"`
	Audience          string     `json:"audience"`
	Status            string     `json:"status"`
	Roles             []string   `json:"roles"`
	Program           bool       `json:"api_account"`
	RequireTwoFactor  bool       `json:"two_factor_required"`
	ExemptUntil       *time.Time `json:"exempt_until,omitempty"`
	ExemptReason      string     `json:"exempt_reason,omitempty"`
	GraceFrom         *time.Time `json:"grace_from,omitempty"`
	FirstWayAt        *time.Time `json:"first_way_at,omitempty"`
	Preferred         string     `json:"preferred_way,omitempty"`
	PasswordChangedAt *time.Time `json:"password_changed_at,omitempty"`
	PasswordKnownAt   *time.Time `json:"password_known_to_others_at,omitempty"`
	SecuredAt         *time.Time `json:"secured_at,omitempty"`
	HelpAskedAt       *time.Time `json:"help_asked_at,omitempty"`
	PasskeyOfferedAt  *time.Time `json:"passkey_offered_at,omitempty"`
	WrongInRow        int        `json:"wrong_codes_in_row"`
	WrongInMonth      int        `json:"wrong_codes_in_month"`
	LastSignInAt      *time.Time `json:"last_sign_in_at,omitempty"`
	CreatedAt         time.Time  `json:"created_at"`
}

type heldLogin struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // name or email
}

type heldPassword struct {
	SetAt       time.Time  `json:"set_at"`
	Wrong       int        `json:"wrong_in_row"`
	PausedUntil *time.Time `json:"paused_until,omitempty"`
}

type heldWay struct {
	ID             string          `json:"id"`
	Method         string          `json:"method"`
	State          string          `json:"state"`
	Name           string          `json:"name,omitempty"`
	Destination    string          `json:"destination,omitempty"` // number, or name at the service
	Settings       json.RawMessage `json:"settings,omitempty"`    // the method's own, nothing secret
	Left           int             `json:"codes_left,omitempty"`
	CreatedAt      time.Time       `json:"created_at"`
	ConfirmedAt    *time.Time      `json:"confirmed_at,omitempty"`
	LastUsedAt     *time.Time      `json:"last_used_at,omitempty"`
	ExpiresAt      *time.Time      `json:"expires_at,omitempty"`
	ProbationUntil *time.Time      `json:"probation_until,omitempty"`
	Wrong          int             `json:"wrong_in_row"`
}

type heldSession struct {
	ID         string    `json:"id"`
	Name       string    `json:"name,omitempty"`
	Agent      string    `json:"agent"`
	Methods    []string  `json:"amr"`
	Level      string    `json:"acr"`
	CreatedAt  time.Time `json:"created_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
}

type heldTrust struct {
	ID        string    `json:"id"`
	Agent     string    `json:"agent"`
	Name      string    `json:"name,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	UsedAt    time.Time `json:"last_used_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

type heldSignIn struct {
	ID        string     `json:"id"`
	Purpose   string     `json:"purpose"`
	State     string     `json:"state"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt time.Time  `json:"expires_at"`
	Address   netip.Addr `json:"address,omitzero"` // as an application stated it
}

type heldCode struct {
	ID          string     `json:"id"`
	Method      string     `json:"method"`
	Purpose     string     `json:"purpose"`
	Destination string     `json:"destination"`
	Sends       int        `json:"sends"`
	SentAt      *time.Time `json:"sent_at,omitempty"`
	ExpiresAt   time.Time  `json:"expires_at"`
	Outcome     string     `json:"outcome,omitempty"`
}

type heldLink struct {
	ID        string            `json:"id"`
	Purpose   string            `json:"purpose"`
	Mailed    bool              `json:"mailed"`
	Says      map[string]string `json:"says,omitempty"`
	CreatedAt time.Time         `json:"created_at"`
	ExpiresAt time.Time         `json:"expires_at"`
	UsedAt    *time.Time        `json:"used_at,omitempty"`
}

type heldKey struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Scopes     []string   `json:"scopes"`
	Networks   []string   `json:"networks"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
}

type heldApproval struct {
	ID          string            `json:"id"`
	Act         string            `json:"act"`
	Args        map[string]string `json:"args,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	CreatedAt   time.Time         `json:"created_at"`
	ExpiresAt   time.Time         `json:"expires_at"`
	ApprovedAt  *time.Time        `json:"approved_at,omitempty"`
	CancelledAt *time.Time        `json:"cancelled_at,omitempty"`
	DoneAt      *time.Time        `json:"done_at,omitempty"`
}

type heldLetter struct {
	ID        string    `json:"id"`
	Channel   string    `json:"channel"`
	Template  string    `json:"template"`
	At        time.Time `json:"at"`
	ExpiresAt time.Time `json:"expires_at"`
}

func maybe(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (e *Export) document() heldDocument {
	h := &e.held
	d := heldDocument{Version: ExportVersion, ExportedAt: e.at.UTC(), Company: heldCompany{e.company.Slug, e.company.Name}, Profile: profileOf(h.User), Browsers: h.Browsers,
		Logins: []heldLogin{}, Ways: []heldWay{}, Sessions: []heldSession{}, Trusted: []heldTrust{}, SignIns: []heldSignIn{}, Codes: []heldCode{}, Links: []heldLink{},
		Keys: []heldKey{}, Approvals: []heldApproval{}, Letters: []heldLetter{}}
	for _, l := range h.Logins {
		d.Logins = append(d.Logins, heldLogin{l.Name, l.Kind})
	}
	for _, f := range h.Factors {
		if f.Kind == authn.Password {
			d.Password = &heldPassword{SetAt: f.ConfirmAt, Wrong: h.Passwords.Tries, PausedUntil: maybe(h.Passwords.PausedUntil)}
			continue
		}
		d.Ways = append(d.Ways, heldWay{ID: f.ID, Method: string(f.Kind), State: string(f.State), Name: f.Name, Destination: f.Destination, Settings: f.Data,
			Left: f.Left, CreatedAt: f.CreatedAt, ConfirmedAt: maybe(f.ConfirmAt), LastUsedAt: maybe(f.LastUsedAt), ExpiresAt: maybe(f.ExpiresAt),
			ProbationUntil: maybe(f.ProbationUntil), Wrong: f.Counts[authn.Stranger].Tries + f.Counts[authn.Known].Tries})
	}
	for _, s := range h.Sessions {
		d.Sessions = append(d.Sessions, heldSession{s.ID, s.Name, s.Agent, s.AMR, s.ACR, s.CreatedAt, s.LastSeenAt, s.ExpiresAt})
	}
	for _, t := range h.Trusted {
		d.Trusted = append(d.Trusted, heldTrust{t.ID, t.Agent, t.Name, t.CreatedAt, t.UsedAt, t.ExpiresAt})
	}
	for _, a := range h.Attempts {
		one := heldSignIn{ID: a.ID, Purpose: string(a.Purpose), State: string(a.State), CreatedAt: a.CreatedAt, ExpiresAt: a.ExpiresAt}
		if a.Caller != nil {
			one.Address = a.Caller.Address
		}
		d.SignIns = append(d.SignIns, one)
	}
	for _, c := range h.Challenges {
		d.Codes = append(d.Codes, heldCode{c.ID, string(c.Kind), string(c.Purpose), c.Destination, c.Sends, maybe(c.SentAt), c.ExpiresAt, string(c.Outcome)})
	}
	for _, l := range h.Links {
		d.Links = append(d.Links, heldLink{l.ID, string(l.Purpose), l.Mailed, l.Args, l.CreatedAt, l.ExpiresAt, maybe(l.UsedAt)})
	}
	for _, k := range h.Keys {
		networks := []string{}
		for _, n := range k.Networks {
			networks = append(networks, n.String())
		}
		d.Keys = append(d.Keys, heldKey{k.ID, k.Name, k.Scopes, networks, k.CreatedAt, k.ExpiresAt, maybe(k.LastUsedAt)})
	}
	for _, a := range h.Approvals {
		d.Approvals = append(d.Approvals, heldApproval{a.ID, a.Do, a.Args, a.Reason, a.CreatedAt, a.ExpiresAt, maybe(a.ApprovedAt), maybe(a.CancelledAt), maybe(a.UsedAt)})
	}
	for _, l := range h.Letters {
		d.Letters = append(d.Letters, heldLetter{l.ID, string(l.Channel), string(l.Template), l.At, l.ExpiresAt})
	}
	return d
}

func profileOf(u authn.User) heldProfile {
	roles := u.Roles
	if roles == nil {
		roles = []string{}
	}
	return heldProfile{ID: u.ID, ExternalID: u.ExternalID, Login: u.Login, Name: u.Name, Email: u.Email, EmailVerifiedAt: maybe(u.EmailVerifiedAt), EmailChangedAt: maybe(u.EmailChangedAt),
		Phone: u.Phone, PhoneTrustedAt: maybe(u.PhoneTrustedAt), PhoneChangedAt: maybe(u.PhoneChangedAt), Locale: u.Locale, Audience: string(u.Audience),
		Status: string(u.Status), Roles: roles, Program: u.API, RequireTwoFactor: u.RequireTwoFactor, ExemptUntil: maybe(u.ExemptUntil), ExemptReason: u.ExemptReason,
		GraceFrom: maybe(u.GraceAt), FirstWayAt: maybe(u.HadFactorAt), Preferred: u.Preferred, PasswordChangedAt: maybe(u.PasswordChangedAt),
		PasswordKnownAt: maybe(u.PasswordKnownAt), SecuredAt: maybe(u.SecuredAt), HelpAskedAt: maybe(u.HelpAskedAt), PasskeyOfferedAt: maybe(u.PasskeyOfferedAt), WrongInRow: u.WrongInRow, WrongInMonth: u.WrongInMonth,
		LastSignInAt: maybe(u.LastSignInAt), CreatedAt: u.CreatedAt}
}
