package browsertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// badPage breaks every rule that the audit knows.
const badPage = `<!doctype html><html lang="" dir="auto"><head><title>Bad</title><link rel="icon" href="/icon.svg" type="image/svg+xml"><style>
body{margin:0;font-size:16px} .pale{color:#aaa;background:#fff} .wide{width:2000px} button{padding:0;border:0;width:10px;height:10px;overflow:hidden;white-space:nowrap}
input{border:1px solid #eee;font-size:12px} .stripes{background:repeating-linear-gradient(90deg,#000 0 9px,#fff 9px 18px);color:#000}</style></head><body>
<h1>One</h1><h1>Two</h1><h3>Three</h3><main><p class="pale">pale words</p><p class="stripes">striped words</p><p class="wide">wide</p>
<p id="a">a</p><p id="a">b</p><input name="x" aria-describedby="none" aria-invalid="true"><button>a long name</button><svg width="9" height="9"></svg>
<a href="/one">Here</a><a href="/two">Here</a><p style="color:red" tabindex="3">x</p><ul><p>y</p></ul><table><tr><td>z</td></tr></table></main></body></html>`

// The audit finds what it is there to find.
func TestAudit_findsFaults(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]string{"/": badPage})
	tb := newTab(t, s, true)
	tb.forgive("")
	tb.open("/")
	got := eval[audit](tb, auditScript)
	all := strings.Join(got.Findings, "\n")
	for _, want := range []string{
		"contrast: 2.32 pale words", "contrast: 1.00 striped words", "target: button", "border: ", "ux-58: ", "label: none", "ux-28: no message", "sideways: 2000 of", "sideways: p", "cut off: button",
		"h1: 2", "lang: not set", "dir: auto", "twice: #a", "aria-describedby: input", "picture: neither", "inline: p", "tabindex: p", "heading: h3", "ux-34: p", "ux-34: a table", `ux-33: two things named "Here"`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("it does not find %q in:\n%s", want, all)
		}
	}
	if !got.Wrong {
		t.Error("it does not see that an error is shown")
	}
}

// Whatever the browser complains of is noted.
func TestTab_notesFaults(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]string{
		"/":       `<!doctype html><html lang="en"><title>x</title><link rel="icon" href="/icon.svg"><p style="color:red">x</p><script src="/app.js"></script><img src="/gone.png" alt="">`,
		"/app.js": `console.log("hello from the page"); setTimeout(() => document.body.append("done")); throw new Error("thrown")`,
	})
	tb := newTab(t, s, true)
	tb.open("/")
	tb.forgive("")
	var all string
	for _, want := range []string{"inline style", "hello from the page", "thrown", "gone.png answered 404", "issue ContentSecurityPolicyIssue"} {
		tb.await("the browser to say "+want, func() bool {
			tb.mu.Lock()
			defer tb.mu.Unlock()
			all = fmt.Sprint(tb.faults)
			return strings.Contains(all, want)
		})
	}
}

// serve serves these pages under a strict policy.
func serve(t *testing.T, pages map[string]string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if r.URL.Path == "/app.js" {
			w.Header().Set("Content-Type", "text/javascript")
		}
		if body != badPage {
			w.Header().Set("Content-Security-Policy", "default-src 'self'")
		}
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}
