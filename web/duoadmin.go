package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/session"
)

// duoAdminPage is the data of duoadmin.html (S33).
type duoAdminPage struct {
	State   provider.DuoState
	Version int64
	Form    authn.DuoSettings // what the fields show; never a secret key
	Errors  map[string]string
	Refusal string
	Result  *duoResult
	Typed   bool // a secret key was typed, and is not on the page any more
}

// duoResult is how a test went.
type duoResult struct {
	OK    bool
	Took  int64
	Steps []duoResultStep
}

type duoResultStep struct {
	OK, Warn                  bool
	Text, Advice, Code, Reply string
	Clock                     string // how far the clocks are apart
}

func (h *Handler) getDuoAdmin(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if !h.c.Providers.HasDuo() {
		return authn.NotFound
	}
	if err := h.c.Providers.Ready(r.Context(), asker(r, cur)); authn.AsError(err).Code == authn.StepUpRequired {
		return h.askConfirm(w, "duo_provider", "")
	} else if err != nil {
		return err
	}
	return h.drawDuoAdmin(w, r, http.StatusOK, cur, duoAdminPage{}, true)
}

// drawDuoAdmin fills in how things stand. With saved the fields show what is saved.
func (h *Handler) drawDuoAdmin(w http.ResponseWriter, r *http.Request, status int, cur session.Current, p duoAdminPage, saved bool) error {
	st, err := h.c.Providers.Duo(r.Context(), asker(r, cur))
	if err != nil {
		return err
	}
	v := h.personal(r, cur)
	p.State = st
	if saved {
		p.Form, p.Version = st.Settings, st.Version
	}
	v.Section, v.Title, v.Data = "duo", v.T("method.duo"), p
	v.Failed = len(p.Errors) > 0 || p.Refusal != ""
	return h.draw(w, status, "duoadmin.html", v)
}

func (h *Handler) postDuoAdmin(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if !h.c.Providers.HasDuo() {
		return authn.NotFound
	}
	f := r.PostForm
	version, _ := strconv.ParseInt(f.Get("version"), 10, 64) // 0: whatever there is
	ch := provider.DuoChange{From: version, DuoSettings: authn.DuoSettings{IKey: f.Get("ikey"), SKey: f.Get("skey"), Host: f.Get("host"), LetIn: f.Get("let_in") == "yes"}}
	p := duoAdminPage{Form: ch.DuoSettings, Version: version, Typed: ch.SKey != ""}
	p.Form.SKey = ""
	var err error
	switch f.Get("do") {
	case "save":
		if _, err = h.c.Providers.SetDuo(r.Context(), asker(r, cur), ch); err == nil {
			return h.finish(w, duoAdminPath, "duo_saved")
		}
	case "remove":
		if _, err = h.c.Providers.RemoveDuo(r.Context(), asker(r, cur), version); err == nil {
			return h.finish(w, duoAdminPath, "duo_removed")
		}
	case "connect":
		var res provider.Result
		if res, err = h.c.Providers.TestDuo(r.Context(), asker(r, cur), ch); err == nil {
			// Drawn in place, as the test of a mail server is.
			p.Result = h.duoResult(r, cur, res)
			return h.drawDuoAdmin(w, r, http.StatusOK, cur, p, false)
		}
	default:
		return authn.BadRequest
	}
	return h.refuseDuoAdmin(w, r, cur, p, err)
}

func (h *Handler) refuseDuoAdmin(w http.ResponseWriter, r *http.Request, cur session.Current, p duoAdminPage, err error) error {
	e := authn.AsError(err)
	switch e.Code {
	case authn.StepUpRequired:
		return h.beginConfirm(w, r, cur, "duo_provider", "")
	case authn.Conflict:
		return h.finish(w, duoAdminPath, "mail_moved")
	case authn.Invalid:
		v := h.personal(r, cur)
		p.Errors = map[string]string{}
		for _, f := range e.Fields {
			p.Errors[f.Name] = httpserve.FieldMessage(v.texts, v.Lang, f)
		}
	case authn.TooManyRequests:
		v := h.personal(r, cur)
		retryAfter(w, e.RetryAfter)
		p.Refusal = httpserve.Message(v.texts, v.Lang, e)
	default:
		return err
	}
	httpserve.Record(r, err)
	return h.drawDuoAdmin(w, r, httpserve.Status(e.Code), cur, p, false)
}

func (h *Handler) duoResult(r *http.Request, cur session.Current, res provider.Result) *duoResult {
	v := h.personal(r, cur)
	out := &duoResult{OK: res.OK, Took: res.Took.Milliseconds()}
	for _, s := range res.Steps {
		step := duoResultStep{OK: s.OK, Warn: s.OK && s.Reason != "", Code: s.Code, Reply: s.Reply}
		step.Text, step.Advice = v.step(authn.Duo, s)
		switch ahead := int(s.Ahead.Round(time.Second).Seconds()); {
		case ahead > 0:
			step.Clock = v.T("admin.duo.ahead", "Count", ahead)
		case ahead < 0:
			step.Clock = v.T("admin.duo.behind", "Count", -ahead)
		}
		out.Steps = append(out.Steps, step)
	}
	return out
}
