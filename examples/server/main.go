// Server is the REST API on a SQLite file or on PostgreSQL, as a whole server for
// production:
//
//	go run ./examples/server
//	go run ./examples/server -db contacts.db -addr 127.0.0.1:8080
//	go run ./examples/server -db postgres://app@db.internal/crm
//
// On a new file or database it creates an account, a team and an API key, and prints
// commands that use them, to paste into a shell. The key is shown only this once. To
// issue another key of the same account, also while a server is running:
//
//	go run ./examples/server -db contacts.db -issue-key
//
// Without -db the contacts are in a temporary file, which is removed when the server
// ends. After Ctrl-C or SIGTERM the server answers its open requests, then ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"example.com/contacts"
	"example.com/contacts/store/postgres"
	"example.com/contacts/store/sqlite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// A config holds the flags of the command line.
type config struct {
	addr, db  string
	issueKey  bool
	rateLimit int
}

// run is the whole program, until ctx is done. It returns the exit status: 1 if
// something failed, 2 if the command line is invalid.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var c config
	flags.StringVar(&c.addr, "addr", "127.0.0.1:8080", "the `address` to listen on; port 0 is a free port")
	flags.StringVar(&c.db, "db", "", "the SQLite `file` to keep contacts in, created if it does not exist, or the URL of a PostgreSQL database (default: a temporary file)")
	flags.BoolVar(&c.issueKey, "issue-key", false, "print a new API key of the account, and end")
	flags.IntVar(&c.rateLimit, "rate-limit", 60, "the `requests` a minute that one API key may make; 0: no limit")
	format := flags.String("log", "json", "the `format` of the log on stderr: json or text")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2 // flags has printed the error
	}
	var log *slog.Logger
	wrong := ""
	switch *format {
	case "json":
		log = slog.New(slog.NewJSONHandler(stderr, nil))
	case "text":
		log = slog.New(slog.NewTextHandler(stderr, nil))
	default:
		wrong = "-log must be json or text"
	}
	switch {
	case flags.NArg() > 0:
		wrong = "give only flags, and no other arguments"
	case c.issueKey && c.db == "":
		wrong = "-issue-key needs -db, the file or database with the account"
	}
	if wrong != "" {
		fmt.Fprintf(stderr, "server: %s\n", wrong)
		flags.Usage()
		return 2
	}

	if err := start(ctx, c, stdout, log); err != nil {
		log.Error("ended", "cause", causeOf(err))
		return 1
	}
	return 0
}

// start opens the store, and serves until ctx is done.
func start(ctx context.Context, c config, stdout io.Writer, log *slog.Logger) (err error) {
	path := c.db
	if path == "" {
		dir, err := os.MkdirTemp("", "contacts-server-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		path = filepath.Join(dir, "contacts.db")
	}
	store, err := openStore(ctx, path)
	if err != nil {
		return err
	}
	// Runs last, when nothing uses the store any more.
	defer func() { err = errors.Join(err, store.Close()) }()
	svc, err := contacts.New(store, &contacts.Options{Logger: log})
	if err != nil {
		return err
	}
	admin := contacts.NewAdmin(store, nil)
	if c.issueKey {
		account, key, err := setUp(ctx, admin, true)
		if err == nil {
			fmt.Fprintf(stdout, "A new API key of the account %s, shown only this once:\n\n%s\n", account.Name, key)
		}
		return err
	}

	// Without a secret of the ledger, calls would fail one by one later.
	if err := svc.CheckDoNotCall(ctx); err != nil {
		return err
	}
	// Listen first: a key that is issued before a failure would never be shown.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	account, key, err := setUp(ctx, admin, false)
	if err != nil {
		return err
	}
	welcome{url: urlOf(listener.Addr()), db: c.db, account: account.Name, key: key}.print(stdout)
	log.Info("listening", "address", listener.Addr().String(), "store", quotable(path))
	return serve(ctx, listener, newHandler(svc, admin, c.rateLimit, log), admin, log)
}

// openStore opens the SQLite file or the PostgreSQL database with this name.
func openStore(ctx context.Context, name string) (contacts.Store, error) {
	if isURL(name) {
		store, err := postgres.Open(ctx, name, nil)
		if err != nil {
			return nil, err
		}
		return store, nil
	}
	store, err := sqlite.Open(ctx, name, nil)
	if err != nil {
		return nil, err
	}
	return store, nil
}

func isURL(name string) bool {
	return strings.HasPrefix(name, "postgres://") || strings.HasPrefix(name, "postgresql://")
}

// quotable returns the name of a store without a password.
func quotable(name string) string {
	if !isURL(name) {
		return name
	}
	u, err := url.Parse(name)
	if err != nil {
		return "postgres://…"
	}
	u.RawQuery = "" // it may hold a password
	return u.Redacted()
}
