package signin

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// Sent is a code that is on its way.
type Sent struct {
	Offer     policy.Offer
	Options   []byte    // for the person's device: JSON; nil: the way has none
	ExpiresAt time.Time // zero: nothing is sent for this way
	ResendAt  time.Time // when another can be asked for; zero: not in this attempt
}

// ResendAt is when another code of a factor can be asked for; zero: none was sent
// yet, or no more are in this attempt. Codes that are over count (ux rule 19).
func (st Status) ResendAt(factor string) time.Time {
	var sent []authn.Challenge
	for _, c := range slices.Concat(st.SentBefore, st.Sent) {
		if c.Factor == factor {
			sent = append(sent, c)
		}
	}
	return policy.ResendAt(sent)
}

// Challenge sends a code for one of the ways that the attempt offers. A person's
// act calls it, never the opening of a page. Within its life the same code is
// sent again; the count of wrong tries is the factor's and stays (decision 7).
// For a passkey it asks the person's device, by any of theirs, in place of what was
// asked before. For a way that sends nothing it only says that it is open.
//
// Errors: Invalid (field method: not offered), NotFound, Expired, Conflict
// (complete), Paused, Locked, TooManyRequests (with RetryAfter: too soon, or too
// many), PolicyForbids (no texts to this number, or not for this person yet),
// MessageNotSent (other ways can be used).
func (s *Service) Challenge(ctx context.Context, o Opener, kind authn.Kind, factor string) (Status, Sent, error) {
	if err := s.attending(ctx, o); err != nil {
		return Status{}, Sent{}, err
	}
	price, err := s.price(ctx, o.company(), kind)
	if err != nil {
		return Status{}, Sent{}, fmt.Errorf("signin: challenge: %w", err)
	}
	reach, err := s.reach(ctx, o.company(), kind)
	if err != nil {
		return Status{}, Sent{}, fmt.Errorf("signin: challenge: %w", err)
	}
	now := s.now()
	k := o.keys(now)
	k.Sent = true
	var st Status
	var out Sent
	var letter authn.Letter
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		st, out, letter = Status{}, Sent{}, authn.Letter{}
		offer, err := s.offered(rows, kind, factor, now)
		if err != nil {
			return authn.Drop(err)
		}
		if st, err = s.status(rows, now); err != nil {
			return authn.Drop(err)
		}
		out.Offer = offer
		if m, ok := s.methods[kind].(authn.Ceremony); ok {
			return s.question(rows, m, now, &st, &out)
		}
		if !kind.Sent() {
			return authn.Continue()
		}
		if err := reach(rows); err != nil {
			return authn.Drop(err)
		}
		return s.send(rows, o.Client, price, now, &st, &out, &letter)
	})
	if kind == authn.SMS && s.texts != nil {
		s.texts.Asked(ctx, o.company(), err)
	}
	if err != nil {
		return Status{}, Sent{}, fmt.Errorf("signin: challenge: %w", err)
	}
	if letter.ID != "" {
		if err := s.deliver.Deliver(ctx, letter.Company.ID, letter.ID); err != nil {
			return st, out, fmt.Errorf("signin: challenge: %w", err)
		}
	}
	return st, out, nil
}

func (s *Service) offered(rows *authn.Rows, kind authn.Kind, factor string, now time.Time) (policy.Offer, error) {
	if err := open(rows, now); err != nil {
		return policy.Offer{}, err
	}
	if rows.Attempt.State == authn.Complete {
		return policy.Offer{}, &authn.Error{Code: authn.Conflict, Key: "error.attempt_complete"}
	}
	need, err := s.next(rows, rows.Attempt.Proofs, now)
	if err != nil {
		return policy.Offer{}, err
	}
	if kind == authn.Password && need.State == authn.NeedPassword {
		return policy.Offer{Kind: authn.Password, Preferred: true}, nil
	}
	var first policy.Offer
	var stopped error
	for _, offer := range need.Offers {
		if offer.Kind != kind || factor != "" && factor != offer.Factor {
			continue
		}
		var err error
		switch {
		case offer.Locked:
			err = &authn.Error{Code: authn.Locked}
		case !offer.PausedUntil.IsZero():
			err = &authn.Error{Code: authn.Paused, RetryAfter: offer.PausedUntil.Sub(now), ExpiresAt: offer.PausedUntil}
		default:
			return offer, nil // also where another of the kind cannot be used now
		}
		if stopped == nil {
			first, stopped = offer, err
		}
	}
	if stopped != nil {
		return first, stopped
	}
	return policy.Offer{}, authn.InvalidField("method", "not_offered", nil)
}

// send writes the challenge and its letter.
func (s *Service) send(rows *authn.Rows, c authn.Client, price policy.Pricing, now time.Time, st *Status, out *Sent, letter *authn.Letter) authn.Verdict {
	doc, err := policy.Current(*rows.Company, now)
	if err != nil {
		return authn.Drop(fmt.Errorf("signin: %w", err))
	}
	var writes []authn.Write
	if out.Offer.Factor == "" {
		f := authn.Factor{ID: authn.NewID(authn.FactorID, now, s.random), Kind: out.Offer.Kind, State: authn.Fallback,
			Epoch: rows.User.Epoch, Attempt: rows.Attempt.ID, CreatedAt: now}
		out.Offer.Factor = f.ID
		writes = append(writes, authn.NewFactor{Factor: f})
	}
	purpose, template := authn.CodeSignIn, authn.Template("code")
	if rows.Attempt.Purpose == authn.StepUp {
		purpose, template = authn.CodeStepUp, "code_step_up"
	}
	address, to := destination(rows, out.Offer)
	if to == "" {
		return authn.Drop(authn.InvalidField("method", "not_offered", nil))
	}
	sending, err := policy.Send(authn.Challenge{
		Company: rows.Company.ID, ID: authn.NewID(authn.MessageID, now, s.random), User: rows.User.ID, Attempt: rows.Attempt.ID,
		Factor: out.Offer.Factor, Kind: out.Offer.Kind, Purpose: purpose, Destination: to, Lane: rows.Lane,
	}, slices.Concat(rows.SentBefore, rows.Challenges), rows.SentCodes, doc.CodeLives(), now)
	if err != nil {
		return authn.Drop(err)
	}
	ch := sending.Challenge
	out.ExpiresAt, out.ResendAt = ch.ExpiresAt, sending.ResendAt
	if sending.New {
		writes = append(writes, authn.NewChallenge{Challenge: ch})
		st.Sent = append(st.Sent, ch)
	} else {
		writes = append(writes, authn.PutChallenge{Challenge: ch})
	}
	*letter = authn.Letter{
		Company: *rows.Company, ID: authn.NewID(authn.MessageID, now, s.random), Channel: ch.Kind, Template: template, To: address,
		At: now, ExpiresAt: ch.ExpiresAt,
		Args: map[string]string{"agent": c.Agent, "locale": c.Locale, "action": rows.Attempt.Action, "minutes": minutes(doc.CodeLives())},
	}
	if w := rows.Attempt.Wants; w != nil {
		letter.Args["act"] = w.Title
	}
	writes = append(writes, authn.NewLetter{Letter: *letter, Challenge: ch.ID})
	if price != nil {
		spent, err := price(policy.AskText(rows.Factor(out.Offer.Factor), rows.User.ID, to, rows.Lane, c, now))
		if err != nil {
			return authn.Drop(err)
		}
		writes = append(writes, authn.SpendBudget{Of: spent})
	}
	return authn.Accept(s.event("code.sent", authn.Succeeded, rows, c, now, map[string]string{"method": string(ch.Kind)}), writes...)
}

// destination is where a code for an offer goes: as it is written, and in the
// form that the code is bound to. Empty: nowhere.
func destination(rows *authn.Rows, o policy.Offer) (address, canonical string) {
	switch f := rows.Factor(o.Factor); {
	case o.Kind == authn.Email:
		canonical, _ = authn.CanonicalLogin(rows.User.Email)
		return rows.User.Email, canonical
	case o.Fallback:
		return rows.User.Phone, rows.User.Phone
	case f != nil:
		return f.Destination, f.Destination
	}
	return "", ""
}

// minutes is a life in whole minutes, as messages say it.
func minutes(d time.Duration) string { return strconv.Itoa(max(int(d.Minutes()), 1)) }
