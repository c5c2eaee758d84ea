// Package csvfile writes tables for spreadsheets (RFC 4180).
//
// # Flow
//
// [New] writes the names of the columns, Row a line each, Flush what is left.
// Nothing is kept in memory but the line at hand, so a file may be of any length.
//
// # Threats
//
//   - Cells that a spreadsheet runs (ruling 37; CWE-1236): what begins like a
//     formula, also after spaces or in full width, gets an apostrophe before it.
package csvfile

import (
	"encoding/csv"
	"io"
	"strings"
	"unicode"
)

// Writer writes one table. It is for one goroutine.
type Writer struct{ w *csv.Writer }

// New begins a table with the names of its columns.
func New(w io.Writer, columns ...string) *Writer {
	t := &Writer{csv.NewWriter(w)}
	t.w.UseCRLF = true
	t.Row(columns...)
	return t
}

// Row writes one line. An error is kept for Flush.
func (t *Writer) Row(cells ...string) {
	safe := make([]string, len(cells))
	for i, s := range cells {
		safe[i] = Cell(s)
	}
	_ = t.w.Write(safe) // csv.Writer keeps the error of its buffer
}

// Flush writes what is buffered, and gives the first error of all lines.
func (t *Writer) Flush() error {
	t.w.Flush()
	return t.w.Error()
}

// Cell is a text as it may stand in a cell: never a formula.
func Cell(s string) string {
	for _, r := range s {
		switch {
		case strings.ContainsRune("=+-@\t\r\n＝＋－＠", r):
			return "'" + s
		case !unicode.IsSpace(r) && unicode.IsPrint(r):
			return s
		}
	}
	return s
}
