package httpserve

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/http"

	"github.com/sallyport-mfa/sallyport/authn"
)

// checkOrigin refuses unsafe requests that another site caused (ruling 50).
// http.CrossOriginProtection lets a request with neither Sec-Fetch-Site nor
// Origin pass, as one that no browser sends; with our cookies on it, it is a
// browser's after all, and nobody can tell whose page it comes from.
func (l *layer) checkOrigin(r *http.Request) error {
	if err := l.cross.Check(r); err != nil {
		return &authn.Error{Code: authn.Forbidden, Key: "error.forbidden.cross_site", Err: err}
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	if r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != "" || len(r.Header["Authorization"]) > 0 {
		// With Authorization the cookies are not looked at: see Cookies.Credential.
		return nil
	}
	if l.cfg.Cookies.present(r) {
		return &authn.Error{Code: authn.Forbidden, Key: "error.forbidden.cross_site"}
	}
	return nil
}

// FormField is the name of the hidden field that holds the form value.
const FormField = "form"

const (
	formLabel = "sallyport form v1"
	formLen   = 26 // of 5 bits: 130 bits
)

// FormValue is the value of the hidden field for the holder of a cookie whose
// value is secret: a truncated HMAC-SHA-256 keyed by that value.
//
// It is sound without a key of the server: both cookies hold 256 random bits,
// are HttpOnly and leave the browser to us only, so whoever can compute the
// value already holds the cookie; and the value, a PRF of a label, tells
// nothing about its key. It lives exactly as long as the cookie, so there is no
// "form expired". Answers must not be compressed together with text that others
// choose (BREACH); we do not compress.
func FormValue(secret string) string {
	if secret == "" {
		return ""
	}
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(formLabel))
	return idEncoding.EncodeToString(m.Sum(nil))[:formLen]
}

// FormToken is the form value for this browser's session, or before there is
// one for its browser cookie (see [Cookies.EnsureBrowser]).
func (c Cookies) FormToken(r *http.Request) string {
	if s := c.ReadSession(r); s != "" {
		return FormValue(s)
	}
	return FormValue(ClientOf(r).Browser)
}

// CheckForm refuses a form whose hidden value is not this session's, or without
// a session this browser's.
func (c Cookies) CheckForm(r *http.Request) error {
	return checkForm(r, c.FormToken(r))
}

// CheckSignInForm is CheckForm for the pages before a session. They also accept
// the browser's own value when there is a session by now: two tabs may both
// show the sign-in page, and the second to be sent is no attack.
func (c Cookies) CheckSignInForm(r *http.Request) error {
	if checkForm(r, FormValue(ClientOf(r).Browser)) == nil {
		return nil
	}
	return c.CheckForm(r)
}

func checkForm(r *http.Request, want string) error {
	form, err := Form(r)
	if err != nil {
		return err
	}
	got := form[FormField]
	if want == "" || len(got) != 1 || !hmac.Equal([]byte(got[0]), []byte(want)) {
		return &authn.Error{Code: authn.Forbidden, Key: "error.forbidden.form"}
	}
	return nil
}
