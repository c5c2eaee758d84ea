package authn

import "time"

// CountQuery says which kept summaries of events are asked for.
type CountQuery struct {
	Types []string
	// From and Until bound the time, to the hour; Until itself is not in it.
	From, Until time.Time
	// Offset is how far the days are east of UTC; summaries are kept by the hour, so
	// that with a part of an hour a day begins up to an hour late.
	Offset time.Duration
}

// EventCount is how many events of one kind there were on one day.
type EventCount struct {
	Day    int64 // since 1970-01-01, where the query said
	Type   string
	Result Result
	// Detail is one of few words: the kind of proof or the channel; "other" for one
	// that is none of ours; of a session that began without a proof at that moment,
	// "aal1" or "aal2"; or nothing.
	Detail string
	N      int64
}
