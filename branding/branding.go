// Package branding keeps how a company looks and what it calls itself: its logo,
// its colour, its texts and the names of its messages (S37).
//
// # Flow
//
// [Service.Save] judges what an administrator typed, reads a logo anew ([Read]) and
// stores the next version with an event that names each field before and after.
// [Service.Preview] does the same and stores nothing but the logo, as a draft for
// half an hour. What is saved comes with every authn.Company; [Stylesheet] makes
// the colours of its pages, and [Service.Logo] serves its pictures.
//
// # Threats
//
//   - A picture is a program for a decoder. It is measured before it is decoded
//     (ruling 37), decoded one at a time and never by a GET, and what we serve was
//     drawn and written by us: nothing of the file's own bytes is left, so that it
//     cannot be a page, an archive or somebody's place of residence as well.
//   - A colour that nobody can read: 4.5:1 is reached by darkening or lightening
//     (WCAG 2.2, 1.4.3), whatever was chosen.
//   - A colour that is more than a colour: only #rrggbb is parsed, and the
//     stylesheet is written from the parsed number.
//   - Texts that lead elsewhere: links are https only (ruling 37), a text is no
//     markup, and a sender's name is no address (cve-65). The address that mail
//     comes from is never the company's to choose here.
//   - Another company's draft: drafts are found by the company of the session alone.
package branding

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
)

// DraftLives is how long a logo that was looked at is kept for saving it.
const DraftLives = 30 * time.Minute

// Store is what this package needs of storage.
type Store interface {
	Decide(context.Context, authn.Keys, func(*authn.Rows) authn.Verdict) error
	View(context.Context, authn.Keys) (authn.Rows, error)
	// Branding is a company's brand; version 0 if it was never set.
	Branding(ctx context.Context, company string) (authn.Branding, error)
	// Logo is a picture that the company of that slug shows; NotFound otherwise.
	Logo(ctx context.Context, slug, hash string) ([]byte, error)
	PutLogoDraft(ctx context.Context, company string, f authn.LogoFile, at time.Time) error
	// LogoDraft is one that was kept at since or later; NotFound otherwise.
	LogoDraft(ctx context.Context, company, kind, hash string, since time.Time) ([]byte, error)
}

// Config wires a Service. Store is needed.
type Config struct {
	Store  Store
	Render func(authn.Letter) (authn.Message, error) // writes the messages of a preview; nil: it has none
	// SMSName is what a text message makes of a name, empty if it cannot be written;
	// notice.SMSName. Nil: names stay as they are.
	SMSName   func(string) string
	Now       func() time.Time // nil: time.Now
	Random    io.Reader        // nil: crypto/rand
	Lifetimes policy.Lifetimes
}

// Service is safe for concurrent use.
type Service struct {
	c    Config
	life policy.Lifetimes
	gate chan struct{} // one picture is decoded at a time
}

// New checks the configuration.
func New(c Config) (*Service, error) {
	if c.Store == nil {
		return nil, errors.New("branding: Config.Store is needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	return &Service{c: c, life: c.Lifetimes.WithDefaults(), gate: make(chan struct{}, 1)}, nil
}

// Who asks.
type Who struct {
	Token  authn.Token // of a session
	Client authn.Client
	Reason string // why something is changed, for the log; empty: none was given
}

// State is a company's brand as those see it who may change it.
type State struct {
	authn.Branding
	Support string
	Colours Colours // zero without a colour of its own
}

func stateOf(b authn.Branding, support string) State {
	st := State{Branding: b, Support: support}
	st.Colours, _ = ColoursOf(b.Brand.Accent) // was judged when it was saved; empty has none
	return st
}

// The kinds of logos.
const (
	Light = "logo"      // on light ground, and on dark if there is no other
	Dark  = "logo_dark" // on dark ground
)

// kinds are both, in the order in which they are read.
func kinds() []string { return []string{Light, Dark} }

func logoOf(b *authn.Brand, kind string) *authn.Logo {
	if kind == Dark {
		return &b.LogoDark
	}
	return &b.Logo
}

// Picture says what becomes of a logo; the zero value leaves it.
type Picture struct {
	Bytes  []byte // an uploaded file
	Long   bool   // the file was too long to be kept: it is refused
	Draft  string // hash of the draft that is to be used, where nothing was uploaded
	Remove bool
}

// Change is what an administrator typed: all of the texts, and the pictures that
// are to change. The logos in Brand do not count.
type Change struct {
	authn.Brand
	Support  string
	Pictures map[string]Picture // by kind
	// From is the version that the form was made from; 0: whatever there is.
	From int64
}

// author is who changes or looks.
type author struct {
	keys   authn.Keys
	may    func(*authn.Rows, time.Time) error // asked again in the transaction that writes
	id     func(*authn.Rows) string
	client authn.Client
	reason string
}

func (s *Service) person(w Who, fresh bool) author {
	return author{
		keys: authn.Keys{Company: w.Token.Company, SessionToken: w.Token, Now: s.c.Now(), Browser: w.Client.Browser}, client: w.Client, reason: w.Reason,
		id: func(rows *authn.Rows) string { return rows.User.ID },
		may: func(rows *authn.Rows, now time.Time) error {
			if err := policy.CheckSession(rows, now); err != nil {
				return err
			}
			if !directory.Can(*rows.Company, *rows.User, directory.BrandingWrite) {
				return authn.Forbidden
			}
			if !fresh {
				return nil
			}
			doc, err := policy.Current(*rows.Company, now)
			if err != nil {
				return err
			}
			return directory.Recent(rows, doc.Lifetimes(s.life).StepUpAge, now)
		},
	}
}

func (s *Service) operator(company string) author {
	return author{keys: authn.Keys{Company: company, Now: s.c.Now()},
		id: func(*authn.Rows) string { return directory.Operator },
		may: func(rows *authn.Rows, _ time.Time) error {
			if rows.Company == nil {
				return authn.NotFound
			}
			return nil
		}}
}

func (s *Service) view(ctx context.Context, by author) (authn.Rows, error) {
	rows, err := s.c.Store.View(ctx, by.keys)
	if err == nil {
		err = by.may(&rows, by.keys.Now)
	}
	if err != nil {
		return authn.Rows{}, fmt.Errorf("branding: %w", err)
	}
	return rows, nil
}

// Ready says whether w may change something now: nil, StepUpRequired or
// Forbidden. Pages ask before they show a form that would be refused.
func (s *Service) Ready(ctx context.Context, w Who) error {
	_, err := s.view(ctx, s.person(w, true))
	return err
}

// Brand is the company's brand.
//
// Errors: Forbidden.
func (s *Service) Brand(ctx context.Context, w Who) (State, error) {
	return s.state(ctx, s.person(w, false))
}

func (s *Service) state(ctx context.Context, by author) (State, error) {
	rows, err := s.view(ctx, by)
	if err != nil {
		return State{}, err
	}
	b, err := s.c.Store.Branding(ctx, by.keys.Company)
	if err != nil {
		return State{}, fmt.Errorf("branding: %w", err)
	}
	return stateOf(b, rows.Company.Support), nil
}

// Save stores what was typed. What changes nothing is no new version.
//
// Errors: Forbidden, StepUpRequired, Invalid, Conflict (somebody else saved
// meanwhile), Busy (too many pictures at once).
func (s *Service) Save(ctx context.Context, w Who, ch Change) (State, error) {
	return s.save(ctx, s.person(w, true), ch)
}

// SetLogo exchanges one logo (Light or Dark) and leaves everything else.
//
// Errors: as Save; fields logo or logo_dark.
func (s *Service) SetLogo(ctx context.Context, w Who, kind string, p Picture, from int64) (State, error) {
	return s.setLogo(ctx, s.person(w, true), kind, p, from)
}

func (s *Service) setLogo(ctx context.Context, by author, kind string, p Picture, from int64) (State, error) {
	st, err := s.state(ctx, by)
	if err != nil {
		return State{}, err
	}
	if from == 0 {
		from = st.Version // the texts are of this version
	}
	return s.save(ctx, by, Change{Brand: st.Brand, Support: st.Support, From: from, Pictures: map[string]Picture{kind: p}})
}

// Logo is a picture that the pages of the company of that slug show: PNG.
//
// Errors: NotFound.
func (s *Service) Logo(ctx context.Context, slug, hash string) ([]byte, error) {
	return s.c.Store.Logo(ctx, slug, hash)
}

// Draft is a picture of the last half hour that is not saved.
//
// Errors: Forbidden, NotFound.
func (s *Service) Draft(ctx context.Context, w Who, kind, hash string) ([]byte, error) {
	by := s.person(w, false)
	if _, err := s.view(ctx, by); err != nil {
		return nil, err
	}
	return s.c.Store.LogoDraft(ctx, by.keys.Company, kind, hash, by.keys.Now.Add(-DraftLives))
}

// judged is a change that can be saved.
type judged struct {
	brand   authn.Brand
	support string
	files   []authn.LogoFile
}

// judge looks at everything, and says all that is wrong at once.
func (s *Service) judge(ctx context.Context, by author, was authn.Brand, ch Change) (judged, error) {
	j := judged{brand: ch.Brand, support: ch.Support}
	fields := clean(&j.brand, &j.support)
	if name := j.brand.SMSName; name != "" && s.c.SMSName != nil {
		if j.brand.SMSName = s.c.SMSName(name); j.brand.SMSName == "" {
			fields = append(fields, authn.Field{Name: "sms_name", Code: "unwritable"})
		}
	}
	j.brand.Logo, j.brand.LogoDark = was.Logo, was.LogoDark
	for _, kind := range kinds() {
		p := ch.Pictures[kind]
		file, logo, err := s.picture(ctx, by, kind, p)
		var e *authn.Error
		switch {
		case errors.As(err, &e) && e.Code == authn.Invalid:
			fields = append(fields, e.Fields...)
		case err != nil:
			return j, fmt.Errorf("branding: %w", err)
		case p.Remove || file.Bytes != nil:
			*logoOf(&j.brand, kind) = logo
			j.files = append(j.files, file)
		}
	}
	if fields != nil {
		return j, &authn.Error{Code: authn.Invalid, Fields: fields}
	}
	return j, nil
}

// picture is what is to be stored of a logo; without bytes, and without
// Picture.Remove, nothing is.
func (s *Service) picture(ctx context.Context, by author, kind string, p Picture) (authn.LogoFile, authn.Logo, error) {
	file := authn.LogoFile{Kind: kind}
	var err error
	switch {
	case p.Remove:
		return file, authn.Logo{}, nil
	case p.Long:
		return file, authn.Logo{}, authn.InvalidField(kind, "too_large", map[string]any{"Max": MaxUpload >> 20})
	case len(p.Bytes) > 0:
		file.Bytes, err = s.read(ctx, kind, p.Bytes)
	case p.Draft != "":
		file.Bytes, err = s.c.Store.LogoDraft(ctx, by.keys.Company, kind, p.Draft, by.keys.Now.Add(-DraftLives))
		if errors.Is(err, authn.NotFound) {
			err = authn.InvalidField(kind, "choose_again", nil)
		}
	}
	if err != nil || file.Bytes == nil {
		return file, authn.Logo{}, err
	}
	logo, err := measure(file.Bytes)
	file.Hash = logo.Hash
	return file, logo, err
}

// gateWait is how long a picture waits for those before it.
const gateWait = 5 * time.Second

func (s *Service) read(ctx context.Context, field string, b []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, gateWait)
	defer cancel()
	select {
	case s.gate <- struct{}{}:
		defer func() { <-s.gate }()
		return Read(field, b)
	case <-ctx.Done():
		return nil, &authn.Error{Code: authn.Busy, RetryAfter: gateWait, Err: ctx.Err()}
	}
}

func (s *Service) save(ctx context.Context, by author, ch Change) (State, error) {
	st, err := s.state(ctx, by)
	if err == nil {
		by.reason, err = directory.CleanReason(by.reason)
	}
	if err != nil {
		return State{}, err
	}
	if ch.From != 0 && ch.From != st.Version {
		return State{}, authn.Conflict
	}
	j, err := s.judge(ctx, by, st.Brand, ch)
	if err != nil {
		return State{}, err
	}
	if j.brand == st.Brand && j.support == st.Support {
		return st, nil
	}
	next := authn.Branding{Company: by.keys.Company, Version: st.Version + 1, Brand: j.brand, UpdatedAt: by.keys.Now}
	err = s.c.Store.Decide(ctx, by.keys, func(rows *authn.Rows) authn.Verdict {
		if err := by.may(rows, by.keys.Now); err != nil {
			return authn.Drop(err)
		}
		next.UpdatedBy = by.id(rows)
		return authn.Accept(s.event(rows, by, differences(st, j)), authn.SetBranding{Branding: next, Support: j.support, Files: j.files})
	})
	if err != nil {
		return State{}, fmt.Errorf("branding: %w", err)
	}
	return stateOf(next, j.support), nil
}

func (s *Service) event(rows *authn.Rows, by author, detail map[string]string) authn.Event {
	if by.reason != "" {
		detail["reason"] = by.reason
	}
	ev := authn.Event{Company: by.keys.Company, ID: authn.NewID(authn.EventID, by.keys.Now, s.c.Random), Type: "branding.changed",
		Result: authn.Succeeded, Actor: by.id(rows), At: by.keys.Now, Personal: authn.Personal{Agent: by.client.Agent, Detail: detail}}
	if by.client.Address.IsValid() {
		ev.Personal.Address = by.client.Address.String()
	}
	return ev
}

// values are the fields as the event log names them; of a logo the hash, not the
// bytes.
func values(b authn.Brand, support string) map[string]string {
	return map[string]string{"accent": b.Accent, "help_text": b.HelpText, "help_link": b.HelpLink, "privacy_link": b.PrivacyLink, "terms_link": b.TermsLink,
		"support": support, "mail_name": b.MailName, "sms_name": b.SMSName, Light: b.Logo.Hash, Dark: b.LogoDark.Hash}
}

// differences are the fields that change, each before and after.
func differences(was State, is judged) map[string]string {
	before, after := values(was.Brand, was.Support), values(is.brand, is.support)
	detail := map[string]string{}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if before[name] != after[name] {
			names = append(names, name)
			detail[name+"_before"], detail[name+"_after"] = before[name], after[name]
		}
	}
	detail["fields"], detail["version"] = strings.Join(names, " "), strconv.FormatInt(was.Version+1, 10)
	return detail
}

// Preview is what a change would look like.
type Preview struct {
	State
	Drafts map[string]string // hashes of the logos that are kept as drafts, by kind
	Mail   authn.Message     // a code by e-mail; zero: nothing is sent here
	SMS    authn.Message     // … by text message
}

// Preview shows what a change would come to, and saves nothing; logos are kept as
// drafts.
//
// Errors: as Save, but for Conflict.
func (s *Service) Preview(ctx context.Context, w Who, ch Change) (Preview, error) {
	by := s.person(w, true)
	rows, err := s.view(ctx, by)
	if err != nil {
		return Preview{}, err
	}
	st, err := s.state(ctx, by)
	if err != nil {
		return Preview{}, err
	}
	j, err := s.judge(ctx, by, st.Brand, ch)
	if err != nil {
		return Preview{}, err
	}
	st.Branding.Brand = j.brand
	p := Preview{State: stateOf(st.Branding, j.support), Drafts: map[string]string{}}
	for _, f := range j.files {
		if f.Bytes == nil {
			continue
		}
		p.Drafts[f.Kind] = f.Hash
		if len(ch.Pictures[f.Kind].Bytes) == 0 {
			continue // it is the draft
		}
		if err := s.c.Store.PutLogoDraft(ctx, by.keys.Company, f, by.keys.Now); err != nil {
			return Preview{}, fmt.Errorf("branding: %w", err)
		}
	}
	if s.c.Render == nil {
		return p, nil
	}
	company := *rows.Company
	company.Brand, company.Support = j.brand, j.support
	l := authn.Letter{Company: company, User: *rows.User, ID: authn.NewID(authn.MessageID, by.keys.Now, s.c.Random), Channel: authn.Email, Template: "code",
		To: rows.User.Email, At: by.keys.Now, ExpiresAt: by.keys.Now.Add(2 * time.Minute), Seed: []byte("preview!")}
	if p.Mail, err = s.c.Render(l); err != nil {
		return Preview{}, fmt.Errorf("branding: %w", err)
	}
	l.Channel = authn.SMS
	if p.SMS, err = s.c.Render(l); err != nil {
		return Preview{}, fmt.Errorf("branding: %w", err)
	}
	return p, nil
}

// Operator is what whoever holds the machine does with brands, without a session
// (ruling 23): by the same rules, on record as directory.Operator. It is for
// command lines, and for nothing that a request reaches.
type Operator struct{ s *Service }

// Operator gives the operator's calls.
func (s *Service) Operator() Operator { return Operator{s} }

// Brand is Service.Brand.
//
// Errors: NotFound.
func (o Operator) Brand(ctx context.Context, company string) (State, error) {
	return o.s.state(ctx, o.s.operator(company))
}

// Save is Service.Save.
//
// Errors: Invalid, Conflict.
func (o Operator) Save(ctx context.Context, company string, ch Change) (State, error) {
	return o.s.save(ctx, o.s.operator(company), ch)
}

// SetLogo is Service.SetLogo.
//
// Errors: Invalid, Conflict.
func (o Operator) SetLogo(ctx context.Context, company, kind string, p Picture) (State, error) {
	return o.s.setLogo(ctx, o.s.operator(company), kind, p, 0)
}
