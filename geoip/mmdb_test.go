package geoip

import (
	"encoding/binary"
	"maps"
	"math"
	"net/netip"
	"slices"
)

// A small writer of the MaxMind DB format 2.0, of what the tests need: maps, strings
// and numbers, records of 24 bits, an IPv6 tree with the IPv4 networks below ::/96.
type writer struct {
	tree    [][2]int // 0: nothing; n > 0: node n; n < 0: the record at -n-1
	records []byte
}

type (
	record map[string]any
	u16    uint16
	u32    uint32
	u64    uint64
	links  []string // not text, for a hostile file: an array
)

func field(typ, size int) []byte {
	b := []byte{byte(typ << 5)}
	if typ > 7 {
		b = []byte{0, byte(typ - 7)}
	}
	switch {
	case size < 29:
		b[0] |= byte(size)
	case size < 29+256:
		b[0] |= 29
		b = append(b, byte(size-29))
	default:
		b[0] |= 30
		b = binary.BigEndian.AppendUint16(b, uint16(size-285))
	}
	return b
}

func number(typ int, n uint64) []byte {
	var raw []byte
	for ; n > 0; n >>= 8 {
		raw = append([]byte{byte(n)}, raw...)
	}
	return append(field(typ, len(raw)), raw...)
}

func encode(v any) []byte {
	switch x := v.(type) {
	case string:
		return append(field(2, len(x)), x...)
	case float64:
		return binary.BigEndian.AppendUint64(field(3, 8), math.Float64bits(x))
	case u16:
		return number(5, uint64(x))
	case u32:
		return number(6, uint64(x))
	case u64:
		return number(9, uint64(x))
	case links:
		b := field(11, len(x))
		for _, s := range x {
			b = append(b, encode(s)...)
		}
		return b
	case record:
		b := field(7, len(x))
		for _, k := range slices.Sorted(maps.Keys(x)) {
			b = append(append(b, encode(k)...), encode(x[k])...)
		}
		return b
	}
	panic("a type that the writer does not know")
}

func (w *writer) add(network string, r record) {
	p := netip.MustParsePrefix(network)
	raw, bits := p.Addr().As16(), p.Bits()
	if p.Addr().Is4() {
		raw, bits = netip.MustParseAddr("::").As16(), bits+96
		v4 := p.Addr().As4()
		copy(raw[12:], v4[:])
	}
	if len(w.tree) == 0 {
		w.tree = append(w.tree, [2]int{})
	}
	node := 0
	for i := range bits - 1 {
		side := raw[i/8] >> (7 - i%8) & 1
		if w.tree[node][side] == 0 {
			w.tree = append(w.tree, [2]int{})
			w.tree[node][side] = len(w.tree) - 1
		}
		node = w.tree[node][side]
	}
	side := raw[(bits-1)/8] >> (7 - (bits-1)%8) & 1
	w.tree[node][side] = -len(w.records) - 1
	w.records = append(w.records, encode(r)...)
}

const marker = "\xab\xcd\xefMaxMind.com"

func (w *writer) file(kind string, built int64) []byte {
	var b []byte
	for _, n := range w.tree {
		for _, at := range n {
			switch {
			case at == 0:
				at = len(w.tree)
			case at < 0:
				at = -at - 1 + len(w.tree) + 16
			}
			b = append(b, byte(at>>16), byte(at>>8), byte(at))
		}
	}
	b = append(append(b, make([]byte, 16)...), w.records...)
	return append(append(b, marker...), encode(record{
		"binary_format_major_version": u16(2), "binary_format_minor_version": u16(0), "build_epoch": u64(built), "database_type": kind,
		"description": record{"en": "networks of documentation"}, "ip_version": u16(6), "node_count": u32(len(w.tree)), "record_size": u16(24),
	})...)
}

// documentation are networks that nobody has (RFC 5737, RFC 3849), in the forms that
// the makers of such files have.
func documentation(kind string, built int64) []byte {
	var w writer
	w.add("192.0.2.0/24", record{
		"city":     record{"geoname_id": u32(3094802), "names": record{"en": "Krakow", "de": "Krakau"}},
		"country":  record{"iso_code": "PL", "names": record{"en": "Poland"}},
		"location": record{"latitude": 50.06, "longitude": 19.94},
	})
	w.add("198.51.100.0/25", record{"country": record{"iso_code": "SE"}, "registered_country": record{"iso_code": "DE"}})
	w.add("198.51.100.128/25", record{"registered_country": record{"iso_code": "DE"}})
	w.add("203.0.113.0/26", record{"country": "Poland", "country_code": "PL", "asn": "AS64496"})
	w.add("203.0.113.64/26", record{"city": "Lyon", "region": "Auvergne-Rhône-Alpes", "country": "FR"})
	w.add("203.0.113.128/26", record{"city": record{"names": record{"en": "<b>Near\u202e \x00you</b>"}}, "country": record{"iso_code": "NO"}})
	w.add("203.0.113.192/27", record{"city": links{"Oslo"}, "country": record{"iso_code": "NO"}})
	w.add("203.0.113.224/27", record{"city": record{"names": record{"en": "Oslo"}}, "country": record{"iso_code": "no"}})
	w.add("10.0.0.0/8", record{"country": record{"iso_code": "SE"}})
	w.add("127.0.0.0/8", record{"country": record{"iso_code": "SE"}})
	w.add("2001:db8::/32", record{"city": record{"names": record{"en": "Oslo"}}, "country": record{"iso_code": "NO"}})
	return w.file(kind, built)
}
