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
	Section, Path, Icon, Label string               // Label is a key of the catalogue
	permission                 directory.Permission // empty: any
	here                       func(*Handler) bool  // whether this server has it; nil: always
}

// adminSections are the pages of the administration, in the order of the side
// navigation: a line each. Who lacks the permission does not see the line, and
// the page refuses them (requirement H1).
var adminSections = []adminSection{
	{"overview", overviewPath, "chart", "admin.overview.title", "", nil},
	{"people", peoplePath, "person", "people.title", directory.UsersRead, nil},
	{"approvals", approvalsPath, "clock", "admin.approvals.nav", directory.UsersRead, nil},
	{"policy", policyPath, "lock", "admin.policy.nav", directory.PolicyWrite, nil},
	{"roles", rolesPath, "person", "admin.roles.title", directory.RolesWrite, nil},
	{"exemptions", exemptionsPath, "list", "admin.exemptions.title", directory.ReportsRead, nil},
	{"keys", keysPath, "key", "admin.keys.title", directory.KeysWrite, nil},
	{"audit", auditPath, "list", "admin.audit.nav", directory.AuditRead, nil},
	{"branding", brandingPath, "brush", "admin.branding.nav", directory.BrandingWrite, nil},
	{"texts", textsPath, "message", "admin.texts.nav", directory.ProvidersWrite, func(h *Handler) bool { return h.c.Providers.HasTexts() }},
	{"duo", duoAdminPath, "shield", "method.duo", directory.ProvidersWrite, func(h *Handler) bool { return h.c.Providers.HasDuo() }},
	{"mail", providerPath, "mail", "admin.mail.nav", directory.ProvidersWrite, func(h *Handler) bool { return h.c.Providers.HasMail() }},
}

// adminNav are the sections that somebody may see.
func (h *Handler) adminNav(cur session.Current) []adminSection {
	var list []adminSection
	for _, s := range adminSections {
		may := directory.Can(cur.Company, cur.User, s.permission) || s.permission == "" && directory.Administrative(cur.Company, cur.User)
		if may && (s.here == nil || s.here(h)) {
			list = append(list, s)
		}
	}
	return list
}

// mountKeys registers the pages of roles, keys and API accounts.
func (h *Handler) mountKeys(m *httpserve.Mux) {
	m.Handle("GET "+rolesPath, h.admin(directory.RolesWrite, h.getRoles))
	m.Handle("POST "+rolesPath, h.admin(directory.RolesWrite, h.postRoles))
	m.Handle("GET "+keysPath, h.admin(directory.KeysWrite, h.getKeys))
	m.Handle("POST "+keysPath, h.admin(directory.KeysWrite, h.postKeys))
	m.Handle("GET "+keysPath+"/new", h.admin(directory.KeysWrite, h.getNewKey))
	m.Handle("GET "+keysPath+"/{id}", h.admin(directory.KeysWrite, h.getKey))
	m.Handle("POST "+keysPath+"/{id}", h.admin(directory.KeysWrite, h.postKey))
	m.Handle("GET "+apiPath("{id}"), h.admin(directory.UsersIdentity, h.getPersonAPI))
	m.Handle("POST "+apiPath("{id}"), h.admin(directory.UsersIdentity, h.postPersonAPI))
	m.Handle("GET "+exemptionsPath, h.admin(directory.ReportsRead, h.getExemptions))
}

// adminFunc draws a page of the administration for somebody who may see it.
type adminFunc func(http.ResponseWriter, *http.Request, session.Current, directory.Who) error

// plainly is a page that asks for itself how recent the proof is.
func plainly(f accountFunc) adminFunc {
	return func(w http.ResponseWriter, r *http.Request, cur session.Current, _ directory.Who) error {
		return f(w, r, cur)
	}
}

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
