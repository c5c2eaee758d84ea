package keyring

import (
	"fmt"
	"io"
	"log/slog"
)

// The methods below stand between a key and a log (inv-H). They have value receivers, so that copies are covered too.

// String names the number of keys and the active id, never a key; Text gives the keys.
func (k Keyring) String() string {
	if k.s == nil {
		return "keyring(empty)"
	}
	plural := "s"
	if len(k.s.keys) == 1 {
		plural = ""
	}
	return fmt.Sprintf("keyring(%d key%s, active %s)", len(k.s.keys), plural, k.s.active.id)
}

// Format prints String for every verb.
func (k Keyring) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }

// GoString is String.
func (k Keyring) GoString() string { return k.String() }

// LogValue is String, for log/slog.
func (k Keyring) LogValue() slog.Value { return slog.StringValue(k.String()) }

// String names the public id, never the key.
func (d DataKey) String() string {
	if d.s == nil {
		return "datakey(empty)"
	}
	return "datakey(" + d.s.id + ")"
}

// Format prints String for every verb.
func (d DataKey) Format(f fmt.State, _ rune) { io.WriteString(f, d.String()) }

// GoString is String.
func (d DataKey) GoString() string { return d.String() }

// LogValue is String, for log/slog.
func (d DataKey) LogValue() slog.Value { return slog.StringValue(d.String()) }
