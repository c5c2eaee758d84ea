package policy

import (
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Fallbacks are the channels by which a code would reach the person until they
// have a way of their own, the usual one first (requirement C1); none: why.
func Fallbacks(d Document, u authn.User, factors []authn.Factor, traits func(authn.Kind) (authn.Traits, bool), now time.Time) ([]authn.Kind, Denial) {
	if Enrolled(factors) || !u.HadFactorAt.IsZero() && (Demanded(d, u) || u.SecuredAt.Sub(u.HadFactorAt) >= NotMeLives || u.SecuredAt.IsZero()) {
		return nil, Stranded
	}
	return contacts(d, u, traits, now)
}

// contacts are the channels by which a code would reach the person, whether or not
// they had a way of their own; none: why.
func contacts(d Document, u authn.User, traits func(authn.Kind) (authn.Traits, bool), now time.Time) ([]authn.Kind, Denial) {
	if d.Minimum(u) != AnyStrength {
		return nil, TooWeak
	}
	var kinds []authn.Kind
	why := NoContact
	add := func(k authn.Kind, changed time.Time) {
		if _, offered := traits(k); !offered {
			return
		}
		if !changed.IsZero() && now.Sub(changed) < ContactRests {
			why = NewOne
			return
		}
		kinds = append(kinds, k)
	}
	if d.SMSFallback && u.Phone != "" && !u.PhoneTrustedAt.IsZero() {
		add(authn.SMS, u.PhoneChangedAt)
	}
	switch {
	case d.NoEmailFallback:
		if !d.SMSFallback {
			why = NoCodes
		}
	case u.EmailReaches() && d.MailRests(u, now):
		why = MailRests
	case u.EmailReaches():
		add(authn.Email, u.EmailChangedAt)
	}
	if len(kinds) > 0 {
		why = ""
	}
	return kinds, why
}

// MailRests reports whether e-mail is no second step now, because it reset the
// password: one channel is not enough (ruling 4).
func (d Document) MailRests(u authn.User, now time.Time) bool {
	return !d.EmailAfterReset && !u.PasswordResetAt.IsZero() && now.Sub(u.PasswordResetAt) < ContactRests
}

// rests reports whether codes of a channel are no way now.
func (a Asked) rests(k authn.Kind) bool {
	return k == authn.Email && a.Document.MailRests(a.User, a.Now)
}

// Contact is where codes of a channel go that stand in until a person has a way
// of their own.
func Contact(k authn.Kind, u authn.User) string {
	if k == authn.SMS {
		return u.Phone
	}
	return u.Email
}
