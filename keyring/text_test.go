package keyring

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// noKeys fails if an error repeats key material of a text (inv-H).
func noKeys(t testing.TB, text string, err error) {
	t.Helper()
	for _, field := range regexp.MustCompile(`[a-zA-Z2-7]{40,}`).FindAllString(text, -1) {
		for i := 0; i+10 <= len(field); i++ {
			if strings.Contains(err.Error(), field[i:i+10]) {
				t.Errorf("error repeats a key: %v", err)
				return
			}
		}
	}
}

// signed writes key lines with right checksums, to reach what is behind them.
func signed(lines ...string) string {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%s %s\n", l, checksum(l))
	}
	return fmt.Sprintf("%s\n%send %d %s\n", textHeader, b.String(), len(lines), checksum(b.String()))
}

const (
	idA, idB = "k_aaaaaaaaaaaaaaaa", "k_bbbbbbbbbbbbbbbb"
	date     = "2026-02-03T04:05:06Z"
)

var secretA, secretB = strings.Repeat("ab", 25) + "qa", strings.Repeat("cd", 25) + "qa"

func TestParse(t *testing.T) {
	good := "key " + idA + " " + date + " active " + secretA
	prev := "key " + idB + " " + date + " previous " + secretB
	one := generate(t)
	text := rotated(t, one).Text()
	lines := strings.SplitAfter(text, "\n")
	for name, tc := range map[string]struct{ text, want string }{
		"as written":           {text, ""},
		"signed by the test":   {signed(good, prev), ""},
		"active second":        {signed(prev, good), ""},
		"carriage returns":     {strings.ReplaceAll(text, "\n", "\r\n"), ""},
		"one line":             {strings.ReplaceAll(text, "\n", ";"), ""},
		"one line, line feed":  {strings.ReplaceAll(text, "\n", ";") + "\n", ""},
		"no last line feed":    {strings.TrimSpace(text), ""},
		"comments and spaces":  {"\t " + strings.Replace(text, "\nkey ", "\n\n# mine\n  key   ", 1) + "\n# end\n", ""},
		"empty":                {"", "empty"},
		"blank":                {"\n \n", "empty"},
		"NUL":                  {strings.Replace(text, "\nkey", "\nk\x00y", 1), "line 4 holds bytes"},
		"escape":               {text + "# \x1b[2J\n", "holds bytes"},
		"too large":            {text + strings.Repeat("#", maxText), "longer"},
		"no header":            {strings.Join(lines[1:], ""), "line 1 is not"},
		"later version":        {strings.Replace(text, "-v1", "-v2", 1), "another version"},
		"header only":          {textHeader, "cut off"},
		"no end":               {strings.Join(lines[:len(lines)-2], ""), "cut off"},
		"no keys":              {signed(), "no key is active"},
		"line lost":            {strings.Join(slices.Concat(lines[:3], lines[4:]), ""), "line 5 does not fit"},
		"lines swapped":        {strings.Join(slices.Concat(lines[:3], lines[4:5], lines[3:4], lines[5:]), ""), "line 6 does not fit"},
		"line after the end":   {text + lines[3], "line 7 stands after"},
		"two ends":             {text + lines[5], "line 7 stands after"},
		"flipped":              {strings.Replace(text, lines[4][40:42], "0!", 1), "line"},
		"state changed":        {strings.Replace(text, "previous", "next", 1), "line 4 was changed"},
		"cut line":             {strings.Replace(text, " active ", " ", 1), "line 5 is not complete"},
		"unknown line":         {strings.Replace(text, "key ", secretA+" ", 1), "line 4 begins with neither"},
		"two active":           {signed(good, strings.Replace(prev, "previous", "active", 1)), "both active"},
		"none active":          {signed(prev), "no key is active"},
		"next only":            {signed(strings.Replace(prev, "previous", "next", 1)), "no key is active"},
		"id twice":             {signed(good, strings.Replace(prev, idB, idA, 1)), idA + " stands twice"},
		"key twice":            {signed(good, strings.Replace(prev, secretB, secretA, 1)), idB + " is a copy"},
		"unknown state":        {signed(strings.Replace(good, "active", secretB, 1)), "line 2 has a state"},
		"bad id":               {signed(strings.Replace(good, idA, secretB, 1)), "line 2 has no key id"},
		"upper-case id":        {signed(strings.Replace(good, idA, "k_AAAAAAAAAAAAAAAA", 1)), "line 2 has no key id"},
		"short id":             {signed(strings.Replace(good, idA, "k_aa", 1)), "line 2 has no key id"},
		"bad date":             {signed(strings.Replace(good, date, secretB, 1)), "line 2 has no date"},
		"date with fraction":   {signed(strings.Replace(good, "06Z", "06.5Z", 1)), "line 2 has no date"},
		"date with offset":     {signed(strings.Replace(good, "06Z", "06+01:00", 1)), "line 2 has no date"},
		"short key":            {signed(good[:len(good)-2]), "line 2 has no key of"},
		"long key":             {signed(good + "aa"), "line 2 has no key of"},
		"upper-case key":       {signed(strings.Replace(good, "abab", "ABAB", 1)), "line 2 has no key of"},
		"loose bits":           {signed(good[:len(good)-1] + "b"), "line 2 has no key of"}, // the last character carries one bit
		"zeros":                {signed(good[:len(good)-52] + strings.Repeat("a", 52)), "line 2 has a key of zeros"},
		"too many":             {signed(slices.Repeat([]string{prev}, maxKeys+1)...), "one key too many"},
		"a path instead":       {"/etc/sallyport/keyring", "not a keyring"},
		"unprintable elsewise": {"\xff\xfe\xff", "not a keyring"},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := Parse(tc.text)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if again := must(Parse(k.Text())); again.Text() != k.Text() {
					t.Error("Text changes by reading it")
				}
				return
			}
			if err == nil || k != nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want %q", err, tc.want)
			}
			noKeys(t, tc.text, err)
		})
	}
}

// Every changed byte of a keyring is noticed, or harmless (comments, spaces): no keyring with other keys comes out.
func TestEveryByteOfTheText(t *testing.T) {
	k := rotated(t, generate(t))
	text := k.Text()
	for i := range text {
		for bit := range 8 {
			b := []byte(text)
			b[i] ^= 1 << bit
			got, err := Parse(string(b))
			if err != nil {
				noKeys(t, string(b), err)
			} else if got.Text() != text {
				t.Fatalf("byte %d bit %d: another keyring was read", i, bit)
			}
		}
	}
	for n := range len(text) - 1 {
		if _, err := Parse(text[:n]); err == nil {
			t.Fatalf("cut to %d of %d bytes and accepted", n, len(text))
		} else {
			noKeys(t, text, err)
		}
	}
}

func TestTextIsForPeople(t *testing.T) {
	text := generate(t).Text()
	if !strings.HasPrefix(text, "sallyport-keyring-v1\n# Root keys of this Sallyport installation.") || strings.Contains(text, ";") {
		t.Errorf("text:\n%s", text)
	}
	if strings.Count(text, "\n") != 5 || !strings.HasSuffix(text, "\n") {
		t.Error("header, two lines of advice, key, end")
	}
}

// What is stored must open for ever: a keyring, and what it checked, wrapped, sealed and hashed when this test was written.
func TestGolden(t *testing.T) {
	const (
		text    = "sallyport-keyring-v1\nkey k_aebagaicamaqeayb " + date + " active aibqcaqdaebagaicamaqeaybaibqcaqdaebagaicamaqeaybaibq tmo33l5a\nend 1 ijy5vn74\n"
		check   = "v1 k_aebagaicamaqeayb=sdxefngcbjhn26ml2cdgalop2y"
		wrapped = "0301020301020301020301ce6a0d7da9d9b9a731b227f8a707792b0c7f91952755a4d3df5103b90b979038ade33a31693f744b26ae3fa2f103d48cf6a2e197e850cdd5a115cbf355e5f8f6f51baaee93bf"
		value   = "01090807090807090807096cd25443c2a3d66df86499fdae347b7a026edb980f0683df1ca6fecb08e4ede71afd176689b1a6b2103fc4a1"
		inner   = "0209080709080709080709dca97b442973c9f024af1773c44fdedc18cfd38f0a5f16eaced8549c5ecabdb82a180724199f9ca6b77d3e1852db92921cd5f8a9368df8b5f7711b08964d61a7673759da7afb"
		mac     = "c80ffb6e22c33a5225e73cd39ef8c357981591141a67ac5a3ea8de1790a2c145"
		install = "fd76586054843954e0c807370dd2e3f48979a994db47d6c77b7d860cfab70ac2"
	)
	unhex := func(s string) []byte { return must(hex.DecodeString(s)) }
	k := must(Parse(text))
	if k.CheckValue() != check {
		t.Errorf("check value %s", k.CheckValue())
	}
	dk, err := k.OpenDataKey("acme", unhex(wrapped))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := dk.Open(fullAD, unhex(value)); err != nil || string(got) != "JBSWY3DPEHPK3PXP" {
		t.Errorf("%q, %v", got, err)
	}
	if sub, err := dk.OpenSubKey(fullAD, unhex(inner)); err != nil || sub.ID() != "d_aecqkaifauaqkbib" {
		t.Errorf("%v, %v", sub, err)
	}
	if !dk.CheckMAC(unhex(mac), "code", []byte("acme"), []byte("123456")) {
		t.Error("MAC of a company")
	}
	if !k.Installation().CheckMAC(unhex(install), "name", []byte("ann")) {
		t.Error("MAC of the installation")
	}
}

// No text makes Parse panic, repeat a key in its error, or give a keyring that does not write and read back the same.
func FuzzParse(f *testing.F) {
	text := rotated(f, generate(f)).Text()
	for _, s := range []string{"", text, strings.ReplaceAll(text, "\n", ";"), text[:100], textHeader + "\nend 0 ", signed("key " + idA + " " + date + " active " + secretA)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		// Also with right checksums, so that the fuzzer gets past them.
		for _, text := range []string{s, signed(strings.Split(s, "\n")...)} {
			k, err := Parse(text)
			if err != nil {
				if k != nil {
					t.Fatal("a keyring beside an error")
				}
				noKeys(t, text, err)
				continue
			}
			again, err := Parse(k.Text())
			if err != nil || again.Text() != k.Text() || again.Verify(k.CheckValue()) != nil {
				t.Fatalf("does not read back: %v", err)
			}
		}
	})
}
