package directory

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport-mfa/sallyport/authn"
)

// ExportedPerson is a person as exports write them. There is no secret in it, and
// no number that codes go to.
type ExportedPerson struct {
	ID            string     `json:"id"`
	Login         string     `json:"login"`
	Name          string     `json:"name"`
	Email         string     `json:"email,omitempty"`
	EmailVerified bool       `json:"email_verified"`
	Audience      string     `json:"audience"`
	Roles         []string   `json:"roles"`
	Status        string     `json:"status"`
	Standing      string     `json:"standing"`
	Methods       []string   `json:"methods"`
	Required      bool       `json:"two_factor_required"` // of this person in particular
	ExemptUntil   *time.Time `json:"exempt_until,omitempty"`
	HelpAskedAt   *time.Time `json:"help_asked_at,omitempty"` // from the sign-in page; not in CSV
	LastSignInAt  *time.Time `json:"last_sign_in_at,omitempty"`
	CreatedAt     time.Time  `json:"created_at"`
}

// ExportPeople is p as exports and answers write it.
func (p Listed) Export() ExportedPerson {
	out := ExportedPerson{ID: p.ID, Login: p.Login, Name: p.Name, Email: p.Email, EmailVerified: p.Email != "" && !p.EmailVerifiedAt.IsZero(),
		Audience: string(p.Shape.Audience), Roles: append([]string{}, p.Roles...), Status: string(p.Shape.Status), Standing: string(p.Standing),
		Methods: []string{}, Required: p.RequireTwoFactor, CreatedAt: p.CreatedAt.UTC().Truncate(time.Second)}
	for _, k := range p.Shape.Kinds {
		out.Methods = append(out.Methods, string(k))
	}
	if p.Shape.Saved {
		out.Methods = append(out.Methods, string(authn.BackupCode))
	}
	at := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC().Truncate(time.Second)
		return &t
	}
	if p.Shape.Exempt {
		out.ExemptUntil = at(p.ExemptUntil)
	}
	out.HelpAskedAt, out.LastSignInAt = at(p.HelpAskedAt), at(p.LastSignInAt)
	return out
}

// ExportPeople writes all people whom filters choose, as "csv" or "jsonl" (the lossless
// form), and gives their number. That somebody takes the list away is in the log
// before the first line leaves.
//
// Errors: those of Act and People; Invalid (field format); those of out.
func (s *Service) ExportPeople(ctx context.Context, w Who, format string, filters map[string]string, out io.Writer) (int64, error) {
	write, flush := exportLines(out)
	if format == "csv" {
		write, flush = exportCSV(out)
	} else if format != "jsonl" {
		return 0, authn.InvalidField("format", "not_one_of", nil)
	}
	q := PeopleQuery{Filters: filters, Limit: 200}
	page, err := s.People(ctx, w, q)
	if err != nil {
		return 0, err
	}
	detail := map[string]string{"format": format}
	for _, name := range Filters() {
		if filters[name] != "" && name != FilterSearch {
			detail[name] = filters[name]
		}
	}
	err = s.Act(ctx, w, Act{Type: "users.exported", Permission: UsersRead}, func(*authn.Rows) (Done, error) { return Done{Detail: detail}, nil })
	if err != nil {
		return 0, err
	}
	n := int64(0)
	for {
		for _, p := range page.People {
			n++
			if err := write(p.Export()); err != nil {
				return n, err
			}
		}
		if err := flush(); err != nil || page.Next == "" {
			return n, err
		}
		q.After = page.Next
		if page, err = s.people(ctx, page.Company, q); err != nil {
			return n, err
		}
	}
}

func exportLines(w io.Writer) (func(ExportedPerson) error, func() error) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return func(p ExportedPerson) error { return e.Encode(p) }, func() error { return nil }
}

// exportColumns are those of a CSV export.
var exportColumns = []string{"id", "login", "name", "email", "email_verified", "audience", "roles", "status", "standing", "methods", "two_factor_required",
	"exempt_until", "last_sign_in_at", "created_at"}

func exportCSV(w io.Writer) (func(ExportedPerson) error, func() error) {
	c := csv.NewWriter(w)
	c.UseCRLF = true // RFC 4180
	first := true
	head := func() error {
		if !first {
			return nil
		}
		first = false
		return c.Write(exportColumns)
	}
	write := func(p ExportedPerson) error {
		if err := head(); err != nil {
			return err
		}
		at := func(t *time.Time) string {
			if t == nil {
				return ""
			}
			return t.Format(time.RFC3339)
		}
		cells := []string{p.ID, p.Login, p.Name, p.Email, fmt.Sprint(p.EmailVerified), p.Audience, strings.Join(p.Roles, ","), p.Status, p.Standing,
			strings.Join(p.Methods, ","), fmt.Sprint(p.Required), at(p.ExemptUntil), at(p.LastSignInAt), p.CreatedAt.Format(time.RFC3339)}
		for i, cell := range cells {
			cells[i] = plainCell(cell)
		}
		return c.Write(cells)
	}
	return write, func() error {
		if err := head(); err != nil {
			return err
		}
		c.Flush()
		return c.Error()
	}
}

// plainCell puts an apostrophe before what a spreadsheet would run (ruling 37;
// CWE-1236): = + - @, tab and line ends, also after spaces, and their full-width
// forms.
func plainCell(s string) string {
	for _, r := range s {
		switch {
		case strings.ContainsRune("=+-@\t\r\n＝＋－＠", r):
			return "'" + s
		case !unicode.IsSpace(r) && unicode.IsPrint(r):
			return s
		}
	}
	return s
}

// ReadFilters takes the filters out of a query or a form; others stay.
func ReadFilters(get func(string) string) map[string]string {
	filters := map[string]string{}
	for _, name := range Filters() {
		if v := strings.TrimSpace(get(name)); v != "" {
			filters[name] = v
		}
	}
	return filters
}
