// Command second-factor is an application that keeps its own passwords and has
// Sallyport do the second step. See the README beside it.
package main

import (
	"cmp"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"html"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/client"
)

// app keeps everything in memory. A real one has a database for each of the maps.
type app struct {
	self      string // https://app.example.com
	sallyport *client.Client
	salt      []byte
	passwords map[string][]byte // by name, which is the login at Sallyport too

	mu       sync.Mutex
	pending  map[string]pending // by nonce: the password was right, the second step is under way
	sessions map[string]string  // name, by the value of the cookie
}

type pending struct {
	name  string
	until time.Time
}

func main() {
	c, err := client.New(client.Config{BaseURL: os.Getenv("SALLYPORT_URL"), Token: client.NewSecret(os.Getenv("SALLYPORT_KEY"))})
	if err != nil {
		log.Fatal(err)
	}
	self := cmp.Or(os.Getenv("APP_URL"), "http://localhost:9000")
	u, err := url.Parse(self)
	if err != nil {
		log.Fatal(err)
	}
	a := &app{self: self, sallyport: c, salt: []byte(rand.Text()), passwords: map[string][]byte{}, pending: map[string]pending{}, sessions: map[string]string{}}
	a.passwords["maya"] = a.hash("orchard at dawn")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.HandleFunc("POST /signin", a.signIn)
	mux.HandleFunc("GET /signed-in", a.signedIn)
	server := &http.Server{Addr: "127.0.0.1:" + u.Port(), Handler: http.NewCrossOriginProtection().Handler(mux), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

func (a *app) hash(password string) []byte {
	h, err := pbkdf2.Key(sha256.New, password, a.salt, 600_000, 32)
	if err != nil {
		log.Fatal(err)
	}
	return h
}

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie("orchard"); err == nil {
		a.mu.Lock()
		name := a.sessions[cookie.Value]
		a.mu.Unlock()
		if name != "" {
			page(w, http.StatusOK, "Signed in as "+name)
			return
		}
	}
	form(w, http.StatusOK, "")
}

// signIn is the first step: the application's own.
func (a *app) signIn(w http.ResponseWriter, r *http.Request) {
	name := r.PostFormValue("name")
	want, known := a.passwords[name]
	// The same work for an unknown name.
	if subtle.ConstantTimeCompare(a.hash(r.PostFormValue("password")), want) != 1 || !known {
		form(w, http.StatusUnprocessableEntity, "That is not right.")
		return
	}
	nonce := rand.Text()
	attempt, err := a.sallyport.Assert(r.Context(), client.Assertion{User: name, Nonce: nonce, ReturnTo: a.self + "/signed-in"})
	switch {
	case errors.Is(err, client.NotFound):
		page(w, http.StatusForbidden, "You have no account for the second step.")
		return
	case err != nil: // and nobody gets in
		log.Print(err)
		page(w, http.StatusServiceUnavailable, "The second step does not work at the moment.")
		return
	case attempt.State == client.StateDenied:
		page(w, http.StatusForbidden, attempt.Detail)
		return
	}
	a.mu.Lock()
	for n, p := range a.pending {
		if time.Now().After(p.until) {
			delete(a.pending, n)
		}
	}
	a.pending[nonce] = pending{name, time.Now().Add(15 * time.Minute)}
	a.mu.Unlock()
	// Of this browser only; Lax, since it comes back from another site.
	http.SetCookie(w, &http.Cookie{Name: "pending", Value: nonce, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(a.self, "https:")})
	if attempt.State == client.StateComplete { // policy asks nothing more of this person
		http.Redirect(w, r, attempt.ReturnTo, http.StatusSeeOther)
		return
	}
	http.Redirect(w, r, attempt.URL, http.StatusSeeOther)
}

// signedIn is where the browser comes back with the handle.
func (a *app) signedIn(w http.ResponseWriter, r *http.Request) {
	cookie, err := r.Cookie("pending")
	if err != nil {
		form(w, http.StatusForbidden, "Sign in here first.") // a link that somebody else made
		return
	}
	a.mu.Lock()
	p, known := a.pending[cookie.Value]
	delete(a.pending, cookie.Value)
	a.mu.Unlock()
	if !known || time.Now().After(p.until) {
		form(w, http.StatusForbidden, "Sign in again.")
		return
	}
	got, err := a.sallyport.RedeemHandle(r.Context(), client.NewSecret(r.URL.Query().Get("handle")))
	if err != nil {
		log.Print(err)
		form(w, http.StatusForbidden, "Sign in again.")
		return
	}
	// All four: for this browser, this person, by this flow, and with two steps.
	if got.Nonce != cookie.Value || got.User.Login != p.name || got.Kind != "verified_by_caller" || got.ACR != "aal2" {
		form(w, http.StatusForbidden, "Sign in again.")
		return
	}
	session := rand.Text() // a new one at each sign-in
	a.mu.Lock()
	a.sessions[session] = p.name
	a.mu.Unlock()
	for name, value := range map[string]string{"orchard": session, "pending": ""} {
		c := &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(a.self, "https:")}
		if value == "" {
			c.MaxAge = -1
		}
		http.SetCookie(w, c)
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func page(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Referrer-Policy", "no-referrer") // the handle stands in an address
	w.WriteHeader(status)
	fmt.Fprintf(w, "<!doctype html><title>Orchard</title><p>%s</p>", html.EscapeString(text))
}

func form(w http.ResponseWriter, status int, problem string) {
	page(w, status, problem)
	fmt.Fprint(w, `<form method="post" action="/signin"><label>Name <input name="name"></label> <label>Password <input name="password" type="password"></label> <button>Sign in</button></form>`)
}
