package web

import (
	"net/http"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
)

// adminSection is a page of the administration in the side navigation.
type adminSection struct {
	Section, Path, Icon, Label string // Label is a key of the catalogue
	permission                 directory.Permission
	here                       func(*Handler) bool // whether this server has it; nil: always
}

// adminSections are the pages of the administration, in the order of the side
// navigation: a line each. Who lacks the permission does not see the line, and
// the page refuses them (requirement H1).
var adminSections = []adminSection{
	{"policy", policyPath, "lock", "admin.policy.nav", directory.PolicyWrite, nil},
	{"branding", brandingPath, "brush", "admin.branding.nav", directory.BrandingWrite, nil},
	{"texts", textsPath, "message", "admin.texts.nav", directory.ProvidersWrite, func(h *Handler) bool { return h.c.Providers.HasTexts() }},
	{"duo", duoAdminPath, "shield", "method.duo", directory.ProvidersWrite, func(h *Handler) bool { return h.c.Providers.HasDuo() }},
	{"mail", providerPath, "mail", "admin.mail.nav", directory.ProvidersWrite, func(h *Handler) bool { return h.c.Providers.HasMail() }},
}

// adminNav are the sections that somebody may see.
func (h *Handler) adminNav(cur session.Current) []adminSection {
	var list []adminSection
	for _, s := range adminSections {
		if directory.Can(cur.Company, cur.User, s.permission) && (s.here == nil || s.here(h)) {
			list = append(list, s)
		}
	}
	return list
}

// adminFunc draws a page of the administration for somebody who may see it.
type adminFunc func(http.ResponseWriter, *http.Request, session.Current, directory.Who) error

// admin serves a page of the administration to those who hold the permission. A
// refusal is recorded. Where the page answers StepUpRequired, the person confirms
// that it is them and comes back to it.
func (h *Handler) admin(p directory.Permission, f adminFunc) http.Handler {
	return h.account(func(w http.ResponseWriter, r *http.Request, cur session.Current) error {
		who := directory.Session(cur.Token, httpserve.ClientOf(r))
		if _, err := h.c.Directory.Check(r.Context(), who, p); err != nil {
			return err
		}
		err := f(w, r, cur, who)
		if err != nil && authn.AsError(err).Code == authn.StepUpRequired {
			back := here(r)
			if back == "" {
				back = r.URL.Path // a form is filled in again: what was typed is not kept
			}
			return h.askConfirm(w, "admin", back)
		}
		return err
	})
}
