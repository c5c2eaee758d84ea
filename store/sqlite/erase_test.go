package sqlite_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// K2: what was deleted is not in the file any more, either: neither in a page
// that is used on, nor in one that is free.
func TestErasedIsOverwritten_K2(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sallyport.db")
	f := fixture(t, path)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c := authn.Company{ID: authn.NewID(authn.CompanyID, now, rand.Reader), Slug: "acme", Name: "Acme", Policy: []byte("{}"), PolicyVersion: 1, CreatedAt: now}
	if err := f.Store.CreateCompany(t.Context(), c, authn.Event{Type: "company.created"}); err != nil {
		t.Fatal(err)
	}
	add := func(login, name string) string {
		u := authn.User{ID: authn.NewID(authn.UserID, now, rand.Reader), Login: login, Name: name, Status: authn.Active, Epoch: 1, CreatedAt: now}
		err := f.Store.Decide(t.Context(), authn.Keys{Company: c.ID, User: u.ID, Now: now}, func(*authn.Rows) authn.Verdict {
			return authn.Accept(authn.Event{Type: "user.created", Target: u.ID}, authn.NewUser{User: u, Logins: []authn.Login{{Name: login, Kind: "name"}}})
		})
		if err != nil {
			t.Fatal(err)
		}
		return u.ID
	}
	var ids []string
	for i := range 100 { // so that whole pages become free
		ids = append(ids, add("canary-login-"+string(rune('a'+i/10))+string(rune('a'+i%10)), "Canary Name"))
	}
	stays := add("zoe", "Somebody Else")
	file := func() []byte {
		t.Helper()
		if _, err := f.SQL.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if b := file(); !bytes.Contains(b, []byte("canary-login")) || !bytes.Contains(b, []byte("Canary Name")) {
		t.Fatal("the test finds nothing in the file at all")
	}
	for _, id := range ids {
		err := f.Store.Decide(t.Context(), authn.Keys{Company: c.ID, User: id, Now: now}, func(*authn.Rows) authn.Verdict {
			return authn.Accept(authn.Event{Type: "user.erased", Target: id}, authn.EraseUser{By: "operator"})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	b := file()
	if bytes.Contains(b, []byte("canary-login")) || bytes.Contains(b, []byte("Canary Name")) {
		t.Error("somebody who was erased is in the file")
	}
	if !bytes.Contains(b, []byte("Somebody Else")) || !bytes.Contains(b, []byte(stays)) {
		t.Error("somebody else is not")
	}
}
