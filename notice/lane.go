package notice

import (
	"errors"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// lane is one provider as seen from here: two companies may share one or have
// their own, and one that does not answer rests without the others.
type lane struct {
	company string
	channel authn.Kind
	via     string
}

func laneOf(l authn.Letter) lane { return lane{l.Company.ID, l.Channel, l.Via} }

// laneState is how a lane does. It is of this process only: another node finds
// out by itself.
type laneState struct {
	busy  int
	fails int
	until time.Time // rests until then
}

const (
	firstRest   = 10 * time.Second
	longestRest = time.Minute
	crowded     = 2 * time.Second // until a lane that is full is looked at again
)

// enter asks to send on a lane; if not, wait says for how long.
func (s *Service) enter(ln lane, now time.Time) (wait time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.lanes[ln]
	if st == nil {
		st = &laneState{}
		s.lanes[ln] = st
	}
	// A rest that would last longer than any can was set by a clock that has
	// been put back since.
	if rest := st.until.Sub(now); rest > 0 && rest <= longestRest {
		return rest, false
	}
	if st.busy >= perLane {
		return crowded, false
	}
	st.busy++
	return 0, true
}

// leave ends what enter began.
func (s *Service) leave(ln lane, err error) {
	s.mu.Lock()
	if st := s.lanes[ln]; st != nil {
		st.busy--
	}
	s.mu.Unlock()
	s.heard(ln, err)
}

// heard notes how a lane did. One that works is forgotten, so that the map
// holds only what is wrong or under way.
func (s *Service) heard(ln lane, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.lanes[ln]
	switch {
	case down(err):
		if st == nil {
			st = &laneState{}
			s.lanes[ln] = st
		}
		now := s.c.Now()
		if st.until.After(now) {
			return // the others of the same moment say nothing new
		}
		st.fails++
		st.until = now.Add(min(firstRest<<min(st.fails-1, 4), longestRest))
	case st == nil:
	default:
		var se *authn.SendError
		if err == nil || errors.As(err, &se) { // it answered, if only to refuse this message
			st.fails, st.until = 0, time.Time{}
		}
		if st.busy == 0 && st.fails == 0 {
			delete(s.lanes, ln)
		}
	}
}
