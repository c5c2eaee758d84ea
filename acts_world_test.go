package sallyport_test

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// deeds is a server with two owners, an administrator, and two people: maya with an
// app and lena without.
type deeds struct {
	*doors
	ids    map[string]string
	tokens map[string]string
}

func newDeeds(t *testing.T) *deeds {
	d := &deeds{doors: newDoors(t), ids: map[string]string{}, tokens: map[string]string{}}
	boss, _, err := d.Directory.Lookup(t.Context(), d.Company, "boss")
	d.must(err)
	maya := d.AddUser(t, d.Company, "maya", true)
	d.ids["boss"], d.ids["maya"], d.ids["factor"] = boss.ID, maya.ID, maya.Factor
	d.ids["olga"] = d.person(d.Company, "olga", directory.Owner).ID
	d.ids["priya"] = d.person(d.Company, "priya", directory.Administrator).ID
	d.ids["lena"] = d.AddUser(t, d.Company, "lena", false).ID
	for _, login := range []string{"boss", "olga"} {
		d.signIn(login)
	}
	return d
}

// signIn gives somebody an app, and a session that proved itself with it.
func (d *deeds) signIn(login string) (secret []byte) {
	d.t.Helper()
	_, secret = d.AddApp(d.t, authn.User{Company: d.Company.ID, ID: d.ids[login], Epoch: 1})
	begun, err := d.SignIn.Begin(d.t.Context(), signin.Begin{Company: d.Company.Slug, Login: login, Password: sallyporttest.Password})
	d.must(err)
	d.tokens["attempt"] = begun.Token.Reveal()
	_, answer := d.ask("attempt", "POST", "/api/v1/attempts/"+begun.Attempt.ID+"/verify", `{"method":"totp","code":"`+sallyporttest.CodeAt(d.t, secret, d.Clock.Now())+`"}`)
	var in struct{ Session struct{ Token string } }
	d.must(json.Unmarshal([]byte(answer), &in))
	if d.tokens[login] = in.Session.Token; in.Session.Token == "" {
		d.t.Fatal(answer)
	}
	return secret
}

func (d *deeds) fill(s string) string {
	for name, id := range d.ids {
		s = strings.ReplaceAll(s, "{"+name+"}", id)
	}
	return s
}

// picture is a PNG as the body of a request.
var picture = func() string {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 40, 20))); err != nil {
		panic(err)
	}
	return b.String()
}()

// ask makes a request with the reason in it.
func (d *deeds) ask(who, method, path, body string) (int, string) {
	d.t.Helper()
	kind := "application/json"
	switch {
	case body == picture:
		kind = "image/png"
	case !strings.HasPrefix(body, "{"):
		kind = "text/csv"
	default:
		body = strings.ReplaceAll(d.fill(body), "%s", because)
	}
	r, err := http.NewRequest(method, d.URL+d.fill(path), strings.NewReader(body))
	d.must(err)
	r.Header.Set("Authorization", "Bearer "+d.tokens[who])
	r.Header.Set("Content-Type", kind)
	resp, err := http.DefaultTransport.RoundTrip(r)
	d.must(err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	d.must(err)
	return resp.StatusCode, string(raw)
}

// newest is the id of the last event; since are those after it.
func (d *deeds) newest() string {
	d.t.Helper()
	list, err := d.Audit.Events(d.t.Context(), d.Company.ID, authn.EventQuery{Limit: 1})
	d.must(err)
	return list[0].ID
}

func (d *deeds) since(id string) (out []authn.Event) {
	d.t.Helper()
	list, err := d.Audit.Events(d.t.Context(), d.Company.ID, authn.EventQuery{Limit: 200})
	d.must(err)
	for _, ev := range list {
		if ev.ID > id {
			out = append(out, ev)
		}
	}
	return out
}

// letters takes what waits in the outbox.
func (d *deeds) letters() []authn.Letter {
	d.t.Helper()
	list, err := d.Store.ClaimLetters(d.t.Context(), d.Clock.Now(), 100, time.Hour)
	d.must(err)
	return list
}

var shownOnce = regexp.MustCompile(`"(?:code|secret|token|uri)": ?"([^"]+)"`)

// secrets are what an answer shows once.
func (d *deeds) secrets(answer string) (list []string) {
	for _, found := range shownOnce.FindAllStringSubmatch(answer, -1) {
		list = append(list, found[1])
	}
	return list
}

// before does an act on maya first.
func before(do string) func(*deeds) {
	return func(d *deeds) { d.ask("boss", "POST", "/api/v1/users/{maya}/"+do, why) }
}

func (d *deeds) demanding() {
	d.SetPolicy(d.t, "acme", func(p *policy.Document) {
		p.TwoFactor, p.OwnWay, p.GraceDays = policy.Required, []authn.Audience{authn.InternalAudience}, 30
	})
}

// helpless has maya ask for help from the sign-in page.
func (d *deeds) helpless() {
	st, err := d.SignIn.Begin(d.t.Context(), signin.Begin{Company: "acme", Login: "maya", Password: sallyporttest.Password})
	d.must(err)
	_, err = d.SignIn.AskHelp(d.t.Context(), signin.OpenerOf(st.Token, authn.Client{}))
	d.must(err)
}

// beginApp begins an app together with lena, and knows the code that it shows.
func (d *deeds) beginApp() {
	d.t.Helper()
	_, answer := d.ask("boss", "POST", "/api/v1/users/{lena}/factors", `{"method":"totp","reason":"x"}`)
	var begun struct {
		ID   string
		TOTP struct{ Secret string }
	}
	d.must(json.Unmarshal([]byte(answer), &begun))
	secret, err := otp.DecodeSecret(begun.TOTP.Secret)
	d.must(err)
	d.ids["begun"], d.ids["code"] = begun.ID, sallyporttest.CodeAt(d.t, secret, d.Clock.Now())
}

func (d *deeds) waiting() {
	d.t.Helper()
	_, answer := d.ask("boss", "POST", "/api/v1/users/{priya}/reset", why)
	var out struct{ Waiting struct{ ID string } }
	d.must(json.Unmarshal([]byte(answer), &out))
	d.ids["approval"] = out.Waiting.ID
}

func (d *deeds) keyed() {
	d.t.Helper()
	_, answer := d.ask("boss", "POST", "/api/v1/api-keys", `{"name":"nightly","owner":"priya","scopes":["audit.read"]}`)
	var k struct{ ID string }
	d.must(json.Unmarshal([]byte(answer), &k))
	d.ids["key"] = k.ID
}

// redeemer is a key of the owner's, with what a return address asks for.
func (d *deeds) redeemer() {
	d.t.Helper()
	_, answer := d.ask("boss", "POST", "/api/v1/api-keys", `{"name":"shop","owner":"olga","scopes":["grants.redeem"]}`)
	var k struct{ ID string }
	d.must(json.Unmarshal([]byte(answer), &k))
	d.ids["key"] = k.ID
}

// granted has maya confirm an action of an application.
func (d *deeds) granted() {
	d.t.Helper()
	d.ask("boss", "PUT", "/api/v1/actions/invoice.pay", payAction)
	secret := d.signIn("maya")
	d.Clock.Advance(time.Minute)
	_, answer := d.ask("maya", "POST", "/api/v1/account/step-up", `{"action":"invoice.pay"}`)
	var begun struct{ ID, Token string }
	d.must(json.Unmarshal([]byte(answer), &begun))
	d.tokens["attempt"] = begun.Token
	_, answer = d.ask("attempt", "POST", "/api/v1/attempts/"+begun.ID+"/verify", `{"method":"totp","code":"`+sallyporttest.CodeAt(d.t, secret, d.Clock.Now())+`"}`)
	var done struct{ Grant struct{ Token string } }
	d.must(json.Unmarshal([]byte(answer), &done))
	d.ids["grant"] = done.Grant.Token
}

// loosened is a policy that demands two steps, and a document that does not.
func (d *deeds) loosened() {
	d.t.Helper()
	d.SetTwoFactor(d.t, "acme", policy.Required)
	c, err := d.Directory.Company(d.t.Context(), "acme")
	d.must(err)
	doc, err := policy.Parse(c.Policy)
	d.must(err)
	doc.TwoFactor = policy.Off
	raw, err := doc.Encode()
	d.must(err)
	d.ids["policy"], d.ids["document"] = strconv.FormatInt(c.PolicyVersion, 10), string(raw)
}

// hooked sends the events to a webhook of the test.
func (d *deeds) hooked() {
	h := sallyporttest.NewEventHook(d.t, d.Clock.Now)
	d.Stream(d.t, d.Company, authn.AuditWebhook, authn.StreamSettings{URL: h.URL, Secret: h.Secret}, false)
}
