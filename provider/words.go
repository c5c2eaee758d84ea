package provider

import (
	"slices"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Words put a step of a test of mail into a sentence, and say what to do where it
// did not go well; text gives the sentence of a key of the catalogue.
func Words(s authn.MailStep, text func(key string) string, has func(key string) bool) (what, do string) {
	return WordsOf(authn.Email, s, text, has)
}

// WordsOf is Words for a channel (Email, SMS, Duo). A word can mean something of its
// own there: "admin.provider.sms.reason.timeout" goes before
// "admin.provider.reason.timeout".
func WordsOf(channel authn.Kind, s authn.MailStep, text func(key string) string, has func(key string) bool) (what, do string) {
	find := func(sort, word string) (key string, ok bool) {
		if key = "admin.provider." + string(channel) + "." + sort + "." + word; has(key) {
			return key, true
		}
		key = "admin.provider." + sort + "." + word
		return key, has(key)
	}
	if _, known := find("reason", s.Reason); s.OK && (s.Reason == "" || !known) {
		key, _ := find("done", s.Stage)
		return text(key), ""
	} else if !known {
		s.Reason = "other"
	}
	key, _ := find("reason", s.Reason)
	what = text(key)
	if key, ok := find("todo", s.Reason); ok {
		do = text(key)
	}
	return what, do
}

// Step is how the test of a text went, for WordsOf.
func (r TextResult) Step() authn.MailStep {
	s := authn.MailStep{Stage: r.Stage, OK: r.OK, Took: r.Took, Reason: r.Reason, Reply: r.Reply, Code: r.Code}
	if r.OK {
		s.Stage = "content"
	}
	return s
}

// LastFailure is the last failure of a provider, for WordsOf.
func LastFailure(h authn.ProviderHealth) authn.MailStep {
	stage, reason, _ := strings.Cut(h.Failed, " ")
	return authn.MailStep{Stage: stage, Reason: reason}
}

// HealthOf is how a provider does.
func HealthOf(h authn.ProviderHealth) Health {
	switch {
	case h.Failed != "":
		return Failing
	case h.SentAt.IsZero():
		return Untried
	}
	return Working
}

// State is how a company's texts go, of all its providers together.
func (st TextState) State() Health {
	if len(st.Settings.Providers) == 0 {
		if st.Server {
			return Server
		}
		return None
	}
	var all []Health
	for _, h := range st.Health {
		all = append(all, HealthOf(h))
	}
	for _, h := range []Health{Failing, Working} {
		if slices.Contains(all, h) {
			return h
		}
	}
	return Untried
}
