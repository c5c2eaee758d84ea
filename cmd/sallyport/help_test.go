package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command explains itself: a sentence, an example that calls this very
// command, and help that ends well.
func TestEveryCommandHasAnExample(t *testing.T) {
	n := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		n++
		path := c.CommandPath()
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: Short is %q", path, c.Short)
		}
		if !strings.Contains(c.Example, path) || !strings.HasPrefix(c.Example, "  ") || strings.Contains(c.Example, "\t") {
			t.Errorf("%s: the example does not call it, or is not indented by two spaces:\n%s", path, c.Example)
		}
		if c.RunE == nil {
			t.Errorf("%s does nothing", path)
		}
		args := append(strings.Fields(path)[1:], "--help")
		var out, stderr bytes.Buffer
		if code := run(context.Background(), args, nil, strings.NewReader(""), &out, &stderr); code != fine || !strings.Contains(out.String(), "Examples:") {
			t.Errorf("%s: exit %d\n%s%s", path, code, &out, &stderr)
		}
		if c.Flag("json") == nil {
			t.Errorf("%s has no --json", path)
		}
		for _, child := range c.Commands() {
			walk(child)
		}
	}
	p := &program{}
	walk(p.root())
	if n < 15 {
		t.Errorf("only %d commands: the walk has lost its way", n)
	}
}

// Whatever a command is called with, a misuse under --json is JSON on standard
// error, names the command's own help, and says nothing on standard output.
func TestEveryMisuseIsJSON(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		args := append(strings.Fields(c.CommandPath())[1:], "--json", "--unheard-of")
		var out, stderr bytes.Buffer
		code := run(context.Background(), args, nil, strings.NewReader(""), &out, &stderr)
		var e struct{ Error complaint }
		err := json.Unmarshal(stderr.Bytes(), &e)
		if code != misused || out.Len() > 0 || err != nil || e.Error.Code != "misused" ||
			!strings.HasSuffix(e.Error.Message, "see `"+c.CommandPath()+" --help`") {
			t.Errorf("%s: exit %d, %v\n%s%s", c.CommandPath(), code, err, &out, &stderr)
		}
		for _, child := range c.Commands() {
			walk(child)
		}
	}
	p := &program{}
	walk(p.root())
}
