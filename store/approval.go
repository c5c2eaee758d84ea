package store

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

func approvalPlace(company, id, target string) keyring.AD {
	return keyring.AD{Table: "approvals", Column: "sealed", Company: company, Row: id, User: target}
}

// said is what of an approval is about the person, and sealed.
type said struct {
	Args   map[string]string `json:"args,omitempty"`
	Reason string            `json:"reason,omitempty"`
}

func openApproval(l *loaded, a *authn.Approval, sealed []byte) error {
	plain, err := l.key.Open(approvalPlace(a.Company, a.ID, a.Target), sealed)
	var v said
	if err != nil || json.Unmarshal(plain, &v) != nil {
		return internal("approval %s does not open", a.ID)
	}
	a.Args, a.Reason = v.Args, v.Reason
	return nil
}

// loadApprover finds who approved, as they are now: the word of somebody who may
// not give it any more does not count.
func loadApprover(tx *Tx, l *loaded, a *authn.Approval) error {
	if !goodID(a.ApprovedBy) {
		return nil
	}
	var c authn.Company
	var u authn.User
	var personKey []byte
	found, err := tx.one(selectUser.text(tx, false), slices.Concat(companyTargets(&c), userTargets(&u, &personKey)), l.company, a.ApprovedBy)
	if err == nil && found {
		a.Approver = &u
	}
	return err
}

// maxWaiting bounds what one person has waiting: each of them is a letter to
// every owner.
const maxWaiting = 20

func newApproval(tx *Tx, k *authn.Keys, l *loaded, a authn.Approval) error {
	if err := l.ofUser("approval", a.Company, a.Target, a.ID); err != nil {
		return err
	}
	var waiting int64
	if _, err := tx.one("SELECT count(*) FROM approvals WHERE company = $1 AND requester = $2 AND used_at = 0 AND cancelled_at = 0 AND expires_at > $3",
		[]any{&waiting}, l.company, clean(a.Requester, maxID), micros(k.Now)); err != nil {
		return err
	}
	if waiting >= maxWaiting {
		return &authn.Error{Code: authn.Conflict, Key: "error.approvals_many"}
	}
	if _, err := tx.exec("UPDATE approvals SET cancelled_at = $4, cancelled_by = requester WHERE company = $1 AND hash = $2 AND requester = $3"+
		" AND cancelled_at = 0 AND used_at = 0", l.company, clean(a.Hash, maxWord), clean(a.Requester, maxID), micros(k.Now)); err != nil {
		return err
	}
	sealed := l.key.Seal(approvalPlace(l.company, a.ID, l.uid), []byte(encode(said{a.Args, a.Reason})))
	n, err := tx.exec(`INSERT INTO approvals (company, id, act, target, requester, hash, sealed, epoch, created_at, not_before, expires_at,
		approved_by, approved_at, cancelled_by, cancelled_at, used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, '', 0, '', 0, 0) ON CONFLICT DO NOTHING`,
		l.company, a.ID, clean(a.Do, maxWord), l.uid, clean(a.Requester, maxID), clean(a.Hash, maxWord), sealed, a.Epoch,
		micros(a.CreatedAt), micros(a.NotBefore), micros(a.ExpiresAt))
	return oneRow(n, err, "there is an approval of that id")
}

// putApproval changes what is still open, once in each way; its end only ever
// comes nearer.
func putApproval(tx *Tx, l *loaded, a authn.Approval) error {
	if l.Approval == nil || l.Approval.ID != a.ID {
		return internal("approval %s was not loaded for the decision", clean(a.ID, maxID))
	}
	n, err := tx.exec(`UPDATE approvals SET approved_by = $3, approved_at = $4, cancelled_by = $5, cancelled_at = $6, used_at = $7,
		expires_at = CASE WHEN expires_at > $8 THEN $8 ELSE expires_at END
		WHERE company = $1 AND id = $2 AND used_at = 0 AND cancelled_at = 0 AND (approved_at = 0 OR approved_at = $4)`,
		l.company, a.ID, clean(a.ApprovedBy, maxID), micros(a.ApprovedAt), clean(a.CancelledBy, maxID), micros(a.CancelledAt), micros(a.UsedAt), micros(a.ExpiresAt))
	return oneRow(n, err, "what waited was decided meanwhile")
}

// Approvals are the acts of a company that wait or waited, newest first, before
// the one of the id before; about one person, if target is not empty. At most
// 200, 50 if limit is 0.
func (s *Store) Approvals(ctx context.Context, company, target, before string, limit int) ([]authn.Approval, error) {
	if before == "" {
		before = lastID
	}
	if !goodID(company) || before != lastID && !goodID(before) || target != "" && !goodID(target) {
		return nil, nil
	}
	text := "SELECT " + approvalColumns + " FROM approvals p WHERE p.company = $1 AND p.id < $2 ORDER BY p.id DESC LIMIT $3"
	args := []any{company, before, limitOf(limit)}
	if target != "" {
		text = "SELECT " + approvalColumns + " FROM approvals p WHERE p.company = $1 AND p.id < $2 AND p.target = $4 ORDER BY p.id DESC LIMIT $3"
		args = append(args, target)
	}
	var list []authn.Approval
	err := s.b.Read(ctx, func(tx *Tx) error {
		l := &loaded{company: company}
		if err := s.wantKey(tx, l); err != nil {
			return err
		}
		list = nil
		return tx.each(text, args, func(scan func(...any) error) (bool, error) {
			var a authn.Approval
			var sealed []byte
			if err := scan(approvalTargets(&a, &sealed)...); err != nil {
				return false, err
			}
			if err := openApproval(l, &a, sealed); err != nil {
				return false, err
			}
			list = append(list, a)
			return true, nil
		})
	})
	return list, in("approvals", err)
}

// ActedOn reports whether the actor, or a program of theirs, did something to the
// person since then, and not by mistake of being refused: whoever made or reset
// somebody does not get their word (ruling 20). A key is its owner's and its
// maker's, who has seen it; an API account is theirs who answer for it. What a key
// did that is there no more counts for everybody: nobody knows whose it was. So
// does an import whose events are still being written.
func (s *Store) ActedOn(ctx context.Context, company, actor, person, since string) (bool, error) {
	if !goodID(company) || !goodID(actor) || !goodID(person) {
		return false, nil
	}
	var found bool
	err := s.b.Read(ctx, func(tx *Tx) (err error) {
		var id string
		found, err = tx.one("SELECT id FROM events WHERE company = $1 AND target = $2 AND target <> '' AND id > $3 AND result = 'success' AND type NOT LIKE 'key.%'"+
			" AND (actor = $4 OR actor LIKE 'key_%' AND target <> $4"+
			" AND NOT EXISTS (SELECT 1 FROM api_keys k WHERE k.company = $1 AND k.id = events.actor AND k.user_id <> $4 AND k.made_by <> $4)"+
			" OR EXISTS (SELECT 1 FROM api_accounts o WHERE o.company = $1 AND o.user_id = events.actor AND (o.owner = $4 OR o.created_by = $4))) LIMIT 1",
			[]any{&id}, company, person, clean(since, maxID), actor)
		if err != nil || found {
			return err
		}
		found, err = tx.one("SELECT id FROM users WHERE company = $1 AND id = $2 AND import_id <> ''", []any{&id}, company, person)
		return err
	})
	return found, in("acted on", err)
}
