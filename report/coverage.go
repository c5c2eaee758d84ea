package report

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
)

// PageSize is how many people coverage reads at a time.
const PageSize = 200

// Row is one person in the coverage report.
type Row struct {
	User     authn.User
	Standing Standing
	Demanded bool             // policy demands a second step of them, whatever they have
	Why      []policy.Because // the rules that had a say, in the order of their precedence
	Ways     []Way            // active and sleeping, oldest first
	Codes    int              // backup codes that are left
	Strength policy.Strength  // the least that their roles must prove
	LastWay  time.Time        // when they last verified with a way of their own; zero: never
	Exempt   bool             // until User.ExemptUntil
}

// Way is one way that a person has.
type Way struct {
	Kind   authn.Kind
	Counts bool // can be used here and now: not asleep, and the company has what it needs
	Since  time.Time
}

// Heading says what a coverage report is of.
type Heading struct {
	Company       authn.Company
	At            time.Time
	PolicyVersion int64
	TwoFactor     policy.TwoFactor
	Strength      map[string]policy.Strength // by role
	GraceDays     int
}

// Coverage is a report of everybody in a company, which is read page by page. It
// judges everybody at the same time and by the same policy; who comes or goes while it is
// read may be in it or not.
type Coverage struct {
	Heading
	s *Service
	v view
}

// Coverage begins a report.
func (s *Service) Coverage(c authn.Company) (*Coverage, error) {
	v, err := s.view(c)
	if err != nil {
		return nil, err
	}
	return &Coverage{Heading: Heading{Company: c, At: v.now, PolicyVersion: c.PolicyVersion, TwoFactor: v.doc.TwoFactor,
		Strength: v.doc.Strength, GraceDays: v.doc.GraceDays}, s: s, v: v}, nil
}

// Page gives the people after an id, in the order of ids; "" begins. Fewer than
// limit are the last; limit is at most PageSize.
func (c *Coverage) Page(ctx context.Context, after string, limit int) ([]Row, error) {
	list, err := c.s.c.Store.People(ctx, c.Company.ID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	rows := make([]Row, 0, len(list))
	for _, h := range list {
		rows = append(rows, c.v.row(h))
	}
	return rows, nil
}

// Each goes through everybody, a page in memory at a time, and returns how many
// there were.
func (c *Coverage) Each(ctx context.Context, f func(Row) error) (n int, err error) {
	for after := ""; ; {
		rows, err := c.Page(ctx, after, PageSize)
		if err != nil {
			return n, err
		}
		for _, r := range rows {
			if err := f(r); err != nil {
				return n, err
			}
			n++
			after = r.User.ID
		}
		if len(rows) < PageSize {
			return n, nil
		}
	}
}

func (v view) row(h authn.Person) Row {
	r := Row{User: h.User, Standing: v.standing(h.User, h.Factors), Demanded: policy.Demanded(v.doc, h.User), Why: policy.Explain(v.doc, h.User, h.Factors, v.traits, v.now).Because,
		Strength: v.doc.Minimum(h.User), Exempt: v.doc.Exempts(h.User)}
	usable := policy.Second(v.doc, h.User, h.Factors, v.traits)
	for _, f := range h.Factors {
		switch {
		case f.State != authn.Confirmed && f.State != authn.Asleep:
		case f.Kind == authn.BackupCode:
			r.Codes = f.Left
		case f.Kind.Own():
			counts := slices.ContainsFunc(usable, func(x authn.Factor) bool { return x.ID == f.ID })
			r.Ways = append(r.Ways, Way{Kind: f.Kind, Counts: counts, Since: f.ConfirmAt})
			if f.LastUsedAt.After(r.LastWay) {
				r.LastWay = f.LastUsedAt
			}
		}
	}
	return r
}

// Export is the act of taking a report of everybody with one, for the log.
var Export = directory.Act{Type: "report.exported", Permission: directory.ReportsRead}
