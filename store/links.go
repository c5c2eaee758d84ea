package store

import (
	"crypto/subtle"
	"encoding/json"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

// linkToken binds the purpose and the person.
func linkToken(key *keyring.DataKey, t authn.Token, link *authn.Link) [32]byte {
	return key.MAC("token", t.Secret, []byte(link.Company), []byte(link.User), []byte(authn.LinkToken), []byte(link.Purpose), []byte(link.ID))
}

func linkPlace(company, user, id string) keyring.AD {
	return keyring.AD{Table: "links", Column: "args", Company: company, Row: id, User: user}
}

var selectLink = locking("SELECT "+companyColumns+", "+userColumns+", k.company, k.id, k.user_id, k.purpose, k.mailed, k.epoch, k.event,"+
	" k.args, k.created_at, k.expires_at, k.used_at, k.token"+
	" FROM links k JOIN users u ON u.company = k.company AND u.id = k.user_id JOIN companies c ON c.id = k.company"+
	" WHERE k.company = $1 AND k.id = $2"+live,
	"FOR UPDATE OF u, k")

// loadLink finds the link of a token, also one that is used or over.
func (s *Store) loadLink(tx *Tx, k *authn.Keys, lock bool, l *loaded) error {
	if k.LinkToken.IsZero() {
		return nil
	}
	void := l.void
	l.void = true
	id, ok := rowID("", k.LinkToken, authn.LinkToken, k.Company)
	if !ok {
		return nil
	}
	var c authn.Company
	var u authn.User
	var link authn.Link
	var personKey, args, token []byte
	found, err := tx.one(selectLink.text(tx, lock), slices.Concat(companyTargets(&c), userTargets(&u, &personKey), []any{
		&link.Company, &link.ID, &link.User, (*string)(&link.Purpose), &link.Mailed, &link.Epoch, &link.Event, &args,
		asTime{&link.CreatedAt}, asTime{&link.ExpiresAt}, asTime{&link.UsedAt}, &token}), k.Company, id)
	if err != nil || !found {
		return err
	}
	l.Company = &c
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	want := linkToken(l.key, k.LinkToken, &link)
	if subtle.ConstantTimeCompare(token, want[:]) != 1 || !l.adopt(k, &u, personKey) {
		return nil
	}
	if len(args) > 0 {
		plain, err := l.key.Open(linkPlace(l.company, l.uid, id), args)
		if err != nil || json.Unmarshal(plain, &link.Args) != nil {
			return internal("what link %s says does not open", id)
		}
	}
	l.Link, l.link = &link, id
	l.void = void || !link.UsedAt.IsZero() || !link.ExpiresAt.After(k.Now)
	return nil
}

// maxReplaced is how many addresses that a person had are known again.
const maxReplaced = 5

// loadReplaced finds the links that bring a replaced address back.
func (s *Store) loadReplaced(tx *Tx, k *authn.Keys, l *loaded) error {
	if !k.Replaced || l.uid == "" {
		return nil
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	return tx.each("SELECT id, epoch, event, args, created_at, expires_at FROM links WHERE "+ofTheUser("links")+
		" AND purpose = $3 AND used_at = 0 AND expires_at > $4 AND length(args) > 0 ORDER BY created_at, id LIMIT $5",
		[]any{l.company, l.uid, string(authn.NotMeLink), micros(k.Now), maxReplaced}, func(scan func(...any) error) (bool, error) {
			link := authn.Link{Company: l.company, User: l.uid, Purpose: authn.NotMeLink, Mailed: true}
			var args []byte
			if err := scan(&link.ID, &link.Epoch, &link.Event, &args, asTime{&link.CreatedAt}, asTime{&link.ExpiresAt}); err != nil {
				return false, err
			}
			plain, err := l.key.Open(linkPlace(l.company, l.uid, link.ID), args)
			if err != nil || json.Unmarshal(plain, &link.Args) != nil {
				return false, internal("what link %s says does not open", link.ID)
			}
			if link.Args["email"] != "" {
				l.Replaced = append(l.Replaced, link)
			}
			return true, nil
		})
}

func newLink(tx *Tx, l *loaded, w authn.NewLink) error {
	link := w.Link
	if err := l.ofUser("link", link.Company, link.User, link.ID); err != nil {
		return err
	}
	link.Company, link.User = l.company, l.uid
	if w.Token.Kind != authn.LinkToken || w.Token.Company != link.Company || w.Token.ID != link.ID || len(w.Token.Secret) == 0 {
		return internal("the token of link %s is not its own", link.ID)
	}
	// A new invitation takes the place of those before it.
	if link.Purpose != authn.NotMeLink {
		if _, err := tx.exec("DELETE FROM links WHERE "+ofTheUser("links")+" AND purpose <> $3",
			l.company, l.uid, string(authn.NotMeLink)); err != nil {
			return err
		}
	}
	args := []byte{}
	if len(link.Args) > 0 {
		args = l.key.Seal(linkPlace(l.company, l.uid, link.ID), []byte(encode(link.Args)))
	}
	token := linkToken(l.key, w.Token, &link)
	n, err := tx.exec(`INSERT INTO links (company, id, user_id, purpose, mailed, epoch, event, args, created_at, expires_at, used_at, token)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11) ON CONFLICT DO NOTHING`,
		l.company, link.ID, l.uid, clean(string(link.Purpose), maxWord), link.Mailed, link.Epoch, clean(link.Event, maxID), args,
		micros(link.CreatedAt), micros(link.ExpiresAt), token[:])
	return oneRow(n, err, "there is a link of that id")
}

// spendLink uses the decision's link: of two who open it, one gets here.
func spendLink(tx *Tx, k *authn.Keys, l *loaded) error {
	if l.link == "" {
		return internal("spending a link that the keys do not name")
	}
	n, err := tx.exec("UPDATE links SET used_at = $4 WHERE company = $1 AND user_id = $2 AND id = $3 AND used_at = 0 AND expires_at > $4",
		l.company, l.uid, l.link, micros(k.Now))
	return oneRow(n, err, "the link is used")
}

// setLogin moves the name that the user signs in with. Who signs in with their
// address as a name keeps it as their address.
func setLogin(tx *Tx, l *loaded, w authn.SetLogin) error {
	name, ok := authn.CanonicalLogin(w.Login)
	if !ok {
		return authn.InvalidField("login", "invalid", nil)
	}
	if _, err := tx.exec("DELETE FROM logins WHERE (company, name) IN (SELECT company, name FROM logins WHERE company = $1 AND user_id = $2)"+
		" AND (kind = 'name' OR name = $3)", l.company, l.uid, name); err != nil {
		return err
	}
	logins := []authn.Login{{Name: name, Kind: "name"}}
	var email string
	if _, err := tx.one("SELECT email FROM users WHERE company = $1 AND id = $2", []any{&email}, l.company, l.uid); err != nil {
		return err
	}
	if address, ok := authn.CanonicalLogin(email); ok && address != name {
		var owner string
		found, err := tx.one("SELECT user_id FROM logins WHERE company = $1 AND name = $2", []any{&owner}, l.company, address)
		if err != nil {
			return err
		}
		if !found {
			logins = append(logins, authn.Login{Name: address, Kind: "email"})
		}
	}
	if err := insertLogins(tx, l.company, l.uid, logins); err != nil {
		return err
	}
	n, err := tx.exec("UPDATE users SET login = $3 WHERE company = $1 AND id = $2", l.company, l.uid, clean(w.Login, maxLogin))
	return oneRow(n, err, "the user is gone")
}

// setEmail moves the login of the address along with it. That the old address
// was verified says nothing of the new one: whoever knows it is, says so after.
func setEmail(tx *Tx, l *loaded, w authn.SetEmail) error {
	name, ok := authn.CanonicalLogin(w.Email)
	if !ok {
		return authn.InvalidField("email", "invalid", nil)
	}
	if _, err := tx.exec("DELETE FROM logins WHERE (company, name) IN (SELECT company, name FROM logins WHERE company = $1 AND user_id = $2)"+
		" AND kind = 'email'", l.company, l.uid); err != nil {
		return err
	}
	var owner string
	found, err := tx.one("SELECT user_id FROM logins WHERE company = $1 AND name = $2", []any{&owner}, l.company, name)
	if err != nil {
		return err
	}
	switch {
	case found && owner == l.uid: // their login name is their address
	case found:
		return &authn.Error{Code: authn.Conflict, Fields: []authn.Field{{Name: "email", Code: "taken"}}}
	default:
		if err := insertLogins(tx, l.company, l.uid, []authn.Login{{Name: name, Kind: "email"}}); err != nil {
			return err
		}
	}
	n, err := tx.exec("UPDATE users SET email = $3, email_verified_at = CASE WHEN email = $3 THEN email_verified_at ELSE 0 END,"+
		" email_trusted_at = CASE WHEN email = $3 THEN email_trusted_at ELSE 0 END"+
		" WHERE company = $1 AND id = $2", l.company, l.uid, clean(w.Email, authn.MaxLogin))
	return oneRow(n, err, "the user is gone")
}
