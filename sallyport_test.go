package sallyport_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

func TestNewSaysEverythingThatIsWrong(t *testing.T) {
	_, err := sallyport.New(sallyport.Config{PublicURL: "login.example.com", CookieSuffix: "A;b", Home: "//evil.example"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"Config.Store", "Config.Methods", "Config.Passwords", "Config.PublicURL", "Config.CookieSuffix", "Config.Home"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in %v", want, err)
		}
	}
}

func TestParsePublicURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://login.example.com": "https://login.example.com", "https://Login.Example.com/": "https://login.example.com",
		"https://login.example.com:8443": "https://login.example.com:8443", "https://login.example.com:443": "https://login.example.com",
		"http://localhost:8080": "http://localhost:8080", "http://127.0.0.1": "http://127.0.0.1", "http://[::1]:80": "http://[::1]",
		"https://xn--sllyport-0za.example": "https://xn--sllyport-0za.example",
		"http://login.example.com":         "", "ftp://x.example": "", "": "", "https://x.example/path": "", "https://user@x.example": "",
		"https://x.example?q": "", "https://x.example?": "", "https://x.example#f": "", "https://": "", "https://:443": "", "//x.example": "",
		"https://sällyport.example": "", "https://x.example:99999": "", "https://x.example:0": "", "https://x.example:": "",
		"https://x.example.": "", "http://[fe80::1%25eth0]": "", "https:x.example": "", "https://a b": "",
	} {
		u, err := sallyport.ParsePublicURL(in)
		if (err == nil) != (want != "") || err == nil && u.String() != want {
			t.Errorf("%q: %v %v, want %q", in, u, err, want)
		}
	}
	// Browsers leave the usual port out, and are let in.
	w := sallyporttest.NewServer(t)
	pw, tp := sallyporttest.Methods(t)
	s, err := sallyport.New(sallyport.Config{Store: w.Store, Methods: []authn.Method{pw, tp}, Passwords: pw, PublicURL: "https://login.example.com:443"})
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	s.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "https://login.example.com/healthz", nil))
	if rec.Code != http.StatusOK {
		t.Errorf("%d", rec.Code)
	}
}

// The house-keeping seals the log and ends when it is told to.
func TestRun(t *testing.T) {
	w := sallyporttest.NewServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Run does not end")
	}
}

func TestRoutesAreServedBehindTheHostCheck_rul34(t *testing.T) {
	w := sallyporttest.NewServer(t)
	if len(w.Routes()) < 20 {
		t.Errorf("only %d routes", len(w.Routes()))
	}
	for _, path := range []string{"/signin", "/api/v1/session", "/healthz", "/assets/x", "/nothing"} {
		req, err := http.NewRequest(http.MethodGet, w.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "evil.example"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

// TestOathtool_A4: codes of an independent generator are accepted within one
// step, and refused the second time.
func TestOathtool_A4(t *testing.T) {
	tool, err := exec.LookPath("oathtool")
	if err != nil {
		if strings.Contains(os.Getenv("SALLYPORT_TEST_REQUIRE"), "oathtool") {
			t.Fatal("oathtool is required and not installed: apt-get install oathtool")
		}
		t.Skip("needs oathtool: apt-get install oathtool")
	}
	w := sallyporttest.NewServer(t)
	for step, ok := range map[int]bool{-2: false, -1: true, 0: true, 1: true, 2: false} {
		login := fmt.Sprintf("step%d", step)
		p := w.AddUser(t, w.Company, login, true)
		at := w.Clock.Now().Add(time.Duration(step) * 30 * time.Second)
		out, err := exec.Command(tool, "--totp", "--base32", "--now", at.Format("2006-01-02 15:04:05 UTC"), p.Secret.Base32()).Output()
		if err != nil {
			t.Fatal(err)
		}
		body := fmt.Sprintf(`{"method":"totp","code":%q}`, strings.TrimSpace(string(out)))
		id, token := beginJSON(t, w, login)
		status, v := postJSON(t, w.URL+"/api/v1/attempts/"+id+"/verify", token, body)
		if ok != (status == http.StatusOK) || !ok && v["code"] != "wrong_code" {
			t.Errorf("step %+d: %d %v", step, status, v)
		}
		if !ok {
			continue
		}
		id, token = beginJSON(t, w, login)
		if status, v := postJSON(t, w.URL+"/api/v1/attempts/"+id+"/verify", token, body); status != http.StatusUnprocessableEntity || v["code"] != "code_used" {
			t.Errorf("step %+d again: %d %v", step, status, v)
		}
	}
}
