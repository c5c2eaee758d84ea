package egress

import "net/netip"

type rangeRule struct {
	prefix netip.Prefix
	rule   string
}

func block(rule string, prefixes ...string) (list []rangeRule) {
	for _, p := range prefixes {
		list = append(list, rangeRule{netip.MustParsePrefix(p), rule})
	}
	return list
}

func join(lists ...[]rangeRule) (all []rangeRule) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// ranges are the addresses that are not of the public Internet, from the IANA
// registries of special purpose addresses; the first match counts. Metadata
// services stand first, since some hide in ranges that AllowPrivate opens, and
// Azure's is an ordinary public address.
var ranges = join(
	block("metadata", "169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32", // AWS, GCP, Azure; ECS; EKS
		"100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", // Alibaba; Azure; Oracle
		"fd00:ec2::/32", "fd20:ce::254/128"), // AWS; GCP
	block("loopback", "127.0.0.0/8", "::1/128"),
	block("unspecified", "0.0.0.0/8", "::/128"),
	block("private", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
	block("carrier", "100.64.0.0/10"), // shared address space, RFC 6598
	block("link_local", "169.254.0.0/16", "fe80::/10", "fec0::/10"),
	block("multicast", "224.0.0.0/4", "ff00::/8"),
	block("broadcast", "255.255.255.255/32"),
	block("reserved", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", // protocol assignments, benchmarks, class E
		"2001::/23", "100::/64", "100:0:0:1::/64", "5f00::/16"), // Teredo is in the first
	block("documentation", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
	block("embedded", "::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "192.88.99.0/24"), // mapped, compatible, NAT64, 6to4
)

// global are the addresses of the public Internet in IPv6 (RFC 4291 2.4).
var global = netip.MustParsePrefix("2000::/3")

// special names the range that a is in; empty: it is public. netip does not
// match a mapped address with an IPv4 range, nor with ::ffff:0:0/96.
func special(a netip.Addr) string {
	if a.Is4In6() {
		return "embedded"
	}
	for _, r := range ranges {
		if r.prefix.Contains(a) {
			return r.rule
		}
	}
	if a.Is6() && !global.Contains(a) {
		return "reserved"
	}
	return ""
}
