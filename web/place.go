package web

import (
	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
)

// credit says below a page's places what they are, and whom they are from.
type credit struct{ Text, Name, URL string }

// place is about where an address is, in words; empty: it is not known.
func (h *Handler) place(v *View, address string) string {
	p := authn.PlaceOf(h.c.Places, address, v.Lang)
	return v.texts.Place(v.Lang, p.City, p.Country)
}

// placeOf is where an event of the person's own came from. Where somebody else was
// who acted is not theirs to know.
func (h *Handler) placeOf(v *View, e authn.Event) string {
	if audit.ByOther(e) {
		return ""
	}
	return h.place(v, e.Personal.Address)
}

// credit is nil where no place is shown.
func (h *Handler) credit(v *View, shown bool) *credit {
	if !shown {
		return nil
	}
	name, url := h.c.Places.Credit()
	return &credit{v.T("page.places.text"), name, url}
}
