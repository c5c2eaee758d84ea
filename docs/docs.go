// Package docs holds those documents that the server shows itself, read from the
// same files that people read in the repository: there is no second text that
// could drift from the first.
//
// The Markdown that it understands is small on purpose (paragraphs, lists, code,
// bold), and everything else is an error: what a reader of the file sees and what
// the page shows is the same. It makes no markup. Whoever draws the blocks escapes
// them.
package docs

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed errors.md
var errorsFile string

// Span is a piece of a sentence.
type Span struct {
	Text         string
	Code, Strong bool
	Href         string // where it leads, if whoever draws it knows
}

// Block is a paragraph, a list, or code on lines of its own: one of the three.
type Block struct {
	Spans []Span
	List  [][]Span
	Code  string
}

// Parse reads paragraphs, lists ("- " begins an item) and fenced code. Within a
// sentence there is `code` and **bold**.
func Parse(text string) ([]Block, error) {
	var blocks []Block
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := 0; i < len(lines); {
		line := lines[i]
		switch {
		case strings.TrimSpace(line) == "":
			i++
			continue
		case strings.HasPrefix(line, "```"):
			end := slices.Index(lines[i+1:], "```")
			if end < 0 {
				return nil, fmt.Errorf("docs: the code after %q does not end", line)
			}
			blocks = append(blocks, Block{Code: strings.Join(lines[i+1:i+1+end], "\n")})
			i += end + 2
			continue
		}
		list := strings.HasPrefix(line, "- ")
		var items []string
		for ; i < len(lines) && strings.TrimSpace(lines[i]) != "" && !strings.HasPrefix(lines[i], "```"); i++ {
			item, begins := strings.CutPrefix(lines[i], "- ")
			switch {
			case begins != list && (begins || len(items) == 0):
				return nil, fmt.Errorf("docs: leave a line empty before %q", lines[i])
			case begins || len(items) == 0:
				items = append(items, item)
			default:
				items[len(items)-1] += " " + strings.TrimSpace(lines[i])
			}
		}
		var b Block
		for _, item := range items {
			spans, err := Sentence(item)
			if err != nil {
				return nil, err
			}
			b.List = append(b.List, spans)
		}
		if !list {
			b.Spans, b.List = b.List[0], nil
		}
		blocks = append(blocks, b)
	}
	return blocks, nil
}

// unknown is Markdown that Parse does not draw; it would be shown as it stands.
var unknown = regexp.MustCompile(`^(#|>|\||\d+\. |\* |!\[)|\]\(`)

// Sentence reads `code` and **bold**.
func Sentence(s string) ([]Span, error) {
	if m := unknown.FindString(s); m != "" {
		return nil, fmt.Errorf("docs: %q in %q is no paragraph, list, code or bold", m, s)
	}
	var spans []Span
	for i, part := range strings.Split(s, "`") {
		if i%2 == 1 {
			if part == "" {
				return nil, fmt.Errorf("docs: empty code in %q", s)
			}
			spans = append(spans, Span{Text: part, Code: true})
			continue
		}
		for j, piece := range strings.Split(part, "**") {
			if piece != "" {
				spans = append(spans, Span{Text: piece, Strong: j%2 == 1})
			}
		}
		if strings.Count(part, "**")%2 != 0 {
			return nil, fmt.Errorf("docs: bold that does not end, or with code in it: %q", s)
		}
	}
	if strings.Count(s, "`")%2 != 0 {
		return nil, fmt.Errorf("docs: code that does not end: %q", s)
	}
	return spans, nil
}

// Error is what errors.md says of one code.
type Error struct {
	Code                 string
	Status               int
	Meaning, Cause, Cure []Span
	Related              []string // codes
}

// Guide is errors.md.
type Guide struct {
	Intro  []Block
	Errors []Error
}

// Find is the section of a code.
func (g Guide) Find(code string) (Error, bool) {
	i := slices.IndexFunc(g.Errors, func(e Error) bool { return e.Code == code })
	if i < 0 {
		return Error{}, false
	}
	return g.Errors[i], true
}

// section is the one form that a section may have.
var section = regexp.MustCompile(`(?s)^([a-z]+(?:_[a-z]+)*)\n\nHTTP (\d{3})\. (.+)\n\*\*Cause\.\*\* (.+)\n\*\*Cure\.\*\* (.+)\n\*\*See also\.\*\* (.+)\.\n$`)

// Errors reads errors.md.
func Errors() (Guide, error) { return parseErrors(errorsFile) }

func parseErrors(file string) (g Guide, err error) {
	parts := strings.Split(file, "\n## ")
	intro, ok := strings.CutPrefix(parts[0], "# Error codes\n")
	if !ok {
		return Guide{}, fmt.Errorf("docs: errors.md does not begin with its heading")
	}
	if g.Intro, err = Parse(intro); err != nil {
		return Guide{}, err
	}
	for _, part := range parts[1:] {
		m := section.FindStringSubmatch(strings.TrimRight(part, "\n") + "\n")
		if m == nil {
			name, _, _ := strings.Cut(part, "\n")
			return Guide{}, fmt.Errorf("docs: errors.md: section %.40q is not: code, HTTP status and meaning, Cause, Cure, See also", name)
		}
		e := Error{Code: m[1]}
		e.Status, _ = strconv.Atoi(m[2]) // three digits
		for to, s := range map[*[]Span]string{&e.Meaning: m[3], &e.Cause: m[4], &e.Cure: m[5]} {
			blocks, err := Parse(s)
			if err != nil {
				return Guide{}, err
			}
			if len(blocks) != 1 || blocks[0].Spans == nil {
				return Guide{}, fmt.Errorf("docs: errors.md: a part of %s is not one paragraph", e.Code)
			}
			*to = blocks[0].Spans
		}
		for _, s := range strings.Split(m[6], ", ") {
			e.Related = append(e.Related, strings.Trim(s, "`"))
		}
		if _, twice := g.Find(e.Code); twice {
			return Guide{}, fmt.Errorf("docs: errors.md has %s twice", e.Code)
		}
		g.Errors = append(g.Errors, e)
	}
	for _, e := range g.Errors {
		for _, c := range e.Related {
			if _, ok := g.Find(c); !ok || c == e.Code {
				return Guide{}, fmt.Errorf("docs: errors.md: %s names %q, which is no other code", e.Code, c)
			}
		}
	}
	return g, nil
}
