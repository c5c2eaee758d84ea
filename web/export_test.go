package web

import (
	"maps"
	"net/http"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/signin"
)

// DrawChoose draws the page for several ways, which nobody can have yet.
func (h *Handler) DrawChoose(w http.ResponseWriter, r *http.Request, offers []policy.Offer) error {
	v := h.anonymous(w, r)
	v.Company = "Acme Projects"
	return h.drawChoose(w, v, step{path: "/signin/att_00000000000000000000000000", Status: signin.Status{
		Attempt: authn.Attempt{}, Need: policy.Need{State: authn.NeedFactor, Offers: offers},
	}})
}

// KeptRoutes are the routes of the forms that are kept over a step-up.
func KeptRoutes() []string { return slices.Sorted(maps.Keys(keptForms)) }
