package web

import (
	"net/http"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
)

// turnOffPage is the data of turnoff.html (S22).
type turnOffPage struct {
	Factor string
	Last   bool // policy asks for one, and this is the last: no button
	Why    []string
}

func (h *Handler) getTurnOff(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	app := activeApp(cur.Factors)
	if app == nil {
		seeOther(w, securityPath)
		return nil
	}
	ru, err := h.rulesOf(cur)
	if err != nil {
		return err
	}
	p := turnOffPage{Factor: app.ID, Last: ru.demanded && len(ru.second) <= 1}
	if !p.Last {
		// Asked for now rather than after the button.
		if err := h.c.Enroll.Ready(r.Context(), who(r, cur)); authn.AsError(err).Code == authn.StepUpRequired {
			return h.askConfirm(w, "app_off", "")
		} else if err != nil {
			return err
		}
	}
	return h.drawTurnOff(w, http.StatusOK, h.personal(r, cur), cur, ru, p)
}

func (h *Handler) drawTurnOff(w http.ResponseWriter, status int, v *View, cur session.Current, ru rules, p turnOffPage) error {
	if p.Last {
		p.Why = v.why(demands(ru, cur), cur.Company.Name)
	}
	v.Section, v.Title, v.Data = "security", v.T("page.off.title"), p
	return h.draw(w, status, "turnoff.html", v)
}

func (h *Handler) postTurnOff(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	app := activeApp(cur.Factors)
	if app == nil || app.ID != r.PostForm.Get("factor") {
		seeOther(w, securityPath) // another one than the page showed, or none
		return nil
	}
	changed, err := h.c.Enroll.Remove(r.Context(), who(r, cur), app.ID)
	switch authn.AsError(err).Code {
	case authn.StepUpRequired:
		return h.askConfirm(w, "app_off", "")
	case authn.PolicyForbids:
		ru, bad := h.rulesOf(cur)
		if bad != nil {
			return bad
		}
		return h.drawTurnOff(w, http.StatusForbidden, h.personal(r, cur), cur, ru, turnOffPage{Last: true})
	}
	if err != nil {
		return err
	}
	h.changed(w, changed)
	seeOther(w, securityPath+"?done=app_off")
	return nil
}

// demands are the rules that ask for a second way whatever the person has.
func demands(ru rules, cur session.Current) []policy.Reason {
	return policy.Why(ru.doc, cur.User, nil)
}
