package web

import (
	"net/http"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/session"
)

// continuePage is the data of continue.html.
type continuePage struct{ To, Site string }

// getContinue hands a finished sign-in back (S13). The address is the session's
// own, never one that the request names (ruling 7); checked again here, because
// it is about to be used.
func (h *Handler) getContinue(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	to, err := h.registered(r, cur.Company.ID, cur.Session.ReturnTo)
	if err != nil {
		return err
	}
	if _, leaves := authn.ParseReturn(to); leaves {
		return h.askReturn(w, r, cur, to)
	}
	to = safe(to, h.c.Home)
	v := h.personal(r, cur)
	v.Shape, v.Person, v.Section = Card, nil, ""
	v.Title, v.Data = v.T("page.continue.title"), continuePage{To: to}
	w.Header().Set("Refresh", "0; url="+to)
	return h.draw(w, http.StatusOK, "continue.html", v)
}
