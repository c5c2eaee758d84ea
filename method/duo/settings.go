package duo

import (
	"encoding/json"
	"errors"
	"log/slog"
	"regexp"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Settings are a company's "Auth API" application in Duo, as they are kept in
// authn.Provider.Settings (sealed) and handed over in authn.Request.Settings.
type Settings struct {
	IKey string `json:"ikey"` // integration key: 20 characters beginning with DI
	SKey string `json:"skey"` // secret key: 40 letters and digits; written, never read back
	Host string `json:"host"` // API hostname: api-XXXXXXXX.duosecurity.com
	// LetIn: whom Duo lets in without asking counts, at sign-in only, as somebody
	// who showed no more than the password (ruling 33).
	LetIn bool `json:"let_in"`
}

// maxSettings bounds the document, in bytes.
const maxSettings = 4096

var (
	ikeyForm = regexp.MustCompile(`^DI[0-9A-Z]{18}$`)
	skeyForm = regexp.MustCompile(`^[0-9A-Za-z]{40}$`)
	hostForm = regexp.MustCompile(`^api-[0-9a-f]{8}\.duosecurity\.com$`)

	errSettings = errors.New("duo: the settings cannot be read")
)

// ParseSettings reads the document, and takes off the spaces that come with
// pasting. What is in it is Check's to judge. Errors repeat nothing of it.
func ParseSettings(b []byte) (Settings, error) {
	var s Settings
	if len(b) > maxSettings || json.Unmarshal(b, &s) != nil {
		return Settings{}, errSettings
	}
	s.IKey, s.SKey, s.Host = strings.TrimSpace(s.IKey), strings.TrimSpace(s.SKey), strings.ToLower(strings.TrimSpace(s.Host))
	return s, nil
}

// Check names the fields that are not right: "ikey", "skey", "host"; with the
// codes "required" and "invalid". Nil: they all are.
func (s Settings) Check() []authn.Field {
	var bad []authn.Field
	for _, f := range []struct {
		name, value string
		form        *regexp.Regexp
	}{{"ikey", s.IKey, ikeyForm}, {"skey", s.SKey, skeyForm}, {"host", s.Host, hostForm}} {
		switch {
		case f.value == "":
			bad = append(bad, authn.Field{Name: f.name, Code: "required"})
		case !f.form.MatchString(f.value):
			bad = append(bad, authn.Field{Name: f.name, Code: "invalid"})
		}
	}
	return bad
}

// Target is what a saved secret key belongs to: with another one it is not used
// (ruling 32).
func (s Settings) Target() string { return s.IKey + " " + s.Host }

// String shows no key.
func (s Settings) String() string { return "duo:" + s.Host }

// GoString is String, for %#v.
func (s Settings) GoString() string { return s.String() }

// LogValue is String, for slog.
func (s Settings) LogValue() slog.Value { return slog.StringValue(s.String()) }
