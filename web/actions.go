package web

import (
	"net/http"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/text"
)

const actionsPath = "/admin/actions"

// actionsPage is the data of actions.html.
type actionsPage struct {
	Rows    []actionRow
	Form    *actionForm // nil: only the list
	Problem string
}

// actionRow is an action as people are asked to confirm it.
type actionRow struct {
	ID, Name, Audience string // ID is the name as it can stand in a selector
	BuiltIn            bool   // the host program's
	Asks               []actionAsk
}

// actionAsk is the sentence of the confirmation in one language: see getConfirm.
type actionAsk struct {
	Lang, Dir string
	Words     []Part
}

// actionForm is the form of one action of the company.
type actionForm struct {
	Old                           string // its name; empty: a new one
	Name, Title, Audience, Reason formLine
	Titles                        []formLine // in other languages
}

var actionAct = directory.Act{Type: "action.saved", Permission: directory.KeysWrite, Fresh: true}

func (h *Handler) getActions(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	list, err := h.c.Directory.Actions(r.Context(), who)
	if err != nil {
		return err
	}
	if !r.URL.Query().Has("action") {
		return h.drawActions(w, r, cur, list, nil, refusedForm{Status: http.StatusOK})
	}
	if err := h.c.Directory.Ready(r.Context(), who, actionAct); err != nil {
		return err // asked for now rather than when everything is typed
	}
	var change directory.ActionChange
	if name := r.URL.Query().Get("action"); name != "" {
		own, ok := ownAction(list, name)
		if !ok {
			return authn.NotFound
		}
		change.Action = own
	}
	return h.drawActions(w, r, cur, list, &change, refusedForm{Status: http.StatusOK})
}

func ownAction(list []directory.ActionOf, name string) (authn.Action, bool) {
	for _, a := range list {
		if a.Name == name && !a.BuiltIn {
			return a.Action, true
		}
	}
	return authn.Action{}, false
}

// drawActions draws the list, and the form as change has it.
func (h *Handler) drawActions(w http.ResponseWriter, r *http.Request, cur session.Current, list []directory.ActionOf, change *directory.ActionChange, bad refusedForm) error {
	v := h.personal(r, cur)
	p := actionsPage{Problem: bad.Problem}
	for _, a := range list {
		p.Rows = append(p.Rows, v.actionRow(a))
	}
	if change != nil {
		p.Form = v.actionForm(*change, bad)
		if _, there := ownAction(list, change.Name); there && !fromNewForm(r) {
			p.Form.Old = change.Name
		}
	}
	v.Section, v.Title, v.Data, v.Failed = "actions", v.T("admin.actions.title"), p, bad.Status >= http.StatusBadRequest
	return h.draw(w, bad.Status, "actions.html", v)
}

// fromNewForm reports whether a form was posted that was to make something new.
func fromNewForm(r *http.Request) bool {
	return r.Method == http.MethodPost && r.PostForm.Get("old") == ""
}

// actionRow shows what each reader is asked; the page's own language comes first.
func (v *View) actionRow(a directory.ActionOf) actionRow {
	row := actionRow{ID: strings.ReplaceAll(a.Name, ".", "-"), Name: a.Name, Audience: a.Audience, BuiltIn: a.BuiltIn}
	for _, l := range v.texts.Languages() {
		reader := *v
		reader.language(l)
		ask := actionAsk{Lang: l, Dir: reader.Dir, Words: reader.Rich("page.confirm.for_action", "Act", a.In(l))}
		if row.Asks = append(row.Asks, ask); l == v.Lang {
			copy(row.Asks[1:], row.Asks[:len(row.Asks)-1])
			row.Asks[0] = ask
		}
	}
	return row
}

// actionTitle is the name of the field for the words in one language.
func actionTitle(lang string) string { return "title_" + lang }

func (v *View) actionForm(c directory.ActionChange, bad refusedForm) *actionForm {
	f := &actionForm{
		Name:     formLine{ID: "name", Label: v.T("admin.actions.name"), Hint: v.T("admin.actions.name_hint"), Value: c.Name, Err: bad.Errors["name"], Plain: true},
		Title:    formLine{ID: "title", Label: v.T("admin.actions.words"), Hint: v.T("admin.actions.words_hint"), Value: c.Title, Err: bad.Errors["title"]},
		Audience: formLine{ID: "audience", Label: v.T("admin.actions.audience"), Hint: v.T("admin.actions.audience_hint"), Value: c.Audience, Err: bad.Errors["audience"], Plain: true},
		Reason:   formLine{ID: "reason", Label: v.T("admin.reason"), Hint: v.T("admin.reason_hint"), Value: c.Reason, Err: bad.Errors["reason"]},
	}
	for _, l := range v.texts.Languages() {
		if l == text.English && c.Titles[l] == "" {
			continue // the usual words are as a rule in English
		}
		line := formLine{ID: actionTitle(l), Label: v.actionTitleLabel(l), Hint: v.T("admin.actions.words_in_hint"), Value: c.Titles[l]}
		if bad.Errors["titles"] != "" && c.Titles[l] != "" {
			if _, err := authn.CleanName("titles", c.Titles[l], authn.MaxActionTitle); err != nil {
				line.Err = v.fieldText(authn.AsError(err), "titles")
			}
		}
		f.Titles = append(f.Titles, line)
	}
	return f
}

func (v *View) actionTitleLabel(lang string) string {
	return v.T("admin.actions.words_in", "Language", v.texts.Text(lang, "page.language.name", nil))
}

func (h *Handler) postActions(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	list, err := h.c.Directory.Actions(r.Context(), who)
	if err != nil {
		return err
	}
	form := r.PostForm
	change := directory.ActionChange{Action: authn.Action{Name: form.Get("name"), Title: form.Get("title"), Audience: form.Get("audience"), Titles: map[string]string{}}, Reason: form.Get("reason")}
	for _, l := range h.c.Texts.Languages() {
		if words := strings.TrimSpace(form.Get(actionTitle(l))); words != "" {
			change.Titles[l] = words
		}
	}
	done := "action_saved"
	_, there := ownAction(list, change.Name)
	switch {
	case fromNewForm(r) && there: // a new one must not take the place of one that is there
		err = authn.InvalidField("name", "taken", nil)
	case !fromNewForm(r) && !there:
		err = &authn.Error{Code: authn.NotFound, Key: "error.action_gone"}
	case form.Get("do") == "remove":
		done, err = "action_removed", h.c.Directory.RemoveAction(r.Context(), who, change.Name, change.Reason)
	default:
		_, err = h.c.Directory.SaveAction(r.Context(), who, change)
	}
	if err == nil {
		return h.finish(w, actionsPath, done)
	}
	bad, ok := h.personal(r, cur).refusedForm(r, err)
	if !ok {
		return err
	}
	return h.drawActions(w, r, cur, list, &change, bad)
}
