package smtp

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Step is one stage of a test connection.
type Step struct {
	Stage  string // "connect", "encrypt", "sign_in", "accept", "content"
	OK     bool
	Took   time.Duration
	Detail Reason // why not; of a step that is OK, NotEncrypted, NotNeeded or empty
	Reply  string // the server's own words, at most 500 bytes; empty: none
}

// Probe tries the settings, stage by stage, on a connection of its own, and
// ends at the first that fails: connected, encrypted, signed in, accepted,
// content taken (S32). Without test.To it stops after signing in and sends
// nothing; otherwise it sends test. All of it takes Config.Timeout at most.
func (s *Sender) Probe(ctx context.Context, test authn.Message) []Step {
	ctx, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	l := &link{s: s}
	stages := l.opening()
	if test.To != "" {
		stages = append(stages, l.handing(test)...)
	}
	steps := s.walk(ctx, l, stages)
	switch last := steps[len(steps)-1]; {
	case last.OK:
		l.release()
		go l.quit() // ends within a second
	default:
		l.close()
	}
	return steps
}

// handing are the stages that send a letter.
func (l *link) handing(m authn.Message) []stage {
	e, err := l.s.compose(m)
	if err != nil {
		return []stage{{"accept", func(context.Context) error { return err }}}
	}
	return []stage{
		{"accept", func(ctx context.Context) error { return l.accept(ctx, e) }},
		{"content", func(ctx context.Context) error { return l.content(ctx, e) }},
	}
}

func (s *Sender) walk(ctx context.Context, l *link, stages []stage) (steps []Step) {
	for _, stage := range stages {
		began := s.c.Now()
		err := stage.do(ctx)
		step := Step{Stage: stage.name, OK: err == nil, Took: s.c.Now().Sub(began), Detail: l.remark(stage.name)}
		if err != nil {
			step.Detail = BadReply
			errors.As(err, &step.Detail)
		}
		if e := (*authn.SendError)(nil); errors.As(err, &e) {
			step.Reply = e.Reply
		}
		steps = append(steps, step)
		if err != nil {
			break
		}
	}
	return steps
}

// remark is what a step that went well should still say.
func (l *link) remark(stage string) Reason {
	switch {
	case stage == "encrypt" && !l.encrypted:
		return NotEncrypted
	case stage == "sign_in" && !l.signedIn:
		return NotNeeded
	}
	return ""
}
