package sallyport_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// The benchmarks of docs/performance.md that go through HTTP. Load generator
// and server share the machine. Run:
//
//	go test -run '^$' -bench 'HTTP' -benchtime 5s -count 5 .

type benchPerson struct {
	sallyporttest.Person
	attempt signin.Status
}

func benchPeople(b *testing.B, w *sallyporttest.Server, n int) []benchPerson {
	b.Helper()
	people := make([]benchPerson, n)
	for i := range people {
		people[i].Person = w.AddUser(b, w.Company, fmt.Sprintf("bench%d", i), true)
	}
	return people
}

func benchClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true}}
}

func post(b *testing.B, c *http.Client, url, token, body string) int {
	b.Helper()
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	var v any
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		b.Fatal(err)
	}
	return resp.StatusCode
}

// parallel runs f from n callers until b.N is used up and reports per second
// and the slowest percent.
func parallel(b *testing.B, n int, f func(caller, i int)) {
	var next atomic.Int64
	took := make([][]time.Duration, n)
	b.ResetTimer()
	start := time.Now()
	var wg sync.WaitGroup
	for c := range n {
		wg.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(b.N) {
					return
				}
				t := time.Now()
				f(c, int(i))
				took[c] = append(took[c], time.Since(t))
			}
		})
	}
	wg.Wait()
	total := time.Since(start)
	b.StopTimer()
	var all []time.Duration
	for _, t := range took {
		all = append(all, t...)
	}
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/total.Seconds(), "op/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkHTTPVerify is a durable verify: a right code, the end of the attempt,
// a session and two events in one transaction with fsync. Each person's clock
// moves a step for each of their codes.
func BenchmarkHTTPVerify(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			w := sallyporttest.NewServer(b)
			people := benchPeople(b, w, b.N)
			for i := range people {
				st, err := w.SignIn.Begin(context.Background(), signin.Begin{Login: people[i].Login, Password: sallyporttest.Password})
				if err != nil {
					b.Fatal(err)
				}
				people[i].attempt = st
			}
			c := benchClient()
			parallel(b, callers, func(_, i int) {
				p := people[i]
				code := post(b, c, w.URL+"/api/v1/attempts/"+p.attempt.Attempt.ID+"/verify", p.attempt.Token.Reveal(),
					`{"method":"totp","code":"`+w.Code(b, p.Secret)+`"}`)
				if code != http.StatusOK {
					b.Errorf("status %d", code)
				}
			})
		})
	}
}

// BenchmarkHTTPRefuse is a wrong code: charged, counted and written.
func BenchmarkHTTPRefuse(b *testing.B) {
	w := sallyporttest.NewServer(b)
	people := benchPeople(b, w, b.N/9+1)
	for i := range people {
		st, err := w.SignIn.Begin(context.Background(), signin.Begin{Login: people[i].Login, Password: sallyporttest.Password})
		if err != nil {
			b.Fatal(err)
		}
		people[i].attempt = st
	}
	c := benchClient()
	parallel(b, 64, func(_, i int) {
		p := people[i%len(people)]
		code := post(b, c, w.URL+"/api/v1/attempts/"+p.attempt.Attempt.ID+"/verify", p.attempt.Token.Reveal(),
			`{"method":"totp","code":"`+w.WrongCode(b, p.Secret)+`"}`)
		if code != http.StatusUnprocessableEntity {
			b.Errorf("status %d", code)
		}
	})
}

// BenchmarkHTTPSession is a session check: of one session, of many in turn, and of
// many while one after the other is ended and another opened.
func BenchmarkHTTPSession(b *testing.B) {
	b.Run("one", func(b *testing.B) { benchSessions(b, 1, 0) })
	b.Run("1000", func(b *testing.B) { benchSessions(b, 1000, 0) })
	b.Run("1000, 50 ended a second", func(b *testing.B) { benchSessions(b, 1000, 20*time.Millisecond) })
}

func benchSessions(b *testing.B, sessions int, endOne time.Duration) {
	w := sallyporttest.NewServer(b)
	begin := func(p sallyporttest.Person) authn.Token {
		st, err := w.SignIn.Begin(context.Background(), signin.Begin{Login: p.Login, Password: sallyporttest.Password})
		if err != nil {
			b.Fatal(err)
		}
		return st.SessionToken
	}
	tokens := make([]string, sessions)
	for i := range tokens {
		tokens[i] = begin(w.AddUser(b, w.Company, fmt.Sprintf("bench%d", i), false)).Reveal()
	}
	c := benchClient()
	if endOne > 0 {
		p := w.AddUser(b, w.Company, "leaving", false)
		stop, done := make(chan struct{}), make(chan struct{})
		defer func() { close(stop); <-done }()
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				case <-time.After(endOne):
					if err := w.Sessions.SignOut(context.Background(), begin(p), authn.Client{}); err != nil {
						b.Error(err)
					}
				}
			}
		}()
	}
	parallel(b, 64, func(_, i int) {
		token := tokens[i%len(tokens)]
		req, err := http.NewRequest(http.MethodGet, w.URL+"/api/v1/session", nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := c.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body) // or the connection is closed
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			b.Errorf("status %d", resp.StatusCode)
		}
	})
}

// BenchmarkHTTPSignIn is a full sign-in with real hashes (19 MiB, t=2, p=1) and
// the peak of the heap while 64 do it at once.
func BenchmarkHTTPSignIn(b *testing.B) {
	w := sallyporttest.NewServer(b, sallyporttest.RealHashes(b))
	people := make([]benchPerson, 64)
	for i := range people {
		people[i].Person = w.AddUser(b, w.Company, fmt.Sprintf("bench%d", i), false)
	}
	c := benchClient()
	stop := make(chan struct{})
	var peak atomic.Uint64
	go func() {
		var m runtime.MemStats
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), m.Sys-m.HeapReleased))
			}
		}
	}()
	parallel(b, 64, func(caller, _ int) {
		if code := post(b, c, w.URL+"/api/v1/attempts", "", `{"login":"`+people[caller].Login+`","password":"`+sallyporttest.Password+`"}`); code != http.StatusCreated {
			b.Errorf("status %d", code)
		}
	})
	close(stop)
	b.ReportMetric(float64(peak.Load())/(1<<20), "peak-MiB")
}
