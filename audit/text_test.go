package audit_test

import (
	"testing"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
)

func TestTextKey(t *testing.T) {
	has := func(key string) bool {
		return map[string]bool{"event.a.b": true, "event.a.b.nobody": true, "event.a.b.nobody.late": true, "event.a.b.late": true, "event.a.b.totp": true,
			"event.a.b.late.sms": true, "event.a.b.nobody.sms": true}[key]
	}
	for _, c := range []struct {
		event authn.Event
		want  string
	}{
		{authn.Event{Type: "a.b", Actor: "usr_1"}, "event.a.b"},
		{authn.Event{Type: "a.b"}, "event.a.b.nobody"},
		{authn.Event{Type: "a.b", Personal: authn.Personal{Detail: map[string]string{"reason": "late"}}}, "event.a.b.nobody.late"},
		{authn.Event{Type: "a.b", Personal: authn.Personal{Detail: map[string]string{"reason": "x"}}}, "event.a.b.nobody"},
		{authn.Event{Type: "a.b", Actor: "usr_1", Personal: authn.Personal{Detail: map[string]string{"method": "totp", "reason": "late"}}}, "event.a.b.late"},
		{authn.Event{Type: "a.b", Actor: "usr_1", Personal: authn.Personal{Detail: map[string]string{"method": "totp", "reason": "x"}}}, "event.a.b.totp"},
		{authn.Event{Type: "a.b", Actor: "usr_1", Personal: authn.Personal{Detail: map[string]string{"method": "sms", "reason": "late"}}}, "event.a.b.late.sms"},
		{authn.Event{Type: "a.b", Personal: authn.Personal{Detail: map[string]string{"method": "sms", "reason": "x"}}}, "event.a.b.nobody.sms"},
		{authn.Event{Type: "a.b", Actor: "usr_1", Personal: authn.Personal{Detail: map[string]string{"factor": "totp"}}}, "event.a.b"},
		{authn.Event{Type: "unheard.of", Actor: "usr_1"}, "event.other"},
	} {
		if got := audit.TextKey(c.event, has); got != c.want {
			t.Errorf("%+v: %s, want %s", c.event, got, c.want)
		}
	}
}
