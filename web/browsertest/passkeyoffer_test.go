package browsertest

import (
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// After a sign-in by a code a browser whose device can make passkeys is offered one, and
// the set-up opens at once; another browser is not.
func TestPasskeyOffer_N1(t *testing.T) {
	t.Parallel()
	s := named(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	plain := newTab(t, s.URL, true)
	plain.signIn(s, maya)

	s.Clock.Advance(30 * time.Second)
	tb := newTab(t, s.URL, true)
	tb.device(platform)
	tb.open("/signin")
	tb.password(maya.Login, sallyporttest.Password)
	tb.code(s.Code(t, maya.Secret))
	tb.lands("/signin/passkey-offer")
	tb.page("passkey-offer", 200)
	tb.press("page.passkey_offer.button")
	tb.page("passkey-setup/offered", 200)
}
