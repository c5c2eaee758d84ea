package smtp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/authn"
)

// read takes a letter apart as a mail program does.
func read(t *testing.T, raw []byte) (mail.Header, map[string]string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	parts := map[string]string{}
	kind, args, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "multipart/alternative" {
		parts[kind] = decode(t, m.Header.Get("Content-Transfer-Encoding"), m.Body)
		return m.Header, parts
	}
	var order []string
	for r := multipart.NewReader(m.Body, args["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, args, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil || !strings.EqualFold(args["charset"], "utf-8") {
			t.Fatalf("%v: %v", p.Header, err)
		}
		parts[kind] = decode(t, p.Header.Get("Content-Transfer-Encoding"), p)
		order = append(order, kind)
	}
	if !slices.Equal(order, []string{"text/plain", "text/html"}) { // the last is preferred
		t.Errorf("parts %q", order)
	}
	return m.Header, parts
}

func decode(t *testing.T, how string, r io.Reader) string {
	t.Helper()
	switch how {
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

func decoded(t *testing.T, header string) string {
	t.Helper()
	s, err := new(mime.WordDecoder).DecodeHeader(header)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func raw(t *testing.T, m authn.Message) []byte {
	t.Helper()
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	s := sender(t, 2525, func(c *Config) { c.ReplyTo, c.Now = "help@example.com", func() time.Time { return now } })
	e, err := s.compose(m)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.SplitSeq(bytes.TrimSuffix(e.body, []byte("\r\n")), []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n") || bytes.ContainsFunc(line, func(r rune) bool { return r > 126 }) {
			t.Errorf("line %q", line[:min(len(line), 200)])
		}
	}
	return e.body
}

func TestLetter(t *testing.T) {
	m := letter("out_01HF-x.7")
	header, parts := read(t, raw(t, m))
	for name, want := range map[string]string{
		"From":                     `"Acme – Anmeldung" <no-reply@example.com>`,
		"To":                       "<maya@example.org>",
		"Reply-To":                 "<help@example.com>",
		"Subject":                  m.Subject,
		"Message-Id":               "<out_01HF-x.7@example.com>",
		"Date":                     "Sun, 22 Nov 2026 09:30:00 +0000",
		"Auto-Submitted":           "auto-generated",
		"X-Auto-Response-Suppress": "DR, RN, NRN, OOF, AutoReply",
		"Content-Language":         "de-CH",
		"Mime-Version":             "1.0",
		"Bcc":                      "",
		"Cc":                       "",
		"User-Agent":               "",
		"X-Mailer":                 "",
	} {
		got := decoded(t, header.Get(name))
		if name == "From" {
			got = strings.ReplaceAll(got, "Acme – Anmeldung ", `"Acme – Anmeldung" `)
		}
		if got != want || len(header[name]) > 1 {
			t.Errorf("%s: %q, want %q", name, header[name], want)
		}
	}
	if parts["text/plain"] != m.Text || parts["text/html"] != m.HTML {
		t.Errorf("parts %q", parts)
	}
	m.HTML = ""
	if _, parts = read(t, raw(t, m)); len(parts) != 1 || parts["text/plain"] != m.Text {
		t.Errorf("text alone: %q", parts)
	}
	m.From = " \r\n"
	if header, _ := read(t, raw(t, m)); header.Get("From") != `"Acme" <no-reply@example.com>` {
		t.Errorf("From: %q", header.Get("From"))
	}
}

// Whatever stands in a name, a subject or an id, it adds no header and no line
// to one, and what is shown is bounded and reads in its own direction only.
func TestInjection(t *testing.T) {
	hostile := map[string]string{
		"CRLF":           "Hi\r\nBcc: victim@example.com\r\n\r\nbody",
		"LF":             "Hi\nBcc: victim@example.com",
		"CR":             "Hi\rBcc: victim@example.com",
		"NUL":            "Hi\x00Bcc: victim@example.com",
		"folded":         "Hi\r\n Bcc: victim@example.com",
		"line separator": "Hi\u2028Bcc: victim@example.com",
		"paragraph":      "Hi\u2029Bcc: victim@example.com",
		"next line":      "Hi\u0085Bcc: victim@example.com",
		"VT FF ESC":      "Hi\v\f\x1b[31mBcc: victim@example.com",
		"not UTF-8":      "Hi\xff\xfe\r\nBcc: victim@example.com",
		"quotes":         `Hi" <evil@example.com>, "Bcc: victim@example.com`,
		"comment":        `Hi (Bcc: victim@example.com) \`,
		"encoded word":   "=?utf-8?q?Hi=0D=0ABcc:_victim@example.com?=",
		"override":       "\u202egro.elpmaxe@mitciv\u202c \u2066Bcc\u2069",
		"10 kB":          strings.Repeat("x", 10_000),
		"10 kB words":    strings.Repeat("word ", 2_000),
		"10 kB RTL":      strings.Repeat("שלום ", 1_100),
		"10 kB emoji":    strings.Repeat("👩‍👩‍👧‍👦", 400),
		"10 kB CRLF":     strings.Repeat("\r\nBcc: victim@example.com", 400),
	}
	want, _ := read(t, raw(t, letter("a")))
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			m := letter("a")
			m.Subject, m.From, m.ID, m.Language = text, text, text, text
			header, parts := read(t, raw(t, m))
			for field, values := range header {
				if len(want[field]) == 0 || len(values) > 1 {
					t.Errorf("header %s: %q", field, values)
				}
			}
			from, err := mail.ParseAddressList(header.Get("From"))
			if err != nil || len(from) != 1 || from[0].Address != "no-reply@example.com" {
				t.Fatalf("From: %q %v", header.Get("From"), err)
			}
			for field, shown := range map[string]string{"subject": decoded(t, header.Get("Subject")), "name": from[0].Name} {
				if !utf8.ValidString(shown) || utf8.RuneCountInString(shown) > mostSubject || strings.ContainsAny(shown, "\r\n\x00\x1b\u0085\u2028\u2029\u202a\u202b\u202d\u202e\u2066\u2067\u2068") {
					t.Errorf("%s: %q", field, shown)
				}
			}
			if id := header.Get("Message-Id"); len(id) > 150 || strings.ContainsAny(id, " \r\n") || !strings.HasSuffix(id, "@example.com>") {
				t.Errorf("Message-ID: %q", id)
			}
			if parts["text/plain"] != m.Text || parts["text/html"] != m.HTML {
				t.Errorf("parts %q", parts)
			}
		})
	}
}

// Marks that a language needs are kept.
func TestOneLineKeeps(t *testing.T) {
	for _, s := range []string{"می\u200cخواهم", "שלום\u200f!", "Prix\u00a0: 5\u202f€", "👩‍👩‍👧‍👦"} {
		if got := header(s, mostSubject); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}

func TestAddresses(t *testing.T) {
	for addr, ok := range map[string]bool{
		"maya@example.org":                true,
		"maya+sign.in@mail.example.org":   true,
		"o'hara@example.org":              true,
		"maya@xn--exmple-cua.com":         true,
		"用户@example.org":                  true,
		"maya@exämple.com":                true,
		strings.Repeat("a", 64) + "@b.cc": true,

		"":                                     false,
		"maya":                                 false,
		"@example.org":                         false,
		"maya@":                                false,
		"maya@@example.org":                    false,
		"maya@example..org":                    false,
		"maya@-example.org":                    false,
		"maya@example.org.":                    false,
		"maya@[127.0.0.1]":                     false,
		"Maya <maya@example.org>":              false,
		"<maya@example.org>":                   false,
		" maya@example.org":                    false,
		"maya@example.org ":                    false,
		"maya@example.org, eve@example.org":    false,
		"maya@example.org,eve@example.org":     false,
		"maya@example.org>\r\nRCPT TO:<e@e.e":  false,
		"maya@example.org\r\nBcc: e@e.ee":      false,
		"maya\n@example.org":                   false,
		"maya\x00@example.org":                 false,
		"maya@example.org\u2028":               false,
		"ma\u202eya@example.org":               false,
		"ma\u2028ya@example.org":               false,
		`"ma ya"@example.org`:                  false,
		`"maya"@example.org`:                   false,
		"maya(comment)@example.org":            false,
		"ma\xffya@example.org":                 false,
		strings.Repeat("a", 65) + "@b.cc":      false,
		"a@" + strings.Repeat("b.", 130) + "c": false,
	} {
		if err := checkAddress(addr); (err == nil) != ok {
			t.Errorf("%q: %v", addr, err)
		}
	}
}

// What cannot be sent is told without a connection.
func TestNotSendable(t *testing.T) {
	box := serveMailbox(t, nil, false)
	s := sender(t, box.port(), nil)
	for name, test := range map[string]struct {
		change func(*authn.Message)
		stage  string
		reason Reason
	}{
		"two addresses": {func(m *authn.Message) { m.To = "a@example.org, b@example.org" }, "accept", AddressInvalid},
		"injection":     {func(m *authn.Message) { m.To = "a@example.org>\r\nDATA" }, "accept", AddressInvalid},
		"SMS":           {func(m *authn.Message) { m.Channel = authn.SMS }, "content", MessageInvalid},
		"no id":         {func(m *authn.Message) { m.ID = "" }, "content", MessageInvalid},
	} {
		m := letter("a")
		test.change(&m)
		t.Log(name)
		checkFailure(t, s.Send(t.Context(), m), test.stage, test.reason, true)
	}
	if n := box.count(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// An address that is not ASCII needs a server that can do that; for others
// SMTPUTF8 is not asked for, since not every server behind this one can.
func TestUTF8Addresses(t *testing.T) {
	box := serveMailbox(t, nil, false)
	s := sender(t, box.port(), nil)
	m := letter("a")
	m.To = "用户@example.org"
	for _, m := range []authn.Message{m, letter("b")} {
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if got := box.letters(); got[0].to != m.To || !got[0].utf8 || got[1].utf8 {
		t.Errorf("delivered %+v", got)
	}
	srv := serveScript(t, nil, nil)
	s = sender(t, srv.port(), nil)
	checkFailure(t, s.Send(t.Context(), m), "accept", NoUTF8, true)
}

// Texts arrive as they were, dots at the start of lines and all.
func TestTextsArrive(t *testing.T) {
	box := serveMailbox(t, nil, false)
	s := sender(t, box.port(), nil)
	for i, text := range []string{
		"plain", ".\n..\n.x\n", "trailing space \nend\t\n", "Ünïcödé 你好 שלום 🔑 = 100 % =20", strings.Repeat("long ", 2000), "From here\nFrom there", "",
	} {
		m := letter(strings.Repeat("i", i+1))
		m.Text, m.HTML = text, "<p>"+text+"</p>"
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		_, parts := read(t, box.letters()[i].body)
		if parts["text/plain"] != m.Text || parts["text/html"] != m.HTML {
			t.Errorf("%q arrived as %q", text, parts)
		}
	}
}
