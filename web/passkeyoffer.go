package web

import (
	"net/http"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/signin"
)

// passkeyOfferPath is the page between a sign-in and where that leads which offers a
// passkey, once to a person.
const passkeyOfferPath = "/signin/passkey-offer"

// canCookie is "1" in a browser whose device can make a passkey; app.js writes it. It
// decides nothing but whether one is offered.
const canCookie = "sallyport_passkeys"

func canMakePasskey(r *http.Request) bool {
	c, err := r.Cookie(canCookie)
	return err == nil && c.Value == "1"
}

// offerPasskey reports whether a sign-in that was just completed leads to the offer
// first. It does not on the way to an application on another origin: somebody waits
// there, and the handle is given by the answer to this form. Nor for who needed an
// administrator's code: they got as far as they are let for now (ruling 18).
func (h *Handler) offerPasskey(r *http.Request, st signin.Status) bool {
	if _, leaves := authn.ParseReturn(st.Session.ReturnTo); leaves || !canMakePasskey(r) || proved(st.Attempt.Proofs, authn.BypassCode) {
		return false
	}
	if !st.User.PasskeyOfferedAt.IsZero() && !enroll.OfferedIn(*st.Session, st.User) {
		return false // without asking the store, at nearly every sign-in
	}
	offer, err := h.c.Enroll.OfferPasskey(r.Context(), enroll.Who{Token: st.SessionToken, Client: httpserve.ClientOf(r)})
	if err != nil {
		httpserve.Record(r, err) // they are signed in all the same
	}
	return offer
}

// proved reports whether one of the proofs is of that kind.
func proved(proofs []authn.Proof, k authn.Kind) bool {
	return slices.ContainsFunc(proofs, func(p authn.Proof) bool { return p.Kind == k })
}

// getPasskeyOffer asks whether to add a passkey. Having seen it counts: "not now" is a
// link, and changes nothing.
func (h *Handler) getPasskeyOffer(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if !enroll.OfferedIn(cur.Session, cur.User) || factorIn(cur.Factors, authn.WebAuthn, authn.Confirmed, authn.Asleep) != nil {
		seeOther(w, continuePath)
		return nil
	}
	v := h.personal(r, cur)
	v.Shape, v.Person, v.Section = Card, nil, ""
	v.Title, v.Data = v.T("page.passkey_offer.title"), passkeyOfferPage{SetUp: passkeysPath, Later: continuePath}
	return h.draw(w, http.StatusOK, "passkeyoffer.html", v)
}

// passkeyOfferPage is the data of passkeyoffer.html.
type passkeyOfferPage struct{ SetUp, Later string }
