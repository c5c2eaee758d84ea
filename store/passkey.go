package store

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

// Whose a credential is says a table of its own, since an id that a device made up is
// looked for on the whole server (WebAuthn Level 3 section 7.1 step 26). What an answer
// is checked with is not in it: that is the secret of the factor, sealed for its person,
// so that a row that was changed leads to a key that refuses.

// maxCredential is the longest id of a credential, in bytes (section 7.1 step 25).
const maxCredential = 1023

func credentialHash(id []byte) []byte {
	sum := sha256.Sum256(id)
	return sum[:]
}

var selectCredential = locking("SELECT "+companyColumns+", "+userColumns+
	" FROM passkeys p JOIN users u ON u.company = p.company AND u.id = p.user_id JOIN companies c ON c.id = p.company"+
	" WHERE p.hash = $1 AND p.company = $2 AND "+seen+live,
	"FOR UPDATE OF u")

// loadCredential finds whose the credential of the keys is.
func (s *Store) loadCredential(tx *Tx, k *authn.Keys, lock bool, l *loaded) error {
	if len(k.Credential) == 0 {
		return nil
	}
	l.void = true
	if len(k.Credential) > maxCredential {
		return nil
	}
	var c authn.Company
	var u authn.User
	var personKey []byte
	found, err := tx.one(selectCredential.text(tx, lock), slices.Concat(companyTargets(&c), userTargets(&u, &personKey)), credentialHash(k.Credential), k.Company)
	if err != nil || !found {
		return err
	}
	l.Company = &c
	l.void = !l.adopt(k, &u, personKey)
	return nil
}

// askBrowser binds a question to the browser that asked it: an answer that somebody
// else brought signs nobody in as them. Programs have no cookie.
func askBrowser(key *keyring.DataKey, browser, company string, challenge []byte) []byte {
	sum := key.MAC("passkey ask", []byte(browser), []byte(company), challenge)
	return sum[:]
}

// askPlace names the row by the hash of its challenge.
func askPlace(company string, hash []byte) keyring.AD {
	return keyring.AD{Table: "passkey_asks", Column: "kept", Company: company, Row: hex.EncodeToString(hash)}
}

// askAhead is how far ahead of ours the clock may be that a question was made by: it
// does not live longer for it.
const askAhead = time.Minute

// askRests is when it is worth asking again where too many questions are open.
const askRests = 30 * time.Second

// loadAsk finds the question that is answered. It is read and deleted in one
// transaction, under the lock that SpendAsk's row count stands for.
func (s *Store) loadAsk(tx *Tx, k *authn.Keys, l *loaded) error {
	if len(k.Ask) == 0 {
		return nil
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	a, hash := authn.Ask{Challenge: k.Ask}, credentialHash(k.Ask)
	var browser, kept []byte
	found, err := tx.one("SELECT browser, kept, created_at, expires_at FROM passkey_asks WHERE company = $1 AND hash = $2",
		[]any{&browser, &kept, asTime{&a.CreatedAt}, asTime{&a.ExpiresAt}}, l.company, hash)
	if err != nil {
		return err
	}
	if found && subtle.ConstantTimeCompare(browser, askBrowser(l.key, k.Browser, l.company, k.Ask)) == 1 &&
		a.ExpiresAt.After(k.Now) && !a.CreatedAt.After(k.Now.Add(askAhead)) {
		if a.Kept, err = l.key.Open(askPlace(l.company, hash), kept); err != nil {
			return internal("the question of a sign-in does not open: it was changed or moved")
		}
		l.Ask = &a
	}
	l.void = l.void || l.Ask == nil
	return nil
}

func (s *Store) newAsk(tx *Tx, k *authn.Keys, l *loaded, a authn.Ask) error {
	if len(a.Challenge) < 32 {
		return internal("a challenge of %d bytes", len(a.Challenge))
	}
	if len(a.Kept) > maxSecret {
		return internal("a question of %d bytes", len(a.Kept))
	}
	var open int64
	if _, err := tx.one("SELECT COUNT(*) FROM (SELECT 1 FROM passkey_asks WHERE company = $1 AND expires_at > $2 LIMIT $3) a", []any{&open},
		l.company, micros(k.Now), authn.MaxAsks); err != nil {
		return err
	}
	if open >= authn.MaxAsks {
		return &authn.Error{Code: authn.Busy, RetryAfter: askRests}
	}
	hash := credentialHash(a.Challenge)
	n, err := tx.exec("INSERT INTO passkey_asks (company, hash, browser, kept, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
		l.company, hash, askBrowser(l.key, k.Browser, l.company, a.Challenge), l.key.Seal(askPlace(l.company, hash), a.Kept), micros(a.CreatedAt), micros(a.ExpiresAt))
	return oneRow(n, err, "that was asked before")
}

func spendAsk(tx *Tx, l *loaded) error {
	if l.Ask == nil {
		return internal("spending a question that there is not")
	}
	n, err := tx.exec("DELETE FROM passkey_asks WHERE company = $1 AND hash = $2", l.company, credentialHash(l.Ask.Challenge))
	return oneRow(n, err, "the question was answered already")
}

// setCredential is for a pending factor only, which has none yet.
func setCredential(tx *Tx, l *loaded, w authn.SetCredential) error {
	if len(w.Made.ID) == 0 || len(w.Made.ID) > maxCredential || len(w.Made.Secret) == 0 || len(w.Made.Secret) > maxSecret {
		return internal("a credential id of %d bytes with %d bytes to check it with", len(w.Made.ID), len(w.Made.Secret))
	}
	data, err := document("the data of a factor", w.Data)
	if err != nil {
		return err
	}
	n, err := tx.exec("UPDATE factors SET name = $4, data = $5, sealed = $6 WHERE company = $1 AND user_id = $2 AND id = $3 AND state = 'pending' AND kind = 'webauthn'",
		l.company, l.uid, clean(w.ID, maxID), clean(w.Made.Name, maxName), data, l.key.Seal(factorPlace(l.company, l.uid, w.ID, authn.WebAuthn), w.Made.Secret))
	if err := oneRow(n, err, "the factor is not pending any more"); err != nil {
		return err
	}
	n, err = tx.exec("INSERT INTO passkeys (hash, company, user_id, factor) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
		credentialHash(w.Made.ID), l.company, l.uid, w.ID)
	if err == nil && n == 0 {
		err = &authn.Error{Code: authn.Conflict, Key: "error.passkey_taken", Err: errors.New("store: the credential is somebody's")}
	}
	return err
}
