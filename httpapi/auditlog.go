package httpapi

import (
	"bufio"
	"encoding/hex"
	"errors"
	"math"
	"net/http"
	"time"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/text"
)

// event is one line of the log.
type event struct {
	ID      string            `json:"id"`
	Seq     int64             `json:"seq,omitempty"`
	At      time.Time         `json:"at"`
	Type    string            `json:"type"`
	Result  authn.Result      `json:"result"`
	Actor   string            `json:"actor,omitempty"`
	Target  string            `json:"target,omitempty"`
	Address string            `json:"address,omitempty"`
	Agent   string            `json:"agent,omitempty"`
	Detail  map[string]string `json:"detail,omitempty"`
	Damaged bool              `json:"damaged,omitempty"` // what it says of a person cannot be read
}

type eventPage struct {
	page[event]
	// SearchedTo is set if the search stopped there, because what was asked for is rare.
	SearchedTo *time.Time `json:"searched_to,omitempty"`
}

// filters are the parameters that choose events.
var filters = []string{"type", "target", "actor", "result", "since", "until"}

// eventQuery reads the filters, strictly (cve-67).
func eventQuery(r *http.Request) (q authn.EventQuery, err error) {
	query := r.URL.Query()
	for _, p := range []struct {
		name string
		to   *string
		good func(string) bool
	}{
		{"cursor", &q.Before, func(s string) bool { return authn.CheckID(authn.EventID, s) }},
		{"target", &q.Target, func(s string) bool { return authn.CheckID(authn.UserID, s) }},
		{"actor", &q.Actor, func(s string) bool {
			return authn.CheckID(authn.UserID, s) || authn.CheckID(authn.KeyID, s) || s == operatorActor
		}},
		{"type", &q.Type, audit.IsType},
		{"result", (*string)(&q.Result), func(s string) bool { return authn.Result(s) == authn.Succeeded || authn.Result(s) == authn.Refused }},
	} {
		s, ok := query[p.name]
		if !ok {
			continue
		}
		if !p.good(s[0]) {
			return q, authn.InvalidField(p.name, "invalid", nil)
		}
		*p.to = s[0]
	}
	for _, p := range []struct {
		name string
		to   *time.Time
	}{{"since", &q.Since}, {"until", &q.Until}} {
		s, ok := query[p.name]
		if !ok {
			continue
		}
		t, err := time.Parse(time.RFC3339, s[0])
		if err != nil || t.Year() < 1970 {
			return q, authn.InvalidField(p.name, "invalid", nil)
		}
		*p.to = t
	}
	return q, nil
}

// operatorActor is who acts from the command line.
const operatorActor = "operator"

// auditEvents is GET /audit/events.
func (a *API) auditEvents(w http.ResponseWriter, r *http.Request, m manager) error {
	q, err := eventQuery(r)
	if err == nil {
		q.Limit, err = readLimit(r)
	}
	if err != nil {
		return err
	}
	found, err := a.Audit.Search(r.Context(), m.company.ID, q)
	if err != nil {
		return err
	}
	out := eventPage{page: page[event]{Items: []event{}, Next: found.Next}, SearchedTo: maybe(found.Searched)}
	for _, e := range found.Events {
		out.Items = append(out.Items, event{ID: e.ID, Seq: e.Seq, At: stamp(e.At), Type: e.Type, Result: e.Result, Actor: e.Actor, Target: e.Target,
			Address: e.Personal.Address, Agent: e.Personal.Agent, Detail: e.Personal.Detail, Damaged: e.Damaged})
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// auditCSV is GET /audit/events.csv, and auditLines GET /audit/events.jsonl.
func (a *API) auditCSV(w http.ResponseWriter, r *http.Request, m manager) error {
	return a.exportEvents(w, r, m, "csv", "text/csv; charset=utf-8")
}

func (a *API) auditLines(w http.ResponseWriter, r *http.Request, m manager) error {
	return a.exportEvents(w, r, m, "jsonl", "application/jsonl")
}

// exportTime is how long one page of an export may take to leave.
const exportTime = time.Minute

func (a *API) exportEvents(w http.ResponseWriter, r *http.Request, m manager, format, kind string) error {
	q, err := eventQuery(r)
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", kind)
		return nil
	}
	if err := a.Audit.Exporting(r.Context(), m.company.ID, m.by, format, q); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", `attachment; filename="`+m.company.Slug+"-events."+format+`"`)
	h.Set("Cache-Control", "no-store")
	b, wire := bufio.NewWriterSize(w, 64<<10), http.NewResponseController(w)
	// An export takes as long as it takes, but no page of it does.
	slow := func() error {
		if err := wire.SetWriteDeadline(time.Now().Add(exportTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		return b.Flush()
	}
	say := func(e authn.Event) string { return a.Texts.Text(text.English, audit.TextKey(e, a.Texts.Has), nil) }
	_, err = a.Audit.Export(r.Context(), b, m.company.ID, format, q, say, slow)
	return errors.Join(err, b.Flush())
}

// verifyMost is how many links one request walks.
const verifyMost = 20000

type verifyAudit struct {
	From string `json:"from"` // "NUMBER:HASH", the head of the answer before
	Head string `json:"head"` // one that was kept outside
}

type verifiedAudit struct {
	OK       bool        `json:"ok"`
	More     bool        `json:"more"` // go on with from = head
	Events   int64       `json:"events"`
	Head     string      `json:"head,omitempty"`
	Fault    audit.Fault `json:"fault,omitempty"`
	Seq      int64       `json:"seq,omitempty"`
	ID       string      `json:"id,omitempty"`
	Deleted  int64       `json:"deleted,omitempty"` // up to this number, by the company's rule
	Unsealed int64       `json:"unsealed"`
	Oldest   *time.Time  `json:"oldest_unsealed,omitempty"`
}

// verifyAudit is POST /audit/verify.
func (a *API) verifyAudit(w http.ResponseWriter, r *http.Request, m manager) error {
	var in verifyAudit
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	c := audit.Check{Most: verifyMost}
	for name, p := range map[string]struct {
		value string
		to    *audit.Head
	}{"from": {in.From, &c.From}, "head": {in.Head, &c.Known}} {
		h, ok := audit.ParseHead(p.value)
		if !ok {
			return authn.InvalidField(name, "invalid", nil)
		}
		*p.to = h
	}
	got, err := a.Audit.Verify(r.Context(), m.company.ID, c)
	if err != nil {
		return err
	}
	out := verifiedAudit{OK: got.Broken == "", More: got.More, Events: got.Events, Head: got.Head.String(), Fault: got.Broken, Seq: got.Seq, ID: got.ID,
		Deleted: got.Deleted, Unsealed: got.Unsealed, Oldest: maybe(got.Oldest)}
	if !got.More {
		if err := a.Audit.Verified(r.Context(), m.company.ID, m.by, got); err != nil {
			return err
		}
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// retention is how long the company's events are kept.
type retention struct {
	Months       int        `json:"months"` // 0: for ever
	DeletedSeq   int64      `json:"deleted_seq,omitempty"`
	DeletedHash  string     `json:"deleted_hash,omitempty"`
	LastDeletion *time.Time `json:"deleted_at,omitempty"`
}

func (a *API) answerRetention(w http.ResponseWriter, r *http.Request, company string) error {
	k, err := a.Audit.Keep(r.Context(), company)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, retention{Months: k.Months, DeletedSeq: k.Seq, DeletedHash: hex.EncodeToString(k.Hash), LastDeletion: maybe(k.DeletedAt)})
}

// auditRetention is GET /audit/retention.
func (a *API) auditRetention(w http.ResponseWriter, r *http.Request, m manager) error {
	return a.answerRetention(w, r, m.company.ID)
}

// notSaid is no number of months: 0 would be for ever.
const notSaid = math.MinInt32

// setAuditRetention is PUT /audit/retention.
func (a *API) setAuditRetention(w http.ResponseWriter, r *http.Request, c caller) error {
	if a.Providers == nil {
		return authn.NotFound
	}
	in := struct {
		Months int    `json:"months"`
		Reason string `json:"reason"`
	}{Months: notSaid}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	if in.Months == notSaid {
		return authn.InvalidField("months", "required", nil)
	}
	if err := a.Providers.SetKeep(r.Context(), c.asker(in.Reason), in.Months); err != nil {
		return err
	}
	return a.answerRetention(w, r, c.Company.ID)
}
