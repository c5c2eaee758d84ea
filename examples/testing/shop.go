// Package shop is a program that embeds Sallyport, reduced to what its tests are
// about: a page for people who are signed in, and billing details that nobody changes
// without a fresh proof.
//
// It guards what Sallyport's middleware guards, and takes nothing from a request but
// the new card. Its main (not here) makes the sallyport.Config with a store, methods
// and senders; its tests get one from package sallyporttest.
package shop

import (
	"fmt"
	"html"
	"net/http"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
)

// New wires the program: whatever c has, and what is the shop's own.
func New(c sallyport.Config) (*sallyport.Server, http.Handler, error) {
	c.Home = "/app"
	c.Actions = []authn.Action{{Name: "billing.change", Title: "change the billing details"}}
	srv, err := sallyport.New(c)
	if err != nil {
		return nil, nil, err
	}
	s := &shop{cards: map[string]string{}}
	mux := http.NewServeMux()
	mux.Handle("/", srv.Handler())
	mux.Handle("GET /app", srv.RequireSession(http.HandlerFunc(s.home)))
	mux.Handle("/billing", srv.RequireStepUp(10*time.Minute, "billing.change", http.HandlerFunc(s.billing)))
	return srv, mux, nil
}

type shop struct {
	mu    sync.Mutex
	cards map[string]string // by the id of a user
}

func (s *shop) home(w http.ResponseWriter, r *http.Request) {
	user, _ := sallyport.UserFrom(r.Context())
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "%s pays with %s", html.EscapeString(user.Name), html.EscapeString(s.cards[user.ID]))
}

func (s *shop) billing(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<form method="post"><label>Card <input name="card"></label><button>Save</button></form>`)
		return
	}
	user, _ := sallyport.UserFrom(r.Context())
	s.mu.Lock()
	s.cards[user.ID] = r.PostFormValue("card")
	s.mu.Unlock()
	http.Redirect(w, r, "/app", http.StatusSeeOther)
}
