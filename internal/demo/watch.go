package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"sync"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/store"
)

// watched is the store of a demo. It differs in one thing: it keeps a copy of
// the secret of every authenticator app that is set up, for the practice app.
// So nothing that is real has a way to read an active secret, and the practice
// app still follows when somebody sets up their app anew.
type watched struct {
	*store.Store
	seen *secrets
	log  *slog.Logger
}

// Decide is the store's. What is seen does not count before the database says
// that the factor is there and active.
func (w watched) Decide(ctx context.Context, k authn.Keys, f func(*authn.Rows) authn.Verdict) error {
	found := false
	var mu sync.Mutex // the decision may still run when Decide has given up
	err := w.Store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		v := f(rows)
		for _, write := range v.Writes() {
			if n, ok := write.(authn.NewFactor); ok && n.Factor.Kind == authn.TOTP {
				w.seen.add(n.Factor.ID, n.Secret)
				mu.Lock()
				found = true
				mu.Unlock()
			}
		}
		return v
	})
	mu.Lock()
	defer mu.Unlock()
	if found {
		if err := w.seen.save(); err != nil && w.log != nil {
			w.log.Error("the practice app will not know this secret after a restart", "error", err)
		}
	}
	return err
}

// secrets are the practice app's: base32 by factor id.
type secrets struct {
	path string // empty: in memory only

	mu sync.Mutex
	m  map[string]string
}

// loadSecrets reads what an earlier run has kept.
func loadSecrets(path string) (*secrets, error) {
	s := &secrets{path: path, m: map[string]string{}}
	if path == "" {
		return s, nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s.m)
	}
	if err != nil {
		return nil, fmt.Errorf("demo: %s cannot be read; remove the folder and start again (%w)", path, err)
	}
	return s, nil
}

func (s *secrets) add(factor string, secret []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[factor] = otp.Secret(secret).Base32()
}

// of is the secret of a factor in base32; empty: not known.
func (s *secrets) of(factor string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[factor]
}

func (s *secrets) save() error {
	if s.path == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := json.Marshal(maps.Clone(s.m))
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(s.path+".new", s.path)
}
