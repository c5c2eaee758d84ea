package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// recheck is how often the certificate files are looked at.
const recheck = time.Minute

// certificate serves a key pair from files and follows their renewal, so that
// a tool such as certbot needs no restart.
type certificate struct {
	file, key string
	log       *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	changed time.Time // newer of the two files
	next    time.Time // when to look again
}

// newCertificate loads the files that c names.
func newCertificate(c *config, log *slog.Logger) (*certificate, error) {
	k := &certificate{file: c.Certificate, key: c.CertificateKey, log: log}
	if err := k.load(); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *certificate) load() error {
	info, err := os.Stat(k.key)
	if err == nil && posix && info.Mode().Perm()&0o007 != 0 {
		return fmt.Errorf("tls: %s has mode %04o: everybody on this machine can reach the key; run `chmod o= %s`", k.key, info.Mode().Perm(), k.key)
	}
	pair, err := tls.LoadX509KeyPair(k.file, k.key)
	if err != nil {
		return fmt.Errorf("tls: %s and %s are not usable: %w", k.file, k.key, err)
	}
	k.pair, k.changed = &pair, k.newest()
	return nil
}

func (k *certificate) newest() time.Time {
	var t time.Time
	for _, name := range []string{k.file, k.key} {
		if info, err := os.Stat(name); err == nil && info.ModTime().After(t) {
			t = info.ModTime()
		}
	}
	return t
}

// get is tls.Config.GetCertificate. A renewal that cannot be read (half
// written, most likely) leaves the old pair in use until the next look.
func (k *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := time.Now(); now.After(k.next) {
		k.next = now.Add(recheck)
		if !k.newest().Equal(k.changed) {
			if err := k.load(); err != nil {
				k.log.Error("the renewed certificate is not used", "error", err)
			}
		}
	}
	return k.pair, nil
}
