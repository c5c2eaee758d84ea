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
	CreateAPIKey(context.Context, authn.APIKey, authn.Token, authn.Event) error
	APIKeys(ctx context.Context, company string) ([]authn.APIKey, error)
	RemoveAPIKey(ctx context.Context, company, id string, ev authn.Event) error
	// OpenAPIKey finds what a token opens. With NotFound it says the company, if
	// that is there.
	OpenAPIKey(context.Context, authn.Token) (authn.APIKey, authn.User, authn.Company, error)
	// UseAPIKey notes the use and writes the events.
	UseAPIKey(ctx context.Context, company, id string, now time.Time, events ...authn.Event) error
}

// How long a key lasts.
const (
	UsualKeyLife   = 90 * 24 * time.Hour
	LongestKeyLife = 365 * 24 * time.Hour
	maxNetworks    = 50
)

// NewKey is a key to be made.
type NewKey struct {
	Name     string
	Owner    string // id of the user for whom it acts
	Scopes   []string
	Networks []netip.Prefix // empty: everywhere
	Life     time.Duration  // 0: UsualKeyLife
}

// CreateKey makes a key. The token is in no other answer.
//
// Errors: Invalid (fields name, owner, scopes, networks, expires), Conflict (name taken).
func (s *Service) CreateKey(ctx context.Context, company authn.Company, n NewKey) (authn.APIKey, authn.Token, error) {
	now := s.c.Now()
	k := authn.APIKey{Company: company.ID, ID: authn.NewID(authn.KeyID, now, s.c.Random), User: n.Owner, CreatedAt: now}
	var err error
	if k.Name, err = authn.CleanName("name", n.Name, 100); err != nil {
		return k, authn.Token{}, err
	}
	owner, _, err := s.Lookup(ctx, company, n.Owner)
	switch {
	case errors.Is(err, authn.NotFound):
		return k, authn.Token{}, authn.InvalidField("owner", "unknown_person", nil)
	case err != nil:
		return k, authn.Token{}, err
	case owner.Status != authn.Active:
		return k, authn.Token{}, authn.InvalidField("owner", "suspended", nil)
	}
	k.User = owner.ID
	if k.Scopes, err = checkScopes(n.Scopes, company, owner); err != nil {
		return k, authn.Token{}, err
	}
	if k.Networks, err = checkNetworks(n.Networks); err != nil {
		return k, authn.Token{}, err
	}
	if n.Life == 0 {
		n.Life = UsualKeyLife
	}
	if n.Life < 0 || n.Life > LongestKeyLife {
		return k, authn.Token{}, authn.InvalidField("expires", "key_life", nil)
	}
	k.ExpiresAt = now.Add(n.Life)
	token := authn.NewToken(authn.KeyToken, k.Company, k.ID, s.c.Random)
	ev := s.operator("key.created", now)
	ev.Company, ev.Target = k.Company, k.User
	ev.Personal.Detail = map[string]string{"key": k.ID, "name": k.Name}
	if err := s.c.Store.CreateAPIKey(ctx, k, token, ev); err != nil {
		return k, authn.Token{}, fmt.Errorf("directory: create key: %w", err)
	}
	return k, token, nil
}

// checkScopes wants names of permissions that the owner holds: a scope that
// they do not hold would begin to count with their next promotion.
func checkScopes(scopes []string, company authn.Company, owner authn.User) ([]string, error) {
	if len(scopes) == 0 {
		return nil, authn.InvalidField("scopes", "required", nil)
	}
	for _, name := range scopes {
		switch {
		case !slices.Contains(Permissions(), Permission(name)):
			return nil, authn.InvalidField("scopes", "not_one_of", nil)
		case !Can(company, owner, Permission(name)):
			return nil, authn.InvalidField("scopes", "not_held", nil)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(scopes))), nil
}

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

// APIKeys lists a company's keys, oldest first.
func (s *Service) APIKeys(ctx context.Context, company authn.Company) ([]authn.APIKey, error) {
	return s.c.Store.APIKeys(ctx, company.ID)
}

// RemoveKey ends a key at once.
func (s *Service) RemoveKey(ctx context.Context, k authn.APIKey) error {
	ev := s.operator("key.removed", s.c.Now())
	ev.Company, ev.Target = k.Company, k.User
	ev.Personal.Detail = map[string]string{"key": k.ID, "name": k.Name}
	if err := s.c.Store.RemoveAPIKey(ctx, k.Company, k.ID, ev); err != nil {
		return fmt.Errorf("directory: remove key: %w", err)
	}
	return nil
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
	return slices.Contains(c.Key.Scopes, string(p)) && Can(c.Company, c.Owner, p)
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
	c := KeyCaller{Key: k, Owner: owner, Company: company}
	if why, code := c.refused(client, p, now); why != "" {
		s.refuse(ctx, c, client, why, p, now)
		return KeyCaller{}, code
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
	case len(c.Key.Networks) > 0 && !slices.ContainsFunc(c.Key.Networks, within):
		return "network", authn.Unauthenticated
	case p != "" && !c.Can(p):
		return "scope", authn.Forbidden
	}
	return "", ""
}

func (s *Service) keyEvent(typ string, r authn.Result, c KeyCaller, client authn.Client, p Permission, now time.Time) authn.Event {
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
	if s.keys.first(c.Key.ID+" "+client.Address.String(), now) {
		events = append(events, s.keyEvent("key.used", authn.Succeeded, c, client, p, now))
	}
	if len(events) == 0 && now.Sub(c.Key.LastUsedAt) < time.Minute {
		return
	}
	if err := s.c.Store.UseAPIKey(ctx, c.Company.ID, c.Key.ID, now, events...); err != nil {
		s.keys.forget(c.Key.ID + " " + client.Address.String())
	}
}

// refuse writes a refusal of a real key, or counts it where there are too many.
func (s *Service) refuse(ctx context.Context, c KeyCaller, client authn.Client, why string, p Permission, now time.Time) {
	if !s.keys.list(c.Company.ID, now) {
		s.keys.add(c.Company.ID, why, 1)
		return
	}
	ev := s.keyEvent("key.refused", authn.Refused, c, client, p, now)
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
