// Contacts is the command of the library: what a host or an operator does without
// writing Go. To serve the API on a SQLite file, with a page that describes it:
//
//	contacts serve --db contacts.db --docs
//
// Each command has its own help: contacts COMMAND --help.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// A grammar is the command line. Kong reads it from the tags. The commands are in
// the files of their names.
type grammar struct {
	globals

	Serve      serveCommand      `cmd:"" help:"Serve the REST API."`
	Import     importCommand     `cmd:"" help:"Import files of contacts: CSV, JSON lines, vCards."`
	Export     exportCommand     `cmd:"" help:"Export contacts as CSV, JSON lines or vCards."`
	Accounts   accountsCommand   `cmd:"" help:"List, create, disable and set up accounts."`
	Teams      teamsCommand      `cmd:"" help:"List and create the teams of an account."`
	Keys       keysCommand       `cmd:"" help:"List, issue and revoke the API keys of an account."`
	DoNotCall  doNotCallCommand  `cmd:"" help:"Ask and keep the list of numbers that must not be called."`
	Duplicates duplicatesCommand `cmd:"" help:"List contacts that share an e-mail address, a phone number or an external id."`
	Erase      eraseCommand      `cmd:"" help:"Remove a person for good, with a receipt."`
	Events     eventsCommand     `cmd:"" help:"Print what happened to contacts."`
	Backup     backupCommand     `cmd:"" help:"Write all that is stored to a new file, while others go on writing. For SQLite."`
	Restore    restoreCommand    `cmd:"" help:"Put a backup in the place of the store, or where there is none yet. For SQLite."`
	Copy       copyCommand       `cmd:"" help:"Copy all of a store into another one, of any kind."`
	Doctor     doctorCommand     `cmd:"" help:"Look for what is wrong with the store. It ends with 5 if there is anything."`
	Migrate    migrateCommand    `cmd:"" help:"Bring the store to the schema of this program."`
	Version    versionCommand    `cmd:"" help:"Print the versions of the program, of Go, of SQLite and of the schemas."`
}

// globals are the flags of every command.
type globals struct {
	DB    storeAddress `name:"db" env:"CONTACTS_DB" placeholder:"STORE" help:"The store: the path of a SQLite file, or postgres://… for PostgreSQL. env:NAME takes it from the variable NAME."`
	JSON  bool         `name:"json" help:"Print JSON, one object on each line, for programs."`
	Quiet bool         `short:"q" help:"Print nothing but results and errors."`
}

const description = "Keeps contacts in a SQLite file or a PostgreSQL database. It ends with 0 if it is done, 1 if it failed, " +
	"2 if the command line is wrong, 3 if some rows were refused, 4 if a number must not be called, and 5 if there is a finding."

func main() {
	unsetEmpty()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)   // a second signal ends the process at once
	signal.Ignore(syscall.SIGPIPE) // a closed output is an error like others
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// unsetEmpty unsets the variables of the command that are empty. The parser would take
// each for a value: an empty address to listen on, for one, is every address.
func unsetEmpty() {
	for _, variable := range os.Environ() {
		if name, value, _ := strings.Cut(variable, "="); value == "" && strings.HasPrefix(name, "CONTACTS_") {
			_ = os.Unsetenv(name) // fails for no name that is there
		}
	}
}

// newParser returns what reads a command line into a grammar.
func newParser(g *grammar, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(g, append(options,
		kong.Name("contacts"),
		kong.Description(description),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)...)
}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errors io.Writer) int {
	var g grammar
	s := &session{globals: &g.globals, in: in, out: newOutput(out), errors: errors}
	parser, err := newParser(&g, kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(s), kong.Writers(resultWriter{out}, errors))
	if err != nil {
		return s.fail(err)
	}
	command, err := parser.Parse(args)
	if isUnwritten(err) { // it was the help
		return s.fail(err)
	}
	if err != nil {
		g.JSON = g.JSON || slices.Contains(args, "--json") // it may come after what is wrong
		return s.fail(usage("%w; contacts --help lists the commands and flags", err))
	}
	s.out.json = g.JSON
	if err := checkArguments(command); err != nil {
		return s.fail(err)
	}
	err = command.Run()
	if flushed := s.out.flush(); err == nil {
		err = flushed
	}
	return s.fail(err)
}
