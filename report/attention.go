package report

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/provider"
)

// Kind is a kind of thing that needs attention. Its texts are the catalogue's
// "admin.attention." + Kind.
type Kind string

// The kinds, in the order in which they are listed within a severity.
const (
	NoOwnerHasWay   Kind = "no_owner_has_way"  // no owner could confirm anything
	PasswordsKnown  Kind = "passwords_known"   // passwords that somebody else knows, too
	ManyFailures    Kind = "many_failures"     // an alarm of many wrong passwords within a day
	ProviderFailing Kind = "provider_failing"  // messages do not go out
	BudgetUsed      Kind = "budget_used"       // no more texts until its window ends
	Unsealed        Kind = "unsealed"          // the event log is not being sealed
	Locked          Kind = "locked"            // people who cannot verify now
	StrandedPeople  Kind = "stranded"          // people whom nobody can let in but an administrator
	HelpAsked       Kind = "help_asked"        // people who asked an administrator
	FewOwners       Kind = "few_owners"        // one owner
	OwnerWithoutWay Kind = "owner_without_way" // an owner without a way of their own
	MissingWay      Kind = "missing"           // people who must have a way, and have not
	GraceEnds       Kind = "grace_ends"        // people whose days to set up run out
	BudgetNear      Kind = "budget_near"       // most of a budget of texts is used
	ExemptionsEnd   Kind = "exemptions_end"    // exemptions that end soon
	KeysEnd         Kind = "keys_end"          // API keys that end soon
)

var order = []Kind{NoOwnerHasWay, PasswordsKnown, ManyFailures, ProviderFailing, BudgetUsed, Unsealed, Locked, StrandedPeople, HelpAsked, FewOwners, OwnerWithoutWay,
	MissingWay, GraceEnds, BudgetNear, ExemptionsEnd, KeysEnd}

// Kinds are all of them, as they are listed.
func Kinds() []Kind { return slices.Clone(order) }

// Severity says how soon something has to be done.
type Severity string

// The severities, the worst first.
const (
	Danger  Severity = "danger"  // people are shut out, or somebody may have got in
	Warning Severity = "warning" // will become so
)

// Item is one thing that needs attention.
type Item struct {
	Kind     Kind
	Severity Severity
	Few
	// Person is who it is about, where it is one; id and name.
	Person, Name string
	Channel      authn.Kind // with ProviderFailing
	At           time.Time  // since when, or until when; zero: neither
	Percent      int        // with the budgets
	// Link is the page where it is seen to, a path of this server. Whether there is
	// such a page is the handler's to know.
	Link string
}

// May is what somebody without reports.read needs, to be told of such things.
func May(k Kind) directory.Permission {
	switch k {
	case ProviderFailing, BudgetUsed, BudgetNear:
		return directory.ProvidersWrite
	case ManyFailures, Unsealed:
		return directory.AuditRead
	case KeysEnd:
		return directory.KeysWrite
	}
	return directory.UsersRead
}

// When something is worth telling.
const (
	graceSoon   = 7 * aDay
	exemptSoon  = 7 * aDay
	keySoon     = 14 * aDay // requirement S36: 14 and 3 days before the end
	alarmLately = aDay
	// sealedLate is far over what the sealer needs (ruling 53).
	sealedLate = 5 * time.Minute
)

// lockedPeople are those who cannot use a way of theirs now.
type lockedPeople struct {
	Few
	first authn.User // if it is one
}

func (s *Service) locked(ctx context.Context, v view) (lockedPeople, error) {
	const look = 200
	list, err := s.c.Store.Wrong(ctx, v.company.ID, look)
	if err != nil {
		return lockedPeople{}, fmt.Errorf("report: %w", err)
	}
	out := lockedPeople{Few: Few{More: len(list) == look}}
	for _, h := range list {
		if h.User.Status == authn.Active && slices.ContainsFunc(h.Factors, v.resting) {
			if out.N++; out.N == 1 {
				out.first = h.User
			}
		}
	}
	return out, nil
}

// resting reports whether a way cannot be used from any browser now, or not from
// those that the person never used.
func (v view) resting(f authn.Factor) bool {
	if !f.Kind.Own() || f.State != authn.Confirmed {
		return false
	}
	for lane, c := range f.Counts {
		if c.Paused(v.now) || c.Tries >= share(lane) {
			return true
		}
	}
	return false
}

func share(l authn.Lane) int {
	if l == authn.Known {
		return authn.ShareKnown
	}
	return authn.ShareStranger
}

// Attention lists what needs somebody's attention, the worst first.
func (s *Service) Attention(ctx context.Context, c authn.Company) ([]Item, error) {
	o, err := s.Overview(ctx, c, 0)
	return o.Attention, err
}

// list collects items.
type list struct{ items []Item }

func (l *list) add(i Item) { l.items = append(l.items, i) }

func (s *Service) attention(ctx context.Context, v view, o Overview, locked lockedPeople) ([]Item, error) {
	var l list
	l.delivery(o.Delivery, v.now)
	if locked.N > 0 {
		i := Item{Kind: Locked, Severity: Danger, Few: locked.Few, Link: people(directory.FilterState, "locked")}
		if locked.N == 1 && !locked.More {
			i.Person, i.Name, i.Link = locked.first.ID, locked.first.Name, person(locked.first.ID)
		}
		l.add(i)
	}
	if n := o.Adoption.By[Missing]; n > 0 {
		l.add(Item{Kind: MissingWay, Severity: Warning, Few: Few{N: int(n)}, Link: people(directory.FilterSetUp, "due")})
	}
	if n := o.Adoption.Asking; n > 0 {
		l.add(Item{Kind: HelpAsked, Severity: Warning, Few: Few{N: int(n)}, Link: people(directory.FilterState, "help")})
	}
	if n := o.Adoption.By[Stranded]; n > 0 {
		l.add(Item{Kind: StrandedPeople, Severity: Danger, Few: Few{N: int(n)}, Link: people(directory.FilterSetUp, "due")})
	}
	for _, look := range []func(context.Context, view, *list) error{s.lookEvents, s.lookPeople, s.lookOwners, s.lookKeys} {
		if err := look(ctx, v, &l); err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
	}
	slices.SortStableFunc(l.items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), slices.Index(order, a.Kind)-slices.Index(order, b.Kind))
	})
	return l.items, nil
}

// The pages where things are seen to.
const (
	peoplePath    = "/admin/people"
	policyPath    = "/admin/policy"
	keysPath      = "/admin/keys"
	auditPath     = "/admin/audit"
	providersPath = "/admin/providers/"
)

func people(filter, value string) string { return peoplePath + "?" + filter + "=" + value }

func person(id string) string { return peoplePath + "/" + url.PathEscape(id) }

func (l *list) delivery(channels []Channel, now time.Time) {
	for _, c := range channels {
		page := providersPath + map[authn.Kind]string{authn.SMS: "texts", authn.Email: "email"}[c.Kind]
		if c.Health == provider.Failing {
			l.add(Item{Kind: ProviderFailing, Severity: Danger, Channel: c.Kind, At: c.FailedAt, Few: Few{N: len(c.Failing)}, Link: page})
		}
		// The fullest one: both mean the same act.
		var full provider.Usage
		for _, u := range c.Usage {
			if u.Percent() > full.Percent() {
				full = u
			}
		}
		switch p := full.Percent(); {
		case p >= 100:
			l.add(Item{Kind: BudgetUsed, Severity: Danger, Percent: p, At: full.Until, Link: page})
		case p >= provider.WarnAt:
			l.add(Item{Kind: BudgetNear, Severity: Warning, Percent: p, At: full.Until, Link: page})
		}
	}
}

func (s *Service) lookEvents(ctx context.Context, v view, l *list) error {
	counts, err := s.c.Store.EventCounts(ctx, v.company.ID, authn.CountQuery{Types: []string{manyFailures}, From: v.now.Add(-alarmLately), Until: v.now.Add(time.Hour)})
	if err != nil {
		return err
	}
	n := 0
	for _, c := range counts {
		n += int(c.N)
	}
	if n > 0 {
		l.add(Item{Kind: ManyFailures, Severity: Danger, Few: Few{N: n}, Link: auditPath + "?type=sign_in.refused"})
	}
	oldest, err := s.c.Store.OldestUnsealed(ctx, v.company.ID)
	if err == nil && !oldest.IsZero() && v.now.Sub(oldest) > sealedLate {
		l.add(Item{Kind: Unsealed, Severity: Danger, At: oldest, Link: auditPath})
	}
	return err
}

func (s *Service) lookPeople(ctx context.Context, v view, l *list) error {
	n, err := s.c.Store.PasswordsKnown(ctx, v.company.ID, Most+1)
	if err != nil {
		return err
	}
	if n > 0 {
		l.add(Item{Kind: PasswordsKnown, Severity: Danger, Few: few(n), Link: auditPath + "?type=password.known_to_others"})
	}
	if n, err = s.c.Store.ExemptionsEnding(ctx, v.company.ID, v.now, v.now.Add(exemptSoon), Most+1); err != nil {
		return err
	}
	if n > 0 {
		l.add(Item{Kind: ExemptionsEnd, Severity: Warning, Few: few(n), Link: people(directory.FilterState, "exempt")})
	}
	if v.doc.GraceDays == 0 {
		return nil
	}
	// Begun so long ago that the days end within a week, and not yet over.
	began := v.now.AddDate(0, 0, -v.doc.GraceDays)
	n, err = s.c.Store.GraceBegun(ctx, v.company.ID, began, began.Add(graceSoon), Most+1)
	if err == nil && n > 0 {
		l.add(Item{Kind: GraceEnds, Severity: Warning, Few: few(n), Link: people(directory.FilterSetUp, "due")})
	}
	return err
}

func few(n int) Few { return Few{N: min(n, Most), More: n > Most} }

// lookOwners sees to it that the company can be run: two owners, each with a way.
func (s *Service) lookOwners(ctx context.Context, v view, l *list) error {
	owners, err := s.c.Store.Owners(ctx, v.company.ID)
	if err != nil {
		return err
	}
	owners = slices.DeleteFunc(owners, func(h authn.Person) bool { return h.User.Status != authn.Active })
	without := slices.DeleteFunc(slices.Clone(owners), func(h authn.Person) bool { return v.standing(h.User, h.Factors) == HasWay })
	switch {
	case len(owners) == len(without):
		l.add(Item{Kind: NoOwnerHasWay, Severity: Danger, Few: Few{N: len(owners)}, Link: people(directory.FilterRole, directory.Owner)})
	case len(without) == 1:
		u := without[0].User
		l.add(Item{Kind: OwnerWithoutWay, Severity: Warning, Few: Few{N: 1}, Person: u.ID, Name: u.Name, Link: person(u.ID)})
	case len(without) > 1:
		l.add(Item{Kind: OwnerWithoutWay, Severity: Warning, Few: Few{N: len(without)}, Link: people(directory.FilterRole, directory.Owner)})
	}
	if len(owners) == 1 {
		l.add(Item{Kind: FewOwners, Severity: Warning, Few: Few{N: 1}, Link: peoplePath})
	}
	return nil
}

func (s *Service) lookKeys(ctx context.Context, v view, l *list) error {
	i := Item{Kind: KeysEnd, Severity: Warning, Link: keysPath}
	for after := ""; ; { // a company has at most 1,000
		keys, err := s.c.Store.APIKeys(ctx, v.company.ID, "", after, PageSize)
		if err != nil {
			return err
		}
		for _, k := range keys {
			after = k.ID
			if !k.ExpiresAt.After(v.now) || k.ExpiresAt.Sub(v.now) > keySoon {
				continue
			}
			if i.N++; i.N == 1 || k.ExpiresAt.Before(i.At) {
				i.Name, i.At = k.Name, k.ExpiresAt
			}
		}
		if len(keys) < PageSize {
			break
		}
	}
	if i.N > 0 {
		l.add(i)
	}
	return nil
}

// TextKey is the catalogue key of what an item says in one line, and VerbKey of
// what can be done; both take Args.
func (i Item) TextKey() string {
	key := "admin.attention." + string(i.Kind)
	switch {
	case i.Channel != "":
		return key + "." + string(i.Channel)
	case i.named():
		return key + ".named"
	case i.More:
		return key + ".more"
	}
	return key
}

// VerbKey: see TextKey.
func (i Item) VerbKey() string {
	if i.named() && i.Person != "" {
		return "admin.attention." + string(i.Kind) + ".verb_named"
	}
	return "admin.attention." + string(i.Kind) + ".verb"
}

// named reports whether the item is about one, whose name is known.
func (i Item) named() bool { return i.Name != "" && i.N == 1 }

// Args are for the texts.
func (i Item) Args() map[string]any {
	return map[string]any{"Count": i.N, "Name": i.Name, "Percent": i.Percent}
}
