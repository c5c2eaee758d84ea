package egress

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// site is a server of ours that every allowed address leads to, and the guard
// that believes it is on the Internet as example.com.
type site struct {
	*httptest.Server
	guard   *Guard
	mu      sync.Mutex
	dialled []string
}

func newSite(t *testing.T, c Config, tune func(*httptest.Server), h http.HandlerFunc) *site {
	t.Helper()
	s := &site{Server: httptest.NewUnstartedServer(h)}
	s.EnableHTTP2, s.Config.ErrorLog = true, log.New(io.Discard, "", 0)
	if tune != nil {
		tune(s.Server)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	if c.Resolver == nil {
		c.Resolver = &answers{list: [][]netip.Addr{addrs("93.184.216.35")}}
	}
	c.RootCAs = x509.NewCertPool()
	c.RootCAs.AddCert(s.Certificate())
	c.Ports = append(c.Ports, WebPorts...)
	s.guard, _ = guard(t, c)
	s.guard.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		s.mu.Lock()
		s.dialled = append(s.dialled, addr)
		s.mu.Unlock()
		return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
	}
	return s
}

func (s *site) dials() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dialled)
}

func (s *site) client(t *testing.T, timeout time.Duration) *http.Client {
	c := s.guard.Client(timeout)
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// get is one whole request.
func get(c *http.Client, target string) (*http.Response, []byte, error) {
	res, err := c.Get(target)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res, b, err
}

// inward are addresses that nobody's settings may lead to, and the rule of each.
var inward = map[string]string{
	"127.0.0.1": "loopback", "::1": "loopback", "10.0.0.1": "private", "172.16.0.1": "private", "192.168.1.1": "private", "fc00::1": "private", "fd12:3456::1": "private",
	"100.64.0.1": "carrier", "169.254.1.1": "link_local", "fe80::1": "link_local", "169.254.169.254": "metadata", "fd00:ec2::254": "metadata", "100.100.100.200": "metadata",
	"168.63.129.16": "metadata", "0.0.0.0": "unspecified", "::": "unspecified", "224.0.0.1": "multicast", "ff02::1": "multicast", "255.255.255.255": "broadcast",
	"240.0.0.1": "reserved", "198.18.0.1": "reserved", "2001::1": "reserved", "192.0.2.1": "documentation", "2001:db8::1": "documentation",
	"::ffff:127.0.0.1": "embedded", "::ffff:169.254.169.254": "embedded", "64:ff9b::7f00:1": "embedded", "64:ff9b:1::a00:1": "embedded", "2002:7f00:1::1": "embedded",
	"::127.0.0.1": "embedded", "93.184.216.34": "own", "2606:2800::7": "own",
}

// rul-32: no URL leads inside, whether it says so or its name does.
func TestClientRanges_rul32(t *testing.T) {
	var asked atomic.Int32
	h := func(http.ResponseWriter, *http.Request) { asked.Add(1) }
	for addr, rule := range inward {
		s := newSite(t, Config{}, nil, h)
		_, _, err := get(s.client(t, 0), "https://"+net.JoinHostPort(addr, "443")+"/")
		checkRule(t, err, rule, s.dials())
		a := netip.MustParseAddr(addr)
		if a.Is4In6() { // as a resolver's answer it is what is inside
			rule = map[string]string{"::ffff:127.0.0.1": "loopback", "::ffff:169.254.169.254": "metadata"}[addr]
		}
		s = newSite(t, Config{Resolver: &answers{list: [][]netip.Addr{{a}}}}, nil, h)
		_, _, err = get(s.client(t, 0), "https://example.com/")
		checkRule(t, err, rule, s.dials())
	}
	if asked.Load() > 0 {
		t.Error("a request arrived")
	}
}

// rul-32: nothing is followed, wherever it leads and with whatever method, and a
// 3xx is no answer.
func TestClientRedirects_rul32(t *testing.T) {
	targets := []string{"https://example.com/elsewhere", "https://other.example/", "http://example.com/", "//[::1]/", "/relative", "file:///etc/passwd", "gopher://127.0.0.1:25/", "", "%"}
	for addr := range inward {
		targets = append(targets, "https://"+net.JoinHostPort(addr, "443")+"/", "http://"+net.JoinHostPort(addr, "80")+"/latest/meta-data/")
	}
	var asked atomic.Int32
	var status atomic.Int32
	s := newSite(t, Config{}, nil, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if to := r.URL.Query().Get("to"); to != "" {
			w.Header().Set("Location", to)
		}
		w.WriteHeader(int(status.Load()))
	})
	c := s.client(t, 0)
	n := int32(0)
	for _, code := range []int32{300, 301, 302, 303, 304, 307, 308, 399} {
		status.Store(code)
		for _, to := range targets {
			target := "https://example.com/?to=" + url.QueryEscape(to)
			_, _, err := get(c, target)
			res, err2 := c.Post(target, "text/plain", strings.NewReader("secret"))
			if res != nil {
				res.Body.Close()
			}
			n += 2
			if !errors.Is(err, ErrRedirect) || !errors.Is(err2, ErrRedirect) || asked.Load() != n {
				t.Fatalf("%d to %q: %v, %v; %d requests, want %d", code, to, err, err2, asked.Load(), n)
			}
		}
	}
	for _, addr := range s.dials() {
		if addr != "93.184.216.35:443" {
			t.Errorf("dialled %s", addr)
		}
	}
}

// rul-32: a name is judged at each connection, and the judged address is the one
// that is dialled.
func TestClientRebinding_rul32(t *testing.T) {
	r := &answers{list: [][]netip.Addr{addrs("8.8.8.8"), addrs("127.0.0.1"), addrs("169.254.169.254", "10.0.0.1")}}
	s := newSite(t, Config{Resolver: r}, nil, func(http.ResponseWriter, *http.Request) {})
	c := s.client(t, 0)
	if _, _, err := get(c, "https://example.com/"); err != nil {
		t.Fatal(err)
	}
	// The open connection stays with the address that was judged.
	if _, _, err := get(c, "https://example.com/"); err != nil || r.asked != 1 {
		t.Fatalf("%v, asked %d times", err, r.asked)
	}
	for _, rule := range []string{"loopback", "private"} {
		c.CloseIdleConnections()
		_, _, err := get(c, "https://example.com/")
		checkRule(t, err, rule, nil)
	}
	if got := s.dials(); !slices.Equal(got, []string{"8.8.8.8:443"}) {
		t.Errorf("dialled %q", got)
	}
}

func TestClientURLs(t *testing.T) {
	for target, rule := range map[string]string{
		"https://example.com/": "", "https://example.com:443/x?y": "", "https://EXAMPLE.com./": "", "https://9.9.9.9/": "",
		"http://example.com/": "scheme", "ftp://example.com/": "scheme", "file:///etc/passwd": "scheme", "//example.com/": "scheme", "HTTP://example.com": "scheme",
		"https://example.com:80/": "port", "https://example.com:8443/": "port", "https://example.com:22/": "port", "https://example.com:0/": "port", "https://example.com:65979/": "port",
		"https://maya@example.com/": "user", "https://maya:secret@example.com/": "user", "https:///x": "host", "https:example.com": "host",
		"https://localhost/": "loopback", "https://x.localhost./": "loopback", "https://[::1]/": "loopback", "https://[fe80::1%25eth0]/": "link_local", "https://0.0.0.0/": "unspecified",
	} {
		g, dialled := guard(t, Config{Ports: WebPorts, Resolver: &answers{list: [][]netip.Addr{addrs("93.184.216.35")}}})
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		var r *Refused
		if err := g.CheckURL(u); errors.As(err, &r) != (rule != "") || r != nil && r.Rule != rule || r == nil && err != nil {
			t.Errorf("%s: %v, want %q", target, err, rule)
		}
		body := &closed{}
		res, err := g.Client(0).Transport.RoundTrip((&http.Request{Method: "POST", URL: u, Body: body, Header: http.Header{}}).WithContext(t.Context()))
		if res != nil {
			res.Body.Close()
		}
		checkRule(t, err, rule, *dialled)
		if rule != "" && !body.is {
			t.Errorf("%s: the body was left open", target)
		}
	}
	// The operator's leave opens plain HTTP and other ports, not metadata.
	g, dialled := guard(t, Config{AllowPrivate: true, Ports: []int{80, 8080}})
	_, _, err := get(g.Client(0), "http://127.0.0.1/")
	checkRule(t, err, "", *dialled)
	if (*dialled)[0] != "127.0.0.1:80" {
		t.Errorf("dialled %q", *dialled)
	}
	_, _, err = get(g.Client(0), "http://169.254.169.254/latest/meta-data/")
	checkRule(t, err, "metadata", nil)
	_, _, err = get(g.Client(0), "https://example.com/")
	checkRule(t, err, "port", nil)
}

type closed struct{ is bool }

func (*closed) Read([]byte) (int, error) { return 0, io.EOF }
func (c *closed) Close() error           { c.is = true; return nil }

// rul-32: a proxy of the environment is not asked.
func TestClientProxy_rul32(t *testing.T) {
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	s := newSite(t, Config{}, nil, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "direct") })
	c := s.client(t, 0)
	if _, b, err := get(c, "https://example.com/"); err != nil || string(b) != "direct" {
		t.Errorf("%q %v", b, err)
	}
	if c.Transport.(*transport).http.Proxy != nil || asked.Load() > 0 || c.Jar != nil {
		t.Errorf("a proxy, asked %d times, or cookies", asked.Load())
	}
}

func TestClientTLS(t *testing.T) {
	ok := func(http.ResponseWriter, *http.Request) {}
	s := newSite(t, Config{}, nil, ok)
	res, _, err := get(s.client(t, 0), "https://example.com/")
	if err != nil || res.ProtoMajor != 2 || res.TLS.Version < tls.VersionTLS12 {
		t.Fatalf("%+v %v", res, err)
	}
	var name x509.HostnameError
	if _, _, err := get(s.client(t, 0), "https://other.example/"); !errors.As(err, &name) {
		t.Errorf("a certificate of another name: %v", err)
	}
	s.guard.c.RootCAs = x509.NewCertPool()
	var unknown x509.UnknownAuthorityError
	if _, _, err := get(s.client(t, 0), "https://example.com/"); !errors.As(err, &unknown) {
		t.Errorf("a certificate of nobody known: %v", err)
	}
	old := newSite(t, Config{}, func(s *httptest.Server) {
		s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	}, ok)
	if _, _, err := get(old.client(t, 0), "https://example.com/"); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}

// rul-32: 64 KiB, counted as they are read.
func TestClientBodies_rul32(t *testing.T) {
	packed := func(n int) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(make([]byte, n))
		z.Close()
		return b.Bytes()
	}
	for _, http2 := range []bool{true, false} {
		s := newSite(t, Config{}, func(s *httptest.Server) { s.EnableHTTP2 = http2 }, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/full":
				w.Write(make([]byte, MaxBody))
			case "/more":
				w.Write(make([]byte, MaxBody+1))
			case "/endless":
				for {
					if _, err := w.Write(make([]byte, 1<<15)); err != nil {
						return
					}
				}
			case "/bomb":
				w.Header().Set("Content-Encoding", "gzip")
				w.Write(packed(10 << 20))
			case "/zipped":
				w.Header().Set("Content-Encoding", "gzip")
				w.Write(packed(MaxBody))
			case "/header":
				w.Header().Set("X-Long", strings.Repeat("x", 2*maxHeader))
			case "/cut":
				w.Header().Set("Content-Length", "10")
				w.Write([]byte("half"))
			}
		})
		c := s.client(t, 0)
		for path, want := range map[string]error{"/none": nil, "/full": nil, "/zipped": nil, "/more": ErrTooLong, "/endless": ErrTooLong, "/bomb": ErrTooLong, "/cut": io.ErrUnexpectedEOF} {
			_, b, err := get(c, "https://example.com"+path)
			if !errors.Is(err, want) || len(b) > MaxBody || (path == "/full" || path == "/zipped") && len(b) != MaxBody {
				t.Errorf("HTTP/2 %v, %s: %d bytes, %v", http2, path, len(b), err)
			}
		}
		if _, _, err := get(c, "https://example.com/header"); err == nil {
			t.Errorf("HTTP/2 %v: a header of %d bytes was taken", http2, 2*maxHeader)
		}
	}
	// Small pieces count together, and the error stays.
	b := &bounded{ReadCloser: io.NopCloser(strings.NewReader(strings.Repeat("x", 20))), left: 10}
	p := make([]byte, 3)
	n := 0
	for range 20 {
		m, err := b.Read(p)
		if n += m; err != nil {
			if !errors.Is(err, ErrTooLong) {
				t.Error(err)
			}
			break
		}
	}
	if _, err := b.Read(p); n != 10 || !errors.Is(err, ErrTooLong) {
		t.Errorf("%d bytes, then %v", n, err)
	}
}

// rul-32: the limit is for the whole request, so that nothing trickles past it.
func TestClientSlow_rul32(t *testing.T) {
	s := newSite(t, Config{}, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	})
	for _, path := range []string{"/header", "/body"} {
		_, _, err := get(s.client(t, 50*time.Millisecond), "https://example.com"+path)
		if e := net.Error(nil); !errors.As(err, &e) || !e.Timeout() {
			t.Errorf("%s: %v", path, err)
		}
	}
	for given, want := range map[time.Duration]time.Duration{0: 10 * time.Second, -1: 10 * time.Second, time.Second: time.Second} {
		if got := s.guard.Client(given).Timeout; got != want {
			t.Errorf("%v: %v", given, got)
		}
	}
}
