package branding

import (
	"errors"
	"net/url"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Bounds in characters.
const (
	MaxHelp    = 300
	MaxSupport = 500
	MaxLink    = 500
	MaxName    = 60 // of a sender of mail
	MaxSMSName = 30 // of the company in text messages; notice cuts it further where a text would become two
)

// clean makes what was typed fit to be stored, and says what is wrong.
func clean(b *authn.Brand, support *string) []authn.Field {
	var fields []authn.Field
	wrong := func(err error) {
		var e *authn.Error
		if errors.As(err, &e) {
			fields = append(fields, e.Fields...)
		}
	}
	if b.Accent = strings.ToLower(strings.TrimSpace(b.Accent)); b.Accent != "" {
		_, err := parseColour(b.Accent)
		wrong(err)
	}
	for _, f := range []struct {
		name  string
		value *string
		most  int
		check func(name, value string) error
	}{
		{"help_text", &b.HelpText, MaxHelp, nil},
		{"support", support, MaxSupport, nil},
		{"help_link", &b.HelpLink, MaxLink, checkLink},
		{"privacy_link", &b.PrivacyLink, MaxLink, checkLink},
		{"terms_link", &b.TermsLink, MaxLink, checkLink},
		{"mail_name", &b.MailName, MaxName, checkName},
		{"sms_name", &b.SMSName, MaxSMSName, checkName},
	} {
		if strings.TrimSpace(*f.value) == "" {
			*f.value = ""
			continue
		}
		s, err := authn.CleanName(f.name, *f.value, f.most)
		if err == nil && f.check != nil {
			err = f.check(f.name, s)
		}
		if err != nil {
			wrong(err)
			continue
		}
		*f.value = s
	}
	return fields
}

// checkLink accepts what a browser opens as https and nothing else (ruling 37):
// no user names in front of the host, which make one host look like another, and
// only characters that every reader takes for the same address.
func checkLink(field, s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || !strings.HasPrefix(s, "https://") || u.Hostname() == "" || u.User != nil || strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}", r)
	}) {
		return authn.InvalidField(field, "https", nil)
	}
	return nil
}

// checkName refuses what a mail program shows as an address: it would pass for the
// one that the mail is from.
func checkName(field, s string) error {
	if strings.ContainsAny(s, "@<>\"") {
		return authn.InvalidField(field, "no_address", nil)
	}
	return nil
}
