package demo

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/text"
	"github.com/sallyport-mfa/sallyport/web"
)

//go:embed pages
var pageFiles embed.FS

// pages draws the demo's own pages in the frame that all pages have. They are
// for people who try the product out, and in English only.
type pages struct {
	*Demo
	layout          *web.Layout
	tour, app, mail *template.Template
	duoPage, portal *template.Template
	cookies         httpserve.Cookies
}

// routes are the addresses of the demo, by pattern.
func (d *Demo) routes() (map[string]http.Handler, error) {
	p := &pages{Demo: d}
	var err error
	if p.layout, err = web.NewLayout(web.LayoutConfig{Texts: text.Default(), Cookies: p.cookies, Banner: Banner}); err != nil {
		return nil, err
	}
	for name, t := range map[string]**template.Template{"tour": &p.tour, "app": &p.app, "inbox": &p.mail, "duo": &p.duoPage, "portal": &p.portal} {
		if *t, err = p.parse(name + ".html"); err != nil {
			return nil, err
		}
	}
	routes := map[string]http.Handler{
		"GET /demo":              httpserve.Page(p.getTour),
		"GET /demo/app":          httpserve.Page(p.getApp),
		"POST /demo/app":         httpserve.Page(p.postApp),
		"GET /demo/app.js":       file("app.js", "text/javascript"),
		"GET /demo/news.js":      file("news.js", "text/javascript"),
		"GET /demo/demo.css":     file("demo.css", "text/css"),
		"GET /demo/codes.json":   httpserve.JSON(p.getCodes),
		"POST /demo/code.json":   httpserve.JSON(p.postCode),
		"GET /dev/accounts.json": httpserve.JSON(d.accountsJSON),
		"GET /dev/inbox":         httpserve.Page(p.inboxPage),
		"GET /dev/inbox.json":    httpserve.JSON(d.inboxJSON),
		"GET /dev/duo":           httpserve.Page(p.getDuo),
		"POST /dev/duo":          httpserve.Page(p.postDuo),
		"GET /dev/duo/portal":    httpserve.Page(p.getPortal),
		"POST /dev/duo/portal":   httpserve.Page(p.postPortal),
		"GET /dev/duo.json":      httpserve.JSON(d.duoJSON),
		"POST /dev/duo.json":     httpserve.JSON(d.answerDuoJSON),
	}
	for pattern, h := range routes {
		routes[pattern] = httpserve.LoopbackOnly(h)
	}
	return routes, nil
}

func (p *pages) parse(name string) (*template.Template, error) {
	source, err := pageFiles.ReadFile("pages/" + name)
	if err != nil {
		return nil, err
	}
	t, err := p.layout.Parse(string(source))
	if err != nil {
		return nil, fmt.Errorf("demo: %s: %w", name, err)
	}
	return t, nil
}

// personView is a line of the tour.
type personView struct {
	Login, Name, Role, State string
	Changed                  bool // the password is not the demo's any more
}

func (p *pages) getTour(w http.ResponseWriter, r *http.Request) error {
	all, err := p.accounts(r.Context())
	if err != nil {
		return err
	}
	var list []personView
	for _, a := range all {
		list = append(list, personView{a.login, a.name, a.role, a.state, a.changed})
	}
	runs := ""
	if name := p.Setup(); name != "" {
		runs = text.Default().Text(text.English, "preset."+name+".title", nil) + ": " + text.Default().Text(text.English, "preset."+name+".about", nil)
	}
	passkeys, err := p.passkeys(r.Context())
	if err != nil {
		return err
	}
	return p.layout.Render(w, r, http.StatusOK, p.tour, web.Sheet, "Demo tour", map[string]any{
		"Passkeys": passkeys, "People": list, "Password": Password, "Company": p.company, "URL": p.URL(), "Kept": p.c.Dir, "Setup": p.Setup(), "Runs": runs, "Curl": p.Curl(), "Command": p.c.Command,
	})
}

// passkeys is where people set one up; empty: they cannot. It names the host, since the
// tour can be read under one of numbers, too, for which browsers have no passkeys.
func (d *Demo) passkeys(ctx context.Context) (string, error) {
	if !slices.ContainsFunc(d.c.Methods, func(m authn.Method) bool { return m.Kind() == authn.WebAuthn }) {
		return "", nil
	}
	c, err := d.directory.Company(ctx, companySlug)
	if err != nil {
		return "", err
	}
	rules, err := policy.Current(c, time.Now())
	if err != nil || !rules.Offers(authn.WebAuthn) {
		return "", err
	}
	return d.URL() + "/account/security/passkeys", nil
}

// Curl is a sign-in by the JSON API, to be pasted into a shell: begin, have a
// code sent, read it in the inbox, send it back. It has no comments, because not
// every shell takes them at the prompt.
func (d *Demo) Curl() string {
	return strings.ReplaceAll(curl, "URL", d.URL())
}

const curl = `url=URL
json='Content-Type: application/json'
attempt=$(curl -s $url/api/v1/attempts -H "$json" -d '{"login": "omar", "password": "` + Password + `"}')
id=$(printf %s "$attempt" | jq -r .id)
auth="Authorization: Bearer $(printf %s "$attempt" | jq -r .token)"
curl -s $url/api/v1/attempts/$id/challenge -H "$auth" -H "$json" -d '{"method": "email"}' | jq
code=$(curl -s $url/dev/inbox.json | jq -r '[.items[] | select(.code and .to == "omar@customer.example")][-1].code')
curl -s $url/api/v1/attempts/$id/verify -H "$auth" -H "$json" -d "{\"method\": \"email\", \"code\": \"$code\"}" | jq`

// appView is the practice app: the running codes, and the code of a key that
// was pasted. A pasted key lives in the form of the answer and nowhere else.
type appView struct {
	Codes   []running
	Seconds int
	Pasted  *pasted
	Error   string
}

type pasted struct {
	Key     string `json:"-"`
	Label   string `json:"-"`
	Code    string `json:"code"`
	Seconds int    `json:"seconds"`
	Period  int    `json:"-"`
}

func (p *pages) getApp(w http.ResponseWriter, r *http.Request) error {
	return p.drawApp(w, r, http.StatusOK, appView{})
}

func (p *pages) drawApp(w http.ResponseWriter, r *http.Request, status int, v appView) error {
	var err error
	if v.Codes, v.Seconds, err = p.codes(r.Context(), time.Now()); err != nil {
		return err
	}
	title := "Practice authenticator app"
	if v.Error != "" {
		title = "Error: " + title
	}
	return p.layout.Render(w, r, status, p.app, web.Sheet, title, v)
}

// postApp shows the code of a pasted key. It is a POST only so that the key
// stays out of the address; nothing is changed, so the answer needs no detour.
func (p *pages) postApp(w http.ResponseWriter, r *http.Request) error {
	form, err := httpserve.Form(r)
	if err != nil {
		return err
	}
	code, err := codeOf(form.Get("key"), time.Now())
	if err != nil {
		return p.drawApp(w, r, http.StatusUnprocessableEntity, appView{Error: err.Error()})
	}
	return p.drawApp(w, r, http.StatusOK, appView{Pasted: code})
}

// postCode is postApp for the script, which asks when a code is over.
func (p *pages) postCode(w http.ResponseWriter, r *http.Request) error {
	form, err := httpserve.Form(r)
	if err != nil {
		return err
	}
	code, err := codeOf(form.Get("key"), time.Now())
	if err != nil {
		return authn.InvalidField("key", "invalid", nil)
	}
	return httpserve.WriteJSON(w, http.StatusOK, code)
}

// keyError says in words what is wrong with a pasted key; it never repeats it.
type keyError string

func (e keyError) Error() string { return string(e) }

// codeOf makes the running code of a setup key or an otpauth:// address.
func codeOf(key string, now time.Time) (*pasted, error) {
	key = strings.TrimSpace(key)
	c := &pasted{Key: key, Label: "The key you pasted"}
	k := otp.Key{}
	if strings.Contains(key, "://") {
		u, err := otp.ParseURI(key)
		if err != nil || u.Kind != otp.TimeBased {
			return nil, keyError("This is no otpauth:// address that an authenticator app could read.")
		}
		k, c.Label = u.Key, u.Account
		if u.Issuer != "" {
			c.Label = u.Issuer + " (" + u.Account + ")"
		}
	} else {
		secret, err := otp.DecodeSecret(key)
		if err != nil {
			return nil, keyError("This is no setup key. Copy the letters and digits under the QR code, all of them.")
		}
		k.Secret = secret
	}
	var err error
	if c.Code, err = k.TOTP(now); err != nil {
		return nil, keyError("An app cannot make codes of this key.")
	}
	c.Code = halves(c.Code)
	c.Seconds, c.Period = left(k.Params, now), k.WithDefaults().Period
	return c, nil
}

func (p *pages) getCodes(w http.ResponseWriter, r *http.Request) error {
	list, seconds, err := p.codes(r.Context(), time.Now())
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, map[string]any{"items": list, "seconds": seconds})
}

// file serves one of the embedded files.
func file(name, kind string) http.Handler {
	return httpserve.Page(func(w http.ResponseWriter, _ *http.Request) error {
		b, err := pageFiles.ReadFile("pages/" + name)
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		w.Header().Set("Content-Type", kind+"; charset=utf-8")
		_, err = w.Write(b)
		return err
	})
}
