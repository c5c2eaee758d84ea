package duo

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxBody    = 64 << 10         // bytes of an answer (ruling 32)
	maxMessage = 200              // characters of Duo's words
	callLimit  = 15 * time.Second // one request, if ctx allows more
	pollLimit  = 75 * time.Second // one long poll; Duo's own end after a minute
	firstPause = time.Second      // after 429; doubles, as Duo's own clients do
	longPause  = 32 * time.Second
	maxRetries = 6
	// staleClock is by how much the offset must have changed for a refused request
	// to be worth another try.
	staleClock = 5 * time.Second
	maxHosts   = 10_000
)

// offsets remembers, per host, how far Duo's clock is ahead of ours.
type offsets struct {
	mu sync.Mutex
	by map[string]time.Duration
}

func (o *offsets) get(host string) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.by[host]
}

func (o *offsets) set(host string, d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.by == nil || len(o.by) >= maxHosts {
		o.by = map[string]time.Duration{}
	}
	o.by[host] = d
}

// client speaks for one company.
type client struct {
	m *Method
	s Settings
}

// open makes a client of a company's sealed settings. Settings that cannot be
// used are a reason not to let anybody in, like any other.
func (m *Method) open(settings []byte) (*client, error) {
	s, err := ParseSettings(settings)
	if err != nil {
		return nil, unavailable(&Error{reason: Other, cause: err})
	}
	if bad := s.Check(); bad != nil {
		return nil, unavailable(&Error{reason: Other, cause: fmt.Errorf("the setting %s is not right", bad[0].Name)})
	}
	return &client{m, s}, nil
}

// query is one request.
type query struct {
	verb, path string
	params     url.Values
	unsigned   bool
	limit      time.Duration // 0: callLimit
}

// call asks and gives the "response" of an envelope that says OK. Errors are
// authn.Errors with ProviderUnavailable around an *Error.
func (c *client) call(ctx context.Context, q query) (json.RawMessage, error) {
	raw, err := c.patient(ctx, q)
	var e *Error
	if q.unsigned || !errors.As(err, &e) || e.Status != http.StatusUnauthorized {
		return raw, err
	}
	// Nothing was done, and a wrong clock looks like a wrong signature.
	before := c.m.offsets.get(c.s.Host)
	after, pingErr := c.ping(ctx)
	if pingErr != nil || (after-before).Abs() < staleClock {
		return nil, err
	}
	return c.patient(ctx, q)
}

// ping asks for Duo's time and remembers how far it is ahead of ours.
func (c *client) ping(ctx context.Context) (ahead time.Duration, err error) {
	raw, err := c.patient(ctx, query{verb: http.MethodGet, path: "/auth/v2/ping", unsigned: true})
	if err != nil {
		return 0, err
	}
	var a pingAnswer
	if err := object(raw, &a); err != nil || a.unix() == 0 {
		return 0, garbled(http.StatusOK, errShape)
	}
	ahead = time.Unix(a.unix(), 0).Sub(c.m.c.Now()).Round(time.Second)
	c.m.offsets.set(c.s.Host, ahead)
	return ahead, nil
}

// patient asks again, later, while Duo says that there are too many requests:
// those were not carried out. It does not begin a wait that ctx would cut short.
func (c *client) patient(ctx context.Context, q query) (json.RawMessage, error) {
	pause := firstPause
	for try := 0; ; try++ {
		raw, err := c.once(ctx, q)
		var e *Error
		if try == maxRetries || !errors.As(err, &e) || e.Reason() != Throttled {
			return raw, err
		}
		if c.m.pause(ctx, pause+jitter()) != nil {
			return nil, err
		}
		pause = min(2*pause, longPause)
	}
}

// pause waits, unless ctx would be over by then.
func (m *Method) pause(ctx context.Context, d time.Duration) error {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return context.DeadlineExceeded
	}
	return m.c.Sleep(ctx, d)
}

// jitter is between zero and a second.
func jitter() time.Duration {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return time.Duration(binary.BigEndian.Uint64(b[:]) % uint64(time.Second))
}

// sleep is the Sleep of production.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// once sends one request and reads its answer.
func (c *client) once(ctx context.Context, q query) (json.RawMessage, error) {
	limit := q.limit
	if limit == 0 {
		limit = callLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r, err := c.request(ctx, q)
	if err != nil {
		return nil, unavailable(&Error{reason: Other, cause: errors.New("the address cannot be asked")})
	}
	resp, err := c.m.http.Do(r)
	if err != nil {
		return nil, broken(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, broken(err)
	}
	return answer(resp.StatusCode, body, err)
}

// answer reads an envelope. What the status says goes before what the body is.
func answer(status int, body []byte, cut error) (json.RawMessage, error) {
	var e envelope
	bad := cut
	if len(body) > maxBody {
		bad = errors.New("the answer is too long")
	}
	if bad == nil {
		bad = object(body, &e)
	}
	switch {
	case bad != nil && (status == http.StatusOK || status < 400):
		return nil, garbled(status, bad)
	case bad != nil:
		return nil, unavailable(&Error{Status: status})
	case e.Stat == "FAIL":
		return nil, unavailable(&Error{Status: status, Code: e.code(), Message: e.message()})
	case status != http.StatusOK && status >= 400:
		return nil, unavailable(&Error{Status: status, Code: e.code(), Message: e.message()})
	case status != http.StatusOK, e.Stat != "OK", len(e.Response) == 0:
		return nil, garbled(status, errShape)
	}
	return e.Response, nil
}

// request is a signed request, unless q says otherwise.
func (c *client) request(ctx context.Context, q query) (*http.Request, error) {
	params := encode(q.params)
	address := c.m.base(c.s.Host) + q.path
	var body io.Reader
	if q.verb == http.MethodPost {
		body = strings.NewReader(params)
	} else if params != "" {
		address += "?" + params
	}
	r, err := http.NewRequestWithContext(ctx, q.verb, address, body)
	if err != nil {
		return nil, err
	}
	r.Host = c.s.Host
	r.Header.Set("User-Agent", "Sallyport")
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if !q.unsigned {
		date := c.m.c.Now().Add(c.m.offsets.get(c.s.Host)).UTC().Format(time.RFC1123Z)
		r.Header.Set("Date", date)
		r.Header.Set("Authorization", authorization(c.s, canonical(date, q.verb, c.s.Host, q.path, q.params)))
	}
	return r, nil
}

// The calls. Parameters that are empty are not sent.

func params(pairs ...string) url.Values {
	p := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			p.Set(pairs[i], pairs[i+1])
		}
	}
	return p
}

func post[T any](ctx context.Context, c *client, path string, p url.Values) (a T, err error) {
	raw, err := c.call(ctx, query{verb: http.MethodPost, path: path, params: p})
	if err == nil && object(raw, &a) != nil {
		err = garbled(http.StatusOK, errShape)
	}
	return a, err
}

func (c *client) check(ctx context.Context) error {
	_, err := c.call(ctx, query{verb: http.MethodGet, path: "/auth/v2/check"})
	return err
}

func (c *client) preauth(ctx context.Context, who account, address string) (preauthAnswer, error) {
	p := params("ipaddr", address, "client_supports_verified_push", "1")
	who.name(p)
	return post[preauthAnswer](ctx, c, "/auth/v2/preauth", p)
}

func (c *client) enroll(ctx context.Context, username string, valid time.Duration) (enrollAnswer, error) {
	return post[enrollAnswer](ctx, c, "/auth/v2/enroll",
		params("username", username, "valid_secs", strconv.Itoa(int(valid.Seconds()))))
}

// enrollStatus is "success", "invalid" or "waiting".
func (c *client) enrollStatus(ctx context.Context, userID, activation string) (string, error) {
	raw, err := c.call(ctx, query{verb: http.MethodPost, path: "/auth/v2/enroll_status",
		params: params("user_id", userID, "activation_code", activation)})
	if err != nil {
		return "", err
	}
	var s lenient
	if err := json.Unmarshal(raw, &s); err != nil || s == "" {
		return "", garbled(http.StatusOK, errShape)
	}
	return string(s), nil
}

func (c *client) auth(ctx context.Context, p url.Values) (authAnswer, error) {
	return post[authAnswer](ctx, c, "/auth/v2/auth", p)
}

// authStatus waits, at Duo, until something changes.
func (c *client) authStatus(ctx context.Context, txid string) (a authAnswer, err error) {
	raw, err := c.call(ctx, query{verb: http.MethodGet, path: "/auth/v2/auth_status", params: params("txid", txid), limit: pollLimit})
	if err == nil && object(raw, &a) != nil {
		err = garbled(http.StatusOK, errShape)
	}
	return a, err
}
