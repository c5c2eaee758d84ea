package main

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes a file in a folder of the test.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigEnvironment(t *testing.T) {
	dsn := "postgres://sallyport:s3cret@db.example.com/sallyport?sslmode=verify-full"
	secret := write(t, "dsn", dsn+"\n")
	file := write(t, "sallyport.yaml", "public_url: https://login.example.com\ntrusted_proxies: [192.0.2.0/24]\ndatabase: here.db\ntls: {certificate: c.pem, key: /etc/k.pem}\n")
	dir := filepath.Dir(file)

	c, err := loadConfig(file, []string{"PATH=/bin", "SALLYPORT_SERVICE_HOST=10.0.0.1", "SALLYPORT_PORT_8080_TCP=tcp://10.0.0.1:8080", "SALLYPORT_LISTEN="})
	if err != nil {
		t.Fatal(err)
	}
	if c.Database != filepath.Join(dir, "here.db") || c.Certificate != filepath.Join(dir, "c.pem") || c.CertificateKey != "/etc/k.pem" {
		t.Errorf("paths of the file: %q, %q, %q", c.Database, c.Certificate, c.CertificateKey)
	}
	if c.KeyringFile != "keyring" || c.Listen != "127.0.0.1:8080" || len(c.TrustedProxies) != 1 {
		t.Errorf("%+v", c)
	}

	c, err = loadConfig(file, []string{"SALLYPORT_DATABASE_FILE=" + secret, "SALLYPORT_TRUSTED_PROXIES=10.0.0.1, ::1",
		"SALLYPORT_TLS_KEY=k.pem", "SALLYPORT_LOG_LEVEL=debug", "SALLYPORT_KEYRING_FILE=/run/secrets/keyring"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Database != dsn || !c.postgres() || c.CertificateKey != "k.pem" || c.KeyringFile != "/run/secrets/keyring" {
		t.Errorf("%+v", c)
	}
	if len(c.TrustedProxies) != 2 || c.TrustedProxies[0].String() != "10.0.0.1/32" || c.TrustedProxies[1].String() != "::1/128" {
		t.Errorf("proxies %v", c.TrustedProxies)
	}
	if got := c.place(); got != "postgres://db.example.com/sallyport" {
		t.Errorf("place is %q", got)
	}

	_, err = loadConfig(file, []string{"SALLYPORT_DATABASE_FILE=/nowhere", "SALLYPORT_KEYRING=x", "SALLYPORT_KEYRING_FILE=y", "SALLYPORT_TRUSTED_PROXYS=1"})
	var bad configError
	if !errors.As(err, &bad) || len(bad) != 3 {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{"cannot be read: no such file", "both set", "did you mean SALLYPORT_TRUSTED_PROXIES?"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

// No error repeats a value that may hold a password.
func TestConfigHidesSecrets(t *testing.T) {
	const secret = "hunter2"
	for _, text := range []string{
		"database: postgres://u:hunter2@[bad/x\n", "database: mysql://u:hunter2@h/x\n", "database: [postgres://u:hunter2@h/x]\n",
		"database: {hunter2: 1}\n", "database: \"postgres://u:hunter2@h/x\nlisten: 1\n", "\tdatabase: hunter2\n", "database: postgres://u:hunter2@h\n  x: y\n",
		"database: host=db user=x password=hunter2 dbname=y\n", "database: \"password = hunter2\"\n", "database: \"PASSWORD='hunter2'\"\n",
	} {
		if _, err := loadConfig(write(t, "c.yaml", text), nil); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, v := range []string{"SALLYPORT_DATABASE=mysql://u:hunter2@h", "SALLYPORT_DATABASE=postgres://u:hunter2@[h",
		"SALLYPORT_DATABASE=host=db user=x password=hunter2 dbname=y", "SALLYPORT_DATABASE=password=hunter2",
		"SALLYPORT_DATABASE_FILE=" + write(t, "dsn", "dbname=y\tpassword=hunter2\n")} {
		if _, err := loadConfig(write(t, "c.yaml", ""), []string{v}); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", v, err)
		}
	}
	// A path with such a word in it is still one.
	for _, v := range []string{"/srv/myhost/data.db", "C:\\report=1.db"} {
		if err := setDatabase(&loader{c: &config{}}, v); err != nil {
			t.Errorf("%q: %v", v, err)
		}
	}
}

func TestConfigPublicURL(t *testing.T) {
	for text, ok := range map[string]bool{
		"https://login.example.com": true, "https://login.example.com/": true, "https://login.example.com:8443": true,
		"http://localhost:8080": true, "http://127.0.0.1": true, "http://[::1]:80": true,
		"http://login.example.com": false, "login.example.com": false, "https://": false, "https://h/path": false, "https://h?q=1": false,
		"https://h#f": false, "https://user@h": false, "ftp://h": false, "http://localhost.evil.example": false, "": false,
		"https://h:99999": false, "https://h:0": false, "https://:443": false, "https://h.": false, "https://sällyport.example": false,
		"http://[::1%25eth0]:8080": false,
	} {
		err := setPublicURL(&loader{c: &config{}}, text)
		if (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && strings.HasPrefix(err.Error(), `"`) {
			t.Errorf("the value would be named twice: %v", err)
		}
	}
	// Browsers leave the usual port out of the Host header.
	for text, want := range map[string]string{"https://h:443": "https://h", "http://localhost:80": "http://localhost", "https://h:80": "https://h:80"} {
		l := &loader{c: &config{}}
		if err := setPublicURL(l, text); err != nil || l.c.PublicURL.String() != want {
			t.Errorf("%q: %v, %v", text, l.c.PublicURL, err)
		}
	}
}

// Nobody lands on a page that sends them on.
func TestConfigHome(t *testing.T) {
	for path, ok := range map[string]bool{
		"/account/security": true, "/apps?x=1": true, "/": false, "/continue": false, "/signin": false, "/signout": false,
		"/continue?a=b": false, "/signin/": false, "//evil.example": false,
	} {
		if err := setHome(&loader{c: &config{}}, path); (err == nil) != ok {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	parse := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for _, tt := range []struct {
		c    config
		want int
	}{
		{config{PublicURL: parse("https://h"), Listen: ":443", Certificate: "c"}, 0},
		{config{PublicURL: parse("https://h"), Listen: "127.0.0.1:80"}, 1},
		{config{PublicURL: parse("https://h"), Listen: ":80"}, 2},
		{config{PublicURL: parse("http://localhost"), Listen: "127.0.0.1:80"}, 0},
		{config{PublicURL: parse("http://localhost"), Listen: "0.0.0.0:80"}, 1},
	} {
		if got := tt.c.warnings(); len(got) != tt.want {
			t.Errorf("%s on %s: %q", tt.c.PublicURL, tt.c.Listen, got)
		}
	}
}

// The written configuration is one that is accepted, with all of its comments
// taken away too: every example in it is a value that its setting takes.
func TestWrittenConfig(t *testing.T) {
	text := writeConfig(map[string]string{"public_url": "https://login.example.com"})
	if _, err := loadConfig(write(t, "c.yaml", text), nil); err != nil {
		t.Error(err)
	}
	var all strings.Builder
	for line := range strings.Lines(text) {
		bare := strings.TrimPrefix(line, "# ")
		key, _, _ := strings.Cut(strings.TrimSpace(bare), ":")
		if _, known := byKey(key); known || sections[key] || strings.HasPrefix(bare, "  ") {
			all.WriteString(bare)
		}
	}
	c, err := loadConfig(write(t, "c.yaml", all.String()), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, all.String())
	}
	if c.CertificateKey == "" || len(c.TrustedProxies) != 1 || c.Home == "" {
		t.Errorf("%+v", c)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add("public_url: https://login.example.com\nlog: {level: info}\n")
	f.Add("trusted_proxies: [10.0.0.0/8, 1]\ntls:\n  key: &a x\n  certificate: *a\n")
	f.Add("? {a: b}\n: c\n--- 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		l := &loader{c: &config{}, given: map[string]string{}}
		l.defaults()
		l.readYAML("fuzz.yaml", []byte(text))
	})
}
