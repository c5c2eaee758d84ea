package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// StreamState is where a company's events are sent, as an owner sees it. The
// secret is never in it.
type StreamState struct {
	Channel   authn.Kind
	Own       bool // it has a target
	Version   int64
	Settings  authn.StreamSettings
	HasSecret bool
	UpdatedAt time.Time
	UpdatedBy string
	Health    Health // None, Untried, Working or Failing
	Stream    authn.Stream
}

// StreamChange is what an owner typed. An empty secret keeps the saved one, where
// the address is the saved one too (ruling 32).
type StreamChange struct {
	authn.StreamSettings
	All  bool // a new stream begins with the oldest event that is kept
	From int64
}

// syslogPort is that of RFC 5425.
const syslogPort = 6514

// HasStreams reports whether events can be sent elsewhere here.
func (s *Service) HasStreams() bool { return s != nil && len(s.c.Streams) > 0 }

func (s *Service) streamSender(channel authn.Kind) (authn.StreamSender, error) {
	if s == nil || s.c.Streams[channel] == nil {
		return nil, authn.NotFound
	}
	return s.c.Streams[channel], nil
}

// Streams are where a company's events are sent.
//
// Errors: Forbidden, NotFound (this server sends none).
func (s *Service) Streams(ctx context.Context, w Who) ([]StreamState, error) {
	if !s.HasStreams() {
		return nil, authn.NotFound
	}
	if _, err := s.view(ctx, w, allowed); err != nil {
		return nil, err
	}
	return s.StreamsOf(ctx, w.Token.Company)
}

// StreamsOf is Streams for the operator: one state for each kind.
func (s *Service) StreamsOf(ctx context.Context, company string) ([]StreamState, error) {
	going, err := s.c.Store.Streams(ctx, company)
	if err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	var list []StreamState
	for _, channel := range authn.StreamKinds() {
		if s.c.Streams[channel] == nil {
			continue
		}
		p, err := s.c.Store.Provider(ctx, company, channel)
		if err != nil {
			return nil, fmt.Errorf("provider: %w", err)
		}
		st := StreamState{Channel: channel, Own: p.Settings != nil, Version: p.Version, UpdatedAt: p.UpdatedAt, UpdatedBy: p.UpdatedBy, Health: None}
		if st.Settings, err = decodeStream(p.Settings); err != nil {
			return nil, err
		}
		st.HasSecret, st.Settings.Secret = st.Settings.Secret != "", ""
		if i := slices.IndexFunc(going, func(g authn.Stream) bool { return g.Channel == channel }); i >= 0 && st.Own {
			st.Stream, st.Health = going[i], Working
			switch {
			case st.Stream.Failed != "":
				st.Health = Failing
			case st.Stream.SentAt.IsZero():
				st.Health = Untried
			}
		}
		list = append(list, st)
	}
	return list, nil
}

func (s *Service) streamOf(ctx context.Context, company string, channel authn.Kind) (StreamState, error) {
	list, err := s.StreamsOf(ctx, company)
	if err != nil {
		return StreamState{}, err
	}
	for _, st := range list {
		if st.Channel == channel {
			return st, nil
		}
	}
	return StreamState{}, authn.NotFound
}

func decodeStream(b []byte) (to authn.StreamSettings, err error) {
	if b != nil && json.Unmarshal(b, &to) != nil {
		return to, errors.New("provider: stored settings cannot be read")
	}
	return to, nil
}

func (s *Service) mergeStream(channel authn.Kind, p authn.Provider, ch StreamChange) (authn.StreamSettings, error) {
	sender, err := s.streamSender(channel)
	if err != nil {
		return authn.StreamSettings{}, err
	}
	to := authn.StreamSettings{URL: strings.TrimSpace(ch.URL), Secret: ch.Secret}
	if channel == authn.AuditSyslog {
		to = authn.StreamSettings{Host: strings.ToLower(strings.TrimSpace(ch.Host)), Port: ch.Port, CA: strings.TrimSpace(ch.CA),
			Certificate: strings.TrimSpace(ch.Certificate), Secret: strings.TrimSpace(ch.Secret)}
		if to.Port == 0 {
			to.Port = syslogPort
		}
	}
	saved, err := decodeStream(p.Settings)
	if err != nil {
		return to, err
	}
	again := false
	// Without a certificate there is no key.
	if to.Secret == "" && saved.Secret != "" && (channel != authn.AuditSyslog || to.Certificate != "") {
		if again = saved.Target() != to.Target(); !again {
			to.Secret = saved.Secret
		}
	}
	fields := sender.Check(to)
	for _, part := range []struct{ name, pem string }{{"ca", to.CA}, {"certificate", to.Certificate}, {"key", to.Secret}} {
		if len(part.pem) > maxCA {
			fields = append(fields, authn.Field{Name: part.name, Code: "too_long", Args: map[string]any{"Max": maxCA}})
		}
	}
	for i := range fields {
		if again && (fields[i].Name == "secret" || fields[i].Name == "key") {
			fields[i].Code, fields[i].Key = "again", "field.again_secret"
		}
	}
	if len(fields) > 0 {
		return to, &authn.Error{Code: authn.Invalid, Fields: fields}
	}
	return to, nil
}

// maxCA bounds a company's certificates, in bytes.
const maxCA = 16 << 10

// targetHost is what events of a change say of the target.
func targetHost(to authn.StreamSettings) string {
	if to.Host != "" {
		return to.Host
	}
	_, rest, _ := strings.Cut(to.URL, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// SetStream saves where a company's events are sent. The target need not answer.
//
// Errors: as SetTexts.
func (s *Service) SetStream(ctx context.Context, w Who, channel authn.Kind, ch StreamChange) (StreamState, error) {
	if _, err := s.streamSender(channel); err != nil {
		return StreamState{}, err
	}
	if err := s.Ready(ctx, w); err != nil {
		return StreamState{}, err
	}
	return s.setStream(ctx, s.owner(w), channel, ch)
}

func (s *Service) setStream(ctx context.Context, by author, channel authn.Kind, ch StreamChange) (StreamState, error) {
	_, err := s.save(ctx, by, channel, ch.From, func(p authn.Provider) (saving, error) {
		to, err := s.mergeStream(channel, p, ch)
		if err != nil {
			return saving{}, err
		}
		doc, err := json.Marshal(to)
		return saving{doc: doc, host: targetHost(to), writes: []authn.Write{authn.SetStream{Channel: channel, On: true, All: ch.All}}}, err
	})
	if err != nil {
		return StreamState{}, err
	}
	return s.streamOf(ctx, by.keys.Company, channel)
}

// RemoveStream ends the sending of events. A stream that is set up again later
// does not go on where this one was.
//
// Errors: as SetTexts.
func (s *Service) RemoveStream(ctx context.Context, w Who, channel authn.Kind, from int64) (StreamState, error) {
	if _, err := s.streamSender(channel); err != nil {
		return StreamState{}, err
	}
	if err := s.Ready(ctx, w); err != nil {
		return StreamState{}, err
	}
	return s.removeStream(ctx, s.owner(w), channel, from)
}

func (s *Service) removeStream(ctx context.Context, by author, channel authn.Kind, from int64) (StreamState, error) {
	_, err := s.save(ctx, by, channel, from, func(authn.Provider) (saving, error) {
		return saving{writes: []authn.Write{authn.SetStream{Channel: channel}}}, nil
	})
	if err != nil {
		return StreamState{}, err
	}
	return s.streamOf(ctx, by.keys.Company, channel)
}

// StreamResult is how a test went.
type StreamResult struct {
	OK     bool
	Took   time.Duration
	Stage  string // "connect", "encrypt" or "accept"; empty: it went well
	Reason string
	Code   string // status of a webhook
}

// TestStream sends one line of the type "audit.test" that is no event. A zero
// change tries what is saved.
//
// Errors: Forbidden, StepUpRequired, PolicyForbids, Invalid, TooManyRequests.
func (s *Service) TestStream(ctx context.Context, w Who, channel authn.Kind, ch StreamChange) (StreamResult, error) {
	if _, err := s.view(ctx, w, s.fresh); err != nil {
		return StreamResult{}, err
	}
	return s.testStream(ctx, s.owner(w), channel, ch)
}

func (s *Service) testStream(ctx context.Context, by author, channel authn.Kind, ch StreamChange) (StreamResult, error) {
	sender, err := s.streamSender(channel)
	if err != nil {
		return StreamResult{}, err
	}
	p, err := s.c.Store.Provider(ctx, by.keys.Company, channel)
	if err != nil {
		return StreamResult{}, fmt.Errorf("provider: %w", err)
	}
	to, err := decodeStream(p.Settings)
	if err == nil && (ch.StreamSettings != (authn.StreamSettings{}) || p.Settings == nil) {
		to, err = s.mergeStream(channel, p, ch)
	}
	if err != nil {
		return StreamResult{}, fmt.Errorf("provider: %w", err)
	}
	if err := s.spendTest(ctx, by, channel, targetHost(to)); err != nil {
		return StreamResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	start := time.Now() // not the configured clock: it measures
	doc, err := json.Marshal(map[string]string{"type": "audit.test", "company": by.keys.Company, "at": by.keys.Now.UTC().Format(time.RFC3339), "text": "A test. It is no event."})
	if err != nil {
		return StreamResult{}, err
	}
	err = sender.Send(ctx, to, authn.StreamBatch{Company: by.keys.Company, Lines: []authn.StreamLine{{Type: "audit.test", At: by.keys.Now, JSON: doc}}})
	out := StreamResult{OK: err == nil, Took: time.Since(start)}
	var e *authn.SendError
	if errors.As(err, &e) {
		out.Stage, out.Reason, out.Code = e.Stage, e.Reason, e.Code
	}
	return out, nil
}

// StreamText is the key of what a test of a stream came to; has asks the catalogue.
func StreamText(r StreamResult, has func(string) bool) string {
	if r.OK {
		return "admin.stream.test_ok"
	}
	for _, key := range []string{"admin.stream.failed." + r.Reason, "admin.stream.failed." + r.Stage} {
		if has(key) {
			return key
		}
	}
	return "admin.stream.failed.other"
}

// Months that a company can keep its events for (PCI DSS 10.5.1 wants 12).
const (
	KeepLeast = 3
	KeepMost  = 120
)

// keepChannel is what events and letters call the change of how long events are kept.
const keepChannel authn.Kind = "audit_keep"

// SetKeep says how many months a company keeps its events: 0, for ever, or 3 to 120.
// All owners are told.
//
// Errors: Forbidden, StepUpRequired, PolicyForbids, Invalid (field months).
func (s *Service) SetKeep(ctx context.Context, w Who, months int) error {
	if err := s.Ready(ctx, w); err != nil {
		return err
	}
	return s.setKeep(ctx, s.owner(w), months)
}

func (s *Service) setKeep(ctx context.Context, by author, months int) error {
	if months != 0 && (months < KeepLeast || months > KeepMost) {
		return &authn.Error{Code: authn.Invalid, Fields: []authn.Field{{Name: "months", Code: "out_of_range", Key: "field.months", Args: map[string]any{"Min": KeepLeast, "Max": KeepMost}}}}
	}
	if err := by.explain(); err != nil {
		return err
	}
	k := by.keys
	was, err := s.c.Store.Keep(ctx, k.Company)
	if err != nil || was.Months == months {
		return err
	}
	err = s.c.Store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if err := by.may(rows, k.Now); err != nil {
			return authn.Drop(err)
		}
		ev := s.event("audit.retention_changed", keepChannel, rows, by, "")
		ev.Personal.Detail["before"], ev.Personal.Detail["after"] = strconv.Itoa(was.Months), strconv.Itoa(months)
		return authn.Accept(ev, authn.SetKeep{Months: months}, authn.TellOwners{Letter: authn.Letter{Template: "provider_changed", Channel: authn.Email, At: k.Now,
			Args: by.told(rows, keepChannel)}})
	})
	if err != nil {
		return fmt.Errorf("provider: %w", err)
	}
	return nil
}

// SetStream is Service.SetStream.
//
// Errors: Invalid, Conflict, NotFound (this server sends none).
func (o Operator) SetStream(ctx context.Context, company string, channel authn.Kind, ch StreamChange) (StreamState, error) {
	return o.s.setStream(ctx, o.author(company), channel, ch)
}

// RemoveStream is Service.RemoveStream.
//
// Errors: Conflict, NotFound (this server sends none).
func (o Operator) RemoveStream(ctx context.Context, company string, channel authn.Kind) (StreamState, error) {
	return o.s.removeStream(ctx, o.author(company), channel, 0)
}

// TestStream tries what a company has saved.
//
// Errors: Invalid (nothing is saved), TooManyRequests, NotFound.
func (o Operator) TestStream(ctx context.Context, company string, channel authn.Kind) (StreamResult, error) {
	return o.s.testStream(ctx, o.author(company), channel, StreamChange{})
}

// SetKeep is Service.SetKeep.
//
// Errors: Invalid (field months).
func (o Operator) SetKeep(ctx context.Context, company string, months int) error {
	return o.s.setKeep(ctx, o.author(company), months)
}
