// Command step-up is Chat360, a made-up customer chat that embeds Sallyport. Whoever
// opens its webhooks or its billing details confirms first that it is them, and each
// change takes a proof of its own. See the README beside it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/method/backup"
	"github.com/sallyport-mfa/sallyport/method/bypass"
	"github.com/sallyport-mfa/sallyport/method/code"
	"github.com/sallyport-mfa/sallyport/method/password"
	"github.com/sallyport-mfa/sallyport/method/totp"
	"github.com/sallyport-mfa/sallyport/notice"
	"github.com/sallyport-mfa/sallyport/store/sqlite"
	"github.com/sallyport-mfa/sallyport/throttle"
)

func main() {
	port := flag.Int("port", 8360, "port on localhost; 0: one that is free")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *port)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, port int) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("%w; choose another port with -port", err)
	}
	defer listener.Close()
	address := fmt.Sprintf("http://localhost:%d", listener.Addr().(*net.TCPAddr).Port)

	// This example forgets everything when it ends. A real program keeps both: the keys
	// with keyring.Create the first time and keyring.Load afterwards, apart from the database.
	dir, err := os.MkdirTemp("", "chat360-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	keys, err := keyring.Generate(nil)
	if err != nil {
		return err
	}
	st, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, "chat360.db"), Exclusive: true, Keyring: keys, Notice: notice.For})
	if err != nil {
		return err
	}
	defer st.Close()

	chat := newApp()
	cfg := sallyport.Config{
		Store:     st,
		PublicURL: address,
		Home:      "/inbox",
		Banner:    banner,
		// What follows "Confirm that it's you to".
		Actions: []authn.Action{
			{Name: "webhooks.change", Title: "see and change the webhooks"},
			{Name: "billing.change", Title: "see and change the billing details"},
		},
		// Our pages are behind the same host check, limits, headers and log as Sallyport's.
		Extra:   chat.routes(),
		Senders: map[authn.Kind]authn.Sender{authn.Email: &terminal{}},
		Log:     slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if err := methods(&cfg); err != nil {
		return err
	}
	if chat.sallyport, err = sallyport.New(cfg); err != nil {
		return err
	}
	if err := hire(ctx, chat.sallyport.Directory); err != nil {
		return err
	}
	go chat.sallyport.Run(ctx) // sends mail, seals the event log, deletes what is over

	server := &http.Server{Handler: chat.sallyport.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	stopped := context.AfterFunc(ctx, func() { server.Close() })
	defer stopped()
	fmt.Printf("Chat360 is at %s\n\n%s\nMail is printed here. Ctrl-C ends it and forgets everything.\n\n", address, staff())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// methods are the ways to verify that Chat360 has.
func methods(cfg *sallyport.Config) error {
	// All hashes of a process share one gate, so that they cannot use up its memory.
	pw, err := password.New(password.Config{Gate: throttle.NewGate(throttle.GateConfig{})})
	if err != nil {
		return err
	}
	app, err := totp.New(totp.Config{})
	if err != nil {
		return err
	}
	mail, err := code.New(authn.Email)
	if err != nil {
		return err
	}
	saved := backup.New(nil)
	cfg.Methods = []authn.Method{pw, app, mail, saved, bypass.New(nil)}
	cfg.Passwords, cfg.BackupCodes, cfg.Digits = pw, saved, code.Digits
	return nil
}

// terminal prints mail instead of sending it. A real program has smtp.New of
// message/smtp here: codes and links belong to those who get them.
type terminal struct{ mu sync.Mutex }

// Send prints a message.
func (t *terminal) Send(_ context.Context, m authn.Message) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Printf("Mail to %s: %s\n    %s\n\n", m.To, m.Subject, strings.ReplaceAll(strings.TrimSpace(m.Text), "\n", "\n    "))
	return nil
}
