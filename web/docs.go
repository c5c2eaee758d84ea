package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/docs"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// The pages for developers. They hold no secrets, ask no service anything and
// need no session. Their content is English, as the OpenAPI document and
// docs/errors.md are; what stands around it comes from the catalogue.
const (
	docsPath       = "/docs"
	docsAPIPath    = "/docs/api"
	docsErrorsPath = "/docs/errors"
)

// manual is what the pages are drawn of, parsed once.
type manual struct {
	guide docs.Guide
	api   *reference // nil: the host gave no document
}

func newManual(c Config) (*manual, error) {
	guide, err := docs.Errors()
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	for _, e := range guide.Errors {
		if e.Status != httpserve.Status(authn.Code(e.Code)) {
			return nil, fmt.Errorf("web: docs/errors.md says HTTP %d of %s", e.Status, e.Code)
		}
	}
	m := &manual{guide: guide}
	if len(c.OpenAPI) == 0 {
		return m, nil
	}
	m.api, err = newReference(c.OpenAPI, c.PublicURL, guide)
	return m, err
}

// mountDocs registers the pages for developers. Without a document there is no
// reference.
func (h *Handler) mountDocs(m *httpserve.Mux) {
	m.Handle("GET "+docsErrorsPath, httpserve.Page(h.getDocsErrors))
	m.Handle("GET "+docsErrorsPath+"/{code}", httpserve.Page(h.getDocsError))
	start := docsErrorsPath
	if h.manual.api != nil {
		start = docsAPIPath
		m.Handle("GET "+docsAPIPath, httpserve.Page(h.getDocsAPI))
		m.Handle("GET "+docsAPIPath+"/{group}", httpserve.Page(h.getDocsGroup))
	}
	m.Handle("GET "+docsPath, httpserve.Page(func(w http.ResponseWriter, _ *http.Request) error {
		seeOther(w, start)
		return nil
	}))
}

// docsNav is the side of every page for developers.
type docsNav struct {
	API     *reference
	Guide   docs.Guide
	Section string // "api" or "errors"
	Group   string // the one that is shown
	Code    string // the one that is shown
	Query   string
}

func (h *Handler) drawDocs(w http.ResponseWriter, r *http.Request, file, title string, data any) error {
	v := h.layout.view(r)
	v.Shape, v.Title, v.Data = docsShape, title, data
	return h.draw(w, http.StatusOK, file, v)
}

// apiPage is the data of docs_api.html.
type apiPage struct {
	docsNav
	Groups []foundGroup
	Found  int
}

type foundGroup struct {
	*group
	Found      bool // something in it
	Operations []foundOperation
}

type foundOperation struct {
	*refOperation
	Found bool
}

const maxQuery = 100 // characters that are looked for

// getDocsAPI lists all operations; with q those that have all its words. What was
// not found is in the page too, hidden, so that app.js can go on from there.
func (h *Handler) getDocsAPI(w http.ResponseWriter, r *http.Request) error {
	q := strings.TrimSpace(strings.ToValidUTF8(r.URL.Query().Get("q"), ""))
	if runes := []rune(q); len(runes) > maxQuery {
		q = string(runes[:maxQuery])
	}
	p := apiPage{docsNav: docsNav{API: h.manual.api, Guide: h.manual.guide, Section: "api", Query: q}}
	looked := strings.Fields(strings.ToLower(q))
	for _, g := range h.manual.api.Groups {
		f := foundGroup{group: g}
		for _, op := range g.Operations {
			found := op.matches(looked)
			f.Operations = append(f.Operations, foundOperation{op, found})
			if found {
				f.Found = true
				p.Found++
			}
		}
		p.Groups = append(p.Groups, f)
	}
	return h.drawDocs(w, r, "docs_api.html", h.layout.view(r).T("page.docs.api"), p)
}

// groupPage is the data of docs_group.html.
type groupPage struct {
	docsNav
	Shown *group
}

func (h *Handler) getDocsGroup(w http.ResponseWriter, r *http.Request) error {
	groups := h.manual.api.Groups
	i := slices.IndexFunc(groups, func(g *group) bool { return g.Name == r.PathValue("group") })
	if i < 0 {
		return authn.NotFound
	}
	nav := docsNav{API: h.manual.api, Guide: h.manual.guide, Section: "api", Group: groups[i].Name}
	return h.drawDocs(w, r, "docs_group.html", h.layout.view(r).T("page.docs.api_group", "Group", groups[i].Title), groupPage{nav, groups[i]})
}

// docsErrorsPage is the data of docs_errors.html.
type docsErrorsPage struct{ docsNav }

func (h *Handler) getDocsErrors(w http.ResponseWriter, r *http.Request) error {
	nav := docsNav{API: h.manual.api, Guide: h.manual.guide, Section: "errors"}
	return h.drawDocs(w, r, "docs_errors.html", h.layout.view(r).T("page.docs.errors"), docsErrorsPage{nav})
}

// docsErrorPage is the data of docs_error.html.
type docsErrorPage struct {
	docsNav
	Shown      docs.Error
	StatusText string
	Title      string // as in the problem document
	Example    string
	UsedBy     []*refOperation
}

func (h *Handler) getDocsError(w http.ResponseWriter, r *http.Request) error {
	e, ok := h.manual.guide.Find(r.PathValue("code"))
	if !ok {
		return authn.NotFound
	}
	p := docsErrorPage{
		docsNav: docsNav{API: h.manual.api, Guide: h.manual.guide, Section: "errors", Code: e.Code},
		Shown:   e, StatusText: http.StatusText(e.Status),
	}
	if h.manual.api != nil {
		p.UsedBy = h.manual.api.usedBy[e.Code]
	}
	var err error
	if p.Title, p.Example, err = exampleProblem(r, authn.Code(e.Code), h.c.PublicURL); err != nil {
		return err
	}
	return h.drawDocs(w, r, "docs_error.html", h.layout.view(r).T("page.docs.error", "Code", e.Code), p)
}

// exampleProblem is a problem document as the server would answer it now, to
// this reader: no second description of it can go stale.
func exampleProblem(r *http.Request, code authn.Code, base string) (title, document string, err error) {
	e := exampleError(code, base)
	problem := httpserve.NewProblem(r, e)
	problem.RequestID = "k3v0c6qj5t2m8h1d"
	raw, err := json.Marshal(problem)
	if err != nil {
		return "", "", errors.Join(authn.Internal, err)
	}
	b := &referenceBuilder{}
	document = b.indent("problem", raw)
	return problem.Title, document, b.err
}

// exampleError has those members that come with a code.
func exampleError(code authn.Code, base string) *authn.Error {
	e := &authn.Error{Code: code}
	switch code {
	case authn.BadRequest:
		e.Key = "error.bad_request.json"
	case authn.Forbidden:
		e.Key = "error.forbidden.cross_site"
	case authn.StepUpRequired:
		e.MaxAge, e.ACRValues = 10*time.Minute, "aal2"
	case authn.Invalid:
		e.Fields = []authn.Field{{Name: "code", Code: "too_few", Args: map[string]any{"Digits": 6}}}
	case authn.WrongCode:
		e.HasLeft, e.AttemptsLeft = true, 9
	case authn.Paused:
		e.RetryAfter, e.ExpiresAt = 30*time.Second, time.Date(2026, 11, 21, 9, 14, 40, 0, time.UTC)
	case authn.TooManyRequests:
		e.RetryAfter = 30 * time.Second
	case authn.Busy:
		e.RetryAfter = time.Second
	case authn.WrongHost:
		e.Args = map[string]any{"Address": base}
	}
	return e
}

// snippet is code to copy.
type snippet struct {
	ID, Name, Text               string
	Lang, Copy, Copied, CopyName string
}

// newSnippet is a function of the templates; what says which code it is, so that
// many buttons on one page are told apart.
func newSnippet(v *View, id, what, text string) snippet {
	return snippet{ID: id, Name: what, Text: strings.TrimSpace(text), Lang: v.Lang,
		Copy: v.T("page.docs.copy"), Copied: v.T("page.copy.done"), CopyName: v.T("page.docs.copy_name", "What", what)}
}
