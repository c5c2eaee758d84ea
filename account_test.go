package sallyport_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/method/backup"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
	"github.com/sallyport-mfa/sallyport/store"
)

// account is a server with the steps that the tests of this file share.
type account struct {
	*sallyporttest.Server
	t *testing.T
}

func (w account) policy(d policy.Document) {
	w.t.Helper()
	c, err := w.Directory.Company(context.Background(), "acme")
	if err != nil {
		w.t.Fatal(err)
	}
	d.Format = 1
	if err := w.Directory.SetPolicy(context.Background(), c.ID, d, c.PolicyVersion); err != nil {
		w.t.Fatal(err)
	}
}

func (w account) begin(login string, c authn.Client) (signin.Status, error) {
	return w.SignIn.Begin(context.Background(), signin.Begin{Company: "acme", Login: login, Password: sallyporttest.Password, Client: c})
}

func (w account) answer(st signin.Status, k authn.Kind, a string, c authn.Client) (signin.Status, error) {
	return w.SignIn.Verify(context.Background(), signin.OpenerOf(st.Token, c), signin.Verify{Method: k, Answer: authn.Answer{Code: a}})
}

func (w account) challenge(st signin.Status, c authn.Client) error {
	_, _, err := w.SignIn.Challenge(context.Background(), signin.OpenerOf(st.Token, c), authn.Email, "")
	return err
}

func (w account) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// signIn takes a person in with their app, or with the password alone.
func (w account) signIn(p sallyporttest.Person, c authn.Client) enroll.Who {
	w.t.Helper()
	st, err := w.begin(p.Login, c)
	if err == nil && st.Session == nil {
		st, err = w.answer(st, authn.TOTP, w.Code(w.t, p.Secret), c)
		w.Clock.Advance(30 * time.Second)
	}
	w.must(err)
	return enroll.Who{Token: st.SessionToken, Client: c}
}

func (w account) link(to, folder string) authn.Token {
	w.t.Helper()
	list := w.Mail(w.t, to)
	for i := len(list) - 1; i >= 0; i-- {
		if _, rest, ok := strings.Cut(list[i].Text, w.URL+folder); ok {
			if tok, ok := authn.ParseToken(authn.LinkToken, strings.Fields(rest)[0]); ok {
				return tok
			}
		}
	}
	w.t.Fatalf("no link with %s was sent to %s", folder, to)
	return authn.Token{}
}

// addApp sets up a person's app in a session that is fresh.
func (w account) addApp(who enroll.Who, replaces string) (otp.Secret, enroll.Changed) {
	w.t.Helper()
	pend, err := w.Enroll.Begin(context.Background(), who, authn.TOTP, replaces)
	w.must(err)
	secret, err := otp.DecodeSecret(pend.Shown.Key)
	w.must(err)
	done, err := w.Enroll.Confirm(context.Background(), who, pend.Factor.ID, 0, authn.Answer{Code: w.Code(w.t, secret)})
	w.must(err)
	w.Clock.Advance(30 * time.Second)
	return secret, done
}

var laptop = authn.Client{Browser: "browser-of-the-owner", Agent: "Firefox on Linux"}

// TestEveryChangeIsTold_invE_std36_std31: adding, removing or changing a way or a
// contact needs a fresh proof, and puts a letter to the verified address into the
// outbox in the same transaction; a changed address is told at both ends.
func TestEveryChangeIsTold_invE_std36_std31(t *testing.T) {
	w := account{sallyporttest.NewServer(t), t}
	p := w.AddUser(t, w.Company, "maya", false)
	to := p.Email
	waiting := func() int {
		st, err := w.Store.OutboxState(t.Context())
		w.must(err)
		return st.Waiting
	}
	w.Mail(t, to)
	var who enroll.Who
	told := func(what string, letters int, change func()) {
		t.Helper()
		before := waiting()
		change()
		if got := waiting() - before; got != letters {
			t.Errorf("%s: %d letters, want %d", what, got, letters)
		}
		w.Mail(t, to)
	}
	fresh := func() {
		t.Helper()
		st, err := w.SignIn.StepUp(t.Context(), who.Token, "", "", laptop)
		w.must(err)
		if st.Need.State == authn.NeedPassword {
			st, err = w.SignIn.Verify(t.Context(), signin.OpenerOf(st.Token, laptop), signin.Verify{Method: authn.Password, Answer: authn.Answer{Password: sallyporttest.Password}})
		} else {
			st, err = w.answer(st, authn.TOTP, w.Code(t, p.Secret), laptop)
			w.Clock.Advance(30 * time.Second)
		}
		w.must(err)
		who.Token = st.SessionToken
	}
	stale := func(what string, change func() error) {
		t.Helper()
		before := waiting()
		if err := change(); authn.AsError(err).Code != authn.StepUpRequired {
			t.Errorf("%s in a stale session: %v (std-55)", what, err)
		}
		if waiting() != before {
			t.Errorf("%s: told of what did not happen", what)
		}
	}
	app, ctx := "", t.Context()
	all := map[string]func() error{
		"add":      func() error { _, err := w.Enroll.Begin(ctx, who, authn.TOTP, app); return err },
		"add mail": func() error { _, err := w.Enroll.Begin(ctx, who, authn.Email, ""); return err },
		"address":  func() error { _, err := w.Enroll.BeginEmail(ctx, who, "n@acme.example"); return err },
		"remove":   func() error { _, err := w.Enroll.Remove(ctx, who, app); return err },
		"codes":    func() error { _, err := w.Enroll.NewCodes(ctx, who); return err },
		"password": func() error {
			_, err := w.Enroll.ChangePassword(ctx, who, sallyporttest.Password, "another quiet harbour")
			return err
		},
	}

	who = w.signIn(p, laptop)
	stale("add the first", all["add"])
	stale("address", all["address"])
	fresh()
	told("the first app, and codes", 2, func() {
		var done enroll.Changed
		p.Secret, done = w.addApp(who, "")
		app, who.Token = done.Factor.ID, done.Token
	})
	w.Clock.Advance(11 * time.Minute)
	for what, change := range all {
		stale(what, change)
	}
	fresh()
	told("another app", 1, func() {
		var done enroll.Changed
		p.Secret, done = w.addApp(who, app)
		app, who.Token = done.Factor.ID, done.Token
	})
	told("new codes", 1, func() {
		done, err := w.Enroll.NewCodes(ctx, who)
		w.must(err)
		who.Token = done.Token
	})
	told("codes by e-mail", 1, func() {
		pend, err := w.Enroll.Begin(ctx, who, authn.Email, "")
		w.must(err)
		done, err := w.Enroll.Confirm(ctx, who, pend.Factor.ID, 0, authn.Answer{Code: w.LastCode(t, to)})
		w.must(err)
		who.Token = done.Token
	})
	told("a new password", 1, func() {
		done, err := w.Enroll.ChangePassword(ctx, who, sallyporttest.Password, "another quiet harbour")
		w.must(err)
		who.Token = done.Token
	})
	told("the app removed", 1, func() {
		done, err := w.Enroll.Remove(ctx, who, app)
		w.must(err)
		who.Token = done.Token
	})
	told("a new address: old and new", 2, func() {
		pend, err := w.Enroll.BeginEmail(ctx, who, "new@acme.example")
		w.must(err)
		done, err := w.Enroll.Confirm(ctx, who, pend.Factor.ID, 0, authn.Answer{Code: w.LastCode(t, "new@acme.example")})
		w.must(err)
		who.Token = done.Token
	})
	for name, change := range map[string]func() error{
		"a help code":            func() error { _, _, err := w.Directory.BypassCode(ctx, w.Company, p.ID); return err },
		"a reset":                func() error { return w.Directory.ResetFactors(ctx, w.Company, p.ID) },
		"a password by operator": func() error { return w.Directory.SetPassword(ctx, w.Company, p.ID, sallyporttest.Password) },
		"required":               func() error { return w.Directory.SetRequire(ctx, w.Company, p.ID, true) },
		"an invitation":          func() error { _, err := w.Directory.Reinvite(ctx, w.Company, p.ID, true); return err },
	} {
		told(name, 1, func() { w.must(change()) })
	}
	// Nobody is told at an address that nobody verified.
	q, err := w.Directory.CreateUser(ctx, w.Company, directory.NewUser{Login: "omar", Email: "omar@acme.example", Password: sallyporttest.Password})
	w.must(err)
	told("an unverified address", 0, func() { w.must(w.Directory.SetRequire(ctx, w.Company, q.ID, true)) })
}

// one is something that can be used once, and how to use it.
type one struct {
	name string
	use  func() error
}

// onceEach makes one of everything that is used once.
func (w account) onceEach(name string) []one {
	w.t.Helper()
	ctx := context.Background()
	var out []one
	add := func(what string, use func() error) { out = append(out, one{what, use}) }
	session := func(st signin.Status, err error) error {
		if err == nil && st.Session == nil {
			return errors.New("no session")
		}
		return err
	}

	m := w.AddUser(w.t, w.Company, "mail"+name, false)
	st, err := w.begin(m.Login, laptop)
	w.must(err)
	w.must(w.challenge(st, laptop))
	sent := w.LastCode(w.t, m.Email)
	add("a sent code", func() error { return session(w.answer(st, authn.Email, sent, laptop)) })

	p := w.AddUser(w.t, w.Company, "codes"+name, true)
	shown := w.codes(p)
	b1, err := w.begin(p.Login, laptop)
	w.must(err)
	b2, err := w.begin(p.Login, laptop)
	w.must(err)
	var turn atomic.Int32
	add("a backup code, in two sign-ins", func() error {
		return session(w.answer([]signin.Status{b1, b2}[turn.Add(1)%2], authn.BackupCode, shown[0], laptop))
	})

	q := w.AddUser(w.t, w.Company, "help"+name, true)
	help, _, err := w.Directory.BypassCode(ctx, w.Company, q.ID)
	w.must(err)
	q1, err := w.begin(q.Login, laptop)
	w.must(err)
	q2, err := w.begin(q.Login, laptop)
	w.must(err)
	add("a help code, in two sign-ins", func() error {
		_, err := w.answer([]signin.Status{q1, q2}[turn.Add(1)%2], authn.BypassCode, help, laptop)
		return err
	})

	g, err := w.Directory.Invite(ctx, w.Company, directory.NewUser{Login: "inv" + name}, false)
	w.must(err)
	add("an invitation", func() error { _, err := w.SignIn.Accept(ctx, g.Token, "a long way from home", "", laptop); return err })

	n := w.AddUser(w.t, w.Company, "not"+name, true)
	w.signIn(n, laptop)
	notMe := w.link(n.Email, "/not-me/")
	add("a link from a notice", func() error { _, err := w.Enroll.Secure(ctx, notMe, laptop); return err })

	r := w.AddUser(w.t, w.Company, "ready"+name, true)
	c, _, err := w.Directory.BypassCode(ctx, w.Company, r.ID)
	w.must(err)
	rs, err := w.begin(r.Login, laptop)
	w.must(err)
	if rs2, err := w.answer(rs, authn.BypassCode, c, laptop); err != nil || rs2.Need.State != authn.NeedEnrolment {
		w.t.Fatal(err)
	}
	w.addApp(enroll.Who{Token: rs.Token, Client: laptop}, "")
	add("the end of a sign-in", func() error { return session(w.SignIn.Complete(ctx, signin.OpenerOf(rs.Token, laptop))) })
	return out
}

func (w account) codes(p sallyporttest.Person) []string {
	w.t.Helper()
	shown, saved, err := backup.New(nil).NewSet()
	w.must(err)
	now := w.Clock.Now()
	f := authn.Factor{ID: authn.NewID(authn.FactorID, now, random{}), Kind: authn.BackupCode, State: authn.Confirmed, Epoch: p.Epoch, CreatedAt: now, ConfirmAt: now, Left: len(saved)}
	w.must(w.Store.Decide(context.Background(), authn.Keys{Company: p.Company, User: p.ID, Now: now}, func(*authn.Rows) authn.Verdict {
		return authn.Continue(authn.NewFactor{Factor: f}, authn.NewCodes{Factor: f.ID, Codes: saved})
	}))
	return shown
}

type random struct{}

func (random) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(mrand.Uint32())
	}
	return len(b), nil
}

// TestOnce_invA_cve25_cve26_cve28: everything that can be used once is used once,
// by however many at the same time, and never again.
func TestOnce_invA_cve25_cve26_cve28(t *testing.T) {
	onBothStores(t, func(t *testing.T, st *store.Store) {
		w := account{sallyporttest.Start(t, st), t}
		w.policy(policy.Document{TwoFactor: policy.Required})
		for round := range 3 {
			for _, one := range w.onceEach(strconv.Itoa(round)) {
				var won atomic.Int32
				var wg sync.WaitGroup
				for range 8 {
					wg.Go(func() {
						if one.use() == nil {
							won.Add(1)
						}
					})
				}
				wg.Wait()
				if won.Load() != 1 {
					t.Errorf("%s: used %d times at once", one.name, won.Load())
				}
				if one.use() == nil {
					t.Errorf("%s: used again", one.name)
				}
			}
			w.Clock.Advance(time.Hour)
		}
	})
}

// TestTwoLanes_rul10_cve21_invK: a thief with the password does what they can,
// at random, while the owner goes about their day. The owner's browser always
// gets in: its tries and its messages are its own. What strangers may have sent
// is bounded.
func TestTwoLanes_rul10_cve21_invK(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SALLYPORT_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	onBothStores(t, func(t *testing.T, st *store.Store) {
		t.Logf("SALLYPORT_TEST_SEED=%d", seed)
		w := account{sallyporttest.Start(t, st), t}
		w.policy(policy.Document{TwoFactor: policy.Required})
		r := mrand.New(mrand.NewPCG(seed, 5))
		apps, mail := w.AddUser(t, w.Company, "maya", true), w.AddUser(t, w.Company, "omar", false)
		codes := w.codes(apps)
		w.signIn(apps, laptop)
		s, err := w.begin(mail.Login, laptop)
		w.must(err)
		w.must(w.challenge(s, laptop))
		if _, err := w.answer(s, authn.Email, w.LastCode(t, mail.Email), laptop); err != nil {
			t.Fatal(err)
		}
		var stolen []signin.Status
		var sends []time.Time
		wrong := map[authn.Kind]string{authn.TOTP: "000000", authn.Email: "000000", authn.BackupCode: "ZZZZ-ZZZA", authn.BypassCode: "ZZZZ-ZZZZ-ZZZZ-ZZZZ"}
		thief := func() {
			p := []sallyporttest.Person{apps, mail}[r.IntN(2)]
			c := authn.Client{Browser: fmt.Sprint("thief", r.IntN(3))}
			switch r.IntN(8) {
			case 0:
				if st, err := w.begin(p.Login, c); err == nil {
					stolen = append(stolen, st)
				}
			case 1:
				_, _ = w.SignIn.Begin(context.Background(), signin.Begin{Company: "acme", Login: p.Login, Password: "a wrong guess of it", Client: c})
			case 2:
				if len(stolen) > 0 && w.challenge(stolen[r.IntN(len(stolen))], c) == nil {
					sends = append(sends, w.Clock.Now())
				}
			case 3:
				w.Clock.Advance([]time.Duration{time.Second, 40 * time.Second, 3 * time.Minute, 11 * time.Minute}[r.IntN(4)])
			default:
				if len(stolen) > 0 {
					for k, a := range wrong {
						got, err := w.answer(stolen[r.IntN(len(stolen))], k, a, c)
						if err == nil && k != authn.TOTP && k != authn.Email { // a guess of six digits may be lucky
							t.Fatalf("%s: %+v", k, got.Need)
						}
					}
				}
			}
			// The mark would end it; a patient thief stays below it.
			if r.IntN(4) == 0 {
				for _, one := range []sallyporttest.Person{apps, mail} {
					rows, err := w.Store.View(context.Background(), authn.Keys{Company: one.Company, User: one.ID, Now: w.Clock.Now()})
					w.must(err)
					u := *rows.User
					u.WrongInRow, u.WrongInMonth, u.PasswordKnownAt = 0, 0, time.Time{}
					w.must(w.Store.Decide(context.Background(), authn.Keys{Company: one.Company, User: one.ID, Now: w.Clock.Now()},
						func(*authn.Rows) authn.Verdict { return authn.Continue(authn.PutUser{User: u}) }))
				}
			}
		}
		for day := range 12 {
			for range 25 {
				thief()
			}
			w.Clock.Advance(31 * time.Second) // a code of the app that is not spent
			st, err := w.begin(apps.Login, laptop)
			if err != nil || st.Lane != authn.Known {
				t.Fatalf("day %d: %s %v", day, st.Lane, err)
			}
			if day%4 == 3 {
				if _, err := w.answer(st, authn.BackupCode, codes[day/4], laptop); err != nil {
					t.Fatalf("day %d, a backup code: %v", day, err)
				}
			} else if _, err := w.answer(st, authn.TOTP, w.Code(t, apps.Secret), laptop); err != nil {
				t.Fatalf("day %d, the app: %v", day, err)
			}
			if st, err = w.begin(mail.Login, laptop); err != nil || st.Lane != authn.Known {
				t.Fatalf("day %d: %s %v", day, st.Lane, err)
			}
			w.Clock.Advance(time.Second)
			if err := w.challenge(st, laptop); err != nil {
				t.Fatalf("day %d, a code by e-mail: %v", day, err)
			}
			list := w.Inbox.Messages()
			if _, err := w.answer(st, authn.Email, list[len(list)-1].Code, laptop); err != nil {
				t.Fatalf("day %d, by e-mail: %v", day, err)
			}
			w.Clock.Advance(4 * time.Minute)
		}
		limit := policy.SendLimit(authn.Stranger)
		for i := range sends {
			hour, day := 0, 0
			for _, at := range sends[i:] {
				if d := at.Sub(sends[i]); d < time.Hour {
					hour++
				} else if d < 24*time.Hour {
					day++
				}
			}
			if hour > limit.Hour || hour+day > limit.Day {
				t.Errorf("strangers had %d sent within an hour, %d within a day", hour, hour+day)
			}
		}
		t.Logf("%d sign-ins of the thief, %d messages", len(stolen), len(sends))
	})
}

// TestDumpAlone_invG: what lies in the database shows no code, no link and no
// address of a message, and opens nothing under another keyring.
func TestDumpAlone_invG(t *testing.T) {
	w := account{sallyporttest.NewServer(t, func(c *sallyport.Config) {
		c.Senders = map[authn.Kind]authn.Sender{authn.Email: refusing{}} // so that letters stay
	}), t}
	w.policy(policy.Document{TwoFactor: policy.Required})
	p := w.AddUser(t, w.Company, "maya", true)
	q := w.AddUser(t, w.Company, "omar", false)
	canaries := w.codes(p)
	help, _, err := w.Directory.BypassCode(t.Context(), w.Company, p.ID)
	w.must(err)
	g, err := w.Directory.Invite(t.Context(), w.Company, directory.NewUser{Login: "nina"}, false)
	w.must(err)
	st, err := w.begin(q.Login, laptop)
	w.must(err)
	if err := w.challenge(st, laptop); authn.AsError(err).Code != authn.MessageNotSent {
		t.Fatal(err)
	}
	who := w.signIn(p, laptop)
	pend, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, p.Factor)
	w.must(err)
	canaries = append(canaries, help, strings.ReplaceAll(help, "-", ""), g.Token.Reveal(), string(g.Token.Secret), st.Token.Reveal(), string(st.Token.Secret),
		who.Token.Reveal(), string(who.Token.Secret), p.Secret.Base32(), string(p.Secret), pend.Shown.Key, sallyporttest.Password, laptop.Browser)
	for _, c := range canaries[:10] {
		canaries = append(canaries, strings.ReplaceAll(c, "-", ""))
	}
	letters, err := w.Store.ClaimLetters(t.Context(), w.Clock.Now().Add(time.Hour), 50, time.Minute)
	w.must(err)
	links := 0
	for _, l := range letters {
		if r := l.Link.Reveal(); r != "" {
			links++
			canaries = append(canaries, r, string(l.Link.Secret))
		}
		if len(l.Seed) > 0 {
			canaries = append(canaries, string(l.Seed))
		}
	}
	if links == 0 {
		t.Error("no letter has a link: the test looks for nothing")
	}
	var dump []byte
	for _, suffix := range []string{"", "-wal"} {
		raw, err := os.ReadFile(w.Path + suffix)
		w.must(err)
		dump = append(dump, raw...)
	}
	for _, c := range canaries {
		if len(c) >= 8 && bytes.Contains(dump, []byte(c)) {
			t.Errorf("the database shows %q", c)
		}
	}
	// The addresses of people are columns; those of letters and codes are not.
	for _, table := range []string{"challenges", "outbox", "links"} {
		if strings.Contains(rowsOf(t, w.Path, table), "@") {
			t.Errorf("%s shows an address", table)
		}
	}
}

// refusing is a provider that says no.
type refusing struct{}

func (refusing) Send(context.Context, authn.Message) error {
	return &authn.SendError{Stage: "accept", Code: "451 4.3.0"}
}

// rowsOf is everything that a table shows.
func rowsOf(t *testing.T, path, table string) string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	n := 0
	for ; rows.Next(); n++ {
		cells := make([]any, len(columns))
		for i := range cells {
			cells[i] = new([]byte)
		}
		if err := rows.Scan(cells...); err != nil {
			t.Fatal(err)
		}
		for _, c := range cells {
			// Sealed bytes may hold an @ by chance; text is what can be read.
			if b := *c.(*[]byte); utf8.Valid(b) {
				out.Write(b)
				out.WriteByte(' ')
			}
		}
	}
	if err := rows.Err(); err != nil || n == 0 {
		t.Fatalf("%s: %d rows, %v", table, n, err)
	}
	return out.String()
}
