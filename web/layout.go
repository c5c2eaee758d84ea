package web

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/text"
)

//go:embed pages
var pageFiles embed.FS

// LayoutConfig makes a Layout. Texts is needed.
type LayoutConfig struct {
	Texts   *text.Catalogue
	Cookies httpserve.Cookies
	Banner  string           // on top of every page; empty: none
	Now     func() time.Time // nil: time.Now
}

// Layout is the frame that all pages share. It needs no services, so that other
// pages (the demo's) can look like ours.
type Layout struct {
	c    LayoutConfig
	base *template.Template // only cloned, never drawn
}

// frame and ownPages are parsed once for all servers of a process: nothing in them
// depends on a configuration. Drawing a template is safe for concurrent use.
var (
	frame = sync.OnceValues(func() (*template.Template, error) {
		base := template.New("layout").Funcs(template.FuncMap{"asset": Asset, "snippet": newSnippet, "dict": dict})
		base, err := base.ParseFS(pageFiles, "pages/layout.html", "pages/icons.html", "pages/parts.html", "pages/duoparts.html", "pages/docs.html", "pages/chart.html")
		if err != nil {
			return nil, fmt.Errorf("web: layout: %w", err)
		}
		return base, nil
	})
	ownPages = sync.OnceValues(parsePages)
)

// NewLayout makes the frame.
func NewLayout(c LayoutConfig) (*Layout, error) {
	if c.Texts == nil {
		return nil, errors.New("web: LayoutConfig.Texts is nil")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	base, err := frame()
	if err != nil {
		return nil, err
	}
	return &Layout{c: c, base: base}, nil
}

// Parse reads a page: a template that defines the block "main". Its dot is a
// *View, whose field Data is the page's own.
func (l *Layout) Parse(source string) (*template.Template, error) { return parsePage(l.base, source) }

func parsePage(base *template.Template, source string) (*template.Template, error) {
	t, err := base.Clone()
	if err != nil {
		return nil, fmt.Errorf("web: layout: %w", err)
	}
	if t, err = t.Parse(source); err != nil {
		return nil, fmt.Errorf("web: page: %w", err)
	}
	if t.Lookup("main") == nil {
		return nil, errors.New(`web: page: it defines no "main"`)
	}
	return t, nil
}

// Shape is how wide a page is and what stands around it.
type Shape string

// The shapes.
const (
	Card  Shape = ""      // one card in the middle: signing in, messages
	Sheet Shape = "sheet" // the top bar, and the whole width

	docsShape Shape = "docs" // the pages for developers: the top bar, their side, and the whole width
)

// Render draws a page parsed by Parse, with the title as text. Nothing is
// written if that fails.
func (l *Layout) Render(w http.ResponseWriter, r *http.Request, status int, t *template.Template, shape Shape, title string, data any) error {
	v := l.view(r)
	v.Title, v.Shape, v.Data = title, shape, data
	return l.write(w, status, t, v)
}

// write draws first and answers then: half a page is no page.
func (l *Layout) write(w http.ResponseWriter, status int, t *template.Template, v *View) error {
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout", v); err != nil {
		return fmt.Errorf("web: draw: %w", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", v.Lang)
	w.Header().Add("Vary", "Accept-Language, Cookie")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // fails only if the client has gone
	return nil
}

// page is a parsed file of pages/.
type page struct {
	name     string
	template *template.Template
}

// parsePages parses every page; the name is that of the file.
func parsePages() (map[string]*page, error) {
	base, err := frame()
	if err != nil {
		return nil, err
	}
	files, err := pageFiles.ReadDir("pages")
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	pages := map[string]*page{}
	for _, f := range files {
		name := f.Name()
		switch name {
		case "layout.html", "icons.html", "parts.html", "duoparts.html", "docs.html", "chart.html":
			continue
		}
		source, err := pageFiles.ReadFile("pages/" + name)
		if err != nil {
			return nil, fmt.Errorf("web: %w", err)
		}
		t, err := parsePage(base, string(source))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		pages[name] = &page{name: name, template: t}
	}
	return pages, nil
}

// draw renders one of our own pages.
func (h *Handler) draw(w http.ResponseWriter, status int, file string, v *View) error {
	p, ok := h.pages[file]
	if !ok {
		return errors.New("web: no page " + file)
	}
	return h.layout.write(w, status, p.template, v)
}

// dict hands several values to a part of a page, by name.
func dict(pairs ...any) map[string]any { return arguments(pairs) }
