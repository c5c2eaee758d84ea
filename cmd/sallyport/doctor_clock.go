package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/store"
)

// Limits of ruling 16.
const (
	clockWarns = 5 * time.Second
	clockFails = 30 * time.Second
)

// stepLimit is the last step that an app may have used at now, with some more
// allowed. The data of a factor may name another period than the usual 30 s.
func stepLimit(now time.Time, more int64) store.StepLimit {
	return func(data []byte) int64 {
		var d struct{ Period int64 }
		if json.Unmarshal(data, &d) != nil || d.Period <= 0 {
			d.Period = 30
		}
		return now.Unix()/d.Period + more
	}
}

const runNTP = "set the clock (`timedatectl status`, `chronyc tracking`) and run NTP"

func checkClock(ctx context.Context, s *patient) []finding {
	var list []finding
	theirs, has, err := s.store.DatabaseTime(ctx)
	if err != nil {
		return []finding{fail("", "%s", complain(err).Message)}
	}
	if off := s.now().Sub(theirs); has && off.Abs() > clockWarns {
		weigh := warn
		if off.Abs() > clockFails {
			weigh = fail
		}
		list = append(list, weigh(runNTP+", here and on the database server", "the clock of this machine and the database's are %s apart", spell(off)))
	}
	latest, err := s.store.Clock(ctx)
	if err != nil {
		return []finding{fail("", "%s", complain(err).Message)}
	}
	now := s.now()
	ahead, err := s.store.StepsAfter(ctx, authn.TOTP, stepLimit(now, 2))
	if err != nil {
		return []finding{fail("", "%s", complain(err).Message)}
	}
	cure := runNTP + "; if the clock is right now and was ahead before: sallyport doctor --repair-clock"
	switch behind := latest.Sub(now); {
	case behind > clockFails:
		list = append(list, fail(cure, "the clock is %s behind what a server has seen here (%s): nobody can sign in", spell(behind), latest.Format(time.RFC3339)))
	case behind > clockWarns:
		list = append(list, warn(cure, "the clock is %s behind what a server has seen here", spell(behind)))
	}
	if ahead > 0 {
		list = append(list, warn(cure, "codes of %s are refused until it is the time again at which they were used last", count(int64(ahead), "app", "apps")))
	}
	switch {
	case len(list) > 0:
		return list
	case has:
		return []finding{ok("it agrees with the database's and with what was seen before")}
	case latest.IsZero():
		return []finding{ok("no server has run here yet, so there is nothing to compare it with")}
	}
	return []finding{ok("it is not behind what was seen before (%s ago)", spell(now.Sub(latest)))}
}

// repaired is what --repair-clock did.
type repaired struct {
	Now   time.Time  `json:"now"`
	Apps  int        `json:"apps"`
	Was   *time.Time `json:"clock_was,omitempty"`
	Clock bool       `json:"clock_lowered"`
}

// repairClock takes back what a clock that was ahead has left (ruling 16): never
// by itself, only on the operator's word.
func (p *program) repairClock(ctx context.Context, o *opened) error {
	now := time.Now()
	theirs, has, err := o.store.DatabaseTime(ctx)
	if err != nil {
		return err
	}
	if off := now.Sub(theirs); has && off.Abs() > clockWarns {
		return say(authn.Conflict, "the clock of this machine and the database's are %s apart; make them agree first, or the repair would write another wrong time", spell(off))
	}
	latest, err := o.store.Clock(ctx)
	if err != nil {
		return err
	}
	companies, err := o.store.Companies(ctx)
	if err != nil {
		return err
	}
	out := repaired{Now: now.UTC().Truncate(time.Second)}
	event := func(typ string, detail map[string]string) authn.Event {
		return authn.Event{Type: typ, Actor: directory.Operator, Result: authn.Succeeded, At: now, Personal: authn.Personal{Detail: detail}}
	}
	for _, c := range companies {
		n, err := o.store.RepairClock(ctx, c.ID, authn.TOTP, stepLimit(now, 1), now, event("factor.step_lowered", nil))
		if err != nil {
			return err
		}
		out.Apps += n
	}
	if latest.After(now) {
		was := latest.UTC()
		out.Clock, out.Was = true, &was
		if err := o.store.LowerClock(ctx, now, event("clock.lowered", map[string]string{"was": was.Format(time.RFC3339)})); err != nil {
			return err
		}
	}
	if out.Apps == 0 && !out.Clock {
		return p.show(out, "There is nothing to repair: no app and no server is ahead of %s.\n", out.Now.Format(time.RFC3339))
	}
	text := ""
	if out.Clock {
		text = "What servers had seen was " + latest.Format(time.RFC3339) + " and is now the present; a server that runs notices within a minute.\n"
	}
	return p.show(out, "%s again accepted, beginning with the next half minute.\n%s", count(int64(out.Apps), "app's codes are", "apps' codes are"), text)
}
