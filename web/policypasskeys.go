package web

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// modelsField has one AAGUID on each line; what follows a space is a note.
const modelsField = "passkeys_models"

// passkeyRules are the rules for passkeys of a document that may be written to.
func passkeyRules(d *policy.Document) *policy.Passkeys {
	if d.Passkeys == nil {
		d.Passkeys = &policy.Passkeys{}
	}
	return d.Passkeys
}

// readPasskeys adds what the form says of models; rules that ask nothing are left out.
func readPasskeys(f url.Values, d *policy.Document) {
	p := passkeyRules(d)
	for line := range strings.Lines(f.Get(modelsField)) {
		if words := strings.Fields(line); len(words) > 0 {
			p.Models = append(p.Models, strings.ToLower(words[0]))
		}
	}
	if !p.BlockCopied && !p.DeviceBound && !p.Attested && len(p.Models) == 0 {
		d.Passkeys = nil
	}
}

// modelLines are models as the form has them, each with its name where it has one.
func modelLines(models []string, names func(string) string) string {
	var b strings.Builder
	for _, m := range models {
		b.WriteString(strings.Join(append([]string{m}, strings.Fields(names(m))...), " ") + "\n")
	}
	return b.String()
}

// modelNames says what models of passkeys are called; empty: not known here.
func (h *Handler) modelNames() func(aaguid string) string {
	if m, ok := h.methods[authn.WebAuthn].(interface{ ModelName(aaguid string) string }); ok {
		return m.ModelName
	}
	return unnamed
}

func unnamed(string) string { return "" }

// modelsNamed are models for reading: by their names, where they have one.
func (v *View) modelsNamed(models []string) []string {
	var out []string
	for _, m := range models {
		out = append(out, cmp.Or(v.modelNames(m), m))
	}
	return out
}
