package directory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// KeyStore is what keys of programs need of storage.
type KeyStore interface {
	// APIKeys are those of a company, of one owner if that is not empty, after an id.
	APIKeys(ctx context.Context, company, owner, after string, limit int) ([]authn.APIKey, error)
	// APIKey finds one by id or name.
	APIKey(ctx context.Context, company, which string) (authn.APIKey, error)
	// ReturnAddresses are those of a key.
	ReturnAddresses(ctx context.Context, company, key string) ([]authn.ReturnAddress, error)
	// OpenAPIKey finds what a token opens. With NotFound it says the company, if
	// that is there.
	OpenAPIKey(context.Context, authn.Token) (authn.APIKey, authn.User, authn.Company, error)
	// UseAPIKey notes the use, of a key or of an API account, and writes the events.
	UseAPIKey(ctx context.Context, company, id string, account bool, from string, now time.Time, events ...authn.Event) error
	// EndingKeys and EndingAccounts end soon, and that many letters say so already.
	EndingKeys(ctx context.Context, told int, from, until time.Time) ([]authn.APIKey, error)
	EndingAccounts(ctx context.Context, told int, from, until time.Time) ([]authn.APIAccount, error)
	// APIAccounts, Exempted and Unattended are what the report of exemptions lists.
	APIAccounts(ctx context.Context, company, after string, limit int) ([]authn.APIAccount, error)
	Exempted(ctx context.Context, company, after string, now time.Time, limit int) ([]authn.User, error)
	Unattended(ctx context.Context, company, after string, limit int) ([]authn.APIKey, error)
	// Logins are those of users by their ids.
	Logins(ctx context.Context, company string, ids []string) (map[string]string, error)
	// RoleHolders counts who holds a role of a company's own, up to most.
	RoleHolders(ctx context.Context, company, role string, most int) (int, error)
}

// How long a key lasts.
const (
	UsualKeyLife   = 90 * 24 * time.Hour
	LongestKeyLife = 365 * 24 * time.Hour
	maxNetworks    = 50
)

// checkNetworks sorts networks; an address of IPv4 within IPv6 is refused, since no
// client has one.
func checkNetworks(list []netip.Prefix) ([]netip.Prefix, error) {
	if len(list) > maxNetworks {
		return nil, authn.InvalidField("networks", "invalid", nil)
	}
	var out []netip.Prefix
	for _, p := range list {
		if !p.IsValid() || p.Addr().Zone() != "" || p.Addr().Is4In6() {
			return nil, authn.InvalidField("networks", "invalid", nil)
		}
		out = append(out, p.Masked())
	}
	slices.SortFunc(out, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	return slices.Compact(out), nil
}

// KeyCaller is a program that showed a good key.
type KeyCaller struct {
	Key     authn.APIKey
	Owner   authn.User
	Company authn.Company
}

// Can reports whether the key may do something now: its scopes and the owner's
// rights both must say so (ruling 21).
func (c KeyCaller) Can(p Permission) bool {
	return (c.Key.Account || slices.Contains(c.Key.Scopes, string(p))) && Can(c.Company, c.Owner, p)
}

// CheckKey reads a token as it came from outside and says who calls, if the key
// may be used for p.
//
// Errors: Unauthenticated for whatever is no good key here and now (malformed,
// unknown, ended, from another network, of an owner who is suspended);
// Forbidden if it may not do that; Busy or Internal if that cannot be known.
func (s *Service) CheckKey(ctx context.Context, token string, client authn.Client, p Permission) (KeyCaller, error) {
	t, ok := authn.ParseToken(authn.KeyToken, token)
	if !ok {
		return KeyCaller{}, authn.Unauthenticated
	}
	now := s.c.Now()
	k, owner, company, err := s.c.Store.OpenAPIKey(ctx, t)
	if errors.Is(err, authn.NotFound) {
		if company.ID != "" {
			s.keys.add(company.ID, "unknown", 1)
		}
		return KeyCaller{}, authn.Unauthenticated
	}
	if err != nil {
		return KeyCaller{}, fmt.Errorf("directory: key: %w", err)
	}
	return s.judge(ctx, KeyCaller{Key: k, Owner: owner, Company: company}, client, p, now)
}

// CheckAccount is CheckKey of an API account that has shown its secret. Conflict:
// it is not what it was when it did.
func (s *Service) CheckAccount(ctx context.Context, ref authn.AccountRef, client authn.Client, p Permission) (KeyCaller, error) {
	now := s.c.Now()
	rows, err := s.c.Store.View(ctx, authn.Keys{Company: ref.Company, By: authn.Actor{Account: ref}, Now: now})
	if err != nil {
		return KeyCaller{}, fmt.Errorf("directory: account: %w", err)
	}
	if rows.By == nil {
		return KeyCaller{}, authn.Conflict
	}
	return s.judge(ctx, KeyCaller{Key: *rows.By.Key, Owner: *rows.By.User, Company: *rows.By.Company}, client, p, now)
}

func (s *Service) judge(ctx context.Context, c KeyCaller, client authn.Client, p Permission, now time.Time) (KeyCaller, error) {
	if why, code := c.refused(client, p, now); why != "" {
		s.refuse(ctx, c, client, why, p, now)
		return KeyCaller{}, code
	}
	switch err := s.c.Stands(ctx, c.Company, c.Owner); {
	case errors.Is(err, authn.Unauthenticated):
		s.refuse(ctx, c, client, "owner_suspended", p, now)
		return KeyCaller{}, err
	case err != nil:
		return KeyCaller{}, err
	}
	s.used(ctx, c, client, p, now)
	return c, nil
}

// refused says why a key may not be used, or nothing.
func (c KeyCaller) refused(client authn.Client, p Permission, now time.Time) (string, authn.Code) {
	within := func(n netip.Prefix) bool { return n.Contains(client.Address.Unmap()) }
	switch {
	case !c.Key.ExpiresAt.After(now):
		return "expired", authn.Unauthenticated
	case c.Owner.Status != authn.Active:
		return "owner_suspended", authn.Unauthenticated
	case c.Owner.API && !c.Key.OwnerUntil.After(now):
		return "account_ended", authn.Unauthenticated
	case len(c.Key.Networks) > 0 && !slices.ContainsFunc(c.Key.Networks, within),
		len(c.Key.OwnerNetworks) > 0 && !slices.ContainsFunc(c.Key.OwnerNetworks, within):
		return "network", authn.Unauthenticated
	case p != "" && !c.Can(p):
		return "scope", authn.Forbidden
	}
	return "", ""
}

// keyEvent is an event of a key, or of an API account that shows its own secret.
func (s *Service) keyEvent(typ string, r authn.Result, c KeyCaller, client authn.Client, p Permission, now time.Time) authn.Event {
	if c.Key.Account {
		typ = "api_account." + typ
	} else {
		typ = "key." + typ
	}
	ev := authn.Event{Company: c.Company.ID, ID: authn.NewID(authn.EventID, now, s.c.Random), Type: typ, Actor: c.Key.ID, Target: c.Owner.ID,
		Result: r, At: now, Personal: authn.Personal{Agent: client.Agent, Detail: map[string]string{"permission": string(p), "name": c.Key.Name}}}
	if client.Address.IsValid() {
		ev.Personal.Address = client.Address.String()
	}
	return ev
}

// used notes a use: the time once a minute, an event once an hour for each
// address. Neither is a condition for the use: what the key then does is noted
// by that.
func (s *Service) used(ctx context.Context, c KeyCaller, client authn.Client, p Permission, now time.Time) {
	var events []authn.Event
	use := c.Key.ID + " " + client.Address.String()
	if c.Key.Old {
		use += " old"
	}
	if s.keys.first(use, now) {
		if c.Key.Old { // whoever rolled it looks for these
			events = append(events, s.keyEvent("old_used", authn.Succeeded, c, client, p, now))
		} else {
			events = append(events, s.keyEvent("used", authn.Succeeded, c, client, p, now))
		}
	}
	if len(events) == 0 && now.Sub(c.Key.LastUsedAt) < time.Minute {
		return
	}
	if err := s.c.Store.UseAPIKey(ctx, c.Company.ID, c.Key.ID, c.Key.Account, coarse(client.Address), now, events...); err != nil {
		s.keys.forget(use)
	}
}

// coarse is about where an address is: its /24 or /48.
func coarse(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// refuse writes a refusal of a real key, or counts it where there are too many.
func (s *Service) refuse(ctx context.Context, c KeyCaller, client authn.Client, why string, p Permission, now time.Time) {
	if !s.keys.list(c.Company.ID, now) {
		s.keys.add(c.Company.ID, why, 1)
		return
	}
	ev := s.keyEvent("refused", authn.Refused, c, client, p, now)
	ev.Personal.Detail["reason"] = why
	err := s.c.Store.Decide(ctx, authn.Keys{Company: c.Company.ID, Now: now}, func(*authn.Rows) authn.Verdict { return authn.Accept(ev) })
	if err != nil {
		s.keys.add(c.Company.ID, why, 1)
	}
}

// FlushRefusals writes one event per company for the refusals of keys since the
// last call that were not written one by one. The server calls it once a minute.
func (s *Service) FlushRefusals(ctx context.Context) error {
	now := s.c.Now()
	var failed []error
	for company, reasons := range s.keys.take() {
		detail := map[string]string{}
		for why, n := range reasons {
			detail[why] = strconv.Itoa(n)
		}
		err := s.c.Store.Decide(ctx, authn.Keys{Company: company, Now: now}, func(*authn.Rows) authn.Verdict {
			return authn.Accept(authn.Event{Company: company, ID: authn.NewID(authn.EventID, now, s.c.Random), Type: "key.refusals_counted",
				Result: authn.Refused, At: now, Personal: authn.Personal{Detail: detail}})
		})
		if err != nil && !errors.Is(err, authn.NotFound) { // a company that was erased has no log
			for why, n := range reasons {
				s.keys.add(company, why, n)
			}
			failed = append(failed, fmt.Errorf("directory: refusals of keys of %s: %w", company, err))
		}
	}
	return errors.Join(failed...)
}

// Bounds of what a node remembers of the use of keys.
const (
	keyEventEvery = time.Hour
	maxKeyUses    = 10_000
	keysPerMinute = 60 // refusals of a company that are events of their own
	maxKeyTallied = 10_000
)

// keyUses remembers which uses were noted, and counts what is not.
type keyUses struct {
	mu     sync.Mutex
	noted  map[string]time.Time
	listed map[string]int // in this minute
	minute time.Time
	counts map[string]map[string]int
}

// first reports whether a use is the first in an hour.
func (u *keyUses) first(what string, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if at, ok := u.noted[what]; ok && now.Sub(at) < keyEventEvery && !now.Before(at) {
		return false
	}
	if u.noted == nil {
		u.noted = map[string]time.Time{}
	}
	if len(u.noted) >= maxKeyUses {
		maps.DeleteFunc(u.noted, func(_ string, at time.Time) bool { return now.Sub(at) >= keyEventEvery })
	}
	if len(u.noted) >= maxKeyUses {
		clear(u.noted) // an event too many is better than one too few
	}
	u.noted[what] = now
	return true
}

func (u *keyUses) forget(what string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.noted, what)
}

// list says whether one more refusal may be an event of its own.
func (u *keyUses) list(company string, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if m := now.Truncate(time.Minute); !m.Equal(u.minute) || u.listed == nil {
		u.minute, u.listed = m, map[string]int{}
	}
	u.listed[company]++ // companies that exist: bounded by those
	return u.listed[company] <= keysPerMinute
}

func (u *keyUses) add(company, why string, n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.counts == nil {
		u.counts = map[string]map[string]int{}
	}
	if u.counts[company] == nil {
		if len(u.counts) >= maxKeyTallied {
			return
		}
		u.counts[company] = map[string]int{}
	}
	u.counts[company][why] += n
}

func (u *keyUses) take() map[string]map[string]int {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := u.counts
	u.counts = nil
	return out
}
