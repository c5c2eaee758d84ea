package main

import (
	"io"
	"log"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"

	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// errorLog is where http.Server writes about connections, for debugging. What it
// writes names clients in full, which the log never does; only their networks
// go through.
func errorLog(l *slog.Logger) *log.Logger {
	return log.New(prefixes{slog.NewLogLogger(l.Handler(), slog.LevelDebug).Writer()}, "", 0)
}

// prefixes cuts the addresses in what is written to their networks.
type prefixes struct{ w io.Writer }

func (p prefixes) Write(b []byte) (int, error) {
	if _, err := io.WriteString(p.w, cutAddresses(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// addressLike is everything that could be an address, perhaps with a zone and a port.
var addressLike = regexp.MustCompile(`[][0-9A-Fa-f.:]+(?:%[^][\s:]+[][0-9:]*)?`)

func cutAddresses(s string) string {
	return addressLike.ReplaceAllStringFunc(s, func(word string) string {
		bare := strings.TrimRight(word, ":.")
		a, err := netip.ParseAddr(strings.Trim(bare, "[]"))
		if err != nil {
			with, err := netip.ParseAddrPort(bare)
			if err != nil {
				return word
			}
			a = with.Addr()
		}
		return httpserve.ClientPrefix(a.Unmap()) + word[len(bare):]
	})
}
