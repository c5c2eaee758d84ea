package otp

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"math"
	"math/rand/v2"
	"testing"
)

// rfcKey is the secret of RFC 4226, appendix D.
var rfcKey = Key{Secret: Secret("12345678901234567890")}

// appendixD is RFC 4226, appendix D: both of its tables.
var appendixD = []struct {
	mac       string
	truncated uint32
	code      string
}{
	{"cc93cf18508d94934c64b65d8ba7667fb7cde4b0", 1284755224, "755224"},
	{"75a48a19d4cbe100644e8ac1397eea747a2d33ab", 1094287082, "287082"},
	{"0bacb7fa082fef30782211938bc1c5e70416ff44", 137359152, "359152"},
	{"66c28227d03a2d5529262ff016a1e6ef76557ece", 1726969429, "969429"},
	{"a904c900a64b35909874b33e61c5938a8e15ed1c", 1640338314, "338314"},
	{"a37e783d7b7233c083d4f62926c7a25f238d0316", 868254676, "254676"},
	{"bc9cd28561042c83f219324d3c607256c03272ae", 1918287922, "287922"},
	{"a4fb960c0bc06e1eabb804e5b397cdc4b45596fa", 82162583, "162583"},
	{"1b3c89f65e6c9e883012052823443f048b4332db", 673399871, "399871"},
	{"1637409809a679dc698207310c8c7fc07290d9e5", 645520489, "520489"},
}

func TestRFC4226AppendixD(t *testing.T) {
	var p pads
	p.set(SHA1, rfcKey.Secret)
	for counter, want := range appendixD {
		mac, _ := hex.DecodeString(want.mac)
		if got := truncate(mac); got != want.truncated {
			t.Errorf("counter %d: truncated %d, want %d", counter, got, want.truncated)
		}
		if got := p.value(uint64(counter)); got != want.truncated {
			t.Errorf("counter %d: value %d, want %d", counter, got, want.truncated)
		}
		if got, err := rfcKey.HOTP(uint64(counter)); got != want.code || err != nil {
			t.Errorf("counter %d: %s, %v; want %s", counter, got, err, want.code)
		}
	}
}

// TestValueIsHMAC compares our padding with crypto/hmac for every algorithm and key
// length, those longer than the block included.
func TestValueIsHMAC(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for a, h := range map[Algorithm]func() hash.Hash{SHA1: sha1.New, SHA256: sha256.New, SHA512: sha512.New} {
		for size := MinSecretSize; size <= MaxSecretSize; size++ {
			key := make([]byte, size)
			for i := range key {
				key[i] = byte(rng.Uint32())
			}
			var p pads
			p.set(a, key)
			for range 3 { // the same pads again: nothing of one step may stay for the next
				counter := rng.Uint64()
				m := hmac.New(h, key)
				m.Write(binary.BigEndian.AppendUint64(nil, counter))
				if got, want := p.value(counter), truncate(m.Sum(nil)); got != want {
					t.Fatalf("%v, %d bytes, counter %d: %d, want %d", a, size, counter, got, want)
				}
			}
		}
	}
}

func TestHOTPRefusesBadKeys(t *testing.T) {
	for _, c := range badKeys {
		if code, err := c.key.HOTP(1); !errors.Is(err, c.want) || code != "" {
			t.Errorf("%+v: %q, %v; want %v", c.key, code, err, c.want)
		}
		if _, ok, err := c.key.CheckHOTP(1, 0, "287082"); !errors.Is(err, c.want) || ok {
			t.Errorf("%+v: check %v, %v; want %v", c.key, ok, err, c.want)
		}
	}
}

// badKeys are keys that no function may compute with. The empty one matters most:
// its codes can be computed by everyone.
var badKeys = []struct {
	key  Key
	want error
}{
	{Key{}, ErrSecretEmpty},
	{Key{Secret: Secret{}}, ErrSecretEmpty},
	{Key{Secret: make(Secret, 9)}, ErrSecretShort},
	{Key{Secret: make(Secret, 129)}, ErrSecretLong},
	{Key{rfcKey.Secret, Params{Algorithm: 7}}, ErrAlgorithm},
	{Key{rfcKey.Secret, Params{Digits: 10}}, ErrDigits},
	{Key{rfcKey.Secret, Params{Period: 3600}}, ErrPeriod},
}

func TestCheckHOTP(t *testing.T) { // std-67
	code := func(counter int) string { return appendixD[counter].code }
	for _, c := range []struct {
		name    string
		counter uint64
		ahead   int
		code    string
		next    uint64
		ok      bool
	}{
		{"the next", 0, 0, code(0), 1, true},
		{"the last of the look-ahead", 2, 3, code(5), 6, true},
		{"one beyond it", 2, 3, code(6), 2, false},
		{"the one before", 3, 3, code(2), 3, false},
		{"an old one", 9, 10, code(0), 9, false},
		{"wrong", 0, 10, "000000", 0, false},
		{"the first of many", 0, 10, code(0), 1, true},
		{"equal codes at 57766335 and 36: the farther", 57766335, 1, "251166", 57766337, true},
	} {
		next, ok, err := rfcKey.CheckHOTP(c.counter, c.ahead, c.code)
		if next != c.next || ok != c.ok || err != nil {
			t.Errorf("%s: %d, %v, %v; want %d, %v", c.name, next, ok, err, c.next, c.ok)
		}
		if ok {
			if _, again, _ := rfcKey.CheckHOTP(next, c.ahead, c.code); again {
				t.Errorf("%s: accepted a second time", c.name)
			}
		}
	}
}

func TestCheckHOTPRanges(t *testing.T) {
	for _, c := range []struct {
		counter uint64
		ahead   int
	}{{0, -1}, {0, 11}, {math.MaxInt64, 1}, {math.MaxInt64 + 1, 0}, {math.MaxUint64, 10}} {
		if next, ok, err := rfcKey.CheckHOTP(c.counter, c.ahead, "755224"); err != ErrWindow || ok || next != c.counter {
			t.Errorf("%d+%d: %d, %v, %v", c.counter, c.ahead, next, ok, err)
		}
	}
	if _, _, err := rfcKey.CheckHOTP(math.MaxInt64-10, 10, "755224"); err != nil {
		t.Error(err)
	}
	if _, ok, err := rfcKey.CheckHOTP(0, 0, " 755224"); ok || err != ErrCodeLetters {
		t.Error(ok, err)
	}
}

func TestFormatKeepsLeadingZeros(t *testing.T) {
	for digits, want := range map[int]string{6: "000042", 7: "0000042", 8: "00000042"} {
		if got := format(42, digits); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := [3]int32{decimal(2147483647, 6), decimal(2147483647, 7), decimal(2147483647, 8)}; got != [3]int32{483647, 7483647, 47483647} {
		t.Error(got)
	}
}

func BenchmarkHOTP(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _ = rfcKey.HOTP(7)
	}
}
