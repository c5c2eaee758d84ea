package httpapi

import (
	"net/http"
	"time"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/notice"
)

// eventsShown is how far back a person sees what happened to their account.
const eventsShown = 90 * 24 * time.Hour

// ownEvent is one thing that happened to the account of whoever asks. Where it
// came from is told to the network, which is enough to tell home from abroad; of
// what somebody else did it is not told.
type ownEvent struct {
	ID      string       `json:"id"`
	Type    string       `json:"type"`
	At      time.Time    `json:"at"`
	Result  authn.Result `json:"result"`
	Agent   string       `json:"agent,omitempty"`
	Address string       `json:"address,omitempty"`
	Place   *around      `json:"place,omitempty"`
	Text    string       `json:"text"`
}

// events is GET /account/events, newest first.
func (a *API) events(w http.ResponseWriter, r *http.Request, c caller) error {
	limit, err := readLimit(r)
	if err != nil {
		return err
	}
	q := authn.EventQuery{Target: c.User.ID, Limit: limit}
	if s, ok := r.URL.Query()["cursor"]; ok {
		if !authn.CheckID(authn.EventID, s[0]) {
			return authn.InvalidField("cursor", "invalid", nil)
		}
		q.Before = s[0]
	}
	list, err := a.recent(r, c, q)
	if err != nil {
		return err
	}
	out := page[ownEvent]{Items: []ownEvent{}}
	lang := a.language(r, c.User)
	for _, e := range list {
		own := ownEvent{ID: e.ID, Type: e.Type, At: stamp(e.At), Result: e.Result, Text: a.Texts.Text(lang, audit.TextKey(e, a.Texts.Has), nil)}
		if !audit.ByOther(e) {
			own.Agent, own.Address = e.Personal.Agent, notice.Network(e.Personal.Address)
			own.Place = a.around(lang, e.Personal.Address)
		}
		out.Items = append(out.Items, own)
	}
	if len(list) == limit {
		q.Before, q.Limit = list[limit-1].ID, 1
		more, err := a.recent(r, c, q)
		if err != nil {
			return err
		}
		if len(more) > 0 {
			out.Next = q.Before
		}
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// recent are the events that a query finds, up to the first that is too old.
func (a *API) recent(r *http.Request, c caller, q authn.EventQuery) ([]authn.Event, error) {
	list, err := a.Audit.Events(r.Context(), c.Company.ID, q)
	if err != nil {
		return nil, err
	}
	since := a.Now().Add(-eventsShown)
	for i, e := range list {
		if e.At.Before(since) {
			return list[:i], nil
		}
	}
	return list, nil
}
