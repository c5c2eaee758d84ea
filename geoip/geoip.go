// Package geoip says about where network addresses are, from a file in MaxMind DB
// format (https://maxmind.github.io/MaxMind-DB) that the operator gets and renews:
// GeoLite, DB-IP, IPinfo or one of their own.
//
// # Flow
//
// [New] reads the file into memory; [File.Place] then answers from there, and asks
// nobody. [File.Follow] looks once in a while whether the file is another one and
// takes it, if it can be read; otherwise the one before stays. What is not known, and
// whatever fails, is the zero Place.
//
// # Threats
//
//   - Such data is wrong for mobile networks, VPNs and companies, and an attacker
//     chooses where they seem to be: it is shown to people beside what they did, and
//     no decision looks at it.
//   - A file that is cut short, altered or made to harm: the format is checked at every
//     step, names are bounded and lose what is no letter, mark, digit, sign or space,
//     and a panic of the decoder is an error. The file is not mapped into memory: one
//     that is cut short while it is used would end the process (SIGBUS).
//   - Who signs in from where is told to nobody: there is no service that is asked, and
//     no place is stored or logged.
package geoip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/sallyport-mfa/sallyport/authn"
)

// maxFile is the size of a file in bytes that is taken. The largest that are sold
// have half of it.
const maxFile = 1 << 30

// File is a file of places. It is safe for concurrent use.
type File struct {
	path string
	log  *slog.Logger
	db   atomic.Pointer[database] // nil: none could be read

	mu   sync.Mutex
	last stamp // of the file that was read last, whether it was taken or not
}

var _ authn.Places = (*File)(nil)

// stamp tells one file from the next at the same path.
type stamp struct {
	changed time.Time
	size    int64
	missing bool
}

// New reads the file at path. One that cannot be read is said in the log, and knows
// nothing until it can: what decorates must not keep a server from starting.
func New(path string, log *slog.Logger) *File {
	f := &File{path: path, log: log}
	f.Look()
	return f
}

// Look takes the file if it is another one than at the last look. One that is no good
// is said in the log, once, and the one before stays.
func (f *File) Look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := stampOf(f.path)
	if now == f.last {
		return
	}
	f.last = now
	db, err := load(f.path)
	if err != nil {
		f.log.Warn("the file of places is not used", "file", f.path, "error", err, "before", f.db.Load() != nil)
		return
	}
	f.db.Store(db)
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{missing: true}
	}
	return stamp{changed: info.ModTime(), size: info.Size()}
}

// Follow looks once in every until ctx ends.
func (f *File) Follow(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f.Look()
		}
	}
}

// Place is about where an address is. Private, loopback and link-local ones are
// nowhere.
func (f *File) Place(a netip.Addr, lang string) authn.Place {
	db := f.db.Load()
	a = a.Unmap().WithZone("")
	if db == nil || !a.IsGlobalUnicast() || a.IsPrivate() {
		return authn.Place{}
	}
	return db.place(a, lang)
}

// Credit names who made the data, as their free files want it.
func (f *File) Credit() (name, url string) {
	db := f.db.Load()
	if db == nil {
		return "", ""
	}
	kind := strings.ToLower(db.reader.Metadata.DatabaseType)
	for _, c := range credits {
		if strings.HasPrefix(kind, c.kind) {
			return c.name, c.url
		}
	}
	return "", ""
}

// credits are by the beginning of a file's type. GeoLite wants the sentence "This
// product includes GeoLite data created by MaxMind" (its EULA), the others a link on
// pages that show the data (CC BY 4.0 and CC BY-SA 4.0).
var credits = []struct{ kind, name, url string }{
	{"geolite", "GeoLite data created by MaxMind", "https://www.maxmind.com"},
	{"dbip", "IP Geolocation by DB-IP", "https://db-ip.com"},
	{"ipinfo", "IP address data powered by IPinfo", "https://ipinfo.io"},
}

// Info is what a file says of itself.
type Info struct {
	Type  string // "GeoLite2-City"
	Built time.Time
}

// Check reads the file at path as New does, and says what is wrong with it.
func Check(path string) (Info, error) {
	db, err := load(path)
	if err != nil {
		return Info{}, err
	}
	return Info{Type: graphic(db.reader.Metadata.DatabaseType, maxName), Built: db.reader.Metadata.BuildTime()}, nil
}

// database is a file that was read.
type database struct{ reader *maxminddb.Reader }

func load(path string) (*database, error) {
	file, err := os.Open(path)
	var cause *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("there is no such file")
	case errors.As(err, &cause):
		return nil, cause.Err
	case err != nil:
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("is no file")
	case info.Size() > maxFile:
		return nil, errors.New("is larger than 1 GiB")
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	return parse(data)
}

// probed is how many networks are looked at for one that has a place.
const probed = 10_000

// parse takes what a file holds. The reader keeps data.
func parse(data []byte) (*database, error) {
	db := &database{}
	err := guarded(func() (err error) {
		if db.reader, err = maxminddb.OpenBytes(data, maxminddb.DisableStringCache()); err != nil {
			return fmt.Errorf("is no whole file in MaxMind DB format: %w", err)
		}
		n := 0
		// With all the ends of the tree, so that none can be walked for ever without one.
		for r := range db.reader.Networks(maxminddb.IncludeNetworksWithoutData(), maxminddb.IncludeAliasedNetworks()) {
			if country(r) != "" {
				return nil
			}
			if n++; n >= probed {
				break
			}
		}
		return fmt.Errorf("says of no network in which country it is: it is of another kind (%q)", graphic(db.reader.Metadata.DatabaseType, maxName))
	})
	if err != nil {
		return nil, err
	}
	return db, nil
}

// guarded runs f; a panic is an error. What decodes a file from elsewhere must not
// end the program for a decoration.
func guarded(f func() error) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("cannot be decoded: %v", x)
		}
	}()
	return f()
}

func (db *database) place(a netip.Addr, lang string) (p authn.Place) {
	err := guarded(func() error {
		r := db.reader.Lookup(a)
		if p.Country = country(r); p.Country != "" {
			p.City = city(r, lang)
		}
		return nil
	})
	if err != nil {
		return authn.Place{}
	}
	return p
}

// country is the code of two letters, where MaxMind and DB-IP, IPinfo's free files and
// IPinfo's others have it.
func country(r maxminddb.Result) string {
	for _, path := range [][]any{{"country", "iso_code"}, {"country_code"}, {"country"}} {
		if s := word(r, path...); len(s) == 2 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
			return s
		}
	}
	return ""
}

// city is its name in a language, or in English, or as the file has it.
func city(r maxminddb.Result, lang string) string {
	for _, path := range [][]any{{"city", "names", lang}, {"city", "names", "en"}, {"city"}} {
		if s := word(r, path...); s != "" {
			return s
		}
	}
	return ""
}

// maxName is the most characters of a name; the longest of a city has 58.
const maxName = 80

// word is a string of a record; empty if there is none there.
func word(r maxminddb.Result, path ...any) string {
	var s string
	if r.DecodePath(&s, path...) != nil {
		return ""
	}
	return graphic(s, maxName)
}

// graphic is a name without what is not seen or turns what is beside it; empty if it
// is no text or longer than most characters.
func graphic(s string, most int) string {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > most {
		return ""
	}
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if !unicode.IsGraphic(c) {
			return -1
		}
		return c
	}, s))
}
