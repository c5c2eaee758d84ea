package httpapi_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/twilio"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const (
	smsPath    = "/api/v1/providers/sms"
	duoPath    = "/api/v1/providers/duo"
	smsAccount = "AC00000000000000000000000000000001"
	smsSecret  = "0123456789abcdef-canary"
	duoSecret  = "SkeyOfTheFakeDuoServer000000000000000001"
	goodNumber = "+46701740605"
)

func smsOf() object {
	return object{"providers": []any{object{"driver": "twilio", "account": smsAccount, "secret": smsSecret, "from": "+46700000001"}}, "countries": []string{"SE", "PL"},
		"currency": "EUR", "price": 45, "day_texts": 500, "month_texts": 5000, "month_money": 200000}
}

func smsTestOf() object {
	b := smsOf()
	b["to"] = goodNumber
	return b
}

func duoOf() object {
	return object{"ikey": "DITESTINTEGRATION001", "skey": duoSecret, "host": "api-0badcafe.duosecurity.com"}
}

// withTwilio adds a provider that speaks as Twilio does: a trial account, which may
// write to every number but those that end in 36.
func withTwilio(t testing.TB) sallyporttest.Option {
	t.Helper()
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.PostFormValue("To"), "36"):
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"code": 21608, "message": "The number is unverified.", "status": 400}`)
		default:
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{"sid": "SM00000000000000000000000000000001", "status": "queued"}`)
		}
	}))
	t.Cleanup(gateway.Close)
	return func(c *sallyport.Config) {
		if c.TextDrivers == nil {
			return // a server without
		}
		d := twilio.New(gateway.Client())
		d.Base = gateway.URL
		c.TextDrivers = maps.Clone(c.TextDrivers)
		c.TextDrivers["twilio"] = d
	}
}

// Whoever is no owner sees and changes nothing; two companies have each their own;
// a server without has nothing.
func TestProvidersAreTheOwners(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	hers, theirs := w.signIn(w.owner(maya)), w.signIn(w.owner(w.AddUser(t, w.other, "maya", true)))
	session := w.signIn(maya)
	for path, body := range map[string]object{smsPath: smsOf(), duoPath: duoOf()} {
		test := maps.Clone(body)
		if path == smsPath {
			test = smsTestOf()
		}
		w.get(path, session).refused(authn.Forbidden)
		w.do(call{method: "PUT", path: path, bearer: session, body: body}).refused(authn.Forbidden)
		w.do(call{method: "DELETE", path: path, bearer: session}).refused(authn.Forbidden)
		w.post(path+"/test", session, test).refused(authn.Forbidden)

		w.do(call{method: "PUT", path: path, bearer: hers, body: body}).want(200)
		if a := w.get(path, theirs).want(200); a.at("own") != false || strings.Contains(string(a.body), "duosecurity") || strings.Contains(string(a.body), smsAccount) {
			t.Errorf("the other company: %s", a.body)
		}
		w.do(call{method: "DELETE", path: path, bearer: theirs}).want(200)
		if a := w.get(path, hers).want(200); a.at("own") != true {
			t.Errorf("%s", a.body)
		}
	}
	w.Clock.Advance(11 * time.Minute)
	w.do(call{method: "PUT", path: smsPath, bearer: hers, body: smsOf()}).refused(authn.StepUpRequired)
	w.post(duoPath+"/test", hers, duoOf()).refused(authn.StepUpRequired)
	w.get(smsPath, hers).want(200)

	n := newWorld(t, sallyporttest.NoMail(), func(c *sallyport.Config) { c.Duo = nil })
	none := n.signIn(n.owner(n.AddUser(t, n.Company, "maya", true)))
	for _, path := range []string{smsPath, duoPath} {
		n.get(path, none).refused(authn.NotFound)
		n.do(call{method: "PUT", path: path, bearer: none, body: object{}}).refused(authn.NotFound)
		n.do(call{method: "DELETE", path: path, bearer: none}).refused(authn.NotFound)
		n.post(path+"/test", none, object{}).refused(authn.NotFound)
	}
}

// Rul-32: a saved secret goes nowhere but where it was entered for, is in no answer
// and in no log.
func TestProviderSecrets_rul32_cve61(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(c *sallyport.Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	s := w.signIn(w.owner(w.AddUser(t, w.Company, "maya", true)))
	var answers []string
	keep := func(a answer) answer { answers = append(answers, string(a.body)); return a }
	with := func(change object) object {
		b := smsOf()
		p := object{"driver": "twilio", "account": smsAccount, "from": "+46700000001"}
		maps.Copy(p, change)
		b["providers"] = []any{p}
		return b
	}
	put := func(path string, b object) answer {
		return keep(w.do(call{method: "PUT", path: path, bearer: s, body: b}))
	}
	put(smsPath, with(nil)).field("providers.0.secret", "required")
	put(smsPath, smsOf()).want(200)
	if a := put(smsPath, with(object{"from": "ACME"})).want(200); a.at("providers.0.has_secret") != true || a.str("providers.0.from") != "ACME" {
		t.Errorf("%s", a.body)
	}
	other := with(object{"account": strings.Replace(smsAccount, "1", "2", 1)})
	put(smsPath, other).field("providers.0.secret", "again")
	other["to"] = goodNumber
	keep(w.post(smsPath+"/test", s, other)).field("providers.0.secret", "again")
	old := smsOf()
	old["version"] = 1
	put(smsPath, old).refused(authn.Conflict)
	keep(w.post(smsPath+"/test", s, object{"to": goodNumber})).want(200)
	put(duoPath, duoOf()).want(200)
	put(duoPath, object{"ikey": "DITESTINTEGRATION001", "host": "api-0badcafe.duosecurity.com", "let_in": true}).want(200)
	put(duoPath, object{"ikey": "DITESTINTEGRATION001", "host": "api-1badcafe.duosecurity.com"}).field("skey", "again")
	keep(w.post(duoPath+"/test", s, object{"ikey": "DITESTINTEGRATION002", "host": "api-0badcafe.duosecurity.com"})).field("skey", "again")
	keep(w.post(duoPath+"/test", s, object{})).want(200)
	list, err := w.Audit.Events(t.Context(), w.Company.ID, authn.EventQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append(answers, log.String(), fmt.Sprintf("%+v", list)) {
		for _, secret := range []string{smsSecret, "canary", duoSecret} {
			if strings.Contains(text, secret) {
				t.Errorf("holds the secret: %.300s", text)
			}
		}
	}
}

// What is wrong is said by its field, in a sentence.
func TestProviderFields(t *testing.T) {
	w := newWorld(t)
	s := w.signIn(w.owner(w.AddUser(t, w.Company, "maya", true)))
	for _, tt := range []struct {
		change      object
		field, code string
	}{
		{object{"providers": []any{}}, "providers", "required"},
		{object{"providers": []any{object{"driver": "pigeon"}}}, "providers.0.driver", "not_one_of"},
		{object{"providers": slices.Repeat([]any{object{"driver": "inbox"}}, 6)}, "providers", "too_many"},
		{object{"countries": []string{}}, "countries", "required"},
		{object{"countries": []string{"XX"}}, "countries", "invalid"},
		{object{"currency": "EURO"}, "currency", "invalid"},
		{object{"currency": ""}, "currency", "required"},
		{object{"price": 0}, "price", "required"},
		{object{"price": -1}, "price", "out_of_range"},
		{object{"day_texts": -1}, "day_texts", "out_of_range"},
		{object{"month_texts": 10_000_001}, "month_texts", "out_of_range"},
	} {
		b := smsOf()
		maps.Copy(b, tt.change)
		w.do(call{method: "PUT", path: smsPath, bearer: s, body: b}).field(tt.field, tt.code)
	}
	for to, code := range map[string]string{"": "required", "hello": "letters", "+4687": "too_few", "+46 8 123 456 78": "not_mobile"} {
		b := smsOf()
		b["to"] = to
		w.post(smsPath+"/test", s, b).field("to", code)
	}
	b := smsTestOf()
	b["provider"] = 1
	w.post(smsPath+"/test", s, b).field("provider", "not_one_of")
	b = smsTestOf()
	b["to"] = "+14155552671"
	w.post(smsPath+"/test", s, b).refused(authn.PolicyForbids)
	w.do(call{method: "PUT", path: duoPath, bearer: s, body: object{"skey": duoSecret, "host": "api-0badcafe.duosecurity.com"}}).field("ikey", "required")
	w.do(call{method: "PUT", path: duoPath, bearer: s, body: object{"ikey": "DITESTINTEGRATION001", "skey": duoSecret, "host": "127.0.0.1"}}).field("host", "invalid")
	w.do(call{method: "PUT", path: duoPath, bearer: s, body: object{"ikey": "DITESTINTEGRATION001", "skey": duoSecret, "host": "api-0badcafe.duosecurity.com", "x": 1}}).field("x", "unknown")
}

// Reports count once, signed by the provider alone; nobody else learns anything.
func TestReceipts_rul13(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(c *sallyport.Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	s := w.signIn(w.owner(w.AddUser(t, w.Company, "maya", true)))
	w.do(call{method: "PUT", path: smsPath, bearer: s, body: smsOf()}).want(200)
	path := provider.ReceiptPath(w.Company.ID, "twilio-1")
	report := func(path, sid, state, secret string, header ...string) int {
		form := url.Values{"MessageSid": {sid}, "MessageStatus": {state}, "To": {goodNumber}}
		mac := hmac.New(sha1.New, []byte(secret))
		mac.Write([]byte(w.URL + path + "MessageSid" + sid + "MessageStatus" + state + "To" + goodNumber))
		r, err := http.NewRequest("POST", w.URL+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		for i := 0; i < len(header); i += 2 {
			if r.Header.Set(header[i], header[i+1]); header[i] == "Host" {
				r.Host = header[i+1]
			}
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		ours := resp.StatusCode != http.StatusMisdirectedRequest && resp.StatusCode != http.StatusRequestEntityTooLarge && !slices.Contains(header, "cross-site")
		if ours && len(body) > 0 || len(resp.Cookies()) > 0 {
			t.Errorf("%s: %q", path, body)
		}
		return resp.StatusCode
	}
	for range 2 { // a report that comes again counts once
		if got := report(path, "SM1", "delivered", smsSecret); got != 204 {
			t.Errorf("status %d", got)
		}
	}
	report(path, "SM2", "undelivered", smsSecret)
	report(path, "SM3", "sent", smsSecret)
	for name, got := range map[string]int{
		"forged":         report(path, "SM4", "delivered", "another secret"),
		"not a report":   report(path, "", "delivered", smsSecret),
		"other place":    report(provider.ReceiptPath(w.Company.ID, "twilio-2"), "SM4", "delivered", smsSecret) + 403 - 404,
		"other company":  report(provider.ReceiptPath(w.other.ID, "twilio-1"), "SM4", "delivered", smsSecret) + 403 - 404,
		"no company":     report(provider.ReceiptPath("acme", "twilio-1"), "SM4", "delivered", smsSecret) + 403 - 404,
		"unknown query":  report(path+"?x=1", "SM4", "delivered", "another secret"),
		"wrong host":     report(path, "SM4", "delivered", smsSecret, "Host", "evil.example") + 403 - 421,
		"browser's form": report(path, "SM4", "delivered", smsSecret, "Sec-Fetch-Site", "cross-site"),
	} {
		if got != 403 {
			t.Errorf("%s: %d", name, got)
		}
	}
	if got := report(path, strings.Repeat("x", 70_000), "delivered", smsSecret); got != 413 {
		t.Errorf("too long: %d", got)
	}
	if a := w.get(path, ""); a.status != 403 {
		t.Errorf("GET without a signature: %d", a.status)
	}
	a := w.get(smsPath, s).want(200)
	if a.at("delivered_today") != 1.0 || a.at("undelivered_today") != 1.0 {
		t.Errorf("%s", a.body)
	}
	if strings.Contains(log.String(), "46701740605") || strings.Contains(log.String(), smsSecret) || strings.Contains(log.String(), "SM1") {
		t.Error("the log holds a report")
	}
}

// Rul-19: all owners are told which provider it was.
func TestProvidersTellOwners_rul19(t *testing.T) {
	w := newWorld(t)
	priya := w.owner(w.AddUser(t, w.Company, "maya", true))
	other := w.owner(w.AddUser(t, w.Company, "lena", true))
	s := w.signIn(priya)
	w.do(call{method: "PUT", path: smsPath, bearer: s, body: smsOf()}).want(200)
	w.do(call{method: "PUT", path: duoPath, bearer: s, body: duoOf()}).want(200)
	w.do(call{method: "DELETE", path: duoPath, bearer: s}).want(200)
	for _, p := range []string{priya.Email, other.Email} {
		var said []string
		for _, m := range w.Mail(t, p) {
			switch text := strings.Join(strings.Fields(m.Text), " "); {
			case strings.Contains(text, "settings of the text messages of Acme Projects were changed"):
				said = append(said, "sms")
			case strings.Contains(text, "which Duo says who you are"):
				said = append(said, "duo")
			}
		}
		slices.Sort(said) // one drain sends letters in any order
		if !slices.Equal(said, []string{"duo", "duo", "sms"}) {
			t.Errorf("%s was told %v", p, said)
		}
	}
}
