package authn_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

func TestIDs(t *testing.T) {
	at := time.UnixMilli(1_763_716_450_123)
	var ids []string
	for i := range 200 {
		id := authn.NewID(authn.UserID, at.Add(time.Duration(i)*time.Millisecond), rand.Reader)
		if !authn.CheckID(authn.UserID, id) || authn.CheckID(authn.FactorID, id) || !strings.HasPrefix(id, "usr_") {
			t.Fatalf("%s", id)
		}
		ids = append(ids, id)
	}
	if !slices.IsSorted(ids) {
		t.Error("ids do not sort by time")
	}
	good := ids[0]
	for _, bad := range []string{"", "usr_", good + "0", good[:len(good)-1], strings.ToUpper(good), "usr " + good[4:], good[:len(good)-1] + "v", "usr_" + strings.Repeat("z", 26), "cmp_" + good[4:] + "\n"} {
		if authn.CheckID(authn.UserID, bad) {
			t.Errorf("%q passes", bad)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("went on without randomness")
		}
	}()
	authn.NewID(authn.UserID, at, strings.NewReader(""))
}

func TestTokens_rul46(t *testing.T) {
	now := time.Now()
	c, s := authn.NewID(authn.CompanyID, now, rand.Reader), authn.NewID(authn.SessionID, now, rand.Reader)
	tok := authn.NewToken(authn.SessionToken, c, s, rand.Reader)
	text := tok.Reveal()
	if !strings.HasPrefix(text, "sp_ses_") {
		t.Fatal(text)
	}
	back, ok := authn.ParseToken(authn.SessionToken, text)
	if !ok || back.Company != c || back.ID != s || !bytes.Equal(back.Secret, tok.Secret) || back.IsZero() {
		t.Fatalf("%v", back)
	}
	// cve-31, cve-56: a token of one kind is none of another.
	if _, ok := authn.ParseToken(authn.AttemptToken, text); ok {
		t.Error("read as another kind")
	}
	if _, ok := authn.ParseToken(authn.AttemptToken, "sp_att_"+text[7:]); !ok {
		t.Error("the form is right; that the row is none is the store's to say")
	}
	// inv-H: nothing that prints it shows the secret.
	for _, shown := range []string{tok.String(), fmt.Sprint(tok), fmt.Sprintf("%v %+v %#v %s", tok, tok, tok, tok)} {
		if strings.Contains(shown, text[60:]) {
			t.Errorf("%s", shown)
		}
	}
	if (authn.Token{}).Reveal() != "" || !(authn.Token{}).IsZero() {
		t.Error("a zero token is something")
	}
}

func FuzzParseToken(f *testing.F) {
	now := time.Now()
	f.Add(authn.NewToken(authn.SessionToken, authn.NewID(authn.CompanyID, now, rand.Reader), authn.NewID(authn.SessionID, now, rand.Reader), rand.Reader).Reveal())
	f.Add("sp_ses_")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if tok, ok := authn.ParseToken(authn.SessionToken, s); ok && tok.Reveal() != s {
			t.Errorf("%q has a second spelling %q", s, tok.Reveal())
		}
	})
}

func TestCanonicalLogin_rul42_cve16(t *testing.T) {
	same := []string{"Mayá@Acme.Example", " mayá@acme.example\t", "MAYA\u0301@ACME.EXAMPLE", "ｍａｙá@acme.example"}
	want, ok := authn.CanonicalLogin(same[0])
	if !ok {
		t.Fatal("refused")
	}
	for _, s := range same {
		if got, ok := authn.CanonicalLogin(s); !ok || got != want {
			t.Errorf("%q: %q", s, got)
		}
	}
	if a, _ := authn.CanonicalLogin("Straße"); a != "strasse" {
		t.Errorf("%q", a)
	}
	for _, bad := range []string{"", "  ", "\xff", "a\x00b", "a\u200bb", "a\u202eb", "a\nb", strings.Repeat("x", 255), strings.Repeat("x", 1<<20)} {
		if got, ok := authn.CanonicalLogin(bad); ok {
			t.Errorf("%.20q gives %.20q", bad, got)
		}
	}
}

func FuzzCanonicalLogin(f *testing.F) {
	for _, s := range []string{"maya", "ΣΊΣΥΦΟΣ", "ﬀ", "İ", "\u1e9e", "ǅ", "\u0345\u03b1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := authn.CanonicalLogin(s)
		if !ok {
			return
		}
		if again, ok := authn.CanonicalLogin(got); !ok || again != got {
			t.Errorf("%q: %q, then %q %t: two counters for one name", s, got, again, ok)
		}
	})
}

func TestCleanName_cve65(t *testing.T) {
	if got, err := authn.CleanName("name", " Zoë \t van  Dyk ", 20); err != nil || got != "Zoë van Dyk" {
		t.Errorf("%q %v", got, err)
	}
	for in, want := range map[string]string{
		"": "required", " \n ": "required", "\xff": "invalid", "a\x00": "invalid", "a\u202e": "invalid", "a\u2066b": "invalid",
		strings.Repeat("ä", 21): "too_long", strings.Repeat("a", 1<<20): "too_long",
	} {
		_, err := authn.CleanName("name", in, 20)
		if e := authn.AsError(err); e.Code != authn.Invalid || e.Fields[0].Name != "name" || e.Fields[0].Code != want {
			t.Errorf("%.10q: %+v", in, e)
		}
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("secret cause")
	e := &authn.Error{Code: authn.NotFound, Err: cause}
	wrapped := fmt.Errorf("store: %w", e)
	if !errors.Is(wrapped, authn.NotFound) || !errors.Is(wrapped, cause) || errors.Is(wrapped, authn.Conflict) {
		t.Error("errors.Is does not find code and cause")
	}
	if got := authn.AsError(wrapped); got != e {
		t.Errorf("%+v", got)
	}
	if got := authn.AsError(fmt.Errorf("x: %w", authn.Expired)); got.Code != authn.Expired {
		t.Errorf("%+v", got)
	}
	if got := authn.AsError(io.EOF); got.Code != authn.Internal || got.TextKey() != "error.internal" {
		t.Errorf("%+v", got)
	}
	if k := (&authn.Error{Code: authn.Conflict, Key: "error.replaces"}).TextKey(); k != "error.replaces" {
		t.Error(k)
	}
	if k := (authn.Field{Code: "too_short"}).TextKey(); k != "field.too_short" {
		t.Error(k)
	}
}

// A change without its event does not compile: these are all the ways to make a
// Verdict. Drop and Continue carry none, and say so.
func TestVerdicts(t *testing.T) {
	ev := authn.Event{Type: "a.b"}
	v := authn.Accept(ev, authn.KnowBrowser{}).And(authn.Event{Type: "c.d"})
	if v.Refusal() != nil || len(v.Writes()) != 1 || len(v.Events()) != 2 || v.Events()[0].Type != "a.b" {
		t.Errorf("%+v", v)
	}
	if v := authn.Refuse(authn.WrongCode, ev); !errors.Is(v.Refusal(), authn.WrongCode) || len(v.Events()) != 1 {
		t.Errorf("%+v", v)
	}
	if v := authn.Drop(authn.NotFound); len(v.Events()) != 0 || v.Refusal() == nil {
		t.Errorf("%+v", v)
	}
	if v := authn.Continue(authn.EndAttempts{}); len(v.Events()) != 0 || v.Refusal() != nil || len(v.Writes()) != 1 {
		t.Errorf("%+v", v)
	}
}

func TestRows(t *testing.T) {
	r := &authn.Rows{Factors: []authn.Factor{{ID: "1", Kind: authn.Password, State: authn.Confirmed}, {ID: "2", Kind: authn.TOTP, State: authn.Pending}}}
	if r.Factor("2") != &r.Factors[1] || r.Factor("3") != nil {
		t.Error("Factor")
	}
	if r.FactorOf(authn.TOTP, authn.Pending) != &r.Factors[1] || r.FactorOf(authn.TOTP, authn.Confirmed) != nil {
		t.Error("FactorOf")
	}
}

// Proofs without a factor are no way of anybody's own: they are asked for none, and no
// list of people counts them.
func TestOwnKinds(t *testing.T) {
	for kind, want := range map[authn.Kind]bool{
		authn.TOTP: true, authn.Email: true, authn.SMS: true, authn.Duo: true, authn.WebAuthn: true,
		authn.Password: false, authn.BackupCode: false, authn.BypassCode: false, authn.Invitation: false, authn.Trusted: false, authn.Asserted: false,
	} {
		if kind.Own() != want {
			t.Errorf("%s: %v", kind, !want)
		}
	}
}
