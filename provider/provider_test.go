package provider_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/egress"
	mail "github.com/sallyport-mfa/sallyport/message/smtp"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

const secret = "hunter2-7YqK2"

// box is a mail server of some company, on this machine.
type box struct {
	port int
	stop func()
	mu   sync.Mutex
	got  []string
}

func (b *box) letters() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.got...)
}

type visit struct {
	b      *box
	signed bool
	to     string
}

func (v *visit) AuthMechanisms() []string { return []string{"PLAIN"} }
func (v *visit) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "acme" || password != secret {
			return smtp.ErrAuthFailed
		}
		v.signed = true
		return nil
	}), nil
}
func (v *visit) Mail(string, *smtp.MailOptions) error {
	if !v.signed {
		return smtp.ErrAuthRequired
	}
	return nil
}
func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error { v.to = to; return nil }
func (v *visit) Reset()                                    {}
func (v *visit) Logout() error                             { return nil }
func (v *visit) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	v.b.mu.Lock()
	defer v.b.mu.Unlock()
	v.b.got = append(v.b.got, v.to+"\n"+string(body))
	return err
}

func serve(t *testing.T, cert tls.Certificate) *box {
	t.Helper()
	b := &box{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.port = l.Addr().(*net.TCPAddr).Port
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &visit{b: b}, nil }))
	s.Domain, s.TLSConfig = "localhost", &tls.Config{Certificates: []tls.Certificate{cert}}
	go s.Serve(l) // ends when closed
	b.stop = func() { s.Close() }
	t.Cleanup(b.stop)
	return b
}

// certificate is one of 127.0.0.1 that the pool trusts.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// noDNS knows no records.
type noDNS struct{}

func (noDNS) LookupTXT(context.Context, string) ([]string, error) {
	return nil, &net.DNSError{IsNotFound: true}
}

// stage is a server whose companies' mail servers are real ones, on this machine.
type stage struct {
	*sallyporttest.Server
	a, b  *box
	owner sallyporttest.Person
	who   provider.Who
}

func newStage(t *testing.T) *stage {
	t.Helper()
	cert, pool := certificate(t)
	st := &stage{a: serve(t, cert), b: serve(t, cert)}
	g, err := egress.New(egress.Config{AllowPrivate: true, Ports: []int{st.a.port, st.b.port}})
	if err != nil {
		t.Fatal(err)
	}
	st.Server = sallyporttest.NewServer(t, func(c *sallyport.Config) { c.CompanyMail = &mail.Companies{Guard: g, RootCAs: pool, Resolver: noDNS{}} })
	u, err := st.Directory.CreateUser(t.Context(), st.Company, directory.NewUser{Login: "priya", Email: "priya@acme.example", Verified: true,
		Roles: []string{directory.Owner}, Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	st.owner = sallyporttest.Person{User: u}
	st.owner.Factor, st.owner.Secret = st.AddApp(t, u)
	st.signIn(t)
	return st
}

// signIn gives the owner a session with a proof of now.
func (s *stage) signIn(t *testing.T) {
	t.Helper()
	s.Clock.Advance(30 * time.Second)
	now := s.Clock.Now()
	id := authn.NewID(authn.SessionID, now, rand.Reader)
	token := authn.NewToken(authn.SessionToken, s.Company.ID, id, rand.Reader)
	err := s.Store.Decide(t.Context(), authn.Keys{Company: s.Company.ID, User: s.owner.ID, Now: now}, func(rows *authn.Rows) authn.Verdict {
		return authn.Continue(authn.NewSession{Token: token, Session: authn.Session{ID: id, Epoch: rows.User.Epoch, AMR: []string{"pwd", "otp"}, ACR: authn.AAL2,
			AuthTime: now, FactorTime: now, CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(1000 * time.Hour)}})
	})
	if err != nil {
		t.Fatal(err)
	}
	s.who = provider.Who{Token: token}
}

func (s *stage) use(t *testing.T, b *box) {
	t.Helper()
	if _, err := s.Providers.SetMail(t.Context(), s.who, provider.Change{MailSettings: settings(b)}); err != nil {
		t.Fatal(err)
	}
}

func settings(b *box) authn.MailSettings {
	return authn.MailSettings{Host: "127.0.0.1", Port: b.port, Username: "acme", Password: secret, From: "no-reply@acme.example"}
}

// tell makes a message to the owner, and sends what waits.
func (s *stage) tell(t *testing.T) {
	t.Helper()
	now := s.Clock.Now()
	err := s.Store.Decide(t.Context(), authn.Keys{Company: s.Company.ID, User: s.owner.ID, Now: now}, func(*authn.Rows) authn.Verdict {
		return authn.Accept(authn.Event{Company: s.Company.ID, ID: authn.NewID(authn.EventID, now, rand.Reader), Type: "user.two_factor_required",
			Actor: "operator", Target: s.owner.ID, Result: authn.Succeeded, At: now})
	})
	if err != nil {
		t.Fatal(err)
	}
	s.drain(t)
}

func (s *stage) drain(t *testing.T) {
	t.Helper()
	if _, err := s.Notices.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func count(list []string, of string) (n int) {
	for _, s := range list {
		if strings.Contains(s, of) {
			n++
		}
	}
	return n
}

const (
	changed = "Settings for sending messages were changed"
)

// Messages go through the company's server once it is saved; of a change all
// owners hear through the one before, for a day, whatever is changed meanwhile.
func TestWhichServer_rul19(t *testing.T) {
	s := newStage(t)
	inbox := func() (list []string) {
		for _, m := range s.Inbox.Messages() {
			list = append(list, m.Subject+"\n"+m.Text)
		}
		return list
	}
	s.drain(t)
	before := len(inbox())
	s.use(t, s.a) // from the server's own to a
	s.tell(t)
	if got := inbox(); count(got, changed) != 1 || len(got) != before+1 || len(s.a.letters()) != 1 {
		t.Fatalf("the server sent %d, a %d", len(got)-before, len(s.a.letters()))
	}
	s.Clock.Advance(25 * time.Hour)
	s.signIn(t)
	s.use(t, s.b) // told through a
	s.drain(t)
	if count(s.a.letters(), changed) != 1 || len(s.b.letters()) != 0 {
		t.Fatalf("told by a: %d, by b: %d", count(s.a.letters(), changed), len(s.b.letters()))
	}
	if _, err := s.Providers.RemoveMail(t.Context(), s.who, 0); err != nil { // again within the day: still through a
		t.Fatal(err)
	}
	s.drain(t)
	if count(s.a.letters(), changed) != 2 || len(s.b.letters()) != 0 {
		t.Fatalf("told by a: %d, by b: %d", count(s.a.letters(), changed), len(s.b.letters()))
	}
	n := len(inbox())
	s.tell(t) // and the rest goes through the server's own
	if len(inbox()) != n+1 || len(s.a.letters()) != 3 {
		t.Fatalf("server %d, a %d", len(inbox())-n, len(s.a.letters()))
	}
	// The settings before do not stay.
	if err := s.Store.Sweep(t.Context(), s.Clock.Now().Add(25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if p, err := s.Store.Provider(t.Context(), s.Company.ID, authn.Email); err != nil || p.Previous != nil || p.Settings != nil {
		t.Errorf("%d bytes stayed, %v", len(p.Previous), err)
	}
}

// rul-19, rul-4: what somebody set who may do less carries no code and no reset of an
// owner for a day, also when it was changed before; an owner who saves it agrees.
func TestCodesOfWhoMayDoMore_rul19_rul4(t *testing.T) {
	s := newStage(t)
	op := directory.TheOperator(s.Company.ID)
	if _, err := s.Directory.SaveRole(t.Context(), op, directory.RoleChange{Name: "mailers", Title: "Mailers", Permissions: []string{string(directory.ProvidersWrite)}}); err != nil {
		t.Fatal(err)
	}
	acme, err := s.Directory.Company(t.Context(), s.Company.Slug)
	if err != nil {
		t.Fatal(err)
	}
	add := func(login string, roles ...string) sallyporttest.Person {
		u, err := s.Directory.CreateUser(t.Context(), acme, directory.NewUser{Login: login, Email: login + "@acme.example", Verified: true, Roles: roles, Password: sallyporttest.Password})
		if err != nil {
			t.Fatal(err)
		}
		p := sallyporttest.Person{User: u}
		p.Factor, p.Secret = s.AddApp(t, u)
		return p
	}
	priya, mailer, tom := s.owner, add("mailer", "mailers"), add("tom")
	ours := func() (list []string) {
		for _, m := range s.Inbox.Messages() {
			list = append(list, m.To)
		}
		return list
	}
	reset := func(p sallyporttest.Person) (server, a, b int) {
		t.Helper()
		s.Clock.Advance(time.Hour)
		n, na, nb := len(ours()), len(s.a.letters()), len(s.b.letters())
		if _, err := s.SignIn.AskReset(t.Context(), signin.ResetAsk{Company: s.Company.Slug, Login: p.Login}); err != nil {
			t.Fatal(err)
		}
		s.drain(t)
		return len(ours()) - n, len(s.a.letters()) - na, len(s.b.letters()) - nb
	}
	want := func(what string, p sallyporttest.Person, server, a, b int) {
		t.Helper()
		if x, y, z := reset(p); x != server || y != a || z != b {
			t.Errorf("%s: the server sent %d, a %d, b %d", what, x, y, z)
		}
	}
	s.drain(t)
	s.use(t, s.a) // an owner did: for everybody at once
	s.drain(t)
	want("an owner's change", priya, 0, 1, 0)
	s.Clock.Advance(22 * time.Hour)
	s.owner = mailer
	s.signIn(t)
	s.use(t, s.b) // the second change of a day
	s.drain(t)
	want("who set it", mailer, 0, 0, 1)
	want("who may do less", tom, 0, 0, 1)
	want("an owner, the rest of the first day", priya, 1, 0, 0)
	s.Clock.Advance(19 * time.Hour)
	want("an owner, the rest of the second day", priya, 1, 0, 0)
	s.Clock.Advance(time.Hour)
	want("an owner, a day later", priya, 0, 0, 1)
	s.signIn(t)
	s.use(t, s.a)
	s.drain(t)
	want("changed again", priya, 0, 0, 1) // b is what was there before
	s.owner = priya
	s.signIn(t)
	s.use(t, s.a)
	s.drain(t)
	want("an owner agrees", priya, 0, 1, 0)
}

// An owner whose only way is codes by e-mail can confirm with one; without a
// recent one, and for whoever holds more, it is not enough.
func TestConfirmedByMail_rul26(t *testing.T) {
	s := newStage(t)
	u, err := s.Directory.CreateUser(t.Context(), s.Company, directory.NewUser{Login: "noor", Email: "noor@acme.example", Verified: true,
		Roles: []string{directory.Owner}, Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	now := s.Clock.Now()
	ask := func(user string, confirmed time.Time, more ...authn.Write) error {
		id := authn.NewID(authn.SessionID, now, rand.Reader)
		token := authn.NewToken(authn.SessionToken, s.Company.ID, id, rand.Reader)
		err := s.Store.Decide(t.Context(), authn.Keys{Company: s.Company.ID, User: user, Now: now}, func(rows *authn.Rows) authn.Verdict {
			return authn.Continue(append(more, authn.NewSession{Token: token, Session: authn.Session{ID: id, Epoch: rows.User.Epoch,
				AMR: []string{"pwd", "mca", "otp"}, ACR: authn.AAL1, AuthTime: now, ConfirmedAt: confirmed, CreatedAt: now, LastSeenAt: now,
				ExpiresAt: now.Add(time.Hour)}})...)
		})
		if err != nil {
			t.Fatal(err)
		}
		return s.Providers.Ready(t.Context(), provider.Who{Token: token})
	}
	mail := authn.NewFactor{Factor: authn.Factor{ID: authn.NewID(authn.FactorID, now, rand.Reader), Kind: authn.Email, State: authn.Confirmed, CreatedAt: now, ConfirmAt: now}}
	if err := ask(u.ID, now, mail); err != nil {
		t.Errorf("after a code by e-mail: %v", err)
	}
	if err := ask(u.ID, time.Time{}); !errors.Is(err, authn.StepUpRequired) {
		t.Errorf("without one: %v", err)
	}
	if err := ask(s.owner.ID, now); !errors.Is(err, authn.StepUpRequired) {
		t.Errorf("of somebody with an app: %v", err)
	}
}

// A company's server that is down keeps its letters waiting: no other one takes
// them, and the owner sees it.
func TestNoFallback(t *testing.T) {
	s := newStage(t)
	s.use(t, s.a)
	s.drain(t)
	s.a.stop()
	if err := s.Providers.Close(); err != nil {
		t.Fatal(err)
	}
	n := len(s.Inbox.Messages())
	s.tell(t)
	st, err := s.Providers.Mail(t.Context(), s.who)
	if err != nil {
		t.Fatal(err)
	}
	if st.Health != provider.Failing || st.Failed != "connect" || st.Outbox.Waiting != 1 || len(s.Inbox.Messages()) != n {
		t.Errorf("%+v, the server sent %d", st, len(s.Inbox.Messages())-n)
	}
	if st.Settings.Password != "" || !st.HasPassword {
		t.Error("the password is told, or forgotten")
	}
}

// Steps as the server takes them; its words only after it has shown who it is.
func TestSteps(t *testing.T) {
	s := newStage(t)
	m := settings(s.b)
	res, err := s.Providers.Test(t.Context(), s.who, provider.Change{MailSettings: m}, "x@acme.example")
	if err != nil || !res.OK || len(res.Steps) != 5 || count(s.b.letters(), "test of the e-mail settings") != 1 {
		t.Fatalf("%+v, %v", res, err)
	}
	m.Password = "not that one"
	res, err = s.Providers.Test(t.Context(), s.who, provider.Change{MailSettings: m}, "")
	if last := res.Steps[len(res.Steps)-1]; err != nil || res.OK || last.Reason != "bad_credentials" || !strings.HasPrefix(last.Reply, "535") {
		t.Fatalf("%+v, %v", res, err)
	}
	st, err := s.Providers.Mail(t.Context(), s.who)
	if err != nil || st.Health != provider.Server || st.Version != 0 {
		t.Errorf("a test saved something: %+v, %v", st, err)
	}
}
