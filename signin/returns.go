package signin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// This file is how an application on another origin hears of somebody (rulings 22
// and 57): by a handle that the browser takes to an address of one of its keys, or
// that the program gets which checked the first step itself. A handle is bound to
// that key, the person, their sign-in and epoch, and to what the application said
// when it asked; directory.RedeemHandle exchanges it.

// Handed is a handle that was made just now.
type Handed struct {
	authn.Handle
	Token string // in no other answer
	To    string // the address to send the browser to, with the token; empty: the program has it already
}

// Registered says whether people may be sent to the address of a company's key.
//
// Errors: Invalid (field return_to), Busy.
func (s *Service) Registered(ctx context.Context, company string, to authn.Return) error {
	rows, err := s.store.View(ctx, authn.Keys{Company: company, ReturnAddress: to.Address, Now: s.now()})
	if err != nil {
		return fmt.Errorf("signin: return address: %w", err)
	}
	if !to.Good() || rows.Return == nil {
		return authn.InvalidField("return_to", "unknown_address", nil)
	}
	return nil
}

// Return tells an application who is signed in: somebody goes there from a session.
//
// Errors: those of policy.CheckSession; Invalid (field return_to), Conflict (the key
// ended meanwhile), Busy.
func (s *Service) Return(ctx context.Context, session authn.Token, to authn.Return, c authn.Client) (Handed, error) {
	if !to.Good() {
		return Handed{}, authn.InvalidField("return_to", "unknown_address", nil)
	}
	now := s.now()
	k := authn.Keys{Company: session.Company, SessionToken: session, Browser: c.Browser, ReturnAddress: to.Address, Now: now}
	var st Status
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		st = Status{}
		if err := policy.CheckSession(rows, now); err != nil {
			return authn.Drop(err)
		}
		if rows.Return == nil {
			return authn.Drop(authn.InvalidField("return_to", "unknown_address", nil))
		}
		se := rows.Session
		return s.handOver(rows, authn.Handle{Kind: authn.SignInHandle, SignIn: se.Attempt, ACR: se.ACR, AMR: se.AMR, AuthTime: se.AuthTime, Epoch: se.Epoch,
			ExpiresAt: now.Add(authn.HandleLives)}, to.String(), c, now, &st, authn.Verdict{})
	})
	if err != nil {
		return Handed{}, fmt.Errorf("signin: return: %w", err)
	}
	return *st.Handle, nil
}

// handOver adds a handle to the verdict, for the key that has the address that to
// names. Without a key it leads nowhere, and nothing is written.
func (s *Service) handOver(rows *authn.Rows, h authn.Handle, to string, c authn.Client, now time.Time, st *Status, v authn.Verdict) authn.Verdict {
	r, leaves := authn.ParseReturn(to)
	h.Company, h.ID, h.User, h.MadeAt = rows.Company.ID, authn.NewID(authn.HandleID, now, s.random), rows.User.ID, now
	if leaves {
		h.Address, h.Nonce = r.Address, r.Nonce
	}
	switch {
	case leaves && rows.Return == nil, leaves && h.Key != "" && h.Key != rows.Return.Key:
		return authn.Drop(authn.InvalidField("return_to", "unknown_address", nil)) // it was taken away meanwhile
	case leaves:
		h.Key = rows.Return.Key
	}
	token := authn.NewToken(authn.HandleToken, h.Company, h.ID, s.random)
	st.Handle = &Handed{Handle: h, Token: token.Reveal()}
	if leaves {
		st.Handle.To = r.With(st.Handle.Token)
	}
	detail := map[string]string{"handle": h.ID, "key": h.Key, "kind": string(h.Kind), "acr": h.ACR}
	if h.Action != "" {
		detail["action"] = h.Action
	}
	if h.Address != "" {
		detail["to"] = h.Address
	}
	return v.And(s.event("handle.issued", authn.Succeeded, rows, c, now, detail)).With(authn.NewHandle{Handle: h, Token: token})
}

// Assertion is what a program says that has checked the first step itself.
type Assertion struct {
	Key   authn.Token // its own; whether it may is the caller's to ask
	User  string      // id, login name or confirmed e-mail address
	Nonce string
	// ReturnTo is an address of this key, where the browser comes back to once the
	// second step is done on our pages; empty: the program asks by the API.
	ReturnTo string
	Enrol    bool       // the person may set up a way to verify
	Address  netip.Addr // of the person's device; invalid: not stated
	Client   authn.Client
}

// Assert begins a sign-in whose first step a program has checked (ruling 22). What
// follows is what follows a password, by the same rules, apart from grace and
// trusted browsers; it comes to a handle for that key, and never to a session.
//
// Errors: Invalid (fields user, nonce, return_to), Unauthenticated, NotFound (nobody
// who may sign in), TooManyRequests (with RetryAfter), Busy.
func (s *Service) Assert(ctx context.Context, a Assertion) (Status, error) {
	now := s.now()
	k := authn.Keys{Company: a.Key.Company, By: authn.Actor{Key: a.Key}, ReturnAddress: a.ReturnTo, Now: now}
	login, named := authn.CanonicalLogin(a.User)
	switch {
	case a.User == "":
		return Status{}, authn.InvalidField("user", "required", nil)
	case !authn.GoodNonce(a.Nonce):
		return Status{}, authn.InvalidField("nonce", "nonce", nil)
	case authn.CheckID(authn.UserID, a.User):
		k.User = a.User
	case named:
		k.Login = login
	default:
		return Status{}, authn.NotFound
	}
	if err := s.clock(); err != nil {
		return Status{}, err
	}
	if s.store.LowSpace() {
		return Status{}, &authn.Error{Code: authn.Busy, RetryAfter: 30 * time.Second}
	}
	if s.addresses != nil && a.Address.IsValid() {
		if err := s.addresses.Allow(a.Address); err != nil {
			return Status{}, err
		}
	}
	if err := s.assertable(ctx, k); err != nil {
		return Status{}, err
	}
	var st Status
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		st = Status{}
		return s.admitAsserted(rows, a, login, now, &st)
	})
	if err != nil {
		return Status{}, fmt.Errorf("signin: assert: %w", err)
	}
	return s.atOnce(ctx, st, a.Client), nil
}

func (s *Service) admitAsserted(rows *authn.Rows, a Assertion, login string, now time.Time, st *Status) authn.Verdict {
	by, u := rows.By, rows.User
	if by == nil || by.Key == nil {
		return authn.Drop(authn.Unauthenticated)
	}
	if a.ReturnTo != "" && (rows.Return == nil || rows.Return.Key != by.Key.ID) {
		return authn.Drop(authn.InvalidField("return_to", "unknown_address", nil))
	}
	if u == nil || !namedBy(u, login) {
		return authn.Drop(authn.NotFound)
	}
	at := authn.Attempt{
		Company: rows.Company.ID, ID: authn.NewID(authn.AttemptID, now, s.random), User: u.ID, Purpose: authn.SignIn, Version: 1, Lane: authn.Stranger,
		Caller: &authn.Caller{Key: by.Key.ID, Nonce: a.Nonce, Enrol: a.Enrol, Address: a.Address}, Epoch: u.Epoch, CreatedAt: now, ExpiresAt: now.Add(s.lives(rows, now).Attempt),
		Proofs: []authn.Proof{{Kind: authn.Asserted, Traits: authn.Traits{Knowledge: true}, At: now}},
	}
	if a.ReturnTo != "" {
		at.ReturnTo = authn.Return{Address: a.ReturnTo, Nonce: a.Nonce}.String()
	}
	rows.Attempt = &at
	detail := map[string]string{"key": by.Key.ID, "name": by.Key.Name}
	if u.Status != authn.Active || u.API {
		detail["reason"] = "suspended"
		if u.API {
			detail["reason"] = "api_account"
		}
		return authn.Refuse(authn.NotFound, s.callerEvent("assertion.refused", authn.Refused, rows, a.Client, now, detail))
	}
	need, err := s.next(rows, at.Proofs, now)
	if err != nil {
		return authn.Drop(err)
	}
	at.State = need.State
	token := authn.NewToken(authn.AttemptToken, at.Company, at.ID, s.random)
	*st = Status{Company: *rows.Company, User: *u, Attempt: at, Need: need, Lane: at.Lane, Token: token}
	writes := []authn.Write{authn.NewAttempt{Attempt: at, Token: token}}
	switch need.State {
	case authn.Complete:
		return s.complete(rows, need, a.Client, now, st, writes, detail)
	case authn.Denied:
		detail["reason"] = string(need.Denied)
		return authn.Accept(s.callerEvent("assertion.denied", authn.Refused, rows, a.Client, now, detail), writes...)
	}
	return authn.Accept(s.callerEvent("assertion.begun", authn.Succeeded, rows, a.Client, now, detail), writes...)
}

// namedBy reports whether what a program calls somebody may name them: an address that
// was never confirmed does not. login is canonical.
func namedBy(u *authn.User, login string) bool {
	email, _ := authn.CanonicalLogin(u.Email)
	own, _ := authn.CanonicalLogin(u.Login)
	return login != email || login == own || !u.EmailVerifiedAt.IsZero()
}

// callerEvent is an event of the program that began the sign-in.
func (s *Service) callerEvent(typ string, r authn.Result, rows *authn.Rows, c authn.Client, now time.Time, detail map[string]string) authn.Event {
	ev := s.event(typ, r, rows, c, now, detail)
	ev.Actor = rows.Attempt.Caller.Key
	return ev
}

// completeForCaller is complete for a sign-in that a program began: there is no
// session, no browser becomes the person's own, and nothing is said of a password.
func (s *Service) completeForCaller(rows *authn.Rows, need policy.Need, c authn.Client, now time.Time, st *Status, writes []authn.Write, detail map[string]string) authn.Verdict {
	a := rows.Attempt
	st.Attempt, st.Need = *a, need
	again, more := s.confirmedAgain(rows, need, c, now)
	detail["acr"], detail["key"] = need.ACR, a.Caller.Key
	v := authn.Accept(s.event("assertion.completed", authn.Succeeded, rows, c, now, detail), append(writes, more...)...)
	for _, ev := range again {
		v = v.And(ev)
	}
	return s.handOver(rows, authn.Handle{Kind: authn.CallerHandle, Key: a.Caller.Key, Nonce: a.Caller.Nonce, ACR: need.ACR, AMR: need.AMR, AuthTime: now, Epoch: rows.User.Epoch,
		ExpiresAt: now.Add(authn.HandleLives)}, a.ReturnTo, c, now, st, v)
}

// Enter lets the browser of o open the attempt that a program began and sent it to;
// it is the first one that does. Status is where the attempt stands.
//
// Errors: NotFound (no such attempt, not of a program, with no address to come back
// to, or another browser's), Expired, Busy.
func (s *Service) Enter(ctx context.Context, token authn.Token, c authn.Client) (Status, error) {
	o := OpenerOf(token, c)
	now := s.now()
	err := s.store.Decide(ctx, o.keys(now), func(rows *authn.Rows) authn.Verdict {
		if err := open(rows, now); err != nil {
			return authn.Drop(err)
		}
		if a := rows.Attempt; a.Caller == nil || a.ReturnTo == "" || c.Browser == "" || a.State == authn.Complete {
			return authn.Drop(authn.NotFound)
		}
		return authn.Continue(authn.BindAttempt{ID: rows.Attempt.ID})
	})
	if err != nil && !errors.Is(err, authn.Conflict) { // a browser has it: perhaps this one
		return Status{}, fmt.Errorf("signin: enter: %w", err)
	}
	return s.Entered(ctx, token, c)
}

// Entered is where the attempt of a token stands, for the browser that opens it
// already; NotFound for any other.
func (s *Service) Entered(ctx context.Context, token authn.Token, c authn.Client) (Status, error) {
	return s.Get(ctx, Opener{Company: token.Company, Attempt: token.ID, Client: c})
}
