package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sallyport": main})
}

// TestScripts runs testdata/script: the program as people call it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": cmdStart, "quit": cmdQuit, "http": cmdHTTP, "empty": cmdEmpty, "certificate": cmdCertificate, "hold": cmdHold,
			"exits": cmdExits, "tamper": cmdTamper, "waitfor": cmdWaitFor, "waituntil": cmdWaitUntil, "head": cmdHead, "token": cmdToken, "freeport": cmdFreePort, "gateway": cmdGateway, "picture": cmdPicture, "cut": cmdCut,
		},
	})
}

// server is a process that a script started.
type server struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	done   chan error
}

// patience is only ever waited for when something is broken.
const patience = 60 * time.Second

// cmdStart runs "start NAME REGEXP sallyport ARGS": it returns when a line of
// standard output matches, and sets $NAME_1 … to what the groups matched.
func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: start NAME REGEXP PROGRAM [ARGS]")
	}
	want := regexp.MustCompile(args[1])
	s := &server{cmd: command(ts, args[2:]), done: make(chan error, 1)}
	out, err := s.cmd.StdoutPipe()
	ts.Check(err)
	s.cmd.Stderr = &s.stderr
	ts.Check(s.cmd.Start())
	ready := make(chan []string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if m := want.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case ready <- m:
				default:
				}
			}
		}
		close(ready)
		s.done <- s.cmd.Wait()
	}()
	ts.Defer(func() { s.cmd.Process.Kill() })
	select {
	case m, ok := <-ready:
		if !ok {
			<-s.done
			ts.Fatalf("%s ended without being ready:\n%s", args[0], s.stderr.String())
		}
		for i, group := range m[1:] {
			ts.Setenv(args[0]+"_"+strconv.Itoa(i+1), group)
		}
	case <-time.After(patience):
		ts.Fatalf("%s is not ready", args[0])
	}
	started.Store(serverName(ts, args[0]), s)
}

var started sync.Map // name → *server, of all scripts

func serverName(ts *testscript.TestScript, name string) string { return ts.Getenv("WORK") + name }

// cmdQuit runs "quit NAME SIGNAL EXIT": the process must end with that code.
func cmdQuit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: quit NAME INT|TERM|KILL EXIT")
	}
	v, ok := started.Load(serverName(ts, args[0]))
	if !ok {
		ts.Fatalf("%s was not started", args[0])
	}
	s := v.(*server)
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "KILL": os.Kill}
	ts.Check(s.cmd.Process.Signal(signals[args[1]]))
	select {
	case <-s.done:
	case <-time.After(patience):
		ts.Fatalf("%s does not stop", args[0])
	}
	if got := strconv.Itoa(s.cmd.ProcessState.ExitCode()); got != args[2] {
		ts.Fatalf("%s ended with %s, not %s:\n%s", args[0], got, args[2], s.stderr.String())
	}
	ts.Logf("%s said:\n%s", args[0], s.stderr.String())
	if strings.Contains(s.stderr.String(), "DATA RACE") {
		ts.Fatalf("data race")
	}
}

// cmdExits runs "exits CODE PROGRAM ARGS", since exec knows only good and bad.
// What it writes is in the files out and err.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGS]")
	}
	cmd := command(ts, args[1:])
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	_ = cmd.Run()
	ts.Logf("%s%s", out.String(), stderr.String())
	ts.Check(os.WriteFile(ts.MkAbs("out"), out.Bytes(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("err"), stderr.Bytes(), 0o600))
	if got := strconv.Itoa(cmd.ProcessState.ExitCode()); got != args[0] {
		ts.Fatalf("ended with %s, not %s", got, args[0])
	}
}

// scripted are the variables that a script may set.
var scripted = func() []string {
	names := []string{envPrefix + "CONFIG", envPrefix + "NONSENSE", envPrefix + "PORT"}
	for _, s := range settings {
		names = append(names, s.name())
		if s.secret {
			names = append(names, s.name()+"_FILE")
		}
	}
	return names
}()

func command(ts *testscript.TestScript, args []string) *exec.Cmd {
	path, err := exec.LookPath(args[0])
	ts.Check(err)
	cmd := exec.CommandContext(context.Background(), path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "WORK", "SSL_CERT_FILE"} {
		if v := ts.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	// What a script emptied does not go on being set.
	for _, name := range scripted {
		if v := ts.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	return cmd
}

// cmdHTTP runs "http STATUS URL [Header: value …]". The body is in the file body.
func cmdHTTP(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: http STATUS URL [HEADER]")
	}
	r, err := http.NewRequest(http.MethodGet, args[1], nil)
	ts.Check(err)
	for _, h := range args[2:] {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Set(name, value)
	}
	res, err := insecure.Do(r)
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("body"), body, 0o600))
	if got := strconv.Itoa(res.StatusCode); got != args[0] {
		ts.Fatalf("%s answers %s, not %s:\n%s", args[1], got, args[0], body)
	}
}

// cmdEmpty runs "empty FOLDER": nothing was left behind.
func cmdEmpty(ts *testscript.TestScript, neg bool, args []string) {
	list, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	if (len(list) == 0) == neg {
		ts.Fatalf("%s holds %v", args[0], list)
	}
}
