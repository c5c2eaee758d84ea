package web

import (
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
)

// The addresses of the account.
const (
	mailPath     = "/account/security/email"
	mailOffPath  = "/account/security/email/off"
	phonePath    = "/account/security/phone"
	phoneOffPath = "/account/security/phone/off"
	codesPath    = "/account/security/backup-codes"
	newCodesPath = "/account/security/backup-codes/new"
	usualPath    = "/account/security/usual"
	addressPath  = "/account/email"
	dataPath     = "/account/data"
	devicesPath  = "/account/devices"
	activityPath = "/account/activity"
	notMePath    = "/not-me"
)

// mountAccount registers the pages of people who are signed in, and the page of
// "this wasn't me" links.
func (h *Handler) mountAccount(m *httpserve.Mux) {
	m.Handle("GET "+accountPath, h.account(h.getProfile))
	m.Handle("POST "+accountPath, h.accountForm(h.postProfile, h.profileAgain))
	m.Handle("GET "+addressPath, h.account(h.getAddress))
	m.Handle("POST "+addressPath, h.accountForm(h.postAddress, h.addressAgain))
	h.mountSent(m, addressPath)

	m.Handle("GET "+securityPath, h.account(h.getSecurity))
	m.Handle("POST "+securityPath+"/sign-out-others", h.account(h.postSignOutOthers))
	m.Handle("POST "+usualPath, h.account(h.postUsual))
	m.Handle("POST "+appPath, h.account(h.postSetUp))
	m.Handle("GET "+appPath+"/{factor}", h.account(h.getSetUp))
	m.Handle("POST "+appPath+"/{factor}/confirm", h.account(h.postSetUpConfirm))
	m.Handle("POST "+appPath+"/{factor}/cancel", h.account(h.postSetUpCancel))
	m.Handle("GET "+appOffPath, h.account(h.getTurnOff))
	m.Handle("POST "+appOffPath, h.account(h.postTurnOff))
	m.Handle("POST "+mailPath, h.account(h.postMail))
	h.mountSent(m, mailPath)
	h.mountDuoSetUp(m)
	h.mountPasskeys(m)
	m.Handle("GET "+mailOffPath, h.account(h.getTurnOff))
	m.Handle("POST "+mailOffPath, h.account(h.postTurnOff))
	m.Handle("GET "+phonePath, h.account(h.getPhone))
	m.Handle("POST "+phonePath, h.accountForm(h.postPhone, h.phoneAgain))
	h.mountSent(m, phonePath)
	m.Handle("GET "+phoneOffPath, h.account(h.getTurnOff))
	m.Handle("POST "+phoneOffPath, h.account(h.postTurnOff))
	m.Handle("GET "+codesPath, h.account(h.getCodes))
	m.Handle("POST "+codesPath, h.account(h.postCodes))
	m.Handle("GET "+codesPath+".txt", h.account(h.getCodesFile))
	m.Handle("GET "+newCodesPath, h.account(h.getNewCodes))
	m.Handle("POST "+newCodesPath, h.account(h.postNewCodes))
	m.Handle("GET "+passwordPath, h.account(h.getPassword))
	m.Handle("POST "+passwordPath, h.account(h.postPassword))

	m.Handle("GET "+confirmPath, h.account(h.getConfirm))
	m.Handle("POST "+confirmPath, h.account(h.postConfirm))
	m.Handle("GET "+confirmPath+"/{attempt}", h.account(h.getConfirmAttempt))
	m.Handle("POST "+confirmPath+"/{attempt}/duo/start", h.account(h.postConfirmDuo))
	m.Handle("POST "+confirmPath+"/{attempt}/duo/ways", h.account(h.postConfirmDuo))
	m.Handle("POST "+confirmPath+"/{attempt}"+passkeySuffix, h.account(h.postConfirmPasskey))
	m.Handle("POST "+confirmPath+"/{attempt}/continue", h.account(h.postConfirmReady))
	m.Handle("POST "+confirmPath+"/{attempt}", h.account(h.postConfirmAttempt))
	m.Handle("GET "+confirmPath+"/{attempt}/form", h.account(h.getKept))
	m.Handle("POST "+confirmPath+"/{attempt}/form", h.account(h.postKept))

	m.Handle("GET "+dataPath, h.account(h.getData))
	m.Handle("POST "+dataPath+"/export", h.account(h.postDataFile))

	m.Handle("GET "+devicesPath, h.account(h.getDevices))
	m.Handle("POST "+devicesPath+"/{session}/name", h.accountForm(h.postDeviceName, h.deviceAgain))
	m.Handle("POST "+devicesPath+"/{session}/end", h.account(h.postDeviceEnd))
	m.Handle("POST "+devicesPath+"/trusted/{browser}/name", h.accountForm(h.postTrustedName, h.trustedAgain))
	m.Handle("POST "+devicesPath+"/trusted/end", h.account(h.postStopTrusting))
	m.Handle("POST "+devicesPath+"/trusted/{browser}/end", h.account(h.postStopTrusting))
	m.Handle("GET "+activityPath, h.account(h.getActivity))
	m.Handle("GET "+activityPath+".csv", h.account(h.getActivityFile))

	m.Handle("GET "+notMePath+"/{token}", httpserve.Page(h.getNotMe))
	m.Handle("POST "+notMePath, httpserve.Page(h.postNotMe))
	m.Handle("GET "+notMePath+"/done", httpserve.Page(h.getNotMeDone))
}

// mountSent registers the page of a code that was sent to confirm an address.
func (h *Handler) mountSent(m *httpserve.Mux, base string) {
	m.Handle("GET "+base+"/{factor}", h.account(h.preparedBy(h.getSent)))
	for verb, f := range map[string]accountFunc{"confirm": h.postSentConfirm, "send": h.postSentAgain, "cancel": h.postSentCancel} {
		m.Handle("POST "+base+"/{factor}/"+verb, h.account(f))
	}
}

// noSuccess are those of the texts "page.done." and a name that are no good news.
var noSuccess = []string{"act_waits", "app_over", "approval_over", "branding_moved", "changed_elsewhere", "codes_over", "confirm_over", "form_not_kept", "mail_moved", "not_sent", "policy_moved"}

// doneCookie stands behind what "?done=" says. The act sets it, so that a link
// that somebody made up says nothing: only the two together are shown.
const doneCookie = "sallyport_done"

// Seconds for which a page says what was done; Reload within them says it again.
const doneLives = 60

// finish leads on after an act, to a page that says so: "page.done." + name, or in
// its own words.
func (h *Handler) finish(w http.ResponseWriter, address, name string) error {
	h.setTaste(w, doneCookie, name, doneLives)
	seeOther(w, withQuery(address, "done", name))
	return nil
}

// finished is what was just done; empty: nothing.
func (h *Handler) finished(r *http.Request) string {
	name := r.URL.Query().Get("done")
	if name == "" || h.layout.cookie(r, doneCookie) != name {
		return ""
	}
	return name
}

// setTaste sets a cookie that names nobody and opens nothing. age 0: until the
// browser is closed; less: the cookie is taken away.
func (h *Handler) setTaste(w http.ResponseWriter, name, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: tasteName(h.c.Cookies, name), Value: value, MaxAge: age,
		Path: "/", Secure: h.c.Cookies.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// formsCookie holds the form values of the sessions that the present one took
// the place of, of the same person in the same browser. A form with one of them
// was open in another tab when the session was issued anew: it is not carried
// out, and not met with a refusal either.
const formsCookie = "sallyport_forms"

// How many of them are kept.
const formsKept = 8

func (h *Handler) olderForms(r *http.Request) []string {
	c, err := r.Cookie(tasteName(h.c.Cookies, formsCookie))
	if err != nil || c.Value == "" || len(c.Value) > formsKept*27 {
		return nil
	}
	return strings.Split(c.Value, ".")
}

// isOlder reports whether the posted form is of such a session.
func (h *Handler) isOlder(r *http.Request) bool {
	got := r.PostForm[httpserve.FormField]
	return len(got) == 1 && got[0] != "" && slices.Contains(h.olderForms(r), got[0])
}

// renewed hands a session that took the place of the request's to the browser.
func (h *Handler) renewed(w http.ResponseWriter, r *http.Request, token authn.Token) {
	forms := append(h.olderForms(r), h.c.Cookies.FormToken(r))
	if len(forms) > formsKept {
		forms = forms[len(forms)-formsKept:]
	}
	h.setTaste(w, formsCookie, strings.Join(forms, "."), 0)
	h.c.Cookies.SetSession(w, token.Reveal())
}

// changed hands the session that was issued anew to the browser (ruling 3).
func (h *Handler) changed(w http.ResponseWriter, r *http.Request, c enroll.Changed) {
	h.renewed(w, r, c.Token)
}

// accountForm is account for a form in which something is typed: one that was
// open before the session was issued anew is drawn again, with what was typed.
func (h *Handler) accountForm(f, again accountFunc) http.Handler {
	return h.guard(f, again)
}

// pageAgain shows the page of a form that was open before the session was issued
// anew. Nothing was typed in it, or only what is not kept.
func (h *Handler) pageAgain(w http.ResponseWriter, r *http.Request, _ session.Current) error {
	return h.finish(w, pageOf(r.URL.Path), "changed_elsewhere")
}

// pageOf is the page that a form's address belongs to.
func pageOf(at string) string {
	dir, verb := path.Split(at)
	switch dir = strings.TrimSuffix(dir, "/"); {
	case strings.HasSuffix(dir, "/duo") && strings.HasPrefix(at, confirmPath+"/"):
		return strings.TrimSuffix(dir, "/duo")
	case verb == "passkey":
		return dir
	case strings.HasPrefix(at, passkeysPath+"/") && verb == "off":
		return at
	case slices.Contains([]string{"confirm", "cancel", "send", "continue", "start", "ways", "code", "options"}, verb):
		return dir
	case strings.HasPrefix(at, passkeysPath):
		return passkeysPath
	case strings.HasPrefix(at, devicesPath):
		return devicesPath
	case strings.HasPrefix(at, codesPath):
		return codesPath // also after a second click on "Make new codes"
	case strings.HasPrefix(at, confirmPath+"/"), at == appOffPath, at == mailOffPath, at == phoneOffPath, at == duoOffPath, at == phonePath,
		at == passwordPath, at == addressPath, at == accountPath:
		return at
	}
	return securityPath
}
