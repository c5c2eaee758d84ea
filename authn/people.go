package authn

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// MaxRoles is how many roles one person can have: so that all of them fit into a
// Shape.
const MaxRoles = 5

// Listed is a person in a list, with their Shape's text.
type Listed struct {
	User  User
	Shape string
}

// PeopleQuery selects people of a company.
type PeopleQuery struct {
	// Words are beginnings of words, as SearchTerms gives them; somebody is found by
	// whom each is the beginning of a word of PersonWords. None: everybody.
	Words []string
	// Fits chooses among the texts of shapes; nil: all.
	Fits func(shape string) bool
	// After and Before are cursors of a page: what comes after it, or before it. At
	// most one is set.
	After, Before string
	Limit         int // 1–200; 0: 50
}

// PeoplePage is one page of people: newest first, or, where they were looked for
// by a word that many have, in the order of the words.
type PeoplePage struct {
	People     []Listed
	Next, Prev string // cursors; empty: there is nothing there
	// Count is how many people Fits chose, whatever Words say.
	Count int64
	// Unfinished: only so many were looked at as one page may cost; Next goes on.
	Unfinished bool
}

const (
	maxPersonWords = 12
	maxTerms       = 8
	maxTerm        = 64  // bytes
	maxSearch      = 200 // characters
)

// foldWord is the form under which words are kept and looked for.
func foldWord(s string) string {
	s = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(strings.ToValidUTF8(s, "\uFFFD"))))
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, s)
	for s = strings.TrimSpace(s); len(s) > maxTerm; {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// PersonWords are the words under which a person is found, at most 12: login,
// e-mail address and what follows its "@", the words of the name, and what these
// are made of.
func PersonWords(u User) []string {
	var list []string
	add := func(words ...string) {
		for _, w := range words {
			if w = foldWord(w); w != "" && len(list) < maxPersonWords && !slices.Contains(list, w) {
				list = append(list, w)
			}
		}
	}
	parts := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
	}
	local, domain, _ := strings.Cut(u.Email, "@")
	add(u.Login, u.Email, domain)
	add(strings.Fields(u.Name)...)
	add(parts(u.Name)...)
	add(parts(u.Login)...)
	add(parts(local)...)
	return list
}

// SearchTerms are the beginnings of words that a typed text asks for. What other
// searches take for signs (%, *, quotes) are letters like others.
//
// Errors: Invalid (field search: too_long, too_many).
func SearchTerms(text string) ([]string, error) {
	if len(text) > 4*maxSearch || utf8.RuneCountInString(text) > maxSearch {
		return nil, InvalidField("search", "too_long", map[string]any{"Max": maxSearch})
	}
	var list []string
	for w := range strings.FieldsSeq(text) {
		if w = foldWord(w); w != "" && !slices.Contains(list, w) {
			list = append(list, w)
		}
	}
	if len(list) > maxTerms {
		return nil, &Error{Code: Invalid, Fields: []Field{{Name: "search", Code: "too_many", Key: "field.too_many_words", Args: map[string]any{"Max": maxTerms}}}}
	}
	return list, nil
}

// ImportedPerson is one person of an import.
type ImportedPerson struct {
	Row      int // of the file
	User     User
	Logins   []Login
	Password string // id of the password's factor; empty: none
	Hash     []byte
}

// TakenName is a name of an import that leads to somebody already.
type TakenName struct {
	Row    int
	Field  string // "login" or "email"
	Within bool   // to somebody of the same import
}
