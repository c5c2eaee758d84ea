// Package egress is the one dialer for every host that a company configures:
// mail servers, webhooks, log collectors (ruling 32). What the operator
// configures does not pass here.
//
// # Flow
//
// [New] makes a [Guard] with the operator's rules; [Guard.DialContext] has the
// shape that the mail sender takes, [Guard.Client] is for HTTP. A name is resolved
// once, every address is judged, and the judged address itself is dialled, not the
// name.
//
// # Threats
//
//   - Somebody who may edit a company's settings makes the server talk to what
//     only the server can reach: loopback, the private network, a cloud's
//     metadata. Only global unicast addresses pass; the list of IPv6 is one of
//     what is allowed, so that tomorrow's ranges are refused.
//   - A name that answers differently the second time (DNS rebinding): there is
//     no second time. The socket is checked once more before it connects.
//   - An IPv4 address in IPv6 clothes (mapped, compatible, NAT64, 6to4, Teredo)
//     is refused, or judged as what it is where a resolver hands it out so.
//   - Own public addresses lead back in behind the firewall: the interfaces are
//     read at every dial, and if they cannot be, nothing is dialled.
//   - Speaking to another protocol's port: only the listed ports.
//   - A redirect to somewhere else, a proxy from the environment, plain HTTP, an
//     answer without end: the client has none of them.
//
// It cannot see what a public address forwards to.
package egress

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Resolver finds the addresses of a host; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config is the operator's. Every field may be left zero.
type Config struct {
	Ports        []int                          // nil: MailPorts
	AllowPrivate bool                           // also private, loopback and own addresses; metadata and multicast never
	Timeout      time.Duration                  // of resolving and connecting; 0: 10 s
	Resolver     Resolver                       // nil: net.DefaultResolver
	Own          func() ([]netip.Prefix, error) // addresses of this machine; nil: its interfaces
	RootCAs      *x509.CertPool                 // who issues certificates, for Client; nil: whom the system trusts
	MaxBody      int                            // of an answer to Client, in bytes, for what the operator configures; 0: 64 KiB
}

// MailPorts are those of SMTP: relay, implicit TLS, submission, and the one that
// providers offer where 25 is blocked.
var MailPorts = []int{25, 465, 587, 2525}

// Guard dials what the rules allow. It is safe for concurrent use.
type Guard struct {
	c    Config
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// New makes a guard, or says what in c is wrong.
func New(c Config) (*Guard, error) {
	if c.Ports == nil {
		c.Ports = MailPorts
	}
	if slices.ContainsFunc(c.Ports, func(p int) bool { return p < 1 || p > 65535 }) {
		return nil, errors.New("egress: a port is not between 1 and 65535")
	}
	if c.Timeout < 0 {
		return nil, errors.New("egress: the timeout is negative")
	}
	if c.Timeout == 0 {
		c.Timeout = usualTimeout
	}
	if c.MaxBody <= 0 {
		c.MaxBody = MaxBody
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	if c.Own == nil {
		c.Own = interfaces
	}
	g := &Guard{c: c}
	g.dial = (&net.Dialer{ControlContext: g.control}).DialContext
	return g, nil
}

// Refused is the error for a host or port that the rules do not allow. It names
// the rule and not the address: what an internal name resolves to is not told.
type Refused struct {
	Host string
	Rule string // "port", "network", "scheme", "user", "private", "loopback", "link_local", "metadata", "own", …
}

func (e *Refused) Error() string {
	return fmt.Sprintf("egress: %s is refused (%s); only the operator can allow it", e.Host, e.Rule)
}

// EgressRefused lets packages that may not import this one recognise the error.
func (e *Refused) EgressRefused() bool { return true }

// Check refuses what DialContext would refuse without resolving anything: a port
// that is not listed, an address, and names of this machine. A name may still
// lead to a refused address; that is found out when it is dialled.
func (g *Guard) Check(host string, port int) error {
	if !slices.Contains(g.c.Ports, port) {
		return &Refused{host, "port"}
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if !g.c.AllowPrivate && (name == "localhost" || strings.HasSuffix(name, ".localhost")) {
		return &Refused{host, "loopback"}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return nil
	}
	own, err := g.c.Own()
	if err != nil {
		return fmt.Errorf("egress: own addresses: %w", err)
	}
	if rule := g.judge(a, own); rule != "" {
		return &Refused{host, rule}
	}
	return nil
}

// DialContext connects to host:port over TCP, or gives a *Refused. Of several
// addresses the refused ones are left out and the others tried in turn.
func (g *Guard) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, g.c.Timeout)
	defer cancel()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return nil, &Refused{host, "network"}
	}
	if n, err := strconv.Atoi(port); err != nil || !slices.Contains(g.c.Ports, n) {
		return nil, &Refused{host, "port"}
	}
	list, err := g.resolve(ctx, network, host)
	if err != nil {
		return nil, err
	}
	return g.first(ctx, network, port, list)
}

// resolve gives the allowed addresses of host; one at least, or an error.
func (g *Guard) resolve(ctx context.Context, network, host string) ([]netip.Addr, error) {
	own, err := g.c.Own()
	if err != nil {
		return nil, fmt.Errorf("egress: own addresses: %w", err)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if rule := g.judge(a, own); rule != "" {
			return nil, &Refused{host, rule}
		}
		return []netip.Addr{a}, nil
	}
	list, err := g.c.Resolver.LookupNetIP(ctx, "ip"+network[len("tcp"):], host)
	if err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	refused := "no_address"
	list = slices.DeleteFunc(list, func(a netip.Addr) bool {
		rule := g.judge(a.Unmap(), own) // a resolver may write IPv4 as ::ffff:…
		if rule != "" {
			refused = rule
		}
		return rule != ""
	})
	if len(list) == 0 {
		return nil, &Refused{host, refused}
	}
	return list, nil
}

// first connects to the first address that answers. Each but the last gets half
// of the time that is left.
func (g *Guard) first(ctx context.Context, network, port string, list []netip.Addr) (net.Conn, error) {
	var failed error
	for i, a := range list {
		one, cancel := ctx, context.CancelFunc(func() {})
		if deadline, ok := ctx.Deadline(); ok && i < len(list)-1 {
			one, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		}
		conn, err := g.dial(one, network, net.JoinHostPort(a.Unmap().String(), port))
		cancel()
		if err == nil {
			return conn, nil
		}
		failed = err
	}
	return nil, failed
}

// control looks at the address that the socket is about to connect to.
func (g *Guard) control(_ context.Context, _, addr string, _ syscall.RawConn) error {
	own, err := g.c.Own()
	if err != nil {
		return fmt.Errorf("egress: own addresses: %w", err)
	}
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("egress: %w", err)
	}
	if rule := g.judge(a.Addr(), own); rule != "" {
		return &Refused{addr, rule}
	}
	return nil
}

// judge names the rule that refuses a; empty: it is allowed.
func (g *Guard) judge(a netip.Addr, own []netip.Prefix) string {
	if a.Zone() != "" || !a.IsValid() {
		return "link_local"
	}
	rule := special(a)
	if rule == "" && slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Addr().Unmap() == a }) {
		rule = "own"
	}
	if g.c.AllowPrivate && (rule == "private" || rule == "loopback" || rule == "own" || rule == "carrier") {
		return ""
	}
	return rule
}

func interfaces() ([]netip.Prefix, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var own []netip.Prefix
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p)
		}
	}
	return own, nil
}
