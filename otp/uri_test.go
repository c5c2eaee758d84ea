package otp

import (
	"bytes"
	"errors"
	"math"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

const rfcText = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" // rfcKey's secret

func TestEncode(t *testing.T) { // A1, A3
	for _, c := range []struct {
		uri  URI
		want string
	}{
		{URI{Issuer: "Sallyport", Account: "maya@example.com", Key: rfcKey},
			"otpauth://totp/Sallyport:maya@example.com?secret=" + rfcText + "&issuer=Sallyport"},
		{URI{Issuer: " ACME Co ", Account: "Maya Lind", Key: rfcKey},
			"otpauth://totp/ACME%20Co:Maya%20Lind?secret=" + rfcText + "&issuer=ACME%20Co"},
		{URI{Issuer: "A+B & C=D?#/%", Account: "maya+work@example.com", Key: rfcKey},
			"otpauth://totp/A%2BB%20%26%20C%3DD%3F%23%2F%25:maya%2Bwork@example.com?secret=" + rfcText + "&issuer=A%2BB%20%26%20C%3DD%3F%23%2F%25"},
		{URI{Issuer: "Bäckerei", Account: "世", Key: rfcKey},
			"otpauth://totp/B%C3%A4ckerei:%E4%B8%96?secret=" + rfcText + "&issuer=B%C3%A4ckerei"},
		{URI{Issuer: `<b>"x"</b>`, Account: "'; DROP", Key: rfcKey}, // cve-65: nothing to close a tag or quote with
			"otpauth://totp/%3Cb%3E%22x%22%3C%2Fb%3E:%27%3B%20DROP?secret=" + rfcText + "&issuer=%3Cb%3E%22x%22%3C%2Fb%3E"},
		{URI{Issuer: "A", Account: "b", Key: Key{rfcKey.Secret, Params{SHA1, 6, 30}}}, // explicit defaults stay out
			"otpauth://totp/A:b?secret=" + rfcText + "&issuer=A"},
		{URI{Issuer: "A", Account: "b", Key: Key{rfcKey.Secret, Params{SHA256, 8, 60}}},
			"otpauth://totp/A:b?secret=" + rfcText + "&issuer=A&algorithm=SHA256&digits=8&period=60"},
		{URI{Kind: CounterBased, Issuer: "A", Account: "b", Key: rfcKey, Counter: 0},
			"otpauth://hotp/A:b?secret=" + rfcText + "&issuer=A&counter=0"},
		{URI{Kind: CounterBased, Issuer: "A", Account: "b", Key: Key{rfcKey.Secret, Params{SHA512, 7, 99}}, Counter: math.MaxInt64},
			"otpauth://hotp/A:b?secret=" + rfcText + "&issuer=A&algorithm=SHA512&digits=7&counter=9223372036854775807"},
	} {
		got, err := c.uri.Encode()
		if got != c.want || err != nil {
			t.Errorf("got  %s, %v\nwant %s", got, err, c.want)
		}
		// net/url, which is not ours, reads the same names out of it.
		u, err := url.Parse(got)
		if err != nil {
			t.Errorf("%s: %v", got, err)
			continue
		}
		issuer := strings.Trim(c.uri.Issuer, " ")
		if u.Path != "/"+issuer+":"+c.uri.Account || u.Query().Get("issuer") != issuer || u.Fragment != "" {
			t.Errorf("%s reads as path %q, issuer %q", got, u.Path, u.Query().Get("issuer"))
		}
		back, err := ParseURI(got)
		if err != nil || back.Issuer != issuer || back.Account != c.uri.Account || back.Kind != c.uri.Kind || back.Counter != c.uri.Counter {
			t.Errorf("%s read back: %+v, %v", got, back, err)
		}
	}
}

func TestEncodeKeepsAccountsDistinct(t *testing.T) { // A3
	seen := map[string]string{}
	for _, issuer := range []string{"A", "A B", "A+B", "A%20B", "A%2BB", "a"} {
		for _, account := range []string{"m", "m n", "m+n", "m%20n", "m/n", "m?n", "m&n", "M"} {
			text, err := URI{Issuer: issuer, Account: account, Key: rfcKey}.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if other, ok := seen[text]; ok {
				t.Errorf("%s/%s and %s have one URI", issuer, account, other)
			}
			seen[text] = issuer + "/" + account
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	good := URI{Issuer: "Acme", Account: "maya", Key: rfcKey}
	for name, change := range map[string]func(*URI){
		"no issuer":         func(u *URI) { u.Issuer = "" },
		"blank issuer":      func(u *URI) { u.Issuer = "   " },
		"no account":        func(u *URI) { u.Account = "" },
		"colon in issuer":   func(u *URI) { u.Issuer = "Acme: West" },
		"colon in account":  func(u *URI) { u.Account = "a:b" },
		"newline":           func(u *URI) { u.Issuer = "Acme\n" },
		"NUL":               func(u *URI) { u.Account = "ma\x00ya" },
		"delete":            func(u *URI) { u.Account = "ma\x7fya" },
		"C1 control":        func(u *URI) { u.Account = "ma\u0085ya" },
		"line separator":    func(u *URI) { u.Account = "ma\u2028ya" },
		"direction change":  func(u *URI) { u.Issuer = "Acme\u202emca" },
		"direction isolate": func(u *URI) { u.Issuer = "\u2066Acme" },
		"invalid UTF-8":     func(u *URI) { u.Issuer = "Ac\xffme" },
		"long issuer":       func(u *URI) { u.Issuer = strings.Repeat("x", 256) },
		"long account":      func(u *URI) { u.Account = strings.Repeat("x", 256) },
		"unknown kind":      func(u *URI) { u.Kind = 2 },
		"large counter":     func(u *URI) { u.Kind, u.Counter = CounterBased, math.MaxInt64+1 },
	} {
		u := good
		change(&u)
		if text, err := u.Encode(); !errors.Is(err, ErrURI) || text != "" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	for _, c := range badKeys {
		if _, err := (URI{Issuer: "A", Account: "b", Key: c.key}).Encode(); err != c.want {
			t.Errorf("%+v: %v, want %v", c.key, err, c.want)
		}
	}
	if got := TimeBased.String() + CounterBased.String() + Kind(7).String(); got != "totphotpKind(7)" {
		t.Error(got)
	}
}

func TestTheLongestURIIsRead(t *testing.T) {
	u := URI{CounterBased, strings.Repeat("世", 85), strings.Repeat("é", 127),
		Key{bytes.Repeat([]byte{7}, 128), Params{SHA512, 8, 30}}, math.MaxInt64}
	text, err := u.Encode()
	if err != nil || len(text) > maxURI {
		t.Fatal(len(text), err)
	}
	if back, err := ParseURI(text); err != nil || !reflect.DeepEqual(back, u) {
		t.Error(back, err)
	}
}

func TestParseURIOfOthers(t *testing.T) {
	std := Params{SHA1, 6, 30}
	for _, c := range []struct {
		from, text string
		want       URI
	}{
		{"Google, shortest", "otpauth://totp/Example:alice@google.com?secret=JBSWY3DPEHPK3PXP&issuer=Example",
			URI{Issuer: "Example", Account: "alice@google.com", Key: Key{hello, std}}},
		{"Google, all parameters", "otpauth://totp/ACME%20Co:john.doe@email.com?secret=" + rfcText + "&issuer=ACME%20Co&algorithm=SHA1&digits=6&period=30",
			URI{Issuer: "ACME Co", Account: "john.doe@email.com", Key: Key{rfcKey.Secret, std}}},
		{"Google, escaped colon and spaces", "otpauth://totp/Big%20Corporation%3A%20alice%40bigco.com?secret=JBSWY3DPEHPK3PXP",
			URI{Issuer: "Big Corporation", Account: "alice@bigco.com", Key: Key{hello, std}}},
		{"Google, no issuer", "otpauth://totp/alice@google.com?secret=JBSWY3DPEHPK3PXP",
			URI{Account: "alice@google.com", Key: Key{hello, std}}},
		{"Microsoft 365: two issuers, lower-case escape and secret", "otpauth://totp/Some+Company%3ame%40somecompany.net?secret=jbswy3dpehpk3pxp&issuer=Microsoft",
			URI{Issuer: "Microsoft", Account: "me@somecompany.net", Key: Key{hello, std}}},
		{"Keycloak", "otpauth://totp/My%20Realm:maya?secret=" + rfcText + "&digits=8&algorithm=SHA256&issuer=My%20Realm&period=60",
			URI{Issuer: "My Realm", Account: "maya", Key: Key{rfcKey.Secret, Params{SHA256, 8, 60}}}},
		{"Keycloak, hotp", "otpauth://hotp/Realm:maya?secret=" + rfcText + "&digits=6&algorithm=SHA1&issuer=Realm&counter=42",
			URI{Kind: CounterBased, Issuer: "Realm", Account: "maya", Key: Key{rfcKey.Secret, std}, Counter: 42}},
		{"Aegis: secret last but issuer, slash escaped", "otpauth://totp/Dev%2FOps%3Amaya?period=30&digits=6&algorithm=SHA512&secret=" + rfcText + "&issuer=Dev%2FOps",
			URI{Issuer: "Dev/Ops", Account: "maya", Key: Key{rfcKey.Secret, Params{SHA512, 6, 30}}}},
		{"Authy: form-encoded issuer, image", "otpauth://totp/Acme%20Co:maya?secret=JBSWY3DPEHPK3PXP&issuer=Acme+Co&image=https%3A%2F%2Facme.example%2Fa.png",
			URI{Issuer: "Acme Co", Account: "maya", Key: Key{hello, std}}},
		{"padded secret", "otpauth://totp/A:b?secret=GEZDGNBVGY3TQOJQGE%3D%3D%3D%3D%3D%3D&issuer=A",
			URI{Issuer: "A", Account: "b", Key: Key{Secret("12345678901"), std}}},
		{"padded secret, plain", "otpauth://totp/A:b?secret=GEZDGNBVGY3TQOJQGE======",
			URI{Issuer: "A", Account: "b", Key: Key{Secret("12345678901"), std}}},
		{"spaced secret", "otpauth://totp/b?secret=jbsw%20y3dp+ehpk-3pxp",
			URI{Account: "b", Key: Key{hello, std}}},
		{"upper-case scheme, type, names", "OTPAUTH://TOTP/A:b?SECRET=JBSWY3DPEHPK3PXP&Issuer=A&ALGORITHM=hmac-sha-256",
			URI{Issuer: "A", Account: "b", Key: Key{hello, Params{SHA256, 6, 30}}}},
		{"unescaped name", "otpauth://totp/Bäckerei Süß:jörg@example.com?secret=JBSWY3DPEHPK3PXP&issuer=Bäckerei Süß",
			URI{Issuer: "Bäckerei Süß", Account: "jörg@example.com", Key: Key{hello, std}}},
		{"plus in the account", "otpauth://totp/A:maya+work@example.com?secret=JBSWY3DPEHPK3PXP",
			URI{Issuer: "A", Account: "maya+work@example.com", Key: Key{hello, std}}},
		{"slash in the account", "otpauth://totp/A:dev/maya?secret=JBSWY3DPEHPK3PXP",
			URI{Issuer: "A", Account: "dev/maya", Key: Key{hello, std}}},
		{"empty issuer parameter", "otpauth://totp/A:b?secret=JBSWY3DPEHPK3PXP&issuer=",
			URI{Issuer: "A", Account: "b", Key: Key{hello, std}}},
		{"empty prefix", "otpauth://totp/:b?secret=JBSWY3DPEHPK3PXP&issuer=A",
			URI{Issuer: "A", Account: "b", Key: Key{hello, std}}},
		{"counter in totp, stray &", "otpauth://totp/A:b?&secret=JBSWY3DPEHPK3PXP&counter=5&",
			URI{Issuer: "A", Account: "b", Key: Key{hello, std}}},
		{"period in hotp", "otpauth://hotp/A:b?secret=JBSWY3DPEHPK3PXP&period=60&counter=0",
			URI{Kind: CounterBased, Issuer: "A", Account: "b", Key: Key{hello, std}}},
		{"widest numbers", "otpauth://totp/A:b?secret=JBSWY3DPEHPK3PXP&digits=7&period=300",
			URI{Issuer: "A", Account: "b", Key: Key{hello, Params{SHA1, 7, 300}}}},
	} {
		got, err := ParseURI(c.text)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v\nwant %+v", c.from, got, err, c.want)
		}
	}
}

func TestParseURIRefuses(t *testing.T) {
	const canary = "JBSWY3DPEHPK3PXP"
	const tail = "?secret=" + canary
	for _, c := range []struct {
		text  string
		also  error // wrapped beside ErrURI
		names string
	}{
		{"", nil, "begin"},
		{canary, nil, "begin"},
		{"otpauth:totp/A:b" + tail, nil, "begin"},
		{"https://totp/A:b" + tail, nil, "begin"},
		{" otpauth://totp/A:b" + tail, nil, "begin"},
		{"otpauth-migration://offline?data=" + canary, nil, "several accounts"},
		{"otpauth://steam/A:b" + tail, nil, "type"},
		{"otpauth://" + tail, nil, "type"},
		{"otpauth:///A:b" + tail, nil, "type"},
		{"otpauth://x@totp/A:b" + tail, nil, "type"},
		{"otpauth://totp:80/A:b" + tail, nil, "type"},
		{"otpauth://totp" + tail, nil, "no account"},
		{"otpauth://totp/" + tail, nil, "no account"},
		{"otpauth://totp/A:" + tail, nil, "no account"},
		{"otpauth://totp/A:%20" + tail, nil, "no account"},
		{"otpauth://totp/A:b:c" + tail, nil, "account contains a colon"},
		{"otpauth://totp/A:b%3Ac" + tail, nil, "account contains a colon"},
		{"otpauth://totp/A:b" + tail + "&issuer=A%3AB", nil, "issuer contains a colon"},
		{"otpauth://totp/A%:b" + tail, nil, "label has a broken"},
		{"otpauth://totp/A:b" + tail + "&issuer=%zz", nil, "parameter has a broken"},
		{"otpauth://totp/A:b" + tail + "&%=1", nil, "parameter has a broken"},
		{"otpauth://totp/A:b" + tail + "#x", nil, "#"},
		{"otpauth://totp/A:b\n" + tail, nil, "control"},
		{"otpauth://totp/A%0A:b" + tail, nil, "issuer contains a control"},
		{"otpauth://totp/A:b%00" + tail, nil, "account contains a control"},
		{"otpauth://totp/A:%E2%80%AEb" + tail, nil, "account contains a control"},
		{"otpauth://totp/A:b" + tail + "&issuer=A%0D", nil, "issuer contains a control"},
		{"otpauth://totp/A:\xff" + tail, nil, "UTF-8"},
		{"otpauth://totp/A:%FF" + tail, nil, "account is not valid UTF-8"},
		{"otpauth://totp/A:b" + tail + "&issuer=%C3%28", nil, "issuer is not valid UTF-8"},
		{"otpauth://totp/A:" + strings.Repeat("b", 256) + tail, nil, "account is longer"},
		{"otpauth://totp/A:b" + tail + "&x=" + strings.Repeat("b", 4096), nil, "longer"},
		{"otpauth://totp/A:b" + tail + strings.Repeat("&", 40), nil, "more than 32"},
		{"otpauth://totp/A:b", nil, "no secret"},
		{"otpauth://totp/A:b?issuer=A", nil, "no secret"},
		{"otpauth://totp/A:b?secret=", ErrSecretEmpty, ""},
		{"otpauth://totp/A:b?secret", ErrSecretEmpty, ""},
		{"otpauth://totp/A:b?secret=" + canary[:15], ErrSecretShort, ""},
		{"otpauth://totp/A:b?secret=" + canary + "1", ErrSecretLetters, ""},
		{"otpauth://totp/A:b?secret=" + canary + "A", ErrSecretCut, ""},
		{"otpauth://totp/A:b" + tail + tail[1:], ErrSecretLetters, ""}, // a forgotten &
		{"otpauth://totp/A:b" + tail + "&secret=" + canary, nil, "twice"},
		{"otpauth://totp/A:b" + tail + "&SECRET=" + rfcText, nil, "twice"},
		{"otpauth://totp/A:b" + tail + "&s%65cret=" + rfcText, nil, "twice"},
		{"otpauth://totp/A:b" + tail + "&issuer=A&issuer=A", nil, "twice"},
		{"otpauth://totp/A:b" + tail + "&image=1&image=2", nil, "twice"},
		{"otpauth://totp/A:b" + tail + "&algorithm=MD5", ErrAlgorithm, ""},
		{"otpauth://totp/A:b" + tail + "&algorithm=", ErrAlgorithm, ""},
		{"otpauth://totp/A:b" + tail + "&digits=5", ErrDigits, ""},
		{"otpauth://totp/A:b" + tail + "&digits=9", ErrDigits, ""},
		{"otpauth://totp/A:b" + tail + "&digits=06", ErrDigits, ""},
		{"otpauth://totp/A:b" + tail + "&digits=+6", ErrDigits, ""},
		{"otpauth://totp/A:b" + tail + "&digits=", ErrDigits, ""},
		{"otpauth://totp/A:b" + tail + "&digits=٦", ErrDigits, ""},
		{"otpauth://totp/A:b" + tail + "&digits=4294967302", ErrDigits, ""},
		{"otpauth://totp/A:b" + tail + "&period=0", ErrPeriod, ""},
		{"otpauth://totp/A:b" + tail + "&period=301", ErrPeriod, ""},
		{"otpauth://totp/A:b" + tail + "&period=-30", ErrPeriod, ""},
		{"otpauth://totp/A:b" + tail + "&period=30.0", ErrPeriod, ""},
		{"otpauth://totp/A:b" + tail + "&period=18446744073709551646", ErrPeriod, ""},
		{"otpauth://hotp/A:b" + tail, nil, "counter"},
		{"otpauth://hotp/A:b" + tail + "&counter=-1", nil, "counter"},
		{"otpauth://hotp/A:b" + tail + "&counter=9223372036854775808", nil, "counter"},
	} {
		got, err := ParseURI(c.text)
		if !errors.Is(err, ErrURI) || c.also != nil && !errors.Is(err, c.also) || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%.80q: %v; want %q, %v", c.text, err, c.names, c.also)
			continue
		}
		if !reflect.DeepEqual(got, URI{}) {
			t.Errorf("%.80q: something was read beside the error", c.text)
		}
		for i := 0; i+5 <= len(canary); i++ { // std-25: nothing of the secret in the error
			if strings.Contains(strings.ToUpper(err.Error()), canary[i:i+5]) {
				t.Errorf("%.80q: the error shows the secret: %v", c.text, err)
			}
		}
	}
}

func TestCleanLabel(t *testing.T) {
	for text, want := range map[string]string{
		"Acme":                          "Acme",
		"Acme: West":                    "Acme West",
		"  Acme \t\n Co  ":              "Acme Co",
		"a:b":                           "a b",
		":::":                           "",
		"":                              "",
		"Acme\u202emca\x00":             "Acme mca",
		"Ac\xffme":                      "Ac me",
		"Bäckerei 世 👩‍🍳":                "Bäckerei 世 👩‍🍳",
		strings.Repeat("x", 300):        strings.Repeat("x", 255),
		strings.Repeat("é", 200):        strings.Repeat("é", 127),
		strings.Repeat("世", 1<<16):      strings.Repeat("世", 85),
		strings.Repeat("x", 254) + " y": strings.Repeat("x", 254),
	} {
		if got := CleanLabel(text); got != want {
			t.Errorf("%.40q: %q, want %q", text, got, want)
		}
	}
}

func BenchmarkParseURI(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _ = ParseURI("otpauth://totp/ACME%20Co:john.doe@email.com?secret=" + rfcText + "&issuer=ACME%20Co&algorithm=SHA1&digits=6&period=30")
	}
}

func BenchmarkEncode(b *testing.B) {
	u := URI{Issuer: "ACME Co", Account: "maya@example.com", Key: rfcKey}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = u.Encode()
	}
}
