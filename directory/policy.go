package directory

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// MaxAhead is how far ahead a policy can be saved that is to hold later.
const MaxAhead = 366 * 24 * time.Hour

// PolicyStore is what the policies of companies need of storage.
type PolicyStore interface {
	PolicyVersions(ctx context.Context, company string, before int64, limit int) ([]authn.PolicyVersion, error)
	PolicyVersion(ctx context.Context, company string, version int64) (authn.PolicyVersion, error)
	People(ctx context.Context, company, after string, limit int) ([]authn.Person, error)
	Reminders(ctx context.Context, company string) (authn.Reminders, error)
	// Invitations is how far the people of a company were looked at whom a policy
	// strands; it moves by authn.MoveInvited.
	Invitations(ctx context.Context, company string) (authn.Reminders, error)
	Remind(ctx context.Context, k authn.Keys, from, to authn.Reminders, letters []authn.Letter) error
}

// PolicyChange is a policy to be saved.
type PolicyChange struct {
	Document policy.Document
	// From is the version that the change, and the preview that was looked at, were
	// made from.
	From   int64
	Reason string // up to ReasonMax characters; needed of people
	// UndoOf brings a version back; Document is then not looked at. 0: no undo.
	UndoOf int64
}

// PolicySaved is what a save came to.
type PolicySaved struct {
	Version  int64
	Document policy.Document
	Preview  policy.Preview
}

// PreviewPolicy says what a change would do, and refuses what SavePolicy would
// refuse, but for whoever asks being stranded: a preview may show that.
//
// Errors: those of Check, Invalid (fields policy.…), Conflict (error.policy_moved),
// NotFound (the version to bring back), PolicyForbids (error.policy_strands_owners).
func (s *Service) PreviewPolicy(ctx context.Context, w Who, ch PolicyChange) (PolicySaved, error) {
	out, _, err := s.planPolicy(ctx, w, ch, s.c.Now())
	return out, err
}

// SavePolicy saves the next version of a company's policy, with the preview of what
// it does. An undo is a save like every other: with the same proof, preview and
// checks against today (ruling 25). Where less is asked than before, all owners are
// told.
//
// Errors: those of PreviewPolicy and Act, Invalid (field reason), PolicyForbids
// (error.policy_strands_you).
func (s *Service) SavePolicy(ctx context.Context, w Who, ch PolicyChange) (PolicySaved, error) {
	if ch.Reason == "" && !w.Actor.Operator {
		return PolicySaved{}, authn.InvalidField("reason", "required", nil)
	}
	now := s.c.Now()
	out, before, err := s.planPolicy(ctx, w, ch, now)
	if err != nil {
		return PolicySaved{}, err
	}
	raw, err := out.Document.Encode()
	if err != nil {
		return PolicySaved{}, err
	}
	summary, err := json.Marshal(out.Preview)
	if err != nil {
		return PolicySaved{}, fmt.Errorf("directory: policy: %w", err)
	}
	detail := map[string]string{"two_factor": string(out.Document.TwoFactor), "version": strconv.FormatInt(out.Version, 10),
		"changed": strings.Join(differ(before, out.Document), ","), "weakens": strconv.FormatBool(out.Preview.Weakens)}
	detail["before"], detail["after"] = differing(before, out.Document)
	if ch.UndoOf > 0 {
		detail["undo_of"] = strconv.FormatInt(ch.UndoOf, 10)
	}
	a := Act{Type: "policy.changed", Permission: PolicyWrite, Fresh: true, Reason: ch.Reason}
	err = s.Act(ctx, w, a, func(rows *authn.Rows) (Done, error) {
		if rows.Company.PolicyVersion != ch.From {
			return Done{}, moved()
		}
		if err := s.strandsAuthor(rows, out.Document, now); err != nil {
			return Done{}, err
		}
		done := Done{Detail: detail, Writes: []authn.Write{authn.SetPolicy{Policy: raw, Version: out.Version, Actor: actorOf(w, rows),
			Reason: ch.Reason, UndoOf: ch.UndoOf, Summary: summary, EndsTrust: policy.EndsTrust(before, out.Document, now)}}}
		if out.Preview.Weakens {
			done.Writes = append(done.Writes, authn.TellOwners{Letter: authn.Letter{Template: "policy_changed", Channel: authn.Email, At: now, Args: Told(w, rows, ch.Reason)}})
		}
		return done, nil
	})
	if err != nil {
		return PolicySaved{}, err
	}
	return out, nil
}

func moved() error { return &authn.Error{Code: authn.Conflict, Key: "error.policy_moved"} }

// planPolicy holds a change to everything that can be known before it is saved,
// and gives the document that it changes.
func (s *Service) planPolicy(ctx context.Context, w Who, ch PolicyChange, now time.Time) (PolicySaved, policy.Document, error) {
	fail := func(err error) (PolicySaved, policy.Document, error) {
		return PolicySaved{}, policy.Document{}, fmt.Errorf("directory: policy: %w", err)
	}
	if _, err := CleanReason(ch.Reason); err != nil {
		return fail(err)
	}
	seen, err := s.Check(ctx, w, PolicyWrite)
	if err != nil {
		return fail(err)
	}
	c := seen.Company
	if c.PolicyVersion != ch.From {
		return fail(moved())
	}
	old, err := policy.Parse(c.Policy)
	if err != nil {
		return fail(&authn.Error{Code: authn.Internal, Err: fmt.Errorf("policy of %s: %v", c.ID, err)})
	}
	doc, err := s.wanted(ctx, c.ID, ch, now)
	if err != nil {
		return fail(err)
	}
	doc = doc.Following(policy.At(old, now))
	if err := doc.Contradictions(s.traits(c)); err != nil {
		return fail(err)
	}
	list, err := s.shapes(ctx, c.ID)
	if err != nil {
		return fail(err)
	}
	pre, err := policy.Compare(policy.PreviewAsk{Old: old, New: doc, Shapes: list, Traits: s.traits(c), Now: now, Server: s.life,
		Administrators: administrators(c), Owner: Owner})
	if err != nil {
		return fail(err)
	}
	out := PolicySaved{Version: ch.From + 1, Document: doc, Preview: pre}
	if pre.OwnersLeft == 0 && pre.OwnersBefore > 0 {
		return out, old, &authn.Error{Code: authn.PolicyForbids, Key: "error.policy_strands_owners"}
	}
	return out, old, nil
}

// wanted is the document that a change means, if it may be saved at now.
func (s *Service) wanted(ctx context.Context, company string, ch PolicyChange, now time.Time) (policy.Document, error) {
	doc := ch.Document
	if ch.UndoOf != 0 {
		v, err := s.c.Store.PolicyVersion(ctx, company, ch.UndoOf)
		if err != nil {
			return doc, err
		}
		if doc, err = policy.Parse(v.Document); err != nil {
			return doc, err
		}
		if doc.Next != nil && !now.Before(doc.Next.From) {
			doc = doc.Next.Document // what it had come to
		}
	}
	raw, err := doc.Encode()
	if err != nil {
		return doc, err
	}
	if n := doc.Next; n != nil && (!n.From.After(now) || n.From.After(now.Add(MaxAhead))) {
		return doc, authn.InvalidField("policy.next.from", "not_ahead", map[string]any{"Max": int(MaxAhead.Hours() / 24)})
	}
	return policy.Parse(raw) // as it will be read
}

// strandsAuthor refuses a policy under which the person who saves it would not get
// in, now or when it comes to hold.
func (s *Service) strandsAuthor(rows *authn.Rows, doc policy.Document, now time.Time) error {
	if rows.By == nil || rows.By.Key != nil {
		return nil // the operator needs no sign-in, and neither does a program
	}
	u, factors := rows.By.User, rows.By.Factors
	at, traits := now, s.traits(*rows.Company)
	for {
		if o := policy.Foresee(doc, *u, factors, traits, at); o.Ask == policy.AskDenied {
			return &authn.Error{Code: authn.PolicyForbids, Key: "error.policy_strands_you"}
		}
		if doc.Next == nil || !at.Before(doc.Next.From) {
			return nil
		}
		at = doc.Next.From
	}
}

func (s *Service) traits(c authn.Company) func(authn.Kind) (authn.Traits, bool) {
	if s.c.Traits == nil {
		return func(authn.Kind) (authn.Traits, bool) { return authn.Traits{}, false }
	}
	return s.c.Traits(c)
}

// shapes counts the people of a company by their shapes.
func (s *Service) shapes(ctx context.Context, company string) (map[string]int, error) {
	if s.c.Shapes != nil {
		return s.c.Shapes(ctx, company)
	}
	out, now := map[string]int{}, s.c.Now()
	for after := ""; ; {
		list, err := s.c.Store.People(ctx, company, after, pageOfPeople)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			out[authn.ShapeOf(p.User, p.Factors, now).String()]++
			after = p.User.ID
		}
		if len(list) < pageOfPeople {
			return out, nil
		}
	}
}

const pageOfPeople = 200

// administrators are the roles of a company that hold a permission.
func administrators(c authn.Company) []string {
	names := Roles()
	for _, r := range c.Roles {
		names = append(names, r.Name)
	}
	return slices.DeleteFunc(names, func(name string) bool {
		list, _ := RolePermissions(c, name)
		return len(list) == 0
	})
}

// differ names the fields in which two documents differ, as they are in JSON.
func differ(a, b policy.Document) []string {
	x, y := fieldsOf(a), fieldsOf(b)
	var out []string
	for name := range x {
		if !reflect.DeepEqual(x[name], y[name]) {
			out = append(out, name)
		}
	}
	for name := range y {
		if _, there := x[name]; !there {
			out = append(out, name)
		}
	}
	slices.SortFunc(out, cmp.Compare[string])
	return out
}

// differing are the fields of the top level that differ, as JSON. The log keeps the
// beginning of what is long; the history has the whole documents.
func differing(a, b policy.Document) (before, after string) {
	x, y := fieldsOf(a), fieldsOf(b)
	for name := range x {
		if reflect.DeepEqual(x[name], y[name]) {
			delete(x, name)
			delete(y, name)
		}
	}
	text := func(fields map[string]any) string {
		doc, err := json.Marshal(fields)
		if err != nil {
			return ""
		}
		return string(doc)
	}
	return text(x), text(y)
}

func fieldsOf(d policy.Document) map[string]any {
	out := map[string]any{}
	if raw, err := d.Encode(); err == nil {
		_ = json.Unmarshal(raw, &out) // what was just written
	}
	return out
}

// PolicyVersions is the history of a company's policy before a version (0: from
// the newest), newest first; up to limit, 1–200 (0: 50).
func (s *Service) PolicyVersions(ctx context.Context, company string, before int64, limit int) ([]authn.PolicyVersion, error) {
	return s.c.Store.PolicyVersions(ctx, company, before, limit)
}

// PolicyVersion is one version of a company's policy.
//
// Errors: NotFound.
func (s *Service) PolicyVersion(ctx context.Context, company string, version int64) (authn.PolicyVersion, error) {
	return s.c.Store.PolicyVersion(ctx, company, version)
}
