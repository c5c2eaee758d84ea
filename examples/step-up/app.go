package main

import (
	"bytes"
	"embed"
	"html/template"
	"log"
	"net/http"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
)

//go:embed pages
var files embed.FS

var pages = template.Must(template.ParseFS(files, "pages/*.html"))

// app is Chat360. It keeps what people change in memory, where a real one has a database.
type app struct {
	sallyport *sallyport.Server // set before the first request
	drafts    drafts

	mu       sync.Mutex
	webhooks []webhook
	billing  billing
}

type webhook struct{ Name, URL string }

type billing struct{ Name, Email, VAT string }

func newApp() *app {
	return &app{
		webhooks: []webhook{{"Customer records", "https://crm.example.com/hooks/chat"}, {"Weekly report", "https://reports.example.com/in/360"}},
		billing:  billing{"Harbour Tea Ltd", "invoices@harbour-tea.example", "SE556000000001"},
	}
}

// routes stand in Config.Extra. Nothing is changed on GET: with that, and with the
// guards below, no form needs a hidden value against other sites. The guards refuse
// what does not come from our own origin.
func (a *app) routes() map[string]http.Handler {
	webhook, bill := "webhooks.change", "billing.change"
	return map[string]http.Handler{
		"GET /inbox":          a.signedIn(a.inbox),
		"GET /settings":       a.signedIn(a.settings),
		"GET /webhooks":       a.confirmed(webhook, a.listWebhooks),
		"GET /webhooks/{id}":  a.confirmed(webhook, a.editWebhook),
		"POST /webhooks/{id}": a.changes(webhook, a.checkWebhook, a.saveWebhook),
		"GET /billing":        a.confirmed(bill, a.editBilling),
		"POST /billing":       a.changes(bill, a.checkBilling, a.saveBilling),
		"GET /chat360/{file}": http.HandlerFunc(asset),
	}
}

// signedIn lets people by who are signed in, and leads others to the sign-in and back.
func (a *app) signedIn(f http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.sallyport.RequireSession(f).ServeHTTP(w, r) })
}

// managed lets people by who may; who may not is not asked for a proof either.
func (a *app) managed(f http.HandlerFunc) http.Handler {
	return a.signedIn(func(w http.ResponseWriter, r *http.Request) {
		if user, _ := sallyport.UserFrom(r.Context()); !manages(user) {
			a.show(w, r, http.StatusForbidden, "denied.html", view{Title: "Not for you", Wrong: true})
			return
		}
		f(w, r)
	})
}

// confirmed protects a page: opening it asks for a proof that was made for this
// action. 0 is the age that the company's sign-in rules say.
func (a *app) confirmed(action string, f http.HandlerFunc) http.Handler {
	return a.managed(func(w http.ResponseWriter, r *http.Request) { a.sallyport.RequireStepUp(0, action, f).ServeHTTP(w, r) })
}

// changes protects a form. What is wrong with it is said first, since each change uses
// a proof up. Sallyport leads who has none, or none that is recent, to the page that
// asks for it and back to the page of the form, but keeps nothing of what a form of
// ours says (it is ours): we do.
func (a *app) changes(action string, check func(*http.Request) (any, problems), save func(http.ResponseWriter, *http.Request, any)) http.Handler {
	return a.managed(func(w http.ResponseWriter, r *http.Request) {
		typed, wrong := check(r)
		if len(wrong) > 0 {
			a.form(w, r, http.StatusUnprocessableEntity, view{Form: typed, Problems: wrong, Wrong: true})
			return
		}
		a.drafts.keep(r, typed)
		a.sallyport.RequireStepUp(0, action, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			save(w, r, typed)
			a.drafts.drop(r)
		})).ServeHTTP(w, r)
	})
}

func (a *app) inbox(w http.ResponseWriter, r *http.Request) {
	a.show(w, r, http.StatusOK, "inbox.html", view{Title: "Inbox"})
}

func (a *app) settings(w http.ResponseWriter, r *http.Request) {
	cur, _ := sallyport.SessionFrom(r.Context())
	on := slices.ContainsFunc(cur.Factors, func(f authn.Factor) bool { return f.Kind == authn.TOTP && f.State == authn.Confirmed })
	a.show(w, r, http.StatusOK, "settings.html", view{Title: "Settings", On: on})
}

func (a *app) listWebhooks(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	list := slices.Clone(a.webhooks)
	a.mu.Unlock()
	a.show(w, r, http.StatusOK, "webhooks.html", view{Title: "Webhooks", Webhooks: list})
}

// at is the place of the webhook that an address names; the end of the list for a new
// one. The caller holds a.mu.
func (a *app) at(r *http.Request) (i int, ok bool) {
	if r.PathValue("id") == "new" {
		return len(a.webhooks), true
	}
	i, err := strconv.Atoi(r.PathValue("id"))
	return i, err == nil && i >= 0 && i < len(a.webhooks)
}

func (a *app) editWebhook(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	i, ok := a.at(r)
	var now webhook
	if ok && i < len(a.webhooks) {
		now = a.webhooks[i]
	}
	a.mu.Unlock()
	if !ok {
		http.Redirect(w, r, "/webhooks", http.StatusSeeOther)
		return
	}
	a.form(w, r, http.StatusOK, view{Form: now})
}

func (a *app) checkWebhook(r *http.Request) (any, problems) {
	typed, wrong := webhook{field(r, "name"), field(r, "url")}, problems{}
	if typed.Name == "" || len(typed.Name) > 100 {
		wrong["name"] = "Give it a name of up to 100 characters."
	}
	if u, err := url.Parse(typed.URL); err != nil || u.Scheme != "https" || u.Hostname() == "" || len(typed.URL) > 500 {
		wrong["url"] = "Give an address that begins with https://."
	}
	return typed, wrong
}

func (a *app) saveWebhook(w http.ResponseWriter, r *http.Request, typed any) {
	a.mu.Lock()
	if i, ok := a.at(r); ok && i < len(a.webhooks) {
		a.webhooks[i] = typed.(webhook)
	} else if ok && i < 100 {
		a.webhooks = append(a.webhooks, typed.(webhook))
	}
	a.mu.Unlock()
	http.Redirect(w, r, "/webhooks?saved=1", http.StatusSeeOther)
}

func (a *app) editBilling(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	now := a.billing
	a.mu.Unlock()
	a.form(w, r, http.StatusOK, view{Form: now})
}

func (a *app) checkBilling(r *http.Request) (any, problems) {
	typed, wrong := billing{field(r, "name"), field(r, "email"), field(r, "vat")}, problems{}
	if typed.Name == "" || len(typed.Name) > 100 {
		wrong["name"] = "Give a name of up to 100 characters."
	}
	if to, err := mail.ParseAddress(typed.Email); err != nil || to.Address != typed.Email {
		wrong["email"] = "Give an address such as invoices@example.com."
	}
	if len(typed.VAT) > 20 {
		wrong["vat"] = "Give at most 20 characters."
	}
	return typed, wrong
}

func (a *app) saveBilling(w http.ResponseWriter, r *http.Request, typed any) {
	a.mu.Lock()
	a.billing = typed.(billing)
	a.mu.Unlock()
	http.Redirect(w, r, "/billing?saved=1", http.StatusSeeOther)
}

func field(r *http.Request, name string) string { return strings.TrimSpace(r.PostFormValue(name)) }

// problems are what is wrong with a form, by the name of the field.
type problems map[string]string

// view is what a page shows.
type view struct {
	Title, Banner string
	User          authn.User
	Manages       bool
	Here          string // the path
	Wrong, Saved  bool

	On       bool
	Webhooks []webhook
	Form     any // a webhook or billing
	Problems problems
	Draft    bool // Form is what was typed before the proof
}

// form shows the page of a form; with what was typed there before the proof, if there is any.
func (a *app) form(w http.ResponseWriter, r *http.Request, status int, v view) {
	if kept, ok := a.drafts.find(r); ok && !v.Wrong {
		v.Form, v.Draft = kept, true
	}
	name := "billing.html"
	if v.Title = "Billing"; strings.HasPrefix(r.URL.Path, "/webhooks/") {
		name, v.Title = "webhook.html", "Webhook"
	}
	a.show(w, r, status, name, v)
}

func (a *app) show(w http.ResponseWriter, r *http.Request, status int, name string, v view) {
	v.User, _ = sallyport.UserFrom(r.Context())
	v.Manages, v.Here, v.Saved, v.Banner = manages(v.User), r.URL.Path, r.URL.Query().Has("saved"), banner
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, v); err != nil {
		log.Print(err)
		http.Error(w, "This page cannot be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // the browser may have gone
}

// asset serves the style sheet and the icon. The content security policy is
// Sallyport's, which has no inline styles and no scripts of other origins.
func asset(w http.ResponseWriter, r *http.Request) {
	switch r.PathValue("file") {
	case "style.css", "icon.svg":
		http.ServeFileFS(w, r, files, "pages/"+r.PathValue("file"))
	default:
		http.NotFound(w, r)
	}
}
