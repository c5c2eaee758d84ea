package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// counted is one row of budgets that a verdict changes.
type counted struct {
	authn.Spending
	stored string // the subject as it lies in the table
	note   bool   // without a limit
}

// maxCost bounds what one message can cost, so that no sum runs over.
const maxCost = 1 << 40

// writeBudgets spends and notes what a verdict does, before it writes anything
// else: a refusal then has least to undo. All who spend lock the rows that many
// share in the same order, so that they never wait for each other in a circle.
func (s *Store) writeBudgets(tx *Tx, k *authn.Keys, l *loaded, writes []authn.Write) error {
	var list []counted
	for _, w := range writes {
		switch w := w.(type) {
		case authn.SpendBudget:
			for _, b := range w.Of {
				list = append(list, counted{Spending: b})
			}
		case authn.NoteBudget:
			for _, b := range w.Of {
				list = append(list, counted{Spending: b, note: true})
			}
		}
	}
	for i := range list {
		if err := s.prepareBudget(tx, l, &list[i]); err != nil {
			return err
		}
	}
	slices.SortStableFunc(list, func(a, b counted) int {
		return cmp.Or(cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.stored, b.stored), a.From.Compare(b.From))
	})
	for i := range list {
		if err := writeBudget(tx, k, l, &list[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) prepareBudget(tx *Tx, l *loaded, b *counted) error {
	b.Scope = clean(b.Scope, maxWord)
	if b.Scope == "" || !b.From.Before(b.Until) || b.Most < 0 || b.MostMoney < 0 || b.Money < 0 || b.Money > maxCost || b.Good < 0 {
		return internal("a budget %q that cannot be counted", b.Scope)
	}
	b.stored = clean(b.Subject, maxName)
	if !b.Hidden {
		return nil
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	b.stored = budgetSubject(l.key, b.Scope, b.Subject)
	return nil
}

// countBudget finds no row where a limit stands in the way.
const countBudget = `INSERT INTO budgets (company, scope, subject, from_at, until_at, hidden, n, good, money)
	VALUES ($1, $2, $3, $4, $5, $6, 1, 0, $7)
	ON CONFLICT (company, scope, subject, from_at) DO UPDATE SET n = budgets.n + 1, money = budgets.money + excluded.money
	WHERE (budgets.n < $8 OR $8 = 0) AND (budgets.money + excluded.money <= $9 OR $9 = 0)`

func writeBudget(tx *Tx, k *authn.Keys, l *loaded, b *counted) error {
	if b.note {
		b.Most, b.MostMoney, b.Watch = 0, 0, false
		if b.Good > 0 {
			_, err := tx.exec("UPDATE budgets SET good = good + $5 WHERE company = $1 AND scope = $2 AND subject = $3 AND from_at = $4",
				l.company, b.Scope, b.stored, micros(b.From), b.Good)
			return err
		}
	}
	if b.MostMoney > 0 && b.Money > b.MostMoney {
		return b.usedUp(k, b.Until, false)
	}
	if b.Watch {
		if err := watch(tx, k, l, b); err != nil {
			return err
		}
	}
	n, err := tx.exec(countBudget, l.company, b.Scope, b.stored, micros(b.From), micros(b.Until), b.Hidden, b.Money, b.Most, b.MostMoney)
	if err == nil && n == 0 {
		return b.usedUp(k, b.Until, false)
	}
	return err
}

// watch refuses while too few of the codes that were sent there come back
// (security section 5). The last ones do not count: their codes may be on the way.
// All rows of the scope are taken for buckets, so it counts in no other windows.
func watch(tx *Tx, k *authn.Keys, l *loaded, b *counted) error {
	var n, good int64
	var oldest time.Time
	_, err := tx.one(`SELECT COALESCE(SUM(n), 0), COALESCE(SUM(good), 0), COALESCE(MIN(from_at), 0) FROM budgets
		WHERE company = $1 AND scope = $2 AND subject = $3 AND from_at > $4 AND from_at <= $5`, []any{&n, &good, asTime{&oldest}},
		l.company, b.Scope, b.stored, micros(k.Now.Add(-authn.ConversionWindow)), micros(k.Now.Add(-authn.ConversionRest)))
	if err != nil || n < authn.ConversionLeast || good*authn.ConversionPart >= n {
		return err
	}
	return b.usedUp(k, oldest.Add(authn.ConversionWindow), true)
}

// usedUp is the answer of a budget that lets nothing through until then.
func (b *counted) usedUp(k *authn.Keys, until time.Time, watch bool) error {
	e := &authn.BudgetError{Scope: b.Scope, Subject: b.Subject, Until: until, Watch: watch}
	if b.Hidden {
		e.Subject = ""
	}
	return &authn.Error{Code: authn.TooManyRequests, Key: "error.message_budget", RetryAfter: max(until.Sub(k.Now), time.Second), Err: e}
}

// maxShown bounds what is shown of a company's budgets.
const maxShown = 500

// Budgets is how the budgets of a company stand whose window holds now, by scope,
// subject and window; at most 500, and none of those that count hidden subjects.
func (s *Store) Budgets(ctx context.Context, company string, now time.Time) ([]authn.Spent, error) {
	if !goodID(company) {
		return nil, authn.NotFound
	}
	var list []authn.Spent
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		return tx.each(`SELECT scope, subject, from_at, until_at, n, good, money FROM budgets
			WHERE company = $1 AND until_at > $2 AND from_at <= $2 AND NOT hidden ORDER BY scope, subject, from_at LIMIT $3`,
			[]any{company, micros(now), maxShown}, func(scan func(...any) error) (bool, error) {
				var b authn.Spent
				err := scan(&b.Scope, &b.Subject, asTime{&b.From}, asTime{&b.Until}, &b.N, &b.Good, &b.Money)
				list = append(list, b)
				return true, err
			})
	})
	if err != nil {
		return nil, in("budgets", err)
	}
	return list, nil
}
