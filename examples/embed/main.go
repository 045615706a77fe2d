// Embed is a server that creates contacts, with net/http only:
//
//	go run ./examples/embed
//	go run ./examples/embed -db contacts.db -addr localhost:8080
//
// On a new file it creates an account and a key, and prints a curl command that
// uses them. Without -db the file is in a temporary folder, which is removed when
// the server ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "the `address` to listen on")
	db := flag.String("db", "", "the `file` to keep contacts in (default: a temporary file)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(ctx, *addr, *db, os.Stdout, log); err != nil {
		log.Error("the server ended", "cause", err)
		os.Exit(1)
	}
}

// run serves until ctx is done. Then it waits for the open requests and closes the
// store.
func run(ctx context.Context, addr, db string, out io.Writer, log *slog.Logger) (err error) {
	if db == "" {
		dir, err := os.MkdirTemp("", "contacts-embed-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		db = filepath.Join(dir, "contacts.db")
	}
	store, err := sqlite.Open(ctx, db, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	svc, err := contacts.New(store, &contacts.Options{Logger: log})
	if err != nil {
		return err
	}
	// Listen first: a key that is issued before a failure would never be shown.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	key, err := setUp(ctx, contacts.NewAdmin(store, nil))
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           newHandler(svc, log),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	if key != "" {
		// The key is shown only now: the store has only its hash.
		fmt.Fprintf(out, "curl -i http://%s/people -H 'Authorization: Bearer %s' -d '%s'\n", listener.Addr(), key,
			`{"first_name": "John", "phone_numbers": [{"phone_number": "+15551234567"}]}`)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	log.Info("listening", "address", listener.Addr().String(), "file", db)

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	log.Info("shutting down")
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}

// setUp creates an account in an empty store and returns its key. The key is "" if
// the store has an account already.
func setUp(ctx context.Context, admin *contacts.Admin) (key string, err error) {
	for _, err := range admin.Accounts(ctx) {
		return "", err // there is an account, or an error
	}
	account, err := admin.CreateAccount(ctx, "My company")
	if err != nil {
		return "", err
	}
	key, _, err = admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID:   account.ID,
		Name:        "first key",
		Permissions: []contacts.Permission{contacts.PermissionReadContacts},
		AllTeams:    true,
	})
	return key, err
}
