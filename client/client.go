// Package client calls the JSON API of a Sallyport server from Go, with the
// standard library only: signing in with one's own pages, proofs for one's own
// acts, and the administration by program.
//
// # Flow
//
// New makes a client; As makes another one of it, with the token of a person or of
// a program. Each typed call is one route of /api/v1/openapi.json; Do and List reach
// those that have none. Lists are iterators that fetch a page when it is needed.
//
// Whatever is not a 2xx with a whole answer is an error. A refusal is an *Error, and
// errors.Is finds its Code: errors.Is(err, client.WrongCode). A proof that is too old
// is StepUpRequired: begin with StepUp, and go on with the session that comes with it.
// Each completed step-up, and each change of ways to verify or password, gives the
// session anew; the token that asked for it is dead from then on.
//
// # Threats
//
//   - A credential that goes elsewhere: redirects are not followed at all, cookies are
//     neither sent nor kept, https is demanded beyond loopback, and no path leads
//     outside /api/v1/.
//   - A secret in a log: tokens, codes and passwords are of type Secret, which prints
//     as "[secret]"; no error repeats a body, a query, or what people are told.
//   - Something else that answers, such as a proxy or a portal: an answer that is not
//     JSON, is not whole, is longer than Config.MaxAnswer, or lacks what makes it the
//     answer to this call, is an error (ErrAnswer) and never a yes.
//   - A call that counts twice: only what changes nothing when it is said again is
//     repeated. A wrong code is charged, so Verify is never repeated; nor is any POST
//     that creates or sends something.
//   - A server in distress: waits grow and differ between clients, Retry-After is
//     obeyed, tries and waits are bounded, and the context ends all of it.
package client

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
	"unicode"
)

// What a zero Config means, and its bounds.
const (
	DefaultTimeout   = 30 * time.Second // of one try
	DefaultRetries   = 3
	MaxRetries       = 10
	DefaultMaxWait   = 30 * time.Second
	DefaultMaxAnswer = 8 << 20 // bytes

	apiPath   = "/api/v1/"
	ourselves = "sallyport-go"
)

// Config says which server to call, and how. BaseURL is needed; every other field
// may be left zero.
type Config struct {
	// BaseURL is where the server is: "https://login.example.com", with the prefix
	// if it is mounted under one, and without /api/v1.
	BaseURL string
	// Token is the API key, or the token of a session. Zero: only the calls that
	// need none, and clients made by As.
	Token Secret
	// Account is the login of an API account ("build-bot", or "acme/build-bot"), whose
	// secret is Token then. Empty: Token goes by itself.
	Account string
	// HTTPClient sends the requests; its transport and time-out count, its cookies and
	// its rule for redirects do not. Nil: one of its own, with http.DefaultTransport.
	HTTPClient *http.Client
	// UserAgent is what the program calls itself, before our own name. Empty: only ours.
	UserAgent string
	// Language is an Accept-Language for the texts that people read, such as "pl".
	// Empty: the server's.
	Language string
	// Timeout is how long one try may take with all of its answer; then it ends with
	// context.DeadlineExceeded, whether or not the call goes on with another. 0:
	// DefaultTimeout; negative: as long as the context lasts.
	Timeout time.Duration
	// Retries is how often a call is repeated that may be, at most MaxRetries.
	// 0: DefaultRetries; negative: never.
	Retries int
	// MaxWait is the longest wait between two tries. A server that asks for a longer
	// one is not asked again: the caller gets the *Error with RetryAfter. 0: DefaultMaxWait.
	MaxWait time.Duration
	// MaxAnswer is the longest answer that is read, in bytes. 0: DefaultMaxAnswer.
	MaxAnswer int64
	// PlainHTTP allows an http address that is not loopback, such as one within a
	// cluster. Whoever is on the way reads every secret.
	PlainHTTP bool
}

// Client calls one server with one credential. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	token   Secret
	account string
	agent   string
	cfg     Config // with defaults; its Token and Account are not used
	http    *http.Client
	hooks   hooks
}

// New checks c and makes a client. It calls nobody.
func New(c Config) (*Client, error) {
	base, err := baseURL(c)
	if err != nil {
		return nil, err
	}
	if c.Retries > MaxRetries || c.MaxWait < 0 || c.MaxAnswer < 0 {
		return nil, fmt.Errorf("client: Retries is more than %d, or MaxWait or MaxAnswer is negative", MaxRetries)
	}
	if err := sendable(c.Token, c.Account); err != nil {
		return nil, err
	}
	c.Retries = max(orDefault(c.Retries, DefaultRetries), 0)
	c.Timeout = orDefault(c.Timeout, DefaultTimeout)
	c.MaxWait = orDefault(c.MaxWait, DefaultMaxWait)
	c.MaxAnswer = orDefault(c.MaxAnswer, DefaultMaxAnswer)
	h := http.Client{}
	if c.HTTPClient != nil {
		h = *c.HTTPClient
	}
	h.Jar = nil
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	cl := &Client{base: base, token: c.Token, account: c.Account, agent: strings.TrimSpace(c.UserAgent + " " + ourselves), cfg: c, http: &h, hooks: realHooks}
	cl.cfg.Token, cl.cfg.Account = Secret{}, ""
	return cl, nil
}

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// As is the same client with another credential: the token of an attempt, a session
// or a key. The zero Secret: none.
func (c *Client) As(token Secret) *Client {
	other := *c
	other.token, other.account = token, ""
	return &other
}

// Format prints where the client calls, and no secret.
func (c Client) Format(f fmt.State, _ rune) { fmt.Fprint(f, "client of ", c.base) }

func baseURL(c Config) (*url.URL, error) {
	u, err := url.Parse(c.BaseURL)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("client: BaseURL is not the https address of a server")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("client: BaseURL has a user, a query or a fragment")
	}
	if u.Scheme == "http" && !c.PlainHTTP && !loopback(u.Hostname()) {
		return nil, errors.New("client: BaseURL is http and not loopback; use https, or say PlainHTTP")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	if u.RawPath != "" || u.Path != "" && path.Clean(u.Path) != u.Path {
		return nil, errors.New("client: the path of BaseURL is not plain")
	}
	if strings.HasSuffix(u.Path+"/", apiPath) {
		return nil, errors.New("client: BaseURL goes without " + strings.TrimRight(apiPath, "/"))
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// sendable refuses a credential that would break out of its header, without showing it.
func sendable(token Secret, account string) error {
	if account == "" && strings.ContainsFunc(token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("client: the token has characters that no token has")
	}
	if account != "" && token.IsZero() || strings.ContainsFunc(account, func(r rune) bool { return r == ':' || unicode.IsControl(r) }) {
		return errors.New("client: Account has a colon or a control character, or no Token beside it")
	}
	return nil
}
