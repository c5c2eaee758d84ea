package phone

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"github.com/sallyport-mfa/sallyport/text"
)

// Country is one that numbers can be in.
type Country struct {
	Code string // ISO 3166 alpha-2, and "XK", "AC", "TA"
	Dial string // its calling code, without the plus; several countries share one
	Name string // in the language that was asked for
}

// KnownCountry reports whether there is a numbering plan for a country, given as
// two capital letters.
func KnownCountry(code string) bool { return phonenumbers.GetCountryCodeForRegion(code) != 0 }

// Countries are all of them, sorted by their names in a language (BCP 47; one that
// is not known reads as English). It takes about half a millisecond: whoever draws
// pages keeps the list.
func Countries(lang string) []Country {
	name := text.Countries(lang)
	base, _ := language.Make(lang).Base()
	var list []Country
	for code := range phonenumbers.GetSupportedRegions() {
		list = append(list, Country{Code: code, Dial: strconv.Itoa(phonenumbers.GetCountryCodeForRegion(code)), Name: name(code)})
	}
	keys := map[string]string{}
	for _, c := range list {
		keys[c.Code] = sortKey(c.Name, base.String())
	}
	slices.SortFunc(list, func(a, b Country) int {
		return cmp.Or(strings.Compare(keys[a.Code], keys[b.Code]), strings.Compare(a.Code, b.Code))
	})
	return list
}

// own are the letters that a language sorts after the plain one, where others
// sort them with it. Package collate knows them all and weighs 1.3 MB.
var own = map[string]*strings.Replacer{
	"pl": strings.NewReplacer("ą", "a~", "ć", "c~", "ę", "e~", "ł", "l~", "ń", "n~", "ó", "o~", "ś", "s~", "ź", "z~", "ż", "z~~"),
}

// sortKey is a name as dictionaries order it: without case and marks.
func sortKey(name, lang string) string {
	name = strings.ToLower(name)
	if r := own[lang]; r != nil {
		name = r.Replace(name)
	}
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(name))
}
