package web

import (
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/remote"
)

// What the part "duo" shows (S7).
const (
	duoBegin    = "begin"    // the button that has Duo ask, and everything else that Duo takes
	duoWaits    = "waiting"  // Duo is asking
	duoApproved = "approved" // and the person said yes
)

// duoAll is the value of "duo" in the address of the page that shows what else
// Duo takes while Duo is still asking.
const duoAll = "all"

// How often a page that waits looks again, in seconds. Looking at a set-up asks Duo.
const (
	lookAgain     = 3
	lookElsewhere = 5
)

// duoForms are the addresses that the part "duo" posts to and leads to, and what
// its forms carry.
type duoForms struct {
	Fields                     []hidden
	Start, Ways, Code, Approve string
	Here, All                  string // this page, and the one with everything that Duo takes
	Label, Busy                string // of the button after the approval
}

// duoPart is what the part "duo" is drawn with.
type duoPart struct {
	duoForms
	V       *View
	Show    string
	Wait    *duoWaiting
	Options []duoOption
	Texted  []Part // codes were sent by text message: type one
	Field   Field
	Pause   *pause
	Problem *duoProblem
	Again   *duoAgain
	Trust   *trustBox
}

// duoWaiting is what Duo is asking, and how the person knows it for theirs.
type duoWaiting struct {
	ID                string
	Seconds           int // until the page looks again
	Title, Who, Shows []Part
	Number            string // to be typed in Duo; empty: none
	Until             []Part
}

// duoOption is one of the ways to answer Duo.
type duoOption struct {
	ID, Icon, Label string
	Device          string
}

// duoProblem is why Duo did not let somebody in, and what to do next.
type duoProblem struct {
	Class, Icon string
	Text        []Part
}

// duoAgain is when Duo can ask another time, if not now.
type duoAgain struct {
	None    bool // not in this attempt
	Seconds int
	Text    string // of the button while it waits
	When    []Part
}

// duoPart makes the part of what Duo was asked so far. refused and problem are
// about what was just sent: they are never drawn on a page that looks again.
func (v *View) duoPart(f duoForms, sent []authn.Challenge, again *duoAgain, refused refusal, problem *duoProblem) *duoPart {
	p := &duoPart{duoForms: f, V: v, Show: duoBegin, Again: again, Problem: problem, Options: v.duoOptions(sent),
		Field: Field{ID: "code", Label: v.T("page.duo.code_label"), Refusal: refused, Focus: refused.Text != ""}}
	if len(sent) == 0 {
		return p
	}
	last := sent[len(sent)-1]
	d := remote.Read(last)
	switch last.Outcome {
	case authn.Waiting:
		p.Wait = v.duoWaiting(last, d)
		if !v.allOfDuo && refused.Text == "" && problem == nil {
			p.Show, v.Refresh = duoWaits, lookAgain
		}
	case authn.Passcode:
		p.Texted = v.Rich("page.duo.texted")
		if d.Ends != "" {
			p.Texted = v.Rich("page.duo.texted_to", "To", masked("", d.Ends))
		}
		p.Field.Focus = true
	case authn.Refusal:
		if problem == nil && refused.Text == "" {
			p.Problem = v.duoRefused(d.Reason)
		}
	}
	return p
}

// duoAsked are what Duo was asked about one way, oldest first.
func duoAsked(sent []authn.Challenge, factor string) []authn.Challenge {
	return slices.DeleteFunc(sentFor(sent, factor), func(c authn.Challenge) bool { return c.Outcome == authn.NotOutside })
}

// duoOptions are the ways that Duo named when it was asked last.
func (v *View) duoOptions(sent []authn.Challenge) []duoOption {
	for i := len(sent) - 1; i >= 0; i-- {
		list := remote.Read(sent[i]).Options
		if len(list) == 0 {
			continue
		}
		var out []duoOption
		for _, o := range list {
			out = append(out, duoOption{ID: o.ID, Icon: duoIcons[o.Way], Label: v.T("page.duo.way." + known(o.Way)), Device: v.duoDevice(o.Device, o.Ends)})
		}
		return out
	}
	return nil
}

var duoIcons = map[string]string{"push": "shield", "phone": "phone", "sms": "message"}

// known is a way of Duo that there are words for.
func known(way string) string {
	if duoIcons[way] == "" {
		return "push"
	}
	return way
}

// duoDevice is a device as its owner knows it again.
func (v *View) duoDevice(name, ends string) string {
	switch {
	case name != "" && masked(name, ends) != "":
		return v.T("page.duo.device_ends", "Device", name, "Ends", masked(name, ends))
	case name != "":
		return name
	case ends != "":
		return masked(name, ends)
	}
	return v.T("page.duo.device_any")
}

// masked is the end of a number, where the name of the device does not show it.
func masked(name, ends string) string {
	if ends == "" || strings.Contains(name, ends) {
		return ""
	}
	return "••\u00a0" + ends
}

func (v *View) duoWaiting(c authn.Challenge, d remote.Detail) *duoWaiting {
	w := &duoWaiting{ID: c.ID, Seconds: lookAgain, Number: d.Number, Until: v.Rich("page.duo.until", "Until", v.Seconds(c.ExpiresAt))}
	way := known(d.Way)
	w.Who = v.Rich("page.duo.asks." + way)
	switch {
	case d.Device != "" && masked(d.Device, d.Ends) != "":
		w.Who = v.Rich("page.duo.asks_device_ends."+way, "Device", d.Device, "Ends", masked(d.Device, d.Ends))
	case d.Device != "":
		w.Who = v.Rich("page.duo.asks_device."+way, "Device", d.Device)
	}
	if way == "push" {
		w.Shows = v.Rich("page.duo.shows", "Company", v.Company, "Browser", v.Agent(v.client.Agent), "Address", v.client.Address.String())
	}
	return w
}

// duoRefused is how Duo's question ended. A "no" of the person's says that
// somebody else may have the password.
func (v *View) duoRefused(reason string) *duoProblem {
	key := "page.duo.ended." + reason
	if !v.texts.Has(key) {
		key = "page.duo.ended.failed"
	}
	p := &duoProblem{Class: "warn", Icon: "info", Text: v.Rich(key)}
	switch reason {
	case "denied", "fraud", "locked_out", "refused", "unavailable":
		p.Class, p.Icon = "danger", "warn"
	}
	return p
}

// duoTrouble puts into words why Duo was not asked, or could not judge a code.
func (v *View) duoTrouble(w http.ResponseWriter, e *authn.Error) (*duoProblem, bool) {
	p := &duoProblem{Class: "danger", Icon: "warn"}
	retryAfter(w, e.RetryAfter)
	switch {
	case e.Key == "error.send_wait":
		p.Class, p.Icon, p.Text = "warn", "clock", v.Rich("page.duo.too_early", "Time", v.Seconds(v.now.Add(e.RetryAfter)))
	case e.Code == authn.TooManyRequests:
		p.Class, p.Icon, p.Text = "warn", "clock", v.Rich("page.duo.limit")
		if until := v.pauseOf(v.now.Add(e.RetryAfter)); until != nil {
			p.Text = append(p.Text, Part{Text: " "})
			p.Text = append(p.Text, v.Rich("page.pause", "Count", until.Minutes, "Until", until.Until)...)
		}
	case e.Code == authn.ProviderUnavailable, e.Code == authn.Busy:
		p.Text = v.Rich("page.duo.ended.unavailable")
	case e.Code == authn.PolicyForbids:
		p.Text = []Part{{Text: httpserve.Message(v.texts, v.Lang, e)}}
	case e.Code == authn.Invalid && len(e.Fields) > 0 && e.Fields[0].Name == "option":
		p.Text = v.Rich("page.duo.no_device")
	default:
		return nil, false
	}
	return p, true
}

// duoAgain says when Duo can ask another time, after what it was asked before.
func (v *View) duoAgain(sent []authn.Challenge, at time.Time) *duoAgain {
	if !slices.ContainsFunc(sent, func(c authn.Challenge) bool { return c.Sends > 0 }) {
		return nil
	}
	if at.IsZero() {
		return &duoAgain{None: true}
	}
	d := at.Sub(v.now)
	if d <= 0 {
		return nil
	}
	return &duoAgain{Seconds: int(math.Ceil(d.Seconds())), Text: v.T("page.duo.push_in", "Seconds", "{n}"), When: v.Rich("page.duo.when", "Time", v.Seconds(at))}
}

// duoTitle is the heading of a page with that part.
func (v *View) duoTitle(p *duoPart) string { return v.T("page.duo.title." + p.Show) }

// duoPage is the data of duo.html.
type duoPage struct {
	attemptPage
	Part   *duoPart
	Others bool
}

// duoForms are the forms of an attempt's page.
func (s step) duoForms(v *View, o policy.Offer) duoForms {
	p, at := s.page(), s.at(o)
	return duoForms{
		Fields: []hidden{{"form", v.Form}, {"version", strconv.FormatInt(p.Version, 10)}, {"login", p.Login}, {"return_to", p.ReturnTo}, {"way", wayID(o)}},
		Start:  s.path + "/duo/start", Ways: s.path + "/duo/ways", Code: s.path, Approve: s.path + "/continue",
		Here: at, All: withQuery(s.path, "way", wayID(o), "duo", duoAll), Label: v.T("page.duo.continue"), Busy: v.T("page.signin.busy"),
	}
}

// drawDuo draws the way by Duo.
func (h *Handler) drawDuo(w http.ResponseWriter, status int, v *View, s step, o policy.Offer, why refusal, problem *duoProblem) error {
	again := v.duoAgain(slices.Concat(sentFor(s.SentBefore, o.Factor), sentFor(s.Sent, o.Factor)), s.ResendAt(o.Factor))
	part := v.duoPart(s.duoForms(v, o), duoAsked(s.Sent, o.Factor), again, why, problem)
	part.Trust = v.trustBox(s, o)
	return h.drawDuoPart(w, status, v, s, part)
}

func (h *Handler) drawDuoPart(w http.ResponseWriter, status int, v *View, s step, part *duoPart) error {
	v.Title, v.Failed = v.duoTitle(part), part.Problem != nil || part.Field.Refusal.Text != ""
	v.Data = duoPage{attemptPage: s.page(), Part: part, Others: len(s.Need.Offers) > 1}
	return h.draw(w, status, "duo.html", v)
}

// approvedBy is the way that Duo's answer was for, if the attempt has one that
// was not used yet.
func approvedBy(need policy.Need, sent []authn.Challenge) (policy.Offer, bool) {
	for _, o := range need.Offers {
		if o.Factor != "" && remote.Approval(sent, o.Factor) != nil {
			return o, true
		}
	}
	return policy.Offer{}, false
}

// waitsFor is the way whose answer is being waited for.
func (s step) waitsFor() (policy.Offer, bool) {
	for _, o := range s.Need.Offers {
		if o.Factor != "" && remote.Asking(s.Sent, o.Factor) {
			return o, true
		}
	}
	return policy.Offer{}, false
}

// postDuoStart has Duo ask. Like sending a code it is a person's act: no page
// does it by being opened.
func (h *Handler) postDuoStart(w http.ResponseWriter, r *http.Request, s step, form url.Values) error {
	o, ok := s.way(form.Get("way"))
	if !ok || o.Kind != authn.Duo {
		seeOther(w, s.path)
		return nil
	}
	st, err := h.c.SignIn.Start(r.Context(), s.opener, o.Kind, o.Factor, form.Get("option"))
	if err == nil && st.Done() {
		return h.completed(w, r, st) // Duo let them in, and the company has that count
	}
	return h.duoDone(w, r, s, o, s.at(o), err)
}

// postDuoWays asks Duo what it would take, which sends nothing to anybody.
func (h *Handler) postDuoWays(w http.ResponseWriter, r *http.Request, s step, form url.Values) error {
	o, ok := s.way(form.Get("way"))
	if !ok || o.Kind != authn.Duo {
		seeOther(w, s.path)
		return nil
	}
	_, _, err := h.c.SignIn.Options(r.Context(), s.opener, o.Kind, o.Factor)
	return h.duoDone(w, r, s, o, s.duoForms(h.attemptView(w, r, s), o).All, err)
}

// duoDone leads on from what was asked of Duo, or says why it was not.
func (h *Handler) duoDone(w http.ResponseWriter, r *http.Request, s step, o policy.Offer, to string, err error) error {
	e := authn.AsError(err)
	switch {
	case err == nil:
		seeOther(w, to)
		return nil
	case e.Code == authn.Conflict, e.Code == authn.Invalid && e.Fields[0].Name == "method":
		return h.moved(w, r, s, s.at(o)) // approved already, or not offered any more
	case e.Code == authn.NotFound, e.Code == authn.Expired:
		return h.attemptOver(w, r, s, err)
	}
	now, gone := h.attempt(r, s.opener)
	if gone != nil {
		return h.attemptOver(w, r, s, gone)
	}
	s.Status = now
	if e.Key == "error.send_wait" && to == s.at(o) && remote.Asking(s.Sent, o.Factor) {
		seeOther(w, to) // a second click: Duo is asking
		return nil
	}
	if o, ok := s.way(wayID(o)); ok {
		return h.duoRefuse(w, r, s, o, err)
	}
	seeOther(w, s.path)
	return nil
}

// duoRefuse draws the page again in place, with why Duo did not do it.
func (h *Handler) duoRefuse(w http.ResponseWriter, r *http.Request, s step, o policy.Offer, err error) error {
	e, v := authn.AsError(err), h.attemptView(w, r, s)
	problem, ok := v.duoTrouble(w, e)
	if !ok {
		return err
	}
	status := recorded(r, err)
	if !o.Usable() {
		return h.drawStopped(w, status, v, s, o)
	}
	return h.drawDuo(w, status, v, s, o, refusal{}, problem)
}
