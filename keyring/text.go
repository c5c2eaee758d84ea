package keyring

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A keyring as text, in a file or in the environment:
//
//	sallyport-keyring-v1
//	# comment
//	key k_<16> 2026-02-03T04:05:06Z active <key: 52 characters> <checksum of this line: 8>
//	end 1 <checksum of all key lines: 8>
//
// Where line feeds are not possible (docker --env-file), semicolons separate the lines. The checksums find slips, not attackers: who can
// change the file has the keys.
const (
	textHeader = "sallyport-keyring-v1"
	textFamily = "sallyport-keyring-"
	textAdvice = "# Root keys of this Sallyport installation. Keep a copy apart from the database and its backups:\n" +
		"# without these keys nothing sealed in the database can be read, with both everything can.\n"
	maxText = 64 << 10
)

// Text returns the keyring as Load and Parse read it. It contains the keys.
func (k *Keyring) Text() string {
	var b, lines strings.Builder
	for _, key := range k.s.keys {
		line := strings.Join([]string{"key", key.id, key.created.Format(time.RFC3339), key.state, base32Lower.EncodeToString(key.secret[:])}, " ")
		fmt.Fprintf(&lines, "%s %s\n", line, checksum(line))
	}
	fmt.Fprintf(&b, "%s\n%s%send %d %s\n", textHeader, textAdvice, lines.String(), len(k.s.keys), checksum(lines.String()))
	return b.String()
}

// checksum is 40 bits of SHA-256, kept only beside the text that it covers.
func checksum(s string) string {
	sum := sha256.Sum256([]byte("sallyport keyring checksum\x00" + s))
	return base32Lower.EncodeToString(sum[:5])
}

// Parse reads a keyring from its text, for an environment variable. Errors name the line and never repeat it.
func Parse(text string) (*Keyring, error) {
	lines, err := splitText(text)
	if err != nil {
		return nil, err
	}
	var keys []*rootKey
	var sums strings.Builder
	ended := false
	for i, line := range lines {
		n, fields := i+2, strings.Fields(line) // line 1 is the header
		switch {
		case len(fields) == 0 || fields[0][0] == '#':
		case ended:
			return nil, lineError(n, "stands after the end line; remove it, or restore the keyring from its copy")
		case fields[0] == "key":
			key, err := parseKey(n, fields)
			if err != nil {
				return nil, err
			}
			if keys = append(keys, key); len(keys) > maxKeys {
				return nil, lineError(n, "is one key too many; at most "+strconv.Itoa(maxKeys)+" are allowed")
			}
			sums.WriteString(strings.Join(fields, " ") + "\n")
		case fields[0] == "end":
			if len(fields) != 3 || fields[1] != strconv.Itoa(len(keys)) || fields[2] != checksum(sums.String()) {
				return nil, lineError(n, "does not fit the key lines above: one is missing, added or moved; restore the keyring from its copy")
			}
			ended = true
		default:
			return nil, lineError(n, "begins with neither key, end nor #; restore the keyring from its copy")
		}
	}
	if !ended {
		return nil, errors.New("keyring: the end line is missing: the text was cut off; restore the keyring from its copy")
	}
	return assemble(keys)
}

// splitText checks the header and returns the lines after it.
func splitText(text string) ([]string, error) {
	switch {
	case len(text) > maxText:
		return nil, fmt.Errorf("keyring: longer than %d bytes: this is not a keyring", maxText)
	case strings.TrimSpace(text) == "":
		return nil, errors.New("keyring: empty; restore the keyring from its copy, or, if this installation has no data yet, remove the file and run `sallyport init`")
	}
	separator := "\n"
	if !strings.Contains(strings.TrimSpace(text), "\n") {
		separator = ";"
	}
	lines := strings.Split(text, separator)
	for i, line := range lines {
		if strings.ContainsFunc(strings.TrimSuffix(line, "\r"), func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' || r == 0x7f }) {
			return nil, lineError(i+1, "holds bytes that are not text; restore the keyring from its copy")
		}
	}
	switch first := strings.TrimSpace(lines[0]); {
	case first == textHeader:
		return lines[1:], nil
	case strings.HasPrefix(first, textFamily):
		return nil, lineError(1, "is of another version than "+textHeader+"; use the Sallyport release that wrote it, or a later one")
	}
	return nil, lineError(1, "is not "+textHeader+": this is not a keyring")
}

func lineError(n int, what string) error { return fmt.Errorf("keyring: line %d %s", n, what) }

// parseKey reads one key line. The checksum is compared first: until it fits, no field can be trusted to be what it seems.
func parseKey(n int, fields []string) (*rootKey, error) {
	if len(fields) != 6 {
		return nil, lineError(n, "is not complete; restore the keyring from its copy")
	}
	if checksum(strings.Join(fields[:5], " ")) != fields[5] {
		return nil, lineError(n, "was changed: its checksum does not fit; restore the keyring from its copy")
	}
	key := &rootKey{state: fields[3]}
	var ok bool
	if key.raw, ok = parseRootID(fields[1]); !ok {
		return nil, lineError(n, "has no key id of the form k_ and 16 characters")
	}
	created, err := time.Parse(time.RFC3339, fields[2])
	if err != nil || created.UTC().Format(time.RFC3339) != fields[2] {
		return nil, lineError(n, "has no date of the form 2026-02-03T04:05:06Z")
	}
	key.created = created.UTC()
	if key.state != stateNext && key.state != stateActive && key.state != statePrevious {
		return nil, lineError(n, "has a state that is none of next, active and previous")
	}
	secret, err := base32Lower.DecodeString(fields[4])
	if err != nil || len(secret) != keySize || base32Lower.EncodeToString(secret) != fields[4] {
		return nil, lineError(n, "has no key of 52 characters")
	}
	if key.secret = [keySize]byte(secret); key.secret == [keySize]byte{} {
		return nil, lineError(n, "has a key of zeros, which protects nothing")
	}
	return key, nil
}
