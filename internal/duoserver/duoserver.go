// Package duoserver pretends to be Duo: the server side of its Auth API v2, for the
// demo and for tests. Only internal/demo and sallyporttest link it.
//
// # Flow
//
// A [Server] is an http.Handler. It checks each request as Duo does (date, keys,
// signature, parameters: check.go) and answers for the people that [Server.AddUser]
// and [Server.Activate] gave it (serve.go). Pushes and calls wait until somebody
// presses the person's buttons: [Server.Approve], Enter, Deny, Fraud, TimeOut.
//
// # Threats
//
// It guards nothing: whoever reaches its Go methods approves everything. The demo
// opens no port for it, and shows its buttons as ruling 34 allows. What it keeps is
// bounded, so that it can run for weeks.
package duoserver

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// The keys and the host of a Server whose configuration names none.
const (
	IKey = "DITESTINTEGRATION001"
	SKey = "SkeyOfTheFakeDuoServer000000000000000001"
	Host = "api-0badcafe.duosecurity.com"
)

// Config sets a Server. Every field may be left zero.
type Config struct {
	IKey, SKey, Host string           // empty: IKey, SKey, Host
	Now              func() time.Time // nil: time.Now
	// Portal is what the addresses of Duo's own set-up pages begin with; a code
	// follows, see Server.PortalUser. Empty: "https://HOST/portal?code=".
	Portal string
	// NoPortal: preauth gives no such address, so that people are added by enroll.
	NoPortal bool
	// Poll is how long a long poll waits for news; 0: 10 s.
	Poll time.Duration
	// Lives is how long a push or a call waits for the person; 0: without end.
	Lives time.Duration
	// Passcodes is how many unused passcodes each person has at any time, as if an
	// app made them; 0: those of their User and no more.
	Passcodes int
	// Strangers is what preauth answers for a name that Duo does not know; empty: "enroll".
	Strangers string
}

// Server is an http.Handler for the paths under /auth/v2/. It is safe for
// concurrent use.
//
// What it knows of Duo was written down from Duo's documentation and public
// clients, not from method/duo, whose signatures it checks in its own way.
type Server struct {
	c Config

	mu      sync.Mutex
	ahead   time.Duration
	users   map[string]*User    // by lower-case name
	asks    map[string]*duoAsk  // by transaction
	order   []string            // transactions, oldest first
	portals map[string]string   // names by code
	enrols  map[string]duoEnrol // by activation code
	faults  map[string][]Fault
	calls   []Call
	texts   []Text
}

// User is a person as Duo knows them.
type User struct {
	Username string
	UserID   string // empty: made up
	Result   string // of preauth; empty: "auth"
	Message  string // status_msg of preauth; empty: a usual one
	Devices  []Device
	// Passcodes are good once each.
	Passcodes []string
	// Verified: pushes are verified pushes, if the client can.
	Verified bool
	// Auth is what auth itself answers, if not the usual: "bypass", "deny", "locked_out".
	Auth string
}

// Device is one device of a User.
type Device struct {
	ID, Type, Name, DisplayName, Number string
	Capabilities                        []string
}

// Phone is a phone with everything.
func Phone(id string) Device {
	return Device{ID: id, Type: "phone", Name: "Phone", DisplayName: "iOS (XXX-XXX-1242)", Number: "XXX-XXX-1242",
		Capabilities: []string{"auto", "push", "sms", "phone", "mobile_otp"}}
}

// Push is a push or a call that somebody has to answer.
type Push struct {
	TxID, Username, Device string
	Factor                 string // "push" or "phone"
	Type, Display          string
	Info                   url.Values // pushinfo
	Address                string     // ipaddr
	Number                 string     // to be typed at a verified push; empty: none
	Result, Status         string
	At                     time.Time
}

// Text is a text message with passcodes.
type Text struct {
	Username, Device string
	Codes            []string
}

// Call is one request that passed every check.
type Call struct {
	Path string
	Form url.Values
}

// Fault is what a path answers instead of, or before, the usual.
type Fault struct {
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
	Push
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

// maxAsks bounds what a demo that runs for weeks keeps.
const maxAsks = 1000

// New makes a server without people.
func New(c Config) *Server {
	if c.IKey == "" {
		c.IKey = IKey
	}
	if c.SKey == "" {
		c.SKey = SKey
	}
	if c.Host == "" {
		c.Host = Host
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
	return &Server{c: c, users: map[string]*User{}, asks: map[string]*duoAsk{}, portals: map[string]string{},
		enrols: map[string]duoEnrol{}, faults: map[string][]Fault{}}
}

// Settings are the document of a company that uses this server.
func (s *Server) Settings() []byte {
	b, err := json.Marshal(map[string]any{"ikey": s.c.IKey, "skey": s.c.SKey, "host": s.c.Host})
	if err != nil {
		panic(err) // strings
	}
	return b
}

// AddUser adds or replaces a person.
func (s *Server) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addUser(u)
}

func (s *Server) addUser(u User) *User {
	if u.UserID == "" {
		u.UserID = "DU" + strings.ToUpper(rand.Text()[:18])
	}
	if u.Result == "" {
		u.Result = "auth"
	}
	s.restock(&u)
	s.users[strings.ToLower(u.Username)] = &u
	return &u
}

// restock makes passcodes for those that were used.
func (s *Server) restock(u *User) {
	for len(u.Passcodes) < s.c.Passcodes {
		u.Passcodes = append(u.Passcodes, randomDigits(6))
	}
}

// Users are the people that Duo knows, by name.
func (s *Server) Users() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []User
	for _, name := range slices.Sorted(maps.Keys(s.users)) {
		u := *s.users[name]
		u.Devices, u.Passcodes = slices.Clone(u.Devices), slices.Clone(u.Passcodes)
		list = append(list, u)
	}
	return list
}

// SetAhead puts the server's clock ahead, or behind with a negative d.
func (s *Server) SetAhead(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead = d
}

// Play makes the next requests of a path ("/auth/v2/auth") meet faults, one each.
func (s *Server) Play(path string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[path] = append(s.faults[path], faults...)
}

// Busy is n times too many requests.
func (s *Server) Busy(path string, n int) {
	for range n {
		s.Play(path, Fault{Status: http.StatusTooManyRequests, Code: 42901, Message: "Too many requests"})
	}
}

// Calls are the requests that passed every check, oldest first.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// Texts are the text messages with passcodes, oldest first.
func (s *Server) Texts() []Text {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Text(nil), s.texts...)
}

// Pushes are the pushes and calls, oldest first.
func (s *Server) Pushes() []Push {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Push
	for _, id := range s.order {
		a := s.asks[id]
		s.expire(a)
		if !a.verify {
			list = append(list, a.Push)
		}
	}
	return list
}

// ErrOver is the answer to whoever answers what nobody asks (any more).
var ErrOver = errors.New("there is no such request, or it is over")

// Set moves a transaction that waits to a result, status and message of any kind.
func (s *Server) Set(txid, result, status, message string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set(txid, result, status, message)
}

func (s *Server) set(txid, result, status, message string) error {
	a := s.asks[txid]
	s.expire(a)
	if a == nil || a.verify || a.Result != "waiting" {
		return ErrOver
	}
	s.end(a, result, status, message)
	return nil
}

// expire ends what nobody answered in time.
func (s *Server) expire(a *duoAsk) {
	if a != nil && !a.verify && a.Result == "waiting" && s.c.Lives > 0 && s.now().Sub(a.At) >= s.c.Lives {
		s.end(a, "deny", "timeout", "Login timed out.")
	}
}

func (s *Server) end(a *duoAsk, result, status, message string) {
	a.Result, a.Status, a.message = result, status, message
	a.version++
	close(a.news)
	a.news = make(chan struct{})
}

// Approve is the person's yes. At a verified push they typed the right number.
func (s *Server) Approve(txid string) error {
	return s.Set(txid, "allow", "allow", "Success. Logging you in...")
}

// Enter is the person's yes to a verified push, with the number they typed. A wrong
// one ends it, as with Duo.
func (s *Server) Enter(txid, number string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.asks[txid]; a != nil && a.Number != number {
		return s.set(txid, "deny", "deny", "The number did not match.")
	}
	return s.set(txid, "allow", "allow", "Success. Logging you in...")
}

// Deny is the person's no.
func (s *Server) Deny(txid string) error {
	return s.Set(txid, "deny", "deny", "Login request denied.")
}

// Fraud is a no with "this was not me".
func (s *Server) Fraud(txid string) error {
	return s.Set(txid, "deny", "fraud", "Login request reported as fraudulent.")
}

// TimeOut is no answer.
func (s *Server) TimeOut(txid string) error {
	return s.Set(txid, "deny", "timeout", "Login timed out.")
}

// LockOut is Duo's, after too many failures.
func (s *Server) LockOut(txid string) error {
	return s.Set(txid, "deny", "locked_out", "Your account is disabled. Please contact your administrator.")
}

// PickUp is a call that was answered; it goes on to wait for a key.
func (s *Server) PickUp(txid string) error {
	return s.Set(txid, "waiting", "answered", "Answered. Press any key on your phone to log in.")
}

// FailPush is a push that did not reach the phone; Duo waits on.
func (s *Server) FailPush(txid string) error {
	return s.Set(txid, "waiting", "push_failed", "Could not deliver the push. Open the app.")
}

// PortalUser is the name that a code of the set-up pages is for.
func (s *Server) PortalUser(code string) (username string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	username, ok = s.portals[code]
	return username, ok
}

// Activate is the end of set-up at Duo: from now on it knows the person, and their phone.
func (s *Server) Activate(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[strings.ToLower(username)]
	if u == nil {
		u = s.addUser(User{Username: username})
	}
	u.Result = "auth"
	if len(u.Devices) == 0 {
		u.Devices = []Device{Phone("DP" + rand.Text()[:18])}
	}
}

// newAsk keeps a new transaction.
func (s *Server) newAsk(p Push) *duoAsk {
	t := strings.ToLower(rand.Text() + rand.Text())
	p.TxID = fmt.Sprintf("%s-%s-%s-%s-%s", t[:8], t[8:12], t[12:16], t[16:20], t[20:32])
	p.At = s.now()
	a := &duoAsk{Push: p, version: 1, news: make(chan struct{})}
	s.asks[p.TxID] = a
	if s.order = append(s.order, p.TxID); len(s.order) > maxAsks {
		delete(s.asks, s.order[0])
		s.order = s.order[1:]
	}
	return a
}

func (s *Server) now() time.Time { return s.c.Now().Add(s.ahead) }
