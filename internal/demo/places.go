package demo

import (
	"net/netip"

	"github.com/sallyport-mfa/sallyport/authn"
)

// places are where the networks of documentation (RFC 5737) lie in the demo's past.
// Whoever uses the demo comes from this machine, which is nowhere.
type places struct{}

func (places) Place(a netip.Addr, _ string) authn.Place {
	for _, p := range []struct {
		network string
		place   authn.Place
	}{
		{"203.0.113.0/24", authn.Place{City: "Gothenburg", Country: "SE"}},
		{"198.51.100.0/24", authn.Place{Country: "BR"}},
	} {
		if netip.MustParsePrefix(p.network).Contains(a) {
			return p.place
		}
	}
	return authn.Place{}
}

func (places) Credit() (name, url string) { return "", "" }
