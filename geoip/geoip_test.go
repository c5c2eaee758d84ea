package geoip

import (
	"bytes"
	"errors"
	"flag"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

var update = flag.Bool("update", false, "write testdata anew")

// built is when the file in testdata says that it was made.
const built = 1795305600 // 22 November 2026

// The file that other packages' tests use is the one that is written here.
func TestTestdata(t *testing.T) {
	const name = "testdata/documentation.mmdb"
	want := documentation("GeoLite2-City", built)
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the test writes (%v); run the test with -update", name, err)
	}
}

func write(t *testing.T, path string, data []byte, at time.Time) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "places.mmdb")
	write(t, path, documentation("GeoLite2-City", built), time.Unix(built, 0))
	f := New(path, slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		address, lang string
		want          authn.Place
	}{
		{"192.0.2.7", "en", authn.Place{City: "Krakow", Country: "PL"}},
		{"192.0.2.7", "de", authn.Place{City: "Krakau", Country: "PL"}},
		{"192.0.2.7", "pl", authn.Place{City: "Krakow", Country: "PL"}},
		{"192.0.2.7", "", authn.Place{City: "Krakow", Country: "PL"}},
		{"::ffff:192.0.2.7", "en", authn.Place{City: "Krakow", Country: "PL"}},
		{"2001:db8::1", "en", authn.Place{City: "Oslo", Country: "NO"}},
		{"2001:db8::1%eth0", "en", authn.Place{City: "Oslo", Country: "NO"}},
		{"198.51.100.1", "en", authn.Place{Country: "SE"}},
		{"198.51.100.200", "en", authn.Place{}}, // where the network is registered is not where it is
		{"203.0.113.1", "en", authn.Place{Country: "PL"}},
		{"203.0.113.65", "en", authn.Place{City: "Lyon", Country: "FR"}},
		{"203.0.113.129", "en", authn.Place{City: "<b>Near you</b>", Country: "NO"}}, // escaped where it is shown
		{"203.0.113.193", "en", authn.Place{Country: "NO"}},
		{"203.0.113.225", "en", authn.Place{}}, // no code of a country
		{"10.1.2.3", "en", authn.Place{}},
		{"127.0.0.1", "en", authn.Place{}},
		{"::1", "en", authn.Place{}},
		{"fe80::1%eth0", "en", authn.Place{}},
		{"8.8.8.8", "en", authn.Place{}},
	} {
		if got := f.Place(netip.MustParseAddr(c.address), c.lang); got != c.want {
			t.Errorf("%s in %q: %+v, want %+v", c.address, c.lang, got, c.want)
		}
	}
	if got := f.Place(netip.Addr{}, "en"); got != (authn.Place{}) {
		t.Errorf("no address is at %+v", got)
	}
}

func TestCredit(t *testing.T) {
	for kind, want := range map[string]string{
		"GeoLite2-City": "https://www.maxmind.com", "DBIP-City-Lite": "https://db-ip.com", "ipinfo lite.mmdb": "https://ipinfo.io",
		"GeoIP2-City": "", "Our offices": "",
	} {
		path := filepath.Join(t.TempDir(), "places.mmdb")
		write(t, path, documentation(kind, built), time.Unix(built, 0))
		name, url := New(path, slog.New(slog.DiscardHandler)).Credit()
		if url != want || (name == "") != (want == "") {
			t.Errorf("%s: %q %q", kind, name, url)
		}
	}
	if name, url := New("nowhere.mmdb", slog.New(slog.DiscardHandler)).Credit(); name+url != "" {
		t.Errorf("no file: %q %q", name, url)
	}
}

func TestCheck(t *testing.T) {
	whole := documentation("GeoLite2-City", built)
	var owners writer
	owners.add("192.0.2.0/24", record{"autonomous_system_number": u32(64496), "country": record{"names": record{"en": "Poland"}}})
	folder := t.TempDir()
	for name, c := range map[string]struct {
		data []byte
		want string // in the error; empty: none
	}{
		"whole":          {whole, ""},
		"empty":          {nil, "is no whole file in MaxMind DB format"},
		"cut at the end": {whole[:len(whole)-40], "is no whole file in MaxMind DB format"},
		"half":           {whole[:len(whole)/2], "is no whole file in MaxMind DB format"},
		"the end alone":  {whole[len(whole)-300:], "is no whole file in MaxMind DB format"},
		"packed":         {[]byte("\x1f\x8b\x08\x00" + strings.Repeat("x", 500)), "is no whole file in MaxMind DB format"},
		"of owners":      {owners.file("GeoLite2-ASN", built), `is of another kind ("GeoLite2-ASN")`},
	} {
		path := filepath.Join(folder, "file")
		write(t, path, c.data, time.Unix(built, 0))
		info, err := Check(path)
		switch {
		case c.want == "":
			if err != nil || info.Type != "GeoLite2-City" || info.Built.Unix() != built {
				t.Errorf("%s: %+v, %v", name, info, err)
			}
		case err == nil || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := Check(filepath.Join(folder, "none")); err == nil || err.Error() != "there is no such file" {
		t.Errorf("no file: %v", err)
	}
	if _, err := Check(folder); err == nil || err.Error() != "is no file" {
		t.Errorf("a folder: %v", err)
	}
}

// A new file is taken when it is whole; one that is not leaves the one before, and is
// said once.
func TestLook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "places.mmdb")
	var log bytes.Buffer
	f := New(path, slog.New(slog.NewTextHandler(&log, nil)))
	at := netip.MustParseAddr("192.0.2.7")
	said := func(want int) {
		t.Helper()
		if n := strings.Count(log.String(), "the file of places is not used"); n != want {
			t.Errorf("said %d times, want %d:\n%s", n, want, log.String())
		}
	}
	is := func(country string) {
		t.Helper()
		if got := f.Place(at, "en").Country; got != country {
			t.Errorf("the country is %q, want %q", got, country)
		}
	}
	is("")
	said(1)
	f.Look()
	said(1)
	data := documentation("GeoLite2-City", built)
	write(t, path, data, time.Unix(built, 0))
	f.Look()
	is("PL")
	write(t, path, data[:200], time.Unix(built+60, 0))
	f.Look()
	f.Look()
	is("PL")
	said(2)
	var next writer
	next.add("192.0.2.0/24", record{"country": record{"iso_code": "CZ"}})
	write(t, path, next.file("DBIP-Country-Lite", built), time.Unix(built+120, 0))
	f.Look()
	is("CZ")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	f.Look()
	is("CZ")
	said(3)
}

// Questions and new files at once, for the race detector.
func TestLook_atOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "places.mmdb")
	data := documentation("GeoLite2-City", built)
	write(t, path, data, time.Unix(built, 0))
	f := New(path, slog.New(slog.DiscardHandler))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				if got := f.Place(netip.MustParseAddr("192.0.2.7"), "en").City; got != "Krakow" {
					t.Errorf("the city is %q", got)
					return
				}
			}
		})
	}
	for i := range 20 {
		at := time.Unix(built+int64(i), 0)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		f.Look()
	}
	all.Wait()
}

func TestGuarded(t *testing.T) {
	none := map[string]int(nil)
	if err := guarded(func() error { none["x"] = 1; return nil }); err == nil {
		t.Error("a panic is no error")
	}
	want := errors.New("no")
	if err := guarded(func() error { return want }); err != want {
		t.Errorf("an error became %v", err)
	}
}

// Whatever a file holds, it is read or refused in bounded time, and what is asked of
// it is a place that can be shown.
func FuzzFile(f *testing.F) {
	whole := documentation("GeoLite2-City", built)
	f.Add(whole, []byte{192, 0, 2, 7})
	f.Add(whole[:len(whole)/2], []byte{192, 0, 2, 7})
	round := writer{tree: [][2]int{{0, 0}}, records: encode(record{"country": "PL"})}
	f.Add(round.file("round", 0), []byte{1, 1, 1, 1})
	deep := writer{records: []byte{0x20, 0x00}} // a pointer to itself
	for i := range 127 {
		deep.tree = append(deep.tree, [2]int{i + 1, i + 1})
	}
	deep.tree = append(deep.tree, [2]int{-1, -1})
	f.Add(deep.file("deep", 0), []byte{1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, data, address []byte) {
		db, err := parse(bytes.Clone(data))
		if err != nil {
			return
		}
		a, ok := netip.AddrFromSlice(address)
		if !ok {
			return
		}
		p := db.place(a, "en")
		if len(p.Country) != 2 && p != (authn.Place{}) || graphic(p.City, maxName) != p.City {
			t.Errorf("%s is at %+q", a, p)
		}
	})
}
