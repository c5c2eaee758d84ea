package sallyporttest_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/sallyport-mfa/sallyport/client"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// aTest is as much of a test as an example has to have, which has none, and a test of
// what fails tests.
type aTest struct {
	testing.TB // nil: whatever is not here is not called
	ctx        context.Context
	atEnd      []func()
	fatal      string
}

// inTest runs an example as go test runs a test. What stops it is not what it should say.
func inTest(f func(t testing.TB)) {
	if fatal := run(f); fatal != "" {
		fmt.Println("FAIL:", fatal)
	}
}

// begin gives the password of somebody, as Example does.
func begin(t testing.TB, s *sallyporttest.Server, who sallyporttest.Person) (*client.Client, *client.Attempt) {
	t.Helper()
	api, err := client.New(client.Config{BaseURL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	attempt, err := api.Begin(t.Context(), client.SignIn{Login: who.Login, Password: client.NewSecret(who.Password)})
	if err != nil {
		t.Fatal(err)
	}
	return api, attempt
}

// run runs f as go test runs a test, and gives what stopped it.
func run(f func(t testing.TB)) (fatal string) {
	ctx, cancel := context.WithCancel(context.Background())
	t := &aTest{ctx: ctx}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			cancel()
			for _, end := range slices.Backward(t.atEnd) {
				end()
			}
		}()
		f(t)
	}()
	<-done
	return t.fatal
}

func (t *aTest) Helper()                  {}
func (t *aTest) Context() context.Context { return t.ctx }
func (t *aTest) Cleanup(f func())         { t.atEnd = append(t.atEnd, f) }
func (t *aTest) Fatal(args ...any)        { t.Fatalf("%s", fmt.Sprint(args...)) }

func (t *aTest) Fatalf(format string, args ...any) {
	t.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (t *aTest) TempDir() string {
	dir, err := os.MkdirTemp("", "sallyporttest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
