package smtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

func chain(steps []Step) string {
	var s []string
	for _, step := range steps {
		s = append(s, fmt.Sprintf("%s %t %s", step.Stage, step.OK, step.Detail))
	}
	return strings.ReplaceAll(strings.Join(s, " | "), " |", "|")
}

// S32: connected, encrypted, signed in, accepted.
func TestProbe_S32(t *testing.T) {
	ca := newCA(t)
	config := ca.config(t, "127.0.0.1", time.Now().Add(time.Hour))
	full := func(c *Config) { c.TLS, c.Username, c.Password, c.RootCAs = StartTLS, userName, password, ca.pool }
	wrong := func(c *Config) { full(c); c.Password = "wrong" }
	plain := func(*Config) {}
	nobody := letter("test")
	nobody.To = "nobody@example.org"
	bad := letter("test")
	bad.To = "not an address"
	for name, test := range map[string]struct {
		change func(*Config)
		letter authn.Message
		want   string
		sent   int
	}{
		"no letter":      {full, authn.Message{}, "connect true | encrypt true | sign_in true ", 0},
		"letter":         {full, letter("test"), "connect true | encrypt true | sign_in true | accept true | content true ", 1},
		"credentials":    {wrong, letter("test"), "connect true | encrypt true | sign_in false bad_credentials", 0},
		"recipient":      {full, nobody, "connect true | encrypt true | sign_in true | accept false recipient_refused", 0},
		"address":        {full, bad, "connect true | encrypt true | sign_in true | accept false address_invalid", 0},
		"in plain text":  {plain, authn.Message{}, "connect true | encrypt true not_encrypted| sign_in true not_needed", 0},
		"not signing in": {func(c *Config) { full(c); c.Auth = AuthNone }, letter("test"), "connect true | encrypt true | sign_in true not_needed| accept false sender_refused", 0},
	} {
		t.Run(name, func(t *testing.T) {
			box := serveMailbox(t, config, false, "PLAIN")
			s := sender(t, box.port(), test.change)
			steps := s.Probe(t.Context(), test.letter)
			if got := chain(steps); strings.TrimSpace(got) != strings.TrimSpace(test.want) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if n := len(box.letters()); n != test.sent {
				t.Errorf("%d letters", n)
			}
			for _, step := range steps {
				if step.Took <= 0 && step.Stage != "accept" && step.Stage != "sign_in" && step.Detail != NotEncrypted {
					t.Errorf("%s took %s", step.Stage, step.Took)
				}
			}
			if last := steps[len(steps)-1]; name == "recipient" && last.Reply != "550 5.1.1 No such person" {
				t.Errorf("reply %q", last.Reply)
			}
		})
	}
}

// A test connection is a new one, and is not kept.
func TestProbeIsFresh(t *testing.T) {
	box := serveMailbox(t, nil, false)
	s := sender(t, box.port(), nil)
	if err := s.Send(t.Context(), letter("a")); err != nil {
		t.Fatal(err)
	}
	s.Probe(t.Context(), letter("b"))
	if err := s.Send(t.Context(), letter("c")); err != nil {
		t.Fatal(err)
	}
	if n := box.count(); n != 2 || len(box.letters()) != 3 {
		t.Errorf("%d letters over %d connections", len(box.letters()), n)
	}
}

// A stalled test ends within the time limit, and says where.
func TestProbeStalls(t *testing.T) {
	for _, at := range []string{"connect", "AUTH", "MAIL", "DATA"} {
		srv := serveScript(t, nil, map[string]string{at: "stall"})
		s := sender(t, srv.port(), func(c *Config) { c.Timeout, c.Username, c.Password = 300*time.Millisecond, userName, password })
		began := time.Now()
		steps := s.Probe(t.Context(), letter("a"))
		last := steps[len(steps)-1]
		if want := map[string]string{"connect": "connect", "AUTH": "sign_in", "MAIL": "accept", "DATA": "content"}[at]; last.Stage != want || last.Detail != Timeout || last.OK {
			t.Errorf("%s: %s", at, chain(steps))
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s: took %s", at, took)
		}
	}
}

// zone is a resolver with a few records.
type zone map[string][]string

func (z zone) LookupTXT(ctx context.Context, name string) ([]string, error) {
	list, ok := z[name]
	switch {
	case !ok:
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	case list == nil:
		return nil, errors.New("server misbehaving")
	case list[0] == "stall":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return list, nil
}

func TestHints_S32(t *testing.T) {
	const spf, dmarc, key = "v=spf1 include:_spf.example.net -all", "v=DMARC1; p=none", "v=DKIM1; k=rsa; p=MIGf"
	for name, test := range map[string]struct {
		zone             zone
		domain, selector string
		want             Records
	}{
		"all":               {zone{"example.com.": {"other=1", spf}, "_dmarc.example.com.": {dmarc}, "s1._domainkey.example.com.": {key}}, "example.com", "s1", Records{Found, Found, Found}},
		"none":              {zone{}, "example.com", "s1", Records{Missing, Missing, Missing}},
		"selector unknown":  {zone{"example.com.": {spf}}, "example.com.", "", Records{Found, Unsure, Missing}},
		"selector injected": {zone{"example.com.": {spf}}, "example.com", "a b", Records{Found, Unsure, Missing}},
		"key revoked":       {zone{"s1._domainkey.example.com.": {"v=DKIM1; p="}}, "example.com", "s1", Records{Missing, Missing, Missing}},
		"two of each":       {zone{"example.com.": {spf, "V=SPF1 ~all"}, "_dmarc.example.com.": {dmarc, dmarc}}, "example.com", "", Records{Several, Unsure, Several}},
		"looks alike":       {zone{"example.com.": {"v=spf10 -all", "v=spf"}, "_dmarc.example.com.": {"v=DMARC12"}}, "example.com", "", Records{Missing, Unsure, Missing}},
		"of the parent":     {zone{"_dmarc.example.com.": {dmarc}}, "mail.eu.example.com", "", Records{Missing, Unsure, Found}},
		"not of the TLD":    {zone{"_dmarc.com.": {dmarc}}, "mail.example.com", "", Records{Missing, Unsure, Missing}},
		"look-up fails":     {zone{"example.com.": nil, "_dmarc.example.com.": nil}, "example.com", "s1", Records{Unsure, Missing, Unsure}},
		"no domain":         {zone{}, "192.0.2.1", "s1", Records{Unsure, Unsure, Unsure}},
		"hostile domain":    {zone{}, "exa mple.com\n", "s1", Records{Unsure, Unsure, Unsure}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Hints(t.Context(), test.zone, test.domain, test.selector); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if got := Hints(ctx, zone{"example.com.": {"stall"}}, "example.com", ""); got.SPF != Unsure || time.Since(began) > hintTime {
		t.Errorf("got %+v after %s", got, time.Since(began))
	}
}
