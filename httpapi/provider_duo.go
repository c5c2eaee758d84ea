package httpapi

import (
	"net/http"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/provider"
)

// duoProvider is a company's Duo. Its secret key is never in it.
type duoProvider struct {
	Own       bool       `json:"own"`
	Version   int64      `json:"version"`
	IKey      string     `json:"ikey,omitempty"`
	HasSecret bool       `json:"has_secret"`
	Host      string     `json:"host,omitempty"`
	LetIn     bool       `json:"let_in"`
	UpdatedAt *time.Time `json:"updated_at,omitempty"`
	UpdatedBy string     `json:"updated_by,omitempty"`
}

func answerDuo(w http.ResponseWriter, st provider.DuoState, err error) error {
	if err != nil {
		return err
	}
	d := st.Settings
	return httpserve.WriteJSON(w, http.StatusOK, duoProvider{Own: st.Own, Version: st.Version, IKey: d.IKey, HasSecret: st.HasSecret, Host: d.Host, LetIn: d.LetIn,
		UpdatedAt: maybe(st.UpdatedAt), UpdatedBy: st.UpdatedBy})
}

// duoSettings are what a request says; an empty secret key keeps the saved one.
type duoSettings struct {
	Version int64  `json:"version"`
	Reason  string `json:"reason"`
	IKey    string `json:"ikey"`
	SKey    string `json:"skey"`
	Host    string `json:"host"`
	LetIn   bool   `json:"let_in"`
}

func (d duoSettings) change() provider.DuoChange {
	return provider.DuoChange{From: d.Version, DuoSettings: authn.DuoSettings{IKey: d.IKey, SKey: d.SKey, Host: d.Host, LetIn: d.LetIn}}
}

// duoProvider is GET /providers/duo.
func (a *API) duoProvider(w http.ResponseWriter, r *http.Request, c caller) error {
	st, err := a.Providers.Duo(r.Context(), c.asker(""))
	return answerDuo(w, st, err)
}

// setDuoProvider is PUT /providers/duo.
func (a *API) setDuoProvider(w http.ResponseWriter, r *http.Request, c caller) error {
	if !a.Providers.HasDuo() {
		return authn.NotFound
	}
	var in duoSettings
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	st, err := a.Providers.SetDuo(r.Context(), c.asker(in.Reason), in.change())
	return answerDuo(w, st, err)
}

// removeDuoProvider is DELETE /providers/duo.
func (a *API) removeDuoProvider(w http.ResponseWriter, r *http.Request, c caller) error {
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	st, err := a.Providers.RemoveDuo(r.Context(), c.asker(reason), 0)
	return answerDuo(w, st, err)
}

// duoTest is how a test went.
type duoTest struct {
	OK     bool      `json:"ok"`
	TookMS int64     `json:"took_ms"`
	Steps  []duoStep `json:"steps"`
}

type duoStep struct {
	Stage  string `json:"stage"`
	OK     bool   `json:"ok"`
	TookMS int64  `json:"took_ms"`
	Text   string `json:"text"`
	Reason string `json:"reason,omitempty"`
	Advice string `json:"advice,omitempty"`
	Code   string `json:"code,omitempty"`
	Reply  string `json:"reply,omitempty"`
	Ahead  int64  `json:"ahead_ms,omitempty"`
}

// testDuoProvider is POST /providers/duo/test.
func (a *API) testDuoProvider(w http.ResponseWriter, r *http.Request, c caller) error {
	if !a.Providers.HasDuo() {
		return authn.NotFound
	}
	var in duoSettings
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	res, err := a.Providers.TestDuo(r.Context(), c.asker(in.Reason), in.change())
	if err != nil {
		return err
	}
	words, out := a.wording(r, c), duoTest{OK: res.OK, TookMS: res.Took.Milliseconds(), Steps: []duoStep{}}
	for _, s := range res.Steps {
		step := duoStep{Stage: s.Stage, OK: s.OK, TookMS: s.Took.Milliseconds(), Reason: s.Reason, Code: s.Code, Reply: s.Reply, Ahead: s.Ahead.Milliseconds()}
		step.Text, step.Advice = words(authn.Duo, s)
		out.Steps = append(out.Steps, step)
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}
