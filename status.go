package sallyport

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-mfa/sallyport/web"
)

// When something that waits is worth a look. Sealing is due within seconds, and
// a letter within its first tries.
const (
	lateSealing = time.Minute
	lateLetter  = 5 * time.Minute
)

// status looks at everything that an operator would (S42). No name of a company
// or a person is in it, and no cause that a database might have quoted: those
// are in the log.
func (s *Server) status(ctx context.Context) web.Status {
	now := s.cfg.Now()
	st := web.Status{State: web.StatusOK, Version: s.cfg.Version, StartedAt: s.started.UTC().Truncate(time.Second), Uptime: int64(now.Sub(s.started).Seconds())}
	st.Checks = append(s.storeStatus(ctx, now), s.mailStatus(ctx, now))
	config := web.StatusCheck{Name: "configuration", State: web.StatusOK, Text: "Nothing in it looks unintended."}
	if len(s.cfg.Warnings) > 0 {
		config.State, config.Text = web.StatusWarning, ""
		for _, w := range s.cfg.Warnings {
			config.Text += w + ". "
		}
	}
	st.Checks = append(st.Checks, config)
	for _, c := range st.Checks {
		if c.State == web.StatusFailing || st.State == web.StatusOK {
			st.State = c.State
		}
	}
	return st
}

func (s *Server) storeStatus(ctx context.Context, now time.Time) []web.StatusCheck {
	start := time.Now()
	standing, err := s.cfg.Store.Standing(ctx)
	took := time.Since(start).Milliseconds()
	db := web.StatusCheck{Name: "database", State: web.StatusOK, Numbers: map[string]int64{"took_ms": took, "schema": standing.Schema},
		Text: fmt.Sprintf("%s reads and writes (%d ms), schema %d.", standing.Database, took, standing.Schema)}
	if err != nil {
		s.cfg.Log.WarnContext(ctx, "status", "check", "database", "error", err)
		db.State, db.Numbers, db.Text = web.StatusFailing, nil, "It cannot be read and written now. The log says why."
		return []web.StatusCheck{db}
	}
	if standing.LowSpace {
		db.State, db.Text = web.StatusWarning, db.Text+" Less than 5 % of the disk is free."
	}
	log := web.StatusCheck{Name: "event log", State: web.StatusOK, Text: "All events are sealed.", Numbers: map[string]int64{"unsealed": int64(standing.Unsealed), "oldest_seconds": 0}}
	if standing.Unsealed > 0 {
		age := now.Sub(standing.OldestUnsealed)
		log.Numbers["oldest_seconds"] = int64(age.Seconds())
		log.Text = fmt.Sprintf("Not sealed yet: %d, the oldest for %s.", standing.Unsealed, age.Round(time.Second))
		if age > lateSealing {
			log.State = web.StatusWarning
		}
	}
	return []web.StatusCheck{db, log}
}

func (s *Server) mailStatus(ctx context.Context, now time.Time) web.StatusCheck {
	c := web.StatusCheck{Name: "messages", State: web.StatusOK, Text: "No mail is configured: nothing is sent."}
	if s.Notices == nil {
		return c
	}
	out, err := s.Notices.State(ctx)
	if err != nil {
		s.cfg.Log.WarnContext(ctx, "status", "check", "messages", "error", err)
		c.State, c.Text = web.StatusFailing, "The outbox cannot be read now. The log says why."
		return c
	}
	c.Numbers = map[string]int64{"waiting": int64(out.Waiting), "failing": int64(out.Failing), "oldest_seconds": 0, "last_sent": 0}
	c.Text = "Nothing waits."
	if out.Waiting > 0 {
		age := now.Sub(out.Oldest)
		c.Numbers["oldest_seconds"] = int64(age.Seconds())
		c.Text = fmt.Sprintf("Waiting: %d, tried without success: %d, the oldest for %s.", out.Waiting, out.Failing, age.Round(time.Second))
		if age > lateLetter {
			c.State = web.StatusWarning
		}
	}
	if out.LastSent.IsZero() {
		c.Text += " None was sent yet."
	} else {
		c.Numbers["last_sent"] = out.LastSent.Unix()
		c.Text += " Last sent " + out.LastSent.UTC().Format("2 Jan 2006 15:04:05 UTC") + "."
	}
	if out.LastFail != "" {
		c.Text += " Last failure since: " + out.LastFail + "."
		if out.Failing > 0 {
			c.State = web.StatusWarning
		}
	}
	return c
}
