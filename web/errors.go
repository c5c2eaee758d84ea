package web

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// errorPage is the data of error.html.
type errorPage struct {
	Text      string
	Until     Part // zero: no time to wait for
	Reference string
	Start     string // where to begin again
}

// Error draws a refusal. It asks no service anything: it must work while the
// store does not. If it draws nothing, the outer layer answers in plain text.
func (h *Handler) Error(w http.ResponseWriter, r *http.Request, e *authn.Error) {
	v := h.layout.view(r)
	v.Title = v.T("error." + string(e.Code) + ".title")
	data := errorPage{
		Text: httpserve.Message(h.c.Texts, v.Lang, e), Start: h.c.Home,
		Reference: httpserve.RequestID(r.Context()),
	}
	if e.RetryAfter > 0 {
		data.Until = v.Clock(h.c.Now().Add(e.RetryAfter))
	}
	v.Data = data
	if err := h.draw(w, httpserve.Status(e.Code), "error.html", v); err != nil {
		httpserve.Record(r, err)
	}
}

// gone is the page for an address that leads nowhere any more (S13).
type gone struct {
	Text, Button, Action string
	Fields               []hidden // with these the button posts; without it is a link
	Outside              bool     // to another origin
}

type hidden struct{ Name, Value string }

func (h *Handler) drawGone(w http.ResponseWriter, status int, v *View, g gone) error {
	v.Data = g
	return h.draw(w, status, "gone.html", v)
}

// The tries after which the page says more (ux S3, rule 23).
const (
	adviceFrom = 2 // wrong codes: advice about the clock
	leftFrom   = 4 // wrong codes: how many tries are left
)

// refusal is what a page says about an answer that was not taken.
type refusal struct {
	Status int
	Text   string
	Advice bool // about the phone's clock; fixed, whatever the code was (ruling 16)
	Calm   bool // nothing went wrong, only nothing has happened
	Pause  *pause
}

// codeRefusal puts a refused code into words: five texts for five mistakes (ux
// rule 30). What is no matter of the answer is not handled here.
func (v *View) codeRefusal(e *authn.Error) (refusal, bool) {
	out := refusal{Status: httpserve.Status(e.Code)}
	switch e.Code {
	case authn.Invalid:
		out.Text = v.fieldText(e, "code")
		return out, out.Text != ""
	case authn.CodeUsed:
		out.Text = httpserve.Message(v.texts, v.Lang, e)
		return out, true
	case authn.WrongCode:
		wrong := v.wrongSoFar(e)
		out.Advice = e.HasLeft && wrong >= adviceFrom && e.ClockSkew == 0
		if !v.saysLeft(e) && e.ClockSkew == 0 {
			e = &authn.Error{Code: authn.WrongCode}
		}
		out.Text = httpserve.Message(v.texts, v.Lang, e)
		return out, true
	}
	return out, false
}

// wrongSoFar is how many wrong answers in a row there have been, as the company
// counts them.
func (v *View) wrongSoFar(e *authn.Error) int { return v.tries - e.AttemptsLeft }

// saysLeft reports whether it is time to say how many tries are left.
func (v *View) saysLeft(e *authn.Error) bool {
	return e.HasLeft && v.wrongSoFar(e) >= min(leftFrom, v.tries-2)
}

// fieldText is the sentence about a field, or "".
func (v *View) fieldText(e *authn.Error, name string) string {
	for _, f := range e.Fields {
		if f.Name == name {
			if name == "code" && f.Code == "required" {
				return v.T("page.code.empty")
			}
			return httpserve.FieldMessage(v.texts, v.Lang, f)
		}
	}
	return ""
}

// pause is how long somebody has to wait, in words and by the clock (S10).
type pause struct {
	Minutes int // rounded up: who comes back then is let in
	Until   Part
}

func (v *View) pauseOf(until time.Time) *pause {
	d := until.Sub(v.now)
	if d <= 0 {
		return nil
	}
	// The clock is rounded up too, for it shows no seconds.
	return &pause{Minutes: int(math.Ceil(d.Minutes())), Until: v.Clock(until.Add(time.Minute - time.Nanosecond).Truncate(time.Minute))}
}

func retryAfter(w http.ResponseWriter, d time.Duration) {
	if d > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(d.Seconds()))))
	}
}
