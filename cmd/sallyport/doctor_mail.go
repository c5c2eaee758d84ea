package main

import (
	"context"
	"strings"
)

// checkMailServer connects to the mail server as serve does, and sends nothing.
func checkMailServer(ctx context.Context, s *patient) []finding {
	m := &s.config.Mail
	steps, err := checkMail(ctx, s.config)
	switch {
	case err != nil:
		return []finding{fail("correct the settings of mail", "%v", err)}
	case !m.on():
		return []finding{ok("no mail is configured: codes by e-mail are no way to sign in, and nobody is told of changes")}
	}
	var fine []string
	for _, step := range steps {
		if step.OK {
			fine = append(fine, step.Text)
			continue
		}
		what, cure, _ := strings.Cut(step.Text, ". ")
		what = strings.TrimSuffix(what, ".")
		if step.Reply != "" {
			what += " (" + clip(step.Reply) + ")"
		}
		return []finding{fail(cure, "%s: %s", m.Host, what)}
	}
	return []finding{ok("%s: %s Nothing was sent.", m.Host, strings.Join(fine, " "))}
}
