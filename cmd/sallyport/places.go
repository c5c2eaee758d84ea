package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/geoip"
)

// placesAge is when a file of places is worth a warning: networks move on, and the
// licences of the free files want them renewed.
const placesAge = 90 * day

// places reads the file that the configuration names; follow looks for a renewed one
// until its context ends. Nil without one.
func (c *config) places(log *slog.Logger) (places authn.Places, follow func(context.Context)) {
	if c.Places == "" {
		return nil, func(context.Context) {}
	}
	f := geoip.New(c.Places, log)
	return f, func(ctx context.Context) { f.Follow(ctx, recheck) }
}

// checkPlaces has no failures: without its file nothing works worse but what people see.
func checkPlaces(_ context.Context, s *patient) []finding {
	c := s.config
	if c.Places == "" {
		return []finding{ok("none are shown; places.file names a database of them")}
	}
	info, err := geoip.Check(c.Places)
	if err != nil {
		return []finding{warn("get it anew, or correct places.file; until then no places are shown, or those of the file before", "%s: %v", c.Places, err)}
	}
	if age := s.now().Sub(info.Built); age > placesAge {
		return []finding{warn("get a newer one; the server takes it within a minute, without a restart",
			"%s (%s) was made on %s, %s ago: places are wrong more often, and free files may not be used that long", c.Places, info.Type, info.Built.UTC().Format(time.DateOnly), spell(age))}
	}
	return []finding{ok("%s (%s) was made on %s", c.Places, info.Type, info.Built.UTC().Format(time.DateOnly))}
}
