package duo

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxDevices bounds how many devices of a person are looked at.
const maxDevices = 32

// lenient is a text that Duo may also send as a number, or not at all. Anything
// else reads as empty, which means nothing here.
type lenient string

func (l *lenient) UnmarshalJSON(b []byte) error {
	*l = ""
	var s string
	if json.Unmarshal(b, &s) == nil {
		*l = lenient(s)
		return nil
	}
	var n json.Number
	if json.Unmarshal(b, &n) == nil {
		*l = lenient(n.String())
	}
	return nil
}

// envelope is what every answer comes in.
type envelope struct {
	Stat     lenient         `json:"stat"`
	Code     lenient         `json:"code"`
	Message  lenient         `json:"message"`
	Detail   lenient         `json:"message_detail"`
	Response json.RawMessage `json:"response"`
}

// code is the error code, or 0.
func (e envelope) code() int {
	n, err := strconv.Atoi(string(e.Code))
	if err != nil || n < 0 || n > 99999 {
		return 0
	}
	return n
}

// message is what Duo says went wrong, cleaned.
func (e envelope) message() string {
	m := clean(string(e.Message), maxMessage)
	if d := clean(string(e.Detail), maxMessage); d != "" {
		m += " (" + d + ")"
	}
	return m
}

type pingAnswer struct {
	Time lenient `json:"time"`
}

// unix is Duo's time, or 0 if it did not say a sensible one.
func (p pingAnswer) unix() int64 {
	n, err := strconv.ParseInt(string(p.Time), 10, 64)
	if err != nil || n < 0 || n > 1<<33 {
		return 0
	}
	return n
}

type preauthAnswer struct {
	Result  lenient         `json:"result"`
	Message lenient         `json:"status_msg"`
	Portal  lenient         `json:"enroll_portal_url"`
	TxID    lenient         `json:"txid"`
	Number  lenient         `json:"verification_code"`
	Devices json.RawMessage `json:"devices"`
}

type device struct {
	ID           lenient         `json:"device"`
	Name         lenient         `json:"name"`
	DisplayName  lenient         `json:"display_name"`
	Number       lenient         `json:"number"`
	Capabilities json.RawMessage `json:"capabilities"`
}

// devices are those that can be read. One that cannot does not hide the others.
func (p preauthAnswer) devices() []device {
	var raw []json.RawMessage
	if json.Unmarshal(p.Devices, &raw) != nil {
		return nil
	}
	var list []device
	for _, r := range raw[:min(len(raw), maxDevices)] {
		var d device
		if json.Unmarshal(r, &d) == nil && isID(string(d.ID)) {
			list = append(list, d)
		}
	}
	return list
}

// can lists what the device can do.
func (d device) can() []string {
	var raw []lenient
	if json.Unmarshal(d.Capabilities, &raw) != nil {
		return nil
	}
	list := make([]string, len(raw))
	for i, c := range raw {
		list[i] = string(c)
	}
	return list
}

// verified are the transaction and the number of a verified push; both or neither.
func (p preauthAnswer) verified() (txid, number string) {
	if !isID(string(p.TxID)) || !isDigits(string(p.Number)) || len(p.Number) > 10 {
		return "", ""
	}
	return string(p.TxID), string(p.Number)
}

// authAnswer is that of auth and of auth_status.
type authAnswer struct {
	Result  lenient `json:"result"`
	Status  lenient `json:"status"`
	Message lenient `json:"status_msg"`
	TxID    lenient `json:"txid"`
}

// allowed: only this pair is an approval. "bypass" with it means that nobody was
// asked, which is no proof (ruling 33).
func (a authAnswer) allowed() bool { return a.Result == "allow" && a.Status == "allow" }

type enrollAnswer struct {
	Barcode    lenient `json:"activation_barcode"`
	Activation lenient `json:"activation_code"`
	UserID     lenient `json:"user_id"`
	Username   lenient `json:"username"`
}

var errShape = errors.New("the answer has not the expected form")

// object decodes an answer that must be an object.
func object(raw json.RawMessage, into any) error {
	if !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) || json.Unmarshal(raw, into) != nil {
		return errShape // the decoder's error quotes what it read
	}
	return nil
}

// clean makes words of Duo's fit to be shown: one line, without characters that
// control the terminal or turn the direction of a text, at most limit characters.
func clean(s string, limit int) string {
	if len(s) > 4*limit+64 {
		s = s[:4*limit+64]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > limit {
		s = strings.TrimSpace(string(runes[:limit]))
	}
	return s
}

// isID reports whether s has the form of an id: of a device, user or transaction.
func isID(s string) bool {
	for _, r := range s {
		if !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '-' || r == '_') {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

func isDigits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}
