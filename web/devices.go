package web

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
)

// devicesPage is the data of devices.html (S24).
type devicesPage struct {
	Sessions []sessionRow
	Others   bool // there are sessions elsewhere
}

// sessionRow is one place where the person is signed in.
type sessionRow struct {
	ID       string
	Title    string // the person's own name for it, else the browser
	Named    bool
	Agent    string
	Phone    bool
	Here     bool
	SignedIn Part
	Seen     Part
	By       string // what was proven
	// When the form for its name was refused.
	Typed string
	Error string
	Open  bool
}

func (h *Handler) sessionRows(ctx context.Context, v *View, cur session.Current) ([]sessionRow, error) {
	list, err := h.c.Sessions.List(ctx, cur)
	if err != nil {
		return nil, err
	}
	var rows []sessionRow
	for _, s := range list {
		row := sessionRow{
			ID: s.ID, Agent: v.Agent(s.Agent), Here: s.ID == cur.Session.ID, SignedIn: v.When(s.AuthTime), Seen: v.Ago(s.LastSeenAt),
			Phone: strings.HasSuffix(s.Agent, "iPhone") || strings.HasSuffix(s.Agent, "Android"), By: v.proven(s.AMR), Typed: s.Name,
		}
		if row.Title, row.Named = s.Name, s.Name != ""; !row.Named {
			row.Title = row.Agent
		}
		if row.Here {
			rows = slices.Insert(rows, 0, row)
			continue
		}
		rows = append(rows, row)
	}
	return rows, nil
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
	for i := range rows {
		if rows[i].ID == id && why != nil {
			rows[i].Open = true
			rows[i].Typed, rows[i].Error = why(v)
			v.Failed = rows[i].Error != ""
			if !v.Failed {
				v.Notice, v.Warning = "page.done.changed_elsewhere", true
			}
		}
	}
	v.Section, v.Title, v.Data = "devices", v.T("page.devices.title"), devicesPage{Sessions: rows, Others: len(rows) > 1}
	return h.draw(w, status, "devices.html", v)
}

func (h *Handler) postDeviceName(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	id, name := r.PathValue("session"), r.PostForm.Get("name")
	_, err := h.c.Sessions.Rename(r.Context(), cur, id, name, httpserve.ClientOf(r))
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
	return h.drawDevices(w, r, http.StatusUnprocessableEntity, cur, r.PathValue("session"), func(*View) (string, string) {
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
