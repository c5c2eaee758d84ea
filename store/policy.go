package store

import (
	"context"

	"github.com/sallyport-mfa/sallyport/authn"
)

const maxReason = 4 * 500

// keepPolicy adds a version to the history, in the transaction that saves it.
func keepPolicy(tx *Tx, v authn.PolicyVersion) error {
	n, err := tx.exec(`INSERT INTO policy_versions (company, version, document, at, actor, reason, undo_of, summary)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		v.Company, v.Version, string(v.Document), micros(v.At), clean(v.Actor, maxID), clean(v.Reason, maxReason), v.UndoOf, string(v.Summary))
	return oneRow(n, err, "there is a policy of that version")
}

const policyVersionColumns = "company, version, document, at, actor, reason, undo_of, summary"

func policyVersionTargets(v *authn.PolicyVersion) []any {
	return []any{&v.Company, &v.Version, &v.Document, asTime{&v.At}, &v.Actor, &v.Reason, &v.UndoOf, &v.Summary}
}

// PolicyVersions are the versions of a company's policy before the version before
// (0: from the newest), newest first; at most 200, 50 if limit is 0.
func (s *Store) PolicyVersions(ctx context.Context, company string, before int64, limit int) ([]authn.PolicyVersion, error) {
	if !goodID(company) {
		return nil, nil
	}
	if before <= 0 {
		before = 1 << 62
	}
	var list []authn.PolicyVersion
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		return tx.each("SELECT "+policyVersionColumns+" FROM policy_versions WHERE company = $1 AND version < $2 ORDER BY version DESC LIMIT $3",
			[]any{company, before, limitOf(limit)}, func(scan func(...any) error) (bool, error) {
				var v authn.PolicyVersion
				err := scan(policyVersionTargets(&v)...)
				list = append(list, v)
				return true, err
			})
	})
	return list, in("policy versions", err)
}

// PolicyVersion is one version of a company's policy. Otherwise NotFound.
func (s *Store) PolicyVersion(ctx context.Context, company string, version int64) (authn.PolicyVersion, error) {
	var v authn.PolicyVersion
	if !goodID(company) {
		return v, authn.NotFound
	}
	err := s.b.Read(ctx, func(tx *Tx) error {
		v = authn.PolicyVersion{}
		found, err := tx.one("SELECT "+policyVersionColumns+" FROM policy_versions WHERE company = $1 AND version = $2",
			policyVersionTargets(&v), company, version)
		if err == nil && !found {
			err = authn.NotFound
		}
		return err
	})
	return v, in("policy version", err)
}

// People are the users of a company with their factors, in the order of their ids,
// from the one after the id after; at most 200, 50 if limit is 0.
func (s *Store) People(ctx context.Context, company, after string, limit int) ([]authn.Person, error) {
	if !goodID(company) || after != "" && !goodID(after) {
		return nil, nil
	}
	var list []authn.Person
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		at := map[string]int{}
		err := tx.each("SELECT "+userColumns+" FROM users u WHERE u.company = $1 AND u.id > $2 ORDER BY u.id LIMIT $3",
			[]any{company, after, limitOf(limit)}, func(scan func(...any) error) (bool, error) {
				var p authn.Person
				var personKey []byte
				if err := scan(userTargets(&p.User, &personKey)...); err != nil {
					return false, err
				}
				at[p.User.ID] = len(list)
				list = append(list, p)
				return true, nil
			})
		if err != nil || len(list) == 0 {
			return err
		}
		return tx.each("SELECT "+factorColumns+" FROM factors f WHERE f.company = $1 AND f.user_id > $2 AND f.user_id <= $3",
			[]any{company, after, list[len(list)-1].User.ID}, func(scan func(...any) error) (bool, error) {
				var f authn.Factor
				var stranger, known authn.Count
				if err := scan(factorTargets(&f, &stranger, &known)...); err != nil {
					return false, err
				}
				f.Counts = map[authn.Lane]authn.Count{authn.Stranger: stranger, authn.Known: known}
				if i, ok := at[f.User]; ok {
					list[i].Factors = append(list[i].Factors, f)
				}
				return true, nil
			})
	})
	return list, in("people", err)
}

// Reminders is how far the people of a company were told of what is to come; the
// zero value with the company's id if they never were.
func (s *Store) Reminders(ctx context.Context, company string) (authn.Reminders, error) {
	r := authn.Reminders{Company: company}
	if !goodID(company) {
		return r, authn.NotFound
	}
	err := s.b.Read(ctx, func(tx *Tx) error {
		r = authn.Reminders{Company: company}
		_, err := tx.one("SELECT rollout, days, after_user, done FROM policy_reminders WHERE company = $1",
			[]any{&r.Rollout, &r.Days, &r.After, &r.Done}, company)
		return err
	})
	return r, in("reminders", err)
}

// Remind moves the reminders of a company from one place to the next and puts the
// letters into the outbox, in one transaction: nobody is told twice, whoever runs
// it. Each letter names its User. Conflict if somebody else was faster.
func (s *Store) Remind(ctx context.Context, k authn.Keys, from, to authn.Reminders, letters []authn.Letter) error {
	if !goodID(k.Company) || to.Company != k.Company {
		return authn.NotFound
	}
	return in("remind", s.b.Do(ctx, func(tx *Tx) error {
		n, err := tx.exec(`INSERT INTO policy_reminders (company, rollout, days, after_user, done) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (company) DO UPDATE SET rollout = $2, days = $3, after_user = $4, done = $5
			WHERE policy_reminders.rollout = $6 AND policy_reminders.days = $7 AND policy_reminders.after_user = $8`,
			k.Company, clean(to.Rollout, maxWord), to.Days, clean(to.After, maxID), to.Done, clean(from.Rollout, maxWord), from.Days, clean(from.After, maxID))
		if err := oneRow(n, err, "somebody else is telling them"); err != nil {
			return err
		}
		if s.notice == nil {
			return nil // there is no mail
		}
		l := &loaded{company: k.Company}
		for _, letter := range letters {
			if err := s.newLetter(tx, &k, l, letter.User.ID, letter, ""); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Invitations is how far the people of a company were looked at whom a policy
// strands; the zero value with the company's id if they never were.
func (s *Store) Invitations(ctx context.Context, company string) (authn.Reminders, error) {
	r := authn.Reminders{Company: company}
	if !goodID(company) {
		return r, authn.NotFound
	}
	err := s.b.Read(ctx, func(tx *Tx) error {
		r = authn.Reminders{Company: company}
		_, err := tx.one("SELECT change, after_user, done FROM policy_invitations WHERE company = $1", []any{&r.Rollout, &r.After, &r.Done}, company)
		return err
	})
	return r, in("invitations", err)
}

// maxChange is how long the name of a change can be, in bytes.
const maxChange = 100

func moveInvited(tx *Tx, k *authn.Keys, w authn.MoveInvited) error {
	n, err := tx.exec(`INSERT INTO policy_invitations (company, change, after_user, done) VALUES ($1, $2, $3, $4)
		ON CONFLICT (company) DO UPDATE SET change = $2, after_user = $3, done = $4
		WHERE policy_invitations.change = $5 AND policy_invitations.after_user = $6`,
		k.Company, clean(w.To.Rollout, maxChange), clean(w.To.After, maxID), w.To.Done, clean(w.From.Rollout, maxChange), clean(w.From.After, maxID))
	return oneRow(n, err, "somebody else is inviting them")
}
