package sallyport_test

import (
	"net/http"
	"runtime"
	"testing"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// What a further server of a process costs, as tests start them by the hundred: what
// it takes to make one, and what it holds ("kept").
//
//	go test -run '^$' -bench 'New$' -benchtime 20x .
func BenchmarkNew(b *testing.B) {
	var cfg sallyport.Config
	s := sallyporttest.NewServer(b, func(c *sallyport.Config) { cfg = *c })
	draw := func(srv *sallyport.Server) {
		for _, page := range []string{"/signin", "/forgot", "/docs/errors"} {
			r, err := http.NewRequest("GET", s.URL+page, nil)
			if err != nil {
				b.Fatal(err)
			}
			r.Host = s.HTTP.Listener.Addr().String()
			srv.Handler().ServeHTTP(&discard{h: http.Header{}}, r)
		}
	}
	draw(s.Server)
	live := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	b.ReportAllocs()
	all := make([]*sallyport.Server, 0, b.N)
	before := live()
	b.ResetTimer()
	for b.Loop() {
		srv, err := sallyport.New(cfg)
		if err != nil {
			b.Fatal(err)
		}
		draw(srv)
		all = append(all, srv)
	}
	b.StopTimer()
	b.ReportMetric(float64(live()-before)/float64(len(all)), "kept-B/op")
	runtime.KeepAlive(all)
}

type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}
