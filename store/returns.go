package store

import (
	"context"
	"crypto/subtle"
	"net/netip"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

const handleColumns = "h.company, h.id, h.user_id, h.key_id, h.kind, h.sign_in, h.address, h.nonce, h.action, h.request_hash, h.acr, h.amr, " +
	"h.auth_time, h.epoch, h.made_at, h.expires_at, h.used_at, h.seal, h.token"

func handleTargets(h *authn.Handle, seal, token *[]byte) []any {
	return []any{&h.Company, &h.ID, &h.User, &h.Key, (*string)(&h.Kind), &h.SignIn, &h.Address, &h.Nonce, &h.Action, &h.RequestHash, &h.ACR,
		asJSON[[]string]{&h.AMR}, asTime{&h.AuthTime}, &h.Epoch, asTime{&h.MadeAt}, asTime{&h.ExpiresAt}, asTime{&h.UsedAt}, seal, token}
}

var selectHandle = locking("SELECT "+companyColumns+", "+userColumns+", "+handleColumns+
	" FROM handles h JOIN users u ON u.company = h.company AND u.id = h.user_id JOIN companies c ON c.id = h.company"+
	" WHERE h.company = $1 AND h.id = $2"+live,
	"FOR UPDATE OF u, h")

// handleSeal is to handles what grantSeal is to grants.
func handleSeal(key *keyring.DataKey, h *authn.Handle) [32]byte {
	return key.MAC("handle", []byte(h.Company), []byte(h.User), []byte(h.ID), []byte(h.Key), []byte(h.Kind), []byte(h.SignIn), []byte(h.Address), []byte(h.Nonce),
		[]byte(h.Action), []byte(h.RequestHash), []byte(h.ACR), []byte(words(h.AMR)), number(micros(h.AuthTime)), number(h.Epoch), number(micros(h.MadeAt)), number(micros(h.ExpiresAt)))
}

func handleToken(key *keyring.DataKey, t authn.Token, h *authn.Handle, seal []byte) [32]byte {
	return key.MAC("token", t.Secret, []byte(h.Company), []byte(h.User), []byte(authn.HandleToken), []byte(h.ACR), []byte(h.ID), seal)
}

// callerRow is how the row of an attempt says who checked the first step. Where a
// person is stands sealed there, as in events.
type callerRow struct {
	authn.Caller
	Sealed []byte `json:"sealed,omitempty"` // the address
}

func callerPlace(company, user, attempt string) keyring.AD {
	return keyring.AD{Table: "attempts", Column: "caller", Company: company, Row: attempt, User: user}
}

func caller(l *loaded, a *authn.Attempt) string {
	if a.Caller == nil {
		return ""
	}
	row := callerRow{Caller: *a.Caller}
	if row.Address.IsValid() {
		row.Sealed = l.key.Seal(callerPlace(l.company, l.uid, a.ID), []byte(row.Address.String()))
	}
	return encode(row)
}

// openInto makes row part of an attempt whose token was compared.
func (row *callerRow) openInto(key *keyring.DataKey, a *authn.Attempt) error {
	if row == nil {
		return nil
	}
	a.Caller = &row.Caller
	if len(row.Sealed) == 0 {
		return nil
	}
	plain, err := key.Open(callerPlace(a.Company, a.User, a.ID), row.Sealed)
	if err == nil {
		row.Address, err = netip.ParseAddr(string(plain))
	}
	if err != nil {
		return internal("the address of attempt %s does not open", a.ID)
	}
	return nil
}

// loadHandle finds the handle that the keys name, with the session of the sign-in
// that it tells of, if that is there still.
func (s *Store) loadHandle(tx *Tx, k *authn.Keys, lock bool, l *loaded) error {
	id, ok := rowID("", k.HandleToken, authn.HandleToken, k.Company)
	if k.HandleToken.IsZero() || !ok {
		return nil
	}
	var c authn.Company
	var u authn.User
	var h authn.Handle
	var personKey, seal, token []byte
	found, err := tx.one(selectHandle.text(tx, lock), slices.Concat(companyTargets(&c), userTargets(&u, &personKey), handleTargets(&h, &seal, &token)), k.Company, id)
	if err != nil || !found {
		return err
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	sealed, want := handleSeal(l.key, &h), handleToken(l.key, k.HandleToken, &h, seal)
	if subtle.ConstantTimeCompare(seal, sealed[:])&subtle.ConstantTimeCompare(token, want[:]) != 1 || !l.adopt(k, &u, personKey) {
		return nil
	}
	l.Company, l.Handle = &c, &h
	if h.SignIn == "" {
		return nil
	}
	return l.loadSessionOf(tx, h.SignIn)
}

const returnColumns = "r.company, r.key_id, r.address, r.added_by, r.added_at"

func returnTargets(r *authn.ReturnAddress) []any {
	return []any{&r.Company, &r.Key, &r.Address, &r.AddedBy, asTime{&r.AddedAt}}
}

// loadReturn finds the address that the keys name, or that the attempt leads to.
func loadReturn(tx *Tx, k *authn.Keys, l *loaded) error {
	address := k.ReturnAddress
	if l.Attempt != nil && address == "" {
		to, _ := authn.ParseReturn(l.Attempt.ReturnTo)
		address = to.Address
	}
	if address == "" || len(address) > authn.MaxReturnAddress {
		return nil
	}
	var r authn.ReturnAddress
	found, err := tx.one("SELECT "+returnColumns+" FROM return_addresses r WHERE r.company = $1 AND r.address = $2", returnTargets(&r), l.company, address)
	if found && err == nil {
		l.Return = &r
	}
	return err
}

func newHandle(tx *Tx, l *loaded, w authn.NewHandle) error {
	h := w.Handle
	if err := l.ofUser("handle", h.Company, h.User, h.ID); err != nil {
		return err
	}
	if w.Token.Kind != authn.HandleToken || w.Token.Company != l.company || w.Token.ID != h.ID || len(w.Token.Secret) == 0 ||
		h.ExpiresAt.IsZero() || (h.SignIn == "") != (h.Kind == authn.CallerHandle) {
		return internal("the token of handle %s is not its own, or it has no sign-in or no end", h.ID)
	}
	// As they come back.
	h.Company, h.User, h.Key, h.SignIn, h.Action, h.ACR = l.company, l.uid, clean(h.Key, maxID), clean(h.SignIn, maxID), clean(h.Action, maxWord), clean(h.ACR, maxWord)
	h.Address, h.Nonce, h.RequestHash = clean(h.Address, authn.MaxReturnAddress), clean(h.Nonce, authn.MaxNonce), clean(h.RequestHash, maxWord)
	h.AuthTime, h.MadeAt, h.ExpiresAt = timeOf(micros(h.AuthTime)), timeOf(micros(h.MadeAt)), timeOf(micros(h.ExpiresAt))
	seal := handleSeal(l.key, &h)
	token := handleToken(l.key, w.Token, &h, seal[:])
	var n int64
	if _, err := tx.one("SELECT count(*) FROM api_keys WHERE company = $1 AND id = $2", []any{&n}, h.Company, h.Key); err != nil {
		return err
	}
	if n != 1 {
		return conflict("the key is gone")
	}
	n, err := tx.exec(`INSERT INTO handles (company, id, user_id, key_id, kind, sign_in, address, nonce, action, request_hash, acr, amr,
		auth_time, epoch, made_at, expires_at, used_at, seal, token)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 0, $17, $18) ON CONFLICT DO NOTHING`,
		h.Company, h.ID, h.User, h.Key, string(h.Kind), h.SignIn, h.Address, h.Nonce, h.Action, h.RequestHash, h.ACR, words(h.AMR),
		micros(h.AuthTime), h.Epoch, micros(h.MadeAt), micros(h.ExpiresAt), seal[:], token[:])
	return oneRow(n, err, "there is a handle of that id")
}

// spendHandle is the statement that makes a handle good for one exchange.
func spendHandle(tx *Tx, k *authn.Keys, l *loaded) error {
	if l.Handle == nil {
		return internal("no handle was loaded for the decision")
	}
	n, err := tx.exec("UPDATE handles SET used_at = $4 WHERE company = $1 AND id = $2 AND user_id = $3 AND used_at = 0 AND expires_at > $4",
		l.company, clean(l.Handle.ID, maxID), l.uid, micros(k.Now))
	return oneRow(n, err, "the handle was used")
}

func newReturn(tx *Tx, l *loaded, r authn.ReturnAddress) error {
	if l.apiKey == nil || l.apiKey.key.ID != r.Key || !authn.GoodReturnAddress(r.Address) {
		return internal("a return address of another key than the decision's, or that is none")
	}
	var n int64
	if _, err := tx.one("SELECT count(*) FROM return_addresses WHERE company = $1 AND key_id = $2", []any{&n}, l.company, r.Key); err != nil {
		return err
	}
	if n >= authn.MaxReturnAddresses {
		return &authn.Error{Code: authn.Conflict, Key: "error.too_many_return_addresses"}
	}
	n, err := tx.exec("INSERT INTO return_addresses (company, address, key_id, added_by, added_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
		l.company, r.Address, r.Key, clean(r.AddedBy, maxID), micros(r.AddedAt))
	if err == nil && n != 1 {
		return &authn.Error{Code: authn.Conflict, Fields: []authn.Field{{Name: "address", Code: "taken"}}}
	}
	return err
}

// bindAttempt is done once: what one browser opens no other one does.
func bindAttempt(tx *Tx, k *authn.Keys, l *loaded, id string) error {
	if l.Attempt == nil || l.attempt != id || k.Browser == "" {
		return internal("no attempt was loaded for the decision, or there is no browser")
	}
	sum := attemptBrowser(l.key, k.Browser, l.Attempt)
	n, err := tx.exec("UPDATE attempts SET browser = $4 WHERE company = $1 AND id = $2 AND user_id = $3 AND browser IS NULL", l.company, id, l.uid, sum[:])
	return oneRow(n, err, "the attempt is another browser's")
}

// ReturnAddresses are those of a key, by address: at most authn.MaxReturnAddresses.
func (s *Store) ReturnAddresses(ctx context.Context, company, key string) ([]authn.ReturnAddress, error) {
	if !goodID(company) || !goodID(key) {
		return nil, nil
	}
	var list []authn.ReturnAddress
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		return tx.each("SELECT "+returnColumns+" FROM return_addresses r WHERE r.company = $1 AND r.key_id = $2 ORDER BY r.address LIMIT $3",
			[]any{company, key, authn.MaxReturnAddresses}, func(scan func(...any) error) (bool, error) {
				var r authn.ReturnAddress
				err := scan(returnTargets(&r)...)
				list = append(list, r)
				return true, err
			})
	})
	return list, in("return addresses", err)
}
