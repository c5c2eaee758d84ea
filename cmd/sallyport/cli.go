package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/text"
)

// program is one call of the command line.
type program struct {
	env []string
	in  io.Reader
	out io.Writer
	err io.Writer

	config string // --config
	json   bool   // --json
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "sallyport",
		Short: "Multi-factor sign-in for web applications",
		Long: "Sallyport is the second door of a web application: password, then a proof that only the person has.\n\n" +
			"`sallyport demo` shows it in a minute; `sallyport init` and `sallyport serve` run it for real.",
		Example:       "  sallyport demo\n  sallyport init --dir /var/lib/sallyport --public-url https://login.example.com",
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().BoolVar(&p.json, "json", false, "answer, also errors, as JSON")
	root.AddCommand(p.demoCommand(), p.serveCommand(), p.initCommand(), p.checkCommand(),
		p.companyCommand(), p.userCommand(), p.approvalCommand(), p.policyCommand(), p.providerCommand(), p.keyCommand(), p.roleCommand(), p.actionCommand(), p.keyringCommand(), p.passwordsCommand(), p.auditCommand(), p.reportCommand(), p.doctorCommand(), p.completionCommand(), p.versionCommand())
	root.SetHelpCommand(p.helpCommand())
	root.InitDefaultHelpCmd() // now, so that who walks the tree meets it
	return root
}

// configured adds the flag of commands that read the configuration.
func (p *program) configured(c *cobra.Command) *cobra.Command {
	c.PersistentFlags().StringVar(&p.config, "config", p.variable("CONFIG"),
		"configuration file (default "+defaultConfig+", if there is one; also SALLYPORT_CONFIG)")
	return c
}

func (p *program) variable(name string) string {
	for _, pair := range p.env {
		if v, ok := strings.CutPrefix(pair, envPrefix+name+"="); ok {
			return v
		}
	}
	return ""
}

// group is a command that only holds others. Calling it alone is a misuse.
func group(use, short, example string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example, Args: cobra.NoArgs}
	var names []string
	for _, child := range children {
		names = append(names, child.Name())
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		return fmt.Errorf("say what to do: %s %s", c.CommandPath(), strings.Join(names, "|"))
	}
	c.AddCommand(children...)
	return c
}

// failure is what went wrong in a command that was called rightly. Any other
// error that reaches end is a misuse; cobra has no type for those.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// misuse is a wrong call that only the command itself can see.
type misuse string

func (m misuse) Error() string { return string(m) }

// does makes f what a command runs.
func does(f func(c *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		err := f(c, args)
		if m := misuse(""); err == nil || errors.As(err, &m) {
			return err
		}
		return failure{err}
	}
}

// Exit codes.
const (
	fine    = 0
	failed  = 1
	misused = 2
)

// complaint is an error as machines read it, on standard error.
type complaint struct {
	Code     string    `json:"code"`
	Message  string    `json:"message"`
	Problems []problem `json:"problems,omitempty"`
}

// end says what went wrong and gives the exit code.
func (p *program) end(cmd *cobra.Command, args []string, err error) int {
	if err == nil {
		return fine
	}
	code := misused
	c := complaint{Code: "misused", Message: err.Error() + "; see `" + cmd.CommandPath() + " --help`"}
	if f := (failure{}); errors.As(err, &f) {
		code, c = failed, complain(f.error)
	}
	// A misused flag may have kept --json from being read.
	if p.json || slices.Contains(args, "--json") {
		json.NewEncoder(p.err).Encode(map[string]complaint{"error": c})
	} else {
		fmt.Fprintln(p.err, "sallyport: "+c.Message)
	}
	return code
}

// said is a refusal of a command in words of its own.
type said struct {
	code     string
	text     string
	problems []problem
}

func (s said) Error() string { return s.text }

func say(code authn.Code, format string, args ...any) error {
	return said{code: string(code), text: fmt.Sprintf(format, args...)}
}

// complain puts an error into words for the operator.
func complain(err error) complaint {
	c := complaint{Code: "failed", Message: err.Error()}
	var own said
	var bad configError
	var e *authn.Error
	switch {
	case errors.As(err, &own):
		c.Code, c.Problems = own.code, own.problems
	case errors.As(err, &bad):
		c.Code, c.Problems = "config", bad
	case errors.As(err, &e):
		c.Code = string(e.Code)
		switch e.Code {
		case authn.Internal: // the operator may see the cause
		case authn.Busy:
			c.Message += "; the database did not answer in time, or another program is writing to it; try again"
		default:
			c.Message, c.Problems = sentence(e)
		}
	}
	return c
}

// sentence renders a refusal of the domain.
func sentence(e *authn.Error) (string, []problem) {
	texts := text.Default()
	if len(e.Fields) == 0 {
		return httpserve.Message(texts, text.English, e), nil
	}
	var lines []string
	var problems []problem
	for _, f := range e.Fields {
		s := httpserve.FieldMessage(texts, text.English, f)
		lines = append(lines, f.Name+": "+s)
		problems = append(problems, problem{f.Name, s})
	}
	return strings.Join(lines, "\n  "), problems
}

// show prints v as JSON, or what the text says.
func (p *program) show(v any, format string, args ...any) error {
	if p.json {
		return p.showJSON(v)
	}
	_, err := fmt.Fprintf(p.out, format, args...)
	return err
}

func (p *program) showJSON(v any) error {
	e := json.NewEncoder(p.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
