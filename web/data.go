package web

import (
	"net/http"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
)

// getData is the page with the button that downloads what is held about the
// person (requirement K2). The proof is asked for before it, so that the button
// downloads and leads nowhere else.
func (h *Handler) getData(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if err := h.c.Enroll.Ready(r.Context(), who(r, cur)); authn.AsError(err).Code == authn.StepUpRequired {
		return h.askConfirm(w, "data", "")
	} else if err != nil {
		return err
	}
	v := h.personal(r, cur)
	v.Section, v.Title = "profile", v.T("page.data.title")
	return h.draw(w, http.StatusOK, "data.html", v)
}

// postDataFile is a POST, since it leaves an event (std-57).
func (h *Handler) postDataFile(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	e, err := h.c.Directory.ExportOwn(r.Context(), cur.Token, httpserve.ClientOf(r), cur.User.ID)
	if authn.AsError(err).Code == authn.StepUpRequired {
		return h.beginConfirm(w, r, cur, "data", "")
	}
	if err != nil {
		return err
	}
	return sendExport(w, r, e)
}

// sendExport sends the document as it is read; what fails half-way cuts the
// connection.
func sendExport(w http.ResponseWriter, r *http.Request, e *directory.Export) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="`+e.FileName()+`"`)
	if r.Method == http.MethodHead {
		return nil
	}
	return e.Write(r.Context(), w)
}
