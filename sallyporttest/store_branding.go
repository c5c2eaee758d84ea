package sallyporttest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

func runBranding(t *testing.T, open opener) {
	set := func(w *world, p *person, version int64, brand authn.Brand, files ...authn.LogoFile) error {
		return w.write(authn.Keys{Company: p.company, User: p.id}, authn.SetBranding{Support: "Floor 3", Files: files,
			Branding: authn.Branding{Version: version, Brand: brand, UpdatedAt: w.now, UpdatedBy: p.id}})
	}
	picture := func(kind, hash string) authn.LogoFile {
		return authn.LogoFile{Kind: kind, Hash: hash, Bytes: []byte("\x89PNG\x00" + hash)}
	}
	t.Run("saved once per version, and loaded with the company", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "priya"), w.newUser(w.newCompany("beta"), "zoe")
		if got, err := w.Store.Branding(w.ctx, p.company); err != nil || got.Version != 0 || got.Brand != (authn.Brand{}) {
			t.Errorf("never set: %+v, %v", got, err)
		}
		brand := authn.Brand{Accent: "#ffee00", HelpText: "Żółw 🐢", MailName: "Acme", Logo: authn.Logo{Hash: "aa", Width: 3, Height: 4}}
		w.want(set(w, p, 2, brand), authn.Conflict)
		w.must(set(w, p, 1, brand))
		w.want(set(w, p, 1, brand), authn.Conflict)
		w.want(set(w, p, 3, brand), authn.Conflict)
		brand.Accent = "#00ff00"
		w.must(set(w, p, 2, brand))
		got, err := w.Store.Branding(w.ctx, p.company)
		w.must(err)
		if got.Version != 2 || got.Brand != brand || got.UpdatedBy != p.id || !got.UpdatedAt.Equal(w.now) {
			t.Errorf("%+v", got)
		}
		rows, err := w.Store.View(w.ctx, authn.Keys{Company: p.company, User: p.id, Now: w.now})
		w.must(err)
		c, err := w.Store.CompanyBySlug(w.ctx, rows.Company.Slug)
		w.must(err)
		if rows.Company.Brand != brand || c.Brand != brand || c.Support != "Floor 3" {
			t.Errorf("%+v, %+v", rows.Company, c)
		}
		if c, err := w.Store.CompanyBySlug(w.ctx, "beta"); err != nil || c.Brand != (authn.Brand{}) || c.Support != "" {
			t.Errorf("another company: %+v, %v", c, err)
		}
		w.must(set(w, q, 1, authn.Brand{Accent: "#0000ff"}))
		if got, err := w.Store.Branding(w.ctx, p.company); err != nil || got.Brand != brand {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := w.Store.Branding(w.ctx, "no company"); err == nil {
			t.Error("a company that cannot be")
		}
	})
	t.Run("one of many saves at once", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "priya")
		var saved atomic.Int64
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() {
				if set(w, p, 1, authn.Brand{Accent: "#ffee00"}) == nil {
					saved.Add(1)
				}
			})
		}
		all.Wait()
		if saved.Load() != 1 {
			t.Errorf("%d saved version 1", saved.Load())
		}
	})
	t.Run("pictures are of one company, and drafts of nobody's pages", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "priya"), w.newUser(w.newCompany("beta"), "zoe")
		slug := func() string {
			rows, err := w.Store.View(w.ctx, authn.Keys{Company: p.company, Now: w.now})
			w.must(err)
			return rows.Company.Slug
		}()
		logo := func(slug, hash string) string {
			b, err := w.Store.Logo(w.ctx, slug, hash)
			if err != nil {
				w.want(err, authn.NotFound)
			}
			return string(b)
		}
		w.must(set(w, p, 1, authn.Brand{}, picture("logo", "aa"), picture("logo_dark", "bb")))
		w.must(set(w, q, 1, authn.Brand{}, picture("logo", "cc")))
		if logo(slug, "aa") != "\x89PNG\x00aa" || logo(slug, "bb") == "" || logo(slug, "cc") != "" || logo("beta", "aa") != "" || logo("beta", "cc") == "" || logo("", "aa") != "" {
			t.Error("pictures are where they do not belong")
		}
		w.must(w.Store.PutLogoDraft(w.ctx, p.company, picture("logo", "dd"), w.now))
		draft := func(company, kind, hash string, since time.Time) bool {
			b, err := w.Store.LogoDraft(w.ctx, company, kind, hash, since)
			if err != nil {
				w.want(err, authn.NotFound)
			}
			return err == nil && len(b) > 0
		}
		for name, wrong := range map[string]bool{
			"another company": draft(q.company, "logo", "dd", w.now), "another kind": draft(p.company, "logo_dark", "dd", w.now), "what is saved": draft(p.company, "logo", "aa", w.now),
			"too old": draft(p.company, "logo", "dd", w.now.Add(time.Second)), "a page": logo(slug, "dd") != "",
		} {
			if wrong {
				t.Errorf("the draft is there for %s", name)
			}
		}
		if !draft(p.company, "logo", "dd", w.now) {
			t.Error("the draft is not there")
		}
		w.must(w.Store.PutLogoDraft(w.ctx, p.company, picture("logo", "ee"), w.now))
		if draft(p.company, "logo", "dd", w.now) || !draft(p.company, "logo", "ee", w.now) {
			t.Error("there are two drafts of a kind")
		}
		w.must(set(w, p, 2, authn.Brand{}, authn.LogoFile{Kind: "logo"}, picture("logo_dark", "ff")))
		if logo(slug, "aa") != "" || logo(slug, "bb") != "" || logo(slug, "ff") == "" || draft(p.company, "logo", "ee", w.now) {
			t.Error("what was replaced is still there")
		}
		w.want(set(w, p, 3, authn.Brand{}, authn.LogoFile{Kind: "logo", Hash: "x", Bytes: make([]byte, 256<<10+1)}), authn.Internal)
	})
}
