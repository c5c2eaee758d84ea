package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

func TestClean(t *testing.T) {
	for _, c := range []struct {
		in   string
		max  int
		want string
	}{
		{"", 5, ""}, {"plain", 5, "plain"}, {"plain!", 5, "plain"}, {"äöü", 4, "äö"}, {"äöü", 3, "ä"},
		{"a\x00b", 10, "a\uFFFDb"}, {"\xff", 10, "\uFFFD"}, {"\xff\xff\xff", 3, "\uFFFD"}, {"ok\xf0\x9f", 4, "ok"},
		{strings.Repeat("x", 1<<20), 3, "xxx"},
	} {
		if got := clean(c.in, c.max); got != c.want {
			t.Errorf("clean(%.20q, %d) = %q, want %q", c.in, c.max, got, c.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x00\xff", 3)
	f.Fuzz(func(t *testing.T, s string, max int) {
		if max < 0 || max > 1<<16 {
			return
		}
		got := clean(s, max)
		if len(got) > max || !utf8.ValidString(got) || strings.Contains(got, "\x00") || clean(got, max) != got {
			t.Errorf("clean(%q, %d) = %q", s, max, got)
		}
	})
}

func TestGoodID(t *testing.T) {
	for id, want := range map[string]bool{
		"usr_06f0abc": true, "A-z_9": true, "": false, "a b": false, "ü": false, "a\x00": false, "a'": false, "~": false,
		strings.Repeat("a", 64): true, strings.Repeat("a", 65): false,
	} {
		if goodID(id) != want {
			t.Errorf("goodID(%q) = %v", id, !want)
		}
	}
}

func TestDocument(t *testing.T) {
	for doc, ok := range map[string]bool{"": true, `{"a":1}`: true, `{`: false, "{\"a\":\"\xff\"}": false, "\x00": false, strings.Repeat(" ", maxDocument) + "1": false} {
		if _, err := document("x", []byte(doc)); (err == nil) != ok {
			t.Errorf("%.20q: %v", doc, err)
		}
	}
}

func TestPersonalPacking(t *testing.T) {
	salt, doc, ok := unpackPersonal(packPersonal([]byte("salt"), []byte("doc")))
	if !ok || string(salt) != "salt" || string(doc) != "doc" {
		t.Error("not what was packed")
	}
	for _, b := range [][]byte{nil, {0}, {0, 5, 1}} {
		if _, _, ok := unpackPersonal(b); ok {
			t.Errorf("%v unpacks", b)
		}
	}
}

// TestCommitment (rul-40): it says nothing without the salt, and binds the event.
func TestCommitment(t *testing.T) {
	ring, err := keyring.Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	key := ring.Installation()
	a := commitment(key, []byte("1"), "evt_1", []byte("doc"))
	for _, b := range [][]byte{commitment(key, []byte("2"), "evt_1", []byte("doc")), commitment(key, []byte("1"), "evt_2", []byte("doc")), commitment(key, []byte("1"), "evt_1", []byte("other"))} {
		if bytes.Equal(a, b) {
			t.Error("two events share a commitment")
		}
	}
}

func TestEmbeddedMigrations(t *testing.T) {
	list, err := migrations(migrationFiles)
	if err != nil || len(list) == 0 {
		t.Fatal(err)
	}
	d := &Dialect{Macros: map[string]string{"text": "TEXT", "int": "INTEGER", "bool": "INTEGER", "blob": "BLOB", "json": "TEXT", "strict": "STRICT", "false": "0", "true": "1"}}
	for _, m := range list {
		for _, s := range m.statements(d) {
			if strings.ContainsAny(s, "@;") || strings.Contains(s, "--") {
				t.Errorf("%s: %s", m.name, s)
			}
		}
	}
}

func TestMigrationNumbers(t *testing.T) {
	for name, files := range map[string]fstest.MapFS{
		"gap":    {"migrations/0001_a.sql": {}, "migrations/0003_b.sql": {}},
		"twice":  {"migrations/0001_a.sql": {}, "migrations/0001_b.sql": {}},
		"no one": {"migrations/a.sql": {}},
	} {
		if _, err := migrations(files); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// TestKeyCache: bounded, and what was dropped comes back from the database.
func TestKeyCache(t *testing.T) {
	var c keyCache
	ring, err := keyring.Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxKeys + 10 {
		c.put(strings.Repeat("x", i), ring.Installation())
	}
	if len(c.m) != maxKeys {
		t.Errorf("%d keys", len(c.m))
	}
}

// refusing is a Querier whose statements fail with an error full of parameters.
type refusing struct{ err error }

func (r refusing) ExecContext(context.Context, string, ...any) (sql.Result, error) { return nil, r.err }
func (r refusing) QueryContext(context.Context, string, ...any) (*sql.Rows, error) { return nil, r.err }

// TestFailureIsRemembered: whatever an operation makes of the error, the
// transaction is taken for lost, and the error holds no parameter (inv-H).
func TestFailureIsRemembered(t *testing.T) {
	d := &Dialect{Failure: func(error) *Failure { return &Failure{Code: "13", Busy: true} }}
	tx := NewTx(context.Background(), refusing{errors.New("canary")}, d)
	_, err := tx.exec("INSERT")
	if !errors.Is(err, authn.Busy) || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
	if tx.Failed() == nil {
		t.Fatal("forgotten")
	}
	if _, err := tx.exec("INSERT"); err != errAfterFailure {
		t.Errorf("goes on: %v", err)
	}
	if _, err := tx.one("SELECT", nil); err != errAfterFailure {
		t.Errorf("goes on: %v", err)
	}
	if err := (&Failure{Code: "23505"}).Answer(); !errors.Is(err, authn.Internal) {
		t.Errorf("got %v", err)
	}
}

func TestTimes(t *testing.T) {
	if micros(time.Time{}) != 0 || !timeOf(0).IsZero() {
		t.Error("the zero time is not 0")
	}
	at := time.Date(2038, 1, 20, 0, 0, 0, 1000, time.FixedZone("x", 3600))
	if got := timeOf(micros(at)); !got.Equal(at) || got.Location() != time.UTC {
		t.Errorf("%v", got)
	}
}

// TestCodeSeed (rul-15): every part is bound, and none runs into the next.
func TestCodeSeed(t *testing.T) {
	ring, err := keyring.Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	newKey := func(company string) *keyring.DataKey {
		_, key, err := ring.NewDataKey(company, nil)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	key, nonce := newKey("cmp_1"), []byte("0123456789abcdef")
	c := authn.Challenge{Purpose: "sign_in", Company: "cmp_1", User: "usr_1", Attempt: "att_1", ID: "msg_1", Factor: "fac_1", Kind: "email", Destination: "a@b.example"}
	seed := codeSeed(key, &c, nonce)
	if len(seed) != 32 || !bytes.Equal(seed, codeSeed(key, &c, bytes.Clone(nonce))) {
		t.Fatal("not the same twice")
	}
	d := c
	d.Sends, d.Lane, d.SentAt, d.CreatedAt, d.ExpiresAt = 3, authn.Known, time.Now(), time.Now(), time.Now()
	if !bytes.Equal(seed, codeSeed(key, &d, nonce)) {
		t.Error("sending it again makes another code")
	}
	seen := map[string]string{string(seed): "as it is"}
	check := func(name string, seed []byte) {
		t.Helper()
		if other, ok := seen[string(seed)]; ok {
			t.Errorf("%s: the same code as %s", name, other)
		}
		seen[string(seed)] = name
	}
	check("another key", codeSeed(newKey("cmp_1"), &c, nonce))
	check("another nonce", codeSeed(key, &c, []byte("0123456789abcdeg")))
	check("no nonce", codeSeed(key, &c, nil))
	parts := []func(*authn.Challenge) *string{
		func(c *authn.Challenge) *string { return (*string)(&c.Purpose) }, func(c *authn.Challenge) *string { return &c.Company },
		func(c *authn.Challenge) *string { return &c.User }, func(c *authn.Challenge) *string { return &c.Attempt },
		func(c *authn.Challenge) *string { return &c.ID }, func(c *authn.Challenge) *string { return &c.Factor },
		func(c *authn.Challenge) *string { return (*string)(&c.Kind) }, func(c *authn.Challenge) *string { return &c.Destination },
	}
	for i, part := range parts {
		for _, value := range []string{"", "x", *part(&c) + "x", *part(&c) + "\x00"} {
			d := c
			*part(&d) = value
			check(fmt.Sprintf("part %d is %q", i, value), codeSeed(key, &d, nonce))
		}
		if i+1 < len(parts) { // the end of one at the beginning of the next
			d := c
			a, b := part(&d), parts[i+1](&d)
			*a, *b = (*a)[:len(*a)-1], (*a)[len(*a)-1:]+*b
			check(fmt.Sprintf("part %d runs over", i), codeSeed(key, &d, nonce))
		}
	}
}
