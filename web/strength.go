package web

import (
	"net/http"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/signin"
)

// A form with a new password says beside the field how hard it is to guess. The
// script asks at the form's own address, where the password goes anyway, with the
// form's own protection and this field; without it the page says so of a password
// that was refused.
const strengthField = "strength"

// strengthView is what is said of a password.
type strengthView struct {
	Value int    `json:"value"` // 1 to 5, for the bar
	Text  string `json:"text"`
}

// strength is nil where nothing can be said: it is advice, and no reason to fail.
func (h *Handler) strength(r *http.Request, v *View, c signin.Choosing, password string) *strengthView {
	if password == "" {
		return nil
	}
	st, err := h.strengthOf(r, c, password)
	if err != nil {
		httpserve.Record(r, err)
		return nil
	}
	return v.strength(st)
}

func (h *Handler) strengthOf(r *http.Request, c signin.Choosing, password string) (authn.Strength, error) {
	c.Client = httpserve.ClientOf(r)
	return h.c.SignIn.Strength(r.Context(), c, password)
}

func (v *View) strength(st authn.Strength) *strengthView {
	out := strengthView{Value: st.Score + 1, Text: v.T("strength." + st.Word())}
	if st.Advice != "" {
		out.Text += " " + v.T("strength.advice."+string(st.Advice))
	}
	return &out
}

// writeStrength answers the script.
func (h *Handler) writeStrength(w http.ResponseWriter, r *http.Request, v *View, c signin.Choosing, password string) error {
	st, err := h.strengthOf(r, c, password)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, v.strength(st))
}
