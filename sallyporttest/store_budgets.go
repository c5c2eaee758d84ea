package sallyporttest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/store"
)

// hour is a budget of an hour that began with the test.
func (w *world) hour(scope, subject string, most int) authn.Spending {
	return authn.Spending{Scope: scope, Subject: subject, From: w.now.Truncate(time.Hour), Until: w.now.Truncate(time.Hour).Add(time.Hour), Most: most}
}

func (w *world) spend(of ...authn.Spending) error {
	return w.write(authn.Keys{Company: w.company.ID}, authn.SpendBudget{Of: of})
}

func (w *world) note(of ...authn.Spending) {
	w.t.Helper()
	w.must(w.write(authn.Keys{Company: w.company.ID}, authn.NoteBudget{Of: of}))
}

// usedUp wants the refusal of a budget, and gives it.
func (w *world) usedUp(err error, scope string) *authn.BudgetError {
	w.t.Helper()
	var b *authn.BudgetError
	if !errors.Is(err, authn.TooManyRequests) || !errors.As(err, &b) || b.Scope != scope {
		w.t.Fatalf("got %v, want %s to be used up", err, scope)
	}
	e := authn.AsError(err)
	if e.Key != "error.message_budget" || e.RetryAfter != b.Until.Sub(w.now) {
		w.t.Errorf("%+v until %v", e, b.Until)
	}
	return b
}

func runBudgets(t *testing.T, open opener) {
	t.Run("inv-K of 1,000 at once exactly as many are paid for as there is room", testInvK(open))
	t.Run("inv-K a refused message leaves nothing behind", testNothingBehind(open))
	t.Run("rul-9 who is refused harms no other", func(t *testing.T) {
		w := newWorld(t, open)
		people := make([]*person, 60)
		for i := range people {
			people[i] = w.newUser(w.company, fmt.Sprintf("user%d", i))
		}
		full := w.hour("number", "+41790000000", 1)
		w.must(w.spend(full))
		together(len(people), func(i int) {
			of := []authn.Spending{w.hour("address", "192.0.2.7", 0)}
			if i%3 == 0 {
				of = append(of, full)
			}
			err := w.write(people[i].keys(), authn.SpendBudget{Of: of})
			w.want(err, []error{authn.TooManyRequests, nil, nil}[i%3])
		})
		if n := w.count("SELECT n FROM budgets WHERE scope = 'address'"); n != 40 {
			t.Errorf("%d paid for", n)
		}
		if log := w.Log.String(); strings.Contains(log, "a statement failed") || strings.Contains(log, "verdict not written") {
			t.Error("a refusal is no failure")
		}
	})
	t.Run("the edges of a budget", testBudgetEdges(open))
	t.Run("a guess stays paid for when the message is refused", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		full := w.hour("user", p.id, 1)
		w.must(w.spend(full))
		k := p.keys()
		k.Factor, k.Charge = p.app, authn.GuessFactor
		w.usedUp(w.write(k, authn.Settle{Outcome: authn.Right}, authn.SpendBudget{Of: []authn.Spending{full}}), "user")
		if n := w.count("SELECT tries_s FROM factors WHERE id = $1", p.app); n != 1 {
			t.Errorf("%d tries", n)
		}
	})
	t.Run("std-60 every company has budgets of its own, and hidden subjects cannot be read", func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		hidden := w.hour("number", "+41795550199", 1)
		hidden.Hidden = true
		again := hidden
		again.Scope = "number_day"
		open := w.hour("dial", "+999canary", 1)
		w.must(w.spend(hidden, again, open))
		w.must(w.write(authn.Keys{Company: beta.ID}, authn.SpendBudget{Of: []authn.Spending{hidden, again, open}}))
		if b := w.usedUp(w.spend(hidden), "number"); b.Subject != "" {
			t.Errorf("the error shows %q", b.Subject)
		}
		if b := w.usedUp(w.spend(open), "dial"); b.Subject != open.Subject {
			t.Errorf("%+v", b)
		}
		all := w.dump() + w.Log.String()
		for _, form := range []string{hidden.Subject, hidden.Subject[1:], hex.EncodeToString([]byte(hidden.Subject)), fmt.Sprint([]byte(hidden.Subject))} {
			if strings.Contains(all, form) {
				t.Errorf("%q can be read", form)
			}
		}
		if !strings.Contains(all, open.Subject) {
			t.Error("the dump does not see what is there")
		}
		if n := w.count("SELECT count(DISTINCT subject) FROM budgets WHERE scope <> 'dial'"); n != 4 {
			t.Errorf("the same number can be told in %d of 4 rows", 4-n)
		}
	})
	t.Run("security 5 while too few codes come back, none is sent", testWatch(open))
	t.Run("rul-13 what is noted has no limit, and good answers need what they answer", func(t *testing.T) {
		w := newWorld(t, open)
		b := w.hour("prefix", "+4179", 1)
		b.Good, b.Money = 2, 5
		w.note(b)
		if n := w.count("SELECT count(*) FROM budgets"); n != 0 {
			t.Fatal("good answers to nothing are counted")
		}
		b.Good = 0
		w.note(b, b, b)
		b.Good = 2
		w.note(b)
		list, err := w.Store.Budgets(w.ctx, w.company.ID, w.now)
		if err != nil || len(list) != 1 || list[0].N != 3 || list[0].Good != 2 || list[0].Money != 15 {
			t.Errorf("%+v %v", list, err)
		}
		w.usedUp(w.spend(b), "prefix")
	})
	t.Run("what is shown, and what is swept", testBudgetsShown(open))
	t.Run("inv-K a store that is opened again goes on counting", func(t *testing.T) {
		w := newWorld(t, open)
		b := w.hour("company_day", "", 2)
		b.Money = 65
		w.must(w.spend(b))
		w.must(w.Store.Close())
		again, err := w.Again(t, w.Keyring)
		w.must(err)
		w.Store = again
		w.must(w.spend(b))
		w.usedUp(w.spend(b), "company_day")
		if w.count("SELECT n FROM budgets") != 2 || w.count("SELECT money FROM budgets") != 130 {
			t.Error("not what was counted")
		}
	})
}

// sender is somebody whose sign-in waits for a text message.
type sender struct {
	*person
	phone string
	token authn.Token
}

func (w *world) newSender(login string) sender {
	w.t.Helper()
	s := sender{person: w.newUser(w.company, login)}
	s.phone, s.token = s.activate(authn.SMS, "+4179000"+login, 0), s.attemptIn(authn.Stranger)
	return s
}

// mailNode is one more store on the database, with an outbox.
func (w *world) mailNode() *store.Store {
	w.t.Helper()
	w.Notice = func(authn.Event) (authn.Template, bool) { return "", false }
	s, err := w.Again(w.t, w.Keyring)
	w.must(err)
	return s
}

// message is what sending one code writes besides its budgets.
func (s sender) message() []authn.Write {
	c := s.challenge(s.token.ID, s.phone)
	c.Kind = authn.SMS
	letter := authn.Letter{ID: s.w.id(authn.MessageID), Channel: authn.SMS, To: c.Destination, At: s.w.now, ExpiresAt: c.ExpiresAt}
	return []authn.Write{authn.NewChallenge{Challenge: c}, authn.NewLetter{Letter: letter, Challenge: c.ID}}
}

func testInvK(open opener) func(*testing.T) {
	const cost = 65
	cases := []struct {
		tight   string
		most    map[string]int
		money   int64 // of the month
		numbers int
		want    int
	}{
		{tight: "number", most: map[string]int{"number": 7, "dial": 50, "company_day": 100}, numbers: 1, want: 7},
		{tight: "number", most: map[string]int{"number": 7, "dial": 50, "company_day": 100}, numbers: 4, want: 28},
		{tight: "dial", most: map[string]int{"number": 100, "dial": 50, "company_day": 100}, numbers: 3, want: 50},
		{tight: "company_day", most: map[string]int{"number": 50, "dial": 0, "company_day": 100}, numbers: 7, want: 100},
		{tight: "company_month", most: map[string]int{"number": 7, "company_day": 100}, money: 50*cost + cost - 1, numbers: 12, want: 50},
	}
	return func(t *testing.T) {
		w := newWorld(t, open)
		nodes := []*store.Store{w.mailNode(), w.mailNode()}
		senders := make([]sender, 20)
		for i := range senders {
			senders[i] = w.newSender(fmt.Sprintf("user%d", i))
		}
		for n, c := range cases {
			w.now = epoch.Add(time.Duration(n) * time.Hour)
			for i := range senders {
				senders[i].token = senders[i].attemptIn(authn.Stranger)
			}
			var paid, refused, tight atomic.Int64
			together(1000, func(i int) {
				s := senders[i%len(senders)]
				number := w.hour("number", fmt.Sprintf("+4179%07d", i%c.numbers), c.most["number"])
				number.Hidden = true
				month := w.hour("company_month", "", 0)
				month.Money, month.MostMoney = cost, c.money
				of := []authn.Spending{number, w.hour("dial", "+41", c.most["dial"]), w.hour("address", fmt.Sprint(i%9), 0),
					w.hour("company_day", "", c.most["company_day"]), month}
				of = slices.Concat(of[i%len(of):], of[:i%len(of)]) // everybody in another order
				writes := append(s.message(), authn.SpendBudget{Of: of[:i%3]}, authn.SpendBudget{Of: of[i%3:]})
				err := nodes[i%2].Decide(w.ctx, authn.Keys{Company: w.company.ID, AttemptToken: s.token, Now: w.now, Sent: true}, func(*authn.Rows) authn.Verdict {
					return authn.Accept(event("code.sent", s.id), writes...)
				})
				var b *authn.BudgetError
				switch {
				case err == nil:
					paid.Add(1)
				case errors.As(err, &b) && errors.Is(err, authn.TooManyRequests):
					refused.Add(1)
					if b.Scope == c.tight {
						tight.Add(1)
					}
				default:
					t.Errorf("case %d: %v", n, err)
				}
			})
			if int(paid.Load()) != c.want || int(refused.Load()) != 1000-c.want || tight.Load() == 0 {
				t.Errorf("case %d: %d paid for and %d refused, want %d paid for", n, paid.Load(), refused.Load(), c.want)
			}
			for _, scope := range []string{"number", "dial", "address", "company_day", "company_month"} {
				if got := w.count("SELECT SUM(n) FROM budgets WHERE scope = $1 AND from_at = $2", scope, w.now.UnixMicro()); got != c.want {
					t.Errorf("case %d: %s is at %d, want %d", n, scope, got, c.want)
				}
			}
			if got := w.count("SELECT SUM(money) FROM budgets WHERE from_at = $1", w.now.UnixMicro()); got != c.want*cost {
				t.Errorf("case %d: %d spent, want %d", n, got, c.want*cost)
			}
			for _, from := range []string{"outbox", "challenges", "events WHERE type = 'code.sent'"} {
				if got := w.count("SELECT count(*) FROM " + from); got != c.want {
					t.Errorf("case %d: %d %s, want %d", n, got, from, c.want)
				}
				w.exec("DELETE FROM " + from)
			}
		}
		if log := w.Log.String(); strings.Contains(log, "40P01") || strings.Contains(log, "a statement failed") {
			t.Error("somebody waited in a circle, or a statement failed")
		}
	}
}

func testNothingBehind(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		w.Store = w.mailNode()
		s := w.newSender("maya")
		full, early, late := w.hour("dial", "+41", 1), w.hour("address", "192.0.2.7", 9), w.hour("zone", "z", 9)
		w.must(w.spend(full, early, late))
		before := w.dump()
		k := authn.Keys{Company: w.company.ID, AttemptToken: s.token, Now: w.now}
		a := *w.view(k).Attempt
		a.Version++
		for name, writes := range map[string][]authn.Write{
			"spent last":      append(s.message(), authn.PutAttempt{Attempt: a}, authn.SpendBudget{Of: []authn.Spending{late, full, early}}),
			"spent first":     append([]authn.Write{authn.SpendBudget{Of: []authn.Spending{early, late, full}}}, s.message()...),
			"spent in two":    append(s.message(), authn.SpendBudget{Of: []authn.Spending{early}}, authn.SpendBudget{Of: []authn.Spending{full}}),
			"noted beside it": append(s.message(), authn.NoteBudget{Of: []authn.Spending{early}}, authn.SpendBudget{Of: []authn.Spending{full}}),
		} {
			b := w.usedUp(w.write(k, writes...), "dial")
			if b.Watch || !b.Until.Equal(full.Until) {
				t.Errorf("%s: %+v", name, b)
			}
			if after := w.dump(); after != before {
				t.Errorf("%s: something stays:\n%s", name, after)
			}
		}
		// What cannot be written for another reason is not paid for either.
		w.want(w.write(k, authn.SpendBudget{Of: []authn.Spending{early}}, authn.EndSession{ID: "ses_none"}), authn.Conflict)
		if w.dump() != before {
			t.Error("paid for nothing")
		}
		w.must(w.write(k, append(s.message(), authn.SpendBudget{Of: []authn.Spending{early}})...))
		if w.count("SELECT count(*) FROM outbox") != 1 || w.count("SELECT count(*) FROM challenges") != 1 || w.count("SELECT n FROM budgets WHERE scope = 'address'") != 2 {
			t.Error("what is paid for is not sent")
		}
	}
}

func testBudgetEdges(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		costly := w.hour("company_month", "", 0)
		costly.Money, costly.MostMoney = 101, 100
		w.usedUp(w.spend(costly), "company_month")
		if n := w.count("SELECT count(*) FROM budgets"); n != 0 {
			t.Error("the first one may cost more than all may")
		}
		costly.Money = 50
		w.must(w.spend(costly, costly)) // exactly as much as may be
		costly.Money = 0
		w.must(w.spend(costly))
		costly.Money = 1
		w.usedUp(w.spend(costly), "company_month")
		one := w.hour("number", "+1", 1)
		w.must(w.spend(one))
		w.usedUp(w.spend(one), "number")
		other, next := one, one
		other.Subject = "+2"
		next.From, next.Until = one.Until, one.Until.Add(time.Hour)
		w.must(w.spend(other, next))
		one.Most = 3 // a limit that was raised
		w.must(w.spend(one))
		one.Most = 1 // and lowered
		w.usedUp(w.spend(one), "number")
		before := w.dump()
		for name, change := range map[string]func(*authn.Spending){
			"no scope": func(b *authn.Spending) { b.Scope = "" }, "no window": func(b *authn.Spending) { b.Until = b.From },
			"money back": func(b *authn.Spending) { b.Money = -1 }, "too much": func(b *authn.Spending) { b.Money = 1 << 50 },
			"fewer than none": func(b *authn.Spending) { b.Most = -1 }, "less than nothing": func(b *authn.Spending) { b.MostMoney = -1 },
			"bad answers": func(b *authn.Spending) { b.Good = -1 },
		} {
			b := w.hour("address", "a", 9)
			change(&b)
			if err := w.spend(b); !errors.Is(err, authn.Internal) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if w.dump() != before {
			t.Error("something was counted")
		}
		w.must(w.spend(w.hour("poison\x00\xff"+strings.Repeat("x", 300), "\x00\xff"+strings.Repeat("y", 3000), 1)))
	}
}

func testWatch(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		bucket := func(ago time.Duration, scope string) authn.Spending {
			from := w.now.Add(-ago)
			return authn.Spending{Scope: scope, Subject: "+4179", From: from, Until: from.Add(authn.ConversionBucket), Watch: true}
		}
		for name, c := range map[string]struct {
			sent, good int
			ago        time.Duration
			refused    bool
		}{
			"one in six":                 {50, 9, time.Hour, true},
			"none":                       {50, 0, 11 * time.Hour, true},
			"one in five":                {50, 10, time.Hour, false},
			"too few to tell":            {49, 0, time.Hour, false},
			"they may be on the way":     {60, 0, authn.ConversionRest - time.Microsecond, false},
			"they had their time":        {60, 0, authn.ConversionRest, true},
			"they are long ago":          {60, 0, authn.ConversionWindow, false},
			"they are just not long ago": {60, 0, authn.ConversionWindow - time.Second, true},
		} {
			old := bucket(c.ago, name)
			w.note(slices.Repeat([]authn.Spending{old}, c.sent)...)
			if old.Good = c.good; c.good > 0 {
				w.note(old)
			}
			now := bucket(0, name)
			err := w.spend(now)
			if !c.refused {
				w.must(err)
				continue
			}
			if b := w.usedUp(err, name); !b.Watch || b.Subject != "+4179" || !b.Until.Equal(old.From.Add(authn.ConversionWindow)) {
				t.Errorf("%s: %+v", name, b)
			}
			now.Watch = false // who is not watched, and other prefixes, are sent to
			w.must(w.spend(now))
			now.Watch, now.Subject = true, "+4178"
			w.must(w.spend(now))
			at := w.now
			w.now = old.From.Add(authn.ConversionWindow)
			w.must(w.spend(bucket(0, name)))
			w.now = at
		}
		// The limit of a bucket is no matter of the watch.
		b := bucket(0, "limited")
		b.Most = 1
		w.must(w.spend(b))
		if e := w.usedUp(w.spend(b), "limited"); e.Watch {
			t.Errorf("%+v", e)
		}
	}
}

func testBudgetsShown(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		day := w.hour("company_day", "", 9)
		day.Money = 65
		hidden, over, ahead, month := w.hour("number", "+41", 9), day, day, w.hour("company_month", "", 9)
		hidden.Hidden = true
		over.From, over.Until = day.From.Add(-time.Hour), day.From
		ahead.From, ahead.Until = day.Until, day.Until.Add(time.Hour)
		month.Until = month.From.AddDate(0, 1, 0)
		w.must(w.spend(day, day, hidden, over, ahead, month))
		w.must(w.write(authn.Keys{Company: beta.ID}, authn.SpendBudget{Of: []authn.Spending{day}}))
		day.Good = 1
		w.note(day)
		list, err := w.Store.Budgets(w.ctx, w.company.ID, w.now)
		w.must(err)
		want := []authn.Spent{{Scope: "company_day", From: day.From, Until: day.Until, N: 2, Good: 1, Money: 130}, {Scope: "company_month", From: month.From, Until: month.Until, N: 1}}
		if fmt.Sprint(list) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", list, want)
		}
		if list, err := w.Store.Budgets(w.ctx, beta.ID, w.now); err != nil || len(list) != 1 || list[0].N != 1 {
			t.Errorf("%+v %v", list, err)
		}
		_, err = w.Store.Budgets(w.ctx, "no company", w.now)
		w.want(err, authn.NotFound)
		w.must(w.Store.Sweep(w.ctx, month.Until))
		if n := w.count("SELECT count(*) FROM budgets"); n != 6 {
			t.Errorf("%d of 6 rows last a month", n)
		}
		w.must(w.Store.Sweep(w.ctx, month.Until.Add(40*24*time.Hour-time.Microsecond)))
		if n := w.count("SELECT count(*) FROM budgets"); n != 1 {
			t.Errorf("%d rows are kept", n)
		}
		w.must(w.Store.Sweep(w.ctx, month.Until.Add(40*24*time.Hour)))
		if n := w.count("SELECT count(*) FROM budgets"); n != 0 {
			t.Errorf("%d rows stay", n)
		}
	}
}
