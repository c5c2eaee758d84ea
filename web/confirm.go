package web

import (
	"cmp"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/signin"
)

// act is what a confirmation is for. A link can name one of these and nothing
// else; what is shown and where it leads is then read from the attempt.
type act struct {
	action string // as the attempt and the log name it
	then   string // where it is gone on with
	label  string // key of "to turn off your authenticator app"
	run    func(*Handler, http.ResponseWriter, *http.Request, signin.Status) error
}

func acts() map[string]act {
	return map[string]act{
		"app":            {action: "app.set_up", then: securityPath, label: "page.confirm.for_app", run: (*Handler).appAct},
		"app_off":        {action: "app.turn_off", then: appOffPath, label: "page.confirm.for_app_off"},
		"mail":           {action: "email.turn_on", then: securityPath, label: "page.confirm.for_mail", run: (*Handler).mailAct},
		"mail_off":       {action: "email.turn_off", then: mailOffPath, label: "page.confirm.for_mail_off"},
		"phone":          {action: "sms.set_up", then: phonePath, label: "page.confirm.for_phone"},
		"phone_off":      {action: "sms.turn_off", then: phoneOffPath, label: "page.confirm.for_phone_off"},
		"duo":            {action: "duo.set_up", then: securityPath, label: "page.confirm.for_duo", run: (*Handler).duoAct},
		"duo_off":        {action: "duo.turn_off", then: duoOffPath, label: "page.confirm.for_duo_off"},
		"passkey":        {action: "passkey.set_up", then: passkeysPath, label: "page.confirm.for_passkey", run: (*Handler).passkeyAct},
		"passkey_off":    {action: "passkey.remove", then: passkeysPath, label: "page.confirm.for_passkey_off"},
		"again_webauthn": {action: policy.AgainAction + string(authn.WebAuthn), then: securityPath, label: "page.confirm.for_again", run: (*Handler).againAct},
		"again_totp":     {action: policy.AgainAction + string(authn.TOTP), then: securityPath, label: "page.confirm.for_again", run: (*Handler).againAct},
		"again_sms":      {action: policy.AgainAction + string(authn.SMS), then: securityPath, label: "page.confirm.for_again", run: (*Handler).againAct},
		"again_email":    {action: policy.AgainAction + string(authn.Email), then: securityPath, label: "page.confirm.for_again", run: (*Handler).againAct},
		"again_duo":      {action: policy.AgainAction + string(authn.Duo), then: securityPath, label: "page.confirm.for_again", run: (*Handler).againAct},
		"codes":          {action: "backup_codes.make", then: newCodesPath, label: "page.confirm.for_codes"},
		"password":       {action: "password.change", then: passwordPath, label: "page.confirm.for_password"},
		"address":        {action: "email.change", then: addressPath, label: "page.confirm.for_address"},
		"texts_provider": {action: "provider.change_texts", then: textsPath, label: "page.confirm.for_texts_provider"},
		"duo_provider":   {action: "provider.change_duo", then: duoAdminPath, label: "page.confirm.for_duo_provider"},
		"email_provider": {action: "provider.change", then: providerPath, label: "page.confirm.for_email_provider"},
		"branding":       {action: "branding.change", then: brandingPath, label: "page.confirm.for_branding"},
		"data":           {action: "account.export", then: dataPath, label: "page.confirm.for_data"},
		"policy":         {action: "policy.change", then: policyPath, label: "page.confirm.for_policy"},
		"admin":          {action: "admin.act", then: securityPath, label: "page.confirm.for_admin"},
		"":               {then: securityPath, label: "page.confirm.for_any"},
	}
}

// againAct is the end of confirming a way again: what it took was proven.
func (h *Handler) againAct(w http.ResponseWriter, _ *http.Request, _ signin.Status) error {
	return h.finish(w, securityPath, "way_again")
}

// actOf is the act that an attempt was begun for.
func actOf(a authn.Attempt) act {
	for _, one := range acts() {
		if one.action == a.Action {
			return one
		}
	}
	return acts()[""]
}

// intent is the act and where to go after it, from a query or a form.
type intent struct {
	name  string
	title string // of an application's action; empty: it is one of ours
	hash  string // of the request that it is for, where it leads to the application
	act
}

func intentOf(values url.Values) intent {
	in := intent{name: values.Get("for")}
	var ok bool
	if in.act, ok = acts()[in.name]; !ok {
		in.name, in.act = "", acts()[""]
	}
	if in.run == nil {
		in.then = safe(values.Get("then"), in.then)
	}
	return in
}

// intentOf is the package's intentOf, for applications too: their pages name an
// action that is registered, and what is shown of it is read from there.
func (h *Handler) intentOf(r *http.Request, cur session.Current, lang string, values url.Values) (intent, error) {
	name := values.Get("action")
	if name == "" {
		return intentOf(values), nil
	}
	a, err := h.c.SignIn.Action(r.Context(), cur.Company.ID, name)
	if err != nil {
		return intent{}, err
	}
	in := intent{title: a.In(lang), act: act{action: name, then: safe(values.Get("then"), h.c.Home)}}
	if values.Get("return_to") == "" {
		return in, nil
	}
	to, err := h.registered(r, cur.Company.ID, destination(values))
	if _, leaves := authn.ParseReturn(to); err == nil && !leaves {
		err = authn.InvalidField("return_to", "unknown_address", nil)
	}
	in.then, in.hash = to, values.Get("request_hash")
	return in, err
}

// What the page of a confirmation shows.
const (
	confirmBegin    = "begin" // nothing was begun yet
	confirmPassword = "password"
	confirmCode     = "code"  // of the app
	confirmSend     = "send"  // nothing was sent yet
	confirmSent     = "sent"  // the code that was sent
	confirmSaved    = "saved" // a backup code
	confirmDuo      = "duo"   // see duoPart
	confirmPasskey  = "passkey"
	confirmChoose   = "choose" // which way
	confirmStopped  = "stopped"
	confirmDenied   = "denied" // has a way that cannot be used here
)

// confirmPage is the data of confirm.html (S22).
type confirmPage struct {
	Show, Action, Label string
	For                 []Part // instead of Label: an application's action, or a form
	Away                string // where Cancel leads: who came from a page of the host program gets back to it
	Kept, Gone          bool   // a form waits for it, or is over
	Act, App, Then      string // of confirmBegin
	ReturnTo, Hash      string // in place of Then, of an application on another origin
	Company, Login      string
	Version             int64
	Kind                authn.Kind
	Factor              string
	To                  []Part // where a code went, or will go
	Until               Part   // the newest code works until then
	Again               sendAgain
	Ways                []confirmWay
	Others              bool
	Refusal             refusal
	Problem             string // with what was sent, or was not
	Locked              bool
	Pause               *pause
	Duo                 *duoPart
	DuoProblem          *duoProblem
	Ask                 passkeyAsk
	Off                 bool // confirmDenied: the company has two-step sign-in off
}

// confirmWay is one of several ways to choose from.
type confirmWay struct {
	Href, Label, Hint, Icon string
	SentTo                  string
	Usual, Locked           bool
	Pause                   *pause
	Device                  bool // the browser has to know how
}

// OwnActs are the names of the acts that these pages ask for a proof for, sorted.
// No application registers an action of such a name.
func OwnActs() []string {
	var list []string
	for _, a := range acts() {
		if a.action != "" {
			list = append(list, a.action)
		}
	}
	slices.Sort(list)
	return list
}

// askConfirm answers a GET whose page needs a more recent proof: a GET begins
// nothing.
func (h *Handler) askConfirm(w http.ResponseWriter, name, then string) error {
	seeOther(w, withQuery(confirmPath, "for", name, "then", then))
	return nil
}

// confirm answers a page or a form that needs a more recent proof.
func (h *Handler) confirm(w http.ResponseWriter, r *http.Request, cur session.Current, name, then string) error {
	if r.Method == http.MethodPost {
		return h.beginConfirm(w, r, cur, name, then)
	}
	return h.askConfirm(w, name, then)
}

// back is the page of a request: a form is posted to the address of its page.
func back(r *http.Request) string {
	if page := here(r); page != "" {
		return page
	}
	return r.URL.Path
}

// beginConfirm answers a POST that needs a more recent proof: the confirmation
// begins here, once, and what was typed is kept meanwhile.
func (h *Handler) beginConfirm(w http.ResponseWriter, r *http.Request, cur session.Current, name, then string) error {
	return h.stepUp(w, r, cur, intentOf(url.Values{"for": {name}, "then": {then}}))
}

func (h *Handler) stepUp(w http.ResponseWriter, r *http.Request, cur session.Current, in intent) error {
	h.c.Cookies.EnsureBrowser(w, r)
	form, lost := toKeep(r)
	var st signin.Status
	var err error
	if form != nil {
		st, err = h.c.SignIn.StepUpKeeping(r.Context(), cur.Token, in.action, withQuery(keptPath, "then", in.then), *form, httpserve.ClientOf(r))
	} else if in.title == "" {
		st, err = h.c.SignIn.StepUp(r.Context(), cur.Token, in.action, in.then, httpserve.ClientOf(r))
	} else {
		st, err = h.c.SignIn.StepUpFor(r.Context(), cur.Token, signin.For{Action: in.action, RequestHash: in.hash, Kind: authn.PageGrant, ReturnTo: in.then}, httpserve.ClientOf(r))
	}
	if err != nil {
		return err
	}
	httpserve.Subject(r.Context(), st.Attempt.ID)
	if lost {
		return h.finish(w, confirmPath+"/"+st.Attempt.ID, "form_not_kept")
	}
	seeOther(w, confirmPath+"/"+st.Attempt.ID)
	return nil
}

// ready reports whether an act of ours needs no confirmation now.
func (h *Handler) ready(r *http.Request, cur session.Current, in intent) bool {
	return in.name != "" && in.run == nil && h.c.Enroll.Ready(r.Context(), who(r, cur)) == nil
}

// getConfirm is for links: it says what is to be confirmed, and its button
// begins.
func (h *Handler) getConfirm(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	v := h.personal(r, cur)
	in, err := h.intentOf(r, cur, v.Lang, r.URL.Query())
	if err != nil {
		return err
	}
	// One of our own pages, confirmed already in another tab. Other pages may
	// want a more recent proof than ours, and would send the person back here.
	if h.ready(r, cur, in) {
		seeOther(w, in.then)
		return nil
	}
	p := confirmPage{Show: confirmBegin, Action: confirmPath, Act: in.name, Then: in.then}
	if in.title != "" {
		p.App, p.For, p.Away = in.action, v.Rich("page.confirm.for_action", "Act", in.title), h.c.Home
		if _, leaves := authn.ParseReturn(in.then); leaves {
			p.Then, p.ReturnTo, p.Hash = "", in.then, in.hash
		}
	} else {
		p.Label = v.T(in.label)
	}
	return h.drawConfirm(w, http.StatusOK, v, cur, p)
}

func (h *Handler) postConfirm(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	in, err := h.intentOf(r, cur, cur.User.Locale, r.PostForm)
	if err != nil {
		return err
	}
	if h.ready(r, cur, in) {
		seeOther(w, in.then)
		return nil
	}
	return h.stepUp(w, r, cur, in)
}

func (h *Handler) drawConfirm(w http.ResponseWriter, status int, v *View, cur session.Current, p confirmPage) error {
	p.Company, p.Login, p.Away = cur.Company.Name, cur.User.Login, cmp.Or(p.Away, securityPath)
	v.Section, v.Title, v.Failed, v.Data = "security", v.T("page.confirm.title"), p.Refusal.Text != "" && !p.Refusal.Calm && p.Show != confirmStopped || p.Duo != nil && p.Duo.Problem != nil, p
	return h.draw(w, status, "confirm.html", v)
}

func (h *Handler) stepUpOpener(r *http.Request, cur session.Current) signin.Opener {
	return signin.Opener{Company: cur.Company.ID, Attempt: r.PathValue("attempt"), Client: httpserve.ClientOf(r)}
}

// openStepUp finds the step-up in the address; it must be of this session.
func (h *Handler) openStepUp(r *http.Request, cur session.Current) (signin.Status, signin.Opener, error) {
	o := h.stepUpOpener(r, cur)
	st, err := h.attempt(r, o)
	if err == nil && (st.Attempt.Purpose != authn.StepUp || st.Attempt.Session != cur.Session.ID) {
		err = authn.NotFound
	}
	if err == nil {
		httpserve.Subject(r.Context(), st.Attempt.ID)
	}
	return st, o, err
}

// overOrElse begins again where the attempt is over.
func (h *Handler) overOrElse(w http.ResponseWriter, err error) error {
	switch authn.AsError(err).Code {
	case authn.Expired:
		return h.finish(w, confirmPath, "confirm_over")
	case authn.NotFound, authn.Conflict:
		return h.askConfirm(w, "", "")
	}
	return err
}

func (h *Handler) getConfirmAttempt(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if back, ok := keptBack(authn.Attempt{ReturnTo: r.URL.RequestURI()}); ok {
		seeOther(w, back) // a session's own address to come back to, without its step-up
		return nil
	}
	st, _, err := h.openStepUp(r, cur)
	if authn.AsError(err).Code == authn.NotFound || err == nil && st.Need.State == authn.Complete {
		// Proven already: by Back, or by a second click whose answer is the one that is shown.
		if _, err := h.c.SignIn.KeptForm(r.Context(), cur.Token, r.PathValue("attempt"), httpserve.ClientOf(r)); err == nil {
			seeOther(w, keptAddress(r.PathValue("attempt")))
			return nil
		}
		return h.askConfirm(w, "", "")
	}
	if err != nil {
		return h.overOrElse(w, err)
	}
	return h.drawStepUp(w, r, http.StatusOK, h.personal(r, cur), cur, st, r.URL.Query().Get("way"), confirmPage{})
}

// offerOf is the way that an address or a form names: by its factor, or by its
// kind, which a code that was never sent has no factor to be named by. Otherwise
// it is the usual one.
func offerOf(need policy.Need, way string) (policy.Offer, bool) {
	for _, o := range need.Offers {
		if way != "" && (o.Factor == way || string(o.Kind) == way) {
			return o, true
		}
	}
	if len(need.Offers) == 0 {
		return policy.Offer{}, false
	}
	return need.Offers[0], way == ""
}

// drawStepUp draws what the attempt needs now.
func (h *Handler) drawStepUp(w http.ResponseWriter, r *http.Request, status int, v *View, cur session.Current, st signin.Status, way string, p confirmPage) error {
	p.Action, p.Version = confirmPath+"/"+st.Attempt.ID, st.Attempt.Version
	if wants := st.Attempt.Wants; wants != nil {
		p.For, p.Away = v.Rich("page.confirm.for_action", "Act", wants.Title), h.c.Home
	} else {
		p.Label = v.T(actOf(st.Attempt).label)
		if err := h.keptFor(v, r, cur, st.Attempt, &p); err != nil {
			return err
		}
	}
	p.Others = len(st.Need.Offers) > 1
	o, _ := offerOf(st.Need, way)
	switch {
	case st.Need.State == authn.Denied:
		ru, err := h.rulesOf(cur)
		if err != nil {
			return err
		}
		p.Show, p.Off = confirmDenied, ru.off
	case st.Need.State == authn.NeedPassword:
		p.Show, p.Kind = confirmPassword, authn.Password
	case p.Others && way == "choose":
		p.Show, p.Ways, v.Passkeys = confirmChoose, v.confirmWays(p.Action, st.Need.Offers), true
	default:
		if way == "" {
			o = answered(st, o)
		}
		p.offer(v, st, o)
	}
	return h.drawConfirm(w, status, v, cur, p)
}

// offer is what one way asks for.
func (p *confirmPage) offer(v *View, st signin.Status, o policy.Offer) {
	p.Kind, p.Factor = o.Kind, o.Factor
	switch {
	case o.Locked:
		p.Show, p.Locked = confirmStopped, true
		return
	case !o.PausedUntil.IsZero():
		p.Show, p.Pause = confirmStopped, v.pauseOf(o.PausedUntil)
		return
	case o.Kind == authn.Duo:
		p.duo(v, st, o)
		return
	case o.Kind == authn.WebAuthn:
		p.Show, p.Ask, v.Passkeys = confirmPasskey, v.askPasskey(p.Action+passkeySuffix), true
		return
	case o.Kind == authn.BackupCode:
		p.Show = confirmSaved
		return
	case !o.Kind.Sent():
		p.Show = confirmCode
		return
	}
	sent := sentFor(st.Sent, o.Factor)
	p.Show, p.To = confirmSend, v.Rich(v.of("page.sent.will", o.Kind), "Address", o.SentTo)
	if len(sent) > 0 {
		p.Show, p.To, p.Until = confirmSent, v.Rich(v.of("page.sent.to", o.Kind), "Address", o.SentTo), v.Seconds(sent[len(sent)-1].ExpiresAt)
	}
	p.Again = v.again(len(sent) > 0, st.ResendAt(o.Factor), "")
}

// postConfirmPasskey is the question of a confirmation by passkey, for the script.
func (h *Handler) postConfirmPasskey(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	_, o, err := h.openStepUp(r, cur)
	if err != nil {
		return h.overOrElse(w, err)
	}
	_, sent, err := h.c.SignIn.Challenge(r.Context(), o, authn.WebAuthn, "")
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, json.RawMessage(sent.Options))
}

func (v *View) confirmWays(action string, offers []policy.Offer) []confirmWay {
	var out []confirmWay
	for _, o := range offers {
		x := confirmWay{Label: v.T("page.way." + string(o.Kind)), SentTo: o.SentTo, Usual: o.Preferred, Locked: o.Locked,
			Href: withQuery(action, "way", string(o.Kind)), Icon: icons[o.Kind]}
		switch o.Kind {
		case appKind:
			x.Hint = v.T("page.choose.code")
		case authn.Duo:
			x.Hint = v.T("page.choose.duo")
		case authn.WebAuthn:
			x.Hint, x.Device = v.T("page.choose.webauthn"), true
		}
		if !o.PausedUntil.IsZero() {
			x.Pause = v.pauseOf(o.PausedUntil)
		}
		out = append(out, x)
	}
	return out
}

// icons of the ways.
var icons = map[authn.Kind]string{authn.TOTP: "phone", authn.Email: "mail", authn.SMS: "message", authn.BackupCode: "list", authn.Password: "lock", authn.Duo: "shield", authn.WebAuthn: "lock"}

// sendAgain is the button that sends a code again (ux rules 18–21).
type sendAgain struct {
	May                  bool
	Wait                 int // seconds; 0: now
	When                 []Part
	Label, Waiting, Busy string
	None                 string // why there is no button
	Action               string // the form's own, if empty
}

func (v *View) again(sent bool, at time.Time, action string) sendAgain {
	a := sendAgain{May: true, Label: v.T("page.sent.again"), Busy: v.T("page.sent.sending"), Action: action}
	switch {
	case sent && at.IsZero():
		a.May, a.None = false, v.T("page.sent.no_more")
	case at.After(v.now):
		a.Wait = int(math.Ceil(at.Sub(v.now).Seconds()))
		a.When, a.Waiting = v.Rich("page.sent.wait", "Time", v.Seconds(at)), v.T("page.sent.again_in", "Seconds", "{n}")
	}
	return a
}

func (h *Handler) postConfirmAttempt(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	st, o, err := h.openStepUp(r, cur)
	if err != nil {
		return h.overOrElse(w, err)
	}
	kind := r.PostForm.Get("kind")
	offer, ok := offerOf(st.Need, kind)
	if r.PostForm.Get("do") == "send" && ok && offer.Kind.Sent() {
		return h.sendStepUp(w, r, cur, st, o, offer)
	}
	version, err := strconv.ParseInt(r.PostForm.Get("version"), 10, 64)
	if password := st.Need.State == authn.NeedPassword; err != nil || version <= 0 || !ok && !password {
		return h.toStepUp(w, st, "") // drawn for another state: show this one
	}
	verify := signin.Verify{Version: version, Method: offer.Kind, Factor: offer.Factor, Answer: answerOf(r.PostForm)}
	if st.Need.State == authn.NeedPassword {
		verify.Method, verify.Answer = authn.Password, authn.Answer{Password: r.PostForm.Get("password")}
	}
	done, err := h.c.SignIn.Verify(r.Context(), o, verify)
	if err == nil {
		return h.confirmed(w, r, st, done)
	}
	switch e := authn.AsError(err); {
	case e.Code == authn.Conflict:
		return h.toStepUp(w, st, kind)
	case e.Code == authn.NotFound, e.Code == authn.Expired && !answerExpired(e):
		return h.overOrElse(w, err)
	}
	return h.refuseConfirm(w, r, cur, o, kind, err)
}

// sendStepUp sends the code. Only a press of the button does, never a page.
func (h *Handler) sendStepUp(w http.ResponseWriter, r *http.Request, cur session.Current, st signin.Status, o signin.Opener, offer policy.Offer) error {
	_, _, err := h.c.SignIn.Challenge(r.Context(), o, offer.Kind, offer.Factor)
	switch e := authn.AsError(err); {
	case err == nil, e.Code == authn.TooManyRequests && e.Key == "error.send_wait":
		return h.toStepUp(w, st, string(offer.Kind))
	case e.Code == authn.NotFound, e.Code == authn.Expired, e.Code == authn.Conflict:
		return h.overOrElse(w, err)
	}
	return h.refuseConfirm(w, r, cur, o, string(offer.Kind), err)
}

// confirmed hands out the new session and goes on with the act.
func (h *Handler) confirmed(w http.ResponseWriter, r *http.Request, st, done signin.Status) error {
	if done.Session == nil {
		return h.toStepUp(w, st, "")
	}
	h.renewed(w, r, done.SessionToken)
	if _, ok := keptBack(done.Attempt); ok {
		seeOther(w, keptAddress(done.Attempt.ID))
		return nil
	}
	if done.Handle != nil {
		return h.handOver(w, r, done.Company, done.User, *done.Handle)
	}
	of := actOf(done.Attempt)
	if of.run != nil {
		return of.run(h, w, r, done)
	}
	seeOther(w, safe(done.Attempt.ReturnTo, of.then))
	return nil
}

func (h *Handler) toStepUp(w http.ResponseWriter, st signin.Status, way string) error {
	seeOther(w, withQuery(confirmPath+"/"+st.Attempt.ID, "way", way))
	return nil
}

// refuseConfirm draws the form again in place, for the attempt as it is now.
func (h *Handler) refuseConfirm(w http.ResponseWriter, r *http.Request, cur session.Current, o signin.Opener, way string, err error) error {
	e, v := authn.AsError(err), h.personal(r, cur)
	httpserve.Record(r, err)
	now, gone := h.attempt(r, o)
	if gone != nil {
		return h.overOrElse(w, gone)
	}
	p, ok := confirmPage{}, true
	if offer, _ := offerOf(now.Need, way); offer.Kind == authn.Duo && now.Need.State != authn.NeedPassword {
		if p.DuoProblem, ok = v.duoTrouble(w, e); ok {
			return h.drawStepUp(w, r, httpserve.Status(e.Code), v, cur, now, way, p)
		}
	}
	switch code := e.Code; {
	case code == authn.Paused, code == authn.Locked:
		retryAfter(w, e.RetryAfter)
		if p.Pause = v.pauseOf(v.now.Add(e.RetryAfter)); now.Need.State == authn.NeedPassword {
			p.Refusal.Text = v.T("page.password.paused")
		}
	case code == authn.WrongCredentials:
		p.Refusal.Text = v.T("page.password.wrong")
	case code == authn.TooManyRequests, code == authn.MessageNotSent, noTextKey(e):
		retryAfter(w, e.RetryAfter)
		p.Problem = httpserve.Message(v.texts, v.Lang, e)
	default:
		offer, _ := offerOf(now.Need, way)
		if now.Need.State == authn.NeedPassword {
			offer.Kind = authn.Password
		}
		p.Refusal, ok = v.confirmRefusal(offer.Kind, e)
	}
	if !ok {
		return err
	}
	return h.drawStepUp(w, r, httpserve.Status(e.Code), v, cur, now, way, p)
}

// confirmRefusal is answerRefusal where the password may be what was asked for.
func (v *View) confirmRefusal(k authn.Kind, e *authn.Error) (refusal, bool) {
	if k != authn.Password {
		return v.answerRefusal(k, e)
	}
	out := refusal{Status: httpserve.Status(e.Code)}
	if e.Code == authn.Invalid && v.fieldText(e, "password") != "" {
		out.Text = v.T("page.signin.password_empty")
	}
	return out, out.Text != ""
}

// sentRefusal is codeRefusal for a code that was sent.
func (v *View) sentRefusal(e *authn.Error) (refusal, bool) {
	out := refusal{Status: httpserve.Status(e.Code)}
	switch e.Code {
	case authn.Invalid:
		if out.Text = v.fieldText(e, "code"); len(e.Fields) > 0 && e.Fields[0].Code == "required" {
			out.Text = v.T("page.sent.empty")
		}
	case authn.Expired:
		out.Text = v.T("page.sent.expired")
	case authn.CodeUsed:
		out.Text = v.T("page.sent.used")
	case authn.WrongCode:
		out.Text = v.T("page.sent.wrong")
		if v.saysLeft(e) {
			out.Text = v.T("page.sent.wrong_left", "Count", e.AttemptsLeft)
		}
	}
	return out, out.Text != ""
}
