package httpapi

import (
	"encoding/csv"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/csvfile"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// apiAccount is a user as the account of a program. Secret is there once, in the
// answer that makes it.
type apiAccount struct {
	User       string     `json:"user"`
	Login      string     `json:"login"`
	API        bool       `json:"api"`
	Roles      []string   `json:"roles"`
	Networks   []string   `json:"networks"`
	Owner      string     `json:"owner,omitempty"`
	OwnerLogin string     `json:"owner_login,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
	CreatedAt  *time.Time `json:"created_at,omitempty"`
	CreatedBy  string     `json:"created_by,omitempty"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	UsedFrom   string     `json:"last_used_from,omitempty"`
	Secret     string     `json:"secret,omitempty"`
	// Waits is the id of the approval that the act waits for; nothing was done yet.
	Waits string `json:"waits,omitempty"`
}

func (a *API) writeAccount(w http.ResponseWriter, r *http.Request, m manager, p directory.Permission, out directory.Outcome) error {
	status := http.StatusOK
	u, x, api, err := a.Directory.APIAccountOf(r.Context(), m.who, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	v := apiAccount{User: u.ID, Login: u.Login, API: u.API, Roles: append([]string{}, u.Roles...), Networks: []string{}, Secret: out.Secret}
	if api {
		names, err := a.Directory.Logins(r.Context(), m.company, []string{x.Owner, x.CreatedBy})
		if err != nil {
			return err
		}
		v.Owner, v.OwnerLogin, v.Reason, v.ExpiresAt, v.CreatedAt, v.CreatedBy = x.Owner, names[x.Owner], x.Reason, maybe(x.ExpiresAt), maybe(x.CreatedAt), names[x.CreatedBy]
		v.LastUsedAt, v.UsedFrom = maybe(x.LastUsedAt), x.UsedFrom
		for _, n := range x.Networks {
			v.Networks = append(v.Networks, n.String())
		}
	}
	if out.Waits != nil {
		status, v.Waits, v.Secret = http.StatusAccepted, out.Waits.ID, ""
	}
	return httpserve.WriteJSON(w, status, v)
}

// apiAccount is GET /users/{id}/api.
func (a *API) apiAccount(w http.ResponseWriter, r *http.Request, m manager) error {
	if _, err := userID(r); err != nil {
		return err
	}
	return a.writeAccount(w, r, m, directory.UsersRead, directory.Outcome{})
}

// setAPIAccount is PUT /users/{id}/api.
func (a *API) setAPIAccount(w http.ResponseWriter, r *http.Request, m manager) error {
	var in struct {
		Role      string   `json:"role"`
		Networks  []string `json:"networks"`
		Owner     string   `json:"owner" required:"true"`
		ExpiresAt string   `json:"expires_at" required:"true"`
		Reason    string   `json:"reason" required:"true"`
		Password  string   `json:"password"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	id, err := userID(r)
	if err != nil {
		return err
	}
	act := directory.PersonAct{Do: directory.APIOn, Target: id, Reason: in.Reason, Password: in.Password,
		Args: map[string]string{"role": in.Role, "networks": strings.Join(in.Networks, " "), "owner": in.Owner, "until": in.ExpiresAt}}
	out, err := a.Directory.Do(r.Context(), m.who, act)
	if err != nil {
		return named(err, "until", "expires_at")
	}
	return a.writeAccount(w, r, m, directory.UsersIdentity, out)
}

// named gives a field of an error the name that it has here.
func named(err error, was, is string) error {
	e := authn.AsError(err)
	if e.Code != authn.Invalid {
		return err
	}
	for i := range e.Fields {
		if e.Fields[i].Name == was {
			e.Fields[i].Name = is
		}
	}
	return e
}

// removeAPIAccount is POST /users/{id}/api/off.
func (a *API) removeAPIAccount(w http.ResponseWriter, r *http.Request, m manager) error {
	var in struct {
		Reason string `json:"reason" required:"true"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	id, err := userID(r)
	if err != nil {
		return err
	}
	out, err := a.Directory.Do(r.Context(), m.who, directory.PersonAct{Do: directory.APIOff, Target: id, Reason: in.Reason})
	if err != nil {
		return err
	}
	return a.writeAccount(w, r, m, directory.UsersIdentity, out)
}

// exemption is somebody or something of whom policy asks less.
type exemption struct {
	Kind     string     `json:"kind"`
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Owner    string     `json:"owner"`
	Reason   string     `json:"reason"`
	By       string     `json:"by"`
	Until    time.Time  `json:"until"`
	Networks string     `json:"networks"`
	LastUsed *time.Time `json:"last_used_at,omitempty"`
	From     string     `json:"last_used_from,omitempty"`
}

func exemptionOf(e directory.Exemption) exemption {
	return exemption{e.Kind, e.ID, e.Name, e.Owner, e.Reason, e.By, stamp(e.Until), e.Networks, maybe(e.LastUsed), e.From}
}

// exemptions is GET /reports/exemptions.
func (a *API) exemptions(w http.ResponseWriter, r *http.Request, m manager) error {
	limit, err := readLimit(r)
	if err != nil {
		return err
	}
	list, next, err := a.Directory.Exemptions(r.Context(), m.who, r.URL.Query().Get("cursor"), limit)
	if err != nil {
		return err
	}
	out := page[exemption]{Items: []exemption{}, Next: next}
	for _, e := range list {
		out.Items = append(out.Items, exemptionOf(e))
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// exemptionsCSV is GET /reports/exemptions.csv: all of them, up to mostRows.
func (a *API) exemptionsCSV(w http.ResponseWriter, r *http.Request, m manager) error {
	rows := [][]string{{"kind", "id", "name", "owner", "reason", "by", "until", "networks", "last_used_at", "last_used_from"}}
	for next := ""; len(rows) < mostRows; {
		list, after, err := a.Directory.Exemptions(r.Context(), m.who, next, maxLimit)
		if err != nil {
			return err
		}
		for _, e := range list {
			row := []string{e.Kind, e.ID, e.Name, e.Owner, e.Reason, e.By, e.Until.UTC().Format(time.RFC3339), e.Networks, "", e.From}
			if !e.LastUsed.IsZero() {
				row[8] = e.LastUsed.UTC().Format(time.RFC3339)
			}
			rows = append(rows, row)
		}
		if next = after; next == "" {
			break
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="exemptions.csv"`)
	out := csv.NewWriter(w)
	for _, row := range rows {
		for i := range row {
			row[i] = csvfile.Cell(row[i])
		}
		_ = out.Write(row) // fails only if the client has gone
	}
	out.Flush()
	return nil
}

// mostRows bounds a report that is one answer.
const mostRows = 50_000
