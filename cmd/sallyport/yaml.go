package main

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxConfig bounds the file, in bytes; a full one has about six thousand.
const maxConfig = 64 << 10

// readYAML walks the parsed file itself, because a decoder stops at the first
// problem and loses the place of the others.
func (l *loader) readYAML(path string, raw []byte) {
	if len(raw) > maxConfig {
		l.problem(path, "is longer than %d bytes: this is not a configuration", maxConfig)
		return
	}
	f, err := parser.ParseBytes(raw, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		// The error's own text repeats the lines around, which may hold a password.
		var at yaml.Error
		if errors.As(err, &at) {
			l.problem(place(path, at.GetToken()), "is no YAML: %s", at.GetMessage())
		} else {
			l.problem(path, "is no YAML")
		}
		return
	}
	y := yamlReader{l: l, path: path, seen: map[string]bool{}}
	for i, doc := range f.Docs {
		switch {
		case doc.Body == nil:
		case i > 0:
			l.problem(y.at(doc.Body), "a second document begins; there may be one only")
			return
		default:
			y.mapping("", doc.Body)
		}
	}
}

type yamlReader struct {
	l    *loader
	path string
	seen map[string]bool
}

func place(path string, t *token.Token) string {
	if t == nil || t.Position == nil {
		return path
	}
	return fmt.Sprintf("%s:%d:%d", path, t.Position.Line, t.Position.Column)
}

func (y *yamlReader) at(n ast.Node) string { return place(y.path, n.GetToken()) }

func (y *yamlReader) mapping(prefix string, n ast.Node) {
	var pairs []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		pairs = m.Values
	case *ast.MappingValueNode: // a mapping of one key
		pairs = []*ast.MappingValueNode{m}
	case *ast.CommentGroupNode:
	default:
		y.l.problem(y.at(n), "must be settings, each as \"key: value\"")
	}
	for _, p := range pairs {
		y.pair(prefix, p)
	}
}

// sections are the keys that hold further keys.
var sections = map[string]bool{"tls": true, "log": true, "mail": true, "sms": true, "sms2": true, "passwords": true, "passkeys": true, "places": true, "egress": true}

func (y *yamlReader) pair(prefix string, p *ast.MappingValueNode) {
	key := prefix + p.Key.GetToken().Value
	where := y.at(p.Key)
	s, known := byKey(key)
	switch {
	case !known && !sections[key]:
		y.l.problem(where, "%q is no setting; %s", key, nearest(key, true))
	case y.seen[key]:
		y.l.problem(where, "%s stands twice", key)
	case sections[key]:
		y.seen[key] = true
		y.mapping(key+".", p.Value)
	case s.list:
		y.seen[key] = true
		y.list(s, p.Value)
	default:
		y.seen[key] = true
		if v, ok := y.scalar(key, p.Value); ok {
			y.l.apply(s, where, v)
		}
	}
}

func (y *yamlReader) list(s setting, n ast.Node) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		y.l.problem(y.at(n), "%s must be a list, such as %s", s.key, s.value)
		return
	}
	for _, item := range seq.Values {
		if v, ok := y.scalar(s.key, item); ok {
			y.l.apply(s, y.at(item), v)
		}
	}
}

// scalar gives a plain value as it is written: 0123 is not turned into 83.
func (y *yamlReader) scalar(key string, n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	case *ast.NullNode:
		y.l.problem(y.at(n), "%s has no value; give one, or leave the line out", key)
	default:
		y.l.problem(y.at(n), "%s must be a single value", key)
	}
	return "", false
}
