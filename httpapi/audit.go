package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// manager is whoever may do what a route of the administration asks for: a
// person in a session, or a program with a key.
type manager struct {
	company authn.Company
	user    authn.User // the person, or the key's owner
	who     directory.Who
}

// keyPrefix tells a key from a session token. A key counts in the Authorization
// header only.
const keyPrefix = "sp_key_"

// allowed serves a route that takes a session or a key of somebody who has the
// permission, or the secret of an API account that has it. It is the only way to mount one.
func (a *API) allowed(p directory.Permission, f func(http.ResponseWriter, *http.Request, manager) error, params ...string) http.Handler {
	session := a.inSession(func(w http.ResponseWriter, r *http.Request, c caller) error {
		who := directory.Session(c.Token, c.client)
		if _, err := a.Directory.Check(r.Context(), who, p); err != nil {
			return err
		}
		return f(w, r, manager{c.Company, c.User, who})
	}, params...)
	key := httpserve.JSON(func(w http.ResponseWriter, r *http.Request) error {
		value, _ := a.Cookies.Credential(r)
		client := httpserve.ClientOf(r)
		c, err := a.Directory.CheckKey(r.Context(), value, client, p)
		if err != nil {
			return err
		}
		httpserve.Subject(r.Context(), c.Company.ID, c.Owner.ID, c.Key.ID)
		if err := checkQuery(r, params...); err != nil {
			return err
		}
		t, _ := authn.ParseToken(authn.KeyToken, value) // CheckKey has read it
		return f(w, r, manager{c.Company, c.Owner, directory.Program(t, client)})
	})
	account := httpserve.JSON(func(w http.ResponseWriter, r *http.Request) error {
		c, who, err := a.program(r, p)
		if err != nil {
			return err
		}
		httpserve.Subject(r.Context(), c.Company.ID, c.Owner.ID)
		if err := checkQuery(r, params...); err != nil {
			return err
		}
		return f(w, r, manager{c.Company, c.Owner, who})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isBasic(r) {
			account.ServeHTTP(w, r)
			return
		}
		if value, bearer := a.Cookies.Credential(r); bearer && strings.HasPrefix(value, keyPrefix) {
			key.ServeHTTP(w, r)
			return
		}
		session.ServeHTTP(w, r)
	})
}

// event is one line of the log.
type event struct {
	ID      string            `json:"id"`
	Seq     int64             `json:"seq,omitempty"`
	At      time.Time         `json:"at"`
	Type    string            `json:"type"`
	Result  authn.Result      `json:"result"`
	Actor   string            `json:"actor,omitempty"`
	Target  string            `json:"target,omitempty"`
	Address string            `json:"address,omitempty"`
	Agent   string            `json:"agent,omitempty"`
	Detail  map[string]string `json:"detail,omitempty"`
}

// readLimit is the size of a page.
func readLimit(r *http.Request) (int, error) {
	s, ok := r.URL.Query()["limit"]
	if !ok {
		return usualLimit, nil
	}
	n, err := strconv.Atoi(s[0])
	if err != nil || n < 1 || n > maxLimit || strconv.Itoa(n) != s[0] {
		return 0, authn.InvalidField("limit", "invalid", nil)
	}
	return n, nil
}

// eventQuery reads the filters of GET /audit/events, strictly (cve-67).
func eventQuery(r *http.Request) (q authn.EventQuery, err error) {
	if q.Limit, err = readLimit(r); err != nil {
		return q, err
	}
	query := r.URL.Query()
	for _, p := range []struct {
		name string
		to   *string
		good func(string) bool
	}{
		{"cursor", &q.Before, func(s string) bool { return authn.CheckID(authn.EventID, s) }},
		{"target", &q.Target, func(s string) bool { return authn.CheckID(authn.UserID, s) }},
		{"type", &q.Type, goodType},
	} {
		s, ok := query[p.name]
		if !ok {
			continue
		}
		if !p.good(s[0]) {
			return q, authn.InvalidField(p.name, "invalid", nil)
		}
		*p.to = s[0]
	}
	return q, nil
}

// goodType is a type of events, or with a dot at the end a family of them.
func goodType(s string) bool {
	return len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_.") == "" && strings.Trim(s, ".") != "" && s[0] != '.' && !strings.Contains(s, "..")
}

// auditEvents is GET /audit/events.
func (a *API) auditEvents(w http.ResponseWriter, r *http.Request, m manager) error {
	q, err := eventQuery(r)
	if err != nil {
		return err
	}
	list, err := a.Audit.Events(r.Context(), m.company.ID, q)
	if err != nil {
		return err
	}
	out := page[event]{Items: []event{}}
	for _, e := range list {
		out.Items = append(out.Items, event{ID: e.ID, Seq: e.Seq, At: stamp(e.At), Type: e.Type, Result: e.Result, Actor: e.Actor, Target: e.Target,
			Address: e.Personal.Address, Agent: e.Personal.Agent, Detail: e.Personal.Detail})
	}
	if len(list) == q.Limit {
		out.Next = list[len(list)-1].ID
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}
