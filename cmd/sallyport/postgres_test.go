package main

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// The operator's commands on PostgreSQL: doctor sees the server's settings and
// clock (it runs without full_page_writes here), a rotation waits until the file is everywhere, the log is walked.
func TestOperatorOnPostgres(t *testing.T) {
	dsn := sallyporttest.Postgres(t)
	q := url.Values{}
	name := ""
	for _, pair := range strings.Fields(dsn) {
		k, v, _ := strings.Cut(pair, "=")
		if k == "dbname" {
			name = v
			continue
		}
		q.Set(k, v)
	}
	env := []string{"SALLYPORT_DATABASE=postgres://localhost/" + name + "?" + q.Encode()}
	dir := t.TempDir()
	call := func(want int, args ...string) string {
		t.Helper()
		var out, stderr strings.Builder
		if code := run(t.Context(), args, env, strings.NewReader(""), &out, &stderr); code != want {
			t.Fatalf("%v: exit %d\n%s%s", args, code, &out, &stderr)
		}
		return out.String() + stderr.String()
	}
	has := func(got string, want ...string) {
		t.Helper()
		for _, s := range want {
			if !strings.Contains(got, s) {
				t.Errorf("no %q in\n%s", s, got)
			}
		}
	}
	call(fine, "init", "--dir", dir, "--company", "Acme", "--public-url", "http://localhost:1")
	config := "--config=" + filepath.Join(dir, "sallyport.yaml")
	call(fine, "user", "add", "priya", "--no-password", "--role", "owner", config)
	has(call(fine, "doctor", config), "ok    database", "full_page_writes is off", "it agrees with the database's", "the disk is the database server's", "is this release's")
	has(call(fine, "keyring", "rotate", config), "does not write yet", "bring ", "--distributed")
	has(call(fine, "keyring", "rotate", config), "does not write yet")
	has(call(fine, "keyring", "rotate", "--distributed", config), "1 company was moved")
	has(call(fine, "keyring", "rotate", "--retire", config), "out of the file")
	has(call(fine, "doctor", config), "opens the keys of 1 company")
	has(call(fine, "key", "add", "siem", "--owner", "priya", "--scope", "audit.read", "--expires", "1d", config), "sp_key_")
	has(call(fine, "key", "list", config), "siem", "active")
	has(call(fine, "audit", "verify", config), "events are not in the chain yet")
	has(call(fine, "audit", "list", "--type", "key.", config), "API key made")
	has(call(fine, "doctor", "--repair-clock", config), "nothing to repair")
}
