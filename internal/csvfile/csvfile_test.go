package csvfile

import (
	"encoding/csv"
	"errors"
	"strings"
	"testing"
)

func TestCell_rul37(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "maya": "maya", "a=b": "a=b", " maya": " maya", "=1+1": "'=1+1", "+46 70": "'+46 70", "-1": "'-1", "@sum": "'@sum", "\tx": "'\tx", "\rx": "'\rx",
		"\nx": "'\nx", "  =1": "'  =1", "\u00a0=1": "'\u00a0=1", "＝1": "'＝1", "\u200b=1": "'\u200b=1", "'=1": "'=1",
	} {
		if got := Cell(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestWriter(t *testing.T) {
	var b strings.Builder
	w := New(&b, "name", "note")
	w.Row(`=cmd|"/c calc"!A1`, "two\nlines, \"quoted\"")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][0] != `'=cmd|"/c calc"!A1` || rows[1][1] != "two\nlines, \"quoted\"" || !strings.HasSuffix(b.String(), "\r\n") {
		t.Errorf("%q %v", rows, err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestWriter_tellsOfErrors(t *testing.T) {
	w := New(full{}, "a")
	for range 5000 {
		w.Row("x")
	}
	if w.Flush() == nil {
		t.Error("nothing was written, and no error")
	}
}

func FuzzCell(f *testing.F) {
	f.Add(" =1")
	f.Fuzz(func(t *testing.T, s string) {
		got := Cell(s)
		if trimmed := strings.TrimSpace(got); trimmed != "" && strings.ContainsRune("=+-@", rune(trimmed[0])) {
			t.Errorf("%q stays a formula: %q", s, got)
		}
		if got != s && got != "'"+s {
			t.Errorf("%q became %q", s, got)
		}
	})
}
