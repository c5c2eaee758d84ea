package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/keyring"
)

// install makes everything, or takes away again what it made; but never a
// keyring that a database may be bound to.
func install(ctx context.Context, c *config, text string, o initOptions, pass string) (directory.Given, error) {
	m := &made{}
	link, bound, err := m.everything(ctx, c, text, o, pass)
	if err == nil {
		return link, nil
	}
	after := "Nothing was left behind."
	if bound {
		after = goOn(c)
	} else if left := m.undo(); len(left) > 0 {
		after = "These are left, since they cannot be removed: " + strings.Join(left, ", ")
	}
	e := complain(err)
	return directory.Given{}, said{e.Code, e.Message + "\n" + after, e.Problems}
}

// unwritten is a refusal before anything was made.
func unwritten(err error) error {
	c := complain(err)
	return said{c.Code, c.Message + "\nNothing was written.", c.Problems}
}

// goOn says how to go on with a database server that may know the keyring.
func goOn(c *config) string {
	flag := " --config " + shellWord(c.file)
	return fmt.Sprintf("%s and %s are kept: the database may be bound to this keyring, and without it nothing sealed there could ever be read. "+
		"Mend the cause and go on with these files, not with a new init:\n"+
		"  sallyport company list%s    (opens the database and shows whether the company is there)\n"+
		"  sallyport company add SLUG --name NAME%[3]s\n"+
		"  sallyport user invite LOGIN --role owner --email ADDRESS%[3]s", c.file, c.KeyringFile, flag)
}

// made is what this very call made. Nothing else is ever removed.
type made struct{ files, folders []string }

// everything makes an installation. bound says that a database server may have
// been bound to the keyring, whether or not the rest succeeded.
func (m *made) everything(ctx context.Context, c *config, text string, o initOptions, pass string) (link directory.Given, bound bool, err error) {
	if err := m.folder(o.dir); err != nil {
		return link, false, err
	}
	if _, err := keyring.Create(c.KeyringFile, nil); err != nil {
		return link, false, err
	}
	m.files = append(m.files, c.KeyringFile)
	if err := m.file(c.file, text); err != nil {
		return link, false, err
	}
	if !c.postgres() {
		if err := m.database(c.Database); err != nil {
			return link, false, fmt.Errorf("database %s: %w", c.Database, err)
		}
	}
	opened, err := open(ctx, c, anew, silent)
	if err != nil {
		return link, c.postgres() && !neverBound(err), err
	}
	link, err = firstPeople(ctx, opened.directory, o, pass)
	return link, c.postgres(), errors.Join(err, opened.store.Close())
}

// neverBound reports whether a database server is certainly not bound to the
// new keyring: it was not reached, allowed nothing, or is bound to another one.
// In doubt (a connection that broke during the commit) it is false.
func neverBound(err error) bool {
	if errors.Is(err, keyring.ErrMissingKey) {
		return true
	}
	for _, early := range []string{"postgres: the DSN cannot be read", "postgres: cannot connect", "postgres: the database user must be allowed to make tables"} {
		if strings.Contains(err.Error(), early) {
			return true
		}
	}
	return false
}

// folder makes a folder and those above it.
func (m *made) folder(dir string) error {
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Lstat(d); !errors.Is(err, fs.ErrNotExist) {
			return os.MkdirAll(dir, 0o700)
		}
		m.folders = append(m.folders, d)
	}
}

// file writes a file for its owner's eyes only, and never over another.
func (m *made) file(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	m.files = append(m.files, path)
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// database makes the empty file that SQLite fills. What SQLite then keeps beside
// it is ours too, since nothing of the kind was there.
func (m *made) database(path string) error {
	err := m.file(path, "")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("its folder does not exist; make it first, for the server alone")
	case err != nil:
		return unwrapPath(err)
	}
	beside := withBesides(path)[1:]
	if there := existing(beside...); len(there) > 0 {
		return fmt.Errorf("%s exists and is left as it is: it belongs to another database", strings.Join(there, ", "))
	}
	m.files = append(m.files, beside...)
	return nil
}

// undo removes what was made and names what it could not remove.
func (m *made) undo() (left []string) {
	for _, name := range slices.Concat(m.files, m.folders) { // the deepest folder first
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			left = append(left, name)
		}
	}
	return left
}

func firstPeople(ctx context.Context, d *directory.Service, opt initOptions, pass string) (directory.Given, error) {
	if opt.company == "" {
		return directory.Given{}, nil
	}
	doc, err := presetOf(opt.preset)
	if err != nil {
		return directory.Given{}, err
	}
	company, err := d.CreateCompanyWith(ctx, opt.slug, opt.company, doc)
	if err != nil || opt.owner == "" {
		return directory.Given{}, err
	}
	n := directory.NewUser{Login: opt.owner, Email: opt.email, Verified: opt.email != "", Roles: []string{directory.Owner}, Password: pass}
	if pass == "" {
		return d.FirstOwner(ctx, company, n)
	}
	_, err = d.CreateUser(ctx, company, n)
	return directory.Given{}, err
}

// rehearse makes the first people without a store, so that a refused name or
// password is refused before there is anything to take away.
func rehearse(ctx context.Context, o initOptions, pass string) error {
	k, err := methods(reach{})
	if err != nil {
		return err
	}
	d, err := directory.New(directory.Config{Store: stage{}, Passwords: judge{k.passwords}})
	if err != nil {
		return err
	}
	_, err = firstPeople(ctx, d, o, pass)
	return err
}

// stage is a store that keeps nothing.
type stage struct{ directory.Store }

func (stage) CreateCompany(context.Context, authn.Company, authn.Event) error { return nil }

func (stage) Decide(context.Context, authn.Keys, func(*authn.Rows) authn.Verdict) error { return nil }

// judge judges passwords and leaves out the slow hash.
type judge struct{ directory.Passwords }

func (judge) Hash(context.Context, string) ([]byte, error) { return nil, nil }
