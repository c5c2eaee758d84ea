package authn

import "net/netip"

// Place is about where a network address is. It decorates what people see of their
// own sign-ins and decides nothing: such data is often wrong, and never exact.
type Place struct {
	City    string // a name, in the language that was asked for if there is one; empty: not known
	Country string // ISO 3166 alpha-2; empty: nothing is known, nor the city
}

// Places says about where addresses are. It answers at once and from this machine:
// an address that is sent to a service tells it who signs in.
type Places interface {
	// Place is the zero Place for what is not known, and where anything fails.
	Place(a netip.Addr, lang string) Place
	// Credit names whom the data is from, with their address on the web, where their
	// licence wants that shown beside it; empty: nothing is to be said.
	Credit() (name, url string)
}

// PlaceOf is Place for an address as events hold it, and for no Places at all.
func PlaceOf(p Places, address, lang string) Place {
	a, err := netip.ParseAddr(address)
	if p == nil || err != nil {
		return Place{}
	}
	return p.Place(a, lang)
}
