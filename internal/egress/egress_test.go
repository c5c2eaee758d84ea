package egress

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"
)

// answers is a resolver that gives one answer after the other, and then the last
// again.
type answers struct {
	list  [][]netip.Addr
	asked int
}

func (r *answers) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	r.asked++
	if len(r.list) == 0 {
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	return slices.Clone(r.list[min(r.asked, len(r.list))-1]), nil
}

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

var errDialled = errors.New("dialled")

// guard records what it would connect to.
func guard(t *testing.T, c Config) (*Guard, *[]string) {
	t.Helper()
	if c.Own == nil {
		c.Own = func() ([]netip.Prefix, error) {
			return []netip.Prefix{netip.MustParsePrefix("93.184.216.34/24"), netip.MustParsePrefix("2606:2800::7/64")}, nil
		}
	}
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	var dialled []string
	g.dial = func(_ context.Context, _, addr string) (net.Conn, error) {
		dialled = append(dialled, addr)
		return nil, errDialled
	}
	return g, &dialled
}

// rul-32: every range, by literal and by name, with and without the operator's leave.
func TestRanges_rul32(t *testing.T) {
	const always = "always" // refused also with AllowPrivate
	tests := []struct{ addr, rule, how string }{
		{"8.8.8.8", "", ""},
		{"1.1.1.1", "", ""},
		{"172.15.255.255", "", ""},
		{"172.32.0.0", "", ""},
		{"100.63.255.255", "", ""},
		{"100.128.0.0", "", ""},
		{"93.184.216.35", "", ""}, // a neighbour in our network, not us
		{"223.255.255.255", "", ""},
		{"2606:4700:4700::1111", "", ""},
		{"2a00:1450::1", "", ""},

		{"10.0.0.0", "private", ""},
		{"10.255.255.255", "private", ""},
		{"172.16.0.1", "private", ""},
		{"172.31.255.255", "private", ""},
		{"192.168.0.1", "private", ""},
		{"fc00::1", "private", ""},
		{"fdff:ffff::1", "private", ""},
		{"127.0.0.1", "loopback", ""},
		{"127.255.255.254", "loopback", ""},
		{"::1", "loopback", ""},
		{"100.64.0.1", "carrier", ""},
		{"100.127.255.255", "carrier", ""},
		{"93.184.216.34", "own", ""},
		{"2606:2800::7", "own", ""},

		{"0.0.0.0", "unspecified", always},
		{"0.1.2.3", "unspecified", always},
		{"::", "unspecified", always},
		{"169.254.169.254", "metadata", always},
		{"169.254.170.2", "metadata", always},
		{"100.100.100.200", "metadata", always},
		{"168.63.129.16", "metadata", always},
		{"192.0.0.192", "metadata", always},
		{"fd00:ec2::254", "metadata", always},
		{"fd20:ce::254", "metadata", always},
		{"169.254.1.1", "link_local", always},
		{"fe80::1", "link_local", always},
		{"fe80::1%eth0", "link_local", always},
		{"2606:4700::1%eth0", "link_local", always},
		{"fec0::1", "link_local", always},
		{"224.0.0.1", "multicast", always},
		{"239.255.255.250", "multicast", always},
		{"ff02::1", "multicast", always},
		{"255.255.255.255", "broadcast", always},
		{"240.0.0.1", "reserved", always},
		{"192.0.0.8", "reserved", always},
		{"198.18.0.1", "reserved", always},
		{"198.19.255.255", "reserved", always},
		{"2001::1", "reserved", always},        // Teredo
		{"2001:10::1", "reserved", always},     // ORCHID
		{"100::1", "reserved", always},         // discard
		{"5f00::1", "reserved", always},        // segment routing
		{"4000::1", "reserved", always},        // not assigned
		{"192.0.2.1", "documentation", always}, // TEST-NET-1
		{"198.51.100.1", "documentation", always},
		{"203.0.113.1", "documentation", always},
		{"2001:db8::1", "documentation", always},
		{"3fff::1", "documentation", always},
		{"192.88.99.1", "embedded", always},
		{"::127.0.0.1", "embedded", always},      // compatible
		{"64:ff9b::7f00:1", "embedded", always},  // NAT64 of 127.0.0.1
		{"64:ff9b::808:808", "embedded", always}, // NAT64 of 8.8.8.8
		{"64:ff9b:1::a00:1", "embedded", always}, // local NAT64
		{"2002:7f00:1::", "embedded", always},    // 6to4 of 127.0.0.1
		{"::ffff:127.0.0.1", "embedded", always}, // mapped, as typed
		{"::ffff:8.8.8.8", "embedded", always},
		{"::ffff:a00:1", "embedded", always},
	}
	for _, test := range tests {
		t.Run(test.addr, func(t *testing.T) {
			for _, allow := range []bool{false, true} {
				want := test.rule
				if allow && test.how != always {
					want = ""
				}
				g, dialled := guard(t, Config{AllowPrivate: allow})
				_, err := g.DialContext(t.Context(), "tcp", net.JoinHostPort(test.addr, "587"))
				checkRule(t, err, want, *dialled)
				if netip.MustParseAddr(test.addr).Is4In6() || netip.MustParseAddr(test.addr).Zone() != "" {
					continue // a name is judged by what is inside: TestMappedAnswer
				}
				g, dialled = guard(t, Config{AllowPrivate: allow, Resolver: &answers{list: [][]netip.Addr{addrs(test.addr)}}})
				_, err = g.DialContext(t.Context(), "tcp", "mail.example.com:587")
				checkRule(t, err, want, *dialled)
			}
		})
	}
}

func checkRule(t *testing.T, err error, want string, dialled []string) {
	t.Helper()
	refused := (*Refused)(nil)
	switch {
	case want == "" && (!errors.Is(err, errDialled) || len(dialled) != 1):
		t.Errorf("not dialled once: %v %q", err, dialled)
	case want != "" && (!errors.As(err, &refused) || refused.Rule != want || !refused.EgressRefused()):
		t.Errorf("got %v, want rule %q", err, want)
	case want != "" && len(dialled) > 0:
		t.Errorf("refused and dialled all the same: %q", dialled)
	}
}

// A resolver may write an A record as ::ffff:a.b.c.d; an attacker may write an
// AAAA record so. Both are judged as the IPv4 address.
func TestMappedAnswer(t *testing.T) {
	for addr, rule := range map[string]string{"::ffff:127.0.0.1": "loopback", "::ffff:10.1.2.3": "private", "::ffff:169.254.169.254": "metadata", "::ffff:8.8.8.8": ""} {
		g, dialled := guard(t, Config{Resolver: &answers{list: [][]netip.Addr{addrs(addr)}}})
		_, err := g.DialContext(t.Context(), "tcp", "mail.example.com:25")
		checkRule(t, err, rule, *dialled)
		if rule == "" && (*dialled)[0] != "8.8.8.8:25" {
			t.Errorf("dialled %q", *dialled)
		}
	}
}

// rul-32: a name that answers first with a public address and then with a private
// one is asked once, and the address that was judged is dialled.
func TestRebinding_rul32(t *testing.T) {
	r := &answers{list: [][]netip.Addr{addrs("8.8.8.8"), addrs("127.0.0.1")}}
	g, dialled := guard(t, Config{Resolver: r})
	if _, err := g.DialContext(t.Context(), "tcp", "rebind.example.com:465"); !errors.Is(err, errDialled) {
		t.Fatal(err)
	}
	if r.asked != 1 || !slices.Equal(*dialled, []string{"8.8.8.8:465"}) {
		t.Errorf("asked %d times, dialled %q", r.asked, *dialled)
	}
	_, err := g.DialContext(t.Context(), "tcp", "rebind.example.com:465") // another dial, judged anew
	checkRule(t, err, "loopback", nil)
	if len(*dialled) != 1 {
		t.Errorf("dialled %q", *dialled)
	}
}

// Of a mixed answer only the public addresses are dialled.
func TestMixedAnswer(t *testing.T) {
	r := &answers{list: [][]netip.Addr{addrs("10.0.0.1", "8.8.8.8", "::1", "2606:4700::1", "127.0.0.1")}}
	g, dialled := guard(t, Config{Resolver: r})
	if _, err := g.DialContext(t.Context(), "tcp", "mail.example.com:587"); !errors.Is(err, errDialled) {
		t.Fatal(err)
	}
	if want := []string{"8.8.8.8:587", "[2606:4700::1]:587"}; !slices.Equal(*dialled, want) {
		t.Errorf("dialled %q, want %q", *dialled, want)
	}
}

func TestPortsAndNetworks(t *testing.T) {
	tests := []struct{ network, addr, rule string }{
		{"tcp", "8.8.8.8:25", ""},
		{"tcp", "8.8.8.8:465", ""},
		{"tcp4", "8.8.8.8:587", ""},
		{"tcp", "8.8.8.8:2525", ""},
		{"tcp", "8.8.8.8:22", "port"},
		{"tcp", "8.8.8.8:80", "port"},
		{"tcp", "8.8.8.8:5432", "port"},
		{"tcp", "8.8.8.8:0", "port"},
		{"tcp", "8.8.8.8:smtp", "port"},
		{"tcp", "8.8.8.8:65561", "port"}, // 25 modulo 65536
		{"tcp", "8.8.8.8:-1", "port"},
		{"udp", "8.8.8.8:25", "network"},
		{"unix", "/run/x:25", "network"},
	}
	for _, test := range tests {
		g, dialled := guard(t, Config{AllowPrivate: true})
		_, err := g.DialContext(t.Context(), test.network, test.addr)
		t.Log(test.network, test.addr)
		checkRule(t, err, test.rule, *dialled)
	}
	g, dialled := guard(t, Config{Ports: []int{443}})
	_, err := g.DialContext(t.Context(), "tcp", "8.8.8.8:443")
	checkRule(t, err, "", *dialled)
	if _, err := g.DialContext(t.Context(), "tcp", "8.8.8.8"); err == nil {
		t.Error("an address without a port was dialled")
	}
}

func TestUnknown(t *testing.T) {
	g, _ := guard(t, Config{Resolver: &answers{}})
	_, err := g.DialContext(t.Context(), "tcp", "nowhere.example.com:25")
	if name := (*net.DNSError)(nil); !errors.As(err, &name) || !name.IsNotFound {
		t.Errorf("got %v", err)
	}
	g, _ = guard(t, Config{Resolver: &answers{list: [][]netip.Addr{{}}}})
	_, err = g.DialContext(t.Context(), "tcp", "empty.example.com:25")
	checkRule(t, err, "no_address", nil)
	// Without the own addresses, nobody knows what is allowed.
	g, dialled := guard(t, Config{Own: func() ([]netip.Prefix, error) { return nil, errors.New("netlink: closed") }})
	if _, err := g.DialContext(t.Context(), "tcp", "8.8.8.8:25"); err == nil || len(*dialled) > 0 {
		t.Errorf("got %v, dialled %q", err, *dialled)
	}
}

// The socket itself refuses, also where what was judged was something else.
func TestControl_rul32(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	at := srv.Listener.Addr().String()
	g, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.dial(t.Context(), "tcp", at) // past the checks of DialContext
	if refused := (*Refused)(nil); !errors.As(err, &refused) || refused.Rule != "loopback" {
		t.Errorf("got %v", err)
	}
}

// With the operator's leave the demo and the tests reach this machine.
func TestAllowPrivate(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	at := srv.Listener.Addr().(*net.TCPAddr)
	for _, host := range []string{"127.0.0.1", "localhost"} {
		g, err := New(Config{AllowPrivate: true, Ports: []int{at.Port}, Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := g.DialContext(t.Context(), "tcp", net.JoinHostPort(host, strconv.Itoa(at.Port)))
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.RemoteAddr().String(); got != at.String() {
			t.Errorf("connected to %s", got)
		}
		conn.Close()
	}
}

// What net.InterfaceAddrs lists here is recognised as ours.
func TestOwnAddresses(t *testing.T) {
	own, err := interfaces()
	if err != nil || len(own) == 0 {
		t.Fatalf("%v %v", own, err)
	}
	g, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range own {
		if rule := g.judge(p.Addr().Unmap().WithZone(""), own); rule == "" {
			t.Errorf("%s is allowed", p)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []Config{{Ports: []int{0}}, {Ports: []int{70000}}, {Timeout: -1}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

// What needs no resolving is refused before anything is saved or dialled.
func TestCheck(t *testing.T) {
	for host, rule := range map[string]string{
		"127.0.0.1": "loopback", "::1": "loopback", "localhost": "loopback", "LOCALHOST.": "loopback", "a.localhost": "loopback",
		"169.254.169.254": "metadata", "10.1.2.3": "private", "::ffff:127.0.0.1": "embedded", "0.0.0.0": "unspecified",
		"mail.example.com": "", "9.9.9.9": "",
	} {
		g, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		var r *Refused
		if err := g.Check(host, 587); errors.As(err, &r) != (rule != "") || r != nil && r.Rule != rule {
			t.Errorf("%s: %v", host, err)
		}
		if err := g.Check(host, 22); !errors.As(err, &r) || r.Rule != "port" {
			t.Errorf("%s, port 22: %v", host, err)
		}
	}
	wide, err := New(Config{AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(wide.Check("localhost", 25), wide.Check("10.0.0.1", 25)); err != nil {
		t.Errorf("the operator allowed it: %v", err)
	}
	if wide.Check("169.254.169.254", 25) == nil {
		t.Error("metadata is allowed")
	}
}
