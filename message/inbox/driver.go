package inbox

import (
	"context"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Driver is a provider of text messages that keeps them in an inbox; companies of
// the demo and of tests name it "inbox". It needs nothing.
type Driver struct{ Inbox *Inbox }

// Fields are none.
func (Driver) Fields() []string { return nil }

// Open gives a sender into the inbox, whatever the settings say.
func (d Driver) Open(authn.TextProvider) (authn.TextSender, error) { return texts{d.Inbox}, nil }

// texts is an inbox as a provider of texts.
type texts struct{ *Inbox }

// Try keeps a message and answers with its id.
func (t texts) Try(ctx context.Context, m authn.Message) (authn.TextReply, error) {
	return authn.TextReply{Reference: m.ID, Raw: "kept in the development inbox"}, t.Send(ctx, m)
}
