package client

import (
	"fmt"
	"log/slog"
)

// Secret is a token, a password or a code. It prints as "[secret]", in JSON too, and
// so it stays out of logs and errors. To keep one, or to send it elsewhere, Reveal it.
// The zero value is none. Two of them are not compared by ==.
type Secret struct {
	v *string // not a string: fmt calls no Format below a pointer that does not fit its verb
}

// NewSecret hides s; an empty one is the zero value.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// Reveal is the secret itself; empty if there is none.
func (s Secret) Reveal() string {
	if s.v == nil {
		return ""
	}
	return *s.v
}

// IsZero reports whether there is none.
func (s Secret) IsZero() bool { return s.v == nil }

// Format prints "[secret]" whatever the verb; of an empty one nothing.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.hidden()) }

// LogValue is what Format prints.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.hidden()) }

// MarshalText is what Format prints. UnmarshalText takes the secret itself.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.hidden()), nil }

// UnmarshalText takes the secret itself, as it is in an answer.
func (s *Secret) UnmarshalText(b []byte) error {
	*s = NewSecret(string(b))
	return nil
}

func (s Secret) hidden() string {
	if s.IsZero() {
		return ""
	}
	return "[secret]"
}

// body is a request with secrets, which a struct of Secrets would not send.
type body map[string]any

// add puts in what is not zero.
func add[T comparable](b body, name string, v T) {
	var zero T
	if v == zero {
		return
	}
	if s, ok := any(v).(Secret); ok {
		b[name] = s.Reveal()
		return
	}
	b[name] = v
}
