package directory

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// ExportVersion is the version of the document that Export.Write makes; the
// fields are in docs/privacy.md.
const ExportVersion = 1

// Export is a copy of everything that is held about a person, to be written.
type Export struct {
	s       *Service
	company authn.Company
	held    authn.Held
	at      time.Time
}

// Export begins a copy of what is held about a person, for themself or for
// somebody with UsersIdentity, after a recent proof. That it was made is an event.
//
// Errors: those of Act.
func (s *Service) Export(ctx context.Context, w Who, target string) (*Export, error) {
	act := Act{Type: "user.exported", Permission: UsersIdentity, Fresh: true, Target: target}
	return s.export(ctx, w, act)
}

// ExportOwn is Export for the person of a session.
func (s *Service) ExportOwn(ctx context.Context, token authn.Token, c authn.Client, user string) (*Export, error) {
	return s.export(ctx, Session(token, c), Act{Type: "user.exported", Fresh: true, Target: user, Self: true})
}

func (s *Service) export(ctx context.Context, w Who, a Act) (*Export, error) {
	if a.Target == "" {
		return nil, authn.NotFound
	}
	var company authn.Company
	var user string
	err := s.Act(ctx, w, a, func(rows *authn.Rows) (Done, error) {
		// Without a permission it is one's own and nobody else's.
		if a.Permission == "" && (rows.By == nil || rows.By.Key != nil || rows.By.User.ID != rows.User.ID) {
			return Done{}, authn.Forbidden
		}
		company, user = *rows.Company, rows.User.ID
		return Done{}, nil
	})
	if err != nil {
		return nil, err
	}
	e := &Export{s: s, company: company, at: s.c.Now()}
	if e.held, err = s.c.Store.Held(ctx, company.ID, user); err != nil {
		return nil, fmt.Errorf("directory: export: %w", err)
	}
	return e, nil
}

// FileName is a name for the document; it holds nothing about the person but the
// id.
func (e *Export) FileName() string { return e.held.User.ID + ".json" }

// Write writes the document: one JSON object, whose last two members are as long
// as the log is, and come in pages. If it returns an error, what was written is
// no whole document.
func (e *Export) Write(ctx context.Context, out io.Writer) error {
	w := bufio.NewWriterSize(out, 32<<10)
	head, err := json.MarshalIndent(e.document(), "", "  ")
	if err != nil {
		return fmt.Errorf("directory: export: %w", err)
	}
	// The object stays open for the lists.
	if _, err := w.Write(head[:len(head)-2]); err != nil {
		return err
	}
	id, company := e.held.User.ID, e.company.ID
	err = writeList(w, "events", func(before string) ([]authn.Event, error) {
		return e.s.c.Store.Events(ctx, company, authn.EventQuery{Target: id, Before: before, Limit: exportPage})
	}, func(ev authn.Event) any { return heldEventOf(ev, id) })
	if err == nil {
		err = writeList(w, "acts", func(before string) ([]authn.Event, error) {
			return e.s.c.Store.ActsOf(ctx, company, id, before, exportPage)
		}, func(ev authn.Event) any {
			return heldAct{ID: ev.ID, At: ev.At, Type: ev.Type, Result: string(ev.Result), Address: ev.Personal.Address, Agent: ev.Personal.Agent}
		})
	}
	if err != nil {
		return fmt.Errorf("directory: export: %w", err)
	}
	if _, err := w.WriteString("\n}\n"); err != nil {
		return err
	}
	return w.Flush()
}

const exportPage = 200

// writeList writes a member of the document that is read page by page.
func writeList(w *bufio.Writer, name string, page func(before string) ([]authn.Event, error), show func(authn.Event) any) error {
	if _, err := fmt.Fprintf(w, ",\n  %q: [", name); err != nil {
		return err
	}
	comma := ""
	for before := ""; ; {
		list, err := page(before)
		if err != nil {
			return err
		}
		for _, ev := range list {
			line, err := json.Marshal(show(ev))
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "%s\n    %s", comma, line); err != nil {
				return err
			}
			comma = ","
		}
		if len(list) < exportPage {
			break
		}
		before = list[len(list)-1].ID
	}
	_, err := w.WriteString("\n  ]")
	return err
}

// heldEventOf is something that happened to the person. Where an administrator
// sat who did it is the administrator's, and so is who it was.
func heldEventOf(ev authn.Event, person string) heldEvent {
	h := heldEvent{ID: ev.ID, At: ev.At, Type: ev.Type, Result: string(ev.Result), Detail: map[string]string{}}
	switch ev.Actor {
	case person:
		h.By = "self"
	case "":
		h.By = "unknown"
	case Operator:
		h.By = Operator
	default:
		h.By = "administrator"
		if authn.CheckID(authn.KeyID, ev.Actor) {
			h.By = "program"
		}
	}
	if h.By == "self" || h.By == "unknown" {
		h.Address, h.Agent = ev.Personal.Address, ev.Personal.Agent
	}
	for name, value := range ev.Personal.Detail {
		if name != "requester" { // somebody else
			h.Detail[name] = value
		}
	}
	return h
}

type heldEvent struct {
	ID      string            `json:"id"`
	At      time.Time         `json:"at"`
	Type    string            `json:"type"`
	Result  string            `json:"result"`
	By      string            `json:"by"` // self, unknown, operator, administrator or program
	Address string            `json:"address,omitempty"`
	Agent   string            `json:"agent,omitempty"`
	Detail  map[string]string `json:"detail,omitempty"`
}

type heldAct struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Type    string    `json:"type"`
	Result  string    `json:"result"`
	Address string    `json:"address,omitempty"`
	Agent   string    `json:"agent,omitempty"`
}
