package web

import (
	"context"
	"net/http"
	"strings"

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
	Repeat        *repeat // who asked can do it now
}

// repeat is the form that says the same again.
type repeat struct {
	Action string
	Fields []hidden
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
	switch {
	case ap.Args["phone"] != "":
		row.Detail = "•• " + last(ap.Args["phone"], 2)
	case ap.Args["until"] != "":
		row.Detail = ap.Args["until"]
	}
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
	if state == "ready" && mine && may {
		row.Repeat = repeatOf(ap)
	}
	return row
}

func last(s string, n int) string {
	r := []rune(s)
	return string(r[max(len(r)-n, 0):])
}

// repeatOf is the form of the act with all that it said.
func repeatOf(ap authn.Approval) *repeat {
	action := personPath(ap.Target) + "/do/" + strings.ReplaceAll(ap.Do, "_", "-")
	f := &repeat{Fields: []hidden{{"reason", ap.Reason}}}
	for _, name := range []string{"method", "factor"} {
		if v := ap.Args[name]; v != "" {
			action += "/" + v
		}
	}
	for _, name := range []string{"phone", "country", "username", "until"} {
		if v := ap.Args[name]; v != "" {
			f.Fields = append(f.Fields, hidden{name, v})
		}
	}
	f.Action = action
	return f
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
		return h.askConfirm(w, "admin", back)
	case e.Code == authn.Conflict:
		httpserve.Record(r, err)
		return h.finish(w, back, "approval_over")
	}
	return err
}

// waitingView is what the part "waiting" is drawn with.
type waitingView struct {
	V   *View
	Row waitingRow
}

// Waiting is the row of an act that waits.
func (v *View) Waiting(row waitingRow) waitingView { return waitingView{v, row} }
