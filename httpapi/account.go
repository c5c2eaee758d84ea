package httpapi

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
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
	Locale        string         `json:"locale,omitempty"`
	Audience      authn.Audience `json:"audience"`
	Roles         []string       `json:"roles"`
	Company       companyRef     `json:"company"`

	TwoFactorRequired bool         `json:"two_factor_required"`
	Why               []reason     `json:"why"`
	Methods           []authn.Kind `json:"methods"`
	PreferredMethod   authn.Kind   `json:"preferred_method,omitempty"`
}

// reason explains one rule in the reader's language.
type reason struct {
	Rule policy.Reason `json:"rule"`
	Text string        `json:"text"`
}

// traits answers policy's question: which kinds are there, and what they show.
func (a *API) traits(k authn.Kind) (authn.Traits, bool) {
	t, ok := a.Offered[k]
	return t, ok
}

func policyOf(c caller) (policy.Document, error) {
	doc, err := policy.Parse(c.Company.Policy)
	if err != nil {
		return doc, fmt.Errorf("httpapi: policy of %s: %w", c.Company.ID, err)
	}
	return doc, nil
}

func (a *API) accountOf(r *http.Request, u authn.User, c caller) (account, error) {
	doc, err := policyOf(c)
	if err != nil {
		return account{}, err
	}
	out := account{
		ID: u.ID, Login: u.Login, Name: u.Name, Email: u.Email, EmailVerified: !u.EmailVerifiedAt.IsZero(), Locale: u.Locale,
		Audience: u.Audience, Roles: u.Roles, Company: refOf(c.Company),
		TwoFactorRequired: policy.Demanded(doc, u), Why: []reason{}, Methods: []authn.Kind{},
	}
	if out.Roles == nil {
		out.Roles = []string{}
	}
	for _, why := range policy.Why(doc, u, c.Factors) {
		out.Why = append(out.Why, reason{Rule: why, Text: a.Texts.Text(a.language(r, u), "why."+string(why), map[string]any{"Company": c.Company.Name})})
	}
	for _, k := range slices.Sorted(maps.Keys(a.Offered)) {
		if k.Own() && doc.TwoFactor != policy.Off {
			out.Methods = append(out.Methods, k)
		}
	}
	if second := policy.Second(doc, c.Factors, a.traits); len(second) > 0 {
		out.PreferredMethod = second[0].Kind
	}
	return out, nil
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
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	u := c.User
	if in.Name.set || in.Locale.set {
		var err error
		u, err = a.Directory.UpdateProfile(r.Context(), c.Token, a.Locales, directory.Profile{Name: in.Name.pointer(), Locale: in.Locale.pointer()})
		if err != nil {
			return err
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
		Current string `json:"current"`
		New     string `json:"new"`
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
