package provider

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// textChain tries a company's providers in order. What may have been taken by one
// is never given to another: nobody gets a text twice, and no budget pays twice.
type textChain struct {
	s       *Service
	company string // "": the operator's
	version int64
	links   []*textLink
}

// textLink is one provider of a chain.
type textLink struct {
	name   string
	sender authn.TextSender
	failed time.Time // guarded by Service.mu; zero: the last message was taken
}

const (
	// rests is how long a provider that failed comes after the others.
	rests = time.Minute
	// textLinkTimeout leaves room for the next one, where the first cannot be reached.
	textLinkTimeout = 4 * time.Second
)

// linkName is what a provider of a list is called: its driver and its place.
func linkName(i int, p authn.TextProvider) string { return p.Driver + "-" + strconv.Itoa(i+1) }

// ReceiptPath is where a provider of a company reports deliveries.
func ReceiptPath(company, name string) string { return "/callbacks/texts/" + company + "/" + name }

// openTexts makes a chain of a list of providers.
func (s *Service) openTexts(company string, version int64, list []authn.TextProvider) (textChain, error) {
	c := textChain{s: s, company: company, version: version}
	for i, p := range list {
		d := s.c.Drivers[p.Driver]
		if d == nil {
			return c, fmt.Errorf("provider: this server has no driver %q for texts", p.Driver)
		}
		sender, err := d.Open(p)
		if err != nil {
			return c, err
		}
		name := linkName(i, p)
		if r, ok := d.(authn.TextReceipts); ok && s.c.PublicURL != "" && company != "" {
			sender = r.Callback(sender, s.c.PublicURL+ReceiptPath(company, name))
		}
		c.links = append(c.links, &textLink{name: name, sender: sender})
	}
	return c, nil
}

// textSender is the sender of a company's texts: through its own providers, or the
// operator's.
func (s *Service) textSender(ctx context.Context, company string) (authn.Sender, error) {
	p, err := s.c.Store.Provider(ctx, company, authn.SMS)
	if err != nil {
		return nil, err
	}
	own, err := decodeTexts(p.Settings)
	if err != nil {
		return nil, err
	}
	list, version := own.Providers, p.Version
	if len(list) == 0 {
		if s.c.Text != nil {
			return s.c.Text, nil
		}
		list, company, version = s.c.Texts.Providers, "", 0
	}
	if len(list) == 0 {
		return nil, errors.New("provider: no provider of text messages")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.texts[company]; ok && c.version == version {
		return c, nil
	}
	c, err := s.openTexts(company, version, list)
	if err != nil {
		return nil, err
	}
	if len(s.texts) >= maxKept {
		clear(s.texts) // they hold nothing that is dear
	}
	s.texts[company] = c
	return c, nil
}

// Send gives the message to the first provider that takes it. Those that failed
// lately come last.
func (c textChain) Send(ctx context.Context, m authn.Message) error {
	var failed error
	for _, l := range c.order() {
		one, cancel := context.WithTimeout(ctx, textLinkTimeout)
		err := l.sender.Send(one, m)
		cancel()
		c.note(ctx, l, err)
		var se *authn.SendError
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil, !errors.As(err, &se), se.Unsure, se.Permanent && ofMessage(se):
			return err
		}
		failed = err
	}
	return failed
}

// ofMessage reports whether a refusal speaks of the message and not of the
// provider: another one would say the same.
func ofMessage(e *authn.SendError) bool {
	return e.Reason == "number" || e.Reason == "country" || e.Reason == "blocked"
}

func (c textChain) order() []*textLink {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	now := c.s.c.Now()
	var well, resting []*textLink
	for _, l := range c.links {
		if !l.failed.IsZero() && now.Sub(l.failed).Abs() < rests {
			resting = append(resting, l)
		} else {
			well = append(well, l)
		}
	}
	return append(well, resting...)
}

// note keeps how a provider does, for the order and for the owners.
func (c textChain) note(ctx context.Context, l *textLink, err error) {
	var se *authn.SendError
	if errors.As(err, &se) && ofMessage(se) {
		return
	}
	now, failed := c.s.c.Now(), ""
	if err != nil {
		failed = "other"
		if se != nil {
			failed = se.Stage + " " + se.Reason
		}
	}
	c.s.mu.Lock()
	l.failed = time.Time{}
	if err != nil {
		l.failed = now
	}
	c.s.mu.Unlock()
	if c.company == "" {
		return
	}
	if !c.s.worth("texts "+c.company+" "+l.name, note{version: c.version, failed: failed, at: now}) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	if err := c.s.c.Store.ProviderHealthNoted(ctx, c.company, authn.SMS, l.name, c.version, now, failed); err != nil {
		c.s.c.Log.WarnContext(ctx, "texts: outcome not noted", "company", c.company, "error", err)
	}
}
