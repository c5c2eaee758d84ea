package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// This file is the one place that says who may do what to whom. A page, a route
// or a command asks Check before it shows something, and changes something only
// through Act, which asks again in the transaction that writes, and writes the
// event. A refusal is an event too.
//
// The rules, in the order in which they are asked:
//
//  1. The session or the key is good now.
//  2. The person, or the key and its owner, hold the permission. A key's rights
//     are its scopes and its owner's rights at the time of use (ruling 21).
//  3. Nobody touches who holds a permission that they lack; owners are served by
//     owners only, and nobody serves themselves here (ruling 17).
//  4. The proof is recent and by no way on probation. A key cannot prove itself
//     anew: it is refused, unless an owner marked it "unattended" for this act.

// Who asks: a person, a program, or the operator.
type Who struct {
	Actor   authn.Actor
	Company string // for the operator; otherwise the token says
	Client  authn.Client
}

// Session is the person of a session.
func Session(t authn.Token, c authn.Client) Who {
	return Who{Actor: authn.Actor{Session: t}, Company: t.Company, Client: c}
}

// Program is what presents a key.
func Program(t authn.Token, c authn.Client) Who {
	return Who{Actor: authn.Actor{Key: t}, Company: t.Company, Client: c}
}

// Account is an API account that has shown its secret (see package signin).
func Account(ref authn.AccountRef, c authn.Client) Who {
	return Who{Actor: authn.Actor{Account: ref}, Company: ref.Company, Client: c}
}

// TheOperator is who holds the machine, for one company.
func TheOperator(company string) Who {
	return Who{Actor: authn.Actor{Operator: true}, Company: company}
}

// Act is something that is to be done, as far as who may do it depends on it.
type Act struct {
	Type       string // of its event, also of the refusal
	Permission Permission
	Fresh      bool        // needs a recent proof
	Target     string      // id or login of the person it is about; empty: the company
	Self       bool        // the target may be who acts
	Reason     string      // for the log; empty: none was given
	Hash       string      // of the act, where somebody else may have to agree; see Do
	Approval   string      // id of the approval that it is about
	creates    string      // id of the person that it makes
	Key        string      // id of a key of the target that it is about
	Account    bool        // it is about the target as an API account
	action     string      // name of an action of the company that it is about
	grant      authn.Token // of a grant that it uses
	handle     authn.Token // of a handle that it uses
}

// Done is what an act came to.
type Done struct {
	Detail map[string]string // of the event; never a secret
	Writes []authn.Write
	More   []authn.Event
}

// Seen is who asked for something that they may see.
type Seen struct {
	Company authn.Company
	User    authn.User    // the person, or the owner of the key; zero: the operator
	Key     *authn.APIKey // nil: no key
}

// ReasonMax is how long a reason may be, in characters.
const ReasonMax = 500

func (s *Service) actKeys(w Who, a Act) (authn.Keys, error) {
	k := authn.Keys{Company: w.Company, By: w.Actor, Browser: w.Client.Browser, Now: s.c.Now(), Act: a.Hash, ApprovalID: a.Approval,
		APIKey: a.Key, Account: a.Account, Action: a.action, GrantToken: a.grant, HandleToken: a.handle}
	if w.Actor.IsZero() || !w.Actor.Operator && w.Actor.Company() != w.Company {
		return k, authn.Unauthenticated
	}
	if a.Target == "" {
		k.User = a.creates
		return k, nil
	}
	if authn.CheckID(authn.UserID, a.Target) {
		k.User = a.Target
	} else if name, ok := authn.CanonicalLogin(a.Target); ok {
		k.Login = name
	} else {
		return k, authn.NotFound
	}
	return k, nil
}

// Check says whether w holds a permission, and who they are. A refusal of
// somebody who is known is recorded.
//
// Errors: Unauthenticated, Forbidden.
func (s *Service) Check(ctx context.Context, w Who, p Permission) (Seen, error) {
	k, err := s.actKeys(w, Act{})
	if err != nil {
		return Seen{}, err
	}
	rows, err := s.c.Store.View(ctx, k)
	if err != nil {
		return Seen{}, fmt.Errorf("directory: check: %w", err)
	}
	a := Act{Type: "access.refused", Permission: p}
	if err := s.authorize(w, &rows, a, k.Now); err != nil {
		s.noteRefusal(ctx, w, &rows, a, k.Now, err)
		return Seen{}, err
	}
	seen := Seen{Company: *rows.Company}
	if rows.By != nil {
		seen.User, seen.Key = *rows.By.User, rows.By.Key
	}
	if seen.Key != nil {
		c := KeyCaller{Key: *seen.Key, Owner: seen.User, Company: seen.Company}
		s.used(ctx, c, w.Client, p, k.Now)
	}
	return seen, nil
}

// Ready says whether w could do the act now, apart from whom it is about: nil,
// StepUpRequired, or why not. Pages ask before they show a form that would be
// refused.
func (s *Service) Ready(ctx context.Context, w Who, a Act) error {
	a.Target = ""
	k, err := s.actKeys(w, a)
	if err != nil {
		return err
	}
	rows, err := s.c.Store.View(ctx, k)
	if err != nil {
		return fmt.Errorf("directory: ready: %w", err)
	}
	return s.authorize(w, &rows, a, k.Now)
}

// Act does something, if w may: f says what, in the transaction that writes it
// with its event. f must be pure and quick, and may run twice (see
// store.Decide). A refusal by the rules of this file is recorded.
//
// Errors: Unauthenticated, Forbidden, StepUpRequired, PolicyForbids, NotFound
// (of the target), and those of f.
func (s *Service) Act(ctx context.Context, w Who, a Act, f func(*authn.Rows) (Done, error)) error {
	return s.act(ctx, w, a, func(rows *authn.Rows, now time.Time) authn.Verdict {
		done, err := f(rows)
		if err != nil {
			return authn.Drop(err)
		}
		v := authn.Accept(s.actEvent(w, rows, a, now, authn.Succeeded, done.Detail), done.Writes...)
		for _, ev := range done.More {
			v = v.And(ev)
		}
		return v
	})
}

// act is Act where f gives the whole verdict.
func (s *Service) act(ctx context.Context, w Who, a Act, f func(*authn.Rows, time.Time) authn.Verdict) error {
	var err error
	if a.Reason, err = CleanReason(a.Reason); err != nil {
		return err
	}
	k, err := s.actKeys(w, a)
	if err != nil {
		return err
	}
	var refused error // read after Decide returned it
	var seen authn.Rows
	err = s.c.Store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		refused = nil
		if err := s.authorize(w, rows, a, k.Now); err != nil {
			refused, seen = err, *rows
			return authn.Drop(err)
		}
		v := f(rows, k.Now)
		if err := v.Refusal(); err != nil {
			refused, seen = err, *rows
		}
		return v
	})
	if err == nil {
		return nil
	}
	// Only a refusal of ours is Forbidden, and what the decision left behind may be
	// read only then: after Busy it may still be running.
	if errors.Is(err, authn.Forbidden) && refused != nil {
		s.noteRefusal(ctx, w, &seen, a, k.Now, refused)
	}
	return fmt.Errorf("directory: %s: %w", a.Type, err)
}

// forbidden is why somebody may not; the reason is for the log and the texts.
func forbidden(why string) error {
	return &authn.Error{Code: authn.Forbidden, Key: "error.forbidden." + why}
}

// authorize is the rules of this file.
func (s *Service) authorize(w Who, rows *authn.Rows, a Act, now time.Time) error {
	if rows.Company == nil {
		return authn.NotFound
	}
	if w.Actor.Operator {
		if a.Target != "" && rows.User == nil {
			return authn.NotFound
		}
		return nil
	}
	by := rows.By
	if by == nil {
		return authn.Unauthenticated
	}
	if err := mayCall(w, by, a.Permission, now); err != nil {
		return err
	}
	if a.Target != "" {
		if rows.User == nil {
			return authn.NotFound
		}
		if err := mayTouch(rows, a); err != nil {
			return err
		}
	}
	if a.Fresh {
		return s.recent(by, a, now)
	}
	return nil
}

// mayCall is rules 1 and 2.
func mayCall(w Who, by *authn.Rows, p Permission, now time.Time) error {
	if by.Key == nil {
		if err := policy.CheckSession(by, now); err != nil {
			return err
		}
		if p != "" && !Can(*by.Company, *by.User, p) {
			return authn.Forbidden
		}
		return nil
	}
	c := KeyCaller{Key: *by.Key, Owner: *by.User, Company: *by.Company}
	if _, code := c.refused(w.Client, p, now); code != "" {
		return code
	}
	return nil
}

// mayTouch is rule 3 (ruling 17).
func mayTouch(rows *authn.Rows, a Act) error {
	by, target := rows.By, *rows.User
	if by.User.ID == target.ID && !a.Self {
		return forbidden("self")
	}
	if hasRole(target, Owner) && by.User.ID != target.ID && !inPerson(by, Owner) {
		return forbidden("owner")
	}
	if by.Key == nil && hasRole(*by.User, Owner) {
		return nil // they lack what no built-in role holds, and could give it to themselves
	}
	for _, p := range Permissions() {
		if !holds(*rows.Company, target, p) {
			continue
		}
		if !mayHand(by, p) {
			return forbidden("above")
		}
	}
	return nil
}

// Above reports whether somebody holds a permission that another one lacks. Nobody is
// above an owner, who could give themselves what no built-in role holds.
func Above(c authn.Company, u, other authn.User) bool {
	return !hasRole(other, Owner) && slices.ContainsFunc(Permissions(), func(p Permission) bool { return holds(c, u, p) && !holds(c, other, p) })
}

// held reports whether who acts holds a permission: in person, or as a program.
func held(by *authn.Rows, p Permission) bool {
	if by.Key != nil {
		return KeyCaller{Key: *by.Key, Owner: *by.User, Company: *by.Company}.Can(p)
	}
	return Can(*by.Company, *by.User, p)
}

// mayHand reports whether who acts may decide about a permission of somebody else:
// they hold it, or it is one of those that no built-in role holds, and they are an
// owner in person.
func mayHand(by *authn.Rows, p Permission) bool {
	return held(by, p) || slices.Contains(special, p) && inPerson(by, Owner)
}

// inPerson reports whether who acts is a person with the role.
func inPerson(by *authn.Rows, role string) bool {
	return by.Key == nil && hasRole(*by.User, role)
}

// recent is rule 4.
func (s *Service) recent(by *authn.Rows, a Act, now time.Time) error {
	if by.Key != nil {
		if slices.Contains(by.Key.Unattended, a.Type) && len(by.Key.Networks) > 0 {
			return nil
		}
		return forbidden("key")
	}
	doc, err := policy.Current(*by.Company, now)
	if err != nil {
		return err
	}
	return Recent(by, doc.Lifetimes(s.life).StepUpAge, now)
}

// Recent says whether the session in rows proved itself recently enough for an
// administrative act, and by no way that is on probation (rulings 18 and 26).
func Recent(rows *authn.Rows, age time.Duration, now time.Time) error {
	if err := probation(rows, now); err != nil {
		return err
	}
	return policy.Fresh(rows, holdsOwn(rows), age, now)
}

// probation refuses whoever has a way that is on probation.
func probation(rows *authn.Rows, now time.Time) error {
	for _, f := range rows.Factors {
		if f.State == authn.Confirmed && f.ProbationUntil.After(now) {
			return &authn.Error{Code: authn.PolicyForbids, Key: "error.probation", ExpiresAt: f.ProbationUntil}
		}
	}
	return nil
}

// holdsOwn reports whether the person has something that they hold. A code by e-mail
// proves nothing of the kind: who has only that confirms with it, and could
// otherwise never be done.
func holdsOwn(rows *authn.Rows) bool {
	return slices.ContainsFunc(rows.Factors, func(f authn.Factor) bool {
		return f.Kind.Own() && f.Kind != authn.Email && (f.State == authn.Confirmed || f.State == authn.Asleep)
	})
}

// actorOf is what events call who acts.
func actorOf(w Who, rows *authn.Rows) string {
	switch {
	case w.Actor.Operator:
		return Operator
	case rows.By == nil:
		return ""
	case rows.By.Key != nil:
		return rows.By.Key.ID
	}
	return rows.By.User.ID
}

// CleanReason makes a reason fit to be kept, as authn.CleanName does; it may be
// empty. Errors: Invalid (field reason).
func CleanReason(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	return authn.CleanName("reason", s, ReasonMax)
}

// Told is what a letter to the owners says of who did something, and why: Letter.Args.
func Told(w Who, rows *authn.Rows, reason string) map[string]string {
	args := map[string]string{"by": Operator, "reason": reason}
	if !w.Actor.Operator && rows.By != nil {
		args["by"], args["name"] = "admin", rows.By.User.Name
	}
	return args
}

func (s *Service) actEvent(w Who, rows *authn.Rows, a Act, now time.Time, r authn.Result, detail map[string]string) authn.Event {
	ev := authn.Event{Company: w.Company, ID: authn.NewID(authn.EventID, now, s.c.Random), Type: a.Type, Actor: actorOf(w, rows), Result: r, At: now,
		Personal: authn.Personal{Agent: w.Client.Agent, Detail: map[string]string{}}}
	if rows.User != nil {
		ev.Target = rows.User.ID
	}
	if w.Client.Address.IsValid() {
		ev.Personal.Address = w.Client.Address.String()
	}
	for name, value := range detail {
		ev.Personal.Detail[name] = value
	}
	if a.Reason != "" {
		ev.Personal.Detail["reason"] = a.Reason
	}
	if rows.By != nil && rows.By.Key != nil {
		ev.Personal.Detail["key"] = rows.By.Key.Name
	}
	return ev
}

// noteRefusal records that somebody who is known may not, as an event where
// there are not too many, and else counted.
func (s *Service) noteRefusal(ctx context.Context, w Who, rows *authn.Rows, a Act, now time.Time, why error) {
	e := authn.AsError(why)
	if e.Code != authn.Forbidden || rows.By == nil || rows.Company == nil {
		return
	}
	if !s.keys.list(rows.Company.ID, now) {
		s.keys.add(rows.Company.ID, "forbidden", 1)
		return
	}
	detail := map[string]string{"permission": string(a.Permission)}
	if e.Key != "" {
		detail["rule"] = e.Key
	}
	ev := s.actEvent(w, rows, a, now, authn.Refused, detail)
	err := s.c.Store.Decide(ctx, authn.Keys{Company: rows.Company.ID, Now: now}, func(*authn.Rows) authn.Verdict { return authn.Accept(ev) })
	if err != nil {
		s.keys.add(rows.Company.ID, "forbidden", 1)
	}
}
