package web

import (
	"net/http"
	"net/url"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/internal/phone"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/text"
)

// phonePage is the data of phone.html (S17): the number that codes are to go to,
// in the account or in a sign-in.
type phonePage struct {
	attemptPage          // of a sign-in; otherwise only Action
	SignIn      bool     // the page is of a sign-in
	Typed       string   // number
	Countries   []Choice // none: the number begins with +
	Replaces    string   // id of the way whose number is changed
	Keeps       []Part   // where codes go until then; empty: nowhere
	Error       string   // with the number
	Problem     sendProblem
}

func activePhone(factors []authn.Factor) *authn.Factor {
	return factorIn(factors, authn.SMS, authn.Confirmed, authn.Asleep)
}

// maySetUpPhone reports whether the person could have codes by text message.
func (h *Handler) maySetUpPhone(cur session.Current, ru rules) bool {
	t, here := h.traits(cur.Company)(authn.SMS)
	return here && !ru.closed(authn.SMS) && ru.doc.Minimum(cur.User).Meets(t)
}

// landOf is the name of a country to the reader.
func (h *Handler) landOf(v *View, code string) string {
	list, _ := h.landsFor(v)
	for _, c := range list {
		if c.Code == code {
			return c.Name
		}
	}
	return code
}

// landsFor are all countries in the reader's language, or in another one, which is
// then named.
func (h *Handler) landsFor(v *View) (list []phone.Country, lang string) {
	if list, ok := h.lands[v.Lang]; ok {
		return list, ""
	}
	return h.lands[text.English], text.English
}

// countries are those that the company sends to, by name; the one that was chosen
// is marked, else the company's own, which is the first of its list.
func (h *Handler) countries(r *http.Request, v *View, company, chosen string) ([]Choice, error) {
	if !h.c.Providers.HasTexts() {
		return nil, nil
	}
	codes, err := h.c.Providers.Countries(r.Context(), company)
	if err != nil || len(codes) == 0 {
		return nil, err
	}
	sent := map[string]bool{}
	for _, code := range codes {
		sent[code] = true
	}
	if !sent[chosen] {
		chosen = codes[0]
	}
	lands, lang := h.landsFor(v)
	var list []Choice
	for _, c := range lands {
		if sent[c.Code] {
			list = append(list, Choice{Value: c.Code, Chosen: c.Code == chosen, Lang: lang, Label: c.Name + " (+" + c.Dial + ")"})
		}
	}
	return list, nil
}

// refuse puts into words why no code went to a number, and reports whether it can.
func (p *phonePage) refuse(w http.ResponseWriter, v *View, e *authn.Error) bool {
	switch {
	case e.Code == authn.Invalid:
		p.Error = v.fieldText(e, "phone")
	case e.Key == "error.text_country":
		p.Error = v.T("page.phone.not_there")
	case e.Key == "error.text_number", e.Key == "error.factor_taken":
		p.Error = v.T("error.number_not_possible") // whose it is concerns them
	case e.Code == authn.MessageNotSent, e.Code == authn.TooManyRequests, noTextKey(e):
		p.Problem = v.sendProblem(w, e)
	}
	return p.Error != "" || p.Problem.Text != nil
}

// before fills in the number of the set-up that the page was come back from, to
// correct it. The address has only the id of the set-up: numbers are in no log.
func (h *Handler) before(r *http.Request, asker enroll.Who, p *phonePage) (country string) {
	pending, err := h.c.Enroll.Show(r.Context(), asker, r.URL.Query().Get("from"))
	if err != nil || pending.Factor.Kind != authn.SMS {
		return ""
	}
	n, err := phone.FromE164(pending.Address)
	if err != nil {
		return ""
	}
	p.Typed = n.International
	return n.Country
}

// getPhone is the form for a number. A proof is asked for before anything is typed.
func (h *Handler) getPhone(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	ru, err := h.rulesOf(cur)
	if err != nil {
		return err
	}
	if !h.maySetUpPhone(cur, ru) {
		seeOther(w, securityPath)
		return nil
	}
	if err := h.c.Enroll.Ready(r.Context(), who(r, cur)); authn.AsError(err).Code == authn.StepUpRequired {
		return h.askConfirm(w, "phone", here(r))
	} else if err != nil {
		return err
	}
	var p phonePage
	country := h.before(r, who(r, cur), &p)
	return h.drawPhone(w, r, http.StatusOK, h.personal(r, cur), cur, p, country)
}

func (h *Handler) drawPhone(w http.ResponseWriter, r *http.Request, status int, v *View, cur session.Current, p phonePage, country string) error {
	var err error
	if p.Countries, err = h.countries(r, v, cur.Company.ID, country); err != nil {
		return err
	}
	p.Action, v.Title = phonePath, v.T("page.phone.title")
	if old := activePhone(cur.Factors); old != nil {
		p.Replaces, v.Title = old.ID, v.T("page.phone.title_change")
		p.Keeps = v.Rich("page.phone.keeps", "To", policy.Mask(authn.SMS, policy.Ends(*old)))
	}
	v.Section, v.Failed, v.Data = "security", p.Error != "" || p.Problem.Text != nil, p
	return h.draw(w, status, "phone.html", v)
}

// phoneAgain is for a form that was open before the session was issued anew.
func (h *Handler) phoneAgain(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	v := h.personal(r, cur)
	v.Notice, v.Warning = "page.done.changed_elsewhere", true
	return h.drawPhone(w, r, http.StatusUnprocessableEntity, v, cur, phonePage{Typed: r.PostForm.Get("phone")}, r.PostForm.Get("country"))
}

// postPhone sends a code to the number. The way that is there stays as it is until
// that code came back.
func (h *Handler) postPhone(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	p, country := phonePage{Typed: r.PostForm.Get("phone")}, r.PostForm.Get("country")
	pending, err := h.c.Enroll.BeginPhone(r.Context(), who(r, cur), r.PostForm.Get("replaces"), p.Typed, country)
	switch e := authn.AsError(err); {
	case err == nil:
		httpserve.Subject(r.Context(), pending.Factor.ID)
		seeOther(w, phonePath+"/"+pending.Factor.ID)
		return nil
	case e.Code == authn.StepUpRequired:
		return h.beginConfirm(w, r, cur, "phone", "")
	case e.Key == "error.replaces":
		return h.finish(w, phonePath, "changed_elsewhere")
	default:
		v := h.personal(r, cur)
		if !p.refuse(w, v, e) {
			return err
		}
		return h.drawPhone(w, r, recorded(r, err), v, cur, p, country)
	}
}

// number is where a code for a set-up went, as it is dialled from abroad and at home.
func (h *Handler) number(v *View, e164 string, out bool) []Part {
	n, err := phone.FromE164(e164)
	if err != nil || !out {
		return v.Rich("page.sent.over", "Address", n.International)
	}
	return v.Rich("page.phone.sent", "Number", n.International, "Country", h.landOf(v, n.Country), "National", n.National)
}

// showNumber completes the page of a code that went to a number.
func (h *Handler) showNumber(v *View, p *sentPage, pending enroll.Pending) {
	p.To, p.Change = h.number(v, pending.Address, len(pending.Sent) > 0), withQuery(phonePath, "from", pending.Factor.ID)
	if old := pending.Replaces; old != nil {
		v.Title = v.T("page.phone.title_confirm")
		p.Keeps = v.Rich("page.phone.keeps", "To", policy.Mask(authn.SMS, policy.Ends(*old)))
	}
}

// showWayNumber does that in a sign-in.
func (h *Handler) showWayNumber(v *View, s step, p *wayPage, pending enroll.Pending) {
	p.To, p.Change = h.number(v, pending.Address, p.Sent.Out), withQuery(s.setUp("phone"), "from", pending.Factor.ID)
	if p.Sent.Out {
		p.To = append(append(p.To, Part{Text: " "}), v.Rich("page.sent.until", "Time", p.Sent.Until)...)
	}
	p.Sent.Slow = v.slowSetUp(authn.SMS)
}

// mayText reports whether this sign-in asks for a way, and texts are one of them.
func (h *Handler) mayText(s step) (bool, error) {
	kinds, err := h.settable(s)
	for _, k := range kinds {
		if k == authn.SMS {
			return s.Need.State == authn.NeedEnrolment, err
		}
	}
	return false, err
}

func (h *Handler) getWayPhone(w http.ResponseWriter, r *http.Request) error {
	s, company, err := h.openAttempt(r)
	if err != nil {
		return h.attemptGone(w, r, s, company, signInPage{}, err)
	}
	if may, err := h.mayText(s); err != nil || !may {
		seeOther(w, s.path)
		return err
	}
	var p phonePage
	country := h.before(r, s.who(), &p)
	return h.drawWayPhone(w, r, http.StatusOK, h.attemptView(w, r, s), s, p, country)
}

func (h *Handler) drawWayPhone(w http.ResponseWriter, r *http.Request, status int, v *View, s step, p phonePage, country string) error {
	var err error
	if p.Countries, err = h.countries(r, v, s.Company.ID, country); err != nil {
		return err
	}
	p.attemptPage, p.SignIn = s.page(), true
	v.Title, v.Failed, v.Data = v.T("page.phone.title"), p.Error != "" || p.Problem.Text != nil, p
	return h.draw(w, status, "phone.html", v)
}

func (h *Handler) postWayPhone(w http.ResponseWriter, r *http.Request, s step, form url.Values) error {
	if may, err := h.mayText(s); err != nil || !may {
		seeOther(w, s.path)
		return err
	}
	p, country := phonePage{Typed: form.Get("phone")}, form.Get("country")
	pending, err := h.c.Enroll.BeginPhone(r.Context(), s.who(), "", p.Typed, country)
	if err == nil {
		httpserve.Subject(r.Context(), pending.Factor.ID)
		seeOther(w, s.setUp(pending.Factor.ID))
		return nil
	}
	v := h.attemptView(w, r, s)
	if p.refuse(w, v, authn.AsError(err)) {
		return h.drawWayPhone(w, r, recorded(r, err), v, s, p, country)
	}
	return h.setUpOver(w, r, s, err)
}

// phoneWay is the row of text messages. There is none where the company has none,
// except for somebody who set them up before.
func (h *Handler) phoneWay(v *View, cur session.Current, ru rules) (wayRow, bool) {
	row, f := h.way(v, cur, ru, authn.SMS, "phone", "phone_off")
	_, here := h.traits(cur.Company)(authn.SMS)
	if !here {
		return row, f != nil
	}
	setUp := wayAction{Label: v.T("page.security.app_set_up"), Name: v.T("page.security.set_up_label", "Way", row.Name), Action: confirmPath, Field: "for", Value: "phone"}
	switch {
	case ru.closed(authn.SMS):
		if f == nil {
			row.ByCompany = true
			row.Details = append(row.Details, v.Rich("page.security.app_unused"))
		}
		return row, true
	case f != nil:
		row.Details = append(row.Details, v.Rich("page.security.phone_to", "To", policy.Mask(authn.SMS, policy.Ends(*f))))
		setUp.Label, setUp.Name = v.T("page.phone.change"), v.T("page.security.phone_change_label", "Way", row.Name)
	case !h.maySetUpPhone(cur, ru):
		row.ByCompany = true
		row.Details = append(row.Details, v.Rich("page.security.mail_weak"))
		return row, true
	case h.fallback(v, cur, ru) == authn.SMS:
		row.Details = append(row.Details, v.Rich("page.security.phone_until", "To", policy.Mask(authn.SMS, cur.User.Phone)))
	default:
		row.Details = append(row.Details, v.Rich("page.security.phone_none"))
	}
	if h.maySetUpPhone(cur, ru) {
		row.Actions = append([]wayAction{setUp}, row.Actions...)
	}
	if p := factorIn(cur.Factors, authn.SMS, authn.Pending); h.goesOn(p, cur) {
		row.Link, row.LinkLabel = phonePath+"/"+p.ID, v.goOn(*p)
	}
	return row, true
}
