// Package demo is what `sallyport demo` adds to a server: a made-up company
// with people in all states, a tour, a practice authenticator app, an inbox for
// all mail, and the addresses that tell tests everybody's secret and code.
//
// # Flow
//
// [Open] makes or opens the database in a folder, marks it, and fills it
// through the same services and decisions as a real one, on clocks that begin a
// month ago. [Demo.Config] is the server's configuration with the demo's pages
// among its routes, an inbox in place of all mail servers and providers of text
// messages, also those that the company's owners set, and a pretend Duo in place of
// Duo, with real signatures and no port. Every authenticator
// secret and backup code that the server stores passes [watched], which keeps a
// copy for the practice app; the database alone shows none, here as elsewhere.
//
// # Threats
//
//   - Known passwords and shown secrets on anything real (ruling 34, cve-60): a
//     demo database is marked before anybody is in it; [Marked] lets everything
//     else refuse it, and Open refuses a database that is not marked. Secrets and
//     keys are random for each database.
//   - Other machines and other sites: the command listens on loopback only, the
//     outer layer admits no other host name (DNS rebinding), and every route here
//     is behind httpserve.LoopbackOnly, with no setting to change that.
//   - Left-overs: a temporary database lies in a folder of mode 0700, which Close
//     removes with its keys.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/duoserver"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/message/inbox"
	"github.com/sallyport-mfa/sallyport/notice"
	"github.com/sallyport-mfa/sallyport/store"
	"github.com/sallyport-mfa/sallyport/store/sqlite"
	"github.com/sallyport-mfa/sallyport/throttle"
)

// Banner stands on top of every page of a demo.
const Banner = "Demo: the company and its people are made up. Messages stop in the inbox and are never sent."

// The note in the database (store.Mark), and what it says.
const (
	mark        = "demo"
	markSetup   = "demo_setup" // which of Setups; not there: the usual one
	markSeeding = "seeding"    // not everybody is there yet
	markReady   = "ready 3 "   // then when; other people and another policy: another number
)

// Files in the folder.
const (
	databaseFile = "demo.db"
	keyringFile  = "keyring"
	secretsFile  = "practice-app.json"
)

// Marked reports whether a database is a demo's.
func Marked(ctx context.Context, st *store.Store) (bool, error) {
	v, err := st.Mark(ctx, mark)
	return v != "", err
}

// Config says which demo. All but Dir, TextDrivers, Command and Log are needed.
type Config struct {
	Setup       string // one of Setups; empty: the usual one, or that of Dir
	Dir         string // kept afterwards; empty: a temporary folder, removed by Close
	Methods     []authn.Method
	Passwords   enroll.Passwords
	BackupCodes enroll.Codes
	Digits      func(seed []byte) string    // of sent codes
	TextDrivers map[string]authn.TextDriver // judge what owners set, and send nothing; nil: there is the inbox alone
	Host        string                      // the loopback address that is listened on
	Port        string
	Command     string // how people call this program; empty: sallyport
	Log         *slog.Logger
}

// Demo is an open demo.
type Demo struct {
	c         Config
	dir       string
	store     watched
	directory *directory.Service
	company   authn.Company
	inbox     inbox.Inbox
	duo       *duoserver.Server
	seeded    time.Time // when the past ends and what people do here begins
}

// Open opens the demo in c.Dir, or makes a new one.
func Open(ctx context.Context, c Config) (d *Demo, err error) {
	if c.Command == "" {
		c.Command = "sallyport"
	}
	if _, _, err := setupOf(c.Setup); err != nil {
		return nil, err
	}
	d = &Demo{c: c, dir: c.Dir}
	if c.Dir == "" {
		if d.dir, err = os.MkdirTemp("", "sallyport-demo-"); err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
	} else if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	if err := d.open(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Close closes the database, and removes it if it is temporary.
func (d *Demo) Close() error {
	var err error
	if d.store.Store != nil {
		err = d.store.Close()
	}
	if d.c.Dir == "" {
		err = errors.Join(err, os.RemoveAll(d.dir))
	}
	return err
}

func (d *Demo) open(ctx context.Context) error {
	path := filepath.Join(d.dir, databaseFile)
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("demo: %w", err)
	}
	old := err == nil
	ring, err := d.keyring(old)
	if err != nil {
		return err
	}
	seen, err := loadSecrets(d.file(secretsFile, d.c.Dir != ""))
	if err != nil {
		return err
	}
	if err := d.openDuo(seen); err != nil {
		return err
	}
	if !old {
		if err := d.fill(ctx, ring, seen); err != nil {
			return fmt.Errorf("demo: seed: %w", err)
		}
		// What Duo was asked in the past is over, too.
		if err := d.openDuo(seen); err != nil {
			return err
		}
	}
	if err := d.use(ctx, ring, seen, notice.For); err != nil {
		return err
	}
	if err := d.check(ctx); err != nil {
		return err
	}
	d.company, err = d.directory.Company(ctx, companySlug)
	return err
}

// use opens the database.
func (d *Demo) use(ctx context.Context, ring *keyring.Keyring, seen *secrets, told func(authn.Event) (authn.Template, bool)) error {
	st, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(d.dir, databaseFile), Exclusive: true, Keyring: ring, Log: d.c.Log, Notice: told})
	if err != nil {
		return err
	}
	d.store = watched{Store: st, seen: seen, log: d.c.Log}
	d.directory, err = directory.New(directory.Config{Store: d.store, Passwords: d.c.Passwords})
	return err
}

// file is a path in the folder; empty, which means memory, unless it is kept.
func (d *Demo) file(name string, kept bool) string {
	if !kept {
		return ""
	}
	return filepath.Join(d.dir, name)
}

// keyring has random keys of its own for each database.
func (d *Demo) keyring(old bool) (*keyring.Keyring, error) {
	path := d.file(keyringFile, d.c.Dir != "")
	switch {
	case path == "":
		return keyring.Generate(nil)
	case old:
		return keyring.Load(path)
	}
	return keyring.Create(path, nil)
}

// fill puts the people and their past into a new database. Nobody is
// told today of what happened last month.
func (d *Demo) fill(ctx context.Context, ring *keyring.Keyring, seen *secrets) (err error) {
	nothing := func(authn.Event) (authn.Template, bool) { return "", false }
	if err := d.use(ctx, ring, seen, nothing); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, d.store.Close())
		d.store.Store = nil
	}()
	if err := d.store.SetMark(ctx, mark, markSeeding); err != nil {
		return err
	}
	if err := d.seed(ctx); err != nil {
		return err
	}
	if err := d.seal(ctx); err != nil {
		return err
	}
	if d.c.Setup != "" {
		if err := d.store.SetMark(ctx, markSetup, d.c.Setup); err != nil {
			return err
		}
	}
	return d.store.SetMark(ctx, mark, markReady+time.Now().Format(time.RFC3339Nano))
}

// seal numbers the events of the past, which also counts them: the charts are
// there from the first page on. The lease that it takes ended long ago, so that
// the server that comes next need not wait for it.
func (d *Demo) seal(ctx context.Context) error {
	for {
		n, err := d.store.SealEvents(ctx, d.company.ID, time.Now().Add(-time.Hour), 0, audit.Link)
		if err != nil || n == 0 {
			return err
		}
	}
}

// check refuses what is not a whole demo of this version.
func (d *Demo) check(ctx context.Context) error {
	state, err := d.store.Mark(ctx, mark)
	when, ready := strings.CutPrefix(state, markReady)
	switch {
	case err != nil:
		return err
	case state == "":
		return fmt.Errorf("demo: %s is no demo's database, and is left alone; choose another folder with --data", filepath.Join(d.dir, databaseFile))
	case state == markSeeding:
		return fmt.Errorf("demo: making the demo in %s was cut off; remove that folder and start again", d.dir)
	case !ready:
		return fmt.Errorf("demo: the demo in %s was made by another version of this program, and its people are not those of this one; remove that folder, or choose another with --data", d.dir)
	}
	runs, err := d.store.Mark(ctx, markSetup)
	if err != nil {
		return err
	}
	if d.c.Setup != "" && d.c.Setup != runs {
		return fmt.Errorf("demo: the demo in %s runs another set-up (%q); remove that folder, or choose another with --data", d.dir, runs)
	}
	d.c.Setup = runs
	if d.seeded, err = time.Parse(time.RFC3339Nano, when); err != nil {
		return fmt.Errorf("demo: mark: %w", err)
	}
	return nil
}

// codeMaker makes backup codes that the demo knows.
func (d *Demo) codeMaker() enroll.Codes { return watchedCodes{d.c.BackupCodes, d.store.seen} }

// URL is the address that people are told.
func (d *Demo) URL() string { return "http://" + d.hostPort("localhost") }

func (d *Demo) hostPort(host string) string {
	if d.c.Port == "80" {
		return host // browsers leave it out
	}
	return net.JoinHostPort(host, d.c.Port)
}

// Config is the configuration of the server. The limits per network address are
// off: here everybody comes from one.
func (d *Demo) Config() (sallyport.Config, error) {
	extra, err := d.routes()
	if err != nil {
		return sallyport.Config{}, err
	}
	companies, err := newMailServers(&d.inbox)
	if err != nil {
		return sallyport.Config{}, err
	}
	pretend, err := d.duoMethod(nil)
	off := throttle.Rate{PerMinute: -1}
	return sallyport.Config{
		Store: d.store, Methods: d.methods(pretend), Passwords: d.c.Passwords,
		Senders: map[authn.Kind]authn.Sender{authn.Email: &d.inbox, authn.SMS: &d.inbox}, CompanyMail: companies,
		TextDrivers: d.textDrivers(), Texts: texts(), Duo: pretend, Places: places{},
		Digits: d.c.Digits, BackupCodes: d.codeMaker(),
		PublicURL: d.URL(), Hosts: []string{d.hostPort("127.0.0.1"), d.hostPort(d.c.Host)},
		Banner: Banner, Extra: extra, Log: d.c.Log,
		Actions:   []authn.Action{{Name: "billing.change", Title: "change the billing details", Titles: map[string]string{"pl": "zmienić dane rozliczeniowe"}, Audience: "https://app.example.com"}},
		Addresses: throttle.NewAddresses(throttle.AddressesConfig{IPv4Address: off, IPv4Net: off, IPv6Subnet: off, IPv6Home: off, IPv6Site: off}),
	}, err
}

// Setup is which of Setups runs; empty: the usual one.
func (d *Demo) Setup() string { return d.c.Setup }

// Company is the made-up company.
func (d *Demo) Company() authn.Company { return d.company }
