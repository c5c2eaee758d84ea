package smtp

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/egress"
	"github.com/sallyport-mfa/sallyport/text"
)

// inward answers every name with addresses inside.
type inward []netip.Addr

func (i inward) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) { return i, nil }

// Ruling 32: a name that leads inside is refused at the first step, without a word
// about where it leads, and nobody is connected to.
func TestCompanies_names_rul32(t *testing.T) {
	l := listen(t)
	for _, to := range []string{"127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1", "100.64.0.1"} {
		g, err := egress.New(egress.Config{Resolver: inward{netip.MustParseAddr(to)}, Ports: []int{l.port()}})
		if err != nil {
			t.Fatal(err)
		}
		c := &Companies{Guard: g}
		m := authn.MailSettings{Host: "mail.example.com", Port: l.port(), TLS: "starttls", Username: "u", Password: password, From: "a@example.com"}
		steps, err := c.Try(t.Context(), m, authn.Message{ID: "m", To: "b@example.com"})
		if err != nil || len(steps) != 1 || steps[0].OK || steps[0].Reason != string(Forbidden) || steps[0].Reply != "" {
			t.Errorf("%s: %+v, %v", to, steps, err)
		}
		sender, err := c.Open(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := sender.Send(t.Context(), authn.Message{ID: "m", To: "b@example.com", Text: "x"}); !errors.Is(err, Forbidden) {
			t.Errorf("%s: %v", to, err)
		}
		sender.Close()
	}
	if n := l.count(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// Words of a server that has not shown who it is are not passed on.
func TestCompanies_wordsOfStrangers(t *testing.T) {
	ca := newCA(t)
	for what, do := range map[string]map[string]string{
		"greeting": {"connect": "554 internal-host-17 says no\r\n"}, "EHLO": {"EHLO": "550 internal-host-17\r\n"}, "STARTTLS": {"STARTTLS": "454 internal-host-17\r\n"},
	} {
		s := serveScript(t, ca.config(t, "127.0.0.1", time.Now().Add(time.Hour)), do)
		g, err := egress.New(egress.Config{AllowPrivate: true, Ports: []int{s.port()}})
		if err != nil {
			t.Fatal(err)
		}
		c := &Companies{Guard: g, RootCAs: ca.pool}
		steps, err := c.Try(t.Context(), authn.MailSettings{Host: "127.0.0.1", Port: s.port(), TLS: "starttls", From: "a@example.com"}, authn.Message{})
		if err != nil || len(steps) == 0 || steps[len(steps)-1].OK {
			t.Errorf("%s: %+v, %v", what, steps, err)
		}
		for _, step := range steps {
			if step.Reply != "" {
				t.Errorf("%s: %q is passed on", what, step.Reply)
			}
		}
	}
}

// Nothing is sent unencrypted for a company, and all that is wrong is said at once.
func TestCompanies_check(t *testing.T) {
	c, err := ForCompanies(false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Open(authn.MailSettings{Host: "10.0.0.1", Port: 110, TLS: "none", From: "x"})
	var e *authn.Error
	if !errors.As(err, &e) || len(e.Fields) != 3 {
		t.Fatalf("%+v", e)
	}
	for i, want := range []string{"tls not_one_of", "port mail_port", "from mail_from"} {
		if got := e.Fields[i].Name + " " + e.Fields[i].Code; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Every reason has a sentence, and what to do, in every language.
func TestReasonsHaveTexts(t *testing.T) {
	f, err := parser.ParseFile(gotoken.NewFileSet(), "failure.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	texts, n := text.Default(), 0
	ast.Inspect(f, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); !ok || id.Name != "Reason" {
			return true
		}
		word, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		n++
		fine := word == string(NotEncrypted) || word == string(NotNeeded)
		for _, lang := range texts.Languages() {
			for _, key := range []string{"admin.provider.reason." + word, "admin.provider.todo." + word} {
				s := texts.Text(lang, key, nil)
				if !texts.Has(key) && !(fine && key == "admin.provider.todo."+word) || lang != text.English && texts.Has(key) && s == texts.Text(text.English, key, nil) {
					t.Errorf("%s: no text for %s", lang, key)
				}
			}
		}
		return true
	})
	if n < 25 {
		t.Errorf("only %d reasons were found", n)
	}
}
