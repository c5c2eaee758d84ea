package web

import (
	"context"
	"net/http"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
)

// notMePage is the data of notme.html (S26).
type notMePage struct {
	Token    string
	Login    string
	What     string // what happened, in words; empty: not known any more
	At       Part
	Agent    string
	Reverted string // masked address that comes back; empty: none
}

// notMeDonePage is the data of notmedone.html.
type notMeDonePage struct {
	Reverted bool
	SignIn   string
}

// openNotMe reads the link. The answer to one that is no link of ours is that of
// one that was never given.
func (h *Handler) openNotMe(ctx context.Context, s string) (enroll.NotMe, authn.Token, error) {
	token, ok := authn.ParseToken(authn.LinkToken, s)
	if !ok {
		return enroll.NotMe{}, token, authn.NotFound
	}
	n, err := h.c.Enroll.NotMe(ctx, token)
	return n, token, err
}

// getNotMe says what happened and what the button does. It changes nothing:
// scanners of mail open links.
func (h *Handler) getNotMe(w http.ResponseWriter, r *http.Request) error {
	v := h.invitationView(w, r) // this address is a secret, too
	n, token, err := h.openNotMe(r.Context(), r.PathValue("token"))
	if err != nil {
		return h.notMeGone(w, r, v, n, err)
	}
	httpserve.Subject(r.Context(), n.Company.ID, n.User.ID, token.ID)
	h.locale(r, v, n.User)
	p := notMePage{Token: token.Reveal(), Login: n.User.Login}
	if n.Reverts {
		p.Reverted = policy.Mask(authn.Email, n.Link.Args["email"])
	}
	if e, ok := h.eventOf(r.Context(), n); ok {
		p.What, p.At = v.Event(e), v.Full(e.At)
		if e.Actor != operator {
			p.Agent = v.Agent(e.Personal.Agent)
		}
	}
	v.inCompany(n.Company)
	v.Title, v.Data = v.T("page.notme.title"), p
	return h.draw(w, http.StatusOK, "notme.html", v)
}

// locale is the person's language, unless this browser has one of its own.
func (h *Handler) locale(r *http.Request, v *View, u authn.User) {
	if u.Locale != "" && h.layout.cookie(r, langCookie) == "" {
		v.language(h.c.Texts.Match("", u.Locale))
	}
}

// eventOf finds the event that the link asks about.
func (h *Handler) eventOf(ctx context.Context, n enroll.NotMe) (authn.Event, bool) {
	q := authn.EventQuery{Target: n.User.ID, Limit: readEvents}
	for range readAtMost / readEvents {
		list, err := h.c.Audit.Events(ctx, n.Company.ID, q)
		if err != nil {
			return authn.Event{}, false // the page does without
		}
		for _, e := range list {
			if e.ID == n.Link.Event {
				return e, true
			}
			q.Before = e.ID
		}
		if len(list) < readEvents {
			break
		}
	}
	return authn.Event{}, false
}

// postNotMe secures the account. The token stands in the form, so that a link
// alone, however it is opened, does nothing.
func (h *Handler) postNotMe(w http.ResponseWriter, r *http.Request) error {
	if _, bearer := h.c.Cookies.Credential(r); bearer {
		return authn.Forbidden // see current
	}
	if err := h.c.Cookies.CheckSignInForm(r); err != nil {
		return err
	}
	token, ok := authn.ParseToken(authn.LinkToken, r.PostForm.Get("token"))
	if !ok {
		return h.notMeGone(w, r, h.anonymous(w, r), enroll.NotMe{}, authn.NotFound)
	}
	n, err := h.c.Enroll.Secure(r.Context(), token, httpserve.ClientOf(r))
	if err != nil {
		return h.notMeGone(w, r, h.anonymous(w, r), n, err)
	}
	httpserve.Subject(r.Context(), n.Company.ID, n.User.ID, token.ID)
	h.remember(w, companyCookie, n.Company.Slug)
	name := "secured"
	if n.Reverts {
		name = "secured_email"
	}
	return h.finish(w, notMePath+"/done", name)
}

func (h *Handler) getNotMeDone(w http.ResponseWriter, r *http.Request) error {
	name := h.finished(r)
	signIn := h.signInAddress(r.Context(), h.layout.cookie(r, companyCookie))
	if name != "secured" && name != "secured_email" {
		seeOther(w, signIn)
		return nil
	}
	v := h.anonymous(w, r)
	v.Title, v.Data = v.T("page.notme.done_title"), notMeDonePage{Reverted: name == "secured_email", SignIn: signIn}
	return h.draw(w, http.StatusOK, "notmedone.html", v)
}

// notMeGone is for a link that does nothing any more, or never did: a page each.
func (h *Handler) notMeGone(w http.ResponseWriter, r *http.Request, v *View, n enroll.NotMe, err error) error {
	e := authn.AsError(err)
	var what string
	switch e.Code {
	case authn.Conflict:
		what = "used"
	case authn.Expired:
		what = "expired"
	case authn.NotFound:
		what = "unknown"
	default:
		return err
	}
	httpserve.Record(r, err)
	v.inCompany(n.Company)
	v.Title = v.T("page.notme." + what + "_title")
	return h.drawGone(w, httpserve.Status(e.Code), v, gone{
		Text: v.T("page.notme." + what + "_text"), Button: v.T("page.notme.signin"),
		Action: withQuery(h.signInAddress(r.Context(), h.layout.cookie(r, companyCookie)), "return_to", securityPath),
	})
}
