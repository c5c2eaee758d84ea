package web

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/provider"
)

// textsForm is what the form of textsadmin.html says. Numbers and amounts are texts:
// what is none is refused by its field, and shown again.
type textsForm struct {
	Version                                int64
	Providers                              []authn.TextProvider // a slot each, in their order
	Countries                              []string             // the first is the company's own
	Currency, Price                        string
	DayTexts, MonTexts, DayMoney, MonMoney string
	Add, To                                string
	Test                                   int // which provider a test goes through
}

// formOfTexts is the form of what is saved.
func formOfTexts(st provider.TextState) textsForm {
	t := st.Settings
	f := textsForm{Version: st.Version, Providers: t.Providers, Countries: t.Countries, Currency: t.Currency, DayTexts: strconv.Itoa(t.DayTexts), MonTexts: strconv.Itoa(t.MonTexts)}
	for _, x := range []struct {
		to *string
		n  int64
	}{{&f.Price, t.Price}, {&f.DayMoney, t.DayMoney}, {&f.MonMoney, t.MonMoney}} {
		if x.n > 0 {
			*x.to = money(x.n)
		}
	}
	return f
}

// slots bounds what is read of a form; more than provider.MaxProviders are refused
// by their field.
const slots = provider.MaxProviders + 1

func readTexts(form url.Values) textsForm {
	get := func(name string) string { return strings.TrimSpace(form.Get(name)) }
	f := textsForm{Currency: get("currency"), Price: get("price"), DayTexts: get("day_texts"), MonTexts: get("month_texts"),
		DayMoney: get("day_money"), MonMoney: get("month_money"), Add: get("add"), To: get("to")}
	f.Version, _ = strconv.ParseInt(get("version"), 10, 64) // 0: whatever there is
	f.Test, _ = strconv.Atoi(get("through"))                // 0: the first
	for i := 0; i < slots && form.Has(place(i, "driver")); i++ {
		at := func(name string) string { return strings.TrimSpace(form.Get(place(i, name))) }
		f.Providers = append(f.Providers, authn.TextProvider{Driver: at("driver"), Account: at("account"), Secret: at("secret"), From: at("from"), Region: at("region"), URL: at("url")})
	}
	for _, c := range append([]string{get("home")}, form["countries"]...) {
		if c != "" && !slices.Contains(f.Countries, c) {
			f.Countries = append(f.Countries, c)
		}
	}
	if get("home") == "" {
		f.Countries = nil // which of the others is the company's own is not guessed
	}
	return f
}

// change is what is asked for.
func (f textsForm) change() provider.TextChange {
	return provider.TextChange{From: f.Version, TextSettings: authn.TextSettings{Providers: f.Providers, Countries: f.Countries, Currency: f.Currency,
		Price: amount(f.Price), DayTexts: number(f.DayTexts), MonTexts: number(f.MonTexts), DayMoney: amount(f.DayMoney), MonMoney: amount(f.MonMoney)}}
}

// act2 is a word and a number, such as "up.2".
func act2(s string) (word string, n int) {
	word, at, _ := strings.Cut(s, ".")
	n, _ = strconv.Atoi(at) // 0: the first
	return word, n
}

// arrange changes the list of providers on the page; false: it cannot be done.
func (f *textsForm) arrange(do string, n int, drivers []provider.TextDriver) bool {
	list := slices.Clone(f.Providers)
	switch {
	case do == "add":
		known := slices.ContainsFunc(drivers, func(d provider.TextDriver) bool { return d.Name == f.Add })
		if !known || len(list) >= provider.MaxProviders {
			return false
		}
		list = append(list, authn.TextProvider{Driver: f.Add})
	case n < 0 || n >= len(list):
		return false
	case do == "drop":
		list = slices.Delete(list, n, n+1)
	case do == "up" && n > 0:
		list[n-1], list[n] = list[n], list[n-1]
	case do == "down" && n < len(list)-1:
		list[n], list[n+1] = list[n+1], list[n]
	default:
		return false
	}
	f.Providers, f.Test = list, 0
	return true
}

var decimal = regexp.MustCompile(`^([0-9]{1,12})(?:[.,]([0-9]{1,3}))?$`)

// amount reads an amount of money in thousandths; empty: 0, what is none: -1.
func amount(s string) int64 {
	if s == "" {
		return 0
	}
	m := decimal.FindStringSubmatch(s)
	if m == nil {
		return -1
	}
	n, err := strconv.ParseInt(m[1]+(m[2] + "000")[:3], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// number reads a count; empty: 0, what is none: -1.
func number(s string) int {
	n, err := strconv.Atoi(s)
	switch {
	case s == "":
		return 0
	case err != nil:
		return -1
	}
	return n
}

// money writes thousandths as amount reads them.
func money(n int64) string {
	s := strconv.FormatInt(n/1000, 10)
	if rest := n % 1000; rest != 0 {
		s += "." + strings.TrimRight((strconv.FormatInt(1000+rest, 10))[1:], "0")
	}
	return s
}
