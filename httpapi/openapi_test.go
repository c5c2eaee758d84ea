package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// document is the OpenAPI document, parsed once.
var document = sync.OnceValues(func() (*openapi3.T, error) {
	raw, err := os.ReadFile("openapi.json")
	if err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(raw)
})

func TestDocumentIsValid(t *testing.T) {
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("version %s", doc.OpenAPI)
	}
	err = doc.Validate(t.Context(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaFormatValidation())
	if err != nil {
		t.Error(err)
	}
	raw, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var parts struct {
		Components map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		t.Fatal(err)
	}
	for kind, list := range parts.Components {
		for name := range list {
			used := strings.Contains(string(raw), fmt.Sprintf("%q", "#/components/"+kind+"/"+name))
			if kind == "securitySchemes" {
				used = strings.Contains(string(raw), fmt.Sprintf(`{%q: []}`, name))
			}
			if !used {
				t.Errorf("nothing uses %s/%s", kind, name)
			}
		}
	}
	if !strings.Contains(string(raw), sallyporttest.Password) {
		t.Error("the examples use another password than the people of the tests have")
	}
	seen := map[string]bool{}
	for _, op := range operations(t) {
		if op.OperationID == "" || seen[op.OperationID] || op.Summary == "" || len(op.Tags) != 1 || op.Security == nil {
			t.Errorf("%s: operationId, summary, one tag and security are needed", op.pattern)
		}
		seen[op.OperationID] = true
	}
}

func TestDocumentIsServed(t *testing.T) {
	w := newWorld(t)
	a := w.get("/api/v1/openapi.json", "").want(200)
	raw, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(a.body) != string(raw) || a.header.Get("Content-Type") != "application/json" {
		t.Error("not the document")
	}
}

type operation struct {
	*openapi3.Operation
	pattern string
}

func operations(t testing.TB) []operation {
	t.Helper()
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	var list []operation
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			list = append(list, operation{op, method + " " + path})
		}
	}
	slices.SortFunc(list, func(a, b operation) int { return strings.Compare(a.pattern, b.pattern) })
	return list
}

// The document has every route, and no other; and it says of each which kind of
// credential it takes.
func TestDocumentHasTheRoutes(t *testing.T) {
	w := newWorld(t)
	var documented []string
	schemes := map[string][]authn.TokenKind{}
	for _, op := range operations(t) {
		documented = append(documented, op.pattern)
		for _, s := range *op.Security {
			for name := range s {
				switch name {
				case "attemptToken":
					schemes[op.pattern] = append(schemes[op.pattern], authn.AttemptToken)
				case "sessionToken":
					schemes[op.pattern] = append(schemes[op.pattern], authn.SessionToken)
				}
			}
		}
	}
	if got := w.apiRoutes(); !slices.Equal(got, documented) {
		t.Errorf("routes:\n%s\ndocumented:\n%s", strings.Join(got, "\n"), strings.Join(documented, "\n"))
	}
	tested := map[string][]authn.TokenKind{}
	for _, r := range routes {
		if r.kind != "" {
			tested[r.pattern] = append(tested[r.pattern], r.kind)
		}
	}
	for _, pattern := range documented {
		if !slices.Equal(slices.Sorted(slices.Values(schemes[pattern])), slices.Sorted(slices.Values(tested[pattern]))) {
			t.Errorf("%s takes %q, and the document says %q", pattern, tested[pattern], schemes[pattern])
		}
	}
}

// conform holds an answer against the document: the status is documented, and
// the body has nothing but what the schema describes. Every answer of every
// test in this package passes through here.
func conform(a answer) error {
	doc, err := document()
	if err != nil {
		return err
	}
	path, _, _ := strings.Cut(a.call.path, "?")
	var op *openapi3.Operation
	named := -1
	for pattern, item := range doc.Paths.Map() {
		// Of two that match, the one with fewer names in braces is served.
		if n := strings.Count(pattern, "{"); matches(pattern, path) && item.GetOperation(a.call.method) != nil && (named < 0 || n < named) {
			op, named = item.GetOperation(a.call.method), n
		}
	}
	if op == nil || a.status == http.StatusMethodNotAllowed {
		return nil
	}
	ref := op.Responses.Value(strconv.Itoa(a.status))
	if ref == nil {
		return fmt.Errorf("status %d is not documented", a.status)
	}
	media, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	content := ref.Value.Content[media]
	if len(ref.Value.Content) == 0 && len(a.body) == 0 {
		return nil
	}
	if content == nil {
		return fmt.Errorf("content type %q is not documented", media)
	}
	if media == "text/csv" {
		return nil
	}
	if !strings.HasSuffix(media, "json") {
		return nil // a file
	}
	if !strings.HasSuffix(media, "json") {
		return nil // a file
	}
	if !strings.HasSuffix(media, "json") {
		return nil
	}
	var v any
	if err := json.Unmarshal(a.body, &v); err != nil {
		return err
	}
	// The validator compiles the schema each time; of refusals that look alike one is enough.
	shape := fmt.Sprint(op.OperationID, a.status, a.json["code"], slices.Sorted(maps.Keys(a.json)), fmt.Sprintf("%T", a.at("fields.0.message")))
	if a.status >= 400 {
		if _, seen := conformed.LoadOrStore(shape, true); seen {
			return nil
		}
	}
	return content.Schema.Value.VisitJSON(v, openapi3.EnableJSONSchema2020(), openapi3.EnableFormatValidation(), openapi3.VisitAsResponse())
}

var conformed sync.Map

func matches(pattern, path string) bool {
	p, q := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(p) != len(q) {
		return false
	}
	for i := range p {
		if p[i] != q[i] && !strings.HasPrefix(p[i], "{") {
			return false
		}
	}
	return true
}

func TestConformFindsWhatIsWrong(t *testing.T) {
	a := answer{call: call{method: "POST", path: "/api/v1/attempts/x/challenge"}, status: 200, header: http.Header{"Content-Type": {"application/json"}}}
	for body, good := range map[string]bool{
		`{"method":"totp"}`: true, `{"method":"totp","secret":"x"}`: false, `{}`: false, `{"method":"x"}`: false, `{"method":null}`: false,
	} {
		a.body = []byte(body)
		if err := conform(a); (err == nil) != good {
			t.Errorf("%s: %v", body, err)
		}
	}
	a.status = 418
	if conform(a) == nil {
		t.Error("an undocumented status passes")
	}
}

// Every example of an answer is what a server answers: to the example of the
// request with the same name, or to a request made for it.
func TestExamples(t *testing.T) {
	played := map[string]bool{}
	for _, op := range operations(t) {
		// A server of a test that is done lives as long as the test that it is a part of:
		// each operation is one, so that they are never there all at once.
		t.Run(op.OperationID, func(t *testing.T) { op.examples(t, played) })
	}
	for key := range scenes {
		if !played[key] {
			t.Errorf("the scene %q is of no example", key)
		}
	}
}

func (op operation) examples(t *testing.T, played map[string]bool) {
	i := slices.IndexFunc(routes, func(r route) bool { return r.pattern == op.pattern })
	if i < 0 {
		t.Fatalf("%s is not in the table of routes", op.pattern)
	}
	requests := openapi3.Examples{}
	if op.RequestBody != nil {
		if media := op.RequestBody.Value.Content["application/json"]; media != nil { // otherwise a file
			requests = media.Examples
		}
	}
	var shared *world // of the examples that leave nothing behind
	var maya sallyporttest.Person
	for status, response := range op.Responses.Map() {
		for _, media := range response.Value.Content {
			for name, example := range media.Examples {
				key := op.OperationID + " " + name
				played[key] = true
				set, own := scenes[key]
				if !own {
					if set = everywhere[name]; set == nil {
						t.Errorf("%s: no scene", key)
						continue
					}
					if shared == nil {
						shared, maya = stage(t)
					}
				}
				t.Run(name, func(t *testing.T) {
					w, p := shared, maya
					if own {
						t.Parallel()
						var opts []sallyporttest.Option
						if name == "too_many_requests" {
							opts = append(opts, fewRequests)
						}
						if key == "begin_email policy_forbids" {
							opts = append(opts, sallyporttest.NoMail())
						}
						w, p = stage(t, opts...)
					}
					play(t, w, p, routes[i], set, status, requests[name], example.Value.Value)
				})
			}
		}
	}
	for name := range requests {
		if !played[op.OperationID+" "+name] {
			t.Errorf("%s: the request %q has no answer", op.OperationID, name)
		}
	}
}

func play(t *testing.T, w *world, p sallyporttest.Person, r route, set scene, status string, request *openapi3.ExampleRef, want any) {
	w = &world{Server: w.Server, t: t, failing: w.failing, mail: w.mail}
	defer w.failing.heal()
	c := r.good(w, p)
	if r.pattern == "POST /api/v1/account/factors/{id}/confirm" {
		c.path = "/api/v1/account/factors/" + p.Factor + "/confirm"
	}
	if request != nil {
		body := maps.Clone(request.Value.Value.(object))
		if good, ok := c.body.(object); ok && good["token"] != nil && body["token"] != "" {
			body["token"] = good["token"]
		}
		c.body = body
	}
	if set != nil {
		set(w, p, &c)
	}
	a := w.do(c)
	if strconv.Itoa(a.status) != status {
		t.Fatalf("status %d, the example says %s: %s", a.status, status, a.body)
	}
	if diff := compare("", want, any(a.json)); diff != "" {
		t.Errorf("%s\nanswer: %s", diff, a.body)
	}
}

// varies are the fields that no two answers share, or that translators change.
var varies = map[string]bool{
	"x": true, "kid": true, "challenge": true, "session": true,
	"id": true, "factor": true, "token": true, "request_id": true, "detail": true, "text": true, "message": true, "title": true,
	"secret": true, "owner": true, "user": true, "otpauth_uri": true, "qr_svg": true, "next_cursor": true, "fields": true, "agent": true,
	"took_ms": true, "head": true, "updated_by": true, "target": true, "requester": true, "approved_by": true, "cancelled_by": true, "waiting": true, "number": true, "portal_url": true, "url": true,
}

var moment = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)

// compare says where an answer is not as its example: other fields, or other
// values of those that can be known.
func compare(path string, want, got any) string {
	switch x := want.(type) {
	case map[string]any:
		y, ok := got.(map[string]any)
		if !ok {
			return path + " is no object"
		}
		a, b := slices.Sorted(maps.Keys(x)), slices.Sorted(maps.Keys(y))
		if !slices.Equal(a, b) {
			return fmt.Sprintf("%s has the fields %v, the example %v", path, b, a)
		}
		for _, k := range a {
			if _, isText := x[k].(string); varies[k] && (isText || k == "fields" || k == "took_ms" || k == "waiting" && y[k] != true) {
				continue // "factor" is an id here and an object there
			}
			if k == "code" && x["expires_at"] != nil {
				continue // a help code, rather than that of a problem
			}
			if list, _ := y[k].([]any); k == "backup_codes" && len(list) == 10 {
				continue
			}
			if diff := compare(path+"."+k, x[k], y[k]); diff != "" {
				return diff
			}
		}
	case []any:
		y, ok := got.([]any)
		if !ok || len(x) != len(y) {
			return fmt.Sprintf("%s is %v, in the example %v", path, got, want)
		}
		for i := range x {
			if diff := compare(fmt.Sprintf("%s.%d", path, i), x[i], y[i]); diff != "" {
				return diff
			}
		}
	case string:
		y, _ := got.(string)
		if x != y && !(moment.MatchString(x) && moment.MatchString(y)) {
			return fmt.Sprintf("%s is %q, in the example %q", path, got, x)
		}
	default:
		if fmt.Sprint(want) != fmt.Sprint(got) {
			return fmt.Sprintf("%s is %v, in the example %v", path, got, want)
		}
	}
	return ""
}
