package smtp

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/egress"
)

// Companies sends through the mail servers that companies name. Whoever may
// change a company's settings can write anything in them: every connection goes
// through Guard (ruling 32), is encrypted, and the certificate is verified.
type Companies struct {
	Guard    *egress.Guard  // needed
	RootCAs  *x509.CertPool // nil: the system's
	Resolver Resolver       // for Records; nil: net.DefaultResolver
}

// ForCompanies makes one with the usual rules. With private, servers in private
// networks and on this machine are dialled too: for programs whose companies are
// their own.
func ForCompanies(private bool) (*Companies, error) {
	guard, err := egress.New(egress.Config{AllowPrivate: private})
	if err != nil {
		return nil, err
	}
	return &Companies{Guard: guard}, nil
}

var _ authn.MailServers = (*Companies)(nil)

// How long one message may take: while somebody waits for a code, and for a test.
const (
	companyTimeout = 5 * time.Second
	tryTimeout     = 10 * time.Second
)

// Open makes a sender that keeps a connection.
func (c *Companies) Open(s authn.MailSettings) (authn.ClosingSender, error) {
	return c.open(s, companyTimeout, 0)
}

func (c *Companies) open(s authn.MailSettings, timeout, idle time.Duration) (*Sender, error) {
	if err := c.check(s); err != nil {
		return nil, err
	}
	config := Config{Host: s.Host, Port: s.Port, TLS: TLS(s.TLS), Username: s.Username, Password: s.Password, From: s.From, FromName: s.FromName,
		Timeout: timeout, Idle: idle, Dialer: c.Guard.DialContext, RootCAs: c.RootCAs}
	sender, err := New(config)
	if err != nil {
		// What is left is of no field alone.
		return nil, &authn.Error{Code: authn.Invalid, Err: err, Fields: []authn.Field{{Name: "host", Code: "invalid"}}}
	}
	return sender, nil
}

// check says all that is wrong with what was typed, by field.
func (c *Companies) check(s authn.MailSettings) error {
	var fields []authn.Field
	wrong := func(name, code string) { fields = append(fields, authn.Field{Name: name, Code: code}) }
	if s.TLS != string(StartTLS) && s.TLS != string(Implicit) {
		wrong("tls", "not_one_of")
	}
	if !isHost(s.Host) {
		wrong("host", "mail_host")
	}
	if refused := (*egress.Refused)(nil); errors.As(c.Guard.Check(s.Host, s.Port), &refused) {
		if refused.Rule == "port" {
			wrong("port", "mail_port")
		} else {
			wrong("host", "not_public")
		}
	}
	if checkAddress(s.From) != nil || !isASCII(s.From) {
		wrong("from", "mail_from")
	}
	if fields != nil {
		return &authn.Error{Code: authn.Invalid, Fields: fields}
	}
	return nil
}

// Try is Sender.Probe on a connection of its own. Words of a server that has not
// shown who it is are left out: they could be those of something else that
// answers inside the network.
func (c *Companies) Try(ctx context.Context, s authn.MailSettings, m authn.Message) ([]authn.MailStep, error) {
	sender, err := c.open(s, tryTimeout, -1)
	if err != nil {
		return nil, err
	}
	defer sender.Close()
	var steps []authn.MailStep
	known := false
	for _, p := range sender.Probe(ctx, m) {
		step := authn.MailStep{Stage: p.Stage, OK: p.OK, Took: p.Took, Reason: string(p.Detail)}
		if known {
			step.Reply = p.Reply
		}
		known = known || p.Stage == "encrypt" && p.OK && p.Detail != NotEncrypted
		steps = append(steps, step)
	}
	return steps, nil
}

// Records asks for what the sender's domain publishes. Selectors of DKIM are not
// known here.
func (c *Companies) Records(ctx context.Context, domain string) authn.MailRecords {
	r := c.Resolver
	if r == nil {
		r = net.DefaultResolver
	}
	found := Hints(ctx, r, domain, "")
	return authn.MailRecords{SPF: string(found.SPF), DKIM: string(found.DKIM), DMARC: string(found.DMARC)}
}
