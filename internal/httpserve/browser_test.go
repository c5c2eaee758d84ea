package httpserve

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser starts Chromium and collects what it complains about.
func browser(t *testing.T) (context.Context, func() []string) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	switch {
	case err != nil && strings.Contains(os.Getenv("SALLYPORT_TEST_REQUIRE"), "chromium"):
		t.Fatal("Chromium is required but not installed: apt-get install chromium")
	case err != nil:
		t.Skip("Chromium is not installed: apt-get install chromium")
	case testing.Short():
		t.Skip("starts a browser")
	}
	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox)
	ctx, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	var mu sync.Mutex
	var said []string
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			mu.Lock()
			said = append(said, m.Text)
			mu.Unlock()
		}
	}()
	return ctx, func() []string {
		mu.Lock()
		defer mu.Unlock()
		s := said
		said = nil
		return s
	}
}

// What real Chromium does with our headers: a plain page works without a word
// on the console, markup from strings does not, our own form names its origin
// (which "no-referrer" would hide), and another site's form is refused.
func TestInChromium(t *testing.T) {
	ctx, said := browser(t)
	c := Cookies{}
	posts := make(chan string, 9)
	form := func(action string) string {
		return `<form method="post" action="` + action + `/post"><button>Go</button></form>`
	}
	page := func(body string) http.Handler {
		return Page(func(w http.ResponseWriter, r *http.Request) error {
			c.SetSession(w, "sp_ses_x")
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, `<!doctype html><title>x</title><link rel="icon" href="/icon.svg"><script src="/app.js" defer></script><p id="p"></p>`+body)
			return nil
		})
	}
	mux := NewMux()
	mux.Handle("GET /{$}", page(form("")))
	mux.Handle("GET /inline", page(`<script>document.title = "hacked"</script>`))
	mux.Handle("GET /icon.svg", Page(func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "image/svg+xml")
		fmt.Fprint(w, `<svg xmlns="http://www.w3.org/2000/svg"/>`)
		return nil
	}))
	mux.Handle("GET /app.js", Page(func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, `document.getElementById("p").textContent = "works"; document.getElementById("p").style.width = "40%"`)
		return nil
	}))
	mux.Handle("POST /post", Page(func(w http.ResponseWriter, r *http.Request) error {
		posts <- r.Header.Get("Origin") + " " + r.Header.Get("Sec-Fetch-Site") + " " + c.ReadSession(r)
		return WriteJSON(w, 200, "posted")
	}))
	srv := httptest.NewUnstartedServer(nil)
	srv.Config.Handler = Wrap(mux, Config{Hosts: []string{srv.Listener.Addr().String()}, Cookies: c, Log: slog.New(slog.DiscardHandler)})
	srv.Start()
	defer srv.Close()
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `<!doctype html><link rel="icon" href="data:,">`+form(srv.URL))
	}))
	defer evil.Close()

	ctx, stop := context.WithTimeout(ctx, 60*time.Second)
	defer stop()
	if err := chromedp.Do(ctx, chromedp.Navigate(srv.URL+"/")); err != nil {
		t.Fatal(err)
	}
	text := ask(t, ctx, chromedp.Text(chromedp.CSS("#p")))
	if s := said(); text != "works" || len(s) > 0 {
		t.Errorf("plain page: %q, console: %q", text, s)
	}
	for _, script := range []string{
		`document.getElementById("p").innerHTML = "<b>x</b>"`,
		`trustedTypes.createPolicy("default", {createHTML: x => x})`,
	} {
		if got := ask(t, ctx, chromedp.Evaluate[string](`(() => { try { `+script+`; return "done" } catch (e) { return e.name } })()`)); got != "TypeError" {
			t.Errorf("%s: %s", script, got)
		}
	}
	// In order: had the page said anything, it would stand before these.
	if s := said(); len(s) == 0 || !strings.Contains(s[0], "Trusted") {
		t.Errorf("console: %q", s)
	}
	submit := func(address string) {
		t.Helper()
		button := chromedp.CSS("button")
		if err := chromedp.Do(ctx, chromedp.Navigate(address), chromedp.Click(button), chromedp.WaitNotPresent(button)); err != nil {
			t.Fatal(err)
		}
	}
	submit(srv.URL + "/")
	if got, want := <-posts, srv.URL+" same-origin sp_ses_x"; got != want {
		t.Errorf("own form: %q, want %q", got, want)
	}
	submit(strings.Replace(evil.URL, "127.0.0.1", "localhost", 1))
	if len(posts) > 0 {
		t.Errorf("a foreign form got through: %q", <-posts)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(srv.URL+"/inline")); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, ctx, chromedp.Title()); got != "x" {
		t.Errorf("an inline script ran: %q", got)
	}
}

func ask(t *testing.T, ctx context.Context, a chromedp.Action[string]) string {
	t.Helper()
	s, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
