package policy

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// ContactRests is how long a contact that was changed gets no fall-back codes:
// who took over the account could have changed it (ruling 2).
const ContactRests = 24 * time.Hour

// NotMeLives is how long a "this wasn't me" link is good (ruling 35). A first way
// older than that is no stranger's which the link took back: it was the
// person's, and their mailbox does not stand in for it (ruling 2).
const NotMeLives = authn.NotMeLives

// Need is what an attempt still needs.
type Need struct {
	State  authn.State
	Offers []Offer // with NeedFactor: at least one, usual one first
	Why    []Reason
	ACR    string   // with Complete
	AMR    []string // with Complete
	// GraceUntil, with NeedEnrolment: setting up can be put off; zero: it cannot.
	GraceUntil time.Time
	// Opened, with NeedEnrolment: an administrator's code opened it, so what is set
	// up is on probation (ruling 18).
	Opened bool
	// Handed, with NeedEnrolment: the authenticator app was set up together with an
	// administrator, and the person sets it up anew before anything else (ruling 17).
	Handed bool
	// Denied says why, with Denied.
	Denied Denial
	// Again are the ids of factors that count again by what was proven: whoever
	// completes writes it down (ruling 2).
	Again []string
}

// Denial is why nobody can be let in. Its text is the catalogue's "denied." + Denial.
type Denial string

// The denials.
const (
	NoContact Denial = "no_contact"  // no verified address for a code
	NewOne    Denial = "new_contact" // the address was changed within the last 24 h
	Stranded  Denial = "stranded"    // had a way of their own, and cannot use it here
	TooWeak   Denial = "too_weak"    // the role asks for more than a code to a contact
	NoCodes   Denial = "no_codes"    // the company lets no code stand in
	// MailRests: the password was reset by e-mail within the last 24 h, and e-mail is
	// all that they have.
	MailRests Denial = "mail_rests"
	// NotHere: something has to be set up or changed first, and the program that began
	// the sign-in may not have that done.
	NotHere Denial = "not_here"
	// Elsewhere: the password has to be changed first, where the host program keeps it.
	Elsewhere Denial = "password_elsewhere"
	// NotTaken: the passkeys that they have do not meet the company's rules.
	NotTaken Denial = "passkey_not_taken"
)

// Offer is one way to go on.
type Offer struct {
	Kind        authn.Kind
	Factor      string
	Name        string
	SentTo      string // masked; for codes that are sent
	Fallback    bool   // stands in until the person has a way of their own
	Recovery    bool
	Again       bool // to be confirmed again, together with another proof
	Preferred   bool
	Locked      bool
	PausedUntil time.Time // zero, or later than now
	// TrustDays is for how long the browser may be trusted after an answer by it; 0:
	// it may not.
	TrustDays int
}

// Usable reports whether it can be tried now.
func (o Offer) Usable() bool { return !o.Locked && o.PausedUntil.IsZero() }

// Asked is all that Evaluate looks at.
type Asked struct {
	Document Document
	User     authn.User
	Factors  []authn.Factor
	Proofs   []authn.Proof
	Purpose  authn.Purpose
	Lane     authn.Lane
	Now      time.Time
	// BrowserFactor is what was used last in this browser: it is offered first.
	BrowserFactor string
	// Again is the kind of way that a step-up is to confirm again; empty: none.
	Again authn.Kind
	// Caller is the program that checked the first step; nil: it was the password here.
	Caller *authn.Caller
	// Traits of a kind; false for one that this server does not offer. What the
	// document does not offer need not be left out.
	Traits func(authn.Kind) (authn.Traits, bool)

	ways func(authn.Kind) (authn.Traits, bool) // Traits of what the document offers
}

// Enrolled reports whether the person has a factor of their own that counts or
// sleeps, whatever the policy and whatever this server offers.
func Enrolled(factors []authn.Factor) bool {
	return slices.ContainsFunc(factors, func(f authn.Factor) bool {
		return (f.State == authn.Confirmed || f.State == authn.Asleep) && f.Kind.Own()
	})
}

// Holds reports whether the person has a factor, awake or asleep, that shows
// something they hold. What this server has no method for counts as such.
func Holds(factors []authn.Factor, traits func(authn.Kind) (authn.Traits, bool)) bool {
	return slices.ContainsFunc(factors, func(f authn.Factor) bool {
		t, offered := traits(f.Kind)
		return f.Kind.Own() && (f.State == authn.Confirmed || f.State == authn.Asleep) && (!offered || OwnPossession.Meets(t))
	})
}

// MinimumPassword is the least length of a password in code points: 15, or 8
// for someone of whom a second factor is demanded (decision 1), or more where the
// company says so.
func MinimumPassword(d Document, u authn.User) int {
	if Demanded(d, u) {
		return max(leastPasswordLength, d.PasswordLength)
	}
	return max(15, d.PasswordLength)
}

// Meets reports whether traits are as strong as s asks.
func (s Strength) Meets(t authn.Traits) bool {
	switch s {
	case PhishingResistant:
		return t.PhishingResistant
	case OwnPossession:
		return t.Possession || t.PhishingResistant
	}
	return true
}

// Second lists the person's own active factors that can be a second step, in
// the order given.
func Second(d Document, u authn.User, factors []authn.Factor, traits func(authn.Kind) (authn.Traits, bool)) []authn.Factor {
	if d.Sleeps(u) {
		return nil
	}
	var out []authn.Factor
	for _, f := range factors {
		if _, offered := d.Only(traits)(f.Kind); offered && f.State == authn.Confirmed && f.Kind.Own() && !d.Awaits(f) && d.Unmet(f) == "" {
			out = append(out, f)
		}
	}
	return out
}

// shown is what the proofs of an attempt come to.
type shown struct {
	knows  bool // something known
	own    bool // something had or bound to us, strong enough
	sent   bool // a code to a contact: never possession (ruling 14)
	opened bool // an invitation, or a code from an administrator
	bypass bool // the latter
	handed bool // something that somebody else has seen the key of
	// trusted: the browser stands in for a way of one's own. It shows nothing.
	trusted bool
	// kinds are those that show something of the person's own, for who must prove two.
	kinds []authn.Kind
	// again are the ways to be confirmed again that were proven; beside: so was
	// something else that was not known.
	again  []authn.Proof
	beside bool
}

func (s *shown) count(k authn.Kind) {
	if !slices.Contains(s.kinds, k) {
		s.kinds = append(s.kinds, k)
	}
}

func (a Asked) shown(least Strength) shown {
	var s shown
	for _, p := range a.Proofs {
		t := p.Traits
		s.knows = s.knows || t.Knowledge || t.UserVerified
		s.opened = s.opened || t.OpensSetUp
		s.bypass = s.bypass || p.Kind == authn.BypassCode
		switch {
		case p.Kind == authn.Trusted:
			s.trusted = a.trusted(p.Factor)
		case a.awaits(p.Factor):
			if !a.handedOver(p.Factor) {
				s.again = append(s.again, p)
			}
			continue
		case a.handedOver(p.Factor):
			s.handed = true
		case t.Possession || t.PhishingResistant:
			// A backup code is as good as an app, and no better: where an app is too
			// weak, what stands in for one is.
			if least.Meets(t) {
				s.own = true
				s.count(p.Kind)
			}
		case t.OutOfBand && !t.OpensSetUp:
			s.sent = s.sent || a.reaches(p.Kind)
			if least == AnyStrength && a.has(p.Kind) {
				s.count(p.Kind)
			}
		}
		s.beside = s.beside || a.beside(p)
	}
	if s.beside {
		for _, p := range s.again {
			if least.Meets(p.Traits) {
				s.own = s.own || p.Traits.Possession || p.Traits.PhishingResistant
				s.sent = s.sent || p.Traits.OutOfBand
				s.count(p.Kind)
			}
		}
	}
	return s
}

// handedOver reports whether a proof is of a factor that its person has to replace.
func (a Asked) handedOver(factor string) bool {
	return slices.ContainsFunc(a.Factors, func(f authn.Factor) bool { return f.ID == factor && f.HandedOver() })
}

// reaches reports whether codes by that channel still are a way for the person:
// what was proven by one that has been closed since counts no more.
func (a Asked) reaches(k authn.Kind) bool {
	if a.has(k) {
		return true
	}
	kinds, _ := Fallbacks(a.Document, a.User, a.Factors, a.Traits, a.Now)
	return slices.Contains(kinds, k)
}

// has reports whether the person has an active way of a kind.
func (a Asked) has(k authn.Kind) bool {
	return slices.ContainsFunc(Second(a.Document, a.User, a.Factors, a.Traits), func(f authn.Factor) bool { return f.Kind == k })
}

// Evaluate never reports Complete because nothing applies: without a proof of
// knowledge it asks for the password, and what it cannot satisfy it denies.
func Evaluate(a Asked) Need {
	a.ways, a.Proofs = a.Document.Only(a.Traits), a.counted()
	need := Need{Why: Why(a.Document, a.User, a.Factors)}
	if s := a.shown(AnyStrength); s.beside {
		for _, p := range s.again {
			need.Again = append(need.Again, p.Factor)
		}
	}
	if a.Purpose == authn.StepUp {
		// What somebody else has seen the key of confirms nothing.
		a.Factors = slices.DeleteFunc(slices.Clone(a.Factors), authn.Factor.HandedOver)
		a.stepUp(&need)
	} else {
		a.signIn(&need)
	}
	if a.Caller != nil {
		a.limit(&need)
	}
	if need.State == authn.NeedFactor {
		// One that can be used now comes before those that rest; what helps out
		// comes last, and is never the usual one.
		slices.SortStableFunc(need.Offers, func(x, y Offer) int { return a.rank(x) - a.rank(y) })
		if !need.Offers[0].Recovery {
			need.Offers[0].Preferred = true
		}
	}
	if need.State == authn.Complete || need.State == authn.NeedPasswordChange {
		need.ACR, need.AMR = Level(a.Proofs)
		if a.Document.Proofs(a.User) > 1 && len(a.shown(a.Document.Minimum(a.User)).kinds) > 1 {
			need.AMR = append(need.AMR, "mfa") // the session shows that it was two
		}
	}
	return need
}

// limit is what a sign-in comes to whose first step a program has checked (ruling
// 22): no grace and no trusted browser; a way is set up only where the program may
// have that done, which goes for the codes that open nothing else, too. A password
// of ours is not changed where none was asked for.
func (a Asked) limit(need *Need) {
	need.GraceUntil = time.Time{}
	for i := range need.Offers {
		need.Offers[i].TrustDays = 0
	}
	if !a.Caller.Enrol {
		need.Offers = slices.DeleteFunc(need.Offers, func(o Offer) bool { return o.Kind == authn.BypassCode })
	}
	switch {
	case need.State == authn.NeedEnrolment && !a.Caller.Enrol, need.State == authn.NeedPasswordChange, need.State == authn.NeedPassword,
		need.State == authn.NeedFactor && len(need.Offers) == 0:
		need.State, need.Offers, need.Denied = authn.Denied, nil, NotHere
	}
}

func (a Asked) signIn(need *Need) {
	least := a.Document.Minimum(a.User)
	s := a.shown(least)
	another := a.Document.Proofs(a.User) > len(s.kinds)
	switch {
	case !s.knows:
		need.State = authn.NeedPassword
	case s.bypass && !s.own:
		a.setUp(need, false)
		need.Opened = true
	case s.handed:
		a.setUp(need, false)
		need.Handed = true
	case s.own && another:
		a.another(need, least, s)
	case s.own || s.trusted || len(need.Why) == 0:
		need.State = authn.Complete
	case least == AnyStrength && (s.sent || s.opened && !Holds(a.Factors, a.Traits)):
		// An invitation is a proof from outside the password like a sent code; it
		// stands for no way that the person has.
		if a.Document.NeedsOwnWay(a.User) && !Holds(a.Factors, a.Traits) {
			a.setUp(need, true)
		} else if a.Document.Proofs(a.User) > 1 {
			a.another(need, least, s)
		} else {
			need.State = authn.Complete
		}
	default:
		a.offer(need, least, s)
	}
	switch {
	case need.State != authn.Complete || a.User.SecuredAt.IsZero():
	case a.User.ExternalID != "": // the host program keeps it, and will say that it was changed
		need.State, need.Denied = authn.Denied, Elsewhere
	default:
		need.State = authn.NeedPasswordChange
	}
}

// setUp asks for a way of one's own.
func (a Asked) setUp(need *Need, grace bool) {
	need.State, need.Offers = authn.NeedEnrolment, nil
	if grace {
		need.GraceUntil = a.Document.GraceUntil(a.User, a.Now)
	}
}

// another asks for a second proof, of a kind that was not shown yet; who has no
// way of such a kind sets one up.
func (a Asked) another(need *Need, least Strength, s shown) {
	need.State = authn.NeedFactor
	for _, f := range Second(a.Document, a.User, a.Factors, a.Traits) {
		if t, _ := a.ways(f.Kind); least.Meets(t) && !slices.Contains(s.kinds, f.Kind) && !a.rests(f.Kind) {
			need.Offers = append(need.Offers, a.of(f))
		}
	}
	switch {
	case len(need.Offers) > 0:
		if !slices.Contains(s.kinds, authn.BackupCode) {
			a.saved(need, least)
		}
	case a.has(authn.Email) && a.rests(authn.Email):
		need.State, need.Denied = authn.Denied, MailRests
	case s.own:
		a.setUp(need, !s.bypass)
		need.Opened = s.bypass
	default:
		need.State, need.Denied = authn.Denied, Stranded
	}
}

// offer lists the ways of a second step, or says why there is none.
func (a Asked) offer(need *Need, least Strength, s shown) {
	need.State = authn.NeedFactor
	for _, f := range Second(a.Document, a.User, a.Factors, a.Traits) {
		if t, _ := a.ways(f.Kind); least.Meets(t) && !a.rests(f.Kind) {
			need.Offers = append(need.Offers, a.of(f))
		}
	}
	own := len(need.Offers) > 0
	if own || Enrolled(a.Factors) {
		a.saved(need, least)
	}
	if s.opened && !own {
		// An invitation of someone who has nothing to prove it with yet, or whose way
		// cannot be used here: the latter does not go on without one.
		a.setUp(need, !Enrolled(a.Factors))
		return
	}
	var denied Denial
	if !own && a.offerAgain(need, least, s) {
		own = true
	}
	if !own {
		var kinds []authn.Kind
		kinds, denied = Fallbacks(a.Document, a.User, a.Factors, a.Traits, a.Now)
		switch {
		case a.has(authn.Email) && a.rests(authn.Email):
			denied = MailRests
		case denied == Stranded && len(unmet(a.Document, a.User, a.Factors, a.Traits)) > 0:
			denied = NotTaken
		}
		need.Offers = append(need.Offers, a.fallbacks(kinds)...)
	}
	if f := a.active(authn.BypassCode); f != nil {
		need.Offers = append(need.Offers, a.of(*f))
	}
	if len(need.Offers) == 0 {
		need.State, need.Denied = authn.Denied, denied
	}
}

// stepUp matches the strongest usable factor; what is weaker counts only for
// those who have nothing else (ruling 26).
func (a Asked) stepUp(need *Need) {
	s := a.shown(AnyStrength)
	usable := false
	for _, f := range Second(a.Document, a.User, a.Factors, a.Traits) {
		if t, _ := a.ways(f.Kind); OwnPossession.Meets(t) {
			o := a.of(f)
			usable = usable || !o.Locked
			need.Offers = append(need.Offers, o)
		}
	}
	var again []Offer
	if a.Again != "" {
		again = a.toConfirm(AnyStrength, a.Again)
	} else if len(need.Offers) == 0 { // nothing else that is held could be proven
		again = a.toConfirm(OwnPossession, "")
	}
	if len(again) > 0 && !slices.ContainsFunc(need.Again, func(id string) bool { return a.Again == "" || a.factor(id).Kind == a.Again }) {
		a.confirmAgain(need, s, again)
		return
	}
	switch {
	case s.own, a.Again != "" && len(need.Again) > 0:
		need.State, need.Offers = authn.Complete, nil
		return
	case len(need.Offers) > 0:
		need.State = authn.NeedFactor
		if !usable {
			a.saved(need, AnyStrength)
		}
		return
	case Holds(a.Factors, a.Traits):
		need.State = authn.Denied // has one that cannot be used here
	case s.sent:
		need.State = authn.Complete
	default:
		a.weakStepUp(need, s)
	}
	need.Offers = nil
	if need.State == authn.NeedFactor {
		need.Offers = a.contact()
	}
}

// weakStepUp is for someone who has nothing that they hold: a code to their
// contact where they sign in with one, else the password.
func (a Asked) weakStepUp(need *Need, s shown) {
	switch {
	case len(a.contact()) > 0:
		need.State = authn.NeedFactor
	case a.rests(authn.Email) && (a.has(authn.Email) || Demanded(a.Document, a.User)):
		// A mailbox gave the password; it does not confirm as well.
		need.State, need.Denied = authn.Denied, MailRests
	case !s.knows:
		need.State = authn.NeedPassword
	default:
		need.State = authn.Complete
	}
}

// contact are the codes to a contact that the person signs in with.
func (a Asked) contact() []Offer {
	for _, f := range Second(a.Document, a.User, a.Factors, a.Traits) {
		if !a.rests(f.Kind) {
			return []Offer{a.of(f)} // what is held was looked for before
		}
	}
	if !Demanded(a.Document, a.User) {
		return nil
	}
	kinds, _ := Fallbacks(a.Document, a.User, a.Factors, a.Traits, a.Now)
	return a.fallbacks(kinds)
}

// saved offers the backup codes that are left, where they are strong enough.
func (a Asked) saved(need *Need, least Strength) {
	t, _ := a.ways(authn.BackupCode)
	if f := a.active(authn.BackupCode); f != nil && f.Left > 0 && least.Meets(t) {
		need.Offers = append(need.Offers, a.of(*f))
	}
}

// active is the factor of a kind that counts now.
func (a Asked) active(k authn.Kind) *authn.Factor {
	if _, offered := a.ways(k); !offered || a.Document.Sleeps(a.User) {
		return nil
	}
	for i := range a.Factors {
		f := &a.Factors[i]
		over := !f.ExpiresAt.IsZero() && (!a.Now.Before(f.ExpiresAt) || f.Epoch != a.User.Epoch)
		if f.Kind == k && f.State == authn.Confirmed && !over && !a.Document.Awaits(*f) {
			return f
		}
	}
	return nil
}

func (a Asked) fallbacks(kinds []authn.Kind) []Offer {
	var out []Offer
	for _, k := range kinds {
		out = append(out, a.fallback(k))
	}
	return out
}

// fallback is the offer of a code to a contact. Its factor, which only counts,
// is there from the moment that it is first offered.
func (a Asked) fallback(kind authn.Kind) Offer {
	for _, f := range a.Factors {
		if f.Kind == kind && f.State == authn.Fallback {
			o := a.of(f)
			o.Fallback, o.SentTo = true, Mask(kind, Contact(kind, a.User))
			return o
		}
	}
	return Offer{Kind: kind, Fallback: true, SentTo: Mask(kind, Contact(kind, a.User))}
}

func (a Asked) of(f authn.Factor) Offer {
	c := f.Counts[a.Lane]
	t, _ := a.ways(f.Kind)
	o := Offer{Kind: f.Kind, Factor: f.ID, Name: f.Name, Recovery: t.Recovery || t.OpensSetUp, Locked: c.Tries >= Share(a.Lane), TrustDays: a.trustDays(f)}
	switch f.Kind {
	case authn.Email:
		o.SentTo = Mask(f.Kind, a.User.Email)
	case authn.SMS:
		o.SentTo = Mask(f.Kind, Ends(f))
	}
	if c.Paused(a.Now) {
		o.PausedUntil = c.PausedUntil
	}
	return o
}

// Ends are the last two digits of a factor's number; empty: it has none.
func Ends(f authn.Factor) string {
	var d struct {
		Ends string `json:"ends"`
	}
	if json.Unmarshal(f.Data, &d) != nil {
		return ""
	}
	return d.Ends
}

// rank is the place of an offer: what rests after what can be used, and before
// that what was used last in this browser, then the person's own choice.
func (a Asked) rank(o Offer) int {
	r := 3
	switch {
	case o.Recovery:
		r = 5
	case o.Factor != "" && o.Factor == a.BrowserFactor:
		r = 0
	case o.Factor != "" && o.Factor == a.User.Preferred:
		r = 1
	case o.Kind.Sent() && a.Document.NeedsOwnWay(a.User):
		r = 4
	}
	switch {
	case o.Locked:
		return r + 20
	case !o.PausedUntil.IsZero():
		return r + 10
	}
	return r
}
