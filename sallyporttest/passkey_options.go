package sallyporttest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// A DOMException is what a browser, or the authenticator behind it, answers a page
// instead of a credential (WebAuthn Level 3, 5.1.3 and 5.1.4).
type DOMException struct {
	// Name is the one that a page's script reads: TypeError (options that cannot be
	// read), SecurityError (not this page's RP id), InvalidStateError (it has a key of
	// excludeCredentials), NotSupportedError (no algorithm in common) or NotAllowedError
	// (no authenticator, or no key, is as the options want it).
	Name    string
	Message string // for people who write programs
}

func (e *DOMException) Error() string { return e.Name + ": " + e.Message }

// b64 is base64url without padding, as everything binary in WebAuthn's JSON.
type b64 []byte

func (b *b64) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return fmt.Errorf("%q is not base64url without padding", s)
	}
	*b = raw
	return nil
}

func encode64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

type descriptor struct {
	Type string `json:"type"`
	ID   b64    `json:"id"`
}

// creation is a PublicKeyCredentialCreationOptionsJSON. What a page must say is a
// pointer, so that leaving it out shows.
type creation struct {
	RP *struct {
		ID   string  `json:"id"`
		Name *string `json:"name"`
	} `json:"rp"`
	User *struct {
		ID          b64     `json:"id"`
		Name        *string `json:"name"`
		DisplayName *string `json:"displayName"`
	} `json:"user"`
	Challenge        b64 `json:"challenge"`
	PubKeyCredParams *[]struct {
		Type string `json:"type"`
		Alg  int    `json:"alg"`
	} `json:"pubKeyCredParams"`
	ExcludeCredentials     []descriptor `json:"excludeCredentials"`
	AuthenticatorSelection struct {
		Attachment         string `json:"authenticatorAttachment"`
		ResidentKey        string `json:"residentKey"`
		RequireResidentKey bool   `json:"requireResidentKey"`
		UserVerification   string `json:"userVerification"`
	} `json:"authenticatorSelection"`
	Attestation string `json:"attestation"`
	Extensions  struct {
		CredProps bool `json:"credProps"`
	} `json:"extensions"`
}

func readCreation(options json.RawMessage) (creation, error) {
	var o creation
	if err := readOptions(options, &o); err != nil {
		return o, err
	}
	missing := ""
	switch {
	case o.RP == nil || o.RP.Name == nil:
		missing = "rp.name"
	case o.User == nil || o.User.ID == nil || o.User.Name == nil || o.User.DisplayName == nil:
		missing = "one of user.id, user.name and user.displayName"
	case o.Challenge == nil:
		missing = "challenge"
	case o.PubKeyCredParams == nil:
		missing = "pubKeyCredParams"
	}
	if missing != "" {
		return o, &DOMException{"TypeError", missing + " is missing"}
	}
	if n := len(o.User.ID); n < 1 || n > 64 {
		return o, &DOMException{"TypeError", fmt.Sprintf("user.id has %d bytes, and may have 1 to 64", n)}
	}
	return o, nil
}

// offers tells whether the page takes an algorithm. An empty list is for those that
// the standard has as default.
func (o creation) offers(algorithm int) bool {
	if len(*o.PubKeyCredParams) == 0 {
		return algorithm == -7 || algorithm == -257
	}
	for _, p := range *o.PubKeyCredParams {
		if p.Type == "public-key" && p.Alg == algorithm {
			return true
		}
	}
	return false
}

// request is a PublicKeyCredentialRequestOptionsJSON.
type request struct {
	Challenge        b64          `json:"challenge"`
	RPID             string       `json:"rpId"`
	AllowCredentials []descriptor `json:"allowCredentials"`
	UserVerification string       `json:"userVerification"`
}

func readRequest(options json.RawMessage) (request, error) {
	var o request
	if err := readOptions(options, &o); err != nil {
		return o, err
	}
	if o.Challenge == nil {
		return o, &DOMException{"TypeError", "challenge is missing"}
	}
	return o, nil
}

func readOptions(options json.RawMessage, into any) error {
	var wrapped struct {
		PublicKey json.RawMessage `json:"publicKey"`
	}
	err := json.Unmarshal(options, &wrapped)
	if err == nil {
		if wrapped.PublicKey != nil {
			options = wrapped.PublicKey
		}
		err = json.Unmarshal(options, into)
	}
	if err != nil {
		return &DOMException{"TypeError", "the options: " + err.Error()}
	}
	return nil
}

// defaultPort are ports that browsers leave out.
var defaultPort = map[string]string{"https": "443", "http": "80"}

// host is the name in the page's origin, which browsers call its effective domain.
func (p *Passkeys) host() (string, error) {
	u, err := url.Parse(p.Origin)
	if err != nil || u.Hostname() == "" || u.Scheme+"://"+strings.ToLower(u.Host) != p.Origin || defaultPort[u.Scheme] == u.Port() {
		return "", &DOMException{"SecurityError", fmt.Sprintf("%q is no origin as browsers write it: https://login.example.com", p.Origin)}
	}
	host := u.Hostname()
	if net.ParseIP(host) != nil {
		return "", &DOMException{"SecurityError", fmt.Sprintf("%s: browsers have no passkeys for addresses; use a name, for example localhost", p.Origin)}
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && (host == "localhost" || strings.HasSuffix(host, ".localhost"))) {
		return "", &DOMException{"SecurityError", fmt.Sprintf("%s: browsers have passkeys for HTTPS alone, and for localhost", p.Origin)}
	}
	return host, nil
}

// rpID is the RP id that the page gets if it asks for this one. Every suffix with a
// dot counts as registrable here: the list of public suffixes is not worth a module.
func (p *Passkeys) rpID(asked string) (string, error) {
	host, err := p.host()
	switch {
	case err != nil:
		return "", err
	case asked == "" || asked == host:
		return host, nil
	case strings.HasSuffix(host, "."+asked) && strings.Contains(asked, "."), slices.Contains(p.Related, asked):
		return asked, nil
	}
	return "", &DOMException{"SecurityError", fmt.Sprintf("%s may not use the RP id %q", p.Origin, asked)}
}

// begin holds for both ceremonies: what the fields of p may not say together, and rpID.
func (p *Passkeys) begin(asked string) (rpID string, err error) {
	if p.BackedUp && !p.Synced {
		return "", errors.New("Passkeys.BackedUp is set without Synced: keys that may not leave it cannot have left")
	}
	return p.rpID(asked)
}

func (p *Passkeys) verifies() bool { return p.Verifies && p.Attestation != "fido-u2f" }

// selected tells how a new key is attested, and whether it is to be discoverable, or
// that no authenticator is as the options want it.
func (p *Passkeys) selected(o creation) (s statement, discoverable bool, err error) {
	if s, err = p.statement(o.Attestation); err != nil {
		return s, false, err
	}
	want, can := o.AuthenticatorSelection, p.Discoverable && !s.u2f
	if want.UserVerification == "required" && !p.verifies() {
		return s, false, &DOMException{"NotAllowedError", "userVerification is required, and this authenticator verifies nobody"}
	}
	if (want.Attachment == "platform" || want.Attachment == "cross-platform") && want.Attachment != p.Attachment {
		return s, false, &DOMException{"NotAllowedError", fmt.Sprintf("authenticatorAttachment is %s, and this authenticator %s", want.Attachment, p.Attachment)}
	}
	switch want.ResidentKey {
	case "required", "preferred", "discouraged":
	default: // unknown values count as absent
		want.ResidentKey = "discouraged"
		if want.RequireResidentKey {
			want.ResidentKey = "required"
		}
	}
	if want.ResidentKey == "required" && !can {
		return s, false, &DOMException{"NotAllowedError", "residentKey is required, and this authenticator keeps no discoverable keys"}
	}
	return s, can && want.ResidentKey != "discouraged", nil
}

// answer is the whole answer of a key, all of it right.
func (p *Passkeys) answer(ceremony string, challenge []byte, k *passkey) *PasskeyAnswer {
	flags := FlagUserPresent
	if p.verifies() {
		flags |= FlagUserVerified
	}
	if p.Synced {
		flags |= FlagBackupEligible
	}
	if p.BackedUp {
		flags |= FlagBackedUp
	}
	transports := p.Transports
	if transports == nil && p.Attachment == "platform" {
		transports = []string{"internal"}
	} else if transports == nil {
		transports = []string{"usb"}
	}
	return &PasskeyAnswer{
		ClientData: ClientData{Type: ceremony, Challenge: encode64(challenge), Origin: p.Origin},
		AuthData:   AuthData{RPIDHash: sum([]byte(k.RPID)), Flags: flags, SignCount: k.SignCount},
		ID:         slices.Clone(k.ID), RawID: slices.Clone(k.ID), Type: "public-key",
		Attachment: p.Attachment, Transports: slices.Clone(transports),
		ClientExtensionResults: map[string]any{},
		key:                    k.key,
	}
}
