package authn

import "time"

// Bounds of forms that are kept over a step-up (ruling 27).
const (
	FormLives = 10 * time.Minute
	MaxForm   = 64 << 10 // bytes of the body
	MaxForms  = 8        // of a person at a time; a further one ends the oldest
)

// Form is what somebody posted to a page of ours that asked for a more recent proof
// first. It is stored sealed under a key that the server has only while the browser
// shows its cookie.
type Form struct {
	Route     string // of the request: "POST /admin/people/{id}/do/{act}"
	Path      string // of the request
	Body      []byte // application/x-www-form-urlencoded; may hold secrets
	ExpiresAt time.Time
}

// KeepForm keeps a form for a step-up that the same decision began, and for the
// sign-in of its session in the decision's browser.
type KeepForm struct {
	Attempt string
	Form    Form
}

func (KeepForm) write() {}
