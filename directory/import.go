package directory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// ImportStore is what an import needs of storage. Nobody of it is seen before
// FinishImport, and then everybody is.
type ImportStore interface {
	BeginImport(ctx context.Context, company, id, actor string, now time.Time) error
	StagePeople(ctx context.Context, company, id string, now time.Time, list []authn.ImportedPerson) ([]authn.TakenName, map[string]int64, error)
	FinishImport(ctx context.Context, company, id string, now time.Time, shapes map[string]int64, ev authn.Event) error
	SettleImport(ctx context.Context, company, id string, now time.Time) (more bool, err error)
	DropImport(ctx context.Context, company, id string) (more bool, err error)
}

// Hashes judges hashes of passwords that another system made; method/password is
// one.
type Hashes interface {
	// CheckHash says whether Verify could check a password against the hash: a known
	// format, and a cost within its bounds. The error repeats nothing of it.
	CheckHash(hash string) error
}

// ImportFile is a file of people.
type ImportFile struct {
	Format string    // "csv" or "jsonl"
	Data   io.Reader // read once, to the end
	DryRun bool      // look at everything, and create nobody
}

// ImportReport is what an import came to.
type ImportReport struct {
	ID      string
	Rows    int64 // that were read
	Created int64 // people: all rows, or none
	DryRun  bool
	// Errors are the first 1,000 things that are wrong; Wrong counts all. If there
	// are any, nobody is created.
	Errors []RowError
	Wrong  int64
}

const (
	maxRowErrors = 1000
	importBatch  = 100 // as the store takes
)

// Import creates the people of a file: all of them, or nobody if anything is wrong
// with one (ruling 24). It only creates; who is there already is an error. Contacts
// are not verified, roles are those that the importer could give, and never owner.
// Who has administrative rights and comes with a password chooses another one at
// the first sign-in.
//
// Errors: those of Act; Invalid (field format), Conflict (error.import_running).
// What is wrong with the file is in the report.
func (s *Service) Import(ctx context.Context, w Who, f ImportFile) (ImportReport, error) {
	var out ImportReport
	if f.Format != "csv" && f.Format != "jsonl" {
		return out, authn.InvalidField("format", "not_one_of", nil)
	}
	a := Act{Type: "users.imported", Permission: UsersIdentity, Fresh: true}
	rows, err := s.importer(ctx, w, a)
	if err != nil {
		return out, err
	}
	now := s.c.Now()
	im := &importing{s: s, w: w, rows: rows, now: now, shapes: map[string]int64{}, out: &out}
	out.ID, out.DryRun = authn.NewID("imp", now, s.c.Random), f.DryRun
	company := rows.Company.ID
	if err := s.c.Store.BeginImport(ctx, company, out.ID, actorOf(w, rows), now); err != nil {
		return out, fmt.Errorf("directory: import: %w", err)
	}
	done := false
	defer func() {
		if !done {
			s.dropImport(context.WithoutCancel(ctx), company, out.ID)
		}
	}()
	if err := im.read(ctx, newRows(f.Format, f.Data)); err != nil || f.DryRun || out.Wrong > 0 {
		return out, err
	}
	// Whoever was allowed at the beginning may not be any more.
	if rows, err = s.importer(ctx, w, Act{Type: a.Type, Permission: a.Permission}); err != nil {
		return out, err
	}
	ev := s.actEvent(w, rows, a, s.c.Now(), authn.Succeeded, map[string]string{"people": strconv.FormatInt(im.staged, 10), "import": out.ID, "format": f.Format})
	if err := s.c.Store.FinishImport(ctx, company, out.ID, s.c.Now(), im.shapes, ev); err != nil {
		return out, fmt.Errorf("directory: import: %w", err)
	}
	done, out.Created = true, im.staged
	// From here on it is done; what remains the sweep would do, too.
	for more := true; more; {
		if more, err = s.c.Store.SettleImport(context.WithoutCancel(ctx), company, out.ID, s.c.Now()); err != nil {
			return out, nil
		}
	}
	return out, nil
}

func (s *Service) dropImport(ctx context.Context, company, id string) {
	for more := true; more; {
		var err error
		if more, err = s.c.Store.DropImport(ctx, company, id); err != nil {
			return // the sweep tries again
		}
	}
}

// importer says whether w may import, and who they are.
func (s *Service) importer(ctx context.Context, w Who, a Act) (*authn.Rows, error) {
	if _, err := s.Check(ctx, w, a.Permission); err != nil {
		return nil, err
	}
	k, err := s.actKeys(w, a)
	if err != nil {
		return nil, err
	}
	rows, err := s.c.Store.View(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("directory: import: %w", err)
	}
	if err := s.authorize(w, &rows, a, k.Now); err != nil {
		return nil, err
	}
	return &rows, nil
}

// importing is an import on its way.
type importing struct {
	s      *Service
	w      Who
	rows   *authn.Rows
	now    time.Time
	batch  []authn.ImportedPerson
	staged int64
	shapes map[string]int64
	out    *ImportReport
}

func (im *importing) wrong(e RowError) {
	im.out.Wrong++
	if len(im.out.Errors) < maxRowErrors {
		im.out.Errors = append(im.out.Errors, e)
	}
}

// read goes through the whole file, also after an error: so that all are told at
// once.
func (im *importing) read(ctx context.Context, r rowReader) error {
	for ctx.Err() == nil {
		line, row, err := r.next()
		var bad *RowError
		switch {
		case err == io.EOF:
			if im.out.Rows == 0 && im.out.Wrong == 0 {
				im.wrong(*fileError(1, "empty", nil))
			}
			return im.flush(ctx)
		case errors.As(err, &bad):
			im.wrong(*bad)
			if bad.Field == "file" {
				return im.flush(ctx)
			}
			im.out.Rows++
			continue
		case err != nil:
			return err
		}
		im.out.Rows++
		p, errs := im.person(line, row)
		for _, e := range errs {
			im.wrong(e)
		}
		if len(errs) > 0 {
			continue
		}
		if im.batch = append(im.batch, p); len(im.batch) == importBatch {
			if err := im.flush(ctx); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func (im *importing) flush(ctx context.Context) error {
	if len(im.batch) == 0 {
		return nil
	}
	taken, shapes, err := im.s.c.Store.StagePeople(ctx, im.rows.Company.ID, im.out.ID, im.s.c.Now(), im.batch)
	if err != nil {
		return fmt.Errorf("directory: import: %w", err)
	}
	for _, t := range taken {
		e := RowError{Row: t.Row, Field: t.Field, Code: "taken"}
		if t.Within {
			e.Code, e.Key = "twice", "import.twice"
		}
		im.wrong(e)
	}
	for shape, n := range shapes {
		im.shapes[shape] += n
		im.staged += n
	}
	im.batch = im.batch[:0]
	return nil
}

// person judges one row.
func (im *importing) person(line int, row importRow) (authn.ImportedPerson, []RowError) {
	var errs []RowError
	note := func(err error) {
		e := authn.AsError(err)
		for _, f := range e.Fields {
			errs = append(errs, RowError{Row: line, Field: f.Name, Code: f.Code, Key: f.Key, Args: f.Args})
		}
		if len(e.Fields) == 0 {
			errs = append(errs, RowError{Row: line, Field: "row", Code: string(e.Code), Key: e.TextKey()})
		}
	}
	roles := strings.FieldsFunc(row["roles"], func(r rune) bool { return strings.ContainsRune(",; \t", r) })
	u, logins, err := im.s.build(*im.rows.Company, NewUser{Login: row["login"], Email: strings.TrimSpace(row["email"]), Name: row["name"],
		Audience: authn.Audience(strings.TrimSpace(row["audience"])), Roles: roles}, im.now)
	if err != nil {
		note(err)
	} else if hasRole(u, Owner) || mayGrant(im.w, im.rows, u.Roles) != nil {
		errs = append(errs, RowError{Row: line, Field: "roles", Code: "not_yours", Key: "import.roles"})
	}
	if u.Locale, err = im.s.locale(strings.TrimSpace(row["locale"])); err != nil {
		note(err)
	}
	// An exported cell begins with an apostrophe, so that "+" is no formula (ruling 37).
	if typed := strings.TrimPrefix(strings.TrimSpace(row["phone"]), "'"); typed != "" {
		if u.Phone, err = (Phone{Typed: typed}).read(); err != nil {
			note(err)
		}
	}
	p := authn.ImportedPerson{Row: line, User: u, Logins: logins}
	if hash := row["password_hash"]; hash != "" {
		known, ok := im.s.c.Passwords.(Hashes)
		if !ok || known.CheckHash(hash) != nil {
			return p, append(errs, RowError{Row: line, Field: "password_hash", Code: "hash", Key: "import.hash"})
		}
		p.Password, p.Hash = authn.NewID(authn.FactorID, im.now, im.s.c.Random), []byte(hash)
		p.User.PasswordChangedAt = im.now
		if Administrative(*im.rows.Company, u) {
			p.User.SecuredAt = im.now // asks for a new password (ruling 24)
		}
	}
	return p, errs
}
