package web

import (
	"net/http"
	"net/url"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/signin"
)

// invitationPage is the data of invitation.html (ruling 57): whoever was invited
// chooses a password.
type invitationPage struct {
	Field   passwordPage
	Login   string
	Token   string
	Name    string
	Until   Part
	Owner   bool
	Problem string
}

// getInvitation shows an invitation. It uses nothing up: mail scanners open
// links too.
func (h *Handler) getInvitation(w http.ResponseWriter, r *http.Request) error {
	v := h.invitationView(w, r)
	token, ok := authn.ParseToken(authn.LinkToken, r.PathValue("token"))
	if !ok {
		return h.invitationGone(w, r, v, authn.NotFound)
	}
	in, err := h.c.SignIn.Invitation(r.Context(), token)
	if err != nil {
		return h.invitationGone(w, r, v, err)
	}
	return h.drawInvitation(w, r, http.StatusOK, v, token, in, invitationPage{})
}

// invitationView is the view of a page whose address is a secret: no request
// that the page causes names it, neither to us. The origin alone has to be
// there, for forms (see httpserve's headers).
func (h *Handler) invitationView(w http.ResponseWriter, r *http.Request) *View {
	w.Header().Set("Referrer-Policy", "strict-origin")
	return h.anonymous(w, r)
}

func (h *Handler) drawInvitation(w http.ResponseWriter, r *http.Request, status int, v *View, token authn.Token, in signin.Invited, p invitationPage) error {
	httpserve.Subject(r.Context(), in.Company.ID, in.User.ID)
	p.Login, p.Field.Minimum, p.Token, p.Name = in.User.Login, in.Minimum, token.Reveal(), in.User.Name
	p.Until, p.Owner = v.When(in.Link.ExpiresAt), in.Link.Purpose == authn.OwnerLink
	v.inCompany(in.Company)
	v.Title = v.T("page.invitation.title", "Company", in.Company.Name)
	v.Failed, v.Data = p.Field.New != "" || p.Field.Repeat != "" || p.Problem != "", p
	return h.draw(w, status, "invitation.html", v)
}

// invitationGone says why a link leads nowhere. Who was invited is not said.
func (h *Handler) invitationGone(w http.ResponseWriter, r *http.Request, v *View, err error) error {
	reason := "unknown"
	switch authn.AsError(err).Code {
	case authn.NotFound:
	case authn.Expired:
		reason = "expired"
	case authn.Conflict:
		reason = "used"
	default:
		return err
	}
	v.Title = v.T("page.invitation." + reason + "_title")
	return h.drawGone(w, recorded(r, err), v, gone{Text: v.T("page.invitation." + reason), Button: v.T("page.unknown_company.button"), Action: signInPath})
}

// postInvitation uses the link: it sets the password and begins the sign-in.
func (h *Handler) postInvitation(w http.ResponseWriter, r *http.Request) error {
	form, err := httpserve.Form(r)
	if err != nil {
		return err
	}
	cookies := httpserve.ClientOf(r).Browser != ""
	if cookies {
		if err := h.c.Cookies.CheckSignInForm(r); err != nil {
			return err
		}
	}
	v := h.invitationView(w, r)
	token, ok := authn.ParseToken(authn.LinkToken, form.Get("token"))
	if !ok {
		return h.invitationGone(w, r, v, authn.NotFound)
	}
	in, err := h.c.SignIn.Invitation(r.Context(), token)
	if err != nil {
		return h.invitationGone(w, r, v, err)
	}
	if !cookies {
		return h.drawInvitation(w, r, http.StatusBadRequest, v, token, in, invitationPage{Problem: v.T("page.signin.cookies")})
	}
	next, by := form.Get("password"), signin.Choosing{Link: token}
	if form.Has(strengthField) {
		return h.writeStrength(w, r, v, by, next)
	}
	if p, ok := repeated(v, form); !ok {
		p.Field.Strength = h.strength(r, v, by, next)
		return h.drawInvitation(w, r, http.StatusUnprocessableEntity, v, token, in, p)
	}
	st, err := h.c.SignIn.Accept(r.Context(), token, next, "", httpserve.ClientOf(r))
	if err != nil {
		return h.refuseInvitation(w, r, v, token, in, next, err)
	}
	httpserve.Subject(r.Context(), st.Company.ID, st.User.ID, st.Attempt.ID)
	h.remember(w, companyCookie, st.Company.Slug)
	if st.Done() {
		return h.completed(w, r, st)
	}
	seeOther(w, h.signInAddress(r.Context(), st.Company.Slug)+"/"+st.Attempt.ID)
	return nil
}

func repeated(v *View, form url.Values) (invitationPage, bool) {
	var p invitationPage
	if next := form.Get("password"); next != "" && next != form.Get("confirm") {
		p.Field.Repeat = v.T("page.password.mismatch")
		return p, false
	}
	return p, true
}

func (h *Handler) refuseInvitation(w http.ResponseWriter, r *http.Request, v *View, token authn.Token, in signin.Invited, next string, err error) error {
	e := authn.AsError(err)
	var p invitationPage
	switch e.Code {
	case authn.Invalid:
		p.Field.New = v.fieldText(e, "password")
		if e.Fields[0].Code == "required" {
			p.Field.New = v.T("page.password.new_empty")
		} else {
			p.Field.Strength = h.strength(r, v, signin.Choosing{Link: token}, next)
		}
	case authn.Busy, authn.ProviderUnavailable:
		retryAfter(w, e.RetryAfter)
		p.Problem = httpserve.Message(h.c.Texts, v.Lang, e)
	default:
		return h.invitationGone(w, r, v, err)
	}
	return h.drawInvitation(w, r, recorded(r, err), v, token, in, p)
}
