package web

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/csvfile"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/report"
	"github.com/sallyport-mfa/sallyport/session"
)

// The addresses of the reports.
const (
	overviewPath     = "/admin"
	signInsFilePath  = "/admin/reports/sign-ins.csv"
	coveragePath     = "/admin/reports/coverage"
	coverageFilePath = coveragePath + ".csv"
	policyAdminPath  = "/admin/policy"
	apiDocsPath      = "/docs/api"
)

// overviewPage is the data of overview.html (S27).
type overviewPage struct {
	Reports   bool // everything; otherwise only what the person can see to
	Zone      string
	Begin     []beginStep // of a company with one person; nil: it has more
	Cards     []statCard
	Attention []attentionRow

	Charts     []chart
	NoSignIns  bool
	Days       []dayRow
	SignInFile string
	Used, Who  []rowBar
	Ways       []rowBar
	Delivery   []deliveryRow
	Coverage   string // address; empty: there is none for this person
}

type statCard struct {
	Value, Text    string
	Link, LinkText string
}

type attentionRow struct {
	Icon       string
	Now        bool // at once
	Text       []Part
	Detail     []Part
	Verb, Link string
}

type beginStep struct {
	Text, Hint, Link string
	Done             bool
}

type dayRow struct {
	Day                        Part
	SignedIn, TwoSteps, Failed string
}

type deliveryRow struct {
	Label, State, Pill string
	Sent, Failed       string
	Notes              []string
}

func (h *Handler) getOverview(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	may := func(p directory.Permission) bool { return directory.Can(cur.Company, cur.User, p) }
	if !directory.Administrative(cur.Company, cur.User) {
		_, err := h.c.Directory.Check(r.Context(), directory.Session(cur.Token, httpserve.ClientOf(r)), directory.ReportsRead)
		return cmp.Or(err, error(authn.Forbidden))
	}
	v := h.personal(r, cur)
	o, err := h.c.Reports.Overview(r.Context(), cur.Company, v.offset())
	if err != nil {
		return err
	}
	p := overviewPage{Reports: may(directory.ReportsRead), Zone: v.zoneName()}
	for _, i := range o.Attention {
		if p.Reports || may(report.May(i.Kind)) {
			p.Attention = append(p.Attention, h.attentionRow(v, i))
		}
	}
	if p.Reports {
		if o.Adoption.People <= 1 { // pictures of one person show nothing
			p.Begin = h.beginSteps(v, cur, o)
		} else {
			p.Coverage, p.Cards, p.Delivery = coveragePath, h.cards(v, o), deliveryRows(v, o.Delivery)
			h.pictures(v, o, &p)
		}
	}
	v.Section, v.Title, v.Data = "overview", v.T("admin.overview.title"), p
	return h.draw(w, http.StatusOK, "overview.html", v)
}

// offset is how far the reader's days are east of UTC.
func (v *View) offset() time.Duration {
	_, east := v.now.In(v.zone).Zone()
	return time.Duration(east) * time.Second
}

// zoneName is "UTC+01:00".
func (v *View) zoneName() string {
	if v.offset() == 0 {
		return "UTC"
	}
	return "UTC" + v.now.In(v.zone).Format("-07:00")
}

// leads is an address that has a page, or nothing.
func (h *Handler) leads(address string) string {
	if address == "" || !h.serves(address) {
		return ""
	}
	return address
}

func (h *Handler) cards(v *View, o report.Overview) []statCard {
	missing := o.Adoption.By[report.Missing]
	locked := strconv.Itoa(o.Locked.N)
	if o.Locked.More {
		locked += "+"
	}
	cards := []statCard{
		{Value: strconv.Itoa(o.Adoption.Percent()) + " %", Text: v.T("admin.overview.card.own", "Count", int(o.Adoption.People))},
		{Value: digits(missing), Text: v.T("admin.overview.card.missing", "Count", int(missing))},
		{Value: locked, Text: v.T("admin.overview.card.locked", "Count", o.Locked.N)},
	}
	for i, link := range map[int]string{1: peoplePath + "?" + directory.FilterSetUp + "=due", 2: peoplePath + "?" + directory.FilterState + "=locked"} {
		if cards[i].Value != "0" && h.leads(link) != "" {
			cards[i].Link, cards[i].LinkText = link, v.T("admin.overview.card.who")
		}
	}
	if h.offers(authn.WebAuthn) {
		cards = append(cards, statCard{Value: strconv.Itoa(report.Share(o.Adoption.Resistant, o.Adoption.People)) + " %",
			Text: v.T("admin.overview.card.resistant", "Count", int(o.Adoption.People))})
	}
	if len(o.Delivery) > 0 {
		c := o.Delivery[0]
		cards = append(cards, statCard{Value: digits(c.Failed), Text: v.T("admin.overview.card.failed."+string(c.Kind), "Count", int(c.Sent))})
	}
	return cards
}

// pictures fills in the charts, with the same as tables.
func (h *Handler) pictures(v *View, o report.Overview, p *overviewPage) {
	total := o.SignIns.Total()
	p.SignInFile, p.NoSignIns = signInsFilePath, total.SignedIn+total.Failed == 0
	if !p.NoSignIns {
		p.Charts = v.charts(o.SignIns)
		for _, d := range slices.Backward(o.SignIns.Days) {
			p.Days = append(p.Days, dayRow{Day: Part{Text: v.shortDay(d.Date), ISO: d.Date.Format(time.DateOnly)},
				SignedIn: digits(d.SignedIn), TwoSteps: digits(d.TwoSteps), Failed: digits(d.Failed)})
		}
	}
	bars := func(list []report.WayCount, whole int64) []rowBar {
		var labels []string
		var counts []int64
		for _, w := range list {
			labels, counts = append(labels, v.wayName(w.Kind)), append(counts, w.N)
		}
		return v.rowBars(labels, counts, whole)
	}
	var all int64
	for _, w := range o.SignIns.Used {
		all += w.N
	}
	p.Used, p.Ways = bars(o.SignIns.Used, all), bars(o.Adoption.Ways, o.Adoption.People)
	var labels []string
	var counts []int64
	for _, s := range report.Standings() {
		if n := o.Adoption.By[s]; n > 0 && s != report.Suspended && s != report.APIUse {
			labels, counts = append(labels, v.T("admin.standing."+string(s))), append(counts, n)
		}
	}
	p.Who = v.rowBars(labels, counts, o.Adoption.People)
}

// wayName is what people call a kind of proof, at the beginning of a line.
func (v *View) wayName(k authn.Kind) string {
	if key := "admin.way." + string(k); v.texts.Has(key) {
		return v.T(key)
	}
	return v.T("admin.way.other")
}

var attentionIcons = map[report.Kind]string{report.Locked: "lock", report.MissingWay: "person", report.HelpAsked: "person", report.KeysEnd: "key", report.GraceEnds: "clock",
	report.BudgetNear: "message", report.BudgetUsed: "message", report.FewOwners: "person", report.OwnerWithoutWay: "person", report.Unsealed: "page"}

func (h *Handler) attentionRow(v *View, i report.Item) attentionRow {
	var pairs []any
	for name, x := range i.Args() {
		pairs = append(pairs, name, x)
	}
	row := attentionRow{Icon: attentionIcons[i.Kind], Now: i.Severity == report.Danger, Text: v.Rich(i.TextKey(), pairs...),
		Detail: v.Rich("admin.attention."+string(i.Kind)+".text", append(pairs, "Time", v.When(i.At))...)}
	if row.Icon == "" {
		row.Icon = "warn"
	}
	if row.Link = h.leads(i.Link); row.Link != "" {
		row.Verb = v.T(i.VerbKey(), pairs...)
	}
	return row
}

func deliveryRows(v *View, channels []report.Channel) []deliveryRow {
	pills := map[provider.Health]string{provider.Working: "ok", provider.Failing: "danger", provider.Untried: "warn"}
	var rows []deliveryRow
	for _, c := range channels {
		row := deliveryRow{Label: v.T("admin.overview.channel." + string(c.Kind)), State: v.T("admin.overview.health." + string(c.Health)), Pill: pills[c.Health],
			Sent: digits(c.Sent), Failed: digits(c.Failed)}
		for _, u := range c.Usage {
			row.Notes = append(row.Notes, v.T("admin.overview.used."+u.Scope, "Percent", u.Percent()))
		}
		if c.Delivered+c.Undelivered > 0 {
			row.Notes = append(row.Notes, v.T("admin.overview.reported", "Delivered", digits(int64(c.Delivered)), "Failed", digits(int64(c.Undelivered))))
		}
		if c.Waiting > 0 {
			row.Notes = append(row.Notes, v.T("admin.overview.waiting", "Count", c.Waiting))
		}
		rows = append(rows, row)
	}
	return rows
}

// beginSteps is what a new company begins with.
func (h *Handler) beginSteps(v *View, cur session.Current, o report.Overview) []beginStep {
	steps := []struct {
		name, link string
		done       bool
	}{
		{"providers", textsPath, len(cur.Company.Provides) > 0},
		{"own_way", securityPath, o.Adoption.By[report.HasWay] > 0},
		{"policy", policyAdminPath, cur.Company.PolicyVersion > 1},
		{"invite", peoplePath, o.Adoption.People > 1},
		{"app", apiDocsPath, false},
	}
	var out []beginStep
	for _, s := range steps {
		if s.name == "providers" && !(h.c.Providers.HasTexts() && directory.Can(cur.Company, cur.User, directory.ProvidersWrite)) {
			s.link = ""
		}
		out = append(out, beginStep{Text: v.T("admin.begin." + s.name), Hint: v.T("admin.begin." + s.name + "_hint"), Link: h.leads(s.link), Done: s.done})
	}
	return out
}

// getSignInsFile is the chart as a table, for spreadsheets.
func (h *Handler) getSignInsFile(w http.ResponseWriter, r *http.Request, cur session.Current, _ directory.Who) error {
	v := h.personal(r, cur)
	s, err := h.c.Reports.SignIns(r.Context(), cur.Company, report.Days, v.offset())
	if err != nil {
		return err
	}
	asFile(w, fileName(cur.Company.Slug, "sign-ins")+".csv")
	if r.Method == http.MethodHead {
		return nil
	}
	t := csvfile.New(w, v.T("admin.overview.day")+" ("+v.zoneName()+")", v.T("admin.overview.signed_in"), v.T("admin.overview.two_steps"), v.T("admin.overview.failed"))
	for _, d := range s.Days {
		t.Row(d.Date.Format(time.DateOnly), strconv.FormatInt(d.SignedIn, 10), strconv.FormatInt(d.TwoSteps, 10), strconv.FormatInt(d.Failed, 10))
	}
	return t.Flush()
}

// asFile begins an answer that is saved as a table.
func asFile(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.WriteHeader(http.StatusOK)
}

// coveragePage is the data of coverage.html: the report for auditors, a page of it.
type coveragePage struct {
	report.Heading
	AsOf      Part
	Standings []rowBar
	Strengths []strengthRow
	Rows      []coverageRow
	From      int // number of the first row; 0: none
	Newest    bool
	Next      string
	File      string
	People    int64
}

type strengthRow struct{ Role, Text string }

type coverageRow struct {
	Name, Login, Roles string
	Standing           string
	Missing            bool
	Ways, Sleeping     []string
	Why                []string
	Codes              int
	Last               Part
	API                bool
}

// reportEach is how many people are on a page of the report.
const reportEach = report.PageSize

func (h *Handler) getCoverage(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	after := r.URL.Query().Get("after")
	if after != "" && !authn.CheckID(authn.UserID, after) {
		return authn.NotFound
	}
	c, err := h.c.Reports.Coverage(cur.Company)
	if err != nil {
		return err
	}
	rows, err := c.Page(r.Context(), after, reportEach)
	if err != nil {
		return err
	}
	a, err := h.c.Reports.Adoption(r.Context(), cur.Company)
	if err != nil {
		return err
	}
	if after == "" {
		if err := h.exported(r, who, "page"); err != nil {
			return err
		}
	}
	v := h.personal(r, cur)
	p := coveragePage{Heading: c.Heading, AsOf: v.Full(c.At), File: coverageFilePath, Newest: after == "", People: a.People + a.By[report.Suspended] + a.By[report.APIUse]}
	var labels []string
	var counts []int64
	for _, s := range report.Standings() {
		labels, counts = append(labels, v.T("admin.standing."+string(s))), append(counts, a.By[s])
	}
	p.Standings = v.rowBars(labels, counts, p.People)
	for _, role := range slices.Sorted(maps.Keys(c.Strength)) {
		p.Strengths = append(p.Strengths, strengthRow{v.roleTitle(cur.Company, role), v.T("admin.strength." + string(c.Strength[role]))})
	}
	for _, row := range rows {
		p.Rows = append(p.Rows, v.coverageRow(cur.Company, row))
	}
	if len(rows) == reportEach {
		p.Next = withQuery(coveragePath, "after", rows[len(rows)-1].User.ID)
	}
	v.Section, v.Title, v.Data = "overview", v.T("admin.coverage.title"), p
	return h.draw(w, http.StatusOK, "coverage.html", v)
}

func (v *View) coverageRow(c authn.Company, r report.Row) coverageRow {
	out := coverageRow{Name: r.User.Name, Login: r.User.Login, Standing: v.T("admin.standing." + string(r.Standing)), Missing: r.Standing == report.Missing, Codes: r.Codes}
	for i, role := range r.User.Roles {
		if i > 0 {
			out.Roles += ", "
		}
		out.Roles += v.roleTitle(c, role)
	}
	for _, w := range r.Ways {
		if w.Counts {
			out.Ways = append(out.Ways, v.wayName(w.Kind))
		} else {
			out.Sleeping = append(out.Sleeping, v.wayName(w.Kind))
		}
	}
	for _, b := range r.Why {
		until := ""
		if !b.Until.IsZero() {
			until = v.Day(b.Until).Text
		}
		out.Why = append(out.Why, v.T("whyadmin."+string(b.Rule), "Role", v.roleTitle(c, b.Role), "Until", until, "By", b.By, "Reason", b.Reason))
	}
	out.API = r.User.API
	if !r.LastWay.IsZero() {
		out.Last = v.Day(r.LastWay)
	}
	return out
}

// exported notes that somebody took a report of everybody with them.
func (h *Handler) exported(r *http.Request, who directory.Who, format string) error {
	return h.c.Directory.Act(r.Context(), who, report.Export, func(*authn.Rows) (directory.Done, error) {
		return directory.Done{Detail: map[string]string{"report": "coverage", "format": format}}, nil
	})
}

// getCoverageFile is the whole report, for spreadsheets.
func (h *Handler) getCoverageFile(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	c, err := h.c.Reports.Coverage(cur.Company)
	if err != nil {
		return err
	}
	if err := h.exported(r, who, "csv"); err != nil {
		return err
	}
	asFile(w, fileName(cur.Company.Slug, "coverage")+".csv")
	if r.Method == http.MethodHead {
		return nil
	}
	return c.WriteCSV(r.Context(), w)
}
