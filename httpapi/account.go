package httpapi

import (
	"net/http"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
)

// account is a person as they see themselves.
type account struct {
	ID            string         `json:"id"`
	Login         string         `json:"login"`
	Name          string         `json:"name"`
	Email         string         `json:"email,omitempty"`
	EmailVerified bool           `json:"email_verified"`
	Phone         string         `json:"phone,omitempty"` // for contact, E.164; apart from numbers that codes go to
	Locale        string         `json:"locale,omitempty"`
	Audience      authn.Audience `json:"audience"`
	Roles         []string       `json:"roles"`
	Company       companyRef     `json:"company"`

	TwoFactorRequired bool         `json:"two_factor_required"`
	Why               []reason     `json:"why"`
	Methods           []authn.Kind `json:"methods"`
	PreferredMethod   authn.Kind   `json:"preferred_method,omitempty"`
	GraceUntil        *time.Time   `json:"grace_until,omitempty"`
	BackupCodesLeft   *int         `json:"backup_codes_left,omitempty"`
	EmailChange       *newEmail    `json:"email_change,omitempty"`
}

// newEmail is a change of the address that is not confirmed yet.
type newEmail struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	ExpiresAt time.Time `json:"expires_at"`
}

// reason explains one rule in the reader's language.
type reason struct {
	Rule policy.Reason `json:"rule"`
	Text string        `json:"text"`
}

// traits answers policy's question: which kinds a company can use, and what they show.
func (a *API) traits(c authn.Company) func(authn.Kind) (authn.Traits, bool) {
	return authn.TraitsFor(a.methods, c)
}

func (a *API) accountOf(r *http.Request, u authn.User, c caller) (account, error) {
	doc, err := policy.Current(c.Company, a.Now())
	if err != nil {
		return account{}, err
	}
	out := account{
		ID: u.ID, Login: u.Login, Name: u.Name, Email: u.Email, EmailVerified: !u.EmailVerifiedAt.IsZero(), Phone: u.Phone, Locale: u.Locale,
		Audience: u.Audience, Roles: u.Roles, Company: refOf(c.Company),
		TwoFactorRequired: policy.Demanded(doc, u), Why: []reason{}, Methods: a.Enroll.Ways(c.Company, doc, u, false),
	}
	if out.Roles == nil {
		out.Roles = []string{}
	}
	for _, b := range policy.Explain(doc, u, c.Factors, a.traits(c.Company), a.Now()).Because {
		out.Why = append(out.Why, reason{Rule: b.Rule, Text: a.Texts.Text(a.language(r, u), "why."+string(b.Rule), map[string]any{"Company": c.Company.Name})})
	}
	if first := a.preferred(c.Company, doc, u, c.Factors); first != nil {
		out.PreferredMethod = first.Kind
	}
	if doc.NeedsOwnWay(u) && !slices.ContainsFunc(policy.Second(doc, u, c.Factors, a.traits(c.Company)), a.held) {
		out.GraceUntil = maybe(doc.GraceUntil(u, a.Now()))
	}
	for _, f := range c.Factors {
		switch {
		case f.Kind == authn.BackupCode && f.State == authn.Confirmed:
			out.BackupCodesLeft = &f.Left
		case enroll.NewAddress(f) != "" && a.begunHere(f, c):
			out.EmailChange = &newEmail{ID: f.ID, Email: enroll.NewAddress(f), ExpiresAt: stamp(f.ExpiresAt)}
		}
	}
	return out, nil
}

// held reports whether a factor is something that the person has.
func (a *API) held(f authn.Factor) bool { return policy.OwnPossession.Meets(a.shows(f.Kind)) }

// shows are the traits of a kind, whether or not a company can use it.
func (a *API) shows(k authn.Kind) authn.Traits {
	if m := a.methods[k]; m != nil {
		return m.Traits()
	}
	return authn.Traits{}
}

// begunHere reports whether the session can go on with a pending factor: it
// belongs to the sign-in that began it, and is not there for others (ruling 1).
func (a *API) begunHere(f authn.Factor, c caller) bool {
	return f.State == authn.Pending && !f.HandedOver() && enroll.Begun(f, c.Session.Attempt) && f.Epoch == c.User.Epoch && a.Now().Before(f.ExpiresAt)
}

// account is GET /account.
func (a *API) account(w http.ResponseWriter, r *http.Request, c caller) error {
	out, err := a.accountOf(r, c.User, c)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// given is a text that may be left out of a request, which is not the same as
// an empty one. Unlike a pointer it refuses null.
type given struct {
	set   bool
	value string
}

// UnmarshalText is called only if the field is there.
func (g *given) UnmarshalText(b []byte) error {
	g.set, g.value = true, string(b)
	return nil
}

func (g given) pointer() *string {
	if !g.set {
		return nil
	}
	return &g.value
}

// changeAccount is PATCH /account.
func (a *API) changeAccount(w http.ResponseWriter, r *http.Request, c caller) error {
	var in struct {
		Name   given `json:"name"`
		Locale given `json:"locale"`
		Phone  given `json:"phone"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	if in.Phone.set {
		// Codes may go there, so that it is an administrator's to say (ruling 2).
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.phone_of_admin"}
	}
	u := c.User
	if in.Name.set || in.Locale.set {
		var err error
		u, err = a.Directory.UpdateProfile(r.Context(), c.Token, a.Locales, directory.Profile{Name: in.Name.pointer(), Locale: in.Locale.pointer()})
		if err != nil {
			return listing(err, "locale", a.Locales)
		}
	}
	out, err := a.accountOf(r, u, c)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// changePassword is PUT /account/password.
func (a *API) changePassword(w http.ResponseWriter, r *http.Request, c caller) error {
	var in struct {
		Current string `json:"current" required:"true"`
		New     string `json:"new" required:"true"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	done, err := a.Enroll.ChangePassword(r.Context(), c.who(), in.Current, in.New)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, reissued{Session: a.issue(w, done.Session, done.Token, c.cookie)})
}

// reissued is the answer to a change that leaves nothing else to tell.
type reissued struct {
	Session *issued `json:"session"`
}

// beginEmail is POST /account/email. The address changes when a code that went
// to the new one came back, by POST /account/factors/{id}/confirm.
func (a *API) beginEmail(w http.ResponseWriter, r *http.Request, c caller) error {
	var in struct {
		Email string `json:"email" required:"true"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	p, err := a.Enroll.BeginEmail(r.Context(), c.who(), in.Email)
	if err != nil {
		return err
	}
	out, err := a.pendingOf(r, p)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusCreated, out)
}
