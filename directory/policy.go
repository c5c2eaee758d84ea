package directory

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// MaxReason is how many characters the reason of a save can have.
const MaxReason = 500

// MaxAhead is how far ahead a policy can be saved that is to hold later.
const MaxAhead = 366 * 24 * time.Hour

// PolicyStore is what the policies of companies need of storage.
type PolicyStore interface {
	PolicyVersions(ctx context.Context, company string, before int64, limit int) ([]authn.PolicyVersion, error)
	PolicyVersion(ctx context.Context, company string, version int64) (authn.PolicyVersion, error)
	People(ctx context.Context, company, after string, limit int) ([]authn.Person, error)
	Reminders(ctx context.Context, company string) (authn.Reminders, error)
	Remind(ctx context.Context, k authn.Keys, from, to authn.Reminders, letters []authn.Letter) error
}

// PolicyAuthor is who saves a policy: what they may is said by whoever asks this
// package, and asked again in the transaction that saves.
type PolicyAuthor struct {
	Keys authn.Keys // Company, and what loads whoever saves; Now is set here
	// May says whether they may; weakens: the save needs the strongest step-up (ruling 25).
	May func(rows *authn.Rows, weakens bool) error
	// Actor names them in the history and the log; nil: Operator.
	Actor func(*authn.Rows) string
	// Person is whoever saves, who must not lock themselves out; nil: nobody.
	Person func(*authn.Rows) (*authn.User, []authn.Factor)
	Client authn.Client
}

// PolicyChange is a policy to be saved.
type PolicyChange struct {
	Document policy.Document
	// From is the version that the change, and the preview that was looked at, were
	// made from.
	From   int64
	Reason string // up to MaxReason characters; may be empty
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
// Errors: those of May, Invalid (fields policy.…, reason), Conflict
// (error.policy_moved), NotFound (the version to bring back), PolicyForbids
// (error.policy_strands_owners).
func (s *Service) PreviewPolicy(ctx context.Context, a PolicyAuthor, ch PolicyChange) (PolicySaved, error) {
	out, _, err := s.planPolicy(ctx, a, ch, s.c.Now())
	return out, err
}

// SavePolicy saves the next version of a company's policy, with the preview of what
// it does. An undo is a save like every other (ruling 25).
//
// Errors: those of PreviewPolicy, PolicyForbids (error.policy_strands_you).
func (s *Service) SavePolicy(ctx context.Context, a PolicyAuthor, ch PolicyChange) (PolicySaved, error) {
	now := s.c.Now()
	out, before, err := s.planPolicy(ctx, a, ch, now)
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
	k := a.Keys
	k.Now = now
	err = s.c.Store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if rows.Company == nil {
			return authn.Drop(authn.NotFound)
		}
		if err := a.May(rows, out.Preview.Weakens); err != nil {
			return authn.Drop(err)
		}
		if rows.Company.PolicyVersion != ch.From {
			return authn.Drop(moved())
		}
		if err := s.strandsAuthor(a, rows, out.Document, now); err != nil {
			return authn.Drop(err)
		}
		actor := a.actor(rows)
		ev := s.operator("policy.changed", now)
		ev.Company, ev.Actor = k.Company, actor
		ev.Personal = authn.Personal{Agent: a.Client.Agent, Detail: map[string]string{
			"two_factor": string(out.Document.TwoFactor), "version": strconv.FormatInt(out.Version, 10), "changed": strings.Join(differ(before, out.Document), ","),
			"reason": ch.Reason, "weakens": strconv.FormatBool(out.Preview.Weakens),
		}}
		if a.Client.Address.IsValid() {
			ev.Personal.Address = a.Client.Address.String()
		}
		if ch.UndoOf > 0 {
			ev.Personal.Detail["undo_of"] = strconv.FormatInt(ch.UndoOf, 10)
		}
		writes := []authn.Write{authn.SetPolicy{Policy: raw, Version: out.Version, Actor: actor, Reason: ch.Reason, UndoOf: ch.UndoOf, Summary: summary}}
		if out.Preview.Weakens {
			writes = append(writes, authn.TellOwners{Letter: authn.Letter{Template: "policy_changed", Channel: authn.Email, At: now}})
		}
		return authn.Accept(ev, writes...)
	})
	if err != nil {
		return PolicySaved{}, fmt.Errorf("directory: save policy: %w", err)
	}
	return out, nil
}

func moved() error { return &authn.Error{Code: authn.Conflict, Key: "error.policy_moved"} }

func (a PolicyAuthor) actor(rows *authn.Rows) string {
	if a.Actor == nil {
		return Operator
	}
	return a.Actor(rows)
}

// planPolicy holds a change to everything that can be known before it is saved.
func (s *Service) planPolicy(ctx context.Context, a PolicyAuthor, ch PolicyChange, now time.Time) (PolicySaved, policy.Document, error) {
	none := policy.Document{}
	fail := func(err error) (PolicySaved, policy.Document, error) {
		return PolicySaved{}, none, fmt.Errorf("directory: policy: %w", err)
	}
	k := a.Keys
	k.Now = now
	rows, err := s.c.Store.View(ctx, k)
	if err == nil && rows.Company == nil {
		err = authn.NotFound
	}
	if err == nil {
		err = a.May(&rows, false)
	}
	if err == nil && rows.Company.PolicyVersion != ch.From {
		err = moved()
	}
	if err == nil && ch.Reason != "" {
		_, err = authn.CleanName("reason", ch.Reason, MaxReason)
	}
	if err != nil {
		return fail(err)
	}
	old, err := policy.Parse(rows.Company.Policy)
	if err != nil {
		return fail(&authn.Error{Code: authn.Internal, Err: fmt.Errorf("policy of %s: %v", k.Company, err)})
	}
	doc, err := s.wanted(ctx, k.Company, ch, now)
	if err != nil {
		return fail(err)
	}
	traits := s.traits(*rows.Company)
	if err := doc.Contradictions(traits); err != nil {
		return fail(err)
	}
	list, err := s.shapes(ctx, k.Company)
	if err != nil {
		return fail(err)
	}
	pre, err := policy.Compare(policy.PreviewAsk{Old: old, New: doc, Shapes: list, Traits: traits, Now: now, Server: s.c.Lifetimes, Administrators: administrators(), Owner: Owner})
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

// strandsAuthor refuses a policy under which whoever saves it would not get in.
func (s *Service) strandsAuthor(a PolicyAuthor, rows *authn.Rows, doc policy.Document, now time.Time) error {
	if a.Person == nil {
		return nil
	}
	u, factors := a.Person(rows)
	if u == nil {
		return nil
	}
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

// administrators are the roles that hold a permission.
func administrators() []string {
	var out []string
	for _, role := range slices.Sorted(maps.Keys(builtIn)) {
		if len(builtIn[role]) > 0 {
			out = append(out, role)
		}
	}
	return out
}

// differ names the fields in which two documents differ, as they are in JSON.
func differ(a, b policy.Document) []string {
	x, y := fieldsOf(a), fieldsOf(b)
	var out []string
	for name := range maps.Keys(x) {
		if !reflect.DeepEqual(x[name], y[name]) {
			out = append(out, name)
		}
	}
	for name := range maps.Keys(y) {
		if _, there := x[name]; !there {
			out = append(out, name)
		}
	}
	slices.SortFunc(out, cmp.Compare[string])
	return out
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
