package directory

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
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
	// Secret is that of an API account, shown once; empty: it was typed.
	Secret string
}

// change is what an act does to the person that the decision has locked.
type change = func(rows *authn.Rows, u *authn.User, now time.Time) (Done, error)

// personAct is one entry of the table of acts.
type personAct struct {
	permission Permission
	event      string
	// gentle acts take nothing away from anybody: no epoch is raised, nobody is signed
	// out, and nobody has to agree.
	gentle bool
	args   []string // the names that Args may have
	// prepare does what is too slow for a transaction; nil: nothing. It asks first
	// whether w may.
	prepare func(ctx context.Context, s *Service, w Who, p PersonAct) (PersonAct, error)
	// plan judges the arguments before the transaction and gives the change; out is
	// filled in with what is shown once.
	plan func(s *Service, w Who, p PersonAct, out *Outcome) (change, error)
}

// The acts that exist.
const (
	Suspend      = "suspend"
	Activate     = "activate"
	SignOut      = "sign_out"
	Unlock       = "unlock"
	Reset        = "reset" // factor: the one to reset; none: all ways to verify
	HelpCode     = "help_code"
	RequireTwo   = "require"
	NotRequire   = "not_require"
	Exempt       = "exempt" // until: RFC 3339
	EndExemption = "end_exemption"
	Erase        = "erase"  // for good: see planErase
	APIOn        = "api_on" // role, networks, owner, until: RFC 3339; see planAPIOn
	APIOff       = "api_off"
)

// personActs are the acts. A page, a route and a command find here what there is.
var personActs = map[string]personAct{
	Suspend:  {permission: UsersWrite, event: "user.suspended", plan: plain(func(u *authn.User) { u.Status = authn.Suspended }, authn.KeepOwner{})},
	Activate: {permission: UsersWrite, event: "user.activated", plan: plain(func(u *authn.User) { u.Status = authn.Active })},
	SignOut:  {permission: FactorsManage, event: "user.signed_out", plan: plain(func(*authn.User) {})},
	Unlock:   {permission: FactorsManage, event: "user.unlocked", gentle: true, plan: plain(func(*authn.User) {}, authn.LiftPauses{})},
	Reset:    {permission: FactorsManage, event: "factors.reset", args: []string{"factor"}, plan: planReset},
	HelpCode: {permission: FactorsManage, event: "bypass_code.issued", plan: planHelpCode},
	RequireTwo: {permission: UsersWrite, event: "user.two_factor_required", gentle: true,
		plan: plain(func(u *authn.User) { u.RequireTwoFactor = true })},
	NotRequire: {permission: UsersWrite, event: "user.two_factor_not_required",
		plan: plain(func(u *authn.User) { u.RequireTwoFactor = false })},
	Exempt: {permission: UsersWrite, event: "user.exempted", args: []string{"until"}, plan: planExempt},
	Erase:  {permission: UsersIdentity, event: "user.erased", plan: planErase},
	APIOn:  {permission: UsersIdentity, event: "api_account.on", args: []string{"role", "networks", "owner", "until"}, prepare: prepareAPIOn, plan: planAPIOn},
	APIOff: {permission: UsersIdentity, event: "api_account.off", plan: planAPIOff},
	EndExemption: {permission: UsersWrite, event: "user.exemption_ended", gentle: true,
		plan: plain(func(u *authn.User) { u.ExemptUntil, u.ExemptReason, u.ExemptBy = time.Time{}, "", "" })},

	SetName:     {permission: UsersWrite, event: "user.name_changed", gentle: true, args: []string{"name"}, plan: planName},
	SetLocale:   {permission: UsersWrite, event: "user.locale_changed", gentle: true, args: []string{"locale"}, plan: planLocale},
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

// plain is the plan of an act without arguments.
func plain(f func(*authn.User), writes ...authn.Write) func(*Service, Who, PersonAct, *Outcome) (change, error) {
	return func(*Service, Who, PersonAct, *Outcome) (change, error) {
		return func(_ *authn.Rows, u *authn.User, _ time.Time) (Done, error) {
			f(u)
			return Done{Writes: writes}, nil
		}, nil
	}
}

// planReset removes one way to verify, or all and what came with them.
func planReset(_ *Service, _ Who, p PersonAct, _ *Outcome) (change, error) {
	id := p.Args["factor"]
	if id != "" && !authn.CheckID(authn.FactorID, id) {
		return nil, authn.InvalidField("factor", "invalid", nil)
	}
	return func(rows *authn.Rows, u *authn.User, _ time.Time) (Done, error) {
		if id == "" {
			return Done{Detail: map[string]string{"method": "all"}, Writes: append(deleteFactors(rows), authn.ForgetBrowsers{All: true})}, nil
		}
		f := rows.Factor(id)
		if f == nil || f.Kind == authn.Password {
			return Done{}, authn.NotFound
		}
		if u.Preferred == id {
			u.Preferred = ""
		}
		return Done{Detail: map[string]string{"method": string(f.Kind), "factor": id}, Writes: []authn.Write{authn.DeleteFactor{ID: id}, authn.ForgetBrowsers{All: true}}}, nil
	}, nil
}

// planHelpCode makes a code of one hour that opens set-up only (ruling 18). The
// epoch is raised, so the code belongs to the one after.
func planHelpCode(s *Service, _ Who, _ PersonAct, out *Outcome) (change, error) {
	if s.c.Bypasses == nil {
		return nil, authn.NotFound
	}
	code, secret := s.c.Bypasses.NewCode()
	return func(rows *authn.Rows, u *authn.User, now time.Time) (Done, error) {
		doc, err := policy.Current(*rows.Company, now)
		if err != nil {
			return Done{}, fmt.Errorf("directory: %w", err)
		}
		switch {
		case doc.Sleeps(*rows.User):
			return Done{}, &authn.Error{Code: authn.PolicyForbids, Key: "error.two_factor_off"}
		case u.API:
			return Done{}, &authn.Error{Code: authn.Conflict, Key: "error.api_account"}
		case u.Status != authn.Active:
			return Done{}, &authn.Error{Code: authn.PolicyForbids, Key: "error.user_suspended"}
		}
		out.Code, out.ExpiresAt = code, now.Add(BypassLives)
		f := authn.Factor{Company: u.Company, ID: authn.NewID(authn.FactorID, now, s.c.Random), User: u.ID, Kind: authn.BypassCode,
			State: authn.Confirmed, Epoch: u.Epoch + 1, CreatedAt: now, ConfirmAt: now, ExpiresAt: out.ExpiresAt}
		return Done{Writes: []authn.Write{authn.NewFactor{Factor: f, Secret: secret}}}, nil
	}, nil
}

// MaxExemption is the longest that policy can be lifted for a person at a time.
const MaxExemption = 90 * 24 * time.Hour

func planExempt(s *Service, w Who, p PersonAct, _ *Outcome) (change, error) {
	until, err := time.Parse(time.RFC3339, p.Args["until"])
	if err != nil {
		return nil, authn.InvalidField("until", "invalid", nil)
	}
	if now := s.c.Now(); !until.After(now) || until.After(now.Add(MaxExemption)) {
		return nil, authn.InvalidField("until", "exemption", map[string]any{"Days": int(MaxExemption.Hours() / 24)})
	}
	if p.Reason == "" {
		return nil, authn.InvalidField("reason", "required", nil)
	}
	return func(rows *authn.Rows, u *authn.User, _ time.Time) (Done, error) {
		u.ExemptUntil, u.ExemptReason, u.ExemptBy = until.UTC().Truncate(time.Second), p.Reason, actorOf(w, rows)
		return Done{Detail: map[string]string{"until": u.ExemptUntil.Format(time.RFC3339)}}, nil
	}, nil
}

// digest binds an act with all that it says to its target.
func (p PersonAct) digest(target string) string {
	h := sha256.New()
	part := func(s string) {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
		h.Write([]byte(s))
	}
	part(p.Do)
	part(target)
	for _, name := range slices.Sorted(maps.Keys(p.Args)) {
		part(name)
		part(p.Args[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Do does an act, or leaves it to wait: what touches somebody with administrative
// rights needs the word of a second person, or a day in which its target can stop
// it (ruling 17). Saying the same again then does it.
//
// Errors: those of Act; Invalid (fields do, reason and those of the act),
// Conflict (error.last_owner).
func (s *Service) Do(ctx context.Context, w Who, p PersonAct) (Outcome, error) {
	var out Outcome
	kind, ok := personActs[p.Do]
	if !ok {
		return out, authn.InvalidField("do", "not_one_of", nil)
	}
	for name := range p.Args {
		if !slices.Contains(kind.args, name) {
			return out, authn.InvalidField(name, "unknown", nil)
		}
	}
	if p.Reason == "" && !kind.gentle && !w.Actor.Operator {
		return out, authn.InvalidField("reason", "required", nil)
	}
	target, err := s.targetID(ctx, w, kind.permission, p.Target)
	if err != nil {
		return out, err
	}
	if kind.prepare != nil {
		if p, err = kind.prepare(ctx, s, w, p); err != nil {
			return out, err
		}
	}
	f, err := kind.plan(s, w, p, &out)
	if err != nil {
		return out, err
	}
	planned := out
	a := Act{Type: kind.event, Permission: kind.permission, Fresh: true, Target: target, Reason: p.Reason, Hash: p.digest(target), Account: true}
	err = s.act(ctx, w, a, func(rows *authn.Rows, now time.Time) authn.Verdict {
		out = planned
		var agreed []authn.Write
		if !kind.gentle && !w.Actor.Operator && Administrative(*rows.Company, *rows.User) {
			ap := rows.Approval
			if ap == nil || ap.Epoch != rows.User.Epoch || !ap.Ready(now) {
				return s.wait(w, rows, a, p, now, &out)
			}
			used := *ap
			used.UsedAt = now
			agreed = []authn.Write{authn.PutApproval{Approval: used}}
		}
		return s.changed(w, rows, a, now, kind, f, agreed, &out)
	})
	if err != nil {
		return Outcome{}, err
	}
	return out, nil
}

// changed is the verdict of an act that is done now.
func (s *Service) changed(w Who, rows *authn.Rows, a Act, now time.Time, kind personAct, f change, agreed []authn.Write, out *Outcome) authn.Verdict {
	u := *rows.User
	done, err := f(rows, &u, now)
	if err != nil {
		return authn.Drop(err)
	}
	writes := agreed
	if kind.gentle {
		writes = append(writes, authn.PutUser{User: u})
		writes = append(writes, done.Writes...)
	} else {
		u.Epoch++
		writes = append(writes, authn.PutUser{User: u})
		writes = append(writes, done.Writes...)
		writes = append(writes, authn.EndSessions{}, authn.EndAttempts{})
	}
	out.User, out.Waits = u, nil
	v := authn.Accept(s.actEvent(w, rows, a, now, authn.Succeeded, done.Detail), writes...)
	for _, ev := range done.More {
		v = v.And(ev)
	}
	return v
}

// wait writes down that the act is asked for, or says that it is already.
func (s *Service) wait(w Who, rows *authn.Rows, a Act, p PersonAct, now time.Time, out *Outcome) authn.Verdict {
	*out = Outcome{User: *rows.User}
	if rows.By.Key != nil {
		return authn.Drop(forbidden("key")) // ruling 20: never a key
	}
	if ap := rows.Approval; ap != nil && ap.Open(now) && ap.Epoch == rows.User.Epoch {
		out.Waits = ap
		return authn.Continue()
	}
	ap := authn.Approval{Company: rows.Company.ID, ID: authn.NewID(authn.ApprovalID, now, s.c.Random), Do: p.Do, Target: rows.User.ID,
		Requester: rows.By.User.ID, Hash: a.Hash, Args: p.Args, Reason: p.Reason, Epoch: rows.User.Epoch,
		CreatedAt: now, NotBefore: now.Add(authn.CoolDown), ExpiresAt: now.Add(authn.CoolDown + authn.ApprovalLives)}
	out.Waits = &ap
	asked := a
	asked.Type = "approval.asked"
	return authn.Accept(s.actEvent(w, rows, asked, now, authn.Succeeded, map[string]string{"act": p.Do, "approval": ap.ID}), authn.NewApproval{Approval: ap})
}

// targetID resolves a login to an id, which the hash of an act binds. Whether w
// may know that there is such a person is asked first.
func (s *Service) targetID(ctx context.Context, w Who, p Permission, target string) (string, error) {
	if authn.CheckID(authn.UserID, target) {
		return target, nil
	}
	if !w.Actor.Operator {
		if _, err := s.Check(ctx, w, p); err != nil {
			return "", err
		}
	}
	u, _, err := s.Lookup(ctx, authn.Company{ID: w.Company}, target)
	return u.ID, err
}
