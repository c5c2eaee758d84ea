package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/text"
)

// auditGroup is the command audit with the flags that its commands share.
type auditGroup struct {
	*program
	company string
}

func (p *program) auditCommand() *cobra.Command {
	a := &auditGroup{program: p}
	c := p.configured(group("audit", "The event log of a company", "  sallyport audit list --company acme --since 24h",
		a.list(), a.export(), a.verify(), a.keep(), a.stream()))
	c.PersistentFlags().StringVar(&a.company, "company", "", "slug of the company; needed if there are several")
	return c
}

func (a *auditGroup) do(c *cobra.Command, f func(*opened, *audit.Service, authn.Company) error) error {
	return a.operate(c.Context(), func(o *opened) error {
		company, err := o.company(c, a.company)
		if err != nil {
			return err
		}
		log, err := audit.New(audit.Config{Store: o.store})
		if err != nil {
			return err
		}
		return f(o, log, company)
	})
}

// choice selects events; the same for list and export.
type choice struct{ user, by, typ, result, since, until string }

func (s *choice) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.user, "user", "", "only events about this person: login, e-mail address or id (also one that is gone)")
	f.StringVar(&s.by, "by", "", "only what this person did: login, e-mail address or id; the id of a key; or operator")
	f.StringVar(&s.result, "result", "", "only success, or only refused")
	c.RegisterFlagCompletionFunc("result", cobra.FixedCompletions([]string{"success", "refused"}, cobra.ShellCompDirectiveNoFileComp))
	f.StringVar(&s.typ, "type", "", "only this type, such as factor.refused; with a dot at the end all that begin so: factor.")
	f.StringVar(&s.since, "since", "", "from this time on: 2026-03-01, 2026-03-01T12:00:00Z, or an age such as 24h or 7d")
	f.StringVar(&s.until, "until", "", "before this time, in the same forms")
}

// query reads the flags; a person is looked up.
func (s *choice) query(c *cobra.Command, o *opened, company authn.Company) (authn.EventQuery, error) {
	q := authn.EventQuery{Type: s.typ}
	now := time.Now()
	for _, t := range []struct {
		flag, value string
		to          *time.Time
	}{{"--since", s.since, &q.Since}, {"--until", s.until, &q.Until}} {
		var err error
		if *t.to, err = readTime(t.value, now); err != nil {
			return q, misuse(fmt.Sprintf("%s is %q; it must be a date (2026-03-01), a time (2026-03-01T12:00:00Z) or an age (24h, 7d)", t.flag, t.value))
		}
	}
	if q.Result = authn.Result(s.result); q.Result != "" && q.Result != authn.Succeeded && q.Result != authn.Refused {
		return q, misuse(fmt.Sprintf("--result is %q; it must be success or refused", s.result))
	}
	for _, p := range []struct {
		who string
		to  *string
	}{{s.user, &q.Target}, {s.by, &q.Actor}} {
		switch {
		case p.who == "" || p.who == directory.Operator && p.to == &q.Actor || authn.CheckID(authn.UserID, p.who) || authn.CheckID(authn.KeyID, p.who):
			*p.to = p.who // events outlive people
		default:
			v, err := (&userGroup{program: nil}).find(c, o, company, p.who)
			if err != nil {
				return q, err
			}
			*p.to = v.ID
		}
	}
	return q, nil
}

// readTime reads a point in time, or how long ago it was; nothing is the zero time.
func readTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return now.Add(-time.Duration(n) * day), err
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Parse(time.RFC3339, s)
}

// eventText is what happened, in English: the text of the type and, where there
// is one, of the type with its reason; the type itself if there is none.
func eventText(e authn.Event) string {
	texts := text.Default()
	if !texts.Has("event." + e.Type) {
		return e.Type
	}
	return texts.Text(text.English, audit.TextKey(e, texts.Has), nil)
}

type eventPage struct {
	Items []audit.Line `json:"items"`
	Next  string       `json:"next_cursor,omitempty"`
}

func (a *auditGroup) list() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List what happened, newest first", Args: cobra.NoArgs,
		Example: "  sallyport audit list --company acme --since 24h\n  sallyport audit list --user maya --type factor. --json",
	}
	var s choice
	s.flags(c)
	limit := c.Flags().Int("limit", 50, "events on a page, 1 to 200")
	before := c.Flags().String("before", "", "id of the last event on the page before")
	c.RunE = does(func(c *cobra.Command, _ []string) error {
		if *limit < 1 || *limit > 200 {
			return misuse(fmt.Sprintf("--limit is %d; it must be 1 to 200", *limit))
		}
		if *before != "" && !authn.CheckID(authn.EventID, *before) {
			return misuse("--before must be the id of an event, evt_…")
		}
		return a.do(c, func(o *opened, log *audit.Service, company authn.Company) error {
			q, err := s.query(c, o, company)
			if err != nil {
				return err
			}
			q.Limit, q.Before = *limit, *before
			list, err := log.Events(c.Context(), company.ID, q)
			if err != nil {
				return err
			}
			page := eventPage{Items: []audit.Line{}}
			for _, e := range list {
				page.Items = append(page.Items, audit.LineOf(authn.SealedEvent{Event: e}, eventText(e)))
			}
			if len(list) == *limit {
				page.Next = list[len(list)-1].ID
			}
			return a.printEvents(c, log, company, page)
		})
	})
	return c
}

func (a *auditGroup) printEvents(c *cobra.Command, log *audit.Service, company authn.Company, page eventPage) error {
	if a.json {
		return a.showJSON(page)
	}
	if len(page.Items) == 0 {
		return a.show(nil, "No event fits.\n")
	}
	var ids []authn.SealedEvent
	for _, v := range page.Items {
		ids = append(ids, authn.SealedEvent{Event: authn.Event{Actor: v.Actor, Target: v.Target}})
	}
	names, err := log.Names(c.Context(), company.ID, ids)
	if err != nil {
		return err
	}
	name := func(id string) string {
		switch n := names[id]; {
		case n.Login != "":
			return n.Login
		case n.Name != "":
			return n.Name
		}
		return id
	}
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tBY\tABOUT\tWHAT\tDETAIL\tFROM")
	for _, v := range page.Items {
		by, about := name(v.Actor), name(v.Target)
		if by == "" {
			by = "–"
		}
		if about == by {
			about = "themselves"
		}
		cells := []string{v.At.Format("2006-01-02 15:04:05"), by, about, v.Text, details(v), strings.TrimSpace(v.Address + " " + v.Agent)}
		for i, cell := range cells {
			cells[i] = oneLine(cell)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	if err := w.Flush(); err != nil || page.Next == "" {
		return err
	}
	_, err = fmt.Fprintf(a.out, "\nTimes are UTC. More: the same with --before %s\n", page.Next)
	return err
}

// details are the type, and what it says besides; a refusal is marked.
func details(v audit.Line) string {
	parts := []string{v.Type}
	if v.Result == authn.Refused {
		parts = append(parts, "refused")
	}
	for _, k := range slices.Sorted(maps.Keys(v.Detail)) {
		parts = append(parts, k+"="+v.Detail[k])
	}
	return strings.Join(parts, " ")
}

// oneLine keeps what came from outside from steering the terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// verdict is what verify answers to machines.
type verdict struct {
	OK       bool        `json:"ok"`
	Company  string      `json:"company"`
	Events   int64       `json:"events"` // that hold
	Head     string      `json:"head,omitempty"`
	Fault    audit.Fault `json:"fault,omitempty"`
	Seq      int64       `json:"seq,omitempty"`
	ID       string      `json:"id,omitempty"`
	Deleted  int64       `json:"deleted,omitempty"` // up to this number, by the company's rule
	Unsealed int64       `json:"unsealed"`
	Oldest   *time.Time  `json:"oldest_unsealed,omitempty"`
}

var faults = map[audit.Fault]string{
	audit.Missing:    "one or more rows were taken out before row %d%s",
	audit.Moved:      "row %d (%s) does not follow the one before it: it was moved, or put in",
	audit.Altered:    "row %d (%s) was altered",
	audit.Unreadable: "what row %d (%s) says of a person was altered",
	audit.CutOff:     "the rows from %d on were taken away%s",
	audit.OtherHead:  "row %d (%s) is not the one that the head belongs to: the log up to there was written anew",
}

func (a *auditGroup) verify() *cobra.Command {
	c := &cobra.Command{
		Use: "verify", Short: "Walk the chain of the log, and name the first row that was tampered with", Args: cobra.NoArgs,
		Long: "Walks the chain of a company's event log. The first row that was altered, moved or taken out is named, and the exit code is 1. Rows that were written in the last seconds are not in the chain yet; " +
			"they are counted with their age.\n\nWho can write to the database and knows the chain can take rows away from the end, and its noted head with them. Give a head from outside, printed by an earlier verify " +
			"or export, to find that too.",
		Example: "  sallyport audit verify --company acme\n  sallyport audit verify --head 1042:9f2c…",
	}
	head := c.Flags().String("head", "", "NUMBER:HASH of a row, from an earlier verify or export")
	c.RunE = does(func(c *cobra.Command, _ []string) error {
		known, err := readHead(*head)
		if err != nil {
			return err
		}
		return a.do(c, func(_ *opened, log *audit.Service, company authn.Company) error {
			r, err := log.Verify(c.Context(), company.ID, audit.Check{Known: known})
			if err != nil {
				return err
			}
			return a.printVerdict(company, r)
		})
	})
	return c
}

func readHead(s string) (audit.Head, error) {
	h, ok := audit.ParseHead(s)
	if !ok {
		return h, misuse("--head must be a number and a hash, such as 1042:9f2c…, as verify and export print them")
	}
	return h, nil
}

func (a *auditGroup) printVerdict(company authn.Company, r audit.Report) error {
	v := verdict{OK: r.Broken == "", Company: company.Slug, Events: r.Events, Head: r.Head.String(), Fault: r.Broken, Seq: r.Seq, ID: r.ID, Deleted: r.Deleted, Unsealed: r.Unsealed}
	tail := ""
	if r.Deleted > 0 {
		tail = fmt.Sprintf("It begins after number %d: what was before is not kept any more, and the log says so.\n", r.Deleted)
	}
	if r.Unsealed > 0 {
		oldest := r.Oldest.UTC()
		v.Oldest = &oldest
		tail += fmt.Sprintf("%s not in the chain yet, the oldest for %s.\n", count(r.Unsealed, "event is", "events are"), spell(max(time.Since(oldest), time.Second)))
	}
	if v.OK {
		return a.show(v, "The chain of %s holds: %s.\nHead: %s\n%s", v.Company, count(v.Events, "event", "events"), orNone(v.Head), tail)
	}
	id := r.ID
	if r.Broken == audit.CutOff || id == "" {
		id = ""
	}
	what := fmt.Sprintf(faults[r.Broken], r.Seq, id)
	if err := a.show(v, "The chain of %s is BROKEN: %s.\n%s before that hold.\n%s", v.Company, what, count(v.Events, "event", "events"), tail); err != nil {
		return err
	}
	return fmt.Errorf("the event log of %s was tampered with: %s; compare it with an export or a backup", v.Company, what)
}

func orNone(s string) string {
	if s == "" {
		return "none yet"
	}
	return s
}
