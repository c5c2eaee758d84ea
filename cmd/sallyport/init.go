package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/keyring"
)

// initOptions are the flags of init.
type initOptions struct {
	dir, publicURL, company, slug, owner, email string
	stdin                                       bool
}

func (p *program) initCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "init",
		Short: "Make a new installation: configuration, keys, database",
		Long: "Writes sallyport.yaml, keyring and sallyport.db into a folder, for their owner's eyes only. It never overwrites anything.\n\n" +
			"With --company it also makes the first company, and with --owner its first owner, whose password comes from a prompt or standard input. " +
			"(A one-time link for the first owner comes in a later release.)\n\n" +
			"For PostgreSQL give the address in SALLYPORT_DATABASE or SALLYPORT_DATABASE_FILE: it holds a password, so it is not written down.",
		Example: "  sallyport init --dir /var/lib/sallyport --public-url https://login.example.com \\\n" +
			"      --company \"Acme Projects\" --owner priya --email priya@acme.example",
		Args: cobra.NoArgs,
	}
	var o initOptions
	f := c.Flags()
	f.StringVar(&o.dir, "dir", ".", "folder; made if it does not exist")
	f.StringVar(&o.publicURL, "public-url", "http://localhost:8080", "where people will reach the server")
	f.StringVar(&o.company, "company", "", "name of the first company")
	f.StringVar(&o.slug, "slug", "", "its name in addresses (default: made from the name)")
	f.StringVar(&o.owner, "owner", "", "login of the company's first owner")
	f.StringVar(&o.email, "email", "", "e-mail address of the owner")
	f.BoolVar(&o.stdin, "password-stdin", false, passwordFlag)
	c.RunE = does(func(c *cobra.Command, _ []string) error { return p.init(c.Context(), o) })
	return c
}

// check finds misuses before anything is written.
func (o *initOptions) check() error {
	switch {
	case o.owner != "" && o.company == "":
		return misuse("--owner needs --company, the company that they own")
	case o.owner == "" && (o.email != "" || o.stdin):
		return misuse("--email and --password-stdin need --owner")
	case o.slug != "" && o.company == "":
		return misuse("--slug needs --company")
	}
	if err := setPublicURL(&loader{c: &config{}}, o.publicURL); err != nil {
		return misuse(fmt.Sprintf("--public-url is %q; it %v", o.publicURL, err))
	}
	if o.company != "" && o.slug == "" {
		o.slug = slugOf(o.company)
	}
	return nil
}

// slugOf makes "acme-projects" of "Acme Projects"; what no slug can hold is
// left out, and an empty one is refused later with its form.
func slugOf(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := b.String()
	return strings.Trim(s[:min(len(s), 40)], "-")
}

// The files of an installation.
const (
	keyringName  = "keyring"
	databaseName = "sallyport.db"
)

func (p *program) init(ctx context.Context, o initOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	if err := nothingThere(o.dir); err != nil {
		return err
	}
	for _, name := range []string{"KEYRING", "KEYRING_FILE"} {
		if p.variable(name) != "" {
			return fmt.Errorf("%s%s is set, but init makes a new keyring; unset it for this command", envPrefix, name)
		}
	}
	var pass string
	if o.owner != "" {
		var err error
		if pass, err = p.password(o.stdin); err != nil {
			return err
		}
	}
	_, missing := os.Stat(o.dir)
	made, err := p.install(ctx, o, pass)
	if err != nil {
		for _, name := range made {
			os.Remove(name)
		}
		if missing != nil {
			os.Remove(o.dir) // only if it is empty
		}
		c := complain(err)
		return said{c.Code, c.Message + "\nNothing was left behind.", c.Problems}
	}
	return p.nextSteps(o)
}

// nothingThere refuses to work beside files that it would have to overwrite.
func nothingThere(dir string) error {
	if info, err := os.Stat(dir); err == nil && posix && info.Mode().Perm()&0o002 != 0 && info.Mode()&os.ModeSticky == 0 {
		return fmt.Errorf("anyone on this machine can write to %s and exchange the keys in it; run `chmod o-w %[1]s`, or choose another folder", dir)
	}
	var there []string
	for _, name := range []string{defaultConfig, keyringName, databaseName, databaseName + "-wal"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			there = append(there, filepath.Join(dir, name))
		}
	}
	if len(there) == 0 {
		return nil
	}
	return say(authn.Conflict, "%s exists and is left as it is; use what is there (`sallyport serve`), or choose another folder with --dir", strings.Join(there, ", "))
}

// install makes everything and names the files that it made, also when it fails.
func (p *program) install(ctx context.Context, o initOptions, pass string) (made []string, err error) {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return nil, err
	}
	in := func(name string) string { return filepath.Join(o.dir, name) }
	if _, err := keyring.Create(in(keyringName), nil); err != nil {
		return nil, err
	}
	made = []string{in(keyringName)}
	text := writeConfig(p.configValues(o))
	if err := writeNew(in(defaultConfig), text); err != nil {
		return made, err
	}
	made = append(made, in(defaultConfig))
	c, err := loadConfig(in(defaultConfig), p.env)
	if err != nil {
		return made, err
	}
	if !c.postgres() {
		made = append(made, c.Database, c.Database+"-wal", c.Database+"-shm")
	}
	opened, err := open(ctx, c, anew, silent)
	if err != nil {
		return made, err
	}
	err = firstPeople(ctx, opened, o, pass)
	return made, errors.Join(err, opened.store.Close())
}

// configValues are the settings that init writes. What the environment gives
// is left to it.
func (p *program) configValues(o initOptions) map[string]string {
	values := map[string]string{"public_url": o.publicURL, "listen": "127.0.0.1:8080", "database": databaseName, "keyring_file": keyringName}
	if p.variable("DATABASE") != "" || p.variable("DATABASE_FILE") != "" {
		delete(values, "database")
	}
	return values
}

// writeNew writes a file for its owner's eyes only, and never over another.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func firstPeople(ctx context.Context, o *opened, opt initOptions, pass string) error {
	if opt.company == "" {
		return nil
	}
	company, err := o.directory.CreateCompany(ctx, opt.slug, opt.company)
	if err != nil || opt.owner == "" {
		return err
	}
	_, err = o.directory.CreateUser(ctx, company, directory.NewUser{Login: opt.owner, Email: opt.email, Verified: opt.email != "",
		Roles: []string{directory.Owner}, Password: pass})
	return err
}

// nextSteps is the list for going live.
func (p *program) nextSteps(o initOptions) error {
	in := func(name string) string { return filepath.Join(o.dir, name) }
	v := struct {
		Config   string `json:"config"`
		Keyring  string `json:"keyring"`
		Company  string `json:"company,omitempty"`
		Owner    string `json:"owner,omitempty"`
		StartURL string `json:"sign_in_url"`
	}{in(defaultConfig), in(keyringName), o.slug, o.owner, strings.TrimSuffix(o.publicURL, "/") + "/signin"}
	if p.json {
		return p.showJSON(v)
	}
	var b strings.Builder
	where, err := filepath.Abs(o.dir)
	if err != nil {
		where = o.dir
	}
	fmt.Fprintf(&b, "A new installation is in %s.\n\nNext:\n", where)
	steps := []string{"Keep a copy of " + v.Keyring + " apart from the database and its backups: without it nothing sealed can be read."}
	if o.company == "" {
		steps = append(steps, "sallyport company add SLUG --name NAME")
	}
	if o.owner == "" {
		steps = append(steps, "sallyport user add LOGIN --role owner --email ADDRESS")
	}
	if strings.HasPrefix(o.publicURL, "http:") {
		steps = append(steps, "Set public_url in "+v.Config+" to the https address that people will use.")
	} else {
		steps = append(steps, "Set tls in "+v.Config+", or put a proxy in front and name it in trusted_proxies.")
	}
	steps = append(steps, "sallyport serve --config "+v.Config, "Sign in at "+v.StartURL+" and set up an authenticator app, before anybody else does.")
	for i, s := range steps {
		fmt.Fprintf(&b, "  %d. %s\n", i+1, s)
	}
	_, err = fmt.Fprint(p.out, b.String())
	return err
}
