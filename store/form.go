package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

// formRow is a kept form as it lies in the table, with what its keys are made of.
type formRow struct {
	company, attempt, user, signIn string
	epoch, expires                 int64
	browser                        string // the cookie
}

func (f *formRow) parts() [][]byte {
	return [][]byte{[]byte(f.browser), []byte(f.company), []byte(f.user), []byte(f.attempt), []byte(f.signIn), number(f.epoch)}
}

func (f *formRow) hash(key *keyring.DataKey) []byte {
	sum := key.MAC("form browser", f.parts()...)
	return sum[:]
}

// aead is under a key that neither the database with the keyring nor the cookie
// gives alone. A row that was moved or prolonged has another.
func (f *formRow) aead(key *keyring.DataKey) (cipher.AEAD, error) {
	sub := key.MAC("form key", append(f.parts(), number(f.expires))...)
	block, err := aes.NewCipher(sub[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// formOf is the row of the loaded session's sign-in; false: there can be none.
func formOf(k *authn.Keys, l *loaded, attempt string) (formRow, bool) {
	f := formRow{company: l.company, attempt: attempt, user: l.uid, signIn: l.session.Attempt, epoch: l.epoch, browser: k.Browser}
	return f, l.Session != nil && f.user != "" && f.signIn != "" && f.browser != "" && goodID(attempt)
}

func (f *formRow) open(key *keyring.DataKey, sealed []byte) (*authn.Form, error) {
	aead, err := f.aead(key)
	if err != nil {
		return nil, internal("no key for a form: %w", err)
	}
	plain, err := aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, nil // altered, or not of this row
	}
	route, rest, _ := bytes.Cut(plain, []byte{0})
	path, body, _ := bytes.Cut(rest, []byte{0})
	return &authn.Form{Route: string(route), Path: string(path), Body: body, ExpiresAt: timeOf(f.expires)}, nil
}

const (
	whereForm = " WHERE company = $1 AND attempt = $2 AND user_id = $3 AND sign_in = $4 AND epoch = $5 AND browser = $6 AND expires_at > $7"

	selectForm = "SELECT sealed, expires_at FROM forms" + whereForm

	// Reading and deleting are one statement: of many at a time one gets it.
	takeForm = "DELETE FROM forms" + whereForm +
		" AND EXISTS (SELECT 1 FROM attempts a WHERE a.company = $1 AND a.id = $2 AND a.state = 'complete') RETURNING sealed, expires_at"
)

// loadForm finds the form that the keys name, to be shown.
func (s *Store) loadForm(tx *Tx, k *authn.Keys, l *loaded) error {
	if k.TakeForm {
		return nil
	}
	return s.readForm(tx, k, l, selectForm)
}

// takeForm uses up the form that the keys name. Like a charge it comes after
// Keys.Choose has agreed.
func (s *Store) takeForm(tx *Tx, k *authn.Keys, l *loaded) error {
	if !k.TakeForm {
		return nil
	}
	return s.readForm(tx, k, l, takeForm)
}

func (s *Store) readForm(tx *Tx, k *authn.Keys, l *loaded, text string) error {
	f, ok := formOf(k, l, k.Form)
	if !ok {
		return nil
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	var sealed []byte
	found, err := tx.one(text, []any{&sealed, &f.expires}, f.company, f.attempt, f.user, f.signIn, f.epoch, f.hash(l.key), micros(k.Now))
	if err != nil || !found {
		return err
	}
	l.Form, err = f.open(l.key, sealed)
	return err
}

func (s *Store) keepForm(tx *Tx, k *authn.Keys, l *loaded, w authn.KeepForm) error {
	f, ok := formOf(k, l, w.Attempt)
	if !ok || len(w.Form.Body) > authn.MaxForm || w.Form.ExpiresAt.After(k.Now.Add(authn.FormLives)) {
		return internal("a form without a sign-in or a browser, too long, or for too long")
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	f.expires = micros(w.Form.ExpiresAt)
	aead, err := f.aead(l.key)
	if err != nil {
		return internal("no key for a form: %w", err)
	}
	if _, err := tx.exec("DELETE FROM forms WHERE (company, attempt) IN"+
		" (SELECT company, attempt FROM forms WHERE company = $1 AND user_id = $2 ORDER BY expires_at DESC, attempt LIMIT 1000 OFFSET $3)",
		f.company, f.user, authn.MaxForms-1); err != nil {
		return err
	}
	plain := bytes.Join([][]byte{[]byte(w.Form.Route), []byte(w.Form.Path), w.Form.Body}, []byte{0})
	n, err := tx.exec("INSERT INTO forms (company, attempt, user_id, sign_in, epoch, browser, sealed, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
		f.company, f.attempt, f.user, f.signIn, f.epoch, f.hash(l.key), aead.Seal(nil, nil, plain, nil), f.expires)
	return oneRow(n, err, "the step-up has a form")
}
