package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// place is a session in the list of where a person is signed in.
type place struct {
	sessionState
	Current    bool      `json:"current"`
	Name       string    `json:"name,omitempty"`
	Agent      string    `json:"agent,omitempty"`
	LastSeenAt time.Time `json:"last_seen_at"`
	Place      *around   `json:"place,omitempty"` // where it was opened
}

// around is about where something came from.
type around struct {
	City    string `json:"city,omitempty"`
	Country string `json:"country"`
	Text    string `json:"text"`
}

// around is nil where it is not known. It decorates: nothing that fails is an error.
func (a *API) around(lang, address string) *around {
	p := authn.PlaceOf(a.Places, address, lang)
	if p.Country == "" {
		return nil
	}
	return &around{p.City, p.Country, a.Texts.Place(lang, p.City, p.Country)}
}

func (a *API) placeOf(r *http.Request, s authn.Session, c caller) place {
	p := place{sessionState: stateOf(s), Current: s.ID == c.Session.ID, Name: s.Name, Agent: s.Agent, LastSeenAt: stamp(s.LastSeenAt)}
	if a.Places != nil {
		if address, err := a.Audit.BegunFrom(r.Context(), s); err == nil {
			p.Place = a.around(a.language(r, c.User), address)
		}
	}
	return p
}

// sessions is GET /account/sessions, oldest first.
func (a *API) sessions(w http.ResponseWriter, r *http.Request, c caller) error {
	list, err := a.Sessions.List(r.Context(), c.Current)
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(x, y authn.Session) int { return strings.Compare(x.ID, y.ID) })
	some, err := paginate(r, list, authn.SessionID, func(s authn.Session) string { return s.ID })
	if err != nil {
		return err
	}
	out := page[place]{Items: make([]place, len(some.Items)), Next: some.Next}
	for i, s := range some.Items {
		out.Items[i] = a.placeOf(r, s, c)
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// endSession is DELETE /account/sessions/{id}; of the one that asks it is DELETE /session.
func (a *API) endSession(w http.ResponseWriter, r *http.Request, c caller) error {
	id := r.PathValue("id")
	if id == c.Session.ID {
		return a.signOut(w, r, c)
	}
	if err := a.Sessions.End(r.Context(), c.Current, id, c.client); err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusNoContent, nil)
}

// endOthers is DELETE /account/sessions.
func (a *API) endOthers(w http.ResponseWriter, r *http.Request, c caller) error {
	if err := a.Sessions.SignOutOthers(r.Context(), c.Token, c.client); err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusNoContent, nil)
}

// nameSession is PATCH /account/sessions/{id}.
func (a *API) nameSession(w http.ResponseWriter, r *http.Request, c caller) error {
	var in struct {
		Name string `json:"name" required:"true"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	s, err := a.Sessions.Rename(r.Context(), c.Current, r.PathValue("id"), in.Name, c.client)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, a.placeOf(r, s, c))
}
