package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/session"
)

// mailPage is the data of mail.html (S32).
type mailPage struct {
	State    provider.State
	Own      bool
	Waiting  []Part
	Sent     []Part
	Failed   []Part
	FailedAt string // key of what failed; empty: nothing

	// Form is what the fields show; never a password.
	Form    authn.MailSettings
	Version int64 // of the settings that the form was made from
	Port    string
	To      string
	Errors  map[string]string
	Refusal string
	Result  *mailResult
	Typed   bool // a password was typed, and is not on the page any more
}

// mailResult is how a test went.
type mailResult struct {
	OK      bool
	Took    int64
	Steps   []mailStep
	Records []mailRecord
}

type mailStep struct {
	OK                  bool
	Text, Advice, Reply string
	Took                int64
}

type mailRecord struct {
	Name, Text string
	Good       bool
}

func asker(r *http.Request, cur session.Current) provider.Who {
	return provider.Who{Token: cur.Token, Client: httpserve.ClientOf(r), Reason: r.PostForm.Get("reason")}
}

func (h *Handler) getProvider(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if !h.c.Providers.HasMail() {
		return authn.NotFound
	}
	// Asked for now rather than when everything is typed.
	if err := h.c.Providers.Ready(r.Context(), asker(r, cur)); authn.AsError(err).Code == authn.StepUpRequired {
		return h.askConfirm(w, "email_provider", "")
	} else if err != nil {
		return err
	}
	return h.drawMail(w, r, http.StatusOK, cur, mailPage{To: cur.User.Email}, true)
}

// drawMail fills in how things stand. With saved the fields show what is saved.
func (h *Handler) drawMail(w http.ResponseWriter, r *http.Request, status int, cur session.Current, p mailPage, saved bool) error {
	st, err := h.c.Providers.Mail(r.Context(), asker(r, cur))
	if err != nil {
		return err
	}
	v := h.personal(r, cur)
	p.State, p.Own = st, st.Health != provider.Server
	if saved {
		p.Form, p.Version = st.Settings, st.Version
		if p.Form.Port != 0 {
			p.Port = strconv.Itoa(p.Form.Port)
		}
	}
	if p.Form.TLS == "" {
		p.Form.TLS = "starttls"
	}
	if n := st.Outbox.Waiting; n > 0 && (st.Outbox.Failing > 0 || v.now.Sub(st.Outbox.Oldest) > time.Minute) { // others are on their way
		p.Waiting = v.Rich("admin.mail.waiting", "Count", n, "Time", v.When(st.Outbox.Oldest))
	}
	if !st.SentAt.IsZero() {
		p.Sent = v.Rich("admin.mail.sent", "Time", v.Ago(st.SentAt))
	}
	if st.Failed != "" {
		p.Failed = v.Rich("admin.mail.failed", "Time", v.Ago(st.FailedAt))
		if key := "admin.mail.failed_at." + st.Failed; v.texts.Has(key) {
			p.FailedAt = key
		}
	}
	v.Section, v.Title, v.Data = "mail", v.T("admin.mail.title"), p
	v.Failed = len(p.Errors) > 0 || p.Refusal != ""
	return h.draw(w, status, "mail.html", v)
}

// mailChange is what the form says. The port is a text: what is no number is
// refused by its field.
func mailChange(r *http.Request) (provider.Change, string) {
	f := r.PostForm
	port := strings.TrimSpace(f.Get("port"))
	n, err := strconv.Atoi(port)
	if err != nil && port != "" {
		n = -1
	}
	version, _ := strconv.ParseInt(f.Get("version"), 10, 64) // 0: whatever there is
	return provider.Change{From: version, MailSettings: authn.MailSettings{Host: f.Get("host"), Port: n, TLS: f.Get("tls"),
		Username: f.Get("username"), Password: f.Get("password"), From: f.Get("from"), FromName: f.Get("from_name")}}, port
}

func (h *Handler) postProvider(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if !h.c.Providers.HasMail() {
		return authn.NotFound
	}
	ch, port := mailChange(r)
	p := mailPage{Form: ch.MailSettings, Version: ch.From, Port: port, To: r.PostForm.Get("to"), Typed: ch.Password != ""}
	p.Form.Password = ""
	var err error
	switch r.PostForm.Get("do") {
	case "save":
		if _, err = h.c.Providers.SetMail(r.Context(), asker(r, cur), ch); err == nil {
			return h.finish(w, providerPath, "mail_saved")
		}
	case "remove":
		if _, err = h.c.Providers.RemoveMail(r.Context(), asker(r, cur), ch.From); err == nil {
			return h.finish(w, providerPath, "mail_removed")
		}
	case "send", "connect":
		to := p.To
		if r.PostForm.Get("do") == "connect" {
			to = ""
		} else if strings.TrimSpace(to) == "" {
			err = authn.InvalidField("to", "required", nil)
			break
		}
		var res provider.Result
		if res, err = h.c.Providers.Test(r.Context(), asker(r, cur), ch, to); err == nil {
			// Drawn in place: a result is of what was typed, and is kept nowhere.
			// Sending the form anew tests anew, within the company's budget.
			p.Result = h.mailResult(r, cur, res)
			return h.drawMail(w, r, http.StatusOK, cur, p, false)
		}
	default:
		return authn.BadRequest
	}
	return h.refuseMail(w, r, cur, p, err)
}

func (h *Handler) refuseMail(w http.ResponseWriter, r *http.Request, cur session.Current, p mailPage, err error) error {
	e := authn.AsError(err)
	switch e.Code {
	case authn.StepUpRequired:
		return h.beginConfirm(w, r, cur, "email_provider", "")
	case authn.Conflict:
		return h.finish(w, providerPath, "mail_moved")
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
	return h.drawMail(w, r, httpserve.Status(e.Code), cur, p, false)
}

func (h *Handler) mailResult(r *http.Request, cur session.Current, res provider.Result) *mailResult {
	v := h.personal(r, cur)
	out := &mailResult{OK: res.OK, Took: res.Took.Milliseconds()}
	for _, s := range res.Steps {
		step := mailStep{OK: s.OK, Reply: s.Reply, Took: s.Took.Milliseconds()}
		step.Text, step.Advice = v.step(authn.Email, s)
		out.Steps = append(out.Steps, step)
	}
	for _, rec := range [][2]string{{"SPF", res.Records.SPF}, {"DKIM", res.Records.DKIM}, {"DMARC", res.Records.DMARC}} {
		if v.texts.Has("admin.mail.record." + rec[1]) {
			out.Records = append(out.Records, mailRecord{Name: rec[0], Text: v.T("admin.mail.record." + rec[1]), Good: rec[1] == "found"})
		}
	}
	return out
}
