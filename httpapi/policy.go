package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
)

// policyVersion is one version of the policy.
type policyVersion struct {
	Version  int64           `json:"version"`
	SavedAt  *time.Time      `json:"saved_at,omitempty"` // nothing of version 1 of a company from before there was a history
	SavedBy  string          `json:"saved_by,omitempty"`
	Reason   string          `json:"reason,omitempty"`
	UndoOf   int64           `json:"undo_of,omitempty"`
	Document json.RawMessage `json:"document"`
	Preview  json.RawMessage `json:"preview,omitempty"` // what was said of it when it was saved
}

func versionOf(v authn.PolicyVersion) policyVersion {
	return policyVersion{Version: v.Version, SavedAt: maybe(v.At), SavedBy: v.Actor, Reason: v.Reason, UndoOf: v.UndoOf,
		Document: v.Document, Preview: v.Summary}
}

// policySaved is what a save, or a preview of one, comes to.
type policySaved struct {
	Version  int64           `json:"version"`
	Document policy.Document `json:"document"`
	Preview  policy.Preview  `json:"preview"`
}

// policyChange is a policy to be saved, or looked at before that.
type policyChange struct {
	Version  int64           `json:"version"` // that the change was made from
	Document json.RawMessage `json:"document"`
	UndoOf   int64           `json:"undo_of"`
	Reason   string          `json:"reason"`
}

// change reads what was sent. A document is read strictly: an unknown field is
// refused, since a rule that is ignored is a hole.
func (in policyChange) change() (directory.PolicyChange, error) {
	ch := directory.PolicyChange{From: in.Version, UndoOf: in.UndoOf, Reason: in.Reason}
	switch {
	case in.Version == 0:
		return ch, authn.InvalidField("version", "required", nil) // "conflict" would blame somebody else
	case in.UndoOf != 0 && in.Document != nil:
		return ch, authn.InvalidField("undo_of", "invalid", nil)
	case in.UndoOf != 0:
		return ch, nil
	case in.Document == nil:
		return ch, authn.InvalidField("document", "required", nil)
	case in.Document[0] != '{':
		return ch, authn.InvalidField("document", "wrong_type", nil)
	}
	var err error
	ch.Document, err = policy.Parse(in.Document)
	return ch, err
}

// policy is GET /policy.
func (a *API) policy(w http.ResponseWriter, r *http.Request, m manager) error {
	v, err := a.Directory.PolicyVersion(r.Context(), m.company.ID, m.company.PolicyVersion)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, versionOf(v))
}

// setPolicy is PUT /policy.
func (a *API) setPolicy(w http.ResponseWriter, r *http.Request, m manager) error {
	return a.changePolicy(w, r, m, false)
}

// previewPolicy is POST /policy/preview: nothing is saved.
func (a *API) previewPolicy(w http.ResponseWriter, r *http.Request, m manager) error {
	return a.changePolicy(w, r, m, true)
}

func (a *API) changePolicy(w http.ResponseWriter, r *http.Request, m manager, preview bool) error {
	var in policyChange
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	ch, err := in.change()
	if err != nil {
		return err
	}
	do := a.Directory.SavePolicy
	if preview {
		do = a.Directory.PreviewPolicy
	}
	saved, err := do(r.Context(), m.who, ch)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, policySaved(saved))
}

// policyVersions is GET /policy/versions, newest first.
func (a *API) policyVersions(w http.ResponseWriter, r *http.Request, m manager) error {
	limit, err := readLimit(r)
	if err != nil {
		return err
	}
	var before int64
	if s, ok := r.URL.Query()["cursor"]; ok {
		if before, err = readVersion("cursor", s[0]); err != nil {
			return err
		}
	}
	list, err := a.Directory.PolicyVersions(r.Context(), m.company.ID, before, limit)
	if err != nil {
		return err
	}
	out := page[policyVersion]{Items: []policyVersion{}}
	for _, v := range list {
		out.Items = append(out.Items, versionOf(v))
	}
	if len(list) == limit && list[limit-1].Version > 1 {
		out.Next = strconv.FormatInt(list[limit-1].Version, 10)
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// policyVersion is GET /policy/versions/{n}.
func (a *API) policyVersion(w http.ResponseWriter, r *http.Request, m manager) error {
	n, err := readVersion("version", r.PathValue("n"))
	if err != nil {
		return authn.NotFound
	}
	v, err := a.Directory.PolicyVersion(r.Context(), m.company.ID, n)
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, versionOf(v))
}

func readVersion(field, s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != s {
		return 0, authn.InvalidField(field, "invalid", nil)
	}
	return n, nil
}

// preset is a policy to begin with.
type preset struct {
	Name     string          `json:"name"`
	Title    string          `json:"title"`
	About    string          `json:"about"`
	Document policy.Document `json:"document"`
}

// policyPresets is GET /policy/presets.
func (a *API) policyPresets(w http.ResponseWriter, r *http.Request, m manager) error {
	out := page[preset]{Items: []preset{}}
	lang := a.language(r, m.user)
	for _, p := range policy.Presets() {
		out.Items = append(out.Items, preset{Name: p.Name, Document: p.Document,
			Title: a.Texts.Text(lang, "preset."+p.Name+".title", nil), About: a.Texts.Text(lang, "preset."+p.Name+".about", nil)})
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}
