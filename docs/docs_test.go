package docs

import (
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	got, err := Parse("One `a <b>` of **two**.\nStill one.\n\n- x\n  y\n- `z`\n\n```json\n{\n}\n```")
	if err != nil {
		t.Fatal(err)
	}
	want := []Block{
		{Spans: []Span{{Text: "One "}, {Text: "a <b>", Code: true}, {Text: " of "}, {Text: "two", Strong: true}, {Text: ". Still one."}}},
		{List: [][]Span{{{Text: "x y"}}, {{Text: "z", Code: true}}}},
		{Code: "{\n}"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	for _, bad := range []string{"`open", "**open", "``", "**a `b`**", "# heading", "> quote", "| a |", "[a](b)", "1. one", "```\nx", "text\n- item", "* item"} {
		if got, err := Parse(bad); err == nil {
			t.Errorf("%q passes: %+v", bad, got)
		}
	}
}

// The file is as strict as its parser, so that page and file cannot drift.
func TestErrors(t *testing.T) {
	g, err := Errors()
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Errors) < 20 || len(g.Intro) < 3 {
		t.Errorf("%d codes, %d blocks before them", len(g.Errors), len(g.Intro))
	}
	if e, ok := g.Find("wrong_code"); !ok || e.Status != 422 || len(e.Related) == 0 || len(e.Cause) == 0 {
		t.Errorf("%+v", e)
	}
	if _, ok := g.Find("nothing"); ok {
		t.Error("found what is not there")
	}
	const good = "# Error codes\n\nIntro.\n\n## a\n\nHTTP 400. A.\n**Cause.** B.\n**Cure.** C.\n**See also.** `b`.\n\n## b\n\nHTTP 400. A.\n**Cause.** B.\n**Cure.** C.\n**See also.** `a`.\n"
	if _, err := parseErrors(good); err != nil {
		t.Error(err)
	}
	for _, cut := range []string{"# Error codes", "HTTP 400. A.\n", "**Cause.** B.", "**Cure.** C.\n", "**See also.** `b`."} {
		if _, err := parseErrors(strings.Replace(good, cut, "", 1)); err == nil {
			t.Errorf("passes without %q", cut)
		}
	}
	for from, to := range map[string]string{"`b`.": "`c`.", "`b`": "`a`", "## b": "## a", "C.": "C `d.", "B.": "B.\n\nB.", "Intro": "[x](y)"} {
		if _, err := parseErrors(strings.Replace(good, from, to, 1)); err == nil {
			t.Errorf("passes with %q", to)
		}
	}
}
