package web

import (
	"net/http"
	"net/url"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/signin"
)

// drawReady is for an attempt with nothing left to answer: new backup codes, as
// long as they can be shown, or one button.
func (h *Handler) drawReady(w http.ResponseWriter, r *http.Request, v *View, s step) error {
	if _, _, err := h.c.Enroll.ShownCodes(r.Context(), s.who()); err == nil {
		seeOther(w, s.path+"/codes")
		return nil
	}
	if o, ok := approvedBy(s.Need, s.Sent); ok {
		return h.drawDuoPart(w, http.StatusOK, v, s, &duoPart{duoForms: s.duoForms(v, o), V: v, Show: duoApproved, Trust: v.trustBox(s, o)})
	}
	v.Title, v.Data = v.T("page.ready.title"), s.page()
	return h.draw(w, http.StatusOK, "ready.html", v)
}

// who is the asker of a change that this attempt may make.
func (s step) who() enroll.Who {
	return enroll.Who{Company: s.opener.Company, Attempt: s.opener.Attempt, Client: s.opener.Client}
}

func (h *Handler) postReady(w http.ResponseWriter, r *http.Request, s step, form url.Values) error {
	complete := h.c.SignIn.Complete
	if o, ok := approvedBy(s.Need, s.Sent); ok && o.TrustDays > 0 && form.Get("trust") != "" {
		complete = h.c.SignIn.CompleteTrusting
	}
	st, err := complete(r.Context(), s.opener)
	return h.advance(w, r, s, st, err)
}

// postLater puts the set-up off, as long as there is grace.
func (h *Handler) postLater(w http.ResponseWriter, r *http.Request, s step, _ url.Values) error {
	st, err := h.c.SignIn.Postpone(r.Context(), s.opener)
	return h.advance(w, r, s, st, err)
}

// advance gives the session, or leads to what the attempt needs instead.
func (h *Handler) advance(w http.ResponseWriter, r *http.Request, s step, st signin.Status, err error) error {
	if err == nil && !st.Done() {
		seeOther(w, s.path) // what Duo approved was not all that is asked for
		return nil
	}
	if err == nil {
		return h.completed(w, r, st)
	}
	switch authn.AsError(err).Code {
	case authn.Conflict:
		httpserve.Record(r, err)
		return h.moved(w, r, s, s.path)
	case authn.PolicyForbids:
		httpserve.Record(r, err)
		seeOther(w, s.path)
		return nil
	case authn.Expired, authn.NotFound:
		return h.attemptOver(w, r, s, err)
	}
	return err
}

// newPasswordPage is the data of newpassword.html.
type newPasswordPage struct {
	attemptPage
	Field passwordPage
}

func (h *Handler) drawNewPassword(w http.ResponseWriter, status int, v *View, s step, p passwordPage) error {
	doc, err := policy.Current(s.Company, h.c.Now())
	if err != nil {
		return err
	}
	p.Login, p.Minimum = s.User.Login, policy.MinimumPassword(doc, s.User)
	v.Title, v.Failed = v.T("page.new_password.title"), p.New != "" || p.Repeat != ""
	v.Data = newPasswordPage{s.page(), p}
	return h.draw(w, status, "newpassword.html", v)
}

// postNewPassword sets the password that the sign-in asks for.
func (h *Handler) postNewPassword(w http.ResponseWriter, r *http.Request, s step, form url.Values) error {
	if s.Need.State != authn.NeedPasswordChange {
		seeOther(w, s.path)
		return nil
	}
	v := h.attemptView(w, r, s)
	next, by := form.Get("new"), signin.Choosing{Attempt: &s.opener}
	if form.Has(strengthField) {
		return h.writeStrength(w, r, v, by, next)
	}
	if next != "" && next != form.Get("confirm") {
		return h.drawNewPassword(w, http.StatusUnprocessableEntity, v, s, passwordPage{Repeat: v.T("page.password.mismatch"), Strength: h.strength(r, v, by, next)})
	}
	st, err := h.c.SignIn.ChangePassword(r.Context(), s.opener, next)
	if e := authn.AsError(err); err != nil && (e.Code == authn.Invalid || e.Code == authn.ProviderUnavailable) {
		if p, ok := passwordRefusal(w, v, e); ok {
			p.Strength = h.strength(r, v, by, next)
			return h.drawNewPassword(w, recorded(r, err), v, s, p)
		}
	}
	return h.advance(w, r, s, st, err)
}

// backupUsedPath is the page after a sign-in with a backup code.
const backupUsedPath = "/signin/backup-used"

// few is how few backup codes are few enough to make new ones first (ux rule 49).
const few = 3

// backupUsedPage is the data of backupused.html.
type backupUsedPage struct {
	Left     int
	Few      bool
	CanSetUp bool
	Replaces string
}

// getBackupUsed says how many codes are left, and offers to set up the phone
// again. Only to the sign-in that used one, while it is remembered.
func (h *Handler) getBackupUsed(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	st, err := h.c.SignIn.Get(r.Context(), signin.Opener{Company: cur.Company.ID, Attempt: cur.Session.Attempt, Client: httpserve.ClientOf(r)})
	if err != nil || st.User.ID != cur.User.ID || !proved(st.Attempt.Proofs, authn.BackupCode) {
		seeOther(w, continuePath)
		return nil
	}
	v := h.personal(r, cur)
	p := backupUsedPage{CanSetUp: v.Person.CanSync, Replaces: v.Person.Replaces}
	for _, f := range cur.Factors {
		if f.Kind == authn.BackupCode && f.State == authn.Confirmed {
			p.Left = f.Left
		}
	}
	p.Few = p.Left <= few
	v.Shape, v.Person, v.Section = Card, nil, ""
	v.Title, v.Data = v.T("page.backup_used.title"), p
	return h.draw(w, http.StatusOK, "backupused.html", v)
}

// passwordFields is what the part "new-password" is drawn with.
type passwordFields struct {
	ID, Label, Again, Rules, Short, Enough string
	New, Repeat                            string // what is wrong
	Minimum                                int
	Show, ShowAgain                        Field
	Strength                               *strengthView
}

// NewPassword are the two fields for a new password.
func (v *View) NewPassword(id string, p passwordPage) passwordFields {
	return passwordFields{
		ID: id, Label: v.T("page.password.new"), Again: v.T("page.password.repeat"), Rules: v.T("page.password.rules", "Count", p.Minimum),
		Short: v.T("page.password.length", "Length", "{n}", "Minimum", p.Minimum), Enough: v.T("page.password.enough", "Length", "{n}"),
		New: p.New, Repeat: p.Repeat, Minimum: p.Minimum, Show: v.Show(id), ShowAgain: v.Show("confirm"), Strength: p.Strength,
	}
}
