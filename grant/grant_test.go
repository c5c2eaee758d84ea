package grant

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	at   = time.Date(2026, 11, 21, 9, 14, 10, 0, time.UTC)
	hash = b64.EncodeToString(sha256.New().Sum(nil))
)

func pair(word string) (ed25519.PublicKey, ed25519.PrivateKey) {
	seed := sha256.Sum256([]byte(word))
	key := ed25519.NewKeyFromSeed(seed[:])
	return key.Public().(ed25519.PublicKey), key
}

func claims() Claims {
	return Claims{Issuer: "https://login.example/api/v1/grants/cmp_1", Audience: "https://app.example", Subject: "usr_1", Session: "ses_1", Action: "billing.change", ACR: "aal2",
		AMR: []string{"otp"}, AuthTime: at.Unix(), IssuedAt: at.Unix(), ExpiresAt: at.Add(time.Minute).Unix(), ID: "grt_1", RequestHash: hash}
}

func verifier(now *time.Time) *Verifier {
	public, _ := pair("issuer")
	return &Verifier{Issuer: claims().Issuer, Audience: claims().Audience, Keys: Set{"g1": public}, Now: func() time.Time { return *now }}
}

func signed(t testing.TB, c Claims) string {
	t.Helper()
	_, key := pair("issuer")
	s, err := Sign(key, "g1", c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVerify_rul28(t *testing.T) {
	now := at
	v := verifier(&now)
	got, err := v.Verify(t.Context(), signed(t, claims()), "billing.change", hash)
	if err != nil || got.Subject != "usr_1" || got.ACR != "aal2" || got.AMR[0] != "otp" || got.Session != "ses_1" {
		t.Fatalf("%+v %v", got, err)
	}
	if _, err := v.Verify(t.Context(), signed(t, claims()), "billing.change", hash); !errors.Is(err, ErrUsed) {
		t.Errorf("twice: %v", err)
	}
}

// Every byte that is changed, left out or doubled, and every claim that is not what it
// should be, is refused; and what is refused uses nothing up.
func TestEveryChangeIsRefused_rul28_cve67_cve68(t *testing.T) {
	now := at
	v := verifier(&now)
	good := signed(t, claims())
	refused := func(what, token string) {
		t.Helper()
		if c, err := v.Verify(t.Context(), token, "billing.change", hash); err == nil {
			t.Errorf("%s passes: %+v", what, c)
		}
	}
	for i := range len(good) {
		for _, b := range []byte{good[i] ^ 1, good[i] ^ 0x20, 'A', '.', '=', '\n', 0} {
			if b != good[i] {
				refused(fmt.Sprintf("byte %d as %q", i, b), good[:i]+string(b)+good[i+1:])
			}
		}
		refused(fmt.Sprint("without byte ", i), good[:i]+good[i+1:])
		refused(fmt.Sprint("doubled byte ", i), good[:i]+good[i:i+1]+good[i:])
		refused(fmt.Sprint("cut at ", i), good[:i])
	}
	_, key := pair("issuer")
	_, stranger := pair("stranger")
	raw := func(k ed25519.PrivateKey, header, body string) string {
		s := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(body))
		return s + "." + b64.EncodeToString(ed25519.Sign(k, []byte(s)))
	}
	body, err := json.Marshal(claims())
	if err != nil {
		t.Fatal(err)
	}
	const head = `{"alg":"EdDSA","typ":"sallyport-grant+jwt","kid":"g1"}`
	parts := strings.Split(good, ".")
	for what, token := range map[string]string{
		"nothing": "", "dots": "..", "four parts": good + ".x", "too long": good + strings.Repeat("A", maxToken), "padding": good + "=", "another key": raw(stranger, head, string(body)),
		"alg none":       b64.EncodeToString([]byte(`{"alg":"none","typ":"sallyport-grant+jwt","kid":"g1"}`)) + "." + parts[1] + ".",
		"alg HS256":      raw(key, `{"alg":"HS256","typ":"sallyport-grant+jwt","kid":"g1"}`, string(body)),
		"alg ES256":      raw(key, `{"alg":"ES256","typ":"sallyport-grant+jwt","kid":"g1"}`, string(body)),
		"no alg":         raw(key, `{"typ":"sallyport-grant+jwt","kid":"g1"}`, string(body)),
		"typ JWT":        raw(key, `{"alg":"EdDSA","typ":"JWT","kid":"g1"}`, string(body)),
		"no typ":         raw(key, `{"alg":"EdDSA","kid":"g1"}`, string(body)),
		"no kid":         raw(key, `{"alg":"EdDSA","typ":"sallyport-grant+jwt"}`, string(body)),
		"another kid":    raw(key, `{"alg":"EdDSA","typ":"sallyport-grant+jwt","kid":"g2"}`, string(body)),
		"a key within":   raw(stranger, `{"alg":"EdDSA","typ":"sallyport-grant+jwt","kid":"g1","jwk":{"kty":"OKP"}}`, string(body)),
		"an address":     raw(key, `{"alg":"EdDSA","typ":"sallyport-grant+jwt","kid":"g1","jku":"https://evil.example"}`, string(body)),
		"crit":           raw(key, `{"alg":"EdDSA","typ":"sallyport-grant+jwt","kid":"g1","crit":["b64"],"b64":false}`, string(body)),
		"two headers":    raw(key, head+head, string(body)),
		"two bodies":     raw(key, head, string(body)+string(body)),
		"unknown claims": raw(key, head, strings.Replace(string(body), "{", `{"nbf":1,`, 1)),
		"no object":      raw(key, head, `"grant"`),
	} {
		refused(what, token)
	}
	for what, f := range map[string]func(*Claims){
		"iss": func(c *Claims) { c.Issuer += "2" }, "no iss": func(c *Claims) { c.Issuer = "" }, "aud": func(c *Claims) { c.Audience = "https://app.example.evil.example" },
		"sub": func(c *Claims) { c.Subject = "" }, "sid": func(c *Claims) { c.Session = "" }, "act": func(c *Claims) { c.Action = "webhooks.change" }, "jti": func(c *Claims) { c.ID = "" },
		"request": func(c *Claims) { c.RequestHash = strings.Replace(hash, "4", "5", 1) }, "no request": func(c *Claims) { c.RequestHash = "" },
		"over": func(c *Claims) { c.IssuedAt -= 120; c.ExpiresAt -= 120; c.AuthTime -= 120 }, "not begun": func(c *Claims) { c.IssuedAt += 6; c.ExpiresAt += 6 },
		"too long": func(c *Claims) { c.ExpiresAt++ }, "backwards": func(c *Claims) { c.ExpiresAt = c.IssuedAt - 1 }, "for ever": func(c *Claims) { c.ExpiresAt = 1<<63 - 1 },
		"before time": func(c *Claims) { c.IssuedAt = -1 << 63 }, "no time": func(c *Claims) { c.IssuedAt, c.ExpiresAt = 0, 0 }, "proved later": func(c *Claims) { c.AuthTime++ },
	} {
		c := claims()
		f(&c)
		refused(what, signed(t, c))
	}
	if _, err := v.Verify(t.Context(), good, "billing.change", hash); err != nil {
		t.Errorf("the good one afterwards: %v", err)
	}
	for what, bad := range map[string]*Verifier{"no issuer": {Audience: v.Audience, Keys: v.Keys}, "no audience": {Issuer: v.Issuer, Keys: v.Keys}, "no keys": {Issuer: v.Issuer, Audience: v.Audience}} {
		if _, err := bad.Verify(t.Context(), good, "billing.change", hash); err == nil {
			t.Errorf("a verifier with %s", what)
		}
	}
}

// What a grant is good for is compared with what the application does, too.
func TestVerifyForSomethingElse(t *testing.T) {
	now := at
	v := verifier(&now)
	plain := claims()
	plain.ID, plain.RequestHash = "grt_2", ""
	for what, c := range map[string]struct {
		claims       Claims
		action, hash string
	}{
		"another action": {claims(), "webhooks.change", hash}, "no action": {claims(), "", hash}, "no request": {claims(), "billing.change", ""}, "a request of none": {plain, "billing.change", hash},
	} {
		if _, err := v.Verify(t.Context(), signed(t, c.claims), c.action, c.hash); !errors.Is(err, ErrOther) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := v.Verify(t.Context(), signed(t, plain), "billing.change", ""); err != nil {
		t.Error(err)
	}
}

func TestClocks(t *testing.T) {
	for _, c := range []struct {
		after, leeway time.Duration
		ok            bool
	}{
		{-5 * time.Second, 0, true}, {-6 * time.Second, 0, false}, {64 * time.Second, 0, true}, {65 * time.Second, 0, false},
		{0, -1, true}, {-time.Second, -1, false}, {59 * time.Second, -1, true}, {60 * time.Second, -1, false}, {89 * time.Second, 30 * time.Second, true},
	} {
		now := at.Add(c.after)
		v := verifier(&now)
		v.Leeway = c.leeway
		if _, err := v.Verify(t.Context(), signed(t, claims()), "billing.change", hash); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrExpired) {
			t.Errorf("%v with %v: %v", c.after, c.leeway, err)
		}
	}
}

// inv-A: one of a hundred at once; and the memory is bounded, and lets nobody in when full.
func TestRemembered_invA(t *testing.T) {
	now := at
	v := verifier(&now)
	v.Memory = 3
	var good atomic.Int64
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, err := v.Verify(context.Background(), signed(t, claims()), "billing.change", hash); err == nil {
				good.Add(1)
			}
		})
	}
	all.Wait()
	if good.Load() != 1 {
		t.Errorf("%d times", good.Load())
	}
	next := func(n int) error {
		c := claims()
		c.ID = fmt.Sprint("grt_", n)
		c.AuthTime, c.IssuedAt, c.ExpiresAt = now.Unix(), now.Unix(), now.Add(time.Minute).Unix()
		_, err := v.Verify(t.Context(), signed(t, c), "billing.change", hash)
		return err
	}
	for n, want := range map[int]error{2: nil, 3: nil} {
		if err := next(n); err != want {
			t.Error(err)
		}
	}
	if err := next(4); !errors.Is(err, ErrFull) {
		t.Errorf("full: %v", err)
	}
	now = now.Add(65 * time.Second)
	if err := next(5); err != nil || len(v.seen) != 1 {
		t.Errorf("%v, %d remembered", err, len(v.seen))
	}
	shared := map[string]bool{}
	v.Remember = func(_ context.Context, id string, _ time.Time) (bool, error) {
		first := !shared[id]
		shared[id] = true
		return first, nil
	}
	if err := next(6); err != nil {
		t.Error(err)
	}
	if err := next(6); !errors.Is(err, ErrUsed) {
		t.Error(err)
	}
}

func TestSet(t *testing.T) {
	public, _ := pair("issuer")
	raw, err := FormatSet([]string{"g1"}, Set{"g1": public})
	if err != nil {
		t.Fatal(err)
	}
	set, err := ParseSet(raw)
	if k, _ := set.Key(t.Context(), "g1"); err != nil || !k.Equal(public) {
		t.Errorf("%v %v", set, err)
	}
	x := b64.EncodeToString(public)
	for what, bad := range map[string]string{
		"nothing": "", "no keys": `{"keys":[]}`, "short": `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"AAAA"}]}`, "no id": `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"` + x + `"}]}`,
		"two of an id": `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"` + x + `"},{"kty":"OKP","crv":"Ed25519","kid":"a","x":"` + x + `"}]}`, "large": strings.Repeat(" ", maxSet) + string(raw),
	} {
		if _, err := ParseSet([]byte(bad)); !errors.Is(err, ErrKeys) {
			t.Errorf("%s: %v", what, err)
		}
	}
	set, err = ParseSet([]byte(`{"keys":[{"kty":"RSA","kid":"r"},{"kty":"OKP","crv":"X25519","kid":"x","x":"` + x + `"},{"kty":"OKP","crv":"Ed25519","use":"enc","kid":"e","x":"` + x + `"}]}`))
	if err != nil || len(set) != 0 {
		t.Errorf("other keys: %v %v", set, err)
	}
}

// Keys are asked for once, again for one that is not known, and not at everybody's will.
func TestRemote(t *testing.T) {
	public, _ := pair("issuer")
	var asked atomic.Int64
	var fails atomic.Bool
	ids := []string{"g1"}
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if fails.Load() {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		set := Set{}
		for _, id := range ids {
			set[id] = public
		}
		raw, _ := FormatSet(ids, set)
		_, _ = w.Write(raw)
	}))
	defer issuer.Close()
	now := at
	r := &Remote{URL: issuer.URL, Now: func() time.Time { return now }}
	want := func(id string, err error, n int64) {
		t.Helper()
		if k, got := r.Key(t.Context(), id); !errors.Is(got, err) || (err == nil) != k.Equal(public) || asked.Load() != n {
			t.Errorf("%s: %v, asked %d times", id, got, asked.Load())
		}
	}
	fails.Store(true)
	want("g1", ErrKeys, 1)
	fails.Store(false)
	want("g1", ErrKeys, 1)
	now = now.Add(retryKeys)
	want("g1", nil, 2)
	want("g1", nil, 2)
	want("g2", ErrInvalid, 2)
	now = now.Add(retryKeys)
	want("g2", ErrInvalid, 3)
	want("g3", ErrInvalid, 3)
	ids = append(ids, "g2")
	now = now.Add(retryKeys)
	want("g2", nil, 4)
	now = now.Add(keepKeys)
	fails.Store(true)
	want("g1", nil, 5) // what was known stays good while nobody answers
	want("g1", nil, 5)
	now = now.Add(retryKeys)
	fails.Store(false)
	ids = []string{"g2"}
	want("g1", ErrInvalid, 6)
	// Rotated, and kept from us for longer than a day: what was known is none any more.
	fails.Store(true)
	now = now.Add(staleKeys - time.Second)
	want("g2", nil, 7)
	now = now.Add(time.Second)
	want("g2", ErrKeys, 7)
	now = now.Add(retryKeys)
	want("g2", ErrKeys, 8)
	fails.Store(false)
	now = now.Add(retryKeys)
	want("g2", nil, 9)
	now = now.Add(-time.Minute) // a clock that was put back says nothing of age
	want("g2", nil, 10)
}

// Somebody who sends ids that there are none of keeps nobody waiting who has a good one.
func TestRemoteAsksAside(t *testing.T) {
	public, _ := pair("issuer")
	asked, answer := make(chan struct{}, 2), make(chan struct{}, 2)
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-answer
		raw, _ := FormatSet([]string{"g1"}, Set{"g1": public})
		_, _ = w.Write(raw)
	}))
	defer issuer.Close()
	now := at
	r := &Remote{URL: issuer.URL, Now: func() time.Time { return now }}
	answer <- struct{}{}
	if _, err := r.Key(t.Context(), "g1"); err != nil {
		t.Fatal(err)
	}
	<-asked
	now = now.Add(retryKeys)
	done := make(chan error)
	go func() { _, err := r.Key(context.Background(), "g2"); done <- err }()
	<-asked // and is not answered yet
	if _, err := r.Key(t.Context(), "g1"); err != nil {
		t.Error(err)
	}
	answer <- struct{}{}
	if err := <-done; !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(signed(f, claims()))
	f.Add("..")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	now := at
	good := signed(f, claims())
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := verifier(&now).Verify(t.Context(), token, "billing.change", hash); err == nil && token != good {
			t.Errorf("%q passes", token)
		}
	})
}

func FuzzParseSet(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		set, err := ParseSet(raw)
		for id, k := range set {
			if err != nil || id == "" || len(k) != ed25519.PublicKeySize {
				t.Errorf("%q: %v %v", raw, set, err)
			}
		}
	})
}
