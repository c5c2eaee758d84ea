package authn

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Action is something that an application asks people to confirm, under its own
// name: what they read when they do (ruling 28).
type Action struct {
	Company  string // empty: the host program's, for every company
	Name     string // as GoodAction wants it
	Title    string // what follows "to": "change the billing details"
	Titles   map[string]string
	Audience string // of signed grants: who they are for; empty: none can be had
}

// Bounds of an action.
const (
	MaxActionTitle = 80  // characters
	MaxAudience    = 200 // bytes
	MaxActions     = 100 // of a company
)

// In is the title in a language, or else the usual one.
func (a Action) In(lang string) string {
	if t := a.Titles[lang]; t != "" {
		return t
	}
	return a.Title
}

// GoodAction reports whether a name is words of a–z, 0–9 and "_" with points
// between, 64 bytes at most.
func GoodAction(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	for i, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_':
		case c == '.' && i > 0 && i < len(name)-1 && name[i-1] != '.':
		default:
			return false
		}
	}
	return true
}

// CleanAction bounds and cleans what is shown of an action.
//
// Errors: Invalid (fields name, title, titles, audience).
func CleanAction(a Action) (Action, error) {
	var wrong []Field
	note := func(err error) {
		if err != nil {
			wrong = append(wrong, AsError(err).Fields...)
		}
	}
	if !GoodAction(a.Name) {
		note(InvalidField("name", "action_name", nil))
	}
	title, err := CleanName("title", a.Title, MaxActionTitle)
	note(err)
	var titles map[string]string
	for _, lang := range slices.Sorted(maps.Keys(a.Titles)) {
		if titles == nil {
			titles = map[string]string{}
		}
		if titles[lang], err = CleanName("titles", a.Titles[lang], MaxActionTitle); err != nil {
			note(err)
			break // it is one field
		}
	}
	if len(a.Audience) > MaxAudience || strings.ContainsFunc(a.Audience, func(r rune) bool { return r <= ' ' || r > '~' }) {
		note(InvalidField("audience", "audience", nil))
	}
	if len(wrong) > 0 {
		return a, &Error{Code: Invalid, Fields: wrong}
	}
	a.Title, a.Titles = title, titles
	return a, nil
}

// GoodRequestHash reports whether s is a SHA-256 in base64url without padding, in
// the one spelling that it has.
func GoodRequestHash(s string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(raw) == sha256.Size && len(s) == 43 // the decoder passes over line ends
}

// GrantKind is how a grant gets to whoever asked for the proof.
type GrantKind string

// The kinds of grants.
const (
	// OnlineGrant is a token that the application redeems here, once.
	OnlineGrant GrantKind = "online"
	// SignedGrant is checked by the application itself; nothing is stored of it.
	SignedGrant GrantKind = "signed"
	// PageGrant stays here: a page of the host program asks whether the session has one.
	PageGrant GrantKind = "page"
	// ReturnGrant is a handle that the browser takes to the application.
	ReturnGrant GrantKind = "return"
)

// Lives is the longest that a grant of the kind is good. A form is filled in
// between a page that asks for a proof and what it sends; a token travels at once.
func (k GrantKind) Lives() time.Duration {
	switch k {
	case SignedGrant:
		return time.Minute
	case PageGrant:
		return 15 * time.Minute
	case ReturnGrant:
		return HandleLives
	}
	return 5 * time.Minute
}

// GrantAsked is what a step-up was begun for; the attempt carries it.
type GrantAsked struct {
	Kind        GrantKind     `json:"kind"`
	Title       string        `json:"title"` // of the action, in the language of the person
	RequestHash string        `json:"request_hash,omitempty"`
	Lives       time.Duration `json:"lives"`
	Audience    string        `json:"audience,omitempty"`
}

// Grant says that a person proved themselves for one action of an application. It
// is used at most once.
type Grant struct {
	Company     string
	ID          string
	User        string
	SignIn      string // the attempt that the session came from: a step-up issues the session anew, and this stays
	Kind        GrantKind
	Action      string
	RequestHash string // empty: of no request in particular
	ACR         string // of the session with this proof, never above what the proof showed
	AMR         []string
	Epoch       int64 // of the user
	MadeAt      time.Time
	ExpiresAt   time.Time
	UsedAt      time.Time // zero: not yet
}

// GrantKey signs the grants of one company for a time. It is derived from the
// company's key, so that nothing is stored and destroying that key ends it.
type GrantKey struct {
	ID   string
	Seed [32]byte // Ed25519 (RFC 8032)
}

// String hides the seed.
func (k GrantKey) String() string { return "grant key(" + k.ID + ")" }

// GoString hides the seed from %#v.
func (k GrantKey) GoString() string { return k.String() }

// GrantKeyLives is how long one key signs. The next one is published a day before
// it does, and the last one for an hour after: grants live a minute.
const (
	GrantKeyLives = 30 * 24 * time.Hour
	grantKeyEarly = 24 * time.Hour
	grantKeyLate  = time.Hour
)

// GrantKeyID names the key that signs at now.
func GrantKeyID(now time.Time) string {
	return "g" + strconv.FormatInt(now.Unix()/int64(GrantKeyLives/time.Second), 10)
}

// GrantKeyIDs name the keys that are published at now, the one that signs first.
func GrantKeyIDs(now time.Time) []string {
	list := []string{GrantKeyID(now)}
	for _, at := range []time.Time{now.Add(-grantKeyLate), now.Add(grantKeyEarly)} {
		if id := GrantKeyID(at); id != list[0] {
			list = append(list, id)
		}
	}
	return list
}

// GrantPublicKey is what a grant is checked with.
type GrantPublicKey struct {
	ID  string
	Key []byte // Ed25519, 32 bytes
}

type (
	// NewGrant stores a grant of the user, openable by Token.
	NewGrant struct {
		Grant Grant
		Token Token
	}
	// SpendGrant uses the decision's grant, once.
	SpendGrant struct{}
	// SetAction registers an action of the company, or changes it.
	SetAction struct{ Action Action }
	// EndAction forgets it.
	EndAction struct{ Name string }
)

func (NewGrant) write()   {}
func (SpendGrant) write() {}
func (SetAction) write()  {}
func (EndAction) write()  {}
