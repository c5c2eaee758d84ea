package httpapi_test

import (
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
)

// K2: who gets the copy of what is held about whom, and who erases whom.
func TestExportAndErase_K2(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	tom := w.AddUser(t, w.Company, "tom", true)
	w.promote(tom.User, directory.Administrator)
	zoe := w.owner(maya)
	session := w.signIn(maya)
	doc := w.get("/api/v1/account/export", session).want(200)
	if doc.str("profile.login") != "maya" || doc.str("company.slug") != "acme" || len(doc.at("ways_to_verify").([]any)) != 1 {
		t.Errorf("%s", doc.body)
	}
	w.get("/api/v1/users/"+tom.ID+"/export", session).refused(authn.Forbidden)
	w.get("/api/v1/users/"+maya.ID+"/export", w.signIn(tom)).refused(authn.Forbidden)
	w.get("/api/v1/users/maya/export", w.signIn(zoe)).refused(authn.NotFound)
	w.Clock.Advance(20 * time.Minute)
	w.get("/api/v1/account/export", session).refused(authn.StepUpRequired)

	erase := func(id, login, reason, bearer string) answer {
		return w.do(call{method: "DELETE", path: "/api/v1/users/" + id, bearer: bearer, body: object{"login": login, "reason": reason}})
	}
	erase(maya.ID, "maya", "ticket 4711", w.signIn(tom)).refused(authn.Forbidden)
	owner := w.signIn(zoe)
	erase(maya.ID, "tom", "ticket 4711", owner).field("login", "not_theirs")
	erase(maya.ID, "maya", "", owner).field("reason", "required")
	erase(maya.ID, "maya", "for maya@acme.example", owner).field("reason", "names_person")
	erase(zoe.ID, zoe.Login, "ticket 4711", owner).refused(authn.Forbidden)
	waits := erase(tom.ID, "tom", "ticket 4711", owner).want(202)
	if !authn.CheckID(authn.ApprovalID, waits.str("waiting.id")) || waits.str("waiting.not_before") == "" || waits.str("waiting.expires_at") == "" {
		t.Errorf("%s", waits.body)
	}
	erase(maya.ID, "maya", "ticket 4711", owner).want(204)
	erase(maya.ID, "maya", "ticket 4711", owner).refused(authn.NotFound)
	w.get("/api/v1/account", session).refused(authn.Unauthenticated)
}
