package enroll

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// pendingAddress is the data of a pending factor that stands for a change of the
// account's address: nothing is changed before a code sent there came back.
type pendingAddress struct {
	Address string `json:"address"`
}

// newAddress is the address that a pending factor is to confirm; empty: none.
func newAddress(f authn.Factor) string {
	var d pendingAddress
	if f.Kind != authn.Email || f.State != authn.Pending || len(f.Data) == 0 || json.Unmarshal(f.Data, &d) != nil {
		return ""
	}
	return d.Address
}

// address is where the codes of a factor go.
func address(f authn.Factor, u authn.User) string {
	if to := newAddress(f); to != "" {
		return to
	}
	if f.Kind == authn.Email {
		return u.Email
	}
	return f.Destination
}

// Texts says what a text message costs, and whether it may be sent at all; see
// signin.Texts.
type Texts interface {
	Price(ctx context.Context, company string) (func(authn.TextAsk) ([]authn.Spending, error), error)
	Asked(ctx context.Context, company string, err error)
}

func (s *Service) price(ctx context.Context, company string, kind authn.Kind) (policy.Pricing, error) {
	if kind != authn.SMS || s.texts == nil {
		return nil, nil
	}
	return s.texts.Price(ctx, company)
}

// asked says how asking for a message ended.
func (s *Service) asked(ctx context.Context, kind authn.Kind, w Who, err error) {
	if kind == authn.SMS && s.texts != nil {
		s.texts.Asked(ctx, s.keys(w).Company, err)
	}
}

// of are the codes that are out for a factor.
func of(sent []authn.Challenge, factor string) []authn.Challenge {
	var out []authn.Challenge
	for _, c := range sent {
		if c.Factor == factor {
			out = append(out, c)
		}
	}
	return out
}

// send writes a code for a pending factor, and the letter that carries it.
func (s *Service) send(rows *authn.Rows, doc policy.Document, w Who, f authn.Factor, purpose authn.CodePurpose, price policy.Pricing, p *Pending) ([]authn.Write, string, error) {
	address := address(f, *rows.User)
	now := s.now()
	if s.deliver == nil {
		return nil, "", authn.InvalidField("method", "not_one_of", nil)
	}
	to, ok := authn.CanonicalLogin(address)
	if f.Kind == authn.SMS {
		to, ok = address, address != ""
	}
	if !ok {
		return nil, "", &authn.Error{Code: authn.PolicyForbids, Key: "error.no_address"}
	}
	sending, err := policy.Send(authn.Challenge{
		Company: rows.Company.ID, ID: authn.NewID(authn.MessageID, now, s.random), User: rows.User.ID, Attempt: asker(rows), Factor: f.ID,
		Kind: f.Kind, Purpose: purpose, Destination: to, Lane: rows.Lane,
	}, slices.Concat(rows.SentBefore, rows.Challenges), rows.SentCodes, doc.CodeLives(), now)
	if err != nil {
		return nil, "", err
	}
	template := authn.Template("code_setup")
	if purpose == authn.CodeEmail {
		template = "code_email"
	}
	letter := authn.Letter{ID: authn.NewID(authn.MessageID, now, s.random), Channel: f.Kind, Template: template, To: address, At: now,
		ExpiresAt: sending.Challenge.ExpiresAt,
		Args:      map[string]string{"agent": w.Client.Agent, "locale": w.Client.Locale, "minutes": strconv.Itoa(max(int(doc.CodeLives().Minutes()), 1))}}
	p.Address = address
	var write authn.Write = authn.PutChallenge{Challenge: sending.Challenge}
	if sending.New {
		write = authn.NewChallenge{Challenge: sending.Challenge}
	}
	before := slices.DeleteFunc(of(rows.Challenges, f.ID), func(c authn.Challenge) bool { return c.ID == sending.Challenge.ID })
	p.Sent, p.ResendAt = append(before, sending.Challenge), sending.ResendAt
	writes := []authn.Write{write, authn.NewLetter{Letter: letter, Challenge: sending.Challenge.ID}}
	if price != nil {
		spent, err := price(policy.AskText(nil, rows.User.ID, to, authn.Stranger, w.Client, now))
		if err != nil {
			return nil, "", err
		}
		writes = append(writes, authn.SpendBudget{Of: spent})
	}
	return writes, letter.ID, nil
}

// Send sends the code of a pending factor again. Of a passkey that is being set up it
// asks the person's device anew, in place of what was asked before.
//
// Errors: NotFound, Expired, PolicyForbids (error.provider_new), TooManyRequests (with
// RetryAfter), MessageNotSent.
func (s *Service) Send(ctx context.Context, w Who, id string) (Pending, error) {
	k := s.keys(w)
	k.Sent = true
	rows, err := s.store.View(ctx, k)
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: send: %w", err)
	}
	f, err := s.pending(&rows, id, k.Now)
	if err != nil {
		return Pending{}, err
	}
	kind := f.Kind
	if m, ok := s.methods[kind].(authn.Ceremony); ok {
		return s.askAnew(ctx, w, k, m, id)
	}
	if err := s.reach(ctx, &rows, kind); err != nil {
		return Pending{}, fmt.Errorf("enroll: send: %w", err)
	}
	price, err := s.price(ctx, rows.Company.ID, kind)
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: send: %w", err)
	}
	var p Pending
	var letter string
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		p, letter = Pending{}, ""
		f, err := s.pending(rows, id, k.Now)
		if err == nil && !f.Kind.Sent() {
			err = authn.NotFound
		}
		if err != nil {
			return authn.Drop(err)
		}
		doc, err := policy.Current(*rows.Company, k.Now)
		if err != nil {
			return authn.Drop(fmt.Errorf("enroll: %w", err))
		}
		purpose := authn.CodeSetUp
		if newAddress(*f) != "" {
			purpose = authn.CodeEmail
		}
		p = Pending{Company: *rows.Company, User: *rows.User, Factor: *f, Version: versionOf(*f)}
		writes, id, err := s.send(rows, doc, w, *f, purpose, price, &p)
		if err != nil {
			return authn.Drop(err)
		}
		letter = id
		return authn.Accept(s.event("code.sent", rows, w, k.Now, *f), writes...)
	})
	s.asked(ctx, kind, w, err)
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: send: %w", err)
	}
	if err := s.deliver.Deliver(ctx, p.Company.ID, letter); err != nil {
		return p, fmt.Errorf("enroll: send: %w", err)
	}
	return p, nil
}

// BeginEmail begins a change of the account's address. It is in force only when
// a code that was sent to the new one came back, by Confirm; the old one is told.
//
// Errors: StepUpRequired, Invalid (field email), TooManyRequests, MessageNotSent.
func (s *Service) BeginEmail(ctx context.Context, w Who, email string) (Pending, error) {
	email, err := authn.CleanEmail(email)
	if err != nil {
		return Pending{}, err
	}
	data, err := json.Marshal(pendingAddress{email})
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: email: %w", err)
	}
	if s.methods[authn.Email] == nil {
		return Pending{}, &authn.Error{Code: authn.PolicyForbids, Key: "error.no_mail"}
	}
	k := s.keys(w)
	k.Sent = true
	var p Pending
	var letter string
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		p, letter = Pending{}, ""
		if rows.Attempt != nil {
			return authn.Drop(authn.Forbidden) // cannot be changed in a sign-in (ruling 1)
		}
		doc, err := s.fresh(rows, k.Now)
		if err != nil {
			return authn.Drop(err)
		}
		if a, _ := authn.CanonicalLogin(email); same(a, rows.User.Email) && !rows.User.EmailVerifiedAt.IsZero() {
			return authn.Drop(authn.InvalidField("email", "same", nil))
		}
		f := authn.Factor{
			Company: rows.Company.ID, ID: authn.NewID(authn.FactorID, k.Now, s.random), User: rows.User.ID, Kind: authn.Email,
			State: authn.Pending, Data: data, Epoch: rows.User.Epoch, Attempt: asker(rows), CreatedAt: k.Now, ExpiresAt: k.Now.Add(s.life.Setup),
		}
		p = Pending{Company: *rows.Company, User: *rows.User, Factor: f, Version: versionOf(f)}
		writes, id, err := s.send(rows, doc, w, f, authn.CodeEmail, nil, &p)
		if err != nil {
			return authn.Drop(err)
		}
		letter = id
		return authn.Accept(s.event("email.change_begun", rows, w, k.Now, f), append([]authn.Write{authn.NewFactor{Factor: f}}, writes...)...)
	})
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: email: %w", err)
	}
	if err := s.deliver.Deliver(ctx, p.Company.ID, letter); err != nil {
		return p, fmt.Errorf("enroll: email: %w", err)
	}
	return p, nil
}

func same(canonical, email string) bool {
	c, ok := authn.CanonicalLogin(email)
	return ok && c == canonical
}

// moveAddress makes the confirmed address the account's. The old one is told,
// with a link that takes the change back (rulings 2 and 35).
func (s *Service) moveAddress(rows *authn.Rows, w Who, now time.Time, out *Changed) authn.Verdict {
	f := *rows.Charged.Factor
	to, old := newAddress(f), rows.User.Email
	verified := !rows.User.EmailVerifiedAt.IsZero()
	rows.User.Email, rows.User.EmailVerifiedAt = to, now
	changed := rows.User.EmailChangedAt
	if !same(mustCanonical(old), to) {
		rows.User.EmailChangedAt = now
	}
	ev := s.event("email.changed", rows, w, now, authn.Factor{})
	writes := []authn.Write{
		authn.Settle{Outcome: authn.Right}, authn.ConsumeChallenges{Factor: f.ID}, authn.DeleteFactor{ID: f.ID}, authn.SetEmail{Email: to},
	}
	if verified && old != "" {
		id := authn.NewID(authn.LinkID, now, s.random)
		link := authn.NewToken(authn.LinkToken, rows.Company.ID, id, s.random)
		writes = append(writes,
			authn.NewLink{Token: link, Link: authn.Link{ID: id, Purpose: authn.NotMeLink, Mailed: true, Epoch: rows.User.Epoch - 1, Event: ev.ID,
				Args: map[string]string{"email": old, "changed": stamp(changed)}, CreatedAt: now, ExpiresAt: now.Add(policy.NotMeLives)}},
			authn.NewLetter{Letter: authn.Letter{ID: authn.NewID(authn.MessageID, now, s.random), Template: "email_changed", To: old, At: now,
				Link: link, Args: map[string]string{"type": ev.Type, "agent": ev.Personal.Agent, "address": ev.Personal.Address, "variant": "old"}}})
	}
	more, moved := s.moved(rows, *rows.Session, now)
	moved.Factor = f
	*out = moved
	return authn.Accept(ev, append(writes, more...)...)
}

// stamp is a time as a link keeps it; empty: zero.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func mustCanonical(email string) string {
	c, _ := authn.CanonicalLogin(email)
	return c
}
