package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/provider"
)

const (
	mostDuo   = 20  // companies whose Duo is asked
	mostTexts = 500 // companies whose texts are looked at
	duoAtOnce = 5
	duoTime   = 30 * time.Second // for all of them
)

// providers are what the patient's companies send and ask through; a finding, if
// they cannot be read.
func (s *patient) providers() (*provider.Service, *finding) {
	if s.ring == nil {
		return nil, &finding{Result: checkSkip, Text: "not looked at, because the keyring cannot be read"}
	}
	web, err := s.config.web()
	if err == nil {
		var k kit
		if k, err = methods(reach{web: web}); err == nil {
			var p *provider.Service
			if p, err = providers(s.store, s.config, textDrivers(web), k.duo, nil); err == nil {
				return p, nil
			}
		}
	}
	f := fail("", "%v", err)
	return nil, &f
}

// having are the companies with a provider of their own of a channel.
func having(ctx context.Context, s *patient, channel authn.Kind) ([]authn.Company, error) {
	all, err := s.store.Companies(ctx)
	return slices.DeleteFunc(all, func(c authn.Company) bool { return !slices.Contains(c.Provides, channel) }), err
}

func checkTexts(ctx context.Context, s *patient) []finding {
	p, f := s.providers()
	if f != nil {
		return []finding{*f}
	}
	companies, err := having(ctx, s, authn.SMS)
	if err != nil {
		return []finding{fail("", "%v", err)}
	}
	return append(serverTexts(ctx, s.config, p.Operator(), s.number), companyTexts(ctx, companies, p)...)
}

// serverTexts looks at the server's own providers; with a number each sends a text.
func serverTexts(ctx context.Context, c *config, o provider.Operator, number string) []finding {
	drivers := c.SMS.drivers()
	switch {
	case len(drivers) == 0 && number != "":
		return []finding{warn("set sms.driver, or use `sallyport provider test sms` for a company's own", "the server has no provider of text messages to send a text through")}
	case len(drivers) == 0:
		return []finding{ok("the server has no provider of text messages: only companies with one of their own can use them")}
	case number == "":
		return []finding{ok("the settings of %s are complete. Nothing was sent; `sallyport doctor --text NUMBER` sends one", strings.Join(drivers, " and "))}
	}
	var list []finding
	for i, d := range drivers {
		r, err := o.TryServer(ctx, i, number)
		e := authn.AsError(err)
		switch {
		case err != nil && e.Key == "error.text_country":
			return []finding{fail("use a number there, or add its country", "the number is of a country that sms.countries does not list (%s)", strings.Join(c.SMS.Limits.Countries, ", "))}
		case err != nil && e.Code == authn.Invalid:
			_, problems := sentence(e)
			return []finding{fail("correct the number", "--text: %s", problems[0].Text)}
		case err != nil:
			return []finding{fail("", "%v", err)}
		}
		t := viewTextTest("", r)
		words := strings.TrimSpace(clip(t.Code) + " " + clip(t.Reply))
		if words != "" {
			words = " (" + words + ")"
		}
		if t.OK {
			list = append(list, ok("%s: %s%s", d, t.Text, words))
		} else {
			list = append(list, fail(t.Cure, "%s: %s%s", d, t.Text, words))
		}
	}
	return list
}

// companyTexts says which companies' own providers fail, and who is near a limit.
func companyTexts(ctx context.Context, companies []authn.Company, p *provider.Service) []finding {
	if len(companies) == 0 {
		return nil
	}
	looked := companies[:min(len(companies), mostTexts)]
	var list []finding
	for _, c := range looked {
		st, err := p.TextsOf(ctx, c.ID)
		if err != nil {
			return append(list, fail("", "%s: %v", c.Slug, err))
		}
		v := viewTexts(c, st)
		for _, x := range v.Providers {
			if x.Failed != "" {
				stage, reason, _ := strings.Cut(x.Failed, " ")
				what, do := stepWords(authn.SMS, authn.MailStep{Stage: stage, Reason: reason})
				list = append(list, warn(do, "%s: the last message through %s failed (%s). %s", c.Slug, x.Driver, x.Failed, what))
			}
		}
		for _, u := range v.Usage {
			if u.Percent >= provider.WarnAt {
				list = append(list, warn("raise it if these are real people: `sallyport provider set sms --company "+c.Slug+"`; look for abuse first",
					"%s: %d %% of the texts that it may send %s are used", c.Slug, u.Percent, scopeWords[u.Scope]))
			}
		}
	}
	if len(list) == 0 {
		list = []finding{ok("no provider of %s failed to take its last message", count(int64(len(looked)), "company", "companies"))}
	}
	if left := len(companies) - len(looked); left > 0 {
		list = append(list, warn("", "not looked at: %s", count(int64(left), "company", "companies")))
	}
	return list
}

func checkDuo(ctx context.Context, s *patient) []finding {
	p, f := s.providers()
	if f != nil {
		return []finding{*f}
	}
	companies, err := having(ctx, s, authn.Duo)
	if err != nil {
		return []finding{fail("", "%v", err)}
	}
	return companyDuo(ctx, companies, p.Operator())
}

// companyDuo asks the Duo of some companies, a few at a time.
func companyDuo(ctx context.Context, companies []authn.Company, o provider.Operator) []finding {
	if len(companies) == 0 {
		return []finding{ok("no company has Duo")}
	}
	ctx, cancel := context.WithTimeout(ctx, duoTime)
	defer cancel()
	asked := companies[:min(len(companies), mostDuo)]
	results := make([]finding, len(asked))
	var wait sync.WaitGroup
	turns := make(chan struct{}, duoAtOnce)
	for i, c := range asked {
		wait.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			r, err := o.LookAtDuo(ctx, c.ID)
			results[i] = duoFinding(c.Slug, r, err)
		})
	}
	wait.Wait()
	if left := len(companies) - len(asked); left > 0 {
		results = append(results, warn("`sallyport provider test duo --company SLUG` asks for one", "Duo of %s was not asked", count(int64(left), "company", "companies")))
	}
	return results
}

func duoFinding(slug string, r provider.Result, err error) finding {
	if errors.Is(err, authn.NotFound) {
		return ok("%s: no Duo any more", slug)
	}
	if err != nil {
		return fail("", "%s: %v", slug, err)
	}
	t := viewDuoTest(slug, r)
	var said []string
	for _, step := range t.Steps {
		said = append(said, step.Text)
	}
	text := slug + ": " + strings.Join(said, " ")
	if words := strings.TrimSpace(clip(t.Code) + " " + clip(t.Reply)); words != "" && !r.OK {
		text += " (" + words + ")"
	}
	switch {
	case !r.OK:
		return fail(t.Cure, "%s", text)
	case t.Cure != "": // of a clock that is off
		return warn(t.Cure, "%s", text)
	}
	return ok("%s", text)
}
