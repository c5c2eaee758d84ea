package keyring

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

var fullAD = AD{Table: "factor", Column: "secret", Company: "acme", Row: "f1", User: "u1", Kind: "totp"}

func companyKey(t testing.TB) *DataKey {
	t.Helper()
	_, dk, err := generate(t).NewDataKey("acme", nil)
	if err != nil {
		t.Fatal(err)
	}
	return dk
}

func TestSealForm(t *testing.T) {
	dk := companyKey(t)
	for _, n := range []int{0, 1, 15, 16, 17, 20, 1000, 1 << 20} {
		plain := make([]byte, n)
		rand.Read(plain)
		kept := slices.Clone(plain)
		sealed := dk.Seal(fullAD, plain)
		if len(sealed) != n+Overhead || cap(sealed) != len(sealed) && n < 100 && cap(sealed) > n+Overhead+16 {
			t.Errorf("%d bytes became %d (cap %d)", n, len(sealed), cap(sealed))
		}
		if sealed[0] != formatValue || "d_"+base32Lower.EncodeToString(sealed[1:headerSize]) != dk.ID() {
			t.Error("a sealed value begins with format and key id")
		}
		before := slices.Clone(sealed)
		got, err := dk.Open(fullAD, sealed)
		if err != nil || !bytes.Equal(got, kept) || !bytes.Equal(plain, kept) || !bytes.Equal(sealed, before) {
			t.Fatalf("%d bytes: %v, or an argument was changed", n, err)
		}
		if n > 15 && bytes.Contains(sealed, plain) {
			t.Error("the plaintext stands in the sealed value")
		}
	}
}

// rul-38, security.md 4.1: a sealed value opens at its own place only; each field counts, and so does every border between fields.
func TestSwappedPlace(t *testing.T) {
	k := generate(t)
	_, dk, _ := k.NewDataKey("acme", nil)
	for name, move := range map[string]func(*AD){
		"table": func(a *AD) { a.Table = "session" }, "column": func(a *AD) { a.Column = "data" }, "company": func(a *AD) { a.Company = "beta" },
		"row": func(a *AD) { a.Row = "f2" }, "user": func(a *AD) { a.User = "u2" }, "kind": func(a *AD) { a.Kind = "duo" },
		"no table": func(a *AD) { a.Table = "" }, "no row": func(a *AD) { a.Row = "" }, "nothing": func(a *AD) { *a = AD{} },
		"row and user swapped": func(a *AD) { a.Row, a.User = a.User, a.Row },
		"border company row":   func(a *AD) { a.Company, a.Row = a.Company+a.Row[:1], a.Row[1:] },
		"border row user":      func(a *AD) { a.Row, a.User = a.Row+a.User, "" },
		"border table column":  func(a *AD) { a.Table, a.Column = a.Table+a.Column[:1], a.Column[1:] },
		"NUL":                  func(a *AD) { a.Kind += "\x00" },
	} {
		for _, d := range []*DataKey{dk, k.Installation()} {
			ad := fullAD
			sealed := d.Seal(ad, []byte("seed"))
			move(&ad)
			if got, err := d.Open(ad, sealed); err != ErrOpen || got != nil {
				t.Errorf("%s: Open = %q, %v", name, got, err)
			}
		}
	}
	// Length prefixes: "ab","c" is not "a","bc" (std-61).
	for _, pair := range [][2]AD{{{Row: "ab", User: "c"}, {Row: "a", User: "bc"}}, {{Row: "abc"}, {User: "abc"}}, {{Kind: "x"}, {Kind: "", User: "x"}}} {
		if bytes.Equal(pair[0].append(nil, 1, keyID{}), pair[1].append(nil, 1, keyID{})) {
			t.Errorf("%v and %v are one place", pair[0], pair[1])
		}
	}
	if got := len((&AD{}).append(nil, 1, keyID{})); got != headerSize+6*8 {
		t.Errorf("an AD field is not in the associated data: %d bytes", got)
	}
}

func TestEveryByteCounts(t *testing.T) {
	dk := companyKey(t)
	sealed := dk.Seal(fullAD, []byte("JBSWY3DPEHPK3PXP"))
	for i := range sealed {
		for bit := range 8 {
			bad := slices.Clone(sealed)
			bad[i] ^= 1 << bit
			if got, err := dk.Open(fullAD, bad); err != ErrOpen || got != nil {
				t.Fatalf("byte %d bit %d: %q, %v", i, bit, got, err)
			}
		}
	}
	for n := range sealed {
		if _, err := dk.Open(fullAD, sealed[:n]); err != ErrOpen {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
		if _, err := dk.Open(fullAD, sealed[n+1:]); err != ErrOpen {
			t.Fatalf("cut from %d: %v", n+1, err)
		}
	}
	if _, err := dk.Open(fullAD, append(slices.Clone(sealed), 0)); err != ErrOpen {
		t.Fatal("longer")
	}
	if _, err := dk.Open(fullAD, nil); err != ErrOpen {
		t.Fatal("nil")
	}
	if _, err := companyKey(t).Open(fullAD, sealed); err != ErrOpen {
		t.Fatal("another company's key")
	}
}

// std-61: a nonce is never used twice.
func TestNoncesDiffer(t *testing.T) {
	dk := companyKey(t)
	seen := make(map[[12]byte]bool, 100_000)
	for range 100_000 {
		seen[[12]byte(dk.Seal(fullAD, nil)[headerSize:])] = true
	}
	if len(seen) != 100_000 {
		t.Fatalf("%d nonces in 100000 seals", len(seen))
	}
}

// rul-40: a person's key is destroyed with its sealed form, and is no other kind of value.
func TestSubKey(t *testing.T) {
	k := generate(t)
	_, dk, _ := k.NewDataKey("acme", nil)
	ad := AD{Table: "person_key", Column: "sealed", Company: "acme", User: "u1"}
	sealed, sub, err := dk.NewSubKey(ad, nil)
	if err != nil {
		t.Fatal(err)
	}
	value := sub.Seal(fullAD, []byte("192.0.2.1"))
	again, err := dk.OpenSubKey(ad, sealed)
	if err != nil || again.ID() != sub.ID() {
		t.Fatal(err)
	}
	if got, err := again.Open(fullAD, value); err != nil || string(got) != "192.0.2.1" {
		t.Errorf("%q, %v", got, err)
	}
	if sub.MAC("x") != again.MAC("x") || sub.MAC("x") == dk.MAC("x") {
		t.Error("the sub-key's MACs are its own")
	}
	other := ad
	other.User = "u2"
	if _, err := dk.OpenSubKey(other, sealed); err != ErrOpen {
		t.Error("another person's place:", err)
	}
	if _, err := dk.Open(ad, sealed); err != ErrOpen {
		t.Error("a key was opened as a value:", err)
	}
	if _, err := dk.OpenSubKey(ad, dk.Seal(ad, make([]byte, idSize+keySize))); err != ErrOpen {
		t.Error("a value was opened as a key:", err)
	}
	forged := dk.Seal(ad, make([]byte, idSize+keySize))
	forged[0] = formatSubKey
	if _, err := dk.OpenSubKey(ad, forged); err != ErrOpen {
		t.Error("a relabelled value was opened as a key:", err)
	}
	for name, d := range map[string]*DataKey{"company": dk, "installation": k.Installation(), "new": companyKey(t)} {
		if _, err := d.Open(fullAD, value); err != ErrOpen {
			t.Errorf("erased, and yet the %s key opens it: %v", name, err)
		}
	}
	_, sub2, _ := dk.NewSubKey(ad, nil)
	if sub2.ID() == sub.ID() || sub2.MAC("x") == sub.MAC("x") {
		t.Error("sub-keys must be random")
	}
	in, inSub, _ := k.Installation().NewSubKey(ad, nil)
	if got, err := rotated(t, k).Installation().OpenSubKey(ad, in); err != nil || got.ID() != inSub.ID() {
		t.Error("sub-key of the installation after a rotation:", err)
	}
}

// rul-38: hashes are keyed, labelled, and unambiguous in their parts.
func TestMAC(t *testing.T) {
	dk := companyKey(t)
	b := func(ss ...string) (parts [][]byte) {
		for _, s := range ss {
			parts = append(parts, []byte(s))
		}
		return parts
	}
	seen := make(map[[32]byte]string)
	for _, c := range []struct {
		label string
		parts [][]byte
	}{
		{"code", b("ab", "c")}, {"code", b("a", "bc")}, {"code", b("abc")}, {"code", b("abc", "")}, {"code", b("", "abc")}, {"code", b("a", "b", "c")},
		{"code", b()}, {"code", b("")}, {"code", b("", "")}, {"token", b("ab", "c")}, {"", b("ab", "c")}, {"codea", b("b", "c")},
		{"code", b("ab\x00", "c")}, {"code", b("\x00\x00\x00\x00\x00\x00\x00\x00")}, {"code", b(strings.Repeat("x", 3*maxScratch))},
	} {
		name := fmt.Sprintf("%q %.40q", c.label, c.parts)
		got := dk.MAC(c.label, c.parts...)
		if other, dup := seen[got]; dup {
			t.Errorf("%s and %s have one MAC", name, other)
		}
		seen[got] = name
		if dk.MAC(c.label, c.parts...) != got || !dk.CheckMAC(got[:], c.label, c.parts...) {
			t.Errorf("%s: not repeatable", name)
		}
		for i := range got {
			bad := slices.Clone(got[:])
			bad[i] ^= 0x80
			if dk.CheckMAC(bad, c.label, c.parts...) {
				t.Fatalf("%s: byte %d changed and accepted", name, i)
			}
		}
	}
	if companyKey(t).MAC("code", b("abc")...) == dk.MAC("code", b("abc")...) {
		t.Error("two companies share a MAC")
	}
	good := dk.MAC("code", []byte("1"))
	for _, bad := range [][]byte{nil, {}, good[:31], append(good[:], 0)} {
		if dk.CheckMAC(bad, "code", []byte("1")) {
			t.Errorf("accepted %d bytes", len(bad))
		}
	}
}

// The caches are bounded and change no result.
func TestCachesAreBounded(t *testing.T) {
	dk := companyKey(t)
	cold := newDataKey(dk.s.raw, *dk.s.secret)
	for i := range 3 * maxSubKeys {
		label := fmt.Sprint("label", i)
		ad := AD{Table: label}
		if dk.MAC(label) != cold.MAC(label) || dk.MAC(label) != newDataKey(dk.s.raw, *dk.s.secret).MAC(label) {
			t.Fatal(label)
		}
		if _, err := dk.Open(ad, dk.Seal(ad, []byte("x"))); err != nil {
			t.Fatal(label, err)
		}
	}
	if n, m := len(*dk.s.macs.m.Load()), len(*dk.s.seals.m.Load()); n != maxSubKeys || m != maxSubKeys {
		t.Errorf("%d and %d sub-keys are kept", n, m)
	}
	big := AD{Row: strings.Repeat("r", 2*maxScratch)}
	if _, err := dk.Open(big, dk.Seal(big, nil)); err != nil {
		t.Error(err)
	}
}

// Run by -race: everything may be used by many goroutines, also for the first time.
func TestConcurrentUse(t *testing.T) {
	k := rotated(t, generate(t))
	wrapped, dk, _ := k.NewDataKey("acme", nil)
	want := dk.MAC("label0", []byte("x"))
	dk = must(k.OpenDataKey("acme", wrapped))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 300 {
				plain := fmt.Sprint(g, " ", i)
				ad := AD{Table: fmt.Sprint("t", i%80), Row: plain}
				for _, d := range []*DataKey{dk, k.Installation()} {
					if got, err := d.Open(ad, d.Seal(ad, []byte(plain))); err != nil || string(got) != plain {
						t.Errorf("%q, %v", got, err)
					}
				}
				label := fmt.Sprint("label", i%80)
				if i%80 == 0 && dk.MAC(label, []byte("x")) != want {
					t.Error("MAC")
				}
				mac := dk.MAC(label, []byte(plain))
				if !dk.CheckMAC(mac[:], label, []byte(plain)) || k.Installation().CheckMAC(mac[:], label, []byte(plain)) {
					t.Error("CheckMAC")
				}
				if again, err := k.OpenDataKey("acme", wrapped); err != nil || again.ID() != dk.ID() {
					t.Error(err)
				}
				_ = k.String() + k.CheckValue() + k.Text()
			}
		})
	}
	wg.Wait()
}

// The sign-in path must not feed the garbage collector: one allocation for a result, none for a MAC.
func TestAllocations(t *testing.T) {
	if raceEnabled(t) {
		t.Skip("the race detector empties pools at random")
	}
	dk := companyKey(t)
	plain := []byte("JBSWY3DPEHPK3PXP")
	sealed := dk.Seal(fullAD, plain)
	mac := dk.MAC("code", plain)
	for name, tc := range map[string]struct {
		max float64
		f   func()
	}{
		"Seal":     {1, func() { dk.Seal(fullAD, plain) }},
		"Open":     {1, func() { dk.Open(fullAD, sealed) }},
		"MAC":      {0, func() { dk.MAC("code", plain, plain) }},
		"CheckMAC": {0, func() { dk.CheckMAC(mac[:], "code", plain) }},
	} {
		if got := testing.AllocsPerRun(200, tc.f); got > tc.max {
			t.Errorf("%s: %v allocations, at most %v", name, got, tc.max)
		}
	}
}

// raceEnabled finds the race detector without a build tag: under it sync.Pool drops a quarter of what is put back.
func raceEnabled(t *testing.T) bool {
	t.Helper()
	var made int
	pool := sync.Pool{New: func() any { made++; return new(int) }}
	for range 200 {
		pool.Put(pool.Get())
	}
	return made > 10
}

// security.md 4.11 and cve-61: outside bytes never panic, never open, and every error is the same.
func FuzzOpen(f *testing.F) {
	k := rotated(f, generate(f))
	wrapped, dk, _ := k.NewDataKey("acme", nil)
	sub, _, _ := dk.NewSubKey(fullAD, nil)
	value := dk.Seal(fullAD, []byte("seed"))
	inst := k.Installation().Seal(fullAD, nil)
	for _, s := range [][]byte{nil, {1}, wrapped, sub, value, inst, bytes.Repeat([]byte{1}, Overhead)} {
		f.Add(s, "factor", "f1")
	}
	f.Fuzz(func(t *testing.T, sealed []byte, table, row string) {
		ad := fullAD
		ad.Table, ad.Row = table, row
		for _, d := range []*DataKey{dk, k.Installation()} {
			got, err := d.Open(ad, sealed)
			genuine := ad == fullAD && (bytes.Equal(sealed, value) || bytes.Equal(sealed, inst))
			if err == nil && !genuine || err != nil && (err != ErrOpen || got != nil) {
				t.Fatalf("Open = %q, %v", got, err)
			}
			if key, err := d.OpenSubKey(ad, sealed); err == nil && !bytes.Equal(sealed, sub) || err != nil && (err != ErrOpen || key != nil) {
				t.Fatalf("OpenSubKey = %v, %v", key, err)
			}
		}
		if _, err := k.OpenDataKey("acme", sealed); err == nil && !bytes.Equal(sealed, wrapped) {
			t.Fatal("OpenDataKey opened a forgery")
		}
		k.WrappedBy(sealed)
		k.Verify(string(sealed))
		if got, err := dk.Open(ad, dk.Seal(ad, sealed)); err != nil || !bytes.Equal(got, sealed) {
			t.Fatal("round trip", err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	dk := companyKey(b)
	plain := make([]byte, 20) // a TOTP seed
	for b.Loop() {
		dk.Seal(fullAD, plain)
	}
}

func BenchmarkOpen(b *testing.B) {
	dk := companyKey(b)
	sealed := dk.Seal(fullAD, make([]byte, 20))
	for b.Loop() {
		dk.Open(fullAD, sealed)
	}
}

func BenchmarkOpenParallel(b *testing.B) {
	dk := companyKey(b)
	sealed := dk.Seal(fullAD, make([]byte, 20))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			dk.Open(fullAD, sealed)
		}
	})
}

func BenchmarkMAC(b *testing.B) {
	dk := companyKey(b)
	token := make([]byte, 32)
	company, user := []byte("company"), []byte("user")
	for b.Loop() {
		dk.MAC("session", token, company, user)
	}
}

func BenchmarkOpenDataKey(b *testing.B) {
	k := generate(b)
	wrapped, _, _ := k.NewDataKey("acme", nil)
	for b.Loop() {
		k.OpenDataKey("acme", wrapped)
	}
}
