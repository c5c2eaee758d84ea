package audit

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// pageSize bounds what Walk and Verify hold in memory.
const pageSize = 200

// Head is the end of a company's chain.
type Head struct {
	Seq  int64
	Hash []byte
}

// String is "NUMBER:HASH", which ParseHead reads; "" before the first link.
func (h Head) String() string {
	if h.Seq == 0 {
		return ""
	}
	return strconv.FormatInt(h.Seq, 10) + ":" + hex.EncodeToString(h.Hash)
}

// ParseHead reads a Head as String writes it.
func ParseHead(s string) (Head, bool) {
	if s == "" {
		return Head{}, true
	}
	number, hash, _ := strings.Cut(s, ":")
	seq, err := strconv.ParseInt(number, 10, 64)
	sum, bad := hex.DecodeString(hash)
	if err != nil || bad != nil || seq < 1 || len(sum) != 32 {
		return Head{}, false
	}
	return Head{seq, sum}, true
}

// Walk calls f for every event of a company once: those in the chain in its
// order, then those that are not in it yet. Events that are written or sealed
// meanwhile are not missed and not repeated. It returns the last link that f
// was given.
func (s *Service) Walk(ctx context.Context, company string, f func(authn.SealedEvent) error) (Head, error) {
	var head Head
	var tail map[string]bool // given while they had no number
	// The second round is for what was sealed while the tail was read.
	for range 2 {
		for {
			list, err := s.c.Store.SealedEvents(ctx, company, head.Seq, pageSize)
			if err != nil {
				return head, fmt.Errorf("audit: walk: %w", err)
			}
			for _, e := range list {
				head = Head{e.Seq, e.Hash}
				if tail[e.ID] {
					continue
				}
				if err := f(e); err != nil {
					return head, err
				}
			}
			if len(list) < pageSize {
				break
			}
		}
		if tail != nil {
			break
		}
		var err error
		if tail, err = s.tail(ctx, company, f); err != nil {
			return head, err
		}
	}
	return head, nil
}

func (s *Service) tail(ctx context.Context, company string, f func(authn.SealedEvent) error) (map[string]bool, error) {
	seen := map[string]bool{}
	for after := ""; ; {
		list, err := s.c.Store.UnsealedEvents(ctx, company, after, pageSize)
		if err != nil {
			return seen, fmt.Errorf("audit: walk: %w", err)
		}
		for _, e := range list {
			seen[e.ID], after = true, e.ID
			if err := f(e); err != nil {
				return seen, err
			}
		}
		if len(list) < pageSize {
			return seen, nil
		}
	}
}

// Fault is what can be wrong with a link.
type Fault string

// The faults.
const (
	Missing    Fault = "missing"    // one or more rows were taken out before this one
	Moved      Fault = "moved"      // this row does not follow the one before it
	Altered    Fault = "altered"    // an open field of this row was changed
	Unreadable Fault = "unreadable" // what it says of a person was changed
	CutOff     Fault = "cut_off"    // rows at the end were taken away
	OtherHead  Fault = "other_head" // the chain is not the one that a head from outside belongs to
)

// Check says what is to be verified. The zero value is the whole chain.
type Check struct {
	// Known is a head from outside the database, such as from an export; without one a
	// database whose end was cut off together with its noted head looks like an
	// earlier one.
	Known Head
	// From is a link that was verified before, to go on after.
	From Head
	// Most is how many links are walked; 0: all.
	Most int64
}

// Report is what Verify found.
type Report struct {
	Events int64 // links that hold, before the first that does not
	Head   Head  // of those
	More   bool  // Check.Most was reached: go on from Head
	Broken Fault // the first fault; empty: none
	Seq    int64 // where it is
	ID     string
	// Deleted is the last link that was deleted by the company's own rule, with an
	// event that says so; 0: none was.
	Deleted int64

	Unsealed int64     // events that are not in the chain yet: nothing protects them
	Oldest   time.Time // of those
}

// Verify walks a company's chain and finds the first row that was altered, moved
// or taken out.
func (s *Service) Verify(ctx context.Context, company string, c Check) (Report, error) {
	v := verifier{s: s, company: company, check: c}
	if err := v.run(ctx); err != nil {
		return v.r, fmt.Errorf("audit: verify: %w", err)
	}
	// With the end of the log its word on the beginning can be gone; then that is the fault.
	if v.bare && v.r.Broken != CutOff {
		v.r.Events, v.r.Head, v.r.More = 0, Head{}, false
		v.broken(Missing, v.anchor.Seq+1, "")
	}
	if err := v.tail(ctx); err != nil {
		return v.r, fmt.Errorf("audit: verify: %w", err)
	}
	return v.r, nil
}

type verifier struct {
	s       *Service
	company string
	check   Check
	noted   Head // the end, as the sealer noted it
	anchor  Head // the last deleted link
	pruned  Head // up to where the log says that it was, or is being, deleted
	bare    bool // the log does not say that anchor was deleted
	r       Report
}

func (v *verifier) broken(f Fault, seq int64, id string) {
	v.r.Broken, v.r.Seq, v.r.ID = f, seq, id
}

// begin finds where the walk begins; false: there is a fault before it.
func (v *verifier) begin(ctx context.Context) (bool, error) {
	// Read before the walk: the chain may grow meanwhile.
	var err error
	if v.noted.Seq, v.noted.Hash, err = v.s.c.Store.ChainHead(ctx, v.company); err != nil {
		return false, err
	}
	if err := v.anchored(ctx); err != nil {
		return false, err
	}
	from := v.check.From
	if from.Seq <= v.anchor.Seq {
		v.r.Head = v.anchor
		return true, nil
	}
	list, err := v.s.c.Store.SealedEvents(ctx, v.company, from.Seq-1, 1)
	switch {
	case err != nil:
		return false, err
	case len(list) == 0:
		v.broken(CutOff, from.Seq, "")
	case list[0].Seq != from.Seq:
		v.broken(Missing, list[0].Seq, list[0].ID)
	case !bytes.Equal(list[0].Hash, from.Hash):
		v.broken(OtherHead, from.Seq, list[0].ID)
	default:
		v.r.Head = from
		return true, nil
	}
	return false, nil
}

// anchored reads where the chain begins now, and whether the log says so.
func (v *verifier) anchored(ctx context.Context) error {
	k, err := v.s.c.Store.Keep(ctx, v.company)
	if err != nil {
		return err
	}
	if v.pruned, err = v.s.lastPruned(ctx, v.company); err != nil {
		return err
	}
	v.anchor = Head{k.Seq, k.Hash}
	v.r.Deleted = k.Seq
	v.bare = k.Seq > v.pruned.Seq || k.Seq > 0 && k.Seq == v.pruned.Seq && !bytes.Equal(k.Hash, v.pruned.Hash)
	return nil
}

func (v *verifier) run(ctx context.Context) error {
	if going, err := v.begin(ctx); err != nil || !going {
		return err
	}
	for {
		list, err := v.s.c.Store.SealedEvents(ctx, v.company, v.r.Head.Seq, pageSize)
		if err != nil {
			return err
		}
		for _, e := range list {
			if v.check.Most > 0 && v.r.Events >= v.check.Most {
				v.r.More = true
				return nil
			}
			if e.Seq > v.r.Head.Seq+1 { // perhaps deleted by the company's rule since the walk began
				if err := v.anchored(ctx); err != nil {
					return err
				}
				if v.anchor.Seq > v.r.Head.Seq {
					v.r.Head = v.anchor
				}
			}
			if fault := v.fault(e); fault != "" {
				v.broken(fault, e.Seq, e.ID)
				return nil
			}
			v.r.Events, v.r.Head = v.r.Events+1, Head{e.Seq, e.Hash}
		}
		if len(list) < pageSize {
			break
		}
	}
	if last := max(v.noted.Seq, v.check.Known.Seq); v.r.Head.Seq < last {
		v.broken(CutOff, v.r.Head.Seq+1, "")
	}
	return nil
}

// fault compares one link with the one before it, and with what is known of it.
func (v *verifier) fault(e authn.SealedEvent) Fault {
	before := v.r.Head
	switch {
	case e.Seq != before.Seq+1:
		return Missing
	case !bytes.Equal(e.Prev, before.Hash):
		return Moved
	case !bytes.Equal(e.Hash, Link(before.Hash, e.Seq, e.Event, e.Commitment)):
		return Altered
	case e.Damaged:
		return Unreadable
	}
	for _, h := range []Head{v.check.Known, v.noted, v.pruned} {
		if e.Seq == h.Seq && !bytes.Equal(e.Hash, h.Hash) {
			return OtherHead
		}
	}
	return ""
}

// tail counts what is not in the chain yet.
func (v *verifier) tail(ctx context.Context) error {
	for after := ""; ; {
		list, err := v.s.c.Store.UnsealedEvents(ctx, v.company, after, pageSize)
		if err != nil {
			return err
		}
		for _, e := range list {
			v.r.Unsealed++
			if after = e.ID; v.r.Oldest.IsZero() || e.At.Before(v.r.Oldest) {
				v.r.Oldest = e.At
			}
		}
		if len(list) < pageSize {
			return nil
		}
	}
}
