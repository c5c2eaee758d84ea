package httpapi

import (
	"net/http"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/signin"
)

// candidate is a password that somebody thinks of.
type candidate struct {
	Password string `json:"password" required:"true"`
}

// ownStrength is POST /account/password/strength.
func (a *API) ownStrength(w http.ResponseWriter, r *http.Request, c caller) error {
	var in candidate
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	return a.strength(w, r, signin.Choosing{Session: c.Token, Client: c.client}, in.Password)
}

// attemptStrength is POST /attempts/{id}/password/strength, where a new password is
// asked for.
func (a *API) attemptStrength(w http.ResponseWriter, r *http.Request, o opener) error {
	var in candidate
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	return a.strength(w, r, signin.Choosing{Attempt: &o.Opener, Client: o.Client}, in.Password)
}

// linkStrength is POST /password-strength, for whoever holds an invitation, or a reset
// whose code was right.
func (a *API) linkStrength(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Token    string `json:"token" required:"true"`
		Password string `json:"password" required:"true"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	c := signin.Choosing{Client: httpserve.ClientOf(r)}
	if t, ok := authn.ParseToken(authn.LinkToken, in.Token); ok {
		c.Link = t
	} else {
		o, err := resetToken(r, in.Token)
		if err != nil {
			return err
		}
		c.Reset = &o
	}
	return a.strength(w, r, c, in.Password)
}

func (a *API) strength(w http.ResponseWriter, r *http.Request, c signin.Choosing, password string) error {
	st, err := a.SignIn.Strength(r.Context(), c, password)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, struct {
		Score    int          `json:"score"`
		Strength string       `json:"strength"`
		Advice   authn.Advice `json:"advice,omitempty"`
	}{st.Score, st.Word(), st.Advice})
}
