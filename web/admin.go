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
	{"actions", actionsPath, "shield", "admin.actions.title", directory.KeysWrite, nil},
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

// mountKeys registers the pages of roles, keys, actions and API accounts.
func (h *Handler) mountKeys(m *httpserve.Mux) {
	m.Handle("GET "+rolesPath, h.admin(directory.RolesWrite, h.getRoles))
	m.Handle("POST "+rolesPath, h.admin(directory.RolesWrite, h.postRoles))
	m.Handle("GET "+keysPath, h.admin(directory.KeysWrite, h.getKeys))
	m.Handle("POST "+keysPath, h.admin(directory.KeysWrite, h.postKeys))
	m.Handle("GET "+keysPath+"/new", h.admin(directory.KeysWrite, h.getNewKey))
	m.Handle("GET "+keysPath+"/{id}", h.admin(directory.KeysWrite, h.getKey))
	m.Handle("POST "+keysPath+"/{id}", h.admin(directory.KeysWrite, h.postKey))
	m.Handle("GET "+actionsPath, h.admin(directory.KeysWrite, h.getActions))
	m.Handle("POST "+actionsPath, h.admin(directory.KeysWrite, h.postActions))
	m.Handle("GET "+apiPath("{id}"), h.admin(directory.UsersIdentity, h.getPersonAPI))
	m.Handle("POST "+apiPath("{id}"), h.admin(directory.UsersIdentity, h.postPersonAPI))
	m.Handle("GET "+exemptionsPath, h.admin(directory.ReportsRead, h.getExemptions))
}

// mountReports registers the overview, the reports and the event log.
func (h *Handler) mountReports(m *httpserve.Mux) {
	m.Handle("GET "+overviewPath, h.account(h.getOverview))
	m.Handle("GET "+signInsFilePath, h.admin(directory.ReportsRead, h.getSignInsFile))
	m.Handle("GET "+coveragePath, h.admin(directory.ReportsRead, h.getCoverage))
	m.Handle("GET "+coverageFilePath, h.admin(directory.ReportsRead, h.getCoverageFile))
	m.Handle("GET "+auditPath, h.admin(directory.AuditRead, h.getAudit))
	m.Handle("POST "+auditPath, h.admin(directory.AuditRead, h.postAudit))
	m.Handle("GET "+streamsPath, h.admin(directory.ProvidersWrite, h.getStreams))
	m.Handle("POST "+streamsPath, h.admin(directory.ProvidersWrite, h.postStreams))
}

// mountProviders registers the pages of what sends messages, and of Duo.
func (h *Handler) mountProviders(m *httpserve.Mux) {
	m.Handle("GET "+providerPath, h.admin(directory.ProvidersWrite, plainly(h.getProvider)))
	m.Handle("POST "+providerPath, h.admin(directory.ProvidersWrite, plainly(h.postProvider)))
	m.Handle("GET "+textsPath, h.admin(directory.ProvidersWrite, plainly(h.getTextsAdmin)))
	m.Handle("POST "+textsPath, h.admin(directory.ProvidersWrite, plainly(h.postTextsAdmin)))
	m.Handle("GET "+duoAdminPath, h.admin(directory.ProvidersWrite, plainly(h.getDuoAdmin)))
	m.Handle("POST "+duoAdminPath, h.admin(directory.ProvidersWrite, plainly(h.postDuoAdmin)))
}

// mountPolicy registers the pages of the sign-in rules.
func (h *Handler) mountPolicy(m *httpserve.Mux) {
	m.Handle("GET "+policyPath, h.admin(directory.PolicyWrite, h.getPolicy))
	m.Handle("POST "+policyPath, h.admin(directory.PolicyWrite, h.postPolicy))
	m.Handle("GET "+policyPreviewPath, h.admin(directory.PolicyWrite, h.getPolicyPreview))
	m.Handle("POST "+policyPath+"/save", h.admin(directory.PolicyWrite, h.postPolicySave))
	m.Handle("GET "+policyHistoryPath, h.admin(directory.PolicyWrite, h.getPolicyHistory))
}

// mountBranding registers how a company's pages look: where it is set, and what the
// pages fetch of it.
func (h *Handler) mountBranding(m *httpserve.Mux) {
	m.Handle("GET "+brandingPath, h.admin(directory.BrandingWrite, h.getBranding))
	m.Handle("POST "+brandingPath, h.adminUpload(directory.BrandingWrite, h.postBranding))
	m.Handle("GET "+brandingPath+"/colours/{file}", h.admin(directory.BrandingWrite, h.getPreviewColours))
	m.Handle("GET "+brandingPath+"/draft/{kind}/{file}", h.admin(directory.BrandingWrite, h.getLogoDraft))
	m.Handle("GET /brand/{file}", httpserve.Page(h.getBrandColours))
	m.Handle("GET /brand/{company}/{file}", httpserve.Page(h.getLogo))
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
// that it is them and comes back to it, or to the form that they sent.
func (h *Handler) admin(p directory.Permission, f adminFunc) http.Handler {
	return h.account(func(w http.ResponseWriter, r *http.Request, cur session.Current) error {
		who := directory.Session(cur.Token, httpserve.ClientOf(r))
		if _, err := h.c.Directory.Check(r.Context(), who, p); err != nil {
			return err
		}
		err := f(w, r, cur, who)
		if err != nil && authn.AsError(err).Code == authn.StepUpRequired {
			return h.confirm(w, r, cur, "admin", back(r))
		}
		return err
	})
}
