package main

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
)

const (
	smsHead = "public_url: https://login.example.com\nsms:\n"
	sid     = "AC0123456789abcdef0123456789abcdef"
	twilio1 = "  driver: twilio\n  account: " + sid + "\n  secret: hunter2-hunter2\n  from: \"+46701740605\"\n"
)

// Everything that is wrong with text messages is said at once, and the secret never.
func TestSMSConfig_B5(t *testing.T) {
	for text, want := range map[string][]string{
		twilio1 + "  countries: [SE, no]\n": nil,
		twilio1 + "  countries: [SE]\n  price: 0.045\n  currency: eur\n  day_money: 50\n  month_texts: 2000\nsms2:\n  driver: webhook\n  url: https://texts.example.com/send\n  secret: hunter2-hunter2-hunter2\n": nil,
		"  account: x\n  countries: [SE]\n":                             {"sms.account is set and sms.driver is not", "sms.countries is set and sms.driver is not"},
		"  driver: pigeon\n  countries: [SE]\n":                         {"it must be twilio, vonage, sns, plivo or webhook"},
		"  driver: twilio\n":                                            {"sms.account: is missing: twilio needs the account SID", "sms.secret: is missing: twilio needs the auth token of the account; set SALLYPORT_SMS_SECRET_FILE", "sms.from: is missing", "sms.countries: is missing"},
		strings.Replace(twilio1, sid, "AC1", 1) + "  countries: [SE]\n": {"sms.account is not what twilio takes: the account SID"},
		twilio1 + "  countries: [SE, Sweden, XX]\n":                     {`"SWEDEN" is no country`, `"XX" is no country`},
		twilio1 + "  countries: []\n":                                   {"sms.countries: is missing"},
		twilio1 + "  countries: [SE]\n  price: 0.0451\n  day_texts: 0\n  month_money: -1\n  currency: euro\n":                                                       {"sms.price is \"0.0451\"; it must be an amount", "sms.day_texts is \"0\"; it must be a number of messages", "sms.month_money is", "sms.currency is"},
		twilio1 + "  countries: [SE]\n  day_money: 5\n":                                                                                                             {"sms.day_money is set without sms.price and sms.currency"},
		twilio1 + "  countries: [SE]\n  price: 1\n":                                                                                                                 {"sms.price is set without sms.currency"},
		twilio1 + "  countries: [SE]\n  currency: EUR\n":                                                                                                            {"sms.currency is set without sms.price"},
		twilio1 + "  countries: [SE]\nsms2:\n  from: Example\n":                                                                                                     {"sms2.from is set and sms2.driver is not"},
		"  driver: sns\n  account: AKIAIOSFODNN7EXAMPLE\n  secret: hunter2-hunter2\n  region: stockholm\n  countries: [SE]\n":                                       {"sms.region is not what sns takes: a region of AWS"},
		"  driver: webhook\n  url: https://texts.example.com:8443/x\n  secret: hunter2-hunter2\n  countries: [SE]\n":                                                {"sms.secret is not what webhook takes: 16 to 256"},
		"  driver: webhook\n  url: https://texts.example.com:8443/x\n  secret: hunter2-hunter2-hunter2\n  countries: [SE]\n":                                        {"sms.url is at a port that egress.ports does not list"},
		"  driver: webhook\n  url: https://10.0.0.1/x\n  secret: hunter2-hunter2-hunter2\n  countries: [SE]\n":                                                      {"sms.url is not on the public internet; set egress.private"},
		"  driver: webhook\n  url: https://10.0.0.1:8443/x\n  secret: hunter2-hunter2-hunter2\n  countries: [SE]\negress:\n  private: true\n  ports: [443, 8443]\n": nil,
		"  driver: webhook\n  url: http://texts.example.com/x\n  secret: hunter2-hunter2-hunter2\n  countries: [SE]\negress: {ports: [https, 0]}\n":                 {"sms.url is not what webhook takes: an https address", `"https" is no port`, `"0" is no port`},
	} {
		_, err := loadConfig(write(t, "c.yaml", smsHead+text), nil)
		var bad configError
		errors.As(err, &bad)
		if len(bad) != len(want) || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not in %v", text, w, err)
			}
		}
	}
	if _, err := loadConfig(write(t, "c.yaml", "public_url: https://h\nsms2: {driver: vonage, account: a1b2c3d4, secret: hunter2-hunter2, from: Example}\n"), nil); err == nil || !strings.Contains(err.Error(), "sms2 is set and sms is not") {
		t.Errorf("a second one alone: %v", err)
	}
}

// Lists and secrets may come from the environment, which takes the file's place.
func TestSMSEnvironment_B5(t *testing.T) {
	file := write(t, "c.yaml", smsHead+twilio1+"  countries: [SE, NO]\n  day_texts: 5\nsms2:\n  driver: vonage\n  account: a1b2c3d4\n  from: Example\n")
	secret := write(t, "secret", "another-secret\n")
	c, err := loadConfig(file, []string{"SALLYPORT_SMS_COUNTRIES=DE, pl", "SALLYPORT_SMS2_SECRET_FILE=" + secret, "SALLYPORT_SMS_PRICE=0.07", "SALLYPORT_SMS_CURRENCY=USD", "SALLYPORT_EGRESS_PORTS=443,8443"})
	if err != nil {
		t.Fatal(err)
	}
	got := c.SMS.settings()
	if !slices.Equal(got.Countries, []string{"DE", "PL"}) || len(got.Providers) != 2 || got.Providers[0].Secret != "hunter2-hunter2" || got.Providers[1].Secret != "another-secret" ||
		got.DayTexts != 5 || got.Price != 70 || got.Currency != "USD" || !slices.Equal(c.Ports, []int{443, 8443}) {
		t.Errorf("%s %v %v", got, got.Countries, c.Ports)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := loadConfig(file, []string{"SALLYPORT_SMS2_SECRET=another-secret"}); err == nil || !strings.Contains(err.Error(), "holds sms.secret and others can read it") {
		t.Errorf("a file that others can read: %v", err)
	}
}

// A field that the driver does not look at is a warning.
func TestSMSWarnings(t *testing.T) {
	c := smsConfig{First: authn.TextProvider{Driver: "twilio", Region: "eu-north-1", From: "x", URL: "u"}, Second: authn.TextProvider{Driver: "webhook", From: "x"}}
	want := []string{"sms.region means nothing with twilio", "sms.url means nothing with twilio", "sms2.from means nothing with webhook"}
	if got := c.warnings(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestMoney(t *testing.T) {
	for text, want := range map[string]int64{"0.045": 45, "1": 1000, "12.5": 12500, "10000000": 10_000_000_000,
		"": 0, "0": 0, "0.0001": 0, ".5": 0, "5.": 0, "1,5": 0, "-1": 0, "1e3": 0, "10000000.001": 0, "999999999": 0, "+1": 0} {
		if got, err := parseMoney(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for n, want := range map[int64]string{45: "0.045 EUR", 50000: "50.00 EUR", 12500: "12.50 EUR"} {
		if got := money(n, "EUR"); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
