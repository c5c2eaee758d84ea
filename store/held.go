package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// most of a kind that is read of one person. The limits of the rows themselves
// are far below it.
const mostHeld = 1000

// Held is everything that is stored about a person, apart from the event log
// (requirement K2). It is read and not locked: what changes meanwhile may be seen
// before or after. NotFound if there is nobody.
func (s *Store) Held(ctx context.Context, company, user string) (authn.Held, error) {
	if !goodID(company) || !goodID(user) {
		return authn.Held{}, authn.NotFound
	}
	var h authn.Held
	err := s.b.Read(ctx, func(tx *Tx) error {
		h = authn.Held{}
		l, err := s.load(tx, &authn.Keys{Company: company, User: user, Sent: true}, false)
		if err != nil {
			return err
		}
		if l.uid == "" {
			return authn.NotFound
		}
		if err := s.wantKey(tx, l); err != nil {
			return err
		}
		h.User, h.Factors = *l.User, l.Factors
		for _, read := range []func(*Tx, *loaded, *authn.Held) error{
			heldLogins, heldTries, heldAttempts, heldBrowsers, heldTrusted, heldChallenges, heldLinks, heldKeys, heldApprovals, heldLetters,
		} {
			if err := read(tx, l, &h); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		h.Sessions, err = s.Sessions(ctx, company, user)
	}
	if err != nil {
		return authn.Held{}, in("held", err)
	}
	return h, nil
}

// eachOf calls row for what a table has of the person.
func (l *loaded) eachOf(tx *Tx, query string, row func(scan func(...any) error) error) error {
	return tx.each(query, []any{l.company, l.uid, mostHeld}, func(scan func(...any) error) (bool, error) { return true, row(scan) })
}

func heldLogins(tx *Tx, l *loaded, h *authn.Held) error {
	return l.eachOf(tx, "SELECT name, kind FROM logins WHERE company = $1 AND user_id = $2 ORDER BY name LIMIT $3", func(scan func(...any) error) error {
		var login authn.Login
		err := scan(&login.Name, &login.Kind)
		h.Logins = append(h.Logins, login)
		return err
	})
}

func heldTries(tx *Tx, l *loaded, h *authn.Held) error {
	who := throttleKey(l.key, l.company, l.uid, "")
	var strangers, known int
	var a, b time.Time
	_, err := tx.one("SELECT tries_s, paused_s, tries_k, paused_k FROM throttles WHERE company = $1 AND who = $2",
		[]any{&strangers, asTime{&a}, &known, asTime{&b}}, l.company, who[:])
	if a.Before(b) {
		a = b
	}
	h.Passwords = authn.Count{Tries: strangers + known, PausedUntil: a}
	return err
}

func heldAttempts(tx *Tx, l *loaded, h *authn.Held) error {
	text := "SELECT " + attemptColumns + " FROM attempts a WHERE " + ofTheUser("attempts") + " ORDER BY a.id LIMIT $3"
	return l.eachOf(tx, text, func(scan func(...any) error) error {
		var a authn.Attempt
		var by *callerRow
		var token, browser []byte
		if err := scan(attemptTargets(&a, &by, &token, &browser)...); err != nil {
			return err
		}
		err := by.openInto(l.key, &a)
		h.Attempts = append(h.Attempts, a)
		return err
	})
}

func heldBrowsers(tx *Tx, l *loaded, h *authn.Held) error {
	_, err := tx.one("SELECT count(*) FROM devices WHERE company = $1 AND user_id = $2", []any{&h.Browsers}, l.company, l.uid)
	return err
}

func heldTrusted(tx *Tx, l *loaded, h *authn.Held) (err error) {
	h.Trusted, err = tx.trusted(l.company, l.uid)
	return err
}

func heldChallenges(tx *Tx, l *loaded, h *authn.Held) error {
	text := "SELECT " + challengeColumns + " FROM challenges WHERE company = $1 AND user_id = $2 ORDER BY created_at, id LIMIT $3"
	return l.eachOf(tx, text, func(scan func(...any) error) error {
		c, ok, err := l.scanChallenge(scan)
		if c.Seed = nil; ok {
			h.Challenges = append(h.Challenges, c)
		}
		return err
	})
}

func heldLinks(tx *Tx, l *loaded, h *authn.Held) error {
	text := "SELECT id, purpose, mailed, event, args, created_at, expires_at, used_at FROM links WHERE " + ofTheUser("links") + " ORDER BY id LIMIT $3"
	return l.eachOf(tx, text, func(scan func(...any) error) error {
		var link authn.Link
		var args []byte
		if err := scan(&link.ID, (*string)(&link.Purpose), &link.Mailed, &link.Event, &args, asTime{&link.CreatedAt}, asTime{&link.ExpiresAt}, asTime{&link.UsedAt}); err != nil {
			return err
		}
		if len(args) > 0 {
			plain, err := l.key.Open(linkPlace(l.company, l.uid, link.ID), args)
			if err != nil || json.Unmarshal(plain, &link.Args) != nil {
				return internal("what link %s says does not open", link.ID)
			}
		}
		h.Links = append(h.Links, link)
		return nil
	})
}

func heldKeys(tx *Tx, l *loaded, h *authn.Held) error {
	text := "SELECT " + keyColumns + " FROM api_keys k WHERE " + ofTheUser("api_keys") + " ORDER BY k.id LIMIT $3"
	return l.eachOf(tx, text, func(scan func(...any) error) error {
		var row keyRow
		err := scan(row.targets()...)
		h.Keys = append(h.Keys, row.key)
		return err
	})
}

func heldApprovals(tx *Tx, l *loaded, h *authn.Held) error {
	text := "SELECT " + approvalColumns + " FROM approvals p WHERE p.company = $1 AND p.target = $2 ORDER BY p.id LIMIT $3"
	return l.eachOf(tx, text, func(scan func(...any) error) error {
		var a authn.Approval
		var sealed []byte
		err := scan(approvalTargets(&a, &sealed)...)
		if err == nil {
			err = openApproval(l, &a, sealed)
		}
		h.Approvals = append(h.Approvals, a)
		return err
	})
}

func heldLetters(tx *Tx, l *loaded, h *authn.Held) error {
	text := "SELECT id, channel, template, at, expires_at FROM outbox WHERE " + ofTheUser("outbox") + " ORDER BY id LIMIT $3"
	return l.eachOf(tx, text, func(scan func(...any) error) error {
		var letter authn.Letter
		err := scan(&letter.ID, (*string)(&letter.Channel), (*string)(&letter.Template), asTime{&letter.At}, asTime{&letter.ExpiresAt})
		h.Letters = append(h.Letters, letter)
		return err
	})
}

// ActsOf are the events that somebody caused and that are about others, newest
// first, before the one of the id before. Of what they say there is only where
// the actor was: the rest is the others'.
func (s *Store) ActsOf(ctx context.Context, company, actor, before string, limit int) ([]authn.Event, error) {
	if !goodID(actor) {
		return nil, nil
	}
	var list []authn.Event
	for most := limitOf(limit); ; {
		page, err := s.Search(ctx, company, authn.EventQuery{Actor: actor, Before: before, Limit: most})
		if err != nil {
			return nil, in("acts of", err)
		}
		for _, e := range page.Events {
			if e.Target == actor {
				continue
			}
			if e.Damaged {
				return nil, in("acts of", internal("event %s does not open", e.ID))
			}
			e.Personal.Detail = nil
			if list = append(list, e.Event); len(list) == most {
				return list, nil
			}
		}
		if page.Next == "" {
			return list, nil
		}
		before = page.Next
	}
}
