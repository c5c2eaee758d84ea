package web

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
)

// Forms that are kept over a step-up (ruling 27). What was posted is stored sealed,
// the step-up says what it is for, and after the proof a page shows it, without its
// secrets. Its one button has the form posted again to the ordinary handler, inside
// the process: nothing of a form is ever read by another way.

// keptPath, with the page to go back to in its query, is where a step-up leads that
// keeps a form. The query makes it none of people's addresses: see keptBack.
const keptPath = confirmPath + "/form"

// keptPage is the data of kept.html.
type keptPage struct {
	Action, Back string
	Target, Do   string // what it is about, and the words of the button
	Danger       bool
	Effects      [][]Part
	Rows         []keptRow
	Until        Part
}

// keptRow is a field with what was typed; a secret only says that it is there.
type keptRow struct {
	Label, Value string
	Secret       bool
}

// toKeep is the posted form, if it is of a route that is on the list. lost: there is
// one, and it cannot be kept.
func toKeep(r *http.Request) (form *authn.Form, lost bool) {
	if r.Method != http.MethodPost || keptForms[r.Pattern] == nil {
		return nil, false
	}
	values := url.Values{}
	for name, list := range r.PostForm {
		if name != httpserve.FormField { // of the session that ends now
			values[name] = list
		}
	}
	body := []byte(values.Encode())
	if httpserve.HasFiles(r) || len(body) > authn.MaxForm {
		return nil, true
	}
	return &authn.Form{Route: r.Pattern, Path: r.URL.Path, Body: body}, false
}

// keptBack is the page to go back to from a step-up that keeps a form.
func keptBack(a authn.Attempt) (back string, ok bool) {
	query, ok := strings.CutPrefix(a.ReturnTo, keptPath+"?")
	if !ok {
		return "", false
	}
	q, err := url.ParseQuery(query)
	return safe(q.Get("then"), securityPath), err == nil
}

// described is what a kept form says, in words.
func (h *Handler) described(v *View, r *http.Request, cur session.Current, form authn.Form) keptPage {
	k := &kept{h: h, v: v, r: r, cur: cur, path: pathValues(form.Route, form.Path)}
	describe := keptForms[form.Route]
	var err error
	if k.form, err = url.ParseQuery(string(form.Body)); err == nil && describe != nil {
		describe(k)
	}
	k.page.Until = v.Seconds(form.ExpiresAt)
	return k.page
}

// pathValues are the wildcards of a route.
func pathValues(route, path string) map[string]string {
	values, parts := map[string]string{}, strings.Split(path, "/")
	_, pattern, _ := strings.Cut(route, " ")
	for i, name := range strings.Split(pattern, "/") {
		if strings.HasPrefix(name, "{") && i < len(parts) {
			values[strings.Trim(name, "{}")] = parts[i]
		}
	}
	return values
}

// keptFor puts the kept form of a step-up into its page.
func (h *Handler) keptFor(v *View, r *http.Request, cur session.Current, a authn.Attempt, p *confirmPage) error {
	if _, ok := keptBack(a); !ok {
		return nil
	}
	form, err := h.c.SignIn.KeptForm(r.Context(), cur.Token, a.ID, httpserve.ClientOf(r))
	switch {
	case authn.AsError(err).Code == authn.NotFound:
		p.Gone = true
		return nil
	case err != nil:
		return err
	}
	d := h.described(v, r, cur, form)
	if p.Kept = true; d.Target != d.Do { // otherwise the act of the step-up says it
		p.For = v.Rich("page.kept.for", "Target", d.Target, "Act", d.Do)
	}
	return nil
}

func keptAddress(attempt string) string { return confirmPath + "/" + attempt + "/form" }

// getKept shows what was kept, once its step-up is complete.
func (h *Handler) getKept(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if st, _, err := h.openStepUp(r, cur); err == nil && st.Need.State != authn.Complete {
		return h.toStepUp(w, st, "")
	}
	form, err := h.c.SignIn.KeptForm(r.Context(), cur.Token, r.PathValue("attempt"), httpserve.ClientOf(r))
	if err != nil {
		return h.keptGone(w, r, cur, err)
	}
	v := h.personal(r, cur)
	p := h.described(v, r, cur, form)
	p.Action, p.Back = r.URL.Path, h.backOf(r, cur)
	v.Title, v.Data = v.T("page.kept.title"), p
	return h.draw(w, http.StatusOK, "kept.html", v)
}

// postKept uses the form up and posts it again. Whatever holds for that request is
// asked anew by its handler: who it is, what they may do, how recent the proof is,
// and which version of a thing the form was made from.
func (h *Handler) postKept(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if st, _, err := h.openStepUp(r, cur); err == nil && st.Need.State != authn.Complete {
		return h.toStepUp(w, st, "")
	}
	form, err := h.c.SignIn.TakeForm(r.Context(), cur.Token, r.PathValue("attempt"), httpserve.ClientOf(r))
	if err != nil {
		return h.keptGone(w, r, cur, err)
	}
	values, err := url.ParseQuery(string(form.Body))
	if err != nil || keptForms[form.Route] == nil || h.mux.Route(http.MethodPost, form.Path) != form.Route {
		return h.keptGone(w, r, cur, authn.NotFound) // of another version of this server
	}
	values.Set(httpserve.FormField, h.c.Cookies.FormToken(r))
	again := r.Clone(r.Context())
	again.URL, again.RequestURI = &url.URL{Path: form.Path}, form.Path
	again.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	again.Body, again.ContentLength = http.NoBody, 0
	again.Form, again.PostForm, again.MultipartForm = nil, values, nil
	h.mux.ServeHTTP(w, again)
	return nil
}

// backOf is the page that the form of the address was typed on.
func (h *Handler) backOf(r *http.Request, cur session.Current) string {
	st, err := h.c.SignIn.Get(r.Context(), h.stepUpOpener(r, cur))
	if err == nil && st.Attempt.Purpose == authn.StepUp && st.Attempt.User == cur.User.ID {
		if back, ok := keptBack(st.Attempt); ok {
			return back
		}
	}
	return securityPath
}

// keptGone says that there is nothing to send any more.
func (h *Handler) keptGone(w http.ResponseWriter, r *http.Request, cur session.Current, err error) error {
	if authn.AsError(err).Code != authn.NotFound {
		return err
	}
	httpserve.Record(r, err)
	v := h.personal(r, cur)
	v.Title = v.T("page.kept.gone_title")
	return h.drawGone(w, httpserve.Status(authn.Expired), v, gone{Text: v.T("page.kept.gone"), Button: v.T("page.kept.back"), Action: h.backOf(r, cur)})
}
