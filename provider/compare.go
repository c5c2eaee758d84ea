package provider

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
)

// setting is one field of settings, as the event log shows it.
type setting struct{ name, value string }

// shown are the settings of a channel that the log may hold. A field has to be
// named here to be in it: so a new secret is in none. Addresses of webhooks are
// cut to their host, since a key can stand in the rest.
func shown(channel authn.Kind, doc []byte) (list []setting, secrets string, err error) {
	if doc == nil {
		return nil, "", nil
	}
	switch channel {
	case authn.Email:
		m, err := decode(doc)
		return []setting{{"host", m.Host}, {"port", strconv.Itoa(m.Port)}, {"tls", m.TLS}, {"username", m.Username}, {"from", m.From}, {"from_name", m.FromName}}, m.Password, err
	case authn.Duo:
		d, err := decodeDuo(doc)
		return []setting{{"ikey", d.IKey}, {"host", d.Host}, {"let_in", strconv.FormatBool(d.LetIn)}}, d.SKey, err
	case authn.SMS:
		var t authn.TextSettings
		if json.Unmarshal(doc, &t) != nil {
			return nil, "", fmt.Errorf("provider: stored settings cannot be read")
		}
		for i, p := range t.Providers {
			list = append(list, setting{"provider_" + strconv.Itoa(i+1), strings.Join(strings.Fields(p.Driver+" "+ends(p.Account)+" "+p.Region+" "+targetHost(authn.StreamSettings{URL: p.URL})+" "+p.From), " ")})
			secrets += p.Secret + "\n"
		}
		return append(list, setting{"countries", strings.Join(t.Countries, " ")}, setting{"currency", t.Currency}, setting{"price", strconv.FormatInt(t.Price, 10)},
			setting{"day_texts", strconv.Itoa(t.DayTexts)}, setting{"month_texts", strconv.Itoa(t.MonTexts)},
			setting{"day_money", strconv.FormatInt(t.DayMoney, 10)}, setting{"month_money", strconv.FormatInt(t.MonMoney, 10)}), secrets, nil
	}
	to, err := decodeStream(doc)
	return []setting{{"host", targetHost(to)}, {"port", strconv.Itoa(to.Port)}, {"ca", fingerprint(to.CA)}, {"certificate", fingerprint(to.Certificate)}}, to.Secret + to.URL, err
}

// ends are as much of an account as tells it from another.
func ends(s string) string {
	if len(s) <= 8 {
		return s
	}
	return s[:4] + "…" + s[len(s)-4:]
}

// fingerprint stands for what is long; empty stays empty.
func fingerprint(s string) string {
	if s == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// compared is what the event of a change says of it: the fields that differ, before
// and after, and whether a secret is another one.
func compared(channel authn.Kind, was, is []byte) (map[string]string, error) {
	x, secret, err := shown(channel, was)
	if err != nil {
		return nil, err
	}
	y, other, err := shown(channel, is)
	if err != nil {
		return nil, err
	}
	out := map[string]string{"before": without(x, y), "after": without(y, x)}
	if secret != other {
		out["secret"] = "changed"
	}
	return out, nil
}

// without are the settings that the other list does not hold so; 0 is the usual.
func without(list, other []setting) string {
	held := map[setting]bool{}
	for _, s := range other {
		held[s] = true
	}
	var words []string
	for _, s := range list {
		if s.value != "" && s.value != "0" && !held[s] {
			words = append(words, s.name+"="+s.value)
		}
	}
	return strings.Join(words, ", ")
}
