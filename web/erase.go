package web

import (
	"net/http"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
)

// erasePath is the page that erases a person.
const erasePath = "/admin/people/{id}/erase"

// erasePage is the data of erase.html.
type erasePage struct {
	ID, Name, Login     string
	Email               bool // they get a last letter
	Self                bool
	Typed, Reason       string
	LoginErr, ReasonErr string
	Refusal             string
	Waits               []Part // what waits for a second person
	Erased              []Part // when it was done; nothing else is known any more
}

func (h *Handler) mountErase(m *httpserve.Mux) {
	m.Handle("GET "+erasePath, h.admin(directory.UsersIdentity, h.getErase))
	m.Handle("POST "+erasePath, h.admin(directory.UsersIdentity, h.postErase))
	m.Handle("POST /admin/people/{id}/export", h.admin(directory.UsersIdentity, h.postExport))
}

// erased finds the person of the address. Of one who was erased there is only
// when; of any other id not even that.
func (h *Handler) erased(r *http.Request, cur session.Current) (authn.User, *authn.Tombstone, error) {
	id := r.PathValue("id")
	if !authn.CheckID(authn.UserID, id) {
		return authn.User{}, nil, authn.NotFound
	}
	u, _, err := h.c.Directory.Lookup(r.Context(), cur.Company, id)
	if authn.AsError(err).Code != authn.NotFound {
		return u, nil, err
	}
	stones, bad := h.c.Directory.Erased(r.Context(), cur.Company.ID, []string{id})
	if t, ok := stones[id]; ok && bad == nil {
		return authn.User{}, &t, nil
	}
	if bad != nil {
		err = bad
	}
	return authn.User{}, nil, err
}

func (h *Handler) getErase(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	u, gone, err := h.erased(r, cur)
	if err != nil {
		return err
	}
	if gone != nil {
		v := h.personal(r, cur)
		v.Section, v.Title = "people", v.T("admin.erase.done")
		v.Data = erasePage{Erased: v.Rich("admin.erase.at", "Time", v.When(gone.At))}
		return h.draw(w, http.StatusOK, "erase.html", v)
	}
	act, _ := directory.ActOf(directory.Erase)
	if err := h.c.Directory.Ready(r.Context(), who, act); err != nil {
		return err // StepUpRequired leads to the confirmation, and back
	}
	return h.drawErase(w, r, http.StatusOK, cur, u, erasePage{})
}

func (h *Handler) drawErase(w http.ResponseWriter, r *http.Request, status int, cur session.Current, u authn.User, p erasePage) error {
	v := h.personal(r, cur)
	p.ID, p.Name, p.Login, p.Self = u.ID, u.Name, u.Login, u.ID == cur.User.ID
	p.Email = u.Email != "" && !u.EmailVerifiedAt.IsZero() && h.offers(authn.Email)
	v.Section, v.Title, v.Data = "people", v.T("admin.erase.title", "Name", u.Name), p
	v.Failed = p.LoginErr != "" || p.ReasonErr != "" || p.Refusal != ""
	return h.draw(w, status, "erase.html", v)
}

func (h *Handler) postErase(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	u, gone, err := h.erased(r, cur)
	if err != nil {
		return err
	}
	if gone != nil { // pressed twice, or by two people
		seeOther(w, r.URL.Path)
		return nil
	}
	p := erasePage{Typed: r.PostForm.Get("login"), Reason: r.PostForm.Get("reason")}
	out, err := h.c.Directory.EraseUser(r.Context(), who, u.ID, p.Typed, p.Reason)
	switch e := authn.AsError(err); {
	case err == nil && out.Waits != nil:
		v := h.personal(r, cur)
		p.Waits = v.Rich("admin.erase.waits", "Time", v.When(out.Waits.NotBefore))
		return h.drawErase(w, r, http.StatusOK, cur, u, p)
	case err == nil, e.Code == authn.NotFound:
		seeOther(w, r.URL.Path)
		return nil
	case e.Code == authn.Invalid:
		v := h.personal(r, cur)
		if p.LoginErr, p.ReasonErr = v.fieldText(e, "login"), v.fieldText(e, "reason"); p.LoginErr == "" && p.ReasonErr == "" {
			return err
		}
	case e.Code == authn.Conflict:
		v := h.personal(r, cur)
		p.Refusal = httpserve.Message(v.texts, v.Lang, e)
	default:
		return err
	}
	httpserve.Record(r, err)
	return h.drawErase(w, r, httpserve.Status(authn.AsError(err).Code), cur, u, p)
}

// postExport is the copy of what is held about somebody else.
func (h *Handler) postExport(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	id := r.PathValue("id")
	if !authn.CheckID(authn.UserID, id) {
		return authn.NotFound
	}
	e, err := h.c.Directory.Export(r.Context(), who, id)
	if authn.AsError(err).Code == authn.StepUpRequired {
		// After a confirmation that ends in a download its page would stand there for ever.
		return h.beginConfirm(w, r, cur, "admin", "/admin/people/"+id+"/erase")
	}
	if err != nil {
		return err
	}
	return sendExport(w, r, e)
}
