package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
)

// rul-19: text messages and Duo wait a day for an owner, after somebody set them who is
// none; the answer says so, and the app works.
func TestProviderIsNew_rul19(t *testing.T) {
	for _, kind := range []authn.Kind{authn.SMS, authn.Duo} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			w.UseTexts(t, w.Company)
			w.UseDuo(t, w.Company)
			owner, plain := w.AddUser(t, w.Company, "priya", true, directory.Owner), w.AddUser(t, w.Company, "nadia", false)
			w.AddPhone(t, owner.User, nadiasNumber)
			w.AddDuo(t, owner.User, "priya")
			w.SavesAgain(t, plain.User, kind)
			id, token := w.begin(owner)
			ask := func() answer {
				body := object{"method": string(kind)}
				if kind == authn.Duo {
					body["option"] = "auto"
				}
				return w.post("/api/v1/attempts/"+id+"/challenge", token, body)
			}
			a := ask().refused(authn.PolicyForbids)
			if !strings.Contains(a.str("detail"), "for another 24 hours") || !strings.Contains(a.str("detail"), "ask an owner") {
				t.Errorf("%s", a.body)
			}
			if got := w.get("/api/v1/attempts/"+id, token).want(200); !strings.Contains(string(got.body), `"method":"`+string(kind)+`"`) {
				t.Errorf("not listed any more: %s", got.body)
			}
			if len(w.texts(nadiasNumber)) != 0 || len(w.Duo.Calls()) != 0 {
				t.Error("it was used")
			}
			w.Clock.Advance(24 * time.Hour)
			id, token = w.begin(owner)
			ask().want(200)
		})
	}
}
