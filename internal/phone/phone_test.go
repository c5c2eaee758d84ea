package phone

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

// B1: however it is typed, it is the same number.
func TestParse_B1(t *testing.T) {
	const want = "+46701740605"
	for _, c := range []struct{ typed, country string }{
		{"+46701740605", ""}, {"+46 70 174 06 05", ""}, {"+46 (0)70-174 06 05", ""}, {"(+46) 70.174.06.05", ""}, {"  +46/70/1740605 ", ""},
		{"＋４６７０１７４０６０５", ""}, {"+٤٦٧٠١٧٤٠٦٠٥", ""}, {"+۴۶۷۰۱۷۴۰۶۰۵", ""}, {"+४६७०१७४०६०५", ""}, {"+46–70—174‑06−05", ""}, {"+46\u00a070\u202f1740605", ""},
		{"\u202a+46 70 174 06 05\u202c", ""}, {"\ufeff+46701740605", ""},
		{"070-174 06 05", "SE"}, {"0701740605", "SE"}, {"701740605", "SE"}, {"46701740605", "SE"}, {"٠٧٠١٧٤٠٦٠٥", "SE"}, {"（070） 174．06·05", "SE"},
		{"0046 70 174 06 05", "SE"}, {"0046701740605", "PL"}, {"0046701740605", "US"}, {"011 46 70 174 06 05", "US"}, {"01046701740605", "JP"},
		{"+46701740605", "US"}, {"+46 070 174 06 05", "US"}, {"+46701740605", "nonsense"}, // a plus always wins
	} {
		n, err := Parse(c.typed, c.country)
		if err != nil || n != (Number{want, "SE", "46", "070-174 06 05", "+46 70 174 06 05"}) {
			t.Errorf("%q in %q: %+v, %v", c.typed, c.country, n, err)
		}
	}
	n, err := Parse("+44 7400 123456", "SE")
	if err != nil || n.Prefix() != "+44740012" || n.Ends() != "56" {
		t.Errorf("%q %q %v", n.Prefix(), n.Ends(), err)
	}
	if (Number{}).Prefix() != "" || (Number{}).Ends() != "" {
		t.Error("parts of no number")
	}
}

func TestParse_country(t *testing.T) {
	for _, c := range []struct{ typed, country, e164, in string }{
		{"+1 242 359 1234", "US", "+12423591234", "BS"}, // one calling code, many countries
		{"+1 416 555 0123", "US", "+14165550123", "CA"},
		{"(201) 555-0123", "US", "+12015550123", "US"},
		{"8 (916) 123-45-67", "RU", "+79161234567", "RU"},
		{"+7 701 234 5678", "RU", "+77012345678", "KZ"},
		{"07400 123456", "GB", "+447400123456", "GB"},
		{"+44 7797 712345", "GB", "+447797712345", "JE"},
		{"312 345 6789", "IT", "+393123456789", "IT"},
		{"11 15 2345-6789", "AR", "+5491123456789", "AR"},
		{"512 345 678", "PL", "+48512345678", "PL"},
	} {
		if n, err := Parse(c.typed, c.country); err != nil || n.E164 != c.e164 || n.Country != c.in {
			t.Errorf("%q in %s: %+v, %v", c.typed, c.country, n, err)
		}
	}
}

func TestParse_refuses(t *testing.T) {
	for _, c := range []struct {
		typed, country string
		want           error
	}{
		{"", "SE", ErrEmpty}, {"  - ()", "", ErrEmpty}, {"\u200e", "SE", ErrEmpty}, {"+", "SE", ErrShort}, {"+ ", "", ErrShort},
		{"070 174 06 05", "", ErrNoCountry}, {"0701740605", "XX", ErrNoCountry}, {"0701740605", "se", ErrNoCountry}, {"0701740605", "001", ErrNoCountry},
		{"0701740605", "ZZ", ErrNoCountry}, {"0046701740605", "", ErrNoCountry}, {"0701740605", strings.Repeat("S", 1<<20), ErrNoCountry},
		{"1-800-FLOWERS", "US", ErrLetters}, {"0701740605 ext. 5", "SE", ErrLetters}, {"+46701740605;ext=5", "", ErrLetters}, {"+46701740605x5", "", ErrLetters},
		{"+46701740605#5", "", ErrLetters}, {"+46701740605,,5", "", ErrLetters}, {"*21*0701740605#", "SE", ErrLetters}, {"tel:+46701740605", "", ErrLetters},
		{"+46701740605;phone-context=+1", "", ErrLetters}, {"maya@acme.example", "SE", ErrLetters}, {"+46701740605\x00", "", ErrLetters}, {"+4670174060\xff", "", ErrLetters},
		{"½701740605", "SE", ErrLetters}, {"+46 ０７Ａ", "", ErrLetters},
		{"46+701740605", "SE", ErrInvalid}, {"++46701740605", "", ErrInvalid}, {"+46701740605+46701740605", "", ErrInvalid},
		{"112", "SE", ErrShort}, {"0", "SE", ErrShort}, {"+46", "", ErrShort}, {"+4670", "", ErrShort}, {"070 17", "SE", ErrShort}, {"070 174", "SE", ErrInvalid}, {"0046", "SE", ErrShort},
		{"070 174 06 05 06 07", "SE", ErrLong}, {"+467017406050607", "", ErrLong}, {"+" + strings.Repeat("4", 40), "", ErrLong}, {strings.Repeat("1", 65), "SE", ErrLong},
		{strings.Repeat(" ", 1<<20), "SE", ErrLong}, {"+46" + strings.Repeat("0", 30) + "701740605", "", ErrLong},
		{"+999 123 456 789", "", ErrInvalid}, {"+0701740605", "SE", ErrInvalid}, {"+1 555 555 5555", "", ErrInvalid}, {"555 555 5555", "US", ErrInvalid},
		{"08-123 456 78", "SE", ErrNotMobile}, {"+48 22 123 45 67", "", ErrNotMobile}, {"020 7031 3000", "GB", ErrNotMobile}, {"+44 56 1234 5678", "", ErrNotMobile}, // VoIP
		{"+44 7640 123456", "", ErrNotMobile}, {"+44 55 1234 5678", "", ErrNotMobile}, // pager, UAN
		{"+8816 1234 5678", "", ErrNotMobile}, // a satellite's network
		{"0900 123 45 67", "SE", ErrPremium}, {"+1 900 234 5678", "", ErrPremium}, {"+1 800 234 5678", "", ErrPremium}, {"+800 1234 5678", "", ErrPremium},
		{"+44 70 1234 5678", "", ErrPremium}, {"+48 801 234 567", "", ErrPremium}, {"0044 70 1234 5678", "US", ErrPremium}, {"+979 123 456 789", "", ErrPremium},
	} {
		if n, err := Parse(c.typed, c.country); !errors.Is(err, c.want) || n != (Number{}) {
			t.Errorf("%.40q in %.5q: %+v, %v; want %v", c.typed, c.country, n, err, c.want)
		}
	}
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// Of every country and every kind of number: what passes is mobile and what does
// not is said rightly.
func TestParse_everyCountry(t *testing.T) {
	kinds := map[phonenumbers.PhoneNumberType]error{
		phonenumbers.MOBILE: nil, phonenumbers.FIXED_LINE: ErrNotMobile, phonenumbers.VOIP: ErrNotMobile, phonenumbers.PAGER: ErrNotMobile,
		phonenumbers.UAN: ErrNotMobile, phonenumbers.VOICEMAIL: ErrNotMobile, phonenumbers.PREMIUM_RATE: ErrPremium, phonenumbers.SHARED_COST: ErrPremium,
		phonenumbers.TOLL_FREE: ErrPremium, phonenumbers.PERSONAL_NUMBER: ErrPremium,
	}
	// Examples of the library that are none: an area code of one digit that nobody
	// has, and a number that is dialled within one area only.
	exceptions := map[string]bool{"AR 09 15-2345-6789": true, "CA +13101234": true, "CA +1 310-1234": true, "CA 310-1234": true}
	passed := 0
	for _, code := range slices.Sorted(maps.Keys(phonenumbers.GetSupportedRegions())) {
		for kind, want := range kinds {
			ex := phonenumbers.GetExampleNumberForType(code, kind)
			if ex == nil {
				continue
			}
			if got := phonenumbers.GetNumberType(ex); got != kind { // both at once, or known by its first digits as another
				want = map[phonenumbers.PhoneNumberType]error{phonenumbers.UNKNOWN: ErrInvalid}[got]
				if got != phonenumbers.FIXED_LINE_OR_MOBILE && got != phonenumbers.UNKNOWN {
					want = kinds[got]
				}
			}
			for _, form := range []phonenumbers.PhoneNumberFormat{phonenumbers.E164, phonenumbers.INTERNATIONAL, phonenumbers.NATIONAL} {
				typed := phonenumbers.Format(ex, form)
				if exceptions[code+" "+typed] {
					continue
				}
				n, err := Parse(typed, code)
				if !errors.Is(err, want) {
					t.Errorf("%s, kind %d, %q: %+v %v, want %v", code, kind, typed, n, err, want)
				}
				if err != nil {
					continue
				}
				passed++
				if n.E164 != phonenumbers.Format(ex, phonenumbers.E164) || !KnownCountry(n.Country) || !strings.HasPrefix(n.E164, "+"+n.Dial) {
					t.Errorf("%s %q: %+v", code, typed, n)
				}
				holds(t, n)
			}
		}
	}
	if passed < 600 {
		t.Errorf("only %d numbers passed", passed)
	}
}

// holds is what is true of every number that passed.
func holds(t *testing.T, n Number) {
	t.Helper()
	if !e164.MatchString(n.E164) || n.Country == "" || n.National == "" || !strings.HasPrefix(n.International, "+"+n.Dial) {
		t.Errorf("%+v", n)
	}
	stored, err := FromE164(n.E164)
	if err != nil || stored != n {
		t.Errorf("stored: %+v, %v; want %+v", stored, err, n)
	}
	if again, err := Parse(n.International, ""); err != nil || again != n {
		t.Errorf("typed in as shown: %+v, %v; want %+v", again, err, n)
	}
}

func TestFromE164(t *testing.T) {
	for _, bad := range []string{"", "+", "46701740605", "+46 701740605", "+0701740605", "+46701740605x", "+123456", "+1234567890123456", "+999123456789", "＋46701740605", "+460701740605",
		strings.Repeat("+46701740605", 1<<16)} {
		if n, err := FromE164(bad); !errors.Is(err, ErrInvalid) || n != (Number{}) {
			t.Errorf("%.20q: %+v %v", bad, n, err)
		}
	}
	// A number that was taken once is read although the plan has changed: here a
	// landline's, one of no country, and one that nobody has.
	for s, country := range map[string]string{"+46812345678": "SE", "+881612345678": "", "+15555555555": ""} {
		if n, err := FromE164(s); err != nil || n.E164 != s || n.Country != country {
			t.Errorf("%s: %+v %v", s, n, err)
		}
	}
}

func TestCountries(t *testing.T) {
	for lang, want := range map[string][]string{
		"en": {"Åland Islands", "Albania", "North Macedonia", "Poland", "Sweden", "Zimbabwe"},
		"pl": {"Chiny", "Czechy", "Liechtenstein", "Litwa", "Luksemburg", "Łotwa", "Macedonia Północna", "Zimbabwe"},
		"de": {"Afghanistan", "Ägypten", "Ålandinseln", "Polen"}, "pl-PL": {"Niemcy", "Polska"}, "": {"Poland"}, "xx-XX": {"Poland"}, "\xff": {"Poland"},
	} {
		list := Countries(lang)
		var names []string
		seen := map[string]bool{}
		for _, c := range list {
			if seen[c.Code] || len(c.Code) != 2 || c.Name == c.Code || c.Name == "" || strings.Trim(c.Dial, "0123456789") != "" || c.Dial == "" || !KnownCountry(c.Code) {
				t.Errorf("%s: %+v", lang, c)
			}
			seen[c.Code] = true
			names = append(names, c.Name)
		}
		if len(list) < 240 {
			t.Errorf("%s: %d countries", lang, len(list))
		}
		at := -1
		for _, w := range want {
			i := slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, w) })
			if i <= at {
				t.Errorf("%s: %q is at %d, after %d", lang, w, i, at)
			}
			at = i
		}
	}
	for code, want := range map[string]bool{"SE": true, "XK": true, "se": false, "": false, "XX": false, "001": false, "ZZ": false, "SWE": false} {
		if KnownCountry(code) != want {
			t.Errorf("KnownCountry(%q) is %v", code, !want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range [][2]string{{"+46 (0)70 174 06 05", ""}, {"0701740605", "SE"}, {"0046701740605", "JP"}, {"١٢٣", "EG"}, {"+1 242 359 1234", "US"}, {"15 1123456789", "AR"}, {"tel:1;phone-context=+1", "SE"}, {"++1", "\xff"}} {
		f.Add(c[0], c[1])
	}
	known := []error{ErrEmpty, ErrNoCountry, ErrLetters, ErrShort, ErrLong, ErrInvalid, ErrNotMobile, ErrPremium}
	f.Fuzz(func(t *testing.T, typed, country string) {
		n, err := Parse(typed, country)
		if err != nil {
			if n != (Number{}) || !slices.Contains(known, err) {
				t.Errorf("%q in %q: %+v, %v", typed, country, n, err)
			}
			return
		}
		holds(t, n)
		if plus := strings.ContainsAny(typed, "+＋"); plus {
			if other, err := Parse(typed, "US"); err != nil || other != n {
				t.Errorf("%q: the country %q matters in spite of the plus", typed, country)
			}
		}
		if s, err := FromE164(typed); err == nil && s.E164 != typed {
			t.Errorf("%q is stored as %q", typed, s.E164)
		}
	})
}
