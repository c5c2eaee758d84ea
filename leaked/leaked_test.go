package leaked

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func listOf(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func hexOf(p string) string { return fmt.Sprintf("%X", sha1.Sum([]byte(p))) }

func mustHave(t *testing.T, s Source, p string, want bool) {
	t.Helper()
	if got, err := s.Has(t.Context(), p); err != nil || got != want {
		t.Errorf("%q: %v, %v; want %v", p, got, err, want)
	}
}

// J1: words and hashes, with and without counts, from several files and line ends.
func TestBuild_J1(t *testing.T) {
	words := listOf(t, "words", "correct horse\r\n\nshort\n"+strings.Repeat("x", mostBytes+1)+"\n"+strings.Repeat("y", 200_000)+"\nzażółć gęślą jaźń")
	hashes := listOf(t, "hashes", hexOf("battery staple")+":12\n"+strings.ToLower(hexOf("Tr0ub4dor&3"))+"\n")
	out := filepath.Join(t.TempDir(), "list")
	b, err := Build(t.Context(), out, words, hashes)
	if err != nil || b.Entries != 4 || b.Skipped != 4 {
		t.Fatalf("%+v, %v", b, err)
	}
	l, err := Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, p := range []string{"correct horse", "zażółć gęślą jaźń", "battery staple", "Tr0ub4dor&3"} {
		mustHave(t, l, p, true)
	}
	for _, p := range []string{"Correct horse", "correct horse\r", "short", "", "something else"} {
		mustHave(t, l, p, false)
	}
	if info, err := os.Stat(out); err != nil || info.Size() != b.Bytes || l.Entries() != 4 {
		t.Errorf("%v, %v, %d entries", info, err, l.Entries())
	}
}

// The same entries give the same bytes, in any order and with any window.
func TestBuild_deterministic(t *testing.T) {
	var words []string
	for i := range 5000 {
		words = append(words, fmt.Sprintf("leaked password %d", i))
	}
	dir := t.TempDir()
	first := filepath.Join(dir, "first")
	if _, err := Build(t.Context(), first, listOf(t, "a", strings.Join(words, "\n"))); err != nil {
		t.Fatal(err)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
	second := filepath.Join(dir, "second")
	var lines []string
	for _, w := range words[2500:] {
		lines = append(lines, hexOf(w)+":1")
	}
	if _, err := build(t.Context(), 7*blockSize, second, []string{listOf(t, "b", strings.Join(words[:2500], "\n")), listOf(t, "c", strings.Join(lines, "\n"))}); err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(first)
	b, _ := os.ReadFile(second)
	if len(a) == 0 || !bytes.Equal(a, b) {
		t.Errorf("%d and %d bytes, which differ", len(a), len(b))
	}
	l, err := Open(second)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, w := range words {
		mustHave(t, l, w, true)
	}
	// About one in 500 of all others; the hash decides, so that it is the same each time.
	wrong := 0
	for i := range 20_000 {
		if yes, _ := l.Has(t.Context(), fmt.Sprintf("another password %d", i)); yes {
			wrong++
		}
	}
	if wrong > 60 {
		t.Errorf("%d of 20,000 others are taken for leaked ones", wrong)
	}
}

func TestBuild_badInput(t *testing.T) {
	good := hexOf("battery staple") + ":12\n"
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "no entry"},
		{"only short words", "short\nabc\n", "no entry"},
		{"a line cut short", good + hexOf("x")[:30] + "\n", "line 2 is no SHA-1"},
		{"a word among hashes", good + "password\n", "line 2 is no SHA-1"},
		{"a count that is none", good + hexOf("x") + ":many\n", "line 2 is no SHA-1"},
		{"an empty count", good + hexOf("x") + ":\n", "line 2 is no SHA-1"},
		{"a long line among hashes", good + hexOf("x") + ":" + strings.Repeat("1", 100_000) + "\n", "line 2 is no SHA-1"},
		{"NTLM", strings.Repeat("0A", 16) + ":3\n", "other hashes"},
		{"SHA-256", strings.Repeat("0A", 32) + "\n", "other hashes"},
	} {
		out := filepath.Join(t.TempDir(), "list")
		_, err := Build(t.Context(), out, listOf(t, "in", tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if left, _ := os.ReadDir(filepath.Dir(out)); len(left) > 0 {
			t.Errorf("%s: %v is left", tt.name, left)
		}
	}
	if _, err := Build(t.Context(), filepath.Join(t.TempDir(), "list"), filepath.Join(t.TempDir(), "none")); !os.IsNotExist(errors.Unwrap(err)) {
		t.Errorf("a list that is not there: %v", err)
	}
	if _, err := Build(t.Context(), filepath.Join(t.TempDir(), "list"), t.TempDir()); err == nil {
		t.Error("a folder is taken for a list")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, filepath.Join(t.TempDir(), "list"), listOf(t, "in", strings.Repeat("a long enough word\n", 5000))); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
}

// A file that is cut short, longer, altered, of another version, or none.
func TestOpen_refuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	if _, err := Build(t.Context(), path, listOf(t, "in", strings.Repeat("one long word\nand another one\n", 300))); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte {
		b := bytes.Clone(whole)
		b[at] ^= 1
		return b
	}
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "is no file that"},
		{"something else", []byte(strings.Repeat("password\n", 100)), "is no file that"},
		{"cut in the header", whole[:headerSize-1], "is no file that"},
		{"cut in the middle", whole[:len(whole)/2], "a part of it is missing"},
		{"cut by one byte", whole[:len(whole)-1], "a part of it is missing"},
		{"longer", append(bytes.Clone(whole), 0), "too much"},
		{"another version", flip(35), "version 0"},
		{"number of blocks", flip(47), "missing"},
		{"enormous number of blocks", flip(40), "damaged"},
		{"number of entries", flip(55), "checksum"},
		{"rest of the header", flip(60), "damaged"},
		{"a bit of the body", flip(headerSize + 10), "checksum"},
		{"a bit of the checksum", flip(len(whole) - 1), "checksum"},
	} {
		l, err := Open(listOf(t, "list", string(tt.file)))
		if l != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("missing: %v", err)
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a folder is taken for a list")
	}
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	// Cut while it is open: not known is an error, never a no.
	if err := os.Truncate(path, headerSize); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Has(t.Context(), "one long word"); err == nil {
		t.Error("a file that was cut short says no")
	}
	l.Close()
}

// Cut, emptied of its bits, or replaced by another list in its place while it is open:
// never a no. Renamed over or removed, it is still the one that was checked.
func TestList_changedWhileOpen(t *testing.T) {
	dir := t.TempDir()
	whole, other := filepath.Join(dir, "whole"), filepath.Join(dir, "other")
	for path, words := range map[string]string{whole: strings.Repeat("one long word\nand another one\n", 300), other: strings.Repeat("something else entirely\n", 3000)} {
		if _, err := Build(t.Context(), path, listOf(t, "in", words)); err != nil {
			t.Fatal(err)
		}
	}
	good, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	blank := append(bytes.Clone(good[:headerSize]), make([]byte, len(good)-headerSize)...)
	for name, c := range map[string]struct {
		change func(path string) error
		known  bool
	}{
		"untouched":    {func(string) error { return nil }, true},
		"cut":          {func(path string) error { return os.Truncate(path, int64(len(good))-1) }, false},
		"longer":       {func(path string) error { return os.Truncate(path, int64(len(good))+1) }, false},
		"no bits":      {func(path string) error { return os.WriteFile(path, blank, 0o600) }, false},
		"another list": {func(path string) error { return os.WriteFile(path, foreign, 0o600) }, false},
		"removed":      {os.Remove, true},
		"renamed over": {func(path string) error { return os.Rename(other, path) }, true},
	} {
		path := filepath.Join(dir, "list")
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
		// A change within one tick of the file system's clock would not show.
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		l, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.change(path); err != nil {
			t.Fatal(err)
		}
		if yes, err := l.Has(t.Context(), "one long word"); (err == nil) != c.known || yes != c.known {
			t.Errorf("%s: %v %v", name, yes, err)
		}
		l.Close()
		os.Remove(path)
	}
}

// What a service gets to see, and what comes of its answers.
func TestRange(t *testing.T) {
	password := "correct horse"
	digits := hexOf(password)
	other := hexOf("something else")[5:]
	for _, tt := range []struct {
		name, answer string
		status       int
		want         bool
		fails        bool
	}{
		{name: "there", answer: other + ":3\r\n" + digits[5:] + ":7\r\n", status: 200, want: true},
		{name: "not there", answer: other + ":3\r\n", status: 200},
		{name: "as padding", answer: other + ":3\r\n" + digits[5:] + ":0\r\n", status: 200},
		{name: "in small letters", answer: strings.ToLower(digits[5:]) + ":1", status: 200, want: true},
		{name: "empty", status: 200, fails: true},
		{name: "a page", answer: "<html>Sign in to the Wi-Fi</html>", status: 200, fails: true},
		{name: "a count that is none", answer: other + ":x", status: 200, fails: true},
		{name: "a short line", answer: other[1:] + ":1", status: 200, fails: true},
		{name: "busy", answer: other + ":3", status: 503, fails: true},
		{name: "not found", status: 404, fails: true},
		{name: "redirect", status: 302, fails: true},
		{name: "endless", answer: strings.Repeat(other+":3\n", MaxRange/30), status: 200, fails: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var seen *http.Request
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen = r.Clone(context.Background())
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.answer))
			}))
			defer s.Close()
			r, err := NewRange(s.URL+"/range/", s.Client())
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Has(t.Context(), password)
			if got != tt.want || (err != nil) != tt.fails {
				t.Fatalf("%v, %v", got, err)
			}
			if seen.URL.Path != "/range/"+digits[:5] || seen.Header.Get("Add-Padding") != "true" || seen.Method != http.MethodGet || seen.ContentLength > 0 {
				t.Errorf("asked %s %s %v", seen.Method, seen.URL, seen.Header)
			}
			if err != nil && (strings.Contains(err.Error(), digits[:5]) || strings.Contains(err.Error(), "horse")) {
				t.Errorf("the error tells of the password: %v", err)
			}
		})
	}
}

func TestRange_cannotBeAsked(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	r, err := NewRange(s.URL, http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Has(t.Context(), "correct horse"); err == nil || strings.Contains(err.Error(), hexOf("correct horse")[:5]) {
		t.Errorf("%v", err)
	}
	for _, base := range []string{"", "api.example.com", "ftp://example.com", "https://", "https://user@example.com", "https://example.com/?x=1", "https://example.com/#x", "https://example.com/?"} {
		if _, err := NewRange(base, http.DefaultClient); err == nil {
			t.Errorf("%q is taken", base)
		}
	}
}

type fixed struct {
	yes bool
	err error
}

func (f fixed) Has(context.Context, string) (bool, error) { return f.yes, f.err }

func TestAny(t *testing.T) {
	bad := errors.New("broken")
	for i, tt := range []struct {
		of   []Source
		want bool
		err  error
	}{
		{nil, false, nil},
		{[]Source{fixed{}, fixed{}}, false, nil},
		{[]Source{fixed{}, fixed{yes: true}}, true, nil},
		{[]Source{fixed{yes: true}, fixed{err: bad}}, true, nil},
		{[]Source{fixed{}, fixed{err: bad}}, false, bad},
		{[]Source{fixed{err: bad}, fixed{yes: true}}, false, bad},
	} {
		if got, err := Any(tt.of...).Has(t.Context(), "x"); got != tt.want || err != tt.err {
			t.Errorf("%d: %v, %v", i, got, err)
		}
	}
}

func FuzzReadList(f *testing.F) {
	f.Add([]byte(hexOf("x") + ":1\n" + hexOf("y")))
	f.Add([]byte("words and\r\nmore words\n\n"))
	f.Add([]byte("\n\x00\xff:\n:"))
	f.Fuzz(func(t *testing.T, list []byte) {
		n := uint64(0)
		skipped, err := readList(t.Context(), bytes.NewReader(list), func([sha1.Size]byte) { n++ })
		lines := uint64(bytes.Count(list, []byte("\n")))
		if len(list) > 0 && list[len(list)-1] != '\n' {
			lines++
		}
		if err == nil && n+skipped != lines {
			t.Errorf("%d entries and %d skipped of %d lines", n, skipped, lines)
		}
	})
}

func FuzzOpen(f *testing.F) {
	f.Add(header(1, 1))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, file []byte) {
		path := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(path)
		if err != nil {
			return
		}
		if _, err := l.Has(t.Context(), "x"); err != nil {
			t.Error(err)
		}
		l.Close()
	})
}
