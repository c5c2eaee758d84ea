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
	"slices"
	"sync"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/store"
)

// watched is the store of a demo. It differs in one thing: it keeps a copy of
// the secret of every authenticator app that is set up, and of backup codes, for
// the practice app and for tests. So nothing that is real has a way to read an
// active secret, and the demo still follows when somebody sets up anew.
type watched struct {
	*store.Store
	seen *secrets
	log  *slog.Logger
}

// Decide is the store's. What is seen does not count before the database says
// that the factor is there and active.
func (w watched) Decide(ctx context.Context, k authn.Keys, f func(*authn.Rows) authn.Verdict) error {
	var writes []authn.Write
	var mu sync.Mutex // the decision may still run when Decide has given up
	err := w.Store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		v := f(rows)
		mu.Lock()
		writes = v.Writes()
		mu.Unlock()
		return v
	})
	mu.Lock()
	defer mu.Unlock()
	if w.seen.note(writes, err == nil) {
		if err := w.seen.save(); err != nil && w.log != nil {
			w.log.Error("the practice app will not know this secret after a restart", "error", err)
		}
	}
	return err
}

// watchedCodes makes backup codes, and remembers by its hash what each was.
type watchedCodes struct {
	enroll.Codes
	seen *secrets
}

// NewSet is the maker's.
func (w watchedCodes) NewSet() ([]string, []authn.SavedCode, error) {
	shown, saved, err := w.Codes.NewSet()
	if err == nil {
		w.seen.made(shown, saved)
	}
	return shown, saved, err
}

// secrets are what the demo knows of people's ways, by factor id.
type secrets struct {
	path string // empty: in memory only

	mu     sync.Mutex
	kept   kept
	byHash map[string]string // backup codes that nobody may have got yet
}

// kept is the file.
type kept struct {
	Apps  map[string]string         `json:"apps"`  // base32
	Codes map[string]map[int]string `json:"codes"` // backup codes that are left, by number
	Duo   keptDuo                   `json:"duo"`
}

// loadSecrets reads what an earlier run has kept.
func loadSecrets(path string) (*secrets, error) {
	s := &secrets{path: path, kept: kept{Apps: map[string]string{}, Codes: map[string]map[int]string{}}, byHash: map[string]string{}}
	if path == "" {
		return s, nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s.kept)
	}
	if err != nil {
		return nil, fmt.Errorf("demo: %s cannot be read; remove the folder and start again (%w)", path, err)
	}
	return s, nil
}

// note keeps what a decision wrote, and reports whether there was anything.
func (s *secrets) note(writes []authn.Write, done bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	for _, write := range writes {
		switch n := write.(type) {
		case authn.NewFactor:
			if n.Factor.Kind == authn.TOTP {
				s.kept.Apps[n.Factor.ID], found = otp.Secret(n.Secret).Base32(), true
			}
		case authn.NewCodes:
			list := map[int]string{}
			for _, c := range n.Codes {
				list[c.N] = s.byHash[string(c.Hash)]
				delete(s.byHash, string(c.Hash))
			}
			s.kept.Codes[n.Factor], found = list, true
		case authn.SpendCode:
			if done {
				delete(s.kept.Codes[n.Factor], n.N)
				found = true
			}
		}
	}
	return found
}

func (s *secrets) made(shown []string, saved []authn.SavedCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byHash) > 1000 {
		clear(s.byHash) // sets that were made and not taken
	}
	for i, c := range saved {
		s.byHash[string(c.Hash)] = shown[i]
	}
}

// of is the secret of an app in base32; empty: not known.
func (s *secrets) of(factor string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept.Apps[factor]
}

// codes are the backup codes that are left, in their order.
func (s *secrets) codes(factor string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []string{}
	for _, n := range slices.Sorted(maps.Keys(s.kept.Codes[factor])) {
		out = append(out, s.kept.Codes[factor][n])
	}
	return out
}

func (s *secrets) save() error {
	if s.path == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := json.Marshal(s.kept)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(s.path+".new", s.path)
}
