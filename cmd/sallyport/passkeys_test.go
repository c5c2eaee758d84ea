package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/internal/fidometa"
)

// Where passkeys count: at the host of public_url or a registered domain above it, and
// on named origins; what browsers would refuse is said when the configuration is read.
func TestPasskeysConfig(t *testing.T) {
	for _, c := range []struct {
		public, id, origins string
		want, wantOrigins   string // of the ID: empty, there can be none
		problem             string
	}{
		{public: "https://login.example.com", want: "login.example.com", wantOrigins: "https://login.example.com"},
		{public: "https://LOGIN.example.com:8443", want: "login.example.com", wantOrigins: "https://login.example.com:8443"},
		{public: "http://localhost:8080", want: "localhost", wantOrigins: "http://localhost:8080"},
		{public: "https://intranet", id: "intranet", want: "intranet", wantOrigins: "https://intranet"},
		{public: "https://login.example.com", id: "example.com", want: "example.com", wantOrigins: "https://login.example.com"},
		{public: "https://a.b.example.co.uk", id: "b.example.co.uk", want: "b.example.co.uk", wantOrigins: "https://a.b.example.co.uk"},
		{public: "https://login.corp.internal", id: "corp.internal", want: "corp.internal", wantOrigins: "https://login.corp.internal"},
		{public: "https://us.github.io", want: "us.github.io", wantOrigins: "https://us.github.io"},
		{public: "https://192.0.2.7", wantOrigins: "https://192.0.2.7"},
		{public: "http://[::1]:8080", wantOrigins: "http://[::1]:8080"},
		{public: "https://login.example.com", origins: "https://b.example.org, https://a.example.net:443, https://b.example.org, https://login.example.com,http://localhost:3000",
			want: "login.example.com", wantOrigins: "https://login.example.com https://b.example.org https://a.example.net http://localhost:3000"},

		{public: "https://login.example.com", id: "example.org", problem: "must be that host, or a domain above it"},
		{public: "https://login.example.com", id: "x.login.example.com", problem: "must be that host, or a domain above it"},
		{public: "https://login.example.com", id: "ogin.example.com", problem: "must be that host, or a domain above it"},
		{public: "https://login.example.com", id: "com", problem: "must be that host, or a domain above it"},
		{public: "https://login.example.co.uk", id: "co.uk", problem: "must be that host, or a domain above it"},
		{public: "https://us.github.io", id: "github.io", problem: "must be that host, or a domain above it"},
		{public: "https://login.corp.internal", id: "internal", problem: "must be that host, or a domain above it"},
		{public: "https://192.0.2.7", id: "example.com", problem: "has an IP address for a host"},
		{public: "https://192.0.2.7", id: "192.0.2.7", problem: "must be a domain as browsers write it"},
		{public: "https://login.example.com", id: "https://example.com", problem: "must be a domain as browsers write it"},
		{public: "https://login.example.com", id: "Example.com", problem: "must be a domain as browsers write it"},
		{public: "https://login.example.com", id: "example.com:443", problem: "must be a domain as browsers write it"},
		{public: "https://login.example.com", id: "example.com.", problem: "must be a domain as browsers write it"},
		{public: "https://login.example.com", id: "example.com/", problem: "must be a domain as browsers write it"},
		{public: "https://login.example.com", id: "beißt.example", problem: "must be a domain as browsers write it"},
		{public: "https://login.example.com", origins: "http://example.org", problem: "is no origin that can have passkeys"},
		{public: "https://login.example.com", origins: "http://127.0.0.1:3000", problem: "is no origin that can have passkeys"},
		{public: "https://login.example.com", origins: "https://192.0.2.7", problem: "is no origin that can have passkeys"},
		{public: "https://login.example.com", origins: "https://[2001:db8::1]", problem: "is no origin that can have passkeys"},
		{public: "https://login.example.com", origins: "https://example.org/", problem: "is no origin that can have passkeys"},
		{public: "https://login.example.com", origins: "https://example.org/x", problem: "is no origin that can have passkeys"},
		{public: "https://login.example.com", origins: "https://*.example.org", problem: "is no origin that can have passkeys"},
		{public: "https://login.example.com", origins: "example.org", problem: "is no origin that can have passkeys"},
		{public: "https://login.example.com", origins: "https://ok.example.org,", problem: "is no origin that can have passkeys"},
	} {
		t.Chdir(t.TempDir())
		cfg, err := loadConfig("", []string{"SALLYPORT_PUBLIC_URL=" + c.public, "SALLYPORT_PASSKEYS_ID=" + c.id, "SALLYPORT_PASSKEYS_ORIGINS=" + c.origins})
		switch {
		case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem) || !strings.Contains(err.Error(), "SALLYPORT_PASSKEYS_")):
			t.Errorf("%+v: %v", c, err)
		case c.problem == "" && err != nil:
			t.Errorf("%+v: %v", c, err)
		case c.problem == "":
			if got := strings.Join(cfg.Passkeys.Origins, " "); cfg.Passkeys.ID != c.want || got != c.wantOrigins {
				t.Errorf("%+v: %q on %q", c, cfg.Passkeys.ID, got)
			}
		}
	}
}

// The file has the same keys; the environment takes the place of its list.
func TestPasskeysConfig_file(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sallyport.yaml")
	text := "public_url: https://login.example.com\npasskeys:\n  id: example.com\n  origins: [https://example.org, https://example.net]\n  metadata_file: mds.jwt\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := loadConfig(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if k := cfg.Passkeys; k.ID != "example.com" || !slices.Equal(k.Origins, []string{"https://login.example.com", "https://example.org", "https://example.net"}) || k.Metadata != filepath.Join(filepath.Dir(path), "mds.jwt") {
		t.Errorf("%+v", k)
	}
	cfg, err = loadConfig(path, []string{"SALLYPORT_PASSKEYS_ORIGINS=https://a.example,https://b.example,https://c.example,https://d.example,https://login.d.example"})
	if err != nil {
		t.Fatal(err)
	}
	if k := cfg.Passkeys; len(k.Origins) != 6 || len(k.warnings()) != 0 {
		t.Errorf("%+v: %q", k, k.warnings())
	}
	cfg.Passkeys.Origins = append(cfg.Passkeys.Origins, "https://e.example")
	if w := cfg.warnings(); !strings.Contains(strings.Join(w, "\n"), "has 6 names") {
		t.Errorf("%q", w)
	}
}

// What doctor says of passkeys and of the file of their models.
func TestCheckPasskeys(t *testing.T) {
	ca, err := fidometa.NewCA("Test of the Alliance")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	signer, err := fidometa.NewSigner(ca, fidometa.Host, now.AddDate(0, -1, 0), now.AddDate(0, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file := func(name string, entries ...fidometa.Entry) string {
		data, err := signer.File(71, now.AddDate(0, 0, 10), entries...)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := fidometa.Entry{"aaguid": "0a0b0c0d-0000-4000-8000-000000000001", "metadataStatement": map[string]any{"description": "Test Key 5",
		"attestationTypes": []string{"basic_full"}, "attestationRootCertificates": []string{base64.StdEncoding.EncodeToString(ca.Cert.Raw)}}}
	whole, part, missing := file("whole.jwt", key), file("part.jwt", key, fidometa.Entry{"aaguid": "not one"}), filepath.Join(folder, "none.jwt")
	for _, c := range []struct {
		name, public, path string
		now                time.Time
		want               []string // result and text, one pair for each finding
	}{
		{"no file", "https://login.example.com", "", now, []string{checkOK, "bound to login.example.com, and may be used on https://login.example.com", checkOK, "passkeys.metadata_file names"}},
		{"an address", "http://127.0.0.1:8080", "", now, []string{checkWarn, "127.0.0.1 is an IP address, and browsers bind passkeys to names", checkOK, "no model"}},
		{"a file", "https://login.example.com", whole, now, []string{checkOK, "bound to", checkOK, "1 model is known, from " + whole + " (number 71), which is good until 2026-12-03"}},
		{"its last day", "https://login.example.com", whole, now.AddDate(0, 0, 11).Add(-1), []string{checkOK, "bound to", checkOK, "1 model"}},
		{"an old file", "https://login.example.com", whole, now.AddDate(1, 0, 0), []string{checkOK, "bound to", checkWarn, "is out of date since 2026-12-03, 354 days"}},
		{"parts of it", "https://login.example.com", part, now, []string{checkOK, "bound to", checkOK, "1 model", checkWarn, "cannot be read: 1"}},
		{"missing", "https://login.example.com", missing, now, []string{checkOK, "bound to", checkFail, "passkeys.metadata_file: " + missing + ": there is no such file; download it from https://mds3.fidoalliance.org/"}},
	} {
		cfg, err := loadConfig("", []string{"SALLYPORT_PUBLIC_URL=" + c.public, "SALLYPORT_PASSKEYS_METADATA_FILE=" + c.path})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Passkeys.roots = ca.Pool()
		list := checkPasskeys(t.Context(), &patient{config: cfg, now: func() time.Time { return c.now }})
		if len(list)*2 != len(c.want) {
			t.Errorf("%s: %+v", c.name, list)
			continue
		}
		for i, f := range list {
			if f.Result != c.want[2*i] || !strings.Contains(f.Text, c.want[2*i+1]) || (f.Cure != "") != (f.Result == checkWarn) {
				t.Errorf("%s: %+v, want %q", c.name, f, c.want[2*i:2*i+2])
			}
		}
	}
	cfg := &config{Passkeys: passkeysConfig{Metadata: whole}}
	if _, err := cfg.Passkeys.models(func() time.Time { return now }, silent); err == nil || !strings.Contains(err.Error(), "is not signed by the FIDO Alliance") {
		t.Errorf("without the test's root: %v", err)
	}
}
