package sallyporttest

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// The keys and the host of a DuoServer whose configuration names none.
const (
	DuoIKey = "DITESTINTEGRATION001"
	DuoSKey = "SkeyOfTheFakeDuoServer000000000000000001"
	DuoHost = "api-0badcafe.duosecurity.com"
)

// DuoConfig sets a DuoServer. Every field may be left zero.
type DuoConfig struct {
	IKey, SKey, Host string           // empty: DuoIKey, DuoSKey, DuoHost
	Now              func() time.Time // nil: time.Now
	// Portal is what the addresses of Duo's own set-up pages begin with; a code
	// follows, see DuoServer.PortalUser. Empty: "https://HOST/portal?code=".
	Portal string
	// NoPortal: preauth gives no such address, so that people are added by enroll.
	NoPortal bool
	// Poll is how long a long poll waits for news; 0: 10 s.
	Poll time.Duration
	// Strangers is what preauth answers for a name that Duo does not know; empty: "enroll".
	Strangers string
}

// DuoServer pretends to be Duo's Auth API v2: an http.Handler for the paths under
// /auth/v2/, strict about dates, keys, signatures and parameters. It needs no
// testing.T, so that a demonstration can run it. It is safe for concurrent use.
//
// What it knows of Duo was written down from Duo's documentation and public
// clients, not from method/duo, whose signatures it checks in its own way.
type DuoServer struct {
	c DuoConfig

	mu      sync.Mutex
	ahead   time.Duration
	users   map[string]*DuoUser // by lower-case name
	asks    map[string]*duoAsk  // by transaction
	order   []string            // transactions, oldest first
	portals map[string]string   // names by code
	enrols  map[string]duoEnrol // by activation code
	faults  map[string][]DuoFault
	calls   []DuoCall
	texts   []DuoText
}

// DuoUser is a person as Duo knows them.
type DuoUser struct {
	Username string
	UserID   string // empty: made up
	Result   string // of preauth; empty: "auth"
	Message  string // status_msg of preauth; empty: a usual one
	Devices  []DuoDevice
	// Passcodes are good once each.
	Passcodes []string
	// Verified: pushes are verified pushes, if the client can.
	Verified bool
	// Auth is what auth itself answers, if not the usual: "bypass", "deny", "locked_out".
	Auth string
}

// DuoDevice is one device of a DuoUser.
type DuoDevice struct {
	ID, Type, Name, DisplayName, Number string
	Capabilities                        []string
}

// DuoPhone is a phone with everything.
func DuoPhone(id string) DuoDevice {
	return DuoDevice{ID: id, Type: "phone", Name: "Phone", DisplayName: "iOS (XXX-XXX-1242)", Number: "XXX-XXX-1242",
		Capabilities: []string{"auto", "push", "sms", "phone", "mobile_otp"}}
}

// DuoPush is a push or a call that somebody has to answer.
type DuoPush struct {
	TxID, Username, Device string
	Factor                 string // "push" or "phone"
	Type, Display          string
	Info                   url.Values // pushinfo
	Address                string     // ipaddr
	Number                 string     // to be typed at a verified push; empty: none
	Result, Status         string
	At                     time.Time
}

// DuoText is a text message with passcodes.
type DuoText struct {
	Username, Device string
	Codes            []string
}

// DuoCall is one request that passed every check.
type DuoCall struct {
	Path string
	Form url.Values
}

// DuoFault is what a path answers instead of, or before, the usual.
type DuoFault struct {
	Status  int    // of HTTP; 0: 200
	Code    int    // with it, an envelope that says FAIL
	Message string // in that envelope
	Body    string // if not empty, the whole body
	Half    bool   // the connection ends in the middle of the body
	Moved   string // a redirect to this address
	// Wait: nothing is answered before it is closed (or the client gave up). With
	// nothing else set, the usual answer follows.
	Wait <-chan struct{}
}

// duoAsk is a transaction.
type duoAsk struct {
	DuoPush
	message string
	verify  bool          // begun by preauth, auth has not come yet
	version int           // grows with every change
	told    int           // the version that auth_status told last
	news    chan struct{} // closed at the next change
}

type duoEnrol struct {
	username string
	until    time.Time
}

// maxAsks bounds what a demonstration that runs for weeks keeps.
const maxAsks = 1000

// NewDuoServer makes a server without people.
func NewDuoServer(c DuoConfig) *DuoServer {
	if c.IKey == "" {
		c.IKey = DuoIKey
	}
	if c.SKey == "" {
		c.SKey = DuoSKey
	}
	if c.Host == "" {
		c.Host = DuoHost
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Portal == "" {
		c.Portal = "https://" + c.Host + "/portal?code="
	}
	if c.Poll == 0 {
		c.Poll = 10 * time.Second
	}
	if c.Strangers == "" {
		c.Strangers = "enroll"
	}
	return &DuoServer{c: c, users: map[string]*DuoUser{}, asks: map[string]*duoAsk{}, portals: map[string]string{},
		enrols: map[string]duoEnrol{}, faults: map[string][]DuoFault{}}
}

// Duo is a DuoServer that listens for a test.
type Duo struct {
	*DuoServer
	HTTP *httptest.Server
}

// NewDuo starts a DuoServer for a test. The links to its portal lead to itself.
func NewDuo(t testing.TB, c DuoConfig) *Duo {
	t.Helper()
	h := httptest.NewUnstartedServer(nil)
	if c.Portal == "" {
		c.Portal = "http://" + h.Listener.Addr().String() + "/portal?code="
	}
	d := &Duo{NewDuoServer(c), h}
	h.Config.Handler = d.DuoServer
	h.Start()
	t.Cleanup(h.Close)
	return d
}

// Base leads every host to this server; for the Config of method/duo.
func (d *Duo) Base(string) string { return d.HTTP.URL }

// Settings are the document of a company that uses this server.
func (s *DuoServer) Settings() []byte {
	b, err := json.Marshal(map[string]any{"ikey": s.c.IKey, "skey": s.c.SKey, "host": s.c.Host})
	if err != nil {
		panic(err) // strings
	}
	return b
}

// AddUser adds or replaces a person.
func (s *DuoServer) AddUser(u DuoUser) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addUser(u)
}

func (s *DuoServer) addUser(u DuoUser) *DuoUser {
	if u.UserID == "" {
		u.UserID = "DU" + strings.ToUpper(rand.Text()[:18])
	}
	if u.Result == "" {
		u.Result = "auth"
	}
	s.users[strings.ToLower(u.Username)] = &u
	return &u
}

// SetAhead puts the server's clock ahead, or behind with a negative d.
func (s *DuoServer) SetAhead(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead = d
}

// Play makes the next requests of a path ("/auth/v2/auth") meet faults, one each.
func (s *DuoServer) Play(path string, faults ...DuoFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[path] = append(s.faults[path], faults...)
}

// Busy is n times too many requests.
func (s *DuoServer) Busy(path string, n int) {
	for range n {
		s.Play(path, DuoFault{Status: http.StatusTooManyRequests, Code: 42901, Message: "Too many requests"})
	}
}

// Calls are the requests that passed every check, oldest first.
func (s *DuoServer) Calls() []DuoCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]DuoCall(nil), s.calls...)
}

// Texts are the text messages with passcodes, oldest first.
func (s *DuoServer) Texts() []DuoText {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]DuoText(nil), s.texts...)
}

// Pushes are the pushes and calls, oldest first.
func (s *DuoServer) Pushes() []DuoPush {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []DuoPush
	for _, id := range s.order {
		if a := s.asks[id]; !a.verify {
			list = append(list, a.DuoPush)
		}
	}
	return list
}

var errNoAsk = errors.New("there is no such request, or it is over")

// Set moves a transaction that waits to a result, status and message of any kind.
func (s *DuoServer) Set(txid, result, status, message string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set(txid, result, status, message)
}

func (s *DuoServer) set(txid, result, status, message string) error {
	a := s.asks[txid]
	if a == nil || a.verify || a.Result != "waiting" {
		return errNoAsk
	}
	a.Result, a.Status, a.message = result, status, message
	a.version++
	close(a.news)
	a.news = make(chan struct{})
	return nil
}

// Approve is the person's yes. At a verified push they typed the right number.
func (s *DuoServer) Approve(txid string) error {
	return s.Set(txid, "allow", "allow", "Success. Logging you in...")
}

// Enter is the person's yes to a verified push, with the number they typed. A wrong
// one ends it, as with Duo.
func (s *DuoServer) Enter(txid, number string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.asks[txid]; a != nil && a.Number != number {
		return s.set(txid, "deny", "deny", "The number did not match.")
	}
	return s.set(txid, "allow", "allow", "Success. Logging you in...")
}

// Deny is the person's no.
func (s *DuoServer) Deny(txid string) error {
	return s.Set(txid, "deny", "deny", "Login request denied.")
}

// Fraud is a no with "this was not me".
func (s *DuoServer) Fraud(txid string) error {
	return s.Set(txid, "deny", "fraud", "Login request reported as fraudulent.")
}

// TimeOut is no answer.
func (s *DuoServer) TimeOut(txid string) error {
	return s.Set(txid, "deny", "timeout", "Login timed out.")
}

// LockOut is Duo's, after too many failures.
func (s *DuoServer) LockOut(txid string) error {
	return s.Set(txid, "deny", "locked_out", "Your account is disabled. Please contact your administrator.")
}

// PickUp is a call that was answered; it goes on to wait for a key.
func (s *DuoServer) PickUp(txid string) error {
	return s.Set(txid, "waiting", "answered", "Answered. Press any key on your phone to log in.")
}

// FailPush is a push that did not reach the phone; Duo waits on.
func (s *DuoServer) FailPush(txid string) error {
	return s.Set(txid, "waiting", "push_failed", "Could not deliver the push. Open the app.")
}

// PortalUser is the name that a code of the set-up pages is for.
func (s *DuoServer) PortalUser(code string) (username string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	username, ok = s.portals[code]
	return username, ok
}

// Activate is the end of set-up at Duo: from now on it knows the person, and their phone.
func (s *DuoServer) Activate(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[strings.ToLower(username)]
	if u == nil {
		u = s.addUser(DuoUser{Username: username})
	}
	u.Result = "auth"
	if len(u.Devices) == 0 {
		u.Devices = []DuoDevice{DuoPhone("DP" + rand.Text()[:18])}
	}
}

// newAsk keeps a new transaction.
func (s *DuoServer) newAsk(p DuoPush) *duoAsk {
	t := strings.ToLower(rand.Text() + rand.Text())
	p.TxID = fmt.Sprintf("%s-%s-%s-%s-%s", t[:8], t[8:12], t[12:16], t[16:20], t[20:32])
	p.At = s.now()
	a := &duoAsk{DuoPush: p, version: 1, news: make(chan struct{})}
	s.asks[p.TxID] = a
	if s.order = append(s.order, p.TxID); len(s.order) > maxAsks {
		delete(s.asks, s.order[0])
		s.order = s.order[1:]
	}
	return a
}

func (s *DuoServer) now() time.Time { return s.c.Now().Add(s.ahead) }
