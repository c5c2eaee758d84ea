package httpapi

import (
	"net/http"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// exportOwn is GET /account/export.
func (a *API) exportOwn(w http.ResponseWriter, r *http.Request, c caller) error {
	e, err := a.Directory.ExportOwn(r.Context(), c.Token, c.client, c.User.ID)
	if err != nil {
		return err
	}
	return sendExport(w, r, e)
}

// exportUser is GET /users/{id}/export.
func (a *API) exportUser(w http.ResponseWriter, r *http.Request, m manager) error {
	id, err := userID(r)
	if err != nil {
		return err
	}
	e, err := a.Directory.Export(r.Context(), m.who, id)
	if err != nil {
		return err
	}
	return sendExport(w, r, e)
}

// userID is the person that a path names. A login leads nowhere here.
func userID(r *http.Request) (string, error) {
	id := r.PathValue("id")
	if !authn.CheckID(authn.UserID, id) {
		return "", authn.NotFound
	}
	return id, nil
}

// sendExport sends the document as it is read. What fails half-way cuts the
// connection: half a document is not taken for a whole one.
func sendExport(w http.ResponseWriter, r *http.Request, e *directory.Export) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="`+e.FileName()+`"`)
	if r.Method == http.MethodHead {
		return nil
	}
	return e.Write(r.Context(), w)
}

// eraseUser is DELETE /users/{id}. The login is said again, so that a wrong id
// erases nobody.
func (a *API) eraseUser(w http.ResponseWriter, r *http.Request, m manager) error {
	var in struct {
		Login  string `json:"login" required:"true"`
		Reason string `json:"reason" required:"true"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	id, err := userID(r)
	if err != nil {
		return err
	}
	out, err := a.Directory.EraseUser(r.Context(), m.who, id, in.Login, in.Reason)
	if err != nil {
		return err
	}
	if out.Waits != nil {
		return httpserve.WriteJSON(w, http.StatusAccepted, struct {
			Waiting waiting `json:"waiting"`
		}{waitingOf(*out.Waits)})
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
