// A program with users of its own that embeds Sallyport. This file opens the database
// and listens; what there is to read is in package orchard.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/notice"
	"github.com/sallyport-mfa/sallyport/store/sqlite"

	"example.com/embedded/orchard"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	address, folder := os.Getenv("APP_URL"), os.Getenv("APP_DATA")
	if address == "" {
		address = "http://localhost:9000"
	}
	if folder == "" {
		folder = "."
	}
	keys, err := keyring.Load(filepath.Join(folder, "orchard.keyring"))
	if errors.Is(err, os.ErrNotExist) {
		keys, err = keyring.Create(filepath.Join(folder, "orchard.keyring"), nil)
	}
	if err != nil {
		return err
	}
	store, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(folder, "orchard.db"), Keyring: keys, Notice: notice.For})
	if err != nil {
		return err
	}
	defer store.Close()

	users, err := orchard.NewTable()
	if err != nil {
		return err
	}
	if err := users.Add("7", "maya", "Maya Brandt", "maya@orchard.example", "orchard at dawn"); err != nil {
		return err
	}
	handler, srv, err := orchard.New(ctx, store, users, terminal{}, address)
	if err != nil {
		return err
	}
	go srv.Run(ctx) // sends what waits, seals the event log, and deletes what is over

	listen, err := orchard.Listen(address)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: listen, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Println("open", address+"/harvest", "and sign in as maya with: orchard at dawn")
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// terminal prints the letters that a real program mails (message/smtp).
type terminal struct{}

func (terminal) Send(_ context.Context, m authn.Message) error {
	_, err := fmt.Printf("to %s: %s\n%s\n", m.To, m.Subject, m.Text)
	return err
}
