package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/internal/qrcode"
	"github.com/sallyport-mfa/sallyport/policy"
)

// factor is one way to verify of the person who asks. It holds nothing secret.
type factor struct {
	ID        string            `json:"id"`
	Method    authn.Kind        `json:"method"`
	Name      string            `json:"name,omitempty"`
	State     authn.FactorState `json:"state"`
	SentTo    string            `json:"sent_to,omitempty"`
	Preferred *bool             `json:"preferred,omitempty"` // nil: not for a sign-in to know
	Locked    bool              `json:"locked"`
	// Again: it counts once the person has confirmed it again (ruling 2).
	Again       bool         `json:"confirm_again,omitempty"`
	Left        *int         `json:"left,omitempty"`
	Passkey     *passkeyView `json:"webauthn,omitempty"`
	CreatedAt   time.Time    `json:"created_at"`
	ConfirmedAt *time.Time   `json:"confirmed_at,omitempty"`
	LastUsedAt  *time.Time   `json:"last_used_at,omitempty"`
	ExpiresAt   *time.Time   `json:"expires_at,omitempty"`
}

func factorOf(f authn.Factor, u authn.User, lane authn.Lane) factor {
	out := factor{
		ID: f.ID, Method: f.Kind, Name: f.Name, State: f.State,
		Locked:    f.Counts[lane].Tries >= policy.Share(lane),
		CreatedAt: stamp(f.CreatedAt), ConfirmedAt: maybe(f.ConfirmAt), LastUsedAt: maybe(f.LastUsedAt), ExpiresAt: maybe(f.ExpiresAt),
	}
	switch f.Kind {
	case authn.Email:
		out.SentTo = policy.Mask(f.Kind, u.Email)
	case authn.SMS:
		out.SentTo = policy.Mask(f.Kind, policy.Ends(f))
	}
	if f.Kind == authn.BackupCode {
		out.Left = &f.Left
	}
	out.Passkey = passkeyOf(f)
	return out
}

// ofCaller is a factor of whoever asks; first is the one that sign-in offers first.
func (a *API) ofCaller(f authn.Factor, c caller, first *authn.Factor) factor {
	out, is := factorOf(f, c.User, c.Lane), first != nil && first.ID == f.ID
	out.Again = policy.ToConfirmNow(c.Company, c.User, f, a.traits(c.Company), a.Now())
	out.Preferred = &is
	return out
}

// preferred is the factor that sign-in offers first, if none of them rests and
// the browser is new: the person's choice, else the oldest that is good enough,
// and what is held before a code to a contact.
func (a *API) preferred(c authn.Company, doc policy.Document, u authn.User, factors []authn.Factor) *authn.Factor {
	var first *authn.Factor
	for _, f := range policy.Second(doc, u, factors, a.traits(c)) {
		switch {
		case !doc.Minimum(u).Meets(a.shows(f.Kind)):
		case f.ID == u.Preferred:
			return &f
		case first == nil, first.Kind.Sent() && !f.Kind.Sent() && doc.NeedsOwnWay(u):
			first = &f
		}
	}
	return first
}

func (a *API) preferredOf(c caller) (*authn.Factor, error) {
	doc, err := policy.Current(c.Company, a.Now())
	if err != nil {
		return nil, err
	}
	return a.preferred(c.Company, doc, c.User, c.Factors), nil
}

// listed reports whether a factor is among a person's ways to verify. Not: the
// password, what an administrator or the program keeps for itself, a change of
// the address, and what another sign-in has begun.
func (a *API) listed(f authn.Factor, c caller) bool {
	switch {
	case f.Kind == authn.Password, f.Kind == authn.BypassCode, f.State == authn.Fallback, enroll.NewAddress(f) != "":
		return false
	case f.State == authn.Pending:
		return a.begunHere(f, c)
	}
	return true
}

// factors is GET /account/factors, oldest first.
func (a *API) factors(w http.ResponseWriter, r *http.Request, c caller) error {
	first, err := a.preferredOf(c)
	if err != nil {
		return err
	}
	var all []factor
	for _, f := range c.Factors {
		if a.listed(f, c) {
			all = append(all, a.ofCaller(f, c, first))
		}
	}
	slices.SortFunc(all, func(x, y factor) int { return strings.Compare(x.ID, y.ID) })
	page, err := paginate(r, all, authn.FactorID, func(f factor) string { return f.ID })
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, page)
}

// pending is a factor being set up, or a change of the address. Nothing shows
// its secret again.
type pending struct {
	ID        string            `json:"id"`
	Method    authn.Kind        `json:"method"`
	State     authn.FactorState `json:"state"`
	ExpiresAt time.Time         `json:"expires_at"`
	TOTP      *appSetup         `json:"totp,omitempty"`
	Email     *codeSent         `json:"email,omitempty"`
	SMS       *codeSent         `json:"sms,omitempty"`
	Duo       *duoSetup         `json:"duo,omitempty"`
	Passkey   *asks             `json:"webauthn,omitempty"`
}

type appSetup struct {
	Secret string `json:"secret"` // base32 without spaces
	URI    string `json:"otpauth_uri"`
	QR     string `json:"qr_svg"`
}

// codeSent is the code that is on its way.
type codeSent struct {
	SentTo    string     `json:"sent_to"`
	ExpiresAt time.Time  `json:"expires_at"`
	ResendAt  *time.Time `json:"resend_at,omitempty"`
}

// standing is a pending factor without anything that opens it.
func standing(p enroll.Pending) pending {
	out := pending{ID: p.Factor.ID, Method: p.Factor.Kind, State: p.Factor.State, ExpiresAt: stamp(p.Factor.ExpiresAt)}
	if p.Factor.Kind.Remote() {
		out.Duo = duoOf(p, false)
	}
	n := len(p.Sent)
	if n > 0 && p.Options != nil {
		out.Passkey = &asks{p.Options, stamp(p.Sent[n-1].ExpiresAt)}
	}
	if n == 0 || !p.Factor.Kind.Sent() {
		return out
	}
	sent := &codeSent{SentTo: policy.Mask(p.Factor.Kind, p.Address), ExpiresAt: stamp(p.Sent[n-1].ExpiresAt), ResendAt: maybe(p.ResendAt)}
	if p.Factor.Kind == authn.SMS {
		out.SMS = sent
	} else {
		out.Email = sent
	}
	return out
}

// pendingOf is a factor whose set-up has just begun.
func (a *API) pendingOf(r *http.Request, p enroll.Pending) (pending, error) {
	out := standing(p)
	switch p.Factor.Kind {
	case authn.TOTP:
		svg, err := qrcode.SVG(p.Shown.URI, a.Texts.Text(a.language(r, p.User), "page.setup.qr_label", nil))
		if err != nil {
			return pending{}, fmt.Errorf("httpapi: set-up: %w", err)
		}
		out.TOTP = &appSetup{Secret: p.Shown.Key, URI: p.Shown.URI, QR: svg}
	case authn.Duo:
		out.Duo = duoOf(p, true)
	}
	return out, nil
}

// beginFactor is POST /account/factors.
func (a *API) beginFactor(w http.ResponseWriter, r *http.Request, s setter) error {
	var in struct {
		Method   authn.Kind `json:"method" required:"true"`
		Replaces string     `json:"replaces"`
		Phone    given      `json:"phone"`
		Country  given      `json:"country"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	p, err := enroll.Pending{}, error(nil)
	switch {
	case in.Method == authn.SMS:
		p, err = a.Enroll.BeginPhone(r.Context(), s.Who, in.Replaces, in.Phone.value, in.Country.value)
	case in.Phone.set:
		err = authn.InvalidField("phone", "unknown", nil)
	case in.Country.set:
		err = authn.InvalidField("country", "unknown", nil)
	default:
		p, err = a.Enroll.Begin(r.Context(), s.Who, in.Method, in.Replaces)
	}
	if err != nil {
		return a.settable(r, s, err)
	}
	out, err := a.pendingOf(r, p)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusCreated, out)
}

// settable makes a refused method name those that can be set up.
func (a *API) settable(r *http.Request, s setter, err error) error {
	e := authn.AsError(err)
	if e.Code != authn.Invalid {
		return err
	}
	var company authn.Company
	var user authn.User
	if s.session != nil {
		company, user = s.session.Company, s.session.User
	} else {
		st, failed := a.SignIn.Get(r.Context(), s.opener.Opener)
		if failed != nil {
			return failed // it was not asked yet whose attempt this is
		}
		company, user = st.Company, st.User
	}
	doc, failed := policy.Current(company, a.Now())
	if failed != nil {
		return failed
	}
	return listing(err, "method", a.Enroll.Ways(company, doc, user, s.session == nil))
}

// sendFactor is POST /account/factors/{id}/send.
func (a *API) sendFactor(w http.ResponseWriter, r *http.Request, s setter) error {
	if err := httpserve.Decode(r, &struct{}{}); err != nil {
		return err
	}
	p, err := a.Enroll.Send(r.Context(), s.Who, r.PathValue("id"))
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, standing(p))
}

// confirmed is the answer to a right code: the factor, or the new address; in a
// session that one issued anew, in a sign-in where it stands now.
type confirmed struct {
	Factor  *factor     `json:"factor,omitempty"`
	Email   string      `json:"email,omitempty"`
	Codes   []string    `json:"backup_codes,omitempty"`
	State   authn.State `json:"state,omitempty"`
	Session *issued     `json:"session,omitempty"`
}

// confirmFactor is POST /account/factors/{id}/confirm.
func (a *API) confirmFactor(w http.ResponseWriter, r *http.Request, s setter) error {
	var in struct {
		Code       string     `json:"code"` // none: an outside service has approved
		Credential credential `json:"credential"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	if in.Code != "" && in.Credential != nil {
		return authn.InvalidField("code", "unknown", nil) // a way has one of them
	}
	given := in.Credential.answer()
	given.Code = in.Code
	done, err := a.Enroll.Confirm(r.Context(), s.Who, r.PathValue("id"), 0, given)
	if err != nil {
		return over(err)
	}
	out := confirmed{Email: enroll.NewAddress(done.Factor), Codes: done.Codes}
	done.Factor.Counts = nil // the right answer has ended the run of wrong ones
	switch {
	case s.session == nil:
		out.State = authn.Ready
		var u authn.User
		st, err := a.SignIn.Get(r.Context(), s.opener.Opener)
		if err != nil {
			httpserve.Record(r, err) // what was done is done, and the codes are told only here
		} else {
			out.State, u = st.Need.State, st.User
		}
		f := factorOf(done.Factor, u, authn.Stranger)
		out.Factor = &f
	case out.Email != "":
		out.Session = a.issue(w, done.Session, done.Token, s.session.cookie)
	default:
		out.Session = a.issue(w, done.Session, done.Token, s.session.cookie)
		// The one that it replaced is gone; what is left decides which comes first.
		c := *s.session
		c.Factors = slices.DeleteFunc(slices.Clone(c.Factors), func(f authn.Factor) bool {
			return f.ID == done.Factor.ID || f.Kind == done.Factor.Kind && !f.Kind.Several()
		})
		c.Factors = append(c.Factors, done.Factor)
		first, err := a.preferredOf(c)
		if err != nil {
			return err
		}
		f := a.ofCaller(done.Factor, c, first)
		out.Factor = &f
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// changeFactor is PATCH /account/factors/{id}.
func (a *API) changeFactor(w http.ResponseWriter, r *http.Request, c caller) error {
	var in struct {
		Name      given `json:"name"`
		Preferred bool  `json:"preferred"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	if in.Name.set {
		// Before anything is done: it is both or none.
		if _, err := authn.CleanName("name", in.Name.value, maxFactorName); err != nil {
			return err
		}
	}
	i := slices.IndexFunc(c.Factors, func(f authn.Factor) bool { return f.ID == r.PathValue("id") && a.listed(f, c) })
	if i < 0 {
		return authn.NotFound
	}
	f := c.Factors[i]
	if in.Name.set && f.Kind == authn.BackupCode {
		return authn.InvalidField("name", "unknown", nil)
	}
	if in.Preferred {
		if _, err := a.Enroll.Prefer(r.Context(), c.who(), f.ID); err != nil {
			return err
		}
		c.User.Preferred = f.ID
	}
	if in.Name.set {
		var err error
		if f, err = a.Enroll.Rename(r.Context(), c.who(), f.ID, in.Name.value); err != nil {
			return err
		}
	}
	first, err := a.preferredOf(c)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, a.ofCaller(f, c, first))
}

// maxFactorName is the length that enroll.Rename allows.
const maxFactorName = 60

// removeFactor is DELETE /account/factors/{id}.
func (a *API) removeFactor(w http.ResponseWriter, r *http.Request, c caller) error {
	id := r.PathValue("id")
	if slices.ContainsFunc(c.Factors, func(f authn.Factor) bool { return f.ID == id && f.Kind == authn.BackupCode }) {
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.backup_codes_stay"}
	}
	done, err := a.Enroll.Remove(r.Context(), c.who(), id)
	if err != nil {
		return err
	}
	if done.Factor.State == authn.Pending { // nothing was on, so the session stays
		return httpserve.WriteJSON(w, http.StatusNoContent, nil)
	}
	return httpserve.WriteJSON(w, http.StatusOK, reissued{Session: a.issue(w, done.Session, done.Token, c.cookie)})
}

// newCodes is POST /account/backup-codes. No other answer has them.
func (a *API) newCodes(w http.ResponseWriter, r *http.Request, c caller) error {
	if err := httpserve.Decode(r, &struct{}{}); err != nil {
		return err
	}
	done, err := a.Enroll.NewCodes(r.Context(), c.who())
	if err != nil {
		return err
	}
	no := false
	f := factorOf(done.Factor, c.User, c.Lane)
	f.Preferred = &no
	return httpserve.WriteJSON(w, http.StatusCreated, struct {
		Factor  factor   `json:"factor"`
		Codes   []string `json:"backup_codes"`
		Session *issued  `json:"session"`
	}{f, done.Codes, a.issue(w, done.Session, done.Token, c.cookie)})
}
