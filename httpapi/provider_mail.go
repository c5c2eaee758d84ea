package httpapi

import (
	"net/http"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/provider"
)

// mailProvider is a company's own mail server. Its password is never in it.
type mailProvider struct {
	State       provider.Health `json:"state"`
	Version     int64           `json:"version"`
	Host        string          `json:"host,omitempty"`
	Port        int             `json:"port,omitempty"`
	TLS         string          `json:"tls,omitempty"`
	Username    string          `json:"username,omitempty"`
	PasswordSet bool            `json:"password_set"`
	From        string          `json:"from,omitempty"`
	FromName    string          `json:"from_name,omitempty"`
	UpdatedAt   *time.Time      `json:"updated_at,omitempty"`
	UpdatedBy   string          `json:"updated_by,omitempty"`
	LastSentAt  *time.Time      `json:"last_sent_at,omitempty"`
	LastFailed  *time.Time      `json:"last_failed_at,omitempty"`
	FailedStage string          `json:"failed_stage,omitempty"`
	Waiting     int             `json:"waiting"`
	OldestAt    *time.Time      `json:"oldest_waiting_at,omitempty"`
}

func mailProviderOf(st provider.State) mailProvider {
	m := st.Settings
	return mailProvider{State: st.Health, Version: st.Version, Host: m.Host, Port: m.Port, TLS: m.TLS, Username: m.Username, PasswordSet: st.HasPassword,
		From: m.From, FromName: m.FromName, UpdatedAt: maybe(st.UpdatedAt), UpdatedBy: st.UpdatedBy, LastSentAt: maybe(st.SentAt), LastFailed: maybe(st.FailedAt),
		FailedStage: st.Failed, Waiting: st.Outbox.Waiting, OldestAt: maybe(st.Outbox.Oldest)}
}

// mailSettings are what a request says; an empty password keeps the saved one.
type mailSettings struct {
	Version  int64  `json:"version"`
	Reason   string `json:"reason"`
	Host     string `json:"host"`
	Port     int    `json:"port"`
	TLS      string `json:"tls"`
	Username string `json:"username"`
	Password string `json:"password"`
	From     string `json:"from"`
	FromName string `json:"from_name"`
}

func (m mailSettings) change() provider.Change {
	return provider.Change{From: m.Version, MailSettings: authn.MailSettings{Host: m.Host, Port: m.Port, TLS: m.TLS,
		Username: m.Username, Password: m.Password, From: m.From, FromName: m.FromName}}
}

// asker is who asks, with the reason of a change.
func (c caller) asker(reason string) provider.Who {
	return provider.Who{Token: c.Token, Client: c.client, Reason: reason}
}

// mailProvider is GET /providers/email.
func (a *API) mailProvider(w http.ResponseWriter, r *http.Request, c caller) error {
	if !a.Providers.HasMail() {
		return authn.NotFound
	}
	st, err := a.Providers.Mail(r.Context(), c.asker(""))
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, mailProviderOf(st))
}

// setMailProvider is PUT /providers/email.
func (a *API) setMailProvider(w http.ResponseWriter, r *http.Request, c caller) error {
	if !a.Providers.HasMail() {
		return authn.NotFound
	}
	var in mailSettings
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	st, err := a.Providers.SetMail(r.Context(), c.asker(in.Reason), in.change())
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, mailProviderOf(st))
}

// removeMailProvider is DELETE /providers/email.
func (a *API) removeMailProvider(w http.ResponseWriter, r *http.Request, c caller) error {
	if !a.Providers.HasMail() {
		return authn.NotFound
	}
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	st, err := a.Providers.RemoveMail(r.Context(), c.asker(reason), 0)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, mailProviderOf(st))
}

// mailTest is how a test went.
type mailTest struct {
	OK      bool       `json:"ok"`
	TookMS  int64      `json:"took_ms"`
	Steps   []mailStep `json:"steps"`
	Records records    `json:"records"`
}

type mailStep struct {
	Stage  string `json:"stage"`
	OK     bool   `json:"ok"`
	TookMS int64  `json:"took_ms"`
	Text   string `json:"text"`
	Reason string `json:"reason,omitempty"`
	Advice string `json:"advice,omitempty"`
	Reply  string `json:"reply,omitempty"`
}

type records struct {
	SPF   string `json:"spf"`
	DKIM  string `json:"dkim"`
	DMARC string `json:"dmarc"`
}

// testMailProvider is POST /providers/email/test.
func (a *API) testMailProvider(w http.ResponseWriter, r *http.Request, c caller) error {
	if !a.Providers.HasMail() {
		return authn.NotFound
	}
	var in struct {
		mailSettings
		To string `json:"to"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	res, err := a.Providers.Test(r.Context(), c.asker(in.Reason), in.change(), in.To)
	if err != nil {
		return err
	}
	lang := a.language(r, c.User)
	out := mailTest{OK: res.OK, TookMS: res.Took.Milliseconds(), Steps: []mailStep{}, Records: records(res.Records)}
	for _, s := range res.Steps {
		step := mailStep{Stage: s.Stage, OK: s.OK, TookMS: s.Took.Milliseconds(), Reason: s.Reason, Reply: s.Reply}
		step.Text, step.Advice = provider.Words(s, func(key string) string { return a.Texts.Text(lang, key, nil) }, a.Texts.Has)
		out.Steps = append(out.Steps, step)
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}
