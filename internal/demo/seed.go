package demo

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/message/inbox"
	"github.com/sallyport-mfa/sallyport/notice"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/signin"
)

// The company is older than what it remembers, and everybody who is not new
// came before the first of the days that the events tell of.
const (
	founded = 40 // days ago
	joined  = 31
	days    = 30
)

// seed makes the company and plays everybody's past through the services, on
// clocks that begin a month ago, so that nothing in the demo could not have come
// about. The store is one without notices: nobody is told today of what happened
// then, and what was sent then is gone.
func (d *Demo) seed(ctx context.Context) error {
	morning := time.Now().Truncate(time.Second)
	morning = time.Date(morning.Year(), morning.Month(), morning.Day(), 0, 0, 0, 0, morning.Location())
	past := func(p person) *life { return newLife(d, p, morning) }
	if err := past(person{login: companySlug}).found(ctx); err != nil {
		return err
	}
	setup, begins, err := setupOf(d.c.Setup)
	if err != nil {
		return err
	}
	var lives []*life
	for _, p := range people {
		// Whose way the set-up does not offer is not of that company.
		if begins.Offers(cmp.Or(p.way, authn.TOTP)) {
			lives = append(lives, past(p))
		}
	}
	// A password hash takes 31 ms of a processor; all else waits for the disk, and
	// shares its commits the better the more there are at a time.
	err = parallel(runtime.GOMAXPROCS(0), len(lives), func(i int) error { return lives[i].join(ctx) })
	if err != nil {
		return err
	}
	err = parallel(len(lives), len(lives), func(i int) error {
		if lives[i].p.story == nil {
			return nil
		}
		if err := lives[i].p.story(lives[i], ctx); err != nil {
			return fmt.Errorf("%s: %w", lives[i].p.login, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	// What nobody waited for was sent long ago, too.
	lives[0].now = time.Now()
	if _, err = lives[0].post.Drain(ctx); err != nil || setup == nil {
		return err
	}
	return setup(past(person{login: companySlug}), ctx, begins)
}

// parallel runs f for 0 to n-1 by so many workers.
func parallel(workers, n int, f func(int) error) error {
	work := make(chan int)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range work {
				errs[i] = f(i)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
	return errors.Join(errs...)
}

// life is the past of one person: the services, with a clock and a mailbox of
// the person's own. The first error ends it; the steps after it do nothing.
type life struct {
	*Demo
	p       person
	u       authn.User
	morning time.Time // of today
	now     time.Time
	client  authn.Client
	mail    inbox.Inbox
	session authn.Token
	app     string   // id of the authenticator app
	codes   []string // backup codes that are left

	post    *notice.Service
	people  *directory.Service
	signIn  *signin.Service
	account *enroll.Service
	budgets *provider.Service
	err     error
}

// sure is the password method without its hash, which would take 31 ms at each
// of the sign-ins of the past.
type sure struct{ enroll.Passwords }

func (sure) Verify(_ context.Context, _ authn.Request, a authn.Answer) (authn.Match, error) {
	if a.Password == Password {
		return authn.Match{Outcome: authn.Right}, nil
	}
	return authn.Match{Outcome: authn.Wrong}, nil
}

// agents are what people use; each has a usual one.
var agents = []string{"Firefox on Linux", "Chrome on Windows", "Edge on Windows", "Safari on macOS", "Chrome on Android", "Safari on iPhone"}

func newLife(d *Demo, p person, morning time.Time) *life {
	l := &life{Demo: d, p: p, morning: morning}
	l.at(joined, 8)
	l.browser(0)
	clock := func() time.Time { return l.now }
	l.mail.Now = clock
	var errs [6]error
	pretend, err := d.duoMethod(clock)
	methods := d.methods(pretend)
	for i, m := range methods {
		if m.Kind() == authn.Password {
			methods[i] = sure{d.c.Passwords}
		}
	}
	codes := d.codeMaker()
	if p.early {
		codes = nil
	}
	errs[0] = err
	l.post, errs[1] = notice.New(notice.Config{Outbox: d.store, Senders: map[authn.Kind]authn.Sender{authn.Email: &l.mail, authn.SMS: &l.mail}, PublicURL: d.URL(),
		Code: d.c.Digits, Now: clock})
	l.budgets, errs[2] = provider.New(provider.Config{Store: d.store, Texts: texts(), Text: &l.mail, Duo: pretend, Now: clock, Render: l.post.Render})
	kinds := map[authn.Kind]authn.Method{}
	for _, m := range methods {
		kinds[m.Kind()] = m
	}
	l.people, errs[3] = directory.New(directory.Config{Store: d.store, Passwords: d.c.Passwords, Now: clock,
		Traits: func(c authn.Company) func(authn.Kind) (authn.Traits, bool) { return authn.TraitsFor(kinds, c) }})
	l.signIn, errs[4] = signin.New(signin.Config{Store: d.store, Methods: methods, Passwords: sure{d.c.Passwords}, Deliver: l.post, Texts: l.budgets,
		Settings: l.budgets.Settings, Now: clock})
	l.account, errs[5] = enroll.New(enroll.Config{Store: d.store, Methods: methods, Passwords: sure{d.c.Passwords}, Codes: codes, Deliver: l.post, Texts: l.budgets,
		Settings: l.budgets.Settings, Now: clock})
	l.err = errors.Join(errs[:]...)
	return l
}

// at moves the clock to a time of a day: so many days ago, at that hour and some
// minutes that are the person's own.
func (l *life) at(ago, hour int) {
	l.now = l.morning.AddDate(0, 0, -ago).Add(time.Duration(hour)*time.Hour + time.Duration(l.chance("minute", ago)%50)*time.Minute)
}

// later moves the clock by some seconds, as people need them.
func (l *life) later(s int) { l.now = l.now.Add(time.Duration(s) * time.Second) }

// chance is a number of 0 to 99 that is the same in every demo.
func (l *life) chance(what string, day int) int {
	n := uint32(2166136261) // FNV-1a
	for _, b := range []byte(fmt.Sprint(l.p.login, what, day)) {
		n = (n ^ uint32(b)) * 16777619
	}
	return int((n ^ n>>15) % 100)
}

// browser lets the person sit down at their n-th browser.
func (l *life) browser(n int) {
	i := l.chance("browser", n)
	l.client = authn.Client{Agent: agents[i%len(agents)], Locale: "en", Browser: authn.NewID("browser", l.now, rand.Reader),
		Address: netip.AddrFrom4([4]byte{203, 0, 113, byte(i + 1)})}
}

// do is one step, unless something failed before.
func (l *life) do(f func() error) {
	if l.err == nil {
		l.err = f()
	}
}

// found makes the company.
func (l *life) found(ctx context.Context) error {
	l.at(founded, 9)
	l.do(func() (err error) { l.company, err = l.people.CreateCompany(ctx, companySlug, companyName); return err })
	l.later(90)
	l.do(func() error {
		doc := policy.Document{Format: 1, TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience}, SMSFallback: true, TrustDays: 30}
		_, err := l.people.SavePolicy(ctx, directory.TheOperator(l.company.ID), directory.PolicyChange{Document: doc, From: l.company.PolicyVersion})
		return err
	})
	l.later(240)
	l.do(func() error { return l.bringDuo(ctx) })
	l.later(300)
	l.do(func() error {
		_, err := l.people.SaveRole(ctx, directory.TheOperator(l.company.ID), directory.RoleChange{Name: botRole, Title: "Deployments",
			Permissions: []string{string(directory.UsersRead), string(directory.AuditRead)}})
		return err
	})
	l.do(func() (err error) { l.company, err = l.people.Company(ctx, companySlug); return err })
	return l.err
}

// bringDuo is what an owner's page saves.
func (l *life) bringDuo(ctx context.Context) error {
	doc := l.duo.Settings()
	ev := l.event("provider.changed", authn.Succeeded, map[string]string{"channel": string(authn.Duo)})
	ev.Actor, ev.Target = directory.Operator, ""
	p := authn.Provider{Company: l.company.ID, Channel: authn.Duo, Version: 1, Settings: doc, UpdatedAt: l.now, UpdatedBy: directory.Operator}
	return l.store.Decide(ctx, authn.Keys{Company: l.company.ID, Now: l.now}, func(*authn.Rows) authn.Verdict {
		return authn.Accept(ev, authn.SetProvider{Provider: p, Provides: true})
	})
}

// join takes the person in: by the operator, or by a link that they have not
// used yet.
func (l *life) join(ctx context.Context) error {
	if l.p.invited {
		l.at(2, 10)
		l.do(func() error { _, err := l.people.Invite(ctx, l.company, l.p.user(), true); return err })
		return l.err
	}
	l.do(func() (err error) { l.u, err = l.people.CreateUser(ctx, l.company, l.p.user()); return err })
	return l.err
}

// begin gives the password.
func (l *life) begin(ctx context.Context, password string) (signin.Status, error) {
	return l.signIn.Begin(ctx, signin.Begin{Company: companySlug, Login: l.p.login, Password: password, Client: l.client})
}

// mailed is the code that was sent last.
func (l *life) mailed() string {
	list := l.mail.Messages()
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Code != "" {
			return list[i].Code
		}
	}
	return ""
}

// prove answers an attempt with a way that it offers.
func (l *life) prove(ctx context.Context, st signin.Status, way authn.Kind) (signin.Status, error) {
	o := signin.OpenerOf(st.Token, l.client)
	answer := authn.Answer{}
	switch way {
	case authn.Email, authn.SMS:
		l.later(2)
		if _, _, err := l.signIn.Challenge(ctx, o, way, ""); err != nil {
			return st, err
		}
		l.later(20)
		answer.Code = l.mailed()
	case authn.BackupCode:
		answer.Code, l.codes = l.codes[0], l.codes[1:]
	case authn.Duo:
		answer.Code = l.passcode()
	}
	l.later(9)
	if way == authn.TOTP {
		answer.Code = l.shown()
	}
	next, err := l.signIn.Verify(ctx, o, signin.Verify{Method: way, Answer: answer})
	next.Token = st.Token
	return next, err
}

// shown is what the person's authenticator app shows.
func (l *life) shown() string {
	code, _ := codeAt(l.store.seen.of(l.app), l.now)
	return code
}

// passcode is one that the person's Duo app shows.
func (l *life) passcode() string {
	if u := l.duoUser(l.p.login); u != nil {
		return u.Passcodes[0]
	}
	return ""
}

// comes is a whole sign-in, with setting up a way of their own for those who have to.
func (l *life) comes(ctx context.Context, way authn.Kind) {
	l.do(func() error {
		st, err := l.begin(ctx, Password)
		if err == nil {
			st, err = l.prove(ctx, st, way)
		}
		if err != nil {
			return err
		}
		if st.Need.State == authn.NeedEnrolment {
			token := st.Token
			changed, err := l.setUp(ctx, enroll.Who{Token: token, Client: l.client}, cmp.Or(l.p.way, authn.TOTP), "")
			if err != nil {
				return err
			}
			l.codes = changed.Codes
			l.later(30)
			if st, err = l.signIn.Complete(ctx, signin.OpenerOf(token, l.client)); err != nil {
				return err
			}
		}
		if st.Need.State != authn.Complete {
			return fmt.Errorf("the sign-in stops at %s", st.Need.State)
		}
		l.session = st.SessionToken
		return nil
	})
}

func (l *life) who() enroll.Who { return enroll.Who{Token: l.session, Client: l.client} }

// setUp adds a way.
func (l *life) setUp(ctx context.Context, w enroll.Who, way authn.Kind, replaces string) (enroll.Changed, error) {
	l.later(15)
	var p enroll.Pending
	var err error
	if way == authn.SMS {
		p, err = l.account.BeginPhone(ctx, w, replaces, l.p.number, "")
	} else {
		p, err = l.account.Begin(ctx, w, way, replaces)
	}
	if err != nil {
		return enroll.Changed{}, err
	}
	l.later(40)
	code := l.mailed()
	switch way {
	case authn.TOTP:
		l.app = p.Factor.ID
		code = l.shown()
	case authn.Duo:
		code = l.passcode()
	}
	return l.account.Confirm(ctx, w, p.Factor.ID, 0, authn.Answer{Code: code})
}

// settle: the app gets its name, and the backup codes are written down.
func (l *life) settle(ctx context.Context) {
	l.later(25)
	if !l.p.early {
		l.do(func() error { return l.account.CodesSaved(ctx, l.who()) })
	}
	l.later(30)
	if l.app == "" {
		return
	}
	l.do(func() error { _, err := l.account.Rename(ctx, l.who(), l.app, l.p.phone); return err })
}

// adds is a way added in a session, for which those who have nothing of their
// own have one more code sent.
func (l *life) adds(ctx context.Context, way authn.Kind) {
	l.do(func() error {
		l.later(70)
		st, err := l.signIn.StepUp(ctx, l.session, "", "", l.client)
		if err == nil {
			st, err = l.prove(ctx, st, authn.Email)
		}
		if err != nil {
			return err
		}
		l.session = st.SessionToken
		changed, err := l.setUp(ctx, l.who(), way, "")
		l.session, l.codes = changed.Token, changed.Codes
		return err
	})
}

// routine writes down the days from so many days ago to so many, in one go: of a
// sign-in that is over and swept away, its events are all that is left.
func (l *life) routine(ctx context.Context, from, to int, way authn.Kind) {
	l.do(func() error {
		var all []authn.Event
		add := func(typ string, r authn.Result, known bool, detail map[string]string) {
			ev := l.event(typ, r, detail)
			if !known {
				ev.Actor = ""
			}
			all = append(all, ev)
		}
		price, err := l.budgets.Price(ctx, l.company.ID)
		if err != nil {
			return err
		}
		var spent authn.SpendBudget
		was, home := l.now, l.client
		for day := from; day >= to; day-- {
			l.at(day, 7+l.chance("hour", day)%10)
			weekend := l.now.Weekday() == time.Saturday || l.now.Weekday() == time.Sunday
			if c := l.chance("comes", day); c < 30 || weekend && c < 85 {
				continue
			}
			elsewhere := l.chance("elsewhere", day) < 5
			if elsewhere {
				l.browser(day)
			}
			if l.chance("password", day) < 9 {
				add("sign_in.refused", authn.Refused, false, map[string]string{"reason": "wrong_password"})
				l.later(14)
			}
			add("sign_in.begun", authn.Succeeded, true, nil)
			l.later(8)
			wrong := l.chance("code", day) < 6
			switch {
			case way == authn.Duo:
				l.pushes(add, wrong)
			case way.Sent():
				add("code.sent", authn.Succeeded, true, map[string]string{"method": string(way)})
				if way == authn.SMS {
					spent.Of = append(spent.Of, l.paid(price)...)
				}
				l.later(25)
			}
			if wrong && way != authn.Duo {
				add("factor.refused", authn.Refused, false, map[string]string{"method": string(way), "reason": "wrong_code", "tries": "1"})
				l.later(19)
			}
			add("session.started", authn.Succeeded, true, map[string]string{"method": string(way), "acr": l.acrOf(way)})
			if elsewhere {
				add("session.new_browser", authn.Succeeded, true, nil)
			}
			if l.chance("leaves", day) < 45 {
				l.later(600 + 60*l.chance("stays", day))
				add("session.ended", authn.Succeeded, true, nil)
			}
			l.client = home
		}
		l.now, l.client = was, home
		if len(all) == 0 {
			return nil
		}
		return l.write(ctx, []authn.Write{spent}, all...)
	})
}

// paid is what a text of this moment still counts against today.
func (l *life) paid(price func(authn.TextAsk) ([]authn.Spending, error)) []authn.Spending {
	of, err := price(authn.TextAsk{To: cmp.Or(l.p.number, l.p.contact), User: l.u.ID, Address: l.client.Address, Verified: true, Now: l.now})
	if err != nil {
		l.err = err
	}
	return slices.DeleteFunc(of, func(s authn.Spending) bool { return !s.Until.After(time.Now()) })
}

// pushes are those of a sign-in: the second, if the first was not answered.
func (l *life) pushes(add func(string, authn.Result, bool, map[string]string), twice bool) {
	asked := map[string]string{"method": string(authn.Duo), "way": "push"}
	add("factor.asked", authn.Succeeded, true, asked)
	l.later(11)
	if twice {
		l.later(49)
		add("factor.refused", authn.Refused, false, map[string]string{"method": string(authn.Duo), "reason": "timeout"})
		l.later(12)
		add("factor.asked", authn.Succeeded, true, asked)
		l.later(9)
	}
	add("factor.approved", authn.Succeeded, true, map[string]string{"method": string(authn.Duo)})
	l.later(2)
}

// acrOf is what a sign-in comes to: a code to a contact shows nothing that is held.
func (l *life) acrOf(way authn.Kind) string {
	if way == authn.Email || way == authn.SMS && l.p.contact != "" {
		return authn.AAL1
	}
	return authn.AAL2
}

// write commits events of the person, with what they tell of.
func (l *life) write(ctx context.Context, writes []authn.Write, events ...authn.Event) error {
	k := authn.Keys{Company: l.company.ID, User: l.u.ID, Now: l.now}
	return l.store.Decide(ctx, k, func(*authn.Rows) authn.Verdict {
		v := authn.Continue(writes...)
		for _, ev := range events {
			v = v.And(ev)
		}
		return v
	})
}

func (l *life) event(typ string, r authn.Result, detail map[string]string) authn.Event {
	return authn.Event{Company: l.company.ID, ID: authn.NewID(authn.EventID, l.now, rand.Reader), Type: typ, Actor: l.u.ID, Target: l.u.ID,
		Result: r, At: l.now, Personal: authn.Personal{Address: l.client.Address.String(), Agent: l.client.Agent, Detail: detail}}
}

// guess charges for so many wrong codes, at once, so that they share commits.
func (l *life) guess(ctx context.Context, browser string, times int) error {
	return parallel(times, times, func(int) error {
		k := authn.Keys{Company: l.company.ID, User: l.u.ID, Factor: l.app, Charge: authn.GuessFactor, Browser: browser, Now: l.now}
		return l.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
			if !rows.Charged.Paid {
				return authn.Drop(policy.Unpaid(rows.Charged, k.Now))
			}
			return authn.Continue(authn.Settle{Outcome: authn.Wrong})
		})
	})
}

// refused is the n-th wrong code in a row.
func (l *life) refused(n int) authn.Event {
	ev := l.event("factor.refused", authn.Refused, map[string]string{"method": string(authn.TOTP), "factor": l.app, "reason": "wrong_code", "tries": strconv.Itoa(n)})
	ev.Actor = "" // the password is not proof enough to say who it was
	return ev
}

// locked is the end of a lane's tries.
func (l *life) locked(lane authn.Lane) authn.Event {
	return l.event("factor.locked", authn.Refused, map[string]string{"factor": l.app, "lane": string(lane)})
}

// stranger is somebody else's browser.
func (l *life) stranger(n int) {
	l.client = authn.Client{Agent: "Chrome on Windows", Address: netip.AddrFrom4([4]byte{198, 51, 100, byte(n)})}
}

// newPassword: strangers gave the right password and wrong codes, so that it counts
// as known to them, and the operator gave a new one.
func (l *life) newPassword(ctx context.Context) {
	l.do(func() error { return l.write(ctx, nil, l.event("password.known_to_others", authn.Refused, nil)) })
	l.now = l.now.Add(40 * time.Minute)
	l.do(func() error { return l.people.SetPassword(ctx, l.company, l.u.ID, Password) })
}
