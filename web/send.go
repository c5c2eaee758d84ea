package web

import (
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// sentPart is what the page says about the codes of one way (S5). The server
// counts; the page only shows.
type sentPart struct {
	To      string // masked
	Out     bool   // a code is out
	Until   Part   // when the newest is over
	Again   []Part // if it was sent more than once
	Subject string // of the message to look for
	More    bool   // another code can be asked for in this sign-in
	Wait    int    // seconds until then; 0: now
}

// sendProblem is why no code was sent.
type sendProblem struct {
	Text    []Part
	Until   []Part // when it can be tried again; empty: not said
	NotSent bool   // the provider did not take it
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
	return v.codesOut(sentFor(s.Sent, o.Factor), s.ResendAt(o.Factor), o.SentTo, s.Company.Name)
}

func (v *View) codesOut(out []authn.Challenge, at time.Time, to, company string) *sentPart {
	p := &sentPart{To: to, Out: len(out) > 0, More: true, Subject: v.T("mail.code.subject", "Code", "…", "Company", company)}
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
	switch e.Code {
	case authn.MessageNotSent, authn.TooManyRequests, authn.Paused, authn.Locked:
	case authn.Conflict, authn.Invalid:
		h.asItIs(w, s, form)
		return nil
	case authn.Expired, authn.NotFound:
		return h.attemptOver(w, r, s, err)
	default:
		return err
	}
	now, gone := h.c.SignIn.Get(r.Context(), s.opener)
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
		return sendProblem{Text: v.Rich("error.message_not_sent"), NotSent: true}
	case e.Key == "error.send_wait":
		retryAfter(w, e.RetryAfter)
		return sendProblem{Text: v.Rich("page.code.too_early", "Time", v.Seconds(v.now.Add(e.RetryAfter)))}
	}
	retryAfter(w, e.RetryAfter)
	p := sendProblem{Text: v.Rich("page.code.send_limit")}
	if until := v.pauseOf(v.now.Add(e.RetryAfter)); until != nil {
		p.Until = v.Rich("page.pause", "Count", until.Minutes, "Until", until.Until)
	}
	return p
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
