package store

import (
	"context"
	"crypto/ed25519"
	"crypto/subtle"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

const grantColumns = "g.company, g.id, g.user_id, g.sign_in, g.kind, g.action, g.request_hash, g.acr, g.amr, g.epoch, g.made_at, g.expires_at, g.used_at, g.seal, g.token"

func grantTargets(g *authn.Grant, seal, token *[]byte) []any {
	return []any{&g.Company, &g.ID, &g.User, &g.SignIn, (*string)(&g.Kind), &g.Action, &g.RequestHash, &g.ACR, asJSON[[]string]{&g.AMR}, &g.Epoch,
		asTime{&g.MadeAt}, asTime{&g.ExpiresAt}, asTime{&g.UsedAt}, seal, token}
}

var (
	selectGrant = locking("SELECT "+companyColumns+", "+userColumns+", "+grantColumns+
		" FROM grants g JOIN users u ON u.company = g.company AND u.id = g.user_id JOIN companies c ON c.id = g.company"+
		" WHERE g.company = $1 AND g.id = $2"+live,
		"FOR UPDATE OF u, g")

	// One that was not used comes first.
	selectGrantFor = locking("SELECT "+grantColumns+" FROM grants g WHERE g.company = $1 AND g.user_id = $2 AND g.sign_in = $3 AND g.action = $4"+
		" AND g.request_hash = '' AND g.expires_at > $5 ORDER BY g.used_at, g.id DESC LIMIT 1", "FOR UPDATE")

	// Of the few sessions of the user: see ofTheUser.
	selectSessionOf = "SELECT " + sessionColumns + " FROM sessions s WHERE (s.company, s.id) IN (SELECT company, id FROM sessions WHERE company = $1 AND user_id = $2)" +
		" AND s.attempt = $3"
)

// grantSeal binds everything that a grant says: raising it in the row makes the
// grant worthless, with a token and without.
func grantSeal(key *keyring.DataKey, g *authn.Grant) [32]byte {
	return key.MAC("grant", []byte(g.Company), []byte(g.User), []byte(g.ID), []byte(g.SignIn), []byte(g.Kind), []byte(g.Action), []byte(g.RequestHash),
		[]byte(g.ACR), []byte(words(g.AMR)), number(g.Epoch), number(micros(g.MadeAt)), number(micros(g.ExpiresAt)))
}

func grantToken(key *keyring.DataKey, t authn.Token, g *authn.Grant, seal []byte) [32]byte {
	return key.MAC("token", t.Secret, []byte(g.Company), []byte(g.User), []byte(authn.GrantToken), []byte(g.ACR), []byte(g.ID), seal)
}

// grantKey derives the key that signs the company's grants under an id.
func grantKey(key *keyring.DataKey, id string) *authn.GrantKey {
	return &authn.GrantKey{ID: id, Seed: key.MAC("grant signing", []byte(id))}
}

func wants(w *authn.GrantAsked) string {
	if w == nil {
		return ""
	}
	return encode(w)
}

// loadGrant finds the grant that the keys name, and for one that came by its token
// the session of the sign-in that it was made in; and what an attempt needs to sign one.
func (s *Store) loadGrant(tx *Tx, k *authn.Keys, lock bool, l *loaded) error {
	if l.Attempt != nil && l.Attempt.Wants != nil && l.Attempt.Wants.Kind == authn.SignedGrant {
		l.GrantKey = grantKey(l.key, authn.GrantKeyID(k.Now))
	}
	if k.Action != "" {
		if err := loadAction(tx, k, l); err != nil {
			return err
		}
	}
	switch {
	case !k.GrantToken.IsZero():
		return s.loadGrantOfToken(tx, k, lock, l)
	case k.GrantFor != "" && l.Session != nil:
		return s.loadGrantFor(tx, k, lock, l)
	}
	return nil
}

func (s *Store) loadGrantOfToken(tx *Tx, k *authn.Keys, lock bool, l *loaded) error {
	id, ok := rowID("", k.GrantToken, authn.GrantToken, k.Company)
	if !ok {
		return nil
	}
	var c authn.Company
	var u authn.User
	var g authn.Grant
	var personKey, seal, token []byte
	found, err := tx.one(selectGrant.text(tx, lock), slices.Concat(companyTargets(&c), userTargets(&u, &personKey), grantTargets(&g, &seal, &token)), k.Company, id)
	if err != nil || !found {
		return err
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	sealed, want := grantSeal(l.key, &g), grantToken(l.key, k.GrantToken, &g, seal)
	if subtle.ConstantTimeCompare(seal, sealed[:])&subtle.ConstantTimeCompare(token, want[:]) != 1 || !l.adopt(k, &u, personKey) {
		return nil
	}
	l.Company, l.Grant = &c, &g
	return l.loadSessionOf(tx, g.SignIn)
}

// loadSessionOf finds the session of the user that came from a sign-in, if it is there
// still. Nothing opens it but what told of the sign-in.
func (l *loaded) loadSessionOf(tx *Tx, signIn string) error {
	var se authn.Session
	var idle int64
	var token []byte
	found, err := tx.one(selectSessionOf, sessionTargets(&se, &idle, &token), l.company, l.uid, signIn)
	if err != nil || !found {
		return err
	}
	se.Idle = time.Duration(idle) * time.Microsecond
	l.Session, l.session = &se, se
	return nil
}

func (s *Store) loadGrantFor(tx *Tx, k *authn.Keys, lock bool, l *loaded) error {
	var g authn.Grant
	var seal, token []byte
	found, err := tx.one(selectGrantFor.text(tx, lock), grantTargets(&g, &seal, &token), l.company, l.uid, l.session.Attempt, clean(k.GrantFor, maxWord), micros(k.Now))
	if err != nil || !found {
		return err
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	if sealed := grantSeal(l.key, &g); subtle.ConstantTimeCompare(seal, sealed[:]) == 1 {
		l.Grant = &g
	}
	return nil
}

func newGrant(tx *Tx, l *loaded, w authn.NewGrant) error {
	g := w.Grant
	if err := l.ofUser("grant", g.Company, g.User, g.ID); err != nil {
		return err
	}
	if w.Token.Kind != authn.GrantToken || w.Token.Company != l.company || w.Token.ID != g.ID || len(w.Token.Secret) == 0 || g.SignIn == "" || g.ExpiresAt.IsZero() {
		return internal("the token of grant %s is not its own, or it has no sign-in or no end", g.ID)
	}
	// As they come back.
	g.Company, g.User, g.SignIn, g.Action, g.ACR, g.RequestHash = l.company, l.uid, clean(g.SignIn, maxID), clean(g.Action, maxWord), clean(g.ACR, maxWord), clean(g.RequestHash, maxWord)
	g.MadeAt, g.ExpiresAt = timeOf(micros(g.MadeAt)), timeOf(micros(g.ExpiresAt))
	seal := grantSeal(l.key, &g)
	token := grantToken(l.key, w.Token, &g, seal[:])
	n, err := tx.exec(`INSERT INTO grants (company, id, user_id, sign_in, kind, action, request_hash, acr, amr, epoch, made_at, expires_at, used_at, seal, token)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, $13, $14) ON CONFLICT DO NOTHING`,
		g.Company, g.ID, g.User, g.SignIn, string(g.Kind), g.Action, g.RequestHash, g.ACR, words(g.AMR), g.Epoch, micros(g.MadeAt), micros(g.ExpiresAt), seal[:], token[:])
	return oneRow(n, err, "there is a grant of that id")
}

// spendGrant is the compare-and-set that makes a grant good for one use.
func spendGrant(tx *Tx, k *authn.Keys, l *loaded) error {
	if l.Grant == nil {
		return internal("no grant was loaded for the decision")
	}
	n, err := tx.exec("UPDATE grants SET used_at = $4 WHERE company = $1 AND id = $2 AND user_id = $3 AND used_at = 0 AND expires_at > $4",
		l.company, clean(l.Grant.ID, maxID), l.uid, micros(k.Now))
	return oneRow(n, err, "the grant was used")
}

// GrantKeys are the keys that a company's signed grants can be checked with now.
// NotFound if there is no such company.
func (s *Store) GrantKeys(ctx context.Context, company string, now time.Time) ([]authn.GrantPublicKey, error) {
	if !goodID(company) {
		return nil, authn.NotFound
	}
	var list []authn.GrantPublicKey
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		l := &loaded{company: company}
		if err := s.wantKey(tx, l); err != nil {
			return err
		}
		for _, id := range authn.GrantKeyIDs(now) {
			public := ed25519.NewKeyFromSeed(grantKey(l.key, id).Seed[:]).Public().(ed25519.PublicKey)
			list = append(list, authn.GrantPublicKey{ID: id, Key: public})
		}
		return nil
	})
	return list, in("grant keys", err)
}

const actionColumns = "a.company, a.name, a.title, a.titles, a.audience"

func actionTargets(a *authn.Action) []any {
	return []any{&a.Company, &a.Name, &a.Title, asJSON[map[string]string]{&a.Titles}, &a.Audience}
}

func loadAction(tx *Tx, k *authn.Keys, l *loaded) error {
	var a authn.Action
	found, err := tx.one("SELECT "+actionColumns+" FROM actions a WHERE a.company = $1 AND a.name = $2", actionTargets(&a), l.company, clean(k.Action, maxWord))
	if found && err == nil {
		l.Action = &a
	}
	return err
}

// setAction holds the company's row, so that two at once cannot both be the last
// one that there is room for: the second waits, and counts the first.
func setAction(tx *Tx, l *loaded, a authn.Action) error {
	if a.Company != "" && a.Company != l.company || !authn.GoodAction(a.Name) {
		return internal("an action of another company than the decision, or with a name that is none")
	}
	var n int64
	if _, err := tx.one(lockCompany.text(tx, true), []any{&n}, l.company); err != nil {
		return err
	}
	if _, err := tx.one("SELECT count(*) FROM actions WHERE company = $1 AND name <> $2", []any{&n}, l.company, a.Name); err != nil {
		return err
	}
	if n >= authn.MaxActions {
		return &authn.Error{Code: authn.Conflict, Key: "error.too_many_actions"}
	}
	titles := ""
	if len(a.Titles) > 0 {
		titles = encode(a.Titles)
	}
	_, err := tx.exec(`INSERT INTO actions (company, name, title, titles, audience) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (company, name) DO UPDATE SET title = excluded.title, titles = excluded.titles, audience = excluded.audience`,
		l.company, a.Name, clean(a.Title, 4*authn.MaxActionTitle), titles, clean(a.Audience, authn.MaxAudience))
	return err
}

func endAction(tx *Tx, l *loaded, name string) error {
	n, err := tx.exec("DELETE FROM actions WHERE company = $1 AND name = $2", l.company, clean(name, maxWord))
	return oneRow(n, err, "the action is gone")
}

// Actions are those that a company registered, by name: at most authn.MaxActions.
func (s *Store) Actions(ctx context.Context, company string) ([]authn.Action, error) {
	if !goodID(company) {
		return nil, nil
	}
	var list []authn.Action
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		return tx.each("SELECT "+actionColumns+" FROM actions a WHERE a.company = $1 ORDER BY a.name LIMIT $2", []any{company, authn.MaxActions},
			func(scan func(...any) error) (bool, error) {
				var a authn.Action
				err := scan(actionTargets(&a)...)
				list = append(list, a)
				return true, err
			})
	})
	return list, in("actions", err)
}
