package store

import (
	"context"
	"strconv"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

// maxCodes bounds the backup codes of one person.
const maxCodes = 50

func savedPlace(company, user, factor string, n int) keyring.AD {
	return keyring.AD{Table: "saved_codes", Column: "sealed", Company: company, Row: factor + ":" + strconv.Itoa(n), User: user,
		Kind: string(authn.BackupCode)}
}

// savedCodes opens the hashes of a person's backup codes, for a guess that was
// paid for.
func (l *loaded) savedCodes(tx *Tx, factor string) ([]authn.SavedCode, error) {
	var list []authn.SavedCode
	err := tx.each("SELECT n, prefix, sealed, used_at FROM saved_codes WHERE company = $1 AND user_id = $2 AND factor = $3 ORDER BY n",
		[]any{l.company, l.uid, factor}, func(scan func(...any) error) (bool, error) {
			var c authn.SavedCode
			var sealed []byte
			if err := scan(&c.N, &c.Prefix, &sealed, asTime{&c.UsedAt}); err != nil {
				return false, err
			}
			var err error
			if c.Hash, err = l.key.Open(savedPlace(l.company, l.uid, factor, c.N), sealed); err != nil {
				return false, internal("backup code %d of factor %s does not open", c.N, factor)
			}
			list = append(list, c)
			return true, nil
		})
	return list, err
}

func newCodes(tx *Tx, l *loaded, w authn.NewCodes) error {
	if err := wantID("the backup codes", w.Factor); err != nil {
		return err
	}
	if len(w.Codes) == 0 || len(w.Codes) > maxCodes {
		return internal("%d backup codes", len(w.Codes))
	}
	for _, c := range w.Codes {
		if len(c.Hash) == 0 || len(c.Hash) > maxSecret {
			return internal("a hash of %d bytes", len(c.Hash))
		}
		n, err := tx.exec(`INSERT INTO saved_codes (company, user_id, factor, n, prefix, sealed, used_at)
			VALUES ($1, $2, $3, $4, $5, $6, 0) ON CONFLICT DO NOTHING`,
			l.company, l.uid, w.Factor, c.N, clean(c.Prefix, maxWord), l.key.Seal(savedPlace(l.company, l.uid, w.Factor, c.N), c.Hash))
		if err := oneRow(n, err, "there is a backup code of that number"); err != nil {
			return err
		}
	}
	return nil
}

// spendCode is the mark of ruling 14: of two who use one code, one gets here.
func spendCode(tx *Tx, k *authn.Keys, l *loaded, w authn.SpendCode) error {
	n, err := tx.exec("UPDATE saved_codes SET used_at = $5 WHERE company = $1 AND user_id = $2 AND factor = $3 AND n = $4 AND used_at = 0",
		l.company, l.uid, clean(w.Factor, maxID), w.N, micros(k.Now))
	if err := oneRow(n, err, "the backup code is used"); err != nil {
		return err
	}
	n, err = tx.exec("UPDATE factors SET left_over = left_over - 1 WHERE company = $1 AND user_id = $2 AND id = $3 AND left_over > 0",
		l.company, l.uid, clean(w.Factor, maxID))
	return oneRow(n, err, "no backup code is left")
}

// ShownCodes is what the factor k.Factor still shows: the new backup codes of
// the session's sign-in, until they are saved or KeepShown is over (ruling 43).
// Otherwise NotFound, also for an attempt that a change of the account has made
// stale (ruling 3): it stays for a while when it is complete.
func (s *Store) ShownCodes(ctx context.Context, k authn.Keys) ([]byte, error) {
	var shown []byte
	err := s.b.Read(ctx, func(tx *Tx) error {
		l, err := s.load(tx, &k, false)
		if err != nil {
			return err
		}
		if l.void || l.asker() == "" || !goodID(k.Factor) || l.Attempt != nil && l.Attempt.Epoch != l.epoch {
			return authn.NotFound
		}
		if err := s.wantKey(tx, l); err != nil {
			return err
		}
		var sealed []byte
		found, err := tx.one("SELECT sealed FROM factors WHERE company = $1 AND user_id = $2 AND id = $3 AND kind = 'backup_code'"+
			" AND state = 'active' AND attempt = $4 AND created_at > $5",
			[]any{&sealed}, l.company, l.uid, k.Factor, l.asker(), micros(k.Now.Add(-KeepShown)))
		if err == nil && (!found || len(sealed) == 0) {
			return authn.NotFound
		}
		if err == nil {
			shown, err = l.open(k.Factor, authn.BackupCode, sealed)
		}
		return err
	})
	if err != nil {
		return nil, in("shown codes", err)
	}
	return shown, nil
}
