package web

import (
	"context"
	"net/http"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// Status is how the server does, for its operator (S42). It is in English, and
// names no company and no person.
type Status struct {
	State     StatusState   `json:"state"` // the worst of Checks
	Version   string        `json:"version,omitempty"`
	StartedAt time.Time     `json:"started_at"`
	Uptime    int64         `json:"uptime_seconds"`
	Checks    []StatusCheck `json:"checks"`
}

// StatusState is how one thing does.
type StatusState string

// The states.
const (
	StatusOK      StatusState = "ok"
	StatusWarning StatusState = "warning" // works, and should be looked at
	StatusFailing StatusState = "failing"
)

// StatusCheck is one thing that was looked at. The names and those of the
// numbers do not change.
type StatusCheck struct {
	Name    string           `json:"name"`
	State   StatusState      `json:"state"`
	Text    string           `json:"text"`
	Numbers map[string]int64 `json:"numbers,omitempty"`
}

const statusPath = "/status"

// LocalPaths are those that only the machine itself is answered on.
func LocalPaths() []string { return []string{statusPath, statusPath + ".json"} }

// mostStatus bounds the whole look.
const mostStatus = 5 * time.Second

func (h *Handler) status(r *http.Request) (Status, error) {
	if h.c.Status == nil {
		return Status{}, authn.NotFound
	}
	ctx, cancel := context.WithTimeout(r.Context(), mostStatus)
	defer cancel()
	return h.c.Status(ctx), nil
}

func (h *Handler) getStatus(w http.ResponseWriter, r *http.Request) error {
	st, err := h.status(r)
	if err != nil {
		return err
	}
	v := h.layout.view(r)
	v.language("en")
	v.Shape, v.Title, v.Data = Sheet, "Server status", st
	return h.draw(w, statusCode(st), "status.html", v)
}

// getStatusJSON answers 503 where something fails, so that a monitor needs to
// read nothing.
func (h *Handler) getStatusJSON(w http.ResponseWriter, r *http.Request) error {
	st, err := h.status(r)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, statusCode(st), st)
}

func statusCode(st Status) int {
	if st.State == StatusFailing {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}
