package authn

import "encoding/json"

// Credential is what Factor.Data says of the credential of a factor of kind WebAuthn, in
// the open.
type Credential struct {
	ID         string   `json:"id"`                   // the credential's, in base64url without padding
	AAGUID     string   `json:"aaguid,omitempty"`     // of the model; empty: it does not say
	Transports []string `json:"transports,omitempty"` // WebAuthn Level 3 section 5.8.4
	Verified   bool     `json:"uv,omitempty"`         // the device made sure who holds it at least once
	Synced     bool     `json:"be,omitempty"`         // it may leave its device: "backup eligible" (section 6.1.3)
	BackedUp   bool     `json:"bs,omitempty"`         // it did
	Attested   bool     `json:"attested,omitempty"`   // its model was proven by the operator's metadata
	Attachment string   `json:"attachment,omitempty"` // "platform", "cross-platform"; empty: it does not say
}

// CredentialOf reads it; false: the factor is of another kind, or is pending.
func CredentialOf(f Factor) (Credential, bool) {
	var c Credential
	if f.Kind != WebAuthn || len(f.Data) == 0 || json.Unmarshal(f.Data, &c) != nil || c.ID == "" {
		return Credential{}, false
	}
	return c, true
}
