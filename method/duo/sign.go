package duo

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
)

// canonical is what is signed (version 2): date, verb, host, path and parameters,
// a line each.
func canonical(date, verb, host, path string, p url.Values) string {
	return strings.Join([]string{date, strings.ToUpper(verb), strings.ToLower(host), path, encode(p)}, "\n")
}

// encode writes parameters as OAuth 1.0 does (RFC 5849 section 3.4.1.3.2): sorted
// by name, then by value, a space as %20. It is also what is sent, so that what
// was signed and what arrives cannot differ. p stays as it is.
func encode(p url.Values) string {
	sorted := make(url.Values, len(p))
	for name, values := range p {
		sorted[name] = slices.Sorted(slices.Values(values))
	}
	return strings.ReplaceAll(sorted.Encode(), "+", "%20")
}

// authorization is the header for a canonical text.
func authorization(s Settings, canonical string) string {
	mac := hmac.New(sha512.New, []byte(s.SKey))
	mac.Write([]byte(canonical))
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(s.IKey+":"+hex.EncodeToString(mac.Sum(nil))))
}
