package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rul-37: no cell of an export is run by a spreadsheet.
func TestUnformula_rul37(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "maya": "maya", "2026-03-01": "2026-03-01", "a=b": "a=b", "{\"a\":\"=1\"}": "{\"a\":\"=1\"}", "  ": "  ",
		"=1": "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx", "\nx": "'\nx", "  =1": "'  =1", " \t=1": "' \t=1",
		"\u00a0=1": "'\u00a0=1", "\u200b=1": "'\u200b=1", "\ufeff@x": "'\ufeff@x", "＝1": "'＝1", "\x00=1": "'\x00=1", "'=1": "'=1",
	} {
		if got := unformula(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func FuzzUnformula(f *testing.F) {
	f.Add(" =cmd|' /C calc'!A0")
	f.Fuzz(func(t *testing.T, s string) {
		got := unformula(s)
		if got != s && got != "'"+s {
			t.Fatalf("%q became %q", s, got)
		}
		if first := strings.TrimLeft(got, " "); first != "" && strings.ContainsRune("=+-@\t\r", rune(first[0])) {
			t.Errorf("%q stays %q", s, got)
		}
	})
}

// A file is there whole or not at all, and one that exists stays.
func TestWriteWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	text := func(s string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
	}
	half := func(w io.Writer) error { io.WriteString(w, "half"); return errors.New("the disk is full") }
	if err := writeWhole(path, false, half); err == nil {
		t.Error("no error")
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Errorf("left behind: %v", list)
	}
	if err := writeWhole(path, false, text("one")); err != nil {
		t.Fatal(err)
	}
	if err := writeWhole(path, false, text("two")); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("%v", err)
	}
	if err := writeWhole(path, true, half); err == nil {
		t.Error("no error")
	}
	if b, _ := os.ReadFile(path); string(b) != "one" {
		t.Errorf("%q", b)
	}
	if err := writeWhole(path, true, text("two")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if b, _ := os.ReadFile(path); string(b) != "two" || err != nil || posix && info.Mode().Perm() != 0o600 {
		t.Errorf("%q %v %v", b, info.Mode(), err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
}
