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
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/provider"
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

// scene brings the server to where an example begins, and puts what cannot be
// known beforehand (ids, codes) into its request.
type scene func(w *world, p sallyporttest.Person, c *call)

// everywhere are the examples that any operation may have.
var everywhere = map[string]scene{
	"bad_request": func(_ *world, _ sallyporttest.Person, c *call) { c.body = "{" },
	"unsupported_media": func(_ *world, _ sallyporttest.Person, c *call) {
		c.header = map[string]string{"Content-Type": "text/plain"}
	},
	"wrong_host": func(_ *world, _ sallyporttest.Person, c *call) { c.host = "evil.example" },
	"unauthenticated": func(_ *world, _ sallyporttest.Person, c *call) {
		c.bearer = "sp_ses_that_is_none"
	},
	"forbidden": func(_ *world, _ sallyporttest.Person, c *call) {
		c.bearer, c.header = "", map[string]string{"Sec-Fetch-Site": "cross-site"}
	},
	"too_large": func(_ *world, _ sallyporttest.Person, c *call) {
		if c.body != nil {
			c.body = strings.Repeat(" ", 70_000)
		} else {
			c.path += "?x=" + strings.Repeat("x", 5000)
		}
	},
	"invalid": func(_ *world, _ sallyporttest.Person, c *call) {
		if _, file := c.body.(string); file || c.body == nil {
			c.path += "?unheard_of=1"
		} else if len(c.body.(object)) == 0 || strings.Contains(c.path, "/users") {
			c.body = object{"unheard_of": 1}
		}
	},
	"not_found": func(w *world, p sallyporttest.Person, c *call) {
		if body, ok := c.body.(object); ok && body["token"] != nil {
			body["token"] = noLink
		} else if strings.Contains(c.path, "/users/") {
			c.path = regexp.MustCompile(`usr_\w+`).ReplaceAllString(c.path, "usr_06gvqojiq1qq57jp3br4pat4so")
		} else if strings.Contains(c.path, "/sessions/") {
			c.path = regexp.MustCompile(`ses_\w+`).ReplaceAllString(c.path, "ses_06gvqojiq1qq57jp3br4pat4so")
		} else if strings.Contains(c.path, "/factors/") {
			c.path = regexp.MustCompile(`fac_\w+`).ReplaceAllString(c.path, "fac_06gvqojiq1tch8gdppkvf1jp7k")
		} else if strings.Contains(c.path, "/users/") {
			c.path = regexp.MustCompile(`usr_\w+`).ReplaceAllString(c.path, "usr_06gvqojiq1qlv7438sknb41ae8")
		} else if strings.Contains(c.path, "/attempts/") {
			_, c.bearer = w.begin(p) // another attempt
		}
	},
	"internal": func(w *world, _ sallyporttest.Person, c *call) { w.failing.left.Store(0) },
	"busy":     func(w *world, _ sallyporttest.Person, c *call) { w.failing.busy.Store(true); w.failing.left.Store(0) },
}

// noLink is the token of a link that nobody gave.
const noLink = "sp_lnk_06gvqojiq1qe7alb8eh5a55tok0q3vb2eb87drk9oh2bemtmu8nb47e7gk11vrdn9enm78vo72lph1p76m3k29nvf82csrp53q2i8g0"

// code fills in the person's next code.
func code(w *world, p sallyporttest.Person, c *call) { c.body.(object)["code"] = w.code(p) }

func wrong(n int, body object) scene {
	return func(w *world, p sallyporttest.Person, c *call) {
		before := *c
		before.body = body
		for range n {
			w.do(before).want(422)
		}
	}
}

func wrongCodes(w *world, p sallyporttest.Person, c *call) {
	path := strings.TrimSuffix(strings.TrimSuffix(c.path, "/verify"), "/challenge") + "/verify"
	for range policy.FreeTries {
		w.post(path, c.bearer, object{"method": "totp", "code": w.WrongCode(w.t, p.Secret)}).refused(authn.WrongCode)
	}
}

func finish(w *world, p sallyporttest.Person, c *call) {
	path, _, _ := strings.Cut(strings.TrimPrefix(c.path, "/api/v1/attempts/"), "/")
	w.post("/api/v1/attempts/"+path+"/verify", c.bearer, object{"method": "totp", "code": w.code(p)}).want(200)
}

func later(d time.Duration) scene {
	return func(w *world, _ sallyporttest.Person, _ *call) { w.Clock.Advance(d) }
}

// plain makes the request that of somebody without a factor, confirmed again or not.
func plain(again bool) scene {
	return func(w *world, _ sallyporttest.Person, c *call) {
		lena := w.AddUser(w.t, w.Company, "lena", false)
		if c.bearer = w.signIn(lena); again {
			c.bearer = w.confirmed(lena)
		}
	}
}

// stepUpFor makes the request one about a step-up attempt of p.
func stepUpFor(w *world, session string, c *call) {
	a := w.post("/api/v1/account/step-up", session, object{}).want(201)
	c.path = "/api/v1/attempts/" + a.str("id") + c.path[strings.LastIndex(c.path, "/"):]
	c.bearer = a.str("token")
}

func passwordStepUp(w *world, _ sallyporttest.Person, c *call) {
	stepUpFor(w, w.signIn(w.AddUser(w.t, w.Company, "lena", false)), c)
}

// scenes are the examples of single operations: what they need beyond a good
// request of somebody with an app. nil: nothing.
var scenes = logoScenes(map[string]scene{
	"branding none":                 nil,
	"branding saved":                branded(""),
	"set_branding saved":            nil,
	"set_branding conflict":         nil,
	"set_branding step_up_required": later(11 * time.Minute),

	"begin need_factor": nil,
	"begin complete":    func(w *world, _ sallyporttest.Person, _ *call) { w.AddUser(w.t, w.Company, "lena", false) },
	"begin fallback":    func(w *world, _ sallyporttest.Person, _ *call) { w.required("lena", "lena@acme.example") },
	"begin denied":      func(w *world, _ sallyporttest.Person, _ *call) { w.required("omar", "") },
	"begin sms":         nadia,
	"begin sent_at_once": func(w *world, p sallyporttest.Person, c *call) {
		nadia(w, p, c)
		w.SetPolicy(w.t, "acme", func(d *policy.Document) { d.SendAtOnce = true })
	},
	"begin not_sent": func(w *world, p sallyporttest.Person, c *call) {
		nadia(w, p, c)
		w.SetPolicy(w.t, "acme", func(d *policy.Document) { d.SendAtOnce = true })
		w.mail.fails.Store(true)
	},
	"begin duo":               func(w *world, _ sallyporttest.Person, _ *call) { w.duoed("diego") },
	"begin wrong_credentials": nil,
	"begin paused":            wrong(policy.FreeTries, object{"company": "acme", "login": "maya", "password": "not the right one"}),
	"begin too_many_requests": func(w *world, _ sallyporttest.Person, c *call) { w.do(*c).want(201) },

	"attempt need_factor": nil,
	"attempt paused":      wrongCodes,
	"attempt complete":    finish,
	"attempt code_sent": func(w *world, _ sallyporttest.Person, c *call) {
		w.fallback(c)
		w.post(c.path+"/challenge", c.bearer, object{"method": "email"}).want(200)
	},
	"attempt need_enrolment": func(w *world, p sallyporttest.Person, c *call) { w.turn(c)(w.graceful(p)) },
	"attempt expired":        later(15 * time.Minute),
	"attempt waiting":        answered(nil, "", ""),
	"attempt refused":        answered(deny, "methods.0.duo.outcome", "refused"),
	"attempt approved":       answered(approve, "state", "ready"),

	"challenge totp": func(_ *world, p sallyporttest.Person, c *call) { c.body.(object)["factor"] = p.Factor },
	"challenge password": func(w *world, p sallyporttest.Person, c *call) {
		passwordStepUp(w, p, c)
	},
	"challenge email":  func(w *world, _ sallyporttest.Person, c *call) { w.fallback(c) },
	"challenge paused": wrongCodes,
	"challenge locked": locked,
	"challenge send_wait": func(w *world, _ sallyporttest.Person, c *call) {
		w.fallback(c)
		w.do(*c).want(200)
	},
	"challenge message_not_sent": func(w *world, _ sallyporttest.Person, c *call) {
		w.fallback(c)
		w.mail.fails.Store(true)
	},
	"challenge sms":         asNadia,
	"challenge duo_options": asDiego,
	"challenge duo_push":    asDiego,
	"challenge duo_verified": func(w *world, _ sallyporttest.Person, c *call) {
		d := w.duoed("diego")
		u := duoUser("diego")
		u.Verified = true
		w.Duo.AddUser(u)
		w.turn(c)(w.begin(d))
	},
	"challenge duo_passcodes": asDiego,
	"challenge policy_forbids": func(w *world, p sallyporttest.Person, c *call) {
		asNadia(w, p, c)
		w.UseTexts(w.t, w.Company, func(s *authn.TextSettings) { s.Countries = []string{"PL"} })
	},
	"challenge provider_unavailable": func(w *world, p sallyporttest.Person, c *call) {
		asDiego(w, p, c)
		garbled(w)
	},
	"challenge conflict": finish,
	"challenge expired":  later(15 * time.Minute),

	"verify complete": code,
	"verify step_up": func(w *world, p sallyporttest.Person, c *call) {
		stepUpFor(w, w.signIn(p), c)
		code(w, p, c)
		c.body.(object)["factor"] = p.Factor
	},
	"verify step_up_password": passwordStepUp,
	"verify wrong_code": func(w *world, p sallyporttest.Person, c *call) {
		c.body.(object)["code"] = w.WrongCode(w.t, p.Secret)
	},
	"verify code_used": func(w *world, p sallyporttest.Person, c *call) {
		w.signIn(p)
		c.body.(object)["code"] = w.Code(w.t, p.Secret)
	},
	"verify wrong_credentials": passwordStepUp,
	"verify policy_forbids":    code,
	"verify conflict":          finish,
	"verify paused":            wrongCodes,
	"verify locked": func(w *world, p sallyporttest.Person, c *call) {
		locked(w, p, c)
		code(w, p, c)
	},
	"verify email": func(w *world, _ sallyporttest.Person, c *call) {
		w.fallback(c)
		w.SetTwoFactor(w.t, "acme", policy.Required)
		w.post(strings.Replace(c.path, "/verify", "/challenge", 1), c.bearer, object{"method": "email"}).want(200)
		c.body.(object)["code"] = w.LastCode(w.t, "lena@acme.example")
	},
	"verify backup_code": func(w *world, p sallyporttest.Person, c *call) {
		a := w.post("/api/v1/account/backup-codes", w.signIn(p), object{}).want(201)
		w.turn(c)(w.begin(p))
		c.body.(object)["code"] = a.str("backup_codes.0")
	},
	"verify need_enrolment": func(w *world, p sallyporttest.Person, c *call) {
		code, _, err := w.Directory.BypassCode(w.t.Context(), w.Company, p.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		c.body.(object)["code"] = code
	},
	"verify sms": func(w *world, p sallyporttest.Person, c *call) {
		asNadia(w, p, c)
		w.post(strings.Replace(c.path, "/verify", "/challenge", 1), c.bearer, object{"method": "sms"}).want(200)
		c.body.(object)["code"] = w.LastCode(w.t, nadiasNumber)
	},
	"verify duo_code": asDiego,
	"verify provider_unavailable": func(w *world, p sallyporttest.Person, c *call) {
		asDiego(w, p, c)
		garbled(w)
	},
	"verify code_over": func(w *world, _ sallyporttest.Person, c *call) { w.fallback(c) },
	"verify expired":   later(15 * time.Minute),

	"complete complete": nil,
	"complete conflict": func(w *world, p sallyporttest.Person, c *call) { w.turn(c)(w.begin(p)) },
	"complete expired":  later(15 * time.Minute),

	"postpone postponed":      nil,
	"postpone policy_forbids": func(w *world, p sallyporttest.Person, c *call) { w.turn(c)(w.opened(p)) },
	"postpone conflict":       func(w *world, p sallyporttest.Person, c *call) { w.turn(c)(w.begin(p)) },
	"postpone expired":        later(15 * time.Minute),

	"attempt_password changed":  nil,
	"attempt_password conflict": func(w *world, p sallyporttest.Person, c *call) { w.turn(c)(w.begin(p)) },
	"attempt_password expired":  later(15 * time.Minute),

	"look_invitation found": func(w *world, p sallyporttest.Person, c *call) {
		c.body.(object)["token"] = w.invited(p, "lena")
	},
	"look_invitation conflict": func(w *world, _ sallyporttest.Person, c *call) {
		w.post("/api/v1/invitations/accept", "", object{"token": c.body.(object)["token"], "password": newPassword}).want(201)
	},
	"look_invitation expired":    later(7 * 24 * time.Hour),
	"accept_invitation complete": nil,
	"accept_invitation need_enrolment": func(w *world, _ sallyporttest.Person, _ *call) {
		w.ownWay(0)
	},
	"accept_invitation conflict": func(w *world, _ sallyporttest.Person, c *call) { w.do(*c).want(201) },
	"accept_invitation expired":  later(7 * 24 * time.Hour),
	"not_me secured":             nil,
	"not_me conflict":            func(w *world, _ sallyporttest.Person, c *call) { w.do(*c).want(200) },
	"not_me expired":             later(7 * 24 * time.Hour),

	"session aal2":     nil,
	"account with_app": nil,
	"account email_change": func(w *world, _ sallyporttest.Person, c *call) {
		c.bearer = w.post("/api/v1/account/backup-codes", c.bearer, object{}).want(201).str("session.token")
		w.post("/api/v1/account/email", c.bearer, object{"email": "maya@new.example"}).want(201)
	},
	"account required":              func(w *world, _ sallyporttest.Person, _ *call) { w.SetTwoFactor(w.t, "acme", policy.Required) },
	"change_account changed":        nil,
	"change_account nothing":        nil,
	"change_account policy_forbids": nil,

	"factors one":  nil,
	"factors none": plain(false),
	"factors pending": func(w *world, p sallyporttest.Person, c *call) {
		plain(true)(w, p, c)
		w.post(c.path, c.bearer, object{"method": "totp"}).want(201)
	},
	"factors several": func(w *world, p sallyporttest.Person, c *call) {
		w.Clock.Advance(time.Second) // the list is in the order of time
		c.bearer = w.post("/api/v1/account/backup-codes", c.bearer, object{}).want(201).str("session.token")
		w.Clock.Advance(time.Second) // ids of one millisecond have no order
		path := w.sent(c.bearer)
		c.bearer = w.post(path+"/confirm", c.bearer, object{"code": w.LastCode(w.t, p.Email)}).want(200).str("session.token")
	},
	"factors more": func(w *world, p sallyporttest.Person, c *call) {
		w.post(c.path, c.bearer, object{"method": "totp", "replaces": p.Factor}).want(201)
		c.path += "?limit=1"
	},

	"begin_factor first":      plain(true),
	"begin_factor replace":    func(_ *world, p sallyporttest.Person, c *call) { c.body.(object)["replaces"] = p.Factor },
	"begin_factor conflict":   nil,
	"begin_factor email":      nil,
	"begin_factor in_sign_in": func(w *world, p sallyporttest.Person, c *call) { _, c.bearer = w.opened(p) },
	"begin_factor not_found": func(w *world, _ sallyporttest.Person, c *call) {
		c.bearer = w.post("/api/v1/account/step-up", c.bearer, object{}).want(201).str("token") // of a step-up
	},
	"begin_factor expired": func(w *world, p sallyporttest.Person, c *call) {
		_, c.bearer = w.opened(p)
		w.Clock.Advance(15 * time.Minute)
	},
	"begin_factor send_limit":       often(20),
	"begin_factor message_not_sent": mailFails,
	"begin_factor step_up_required": later(11 * time.Minute),
	"begin_factor policy_forbids": func(w *world, p sallyporttest.Person, c *call) {
		plain(true)(w, p, c)
		w.SetTwoFactor(w.t, "acme", policy.Off)
	},

	"begin_factor sms": func(w *world, _ sallyporttest.Person, _ *call) { w.UseTexts(w.t, w.Company) },
	"begin_factor duo": func(w *world, _ sallyporttest.Person, _ *call) { w.UseDuo(w.t, w.Company) },
	"begin_factor duo_known": func(w *world, _ sallyporttest.Person, _ *call) {
		w.UseDuo(w.t, w.Company)
		w.Duo.AddUser(duoUser("maya"))
	},
	"begin_factor factor_taken": nadia,
	"begin_factor provider_unavailable": func(w *world, _ sallyporttest.Person, _ *call) {
		w.UseDuo(w.t, w.Company)
		garbled(w)
	},

	"factor active": nil,
	"factor sms": func(w *world, p sallyporttest.Person, c *call) {
		c.path = "/api/v1/account/factors/" + w.AddPhone(w.t, p.User, nadiasNumber)
	},
	"factor duo_to_enroll": func(w *world, _ sallyporttest.Person, c *call) {
		w.UseDuo(w.t, w.Company)
		c.path = "/api/v1/account/factors/" + w.post("/api/v1/account/factors", c.bearer, object{"method": "duo"}).want(201).str("id")
	},
	"factor duo_waiting": func(w *world, p sallyporttest.Person, c *call) {
		atDuo(w, p, c)
		w.post(c.path+"/challenge", c.bearer, object{"option": "auto"}).want(200)
	},
	"factor forbidden": func(w *world, p sallyporttest.Person, c *call) { _, c.bearer = w.begin(p) },
	"factor conflict":  func(w *world, p sallyporttest.Person, c *call) { _, c.bearer = w.opened(p) },
	"factor expired": func(w *world, p sallyporttest.Person, c *call) {
		atDuo(w, p, c)
		w.Clock.Advance(30 * time.Minute)
	},

	"challenge_factor options": nil,
	"challenge_factor push":    nil,
	"challenge_factor conflict": func(_ *world, p sallyporttest.Person, c *call) {
		c.path = "/api/v1/account/factors/" + p.Factor + "/challenge"
	},
	"challenge_factor expired":   later(30 * time.Minute),
	"challenge_factor send_wait": func(w *world, _ sallyporttest.Person, c *call) { w.do(*c).want(200) },
	"challenge_factor policy_forbids": func(w *world, p sallyporttest.Person, _ *call) {
		w.Duo.AddUser(sallyporttest.DuoUser{Username: p.Login, Result: "deny"})
	},
	"challenge_factor provider_unavailable": func(w *world, _ sallyporttest.Person, _ *call) { garbled(w) },

	"send_factor sent": nil,
	"send_factor conflict": func(_ *world, p sallyporttest.Person, c *call) {
		c.path = "/api/v1/account/factors/" + p.Factor + "/send"
	},
	"send_factor expired": later(30 * time.Minute),
	"send_factor send_wait": func(w *world, _ sallyporttest.Person, c *call) {
		a := w.post("/api/v1/account/factors", c.bearer, object{"method": "email"}).want(201)
		c.path = "/api/v1/account/factors/" + a.str("id") + "/send"
	},
	"send_factor message_not_sent": mailFails,

	"change_factor named":     nil,
	"change_factor preferred": nil,

	"remove_factor removed":          nil,
	"remove_factor step_up_required": later(11 * time.Minute),
	"remove_factor policy_forbids":   func(w *world, _ sallyporttest.Person, _ *call) { w.SetTwoFactor(w.t, "acme", policy.Required) },

	"confirm_factor confirmed": func(w *world, p sallyporttest.Person, c *call) { code(w, w.begunApp(c), c) },
	"confirm_factor in_sign_in": func(w *world, p sallyporttest.Person, c *call) {
		_, c.bearer = w.opened(p)
		a := w.post("/api/v1/account/factors", c.bearer, object{"method": "totp"}).want(201)
		c.path = "/api/v1/account/factors/" + a.str("id") + "/confirm"
		code(w, sallyporttest.Person{Secret: secretOf(w.t, a.str("totp.secret"))}, c)
	},
	"confirm_factor address": func(w *world, _ sallyporttest.Person, c *call) {
		a := w.post("/api/v1/account/email", c.bearer, object{"email": "maya@new.example"}).want(201)
		c.path = "/api/v1/account/factors/" + a.str("id") + "/confirm"
		c.body.(object)["code"] = w.LastCode(w.t, "maya@new.example")
	},
	"confirm_factor sms": func(w *world, _ sallyporttest.Person, c *call) {
		w.UseTexts(w.t, w.Company)
		a := w.post("/api/v1/account/factors", c.bearer, object{"method": "sms", "phone": nadiasNumber}).want(201)
		c.path = "/api/v1/account/factors/" + a.str("id") + "/confirm"
		c.body.(object)["code"] = w.LastCode(w.t, nadiasNumber)
	},
	"confirm_factor duo_approved": func(w *world, p sallyporttest.Person, c *call) {
		path := w.duoSetUp(p, c.bearer)
		w.post(path+"/challenge", c.bearer, object{"option": "auto"}).want(200)
		if err := w.Duo.Approve(w.lastPush().TxID); err != nil {
			w.t.Fatal(err)
		}
		w.until(path, c.bearer, "duo.outcome", "approved")
		c.path = path + "/confirm"
	},
	"confirm_factor policy_forbids": func(w *world, p sallyporttest.Person, c *call) {
		atDuo(w, p, c)
		w.Duo.AddUser(sallyporttest.DuoUser{Username: p.Login, Result: "deny"})
	},
	"confirm_factor provider_unavailable": func(w *world, p sallyporttest.Person, c *call) {
		atDuo(w, p, c)
		garbled(w)
	},
	"confirm_factor code_over": func(w *world, _ sallyporttest.Person, c *call) {
		c.path = w.sent(c.bearer) + "/confirm"
		w.Clock.Advance(2 * time.Minute)
	},
	"confirm_factor wrong_code": func(w *world, p sallyporttest.Person, c *call) {
		c.body.(object)["code"] = w.WrongCode(w.t, w.begunApp(c).Secret)
	},
	"confirm_factor clock": func(w *world, p sallyporttest.Person, c *call) {
		c.body.(object)["code"] = sallyporttest.CodeAt(w.t, w.begunApp(c).Secret, w.Clock.Now().Add(4*time.Minute))
	},
	"confirm_factor invalid":  func(w *world, p sallyporttest.Person, c *call) { w.begunApp(c) },
	"confirm_factor conflict": nil, // the one that is active already
	"confirm_factor paused": func(w *world, p sallyporttest.Person, c *call) {
		wrong(policy.FreeTries, object{"code": w.WrongCode(w.t, w.begunApp(c).Secret)})(w, p, c)
	},
	"confirm_factor expired": func(w *world, p sallyporttest.Person, c *call) { w.begunApp(c); w.Clock.Advance(30 * time.Minute) },

	"new_backup_codes made":             nil,
	"new_backup_codes step_up_required": later(11 * time.Minute),
	"new_backup_codes policy_forbids":   plain(true),

	"begin_email begun":            nil,
	"begin_email step_up_required": later(11 * time.Minute),
	"begin_email policy_forbids":   nil, // without mail
	"begin_email send_limit":       often(20),
	"begin_email message_not_sent": mailFails,

	"sessions two":       nil,
	"name_session named": nil,
	"events newest": func(w *world, _ sallyporttest.Person, c *call) {
		w.Clock.Advance(time.Second) // ids of one millisecond have no order
		w.do(call{method: "PATCH", path: "/api/v1/account/sessions/" + sessionID(c.bearer), bearer: c.bearer, body: object{"name": "Kitchen laptop"}}).want(200)
		c.path += "?limit=1"
	},

	"change_password changed":           nil,
	"change_password wrong_credentials": nil,
	"change_password step_up_required":  later(11 * time.Minute),
	"change_password paused":            wrong(policy.FreeTries, object{"current": "not the right one", "new": newPassword}),

	"mail_provider server":                  nil,
	"mail_provider own":                     saved("email", mailOf("smtp.example.com")),
	"set_mail_provider saved":               nil,
	"set_mail_provider conflict":            nil,
	"set_mail_provider step_up_required":    later(11 * time.Minute),
	"remove_mail_provider removed":          saved("email", mailOf("smtp.example.com")),
	"remove_mail_provider step_up_required": later(11 * time.Minute),
	"test_mail_provider sent":               nil,
	"test_mail_provider refused":            nil,
	"test_mail_provider step_up_required":   later(11 * time.Minute),
	"test_mail_provider tests_spent":        times(provider.TestsPerHour),
	"sms_provider none":                     nil,
	"sms_provider own":                      saved("sms", smsOf()),
	"set_sms_provider saved":                nil,
	"set_sms_provider conflict":             nil,
	"set_sms_provider step_up_required":     later(11 * time.Minute),
	"remove_sms_provider removed":           saved("sms", smsOf()),
	"remove_sms_provider step_up_required":  later(11 * time.Minute),
	"test_sms_provider sent":                nil,
	"test_sms_provider refused":             nil,
	"test_sms_provider step_up_required":    later(11 * time.Minute),
	"test_sms_provider budget_spent":        times(4),
	"duo_provider none":                     nil,
	"duo_provider own":                      saved("duo", duoOf()),
	"set_duo_provider saved":                nil,
	"set_duo_provider conflict":             nil,
	"set_duo_provider step_up_required":     later(11 * time.Minute),
	"remove_duo_provider removed":           saved("duo", duoOf()),
	"remove_duo_provider step_up_required":  later(11 * time.Minute),
	"test_duo_provider works":               pretendDuo,
	"test_duo_provider refused":             pretendDuo,
	"test_duo_provider step_up_required":    later(11 * time.Minute),
	"test_duo_provider tests_spent":         times(provider.TestsPerHour),

	"their_factors one":           nil,
	"set_up_for email":            nil,
	"set_up_for app":              nil,
	"set_up_for step_up_required": later(11 * time.Minute),
	"change_for step_up_required": later(11 * time.Minute),
	"remove_for step_up_required": later(11 * time.Minute),
	"act_on help_code": func(_ *world, _ sallyporttest.Person, c *call) {
		c.path = strings.Replace(c.path, "/sign-out", "/bypass-code", 1)
	},
	"act_on waiting":          func(w *world, p sallyporttest.Person, _ *call) { w.promote(p.User, directory.Helpdesk) },
	"act_on step_up_required": later(11 * time.Minute),
	"approvals one": func(w *world, p sallyporttest.Person, c *call) {
		onWaiting("approve")(w, p)
	},
	"approvals none":           nil,
	"approve approved":         nil,
	"approve step_up_required": later(11 * time.Minute),
	"cancel cancelled":         nil,

	"report_adoption all":                nil,
	"report_adoption no_permission":      plain(false),
	"report_sign_ins a_day":              oneDay,
	"report_sign_ins no_permission":      plain(false),
	"report_attention no_owner":          nil,
	"report_attention no_permission":     plain(false),
	"report_coverage one":                nil,
	"report_coverage no_permission":      plain(false),
	"report_coverage_file no_permission": plain(false),

	"api_keys none":                    nil,
	"exemptions none":                  nil,
	"save_role saved":                  nil,
	"save_role step_up_required":       later(11 * time.Minute),
	"remove_role step_up_required":     later(11 * time.Minute),
	"create_api_key created":           nil,
	"create_api_key step_up_required":  later(11 * time.Minute),
	"save_role invalid":                unheardOf,
	"create_api_key invalid":           unheardOf,
	"rename_api_key invalid":           unheardOf,
	"roll_api_key invalid":             unheardOf,
	"set_api_account invalid":          unheardOf,
	"end_api_account invalid":          unheardOf,
	"rename_api_key renamed":           nil,
	"roll_api_key rolled":              nil,
	"set_api_account set":              nil,
	"end_api_account ended":            nil,
	"rename_api_key step_up_required":  later(11 * time.Minute),
	"remove_api_key step_up_required":  later(11 * time.Minute),
	"roll_api_key step_up_required":    later(11 * time.Minute),
	"set_api_account step_up_required": later(11 * time.Minute),
	"end_api_account step_up_required": later(11 * time.Minute),
	"audit_events by_type":             func(_ *world, _ sallyporttest.Person, c *call) { c.path += "?type=company.created" },
	"audit_events none": func(_ *world, p sallyporttest.Person, c *call) {
		c.path += "?limit=10&type=password.&target=" + p.ID
	},
	"audit_events no_permission": plain(false),
	"verify_audit holds": func(w *world, _ sallyporttest.Person, _ *call) {
		if _, err := w.Audit.SealSome(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		w.AddUser(w.t, w.Company, "lena", false)
	},
	"audit_retention ever":                 nil,
	"set_audit_retention year":             nil,
	"set_audit_retention step_up_required": later(11 * time.Minute),
	"audit_streams none":                   nil,
	"set_audit_stream saved":               nil,
	"set_audit_stream conflict":            nil,
	"set_audit_stream step_up_required":    later(11 * time.Minute),
	"remove_audit_stream removed": func(w *world, _ sallyporttest.Person, c *call) {
		w.do(call{method: "PUT", path: c.path, bearer: c.bearer, body: streamTo()}).want(200)
	},
	"remove_audit_stream step_up_required": later(11 * time.Minute),
	"test_audit_stream works": func(w *world, _ sallyporttest.Person, c *call) {
		s := sallyporttest.NewSyslog(w.t)
		c.body = object{"host": s.Host, "port": s.Port, "ca": s.CA}
	},
	"test_audit_stream refused":          func(_ *world, _ sallyporttest.Person, c *call) { c.body = streamTo() },
	"test_audit_stream step_up_required": later(11 * time.Minute),
	"test_audit_stream tests_spent": func(w *world, p sallyporttest.Person, c *call) {
		c.body = streamTo()
		times(provider.TestsPerHour)(w, p, c)
	},
	"add_user added":      nil,
	"bulk_users require":  nil,
	"change_user renamed": nil,

	"policy current":                nil,
	"policy no_permission":          plain(false),
	"set_policy saved":              nil,
	"set_policy undone":             policySaved,
	"set_policy conflict":           nil,
	"set_policy strands_owners":     nil,
	"set_policy no_permission":      plain(false),
	"set_policy step_up_required":   later(11 * time.Minute),
	"preview_policy saved":          nil,
	"preview_policy conflict":       nil,
	"preview_policy strands_owners": nil,
	"preview_policy no_permission":  plain(false),
	"policy_versions first":         nil,
	"policy_versions no_permission": plain(false),
	"policy_version one":            nil,
	"policy_version not_found":      func(_ *world, _ sallyporttest.Person, c *call) { c.path += "000" },
	"policy_version no_permission":  plain(false),
	"policy_presets no_permission":  plain(false),

	"step_up need_factor":   nil,
	"step_up need_password": plain(false),
})

// oneDay has a day with sign-ins and a failure in it, counted.
func oneDay(w *world, p sallyporttest.Person, c *call) {
	w.post("/api/v1/attempts", "", object{"company": "acme", "login": p.Login, "password": "not the right one"}).want(422)
	w.Clock.Advance(time.Minute)
	c.bearer = w.signIn(p)
	w.seal()
	c.path += "?days=1"
}

func unheardOf(_ *world, _ sallyporttest.Person, c *call) { c.body = object{"unheard_of": 1} }

// saved gives the company a provider of its own.
func saved(channel string, body object) scene {
	return func(w *world, _ sallyporttest.Person, c *call) {
		w.do(call{method: "PUT", path: "/api/v1/providers/" + channel, bearer: c.bearer, body: body}).want(200)
	}
}

// times makes the same request before.
func times(n int) scene {
	return func(w *world, _ sallyporttest.Person, c *call) {
		for range n {
			w.do(*c).want(200)
		}
	}
}

// pretendDuo lets a Duo answer.
func pretendDuo(w *world, _ sallyporttest.Person, _ *call) {
	w.Duo = sallyporttest.NewDuo(w.t, sallyporttest.DuoConfig{Now: w.Clock.Now})
}

// turn makes a request one about another attempt.
func (w *world) turn(c *call) func(id, token string) {
	return func(id, token string) {
		c.path = regexp.MustCompile(`att_\w+`).ReplaceAllString(c.path, id)
		c.bearer = token
	}
}

// required adds somebody of whom a second step is demanded.
func (w *world) required(login, email string) sallyporttest.Person {
	w.t.Helper()
	u, err := w.Directory.CreateUser(w.t.Context(), w.Company, directory.NewUser{Login: login, Email: email, Verified: email != "", Password: sallyporttest.Password})
	if err == nil {
		err = w.Directory.SetRequire(w.t.Context(), w.Company, login, true)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return sallyporttest.Person{User: u}
}

// fallback makes a request one about the attempt of somebody who has only an address.
func (w *world) fallback(c *call) { w.turn(c)(w.begin(w.required("lena", "lena@acme.example"))) }

func mailFails(w *world, _ sallyporttest.Person, _ *call) { w.mail.fails.Store(true) }

func often(n int) scene {
	return func(w *world, _ sallyporttest.Person, c *call) {
		for range n {
			w.do(*c).want(201)
		}
	}
}

// locked makes a request one of a browser in which the app was turned off.
func locked(w *world, p sallyporttest.Person, c *call) {
	b := w.browser()
	b.signIn(p)
	lock(b, p)
	a := b.do(call{method: "POST", path: "/api/v1/attempts", body: object{"company": "acme", "login": "maya", "password": sallyporttest.Password}}).want(201)
	w.turn(c)(a.str("id"), a.str("token"))
}

// begunApp makes the request one about a new pending app of its person.
func (w *world) begunApp(c *call) sallyporttest.Person {
	w.t.Helper()
	id := c.path[len("/api/v1/account/factors/"):]
	id = id[:strings.Index(id, "/")]
	a := w.post("/api/v1/account/factors", c.bearer, object{"method": "totp", "replaces": id}).want(201)
	c.path = "/api/v1/account/factors/" + a.str("id") + "/confirm"
	return sallyporttest.Person{Factor: a.str("id"), Secret: secretOf(w.t, a.str("totp.secret"))}
}

// stage is a server as the examples take it to be.
func stage(t testing.TB, opts ...sallyporttest.Option) (*world, sallyporttest.Person) {
	t.Helper()
	f := &failing{}
	f.left.Store(never)
	m := &flaky{}
	opts = append([]sallyporttest.Option{func(c *sallyport.Config) {
		f.Store, c.Store = c.Store, f
		m.around(c)
	}, withTwilio(t)}, opts...)
	w := &world{Server: readyDuo(t, sallyporttest.NewServer(t, opts...)), t: t, failing: f, mail: m}
	u, err := w.Directory.CreateUser(t.Context(), w.Company, directory.NewUser{
		Login: "maya", Name: "Maya Lindqvist", Email: "maya@acme.example", Verified: true, Password: sallyporttest.Password,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := sallyporttest.Person{User: u}
	p.Factor, p.Secret = w.AddApp(t, u)
	w.do(call{method: "PATCH", path: "/api/v1/account/factors/" + p.Factor, bearer: w.signIn(p), body: object{"name": "Maya's phone"}}).want(200)
	return w, p
}

// Every example of an answer is what a server answers: to the example of the
// request with the same name, or to a request made for it.
func TestExamples(t *testing.T) {
	played := map[string]bool{}
	for _, op := range operations(t) {
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
					t.Run(key, func(t *testing.T) {
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
	for key := range scenes {
		if !played[key] {
			t.Errorf("the scene %q is of no example", key)
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
