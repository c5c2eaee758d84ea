package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// asking bounds the question to the public address.
const asking = 5 * time.Second

// asker opens the public address as a browser on this machine would: no proxy
// of the environment, no redirects followed.
func asker() *http.Client {
	return &http.Client{
		Timeout:       asking,
		Transport:     &http.Transport{DisableKeepAlives: true, TLSHandshakeTimeout: asking, ResponseHeaderTimeout: asking},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func checkPublicURL(ctx context.Context, s *patient) []finding {
	u := s.config.PublicURL
	resolve, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	if _, err := net.DefaultResolver.LookupNetIP(resolve, "ip", u.Hostname()); err != nil {
		return []finding{fail("make a DNS record for it, or correct public_url", "the name %s leads nowhere", u.Hostname())}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath("healthz").String(), nil)
	if err != nil {
		return []finding{fail("", "%v", err)}
	}
	res, err := asker().Do(r)
	if err != nil {
		return []finding{unreachable(u.String(), err)}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64))
	if err != nil {
		return []finding{fail("", "%s breaks off: %v", u, err)}
	}
	if f, bad := wrongAnswer(u.String(), res, string(body)); bad {
		return []finding{f}
	}
	list := []finding{ok("%s answers under its name", u)}
	if res.TLS != nil && len(res.TLS.PeerCertificates) > 0 {
		if f := certificateAge(res.TLS.PeerCertificates[0], u.Hostname(), s.now()); f.Result != checkOK || s.config.Certificate == "" {
			list = append(list, f)
		}
	}
	if date, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		if off := s.now().Sub(date); off.Abs() > clockWarns {
			list = append(list, warn("look at the clocks of both", "what answers there has a clock that is %s away from this machine's", spell(off)))
		}
	}
	return list
}

// unreachable tells apart why nothing answered. A name that this machine cannot
// reach may be fine for everybody else.
func unreachable(url string, err error) finding {
	var bad *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &bad):
		return fail("use a certificate from an authority that browsers know, with the whole chain", "browsers refuse the certificate of %s: %v", url, bad.Err)
	case errors.As(err, &plain), errors.Is(err, http.ErrSchemeMismatch):
		return fail("set tls in the configuration, or let a proxy end TLS there", "%s does not speak TLS", url)
	case errors.Is(err, syscall.ECONNREFUSED):
		return warn("start `sallyport serve`, and what is in front of it", "nothing listens at %s; is the server not running?", url)
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		return warn("try it from another machine: many networks do not lead back to their own public address", "%s does not answer this machine within %s", url, spell(asking))
	}
	return warn("try it from another machine", "%s cannot be reached from this machine", url)
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// wrongAnswer is an answer that is not our healthz.
func wrongAnswer(url string, res *http.Response, body string) (finding, bool) {
	const pass = "the proxy must pass requests on as they are, with their Host header"
	switch {
	case res.StatusCode == http.StatusMisdirectedRequest:
		return fail(pass, "the server behind %s got another Host than that", url), true
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return fail("make public_url the address where it ends, or take the redirect away", "%s leads on to %s", url, clip(res.Header.Get("Location"))), true
	case res.StatusCode >= 502 && res.StatusCode <= 504:
		return warn("start `sallyport serve`", "%s answers %s: the proxy runs, and the server behind it does not", url, res.Status), true
	case res.StatusCode != http.StatusOK || strings.TrimSpace(body) != "ok":
		return fail("correct public_url, or what is in front of the server", "something else answers at %s/healthz (%s)", url, res.Status), true
	}
	return finding{}, false
}

// clip bounds what an answer from outside puts on the terminal.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r > 0x7e {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 200)]
}
