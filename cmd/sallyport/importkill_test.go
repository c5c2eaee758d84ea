package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An import that is killed in the middle leaves nobody behind: nobody is listed, the
// sweep of the server takes away what was there, and the same file then comes in
// whole (rul-24).
func TestImportKilled_rul24(t *testing.T) {
	const people = 6000
	dir, ctx := t.TempDir(), t.Context()
	in := filepath.Join(dir, "sallyport.yaml")
	call := func(want int, args ...string) string {
		t.Helper()
		var out, stderr strings.Builder
		if code := run(ctx, append(args, "--config", in), nil, strings.NewReader(""), &out, &stderr); code != want {
			t.Fatalf("%v: exit %d\n%s%s", args, code, &out, &stderr)
		}
		return out.String() + stderr.String()
	}
	if code := run(ctx, []string{"init", "--dir", dir, "--company", "Acme", "--owner", "priya"}, nil, strings.NewReader(""), io.Discard, io.Discard); code != fine {
		t.Fatal("init")
	}
	var file bytes.Buffer
	file.WriteString("login,email,name\n")
	for i := range people {
		fmt.Fprintf(&file, "u%05d,u%05d@acme.example,Person %d\n", i, i, i)
	}
	list := filepath.Join(dir, "people.csv")
	if err := os.WriteFile(list, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := loadConfig(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "sallyport.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	staged := func() (n int) {
		_ = db.QueryRowContext(ctx, "SELECT count(*) FROM users WHERE import_id <> ''").Scan(&n) // 0 while it is busy
		return n
	}

	// The program itself: the test binary is it under its name.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "sallyport")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, program, "user", "import", list, "--config", in)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); staged() < people/10; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			_ = cmd.Process.Kill()
			t.Fatalf("it does not begin: %s", &said)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	n := staged()
	if n < people/10 || n >= people {
		t.Fatalf("it was not killed in the middle: %d of %d, %s", n, people, &said)
	}

	if got := call(fine, "user", "list"); strings.Contains(got, "u00000") || !strings.Contains(got, "priya") {
		t.Errorf("somebody of half a file is listed:\n%.400s", got)
	}
	call(failed, "user", "import", list) // the other one may be alive
	o, err := open(ctx, cfg, alone, silent)
	if err != nil {
		t.Fatal(err)
	}
	err = o.store.Sweep(ctx, time.Now().Add(11*time.Minute)) // as the server does
	_ = o.store.Close()
	if err != nil || staged() != 0 {
		t.Fatalf("%d are left, %v", staged(), err)
	}
	if got := call(fine, "user", "import", list, "--json"); !strings.Contains(got, fmt.Sprintf(`"created": %d`, people)) && !strings.Contains(got, fmt.Sprintf(`"created":%d`, people)) {
		t.Errorf("the second run:\n%.400s", got)
	}
	if got := call(fine, "user", "list", "--search", "u05999"); !strings.Contains(got, "u05999") {
		t.Errorf("the last one is not there:\n%.400s", got)
	}
}
