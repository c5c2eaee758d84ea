package otp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/iotest"
)

// hello is the secret of Google's description of the URI format.
var hello = Secret("Hello!\xDE\xAD\xBE\xEF")

func TestNewSecret(t *testing.T) { // std-65: 160 bits
	a, err := NewSecret(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewSecret(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(a) != 20 || len(a.Base32()) != 32 || a.Weak() {
		t.Errorf("a secret has %d bytes, %d letters", len(a), len(a.Base32()))
	}
	if bytes.Equal(a, b) {
		t.Error("two secrets are equal")
	}
}

func TestNewSecretReadsAllOrFails(t *testing.T) {
	got, err := NewSecret(iotest.OneByteReader(strings.NewReader("12345678901234567890rest")))
	if err != nil || string(got) != "12345678901234567890" {
		t.Errorf("%s, %v", []byte(got), err)
	}
	if s, err := NewSecret(strings.NewReader("too short")); !errors.Is(err, io.ErrUnexpectedEOF) || s != nil {
		t.Errorf("a short read made a secret of %d bytes: %v", len(s), err)
	}
	broken := errors.New("no entropy")
	if _, err := NewSecret(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestSecretText(t *testing.T) { // A1
	if got := hello.Base32(); got != "JBSWY3DPEHPK3PXP" {
		t.Error(got)
	}
	if got := hello.Grouped(); got != "JBSW Y3DP EHPK 3PXP" {
		t.Error(got)
	}
	odd := Secret("12345678901") // 18 letters: the last group is short, and no space follows
	if got := odd.Grouped(); got != "GEZD GNBV GY3T QOJQ GE" {
		t.Error(got)
	}
}

func TestDecodeSecretForgives(t *testing.T) {
	for _, text := range []string{
		"JBSWY3DPEHPK3PXP",
		"jbswy3dpehpk3pxp",
		"JBSW Y3DP EHPK 3PXP",
		"jbsw-y3dp-ehpk-3pxp",
		"  JBSW\u00a0Y3DP\u2009EHPK\u30003PXP\r\n",
		"JBSW\u2013Y3DP\u2014EHPK\u22123PXP",
		"\ufeffJBSWY3DPEHPK3PXP\u200b",
	} {
		got, err := DecodeSecret(text)
		if err != nil || !bytes.Equal(got, hello) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, n := range []int{10, 11, 12, 13, 14, 15, 16, 20, 32, 64, 128} { // all paddings
		want := Secret(bytes.Repeat([]byte{0xA5}, n))
		padded := want.Base32() + strings.Repeat("=", (8-len(want.Base32())%8)%8)
		for _, text := range []string{want.Base32(), want.Grouped(), strings.ToLower(padded), padded} {
			if got, err := DecodeSecret(text); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
	}
	left, err := DecodeSecret("GEZDGNBVGY3TQOJQGF") // two left-over bits are set
	if err != nil || string(left) != "12345678901" {
		t.Error(left.Base32(), err)
	}
}

func TestDecodeSecretRefuses(t *testing.T) {
	for _, c := range []struct {
		text string
		want error
	}{
		{"", ErrSecretEmpty},
		{" - ", ErrSecretEmpty},
		{"========", ErrSecretCut},
		{"JBSWY3DP", ErrSecretShort},                     // 40 bits
		{"JBSWY3DPEHPK3PX", ErrSecretShort},              // 75 bits
		{"JBSWY3DPEHPK3PXPJ", ErrSecretCut},              // 17 letters: none has that
		{"JBSWY3DPEHPK3PXPJBS", ErrSecretCut},            // 19
		{"JBSWY3DPEHPK3PXPJBSWY3", ErrSecretCut},         // 22
		{"JBSWY3DPEHPK3PXP=", ErrSecretCut},              // padding that is not needed
		{"JBSWY3DPEHPK3PXPJB=====", ErrSecretCut},        // one = short
		{"JBSWY3DPEHPK3PXP========", ErrSecretCut},       // a whole block of it
		{"JBSWY3DPEHPK3PXPJB======AA", ErrSecretLetters}, // letters behind it
		{"JBSWY3DPEHPK3PX0", ErrSecretLetters},           // 0 and 1 are not guessed
		{"JBSWY3DPEHPK3PX1", ErrSecretLetters},
		{"JBSWY3DPEHPK3PX8", ErrSecretLetters},
		{"JBSWY3DPEHPK3PX_", ErrSecretLetters},
		{"JBSWY3DPEHPK3PXÄ", ErrSecretLetters},
		{"ＪBSWY3DPEHPK3PXP", ErrSecretLetters},
		{"JBSWY3DPEHPK3PX\xff", ErrSecretLetters},
		{"JBSWY3DPEHPK3PX\x00", ErrSecretLetters},
		{strings.Repeat("A", 208), ErrSecretLong}, // 130 bytes
		{strings.Repeat(" ", 1025), ErrSecretLong},
		{strings.Repeat("A", 1<<20), ErrSecretLong},
	} {
		got, err := DecodeSecret(c.text)
		if err != c.want || got != nil { // exactly the sentinel: nothing of the input can be in it
			t.Errorf("%.30q: %v, want %v", c.text, err, c.want)
		}
	}
}

func TestSecretWeak(t *testing.T) { // std-23, std-65
	for n, want := range map[int]bool{10: true, 13: true, 15: true, 16: false, 20: false} {
		if got := make(Secret, n).Weak(); got != want {
			t.Errorf("%d bytes: weak %v", n, got)
		}
	}
}

func TestSecretDoesNotLeak(t *testing.T) { // std-25
	s := Secret("canary-canary-canary")
	k := Key{Secret: s}
	u := URI{Issuer: "Acme", Account: "maya", Key: k}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("x", "secret", s, "key", k, "uri", u, "pointer", &u)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "% x", "%08d", "%z"} {
		for _, v := range []any{s, &s, k, &k, u, &u, []any{s}, map[string]Secret{"s": s}} {
			log.WriteString(fmt.Sprintf(verb, v) + "\n")
		}
	}
	for _, v := range []any{s, k, u} {
		if out, err := json.Marshal(v); err == nil {
			t.Errorf("%T was marshalled: %s", v, out)
		}
	}
	text := log.String()
	for _, leak := range []string{"canary", s.Base32(), fmt.Sprintf("%x", []byte(s)), fmt.Sprintf("%X", []byte(s)), "99 97 110", "Y2FuYXJ5"} {
		if strings.Contains(text, leak) {
			t.Errorf("the secret shows as %q in:\n%s", leak, text)
		}
	}
	if fmt.Sprint(s) != "[secret]" {
		t.Error(fmt.Sprint(s))
	}
}
