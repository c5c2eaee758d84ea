package web

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/signin"
)

// A passkey is asked for by a form (part "passkey"): the script gets the question by a
// POST to a second address of the form, since a question is stored, has the device
// answer it, and sends the form with the answer, so that the server leads on as after
// any other form. Where the script cannot get a question it sends the form without an
// answer: the server knows why, and draws that.

// credentialField is where a form carries the device's answer.
const credentialField = "credential"

// passkeyAsk is what the part "passkey" is drawn with.
type passkeyAsk struct {
	V           *View
	Make        bool   // a new one; else a proof by one that is there
	Options     string // address of the question
	Label, Busy string
	Plain       bool // the button is not the page's main one
}

// answerOf is the answer in a form, whichever it is.
func answerOf(form url.Values) authn.Answer {
	a := authn.Answer{Code: form.Get("code")}
	if c := form.Get(credentialField); c != "" {
		a.Credential = json.RawMessage(c)
	}
	return a
}

// passkeys is what asks for passkeys; nil: this server has none.
func (h *Handler) passkeys() authn.Ceremony {
	m, _ := h.methods[authn.WebAuthn].(authn.Ceremony)
	return m
}

// passkeyHost is the relying party's id, which browsers want with what they are told of
// passkeys (WebAuthn Level 3 section 5.1.10).
func (h *Handler) passkeyHost() string {
	if m, ok := h.passkeys().(interface{ ID() string }); ok {
		return m.ID()
	}
	return ""
}

// signsInByPasskey reports whether a company lets people in by a passkey alone.
func (h *Handler) signsInByPasskey(c authn.Company) bool {
	doc, err := policy.Current(c, h.c.Now())
	_, here := h.traits(c)(authn.WebAuthn)
	return err == nil && here && doc.Offers(authn.WebAuthn) && doc.TwoFactor != policy.Off
}

// passkeyRefusal puts into words why an answer of a device was not taken. Most of these
// are nobody's fault, and none is a wrong code.
func (v *View) passkeyRefusal(e *authn.Error) (refusal, bool) {
	out := refusal{Status: httpserve.Status(e.Code)}
	switch {
	case strings.HasPrefix(e.Key, "error.passkey_"):
		out.Text = httpserve.Message(v.texts, v.Lang, e)
	case e.Code == authn.WrongCode:
		out.Text = v.T("error.passkey_refused")
	case e.Code == authn.Invalid && len(e.Fields) > 0 && e.Fields[0].Name == credentialField:
		switch e.Fields[0].Code {
		case "required":
			out.Text, out.Calm = v.T("page.passkey.nothing"), true
		case "unknown":
			out.Text = httpserve.FieldMessage(v.texts, v.Lang, e.Fields[0])
		default:
			out.Text = v.T("error.passkey_refused")
		}
	}
	return out, out.Text != ""
}

// unknownPasskey is what the browser is told of a passkey that is not known here any
// more, so that it is not offered again (signalUnknownCredential).
type unknownPasskey struct{ Host, ID string }

// unknownPasskey is nil where it could be known to somebody else who shares our relying
// party's id: another company of this server, or another server below the same domain.
// What browsers are told here takes it from its person.
func (h *Handler) unknownPasskey(r *http.Request, a authn.Answer) *unknownPasskey {
	host := h.passkeyHost()
	own := (&url.URL{Host: r.Host}).Hostname() == host
	_, several := h.c.Directory.Company(r.Context(), "")
	id, _, err := h.passkeys().Answered(a)
	if err != nil || several != nil || !own {
		return nil
	}
	return &unknownPasskey{host, base64.RawURLEncoding.EncodeToString(id)}
}

// passkeySuffix follows the address of the sign-in page.
const passkeySuffix = "/passkey"

// postPasskeyAsk is the question of a whole sign-in by a passkey, for the script.
func (h *Handler) postPasskeyAsk(w http.ResponseWriter, r *http.Request) error {
	if _, err := httpserve.Form(r); err != nil {
		return err
	}
	company, err := h.c.Directory.Company(r.Context(), r.PathValue("company"))
	if err != nil {
		return err
	}
	if httpserve.ClientOf(r).Browser == "" {
		return httpserve.WriteJSON(w, http.StatusOK, json.RawMessage("null")) // cookies are off: the page says so when something is sent
	}
	if err := h.c.Cookies.CheckSignInForm(r); err != nil {
		return err
	}
	ask, err := h.c.SignIn.Passkeys(r.Context(), company.Slug, httpserve.ClientOf(r))
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, json.RawMessage(ask.Options))
}

// postPasskey signs in by the answer to it. It ends as a sign-in by password does.
func (h *Handler) postPasskey(w http.ResponseWriter, r *http.Request) error {
	in, err := h.sentSignIn(w, r, "page.passkey.cookies")
	if in == nil {
		return err
	}
	st, err := h.c.SignIn.BeginByPasskey(r.Context(), signin.ByPasskey{
		Company: in.company.Slug, Credential: answerOf(in.form).Credential, ReturnTo: in.page.ReturnTo, Client: httpserve.ClientOf(r),
	})
	if err != nil {
		return h.refusePasskey(w, r, in.view, in.company, in.page, err)
	}
	return h.begun(w, r, in.company, in.page.Action, st)
}

// refusePasskey shows the sign-in page again, with why the passkey did not open it.
func (h *Handler) refusePasskey(w http.ResponseWriter, r *http.Request, v *View, company authn.Company, p signInPage, err error) error {
	e := authn.AsError(err)
	why, ok := v.passkeyRefusal(e)
	switch {
	case ok:
		p.Problem, p.Calm = why.Text, why.Calm
	case e.Code == authn.Paused, e.Code == authn.TooManyRequests:
		retryAfter(w, e.RetryAfter)
		p.Problem, p.Pause = v.T("page.signin.paused"), v.pauseOf(v.now.Add(e.RetryAfter))
	case e.Code == authn.Locked:
		p.Problem = v.T("page.passkey.locked")
	case e.Code == authn.Busy, e.Code == authn.ProviderUnavailable, e.Code == authn.PolicyForbids:
		retryAfter(w, e.RetryAfter)
		p.Problem = httpserve.Message(h.c.Texts, v.Lang, e)
	default:
		return err
	}
	if errors.Is(err, signin.ErrUnknownPasskey) {
		p.Unknown = h.unknownPasskey(r, answerOf(r.PostForm))
	}
	httpserve.Record(r, err)
	return h.drawSignIn(w, r, httpserve.Status(e.Code), company, p)
}

// merged has the person's several passkeys stand among the ways as one: which it is,
// their device says.
func merged(st signin.Status) signin.Status {
	var out []policy.Offer
	at := map[authn.Kind]int{}
	for _, o := range st.Need.Offers {
		if !o.Kind.Several() {
			out = append(out, o)
			continue
		}
		o.Factor, o.Name = "", ""
		i, there := at[o.Kind]
		if !there {
			at[o.Kind] = len(out)
			out = append(out, o)
			continue
		}
		preferred := out[i].Preferred || o.Preferred
		if !out[i].Usable() && o.Usable() {
			out[i] = o
		}
		out[i].Preferred = preferred
	}
	st.Need.Offers = out
	return st
}

// passkeyPage is the data of passkey.html (S6).
type passkeyPage struct {
	attemptPage
	Way   string
	Why   refusal
	Again bool
	Ask   passkeyAsk
	Ways  []way
	Trust *trustBox
}

func (h *Handler) drawPasskey(w http.ResponseWriter, status int, v *View, s step, o policy.Offer, why refusal) error {
	p := passkeyPage{attemptPage: s.page(), Way: wayID(o), Why: why, Again: o.Again, Trust: v.trustBox(s, o),
		Ask: v.askPasskey(s.path + passkeySuffix)}
	p.Ways = v.ways(s, func(other policy.Offer) bool { return other.Kind != o.Kind })
	v.Title, v.Failed, v.Passkeys, v.Data = v.T("page.passkey.title"), why.Text != "" && !why.Calm, true, p
	return h.draw(w, status, "passkey.html", v)
}

func (v *View) askPasskey(options string) passkeyAsk {
	return passkeyAsk{V: v, Options: options, Label: v.T("page.passkey.button"), Busy: v.T("page.passkey.busy")}
}

// postPasskeyOptions is the question of a second step, for the script.
func (h *Handler) postPasskeyOptions(w http.ResponseWriter, r *http.Request, s step, _ url.Values) error {
	_, sent, err := h.c.SignIn.Challenge(r.Context(), s.opener, authn.WebAuthn, "")
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, json.RawMessage(sent.Options))
}

// postConfirmPasskey is the question of a confirmation by passkey, for the script.
func (h *Handler) postConfirmPasskey(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	_, o, err := h.openStepUp(r, cur)
	if err != nil {
		return h.overOrElse(w, err)
	}
	_, sent, err := h.c.SignIn.Challenge(r.Context(), o, authn.WebAuthn, "")
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, json.RawMessage(sent.Options))
}
