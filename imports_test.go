package sallyport_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/sallyport-mfa/sallyport"

// domain is what handlers and the root package may build on.
var domain = []string{"policy", "signin", "enroll", "directory", "session", "throttle", "audit", "notice", "provider", "remote", "branding", "report"}

// mayImport holds, for every package of this module, which others of this
// module its non-test files may import ("." is the root). It is the table of
// the project's architecture; a package without a rule fails the test, so that
// a new one is a decision. A pattern matches as path.Match does.
var mayImport = map[string][]string{
	"authn":   {},
	"docs":    {},
	"keyring": {},
	"leaked":  {},
	"otp":     {},
	"client":  {}, // applications use it and grant by themselves
	"grant":   {},

	// Modules of their own.
	"examples/second-factor/go": {"client"},
	"examples/step-up":          {".", "authn", "directory", "policy", "keyring", "notice", "throttle", "method/*", "store/sqlite"},
	"examples/testing":          {".", "authn"},
	"examples/embedded":         {"authn", "keyring", "notice", "store/sqlite"}, // the database is chosen here
	"examples/embedded/orchard": {".", "authn", "policy", "signin", "throttle", "method/*"},

	"text":            {},
	"internal/qrcode": {},

	"policy":              {"authn"},
	"session":             {"authn"},
	"throttle":            {"authn"},
	"audit":               {"authn", "internal/csvfile"},
	"internal/egress":     {},
	"internal/duoserver":  {},
	"internal/phone":      {"text"},
	"geoip":               {"authn"},
	"internal/csvfile":    {},
	"internal/fidometa":   {},
	"message/*":           {"authn", "internal/egress", "message/httpsend"},
	"message/auditstream": {"authn", "internal/egress", "message/webhook"}, // whose signature it shares
	"internal/httpserve":  {"authn"},
	"notice":              {"authn", "text"},
	"method/*":            {"authn", "otp", "internal/phone"},
	"remote":              {"authn"},
	"signin":              {"authn", "policy", "remote", "grant"},
	"enroll":              {"authn", "policy", "remote"},
	"directory":           {"authn", "policy", "internal/phone"},
	"provider":            {"authn", "directory", "policy", "internal/phone"}, // who may is directory.Can's to say
	"branding":            {"authn", "directory", "policy"},
	"report":              {"authn", "policy", "directory", "provider", "internal/csvfile"}, // how messages get through is the provider's to say
	"store":               {"authn", "keyring"},
	"store/*":             {"authn", "keyring", "store"}, // the words of its errors, and the key in its Config
	"httpapi":             handlers,
	"web":                 append([]string{"docs"}, handlers...),
	"oidc":                handlers,
	".":                   append([]string{"httpapi", "web", "oidc", "internal/egress"}, handlers...),

	// What puts everything together. The root package is below all three.
	"sallyporttest":   {".", "*", "method/*", "message/*", "store/*", "internal/duoserver", "internal/egress", "internal/httpserve", "internal/qrcode"},
	"web/browsertest": {}, // tests only
	"internal/demo":   {".", "*", "method/*", "message/*", "store/*", "internal/duoserver", "internal/egress", "internal/httpserve", "internal/phone", "internal/qrcode"},
	"cmd/*":           {".", "*", "method/*", "message/*", "store/*", "internal/*"},
}

var handlers = append([]string{"authn", "text", "otp", "internal/csvfile", "internal/httpserve", "internal/phone", "internal/qrcode", "grant"}, domain...)

// wired are the only packages whose non-test files may know a database or a
// method by name; everything else gets them through authn's interfaces.
var wired = []string{"cmd/*", "internal/demo", "sallyporttest", "store/*", "method/*", "message/*", "examples/*", "examples/embedded/orchard"}

// badNames say nothing about what is in a folder.
var badNames = []string{"util", "utils", "helper", "helpers", "common", "model", "models", "service", "services", "handler", "handlers", "misc", "shared", "lib"}

// A goFile is one parsed file of the module, whatever its build tags.
type goFile struct {
	path string // slash-separated, relative to the module's root
	dir  string // "." for the root
	test bool
	ast  *ast.File
	src  []byte
}

var fileSet = token.NewFileSet()

// goFiles parses the module once for all tests.
var goFiles = sync.OnceValues(func() ([]goFile, error) {
	var list []goFile
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
			return nil
		}
		src, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fileSet, p, src, parser.ParseComments)
		if err != nil {
			return err
		}
		p = filepath.ToSlash(p)
		list = append(list, goFile{path: p, dir: path.Dir(p), test: strings.HasSuffix(p, "_test.go"), ast: f, src: src})
		return nil
	})
	return list, err
})

func files(t *testing.T) []goFile {
	t.Helper()
	list, err := goFiles()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// imports gives the import paths of a file with the names they go by there.
func (f goFile) imports() map[string]string {
	names := map[string]string{}
	for _, im := range f.ast.Imports {
		p := strings.Trim(im.Path.Value, `"`)
		name := path.Base(p)
		if im.Name != nil {
			name = im.Name.Name
		}
		names[p] = name
	}
	return names
}

func (f goFile) at(pos token.Pos) string {
	return fmt.Sprintf("%s:%d", f.path, fileSet.Position(pos).Line)
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, _ := path.Match(pattern, name)
		return ok
	})
}

// inModule turns an import path into the name used in mayImport.
func inModule(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// The table of who may import whom.
func TestImports(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range files(t) {
		rule, ok := mayImport[f.dir]
		if !ok {
			for pattern, r := range mayImport {
				if match, _ := path.Match(pattern, f.dir); match {
					rule, ok = r, true
				}
			}
		}
		if !ok && !seen[f.dir] {
			t.Errorf("%s: no import rule; decide what it may import and add it to mayImport", f.dir)
		}
		seen[f.dir] = true
		if f.test {
			continue
		}
		for p := range f.imports() {
			name, ours := inModule(p)
			if !ours {
				continue
			}
			if ok && !matches(rule, name) {
				t.Errorf("%s: %s may not import %s", f.path, f.dir, name)
			}
			if matches([]string{"store", "store/*", "method/*", "message/*"}, name) && !matches(wired, f.dir) {
				t.Errorf("%s: only %s name a store or a method", f.path, strings.Join(wired, ", "))
			}
		}
	}
	for _, dir := range []string{"authn", "signin", "store", "httpapi", "web", "cmd/sallyport"} {
		if !seen[dir] {
			t.Errorf("%s has no Go files: the walk has lost its way", dir)
		}
	}
}

// rul-36: a host with its own store links no SQL driver, no method and no vendor's
// code; one with its own users besides, which is given its store, links the methods
// that it wants and nothing else of those.
func TestImports_rootLinksNoDriver_rul36(t *testing.T) {
	apart := []string{"store", "store/*", "message/*", "cmd/*", "internal/demo", "internal/duoserver", "sallyporttest", "geoip"}
	for dir, not := range map[string][]string{
		".":                         append([]string{"method/*"}, apart...),
		"examples/embedded/orchard": append([]string{"method/duo"}, apart...),
	} {
		root := false
		for _, p := range listDeps(t, dir, "linux", ".") {
			name, ours := inModule(p.ImportPath)
			root = root || name == "."
			switch {
			case ours && matches(not, name):
				t.Errorf("%s links %s", dir, name)
			case p.Module != nil && slices.Contains([]string{"modernc.org/sqlite", "github.com/jackc/pgx/v5", "github.com/spf13/cobra", "github.com/oschwald/maxminddb-golang/v2"}, p.Module.Path),
				p.ImportPath == "database/sql":
				t.Errorf("%s links %s", dir, p.ImportPath)
			}
		}
		if !root {
			t.Errorf("%s does not link package sallyport: the list is not what it should be", dir)
		}
	}
}

func TestFolderNames(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range files(t) {
		for _, part := range strings.Split(f.dir, "/") {
			if slices.Contains(badNames, part) && !seen[f.dir] {
				t.Errorf("folder %s: %q says nothing about what is in it", f.dir, part)
				seen[f.dir] = true
			}
		}
	}
}

// No registration behind the reader's back: everything is wired in sallyport.New.
func TestNoInit(t *testing.T) {
	for _, f := range files(t) {
		if f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: func init; wire it where it is used", f.at(fn.Pos()))
			}
		}
	}
}

// unescaped are the types of html/template that switch escaping off.
var unescaped = []string{"HTML", "HTMLAttr", "JS", "JSStr", "CSS", "Srcset", "URL"}

// unescapedHere allows such a conversion in one file, for a reason. A second
// one in the same file needs its own count.
var unescapedHere = map[string]struct {
	count  int
	reason string
}{
	"web/setup.go HTML": {1, "the QR code: SVG drawn by internal/qrcode, which escapes its label; no template can make it"},
	"web/setup.go URL":  {1, "the otpauth link on phones: made and escaped by package otp; html/template refuses the scheme"},
}

// cve-65: HTML is made by html/template only, and nothing is passed around its escaping.
func TestTemplates_cve65(t *testing.T) {
	found := map[string]int{}
	for _, f := range files(t) {
		names := f.imports()
		if _, ok := names["text/template"]; ok && !f.test {
			t.Errorf("%s imports text/template, which escapes nothing", f.path)
		}
		name, ok := names["html/template"]
		if !ok || f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); !ok || x.Name != name || !slices.Contains(unescaped, sel.Sel.Name) {
				return true
			}
			key := f.path + " " + sel.Sel.Name
			found[key]++
			if found[key] > unescapedHere[key].count {
				t.Errorf("%s: template.%s(…) switches escaping off; escape, or add %q to unescapedHere with the reason", f.at(call.Pos()), sel.Sel.Name, key)
			}
			return true
		})
	}
	for key, allowed := range unescapedHere {
		if found[key] < allowed.count {
			t.Errorf("unescapedHere allows %d of %q and there are %d; lower it", allowed.count, key, found[key])
		}
	}
}

// predictableHere allows math/rand in one file, for a reason.
var predictableHere = map[string]string{
	"store/postgres/postgres.go":   "how long to wait after a deadlock; no secret, and never one near it",
	"sallyporttest/store_model.go": "test code: random histories that a seed repeats",
}

// std-15: what is random is random everywhere; a predictable source never comes
// near a secret.
func TestRandomness_std15(t *testing.T) {
	used := map[string]bool{}
	for _, f := range files(t) {
		for p := range f.imports() {
			if f.test || p != "math/rand" && p != "math/rand/v2" {
				continue
			}
			used[f.path] = true
			if predictableHere[f.path] == "" {
				t.Errorf("%s imports %s; use crypto/rand or the configured source", f.path, p)
			}
		}
	}
	for file := range predictableHere {
		if !used[file] {
			t.Errorf("%s uses no math/rand any more; take it from predictableHere", file)
		}
	}
}

// Adding a method must not mean editing the whole program.
func TestMethodsStayApart(t *testing.T) {
	const most = 12
	var named []string
	for _, f := range files(t) {
		if !f.test && f.dir != "method/totp" && f.dir != "otp" && !strings.HasPrefix(f.dir, "examples/") && bytes.Contains(f.src, []byte("totp")) {
			named = append(named, f.path)
		}
	}
	if len(named) > most {
		t.Errorf("%d files name totp, at most %d may (registration, API shapes, seeds, the practice app):\n\t%s", len(named), most, strings.Join(named, "\n\t"))
	}
}

type modFile struct {
	Go        string
	Toolchain string
	Replace   []json.RawMessage
	Exclude   []json.RawMessage
	Require   []struct {
		Path, Version string
		Indirect      bool
	}
}

// rul-58: replace and exclude break "go install …@version" for everybody else.
func TestGoMod_rul58(t *testing.T) {
	m := readMod(t, "go.mod")
	if !strings.HasPrefix(m.Go, "1.26") {
		t.Errorf("go.mod says go %s, want 1.26", m.Go)
	}
	if m.Toolchain != "" {
		t.Errorf("go.mod has a toolchain line: %s", m.Toolchain)
	}
	if len(m.Replace)+len(m.Exclude) > 0 {
		t.Errorf("go.mod has replace or exclude lines: %s %s", m.Replace, m.Exclude)
	}
}

// modernc.org/sqlite is tested with exactly the modernc.org/libc of its own
// go.mod, and breaks quietly with another.
func TestSQLitePair(t *testing.T) {
	var driver, libc struct{ Version, GoMod string }
	decode(t, &driver, "go", "list", "-m", "-json", "modernc.org/sqlite")
	decode(t, &libc, "go", "list", "-m", "-json", "modernc.org/libc")
	for _, r := range readMod(t, driver.GoMod).Require {
		if r.Path != "modernc.org/libc" {
			continue
		}
		if r.Version != libc.Version {
			t.Errorf("modernc.org/sqlite %s wants libc %s, the build has %s; pin both together", driver.Version, r.Version, libc.Version)
		}
		return
	}
	t.Errorf("the go.mod of modernc.org/sqlite %s names no libc", driver.Version)
}

const dependencies = "docs/decisions/0003-dependencies.md"

// permissive are the licences that a module in the binary may have, with words
// that stand in each of them and not in the others.
var permissive = map[string]*regexp.Regexp{
	"Apache-2.0":   regexp.MustCompile(`(?s)Apache License\s+Version 2\.0`),
	"MIT":          regexp.MustCompile(`Permission is hereby granted,\s+free\s+of\s+charge`),
	"BSD-3-Clause": regexp.MustCompile(`(?s)Redistribution and use in source and binary forms.*(Neither the name|names? of.*contributors)`),
	"ISC":          regexp.MustCompile(`Permission to use, copy, modify, and(/or)? distribute`),
}

// Every module in the binary is one that was chosen: it has a row with version
// and licence in the decision on dependencies, and the licence is the one in
// its files.
func TestLinkedModules(t *testing.T) {
	type row struct{ version, use, licence string }
	doc, err := os.ReadFile(dependencies)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]row{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (v\\S+) \\| (\\w+) \\| ([\\w.-]+) \\|").FindAllStringSubmatch(string(doc), -1) {
		rows[m[1]] = row{m[2], m[3], m[4]}
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no table of the expected form", dependencies)
	}
	direct := map[string]string{}
	for _, r := range readMod(t, "go.mod").Require {
		if !r.Indirect {
			direct[r.Path] = r.Version
		}
	}
	for _, name := range slices.Sorted(maps.Keys(direct)) {
		if rows[name].version != direct[name] {
			t.Errorf("go.mod requires %s %s; %s has it as %q", name, direct[name], dependencies, rows[name].version)
		}
	}
	linked := map[string]*moduleInfo{}
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, p := range listDeps(t, ".", system, "./cmd/sallyport") {
			if p.Module != nil && p.Module.Path != module {
				linked[p.Module.Path] = p.Module
			}
		}
	}
	if len(linked) < 5 {
		t.Fatalf("only %d modules are linked: the list is not what it should be", len(linked))
	}
	for _, name := range slices.Sorted(maps.Keys(linked)) {
		m, r := linked[name], rows[name]
		switch {
		case r.use == "":
			t.Errorf("%s %s is linked and has no row in %s", name, m.Version, dependencies)
			continue
		case r.use != "linked":
			t.Errorf("%s is linked; its row in %s says %q", name, dependencies, r.use)
		case r.version != m.Version:
			t.Errorf("%s is linked as %s; its row in %s says %s", name, m.Version, dependencies, r.version)
		}
		if want, ok := permissive[r.licence]; !ok {
			t.Errorf("%s: %q is not a licence that we link", name, r.licence)
		} else if text := licenceOf(m.Dir); text != "" && !want.MatchString(text) {
			t.Errorf("%s: its licence file is not %s", name, r.licence)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		switch rows[name].use {
		case "linked":
			if linked[name] == nil {
				t.Errorf("%s: the row in %s says linked, and it is not", name, dependencies)
			}
		case "tests":
			if direct[name] == "" {
				t.Errorf("%s: go.mod does not require it; take the row out of %s", name, dependencies)
			}
		default:
			t.Errorf("%s: its row in %s says %q, which is neither linked nor tests", name, dependencies, rows[name].use)
		}
	}
}

// licenceOf reads the licence in a module's folder; empty if the folder is not here.
func licenceOf(dir string) string {
	for _, name := range []string{"LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); dir != "" && err == nil {
			return string(b)
		}
	}
	return ""
}

type moduleInfo struct{ Path, Version, Dir string }

type packageInfo struct {
	ImportPath string
	Module     *moduleInfo
}

func listDeps(t *testing.T, dir, system string, args ...string) []packageInfo {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=ImportPath,Module"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0")
	var list []packageInfo
	dec := json.NewDecoder(bytes.NewReader(output(t, cmd)))
	for {
		var p packageInfo
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func readMod(t *testing.T, file string) modFile {
	t.Helper()
	var m modFile
	decode(t, &m, "go", "mod", "edit", "-json", file)
	return m
}

func decode(t *testing.T, v any, name string, args ...string) {
	t.Helper()
	if err := json.Unmarshal(output(t, exec.Command(name, args...)), v); err != nil {
		t.Fatal(err)
	}
}

func output(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.Bytes())
	}
	return out
}
