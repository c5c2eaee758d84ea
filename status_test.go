package sallyport_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/web"
)

func ask(t *testing.T, s *sallyporttest.Server, path, host string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequest("GET", s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		r.Host = host
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// The operator's page (S42): how everything does, to the machine itself only.
func TestStatus_S42(t *testing.T) {
	s := sallyporttest.NewServer(t, func(c *sallyport.Config) {
		c.Version, c.Warnings = "v1.2.3", []string{"listen takes plain http from other machines"}
	})
	s.Clock.Advance(90 * time.Second)
	code, page := ask(t, s, "/status", "")
	for _, want := range []string{"Server status", "v1.2.3", "sqlite reads and writes", "Nothing waits", "plain http from other machines", "Look at this"} {
		if !strings.Contains(page, want) {
			t.Errorf("%d: %q is not on the page", code, want)
		}
	}
	var st web.Status
	code, body := ask(t, s, "/status.json", "localhost:9999")
	if err := json.Unmarshal([]byte(body), &st); err != nil || code != 200 || st.Uptime != 90 || len(st.Checks) != 4 || st.State != web.StatusWarning {
		t.Errorf("%d %s: %v", code, body, err)
	}
	if strings.Contains(body+page, "acme") || strings.Contains(body+page, "Acme") {
		t.Error("it names a company")
	}
	// Nothing that a proxy passes on gets there, whether or not it says so; and no
	// other site of the operator's browser.
	for _, path := range []string{"/status", "/status.json"} {
		for _, h := range [][]string{{"X-Forwarded-For", "203.0.113.9"}, {"Forwarded", "for=203.0.113.9"}, {"X-Real-Ip", "203.0.113.9"}, {"Via", "1.1 proxy"}, {"Sec-Fetch-Site", "cross-site"}} {
			if code, body := ask(t, s, path, "", h...); code != 404 || strings.Contains(body, "v1.2.3") {
				t.Errorf("%s with %v: %d", path, h, code)
			}
		}
		for _, host := range []string{"login.example.com", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example"} {
			if code, body := ask(t, s, path, host); code != 421 || strings.Contains(body, "v1.2.3") {
				t.Errorf("%s as %s: %d", path, host, code)
			}
		}
	}
	// A proxy that keeps the name and says nothing of itself.
	named := sallyporttest.NewServer(t, func(c *sallyport.Config) { c.PublicURL, c.Hosts = "https://login.example.com", nil })
	if code, _ := ask(t, named, "/status", "login.example.com"); code != 404 {
		t.Errorf("through a silent proxy: %d", code)
	}
	if code, _ := ask(t, named, "/status", "localhost:8080"); code != 200 {
		t.Errorf("from the machine: %d", code)
	}
	if code, _ := ask(t, named, "/healthz", "localhost:8080"); code != 421 {
		t.Errorf("another page under a loopback name: %d", code)
	}
	_ = s.Store.Close()
	if code, body := ask(t, s, "/status.json", ""); code != 503 || !strings.Contains(body, "cannot be read and written") {
		t.Errorf("without its database: %d %s", code, body)
	}
}
