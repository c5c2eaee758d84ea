// Command sallyport is the stand-alone server: package sallyport plus a
// configuration file, signals and listeners, and the operator's commands.
//
// # Flow
//
// Every command goes through run, which tests call too. It exits with 0 if all
// is well, 1 if something failed, 2 if it was called wrongly. The commands of
// the operator open the database themselves, beside a running server (ruling
// 56); who may read the keyring and the database is the operator (ruling 23).
//
// # Threats
//
//   - Secrets in arguments or output: passwords come from standard input or a
//     prompt without echo, and no error repeats a value that may hold one.
//   - A half-read configuration: unknown and repeated keys are errors, here and
//     in the environment.
//   - Other users of the machine: keyring and database are refused unless they
//     are the owner's alone.
//   - The demo's known passwords on a real server: a demo database is marked,
//     and everything but `demo` refuses it (ruling 34).
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(run(interruptible(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// interruptible ends with the first signal to stop; a second one ends the
// process at once.
func interruptible() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}

// run is the whole program.
func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{env: env, in: stdin, out: stdout, err: stderr}
	root := p.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	c, err := root.ExecuteContextC(ctx)
	return p.end(c, args, err)
}
