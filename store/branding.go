package store

import (
	"context"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// MaxLogoFile bounds a stored picture, in bytes.
const MaxLogoFile = 256 << 10

// Branding is a company's brand; one that was never set has version 0.
func (s *Store) Branding(ctx context.Context, company string) (authn.Branding, error) {
	b := authn.Branding{Company: company}
	if !goodID(company) {
		return b, authn.NotFound
	}
	err := s.b.Read(ctx, func(tx *Tx) error {
		b = authn.Branding{Company: company}
		_, err := tx.one("SELECT version, document, updated_at, updated_by FROM branding WHERE company = $1",
			[]any{&b.Version, asJSON[authn.Brand]{&b.Brand}, asTime{&b.UpdatedAt}, &b.UpdatedBy}, company)
		return err
	})
	return b, in("branding", err)
}

// setBranding saves the brand, and the pictures that it shows.
func setBranding(tx *Tx, l *loaded, w authn.SetBranding) error {
	b := w.Branding
	if b.Company != "" && b.Company != l.company || b.Version < 1 {
		return internal("branding version %d is not one of the decision's company", b.Version)
	}
	statement := "UPDATE branding SET version = $2, document = $3, updated_at = $4, updated_by = $5 WHERE company = $1 AND version = $2 - 1"
	if b.Version == 1 {
		statement = "INSERT INTO branding (company, version, document, updated_at, updated_by) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"
	}
	n, err := tx.exec(statement, l.company, b.Version, encode(b.Brand), micros(b.UpdatedAt), clean(b.UpdatedBy, maxID))
	if err := oneRow(n, err, "the brand was saved by somebody else"); err != nil {
		return err
	}
	if _, err := tx.exec("UPDATE companies SET support = $2 WHERE id = $1", l.company, clean(w.Support, 4*500)); err != nil {
		return err
	}
	// A draft was of the version before.
	if _, err := tx.exec("DELETE FROM brand_files WHERE company = $1 AND kind IN ($2, $3)", l.company, draftKind("logo"), draftKind("logo_dark")); err != nil {
		return err
	}
	for _, f := range w.Files {
		if err := putLogoFile(tx, l.company, f, b.UpdatedAt); err != nil {
			return err
		}
	}
	return nil
}

func putLogoFile(tx *Tx, company string, f authn.LogoFile, at time.Time) error {
	if len(f.Bytes) == 0 {
		_, err := tx.exec("DELETE FROM brand_files WHERE company = $1 AND kind = $2", company, clean(f.Kind, maxWord))
		return err
	}
	if len(f.Bytes) > MaxLogoFile {
		return internal("a logo of %d bytes", len(f.Bytes))
	}
	_, err := tx.exec(`INSERT INTO brand_files (company, kind, hash, at, bytes) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (company, kind) DO UPDATE SET hash = excluded.hash, at = excluded.at, bytes = excluded.bytes`,
		company, clean(f.Kind, maxWord), clean(f.Hash, maxWord), micros(at), f.Bytes)
	return err
}

// draftKind keeps a draft apart from what everybody is shown.
func draftKind(kind string) string { return "draft_" + kind }

// Logo is a picture that a company's pages show now. NotFound otherwise, also
// for a draft.
func (s *Store) Logo(ctx context.Context, slug, hash string) ([]byte, error) {
	var bytes []byte
	err := s.b.Read(ctx, func(tx *Tx) error {
		bytes = nil
		found, err := tx.one(`SELECT f.bytes FROM companies c JOIN brand_files f ON f.company = c.id
			WHERE c.slug = $1 AND f.hash = $2 AND f.kind IN ('logo', 'logo_dark') LIMIT 1`,
			[]any{&bytes}, clean(slug, maxWord), clean(hash, maxWord))
		if err == nil && !found {
			err = authn.NotFound
		}
		return err
	})
	return bytes, in("logo", err)
}

// PutLogoDraft keeps a picture that is not saved yet; each kind has one.
func (s *Store) PutLogoDraft(ctx context.Context, company string, f authn.LogoFile, at time.Time) error {
	if !goodID(company) {
		return authn.NotFound
	}
	f.Kind = draftKind(f.Kind)
	return in("put logo draft", s.b.Do(ctx, func(tx *Tx) error { return putLogoFile(tx, company, f, at) }))
}

// LogoDraft is the draft of a kind that was kept at since or later. NotFound
// otherwise.
func (s *Store) LogoDraft(ctx context.Context, company, kind, hash string, since time.Time) ([]byte, error) {
	if !goodID(company) {
		return nil, authn.NotFound
	}
	var bytes []byte
	err := s.b.Read(ctx, func(tx *Tx) error {
		bytes = nil
		found, err := tx.one("SELECT bytes FROM brand_files WHERE company = $1 AND kind = $2 AND hash = $3 AND at >= $4",
			[]any{&bytes}, company, clean(draftKind(kind), maxWord), clean(hash, maxWord), micros(since))
		if err == nil && !found {
			err = authn.NotFound
		}
		return err
	})
	return bytes, in("logo draft", err)
}
