package store

import (
	"crypto/subtle"
	"io"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

const nonceLen = 16 // ruling 15

// codeSeed is what a sent code is derived from: it binds everything that gives
// the code its meaning, so that it is worth nothing anywhere else (ruling 15).
func codeSeed(key *keyring.DataKey, c *authn.Challenge, nonce []byte) []byte {
	sum := key.MAC("sent code", []byte(c.Purpose), []byte(c.Company), []byte(c.User), []byte(c.Attempt), []byte(c.ID),
		[]byte(c.Factor), []byte(c.Kind), []byte(c.Destination), nonce)
	return sum[:]
}

func challengePlace(company, user, id string, kind authn.Kind) keyring.AD {
	return keyring.AD{Table: "challenges", Column: "destination", Company: company, Row: id, User: user, Kind: string(kind)}
}

// detailPlace differs from challengePlace in the column.
func detailPlace(company, user, id string, kind authn.Kind) keyring.AD {
	ad := challengePlace(company, user, id, kind)
	ad.Column = "detail"
	return ad
}

// sealDetail gives nil for none.
func (l *loaded) sealDetail(c *authn.Challenge) ([]byte, error) {
	if len(c.Detail) > maxSecret {
		return nil, internal("the detail of challenge %s is over %d bytes", c.ID, maxSecret)
	}
	if len(c.Detail) == 0 {
		return nil, nil
	}
	return l.key.Seal(detailPlace(l.company, l.uid, c.ID, c.Kind), c.Detail), nil
}

// asker is what codes of this decision belong to: its attempt or, at set-up in a
// session, the sign-in that the session came from.
func (l *loaded) asker() string {
	if l.attempt != "" {
		return l.attempt
	}
	return l.session.Attempt
}

const challengeColumns = "id, attempt, factor, kind, purpose, destination, nonce, key_id, lane, sends, sent_at, created_at, expires_at, outcome, detail"

// scanChallenge opens a row; ok is false for one under a key that is gone.
func (l *loaded) scanChallenge(scan func(...any) error) (c authn.Challenge, ok bool, err error) {
	var sealed, nonce, detail []byte
	var keyID string
	if err := scan(&c.ID, &c.Attempt, &c.Factor, (*string)(&c.Kind), (*string)(&c.Purpose), &sealed, &nonce, &keyID, (*string)(&c.Lane),
		&c.Sends, asTime{&c.SentAt}, asTime{&c.CreatedAt}, asTime{&c.ExpiresAt}, (*string)(&c.Outcome), &detail); err != nil {
		return c, false, err
	}
	c.Company, c.User = l.company, l.uid
	if keyID != l.key.ID() {
		return c, false, nil
	}
	plain, err := l.key.Open(challengePlace(l.company, l.uid, c.ID, c.Kind), sealed)
	if err != nil {
		return c, false, internal("the destination of code %s does not open", c.ID)
	}
	c.Destination = string(plain)
	if len(detail) > 0 {
		if c.Detail, err = l.key.Open(detailPlace(l.company, l.uid, c.ID, c.Kind), detail); err != nil {
			return c, false, internal("the detail of challenge %s does not open", c.ID)
		}
	}
	c.Seed = codeSeed(l.key, &c, nonce)
	return c, true, nil
}

// countSent is how far back the limits of one sign-in look; no code lives that long.
const countSent = time.Hour

// loadSent finds the codes that were sent for the asker, and counts the sends. The
// seeds stay with the store until a guess was paid for.
func (s *Store) loadSent(tx *Tx, k *authn.Keys, l *loaded) error {
	if !k.Sent || l.uid == "" {
		return nil
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	err := tx.each("SELECT "+challengeColumns+" FROM challenges WHERE company = $1 AND user_id = $2 AND attempt = $3"+
		" AND created_at > $4 AND NOT consumed ORDER BY created_at DESC, id DESC LIMIT 40",
		[]any{l.company, l.uid, l.asker(), micros(k.Now.Add(-countSent))}, func(scan func(...any) error) (bool, error) {
			c, ok, err := l.scanChallenge(scan)
			if err != nil || !ok {
				return true, err
			}
			// A code made by a clock that was ahead does not live longer for it.
			if c.CreatedAt.After(k.Now.Add(time.Minute)) {
				return true, nil
			}
			if !c.ExpiresAt.After(k.Now) {
				c.Seed = nil
				l.SentBefore = append(l.SentBefore, c)
				return true, nil
			}
			l.sent = append(l.sent, c)
			c.Seed = nil
			l.Challenges = append(l.Challenges, c)
			return true, nil
		})
	if err != nil {
		return err
	}
	for _, list := range [][]authn.Challenge{l.sent, l.Challenges, l.SentBefore} {
		slices.Reverse(list)
	}
	_, err = tx.one(`SELECT COALESCE(SUM(CASE WHEN sent_at > $4 THEN sends ELSE 0 END), 0), COALESCE(SUM(sends), 0) FROM challenges
		WHERE company = $1 AND user_id = $2 AND created_at > $3 AND lane = $5`,
		[]any{&l.SentCodes.Hour, &l.SentCodes.Day}, l.company, l.uid, micros(k.Now.Add(-24*time.Hour)), micros(k.Now.Add(-time.Hour)), string(l.lane))
	return err
}

func (s *Store) writeSent(tx *Tx, k *authn.Keys, l *loaded, w authn.Write) error {
	switch w := w.(type) {
	case authn.NewChallenge:
		return s.newChallenge(tx, l, w.Challenge)
	case authn.PutChallenge:
		c := w.Challenge
		n, err := tx.exec(`UPDATE challenges SET sends = $4, sent_at = $5 WHERE company = $1 AND user_id = $2 AND id = $3
			AND sends = $4 - 1 AND NOT consumed`, l.company, l.uid, clean(c.ID, maxID), c.Sends, micros(c.SentAt))
		return oneRow(n, err, "the code was sent again, or used, meanwhile")
	case authn.ConsumeChallenges:
		return consumeChallenges(tx, k, l, w)
	case authn.PutOutside:
		return putOutside(tx, l, w)
	}
	return internal("no such write: %T", w)
}

const liveChallenges = " AND attempt = $3 AND factor = $4 AND expires_at > $5 AND NOT consumed"

func consumeChallenges(tx *Tx, k *authn.Keys, l *loaded, w authn.ConsumeChallenges) error {
	args := []any{l.company, l.uid, l.asker(), clean(w.Factor, maxID), micros(k.Now)}
	if w.Outcome != authn.NotOutside {
		var id string
		found, err := tx.one("SELECT id FROM challenges WHERE "+ofTheUser("challenges")+liveChallenges+" AND outcome = $6", []any{&id},
			append(args, string(w.Outcome))...)
		if err != nil {
			return err
		}
		if !found {
			return conflict("the outside service did not say so, or its word is used")
		}
	}
	n, err := tx.exec("UPDATE challenges SET consumed = $6 WHERE "+ofTheUser("challenges")+liveChallenges, append(args, true)...)
	if err == nil && n == 0 {
		return conflict("the code is used")
	}
	return err
}

// putOutside names the kind too: what is sealed is bound to it.
func putOutside(tx *Tx, l *loaded, w authn.PutOutside) error {
	c := w.Challenge
	if err := l.ofUser("challenge", c.Company, c.User, c.ID); err != nil {
		return err
	}
	if !c.Kind.Remote() {
		return internal("challenge %s is of kind %q, which no outside service decides", c.ID, clean(string(c.Kind), maxWord))
	}
	detail, err := l.sealDetail(&c)
	if err != nil {
		return err
	}
	n, err := tx.exec(`UPDATE challenges SET outcome = $6, detail = $7, expires_at = $8 WHERE company = $1 AND user_id = $2 AND id = $3 AND kind = $4
		AND outcome = $5 AND NOT consumed`, l.company, l.uid, c.ID, string(c.Kind), clean(string(w.From), maxWord), clean(string(c.Outcome), maxWord),
		detail, micros(c.ExpiresAt))
	return oneRow(n, err, "the challenge has moved on")
}

func (s *Store) newChallenge(tx *Tx, l *loaded, c authn.Challenge) error {
	if err := l.ofUser("code", c.Company, c.User, c.ID); err != nil {
		return err
	}
	if l.asker() == "" || subtle.ConstantTimeCompare([]byte(c.Attempt), []byte(l.asker())) != 1 {
		return internal("code %s is not of the attempt of the decision", c.ID)
	}
	if c.Destination == "" && c.Kind.Sent() || len(c.Destination) > authn.MaxLogin {
		return internal("code %s has no usable destination", c.ID)
	}
	detail, err := l.sealDetail(&c)
	if err != nil {
		return err
	}
	if c.Kind == authn.WebAuthn { // there is one question at a time, so asking again takes no room
		if _, err := tx.exec("DELETE FROM challenges WHERE "+ofTheUser("challenges")+" AND attempt = $3 AND factor = $4 AND kind = 'webauthn'",
			l.company, l.uid, c.Attempt, clean(c.Factor, maxID)); err != nil {
			return err
		}
	}
	nonce := make([]byte, nonceLen)
	if _, err := io.ReadFull(s.random, nonce); err != nil {
		return internal("no randomness: %w", err)
	}
	n, err := tx.exec(`INSERT INTO challenges (company, id, user_id, attempt, factor, kind, purpose, destination, nonce, key_id, lane,
		sends, sent_at, created_at, expires_at, consumed, outcome, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) ON CONFLICT DO NOTHING`,
		l.company, c.ID, l.uid, c.Attempt, clean(c.Factor, maxID), clean(string(c.Kind), maxWord), clean(string(c.Purpose), maxWord),
		l.key.Seal(challengePlace(l.company, l.uid, c.ID, c.Kind), []byte(c.Destination)), nonce, l.key.ID(), string(l.lane),
		c.Sends, micros(c.SentAt), micros(c.CreatedAt), micros(c.ExpiresAt), false, clean(string(c.Outcome), maxWord), detail)
	return oneRow(n, err, "there is a code of that id")
}
