package httpserve

import (
	"context"
	"net/http"
	"strings"
)

// Guests admits requests to handlers of a host program, which stand beside ours or,
// as further routes, behind our outer layer. Beside it they get what refusals need
// (language, client, id) and the check of where a request comes from; the host check,
// limits, headers and the log of their own answers are the host program's.
type Guests struct{ l *layer }

// NewGuests takes the configuration of [Wrap].
func NewGuests(cfg Config) *Guests { return &Guests{&layer{cfg: &cfg}} }

// Enter gives the request what [ClientOf] and the others read, and refuses an unsafe
// one that another site caused, or that carries our cookies and does not say where it
// comes from (ruling 50).
func (g *Guests) Enter(r *http.Request) (*http.Request, error) {
	if _, ok := r.Context().Value(stateKey{}).(*state); ok {
		return r, nil // Wrap has done so
	}
	r = r.WithContext(context.WithValue(r.Context(), stateKey{}, g.l.begin(r)))
	return r, g.l.checkOrigin(r)
}

// Refuse answers err with our headers: as a page to somebody who opens an address or
// sends a form, and as a problem document to everything else, scripts of pages too.
func (g *Guests) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	rw, ok := w.(*writer)
	if !ok {
		rw = &writer{ResponseWriter: w}
		g.l.secure(rw.Header(), RequestID(r.Context()))
	}
	Record(r, err)
	sendOnce(rw, func() {
		if Navigates(r) {
			writePage(rw, r, asError(r, err))
			return
		}
		writeProblem(rw, r, asError(r, err))
	})
}

// Navigates reports whether a person opens an address or sends a form, so that the
// answer is what they see next. Browsers say so; of what is older its Accept does.
func Navigates(r *http.Request) bool {
	if len(r.Header["Authorization"]) > 0 {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}
