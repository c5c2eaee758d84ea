package main

import (
	"net/http"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport"
)

// drafts keep what was typed into a form that was sent without a proof, for the page
// that the person comes back to. One for each sign-in, for ten minutes, and in memory:
// what is typed here is no secret. A step-up gives the session another id, and leaves
// the sign-in; another sign-in, also of the same person, finds nothing.
type drafts struct {
	mu sync.Mutex
	of map[string]draft // by sign-in
}

type draft struct {
	path  string
	typed any
	until time.Time
}

const draftLasts = 10 * time.Minute

// signIn is what a draft belongs to: the attempt that the session came from.
func signIn(r *http.Request) string {
	cur, _ := sallyport.SessionFrom(r.Context())
	return cur.Session.Attempt
}

func (d *drafts) keep(r *http.Request, typed any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of == nil {
		d.of = map[string]draft{}
	}
	for key, old := range d.of {
		if time.Now().After(old.until) {
			delete(d.of, key)
		}
	}
	d.of[signIn(r)] = draft{r.URL.Path, typed, time.Now().Add(draftLasts)}
}

// find looks and leaves it there: a page can be opened twice.
func (d *drafts) find(r *http.Request) (any, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept, ok := d.of[signIn(r)]
	return kept.typed, ok && kept.path == r.URL.Path && time.Now().Before(kept.until)
}

func (d *drafts) drop(r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.of, signIn(r))
}
