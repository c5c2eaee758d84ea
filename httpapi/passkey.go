package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/signin"
)

// credential is what the toJSON of a browser's PublicKeyCredential gives (WebAuthn
// Level 3 section 5.1). Browsers and extensions put in what they like: members that are
// not known are nobody's mistake.
type credential map[string]*json.RawMessage

// answer is empty if there is none.
func (c credential) answer() authn.Answer {
	if c == nil {
		return authn.Answer{}
	}
	b, err := json.Marshal(c)
	if err != nil {
		b = []byte("{}") // cannot be: each part of it was read
	}
	return authn.Answer{Credential: b}
}

// passkeyView is what is known of a passkey, beside its name.
type passkeyView struct {
	Synced     bool   `json:"synced"`
	BackedUp   bool   `json:"backed_up"`
	Verified   bool   `json:"user_verified"`
	Attested   bool   `json:"attested"`
	Attachment string `json:"attachment,omitempty"`
	AAGUID     string `json:"aaguid,omitempty"`
}

func passkeyOf(f authn.Factor) *passkeyView {
	c, ok := authn.CredentialOf(f)
	if !ok {
		return nil
	}
	return &passkeyView{c.Synced, c.BackedUp, c.Verified, c.Attested, c.Attachment, c.AAGUID}
}

// asks is what the person's own device is asked.
type asks struct {
	Options   json.RawMessage `json:"options"`
	ExpiresAt time.Time       `json:"expires_at"`
}

// askPasskey is POST /passkeys.
func (a *API) askPasskey(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Company string `json:"company"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	if fromBrowser(r) {
		a.Cookies.EnsureBrowser(w, r) // what it answers, it alone can have been asked
	}
	ask, err := a.SignIn.Passkeys(r.Context(), in.Company, httpserve.ClientOf(r))
	if err != nil {
		return ofSeveral(in.Company, err)
	}
	return httpserve.WriteJSON(w, http.StatusOK, asks{ask.Options, stamp(ask.ExpiresAt)})
}

// beginByPasskey is POST /passkeys/verify.
func (a *API) beginByPasskey(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Company    string     `json:"company"`
		Credential credential `json:"credential"`
		ReturnTo   string     `json:"return_to"`
		Nonce      string     `json:"nonce"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	returnTo, err := a.leads(r, in.Company, in.ReturnTo, in.Nonce)
	if err != nil {
		return err
	}
	cookie := fromBrowser(r)
	st, err := a.SignIn.BeginByPasskey(r.Context(), signin.ByPasskey{
		Company: in.Company, Credential: in.Credential.answer().Credential, ReturnTo: returnTo, Client: httpserve.ClientOf(r),
	})
	if err != nil {
		return over(ofSeveral(in.Company, err))
	}
	return a.begun(w, r, st, cookie)
}

// ofSeveral asks for the company where a server with several was not told which.
func ofSeveral(company string, err error) error {
	if company == "" && errors.Is(err, authn.NotFound) {
		return authn.InvalidField("company", "required", nil)
	}
	return err
}
