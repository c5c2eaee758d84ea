package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newTerminal is a pseudo-terminal of the test.
func newTerminal(t *testing.T) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return tty
}

func echoing(t *testing.T, tty *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(tty.Fd()), getTermios)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// What is typed is not echoed while a password is asked for, and is again after.
func TestHideInput(t *testing.T) {
	tty := newTerminal(t)
	echoes := func() bool { return echoing(t, tty) }
	if !isTerminal(tty) || !echoes() {
		t.Fatal("a new terminal does not echo")
	}
	restore, err := hideInput(tty)
	if err != nil {
		t.Fatal(err)
	}
	if echoes() {
		t.Error("the password is echoed")
	}
	restore()
	if !echoes() {
		t.Error("the echo is not back")
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if isTerminal(file) {
		t.Error(os.DevNull + " is taken for a terminal")
	}
	if _, err := hideInput(file); err == nil {
		t.Error("no error")
	}
}

// However the prompt ends, the echo is back.
func TestPromptSignals(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT} {
		tty, dir := newTerminal(t), t.TempDir()
		if code, said := call(t, nil, "", "init", "--dir", dir, "--company", "Acme"); code != fine {
			t.Fatalf("%d, %s", code, said)
		}
		cmd := exec.Command(self)
		cmd.Args = []string{"sallyport", "user", "add", "priya", "--config", filepath.Join(dir, defaultConfig)}
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
		cmd.Stdin = tty
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for end := time.Now().Add(patience); echoing(t, tty); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				cmd.Process.Kill()
				t.Fatalf("%v: no prompt", sig)
			}
		}
		cmd.Process.Signal(sig)
		select {
		case <-ended:
		case <-time.After(patience):
			cmd.Process.Kill()
			t.Fatalf("%v does not end the prompt", sig)
		}
		if got := cmd.ProcessState.ExitCode(); got != failed || !echoing(t, tty) {
			t.Errorf("%v: exit code %d, echo %v", sig, got, echoing(t, tty))
		}
		if code, said := call(t, nil, "", "user", "list", "--config", filepath.Join(dir, defaultConfig)); code != fine || strings.Contains(said, "priya") {
			t.Errorf("%v: %d, %s", sig, code, said)
		}
	}
}
