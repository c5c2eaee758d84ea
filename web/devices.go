package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
)

// devicesPage is the data of devices.html (S24).
type devicesPage struct {
	Sessions []sessionRow
	Others   bool // there are sessions elsewhere
	Trusted  []trustedRow
	MayTrust bool // policy lets this person trust browsers
	Credit   *credit
}

// named is a row with a form for its name.
type named struct {
	ID, Action string
	Label      string // of the field; empty: the name of a device
	Title      string // the person's own name for it, else the browser
	Named      bool
	Typed      string // what the form shows
	// When the form was refused.
	Error string
	Open  bool
}

func nameOf(id, action, name, agent string) named {
	n := named{ID: id, Action: action, Title: name, Named: name != "", Typed: name}
	if !n.Named {
		n.Title = agent
	}
	return n
}

// renameForm is what the part "rename" is drawn with.
type renameForm struct {
	V *View
	named
}

// Rename is the form for the name of a row.
func (v *View) Rename(n named) renameForm {
	n.Label = cmp.Or(n.Label, v.T("page.devices.name_label"))
	return renameForm{v, n}
}

// trustedRow is a browser that the person trusts.
type trustedRow struct {
	Name              named
	Agent             string
	Phone, Here       bool
	Since, Used, Ends Part
}

func (h *Handler) trustedRows(r *http.Request, v *View, cur session.Current) ([]trustedRow, error) {
	list, err := h.c.Sessions.Trusted(r.Context(), cur)
	if err != nil {
		return nil, err
	}
	var rows []trustedRow
	for _, t := range list {
		agent := v.Agent(t.Agent)
		rows = append(rows, trustedRow{Name: nameOf(t.ID, devicesPath+"/trusted/"+t.ID+"/name", t.Name, agent), Agent: agent, Phone: onPhone(t.Agent), Here: t.ID == h.trustedHere(r),
			Since: v.Day(t.CreatedAt), Used: v.Ago(t.UsedAt), Ends: v.Day(t.ExpiresAt)})
	}
	return rows, nil
}

// trustedHere is the id of the trusted browser that asks; empty: it is none.
func (h *Handler) trustedHere(r *http.Request) string {
	t, _ := authn.ParseToken(authn.TrustToken, h.c.Cookies.ReadTrusted(r))
	return t.ID
}

func onPhone(agent string) bool {
	return strings.HasSuffix(agent, "iPhone") || strings.HasSuffix(agent, "Android")
}

// sessionRow is one place where the person is signed in.
type sessionRow struct {
	Name     named
	Agent    string
	Phone    bool
	Here     bool
	SignedIn Part
	Seen     Part
	By       string // what was proven
	Place    string // about where it was opened; empty: not known
	of       authn.Session
}

func (h *Handler) sessionRows(ctx context.Context, v *View, cur session.Current) ([]sessionRow, error) {
	list, err := h.c.Sessions.List(ctx, cur)
	if err != nil {
		return nil, err
	}
	var rows []sessionRow
	for _, s := range list {
		row := sessionRow{
			Name: nameOf(s.ID, devicesPath+"/"+s.ID+"/name", s.Name, v.Agent(s.Agent)), Agent: v.Agent(s.Agent), Here: s.ID == cur.Session.ID, SignedIn: v.When(s.AuthTime), Seen: v.Ago(s.LastSeenAt),
			Phone: onPhone(s.Agent), By: v.proven(s.AMR), of: s,
		}
		if row.Here {
			rows = slices.Insert(rows, 0, row)
			continue
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// placedAtMost is how many sessions of a list are shown with their places.
const placedAtMost = 50

// addPlaces fills in where sessions were opened, and reports whether it did. Without
// it the list is as good: nothing that fails here is an error.
func (h *Handler) addPlaces(ctx context.Context, v *View, rows []sessionRow) (any bool) {
	if h.c.Places == nil {
		return false
	}
	for i := range rows[:min(len(rows), placedAtMost)] {
		address, err := h.c.Audit.BegunFrom(ctx, rows[i].of)
		if err != nil {
			return any
		}
		rows[i].Place = h.place(v, address)
		any = any || rows[i].Place != ""
	}
	return any
}

// proven is what a session was opened with, in words: the values of RFC 8176
// that package policy writes.
func (v *View) proven(amr []string) string {
	var words []string
	for _, m := range amr {
		if key := "page.amr." + m; v.texts.Has(key) {
			words = append(words, v.T(key))
		}
	}
	return strings.Join(words, " + ")
}

func (h *Handler) getDevices(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	return h.drawDevices(w, r, http.StatusOK, cur, "", nil)
}

// drawDevices draws the list; for the device of that id the form of its name as
// it was typed, with what was wrong.
func (h *Handler) drawDevices(w http.ResponseWriter, r *http.Request, status int, cur session.Current, id string, why func(*View) (typed, problem string)) error {
	v := h.personal(r, cur)
	rows, err := h.sessionRows(r.Context(), v, cur)
	if err != nil {
		return err
	}
	trusted, err := h.trustedRows(r, v, cur)
	if err != nil {
		return err
	}
	open := func(n *named) {
		if n.ID != id || why == nil {
			return
		}
		n.Open = true
		n.Typed, n.Error = why(v)
		v.Failed = n.Error != ""
		if !v.Failed {
			v.Notice, v.Warning = "page.done.changed_elsewhere", true
		}
	}
	for i := range rows {
		open(&rows[i].Name)
	}
	for i := range trusted {
		open(&trusted[i].Name)
	}
	doc, err := policy.Current(cur.Company, h.c.Now())
	if err != nil {
		return err
	}
	v.Section, v.Title = "devices", v.T("page.devices.title")
	v.Data = devicesPage{Sessions: rows, Others: len(rows) > 1, Trusted: trusted, MayTrust: doc.Trusts(cur.User) > 0,
		Credit: h.credit(v, h.addPlaces(r.Context(), v, rows))}
	return h.draw(w, status, "devices.html", v)
}

func (h *Handler) postDeviceName(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	id, name := r.PathValue("session"), r.PostForm.Get("name")
	_, err := h.c.Sessions.Rename(r.Context(), cur, id, name, httpserve.ClientOf(r))
	return h.afterName(w, r, cur, id, name, err)
}

// postTrustedName names a browser that the person trusts.
func (h *Handler) postTrustedName(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	id, name := r.PathValue("browser"), r.PostForm.Get("name")
	_, err := h.c.Sessions.RenameTrusted(r.Context(), cur, id, name, httpserve.ClientOf(r))
	return h.afterName(w, r, cur, id, name, err)
}

func (h *Handler) afterName(w http.ResponseWriter, r *http.Request, cur session.Current, id, name string, err error) error {
	switch e := authn.AsError(err); e.Code {
	case authn.Invalid:
		httpserve.Record(r, err)
		return h.drawDevices(w, r, httpserve.Status(e.Code), cur, id, func(v *View) (string, string) { return name, v.fieldText(e, "name") })
	case authn.NotFound:
		seeOther(w, devicesPath) // over by now
		return nil
	}
	if err != nil {
		return err
	}
	return h.finish(w, devicesPath, "device_named")
}

func (h *Handler) deviceAgain(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	return h.nameAgain(w, r, cur, r.PathValue("session"))
}

func (h *Handler) trustedAgain(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	return h.nameAgain(w, r, cur, r.PathValue("browser"))
}

func (h *Handler) nameAgain(w http.ResponseWriter, r *http.Request, cur session.Current, id string) error {
	return h.drawDevices(w, r, http.StatusUnprocessableEntity, cur, id, func(*View) (string, string) {
		return r.PostForm.Get("name"), ""
	})
}

func (h *Handler) postDeviceEnd(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	err := h.c.Sessions.End(r.Context(), cur, r.PathValue("session"), httpserve.ClientOf(r))
	if authn.AsError(err).Code == authn.NotFound {
		err = nil // over already: what was wanted
	}
	if err != nil {
		return err
	}
	return h.finish(w, devicesPath, "device_ended")
}

// postStopTrusting ends the trust in one browser, or in all where the path names none.
func (h *Handler) postStopTrusting(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	id := r.PathValue("browser")
	err := h.c.Sessions.StopTrusting(r.Context(), cur, id, httpserve.ClientOf(r))
	if authn.AsError(err).Code == authn.NotFound {
		err = nil // over already: what was wanted
	}
	if err != nil {
		return err
	}
	if id == "" || id == h.trustedHere(r) {
		h.c.Cookies.ClearTrusted(w)
	}
	return h.finish(w, devicesPath, "trust_ended")
}
