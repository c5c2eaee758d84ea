package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sallyport-mfa/sallyport/method/password"
)

const passwordFlag = "read the password from standard input, one line"

var errLong = fmt.Errorf("the password has more than %d bytes", password.MaxBytes)

// password reads a new password: one line of standard input, or twice from a
// terminal without echo. It never comes from an argument, which other users of
// the machine can see.
func (p *program) password(fromStdin bool) (string, error) {
	if fromStdin {
		line, err := readLine(bufio.NewReaderSize(p.in, password.MaxBytes+2))
		if err == nil && line == "" {
			err = errors.New("standard input holds no password")
		}
		return line, err
	}
	f, ok := p.in.(*os.File)
	if !ok || !isTerminal(f) {
		return "", misuse("there is no terminal to ask for the password; give it on standard input with --password-stdin")
	}
	in := bufio.NewReaderSize(f, password.MaxBytes+2)
	first, err := p.ask(f, in, "Password: ")
	if err != nil {
		return "", err
	}
	second, err := p.ask(f, in, "The same again: ")
	switch {
	case err != nil:
	case first != second:
		err = errors.New("the two passwords are not the same; nothing was changed")
	case first == "":
		err = errors.New("no password was typed; nothing was changed")
	}
	return first, err
}

func (p *program) ask(f *os.File, in *bufio.Reader, question string) (string, error) {
	fmt.Fprint(p.err, question)
	restore, err := hideInput(f)
	if err != nil {
		return "", fmt.Errorf("the terminal cannot hide what is typed (%w); use --password-stdin", err)
	}
	line, err := readLine(in)
	restore()
	fmt.Fprintln(p.err)
	return line, err
}

func readLine(in *bufio.Reader) (string, error) {
	b, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", errLong
	}
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
