package httpserve

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Limits of a JSON document.
const (
	maxDepth  = 8
	maxFields = 20 // reported at once
	maxBody   = 1 << 20
)

// Decode reads the JSON body of r into v, which points to a struct. The document
// must be exactly what the struct's tags say: encoding/json alone takes the last
// of two equal keys, matches "PASSWORD" with "password", turns null into the
// zero value and broken UTF-8 into U+FFFD, and each of those is a way to be
// understood differently by whoever looked at the request before us.
//
// A text field tagged `required:"true"` must be there and not be empty.
//
// What cannot be read is BadRequest; the fields that are not right are Invalid
// with their names, all at once. Values never appear in an error.
func Decode(r *http.Request, v any) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	if !hasType(r, "application/json") {
		return authn.UnsupportedMedia
	}
	return decodeBytes(body, v)
}

func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLarge(large.Limit, err)
	case err != nil:
		return nil, &authn.Error{Code: authn.BadRequest, Err: fmt.Errorf("read the body: %w", err)}
	}
	return body, nil
}

func hasType(r *http.Request, want string) bool {
	ct := r.Header["Content-Type"]
	if len(ct) != 1 {
		return false
	}
	got, params, err := mime.ParseMediaType(ct[0])
	if err != nil || got != want {
		return false
	}
	for k, v := range params {
		if k != "charset" || !strings.EqualFold(v, "utf-8") {
			return false
		}
	}
	return true
}

var errNotJSON = &authn.Error{Code: authn.BadRequest, Key: "error.bad_request.json"}

func decodeBytes(body []byte, v any) error {
	if !utf8.Valid(body) || !json.Valid(body) {
		return errNotJSON
	}
	c := checker{dec: json.NewDecoder(bytes.NewReader(body))}
	c.dec.UseNumber()
	if err := c.value(reflect.TypeOf(v).Elem(), "", 0); err != nil {
		return errNotJSON
	}
	if len(c.fields) > 0 {
		if c.fields[0].Name == "" {
			return errNotJSON // the document itself is of the wrong type
		}
		return &authn.Error{Code: authn.Invalid, Fields: c.fields}
	}
	if json.Unmarshal(body, v) != nil {
		// Its message quotes the document; the checker knows all ordinary types.
		return errNotJSON
	}
	return nil
}

// checker walks a well-formed document along a Go type. A nil type stands for
// anything.
type checker struct {
	dec    *json.Decoder
	fields []authn.Field
	last   json.Token // read last; of a value that is one token, the value
}

var errTooDeep = errors.New("too deep")

func (c *checker) wrong(name, code string) {
	if len(c.fields) < maxFields {
		c.fields = append(c.fields, authn.Field{Name: name, Code: code})
	}
}

var (
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonType = reflect.TypeFor[json.Unmarshaler]()
)

func (c *checker) value(t reflect.Type, name string, depth int) error {
	tok, err := c.dec.Token()
	if err != nil {
		return err
	}
	c.last = tok
	nullable := t == nil
	for t != nil && t.Kind() == reflect.Pointer {
		t, nullable = t.Elem(), true
	}
	nullable = nullable || t != nil && t.Kind() == reflect.Interface
	if tok == nil && !nullable {
		c.wrong(name, "wrong_type")
		return nil
	}
	if d, ok := tok.(json.Delim); ok {
		if depth++; depth > maxDepth {
			return errTooDeep
		}
		read := c.object
		if d == '[' {
			read = c.array
		}
		err := read(t, name, depth)
		c.last = nil
		return err
	}
	if code := checkScalar(t, tok); code != "" {
		c.wrong(name, code)
	}
	return nil
}

func isAnything(t reflect.Type) bool {
	return t == nil || t.Kind() == reflect.Interface || reflect.PointerTo(t).Implements(jsonType)
}

func (c *checker) array(t reflect.Type, name string, depth int) error {
	var elem reflect.Type
	switch {
	case t != nil && isText(t):
		c.wrong(name, "wrong_type")
	case isAnything(t):
	case t.Kind() == reflect.Slice:
		elem = t.Elem()
	default:
		c.wrong(name, "wrong_type")
	}
	for i := 0; c.dec.More(); i++ {
		if err := c.value(elem, join(name, strconv.Itoa(i)), depth); err != nil {
			return err
		}
	}
	_, err := c.dec.Token()
	return err
}

func (c *checker) object(t reflect.Type, name string, depth int) error {
	known, open := map[string]reflect.Type(nil), true
	var elem reflect.Type
	var required []string
	switch {
	case t != nil && isText(t):
		c.wrong(name, "wrong_type")
	case isAnything(t):
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		elem = t.Elem()
	case t.Kind() == reflect.Struct:
		known, open, required = fieldsOf(t), false, requiredOf(t)
	default:
		c.wrong(name, "wrong_type")
	}
	seen := map[string]bool{}
	for c.dec.More() {
		tok, err := c.dec.Token()
		if err != nil {
			return err
		}
		key, _ := tok.(string)
		path := join(name, printable(key))
		ft, ok := known[key]
		switch {
		case seen[key]:
			c.wrong(path, "duplicate")
		case !open && !ok:
			c.wrong(path, "unknown")
		case open:
			ft = elem
			if !cleanText(key) {
				c.wrong(path, "invalid")
			}
		}
		seen[key] = true
		if err := c.value(ft, path, depth); err != nil {
			return err
		}
		if c.last == "" && slices.Contains(required, key) {
			c.wrong(path, "required")
		}
	}
	for _, must := range required {
		if !seen[must] {
			c.wrong(join(name, must), "required")
		}
	}
	_, err := c.dec.Token()
	return err
}

// requiredOf are the JSON names of a struct's fields that must be filled.
func requiredOf(t reflect.Type) []string {
	var list []string
	for f := range t.Fields() {
		if f.Tag.Get("required") == "true" {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			list = append(list, name)
		}
	}
	return list
}

// fieldsOf maps the exact JSON names of a struct to their types.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	m := map[string]reflect.Type{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			for k, v := range fieldsOf(f.Type) {
				if _, shadowed := m[k]; !shadowed {
					m[k] = v
				}
			}
		case !f.IsExported() || f.Tag.Get("json") == "-":
		case name == "":
			m[f.Name] = f.Type
		default:
			m[name] = f.Type
		}
	}
	return m
}

// isText reports types written as a string, such as time.Time.
func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// checkScalar returns the code of what is wrong with a string, number, bool or
// null, or "".
func checkScalar(t reflect.Type, tok json.Token) string {
	s, isString := tok.(string)
	if isString && !cleanText(s) {
		return "invalid"
	}
	if tok == nil {
		return "" // value has checked that null may stand here
	}
	switch {
	case t != nil && isText(t):
		if !isString {
			return "wrong_type"
		}
		if reflect.New(t).Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)) != nil {
			return "invalid"
		}
		return ""
	case isAnything(t):
		return ""
	}
	return checkKind(t, tok)
}

func checkKind(t reflect.Type, tok json.Token) string {
	ok := false
	switch x := tok.(type) {
	case string:
		ok = t.Kind() == reflect.String
	case bool:
		ok = t.Kind() == reflect.Bool
	case json.Number:
		v := reflect.New(t).Elem()
		switch {
		case v.CanInt():
			n, err := strconv.ParseInt(x.String(), 10, 64)
			ok = err == nil && !v.OverflowInt(n)
		case v.CanUint():
			n, err := strconv.ParseUint(x.String(), 10, 64)
			ok = err == nil && !v.OverflowUint(n)
		case v.CanFloat():
			f, err := x.Float64()
			ok = err == nil && !v.OverflowFloat(f)
		}
	}
	if !ok {
		return "wrong_type"
	}
	return ""
}

// cleanText refuses NUL, which PostgreSQL cannot store, and U+FFFD, into which
// the decoder turns half a surrogate pair ("\ud800").
func cleanText(s string) bool { return !strings.ContainsAny(s, "\x00\uFFFD") }

// printable keeps a client's key from becoming a message: only what could be
// the name of a field is repeated. What begins with a digit may be a code.
func printable(key string) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	if key == "" || len(key) > 40 || '0' <= key[0] && key[0] <= '9' || strings.Trim(key, alphabet) != "" {
		return "?"
	}
	return key
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// Form reads the body of a posted form; the query is not mixed in. A field with
// NUL or broken UTF-8 is Invalid. It may be called again.
func Form(r *http.Request) (url.Values, error) {
	if r.PostForm != nil {
		return r.PostForm, nil
	}
	if !hasType(r, "application/x-www-form-urlencoded") {
		return nil, authn.UnsupportedMedia
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, authn.BadRequest
	}
	for name, values := range form {
		for _, v := range values {
			if !utf8.ValidString(name+v) || strings.Contains(name+v, "\x00") {
				return nil, authn.InvalidField(printable(name), "invalid", nil)
			}
		}
	}
	r.PostForm = form
	return form, nil
}
