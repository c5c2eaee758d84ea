package httpapi

import (
	"net/http"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// sessionState is a session without its token.
type sessionState struct {
	ID            string     `json:"id"`
	ACR           string     `json:"acr"`
	AMR           []string   `json:"amr"`
	AuthTime      time.Time  `json:"auth_time"`
	FactorTime    *time.Time `json:"factor_time,omitempty"`
	ExpiresAt     time.Time  `json:"expires_at"`
	IdleExpiresAt *time.Time `json:"idle_expires_at,omitempty"`
}

func stateOf(s authn.Session) sessionState {
	st := sessionState{ID: s.ID, ACR: s.ACR, AMR: s.AMR, AuthTime: stamp(s.AuthTime), FactorTime: maybe(s.FactorTime), ExpiresAt: stamp(s.ExpiresAt)}
	if st.AMR == nil {
		st.AMR = []string{}
	}
	if s.Idle > 0 {
		end := s.LastSeenAt.Add(s.Idle)
		if end.After(s.ExpiresAt) {
			end = s.ExpiresAt
		}
		st.IdleExpiresAt = maybe(end)
	}
	return st
}

// stamp is a time as the API writes it: UTC, whole seconds.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func maybe(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = stamp(t)
	return &t
}

// issued is a session as the call that makes it answers it.
type issued struct {
	Token string `json:"token,omitempty"` // not to a caller by cookie
	sessionState
}

// issue hands a new session out, the way the caller's credential came.
func (a *API) issue(w http.ResponseWriter, s authn.Session, t authn.Token, cookie bool) *issued {
	out := &issued{sessionState: stateOf(s)}
	if cookie {
		a.Cookies.SetSession(w, t.Reveal())
	} else {
		out.Token = t.Reveal()
	}
	return out
}

type companyRef struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Name string `json:"name"`
}

func refOf(c authn.Company) companyRef { return companyRef{ID: c.ID, Slug: c.Slug, Name: c.Name} }

type userRef struct {
	ID    string `json:"id"`
	Login string `json:"login"`
	Name  string `json:"name"`
}

// session is GET /session.
func (a *API) session(w http.ResponseWriter, r *http.Request, c caller) error {
	return httpserve.WriteJSON(w, http.StatusOK, struct {
		sessionState
		User    userRef    `json:"user"`
		Company companyRef `json:"company"`
	}{stateOf(c.Session), userRef{ID: c.User.ID, Login: c.User.Login, Name: c.User.Name}, refOf(c.Company)})
}

// signOut is DELETE /session.
func (a *API) signOut(w http.ResponseWriter, r *http.Request, c caller) error {
	if err := a.Sessions.SignOut(r.Context(), c.Token, c.client); err != nil {
		return err
	}
	if c.cookie {
		a.Cookies.ClearSession(w)
	}
	return httpserve.WriteJSON(w, http.StatusNoContent, nil)
}
