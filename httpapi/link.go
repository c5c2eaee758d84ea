package httpapi

import (
	"net/http"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// linkToken reads the token of a link. It comes in a body and never in an
// address, where logs and histories would keep it; what cannot be one is as
// unknown as what is none.
func linkToken(s string) (authn.Token, error) {
	t, ok := authn.ParseToken(authn.LinkToken, s)
	if !ok {
		return authn.Token{}, authn.NotFound
	}
	return t, nil
}

// invitation is what the holder of an invitation sees before using it.
type invitation struct {
	Company   companyRef `json:"company"`
	Login     string     `json:"login"`
	Name      string     `json:"name"`
	ExpiresAt time.Time  `json:"expires_at"`
	Minimum   int        `json:"password_min_length"`
}

// lookInvitation is POST /invitations/look. It uses nothing up.
func (a *API) lookInvitation(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Token string `json:"token" required:"true"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	t, err := linkToken(in.Token)
	if err != nil {
		return err
	}
	found, err := a.SignIn.Invitation(r.Context(), t)
	if err != nil {
		return err
	}
	httpserve.Subject(r.Context(), found.Company.ID, found.User.ID)
	return httpserve.WriteJSON(w, http.StatusOK, invitation{
		Company: refOf(found.Company), Login: found.User.Login, Name: found.User.Name, ExpiresAt: stamp(found.Link.ExpiresAt), Minimum: found.Minimum,
	})
}

// acceptInvitation is POST /invitations/accept: it answers as POST /attempts does.
func (a *API) acceptInvitation(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Token    string `json:"token" required:"true"`
		Password string `json:"password" required:"true"`
		ReturnTo string `json:"return_to"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	if err := checkReturnTo(in.ReturnTo); err != nil {
		return err
	}
	t, err := linkToken(in.Token)
	if err != nil {
		return err
	}
	cookie := fromBrowser(r)
	if cookie {
		a.Cookies.EnsureBrowser(w, r)
	}
	st, err := a.SignIn.Accept(r.Context(), t, in.Password, in.ReturnTo, httpserve.ClientOf(r))
	if err != nil {
		return err
	}
	return a.begun(w, r, st, cookie)
}

// notMe is POST /not-me. The link is the credential, and authenticates nobody.
func (a *API) notMe(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Token string `json:"token" required:"true"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	t, err := linkToken(in.Token)
	if err != nil {
		return err
	}
	done, err := a.Enroll.Secure(r.Context(), t, httpserve.ClientOf(r))
	if err != nil {
		return err
	}
	httpserve.Subject(r.Context(), done.Company.ID, done.User.ID)
	return httpserve.WriteJSON(w, http.StatusOK, struct {
		Company  companyRef `json:"company"`
		Restored bool       `json:"email_restored"`
	}{refOf(done.Company), done.Reverts})
}
