package directory

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// An API account is a user that is no person any more (requirement H4, ruling 21):
// it signs in nowhere, has one secret for the API, and may do what one role lists.

// What an API account's secret and life can be.
const (
	SecretPrefix   = "sp_api_" // of those that are made here
	LeastSecret    = 24        // characters of one that somebody chose
	LongestAccount = 365 * 24 * time.Hour
	secretBytes    = 32
	maxNetworkText = 4000 // characters of Args["networks"]
)

var secretText = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// prepareAPIOn makes or judges the secret, and hashes it. Whether w may is asked
// first: a hash is dear.
func prepareAPIOn(ctx context.Context, s *Service, w Who, p PersonAct) (PersonAct, error) {
	seen, err := s.Check(ctx, w, UsersIdentity)
	if err != nil {
		return p, err
	}
	if err := s.Ready(ctx, w, Act{Type: "api_account.on", Permission: UsersIdentity, Fresh: true}); err != nil {
		return p, err
	}
	target, _, err := s.Lookup(ctx, seen.Company, p.Target)
	if err != nil {
		return p, err
	}
	if err := mayBecome(seen.Company, target); err != nil {
		return p, err // now, and not after a day of waiting
	}
	if p.Args, err = s.accountArgs(ctx, seen.Company, target, p.Args); err != nil {
		return p, err
	}
	password := p.Password
	if password == "" {
		b := make([]byte, secretBytes)
		if _, err := io.ReadFull(s.c.Random, b); err != nil {
			return p, fmt.Errorf("directory: no randomness: %w", err)
		}
		password = SecretPrefix + secretText.EncodeToString(b)
		p.secret = []byte(password)
	} else if err := s.c.Passwords.Check(ctx, "password", password, target, seen.Company, LeastSecret); err != nil {
		return p, err
	}
	if p.hash, err = s.c.Passwords.Hash(ctx, password); err != nil {
		return p, fmt.Errorf("directory: secret: %w", err)
	}
	return p, nil
}

// mayBecome refuses somebody with administrative rights (ruling 21).
func mayBecome(c authn.Company, u authn.User) error {
	if u.ExternalID != "" {
		return authn.HostPassword() // the account's secret would be a password here
	}
	if !u.API && Administrative(c, u) {
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.api_administrative"}
	}
	return nil
}

// accountArgs writes the arguments in one way, so that they are approved as one
// thing however they were typed.
func (s *Service) accountArgs(ctx context.Context, c authn.Company, target authn.User, args map[string]string) (map[string]string, error) {
	out := map[string]string{}
	if role := args["role"]; role != "" {
		if indexOf(c.Roles, role) < 0 {
			return nil, authn.InvalidField("role", "not_one_of", nil)
		}
		out["role"] = role
	}
	list, err := ParseNetworks(args["networks"])
	if err != nil {
		return nil, err
	}
	if len(list) > 0 {
		out["networks"] = joinNetworks(list)
	}
	if args["owner"] == "" {
		return nil, authn.InvalidField("owner", "required", nil)
	}
	owner, _, err := s.Lookup(ctx, c, args["owner"])
	switch {
	case errors.Is(err, authn.NotFound), err == nil && (owner.API || owner.ID == target.ID):
		return nil, authn.InvalidField("owner", "unknown_person", nil)
	case err != nil:
		return nil, err
	case owner.Status != authn.Active:
		return nil, authn.InvalidField("owner", "suspended", nil)
	}
	out["owner"] = owner.ID
	until, err := time.Parse(time.RFC3339, args["until"])
	if args["until"] == "" {
		return nil, authn.InvalidField("until", "required", nil)
	}
	if now := s.c.Now(); err != nil || !until.After(now) || until.After(now.Add(LongestAccount)) {
		return nil, authn.InvalidField("until", "exemption", map[string]any{"Days": int(LongestAccount.Hours() / 24)})
	}
	out["until"] = until.UTC().Truncate(time.Second).Format(time.RFC3339)
	return out, nil
}

// ParseNetworks reads addresses and networks with spaces, commas or lines between
// them.
//
// Errors: Invalid (field networks).
func ParseNetworks(text string) ([]netip.Prefix, error) {
	if len(text) > maxNetworkText {
		return nil, authn.InvalidField("networks", "invalid", nil)
	}
	var list []netip.Prefix
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,;\t\r\n", r) }) {
		p, err := netip.ParsePrefix(word)
		if err != nil {
			a, bad := netip.ParseAddr(word)
			if bad != nil {
				return nil, authn.InvalidField("networks", "invalid", nil)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		list = append(list, p)
	}
	return checkNetworks(list)
}

// planAPIOn makes a user an API account, or gives one that it is already other
// limits and another secret. All of it happens at once: sessions, attempts, ways to
// verify and known browsers end, and the password is the account's secret from now on.
func planAPIOn(_ context.Context, s *Service, a asked) (change, error) {
	p := a.PersonAct
	w := a.who
	out := a.out
	networks, err := ParseNetworks(p.Args["networks"])
	if err != nil {
		return nil, err
	}
	until, err := time.Parse(time.RFC3339, p.Args["until"])
	if err != nil || p.hash == nil {
		return nil, authn.InvalidField("until", "invalid", nil)
	}
	role := p.Args["role"]
	out.Secret, out.ExpiresAt = string(p.secret), until
	return func(rows *authn.Rows, u *authn.User, now time.Time) (Done, error) {
		if err := mayBecome(*rows.Company, *u); err != nil {
			return Done{}, err
		}
		before := strings.Join(u.Roles, " ")
		u.Roles = []string{Member}
		if role != "" {
			i := indexOf(rows.Company.Roles, role)
			if i < 0 {
				return Done{}, authn.InvalidField("role", "not_one_of", nil)
			}
			if !w.Actor.Operator {
				for _, name := range rows.Company.Roles[i].Permissions {
					if err := mayGive(rows.By, Permission(name)); err != nil {
						return Done{}, err
					}
				}
			}
			u.Roles = []string{role}
		}
		u.API, u.Preferred, u.RequireTwoFactor = true, "", false
		u.ExemptUntil, u.ExemptReason, u.ExemptBy = time.Time{}, "", ""
		account := authn.APIAccount{Networks: networks, Owner: p.Args["owner"], Reason: p.Reason, ExpiresAt: until, CreatedAt: now,
			CreatedBy: personOf(w, rows), Told: told(until.Sub(now))}
		detail := map[string]string{"before": before, "after": role, "owner": account.Owner, "until": until.Format(time.RFC3339)}
		if len(networks) > 0 {
			detail["networks"] = joinNetworks(networks)
		}
		writes := append(deleteFactors(rows), authn.ForgetBrowsers{All: true},
			authn.SetPassword{ID: authn.NewID(authn.FactorID, now, s.c.Random), Hash: p.hash, At: now}, authn.PutAPIAccount{Account: account})
		return Done{Detail: detail, Writes: writes}, nil
	}, nil
}

// planAPIOff makes a person of an API account again: secret and keys end, and they
// come back by an invitation, which sets a password and then a way to verify.
func planAPIOff(_ context.Context, _ *Service, _ asked) (change, error) {
	return func(rows *authn.Rows, u *authn.User, _ time.Time) (Done, error) {
		if !u.API {
			return Done{}, &authn.Error{Code: authn.Conflict, Key: "error.no_api_account"}
		}
		detail := map[string]string{"before": strings.Join(u.Roles, " "), "after": Member}
		u.API, u.Roles, u.PasswordChangedAt = false, []string{Member}, time.Time{}
		writes := append(deleteFactors(rows), authn.ForgetBrowsers{All: true}, authn.EndAPIKeys{}, authn.EndAPIAccount{})
		if f := rows.FactorOf(authn.Password, authn.Confirmed); f != nil {
			writes = append(writes, authn.DeleteFactor{ID: f.ID})
		}
		return Done{Detail: detail, Writes: writes}, nil
	}, nil
}

// APIAccountOf is a user as an API account, for whoever holds p; false: they are a
// person.
//
// Errors: those of Check; NotFound.
func (s *Service) APIAccountOf(ctx context.Context, w Who, p Permission, user string) (authn.User, authn.APIAccount, bool, error) {
	seen, err := s.Check(ctx, w, p)
	if err != nil {
		return authn.User{}, authn.APIAccount{}, false, err
	}
	k := authn.Keys{Company: seen.Company.ID, Now: s.c.Now(), Account: true}
	if authn.CheckID(authn.UserID, user) {
		k.User = user
	} else if k.Login, _ = authn.CanonicalLogin(user); k.Login == "" {
		return authn.User{}, authn.APIAccount{}, false, authn.NotFound
	}
	rows, err := s.c.Store.View(ctx, k)
	if err != nil {
		return authn.User{}, authn.APIAccount{}, false, fmt.Errorf("directory: api account: %w", err)
	}
	if rows.User == nil {
		return authn.User{}, authn.APIAccount{}, false, authn.NotFound
	}
	if rows.Account == nil {
		return *rows.User, authn.APIAccount{}, false, nil
	}
	return *rows.User, *rows.Account, true, nil
}

// lettersBefore is when people are told that a key or an account ends.
var lettersBefore = []time.Duration{14 * 24 * time.Hour, 3 * 24 * time.Hour}

// KeyEnds is the template of the letter before the end of a key or an API account.
const KeyEnds authn.Template = "key_ends"

// TellEnds writes the letters before the end of keys and API accounts, each once,
// and the event of an account that has ended. The server calls it now and then.
func (s *Service) TellEnds(ctx context.Context) error {
	now := s.c.Now()
	var failed []error
	for n, before := range lettersBefore {
		keys, err := s.c.Store.EndingKeys(ctx, n, now, now.Add(before))
		failed = append(failed, err)
		for _, k := range keys {
			failed = append(failed, s.tellKey(ctx, k, n, now))
		}
		accounts, err := s.c.Store.EndingAccounts(ctx, n, now, now.Add(before))
		failed = append(failed, err)
		for _, a := range accounts {
			failed = append(failed, s.tellAccount(ctx, a, n, now))
		}
	}
	for n := range authn.ToldEnd {
		accounts, err := s.c.Store.EndingAccounts(ctx, n, time.Time{}, now)
		failed = append(failed, err)
		for _, a := range accounts {
			failed = append(failed, s.noteEnd(ctx, a, now))
		}
	}
	return errors.Join(failed...)
}

// tellKey writes to the owner of a key, or who answers for them, and to its maker.
func (s *Service) tellKey(ctx context.Context, k authn.APIKey, n int, now time.Time) error {
	readers := []string{k.User, k.MadeBy}
	view := authn.Keys{Company: k.Company, User: k.User, Now: now, Account: true}
	rows, err := s.c.Store.View(ctx, view)
	if err != nil {
		return fmt.Errorf("directory: end of key %s: %w", k.ID, err)
	}
	if rows.Account != nil {
		readers[0] = rows.Account.Owner
	}
	letters, err := s.endLetters(ctx, k.Company, readers, map[string]string{"what": "key", "name": k.Name, "until": k.ExpiresAt.UTC().Format(time.RFC3339)}, now)
	if err != nil {
		return err
	}
	view.APIKey = k.ID
	return s.c.Store.Decide(ctx, view, func(rows *authn.Rows) authn.Verdict {
		key := rows.APIKey
		if key == nil || key.Told != n || !key.ExpiresAt.Equal(k.ExpiresAt) {
			return authn.Continue() // somebody was first, or it was rolled
		}
		told := *key
		told.Told = n + 1
		return authn.Continue(append(letters, authn.PutAPIKey{Key: told})...)
	})
}

func (s *Service) tellAccount(ctx context.Context, a authn.APIAccount, n int, now time.Time) error {
	view := authn.Keys{Company: a.Company, User: a.User, Now: now, Account: true}
	rows, err := s.c.Store.View(ctx, view)
	if err != nil || rows.User == nil {
		return err
	}
	letters, err := s.endLetters(ctx, a.Company, []string{a.Owner}, map[string]string{"what": "account", "name": rows.User.Login, "until": a.ExpiresAt.UTC().Format(time.RFC3339)}, now)
	if err != nil {
		return err
	}
	return s.c.Store.Decide(ctx, view, func(rows *authn.Rows) authn.Verdict {
		if rows.Account == nil || rows.Account.Told != n || !rows.Account.ExpiresAt.Equal(a.ExpiresAt) {
			return authn.Continue()
		}
		told := *rows.Account
		told.Told = n + 1
		return authn.Continue(append(letters, authn.PutAPIAccount{Account: told})...)
	})
}

// endLetters are letters to those of the company who can be written to.
func (s *Service) endLetters(ctx context.Context, company string, readers []string, args map[string]string, now time.Time) ([]authn.Write, error) {
	var writes []authn.Write
	slices.Sort(readers)
	for _, id := range slices.Compact(readers) {
		if !authn.CheckID(authn.UserID, id) {
			continue
		}
		rows, err := s.c.Store.View(ctx, authn.Keys{Company: company, User: id, Now: now})
		if err != nil {
			return nil, fmt.Errorf("directory: reader: %w", err)
		}
		u := rows.User
		if u == nil || u.Status != authn.Active || u.Email == "" || u.EmailVerifiedAt.IsZero() {
			continue
		}
		own := map[string]string{"locale": u.Locale}
		for name, v := range args {
			own[name] = v
		}
		writes = append(writes, authn.NewLetter{Letter: authn.Letter{ID: authn.NewID(authn.MessageID, now, s.c.Random), Template: KeyEnds, To: u.Email, Args: own, At: now}})
	}
	return writes, nil
}

// noteEnd writes down that an account has ended, once.
func (s *Service) noteEnd(ctx context.Context, a authn.APIAccount, now time.Time) error {
	view := authn.Keys{Company: a.Company, User: a.User, Now: now, Account: true}
	return s.c.Store.Decide(ctx, view, func(rows *authn.Rows) authn.Verdict {
		if rows.Account == nil || rows.Account.Told >= authn.ToldEnd || rows.Account.ExpiresAt.After(now) {
			return authn.Continue()
		}
		ended := *rows.Account
		ended.Told = authn.ToldEnd
		ev := authn.Event{Company: a.Company, ID: authn.NewID(authn.EventID, now, s.c.Random), Type: "api_account.ended", Target: a.User, Result: authn.Succeeded, At: now,
			Personal: authn.Personal{Detail: map[string]string{"owner": a.Owner, "until": a.ExpiresAt.UTC().Format(time.RFC3339)}}}
		return authn.Accept(ev, authn.PutAPIAccount{Account: ended})
	})
}
