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
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/message/inbox"
	"github.com/sallyport-mfa/sallyport/method/backup"
	"github.com/sallyport-mfa/sallyport/method/code"
	"github.com/sallyport-mfa/sallyport/notice"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
	"github.com/sallyport-mfa/sallyport/store"
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
	st, err := sqlite.Open(context.Background(), sqlite.Config{Path: path, Exclusive: true, Keyring: keys, Log: sallyporttest.Quiet(), Notice: notice.For})
	if err != nil {
		return err
	}
	mails, err := os.OpenFile(path+".mails", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	mail, err := code.New(authn.Email)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	pw, tp := sallyporttest.Methods(&testing.B{})
	var srv *sallyport.Server
	send := func(w http.ResponseWriter, r *http.Request) {
		token, _ := authn.ParseToken(authn.AttemptToken, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		if _, _, err := srv.SignIn.Challenge(r.Context(), signin.OpenerOf(token, authn.Client{}), authn.Email, ""); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
		fmt.Fprint(w, "{}")
	}
	srv, err = sallyport.New(sallyport.Config{Store: st, Methods: []authn.Method{pw, tp, mail, backup.New(nil)}, Passwords: pw,
		Senders: map[authn.Kind]authn.Sender{authn.Email: mailFile{mails}}, Digits: code.Digits, BackupCodes: backup.New(nil),
		Extra: map[string]http.Handler{"POST /send": http.HandlerFunc(send)}, PublicURL: "http://" + l.Addr().String(), Log: sallyporttest.Quiet()})
	if err != nil {
		return err
	}
	go func() { // the kill finds it at work
		for range time.Tick(3 * time.Millisecond) {
			_, _ = srv.Notices.Drain(context.Background())
		}
	}()
	fmt.Println("http://" + l.Addr().String())
	return http.Serve(l, srv.Handler())
}

// mailFile is a provider: a message is taken once its line is in the file.
type mailFile struct{ f *os.File }

var sixDigits = regexp.MustCompile(`\b[0-9]{6}\b`)

func (m mailFile) Send(_ context.Context, msg authn.Message) error {
	_, err := fmt.Fprintf(m.f, "%s\t%s\t%s\n", msg.To, sixDigits.FindString(msg.Text), msg.Subject)
	return err
}

// TestCrashAccount_invA_rul35: after kill -9 no backup code and no sent code that
// was used is good again, and what people must be told of an answer that was
// given is sent, or waits in the outbox.
func TestCrashAccount_invA_rul35(t *testing.T) {
	const runs = 8
	path := filepath.Join(t.TempDir(), "crash.db")
	people := seedCrash(t, path, runs)
	keys, err := keyring.Load(path + ".keyring")
	if err != nil {
		t.Fatal(err)
	}
	open := func() *store.Store {
		st, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Keyring: keys, Log: sallyporttest.Quiet(), Notice: notice.For})
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	st := open()
	w := account{sallyporttest.Start(t, st), t}
	codes := make([][]string, runs)
	for i, p := range people {
		codes[i] = w.codes(p)
		q := w.AddUser(t, w.Company, fmt.Sprintf("mail%d", i), false)
		w.must(w.Directory.SetRequire(t.Context(), w.Company, q.ID, true))
	}
	w.must(st.Close())

	begin := func(url, login string) (string, string) {
		status, a := postJSON(t, url+"/api/v1/attempts", "", fmt.Sprintf(`{"login":%q,"password":%q}`, login, sallyporttest.Password))
		if status != http.StatusCreated {
			t.Fatalf("%d %v", status, a)
		}
		return url + "/api/v1/attempts/" + a["id"].(string), a["token"].(string)
	}
	verify := func(at, token, method, code string) (int, string) {
		status, v := postJSON(t, at+"/verify", token, fmt.Sprintf(`{"method":%q,"code":%q}`, method, code))
		said, _ := v["code"].(string)
		return status, said
	}
	var told []string // who must hear of something that was answered
	type answered struct{ attempt, token, code string }
	var last answered
	for i := range runs + 1 {
		url, kill := startCrash(t, path)
		if i > 0 {
			at, token := begin(url, people[i-1].Login)
			if status, said := verify(at, token, "backup_code", codes[i-1][0]); said != "code_used" {
				t.Errorf("run %d: a backup code is good again: %d %s", i, status, said)
			}
			if status, _ := verify(url+last.attempt, last.token, "email", last.code); status == http.StatusOK {
				t.Errorf("run %d: a sent code is good again", i)
			}
			at, token = begin(url, fmt.Sprintf("mail%d", i-1))
			if status, _ := verify(at, token, "email", last.code); status == http.StatusOK {
				t.Errorf("run %d: a sent code is good in another sign-in", i)
			}
		}
		if i < runs {
			at, token := begin(url, fmt.Sprintf("mail%d", i))
			if status, v := postJSON(t, url+"/send", token, "{}"); status != http.StatusOK {
				t.Fatalf("run %d: %d %v", i, status, v)
			}
			last = answered{strings.TrimPrefix(at, url), token, codeTo(t, path, fmt.Sprintf("mail%d@acme.example", i))}
			if status, said := verify(at, token, "email", last.code); status != http.StatusOK {
				t.Fatalf("run %d: %d %s", i, status, said)
			}
			at, token = begin(url, people[i].Login)
			if status, said := verify(at, token, "backup_code", codes[i][0]); status != http.StatusOK {
				t.Fatalf("run %d: %d %s", i, status, said)
			}
			told = append(told, people[i].Email)
		}
		kill()
	}
	// What was not sent is still there: a claim of a process that was killed ends.
	st = open()
	defer st.Close()
	rest := &inbox.Inbox{}
	n, err := notice.New(notice.Config{Outbox: st, Senders: map[authn.Kind]authn.Sender{authn.Email: rest}, PublicURL: "http://localhost",
		Code: code.Digits, Now: func() time.Time { return time.Now().Add(time.Hour) }})
	w.must(err)
	for {
		got, err := n.Drain(t.Context())
		w.must(err)
		if got == 0 {
			break
		}
	}
	raw, err := os.ReadFile(path + ".mails")
	w.must(err)
	heard := string(raw)
	for _, m := range rest.Messages() {
		heard += fmt.Sprintf("%s\t\t%s\n", m.To, m.Subject)
	}
	for _, to := range told {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(to) + `\t.*backup code.*$`).MatchString(heard) {
			t.Errorf("%s was told nothing of a backup code that was used", to)
		}
	}
	t.Logf("%d letters were left to send", len(rest.Messages()))
}

// codeTo is the code that the child sent to an address, or is about to: its
// background can have the letter in hand when the challenge is answered.
func codeTo(t *testing.T, path, to string) string {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); runtime.Gosched() {
		raw, err := os.ReadFile(path + ".mails")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			if f := strings.Split(line, "\t"); f[0] == to && f[1] != "" {
				return f[1]
			}
		}
	}
	t.Fatalf("no code was sent to %s", to)
	return ""
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
