package web_test

import (
	"encoding/json"
	"go/ast"
	"go/format"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/docs"
	"github.com/sallyport-mfa/sallyport/httpapi"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/text"
	"github.com/sallyport-mfa/sallyport/web"
)

// apiDocument is the document as a test reads it: without the reader of web.
type apiDocument struct {
	Tags  []struct{ Name string }
	Paths map[string]map[string]json.RawMessage
}

type apiOperation struct {
	ID, Method, Path, Tag string
	Security              []map[string][]string
	Body                  bool
	Codes                 []string
}

func apiOperations(t *testing.T) (list []apiOperation, tags []string) {
	t.Helper()
	var doc apiDocument
	if err := json.Unmarshal(httpapi.OpenAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths {
		for method, raw := range item {
			if method == "parameters" {
				continue
			}
			var o struct {
				OperationID string
				Tags        []string
				Security    []map[string][]string
				RequestBody json.RawMessage
			}
			if err := json.Unmarshal(raw, &o); err != nil {
				t.Fatal(err)
			}
			list = append(list, apiOperation{ID: o.OperationID, Method: strings.ToUpper(method), Path: path, Tag: o.Tags[0], Security: o.Security, Body: o.RequestBody != nil})
		}
	}
	if len(list) < 15 {
		t.Fatalf("%d operations", len(list))
	}
	for _, tag := range doc.Tags {
		tags = append(tags, tag.Name)
	}
	return list, tags
}

// S39: every operation is in the list and has its place, with examples for the
// reader's own address.
func TestReference_S39(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	operations, tags := apiOperations(t)
	b.get("/docs").want(200, "/docs/api")
	index := b.doc
	groups := map[string]*node{}
	for _, tag := range tags {
		groups[tag] = b.get("/docs/api/"+tag).want(200, "/docs/api/"+tag).doc
	}
	check := newGoChecker()
	for _, op := range operations {
		row := index.one(t, "li#"+op.ID)
		if got := row.one(t, "a").attrs["href"]; got != "/docs/api/"+op.Tag+"#"+op.ID {
			t.Errorf("%s leads to %s", op.ID, got)
		}
		place := groups[op.Tag].one(t, "section#"+op.ID)
		if got := place.one(t, "p.docs-call").words(); got != op.Method+" "+op.Path {
			t.Errorf("%s is called %s", op.ID, got)
		}
		if len(place.all("h2")) != 1 || len(place.all("h3")) < 4 || len(place.all(".fields a")) < 3 {
			t.Errorf("%s: %s", op.ID, place.words())
		}
		checkCurl(t, s.URL, op, place.one(t, "#"+op.ID+"-curl").text0())
		if err := check(place.one(t, "#"+op.ID+"-go").text0(), s.URL); err != nil {
			t.Errorf("%s: %v", op.ID, err)
		}
		for _, a := range place.all("#" + op.ID + "-answer") {
			if !json.Valid([]byte(a.text0())) {
				t.Errorf("%s: the answer is no JSON: %s", op.ID, a.text0())
			}
		}
		for _, pre := range place.all("pre") {
			if pre.attrs["tabindex"] != "0" || pre.attrs["aria-label"] == "" || pre.attrs["role"] == "" {
				t.Errorf("%s: code that cannot be scrolled by keyboard: %v", op.ID, pre.attrs)
			}
		}
		if len(place.all("button[data-copy="+op.ID+"-curl]")) != 1 {
			t.Errorf("%s: nothing copies the example", op.ID)
		}
	}
	if got := len(index.all("[data-search]")); got != len(operations) {
		t.Errorf("%d operations in the list, %d in the document", got, len(operations))
	}
	if got := index.one(t, "a[download]").attrs["href"]; got != "/api/v1/openapi.json" {
		t.Errorf("the download is %s", got)
	}
	if got := index.one(t, "#docs-base").words(); got != s.URL {
		t.Errorf("the address is %q", got)
	}
	if b.get("/docs/api/nothing").want(404, "/docs/api/nothing"); b.doc == nil {
		t.Error("not a page")
	}
}

// text0 is the text of an element as it stands.
func (n *node) text0() string {
	var out strings.Builder
	n.walk(func(k *node) { out.WriteString(k.text) })
	return out.String()
}

// checkCurl takes a command apart as a shell does.
func checkCurl(t *testing.T, base string, op apiOperation, command string) {
	t.Helper()
	words, err := shellWords(strings.ReplaceAll(command, "\\\n", ""))
	if err != nil || words[0] != "curl" {
		t.Errorf("%s: %v: %s", op.ID, err, command)
		return
	}
	method, body, file, address := "GET", "", "", ""
	var headers []string
	for i := 1; i < len(words); i++ {
		switch words[i] {
		case "-i":
		case "-X", "-H", "-d", "--data-binary":
			if i++; i == len(words) {
				t.Errorf("%s: nothing after the last option", op.ID)
				return
			}
			switch words[i-1] {
			case "-X":
				method = words[i]
			case "-H":
				headers = append(headers, words[i])
			case "--data-binary":
				file = words[i]
			default:
				if body = words[i]; method == "GET" {
					method = "POST"
				}
			}
		default:
			if address != "" {
				t.Errorf("%s: a second address %q", op.ID, words[i])
			}
			address = words[i]
		}
	}
	table := slices.Contains(headers, "Content-Type: text/csv")
	if file != "" { // is the body
		if file != "@logo.png" || body != "" || !op.Body || !slices.Contains(headers, "Content-Type: image/png") {
			t.Errorf("%s: the file %q, headers %q", op.ID, file, headers)
		}
		op.Body = false
	}
	if method != op.Method || (body != "") != op.Body || body != "" && !table && (!json.Valid([]byte(body)) || body[0] != '{') {
		t.Errorf("%s: %s with the body %q", op.ID, method, body)
	}
	path, ok := strings.CutPrefix(address, base)
	if !ok || len(strings.Split(path, "/")) != len(strings.Split(op.Path, "/")) || strings.ContainsAny(path, "{} ") {
		t.Errorf("%s: asks %q for %s", op.ID, address, op.Path)
	}
	authorised := slices.ContainsFunc(headers, func(h string) bool { return strings.HasPrefix(h, "Authorization: Bearer $") })
	if authorised != (len(op.Security) > 0) {
		t.Errorf("%s: headers %q", op.ID, headers)
	}
	if (table || slices.Contains(headers, "Content-Type: application/json")) != op.Body {
		t.Errorf("%s: headers %q", op.ID, headers)
	}
}

// shellWords splits as a POSIX shell does; variables stay as they are.
func shellWords(s string) (words []string, err error) {
	var word strings.Builder
	begun := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ' ', '\n':
			if begun {
				words = append(words, word.String())
				word.Reset()
				begun = false
			}
		case '\'', '"':
			end := strings.IndexByte(s[i+1:], c)
			if end < 0 {
				return nil, os.ErrInvalid
			}
			inner := s[i+1 : i+1+end]
			if c == '"' && strings.ContainsAny(inner, "`\\") {
				return nil, os.ErrInvalid
			}
			word.WriteString(inner)
			begun = true
			i += end + 1
		case '\\':
			i++
			word.WriteByte(s[i])
			begun = true
		case ';', '&', '|', '<', '>', '(', ')', '`', '$', '*', '?', '#', '~':
			return nil, os.ErrInvalid
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	return append(words, word.String()), nil
}

// newGoChecker checks programs: formatted as gofmt does it, and of good types.
func newGoChecker() func(source, base string) error {
	set := token.NewFileSet()
	conf := types.Config{Importer: importer.ForCompiler(set, "gc", nil)}
	return func(source, base string) error {
		source += "\n"
		formatted, err := format.Source([]byte(source))
		if err != nil {
			return err
		}
		if string(formatted) != source {
			return &os.PathError{Op: "gofmt", Path: source, Err: os.ErrInvalid}
		}
		f, err := parser.ParseFile(set, "main.go", source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if !strings.Contains(source, `"`+base+`/api/v1/`) {
			return &os.PathError{Op: "address", Path: source, Err: os.ErrInvalid}
		}
		_, err = conf.Check("main", set, []*ast.File{f}, nil)
		return err
	}
}

// The search works without JavaScript, takes any text for what it is, and hides
// rather than leaves out.
func TestReferenceSearch(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	shown := func() (ids []string) {
		for _, row := range b.doc.all("[data-search]") {
			if !row.has("hidden") {
				ids = append(ids, row.attrs["id"])
			}
		}
		return ids
	}
	b.get("/docs/api")
	all := len(shown())
	for q, want := range map[string]string{
		"verify": "verify", "STEP-UP": "step_up", "put password": "change_password", "code_used": "verify", "otpauth_uri": "begin_factor",
		"  delete   session ": "sign_out",
	} {
		b.get("/docs/api?q="+url.QueryEscape(q)).want(200, "/docs/api")
		if ids := shown(); !slices.Contains(ids, want) || len(ids) == all {
			t.Errorf("%q finds %q", q, ids)
		}
		if got := b.doc.one(t, "input#q").attrs["value"]; got != strings.TrimSpace(q) {
			t.Errorf("%q comes back as %q", q, got)
		}
		if b.doc.one(t, "#docs-found").has("hidden") || b.doc.one(t, "#docs-all").has("hidden") || !b.doc.one(t, "#docs-nothing").has("hidden") || !b.doc.one(t, "#docs-manners").has("hidden") {
			t.Errorf("%q: the wrong things are shown", q)
		}
	}
	for _, q := range []string{
		`"><script>alert(1)</script>`, `' onfocus=alert(1) autofocus x='`, "{{.}}", "javascript:alert(1)", "\x00\x01\x7f", strings.Repeat("qz ", 900), "\u202eabc", "&lt;", "%",
	} {
		b.send(http.MethodGet, "/docs/api?q="+url.QueryEscape(q), nil)
		if b.status != 200 {
			continue // the outer layer refuses what is not text
		}
		in := b.doc.one(t, "input#q")
		want := strings.TrimSpace(strings.ToValidUTF8(q, ""))
		if runes := []rune(want); len(runes) > 100 {
			want = string(runes[:100])
		}
		if got := in.attrs["value"]; strings.Trim(got, "\x00\uFFFD") != strings.Trim(want, "\x00") || in.has("onfocus") || in.has("autofocus") {
			t.Errorf("%q comes back as %q", q, got)
		}
		if ids := shown(); len(ids) > 0 && q != "%" {
			t.Errorf("%q finds %q", q, ids)
		} else if len(ids) == 0 && b.doc.one(t, "#docs-nothing").has("hidden") {
			t.Errorf("%q: nothing says that nothing is found", q)
		}
	}
	if b.get("/docs/api?q=++"); len(shown()) != all || !b.doc.one(t, "#docs-all").has("hidden") {
		t.Error("blanks are a search")
	}
}

// Every code has a page, every page is of a code, and the document on it is one.
func TestErrorGuide(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	b.get("/docs/errors").want(200, "/docs/errors")
	var listed []string
	for _, a := range b.doc.all("li.docs-row a") {
		listed = append(listed, strings.TrimPrefix(a.attrs["href"], "/docs/errors/"))
	}
	var want []string
	for _, c := range allCodes {
		want = append(want, string(c))
	}
	if slices.Sort(listed); !slices.Equal(listed, slices.Sorted(slices.Values(want))) {
		t.Errorf("pages %q, codes %q", listed, want)
	}
	guide, err := docs.Errors()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range allCodes {
		b.get("/docs/errors/"+string(c)).want(200, "/docs/errors/"+string(c))
		if got := b.doc.one(t, "h1").words(); got != string(c) {
			t.Errorf("%s: %s", c, got)
		}
		var p httpserve.Problem
		if err := json.Unmarshal([]byte(b.doc.one(t, "#problem").text0()), &p); err != nil || p.Code != c || p.Type != b.path || p.Status != httpserve.Status(c) || p.Title == "" || p.Detail == "" {
			t.Errorf("%s: %v %+v", c, err, p)
		}
		if w := b.doc.one(t, "main [lang=en][dir=ltr]").words(); len(b.doc.all("main h2")) < 5 || strings.Contains(w, "**") || strings.Contains(w, "`") {
			t.Errorf("%s: %s", c, w)
		}
		e, _ := guide.Find(string(c))
		if got := len(b.doc.all("main .docs-links a")); got < len(e.Related) {
			t.Errorf("%s: %d links, %d related codes", c, got, len(e.Related))
		}
	}
	b.get("/docs/errors/wrong_code").shows("main .docs-links a", "Give a code")
	for _, path := range []string{"/docs/errors/nothing", "/docs/errors/WRONG_CODE", "/docs/errors/%3Cscript%3E", "/docs/nothing"} {
		if b.get(path).want(404, path); b.doc == nil || len(b.doc.all("main a.btn")) != 1 {
			t.Errorf("%s: not a page of ours", path)
		}
	}
}

// Whatever a problem document says of its type is a page.
func TestReference_problemType(t *testing.T) {
	s := newServer(t)
	res, err := http.Get(s.URL + "/api/v1/session")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var p httpserve.Problem
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	newBrowser(t, s).get(p.Type).want(200, p.Type)
}

// In another language the content says that it is English, also from right to left.
func TestReference_languages(t *testing.T) {
	s := newServer(t)
	for _, lang := range []string{text.PseudoLong, text.PseudoRTL} {
		b := newBrowser(t, s)
		b.setCookie("sallyport_lang", lang)
		for _, path := range []string{"/docs/api", "/docs/api?q=code", "/docs/api?q=nothing+at+all", "/docs/api/sign-in", "/docs/errors", "/docs/errors/paused"} {
			b.get(path).want(200, strings.Split(path, "?")[0])
			if b.doc.one(t, "main [lang=en][dir=ltr]").words() == "" {
				t.Errorf("%s: nothing is English", path)
			}
		}
	}
}

// A document that is not understood to the last member stops the server, not the reader.
func TestReference_strict(t *testing.T) {
	s := newServer(t)
	good := web.Config{SignIn: s.SignIn, Enroll: s.Enroll, Sessions: s.Sessions, Directory: s.Directory, Audit: s.Audit, Branding: s.Branding, Reports: s.Reports, Texts: text.Default(),
		OpenAPI: httpapi.OpenAPI(), PublicURL: "https://login.example.com/"}
	if _, err := web.New(good); err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{"", "login.example.com", "https://", "ftp://x", "https://x$(id)", "https://x'y", "https://x y", "javascript:alert(1)"} {
		bad := good
		if bad.PublicURL = base; true {
			if _, err := web.New(bad); err == nil {
				t.Errorf("PublicURL %q passes", base)
			}
		}
	}
	for _, c := range [][2]string{
		{`"#/components/schemas/BeginAttempt"`, `"#/components/schemas/Nothing"`},
		{`"#/components/responses/busy"`, `"#/components/responses/nothing"`},
		{`"#/components/parameters/AttemptId"`, `"other.json#/components/parameters/AttemptId"`},
		{`"#/components/headers/Retry-After"`, `"#/components/headers"`},
		{`"operationId": "begin"`, `"operationId": "attempt"`},
		{`"operationId": "begin"`, `"operationId": "a b"`},
		{`"operationId": "begin"`, `"operationId": "main"`},
		{`"tags": ["session"]`, `"tags": ["other"]`},
		{`"security": []`, `"security": [{"nothing": []}]`},
		{`"security": [{"sessionToken": []}, {"sessionCookie": []}]`, `"security": [{"sessionToken": [], "sessionCookie": []}]`},
		{`"application/json": {
              "schema": {"$ref": "#/components/schemas/RenameAPIKey"}`, `"text/csv": {
              "schema": {"$ref": "#/components/schemas/RenameAPIKey"}`},
		{`"maxLength": 254`, `"maxLenght": 254`},
		{`"summary": "Sign out"`, "\"summary\": \"Sign `out\""},
		{`"description": "Signed out."`, `"description": "# Signed out"`},
		{`"code": "wrong_code"`, `"code": "wrong_cod"`},
		{`"openapi": "3.1.0"`, `"openapi": "3.0.0"`},
		{`"paths": {`, `"paths": [`},
		{`"204"`, `"2XX"`},
	} {
		bad := good
		bad.OpenAPI = []byte(strings.ReplaceAll(string(good.OpenAPI), c[0], c[1]))
		if string(bad.OpenAPI) == string(good.OpenAPI) {
			t.Errorf("the document has no %s", c[0])
		}
		if _, err := web.New(bad); err == nil {
			t.Errorf("passes with %s", c[1])
		}
	}
	// Shapes that hold themselves end, and a proof may be left out.
	loop := good
	loop.OpenAPI = []byte(strings.NewReplacer(
		`"Empty": {"type": "object", "additionalProperties": false, "maxProperties": 0}`,
		`"Empty": {"type": "object", "properties": {"self": {"$ref": "#/components/schemas/Empty"}, "more": {"type": "array", "items": {"$ref": "#/components/schemas/Rows"}}, "any": {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Empty"}}}},
		 "Rows": {"type": "array", "items": {"$ref": "#/components/schemas/Rows"}}`,
		`"security": [{"attemptToken": []}, {"browserCookie": []}]`, `"security": [{"attemptToken": []}, {}]`,
	).Replace(string(good.OpenAPI)))
	if _, err := web.New(loop); err != nil || len(loop.OpenAPI) == len(good.OpenAPI) {
		t.Error(err)
	}
	// Without a document there are the codes only.
	none := good
	none.OpenAPI, none.PublicURL = nil, ""
	h, err := web.New(none)
	if err != nil {
		t.Fatal(err)
	}
	m := httpserve.NewMux()
	h.Mount(m)
	if routes := m.Routes(); slices.Contains(routes, "GET /docs/api") || !slices.Contains(routes, "GET /docs/errors/{code}") {
		t.Error(routes)
	}
}

// The address is the configured one, whatever a request says.
func TestReference_address(t *testing.T) {
	s := newServer(t, func(c *sallyport.Config) { c.Hosts = append(c.Hosts, "other.example") })
	b := newBrowser(t, s)
	req, err := http.NewRequest(http.MethodGet, s.URL+"/docs/api", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "other.example"
	req.Header.Set("X-Forwarded-Host", "evil.example")
	res, err := b.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := parseHTML(string(raw))
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, err)
	}
	if got := doc.one(t, "#docs-base").words(); got != s.URL {
		t.Error(got)
	}
}
