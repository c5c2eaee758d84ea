package web_test

import (
	"fmt"
	"html"
	"slices"
	"strings"
	"testing"
)

// node is an element, or a text if tag is empty.
type node struct {
	tag    string
	attrs  map[string]string
	kids   []*node
	parent *node
	text   string
}

var void = []string{"meta", "link", "input", "br", "hr", "img", "source"}

// parseHTML is stricter than a browser: what it does not understand is an
// error, so that markup that came out of a name cannot be mended away.
func parseHTML(s string) (*node, error) {
	root := &node{tag: "#root"}
	at := root
	s = strings.TrimPrefix(s, "<!doctype html>")
	for s != "" {
		open := strings.IndexByte(s, '<')
		if open != 0 {
			if open < 0 {
				open = len(s)
			}
			at.kids = append(at.kids, &node{text: html.UnescapeString(s[:open]), parent: at})
			s = s[open:]
			continue
		}
		if rest, ok := strings.CutPrefix(s, "</"); ok {
			name, after, ok := strings.Cut(rest, ">")
			if !ok || name != at.tag {
				return nil, fmt.Errorf("</%.20s> closes <%s>", name, at.tag)
			}
			at, s = at.parent, after
			continue
		}
		n, rest, err := parseTag(s[1:])
		if err != nil {
			return nil, err
		}
		n.parent = at
		at.kids = append(at.kids, n)
		s = rest
		if self := n.attrs["/"]; self == "/" {
			delete(n.attrs, "/")
		} else if !slices.Contains(void, n.tag) {
			at = n
		}
	}
	if at != root {
		return nil, fmt.Errorf("<%s> is not closed", at.tag)
	}
	return root, nil
}

const nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-:"

func word(s string) (string, string) {
	rest := strings.TrimLeft(s, nameBytes)
	return s[:len(s)-len(rest)], rest
}

func parseTag(s string) (*node, string, error) {
	n := &node{attrs: map[string]string{}}
	n.tag, s = word(s)
	if n.tag == "" {
		return nil, "", fmt.Errorf("a stray < before %.20q", s)
	}
	for {
		s = strings.TrimLeft(s, " \n")
		if rest, ok := strings.CutPrefix(s, "/>"); ok {
			n.attrs["/"] = "/"
			return n, rest, nil
		}
		if rest, ok := strings.CutPrefix(s, ">"); ok {
			return n, rest, nil
		}
		name, rest := word(s)
		if name == "" {
			return nil, "", fmt.Errorf("<%s>: no attribute at %.30q", n.tag, s)
		}
		if _, twice := n.attrs[name]; twice {
			return nil, "", fmt.Errorf("<%s>: %s twice", n.tag, name)
		}
		s = rest
		if rest, ok := strings.CutPrefix(s, `="`); ok {
			value, after, ok := strings.Cut(rest, `"`)
			if !ok {
				return nil, "", fmt.Errorf("<%s %s>: no end", n.tag, name)
			}
			n.attrs[name], s = html.UnescapeString(value), after
			continue
		}
		n.attrs[name] = ""
	}
}

func (n *node) walk(f func(*node)) {
	f(n)
	for _, k := range n.kids {
		k.walk(f)
	}
}

// words is the text in an element, spaces folded.
func (n *node) words() string {
	var b strings.Builder
	n.walk(func(k *node) { b.WriteString(k.text) })
	return strings.Join(strings.Fields(b.String()), " ")
}

func (n *node) has(attr string) bool { _, ok := n.attrs[attr]; return ok }

// all finds by a selector: compounds of tag, #id, .class, [attr], [attr=value],
// joined by spaces for descendants.
func (n *node) all(selector string) []*node {
	steps := strings.Fields(selector)
	var out []*node
	n.walk(func(k *node) {
		if k.tag != "" && k.matches(steps) {
			out = append(out, k)
		}
	})
	return out
}

func (n *node) matches(steps []string) bool {
	if !n.is(steps[len(steps)-1]) {
		return false
	}
	if steps = steps[:len(steps)-1]; len(steps) == 0 {
		return true
	}
	for p := n.parent; p != nil; p = p.parent {
		if p.matches(steps) {
			return true
		}
	}
	return false
}

func (n *node) is(compound string) bool {
	for compound != "" {
		end := strings.IndexAny(compound[1:], "#.[") + 1
		if end == 0 {
			end = len(compound)
		}
		part := compound[:end]
		compound = compound[end:]
		switch part[0] {
		case '#':
			if n.attrs["id"] != part[1:] {
				return false
			}
		case '.':
			if !slices.Contains(strings.Fields(n.attrs["class"]), part[1:]) {
				return false
			}
		case '[':
			name, value, valued := strings.Cut(strings.Trim(part, "[]"), "=")
			if got, ok := n.attrs[name]; !ok || valued && got != value {
				return false
			}
		default:
			if n.tag != part {
				return false
			}
		}
	}
	return true
}

// one is the only element of a selector.
func (n *node) one(t testing.TB, selector string) *node {
	t.Helper()
	found := n.all(selector)
	if len(found) != 1 {
		t.Fatalf("%d elements are %q", len(found), selector)
	}
	return found[0]
}

func TestDOM(t *testing.T) {
	d, err := parseHTML(`<!doctype html><p class="a b" id="x">1 &lt; 2<br><b hidden>y</b></p><svg><path d="M0"/></svg>`)
	if err != nil {
		t.Fatal(err)
	}
	for sel, want := range map[string]int{"p": 1, "p.b": 1, "#x b": 1, "b[hidden]": 1, "p[id=x]": 1, "p[id=y]": 0, "svg path": 1, "p path": 0} {
		if got := len(d.all(sel)); got != want {
			t.Errorf("%s: %d", sel, got)
		}
	}
	if got := d.one(t, "p").words(); got != "1 < 2y" {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{"<p>", "</p>", "<p><b></p></b>", "<p a=b>", `<p a="1" a="2">`, "< p>", `<p "x">`} {
		if _, err := parseHTML(bad); err == nil {
			t.Errorf("%s passes", bad)
		}
	}
}
