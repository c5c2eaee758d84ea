package password

import (
	"context"
	"math"
	"runtime"
	"strings"
	"time"
	"unicode"

	zxcvbn "github.com/ccojocar/zxcvbn-go"
	"github.com/ccojocar/zxcvbn-go/matching"
	"golang.org/x/text/unicode/norm"

	"github.com/sallyport-mfa/sallyport/authn"
)

const (
	// maxScored is how many characters are looked at: the library's work grows with
	// more than their square, and what has more is told by these.
	maxScored = 64
	// meterWait is how long advice waits for its turn. It is given up before anything
	// that somebody needs.
	meterWait = 250 * time.Millisecond
	// savedByRepeats is how many characters a repetition must have to count as one:
	// the double letters of words do not.
	savedByRepeats = 3
)

// meterSlots are the passwords that are judged at once: never all processors, which
// hashes need.
func meterSlots() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// Strength says how hard a password is to guess for somebody who knows the person.
// It is advice: what Check lets through may be chosen whatever its strength. Whether
// it has leaked is not asked here, since that may leave this machine. No more than
// half of the processors judge at once; Busy: too many ask.
func (m *Method) Strength(ctx context.Context, password string, u authn.User, company authn.Company) (authn.Strength, error) {
	if err := shape("password", password); err != nil {
		return authn.Strength{}, err
	}
	wait := time.NewTimer(meterWait)
	defer wait.Stop()
	select {
	case m.meter <- struct{}{}:
		defer func() { <-m.meter }()
	case <-wait.C:
		return authn.Strength{}, &authn.Error{Code: authn.Busy, RetryAfter: time.Second}
	case <-ctx.Done():
		return authn.Strength{}, &authn.Error{Code: authn.Busy, RetryAfter: time.Second, Err: ctx.Err()}
	}
	folded := fold(password)
	bare, words := keep(folded), contextWords(u, company)
	for _, word := range words {
		if isWord(folded, bare, fold(word)) {
			return authn.Strength{Advice: authn.AdviceName}, nil
		}
	}
	if m.isCommon(folded, bare) {
		return authn.Strength{Advice: authn.AdviceCommon}, nil
	}
	return strengthOf(password, words), nil
}

// strengthOf takes the least of what a few readings of the password say.
func strengthOf(password string, words []string) authn.Strength {
	known := make([]string, 0, len(words))
	for _, w := range words {
		if w = plain(w); len(w) > 2 { // a name of two letters is in every word
			known = append(known, w)
		}
	}
	typed := plain(password)
	short, times := unrepeated(typed)
	bits, names := entropy(typed, known)
	advice := authn.AdviceLonger
	if short != typed {
		if b, n := entropy(short, known); b+math.Log2(float64(times)) < bits {
			bits, names, advice = b+math.Log2(float64(times)), n, authn.AdviceRepeats
		}
	}
	if spelt := unswapped.Replace(short); spelt != short {
		// The library tries every set of swaps, and there can be millions.
		if b, n := entropy(spelt, known); b+1+math.Log2(float64(times)) < bits {
			bits, names = b+1+math.Log2(float64(times)), n
		}
	}
	score := scoreOf(bits)
	switch {
	case score >= 3:
		advice = ""
	case names:
		advice = authn.AdviceName
	}
	return authn.Strength{Score: score, Advice: advice}
}

// entropy is in bits; names reports whether a word of the person is part of it.
func entropy(s string, known []string) (bits float64, names bool) {
	r := zxcvbn.PasswordStrength(s, known, matching.FilterL33tMatcher)
	for _, part := range r.MatchSequence {
		names = names || part.DictionaryName == "user_inputs"
	}
	return r.Entropy, names
}

// scoreOf has the steps of the library: 10^2, 10^4, 10^6 and 10^8 seconds at 10,000
// guesses a second, which is far more than a hash of ours allows.
func scoreOf(bits float64) int {
	seconds, score := math.Exp2(bits-1)/10_000, 0
	for limit := 100.0; score < 4 && seconds >= limit; limit *= 100 {
		score++
	}
	return score
}

// plain writes the first characters of s with one byte each, which the library needs:
// its dictionaries count characters and its sums count bytes. Accents go; a letter of
// another script becomes some Latin one, always the same, so that names and
// repetitions are known again, and each is worth no more than a Latin letter.
func plain(s string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(undivided.Replace(firstRunes(s, maxScored))) {
		switch {
		case b.Len() == maxScored:
			return b.String()
		case unicode.IsMark(r):
		case r < ' ' || r == 0x7f:
			b.WriteByte(' ')
		case r > 0x7f:
			b.WriteByte(byte('a' + r%26))
		default:
			b.WriteByte(byte(r))
		}
	}
	return b.String()
}

// undivided are Latin letters that have no accent to take off.
var undivided = strings.NewReplacer("ł", "l", "Ł", "L", "đ", "d", "Đ", "D", "ø", "o", "Ø", "O", "ß", "ss", "æ", "ae", "Æ", "AE", "œ", "oe", "Œ", "OE", "ı", "i")

func firstRunes(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// unswapped takes signs for the letters that they most often stand for.
var unswapped = strings.NewReplacer("4", "a", "@", "a", "8", "b", "(", "c", "3", "e", "6", "g", "9", "g", "1", "i", "!", "i", "|", "l", "0", "o", "$", "s", "5", "s", "7", "t", "+", "t", "%", "x", "2", "z")

// unrepeated is s with what stands several times in a row standing once, the longest
// such run first, and how many times there were together. "ababababab" would count as
// ten letters otherwise.
func unrepeated(s string) (string, int) {
	times := 1
	for {
		at, unit, n := longestRun(s)
		if unit*(n-1) < savedByRepeats {
			return s, times
		}
		s, times = s[:at+unit]+s[at+unit*n:], times*n
	}
}

// longestRun finds where a piece of s of unit bytes is followed by itself, n times in
// all, so that leaving the others out saves most; n is 1 if there is none.
func longestRun(s string) (at, unit, n int) {
	n = 1
	for length := 1; length <= len(s)/2; length++ {
		for i, same := len(s)-length-1, 0; i >= 0; i-- {
			if s[i] == s[i+length] {
				same++
			} else {
				same = 0
			}
			if count := same/length + 1; length*(count-1) > unit*(n-1) {
				at, unit, n = i, length, count
			}
		}
	}
	return at, unit, n
}
