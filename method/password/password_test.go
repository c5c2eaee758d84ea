package password

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

const good = "a battery of quiet horses"

var cheap = Params{MemoryKiB: 64, Time: 1, Threads: 1}

// door is a gate that keeps a record.
type door struct {
	entered []string
	inside  int
	refuse  error
}

func (d *door) Enter(_ context.Context, known bool, addr netip.Addr, kib int) (func(), error) {
	if d.refuse != nil {
		return nil, d.refuse
	}
	d.entered = append(d.entered, fmt.Sprintf("known=%v addr=%v kib=%d", known, addr, kib))
	d.inside++
	return func() { d.inside-- }, nil
}

func newCheap(t testing.TB, p Params) (*Method, *door) {
	t.Helper()
	d := &door{}
	m, err := NewForTests(Config{Gate: d}, p)
	if err != nil {
		t.Fatal(err)
	}
	return m, d
}

func hashOf(t testing.TB, m *Method, password string) []byte {
	t.Helper()
	h, err := m.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func outcome(t testing.TB, m *Method, hash []byte, password string) authn.Outcome {
	t.Helper()
	got, err := m.Verify(t.Context(), authn.Request{Secret: hash}, authn.Answer{Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return got.Outcome
}

func fieldOf(err error) string {
	var e *authn.Error
	if !errors.As(err, &e) || e.Code != authn.Invalid || len(e.Fields) != 1 {
		return ""
	}
	return e.Fields[0].Name + "." + e.Fields[0].Code
}

func TestVerify(t *testing.T) {
	m, d := newCheap(t, cheap)
	hundred := strings.Repeat("x", 99)
	tests := []struct {
		name      string
		set, give string
		want      authn.Outcome
	}{
		{"right", good, good, authn.Right},
		{"wrong", good, good + "s", authn.Wrong},
		{"capitals count", good, strings.ToUpper(good), authn.Wrong},
		{"spaces count", good, good + " ", authn.Wrong},
		{"std-6 byte 100 differs", hundred + "a", hundred + "b", authn.Wrong},
		{"std-6 cve-69 byte 73 differs", strings.Repeat("y", 72) + "a", strings.Repeat("y", 72) + "b", authn.Wrong},
		{"std-6 the last of 4,096 bytes differs", strings.Repeat("z", MaxBytes-1) + "a", strings.Repeat("z", MaxBytes-1) + "b", authn.Wrong},
		{"4,096 bytes", strings.Repeat("z", MaxBytes), strings.Repeat("z", MaxBytes), authn.Right},
		{"NUL does not end it", "abc\x00defghijklmno", "abc\x00defghijklmnp", authn.Wrong},
		{"std-7 one code point, then two", "caf\u00e9 au lait le matin", "cafe\u0301 au lait le matin", authn.Right},
		{"std-7 two code points, then one", "cafe\u0301 au lait le matin", "caf\u00e9 au lait le matin", authn.Right},
		{"std-7 NFC, not NFKC", "\uff41 full-width letter", "a full-width letter", authn.Wrong},
		{"emoji", "🐎🔋📎🐎🔋📎🐎🔋📎🐎🔋📎🐎🔋📎", "🐎🔋📎🐎🔋📎🐎🔋📎🐎🔋📎🐎🔋📎", authn.Right},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := outcome(t, m, hashOf(t, m, tt.set), tt.give); got != tt.want {
				t.Errorf("outcome %v, want %v", got, tt.want)
			}
		})
	}
	if d.inside != 0 {
		t.Errorf("%d did not leave the gate", d.inside)
	}
}

// std-2: what is refused is refused before any hash.
func TestShape_std2(t *testing.T) {
	m, d := newCheap(t, cheap)
	for _, tt := range []struct{ name, password, want string }{
		{"empty", "", "password.required"},
		{"4,097 bytes", strings.Repeat("x", MaxBytes+1), "password.too_long"},
		{"1 MB", strings.Repeat("é", 500_000), "password.too_long"},
		{"broken UTF-8", "abc\xffdefghijklmno", "password.invalid"},
		{"64 characters", strings.Repeat("x", 64), ""},
		{"one character", "x", ""}, // too short for a new one; at sign-in it is just wrong
	} {
		err := m.Shape(authn.Answer{Password: tt.password})
		if got := fieldOf(err); got != tt.want || (err == nil) != (tt.want == "") {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if tt.want == "" {
			continue
		}
		match, err := m.Verify(t.Context(), authn.Request{}, authn.Answer{Password: tt.password})
		if fieldOf(err) != tt.want || match.Outcome != authn.Void {
			t.Errorf("%s: Verify: %+v, %v", tt.name, match, err)
		}
		if _, err := m.Hash(t.Context(), tt.password); fieldOf(err) != tt.want {
			t.Errorf("%s: Hash: %v", tt.name, err)
		}
	}
	if len(d.entered) != 0 {
		t.Errorf("a hash was run: %v", d.entered)
	}
}

// F5, cve-62: nobody known costs the same and is never right.
func TestVerify_F5_cve62_unknownPerson(t *testing.T) {
	m, d := newCheap(t, cheap)
	known := authn.Request{Secret: hashOf(t, m, good), Client: authn.Client{Address: netip.MustParseAddr("192.0.2.1")}}
	unknown := known
	unknown.Secret = nil
	d.entered = nil
	for _, r := range []authn.Request{known, unknown} {
		if got, err := m.Verify(t.Context(), r, authn.Answer{Password: "wrong"}); err != nil || got.Outcome != authn.Wrong || got.Rehash != nil {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	if len(d.entered) != 2 || d.entered[0] != d.entered[1] {
		t.Errorf("the two enter differently: %v", d.entered)
	}
	if s, err := parse(string(known.Secret), m.floor); err != nil || s.Params != m.dummy.Params || len(s.salt) != len(m.dummy.salt) {
		t.Errorf("the dummy is %v, a stored hash %v, %v", m.dummy, s, err)
	}
	// Even the password of the dummy's own tag is wrong.
	m.dummy.tag = m.dummy.derive(good)
	if got, err := m.Verify(t.Context(), unknown, authn.Answer{Password: good}); err != nil || got.Outcome != authn.Wrong {
		t.Errorf("got %+v, %v", got, err)
	}
	other, _ := newCheap(t, cheap)
	if bytes.Equal(other.dummy.salt, m.dummy.salt) {
		t.Error("two servers have one dummy")
	}
}

// rul-12: who enters the gate, as whom, with which weight.
func TestGate_rul12(t *testing.T) {
	m, d := newCheap(t, cheap)
	h := hashOf(t, m, good)
	if d.entered[0] != "known=true addr=invalid IP kib=64" {
		t.Errorf("Hash enters as %s", d.entered[0])
	}
	for _, tt := range []struct {
		lane authn.Lane
		want string
	}{
		{"", "known=false addr=2001:db8::1 kib=64"},
		{authn.Stranger, "known=false addr=2001:db8::1 kib=64"},
		{authn.Known, "known=true addr=2001:db8::1 kib=64"},
	} {
		d.entered = nil
		_, err := m.Verify(t.Context(), authn.Request{Secret: h, Lane: tt.lane, Client: authn.Client{Address: netip.MustParseAddr("2001:db8::1")}}, authn.Answer{Password: good})
		if err != nil || len(d.entered) != 1 || d.entered[0] != tt.want {
			t.Errorf("lane %q enters as %v, %v; want %s", tt.lane, d.entered, err, tt.want)
		}
	}
	d.refuse = &authn.Error{Code: authn.Busy, RetryAfter: 2 * time.Second}
	match, err := m.Verify(t.Context(), authn.Request{Secret: h}, authn.Answer{Password: good})
	_, err2 := m.Hash(t.Context(), good)
	for _, err := range []error{err, err2} {
		if e := authn.AsError(err); e.Code != authn.Busy || e.RetryAfter != 2*time.Second || match.Outcome != authn.Void {
			t.Errorf("a full gate: %+v, %v", match, err)
		}
	}
	if d.inside != 0 {
		t.Errorf("%d did not leave the gate", d.inside)
	}
}

// std-8: a hash of lesser cost is replaced when its password is known.
func TestVerify_std8_rehash(t *testing.T) {
	tests := []struct {
		name string
		old  Params
		kib  string
		want bool
	}{
		{"the same", Params{128, 2, 1}, "kib=128", false},
		{"less memory", Params{64, 2, 1}, "kib=128", true},
		{"fewer passes", Params{128, 1, 1}, "kib=128", true},
		{"fewer passes, more memory", Params{256, 1, 1}, "kib=256", true},
		{"more of both", Params{256, 3, 1}, "kib=256", false},
		{"more threads", Params{128, 2, 2}, "kib=128", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, _ := newCheap(t, tt.old)
			m, d := newCheap(t, Params{128, 2, 1})
			h := hashOf(t, before, good)
			got, err := m.Verify(t.Context(), authn.Request{Secret: h}, authn.Answer{Password: good})
			if err != nil || got.Outcome != authn.Right || (got.Rehash != nil) != tt.want {
				t.Fatalf("got %+v, %v", got, err)
			}
			if len(d.entered) != 1 || !strings.HasSuffix(d.entered[0], tt.kib) {
				t.Errorf("entered %v, want once with %s", d.entered, tt.kib)
			}
			if got, err := m.Verify(t.Context(), authn.Request{Secret: h}, authn.Answer{Password: "wrong"}); err != nil || got.Outcome != authn.Wrong || got.Rehash != nil {
				t.Errorf("a wrong password: %+v, %v", got, err)
			}
			if !tt.want {
				return
			}
			again, err := m.Verify(t.Context(), authn.Request{Secret: got.Rehash}, authn.Answer{Password: good})
			if err != nil || again.Outcome != authn.Right || again.Rehash != nil {
				t.Errorf("the new hash: %+v, %v", again, err)
			}
		})
	}
}

// std-62, rul-58: New knows only the parameters of security.md.
func TestNew_std62_rul58(t *testing.T) {
	d := &door{}
	m, err := New(Config{Gate: d})
	if err != nil {
		t.Fatal(err)
	}
	if m.params != (Params{19_456, 2, 1}) {
		t.Errorf("parameters %v", m.params)
	}
	h := hashOf(t, m, good)
	if !strings.HasPrefix(string(h), "$argon2id$v=19$m=19456,t=2,p=1$") || outcome(t, m, h, good) != authn.Right {
		t.Errorf("hash %s", h)
	}
	weak, _ := newCheap(t, cheap)
	if _, err := m.Verify(t.Context(), authn.Request{Secret: hashOf(t, weak, good)}, authn.Answer{Password: good}); err == nil {
		t.Error("a hash of the test API is good in production")
	}
	if m.Kind() != authn.Password || m.Quick() || m.Traits() != (authn.Traits{Knowledge: true}) {
		t.Errorf("%v, quick %v, %+v", m.Kind(), m.Quick(), m.Traits())
	}
	if _, err := New(Config{}); err == nil {
		t.Error("no error without a gate")
	}
	if _, err := New(Config{Gate: d, Random: iotest.ErrReader(errors.New("no entropy"))}); err == nil {
		t.Error("no error without randomness")
	}
	for _, p := range []Params{{}, {65_537, 1, 1}, {64, 11, 1}, {64, 1, 5}, {8, 1, 2}} {
		if _, err := NewForTests(Config{Gate: d}, p); err == nil {
			t.Errorf("no error for %v", p)
		}
	}
}

func TestHash_withoutRandomnessPanicsAndLeavesTheGate(t *testing.T) {
	d := &door{}
	m, err := NewForTests(Config{Gate: d, Random: io.LimitReader(zeros{}, saltLen+tagLen)}, cheap)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil || d.inside != 0 {
			t.Errorf("no panic, or %d inside the gate", d.inside)
		}
	}()
	_, _ = m.Hash(t.Context(), good)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestHash_saltsDiffer(t *testing.T) {
	m, _ := newCheap(t, cheap)
	if bytes.Equal(hashOf(t, m, good), hashOf(t, m, good)) {
		t.Error("two hashes of one password are equal")
	}
}

// inv-H: the password and the hash are in no error and no printed value.
func TestErrors_invH_canary(t *testing.T) {
	m, _ := newCheap(t, cheap)
	canary := "canary-canary-canary"
	h := string(hashOf(t, m, canary))
	parts := strings.Split(h, "$")
	salt, tag := parts[4], parts[5]
	var texts []string
	for _, secret := range []string{h + "x", h[:len(h)-1], "$2y$10$" + salt + tag, strings.Replace(h, "m=64", "m=99999", 1), strings.Replace(h, "m=64", "m=1", 1), strings.Replace(h, "v=19", "v=16", 1)} {
		match, err := m.Verify(t.Context(), authn.Request{Secret: []byte(secret)}, authn.Answer{Password: canary})
		if err == nil || match.Outcome != authn.Void || authn.AsError(err).Code != authn.Internal {
			t.Errorf("a broken hash: %+v, %v", match, err)
		}
		texts = append(texts, fmt.Sprintf("%v %+v %#v", err, match, err))
	}
	for _, p := range []string{canary + "\xff", strings.Repeat(canary, 300)} {
		texts = append(texts, fmt.Sprintf("%v %+v", m.Shape(authn.Answer{Password: p}), m.Check(t.Context(), "new", p, authn.User{}, authn.Company{}, 15)))
	}
	s, err := parse(h, m.floor)
	texts = append(texts, fmt.Sprintf("%v %+v %#v %x %v", s, s, s, s, err), fmt.Sprintf("%v %+v", m, m.dummy))
	for _, text := range texts {
		if strings.Contains(text, "canary") || strings.Contains(text, salt) || strings.Contains(text, tag) || strings.Contains(text, fmt.Sprintf("%x", s.salt)) || strings.Contains(text, fmt.Sprint(s.salt)) {
			t.Errorf("a secret is in %s", text)
		}
	}
}

func TestParse(t *testing.T) {
	salt, tag := "c29tZXNhbHRzb21lc2FsdA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	ok := "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + tag
	with := func(old, new string) string { return strings.Replace(ok, old, new, 1) }
	tests := []struct {
		name string
		phc  string
		ok   bool
	}{
		{"usual", ok, true},
		{"64 MiB, 10, 4: the ceiling", with("m=19456,t=2,p=1", "m=65536,t=10,p=4"), true},
		{"4 MiB, 1, 1: the floor", with("m=19456,t=2,p=1", "m=4096,t=1,p=1"), true},
		{"8 bytes of salt", with(salt, "c29tZXNhbHQ"), true},
		{"64 bytes of salt", with(salt, strings.Repeat("A", 86)), true},
		{"memory above", with("m=19456", "m=65537"), false},
		{"4 GiB", with("m=19456", "m=4194304"), false},
		{"more than 32 bits", with("m=19456", "m=4294986752"), false},
		{"passes above", with("t=2", "t=11"), false},
		{"threads above", with("p=1", "p=5"), false},
		{"threads that would wrap to 1", with("p=1", "p=257"), false},
		{"memory below", with("m=19456", "m=4095"), false},
		{"no passes", with("t=2", "t=0"), false},
		{"no threads", with("p=1", "p=0"), false},
		{"leading zero", with("t=2", "t=02"), false},
		{"sign", with("t=2", "t=+2"), false},
		{"space", with("t=2", "t= 2"), false},
		{"underscore", with("m=19456", "m=19_456"), false},
		{"hexadecimal", with("m=19456", "m=0x4c00"), false},
		{"other order", with("m=19456,t=2", "t=2,m=19456"), false},
		{"key id", with("p=1", "p=1,keyid=AA"), false},
		{"argon2i", with("argon2id", "argon2i"), false},
		{"argon2d", with("argon2id", "argon2d"), false},
		{"version 16", with("v=19", "v=16"), false},
		{"no version", with("v=19$", ""), false},
		{"bcrypt", "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234", false},
		{"short salt", with(salt, "c29tZXM"), false},
		{"long salt", with(salt, strings.Repeat("A", 88)), false},
		{"no salt", with(salt, ""), false},
		{"short tag", with(tag, tag[:42]), false},
		{"16 bytes of tag", with(tag, tag[:22]), false},
		{"long tag", with(tag, tag+"AA"), false},
		{"no tag", with("$"+tag, ""), false},
		{"padding", ok + "=", false},
		{"left-over bits", ok[:len(ok)-1] + "B", false},
		{"URL alphabet", with("c29t", "-29t"), false},
		{"line break at the end", ok + "\n", false},
		{"line break in the salt", with(salt, salt[:4]+"\n"+salt[4:]), false},
		{"line break in the tag", ok[:len(ok)-2] + "\r\n" + ok[len(ok)-2:], false},
		{"text after", ok + "$", false},
		{"text before", " " + ok, false},
		{"capitals", strings.ToUpper(ok), false},
		{"long", ok + strings.Repeat("A", 300), false},
		{"empty", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parse(tt.phc, floor)
			if (err == nil) != tt.ok {
				t.Fatalf("%v", err)
			}
			if tt.ok && string(s.encode()) != tt.phc {
				t.Errorf("written again it is %s", s.encode())
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=65536,t=10,p=4$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=,t=,p=$$")
	f.Fuzz(func(t *testing.T, phc string) {
		s, err := parse(phc, floor)
		if err != nil {
			return
		}
		if string(s.encode()) != phc {
			t.Error("one hash has two spellings")
		}
		if s.within(floor) != nil || s.MemoryKiB > 65_536 || s.Time > 10 || s.Threads > 4 || s.Time < 1 || s.Threads < 1 || len(s.salt) < 8 {
			t.Errorf("accepted %v", s)
		}
	})
}

// std-62, performance.md: 31–37 ms.
func BenchmarkVerify(b *testing.B) {
	m, err := New(Config{Gate: &door{}})
	if err != nil {
		b.Fatal(err)
	}
	h := hashOf(b, m, good)
	for name, r := range map[string]authn.Request{"known": {Secret: h}, "unknown": {}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Verify(b.Context(), r, authn.Answer{Password: "wrong"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
