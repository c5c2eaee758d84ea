package directory

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// This file is the return addresses of a key, and what the key is told of whoever
// comes back to one (rulings 22 and 57).

// AddReturnAddress lets people be sent to an address with a handle for the key.
//
// Errors: those of Act; Invalid (field address), Conflict (field address: it is there
// already, with this key or another; error.too_many_return_addresses).
func (s *Service) AddReturnAddress(ctx context.Context, w Who, which, address, reason string) (authn.APIKey, error) {
	if address == "" {
		return authn.APIKey{}, authn.InvalidField("address", "required", nil)
	}
	if !authn.GoodReturnAddress(address) {
		return authn.APIKey{}, authn.InvalidField("address", "return_address", nil)
	}
	return s.aboutKey(ctx, w, which, "return_address.added", reason, func(rows *authn.Rows, k *authn.APIKey) (Done, error) {
		if !slices.Contains(k.Scopes, string(GrantsRedeem)) && !slices.Contains(k.Scopes, string(AttemptsAssert)) {
			return Done{}, authn.InvalidField("address", "key_scope", nil)
		}
		r := authn.ReturnAddress{Key: k.ID, Address: address, AddedBy: personOf(w, rows), AddedAt: s.c.Now()}
		return Done{Detail: map[string]string{"key": k.ID, "name": k.Name, "to": address}, Writes: []authn.Write{authn.NewReturnAddress{Return: r}}}, nil
	})
}

// RemoveReturnAddress ends one at once: nobody is sent there any more. Handles that
// are on their way stay good for their minute.
//
// Errors: those of Act; NotFound.
func (s *Service) RemoveReturnAddress(ctx context.Context, w Who, which, address, reason string) (authn.APIKey, error) {
	k, err := s.aboutKey(ctx, w, which, "return_address.removed", reason, func(_ *authn.Rows, k *authn.APIKey) (Done, error) {
		return Done{Detail: map[string]string{"key": k.ID, "name": k.Name, "to": address}, Writes: []authn.Write{authn.EndReturnAddress{Key: k.ID, Address: address}}}, nil
	})
	if errors.Is(err, authn.Conflict) {
		err = authn.NotFound
	}
	return k, err
}

// ToldOf is what a key was told just now, and of whom.
type ToldOf struct {
	Handle  authn.Handle
	User    authn.User
	Session authn.Session // as it is now; zero with authn.CallerHandle
}

// RedeemHandle exchanges a handle, once. What is not of the very key that asks is not
// found, whatever it is. A refusal leaves the handle as it is; a second exchange is
// written down as suspicious, since one of the two was by somebody else, or the
// program lost the first answer.
//
// Errors: those of Act; NotFound, Conflict (error.handle_used), Expired
// (error.handle_over: too late, or the sign-in ended or the account changed).
func (s *Service) RedeemHandle(ctx context.Context, w Who, token string) (ToldOf, error) {
	t, ok := authn.ParseToken(authn.HandleToken, token)
	if !ok || t.Company != w.Company {
		return ToldOf{}, authn.NotFound
	}
	var out ToldOf
	var bad unused
	a := Act{Type: "handle.redeemed", handle: t}
	err := s.act(ctx, w, a, func(rows *authn.Rows, now time.Time) authn.Verdict {
		bad = unused{}
		h := rows.Handle
		if h == nil || rows.By == nil || rows.By.Key == nil || rows.By.Key.Account || rows.By.Key.ID != h.Key {
			return authn.Drop(authn.NotFound)
		}
		p := GrantsRedeem
		if h.Kind == authn.CallerHandle {
			p = AttemptsAssert
		}
		if !held(rows.By, p) {
			return authn.Drop(authn.Forbidden)
		}
		reason, err := handleFits(rows, now)
		if err != nil {
			bad = unusedHandle(rows, reason)
			return authn.Drop(err)
		}
		out = ToldOf{Handle: *h, User: *rows.User}
		if rows.Session != nil {
			out.Session = *rows.Session
		}
		return authn.Accept(s.actEvent(w, rows, a, now, authn.Succeeded, handleDetail(h)), authn.SpendHandle{})
	})
	if err != nil {
		s.noteUnused(ctx, w, a, "handle", &bad, err)
		return ToldOf{}, err
	}
	return out, nil
}

func handleDetail(h *authn.Handle) map[string]string {
	d := map[string]string{"handle": h.ID, "kind": string(h.Kind), "acr": h.ACR}
	if h.Action != "" {
		d["action"] = h.Action
	}
	return d
}

// handleFits says why a handle is worth nothing now; the word is for the log.
func handleFits(rows *authn.Rows, now time.Time) (string, error) {
	h, u := rows.Handle, rows.User
	over := &authn.Error{Code: authn.Expired, Key: "error.handle_over"}
	switch {
	case !h.UsedAt.IsZero():
		return "used", &authn.Error{Code: authn.Conflict, Key: "error.handle_used"}
	case !now.Before(h.ExpiresAt):
		return "expired", over
	case u == nil || u.Status != authn.Active || u.API || u.Epoch != h.Epoch:
		return "account", over
	case h.Kind != authn.CallerHandle && policy.CheckSession(rows, now) != nil:
		return "session", over
	}
	return "", nil
}

// unusedHandle says of a second exchange when the first one was: one of the two was by
// somebody else, or the program lost the first answer.
func unusedHandle(rows *authn.Rows, why string) unused {
	bad := unused{*rows, "handle.refused", handleDetail(rows.Handle)}
	bad.detail["why"] = why
	if why == "used" {
		bad.typ, bad.detail["first"] = "handle.reused", rows.Handle.UsedAt.UTC().Format(time.RFC3339)
	}
	return bad
}
