package duo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// activationLives is how long the person has to set up a phone at Duo.
const activationLives = 30 * time.Minute

// data is Factor.Data.
type data struct {
	Username string `json:"username"` // as Duo knows the person
	Known    bool   `json:"known"`    // before set-up began
}

// Begin asks whether Duo knows the person. PolicyForbids has the Key
// "error.duo_denied", "error.duo_allow" (Duo lets them in without asking, which
// confirms nothing), or "error.duo_enroll" (Duo's administrator has to add them).
func (m *Method) Begin(ctx context.Context, r authn.Request) (authn.Shown, error) {
	c, err := m.open(r.Settings)
	if err != nil {
		return authn.Shown{}, err
	}
	var first inquiry
	for _, name := range names(r.User) {
		who := account{Username: name}
		got, err := c.preauth(ctx, who, address(r))
		if err != nil {
			return authn.Shown{}, err
		}
		in := inquiry{c, who, got}
		if in.verdict() == authn.Asks {
			return shown(who, true)
		}
		if in.verdict() != authn.MustEnrol {
			return authn.Shown{}, in.mustAsk()
		}
		if first.c == nil {
			first = in
		}
	}
	if first.c == nil {
		return authn.Shown{}, addThem(nil) // no login name and no confirmed address
	}
	return m.add(ctx, first)
}

// names are what Duo may know the person by. An address that was never confirmed
// may be somebody else's, who would get the push.
func names(u authn.User) []string {
	var list []string
	if u.Login != "" {
		list = append(list, u.Login)
	}
	if u.Email != "" && !u.EmailVerifiedAt.IsZero() && !strings.EqualFold(u.Email, u.Login) {
		list = append(list, u.Email)
	}
	return list
}

// addThem: only Duo's administrator can help.
func addThem(why error) error {
	return &authn.Error{Code: authn.PolicyForbids, Key: "error.duo_enroll", Err: why}
}

// add begins set-up at Duo: in its pages, or with a new Duo user.
func (m *Method) add(ctx context.Context, in inquiry) (authn.Shown, error) {
	who := in.who
	if who.Portal = m.link(in.c.s.Host, string(in.got.Portal)); who.Portal != "" {
		return shown(who, false)
	}
	made, err := in.c.enroll(ctx, who.Username, activationLives)
	if invalidRequest(err) { // Duo has a user of that name, without a phone
		return authn.Shown{}, addThem(err)
	}
	if err != nil {
		return authn.Shown{}, err
	}
	who.Barcode = m.link(in.c.s.Host, string(made.Barcode))
	if !isID(string(made.UserID)) || made.Activation == "" || who.Barcode == "" {
		return authn.Shown{}, garbled(http.StatusOK, errShape)
	}
	who.UserID, who.Activation = string(made.UserID), string(made.Activation)
	who.Username = cmp.Or(string(made.Username), who.Username)
	return shown(who, false)
}

func shown(who account, known bool) (authn.Shown, error) {
	secret, err := json.Marshal(who)
	if err != nil {
		return authn.Shown{}, fmt.Errorf("duo: %w", err)
	}
	open, err := json.Marshal(data{who.Username, known})
	if err != nil {
		return authn.Shown{}, fmt.Errorf("duo: %w", err)
	}
	return authn.Shown{Secret: secret, Data: open, Subject: "duo:" + strings.ToLower(who.Username)}, nil
}

// Present is what the page of a pending link shows: the Duo user, and where Duo
// does not know them yet, the address of Duo's own set-up or of a QR code. URI is
// what that QR code carries, if Duo told.
func (*Method) Present(r authn.Request) (authn.Presented, error) {
	who, err := accountOf(r.Secret)
	if err != nil {
		return authn.Presented{}, err
	}
	p := authn.Presented{Issuer: clean(r.Company.Name, maxMessage), Account: clean(who.Username, maxMessage), Portal: who.Portal, Barcode: who.Barcode}
	if strings.HasPrefix(who.Activation, "duo://") {
		p.URI = who.Activation
	}
	return p, nil
}

// Enrolled reports whether Duo has the person now, for the page that waits for it.
func (m *Method) Enrolled(ctx context.Context, r authn.Request) (bool, error) {
	c, err := m.open(r.Settings)
	if err != nil {
		return false, err
	}
	who, err := accountOf(r.Secret)
	if err != nil {
		return false, err
	}
	if who.Activation != "" {
		status, err := c.enrollStatus(ctx, who.UserID, who.Activation)
		if err != nil || status != "invalid" {
			return status == "success", err
		}
		// The activation code is over; the person may have been added by other means.
	}
	got, err := c.preauth(ctx, who, address(r))
	if err != nil {
		return false, err
	}
	return (inquiry{c, who, got}).verdict() != authn.MustEnrol, nil
}
