package web

import (
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
)

// codePage is the data of code.html: the field of one way (S3, S5, S8), and for
// codes that are sent, the button that sends one.
type codePage struct {
	attemptPage
	Way     string // its id
	Kind    authn.Kind
	Hint    []Part
	Refusal refusal
	Letters bool // the code has letters
	App     bool // the code is the app's
	Others  bool // there are other ways
	Again   bool // it counts again once it and another proof are given
	Sent    *sentPart
	Problem sendProblem
	Ways    []way // with Problem: what can be used instead
	Trust   *trustBox
}

// trustBox is the box by which a person has their browser trusted (S12).
type trustBox struct {
	Label, Hint string
	Ticked      bool
}

// trustBox is nil where the browser may not be trusted.
func (v *View) trustBox(s step, o policy.Offer) *trustBox {
	if o.TrustDays == 0 {
		return nil
	}
	return &trustBox{Label: v.T("page.trust.label", "Count", o.TrustDays), Hint: v.T("page.trust.hint"), Ticked: s.trust}
}

// lettered are the kinds whose codes have letters.
func lettered(k authn.Kind) bool { return k == authn.BackupCode || k == authn.BypassCode }

func (h *Handler) drawCode(w http.ResponseWriter, status int, v *View, s step, o policy.Offer, why refusal, problem sendProblem) error {
	p := codePage{attemptPage: s.page(), Way: wayID(o), Kind: o.Kind, Refusal: why, Letters: lettered(o.Kind), App: o.Kind == appKind,
		Others: len(s.Need.Offers) > 1, Problem: problem, Again: o.Again, Trust: v.trustBox(s, o)}
	v.Title = v.T(v.of("page.code.title", o.Kind))
	switch {
	case o.Kind.Sent():
		p.Sent = v.sentPart(s, o)
		if !p.Sent.Out {
			v.Title = v.T(v.of("page.send.title", o.Kind))
		}
		p.Hint = v.sentHint(p, o.Kind)
	case lettered(o.Kind):
		p.Hint = v.Rich("page.code.hint." + string(o.Kind))
	default:
		p.Hint = v.Rich("page.code.find", "Company", s.Company.Name)
	}
	if problem.Instead {
		p.Ways = v.ways(s, func(other policy.Offer) bool { return other.Usable() && wayID(other) != p.Way })
	}
	v.Failed, v.Data = why.Text != "" || problem.Text != nil, p
	return h.draw(w, status, "code.html", v)
}

// sentHint says where a code went, or will go.
func (v *View) sentHint(p codePage, k authn.Kind) []Part {
	switch {
	case p.Problem.NotSent:
		return v.Rich("page.code.not_sent")
	case p.Sent.Out:
		return v.Rich(v.of("page.code.sent", k), "To", p.Sent.To, "Until", p.Sent.Until)
	case p.Refusal.Text != "":
		return v.Rich(v.of("page.code.over", k), "To", p.Sent.To)
	}
	return v.Rich(v.of("page.send.text", k), "To", p.Sent.To)
}

// of is the key for a kind, where the catalogue has one of its own.
func (v *View) of(key string, k authn.Kind) string {
	if own := key + "." + string(k); v.texts.Has(own) {
		return own
	}
	return key
}

// codeExpired is the text of a sent code that is over. The attempt is not.
const codeExpired = "error.code_expired"

// answerExpired reports whether only what was answered is over: a code, or a question.
func answerExpired(e *authn.Error) bool {
	return e.Key == codeExpired || e.Key == "error.passkey_expired"
}

// answerRefusal puts a refused answer into words: what was typed, and where it
// came from, makes a difference to what the person can do.
func (v *View) answerRefusal(k authn.Kind, e *authn.Error) (refusal, bool) {
	if k == authn.WebAuthn {
		return v.passkeyRefusal(e)
	}
	if e.Code == authn.Expired && e.Key == codeExpired {
		return refusal{Status: http.StatusUnprocessableEntity, Text: v.T(codeExpired)}, true
	}
	out, ok := v.codeRefusal(e)
	if !ok || k == appKind {
		return out, ok
	}
	out.Advice = false // about the phone's clock
	switch {
	case e.Code == authn.CodeUsed:
		out.Text = v.T(v.of("page.code.used", k))
	case e.Code == authn.WrongCode && v.saysLeft(e):
		out.Text = v.T(v.of("page.code.wrong_left", k), "Count", e.AttemptsLeft)
	case e.Code == authn.WrongCode:
		out.Text = v.T(v.of("page.code.wrong", k))
	case e.Code == authn.Invalid && e.Fields[0].Code == "required":
		out.Text = v.T(v.of("page.code.empty", k))
	}
	return out, true
}

// Letters is the field for a code with letters: no numeric keyboard, nothing
// that the browser fills in or corrects (ux rule 13).
func (v *View) Letters(k authn.Kind, why refusal) Field {
	return Field{ID: "saved-code", Label: v.T("page.way." + string(k)), Text: v.T("page.code.shape." + string(k)), Refusal: why, Focus: true}
}

// way is a row of the list of ways.
type way struct {
	Value, Label, Icon string
	Name               string
	Hint               []Part // instead of a name
	Preferred, Locked  bool
	Pause              *pause
	Device             bool // the browser has to know how
}

// ways are the rows for the ways that fit.
func (v *View) ways(s step, fit func(policy.Offer) bool) []way {
	var rows []way
	for _, o := range s.Need.Offers {
		if !fit(o) {
			continue
		}
		x := way{Value: wayID(o), Label: v.T("page.way." + string(o.Kind)), Icon: wayIcon(o.Kind), Name: o.Name, Preferred: o.Preferred, Locked: o.Locked, Device: o.Kind == authn.WebAuthn}
		switch {
		case o.Kind.Sent():
			x.Name, x.Hint = "", v.Rich(v.of("page.choose.send", o.Kind), "To", o.SentTo)
		case o.Kind == appKind:
			x.Hint = v.Rich("page.choose.code")
		case v.texts.Has("page.choose." + string(o.Kind)):
			x.Hint = v.Rich("page.choose." + string(o.Kind))
		}
		if !o.PausedUntil.IsZero() {
			x.Pause = v.pauseOf(o.PausedUntil)
		}
		rows = append(rows, x)
	}
	return rows
}

func wayIcon(k authn.Kind) string {
	switch k {
	case authn.Email:
		return "mail"
	case authn.SMS:
		return "message"
	case authn.WebAuthn:
		return "lock"
	case authn.Duo:
		return "shield"
	case authn.BackupCode:
		return "list"
	case authn.BypassCode:
		return "key"
	}
	return "phone"
}

// choosePage is the data of choose.html (S2).
type choosePage struct {
	attemptPage
	Ways []way
}

func (h *Handler) drawChoose(w http.ResponseWriter, v *View, s step) error {
	v.Title, v.Passkeys = v.T("page.choose.title"), true
	v.Data = choosePage{attemptPage: s.page(), Ways: v.ways(s, func(policy.Offer) bool { return true })}
	return h.draw(w, http.StatusOK, "choose.html", v)
}

// helpPage is the data of help.html (S9): what can be done by somebody who
// cannot verify. It names nothing that the attempt does not offer.
type helpPage struct {
	attemptPage
	Ways     []way
	HelpCode bool // an administrator made one
	Support  []Part
	Asked    []Part // since when an administrator knows; none: nobody asked one
}

func (h *Handler) drawHelp(w http.ResponseWriter, v *View, s step) error {
	v.Title = v.T("page.help.title")
	p := helpPage{attemptPage: s.page(), Support: v.support(s.Company), Asked: v.askedHelp("page.help.asked", s.User)}
	_, p.HelpCode = s.way(string(authn.BypassCode))
	p.Ways = v.ways(s, func(o policy.Offer) bool { return o.Usable() && o.Kind != authn.BypassCode })
	v.Data = p
	return h.draw(w, http.StatusOK, "help.html", v)
}

// askedHelp says since when the administrators know that somebody can't verify, if
// they do.
func (v *View) askedHelp(key string, u authn.User) []Part {
	if u.HelpAskedAt.IsZero() {
		return nil
	}
	return v.Rich(key, "When", v.When(u.HelpAskedAt))
}

// postHelp asks an administrator. Nothing of the attempt changes.
func (h *Handler) postHelp(w http.ResponseWriter, r *http.Request, s step, _ url.Values) error {
	st, err := h.c.SignIn.AskHelp(r.Context(), s.opener)
	switch {
	case authn.AsError(err).Code == authn.Conflict:
		httpserve.Record(r, err)
	case err != nil:
		return err
	case st.Need.State != authn.Denied:
		seeOther(w, withQuery(s.path, "way", "help"))
		return nil
	}
	seeOther(w, s.path)
	return nil
}

// support is what the company tells people who cannot get in.
func (v *View) support(c authn.Company) []Part {
	if c.Support != "" {
		return []Part{{Text: c.Support, Value: true}}
	}
	return v.Rich("page.stopped.ask", "Company", c.Name)
}

// stoppedPage is the data of stopped.html (S10).
type stoppedPage struct {
	attemptPage
	Way     string
	Locked  bool
	Pause   *pause
	App     bool
	Text    string
	Ways    []way // what can be used instead
	Support []Part
}

func (h *Handler) drawStopped(w http.ResponseWriter, status int, v *View, s step, o policy.Offer) error {
	p := stoppedPage{attemptPage: s.page(), Way: wayID(o), Locked: o.Locked, App: o.Kind == appKind, Support: v.support(s.Company)}
	if o.Locked {
		v.Title, p.Text = v.T(v.of("page.stopped.locked_title", o.Kind)), v.T(v.of("page.stopped.locked_text", o.Kind))
	} else {
		v.Title, p.Text = v.T("page.stopped.paused_title"), v.T(v.of("page.stopped.paused_text", o.Kind))
		p.Pause = v.pauseOf(o.PausedUntil)
		retryAfter(w, o.PausedUntil.Sub(v.now))
	}
	p.Ways = v.ways(s, func(other policy.Offer) bool { return other.Usable() })
	v.Data = p
	return h.draw(w, status, "stopped.html", v)
}

// deniedPage is the data of denied.html: policy asks for a second way, and the
// person has none that can be used here. Nobody sets one up on a password alone
// (ruling 1).
type deniedPage struct {
	attemptPage
	Why     []string
	Text    []Part
	Support []Part
	Caller  bool   // an application checked the password
	Asked   []Part // as helpPage has it
}

func (h *Handler) drawDenied(w http.ResponseWriter, v *View, s step) error {
	reason := string(s.Need.Denied)
	if !v.texts.Has("page.denied.text." + reason) {
		reason = string(policy.NoContact)
	}
	v.Title = v.T("page.denied.title." + reason)
	p := deniedPage{attemptPage: s.page(), Why: v.why(s.Need.Why, s.Company.Name), Support: v.support(s.Company), Caller: s.Attempt.Caller != nil, Asked: v.askedHelp("page.help.asked", s.User)}
	switch s.Need.Denied {
	case policy.NewOne:
		p.Text = v.Rich("page.denied.text."+reason, "When", v.When(roundUp(s.User.EmailChangedAt.Add(policy.ContactRests))))
	case policy.MailRests:
		p.Text = v.Rich("page.denied.text."+reason, "When", v.When(roundUp(s.User.PasswordResetAt.Add(policy.ContactRests))))
	default:
		p.Text = v.Rich("page.denied.text." + reason)
	}
	v.Data = p
	return h.draw(w, http.StatusForbidden, "denied.html", v)
}

// roundUp is a time for a clock that shows no seconds.
func roundUp(t time.Time) time.Time {
	return t.Add(time.Minute - time.Nanosecond).Truncate(time.Minute)
}

// why says which rules ask for a second way.
func (v *View) why(reasons []policy.Reason, company string) []string {
	var out []string
	for _, reason := range reasons {
		out = append(out, v.T("why."+string(reason), "Company", company))
	}
	return out
}

// recorded notes a refusal that is drawn in place, and gives its status.
func recorded(r *http.Request, err error) int {
	httpserve.Record(r, err)
	return httpserve.Status(authn.AsError(err).Code)
}
