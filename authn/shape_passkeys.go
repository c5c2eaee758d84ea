package authn

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Passkey is what policy looks at of a factor of kind WebAuthn, read from what its
// method keeps in Factor.Data.
type Passkey struct {
	Synced   bool   `json:"be"`       // the key may leave its device (WebAuthn Level 3 section 6.1.3)
	Attested bool   `json:"attested"` // its maker vouched for the model, by the operator's metadata
	Model    string `json:"aaguid"`   // as a lower-case UUID; empty: it does not say
}

// PasskeyOf reads a factor. What cannot be read is held for the sort of which the
// least is known: synced, of an unknown maker.
func PasskeyOf(f Factor) Passkey {
	var p Passkey
	if json.Unmarshal(f.Data, &p) != nil {
		return Passkey{Synced: true}
	}
	return p
}

// PasskeyShape is one sort of passkeys that a person has. The model is that of attested
// ones only: no rule looks at what nobody vouched for, and a company has fewer shapes.
type PasskeyShape struct {
	Passkey
	Round int // Factor.Round
}

// maxPasskeySorts is how many sorts a Shape has room for; of more, those that were
// confirmed longest ago are left out.
const maxPasskeySorts = 4

// addPasskey notes the sort of a passkey.
func (s *Shape) addPasskey(f Factor) {
	p := PasskeyShape{PasskeyOf(f), f.Round}
	if p.hexModel() == "" {
		p.Model = ""
	}
	s.Passkeys = append(s.Passkeys, p)
}

func sortedPasskeys(list []PasskeyShape) []PasskeyShape {
	slices.SortFunc(list, func(a, b PasskeyShape) int {
		return cmp.Or(cmp.Compare(b.Round, a.Round), strings.Compare(a.word(), b.word()))
	})
	if list = slices.Compact(list); len(list) == 0 {
		return nil
	}
	return list[:min(len(list), maxPasskeySorts)]
}

// hexModel is the model without its hyphens; empty: it is not attested, or says none.
func (p PasskeyShape) hexModel() string {
	model := strings.ReplaceAll(p.Model, "-", "")
	b, err := hex.DecodeString(model)
	if !p.Attested || err != nil || len(b) != 16 || hex.EncodeToString(b) != model || uuidText(model) != p.Model {
		return ""
	}
	return model
}

func uuidText(h string) string {
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// word is "webauthn", or that and "_", with "s" if it is synced, "a" and its model if it is
// attested, and then "-" and its round, if it has one.
func (p PasskeyShape) word() string {
	sort := ""
	if p.Synced {
		sort = "s"
	}
	if p.Attested {
		sort += "a" + p.hexModel()
	}
	out := string(WebAuthn)
	if sort != "" {
		out += "_" + sort
	}
	if p.Round > 0 {
		out += "-" + strconv.Itoa(p.Round)
	}
	return out
}

// passkeyIn reads a word of a sort; false: it is of something else. The round is not read.
func passkeyIn(word string) (p PasskeyShape, ok bool) {
	rest, ok := strings.CutPrefix(word, string(WebAuthn))
	if rest == "" || !ok {
		return p, ok
	}
	if rest, ok = strings.CutPrefix(rest, "_"); !ok {
		return p, false
	}
	rest, p.Synced = strings.CutPrefix(rest, "s")
	rest, p.Attested = strings.CutPrefix(rest, "a")
	if len(rest) == 32 && p.Attested {
		p.Model, rest = uuidText(rest), ""
	}
	return p, rest == ""
}

// passkeyWords are the sorts of somebody who has passkeys.
func (s Shape) passkeyWords() []string {
	list := s.Passkeys
	if len(list) == 0 {
		list = []PasskeyShape{{Passkey: Passkey{Synced: true}}}
	}
	var out []string
	for _, p := range list {
		out = append(out, p.word())
	}
	return out
}

// data is a Factor.Data that PasskeyOf reads as p.
func (p PasskeyShape) data() []byte {
	b, _ := json.Marshal(p.Passkey)
	return b
}
