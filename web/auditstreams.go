package web

import (
	"net/http"
	"strconv"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/session"
)

// streamsPage is the data of auditstreams.html (S34).
type streamsPage struct {
	Streams    []streamForm
	Months     int
	MonthsErr  string
	KeepChoice []Choice
	Refusal    string
	Result     *streamResult
}

// streamForm is one kind of target with its form.
type streamForm struct {
	provider.StreamState
	Name    string // "syslog", "webhook"
	Form    authn.StreamSettings
	Port    string
	All     bool
	Version int64
	Errors  map[string]string
	Failed  string // in words
}

type streamResult struct {
	OK         bool
	Name, Text string
	Code       string
	Took       int64
}

// streamChannels are the kinds as forms name them.
var streamChannels = map[string]authn.Kind{"syslog": authn.AuditSyslog, "webhook": authn.AuditWebhook}

func (h *Handler) getStreams(w http.ResponseWriter, r *http.Request, cur session.Current, _ directory.Who) error {
	if !h.c.Providers.HasStreams() {
		return authn.NotFound
	}
	if err := h.c.Providers.Ready(r.Context(), asker(r, cur)); err != nil {
		return err
	}
	return h.drawStreams(w, r, http.StatusOK, cur, streamsPage{}, nil)
}

// drawStreams fills in how things stand. typed takes the place of what is saved.
func (h *Handler) drawStreams(w http.ResponseWriter, r *http.Request, status int, cur session.Current, p streamsPage, typed *streamForm) error {
	list, err := h.c.Providers.Streams(r.Context(), asker(r, cur))
	if err != nil {
		return err
	}
	keep, err := h.c.Audit.Keep(r.Context(), cur.Company.ID)
	if err != nil {
		return err
	}
	v := h.personal(r, cur)
	for _, st := range list {
		f := streamForm{StreamState: st, Form: st.Settings, Version: st.Version, Port: "6514"}
		for name, channel := range streamChannels {
			if channel == st.Channel {
				f.Name = name
			}
		}
		if st.Settings.Port > 0 {
			f.Port = strconv.Itoa(st.Settings.Port)
		}
		if typed != nil && typed.Name == f.Name {
			f.Form, f.Port, f.All, f.Version, f.Errors = typed.Form, typed.Port, typed.All, typed.Version, typed.Errors
		}
		if st.Stream.Failed != "" {
			f.Failed = v.T(provider.StreamText(failedResult(st.Stream.Failed), v.texts.Has))
		}
		p.Streams = append(p.Streams, f)
	}
	if p.MonthsErr == "" {
		p.Months = keep.Months
	}
	for _, n := range []int{0, 3, 6, 12, 24, 36, 60, 84, 120} {
		label := v.T("admin.stream.keep_ever")
		if n > 0 {
			label = v.T("admin.stream.keep_months", "Count", n)
		}
		p.KeepChoice = append(p.KeepChoice, Choice{Value: strconv.Itoa(n), Label: label, Chosen: n == p.Months})
	}
	v.Section, v.Title, v.Data = "audit", v.T("admin.stream.title"), p
	v.Failed = typed != nil && len(typed.Errors) > 0 || p.Refusal != "" || p.MonthsErr != ""
	return h.draw(w, status, "auditstreams.html", v)
}

// failedResult reads stage and reason of a stream's last failure.
func failedResult(failed string) provider.StreamResult {
	stage, reason := failed, ""
	for i := range failed {
		if failed[i] == ' ' {
			stage, reason = failed[:i], failed[i+1:]
			break
		}
	}
	return provider.StreamResult{Stage: stage, Reason: reason}
}

func (h *Handler) postStreams(w http.ResponseWriter, r *http.Request, cur session.Current, _ directory.Who) error {
	if !h.c.Providers.HasStreams() {
		return authn.NotFound
	}
	f := r.PostForm
	if f.Get("do") == "keep" {
		return h.postKeep(w, r, cur)
	}
	channel, ok := streamChannels[f.Get("kind")]
	if !ok {
		return authn.BadRequest
	}
	version, _ := strconv.ParseInt(f.Get("version"), 10, 64) // 0: whatever there is
	typed := &streamForm{Name: f.Get("kind"), Port: f.Get("port"), Version: version, All: f.Get("all") == "yes",
		Form: authn.StreamSettings{Host: f.Get("host"), CA: f.Get("ca"), Certificate: f.Get("certificate"), URL: f.Get("url")}}
	ch := provider.StreamChange{StreamSettings: typed.Form, All: typed.All, From: version}
	ch.Secret = f.Get("secret") + f.Get("key") // one form has one of them
	if typed.Port != "" {
		var err error
		if ch.Port, err = strconv.Atoi(typed.Port); err != nil {
			ch.Port = -1 // refused at its field
		}
	}
	var err error
	switch f.Get("do") {
	case "save":
		if _, err = h.c.Providers.SetStream(r.Context(), asker(r, cur), channel, ch); err == nil {
			return h.finish(w, streamsPath, "stream_saved")
		}
	case "remove":
		if _, err = h.c.Providers.RemoveStream(r.Context(), asker(r, cur), channel, version); err == nil {
			return h.finish(w, streamsPath, "stream_removed")
		}
	case "test":
		var res provider.StreamResult
		if res, err = h.c.Providers.TestStream(r.Context(), asker(r, cur), channel, ch); err == nil {
			v := h.personal(r, cur)
			p := streamsPage{Result: &streamResult{OK: res.OK, Name: typed.Name, Text: v.T(provider.StreamText(res, v.texts.Has)), Code: res.Code, Took: res.Took.Milliseconds()}}
			return h.drawStreams(w, r, http.StatusOK, cur, p, typed)
		}
	default:
		return authn.BadRequest
	}
	return h.refuseStreams(w, r, cur, streamsPage{}, typed, err)
}

// postKeep changes how long events are kept.
func (h *Handler) postKeep(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	months, err := strconv.Atoi(r.PostForm.Get("months"))
	if err != nil {
		months = -1 // refused at its field
	}
	if err = h.c.Providers.SetKeep(r.Context(), asker(r, cur), months); err == nil {
		return h.finish(w, streamsPath, "keep_saved")
	}
	return h.refuseStreams(w, r, cur, streamsPage{}, nil, err)
}

func (h *Handler) refuseStreams(w http.ResponseWriter, r *http.Request, cur session.Current, p streamsPage, typed *streamForm, err error) error {
	e := authn.AsError(err)
	v := h.personal(r, cur)
	switch e.Code {
	case authn.Conflict:
		return h.finish(w, streamsPath, "mail_moved")
	case authn.Invalid:
		for _, f := range e.Fields {
			if typed == nil {
				p.MonthsErr = httpserve.FieldMessage(v.texts, v.Lang, f)
				continue
			}
			if typed.Errors == nil {
				typed.Errors = map[string]string{}
			}
			typed.Errors[f.Name] = httpserve.FieldMessage(v.texts, v.Lang, f)
		}
	case authn.TooManyRequests:
		retryAfter(w, e.RetryAfter)
		p.Refusal = httpserve.Message(v.texts, v.Lang, e)
	default:
		return err
	}
	httpserve.Record(r, err)
	return h.drawStreams(w, r, httpserve.Status(e.Code), cur, p, typed)
}
