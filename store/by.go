package store

import (
	"github.com/sallyport-mfa/sallyport/authn"
)

// loadBy finds who acts, where that is somebody else than the user of the
// decision. The rows of the actor are read and not locked: a decision that ends
// their session or takes their role away commits before this one or after it,
// and two people who act on each other do not wait for each other. What an
// actor's own row must not do meanwhile is no part of any decision about
// somebody else.
func (s *Store) loadBy(tx *Tx, k *authn.Keys, lock bool, l *loaded) error {
	switch {
	case !k.By.Session.IsZero():
		return s.loadBySession(tx, k, lock, l)
	case !k.By.Key.IsZero():
		return s.loadByKey(tx, k, l)
	case !k.By.Account.IsZero():
		return s.loadByAccount(tx, k, l)
	}
	return nil
}

func (s *Store) loadBySession(tx *Tx, k *authn.Keys, lock bool, l *loaded) error {
	actor := &loaded{company: l.company, key: l.key}
	asked := authn.Keys{Company: k.Company, Now: k.Now, SessionToken: k.By.Session}
	if err := s.loadSession(tx, &asked, false, actor); err != nil {
		return err
	}
	l.key = actor.key
	if actor.Session == nil || actor.void {
		return nil
	}
	if err := s.loadFactors(tx, &asked, actor); err != nil {
		return err
	}
	actor.Rows.Company = l.Company
	l.By = &actor.Rows
	return nil
}

func (s *Store) loadByKey(tx *Tx, k *authn.Keys, l *loaded) error {
	t := k.By.Key
	if t.Kind != authn.KeyToken || t.Company != l.company || !goodID(t.ID) || len(t.Secret) == 0 {
		return nil
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	key, owner, err := openKey(tx, l, t, new(authn.Company))
	if err == nil && key != nil {
		l.By = &authn.Rows{Company: l.Company, User: owner, Key: key}
	}
	return err
}

const approvalColumns = "p.company, p.id, p.act, p.target, p.requester, p.hash, p.sealed, p.epoch, p.created_at, p.not_before, p.expires_at, " +
	"p.approved_by, p.approved_at, p.cancelled_by, p.cancelled_at, p.used_at"

func approvalTargets(a *authn.Approval, sealed *[]byte) []any {
	return []any{&a.Company, &a.ID, &a.Do, &a.Target, &a.Requester, &a.Hash, sealed, &a.Epoch, asTime{&a.CreatedAt}, asTime{&a.NotBefore},
		asTime{&a.ExpiresAt}, &a.ApprovedBy, asTime{&a.ApprovedAt}, &a.CancelledBy, asTime{&a.CancelledAt}, asTime{&a.UsedAt}}
}

var (
	selectApproval       = locking("SELECT "+approvalColumns+" FROM approvals p WHERE p.company = $1 AND p.id = $2", "FOR UPDATE")
	selectApprovalOfHash = locking("SELECT "+approvalColumns+" FROM approvals p WHERE p.company = $1 AND p.hash = $2 AND p.requester = $3"+
		" AND p.used_at = 0 AND p.cancelled_at = 0 AND p.expires_at > $4 ORDER BY p.id DESC LIMIT 1", "FOR UPDATE")
)

// loadApproval finds the act that waits: the one that is named, or that of the
// actor with the same hash which can still come to something.
func (s *Store) loadApproval(tx *Tx, k *authn.Keys, lock bool, l *loaded) error {
	var a authn.Approval
	var sealed []byte
	var found bool
	var err error
	switch {
	case k.ApprovalID != "":
		if !goodID(k.ApprovalID) {
			return nil
		}
		found, err = tx.one(selectApproval.text(tx, lock), approvalTargets(&a, &sealed), l.company, k.ApprovalID)
	case k.Act != "" && l.By != nil:
		found, err = tx.one(selectApprovalOfHash.text(tx, lock), approvalTargets(&a, &sealed), l.company, clean(k.Act, maxWord), l.By.User.ID, micros(k.Now))
	}
	if err != nil || !found {
		return err
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	if err := openApproval(l, &a, sealed); err != nil {
		return err
	}
	l.Approval = &a
	return loadApprover(tx, l, &a)
}
