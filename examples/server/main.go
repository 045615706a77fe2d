// Server is the REST API on a SQLite file, or on PostgreSQL, with what a server in
// production has around it:
//
//	go run ./examples/server
//	go run ./examples/server -db contacts.db -addr 127.0.0.1:8080
//	go run ./examples/server -db postgres://app@db.internal/crm
//
// On a new file or database it sets up an account, a team and an API key, and prints commands
// that use them, ready to be pasted. The key is shown this once; for another one
// of the same account, also while a server is running:
//
//	go run ./examples/server -db contacts.db -issue-key
//
// Without -db the contacts are in a temporary file, which is removed when the
// server ends. Ctrl-C and SIGTERM end it when the requests under way have been
// answered.
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
	context.AfterFunc(ctx, stop) // from then on a second Ctrl-C ends the program at once
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// A config is what the command line says.
type config struct {
	addr, db  string
	issueKey  bool
	rateLimit int
}

// run is the whole program, until ctx is done. It returns the exit status: 1
// where something failed, 2 where the command line is wrong.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var c config
	flags.StringVar(&c.addr, "addr", "127.0.0.1:8080", "the `address` to listen on; port 0 takes a free one")
	flags.StringVar(&c.db, "db", "", "the SQLite `file` to keep contacts in, which is made where there is none, or the URL of a PostgreSQL database (default: a temporary file)")
	flags.BoolVar(&c.issueKey, "issue-key", false, "print a new API key for the account that is there, and end")
	flags.IntVar(&c.rateLimit, "rate-limit", 60, "how many `requests` a minute one API key may make; 0: any number")
	format := flags.String("log", "json", "the `format` of the log on stderr: json, or text for people")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2 // which flags has said
	}
	var log *slog.Logger
	wrong := ""
	switch *format {
	case "json":
		log = slog.New(slog.NewJSONHandler(stderr, nil))
	case "text":
		log = slog.New(slog.NewTextHandler(stderr, nil))
	default:
		wrong = "-log is json or text"
	}
	switch {
	case flags.NArg() > 0:
		wrong = "there are flags only"
	case c.issueKey && c.db == "":
		wrong = "-issue-key is for an account in the file that -db names"
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
	// Last of all: by then nothing uses it any more.
	defer func() { err = errors.Join(err, store.Close()) }()
	svc, err := contacts.New(store, &contacts.Options{Logger: log})
	if err != nil {
		return err
	}
	admin := contacts.NewAdmin(store, nil)
	if c.issueKey {
		account, key, err := setUp(ctx, admin, true)
		if err == nil {
			fmt.Fprintf(stdout, "A new API key of the account %s, shown this once:\n\n%s\n", account.Name, key)
		}
		return err
	}

	// Before the key, which a server that cannot listen would not come to show.
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

// openStore opens the file, or the database, of that name.
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

// quotable returns the name of a store without the password that may be in it.
func quotable(name string) string {
	if !isURL(name) {
		return name
	}
	u, err := url.Parse(name)
	if err != nil {
		return "postgres://…"
	}
	return u.Redacted()
}
