package text

import (
	"cmp"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// renamed are the names that changed since the tables of package display (CLDR 32).
var renamed = map[string]map[string]string{
	"en": {"MK": "North Macedonia", "SZ": "Eswatini"},
	"pl": {"MK": "Macedonia Północna", "SZ": "Eswatini"},
}

// Countries gives the names of countries, by their codes of two letters (ISO 3166),
// in a language (BCP 47; one that is not known reads as English). The name of what is
// no country is its code.
func Countries(lang string) func(code string) string {
	tag, err := language.Parse(lang)
	if err != nil {
		tag = language.English
	}
	english := display.Regions(language.English)
	names := display.Regions(tag)
	if names == nil {
		names = english
	}
	base, _ := tag.Base()
	return func(code string) string {
		region, err := language.ParseRegion(code)
		if err != nil {
			return code
		}
		return cmp.Or(renamed[base.String()][code], names.Name(region), english.Name(region), code)
	}
}

// Place is a sentence's words for about where something was: "near Kraków, Poland",
// or the country alone. city is a name, country a code as [Countries] takes them;
// without a country the place is not known, and empty.
func (c *Catalogue) Place(lang, city, country string) string {
	switch {
	case country == "":
		return ""
	case city == "":
		return Countries(lang)(country)
	}
	return c.Text(lang, "place.near", map[string]any{"City": city, "Country": Countries(lang)(country)})
}
