package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// shells are those that completion writes for, with how to load it for good.
var shells = []struct {
	name  string
	write func(root *cobra.Command, b *bytes.Buffer) error
}{
	{"bash", func(root *cobra.Command, b *bytes.Buffer) error { return root.GenBashCompletionV2(b, true) }},
	{"zsh", func(root *cobra.Command, b *bytes.Buffer) error { return root.GenZshCompletion(b) }},
	{"fish", func(root *cobra.Command, b *bytes.Buffer) error { return root.GenFishCompletion(b, true) }},
	{"powershell", func(root *cobra.Command, b *bytes.Buffer) error {
		return root.GenPowerShellCompletionWithDesc(b)
	}},
}

func shellNames() []string {
	var names []string
	for _, s := range shells {
		names = append(names, s.name)
	}
	return names
}

func (p *program) completionCommand() *cobra.Command {
	names := shellNames()
	return &cobra.Command{
		Use:   "completion " + strings.Join(names, "|"),
		Short: "Write a script that completes commands and flags with the Tab key",
		Long:  "Writes a script for your shell. It completes commands, flags and their fixed values; it reads no configuration and no database.",
		Example: "  source <(sallyport completion bash)                                             # this shell only; needs bash-completion\n" +
			"  sallyport completion bash > /etc/bash_completion.d/sallyport                     # bash, for good\n" +
			"  sallyport completion zsh > \"${fpath[1]}/_sallyport\"                              # zsh\n" +
			"  sallyport completion fish > ~/.config/fish/completions/sallyport.fish            # fish\n" +
			"  sallyport completion powershell | Out-String | Invoke-Expression                # PowerShell",
		ValidArgs: names,
		Args:      cobra.ExactArgs(1),
		RunE: does(func(c *cobra.Command, args []string) error {
			i := slices.Index(names, args[0])
			if i < 0 {
				return misuse(fmt.Sprintf("there is no completion for %q; it must be one of %s", args[0], strings.Join(names, ", ")))
			}
			var b bytes.Buffer
			if err := shells[i].write(c.Root(), &b); err != nil {
				return err
			}
			return p.show(struct {
				Shell  string `json:"shell"`
				Script string `json:"script"`
			}{args[0], b.String()}, "%s", &b)
		}),
	}
}

// helpCommand takes the place of cobra's, which ends well whatever it is asked.
func (p *program) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Explain a command",
		Example: "  sallyport help user add\n  sallyport help doctor --json",
		RunE: does(func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return misuse(fmt.Sprintf("there is no command %q", strings.Join(args, " ")))
			}
			if p.json {
				return p.showJSON(explain(about))
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		}),
	}
}

// explained is a command as machines read its help.
type explained struct {
	Command  string      `json:"command"`
	Usage    string      `json:"usage"`
	Short    string      `json:"short"`
	Long     string      `json:"long,omitempty"`
	Example  string      `json:"example"`
	Flags    string      `json:"flags,omitempty"`
	Commands []explained `json:"commands,omitempty"`
}

func explain(c *cobra.Command) explained {
	e := explained{Command: c.CommandPath(), Usage: c.UseLine(), Short: c.Short, Long: c.Long, Example: c.Example,
		Flags: c.LocalFlags().FlagUsages()}
	for _, child := range c.Commands() {
		if !child.Hidden {
			e.Commands = append(e.Commands, explained{Command: child.CommandPath(), Usage: child.UseLine(), Short: child.Short, Example: child.Example})
		}
	}
	return e
}
