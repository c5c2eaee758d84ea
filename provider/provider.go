// Package provider keeps what a company sends and asks through: its own mail
// server, its providers of text messages with their budgets, its Duo, and where its event log goes. Who may
// change them, how they are tried, and which sender a letter gets.
//
// # Flow
//
// [Service.SetMail] saves settings as the next version and puts a letter to every
// owner into the outbox, through the settings before. [Service.Test] walks the way
// to a server that need not be saved. Texts and Duo go the same way. [Service.Price]
// says what a text is counted against, before it is sent. [Service.SenderFor] is what package notice
// asks for every letter; senders are kept and exchanged when the version moves.
//
// # Threats
//
//   - Whoever decides where codes go can become anyone (ruling 19): changing needs
//     providers.write, which is the owner's alone, a recent proof with the
//     strongest way the owner has, and no way on probation. All owners are told
//     through the settings before, for 24 hours, also when they are changed twice.
//     For that day codes of who may do more than the editor go through the settings
//     before, too; text messages and Duo, which have none, are refused to them.
//   - A saved password sent to another server: it is bound to host, port, user and
//     TLS mode. Where one of these differs, in a test too, it is not used.
//   - The password read back: it is sealed in the row, in no answer, and in no log.
//   - Settings that point into the network: every connection passes the rules of
//     ruling 32, and tests have a budget, so that they are no port scanner.
//   - A server that stops working: its letters wait. They do not go through
//     another one behind the owners' backs.
package provider

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
)

const (
	// TellFor is how long the settings before a change are kept for telling owners.
	TellFor = 24 * time.Hour
	// TestsPerHour is how often a company may try mail servers.
	TestsPerHour = 10
	testWindow   = time.Hour
	// viaPrevious is Letter.Via of what goes through the settings before.
	viaPrevious = "previous"
	maxSecret   = 1024
	maxName     = 60
)

// Store is what this package needs of storage.
type Store interface {
	Decide(context.Context, authn.Keys, func(*authn.Rows) authn.Verdict) error
	View(context.Context, authn.Keys) (authn.Rows, error)
	Provider(ctx context.Context, company string, channel authn.Kind) (authn.Provider, error)
	// ProviderNoted writes down how sending through a version went.
	ProviderNoted(ctx context.Context, company string, channel authn.Kind, version int64, at time.Time, failed string) error
	// SpendTest takes one of the most tests of a window; false: none is left until then.
	SpendTest(ctx context.Context, company string, channel authn.Kind, now time.Time, window time.Duration, most int) (time.Time, bool, error)
	// CompanyOutbox is how a company's letters stand.
	CompanyOutbox(ctx context.Context, company string, channel authn.Kind) (authn.OutboxState, error)
	// Budgets are the counts of messages whose windows hold now.
	Budgets(ctx context.Context, company string, now time.Time) ([]authn.Spent, error)
	// ProviderHealthNoted writes down how sending through one of several providers went.
	ProviderHealthNoted(ctx context.Context, company string, channel authn.Kind, name string, version int64, at time.Time, failed string) error
	ProviderHealth(ctx context.Context, company string, channel authn.Kind, version int64) ([]authn.ProviderHealth, error)
	// Streams are where a company's streams of events stand.
	Streams(ctx context.Context, company string) ([]authn.Stream, error)
	// Keep is how long a company keeps its events.
	Keep(ctx context.Context, company string) (authn.Keep, error)
}

// Config wires a Service. Store and Render are needed.
type Config struct {
	Store Store
	Mail  authn.MailServers // nil: companies have no mail servers of their own
	// Drivers speak to providers of text messages, by name; none: companies have none
	// of their own.
	Drivers map[string]authn.TextDriver
	// Texts are the operator's own, for companies without; Text sends them in its
	// place, if it is not nil.
	Texts     authn.TextSettings
	Text      authn.Sender
	Duo       authn.DuoService                          // nil: companies have no Duo
	Streams   map[authn.Kind]authn.StreamSender         // send companies' events elsewhere, by kind
	PublicURL string                                    // where providers send delivery reports; empty: nowhere
	Render    func(authn.Letter) (authn.Message, error) // writes the test message; notice.Service.Render
	Now       func() time.Time                          // nil: time.Now
	Random    io.Reader                                 // nil: crypto/rand
	Log       *slog.Logger                              // nil: none
	Lifetimes policy.Lifetimes
}

// Service is safe for concurrent use.
type Service struct {
	c    Config
	life policy.Lifetimes

	mu    sync.Mutex
	kept  map[key]keptSender
	noted map[string]note
	// texts are the senders of versions, by company; "" is the operator's.
	texts map[string]textChain
}

// New checks the configuration.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Render == nil {
		return nil, errors.New("provider: Config.Store and Render are needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	return &Service{c: c, life: c.Lifetimes.WithDefaults(), kept: map[key]keptSender{}, noted: map[string]note{}, texts: map[string]textChain{}}, nil
}

// Health is how sending goes.
type Health string

// The states of a company's mail, of its texts, and of each provider of those.
const (
	None    Health = "none"    // nothing is sent: neither the company nor the server can
	Server  Health = "server"  // the company has no settings of its own
	Untried Health = "untried" // nothing was sent since they were saved
	Working Health = "working"
	Failing Health = "failing" // the last message was not taken
)

// State is a company's mail as an owner sees it. The password is never in it.
type State struct {
	Health      Health
	Version     int64              // of the settings; 0: there never were any
	Settings    authn.MailSettings // zero without settings of its own
	HasPassword bool
	UpdatedAt   time.Time
	UpdatedBy   string // id of an owner, or directory.Operator
	SentAt      time.Time
	FailedAt    time.Time
	Failed      string // the stage of the last failure
	Outbox      authn.OutboxState
}

// Change is what an owner typed. An empty Password keeps the saved one, where
// host, port, TLS mode and user are the saved ones too (ruling 32).
type Change struct {
	authn.MailSettings
	// From is the version that the form was made from; 0: whatever there is.
	From int64
}

// Who asks.
type Who struct {
	Token  authn.Token // of a session
	Client authn.Client
	Reason string // why something is changed, for the log and the owners; empty: none was given
}

// allowed says whether the session's person may do anything here.
func allowed(rows *authn.Rows, now time.Time) error {
	if err := policy.CheckSession(rows, now); err != nil {
		return err
	}
	if !directory.Can(*rows.Company, *rows.User, directory.ProvidersWrite) {
		return authn.Forbidden
	}
	return nil
}

// fresh is allowed with a recent proof.
func (s *Service) fresh(rows *authn.Rows, now time.Time) error {
	if err := allowed(rows, now); err != nil {
		return err
	}
	doc, err := policy.Current(*rows.Company, now)
	if err != nil {
		return err
	}
	return directory.Recent(rows, doc.Lifetimes(s.life).StepUpAge, now)
}

func (s *Service) keys(w Who) authn.Keys {
	return authn.Keys{Company: w.Token.Company, SessionToken: w.Token, Now: s.c.Now(), Browser: w.Client.Browser}
}

// author is who changes or tries something.
type author struct {
	keys   authn.Keys
	may    func(*authn.Rows, time.Time) error // asked again in the transaction that writes
	id     func(*authn.Rows) string           // what events and settings call them
	client authn.Client
	reason string
}

// owner is the person of a session.
func (s *Service) owner(w Who) author {
	return author{keys: s.keys(w), may: s.fresh, id: func(rows *authn.Rows) string { return rows.User.ID }, client: w.Client, reason: w.Reason}
}

// explain wants a reason that can be kept.
func (by *author) explain() (err error) {
	by.reason, err = directory.CleanReason(by.reason)
	return err
}

// told is what a letter to the owners says.
func (by author) told(rows *authn.Rows, channel authn.Kind) map[string]string {
	args := map[string]string{"channel": string(channel), "by": directory.Operator, "reason": by.reason}
	if !by.keys.SessionToken.IsZero() {
		args["by"], args["name"] = "admin", rows.User.Name
	}
	return args
}

func (s *Service) view(ctx context.Context, w Who, may func(*authn.Rows, time.Time) error) (authn.Rows, error) {
	k := s.keys(w)
	rows, err := s.c.Store.View(ctx, k)
	if err == nil {
		err = may(&rows, k.Now)
	}
	if err != nil {
		return authn.Rows{}, fmt.Errorf("provider: %w", err)
	}
	return rows, nil
}

// Ready says whether w may change something now: nil, or StepUpRequired. Pages
// ask before they show a form that would be refused.
func (s *Service) Ready(ctx context.Context, w Who) error {
	_, err := s.view(ctx, w, s.fresh)
	return err
}

// HasMail reports whether companies can have mail servers of their own here.
func (s *Service) HasMail() bool { return s != nil && s.c.Mail != nil }

// Mail is the company's mail.
//
// Errors: Forbidden.
func (s *Service) Mail(ctx context.Context, w Who) (State, error) {
	if _, err := s.view(ctx, w, allowed); err != nil {
		return State{}, err
	}
	return s.MailOf(ctx, w.Token.Company)
}

// MailOf is Mail for who was asked before, such as the reports and the operator.
func (s *Service) MailOf(ctx context.Context, company string) (State, error) {
	p, err := s.c.Store.Provider(ctx, company, authn.Email)
	if err != nil {
		return State{}, fmt.Errorf("provider: %w", err)
	}
	return s.state(ctx, p)
}

func (s *Service) state(ctx context.Context, p authn.Provider) (State, error) {
	out, err := s.c.Store.CompanyOutbox(ctx, p.Company, authn.Email)
	if err != nil {
		return State{}, fmt.Errorf("provider: %w", err)
	}
	st := State{Health: Server, Version: p.Version, UpdatedAt: p.UpdatedAt, UpdatedBy: p.UpdatedBy, Outbox: out}
	if p.Settings == nil {
		return st, nil
	}
	if st.Settings, err = decode(p.Settings); err != nil {
		return State{}, err
	}
	st.HasPassword, st.Settings.Password = st.Settings.Password != "", ""
	st.SentAt, st.FailedAt, st.Failed = p.SentAt, p.FailedAt, p.Failed
	switch {
	case p.Failed != "":
		st.Health = Failing
	case p.SentAt.IsZero():
		st.Health = Untried
	default:
		st.Health = Working
	}
	return st, nil
}

func decode(b []byte) (m authn.MailSettings, err error) {
	if json.Unmarshal(b, &m) != nil {
		return m, errors.New("provider: stored settings cannot be read")
	}
	return m, nil
}

// clean makes what was typed fit to be judged, and says what is wrong with its form.
func clean(m *authn.MailSettings) []authn.Field {
	var fields []authn.Field
	wrong := func(name, code string, args map[string]any) {
		fields = append(fields, authn.Field{Name: name, Code: code, Args: args})
	}
	m.Host, m.From = strings.ToLower(strings.TrimSpace(m.Host)), strings.TrimSpace(m.From)
	m.Username = strings.TrimSpace(m.Username)
	if m.TLS == "" {
		m.TLS = "starttls"
	}
	if m.Port == 0 {
		m.Port = map[string]int{"implicit": 465}[m.TLS]
		if m.Port == 0 {
			m.Port = 587
		}
	}
	for _, f := range [][2]string{{"host", m.Host}, {"from", m.From}} {
		if f[1] == "" {
			wrong(f[0], "required", nil)
		}
	}
	if m.FromName != "" {
		var e *authn.Error
		name, err := authn.CleanName("from_name", m.FromName, maxName)
		if errors.As(err, &e) {
			fields = append(fields, e.Fields...)
		}
		m.FromName = name
	}
	for _, f := range [][2]string{{"username", m.Username}, {"password", m.Password}} {
		switch {
		case len(f[1]) > maxSecret:
			wrong(f[0], "too_long", map[string]any{"Max": maxSecret})
		case strings.ContainsAny(f[1], "\x00\x01\r\n"):
			wrong(f[0], "invalid", nil)
		}
	}
	if m.Username == "" && m.Password != "" {
		wrong("username", "required", nil)
	}
	return fields
}

// merge gives the settings that a change means, with the saved password where it
// may be used.
func (s *Service) merge(p authn.Provider, ch Change) (authn.MailSettings, error) {
	m := ch.MailSettings
	fields := clean(&m)
	var saved authn.MailSettings
	if p.Settings != nil {
		var err error
		if saved, err = decode(p.Settings); err != nil {
			return m, err
		}
	}
	if m.Username != "" && m.Password == "" {
		switch {
		case saved.Password == "":
			fields = append(fields, authn.Field{Name: "password", Code: "required"})
		case saved.Host != m.Host || saved.Port != m.Port || saved.TLS != m.TLS || saved.Username != m.Username:
			fields = append(fields, authn.Field{Name: "password", Code: "again"})
		default:
			m.Password = saved.Password
		}
	}
	if fields != nil {
		return m, &authn.Error{Code: authn.Invalid, Fields: fields}
	}
	if s.c.Mail == nil {
		return m, authn.NotFound
	}
	sender, err := s.c.Mail.Open(m)
	if err != nil {
		return m, err
	}
	return m, sender.Close()
}

// SetMail saves a company's own mail server. It need not work.
//
// Errors: Forbidden, StepUpRequired, PolicyForbids (a way on probation), Invalid,
// Conflict (somebody else saved meanwhile).
func (s *Service) SetMail(ctx context.Context, w Who, ch Change) (State, error) {
	if err := s.Ready(ctx, w); err != nil {
		return State{}, err
	}
	p, err := s.save(ctx, s.owner(w), authn.Email, ch.From, func(p authn.Provider) (saving, error) {
		m, err := s.merge(p, ch)
		if err != nil {
			return saving{}, err
		}
		doc, err := json.Marshal(m)
		return saving{doc: doc, host: m.Host, provides: true}, err
	})
	if err != nil {
		return State{}, err
	}
	return s.state(ctx, p)
}

// RemoveMail goes back to the server's mail. Doing so twice changes nothing.
//
// Errors: as SetMail.
func (s *Service) RemoveMail(ctx context.Context, w Who, from int64) (State, error) {
	if err := s.Ready(ctx, w); err != nil {
		return State{}, err
	}
	p, err := s.save(ctx, s.owner(w), authn.Email, from, func(authn.Provider) (saving, error) { return saving{}, nil })
	if err != nil {
		return State{}, err
	}
	return s.state(ctx, p)
}

// saving is what a change comes to.
type saving struct {
	doc      []byte // nil: no settings of its own
	host     string // for the event
	provides bool   // the company has a provider of its own
	writes   []authn.Write
}

// save stores the next version of a channel's settings, and tells all owners.
func (s *Service) save(ctx context.Context, by author, channel authn.Kind, from int64, change func(authn.Provider) (saving, error)) (authn.Provider, error) {
	k := by.keys
	if err := by.explain(); err != nil {
		return authn.Provider{}, err
	}
	p, err := s.c.Store.Provider(ctx, k.Company, channel)
	if err != nil {
		return p, fmt.Errorf("provider: %w", err)
	}
	if from != 0 && from != p.Version {
		return p, authn.Conflict
	}
	to, err := change(p)
	if err != nil {
		return p, fmt.Errorf("provider: %w", err)
	}
	if to.doc == nil && p.Settings == nil {
		return p, nil
	}
	next := authn.Provider{Company: p.Company, Channel: channel, Version: p.Version + 1, Settings: to.doc,
		Previous: p.Previous, PreviousUntil: p.PreviousUntil, UpdatedAt: k.Now}
	if !p.PreviousUntil.After(k.Now) {
		// A second change within the day is still told through what was there
		// before the first: else whoever made that would hear of it alone.
		next.Previous, next.PreviousUntil = p.Settings, k.Now.Add(TellFor)
	}
	changed, err := compared(channel, p.Settings, to.doc)
	if err != nil {
		return p, err
	}
	err = s.c.Store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if err := by.may(rows, k.Now); err != nil {
			return authn.Drop(err)
		}
		next.UpdatedBy = by.id(rows)
		ev := s.event("provider.changed", channel, rows, by, to.host)
		maps.Copy(ev.Personal.Detail, changed)
		told := authn.Letter{Template: "provider_changed", Channel: authn.Email, At: k.Now, Args: by.told(rows, channel)}
		if channel == authn.Email {
			told.Via = viaPrevious
		}
		return authn.Accept(ev, authn.SetProvider{Provider: next, Provides: to.provides}, authn.TellOwners{Letter: told}).With(to.writes...)
	})
	if err != nil {
		return p, fmt.Errorf("provider: %w", err)
	}
	return next, nil
}

func (s *Service) event(typ string, channel authn.Kind, rows *authn.Rows, by author, host string) authn.Event {
	now := by.keys.Now
	ev := authn.Event{Company: rows.Company.ID, ID: authn.NewID(authn.EventID, now, s.c.Random), Type: typ, Result: authn.Succeeded,
		Actor: by.id(rows), At: now, Personal: authn.Personal{Agent: by.client.Agent, Detail: map[string]string{"channel": string(channel)}}}
	if host != "" {
		ev.Personal.Detail["host"] = host
	}
	if by.reason != "" {
		ev.Personal.Detail["reason"] = by.reason
	}
	if by.client.Address.IsValid() {
		ev.Personal.Address = by.client.Address.String()
	}
	return ev
}

// Result is how a test went.
type Result struct {
	OK      bool
	Took    time.Duration
	Steps   []authn.MailStep
	Records authn.MailRecords
}

// Test tries settings without saving them; with an address it sends a message
// there. A zero change tries what is saved.
//
// Errors: Forbidden, StepUpRequired, PolicyForbids, Invalid, TooManyRequests.
func (s *Service) Test(ctx context.Context, w Who, ch Change, to string) (Result, error) {
	rows, err := s.view(ctx, w, s.fresh)
	if err != nil {
		return Result{}, err
	}
	m, err := s.tried(ctx, w, ch)
	if err != nil {
		return Result{}, fmt.Errorf("provider: %w", err)
	}
	now := s.c.Now()
	letter := authn.Letter{Company: *rows.Company, User: *rows.User, ID: authn.NewID(authn.MessageID, now, s.c.Random), Channel: authn.Email,
		Template: "test", To: strings.TrimSpace(to), At: now}
	message, err := s.message(letter)
	if err != nil {
		return Result{}, err
	}
	if err := s.spendTest(ctx, s.owner(w), authn.Email, m.Host); err != nil {
		return Result{}, err
	}
	return s.try(ctx, m, message)
}

// spendTest pays for one test, and puts on record what is tried before it is.
func (s *Service) spendTest(ctx context.Context, by author, channel authn.Kind, host string, writes ...authn.Write) error {
	k := by.keys
	if err := by.explain(); err != nil {
		return err
	}
	until, ok, err := s.c.Store.SpendTest(ctx, k.Company, channel, k.Now, testWindow, TestsPerHour)
	if err != nil {
		return fmt.Errorf("provider: %w", err)
	}
	if !ok {
		return &authn.Error{Code: authn.TooManyRequests, Key: "error.mail_tests", Args: map[string]any{"Most": TestsPerHour}, RetryAfter: until.Sub(k.Now)}
	}
	err = s.c.Store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if err := by.may(rows, k.Now); err != nil {
			return authn.Drop(err)
		}
		return authn.Accept(s.event("provider.tested", channel, rows, by, host), writes...)
	})
	if err != nil {
		return fmt.Errorf("provider: %w", err)
	}
	return nil
}

// tried are the settings that a test is about.
func (s *Service) tried(ctx context.Context, w Who, ch Change) (authn.MailSettings, error) {
	p, err := s.c.Store.Provider(ctx, w.Token.Company, authn.Email)
	if err != nil {
		return authn.MailSettings{}, err
	}
	if ch.MailSettings != (authn.MailSettings{}) || p.Settings == nil {
		return s.merge(p, ch)
	}
	return decode(p.Settings)
}

// message is what a test sends; the zero value: it only connects.
func (s *Service) message(l authn.Letter) (authn.Message, error) {
	if l.To == "" {
		return authn.Message{}, nil
	}
	if len(l.To) > authn.MaxLogin || strings.ContainsAny(l.To, " \r\n\t<>,;") || !strings.Contains(l.To, "@") {
		return authn.Message{}, authn.InvalidField("to", "invalid", nil)
	}
	m, err := s.c.Render(l)
	if err != nil {
		return m, fmt.Errorf("provider: test message: %w", err)
	}
	return m, nil
}

func (s *Service) try(ctx context.Context, m authn.MailSettings, message authn.Message) (Result, error) {
	start := time.Now() // not the configured clock: it measures
	var out Result
	var err error
	var both sync.WaitGroup
	both.Go(func() {
		_, domain, _ := strings.Cut(m.From, "@")
		out.Records = s.c.Mail.Records(ctx, domain)
	})
	steps, err := s.c.Mail.Try(ctx, m, message)
	took := time.Since(start)
	both.Wait()
	if err != nil {
		return Result{}, fmt.Errorf("provider: %w", err)
	}
	out.Steps, out.Took = steps, took
	out.OK = len(steps) > 0 && steps[len(steps)-1].OK
	return out, nil
}
