package sallyport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// BenchmarkSignIns are whole sign-ins without HTTP, with real hashes: by password and
// the code of an app, and by a passkey. "sign-ms" is what the device does of that, which
// is a person's in life.
//
//	go test -run '^$' -bench 'BenchmarkSignIns' -benchtime 200x -count 5 .
func BenchmarkSignIns(b *testing.B) {
	for _, callers := range []int{1, 4} {
		b.Run(fmt.Sprintf("password and code/callers=%d", callers), func(b *testing.B) {
			w := sallyporttest.NewServer(b, sallyporttest.RealHashes(b))
			people := benchPeople(b, w, b.N)
			parallel(b, callers, func(_, i int) {
				st, err := w.SignIn.Begin(context.Background(), signin.Begin{Login: people[i].Login, Password: sallyporttest.Password})
				if err == nil {
					st, err = w.SignIn.Verify(context.Background(), signin.OpenerOf(st.Token, authn.Client{}), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: w.Code(b, people[i].Secret)}})
				}
				if err != nil || st.Session == nil {
					b.Error(err)
				}
			})
		})
		b.Run(fmt.Sprintf("passkey/callers=%d", callers), func(b *testing.B) {
			w := sallyporttest.NewServer(b, sallyporttest.RealHashes(b))
			keys := benchKeys(b, w, callers)
			var signing atomic.Int64
			parallel(b, callers, func(caller, _ int) {
				w.Clock.Advance(time.Second) // or one address asks too often
				ask, err := w.SignIn.Passkeys(context.Background(), "acme", authn.Client{})
				if err != nil {
					b.Error(err)
					return
				}
				start := time.Now()
				signed, err := keys[caller].Sign(ask.Options)
				signing.Add(int64(time.Since(start)))
				if err != nil {
					b.Error(err)
					return
				}
				st, err := w.SignIn.BeginByPasskey(context.Background(), signin.ByPasskey{Company: "acme", Credential: signed})
				if err != nil || st.Session == nil {
					b.Error(err)
				}
			})
			b.ReportMetric(float64(signing.Load())/float64(b.N)/1e6, "sign-ms")
		})
	}
}

// BenchmarkHTTPSignIns are the same through HTTP, as programs do it: without a cookie.
//
//	go test -run '^$' -bench 'HTTPSignIns' -benchtime 60x -count 5 .
func BenchmarkHTTPSignIns(b *testing.B) {
	for _, callers := range []int{1, 4} {
		b.Run(fmt.Sprintf("password and code/callers=%d", callers), func(b *testing.B) {
			w, c := sallyporttest.NewServer(b, sallyporttest.RealHashes(b)), benchClient()
			people := benchPeople(b, w, b.N)
			parallel(b, callers, func(_, i int) {
				var begun struct{ ID, Token string }
				exchange(b, c, w.URL+"/api/v1/attempts", "", map[string]string{"login": people[i].Login, "password": sallyporttest.Password}, http.StatusCreated, &begun)
				exchange(b, c, w.URL+"/api/v1/attempts/"+begun.ID+"/verify", begun.Token, map[string]string{"method": "totp", "code": w.Code(b, people[i].Secret)}, http.StatusOK, nil)
			})
		})
		b.Run(fmt.Sprintf("passkey/callers=%d", callers), func(b *testing.B) {
			w, c := sallyporttest.NewServer(b, sallyporttest.RealHashes(b)), benchClient()
			keys := benchKeys(b, w, callers)
			parallel(b, callers, func(caller, _ int) {
				w.Clock.Advance(time.Second) // or one address asks too often
				var asked struct{ Options json.RawMessage }
				exchange(b, c, w.URL+"/api/v1/passkeys", "", map[string]string{"company": "acme"}, http.StatusOK, &asked)
				signed, err := keys[caller].Sign(asked.Options)
				if err != nil {
					b.Error(err)
					return
				}
				exchange(b, c, w.URL+"/api/v1/passkeys/verify", "", map[string]any{"company": "acme", "credential": json.RawMessage(signed)}, http.StatusCreated, nil)
			})
		})
	}
}

// exchange posts JSON and reads the answer, which is a mistake with another status than want.
func exchange(b *testing.B, c *http.Client, url, token string, in any, want int, out any) {
	b.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		b.Error(err)
		return
	}
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		b.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err == nil && out != nil {
		err = json.Unmarshal(raw, out)
	}
	if err != nil || resp.StatusCode != want {
		b.Errorf("%s: %d, want %d (%v): %s", url, resp.StatusCode, want, err, raw)
	}
}

// benchKeys are the passkeys of so many people.
func benchKeys(b *testing.B, w *sallyporttest.Server, n int) []*sallyporttest.Passkeys {
	b.Helper()
	keys := make([]*sallyporttest.Passkeys, n)
	for i := range keys {
		keys[i] = w.Passkeys(b)
		w.AddPasskey(b, w.AddUser(b, w.Company, fmt.Sprintf("keyed%d", i), false).User, keys[i])
	}
	return keys
}
