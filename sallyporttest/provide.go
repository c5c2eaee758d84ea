package sallyporttest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/method/duo"
	"github.com/sallyport-mfa/sallyport/policy"
)

// UseTexts gives a company a provider of text messages, the inbox, and lets it send
// to Sweden, Poland and the United States. Change may adjust the settings.
func (s *Server) UseTexts(t testing.TB, company authn.Company, change ...func(*authn.TextSettings)) {
	t.Helper()
	set := authn.TextSettings{Providers: []authn.TextProvider{{Driver: "inbox"}}, Countries: []string{"SE", "PL", "US"}}
	for _, f := range change {
		f(&set)
	}
	doc, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	s.provide(t, company, authn.SMS, doc)
}

// SavesAgain saves the settings that a company has of a channel as somebody of its
// people would: what a provider may do depends on who set it (ruling 19).
func (s *Server) SavesAgain(t testing.TB, u authn.User, channel authn.Kind) {
	t.Helper()
	p, err := s.Store.Provider(context.Background(), u.Company, channel)
	if err != nil {
		t.Fatal(err)
	}
	s.save(t, u.Company, channel, p.Settings, u.ID)
}

// provide saves a company's provider of a channel as the operator would.
func (s *Server) provide(t testing.TB, company authn.Company, channel authn.Kind, doc []byte, more ...authn.Write) {
	t.Helper()
	s.save(t, company.ID, channel, doc, directory.Operator, more...)
}

func (s *Server) save(t testing.TB, company string, channel authn.Kind, doc []byte, by string, more ...authn.Write) {
	t.Helper()
	now := s.Clock.Now()
	before, err := s.Store.Provider(context.Background(), company, channel)
	if err != nil {
		t.Fatal(err)
	}
	ev := authn.Event{Company: company, ID: authn.NewID(authn.EventID, now, rand.Reader), Type: "provider.changed", Actor: by, Result: authn.Succeeded, At: now}
	p := authn.Provider{Company: company, Channel: channel, Version: before.Version + 1, Settings: doc, UpdatedAt: now, UpdatedBy: by}
	err = s.Store.Decide(context.Background(), authn.Keys{Company: company, Now: now}, func(*authn.Rows) authn.Verdict {
		return authn.Accept(ev, append([]authn.Write{authn.SetProvider{Provider: p, Provides: doc != nil && len(more) == 0}}, more...)...)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// SetPolicy changes a company's policy document.
func (s *Server) SetPolicy(t testing.TB, company string, change func(*policy.Document)) {
	t.Helper()
	c, err := s.Directory.Company(context.Background(), company)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := policy.Parse(c.Policy)
	if err != nil {
		t.Fatal(err)
	}
	change(&doc)
	if err := s.Directory.SetPolicy(context.Background(), c.ID, doc, c.PolicyVersion); err != nil {
		t.Fatal(err)
	}
}

// AddPhone gives a person a confirmed way by text message, as if it was set up now.
func (s *Server) AddPhone(t testing.TB, u authn.User, number string) (id string) {
	t.Helper()
	data, err := json.Marshal(map[string]string{"ends": number[len(number)-2:]})
	if err != nil {
		t.Fatal(err)
	}
	return s.addFactor(t, u, authn.NewFactor{Factor: authn.Factor{Kind: authn.SMS, Data: data}, Secret: []byte(number), Subject: "sms:" + number})
}

// UseDuo gives a company the application of a pretend Duo, s.Duo, which is started
// by the first call.
func (s *Server) UseDuo(t testing.TB, company authn.Company) *Duo {
	t.Helper()
	if s.Duo == nil {
		s.Duo = NewDuo(t, DuoConfig{Now: s.Clock.Now, Poll: 100 * time.Millisecond})
	}
	s.provide(t, company, authn.Duo, s.Duo.Settings())
	return s.Duo
}

// AddDuo gives a person a confirmed way by Duo, under a name that Duo knows; if it does
// not yet, they have a phone there from now on.
func (s *Server) AddDuo(t testing.TB, u authn.User, username string) (id string) {
	t.Helper()
	secret, err := json.Marshal(map[string]string{"username": username})
	if err != nil {
		t.Fatal(err)
	}
	if s.Duo != nil && !slices.ContainsFunc(s.Duo.Users(), func(known DuoUser) bool { return strings.EqualFold(known.Username, username) }) {
		s.Duo.AddUser(DuoUser{Username: username, Devices: []DuoDevice{DuoPhone("DP-" + username)}})
	}
	return s.addFactor(t, u, authn.NewFactor{Factor: authn.Factor{Kind: authn.Duo}, Secret: secret, Subject: "duo:" + username})
}

// addFactor gives a person a confirmed factor, as if it was set up now.
func (s *Server) addFactor(t testing.TB, u authn.User, w authn.NewFactor, more ...authn.Write) string {
	t.Helper()
	now := s.Clock.Now()
	f := &w.Factor
	f.Company, f.User, f.State = u.Company, u.ID, authn.Pending
	if f.ID == "" {
		f.ID = authn.NewID(authn.FactorID, now, rand.Reader)
	}
	f.Epoch, f.CreatedAt, f.ExpiresAt = u.Epoch, now, now.Add(time.Hour)
	ev := authn.Event{Company: u.Company, ID: authn.NewID(authn.EventID, now, rand.Reader), Type: "factor.confirmed",
		Actor: directory.Operator, Target: u.ID, Result: authn.Succeeded, At: now}
	err := s.Store.Decide(context.Background(), authn.Keys{Company: u.Company, User: u.ID, Now: now}, func(*authn.Rows) authn.Verdict {
		return authn.Accept(ev, append(append([]authn.Write{w}, more...), authn.ActivateFactor{ID: f.ID, At: now})...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return f.ID
}

// duoMethod is the method of Duo, which reaches the pretend Duo of the server.
func (s *Server) duoMethod(t testing.TB) *duo.Method {
	t.Helper()
	m, err := duo.New(duo.Config{HTTP: &http.Client{}, Now: s.Clock.Now, Sleep: short, Base: func(string) string {
		if s.Duo == nil {
			return "http://127.0.0.1:1" // nobody listens there
		}
		return s.Duo.HTTP.URL
	}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// LetIn makes a company of UseDuo count whom Duo lets in without asking.
func (s *Server) LetIn(t testing.TB, company authn.Company) {
	t.Helper()
	var set authn.DuoSettings
	if err := json.Unmarshal(s.Duo.Settings(), &set); err != nil {
		t.Fatal(err)
	}
	set.LetIn = true
	doc, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	s.provide(t, company, authn.Duo, doc)
}

// short is a pause of the method that nobody has to wait for: the clock of a test
// stands still, so that every poll of Duo looks too quick.
func short(ctx context.Context, _ time.Duration) error {
	select {
	case <-time.After(20 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
