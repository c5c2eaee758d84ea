package sallyporttest

import (
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/signin"
)

// Browser is a browser without scripts, as far as HTTP goes: a Client that keeps
// cookies, follows redirects, and says of each request where it comes from, as
// browsers do. A request that has headers of its own for that (Origin, Accept,
// Sec-Fetch-…) keeps them.
type Browser struct {
	*http.Client
	server *Server
	person Person
	home   *url.URL
}

// NewBrowser is a browser in which nobody is signed in.
func (s *Server) NewBrowser(t testing.TB) *Browser {
	t.Helper()
	home, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Browser{Client: &http.Client{Jar: jar, Transport: &sameOrigin{home, s.HTTP.Client().Transport}, Timeout: time.Minute}, server: s, home: home}
}

// SignedIn is a browser in which a person has signed in, with their password and, if
// the policy asks for more, the first way that is offered: the app, a code that is
// sent, or Duo. It fails the test where the person cannot sign in. The clock moves if
// the code of the app was used already (Authenticator.NextCode).
func (s *Server) SignedIn(t testing.TB, p Person) *Browser {
	t.Helper()
	b := s.NewBrowser(t)
	b.person = p
	companies, err := s.Store.Companies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	begin := signin.Begin{Login: p.Login, Password: p.password(), Client: here}
	for _, c := range companies {
		if c.ID == p.Company {
			begin.Company = c.Slug
		}
	}
	st, err := s.SignIn.Begin(t.Context(), begin)
	if err != nil {
		t.Fatalf("%s does not sign in: %v", p.Login, err)
	}
	b.finish(t, st)
	return b
}

// StepUp proves the person anew, as the page "Confirm that it's you" does: for an
// action (one of sallyport.Config.Actions, or registered), which counts for
// RequireStepUp with that action, or with "" for no action in particular. The session
// is new afterwards, and the browser has it.
func (b *Browser) StepUp(t testing.TB, action string) {
	t.Helper()
	if action != "" {
		b.stepUp(t, signin.For{Action: action, Kind: authn.PageGrant})
		return
	}
	st, err := b.server.SignIn.StepUp(t.Context(), b.session(t), "", "", here)
	if err != nil {
		t.Fatalf("no step-up for %s: %v", b.person.Login, err)
	}
	b.finish(t, st)
}

// Grant is StepUp for an application that redeems a grant: its token. requestHash
// binds it to one request (client.RequestHash); empty: to none.
func (b *Browser) Grant(t testing.TB, action, requestHash string) string {
	t.Helper()
	return b.stepUp(t, signin.For{Action: action, RequestHash: requestHash}).Grant.Token
}

func (b *Browser) stepUp(t testing.TB, f signin.For) signin.Status {
	t.Helper()
	st, err := b.server.SignIn.StepUpFor(t.Context(), b.session(t), f, here)
	if err != nil {
		t.Fatalf("no step-up for %s: %v", b.person.Login, err)
	}
	return b.finish(t, st)
}

// Token is the token of the session, which goes behind "Authorization: Bearer" or into
// client.NewSecret; empty: nobody is signed in.
func (b *Browser) Token() string {
	if c := b.Cookie(); c != nil {
		return c.Value
	}
	return ""
}

// Cookie is the session's, for a request to a handler without a server; nil: nobody is
// signed in.
func (b *Browser) Cookie() *http.Cookie {
	for _, c := range b.Jar.Cookies(b.home) {
		if c.Name == b.server.SessionCookie() {
			return c
		}
	}
	return nil
}

func (b *Browser) session(t testing.TB) authn.Token {
	t.Helper()
	token, ok := authn.ParseToken(authn.SessionToken, b.Token())
	if !ok {
		t.Fatal("nobody is signed in in this browser")
	}
	return token
}

// here is this test, as the server knows a client.
var here = authn.Client{Address: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Agent: "sallyporttest", Locale: "en"}

// finish does what an attempt asks for, and keeps the session.
func (b *Browser) finish(t testing.TB, st signin.Status) signin.Status {
	t.Helper()
	o := signin.OpenerOf(st.Token, here)
	for range 10 { // no attempt has that many steps
		if st.Done() {
			b.Jar.SetCookies(b.home, []*http.Cookie{{Name: b.server.SessionCookie(), Value: st.SessionToken.Reveal(), Path: "/", HttpOnly: true}})
			return st
		}
		var err error
		switch {
		case st.Need.State == authn.NeedFactor:
			st, err = b.answer(t, o, st)
		case st.Need.State == authn.NeedPassword:
			st, err = b.server.SignIn.Verify(t.Context(), o, signin.Verify{Method: authn.Password, Answer: authn.Answer{Password: b.person.password()}})
		case st.Need.State == authn.Ready:
			st, err = b.server.SignIn.Complete(t.Context(), o)
		case st.Need.State == authn.NeedEnrolment && !st.Need.GraceUntil.IsZero():
			st, err = b.server.SignIn.Postpone(t.Context(), o)
		default:
			t.Fatalf("%s is not let in: %s %s", b.person.Login, st.Need.State, st.Need.Denied)
		}
		if err != nil {
			t.Fatalf("%s is not let in: %v", b.person.Login, err)
		}
	}
	t.Fatalf("%s is asked for ever more", b.person.Login)
	return st
}

// answer gives what the first way asks for that the person can answer here.
func (b *Browser) answer(t testing.TB, o signin.Opener, st signin.Status) (signin.Status, error) {
	t.Helper()
	s := b.server
	i := slices.IndexFunc(st.Need.Offers, func(of policy.Offer) bool {
		return of.Usable() && (of.Kind == authn.TOTP && b.person.App != nil || of.Kind.Sent() || of.Kind == authn.Duo && s.Duo != nil)
	})
	if i < 0 {
		t.Fatalf("%s has no way that can be answered here: %+v", b.person.Login, st.Need.Offers)
	}
	way := st.Need.Offers[i]
	var code string
	switch {
	case way.Kind == authn.TOTP:
		code = b.person.App.NextCode()
	case way.Kind == authn.Duo:
		return b.approve(t, o, way)
	default:
		if way.Factor == "" || !slices.ContainsFunc(st.Sent, func(c authn.Challenge) bool { return c.Factor == way.Factor }) {
			var err error
			if st, _, err = s.SignIn.Challenge(t.Context(), o, way.Kind, way.Factor); err != nil {
				return st, err
			}
		}
		last := st.Sent[len(st.Sent)-1]
		way.Factor, code = last.Factor, s.LastCode(t, last.Destination)
	}
	return s.SignIn.Verify(t.Context(), o, signin.Verify{Method: way.Kind, Factor: way.Factor, Answer: authn.Answer{Code: code}})
}

// approve has Duo ask, and says yes.
func (b *Browser) approve(t testing.TB, o signin.Opener, way policy.Offer) (signin.Status, error) {
	t.Helper()
	before := len(b.server.Duo.Pushes())
	st, err := b.server.SignIn.Start(t.Context(), o, authn.Duo, way.Factor, "")
	if err != nil || st.Need.State != authn.AwaitsService {
		return st, err
	}
	all := b.server.Duo.Pushes()
	if len(all) == before {
		t.Fatalf("Duo asked %s for something else than an approval", b.person.Login)
	}
	if err := b.server.Duo.Approve(all[len(all)-1].TxID); err != nil {
		return st, err
	}
	// The answer comes by a connection to Duo, in the background.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for st.Need.State == authn.AwaitsService {
		if err := short(ctx, 0); err != nil {
			return st, err
		}
		if st, err = b.server.SignIn.Get(ctx, o); err != nil {
			return st, err
		}
	}
	return st, nil
}

func (p Person) password() string {
	if p.Password == "" {
		return Password
	}
	return p.Password
}

// sameOrigin says of requests to the server that they come from its pages: addresses
// and forms as somebody opens and sends them, anything else as a script does.
type sameOrigin struct {
	home *url.URL
	next http.RoundTripper
}

func (o *sameOrigin) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != o.home.Scheme || r.URL.Host != o.home.Host {
		return o.next.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	set := func(name, value string) {
		if r.Header.Get(name) == "" {
			r.Header.Set(name, value)
		}
	}
	kind := r.Header.Get("Content-Type")
	if r.Header.Get("Accept") == "" && (r.Method == http.MethodGet || kind == "application/x-www-form-urlencoded" || strings.HasPrefix(kind, "multipart/form-data")) {
		set("Accept", "text/html,*/*;q=0.8")
		set("Sec-Fetch-Mode", "navigate")
	}
	set("Sec-Fetch-Site", "same-origin")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		set("Origin", o.home.String())
	}
	return o.next.RoundTrip(r)
}
