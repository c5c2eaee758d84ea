package sallyport_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A host program in a module of its own is tested with package sallyporttest, with
// what is in the module cache, and what the guide shows of that is what is run.
func TestExampleTesting(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-v", "./...")
	cmd.Dir = "examples/testing"
	// Flags of the run around it, such as -mod, are not for this module.
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestBilling") {
		t.Errorf("%v (if it is about go.mod or go.sum: `go mod tidy` in examples/testing)\n%s", err, out)
	}

	shown := regexp.MustCompile("(?s)```go\n(func Test.*?)```").FindAllStringSubmatch(read(t, "docs/integration.md"), -1)
	if len(shown) < 2 {
		t.Errorf("docs/integration.md shows %d tests", len(shown))
	}
	for _, s := range shown {
		if !strings.Contains(read(t, "examples/testing/shop_test.go"), s[1]) {
			t.Errorf("docs/integration.md shows what is not in examples/testing/shop_test.go:\n%s", s[1])
		}
	}
}
