package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/method/code"
)

func (p *program) serveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "serve",
		Short:   "Run the server",
		Long:    "Runs the server until it is told to stop (SIGINT, SIGTERM): then it takes no new requests and finishes those under way, for 10 seconds at most.\n\nEvery setting can be given in the environment; `sallyport check-config --help` lists them.",
		Example: "  sallyport serve --config /etc/sallyport.yaml\n  SALLYPORT_PUBLIC_URL=https://login.example.com SALLYPORT_DATABASE_FILE=/run/secrets/dsn sallyport serve",
		Args:    cobra.NoArgs,
		RunE:    does(func(c *cobra.Command, _ []string) error { return p.serve(c.Context()) }),
	}
	return p.configured(c)
}

func (p *program) serve(ctx context.Context) (err error) {
	c, err := loadConfig(p.config, p.env)
	if err != nil {
		return err
	}
	log := c.logger(p.err)
	slog.SetDefault(log) // for what the libraries below say
	var tlsConfig *tls.Config
	if c.Certificate != "" {
		cert, err := newCertificate(c, log)
		if err != nil {
			return err
		}
		tlsConfig = &tls.Config{GetCertificate: cert.get, MinVersion: tls.VersionTLS12}
	}
	if err := c.Leaked.check(); err != nil {
		return err
	}
	senders, err := c.senders()
	if err != nil {
		return err
	}
	companies, err := c.companyMail()
	if err != nil {
		return err
	}
	o, err := open(ctx, c, alone, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.store.Close()) }()
	places, follow := c.places(log)
	server, err := sallyport.New(sallyport.Config{
		Store: o.store, Methods: o.all, Passwords: o.passwords, BackupCodes: o.saved, Senders: senders, CompanyMail: companies, Digits: code.Digits,
		TextDrivers: o.drivers, Texts: c.SMS.settings(), Duo: o.duo, Streams: o.streams, Places: places,
		PublicURL: c.PublicURL.String(), TrustedProxies: c.TrustedProxies, HSTS: c.PublicURL.Scheme == "https",
		CookieSuffix: c.CookieSuffix, Home: c.Home, Log: log, Version: buildInfo().Version, Warnings: c.warnings(),
	})
	if err != nil {
		return err
	}
	ln, err := listen(c.Listen)
	if err != nil {
		return err
	}
	for _, w := range c.warnings() {
		log.Warn(w)
	}
	if err := p.ready(c, ln.Addr().String()); err != nil {
		return err
	}
	return serveUntil(ctx, ln, server.Handler(), tlsConfig, log, func(ctx context.Context) error {
		go follow(ctx)
		go o.models.Follow(ctx, recheck)
		return server.Run(ctx)
	})
}

// ready tells whoever started the server that it answers. It is the only
// thing on standard output.
func (p *program) ready(c *config, address string) error {
	v := struct {
		PublicURL string `json:"public_url"`
		Listening string `json:"listening"`
	}{c.PublicURL.String(), address}
	if p.json {
		return p.showJSON(v)
	}
	_, err := fmt.Fprintf(p.out, "Sallyport is ready: %s (listening on %s)\n", v.PublicURL, v.Listening)
	return err
}
