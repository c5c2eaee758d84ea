package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-mfa/sallyport/docs"
)

// reference is the OpenAPI document as the pages draw it.
type reference struct {
	Title, Version string
	Base           string
	Intro          []docs.Block
	Schemes        []scheme
	Groups         []*group
	usedBy         map[string][]*refOperation // error code: who answers it
}

type scheme struct {
	Name string
	Kind string
	Text []docs.Block
}

type group struct {
	Name, Title, Path string
	Text              []docs.Block
	Operations        []*refOperation
}

type refOperation struct {
	ID, Method, Path string
	Name             string // the summary as plain text
	Summary          []docs.Span
	Text             []docs.Block
	Address          string // of its place on the pages
	Search           string // what the search looks at, in lower case
	Deprecated       bool
	Proofs           []string // names of the security schemes, any of which will do; none: open to anyone
	Optional         bool     // none will do as well
	Parameters       []field
	Body             []field
	File             string // media type of a body that is a file; empty: it is none
	Answers          []answer
	Errors           []answer
	Usual            []docs.Span // errors that most operations may answer
	Curl, Go         string
	Example          answer // what the call of the snippets answers
}

type answer struct {
	Status  int
	Text    []docs.Block
	Headers []field
	Fields  []field
	JSON    string // an example
	codes   []string
	ref     string
}

// field is a parameter, a header, or a member of an object.
type field struct {
	Name, Type string
	Where      string // of parameters: "path", "query"
	Required   bool
	Always     bool // of answers: required, said as a promise
	Deprecated bool
	Text       []docs.Block
	Rules      []docs.Span
	Fields     []field
	Choices    []field // one of these shapes
}

// newReference makes the pages out of the document. base is the address of the
// server, as its readers reach it.
func newReference(raw []byte, base string, guide docs.Guide) (*reference, error) {
	base = strings.TrimRight(base, "/")
	if host, ok := strings.CutPrefix(base, "https://"); !ok {
		if host, ok = strings.CutPrefix(base, "http://"); !ok || host == "" {
			return nil, fmt.Errorf("web: Config.PublicURL %q is no address", base)
		}
	} else if host == "" {
		return nil, fmt.Errorf("web: Config.PublicURL %q is no address", base)
	}
	if strings.Trim(strings.ToLower(base), "abcdefghijklmnopqrstuvwxyz0123456789:/.-[]") != "" {
		// It stands in commands that people paste into a shell.
		return nil, fmt.Errorf("web: Config.PublicURL %q has a character that no address of a server has", base)
	}
	doc, err := parseOpenAPI(raw)
	if err != nil {
		return nil, err
	}
	b := &referenceBuilder{doc: doc, guide: guide, ref: &reference{
		Title: doc.Info.Title, Version: doc.Info.Version, Base: base, usedBy: map[string][]*refOperation{},
	}}
	b.build()
	if b.err != nil {
		return nil, b.err
	}
	return b.ref, nil
}

// referenceBuilder keeps the first error, so that the steps read as a list.
type referenceBuilder struct {
	doc   *openAPI
	guide docs.Guide
	ref   *reference
	err   error
}

func (b *referenceBuilder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf("web: the OpenAPI document: "+format, args...)
	}
}

func (b *referenceBuilder) prose(text string) []docs.Block {
	blocks, err := docs.Parse(text)
	if text == "" {
		return nil
	}
	if err != nil {
		b.fail("%w", err)
	}
	return blocks
}

func (b *referenceBuilder) build() {
	b.ref.Intro = b.prose(b.doc.Info.Description)
	for _, name := range slices.Sorted(maps.Keys(b.doc.Components.SecuritySchemes)) {
		s := b.doc.Components.SecuritySchemes[name]
		b.ref.Schemes = append(b.ref.Schemes, scheme{Name: name, Kind: schemeKind(s), Text: b.prose(s.Description)})
	}
	for _, t := range b.doc.Tags {
		b.ref.Groups = append(b.ref.Groups, &group{Name: t.Name, Title: capital(t.Name), Path: docsAPIPath + "/" + t.Name, Text: b.prose(t.Description)})
		if strings.Trim(t.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			b.fail("the tag %q cannot be a part of an address", t.Name)
		}
	}
	seen := map[string]bool{}
	for _, path := range b.doc.Paths {
		for _, m := range path.Value.methods() {
			op := b.operation(path.Name, m.Name, path.Value, m.Value)
			if seen[op.ID] {
				b.fail("two operations are named %s", op.ID)
			}
			seen[op.ID] = true
		}
	}
	for _, g := range b.ref.Groups {
		if len(g.Operations) == 0 {
			b.fail("no operation is tagged %s", g.Name)
		}
	}
	b.common()
}

func schemeKind(s securityScheme) string {
	switch {
	case s.Type == "http":
		return "Authorization: " + capital(s.Scheme)
	case s.In == "cookie":
		return "Cookie: " + s.Name
	default:
		return s.In + ": " + s.Name
	}
}

func (b *referenceBuilder) operation(path, method string, item pathItem, o *operation) *refOperation {
	name := plainText(b.sentence(o.Summary))
	op := &refOperation{ID: o.OperationID, Method: method, Path: path, Name: name, Summary: b.sentence(o.Summary), Text: b.prose(o.Description), Deprecated: o.Deprecated}
	// The id is one of the page's: it must not be that of something else there.
	if strings.Trim(op.ID, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" || slices.Contains([]string{"", "main", "live", "menu", "q"}, op.ID) || name == "" || len(o.Tags) != 1 {
		b.fail("%s %s needs an operationId, a summary and one tag", method, path)
		return op
	}
	i := slices.IndexFunc(b.ref.Groups, func(g *group) bool { return g.Name == o.Tags[0] })
	if i < 0 {
		b.fail("%s has the tag %q, which the document does not describe", op.ID, o.Tags[0])
		return op
	}
	g := b.ref.Groups[i]
	g.Operations = append(g.Operations, op)
	op.Address = g.Path + "#" + op.ID

	need := b.doc.Security
	if o.Security != nil {
		need = *o.Security
	}
	for _, one := range need {
		switch {
		case len(one) == 0:
			op.Optional = true
		case len(one) > 1:
			b.fail("%s asks for several proofs at once, which is not drawn", op.ID)
		}
		for _, s := range slices.Sorted(maps.Keys(one)) {
			if _, ok := b.doc.Components.SecuritySchemes[s]; !ok {
				b.fail("%s asks for %q, which is no security scheme", op.ID, s)
			}
			op.Proofs = append(op.Proofs, s)
		}
	}
	for _, p := range append(slices.Clone(item.Parameters), o.Parameters...) {
		p = b.doc.parameter(p)
		op.Parameters = append(op.Parameters, b.param(op.ID, p))
	}
	var request json.RawMessage
	var requestName string
	if o.RequestBody != nil {
		content := b.doc.body(*o.RequestBody).Content
		if _, picture := content.find(pictureType); picture {
			op.File = pictureType
		} else if request, requestName = b.request(op, o, content); request == nil {
			return op
		}
	}
	for _, r := range o.Responses {
		b.answer(op, r, requestName)
	}
	op.Curl, op.Go = b.snippets(op, request)
	op.Search = searchText(g, op)
	return op
}

// pictureType is the type of the only files that a body can be.
const pictureType = "image/png"

// request is an example of a JSON body, and its name; nil: what there is cannot be drawn.
func (b *referenceBuilder) request(op *refOperation, o *operation, content entries[media]) (json.RawMessage, string) {
	m, ok := content.find("application/json")
	if !ok || m.Schema == nil {
		b.fail("%s has a body that is not application/json", op.ID)
		return nil, ""
	}
	body := b.field("", m.Schema, nil)
	op.Body = body.Fields
	if len(body.Choices) > 0 {
		op.Body = []field{body}
	}
	request, name := b.goodExample(o, m)
	if request == nil {
		b.fail("%s has a body and no example of one", op.ID)
	}
	return request, name
}

func (b *referenceBuilder) sentence(s string) []docs.Span {
	spans, err := docs.Sentence(s)
	if err != nil {
		b.fail("%w", err)
	}
	return spans
}

func (b *referenceBuilder) param(op string, p parameter) field {
	if p.Schema == nil || p.Name == "" {
		b.fail("%s has a parameter without name or schema", op)
		return field{}
	}
	f := b.field(p.Name, p.Schema, nil)
	f.Where, f.Required, f.Deprecated = p.In, p.Required, p.Deprecated
	if p.Description != "" {
		f.Text = b.prose(p.Description)
	}
	return f
}

// goodExample is the first request that the document answers with a success: the
// examples of the answers have the names of those of the requests.
func (b *referenceBuilder) goodExample(o *operation, m media) (json.RawMessage, string) {
	if len(m.Examples) == 0 {
		return m.Example, ""
	}
	for _, e := range m.Examples {
		for _, r := range o.Responses {
			if status, err := strconv.Atoi(r.Name); err == nil && status < 300 {
				for _, c := range b.doc.response(r.Value).Content {
					if _, ok := c.Value.Examples.find(e.Name); ok {
						return b.doc.example(e.Value).Value, e.Name
					}
				}
			}
		}
	}
	return b.doc.example(m.Examples[0].Value).Value, m.Examples[0].Name
}

func (b *referenceBuilder) answer(op *refOperation, r entry[response], request string) {
	status, err := strconv.Atoi(r.Name)
	if err != nil || http.StatusText(status) == "" {
		b.fail("%s answers %q, which is no status", op.ID, r.Name)
		return
	}
	res := b.doc.response(r.Value)
	a := answer{Status: status, Text: b.prose(res.Description), ref: r.Value.Ref}
	for _, h := range res.Headers {
		hd := b.doc.header(h.Value)
		f := field{Name: h.Name, Text: b.prose(hd.Description)}
		a.Headers = append(a.Headers, f)
	}
	for _, c := range res.Content {
		if status >= 400 {
			for _, e := range c.Value.Examples {
				var p struct{ Code string }
				if err := json.Unmarshal(b.doc.example(e.Value).Value, &p); err != nil {
					b.fail("%s: the example %s: %w", op.ID, e.Name, err)
				} else if _, ok := b.guide.Find(p.Code); !ok {
					b.fail("%s answers the code %q, which docs/errors.md does not describe", op.ID, p.Code)
				} else if !slices.Contains(a.codes, p.Code) {
					a.codes = append(a.codes, p.Code)
					if !slices.Contains(b.ref.usedBy[p.Code], op) {
						b.ref.usedBy[p.Code] = append(b.ref.usedBy[p.Code], op)
					}
				}
			}
			continue
		}
		if c.Value.Schema != nil {
			whole := b.field("", c.Value.Schema, nil)
			if a.Fields = whole.Fields; len(whole.Choices) > 0 {
				a.Fields = []field{whole}
			}
			promise(a.Fields)
		}
		value := c.Value.Example
		if e, ok := c.Value.Examples.find(request); ok {
			value = b.doc.example(e).Value
		} else if len(c.Value.Examples) > 0 {
			value = b.doc.example(c.Value.Examples[0].Value).Value
		}
		a.JSON = b.indent(op.ID, value)
	}
	if status >= 400 {
		a.Text = linkCodes(a.Text, a.codes)
		op.Errors = append(op.Errors, a)
		return
	}
	op.Answers = append(op.Answers, a)
	if op.Example.Status == 0 {
		op.Example = a
	}
}

// promise says of what is required that it is always there.
func promise(fields []field) {
	for i := range fields {
		f := &fields[i]
		f.Always, f.Required = f.Required, false
		promise(f.Fields)
		promise(f.Choices)
	}
}

// common takes those errors out of the lists that most operations have in the same
// words, and names them in one line.
func (b *referenceBuilder) common() {
	count, total := map[string]int{}, 0
	for _, g := range b.ref.Groups {
		for _, op := range g.Operations {
			total++
			for _, a := range op.Errors {
				if a.ref != "" {
					count[a.ref]++
				}
			}
		}
	}
	for _, g := range b.ref.Groups {
		for _, op := range g.Operations {
			usual := func(a answer) bool { return a.ref != "" && count[a.ref]*5 >= total*4 && len(a.codes) == 1 }
			for _, a := range op.Errors {
				if usual(a) {
					op.Usual = append(op.Usual, docs.Span{Text: a.codes[0], Code: true, Href: errorAddress(a.codes[0])})
				}
			}
			op.Errors = slices.DeleteFunc(op.Errors, usual)
		}
	}
}

// linkCodes makes the codes of an answer lead to their pages; one that the text
// does not name is put behind it.
func linkCodes(text []docs.Block, codes []string) []docs.Block {
	left := slices.Clone(codes)
	for _, block := range text {
		for i, s := range block.Spans {
			if s.Code && slices.Contains(codes, s.Text) {
				block.Spans[i].Href = errorAddress(s.Text)
				left = slices.DeleteFunc(left, func(c string) bool { return c == s.Text })
			}
		}
	}
	for _, c := range left {
		text = append(text, docs.Block{Spans: []docs.Span{{Text: "Code: "}, {Text: c, Code: true, Href: errorAddress(c)}}})
	}
	return text
}

func errorAddress(code string) string { return docsErrorsPath + "/" + code }

func (b *referenceBuilder) indent(where string, raw json.RawMessage) string {
	if raw == nil {
		return ""
	}
	var buf bytes.Buffer
	if err := json.Indent(&buf, raw, "", "  "); err != nil {
		b.fail("%s: an example: %w", where, err)
	}
	return buf.String()
}

// searchText is what a search goes through: all names, not the prose.
func searchText(g *group, op *refOperation) string {
	list := []string{g.Name, op.ID, op.Method, op.Path, op.Name}
	var names func(fields []field)
	names = func(fields []field) {
		for _, f := range fields {
			list = append(list, f.Name)
			names(f.Fields)
			names(f.Choices)
		}
	}
	names(op.Parameters)
	names(op.Body)
	for _, a := range op.Answers {
		names(a.Fields)
	}
	for _, a := range op.Errors {
		list = append(list, a.codes...)
	}
	slices.Sort(list[5:])
	return strings.ToLower(strings.Join(slices.Compact(list), " "))
}

// matches reports whether a search finds the operation: every word of it.
func (op *refOperation) matches(words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(op.Search, w) })
}

func plainText(spans []docs.Span) string {
	var b strings.Builder
	for _, s := range spans {
		b.WriteString(s.Text)
	}
	return b.String()
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
