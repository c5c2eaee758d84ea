package main

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// What is typed is not echoed while a password is asked for, and is again after.
func TestHideInput(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer master.Close()
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
	defer tty.Close()
	echoes := func() bool {
		t.Helper()
		state, err := unix.IoctlGetTermios(int(tty.Fd()), getTermios)
		if err != nil {
			t.Fatal(err)
		}
		return state.Lflag&unix.ECHO != 0
	}
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
