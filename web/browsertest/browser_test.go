package browsertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sallyport-mfa/sallyport/text"
)

// patience bounds everything that is waited for: long enough for a machine with
// other work, and never reached when things go well.
const patience = 30 * time.Second

// errNoChromium says how to get one.
var errNoChromium = errors.New("no Chromium is installed: apt-get install chromium (or put chromium, chromium-browser or google-chrome on the PATH)")

func findChromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			return p, nil
		}
	}
	return "", errNoChromium
}

// program is a running Chromium with a profile of its own.
type program struct {
	ctx   context.Context
	close func()
}

// launch starts one. The preferences go into the profile as they stand.
func launch(preferences string) (_ *program, err error) {
	path, err := findChromium()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sallyport-chromium-")
	if err != nil {
		return nil, err
	}
	p := &program{close: func() { _ = os.RemoveAll(dir) }}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if preferences != "" {
		profile := filepath.Join(dir, "Default")
		if err := os.MkdirAll(profile, 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(profile, "Preferences"), []byte(preferences), 0o600); err != nil {
			return nil, err
		}
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("headless", "new"), chromedp.DisableGPU, chromedp.Flag("hide-scrollbars", true), chromedp.Flag("mute-audio", true),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-default-apps", true), chromedp.Flag("disable-extensions", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-breakpad", true), chromedp.Flag("force-color-profile", "srgb"),
		chromedp.Flag("disable-renderer-backgrounding", true), chromedp.Flag("disable-backgrounding-occluded-windows", true),
		chromedp.Flag("disable-features", "Translate,PasswordManagerOnboarding,AutofillServerCommunication,SpareRendererForSitePerProcess,OptimizationHints,MediaRouter"),
		chromedp.Flag("password-store", "basic"), chromedp.Flag("lang", "en-US"), chromedp.Flag("disable-prompt-on-repost", true),
		chromedp.WSURLReadTimeout(patience),
	}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to sandbox for root
	}
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(alloc, chromedp.WithErrorf(func(string, ...any) {}))
	p.ctx = ctx
	p.close = func() {
		closing, cancel := context.WithTimeout(ctx, 10*time.Second)
		_ = chromedp.Cancel(closing)
		cancel()
		stop()
		stopAlloc()
		// Its helpers write a little longer than it lives.
		for range 50 {
			if os.RemoveAll(dir) == nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	// The context of the first run is the life of the browser, so the limit is on the wait only.
	started := make(chan error, 1)
	go func() { started <- chromedp.Do(ctx) }()
	select {
	case err = <-started:
	case <-time.After(patience):
		err = errors.New("it does not start")
	}
	if err != nil {
		p.close()
		p.close = func() {}
		return nil, fmt.Errorf("launch Chromium: %w", err)
	}
	return p, nil
}

// shared is the one browser of all tests; each has a context of its own in it,
// with its own cookies. started tells whether there is one to close.
var (
	started bool
	shared  = sync.OnceValues(func() (*program, error) {
		p, err := launch("")
		started = err == nil
		return p, err
	})
)

// chromium is the shared browser, or skips the test.
func chromium(t *testing.T) *program {
	t.Helper()
	p, err := shared()
	switch {
	case err == nil:
	case errors.Is(err, errNoChromium) && !strings.Contains(os.Getenv("SALLYPORT_TEST_REQUIRE"), "chromium"):
		t.Skip(err)
	default:
		t.Fatal(err)
	}
	return p
}

func TestMain(m *testing.M) {
	code := m.Run()
	if started {
		p, _ := shared()
		p.close()
	}
	if missing := text.Default().Missing(); code == 0 && len(missing) > 0 {
		fmt.Fprintln(os.Stderr, "The pages asked for texts that no catalogue has:", missing)
		code = 1
	}
	os.Exit(code)
}
