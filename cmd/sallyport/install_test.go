package main

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// postgresURL is a database of the test, as an address.
func postgresURL(t *testing.T) string {
	t.Helper()
	q := url.Values{}
	name := ""
	for pair := range strings.FieldsSeq(sallyporttest.Postgres(t)) {
		k, v, _ := strings.Cut(pair, "=")
		if k == "dbname" {
			name = v
		} else {
			q.Set(k, v)
		}
	}
	return "postgres://localhost/" + name + "?" + q.Encode()
}

// call runs the program and returns its exit code and what it said.
func call(t *testing.T, env []string, stdin string, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	code := run(t.Context(), args, env, strings.NewReader(stdin), &out, &out)
	return code, out.String()
}

// A keyring that a database server may be bound to is never removed.
func TestInitPostgres(t *testing.T) {
	dsn := postgresURL(t)
	env := []string{"SALLYPORT_DATABASE=" + dsn}
	dir := filepath.Join(t.TempDir(), "new")
	file, ring := filepath.Join(dir, defaultConfig), filepath.Join(dir, keyringName)

	// What is not acceptable does not even reach the database.
	for _, args := range [][]string{{"--email", "nonsense"}, {"--slug", "A B"}, {"--company", "Acme: Projects"}, {"--owner", "\x01"}} {
		args = append([]string{"init", "--dir", dir, "--company", "Acme", "--owner", "priya", "--password-stdin"}, args...)
		if code, said := call(t, env, "nine brown owls read slowly\n", args...); code != failed || !strings.Contains(said, "Nothing was written") {
			t.Errorf("%q: %d, %s", args, code, said)
		}
	}
	for _, bad := range []string{"short", "password", "sallyport123", "Acme Acme Acme"} {
		if code, said := call(t, env, bad+"\n", "init", "--dir", dir, "--company", "Acme", "--owner", "priya", "--password-stdin"); code != failed || !strings.Contains(said, "Nothing was written") {
			t.Errorf("%q: %d, %s", bad, code, said)
		}
	}
	if _, err := os.Lstat(dir); err == nil {
		t.Fatal("something was written")
	}

	// A server that is not there is not bound to anything.
	gone := []string{"SALLYPORT_DATABASE=postgres://localhost:1/x?connect_timeout=2&host=127.0.0.1"}
	if code, said := call(t, gone, "", "init", "--dir", dir); code != failed || !strings.Contains(said, "Nothing was left behind") {
		t.Errorf("%d, %s", code, said)
	}
	if _, err := os.Lstat(dir); err == nil {
		t.Fatal("something was left behind")
	}

	// What fails later keeps the keys, and the way on that is printed works.
	o := initOptions{dir: dir, publicURL: "http://localhost:8080", company: "Acme: Projects", slug: "acme"}
	p := &program{env: env}
	c, text, err := p.planned(o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = install(t.Context(), c, text, o, "")
	if err == nil || !strings.Contains(err.Error(), "are kept") || strings.Contains(err.Error(), "left behind") || strings.Contains(err.Error(), dsn) {
		t.Errorf("%v", err)
	}
	for _, name := range []string{file, ring} {
		if _, err := os.Stat(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"company", "list"}, {"company", "add", "acme"}, {"user", "add", "priya", "--role", "owner", "--password-stdin"}} {
		if code, said := call(t, env, "nine brown owls read slowly\n", append(args, "--config", file)...); code != fine {
			t.Fatalf("%q: %d, %s", args, code, said)
		}
	}

	// A second installation cannot take the database, and leaves its own files nowhere.
	other := filepath.Join(filepath.Dir(dir), "other")
	if code, said := call(t, env, "", "init", "--dir", other); code != failed || !strings.Contains(said, "Nothing was left behind") || !strings.Contains(said, "does not fit") {
		t.Errorf("%d, %s", code, said)
	}
	if _, err := os.Lstat(other); err == nil {
		t.Error("the second keyring was left")
	}
	if code, said := call(t, env, "", "company", "list", "--config", file); code != fine || !strings.Contains(said, "acme") {
		t.Errorf("%d, %s", code, said)
	}
}

// Only what this call made is removed, and what is left is said.
func TestUndo(t *testing.T) {
	dir := t.TempDir()
	theirs := filepath.Join(dir, "theirs")
	if err := os.WriteFile(theirs, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &made{}
	if err := m.file(theirs, "mine"); err == nil || len(m.files) != 0 {
		t.Errorf("%v, %v", err, m.files)
	}
	if err := m.database(theirs); err == nil || len(m.files) != 0 {
		t.Errorf("%v, %v", err, m.files)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.db-wal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.database(filepath.Join(dir, "a.db")); err == nil {
		t.Error("a database beside a foreign journal")
	}
	deep := filepath.Join(dir, "b", "c")
	if err := m.folder(deep); err != nil {
		t.Fatal(err)
	}
	if err := m.file(filepath.Join(deep, "mine"), "x"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b", "somebody's"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if left := m.undo(); len(left) != 1 || left[0] != filepath.Join(dir, "b") {
		t.Errorf("left %q", left)
	}
	if b, err := os.ReadFile(theirs); err != nil || string(b) != "x" {
		t.Errorf("%q, %v", b, err)
	}
	if there := existing(filepath.Join(dir, "a.db"), filepath.Join(dir, "a.db-wal"), deep); len(there) != 1 {
		t.Errorf("%q", there)
	}
}
