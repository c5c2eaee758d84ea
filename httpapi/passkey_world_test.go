package httpapi_test

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// authenticators are those of people who have a passkey, by their ids.
var authenticators sync.Map

// keysOf is the person's authenticator; who has none gets one with a passkey in it.
func (w *world) keysOf(p sallyporttest.Person) *sallyporttest.Passkeys {
	w.t.Helper()
	if k, ok := authenticators.Load(p.ID); ok {
		return k.(*sallyporttest.Passkeys)
	}
	k := w.Passkeys(w.t)
	w.AddPasskey(w.t, p.User, k)
	authenticators.Store(p.ID, k)
	return k
}

// asked are the options of an answer, which stand at path.
func (a answer) asked(path string) json.RawMessage {
	a.t.Helper()
	b, err := json.Marshal(a.at(path))
	if err != nil || a.at(path) == nil {
		a.t.Fatalf("no options in %s: %v", a.body, err)
	}
	return b
}

// credentialOf reads what an authenticator answered, which may be changed before.
func (w *world) credentialOf(b json.RawMessage, err error) object {
	w.t.Helper()
	var c object
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// sameDevice answers for a whole sign-in by the person's passkey.
func (w *world) sameDevice(p sallyporttest.Person, change func(*sallyporttest.PasskeyAnswer)) object {
	w.t.Helper()
	keys := w.keysOf(p)
	a := w.post("/api/v1/passkeys", "", object{"company": w.slug(p)}).want(200)
	return w.credentialOf(keys.SignWith(a.asked("options"), change))
}

// begunPasskey begins to set one up, and makes it.
func (w *world) begunPasskey(bearer string, keys *sallyporttest.Passkeys) (path string, credential object) {
	w.t.Helper()
	a := w.post("/api/v1/account/factors", bearer, object{"method": "webauthn"}).want(201)
	return "/api/v1/account/factors/" + a.str("id"), w.credentialOf(keys.Make(a.asked("webauthn.options")))
}

func wrongKey(a *sallyporttest.PasskeyAnswer) { a.WrongKey = true }

// byPasskey fills in the answer of the person's passkey, and lets time go by after it.
func byPasskey(change func(*sallyporttest.PasskeyAnswer), wait time.Duration) scene {
	return func(w *world, p sallyporttest.Person, c *call) {
		c.body.(object)["credential"] = w.sameDevice(p, change)
		w.Clock.Advance(wait)
	}
}

// secondPasskey makes a request one that answers a challenge of the attempt.
func secondPasskey(change func(*sallyporttest.PasskeyAnswer), wait time.Duration) scene {
	return func(w *world, p sallyporttest.Person, c *call) {
		keys := w.keysOf(p)
		w.turn(c)(w.begin(p))
		a := w.post(c.path[:len(c.path)-len("/verify")]+"/challenge", c.bearer, object{"method": "webauthn"}).want(200)
		c.body.(object)["credential"] = w.credentialOf(keys.SignWith(a.asked("options"), change))
		w.Clock.Advance(wait)
	}
}

// newPasskey makes a request one that confirms a new passkey.
func newPasskey(wait time.Duration) scene {
	return func(w *world, _ sallyporttest.Person, c *call) {
		path, credential := w.begunPasskey(c.bearer, w.Passkeys(w.t))
		c.path, c.body = path+"/confirm", object{"credential": credential}
		w.Clock.Advance(wait)
	}
}

func noPasskeys(w *world, _ sallyporttest.Person, _ *call) {
	w.SetPolicy(w.t, "acme", func(d *policy.Document) { d.Methods = []authn.Kind{authn.TOTP, authn.BackupCode} })
}

// passkeyScenes are the examples with a passkey in them.
func passkeyScenes(all map[string]scene) map[string]scene {
	all["ask_passkey asked"] = nil
	all["ask_passkey invalid"] = unheardOf
	all["ask_passkey policy_forbids"] = noPasskeys
	all["ask_passkey too_many_requests"] = askedOften
	all["begin_by_passkey complete"] = byPasskey(nil, 0)
	all["begin_by_passkey need_factor"] = func(w *world, p sallyporttest.Person, c *call) {
		w.SetPolicy(w.t, "acme", func(d *policy.Document) { d.ProofsByRole = map[string]int{"member": 2} })
		byPasskey(nil, 0)(w, p, c)
	}
	all["begin_by_passkey not_found"] = byPasskey(nil, 0)
	all["begin_by_passkey passkey_over"] = byPasskey(nil, 5*time.Minute)
	all["begin_by_passkey passkey_wrong"] = byPasskey(wrongKey, 0)
	all["begin_by_passkey passkey_unknown"] = func(w *world, p sallyporttest.Person, c *call) {
		keys := w.Passkeys(w.t)
		w.begunPasskey(w.signIn(p), keys)
		a := w.post("/api/v1/passkeys", "", object{"company": "acme"}).want(200)
		c.body.(object)["credential"] = w.credentialOf(keys.Sign(a.asked("options")))
	}
	all["begin_by_passkey policy_forbids"] = func(w *world, p sallyporttest.Person, c *call) {
		byPasskey(nil, 0)(w, p, c)
		noPasskeys(w, p, c)
	}
	all["begin_by_passkey paused"] = func(w *world, p sallyporttest.Person, c *call) {
		for range policy.FreeTries {
			w.post(c.path, "", object{"company": "acme", "credential": w.sameDevice(p, wrongKey)}).refused(authn.WrongCode)
		}
		byPasskey(nil, 0)(w, p, c)
	}
	all["challenge passkey"] = func(w *world, p sallyporttest.Person, c *call) { w.keysOf(p) }
	all["verify passkey"] = secondPasskey(nil, 0)
	all["verify passkey_over"] = secondPasskey(nil, 5*time.Minute)
	all["verify passkey_wrong"] = secondPasskey(wrongKey, 0)
	all["begin_factor passkey"] = nil
	all["send_factor passkey"] = func(w *world, _ sallyporttest.Person, c *call) {
		c.path, _ = w.begunPasskey(c.bearer, w.Passkeys(w.t))
		c.path += "/send"
	}
	all["confirm_factor passkey"] = newPasskey(0)
	all["confirm_factor passkey_over"] = newPasskey(5 * time.Minute)
	return all
}
