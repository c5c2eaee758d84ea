package smtp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/mail"
	"regexp"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"github.com/sallyport-mfa/sallyport/authn"
)

// envelope is a composed letter.
type envelope struct {
	to   string
	utf8 bool // the address needs SMTPUTF8
	body []byte
}

// Bounds in characters. A line of a header holds 998 bytes, and no mail program
// shows this much.
const (
	mostName    = 80
	mostSubject = 200
)

// compose writes the letter with its headers. Nobody is copied: the recipient
// is one, in To.
func (s *Sender) compose(m authn.Message) (*envelope, error) {
	if m.Channel != authn.Email && m.Channel != "" || m.ID == "" {
		return nil, &authn.SendError{Stage: "content", Permanent: true, Err: MessageInvalid}
	}
	if err := checkAddress(m.To); err != nil {
		return nil, &authn.SendError{Stage: "accept", Permanent: true, Err: err}
	}
	name := m.From
	if header(name, mostName) == "" {
		name = s.c.FromName
	}
	g := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	g.FromMailAddress(&mail.Address{Name: header(name, mostName), Address: s.c.From})
	g.ToMailAddress(&mail.Address{Address: m.To})
	if s.c.ReplyTo != "" {
		g.ReplyToMailAddress(&mail.Address{Address: s.c.ReplyTo})
	}
	g.Subject(header(m.Subject, mostSubject))
	g.SetDateWithValue(s.c.Now())
	g.SetMessageIDWithValue(token(m.ID) + "@" + s.domain)
	// Vacation notices and the like stay away; reports of failure are welcome.
	g.SetGenHeader("Auto-Submitted", "auto-generated")
	g.SetGenHeader("X-Auto-Response-Suppress", "DR, RN, NRN, OOF, AutoReply")
	if language.MatchString(m.Language) {
		g.SetGenHeader(gomail.HeaderContentLang, m.Language)
	}
	g.SetBodyString(gomail.TypeTextPlain, body(m.Text))
	if m.HTML != "" {
		g.AddAlternativeString(gomail.TypeTextHTML, body(m.HTML))
	}
	var b bytes.Buffer
	if _, err := g.WriteTo(&b); err != nil {
		return nil, &authn.SendError{Stage: "content", Err: err}
	}
	return &envelope{to: m.To, utf8: !isASCII(m.To), body: b.Bytes()}, nil
}

var (
	language  = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}$`)
	plainID   = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	plainHost = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)
)

// header makes a text fit for a header. Its length ends with a whole character,
// and "=?" would be decoded by the reader's program as if we had encoded it.
func header(s string, most int) string {
	s = strings.ReplaceAll(oneLine(s), "=?", "= ?")
	if r := []rune(s); len(r) > most {
		s = strings.TrimSpace(string(r[:most-1])) + "…"
	}
	return s
}

// body is valid UTF-8 without NUL, which no mail program shows.
func body(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// token is the left side of a Message-ID.
func token(id string) string {
	if len(id) <= 128 && plainID.MatchString(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

// checkAddress wants an address and nothing else: no name, no comment, no quotes,
// no address literal, no route, at most 254 bytes (RFC 5321 4.5.3.1).
func checkAddress(a string) error {
	local, domain, _ := strings.Cut(a, "@")
	parsed, err := mail.ParseAddress(a)
	switch {
	case err != nil, parsed.Address != a, parsed.Name != "", len(a) > 254, len(local) > 64, oneLine(a) != a:
		return AddressInvalid
	case strings.ContainsAny(a, " \t\"(),:;<>[]\\"), strings.Contains(domain, "@"), !isASCII(domain) && strings.HasSuffix(domain, "."):
		return AddressInvalid
	case isASCII(domain) && (!plainHost.MatchString(domain) || strings.HasSuffix(domain, ".")):
		return AddressInvalid
	}
	return nil
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 126 || r < 32 }) < 0
}
