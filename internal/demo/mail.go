package demo

import (
	"context"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/egress"
	"github.com/sallyport-mfa/sallyport/message/inbox"
	"github.com/sallyport-mfa/sallyport/message/smtp"
)

// mailServers stands for the mail servers that companies name: what is wrong
// with settings is found as in a real server, nothing is connected to, and
// messages go to the inbox.
type mailServers struct {
	real  smtp.Companies
	inbox *inbox.Inbox
}

func newMailServers(to *inbox.Inbox) (*mailServers, error) {
	g, err := egress.New(egress.Config{})
	return &mailServers{smtp.Companies{Guard: g}, to}, err
}

// keptInbox is the inbox as a sender that keeps no connection.
type keptInbox struct{ *inbox.Inbox }

func (keptInbox) Close() error { return nil }

// Open judges the settings.
func (m *mailServers) Open(s authn.MailSettings) (authn.ClosingSender, error) {
	real, err := m.real.Open(s) // connects to nothing
	if err != nil {
		return nil, err
	}
	return keptInbox{m.inbox}, real.Close()
}

// Try is a test of a server that takes everything.
func (m *mailServers) Try(ctx context.Context, s authn.MailSettings, msg authn.Message) ([]authn.MailStep, error) {
	sender, err := m.Open(s)
	if err != nil {
		return nil, err
	}
	signIn := authn.MailStep{Stage: "sign_in", OK: true}
	if s.Username == "" {
		signIn.Reason = string(smtp.NotNeeded)
	}
	steps := []authn.MailStep{{Stage: "connect", OK: true, Took: time.Millisecond}, {Stage: "encrypt", OK: true}, signIn}
	if msg.To == "" {
		return steps, nil
	}
	if err := sender.Send(ctx, msg); err != nil {
		return nil, err
	}
	return append(steps, authn.MailStep{Stage: "accept", OK: true}, authn.MailStep{Stage: "content", OK: true}), nil
}

// Records asks no name server: the domains are made up.
func (m *mailServers) Records(context.Context, string) authn.MailRecords {
	return authn.MailRecords{SPF: string(smtp.Unsure), DKIM: string(smtp.Unsure), DMARC: string(smtp.Unsure)}
}
