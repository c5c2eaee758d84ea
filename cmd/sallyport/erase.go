package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
)

const yesFlag = "do not ask; for scripts"

// confirm asks for a name to be typed again, before anything is opened.
func (p *program) confirm(name, what string, yes bool) error {
	if name == "" {
		return misuse("the name is empty")
	}
	if yes {
		return nil
	}
	fmt.Fprintf(p.err, "%s\nType %s to go on: ", what, name)
	line, err := bufio.NewReader(io.LimitReader(p.in, 4096)).ReadString('\n')
	fmt.Fprintln(p.err)
	switch line = strings.TrimRight(line, "\r\n"); {
	case err != nil && err != io.EOF:
		return fmt.Errorf("read what is typed: %w", err)
	case line == "":
		return misuse("nothing was typed, and nothing was erased; type the name, or give --yes")
	case line != name:
		return misuse("that is another name; nothing was erased")
	}
	return nil
}

func (u *userGroup) exportData() *cobra.Command {
	c := &cobra.Command{
		Use: "export-data LOGIN --out FILE", Short: "Write all that is held about a person to a file", Args: cobra.ExactArgs(1),
		Long: "Writes everything that is held about a person to a JSON file for its owner's eyes only: what somebody may ask for under the GDPR or the CCPA. " +
			"Passwords, codes, keys and tokens are not in it. The file is there whole or not at all. That it was made is in the log.",
		Example: "  sallyport user export-data maya --out maya.json",
	}
	out := c.Flags().String("out", "", "file to write; - is standard output")
	force := c.Flags().Bool("force", false, "replace the file if it exists")
	c.MarkFlagRequired("out")
	c.RunE = does(func(c *cobra.Command, args []string) error {
		if *out != "-" && !*force && len(existing(*out)) > 0 {
			return taken(*out)
		}
		return u.do(c, func(o *opened, company authn.Company) error {
			v, err := u.find(c, o, company, args[0])
			if err != nil {
				return err
			}
			e, err := o.directory.Export(c.Context(), directory.TheOperator(company.ID), v.ID)
			if err != nil {
				return err
			}
			if *out == "-" {
				return e.Write(c.Context(), u.out)
			}
			if err := writeWhole(*out, *force, func(w io.Writer) error { return e.Write(c.Context(), w) }); err != nil {
				return err
			}
			return u.show(map[string]string{"file": *out, "id": v.ID}, "All that is held about %s is in %s.\n", v.Login, *out)
		})
	})
	return c
}

func (u *userGroup) erase() *cobra.Command {
	c := &cobra.Command{
		Use: "erase LOGIN", Short: "Erase a person for good", Args: cobra.ExactArgs(1),
		Long: "Deletes a person with everything that is held about them, and destroys the key under which the log speaks of them. The log keeps that something happened, and its chain holds; " +
			"nobody can read any more about whom. They get a last e-mail. API keys of theirs end. It cannot be undone; `sallyport user export-data` makes a copy first.\n\n" +
			"The reason stays in the log, and so it must not say who it was.",
		Example: "  sallyport user erase maya --reason \"asked for it, ticket 4711\"",
	}
	reason := c.Flags().String("reason", "", "why, for the log")
	yes := c.Flags().Bool("yes", false, yesFlag)
	c.RunE = does(func(c *cobra.Command, args []string) error {
		if err := u.confirm(args[0], "This erases a person for good.", *yes); err != nil {
			return err
		}
		return u.do(c, func(o *opened, company authn.Company) error {
			v, err := u.find(c, o, company, args[0])
			if err != nil {
				return err
			}
			_, err = o.directory.Do(c.Context(), directory.TheOperator(company.ID), directory.PersonAct{Do: directory.Erase, Target: v.ID, Reason: *reason})
			if err != nil {
				return err
			}
			return u.show(map[string]string{"erased": v.ID}, "The person %s is erased. Backups from before still hold them, and the key; see \"Erasing\" in docs/operating.md.\n", v.ID)
		})
	})
	return c
}

// erasedCompany is what company erase answers.
type erasedCompany struct {
	ID      string `json:"id"`
	Slug    string `json:"slug"`
	Backups string `json:"backups"`
}

const backupsHold = "Backups that hold the table company_keys from before still hold its key, and with the keyring whoever has one reads it: " +
	"delete them, or that table of them. Backups without that table hold nothing that can be read of what is sealed; names, e-mail addresses and phone numbers of profiles are not sealed, and are in every backup from before."

// eraseBatches is how many batches are deleted before the command looks up.
const eraseBatches = 200

func (p *program) companyErase() *cobra.Command {
	c := &cobra.Command{
		Use: "erase SLUG", Short: "Erase a company for good", Args: cobra.ExactArgs(1),
		Long: "Destroys the key of a company first: from then on nobody finds it, nobody signs in to it, and what is sealed of it cannot be read. Then it deletes the rows, in batches, beside a server that runs. " +
			"If it is cut off, a server that runs goes on with it; so does the same command. It cannot be undone.",
		Example: "  sallyport company erase acme",
	}
	yes := c.Flags().Bool("yes", false, yesFlag)
	c.RunE = does(func(c *cobra.Command, args []string) error {
		if err := p.confirm(args[0], "This erases a company with all its people and its log, for good.", *yes); err != nil {
			return err
		}
		return p.operate(c.Context(), func(o *opened) error {
			id, err := o.toErase(c.Context(), args[0])
			if err != nil {
				return err
			}
			for done := false; !done; {
				if err := c.Context().Err(); err != nil {
					return say(authn.Busy, "the key of %s is destroyed and rows are left; `sallyport company erase %[1]s` goes on, and so does a server that runs", args[0])
				}
				if done, err = o.directory.PurgeCompany(c.Context(), id, eraseBatches); err != nil {
					return err
				}
			}
			return p.show(erasedCompany{id, args[0], backupsHold}, "Company %s is erased: its key is destroyed and its rows are deleted.\n%s\n", args[0], backupsHold)
		})
	})
	return c
}

// toErase destroys the key of a company, or finds the one of that name whose
// erasure was cut off.
func (o *opened) toErase(ctx context.Context, slug string) (string, error) {
	company, err := o.directory.Company(ctx, slug)
	if err == nil {
		return company.ID, o.directory.EraseCompany(ctx, company.ID)
	}
	if !errors.Is(err, authn.NotFound) {
		return "", err
	}
	begun, err := o.directory.Erasing(ctx)
	if err != nil {
		return "", err
	}
	for _, c := range begun {
		if c.Slug == slug {
			return c.ID, nil
		}
	}
	return "", say(authn.NotFound, "there is no company %q; `sallyport company list` shows all", slug)
}
