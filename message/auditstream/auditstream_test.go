package auditstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/egress"
	"github.com/sallyport-mfa/sallyport/message/auditstream"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

func batch(docs ...string) authn.StreamBatch {
	b := authn.StreamBatch{Company: "cmp_1", First: 1, Last: int64(len(docs))}
	for _, d := range docs {
		b.Lines = append(b.Lines, authn.StreamLine{Type: "factor.refused", At: time.Date(2026, 11, 21, 9, 14, 10, 5000, time.UTC), Result: authn.Refused, JSON: []byte(d)})
	}
	return b
}

func want(t *testing.T, err error, stage, reason string) {
	t.Helper()
	var e *authn.SendError
	if !errors.As(err, &e) || e.Stage != stage || e.Reason != reason {
		t.Errorf("%+v, want %s %s", err, stage, reason)
	}
}

// RFC 5424 and RFC 5425: the frame, the header, ASCII, and that nothing of a
// message begins another.
func TestSyslogMessages_K1(t *testing.T) {
	r := sallyporttest.NewSyslog(t)
	s := &auditstream.Syslog{Dial: (&net.Dialer{}).DialContext, Name: "login.example.com\n<1>1 evil"}
	to := authn.StreamSettings{Host: r.Host, Port: r.Port, CA: r.CA}
	if err := s.Send(t.Context(), to, batch(`{"a":"żółw 🙂\n<1>1 "}`, `{"b":1}`)); err != nil {
		t.Fatal(err)
	}
	got := r.Messages(t)
	first := `<108>1 2026-11-21T09:14:10.000005Z login.example.com<1>1evil sallyport - factor.refused - {"a":"\u017c\u00f3\u0142w \ud83d\ude42\n<1>1 "}`
	if len(got) != 2 || got[0] != first || !strings.HasSuffix(got[1], ` {"b":1}`) {
		t.Errorf("%q", got)
	}
	var v map[string]string
	if json.Unmarshal([]byte(got[0][strings.Index(got[0], "{"):]), &v) != nil || v["a"] != "żółw 🙂\n<1>1 " {
		t.Errorf("%q", v)
	}
}

func TestSyslogFailures_rul32(t *testing.T) {
	r := sallyporttest.NewSyslog(t)
	open := &auditstream.Syslog{Dial: (&net.Dialer{}).DialContext}
	to := authn.StreamSettings{Host: r.Host, Port: r.Port, CA: r.CA}
	// A certificate that nobody known issued, or of another host.
	want(t, open.Send(t.Context(), authn.StreamSettings{Host: r.Host, Port: r.Port}, batch(`{}`)), "encrypt", "certificate")
	other := &auditstream.Syslog{Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(r.Host, "0"+itoa(r.Port)))
	}}
	want(t, other.Send(t.Context(), authn.StreamSettings{Host: "siem.acme.test", Port: 6514, CA: r.CA}, batch(`{}`)), "encrypt", "certificate")
	// An address that only the operator could allow.
	g, err := egress.New(egress.Config{Ports: []int{r.Port}})
	if err != nil {
		t.Fatal(err)
	}
	want(t, (&auditstream.Syslog{Dial: g.DialContext}).Send(t.Context(), to, batch(`{}`)), "connect", "forbidden_address")
	// A receiver that resets within a batch has not taken it.
	r.Cut(1)
	many := batch(strings.Split(strings.Repeat(`{"a":"`+strings.Repeat("x", 4000)+`"};`, 2000), ";")[:2000]...)
	want(t, open.Send(t.Context(), to, many), "accept", "unreachable")
	r.Cut(0)
	r.Down()
	want(t, open.Send(t.Context(), to, batch(`{}`)), "connect", "unreachable")
	// One that speaks no TLS, and one that says nothing.
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	want(t, open.Send(t.Context(), authn.StreamSettings{Host: "127.0.0.1", Port: plain.Listener.Addr().(*net.TCPAddr).Port}, batch(`{}`)), "encrypt", "unreachable")
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	want(t, open.Send(ctx, authn.StreamSettings{Host: "127.0.0.1", Port: silent.Addr().(*net.TCPAddr).Port}, batch(`{}`)), "encrypt", "timeout")
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

// inv: no secret and no word of the other side is in an error.
func TestWebhookFailures_rul32(t *testing.T) {
	secret := "eh-canary-9vT2mQ7xLr"
	status := http.StatusOK
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "https://internal-host-17/")
		w.WriteHeader(status)
		w.Write([]byte("internal-host-17"))
	}))
	defer server.Close()
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	hook := &auditstream.Webhook{Client: client}
	to := authn.StreamSettings{URL: server.URL + "/x?key=canary", Secret: secret}
	if err := hook.Send(t.Context(), to, batch(`{}`)); err != nil {
		t.Fatal(err)
	}
	for s, reason := range map[int]string{302: "redirect", 401: "credentials", 403: "credentials", 429: "throttled", 500: "down", 418: "other"} {
		status = s
		err := hook.Send(t.Context(), to, batch(`{}`))
		want(t, err, "accept", reason)
		if strings.Contains(err.Error(), "internal-host") || strings.Contains(err.Error(), "canary") {
			t.Error(err)
		}
	}
	g, err := egress.New(egress.Config{Ports: egress.WebPorts})
	if err != nil {
		t.Fatal(err)
	}
	guarded := &auditstream.Webhook{Client: g.Client(0), Allowed: g.CheckURL}
	err = guarded.Send(t.Context(), authn.StreamSettings{URL: "https://127.0.0.1/x?key=canary", Secret: secret}, batch(`{}`))
	want(t, err, "connect", "forbidden_address")
	if strings.Contains(err.Error(), "canary") {
		t.Error(err)
	}
	want(t, (&auditstream.Webhook{Client: &http.Client{}}).Send(t.Context(), to, batch(`{}`)), "encrypt", "certificate")
	server.Close()
	want(t, hook.Send(t.Context(), to, batch(`{}`)), "connect", "unreachable")
}

func TestCheck(t *testing.T) {
	g, err := egress.New(egress.Config{Ports: []int{443, 6514}})
	if err != nil {
		t.Fatal(err)
	}
	sys, hook := &auditstream.Syslog{Allowed: g.Check}, &auditstream.Webhook{Allowed: g.CheckURL}
	secret := strings.Repeat("s", 16)
	for _, c := range []struct {
		s    authn.StreamSender
		to   authn.StreamSettings
		want string
	}{
		{sys, authn.StreamSettings{Host: "siem.acme.example", Port: 6514}, ""},
		{sys, authn.StreamSettings{Port: 6514}, "host required"},
		{sys, authn.StreamSettings{Host: "a b", Port: 6514}, "host invalid"},
		{sys, authn.StreamSettings{Host: "10.0.0.1", Port: 6514}, "host not_allowed"},
		{sys, authn.StreamSettings{Host: "siem.acme.example", Port: 25}, "host not_allowed"},
		{sys, authn.StreamSettings{Host: "siem.acme.example", Port: 6514, CA: "x"}, "ca invalid"},
		{hook, authn.StreamSettings{URL: "https://siem.acme.example/x", Secret: secret}, ""},
		{hook, authn.StreamSettings{Secret: secret}, "url required"},
		{hook, authn.StreamSettings{URL: "http://siem.acme.example/x", Secret: secret}, "url invalid"},
		{hook, authn.StreamSettings{URL: "https://169.254.169.254/x", Secret: secret}, "url not_allowed"},
		{hook, authn.StreamSettings{URL: "https://siem.acme.example/x"}, "secret required"},
		{hook, authn.StreamSettings{URL: "https://siem.acme.example/x", Secret: "short"}, "secret invalid"},
		{hook, authn.StreamSettings{URL: "https://siem.acme.example/x", Secret: secret + "\n"}, "secret invalid"},
	} {
		got := ""
		for _, f := range c.s.Check(c.to) {
			got += f.Name + " " + f.Code
		}
		if got != c.want {
			t.Errorf("%+v: %q, want %q", c.to, got, c.want)
		}
	}
	if fields := sys.Check(authn.StreamSettings{Host: "siem.acme.example", Port: 0}); len(fields) == 0 {
		t.Error("no port passes")
	}
}
