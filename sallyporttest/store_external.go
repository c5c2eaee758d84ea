package sallyporttest

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// external is the keys of somebody whom the host program names, by the name typed.
func (w *world) external(c authn.Company, login, id string) authn.Keys {
	return authn.Keys{Company: c.ID, Login: login, External: id, User: w.id(authn.UserID), Now: w.now}
}

// newExternal makes the row of such a person, as a first sign-in does.
func (w *world) newExternal(k authn.Keys) (string, error) {
	u := authn.User{Company: k.Company, ID: k.User, ExternalID: k.External, Login: k.Login, Name: k.Login, Audience: authn.InternalAudience,
		Status: authn.Active, Epoch: 1, CreatedAt: w.now, PasswordChangedAt: w.now}
	return u.ID, w.write(k, authn.NewUser{User: u, Logins: []authn.Login{{Name: k.Login, Kind: "name"}}})
}

func runExternal(t *testing.T, open opener) {
	t.Run("rul36 the id decides who somebody is", func(t *testing.T) { externalIsIdentity(t, open) })
	t.Run("rul36 of two first sign-ins one makes the person", func(t *testing.T) { externalRace(t, open) })
	t.Run("rul36 K2 an id outlives its person and is nobody else's", func(t *testing.T) { externalOutlives(t, open) })
	t.Run("B what was charged to a name is settled there", func(t *testing.T) { externalSettles(t, open) })
	t.Run("G a changed row leads to nobody", func(t *testing.T) { externalTampered(t, open) })
}

func externalIsIdentity(t *testing.T, open opener) {
	w := newWorld(t, open)
	other, native := w.newCompany("beta"), w.newUser(w.company, "omar")
	maya, err := w.newExternal(w.external(w.company, "maya", "host-7"))
	w.must(err)
	elsewhere, err := w.newExternal(w.external(other, "maya", "host-7"))
	w.must(err)
	for name, tc := range map[string]struct {
		k           authn.Keys
		user, named string
		externalID  string
	}{
		"the same name":           {k: w.external(w.company, "maya", "host-7"), user: maya, named: maya, externalID: "host-7"},
		"another name":            {k: w.external(w.company, "maya.k", "host-7"), user: maya, externalID: "host-7"},
		"somebody else's name":    {k: w.external(w.company, "omar", "host-7"), user: maya, named: native.id, externalID: "host-7"},
		"another id, that name":   {k: w.external(w.company, "maya", "host-8"), named: maya},
		"the id in another case":  {k: w.external(w.company, "maya", "HOST-7"), named: maya},
		"the same in beta":        {k: w.external(other, "maya", "host-7"), user: elsewhere, named: elsewhere, externalID: "host-7"},
		"a name of beta's":        {k: w.external(other, "omar", "host-9")},
		"what can be nobody's id": {k: w.external(w.company, "maya", "\x00 or 1=1"), named: maya},
	} {
		t.Run(name, func(t *testing.T) {
			rows := w.view(tc.k)
			user, named, id := "", "", ""
			if rows.User != nil {
				user, id = rows.User.ID, rows.User.ExternalID
			}
			if rows.Named != nil {
				named = rows.Named.ID
			}
			if user != tc.user || named != tc.named || id != tc.externalID || rows.Gone {
				t.Errorf("user %q (%q), named %q, gone %v", user, id, named, rows.Gone)
			}
		})
	}
	// Changing the row changes everything but who they are.
	u := *w.view(authn.Keys{Company: w.company.ID, User: maya}).User
	u.ExternalID, u.Name = "host-8", "Maya B"
	w.must(w.write(authn.Keys{Company: w.company.ID, User: maya}, authn.PutUser{User: u}))
	if got := w.view(authn.Keys{Company: w.company.ID, User: maya}).User; got.ExternalID != "host-7" || got.Name != "Maya B" {
		t.Errorf("%+v", got)
	}
	// Nobody has a password in two places.
	w.want(w.write(authn.Keys{Company: w.company.ID, User: maya}, authn.SetPassword{ID: w.id(authn.FactorID), Hash: []byte("hash"), At: w.now}), authn.Internal)
	for _, bad := range []string{" 7", "7\n", "7\x00", strings.Repeat("7", 256), "\xff", "\u200b"} {
		if _, err := w.newExternal(w.external(w.company, "eve", bad)); !errors.Is(err, authn.Internal) {
			t.Errorf("the id %q: %v", bad, err)
		}
	}
}

func externalRace(t *testing.T, open opener) {
	w := newWorld(t, open)
	const n = 20
	errs := make([]error, n)
	keys := make([]authn.Keys, n)
	for i := range n {
		keys[i] = w.external(w.company, "maya", "host-7")
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { _, errs[i] = w.newExternal(keys[i]) })
	}
	wg.Wait()
	made := 0
	for i, err := range errs {
		switch {
		case err == nil:
			made++
		case !errors.Is(err, authn.Conflict) || len(authn.AsError(err).Fields) > 0:
			// A field would say that somebody else has the name.
			t.Errorf("%d: %v %v", i, err, authn.AsError(err).Fields)
		}
	}
	if users := w.count("SELECT count(*) FROM users WHERE company = $1", w.company.ID); made != 1 || users != 1 {
		t.Errorf("%d made, %d people", made, users)
	}
}

func externalOutlives(t *testing.T, open opener) {
	w := newWorld(t, open)
	const id = "canary-of-the-host-7"
	maya, err := w.newExternal(w.external(w.company, "maya", id))
	w.must(err)
	if !strings.Contains(w.dump(), id) {
		t.Fatal("the test would not see the id")
	}
	w.must(w.write(authn.Keys{Company: w.company.ID, User: maya}, authn.EraseUser{By: "operator"}))
	if strings.Contains(w.dump(), id) {
		t.Error("the id can be read after the person was erased")
	}
	k := w.external(w.company, "maya", id)
	if rows := w.view(k); !rows.Gone || rows.User != nil {
		t.Errorf("gone %v, user %v", rows.Gone, rows.User)
	}
	if _, err := w.newExternal(k); !errors.Is(err, authn.Conflict) {
		t.Errorf("the id was given again: %v", err)
	}
	_, err = w.newExternal(w.external(w.company, "maya", id+"1"))
	w.must(err) // the name is free
}

func externalSettles(t *testing.T, open opener) {
	w := newWorld(t, open)
	_, err := w.newExternal(w.external(w.company, "maya", "host-7"))
	w.must(err)
	charge := func(login string) int {
		t.Helper()
		c, err := w.guess(authn.Keys{Company: w.company.ID, Login: login, Charge: authn.GuessPassword}, authn.Wrong, time.Time{}, 0)
		w.want(err, authn.WrongCode)
		return c.Count.Tries
	}
	for _, login := range []string{"maya", "maya.k", "omar"} {
		charge(login)
	}
	settle := func(login, id string) {
		t.Helper()
		k := w.external(w.company, login, id)
		k.Charge = authn.SettlePassword
		w.must(w.write(k, authn.Settle{Outcome: authn.Right}))
	}
	settle("maya.k", "host-7") // renamed since: the count is the new name's
	if a, b, c := charge("maya"), charge("maya.k"), charge("omar"); a != 2 || b != 1 || c != 2 {
		t.Errorf("%d %d %d", a, b, c)
	}
	settle("omar", "host-9") // new here
	settle("maya", "host-7")
	if a, b, c := charge("maya"), charge("maya.k"), charge("omar"); a != 1 || b != 2 || c != 1 {
		t.Errorf("%d %d %d", a, b, c)
	}
}

func externalTampered(t *testing.T, open opener) {
	w := newWorld(t, open)
	owner := w.newUser(w.company, "owner")
	maya, err := w.newExternal(w.external(w.company, "maya", "host-7"))
	w.must(err)
	k := w.external(w.company, "maya", "host-7")
	look := func() error {
		_, err := w.Store.View(w.ctx, k)
		return err
	}
	w.must(look())
	w.exec("UPDATE external_ids SET user_id = $1", owner.id)
	w.want(look(), authn.Internal)
	w.exec("UPDATE external_ids SET user_id = $1", maya)
	w.must(look())
	w.exec("UPDATE users SET external_id = 'host-8' WHERE id = $1", maya)
	w.want(look(), authn.Internal)
}
