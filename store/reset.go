package store

import (
	"crypto/subtle"
	"io"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

// Passwords that were forgotten (requirement J3). A name that leads to nobody has a
// row of its own like any other, is counted like any other, and is never right.

// resetKey is whose count wrong codes are charged to. It is not the password's:
// who asks for a code to an address of somebody else slows no sign-in.
func resetKey(key *keyring.DataKey, company, user, login string) []byte {
	sum := key.MAC("reset throttle", []byte(company), []byte("login:"+login))
	if user != "" {
		sum = key.MAC("reset throttle", []byte(company), []byte("user:"+user))
	}
	return sum[:]
}

func resetToken(key *keyring.DataKey, t authn.Token, r *authn.Reset) [32]byte {
	return key.MAC("token", t.Secret, []byte(r.Company), []byte(r.User), []byte(authn.ResetToken), []byte(r.ID))
}

func resetBrowser(key *keyring.DataKey, browser string, r *authn.Reset) [32]byte {
	return key.MAC("reset browser", []byte(browser), []byte(r.Company), []byte(r.User), []byte(r.ID))
}

func resetPlace(company, user, id string) keyring.AD {
	return keyring.AD{Table: "resets", Column: "destination", Company: company, Row: id, User: user}
}

// challengeOf is the code of a reset as every sent code is: bound to its purpose,
// person and address (ruling 15).
func challengeOf(r *authn.Reset) authn.Challenge {
	return authn.Challenge{Company: r.Company, ID: r.ID, User: r.User, Attempt: r.ID, Kind: authn.Email, Purpose: authn.CodeReset,
		Destination: r.Destination, Lane: r.Lane, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt}
}

const resetColumns = "r.id, r.user_id, r.who, r.lane, r.state, r.version, r.epoch, r.destination, r.nonce, r.key_id, r.token, r.browser, r.created_at, r.expires_at"

var selectReset = locking("SELECT "+resetColumns+" FROM resets r WHERE r.company = $1 AND r.id = $2", "FOR UPDATE")

// resetRow is a reset as it lies in the table.
type resetRow struct {
	reset                                   authn.Reset
	who, destination, nonce, token, browser []byte
	keyID                                   string
}

func (r *resetRow) targets() []any {
	return []any{&r.reset.ID, &r.reset.User, &r.who, (*string)(&r.reset.Lane), (*string)(&r.reset.State), &r.reset.Version, &r.reset.Epoch, &r.destination,
		&r.nonce, &r.keyID, &r.token, &r.browser, asTime{&r.reset.CreatedAt}, asTime{&r.reset.ExpiresAt}}
}

// open gives the address and the seed; nil: the key is gone.
func (r *resetRow) open(l *loaded) ([]byte, error) {
	if r.keyID != l.key.ID() {
		return nil, nil
	}
	plain, err := l.key.Open(resetPlace(l.company, r.reset.User, r.reset.ID), r.destination)
	if err != nil {
		return nil, internal("the destination of reset %s does not open", r.reset.ID)
	}
	r.reset.Destination = string(plain)
	c := challengeOf(&r.reset)
	return codeSeed(l.key, &c, r.nonce), nil
}

// loadReset finds the reset of a token, or of the browser that began it. The user
// is locked here; its own state is compared when it moves.
func (s *Store) loadReset(tx *Tx, k *authn.Keys, lock bool, l *loaded) error {
	if k.Reset == "" && k.ResetToken.IsZero() {
		return nil
	}
	l.void = true
	id, ok := rowID(k.Reset, k.ResetToken, authn.ResetToken, k.Company)
	if !ok || k.ResetToken.IsZero() && k.Browser == "" {
		return nil
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	var row resetRow
	found, err := tx.one(selectReset.plain, row.targets(), k.Company, id)
	if err != nil || !found {
		return err
	}
	r := &row.reset
	r.Company = l.company
	if k.ResetToken.IsZero() {
		want := resetBrowser(l.key, k.Browser, r)
		ok = subtle.ConstantTimeCompare(row.browser, want[:]) == 1
	} else {
		want := resetToken(l.key, k.ResetToken, r)
		ok = subtle.ConstantTimeCompare(row.token, want[:]) == 1
	}
	if !ok || named(k) {
		return nil
	}
	var c authn.Company
	var u authn.User
	var personKey []byte
	found, err = tx.one(selectUser.text(tx, lock), slices.Concat(companyTargets(&c), userTargets(&u, &personKey)), k.Company, r.User)
	if err != nil {
		return err
	}
	if found {
		l.adopt(k, &u, personKey)
	}
	if lock { // as it is now that its person is locked
		found, err = tx.one(selectReset.text(tx, true), row.targets(), k.Company, id)
		if err != nil || !found {
			return err
		}
	}
	if l.resetSeed, err = row.open(l); err != nil {
		return err
	}
	l.Reset, l.reset, l.resetWho = r, *r, row.who
	l.void = !r.ExpiresAt.After(k.Now)
	return nil
}

// countResets is how many codes the name of the keys asked for lately, in its lane.
func (s *Store) countResets(tx *Tx, k *authn.Keys, l *loaded) error {
	if !k.Resets {
		return nil
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	_, err := tx.one(`SELECT COALESCE(SUM(CASE WHEN created_at > $4 THEN 1 ELSE 0 END), 0), COUNT(*), COALESCE(MAX(created_at), 0) FROM resets
		WHERE company = $1 AND who = $2 AND created_at > $3 AND lane = $5`,
		[]any{&l.SentCodes.Hour, &l.SentCodes.Day, asTime{&l.ResetAt}}, l.company, resetKey(l.key, l.company, l.uid, l.login),
		micros(k.Now.Add(-24*time.Hour)), micros(k.Now.Add(-time.Hour)), string(l.lane))
	return err
}

// chargeReset pays for a guess at a code, by the same statement whether the name
// leads to somebody or not.
func (s *Store) chargeReset(tx *Tx, k *authn.Keys, l *loaded) error {
	if l.Reset == nil {
		return nil
	}
	count := authn.Count{}
	targets := []any{&count.Tries, asTime{&count.PausedUntil}}
	paid, err := tx.one(chargeThrottle[l.lane], targets, l.company, l.resetWho, micros(k.Now), pauseEnd(k.Now))
	if err == nil && !paid {
		_, err = tx.one(selectThrottle[l.lane].text(tx, true), targets, l.company, l.resetWho)
	}
	if err != nil {
		return err
	}
	l.Charged.Count = count
	if int64(count.Tries) > shares[l.lane] {
		l.Charged.Locked = true
		return nil
	}
	l.Charged.Paid = paid
	if paid && l.resetSeed != nil {
		c := challengeOf(&l.reset)
		c.Seed = l.resetSeed
		l.Charged.Challenges = []authn.Challenge{c}
	}
	return nil
}

// settleReset may find no row: it can have been swept since.
func settleReset(tx *Tx, l *loaded, w authn.Settle) error {
	if l.Reset == nil {
		return internal("settling a reset that is not there")
	}
	var err error
	switch {
	case w.Outcome == authn.Right:
		_, err = tx.exec(settleThrottleRight[l.lane], l.company, l.resetWho)
	case w.Outcome == authn.Void:
		_, err = tx.exec(settleThrottleVoid[l.lane], l.company, l.resetWho, micros(w.PausedUntil))
	case w.Outcome == authn.Wrong && !w.PausedUntil.IsZero():
		_, err = tx.exec(settleThrottleWrong[l.lane], l.company, l.resetWho, micros(w.PausedUntil))
	}
	return err
}

// newReset stores what was asked for. Nobody's is bound to an empty user and an
// empty address, so that its code is worth nothing.
func (s *Store) newReset(tx *Tx, k *authn.Keys, l *loaded, w authn.NewReset) error {
	r := w.Reset
	if err := wantID("reset", r.ID); err != nil {
		return err
	}
	if r.User != "" && r.User != l.uid || k.Login == "" || (r.User == "") != (r.Destination == "") {
		return internal("reset %s is of another user than the decision", r.ID)
	}
	if w.Token.Kind != authn.ResetToken || w.Token.Company != l.company || w.Token.ID != r.ID || len(w.Token.Secret) == 0 {
		return internal("the token of reset %s is not its own", r.ID)
	}
	r.Company, r.Lane = l.company, l.lane
	nonce := make([]byte, nonceLen)
	if _, err := io.ReadFull(s.random, nonce); err != nil {
		return internal("no randomness: %w", err)
	}
	token := resetToken(l.key, w.Token, &r)
	var browser []byte
	if k.Browser != "" {
		sum := resetBrowser(l.key, k.Browser, &r)
		browser = sum[:]
	}
	n, err := tx.exec(`INSERT INTO resets (company, id, user_id, who, lane, state, version, epoch, destination, nonce, key_id, token, browser, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING`,
		l.company, r.ID, r.User, resetKey(l.key, l.company, l.uid, l.login), string(l.lane), string(r.State), r.Version, r.Epoch,
		l.key.Seal(resetPlace(l.company, r.User, r.ID), []byte(r.Destination)), nonce, l.key.ID(), token[:], browser, micros(r.CreatedAt), micros(r.ExpiresAt))
	return oneRow(n, err, "there is a reset of that id")
}

func (s *Store) writeReset(tx *Tx, k *authn.Keys, l *loaded, w authn.Write) error {
	switch w := w.(type) {
	case authn.NewReset:
		if err := s.wantKey(tx, l); err != nil {
			return err
		}
		return s.newReset(tx, k, l, w)
	case authn.PutReset:
		if l.Reset == nil {
			return internal("moving a reset that the keys do not name")
		}
		n, err := tx.exec("UPDATE resets SET state = $4, expires_at = $5, version = $3 + 1 WHERE company = $1 AND id = $2 AND version = $3 AND expires_at > $6",
			l.company, l.reset.ID, l.reset.Version, string(w.State), micros(w.ExpiresAt), micros(k.Now))
		return oneRow(n, err, "the reset has moved on")
	case authn.EndResets:
		if l.uid == "" {
			return internal("ending the resets of nobody")
		}
		_, err := tx.exec("DELETE FROM resets WHERE "+ofTheUser("resets")+" AND id <> $3", l.company, l.uid, l.reset.ID)
		return err
	}
	return internal("no such write: %T", w)
}

// resetSeedOf is what the code of a reset is derived from, while it is good.
func (l *loaded) resetSeedOf(tx *Tx, id string, now time.Time) ([]byte, error) {
	var row resetRow
	found, err := tx.one("SELECT "+resetColumns+" FROM resets r WHERE r.company = $1 AND r.id = $2 AND r.state = 'sent' AND r.expires_at > $3",
		row.targets(), l.company, id, micros(now))
	if err != nil || !found || row.reset.User == "" || row.reset.User != l.uid {
		return nil, err
	}
	row.reset.Company = l.company
	return row.open(l)
}
