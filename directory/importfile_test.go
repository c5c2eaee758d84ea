package directory

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// FuzzImportFile: whatever a file is, reading it ends, gives rows of known
// columns in whole characters, and names a place for what is wrong.
func FuzzImportFile(f *testing.F) {
	for _, s := range []string{"login,name\na,b\n", "\xEF\xBB\xBFlogin\n\"a\nb\"\n", "{\"login\":\"a\",\"roles\":[\"x\"]}\n", "\xFF\xFE", "login\n\xF6", "{\"login\":\"\\ud800\"}", strings.Repeat("é", 5000)} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, data string, csv bool) {
		format := "jsonl"
		if csv {
			format = "csv"
		}
		whole, slow := readAll(t, newRows(format, strings.NewReader(data)), len(data)), readAll(t, newRows(format, iotest.OneByteReader(strings.NewReader(data))), len(data))
		if whole != slow {
			t.Errorf("read at once %q, byte by byte %q", whole, slow)
		}
	})
}

func readAll(t *testing.T, r rowReader, size int) string {
	t.Helper()
	var out strings.Builder
	for range size + 3 {
		line, row, err := r.next()
		var bad *RowError
		switch {
		case err == io.EOF:
			return out.String()
		case errors.As(err, &bad):
			if bad.Row < 1 || bad.Code == "" || bad.TextKey() == "" {
				t.Fatalf("%+v", bad)
			}
			out.WriteString(bad.Error() + "\n")
			if bad.Field == "file" {
				return bad.Code // where it is noticed may depend on how it is read
			}
		case err != nil:
			t.Fatal(err)
		default:
			for name, value := range row {
				if !utf8.ValidString(value) {
					t.Fatalf("%s %q", name, value)
				}
			}
			if line < 1 {
				t.Fatal("no line")
			}
			for _, name := range ImportColumns() {
				out.WriteString(row[name] + "|")
			}
		}
	}
	t.Fatal("it does not end")
	return ""
}
