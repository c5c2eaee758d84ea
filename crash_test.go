package sallyport_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/store/sqlite"
)

// crashChild makes the test binary a server on the SQLite file of that name.
const crashChild = "SALLYPORT_CRASH_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashChild); path != "" {
		if err := serveForCrash(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveForCrash serves until it is killed.
func serveForCrash(path string) error {
	keys, err := keyring.Load(path + ".keyring")
	if err != nil {
		return err
	}
	st, err := sqlite.Open(context.Background(), sqlite.Config{Path: path, Exclusive: true, Keyring: keys, Log: sallyporttest.Quiet()})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	pw, tp := sallyporttest.Methods(&testing.B{})
	srv, err := sallyport.New(sallyport.Config{Store: st, Methods: []authn.Method{pw, tp}, Passwords: pw,
		PublicURL: "http://" + l.Addr().String(), Log: sallyporttest.Quiet()})
	if err != nil {
		return err
	}
	fmt.Println("http://" + l.Addr().String())
	return http.Serve(l, srv.Handler())
}

// TestCrash_A4_invA: what was acknowledged is spent, also after kill -9 between
// the success and the replay. SALLYPORT_CRASH_RUNS=200 for more.
func TestCrash_A4_invA(t *testing.T) {
	runs := 20
	if s := os.Getenv("SALLYPORT_CRASH_RUNS"); s != "" {
		var err error
		if runs, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "crash.db")
	people := seedCrash(t, path, runs)

	type spent struct{ login, code string }
	var last *spent
	for i := 0; i <= runs; i++ {
		url, kill := startCrash(t, path)
		if last != nil {
			// The replay comes from another attempt, after a restart.
			if status, code := crashVerify(t, url, last.login, last.code); status == http.StatusOK || code != "code_used" {
				t.Errorf("run %d: the replay answers %d %s", i, status, code)
			}
			last = nil
		}
		if i < runs {
			p := people[i]
			c := sallyporttest.CodeAt(t, p.Secret, time.Now())
			if status, code := crashVerify(t, url, p.Login, c); status != http.StatusOK {
				t.Errorf("run %d: %d %s", i, status, code)
			} else {
				last = &spent{p.Login, c}
			}
		}
		kill()
	}
}

func seedCrash(t *testing.T, path string, n int) []sallyporttest.Person {
	t.Helper()
	keys, err := keyring.Create(path+".keyring", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	st, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Keyring: keys, Log: sallyporttest.Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	w := sallyporttest.Start(t, st)
	people := make([]sallyporttest.Person, n)
	for i := range people {
		people[i] = w.AddUser(t, w.Company, fmt.Sprintf("crash%d", i), true)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	return people
}

// startCrash starts a server of its own process; kill is SIGKILL.
func startCrash(t *testing.T, path string) (url string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashChild+"="+path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		kill()
		t.Fatalf("the server did not start: %v\n%s", err, stderr.String())
	}
	return strings.TrimSpace(line), kill
}

// crashVerify signs in by JSON and gives the answer's status and error code.
func crashVerify(t *testing.T, url, login, code string) (int, string) {
	t.Helper()
	status, a := postJSON(t, url+"/api/v1/attempts", "", fmt.Sprintf(`{"login":%q,"password":%q}`, login, sallyporttest.Password))
	if status != http.StatusCreated {
		t.Fatalf("%d %v", status, a)
	}
	status, v := postJSON(t, url+"/api/v1/attempts/"+a["id"].(string)+"/verify", a["token"].(string), fmt.Sprintf(`{"method":"totp","code":%q}`, code))
	got, _ := v["code"].(string)
	return status, got
}

// postJSON posts a document and reads the answer's.
func postJSON(t *testing.T, url, token, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err) // also called from goroutines, where Fatal would end the wrong one
		return 0, nil
	}
	defer resp.Body.Close()
	var v map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		t.Errorf("%d: %v", resp.StatusCode, err)
	}
	return resp.StatusCode, v
}
