package web

import (
	"net/http"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/internal/phone"
	"github.com/sallyport-mfa/sallyport/session"
)

// profilePage is the data of profile.html.
type profilePage struct {
	Name, Login, Email string
	Phone              string // contact number; not the one for codes
	Verified           bool
	Locale             string
	Locales            []Choice
	NameError          string
	MayChange          bool // the e-mail address: the server sends mail
}

func (h *Handler) getProfile(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	return h.drawProfile(w, http.StatusOK, h.personal(r, cur), cur, profilePage{Name: cur.User.Name, Locale: cur.User.Locale})
}

func (h *Handler) drawProfile(w http.ResponseWriter, status int, v *View, cur session.Current, p profilePage) error {
	p.Login, p.Email, p.Verified = cur.User.Login, cur.User.Email, !cur.User.EmailVerifiedAt.IsZero()
	if p.Phone = cur.User.Phone; p.Phone != "" {
		if n, err := phone.FromE164(p.Phone); err == nil {
			p.Phone = n.International
		}
	}
	p.MayChange = h.offers(authn.Email)
	if languages := v.Languages(); len(languages) > 1 {
		p.Locales = append(p.Locales, Choice{Label: v.T("page.profile.language_auto"), Chosen: p.Locale == ""})
		for _, l := range languages {
			l.Chosen = l.Value == p.Locale
			p.Locales = append(p.Locales, l)
		}
	}
	v.Section, v.Title, v.Failed, v.Data = "profile", v.T("page.profile.title"), p.NameError != "", p
	return h.draw(w, status, "profile.html", v)
}

func (h *Handler) postProfile(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	name := r.PostForm.Get("name")
	change := directory.Profile{Name: &name}
	locale := cur.User.Locale
	if values, ok := r.PostForm["locale"]; ok && len(values) == 1 {
		// A language that was chosen once stays allowed, also after it was taken
		// off the list; another one must be on it.
		if locale = values[0]; locale != cur.User.Locale {
			change.Locale = &locale
		}
	}
	u, err := h.c.Directory.UpdateProfile(r.Context(), cur.Token, h.c.Texts.Languages(), change)
	if err != nil {
		e, v := authn.AsError(err), h.personal(r, cur)
		p := profilePage{Name: name, Locale: locale, NameError: v.fieldText(e, "name")}
		if p.NameError == "" {
			return err
		}
		httpserve.Record(r, err)
		return h.drawProfile(w, httpserve.Status(e.Code), v, cur, p)
	}
	if change.Locale != nil {
		h.remember(w, langCookie, u.Locale) // for the pages before signing in
	}
	return h.finish(w, accountPath, "profile")
}

// profileAgain is for a form that was open before the session was issued anew:
// it is drawn again with what was typed.
func (h *Handler) profileAgain(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	v := h.personal(r, cur)
	v.Notice, v.Warning = "page.done.changed_elsewhere", true
	p := profilePage{Name: r.PostForm.Get("name"), Locale: cur.User.Locale}
	if l := r.PostForm.Get("locale"); r.PostForm.Has("locale") && (l == "" || slices.Contains(h.c.Texts.Languages(), l)) {
		p.Locale = l
	}
	return h.drawProfile(w, http.StatusUnprocessableEntity, v, cur, p)
}
