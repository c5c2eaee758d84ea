package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdGateway runs "gateway NAME CERTIFICATE KEY FILE": a program that takes texts at
// https://localhost:$NAME, except /funds and /down, and notes them in the file.
func cmdGateway(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: gateway NAME CERTIFICATE KEY FILE")
	}
	pair, err := tls.LoadX509KeyPair(ts.MkAbs(args[1]), ts.MkAbs(args[2]))
	ts.Check(err)
	file, err := os.OpenFile(ts.MkAbs(args[3]), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	var mu sync.Mutex
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct{ To, Text string }
		err := json.NewDecoder(r.Body).Decode(&m)
		switch {
		case err != nil || r.Header.Get("Sallyport-Signature") == "":
			w.WriteHeader(http.StatusBadRequest)
		case strings.HasPrefix(r.URL.Path, "/funds"):
			w.WriteHeader(http.StatusPaymentRequired)
		case strings.HasPrefix(r.URL.Path, "/down"):
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(file, "%s %s %s\n", r.URL.Path, m.To, m.Text)
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, `{"reference":"own-17"}`)
		}
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	s.StartTLS()
	ts.Defer(func() { s.Close(); file.Close() })
	ts.Setenv(args[0], strconv.Itoa(s.Listener.Addr().(*net.TCPAddr).Port))
}
