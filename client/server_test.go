package client_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/client"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// world is a real server, with a client that has no credential.
type world struct {
	*sallyporttest.Server
	t *testing.T
	c *client.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s := sallyporttest.NewServer(t, func(c *sallyport.Config) {
		c.Actions = []authn.Action{{Name: "billing.change", Title: "change the billing details"}}
	})
	c, err := client.New(client.Config{BaseURL: s.URL, UserAgent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return &world{s, t, c}
}

// must stops the test at what should have worked.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w *world) begin(p sallyporttest.Person) *client.Attempt {
	w.t.Helper()
	return must[*client.Attempt](w.t)(w.c.Begin(w.t.Context(), client.SignIn{Company: "acme", Login: p.Login, Password: client.NewSecret(sallyporttest.Password)}))
}

// code is the next code of the person's app.
func (w *world) code(p sallyporttest.Person) client.Answer {
	w.t.Helper()
	w.Clock.Advance(30 * time.Second)
	return client.Answer{Method: client.TOTP, Code: client.NewSecret(w.Code(w.t, p.Secret))}
}

// signIn is a client with the person's session.
func (w *world) signIn(p sallyporttest.Person) *client.Client {
	w.t.Helper()
	a := w.begin(p)
	if a.State != client.StateComplete {
		a = must[*client.Attempt](w.t)(w.c.Verify(w.t.Context(), a, w.code(p)))
	}
	return w.c.As(a.Session.Token)
}

// owner is an owner with an authenticator app.
func (w *world) owner(login string) sallyporttest.Person {
	w.t.Helper()
	u := must[authn.User](w.t)(w.Directory.CreateUser(w.t.Context(), w.Company, directory.NewUser{Login: login, Email: login + "@acme.example", Verified: true,
		Roles: []string{directory.Owner}, Password: sallyporttest.Password}))
	p := sallyporttest.Person{User: u}
	p.Factor, p.Secret = w.AddApp(w.t, u)
	return p
}

// key is a client with a key of the owner.
func (w *world) key(owner sallyporttest.Person, scopes ...string) *client.Client {
	w.t.Helper()
	_, token, err := w.Directory.CreateKey(w.t.Context(), directory.TheOperator(w.Company.ID), directory.NewKey{Name: strings.Join(scopes, " "), Owner: owner.ID, Scopes: scopes})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.c.As(client.NewSecret(token.Reveal()))
}

// decode is the secret of an app, as the person types it.
func decode(t *testing.T, s client.Secret) otp.Secret {
	t.Helper()
	return must[otp.Secret](t)(otp.DecodeSecret(s.Reveal()))
}

// A sign-in from the password to the sign-out, with the refusals on the way.
func TestSignIn_real(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	_, err := w.c.Begin(t.Context(), client.SignIn{Login: "maya", Password: client.NewSecret("wrong")})
	if !errors.Is(err, client.WrongCredentials) || strings.Contains(err.Error(), "maya") {
		t.Errorf("%v", err)
	}
	a := w.begin(maya)
	if a.State != client.StateNeedFactor || len(a.Methods) == 0 || a.Methods[0].Method != client.TOTP || a.Token.IsZero() || !a.ExpiresAt.After(w.Clock.Now()) {
		t.Fatalf("%+v", a)
	}
	_, err = w.c.Verify(t.Context(), a, client.Answer{Method: client.TOTP, Code: client.NewSecret(w.WrongCode(t, maya.Secret))})
	var e *client.Error
	if !errors.As(err, &e) || e.Code != client.WrongCode || !e.HasLeft || e.AttemptsLeft < 1 || e.RequestID == "" || e.Detail == "" || e.Status != 422 {
		t.Fatalf("%+v", err)
	}
	_, err = w.c.Verify(t.Context(), a, client.Answer{Method: client.TOTP, Code: client.NewSecret("12")})
	if !errors.As(err, &e) || e.Code != client.Invalid || len(e.Fields) != 1 || e.Fields[0].Name != "code" {
		t.Errorf("%+v", err)
	}
	// The id and the token are all that has to be kept.
	kept := &client.Attempt{ID: a.ID, Token: client.NewSecret(a.Token.Reveal())}
	if got := must[*client.Attempt](t)(w.c.Attempt(t.Context(), kept)); got.State != client.StateNeedFactor || got.Token.Reveal() != a.Token.Reveal() {
		t.Errorf("%+v", got)
	}
	if _, err := w.c.Attempt(t.Context(), &client.Attempt{ID: a.ID}); !errors.Is(err, client.Unauthenticated) {
		t.Error(err)
	}
	done := must[*client.Attempt](t)(w.c.Verify(t.Context(), kept, w.code(maya)))
	if done.State != client.StateComplete || done.Session.ACR != "aal2" || !done.Token.IsZero() {
		t.Fatalf("%+v", done)
	}
	me := w.c.As(done.Session.Token)
	s := must[*client.CurrentSession](t)(me.Session(t.Context()))
	if s.User.Login != "maya" || s.Company.Slug != "acme" || s.ACR != "aal2" || s.ID != done.Session.ID {
		t.Errorf("%+v", s)
	}
	if err := me.SignOut(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := me.Session(t.Context()); !errors.Is(err, client.Unauthenticated) {
		t.Error(err)
	}
}

// A code by e-mail, and a set-up during the sign-in.
func TestEnrolment_real(t *testing.T) {
	w := newWorld(t)
	w.SetPolicy(t, "acme", func(d *policy.Document) {
		d.TwoFactor, d.OwnWay, d.GraceDays = policy.Required, []authn.Audience{authn.InternalAudience}, 7
	})
	lena := w.AddUser(t, w.Company, "lena", false)
	a := w.begin(lena)
	sent := must[*client.Challenge](t)(w.c.Challenge(t.Context(), a, client.Ask{Method: client.Email}))
	if sent.SentTo == "" || sent.ExpiresAt.IsZero() {
		t.Errorf("%+v", sent)
	}
	_, err := w.c.Challenge(t.Context(), a, client.Ask{Method: client.Email})
	var e *client.Error
	if !errors.As(err, &e) || e.Code != client.TooManyRequests || e.RetryAfter <= 0 {
		t.Errorf("%+v", err)
	}
	a = must[*client.Attempt](t)(w.c.Verify(t.Context(), a, client.Answer{Method: client.Email, Code: client.NewSecret(w.LastCode(t, "lena@acme.example"))}))
	if a.State != client.StateNeedEnrolment || a.Token.IsZero() {
		t.Fatalf("%+v", a)
	}
	during := w.c.As(a.Token)
	f := must[*client.PendingFactor](t)(during.BeginFactor(t.Context(), client.NewFactor{Method: client.TOTP}))
	if f.App == nil || !strings.HasPrefix(f.App.URI.Reveal(), "otpauth://") || !strings.Contains(f.App.QRSVG.Reveal(), "<svg") {
		t.Fatalf("%+v", f)
	}
	if again := must[*client.PendingFactor](t)(during.PendingFactor(t.Context(), f.ID)); again.State != "pending" || again.App != nil {
		t.Errorf("%+v", again)
	}
	if _, err := during.ConfirmFactor(t.Context(), f.ID, client.NewSecret("000000")); !errors.Is(err, client.WrongCode) {
		t.Error(err)
	}
	confirmed := must[*client.Confirmed](t)(during.ConfirmFactor(t.Context(), f.ID, client.NewSecret(w.Code(t, decode(t, f.App.Secret)))))
	if confirmed.State != client.StateReady || len(confirmed.BackupCodes) != 10 {
		t.Fatalf("%+v", confirmed)
	}
	done := must[*client.Attempt](t)(w.c.Complete(t.Context(), a, false))
	if done.State != client.StateComplete {
		t.Errorf("%+v", done)
	}
	if _, err := w.c.Complete(t.Context(), a, false); err == nil {
		t.Error("completed twice")
	}
	// Whoever has days of grace can put it off.
	omar := w.AddUser(t, w.Company, "omar", false)
	b := w.begin(omar)
	must[*client.Challenge](t)(w.c.Challenge(t.Context(), b, client.Ask{Method: client.Email}))
	b = must[*client.Attempt](t)(w.c.Verify(t.Context(), b, client.Answer{Method: client.Email, Code: client.NewSecret(w.LastCode(t, "omar@acme.example"))}))
	if b.GraceUntil.IsZero() {
		t.Fatalf("%+v", b)
	}
	if b = must[*client.Attempt](t)(w.c.Postpone(t.Context(), b)); b.Session.ACR != "aal1" {
		t.Errorf("%+v", b)
	}
}

// The account, with the proof that it asks for and the sessions that it gives anew.
func TestAccount_real(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	me := w.signIn(maya)
	if a := must[*client.Account](t)(me.ChangeAccount(t.Context(), client.AccountChange{Name: new("Maya B")})); a.Name != "Maya B" || a.Email != "maya@acme.example" || len(a.Why) == 0 {
		t.Errorf("%+v", a)
	}
	w.Clock.Advance(11 * time.Minute)
	_, err := me.NewBackupCodes(t.Context())
	var e *client.Error
	if !errors.As(err, &e) || e.Code != client.StepUpRequired || e.MaxAge <= 0 || e.ACRValues == "" {
		t.Fatalf("%+v", err)
	}
	again := must[*client.Attempt](t)(me.StepUp(t.Context(), client.StepUp{}))
	again = must[*client.Attempt](t)(w.c.Verify(t.Context(), again, w.code(maya)))
	if _, err := me.Session(t.Context()); !errors.Is(err, client.Unauthenticated) {
		t.Errorf("the session before: %v", err)
	}
	me = w.c.As(again.Session.Token)
	codes := must[*client.BackupCodes](t)(me.NewBackupCodes(t.Context()))
	if len(codes.Codes) != 10 || codes.Factor.Left != 10 {
		t.Fatalf("%+v", codes)
	}
	me = w.c.As(codes.Session.Token)
	n := 0
	for f, err := range me.Factors(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; f.ID == maya.Factor {
			f := must[*client.Factor](t)(me.ChangeFactor(t.Context(), f.ID, client.FactorChange{Name: new("phone")}))
			if f.Name != "phone" || f.State != "active" {
				t.Errorf("%+v", f)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d factors", n)
	}
	if _, err := me.ChangePassword(t.Context(), client.NewSecret("wrong"), client.NewSecret("another quiet harbour")); err == nil || strings.Contains(err.Error(), "harbour") {
		t.Error(err)
	}
	next := must[*client.Session](t)(me.ChangePassword(t.Context(), client.NewSecret(sallyporttest.Password), client.NewSecret("another quiet harbour")))
	me = w.c.As(next.Token)
	pending := must[*client.PendingFactor](t)(me.ChangeEmail(t.Context(), "maya.berg@acme.example"))
	if pending.Email == nil || pending.Email.SentTo == "" {
		t.Errorf("%+v", pending)
	}
	if s, err := me.RemoveFactor(t.Context(), pending.ID); err != nil || s != nil {
		t.Errorf("a pending one: %+v %v", s, err)
	}
	if s, err := me.RemoveFactor(t.Context(), maya.Factor); err != nil || s == nil {
		t.Fatalf("%+v %v", s, err)
	} else {
		me = w.c.As(s.Token)
	}
	texts := 0
	for ev, err := range me.OwnEvents(t.Context()) {
		if err != nil || ev.Text == "" {
			t.Fatalf("%+v %v", ev, err)
		}
		texts++
	}
	if texts < 3 {
		t.Errorf("%d events", texts)
	}
}

// Devices: what one sees and ends.
func TestSessions_real(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	one, two, three := w.signIn(maya), w.signIn(maya), w.signIn(maya)
	other := ""
	for s, err := range one.Sessions(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if !s.Current {
			other = s.ID
		}
		if !strings.Contains(s.Agent, "test sallyport-go") && s.Agent == "" {
			t.Errorf("%+v", s)
		}
	}
	if err := one.EndSession(t.Context(), other); err != nil {
		t.Error(err)
	}
	if err := one.EndSession(t.Context(), "ses_06f0e6b3q1qe7alb8eh5a55tok"); !errors.Is(err, client.NotFound) {
		t.Error(err)
	}
	if err := one.EndOtherSessions(t.Context()); err != nil {
		t.Error(err)
	}
	for i, c := range []*client.Client{one, two, three} {
		if _, err := c.Session(t.Context()); errors.Is(err, client.Unauthenticated) != (i > 0) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// An application asks for a proof and uses it up (I1, rul-28).
func TestGrant_real_I1(t *testing.T) {
	w := newWorld(t)
	maya, other := w.AddUser(t, w.Company, "maya", true), w.AddUser(t, w.Company, "nadia", false)
	shop := w.key(w.owner("priya"), "grants.redeem")
	hash := client.RequestHash([]byte("POST\n/billing\n{}"))
	up := must[*client.Attempt](t)(w.signIn(maya).StepUp(t.Context(), client.StepUp{Action: "billing.change", RequestHash: hash, MaxAge: 120}))
	done := must[*client.Attempt](t)(w.c.Verify(t.Context(), up, w.code(maya)))
	if done.Grant == nil || done.Grant.Kind != "online" || done.Grant.Action != "billing.change" {
		t.Fatalf("%+v", done)
	}
	ask := client.Redemption{Token: done.Grant.Token, Action: "billing.change", RequestHash: hash, User: maya.ID, ACR: "aal2", MaxAge: 60}
	for name, change := range map[string]func(*client.Redemption){
		"action": func(r *client.Redemption) { r.Action = "webhooks.change" }, "request_hash": func(r *client.Redemption) { r.RequestHash = "" }, "user": func(r *client.Redemption) { r.User = other.ID },
	} {
		wrong := ask
		change(&wrong)
		_, err := shop.Redeem(t.Context(), wrong)
		var e *client.Error
		if !errors.As(err, &e) || e.Code != client.Invalid || e.Fields[0].Name != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.key(w.owner("globex"), "audit.read").Redeem(t.Context(), ask); !errors.Is(err, client.Forbidden) {
		t.Error(err)
	}
	got := must[*client.Redeemed](t)(shop.Redeem(t.Context(), ask))
	if got.User.ID != maya.ID || got.Session != done.Session.ID || got.ACR != "aal2" || !got.AuthTime.Equal(w.Clock.Now()) {
		t.Errorf("%+v", got)
	}
	if _, err := shop.Redeem(t.Context(), ask); !errors.Is(err, client.Conflict) {
		t.Error(err)
	}
}

// The administration by program, in pages; and nothing of another company.
func TestAdministration_real(t *testing.T) {
	w := newWorld(t)
	owner := w.owner("priya")
	program := w.key(owner, "users.read", "users.write", "audit.read", "keys.write")
	stranger := w.AddUser(t, w.AddCompany(t, "globex", "Globex"), "stranger", false)
	for _, login := range []string{"anna", "bert", "carl", "dora"} {
		if u := must[*client.User](t)(program.AddUser(t.Context(), client.NewUser{Login: login, Email: login + "@acme.example"})); u.ID == "" || u.Login != login || u.Status != "active" {
			t.Errorf("%+v", u)
		}
	}
	var e *client.Error
	if _, err := program.AddUser(t.Context(), client.NewUser{Login: "anna"}); err == nil {
		t.Error("added twice")
	}
	if _, err := program.AddUser(t.Context(), client.NewUser{}); !errors.As(err, &e) || e.Code != client.Invalid || e.Fields[0].Name != "login" {
		t.Error(err)
	}
	var logins []string
	carl := ""
	for u, err := range client.List[client.User](t.Context(), program, "/api/v1/users", map[string][]string{"limit": {"2"}, "method": {"none"}}) {
		if err != nil {
			t.Fatal(err)
		}
		if logins = append(logins, u.Login); u.Login == "carl" {
			carl = u.ID
		}
	}
	if strings.Join(logins, " ") != "dora carl bert anna" {
		t.Errorf("%v", logins)
	}
	n := 0
	for u, err := range program.Users(t.Context(), client.UserFilter{Search: "car", Status: "active"}) {
		if n++; err != nil || u.ID != carl {
			t.Errorf("%+v %v", u, err)
		}
	}
	if n != 1 {
		t.Errorf("%d are found", n)
	}
	for _, err := range program.Users(t.Context(), client.UserFilter{Method: "x"}) {
		if !errors.As(err, &e) || e.Code != client.Invalid || e.Fields[0].Name != "method" {
			t.Error(err)
		}
	}
	if _, err := program.User(t.Context(), stranger.ID); !errors.Is(err, client.NotFound) {
		t.Error(err)
	}
	if _, err := program.Act(t.Context(), carl, client.Suspend, client.ActOn{Reason: "left"}); !errors.Is(err, client.Forbidden) { // no proof can come from a program
		t.Error(err)
	}
	boss := w.signIn(owner)
	if acted := must[*client.Acted](t)(boss.Act(t.Context(), carl, client.HelpCode, client.ActOn{Reason: "lost the phone"})); acted.Code.IsZero() || !acted.ExpiresAt.After(w.Clock.Now()) {
		t.Errorf("%+v", acted)
	}
	if acted := must[*client.Acted](t)(boss.Act(t.Context(), carl, client.Suspend, client.ActOn{Reason: "left"})); acted.Waiting != nil || !acted.Code.IsZero() {
		t.Errorf("%+v", acted)
	}
	if u := must[*client.User](t)(program.User(t.Context(), carl)); u.Status != "suspended" {
		t.Errorf("%+v", u)
	}
	if changed := must[*client.UserChanged](t)(boss.ChangeUser(t.Context(), carl, client.UserChange{Name: new("Carl")})); strings.Join(changed.Changed, " ") != "name" {
		t.Errorf("%+v", changed)
	}
	if _, err := program.Act(t.Context(), carl, client.HelpCode, client.ActOn{Reason: "lost"}); !errors.Is(err, client.Forbidden) {
		t.Error(err)
	}
	if _, err := program.Act(t.Context(), stranger.ID, client.Suspend, client.ActOn{Reason: "x"}); !errors.Is(err, client.NotFound) {
		t.Error(err)
	}
	if list := must[[]client.Factor](t)(program.UserFactors(t.Context(), owner.ID)); len(list) != 1 || list[0].Method != client.TOTP {
		t.Errorf("%+v", list)
	}
	if list := must[[]client.Action](t)(program.Actions(t.Context())); len(list) == 0 || list[0].Name == "" {
		t.Errorf("%+v", list)
	}
	found := false
	for ev, err := range program.Events(t.Context(), client.EventFilter{Type: "user.", Target: carl, Since: w.Clock.Now().Add(-time.Hour), Until: w.Clock.Now().Add(time.Hour)}) {
		if err != nil || ev.Target != carl {
			t.Fatalf("%+v %v", ev, err)
		}
		found = found || ev.Type == "user.suspended"
	}
	if !found {
		t.Error("no event of the suspending")
	}
	var roles struct{ Items []struct{ Name string } }
	if err := program.Do(t.Context(), http.MethodGet, "/api/v1/roles", nil, &roles); !errors.Is(err, client.Forbidden) {
		t.Error(err)
	}
}

// The policy as it is, and what a change would do; a document passes whole.
func TestPolicy_real(t *testing.T) {
	w := newWorld(t)
	w.AddUser(t, w.Company, "maya", false)
	owner := w.signIn(w.owner("priya"))
	now := must[*client.Policy](t)(owner.Policy(t.Context()))
	var doc map[string]any
	if err := json.Unmarshal(now.Document, &doc); err != nil {
		t.Fatal(err)
	}
	doc["two_factor"] = "required"
	raw := must[[]byte](t)(json.Marshal(doc))
	change := client.PolicyChange{Version: now.Version, Document: raw, Reason: "as the board decided"}
	would := must[*client.Policy](t)(owner.PreviewPolicy(t.Context(), change))
	if would.Preview == nil || would.Preview.People != 2 || would.Preview.OwnersLeft != 1 || len(would.Preview.Groups) == 0 {
		t.Errorf("%+v", would)
	}
	if same := must[*client.Policy](t)(owner.Policy(t.Context())); same.Version != now.Version {
		t.Errorf("%+v", same)
	}
	change.Version += 7
	if _, err := owner.PreviewPolicy(t.Context(), change); !errors.Is(err, client.Conflict) {
		t.Error(err)
	}
	change.Document, change.Version = json.RawMessage(`{"format": 1, "two_factor": "sometimes"}`), now.Version
	if _, err := owner.SavePolicy(t.Context(), change); !errors.Is(err, client.Invalid) {
		t.Error(err)
	}
	change.Document = raw
	if saved := must[*client.Policy](t)(owner.SavePolicy(t.Context(), change)); saved.Version != now.Version+1 {
		t.Errorf("%+v", saved)
	}
	if a := must[*client.Action](t)(owner.SetAction(t.Context(), "money.send", client.ActionText{Title: "send money"})); a.Name != "money.send" || a.BuiltIn {
		t.Errorf("%+v", a)
	}
	if err := owner.RemoveAction(t.Context(), "money.send", "not needed"); err != nil {
		t.Error(err)
	}
	if err := owner.RemoveAction(t.Context(), "money.send", "not needed"); !errors.Is(err, client.NotFound) {
		t.Error(err)
	}
}

// A connection that breaks within an answer of the real server is no answer.
func TestCut_real(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", false)
	me := w.begin(maya).Session.Token
	cut := 0
	c, err := client.New(client.Config{BaseURL: w.URL, Token: me, HTTPClient: &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err == nil && cut < 2 {
			cut++
			resp.Body = struct {
				io.Reader
				io.Closer
			}{io.MultiReader(io.LimitReader(resp.Body, 20), broken{}), resp.Body}
		}
		return resp, err
	})}})
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{}
	c = client.Hooked(c, w.Clock.Now, f.wait)
	if s := must[*client.CurrentSession](t)(c.Session(t.Context())); s.User.ID != maya.ID || len(f.waits) != 2 {
		t.Errorf("%+v, waits %v", s, f.waits)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
