package sqlite

import (
	"sync"
	"time"
)

// space samples the free part of the disk at most once a second.
type space struct {
	dir string

	mu  sync.Mutex
	at  time.Time
	was bool
}

// lowPart: below 1/20 of the disk strangers' writes are refused (ruling 6).
const lowPart = 20

func (s *space) low(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.IsZero() || now.Sub(s.at) >= time.Second {
		s.at = now
		if free, total, err := diskSpace(s.dir); err == nil {
			s.was = free < total/lowPart
		}
	}
	return s.was
}
