package httpserve

import "testing"

// Where people are sent after signing in leads nowhere in a circle.
func TestLanding(t *testing.T) {
	for path, ok := range map[string]bool{
		"/account/security": true, "/account?x=1": true, "/company": true, "/continued": true, "/signins": true,
		"/": false, "/?x": false, "/continue": false, "/continue?x=1": false, "/continue/": false, "/signin": false, "/signin?return_to=/": false,
		"/signin/att_1": false, "/c/acme/signin": false, "/signout#x": false, "//evil.example": false, "": false,
	} {
		if _, got := Landing(path); got != ok {
			t.Errorf("%q: %t", path, got)
		}
	}
}
