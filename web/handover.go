package web

import (
	"net/http"
	"strconv"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
)

// handOverPage is the data of handover.html: the app of somebody who is there.
type handOverPage struct {
	App  setUpPage
	Back string
	Name string
}

func (h *Handler) getHandOver(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	return h.drawHandOver(w, r, cur, who, nil)
}

func (h *Handler) drawHandOver(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who, e *authn.Error) error {
	id := r.PathValue("id")
	shown, err := h.c.Directory.ShowHandOver(r.Context(), who, id, r.PathValue("factor"))
	if err != nil {
		return h.handOverGone(w, r, id, err)
	}
	v := h.personal(r, cur)
	p := handOverPage{Back: personPath(id), Name: shown.User.Name}
	if p.App, err = setUpData(v, enroll.Pending{Factor: shown.Factor, Version: shown.Version, Shown: shown.Shown}); err != nil {
		return err
	}
	p.App.Confirm = r.URL.Path
	status := http.StatusOK
	if e != nil {
		if !p.App.explain(w, v, e) {
			return e
		}
		status = max(p.App.Refusal.Status, http.StatusUnprocessableEntity)
	}
	v.Section, v.Title, v.Failed, v.Data = "people", v.T("admin.app.title", "Name", shown.User.Name), p.App.Refusal.Text != "", p
	return h.draw(w, status, "handover.html", v)
}

// handOverGone leads back to the person from a set-up that is over or done.
func (h *Handler) handOverGone(w http.ResponseWriter, r *http.Request, id string, err error) error {
	switch e := authn.AsError(err); {
	case e.Key == "error.factor_confirmed":
		return h.finish(w, personPath(id), "act_done")
	case e.Code == authn.Expired, e.Code == authn.NotFound && authn.CheckID(authn.UserID, id):
		httpserve.Record(r, err)
		return h.finish(w, personPath(id), "app_over")
	}
	return err
}

func (h *Handler) postHandOver(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	version, err := strconv.ParseInt(r.PostForm.Get("version"), 10, 64)
	if err != nil || version <= 0 {
		seeOther(w, r.URL.Path)
		return nil
	}
	id := r.PathValue("id")
	_, err = h.c.Directory.ConfirmHandOver(r.Context(), who, id, r.PathValue("factor"), version, r.PostForm.Get("code"))
	e := authn.AsError(err)
	switch {
	case err == nil:
		return h.finish(w, personPath(id), "act_done")
	case e.Key == "error.attempt_moved":
		seeOther(w, r.URL.Path) // Reload, or a second click
		return nil
	case e.Code == authn.Conflict, e.Code == authn.Expired, e.Code == authn.NotFound:
		return h.handOverGone(w, r, id, err)
	}
	httpserve.Record(r, err)
	return h.drawHandOver(w, r, cur, who, e)
}
