package store

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

const accountColumns = "o.company, o.user_id, o.networks, o.owner, o.reason, o.expires_at, o.created_at, o.created_by, o.last_used_at, o.used_from, o.told, o.limits"

func accountTargets(a *authn.APIAccount, limits *[]byte) []any {
	return []any{&a.Company, &a.User, asJSON[[]netip.Prefix]{&a.Networks}, &a.Owner, &a.Reason, asTime{&a.ExpiresAt}, asTime{&a.CreatedAt},
		&a.CreatedBy, asTime{&a.LastUsedAt}, &a.UsedFrom, &a.Told, limits}
}

// accountLimits binds where and until when the account works, as the token of a
// key does.
func accountLimits(key *keyring.DataKey, a *authn.APIAccount) [32]byte {
	return key.MAC("token", []byte(a.Company), []byte(a.User), []byte("account"),
		binary.BigEndian.AppendUint64(nil, uint64(micros(a.ExpiresAt))), []byte(networks(a.Networks)))
}

var selectAccount = locking("SELECT "+accountColumns+" FROM api_accounts o WHERE o.company = $1 AND o.user_id = $2", "FOR UPDATE")

// findAccount is the API account of a user; nil: there is none. One whose limits
// were edited in the row has ended. l has the data key.
func findAccount(tx *Tx, l *loaded, user string, lock bool) (*authn.APIAccount, error) {
	var a authn.APIAccount
	var limits []byte
	found, err := tx.one(selectAccount.text(tx, lock), accountTargets(&a, &limits), l.company, user)
	if err != nil || !found {
		return nil, err
	}
	if want := accountLimits(l.key, &a); subtle.ConstantTimeCompare(limits, want[:]) != 1 {
		a.ExpiresAt = timeOf(1)
	}
	return &a, nil
}

// loadAccount finds the API account of the decision's user, asking the same for
// whoever is none.
func (s *Store) loadAccount(tx *Tx, k *authn.Keys, lock bool, l *loaded) error {
	if !k.Account {
		return nil
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	a, err := findAccount(tx, l, l.uid, lock)
	if err == nil && a != nil && l.User != nil && l.User.API {
		l.Account = a
	}
	return err
}

// loadByAccount finds the API account that acts, if it is still what it was when
// it showed its secret.
func (s *Store) loadByAccount(tx *Tx, k *authn.Keys, l *loaded) error {
	ref := k.By.Account
	if ref.Company != l.company || !goodID(ref.User) {
		return nil
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	var c authn.Company
	var u authn.User
	var personKey []byte
	found, err := tx.one(selectUser.text(tx, false), slices.Concat(companyTargets(&c), userTargets(&u, &personKey)), l.company, ref.User)
	if err != nil || !found || !u.API || u.Epoch != ref.Epoch {
		return err
	}
	a, err := findAccount(tx, l, u.ID, false)
	if err != nil || a == nil {
		return err
	}
	l.By = &authn.Rows{Company: l.Company, User: &u, Account: a, Key: &authn.APIKey{Company: l.company, ID: u.ID, User: u.ID, Name: u.Login,
		Networks: a.Networks, CreatedAt: a.CreatedAt, ExpiresAt: a.ExpiresAt, LastUsedAt: a.LastUsedAt, OwnerUntil: a.ExpiresAt, Account: true}}
	return nil
}

func putAPIAccount(tx *Tx, l *loaded, a authn.APIAccount) error {
	if a.Company != "" && a.Company != l.company || a.User != "" && a.User != l.uid || a.ExpiresAt.IsZero() {
		return internal("the API account is another user's, or has no end")
	}
	a.Company, a.User, a.ExpiresAt = l.company, l.uid, timeOf(micros(a.ExpiresAt))
	limits := accountLimits(l.key, &a)
	_, err := tx.exec(`INSERT INTO api_accounts (company, user_id, networks, owner, reason, expires_at, created_at, created_by, last_used_at, used_from, told, limits)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (company, user_id) DO UPDATE SET networks = excluded.networks, owner = excluded.owner, reason = excluded.reason,
		expires_at = excluded.expires_at, created_at = excluded.created_at, created_by = excluded.created_by,
		last_used_at = excluded.last_used_at, used_from = excluded.used_from, told = excluded.told, limits = excluded.limits`,
		a.Company, a.User, networks(a.Networks), clean(a.Owner, maxID), clean(a.Reason, maxDetail), micros(a.ExpiresAt), micros(a.CreatedAt), clean(a.CreatedBy, maxID),
		micros(a.LastUsedAt), clean(a.UsedFrom, maxWord), a.Told, limits[:])
	return err
}

func endAPIAccount(tx *Tx, l *loaded) error {
	_, err := tx.exec("DELETE FROM api_accounts WHERE company = $1 AND user_id = $2", l.company, l.uid)
	return err
}

// APIAccounts are the API accounts of a company in the order of their users, from
// the one after the id after; at most 200, 50 if limit is 0.
func (s *Store) APIAccounts(ctx context.Context, company, after string, limit int) ([]authn.APIAccount, error) {
	if !goodID(company) || after != "" && !goodID(after) {
		return nil, nil
	}
	return s.listAccounts(ctx, "WHERE o.company = $1 AND o.user_id > $2 ORDER BY o.user_id LIMIT $3", company, after, limitOf(limit))
}

func (s *Store) listAccounts(ctx context.Context, where string, args ...any) ([]authn.APIAccount, error) {
	var list []authn.APIAccount
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		return tx.each("SELECT "+accountColumns+" FROM api_accounts o "+where, args, func(scan func(...any) error) (bool, error) {
			var a authn.APIAccount
			var limits []byte
			if err := scan(accountTargets(&a, &limits)...); err != nil {
				return false, err
			}
			list = append(list, a)
			return true, nil
		})
	})
	return list, in("api accounts", err)
}

// Exempted are the people of a company for whom policy is lifted at now, in the
// order of their ids, from the one after the id after.
func (s *Store) Exempted(ctx context.Context, company, after string, now time.Time, limit int) ([]authn.User, error) {
	if !goodID(company) || after != "" && !goodID(after) {
		return nil, nil
	}
	var list []authn.User
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		return tx.each("SELECT "+userColumns+" FROM users u WHERE u.company = $1 AND u.id > $2 AND u.exempt_until > 0 AND u.exempt_until > $3 ORDER BY u.id LIMIT $4",
			[]any{company, after, micros(now), limitOf(limit)}, func(scan func(...any) error) (bool, error) {
				var u authn.User
				var personKey []byte
				if err := scan(userTargets(&u, &personKey)...); err != nil {
					return false, err
				}
				list = append(list, u)
				return true, nil
			})
	})
	return list, in("exempted", err)
}

// Unattended are the keys of a company that may do something without a recent
// proof, in the order of their ids, from the one after the id after. A company has
// few keys.
func (s *Store) Unattended(ctx context.Context, company, after string, limit int) ([]authn.APIKey, error) {
	if !goodID(company) || after != "" && !goodID(after) {
		return nil, nil
	}
	return s.listKeys(ctx, "WHERE k.company = $1 AND k.id > $2 AND k.unattended <> '[]' ORDER BY k.id LIMIT $3", company, after, limitOf(limit))
}

// EndingKeys are keys of all companies of which as many letters were written as
// told says, and that end between from and until, soonest first; at most 200.
func (s *Store) EndingKeys(ctx context.Context, told int, from, until time.Time) ([]authn.APIKey, error) {
	return s.listKeys(ctx, "WHERE k.told = $1 AND k.expires_at > $2 AND k.expires_at <= $3 ORDER BY k.expires_at LIMIT 200", told, micros(from), micros(until))
}

// EndingAccounts is EndingKeys of API accounts.
func (s *Store) EndingAccounts(ctx context.Context, told int, from, until time.Time) ([]authn.APIAccount, error) {
	return s.listAccounts(ctx, "WHERE o.told = $1 AND o.expires_at > $2 AND o.expires_at <= $3 ORDER BY o.expires_at LIMIT 200", told, micros(from), micros(until))
}

// builtInRoles are not counted: everybody holds one.
var builtInRoles = []string{"owner", "administrator", "helpdesk", "member"}

// noteHolder keeps role_holders as users.roles is.
func noteHolder(tx *Tx, company, user string, roles []string, fresh bool) error {
	if !fresh {
		if _, err := tx.exec("DELETE FROM role_holders WHERE company = $1 AND user_id = $2", company, user); err != nil {
			return err
		}
	}
	for _, role := range roles {
		if slices.Contains(builtInRoles, role) {
			continue
		}
		if _, err := tx.exec("INSERT INTO role_holders (company, role, user_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", company, clean(role, maxWord), user); err != nil {
			return err
		}
	}
	return nil
}

func noHolders(tx *Tx, k *authn.Keys, role string) error {
	var n int64
	if _, err := tx.one(lockCompany.text(tx, true), []any{&n}, k.Company); err != nil {
		return err
	}
	found, err := tx.one("SELECT 1 FROM role_holders WHERE company = $1 AND role = $2 LIMIT 1", []any{&n}, k.Company, clean(role, maxWord))
	if err == nil && found {
		return &authn.Error{Code: authn.Conflict, Key: "error.role_held"}
	}
	return err
}

// RoleHolders counts the people who hold a role that is not built in, up to most.
func (s *Store) RoleHolders(ctx context.Context, company, role string, most int) (int, error) {
	var n int64
	err := s.b.Read(ctx, func(tx *Tx) error {
		_, err := tx.one("SELECT count(*) FROM (SELECT 1 FROM role_holders WHERE company = $1 AND role = $2 LIMIT $3) h", []any{&n}, clean(company, maxID), clean(role, maxWord), most)
		return err
	})
	return int(n), in("role holders", err)
}

// Logins are the logins of users by their ids; those who are not there are left out.
func (s *Store) Logins(ctx context.Context, company string, ids []string) (map[string]string, error) {
	out := map[string]string{}
	for part := range slices.Chunk(ids, 200) {
		args, places := []any{clean(company, maxID)}, make([]string, 0, len(part))
		for _, id := range part {
			args = append(args, clean(id, maxID))
			places = append(places, "$"+strconv.Itoa(len(args)))
		}
		err := s.b.Read(ctx, func(tx *Tx) error {
			return tx.each("SELECT id, login FROM users WHERE company = $1 AND id IN ("+strings.Join(places, ", ")+")", args, func(scan func(...any) error) (bool, error) {
				var id, login string
				err := scan(&id, &login)
				out[id] = login
				return true, err
			})
		})
		if err != nil {
			return nil, in("logins", err)
		}
	}
	return out, nil
}
