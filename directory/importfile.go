package directory

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// A file of people is read as a stream, one row at a time, so that a million of
// them need no more memory than one. Nothing of it is believed: not its encoding,
// not the length of a row, not that a column is there once.

// ImportColumns are the columns that a file can have. login is needed.
func ImportColumns() []string {
	return []string{"login", "email", "name", "audience", "roles", "phone", "locale", "password_hash"}
}

// MaxImport is how large a file of people can be that comes by HTTP, in bytes.
const MaxImport = 50 << 20

// maxImportRow is how long one row can be, in bytes.
const maxImportRow = 64 << 10

// RowError is one thing that is wrong with a file of people.
type RowError struct {
	Row   int // number of the line where the row begins, from 1
	Field string
	Code  string
	Key   string         // of the catalogue; empty: "field." + Code
	Args  map[string]any // for the text
}

// Error says where; the text is the catalogue's.
func (e *RowError) Error() string { return fmt.Sprintf("line %d: %s: %s", e.Row, e.Field, e.Code) }

// TextKey is the catalogue key of the error's text.
func (e *RowError) TextKey() string {
	if e.Key != "" {
		return e.Key
	}
	return "field." + e.Code
}

func fileError(row int, code string, args map[string]any) *RowError {
	return &RowError{Row: row, Field: "file", Code: code, Key: "import.file." + code, Args: args}
}

// importRow is a row by column; what is not there is empty.
type importRow map[string]string

// rowReader gives the rows. A *RowError with the field "file" ends the file; one
// with another field is about that row, and the next one may be right.
type rowReader interface {
	next() (line int, row importRow, err error) // io.EOF at the end
}

// strictUTF8 lets through UTF-8 without NUL, and names the place of anything else.
// A byte order mark at the beginning is left out.
type strictUTF8 struct {
	r     *bufio.Reader
	line  int
	total int64 // bytes let through
	start bool
	mark  int64  // bytes of the byte order mark
	from  int64  // where the row began
	rest  []byte // read, and not let through yet
	err   error
}

func newStrictUTF8(r io.Reader) *strictUTF8 {
	return &strictUTF8{r: bufio.NewReaderSize(r, 16<<10), line: 1, start: true}
}

func (s *strictUTF8) Read(p []byte) (n int, err error) {
	defer func() { s.err = err }()
	if len(p) < utf8.UTFMax && len(s.rest) == 0 {
		var b [utf8.UTFMax]byte
		n, err := s.runes(b[:])
		if err != nil {
			return 0, err
		}
		s.rest = append(s.rest[:0], b[:n]...)
	}
	if len(s.rest) > 0 {
		n := copy(p, s.rest)
		s.rest = s.rest[n:]
		return n, nil
	}
	return s.runes(p)
}

// runes fills p, which has room for one, with whole characters.
func (s *strictUTF8) runes(p []byte) (int, error) {
	if s.start {
		s.start = false
		head, _ := s.r.Peek(3)
		switch {
		case bytes.Equal(head, []byte{0xEF, 0xBB, 0xBF}):
			_, _ = s.r.Discard(3)
			s.mark = 3
		case bytes.HasPrefix(head, []byte{0xFF, 0xFE}), bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
			return 0, fileError(1, "utf16", nil)
		}
	}
	if s.total-s.from > maxImportRow+32<<10 {
		return 0, fileError(s.line, "row_too_long", map[string]any{"Max": maxImportRow >> 10})
	}
	n := 0
	for n+utf8.UTFMax <= len(p) && n < 4<<10 {
		if n > 0 && s.r.Buffered() < utf8.UTFMax { // do not wait for more
			break // what is there is enough
		}
		r, size, err := s.r.ReadRune()
		if err != nil {
			if n > 0 {
				break
			}
			return 0, err
		}
		if r == utf8.RuneError && size == 1 || r == 0 {
			if n > 0 { // what is before it is read first
				_ = s.r.UnreadRune()
				break
			}
			return 0, fileError(s.line, "encoding", map[string]any{"Line": s.line, "Byte": s.mark + s.total + 1})
		}
		if r == '\n' {
			s.line++
		}
		s.total += int64(size)
		n += utf8.EncodeRune(p[n:], r)
	}
	return n, nil
}

// rowAt says that a row ended there.
func (s *strictUTF8) rowAt(offset int64) { s.from = offset }

// newRows chooses the reader: "csv" or "jsonl".
func newRows(format string, r io.Reader) rowReader {
	s := newStrictUTF8(r)
	if format == "jsonl" {
		b := bufio.NewScanner(s)
		b.Buffer(make([]byte, 0, 4<<10), maxImportRow)
		b.Split(func(data []byte, end bool) (int, []byte, error) {
			if end && s.err != io.EOF && bytes.IndexByte(data, '\n') < 0 {
				return len(data), nil, nil // what comes before the place that cannot be read is no row
			}
			return bufio.ScanLines(data, end)
		})
		return &jsonRows{s: s, lines: b}
	}
	c := csv.NewReader(s)
	c.FieldsPerRecord, c.ReuseRecord = -1, true
	return &csvRows{s: s, csv: c}
}

type csvRows struct {
	s       *strictUTF8
	csv     *csv.Reader
	columns []string
}

func (c *csvRows) next() (int, importRow, error) {
	if c.columns == nil {
		if err := c.header(); err != nil {
			return 1, nil, err
		}
	}
	record, err := c.csv.Read()
	if err != nil {
		return 0, nil, csvError(err)
	}
	line, _ := c.csv.FieldPos(0)
	c.s.rowAt(c.csv.InputOffset())
	if len(record) != len(c.columns) {
		return line, nil, &RowError{Row: line, Field: "row", Code: "columns", Key: "import.columns", Args: map[string]any{"Want": len(c.columns), "Have": len(record)}}
	}
	row := importRow{}
	for i, name := range c.columns {
		row[name] = record[i]
	}
	return line, row, nil
}

func csvError(err error) error {
	var file *RowError
	var parse *csv.ParseError
	switch {
	case err == io.EOF:
		return err
	case errors.As(err, &file):
		return file
	case errors.As(err, &parse):
		return fileError(parse.Line, "quotes", map[string]any{"Line": parse.Line, "Column": parse.Column})
	}
	return fmt.Errorf("directory: read the file: %w", err)
}

func (c *csvRows) header() error {
	record, err := c.csv.Read()
	if err == io.EOF {
		return fileError(1, "empty", nil)
	}
	if err != nil {
		return csvError(err)
	}
	c.s.rowAt(c.csv.InputOffset())
	columns := []string{}
	for _, name := range record {
		name = strings.ToLower(strings.TrimSpace(name))
		switch {
		case !slices.Contains(ImportColumns(), name):
			return fileError(1, "unknown_column", map[string]any{"Name": shorten(name), "Columns": strings.Join(ImportColumns(), ", ")})
		case slices.Contains(columns, name):
			return fileError(1, "twice", map[string]any{"Name": name})
		}
		columns = append(columns, name)
	}
	if !slices.Contains(columns, "login") {
		return fileError(1, "no_login", map[string]any{"Name": "login"})
	}
	c.columns = columns
	return nil
}

// shorten bounds what comes back of a file.
func shorten(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

type jsonRows struct {
	s     *strictUTF8
	lines *bufio.Scanner
	line  int
}

func (j *jsonRows) next() (int, importRow, error) {
	for j.lines.Scan() {
		j.line++
		j.s.rowAt(j.s.total)
		if len(bytes.TrimSpace(j.lines.Bytes())) == 0 {
			continue
		}
		row, err := jsonRow(j.lines.Bytes())
		if err != nil {
			err.Row = j.line
			return j.line, nil, err
		}
		return j.line, row, nil
	}
	var file *RowError
	switch err := j.lines.Err(); {
	case err == nil && j.line == 0:
		return 1, nil, fileError(1, "empty", nil)
	case err == nil:
		return 0, nil, io.EOF
	case errors.As(err, &file):
		return file.Row, nil, file
	case errors.Is(err, bufio.ErrTooLong):
		return j.line + 1, nil, fileError(j.line+1, "row_too_long", map[string]any{"Max": maxImportRow >> 10})
	default:
		return 0, nil, fmt.Errorf("directory: read the file: %w", err)
	}
}

// jsonRow reads one object: texts, and roles as a list of texts. encoding/json
// alone would take the last of two equal names.
func jsonRow(line []byte) (importRow, *RowError) {
	bad := &RowError{Field: "row", Code: "json", Key: "import.json"}
	d := json.NewDecoder(bytes.NewReader(line))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, bad
	}
	row := importRow{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, bad
		}
		if !slices.Contains(ImportColumns(), name) {
			return nil, &RowError{Field: shorten(name), Code: "unknown"}
		}
		if _, twice := row[name]; twice {
			return nil, &RowError{Field: name, Code: "duplicate"}
		}
		var text string
		var list []string
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return nil, bad
		}
		switch {
		case name == "roles" && raw[0] == '[':
			if json.Unmarshal(raw, &list) != nil {
				return nil, &RowError{Field: name, Code: "wrong_type"}
			}
			text = strings.Join(list, ",")
		case raw[0] != '"' || json.Unmarshal(raw, &text) != nil:
			return nil, &RowError{Field: name, Code: "wrong_type"}
		}
		row[name] = text
	}
	if _, err := d.Token(); err != nil {
		return nil, bad
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, bad
	}
	return row, nil
}
