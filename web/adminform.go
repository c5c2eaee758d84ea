package web

import (
	"net/http"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// formLine is a field of a form of the administration: a line of text, one of
// several choices, or with "form-checks" several of them.
type formLine struct {
	ID, Label, Hint, Value, Err string
	Type                        string // of the input; empty: text
	Plain                       bool   // a name or a code, not prose
	Choices                     []Choice
}

// once is a secret that is shown this once.
type once struct{ Title, Text, Secret, Copy, Copied string }

func (v *View) once(title, text, secret string) *once {
	if secret == "" {
		return nil
	}
	return &once{Title: title, Text: text, Secret: secret, Copy: v.T("admin.copy"), Copied: v.T("page.copy.done")}
}

// refusedForm is why a form was refused, for the page that shows it again: by
// field, or in one sentence. Not ok: it is no answer to the form.
type refusedForm struct {
	Status  int
	Errors  map[string]string
	Problem string
}

func (v *View) refusedForm(r *http.Request, err error) (refusedForm, bool) {
	e := authn.AsError(err)
	out := refusedForm{Status: httpserve.Status(e.Code), Errors: map[string]string{}}
	switch e.Code {
	case authn.Invalid:
		for _, f := range e.Fields {
			out.Errors[f.Name] = v.fieldText(e, f.Name)
		}
	case authn.Conflict:
		for _, f := range e.Fields {
			out.Errors[f.Name] = v.fieldText(e, f.Name)
		}
		if len(e.Fields) == 0 {
			out.Problem = httpserve.Message(v.texts, v.Lang, e)
		}
	case authn.Forbidden, authn.PolicyForbids, authn.NotFound:
		if e.Key == "" {
			return out, false
		}
		out.Problem = httpserve.Message(v.texts, v.Lang, e)
	default:
		return out, false
	}
	httpserve.Record(r, err)
	return out, true
}

// permissionChoices are the permissions with what each means, for check boxes.
func (v *View) permissionChoices(offer []directory.Permission, chosen []string) []Choice {
	var list []Choice
	for _, p := range offer {
		list = append(list, Choice{Value: string(p), Label: v.T("permission." + string(p)), Chosen: slices.Contains(chosen, string(p))})
	}
	return list
}

func (v *View) permissionTexts(list []string) []string {
	var out []string
	for _, p := range list {
		out = append(out, v.T("permission."+p))
	}
	return out
}
