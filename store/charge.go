package store

import (
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// laneSQL is a statement once for each lane; "#" in the text is the suffix of its columns.
type laneSQL map[authn.Lane]string

func perLane(text string) laneSQL {
	return laneSQL{
		authn.Stranger: strings.ReplaceAll(text, "#", "s"),
		authn.Known:    strings.ReplaceAll(text, "#", "k"),
	}
}

var shares = map[authn.Lane]int64{authn.Stranger: authn.ShareStranger, authn.Known: authn.ShareKnown}

var (
	// chargeFactor is the only statement that reads a factor's secret for
	// checking. While the lane is paused or used up it finds nothing. $6 is pauseEnd.
	chargeFactor = perLane(`UPDATE factors SET tries_# = tries_# + 1
		WHERE company = $1 AND user_id = $2 AND id = $3 AND kind <> 'password'
		AND (state IN ('active', 'fallback') AND expires_at = 0 OR state IN ('active', 'pending') AND expires_at > $4)
		AND (paused_# <= $4 OR paused_# > $6) AND tries_# < $5
		RETURNING kind, sealed, tries_#, paused_#`)

	// chargeThrottle has no cap: a password is never disabled by guesses (ruling 10).
	chargeThrottle = perLane(`INSERT INTO throttles (company, who, tries_s, paused_s, tries_k, paused_k, updated_at)
		VALUES ($1, $2, CASE WHEN '#' = 's' THEN 1 ELSE 0 END, 0, CASE WHEN '#' = 'k' THEN 1 ELSE 0 END, 0, $3)
		ON CONFLICT (company, who) DO UPDATE SET tries_# = throttles.tries_# + 1, updated_at = $3
		WHERE throttles.paused_# <= $3 OR throttles.paused_# > $4
		RETURNING tries_#, paused_#`)

	selectThrottle = map[authn.Lane]query{
		authn.Stranger: locking("SELECT tries_s, paused_s FROM throttles WHERE company = $1 AND who = $2", "FOR UPDATE"),
		authn.Known:    locking("SELECT tries_k, paused_k FROM throttles WHERE company = $1 AND who = $2", "FOR UPDATE"),
	}

	selectPassword = "SELECT id, sealed FROM factors WHERE company = $1 AND user_id = $2 AND kind = 'password' AND state = 'active'"

	settleFactorWrong = perLane("UPDATE factors SET paused_# = $4 WHERE company = $1 AND user_id = $2 AND id = $3")
	settleFactorVoid  = perLane(`UPDATE factors SET tries_# = CASE WHEN tries_# > 0 THEN tries_# - 1 ELSE 0 END, paused_# = $4
		WHERE company = $1 AND user_id = $2 AND id = $3`)
	// The step moves forward or the whole decision is undone (cve-23).
	settleFactorRight = perLane(`UPDATE factors SET tries_# = 0, paused_# = 0, last_used_at = $4,
		last_step = CASE WHEN last_step < $5 THEN $5 ELSE last_step END
		WHERE company = $1 AND user_id = $2 AND id = $3 AND (last_step < $5 OR $6)`)

	settleThrottleWrong = perLane("UPDATE throttles SET paused_# = $3 WHERE company = $1 AND who = $2")
	settleThrottleVoid  = perLane(`UPDATE throttles SET tries_# = CASE WHEN tries_# > 0 THEN tries_# - 1 ELSE 0 END, paused_# = $3
		WHERE company = $1 AND who = $2`)
	settleThrottleRight = perLane("UPDATE throttles SET tries_# = 0, paused_# = 0 WHERE company = $1 AND who = $2")
	usePassword         = "UPDATE factors SET last_used_at = $3 WHERE company = $1 AND user_id = $2 AND kind = 'password' AND state = 'active'"
)

// pauseEnd is the latest that a pause made now could end. One that ends later
// was made by a clock that has been put back since, and holds nobody up.
func pauseEnd(now time.Time) int64 { return micros(now.Add(authn.LongestPause)) }

// choose lets the caller look before anything is charged. Its error is the
// answer, and nothing of the operation is kept.
func (l *loaded) choose(k *authn.Keys) error {
	if k.Choose == nil {
		return nil
	}
	factor, err := k.Choose(&l.Rows)
	if err == nil && factor != "" {
		l.factor = factor
	}
	return err
}

// charge pays for the guess, if the keys ask for one, or finds the count of an
// earlier one.
func (s *Store) charge(tx *Tx, k *authn.Keys, l *loaded) error {
	if k.Charge == authn.NoCharge {
		return nil
	}
	l.Charged = &authn.Charged{}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	guess := k.Charge == authn.GuessPassword || k.Charge == authn.GuessFactor || k.Charge == authn.GuessReset
	switch {
	case guess && l.void:
		return nil
	case k.Charge == authn.GuessReset:
		return s.chargeReset(tx, k, l)
	case password(k) && (l.uid != "" || k.Login != ""):
		return s.chargePassword(tx, k, l, guess)
	case !password(k) && l.uid != "":
		return s.chargeFactor(tx, k, l, guess)
	}
	return nil
}

func password(k *authn.Keys) bool {
	return k.Charge == authn.GuessPassword || k.Charge == authn.SettlePassword
}

func (s *Store) chargeFactor(tx *Tx, k *authn.Keys, l *loaded, guess bool) error {
	f := l.Factor(l.factor)
	if f == nil || f.Kind == authn.Password {
		return nil
	}
	l.Charged.Factor, l.Charged.Count = f, f.Counts[l.lane]
	if !guess {
		return nil
	}
	var kind authn.Kind
	var sealed []byte
	var count authn.Count
	paid, err := tx.one(chargeFactor[l.lane], []any{(*string)(&kind), &sealed, &count.Tries, asTime{&count.PausedUntil}},
		l.company, l.uid, l.factor, micros(k.Now), shares[l.lane], pauseEnd(k.Now))
	if err != nil {
		return err
	}
	if !paid {
		l.Charged.Locked = int64(l.Charged.Count.Tries) >= shares[l.lane]
		return nil
	}
	l.Charged.Paid, l.Charged.Count, f.Counts[l.lane] = true, count, count
	// Opened for every kind, so that a row whose kind was changed is noticed; the
	// place of backup codes is empty once they are saved.
	if len(sealed) > 0 || kind != authn.BackupCode {
		if l.Charged.Secret, err = l.open(l.factor, kind, sealed); err != nil {
			return err
		}
	}
	switch {
	case kind.Challenged() || kind.Remote():
		for _, c := range l.sent {
			// A device is asked for any of its person's credentials at once.
			if c.Factor == l.factor || kind == authn.WebAuthn && c.Kind == kind && c.Factor == "" {
				l.Charged.Challenges = append(l.Charged.Challenges, c)
			}
		}
	case kind == authn.BackupCode:
		l.Charged.Secret = nil // what is shown is not for checking
		l.Charged.Codes, err = l.savedCodes(tx, l.factor)
	}
	return err
}

// chargePassword runs the same statements whether or not the name leads to
// somebody (cve-62).
func (s *Store) chargePassword(tx *Tx, k *authn.Keys, l *loaded, guess bool) error {
	count := authn.Count{}
	targets := []any{&count.Tries, asTime{&count.PausedUntil}}
	paid, err := false, error(nil)
	if guess {
		paid, err = tx.one(chargeThrottle[l.lane], targets, l.company, l.throttle(), micros(k.Now), pauseEnd(k.Now))
	}
	if err == nil && !paid {
		_, err = tx.one(selectThrottle[l.lane].text(tx, true), targets, l.company, l.throttle())
	}
	if err != nil {
		return err
	}
	l.Charged.Paid, l.Charged.Count = paid, count
	if f := l.FactorOf(authn.Password, authn.Confirmed); f != nil {
		f.Counts[l.lane] = count
		l.Charged.Factor = f
	}
	if !paid {
		return nil
	}
	var id string
	var sealed []byte
	found, err := tx.one(selectPassword, []any{&id, &sealed}, l.company, l.uid)
	if err != nil || !found || l.uid == "" {
		return err
	}
	l.Charged.Secret, err = l.open(id, authn.Password, sealed)
	return err
}

func (l *loaded) open(id string, kind authn.Kind, sealed []byte) ([]byte, error) {
	secret, err := l.key.Open(factorPlace(l.company, l.uid, id, kind), sealed)
	if err != nil {
		return nil, internal("the secret of factor %s does not open: it was changed, moved, or sealed under another key", id)
	}
	return secret, nil
}

// throttle is the key of the row that counts wrong passwords.
func (l *loaded) throttle() []byte {
	if l.who == nil {
		who := throttleKey(l.key, l.company, l.uid, l.login)
		l.who = who[:]
	}
	return l.who
}

// settle ends the charge of this decision, or, with SettlePassword and
// SettleFactor, the one that an earlier decision committed.
func (s *Store) settle(tx *Tx, k *authn.Keys, l *loaded, paid bool, w authn.Settle) error {
	switch k.Charge {
	case authn.NoCharge:
		return internal("settling a guess that the keys do not name")
	case authn.GuessPassword, authn.GuessFactor, authn.GuessReset:
		if !paid {
			return internal("settling a guess that was not paid for")
		}
	}
	if k.Charge == authn.GuessReset {
		return settleReset(tx, l, w)
	}
	if password(k) {
		return settlePassword(tx, k, l, w)
	}
	return settleFactor(tx, k, l, w)
}

func settleFactor(tx *Tx, k *authn.Keys, l *loaded, w authn.Settle) error {
	if l.uid == "" || !goodID(l.factor) {
		return internal("settling a factor of nobody")
	}
	var n int64
	var err error
	switch w.Outcome {
	case authn.Wrong:
		if w.PausedUntil.IsZero() {
			return nil
		}
		n, err = tx.exec(settleFactorWrong[l.lane], l.company, l.uid, l.factor, micros(w.PausedUntil))
	case authn.Right:
		n, err = tx.exec(settleFactorRight[l.lane], l.company, l.uid, l.factor, micros(k.Now), w.Step, w.Step <= 0)
	case authn.Void:
		n, err = tx.exec(settleFactorVoid[l.lane], l.company, l.uid, l.factor, micros(w.PausedUntil))
	default:
		return internal("settling with outcome %d", w.Outcome)
	}
	if err == nil && n != 1 {
		return internal("settling moved %d rows: factor %s is gone, or step %d is not after its last one", n, l.factor, w.Step)
	}
	return err
}

// settlePassword may find no row: it can have been swept since.
func settlePassword(tx *Tx, k *authn.Keys, l *loaded, w authn.Settle) error {
	if l.uid == "" && k.Login == "" {
		return internal("settling a password of nobody")
	}
	var err error
	switch w.Outcome {
	case authn.Wrong:
		if w.PausedUntil.IsZero() {
			return nil
		}
		_, err = tx.exec(settleThrottleWrong[l.lane], l.company, l.throttle(), micros(w.PausedUntil))
	case authn.Right:
		if _, err = tx.exec(settleThrottleRight[l.lane], l.company, l.throttle()); err == nil {
			_, err = tx.exec(usePassword, l.company, l.uid, micros(k.Now))
		}
	case authn.Void:
		_, err = tx.exec(settleThrottleVoid[l.lane], l.company, l.throttle(), micros(w.PausedUntil))
	default:
		return internal("settling with outcome %d", w.Outcome)
	}
	return err
}
