package httpapi

import (
	"net/http"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/signin"
)

// reset is a password that was forgotten, as its holder sees it.
type reset struct {
	Token     string           `json:"token,omitempty"` // only in the answer that begins it
	State     authn.ResetState `json:"state"`
	ExpiresAt time.Time        `json:"expires_at"`
	ResendAt  *time.Time       `json:"resend_at,omitempty"`
	Minimum   int              `json:"password_min_length,omitempty"` // once the code was right
}

func resetOf(st signin.ResetStatus) reset {
	out := reset{Token: st.Token.Reveal(), State: st.Reset.State, ExpiresAt: stamp(st.Reset.ExpiresAt), Minimum: st.Minimum}
	if out.State == authn.ResetSent {
		out.ResendAt = maybe(st.ResendAt)
	}
	return out
}

// resetToken reads the token, which comes in a body as those of links do.
func resetToken(r *http.Request, s string) (signin.ResetOpener, error) {
	t, ok := authn.ParseToken(authn.ResetToken, s)
	if !ok {
		return signin.ResetOpener{}, authn.NotFound
	}
	return signin.ResetOpener{Token: t, Client: httpserve.ClientOf(r)}, nil
}

// askReset is POST /password-resets. The answer is the same for every name.
func (a *API) askReset(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Company string `json:"company"`
		Login   string `json:"login" required:"true"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	st, err := a.SignIn.AskReset(r.Context(), signin.ResetAsk{Company: in.Company, Login: in.Login, Client: httpserve.ClientOf(r)})
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusAccepted, resetOf(st))
}

// proveReset is POST /password-resets/verify.
func (a *API) proveReset(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Token string `json:"token" required:"true"`
		Code  string `json:"code" required:"true"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	o, err := resetToken(r, in.Token)
	if err != nil {
		return err
	}
	st, err := a.SignIn.ProveReset(r.Context(), o, 0, in.Code)
	if err != nil {
		return err
	}
	httpserve.Subject(r.Context(), st.Company.ID, st.Reset.User)
	return httpserve.WriteJSON(w, http.StatusOK, resetOf(st))
}

// finishReset is POST /password-resets/password. It gives no session: signing in
// comes after it, with all that policy asks for.
func (a *API) finishReset(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Token string `json:"token" required:"true"`
		New   string `json:"new" required:"true"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	o, err := resetToken(r, in.Token)
	if err != nil {
		return err
	}
	if _, err := a.SignIn.FinishReset(r.Context(), o, in.New); err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusNoContent, nil)
}
