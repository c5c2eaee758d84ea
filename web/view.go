package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/text"
)

// View is what a template gets: the words, the reader, and the page's own Data.
type View struct {
	Lang, Dir string
	Theme     string // "light", "dark", or empty: as the system has it
	Title     string
	Shape     Shape
	Failed    bool // the page shows an error; its title says so first (ux rule 28)
	Banner    string
	Company   string // name; empty: not known yet
	Brand     *look  // of the company; nil: none of its own
	Form      string // the hidden value of every form
	Here      string // where to come back to; a path
	Section   string // of the side navigation: "profile" or "security"
	Notice    string // key of a notice about what was just done; empty: none
	Warning   bool   // the notice is none of success
	Person    *person
	Styles    string // a further stylesheet of this page; empty: none
	Passkeys  bool   // the page asks the person's device for a passkey
	Refresh   int    // seconds until the page is loaded again where there is no script; 0: never
	Reason    string // for what an administrator does, as it was typed
	Data      any

	client   authn.Client // who asks
	allOfDuo bool         // what else Duo takes was asked for, by the address
	texts    *text.Catalogue
	now      time.Time
	zone     *time.Location
	known    bool // whether zone is the reader's own
	tries    int  // wrong codes in a row before the first pause
	// modelNames are what models of passkeys are called, by AAGUID; empty: not known.
	modelNames func(string) string
}

// person is who is signed in, for the top bar.
type person struct {
	Name, Login, Initials string
	CanSync               bool           // the app can be set up
	Replaces              string         // id of the app that setting up again replaces
	Admin                 []adminSection // the pages of the administration that they may see
	Home                  string         // the host program's, where the name of the company leads; empty: these pages are all there is
}

// view is what is known from the request alone.
func (l *Layout) view(r *http.Request) *View {
	v := &View{Banner: l.c.Banner, tries: policy.FreeTries, texts: l.c.Texts, now: l.c.Now(), Here: here(r), modelNames: unnamed}
	v.language(l.c.Texts.Match(r.Header.Get("Accept-Language"), l.cookie(r, langCookie)))
	if t := l.cookie(r, themeCookie); t == "light" || t == "dark" {
		v.Theme = t
	}
	v.zone, v.known = zoneOf(r)
	v.client, v.allOfDuo = httpserve.ClientOf(r), r.URL.Query().Get("duo") == duoAll
	return v
}

func (v *View) language(lang string) {
	v.Lang, v.Dir = lang, text.Dir(lang)
}

// here is the address of a page that was asked for by GET; a form's own address
// is none to come back to.
func here(r *http.Request) string {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return ""
	}
	return samePage(r.URL.RequestURI())
}

// anonymous is the view of a page before a session; its forms are bound to the
// browser.
func (h *Handler) anonymous(w http.ResponseWriter, r *http.Request) *View {
	v := h.layout.view(r)
	v.Form = httpserve.FormValue(h.c.Cookies.EnsureBrowser(w, r))
	return v
}

// personal is the view of a page of the account.
func (h *Handler) personal(r *http.Request, cur session.Current) *View {
	v := h.layout.view(r)
	if cur.User.Locale != "" {
		v.language(h.c.Texts.Match("", cur.User.Locale))
	}
	v.inCompany(cur.Company)
	v.modelNames = h.modelNames()
	v.Shape, v.Form, v.Reason = Sheet, h.c.Cookies.FormToken(r), r.PostForm.Get("reason")
	v.Person = &person{Name: cur.User.Name, Login: cur.User.Login, Initials: initials(cur.User.Name)}
	v.Person.CanSync, v.Person.Replaces = h.canSync(cur)
	v.Person.Admin = h.adminNav(cur)
	if h.c.Home != securityPath {
		v.Person.Home = h.c.Home
	}
	if name := h.finished(r); v.texts.Has("page.done." + name) {
		v.Notice = "page.done." + name
		v.Warning = slices.Contains(noSuccess, name)
	}
	return v
}

// T is a sentence of the catalogue; the arguments are names and values in turn.
func (v *View) T(key string, pairs ...any) string {
	return v.texts.Text(v.Lang, key, arguments(pairs))
}

func arguments(pairs []any) map[string]any {
	if len(pairs) == 0 {
		return nil
	}
	args := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		args[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return args
}

// Part is a piece of a sentence: plain, a value to stand out, or a time.
type Part struct {
	Text  string
	Value bool
	ISO   string
}

// The marks that take a value's place while the sentence is made. They are of a
// private area of Unicode that no catalogue uses.
const (
	markOpen  = "\ue000"
	markClose = "\ue001"
)

// Rich is a sentence whose string arguments stand in <bdi> and bold, and whose
// times are <time>. It is cut into parts for the template to escape: nothing
// here makes markup.
func (v *View) Rich(key string, pairs ...any) []Part {
	var values []Part
	args := arguments(pairs)
	for i := 0; i+1 < len(pairs); i += 2 {
		var p Part
		switch x := pairs[i+1].(type) {
		case string:
			// What is shown of a number stays in one line.
			p = Part{Text: strings.Replace(x, "•• ", "••\u00a0", 1), Value: true}
		case Part:
			p = x
		default:
			continue
		}
		args[fmt.Sprint(pairs[i])] = markOpen + strconv.Itoa(len(values)) + markClose
		values = append(values, p)
	}
	var parts []Part
	for rest := v.texts.Text(v.Lang, key, args); rest != ""; {
		before, after, found := strings.Cut(rest, markOpen)
		if before != "" {
			parts = append(parts, Part{Text: before})
		}
		if !found {
			break
		}
		n, tail, _ := strings.Cut(after, markClose)
		if i, err := strconv.Atoi(n); err == nil && i < len(values) {
			parts = append(parts, values[i])
		}
		rest = tail
	}
	return parts
}

// When, Ago, Day and Clock are times as the reader says them. The zone is the
// browser's, which app.js tells us; without it times are in UTC and say so.
func (v *View) When(t time.Time) Part {
	return v.timePart(t, v.texts.When(v.Lang, t.In(v.zone), v.now), true)
}

// Ago is "5 minutes ago" within the hour.
func (v *View) Ago(t time.Time) Part {
	utc := v.now.Sub(t) >= time.Hour || v.now.Before(t)
	return v.timePart(t, v.texts.Ago(v.Lang, t.In(v.zone), v.now), utc)
}

// Day is "12 Jan 2026".
func (v *View) Day(t time.Time) Part {
	return v.timePart(t, v.texts.Date(v.Lang, t.In(v.zone)), false)
}

// Clock is "14:32".
func (v *View) Clock(t time.Time) Part {
	return v.timePart(t, v.texts.Time(v.Lang, t.In(v.zone)), true)
}

// Seconds is the clock with seconds, "14:32:07", to compare another with.
func (v *View) Seconds(t time.Time) Part {
	return v.timePart(t, t.In(v.zone).Format("15:04:05"), true)
}

func (v *View) timePart(t time.Time, s string, utc bool) Part {
	if utc && !v.known {
		s = v.T("page.time.utc", "Time", s)
	}
	return Part{Text: s, ISO: t.UTC().Format(time.RFC3339)}
}

// Agent is the browser of a session or event in the reader's language.
func (v *View) Agent(s string) string {
	if s == "" || strings.HasPrefix(s, "Unknown") {
		return v.T("page.agent.unknown")
	}
	if browser, system, ok := strings.Cut(s, " on "); ok {
		return v.T("page.agent.on", "Browser", browser, "System", system)
	}
	return s
}

// Full is "21 Nov 2026 at 09:14".
func (v *View) Full(t time.Time) Part {
	at := t.In(v.zone)
	return v.timePart(t, v.T("date.day_at", "Date", v.texts.Date(v.Lang, at), "Time", v.texts.Time(v.Lang, at)), true)
}

// Languages are the languages to choose from; one is no choice.
func (v *View) Languages() []Choice {
	var list []Choice
	for _, l := range v.texts.Languages() {
		list = append(list, Choice{Value: l, Label: v.texts.Text(l, "page.language.name", nil), Chosen: l == v.Lang})
	}
	return list
}

// Choice is one of several values of a field.
type Choice struct {
	Value, Label string
	Chosen       bool
	Lang         string // of the label; empty: the page's
}

// initials are the first letters of the first and last word of a name.
func initials(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if len(words) > 2 {
		words = []string{words[0], words[len(words)-1]}
	}
	var b strings.Builder
	for _, w := range words {
		for _, r := range w {
			b.WriteRune(unicode.ToUpper(r))
			break
		}
	}
	return b.String()
}

// zoneCookie holds the minutes that the browser's clock is east of UTC; app.js
// writes it. It decides nothing but how times are written.
const zoneCookie = "sallyport_zone"

// Offsets of time zones go from -12:00 to +14:00.
const maxZone = 14 * 60

func zoneOf(r *http.Request) (*time.Location, bool) {
	c, err := r.Cookie(zoneCookie)
	if err != nil {
		return time.UTC, false
	}
	n, err := strconv.Atoi(c.Value)
	if err != nil || n < -maxZone || n > maxZone {
		return time.UTC, false
	}
	return time.FixedZone("", n*60), true
}

// Field is what the parts "show" and "code" are drawn with.
type Field struct {
	ID, Label, Text string
	Refusal         refusal
	Advice          []Part
	Focus           bool
}

// Show is the button that shows what is in a password field. It is named by its
// own text and the field's label, so that three on one page are told apart.
func (v *View) Show(id string) Field {
	return Field{ID: id, Text: v.T("page.show")}
}

// Code is the field for the code of the app. It has the focus on a page whose
// only job it is, and wherever it was not right.
func (v *View) Code(why refusal, focus bool) Field {
	f := Field{ID: "code", Label: v.T("page.code.label"), Refusal: why, Focus: focus || why.Text != ""}
	if why.Advice {
		f.Advice = v.Rich("page.code.clock", "Setting", v.T("page.code.clock_setting"), "Time", v.Seconds(v.now))
	}
	return f
}
