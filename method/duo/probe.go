package duo

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// TestStep is one step of a test of settings.
type TestStep struct {
	Stage string // "ping": the host and the clocks; "check": the keys
	OK    bool
	Took  time.Duration
	// Ahead is how far Duo's clock is ahead of ours, with a "ping" that went well.
	Ahead  time.Duration
	Code   int    // Duo's, such as 40103; 0: none
	Reply  string // Duo's own words, cleaned and bounded; may be empty
	Reason string // why not, as of Error.Reason; or WrongClock with a "ping" that went well
}

// clockWarns is from what difference a test says so. Requests still pass: the date
// line is corrected.
const clockWarns = 30 * time.Second

// Test asks Duo with settings that need not be saved, step by step, and ends at the
// first that fails. The error is Invalid with the fields that are not right;
// nothing was asked then.
func (m *Method) Test(ctx context.Context, s Settings) ([]TestStep, error) {
	if bad := s.Check(); bad != nil {
		return nil, &authn.Error{Code: authn.Invalid, Fields: bad}
	}
	c := &client{m, s}
	began := time.Now()
	ahead, err := c.ping(ctx)
	step := stepOf("ping", began, err)
	if step.OK {
		if step.Ahead = ahead; ahead.Abs() >= clockWarns {
			step.Reason = WrongClock
		}
	}
	steps := []TestStep{step}
	if err != nil {
		return steps, nil
	}
	began = time.Now()
	return append(steps, stepOf("check", began, c.check(ctx))), nil
}

func stepOf(stage string, began time.Time, err error) TestStep {
	s := TestStep{Stage: stage, OK: err == nil, Took: time.Since(began)}
	if e := (*Error)(nil); errors.As(err, &e) {
		s.Code, s.Reply, s.Reason = e.Code, e.Message, e.Reason()
	} else if err != nil {
		s.Reason = Other
	}
	return s
}

// Check names the fields of a company's settings that are not right; see
// authn.DuoService.
func (m *Method) Check(s authn.DuoSettings) []authn.Field { return Settings(s).Check() }

// Try is Test, in the words of every test of a provider: "connect" is the host and
// the clocks, "sign_in" the keys.
func (m *Method) Try(ctx context.Context, s authn.DuoSettings) ([]authn.MailStep, error) {
	steps, err := m.Test(ctx, Settings(s))
	var out []authn.MailStep
	for _, x := range steps {
		step := authn.MailStep{Stage: "connect", OK: x.OK, Took: x.Took, Ahead: x.Ahead, Reason: x.Reason, Reply: x.Reply}
		if x.Stage == "check" {
			step.Stage = "sign_in"
		}
		if x.Code != 0 {
			step.Code = strconv.Itoa(x.Code)
		}
		out = append(out, step)
	}
	return out, err
}
