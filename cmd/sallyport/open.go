package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/branding"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/demo"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/method/code"
	"github.com/sallyport-mfa/sallyport/method/webauthn"
	"github.com/sallyport-mfa/sallyport/notice"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/store"
	"github.com/sallyport-mfa/sallyport/store/postgres"
	"github.com/sallyport-mfa/sallyport/store/sqlite"
	webpages "github.com/sallyport-mfa/sallyport/web"
)

// use says what a command opens the database for.
type use int

const (
	beside use = iota // a running server, perhaps (ruling 56)
	alone             // this is the server
	anew              // the database is made
)

// opened is an installation: its store and what the operator does with it.
type opened struct {
	store     *store.Store
	directory *directory.Service
	providers *provider.Service
	branding  *branding.Service
	drivers   map[string]authn.TextDriver
	streams   map[authn.Kind]authn.StreamSender
	traits    func(authn.Company) func(authn.Kind) (authn.Traits, bool)
	kit
	url  string // where people reach the server
	mail bool   // a mail server is configured
	// models are those of passkeys; nil: there is no file of them.
	models *webauthn.Models
}

// open opens the installation that c describes.
func open(ctx context.Context, c *config, u use, log *slog.Logger) (*opened, error) {
	ring, err := c.keyring()
	if err != nil {
		return nil, err
	}
	st, err := openStore(ctx, c, u, ring, log)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", c.place(), err)
	}
	var models *webauthn.Models // only the server sets passkeys up
	if u == alone {
		models, err = c.Passkeys.models(time.Now, log)
	}
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	o, err := assemble(st, c, models)
	if err == nil {
		err = refuseDemo(ctx, st)
	}
	if err != nil {
		st.Close()
		return nil, err
	}
	return o, nil
}

// assemble wires what the operator's commands need.
func assemble(st *store.Store, c *config, models *webauthn.Models) (*opened, error) {
	web, err := c.web()
	if err != nil {
		return nil, err
	}
	leaks, err := c.leaks()
	if err != nil {
		return nil, err
	}
	k, err := methods(reach{mail: c.Mail.on(), texts: c.SMS.on(), web: web, leaks: leaks, passkeys: c.Passkeys.where(c.PublicURL.String(), models)})
	if err != nil {
		return nil, err
	}
	kinds := map[authn.Kind]authn.Method{}
	for _, m := range k.all {
		kinds[m.Kind()] = m
	}
	traits := func(of authn.Company) func(authn.Kind) (authn.Traits, bool) { return authn.TraitsFor(kinds, of) }
	dir, err := directory.New(directory.Config{Store: st, Passwords: k.passwords, Bypasses: k.bypasses, Traits: traits, OwnActs: webpages.OwnActs()})
	if err != nil {
		return nil, err
	}
	o := &opened{store: st, directory: dir, traits: traits, kit: k, drivers: textDrivers(web), url: c.PublicURL.String(), mail: c.Mail.on(), models: models}
	if o.streams, err = c.streams(); err != nil {
		return nil, err
	}
	if o.providers, err = providers(st, c, o.drivers, k.duo, o.streams); err != nil {
		return nil, err
	}
	if o.branding, err = brands(st); err != nil {
		return nil, err
	}
	return o, nil
}

// providers keeps what companies send and ask through, for commands: it writes
// the message of a test, and delivers nothing else.
func providers(st *store.Store, c *config, drivers map[string]authn.TextDriver, d authn.DuoService, streams map[authn.Kind]authn.StreamSender) (*provider.Service, error) {
	letters, err := notice.New(notice.Config{Outbox: st, PublicURL: c.PublicURL.String(), Code: code.Digits})
	if err != nil {
		return nil, err
	}
	return provider.New(provider.Config{Store: st, Drivers: drivers, Texts: c.SMS.settings(), Duo: d, Streams: streams, PublicURL: c.PublicURL.String(), Render: letters.Render})
}

func openStore(ctx context.Context, c *config, u use, ring *keyring.Keyring, log *slog.Logger) (*store.Store, error) {
	if c.postgres() {
		return postgres.Open(ctx, postgres.Config{DSN: c.Database, Keyring: ring, Reload: c.keyring, Log: log, Notice: c.Mail.notices()})
	}
	if err := checkFile(c.Database, u); err != nil {
		return nil, err
	}
	return sqlite.Open(ctx, sqlite.Config{Path: c.Database, Exclusive: u == alone, Keyring: ring, Reload: c.keyring, Log: log, Notice: c.Mail.notices()})
}

// checkFile looks at the database file before SQLite does. A mistyped path must
// not become an empty database.
func checkFile(path string, u use) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && u == anew:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such file; correct the path, or run `sallyport init` to make one")
	case err != nil:
		return unwrapPath(err)
	case info.IsDir():
		return errors.New("is a folder; give the path of the file")
	case posix && info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("has mode %04o: other users of this machine can reach it; run `chmod 600 %s`", info.Mode().Perm(), path)
	}
	return nil
}

// refuseDemo keeps known passwords away from anything real.
func refuseDemo(ctx context.Context, st *store.Store) error {
	marked, err := demo.Marked(ctx, st)
	if err == nil && marked {
		err = errors.New("this is the database of a demo, whose passwords everybody knows; make a real one with `sallyport init`, or run `sallyport demo --data` with its folder")
	}
	return err
}

// logger is the log of the server.
func (c *config) logger(w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// operate opens the installation for one command and closes it afterwards.
func (p *program) operate(ctx context.Context, f func(*opened) error) error {
	c, err := loadConfig(p.config, p.env)
	if err != nil {
		return err
	}
	o, err := open(ctx, c, beside, silent)
	if err != nil {
		return err
	}
	err = f(o)
	if closed := o.store.Close(); err == nil {
		err = closed
	}
	return err
}

// silent is the log of commands that answer in words: what goes wrong is in
// the answer, and a program that reads --json is not confused by further lines.
var silent = slog.New(slog.DiscardHandler)
