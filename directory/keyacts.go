package directory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// What can be chosen of a key.
const (
	UsualOverlap    = 24 * time.Hour
	ShortestOverlap = time.Hour
	LongestOverlap  = 14 * 24 * time.Hour
	maxKeyName      = 100
)

// KeyDays are the lives that a page offers, in days.
func KeyDays() []int { return []int{30, 90, 180, 365} }

// NewKey is a key to be made.
type NewKey struct {
	Name     string
	Owner    string // login or id of the user for whom it acts; empty: whoever makes it
	Scopes   []string
	Networks []netip.Prefix // empty: everywhere
	Life     time.Duration  // 0: UsualKeyLife
	// Unattended are acts of UnattendedActs that it may do without a recent proof.
	// Only an owner says so, and only with Networks (ruling 21).
	Unattended []string
	Reason     string // for the log
}

// UnattendedActs are the acts that a key can be marked for, by the type of their
// event, sorted: those about people, apart from what is the owner's alone.
func UnattendedActs() []string {
	var list []string
	for kind := range maps.Values(personActs) {
		if !slices.Contains(ownerClass, kind.permission) && !slices.Contains(list, kind.event) {
			list = append(list, kind.event)
		}
	}
	slices.Sort(list)
	return list
}

// CreateKey makes a key of a person or an API account whom w may touch. The token
// is in no other answer.
//
// Errors: those of Act; Invalid (fields name, owner, scopes, networks, expires,
// unattended), Conflict (name taken; error.too_many_keys).
func (s *Service) CreateKey(ctx context.Context, w Who, n NewKey) (authn.APIKey, authn.Token, error) {
	now := s.c.Now()
	k := authn.APIKey{Company: w.Company, ID: authn.NewID(authn.KeyID, now, s.c.Random), CreatedAt: now}
	seen, err := s.Check(ctx, w, KeysWrite)
	if err != nil {
		return k, authn.Token{}, err
	}
	if k.Name, err = authn.CleanName("name", n.Name, maxKeyName); err != nil {
		return k, authn.Token{}, err
	}
	if k.Networks, err = checkNetworks(n.Networks); err != nil {
		return k, authn.Token{}, err
	}
	if k.ExpiresAt, err = keyEnd(now, n.Life); err != nil {
		return k, authn.Token{}, err
	}
	k.Told = told(k.ExpiresAt.Sub(now))
	if k.Unattended, err = checkUnattended(n.Unattended, k.Networks); err != nil {
		return k, authn.Token{}, err
	}
	if n.Owner == "" {
		n.Owner = seen.User.ID
	}
	owner, _, err := s.Lookup(ctx, seen.Company, n.Owner)
	if errors.Is(err, authn.NotFound) {
		return k, authn.Token{}, authn.InvalidField("owner", "unknown_person", nil)
	}
	if err != nil {
		return k, authn.Token{}, err
	}
	k.User = owner.ID
	token := authn.NewToken(authn.KeyToken, k.Company, k.ID, s.c.Random)
	a := Act{Type: "key.created", Permission: KeysWrite, Fresh: true, Target: owner.ID, Self: true, Reason: n.Reason}
	err = s.Act(ctx, w, a, func(rows *authn.Rows) (Done, error) {
		k.MadeBy = personOf(w, rows)
		if k.Scopes, err = checkScopes(w, rows, n.Scopes); err != nil {
			return Done{}, err
		}
		if len(k.Unattended) > 0 && !w.Actor.Operator && !inPerson(rows.By, Owner) {
			return Done{}, forbidden("unattended")
		}
		return Done{Detail: keyDetail(k), Writes: []authn.Write{authn.NewAPIKey{Key: k, Token: token}}}, nil
	})
	if err != nil {
		return k, authn.Token{}, err
	}
	return k, token, nil
}

// told is how many letters a life has no room for.
func told(life time.Duration) int {
	n := 0
	for _, before := range lettersBefore {
		if life <= before {
			n++
		}
	}
	return n
}

func keyEnd(now time.Time, life time.Duration) (time.Time, error) {
	if life == 0 {
		life = UsualKeyLife
	}
	if life < 0 || life > LongestKeyLife {
		return time.Time{}, authn.InvalidField("expires", "key_life", nil)
	}
	return now.Add(life), nil
}

// personOf is who acts, for what is written down of a key.
func personOf(w Who, rows *authn.Rows) string {
	if w.Actor.Operator {
		return Operator
	}
	return rows.By.User.ID
}

func keyDetail(k authn.APIKey) map[string]string {
	d := map[string]string{"key": k.ID, "name": k.Name, "scopes": strings.Join(k.Scopes, " "), "until": k.ExpiresAt.UTC().Format(time.RFC3339)}
	if len(k.Networks) > 0 {
		d["networks"] = joinNetworks(k.Networks)
	}
	if len(k.Unattended) > 0 {
		d["unattended"] = strings.Join(k.Unattended, " ")
	}
	return d
}

func joinNetworks(list []netip.Prefix) string {
	var words []string
	for _, n := range list {
		words = append(words, n.String())
	}
	return strings.Join(words, " ")
}

// checkScopes wants names of permissions that the owner holds, since a scope that
// they do not hold would begin to count with their next promotion; and that who
// makes the key may hand on, since they get to see it.
func checkScopes(w Who, rows *authn.Rows, scopes []string) ([]string, error) {
	if rows.User.Status != authn.Active {
		return nil, authn.InvalidField("owner", "suspended", nil)
	}
	if len(scopes) == 0 {
		return nil, authn.InvalidField("scopes", "required", nil)
	}
	for _, name := range scopes {
		switch p := Permission(name); {
		case !slices.Contains(Permissions(), p):
			return nil, authn.InvalidField("scopes", "not_one_of", nil)
		case !Can(*rows.Company, *rows.User, p):
			return nil, authn.InvalidField("scopes", "not_held", nil)
		case !w.Actor.Operator && !mayHand(rows.By, p):
			return nil, forbidden("above")
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(scopes))), nil
}

// everywhere reports whether a network is so wide that it limits nothing: wider
// than any that one organisation has.
func everywhere(p netip.Prefix) bool {
	return p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 16
}

func checkUnattended(acts []string, networks []netip.Prefix) ([]string, error) {
	if len(acts) == 0 {
		return nil, nil
	}
	for _, name := range acts {
		if !slices.Contains(UnattendedActs(), name) {
			return nil, authn.InvalidField("unattended", "not_one_of", nil)
		}
	}
	if len(networks) == 0 || slices.ContainsFunc(networks, everywhere) {
		return nil, authn.InvalidField("networks", "unattended", nil)
	}
	return slices.Compact(slices.Sorted(slices.Values(acts))), nil
}

// KeyState is how a key stands.
type KeyState string

// The states of a key.
const (
	KeyActive    KeyState = "active"
	KeyExpired   KeyState = "expired"
	KeySuspended KeyState = "owner_suspended"
	KeyAccount   KeyState = "account_ended" // of its owner, an API account
)

// KeyRow is a key with what it comes to now.
type KeyRow struct {
	authn.APIKey
	Owner     authn.User
	Effective []string // the scopes that the owner's rights leave
	Maker     string   // login, or "operator"; empty: not noted
	Returns   []authn.ReturnAddress
	State     KeyState
}

// APIKeys are the company's keys, ended ones too, oldest first, from the one after
// the id after; at most 200, 50 if limit is 0.
//
// Errors: those of Check.
func (s *Service) APIKeys(ctx context.Context, w Who, after string, limit int) ([]KeyRow, error) {
	seen, err := s.Check(ctx, w, KeysWrite)
	if err != nil {
		return nil, err
	}
	list, err := s.c.Store.APIKeys(ctx, w.Company, "", after, limit)
	if err != nil {
		return nil, fmt.Errorf("directory: keys: %w", err)
	}
	var makers []string
	for _, k := range list {
		makers = append(makers, k.MadeBy)
	}
	names, err := s.Logins(ctx, seen.Company, makers)
	if err != nil {
		return nil, err
	}
	var rows []KeyRow
	for _, k := range list {
		row, err := s.keyRow(ctx, seen.Company, k)
		if err != nil {
			return nil, err
		}
		row.Maker = names[k.MadeBy]
		rows = append(rows, row)
	}
	return rows, nil
}

// KeyRowOf is what a key comes to.
//
// Errors: Busy, Internal.
func (s *Service) KeyRowOf(ctx context.Context, company authn.Company, k authn.APIKey) (KeyRow, error) {
	row, err := s.keyRow(ctx, company, k)
	if err != nil {
		return row, err
	}
	names, err := s.Logins(ctx, company, []string{k.MadeBy})
	row.Maker = names[k.MadeBy]
	return row, err
}

func (s *Service) keyRow(ctx context.Context, company authn.Company, k authn.APIKey) (KeyRow, error) {
	now := s.c.Now()
	rows, err := s.c.Store.View(ctx, authn.Keys{Company: company.ID, User: k.User, Now: now, Account: true})
	if err != nil {
		return KeyRow{}, fmt.Errorf("directory: owner of key: %w", err)
	}
	row := KeyRow{APIKey: k, State: KeyActive, Effective: []string{}}
	if rows.User != nil {
		row.Owner = *rows.User
	}
	if row.Returns, err = s.c.Store.ReturnAddresses(ctx, company.ID, k.ID); err != nil {
		return KeyRow{}, fmt.Errorf("directory: return addresses: %w", err)
	}
	for _, p := range k.Scopes {
		if Can(company, row.Owner, Permission(p)) {
			row.Effective = append(row.Effective, p)
		}
	}
	switch {
	case !k.ExpiresAt.After(now):
		row.State = KeyExpired
	case row.Owner.Status != authn.Active:
		row.State = KeySuspended
	case row.Owner.API && (rows.Account == nil || !rows.Account.ExpiresAt.After(now)):
		row.State = KeyAccount
	}
	return row, nil
}

// APIKey finds a key by id or name.
//
// Errors: those of Check; NotFound.
func (s *Service) APIKey(ctx context.Context, w Who, which string) (authn.APIKey, error) {
	if _, err := s.Check(ctx, w, KeysWrite); err != nil {
		return authn.APIKey{}, err
	}
	k, err := s.c.Store.APIKey(ctx, w.Company, which)
	if err != nil {
		return k, fmt.Errorf("directory: key: %w", err)
	}
	return k, nil
}

// aboutKey does something to a key whose owner w may touch.
func (s *Service) aboutKey(ctx context.Context, w Who, which, typ, reason string, f func(*authn.Rows, *authn.APIKey) (Done, error)) (authn.APIKey, error) {
	k, err := s.APIKey(ctx, w, which)
	if err != nil {
		return k, err
	}
	a := Act{Type: typ, Permission: KeysWrite, Fresh: true, Target: k.User, Self: true, Reason: reason, Key: k.ID}
	err = s.Act(ctx, w, a, func(rows *authn.Rows) (Done, error) {
		if rows.APIKey == nil {
			return Done{}, authn.NotFound
		}
		k = *rows.APIKey
		return f(rows, &k)
	})
	return k, err
}

// RenameKey gives a key another name. What it may do cannot be changed: that takes
// another key (decision 0013).
//
// Errors: those of Act; Invalid (field name), Conflict (name taken).
func (s *Service) RenameKey(ctx context.Context, w Who, which, name, reason string) (authn.APIKey, error) {
	name, err := authn.CleanName("name", name, maxKeyName)
	if err != nil {
		return authn.APIKey{}, err
	}
	return s.aboutKey(ctx, w, which, "key.renamed", reason, func(_ *authn.Rows, k *authn.APIKey) (Done, error) {
		was := k.Name
		k.Name = name
		return Done{Detail: map[string]string{"key": k.ID, "name": name, "before": was, "after": name}, Writes: []authn.Write{authn.PutAPIKey{Key: *k}}}, nil
	})
}

// RemoveKey ends a key at once, and with it the token before the last roll.
//
// Errors: those of Act.
func (s *Service) RemoveKey(ctx context.Context, w Who, which, reason string) (authn.APIKey, error) {
	return s.aboutKey(ctx, w, which, "key.removed", reason, func(_ *authn.Rows, k *authn.APIKey) (Done, error) {
		return Done{Detail: map[string]string{"key": k.ID, "name": k.Name, "before": strings.Join(k.Scopes, " ")}, Writes: []authn.Write{authn.EndAPIKey{ID: k.ID}}}, nil
	})
}

// Roll is how a key is rolled.
type Roll struct {
	Overlap time.Duration // for which the token of now still works; 0: UsualOverlap
	Life    time.Duration // of the key from now on; 0: UsualKeyLife
	Reason  string
}

// RollKey gives a key another token, which is in no other answer. The one of now
// works for the overlap, or until its own end if that is sooner; the one before it
// ends at once.
//
// Errors: those of Act; Invalid (fields overlap, expires, and scopes where the
// owner or w holds less than when the key was made).
func (s *Service) RollKey(ctx context.Context, w Who, which string, r Roll) (authn.APIKey, authn.Token, error) {
	if r.Overlap == 0 {
		r.Overlap = UsualOverlap
	}
	if r.Overlap < ShortestOverlap || r.Overlap > LongestOverlap {
		return authn.APIKey{}, authn.Token{}, authn.InvalidField("overlap", "overlap", nil)
	}
	now := s.c.Now()
	end, err := keyEnd(now, r.Life)
	if err != nil {
		return authn.APIKey{}, authn.Token{}, err
	}
	var token authn.Token
	k, err := s.aboutKey(ctx, w, which, "key.rolled", r.Reason, func(rows *authn.Rows, k *authn.APIKey) (Done, error) {
		// Whoever rolls a key gets to see it: they may hand on what it may do.
		if _, err := checkScopes(w, rows, k.Scopes); err != nil {
			return Done{}, err
		}
		if len(k.Unattended) > 0 && !w.Actor.Operator && !inPerson(rows.By, Owner) {
			return Done{}, forbidden("unattended")
		}
		token = authn.NewToken(authn.KeyToken, k.Company, k.ID, s.c.Random)
		k.OldUntil = now.Add(r.Overlap)
		if k.ExpiresAt.Before(k.OldUntil) {
			k.OldUntil = k.ExpiresAt
		}
		was := k.ExpiresAt
		k.ExpiresAt, k.Told = end, told(end.Sub(now))
		detail := keyDetail(*k)
		detail["before"], detail["after"] = was.UTC().Format(time.RFC3339), detail["until"]
		detail["old_until"] = k.OldUntil.UTC().Format(time.RFC3339)
		return Done{Detail: detail, Writes: []authn.Write{authn.RollAPIKey{Key: *k, Token: token}}}, nil
	})
	if err != nil {
		return k, authn.Token{}, err
	}
	return k, token, nil
}
