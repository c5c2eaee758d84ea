package demo

import (
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
)

// Password is everybody's.
const Password = "sallyport demo only"

const (
	companySlug = "acme"
	companyName = "Acme Projects"
)

// condition is what happened to a person's authenticator app.
type condition int

const (
	nothing condition = iota // never set up
	app                      // set up and in use
	locked                   // disabled by 100 wrong codes
	paused                   // wrong codes just now: nobody may try for an hour
)

// person is one of the people of Acme. Those whose method is not built yet are
// not among them.
type person struct {
	login, name string
	role        string
	outside     bool // a customer, not staff
	required    bool // two-factor is required of them
	suspended   bool
	app         condition
	phone       string // what they called the app
}

// people are everybody. The policy of the company is "on": were it "required",
// nobody could see how the app is switched off and on.
var people = []person{
	{login: "priya", name: "Priya Raman", role: directory.Owner, required: true, app: app, phone: "Priya's phone"},
	{login: "maya", name: "Maya Lindqvist", role: directory.Member, app: app, phone: "Maya's phone"},
	{login: "tom", name: "Tom Okafor", role: directory.Member, app: locked, phone: "Tom's phone"},
	{login: "hiroshi", name: "Hiroshi Tanaka", role: directory.Administrator, required: true, app: app, phone: "Work phone"},
	{login: "amara", name: "Amara Nwosu", role: directory.Helpdesk, required: true, app: app, phone: "Amara's tablet"},
	{login: "lena", name: "Lena Weiß", role: directory.Member, app: nothing},
	{login: "ingrid", name: "Ingrid Sørensen", role: directory.Member, required: true, app: nothing},
	{login: "zanele", name: "Zanele Dlamini", role: directory.Member, app: paused, phone: "Zanele's phone"},
	{login: "kwame", name: "Kwame Mensah", role: directory.Member, suspended: true, app: app, phone: "Old phone"},
	{login: "sara", name: "سارة العلي", role: directory.Member, app: app, phone: "هاتفي"},
	{login: "jose", name: "José García Márquez", role: directory.Member, app: nothing},
	{login: "omar", name: "Omar Haddad", role: directory.Member, outside: true, app: nothing},
	{login: "mei", name: "陈美玲", role: directory.Member, outside: true, app: app, phone: "手机"},
	{login: "chloe", name: "Chloé Dubois", role: directory.Member, outside: true, required: true, app: app, phone: "Téléphone de Chloé"},
}

// user is the person as the directory takes them in.
func (p person) user() directory.NewUser {
	n := directory.NewUser{Login: p.login, Name: p.name, Email: p.login + "@acme.example", Verified: true,
		Audience: authn.InternalAudience, Roles: []string{p.role}, Require: p.required, Password: Password}
	if p.outside {
		n.Audience, n.Email = authn.ExternalAudience, p.login+"@customer.example"
	}
	return n
}
