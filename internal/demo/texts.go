package demo

import (
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/inbox"
)

// texts are limits that a few messages show on the bars of the owners' page.
func texts() authn.TextSettings {
	return authn.TextSettings{Countries: []string{"SE", "DE", "FR", "GB", "PL", "US"}, Currency: "EUR", Price: 45, DayTexts: 100, MonTexts: 500, MonMoney: 10_000}
}

// textDriver stands for a provider of text messages that a company names: what is
// wrong with settings is found as in a real server, nothing is connected to, and
// texts go to the inbox.
type textDriver struct {
	real  authn.TextDriver
	inbox inbox.Driver
}

// Fields are the provider's.
func (d textDriver) Fields() []string { return d.real.Fields() }

// Open judges the settings.
func (d textDriver) Open(p authn.TextProvider) (authn.TextSender, error) {
	if _, err := d.real.Open(p); err != nil { // connects to nothing
		return nil, err
	}
	return d.inbox.Open(p)
}

// textDrivers are those of the configuration, and the inbox itself.
func (d *Demo) textDrivers() map[string]authn.TextDriver {
	kept := inbox.Driver{Inbox: &d.inbox}
	all := map[string]authn.TextDriver{"inbox": kept}
	for name, real := range d.c.TextDrivers {
		all[name] = textDriver{real, kept}
	}
	return all
}
