package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// openAPI is the OpenAPI document, as far as the reference draws it. What is not
// here does not parse: nothing that the document says is left out in silence.
type openAPI struct {
	OpenAPI    string
	Info       struct{ Title, Version, Summary, Description string }
	Servers    json.RawMessage // the reader's own address is the server
	Tags       []struct{ Name, Description string }
	Security   []security
	Paths      entries[pathItem]
	Components struct {
		SecuritySchemes map[string]securityScheme
		Headers         map[string]header
		Parameters      map[string]parameter
		RequestBodies   map[string]requestBody
		Responses       map[string]response
		Schemas         map[string]*schema
		Examples        map[string]example
	}
}

type (
	security       map[string][]string
	securityScheme struct{ Type, Scheme, BearerFormat, In, Name, Description string }

	pathItem struct {
		Summary, Description                string
		Parameters                          []parameter
		Get, Put, Post, Delete, Head, Patch *operation
	}
	operation struct {
		OperationID, Summary, Description string
		Tags                              []string
		Deprecated                        bool
		Security                          *[]security
		Parameters                        []parameter
		RequestBody                       *requestBody
		Responses                         entries[response]
	}
	parameter struct {
		Ref                   string `json:"$ref"`
		Name, In, Description string
		Required, Deprecated  bool
		Schema                *schema
		Example               json.RawMessage
		Style                 string
		Explode               bool
	}
	requestBody struct {
		Ref         string `json:"$ref"`
		Description string
		Required    bool
		Content     entries[media]
	}
	response struct {
		Ref         string `json:"$ref"`
		Description string
		Headers     entries[header]
		Content     entries[media]
	}
	header struct {
		Ref         string `json:"$ref"`
		Description string
		Required    bool
		Schema      *schema
	}
	media struct {
		Schema   *schema
		Example  json.RawMessage
		Examples entries[example]
	}
	example struct {
		Ref                  string `json:"$ref"`
		Summary, Description string
		Value                json.RawMessage
	}
	schema struct {
		Ref                                string `json:"$ref"`
		Type                               words
		Title, Description, Format         string
		Pattern                            string
		Enum                               []any
		Const, Default                     json.RawMessage
		MinLength, MaxLength               *int
		MinItems, MaxItems                 *int
		MinProperties, MaxProperties       *int
		Minimum, Maximum                   *json.Number
		ExclusiveMinimum, ExclusiveMaximum *json.Number
		UniqueItems, Deprecated            bool
		ReadOnly, WriteOnly                bool
		ContentMediaType, ContentEncoding  string
		Properties                         entries[*schema]
		Required                           []string
		AdditionalProperties               json.RawMessage
		PropertyNames, Items               *schema
		OneOf, AnyOf, AllOf                []*schema
		Examples                           []json.RawMessage
	}
)

// words is one string or several.
type words []string

func (w *words) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*w = words{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(w))
}

// entries is an object whose members stay in order.
type entries[T any] []entry[T]

type entry[T any] struct {
	Name  string
	Value T
}

func (e *entries[T]) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("%.40q is no object", b)
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		if seen[name] {
			return fmt.Errorf("%q is there twice", name)
		}
		seen[name] = true
		var v T
		if err := dec.Decode(&v); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		*e = append(*e, entry[T]{name, v})
	}
	return nil
}

// find is the member of a name.
func (e entries[T]) find(name string) (v T, ok bool) {
	for _, x := range e {
		if x.Name == name {
			return x.Value, true
		}
	}
	return v, false
}

// parseOpenAPI reads the document and follows every reference once, whether
// something is drawn of it or not.
func parseOpenAPI(raw []byte) (*openAPI, error) {
	var all map[string]any
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("web: the OpenAPI document: %w", err)
	}
	if err := checkRefs(all, all); err != nil {
		return nil, fmt.Errorf("web: the OpenAPI document: %w", err)
	}
	var doc openAPI
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("web: the OpenAPI document: %w", err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") || len(doc.Paths) == 0 {
		return nil, errors.New("web: the OpenAPI document: it is not of version 3.1, or has no paths")
	}
	return &doc, nil
}

// checkRefs holds every $ref against the document.
func checkRefs(root map[string]any, v any) error {
	switch v := v.(type) {
	case map[string]any:
		if s, ok := v["$ref"].(string); ok {
			path, local := strings.CutPrefix(s, "#/components/")
			kind, name, named := strings.Cut(path, "/")
			parts, _ := root["components"].(map[string]any)
			list, _ := parts[kind].(map[string]any)
			if target, there := list[name].(map[string]any); !local || !named || !there {
				return fmt.Errorf("the reference %q leads nowhere", s)
			} else if _, again := target["$ref"].(string); again && kind != "schemas" {
				return fmt.Errorf("the reference %q leads to a reference", s)
			}
		}
		for _, x := range v {
			if err := checkRefs(root, x); err != nil {
				return err
			}
		}
	case []any:
		for _, x := range v {
			if err := checkRefs(root, x); err != nil {
				return err
			}
		}
	}
	return nil
}

// refName is the last part of a reference; parseOpenAPI has seen that it exists.
func refName(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

func (d *openAPI) parameter(p parameter) parameter {
	if p.Ref != "" {
		return d.Components.Parameters[refName(p.Ref)]
	}
	return p
}

func (d *openAPI) body(b requestBody) requestBody {
	if b.Ref != "" {
		return d.Components.RequestBodies[refName(b.Ref)]
	}
	return b
}

func (d *openAPI) response(r response) response {
	if r.Ref != "" {
		return d.Components.Responses[refName(r.Ref)]
	}
	return r
}

func (d *openAPI) header(h header) header {
	if h.Ref != "" {
		return d.Components.Headers[refName(h.Ref)]
	}
	return h
}

func (d *openAPI) example(e example) example {
	if e.Ref != "" {
		return d.Components.Examples[refName(e.Ref)]
	}
	return e
}

// schema follows references; what stands beside one (OpenAPI 3.1 allows it) goes
// before what is there.
func (d *openAPI) schema(s *schema) *schema {
	for i := 0; s.Ref != "" && i < 10; i++ {
		target := *d.Components.Schemas[refName(s.Ref)]
		if s.Description != "" {
			target.Description = s.Description
		}
		if s.Default != nil {
			target.Default = s.Default
		}
		s = &target
	}
	return s
}

// methods are the operations of a path.
func (p pathItem) methods() entries[*operation] {
	var list entries[*operation]
	for _, e := range []entry[*operation]{{"GET", p.Get}, {"HEAD", p.Head}, {"POST", p.Post}, {"PUT", p.Put}, {"PATCH", p.Patch}, {"DELETE", p.Delete}} {
		if e.Value != nil {
			list = append(list, e)
		}
	}
	return list
}
