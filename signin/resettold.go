package signin

import (
	"context"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// Who resets a password by e-mail may be whoever reads the mailbox. All contacts of
// the person are told, each with a link that takes it back (ruling 4): the address by
// the notice of the event, the addresses before it while their change can be taken
// back, and every number by a text message where the company can send some. What
// becomes of one message holds up neither the reset nor the others, and each is in the
// log.

// maxNumbers is how many numbers of one person are told.
const maxNumbers = 5

// toText is a number that is to be told; why it is not, if it is refused.
type toText struct {
	to, refused string
}

// payTexts counts the messages to the person's numbers against their budgets, before
// the reset is decided: a budget that is used up must not stop it. They come from
// nobody's address, and are no codes that could come back; what strangers used up
// does not silence them.
func (s *Service) payTexts(ctx context.Context, rows *authn.Rows, now time.Time) []toText {
	if _, ok := authn.TraitsFor(s.methods, *rows.Company)(authn.SMS); !ok || s.texts == nil {
		return nil
	}
	var list []toText
	price, err := s.texts.Price(ctx, rows.Company.ID)
	for _, number := range numbers(rows) {
		failed := err
		if failed == nil {
			failed = s.payText(ctx, rows, number, price, now)
			s.texts.Asked(ctx, rows.Company.ID, failed)
		}
		one := toText{to: number}
		if failed != nil {
			one.refused = string(authn.AsError(failed).Code)
		}
		list = append(list, one)
	}
	return list
}

func (s *Service) payText(ctx context.Context, rows *authn.Rows, number string, price policy.Pricing, now time.Time) error {
	ask := policy.AskText(nil, rows.User.ID, number, authn.Known, authn.Client{}, now)
	ask.Verified = true
	spent, err := price(ask)
	if err != nil {
		return err
	}
	k := authn.Keys{Company: rows.Company.ID, User: rows.User.ID, Now: now}
	return s.store.Decide(ctx, k, func(*authn.Rows) authn.Verdict { return authn.Continue(authn.SpendBudget{Of: spent}) })
}

// numbers are the contact number and those of the person's own ways.
func numbers(rows *authn.Rows) []string {
	var list []string
	add := func(number string) {
		if number != "" && len(list) < maxNumbers && !slices.Contains(list, number) {
			list = append(list, number)
		}
	}
	for _, f := range rows.Factors {
		if f.Kind == authn.SMS && (f.State == authn.Confirmed || f.State == authn.Asleep) {
			add(f.Destination)
		}
	}
	add(rows.User.Phone)
	return list
}

// tellReset adds to the verdict of a reset what its contacts are told. ev is the reset.
func (s *Service) tellReset(v authn.Verdict, ev authn.Event, rows *authn.Rows, texts []toText, c authn.Client, now time.Time) authn.Verdict {
	told := func(typ string, result authn.Result, kind authn.Kind, to, reason string) {
		detail := map[string]string{"channel": string(kind), "to": policy.Mask(kind, to)}
		if reason != "" {
			detail["reason"] = reason
		}
		one := s.event(typ, result, rows, c, now, detail)
		one.Actor = ""
		v = v.And(one)
	}
	letter := func(link authn.Link, l authn.Letter) {
		link.ID = authn.NewID(authn.LinkID, now, s.random)
		link.Company, link.User, link.Purpose, link.Event = rows.Company.ID, rows.User.ID, authn.NotMeLink, ev.ID
		l.ID, l.Template, l.At = authn.NewID(authn.MessageID, now, s.random), "password_reset", now
		l.Link = authn.NewToken(authn.LinkToken, link.Company, link.ID, s.random)
		v = v.With(authn.NewLink{Link: link, Token: l.Link}, authn.NewLetter{Letter: l})
	}
	told("password.reset_told", authn.Succeeded, authn.Email, rows.User.Email, "")
	seen := []string{rows.Reset.Destination}
	for _, link := range rows.Replaced {
		to := link.Args["email"]
		if name, ok := authn.CanonicalLogin(to); !ok || slices.Contains(seen, name) {
			continue
		} else {
			seen = append(seen, name)
		}
		// As the link that they have: it also brings the address back, for as long.
		letter(link, authn.Letter{Channel: authn.Email, To: to, Args: map[string]string{"type": ev.Type, "method": string(authn.Email), "agent": ev.Personal.Agent, "address": ev.Personal.Address}})
		told("password.reset_told", authn.Succeeded, authn.Email, to, "")
	}
	for _, t := range texts {
		if t.refused != "" {
			told("password.reset_untold", authn.Refused, authn.SMS, t.to, t.refused)
			continue
		}
		letter(authn.Link{Epoch: rows.User.Epoch, CreatedAt: now, ExpiresAt: now.Add(policy.NotMeLives)}, authn.Letter{Channel: authn.SMS, To: t.to})
		told("password.reset_told", authn.Succeeded, authn.SMS, t.to, "")
	}
	return v
}
