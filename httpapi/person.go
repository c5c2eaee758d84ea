package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/internal/qrcode"
	"github.com/sallyport-mfa/sallyport/policy"
)

// theirFactor is one way to verify of somebody else, for who helps them. It holds
// nothing secret, and no number.
type theirFactor struct {
	factor
	Paused *time.Time `json:"paused_until,omitempty"`
	SetBy  string     `json:"set_by,omitempty"`
	// MustReplace: set up together with an administrator; the person replaces it at
	// its first use.
	MustReplace bool       `json:"must_replace,omitempty"`
	Probation   *time.Time `json:"probation_until,omitempty"`
}

func (a *API) theirFactorOf(c authn.Company, f authn.Factor, u authn.User) theirFactor {
	out := theirFactor{factor: factorOf(f, u, authn.Stranger), SetBy: f.SetBy, MustReplace: f.State == authn.Confirmed && f.HandedOver()}
	is := u.Preferred == f.ID
	out.Preferred, out.Again = &is, policy.ToConfirmNow(c, u, f, a.traits(c), a.Now())
	now := a.Now()
	for _, c := range f.Counts {
		if c.Paused(now) && (out.Paused == nil || c.PausedUntil.After(*out.Paused)) {
			out.Paused = maybe(c.PausedUntil)
		}
	}
	if f.ProbationUntil.After(now) {
		out.Probation = maybe(f.ProbationUntil)
	}
	return out
}

// theirs reports whether a factor is shown to who helps its person: not the
// password, what stands for a contact, a change of the address, nor what the
// person has begun and not confirmed.
func theirs(f authn.Factor) bool {
	switch {
	case f.Kind == authn.Password, f.State == authn.Fallback:
		return false
	case f.State == authn.Pending:
		return f.Prepared()
	}
	return true
}

// person finds the user of the path, in the manager's company.
func (a *API) person(r *http.Request, m manager) (authn.User, []authn.Factor, error) {
	id := r.PathValue("id")
	if !authn.CheckID(authn.UserID, id) {
		return authn.User{}, nil, authn.NotFound
	}
	return a.Directory.Lookup(r.Context(), m.company, id)
}

// theirFactors is GET /users/{id}/factors, oldest first.
func (a *API) theirFactors(w http.ResponseWriter, r *http.Request, m manager) error {
	u, factors, err := a.person(r, m)
	if err != nil {
		return err
	}
	all := []theirFactor{}
	for _, f := range factors {
		if theirs(f) {
			all = append(all, a.theirFactorOf(m.company, f, u))
		}
	}
	return httpserve.WriteJSON(w, http.StatusOK, page[theirFactor]{Items: all}) // a person has few
}

// waiting is an act that waits for a second person, or for the end of a day.
type waiting struct {
	ID        string    `json:"id"`
	NotBefore time.Time `json:"not_before"`
	ExpiresAt time.Time `json:"expires_at"`
}

func waitingOf(ap authn.Approval) waiting {
	return waiting{ID: ap.ID, NotBefore: stamp(ap.NotBefore), ExpiresAt: stamp(ap.ExpiresAt)}
}

// acted answers an act: 202 where it waits, else done.
func (a *API) acted(w http.ResponseWriter, r *http.Request, m manager, p directory.PersonAct, done func(directory.Outcome) error) error {
	out, err := a.Directory.Do(r.Context(), m.who, p)
	if err != nil {
		return err
	}
	if out.Waits != nil {
		return httpserve.WriteJSON(w, http.StatusAccepted, struct {
			Waiting waiting `json:"waiting"`
		}{waitingOf(*out.Waits)})
	}
	if done != nil {
		return done(out)
	}
	return httpserve.WriteJSON(w, http.StatusNoContent, nil)
}

// setUpFor is POST /users/{id}/factors.
func (a *API) setUpFor(w http.ResponseWriter, r *http.Request, m manager) error {
	var in struct {
		Method   authn.Kind `json:"method" required:"true"`
		Phone    string     `json:"phone"`
		Country  string     `json:"country"`
		Username string     `json:"username"`
		Reason   string     `json:"reason"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	u, _, err := a.person(r, m)
	if err != nil {
		return err
	}
	p := directory.PersonAct{Do: directory.Prepare, Target: u.ID, Reason: in.Reason, Args: map[string]string{"method": string(in.Method)}}
	for name, v := range map[string]string{"phone": in.Phone, "country": in.Country, "username": in.Username} {
		if v != "" {
			p.Args[name] = v
		}
	}
	if in.Method == authn.TOTP {
		p.Do = directory.HandOver
		delete(p.Args, "method")
	}
	return a.acted(w, r, m, p, func(out directory.Outcome) error {
		f := *out.Factor
		answer := pending{ID: f.ID, Method: f.Kind, State: f.State, ExpiresAt: stamp(f.ExpiresAt)}
		if f.HandedOver() {
			h, err := a.Directory.ShowHandOver(r.Context(), m.who, u.ID, f.ID)
			if err != nil {
				return err
			}
			svg, err := qrcode.SVG(h.Shown.URI, a.Texts.Text(a.language(r, m.user), "page.setup.qr_label", nil))
			if err != nil {
				return fmt.Errorf("httpapi: set-up: %w", err)
			}
			answer.TOTP = &appSetup{Secret: h.Shown.Key, URI: h.Shown.URI, QR: svg}
		}
		return httpserve.WriteJSON(w, http.StatusCreated, answer)
	})
}

// confirmFor is POST /users/{id}/factors/{factor}/confirm.
func (a *API) confirmFor(w http.ResponseWriter, r *http.Request, m manager) error {
	var in struct {
		Code string `json:"code" required:"true"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	u, _, err := a.person(r, m)
	if err != nil {
		return err
	}
	if _, err := a.Directory.ConfirmHandOver(r.Context(), m.who, u.ID, r.PathValue("factor"), 0, in.Code); err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusNoContent, nil)
}

// changeFor is PATCH /users/{id}/factors/{factor}.
func (a *API) changeFor(w http.ResponseWriter, r *http.Request, m manager) error {
	var in struct {
		State     authn.FactorState `json:"state"`
		Preferred bool              `json:"preferred"`
		Reason    string            `json:"reason"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	p := directory.PersonAct{Reason: in.Reason, Args: map[string]string{"factor": r.PathValue("factor")}}
	switch {
	case in.Preferred && in.State == "":
		p.Do = directory.Prefer
	case in.State == authn.Asleep && !in.Preferred:
		p.Do = directory.Disable
	case in.State == authn.Confirmed && !in.Preferred:
		p.Do = directory.Enable
	default:
		return authn.InvalidField("state", "not_one_of", nil)
	}
	return a.onFactor(w, r, m, p)
}

// removeFor is DELETE /users/{id}/factors/{factor}.
func (a *API) removeFor(w http.ResponseWriter, r *http.Request, m manager) error {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	return a.onFactor(w, r, m, directory.PersonAct{Do: directory.Reset, Reason: in.Reason, Args: map[string]string{"factor": r.PathValue("factor")}})
}

// onFactor does an act about the factor of the path, if it is there to be seen.
func (a *API) onFactor(w http.ResponseWriter, r *http.Request, m manager, p directory.PersonAct) error {
	u, factors, err := a.person(r, m)
	if err != nil {
		return err
	}
	for _, f := range factors {
		if f.ID == r.PathValue("factor") && theirs(f) {
			p.Target = u.ID
			return a.acted(w, r, m, p, nil)
		}
	}
	return authn.NotFound
}

// onPerson are the acts of POST /users/{id}/{act}, by the name in the path.
var onPerson = map[string]string{
	"suspend": directory.Suspend, "activate": directory.Activate, "leave": directory.Leave, "sign-out": directory.SignOut, "unlock": directory.Unlock,
	"reset": directory.Reset, "bypass-code": directory.HelpCode, "invite": directory.InviteAgain, "require": directory.RequireTwo,
	"not-require": directory.NotRequire, "exempt": directory.Exempt, "end-exemption": directory.EndExemption, "close-help": directory.CloseHelp,
}

// actOn is POST /users/{id}/{act}.
func (a *API) actOn(w http.ResponseWriter, r *http.Request, m manager) error {
	do, ok := onPerson[r.PathValue("act")]
	if !ok {
		return authn.NotFound
	}
	var in struct {
		Reason string `json:"reason"`
		Until  given  `json:"until"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	u, _, err := a.person(r, m)
	if err != nil {
		return err
	}
	p := directory.PersonAct{Do: do, Target: u.ID, Reason: in.Reason, Args: map[string]string{}}
	if in.Until.set {
		p.Args["until"] = in.Until.value
	}
	var done func(directory.Outcome) error
	if do == directory.HelpCode {
		done = func(out directory.Outcome) error {
			return httpserve.WriteJSON(w, http.StatusCreated, struct {
				Code      string    `json:"code"`
				ExpiresAt time.Time `json:"expires_at"`
			}{out.Code, stamp(out.ExpiresAt)})
		}
	}
	return a.acted(w, r, m, p, done)
}

// approval is an act that waits or waited, with what it says beside its name:
// whoever gives their word for it has to know. Of a number there are the last
// digits only.
type approval struct {
	ID          string            `json:"id"`
	Act         string            `json:"act"`
	Args        map[string]string `json:"args,omitempty"`
	Target      string            `json:"target"`
	Requester   string            `json:"requester"`
	Reason      string            `json:"reason"`
	State       string            `json:"state"` // waiting, ready, done, cancelled or over
	CreatedAt   time.Time         `json:"created_at"`
	NotBefore   time.Time         `json:"not_before"`
	ExpiresAt   time.Time         `json:"expires_at"`
	ApprovedBy  string            `json:"approved_by,omitempty"`
	ApprovedAt  *time.Time        `json:"approved_at,omitempty"`
	CancelledBy string            `json:"cancelled_by,omitempty"`
	CancelledAt *time.Time        `json:"cancelled_at,omitempty"`
	UsedAt      *time.Time        `json:"done_at,omitempty"`
}

func (a *API) approvalOf(ap authn.Approval) approval {
	out := approval{ID: ap.ID, Act: strings.ReplaceAll(ap.Do, "_", "-"), Args: directory.Says(ap), Target: ap.Target, Requester: ap.Requester, Reason: ap.Reason, State: ap.State(a.Now()),
		CreatedAt: stamp(ap.CreatedAt), NotBefore: stamp(ap.NotBefore), ExpiresAt: stamp(ap.ExpiresAt), ApprovedBy: ap.ApprovedBy, ApprovedAt: maybe(ap.ApprovedAt),
		CancelledBy: ap.CancelledBy, CancelledAt: maybe(ap.CancelledAt), UsedAt: maybe(ap.UsedAt)}
	if ap.Do == directory.HelpCode {
		out.Act = "bypass-code"
	}
	return out
}

// approvals is GET /approvals, newest first.
func (a *API) approvals(w http.ResponseWriter, r *http.Request, m manager) error {
	limit, err := readLimit(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	before, target := q.Get("cursor"), q.Get("target")
	switch {
	case q.Has("cursor") && !authn.CheckID(authn.ApprovalID, before):
		return authn.InvalidField("cursor", "invalid", nil)
	case q.Has("target") && !authn.CheckID(authn.UserID, target):
		return authn.InvalidField("target", "invalid", nil)
	}
	list, err := a.Directory.Approvals(r.Context(), m.who, target, before, limit)
	if err != nil {
		return err
	}
	out := page[approval]{Items: []approval{}}
	for _, ap := range list {
		out.Items = append(out.Items, a.approvalOf(ap))
	}
	if len(list) == limit {
		out.Next = list[len(list)-1].ID
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// approve is POST /approvals/{id}/approve, and cancel POST /approvals/{id}/cancel.
func (a *API) approve(w http.ResponseWriter, r *http.Request, m manager) error {
	return a.decide(w, r, m, a.Directory.Approve)
}

func (a *API) cancel(w http.ResponseWriter, r *http.Request, m manager) error {
	return a.decide(w, r, m, a.Directory.Cancel)
}

func (a *API) decide(w http.ResponseWriter, r *http.Request, m manager, f decideFunc) error {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	id := r.PathValue("id")
	if !authn.CheckID(authn.ApprovalID, id) {
		return authn.NotFound
	}
	ap, err := f(r.Context(), m.who, id, in.Reason)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, a.approvalOf(ap))
}

type decideFunc = func(ctx context.Context, w directory.Who, id, reason string) (authn.Approval, error)
