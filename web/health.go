package web

import (
	"net/http"

	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// healthz says that the process answers.
func (h *Handler) healthz(w http.ResponseWriter, _ *http.Request) error {
	return plain(w, http.StatusOK, "ok\n")
}

// readyz says whether the store can read and write. Why it cannot is in the log.
func (h *Handler) readyz(w http.ResponseWriter, r *http.Request) error {
	if h.c.Ready != nil {
		if err := h.c.Ready(r.Context()); err != nil {
			httpserve.Record(r, err)
			return plain(w, http.StatusServiceUnavailable, "not ready\n")
		}
	}
	return plain(w, http.StatusOK, "ok\n")
}

func plain(w http.ResponseWriter, status int, s string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(s)) // fails only if the client has gone
	return nil
}
