// Package webauthn proves that somebody has a passkey or a security key: their device
// signs our challenge, and only for our origin, so that a false page gets nothing
// (WebAuthn Level 3, https://www.w3.org/TR/webauthn-3/).
//
// What is parsed and verified by github.com/go-webauthn/webauthn stays behind this
// package. What that leaves to its callers is here: whose credential it is, user
// handles, backup flags, sign counts, and what counts as wrong. That a challenge is
// used once is the store's (see authn.Ceremony).
package webauthn

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/google/uuid"

	"github.com/sallyport-mfa/sallyport/authn"
)

const (
	challengeLen = 32       // bytes (std-72)
	maxAnswer    = 64 << 10 // bytes; attestation has certificates in it
	maxID        = 1023     // bytes of a credential's id (section 7.1 step 25)
)

// algorithms are what keys may sign with, the best first. All three are verified in
// well under a millisecond.
var algorithms = []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgRS256}

// Config says who asks. Only URL is needed.
type Config struct {
	// URL is where people reach the server, with https, or http on localhost.
	URL string
	// ID is the relying party's: the host of URL, or a domain above it (section 5.4.2);
	// empty: the host. Another ID makes every passkey that was set up before useless.
	ID string
	// Related are further origins that answers may come from, "https://login.example.org"
	// (section 5.11).
	Related []string
	// Models are what is known of authenticators; nil: none can be attested.
	Models *Models
	Random io.Reader // nil: crypto/rand
}

// Method is authn.Ceremony for passkeys and security keys. It is safe for concurrent use.
type Method struct {
	c       Config
	origins []string // the server's own first
}

// ErrHost is the answer of New to an address that browsers have no passkeys for: that of
// a number instead of a name, or without https.
var ErrHost = errors.New("webauthn: passkeys work at https, or on localhost, under a name and not a number")

// New checks the configuration.
//
// Errors: ErrHost, and others that name the field.
func New(c Config) (*Method, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("webauthn: Config.URL: %w", err)
	}
	own := u.Scheme + "://" + u.Host
	host, ok := hostOf(own)
	if !ok {
		return nil, ErrHost
	}
	if c.ID == "" {
		c.ID = host
	}
	if host != c.ID && !strings.HasSuffix(host, "."+c.ID) {
		return nil, fmt.Errorf("webauthn: Config.ID: %q is neither the host of %s nor a domain above it", c.ID, own)
	}
	for _, o := range c.Related {
		if _, ok := hostOf(o); !ok {
			return nil, fmt.Errorf("webauthn: Config.Related: %q is no origin as \"https://login.example.com\" is", o)
		}
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	return &Method{c: c, origins: append([]string{own}, c.Related...)}, nil
}

// Origins are those that answers may come from, the server's own first; for
// /.well-known/webauthn.
func (m *Method) Origins() []string { return slices.Clone(m.origins) }

// ModelName is what authenticators of a model are called; empty: not known.
func (m *Method) ModelName(aaguid string) string { return m.c.Models.Name(aaguid) }

// ID is the relying party's.
func (m *Method) ID() string { return m.c.ID }

// Kind is authn.WebAuthn.
func (m *Method) Kind() authn.Kind { return authn.WebAuthn }

// Traits are what every answer shows; that the device made sure who holds it, an answer
// says for itself.
func (m *Method) Traits() authn.Traits {
	return authn.Traits{Possession: true, PhishingResistant: true, Attests: m.c.Models.Info().Models > 0}
}

// Quick is false: a signature takes up to a millisecond.
func (m *Method) Quick() bool { return false }

// Shape refuses what cannot be read.
func (m *Method) Shape(a authn.Answer) error {
	_, _, err := m.Answered(a)
	return err
}

// unreadable refuses what is no answer of a device, and says what one is.
func unreadable(code string) error {
	return &authn.Error{Code: authn.Invalid, Fields: []authn.Field{{Name: "credential", Code: code, Key: "field.credential"}}}
}

var errUnreadable = unreadable("invalid")

// envelope is what both kinds of answers have in common.
type envelope struct {
	ID       string `json:"id"`
	Response struct {
		ClientData        string          `json:"clientDataJSON"`
		AttestationObject json.RawMessage `json:"attestationObject"`
	} `json:"response"`
}

// Answered reads what an answer says it is about.
func (m *Method) Answered(a authn.Answer) (credential, challenge []byte, err error) {
	if len(a.Credential) == 0 {
		return nil, nil, unreadable("required")
	}
	if len(a.Credential) > maxAnswer {
		return nil, nil, unreadable("too_long")
	}
	var e envelope
	if json.Unmarshal(a.Credential, &e) != nil {
		return nil, nil, errUnreadable
	}
	if len(e.Response.AttestationObject) > 0 {
		_, err = protocol.ParseCredentialCreationResponseBytes(a.Credential)
	} else {
		_, err = protocol.ParseCredentialRequestResponseBytes(a.Credential)
	}
	if err != nil {
		return nil, nil, errUnreadable // the cause quotes what was sent
	}
	var c struct {
		Challenge string `json:"challenge"`
	}
	raw, err := unpadded(e.Response.ClientData)
	if err != nil || json.Unmarshal(raw, &c) != nil {
		return nil, nil, errUnreadable
	}
	if challenge, err = unpadded(c.Challenge); err != nil || len(challenge) == 0 {
		return nil, nil, errUnreadable
	}
	if credential, err = unpadded(e.ID); err != nil || len(credential) == 0 || len(credential) > maxID {
		return nil, nil, errUnreadable
	}
	return credential, challenge, nil
}

// kept is Question.Kept.
type kept struct {
	Challenge string `json:"challenge"`
	// Alone is a whole sign-in: the device makes sure who holds it, and says whose it is.
	Alone bool `json:"alone,omitempty"`
	// Demands are what a new credential had to meet when it was asked for.
	Demands *Demands `json:"demands,omitempty"`
}

// Asked is the challenge of a question.
func (m *Method) Asked(b []byte) []byte {
	var k kept
	if json.Unmarshal(b, &k) != nil {
		return nil
	}
	c, err := unpadded(k.Challenge)
	if err != nil || len(c) < challengeLen {
		return nil
	}
	return c
}

// Holds reports whether f has the credential.
func (m *Method) Holds(f authn.Factor, credential []byte) bool {
	info, ok := Read(f)
	return ok && bytes.Equal(info.ID, credential)
}

// Get asks for a proof (section 5.5).
func (m *Method) Get(r authn.Request, own []authn.Factor) (authn.Question, error) {
	o := protocol.PublicKeyCredentialRequestOptions{
		RelyingPartyID: m.c.ID, Timeout: int(authn.CeremonyLives.Milliseconds()), UserVerification: protocol.VerificationPreferred,
		AllowedCredentials: descriptors(own),
	}
	k := kept{Alone: own == nil}
	if k.Alone {
		o.UserVerification = protocol.VerificationRequired
	}
	var err error
	if o.Challenge, err = m.challenge(&k); err != nil {
		return authn.Question{}, err
	}
	return question(o, k)
}

func (m *Method) challenge(k *kept) (protocol.URLEncodedBase64, error) {
	c := make([]byte, challengeLen)
	if _, err := io.ReadFull(m.c.Random, c); err != nil {
		return nil, fmt.Errorf("webauthn: no randomness: %w", err)
	}
	k.Challenge = base64.RawURLEncoding.EncodeToString(c)
	return c, nil
}

func question(options any, k kept) (authn.Question, error) {
	o, err := json.Marshal(options)
	if err != nil {
		return authn.Question{}, fmt.Errorf("webauthn: %w", err)
	}
	b, err := json.Marshal(k)
	return authn.Question{Options: o, Kept: b}, err
}

func descriptors(own []authn.Factor) []protocol.CredentialDescriptor {
	var list []protocol.CredentialDescriptor
	for _, f := range own {
		info, ok := Read(f)
		if !ok {
			continue
		}
		d := protocol.CredentialDescriptor{Type: protocol.PublicKeyCredentialType, CredentialID: info.ID}
		for _, t := range info.Transports {
			d.Transport = append(d.Transport, protocol.AuthenticatorTransport(t))
		}
		list = append(list, d)
	}
	return list
}

// Verify checks a proof (section 7.2). An answer whose challenge is none of
// r.Challenges is wrong.
func (m *Method) Verify(_ context.Context, r authn.Request, a authn.Answer) (authn.Match, error) {
	wrong := authn.Match{Outcome: authn.Wrong}
	info, ok := Read(r.Factor)
	if !ok || len(r.Secret) == 0 {
		return wrong, nil
	}
	p, err := protocol.ParseCredentialRequestResponseBytes(a.Credential)
	if err != nil {
		return authn.Match{}, errUnreadable
	}
	k, ok := m.answers(r.Challenges, p.Response.CollectedClientData.Challenge)
	if !ok {
		return wrong, nil
	}
	// Steps 5 and 6: it is the person's credential, and it says so itself where nobody
	// else did.
	handle := string(p.Response.UserHandle)
	if !bytes.Equal(p.RawID, info.ID) || handle != "" && handle != r.User.ID || k.Alone && handle == "" {
		return wrong, nil
	}
	if err := p.Verify(k.Challenge, m.c.ID, "", m.origins, nil, nil, protocol.TopOriginExplicitVerificationMode,
		false, k.Alone, true, r.Secret, protocol.SignaturePolicy{}); err != nil {
		return wrong, nil //nolint:nilerr // what is wrong with it is nobody's business
	}
	// Step 19: what can be synced does not become a key that never leaves its device. The
	// reverse is handled below, since some passkeys do that.
	flags := p.Response.AuthenticatorData.Flags
	if !sound(flags) || info.Synced && !flags.HasBackupEligible() {
		return wrong, nil
	}
	match := authn.Match{Outcome: authn.Right, AMR: amr(flags), Traits: m.shown(flags)}
	count := int64(p.Response.AuthenticatorData.Counter)
	switch last := r.Factor.LastStep; {
	case count > last:
		match.Step = count
	case count != 0 || last != 0: // step 22; synced passkeys always say 0 (ruling 14)
		match.Noted = append(match.Noted, CounterBack)
	}
	was := info
	info.Synced, info.BackedUp, info.Verified = flags.HasBackupEligible(), flags.HasBackupState(), info.Verified || flags.HasUserVerified()
	if was.Synced != info.Synced {
		match.Noted = append(match.Noted, BackupChanged)
	}
	if was.Synced != info.Synced || was.BackedUp != info.BackedUp || was.Verified != info.Verified {
		if match.Data, err = info.encode(); err != nil {
			return authn.Match{}, err
		}
	}
	return match, nil
}

// What an answer can show besides, as types of events: the count of signatures went
// back, as a copied key's does; a passkey can be synced now that could not before.
const (
	CounterBack   = "passkey.counter_back"
	BackupChanged = "passkey.backup_changed"
)

// answers finds the question that a challenge is of.
func (m *Method) answers(list []authn.Challenge, challenge string) (kept, bool) {
	for _, c := range list {
		var k kept
		if c.Kind == authn.WebAuthn && json.Unmarshal(c.Detail, &k) == nil && k.Challenge != "" && k.Challenge == challenge {
			return k, true
		}
	}
	return kept{}, false
}

// sound refuses what can be backed up no more than it is (section 6.1.3): the backup
// state without the eligibility.
func sound(f protocol.AuthenticatorFlags) bool { return f.HasBackupEligible() || !f.HasBackupState() }

// amr are values of RFC 8176 section 2: a key that never leaves its device is "hwk".
// Who holds the device was asked for at least a touch: "user".
func amr(f protocol.AuthenticatorFlags) string {
	if f.HasBackupEligible() {
		return "swk user"
	}
	return "hwk user"
}

func (m *Method) shown(f protocol.AuthenticatorFlags) *authn.Traits {
	return &authn.Traits{Possession: true, PhishingResistant: true, UserVerified: f.HasUserVerified()}
}

func unpadded(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }

// Info is what Factor.Data says of a credential.
type Info struct {
	ID         []byte
	AAGUID     string // of the model; empty: it does not say
	Transports []string
	Verified   bool   // the device made sure who holds it at least once
	Synced     bool   // it may leave its device: "backup eligible" (section 6.1.3)
	BackedUp   bool   // it did
	Attested   bool   // its model was proven by the operator's metadata
	Attachment string // "platform", "cross-platform"; empty: it does not say
}

// Read gives what is known of a factor's credential; false: it has none, or is of
// another kind.
func Read(f authn.Factor) (Info, bool) {
	d, ok := authn.CredentialOf(f)
	id, err := unpadded(d.ID)
	if !ok || err != nil || len(id) == 0 {
		return Info{}, false
	}
	return Info{id, d.AAGUID, d.Transports, d.Verified, d.Synced, d.BackedUp, d.Attested, d.Attachment}, true
}

func (i Info) encode() ([]byte, error) {
	b, err := json.Marshal(authn.Credential{ID: base64.RawURLEncoding.EncodeToString(i.ID), AAGUID: i.AAGUID, Transports: i.Transports,
		Verified: i.Verified, Synced: i.Synced, BackedUp: i.BackedUp, Attested: i.Attested, Attachment: i.Attachment})
	if err != nil {
		return nil, fmt.Errorf("webauthn: %w", err)
	}
	return b, nil
}

// model is the name of an AAGUID; all zeros is none.
func model(b []byte) string {
	id, err := uuid.FromBytes(b)
	if err != nil || id == uuid.Nil {
		return ""
	}
	return id.String()
}

// transports are the hints that browsers know (section 5.8.4), each once.
func transports(list []protocol.AuthenticatorTransport) []string {
	var out []string
	for _, t := range list {
		switch t {
		case protocol.USB, protocol.NFC, protocol.BLE, protocol.SmartCard, protocol.Hybrid, protocol.Internal:
			if !slices.Contains(out, string(t)) {
				out = append(out, string(t))
			}
		}
	}
	return out
}
