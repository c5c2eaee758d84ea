package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/branding"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

const brandingPath = "/api/v1/branding"

// logoPaths are the addresses of the two logos, by kind.
func logoPaths() map[string]string {
	return map[string]string{branding.Light: brandingPath + "/logo", branding.Dark: brandingPath + "/logo-dark"}
}

// Uploads are the routes that take files, with the bytes that each may have.
func Uploads() map[string]int64 {
	list := map[string]int64{"POST " + ImportPath: directory.MaxImport}
	for _, address := range logoPaths() {
		list["PUT "+address] = branding.MaxUpload
	}
	return list
}

// brandTexts are the fields of a company's brand that are written.
type brandTexts struct {
	Accent      string `json:"accent"`
	HelpText    string `json:"help_text"`
	HelpLink    string `json:"help_link"`
	PrivacyLink string `json:"privacy_link"`
	TermsLink   string `json:"terms_link"`
	Support     string `json:"support"`
	MailName    string `json:"mail_name"`
	SMSName     string `json:"sms_name"`
}

// brand is how a company looks.
type brand struct {
	Version int64 `json:"version"`
	brandTexts
	Light     *shade     `json:"light,omitempty"`
	Dark      *shade     `json:"dark,omitempty"`
	Logo      *logo      `json:"logo,omitempty"`
	LogoDark  *logo      `json:"logo_dark,omitempty"`
	UpdatedAt *time.Time `json:"updated_at,omitempty"`
	UpdatedBy string     `json:"updated_by,omitempty"`
}

type shade struct {
	Accent   string `json:"accent"`
	Hover    string `json:"hover"`
	OnAccent string `json:"on_accent"`
	Adjusted bool   `json:"adjusted"`
}

type logo struct {
	URL    string `json:"url"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

func brandOf(slug string, st branding.State) brand {
	b := st.Brand
	out := brand{Version: st.Version, UpdatedBy: st.UpdatedBy, brandTexts: brandTexts{Accent: b.Accent, HelpText: b.HelpText, HelpLink: b.HelpLink,
		PrivacyLink: b.PrivacyLink, TermsLink: b.TermsLink, Support: st.Support, MailName: b.MailName, SMSName: b.SMSName}}
	if b.Accent != "" {
		light, dark := shade(st.Colours.Light), shade(st.Colours.Dark)
		out.Light, out.Dark = &light, &dark
	}
	for _, one := range []struct {
		of authn.Logo
		to **logo
	}{{b.Logo, &out.Logo}, {b.LogoDark, &out.LogoDark}} {
		if one.of.Hash != "" {
			*one.to = &logo{URL: branding.LogoPath(slug, one.of), Width: one.of.Width, Height: one.of.Height}
		}
	}
	if !st.UpdatedAt.IsZero() {
		at := st.UpdatedAt.UTC()
		out.UpdatedAt = &at
	}
	return out
}

// brands is inSession for those who may change the brand; a refusal is recorded.
func (a *API) brands(f func(http.ResponseWriter, *http.Request, caller) error, params ...string) http.Handler {
	return a.inSession(func(w http.ResponseWriter, r *http.Request, c caller) error {
		if _, err := a.Directory.Check(r.Context(), directory.Session(c.Token, c.client), directory.BrandingWrite); err != nil {
			return err
		}
		return f(w, r, c)
	}, params...)
}

func (c caller) brander(reason string) branding.Who {
	return branding.Who{Token: c.Token, Client: c.client, Reason: reason}
}

// branding is GET /branding.
func (a *API) branding(w http.ResponseWriter, r *http.Request, c caller) error {
	st, err := a.Branding.Brand(r.Context(), c.brander(""))
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, brandOf(c.Company.Slug, st))
}

// setBranding is PUT /branding: all of the texts; the logos have addresses of
// their own.
func (a *API) setBranding(w http.ResponseWriter, r *http.Request, c caller) error {
	var in struct {
		brandTexts
		Version int64  `json:"version"`
		Reason  string `json:"reason"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	st, err := a.Branding.Save(r.Context(), c.brander(in.Reason), branding.Change{From: in.Version, Support: in.Support, Brand: authn.Brand{Accent: in.Accent, HelpText: in.HelpText,
		HelpLink: in.HelpLink, PrivacyLink: in.PrivacyLink, TermsLink: in.TermsLink, MailName: in.MailName, SMSName: in.SMSName}})
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, brandOf(c.Company.Slug, st))
}

// setLogo is PUT /branding/logo and /branding/logo-dark.
func (a *API) setLogo(kind string) func(http.ResponseWriter, *http.Request, caller) error {
	return func(w http.ResponseWriter, r *http.Request, c caller) error {
		// Before the bytes are read: they are many.
		if err := a.Branding.Ready(r.Context(), c.brander("")); err != nil {
			return err
		}
		b, err := httpserve.ReadFile(r, "image/png", "image/jpeg", "image/webp")
		if errors.Is(err, authn.UnsupportedMedia) {
			return &authn.Error{Code: authn.UnsupportedMedia, Key: "error.unsupported_media.picture"}
		}
		if err != nil {
			return err
		}
		if len(b) == 0 {
			return authn.InvalidField(kind, "required", nil)
		}
		// A picture has no room for a reason, and addresses stand in the logs of proxies.
		return a.changeLogo(w, r, c, kind, branding.Picture{Bytes: b}, "")
	}
}

// removeLogo is DELETE /branding/logo and /branding/logo-dark.
func (a *API) removeLogo(kind string) func(http.ResponseWriter, *http.Request, caller) error {
	return func(w http.ResponseWriter, r *http.Request, c caller) error {
		reason, err := reasonOf(r)
		if err != nil {
			return err
		}
		return a.changeLogo(w, r, c, kind, branding.Picture{Remove: true}, reason)
	}
}

func (a *API) changeLogo(w http.ResponseWriter, r *http.Request, c caller, kind string, p branding.Picture, reason string) error {
	var from int64
	if q := r.URL.Query(); q.Has("version") {
		var err error
		if from, err = strconv.ParseInt(q.Get("version"), 10, 64); err != nil || from < 0 {
			return authn.InvalidField("version", "invalid", nil)
		}
	}
	st, err := a.Branding.SetLogo(r.Context(), c.brander(reason), kind, p, from)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, brandOf(c.Company.Slug, st))
}
