package httpapi

import (
	"net/http"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/signin"
)

// trustIssued is what a trusted browser shows at its next sign-in.
type trustIssued struct {
	Token     string    `json:"token,omitempty"` // not to a caller by cookie
	ExpiresAt time.Time `json:"expires_at"`
}

// issueTrust hands the token of a trusted browser out, the way the caller's
// credential came; nil: there is no new one.
func (a *API) issueTrust(w http.ResponseWriter, st signin.Status, cookie bool) *trustIssued {
	if st.TrustToken.IsZero() {
		return nil
	}
	out := &trustIssued{ExpiresAt: stamp(st.TrustEnds)}
	if cookie {
		a.Cookies.SetTrusted(w, st.TrustToken.Reveal(), st.TrustEnds.Sub(a.Now()))
	} else {
		out.Token = st.TrustToken.Reveal()
	}
	return out
}

// trustedBrowser is a browser that a person trusts, in their list.
type trustedBrowser struct {
	ID        string    `json:"id"`
	Current   bool      `json:"current"`
	Agent     string    `json:"agent,omitempty"`
	Name      string    `json:"name,omitempty"` // the person's own
	CreatedAt time.Time `json:"created_at"`
	UsedAt    time.Time `json:"last_used_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// trustedHere is the id of the trusted browser that asks; empty: it is none.
func (a *API) trustedHere(r *http.Request, c caller) string {
	if c.cookie {
		t, _ := authn.ParseToken(authn.TrustToken, a.Cookies.ReadTrusted(r))
		return t.ID
	}
	return c.Session.Trust
}

// trustedBrowsers is GET /account/trusted-browsers, the one used last first. They
// are few: all of them are there.
func (a *API) trustedBrowsers(w http.ResponseWriter, r *http.Request, c caller) error {
	list, err := a.Sessions.Trusted(r.Context(), c.Current)
	if err != nil {
		return err
	}
	here := a.trustedHere(r, c)
	out := page[trustedBrowser]{Items: []trustedBrowser{}}
	for _, t := range list {
		out.Items = append(out.Items, trustedOf(t, here))
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

func trustedOf(t authn.Trust, here string) trustedBrowser {
	return trustedBrowser{ID: t.ID, Current: t.ID == here, Agent: t.Agent, Name: t.Name, CreatedAt: stamp(t.CreatedAt), UsedAt: stamp(t.UsedAt), ExpiresAt: stamp(t.ExpiresAt)}
}

// nameTrusted is PATCH /account/trusted-browsers/{id}.
func (a *API) nameTrusted(w http.ResponseWriter, r *http.Request, c caller) error {
	var in struct {
		Name string `json:"name" required:"true"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	t, err := a.Sessions.RenameTrusted(r.Context(), c.Current, r.PathValue("id"), in.Name, c.client)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, trustedOf(t, a.trustedHere(r, c)))
}

// stopTrusting is DELETE /account/trusted-browsers, and with an id of one of them.
func (a *API) stopTrusting(w http.ResponseWriter, r *http.Request, c caller) error {
	id := r.PathValue("id")
	if err := a.Sessions.StopTrusting(r.Context(), c.Current, id, c.client); err != nil {
		return err
	}
	if c.cookie && (id == "" || id == a.trustedHere(r, c)) {
		a.Cookies.ClearTrusted(w)
	}
	return httpserve.WriteJSON(w, http.StatusNoContent, nil)
}
