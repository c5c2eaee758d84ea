package sallyport_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/docs"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
)

// standardMethods are methods whose meaning is fixed by the standard library;
// a comment would only repeat it.
var standardMethods = []string{
	"Error", "Unwrap", "Is", "As", "String", "GoString", "Format", "LogValue", "ServeHTTP", "Header", "Write", "WriteHeader",
	"MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText", "MarshalYAML", "UnmarshalYAML", "Scan", "Value",
	"Len", "Less", "Swap", "Close", "Read",
}

var sentenceEnd = regexp.MustCompile(`[.!?:][)"”]?(\s|$)`)

// Every package says what it is for and what it guards against.
func TestPackageComments(t *testing.T) {
	comments := map[string]string{}
	for _, f := range files(t) {
		if f.test {
			continue
		}
		comments[f.dir] += f.ast.Doc.Text()
	}
	var bad []string
	for _, dir := range slices.Sorted(maps.Keys(comments)) {
		if n := len(sentenceEnd.FindAllString(comments[dir], -1)); n < 2 {
			bad = append(bad, fmt.Sprintf("%s: the package comment has %d sentences, want at least 2", dir, n))
		}
	}
	report(t, bad)
}

// Every exported name is documented.
func TestExportedNamesAreDocumented(t *testing.T) {
	var bad []string
	for _, f := range files(t) {
		if f.test || f.ast.Name.Name == "main" {
			continue
		}
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && onExported(d) && d.Doc.Text() == "" && (d.Recv == nil || !slices.Contains(standardMethods, d.Name.Name)) {
					bad = append(bad, f.at(d.Pos())+": "+d.Name.Name)
				}
			case *ast.GenDecl:
				bad = append(bad, undocumented(f, d)...)
			}
		}
	}
	report(t, bad)
}

// onExported reports whether a function has no receiver, or one of an exported type.
func onExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

// undocumented lists exported types without a comment of their own, and
// constants and variables with neither their own nor their group's.
func undocumented(f goFile, d *ast.GenDecl) (bad []string) {
	group := d.Doc.Text() != ""
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc.Text() == "" && (!group || d.Lparen.IsValid()) {
				bad = append(bad, f.at(s.Pos())+": "+s.Name.Name)
			}
		case *ast.ValueSpec:
			if group || s.Doc.Text() != "" || s.Comment.Text() != "" {
				continue
			}
			for _, n := range s.Names {
				if n.IsExported() {
					bad = append(bad, f.at(n.Pos())+": "+n.Name)
				}
			}
		}
	}
	return bad
}

func report(t *testing.T, bad []string) {
	t.Helper()
	if len(bad) > 0 {
		t.Errorf("%d offenders:\n\t%s", len(bad), strings.Join(bad, "\n\t"))
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// std-41: the rules against guessing are written down, with the numbers that
// the code counts by. A row is "| `name` | value |".
func TestThreatModel_std41_numbers(t *testing.T) {
	life := policy.Lifetimes{}.WithDefaults()
	code := map[string]string{
		"policy.FreeTries":       strconv.Itoa(policy.FreeTries),
		"policy.FirstPause":      span(policy.FirstPause),
		"policy.LongestPause":    span(policy.LongestPause),
		"authn.ShareStranger":    strconv.Itoa(authn.ShareStranger),
		"authn.ShareKnown":       strconv.Itoa(authn.ShareKnown),
		"policy.KnownAfterRow":   strconv.Itoa(policy.KnownAfterRow),
		"policy.KnownAfterMonth": strconv.Itoa(policy.KnownAfterMonth),
		"policy.Month":           span(policy.Month),
		"authn.CeremonyLives":    span(authn.CeremonyLives),
		"authn.MaxAsks":          strconv.Itoa(authn.MaxAsks),
		"Lifetimes.Attempt":      span(life.Attempt),
		"Lifetimes.Setup":        span(life.Setup),
		"Lifetimes.Session":      span(life.Session),
		"Lifetimes.Idle":         span(life.Idle),
		"Lifetimes.StepUpAge":    span(life.StepUpAge),
		"MinimumPassword alone":  fmt.Sprintf("%d characters", policy.MinimumPassword(policy.Document{TwoFactor: policy.On}, authn.User{})),
		"MinimumPassword with":   fmt.Sprintf("%d characters", policy.MinimumPassword(policy.Document{TwoFactor: policy.Required}, authn.User{})),
	}
	if authn.ShareStranger+authn.ShareKnown != 100 {
		t.Errorf("the lanes share %d wrong answers, want the 100 of NIST SP 800-63B-4 3.2.2", authn.ShareStranger+authn.ShareKnown)
	}
	written := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+?) \\|").FindAllStringSubmatch(read(t, "docs/threat-model.md"), -1) {
		written[m[1]] = m[2]
	}
	for _, name := range slices.Sorted(maps.Keys(code)) {
		if written[name] != code[name] {
			t.Errorf("docs/threat-model.md says %q of %s, the code counts %q", written[name], name, code[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(written)) {
		if _, ok := code[name]; !ok {
			t.Errorf("docs/threat-model.md has a number %s that this test does not know", name)
		}
	}
}

// span writes a duration as the documents do.
func span(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if d%u.unit != 0 || d < u.unit || u.unit == 24*time.Hour && d < 48*time.Hour {
			continue
		}
		n := int(d / u.unit)
		if n == 1 {
			return "1 " + u.name
		}
		return fmt.Sprintf("%d %ss", n, u.name)
	}
	return d.String()
}

// A claim of the threat model names the folders whose tests cite its id. A row
// begins with its ids and ends with the folders, or with "none yet".
func TestThreatModel_testsExist(t *testing.T) {
	cites := map[string]string{} // folder: all its test code
	for _, f := range files(t) {
		if f.test || f.dir == "sallyporttest" { // which is the suite for stores
			cites[f.dir] += string(f.src)
		}
	}
	id := regexp.MustCompile(`^(rul|std|cve|inv|dec)-(\w+)$`)
	rows := regexp.MustCompile(`(?m)^\| ((?:rul|std|cve|inv|dec)-[^|]*) \|.*\| ([^|]*) \|$`).FindAllStringSubmatch(read(t, "docs/threat-model.md"), -1)
	if len(rows) < 20 {
		t.Fatalf("docs/threat-model.md has %d rows of the expected form", len(rows))
	}
	for _, row := range rows {
		if row[2] == "none yet" {
			continue
		}
		folders := strings.Fields(strings.NewReplacer("`", " ", ",", " ").Replace(row[2]))
		for _, one := range strings.Split(row[1], ", ") {
			m := id.FindStringSubmatch(one)
			if m == nil {
				t.Errorf("docs/threat-model.md: %q is no id", one)
				continue
			}
			cited := regexp.MustCompile(`(?i)\b\w*` + m[1] + `[-_]?` + m[2] + `(?:\b|_)`)
			if m[1] == "rul" {
				cited = regexp.MustCompile(`(?i)\b\w*(?:rul[-_]?|rulings? )` + m[2] + `(?:\b|_)`)
			}
			if !slices.ContainsFunc(folders, func(dir string) bool { return cited.MatchString(cites[dir]) }) {
				t.Errorf("docs/threat-model.md: no test in %v cites %s", folders, one)
			}
		}
	}
}

// codes reads the error codes out of the source, so that none can be forgotten.
func codes(t *testing.T) []authn.Code {
	t.Helper()
	var list []authn.Code
	for _, f := range files(t) {
		if f.path != "authn/errors.go" {
			continue
		}
		for _, d := range f.ast.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.CONST {
				continue
			}
			for _, s := range gen.Specs {
				s := s.(*ast.ValueSpec)
				if typ, ok := s.Type.(*ast.Ident); ok && typ.Name == "Code" {
					v, err := strconv.Unquote(s.Values[0].(*ast.BasicLit).Value)
					if err != nil {
						t.Fatal(err)
					}
					list = append(list, authn.Code(v))
				}
			}
		}
	}
	if len(list) < 20 {
		t.Fatalf("found %d codes in authn/errors.go", len(list))
	}
	return list
}

// Every error code has its section in docs/errors.md, which is also its page on
// the server, with the status that the server answers.
func TestErrorPages(t *testing.T) {
	guide, err := docs.Errors()
	if err != nil {
		t.Fatal(err)
	}
	all := codes(t)
	for _, c := range all {
		e, ok := guide.Find(string(c))
		if !ok {
			t.Errorf("docs/errors.md has no section %s", c)
		} else if want := httpserve.Status(c); e.Status != want {
			t.Errorf("docs/errors.md: the section %s says HTTP %d, the server answers %d", c, e.Status, want)
		}
	}
	for _, e := range guide.Errors {
		if !slices.Contains(all, authn.Code(e.Code)) {
			t.Errorf("docs/errors.md has a section %s, which is no error code", e.Code)
		}
	}
}

// Links between the documents lead somewhere.
func TestDocs_links(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"`)
	heading := regexp.MustCompile(`(?m)^#+ (.+)$`)
	for _, file := range documents(t) {
		text := read(t, file)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target := m[1] + m[2]
			if strings.Contains(target, ":") || strings.HasPrefix(target, "docs/images/") {
				continue // elsewhere; or pictures, which are made by a program of their own
			}
			name, anchor, _ := strings.Cut(target, "#")
			dest := file
			if name != "" {
				dest = filepath.Join(filepath.Dir(file), name)
			}
			if _, err := os.Stat(dest); err != nil {
				t.Errorf("%s: %s leads nowhere", file, target)
				continue
			}
			if anchor == "" {
				continue
			}
			found := false
			for _, h := range heading.FindAllStringSubmatch(read(t, dest), -1) {
				found = found || anchorOf(h[1]) == anchor
			}
			if !found {
				t.Errorf("%s: %s: there is no such heading", file, target)
			}
		}
	}
}

// anchorOf is the address that a heading gets.
func anchorOf(heading string) string {
	heading = strings.ToLower(strings.ReplaceAll(heading, "`", ""))
	heading = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(heading, "")
	return strings.ReplaceAll(heading, " ", "-")
}

func documents(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir("docs", func(p string, d fs.DirEntry, err error) error {
		if err == nil && path.Ext(p) == ".md" {
			list = append(list, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// The Go program in the integration guide compiles as it stands there.
func TestIntegrationGuide_compiles(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a program")
	}
	blocks := regexp.MustCompile("(?s)```go\n(package main.*?)```").FindAllStringSubmatch(read(t, "docs/integration.md"), -1)
	if len(blocks) == 0 {
		t.Fatal("docs/integration.md shows no Go program")
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range blocks {
		// An overlay puts the program inside the module without a file there.
		source := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(source, []byte(b[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "docs", "example", "main.go"): source}})
		if err != nil {
			t.Fatal(err)
		}
		list := filepath.Join(t.TempDir(), "overlay.json")
		if err := os.WriteFile(list, overlay, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("go", "build", "-overlay", list, "-o", os.DevNull, "./docs/example")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("program %d of docs/integration.md does not compile: %v\n%s", i+1, err, out)
		}
	}
}

// What README tells people to type is what the automatic run ends with.
func TestRunnerEndsWithTheTestCommand(t *testing.T) {
	const command = "go test -timeout 30m ./..."
	if !strings.Contains(read(t, "README.md"), "\n"+command+"\n") {
		t.Errorf("README.md does not show the test command %q on a line of its own", command)
	}
	lines := strings.Split(strings.TrimSpace(read(t, ".ci/run")), "\n")
	if last := lines[len(lines)-1]; last != command {
		t.Errorf(".ci/run ends with %q, want %q", last, command)
	}
	if info, err := os.Stat(".ci/run"); err != nil || info.Mode()&0o100 == 0 {
		t.Errorf(".ci/run is not executable: %v", err)
	}
}

// The licence is the published text; only the copyright line is filled in.
func TestLicence(t *testing.T) {
	text := strings.Replace(read(t, "LICENSE"), "Copyright 2026 The Sallyport Authors", "Copyright [yyyy] [name of copyright owner]", 1)
	sum := sha256.Sum256([]byte(text))
	if got := hex.EncodeToString(sum[:]); got != "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30" {
		t.Errorf("LICENSE is not the text of the Apache License 2.0 (SHA-256 %s)", got)
	}
}
