package auditstream_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/auditstream"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// ours is a certificate that issued itself, and its key, both PEM.
func ours(t *testing.T) (certificate, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// A receiver that demands a certificate takes events with one that it knows, and with
// no other; what is wrong with the pair is found before it is used.
func TestSyslogClientCertificate_rul32(t *testing.T) {
	certificate, key := ours(t)
	other, otherKey := ours(t)
	r := sallyporttest.NewSyslog(t)
	r.Down()
	r.Clients = x509.NewCertPool()
	r.Clients.AppendCertsFromPEM([]byte(certificate))
	r.Up(t)
	s := &auditstream.Syslog{Dial: (&net.Dialer{}).DialContext}
	to := authn.StreamSettings{Host: r.Host, Port: r.Port, CA: r.CA}
	for name, pair := range map[string][2]string{"none": {}, "another": {other, otherKey}} {
		to.Certificate, to.Secret = pair[0], pair[1]
		if err := s.Send(t.Context(), to, batch(`{"no":1}`)); err == nil || strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("%s: %v", name, err)
		}
	}
	to.Certificate, to.Secret = certificate, key
	if err := s.Send(t.Context(), to, batch(`{"yes":1}`)); err != nil {
		t.Fatal(err)
	}
	if got := r.Messages(t); len(got) != 1 || !strings.HasSuffix(got[0], `{"yes":1}`) {
		t.Errorf("%q", got)
	}
	for _, c := range []struct{ certificate, key, want string }{
		{certificate, key, ""}, {"", "", ""}, {certificate, "", "key required"}, {"", key, "certificate required"}, {"x", key, "certificate invalid"},
		{certificate, otherKey, "key invalid"}, {certificate, "x", "key invalid"},
	} {
		to.Certificate, to.Secret = c.certificate, c.key
		got := ""
		for _, f := range s.Check(to) {
			got += f.Name + " " + f.Code
		}
		if got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	a := authn.StreamSettings{Host: "a.example", Port: 6514}
	for _, b := range []authn.StreamSettings{{Host: "b.example", Port: 6514}, {Host: "a.example", Port: 6515}} {
		if a.Target() == b.Target() {
			t.Errorf("the key is kept for %s port %d", b.Host, b.Port)
		}
	}
}
