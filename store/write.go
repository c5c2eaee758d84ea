package store

import (
	"github.com/sallyport-mfa/sallyport/authn"
)

// apply writes a verdict: the budgets, the changes in order, then the events.
func (s *Store) apply(tx *Tx, k *authn.Keys, l *loaded, paid bool, v authn.Verdict) error {
	if err := s.writeBudgets(tx, k, l, v.Writes()); err != nil {
		return err
	}
	for _, w := range v.Writes() {
		if err := s.write(tx, k, l, paid, w); err != nil {
			return err
		}
		l.noteWrite(k, w)
	}
	if err := s.keepLists(tx, k, l); err != nil {
		return err
	}
	for _, ev := range v.Events() {
		if err := s.insertEvent(tx, k, l, ev); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) write(tx *Tx, k *authn.Keys, l *loaded, paid bool, w authn.Write) error {
	switch w := w.(type) {
	case authn.Settle:
		return s.settle(tx, k, l, paid, w)
	case authn.SetPolicy:
		return setPolicy(tx, k, w)
	case authn.SetRoles:
		return setRoles(tx, k, w)
	case authn.KeepOwner:
		return keepOwner(tx, k)
	case authn.NoHolders:
		return noHolders(tx, k, w.Role)
	case authn.NewUser:
		return s.newUser(tx, k, l, w)
	case authn.SpendBudget, authn.NoteBudget:
		return nil // written before all others
	case authn.MoveInvited:
		return moveInvited(tx, k, w)
	case authn.KeepForm:
		return s.keepForm(tx, k, l, w)
	case authn.NewReset, authn.PutReset, authn.EndResets:
		return s.writeReset(tx, k, l, w)
	case authn.NewAsk:
		if err := s.wantKey(tx, l); err != nil {
			return err
		}
		return s.newAsk(tx, k, l, w.Ask)
	case authn.SpendAsk:
		return spendAsk(tx, l)
	case authn.SetBranding:
		return setBranding(tx, l, w)
	case authn.SetStream:
		return setStream(tx, l, w)
	case authn.SetKeep:
		return setKeep(tx, l, w)
	case authn.SetAction:
		return setAction(tx, l, w.Action)
	case authn.EndAction:
		return endAction(tx, l, w.Name)
	case authn.SetProvider, authn.TellOwners: // about the company
		if err := s.wantKey(tx, l); err != nil {
			return err
		}
		if p, ok := w.(authn.SetProvider); ok {
			return setProvider(tx, l, p)
		}
		return s.writeLetter(tx, k, l, w)
	}
	// All others are about the user that was locked.
	if l.uid == "" {
		return internal("%T without a user", w)
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	switch w := w.(type) {
	case authn.NewAttempt:
		return newAttempt(tx, k, l, w)
	case authn.PutAttempt:
		return putAttempt(tx, l, w.Attempt)
	case authn.EndAttempts:
		return endAttempts(tx, l, w.Except)
	case authn.NewSession:
		return newSession(tx, l, w)
	case authn.PutSession:
		return putSession(tx, l, w.Session)
	case authn.EndSession:
		n, err := tx.exec("DELETE FROM sessions WHERE company = $1 AND user_id = $2 AND id = $3", l.company, l.uid, clean(w.ID, maxID))
		return oneRow(n, err, "the session to end is gone")
	case authn.EndSessions:
		_, err := tx.exec("DELETE FROM sessions WHERE "+ofTheUser("sessions")+" AND id <> $3", l.company, l.uid, clean(w.Except, maxID))
		return err
	case authn.KnowBrowser:
		return knowBrowser(tx, k, l, clean(w.Factor, maxID), w.Known)
	case authn.ForgetBrowsers:
		return forgetBrowsers(tx, k, l, w.All)
	case authn.NewTrust, authn.RotateTrust, authn.NameTrust, authn.EndTrust:
		return s.writeTrust(tx, k, l, w)
	case authn.NewChallenge, authn.PutChallenge, authn.PutOutside, authn.ConsumeChallenges:
		return s.writeSent(tx, k, l, w)
	case authn.SetCredential:
		return setCredential(tx, l, w)
	case authn.NewLetter:
		return s.writeLetter(tx, k, l, w)
	case authn.NewApproval:
		return newApproval(tx, k, l, w.Approval)
	case authn.PutApproval:
		return putApproval(tx, l, w.Approval)
	case authn.NewAPIKey, authn.PutAPIKey, authn.RollAPIKey, authn.EndAPIKey, authn.EndAPIKeys:
		return s.writeKey(tx, l, w)
	case authn.NewGrant:
		return newGrant(tx, l, w)
	case authn.NewHandle:
		return newHandle(tx, l, w)
	case authn.SpendHandle:
		return spendHandle(tx, k, l)
	case authn.NewReturnAddress:
		return newReturn(tx, l, w.Return)
	case authn.EndReturnAddress:
		n, err := tx.exec("DELETE FROM return_addresses WHERE company = $1 AND address = $2 AND key_id = $3", l.company, w.Address, clean(w.Key, maxID))
		return oneRow(n, err, "the return address is gone")
	case authn.BindAttempt:
		return bindAttempt(tx, k, l, w.ID)
	case authn.SpendGrant:
		return spendGrant(tx, k, l)
	case authn.PutAPIAccount:
		return putAPIAccount(tx, l, w.Account)
	case authn.EndAPIAccount:
		return endAPIAccount(tx, l)
	case authn.NewLink:
		return newLink(tx, l, w)
	case authn.SpendLink:
		return spendLink(tx, k, l)
	case authn.EraseUser:
		return s.eraseUser(tx, k, l, w)
	case authn.EndLinks:
		_, err := tx.exec("DELETE FROM links WHERE company = $1 AND user_id = $2 AND purpose = $3 AND epoch > $4", l.company, l.uid, string(authn.NotMeLink), w.After)
		return err
	}
	return s.writeAccount(tx, k, l, w)
}

// ofTheUser is "company = $1 AND user_id = $2" for a table that has an index of
// it, in words that make SQLite use it: by itself it takes the rows of a company
// for as few as those of a user, and reads them all in the order of the key.
func ofTheUser(table string) string {
	return "(company, id) IN (SELECT company, id FROM " + table + " WHERE company = $1 AND user_id = $2)"
}

func oneRow(n int64, err error, otherwise string) error {
	if err == nil && n != 1 {
		return conflict(otherwise)
	}
	return err
}

// ofUser refuses a row that is not of the locked user: a decision about one
// person writes nothing of another.
func (l *loaded) ofUser(what, company, user, id string) error {
	if company != "" && company != l.company || user != "" && user != l.uid {
		return internal("%s %s is of another company or user than the decision", what, clean(id, maxID))
	}
	return wantID(what, id)
}

func newAttempt(tx *Tx, k *authn.Keys, l *loaded, w authn.NewAttempt) error {
	a := w.Attempt
	if err := l.ofUser("attempt", a.Company, a.User, a.ID); err != nil {
		return err
	}
	a.Company, a.User = l.company, l.uid
	if w.Token.Kind != authn.AttemptToken || w.Token.Company != a.Company || w.Token.ID != a.ID || len(w.Token.Secret) == 0 {
		return internal("the token of attempt %s is not its own", a.ID)
	}
	if a.Lane == "" {
		a.Lane = l.lane
	}
	token := attemptToken(l.key, w.Token, &a)
	var browser []byte
	if k.Browser != "" {
		sum := attemptBrowser(l.key, k.Browser, &a)
		browser = sum[:]
	}
	n, err := tx.exec(`INSERT INTO attempts (company, id, user_id, purpose, state, version, proofs, lane, session_id, action,
		return_to, epoch, first_ever, created_at, expires_at, wants, caller, token, browser)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) ON CONFLICT DO NOTHING`,
		a.Company, a.ID, a.User, clean(string(a.Purpose), maxWord), clean(string(a.State), maxWord), a.Version, proofs(a.Proofs),
		string(a.Lane), clean(a.Session, maxID), clean(a.Action, maxWord), returnTo(a.ReturnTo), a.Epoch,
		a.First, micros(a.CreatedAt), micros(a.ExpiresAt), wants(a.Wants), caller(l, &a), token[:], browser)
	return oneRow(n, err, "there is an attempt of that id")
}

// putAttempt never changes what the attempt was begun for, nor whose budget it spends.
func putAttempt(tx *Tx, l *loaded, a authn.Attempt) error {
	if err := l.ofUser("attempt", a.Company, a.User, a.ID); err != nil {
		return err
	}
	if l.attempt != a.ID {
		return internal("attempt %s was not loaded for the decision", a.ID)
	}
	n, err := tx.exec(`UPDATE attempts SET state = $4, version = $5, proofs = $6, action = $7, return_to = $8, epoch = $9, expires_at = $10
		WHERE company = $1 AND id = $2 AND user_id = $3 AND version = $5 - 1`,
		l.company, a.ID, l.uid, clean(string(a.State), maxWord), a.Version, proofs(a.Proofs), clean(a.Action, maxWord),
		returnTo(a.ReturnTo), a.Epoch, micros(a.ExpiresAt))
	return oneRow(n, err, "the attempt has moved on")
}

func endAttempts(tx *Tx, l *loaded, except string) error {
	_, err := tx.exec("DELETE FROM attempts WHERE "+ofTheUser("attempts")+" AND id <> $3 AND state NOT IN ('complete', 'denied')",
		l.company, l.uid, clean(except, maxID))
	return err
}

func proofs(list []authn.Proof) string {
	if len(list) == 0 {
		return "[]"
	}
	return encode(list)
}

// returnTo drops a path that is too long: half of one leads somewhere else.
func returnTo(path string) string {
	if len(path) > maxReturnTo {
		return ""
	}
	return clean(path, maxReturnTo)
}

func newSession(tx *Tx, l *loaded, w authn.NewSession) error {
	se := w.Session
	if err := l.ofUser("session", se.Company, se.User, se.ID); err != nil {
		return err
	}
	se.Company, se.User = l.company, l.uid
	if w.Token.Kind != authn.SessionToken || w.Token.Company != se.Company || w.Token.ID != se.ID || len(w.Token.Secret) == 0 {
		return internal("the token of session %s is not its own", se.ID)
	}
	se.ACR = clean(se.ACR, maxWord) // before it is hashed
	token := sessionToken(l.key, w.Token, &se)
	n, err := tx.exec(`INSERT INTO sessions (company, id, user_id, epoch, amr, acr, auth_time, factor_time, confirmed_at, created_at,
		last_seen_at, expires_at, ends_at, idle, agent, name, attempt, return_to, trust, token)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) ON CONFLICT DO NOTHING`,
		se.Company, se.ID, se.User, se.Epoch, words(se.AMR), se.ACR, micros(se.AuthTime), micros(se.FactorTime), micros(se.ConfirmedAt),
		micros(se.CreatedAt), micros(se.LastSeenAt), micros(se.ExpiresAt), micros(endOf(&se)), se.Idle.Microseconds(),
		clean(se.Agent, maxName), clean(se.Name, maxName), clean(se.Attempt, maxID), returnTo(se.ReturnTo), clean(se.Trust, maxID), token[:])
	if err := oneRow(n, err, "there is a session of that id"); err != nil {
		return err
	}
	// A session that is issued anew keeps the time of its sign-in.
	_, err = tx.exec("UPDATE users SET last_sign_in_at = $3 WHERE company = $1 AND id = $2 AND last_sign_in_at < $3",
		l.company, l.uid, micros(se.CreatedAt))
	return err
}

func putSession(tx *Tx, l *loaded, se authn.Session) error {
	if err := l.ofUser("session", se.Company, se.User, se.ID); err != nil {
		return err
	}
	if l.session.ID != se.ID {
		return internal("session %s was not loaded for the decision", se.ID)
	}
	end := l.session // how long it lives is not to be changed
	end.LastSeenAt = se.LastSeenAt
	n, err := tx.exec(`UPDATE sessions SET last_seen_at = $4, factor_time = $5, confirmed_at = $6, ends_at = $7, name = $8
		WHERE company = $1 AND id = $2 AND user_id = $3`,
		l.company, se.ID, l.uid, micros(se.LastSeenAt), micros(se.FactorTime), micros(se.ConfirmedAt), micros(endOf(&end)), clean(se.Name, maxName))
	return oneRow(n, err, "the session is gone")
}

// knowBrowser does nothing where no browser cookie came with the request.
func knowBrowser(tx *Tx, k *authn.Keys, l *loaded, factor string, known bool) error {
	if k.Browser == "" {
		return nil
	}
	browser := deviceBrowser(l.key, k.Browser, l.company, l.uid)
	n, err := tx.exec("UPDATE devices SET used_at = $4, factor = CASE WHEN $5 <> '' THEN $5 ELSE factor END WHERE company = $1 AND user_id = $2 AND browser = $3",
		l.company, l.uid, browser[:], micros(k.Now), factor)
	if err != nil || n == 1 || known {
		return err
	}
	if _, err := tx.exec("INSERT INTO devices (company, user_id, browser, used_at, factor) VALUES ($1, $2, $3, $4, $5)",
		l.company, l.uid, browser[:], micros(k.Now), factor); err != nil {
		return err
	}
	// The new one is kept even if the clock of another node is ahead.
	_, err = tx.exec(`DELETE FROM devices WHERE company = $1 AND user_id = $2 AND browser IN
		(SELECT browser FROM devices WHERE company = $1 AND user_id = $2 AND browser <> $3 ORDER BY used_at DESC, browser LIMIT 1000 OFFSET $4)`,
		l.company, l.uid, browser[:], MaxDevices-1)
	return err
}

func forgetBrowsers(tx *Tx, k *authn.Keys, l *loaded, all bool) error {
	browser := deviceBrowser(l.key, k.Browser, l.company, l.uid)
	if _, err := tx.exec("DELETE FROM devices WHERE company = $1 AND user_id = $2 AND (browser <> $3 OR $4)", l.company, l.uid, browser[:], all); err != nil {
		return err
	}
	return forgetTrust(tx, l, browser[:], all)
}

func setPolicy(tx *Tx, k *authn.Keys, w authn.SetPolicy) error {
	policy, err := document("the policy", w.Policy)
	if err != nil {
		return err
	}
	n, err := tx.exec("UPDATE companies SET policy = $2, policy_version = $3, trust_version = CASE WHEN $4 THEN $3 ELSE trust_version END"+
		" WHERE id = $1 AND policy_version = $3 - 1", k.Company, policy, w.Version, w.EndsTrust)
	if err := oneRow(n, err, "the policy was saved by somebody else"); err != nil {
		return err
	}
	summary, err := document("the summary of the policy", w.Summary)
	if err != nil {
		return err
	}
	return keepPolicy(tx, authn.PolicyVersion{Company: k.Company, Version: w.Version, Document: []byte(policy), At: k.Now,
		Actor: w.Actor, Reason: w.Reason, UndoOf: w.UndoOf, Summary: []byte(summary)})
}

func setRoles(tx *Tx, k *authn.Keys, w authn.SetRoles) error {
	roles, err := document("the roles", []byte(encode(w.Roles)))
	if err != nil {
		return err
	}
	if len(w.Roles) == 0 {
		roles = "[]"
	}
	n, err := tx.exec("UPDATE companies SET roles = $2, roles_version = $3 WHERE id = $1 AND roles_version = $3 - 1", k.Company, roles, w.Version)
	return oneRow(n, err, "the roles were saved by somebody else")
}

var lockCompany = locking("SELECT 1 FROM companies WHERE id = $1", "FOR NO KEY UPDATE")

// keepOwner holds the company's row (ruling 25), so that two owners cannot remove
// each other at the same time: the second waits, and then counts without the first.
func keepOwner(tx *Tx, k *authn.Keys) error {
	var n int64
	if _, err := tx.one(lockCompany.text(tx, true), []any{&n}, k.Company); err != nil {
		return err
	}
	found, err := tx.one("SELECT 1 FROM users WHERE company = $1 AND owner AND status = 'active' AND NOT api LIMIT 1", []any{&n}, k.Company)
	if err == nil && !found {
		return &authn.Error{Code: authn.Conflict, Key: "error.last_owner"}
	}
	return err
}
