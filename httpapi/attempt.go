package httpapi

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
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
	Token      string          `json:"token,omitempty"`
	State      authn.State     `json:"state"`
	ExpiresAt  time.Time       `json:"expires_at"`
	Why        []policy.Reason `json:"why,omitempty"`
	Methods    []way           `json:"methods,omitempty"`
	GraceUntil *time.Time      `json:"grace_until,omitempty"`
	// HelpAskedAt is since when the administrators know that the person can't verify.
	HelpAskedAt *time.Time    `json:"help_asked_at,omitempty"`
	Denied      policy.Denial `json:"denied,omitempty"`
	Detail      string        `json:"detail,omitempty"`
	Session     *issued       `json:"session,omitempty"`
	Grant       *issuedGrant  `json:"grant,omitempty"`
	// URL is where the browser goes on with a sign-in that a program began, if that
	// said where it comes back to.
	URL string `json:"url,omitempty"`
	// ReturnTo is where the browser goes now, with a handle for the application.
	ReturnTo string  `json:"return_to,omitempty"`
	Result   *result `json:"result,omitempty"`
	// Sent is the code that went out with the password, NotSent why none did; only
	// where the company's rules send one.
	Sent    *challenged `json:"sent,omitempty"`
	NotSent *notSent    `json:"not_sent,omitempty"`
	// TrustedBrowser is what the next sign-in shows in place of what this one did; only
	// where the session begins in a browser that is trusted.
	TrustedBrowser *trustIssued `json:"trusted_browser,omitempty"`
}

// notSent is why a code was not sent that was not asked for.
type notSent struct {
	Code       authn.Code `json:"code"`
	Detail     string     `json:"detail"`
	RetryAfter int        `json:"retry_after,omitempty"` // seconds
}

// way is one way to go on. With a state of need_enrolment it is a kind that may
// be set up.
type way struct {
	Method    authn.Kind `json:"method"`
	Factor    string     `json:"factor,omitempty"`
	Name      string     `json:"name,omitempty"`
	SentTo    string     `json:"sent_to,omitempty"`
	Preferred bool       `json:"preferred,omitempty"`
	Fallback  bool       `json:"fallback,omitempty"`
	// Again: to be confirmed again, together with another proof; then it counts as before.
	Again       bool       `json:"confirm_again,omitempty"`
	Locked      bool       `json:"locked,omitempty"`
	PausedUntil *time.Time `json:"paused_until,omitempty"`
	// Of the code that is out.
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	ResendAt  *time.Time `json:"resend_at,omitempty"`
	// Duo is what was asked there last; nil: nothing.
	Duo *outside `json:"duo,omitempty"`
	// TrustDays is for how long the browser can be trusted after an answer by it.
	TrustDays int `json:"trust_days,omitempty"`
}

// show is an attempt without any token.
func (a *API) show(r *http.Request, st signin.Status) (attempt, error) {
	out := attempt{ID: st.Attempt.ID, State: st.Need.State, ExpiresAt: stamp(st.Attempt.ExpiresAt)}
	if out.State == authn.Complete {
		return out, nil
	}
	out.Why, out.HelpAskedAt = st.Need.Why, maybe(st.User.HelpAskedAt)
	for _, o := range st.Need.Offers {
		out.Methods = append(out.Methods, wayOf(o, st))
	}
	switch out.State {
	case authn.NeedPassword:
		out.Methods = []way{{Method: authn.Password, Preferred: true}}
	case authn.NeedEnrolment:
		out.GraceUntil = maybe(st.Need.GraceUntil)
		doc, err := policy.Current(st.Company, a.Now())
		if err != nil {
			return attempt{}, err
		}
		for _, f := range st.Prepared {
			out.Methods = append(out.Methods, way{Method: f.Kind, Factor: f.ID, SentTo: factorOf(f, st.User, st.Lane).SentTo})
		}
		for _, k := range a.Enroll.Ways(st.Company, doc, st.User, true) {
			if st.Need.Handed && k != authn.TOTP {
				continue // the app that others have seen the key of comes first
			}
			out.Methods = append(out.Methods, way{Method: k})
		}
	case authn.Denied:
		out.Denied = st.Need.Denied
		if out.Denied == "" {
			out.Denied = policy.Stranded // a step-up: there is a way, and not here
		}
		out.Detail = a.denial(r, st, out.Denied)
	}
	return out, nil
}

func wayOf(o policy.Offer, st signin.Status) way {
	out := way{Method: o.Kind, Factor: o.Factor, Name: o.Name, SentTo: o.SentTo, Preferred: o.Preferred, Fallback: o.Fallback, Again: o.Again,
		Locked: o.Locked, PausedUntil: maybe(o.PausedUntil), TrustDays: o.TrustDays}
	if o.Kind.Remote() {
		out.Duo = outsideOf(st.Sent, o.Factor)
	}
	for _, c := range st.Sent {
		if o.Factor != "" && c.Factor == o.Factor && c.Kind.Sent() {
			out.ExpiresAt, out.ResendAt = maybe(c.ExpiresAt), maybe(st.ResendAt(o.Factor))
		}
	}
	return out
}

// denial says why nobody is let in, and what to do: the company's own words, or
// to ask an administrator.
func (a *API) denial(r *http.Request, st signin.Status, d policy.Denial) string {
	lang, args := a.language(r, st.User), map[string]any{"Company": st.Company.Name}
	help := st.Company.Support
	if help == "" {
		help = a.Texts.Text(lang, "denied.ask", args)
	}
	return a.Texts.Text(lang, "denied."+string(d), args) + " " + help
}

// answer is an attempt after a step, with the session if that was the last.
func (a *API) answer(w http.ResponseWriter, r *http.Request, st signin.Status, cookie bool) (attempt, error) {
	out, err := a.show(r, st)
	if err != nil {
		return out, err
	}
	a.takeBack(r, st, &out)
	if st.Session == nil {
		return out, nil
	}
	if old, ok := authn.ParseToken(authn.SessionToken, a.Cookies.ReadSession(r)); ok && cookie {
		// The browser has one session: the one before ends (std-53). The new one
		// stands whether or not that works.
		if err := a.Sessions.SignOut(r.Context(), old, httpserve.ClientOf(r)); err != nil {
			httpserve.Record(r, err)
		}
	}
	out.Session, out.Grant = a.issue(w, *st.Session, st.SessionToken, cookie), grantOf(st.Grant)
	out.TrustedBrowser = a.issueTrust(w, st, cookie)
	return out, nil
}

// step answers a step of an attempt, or why it was not taken.
func (a *API) step(w http.ResponseWriter, r *http.Request, st signin.Status, err error, o opener) error {
	if err != nil {
		return over(err)
	}
	out, err := a.answer(w, r, st, o.cookie)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// over tells a code or a question that is over from an attempt or a set-up that is: all
// are Expired, and only after the former one goes on with another.
func over(err error) error {
	field := map[string]string{"error.code_expired": "code", "error.passkey_expired": "credential"}
	e := authn.AsError(err)
	if e.Code != authn.Expired || field[e.Key] == "" {
		return err
	}
	named := *e
	named.Fields = []authn.Field{{Name: field[e.Key], Code: "expired", Key: e.Key}}
	return &named
}

// listing makes a refused choice name what can be chosen.
func listing[T ~string](err error, field string, choices []T) error {
	e := authn.AsError(err)
	if e.Code != authn.Invalid || len(choices) == 0 {
		return err
	}
	listed := *e
	listed.Fields = slices.Clone(e.Fields)
	for i, f := range listed.Fields {
		if f.Name == field && (f.Code == "not_one_of" || f.Code == "not_offered") {
			names := make([]string, len(choices))
			for j, c := range choices {
				names[j] = string(c)
			}
			listed.Fields[i].Key, listed.Fields[i].Args = "field.choices", map[string]any{"Choices": strings.Join(names, ", ")}
		}
	}
	return &listed
}

// offering makes a refused method name those that the attempt offers.
func (a *API) offering(r *http.Request, o opener, err error) error {
	if !errors.Is(err, authn.Invalid) {
		return err
	}
	st, failed := a.SignIn.Get(r.Context(), o.Opener)
	if failed != nil {
		return err
	}
	var kinds []authn.Kind
	if st.Need.State == authn.NeedPassword {
		kinds = []authn.Kind{authn.Password}
	}
	for _, offer := range st.Need.Offers {
		kinds = append(kinds, offer.Kind)
	}
	return listing(err, "method", kinds)
}

// begun is an attempt in the answer that begins it.
func (a *API) begun(w http.ResponseWriter, r *http.Request, st signin.Status, cookie bool) error {
	out, err := a.answer(w, r, st, cookie)
	if err != nil {
		return err
	}
	if out.State != authn.Complete && out.State != authn.Denied {
		out.Token = st.Token.Reveal()
		if st.Attempt.Caller != nil && st.Attempt.ReturnTo != "" {
			out.URL = a.PublicURL + EnterPath + out.Token
		}
	}
	out.Sent, out.NotSent = atOnce(r, st)
	httpserve.Subject(r.Context(), st.Company.ID, st.User.ID, st.Attempt.ID)
	return httpserve.WriteJSON(w, http.StatusCreated, out)
}

// atOnce is what was sent with the password, or why nothing was.
func atOnce(r *http.Request, st signin.Status) (*challenged, *notSent) {
	if st.NotSent != nil {
		p := httpserve.NewProblem(r, authn.AsError(st.NotSent))
		return nil, &notSent{Code: p.Code, Detail: p.Detail, RetryAfter: p.RetryAfter}
	}
	for _, offer := range st.Need.Offers {
		for _, c := range st.Sent {
			if offer.Kind.Sent() && c.Factor == offer.Factor {
				out := sentOf(signin.Sent{Offer: offer, ExpiresAt: c.ExpiresAt, ResendAt: st.ResendAt(c.Factor)})
				out.Factor = c.Factor
				return &out, nil
			}
		}
	}
	return nil, nil
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
		Login    string `json:"login" required:"true"`
		Password string `json:"password" required:"true"`
		ReturnTo string `json:"return_to"`
		Nonce    string `json:"nonce"`
		Trusted  string `json:"trusted_browser"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	returnTo, err := a.leads(r, in.Company, in.ReturnTo, in.Nonce)
	if err != nil {
		return err
	}
	cookie := fromBrowser(r)
	if cookie {
		a.Cookies.EnsureBrowser(w, r)
		in.Trusted = cmp.Or(in.Trusted, a.Cookies.ReadTrusted(r))
	}
	st, err := a.SignIn.Begin(r.Context(), signin.Begin{
		Company: in.Company, Login: in.Login, Password: in.Password, ReturnTo: returnTo, Trusted: in.Trusted, Client: httpserve.ClientOf(r),
	})
	if err != nil {
		return ofSeveral(in.Company, err)
	}
	return a.begun(w, r, st, cookie)
}

// attempt is GET /attempts/{id}. It never carries a session token (ruling 7).
func (a *API) attempt(w http.ResponseWriter, r *http.Request, o opener) error {
	st, err := a.SignIn.Get(r.Context(), o.Opener)
	if err != nil {
		return err
	}
	out, err := a.show(r, st)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// challenge is POST /attempts/{id}/challenge.
func (a *API) challenge(w http.ResponseWriter, r *http.Request, o opener) error {
	var in struct {
		Method authn.Kind `json:"method" required:"true"`
		Factor string     `json:"factor"`
		Option given      `json:"option"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	if in.Method.Remote() {
		return a.ask(w, r, o, in.Method, in.Factor, in.Option)
	}
	if in.Option.set {
		return authn.InvalidField("option", "unknown", nil)
	}
	_, sent, err := a.SignIn.Challenge(r.Context(), o.Opener, in.Method, in.Factor)
	if err != nil {
		return a.offering(r, o, err)
	}
	return httpserve.WriteJSON(w, http.StatusOK, sentOf(sent))
}

// verify is POST /attempts/{id}/verify.
func (a *API) verify(w http.ResponseWriter, r *http.Request, o opener) error {
	var in struct {
		Method       authn.Kind `json:"method" required:"true"`
		Factor       string     `json:"factor"`
		Code         string     `json:"code"`
		Password     string     `json:"password"`
		Credential   credential `json:"credential"`
		TrustBrowser bool       `json:"trust_browser"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	// Exactly the field of the method: what else stands there was meant for
	// something, and would be ignored.
	switch {
	case in.Code != "" && (in.Method == authn.Password || in.Method == authn.WebAuthn):
		return authn.InvalidField("code", "unknown", nil)
	case in.Password != "" && in.Method != authn.Password:
		return authn.InvalidField("password", "unknown", nil)
	case in.Credential != nil && in.Method != authn.WebAuthn:
		return authn.InvalidField("credential", "unknown", nil)
	}
	given := in.Credential.answer()
	given.Code, given.Password = in.Code, in.Password
	st, err := a.SignIn.Verify(r.Context(), o.Opener, signin.Verify{Method: in.Method, Factor: in.Factor, Answer: given, Trust: in.TrustBrowser})
	if err != nil {
		err = a.offering(r, o, err)
	}
	return a.step(w, r, st, err, o)
}

// complete is POST /attempts/{id}/complete, for an attempt that is `ready`.
func (a *API) complete(w http.ResponseWriter, r *http.Request, o opener) error {
	var in struct {
		TrustBrowser bool `json:"trust_browser"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	complete := a.SignIn.Complete
	if in.TrustBrowser {
		complete = a.SignIn.CompleteTrusting
	}
	st, err := complete(r.Context(), o.Opener)
	return a.step(w, r, st, err, o)
}

// postpone is POST /attempts/{id}/postpone, within the days of grace.
func (a *API) postpone(w http.ResponseWriter, r *http.Request, o opener) error {
	if err := httpserve.Decode(r, &struct{}{}); err != nil {
		return err
	}
	st, err := a.SignIn.Postpone(r.Context(), o.Opener)
	return a.step(w, r, st, err, o)
}

// askHelp is POST /attempts/{id}/help, for somebody who can't verify.
func (a *API) askHelp(w http.ResponseWriter, r *http.Request, o opener) error {
	if err := httpserve.Decode(r, &struct{}{}); err != nil {
		return err
	}
	st, err := a.SignIn.AskHelp(r.Context(), o.Opener)
	return a.step(w, r, st, err, o)
}

// newPassword is POST /attempts/{id}/password, where a new one is asked for.
func (a *API) newPassword(w http.ResponseWriter, r *http.Request, o opener) error {
	var in struct {
		New string `json:"new" required:"true"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	st, err := a.SignIn.ChangePassword(r.Context(), o.Opener, in.New)
	return a.step(w, r, st, err, o)
}
