package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/report"
)

// adoption is who has what.
type adoption struct {
	AsOf          time.Time        `json:"as_of"`
	PolicyVersion int64            `json:"policy_version"`
	TwoFactor     policy.TwoFactor `json:"two_factor"`
	People        int64            `json:"people"`
	Standings     map[string]int64 `json:"standings"` // each of report.Standings
	Methods       []methodCount    `json:"methods"`   // that people have, most first
	Resistant     int64            `json:"phishing_resistant"`
}

type methodCount struct {
	Method authn.Kind `json:"method"`
	Count  int64      `json:"count"`
}

func methodCounts(list []report.WayCount) []methodCount {
	out := []methodCount{}
	for _, w := range list {
		out = append(out, methodCount{w.Kind, w.N})
	}
	return out
}

// reportAdoption is GET /reports/adoption.
func (a *API) reportAdoption(w http.ResponseWriter, r *http.Request, m manager) error {
	got, err := a.Reports.Adoption(r.Context(), m.company)
	if err != nil {
		return err
	}
	out := adoption{AsOf: stamp(got.At), PolicyVersion: got.PolicyVersion, TwoFactor: got.TwoFactor, People: got.People,
		Standings: map[string]int64{}, Methods: methodCounts(got.Ways), Resistant: got.Resistant}
	for _, s := range report.Standings() {
		out.Standings[string(s)] = got.By[s]
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// signIns are sign-ins by day, in UTC.
type signIns struct {
	Zone    string        `json:"zone"`
	Days    []day         `json:"days"`
	Methods []methodCount `json:"methods"` // that people verified with, most first
}

type day struct {
	Date     string `json:"date"`
	SignedIn int64  `json:"signed_in"`
	TwoSteps int64  `json:"two_steps"`
	Failed   int64  `json:"failed"`
}

// reportSignIns is GET /reports/sign-ins.
func (a *API) reportSignIns(w http.ResponseWriter, r *http.Request, m manager) error {
	days := report.Days
	if s, ok := r.URL.Query()["days"]; ok {
		n, err := strconv.Atoi(s[0])
		if err != nil || strconv.Itoa(n) != s[0] {
			return authn.InvalidField("days", "invalid", nil)
		}
		days = n
	}
	got, err := a.Reports.SignIns(r.Context(), m.company, days, 0)
	if err != nil {
		return err
	}
	out := signIns{Zone: "UTC", Days: []day{}, Methods: methodCounts(got.Used)}
	for _, d := range got.Days {
		out.Days = append(out.Days, day{d.Date.Format(time.DateOnly), d.SignedIn, d.TwoSteps, d.Failed})
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// attention is one thing that somebody should see to.
type attention struct {
	Kind     report.Kind     `json:"kind"`
	Severity report.Severity `json:"severity"`
	Count    int             `json:"count,omitempty"`
	More     bool            `json:"more,omitempty"` // there are more than Count
	Text     string          `json:"text"`
	Verb     string          `json:"verb,omitempty"` // what Link leads to
	Link     string          `json:"link,omitempty"`
	Channel  authn.Kind      `json:"channel,omitempty"`
	Person   string          `json:"person,omitempty"`
	At       *time.Time      `json:"at,omitempty"`
}

// reportAttention is GET /reports/attention.
func (a *API) reportAttention(w http.ResponseWriter, r *http.Request, m manager) error {
	list, err := a.Reports.Attention(r.Context(), m.company)
	if err != nil {
		return err
	}
	lang := a.language(r, m.user)
	out := page[attention]{Items: []attention{}}
	for _, i := range list {
		x := attention{Kind: i.Kind, Severity: i.Severity, Count: i.N, More: i.More, Text: a.Texts.Text(lang, i.TextKey(), i.Args()),
			Channel: i.Channel, Person: i.Person, At: maybe(i.At)}
		if a.serves(i.Link) {
			x.Link, x.Verb = i.Link, a.Texts.Text(lang, i.VerbKey(), i.Args())
		}
		out.Items = append(out.Items, x)
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// coverage is a page of who has what.
type coverage struct {
	Company       string                     `json:"company"`
	AsOf          time.Time                  `json:"as_of"`
	PolicyVersion int64                      `json:"policy_version"`
	TwoFactor     policy.TwoFactor           `json:"two_factor"`
	GraceDays     int                        `json:"grace_days"`
	Strength      map[string]policy.Strength `json:"strength"` // by role
	page[covered]
}

// covered is one person of the report.
type covered struct {
	ID          string           `json:"id"`
	Login       string           `json:"login"`
	Name        string           `json:"name"`
	Email       string           `json:"email,omitempty"`
	Audience    authn.Audience   `json:"audience"`
	Roles       []string         `json:"roles"`
	Status      authn.UserStatus `json:"status"`
	Standing    report.Standing  `json:"standing"`
	Demanded    bool             `json:"demanded"`
	Why         []policy.Reason  `json:"why"`
	Strength    policy.Strength  `json:"strength,omitempty"`
	Ways        []coveredWay     `json:"ways"`
	BackupCodes int              `json:"backup_codes_left"`
	Exempt      *lifted          `json:"exempt,omitempty"`
	API         bool             `json:"api_account"`
	LastSignIn  *time.Time       `json:"last_sign_in_at,omitempty"`
	LastWay     *time.Time       `json:"last_verified_at,omitempty"`
	CreatedAt   time.Time        `json:"created_at"`
}

// lifted is until when policy demands nothing of a person, why, and who said so.
type lifted struct {
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
	By     string    `json:"by"` // id of a user, or "operator"
}

type coveredWay struct {
	Method authn.Kind `json:"method"`
	Counts bool       `json:"counts"`
	Since  time.Time  `json:"since"`
}

func coveredOf(r report.Row) covered {
	u := r.User
	out := covered{ID: u.ID, Login: u.Login, Name: u.Name, Email: u.Email, Audience: u.Audience, Roles: u.Roles, Status: u.Status, Standing: r.Standing,
		Demanded: r.Demanded, Strength: r.Strength, Why: []policy.Reason{}, Ways: []coveredWay{}, BackupCodes: r.Codes, LastWay: maybe(r.LastWay), LastSignIn: maybe(u.LastSignInAt), API: u.API, CreatedAt: stamp(u.CreatedAt)}
	if out.Roles == nil {
		out.Roles = []string{}
	}
	for _, b := range r.Why {
		out.Why = append(out.Why, b.Rule)
	}
	if r.Exempt {
		out.Exempt = &lifted{Until: stamp(u.ExemptUntil), Reason: u.ExemptReason, By: u.ExemptBy}
	}
	for _, x := range r.Ways {
		out.Ways = append(out.Ways, coveredWay{x.Kind, x.Counts, stamp(x.Since)})
	}
	return out
}

// reportCoverage is GET /reports/coverage, a page of it.
func (a *API) reportCoverage(w http.ResponseWriter, r *http.Request, m manager) error {
	limit, err := readLimit(r)
	if err != nil {
		return err
	}
	cursor := r.URL.Query().Get("cursor")
	if r.URL.Query().Has("cursor") && !authn.CheckID(authn.UserID, cursor) {
		return authn.InvalidField("cursor", "invalid", nil)
	}
	c, err := a.Reports.Coverage(m.company)
	if err != nil {
		return err
	}
	rows, err := c.Page(r.Context(), cursor, limit)
	if err != nil {
		return err
	}
	if cursor == "" {
		if err := a.exported(r, m, "json"); err != nil {
			return err
		}
	}
	out := coverage{Company: c.Company.Slug, AsOf: stamp(c.At), PolicyVersion: c.PolicyVersion, TwoFactor: c.TwoFactor, GraceDays: c.GraceDays,
		Strength: c.Strength, page: page[covered]{Items: []covered{}}}
	if out.Strength == nil {
		out.Strength = map[string]policy.Strength{}
	}
	for _, row := range rows {
		out.Items = append(out.Items, coveredOf(row))
	}
	if len(rows) == limit {
		out.Next = rows[limit-1].User.ID
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// reportCoverageFile is GET /reports/coverage.csv: everybody, page by page.
func (a *API) reportCoverageFile(w http.ResponseWriter, r *http.Request, m manager) error {
	c, err := a.Reports.Coverage(m.company)
	if err != nil {
		return err
	}
	if err := a.exported(r, m, "csv"); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+m.company.Slug+`-coverage.csv"`)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	// What fails from here on cuts the answer off: half a report is none.
	return c.WriteCSV(r.Context(), w)
}

// exported notes that somebody took a report of everybody with them.
func (a *API) exported(r *http.Request, m manager, format string) error {
	return a.Directory.Act(r.Context(), m.who, report.Export, func(*authn.Rows) (directory.Done, error) {
		return directory.Done{Detail: map[string]string{"report": "coverage", "format": format}}, nil
	})
}
