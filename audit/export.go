package audit

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Search finds a part of a company's log, newest first, at a bounded cost.
func (s *Service) Search(ctx context.Context, company string, q authn.EventQuery) (authn.EventPage, error) {
	return s.c.Store.Search(ctx, company, q)
}

// Names are what the actors and targets of events are called, by id.
func (s *Service) Names(ctx context.Context, company string, events []authn.SealedEvent) (map[string]authn.Named, error) {
	var ids []string
	for _, e := range events {
		ids = append(ids, e.Actor, e.Target)
	}
	return s.c.Store.Names(ctx, company, ids)
}

// Keep is how long a company keeps its events, and up to where they are deleted.
func (s *Service) Keep(ctx context.Context, company string) (authn.Keep, error) {
	return s.c.Store.Keep(ctx, company)
}

// By is who reads, for the log: exports and checks of the log are in it too.
type By struct {
	Actor  string // user or key
	Client authn.Client
}

// Note puts an act on the log itself into the log: "audit.exported",
// "audit.verified".
func (s *Service) Note(ctx context.Context, company string, by By, typ string, detail map[string]string) error {
	now := s.c.Now()
	ev := authn.Event{Company: company, ID: authn.NewID(authn.EventID, now, s.c.Random), Type: typ, Actor: by.Actor, Result: authn.Succeeded, At: now,
		Personal: authn.Personal{Agent: by.Client.Agent, Detail: detail}}
	if by.Client.Address.IsValid() {
		ev.Personal.Address = by.Client.Address.String()
	}
	return s.c.Store.Decide(ctx, authn.Keys{Company: company, Now: now}, func(*authn.Rows) authn.Verdict { return authn.Accept(ev) })
}

// Exporting notes that an export begins. It is called before the first byte
// leaves: what is carried away is on record however the connection ends.
func (s *Service) Exporting(ctx context.Context, company string, by By, format string, q authn.EventQuery) error {
	detail := map[string]string{"format": format}
	for name, value := range map[string]string{"person": q.Target, "by": q.Actor, "type": q.Type, "result": string(q.Result), "since": stamp(q.Since), "until": stamp(q.Until)} {
		if value != "" {
			detail[name] = value
		}
	}
	return s.Note(ctx, company, by, "audit.exported", detail)
}

// Verified notes that the chain was walked to its end or to a fault.
func (s *Service) Verified(ctx context.Context, company string, by By, r Report) error {
	detail := map[string]string{"events": strconv.FormatInt(r.Events, 10), "head": r.Head.String(), "result": "ok"}
	if r.Broken != "" {
		detail["result"], detail["seq"] = string(r.Broken), strconv.FormatInt(r.Seq, 10)
	}
	return s.Note(ctx, company, by, "audit.verified", detail)
}

// IsType reports a type of events, or with a dot at the end a family of them.
func IsType(s string) bool {
	return len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_.") == "" && strings.Trim(s, ".") != "" && s[0] != '.' && !strings.Contains(s, "..")
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// Export writes everything that a query finds, newest first, then the head of the
// chain as it was before. It holds one page in memory. between is called after
// each page; nil: nothing is.
func (s *Service) Export(ctx context.Context, w io.Writer, company, format string, q authn.EventQuery, text func(authn.Event) string, between func() error) (int64, error) {
	put, err := Lines(w, format)
	if err != nil {
		return 0, err
	}
	seq, hash, err := s.c.Store.ChainHead(ctx, company)
	if err != nil {
		return 0, fmt.Errorf("audit: export: %w", err)
	}
	var n int64
	for q.Limit, q.Before = pageSize, ""; ; {
		page, err := s.c.Store.Search(ctx, company, q)
		if err != nil {
			return n, fmt.Errorf("audit: export: %w", err)
		}
		for _, e := range page.Events {
			n++
			if err := put(LineOf(e, text(e.Event))); err != nil {
				return n, err
			}
		}
		if between != nil {
			if err := between(); err != nil {
				return n, err
			}
		}
		if q.Before = page.Next; q.Before == "" {
			break
		}
	}
	if seq > 0 {
		err = put(HeadLine(company, Head{seq, hash}, s.c.Now()))
	}
	return n, err
}
