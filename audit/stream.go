package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Streams.
const (
	streamLease = time.Minute
	sendTimeout = 30 * time.Second
	streamBatch = 200 // events
	// streamRun is how many batches one stream sends before the others have a turn.
	streamRun   = 25
	streamsOnce = 8 // at the same time
	pauseMost   = 5 * time.Minute
)

// Pause is how long a stream waits after so many failures in a row: 1 s, twice as
// long each time, 5 minutes at most.
func Pause(tries int) time.Duration {
	if tries >= 9 {
		return pauseMost
	}
	return time.Second << tries
}

// Deliver sends what streams have not sent yet, as far as their targets take it.
// It returns when every stream has had its turn; the errors are of storage.
func (s *Service) Deliver(ctx context.Context) error {
	if len(s.c.Streams) == 0 {
		return nil
	}
	due, err := s.c.Store.DueStreams(ctx, s.c.Now(), pageSize)
	if err != nil {
		return fmt.Errorf("audit: streams: %w", err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	turns := make(chan struct{}, streamsOnce)
	for _, st := range due {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			if err := s.deliver(ctx, st); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, fmt.Errorf("audit: stream %s of %s: %w", st.Channel, st.Company, err))
			}
		})
	}
	all.Wait()
	return errors.Join(failed...)
}

// deliver is the turn of one stream.
func (s *Service) deliver(ctx context.Context, st authn.Stream) error {
	sender := s.c.Streams[st.Channel]
	if sender == nil {
		return nil
	}
	p, err := s.c.Store.Provider(ctx, st.Company, st.Channel)
	if err != nil || p.Settings == nil {
		return err
	}
	var to authn.StreamSettings
	if json.Unmarshal(p.Settings, &to) != nil {
		return errors.New("the settings cannot be read")
	}
	for range streamRun {
		mine, err := s.c.Store.Acquire(ctx, "stream "+st.Company+" "+string(st.Channel), s.holder, s.c.Now(), streamLease)
		if err != nil || !mine {
			return err
		}
		list, err := s.c.Store.SealedEvents(ctx, st.Company, st.Seq, streamBatch)
		if err != nil || len(list) == 0 {
			return err
		}
		b, err := s.batch(st.Company, list)
		if err != nil {
			return err
		}
		if err := send(ctx, sender, to, b); err != nil {
			if ctx.Err() != nil {
				return nil // we are going, not the target
			}
			return s.c.Store.StreamFailed(ctx, st, s.c.Now().Add(Pause(st.Tries)), Failure(err))
		}
		moved, err := s.c.Store.StreamMoved(ctx, st, b.Last, s.c.Now())
		if err != nil || !moved {
			return err
		}
		st.Seq, st.Tries = b.Last, 0
	}
	return nil
}

func send(ctx context.Context, sender authn.StreamSender, to authn.StreamSettings, b authn.StreamBatch) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return sender.Send(ctx, to, b)
}

func (s *Service) batch(company string, list []authn.SealedEvent) (authn.StreamBatch, error) {
	b := authn.StreamBatch{Company: company, First: list[0].Seq, Last: list[len(list)-1].Seq}
	for _, e := range list {
		doc, err := json.Marshal(LineOf(e, s.c.Text(e.Event)))
		if err != nil {
			return b, err
		}
		b.Lines = append(b.Lines, authn.StreamLine{Type: e.Type, At: e.At, Result: e.Result, JSON: doc})
	}
	return b, nil
}

// Failure is stage and reason of what a sender said, as pages explain them.
func Failure(err error) string {
	var e *authn.SendError
	if !errors.As(err, &e) {
		return "other"
	}
	if e.Reason == "" {
		return e.Stage
	}
	return e.Stage + " " + e.Reason
}
