package web

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/report"
)

// chart is the data of the part "chart": an SVG whose sizes are attributes, since
// our policy allows no style in the page. Whoever does not see it has the same in
// its description, and in the table.
type chart struct {
	ID            string // of its title and pattern; two are on a page
	Class         string // "chart-wide" or "chart-narrow"
	Width, Height int
	Left, Right   int // of the plot
	Base          int // where zero is
	Title, Desc   string
	Grid          []gridLine
	Bars          []chartBar
	Labels        []chartLabel // of single bars
	Days          []chartLabel // under the axis
}

type gridLine struct {
	Y, TextY int
	Text     string
}

// chartBar is one bar. Failed ones are hatched and narrower: the colour is not all.
type chartBar struct {
	X, Y, Width, Height string
	Failed              bool
	Text                string
}

type chartLabel struct {
	X, Y   string
	Text   string
	Failed bool
}

// The lay-out of a chart, in units of its own.
const (
	chartHeight = 200
	chartTop    = 20
	chartBase   = 176
	chartLeft   = 44
)

// charts are the same days twice: for the width of a page, and for that of a phone,
// where letters of a picture that shrinks could not be read.
func (v *View) charts(s report.SignIns) []chart {
	return []chart{v.chart(s, "chart-wide", 720, 7), v.chart(s, "chart-narrow", 264, 10)}
}

func (v *View) chart(s report.SignIns, class string, width, every int) chart {
	c := chart{ID: class, Class: class, Width: width, Height: chartHeight, Left: chartLeft, Right: width, Base: chartBase,
		Title: v.T("admin.overview.chart.title", "Count", len(s.Days)), Desc: v.signInWords(s)}
	top, step := scale(s.Days)
	y := func(n int64) float64 { return chartBase - float64(n)/float64(top)*(chartBase-chartTop) }
	for n := int64(0); n <= top; n += step {
		at := int(math.Round(y(n)))
		c.Grid = append(c.Grid, gridLine{Y: at, TextY: at + 4, Text: digits(n)})
	}
	slot := float64(width-chartLeft) / float64(len(s.Days))
	most, worst := extremes(s.Days)
	bar := func(i int, n int64, from, part float64, failed bool, key string) {
		if n == 0 {
			return
		}
		x, h := chartLeft+slot*(float64(i)+from), math.Max(chartBase-y(n), 1)
		c.Bars = append(c.Bars, chartBar{X: tenth(x), Y: tenth(chartBase - h), Width: tenth(slot * part), Height: tenth(h), Failed: failed,
			Text: v.T(key, "Count", int(n), "Date", v.shortDay(s.Days[i].Date))})
		if i == most && !failed || i == worst && failed {
			c.Labels = append(c.Labels, chartLabel{X: tenth(clamp(x+slot*part/2, chartLeft+12, float64(width)-12)), Y: tenth(chartBase - h - 5), Text: digits(n), Failed: failed})
		}
	}
	for i, d := range s.Days {
		bar(i, d.SignedIn, .08, .52, false, "admin.overview.chart.day")
		bar(i, d.Failed, .62, .3, true, "admin.overview.chart.day_failed")
		if (len(s.Days)-1-i)%every == 0 {
			x := clamp(chartLeft+slot*(float64(i)+.5), chartLeft+18, float64(width)-20)
			c.Days = append(c.Days, chartLabel{X: tenth(x), Y: strconv.Itoa(chartBase + 18), Text: v.shortDay(d.Date)})
		}
	}
	return c
}

// signInWords says in a sentence or two what the chart shows.
func (v *View) signInWords(s report.SignIns) string {
	t := s.Total()
	if t.SignedIn+t.Failed == 0 {
		return v.T("admin.overview.chart.none")
	}
	most, worst := extremes(s.Days)
	words := []string{v.T("admin.overview.chart.desc", "SignedIn", digits(t.SignedIn), "Failed", digits(t.Failed))}
	if most >= 0 {
		words = append(words, v.T("admin.overview.chart.most", "N", digits(s.Days[most].SignedIn), "Date", v.shortDay(s.Days[most].Date)))
	}
	if worst >= 0 {
		words = append(words, v.T("admin.overview.chart.worst", "N", digits(s.Days[worst].Failed), "Date", v.shortDay(s.Days[worst].Date)))
	}
	return strings.Join(words, " ")
}

// shortDay is "3 Nov".
func (v *View) shortDay(t time.Time) string {
	return v.T("date.day_short", "Day", strconv.Itoa(t.Day()), "Month", v.T("date.month."+t.Format("01")))
}

// extremes are the days with the most sign-ins and the most failures; -1: none.
func extremes(days []report.Day) (most, worst int) {
	most, worst = -1, -1
	for i, d := range days {
		if d.SignedIn > 0 && (most < 0 || d.SignedIn > days[most].SignedIn) {
			most = i
		}
		if d.Failed > 0 && (worst < 0 || d.Failed > days[worst].Failed) {
			worst = i
		}
	}
	return most, worst
}

// scale is the top of the axis and the step of its lines: whole numbers that people
// count in, four to five lines over zero.
func scale(days []report.Day) (top, step int64) {
	var highest int64 = 1
	for _, d := range days {
		highest = max(highest, d.SignedIn, d.Failed)
	}
	step = 1
	for i := 0; step*5 < highest && step < math.MaxInt64/100; i++ {
		if i%3 == 1 { // 1, 2, 5, 10, 20, 50 …
			step = step / 2 * 5
		} else {
			step *= 2
		}
	}
	return (highest + step - 1) / step * step, step
}

func clamp(x, low, high float64) float64 { return math.Min(math.Max(x, low), high) }

func tenth(x float64) string { return strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64) }

// digits groups the digits of a long number in threes with narrow spaces, which
// mean the same in every language.
func digits(n int64) string {
	s := strconv.FormatInt(n, 10)
	if len(s) <= 4 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteString("\u202f")
		}
		b.WriteRune(r)
	}
	return b.String()
}

// rowBar is one line of a list of bars: a name, a length and what it stands for.
type rowBar struct {
	Label string
	N     string
	Share int // of a hundred, rounded; the length of the bar
	Width string
}

// rowBars are shares of a whole.
func (v *View) rowBars(labels []string, counts []int64, whole int64) []rowBar {
	var rows []rowBar
	for i, n := range counts {
		r := rowBar{Label: labels[i], N: digits(n)}
		if whole > 0 {
			r.Share = report.Share(n, whole)
			r.Width = tenth(float64(n) / float64(whole) * 100)
		}
		rows = append(rows, r)
	}
	return rows
}
