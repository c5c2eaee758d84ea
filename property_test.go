package sallyport_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/notice"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
	"github.com/sallyport-mfa/sallyport/store"
	"github.com/sallyport-mfa/sallyport/store/postgres"
	"github.com/sallyport-mfa/sallyport/store/sqlite"
)

// onBothStores runs a test on SQLite, and on PostgreSQL where there is one.
func onBothStores(t *testing.T, f func(*testing.T, *store.Store)) {
	t.Helper()
	open := func(t *testing.T, f func(*keyring.Keyring) (*store.Store, error)) *store.Store {
		keys, err := keyring.Generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		st, err := f(keys)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		return st
	}
	t.Run("sqlite", func(t *testing.T) {
		f(t, open(t, func(k *keyring.Keyring) (*store.Store, error) {
			return sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "s.db"), Keyring: k, Log: sallyporttest.Quiet(), Notice: notice.For})
		}))
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := sallyporttest.Postgres(t)
		f(t, open(t, func(k *keyring.Keyring) (*store.Store, error) {
			return postgres.Open(t.Context(), postgres.Config{DSN: dsn, Keyring: k, Log: sallyporttest.Quiet(), Notice: notice.For})
		}))
	})
}

// TestInvariants plays random lists of what owners, thieves and operators do,
// and holds what came out against a model that knows who proved what. The seed
// is printed; SALLYPORT_TEST_SEED repeats it.
//
// inv-A one success per code; inv-B evaluated guesses within the budget; inv-C
// a half-login opens nothing; inv-D the level is what was proven; inv-F what
// ended is over at once; inv-H no secret in what can be read; inv-J unknown
// names answer like known ones.
func TestInvariants(t *testing.T) {
	onBothStores(t, func(t *testing.T, st *store.Store) {
		seed := uint64(time.Now().UnixNano())
		if s := os.Getenv("SALLYPORT_TEST_SEED"); s != "" {
			var err error
			if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("SALLYPORT_TEST_SEED=%d", seed)
		m := &model{Server: sallyporttest.Start(t, st), t: t, r: mrand.New(mrand.NewPCG(seed, 1))}
		m.play(1000)
	})
}

type model struct {
	*sallyporttest.Server
	t      *testing.T
	r      *mrand.Rand
	people []*person
	log    []string
	spent  map[string]bool // factor and step: accepted once
	tf     policy.TwoFactor
}

type person struct {
	sallyporttest.Person
	pending   *enroll.Pending
	suspended bool
	attempts  []halfLogin
	sessions  []openSession
	wrong     map[string]run // by factor and lane: wrong answers in a row
}

type run struct {
	n     int
	until time.Time
}

type halfLogin struct {
	signin.Status
	client authn.Client
}

type openSession struct {
	token  authn.Token
	client authn.Client
	alive  bool
	aal2   bool
}

func (m *model) failf(format string, args ...any) {
	m.t.Helper()
	tail := m.log[max(0, len(m.log)-25):]
	m.t.Fatalf("%s\nthe last steps:\n%s", fmt.Sprintf(format, args...), strings.Join(tail, "\n"))
}

func (m *model) play(steps int) {
	m.spent, m.tf = map[string]bool{}, policy.On
	for i := range 3 {
		p := m.AddUser(m.t, m.Company, fmt.Sprintf("person%d", i), i > 0)
		m.people = append(m.people, &person{Person: p, wrong: map[string]run{}})
	}
	commands := []func(*person){m.begin, m.begin, m.begin, m.code, m.code, m.code, m.code, m.advance, m.advance, m.setUp, m.confirm,
		m.confirm, m.remove, m.signOut, m.suspend, m.setPolicy, m.setPassword, m.stepUp, m.unknown, m.halfLoginAsSession}
	for range steps {
		p := m.people[m.r.IntN(len(m.people))]
		commands[m.r.IntN(len(commands))](p)
		m.checkSessions()
	}
	m.checkSecrets()
	accepted := len(m.spent)
	if accepted < 2 {
		m.failf("only %d codes were ever accepted: the test plays nothing", accepted)
	}
	m.t.Logf("%d codes accepted", accepted)
}

func (m *model) note(format string, args ...any) { m.log = append(m.log, fmt.Sprintf(format, args...)) }

// client picks one of a person's own browsers, or a thief's.
func (m *model) client(p *person) authn.Client {
	return authn.Client{Browser: fmt.Sprintf("browser-%s-%d", p.Login, m.r.IntN(3))}
}

func (m *model) demanded(p *person) bool {
	return m.tf == policy.Required || m.tf == policy.On && p.Secret != nil
}

func (m *model) begin(p *person) {
	pw, c := sallyporttest.Password, m.client(p)
	if m.r.IntN(6) == 0 {
		pw = "not the password"
	}
	st, err := m.SignIn.Begin(context.Background(), signin.Begin{Login: p.Login, Password: pw, Client: c})
	m.note("begin %s right=%t: %v %v", p.Login, pw == sallyporttest.Password, st.Attempt.State, err)
	if err != nil {
		return
	}
	if pw != sallyporttest.Password || p.suspended {
		m.failf("let in with a wrong password or suspended")
	}
	if st.Session != nil {
		if m.demanded(p) {
			m.failf("inv-D: a session on the password alone")
		}
		m.opened(p, st, c, false)
		return
	}
	p.attempts = append(p.attempts, halfLogin{st, c})
}

func (m *model) opened(p *person, st signin.Status, c authn.Client, aal2 bool) {
	if (st.Session.ACR == authn.AAL2) != aal2 {
		m.failf("inv-D: level %s, proven aal2=%t", st.Session.ACR, aal2)
	}
	p.sessions = append(p.sessions, openSession{token: st.SessionToken, client: c, alive: true, aal2: aal2})
}

// code answers an attempt with a code of now, of another step, or of nobody.
func (m *model) code(p *person) {
	if len(p.attempts) == 0 || p.Secret == nil {
		return
	}
	i := m.r.IntN(len(p.attempts))
	a := p.attempts[i]
	at := m.Clock.Now().Add(time.Duration([]int{0, 0, 0, 0, 1, -1, 2, -2}[m.r.IntN(8)]) * 30 * time.Second)
	c := sallyporttest.CodeAt(m.t, p.Secret, at)
	right := m.r.IntN(4) > 0
	if !right {
		c = m.WrongCode(m.t, p.Secret)
	}
	st, err := m.SignIn.Verify(context.Background(), signin.OpenerOf(a.Token, a.client), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: c}})
	m.note("code %s right=%t %+d s: %v", p.Login, right, int(at.Sub(m.Clock.Now()).Seconds()), err)
	m.judge(p, p.Factor, a.Lane, c, st, err)
	if err == nil {
		if !right || p.suspended || m.tf == policy.Off {
			m.failf("accepted what is not right")
		}
		if st.Session != nil {
			m.opened(p, st, a.client, true)
		}
	}
}

// judge holds one answer against inv-A and inv-B.
func (m *model) judge(p *person, factor string, lane authn.Lane, c string, st signin.Status, err error) {
	key := factor + string(lane)
	r := p.wrong[key]
	switch authn.AsError(orNil(err)).Code {
	case authn.WrongCode:
		if m.Clock.Now().Before(r.until) {
			m.failf("inv-B: evaluated during a pause")
		}
		r.n++
		r.until = m.Clock.Now().Add(policy.Document{}.Lockout().Pause(r.n))
		if r.n > policy.Share(lane) {
			m.failf("inv-B: %d wrong answers evaluated", r.n)
		}
	case "":
		if m.Clock.Now().Before(r.until) {
			m.failf("inv-B: accepted during a pause")
		}
		step := fmt.Sprint(factor, c)
		for _, pr := range st.Attempt.Proofs {
			if pr.Factor == factor {
				step = fmt.Sprint(factor, pr.Step)
			}
		}
		if m.spent[step] {
			m.failf("inv-A: step accepted twice")
		}
		m.spent[step] = true
		r = run{}
	}
	p.wrong[key] = r
}

func orNil(err error) error {
	if err == nil {
		return authn.Code("")
	}
	return err
}

func (m *model) advance(*person) {
	d := []time.Duration{5 * time.Second, 30 * time.Second, 40 * time.Second, 5 * time.Minute}[m.r.IntN(4)]
	if m.r.IntN(60) == 0 {
		d = 2 * time.Hour
	}
	m.Clock.Advance(d)
	m.note("clock +%v", d)
	if d >= time.Hour {
		for _, p := range m.people {
			for i := range p.sessions {
				p.sessions[i].alive = false
			}
		}
	}
}

func (m *model) live(p *person) *openSession {
	for i := range p.sessions {
		if m.open(p, p.sessions[i]) {
			return &p.sessions[i]
		}
	}
	return nil
}

// open says whether a session should be good: not ended, and showing what
// policy asks now (cve-53).
func (m *model) open(p *person, s openSession) bool { return s.alive && (s.aal2 || !m.demanded(p)) }

func (m *model) moved(p *person, ch enroll.Changed, c authn.Client, aal2 bool) {
	for i := range p.sessions {
		p.sessions[i].alive = false
	}
	p.sessions = append(p.sessions, openSession{token: ch.Token, client: c, alive: true, aal2: aal2})
}

func (m *model) setUp(p *person) {
	s := m.live(p)
	if s == nil {
		return
	}
	replaces := ""
	if p.Secret != nil {
		replaces = p.Factor
	}
	pend, err := m.Enroll.Begin(context.Background(), enroll.Who{Token: s.token, Client: s.client}, authn.TOTP, replaces)
	m.note("set up %s: %v", p.Login, err)
	if err == nil {
		if p.Secret == nil && !s.aal2 && m.confirmed(s) == "" {
			m.failf("rul-1: set up on an open session alone")
		}
		p.pending = &pend
	}
}

// confirmed says whether a session's person gave a proof since signing in.
func (m *model) confirmed(s *openSession) string {
	cur, err := m.Sessions.Check(context.Background(), s.token.Reveal(), s.client)
	if err != nil || cur.Session.ConfirmedAt.IsZero() && cur.Session.FactorTime.IsZero() {
		return ""
	}
	return "yes"
}

func (m *model) confirm(p *person) {
	s := m.live(p)
	if s == nil || p.pending == nil {
		return
	}
	secret, err := otp.DecodeSecret(p.pending.Shown.Key)
	if err != nil {
		m.t.Fatal(err)
	}
	c := m.Code(m.t, secret)
	if m.r.IntN(3) == 0 {
		c = m.WrongCode(m.t, secret)
	}
	ch, err := m.Enroll.Confirm(context.Background(), enroll.Who{Token: s.token, Client: s.client}, p.pending.Factor.ID, 0, authn.Answer{Code: c})
	m.note("confirm %s: %v", p.Login, err)
	if err == nil {
		p.Secret, p.Factor, p.pending = secret, ch.Factor.ID, nil
		m.spent[fmt.Sprint(p.Factor, ch.Factor.LastStep)] = true
		m.moved(p, ch, s.client, true)
	}
}

func (m *model) remove(p *person) {
	s := m.live(p)
	if s == nil || p.Secret == nil || m.r.IntN(3) > 0 {
		return
	}
	ch, err := m.Enroll.Remove(context.Background(), enroll.Who{Token: s.token, Client: s.client}, p.Factor)
	m.note("remove %s: %v", p.Login, err)
	if err == nil {
		if m.tf == policy.Required {
			m.failf("A6: the last factor was removed against policy")
		}
		p.Secret, p.Factor = nil, ""
		m.moved(p, ch, s.client, s.aal2)
	}
}

func (m *model) signOut(p *person) {
	if s := m.live(p); s != nil {
		if err := m.Sessions.SignOut(context.Background(), s.token, s.client); err != nil {
			m.failf("%v", err)
		}
		s.alive = false
		m.note("sign out %s", p.Login)
	}
}

func (m *model) suspend(p *person) {
	to := authn.Active
	if !p.suspended && m.r.IntN(4) == 0 {
		to = authn.Suspended
	}
	if err := m.Directory.SetStatus(context.Background(), m.Company, p.ID, to); err != nil {
		m.failf("%v", err)
	}
	m.note("status %s: %s", p.Login, to)
	p.suspended = to == authn.Suspended
	for i := range p.sessions {
		p.sessions[i].alive = false
	}
}

// setPassword is the operator's help: it takes back the mark of ruling 10 and
// ends what was open.
func (m *model) setPassword(p *person) {
	if m.r.IntN(2) > 0 {
		return
	}
	if err := m.Directory.SetPassword(context.Background(), m.Company, p.ID, sallyporttest.Password); err != nil {
		m.failf("%v", err)
	}
	m.note("password of %s set by the operator", p.Login)
	for i := range p.sessions {
		p.sessions[i].alive = false
	}
	for _, a := range p.attempts { // cve-28: what was begun before is over
		_, err := m.SignIn.Verify(context.Background(), signin.OpenerOf(a.Token, a.client), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: "000000"}})
		if c := authn.AsError(orNil(err)).Code; c != authn.NotFound && c != authn.Expired && c != authn.Conflict {
			m.failf("an attempt from before the change answers %q", c)
		}
	}
	p.attempts = nil
}

func (m *model) setPolicy(*person) {
	if m.r.IntN(4) > 0 {
		return
	}
	m.tf = []policy.TwoFactor{policy.On, policy.On, policy.Required, policy.Off}[m.r.IntN(4)]
	m.SetTwoFactor(m.t, "acme", m.tf)
	m.note("policy %s", m.tf)
}

func (m *model) stepUp(p *person) {
	s := m.live(p)
	if s == nil {
		return
	}
	st, err := m.SignIn.StepUp(context.Background(), s.token, "", "", s.client)
	if err != nil {
		m.failf("step-up: %v", err)
	}
	v := signin.Verify{Method: authn.Password, Answer: authn.Answer{Password: sallyporttest.Password}}
	factor := st.Attempt.State == authn.NeedFactor
	if factor {
		v = signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: m.Code(m.t, p.Secret)}}
	}
	done, err := m.SignIn.Verify(context.Background(), signin.OpenerOf(st.Token, s.client), v)
	m.note("step up %s %s: %v", p.Login, v.Method, err)
	if factor {
		m.judge(p, p.Factor, st.Lane, v.Answer.Code, done, err)
	}
	if err == nil {
		s.alive = false
		m.opened(p, done, s.client, s.aal2 || factor)
	}
}

func (m *model) unknown(p *person) {
	_, err := m.SignIn.Begin(context.Background(), signin.Begin{Login: fmt.Sprint("nobody", m.r.IntN(1000)), Password: sallyporttest.Password, Client: m.client(p)})
	if authn.AsError(orNil(err)).Code != authn.WrongCredentials {
		m.failf("inv-J: an unknown name answers %v", err)
	}
}

// halfLoginAsSession: inv-C.
func (m *model) halfLoginAsSession(p *person) {
	if len(p.attempts) == 0 {
		return
	}
	a := p.attempts[m.r.IntN(len(p.attempts))]
	asSession := a.Token
	asSession.Kind, asSession.ID = authn.SessionToken, "ses_"+strings.TrimPrefix(a.Token.ID, "att_")
	for _, tok := range []string{a.Token.Reveal(), asSession.Reveal()} {
		if _, err := m.Sessions.Check(context.Background(), tok, a.client); authn.AsError(orNil(err)).Code != authn.Unauthenticated {
			m.failf("inv-C: a half-login is a session: %v", err)
		}
	}
	for _, tok := range []authn.Token{a.Token, asSession} {
		if _, err := m.Enroll.Begin(context.Background(), enroll.Who{Token: tok, Client: a.client}, authn.TOTP, ""); err == nil {
			m.failf("inv-C: a half-login sets up a factor")
		}
	}
}

// checkSessions: inv-F. What ended is over; what did not end is open.
func (m *model) checkSessions() {
	for _, p := range m.people {
		for i, s := range p.sessions {
			if !s.alive && i < len(p.sessions)-4 {
				continue // its end was seen several steps ago
			}
			_, err := m.Sessions.Check(context.Background(), s.token.Reveal(), s.client)
			if (err == nil) != m.open(p, s) {
				m.failf("inv-F: session %d of %s alive=%t, check says %v", i, p.Login, s.alive, err)
			}
		}
	}
}

// checkSecrets: inv-H over everything that the log can show.
func (m *model) checkSecrets() {
	events, err := m.Audit.Events(context.Background(), m.Company.ID, authn.EventQuery{Limit: 200})
	if err != nil || len(events) == 0 {
		m.failf("no events: %v", err)
	}
	text, err := json.Marshal(events)
	if err != nil {
		m.t.Fatal(err)
	}
	all := string(text) + strings.Join(m.log, "\n")
	for _, p := range m.people {
		for _, s := range p.sessions {
			if strings.Contains(all, s.token.Reveal()) {
				m.failf("inv-H: a session token can be read")
			}
		}
		if p.Secret != nil && strings.Contains(all, p.Secret.Base32()) {
			m.failf("inv-H: a secret can be read")
		}
	}
	if strings.Contains(all, sallyporttest.Password) || strings.Contains(all, "not the password") || strings.Contains(all, "nobody") {
		m.failf("inv-H: a password or an unknown login name can be read")
	}
}
