// Package inbox keeps messages in memory instead of sending them: the demo shows
// them on a page, and tests read codes from them.
//
// It guards nothing. Whoever reads it reads codes that sign people in, so that it
// is only ever wired where everybody who can reach it may be anyone: in the demo,
// behind the rules of ruling 34, and in tests. The number of messages is bounded,
// so that a demo left running does not fill the memory.
package inbox

import (
	"context"
	"slices"
	"sync"
	"time"
	"unicode"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Most is how many messages are kept; an older one makes room.
const Most = 500

// Kept is a message that was "sent".
type Kept struct {
	authn.Message
	At   time.Time
	Code string // the first six digits standing alone in the text; empty: none
}

// Inbox is a sender for every channel, ready to use as its zero value. It is
// safe for concurrent use.
type Inbox struct {
	Now func() time.Time // nil: time.Now; not to be changed after the first Send

	mu   sync.Mutex
	list []Kept
}

var _ authn.Sender = (*Inbox)(nil)

// Send keeps a message. It fails only if ctx has ended, as a provider's would.
func (b *Inbox) Send(ctx context.Context, m authn.Message) error {
	if err := ctx.Err(); err != nil {
		return &authn.SendError{Stage: "connect", Err: err}
	}
	now := time.Now
	if b.Now != nil {
		now = b.Now
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.list) >= Most {
		b.list = slices.Delete(b.list, 0, len(b.list)-Most+1)
	}
	b.list = append(b.list, Kept{Message: m, At: now(), Code: code(m.Text)})
	return nil
}

// Messages gives what is kept, oldest first.
func (b *Inbox) Messages() []Kept {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.list)
}

// code finds six ASCII digits that are no part of something longer: a word, a
// number, a link, a date.
func code(text string) string {
	r := []rune(text)
	for from := 0; from < len(r); from++ {
		to := from
		for to < len(r) && r[to] >= '0' && r[to] <= '9' {
			to++
		}
		if to-from == 6 && !joins(r, from-1, from-2) && !joins(r, to, to+1) {
			return string(r[from:to])
		}
		from = max(from, to-1)
	}
	return ""
}

// joins reports whether the rune at i ties a number to the one beyond it. A full
// stop or a comma does so only before another digit.
func joins(r []rune, i, beyond int) bool {
	if i < 0 || i >= len(r) {
		return false
	}
	switch r[i] {
	case '-', '_', '/', '=', '+', '@', '#', '&', '%':
		return true
	case '.', ',', ':':
		return beyond >= 0 && beyond < len(r) && unicode.IsDigit(r[beyond])
	}
	// Scripts without case write no spaces around numbers, some of them none at all.
	return unicode.IsLetter(r[i]) && !unicode.Is(unicode.Lo, r[i]) || unicode.IsDigit(r[i])
}
