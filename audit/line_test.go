package audit_test

import (
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/audit"
)

// rul-37: no cell of an export is run by a spreadsheet.
func TestCell_rul37(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "maya": "maya", "2026-03-01": "2026-03-01", "a=b": "a=b", "{\"a\":\"=1\"}": "{\"a\":\"=1\"}", "  ": "  ",
		"=1": "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx", "\nx": "'\nx", "  =1": "'  =1", " \t=1": "' \t=1",
		"\u00a0=1": "'\u00a0=1", "\u200b=1": "'\u200b=1", "\ufeff@x": "'\ufeff@x", "＝1": "'＝1", "\x00=1": "'\x00=1", "'=1": "'=1",
	} {
		if got := audit.Cell(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func FuzzCell(f *testing.F) {
	f.Add(" =cmd|' /C calc'!A0")
	f.Fuzz(func(t *testing.T, s string) {
		got := audit.Cell(s)
		if got != s && got != "'"+s {
			t.Fatalf("%q became %q", s, got)
		}
		if first := strings.TrimLeft(got, " "); first != "" && strings.ContainsRune("=+-@\t\r", rune(first[0])) {
			t.Errorf("%q stays %q", s, got)
		}
	})
}

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
