package authn

// Strength is how hard a password is to guess, as advice to whoever chooses it. No
// password is refused for it.
type Strength struct {
	Score  int    // 0, guessed at once, to 4, not in a lifetime
	Advice Advice // what would help; empty: nothing has to
}

// Advice is what would make a password harder to guess.
type Advice string

// What is said of a password that could be better.
const (
	AdviceName    Advice = "name"    // it is made of what anybody would try for this person or company
	AdviceCommon  Advice = "common"  // many people use it
	AdviceRepeats Advice = "repeats" // the same over and over
	AdviceLonger  Advice = "longer"  // another word or two
)

// StrengthWords are the scores in words; texts are named by them.
var StrengthWords = [...]string{"very_weak", "weak", "fair", "good", "strong"}

// Word is the score in a word of StrengthWords.
func (s Strength) Word() string { return StrengthWords[min(max(s.Score, 0), len(StrengthWords)-1)] }
