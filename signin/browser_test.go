package signin_test

import (
	"slices"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// Whoever signs in first after a change of the password, from a browser that is
// unknown, is told of: it need not be the person.
func TestNewBrowserAfterNewPassword_J2_std45(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	w.signIn(p, browser("one"))
	if err := w.Directory.SetPassword(t.Context(), w.Company, p.ID, sallyporttest.Password); err != nil {
		t.Fatal(err)
	}
	w.signIn(p, authn.Client{Browser: "browser of somebody else"})
	if !slices.Contains(w.events(p), "session.new_browser") {
		t.Error("not told")
	}
}
