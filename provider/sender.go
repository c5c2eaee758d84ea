package provider

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// key is a sender of a company; previous, if it is the one before.
type key struct {
	company  string
	previous bool
}

// keptSender is the sender of a version of the settings.
type keptSender struct {
	version int64
	sender  authn.ClosingSender
}

// maxKept bounds the senders in memory; each may hold a connection for a while.
const maxKept = 256

// SenderFor gives the sender of a company's own mail server, for package notice;
// nil stands for the server's. What cannot be read or opened is an error, and the
// letter waits.
func (s *Service) SenderFor(ctx context.Context, company string, channel authn.Kind, via string) (authn.Sender, error) {
	switch {
	case channel == authn.SMS:
		return s.textSender(ctx, company)
	case channel != authn.Email || s.c.Mail == nil:
		return nil, nil
	}
	p, err := s.c.Store.Provider(ctx, company, channel)
	if err != nil {
		return nil, err
	}
	settings, k := p.Settings, key{company: company}
	if via == viaPrevious {
		settings, k.previous = p.Previous, true
		if !p.PreviousUntil.After(s.c.Now()) {
			settings = nil // the server's, which no owner can redirect
		}
	}
	if settings == nil {
		s.drop(k)
		return nil, nil
	}
	sender, err := s.sender(k, p.Version, settings)
	if err != nil || k.previous {
		return sender, err
	}
	return &watched{sender, s, company, p.Version}, nil
}

// ViaFor is the Letter.Via of a letter to a person, for package notice. For a day after
// somebody changed the company's mail server who may do less than that person, it goes
// through the settings before: whoever decides where codes and resets go could become
// them (ruling 19). An owner who saves the settings anew agrees to them. A text has no
// such way and is refused, also where it was written just before the change.
func (s *Service) ViaFor(ctx context.Context, l authn.Letter) (string, error) {
	if l.User.ID == "" {
		return "", nil
	}
	if l.Channel == authn.SMS {
		reaches, err := s.Reaches(ctx, l.Company.ID, l.Channel)
		if err != nil {
			return "", err
		}
		return "", reaches(l.Company, l.User)
	}
	if l.Channel != authn.Email || s.c.Mail == nil {
		return "", nil
	}
	p, err := s.c.Store.Provider(ctx, l.Company.ID, authn.Email)
	if err != nil {
		return "", err
	}
	paused, err := s.paused(ctx, p)
	if err != nil || !paused(l.Company, l.User) {
		return "", err
	}
	return viaPrevious, nil
}

func (s *Service) sender(k key, version int64, settings []byte) (authn.Sender, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.kept[k]
	if ok && old.version == version {
		return old.sender, nil
	}
	m, err := decode(settings)
	if err != nil {
		return nil, err
	}
	sender, err := s.c.Mail.Open(m)
	if err != nil {
		return nil, err
	}
	if ok {
		go closeSender(old.sender)
	} else if len(s.kept) >= maxKept {
		for other, x := range s.kept { // any one: it is opened again when it is needed
			go closeSender(x.sender)
			delete(s.kept, other)
			break
		}
	}
	s.kept[k] = keptSender{version, sender}
	return sender, nil
}

// closeSender takes leave of a server; nothing depends on how that goes.
func closeSender(c authn.ClosingSender) { _ = c.Close() }

func (s *Service) drop(k key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.kept[k]; ok {
		delete(s.kept, k)
		go closeSender(old.sender)
	}
}

// Close ends the connections that are kept. The service can be used on.
func (s *Service) Close() error {
	s.mu.Lock()
	kept := s.kept
	s.kept = map[key]keptSender{}
	s.mu.Unlock()
	var errs []error
	for _, x := range kept {
		errs = append(errs, x.sender.Close())
	}
	return errors.Join(errs...)
}

// note is what was written down last of a company.
type note struct {
	version int64
	failed  string
	at      time.Time
}

const (
	noteEvery   = time.Minute
	noteTimeout = 3 * time.Second
)

// watched writes down how sending goes, for the owners.
type watched struct {
	authn.Sender
	s       *Service
	company string
	version int64
}

// Send sends, and notes how it went.
func (w *watched) Send(ctx context.Context, m authn.Message) error {
	err := w.Sender.Send(ctx, m)
	w.s.note(ctx, w.company, w.version, err)
	return err
}

// note is written at once where something changed, and once a minute otherwise.
// One message that is refused says nothing of the server.
func (s *Service) note(ctx context.Context, company string, version int64, err error) {
	n := note{version: version, at: s.c.Now()}
	if e := (*authn.SendError)(nil); errors.As(err, &e) {
		if e.Permanent {
			return
		}
		n.failed = e.Stage
	} else if err != nil {
		n.failed = "connect"
	}
	if !s.worth(company, n) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	if err := s.c.Store.ProviderNoted(ctx, company, authn.Email, version, n.at, n.failed); err != nil {
		s.c.Log.WarnContext(ctx, "mail: outcome not noted", "company", company, "error", err)
	}
}

// worth reports whether a note says something new of what it is about.
func (s *Service) worth(about string, n note) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.noted[about]
	if ok && last.version == n.version && last.failed == n.failed && n.at.Sub(last.at).Abs() < noteEvery {
		return false
	}
	if len(s.noted) >= maxKept {
		clear(s.noted)
	}
	s.noted[about] = n
	return true
}
