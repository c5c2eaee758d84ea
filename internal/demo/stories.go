package demo

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// usual: an app was set up at the first sign-in, and used since.
func (l *life) usual(ctx context.Context) error {
	l.first(ctx)
	l.routine(ctx, days-1, 2, authn.TOTP)
	l.last(ctx, 1)
	return l.err
}

// first is the first sign-in of staff: a code by e-mail, then a way of their own.
func (l *life) first(ctx context.Context) {
	l.at(days, 9)
	l.comes(ctx, authn.Email)
	l.settle(ctx)
}

// last is the latest sign-in, from a browser that the person had not used yet
// for some of them.
func (l *life) last(ctx context.Context, ago int) {
	l.at(ago, 9)
	if l.chance("new browser", 0) < 40 {
		l.browser(ago)
	}
	l.comes(ctx, authn.TOTP)
}

// withoutPhone: the phone was away for repair, and eight backup codes went.
func (l *life) withoutPhone(ctx context.Context) error {
	l.first(ctx)
	l.routine(ctx, days-1, 22, authn.TOTP)
	for day := 21; day > 13; day-- {
		l.at(day, 8)
		l.comes(ctx, authn.BackupCode)
	}
	l.at(13, 10)
	l.comes(ctx, authn.TOTP)
	l.do(func() error {
		changed, err := l.setUp(ctx, l.who(), authn.SMS, "")
		l.session = changed.Token
		return err
	})
	l.routine(ctx, 12, 10, authn.SMS)
	l.routine(ctx, 9, 2, authn.TOTP)
	l.last(ctx, 1)
	return l.err
}

// byText: staff with a mobile number and nothing else.
func (l *life) byText(ctx context.Context) error {
	l.first(ctx)
	l.routine(ctx, days-1, 1, authn.SMS)
	l.at(1, 18)
	l.comes(ctx, authn.SMS)
	return l.err
}

// byDuo: staff whom Duo asks.
func (l *life) byDuo(ctx context.Context) error {
	l.first(ctx)
	l.routine(ctx, days-1, 2, authn.Duo)
	l.at(1, 9)
	l.comes(ctx, authn.Duo)
	return l.err
}

// pestered: somebody had the password, and hoped that one of the pushes would be
// approved. They were denied, the last as fraud, and the operator gave a new password.
func (l *life) pestered(ctx context.Context) error {
	l.first(ctx)
	l.routine(ctx, days-1, 6, authn.Duo)
	own := l.client
	l.at(5, 3)
	l.stranger(77)
	for _, reason := range []string{"denied", "timeout", "denied", "fraud"} {
		l.later(41)
		l.do(func() error {
			no := l.event("factor.refused", authn.Refused, map[string]string{"method": string(authn.Duo), "reason": reason})
			no.Actor = ""
			return l.write(ctx, nil, l.event("sign_in.begun", authn.Succeeded, nil),
				l.event("factor.asked", authn.Succeeded, map[string]string{"method": string(authn.Duo), "way": "push"}), no)
		})
	}
	l.client = own
	l.at(5, 8)
	l.do(func() error { return l.people.SetPassword(ctx, l.company, l.u.ID, Password) })
	l.routine(ctx, 4, 2, authn.Duo)
	l.at(1, 9)
	l.comes(ctx, authn.Duo)
	return l.err
}

// customerByText: codes by text message to the number of the profile stand in.
func (l *life) customerByText(ctx context.Context) error {
	l.at(days-3, 11)
	l.comes(ctx, authn.SMS)
	l.routine(ctx, days-4, 2, authn.SMS)
	l.at(1, 16)
	l.comes(ctx, authn.SMS)
	return l.err
}

// customerWithText: a customer who gave a mobile number to verify with.
func (l *life) customerWithText(ctx context.Context) error {
	l.at(days-1, 13)
	l.comes(ctx, authn.Email)
	l.adds(ctx, authn.SMS)
	l.settle(ctx)
	l.routine(ctx, days-2, 2, authn.SMS)
	l.at(1, 15)
	l.comes(ctx, authn.SMS)
	return l.err
}

// newPhone: the app was set up anew on another phone.
func (l *life) newPhone(ctx context.Context) error {
	l.first(ctx)
	l.routine(ctx, days-1, 13, authn.TOTP)
	l.at(12, 11)
	l.comes(ctx, authn.TOTP)
	l.do(func() error {
		changed, err := l.setUp(ctx, l.who(), authn.TOTP, l.app)
		l.session = changed.Token
		return err
	})
	l.later(20)
	l.do(func() error { _, err := l.account.Rename(ctx, l.who(), l.app, l.p.phone); return err })
	l.routine(ctx, 11, 2, authn.TOTP)
	l.last(ctx, 1)
	return l.err
}

// hesitant: is to set up a way of their own, and left the page.
func (l *life) hesitant(ctx context.Context) error {
	l.at(4, 15)
	l.do(func() error {
		st, err := l.begin(ctx, Password)
		if err == nil {
			_, err = l.prove(ctx, st, authn.Email)
		}
		return err
	})
	return l.err
}

// customer: codes by e-mail are enough.
func (l *life) customer(ctx context.Context) error {
	l.at(days, 10)
	l.comes(ctx, authn.Email)
	l.routine(ctx, days-1, 3, authn.Email)
	l.at(2, 14)
	l.comes(ctx, authn.Email)
	return l.err
}

// byMail: a customer who turned codes by e-mail on.
func (l *life) byMail(ctx context.Context) error {
	l.at(days-1, 10)
	l.comes(ctx, authn.Email)
	l.adds(ctx, authn.Email)
	l.routine(ctx, days-2, 2, authn.Email)
	l.at(1, 12)
	l.comes(ctx, authn.Email)
	return l.err
}

// customerWithApp: a customer who set up an app.
func (l *life) customerWithApp(ctx context.Context) error {
	l.at(days-2, 9)
	l.comes(ctx, authn.Email)
	l.adds(ctx, authn.TOTP)
	l.settle(ctx)
	l.routine(ctx, days-3, 3, authn.TOTP)
	l.last(ctx, 2)
	return l.err
}

// notMe: was told of a browser that was somebody else's, and said so.
func (l *life) notMe(ctx context.Context) error {
	_ = l.customerWithApp(ctx)
	own := l.client
	l.at(1, 18)
	l.stranger(41)
	id := authn.NewID(authn.LinkID, l.now, rand.Reader)
	link := authn.NewToken(authn.LinkToken, l.company.ID, id, rand.Reader)
	l.do(func() error {
		told := l.event("session.new_browser", authn.Succeeded, nil)
		u, _, err := l.people.Lookup(ctx, l.company, l.u.ID)
		if err != nil {
			return err
		}
		return l.write(ctx, []authn.Write{authn.NewLink{Token: link, Link: authn.Link{ID: id, Purpose: authn.NotMeLink, Mailed: true, Epoch: u.Epoch,
			Event: told.ID, CreatedAt: l.now, ExpiresAt: l.now.AddDate(0, 0, 7)}}}, told)
	})
	l.at(1, 20)
	l.client = own
	l.do(func() error { _, err := l.account.Secure(ctx, link, l.client); return err })
	return l.err
}

// leaver: left the company.
func (l *life) leaver(ctx context.Context) error {
	l.first(ctx)
	l.routine(ctx, days-1, 9, authn.TOTP)
	l.at(7, 17)
	l.do(func() error { return l.people.SetStatus(ctx, l.company, l.u.ID, authn.Suspended) })
	return l.err
}

// stuck: nobody has shown that the address is theirs, so that no code goes there.
func (l *life) stuck(ctx context.Context) error {
	for _, day := range []int{6, 5, 3} {
		l.at(day, 9)
		l.do(func() error { _, err := l.begin(ctx, Password); return err })
	}
	return l.err
}

// lockedOut: all tries of the app were used up, those of strangers and those of
// the person's own browser; then the backup codes, one a day.
func (l *life) lockedOut(ctx context.Context) error {
	l.first(ctx)
	l.routine(ctx, days-1, 16, authn.TOTP)
	l.last(ctx, 15)
	own := l.client
	l.at(14, 2)
	l.stranger(7)
	l.do(func() error { return l.guess(ctx, "", authn.ShareStranger) })
	l.do(func() error {
		return l.write(ctx, nil, l.refused(3), l.refused(10), l.refused(authn.ShareStranger), l.locked(authn.Stranger))
	})
	l.at(13, 9)
	l.client = own
	l.do(func() error { return l.guess(ctx, own.Browser, authn.ShareKnown) })
	l.do(func() error {
		return l.write(ctx, nil, l.refused(3), l.refused(10), l.refused(authn.ShareKnown), l.locked(authn.Known))
	})
	l.at(13, 11)
	l.newPassword(ctx)
	for day := 12; day > 2; day-- {
		l.at(day, 9)
		l.comes(ctx, authn.BackupCode)
	}
	return l.err
}

// attacked: strangers try codes just now, so that nobody unknown may for an hour.
func (l *life) attacked(ctx context.Context) error {
	l.first(ctx)
	l.routine(ctx, days-1, 2, authn.TOTP)
	l.last(ctx, 1)
	l.stranger(23)
	l.now = time.Now().Add(-time.Hour)
	l.do(func() error { return l.guess(ctx, "", policy.KnownAfterRow) })
	l.do(func() error { return l.write(ctx, nil, l.refused(3), l.refused(10)) })
	l.newPassword(ctx)
	// The 17th wrong code in a row is the first to pause for a whole hour.
	l.now = time.Now()
	l.do(func() error { return l.guess(ctx, "", 6) })
	l.do(func() error {
		k := authn.Keys{Company: l.company.ID, User: l.u.ID, Factor: l.app, Charge: authn.GuessFactor, Now: l.now}
		return l.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
			u := *rows.User
			u.WrongInRow, u.WrongInMonth, u.MonthStart = 7, 7, l.now
			return authn.Accept(l.refused(17), authn.Settle{Outcome: authn.Wrong, PausedUntil: policy.LockoutOf(rows, l.now).PausedUntil(l.now, rows.Charged.Count.Tries)},
				authn.PutUser{User: u})
		})
	})
	return l.err
}
