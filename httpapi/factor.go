package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/internal/qrcode"
	"github.com/sallyport-mfa/sallyport/policy"
)

// factor is one way to verify of the person who asks. It holds nothing secret.
type factor struct {
	ID          string            `json:"id"`
	Method      authn.Kind        `json:"method"`
	Name        string            `json:"name,omitempty"`
	State       authn.FactorState `json:"state"`
	Preferred   bool              `json:"preferred"`
	Locked      bool              `json:"locked"`
	CreatedAt   time.Time         `json:"created_at"`
	ConfirmedAt *time.Time        `json:"confirmed_at,omitempty"`
	LastUsedAt  *time.Time        `json:"last_used_at,omitempty"`
	ExpiresAt   *time.Time        `json:"expires_at,omitempty"`
}

func factorOf(f authn.Factor, lane authn.Lane, preferred bool) factor {
	return factor{
		ID: f.ID, Method: f.Kind, Name: f.Name, State: f.State, Preferred: preferred,
		Locked:    f.Counts[lane].Tries >= policy.Share(lane),
		CreatedAt: stamp(f.CreatedAt), ConfirmedAt: maybe(f.ConfirmAt), LastUsedAt: maybe(f.LastUsedAt), ExpiresAt: maybe(f.ExpiresAt),
	}
}

// preferred is the id of the factor that sign-in offers first.
func (a *API) preferred(c caller) (string, error) {
	doc, err := policyOf(c)
	if err != nil {
		return "", err
	}
	if second := policy.Second(doc, c.Factors, a.traits); len(second) > 0 {
		return second[0].ID, nil
	}
	return "", nil
}

// factors is GET /account/factors, oldest first. The password is none of them.
func (a *API) factors(w http.ResponseWriter, r *http.Request, c caller) error {
	first, err := a.preferred(c)
	if err != nil {
		return err
	}
	var all []factor
	for _, f := range c.Factors {
		if f.Kind != authn.Password {
			all = append(all, factorOf(f, c.Lane, f.ID == first))
		}
	}
	slices.SortFunc(all, func(x, y factor) int { return strings.Compare(x.ID, y.ID) })
	page, err := paginate(r, all, authn.FactorID, func(f factor) string { return f.ID })
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, page)
}

// pending is a factor being set up. Nothing shows it again.
type pending struct {
	ID        string            `json:"id"`
	State     authn.FactorState `json:"state"`
	ExpiresAt time.Time         `json:"expires_at"`
	TOTP      *appSetup         `json:"totp,omitempty"`
}

type appSetup struct {
	Secret string `json:"secret"` // base32 without spaces
	URI    string `json:"otpauth_uri"`
	QR     string `json:"qr_svg"`
}

// beginFactor is POST /account/factors.
func (a *API) beginFactor(w http.ResponseWriter, r *http.Request, c caller) error {
	var in struct {
		Method   authn.Kind `json:"method"`
		Replaces string     `json:"replaces"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	p, err := a.Enroll.Begin(r.Context(), c.who(), in.Method, in.Replaces)
	if err != nil {
		return err
	}
	out := pending{ID: p.Factor.ID, State: p.Factor.State, ExpiresAt: stamp(p.Factor.ExpiresAt)}
	if p.Shown.URI != "" {
		svg, err := qrcode.SVG(p.Shown.URI, a.Texts.Text(a.language(r, c.User), "page.setup.qr_label", nil))
		if err != nil {
			return fmt.Errorf("httpapi: set-up: %w", err)
		}
		out.TOTP = &appSetup{Secret: p.Shown.Key, URI: p.Shown.URI, QR: svg}
	}
	return httpserve.WriteJSON(w, http.StatusCreated, out)
}

// confirmFactor is POST /account/factors/{id}/confirm.
func (a *API) confirmFactor(w http.ResponseWriter, r *http.Request, c caller) error {
	var in struct {
		Code string `json:"code"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	done, err := a.Enroll.Confirm(r.Context(), c.who(), r.PathValue("id"), 0, authn.Answer{Code: in.Code})
	if err != nil {
		return err
	}
	// The one that it replaced is gone; what is left decides which comes first.
	c.Factors = slices.DeleteFunc(slices.Clone(c.Factors), func(f authn.Factor) bool {
		return f.Kind == done.Factor.Kind
	})
	c.Factors = append(c.Factors, done.Factor)
	first, err := a.preferred(c)
	if err != nil {
		return err
	}
	done.Factor.Counts = nil // the right answer has ended the run of wrong ones
	return httpserve.WriteJSON(w, http.StatusOK, struct {
		Factor  factor  `json:"factor"`
		Session *issued `json:"session"`
	}{factorOf(done.Factor, c.Lane, done.Factor.ID == first), a.issue(w, done.Session, done.Token, c.cookie)})
}

// changeFactor is PATCH /account/factors/{id}.
func (a *API) changeFactor(w http.ResponseWriter, r *http.Request, c caller) error {
	var in struct {
		Name      given `json:"name"`
		Preferred bool  `json:"preferred"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	i := slices.IndexFunc(c.Factors, func(f authn.Factor) bool {
		return f.ID == r.PathValue("id") && f.Kind != authn.Password
	})
	if i < 0 {
		return authn.NotFound
	}
	f := c.Factors[i]
	first, err := a.preferred(c)
	if err != nil {
		return err
	}
	if in.Preferred && f.ID != first {
		// A choice between several is not stored yet; with one, it is the first.
		return authn.InvalidField("preferred", "invalid", nil)
	}
	if in.Name.set {
		if f, err = a.Enroll.Rename(r.Context(), c.who(), f.ID, in.Name.value); err != nil {
			return err
		}
	}
	return httpserve.WriteJSON(w, http.StatusOK, factorOf(f, c.Lane, f.ID == first))
}

// removeFactor is DELETE /account/factors/{id}.
func (a *API) removeFactor(w http.ResponseWriter, r *http.Request, c caller) error {
	done, err := a.Enroll.Remove(r.Context(), c.who(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if done.Factor.State == authn.Pending { // nothing was on, so the session stays
		return httpserve.WriteJSON(w, http.StatusNoContent, nil)
	}
	return httpserve.WriteJSON(w, http.StatusOK, reissued{Session: a.issue(w, done.Session, done.Token, c.cookie)})
}
