package web

import (
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
)

// sentPart is what the page says about the codes of one way (S4, S5). The server
// counts; the page only shows.
type sentPart struct {
	To    string // masked
	Out   bool   // a code is out
	Until Part   // when the newest is over
	Again []Part // if it was sent more than once
	Slow  slow
	More  bool // another code can be asked for in this sign-in
	Wait  int  // seconds until then; 0: now
}

// slow is what can be done about a message that does not come.
type slow struct {
	Title string
	Lines [][]Part
}

func (v *View) slow(lines ...[]Part) slow { return slow{Title: v.T("page.code.slow"), Lines: lines} }

// slowSignIn is that in a sign-in; subject is what an e-mail says first.
func (v *View) slowSignIn(k authn.Kind, company, subject string) slow {
	if k == authn.SMS {
		return v.slow(v.Rich("page.code.slow_text_wait"), v.Rich("page.code.slow_text_signal"), v.Rich("page.code.slow_text_blocked"),
			v.Rich("page.code.slow_text_number", "Company", company))
	}
	return v.slow(v.Rich("page.code.slow_look", "Company", company, "Subject", subject), v.Rich("page.code.slow_wait"), v.Rich("page.code.slow_spam"),
		v.Rich("page.code.slow_address", "Company", company))
}

// slowSetUp is that where the address or number may be wrong.
func (v *View) slowSetUp(k authn.Kind) slow {
	if k == authn.SMS {
		return v.slow(v.Rich("page.code.slow_text_check"), v.Rich("page.code.slow_text_wait"), v.Rich("page.code.slow_text_signal"), v.Rich("page.code.slow_text_blocked"))
	}
	return v.slow(v.Rich("page.sent.trouble_text"))
}

// sendProblem is why no code was sent.
type sendProblem struct {
	Text    []Part
	Until   []Part // when it can be tried again; empty: not said
	NotSent bool   // the provider did not take it
	Instead bool   // another way is more use than another try
	Never   bool   // another try would end alike
}

// sentFor are the codes that are out for one way, oldest first.
func sentFor(sent []authn.Challenge, factor string) []authn.Challenge {
	var out []authn.Challenge
	for _, c := range sent {
		if factor != "" && c.Factor == factor {
			out = append(out, c)
		}
	}
	return out
}

func (v *View) sentPart(s step, o policy.Offer) *sentPart {
	p := v.codesOut(sentFor(s.Sent, o.Factor), s.ResendAt(o.Factor), o.SentTo)
	p.Slow = v.slowSignIn(o.Kind, s.Company.Name, v.T("mail.code.subject", "Code", "…", "Company", s.Company.Name))
	return p
}

func (v *View) codesOut(out []authn.Challenge, at time.Time, to string) *sentPart {
	p := &sentPart{To: to, Out: len(out) > 0, More: true}
	if !p.Out {
		return p
	}
	last := out[len(out)-1]
	p.Until = v.Seconds(last.ExpiresAt)
	switch {
	case last.Sends > 1:
		p.Again = v.Rich("page.code.same_code", "Time", v.Seconds(last.SentAt))
	case len(out) > 1:
		p.Again = v.Rich("page.code.new_code", "Time", v.Seconds(last.SentAt))
	}
	p.More = !at.IsZero()
	if d := at.Sub(v.now); p.More && d > 0 {
		p.Wait = int(math.Ceil(d.Seconds()))
	}
	return p
}

// postSend sends a code: the only thing that does, and a person's act. Reload,
// Back, a second tab and looking at another way send nothing (ux rule 18).
func (h *Handler) postSend(w http.ResponseWriter, r *http.Request, s step, form url.Values) error {
	offer, ok := s.way(form.Get("way"))
	if !ok || !offer.Kind.Sent() {
		seeOther(w, s.path)
		return nil
	}
	_, sent, err := h.c.SignIn.Challenge(r.Context(), s.opener, offer.Kind, offer.Factor)
	if err == nil {
		seeOther(w, s.at(sent.Offer))
		return nil
	}
	e := authn.AsError(err)
	switch {
	case e.Code == authn.MessageNotSent, e.Code == authn.TooManyRequests, e.Code == authn.Paused, e.Code == authn.Locked, noTextKey(e):
	case e.Code == authn.Conflict, e.Code == authn.Invalid:
		return h.asItIs(w, r, s, form)
	case e.Code == authn.Expired, e.Code == authn.NotFound:
		return h.attemptOver(w, r, s, err)
	default:
		return err
	}
	now, gone := h.attempt(r, s.opener)
	if gone != nil {
		return h.attemptOver(w, r, s, gone)
	}
	s.Status = now
	if offer, ok = s.way(wayID(offer)); !ok {
		seeOther(w, s.path)
		return nil
	}
	status, v := recorded(r, err), h.attemptView(w, r, s)
	if !offer.Usable() {
		return h.drawStopped(w, status, v, s, offer)
	}
	return h.drawCode(w, status, v, s, offer, refusal{}, v.sendProblem(w, e))
}

// sendProblem puts into words why no code was sent.
func (v *View) sendProblem(w http.ResponseWriter, e *authn.Error) sendProblem {
	switch {
	case e.Code == authn.MessageNotSent:
		return v.notSent()
	case noTextKey(e):
		return sendProblem{Text: []Part{{Text: httpserve.Message(v.texts, v.Lang, e)}}, Instead: true, Never: true}
	case e.Key == "error.send_wait":
		retryAfter(w, e.RetryAfter)
		return sendProblem{Text: v.Rich("page.code.too_early", "Time", v.Seconds(v.now.Add(e.RetryAfter)))}
	}
	retryAfter(w, e.RetryAfter)
	p := sendProblem{Text: v.Rich("page.code.send_limit"), Instead: true}
	if e.Key == "error.message_budget" {
		p.Text = v.Rich("page.code.text_budget")
	}
	if until := v.pauseOf(v.now.Add(e.RetryAfter)); until != nil {
		p.Until = v.Rich("page.pause", "Count", until.Minutes, "Until", until.Until)
	}
	return p
}

// notSent is the problem of a code that the provider did not take.
func (v *View) notSent() sendProblem {
	return sendProblem{Text: v.Rich("error.message_not_sent"), NotSent: true, Instead: true}
}

// noTextKey reports whether a company sends no text messages to a number at all, or
// for now none to a person; the error's key says why.
func noTextKey(e *authn.Error) bool {
	return e.Key == "error.text_country" || e.Key == "error.text_number" || e.Key == "error.provider_new"
}

// sendButton is what the part "send" is drawn with.
type sendButton struct {
	To, Busy, WaitText string
	Text               []Part
	Wait               int
	Out                bool
}

// Send is the button that sends a code. Until another can be asked for it counts
// the seconds, with a script; without one, who presses too early is told.
func (v *View) Send(p *sentPart, to string) sendButton {
	b := sendButton{To: to, Busy: v.T("page.send.busy"), Wait: p.Wait, Out: p.Out}
	if p.Out {
		b.Text, b.WaitText = v.Rich("page.code.again"), v.T("page.code.again_in", "Seconds", "{n}")
		return b
	}
	b.Text = v.Rich("page.send.button", "To", p.To)
	return b
}
