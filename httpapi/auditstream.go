package httpapi

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/provider"
)

// streamChannels are the kinds of streams as paths name them.
var streamChannels = map[string]authn.Kind{"syslog": authn.AuditSyslog, "webhook": authn.AuditWebhook}

func streamName(channel authn.Kind) string { return strings.TrimPrefix(string(channel), "audit_") }

// stream is where a company's events are sent. The secret is never in it.
type stream struct {
	Kind      string          `json:"kind"`
	Own       bool            `json:"own"`
	Version   int64           `json:"version"`
	Health    provider.Health `json:"health"`
	Host      string          `json:"host,omitempty"`
	Port      int             `json:"port,omitempty"`
	CA        string          `json:"ca,omitempty"`
	Cert      string          `json:"certificate,omitempty"`
	URL       string          `json:"url,omitempty"`
	HasSecret bool            `json:"has_secret"`
	Seq       int64           `json:"seq,omitempty"` // up to where it was taken
	Behind    int64           `json:"behind"`        // events in the chain that were not sent
	Oldest    *time.Time      `json:"oldest_unsent,omitempty"`
	SentAt    *time.Time      `json:"sent_at,omitempty"`
	NextAt    *time.Time      `json:"next_try_at,omitempty"`
	Failed    string          `json:"failed,omitempty"` // stage and reason
	UpdatedAt *time.Time      `json:"updated_at,omitempty"`
	UpdatedBy string          `json:"updated_by,omitempty"`
}

func streamOf(st provider.StreamState) stream {
	s := stream{Kind: streamName(st.Channel), Own: st.Own, Version: st.Version, Health: st.Health, Host: st.Settings.Host, Port: st.Settings.Port, CA: st.Settings.CA, Cert: st.Settings.Certificate, URL: st.Settings.URL,
		HasSecret: st.HasSecret, Seq: st.Stream.Seq, Behind: st.Stream.Behind, Oldest: maybe(st.Stream.Oldest), SentAt: maybe(st.Stream.SentAt), Failed: st.Stream.Failed,
		UpdatedAt: maybe(st.UpdatedAt), UpdatedBy: st.UpdatedBy}
	if st.Stream.Failed != "" {
		s.NextAt = maybe(st.Stream.NextAt)
	}
	return s
}

// auditStreams is GET /audit/streams.
func (a *API) auditStreams(w http.ResponseWriter, r *http.Request, c caller) error {
	list, err := a.Providers.Streams(r.Context(), c.asker(""))
	if err != nil {
		return err
	}
	out := page[stream]{Items: []stream{}}
	for _, st := range list {
		out.Items = append(out.Items, streamOf(st))
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// streamSettings are what a request says; an empty secret keeps the saved one.
type streamSettings struct {
	Version int64  `json:"version"`
	Reason  string `json:"reason"`
	Host    string `json:"host"`
	Port    int    `json:"port"`
	CA      string `json:"ca"`
	URL     string `json:"url"`
	Secret  string `json:"secret"`
	Cert    string `json:"certificate"`
	Key     string `json:"key"`
	All     bool   `json:"all"`
}

func (s streamSettings) change() provider.StreamChange {
	return provider.StreamChange{From: s.Version, All: s.All, StreamSettings: authn.StreamSettings{Host: s.Host, Port: s.Port, CA: s.CA, Certificate: s.Cert, URL: s.URL,
		Secret: cmp.Or(s.Secret, s.Key)}}
}

// streamChannel is the kind that the path names; only those that the server has.
func (a *API) streamChannel(r *http.Request) (authn.Kind, error) {
	channel, ok := streamChannels[r.PathValue("kind")]
	if !ok || !a.Providers.HasStreams() {
		return "", authn.NotFound
	}
	return channel, nil
}

// setAuditStream is PUT /audit/streams/{kind}.
func (a *API) setAuditStream(w http.ResponseWriter, r *http.Request, c caller) error {
	channel, err := a.streamChannel(r)
	if err != nil {
		return err
	}
	var in streamSettings
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	st, err := a.Providers.SetStream(r.Context(), c.asker(in.Reason), channel, in.change())
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, streamOf(st))
}

// removeAuditStream is DELETE /audit/streams/{kind}.
func (a *API) removeAuditStream(w http.ResponseWriter, r *http.Request, c caller) error {
	channel, err := a.streamChannel(r)
	if err != nil {
		return err
	}
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	st, err := a.Providers.RemoveStream(r.Context(), c.asker(reason), channel, 0)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, streamOf(st))
}

// streamTest is how a test went.
type streamTest struct {
	OK     bool   `json:"ok"`
	TookMS int64  `json:"took_ms"`
	Stage  string `json:"stage,omitempty"`
	Reason string `json:"reason,omitempty"`
	Code   string `json:"code,omitempty"`
	Text   string `json:"text"`
}

// testAuditStream is POST /audit/streams/{kind}/test.
func (a *API) testAuditStream(w http.ResponseWriter, r *http.Request, c caller) error {
	channel, err := a.streamChannel(r)
	if err != nil {
		return err
	}
	var in streamSettings
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	res, err := a.Providers.TestStream(r.Context(), c.asker(in.Reason), channel, in.change())
	if err != nil {
		return err
	}
	out := streamTest{OK: res.OK, TookMS: res.Took.Milliseconds(), Stage: res.Stage, Reason: res.Reason, Code: res.Code}
	out.Text = a.Texts.Text(a.language(r, c.User), provider.StreamText(res, a.Texts.Has), nil)
	return httpserve.WriteJSON(w, http.StatusOK, out)
}
