package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/branding"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/notice"
	"github.com/sallyport-mfa/sallyport/session"
)

// brandingPage is the data of branding.html (S37).
type brandingPage struct {
	Form    authn.Brand // what the fields show
	Support string
	SMSName string // as it was typed
	Version int64
	Errors  map[string]string
	Refusal string
	Logos   []logoField
	Texts   []brandField
	Names   []brandField
	Look    lookPreview
	Tried   bool // the preview is of what was typed, and not saved
}

// brandField is one of the texts.
type brandField struct {
	Name, Value, Error string
	Link, Area         bool
	Max                int
}

func (p *brandingPage) fill() {
	b := p.Form
	p.Texts = []brandField{
		{Name: "support", Value: p.Support, Area: true, Max: branding.MaxSupport},
		{Name: "help_text", Value: b.HelpText, Area: true, Max: branding.MaxHelp},
		{Name: "help_link", Value: b.HelpLink, Link: true, Max: branding.MaxLink},
		{Name: "privacy_link", Value: b.PrivacyLink, Link: true, Max: branding.MaxLink},
		{Name: "terms_link", Value: b.TermsLink, Link: true, Max: branding.MaxLink},
	}
	p.Names = []brandField{
		{Name: "mail_name", Value: b.MailName, Max: branding.MaxName},
		{Name: "sms_name", Value: p.SMSName, Max: branding.MaxSMSName},
	}
	for _, list := range [][]brandField{p.Texts, p.Names} {
		for i := range list {
			list[i].Error = p.Errors[list[i].Name]
		}
	}
}

// logoField is one of the two pictures.
type logoField struct {
	Kind    string // and the name of the fields
	Dark    bool
	Now     *picture // what is saved
	Draft   string   // hash of what was uploaded for the preview
	Removed bool
	Again   bool // a file was chosen, and is not kept
}

// lookPreview is what the choice comes to.
type lookPreview struct {
	Brand        *look
	Company      string
	Adjusted     []string // keys of what was done to the colour
	Mail, SMS    *authn.Message
	Length       notice.Length
	Typed        notice.Length // of the name for text messages
	SMSName      string
	SMSRewritten bool
}

func brander(r *http.Request, cur session.Current) branding.Who {
	return branding.Who{Token: cur.Token, Client: httpserve.ClientOf(r), Reason: r.PostForm.Get("reason")}
}

func (h *Handler) getBranding(w http.ResponseWriter, r *http.Request, cur session.Current, _ directory.Who) error {
	// Asked for now rather than when everything is typed.
	if err := h.c.Branding.Ready(r.Context(), brander(r, cur)); authn.AsError(err).Code == authn.StepUpRequired {
		return h.askConfirm(w, "branding", "")
	} else if err != nil {
		return err
	}
	return h.drawBranding(w, r, http.StatusOK, cur, nil, brandingPage{})
}

// brandingForm is what was typed and chosen.
func brandingForm(r *http.Request) branding.Change {
	f := r.PostForm
	version, _ := strconv.ParseInt(f.Get("version"), 10, 64) // 0: whatever there is
	ch := branding.Change{From: version, Support: f.Get("support"), Pictures: map[string]branding.Picture{}, Brand: authn.Brand{
		Accent: f.Get("accent"), HelpText: f.Get("help_text"), HelpLink: f.Get("help_link"), PrivacyLink: f.Get("privacy_link"), TermsLink: f.Get("terms_link"),
		MailName: f.Get("mail_name"), SMSName: f.Get("sms_name")}}
	for _, kind := range []string{branding.Light, branding.Dark} {
		file := httpserve.File(r, kind)
		p := branding.Picture{Bytes: file.Bytes, Long: file.Long, Draft: f.Get(kind + "_draft")}
		// A file that is chosen is what is meant, whatever was ticked before.
		p.Remove = f.Get(kind+"_remove") != "" && len(p.Bytes) == 0 && !p.Long
		ch.Pictures[kind] = p
	}
	return ch
}

func (h *Handler) postBranding(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	ch := brandingForm(r)
	p := brandingPage{Form: ch.Brand, Support: ch.Support, SMSName: ch.SMSName, Version: ch.From}
	var err error
	switch r.PostForm.Get("do") {
	case "save":
		if _, err = h.c.Branding.Save(r.Context(), brander(r, cur), ch); err == nil {
			return h.finish(w, brandingPath, "branding_saved")
		}
	case "preview":
		p.Tried = true
	default:
		return authn.BadRequest
	}
	if err == nil {
		err = h.drawBranding(w, r, http.StatusOK, cur, &ch, p)
	}
	return h.refuseBranding(w, r, cur, p, ch, err)
}

func (h *Handler) refuseBranding(w http.ResponseWriter, r *http.Request, cur session.Current, p brandingPage, ch branding.Change, err error) error {
	e := authn.AsError(err)
	switch {
	case err == nil:
		return nil
	case e.Code == authn.StepUpRequired:
		return h.beginConfirm(w, r, cur, "branding", "")
	case e.Code == authn.Conflict:
		return h.finish(w, brandingPath, "branding_moved")
	case e.Code == authn.Invalid:
		v := h.personal(r, cur)
		p.Errors = map[string]string{}
		for _, f := range e.Fields {
			p.Errors[f.Name] = httpserve.FieldMessage(v.texts, v.Lang, f)
		}
	case e.Code == authn.Busy:
		v := h.personal(r, cur)
		retryAfter(w, e.RetryAfter)
		p.Refusal = httpserve.Message(v.texts, v.Lang, e)
	default:
		return err
	}
	httpserve.Record(r, err)
	p.Tried = false
	for _, kind := range []string{branding.Light, branding.Dark} {
		pic := ch.Pictures[kind]
		p.Logos = append(p.Logos, logoField{Kind: kind, Draft: pic.Draft, Removed: pic.Remove, Again: len(pic.Bytes) > 0 && p.Errors[kind] == ""})
	}
	return h.drawBranding(w, r, httpserve.Status(e.Code), cur, nil, p)
}

// drawBranding shows how things stand, or with ch what it would come to. What
// cannot be tried is an error before anything is drawn.
func (h *Handler) drawBranding(w http.ResponseWriter, r *http.Request, status int, cur session.Current, ch *branding.Change, p brandingPage) error {
	st, err := h.c.Branding.Brand(r.Context(), brander(r, cur))
	if err != nil {
		return err
	}
	if ch == nil {
		ch = &branding.Change{Brand: st.Brand, Support: st.Support}
		if len(p.Errors) == 0 && p.Refusal == "" {
			p.Form, p.Support, p.SMSName, p.Version = st.Brand, st.Support, st.Brand.SMSName, st.Version
		}
	}
	tried, err := h.c.Branding.Preview(r.Context(), brander(r, cur), *ch)
	if err != nil {
		return err
	}
	v := h.personal(r, cur)
	fields := p.Logos
	p.Logos = nil
	for i, kind := range []string{branding.Light, branding.Dark} {
		f := logoField{Kind: kind, Dark: kind == branding.Dark, Draft: tried.Drafts[kind], Removed: ch.Pictures[kind].Remove}
		if len(fields) > 0 {
			f.Draft, f.Removed, f.Again = fields[i].Draft, fields[i].Removed, fields[i].Again
		}
		if l := savedLogo(st.Brand, kind); l.Hash != "" {
			f.Now = &picture{URL: branding.LogoPath(cur.Company.Slug, l), Width: (l.Width + 1) / 2, Height: (l.Height + 1) / 2}
		}
		p.Logos = append(p.Logos, f)
	}
	p.fill()
	p.Look = h.look(cur, tried, ch.SMSName)
	if c := tried.Brand.Accent; c != "" {
		v.Styles = brandingPath + "/colours/" + strings.TrimPrefix(c, "#") + ".css"
	}
	v.Section, v.Title, v.Data = "branding", v.T("admin.branding.title"), p
	v.Failed = len(p.Errors) > 0 || p.Refusal != ""
	return h.draw(w, status, "branding.html", v)
}

func savedLogo(b authn.Brand, kind string) authn.Logo {
	if kind == branding.Dark {
		return b.LogoDark
	}
	return b.Logo
}

func (h *Handler) look(cur session.Current, tried branding.Preview, typed string) lookPreview {
	address := func(kind string, l authn.Logo) string {
		if tried.Drafts[kind] == l.Hash {
			return brandingPath + "/draft/" + kind + "/" + l.Hash + ".png"
		}
		return branding.LogoPath(cur.Company.Slug, l)
	}
	out := lookPreview{Brand: lookOf(cur.Company.Slug, tried.Brand, address), Company: cur.Company.Name}
	if tried.Colours.Light.Adjusted {
		out.Adjusted = append(out.Adjusted, "admin.branding.darkened")
	}
	if tried.Colours.Dark.Adjusted {
		out.Adjusted = append(out.Adjusted, "admin.branding.lightened")
	}
	if tried.Mail.Channel != "" {
		out.Mail = &tried.Mail
	}
	if tried.SMS.Channel != "" {
		out.SMS, out.Length = &tried.SMS, notice.Measure(tried.SMS.Text)
	}
	out.SMSName, out.Typed = tried.Brand.SMSName, notice.Measure(typed)
	out.SMSRewritten = out.SMSName != strings.Join(strings.Fields(typed), " ")
	return out
}

// getPreviewColours serves the colours for the two parts of a preview: a pure
// function of the address.
func (h *Handler) getPreviewColours(w http.ResponseWriter, r *http.Request, _ session.Current, _ directory.Who) error {
	colour, ok := strings.CutSuffix(r.PathValue("file"), ".css")
	css, err := branding.PreviewStylesheet("#" + colour)
	if !ok || err != nil {
		return authn.NotFound
	}
	return sendFile(w, r, kinds[".css"], "private, no-store", url.PathEscape(colour), []byte(css))
}

// getLogoDraft serves a picture that is not saved, to those who may save it.
func (h *Handler) getLogoDraft(w http.ResponseWriter, r *http.Request, cur session.Current, _ directory.Who) error {
	hash, err := pictureHash(r)
	if err != nil {
		return err
	}
	b, err := h.c.Branding.Draft(r.Context(), brander(r, cur), r.PathValue("kind"), hash)
	if err != nil {
		return err
	}
	return sendFile(w, r, "image/png", "private, no-store", hash, b)
}
