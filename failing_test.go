package sallyport_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/method/backup"
	"github.com/sallyport-mfa/sallyport/method/bypass"
	"github.com/sallyport-mfa/sallyport/method/code"
	"github.com/sallyport-mfa/sallyport/notice"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
	"github.com/sallyport-mfa/sallyport/store"
)

// faulty is a store whose n-th call from now on fails: before it did anything,
// or after, when the answer was lost on the way.
type faulty struct {
	*store.Store
	left  atomic.Int64 // calls until one fails; it stays broken from then on
	after bool
	done  atomic.Bool // a call failed
}

func (f *faulty) run(call func() error) error {
	broken := f.left.Add(-1) < 0
	if broken {
		f.done.Store(true)
		if !f.after {
			return authn.Busy
		}
	}
	err := call()
	if broken {
		return authn.Busy
	}
	return err
}

func (f *faulty) Decide(ctx context.Context, k authn.Keys, d func(*authn.Rows) authn.Verdict) error {
	return f.run(func() error { return f.Store.Decide(ctx, k, d) })
}

func (f *faulty) View(ctx context.Context, k authn.Keys) (rows authn.Rows, err error) {
	err = f.run(func() error { rows, err = f.Store.View(ctx, k); return err })
	if err != nil {
		return authn.Rows{}, err
	}
	return rows, nil
}

func (f *faulty) CompanyBySlug(ctx context.Context, slug string) (c authn.Company, err error) {
	err = f.run(func() error { c, err = f.Store.CompanyBySlug(ctx, slug); return err })
	if err != nil {
		return authn.Company{}, err
	}
	return c, nil
}

// broken is a server beside w, on the same database, whose store and sender can fail.
type broken struct {
	account
	store  *faulty
	sender *moody
	signin *signin.Service
	enroll *enroll.Service
	notice *notice.Service
}

// moody is a sender that does as it is told.
type moody struct {
	inner authn.Sender
	mood  atomic.Value
}

func (m *moody) Send(ctx context.Context, msg authn.Message) error {
	switch m.mood.Load() {
	case "refuses":
		return &authn.SendError{Stage: "accept", Code: "451 4.3.0"}
	case "refuses for good":
		return &authn.SendError{Stage: "accept", Code: "550 5.1.1", Permanent: true}
	case "stalls":
		<-ctx.Done()
		return ctx.Err()
	case "panics":
		panic("the sender is broken")
	}
	return m.inner.Send(ctx, msg)
}

func newBroken(t *testing.T) *broken {
	t.Helper()
	w := account{sallyporttest.NewServer(t), t}
	b := &broken{account: w, store: &faulty{Store: w.Store}, sender: &moody{inner: w.Inbox}}
	b.sender.mood.Store("")
	b.store.left.Store(1 << 40)
	pw, tp := sallyporttest.Methods(t)
	mail, err := code.New(authn.Email)
	w.must(err)
	saved := backup.New(nil)
	all := []authn.Method{pw, tp, mail, saved, bypass.New(nil)}
	b.notice, err = notice.New(notice.Config{Outbox: w.Store, Senders: map[authn.Kind]authn.Sender{authn.Email: b.sender}, PublicURL: w.URL,
		Code: code.Digits, Now: w.Clock.Now, SendTimeout: 30 * time.Millisecond})
	w.must(err)
	b.signin, err = signin.New(signin.Config{Store: b.store, Methods: all, Passwords: pw, Deliver: b.notice, Now: w.Clock.Now})
	w.must(err)
	b.enroll, err = enroll.New(enroll.Config{Store: struct {
		*faulty
		enrollReads
	}{b.store, w.Store}, Methods: all, Passwords: pw, Codes: saved, Deliver: b.notice, Now: w.Clock.Now})
	w.must(err)
	return b
}

// enrollReads are the reads of enroll.Store that do not fail here.
type enrollReads interface {
	PendingSecret(context.Context, authn.Keys) ([]byte, error)
	ShownCodes(context.Context, authn.Keys) ([]byte, error)
}

// TestStoreBusyAtEachCall_invI_std64: whichever call of the store fails, before or
// after it did its work, the answer is no: never a session, never a right code
// that is good again, never a guess that nobody paid for.
func TestStoreBusyAtEachCall_invI_std64(t *testing.T) {
	b := newBroken(t)
	b.policy(policy.Document{TwoFactor: policy.Required})
	ctx := context.Background()
	n := 0
	// Each makes its state with the whole store, and gives the call that is then
	// made with the broken one; the tries that a wrong guess must have cost.
	type flow struct {
		do    func() (signin.Status, error)
		tries func() int
	}
	tries := func(p sallyporttest.Person, k authn.Kind) func() int {
		return func() int {
			rows, err := b.Store.View(ctx, authn.Keys{Company: p.Company, User: p.ID, Now: b.Clock.Now()})
			b.must(err)
			for _, f := range rows.Factors {
				if f.Kind == k {
					return f.Counts[authn.Stranger].Tries
				}
			}
			return -1 // spent, and gone
		}
	}
	person := func(app bool) (sallyporttest.Person, signin.Status) {
		n++
		p := b.AddUser(t, b.Company, fmt.Sprint("p", n), app)
		st, err := b.begin(p.Login, laptop)
		b.must(err)
		return p, st
	}
	verify := func(st signin.Status, k authn.Kind, a string) func() (signin.Status, error) {
		return func() (signin.Status, error) {
			return b.signin.Verify(ctx, signin.OpenerOf(st.Token, laptop), signin.Verify{Method: k, Answer: authn.Answer{Code: a}})
		}
	}
	flows := map[string]func() flow{
		"password": func() flow {
			n++
			p := b.AddUser(t, b.Company, fmt.Sprint("p", n), true)
			return flow{do: func() (signin.Status, error) {
				return b.signin.Begin(ctx, signin.Begin{Company: "acme", Login: p.Login, Password: sallyporttest.Password, Client: laptop})
			}}
		},
		"right app code": func() flow {
			p, st := person(true)
			return flow{verify(st, authn.TOTP, b.Code(t, p.Secret)), nil}
		},
		"wrong app code": func() flow {
			p, st := person(true)
			return flow{verify(st, authn.TOTP, b.WrongCode(t, p.Secret)), tries(p, authn.TOTP)}
		},
		"right backup code": func() flow {
			p, st := person(true)
			return flow{verify(st, authn.BackupCode, b.codes(p)[0]), nil}
		},
		"wrong backup code": func() flow {
			p, st := person(true)
			b.codes(p)
			return flow{verify(st, authn.BackupCode, "ZZZZ-ZZZA"), tries(p, authn.BackupCode)}
		},
		"wrong help code": func() flow {
			p, st := person(true)
			_, _, err := b.Directory.BypassCode(ctx, b.Company, p.ID)
			b.must(err)
			return flow{verify(st, authn.BypassCode, "ZZZZ-ZZZZ-ZZZZ-ZZZZ"), tries(p, authn.BypassCode)}
		},
		"right sent code": func() flow {
			p, st := person(false)
			b.must(b.challenge(st, laptop))
			return flow{verify(st, authn.Email, b.LastCode(t, p.Email)), nil}
		},
		"challenge": func() flow {
			_, st := person(false)
			return flow{do: func() (signin.Status, error) {
				st, _, err := b.signin.Challenge(ctx, signin.OpenerOf(st.Token, laptop), authn.Email, "")
				return st, err
			}}
		},
		"invitation": func() flow {
			n++
			g, err := b.Directory.Invite(ctx, b.Company, directory.NewUser{Login: fmt.Sprint("p", n)}, false)
			b.must(err)
			return flow{do: func() (signin.Status, error) {
				return b.signin.Accept(ctx, g.Token, "a long way from home", "", laptop)
			}}
		},
		"new password": func() flow {
			p, st := person(true)
			rows, err := b.Store.View(ctx, authn.Keys{Company: p.Company, User: p.ID, Now: b.Clock.Now()})
			b.must(err)
			u := *rows.User
			u.SecuredAt = b.Clock.Now()
			b.must(b.Store.Decide(ctx, authn.Keys{Company: p.Company, User: p.ID, Now: b.Clock.Now()}, func(*authn.Rows) authn.Verdict { return authn.Continue(authn.PutUser{User: u}) }))
			if got, err := b.answer(st, authn.TOTP, b.Code(t, p.Secret), laptop); err != nil || got.Need.State != authn.NeedPasswordChange {
				t.Fatal(err)
			}
			return flow{do: func() (signin.Status, error) {
				return b.signin.ChangePassword(ctx, signin.OpenerOf(st.Token, laptop), "a harbour that nobody knows")
			}}
		},
	}
	for name, start := range flows {
		for _, after := range []bool{false, true} {
			for call := range 12 {
				f := start()
				b.store.after = after
				b.store.done.Store(false)
				b.store.left.Store(int64(call))
				st, err := f.do()
				failed := b.store.done.Load()
				b.store.left.Store(1 << 40)
				what := fmt.Sprintf("%s, call %d, after %t", name, call, after)
				if err != nil && (st.Session != nil || !st.SessionToken.IsZero() || !st.Token.IsZero()) {
					t.Errorf("%s: %v, and %+v", what, err, st.Attempt)
				}
				if failed && err == nil {
					t.Errorf("%s: answered as if nothing had failed", what)
				}
				// Whoever was told that a guess was wrong has paid for it.
				if authn.AsError(orNil(err)).Code == authn.WrongCode && f.tries() < 1 {
					t.Errorf("%s: a guess for nothing", what)
				}
				// What was spent, or may have been, opens nothing a second time.
				if after && failed {
					if again, err := f.do(); err == nil && again.Session != nil {
						// Good only if the first did nothing: exactly one session exists.
						open, err := b.Store.Sessions(ctx, again.User.Company, again.User.ID)
						if err != nil || len(open) != 1 {
							t.Errorf("%s: %d sessions of one answer", what, len(open))
						}
					}
				}
				if !failed {
					break // the flow makes no more calls
				}
			}
		}
	}
}

// TestSenderFails_invI: a provider that refuses, stalls or panics lets nobody in
// and loses no letter; people are told at once that nothing was sent.
func TestSenderFails_invI(t *testing.T) {
	for _, mood := range []string{"refuses", "stalls", "panics"} {
		t.Run(mood, func(t *testing.T) {
			b := newBroken(t)
			b.policy(policy.Document{TwoFactor: policy.Required})
			ctx := context.Background()
			p, q := b.AddUser(t, b.Company, "maya", false), b.AddUser(t, b.Company, "omar", true)
			b.Mail(t, p.Email)
			b.sender.mood.Store(mood)
			st, err := b.begin(p.Login, laptop)
			b.must(err)
			got, sent, err := b.signin.Challenge(ctx, signin.OpenerOf(st.Token, laptop), authn.Email, "")
			if authn.AsError(orNil(err)).Code != authn.MessageNotSent || got.Session != nil {
				t.Fatalf("%+v %v", got.Need, err)
			}
			// Charged all the same: a provider that fails is no way around the limits.
			if _, _, err := b.signin.Challenge(ctx, signin.OpenerOf(st.Token, laptop), authn.Email, ""); authn.AsError(orNil(err)).Code != authn.TooManyRequests {
				t.Errorf("%v (resend at %v)", err, sent.ResendAt)
			}
			if _, err := b.answer(st, authn.Email, "000000", laptop); authn.AsError(orNil(err)).Code != authn.WrongCode {
				t.Errorf("%v", err)
			}
			// Others come in, and what they are told waits.
			who := b.signIn(q, laptop)
			if _, err := b.enroll.NewCodes(ctx, who); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				_, _ = b.notice.Drain(ctx)
			}
			state, err := b.Store.OutboxState(ctx)
			if err != nil || state.Waiting < 2 {
				t.Fatalf("%+v %v", state, err)
			}
			b.sender.mood.Store("")
			b.Clock.Advance(time.Minute)
			before := len(b.Inbox.Messages())
			for range 10 {
				b.Clock.Advance(7 * time.Second)
				if _, err := b.notice.Drain(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if state, err = b.Store.OutboxState(ctx); err != nil || state.Waiting != 0 || len(b.Inbox.Messages()) <= before {
				t.Errorf("%+v %v, %d messages", state, err, len(b.Inbox.Messages())-before)
			}
		})
	}
}
