package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
)

// initOptions are the flags of init.
type initOptions struct {
	dir, publicURL, company, slug, preset, owner, email string
	stdin                                               bool
}

func (p *program) initCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "init",
		Short: "Make a new installation: configuration, keys, database",
		Long: "Writes sallyport.yaml, keyring and sallyport.db into a folder, for their owner's eyes only. It never overwrites anything.\n\n" +
			"With --company it also makes the first company, and with --owner its first owner. It prints a one-time link by which they set their password, " +
			"good for 30 minutes; with --password-stdin the password is set at once.\n\n" +
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
	f.StringVar(&o.preset, "preset", "plain", presetFlag())
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
	if _, err := presetOf(o.preset); err != nil {
		return err
	}
	l := &loader{c: &config{}}
	if err := setPublicURL(l, o.publicURL); err != nil {
		return misuse(fmt.Sprintf("--public-url is %q; it %v", o.publicURL, err))
	}
	o.publicURL = l.c.PublicURL.String()
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
	for _, name := range []string{"KEYRING", "KEYRING_FILE"} {
		if p.variable(name) != "" {
			return fmt.Errorf("%s%s is set, but init makes a new keyring; unset it for this command", envPrefix, name)
		}
	}
	c, text, err := p.planned(o)
	if err != nil {
		return err
	}
	if err := nothingThere(o.dir, c); err != nil {
		return err
	}
	if err := rehearse(ctx, o, ""); err != nil {
		return unwritten(err)
	}
	var pass string
	if o.stdin {
		if pass, err = p.password(o.stdin); err != nil {
			return err
		}
		if err := rehearse(ctx, o, pass); err != nil {
			return unwritten(err)
		}
	}
	link, err := install(ctx, c, text, o, pass)
	if err != nil {
		return err
	}
	return p.nextSteps(o, link)
}

// planned is the configuration that init will write, with its text, as the
// commands will read it in this environment. What is wrong with the environment
// is found here.
func (p *program) planned(o initOptions) (*config, string, error) {
	text := writeConfig(p.configValues(o))
	l := newLoader()
	l.readFile(filepath.Join(o.dir, defaultConfig), []byte(text))
	c, err := l.finish(p.env)
	return c, text, err
}

// besides are the ends of the names of what SQLite keeps beside a database.
var besides = []string{"-wal", "-shm", "-journal"}

// nothingThere refuses to work beside files that it would have to overwrite,
// and on a database that exists, wherever the environment says that it is.
func nothingThere(dir string, c *config) error {
	if info, err := os.Stat(dir); err == nil && posix && info.Mode().Perm()&0o002 != 0 && info.Mode()&os.ModeSticky == 0 {
		return fmt.Errorf("anyone on this machine can write to %s and exchange the keys in it; run `chmod o-w %[1]s`, or choose another folder", dir)
	}
	own := filepath.Join(dir, databaseName)
	there := existing(filepath.Join(dir, defaultConfig), filepath.Join(dir, keyringName))
	there = append(there, existing(withBesides(own)...)...)
	if len(there) > 0 {
		return say(authn.Conflict, "%s exists and is left as it is; use what is there (`sallyport serve`), or choose another folder with --dir", strings.Join(there, ", "))
	}
	if c.postgres() || c.Database == own {
		return nil
	}
	if there = existing(withBesides(c.Database)...); len(there) > 0 {
		return say(authn.Conflict, "%s exists and is left as it is: %sDATABASE names it as the database, and init only makes new ones; "+
			"unset the variable, or let it name a file that does not exist", strings.Join(there, ", "), envPrefix)
	}
	return nil
}

func withBesides(database string) []string {
	names := []string{database}
	for _, end := range besides {
		names = append(names, database+end)
	}
	return names
}

// existing are those of the names that stand for something, be it a broken link.
func existing(names ...string) []string {
	var there []string
	for _, name := range names {
		if _, err := os.Lstat(name); err == nil {
			there = append(there, name)
		}
	}
	return there
}

// configValues are the settings that init writes. What the environment gives
// is left to it.
func (p *program) configValues(o initOptions) map[string]string {
	values := map[string]string{"public_url": o.publicURL, "listen": listenFor(o.publicURL), "database": databaseName, "keyring_file": keyringName}
	if p.variable("DATABASE") != "" || p.variable("DATABASE_FILE") != "" {
		delete(values, "database")
	}
	return values
}

// nextSteps is the list for going live.
func (p *program) nextSteps(o initOptions, link directory.Given) error {
	in := func(name string) string { return filepath.Join(o.dir, name) }
	v := struct {
		Config   string `json:"config"`
		Keyring  string `json:"keyring"`
		Company  string `json:"company,omitempty"`
		Owner    string `json:"owner,omitempty"`
		StartURL string `json:"sign_in_url"`
		*linkView
	}{Config: in(defaultConfig), Keyring: in(keyringName), Company: o.slug, Owner: o.owner, StartURL: o.publicURL + "/signin"}
	if !link.Token.IsZero() {
		v.linkView = &linkView{Login: o.owner, Link: invitation(o.publicURL, link.Token), ExpiresAt: link.ExpiresAt.UTC()}
	}
	if p.json {
		return p.showJSON(v)
	}
	var b strings.Builder
	where, err := filepath.Abs(o.dir)
	if err != nil {
		where = o.dir
	}
	fmt.Fprintf(&b, "A new installation is in %s.\n\nNext:\n", where)
	flag := " --config " + shellWord(v.Config)
	here := flag
	if wd, err := os.Getwd(); err == nil && wd == where {
		here = "" // commands find the file by themselves
	}
	steps := []string{"Keep a copy of " + v.Keyring + " apart from the database and its backups: without it nothing sealed can be read."}
	if o.company == "" {
		steps = append(steps, "sallyport company add SLUG --name NAME"+here)
	}
	if o.owner == "" {
		steps = append(steps, "sallyport user invite LOGIN --role owner --email ADDRESS"+here)
	}
	if strings.HasPrefix(o.publicURL, "http:") {
		steps = append(steps, "Set public_url in "+v.Config+" to the https address that people will use.")
	} else {
		steps = append(steps, "Set tls in "+v.Config+", or put a proxy in front and name it in trusted_proxies.")
	}
	steps = append(steps, "sallyport serve"+flag)
	if v.linkView != nil {
		steps = append(steps, fmt.Sprintf("Within 30 minutes, open this link and set your password; it works once:\n     %s\n     (Too late? sallyport company recover %s --owner %s%s makes another.)", v.Link, o.slug, o.owner, here))
	}
	steps = append(steps, "Sign in at "+v.StartURL+" and set up an authenticator app, before anybody else does.")
	for i, s := range steps {
		fmt.Fprintf(&b, "  %d. %s\n", i+1, s)
	}
	_, err = fmt.Fprint(p.out, b.String())
	return err
}

// shellWord is a path as it is typed in a shell.
func shellWord(s string) string {
	if !posix || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:,@") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
