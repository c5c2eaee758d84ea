package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// inv-H, cve-61, cve-75, std-63: no number, code, passcode, key of Duo or address of
// a set-up there is in the log, in an event, in a refusal, or in the clear in the
// database, whatever works and whatever fails.
func TestTextAndDuoCanary_invH_cve61_cve75(t *testing.T) {
	var log sallyporttest.LogBuffer
	w := newTexted(t, func(c *sallyport.Config) {
		c.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	secrets := map[string]string{"number": nadiasNumber, "number of another": lenasNumber, "national": "0701740605", "written": "70 174 06 05", "plain": "46701740606", "skey": sallyporttest.DuoSKey}
	var refusals bytes.Buffer
	keep := func(a answer) answer {
		if a.status >= 400 {
			refusals.Write(a.body)
		}
		return a
	}
	nadia, diego, maya := w.texted("nadia", nadiasNumber), w.duoed("diego"), w.AddUser(t, w.Company, "maya", true)
	words := func(ctx context.Context, m authn.Message) error {
		return &authn.SendError{Stage: "accept", Code: "21211", Reply: "The number " + m.To + " is no number: " + m.Text, Err: fmt.Errorf("POST https://example.com/?To=%s: %s", m.To, m.Text)}
	}
	id, token := w.begin(nadia)
	keep(w.sendText(id, token)).want(200)
	code := w.LastCode(t, nadiasNumber)
	secrets["code"] = code
	keep(w.sendText(id, token))
	keep(w.verifyText(id, token, wrongOf(code)))
	keep(w.post("/api/v1/attempts/"+id+"/verify", token, `{"method":"sms","code":"`+code))
	keep(w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "sms", "code": []string{code}}))
	keep(w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "sms", "code": code, code: code}))
	keep(w.verifyText(id, token, code)).want(200)
	keep(w.verifyText(id, token, code))

	w.Clock.Advance(10 * time.Minute)
	w.mail.met.Store(&words)
	id, token = w.begin(nadia)
	keep(w.sendText(id, token)).refused(authn.MessageNotSent)
	session := w.signIn(maya)
	keep(w.post("/api/v1/account/factors", session, object{"method": "sms", "phone": lenasNumber})).refused(authn.MessageNotSent)
	w.mail.met.Store(nil)
	keep(w.post("/api/v1/account/factors", session, object{"method": "sms", "phone": nadiasNumber})).refused(authn.Conflict)
	keep(w.post("/api/v1/account/factors", session, object{"method": "sms", "phone": lenasNumber + "0000000"}))
	keep(w.post("/api/v1/account/factors", session, object{"method": "sms", "phone": "+49" + lenasNumber[3:]}))
	keep(w.post("/api/v1/account/factors", session, object{"method": "sms", "telephone": lenasNumber, lenasNumber: 1}))
	keep(w.get("/api/v1/account/factors?phone="+lenasNumber, session))

	begun := keep(w.post("/api/v1/account/factors", session, object{"method": "duo"})).want(201)
	secrets["portal"] = begun.str("duo.portal_url")
	keep(w.post("/api/v1/account/factors/"+begun.str("id")+"/challenge", session, object{}))
	w.Duo.Play("/auth/v2/preauth", sallyporttest.DuoFault{Body: `{"stat":"FAIL","code":40002,"message":"` + sallyporttest.DuoSKey + ` 7654321"}`})
	id, token = w.begin(diego)
	keep(w.askDuo(id, token, "")).refused(authn.ProviderUnavailable)
	w.Clock.Advance(time.Minute)
	id, token = w.begin(diego)
	keep(w.askDuo(id, token, "auto"))
	secrets["passcode"] = "7654321"
	keep(w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "duo", "code": "7654321"})).want(200)

	w.promote(maya.User, directory.Owner)
	events := w.get("/api/v1/audit/events?limit=200", w.signIn(maya)).want(200)
	if n := len(events.at("items").([]any)); n < 15 {
		t.Errorf("only %d events", n)
	}
	if n := strings.Count(log.String(), "\n"); n < 20 {
		t.Errorf("only %d records", n)
	}
	database, err := os.ReadFile(w.Path)
	if err != nil {
		t.Fatal(err)
	}
	wal, err := os.ReadFile(w.Path + "-wal")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for where, held := range map[string][]byte{"log": []byte(log.String()), "events": events.body, "refusals": refusals.Bytes(), "database": append(database, wal...)} {
		for what, s := range secrets {
			if what == "code" || what == "passcode" {
				s = boundary(held, s)
			}
			if s != "" && bytes.Contains(held, []byte(s)) {
				i := bytes.Index(held, []byte(s))
				t.Errorf("the %s holds the %s: …%q…", where, what, held[max(0, i-80):min(len(held), i+len(s)+20)])
			}
		}
	}
}

// boundary is s, if it stands in held by itself: digits are also part of ids, times
// and what is sealed.
func boundary(held []byte, s string) string {
	word := func(i int) bool {
		return i >= 0 && i < len(held) && (held[i] >= '0' && held[i] <= '9' || held[i] >= 'a' && held[i] <= 'z' || held[i] >= 'A' && held[i] <= 'Z' || held[i] >= 0x80 || held[i] == '.')
	}
	for from := 0; ; {
		i := bytes.Index(held[from:], []byte(s))
		if i < 0 {
			return ""
		}
		i += from
		if !word(i-1) && !word(i+len(s)) {
			return s
		}
		from = i + 1
	}
}
