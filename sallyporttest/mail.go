package sallyporttest

import (
	"context"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/egress"
	"github.com/sallyport-mfa/sallyport/message/inbox"
	"github.com/sallyport-mfa/sallyport/message/smtp"
)

// mailServers stands for the mail servers that companies name: what is wrong with
// settings is found as it is in production, and messages go to the inbox.
type mailServers struct {
	real  smtp.Companies
	inbox *inbox.Inbox
}

func companyMail(t testing.TB, to *inbox.Inbox) authn.MailServers {
	t.Helper()
	g, err := egress.New(egress.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return &mailServers{smtp.Companies{Guard: g}, to}
}

// inboxSender is the inbox as a sender that keeps no connection.
type inboxSender struct{ *inbox.Inbox }

func (inboxSender) Close() error { return nil }

func (m *mailServers) Open(s authn.MailSettings) (authn.ClosingSender, error) {
	real, err := m.real.Open(s) // connects to nothing
	if err != nil {
		return nil, err
	}
	return inboxSender{m.inbox}, real.Close()
}

func (m *mailServers) Try(ctx context.Context, s authn.MailSettings, msg authn.Message) ([]authn.MailStep, error) {
	if _, err := m.Open(s); err != nil {
		return nil, err
	}
	steps := []authn.MailStep{{Stage: "connect", OK: true, Took: time.Millisecond}, {Stage: "encrypt", OK: true}}
	switch {
	case s.Username == "":
		steps = append(steps, authn.MailStep{Stage: "sign_in", OK: true, Reason: string(smtp.NotNeeded)})
	case s.Password == "wrong":
		return append(steps, authn.MailStep{Stage: "sign_in", Reason: string(smtp.BadCredentials), Reply: "535 5.7.8 Authentication failed"}), nil
	default:
		steps = append(steps, authn.MailStep{Stage: "sign_in", OK: true})
	}
	if msg.To == "" {
		return steps, nil
	}
	if err := m.inbox.Send(ctx, msg); err != nil {
		return append(steps, authn.MailStep{Stage: "accept", Reason: string(smtp.Timeout)}), nil
	}
	return append(steps, authn.MailStep{Stage: "accept", OK: true}, authn.MailStep{Stage: "content", OK: true}), nil
}

func (m *mailServers) Records(context.Context, string) authn.MailRecords {
	return authn.MailRecords{SPF: string(smtp.Found), DKIM: string(smtp.Unsure), DMARC: string(smtp.Missing)}
}
