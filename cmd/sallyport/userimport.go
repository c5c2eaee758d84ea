package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/text"
)

// importView is the report of an import as machines read it.
type importView struct {
	File    string        `json:"file"`
	DryRun  bool          `json:"dry_run"`
	Rows    int64         `json:"rows"`
	Created int64         `json:"created"`
	Wrong   int64         `json:"wrong"`
	Errors  []importError `json:"errors"`
}

type importError struct {
	Line    int    `json:"line"`
	Field   string `json:"field"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (u *userGroup) importFile() *cobra.Command {
	c := &cobra.Command{
		Use: "import FILE", Short: "Add the people of a file: all of them, or nobody",
		Long: "Adds the people of a CSV file, or of JSON lines if FILE ends in .jsonl; - is CSV from standard input. If anything in it is wrong, every line that is wrong is told and nobody is added. People who are here already are never changed.\n\n" +
			"Columns: " + strings.Join(directory.ImportColumns(), ", ") + ". Only login is needed. Roles have commas between them; owner cannot be given. Addresses and numbers count as not verified. A password hash is argon2id, bcrypt, scrypt or PBKDF2-SHA-256 within bounds (docs/operating.md); the first right sign-in replaces it.",
		Example: "  sallyport user import people.csv --dry-run\n  sallyport user import --company acme people.jsonl", Args: cobra.ExactArgs(1),
	}
	dry := c.Flags().Bool("dry-run", false, "look at everything, and add nobody")
	c.RunE = does(func(c *cobra.Command, args []string) error {
		format := "csv"
		if ext := strings.ToLower(filepath.Ext(args[0])); ext == ".jsonl" || ext == ".ndjson" {
			format = "jsonl"
		}
		var in io.Reader = u.in
		if args[0] != "-" {
			f, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("%s cannot be read: %w", args[0], unwrapPath(err))
			}
			defer f.Close()
			in = f
		}
		return u.do(c, func(o *opened, company authn.Company) error {
			rep, err := o.directory.Import(c.Context(), directory.TheOperator(company.ID), directory.ImportFile{Format: format, Data: in, DryRun: *dry})
			if err != nil {
				return err
			}
			return u.printImport(args[0], company, rep)
		})
	})
	return c
}

func (u *userGroup) printImport(file string, company authn.Company, rep directory.ImportReport) error {
	v := importView{File: file, DryRun: rep.DryRun, Rows: rep.Rows, Created: rep.Created, Wrong: rep.Wrong, Errors: []importError{}}
	var b strings.Builder
	words := text.Default()
	for _, e := range rep.Errors {
		one := importError{e.Row, e.Field, e.Code, words.Text("en", e.TextKey(), e.Args)}
		v.Errors = append(v.Errors, one)
		fmt.Fprintf(&b, "line %d, %s: %s\n", one.Line, one.Field, one.Message)
	}
	if rep.Wrong > 0 {
		if err := u.show(v, "%s", b.String()); err != nil {
			return err
		}
		return say(authn.Invalid, "%s wrong in %s; nobody was added to %s", count(rep.Wrong, "thing is", "things are"), file, company.Slug)
	}
	if rep.DryRun {
		return u.show(v, "%s is right: %s would be added to %s.\n", file, count(rep.Rows, "person", "people"), company.Slug)
	}
	return u.show(v, "%s added to %s.\n", count(rep.Created, "person was", "people were"), company.Slug)
}

func (u *userGroup) exportFile() *cobra.Command {
	c := &cobra.Command{
		Use: "export --out FILE", Short: "Write the list of people to a file, as CSV or JSON lines", Args: cobra.NoArgs,
		Long: "Writes the people whom the filters choose to a file for its owner's eyes only. jsonl is the lossless form; in csv, cells that a spreadsheet would run as a formula begin with an apostrophe. No secret is in it.\n\n" +
			"The file is there whole or not at all. Each export is in the log.",
		Example: "  sallyport user export --out people.csv\n  sallyport user export --format jsonl --filter set_up=due --out due.jsonl",
	}
	var f filterFlags
	f.add(c)
	format := c.Flags().String("format", "csv", "csv (for spreadsheets) or jsonl (lossless)")
	out := c.Flags().String("out", "", "file to write; - is standard output")
	force := c.Flags().Bool("force", false, "replace the file if it exists")
	c.MarkFlagRequired("out")
	c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"csv", "jsonl"}, cobra.ShellCompDirectiveNoFileComp))
	c.RunE = does(func(c *cobra.Command, _ []string) error {
		if *format != "csv" && *format != "jsonl" {
			return misuse(fmt.Sprintf("--format is %q; it must be csv or jsonl", *format))
		}
		if *out != "-" && !*force && len(existing(*out)) > 0 {
			return taken(*out)
		}
		filters, err := f.read()
		if err != nil {
			return err
		}
		return u.do(c, func(o *opened, company authn.Company) error {
			var n int64
			write := func(w io.Writer) (err error) {
				n, err = o.directory.ExportPeople(c.Context(), directory.TheOperator(company.ID), *format, filters, w)
				return err
			}
			if *out == "-" {
				return filtered(write(u.out), company)
			}
			if err := writeWhole(*out, *force, write); err != nil {
				return filtered(err, company)
			}
			return u.show(map[string]any{"file": *out, "format": *format, "people": n}, "%s of %s are in %s.\n", count(n, "person", "people"), company.Slug, *out)
		})
	})
	return c
}
