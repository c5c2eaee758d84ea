package audit

import (
	"bytes"
	"context"
	"fmt"
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

// Report is what Verify found.
type Report struct {
	Events int64 // links that hold, before the first that does not
	Head   Head  // of those
	Broken Fault // the first fault; empty: none
	Seq    int64 // where it is
	ID     string

	Unsealed int64     // events that are not in the chain yet: nothing protects them
	Oldest   time.Time // of those
}

// Verify walks a company's chain and finds the first row that was altered, moved
// or taken out. known is a head from outside the database, such as from an
// export; without one (the zero Head) a database whose end was cut off together with its
// noted head looks like an earlier one.
func (s *Service) Verify(ctx context.Context, company string, known Head) (Report, error) {
	var r Report
	err := s.verify(ctx, company, known, &r)
	if err != nil {
		return r, fmt.Errorf("audit: verify: %w", err)
	}
	for after := ""; ; {
		list, err := s.c.Store.UnsealedEvents(ctx, company, after, pageSize)
		if err != nil {
			return r, fmt.Errorf("audit: verify: %w", err)
		}
		for _, e := range list {
			r.Unsealed++
			if after = e.ID; r.Oldest.IsZero() || e.At.Before(r.Oldest) {
				r.Oldest = e.At
			}
		}
		if len(list) < pageSize {
			return r, nil
		}
	}
}

func (s *Service) verify(ctx context.Context, company string, known Head, r *Report) error {
	// Read before the walk: the chain may grow meanwhile.
	seq, hash, err := s.c.Store.ChainHead(ctx, company)
	if err != nil {
		return err
	}
	for {
		list, err := s.c.Store.SealedEvents(ctx, company, r.Head.Seq, pageSize)
		if err != nil {
			return err
		}
		for _, e := range list {
			fault := r.check(e)
			if fault == "" && (e.Seq == known.Seq && !bytes.Equal(e.Hash, known.Hash) || e.Seq == seq && !bytes.Equal(e.Hash, hash)) {
				fault = OtherHead
			}
			if fault != "" {
				r.Broken, r.Seq, r.ID = fault, e.Seq, e.ID
				return nil
			}
			r.Events, r.Head = r.Events+1, Head{e.Seq, e.Hash}
		}
		if len(list) < pageSize {
			break
		}
	}
	if last := max(seq, known.Seq); r.Head.Seq < last {
		r.Broken, r.Seq = CutOff, r.Head.Seq+1
	}
	return nil
}

// check compares one link with the one before it.
func (r *Report) check(e authn.SealedEvent) Fault {
	switch {
	case e.Seq != r.Head.Seq+1:
		return Missing
	case !bytes.Equal(e.Prev, r.Head.Hash):
		return Moved
	case !bytes.Equal(e.Hash, Link(r.Head.Hash, e.Seq, e.Event, e.Commitment)):
		return Altered
	case e.Damaged:
		return Unreadable
	}
	return ""
}
