package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/smtp"
	"github.com/sallyport-mfa/sallyport/notice"
)

// mailConfig is the server's own way to send mail.
type mailConfig struct {
	Host, User, Password    string
	Port                    int
	TLS                     smtp.TLS
	Auth                    smtp.Auth
	From, FromName, ReplyTo string
	CAFile                  string
}

// on reports whether there is mail at all.
func (m *mailConfig) on() bool { return m.Host != "" }

// mailKeys are the settings that mean nothing without mail.host.
var mailKeys = []string{"mail.port", "mail.tls", "mail.user", "mail.password", "mail.auth", "mail.from", "mail.from_name", "mail.reply_to", "mail.ca_file"}

func setMail(field func(*mailConfig) *string) func(*loader, string) error {
	return func(l *loader, v string) error {
		if strings.ContainsAny(v, "\x00\x01\r\n") {
			return errors.New("must be one line")
		}
		*field(&l.c.Mail) = v
		return nil
	}
}

func setMailHost(l *loader, v string) error {
	if _, err := netip.ParseAddr(v); err != nil && strings.ContainsAny(v, ":/@ ") || v == "" {
		return errors.New("must be a host name or an address, without a scheme and without a port")
	}
	l.c.Mail.Host = v
	return nil
}

func setMailPort(l *loader, v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > 65535 {
		return errors.New("must be a port, such as 587 or 465")
	}
	l.c.Mail.Port = n
	return nil
}

func setMailTLS(l *loader, v string) error {
	switch t := smtp.TLS(v); t {
	case smtp.StartTLS, smtp.Implicit, smtp.Plaintext:
		l.c.Mail.TLS = t
		return nil
	}
	return errors.New("must be starttls, implicit or none")
}

func setMailAuth(l *loader, v string) error {
	switch a := smtp.Auth(v); a {
	case smtp.AuthAuto, smtp.AuthPlain, smtp.AuthLogin, smtp.AuthXOAUTH2, smtp.AuthNone:
		l.c.Mail.Auth = a
		return nil
	}
	return errors.New("must be auto, plain, login, xoauth2 or none")
}

func setMailAddress(field func(*mailConfig) *string) func(*loader, string) error {
	return func(l *loader, v string) error {
		a, err := mail.ParseAddress(v)
		if err != nil || a.Address != v {
			return errors.New("must be a bare e-mail address, such as no-reply@example.com")
		}
		*field(&l.c.Mail) = v
		return nil
	}
}

func setPrivate(l *loader, v string) error {
	if v != "true" && v != "false" {
		return errors.New("must be true or false")
	}
	l.c.Private = v == "true"
	return nil
}

// togetherMail says everything that is wrong between the settings of mail.
func (l *loader) togetherMail() {
	m, before := &l.c.Mail, len(l.problems)
	given := func(key string) bool { return l.given[key] != "" }
	if !m.on() {
		for _, key := range mailKeys {
			if given(key) && !given("mail.host") {
				l.problem(l.where(key), "%s is set and mail.host is not; set it, or leave out all of mail", key)
			}
		}
		return
	}
	if !given("mail.from") {
		l.problem("mail.from", "is missing: set it to the address that messages come from, such as no-reply@example.com")
	}
	switch unsigned := m.Auth == smtp.AuthNone; {
	case unsigned && (m.User != "" || m.Password != ""):
		l.problem(l.where("mail.auth"), "mail.auth is none, but a user or a password is set; leave them out, or choose a way to sign in")
	case !unsigned && m.User != "" && m.Password == "":
		l.problem(l.where("mail.user"), "mail.user is set without mail.password; set %sMAIL_PASSWORD_FILE to a file that holds it", envPrefix)
	case m.User == "" && m.Password != "":
		l.problem(l.where("mail.password"), "mail.password is set without mail.user; set the user name that it belongs to")
	case m.User == "" && m.Auth != "" && !unsigned:
		l.problem(l.where("mail.auth"), "mail.auth needs mail.user and mail.password; leave it out for a server that is used without signing in")
	}
	if m.TLS == smtp.Plaintext && !loopbackHost(m.Host) {
		l.problem(l.where("mail.tls"), "mail.tls is none, and mail.host is another machine: messages carry codes and links, and are sent unencrypted to this machine only; use starttls or implicit")
	}
	if l.readable && m.Password != "" && !l.env["mail.password"] {
		l.problem(l.c.file, "holds the mail server's password and others can read it; run `chmod 600 %s`", l.c.file)
	}
	if len(l.problems) == before && !l.malformedMail() {
		// What only the sender knows of its own rules.
		if _, err := smtp.New(m.smtp()); err != nil {
			l.problem(l.where("mail.host"), "mail cannot be sent so: %s", strings.TrimPrefix(err.Error(), "smtp: "))
		}
	}
}

// malformedMail reports whether a setting of mail was refused on its own.
func (l *loader) malformedMail() bool {
	m := l.c.Mail
	return l.given["mail.from"] != "" && m.From == "" || l.given["mail.reply_to"] != "" && m.ReplyTo == "" ||
		l.given["mail.tls"] != "" && m.TLS == "" || l.given["mail.auth"] != "" && m.Auth == ""
}

func (m *mailConfig) smtp() smtp.Config {
	return smtp.Config{Host: m.Host, Port: m.Port, TLS: m.TLS, Username: m.User, Password: m.Password, Auth: m.Auth,
		From: m.From, FromName: m.FromName, ReplyTo: m.ReplyTo}
}

// sender opens the server's own way to send mail. It connects to nothing yet.
func (m *mailConfig) sender(timeout time.Duration) (*smtp.Sender, error) {
	c := m.smtp()
	c.Timeout = timeout
	if m.CAFile != "" {
		pem, err := os.ReadFile(m.CAFile)
		if err != nil {
			return nil, fmt.Errorf("mail.ca_file %s: %w", m.CAFile, unwrapPath(err))
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("mail.ca_file %s holds no certificate in PEM", m.CAFile)
		}
	}
	s, err := smtp.New(c)
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return s, nil
}

// sendTime is for one message while somebody waits for it.
const sendTime = 5 * time.Second

// senders are the server's own; nil without mail.
func (c *config) senders() (map[authn.Kind]authn.Sender, error) {
	if !c.Mail.on() {
		return nil, nil
	}
	s, err := c.Mail.sender(sendTime)
	if err != nil {
		return nil, err
	}
	return map[authn.Kind]authn.Sender{authn.Email: s}, nil
}

// companyMail sends through the servers that companies name; nil without mail.
func (c *config) companyMail() (authn.MailServers, error) {
	if !c.Mail.on() {
		return nil, nil
	}
	m, err := smtp.ForCompanies(c.Private)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// notices is what the store is opened with: what people are told of an event.
// Without mail nobody is told, and nothing waits.
func (m *mailConfig) notices() func(authn.Event) (authn.Template, bool) {
	if !m.on() {
		return nil
	}
	return notice.For
}

// mailStep is one stage of a test connection, in words for the operator.
type mailStep struct {
	Stage string        // connect, encrypt, sign_in
	OK    bool          //
	Took  time.Duration //
	Text  string        // what happened, and what to do
	Reply string        // the server's own words; empty: none
}

// mailTest bounds checkMail.
const mailTest = 10 * time.Second

// checkMail connects to the mail server, encrypts and signs in, and sends
// nothing. Without mail there are no steps.
func checkMail(ctx context.Context, c *config) ([]mailStep, error) {
	if !c.Mail.on() {
		return nil, nil
	}
	s, err := c.Mail.sender(mailTest)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var steps []mailStep
	for _, p := range s.Probe(ctx, authn.Message{}) {
		step := mailStep{Stage: p.Stage, OK: p.OK, Took: p.Took, Reply: p.Reply}
		switch {
		case p.OK && p.Detail == "":
			step.Text = mailFine[p.Stage]
		default:
			step.Text = mailWords[p.Detail]
		}
		if step.Text == "" {
			step.Text = "This did not work: " + string(p.Detail) + "."
		}
		steps = append(steps, step)
	}
	return steps, nil
}

var mailFine = map[string]string{
	"connect": "Connected to the mail server.", "encrypt": "The connection is encrypted, and the certificate is right.",
	"sign_in": "The mail server accepts user name and password.",
}

// mailWords says for each reason what it means and what to do about it.
var mailWords = map[smtp.Reason]string{
	smtp.DNS:                "The name in mail.host has no address. Correct it, or look at this machine's name server.",
	smtp.Forbidden:          "Connecting to that address is not allowed from here.",
	smtp.Refused:            "Nobody answers at mail.host and mail.port. Correct the port (587 or 465), or start the mail server.",
	smtp.Unreachable:        "mail.host cannot be reached. Look at the network and the firewall of this machine.",
	smtp.Timeout:            "The mail server did not answer in time. A firewall may drop the connection: many networks block port 25; use 587 or 465.",
	smtp.Dropped:            "The mail server hung up. Port and mail.tls may not belong together: implicit goes with 465, starttls with 587.",
	smtp.BadReply:           "What answers is no mail server. Correct mail.host and mail.port.",
	smtp.TooMuch:            "The server said far more than a mail server does. Correct mail.host and mail.port.",
	smtp.Unavailable:        "The mail server refuses connections from this machine for now. Its own words say why.",
	smtp.NoStartTLS:         "The mail server offers no encryption on this port. Set mail.tls to implicit with port 465, or choose another server.",
	smtp.TLSMode:            "The port is one that begins unencrypted. Set mail.tls to starttls.",
	smtp.TLSFailed:          "Encryption could not be agreed on. The server needs TLS 1.2 or newer, and mail.tls must suit the port.",
	smtp.CertificateName:    "The certificate is another host's. Set mail.host to the name that stands in it.",
	smtp.CertificateUnknown: "Nobody this machine trusts issued the certificate. Set mail.ca_file to its issuer's.",
	smtp.CertificateInvalid: "The certificate is over, or not meant for a server. Renew it on the mail server.",
	smtp.NotEncrypted:       "The connection is not encrypted. On this machine that is all right.",
	smtp.AuthNotOffered:     "The mail server does not offer this way to sign in. Change mail.auth, or leave out mail.user if it needs none.",
	smtp.BadCredentials:     "The mail server does not accept user name and password. With two-step sign-in at the provider, make an app password.",
	smtp.NotNeeded:          "No user name is set, so nobody signed in.",
	smtp.Deferred:           "The mail server asks to try later. Its own words say why.",
	smtp.SenderRefused:      "The mail server does not send for mail.from. Use an address that the account may send from.",
}
