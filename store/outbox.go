package store

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

// Names of the rows of meta about the outbox.
const (
	markSent   = "outbox_sent"   // microseconds of the last success
	markFailed = "outbox_failed" // reason of the last failure since
)

// How long what is told stays worth telling, and what a person can say about it.
const (
	noticeLives = 3 * 24 * time.Hour
	notMeLives  = 7 * 24 * time.Hour // ruling 35
	maxOwners   = 50                 // who are told of what concerns the company
)

// letterBody is the sealed part of a row.
type letterBody struct {
	To   string            `json:"to"`
	Args map[string]string `json:"args,omitempty"`
	Link string            `json:"link,omitempty"`
	Via  string            `json:"via,omitempty"`
}

// letterPlace binds what the row says in the open, so that nobody who writes to
// the database makes a notice to one address carry the code of another.
func letterPlace(company, user, id string, channel authn.Kind, template authn.Template, challenge string) keyring.AD {
	return keyring.AD{Table: "outbox", Column: "sealed", Company: company, Row: id, User: user,
		Kind: string(channel) + "\x00" + string(template) + "\x00" + challenge}
}

func (s *Store) writeLetter(tx *Tx, k *authn.Keys, l *loaded, w authn.Write) error {
	if n, asked := w.(authn.NewLetter); s.notice == nil && !(asked && n.Letter.Channel == authn.SMS) {
		return nil // there is no mail
	}
	switch w := w.(type) {
	case authn.NewLetter:
		return s.newLetter(tx, k, l, l.uid, w.Letter, w.Challenge)
	case authn.TellOwners:
		told, err := readers(tx, maxOwners, ownersReached, l.company)
		if err == nil && len(w.Also) > 0 {
			told, err = holders(tx, l, w.Also, told)
		}
		if err != nil {
			return err
		}
		for _, o := range told {
			letter := w.Letter
			letter.ID, letter.To = authn.NewID(authn.MessageID, k.Now, s.random), o.email
			if letter.Args = maps.Clone(letter.Args); letter.Args == nil {
				letter.Args = map[string]string{}
			}
			letter.Args["locale"] = o.locale
			// The letter is about the decision's user, and goes to somebody else.
			if err := s.newLetter(tx, k, l, l.uid, letter, ""); err != nil {
				return err
			}
		}
		return nil
	}
	return internal("no such write: %T", w)
}

// reader is whom a letter about somebody else goes to.
type reader struct{ email, locale string }

const (
	reached       = " AND status = 'active' AND email_verified_at > 0 AND email <> '' ORDER BY id LIMIT $1"
	ownersReached = "SELECT email, locale FROM users WHERE (company, id) IN (SELECT company, id FROM users WHERE company = $2 AND owner)" + reached
)

// shapeReached tells SQLite which index: it would take the primary key, and read
// everybody.
func shapeReached(d *Dialect) string {
	index := ""
	if d.Name == "sqlite" {
		index = " INDEXED BY users_shape"
	}
	return "SELECT email, locale FROM users" + index + " WHERE company = $2 AND shape = $3 AND id <> $4 AND NOT owner AND NOT api" + reached
}

// readers are those whom such a query finds, the oldest accounts first.
func readers(tx *Tx, most int, query string, args ...any) (list []reader, err error) {
	err = tx.each(query, append([]any{most}, args...), func(scan func(...any) error) (bool, error) {
		var r reader
		err := scan(&r.email, &r.locale)
		list = append(list, r)
		return true, err
	})
	return list, err
}

// holders adds to the owners who holds one of the roles, up to maxOwners. Shapes say
// what roles people have, so that nobody's row is read who holds none of them.
func holders(tx *Tx, l *loaded, roles []string, told []reader) ([]reader, error) {
	shapes, err := shapesOf(tx, l.company)
	if err != nil {
		return nil, err
	}
	for _, c := range shapes {
		s, err := authn.ParseShape(c.shape)
		if err != nil || !s.Email || s.API || s.Status != authn.Active || !slices.ContainsFunc(s.Roles, func(r string) bool { return slices.Contains(roles, r) }) {
			continue
		}
		if len(told) >= maxOwners {
			break
		}
		more, err := readers(tx, maxOwners-len(told), shapeReached(tx.d), l.company, c.shape, l.uid)
		if err != nil {
			return nil, err
		}
		told = append(told, more...)
	}
	return told, nil
}

func (s *Store) newLetter(tx *Tx, k *authn.Keys, l *loaded, user string, letter authn.Letter, challenge string) error {
	if err := wantID("letter", letter.ID); err != nil {
		return err
	}
	if letter.To == "" || len(letter.To) > authn.MaxLogin {
		return internal("letter %s has no usable address", letter.ID)
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	if letter.At.IsZero() {
		letter.At = k.Now
	}
	if letter.ExpiresAt.IsZero() {
		letter.ExpiresAt = k.Now.Add(noticeLives)
	}
	if letter.Channel == "" {
		letter.Channel = authn.Email
	}
	letter.Channel, letter.Template = authn.Kind(clean(string(letter.Channel), maxWord)), authn.Template(clean(string(letter.Template), maxWord))
	challenge = clean(challenge, maxID)
	body, err := json.Marshal(letterBody{To: letter.To, Args: bounded(letter.Args), Link: letter.Link.Reveal(), Via: clean(letter.Via, maxWord)})
	if err != nil {
		return internal("letter %s: %w", letter.ID, err)
	}
	n, err := tx.exec(`INSERT INTO outbox (company, id, user_id, channel, template, challenge, sealed, at, expires_at, next_at, tries, reason)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, '') ON CONFLICT DO NOTHING`,
		l.company, letter.ID, user, string(letter.Channel), string(letter.Template), challenge,
		l.key.Seal(letterPlace(l.company, user, letter.ID, letter.Channel, letter.Template, challenge), body), micros(letter.At), micros(letter.ExpiresAt), micros(k.Now))
	return oneRow(n, err, "there is a letter of that id")
}

func bounded(args map[string]string) map[string]string {
	out := make(map[string]string, len(args))
	for name, v := range args {
		if len(out) < maxDetails {
			out[clean(name, maxWord)] = clean(v, maxDetail)
		}
	}
	return out
}

// tell puts what an event means for its person into the outbox, in the same
// transaction: a change that people must hear of cannot forget to say so.
func (s *Store) tell(tx *Tx, k *authn.Keys, l *loaded, ev authn.Event) error {
	if s.notice == nil || ev.Target == "" {
		return nil
	}
	template, ok := s.notice(ev)
	if !ok {
		return nil
	}
	var email string
	var verified int64
	found, err := tx.one("SELECT email, email_verified_at FROM users WHERE company = $1 AND id = $2", []any{&email, &verified}, l.company, ev.Target)
	if err != nil || !found || email == "" || verified == 0 {
		return err
	}
	letter := authn.Letter{ID: authn.NewID(authn.MessageID, k.Now, s.random), Template: template, To: email, At: ev.At, Args: noticeArgs(ev)}
	if l.uid == ev.Target {
		id := authn.NewID(authn.LinkID, k.Now, s.random)
		letter.Link = authn.NewToken(authn.LinkToken, l.company, id, s.random)
		link := authn.Link{ID: id, Purpose: authn.NotMeLink, Mailed: true, Epoch: l.epoch, Event: ev.ID, CreatedAt: k.Now, ExpiresAt: k.Now.Add(notMeLives)}
		if err := newLink(tx, l, authn.NewLink{Link: link, Token: letter.Link}); err != nil {
			return err
		}
	}
	return s.newLetter(tx, k, l, ev.Target, letter, "")
}

// noticeArgs is what a notice says of an event.
func noticeArgs(ev authn.Event) map[string]string {
	args := maps.Clone(ev.Personal.Detail)
	if args == nil {
		args = map[string]string{}
	}
	args["type"] = ev.Type
	// The browser and network of another person are not the reader's to know.
	delete(args, "agent")
	delete(args, "address")
	if ev.Actor == ev.Target || ev.Actor == "" {
		args["agent"], args["address"] = ev.Personal.Agent, ev.Personal.Address
	}
	switch ev.Actor {
	case ev.Target:
		args["by"] = "self"
	case "":
		args["by"] = "nobody"
	case "operator":
		args["by"] = "operator"
	default:
		args["by"] = "admin"
	}
	return args
}

const letterColumns = "company, id, user_id, channel, template, challenge, sealed, at, expires_at, tries"

// row is a letter as it lies in the table.
type letterRow struct {
	letter          authn.Letter
	user, challenge string
	sealed          []byte
}

func (r *letterRow) targets() []any {
	return []any{&r.letter.Company.ID, &r.letter.ID, &r.user, (*string)(&r.letter.Channel), (*string)(&r.letter.Template), &r.challenge,
		&r.sealed, asTime{&r.letter.At}, asTime{&r.letter.ExpiresAt}, &r.letter.Tries}
}

// ClaimLetters hands out letters that are due, and keeps them from others for
// the time of the lease. A letter whose code is used or over is dropped; one that
// cannot be opened is put aside, and holds up no other.
func (s *Store) ClaimLetters(ctx context.Context, now time.Time, max int, lease time.Duration) ([]authn.Letter, error) {
	// An empty outbox costs a look, not a commit.
	var due [][2]string
	err := s.b.Read(ctx, func(tx *Tx) error {
		due = nil
		return tx.each("SELECT company, id FROM outbox WHERE next_at <= $1 ORDER BY next_at LIMIT $2", []any{micros(now), limitOf(max)},
			func(scan func(...any) error) (bool, error) {
				var one [2]string
				err := scan(&one[0], &one[1])
				due = append(due, one)
				return true, err
			})
	})
	if err != nil || len(due) == 0 {
		return nil, in("claim letters", err)
	}
	var list []authn.Letter
	for _, one := range due {
		letter, ok, err := s.ClaimLetter(ctx, one[0], one[1], now, lease)
		switch {
		case errors.Is(err, authn.Busy):
			if len(list) == 0 {
				return nil, err
			}
			return list, nil // what is claimed is for the caller to send
		case err != nil:
			s.log.Error("store: letter not claimed", "company", one[0], "letter", one[1], "err", err)
		case ok:
			list = append(list, letter)
		}
	}
	return list, nil
}

// ClaimLetter is ClaimLetters for one; false if it is gone, not due or claimed.
func (s *Store) ClaimLetter(ctx context.Context, company, id string, now time.Time, lease time.Duration) (authn.Letter, bool, error) {
	var out authn.Letter
	var ok bool
	var broken error
	if !goodID(company) || !goodID(id) {
		return out, false, nil
	}
	err := s.b.Do(ctx, func(tx *Tx) error {
		out, ok, broken = authn.Letter{}, false, nil
		var r letterRow
		found, err := tx.one("UPDATE outbox SET next_at = $4, tries = tries + 1 WHERE company = $1 AND id = $2 AND next_at <= $3 RETURNING "+letterColumns,
			r.targets(), company, id, micros(now), micros(now.Add(lease)))
		if err != nil || !found {
			return err
		}
		if out, ok, err = s.openLetter(tx, &r, now); err != nil && tx.failed == nil {
			broken, err = err, s.putAside(tx, &r, now)
		}
		return err
	})
	if err == nil {
		err = broken
	}
	if err != nil {
		return authn.Letter{}, false, in("claim letter", err)
	}
	return out, ok, nil
}

// What keeps a letter from being opened, such as the missing key of its company,
// can be mended; until then it is looked at now and then.
const (
	lookAgain  = time.Hour
	notOpening = "the message does not open"
)

// putAside keeps a letter that cannot be opened from standing in the way of the
// others. Once it is not worth sending any more it is given up, with an event
// where one can be written.
func (s *Store) putAside(tx *Tx, r *letterRow, now time.Time) error {
	company, id := r.letter.Company.ID, r.letter.ID
	if err := tx.setMark(markFailed, notOpening); err != nil {
		return err
	}
	if !r.letter.ExpiresAt.After(now) {
		ev := authn.Event{Type: "message.failed", Target: r.user, Result: authn.Refused, At: now, Personal: authn.Personal{Detail: map[string]string{
			"template": string(r.letter.Template), "channel": string(r.letter.Channel), "reason": notOpening, "message": id}}}
		err := s.insertEvent(tx, &authn.Keys{Company: company, Now: now}, &loaded{company: company}, ev)
		if err == nil {
			_, err = tx.exec("DELETE FROM outbox WHERE company = $1 AND id = $2", company, id)
		}
		if err == nil || tx.failed != nil {
			return err
		}
	}
	_, err := tx.exec("UPDATE outbox SET next_at = $3, reason = $4 WHERE company = $1 AND id = $2", company, id, micros(now.Add(lookAgain)), notOpening)
	return err
}

func (s *Store) openLetter(tx *Tx, r *letterRow, now time.Time) (authn.Letter, bool, error) {
	l := &loaded{company: r.letter.Company.ID}
	if err := l.wantCompany(tx, l.company); err != nil {
		return authn.Letter{}, false, err
	}
	if err := s.wantKey(tx, l); err != nil {
		return authn.Letter{}, false, err
	}
	letter := r.letter
	letter.Company = *l.Company
	var personKey []byte
	found, err := tx.one(selectUser.plain, append(companyTargets(&letter.Company), userTargets(&letter.User, &personKey)...), l.company, r.user)
	if err == nil && found {
		l.setUser(&letter.User, personKey)
		if r.challenge != "" {
			if letter.Seed, err = l.seedOf(tx, r.challenge, now); letter.Seed == nil && err == nil {
				letter.Seed, err = l.resetSeedOf(tx, r.challenge, now)
			}
		}
	}
	if err != nil {
		return authn.Letter{}, false, err
	}
	if !found && r.user != "" || r.challenge != "" && letter.Seed == nil {
		_, err := tx.exec("DELETE FROM outbox WHERE company = $1 AND id = $2", l.company, letter.ID)
		return authn.Letter{}, false, err
	}
	plain, err := l.key.Open(letterPlace(l.company, r.user, letter.ID, letter.Channel, letter.Template, r.challenge), r.sealed)
	var body letterBody
	if err != nil || json.Unmarshal(plain, &body) != nil {
		return authn.Letter{}, false, internal("letter %s does not open", letter.ID)
	}
	letter.To, letter.Args, letter.Via = body.To, body.Args, body.Via
	if body.Link != "" {
		letter.Link, _ = authn.ParseToken(authn.LinkToken, body.Link)
	}
	return letter, true, nil
}

// seedOf is what a code that is still good is derived from; nil: it is not.
func (l *loaded) seedOf(tx *Tx, challenge string, now time.Time) ([]byte, error) {
	var seed []byte
	err := tx.each("SELECT "+challengeColumns+" FROM challenges WHERE company = $1 AND id = $2 AND user_id = $3 AND expires_at > $4 AND NOT consumed",
		[]any{l.company, challenge, l.uid, micros(now)}, func(scan func(...any) error) (bool, error) {
			c, ok, err := l.scanChallenge(scan)
			if ok {
				seed = c.Seed
			}
			return false, err
		})
	return seed, err
}

// LetterSent removes a letter that a provider has taken.
func (s *Store) LetterSent(ctx context.Context, company, id string, now time.Time) error {
	return in("letter sent", s.b.Do(ctx, func(tx *Tx) error {
		if _, err := tx.exec("DELETE FROM outbox WHERE company = $1 AND id = $2", company, id); err != nil {
			return err
		}
		if err := tx.setMark(markFailed, ""); err != nil {
			return err
		}
		return tx.setMark(markSent, now.UTC().Format(time.RFC3339))
	}))
}

// LetterFailed sets the next try; with an event the letter is given up. Without
// a reason it was not tried at all, and the claim does not count.
func (s *Store) LetterFailed(ctx context.Context, company, id string, next time.Time, reason string, ev *authn.Event) error {
	return in("letter failed", s.b.Do(ctx, func(tx *Tx) error {
		if reason == "" && ev == nil {
			_, err := tx.exec("UPDATE outbox SET next_at = $3, tries = tries - 1 WHERE company = $1 AND id = $2 AND tries > 0", company, id, micros(next))
			return err
		}
		// The letter before the mark, as in LetterSent, so that the two never wait
		// for each other in a circle.
		var n int64
		var err error
		if ev == nil {
			n, err = tx.exec("UPDATE outbox SET next_at = $3, reason = $4 WHERE company = $1 AND id = $2", company, id, micros(next), clean(reason, maxDetail))
		} else {
			n, err = tx.exec("DELETE FROM outbox WHERE company = $1 AND id = $2", company, id)
		}
		if err != nil || n == 0 {
			return err // gone: another node has sent it
		}
		if err := tx.setMark(markFailed, clean(reason, maxDetail)); err != nil || ev == nil {
			return err
		}
		return s.insertEvent(tx, &authn.Keys{Company: company, Now: ev.At}, &loaded{company: company}, *ev)
	}))
}

// OutboxState is how the outbox stands.
func (s *Store) OutboxState(ctx context.Context) (authn.OutboxState, error) {
	var st authn.OutboxState
	err := s.b.Read(ctx, func(tx *Tx) error {
		st = authn.OutboxState{}
		_, err := tx.one("SELECT count(*), COALESCE(min(at), 0), COALESCE(SUM(CASE WHEN reason <> '' THEN 1 ELSE 0 END), 0) FROM outbox",
			[]any{&st.Waiting, asTime{&st.Oldest}, &st.Failing})
		if err != nil {
			return err
		}
		if st.LastFail, err = tx.mark(markFailed); err != nil {
			return err
		}
		sent, err := tx.mark(markSent)
		if sent != "" {
			st.LastSent, _ = time.Parse(time.RFC3339, sent)
		}
		return err
	})
	return st, in("outbox state", err)
}
