package store

import (
	"cmp"
	"crypto/subtle"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// writeAccount is the part of write about factors, the password and the user.
func (s *Store) writeAccount(tx *Tx, k *authn.Keys, l *loaded, w authn.Write) error {
	switch w := w.(type) {
	case authn.NewFactor:
		return newFactor(tx, k, l, w)
	case authn.ActivateFactor:
		return activateFactor(tx, k, l, w)
	case authn.ConfirmAgain:
		return confirmAgain(tx, l, w)
	case authn.PutFactor:
		return putFactor(tx, l, w.Factor)
	case authn.DeleteFactor:
		n, err := tx.exec("DELETE FROM factors WHERE company = $1 AND user_id = $2 AND id = $3", l.company, l.uid, clean(w.ID, maxID))
		return oneRow(n, err, "the factor to delete is gone")
	case authn.DropSecret:
		_, err := tx.exec("UPDATE factors SET sealed = $4 WHERE company = $1 AND user_id = $2 AND id = $3 AND kind = 'backup_code'",
			l.company, l.uid, clean(w.ID, maxID), []byte{})
		return err
	case authn.NewCodes:
		return newCodes(tx, l, w)
	case authn.SpendCode:
		return spendCode(tx, k, l, w)
	case authn.SetEmail:
		return setEmail(tx, l, w)
	case authn.SetLogin:
		return setLogin(tx, l, w)
	case authn.SetPassword:
		return setPassword(tx, l, w)
	case authn.Rehash:
		return rehash(tx, l, w)
	case authn.PutUser:
		return putUser(tx, l, w.User)
	case authn.LiftPauses:
		return liftPauses(tx, l)
	case authn.EndKeys:
		_, err := tx.exec("DELETE FROM api_keys WHERE company = $1 AND user_id = $2", l.company, l.uid)
		return err
	}
	return internal("no such write: %T", w)
}

const insertFactor = `INSERT INTO factors (company, user_id, id, kind, state, name, sealed, data, last_step, epoch, attempt,
	tries_s, paused_s, tries_k, paused_k, created_at, confirmed_at, last_used_at, expires_at, left_over, probation_until, subject, set_by, round)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, 0, 0, $12, $13, 0, $14, $15, $16, $17, $18, $19) ON CONFLICT DO NOTHING`

func newFactor(tx *Tx, k *authn.Keys, l *loaded, w authn.NewFactor) error {
	f := w.Factor
	if err := l.ofUser("factor", f.Company, f.User, f.ID); err != nil {
		return err
	}
	if f.Kind == authn.Password || f.Kind == "" || len(f.Kind) > maxWord || !goodID(string(f.Kind)) {
		return internal("no new factor of kind %q; a password is set with SetPassword", clean(string(f.Kind), maxWord))
	}
	// A pending one is begun anew; backup and bypass codes replace those before them.
	given := f.Kind == authn.BackupCode || f.Kind == authn.BypassCode
	if f.State == authn.Pending || given {
		if _, err := tx.exec("DELETE FROM factors WHERE company = $1 AND user_id = $2 AND kind = $3 AND (state = $4 OR $5)",
			l.company, l.uid, string(f.Kind), clean(string(f.State), maxWord), given); err != nil {
			return err
		}
	}
	data, err := document("the data of a factor", f.Data)
	if err != nil {
		return err
	}
	if len(w.Secret) > maxSecret {
		return internal("the secret of factor %s is over %d bytes", f.ID, maxSecret)
	}
	subject := factorSubject(l.key, f.Kind, w.Subject)
	if err := wantFree(tx, l, f.Kind, subject); err != nil {
		return err
	}
	sealed := l.key.Seal(factorPlace(l.company, l.uid, f.ID, f.Kind), w.Secret)
	n, err := tx.exec(insertFactor, l.company, l.uid, f.ID, string(f.Kind), clean(string(f.State), maxWord), clean(f.Name, maxName),
		sealed, data, max(f.LastStep, 0), f.Epoch, clean(f.Attempt, maxID), micros(f.CreatedAt), micros(f.ConfirmAt), micros(f.ExpiresAt),
		max(f.Left, 0), micros(f.ProbationUntil), subject, clean(f.SetBy, maxID), max(f.Round, 0))
	if err == nil && n == 0 {
		err = wantFree(tx, l, f.Kind, subject) // somebody may have got it since
	}
	if err := oneRow(n, err, "there is a factor of that id, or of that kind and state"); err != nil || f.State != authn.Confirmed {
		return err
	}
	at := f.ConfirmAt
	if at.IsZero() {
		at = k.Now
	}
	return nowOwn(tx, l, f.Kind, at)
}

// SubjectIndex is the index under which two people cannot get the same number,
// or the same name at an outside service, at the same time. Whoever runs into it
// looks again, and is told.
const SubjectIndex = "factors_subject"

// wantFree refuses what somebody else has active.
func wantFree(tx *Tx, l *loaded, kind authn.Kind, subject []byte) error {
	if subject == nil {
		return nil
	}
	var other string
	taken, err := tx.one("SELECT user_id FROM factors WHERE company = $1 AND kind = $2 AND subject = $3 AND state = 'active'"+
		" AND subject IS NOT NULL AND user_id <> $4", []any{&other}, l.company, string(kind), subject, l.uid)
	if err == nil && taken {
		return &authn.Error{Code: authn.Conflict, Key: "error.factor_taken"}
	}
	return err
}

// wantFreeOf is wantFree for a factor that is there.
func wantFreeOf(tx *Tx, l *loaded, id string) error {
	var kind string
	var subject []byte
	found, err := tx.one("SELECT kind, subject FROM factors WHERE company = $1 AND user_id = $2 AND id = $3", []any{&kind, &subject}, l.company, l.uid, id)
	if err != nil || !found {
		return err
	}
	return wantFree(tx, l, authn.Kind(kind), subject)
}

// nowOwn is what follows from a way of the person's own: fall-back codes are over
// for good (ruling 2), and what counted the wrong ones has no use any more.
func nowOwn(tx *Tx, l *loaded, kind authn.Kind, at time.Time) error {
	if !kind.Own() {
		return nil
	}
	if _, err := tx.exec("UPDATE users SET had_factor_at = $3 WHERE company = $1 AND id = $2 AND had_factor_at = 0", l.company, l.uid, micros(at)); err != nil {
		return err
	}
	_, err := tx.exec("DELETE FROM factors WHERE company = $1 AND user_id = $2 AND state = 'fallback'", l.company, l.uid)
	return err
}

// activateFactor replaces the active factor of the kind by the pending one; of
// security keys a person may have many.
func activateFactor(tx *Tx, k *authn.Keys, l *loaded, w authn.ActivateFactor) error {
	var kind string
	var subject []byte
	found, err := tx.one("SELECT kind, subject FROM factors WHERE company = $1 AND user_id = $2 AND id = $3 AND state = 'pending' AND expires_at > $4",
		[]any{&kind, &subject}, l.company, l.uid, clean(w.ID, maxID), micros(k.Now))
	if err != nil {
		return err
	}
	if !found {
		return conflict("the factor to activate is not pending any more")
	}
	if err := wantFree(tx, l, authn.Kind(kind), subject); err != nil {
		return err
	}
	if kind != string(authn.WebAuthn) {
		if _, err := tx.exec("DELETE FROM factors WHERE company = $1 AND user_id = $2 AND kind = $3 AND state = 'active'",
			l.company, l.uid, kind); err != nil {
			return err
		}
	}
	n, err := tx.exec(`UPDATE factors SET state = 'active', confirmed_at = $4, expires_at = 0, probation_until = $6, round = $7,
		last_step = CASE WHEN last_step < $5 THEN $5 ELSE last_step END
		WHERE company = $1 AND user_id = $2 AND id = $3 AND state = 'pending'`,
		l.company, l.uid, w.ID, micros(w.At), w.Step, micros(w.ProbationUntil), max(w.Round, 0))
	if err := oneRow(n, err, "the factor to activate is not pending any more"); err != nil {
		return err
	}
	return nowOwn(tx, l, authn.Kind(kind), w.At)
}

// confirmAgain is for an active factor only: nothing else becomes one by it.
func confirmAgain(tx *Tx, l *loaded, w authn.ConfirmAgain) error {
	var kind string
	found, err := tx.one("SELECT kind FROM factors WHERE company = $1 AND user_id = $2 AND id = $3 AND state = 'active' AND round < $4",
		[]any{&kind}, l.company, l.uid, clean(w.ID, maxID), w.Round)
	if err != nil || !found {
		return err
	}
	if _, err := tx.exec("UPDATE factors SET round = $4, confirmed_at = $5 WHERE company = $1 AND user_id = $2 AND id = $3",
		l.company, l.uid, w.ID, w.Round, micros(w.At)); err != nil {
		return err
	}
	return nowOwn(tx, l, authn.Kind(kind), w.At)
}

// putFactor only puts to sleep and wakes: neither a pending factor nor what stands
// for a contact becomes active by it, since only a right answer does that (cve-50).
func putFactor(tx *Tx, l *loaded, f authn.Factor) error {
	if err := l.ofUser("factor", f.Company, f.User, f.ID); err != nil {
		return err
	}
	data, err := document("the data of a factor", f.Data)
	if err != nil {
		return err
	}
	if f.State == authn.Confirmed {
		if err := wantFreeOf(tx, l, f.ID); err != nil {
			return err
		}
	}
	n, err := tx.exec(`UPDATE factors SET name = $4, state = $5, data = $6
		WHERE company = $1 AND user_id = $2 AND id = $3 AND (state = $5 OR state IN ('active', 'asleep') AND $5 IN ('active', 'asleep'))
		AND (state = $5 OR $5 = 'asleep' OR kind = 'webauthn' OR NOT EXISTS (SELECT 1 FROM factors o
			WHERE o.company = $1 AND o.user_id = $2 AND o.kind = factors.kind AND o.state = $5))`,
		l.company, l.uid, f.ID, clean(f.Name, maxName), clean(string(f.State), maxWord), data)
	return oneRow(n, err, "the factor is gone, or another one is in its place")
}

// setPassword also ends what was counted against the old one.
func setPassword(tx *Tx, l *loaded, w authn.SetPassword) error {
	if len(w.Hash) == 0 || len(w.Hash) > maxSecret {
		return internal("a password hash of %d bytes", len(w.Hash))
	}
	if l.was.ExternalID != "" {
		return internal("a password for user %s, whose password the host program keeps", l.uid)
	}
	id := w.ID
	var now string
	found, err := tx.one("SELECT id FROM factors WHERE company = $1 AND user_id = $2 AND kind = 'password' AND state = 'active'",
		[]any{&now}, l.company, l.uid)
	if err != nil {
		return err
	}
	if found {
		id = now
	}
	if err := wantID("the password factor", id); err != nil {
		return err
	}
	sealed := l.key.Seal(factorPlace(l.company, l.uid, id, authn.Password), w.Hash)
	var n int64
	if found {
		n, err = tx.exec("UPDATE factors SET sealed = $4, confirmed_at = $5 WHERE company = $1 AND user_id = $2 AND id = $3",
			l.company, l.uid, id, sealed, micros(w.At))
	} else {
		n, err = tx.exec(insertFactor, l.company, l.uid, id, string(authn.Password), string(authn.Confirmed), "",
			sealed, "", 0, l.epoch, "", micros(w.At), micros(w.At), 0, 0, 0, nil, "", 0)
	}
	if err := oneRow(n, err, "there is a factor of that id"); err != nil {
		return err
	}
	who := throttleKey(l.key, l.company, l.uid, "")
	if _, err := tx.exec("DELETE FROM throttles WHERE company = $1 AND who = $2", l.company, who[:]); err != nil {
		return err
	}
	n, err = tx.exec(`UPDATE users SET password_changed_at = $3, wrong_in_row = 0, wrong_in_month = 0, month_start = 0, password_known_at = 0, secured_at = 0
		WHERE company = $1 AND id = $2`, l.company, l.uid, micros(w.At))
	return oneRow(n, err, "the user is gone")
}

// liftPauses leaves what was counted: the hundredth wrong answer still locks.
func liftPauses(tx *Tx, l *loaded) error {
	if _, err := tx.exec("UPDATE factors SET paused_s = 0, paused_k = 0 WHERE company = $1 AND user_id = $2", l.company, l.uid); err != nil {
		return err
	}
	who := throttleKey(l.key, l.company, l.uid, "")
	_, err := tx.exec("UPDATE throttles SET paused_s = 0, paused_k = 0 WHERE company = $1 AND who = $2", l.company, who[:])
	return err
}

// rehash does nothing if another sign-in was first, or the password was changed.
func rehash(tx *Tx, l *loaded, w authn.Rehash) error {
	if len(w.New) == 0 || len(w.New) > maxSecret {
		return internal("a password hash of %d bytes", len(w.New))
	}
	var id string
	var sealed []byte
	found, err := tx.one(selectPassword, []any{&id, &sealed}, l.company, l.uid)
	if err != nil || !found {
		return err
	}
	now, err := l.open(id, authn.Password, sealed)
	if err != nil || subtle.ConstantTimeCompare(now, w.Old) != 1 {
		return err
	}
	_, err = tx.exec("UPDATE factors SET sealed = $4 WHERE company = $1 AND user_id = $2 AND id = $3",
		l.company, l.uid, id, l.key.Seal(factorPlace(l.company, l.uid, id, authn.Password), w.New))
	return err
}

// userArgs are the columns of a user from email_verified_at on, cleaned.
func userArgs(u *authn.User) ([]any, error) {
	if len(u.Login) > maxLogin {
		return nil, authn.InvalidField("login", "too_long", nil)
	}
	if len(u.Email) > authn.MaxLogin {
		return nil, authn.InvalidField("email", "too_long", nil)
	}
	return []any{clean(u.Login, maxLogin), clean(u.Email, authn.MaxLogin), micros(u.EmailVerifiedAt), clean(u.Name, maxName),
		clean(u.Locale, maxLocale), clean(string(u.Audience), maxWord), clean(string(u.Status), maxWord), words(u.Roles),
		u.RequireTwoFactor, u.Epoch, micros(u.PasswordChangedAt), u.WrongInRow, u.WrongInMonth, micros(u.MonthStart),
		micros(u.PasswordKnownAt), micros(u.CreatedAt), micros(u.EmailChangedAt), micros(u.SecuredAt), clean(u.Preferred, maxID),
		micros(u.HadFactorAt), micros(u.GraceAt), slices.Contains(u.Roles, "owner"),
		clean(u.Phone, maxWord), micros(u.PhoneTrustedAt), micros(u.PhoneChangedAt),
		u.API, micros(u.ExemptUntil), clean(u.ExemptReason, maxDetail), clean(u.ExemptBy, maxID), micros(u.EmailTrustedAt), micros(u.PasswordResetAt), micros(u.HelpAskedAt),
		micros(u.PasskeyOfferedAt)}, nil
}

// putUser leaves last_sign_in_at, which a new session writes. It may be given what was loaded before a factor became active by this same
// verdict: that does not undo had_factor_at (ruling 2).
func putUser(tx *Tx, l *loaded, u authn.User) error {
	if err := l.ofUser("user", u.Company, u.ID, u.ID); err != nil {
		return err
	}
	args, err := userArgs(&u)
	if err != nil {
		return err
	}
	n, err := tx.exec(`UPDATE users SET login = $3, email = $4, email_verified_at = $5, name = $6, locale = $7, audience = $8, status = $9,
		roles = $10, require_two_factor = $11, epoch = $12, password_changed_at = $13, wrong_in_row = $14, wrong_in_month = $15,
		month_start = $16, password_known_at = $17, created_at = $18, email_changed_at = $19, secured_at = $20, preferred = $21,
		had_factor_at = CASE WHEN $37 AND had_factor_at <> $36 THEN had_factor_at ELSE $22 END, grace_at = $23, owner = $24,
		phone = $25, phone_trusted_at = $26, phone_changed_at = $27, api = $28, exempt_until = $29, exempt_reason = $30, exempt_by = $31, email_trusted_at = $32, password_reset_at = $33, help_asked_at = $34,
		passkey_offered_at = $35
		WHERE company = $1 AND id = $2`,
		append(append([]any{l.company, l.uid}, args...), micros(l.had), u.HadFactorAt.IsZero())...)
	if err := oneRow(n, err, "the user is gone"); err != nil || words(u.Roles) == l.roles {
		return err
	}
	l.roles = words(u.Roles)
	return noteHolder(tx, l.company, l.uid, u.Roles, false)
}

// newUser makes the user, and makes them the one that later writes of the same
// verdict are about.
func (s *Store) newUser(tx *Tx, k *authn.Keys, l *loaded, w authn.NewUser) error {
	u := w.User
	if err := wantID("user", u.ID); err != nil {
		return err
	}
	if u.ID != k.User || u.Company != "" && u.Company != k.Company {
		return internal("user %s is not the one that the decision names", u.ID)
	}
	if l.uid != "" {
		return conflict("there is a user of that id")
	}
	u.Company = k.Company
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	if dead, err := tx.buried(u.Company, u.ID); err != nil || dead {
		return cmp.Or(err, conflict("the user of that id was erased"))
	}
	if err := newExternal(tx, l, &u); err != nil {
		return err
	}
	args, err := userArgs(&u)
	if err != nil {
		return err
	}
	personKey, _, err := l.key.NewSubKey(personPlace(u.Company, u.ID), s.random)
	if err != nil {
		return internal("no key for the user: %w", err)
	}
	n, err := tx.exec(`INSERT INTO users (company, id, person_key, login, email, email_verified_at, name, locale, audience, status, roles,
		require_two_factor, epoch, password_changed_at, wrong_in_row, wrong_in_month, month_start, password_known_at, created_at,
		email_changed_at, secured_at, preferred, had_factor_at, grace_at, owner, phone, phone_trusted_at, phone_changed_at,
		api, exempt_until, exempt_reason, exempt_by, email_trusted_at, password_reset_at, help_asked_at, passkey_offered_at, external_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28,
		$29, $30, $31, $32, $33, $34, $35, $36, $37) ON CONFLICT DO NOTHING`,
		append(append([]any{u.Company, u.ID, personKey}, args...), u.ExternalID)...)
	if err := oneRow(n, err, "there is a user of that id"); err != nil {
		return err
	}
	if err := insertLogins(tx, u.Company, u.ID, w.Logins); err != nil {
		return err
	}
	l.setUser(&u, personKey)
	return noteHolder(tx, l.company, l.uid, u.Roles, true)
}

// insertLogins takes them in the order of names, so that two new users with
// the same ones do not wait for each other in a circle.
func insertLogins(tx *Tx, company, user string, logins []authn.Login) error {
	fieldOf := map[string]string{"name": "login", "email": "email"}
	logins = slices.Clone(logins)
	slices.SortFunc(logins, func(a, b authn.Login) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), -cmp.Compare(a.Kind, b.Kind)) // "name" before "email"
	})
	for i, login := range logins {
		field, ok := fieldOf[login.Kind]
		if !ok {
			return internal("a login of kind %q", clean(login.Kind, maxWord))
		}
		name, ok := authn.CanonicalLogin(login.Name)
		if !ok || name != login.Name {
			return authn.InvalidField(field, "not_canonical", nil)
		}
		if i > 0 && logins[i-1].Name == name {
			continue // somebody whose login is their address
		}
		n, err := tx.exec("INSERT INTO logins (company, name, user_id, kind) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
			company, name, user, login.Kind)
		if err != nil {
			return err
		}
		if n != 1 {
			return &authn.Error{Code: authn.Conflict, Fields: []authn.Field{{Name: field, Code: "taken"}}}
		}
	}
	return nil
}
