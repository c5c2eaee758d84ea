package web

import (
	"bytes"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/branding"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
)

// look is how a company's pages differ from all others.
type look struct {
	Colours                                    string // address of the stylesheet; empty: ours
	Light, Dark                                picture
	Plate                                      bool // there is one logo, and it is made for light ground
	Named                                      bool // the logo is a sign without a name beside it
	HelpText, HelpLink, PrivacyLink, TermsLink string
	Links                                      bool // there is one
}

// picture is a logo; without a URL there is none. Sizes are those of the page: the
// picture itself has twice as many pixels.
type picture struct {
	URL           string
	Width, Height int
}

// inCompany makes the page one of a company.
func (v *View) inCompany(c authn.Company) {
	v.Company, v.Brand = c.Name, lookOf(c.Slug, c.Brand, func(_ string, l authn.Logo) string { return branding.LogoPath(c.Slug, l) })
	if doc, err := policy.Current(c, v.now); err == nil {
		v.tries = doc.Lockout().FreeTries
	}
}

// lookOf is nil for a company that looks as all do.
func lookOf(slug string, b authn.Brand, address func(kind string, l authn.Logo) string) *look {
	if b == (authn.Brand{}) {
		return nil
	}
	out := &look{Colours: branding.StylesheetPath(url.PathEscape(slug), b), HelpText: b.HelpText, HelpLink: b.HelpLink, PrivacyLink: b.PrivacyLink, TermsLink: b.TermsLink,
		Links: b.HelpLink+b.PrivacyLink+b.TermsLink != ""}
	pictureOf := func(kind string, l authn.Logo) picture {
		return picture{URL: address(kind, l), Width: (l.Width + 1) / 2, Height: (l.Height + 1) / 2}
	}
	light, dark := b.Logo, b.LogoDark
	switch {
	case light.Hash == "" && dark.Hash == "":
		return out
	case light.Hash == "": // made for dark ground; better than none
		out.Dark = pictureOf(branding.Dark, dark)
		out.Light, light = out.Dark, dark
	case dark.Hash == "":
		out.Light = pictureOf(branding.Light, light)
		out.Dark, out.Plate = out.Light, true
	default:
		out.Light, out.Dark = pictureOf(branding.Light, light), pictureOf(branding.Dark, dark)
	}
	out.Named = light.Width < 2*light.Height
	return out
}

// forGood is for what another content would have another address for.
const forGood = "public, max-age=31536000, immutable"

// getBrandColours serves /brand/{slug}.css: custom properties and nothing else.
func (h *Handler) getBrandColours(w http.ResponseWriter, r *http.Request) error {
	slug, ok := strings.CutSuffix(r.PathValue("file"), ".css")
	if !ok || slug == "" {
		return authn.NotFound
	}
	c, err := h.c.Directory.Company(r.Context(), slug)
	if err != nil {
		return err
	}
	css, hash := branding.Stylesheet(c.Brand)
	if css == "" {
		return authn.NotFound
	}
	cache := forGood
	if r.URL.Query().Get("v") != hash {
		cache = "no-cache" // of a page that was drawn before
	}
	return sendFile(w, r, kinds[".css"], cache, hash, []byte(css))
}

// getLogo serves /brand/{slug}/{hash}.png. It decodes nothing: what is stored was
// written by us.
func (h *Handler) getLogo(w http.ResponseWriter, r *http.Request) error {
	hash, err := pictureHash(r)
	if err != nil {
		return err
	}
	b, err := h.c.Branding.Logo(r.Context(), r.PathValue("company"), hash)
	if err != nil {
		return err
	}
	return sendFile(w, r, "image/png", forGood, hash, b)
}

// pictureHash is the hash of "{hash}.png".
func pictureHash(r *http.Request) (string, error) {
	hash, ok := strings.CutSuffix(r.PathValue("file"), ".png")
	if b, err := hex.DecodeString(hash); !ok || err != nil || len(b) != 16 {
		return "", authn.NotFound
	}
	return hash, nil
}

func sendFile(w http.ResponseWriter, r *http.Request, kind, cache, hash string, b []byte) error {
	w.Header().Set("Cache-Control", cache)
	w.Header().Set("Content-Type", kind)
	w.Header().Set("ETag", `"`+hash+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	return nil
}

// Uploads are the pages that take files, with the bytes that a form may have. What
// is longer than a logo may be is read and dropped, so that the page can say so.
func Uploads() map[string]int64 {
	return map[string]int64{
		http.MethodPost + " " + brandingPath:     12*branding.MaxUpload + httpserve.DefaultBodyLimit,
		http.MethodPost + " " + PeopleImportPath: directory.MaxImport + httpserve.DefaultBodyLimit,
	}
}
