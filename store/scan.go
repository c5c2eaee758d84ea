package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// asTime scans microseconds into a time; 0 is the zero time.
type asTime struct{ t *time.Time }

func (s asTime) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("store: time column holds %T", v)
	}
	*s.t = timeOf(n)
	return nil
}

func timeOf(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// asJSON scans a document into a value; an empty one leaves it as it is.
type asJSON[T any] struct{ v *T }

func (s asJSON[T]) Scan(v any) error {
	var b []byte
	switch v := v.(type) {
	case string:
		b = []byte(v)
	case []byte:
		b = v
	default:
		return fmt.Errorf("store: document column holds %T", v)
	}
	if len(b) == 0 || string(b) == "[]" {
		return nil
	}
	return json.Unmarshal(b, s.v)
}

// asBytes scans text into a slice; empty text into nil.
type asBytes struct{ b *[]byte }

func (s asBytes) Scan(v any) error {
	switch v := v.(type) {
	case string:
		if v != "" {
			*s.b = []byte(v)
		}
	case []byte:
		if len(v) > 0 {
			*s.b = append([]byte(nil), v...)
		}
	default:
		return fmt.Errorf("store: document column holds %T", v)
	}
	return nil
}

// asKinds scans words with spaces between them; none are nil.
type asKinds struct{ list *[]authn.Kind }

func (s asKinds) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("store: column of words holds %T", v)
	}
	*s.list = nil
	for word := range strings.FieldsSeq(text) {
		*s.list = append(*s.list, authn.Kind(word))
	}
	return nil
}

// Each list of columns stands beside the targets that it is scanned into. The
// casts to *string spare database/sql its reflection.

const companyColumns = "c.id, c.slug, c.name, c.policy, c.policy_version, c.support, c.provides, c.created_at, c.roles, c.roles_version, c.trust_version, " +
	"COALESCE((SELECT b.document FROM branding b WHERE b.company = c.id), '')"

func companyTargets(c *authn.Company) []any {
	return []any{&c.ID, &c.Slug, &c.Name, asBytes{&c.Policy}, &c.PolicyVersion, &c.Support, asKinds{&c.Provides}, asTime{&c.CreatedAt},
		asJSON[[]authn.Role]{&c.Roles}, &c.RolesVersion, &c.TrustVersion, asJSON[authn.Brand]{&c.Brand}}
}

const userColumns = "u.company, u.id, u.login, u.email, u.email_verified_at, u.name, u.locale, u.audience, u.status, u.roles, " +
	"u.require_two_factor, u.epoch, u.password_changed_at, u.wrong_in_row, u.wrong_in_month, u.month_start, " +
	"u.password_known_at, u.created_at, u.email_changed_at, u.secured_at, u.preferred, u.had_factor_at, u.grace_at, " +
	"u.phone, u.phone_trusted_at, u.phone_changed_at, u.api, u.exempt_until, u.exempt_reason, u.exempt_by, u.last_sign_in_at, u.email_trusted_at, u.password_reset_at, u.help_asked_at, u.passkey_offered_at, u.external_id, u.person_key"

func userTargets(u *authn.User, personKey *[]byte) []any {
	return []any{&u.Company, &u.ID, &u.Login, &u.Email, asTime{&u.EmailVerifiedAt}, &u.Name, &u.Locale,
		(*string)(&u.Audience), (*string)(&u.Status), asJSON[[]string]{&u.Roles},
		&u.RequireTwoFactor, &u.Epoch, asTime{&u.PasswordChangedAt}, &u.WrongInRow, &u.WrongInMonth, asTime{&u.MonthStart},
		asTime{&u.PasswordKnownAt}, asTime{&u.CreatedAt}, asTime{&u.EmailChangedAt}, asTime{&u.SecuredAt}, &u.Preferred,
		asTime{&u.HadFactorAt}, asTime{&u.GraceAt}, &u.Phone, asTime{&u.PhoneTrustedAt}, asTime{&u.PhoneChangedAt},
		&u.API, asTime{&u.ExemptUntil}, &u.ExemptReason, &u.ExemptBy, asTime{&u.LastSignInAt}, asTime{&u.EmailTrustedAt}, asTime{&u.PasswordResetAt}, asTime{&u.HelpAskedAt}, asTime{&u.PasskeyOfferedAt},
		&u.ExternalID, personKey}
}

const attemptColumns = "a.company, a.id, a.user_id, a.purpose, a.state, a.version, a.proofs, a.lane, a.session_id, a.action, " +
	"a.return_to, a.epoch, a.first_ever, a.created_at, a.expires_at, a.wants, a.caller, a.token, a.browser"

func attemptTargets(a *authn.Attempt, by **callerRow, token, browser *[]byte) []any {
	return []any{&a.Company, &a.ID, &a.User, (*string)(&a.Purpose), (*string)(&a.State), &a.Version, asJSON[[]authn.Proof]{&a.Proofs},
		(*string)(&a.Lane), &a.Session, &a.Action, &a.ReturnTo, &a.Epoch, &a.First, asTime{&a.CreatedAt}, asTime{&a.ExpiresAt}, asJSON[*authn.GrantAsked]{&a.Wants},
		asJSON[*callerRow]{by}, token, browser}
}

const sessionColumns = "s.company, s.id, s.user_id, s.epoch, s.amr, s.acr, s.auth_time, s.factor_time, s.confirmed_at, s.created_at, " +
	"s.last_seen_at, s.expires_at, s.idle, s.agent, s.name, s.attempt, s.return_to, s.trust, s.token"

// sessionTargets scans idle as microseconds into *idle.
func sessionTargets(se *authn.Session, idle *int64, token *[]byte) []any {
	return []any{&se.Company, &se.ID, &se.User, &se.Epoch, asJSON[[]string]{&se.AMR}, &se.ACR, asTime{&se.AuthTime},
		asTime{&se.FactorTime}, asTime{&se.ConfirmedAt}, asTime{&se.CreatedAt}, asTime{&se.LastSeenAt}, asTime{&se.ExpiresAt},
		idle, &se.Agent, &se.Name, &se.Attempt, &se.ReturnTo, &se.Trust, token}
}

const factorColumns = "f.company, f.user_id, f.id, f.kind, f.state, f.name, f.data, f.last_step, f.epoch, f.attempt, " +
	"f.tries_s, f.paused_s, f.tries_k, f.paused_k, f.created_at, f.confirmed_at, f.last_used_at, f.expires_at, f.left_over, f.probation_until, f.set_by, f.round"

func factorTargets(f *authn.Factor, stranger, known *authn.Count) []any {
	return []any{&f.Company, &f.User, &f.ID, (*string)(&f.Kind), (*string)(&f.State), &f.Name, asBytes{&f.Data}, &f.LastStep,
		&f.Epoch, &f.Attempt, &stranger.Tries, asTime{&stranger.PausedUntil}, &known.Tries, asTime{&known.PausedUntil},
		asTime{&f.CreatedAt}, asTime{&f.ConfirmAt}, asTime{&f.LastUsedAt}, asTime{&f.ExpiresAt}, &f.Left, asTime{&f.ProbationUntil}, &f.SetBy, &f.Round}
}
