package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/store/postgres"
	"github.com/sallyport-mfa/sallyport/store/sqlite"
)

const day = 24 * time.Hour

func checkConfig(_ context.Context, s *patient) []finding {
	c, err := loadConfig(s.p.config, s.p.env)
	var bad configError
	if errors.As(err, &bad) {
		var list []finding
		for _, problem := range bad {
			list = append(list, fail("", "%s: %s", problem.Where, problem.Text))
		}
		list[len(list)-1].Cure = "correct that; `sallyport check-config --help` explains each setting"
		return list
	}
	if err != nil {
		return []finding{fail("", "%v", err)}
	}
	s.config = c
	from := c.file
	if from == "" {
		from = "the environment alone"
	}
	list := []finding{ok("%s on %s, from %s", c.PublicURL, c.Listen, from)}
	for _, w := range c.warnings() {
		list = append(list, warn("", "%s", w))
	}
	return list
}

func checkCertificate(_ context.Context, s *patient) []finding {
	c := s.config
	if c.Certificate == "" {
		if c.PublicURL.Scheme == "http" {
			return []finding{ok("none is needed on this machine")}
		}
		return []finding{ok("none here: a proxy in front ends TLS")}
	}
	k, err := newCertificate(c, silent)
	if err != nil {
		return []finding{fail("", "%v", err)}
	}
	return []finding{certificateAge(k.pair.Leaf, c.PublicURL.Hostname(), s.now())}
}

// certificateAge says how long a certificate holds, and for whom.
func certificateAge(leaf *x509.Certificate, host string, now time.Time) finding {
	left := leaf.NotAfter.Sub(now)
	const renew = "renew it; the server takes renewed files within a minute, without a restart"
	switch {
	case leaf.VerifyHostname(host) != nil:
		return fail("use a certificate that names it", "the certificate is not for %s", host)
	case left <= 0:
		return fail(renew, "the certificate ended on %s", leaf.NotAfter.Format(time.DateOnly))
	case now.Before(leaf.NotBefore):
		return fail("look at the clock of this machine", "the certificate begins only on %s", leaf.NotBefore.Format(time.DateOnly))
	case left < 14*day:
		return warn(renew, "the certificate for %s ends on %s, %s from now", host, leaf.NotAfter.Format(time.DateOnly), spell(left))
	}
	return ok("the certificate for %s holds for %s more", host, spell(left))
}

// spell is a length of time in a word that fits it.
func spell(d time.Duration) string {
	d = d.Abs()
	of := func(n time.Duration, unit string) string { return count(int64(n), unit, unit+"s") }
	switch {
	case d >= 2*day:
		return of(d/day, "day")
	case d >= 2*time.Hour:
		return of(d/time.Hour, "hour")
	case d >= 2*time.Minute:
		return of(d/time.Minute, "minute")
	}
	return of(d/time.Second, "second")
}

// count is a number of things.
func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// keyAge is when a root key should be followed by another: NIST SP 800-57 part 1
// gives keys that wrap keys two years.
const keyAge = 2 * 365 * day

func checkKeyring(_ context.Context, s *patient) []finding {
	ring, err := s.config.keyring()
	if err != nil {
		return []finding{fail("", "%v", err)}
	}
	s.ring = ring
	from := s.config.KeyringFile
	if s.config.KeyringText != "" {
		from = "the environment"
	}
	active, age := ring.Active(), s.now().Sub(ring.Active().Created)
	var list []finding
	if age > keyAge {
		list = append(list, warn("sallyport keyring rotate", "%s from %s is active and %s old", active.ID, from, spell(age)))
	} else {
		list = append(list, ok("%s from %s is active and %s old", active.ID, from, spell(age)))
	}
	for _, k := range ring.Infos() {
		if k.State != active.State {
			list = append(list, warn("`sallyport keyring status` says which step is next", "%s is still in the file, as %q: a rotation is under way", k.ID, k.State))
		}
	}
	return list
}

func checkDatabase(ctx context.Context, s *patient) []finding {
	c := s.config
	var err error
	if c.postgres() {
		s.store, err = postgres.Peek(ctx, postgres.Config{DSN: c.Database, Keyring: s.ring, Log: silent})
		if err != nil {
			return []finding{fail("mend the server, its address or its rights", "%s: %v", c.place(), err)}
		}
		return []finding{ok("%s answers", c.place())}
	}
	if err := checkFile(c.Database, beside); err != nil {
		return []finding{fail("", "%s: %v", c.Database, err)}
	}
	wal, err := sqlite.InWAL(c.Database) // before the file is opened in this process
	if err != nil {
		return []finding{fail("put back a backup, or correct `database`", "%s: %v", c.Database, err)}
	}
	s.store, err = sqlite.Peek(sqlite.Config{Path: c.Database, Keyring: s.ring, Log: silent})
	if err != nil {
		return []finding{fail("", "%s: %v", c.Database, err)}
	}
	list := []finding{ok("%s can be opened", c.Database)}
	if !wal {
		list = append(list, warn("it becomes so when `sallyport serve` opens it next", "%s is not in WAL mode: another program changed it, or it was copied", c.Database))
	}
	return append(list, modes(c.Database)...)
}

// modes looks at what SQLite keeps beside the file, which holds the same secrets.
func modes(database string) []finding {
	var list []finding
	for _, name := range withBesides(database)[1:] {
		if info, err := os.Stat(name); err == nil && posix && info.Mode().Perm()&0o077 != 0 {
			list = append(list, fail("chmod 600 "+shellWord(name), "%s has mode %04o: other users of this machine can reach it", name, info.Mode().Perm()))
		}
	}
	return list
}

func checkSchema(ctx context.Context, s *patient) []finding {
	has, makes, err := s.store.Schema(ctx)
	switch {
	case err != nil:
		return []finding{fail("", "%s", complain(err).Message)}
	case has == 0:
		return []finding{fail("`sallyport init` fills a new one; `sallyport serve` an empty PostgreSQL database", "the database has no tables of ours")}
	case has < makes:
		return []finding{warn("back up, then start this release's `sallyport serve`; steps only go forward",
			"the database has schema %d and this release makes %d: the next start brings it up to date", has, makes)}
	}
	s.schema = true
	return []finding{ok("the database has schema %d, which is this release's", has)}
}

func checkDurability(ctx context.Context, s *patient) []finding {
	settings, err := s.store.Settings(ctx)
	if err != nil {
		return []finding{fail("", "%s", complain(err).Message)}
	}
	var said []string
	var list []finding
	for _, set := range settings {
		said = append(said, set.Name+" "+set.Value)
		switch {
		case set.Name == "full_page_writes" && set.Value != "on":
			list = append(list, warn("set full_page_writes = on, unless the file system itself never tears a page", "full_page_writes is off: a loss of power can tear pages"))
		case set.Name == "fsync" && set.Value != "on":
			list = append(list, fail("set fsync = on", "fsync is off: a loss of power takes away what was confirmed"))
		}
	}
	damage, checked, err := s.store.QuickCheck(ctx)
	switch {
	case err != nil:
		list = append(list, fail("stop the server, keep a copy of the file as it is, and put back a backup", "the database cannot be read through: %s", complain(err).Message))
	case len(damage) > 0:
		list = append(list, fail("stop the server, keep a copy of the file as it is, and put back a backup", "the database is damaged: %s", strings.Join(damage, "; ")))
	case checked:
		said = append(said, "every page is sound")
	}
	if len(list) == 0 {
		list = append(list, ok("%s", strings.Join(said, ", ")))
	}
	return list
}

// Below 5 % strangers' writes are refused (ruling 6).
func checkSpace(_ context.Context, s *patient) []finding {
	if s.config.postgres() {
		return []finding{ok("the disk is the database server's: watch it there")}
	}
	free, total, err := sqlite.DiskSpace(filepath.Dir(s.config.Database))
	if err != nil || total == 0 {
		return []finding{warn("", "it cannot be told on this system")}
	}
	part, gib := float64(free)*100/float64(total), float64(free)/(1<<30)
	switch {
	case part < 5:
		return []finding{fail("make room; no restart is needed", "%.1f GiB are free, %.1f %%: sign-ins from unknown browsers are refused", gib, part)}
	case part < 10:
		return []finding{warn("make room: below 5 % sign-ins from unknown browsers are refused", "%.1f GiB are free, %.0f %%", gib, part)}
	}
	return []finding{ok("%.1f GiB are free, %.0f %%", gib, part)}
}

// checkKeys opens every company key, so that a keyring that does not fit is
// found before somebody signs in.
func checkKeys(ctx context.Context, s *patient) []finding {
	if s.ring == nil {
		return []finding{{Result: checkSkip, Text: "not looked at without a keyring"}}
	}
	if err := s.store.CheckKeyring(ctx); err != nil {
		return []finding{fail("", "%s", complain(err).Message)}
	}
	wrapped, err := s.store.WrappedKeys(ctx)
	if err != nil {
		return []finding{fail("", "%s", complain(err).Message)}
	}
	var broken []string
	for company, key := range wrapped {
		if _, err := s.ring.OpenDataKey(company, key); err != nil {
			broken = append(broken, company)
		}
	}
	if len(broken) > 0 {
		slices.Sort(broken)
		return []finding{fail("put back the row of company_keys from the backup that was made apart", "the key of %s does not open", strings.Join(broken, ", "))}
	}
	return []finding{ok("the keyring fits the database and opens the keys of %s", count(int64(len(wrapped)), "company", "companies"))}
}

// A tail that is older than this is not being sealed: the sealer works every few
// seconds.
const oldTail = 5 * time.Minute

func checkAudit(ctx context.Context, s *patient) []finding {
	return append(checkSealing(ctx, s), checkStreams(ctx, s)...)
}

// mostStreams is how many companies' streams of events are looked at.
const mostStreams = 500

// checkStreams names the streams of events that are not taken.
func checkStreams(ctx context.Context, s *patient) []finding {
	companies, err := s.store.Companies(ctx)
	if err != nil {
		return []finding{fail("", "%s", complain(err).Message)}
	}
	var list []finding
	for _, c := range companies[:min(len(companies), mostStreams)] {
		streams, err := s.store.Streams(ctx, c.ID)
		if err != nil {
			return append(list, fail("", "%s", complain(err).Message))
		}
		for _, st := range streams {
			if st.Failed != "" {
				list = append(list, warn("run `sallyport audit stream test "+streamName(st.Channel)+" --company "+c.Slug+"`",
					"the events of %s are not taken by %s (%s): %s behind", c.Slug, streamName(st.Channel), st.Failed, count(st.Behind, "event", "events")))
			}
		}
	}
	return list
}

func checkSealing(ctx context.Context, s *patient) []finding {
	tail, err := s.store.Unsealed(ctx)
	switch {
	case err != nil:
		return []finding{fail("", "%s", complain(err).Message)}
	case tail.Events == 0:
		return []finding{ok("every event is in the chain; `sallyport audit verify` walks it")}
	}
	age := s.now().Sub(tail.Oldest)
	if age > oldTail {
		return []finding{warn("start `sallyport serve`, which chains them; if it runs, its log says why it does not",
			"%s not in the chain yet, the oldest for %s", count(tail.Events, "event is", "events are"), spell(age))}
	}
	return []finding{ok("%s of the last %s not in the chain yet", count(tail.Events, "event", "events"), spell(max(age, time.Second)))}
}
