package signin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// AccountSecret is what an API account shows with a request (requirement H4).
type AccountSecret struct {
	Company string // slug; empty: the only company of the server
	Login   string // as sent
	Secret  string
	Client  authn.Client
}

// Account checks the secret of an API account: charged, paused and hashed as a
// password at sign-in is, and refused in the same way whether there is no such
// user, they are a person, or the secret is wrong. It opens no session. Who the
// account is and what it may do, package directory judges each time; what is
// remembered here for a few minutes is only that this secret was right for the user
// as they were then.
//
// An address from which the secret was right before has a count of wrong answers of
// its own, so that strangers do not pause a program that works.
//
// Errors: Unauthenticated; Paused and TooManyRequests (with RetryAfter), Busy.
func (s *Service) Account(ctx context.Context, a AccountSecret) (authn.AccountRef, error) {
	login, ok := authn.CanonicalLogin(a.Login)
	answer, method := authn.Answer{Password: a.Secret}, s.methods[authn.Password]
	if !ok || method.Shape(answer) != nil {
		return authn.AccountRef{}, authn.Unauthenticated
	}
	company, err := s.store.CompanyBySlug(ctx, a.Company)
	if authn.AsError(err).Code == authn.NotFound && err != nil {
		return authn.AccountRef{}, authn.Unauthenticated
	}
	if err != nil {
		return authn.AccountRef{}, fmt.Errorf("signin: company: %w", err)
	}
	now := s.now()
	seen := s.shown.name(s.random, company.ID, login, a.Secret)
	if ref, ok := s.shown.get(seen, now); ok {
		return ref, nil
	}
	// No browser has a cookie of that form.
	k := authn.Keys{Company: company.ID, Login: login, Browser: "address " + a.Client.Address.Unmap().String()}
	if err := s.admitStranger(ctx, k, a.Client); err != nil {
		return authn.AccountRef{}, err
	}
	paid, err := s.payPassword(ctx, k)
	if err != nil {
		return authn.AccountRef{}, err
	}
	match, err := method.Verify(ctx, authn.Request{Company: company, User: paid.person(), Secret: paid.secret, Client: a.Client, Now: s.now().Unix(), Lane: paid.lane}, answer)
	if err != nil {
		s.giveBack(ctx, k)
		return authn.AccountRef{}, fmt.Errorf("signin: secret: %w", err)
	}
	ref, err := s.showed(ctx, k, paid, match, a.Client)
	if err == nil {
		s.shown.put(seen, ref, now)
	}
	return ref, err
}

// showed is the second half of the check.
func (s *Service) showed(ctx context.Context, k authn.Keys, p paid, m authn.Match, c authn.Client) (authn.AccountRef, error) {
	now := s.now()
	k.Now, k.Charge = now, authn.SettlePassword
	var ref authn.AccountRef
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		ref = authn.AccountRef{}
		u := rows.User
		why := ""
		switch {
		case p.user == nil || u == nil || p.user.ID != u.ID:
			why = "unknown"
		case m.Outcome != authn.Right:
			why = "wrong_password"
		case !u.API:
			why = "person"
		case u.Epoch != p.user.Epoch:
			why = "changed_meanwhile"
		}
		if why != "" {
			return s.wrongSecret(rows, c, now, why)
		}
		ref = authn.AccountRef{Company: u.Company, User: u.ID, Epoch: u.Epoch}
		writes := []authn.Write{authn.Settle{Outcome: authn.Right}, authn.KnowBrowser{}}
		if m.Rehash != nil {
			writes = append(writes, authn.Rehash{Old: p.secret, New: m.Rehash})
		}
		return authn.Continue(writes...)
	})
	if err != nil {
		return authn.AccountRef{}, fmt.Errorf("signin: account: %w", err)
	}
	return ref, nil
}

func (s *Service) wrongSecret(rows *authn.Rows, c authn.Client, now time.Time, why string) authn.Verdict {
	refusal := &authn.Error{Code: authn.Unauthenticated}
	if !s.refusals.list(rows.Company.ID, now) {
		s.refusals.add(rows.Company.ID, authn.Unauthenticated)
		return authn.Drop(refusal)
	}
	ev := s.event("api_account.refused", authn.Refused, rows, c, now, map[string]string{"reason": why})
	ev.Actor = ""
	return authn.Refuse(refusal, ev)
}

// How long a right secret is remembered, and how many are. A hash for each request
// of a busy program would keep people waiting.
const (
	shownLasts = 5 * time.Minute
	maxShown   = 10_000
)

// shown remembers secrets that were right, as keyed hashes under a key that this
// process makes for itself.
type shown struct {
	mu   sync.Mutex
	key  []byte
	list map[[32]byte]shownAt
}

type shownAt struct {
	ref   authn.AccountRef
	until time.Time
}

func (s *shown) name(random io.Reader, parts ...string) (sum [32]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key == nil {
		s.key = make([]byte, 32)
		if _, err := io.ReadFull(random, s.key); err != nil {
			panic(fmt.Errorf("signin: no randomness: %w", err))
		}
	}
	h := hmac.New(sha256.New, s.key)
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		h.Write([]byte(p))
	}
	h.Sum(sum[:0])
	return sum
}

func (s *shown) get(name [32]byte, now time.Time) (authn.AccountRef, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.list[name]
	if !ok || !now.Before(at.until) || at.until.Sub(now) > shownLasts {
		delete(s.list, name)
		return authn.AccountRef{}, false
	}
	return at.ref, true
}

func (s *shown) put(name [32]byte, ref authn.AccountRef, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list == nil {
		s.list = map[[32]byte]shownAt{}
	}
	if len(s.list) >= maxShown {
		maps.DeleteFunc(s.list, func(_ [32]byte, at shownAt) bool { return !now.Before(at.until) })
	}
	if len(s.list) >= maxShown {
		clear(s.list)
	}
	s.list[name] = shownAt{ref, now.Add(shownLasts)}
}

// Forget drops what is remembered of an API account whose secret was refused
// since, because it is another one.
func (s *Service) Forget(ref authn.AccountRef) {
	s.shown.mu.Lock()
	defer s.shown.mu.Unlock()
	maps.DeleteFunc(s.shown.list, func(_ [32]byte, at shownAt) bool { return at.ref == ref })
}
