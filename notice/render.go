package notice

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/text"
)

//go:embed layout.html
var layoutSource string

var layout = template.Must(template.New("layout").Parse(layoutSource))

// page is what both parts of a message are made from.
type page struct {
	Lang, Dir, Start string // Start is the side where lines begin
	Company          string
	Title            []part
	Body             [][]part
	Code             string
	Valid            []part
	Facts            []fact
	Action           *button
	After            [][]part
	Wasnt            *wasnt
	Foot             []part
}

// part is a piece of a sentence; a name is set apart, so that one written from
// right to left does not turn the words around it.
type part struct {
	Text string
	Name bool
}

type fact struct {
	Label string
	Value []part
}

type button struct {
	Label, URL, Copy string
	Alarm            bool
}

type wasnt struct {
	Title  string
	Text   []part
	Action *button
}

// name is an argument from outside; it is cleaned when the sentence is made.
type name string

// value is an argument of our own that is set apart as names are.
type value string

// writer writes one letter.
type writer struct {
	s    *Service
	l    authn.Letter
	lang string
	t    string // "mail." + template
}

// Render writes a letter. The same letter gives the same message at every try,
// down to the times, so that a repetition is recognised for what it is.
func (s *Service) Render(l authn.Letter) (authn.Message, error) {
	sh, ok := shapes[l.Template]
	if !ok || l.Channel != authn.Email && !(l.Channel == authn.SMS && sh.sms) {
		return authn.Message{}, fmt.Errorf("notice: no template %q for %s", l.Template, l.Channel)
	}
	locale := l.User.Locale
	if sh.admin || l.Args["locale"] != "" {
		locale = l.Args["locale"] // the reader is not l.User
	}
	w := &writer{s: s, l: l, lang: s.c.Texts.Match("", locale), t: "mail." + string(l.Template)}
	code := ""
	if sh.code {
		if len(l.Seed) == 0 {
			return authn.Message{}, fmt.Errorf("notice: template %q without a seed", l.Template)
		}
		code = s.c.Code(l.Seed)
	}
	m := authn.Message{ID: l.ID, Channel: l.Channel, To: l.To, From: w.sender(), Language: w.lang}
	if l.Channel == authn.SMS {
		m.Text = w.sms(code)
		return m, nil
	}
	p, err := w.page(sh, code)
	if err != nil {
		return authn.Message{}, err
	}
	args := map[string]any{"Company": name(l.Company.Name)}
	if l.Template == Code {
		// Ruling 15: this one alone may stand where a locked phone shows it.
		args["Code"] = code
	}
	m.Subject = clean1(w.line(w.chosen(sh, "subject"), args))
	var b bytes.Buffer
	if err := layout.Execute(&b, p); err != nil {
		return authn.Message{}, fmt.Errorf("notice: %s: %w", l.Template, err)
	}
	m.Text, m.HTML = p.plain(), b.String()
	return m, nil
}

// clean1 keeps a subject on one line whatever a translation contains.
func clean1(s string) string { return strings.Join(strings.Fields(s), " ") }

// sender is the name that mail comes from. The address is the provider's.
func (w *writer) sender() string {
	if s := clean(strings.ReplaceAll(w.l.Company.Brand.MailName, "@", " "), maxName); s != "" {
		return s
	}
	return w.company()
}

func (w *writer) company() string {
	if s := clean(w.l.Company.Name, maxName); s != "" {
		return s
	}
	return clean(w.l.Company.Slug, maxName)
}

// The marks that take a name's place while the sentence is made; clean lets
// neither through (both are of a private area of Unicode).
const (
	markOpen  = "\ue000"
	markClose = "\ue001"
)

// rich is a sentence of the catalogue in parts. Company and Name are always there.
func (w *writer) rich(key string, args map[string]any) []part {
	var names []string
	filled := map[string]any{"Company": mark(&names, w.company()), "Name": mark(&names, w.person())}
	for k, v := range args {
		switch x := v.(type) {
		case name:
			v = mark(&names, clean(string(x), maxName))
		case value:
			v = mark(&names, string(x))
		}
		filled[k] = v
	}
	var parts []part
	for rest := w.s.c.Texts.Text(w.lang, key, filled); rest != ""; {
		before, after, found := strings.Cut(rest, markOpen)
		if before != "" {
			parts = append(parts, part{Text: before})
		}
		if !found {
			break
		}
		n, tail, _ := strings.Cut(after, markClose)
		if i, err := strconv.Atoi(n); err == nil && i < len(names) {
			parts = append(parts, part{Text: names[i], Name: true})
		}
		rest = tail
	}
	return parts
}

func mark(names *[]string, s string) string {
	*names = append(*names, s)
	return markOpen + strconv.Itoa(len(*names)-1) + markClose
}

// line is a sentence as plain text.
func (w *writer) line(key string, args map[string]any) string {
	var b strings.Builder
	for _, p := range w.rich(key, args) {
		b.WriteString(p.Text)
	}
	return b.String()
}

func (w *writer) has(key string) bool { return w.s.c.Texts.Has(key) }

// person is the name of whom the letter is about. An e-mail address as a login
// would be a link, and its owner knows it.
func (w *writer) person() string {
	for _, s := range []string{w.l.User.Name, w.l.User.Login} {
		if s = clean(s, maxName); s != "" {
			return s
		}
	}
	return w.s.c.Texts.Text(w.lang, "mail.nobody", nil)
}

// when is "22 Nov 2026 at 09:14 UTC": a message is read later and elsewhere.
func (w *writer) when(t time.Time) string {
	c, t := w.s.c.Texts, t.UTC()
	at := c.Text(w.lang, "date.day_at", map[string]any{"Date": c.Date(w.lang, t), "Time": c.Time(w.lang, t)})
	return c.Text(w.lang, "page.time.utc", map[string]any{"Time": at})
}

// agent is the browser in the reader's language; empty: none is known.
func (w *writer) agent() []part {
	s := w.l.Args["agent"]
	if s == "" {
		return nil
	}
	if strings.HasPrefix(s, "Unknown") {
		return w.rich("page.agent.unknown", nil)
	}
	if browser, system, ok := strings.Cut(s, " on "); ok {
		return w.rich("page.agent.on", map[string]any{"Browser": name(browser), "System": name(system)})
	}
	return []part{{Text: clean(s, maxName), Name: true}}
}

// place is about where it came from; empty: not known. It is looked up at each try, so
// that a file of places that was renewed meanwhile is the one that counts.
func (w *writer) place() []part {
	p := authn.PlaceOf(w.s.c.Places, w.l.Args["address"], w.lang)
	if p.Country == "" {
		return nil
	}
	country := text.Countries(w.lang)(p.Country)
	if clean(p.City, maxName) == "" {
		return []part{{Text: country}}
	}
	return w.rich("place.near", map[string]any{"City": name(p.City), "Country": value(country)})
}

func (w *writer) page(sh shape, code string) (page, error) {
	p := page{Lang: w.lang, Dir: text.Dir(w.lang), Start: "left", Company: w.company(), Code: code}
	if p.Dir == "rtl" {
		p.Start = "right"
	}
	p.Title = w.rich(w.chosen(sh, "title"), nil)
	p.Body = w.body(sh)
	p.Facts = w.facts(sh)
	switch {
	case sh.code:
		p.Valid = w.valid()
		for _, key := range []string{"mail.code.never_share", w.t + ".not_you"} {
			p.After = append(p.After, w.rich(key, nil))
		}
	case sh.link != "":
		link := w.l.Link.Reveal()
		if link == "" {
			return page{}, fmt.Errorf("notice: template %q without its link", w.l.Template)
		}
		p.Action = w.button(w.t+".action", sh.link, link, false)
		if !w.l.ExpiresAt.IsZero() {
			p.After = append(p.After, w.rich("mail.link_until", map[string]any{"When": w.when(w.l.ExpiresAt)}))
		}
		p.After = append(p.After, w.rich(w.t+".not_you", nil))
	case sh.wasnt:
		p.Wasnt = w.wasnt()
	}
	foot := "mail.foot"
	switch {
	case w.has(w.t + ".foot"):
		foot = w.t + ".foot"
	case sh.code:
		foot = "mail.foot_code"
	}
	p.Foot = w.rich(foot, nil)
	return p, nil
}

// chosen is the key of a text of the letter, or of its variant where that has one.
func (w *writer) chosen(sh shape, what string) string {
	key := w.t + "." + what
	if v := w.l.Args[cmp.Or(sh.choose, "variant")]; v != "" && w.has(key+"."+v) {
		key += "." + v
	}
	return key
}

// body are the paragraphs: body, or the one of the letter's variant, and body2.
func (w *writer) body(sh shape) [][]part {
	args, key := map[string]any{"Dial": value("+" + digits(w.l.Args["dial"]))}, w.chosen(sh, "body")
	if sh.plural != "" {
		if n := count(w.l.Args, sh.plural); n >= 0 {
			args["Count"] = n
		} else {
			key = w.t + ".body_some"
		}
	}
	if sh.from {
		if t, err := time.Parse(time.RFC3339, w.l.Args["from"]); err == nil {
			args["When"] = value(w.when(t))
		} else {
			key = w.t + ".body_some"
		}
	}
	list := [][]part{w.rich(key, args)}
	if w.has(w.t + ".body2") {
		list = append(list, w.rich(w.t+".body2", args))
	}
	return list
}

// digits are those of a calling code; nothing else of an argument goes on.
func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// facts are what is known of the event, in rows.
func (w *writer) facts(sh shape) []fact {
	var list []fact
	add := func(label string, what []part) {
		if len(what) > 0 {
			list = append(list, fact{w.line("mail.fact."+label, nil), what})
		}
	}
	args := w.l.Args
	if w.l.User.ID != "" && sh.link == "" {
		add(map[bool]string{true: "person", false: "account"}[sh.admin], []part{{Text: w.person(), Name: true}})
	}
	if key := "mail.act." + args["action"]; args["action"] != "" && w.has(key) {
		add("act", w.rich(key, nil))
	} else if s := clean(args["act"], maxName); s != "" {
		add("act", []part{{Text: s, Name: true}}) // an application's own words
	}
	if key := "method." + args["method"]; args["method"] != "" && w.has(key) {
		add("method", w.rich(key, nil))
	}
	if s := clean(args["called"], maxName); s != "" {
		add("called", []part{{Text: s, Name: true}})
	}
	if t, err := time.Parse(time.RFC3339, args["until"]); err == nil {
		add("until", []part{{Text: w.when(t)}})
	}
	if !w.l.At.IsZero() && !sh.from {
		add(map[bool]string{true: "asked", false: "when"}[sh.code], []part{{Text: w.when(w.l.At)}})
	}
	add("browser", w.agent())
	if s := network(args["address"]); s != "" {
		add("network", w.rich("mail.about", map[string]any{"What": value(s)}))
	}
	add("place", w.place())
	by := clean(args["name"], maxName)
	if sh.names != "" {
		add(sh.names, []part{{Text: by, Name: true}})
		by = ""
	}
	switch {
	case by != "":
		add("by", []part{{Text: by, Name: true}})
	case args["by"] == "operator" || args["by"] == "admin":
		add("by", w.rich("mail.by."+args["by"], nil))
	}
	if label := w.whose(sh); label != "" {
		add(label, []part{{Text: clean(args["reason"], maxReasonShown), Name: true}})
	}
	return list
}

// maxReasonShown is how many characters of a reason a message shows.
const maxReasonShown = 200

// whose is the label of the reason: it says whose words these are. Empty: there is
// none, or it is not for the reader.
func (w *writer) whose(sh shape) string {
	args := w.l.Args
	if !sh.why || clean(args["reason"], maxReasonShown) == "" || unexplained[args["type"]] {
		return ""
	}
	switch args["by"] {
	case "admin", operator:
		return "reason_" + args["by"]
	}
	return ""
}

// valid says how long the code works, counted from when it was made, so that
// the sentence stays true at a later try.
func (w *writer) valid() []part {
	d := w.l.ExpiresAt.Sub(w.l.At).Round(time.Second)
	until := w.s.c.Texts.Text(w.lang, "page.time.utc", map[string]any{"Time": w.s.c.Texts.Time(w.lang, w.l.ExpiresAt.UTC())})
	args := map[string]any{"Until": until}
	switch {
	case w.l.ExpiresAt.IsZero() || w.l.At.IsZero() || d <= 0:
		return w.rich("mail.code.valid_short", nil)
	case d < time.Minute || d%time.Minute != 0 && d < 2*time.Minute:
		args["Count"] = int(d.Seconds())
		return w.rich("mail.code.valid_seconds", args)
	default:
		args["Count"] = int(d.Minutes())
		return w.rich("mail.code.valid_minutes", args)
	}
}

// wasnt is what to do if it was somebody else.
func (w *writer) wasnt() *wasnt {
	own := func(key string) string {
		if w.has(w.t + ".wasnt_" + key) {
			return w.t + ".wasnt_" + key
		}
		return "mail.wasnt." + key
	}
	box := &wasnt{Title: w.line(own("title"), nil)}
	if link := w.l.Link.Reveal(); link != "" {
		box.Text = w.rich(own("link"), nil)
		box.Action = w.button("mail.wasnt.action", "not-me", link, true)
		return box
	}
	box.Text = w.rich(own("ask"), nil)
	return box
}

// button leads to a page that asks again before it does anything: link scanners
// open every address in a message. The host is the configured one (cve-63).
func (w *writer) button(label, folder, token string, alarm bool) *button {
	return &button{
		Label: w.line(label, nil), URL: w.s.base + "/" + folder + "/" + token,
		Copy: w.line("mail.copy_link", nil), Alarm: alarm,
	}
}

// width of a line of the text part (RFC 3676 section 4.2 asks for at most 78).
const width = 72

// plain is the text part.
func (p page) plain() string {
	var b strings.Builder
	para := func(s string) {
		if s != "" {
			b.WriteString(wrap(s) + "\n\n")
		}
	}
	para(p.join(p.Title))
	for _, x := range p.Body {
		para(p.join(x))
	}
	if p.Code != "" {
		b.WriteString("    " + p.Code + "\n\n")
		para(p.join(p.Valid))
	}
	for _, f := range p.Facts {
		b.WriteString(wrap(f.Label+": "+p.join(f.Value)) + "\n")
	}
	if len(p.Facts) > 0 {
		b.WriteString("\n")
	}
	if p.Action != nil {
		b.WriteString(wrap(p.Action.Label+":") + "\n" + p.Action.URL + "\n\n")
	}
	for _, x := range p.After {
		para(p.join(x))
	}
	if p.Wasnt != nil {
		para(p.Wasnt.Title)
		para(p.join(p.Wasnt.Text))
		if a := p.Wasnt.Action; a != nil {
			b.WriteString(wrap(a.Label+":") + "\n" + a.URL + "\n\n")
		}
	}
	return b.String() + "-- \n" + wrap(p.join(p.Foot)) + "\n"
}

// join sets names apart with isolates where the language runs the other way;
// elsewhere the marks would only show up as boxes in old programs.
func (p page) join(parts []part) string {
	var b strings.Builder
	for _, x := range parts {
		if x.Name && p.Dir == "rtl" {
			b.WriteString("\u2068" + x.Text + "\u2069")
			continue
		}
		b.WriteString(x.Text)
	}
	return b.String()
}

// wrap breaks at spaces; a word longer than a line stays whole.
func wrap(s string) string {
	var b strings.Builder
	col := 0
	for _, word := range strings.Fields(s) {
		n := utf8.RuneCountInString(word)
		switch {
		case col == 0:
		case col+1+n > width:
			b.WriteByte('\n')
			col = 0
		default:
			b.WriteByte(' ')
			col++
		}
		b.WriteString(word)
		col += n
	}
	return b.String()
}
