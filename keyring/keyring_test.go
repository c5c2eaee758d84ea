package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// must unwraps a value in tests of something else.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func generate(t testing.TB) *Keyring {
	t.Helper()
	k, err := Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// rotated returns a keyring whose first key became "previous".
func rotated(t testing.TB, k *Keyring) *Keyring {
	t.Helper()
	next, id, err := k.AddNext(nil)
	if err != nil {
		t.Fatal(err)
	}
	active, err := next.Activate(id)
	if err != nil {
		t.Fatal(err)
	}
	return active
}

// rul-54: a company key is random, wrapped by the keyring, and the same when opened again.
func TestDataKeyRoundTrip(t *testing.T) {
	k := must(Parse(generate(t).Text()))
	wrapped, dk, err := k.NewDataKey("acme", nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := k.OpenDataKey("acme", wrapped)
	if err != nil {
		t.Fatal(err)
	}
	if again.ID() != dk.ID() || !strings.HasPrefix(dk.ID(), "d_") {
		t.Errorf("ids %q and %q", dk.ID(), again.ID())
	}
	ad := AD{Table: "factor", Column: "secret", Company: "acme", Row: "f1", User: "u1", Kind: "totp"}
	if got, err := again.Open(ad, dk.Seal(ad, []byte("seed"))); err != nil || string(got) != "seed" {
		t.Errorf("Open = %q, %v", got, err)
	}
	if !again.CheckMAC(sum(dk.MAC("token", []byte("x"))), "token", []byte("x")) {
		t.Error("the opened key makes other MACs")
	}
	in := k.Installation()
	if got, err := in.Open(ad, in.Seal(ad, nil)); err != nil || len(got) != 0 {
		t.Errorf("installation: Open = %q, %v", got, err)
	}
	if id := must(k.WrappedBy(wrapped)); id != k.ActiveID() {
		t.Errorf("WrappedBy = %q", id)
	}
}

func sum(s [32]byte) []byte { return s[:] }

// std-61, security.md 4.10: everything works where only approved algorithms do (a nonce of our own would panic there).
func TestFIPSOnly(t *testing.T) {
	cmd := exec.Command(must(os.Executable()), "-test.run=^(TestDataKeyRoundTrip|TestRotationPhases|TestSubKey|TestVerify)$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestDataKeyRoundTrip") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// rul-38: the phases of a rotation, and std-61: rows of the old key are read throughout.
func TestRotationPhases(t *testing.T) {
	first := generate(t)
	wrapped, dk, _ := first.NewDataKey("acme", nil)
	ad := AD{Table: "factor", Column: "secret", Company: "acme", Row: "f1"}
	value := dk.Seal(ad, []byte("seed"))
	old := first.Installation().Seal(ad, []byte("old"))
	oldMAC := first.Installation().MAC("name", []byte("ann"))

	distributed, id, err := first.AddNext(nil)
	if err != nil {
		t.Fatal(err)
	}
	if distributed.ActiveID() != first.ActiveID() || len(first.IDs()) != 1 || len(distributed.IDs()) != 2 {
		t.Fatal("AddNext must give a second key, write under the first, and change nothing in place")
	}
	if distributed.CheckValue() != first.CheckValue() {
		t.Error("a key that never wrote is no part of the check value")
	}
	active := must(distributed.Activate(id))
	if active.ActiveID() != id || distributed.ActiveID() == id {
		t.Fatal("Activate")
	}
	if err := first.Verify(active.CheckValue()); !errors.Is(err, ErrMissingKey) {
		t.Errorf("a node without the new key must be refused: %v", err)
	}
	// A node that has not switched yet reads what one that has switched writes.
	late, _, _ := active.NewDataKey("beta", nil)
	if _, err := distributed.OpenDataKey("beta", late); err != nil {
		t.Error("distributed node:", err)
	}
	if mac := active.Installation().MAC("name", []byte("ann")); !distributed.Installation().CheckMAC(mac[:], "name", []byte("ann")) {
		t.Error("distributed node refuses the new MAC")
	}
	if got, err := active.Installation().Open(ad, old); err != nil || string(got) != "old" {
		t.Errorf("old installation value: %q, %v", got, err)
	}
	if !active.Installation().CheckMAC(oldMAC[:], "name", []byte("ann")) || active.Installation().MAC("name", []byte("ann")) == oldMAC {
		t.Error("old installation MAC must check, and new ones differ")
	}

	moved := must(active.Rewrap("acme", wrapped))
	if must(active.WrappedBy(moved)) != id || must(active.WrappedBy(wrapped)) != first.ActiveID() {
		t.Error("WrappedBy after Rewrap")
	}
	if !bytes.Equal(must(active.Rewrap("acme", moved)), moved) {
		t.Error("Rewrap twice must change nothing")
	}
	if _, err := active.Remove(id); err == nil {
		t.Error("the active key was removed")
	}
	final := must(active.Remove(first.ActiveID()))
	dk2 := must(final.OpenDataKey("acme", moved))
	if got, err := dk2.Open(ad, value); err != nil || string(got) != "seed" || dk2.ID() != dk.ID() {
		t.Errorf("after the rotation: %q, %v", got, err)
	}
	_, err = final.OpenDataKey("acme", wrapped)
	if !errors.Is(err, ErrOpen) || !errors.Is(err, ErrMissingKey) || !strings.Contains(err.Error(), first.ActiveID()) {
		t.Errorf("a removed key must be named: %v", err)
	}
	if _, err := final.Installation().Open(ad, old); err != ErrOpen {
		t.Errorf("removed installation key: %v", err)
	}
	for _, f := range []func(string) (*Keyring, error){final.Activate, final.Remove} {
		if _, err := f("k_secretmaterial"); !errors.Is(err, ErrMissingKey) || strings.Contains(err.Error(), "material") {
			t.Errorf("unknown id: %v", err)
		}
	}
	if same := must(final.Activate(id)); same.Text() != final.Text() {
		t.Error("activating the active key changes nothing")
	}
}

func TestRewrapRefuses(t *testing.T) {
	k := generate(t)
	wrapped, dk, _ := k.NewDataKey("acme", nil)
	ad := AD{Company: "acme"}
	for name, bad := range map[string][]byte{
		"nil": nil, "short": wrapped[:Overhead-1], "cut": wrapped[:len(wrapped)-1], "longer": append(slices.Clone(wrapped), 0),
		"a sealed value": dk.Seal(ad, make([]byte, 42)), "installation": k.Installation().Seal(ad, make([]byte, 42)),
	} {
		if _, err := k.Rewrap("acme", bad); !errors.Is(err, ErrOpen) {
			t.Errorf("%s: Rewrap = %v", name, err)
		}
	}
	for i := range wrapped {
		bad := slices.Clone(wrapped)
		bad[i] ^= 1
		if _, err := k.OpenDataKey("acme", bad); !errors.Is(err, ErrOpen) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	for _, company := range []string{"", "Acme", "acme ", "beta"} {
		if _, err := k.OpenDataKey(company, wrapped); err != ErrOpen {
			t.Errorf("company %q opened the key of acme: %v", company, err)
		}
	}
	if _, err := k.WrappedBy(nil); err != ErrOpen {
		t.Error(err)
	}
	// A wrapping of something else than a key must not become one.
	odd := k.s.active.wrap.seal(formatWrapped, k.s.active.raw, AD{Company: "acme"}, []byte("short"))
	if _, err := k.OpenDataKey("acme", odd); err != ErrOpen {
		t.Error(err)
	}
}

// security.md 4.2: a wrong key must be noticed before anything is written under it.
func TestVerify(t *testing.T) {
	one := generate(t)
	two := rotated(t, one)
	other := generate(t)
	check := two.CheckValue()
	if err := two.Verify(check); err != nil {
		t.Fatal(err)
	}
	if err := must(Parse(two.Text())).Verify(check); err != nil {
		t.Fatal(err)
	}
	if err := two.Verify(one.CheckValue()); err != nil {
		t.Error("an additional key does no harm:", err)
	}
	impostor := must(one.change(func(keys []*rootKey) []*rootKey { keys[0].secret[0] ^= 1; return keys }))
	for name, tc := range map[string]struct {
		k     *Keyring
		check string
		want  []string
	}{
		"wrong keyring":     {other, one.CheckValue(), []string{one.ActiveID(), other.ActiveID(), "put back"}},
		"one missing":       {one, check, []string{two.ActiveID(), "put back"}},
		"same id other key": {impostor, one.CheckValue(), []string{one.ActiveID(), "another content"}},
	} {
		err := tc.k.Verify(tc.check)
		if !errors.Is(err, ErrMissingKey) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, w := range tc.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q lacks %q", name, err, w)
			}
		}
	}
	pair := strings.Fields(one.CheckValue())[1]
	for _, bad := range []string{
		"", "v1", "v1 ", " ", "v2 " + pair, pair, "v1 " + pair + " " + pair, "v1  " + pair, one.CheckValue() + " ", one.CheckValue() + "\n",
		"v1 " + pair[:len(pair)-1], "v1 k_" + strings.Repeat("A", 16) + "=" + strings.Repeat("a", 26), "v1 =", "v1 k_=", strings.Repeat("v1 ", maxCheck),
	} {
		if err := one.Verify(bad); err == nil || errors.Is(err, ErrMissingKey) || strings.Contains(err.Error(), pair) {
			t.Errorf("Verify(%.40q) = %v", bad, err)
		}
	}
	for i := range check {
		b := []byte(check)
		b[i] ^= 1
		if two.Verify(string(b)) == nil {
			t.Errorf("byte %d of the check value flipped and accepted", i)
		}
	}
}

func TestBrokenRandomness(t *testing.T) {
	k := generate(t)
	for name, r := range map[string]func() io.Reader{
		"error": func() io.Reader { return iotest.ErrReader(errors.New("no entropy")) },
		"short": func() io.Reader { return strings.NewReader("only a few bytes") },
		"zeros": func() io.Reader { return bytes.NewReader(make([]byte, 1000)) },
	} {
		if _, err := Generate(r()); err == nil {
			t.Error(name, "Generate")
		}
		if _, _, err := k.NewDataKey("acme", r()); err == nil {
			t.Error(name, "NewDataKey")
		}
		if _, _, err := k.Installation().NewSubKey(AD{}, r()); err == nil {
			t.Error(name, "NewSubKey")
		}
		if _, _, err := k.AddNext(r()); err == nil {
			t.Error(name, "AddNext")
		}
	}
	// A generator that repeats itself gives the same id: refused instead of a second key.
	same := func() io.Reader { return bytes.NewReader(bytes.Repeat([]byte{7}, 100)) }
	if _, _, err := must(Generate(same())).AddNext(same()); err == nil {
		t.Error("a repeated key was taken")
	}
	if _, err := Generate(iotest.OneByteReader(same())); err != nil {
		t.Error("a slow reader is fine:", err)
	}
}

func TestManyKeys(t *testing.T) {
	k := generate(t)
	wrapped, _, _ := k.NewDataKey("acme", nil)
	for len(k.IDs()) < maxKeys {
		k = rotated(t, k)
	}
	if _, _, err := k.AddNext(nil); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Error(err)
	}
	if again := must(Parse(k.Text())); !slices.Equal(again.IDs(), k.IDs()) || again.Verify(k.CheckValue()) != nil {
		t.Error("a full keyring must read back and verify")
	}
	if _, err := k.OpenDataKey("acme", wrapped); err != nil {
		t.Error(err)
	}
}

// shapes returns how a log could show a key.
func shapes(secret []byte) []string {
	list := strings.Trim(fmt.Sprint(secret[:8]), "[]")
	goList := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", secret[:8]), "[]byte{"), "}")
	return []string{string(secret[:8]), hex.EncodeToString(secret[:8]), fmt.Sprintf("%X", secret[:8]), fmt.Sprintf("% x", secret[:8]), list, goList,
		strings.ReplaceAll(list, " ", ","), base64.StdEncoding.EncodeToString(secret[:9]), base32Lower.EncodeToString(secret[:10])}
}

// inv-H, cve-61, cve-69: no print verb, log handler, encoder or panic shows a key.
func TestNothingPrintsKeys(t *testing.T) {
	k := rotated(t, generate(t))
	_, dk, _ := k.NewDataKey("acme", nil)
	dk.MAC("warm", []byte("the caches")) // sub-keys exist
	dk.Seal(AD{Table: "t"}, nil)
	var secrets [][]byte
	for _, key := range k.s.keys {
		in := derive(key.secret, "installation")
		secrets = append(secrets, key.secret[:], in[:])
	}
	mac := derive(*dk.s.secret, "mac", "warm")
	secrets = append(secrets, dk.s.secret[:], mac[:])

	var out bytes.Buffer
	type host struct {
		Name string
		Ring *Keyring
		Copy Keyring
		own  Keyring // fmt cannot call methods of unexported fields
		ring *Keyring
		Key  *DataKey
		key  DataKey
		link *DataKey
	}
	h := host{"x", k, *k, *k, k, dk, *dk, dk}
	for _, v := range []any{k, *k, dk, *dk, h, &h, []any{k, dk}, map[string]any{"k": k, "d": *dk}, []*Keyring{k}, []Keyring{*k}, []DataKey{*dk}, [][]any{{*k, *dk}}, []host{h}, k.Installation()} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%w", "%c", "%U", "%b", "% x", "%T", "%!"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		for _, f := range []func(any) ([]byte, error){json.Marshal, xml.Marshal} {
			b, err := f(v)
			fmt.Fprintln(&out, string(b), err)
		}
		opts := &slog.HandlerOptions{Level: slog.LevelDebug}
		slog.New(slog.NewTextHandler(&out, opts)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, opts)).Info("m", "v", v)
		func() {
			defer func() { fmt.Fprintln(&out, recover()) }()
			panic(v)
		}()
	}
	for i, s := range secrets {
		for _, shape := range shapes(s) {
			if strings.Contains(out.String(), shape) {
				t.Errorf("secret %d shown as %q", i, shape)
			}
		}
	}
	if !strings.Contains(k.Text(), shapes(k.s.active.secret[:])[8]) {
		t.Error("the canary must be found where it stands")
	}
	if got, want := k.String(), "keyring(2 keys, active "+k.ActiveID()+")"; got != want || fmt.Sprintf("%#v", *k) != want || k.GoString() != want || k.LogValue().String() != want {
		t.Errorf("String = %q", got)
	}
	if got, want := fmt.Sprintf("%x", dk), "datakey("+dk.ID()+")"; got != want || dk.GoString() != want || dk.LogValue().String() != want {
		t.Errorf("String = %q", got)
	}
	if got := fmt.Sprintf("%v %v %v", Keyring{}, DataKey{}, generate(t)); !strings.HasPrefix(got, "keyring(empty) datakey(empty) keyring(1 key, active k_") {
		t.Errorf("got %q", got)
	}
	_ = fmt.Sprint((*Keyring)(nil), (*DataKey)(nil)) // no panic
}

// inv-G: who has the database alone reads and checks nothing; who has the keyring alone neither.
func TestDatabaseAloneKeyAlone(t *testing.T) {
	k := generate(t)
	wrapped, dk, _ := k.NewDataKey("acme", nil)
	ad := AD{Table: "factor", Column: "secret", Company: "acme", Row: "f1", User: "u1", Kind: "totp"}
	sealed := dk.Seal(ad, []byte("JBSWY3DPEHPK3PXP-canary"))
	code := dk.MAC("code", []byte("123456"))
	check := k.CheckValue()

	// The database: everything that is stored, and a keyring of the thief's own.
	thief := generate(t)
	database := string(wrapped) + string(sealed) + string(code[:]) + check
	for _, secret := range []string{"canary", string(k.s.active.secret[:]), string(dk.s.secret[:]), base32Lower.EncodeToString(k.s.active.secret[:])} {
		if strings.Contains(database, secret) {
			t.Error("the database holds a secret in the clear")
		}
	}
	if _, err := thief.OpenDataKey("acme", wrapped); !errors.Is(err, ErrOpen) {
		t.Error("another keyring opened the company key")
	}
	_, own, _ := thief.NewDataKey("acme", nil)
	for _, d := range []*DataKey{own, thief.Installation()} {
		if _, err := d.Open(ad, sealed); err != ErrOpen {
			t.Error("another key opened the value")
		}
		if d.CheckMAC(code[:], "code", []byte("123456")) {
			t.Error("another key can try codes")
		}
	}

	// The keyring: without the wrapped key nothing leads to the company key, and destroying it is final (rul-38).
	_, again, _ := k.NewDataKey("acme", nil)
	for _, d := range []*DataKey{again, k.Installation()} {
		if _, err := d.Open(ad, sealed); err != ErrOpen {
			t.Error("the keyring alone opened the value")
		}
		if d.MAC("code", []byte("123456")) == code {
			t.Error("the keyring alone makes the company's hashes")
		}
	}
	// Both together are the installation.
	if got, err := must(k.OpenDataKey("acme", wrapped)).Open(ad, sealed); err != nil || !bytes.HasSuffix(got, []byte("canary")) {
		t.Error(err)
	}
}

// Every derived key is its own (rul-38: labelled per purpose), and no two lists of parts mean the same info.
func TestDeriveSeparates(t *testing.T) {
	var secret [keySize]byte
	seen := make(map[[keySize]byte][]string)
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"a"}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"a", "b", "c"}, {"abc", ""}, {"", "abc"},
		{"wrap"}, {"check"}, {"installation"}, {"mac", "x"}, {"seal", "\x01", "x", ""}, {"seal", "\x02", "x", ""}, {"seal", "\x01", "", "x"}} {
		got := derive(secret, parts...)
		if other, dup := seen[got]; dup {
			t.Errorf("%q and %q share a key", parts, other)
		}
		seen[got] = parts
	}
}
