package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/egress"
	"github.com/sallyport-mfa/sallyport/internal/phone"
	"github.com/sallyport-mfa/sallyport/message/auditstream"
	"github.com/sallyport-mfa/sallyport/message/plivo"
	"github.com/sallyport-mfa/sallyport/message/sns"
	"github.com/sallyport-mfa/sallyport/message/twilio"
	"github.com/sallyport-mfa/sallyport/message/vonage"
	"github.com/sallyport-mfa/sallyport/message/webhook"
)

// smsConfig is the server's own way to send text messages, for companies without
// one of theirs.
type smsConfig struct {
	First, Second authn.TextProvider
	Limits        authn.TextSettings // of each company; without providers
}

func firstSMS(c *smsConfig) *authn.TextProvider  { return &c.First }
func secondSMS(c *smsConfig) *authn.TextProvider { return &c.Second }

// on reports whether the server has a provider at all.
func (c *smsConfig) on() bool { return c.First.Driver != "" }

// settings are what package provider takes.
func (c *smsConfig) settings() authn.TextSettings {
	t := c.Limits
	for _, p := range []authn.TextProvider{c.First, c.Second} {
		if p.Driver != "" {
			t.Providers = append(t.Providers, p)
		}
	}
	return t
}

func (c *smsConfig) drivers() []string {
	var names []string
	for _, p := range c.settings().Providers {
		names = append(names, p.Driver)
	}
	return names
}

// web is the client for what companies configure: webhooks, providers of text
// messages and Duo (ruling 32). It connects to nothing yet.
func (c *config) web() (*http.Client, error) {
	g, err := c.guard()
	if err != nil {
		return nil, err
	}
	return g.Client(0), nil
}

func (c *config) guard() (*egress.Guard, error) {
	ports := c.Ports
	if len(ports) == 0 {
		ports = egress.WebPorts
	}
	return egress.New(egress.Config{Ports: ports, AllowPrivate: c.Private})
}

// streams send companies' events to what they name, behind the same rules as all
// else that they configure. Syslog has a port of its own.
func (c *config) streams() (map[authn.Kind]authn.StreamSender, error) {
	web, err := c.guard()
	if err != nil {
		return nil, err
	}
	g, err := egress.New(egress.Config{Ports: append([]int{auditstream.SyslogPort}, c.Ports...), AllowPrivate: c.Private})
	if err != nil {
		return nil, err
	}
	return map[authn.Kind]authn.StreamSender{
		authn.AuditSyslog:  &auditstream.Syslog{Dial: g.DialContext, Allowed: g.Check, Name: c.PublicURL.Hostname()},
		authn.AuditWebhook: &auditstream.Webhook{Client: web.Client(0), Allowed: web.CheckURL},
	}, nil
}

// textDrivers are the kinds of providers that this program knows; a new one is a
// folder under message/ and a line here.
func textDrivers(web *http.Client) map[string]authn.TextDriver {
	return map[string]authn.TextDriver{
		"twilio": twilio.New(web), "vonage": vonage.New(web), "sns": sns.New(web), "plivo": plivo.New(web), "webhook": webhook.New(web),
	}
}

// smsForms say what a driver takes in each of its fields.
var smsForms = map[string]map[string]string{
	"twilio": {
		"account": "the account SID: AC and 32 of 0-9 and a-f", "secret": "the auth token of the account",
		"from": "a number with its country (+46...), a name of at most 11 letters and digits, or the SID of a messaging service (MG...)",
	},
	"vonage": {
		"account": "the API key: 5 to 32 letters and digits", "secret": "the signature secret of the account, not the API secret",
		"from": "a number with its country (+46...), or a name of at most 11 letters and digits",
	},
	"sns": {
		"account": "the id of a lasting access key (AKIA...)", "secret": "the secret access key",
		"region": "a region of AWS, such as eu-north-1", "from": "a number with its country, a name of at most 11 letters and digits without spaces, or nothing",
	},
	"plivo": {
		"account": "the Auth ID: MA or SA and 18 capitals and digits", "secret": "the Auth Token",
		"from": "a number with its country (+46...), or a name of at most 11 letters and digits",
	},
	"webhook": {
		"url": "an https address without user name and fragment", "secret": "16 to 256 characters that you choose, without spaces",
	},
}

const smsDrivers = "twilio, vonage, sns, plivo or webhook"

func setSMSDriver(which func(*smsConfig) *authn.TextProvider) func(*loader, string) error {
	return func(l *loader, v string) error {
		if smsForms[v] == nil {
			return errors.New("must be " + smsDrivers)
		}
		which(&l.c.SMS).Driver = v
		return nil
	}
}

// setSMS takes a field as it is; whether it is right the driver says.
func setSMS(which func(*smsConfig) *authn.TextProvider, field func(*authn.TextProvider) *string) func(*loader, string) error {
	return func(l *loader, v string) error {
		*field(which(&l.c.SMS)) = strings.TrimSpace(v)
		return nil
	}
}

func addCountry(l *loader, v string) error {
	v = strings.ToUpper(v)
	if !phone.KnownCountry(v) {
		return fmt.Errorf("%q is no country; write two letters of ISO 3166, such as SE", v)
	}
	if t := &l.c.SMS.Limits; !slices.Contains(t.Countries, v) {
		t.Countries = append(t.Countries, v)
	}
	return nil
}

func addPort(l *loader, v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("%q is no port; write numbers, such as 443", v)
	}
	if !slices.Contains(l.c.Ports, n) {
		l.c.Ports = append(l.c.Ports, n)
	}
	return nil
}

// maxLimit is the largest limit that package provider takes, of texts and of money.
const maxLimit = 10_000_000

func setCount(field func(*authn.TextSettings) *int) func(*loader, string) error {
	return func(l *loader, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxLimit {
			return fmt.Errorf("must be a number of messages, 1 to %d", maxLimit)
		}
		*field(&l.c.SMS.Limits) = n
		return nil
	}
}

func setMoney(field func(*authn.TextSettings) *int64) func(*loader, string) error {
	return func(l *loader, v string) error {
		n, err := parseMoney(v)
		if err != nil {
			return err
		}
		*field(&l.c.SMS.Limits) = n
		return nil
	}
}

var errMoney = errors.New("must be an amount of money, such as 0.045, with three decimals at most")

// parseMoney gives thousandths of a currency. No float ever holds money.
func parseMoney(v string) (int64, error) {
	whole, part, dotted := strings.Cut(v, ".")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	if !digits(whole) || len(whole) > 8 || dotted && (!digits(part) || len(part) > 3) {
		return 0, errMoney
	}
	n, err := strconv.ParseInt(whole+(part + "000")[:3], 10, 64)
	if err != nil || n == 0 || n > maxLimit*1000 {
		return 0, errMoney
	}
	return n, nil
}

// money writes thousandths: 45 is 0.045, 50000 is 50.00.
func money(n int64, currency string) string {
	s := fmt.Sprintf("%d.%03d", n/1000, n%1000)
	return strings.TrimSuffix(s, "0") + " " + currency
}

func setCurrency(l *loader, v string) error {
	v = strings.ToUpper(v)
	if len(v) != 3 || strings.Trim(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return errors.New("must be three letters of ISO 4217, such as EUR")
	}
	l.c.SMS.Limits.Currency = v
	return nil
}

// togetherSMS says everything that is wrong between the settings of sms and sms2.
func (l *loader) togetherSMS() {
	c := &l.c.SMS
	given := func(key string) bool { return l.given[key] != "" }
	for _, s := range settings {
		head, _, _ := strings.Cut(s.key, ".")
		if (head == "sms" || head == "sms2") && given(s.key) && !given(head+".driver") {
			l.problem(l.where(s.key), "%s is set and %s.driver is not; set it, or leave out all of %[2]s", s.key, head)
		}
	}
	if given("sms2.driver") && !given("sms.driver") {
		l.problem(l.where("sms2.driver"), "sms2 is set and sms is not; the second provider is for when the first one fails")
	}
	l.smsProvider("sms", c.First)
	l.smsProvider("sms2", c.Second)
	if !given("sms.driver") {
		return
	}
	if !given("sms.countries") {
		l.problem("sms.countries", "is missing: name the countries that texts may go to, such as [SE, DE]")
	}
	money := ""
	for _, key := range []string{"sms.day_money", "sms.month_money"} {
		if given(key) {
			money = key
		}
	}
	switch {
	case given("sms.price") && !given("sms.currency"):
		l.problem(l.where("sms.price"), "sms.price is set without sms.currency; set it, such as EUR")
	case given("sms.currency") && !given("sms.price"):
		l.problem(l.where("sms.currency"), "sms.currency is set without sms.price, what one text costs; set it, or leave out both")
	case money != "" && !given("sms.price"):
		l.problem(l.where(money), "%s is set without sms.price and sms.currency, from which money is counted", money)
	}
}

// smsProvider checks one provider as its driver will.
func (l *loader) smsProvider(head string, p authn.TextProvider) {
	if p.Driver == "" {
		return
	}
	_, err := textDrivers(http.DefaultClient)[p.Driver].Open(p)
	var bad *authn.Error
	if errors.As(err, &bad) {
		for _, f := range bad.Fields {
			key, form := head+"."+f.Name, smsForms[p.Driver][f.Name]
			switch {
			case f.Code != "required":
				l.problem(l.where(key), "%s is not what %s takes: %s", key, p.Driver, form)
			case f.Name == "secret":
				l.problem(key, "is missing: %s needs %s; set %s%s_SECRET_FILE to a file that holds it", p.Driver, form, envPrefix, strings.ToUpper(head))
			default:
				l.problem(key, "is missing: %s needs %s", p.Driver, form)
			}
		}
		return
	}
	if u, err := url.Parse(p.URL); p.Driver == "webhook" && err == nil {
		l.webhookPlace(head+".url", u)
	}
	if key := head + ".secret"; l.readable && p.Secret != "" && !l.env[key] {
		l.problem(l.c.file, "holds %s and others can read it; run `chmod 600 %s`", key, l.c.file)
	}
}

// webhookPlace refuses an address that would be refused whenever a text is sent.
func (l *loader) webhookPlace(key string, u *url.URL) {
	g, err := l.c.guard()
	if err == nil {
		err = g.CheckURL(u)
	}
	var refused *egress.Refused
	switch {
	case errors.As(err, &refused) && refused.Rule == "port":
		l.problem(l.where(key), "%s is at a port that egress.ports does not list; add it there", key)
	case errors.As(err, &refused):
		l.problem(l.where(key), "%s is not on the public internet; set egress.private to true to let it be there", key)
	case err != nil:
		l.problem(l.where(key), "%s cannot be judged: %v", key, err)
	}
}

// warnings are the fields that a driver does not look at.
func (c *smsConfig) warnings() []string {
	var out []string
	for i, p := range []authn.TextProvider{c.First, c.Second} {
		fields := map[string]string{"account": p.Account, "from": p.From, "region": p.Region, "url": p.URL}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if p.Driver != "" && fields[name] != "" && smsForms[p.Driver][name] == "" {
				out = append(out, fmt.Sprintf("%s.%s means nothing with %s", []string{"sms", "sms2"}[i], name, p.Driver))
			}
		}
	}
	return out
}
