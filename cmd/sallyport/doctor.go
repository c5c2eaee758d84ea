package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/store"
)

// Results of a check, the worst last.
const (
	checkOK   = "ok"
	checkWarn = "warning"
	checkFail = "failed"
	checkSkip = "skipped"
)

// finding is what a check has to say: a sentence, and how to mend it.
type finding struct {
	Check  string `json:"check"`
	Result string `json:"result"`
	Text   string `json:"text"`
	Cure   string `json:"cure,omitempty"`
}

func ok(format string, args ...any) finding {
	return finding{Result: checkOK, Text: fmt.Sprintf(format, args...)}
}

func warn(cure, format string, args ...any) finding {
	return finding{Result: checkWarn, Text: fmt.Sprintf(format, args...), Cure: cure}
}

func fail(cure, format string, args ...any) finding {
	return finding{Result: checkFail, Text: fmt.Sprintf(format, args...), Cure: cure}
}

// check looks at one thing. needs says what must be there for it to make sense;
// it is skipped otherwise, since what is missing was already said.
type check struct {
	name  string
	needs need
	run   func(context.Context, *patient) []finding
}

type need int

const (
	needNothing  need = iota
	needConfig        // the configuration could be read
	needDatabase      // and the database could be opened for looking
	needSchema        // and has this release's schema
)

// patient is the installation that is looked at, as far as it can be opened.
type patient struct {
	p      *program
	now    func() time.Time
	config *config
	ring   *keyring.Keyring // nil: it cannot be read
	store  *store.Store     // looks only; nil: the database cannot be opened
	schema bool             // the database has this release's schema
	number string           // where the server's providers send a test; empty: nothing is sent
}

func (s *patient) has(n need) bool {
	switch n {
	case needConfig:
		return s.config != nil
	case needDatabase:
		return s.store != nil
	case needSchema:
		return s.store != nil && s.schema
	}
	return true
}

// checks are all there are, in the order in which one builds on another. A new
// one is a line here.
var checks = []check{
	{"configuration", needNothing, checkConfig},
	{"certificate", needConfig, checkCertificate},
	{"keyring", needConfig, checkKeyring},
	{"database", needConfig, checkDatabase},
	{"schema", needDatabase, checkSchema},
	{"durability", needDatabase, checkDurability},
	{"space", needConfig, checkSpace},
	{"keys", needSchema, checkKeys},
	{"clock", needSchema, checkClock},
	{"audit", needSchema, checkAudit},
	{"passwords", needConfig, checkPasswords},
	{"passkeys", needConfig, checkPasskeys},
	{"places", needConfig, checkPlaces},
	{"mail", needConfig, checkMailServer},
	{"texts", needSchema, checkTexts},
	{"duo", needSchema, checkDuo},
	{"public_url", needConfig, checkPublicURL},
}

func (p *program) doctorCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check an installation, and say what is wrong and how to mend it",
		Long: "Looks at configuration, certificate, keyring, database, clock, event log, list of leaked passwords, passkeys and the file of their models, file of places, mail server, providers of text messages, companies' Duo and public address. It changes nothing, sends nothing and may run beside the server; " +
			"a database of another release is left as it is.\n\nEach line is ok, a warning, or failed with the cure. The exit code is 1 if anything failed; warnings leave it at 0.\n\n" +
			"--text sends one text through each of the server's own providers, and says what it answered.\n\n" +
			"--repair-clock is for after the clock was ahead: apps whose codes were used then are refused until it is that time again, and the server " +
			"itself signs nobody in while it is behind what it has seen. The repair sets both back to now. Look at the clock first: it must be right, and stay so. Each repaired " +
			"app is in the event log. Codes of the time that is taken back could pass a second time.",
		Example: "  sallyport doctor --config /etc/sallyport.yaml\n  sallyport doctor --json | jq '.checks[] | select(.result != \"ok\")'\n  sallyport doctor --text +46701740605\n  sallyport doctor --repair-clock",
		Args:    cobra.NoArgs,
	}
	repair := c.Flags().Bool("repair-clock", false, "take back what a clock that was ahead has left")
	text := c.Flags().String("text", "", "a mobile number of yours; the server's providers of text messages each send one there")
	c.MarkFlagsMutuallyExclusive("repair-clock", "text")
	c.RunE = does(func(c *cobra.Command, _ []string) error {
		if *repair {
			return p.operate(c.Context(), func(o *opened) error { return p.repairClock(c.Context(), o) })
		}
		return p.doctor(c.Context(), *text)
	})
	return p.configured(c)
}

// diagnosis is what doctor answers to machines.
type diagnosis struct {
	OK     bool      `json:"ok"`
	Checks []finding `json:"checks"`
}

func (p *program) doctor(ctx context.Context, number string) error {
	found := p.examine(ctx, number)
	failures := 0
	for _, f := range found {
		if f.Result == checkFail {
			failures++
		}
	}
	var err error
	if p.json {
		err = p.showJSON(diagnosis{failures == 0, found})
	} else {
		_, err = fmt.Fprint(p.out, sheet(found))
	}
	switch {
	case err != nil:
		return err
	case failures == 1:
		return errors.New("one check failed")
	case failures > 1:
		return fmt.Errorf("%d checks failed", failures)
	}
	return nil
}

// examine runs all checks.
func (p *program) examine(ctx context.Context, number string) []finding {
	s := &patient{p: p, now: time.Now, number: number}
	defer func() {
		if s.store != nil {
			s.store.Close()
		}
	}()
	var all []finding
	for _, c := range checks {
		list := []finding{{Result: checkSkip, Text: "not looked at, because of what failed above"}}
		if s.has(c.needs) {
			list = c.run(ctx, s)
		}
		for _, f := range list {
			f.Check = c.name
			all = append(all, f)
		}
	}
	return all
}

// sheet is the diagnosis for people.
func sheet(found []finding) string {
	marks := map[string]string{checkOK: "ok  ", checkWarn: "WARN", checkFail: "FAIL", checkSkip: "-   "}
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s  %-13s  %s\n", marks[f.Result], f.Check, strings.ReplaceAll(f.Text, "\n", "\n                     "))
		if f.Cure != "" {
			fmt.Fprintf(&b, "                     → %s\n", f.Cure)
		}
	}
	return b.String()
}
