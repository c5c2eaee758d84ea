package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/session"
)

// textsPage is the data of textsadmin.html (S31).
type textsPage struct {
	State   provider.TextState
	Health  provider.Health
	Usage   []textUsage
	Reports bool

	Form    textsForm // what the fields show; never a secret
	Slots   []textSlot
	Add     []Choice // the drivers; none: the list is full
	Home    []Choice
	Others  []Choice
	Lang    string // of the names of countries
	Chosen  int
	Through []Choice // what a test can go through

	Errors  map[string]string
	Refusal string
	Result  *textResult
	Typed   bool // a secret was typed, and is not on the page any more
	Changed bool // the list is another one than the saved
}

// textUsage is how much of a limit is used.
type textUsage struct {
	Scope     string
	Messages  string
	Money     string // empty: not counted
	Percent   int
	Near      bool
	Warning   []Part
	UsedUp    bool
	Shown     int // of the bar, at most 100
	Remaining []Part
}

// textSlot is one provider of the list.
type textSlot struct {
	N, Number         int // from 0; from 1
	Driver, Brand     string
	Name              string
	Fields            []slotField
	Health            provider.Health
	Sent, Failed      []Part
	Why, Todo         string
	First, Last, Many bool
	Error             string // of the driver
}

// slotField is one field of a provider.
type slotField struct {
	ID, Label, Value string
	Called           []Part // what the provider calls it
	Hint, Saved, Err string
	Secret           bool
	Show             Field
}

// textResult is how a test went.
type textResult struct {
	OK                        bool
	Text, Advice, Code, Reply string
	Took                      int64
}

// brands are the names of providers, which no language changes; others are in the
// catalogue.
var brands = map[string]string{"twilio": "Twilio", "vonage": "Vonage", "sns": "AWS SNS", "plivo": "Plivo"}

// called are the providers' own words for our fields.
var called = map[string]map[string]string{
	"twilio": {"account": "Account SID", "secret": "Auth Token"},
	"vonage": {"account": "API key", "secret": "Signature secret"},
	"sns":    {"account": "Access key ID", "secret": "Secret access key", "region": "AWS Region"},
	"plivo":  {"account": "Auth ID", "secret": "Auth Token"},
}

func (v *View) driverName(driver string) string {
	if b := brands[driver]; b != "" {
		return b
	}
	if key := "admin.texts.driver." + driver; v.texts.Has(key) {
		return v.T(key)
	}
	return driver
}

func (h *Handler) getTextsAdmin(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if !h.c.Providers.HasTexts() {
		return authn.NotFound
	}
	if err := h.c.Providers.Ready(r.Context(), asker(r, cur)); authn.AsError(err).Code == authn.StepUpRequired {
		return h.askConfirm(w, "texts_provider", "")
	} else if err != nil {
		return err
	}
	return h.drawTexts(w, r, http.StatusOK, cur, textsPage{}, true)
}

// drawTexts fills in how things stand. With saved the fields show what is saved.
func (h *Handler) drawTexts(w http.ResponseWriter, r *http.Request, status int, cur session.Current, p textsPage, saved bool) error {
	st, err := h.c.Providers.Texts(r.Context(), asker(r, cur))
	if err != nil {
		return err
	}
	v := h.personal(r, cur)
	p.State, p.Health, p.Reports = st, st.State(), st.Delivered+st.Failed > 0
	if saved {
		p.Form = formOfTexts(st)
	}
	for _, u := range st.Usage {
		p.Usage = append(p.Usage, v.usage(u, st.Settings.Currency))
	}
	h.fillSlots(v, &p)
	h.fillCountries(v, &p)
	v.Section, v.Title, v.Data = "texts", v.T("admin.texts.title"), p
	v.Failed = len(p.Errors) > 0 || p.Refusal != ""
	return h.draw(w, status, "textsadmin.html", v)
}

func (v *View) usage(u provider.Usage, currency string) textUsage {
	out := textUsage{Scope: u.Scope, Percent: u.Percent(), Messages: v.T("admin.texts.usage_of", "N", u.N, "Most", u.Most, "Percent", u.Percent())}
	out.Shown = min(out.Percent, 100)
	switch {
	case currency == "":
	case u.MostMoney > 0:
		out.Money = v.T("admin.texts.usage_money", "Money", money(u.Money), "Most", money(u.MostMoney), "Currency", currency)
	default:
		out.Money = money(u.Money) + " " + currency
	}
	key := "admin.texts.usage_near"
	if out.UsedUp = out.Percent >= 100; out.UsedUp {
		key = "admin.texts.usage_over"
	}
	if out.Near = out.Percent >= provider.WarnAt; out.Near {
		out.Warning = v.Rich(key, "Time", v.When(u.Until))
	}
	return out
}

// fillSlots draws the providers of the form.
func (h *Handler) fillSlots(v *View, p *textsPage) {
	drivers := h.c.Providers.TextDrivers()
	for i, x := range p.Form.Providers {
		slot := textSlot{N: i, Number: i + 1, Driver: x.Driver, Brand: brands[x.Driver], Name: v.driverName(x.Driver), First: i == 0, Last: i == len(p.Form.Providers)-1,
			Many: len(p.Form.Providers) > 1, Error: p.Errors[place(i, "driver")]}
		was := savedAs(p.State, x)
		if was >= 0 && p.State.Settings.Providers[was] == x {
			v.health(&slot, p.State.Health[was])
		}
		for _, d := range drivers {
			if d.Name != x.Driver {
				continue
			}
			for _, name := range d.Fields {
				slot.Fields = append(slot.Fields, v.slotField(i, name, x, was >= 0 && p.State.HasSecret[was], p.Errors))
			}
		}
		p.Slots = append(p.Slots, slot)
		p.Through = append(p.Through, Choice{Value: fmt.Sprint(i), Label: v.T("admin.texts.provider", "N", i+1) + ": " + slot.Name, Chosen: i == p.Form.Test})
	}
	if len(p.Slots) == 0 && p.State.Server {
		p.Through = []Choice{{Value: "0", Label: v.T("admin.texts.through_server"), Chosen: true}}
	}
	if len(p.Slots) < provider.MaxProviders {
		for _, d := range drivers {
			p.Add = append(p.Add, Choice{Value: d.Name, Label: v.driverName(d.Name), Chosen: d.Name == p.Form.Add})
		}
	}
}

// savedAs is the saved provider whose secret a provider of the form keeps; -1: none.
func savedAs(st provider.TextState, x authn.TextProvider) int {
	return slices.IndexFunc(st.Settings.Providers, func(old authn.TextProvider) bool { return old.Target() == x.Target() })
}

func (v *View) health(slot *textSlot, h authn.ProviderHealth) {
	slot.Health = provider.HealthOf(h)
	if !h.SentAt.IsZero() {
		slot.Sent = v.Rich("admin.texts.sent", "Time", v.Ago(h.SentAt))
	}
	if h.Failed != "" {
		slot.Failed = v.Rich("admin.texts.failed", "Time", v.Ago(h.FailedAt))
		slot.Why, slot.Todo = v.step(authn.SMS, provider.LastFailure(h))
	}
}

// step is a step of a test in words.
func (v *View) step(channel authn.Kind, s authn.MailStep) (text, advice string) {
	return provider.WordsOf(channel, s, func(key string) string { return v.T(key) }, v.texts.Has)
}

func (v *View) slotField(i int, name string, x authn.TextProvider, saved bool, errs map[string]string) slotField {
	f := slotField{ID: place(i, name), Label: v.T("admin.texts." + name), Err: errs[place(i, name)], Secret: name == "secret"}
	switch name {
	case "account":
		f.Value = x.Account
	case "from":
		f.Value = x.From
	case "region":
		f.Value = x.Region
	case "url":
		f.Value = x.URL
	case "secret":
		f.Show = v.Show(f.ID)
		if saved {
			f.Saved = v.T("admin.texts.secret_saved")
		}
	}
	if word := called[x.Driver][name]; word != "" {
		f.Called = v.Rich("admin.texts.called", "Word", word)
	}
	if key := "admin.texts." + name + "_hint"; v.texts.Has(key) {
		f.Hint = v.T(key)
	}
	return f
}

// limitField is a field of the limits.
type limitField struct {
	ID, Label, Value, Err, Hint string
	Numeric                     bool
}

// Limit is a field of the limits; hint is a key, or empty.
func (v *View) Limit(id, value, wrong, hint string) limitField {
	f := limitField{ID: id, Label: v.T("admin.texts." + id), Value: value, Err: wrong, Numeric: id != "currency"}
	if hint != "" {
		f.Hint = v.T(hint)
	}
	return f
}

// place is the name of a field of a provider in the form.
func place(i int, name string) string { return fmt.Sprintf("p%d_%s", i, name) }

func (h *Handler) fillCountries(v *View, p *textsPage) {
	home := ""
	if len(p.Form.Countries) > 0 {
		home = p.Form.Countries[0]
	}
	lands, lang := h.landsFor(v)
	p.Lang = lang
	for _, c := range lands {
		label := c.Name + " (+" + c.Dial + ")"
		p.Home = append(p.Home, Choice{Value: c.Code, Label: label, Chosen: c.Code == home})
		also := c.Code != home && slices.Contains(p.Form.Countries, c.Code)
		if also {
			p.Chosen++
		}
		p.Others = append(p.Others, Choice{Value: c.Code, Label: label, Chosen: also})
	}
}

func (h *Handler) postTextsAdmin(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if !h.c.Providers.HasTexts() {
		return authn.NotFound
	}
	f := readTexts(r.PostForm)
	p := textsPage{Form: f, Typed: slices.ContainsFunc(f.Providers, func(x authn.TextProvider) bool { return x.Secret != "" })}
	do, n := act2(r.PostForm.Get("do"))
	var err error
	switch do {
	case "save":
		if _, err = h.c.Providers.SetTexts(r.Context(), asker(r, cur), f.change()); err == nil {
			return h.finish(w, textsPath, "texts_saved")
		}
	case "remove":
		if _, err = h.c.Providers.RemoveTexts(r.Context(), asker(r, cur), f.Version); err == nil {
			return h.finish(w, textsPath, "texts_removed")
		}
	case "test":
		var res provider.TextResult
		if res, err = h.c.Providers.TestTexts(r.Context(), asker(r, cur), f.change(), f.Test, f.To, ""); err == nil {
			// Drawn in place, as the test of a mail server is.
			p.Result = h.textResult(r, cur, res)
			return h.drawTexts(w, r, http.StatusOK, cur, p, false)
		}
	case "add", "drop", "up", "down":
		if !p.Form.arrange(do, n, h.c.Providers.TextDrivers()) {
			return authn.BadRequest
		}
		p.Changed = true
		if err = h.c.Providers.Ready(r.Context(), asker(r, cur)); err == nil {
			return h.drawTexts(w, r, http.StatusOK, cur, p, false)
		}
	default:
		return authn.BadRequest
	}
	return h.refuseTexts(w, r, cur, p, err)
}

func (h *Handler) refuseTexts(w http.ResponseWriter, r *http.Request, cur session.Current, p textsPage, err error) error {
	e := authn.AsError(err)
	status := httpserve.Status(e.Code)
	switch {
	case e.Code == authn.StepUpRequired:
		return h.beginConfirm(w, r, cur, "texts_provider", "")
	case e.Code == authn.Conflict:
		return h.finish(w, textsPath, "mail_moved")
	case e.Code == authn.Invalid:
		v := h.personal(r, cur)
		p.Errors = map[string]string{}
		for _, f := range e.Fields {
			name := f.Name
			if parts := strings.Split(name, "."); len(parts) == 3 {
				name = "p" + parts[1] + "_" + parts[2]
			}
			p.Errors[name] = httpserve.FieldMessage(v.texts, v.Lang, f)
		}
	case e.Code == authn.PolicyForbids && (e.Key == "error.text_country" || e.Key == "error.text_number"):
		v := h.personal(r, cur)
		p.Errors, status = map[string]string{"to": httpserve.Message(v.texts, v.Lang, e)}, http.StatusUnprocessableEntity
	case e.Code == authn.TooManyRequests:
		v := h.personal(r, cur)
		retryAfter(w, e.RetryAfter)
		p.Refusal = httpserve.Message(v.texts, v.Lang, e)
	default:
		return err
	}
	httpserve.Record(r, err)
	return h.drawTexts(w, r, status, cur, p, false)
}

func (h *Handler) textResult(r *http.Request, cur session.Current, res provider.TextResult) *textResult {
	v := h.personal(r, cur)
	out := &textResult{OK: res.OK, Code: res.Code, Reply: res.Reply, Took: res.Took.Round(time.Millisecond).Milliseconds()}
	out.Text, out.Advice = v.step(authn.SMS, res.Step())
	return out
}
