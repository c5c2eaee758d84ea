package notice

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/text"
)

const (
	// maxSMSName and minSMSName are septets of a company's name: no more than that,
	// and less only if it is shorter itself.
	maxSMSName = 30
	minSMSName = 8
	// maxSMSDigits is a year. A name with more could pass for a code.
	maxSMSDigits = 4
	// nameless stands for a company whose name and slug cannot be written.
	nameless = "Sallyport"
)

// sms is one text message: a sentence and, with a code, the last line that binds
// the code to our host, so that a phone offers it there and nowhere else (rules 46
// and 47 of ux.md; the format has no port). The name of the company is cut so that
// it is one message; with a host of more than 43 characters it may be two.
func (w *writer) sms(code string) string {
	last := ""
	if code != "" {
		last = "\n\n@" + w.s.host + " #" + code
	}
	const probe = "x"
	most := oneMessage
	if w.l.Link.Reveal() != "" {
		most = twoMessages // a link has a whole token in it
	}
	company, room := w.smsCompany(), most-septets(w.sentence(probe, code)+last)+len(probe)
	return w.sentence(cutSMS(company, min(max(room, minSMSName), maxSMSName)), code) + last
}

// sentence is the text of the template. A translation that the alphabet cannot
// write would arrive with holes: English is sent then.
func (w *writer) sentence(company, code string) string {
	key, args := "sms."+string(w.l.Template), map[string]any{"Company": company, "Code": code}
	if link := w.l.Link.Reveal(); link != "" {
		args["Link"] = w.s.base + "/not-me/" + link
	}
	if code != "" {
		d := w.l.ExpiresAt.Sub(w.l.At).Round(time.Second)
		if d < time.Minute || d%time.Minute != 0 && d < 2*time.Minute {
			key, args["Count"] = key+"_seconds", max(int(d.Seconds()), 1)
		} else {
			args["Count"] = int(d.Minutes())
		}
	}
	s, lost := toGSM7(w.s.c.Texts.Text(w.lang, key, args))
	if lost > 0 {
		s, _ = toGSM7(w.s.c.Texts.Text(text.English, key, args))
	}
	return s
}

func (w *writer) smsCompany() string {
	for _, s := range []string{w.l.Company.Brand.SMSName, w.l.Company.Name, w.l.Company.Slug} {
		if s = smsName(s); s != "" {
			return s
		}
	}
	return nameless
}

// SMSName is what a text message makes of a company's name: written in its
// alphabet, cut to what there is room for in any case; empty if it cannot be.
func SMSName(s string) string { return cutSMS(smsName(s), maxSMSName) }

// smsName is a name in the alphabet of text messages, without what could pass for
// a code, a link or the last line; empty if more is lost than kept. What is left
// out is left out before links are looked for: otherwise it could hide one.
func smsName(s string) string {
	s, lost := toGSM7(visible(s[:min(len(s), 16*maxName)]))
	digits := 0
	for _, r := range s {
		if r >= '0' && r <= '9' {
			digits++
		}
	}
	kept := 0
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '@', r == '#', digits > maxSMSDigits && r >= '0' && r <= '9':
			return ' '
		case unicode.IsLetter(r) || unicode.IsNumber(r):
			kept++
		}
		return r
	}, s)
	if kept == 0 || lost > kept {
		return ""
	}
	s, _ = toGSM7(clean(s, maxName))
	return strings.Trim(s, aroundNames)
}

// aroundNames would look like part of the sentence at the ends of a name.
const aroundNames = " .,:;!?-&"

// cutSMS shortens a name to a number of septets.
func cutSMS(s string, most int) string {
	for septets(s) > most {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return strings.TrimRight(s, aroundNames)
}
