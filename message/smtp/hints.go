package smtp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Resolver looks up TXT records; *net.Resolver is one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// Presence is what is known of a record.
type Presence string

// The states of a record.
const (
	Found   Presence = "found"
	Missing Presence = "missing"
	Several Presence = "several" // more than one, so that receivers use none (RFC 7208 4.5, RFC 7489 6.6.3)
	Unsure  Presence = "unsure"  // the look-up failed, or the selector is not known
)

// Records is what a domain publishes about its mail. Letters from a domain
// without them are often taken for spam; sending works all the same.
type Records struct {
	SPF, DKIM, DMARC Presence
}

// hintTime bounds Hints: a settings page waits for it.
const hintTime = 3 * time.Second

// Hints asks for the records of the sender's domain. DKIM can be looked for only
// where its selector is known; empty: it is not.
func Hints(ctx context.Context, r Resolver, domain, selector string) Records {
	found := Records{Unsure, Unsure, Unsure}
	domain = strings.TrimSuffix(domain, ".")
	if _, err := netip.ParseAddr(domain); err == nil || !isHost(domain) {
		return found
	}
	ctx, cancel := context.WithTimeout(ctx, hintTime)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { found.SPF = record(ctx, r, domain, "v=spf1") })
	all.Go(func() { found.DMARC = dmarc(ctx, r, domain) })
	if isHost(selector) {
		all.Go(func() { found.DKIM = record(ctx, r, selector+"._domainkey."+domain, "") })
	}
	all.Wait()
	return found
}

// dmarc looks at the domain and at those above it, whose record holds for it
// (RFC 7489 6.6.3), up to four of them and never at a top-level domain.
func dmarc(ctx context.Context, r Resolver, domain string) Presence {
	for range 5 {
		if p := record(ctx, r, "_dmarc."+domain, "v=DMARC1"); p != Missing {
			return p
		}
		_, above, _ := strings.Cut(domain, ".")
		if !strings.Contains(above, ".") {
			break
		}
		domain = above
	}
	return Missing
}

// record counts the TXT records of name that begin with tag. Without a tag any
// that holds a DKIM key counts; a selector may have an empty one, which is revoked.
func record(ctx context.Context, r Resolver, name, tag string) Presence {
	list, err := r.LookupTXT(ctx, name+".")
	if gone := (*net.DNSError)(nil); errors.As(err, &gone) && gone.IsNotFound {
		return Missing
	}
	if err != nil {
		return Unsure
	}
	n := 0
	for _, txt := range list {
		if tag == "" && isKey(txt) || tag != "" && isTagged(txt, tag) {
			n++
		}
	}
	switch n {
	case 0:
		return Missing
	case 1:
		return Found
	}
	return Several
}

func isTagged(txt, tag string) bool {
	if len(txt) < len(tag) || !strings.EqualFold(txt[:len(tag)], tag) {
		return false
	}
	rest := txt[len(tag):]
	return rest == "" || strings.ContainsAny(rest[:1], " ;\t")
}

func isKey(txt string) bool {
	for part := range strings.SplitSeq(txt, ";") {
		name, key, _ := strings.Cut(part, "=")
		if strings.TrimSpace(name) == "p" {
			return strings.TrimSpace(key) != ""
		}
	}
	return false
}

// isHost reports whether s is a host name in ASCII or an IP address without zone.
func isHost(s string) bool {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Zone() == ""
	}
	return len(s) <= 253 && plainHost.MatchString(s)
}
