package sqlite_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/store/sqlite"
)

func config(t *testing.T, path string) sqlite.Config {
	t.Helper()
	ring, err := keyring.Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return sqlite.Config{Path: path, Keyring: ring, Log: slog.New(slog.DiscardHandler)}
}

func TestExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	c := config(t, path)
	c.Exclusive = true
	first, err := sqlite.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, err = sqlite.Open(context.Background(), c)
	if err == nil || !strings.Contains(err.Error(), "another server") || !strings.Contains(err.Error(), path) {
		t.Fatalf("rul-56: a second server: %v", err)
	}
	c.Exclusive = false
	beside, err := sqlite.Open(context.Background(), c)
	if err != nil {
		t.Fatalf("rul-56: a command beside the server: %v", err)
	}
	if err := beside.SetMark(context.Background(), "demo", "yes"); err != nil {
		t.Error(err)
	}
	if got, err := first.Mark(context.Background(), "demo"); got != "yes" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	beside.Close()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	c.Exclusive = true
	again, err := sqlite.Open(context.Background(), c)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	if err := errors.Join(again.Close(), again.Close()); err != nil {
		t.Error(err)
	}
}

func TestOpen(t *testing.T) {
	ctx := context.Background()
	t.Run("odd path", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a b?c=%20#ü&mode=memory")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "s?x.db")
		s, err := sqlite.Open(ctx, config(t, path))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.CreateCompany(ctx, authn.Company{ID: "cmp_1", Slug: "a"}, authn.Event{Type: "company.created"}); err != nil {
			t.Error(err)
		}
		s.Close()
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("not in its file: %v", err)
		}
	})
	t.Run("only its owner reads it", func(t *testing.T) {
		dir := t.TempDir()
		s, err := sqlite.Open(ctx, config(t, filepath.Join(dir, "s.db")))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) < 2 {
			t.Fatal(files, err)
		}
		for _, name := range files {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v %v", name, info.Mode(), err)
			}
		}
	})
	t.Run("rul-55 several processes make it at once", func(t *testing.T) {
		c := config(t, filepath.Join(t.TempDir(), "s.db"))
		done := make(chan error)
		for range 6 {
			go func() {
				s, err := sqlite.Open(ctx, c)
				if err == nil {
					err = errors.Join(s.Ready(ctx), s.Close())
				}
				done <- err
			}()
		}
		for range 6 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("no database", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s.db")
		if err := os.WriteFile(path, []byte(strings.Repeat("this is a letter ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := sqlite.Open(ctx, config(t, path))
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("misuse", func(t *testing.T) {
		if _, err := sqlite.Open(ctx, config(t, "")); err == nil {
			t.Error("without a path")
		}
		c := config(t, filepath.Join(t.TempDir(), "s.db"))
		c.Keyring = nil
		if _, err := sqlite.Open(ctx, c); err == nil {
			t.Error("without a keyring")
		}
		if _, err := sqlite.Open(ctx, config(t, filepath.Join(t.TempDir(), "no", "folder", "s.db"))); err == nil {
			t.Error("without the folder")
		}
	})
}
