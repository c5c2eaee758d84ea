package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Bounds of what is stored, in bytes.
const (
	maxID       = 64
	maxWord     = 64 // types, kinds, actions
	maxName     = 200
	maxLocale   = 35 // the longest that RFC 5646 section 4.4.1 asks for
	maxLogin    = 4 * authn.MaxLogin
	maxReturnTo = 2048
	maxDetail   = 1024
	maxDetails  = 32
	maxDocument = 256 << 10
	maxSecret   = 16 << 10
)

// clean makes a text that both databases store as it is: valid UTF-8, no NUL,
// at most max bytes, cut between characters.
func clean(s string, max int) string {
	if len(s) <= max && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	if len(s) > 4*max {
		s = s[:4*max] // the rest cannot matter; do not copy megabytes to find out
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	if len(s) <= max {
		return s
	}
	for max > 0 && !utf8.RuneStart(s[max]) {
		max--
	}
	return s[:max]
}

// goodID reports whether an id can be in the database at all. Ids come from
// outside; what cannot be one is looked up nowhere.
func goodID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func wantID(what, id string) error {
	if !goodID(id) {
		return internal("%s has no usable id", what)
	}
	return nil
}

// document checks JSON that is stored as text; empty stays empty.
func document(what string, doc []byte) (string, error) {
	if len(doc) == 0 {
		return "", nil
	}
	if len(doc) > maxDocument || !json.Valid(doc) || !utf8.Valid(doc) {
		return "", internal("%s is no JSON document of at most %d bytes", what, maxDocument)
	}
	return string(doc), nil
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("store: %T does not marshal: %v", v, err)) // cannot happen: strings, times and numbers only
	}
	return clean(string(b), maxDocument)
}

func words(list []string) string {
	if len(list) == 0 {
		return "[]"
	}
	cleaned := make([]string, 0, len(list))
	for _, w := range list {
		cleaned = append(cleaned, clean(w, maxWord))
	}
	return encode(cleaned)
}
