package web

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
)

// approvalsPage is the data of approvals.html.
type approvalsPage struct {
	Waiting, Over []waitingRow
	Older         string // address of the next part; empty: that is all
}

// waitingRow is an act that waits or waited.
type waitingRow struct {
	ID, Act       string
	Person, Asker string
	Href          string // of the person's page
	Reason        string
	Detail        string // what the act says beside its name, masked
	State, Class  string
	When          []Part
	Post, Back    string
	Approve, Stop bool
	Repeat        bool // who asked can do it now
}

func (h *Handler) waitingRow(ctx context.Context, v *View, cur session.Current, ap authn.Approval) waitingRow {
	state := ap.State(v.now)
	row := waitingRow{ID: ap.ID, Act: v.T("admin.act." + ap.Do), Reason: ap.Reason, Href: personPath(ap.Target), State: v.T("admin.approval." + state),
		Class:  map[string]string{"waiting": "warn", "ready": "ok", "cancelled": "danger"}[state],
		Person: h.nameOf(ctx, ap.Company, v, ap.Target), Asker: h.nameOf(ctx, ap.Company, v, ap.Requester),
		Post: approvalsPath + "/" + ap.ID, Back: v.Here}
	if own := "admin.act." + ap.Do + "." + ap.Args["method"]; v.texts.Has(own) {
		row.Act = v.T(own)
	}
	row.Detail = h.says(ctx, v, cur, ap)
	switch state {
	case "waiting":
		row.When = v.Rich("admin.approval.waits_until", "When", v.Full(ap.NotBefore))
	case "ready":
		row.When = v.Rich("admin.approval.ready_until", "When", v.Full(ap.ExpiresAt))
	default:
		row.When = v.Rich("admin.approval.asked_at", "When", v.Full(ap.CreatedAt))
		return row
	}
	kind, _ := directory.ActOf(ap.Do)
	target, _, err := h.c.Directory.Lookup(ctx, authn.Company{ID: ap.Company}, ap.Target)
	may := err == nil && directory.May(cur.Company, cur.User, target, ap.Do)
	mine := ap.Requester == cur.User.ID
	row.Approve = state == "waiting" && may && !mine
	row.Stop = may || mine && directory.Can(cur.Company, cur.User, kind.Permission) || ap.Target == cur.User.ID
	row.Repeat = state == "ready" && mine && may
	return row
}

// says is what an act says beside its name, so that whoever is asked for their word
// knows what they agree to.
func (h *Handler) says(ctx context.Context, v *View, cur session.Current, ap authn.Approval) string {
	var list []string
	said := directory.Says(ap)
	for _, name := range slices.Sorted(maps.Keys(said)) {
		value := said[name]
		switch name {
		case "method", "factor", "shown":
			continue // in the name of the act, or without meaning for people
		case "audience":
			value = v.T("people.audience." + value)
		case "role", "roles":
			var roles []string
			for role := range strings.SplitSeq(value, ",") {
				roles = append(roles, v.roleTitle(cur.Company, strings.TrimSpace(role)))
			}
			value = strings.Join(roles, ", ")
		case "owner":
			value = h.nameOf(ctx, ap.Company, v, value)
		case "until":
			if at, err := time.Parse(time.RFC3339, value); err == nil {
				value = v.Full(at).Text
			}
		}
		if said[name] == "" {
			value = "–"
		}
		list = append(list, value)
	}
	return strings.Join(list, "; ")
}

// shownApprovals is how many the page lists at once.
const shownApprovals = 50

func (h *Handler) getApprovals(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	before := r.URL.Query().Get("before")
	if !authn.CheckID(authn.ApprovalID, before) {
		before = ""
	}
	list, err := h.c.Directory.Approvals(r.Context(), who, "", before, shownApprovals)
	if err != nil {
		return err
	}
	v := h.personal(r, cur)
	var p approvalsPage
	for _, ap := range list {
		row := h.waitingRow(r.Context(), v, cur, ap)
		if ap.Open(v.now) {
			p.Waiting = append(p.Waiting, row)
		} else {
			p.Over = append(p.Over, row)
		}
	}
	if len(list) == shownApprovals {
		p.Older = withQuery(approvalsPath, "before", list[len(list)-1].ID)
	}
	v.Section, v.Title, v.Data = "approvals", v.T("admin.approvals.title"), p
	return h.draw(w, http.StatusOK, "approvals.html", v)
}

func (h *Handler) postApproval(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	id, back := r.PathValue("approval"), samePage(r.PostForm.Get("back"))
	if !strings.HasPrefix(back, peoplePath+"/") {
		back = approvalsPath
	}
	if !authn.CheckID(authn.ApprovalID, id) {
		return authn.NotFound
	}
	var err error
	name := "approval_given"
	switch r.PostForm.Get("do") {
	case "repeat":
		var ap authn.Approval
		var out directory.Outcome
		if ap, out, err = h.c.Directory.Repeat(r.Context(), who, id); err == nil {
			return h.repeated(w, r, cur, who, ap, out)
		}
	case "approve":
		_, err = h.c.Directory.Approve(r.Context(), who, id, "")
	case "stop":
		name = "approval_stopped"
		_, err = h.c.Directory.Cancel(r.Context(), who, id, "")
	default:
		return authn.BadRequest
	}
	e := authn.AsError(err)
	switch {
	case err == nil:
		return h.finish(w, back, name)
	case e.Code == authn.StepUpRequired:
		return h.beginConfirm(w, r, cur, "admin", back)
	case e.Code == authn.Conflict && (e.Key == "" || e.Key == "error.approval_over"):
		httpserve.Record(r, err)
		return h.finish(w, back, "approval_over")
	}
	return err
}

// repeated shows what an act came to that had waited.
func (h *Handler) repeated(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who, ap authn.Approval, out directory.Outcome) error {
	done := out.Waits == nil
	switch {
	case done && ap.Do == directory.Erase:
		seeOther(w, strings.Replace(erasePath, "{id}", ap.Target, 1)) // all that is left of the person
		return nil
	case done && ap.Do == directory.APIOn:
		f := apiForm{Role: ap.Args["role"], Networks: ap.Args["networks"], Reason: ap.Reason}
		return h.drawPersonAPI(w, r, cur, who, ap.Target, f, out, refusedForm{Status: http.StatusOK})
	}
	a := actAsked{do: ap.Do, arg: ap.Args["method"]}
	a.person.User = out.User
	return h.acted(w, r, cur, a, out)
}

// waitingView is what the part "waiting" is drawn with.
type waitingView struct {
	V   *View
	Row waitingRow
}

// Waiting is the row of an act that waits.
func (v *View) Waiting(row waitingRow) waitingView { return waitingView{v, row} }
