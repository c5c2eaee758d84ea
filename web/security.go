package web

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
)

// securityPage is the data of security.html (S15).
type securityPage struct {
	On       bool // a second step is asked for at sign-in
	Off      bool // the company does not use two-step sign-in
	Why      []string
	App      appRow
	Password Part // zero: never set here
	Sessions []sessionRow
	Others   bool // there are sessions elsewhere
	Events   []eventRow
	Banner   string // key of the one most urgent thing; empty: none
}

// appRow is the authenticator app among the ways to verify.
type appRow struct {
	Offered  bool
	Active   *authn.Factor
	Asleep   bool
	Pending  string // id of a set-up that can be gone on with
	Locked   bool
	Pause    *pause
	Demanded bool // policy asks for one, and this is the last
}

type sessionRow struct {
	Agent    string
	Phone    bool
	Here     bool
	SignedIn Part
	Seen     Part
}

type eventRow struct {
	Text, Agent string
	At          Part
	Refused     bool
}

// traits answers policy's question: which kinds are there, and what they show.
func (h *Handler) traits(k authn.Kind) (authn.Traits, bool) {
	t, ok := h.c.Offered[k]
	return t, ok
}

func (h *Handler) offers(k authn.Kind) bool {
	_, ok := h.c.Offered[k]
	return ok
}

// rules are what policy says about a person.
type rules struct {
	doc      policy.Document
	second   []authn.Factor
	demanded bool
}

func (h *Handler) rulesOf(cur session.Current) (rules, error) {
	doc, err := policy.Parse(cur.Company.Policy)
	if err != nil {
		return rules{}, err
	}
	return rules{doc: doc, second: policy.Second(doc, cur.Factors, h.traits), demanded: policy.Demanded(doc, cur.User)}, nil
}

// canSync says whether the person may set up the app, and which one that replaces.
func (h *Handler) canSync(cur session.Current) (bool, string) {
	ru, err := h.rulesOf(cur)
	if err != nil || !h.offers(appKind) || ru.doc.TwoFactor == policy.Off {
		return false, ""
	}
	if f := activeApp(cur.Factors); f != nil {
		return true, f.ID
	}
	return true, ""
}

func (h *Handler) getSecurity(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	v := h.personal(r, cur)
	ru, err := h.rulesOf(cur)
	if err != nil {
		return err
	}
	p := securityPage{On: len(ru.second) > 0, Off: ru.doc.TwoFactor == policy.Off, App: h.appRow(v, cur, ru)}
	p.Why = v.why(demands(ru, cur), cur.Company.Name)
	if at := cur.User.PasswordChangedAt; !at.IsZero() {
		p.Password = v.Day(at)
	}
	if p.App.Locked {
		p.Banner = "page.security.banner_locked"
	}
	if p.Sessions, err = h.sessionRows(r.Context(), v, cur); err != nil {
		return err
	}
	p.Others = len(p.Sessions) > 1
	if p.Events, err = h.eventRows(r.Context(), v, cur); err != nil {
		return err
	}
	v.Section, v.Title, v.Data = "security", v.T("page.security.title"), p
	return h.draw(w, http.StatusOK, "security.html", v)
}

func (h *Handler) appRow(v *View, cur session.Current, ru rules) appRow {
	row := appRow{Offered: h.offers(appKind), Active: activeApp(cur.Factors), Asleep: ru.doc.TwoFactor == policy.Off}
	if f := pendingApp(cur.Factors); f != nil && f.ExpiresAt.After(v.now) && f.Epoch == cur.User.Epoch && !row.Asleep {
		row.Pending = f.ID
	}
	if row.Active != nil {
		count := row.Active.Counts[cur.Lane]
		row.Locked = count.Tries >= policy.Share(cur.Lane)
		row.Pause = v.pauseOf(count.PausedUntil)
		row.Demanded = ru.demanded && len(ru.second) <= 1
	}
	return row
}

func (h *Handler) sessionRows(ctx context.Context, v *View, cur session.Current) ([]sessionRow, error) {
	list, err := h.c.Sessions.List(ctx, cur)
	if err != nil {
		return nil, err
	}
	var rows []sessionRow
	for _, s := range list {
		row := sessionRow{
			Agent: v.Agent(s.Agent), Here: s.ID == cur.Session.ID, SignedIn: v.When(s.AuthTime), Seen: v.Ago(s.LastSeenAt),
			Phone: strings.HasSuffix(s.Agent, "iPhone") || strings.HasSuffix(s.Agent, "Android"),
		}
		if row.Here {
			rows = slices.Insert(rows, 0, row)
			continue
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// How many events the page shows, and among how many they are looked for.
const (
	eventsShown  = 5
	eventsLooked = 50
)

// minor events are parts of others that the list shows: a step of a sign-in, a
// set-up that was begun.
var minor = map[string]bool{
	"sign_in.begun": true, "step_up.begun": true, "factor.proved": true, "factor.begun": true, "factor.given_up": true,
	"session.confirmed": true, "user.created": true,
}

func (h *Handler) eventRows(ctx context.Context, v *View, cur session.Current) ([]eventRow, error) {
	list, err := h.c.Audit.Events(ctx, cur.Company.ID, authn.EventQuery{Target: cur.User.ID, Limit: eventsLooked})
	if err != nil {
		return nil, err
	}
	var rows []eventRow
	for _, e := range list {
		if minor[e.Type] || len(rows) == eventsShown {
			continue
		}
		row := eventRow{Text: v.Event(e), At: v.When(e.At), Refused: e.Result == authn.Refused}
		if e.Actor != operator {
			row.Agent = v.Agent(e.Personal.Agent)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// operator is the actor of what was done from the command line, where there is
// no browser to name.
const operator = "operator"

// Event is what happened, in words: the text of the type, and where there is
// one, of the type with its method or reason.
func (v *View) Event(e authn.Event) string {
	key := "event." + e.Type
	if e.Actor == "" && v.texts.Has(key+".nobody") {
		// At sign-in: the password was right, and that does not say who it was.
		return v.T(key + ".nobody")
	}
	for _, detail := range []string{"reason", "method", "acr"} {
		if d := e.Personal.Detail[detail]; d != "" && v.texts.Has(key+"."+d) {
			return v.T(key + "." + d)
		}
	}
	if !v.texts.Has(key) {
		return v.T("event.other")
	}
	return v.T(key)
}
