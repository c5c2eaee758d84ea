package store

import (
	"cmp"
	"crypto/subtle"
	"errors"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

// loaded is what the keys lead to, with what only the store may know of it.
// The callbacks get Rows and may change what its pointers lead to; what the
// store relies on afterwards is kept apart, in the fields in lower case.
type loaded struct {
	authn.Rows
	company   string
	uid       string    // of User, or empty
	epoch     int64     // of User
	had       time.Time // HadFactorAt of User, as it was found
	roles     string    // of User, as they were found
	apiKey    *keyRow   // of User, if the keys name one
	personKey []byte    // sealed, of User
	opened    struct {
		of  string // the person whose key was opened last
		key *keyring.DataKey
	}
	attempt             string // id of Attempt, or empty
	session             authn.Session
	trust               authn.Trust
	link                string            // id of Link, or empty
	sent                []authn.Challenge // of the asker, with their seeds
	reset               authn.Reset       // if the keys name one
	resetSeed, resetWho []byte
	lane                authn.Lane
	factor              string     // that is charged or settled
	login               string     // canonical, if the keys gave one
	was                 authn.User // User, as it was found
	// What of the lists of people has to be brought up to date (people.go).
	reshape, rewords bool
	key              *keyring.DataKey
	who              []byte // of the throttle row, once it is needed
	// void: something that the keys ask for is not there, is not open to whoever
	// asks, or has ended. Then nothing is charged (security.md decision 2: who
	// has not got past the password can cause no pause), so nothing is evaluated.
	void bool
}

func (l *loaded) setUser(u *authn.User, personKey []byte) {
	l.User, l.uid, l.epoch, l.had, l.roles, l.personKey = u, u.ID, u.Epoch, u.HadFactorAt, words(u.Roles), personKey
	l.was = *u
	l.was.Roles = slices.Clone(u.Roles)
}

// live is a company that was not erased. From the mark on, whatever asks for it
// or for anybody in it finds nothing, on every node.
const live = " AND c.erased_at = 0"

// The user is locked before the attempt and the session; that is also the order
// in which PostgreSQL locks the tables of one statement; after waiting for a
// lock it reads the locked rows anew. The company is not locked, since all of
// its sign-ins would queue: it changes only by a compare-and-set on its version,
// and a decision that began before a save may still go by the policy before it.
var (
	selectCompany = "SELECT " + companyColumns + " FROM companies c WHERE c.id = $1" + live

	selectUser = locking("SELECT "+companyColumns+", "+userColumns+
		" FROM users u JOIN companies c ON c.id = u.company WHERE u.company = $1 AND u.id = $2"+live,
		"FOR UPDATE OF u")

	// seen keeps out who came by an import that is not done.
	seen = "(u.import_id = '' OR EXISTS (SELECT 1 FROM imports i WHERE i.company = u.company AND i.id = u.import_id AND i.done))"

	// An address signs in only once it is verified (ruling 5); it can be looked up before.
	selectLogin = locking("SELECT "+userColumns+
		" FROM logins l JOIN users u ON u.company = l.company AND u.id = l.user_id"+
		" WHERE l.company = $1 AND l.name = $2 AND (l.kind <> 'email' OR u.email_verified_at > 0 OR $3) AND "+seen,
		"FOR UPDATE OF u")

	selectAttempt = locking("SELECT "+companyColumns+", "+userColumns+", "+attemptColumns+
		" FROM attempts a JOIN users u ON u.company = a.company AND u.id = a.user_id JOIN companies c ON c.id = a.company"+
		" WHERE a.company = $1 AND a.id = $2"+live,
		"FOR UPDATE OF u, a")

	selectSession = locking("SELECT "+companyColumns+", "+userColumns+", "+sessionColumns+
		" FROM sessions s JOIN users u ON u.company = s.company AND u.id = s.user_id JOIN companies c ON c.id = s.company"+
		" WHERE s.company = $1 AND s.id = $2"+live,
		"FOR UPDATE OF u, s")

	// The user's lock covers it: there are as many as places where they are signed in.
	selectBecame = "SELECT id FROM sessions WHERE company = $1 AND user_id = $2 AND attempt = $3"

	// The user's lock covers the factors. They are few: sorting them here spares
	// SQLite a temporary table, which costs more than the look-up.
	// What is sealed comes with them only where it is a number to send codes to.
	selectFactors = "SELECT " + factorColumns + ", CASE WHEN $3 AND f.kind IN ('sms', 'duo') AND f.state IN ('pending', 'active') THEN f.sealed END" +
		" FROM factors f WHERE f.company = $1 AND f.user_id = $2"

	selectDevice = "SELECT factor FROM devices WHERE company = $1 AND user_id = $2 AND browser = $3"
)

// load finds what the keys name, and charges nothing.
func (s *Store) load(tx *Tx, k *authn.Keys, lock bool) (*loaded, error) {
	l := &loaded{company: k.Company, factor: k.Factor}
	if !goodID(k.Company) {
		return nil, authn.NotFound
	}
	if err := s.loadNamed(tx, k, lock, l); err != nil {
		return nil, err
	}
	if err := s.loadCredential(tx, k, lock, l); err != nil {
		return nil, err
	}
	if err := s.loadAttempt(tx, k, lock, l); err != nil {
		return nil, err
	}
	if err := s.loadSession(tx, k, lock, l); err != nil {
		return nil, err
	}
	if err := s.loadGrant(tx, k, lock, l); err != nil {
		return nil, err
	}
	if err := s.loadHandle(tx, k, lock, l); err != nil {
		return nil, err
	}
	if err := loadReturn(tx, k, l); err != nil {
		return nil, err
	}
	if err := s.loadLink(tx, k, lock, l); err != nil {
		return nil, err
	}
	if err := s.loadReset(tx, k, lock, l); err != nil {
		return nil, err
	}
	if err := l.wantCompany(tx, k.Company); err != nil {
		return nil, err
	}
	if err := s.loadBy(tx, k, lock, l); err != nil {
		return nil, err
	}
	if err := s.loadApproval(tx, k, lock, l); err != nil {
		return nil, err
	}
	if err := s.loadKey(tx, k, lock, l); err != nil {
		return nil, err
	}
	if err := s.loadAccount(tx, k, lock, l); err != nil {
		return nil, err
	}
	if err := s.loadLane(tx, k, l); err != nil {
		return nil, err
	}
	if err := s.loadAsk(tx, k, l); err != nil {
		return nil, err
	}
	if err := s.loadTrust(tx, k, l); err != nil {
		return nil, err
	}
	if err := s.loadForm(tx, k, l); err != nil {
		return nil, err
	}
	if err := s.countResets(tx, k, l); err != nil {
		return nil, err
	}
	if err := s.loadReplaced(tx, k, l); err != nil {
		return nil, err
	}
	if err := s.loadFactors(tx, k, l); err != nil {
		return nil, err
	}
	return l, s.loadSent(tx, k, l)
}

func (l *loaded) wantCompany(tx *Tx, id string) error {
	if l.Company != nil {
		return nil
	}
	var c authn.Company
	found, err := tx.one(selectCompany, companyTargets(&c), id)
	if err != nil {
		return err
	}
	if !found {
		return authn.NotFound
	}
	l.Company = &c
	return nil
}

// loadNamed finds the user of Login or User. If both are given and lead to
// different people, there is nobody.
func (s *Store) loadNamed(tx *Tx, k *authn.Keys, lock bool, l *loaded) error {
	var c authn.Company
	var u authn.User
	var personKey []byte
	switch {
	case k.External != "":
		return s.loadExternal(tx, k, lock, l)
	case k.Login != "":
		// An unknown name costs the same statements as a known one.
		if err := l.wantCompany(tx, k.Company); err != nil {
			return err
		}
		l.login = clean(k.Login, maxLogin)
		name, ok := authn.CanonicalLogin(k.Login)
		if ok {
			l.login = name
		}
		found, err := tx.one(selectLogin.text(tx, lock), userTargets(&u, &personKey), k.Company, l.login,
			k.Charge == authn.NoCharge)
		if err != nil {
			return err
		}
		if found && ok && (k.User == "" || k.User == u.ID) {
			l.setUser(&u, personKey)
		}
	case goodID(k.User):
		found, err := tx.one(selectUser.text(tx, lock), slices.Concat(companyTargets(&c), userTargets(&u, &personKey)), k.Company, k.User)
		if err != nil {
			return err
		}
		if found {
			l.Company = &c
			l.setUser(&u, personKey)
		}
	}
	return nil
}

// named reports whether the keys say who the user is; an attempt or a session
// of somebody else is then as good as none.
func named(k *authn.Keys) bool { return k.Login != "" || k.User != "" }

func (s *Store) loadAttempt(tx *Tx, k *authn.Keys, lock bool, l *loaded) error {
	if k.Attempt == "" && k.AttemptToken.IsZero() {
		return nil
	}
	l.void = true
	id, ok := rowID(k.Attempt, k.AttemptToken, authn.AttemptToken, k.Company)
	if !ok || k.AttemptToken.IsZero() && k.Browser == "" {
		return nil
	}
	var c authn.Company
	var u authn.User
	var a authn.Attempt
	var by *callerRow
	var personKey, token, browser []byte
	found, err := tx.one(selectAttempt.text(tx, lock),
		slices.Concat(companyTargets(&c), userTargets(&u, &personKey), attemptTargets(&a, &by, &token, &browser)), k.Company, id)
	if err != nil || !found {
		return err
	}
	l.Company = &c
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	if k.AttemptToken.IsZero() {
		want := attemptBrowser(l.key, k.Browser, &a)
		ok = subtle.ConstantTimeCompare(browser, want[:]) == 1
	} else {
		want := attemptToken(l.key, k.AttemptToken, &a)
		ok = subtle.ConstantTimeCompare(token, want[:]) == 1
	}
	if ok && l.adopt(k, &u, personKey) {
		l.Attempt, l.attempt = &a, a.ID
		if k.AttemptToken.IsZero() && a.Purpose == authn.SignIn {
			secret := becomes(l.key, k.Browser, &a)
			l.SessionSecret = secret[:]
		}
		l.void = !a.ExpiresAt.After(k.Now)
		return by.openInto(l.key, &a)
	}
	return nil
}

// loadSession finds the session that the keys name, or else the one that the
// attempt is a step-up of, or became. If both are there they must be the same: a step-up
// raises no other session than the one that asked.
func (s *Store) loadSession(tx *Tx, k *authn.Keys, lock bool, l *loaded) error {
	id, ok := rowID(k.Session, k.SessionToken, authn.SessionToken, k.Company)
	switch {
	case k.Session == "" && k.SessionToken.IsZero():
		if l.Attempt == nil {
			return nil
		}
		id, ok = l.Attempt.Session, true
		if k.Became && l.SessionSecret != nil {
			if _, err := tx.one(selectBecame, []any{&id}, l.company, l.uid, l.attempt); err != nil {
				return err
			}
		}
		if id == "" {
			return nil
		}
	case k.SessionToken.IsZero() && k.User == "",
		l.Attempt != nil && l.Attempt.Session != "" && l.Attempt.Session != id:
		ok = false
	}
	void := l.void
	l.void = true
	if !ok {
		return nil
	}
	var c authn.Company
	var u authn.User
	var se authn.Session
	var idle int64
	var personKey, token []byte
	found, err := tx.one(selectSession.text(tx, lock),
		slices.Concat(companyTargets(&c), userTargets(&u, &personKey), sessionTargets(&se, &idle, &token)), k.Company, id)
	if err != nil || !found {
		return err
	}
	se.Idle = time.Duration(idle) * time.Microsecond
	l.Company = &c
	shown := k.SessionToken
	if k.Became && shown.IsZero() {
		shown = authn.Token{Kind: authn.SessionToken, Company: k.Company, ID: id, Secret: l.SessionSecret}
	}
	if !shown.IsZero() {
		if err := s.wantKey(tx, l); err != nil {
			return err
		}
		want := sessionToken(l.key, shown, &se)
		ok = subtle.ConstantTimeCompare(token, want[:]) == 1
	}
	if ok && l.adopt(k, &u, personKey) {
		l.Session, l.session = &se, se
		l.void = void || !endOf(&se).After(k.Now)
	}
	return nil
}

// adopt makes u the user of the decision, unless it is about somebody else.
func (l *loaded) adopt(k *authn.Keys, u *authn.User, personKey []byte) bool {
	if l.User == nil && !named(k) {
		l.setUser(u, personKey)
	}
	return l.uid == u.ID
}

// rowID is the id of an attempt or a session. A token that is for another
// company, kind or row leads nowhere.
func rowID(id string, t authn.Token, kind authn.TokenKind, company string) (string, bool) {
	if !t.IsZero() {
		if t.Kind != kind || t.Company != company || len(t.Secret) == 0 || id != "" && id != t.ID {
			return "", false
		}
		id = t.ID
	}
	return id, goodID(id)
}

// endOf is when the session ends if it is not seen again.
func endOf(se *authn.Session) time.Time {
	if end := se.LastSeenAt.Add(se.Idle); se.Idle > 0 && end.Before(se.ExpiresAt) {
		return end
	}
	return se.ExpiresAt
}

func (s *Store) wantKey(tx *Tx, l *loaded) (err error) {
	if l.key != nil {
		return nil
	}
	// The key may still be in memory when the company was erased by another process.
	if err := l.wantCompany(tx, l.company); err != nil {
		if errors.Is(err, authn.NotFound) {
			s.keys.drop(l.company)
		}
		return err
	}
	l.key, err = s.dataKey(tx, l.company)
	return err
}

// loadLane asks whether the user has signed in with this browser. An attempt
// keeps the lane it began in; whoever holds the token of a session is no
// stranger, with or without a browser (a program has none).
func (s *Store) loadLane(tx *Tx, k *authn.Keys, l *loaded) error {
	l.lane = authn.Stranger
	defer func() { l.Lane = l.lane }()
	if l.Attempt != nil {
		l.lane = l.Attempt.Lane
		if l.lane == authn.Stranger {
			return nil
		}
		return s.loadBrowserFactor(tx, k, l)
	}
	if l.Reset != nil {
		l.lane = l.reset.Lane
		return nil
	}
	if l.Session != nil && !k.SessionToken.IsZero() {
		l.lane = authn.Known
		return nil
	}
	// For an unknown name the same statement is asked in vain.
	if k.Browser == "" || l.uid == "" && k.Login == "" {
		return nil
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	browser := deviceBrowser(l.key, k.Browser, l.company, l.uid)
	var factor string
	known, err := tx.one(selectDevice, []any{&factor}, l.company, l.uid, browser[:])
	if known && l.uid != "" {
		l.lane, l.BrowserFactor = authn.Known, factor
	}
	return err
}

// loadBrowserFactor is for an attempt, whose lane is known already.
func (s *Store) loadBrowserFactor(tx *Tx, k *authn.Keys, l *loaded) error {
	if k.Browser == "" || k.Charge != authn.NoCharge {
		return nil
	}
	browser := deviceBrowser(l.key, k.Browser, l.company, l.uid)
	_, err := tx.one(selectDevice, []any{&l.BrowserFactor}, l.company, l.uid, browser[:])
	return err
}

func (s *Store) loadFactors(tx *Tx, k *authn.Keys, l *loaded) error {
	// For an unknown name, and a reset that is of nobody, they are asked for in vain.
	if l.uid == "" && k.Login == "" && l.Reset == nil {
		return nil
	}
	sealed := map[string][]byte{} // by factor; it is opened once the rows are read, since that may read more
	err := tx.each(selectFactors, []any{l.company, l.uid, k.Sent}, func(scan func(...any) error) (bool, error) {
		var f authn.Factor
		var stranger, known authn.Count
		var number []byte
		if err := scan(append(factorTargets(&f, &stranger, &known), &number)...); err != nil {
			return false, err
		}
		f.Counts = map[authn.Lane]authn.Count{authn.Stranger: stranger, authn.Known: known}
		l.Factors = append(l.Factors, f)
		if number != nil {
			sealed[f.ID] = number
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(l.Factors, func(a, b authn.Factor) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return s.openDestinations(tx, l, sealed)
}

// openDestinations is for factors that codes are sent to: their secret is where.
func (s *Store) openDestinations(tx *Tx, l *loaded, sealed map[string][]byte) error {
	for id, b := range sealed {
		if err := s.wantKey(tx, l); err != nil {
			return err
		}
		f := l.Factor(id)
		number, err := l.open(id, f.Kind, b)
		if err != nil {
			return err
		}
		f.Destination = string(number)
	}
	return nil
}
