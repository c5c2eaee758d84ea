package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What doctor says of a file of places; it never fails.
func TestCheckPlaces(t *testing.T) {
	const whole = "../../geoip/testdata/documentation.mmdb"
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	short := filepath.Join(folder, "short.mmdb")
	if err := os.WriteFile(short, data[:len(data)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	built := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		path         string
		now          time.Time
		result, text string
	}{
		"none named": {"", built, checkOK, "none are shown"},
		"new":        {whole, built.Add(90 * day), checkOK, "(GeoLite2-City) was made on 2026-11-22"},
		"old":        {whole, built.Add(91*day + time.Second), checkWarn, "was made on 2026-11-22, 91 days ago"},
		"missing":    {filepath.Join(folder, "none.mmdb"), built, checkWarn, "none.mmdb: there is no such file"},
		"cut short":  {short, built, checkWarn, "short.mmdb: is no whole file in MaxMind DB format"},
		"a folder":   {folder, built, checkWarn, "is no file"},
	} {
		s := &patient{config: &config{Places: c.path}, now: func() time.Time { return c.now }}
		list := checkPlaces(t.Context(), s)
		if len(list) != 1 || list[0].Result != c.result || !strings.Contains(list[0].Text, c.text) || (list[0].Cure == "") != (c.result == checkOK) {
			t.Errorf("%s: %+v", name, list)
		}
	}
}
