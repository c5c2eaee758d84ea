package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdTamper runs "tamper DATABASE STATEMENT…" beside the program.
func cmdTamper(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: tamper DATABASE STATEMENT…")
	}
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	for _, statement := range args[1:] {
		_, err := db.Exec(statement)
		ts.Check(err)
	}
}

// cmdPicture runs "picture FILE": a PNG of 40 × 20.
func cmdPicture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: picture FILE")
	}
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(errors.Join(png.Encode(f, image.NewGray(image.Rect(0, 0, 40, 20))), f.Close()))
}

// cmdCut runs "cut FROM TO N": the first N bytes of a file.
func cmdCut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: cut FROM TO N")
	}
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b[:n], 0o600))
}

// cmdWaitFor runs "waitfor STATUS URL": it asks until that is the answer.
func cmdWaitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor STATUS URL")
	}
	got := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		res, err := insecure.Do(request(ts, args[1]))
		if err != nil {
			got = err.Error()
			continue
		}
		res.Body.Close()
		if got = strconv.Itoa(res.StatusCode); got == args[0] {
			return
		}
	}
	ts.Fatalf("%s answers %s, not %s", args[1], got, args[0])
}

func request(ts *testscript.TestScript, url string) *http.Request {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	ts.Check(err)
	return r
}

// cmdWaitUntil runs "waituntil DATABASE QUERY": until the query yields 1.
func cmdWaitUntil(ts *testscript.TestScript, neg bool, args []string) {
	db, err := sql.Open("sqlite", ts.MkAbs(args[0])+"?_pragma=busy_timeout(10000)")
	ts.Check(err)
	defer db.Close()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		n := 0
		if err := db.QueryRow(args[1]).Scan(&n); err == nil && n == 1 {
			return
		}
	}
	ts.Fatalf("it never comes to %s", args[1])
}

// cmdHead runs "head NAME": it sets $NAME to the head that the last verify
// answered in JSON.
func cmdHead(ts *testscript.TestScript, neg bool, args []string) {
	var v verdict
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	ts.Setenv(args[0], v.Head)
}

// cmdToken runs "token NAME": it sets $NAME to the first line of the last
// standard output.
func cmdToken(ts *testscript.TestScript, neg bool, args []string) {
	first, _, _ := strings.Cut(ts.ReadFile("stdout"), "\n")
	ts.Setenv(args[0], first)
}

// cmdFreePort runs "freeport NAME…": ports that nobody listens at now.
func cmdFreePort(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer ln.Close() // all of them together, so that they differ
		_, port, err := net.SplitHostPort(ln.Addr().String())
		ts.Check(err)
		ts.Setenv(name, port)
	}
}
