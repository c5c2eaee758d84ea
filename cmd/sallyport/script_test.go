package main

import (
	"database/sql"
	"net/http"
	"strconv"
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
