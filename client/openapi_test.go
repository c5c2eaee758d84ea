package client_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/client"
)

// schema is as much of a schema of OpenAPI 3.1 as counts here.
type schema struct {
	Ref                  string            `json:"$ref"`
	Type                 string            `json:"type"`
	Format               string            `json:"format"`
	Properties           map[string]schema `json:"properties"`
	AdditionalProperties json.RawMessage   `json:"additionalProperties"`
	Items                *schema           `json:"items"`
	AllOf                []schema          `json:"allOf"`
	OneOf                []schema          `json:"oneOf"`
	Enum                 []any             `json:"enum"`
	Const                string            `json:"const"`
}

type bodies struct {
	Content map[string]struct {
		Schema schema `json:"schema"`
	} `json:"content"`
}

type operation struct {
	Parameters  []struct{ Name, In string } `json:"parameters"`
	RequestBody bodies                      `json:"requestBody"`
	Responses   map[string]bodies           `json:"responses"`
}

type document struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"` // by method, and "parameters"
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

func openAPI(t *testing.T) document {
	t.Helper()
	raw, err := os.ReadFile("../httpapi/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// find is the operation of a request; a path that is written out goes before one with
// a part in braces.
func (d document) find(t *testing.T, method, path string) (op operation, found bool) {
	t.Helper()
	parts := strings.Split(path, "/")
	var best json.RawMessage
	least := len(parts) + 1
	for template, operations := range d.Paths {
		pattern := strings.Split(template, "/")
		raw, ok := operations[strings.ToLower(method)]
		if !ok || len(pattern) != len(parts) {
			continue
		}
		free := 0
		for i, p := range pattern {
			if strings.HasPrefix(p, "{") {
				free++
			} else if p != parts[i] {
				free = len(parts) + 1
			}
		}
		if free < least {
			best, least = raw, free
		}
	}
	if best == nil {
		return op, false
	}
	if err := json.Unmarshal(best, &op); err != nil {
		t.Fatal(err)
	}
	return op, true
}

// all are the schemas that one stands for: itself, or what it refers to.
func (d document) all(s schema) []schema {
	var list []schema
	if s.Ref != "" {
		list = append(list, d.all(d.Components.Schemas[s.Ref[strings.LastIndex(s.Ref, "/")+1:]])...)
	}
	for _, x := range append(slices.Clone(s.AllOf), s.OneOf...) {
		list = append(list, d.all(x)...)
	}
	return append(list, s)
}

func (d document) property(s schema, name string) (schema, bool) {
	for _, x := range d.all(s) {
		if p, ok := x.Properties[name]; ok {
			return p, true
		}
	}
	return schema{}, false
}

func (d document) is(s schema, typ string) bool {
	return slices.ContainsFunc(d.all(s), func(x schema) bool { return x.Type == typ || typ == "string" && x.Const != "" })
}

// compared holds for each field of our types whether it was found in a schema, and
// the types that are being looked at.
type compared struct {
	found map[string]bool
	busy  map[reflect.Type]bool
}

// compare compares what we read with what is sent.
func (d document) compare(t *testing.T, c compared, typ reflect.Type, s schema, where string) {
	t.Helper()
	want := ""
	switch {
	case typ.Kind() == reflect.Pointer:
		d.compare(t, c, typ.Elem(), s, where)
		return
	case typ == reflect.TypeFor[time.Time]():
		if !slices.ContainsFunc(d.all(s), func(x schema) bool { return x.Format == "date-time" }) {
			t.Errorf("%s is no time", where)
		}
		return
	case typ == reflect.TypeFor[json.RawMessage]():
		want = "object"
	case typ == reflect.TypeFor[client.Secret]() || typ.Kind() == reflect.String:
		want = "string"
	case typ.Kind() == reflect.Bool:
		want = "boolean"
	case typ.Kind() == reflect.Int || typ.Kind() == reflect.Int64:
		want = "integer"
	case typ.Kind() == reflect.Slice:
		want = "array"
		for _, x := range d.all(s) {
			if x.Items != nil {
				d.compare(t, c, typ.Elem(), *x.Items, where+"[]")
			}
		}
	case typ.Kind() == reflect.Map:
		want = "object"
		for _, x := range d.all(s) {
			var value schema
			if json.Unmarshal(x.AdditionalProperties, &value) == nil {
				d.compare(t, c, typ.Elem(), value, where+"{}")
			}
		}
	case typ.Kind() == reflect.Struct:
		want = "object"
		d.fields(t, c, typ, s)
	default:
		t.Errorf("%s: a %v is nothing that is sent", where, typ)
	}
	if !d.is(s, want) {
		t.Errorf("%s is no %s", where, want)
	}
}

func (d document) fields(t *testing.T, c compared, typ reflect.Type, s schema) {
	t.Helper()
	if c.busy[typ] { // an attempt in a challenge of an attempt
		return
	}
	c.busy[typ] = true
	defer delete(c.busy, typ)
	for _, f := range reflect.VisibleFields(typ) {
		if f.Anonymous || !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue // UnmarshalJSON reads it from a name that another field has
		}
		if name == "" {
			t.Errorf("%v.%s has no name in JSON", typ, f.Name)
		}
		at := typ.Name() + "." + name
		p, ok := d.property(s, name)
		c.found[at] = c.found[at] || ok
		if ok {
			d.compare(t, c, f.Type, p, at)
		}
	}
}

// fill makes a value with something in every part of it.
func fill(typ reflect.Type) reflect.Value {
	v := reflect.New(typ).Elem()
	switch {
	case typ == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(now))
	case typ == reflect.TypeFor[json.RawMessage]():
		v.SetBytes([]byte("{}"))
	case typ == reflect.TypeFor[client.Secret]():
		v.Set(reflect.ValueOf(secret))
	case typ.Kind() == reflect.String:
		v.SetString("x1")
	case typ.Kind() == reflect.Bool:
		v.SetBool(true)
	case typ.Kind() == reflect.Int:
		v.SetInt(1)
	case typ.Kind() == reflect.Slice:
		v.Set(reflect.Append(v, fill(typ.Elem())))
	case typ.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(typ))
		v.SetMapIndex(fill(typ.Key()), fill(typ.Elem()))
	case typ == reflect.TypeFor[*client.Attempt]():
		v.Set(reflect.ValueOf(&client.Attempt{ID: "x1", Token: secret}))
	case typ.Kind() == reflect.Pointer:
		v.Set(reflect.New(typ.Elem()))
		v.Elem().Set(fill(typ.Elem()))
	case typ.Kind() == reflect.Struct:
		for i := range typ.NumField() {
			v.Field(i).Set(fill(typ.Field(i).Type))
		}
	}
	return v
}

// Every call is a route of the reference, sends no field and no parameter that it does
// not have, and reads no field that no answer has.
func TestOpenAPI(t *testing.T) {
	d := openAPI(t)
	var last *http.Request
	var sent []byte
	c, err := client.New(client.Config{BaseURL: "https://login.example.com", HTTPClient: &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
		last, sent = r, nil
		if r.Body != nil {
			sent, _ = io.ReadAll(r.Body)
		}
		return nil, errors.New("only looking")
	})}, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	seen := compared{map[string]bool{}, map[reflect.Type]bool{}}
	self := reflect.ValueOf(c)
	calls := 0
	for i := range self.NumMethod() {
		name, m := self.Type().Method(i).Name, self.Method(i)
		if name == "Do" || name == "As" || name == "Format" {
			continue
		}
		calls++
		args := []reflect.Value{reflect.ValueOf(t.Context())}
		for j := 1; j < m.Type().NumIn(); j++ {
			args = append(args, fill(m.Type().In(j)))
		}
		last = nil
		out := m.Call(args)
		answer := out[0].Type()
		list := answer.Kind() == reflect.Func || answer.Kind() == reflect.Slice
		if answer.Kind() == reflect.Func { // an iterator, which asks when it is used
			yield := answer.In(0)
			answer = yield.In(0)
			out[0].Call([]reflect.Value{reflect.MakeFunc(yield, func([]reflect.Value) []reflect.Value { return []reflect.Value{reflect.ValueOf(false)} })})
		} else if answer.Kind() == reflect.Slice {
			answer = answer.Elem()
		}
		if last == nil {
			t.Errorf("%s asks nobody", name)
			continue
		}
		op, ok := d.find(t, last.Method, last.URL.Path)
		if !ok {
			t.Errorf("%s: %s %s is no route", name, last.Method, last.URL.Path)
			continue
		}
		d.asked(t, op, name, last, sent)
		if len(out) == 1 && !list {
			continue // only an error
		}
		for status, r := range op.Responses {
			body, ok := r.Content["application/json"]
			if !ok || status >= "3" {
				continue
			}
			s := body.Schema
			if list {
				items, ok := d.property(s, "items")
				if !ok {
					t.Errorf("%s: no list", name)
					continue
				}
				for _, x := range d.all(items) {
					if x.Items != nil {
						s = *x.Items
					}
				}
			}
			d.compare(t, seen, answer, s, name)
		}
	}
	d.fields(t, seen, reflect.TypeFor[client.Problem](), d.Components.Schemas["Problem"])
	for at, found := range seen.found {
		if !found {
			t.Errorf("%s is in no answer of the reference", at)
		}
	}
	if calls < 30 || len(seen.found) < 150 {
		t.Errorf("looked at %d calls and %d fields: the way is lost", calls, len(seen.found))
	}
}

// asked compares a request with its operation.
func (d document) asked(t *testing.T, op operation, name string, r *http.Request, sent []byte) {
	t.Helper()
	for q := range r.URL.Query() {
		if !slices.ContainsFunc(op.Parameters, func(p struct{ Name, In string }) bool { return p.In == "query" && p.Name == q }) {
			t.Errorf("%s: there is no parameter %s", name, q)
		}
	}
	body, takes := op.RequestBody.Content["application/json"]
	if takes != (len(sent) > 0) {
		t.Errorf("%s: sends %q, and a body is taken: %v", name, sent, takes)
		return
	}
	var fields map[string]any
	if takes && json.Unmarshal(sent, &fields) != nil {
		t.Errorf("%s sends %s", name, sent)
	}
	for f, v := range fields {
		if _, ok := d.property(body.Schema, f); !ok {
			t.Errorf("%s: there is no field %s", name, f)
		}
		if v == "[secret]" {
			t.Errorf("%s: %s was not revealed", name, f)
		}
	}
}

// Every code of the reference has its name here.
func TestCodes(t *testing.T) {
	raw, err := os.ReadFile("errors.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := openAPI(t).Components.Schemas["Problem"].Properties["code"].Enum
	for _, code := range codes {
		if !strings.Contains(string(raw), `Code = "`+code.(string)+`"`) {
			t.Errorf("there is no name for %s", code)
		}
	}
	if len(codes) < 20 {
		t.Errorf("%d codes", len(codes))
	}
}
