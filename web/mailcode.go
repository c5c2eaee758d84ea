package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/signin"
)

// sentFlow is what differs between the pages on which a sent code is entered.
type sentFlow struct {
	base            string // of the forms
	kind            authn.Kind
	section         string // of the side navigation
	back            string // where Cancel and the link back lead
	label, button   string // keys: that link, and the button of a page that is over
	title, text     string // keys: what the code is for
	done, cancelled string
	taken           string // key: the address or number is somebody else's, which is not said; empty: any may be
}

var sentFlows = []sentFlow{
	{base: mailPath, kind: authn.Email, section: "security", back: securityPath, label: "page.back", button: "page.back_to_security",
		title: "page.mail.title", text: "page.mail.text", done: "mail_on", cancelled: "cancelled"},
	{base: addressPath, kind: authn.Email, section: "profile", back: accountPath, label: "page.nav.profile", button: "page.back_to_profile",
		title: "page.address.title_code", text: "page.address.text_code", done: "address", cancelled: "address_cancelled", taken: "error.address_not_possible"},
	{base: phonePath, kind: authn.SMS, section: "security", back: securityPath, label: "page.back", button: "page.back_to_security",
		title: "page.setup.title.sms", text: "page.mail.text", done: "phone_on", cancelled: "cancelled", taken: "error.number_not_possible"},
}

// sentFlowOf is the page that an address belongs to.
func sentFlowOf(r *http.Request) sentFlow {
	for _, f := range sentFlows {
		if strings.HasPrefix(r.URL.Path, f.base+"/") {
			return f
		}
	}
	return sentFlows[0]
}

// sentPage is the data of sent.html: the code that was sent to an address or a
// number, to turn on codes that go there (S17, S18) or to confirm a new address of
// the account.
type sentPage struct {
	Base, Back, BackLabel string // of the forms; where Cancel and the link back lead
	Text                  string // what the code is for
	To                    []Part // where it went
	Change                string // address of the page for another number; empty: none
	Keeps                 []Part // what works until this does; empty: nothing
	Slow                  slow
	Version               int64
	Until                 Part // zero: no code is out
	Again                 sendAgain
	Refusal               refusal
	Problem               string
	Pause                 *pause
}

func (h *Handler) postMail(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	return h.beginMail(w, r, cur)
}

// mailAct goes on with turning on codes by e-mail after the person confirmed
// that it's them.
func (h *Handler) mailAct(w http.ResponseWriter, r *http.Request, st signin.Status) error {
	cur, err := h.c.Sessions.Check(r.Context(), st.SessionToken.Reveal(), httpserve.ClientOf(r))
	if err != nil {
		return err
	}
	return h.beginMail(w, r, cur)
}

func (h *Handler) beginMail(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if cur.User.Email == "" {
		seeOther(w, addressPath) // a way of verifying it comes with the address
		return nil
	}
	p, err := h.c.Enroll.Begin(r.Context(), who(r, cur), authn.Email, "")
	switch e := authn.AsError(err); {
	case err == nil:
		httpserve.Subject(r.Context(), p.Factor.ID)
		seeOther(w, mailPath+"/"+p.Factor.ID)
		return nil
	case e.Code == authn.StepUpRequired:
		return h.beginConfirm(w, r, cur, "mail", "")
	case e.Code == authn.Conflict:
		seeOther(w, securityPath) // it is on by now
		return nil
	case e.Code == authn.MessageNotSent && p.Factor.ID != "":
		// The set-up is there; its page can send again.
		httpserve.Record(r, err)
		return h.finish(w, mailPath+"/"+p.Factor.ID, "not_sent")
	case e.Code == authn.TooManyRequests:
		return h.sendLimit(w, r, cur, err)
	}
	return err
}

// sendLimit is for a code that cannot be sent now, before there is a page for it.
func (h *Handler) sendLimit(w http.ResponseWriter, r *http.Request, cur session.Current, err error) error {
	e, v := authn.AsError(err), h.personal(r, cur)
	if e.Key == "error.send_wait" {
		// Begun a moment ago: the page of that one is where the code goes.
		if f := pendingMail(cur.Factors); f != nil {
			seeOther(w, mailPath+"/"+f.ID)
			return nil
		}
	}
	httpserve.Record(r, err)
	retryAfter(w, e.RetryAfter)
	v.Title = v.T("page.sent.limit_title")
	return h.drawGone(w, httpserve.Status(e.Code), v, gone{Text: httpserve.Message(v.texts, v.Lang, e), Button: v.T("page.back_to_security"), Action: securityPath})
}

func pendingMail(factors []authn.Factor) *authn.Factor {
	return factorIn(factors, authn.Email, authn.Pending)
}

func (h *Handler) getSent(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	return h.drawSent(w, r, cur, nil)
}

func (h *Handler) drawSent(w http.ResponseWriter, r *http.Request, cur session.Current, e *authn.Error) error {
	v, flow := h.personal(r, cur), sentFlowOf(r)
	pending, err := h.c.Enroll.Show(r.Context(), who(r, cur), r.PathValue("factor"))
	if err == nil && pending.Factor.Kind != flow.kind {
		err = authn.NotFound
	}
	if err != nil {
		return h.sentGone(w, r, v, flow, err)
	}
	p := v.sentData(flow, pending)
	if flow.kind == authn.SMS {
		h.showNumber(v, &p, pending)
	}
	status := http.StatusOK
	if e != nil {
		status = httpserve.Status(e.Code)
		if !p.explain(w, v, e) {
			return e
		}
	}
	v.Failed, v.Data = p.Refusal.Text != "", p
	return h.draw(w, status, "sent.html", v)
}

func (v *View) sentData(flow sentFlow, pending enroll.Pending) sentPage {
	at := flow.base + "/" + pending.Factor.ID
	p := sentPage{Base: at, Back: flow.back, BackLabel: v.T(flow.label), Version: pending.Version, Slow: v.slowSetUp(flow.kind),
		Again: v.again(len(pending.Sent) > 0, pending.ResendAt, at+"/send"), Text: v.T(flow.text), To: v.Rich("page.sent.over", "Address", pending.Address)}
	v.Section, v.Title = flow.section, v.T(flow.title)
	if n := len(pending.Sent); n > 0 {
		p.Until, p.To = v.Seconds(pending.Sent[n-1].ExpiresAt), v.Rich("page.sent.to", "Address", pending.Address)
	}
	return p
}

// explain puts what went wrong into words and reports whether it can.
func (p *sentPage) explain(w http.ResponseWriter, v *View, e *authn.Error) bool {
	switch {
	case e.Code == authn.MessageNotSent, e.Code == authn.TooManyRequests, e.Code == authn.Conflict, noTextKey(e):
		retryAfter(w, e.RetryAfter)
		p.Problem = httpserve.Message(v.texts, v.Lang, e)
		return true
	case e.Code == authn.Paused, e.Code == authn.WrongCode && e.RetryAfter > 0:
		retryAfter(w, e.RetryAfter)
		p.Refusal, p.Pause = refusal{Text: v.T("page.sent.paused")}, v.pauseOf(v.now.Add(e.RetryAfter))
		return true
	case e.Code == authn.Locked:
		p.Refusal = refusal{Text: v.T("page.setup.locked")}
		return true
	}
	why, ok := v.sentRefusal(e)
	p.Refusal = why
	return ok
}

func (h *Handler) postSentConfirm(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	flow, factor := sentFlowOf(r), r.PathValue("factor")
	here, done := flow.base+"/"+factor, flow.done
	if flow.kind == authn.SMS && activePhone(cur.Factors) != nil {
		done = "phone_replaced"
	}
	version, err := strconv.ParseInt(r.PostForm.Get("version"), 10, 64)
	if err != nil || version <= 0 {
		seeOther(w, here)
		return nil
	}
	changed, err := h.c.Enroll.Confirm(r.Context(), who(r, cur), factor, version, authn.Answer{Code: r.PostForm.Get("code")})
	e := authn.AsError(err)
	switch {
	case err == nil:
		h.changed(w, r, changed)
		if len(changed.Codes) > 0 {
			return h.finish(w, codesPath, done)
		}
		return h.finish(w, flow.back, done)
	case e.Key == "error.attempt_moved":
		seeOther(w, here) // Reload, or a second click
		return nil
	case e.Key == "error.factor_taken", e.Code == authn.Conflict && flow.base == addressPath && e.Key != "error.factor_confirmed":
		// It is somebody else's. That is not said: whose it is concerns them.
		httpserve.Record(r, err)
		return h.drawSent(w, r, cur, &authn.Error{Code: authn.Conflict, Key: flow.taken})
	case e.Code == authn.Conflict, e.Code == authn.NotFound, e.Code == authn.Expired && e.Key != "error.code_expired":
		return h.sentGone(w, r, h.personal(r, cur), flow, err)
	}
	httpserve.Record(r, err)
	return h.drawSent(w, r, cur, e)
}

// postSentAgain sends the code again.
func (h *Handler) postSentAgain(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	flow, factor := sentFlowOf(r), r.PathValue("factor")
	_, err := h.c.Enroll.Send(r.Context(), who(r, cur), factor)
	switch e := authn.AsError(err); {
	case err == nil, e.Key == "error.send_wait":
		seeOther(w, flow.base+"/"+factor)
		return nil
	case e.Code == authn.Conflict, e.Code == authn.NotFound, e.Code == authn.Expired:
		return h.sentGone(w, r, h.personal(r, cur), flow, err)
	default:
		httpserve.Record(r, err)
		return h.drawSent(w, r, cur, e)
	}
}

// sentGone is for a code page that is over, or was replaced by a later one.
func (h *Handler) sentGone(w http.ResponseWriter, r *http.Request, v *View, flow sentFlow, err error) error {
	e := authn.AsError(err)
	v.Section = flow.section
	switch e.Code {
	case authn.Conflict:
		seeOther(w, flow.back) // a second click: it is on already
		return nil
	case authn.Expired, authn.NotFound:
		httpserve.Record(r, err)
		v.Title = v.T("page.setup.gone_title")
		return h.drawGone(w, httpserve.Status(e.Code), v, gone{Text: v.T("page.setup.gone_text"), Button: v.T(flow.button), Action: flow.back})
	}
	return err
}

// postSentCancel gives up what is pending; the address of a way that counts is
// not one to remove it by.
func (h *Handler) postSentCancel(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if err := h.giveUp(r, cur); err != nil {
		return err
	}
	flow := sentFlowOf(r)
	return h.finish(w, flow.back, flow.cancelled)
}

// giveUp ends the pending set-up in the address.
func (h *Handler) giveUp(r *http.Request, cur session.Current) error {
	asker := who(r, cur)
	p, err := h.c.Enroll.Show(r.Context(), asker, r.PathValue("factor"))
	if err == nil {
		_, err = h.c.Enroll.Remove(r.Context(), asker, p.Factor.ID)
	}
	switch authn.AsError(err).Code {
	case authn.NotFound, authn.Expired, authn.Conflict:
		return nil // over already: what was wanted
	}
	return err
}

// addressPage is the data of address.html.
type addressPage struct {
	Email    string
	Verified bool
	Typed    string
	Error    string
	Problem  string
}

// getAddress is the form for a new address of the account. A proof is asked for
// before anything is typed.
func (h *Handler) getAddress(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if !h.offers(authn.Email) {
		seeOther(w, accountPath)
		return nil
	}
	if err := h.c.Enroll.Ready(r.Context(), who(r, cur)); authn.AsError(err).Code == authn.StepUpRequired {
		return h.askConfirm(w, "address", "")
	} else if err != nil {
		return err
	}
	return h.drawAddress(w, http.StatusOK, h.personal(r, cur), cur, addressPage{})
}

func (h *Handler) drawAddress(w http.ResponseWriter, status int, v *View, cur session.Current, p addressPage) error {
	p.Email, p.Verified = cur.User.Email, !cur.User.EmailVerifiedAt.IsZero()
	v.Section, v.Title, v.Failed, v.Data = "profile", v.T("page.address.title"), p.Error != "", p
	return h.draw(w, status, "address.html", v)
}

func (h *Handler) addressAgain(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	v := h.personal(r, cur)
	v.Notice, v.Warning = "page.done.changed_elsewhere", true
	return h.drawAddress(w, http.StatusUnprocessableEntity, v, cur, addressPage{Typed: r.PostForm.Get("email")})
}

func (h *Handler) postAddress(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	typed := strings.TrimSpace(r.PostForm.Get("email"))
	p, err := h.c.Enroll.BeginEmail(r.Context(), who(r, cur), typed)
	e, v := authn.AsError(err), h.personal(r, cur)
	page := addressPage{Typed: typed}
	switch {
	case err == nil:
		httpserve.Subject(r.Context(), p.Factor.ID)
		seeOther(w, addressPath+"/"+p.Factor.ID)
		return nil
	case e.Code == authn.StepUpRequired:
		return h.beginConfirm(w, r, cur, "address", "")
	case e.Code == authn.MessageNotSent && p.Factor.ID != "":
		httpserve.Record(r, err)
		return h.finish(w, addressPath+"/"+p.Factor.ID, "not_sent")
	case e.Code == authn.MessageNotSent, e.Code == authn.TooManyRequests:
		retryAfter(w, e.RetryAfter)
		page.Problem = httpserve.Message(v.texts, v.Lang, e)
	case e.Code == authn.Invalid && typed == "":
		page.Error = v.T("page.address.empty")
	case e.Code == authn.Invalid && len(e.Fields) > 0 && e.Fields[0].Code == "same":
		page.Error = v.T("page.address.same")
	case e.Code == authn.Invalid:
		page.Error = v.T("page.address.shape")
	default:
		return err
	}
	httpserve.Record(r, err)
	return h.drawAddress(w, httpserve.Status(e.Code), v, cur, page)
}
