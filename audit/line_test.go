package audit_test

import (
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/audit"
)

func FuzzParseHead(f *testing.F) {
	f.Add("1:" + strings.Repeat("ab", 32))
	f.Fuzz(func(t *testing.T, s string) {
		if h, ok := audit.ParseHead(s); ok && h.Seq != 0 {
			if again, ok := audit.ParseHead(h.String()); !ok || again.Seq != h.Seq || string(again.Hash) != string(h.Hash) {
				t.Errorf("%q becomes %q", s, h)
			}
		}
	})
}
