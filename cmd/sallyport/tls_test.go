package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// insecure accepts the certificates that the tests make.
var insecure = &http.Client{
	Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// writePair writes a self-signed certificate for localhost.
func writePair(certFile, keyFile string, serial int64) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return err
	}
	return os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600)
}

// cmdCertificate runs "certificate FILE KEY".
func cmdCertificate(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(writePair(ts.MkAbs(args[0]), ts.MkAbs(args[1]), 1))
}

// cmdHold runs "hold DATABASE": another process writes and does not end.
func cmdHold(ts *testscript.TestScript, neg bool, args []string) {
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	db.SetMaxOpenConns(1)
	_, err = db.Exec("BEGIN IMMEDIATE")
	ts.Check(err)
	ts.Defer(func() { db.Close() })
}

// A renewed certificate is served without a restart, and a broken one is not.
func TestCertificateRenewal(t *testing.T) {
	dir := t.TempDir()
	c := &config{Certificate: filepath.Join(dir, "cert.pem"), CertificateKey: filepath.Join(dir, "key.pem")}
	if err := writePair(c.Certificate, c.CertificateKey, 1); err != nil {
		t.Fatal(err)
	}
	k, err := newCertificate(c, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		t.Helper()
		k.next = time.Time{} // a minute later
		pair, err := k.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf.SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Fatalf("serial %d", got)
	}
	touch := func(d time.Duration) {
		t.Helper()
		at := time.Now().Add(d)
		for _, f := range []string{c.Certificate, c.CertificateKey} {
			if err := os.Chtimes(f, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := writePair(c.Certificate, c.CertificateKey, 2); err != nil {
		t.Fatal(err)
	}
	touch(time.Hour)
	if got := serial(); got != 2 {
		t.Errorf("after renewal serial %d", got)
	}
	if err := os.WriteFile(c.Certificate, []byte("half a certi"), 0o644); err != nil {
		t.Fatal(err)
	}
	touch(2 * time.Hour)
	if got := serial(); got != 2 {
		t.Errorf("after a broken renewal serial %d", got)
	}
}
