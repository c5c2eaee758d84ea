package demo

import (
	"context"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
)

// Password is everybody's.
const Password = "sallyport demo only"

const (
	companySlug = "acme"
	companyName = "Acme Projects"
)

// BotSecret is what build-bot, an API account, sends with HTTP Basic.
const BotSecret = "wind over the northern pier"

// botRole is what build-bot may do.
const botRole = "deploy"

// person is one of the people of Acme. Numbers are of ranges that are set apart for fiction in
// Sweden, Germany and the United States.
type person struct {
	login, name string
	role        string
	outside     bool       // a customer, not staff
	unverified  bool       // nobody has shown that the address is theirs
	invited     bool       // has a link, and no password yet
	early       bool       // came before there were backup codes, and has none
	way         authn.Kind // the first way of their own; empty: an authenticator app
	phone       string     // what they call their authenticator app, or Duo their phone
	number      string     // for text messages, or of the phone that Duo knows
	contact     string     // number of the profile, where codes stand in
	verifies    bool       // at Duo their pushes ask for a number
	story       func(*life, context.Context) error
}

var people = []person{
	{login: "priya", name: "Priya Raman", role: directory.Owner, phone: "Priya's phone", story: (*life).usual},
	{login: "maya", name: "Maya Lindqvist", role: directory.Member, phone: "Maya's phone", number: "+46701740605", story: (*life).withoutPhone},
	{login: "lena", name: "Lena Weiß", role: directory.Member, story: (*life).hesitant},
	{login: "omar", name: "Omar Haddad", role: directory.Member, outside: true, story: (*life).customer},
	{login: "nadia", name: "Nadia Benali", role: directory.Member, early: true, way: authn.SMS, number: "+46701740606", story: (*life).byText},
	{login: "diego", name: "Diego Fuentes", role: directory.Member, early: true, way: authn.Duo, phone: "Android", number: "+46701740607", story: (*life).byDuo},
	{login: "tom", name: "Tom Okafor", role: directory.Member, phone: "Tom's phone", story: (*life).lockedOut},
	{login: "hiroshi", name: "Hiroshi Tanaka", role: directory.Administrator, phone: "Work phone", story: (*life).newPhone},
	{login: "amara", name: "Amara Nwosu", role: directory.Helpdesk, phone: "Amara's tablet", story: (*life).usual},
	{login: "zanele", name: "Zanele Dlamini", role: directory.Member, phone: "Zanele's phone", story: (*life).attacked},
	{login: "yusuf", name: "Yusuf Demir", role: directory.Administrator, way: authn.Duo, phone: "iOS", number: "+46701740608", verifies: true, story: (*life).pestered},
	{login: "sara", name: "سارة العلي", role: directory.Member, phone: "هاتفي", story: (*life).usual},
	{login: "ingrid", name: "Ingrid Sørensen", role: directory.Member, unverified: true, story: (*life).stuck},
	{login: "kwame", name: "Kwame Mensah", role: directory.Member, phone: "Old phone", story: (*life).leaver},
	{login: "freya", name: "Freya Holm", role: directory.Member, invited: true},
	{login: "jose", name: "José García Márquez", role: directory.Member, outside: true, way: authn.Email, story: (*life).byMail},
	{login: "grace", name: "Grace Miller", role: directory.Member, outside: true, contact: "+12025550123", story: (*life).customerByText},
	{login: "lukas", name: "Lukas Brandt", role: directory.Member, outside: true, way: authn.SMS, number: "+491713920017", story: (*life).customerWithText},
	{login: "mei", name: "陈美玲", role: directory.Member, outside: true, phone: "手机", story: (*life).customerWithApp},
	{login: "build-bot", name: "Build bot", role: directory.Member, story: (*life).program},
	{login: "chloe", name: "Chloé Dubois", role: directory.Member, outside: true, phone: "Téléphone de Chloé", story: (*life).notMe},
}

// user is the person as the directory takes them in.
func (p person) user() directory.NewUser {
	n := directory.NewUser{Login: p.login, Name: p.name, Email: p.login + "@acme.example", Verified: !p.unverified && !p.invited,
		Audience: authn.InternalAudience, Roles: []string{p.role}, Password: Password, Phone: directory.Phone{Typed: p.contact}}
	if p.outside {
		n.Audience, n.Email = authn.ExternalAudience, p.login+"@customer.example"
	}
	return n
}
