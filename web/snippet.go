package web

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// call is a request that a snippet shows.
type call struct {
	method, base, path string
	header             [][2]string // name, and value before the variable
	variable           []string    // environment variable at the end of the header's value; empty: none
	body               string
	file               string // name of a file that is the body; empty: none
}

var inBraces = regexp.MustCompile(`\{([^}]+)\}`)

// snippets are the same call by curl and in Go. What only the reader knows stands
// in environment variables: a secret typed into a command stays in its history.
func (b *referenceBuilder) snippets(op *refOperation, request json.RawMessage) (curl, program string) {
	c := call{method: op.Method, base: b.ref.Base, path: op.Path}
	if len(op.Proofs) > 0 {
		s := b.doc.Components.SecuritySchemes[op.Proofs[0]]
		variable := envName(op.Proofs[0])
		switch {
		case s.Type == "http" && strings.EqualFold(s.Scheme, "bearer"):
			c.add("Authorization", "Bearer ", variable)
		case s.Type == "apiKey" && s.In == "header":
			c.add(s.Name, "", variable)
		case s.Type == "apiKey" && s.In == "cookie":
			c.add("Cookie", s.Name+"=", variable)
		default:
			b.fail("%s: no example can be made for the security scheme %s", op.ID, op.Proofs[0])
		}
	}
	if request != nil {
		c.add("Content-Type", "application/json", "")
		c.body = b.indent(op.ID, request)
	}
	if op.File != "" {
		c.add("Content-Type", op.File, "")
		c.file = "logo.png"
	}
	return c.curl(), c.program()
}

func (c *call) add(name, value, variable string) {
	c.header = append(c.header, [2]string{name, value})
	c.variable = append(c.variable, variable)
}

// envName is "sessionToken" as SESSION_TOKEN.
func envName(s string) string {
	var out strings.Builder
	for i, r := range s {
		if unicode.IsUpper(r) && i > 0 {
			out.WriteByte('_')
		}
		if r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			r = '_'
		}
		out.WriteRune(unicode.ToUpper(r))
	}
	return out.String()
}

// shellQuote is a word that a POSIX shell takes as it stands.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (c *call) curl() string {
	var out strings.Builder
	out.WriteString("curl -i")
	if c.method != "GET" && (c.method != "POST" || c.body == "") {
		out.WriteString(" -X " + c.method)
	}
	address := c.base + c.path
	if inBraces.MatchString(c.path) {
		fmt.Fprintf(&out, " \"%s\"", inBraces.ReplaceAllStringFunc(address, func(s string) string { return "$" + envName(s[1:len(s)-1]) }))
	} else {
		out.WriteString(" " + shellQuote(address))
	}
	for i, h := range c.header {
		if v := c.variable[i]; v != "" {
			fmt.Fprintf(&out, " \\\n  -H \"%s: %s$%s\"", h[0], h[1], v)
		} else {
			out.WriteString(" \\\n  -H " + shellQuote(h[0]+": "+h[1]))
		}
	}
	if c.body != "" {
		out.WriteString(" \\\n  -d " + shellQuote(c.body))
	}
	if c.file != "" {
		out.WriteString(" \\\n  --data-binary @" + c.file)
	}
	return out.String()
}

// program is a whole Go program, formatted as gofmt does.
func (c *call) program() string {
	var out strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	body := "nil"
	line("package main")
	line("")
	line("import (")
	for _, p := range []string{"fmt", "io", "log", "net/http", "os"} {
		line("\t%q", p)
	}
	if c.body != "" {
		line("\t%q", "strings")
	}
	line(")")
	line("")
	line("func main() {")
	if c.body != "" {
		body = "body"
		quoted := "`" + c.body + "`"
		if strings.ContainsRune(c.body, '`') {
			quoted = strconv.Quote(c.body)
		}
		line("\tbody := strings.NewReader(%s)", quoted)
	}
	if c.file != "" {
		body = "body"
		line("\tbody, err := os.Open(%q)", c.file)
		line("\tif err != nil {")
		line("\t\tlog.Fatal(err)")
		line("\t}")
		line("\tdefer body.Close()")
	}
	line("\treq, err := http.NewRequest(%q, %s, %s)", c.method, goAddress(c.base+c.path), body)
	line("\tif err != nil {")
	line("\t\tlog.Fatal(err)")
	line("\t}")
	for i, h := range c.header {
		switch v := c.variable[i]; {
		case v == "":
			line("\treq.Header.Set(%q, %q)", h[0], h[1])
		case h[1] == "":
			line("\treq.Header.Set(%q, os.Getenv(%q))", h[0], v)
		default:
			line("\treq.Header.Set(%q, %q+os.Getenv(%q))", h[0], h[1], v)
		}
	}
	line("\tres, err := http.DefaultClient.Do(req)")
	line("\tif err != nil {")
	line("\t\tlog.Fatal(err)")
	line("\t}")
	line("\tdefer res.Body.Close()")
	line("\tfmt.Println(res.Status)")
	line("\tif _, err := io.Copy(os.Stdout, res.Body); err != nil {")
	line("\t\tlog.Print(err)")
	line("\t}")
	out.WriteString("}\n")
	return out.String()
}

// goAddress is an expression: "https://…/"+os.Getenv("ID")+"/verify".
func goAddress(address string) string {
	var parts []string
	rest := address
	for _, at := range inBraces.FindAllStringSubmatch(address, -1) {
		before, after, _ := strings.Cut(rest, at[0])
		if before != "" {
			parts = append(parts, strconv.Quote(before))
		}
		parts = append(parts, fmt.Sprintf("os.Getenv(%q)", envName(at[1])))
		rest = after
	}
	if rest != "" {
		parts = append(parts, strconv.Quote(rest))
	}
	return strings.Join(parts, "+")
}
