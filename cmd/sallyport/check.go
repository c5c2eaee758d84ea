package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/keyring"
)

// checked is a configuration that holds, as far as can be said without opening
// the database.
type checked struct {
	OK        bool     `json:"ok"`
	File      string   `json:"file,omitempty"`
	PublicURL string   `json:"public_url"`
	Listen    string   `json:"listen"`
	Database  string   `json:"database"`
	Keyring   string   `json:"active_key"`
	TLS       bool     `json:"tls"`
	Mail      string   `json:"mail,omitempty"`     // the server; empty: nothing is sent
	SMS       []string `json:"sms,omitempty"`      // the drivers of the server's own providers, in their order
	Passkeys  string   `json:"passkeys,omitempty"` // the domain that they are bound to; empty: there are none
	Warnings  []string `json:"warnings,omitempty"`
}

func (p *program) checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "check-config",
		Short:   "Check the configuration, the keyring and the certificate",
		Long:    "Checks everything that serve reads before it opens the database, and says all that is wrong at once.\n\nThe settings:\n\n" + reference("  "),
		Example: "  sallyport check-config --config /etc/sallyport.yaml",
		Args:    cobra.NoArgs,
	}
	c.RunE = does(func(*cobra.Command, []string) error {
		cfg, err := loadConfig(p.config, p.env)
		if err != nil {
			return err
		}
		ring, err := cfg.keyring()
		if err != nil {
			return err
		}
		if cfg.Certificate != "" {
			if _, err := newCertificate(cfg, nil); err != nil {
				return err
			}
		}
		if err := cfg.Leaked.check(); err != nil {
			return err
		}
		if _, err := cfg.Passkeys.models(time.Now, silent); err != nil {
			return err
		}
		if _, err := cfg.senders(); err != nil {
			return err
		}
		out := checked{OK: true, File: cfg.file, PublicURL: cfg.PublicURL.String(), Listen: cfg.Listen, Database: cfg.place(),
			Keyring: ring.ActiveID(), TLS: cfg.Certificate != "", Mail: cfg.Mail.Host, SMS: cfg.SMS.drivers(), Passkeys: cfg.Passkeys.ID, Warnings: cfg.warnings()}
		var warnings strings.Builder
		for _, w := range out.Warnings {
			warnings.WriteString("warning: " + w + "\n")
		}
		return p.show(out, "The configuration is fine: %s on %s, database %s.\n%s", out.PublicURL, out.Listen, out.Database, &warnings)
	})
	return p.configured(c)
}

// keyring reads the keys from where the configuration says.
func (c *config) keyring() (*keyring.Keyring, error) {
	if c.KeyringText != "" {
		ring, err := keyring.Parse(c.KeyringText)
		if err != nil {
			return nil, fmt.Errorf("SALLYPORT_KEYRING: %w", err)
		}
		return ring, nil
	}
	return keyring.Load(c.KeyringFile)
}
