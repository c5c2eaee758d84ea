package httpapi_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/provider"
)

const mailPath = "/api/v1/providers/email"

// Whoever is no owner sees and changes nothing, and two companies have two mail
// servers.
func TestMailProviderIsTheOwners(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	session := w.signIn(maya)
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		c := call{method: method, path: mailPath, bearer: session}
		if method == "PUT" {
			c.body = mailOf("smtp.example.com")
		}
		w.do(c).refused(authn.Forbidden)
	}
	w.post(mailPath+"/test", session, mailOf("smtp.example.com")).refused(authn.Forbidden)

	priya := w.owner(maya)
	zoe := w.owner(w.AddUser(t, w.other, "maya", true))
	hers, theirs := w.signIn(priya), w.signIn(zoe)
	w.do(call{method: "PUT", path: mailPath, bearer: hers, body: mailOf("smtp.example.com")}).want(200)
	if a := w.get(mailPath, theirs).want(200); a.str("state") != "server" || strings.Contains(string(a.body), "smtp.example.com") {
		t.Errorf("the other company: %s", a.body)
	}
	w.do(call{method: "DELETE", path: mailPath, bearer: theirs}).want(200)
	if a := w.get(mailPath, hers).want(200); a.str("host") != "smtp.example.com" {
		t.Errorf("%s", a.body)
	}
	// The person lost the role: at once, in the same session.
	w.Clock.Advance(11 * time.Minute)
	w.do(call{method: "PUT", path: mailPath, bearer: hers, body: mailOf("smtp.example.com")}).refused(authn.StepUpRequired)
	w.get(mailPath, hers).want(200)
}

// Rul-32: the saved password goes nowhere but where it was entered for, neither
// by saving nor by a test.
func TestMailProviderPassword_rul32(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(c *sallyport.Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	s := w.signIn(w.owner(w.AddUser(t, w.Company, "maya", true)))
	put := func(body object) answer { return w.do(call{method: "PUT", path: mailPath, bearer: s, body: body}) }
	put(object{"host": "smtp.example.com", "username": "acme", "from": "a@acme.example"}).field("password", "required")
	put(mailOf("smtp.example.com")).want(200)
	same := object{"host": "SMTP.example.com ", "port": 587, "tls": "starttls", "username": "acme", "from": "b@acme.example"}
	if a := put(same).want(200); a.at("password_set") != true || a.str("from") != "b@acme.example" {
		t.Errorf("%s", a.body)
	}
	for name, v := range map[string]any{"host": "mail.evil.example", "port": 465, "tls": "implicit", "username": "eve"} {
		other := object{"host": "smtp.example.com", "port": 587, "tls": "starttls", "username": "acme", "from": "b@acme.example", name: v}
		put(other).field("password", "again")
		w.post(mailPath+"/test", s, other).field("password", "again")
	}
	put(object{"host": "smtp.example.com", "from": "b@acme.example", "version": 1}).refused(authn.Conflict)
	if a := put(object{"host": "smtp.example.com", "from": "b@acme.example"}).want(200); a.at("password_set") != false {
		t.Errorf("without a user there is no password: %s", a.body)
	}
	if strings.Contains(log.String(), mailSecret) || strings.Contains(log.String(), "hunter2") {
		t.Error("the log holds the password")
	}
}

// Rul-32: what points into the network is refused with a sentence.
func TestMailProviderEgress_rul32(t *testing.T) {
	w := newWorld(t)
	s := w.signIn(w.owner(w.AddUser(t, w.Company, "maya", true)))
	for _, host := range []string{"127.0.0.1", "localhost", "LOCALHOST", "::1", "169.254.169.254", "10.0.0.5", "::ffff:169.254.169.254", "0.0.0.0", "fd00:ec2::254"} {
		for _, c := range []call{{method: "PUT", path: mailPath}, {method: "POST", path: mailPath + "/test"}} {
			c.bearer, c.body = s, mailOf(host)
			if a := w.do(c).field("host", "not_public"); !strings.Contains(string(a.body), "not on the public internet") {
				t.Errorf("%s: %s", host, a.body)
			}
		}
	}
	for host, code := range map[string]string{"https://smtp.example.com": "mail_host", "a b": "mail_host", "smtp.example.com:25": "mail_host", "ex\u202eample": "mail_host",
		"x\r\nRCPT TO:<y>": "mail_host", "": "required"} {
		w.do(call{method: "PUT", path: mailPath, bearer: s, body: mailOf(host)}).field("host", code)
	}
	body := mailOf("smtp.example.com")
	body["port"] = 22
	w.do(call{method: "PUT", path: mailPath, bearer: s, body: body}).field("port", "mail_port")
}

// Rul-19: all owners are told, through the server before, for a day, and also of
// a second change.
func TestMailProviderTellsOwners_rul19(t *testing.T) {
	w := newWorld(t)
	priya := w.owner(w.AddUser(t, w.Company, "maya", true))
	other := w.owner(w.AddUser(t, w.Company, "lena", true))
	s := w.signIn(priya)
	for range 2 {
		w.do(call{method: "PUT", path: mailPath, bearer: s, body: mailOf("smtp.example.com")}).want(200)
	}
	for _, p := range []string{priya.Email, other.Email} {
		n := 0
		for _, m := range w.Mail(t, p) {
			if strings.Contains(m.Subject, "Settings for sending") {
				n++
			}
		}
		if n != 2 {
			t.Errorf("%s was told %d times", p, n)
		}
	}
	// A test is a message with the company's name, and there are ten an hour.
	test := mailOf("smtp.example.com")
	test["to"] = "someone@acme.example"
	for range provider.TestsPerHour {
		if a := w.post(mailPath+"/test", s, test).want(200); a.at("ok") != true {
			t.Errorf("%s", a.body)
		}
	}
	w.post(mailPath+"/test", s, test).refused(authn.TooManyRequests)
	if got := w.Mail(t, "someone@acme.example"); len(got) != provider.TestsPerHour || !strings.Contains(got[0].Text, "test of the e-mail settings") {
		t.Errorf("%d messages", len(got))
	}
	test["to"] = "someone@acme.example\r\nBcc: x@y.example"
	w.post(mailPath+"/test", s, test).field("to", "invalid")
	w.Clock.Advance(time.Hour)
	s = w.signIn(priya)
	test["to"] = "late@acme.example"
	w.post(mailPath+"/test", s, test).want(200)
}
