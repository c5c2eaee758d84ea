package httpapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/remote"
	"github.com/sallyport-mfa/sallyport/signin"
)

// outside is what an outside service was asked last, and said.
type outside struct {
	Outcome authn.Outside `json:"outcome,omitempty"` // empty: nothing was asked yet
	asked
	Reason    string     `json:"reason,omitempty"` // with "refused": see authn.Answered
	Message   string     `json:"message,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// asked is where the person was asked.
type asked struct {
	Way    string `json:"way,omitempty"`
	Device string `json:"device,omitempty"`
	Ends   string `json:"ends,omitempty"`
	Number string `json:"number,omitempty"` // to be typed there
}

func askedOf(d remote.Detail) asked {
	return asked{Way: d.Way, Device: d.Device, Ends: d.Ends, Number: d.Number}
}

// outsideOf is what became of a factor's last question; nil: none is known.
func outsideOf(sent []authn.Challenge, factor string) *outside {
	c := remote.Last(sent, factor)
	if c == nil {
		return nil
	}
	d := remote.Read(*c)
	out := &outside{Outcome: c.Outcome, asked: askedOf(d), Reason: d.Reason, Message: d.Message, ExpiresAt: maybe(c.ExpiresAt)}
	if c.Outcome != authn.Waiting {
		out.Number = "" // what was typed there is over
	}
	return out
}

// challenged is the answer to a challenge: where a code went, the ways that an
// outside service has, or that it was asked.
type challenged struct {
	Method authn.Kind `json:"method"`
	Factor string     `json:"factor,omitempty"` // only beside the attempt that it was sent for
	SentTo string     `json:"sent_to,omitempty"`

	Options any    `json:"options,omitempty"` // of an outside service a list; for the person's own device what it is asked
	Code    bool   `json:"code,omitempty"`    // a code that the person has from the service is taken too
	Message string `json:"message,omitempty"`

	Waiting  *bool `json:"waiting,omitempty"`
	Passcode bool  `json:"passcode,omitempty"` // codes are on their way, one of which is to be given
	asked

	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	ResendAt  *time.Time `json:"resend_at,omitempty"`
	Attempt   *attempt   `json:"attempt,omitempty"` // the service let the person in unasked
}

// sentOf is a code that is on its way, or a question to the person's own device.
func sentOf(s signin.Sent) challenged {
	out := challenged{Method: s.Offer.Kind, SentTo: s.Offer.SentTo, ExpiresAt: maybe(s.ExpiresAt), ResendAt: maybe(s.ResendAt)}
	if s.Options != nil {
		out.Options = json.RawMessage(s.Options)
	}
	return out
}

func optionsOf(k authn.Kind, d remote.Detail) challenged {
	out := challenged{Method: k, Code: d.Code, Message: d.Message}
	if len(d.Options) > 0 {
		out.Options = d.Options
	}
	return out
}

// startedOf is what was begun for the last of the challenges.
func startedOf(k authn.Kind, sent []authn.Challenge, factor string) challenged {
	out, waiting := challenged{Method: k}, false
	if c := remote.Last(sent, factor); c != nil {
		waiting, out.Passcode = c.Outcome == authn.Waiting, c.Outcome == authn.Passcode
		out.asked, out.ExpiresAt = askedOf(remote.Read(*c)), maybe(c.ExpiresAt)
	}
	out.Waiting = &waiting
	return out
}

// chosen reads the option of a request: "auto" lets the service choose. What
// cannot be one is refused before anything is asked, and so costs nothing.
func chosen(option given) (id string, err error) {
	if option.value == "auto" {
		return "", nil
	}
	way, device, ok := strings.Cut(option.value, ":")
	if !ok || device == "" || len(option.value) > maxOption || !slices.Contains([]string{"push", "phone", "sms"}, way) {
		return "", authn.InvalidField("option", "not_one_of", nil)
	}
	return option.value, nil
}

// maxOption is the most bytes of the id of an option.
const maxOption = 200

// ask is a challenge by an outside service: the ways that it has, or with an
// option the question to the person.
func (a *API) ask(w http.ResponseWriter, r *http.Request, o opener, kind authn.Kind, factor string, option given) error {
	if !option.set {
		_, found, err := a.SignIn.Options(r.Context(), o.Opener, kind, factor)
		if err != nil {
			return a.offering(r, o, err)
		}
		return httpserve.WriteJSON(w, http.StatusOK, optionsOf(kind, found))
	}
	id, err := chosen(option)
	if err != nil {
		return err
	}
	st, err := a.SignIn.Start(r.Context(), o.Opener, kind, factor, id)
	if err != nil {
		return a.offering(r, o, err)
	}
	for _, offer := range st.Need.Offers {
		if offer.Kind == kind && (factor == "" || factor == offer.Factor) && remote.Last(st.Sent, offer.Factor) != nil {
			return httpserve.WriteJSON(w, http.StatusOK, startedOf(kind, st.Sent, offer.Factor))
		}
	}
	no := false
	out := challenged{Method: kind, Waiting: &no}
	got, err := a.answer(w, r, st, o.cookie)
	if err != nil {
		return err
	}
	out.Attempt = &got
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// challengeFactor is POST /account/factors/{id}/challenge, for a pending factor
// of an outside service.
func (a *API) challengeFactor(w http.ResponseWriter, r *http.Request, s setter) error {
	var in struct {
		Option given `json:"option"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	id := r.PathValue("id")
	if !in.Option.set {
		p, found, err := a.Enroll.Options(r.Context(), s.Who, id)
		if err != nil {
			return err
		}
		return httpserve.WriteJSON(w, http.StatusOK, optionsOf(p.Factor.Kind, found))
	}
	option, err := chosen(in.Option)
	if err != nil {
		return err
	}
	p, err := a.Enroll.Start(r.Context(), s.Who, id, option)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, startedOf(p.Factor.Kind, p.Sent, id))
}

// duoSetup is a person at Duo. The addresses are as good as a key: they are in
// the answer that begins the set-up, and in no other.
type duoSetup struct {
	Username string `json:"username"`
	Known    *bool  `json:"known,omitempty"`    // when it began: Duo has the person already
	Enrolled *bool  `json:"enrolled,omitempty"` // since
	Portal   string `json:"portal_url,omitempty"`
	Barcode  string `json:"barcode_url,omitempty"`
	outside
}

// duoOf is a set-up at Duo, as it is when it begins or as it stands now.
func duoOf(p enroll.Pending, begun bool) *duoSetup {
	out := &duoSetup{Username: p.Shown.Account}
	if begun {
		known := p.Shown.Portal == "" && p.Shown.Barcode == ""
		out.Known, out.Portal, out.Barcode = &known, p.Shown.Portal, p.Shown.Barcode
		return out
	}
	enrolled := !p.Elsewhere
	out.Enrolled = &enrolled
	if last := outsideOf(p.Sent, p.Factor.ID); last != nil {
		out.outside = *last
	}
	return out
}

// factor is GET /account/factors/{id}. Of a pending one it says how far it is,
// and never its secret again.
func (a *API) factor(w http.ResponseWriter, r *http.Request, s setter) error {
	id := r.PathValue("id")
	if c := s.session; c != nil {
		i := slices.IndexFunc(c.Factors, func(f authn.Factor) bool { return f.ID == id })
		if i < 0 {
			return authn.NotFound
		}
		if f := c.Factors[i]; f.State != authn.Pending {
			if !a.listed(f, *c) {
				return authn.NotFound
			}
			first, err := a.preferredOf(*c)
			if err != nil {
				return err
			}
			return httpserve.WriteJSON(w, http.StatusOK, a.ofCaller(f, *c, first))
		}
	}
	p, err := a.Enroll.Show(r.Context(), s.Who, id)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, standing(p))
}
