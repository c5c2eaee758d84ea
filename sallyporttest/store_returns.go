package sallyporttest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

const testReturn = "https://app.example.com/back"

// newKeyOf stores a key of the person with a return address.
func (p *person) newKeyOf(address string) authn.APIKey {
	p.w.t.Helper()
	k := authn.APIKey{Company: p.company, ID: p.w.id(authn.KeyID), User: p.id, Name: address, Scopes: []string{"grants.redeem"}, CreatedAt: p.w.now, ExpiresAt: p.w.now.Add(24 * time.Hour)}
	p.w.must(p.w.write(p.keys(), authn.NewAPIKey{Key: k, Token: authn.NewToken(authn.KeyToken, k.Company, k.ID, rand.Reader)}))
	keys := p.keys()
	keys.APIKey = k.ID
	p.w.must(p.w.write(keys, authn.NewReturnAddress{Return: authn.ReturnAddress{Key: k.ID, Address: address, AddedBy: "operator", AddedAt: p.w.now}}))
	return k
}

// newHandle stores a handle of the person's session, and gives what opens it.
func (p *person) newHandle(se authn.Session, k authn.APIKey) (authn.Handle, authn.Token) {
	p.w.t.Helper()
	h := authn.Handle{Company: p.company, ID: p.w.id(authn.HandleID), User: p.id, Key: k.ID, Kind: authn.SignInHandle, SignIn: se.Attempt, Address: testReturn, Nonce: "abcdefghijklmnop",
		ACR: authn.AAL2, AMR: []string{"pwd", "otp"}, AuthTime: p.w.now, Epoch: 1, MadeAt: p.w.now, ExpiresAt: p.w.now.Add(authn.HandleLives)}
	token := authn.NewToken(authn.HandleToken, h.Company, h.ID, rand.Reader)
	p.w.must(p.w.write(p.keys(), authn.NewHandle{Handle: h, Token: token}))
	return h, token
}

func runReturns(t *testing.T, open opener) {
	t.Run("addresses are of one key of one company", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "maya"), w.newUser(w.newCompany("beta"), "zoe")
		k := p.newKeyOf(testReturn)
		got := w.view(authn.Keys{Company: p.company, ReturnAddress: testReturn}).Return
		if got == nil || got.Key != k.ID || got.Address != testReturn || got.AddedBy != "operator" || !got.AddedAt.Equal(w.now) || got.Company != p.company {
			t.Fatalf("%+v", got)
		}
		for _, address := range []string{testReturn + "/", testReturn + "?a=b", "https://APP.example.com/back", "https://app.example.com:444/back", "https://app.example.com./back", "https://app.example.com/Back", ""} {
			if r := w.view(authn.Keys{Company: p.company, ReturnAddress: address}).Return; r != nil {
				t.Errorf("%s: %+v", address, r)
			}
		}
		if w.view(authn.Keys{Company: q.company, ReturnAddress: testReturn}).Return != nil {
			t.Error("another company's")
		}
		keys := p.keys()
		keys.APIKey = k.ID
		again := authn.NewReturnAddress{Return: authn.ReturnAddress{Key: k.ID, Address: testReturn}}
		w.want(w.write(keys, again), authn.Conflict)
		q.newKeyOf(testReturn) // the same address in another company is another one
		w.want(w.write(p.keys(), authn.EndReturnAddress{Key: w.id(authn.KeyID), Address: testReturn}), authn.Conflict)
		for i := range authn.MaxReturnAddresses - 1 {
			w.must(w.write(keys, authn.NewReturnAddress{Return: authn.ReturnAddress{Key: k.ID, Address: fmt.Sprintf("%s/%d", testReturn, i)}}))
		}
		w.want(w.write(keys, authn.NewReturnAddress{Return: authn.ReturnAddress{Key: k.ID, Address: testReturn + "/more"}}), authn.Conflict)
		list, err := w.Store.ReturnAddresses(w.ctx, p.company, k.ID)
		w.must(err)
		if len(list) != authn.MaxReturnAddresses || list[0].Address != testReturn {
			t.Errorf("%+v", list)
		}
		w.must(w.write(p.keys(), authn.EndReturnAddress{Key: k.ID, Address: testReturn}))
		w.must(w.write(p.keys(), authn.EndAPIKey{ID: k.ID}))
		if n := w.count("SELECT count(*) FROM return_addresses"); n != 1 {
			t.Errorf("%d addresses after the key is gone", n)
		}
	})
	t.Run("a handle is opened by its token, with the session of its sign-in", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "maya"), w.newUser(w.newCompany("beta"), "zoe")
		k := p.newKeyOf(testReturn)
		se, _ := p.newSession()
		h, token := p.newHandle(se, k)
		rows := w.view(authn.Keys{Company: p.company, HandleToken: token})
		got := rows.Handle
		if got == nil || rows.User.ID != p.id || rows.Session == nil || rows.Session.ID != se.ID || got.Key != k.ID || got.Nonce != h.Nonce || got.Address != testReturn ||
			got.ACR != h.ACR || len(got.AMR) != 2 || !got.AuthTime.Equal(h.AuthTime) || !got.UsedAt.IsZero() || got.Kind != authn.SignInHandle {
			t.Fatalf("%+v %+v", got, rows.Session)
		}
		for what, keys := range p.notTheirs(q, token, func(company string, t authn.Token) authn.Keys { return authn.Keys{Company: company, HandleToken: t} }) {
			if rows := w.view(keys); rows.Handle != nil {
				t.Errorf("%s: %+v", what, rows.Handle)
			}
		}
		w.hides(token)
		w.must(w.write(p.keys(), authn.EndSession{ID: se.ID}))
		if rows := w.view(authn.Keys{Company: p.company, HandleToken: token}); rows.Handle == nil || rows.Session != nil {
			t.Errorf("after signing out: %+v", rows.Session)
		}
		gone := authn.Handle{Company: p.company, ID: w.id(authn.HandleID), User: p.id, Key: w.id(authn.KeyID), Kind: authn.CallerHandle, ExpiresAt: w.now.Add(time.Minute)}
		w.want(w.write(p.keys(), authn.NewHandle{Handle: gone, Token: authn.NewToken(authn.HandleToken, gone.Company, gone.ID, rand.Reader)}), authn.Conflict)
		w.must(w.write(p.keys(), authn.EndAPIKey{ID: k.ID}))
		if rows := w.view(authn.Keys{Company: p.company, HandleToken: token}); rows.Handle != nil {
			t.Error("it outlives its key")
		}
	})
	t.Run("rul-38 a row that was changed is worth nothing", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		k, mine := p.newKeyOf(testReturn), p.newKeyOf(testReturn+"/2")
		se, _ := p.newSession()
		for _, s := range []string{"acr = 'aal3'", "key_id = '" + mine.ID + "'", "epoch = 2", "expires_at = expires_at + 1", "made_at = made_at + 1", "auth_time = auth_time + 1", "kind = 'step_up'",
			"sign_in = 'att_2'", "nonce = 'x'", "action = 'a'", "request_hash = 'x'", "address = 'https://evil.example/'", `amr = '["hwk"]'`, "user_id = '" + w.newUser(w.company, "nadia").id + "'"} {
			h, token := p.newHandle(se, k)
			w.exec("UPDATE handles SET "+s+" WHERE id = $1", h.ID)
			if rows := w.view(authn.Keys{Company: p.company, HandleToken: token}); rows.Handle != nil {
				t.Errorf("%s: %+v", s, rows.Handle)
			}
		}
	})
	t.Run("inv-A exchanged once by a hundred at a time, and swept", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		k := p.newKeyOf(testReturn)
		se, _ := p.newSession()
		_, token := p.newHandle(se, k)
		w.once("handle.redeemed", func(int) error {
			return w.Store.Decide(context.Background(), authn.Keys{Company: p.company, HandleToken: token, Now: w.now}, func(*authn.Rows) authn.Verdict {
				return authn.Accept(event("handle.redeemed", p.id), authn.SpendHandle{})
			})
		})
		if rows := w.view(authn.Keys{Company: p.company, HandleToken: token}); rows.Handle == nil || !rows.Handle.UsedAt.Equal(w.now) {
			t.Errorf("%+v", rows.Handle)
		}
		_, late := p.newHandle(se, k)
		w.now = w.now.Add(authn.HandleLives)
		w.want(w.write(authn.Keys{Company: p.company, HandleToken: late}, authn.SpendHandle{}), authn.Conflict)
		w.must(w.Store.Sweep(w.ctx, w.now.Add(2*time.Hour)))
		if n := w.count("SELECT count(*) FROM handles"); n != 0 {
			t.Errorf("%d handles stay", n)
		}
	})
	t.Run("rul-38 the address that a program states opens in its own row only", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		begin := func(address string) (authn.Attempt, authn.Token) {
			a := authn.Attempt{Company: p.company, ID: w.id(authn.AttemptID), User: p.id, Purpose: authn.SignIn, State: authn.NeedFactor, Version: 1,
				Caller: &authn.Caller{Key: "key_1", Nonce: "abcdefghijklmnop", Address: netip.MustParseAddr(address)}, Epoch: 1, CreatedAt: w.now, ExpiresAt: w.now.Add(time.Minute)}
			token := authn.NewToken(authn.AttemptToken, a.Company, a.ID, rand.Reader)
			w.must(w.write(p.keys(), authn.NewAttempt{Attempt: a, Token: token}))
			return a, token
		}
		one, _ := begin("192.0.2.1")
		two, token := begin("192.0.2.2")
		w.exec("UPDATE attempts SET caller = (SELECT caller FROM attempts WHERE id = $1) WHERE id = $2", one.ID, two.ID)
		if rows, err := w.Store.View(w.ctx, authn.Keys{Company: p.company, AttemptToken: token, Now: w.now}); err == nil {
			t.Errorf("%+v", rows.Attempt.Caller)
		}
	})
	t.Run("an attempt carries who checked its first step, and is opened by one browser", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		k := p.newKeyOf(testReturn)
		to := authn.Return{Address: testReturn, Nonce: "abcdefghijklmnop"}
		a := authn.Attempt{Company: p.company, ID: w.id(authn.AttemptID), User: p.id, Purpose: authn.SignIn, State: authn.NeedFactor, Version: 1, ReturnTo: to.String(),
			Caller: &authn.Caller{Key: k.ID, Nonce: to.Nonce, Enrol: true, Address: netip.MustParseAddr("2001:db8::beef")}, Epoch: 1, CreatedAt: w.now, ExpiresAt: w.now.Add(time.Minute)}
		token := authn.NewToken(authn.AttemptToken, a.Company, a.ID, rand.Reader)
		w.must(w.write(p.keys(), authn.NewAttempt{Attempt: a, Token: token}))
		rows := w.view(authn.Keys{Company: p.company, AttemptToken: token})
		if rows.Attempt == nil || rows.Attempt.Caller == nil || *rows.Attempt.Caller != *a.Caller || rows.Return == nil || rows.Return.Key != k.ID {
			t.Fatalf("%+v %+v", rows.Attempt, rows.Return)
		}
		if strings.Contains(w.dump(), "2001:db8::beef") {
			t.Error("where the person is stands in clear")
		}
		if rows := w.view(authn.Keys{Company: p.company, Attempt: a.ID, Browser: "one"}); rows.Attempt != nil {
			t.Error("a browser that it is not bound to")
		}
		bind := func(browser string) error {
			return w.write(authn.Keys{Company: p.company, AttemptToken: token, Browser: browser}, authn.BindAttempt{ID: a.ID})
		}
		w.must(bind("one"))
		w.want(bind("two"), authn.Conflict)
		w.want(bind("one"), authn.Conflict)
		for browser, want := range map[string]bool{"one": true, "two": false} {
			if rows := w.view(authn.Keys{Company: p.company, Attempt: a.ID, Browser: browser}); (rows.Attempt != nil) != want {
				t.Errorf("%s: %+v", browser, rows.Attempt)
			}
		}
	})
}
