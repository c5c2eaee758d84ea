package sallyporttest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// model is what the store must have, in the simplest form.
type model struct {
	people []*modelPerson
}

type modelPerson struct {
	*person
	tries    map[authn.Lane]int
	paused   map[authn.Lane]time.Time
	step     int64
	password map[authn.Lane]authn.Count
	browsers map[string]bool
	sessions map[string]authn.Token
	version  int64
	attempt  authn.Token
	current  authn.Attempt
}

// runModel plays random lists of commands on the store and on the model. The
// seed is in the log; SALLYPORT_TEST_SEED plays one list again.
func runModel(t *testing.T, open opener) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SALLYPORT_TEST_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Run(fmt.Sprintf("inv-A inv-B seed %d", seed), func(t *testing.T) {
		w := newWorld(t, open)
		r := rand.New(rand.NewPCG(seed, 0))
		m := &model{}
		beta := w.newCompany("beta")
		for i, c := range []authn.Company{w.company, w.company, beta} {
			p := w.newPerson(c, fmt.Sprintf("user%d", i))
			mp := &modelPerson{person: p, tries: map[authn.Lane]int{}, paused: map[authn.Lane]time.Time{},
				password: map[authn.Lane]authn.Count{}, browsers: map[string]bool{}, sessions: map[string]authn.Token{}}
			mp.renew()
			m.people = append(m.people, mp)
		}
		steps := 1500
		if testing.Short() {
			steps = 300
		}
		commands := []func(*world, *modelPerson, *rand.Rand) string{
			(*world).playGuess, (*world).playGuess, (*world).playGuess, (*world).playGuess, (*world).playPassword, (*world).playPassword,
			(*world).playBrowser, (*world).playSession, (*world).playEnd, (*world).playAttempt, (*world).playEnrol,
		}
		for i := range steps {
			w.now = w.now.Add(time.Duration(r.IntN(20)) * time.Second)
			p := m.people[r.IntN(len(m.people))]
			if what := commands[r.IntN(len(commands))](w, p, r); what != "" {
				t.Fatalf("command %d, %s: %s", i, p.login, what)
			}
			if what := w.compare(p); what != "" {
				t.Fatalf("after command %d, %s: %s", i, p.login, what)
			}
		}
	})
}

func (p *modelPerson) renew() {
	p.current, p.attempt = p.newAttempt("")
	p.version = 1
}

// browser is one of four cookies, or none; and the lane it must lead to.
func (p *modelPerson) browser(r *rand.Rand) (string, authn.Lane) {
	if r.IntN(3) == 0 {
		return "", authn.Stranger
	}
	b := fmt.Sprintf("b%d", r.IntN(4))
	if p.browsers[b] {
		return b, authn.Known
	}
	return b, authn.Stranger
}

func share(l authn.Lane) int {
	if l == authn.Known {
		return authn.ShareKnown
	}
	return authn.ShareStranger
}

// playGuess tries a code: wrong, right with a new step, or right but used.
func (w *world) playGuess(p *modelPerson, r *rand.Rand) string {
	browser, lane := p.browser(r)
	k := p.keys()
	k.Factor, k.Charge, k.Browser = p.app, authn.GuessFactor, browser
	outcome := []authn.Outcome{authn.Wrong, authn.Wrong, authn.Wrong, authn.Right, authn.Void}[r.IntN(5)]
	var until time.Time
	if outcome == authn.Wrong && p.tries[lane]+1 >= 10 {
		until = w.now.Add(time.Duration(r.IntN(60)) * time.Second)
	}
	step := p.step + 1 + r.Int64N(3)
	c, err := w.guess(k, outcome, until, step)
	wantPaid := !p.paused[lane].After(w.now) && p.tries[lane] < share(lane)
	if c.Paid != wantPaid || c.Locked != (!wantPaid && p.tries[lane] >= share(lane)) {
		return fmt.Sprintf("charged %+v; the model has %d tries, paused until %v at %v", c, p.tries[lane], p.paused[lane], w.now)
	}
	if !c.Paid {
		return ""
	}
	if string(c.Secret) != p.secret || c.Count.Tries != p.tries[lane]+1 {
		return fmt.Sprintf("charged %+v", c)
	}
	switch outcome {
	case authn.Wrong:
		p.tries[lane]++
		if !until.IsZero() {
			p.paused[lane] = until
		}
	case authn.Void:
		p.paused[lane] = until
	case authn.Right:
		if err != nil {
			return err.Error()
		}
		p.tries[lane], p.paused[lane], p.step = 0, time.Time{}, step
		if _, err := w.guess(k, authn.Right, time.Time{}, step); !errors.Is(err, authn.Internal) {
			return fmt.Sprintf("a step is accepted twice: %v", err)
		}
		p.tries[lane] = 1 // of the second time
	}
	return ""
}

func (w *world) playPassword(p *modelPerson, r *rand.Rand) string {
	browser, lane := p.browser(r)
	k := authn.Keys{Company: p.company, Login: p.login, Charge: authn.GuessPassword, Browser: browser}
	outcome := []authn.Outcome{authn.Wrong, authn.Wrong, authn.Right, authn.Void}[r.IntN(4)]
	var until time.Time
	if outcome == authn.Wrong && r.IntN(4) == 0 {
		until = w.now.Add(time.Duration(r.IntN(40)) * time.Second)
	}
	c, _ := w.guess(k, outcome, until, 0)
	have := p.password[lane]
	if c.Paid != !have.PausedUntil.After(w.now) {
		return fmt.Sprintf("charged %+v; the model has %+v at %v", c, have, w.now)
	}
	if !c.Paid {
		return ""
	}
	if string(c.Secret) != p.hash || c.Count.Tries != have.Tries+1 {
		return fmt.Sprintf("charged %+v; the model has %+v", c, have)
	}
	switch outcome {
	case authn.Wrong:
		have.Tries++
		if !until.IsZero() {
			have.PausedUntil = until
		}
	case authn.Void:
		have.PausedUntil = until
	case authn.Right:
		have = authn.Count{}
	}
	p.password[lane] = have
	return ""
}

func (w *world) playBrowser(p *modelPerson, r *rand.Rand) string {
	b := fmt.Sprintf("b%d", r.IntN(4))
	k := p.keys()
	k.Browser = b
	if err := w.write(k, authn.KnowBrowser{}); err != nil {
		return err.Error()
	}
	p.browsers[b] = true
	return ""
}

func (w *world) playSession(p *modelPerson, _ *rand.Rand) string {
	se, token := p.newSession()
	p.sessions[se.ID] = token
	return ""
}

func (w *world) playEnd(p *modelPerson, r *rand.Rand) string {
	for id, token := range p.sessions {
		k := authn.Keys{Company: p.company, SessionToken: token}
		if r.IntN(3) == 0 {
			if err := w.write(k, authn.EndSessions{Except: id}); err != nil {
				return err.Error()
			}
			p.sessions = map[string]authn.Token{id: token}
			return ""
		}
		if err := w.write(k, authn.EndSession{ID: id}); err != nil {
			return err.Error()
		}
		delete(p.sessions, id)
		return ""
	}
	return ""
}

func (w *world) playAttempt(p *modelPerson, r *rand.Rand) string {
	if r.IntN(10) == 0 {
		p.renew()
		return ""
	}
	a := p.current
	a.Version = p.version + r.Int64N(3)
	err := w.write(authn.Keys{Company: p.company, AttemptToken: p.attempt}, authn.PutAttempt{Attempt: a})
	if ok := a.Version == p.version+1; ok != (err == nil) || !ok && !errors.Is(err, authn.Conflict) {
		return fmt.Sprintf("to version %d from %d: %v", a.Version, p.version, err)
	}
	if err == nil {
		p.version = a.Version
	}
	return ""
}

func (w *world) playEnrol(p *modelPerson, r *rand.Rand) string {
	f := p.begin(authn.TOTP, fmt.Sprintf("seed %d", r.Int()))
	if r.IntN(4) > 0 {
		return ""
	}
	if err := w.write(p.keys(), authn.ActivateFactor{ID: f.ID, At: w.now, Step: p.step}); err != nil {
		return err.Error()
	}
	secret, err := w.Store.PendingSecret(w.ctx, authn.Keys{Company: p.company, User: p.id, Factor: f.ID, Now: w.now})
	if !errors.Is(err, authn.NotFound) || secret != nil {
		return "the secret of an active factor was shown"
	}
	k := p.keys()
	k.Factor, k.Charge = f.ID, authn.GuessFactor
	c, _ := w.guess(k, authn.Void, time.Time{}, 0)
	p.app, p.secret = f.ID, string(c.Secret)
	p.tries, p.paused = map[authn.Lane]int{}, map[authn.Lane]time.Time{}
	return ""
}

// compare looks at the person as the store has them.
func (w *world) compare(p *modelPerson) string {
	rows := w.view(p.keys())
	f := rows.FactorOf(authn.TOTP, authn.Confirmed)
	if f == nil || f.ID != p.app || f.LastStep != p.step {
		return fmt.Sprintf("factor %+v, want %s at step %d", f, p.app, p.step)
	}
	for _, lane := range []authn.Lane{authn.Stranger, authn.Known} {
		if c := f.Counts[lane]; c.Tries != p.tries[lane] || !c.PausedUntil.Equal(p.paused[lane]) {
			return fmt.Sprintf("%s: %+v, want %d until %v", lane, c, p.tries[lane], p.paused[lane])
		}
	}
	list, err := w.Store.Sessions(w.ctx, p.company, p.id)
	if err != nil || len(list) != min(len(p.sessions), 200) {
		return fmt.Sprintf("%d sessions, want %d, %v", len(list), len(p.sessions), err)
	}
	for id, token := range p.sessions {
		if got := w.view(authn.Keys{Company: p.company, SessionToken: token}); got.Session == nil || got.Session.ID != id {
			return "session " + id + " is lost"
		}
		break
	}
	if got := w.view(authn.Keys{Company: p.company, AttemptToken: p.attempt}).Attempt; got == nil || got.Version != p.version {
		return fmt.Sprintf("attempt %+v, want version %d", got, p.version)
	}
	return ""
}
