package text

import (
	"fmt"
	"time"
)

// Times are written in the location that they carry: callers give t.In(zone of
// the reader).

// Date is "12 Jan 2026".
func (c *Catalogue) Date(lang string, t time.Time) string {
	return c.Text(lang, "date.day", map[string]any{
		"Day":   fmt.Sprint(t.Day()),
		"Month": c.Text(lang, fmt.Sprintf("date.month.%02d", int(t.Month())), nil),
		"Year":  fmt.Sprint(t.Year()), // as text: a year has no thousands separator
	})
}

// Time is "09:14".
func (c *Catalogue) Time(_ string, t time.Time) string { return t.Format("15:04") }

// When is "today at 09:14", "yesterday at 09:14", "tomorrow at 09:14" or
// "12 Jan 2026 at 09:14", seen from now, in the location of t.
func (c *Catalogue) When(lang string, t, now time.Time) string {
	args := map[string]any{"Time": c.Time(lang, t)}
	switch daysBetween(now.In(t.Location()), t) {
	case 0:
		return c.Text(lang, "date.today_at", args)
	case -1:
		return c.Text(lang, "date.yesterday_at", args)
	case 1:
		return c.Text(lang, "date.tomorrow_at", args)
	}
	args["Date"] = c.Date(lang, t)
	return c.Text(lang, "date.day_at", args)
}

// Ago is "just now" or "5 minutes ago" within the hour, and [Catalogue.When]
// beyond it.
func (c *Catalogue) Ago(lang string, t, now time.Time) string {
	switch d := now.Sub(t); {
	case d < 0 || d >= time.Hour:
		return c.When(lang, t, now)
	case d < time.Minute:
		return c.Text(lang, "date.just_now", nil)
	default:
		return c.Text(lang, "date.minutes_ago", map[string]any{"Count": int(d.Minutes())})
	}
}

// daysBetween counts midnights. Noon of each day in UTC is compared, because
// days with a change of the clock do not have 24 hours.
func daysBetween(a, b time.Time) int {
	noon := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 12, 0, 0, 0, time.UTC) }
	return int(noon(b).Sub(noon(a)) / (24 * time.Hour))
}
