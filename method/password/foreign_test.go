package password

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Hashes of "correct horse battery" by other programs: libxcrypt, and Python's
// hashlib for the rest.
const elsewhere = "correct horse battery"

var foreigners = []string{
	"$2b$08$abcdefghijklmnopqrstuuwezlW09AGl.Qc8oiYvHEzrpumH/GaSu",
	"$scrypt$ln=14,r=8,p=1$c2l4dGVlbiBieXRlcyBvaw$Dv99HshPRG57Gr3txOmT/+Dnj9tgAKS5aTlg0+0f9ZA",
	"$pbkdf2-sha256$12000$c2l4dGVlbiBieXRlcyBvaw$2tAmvC0wRGtNg.SEVihxZwWi2BV9IrYzHr.XAE45jg8",
	"pbkdf2_sha256$12000$saltOfDjango22$Scnkwhe8xCGbOhv9MicTx2MwdF6/SPEf3aStAtNBUlQ=",
}

// rul-24: hashes of other systems work once, and are then argon2id like all others.
func TestForeignHashes_rul24(t *testing.T) {
	m, d := newCheap(t, cheap)
	for _, text := range foreigners {
		if err := m.CheckHash(text); err != nil {
			t.Errorf("%.12s: %v", text, err)
			continue
		}
		if got := outcome(t, m, []byte(text), elsewhere+"!"); got != authn.Wrong {
			t.Errorf("%.12s: %v with another password", text, got)
		}
		match, err := m.Verify(t.Context(), authn.Request{Secret: []byte(text)}, authn.Answer{Password: elsewhere})
		if err != nil || match.Outcome != authn.Right || !strings.HasPrefix(string(match.Rehash), "$argon2id$") {
			t.Fatalf("%.12s: %v %v", text, match.Outcome, err)
		}
		if outcome(t, m, match.Rehash, elsewhere) != authn.Right || outcome(t, m, match.Rehash, elsewhere+"!") != authn.Wrong {
			t.Errorf("%.12s: the new hash is of another password", text)
		}
	}
	if d.inside != 0 {
		t.Errorf("%d did not leave the gate", d.inside)
	}
	// std-6, cve-69: bcrypt reads 72 bytes; what it does not read is never right.
	long := strings.Repeat("y", 72)
	text, err := bcrypt.GenerateFromPassword([]byte(long), 8)
	if err != nil {
		t.Fatal(err)
	}
	if outcome(t, m, text, long) != authn.Right || outcome(t, m, text, long+"a") != authn.Wrong || outcome(t, m, text, long[1:]) != authn.Wrong {
		t.Error("bcrypt cut the password")
	}
}

// Hostile hashes are refused before they cost anything (security.md 4.5).
func TestForeignBounds_rul24(t *testing.T) {
	m, _ := newCheap(t, cheap)
	replace := func(i int, from, to string) string { return strings.Replace(foreigners[i], from, to, 1) }
	for name, text := range map[string]string{
		"bcrypt of a day":        replace(0, "$08$", "$31$"),
		"bcrypt of a moment":     replace(0, "$08$", "$04$"),
		"bcrypt, cost 0":         replace(0, "$08$", "$00$"),
		"bcrypt, no cost":        replace(0, "$08$", "$xx$"),
		"the broken bcrypt":      replace(0, "$2b$", "$2x$"),
		"bcrypt, cut":            foreigners[0][:59],
		"bcrypt, longer":         foreigners[0] + "a",
		"bcrypt, a letter":       replace(0, "GaSu", "Ga u"),
		"scrypt of 128 MiB":      replace(1, "ln=14", "ln=17"),
		"scrypt of all memory":   replace(1, "ln=14", "ln=63"),
		"scrypt of 2 KiB":        replace(1, "ln=14", "ln=4"),
		"scrypt, large blocks":   replace(1, "r=8", "r=64"),
		"scrypt, many lanes":     replace(1, "p=1", "p=999"),
		"scrypt, n as it is":     replace(1, "ln=14", "ln=16384"),
		"scrypt, no salt":        replace(1, "c2l4dGVlbiBieXRlcyBvaw", ""),
		"scrypt, a short tag":    foreigners[1][:len(foreigners[1])-4],
		"pbkdf2 of minutes":      replace(2, "12000", "9999999"),
		"pbkdf2 of a moment":     replace(2, "12000", "1000"),
		"pbkdf2, a number twice": replace(2, "12000", "012000"),
		"pbkdf2, a line break":   replace(2, "$2tAm", "$\n2tAm"),
		"django, no padding":     strings.TrimSuffix(foreigners[3], "="),
		"django, no salt":        replace(3, "saltOfDjango22", ""),
		"another digest":         replace(3, "pbkdf2_sha256", "pbkdf2_sha1"),
		"md5":                    "$1$abcdefgh$irWbblnpmw.5z7wgBnprh0",
		"sha512crypt":            "$6$rounds=999999999$saltstring$x",
		"plain":                  elsewhere,
		"nothing":                "",
		"a book":                 "$2b$08$" + strings.Repeat("a", 1<<16),
	} {
		if err := m.CheckHash(text); err == nil {
			t.Errorf("%s is taken", name)
		} else if len(text) > 20 && strings.Contains(err.Error(), text[10:20]) {
			t.Errorf("%s: the error repeats it", name)
		}
	}
}

// Whatever is taken is within the bounds, and costs no more memory than the gate
// is told.
func FuzzParseAny(f *testing.F) {
	for _, text := range foreigners {
		f.Add(text)
	}
	f.Add("$argon2id$v=19$m=65536,t=10,p=4$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseAny(text, floor)
		if err != nil {
			return
		}
		x, is := h.(foreign)
		if h.weight() > 65_536 || len(text) > maxPHC || is && (!h.below(current) || x.derive != nil && (len(x.tag) != tagLen || len(x.salt) < 8 || len(x.salt) > maxSalt)) {
			t.Errorf("accepted %q", text)
		}
		if is && x.derive == nil {
			if cost, err := bcrypt.Cost(x.tag); err != nil || cost < minBcrypt || cost > maxBcrypt {
				t.Errorf("accepted bcrypt of cost %d: %v", cost, err)
			}
		}
	})
}
