package sqlite

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// TestPlans: no statement of the store reads a whole table, so that the cost of
// a sign-in does not grow with the number of people and events.
func TestPlans(t *testing.T) {
	b := newBed(t, t.TempDir(), 2)
	ctx := context.Background()
	b.everyStatement(ctx)
	b.everyReportStatement(ctx)
	texts := slices.Sorted(maps.Keys(b.w.stmts))
	texts = append(texts, slices.Sorted(maps.Keys(b.r.stmts))...)
	if len(texts) < 100 {
		t.Errorf("only %d statements were run", len(texts))
	}
	for _, table := range []string{"companies", "users", "logins", "factors", "throttles", "attempts", "sessions", "devices", "forms", "events", "chains",
		"leases", "meta", "saved_codes", "challenges", "links", "outbox", "budgets", "providers", "provider_health", "policy_versions", "policy_reminders", "branding", "brand_files", "event_counts", "audit_streams", "audit_anchors"} {
		if !b.ran("INSERT INTO " + table + " ") {
			t.Errorf("nothing is put into %s", table)
		}
	}
	if !b.ran("SELECT email, locale FROM users INDEXED BY users_shape") {
		t.Error("nobody is looked for by their role")
	}
	for _, text := range texts {
		if first, _, _ := strings.Cut(text, " "); !slices.Contains([]string{"SELECT", "UPDATE", "INSERT", "DELETE"}, first) {
			continue
		}
		if strings.Contains(text, "factors_2") || strings.HasPrefix(text, "UPDATE users SET owner =") || strings.HasPrefix(text, "UPDATE users SET had_factor_at =") ||
			strings.HasPrefix(text, "UPDATE companies SET provides = 'email'") ||
			strings.HasPrefix(text, "INSERT INTO policy_versions SELECT") {
			continue // a migration, once
		}
		steps := b.plan(text)
		for part, index := range map[string]string{"e.id < $2 AND e.target =": "events_target", "e.id < $2 AND e.actor =": "events_actor", "e.id < $2 AND e.type =": "events_type"} {
			if strings.Contains(text, part) && !strings.Contains(strings.Join(steps, " "), index) {
				t.Errorf("%s\n\tdoes not use %s: %q", text, index, steps)
			}
		}
		for _, step := range steps {
			switch {
			case strings.HasPrefix(step, "SEARCH b USING"), strings.HasPrefix(step, "SEARCH branding USING"): // a company has one
			case strings.HasSuffix(step, "PRIMARY KEY (company=?)") && !strings.Contains(text, "FROM company_keys") && !strings.Contains(text, "FROM policy_reminders") && !strings.Contains(text, "chains") && !strings.Contains(text, "audit_") &&
				!strings.Contains(text, "FROM outbox WHERE company = $1 AND channel"): // what waits is what an owner asks for
				t.Errorf("%s\n\t%s: all rows of a company", text, step)
			case !strings.Contains(step, "SCAN"), strings.Contains(step, "CONSTANT ROW"):
			case step == "SCAN w": // the bounded part of a search
			case strings.Contains(text, "FROM companies c WHERE c.erased_at = 0 ORDER BY"), strings.HasSuffix(step, "INDEX companies_erased"), strings.Contains(text, "$1 = ''"), strings.Contains(text, "FROM migrations"),
				strings.Contains(text, "FROM leases"), strings.Contains(text, "count(*) FROM companies"),
				strings.Contains(text, "FROM events WHERE seq IS NULL"), strings.HasSuffix(text, "FROM outbox"): // few rows, not on the way of a sign-in
			default:
				t.Errorf("%s\n\t%s", text, step)
			}
		}
	}
}

func (b *bed) plan(text string) []string {
	b.t.Helper()
	rows, err := b.beside().Query("EXPLAIN QUERY PLAN "+text, make([]any, strings.Count(text, "$"))...)
	if err != nil {
		b.t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			b.t.Fatal(err)
		}
		steps = append(steps, detail)
	}
	return steps
}

// ran reports whether the statement was run by the writer or a reader.
func (b *bed) ran(part string) bool {
	return slices.ContainsFunc(slices.Concat(slices.Collect(maps.Keys(b.w.stmts)), slices.Collect(maps.Keys(b.r.stmts))), func(text string) bool {
		return strings.Contains(text, part)
	})
}

// everyStatement makes the store use what it has.
func (b *bed) everyStatement(ctx context.Context) {
	b.t.Helper()
	u, f := b.users[0], b.factors[0]
	att, ses := b.id(authn.AttemptID), b.id(authn.SessionID)
	at := authn.NewToken(authn.AttemptToken, b.company, att, zero{})
	st := authn.NewToken(authn.SessionToken, b.company, ses, zero{})
	later := b.now.Add(time.Hour)
	accept := func(k authn.Keys, writes ...authn.Write) {
		b.t.Helper()
		k.Company, k.Now, k.Browser = b.company, b.now, "b"
		b.must(b.Decide(ctx, k, func(*authn.Rows) authn.Verdict {
			return authn.Accept(authn.Event{Type: "x", Target: "usr_other", Personal: authn.Personal{Agent: "x"}}, writes...)
		}))
		_, err := b.View(ctx, k)
		b.must(err)
	}
	accept(authn.Keys{User: u}, authn.NewAttempt{Attempt: authn.Attempt{ID: att, ExpiresAt: later, Version: 1}, Token: at},
		authn.NewSession{Session: authn.Session{ID: ses, Attempt: att, ExpiresAt: later}, Token: st}, authn.KnowBrowser{},
		authn.SetPassword{ID: b.id(authn.FactorID), Hash: []byte("h")}, authn.Rehash{Old: []byte("h"), New: []byte("i")},
		authn.PutUser{User: authn.User{ID: u}})
	accept(authn.Keys{SessionToken: st, Form: att}, authn.KeepForm{Attempt: att, Form: authn.Form{ExpiresAt: b.now.Add(time.Minute)}})
	accept(authn.Keys{SessionToken: st, Form: att, TakeForm: true})
	accept(authn.Keys{User: u}, authn.SetProvider{Provider: authn.Provider{Channel: authn.Email, Version: 1, Settings: []byte("{}")}})
	for version := range int64(2) {
		accept(authn.Keys{User: u}, authn.SetBranding{Branding: authn.Branding{Version: version + 1}, Files: []authn.LogoFile{{Kind: "logo", Hash: "h", Bytes: []byte("x")}, {Kind: "logo_dark"}}})
	}
	b.must(b.PutLogoDraft(ctx, b.company, authn.LogoFile{Kind: "logo", Hash: "h", Bytes: []byte("x")}, b.now))
	_, err := b.LogoDraft(ctx, b.company, "logo", "h", b.now)
	b.must(err)
	_, err = b.Branding(ctx, b.company)
	b.must(err)
	if _, err = b.Logo(ctx, "nobody", "h"); !errors.Is(err, authn.NotFound) {
		b.t.Fatal(err)
	}
	_, err = b.Provider(ctx, b.company, authn.Email)
	b.must(err)
	b.must(b.ProviderNoted(ctx, b.company, authn.Email, 1, b.now, ""))
	b.must(b.ProviderNoted(ctx, b.company, authn.Email, 1, b.now, "connect"))
	for range 2 {
		_, _, err = b.SpendTest(ctx, b.company, authn.Email, b.now, time.Hour, 1)
		b.must(err)
	}
	_, err = b.CompanyOutbox(ctx, b.company, authn.Email)
	b.must(err)
	_, err = b.Standing(ctx)
	b.must(err)
	tru := b.id(authn.TrustID)
	tt := authn.NewToken(authn.TrustToken, b.company, tru, zero{})
	accept(authn.Keys{User: u}, authn.NewTrust{Trust: authn.Trust{ID: tru, ExpiresAt: later}, Token: tt})
	accept(authn.Keys{User: u, TrustToken: tt}, authn.RotateTrust{Trust: authn.Trust{ID: tru}, Token: tt.Next(zero{})})
	_, err = b.Trusted(ctx, b.company, u)
	b.must(err)
	accept(authn.Keys{User: u}, authn.EndTrust{ID: tru}, authn.EndTrust{}, authn.ForgetBrowsers{}, authn.KnowBrowser{})
	accept(authn.Keys{AttemptToken: at}, authn.PutAttempt{Attempt: authn.Attempt{ID: att, Version: 2, ExpiresAt: later}})
	accept(authn.Keys{SessionToken: st}, authn.PutSession{Session: authn.Session{ID: ses}})
	for _, o := range []authn.Outcome{authn.Wrong, authn.Void, authn.Right} {
		accept(authn.Keys{User: u, Factor: f, Charge: authn.GuessFactor}, authn.Settle{Outcome: o, PausedUntil: b.now})
		accept(authn.Keys{Login: "user0", Charge: authn.GuessPassword}, authn.Settle{Outcome: o, PausedUntil: b.now})
		accept(authn.Keys{Login: "user0", Charge: authn.SettlePassword}, authn.Settle{Outcome: o, PausedUntil: b.now})
	}
	next := b.id(authn.FactorID)
	accept(authn.Keys{User: u}, authn.NewFactor{Factor: authn.Factor{ID: next, Kind: authn.TOTP, State: authn.Pending, ExpiresAt: later}})
	_, err = b.PendingSecret(ctx, authn.Keys{Company: b.company, User: u, Now: b.now, Factor: next})
	b.must(err)
	accept(authn.Keys{User: u}, authn.ActivateFactor{ID: next}, authn.PutFactor{Factor: authn.Factor{ID: next, State: authn.Asleep}}, authn.DeleteFactor{ID: next},
		authn.EndSession{ID: ses}, authn.EndSessions{}, authn.EndAttempts{})
	accept(authn.Keys{}, authn.SetPolicy{Version: 1})
	b.everyPolicyStatement(ctx)
	b.everyAccountStatement(ctx)
	b.everyTextStatement(ctx)
	_, err = b.SealEvents(ctx, b.company, b.now, 0, func([]byte, int64, authn.Event, []byte) []byte { return []byte{1} })
	b.must(err)
	b.must(b.Sweep(ctx, b.now))
	b.must(b.Ready(ctx))
	_, err = b.Companies(ctx)
	b.must(err)
	_, err = b.CompanyBySlug(ctx, "acme")
	b.must(err)
	_, err = b.Users(ctx, b.company, "", 0)
	b.must(err)
	_, err = b.Sessions(ctx, b.company, u)
	b.must(err)
	b.everyAuditStatement(ctx)
}

// everyAuditStatement is about the event log.
func (b *bed) everyAuditStatement(ctx context.Context) {
	b.t.Helper()
	for _, q := range []authn.EventQuery{{}, {Target: b.users[0]}, {Actor: b.users[0]}, {Type: "x"}, {Type: "x."}} {
		_, err := b.Events(ctx, b.company, q)
		b.must(err)
	}
	_, err := b.Names(ctx, b.company, b.users)
	b.must(err)
	b.must(b.decide(b.users[0], authn.SetStream{Channel: authn.AuditSyslog, On: true}, authn.SetKeep{Months: 3}))
	_, err = b.DueStreams(ctx, b.now, 0)
	b.must(err)
	_, err = b.Streams(ctx, b.company)
	b.must(err)
	_, err = b.StreamMoved(ctx, authn.Stream{Company: b.company, Channel: authn.AuditSyslog}, 1, b.now)
	b.must(err)
	b.must(b.StreamFailed(ctx, authn.Stream{Company: b.company, Channel: authn.AuditSyslog}, b.now, "connect"))
	b.must(b.decide(b.users[0], authn.SetStream{Channel: authn.AuditSyslog}))
	_, err = b.Keep(ctx, b.company)
	b.must(err)
	_, _, err = b.Keeping(ctx, "", 0)
	b.must(err)
	end, _, err := b.PruneEnd(ctx, b.company, b.now.Add(time.Hour), b.now, 2)
	b.must(err)
	_, err = b.PruneEvents(ctx, b.company, end, 1, b.now)
	b.must(err)
}

// everyPolicyStatement is about the history, previews and reminders.
func (b *bed) everyPolicyStatement(ctx context.Context) {
	b.t.Helper()
	_, err := b.PolicyVersions(ctx, b.company, 0, 0)
	b.must(err)
	_, err = b.PolicyVersion(ctx, b.company, 1)
	b.must(err)
	_, err = b.People(ctx, b.company, "", 0)
	b.must(err)
	at, err := b.Reminders(ctx, b.company)
	b.must(err)
	b.must(b.Remind(ctx, authn.Keys{Company: b.company, Now: b.now}, at, authn.Reminders{Company: b.company, Rollout: "r", Days: 3}, nil))
}

// everyAccountStatement is about codes, links and letters.
func (b *bed) everyAccountStatement(ctx context.Context) {
	b.t.Helper()
	u, later := b.users[1], b.now.Add(time.Hour)
	b.must(b.decide(u, authn.PutUser{User: authn.User{ID: u, Email: "a@acme.example", EmailVerifiedAt: b.now, Status: authn.Active, Roles: []string{"owner"}}}))
	att, ses, lnk := b.id(authn.AttemptID), b.id(authn.SessionID), b.id(authn.LinkID)
	at := authn.NewToken(authn.AttemptToken, b.company, att, zero{})
	st := authn.NewToken(authn.SessionToken, b.company, ses, zero{})
	lt := authn.NewToken(authn.LinkToken, b.company, lnk, zero{})
	tell := func(k authn.Keys, writes ...authn.Write) {
		b.t.Helper()
		k.Company, k.Now, k.Browser = b.company, b.now, "c"
		b.must(b.Decide(ctx, k, func(*authn.Rows) authn.Verdict {
			return authn.Accept(authn.Event{Type: "tell", Target: u}, writes...)
		}))
		k.Sent = true
		_, err := b.View(ctx, k)
		b.must(err)
	}
	mail, codes, bypass := b.id(authn.FactorID), b.id(authn.FactorID), b.id(authn.FactorID)
	tell(authn.Keys{User: u}, authn.NewAttempt{Attempt: authn.Attempt{ID: att, ExpiresAt: later, Version: 1}, Token: at},
		authn.NewSession{Session: authn.Session{ID: ses, ExpiresAt: later, Attempt: att}, Token: st},
		authn.NewLink{Link: authn.Link{ID: lnk, Purpose: authn.InvitationLink, ExpiresAt: later}, Token: lt},
		authn.NewFactor{Factor: authn.Factor{ID: mail, Kind: authn.Email, State: authn.Fallback}},
		authn.NewFactor{Factor: authn.Factor{ID: codes, Kind: authn.BackupCode, State: authn.Confirmed, Attempt: att, CreatedAt: b.now, Left: 1}, Secret: []byte("s")},
		authn.NewCodes{Factor: codes, Codes: []authn.SavedCode{{N: 1, Prefix: "AB", Hash: []byte("h")}}},
		authn.NewFactor{Factor: authn.Factor{ID: bypass, Kind: authn.BypassCode, State: authn.Confirmed, ExpiresAt: later}, Secret: []byte("s")},
		authn.SetEmail{Email: "b@acme.example"}, authn.TellOwners{Letter: authn.Letter{Template: "x"}},
		authn.PutUser{User: authn.User{ID: u, Email: "b@acme.example", EmailVerifiedAt: b.now, Status: authn.Active, Roles: []string{"owner"}}},
		authn.TellOwners{Letter: authn.Letter{Template: "x"}, Also: []string{"owner"}}, authn.KnowBrowser{}, authn.ForgetBrowsers{})
	_, err := b.ShownCodes(ctx, authn.Keys{Company: b.company, SessionToken: st, Now: b.now, Factor: codes})
	b.must(err)
	c := authn.Challenge{ID: b.id(authn.MessageID), Attempt: att, Factor: mail, Kind: authn.Email, Destination: "b@acme.example", Sends: 1, CreatedAt: b.now, ExpiresAt: later}
	tell(authn.Keys{AttemptToken: at, Sent: true}, authn.NewChallenge{Challenge: c}, authn.NewLetter{Letter: authn.Letter{ID: b.id(authn.MessageID), To: "b@acme.example"}, Challenge: c.ID})
	c.Sends++
	tell(authn.Keys{AttemptToken: at, Sent: true}, authn.PutChallenge{Challenge: c})
	letters, err := b.ClaimLetters(ctx, b.now, 0, time.Minute)
	b.must(err)
	if len(letters) < 4 {
		b.t.Errorf("%d letters", len(letters))
	}
	b.must(b.LetterFailed(ctx, b.company, letters[0].ID, b.now, "", nil))
	b.must(b.LetterFailed(ctx, b.company, letters[0].ID, b.now, "x", nil))
	b.must(b.LetterFailed(ctx, b.company, letters[0].ID, b.now, "x", &authn.Event{Type: "x", At: b.now}))
	b.must(b.LetterSent(ctx, b.company, letters[1].ID, b.now))
	_, err = b.beside().Exec("UPDATE outbox SET sealed = x'00', next_at = 0")
	b.must(err)
	_, err = b.ClaimLetters(ctx, b.now, 0, time.Minute)
	b.must(err)
	_, err = b.OutboxState(ctx)
	b.must(err)
	tell(authn.Keys{AttemptToken: at, Sent: true, Factor: mail, Charge: authn.GuessFactor}, authn.ConsumeChallenges{Factor: mail}, authn.Settle{Outcome: authn.Right})
	tell(authn.Keys{AttemptToken: at, Factor: codes, Charge: authn.GuessFactor}, authn.SpendCode{Factor: codes, N: 1}, authn.DropSecret{ID: codes})
	tell(authn.Keys{AttemptToken: at, Factor: bypass, Charge: authn.GuessFactor}, authn.DeleteFactor{ID: bypass})
	tell(authn.Keys{LinkToken: lt}, authn.SpendLink{}, authn.ForgetBrowsers{All: true})
	b.must(b.SetSupport(ctx, b.company, "call us", authn.Event{Type: "company.changed", At: b.now}))
}

// everyReportStatement is about summaries.
func (b *bed) everyReportStatement(ctx context.Context) {
	b.t.Helper()
	_, err := b.EventCounts(ctx, b.company, authn.CountQuery{Types: []string{"x"}, Until: b.now})
	b.must(err)
	_, err = b.OldestUnsealed(ctx, b.company)
	b.must(err)
	_, err = b.Owners(ctx, b.company)
	b.must(err)
	_, err = b.Wrong(ctx, b.company, 0)
	b.must(err)
	_, err = b.GraceBegun(ctx, b.company, b.now, b.now, 5)
	b.must(err)
	_, err = b.ExemptionsEnding(ctx, b.company, b.now, b.now, 5)
	b.must(err)
	_, err = b.PasswordsKnown(ctx, b.company, 5)
	b.must(err)
}

// everyTextStatement is about text messages and outside services.
func (b *bed) everyTextStatement(ctx context.Context) {
	b.t.Helper()
	u, later := b.users[0], b.now.Add(time.Hour)
	phone, duo, att := b.id(authn.FactorID), b.id(authn.FactorID), b.id(authn.AttemptID)
	at := authn.NewToken(authn.AttemptToken, b.company, att, zero{})
	k := authn.Keys{Company: b.company, Now: b.now, AttemptToken: at, Sent: true}
	write := func(writes ...authn.Write) {
		b.t.Helper()
		b.must(b.Decide(ctx, k, func(*authn.Rows) authn.Verdict { return authn.Accept(authn.Event{Type: "x"}, writes...) }))
	}
	b.must(b.decide(u, authn.NewAttempt{Attempt: authn.Attempt{ID: att, ExpiresAt: later, Version: 1}, Token: at},
		authn.NewFactor{Factor: authn.Factor{ID: phone, Kind: authn.SMS, State: authn.Pending, ExpiresAt: later}, Secret: []byte("+1"), Subject: "+1"},
		authn.ActivateFactor{ID: phone, At: b.now}, authn.PutFactor{Factor: authn.Factor{ID: phone, State: authn.Confirmed}},
		authn.NewFactor{Factor: authn.Factor{ID: duo, Kind: authn.Duo, State: authn.Confirmed}, Subject: "maya"}))
	c := authn.Challenge{ID: b.id(authn.MessageID), Attempt: att, Factor: duo, Kind: authn.Duo, Outcome: authn.Asked, CreatedAt: b.now, ExpiresAt: later}
	budget := authn.Spending{Scope: "prefix", Subject: "+417911", From: b.now.Add(-time.Minute), Until: later, Most: 9, Watch: true}
	write(authn.NewChallenge{Challenge: c}, authn.SpendBudget{Of: []authn.Spending{budget}})
	c.Outcome, c.Detail, budget.Good = authn.Approved, []byte("d"), 1
	write(authn.PutOutside{Challenge: c, From: authn.Asked}, authn.NoteBudget{Of: []authn.Spending{budget}})
	write(authn.ConsumeChallenges{Factor: duo, Outcome: authn.Approved})
	if list, err := b.Budgets(ctx, b.company, b.now); err != nil || len(list) != 1 || list[0].Good != 1 {
		b.t.Errorf("%+v %v", list, err)
	}
	b.must(b.ProviderHealthNoted(ctx, b.company, authn.Email, "first", 1, b.now, ""))
	if list, err := b.ProviderHealth(ctx, b.company, authn.Email, 1); err != nil || len(list) != 1 {
		b.t.Errorf("%+v %v", list, err)
	}
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }
