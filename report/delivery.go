package report

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/provider"
)

// Channel is how the messages of one channel get through.
type Channel struct {
	Kind   authn.Kind
	Health provider.Health
	// Of the days of the overview: codes that were sent, and messages that were given up.
	Sent, Failed int64
	// What providers reported today; 0 where they report nothing.
	Delivered, Undelivered int
	Usage                  []provider.Usage // of budgets; texts only
	Failing                []string         // the company's own providers that do not work, by name
	FailedAt               time.Time        // of the last failure, with Failing
	Waiting                int              // letters that wait, e-mail only
	Oldest                 time.Time
}

// delivery looks at the channels that the company can use.
func (s *Service) delivery(ctx context.Context, v view, in SignIns) ([]Channel, error) {
	var list []Channel
	if p := s.c.Providers; p.HasTexts() {
		st, err := p.TextsOf(ctx, v.company.ID)
		if err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		if st.Offered {
			list = append(list, texts(st, in))
		}
	}
	if p := s.c.Providers; p.HasMail() {
		st, err := p.MailOf(ctx, v.company.ID)
		if err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		c := Channel{Kind: authn.Email, Health: st.Health, Sent: in.sent[authn.Email], Failed: in.failed[authn.Email], Waiting: st.Outbox.Waiting, Oldest: st.Outbox.Oldest}
		if st.Health == provider.Failing {
			c.Failing, c.FailedAt = []string{st.Settings.Host}, st.FailedAt
		}
		list = append(list, c)
	}
	return list, nil
}

func texts(st provider.TextState, in SignIns) Channel {
	c := Channel{Kind: authn.SMS, Health: provider.Server, Sent: in.sent[authn.SMS], Failed: in.failed[authn.SMS],
		Delivered: st.Delivered, Undelivered: st.Failed, Usage: st.Usage}
	works := false
	for _, h := range st.Health {
		switch {
		case h.Failed != "":
			c.Failing = append(c.Failing, h.Name)
			if h.FailedAt.After(c.FailedAt) {
				c.FailedAt = h.FailedAt
			}
		case !h.SentAt.IsZero():
			works = true
		}
	}
	switch {
	case len(st.Settings.Providers) == 0:
	case len(c.Failing) > 0:
		c.Health = provider.Failing
	case works:
		c.Health = provider.Working
	default:
		c.Health = provider.Untried
	}
	return c
}
