package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
)

// How much of the chain one request walks: parts, until the time is over. What is
// left is walked by the next press of the button.
const (
	verifyPart = 20000
	verifyTime = 3 * time.Second
)

// verified is what a check of the log came to, in sentences.
type verified struct {
	OK, More bool
	Says     []Part
	Head     string // of what holds: "NUMBER:HASH"
	Known    string // the head from outside, as it was typed
	Tail     []Part
	Deleted  int64 // up to this number, by the company's own rule
}

// postAudit checks the chain of the log, as POST /api/v1/audit/verify does. Nothing is
// changed but that an event says so, so that the answer is drawn in place.
func (h *Handler) postAudit(w http.ResponseWriter, r *http.Request, cur session.Current, _ directory.Who) error {
	v := h.personal(r, cur)
	c := audit.Check{Most: verifyPart}
	from, okFrom := audit.ParseHead(r.PostForm.Get("from"))
	known, okKnown := audit.ParseHead(strings.TrimSpace(r.PostForm.Get("head")))
	if !okFrom || !okKnown {
		return h.drawAudit(w, r, v, cur, http.StatusUnprocessableEntity, &verified{Known: clipTo(r.PostForm.Get("head"), 100)}, map[string]string{"head": v.T("admin.audit.head_bad")})
	}
	c.From, c.Known = from, known
	ends := time.Now().Add(verifyTime) // not the configured clock: it measures
	var got audit.Report
	for {
		var err error
		if got, err = h.c.Audit.Verify(r.Context(), cur.Company.ID, c); err != nil {
			return err
		}
		if !got.More || time.Now().After(ends) {
			break
		}
		c.From = got.Head
	}
	if !got.More {
		if err := h.c.Audit.Verified(r.Context(), cur.Company.ID, audit.By{Actor: cur.User.ID, Client: httpserve.ClientOf(r)}, got); err != nil {
			return err
		}
	}
	return h.drawAudit(w, r, v, cur, http.StatusOK, v.verdict(got, known), nil)
}

func (v *View) verdict(r audit.Report, known audit.Head) *verified {
	out := &verified{OK: r.Broken == "", More: r.More, Head: r.Head.String(), Known: known.String(), Deleted: r.Deleted}
	number := func(key string, n int64) []Part { return v.Rich(key, "Number", Part{Text: strconv.FormatInt(n, 10)}) }
	switch {
	case r.Broken != "":
		out.Says = number("admin.audit.fault."+string(r.Broken), r.Seq)
	case r.More:
		out.Says = number("admin.audit.verify_more", r.Head.Seq)
	case r.Head.Seq == 0:
		out.Says = v.Rich("admin.audit.verify_empty")
	default:
		out.Says = number("admin.audit.verify_ok", r.Head.Seq)
	}
	out.Tail = v.Rich("admin.audit.tail_none")
	if r.Unsealed > 0 {
		out.Tail = v.Rich("admin.audit.tail", "Count", int(r.Unsealed), "Time", v.Ago(r.Oldest))
	}
	return out
}
