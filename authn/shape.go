package authn

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Shape is everything of a person that package policy looks at, apart from time:
// people of one shape are asked for the same. A company has few shapes however
// many people it has, so that a policy is tried out on all of them.
type Shape struct {
	Audience Audience
	Status   UserStatus
	Roles    []string // sorted; those that a Shape's text has room for, see ShapeOf
	Required bool     // RequireTwoFactor
	API      bool
	Exempt   bool // ExemptUntil is later than the time of ShapeOf
	Secured  bool // somebody pressed "this wasn't me", and the password is not changed yet
	// HadFactor: there once was a way of their own. TakenBack: it was so new when the
	// account was secured that it may have been a stranger's.
	HadFactor, TakenBack bool
	Email                bool   // has an address that codes may go to
	Phone                bool   // has a number that codes may go to
	Locked               bool   // wrong answers have used up every way of theirs for unknown browsers
	Password             bool   // has one
	Saved                bool   // has backup codes left
	Asks                 bool   // asked an administrator for help; no rule looks at it, lists do
	Kinds                []Kind // ways of their own that are active, sorted, each once
	Asleep               []Kind // those that sleep, the same
	// Rounds are the greatest Factor.Round of each of Kinds, and of backup codes if
	// Saved, where that is not 0. Passkeys have their own.
	Rounds map[Kind]int
	// Passkeys are the sorts of those that are active; with passkeys among Kinds at least one.
	Passkeys []PasskeyShape
}

const (
	shapeVersion = "1"
	maxShape     = 400 // bytes of a Shape's text
)

// ShapeOf is the shape of a person with all their factors at now. Of roles that do
// not fit into 400 bytes the last ones in the alphabet are left out.
func ShapeOf(u User, factors []Factor, now time.Time) Shape {
	s := Shape{
		Audience: u.Audience, Status: u.Status, Required: u.RequireTwoFactor, API: u.API, Exempt: u.ExemptUntil.After(now),
		Secured: !u.SecuredAt.IsZero(), HadFactor: !u.HadFactorAt.IsZero(),
		Email: u.EmailReaches(), Phone: u.Phone != "" && !u.PhoneTrustedAt.IsZero(), Asks: !u.HelpAskedAt.IsZero(),
	}
	if s.Audience != ExternalAudience {
		s.Audience = InternalAudience
	}
	if s.Status != Active {
		s.Status = Suspended
	}
	s.TakenBack = s.HadFactor && s.Secured && u.SecuredAt.Sub(u.HadFactorAt) < NotMeLives
	usable := false
	round := func(f Factor) {
		if f.Round > s.Rounds[f.Kind] {
			if s.Rounds == nil {
				s.Rounds = map[Kind]int{}
			}
			s.Rounds[f.Kind] = f.Round
		}
	}
	for _, f := range factors {
		switch {
		case f.Kind == Password:
			s.Password = s.Password || f.State == Confirmed
		case f.Kind == BackupCode:
			if f.State == Confirmed && f.Left > 0 {
				s.Saved = true
				round(f)
			}
		case !f.Kind.Own() || !shapeWord.MatchString(string(f.Kind)):
		case f.State == Confirmed:
			s.Kinds = append(s.Kinds, f.Kind)
			if f.Kind == WebAuthn {
				s.addPasskey(f)
			} else {
				round(f)
			}
			usable = usable || f.Counts[Stranger].Tries < ShareStranger
		case f.State == Asleep:
			s.Asleep = append(s.Asleep, f.Kind)
		}
	}
	s.Kinds, s.Asleep, s.Passkeys = sorted(s.Kinds), sorted(s.Asleep), sortedPasskeys(s.Passkeys)
	s.Locked = len(s.Kinds) > 0 && !usable
	s.Roles = sorted(slices.DeleteFunc(slices.Clone(u.Roles), func(r string) bool { return !shapeWord.MatchString(r) }))
	for len(s.Roles) > 0 && len(s.String()) > maxShape {
		s.Roles = s.Roles[:len(s.Roles)-1]
	}
	return s
}

func sorted[T ~string](list []T) []T {
	slices.Sort(list)
	if list = slices.Compact(list); len(list) == 0 {
		return nil
	}
	return list
}

var shapeWord = regexp.MustCompile(`^[a-z0-9_-]{1,40}$`)

// flags are the yes-or-no parts in the order in which they are written.
func (s *Shape) flags() []struct {
	letter byte
	is     *bool
} {
	return []struct {
		letter byte
		is     *bool
	}{
		{'r', &s.Required}, {'a', &s.API}, {'x', &s.Exempt}, {'s', &s.Secured}, {'h', &s.HadFactor}, {'t', &s.TakenBack},
		{'e', &s.Email}, {'p', &s.Phone}, {'l', &s.Locked}, {'w', &s.Password}, {'b', &s.Saved}, {'q', &s.Asks},
	}
}

// String is the canonical text: equal shapes have equal texts of at most 400 bytes
// of a–z, 0–9 and "_-,.".
func (s Shape) String() string {
	var flags []byte
	for _, f := range s.flags() {
		if *f.is {
			flags = append(flags, f.letter)
		}
	}
	return strings.Join([]string{shapeVersion, string(s.Audience), string(s.Status), string(flags), strings.Join(s.Roles, ","), s.words(), words(s.Asleep)}, ".")
}

// words are the kinds that are active, with the rounds of those that have one, and
// the backup codes where they do; passkeys by their sorts.
func (s Shape) words() string {
	kinds := s.Kinds
	if s.Saved && s.Rounds[BackupCode] > 0 {
		kinds = append(slices.Clone(kinds), BackupCode)
	}
	var out []string
	for _, k := range kinds {
		switch n := s.Rounds[k]; {
		case k == WebAuthn:
			out = append(out, s.passkeyWords()...)
		case n > 0:
			out = append(out, string(k)+"-"+strconv.Itoa(n))
		default:
			out = append(out, string(k))
		}
	}
	return strings.Join(out, ",")
}

func words(kinds []Kind) string {
	var out []string
	for _, k := range kinds {
		out = append(out, string(k))
	}
	return strings.Join(out, ",")
}

// ParseShape reads what String wrote, and nothing else.
func ParseShape(text string) (Shape, error) {
	parts := strings.Split(text, ".")
	if len(text) > maxShape || len(parts) != 7 || parts[0] != shapeVersion {
		return Shape{}, fmt.Errorf("authn: %.20q is no shape", text)
	}
	s := Shape{Audience: Audience(parts[1]), Status: UserStatus(parts[2])}
	for _, f := range s.flags() {
		*f.is = strings.IndexByte(parts[3], f.letter) >= 0
	}
	list := func(text string) []string {
		if text == "" {
			return nil
		}
		return strings.Split(text, ",")
	}
	s.Roles = sorted(list(parts[4]))
	plain := append(list(parts[4]), list(parts[6])...)
	for _, word := range list(parts[5]) {
		k, round, rounds := strings.Cut(word, "-")
		n, err := strconv.Atoi(round)
		if rounds && (err != nil || n < 1) {
			return Shape{}, fmt.Errorf("authn: %.20q is no shape", text)
		}
		if p, ok := passkeyIn(k); ok {
			p.Round = n
			s.Kinds, s.Passkeys = append(s.Kinds, WebAuthn), append(s.Passkeys, p)
			continue
		}
		plain = append(plain, k)
		if Kind(k) != BackupCode {
			s.Kinds = append(s.Kinds, Kind(k))
		}
		if rounds {
			if s.Rounds == nil {
				s.Rounds = map[Kind]int{}
			}
			s.Rounds[Kind(k)] = n
		}
	}
	for _, k := range list(parts[6]) {
		s.Asleep = append(s.Asleep, Kind(k))
	}
	s.Kinds, s.Asleep, s.Passkeys = sorted(s.Kinds), sorted(s.Asleep), sortedPasskeys(s.Passkeys)
	for _, word := range plain { // what a passkey's says is held to its text below
		if !shapeWord.MatchString(word) {
			return Shape{}, fmt.Errorf("authn: %.20q is no shape", text)
		}
	}
	good := (s.Audience == InternalAudience || s.Audience == ExternalAudience) && (s.Status == Active || s.Status == Suspended) &&
		(!s.TakenBack || s.HadFactor && s.Secured) && (!s.Locked || len(s.Kinds) > 0) &&
		!slices.ContainsFunc(append(slices.Clone(s.Kinds), s.Asleep...), func(k Kind) bool { return !k.Own() })
	if !good || s.String() != text {
		return Shape{}, fmt.Errorf("authn: %.20q is no shape", text)
	}
	return s, nil
}

// Person is somebody of the shape, of whom policy asks what it asks of all of
// them. Of what time has to do with, nothing is recent.
func (s Shape) Person() (User, []Factor) {
	long := time.Unix(0, 0).UTC()
	u := User{Company: "cmp_shape", ID: "usr_shape", Audience: s.Audience, Status: s.Status, Roles: slices.Clone(s.Roles),
		RequireTwoFactor: s.Required, API: s.API, Epoch: 1}
	if s.Exempt {
		u.ExemptUntil = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if s.HadFactor {
		u.HadFactorAt = long
	}
	if s.Secured {
		u.SecuredAt = long.Add(NotMeLives)
		if s.TakenBack {
			u.SecuredAt = long.Add(time.Hour)
		}
	}
	if s.Asks {
		u.HelpAskedAt = long
	}
	if s.Email {
		u.Email, u.EmailVerifiedAt = "somebody@example.com", long
	}
	if s.Phone {
		u.Phone, u.PhoneTrustedAt = "+15555550100", long
	}
	var factors []Factor
	add := func(k Kind, state FactorState) *Factor {
		factors = append(factors, Factor{Company: u.Company, User: u.ID, ID: "fac_" + string(k) + "_" + string(state), Kind: k, State: state, Epoch: 1, ConfirmAt: long,
			Counts: map[Lane]Count{}})
		return &factors[len(factors)-1]
	}
	if s.Password {
		add(Password, Confirmed)
	}
	held := func(k Kind, round int) *Factor {
		f := add(k, Confirmed)
		if f.Round = round; s.Locked {
			f.Counts[Stranger] = Count{Tries: ShareStranger}
		}
		return f
	}
	for _, k := range s.Kinds {
		if k != WebAuthn {
			held(k, s.Rounds[k])
		}
	}
	for i, p := range s.Passkeys {
		f := held(WebAuthn, p.Round)
		f.ID, f.Data = f.ID+strconv.Itoa(i), p.data()
	}
	for _, k := range s.Asleep {
		add(k, Asleep)
	}
	if s.Saved {
		f := add(BackupCode, Confirmed)
		f.Left, f.Round = 1, s.Rounds[BackupCode]
	}
	return u, factors
}
