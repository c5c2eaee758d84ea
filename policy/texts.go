package policy

import (
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Pricing says what a text message is counted against, or why it is not sent.
// Nil: messages are not counted.
type Pricing = func(authn.TextAsk) ([]authn.Spending, error)

// AskText is one message to a number. f is the way that it belongs to; nil: none
// yet. A number that a right code came back from lately is a verified one.
// Numbers that are being set up are asked for as strangers do: they may be
// somebody else's.
func AskText(f *authn.Factor, user, to string, l authn.Lane, c authn.Client, now time.Time) authn.TextAsk {
	ask := authn.TextAsk{To: to, User: user, Lane: l, Address: c.Address, Now: now}
	if f != nil {
		last := f.LastUsedAt
		if f.ConfirmAt.After(last) {
			last = f.ConfirmAt
		}
		ask.Verified = !last.IsZero() && now.Sub(last) < authn.VerifiedLasts
	}
	return ask
}

// CameBack notes that a code came back, of those that were out for f (the
// conversion watch of authn.ConversionLeast).
func CameBack(price Pricing, f *authn.Factor, sent []authn.Challenge, user string) []authn.Write {
	if price == nil || len(sent) == 0 {
		return nil
	}
	last := sent[len(sent)-1]
	ask := AskText(f, user, last.Destination, last.Lane, authn.Client{}, last.SentAt)
	spent, err := price(ask)
	if err != nil {
		return nil // the rules have changed since; there is nothing to count
	}
	var good []authn.Spending
	for _, x := range spent {
		if x.Watch {
			x.Good = 1
			good = append(good, x)
		}
	}
	if good == nil {
		return nil
	}
	return []authn.Write{authn.NoteBudget{Of: good}}
}
