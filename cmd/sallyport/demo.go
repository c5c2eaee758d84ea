package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/internal/demo"
	"github.com/sallyport-mfa/sallyport/method/code"
	"github.com/sallyport-mfa/sallyport/method/webauthn"
)

func (p *program) demoCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show everything with a made-up company, on this machine only",
		Long: "Runs a server with the made-up company \"Acme Projects\": people in all states, a tour, a practice authenticator app, an inbox, a pretend Duo. " +
			"It listens on this machine only, sends nothing anywhere, and is gone when it stops, unless --data keeps it.",
		Example: "  sallyport demo\n  sallyport demo --addr 127.0.0.1:0 --data ./acme-demo\n  sallyport demo --setup network",
		Args:    cobra.NoArgs,
	}
	addr := c.Flags().String("addr", "127.0.0.1:8080", "address and port to listen on; port 0: any free one")
	setup := c.Flags().String("setup", "", "begin with the rules of one set-up: "+strings.Join(demo.Setups(), ", ")+" (default: two steps of everybody)")
	dir := c.Flags().String("data", "", "folder to keep the demo in (default: a temporary one, removed at the end)")
	c.RunE = does(func(c *cobra.Command, _ []string) error {
		address, err := loopbackAddress(*addr)
		if err != nil {
			return err
		}
		if *setup != "" && !slices.Contains(demo.Setups(), *setup) {
			return misuse(fmt.Sprintf("--setup is %q; it must be one of %s", *setup, strings.Join(demo.Setups(), ", ")))
		}
		return p.demo(c.Context(), address, *dir, *setup)
	})
	return c
}

// loopbackAddress refuses what other machines could reach; there is no way
// around it (ruling 34).
func loopbackAddress(addr string) (string, error) {
	host, port := splitListen(addr)
	switch {
	case port == "":
		return "", misuse(fmt.Sprintf("--addr is %q; it must be an address and port, such as 127.0.0.1:8080", addr))
	case host == "localhost":
		host = "127.0.0.1"
	case !loopbackHost(host):
		return "", misuse(fmt.Sprintf("--addr is %q; a demo, whose passwords everybody knows, listens on this machine only: 127.0.0.1 or [::1]", addr))
	}
	return net.JoinHostPort(host, port), nil
}

func (p *program) demo(ctx context.Context, address, dir, setup string) (err error) {
	ln, err := listen(address)
	if err != nil {
		return fmt.Errorf("%w (`%s demo --addr 127.0.0.1:0` takes any free port)", err, called())
	}
	defer ln.Close()
	host, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return err
	}
	k, err := methods(reach{mail: true, passkeys: webauthn.Config{URL: "http://localhost:" + port}})
	if err != nil {
		return err
	}
	web, err := (&config{}).web()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(p.err, &slog.HandlerOptions{Level: slog.LevelError}))
	d, err := demo.Open(ctx, demo.Config{Dir: dir, Setup: setup, Methods: k.all, Passwords: k.passwords,
		BackupCodes: k.saved, Digits: code.Digits, TextDrivers: textDrivers(web), Host: host, Port: port, Command: called(), Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	cfg, err := d.Config()
	if err != nil {
		return err
	}
	server, err := sallyport.New(cfg)
	if err != nil {
		return err
	}
	if err := p.showDemo(d, dir); err != nil {
		return err
	}
	return serveUntil(ctx, ln, server.Handler(), nil, log, server.Run)
}

// called is how people call this program, for commands that they copy: it need
// not be in the PATH.
func called() string {
	if here, err := os.Executable(); err == nil && strings.Contains(filepath.ToSlash(here), "/go-build") {
		return "go run ./cmd/sallyport"
	}
	return os.Args[0]
}

// showDemo prints where to begin. The server answers by then: connections wait
// in the listener.
func (p *program) showDemo(d *demo.Demo, dir string) error {
	url := d.URL()
	if p.json {
		return p.showJSON(map[string]string{"url": url, "tour": url + "/demo", "practice_app": url + "/demo/app",
			"inbox": url + "/dev/inbox", "inbox_json": url + "/dev/inbox.json", "api_reference": url + "/docs/api",
			"duo": url + "/dev/duo", "duo_json": url + "/dev/duo.json", "accounts": url + "/dev/accounts.json", "company": d.Company().Slug, "login": "maya", "password": demo.Password})
	}
	where := "gone when you stop"
	if dir != "" {
		where = "kept in " + dir
	}
	if d.Setup() != "" {
		where = "set-up " + d.Setup() + ", " + where
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n  Demo company %q is ready (%s).\n\n", d.Company().Name, where)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, line := range [][3]string{
		{"Take the tour", "/demo", "begin here"},
		{"Sign in", "/signin", "maya, priya, … / password: " + demo.Password},
		{"Practice app", "/demo/app", "makes the codes; no phone needed"},
		{"Inbox", "/dev/inbox", "all texts and mail land here; for programs: /dev/inbox.json"},
		{"Pretend Duo", "/dev/duo", "approve or deny a push; for programs: /dev/duo.json"},
		{"By JSON", "/demo#json", "a whole sign-in with curl, to be pasted"},
		{"API reference", "/docs/api", "with examples for this address"},
		{"For tests", "/dev/accounts.json", "everybody's password, secret and backup codes"},
	} {
		fmt.Fprintf(w, "  %s\t%s%s\t%s\n", line[0], url, line[1], line[2])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	b.WriteString("\n  Nothing is sent to the outside. Press Ctrl+C to stop.\n")
	_, err := io.WriteString(p.out, b.String())
	return err
}
