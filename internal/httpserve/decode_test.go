package httpserve

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// declaredCodes reads the codes from authn's source, so that a new one cannot
// be forgotten here.
func declaredCodes(t *testing.T) []authn.Code {
	f, err := parser.ParseFile(token.NewFileSet(), "../../authn/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []authn.Code
	ast.Inspect(f, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "Code" && len(spec.Values) == 1 {
				s, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, authn.Code(s))
			}
		}
		return true
	})
	return found
}

type inner struct {
	City string `json:"city"`
}

type base struct {
	Kind string `json:"kind"`
}

type body struct {
	base
	Login    string          `json:"login"`
	Remember bool            `json:"remember"`
	Small    int8            `json:"small"`
	Limit    uint            `json:"limit"`
	Ratio    float64         `json:"ratio"`
	Name     *string         `json:"name"`
	Home     inner           `json:"home"`
	Roles    []string        `json:"roles"`
	Homes    []inner         `json:"homes"`
	At       time.Time       `json:"at"`
	Extra    map[string]int  `json:"extra"`
	Any      any             `json:"any"`
	Raw      json.RawMessage `json:"raw"`
	Hidden   string          `json:"-"`
	Plain    string
	private  string //lint:ignore U1000 a field that no request may reach
}

func decodeString(s string, contentType ...string) (body, error) {
	r := httptest.NewRequest("POST", "/", strings.NewReader(s))
	if contentType == nil {
		contentType = []string{"application/json"}
	}
	for _, ct := range contentType {
		r.Header.Add("Content-Type", ct)
	}
	var v body
	return v, Decode(r, &v)
}

func TestDecodeAccepts(t *testing.T) {
	for _, s := range []string{
		`{}`, ` { } `, `{"login":"maya"}`, `{"login":"m\u00e9 😀 \ud83d\ude00"}`, `{"remember":true}`, `{"small":-128,"limit":0,"ratio":1e3}`, `{"name":null}`, `{"name":"x"}`,
		`{"home":{"city":"x"}}`, `{"roles":["a","b"]}`, `{"roles":[]}`, `{"homes":[{"city":"x"},{}]}`, `{"at":"2026-01-12T09:14:00Z"}`, `{"extra":{"a":1}}`,
		`{"any":null}`, `{"any":[1,{"x":[]}]}`, `{"raw":{"x":[1,null]}}`, `{"kind":"x"}`, `{"Plain":"x"}`,
	} {
		if _, err := decodeString(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(`{"login":"maya","small":5,"name":"x"}`))
	r.Header.Set("Content-Type", "application/json; charset=UTF-8")
	var v body
	if err := Decode(r, &v); err != nil || v.Login != "maya" || v.Small != 5 || *v.Name != "x" {
		t.Errorf("%+v %v", v, err)
	}
}

func TestDecodeRefusesFields(t *testing.T) {
	for s, want := range map[string]string{
		`{"login":1}`: "login wrong_type", `{"login":null}`: "login wrong_type", `{"login":["canary"]}`: "login wrong_type", `{"login":{"a":"canary"}}`: "login wrong_type",
		`{"login":true}`: "login wrong_type", `{"login":"a","login":"b"}`: "login duplicate", `{"login":"a","\u006cogin":"b"}`: "login duplicate",
		`{"Login":"canary"}`: "Login unknown", `{"LOGIN":"a","login":"b"}`: "LOGIN unknown", `{"ſmall":1}`: "? unknown", `{"canary !":1}`: "? unknown",
		`{"hidden":"x"}`: "hidden unknown", `{"Hidden":"x"}`: "Hidden unknown", `{"-":"x"}`: "- unknown", `{"private":"x"}`: "private unknown", `{"plain":"x"}`: "plain unknown", `{"base":{}}`: "base unknown",
		`{"login":"a\u0000b"}`: "login invalid", `{"login":"\ud800"}`: "login invalid", `{"small":128}`: "small wrong_type", `{"small":1.0}`: "small wrong_type", `{"small":1e2}`: "small wrong_type",
		`{"small":"5"}`: "small wrong_type", `{"limit":-1}`: "limit wrong_type", `{"ratio":1e999}`: "ratio wrong_type", `{"remember":"true"}`: "remember wrong_type", `{"remember":1}`: "remember wrong_type",
		`{"home":null}`: "home wrong_type", `{"home":[]}`: "home wrong_type", `{"home":{"City":"x"}}`: "home.City unknown", `{"home":{"city":5}}`: "home.city wrong_type",
		`{"roles":null}`: "roles wrong_type", `{"roles":"a"}`: "roles wrong_type", `{"roles":["a",1]}`: "roles.1 wrong_type", `{"roles":[null]}`: "roles.0 wrong_type",
		`{"homes":[{"city":"x","city":"y"}]}`: "homes.0.city duplicate", `{"at":"yesterday"}`: "at invalid", `{"at":5}`: "at wrong_type", `{"at":{}}`: "at wrong_type", `{"at":null}`: "at wrong_type",
		`{"extra":{"a":"x"}}`: "extra.a wrong_type", `{"extra":{"a":1,"a":2}}`: "extra.a duplicate", `{"any":{"x":1,"x":2}}`: "any.x duplicate", `{"raw":{"x":"\u0000"}}`: "raw.x invalid", `{"raw":null}`: "raw wrong_type",
		`{"any":{"\u0000":1}}`: "any.? invalid", `{"name":5}`: "name wrong_type", `{"x":1,"login":2,"small":3}`: "x unknown, login wrong_type",
	} {
		_, err := decodeString(s)
		var e *authn.Error
		if !errors.As(err, &e) || e.Code != authn.Invalid {
			t.Errorf("%s: %v", s, err)
			continue
		}
		var got []string
		for _, f := range e.Fields {
			got = append(got, f.Name+" "+f.Code)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %v, want %s", s, got, want)
		}
		if strings.Contains(err.Error(), "canary") || strings.Contains(strings.Join(got, ""), "canary") {
			t.Errorf("%s: echoed", s)
		}
	}
}

// What is missing and what is wrong is told at once.
func TestDecodeRequired(t *testing.T) {
	for doc, want := range map[string]string{
		`{}`:                                 "login required, code required",
		`{"login":"x"}`:                      "code required",
		`{"login":"","code":""}`:             "login required, code required",
		`{"login":"","other":1}`:             "login required, other unknown, code required",
		`{"login":null,"code":5,"note":[]}`:  "login wrong_type, code wrong_type, note wrong_type",
		`{"login":{"a":""},"code":[""]}`:     "login wrong_type, code wrong_type",
		`{"login":"a","login":"b"}`:          "login duplicate, code required",
		`{"login":" ","code":"0","note":""}`: "",
	} {
		var v struct {
			Login string `json:"login" required:"true"`
			Code  string `json:"code,omitempty" required:"true"`
			Note  string `json:"note"`
		}
		var got []string
		if err := decodeBytes([]byte(doc), &v); err != nil {
			for _, f := range authn.AsError(err).Fields {
				got = append(got, f.Name+" "+f.Code)
			}
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %v, want %s", doc, got, want)
		}
	}
}

func TestDecodeRefusesDocuments(t *testing.T) {
	deep := func(n int) string { return `{"any":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}` }
	if _, err := decodeString(deep(maxDepth)); err != nil {
		t.Errorf("depth %d: %v", maxDepth, err)
	}
	for _, s := range []string{
		``, ` `, `null`, `[]`, `"x"`, `1`, `true`, `{`, `{}{}`, `{} x`, `{"login":"a",}`, `{login:"a"}`, `{'login':'a'}`, `{"login":"a"}]`, "{\"login\":\"a\nb\"}", `{"small":01}`, `{"small":+1}`, `{"ratio":NaN}`,
		"{\"login\":\"\xff\"}", "\xef\xbb\xbf{}", "{}\x00", `// c` + "\n{}", deep(maxDepth + 1), deep(5000), deep(30000), "h\x00",
	} {
		_, err := decodeString(s)
		if !errors.Is(err, authn.BadRequest) {
			t.Errorf("%.40q: %v", s, err)
		}
	}
	for _, ct := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "application/json; charset=latin1", "application/json; x=y", "application/problem+json", "application/json;;;charset"} {
		if _, err := decodeString(`{}`, ct); !errors.Is(err, authn.UnsupportedMedia) {
			t.Errorf("%q: %v", ct, err)
		}
	}
	if _, err := decodeString(`{}`, "application/json", "text/plain"); !errors.Is(err, authn.UnsupportedMedia) {
		t.Errorf("two types: %v", err)
	}
	if _, err := decodeString(`{"login":"` + strings.Repeat("x", maxBody) + `"}`); !errors.Is(err, authn.TooLarge) {
		t.Errorf("without Wrap: %v", err)
	}
	many := make([]string, 500)
	for i := range many {
		many[i] = `"k` + strconv.Itoa(i) + `":1`
	}
	_, err := decodeString("{" + strings.Join(many, ",") + "}")
	if e := authn.AsError(err); len(e.Fields) != maxFields {
		t.Errorf("%d fields reported", len(e.Fields))
	}
}

// What Decode accepts, encoding/json understands in exactly one way.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"login":"maya","small":5,"roles":["x"],"home":{"city":"y"}}`, `{"Login":"x"}`, `{"any":[[[]]]}`, `{"at":"2026-01-12T09:14:00Z"}`, `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v body
		err := decodeBytes(b, &v)
		if err != nil {
			if e := authn.AsError(err); e.Code != authn.BadRequest && e.Code != authn.Invalid || e.Err != nil {
				t.Errorf("%q: %v", b, err)
			}
			return
		}
		strict := json.NewDecoder(strings.NewReader(string(b)))
		strict.DisallowUnknownFields()
		var again body
		if err := strict.Decode(&again); err != nil || !reflect.DeepEqual(v, again) {
			t.Errorf("%q: %v", b, err)
		}
		var keys map[string]any
		if err := json.Unmarshal(b, &keys); err != nil {
			t.Fatal(err)
		}
		known := fieldsOf(reflect.TypeFor[body]())
		for k := range keys {
			if known[k] == nil {
				t.Errorf("%q: key %q", b, k)
			}
		}
	})
}

func TestForm(t *testing.T) {
	for _, tt := range []struct {
		body, contentType string
		want              error
	}{
		{"code=418+207&x=%C3%A9", "application/x-www-form-urlencoded", nil}, {"a=1", "text/plain", authn.UnsupportedMedia}, {"a=1", "multipart/form-data; boundary=x", authn.UnsupportedMedia},
		{"a=%zz", "application/x-www-form-urlencoded", authn.BadRequest}, {"a=%ff", "application/x-www-form-urlencoded", authn.Invalid}, {"a=%00", "application/x-www-form-urlencoded", authn.Invalid},
		{"a;b=1", "application/x-www-form-urlencoded", authn.BadRequest},
	} {
		r := httptest.NewRequest("POST", "/?code=query", strings.NewReader(tt.body))
		r.Header.Set("Content-Type", tt.contentType)
		form, err := Form(r)
		if !errors.Is(err, tt.want) {
			t.Errorf("%+v: %v", tt, err)
		}
		if err == nil {
			if again, _ := Form(r); form.Get("code") != "418 207" || len(form["code"]) != 1 || again.Get("code") != "418 207" {
				t.Errorf("%+v: %v", tt, form)
			}
		}
	}
}
