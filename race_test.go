package sallyport_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/store"
)

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]*)">`)

// browser is a page client: cookies, forms with their hidden fields, no
// JavaScript, and no following of redirects.
type browser struct {
	t    *testing.T
	c    *http.Client
	base string
}

func newBrowser(t *testing.T, base string) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, base: base, c: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (b *browser) get(path string) string {
	resp, err := b.c.Get(b.base + path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(raw)
}

// form is the page's form with what a person types into it.
func form(page string, typed map[string]string) url.Values {
	v := url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(page, -1) {
		v.Set(m[1], m[2])
	}
	for k, s := range typed {
		v.Set(k, s)
	}
	return v
}

func (b *browser) post(path string, v url.Values) *http.Response {
	req, err := http.NewRequest(http.MethodPost, b.base+path, strings.NewReader(v.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", b.base)
	resp, err := b.c.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// TestRacePagesAndJSON_cve24: one code, submitted a hundred times at once from
// pages and by JSON, from many attempts, is one session.
func TestRacePagesAndJSON_cve24(t *testing.T) {
	onBothStores(t, func(t *testing.T, st *store.Store) {
		w := sallyporttest.Start(t, st)
		p := w.AddUser(t, w.Company, "maya", true)
		code := w.Code(t, p.Secret)

		var submits []func() (session string)
		for i := range 25 {
			b := newBrowser(t, w.URL)
			resp := b.post("/signin", form(b.get("/signin"), map[string]string{"login": "maya", "password": sallyporttest.Password}))
			at := resp.Header.Get("Location")
			if resp.StatusCode != http.StatusSeeOther || !strings.Contains(at, "/signin/att_") {
				t.Fatalf("sign-in %d: %d %s", i, resp.StatusCode, at)
			}
			answer := form(b.get(at), map[string]string{"code": code})
			page := func() string {
				resp := b.post(at, answer)
				for _, c := range resp.Cookies() {
					if strings.Contains(c.Name, "session") && c.Value != "" {
						return c.Value // the same one for a form that was sent twice
					}
				}
				return ""
			}
			id, token := beginJSON(t, w, "maya")
			byJSON := func() string {
				if status, v := postJSON(t, w.URL+"/api/v1/attempts/"+id+"/verify", token, fmt.Sprintf(`{"method":"totp","code":%q}`, code)); status == http.StatusOK {
					return fmt.Sprint(v["session"])
				}
				return ""
			}
			submits = append(submits, page, page, byJSON, byJSON)
		}
		var won sync.Map
		var wg sync.WaitGroup
		for _, submit := range submits {
			wg.Go(func() {
				if session := submit(); session != "" {
					won.Store(session, true)
				}
			})
		}
		wg.Wait()
		n := 0
		won.Range(func(any, any) bool { n++; return true })
		open, err := w.Store.Sessions(t.Context(), p.Company, p.ID)
		if err != nil || n != 1 || len(open) != 1 {
			t.Errorf("%d sessions of one code, %d open, %v", n, len(open), err)
		}
	})
}

func beginJSON(t *testing.T, w *sallyporttest.Server, login string) (id, token string) {
	t.Helper()
	status, v := postJSON(t, w.URL+"/api/v1/attempts", "", fmt.Sprintf(`{"login":%q,"password":%q}`, login, sallyporttest.Password))
	if status != http.StatusCreated {
		t.Fatalf("%d %v", status, v)
	}
	return v["id"].(string), v["token"].(string)
}
