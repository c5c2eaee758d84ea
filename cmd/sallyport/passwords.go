package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/internal/egress"
	"github.com/sallyport-mfa/sallyport/leaked"
	"github.com/sallyport-mfa/sallyport/method/password"
)

// leakedFile is the file that passwords.leaked_file names. It is opened, and with
// that read once, by serve at its start, and by other commands when somebody
// chooses a password.
type leakedFile struct {
	path string
	open func() (*leaked.List, error)
}

func setLeakedFile(l *loader, v string) error {
	path := l.path(v)
	l.c.Leaked = &leakedFile{path: path, open: sync.OnceValues(func() (*leaked.List, error) { return leaked.Open(path) })}
	return nil
}

func setLeakedRange(l *loader, v string) error {
	if _, err := leaked.NewRange(v, http.DefaultClient); err != nil {
		return err
	}
	l.c.LeakedRange = v
	return nil
}

// check says what is wrong with the file; nothing if none is named.
func (f *leakedFile) check() error {
	if f == nil {
		return nil
	}
	if _, err := f.open(); err != nil {
		return fmt.Errorf("passwords.leaked_file: %s: %w", f.path, err)
	}
	return nil
}

// Has opens the file if that was not done yet.
func (f *leakedFile) Has(ctx context.Context, p string) (bool, error) {
	if err := f.check(); err != nil {
		return false, err
	}
	list, err := f.open()
	if err != nil {
		return false, err
	}
	return list.Has(ctx, p)
}

// leaks are the leaked passwords that the configuration names; nil: none. The file
// is asked first: a password that it has is not asked about elsewhere.
func (c *config) leaks() (password.Leaked, error) {
	var sources []leaked.Source
	if c.Leaked != nil {
		sources = append(sources, c.Leaked)
	}
	if c.LeakedRange != "" {
		ports := c.Ports
		if len(ports) == 0 {
			ports = egress.WebPorts
		}
		g, err := egress.New(egress.Config{Ports: ports, AllowPrivate: c.Private, MaxBody: leaked.MaxRange})
		if err != nil {
			return nil, err
		}
		r, err := leaked.NewRange(c.LeakedRange, g.Client(leaked.RangeTimeout))
		if err != nil {
			return nil, fmt.Errorf("passwords.leaked_range %w", err)
		}
		sources = append(sources, r)
	}
	if len(sources) == 0 {
		return nil, nil
	}
	return leaked.Any(sources...), nil
}

func checkPasswords(ctx context.Context, s *patient) []finding {
	c := s.config
	if c.Leaked == nil && c.LeakedRange == "" {
		return []finding{ok("only the built-in list of common ones is known; `sallyport passwords build` makes a file of a published list")}
	}
	var list []finding
	if c.Leaked != nil {
		if err := c.Leaked.check(); err != nil {
			list = append(list, fail("", "%v", err))
		} else if l, err := c.Leaked.open(); err == nil {
			list = append(list, ok("%d leaked passwords are known, from %s", l.Entries(), c.Leaked.path))
		}
	}
	if c.LeakedRange == "" {
		return list
	}
	leaks, err := (&config{LeakedRange: c.LeakedRange, Ports: c.Ports, Private: c.Private}).leaks()
	if err == nil {
		_, err = leaks.Has(ctx, "password")
	}
	if err != nil {
		return append(list, fail("correct passwords.leaked_range or what is between; until then nobody can choose a password", "the service of leaked passwords: %v", err))
	}
	return append(list, ok("the service of leaked passwords answers"))
}

func (p *program) passwordsCommand() *cobra.Command {
	return group("passwords", "Passwords that have leaked, which nobody may choose",
		"  sallyport passwords build --out leaked.list pwned-passwords-sha1.txt", p.passwordsBuild(), p.passwordsCheck())
}

func (p *program) passwordsBuild() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "build --out FILE LIST...", Short: "Make a file of leaked passwords from published lists",
		Long: "Reads lists with one entry a line: passwords as they are, or their SHA-1 hashes as published lists have them (40 hexadecimal digits, perhaps with \":\" and a count). The first line of a list says which it is. " +
			"Passwords shorter than 8 characters are left out: nobody can choose them.\n\n" +
			"The file has 2 bytes for each entry, takes no memory of the server, and misses none of them; about one in 500 other passwords is taken for one of the list. The same lists give the same file. " +
			"It takes 256 MiB of memory at most, and a pass over the lists for each 256 MiB of the file and one more.\n\nName the file in passwords.leaked_file and start the server anew. Nothing in it is secret.",
		Example: "  sallyport passwords build --out /var/lib/sallyport/leaked.list pwned-passwords-sha1.txt own-words.txt",
		Args:    cobra.MinimumNArgs(1),
	}
	c.Flags().StringVar(&out, "out", "", "the file to write; one that is there is replaced once the new one is whole")
	c.MarkFlagRequired("out")
	c.RunE = does(func(c *cobra.Command, lists []string) error {
		b, err := leaked.Build(c.Context(), out, lists...)
		if err != nil {
			return err
		}
		return p.show(b, "%s: %d entries, %d bytes (%d lines left out).\n", out, b.Entries, b.Bytes, b.Skipped)
	})
	return c
}

func (p *program) passwordsCheck() *cobra.Command {
	c := &cobra.Command{
		Use: "check FILE", Short: "Check a file of leaked passwords, and look a password up",
		Long:    "Reads the whole file and says whether it is as `sallyport passwords build` wrote it. With --password-stdin it also says whether the password on standard input is in it; that is printed nowhere.",
		Example: "  sallyport passwords check leaked.list\n  sallyport passwords check leaked.list --password-stdin < candidate",
		Args:    cobra.ExactArgs(1),
	}
	stdin := c.Flags().Bool("password-stdin", false, passwordFlag+", and look it up")
	c.RunE = does(func(c *cobra.Command, args []string) error {
		list, err := leaked.Open(args[0])
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		defer list.Close()
		v := struct {
			Entries uint64 `json:"entries"`
			Leaked  *bool  `json:"leaked,omitempty"`
		}{Entries: list.Entries()}
		said := ""
		if *stdin {
			pw, err := p.password(true)
			if err != nil {
				return err
			}
			yes, err := list.Has(c.Context(), pw)
			if err != nil {
				return err
			}
			v.Leaked, said = &yes, " The password is not in it."
			if yes {
				said = " The password is in it."
			}
		}
		return p.show(v, "%s is whole: %d entries.%s\n", args[0], v.Entries, said)
	})
	return c
}
