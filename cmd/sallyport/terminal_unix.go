//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package main

import (
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), getTermios)
	return err == nil
}

// endings are the signals that end the program at a prompt.
var endings = []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT}

// hideInput switches the echo off until restore is called, also when a signal
// ends the program, such as Ctrl+C: a shell without echo helps nobody.
func hideInput(f *os.File) (restore func(), err error) {
	fd := int(f.Fd())
	old, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, err
	}
	hidden := *old
	hidden.Lflag &^= unix.ECHO
	back := sync.OnceFunc(func() { unix.IoctlSetTermios(fd, setTermios, old) })
	interrupted, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(interrupted, endings...)
	if err := unix.IoctlSetTermios(fd, setTermios, &hidden); err != nil {
		signal.Stop(interrupted)
		return nil, err
	}
	go func() {
		select {
		case <-interrupted:
			back()
			os.Exit(failed)
		case <-done:
		}
	}()
	return func() { signal.Stop(interrupted); close(done); back() }, nil
}
