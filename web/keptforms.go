package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
)

// keptForms are the forms that are kept, by their routes, with what puts each into
// words: those in which something is typed. Forms of a button alone, and those with
// files, lead back to their page.
var keptForms = map[string]func(*kept){
	"POST " + addressPath:  func(k *kept) { k.on("page.address.title", "page.sent.send").show("email", "page.address.new", nil) },
	"POST " + phonePath:    (*kept).phone,
	"POST " + passwordPath: (*kept).password,

	"POST " + providerPath:         (*kept).mail,
	"POST " + textsPath:            (*kept).texts,
	"POST " + duoAdminPath:         (*kept).duo,
	"POST " + streamsPath:          (*kept).stream,
	"POST " + brandingPath:         (*kept).branding,
	"POST " + policyPath:           (*kept).policyTyped,
	"POST " + policyPath + "/save": (*kept).policySaved,
	"POST " + rolesPath:            (*kept).role,
	"POST " + actionsPath:          (*kept).action,
	"POST " + keysPath:             (*kept).newKey,
	"POST " + keysPath + "/{id}":   (*kept).key,

	"POST " + peoplePath:                          (*kept).people,
	"POST " + newPersonPath:                       (*kept).newPerson,
	"POST " + peoplePath + "/{id}/do/{act}":       (*kept).act,
	"POST " + peoplePath + "/{id}/do/{act}/{arg}": (*kept).act,
	"POST " + erasePath:                           (*kept).erase,
	"POST " + peoplePath + "/{id}/api":            (*kept).api,
}

// kept is a form that is being put into words. A field that no line names is sent,
// and not shown.
type kept struct {
	h    *Handler
	v    *View
	r    *http.Request
	cur  session.Current
	path map[string]string
	form url.Values
	page keptPage
}

func (k *kept) who() directory.Who { return directory.Session(k.cur.Token, httpserve.ClientOf(k.r)) }

// on says what the form is about and what its only button says; both are keys.
func (k *kept) on(target, do string) *kept {
	k.page.Target, k.page.Do = k.v.T(target), k.v.T(do)
	return k
}

// do says which of several buttons it was.
func (k *kept) do(keys map[string]string) *kept {
	if key := keys[k.form.Get("do")]; key != "" {
		k.page.Do = k.v.T(key)
	}
	return k
}

// show shows a field as it was typed, or by words.
func (k *kept) show(name, label string, words func(string) string) *kept {
	return k.named(name, k.v.T(label), words)
}

func (k *kept) named(name, label string, words func(string) string) *kept {
	var list []string
	for _, value := range k.form[name] {
		if value = strings.TrimSpace(value); value != "" && words != nil {
			value = words(value)
		}
		if value != "" {
			list = append(list, value)
		}
	}
	if len(list) > 0 {
		k.page.Rows = append(k.page.Rows, keptRow{Label: label, Value: strings.Join(list, ", ")})
	}
	return k
}

// secret says that something was typed, and nothing of it.
func (k *kept) secret(name, label string) *kept {
	if k.form.Get(name) != "" {
		k.page.Rows = append(k.page.Rows, keptRow{Label: k.v.T(label), Secret: true})
	}
	return k
}

func (k *kept) reason() *kept { return k.show("reason", "admin.reason", nil) }

func (k *kept) effects(keys ...string) *kept {
	for _, key := range keys {
		k.page.Effects = append(k.page.Effects, k.v.Rich(key))
	}
	return k
}

// yes is the words of a box that is ticked.
func (k *kept) yes(string) string { return k.v.T("admin.policy.yes") }

// each are the words of a value whose key begins with prefix.
func (k *kept) each(prefix string) func(string) string {
	return func(value string) string {
		if key := prefix + value; k.v.texts.Has(key) {
			return k.v.T(key)
		}
		return value
	}
}

func (k *kept) land(code string) string { return k.h.landOf(k.v, code) }

// counted are the words of a number of days or hours.
func (k *kept) counted(key string) func(string) string {
	return func(value string) string {
		n, err := strconv.Atoi(value)
		if err != nil {
			return value
		}
		return k.v.T(key, "Count", n)
	}
}

func (k *kept) phone() {
	k.on("page.phone.title", "page.sent.send").show("country", "page.phone.country", k.land).show("phone", "page.phone.number", nil)
	if k.form.Get("replaces") != "" {
		k.page.Target = k.v.T("page.phone.title_change")
	}
}

func (k *kept) password() {
	k.on("page.password.title", "page.password.button").secret("current", "page.password.current").secret("new", "page.password.new").secret("confirm", "page.password.repeat")
}

func (k *kept) mail() {
	k.on("admin.mail.title", "admin.mail.save").do(map[string]string{"remove": "admin.mail.remove", "send": "admin.mail.send", "connect": "admin.mail.connect"})
	k.show("host", "admin.mail.host", nil).show("tls", "admin.mail.tls", k.each("admin.mail.tls.")).show("port", "admin.mail.port", nil)
	k.show("username", "admin.mail.username", nil).secret("password", "admin.mail.password")
	k.show("from", "admin.mail.from", nil).show("from_name", "admin.mail.from_name", nil).show("to", "admin.mail.to", nil).reason()
	k.removes("admin.mail.remove_text")
}

// removes says what removing the settings comes to.
func (k *kept) removes(effect string) {
	if k.form.Get("do") == "remove" {
		k.page.Danger = true
		k.effects(effect)
	}
}

func (k *kept) texts() {
	k.on("admin.texts.title", "admin.texts.save").do(map[string]string{"remove": "admin.texts.remove", "test": "admin.texts.send", "add": "admin.texts.add"})
	if do, n := act2(k.form.Get("do")); do == "up" || do == "down" || do == "drop" {
		k.page.Do = k.v.T("admin.texts."+do+"_label", "N", n+1)
	}
	for i := 0; i < slots && k.form.Has(place(i, "driver")); i++ {
		provider := k.v.T("admin.texts.provider", "N", i+1)
		k.named(place(i, "driver"), provider, k.v.driverName)
		for _, name := range []string{"account", "from", "region", "url"} {
			k.named(place(i, name), provider+", "+k.v.T("admin.texts."+name), nil)
		}
		if k.form.Get(place(i, "secret")) != "" {
			k.page.Rows = append(k.page.Rows, keptRow{Label: provider + ", " + k.v.T("admin.texts.secret"), Secret: true})
		}
	}
	k.show("home", "admin.texts.home", k.land).show("countries", "admin.texts.others", k.land)
	for _, name := range []string{"day_texts", "month_texts", "currency", "price", "day_money", "month_money"} {
		k.show(name, "admin.texts."+name, nil)
	}
	k.show("to", "admin.texts.to", nil).reason()
	k.removes("admin.texts.remove_text")
}

func (k *kept) duo() {
	k.on("method.duo", "admin.duo.save").do(map[string]string{"remove": "admin.duo.remove", "connect": "admin.duo.connect"})
	k.show("ikey", "admin.duo.ikey", nil).secret("skey", "admin.duo.skey").show("host", "admin.duo.host", nil).show("let_in", "admin.duo.let_in", k.yes).reason()
	k.removes("admin.duo.remove_text")
}

func (k *kept) stream() {
	k.on("admin.stream.title", "admin.stream.save_keep")
	if kind := k.form.Get("kind"); streamChannels[kind] != "" {
		k.page.Target = k.v.T("admin.stream." + kind)
		k.do(map[string]string{"save": "admin.stream.save_" + kind, "test": "admin.stream.test_" + kind, "remove": "admin.stream.remove_" + kind})
	}
	for _, name := range []string{"host", "port", "url", "ca", "certificate"} {
		k.show(name, "admin.stream."+name, nil)
	}
	k.secret("key", "admin.stream.key").secret("secret", "admin.stream.secret").show("all", "admin.stream.all", k.yes)
	k.show("months", "admin.stream.months", func(s string) string {
		if s == "0" {
			return k.v.T("admin.stream.keep_ever")
		}
		return k.counted("admin.stream.keep_months")(s)
	}).reason()
	k.page.Danger = k.form.Get("do") == "remove"
}

func (k *kept) branding() {
	k.on("admin.branding.title", "admin.branding.save").do(map[string]string{"preview": "admin.branding.preview"})
	for _, kind := range []string{"logo", "logo_dark"} {
		k.show(kind+"_draft", "admin.branding."+kind, func(string) string { return k.v.T("page.kept.picture") })
		k.show(kind+"_remove", "admin.branding."+kind, func(string) string { return k.v.T("admin.branding.remove") })
	}
	for _, name := range []string{"accent", "support", "help_text", "help_link", "privacy_link", "terms_link", "mail_name", "sms_name"} {
		k.show(name, "admin.branding."+name, nil)
	}
	k.reason()
}

// policyTyped is the form whose changes are only looked at.
func (k *kept) policyTyped() {
	k.on("admin.policy.title", "admin.policy.preview").do(map[string]string{"take_back": "admin.policy.take_back"})
	if d, next, err := policyNow(k.cur.Company, k.v.now); err == nil {
		if ch, err := k.v.typedPolicy(k.form, d, next); err == nil {
			k.changes(ch.Document)
		}
	}
	k.reason()
}

func (k *kept) policySaved() {
	k.on("admin.policy.title", "admin.policy.save")
	if ch, err := changeOf(k.form); err == nil && ch.UndoOf == 0 {
		k.changes(ch.Document)
	} else if err == nil {
		k.page.Effects = append(k.page.Effects, k.v.Rich("page.kept.undo", "Version", strconv.FormatInt(ch.UndoOf, 10)))
	}
	k.show("reason", "admin.policy.reason", nil)
}

func (k *kept) changes(after policy.Document) {
	before, next, err := policyNow(k.cur.Company, k.v.now)
	if err != nil {
		return
	}
	before.Next = next
	for _, c := range k.v.changes(before, after, k.cur.Company) {
		k.page.Effects = append(k.page.Effects, k.v.Rich("admin.policy.changed", "What", c.Label, "Before", c.Before, "After", c.After))
	}
}

func (k *kept) role() {
	k.on("admin.roles.title", "admin.save").do(map[string]string{"remove": "admin.roles.remove"})
	if name := k.form.Get("name"); name != "" {
		k.page.Target = k.v.T("admin.roles.change_label", "Role", k.v.roleTitle(k.cur.Company, name))
	}
	if k.form.Get("old") == "" {
		k.page.Target = k.v.T("admin.roles.new")
	}
	k.page.Danger = k.form.Get("do") == "remove"
	k.show("name", "admin.roles.name", nil).show("title", "admin.roles.role_title", nil).show("permissions", "admin.roles.may", k.each("permission.")).reason()
}

func (k *kept) newKey() {
	k.on("admin.keys.new", "admin.keys.make").show("name", "admin.keys.name", nil).show("owner", "admin.keys.for", nil)
	k.show("scopes", "admin.keys.scopes", k.each("permission.")).show("networks", "admin.keys.networks", nil).show("expires", "admin.keys.lasts", k.counted("admin.keys.days"))
	k.show("unattended", "admin.keys.unattended", k.each("event.")).reason()
}

func (k *kept) action() {
	k.on("admin.actions.new", "admin.save").do(map[string]string{"remove": "admin.actions.remove"}).show("name", "admin.actions.name", nil)
	if name := k.form.Get("name"); k.form.Get("old") != "" {
		k.page.Target = k.v.T("admin.actions.change_label", "Name", name)
	}
	if k.form.Get("do") == "remove" {
		k.page.Danger = true
		k.effects("admin.actions.remove_text")
	} else {
		k.show("title", "admin.actions.words", nil)
		for _, l := range k.v.texts.Languages() {
			k.named(actionTitle(l), k.v.actionTitleLabel(l), nil)
		}
		k.show("audience", "admin.actions.audience", nil)
	}
	k.reason()
}

func (k *kept) key() {
	k.on("admin.keys.title", "admin.save").do(map[string]string{"roll": "admin.keys.roll", "end": "admin.keys.end", "return_add": "admin.keys.return_add"})
	if key, err := k.h.c.Directory.APIKey(k.r.Context(), k.who(), k.path["id"]); err == nil {
		k.page.Target = key.Name
	}
	switch k.form.Get("do") {
	case "rename":
		k.show("name", "admin.keys.name", nil)
	case "roll":
		k.show("overlap", "admin.keys.overlap", k.counted("admin.keys.hours")).show("expires", "admin.keys.lasts", k.counted("admin.keys.days"))
	case "return_add":
		k.show("address", "admin.keys.return", nil)
	case "end":
		k.page.Danger = true
		k.effects("admin.keys.end_text")
	}
	if address, ok := strings.CutPrefix(k.form.Get("do"), "return_remove "); ok {
		k.page.Do = k.v.T("admin.keys.return_remove_one", "Address", address)
	}
	k.reason()
}

// keptNames is how many of the people who were chosen are named.
const keptNames = 10

func (k *kept) people() {
	k.on("people.title", "people.remind").do(map[string]string{"require": "people.require"})
	list := k.form["person"]
	k.page.Effects = append(k.page.Effects, k.v.Rich("page.kept.people", "Count", len(list)))
	var names []string
	for _, id := range list[:min(len(list), keptNames)] {
		names = append(names, k.name(id))
	}
	if len(list) > keptNames {
		names = append(names, "…")
	}
	k.page.Rows = append(k.page.Rows, keptRow{Label: k.v.T("people.title"), Value: strings.Join(names, ", ")})
	k.reason()
}

// name is somebody's, of the reader's company; of who is not there, the id.
func (k *kept) name(id string) string {
	if u, _, err := k.h.c.Directory.Lookup(k.r.Context(), k.cur.Company, id); err == nil {
		return u.Name
	}
	return id
}

func (k *kept) newPerson() {
	k.on("people.new.title", "people.new.button").show("login", "people.new.login", nil).show("email", "people.new.email", nil).show("name", "people.new.name", nil)
	k.show("audience", "people.filter.audience", k.each("people.audience."))
	k.show("roles", "people.new.roles", func(role string) string { return k.v.roleTitle(k.cur.Company, role) }).reason()
}

func (k *kept) act() {
	a := actAsked{do: strings.ReplaceAll(k.path["act"], "-", "_"), arg: k.path["arg"]}
	k.page.Target, k.page.Danger = k.name(k.path["id"]), dangerous[a.do]
	key := "admin.act." + a.do
	if own := key + "." + a.arg; a.arg != "" && k.v.texts.Has(own) {
		key = own
	}
	if _, ok := directory.ActOf(a.do); ok {
		k.page.Do = k.v.T(key)
	}
	var err error
	if a.person, err = k.h.c.Directory.Person(k.r.Context(), k.who(), k.path["id"]); err == nil {
		k.page.Effects = k.v.effects(a)
	}
	k.show("country", "page.phone.country", k.land).show("phone", "admin.act.phone", nil).show("username", "admin.act.username", nil)
	k.show("until", "admin.act.until", nil).show("reason", "admin.act.reason", nil)
}

func (k *kept) erase() {
	k.on("people.title", "admin.erase.button").effects("admin.erase.goes_account", "admin.erase.goes_keys", "admin.erase.goes_log")
	k.page.Target, k.page.Danger = k.name(k.path["id"]), true
	k.show("login", "people.new.login", nil).show("reason", "admin.erase.reason", nil)
}

func (k *kept) api() {
	k.on("admin.api.title", "admin.save").do(map[string]string{"again": "admin.api.again"})
	k.page.Target = k.name(k.path["id"])
	if k.form.Get("was") != "" && k.form.Get("api") == "" {
		k.effects("admin.api.off_text")
		k.page.Danger = true
	} else {
		k.effects("admin.api.effect.sign_in", "admin.api.effect.sessions", "admin.api.effect.roles")
	}
	k.show("api", "admin.api.box", k.yes).show("role", "admin.api.role", func(role string) string { return k.v.roleTitle(k.cur.Company, role) })
	k.show("networks", "admin.keys.networks", nil).show("owner", "admin.api.owner", nil).show("until", "admin.keys.ends", nil)
	k.secret("password", "admin.api.secret").show("why", "admin.reason", nil).reason()
}
