package web

import (
	"net/http"
	"path"
	"slices"
	"strconv"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/remote"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/signin"
)

// answered is the way whose answer is there or waited for, else the usual one.
func answered(st signin.Status, usual policy.Offer) policy.Offer {
	if o, ok := approvedBy(st.Need, st.Sent); ok {
		return o
	}
	if o, ok := (step{Status: st}).waitsFor(); ok {
		return o
	}
	return usual
}

// duo is what Duo asks for in a confirmation.
func (p *confirmPage) duo(v *View, st signin.Status, o policy.Offer) {
	at := withQuery(p.Action, "way", o.Factor)
	forms := duoForms{
		Fields: []hidden{{"form", v.Form}, {"version", strconv.FormatInt(p.Version, 10)}, {"kind", string(o.Kind)}},
		Start:  p.Action + "/duo/start", Ways: p.Action + "/duo/ways", Code: p.Action, Approve: p.Action + "/continue",
		Here: at, All: withQuery(p.Action, "way", o.Factor, "duo", duoAll), Label: v.T("page.duo.continue"), Busy: v.T("page.confirm.busy"),
	}
	again := v.duoAgain(slices.Concat(sentFor(st.SentBefore, o.Factor), sentFor(st.Sent, o.Factor)), st.ResendAt(o.Factor))
	p.Show, p.Duo = confirmDuo, v.duoPart(forms, duoAsked(st.Sent, o.Factor), again, p.Refusal, p.DuoProblem)
	if _, ok := approvedBy(st.Need, st.Sent); ok {
		p.Duo.Show, v.Refresh = duoApproved, 0
	}
}

// openDuoForm opens a form of a confirmation that Duo answers. One that was drawn
// for an earlier state only leads to the present one.
func (h *Handler) openDuoForm(w http.ResponseWriter, r *http.Request, cur session.Current) (st signin.Status, o signin.Opener, ok bool, err error) {
	if st, o, err = h.openStepUp(r, cur); err != nil {
		return st, o, false, h.overOrElse(w, err)
	}
	if version, bad := strconv.ParseInt(r.PostForm.Get("version"), 10, 64); bad != nil || version != st.Attempt.Version {
		return st, o, false, h.toStepUp(w, st, "")
	}
	return st, o, true, nil
}

// postConfirmDuo has Duo ask, or say what it would take.
func (h *Handler) postConfirmDuo(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	st, o, ok, err := h.openDuoForm(w, r, cur)
	if !ok {
		return err
	}
	offer, ok := offerOf(st.Need, string(authn.Duo))
	if !ok {
		return h.toStepUp(w, st, "")
	}
	to := withQuery(confirmPath+"/"+st.Attempt.ID, "way", offer.Factor)
	if path.Base(r.URL.Path) == "ways" {
		to = withQuery(confirmPath+"/"+st.Attempt.ID, "way", offer.Factor, "duo", duoAll)
		_, _, err = h.c.SignIn.Options(r.Context(), o, offer.Kind, offer.Factor)
	} else {
		_, err = h.c.SignIn.Start(r.Context(), o, offer.Kind, offer.Factor, r.PostForm.Get("option"))
	}
	switch e := authn.AsError(err); {
	case err == nil:
		seeOther(w, to)
		return nil
	case e.Key == "error.send_wait" && remote.Asking(st.Sent, offer.Factor):
		seeOther(w, to) // a second click
		return nil
	case e.Code == authn.Conflict && e.Key == "error.duo_approved":
		return h.toStepUp(w, st, offer.Factor)
	case e.Code == authn.NotFound, e.Code == authn.Expired, e.Code == authn.Conflict:
		return h.overOrElse(w, err)
	}
	return h.refuseConfirm(w, r, cur, o, offer.Factor, err)
}

// postConfirmReady uses the approval and goes on with the act.
func (h *Handler) postConfirmReady(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	st, o, ok, err := h.openDuoForm(w, r, cur)
	if !ok {
		return err
	}
	done, err := h.c.SignIn.Complete(r.Context(), o)
	switch e := authn.AsError(err); {
	case err == nil:
		return h.confirmed(w, r, st, done)
	case e.Code == authn.Conflict && e.Key == "error.attempt_not_ready", e.Code == authn.PolicyForbids:
		return h.toStepUp(w, st, "")
	}
	return h.overOrElse(w, err)
}
