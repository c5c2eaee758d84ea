package policy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// all are the traits of a server that offers every kind.
func all(k authn.Kind) (authn.Traits, bool) {
	if k == authn.Duo || k == authn.SMS {
		return authn.Traits{Possession: true, OutOfBand: true}, true
	}
	return every(k)
}

var (
	roles  = []string{"owner", "administrator", "agent", "member"}
	kinds  = []authn.Kind{authn.TOTP, authn.SMS, authn.Email, authn.Duo, authn.WebAuthn, authn.BackupCode}
	models = []string{"2fc0579f-8113-47ea-b116-bb5a8db9202a", "cb69481e-8ff7-4039-93ec-0a2729a154a8"}
	sides  = []authn.Audience{authn.InternalAudience, authn.ExternalAudience}
)

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func some[T any](r *rand.Rand, from []T) []T {
	var out []T
	for _, one := range from {
		if r.IntN(2) == 0 {
			out = append(out, one)
		}
	}
	return out
}

// randomDocument is a document that Encode takes.
func randomDocument(r *rand.Rand) policy.Document {
	for {
		d := policy.Document{Format: 1, TwoFactor: pick(r, policy.Off, policy.On, policy.On, policy.Required),
			Internal:        pick(r, policy.AsCompany, policy.AsCompany, policy.NotOffered, policy.OfferedToThem, policy.RequiredThere),
			External:        pick(r, policy.AsCompany, policy.AsCompany, policy.NotOffered, policy.OfferedToThem, policy.RequiredThere),
			CompanyWideOnly: r.IntN(5) == 0, OwnWay: some(r, sides), SMSFallback: r.IntN(2) == 0, NoEmailFallback: r.IntN(4) == 0,
			GraceDays: pick(r, 0, 0, 7), StepUpSeconds: pick(r, 0, 300, 900), FreeTries: pick(r, 0, 5)}
		if r.IntN(2) == 0 {
			d.Passkeys = &policy.Passkeys{BlockCopied: r.IntN(2) == 0, DeviceBound: r.IntN(2) == 0, Attested: r.IntN(3) == 0}
			if r.IntN(3) == 0 {
				d.Passkeys.Models = some(r, models)
			}
		}
		if r.IntN(2) == 0 {
			d.Methods = some(r, kinds)
		}
		for _, k := range kinds {
			if r.IntN(4) == 0 {
				if d.AllowedAgain == nil {
					d.AllowedAgain = map[authn.Kind]int{}
				}
				d.AllowedAgain[k] = 1 + r.IntN(2)
			}
		}
		if r.IntN(3) == 0 {
			d.RequireRoles = some(r, roles)
		}
		for _, role := range roles {
			if r.IntN(8) == 0 {
				d.Strength = map[string]policy.Strength{role: pick(r, policy.OwnPossession, policy.PhishingResistant)}
			}
			if r.IntN(8) == 0 {
				d.ProofsByRole = map[string]int{role: 1 + r.IntN(2)}
			}
		}
		if _, err := d.Encode(); err == nil {
			return d
		}
	}
}

// randomPerson is somebody whose contacts are not new.
func randomPerson(r *rand.Rand) (authn.User, []authn.Factor) {
	long := now.AddDate(-1, 0, 0)
	u := authn.User{Company: "cmp_1", ID: "usr_1", Status: authn.Active, Epoch: 1, Audience: pick(r, sides...), Roles: some(r, roles),
		RequireTwoFactor: r.IntN(4) == 0, API: r.IntN(10) == 0}
	if r.IntN(3) > 0 {
		u.Email, u.EmailVerifiedAt = "maya@acme.example", long
	}
	if r.IntN(3) == 0 {
		u.Phone, u.PhoneTrustedAt = "+46701740605", long
	}
	if r.IntN(4) == 0 {
		u.ExemptUntil, u.ExemptBy, u.ExemptReason = now.Add(time.Duration(r.IntN(20)-5)*time.Hour), "usr_2", "new phone"
	}
	if r.IntN(8) == 0 {
		u.SecuredAt = now.Add(-time.Hour)
	}
	if r.IntN(6) == 0 {
		u.HadFactorAt = pick(r, long, now.AddDate(0, 0, -1))
	}
	factors := []authn.Factor{{ID: "fac_password", Kind: authn.Password, State: authn.Confirmed, Counts: map[authn.Lane]authn.Count{}}}
	for _, k := range append(slices.Clone(kinds), authn.WebAuthn, authn.WebAuthn) {
		if r.IntN(3) > 0 {
			continue
		}
		f := authn.Factor{ID: "fac_" + string(k), Kind: k, State: pick(r, authn.Confirmed, authn.Confirmed, authn.Confirmed, authn.Asleep, authn.Pending),
			Left: r.IntN(3), Round: r.IntN(3), Counts: map[authn.Lane]authn.Count{}}
		if k == authn.WebAuthn { // of which a person can have several
			f.ID += strconv.Itoa(len(factors))
			f.Data = fmt.Appendf(nil, `{"be":%t,"attested":%t,"aaguid":%q}`, r.IntN(2) == 0, r.IntN(2) == 0, pick(r, append(models, "")...))
		}
		factors = append(factors, f)
		if k.Own() && f.State == authn.Confirmed && u.HadFactorAt.IsZero() {
			u.HadFactorAt = long
		}
	}
	return u, factors
}
