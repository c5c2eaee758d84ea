package authn

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file is how somebody gets back to an application on another origin: an
// address that was registered with one of its keys (ruling 57), a handle that the
// browser carries there, and the sign-in whose first step the application checked
// itself (ruling 22).

// ReturnAddress is where people may be sent with a handle: one address, letter by
// letter. In a company it belongs to one key, which alone exchanges the handles.
type ReturnAddress struct {
	Company string
	Key     string
	Address string // as GoodReturnAddress wants it
	AddedBy string // user, or "operator"
	AddedAt time.Time
}

// Bounds of return addresses.
const (
	MaxReturnAddresses = 20  // of a key
	MaxReturnAddress   = 500 // bytes
)

// HandleParam is the parameter of the address that carries the handle.
const HandleParam = "handle"

// What an address says where somebody did not go on, in the words of RFC 6749
// section 4.1.2.1.
const (
	ErrorParam   = "error"
	AccessDenied = "access_denied"
)

// HandleLives is how long a handle is good (ruling 57).
const HandleLives = time.Minute

// GoodReturnAddress reports whether s can be a return address: https, or http on a
// loopback name; a host in small letters without a final point, a port only where
// it is not the usual one, a path from "/" on without "." or ".." in it. Never user
// information, fragments, wildcards, backslashes, or what is no visible ASCII: what
// browsers and programs read in different ways is no address here.
func GoodReturnAddress(s string) bool {
	if len(s) > MaxReturnAddress || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) || strings.ContainsAny(s, `\@*#<>"{}|^`+"`") {
		return false
	}
	u, err := url.Parse(s)
	if err != nil || u.Opaque != "" || u.User != nil || u.String() != s || !strings.HasPrefix(u.Path, "/") {
		return false
	}
	host, port := u.Hostname(), u.Port()
	loopback := host == "localhost" || host == "127.0.0.1" || host == "::1"
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback) || !goodHost(host) {
		return false
	}
	if n, err := strconv.ParseUint(port, 10, 16); strings.HasSuffix(u.Host, ":") ||
		port != "" && (err != nil || n == 0 || strconv.FormatUint(n, 10) != port || u.Scheme == "https" && n == 443 || u.Scheme == "http" && n == 80) {
		return false
	}
	query, err := url.ParseQuery(u.RawQuery)
	return err == nil && !query.Has(HandleParam) && !u.ForceQuery && goodPath(u)
}

// goodPath allows no path that somebody may read as another one.
func goodPath(u *url.URL) bool {
	if strings.ContainsAny(u.Path, `\@%`) || strings.Contains(u.Path, "//") || strings.Contains(strings.ToLower(u.EscapedPath()), "%2f") {
		return false
	}
	return !slices.ContainsFunc(strings.Split(u.Path, "/"), func(part string) bool { return part == "." || part == ".." })
}

func goodHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.String() == host && a.Zone() == ""
	}
	if host == "" || len(host) > 253 {
		return false
	}
	letter := false
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
		letter = strings.Trim(label, "0123456789") != "" && !strings.HasPrefix(label, "0x")
	}
	return letter // 127.1, 2130706433 and 0x7f are addresses to browsers (URL standard, "ends in a number")
}

// Bounds of a nonce.
const (
	LeastNonce = 16
	MaxNonce   = 200
)

// GoodNonce reports whether s is 16 to 200 letters, digits, "-", "." , "_" or "~":
// what a URL carries as it is (RFC 3986 section 2.3), and too long to be guessed.
func GoodNonce(s string) bool {
	return len(s) >= LeastNonce && len(s) <= MaxNonce &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~") == ""
}

// Return is where an application wants somebody back, and what it wants to hear
// again: with the nonce it knows that the handle is the answer to its own question,
// from the browser that it asked (login CSRF, RFC 9700 section 4.7).
type Return struct {
	Address string
	Nonce   string
}

// String is how attempts, sessions and forms carry it, in the place of a path. No
// return address has a "#".
func (r Return) String() string { return r.Address + "#" + r.Nonce }

// Good reports whether both parts can be what they are.
func (r Return) Good() bool { return GoodReturnAddress(r.Address) && GoodNonce(r.Nonce) }

// ParseReturn reads what String wrote; false for a path, and for anything else.
func ParseReturn(s string) (Return, bool) {
	address, nonce, _ := strings.Cut(s, "#")
	r := Return{address, nonce}
	return r, r.Good()
}

// With is the address with a handle.
func (r Return) With(handle string) string { return r.and(HandleParam, handle) }

// Declined is the address for who comes back without a handle because they did not
// go on: nothing in it is a secret, or says who it was.
func (r Return) Declined() string { return r.and(ErrorParam, AccessDenied) }

func (r Return) and(name, value string) string {
	sep := "?"
	if strings.Contains(r.Address, "?") {
		sep = "&"
	}
	return r.Address + sep + name + "=" + value
}

// Site is the host of a return address, as people are shown it.
func (r Return) Site() string {
	u, err := url.Parse(r.Address)
	if err != nil {
		return ""
	}
	return u.Host
}

// HandleKind is what a handle tells the key of.
type HandleKind string

// The kinds of handles.
const (
	SignInHandle HandleKind = "sign_in"            // a session
	StepUpHandle HandleKind = "step_up"            // a proof for an action
	CallerHandle HandleKind = "verified_by_caller" // a sign-in whose first step the key checked; no session
)

// Handle is what a key is told, once, of somebody who came back to it.
type Handle struct {
	Company     string
	ID          string
	User        string
	Key         string // the only one that is told
	Kind        HandleKind
	SignIn      string // the attempt that the session came from; empty with CallerHandle
	Address     string // where it was sent; empty: it was handed to the program itself
	Nonce       string
	Action      string // with StepUpHandle
	RequestHash string // with StepUpHandle; empty: of no request in particular
	ACR         string
	AMR         []string
	AuthTime    time.Time
	Epoch       int64 // of the user
	MadeAt      time.Time
	ExpiresAt   time.Time
	UsedAt      time.Time // zero: not yet
}

// Caller is the program that checked the first step of a sign-in (ruling 22).
type Caller struct {
	Key     string     `json:"key"`
	Nonce   string     `json:"nonce"`
	Enrol   bool       `json:"enrol,omitempty"` // the person may set up a way to verify
	Address netip.Addr `json:"-"`               // of the person, as the program says; invalid: not stated
}

type (
	// NewHandle stores a handle of the user, openable by Token. Conflict if the key is gone.
	NewHandle struct {
		Handle Handle
		Token  Token
	}
	// SpendHandle uses the decision's handle, once.
	SpendHandle struct{}
	// NewReturnAddress registers an address with the key that the decision is about.
	NewReturnAddress struct{ Return ReturnAddress }
	// EndReturnAddress forgets one of that key. Conflict if it is gone.
	EndReturnAddress struct{ Key, Address string }
	// BindAttempt lets the decision's browser open the attempt. Conflict if another does.
	BindAttempt struct{ ID string }
)

func (NewHandle) write()        {}
func (SpendHandle) write()      {}
func (NewReturnAddress) write() {}
func (EndReturnAddress) write() {}
func (BindAttempt) write()      {}
