package signin

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// StepUpKeeping is StepUp for a form of our own pages, which is kept meanwhile, for
// at most authn.FormLives: see TakeForm. The client has a browser cookie.
func (s *Service) StepUpKeeping(ctx context.Context, session authn.Token, action, returnTo string, form authn.Form, c authn.Client) (Status, error) {
	return s.stepUp(ctx, session, For{Action: action, ReturnTo: returnTo}, &form, false, c)
}

// KeptForm shows the form that was kept for a step-up, and leaves it.
//
// Errors: Unauthenticated; NotFound: there is none for this sign-in in this browser,
// it is over or was used; Busy.
func (s *Service) KeptForm(ctx context.Context, session authn.Token, attempt string, c authn.Client) (authn.Form, error) {
	now := s.now()
	rows, err := s.store.View(ctx, formKeys(session, attempt, c, now))
	if err != nil {
		return authn.Form{}, fmt.Errorf("signin: kept form: %w", err)
	}
	if err := policy.CheckSession(&rows, now); err != nil {
		return authn.Form{}, err
	}
	if rows.Form == nil {
		return authn.Form{}, authn.NotFound
	}
	return *rows.Form, nil
}

// TakeForm uses up the form of a step-up that is complete: of many calls one gets it.
//
// Errors: those of KeptForm.
func (s *Service) TakeForm(ctx context.Context, session authn.Token, attempt string, c authn.Client) (authn.Form, error) {
	now := s.now()
	k := formKeys(session, attempt, c, now)
	k.TakeForm = true
	k.Choose = func(rows *authn.Rows) (string, error) { return "", policy.CheckSession(rows, now) }
	var form authn.Form
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if rows.Form == nil {
			return authn.Drop(authn.NotFound)
		}
		form = *rows.Form
		return authn.Accept(s.event("step_up.form_sent", authn.Succeeded, rows, c, now, map[string]string{"form": form.Route}))
	})
	if err != nil {
		return authn.Form{}, fmt.Errorf("signin: take form: %w", err)
	}
	return form, nil
}

func formKeys(session authn.Token, attempt string, c authn.Client, now time.Time) authn.Keys {
	return authn.Keys{Company: session.Company, SessionToken: session, Browser: c.Browser, Now: now, Form: attempt}
}
