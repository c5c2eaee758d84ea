package directory

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// PersonAct is one thing that an administrator does about a person, as data: so
// it can be shown before it is done, wait for a second person, and be named the
// same in pages, JSON, commands and the log.
type PersonAct struct {
	Do     string            // one of Acts
	Target string            // id or login
	Args   map[string]string // what the act takes; see its entry in personActs
	Reason string            // shown in the log and to the person; needed from people
	// Password is a secret that the act takes. It is no argument: it is kept nowhere,
	// waits for nobody, and is not part of what is approved.
	Password string

	secret, hash []byte // of an act that gives a secret; see prepare
}

// Outcome is what an act came to.
type Outcome struct {
	User authn.User
	// Waits: nothing was done yet. The act waits for a second person, or for the end
	// of a day; then the same act of the same requester is done (rulings 17 and 20).
	Waits *authn.Approval
	// Code is a help code, shown once, with its end.
	Code      string
	ExpiresAt time.Time
	// Factor is what was set up for the person, pending, or what was changed.
	Factor *authn.Factor
	// Link is an invitation that is not mailed; only the operator gets one.
	Link authn.Token
	// Secret is that of an API account, shown once; empty: it was typed.
	Secret string
}

// change is what an act does to the person that the decision has locked.
type change = func(rows *authn.Rows, u *authn.User, now time.Time) (Done, error)

// asked is what the plan of an act looks at: who asks for what, and how things
// stood just before.
type asked struct {
	who Who
	PersonAct
	company authn.Company
	user    authn.User
	out     *Outcome // filled in with what is shown once
}

// plan judges the arguments, before the transaction and after the rules of who
// may, and gives the change.
type plan func(context.Context, *Service, asked) (change, error)

// personAct is one entry of the table of acts.
type personAct struct {
	permission Permission
	event      string
	// gentle acts wait for nobody's word: they take nothing away from anybody, and touch
	// nothing that ruling 17 names. The end of an API account does not wait either, or
	// a stolen secret would be good for another day.
	gentle bool
	// keeps: the person stays signed in, and no epoch is raised.
	keeps       bool
	unexplained bool     // needs no reason
	args        []string // the names that Args may have
	// prepare does what is too slow for a transaction; nil: nothing.
	prepare func(ctx context.Context, s *Service, w Who, p PersonAct) (PersonAct, error)
	plan    plan
}

// The acts that exist.
const (
	Suspend      = "suspend"
	Activate     = "activate"
	Leave        = "leave" // suspended, signed out, and the keys they own end
	SignOut      = "sign_out"
	Unlock       = "unlock"
	Reset        = "reset"   // factor: the one to remove; none: all ways to verify
	Disable      = "disable" // factor: it sleeps until Enable
	Enable       = "enable"
	Prefer       = "prefer" // factor
	HelpCode     = "help_code"
	Prepare      = "prepare"  // method, with phone and country, or username: the person confirms it
	HandOver     = "app_here" // the authenticator app, with the person there
	InviteAgain  = "invite"   // by mail; shown, for the operator
	RequireTwo   = "require"
	NotRequire   = "not_require"
	Exempt       = "exempt" // until: RFC 3339
	EndExemption = "end_exemption"
	Erase        = "erase"  // for good: see planErase
	APIOn        = "api_on" // role, networks, owner, until: RFC 3339; see planAPIOn
	APIOff       = "api_off"
	CloseHelp    = "close_help" // what was asked for from the sign-in page is dealt with
)

// personActs are the acts. A page, a route and a command find here what there is.
var personActs = map[string]personAct{
	Suspend:  {permission: UsersWrite, event: "user.suspended", plan: plain(func(u *authn.User) { u.Status = authn.Suspended }, authn.KeepOwner{})},
	Activate: {permission: UsersWrite, event: "user.activated", plan: plain(func(u *authn.User) { u.Status = authn.Active })},
	Leave: {permission: UsersWrite, event: "user.left",
		plan: plain(func(u *authn.User) { u.Status = authn.Suspended }, authn.KeepOwner{}, authn.EndKeys{}, authn.ForgetBrowsers{All: true})},
	SignOut:     {permission: FactorsManage, event: "user.signed_out", plan: plain(func(*authn.User) {})},
	Unlock:      {permission: FactorsManage, event: "user.unlocked", keeps: true, plan: plain(func(*authn.User) {}, authn.LiftPauses{})},
	Reset:       {permission: FactorsManage, event: "factors.reset", args: []string{"factor"}, plan: planReset},
	Disable:     {permission: FactorsManage, event: "factor.disabled", args: []string{"factor"}, plan: planState(authn.Asleep)},
	Enable:      {permission: FactorsManage, event: "factor.enabled", args: []string{"factor"}, plan: planState(authn.Confirmed)},
	Prefer:      {permission: FactorsManage, event: "factor.preferred_for", gentle: true, keeps: true, unexplained: true, args: []string{"factor"}, plan: planPrefer},
	HelpCode:    {permission: FactorsManage, event: "bypass_code.issued", keeps: true, plan: planHelpCode},
	Prepare:     {permission: UsersIdentity, event: "factor.prepared", keeps: true, args: []string{"method", "phone", "country", "username"}, plan: planPrepare},
	HandOver:    {permission: FactorsManage, event: "factor.begun_here", keeps: true, plan: planHandOver},
	InviteAgain: {permission: UsersWrite, event: "user.invited", args: []string{"shown"}, plan: planInvite},
	RequireTwo: {permission: UsersWrite, event: "user.two_factor_required", gentle: true, keeps: true, unexplained: true,
		plan: plain(func(u *authn.User) { u.RequireTwoFactor = true })},
	NotRequire: {permission: UsersWrite, event: "user.two_factor_not_required",
		plan: plain(func(u *authn.User) { u.RequireTwoFactor = false })},
	Exempt: {permission: UsersWrite, event: "user.exempted", args: []string{"until"}, plan: planExempt},
	EndExemption: {permission: UsersWrite, event: "user.exemption_ended", gentle: true, keeps: true,
		plan: plain(func(u *authn.User) { u.ExemptUntil, u.ExemptReason, u.ExemptBy = time.Time{}, "", "" })},
	Erase:     {permission: UsersIdentity, event: "user.erased", plan: planErase},
	APIOn:     {permission: UsersIdentity, event: "api_account.on", args: []string{"role", "networks", "owner", "until"}, prepare: prepareAPIOn, plan: planAPIOn},
	CloseHelp: {permission: FactorsManage, event: "help.closed", gentle: true, keeps: true, plan: planCloseHelp},
	APIOff:    {permission: UsersIdentity, event: "api_account.off", gentle: true, plan: planAPIOff},

	SetName:     {permission: UsersWrite, event: "user.name_changed", gentle: true, keeps: true, unexplained: true, args: []string{"name"}, plan: planName},
	SetLocale:   {permission: UsersWrite, event: "user.locale_changed", gentle: true, keeps: true, unexplained: true, args: []string{"locale"}, plan: planLocale},
	SetAudience: {permission: UsersWrite, event: "user.audience_changed", args: []string{"audience"}, plan: planAudience},
	SetLogin:    {permission: UsersIdentity, event: "login.changed", args: []string{"login"}, plan: planLogin},
	SetEmail:    {permission: UsersIdentity, event: "email.changed", args: []string{"email"}, plan: planEmail},
	SetPhone:    {permission: UsersIdentity, event: "phone.changed", args: []string{"phone", "country"}, plan: planPhone},
	SetRoles:    {permission: RolesWrite, event: "user.roles_changed", args: []string{"roles"}, plan: planRoles},
}

// Acts are the names of the acts, sorted.
func Acts() []string { return slices.Sorted(maps.Keys(personActs)) }

// ActOf is what an act asks of whoever wants to do it; false: there is none.
func ActOf(do string) (Act, bool) {
	kind, ok := personActs[do]
	return Act{Type: kind.event, Permission: kind.permission, Fresh: true}, ok
}

// May reports whether w could do an act to a person, apart from a recent proof:
// pages show no form that would be refused. by is who looks, of the session.
func May(c authn.Company, by, target authn.User, do string) bool {
	kind, ok := personActs[do]
	if !ok || !Can(c, by, kind.permission) {
		return false
	}
	rows := authn.Rows{Company: &c, User: &target, By: &authn.Rows{Company: &c, User: &by}}
	return mayTouch(&rows, Act{}) == nil
}

// Refusal is why w may not do an act to somebody, and puts it on record; nil: they
// may, apart from a recent proof and from what the act itself wants. It does
// nothing, so that looking at a page does nothing either.
//
// Errors: those of Act; NotFound, also if there is no such act.
func (s *Service) Refusal(ctx context.Context, w Who, do, target string) error {
	kind, ok := personActs[do]
	if !ok {
		return authn.NotFound
	}
	_, err := s.may(ctx, w, Act{Type: kind.event, Permission: kind.permission, Target: target})
	return err
}

// Waits reports whether an act on a person takes somebody else's word, or a day.
func Waits(c authn.Company, target authn.User, do string) bool {
	kind, ok := personActs[do]
	return ok && !kind.gentle && Administrative(c, target)
}

// digest binds an act with all that it says to its target. The reason is part of
// what somebody agrees to.
func (p PersonAct) digest(target string) string {
	h := sha256.New()
	part := func(s string) {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
		h.Write([]byte(s))
	}
	part(p.Do)
	part(target)
	part(p.Reason)
	for _, name := range slices.Sorted(maps.Keys(p.Args)) {
		part(name)
		part(p.Args[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// check refuses what is no act, before anybody is asked anything.
func (p *PersonAct) check(w Who) (personAct, error) {
	kind, ok := personActs[p.Do]
	if !ok {
		return kind, authn.InvalidField("do", "not_one_of", nil)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Args)) {
		if !slices.Contains(kind.args, name) {
			return kind, authn.InvalidField(name, "unknown", nil)
		}
	}
	if p.Reason == "" && !kind.unexplained && !w.Actor.Operator {
		return kind, authn.InvalidField("reason", "required", nil)
	}
	var err error
	p.Reason, err = CleanReason(p.Reason)
	return kind, err
}

// Do does an act, or leaves it to wait: what touches somebody with administrative
// rights needs the word of a second person, or a day in which its target can stop
// it (ruling 17). Saying the same again then does it.
//
// Errors: those of Act; Invalid (fields do, reason and those of the act),
// Conflict (error.last_owner, error.approvals_many), and those of a set-up.
func (s *Service) Do(ctx context.Context, w Who, p PersonAct) (Outcome, error) {
	var out Outcome
	kind, err := p.check(w)
	if err != nil {
		return out, err
	}
	a := Act{Type: kind.event, Permission: kind.permission, Fresh: true, Target: p.Target, Reason: p.Reason, Account: true}
	rows, err := s.may(ctx, w, a)
	if err != nil {
		return out, err
	}
	p.Target = rows.User.ID
	if kind.prepare != nil {
		if p, err = kind.prepare(ctx, s, w, p); err != nil {
			return out, err
		}
	}
	a.Target, a.Hash = p.Target, p.digest(p.Target) // of the arguments as they are written down
	f, err := kind.plan(ctx, s, asked{w, p, *rows.Company, *rows.User, &out})
	if err != nil {
		return Outcome{}, err
	}
	planned := out
	err = s.act(ctx, w, a, func(rows *authn.Rows, now time.Time) authn.Verdict {
		out = planned
		var used []authn.Write
		if !kind.gentle && !w.Actor.Operator && Administrative(*rows.Company, *rows.User) {
			ap := rows.Approval
			if rows.By.Key != nil {
				return authn.Drop(forbidden("key")) // ruling 20: never a key
			}
			if ap == nil || ap.Epoch != rows.User.Epoch || !ap.Ready(now) || !agreed(rows, kind, now) {
				return s.wait(w, rows, a, kind, p, now, &out)
			}
			over := *ap
			over.UsedAt = now
			used = []authn.Write{authn.PutApproval{Approval: over}}
		}
		return s.changed(w, rows, a, now, kind, f, used, &out)
	})
	if err != nil {
		return Outcome{}, err
	}
	return out, nil
}

// may asks the rules before anything is planned, which may take an outside
// service; the decision asks them again.
func (s *Service) may(ctx context.Context, w Who, a Act) (authn.Rows, error) {
	k, err := s.actKeys(w, a)
	if err != nil {
		return authn.Rows{}, err
	}
	rows, err := s.c.Store.View(ctx, k)
	if err != nil {
		return rows, fmt.Errorf("directory: %s: %w", a.Type, err)
	}
	if err := s.authorize(w, &rows, a, k.Now); err != nil {
		s.noteRefusal(ctx, w, &rows, a, k.Now, err)
		return rows, err
	}
	return rows, nil
}

// changed is the verdict of an act that is done now.
func (s *Service) changed(w Who, rows *authn.Rows, a Act, now time.Time, kind personAct, f change, used []authn.Write, out *Outcome) authn.Verdict {
	u := *rows.User
	done, err := f(rows, &u, now)
	if err != nil {
		return authn.Drop(err)
	}
	writes := used
	if !kind.keeps {
		u.Epoch++
	}
	writes = append(writes, authn.PutUser{User: u})
	writes = append(writes, done.Writes...)
	if !kind.keeps {
		writes = append(writes, authn.EndSessions{}, authn.EndAttempts{})
	}
	out.User, out.Waits = u, nil
	v := authn.Accept(s.actEvent(w, rows, a, now, authn.Succeeded, compared(*rows.User, u, done.Detail)), writes...)
	for _, ev := range done.More {
		v = v.And(ev)
	}
	return v
}

// agreed reports whether the word that was given for the act of rows, or the wait,
// still counts (ruling 20: "re-checks on execution"). It does not, if who gave it
// could not give it now, or has said since that somebody else was in their account.
func agreed(rows *authn.Rows, kind personAct, now time.Time) bool {
	ap := rows.Approval
	if ap.ApprovedAt.IsZero() || !now.Before(ap.NotBefore) || ap.ApprovedBy == Operator {
		return true
	}
	u := ap.Approver
	return u != nil && Can(*rows.Company, *u, kind.permission) && !u.SecuredAt.After(ap.ApprovedAt) &&
		mayTouch(&authn.Rows{Company: rows.Company, User: rows.User, By: &authn.Rows{Company: rows.Company, User: u}}, Act{}) == nil
}

// compared adds to a detail what an act changed of the person, before and after,
// where its plan does not say so itself. Of an address and a number it says as much
// as their owner knows them by: the log outlives them.
func compared(was, is authn.User, detail map[string]string) map[string]string {
	if detail["before"] != "" || detail["after"] != "" {
		return detail
	}
	list := func(u authn.User) []string {
		until := ""
		if !u.ExemptUntil.IsZero() {
			until = u.ExemptUntil.UTC().Format(time.RFC3339)
		}
		return []string{string(u.Status), masked(authn.Email, u.Email), masked(authn.SMS, u.Phone), until, strconv.FormatBool(u.RequireTwoFactor), u.Preferred}
	}
	before, after := list(was), list(is)
	for i := range before {
		if before[i] != after[i] {
			out := map[string]string{"before": before[i], "after": after[i]}
			maps.Copy(out, detail)
			return out
		}
	}
	return detail
}

func masked(k authn.Kind, to string) string {
	if to == "" {
		return ""
	}
	return policy.Mask(k, to)
}

// wait writes down that the act is asked for, or says that it is already. The
// owners are told, and the person, who can stop it. Where a word was given that
// does not count any more, it is asked for anew.
func (s *Service) wait(w Who, rows *authn.Rows, a Act, kind personAct, p PersonAct, now time.Time, out *Outcome) authn.Verdict {
	*out = Outcome{User: *rows.User}
	if ap := rows.Approval; ap != nil && ap.Open(now) && ap.Epoch == rows.User.Epoch && agreed(rows, kind, now) {
		out.Waits = ap
		return authn.Continue()
	}
	ap := authn.Approval{Company: rows.Company.ID, ID: authn.NewID(authn.ApprovalID, now, s.c.Random), Do: p.Do, Target: rows.User.ID,
		Requester: rows.By.User.ID, Hash: a.Hash, Args: p.Args, Reason: p.Reason, Epoch: rows.User.Epoch,
		CreatedAt: now, NotBefore: now.Add(authn.CoolDown), ExpiresAt: now.Add(authn.CoolDown + authn.ApprovalLives)}
	out.Waits = &ap
	asked := a
	asked.Type = "approval.asked"
	detail := approvalDetail(ap)
	told := maps.Clone(detail)
	maps.Copy(told, Told(w, rows, p.Reason))
	return authn.Accept(s.actEvent(w, rows, asked, now, authn.Succeeded, detail), authn.NewApproval{Approval: ap},
		authn.TellOwners{Letter: authn.Letter{Template: "approval_waits", At: now, Args: told}})
}

// approvalDetail is what events and letters say of an act that waits.
func approvalDetail(ap authn.Approval) map[string]string {
	return map[string]string{"action": "admin." + ap.Do, "approval": ap.ID, "requester": ap.Requester, "until": ap.NotBefore.UTC().Format(time.RFC3339)}
}
