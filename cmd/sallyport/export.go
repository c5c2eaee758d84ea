package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
)

func (a *auditGroup) export() *cobra.Command {
	c := &cobra.Command{
		Use: "export --out FILE", Short: "Write the log to a file, as CSV or JSON lines", Args: cobra.NoArgs,
		Long: "Writes a company's event log to a file for its owner's eyes only, in the order of the chain; events that are not in it yet come last. It holds what the log says of people: addresses, browsers.\n\n" +
			"jsonl is the lossless form: from seq, prev, commitment and the open fields anybody can compute each hash. In csv, cells that a spreadsheet would run as a formula begin with an apostrophe. " +
			"The last row has the type " + audit.HeadType + ": keep it, or the head that is printed, apart from the database and give it to `audit verify --head`.\n\n" +
			"The file is there whole or not at all. Each export is in the log itself.",
		Example: "  sallyport audit export --company acme --format jsonl --out acme.jsonl\n  sallyport audit export --format csv --since 2026-01-01 --until 2026-04-01 --out q1.csv",
	}
	var s choice
	s.flags(c)
	format := c.Flags().String("format", "jsonl", "jsonl (lossless) or csv (for spreadsheets)")
	out := c.Flags().String("out", "", "file to write; - is standard output")
	force := c.Flags().Bool("force", false, "replace the file if it exists")
	c.MarkFlagRequired("out")
	c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"jsonl", "csv"}, cobra.ShellCompDirectiveNoFileComp))
	c.RunE = does(func(c *cobra.Command, _ []string) error {
		if *format != "csv" && *format != "jsonl" {
			return misuse(fmt.Sprintf("--format is %q; it must be csv or jsonl", *format))
		}
		if *out != "-" && !*force && len(existing(*out)) > 0 {
			return taken(*out)
		}
		return a.do(c, func(o *opened, log *audit.Service, company authn.Company) error {
			q, err := s.query(c, o, company)
			if err != nil {
				return err
			}
			return a.exportTo(c.Context(), o, log, company, q, *format, *out, *force)
		})
	})
	return c
}

func taken(path string) error {
	return say(authn.Conflict, "%s exists and is left as it is; choose another name, or replace it with --force", path)
}

// exported is what export answers.
type exported struct {
	File   string `json:"file"`
	Format string `json:"format"`
	Events int64  `json:"events"`
	Head   string `json:"head,omitempty"`
}

func (a *auditGroup) exportTo(ctx context.Context, o *opened, log *audit.Service, company authn.Company, q authn.EventQuery, format, out string, force bool) error {
	done := exported{File: out, Format: format}
	write := func(w io.Writer) (err error) {
		var head audit.Head
		done.Events, head, err = writeEvents(ctx, w, log, company, q, format)
		done.Head = head.String()
		return err
	}
	if out == "-" {
		if err := write(a.out); err != nil {
			return err
		}
		return noteExport(ctx, o, company, done)
	}
	if err := writeWhole(out, force, write); err != nil {
		return err
	}
	if err := noteExport(ctx, o, company, done); err != nil {
		return err
	}
	return a.show(done, "%s of %s are in %s.\nHead: %s\n", count(done.Events, "event", "events"), company.Slug, out, orNone(done.Head))
}

// noteExport puts the export into the log: it carries data of people away.
func noteExport(ctx context.Context, o *opened, company authn.Company, done exported) error {
	now := time.Now()
	return o.store.Decide(ctx, authn.Keys{Company: company.ID, Now: now}, func(*authn.Rows) authn.Verdict {
		return authn.Accept(authn.Event{Company: company.ID, Type: "audit.exported", Actor: directory.Operator, Result: authn.Succeeded, At: now,
			Personal: authn.Personal{Detail: map[string]string{"format": done.Format, "events": strconv.FormatInt(done.Events, 10)}}})
	})
}

// writeEvents writes those events that fit, then the head of the chain.
func writeEvents(ctx context.Context, w io.Writer, log *audit.Service, company authn.Company, q authn.EventQuery, format string) (n int64, head audit.Head, err error) {
	b := bufio.NewWriter(w)
	put, err := audit.Lines(b, format)
	if err != nil {
		return 0, head, err
	}
	head, err = log.Walk(ctx, company.ID, func(e authn.SealedEvent) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !fits(q, e.Event) {
			return nil
		}
		n++
		return put(audit.LineOf(e, eventText(e.Event)))
	})
	if err == nil && head.Seq > 0 {
		err = put(audit.HeadLine(company.ID, head, time.Now()))
	}
	return n, head, errors.Join(err, b.Flush())
}

func fits(q authn.EventQuery, e authn.Event) bool {
	switch {
	case q.Target != "" && e.Target != q.Target, q.Actor != "" && e.Actor != q.Actor, q.Result != "" && e.Result != q.Result,
		strings.HasSuffix(q.Type, ".") && !strings.HasPrefix(e.Type, q.Type),
		q.Type != "" && !strings.HasSuffix(q.Type, ".") && e.Type != q.Type,
		e.At.Before(q.Since), !q.Until.IsZero() && !e.At.Before(q.Until):
		return false
	}
	return true
}

// writeWhole makes a file that is there with everything or not at all, for its
// owner's eyes only. Without force one that exists is never replaced, not even
// one that came meanwhile.
func writeWhole(path string, force bool, write func(io.Writer) error) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), ".sallyport-*") // of mode 0600
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, unwrapPath(err))
	}
	defer func() {
		if err != nil {
			os.Remove(temp.Name())
		}
	}()
	err = write(temp)
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return fmt.Errorf("%s was not written: %w", path, err)
	}
	if force {
		return os.Rename(temp.Name(), path)
	}
	switch err := os.Link(temp.Name(), path); {
	case errors.Is(err, fs.ErrExist):
		os.Remove(temp.Name())
		return taken(path)
	case err == nil:
		return os.Remove(temp.Name())
	}
	// No links on this file system.
	if len(existing(path)) > 0 {
		os.Remove(temp.Name())
		return taken(path)
	}
	return os.Rename(temp.Name(), path)
}
