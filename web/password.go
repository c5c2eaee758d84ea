package web

import (
	"net/http"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/signin"
)

// passwordPage is the data of password.html (S23).
type passwordPage struct {
	Login   string
	Minimum int
	Current string // what is wrong with each field
	New     string
	Repeat  string
	Pause   *pause
	Focus   string // the field to begin with
	// Strength is of the password that was refused; nil: nothing is said.
	Strength *strengthView
}

func (h *Handler) getPassword(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	switch {
	case cur.User.ExternalID != "" && h.c.HostPassword != "":
		seeOther(w, h.c.HostPassword)
		return nil
	case cur.User.ExternalID != "":
		return authn.HostPassword()
	}
	ru, err := h.rulesOf(cur)
	if err != nil {
		return err
	}
	if len(ru.second) > 0 {
		// Asked for before anything is typed: passwords are not kept.
		if err := h.c.Enroll.Ready(r.Context(), who(r, cur)); authn.AsError(err).Code == authn.StepUpRequired {
			return h.askConfirm(w, "password", "")
		} else if err != nil {
			return err
		}
	}
	return h.drawPassword(w, http.StatusOK, h.personal(r, cur), cur, ru, passwordPage{Focus: "current"})
}

func (h *Handler) drawPassword(w http.ResponseWriter, status int, v *View, cur session.Current, ru rules, p passwordPage) error {
	p.Login, p.Minimum = cur.User.Login, policy.MinimumPassword(ru.doc, cur.User)
	v.Section, v.Title, v.Data = "security", v.T("page.password.title"), p
	v.Failed = p.Current != "" || p.New != "" || p.Repeat != ""
	return h.draw(w, status, "password.html", v)
}

func (h *Handler) postPassword(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	ru, err := h.rulesOf(cur)
	if err != nil {
		return err
	}
	v := h.personal(r, cur)
	next, by := r.PostForm.Get("new"), signin.Choosing{Session: cur.Token}
	if r.PostForm.Has(strengthField) {
		return h.writeStrength(w, r, v, by, next)
	}
	if next != r.PostForm.Get("confirm") && r.PostForm.Get("current") != "" && next != "" {
		return h.drawPassword(w, http.StatusUnprocessableEntity, v, cur, ru, passwordPage{Repeat: v.T("page.password.mismatch"), Focus: "new", Strength: h.strength(r, v, by, next)})
	}
	changed, err := h.c.Enroll.ChangePassword(r.Context(), who(r, cur), r.PostForm.Get("current"), next)
	if err == nil {
		h.changed(w, r, changed)
		return h.finish(w, securityPath, "password")
	}
	e := authn.AsError(err)
	if e.Code == authn.StepUpRequired {
		return h.beginConfirm(w, r, cur, "password", "")
	}
	p, ok := passwordRefusal(w, v, e)
	if !ok {
		return err
	}
	httpserve.Record(r, err)
	if p.New != "" {
		p.Strength = h.strength(r, v, by, next)
	}
	return h.drawPassword(w, httpserve.Status(e.Code), v, cur, ru, p)
}

func passwordRefusal(w http.ResponseWriter, v *View, e *authn.Error) (passwordPage, bool) {
	p := passwordPage{Focus: "current"}
	switch e.Code {
	case authn.ProviderUnavailable, authn.Busy:
		retryAfter(w, e.RetryAfter)
		p.New, p.Focus = httpserve.Message(v.texts, v.Lang, e), "new"
	case authn.WrongCredentials:
		p.Current = v.T("page.password.wrong")
	case authn.Paused, authn.TooManyRequests:
		retryAfter(w, e.RetryAfter)
		p.Current, p.Pause = v.T("page.password.paused"), v.pauseOf(v.now.Add(e.RetryAfter))
	case authn.Invalid:
		p.Current, p.New = v.fieldText(e, "current"), v.fieldText(e, "new")
		if p.New != "" {
			p.Focus = "new"
		}
		for _, f := range e.Fields {
			switch {
			case f.Name == "current" && f.Code == "required":
				p.Current = v.T("page.password.current_empty")
			case f.Name == "new" && f.Code == "required":
				p.New = v.T("page.password.new_empty")
			}
		}
	}
	return p, p.Current != "" || p.New != ""
}
