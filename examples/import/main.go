// Import imports the contacts of a CSV file into a SQLite file, thousands or
// millions of them, and reports which rows were refused and why:
//
//	go run ./examples/import -db contacts.db people.csv
//	go run ./examples/import
//
// The second command is a demonstration. It writes a file of 5,000 rows, imports it
// twice into a temporary database, and removes both.
//
// The first line of the file names the columns: documented parameters, with at
// least first_name. Tags are separated by semicolons. The contexts are JSON
// objects. The first phone number is in phone_number, phone_type, primary and
// do_not_call, the second in phone_number_2, phone_type_2 and so on:
//
//	first_name,last_name,tags,phone_number,phone_number_2,do_not_call_2
//	Ada,Lovelace,maths;engines,+15551234567,+15559876543,yes
//	Alan,Turing,,555 1234,,
//
// An invalid row is refused and reported, with its line and each invalid field. The
// other rows are imported. Importing the file again is safe: within 24 hours no row
// is imported twice. So correct the refused rows and import the whole file again:
//
//	$ go run ./examples/import -db contacts.db people.csv
//	line 3: phone_numbers[0].phone_number: must start with + and the country code
//	2 rows: 1 imported, 0 already imported, 1 refused
//	$ go run ./examples/import -db contacts.db people.csv     # line 3 is corrected
//	2 rows: 1 imported, 1 already imported, 0 refused
//
// A line that is not CSV ends the import, because the start of the next row is then
// unknown. The rows before it are stored. Ctrl-C stops reading; the rows read so far
// are stored.
//
// Without -db the import is a trial into a temporary database. The exit status is 0
// if every row is stored, 1 if not, and 2 if the command line is invalid.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"unicode/utf8"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// The exit statuses.
const (
	allStored = iota
	notAllStored
	invalidUsage
)

// run is the whole program. It returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("import", flag.ContinueOnError)
	flags.SetOutput(stderr)
	db := flags.String("db", "", "the SQLite `file` to import into, created if it does not exist (default: a temporary file)")
	key := flags.String("key", "", "the API `key` to import with (default: a temporary key of the only account in the database)")
	comma := flags.String("comma", ",", "the `character` between two fields; \\t is a tab")
	flags.Usage = func() {
		fmt.Fprintf(stderr, "usage: import [flags] file.csv (- is the standard input)\n       import (a demonstration)\n\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return allStored
	} else if err != nil {
		return invalidUsage // flags has printed the error
	}
	misused := func(what string) int {
		fmt.Fprintf(stderr, "import: %s\n", what)
		flags.Usage()
		return invalidUsage
	}
	separator, ok := separatorOf(*comma)
	switch {
	case !ok:
		return misused("-comma must be one character, and not a quote or a line break")
	case flags.NArg() > 1:
		return misused("give one file, after the flags")
	case *key != "" && *db == "":
		return misused("-key needs -db, the database with the account of the key")
	case flags.NArg() == 0 && flags.NFlag() > 0:
		return misused("give a file; the demonstration without a file takes no flags")
	}

	j := &job{stdin: stdin, stdout: stdout, stderr: stderr, comma: separator}
	complete := true
	var err error
	if flags.NArg() == 0 {
		err = j.demonstrate(ctx)
	} else {
		complete, err = j.importOrTry(ctx, *db, *key, flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(stderr, "import: %v\n", err)
	}
	if err != nil || !complete {
		return notAllStored
	}
	return allStored
}

func separatorOf(s string) (separator rune, ok bool) {
	if s == `\t` {
		s = "\t"
	}
	separator, size := utf8.DecodeRuneInString(s)
	ok = size == len(s) && separator != utf8.RuneError && separator != '"' && separator != '\r' && separator != '\n' && separator != 0
	return separator, ok
}

// A job is one run of the program, with its input and output.
type job struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	comma          rune
}

// importOrTry is importFile. With the path "" it is a trial in a temporary file.
func (j *job) importOrTry(ctx context.Context, path, key, file string) (complete bool, err error) {
	if path != "" {
		return j.importFile(ctx, path, key, file)
	}
	dir, err := os.MkdirTemp("", "contacts-import-")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if complete, err = j.importFile(ctx, filepath.Join(dir, "contacts.db"), key, file); err == nil {
		fmt.Fprintln(j.stdout, "This was a trial; nothing was kept. To import the file, name a database with -db.")
	}
	return complete, err
}

// importFile imports a CSV file into the database at path. complete: every row is
// stored.
func (j *job) importFile(ctx context.Context, path, key, file string) (complete bool, err error) {
	in, size, err := j.open(file)
	if err != nil {
		return false, err
	}
	defer in.Close()
	rows, err := newRowReader(in, j.comma)
	if err != nil {
		return false, fmt.Errorf("%s: %w", file, err)
	}

	store, err := sqlite.Open(ctx, path, nil)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	svc, err := contacts.New(store, nil)
	if err != nil {
		return false, err
	}
	if key == "" {
		var revoke func() error
		if key, revoke, err = temporaryKey(ctx, contacts.NewAdmin(store, nil)); err != nil {
			return false, fmt.Errorf("%s: %w", path, err)
		}
		defer func() { err = errors.Join(err, revoke()) }()
	}

	i := &importer{svc: svc, key: key, report: j.stdout, bar: newBar(j.stderr, size)}
	if err = i.importRows(ctx, rows); err != nil {
		err = fmt.Errorf("%s: %w", file, err)
	}
	fmt.Fprintln(j.stdout, i.tally)
	return i.tally.refused == 0, err
}

// open opens the file and returns its size; 0: unknown.
func (j *job) open(file string) (in io.ReadCloser, size int64, err error) {
	if file == "-" {
		return io.NopCloser(j.stdin), 0, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, err // names the file
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", file)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// temporaryKey issues a key for this import, and returns a function that revokes it.
// The key is kept nowhere. A database without an account gets one.
func temporaryKey(ctx context.Context, admin *contacts.Admin) (key string, revoke func() error, err error) {
	var all []contacts.Account
	for account, err := range admin.Accounts(ctx) {
		if err != nil {
			return "", nil, err
		}
		all = append(all, account)
	}
	switch len(all) {
	case 0:
		account, err := admin.CreateAccount(ctx, "My company")
		if err != nil {
			return "", nil, err
		}
		all = append(all, *account)
	case 1:
	default:
		return "", nil, fmt.Errorf("the database has %d accounts; give an API key of one with -key", len(all))
	}
	key, issued, err := admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID:   all[0].ID,
		Name:        "import",
		Permissions: []contacts.Permission{contacts.PermissionReadContacts}, // as documented for a create
		AllTeams:    true,
	})
	if err != nil {
		return "", nil, err
	}
	// Revoke it after Ctrl-C too, when ctx is done.
	return key, func() error { return admin.RevokeKey(context.WithoutCancel(ctx), issued.ID) }, nil
}
