package httpapi

import (
	"errors"
	"net/http"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/signin"
)

// attempt is an attempt as its opener sees it.
type attempt struct {
	ID string `json:"id"`
	// Token is in the answer that begins the attempt and in no other, and only
	// while there is something left to do with it.
	Token     string          `json:"token,omitempty"`
	State     authn.State     `json:"state"`
	ExpiresAt time.Time       `json:"expires_at"`
	Why       []policy.Reason `json:"why,omitempty"`
	Methods   []way           `json:"methods,omitempty"`
	Detail    string          `json:"detail,omitempty"`
	Session   *issued         `json:"session,omitempty"`
}

// way is one way to go on.
type way struct {
	Method      authn.Kind `json:"method"`
	Factor      string     `json:"factor,omitempty"`
	Name        string     `json:"name,omitempty"`
	Preferred   bool       `json:"preferred,omitempty"`
	Locked      bool       `json:"locked,omitempty"`
	PausedUntil *time.Time `json:"paused_until,omitempty"`
}

// show is an attempt without any token.
func (a *API) show(r *http.Request, st signin.Status) attempt {
	out := attempt{ID: st.Attempt.ID, State: st.Need.State, ExpiresAt: stamp(st.Attempt.ExpiresAt)}
	if out.State == authn.Complete {
		return out
	}
	out.Why = st.Need.Why
	for _, o := range st.Need.Offers {
		out.Methods = append(out.Methods, way{
			Method: o.Kind, Factor: o.Factor, Name: o.Name, Preferred: o.Preferred, Locked: o.Locked, PausedUntil: maybe(o.PausedUntil),
		})
	}
	switch out.State {
	case authn.NeedPassword:
		out.Methods = []way{{Method: authn.Password, Preferred: true}}
	case authn.Denied:
		out.Detail = a.Texts.Text(a.language(r, st.User), "attempt.denied", map[string]any{"Company": st.Company.Name})
	}
	return out
}

// answer is an attempt after a step, with the session if that was the last.
func (a *API) answer(w http.ResponseWriter, r *http.Request, st signin.Status, cookie bool) attempt {
	out := a.show(r, st)
	if st.Session == nil {
		return out
	}
	if old, ok := authn.ParseToken(authn.SessionToken, a.Cookies.ReadSession(r)); ok && cookie {
		// The browser has one session: the one before ends (std-53). The new one
		// stands whether or not that works.
		if err := a.Sessions.SignOut(r.Context(), old, httpserve.ClientOf(r)); err != nil {
			httpserve.Record(r, err)
		}
	}
	out.Session = a.issue(w, *st.Session, st.SessionToken, cookie)
	return out
}

// begun is an attempt in the answer that begins it.
func (a *API) begun(w http.ResponseWriter, r *http.Request, st signin.Status, cookie bool) error {
	out := a.answer(w, r, st, cookie)
	if out.State != authn.Complete && out.State != authn.Denied {
		out.Token = st.Token.Reveal()
	}
	httpserve.Subject(r.Context(), st.Company.ID, st.User.ID, st.Attempt.ID)
	return httpserve.WriteJSON(w, http.StatusCreated, out)
}

// language is the person's own, else the browser's.
func (a *API) language(r *http.Request, u authn.User) string {
	return a.Texts.Match(r.Header.Get("Accept-Language"), u.Locale)
}

// checkReturnTo refuses what leads to another origin (std-59, cve-64).
func checkReturnTo(s string) error {
	if s == "" {
		return nil
	}
	if _, ok := httpserve.SafePath(s); !ok {
		return authn.InvalidField("return_to", "invalid", nil)
	}
	return nil
}

// fromBrowser reports whether a page of ours sends the request: the outer layer
// lets no other page's by, and scripts cannot set these headers. A program that
// sets them gets cookies, as it asked for.
func fromBrowser(r *http.Request) bool {
	return httpserve.ClientOf(r).Browser != "" || r.Header.Get("Sec-Fetch-Site") == "same-origin" || r.Header.Get("Origin") != ""
}

// begin is POST /attempts.
func (a *API) begin(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Company  string `json:"company"`
		Login    string `json:"login"`
		Password string `json:"password"`
		ReturnTo string `json:"return_to"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	if err := checkReturnTo(in.ReturnTo); err != nil {
		return err
	}
	cookie := fromBrowser(r)
	if cookie {
		a.Cookies.EnsureBrowser(w, r)
	}
	st, err := a.SignIn.Begin(r.Context(), signin.Begin{
		Company: in.Company, Login: in.Login, Password: in.Password, ReturnTo: in.ReturnTo, Client: httpserve.ClientOf(r),
	})
	if in.Company == "" && errors.Is(err, authn.NotFound) {
		return authn.InvalidField("company", "required", nil) // there are several
	}
	if err != nil {
		return err
	}
	return a.begun(w, r, st, cookie)
}

// attempt is GET /attempts/{id}. It never carries a session token (ruling 7).
func (a *API) attempt(w http.ResponseWriter, r *http.Request, o opener) error {
	st, err := a.SignIn.Get(r.Context(), o.Opener)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, a.show(r, st))
}

// challenge is POST /attempts/{id}/challenge. What exists so far has nothing to
// send: it says only that the way is open.
func (a *API) challenge(w http.ResponseWriter, r *http.Request, o opener) error {
	var in struct {
		Method authn.Kind `json:"method"`
		Factor string     `json:"factor"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	st, err := a.SignIn.Get(r.Context(), o.Opener)
	if err != nil {
		return err
	}
	if st.Need.State == authn.Complete {
		return &authn.Error{Code: authn.Conflict, Key: "error.attempt_complete"}
	}
	for _, way := range a.show(r, st).Methods {
		if way.Method == in.Method && (in.Factor == "" || in.Factor == way.Factor) {
			return httpserve.WriteJSON(w, http.StatusOK, struct {
				Method authn.Kind `json:"method"`
			}{way.Method})
		}
	}
	return authn.InvalidField("method", "not_offered", nil)
}

// verify is POST /attempts/{id}/verify.
func (a *API) verify(w http.ResponseWriter, r *http.Request, o opener) error {
	var in struct {
		Method       authn.Kind `json:"method"`
		Factor       string     `json:"factor"`
		Code         string     `json:"code"`
		Password     string     `json:"password"`
		TrustBrowser bool       `json:"trust_browser"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	// Exactly the field of the method: what else stands there was meant for
	// something, and would be ignored.
	if in.Method == authn.Password && in.Code != "" {
		return authn.InvalidField("code", "unknown", nil)
	}
	if in.Method != authn.Password && in.Password != "" {
		return authn.InvalidField("password", "unknown", nil)
	}
	if in.TrustBrowser {
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.no_trusted_browsers"} // until there are some
	}
	st, err := a.SignIn.Verify(r.Context(), o.Opener, signin.Verify{
		Method: in.Method, Factor: in.Factor, Answer: authn.Answer{Code: in.Code, Password: in.Password},
	})
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, a.answer(w, r, st, o.cookie))
}

// complete is POST /attempts/{id}/complete, for an attempt that is `ready`.
// Nothing makes one ready yet (Duo and set-up during sign-in will).
func (a *API) complete(w http.ResponseWriter, r *http.Request, o opener) error {
	if err := httpserve.Decode(r, &struct{}{}); err != nil {
		return err
	}
	st, err := a.SignIn.Get(r.Context(), o.Opener)
	if err != nil {
		return err
	}
	if st.Need.State == authn.Complete {
		return &authn.Error{Code: authn.Conflict, Key: "error.attempt_complete"}
	}
	return authn.Conflict
}

// stepUp is POST /account/step-up.
func (a *API) stepUp(w http.ResponseWriter, r *http.Request, c caller) error {
	var in struct {
		Action   string `json:"action"`
		ReturnTo string `json:"return_to"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	if !goodAction(in.Action) {
		return authn.InvalidField("action", "invalid", nil)
	}
	if err := checkReturnTo(in.ReturnTo); err != nil {
		return err
	}
	if c.cookie {
		// The attempt can then be opened by this browser, too.
		a.Cookies.EnsureBrowser(w, r)
	}
	st, err := a.SignIn.StepUp(r.Context(), c.Token, in.Action, in.ReturnTo, httpserve.ClientOf(r))
	if err != nil {
		return err
	}
	return a.begun(w, r, st, c.cookie)
}

// goodAction bounds the name of an action: words of a–z, 0–9 and "_", with
// points between, 64 bytes at most. None are registered yet, so any will do.
func goodAction(s string) bool {
	if len(s) > 64 {
		return false
	}
	for i, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_':
		case c == '.' && i > 0 && i < len(s)-1 && s[i-1] != '.':
		default:
			return false
		}
	}
	return true
}
