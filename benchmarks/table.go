package main

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A figure is a row of the table: how we compare with somebody else.
type figure struct {
	Name   string  // for -only
	What   string  // what is compared with what
	Unit   string  // of the samples
	Reach  float64 // the ratio to reach, and the one to wish for; 0: the row has none
	Beyond float64
	Ours   samples // one for each repetition; of both, more is better
	Theirs samples
}

// figures are the rows of the table, each with the ratio to reach if there is one.
func figures(growth, ledger int) []*figure {
	const (
		handwritten = "hand-written `database/sql`, normalised tables, one transaction per contact"
		gorm        = "GORM's `Create`, one transaction per contact"
		pgx         = "hand-written pgx, normalised tables, one transaction per contact"
		pocketbase  = "PocketBase, its own driver and settings (not durable against a power cut)"
	)
	program := func(batch int) string { return fmt.Sprintf("a C program, our schema, batches of %d", batch) }
	late, early := thousands(float64(growth)), thousands(float64(growth/10))
	entries, list := thousands(float64(ledger)), thousands(float64(ledger/10))
	canCall := 0.5
	if ledger > 1_000_000 {
		canCall = 0.167
	}
	claims := 0.4
	if growth > 1_000_000 {
		claims = 0.25
	}
	return []*figure{
		{Name: "write-1-handwritten", What: "create, 1 caller; " + handwritten, Reach: 1, Beyond: 1.2},
		{Name: "write-1-gorm", What: "create, 1 caller; " + gorm},
		{Name: "write-1-floor", What: "create, 1 caller; " + program(1)},
		{Name: "write-64-handwritten", What: "create, 64 callers; " + handwritten, Reach: 6, Beyond: 10},
		{Name: "write-64-gorm", What: "create, 64 callers; " + gorm, Reach: 10, Beyond: 20},
		{Name: "write-64-floor", What: "create, 64 callers; " + program(64), Reach: 0.75, Beyond: 0.9},
		{Name: "write-64-pocketbase", What: "create, 64 callers; " + pocketbase},
		{Name: "write-256-handwritten", What: "create, 256 callers; " + handwritten, Reach: 10, Beyond: 20},
		{Name: "write-256-gorm", What: "create, 256 callers; " + gorm, Reach: 16, Beyond: 40},
		{Name: "write-256-floor", What: "create, 256 callers; " + program(256), Reach: 0.65, Beyond: 0.9},
		{Name: "bulk-floor", What: "bulk, batches of 1,000; " + program(1000), Reach: 0.7, Beyond: 0.9},
		{Name: "bulk-handwritten", What: "bulk, batches of 1,000; hand-written, the same batches"},
		{Name: "get-1", What: "get by id, 1 goroutine; three queries through `database/sql`", Unit: "gets/s", Reach: 2, Beyond: 3},
		{Name: "get-8", What: "get by id, 8 goroutines; three queries through `database/sql`", Unit: "gets/s", Reach: 2, Beyond: 3},
		{Name: "get-key-1", What: "the same with the key checked and contexts decoded, 1 goroutine; the same three queries", Unit: "gets/s"},
		{Name: "get-key-8", What: "the same with the key checked and contexts decoded, 8 goroutines; the same three queries", Unit: "gets/s"},
		{Name: "postgres-write-1-handwritten", What: "Postgres, create, 1 caller; " + pgx},
		{Name: "postgres-write-64-handwritten", What: "Postgres, create, 64 callers; " + pgx, Reach: 3, Beyond: 6},
		{Name: "postgres-write-64-gorm", What: "Postgres, create, 64 callers; " + gorm + ", on pgx"},
		{Name: "postgres-bulk-copy", What: "Postgres, bulk, batches of 1,000; `COPY` of the same rows, the same batches", Reach: 0.6, Beyond: 0.8},
		{Name: "growth-rate", What: fmt.Sprintf("bulk at %s contacts; ours at %s", late, early), Reach: 0.6, Beyond: 0.8},
		{Name: "growth-handwritten", What: fmt.Sprintf("bulk at %s contacts; hand-written, the same batches and size", late), Reach: 3},
		{Name: "growth-handwritten-early", What: fmt.Sprintf("bulk at %s contacts; hand-written, the same batches and size", early)},
		{Name: "growth-memory", What: fmt.Sprintf("peak memory of the import (less is better) up to %s contacts; at %s", early, late), Unit: "MB", Reach: 0.8},
		{Name: "duplicates", What: fmt.Sprintf("all groups by e-mail, of %s contacts, 1 %% of them twins; a walk through all contacts", late), Unit: "contacts/s", Reach: 1},
		{Name: "duplicates-memory", What: fmt.Sprintf("peak memory of the walk through the groups (less is better) of %s contacts; of %s", early, late), Unit: "MB", Reach: 0.8},
		{Name: "memory", What: "memory store, create; one `phonenumbers.Parse` (2.0: half its time)", Unit: "1/s", Reach: 2, Beyond: 4},
		{Name: "erase", What: fmt.Sprintf("erase a contact with 100 events and 2 numbers among %s; `UpdateContact` there (0.0143: 70 times its time)", late), Unit: "1/s", Reach: 0.0143},
		{Name: "erase-verify", What: "`VerifyErasure` of 10 texts in an account with a tenth of them; a walk through the same contacts and journal", Unit: "1/s", Reach: 0.5},
		{Name: "postgres-erase", What: fmt.Sprintf("Postgres, the same erasure among %s; `UpdateContact` there (0.02: 50 times its time)", late), Unit: "1/s", Reach: 0.02},
		{Name: "ledger-mark-64", What: "create with a new do-not-call mark, 64 callers; the same without", Reach: 0.5},
		{Name: "ledger-stream", What: fmt.Sprintf("a list of %s numbers into an empty ledger; bulk creates of contacts, batches of 1,000", list), Unit: "1/s", Reach: 0.4},
		{Name: "ledger-again", What: "the same list again; the first time", Unit: "numbers/s", Reach: 0.75},
		{Name: "ledger-large", What: fmt.Sprintf("a list of %s numbers into a ledger of %s; into an empty one", list, entries), Unit: "numbers/s", Reach: 0.33},
		{Name: "ledger-memory", What: fmt.Sprintf("peak memory of a list (less is better) of %s numbers; of nine times as many", list), Unit: "MB", Reach: 0.8},
		{Name: "ledger-create-64", What: fmt.Sprintf("create, 64 callers, in an account with %s entries; in one without", entries), Reach: 0.75},
		{Name: "ledger-get", What: fmt.Sprintf("get by id, 1 goroutine, in an account with %s entries; in one without", entries), Unit: "gets/s", Reach: 0.6},
		{Name: "ledger-cancall", What: fmt.Sprintf("`CanCall`, 1 caller, with %s entries; `GetContact` of a contact without numbers", entries), Unit: "1/s", Reach: canCall},
		{Name: "ledger-cancallmany", What: fmt.Sprintf("`CanCallMany` of 10,000 numbers, with %s entries; as many `CanCall`", entries), Unit: "numbers/s", Reach: 2},
		{Name: "postgres-ledger-mark-64", What: "Postgres, create with a new do-not-call mark, 64 callers; the same without", Reach: 0.5},
		{Name: "postgres-ledger-stream", What: fmt.Sprintf("Postgres, a list of %s numbers into an empty ledger; bulk creates of contacts, batches of 1,000", list), Unit: "1/s", Reach: 0.6},
		{Name: "postgres-ledger-again", What: "Postgres, the same list again; the first time", Unit: "numbers/s", Reach: 0.75},
		{Name: "postgres-ledger-large", What: fmt.Sprintf("Postgres, a list of %s numbers into a ledger of %s; into an empty one", list, entries), Unit: "numbers/s", Reach: 0.5},
		{Name: "events-write-64", What: "create, 64 callers, events on; events off", Reach: 0.8},
		{Name: "events-bulk", What: "`CreateContacts` of 1,000, events on; events off", Reach: 0.8},
		{Name: "events-file", What: "bytes allowed for each event of a create (less is better); by which the file grows", Unit: "bytes", Reach: 1},
		{Name: "events-catch-up", What: fmt.Sprintf("`Admin.Events` from the first of %s; a walk through as many contacts", late), Unit: "1/s", Reach: 1},
		{Name: "events-catch-up-memory", What: fmt.Sprintf("peak memory of the reader (less is better) of %s events; of %s", early, late), Unit: "MB", Reach: 0.8},
		{Name: "events-latency", What: "time allowed from a create to a reader that waits, `EventPoll` of 250 ms and 20 ms (less is better); that it takes", Unit: "ms", Reach: 1},
		{Name: "events-as-of", What: "`GetContactAsOf`, 100 changes back; `GetContact` (0.0167: 60 times its time)", Unit: "1/s", Reach: 0.0167},
		{Name: "postgres-events-64-one", What: "Postgres, create, 64 callers, one account, events on; events off", Reach: 0.5},
		{Name: "postgres-events-64-ten", What: "Postgres, create, 64 callers, ten accounts, events on; events off", Reach: 0.7},
		{Name: "observer-no-op", What: "memory store, create, `contactsotel` with no-op providers; no observer (0.91: 1.1 times its time)", Reach: 0.91},
		{Name: "observer-unsampled", What: "the same with the SDK, nothing sampled; no observer (0.8: 1.25 times its time)", Reach: 0.8},
		{Name: "observer-sampled-64", What: "create, 64 callers, the SDK, 1 in 100 sampled; no observer", Reach: 0.97},
		{Name: "dryrun-stream", What: "a stream of 100,000 new contacts as a dry run; the real one", Reach: 1.5},
		{Name: "dryrun-memory", What: "bytes allowed for each match key of that dry run (less is better); that it keeps", Unit: "bytes", Reach: 1},
		{Name: "postgres-dryrun-stream", What: "Postgres, a stream of 100,000 new contacts as a dry run; the real one", Reach: 1.5},
		{Name: "files-read-csv", What: "`NewReader` and `Rows` of CSV with 16 columns; `encoding/csv` alone, one record at a time", Unit: "rows/s", Reach: 0.1},
		{Name: "files-read-vcard", What: "`NewReader` and `Rows` of vCards 3.0 with 11 lines; go-vcard alone", Unit: "cards/s", Reach: 0.25},
		{Name: "files-import", What: fmt.Sprintf("import of CSV with %s rows; `CreateContactStream` of the same contacts", late), Reach: 0.8},
		{Name: "files-import-keyed", What: "the same import; `CreateContactStream` of the same contacts, each with an idempotency key"},
		{Name: "files-import-again", What: "the same file again, all rows replayed; the first time", Unit: "rows/s", Reach: 1},
		{Name: "files-import-memory", What: fmt.Sprintf("peak memory of an import of %s rows (less is better); of %s", early, late), Unit: "MB", Reach: 0.9},
		{Name: "files-export", What: fmt.Sprintf("export of %s contacts as CSV; a walk with `Contacts`", late), Reach: 0.7},
		{Name: "files-walk", What: fmt.Sprintf("a walk with `Contacts` through %s contacts, pages of 1,000; pages of 100", late), Reach: 1.2},
		{Name: "command-import", What: "`contacts import` of 200,000 rows of CSV; `contactsio.Import` in a program", Reach: 0.98},
		{Name: "command-doctor", What: fmt.Sprintf("`contacts doctor`, %s contacts; a walk with `Contacts` (0.2: 5 times its time)", late), Reach: 0.2},
		{Name: "postgres-command-copy", What: "`contacts copy` of 100,000 contacts from SQLite to Postgres; bulk creates there, batches of 1,000", Reach: 0.5},
		{Name: "postgres-command-copy-back", What: "`contacts copy` from Postgres back to SQLite; bulk creates there, batches of 1,000", Reach: 0.5},
		{Name: "identity-reject-64", What: fmt.Sprintf("create, 64 callers, e-mail address and 2 numbers unique, at %s contacts; nothing unique", late), Reach: claims},
		{Name: "identity-unique-index", What: "the same; nothing unique to the library, a unique index of the same keys written with each contact", Reach: 4},
		{Name: "identity-claim", What: fmt.Sprintf("a claimed key, at %s contacts; `FindContact` there (0.667: 1.5 times its time)", late), Unit: "1/s", Reach: 0.667},
		{Name: "identity-upsert", What: "`UpsertContacts` of 1,000 that change nothing, 100,000 contacts; `CreateContacts` of the same", Reach: 1},
		{Name: "identity-upsert-email", What: "the same, matching on the e-mail address alone; `CreateContacts` of the same", Reach: 1},
		{Name: "postgres-identity-64-ten", What: "Postgres, create, 64 callers, ten accounts, e-mail address and 2 numbers unique; nothing unique", Reach: 0.6},
		{Name: "postgres-identity-64-one", What: "Postgres, the same in one account, 64 callers on two stores; nothing unique", Reach: 0.25},
	}
}

// choose returns the figures whose name matches.
func choose(all []*figure, only *regexp.Regexp) []*figure {
	return slices.DeleteFunc(all, func(f *figure) bool { return !only.MatchString(f.Name) })
}

func (f *figure) onPostgres() bool { return strings.HasPrefix(f.Name, "postgres-") }

func (f *figure) ratio() float64 { return f.Ours.median() / f.Theirs.median() }

func (f *figure) verdict() string {
	switch {
	case f.Reach == 0:
		return ""
	case f.ratio() < f.Reach:
		return "**missed**"
	case f.Beyond == 0 || f.ratio() < f.Beyond:
		return "reached"
	default:
		return "beyond"
	}
}

// A cost is what one call costs, in a row of the second table.
type cost struct {
	Callers   int
	Peer      string
	P50, P99  samples // microseconds
	Syncs     samples // for each contact
	Allocs    samples // for each contact
	AllocSize samples // bytes for each contact
}

// samples are the results of the repetitions.
type samples []float64

func (s samples) median() float64 {
	if len(s) == 0 {
		return 0
	}
	s = slices.Sorted(slices.Values(s))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// String returns the median and, of several, the least and the greatest.
func (s samples) String() string {
	if len(s) < 2 {
		return thousands(s.median())
	}
	return fmt.Sprintf("%s (%s..%s)", thousands(s.median()), thousands(slices.Min(s)), thousands(slices.Max(s)))
}

// thousands writes a number with three digits or all that are before the point.
func thousands(f float64) string {
	switch {
	case f < 10:
		return strconv.FormatFloat(f, 'f', 2, 64)
	case f < 100:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	digits := strconv.FormatFloat(f, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// A report is all that a run found out.
type report struct {
	Environment []fact
	Figures     []*figure
	Costs       []*cost
}

// A fact is one line about where and how the figures were measured.
type fact struct{ Name, Value string }

func (r *report) json(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	return e.Encode(r)
}

func (r *report) markdown(w io.Writer) error {
	var b strings.Builder
	for _, f := range r.Environment {
		fmt.Fprintf(&b, "- %s: %s\n", f.Name, f.Value)
	}
	b.WriteString("\n| row | what; against what | ours | theirs | unit | ratio | reach | beyond | |\n|---|---|---:|---:|---|---:|---:|---:|---|\n")
	for _, f := range r.Figures {
		unit := f.Unit
		if unit == "" {
			unit = "contacts/s"
		}
		fmt.Fprintf(&b, "| %s | %s | %v | %v | %s | %.2f | %s | %s | %s |\n",
			f.Name, f.What, f.Ours, f.Theirs, unit, f.ratio(), atLeast(f.Reach), atLeast(f.Beyond), f.verdict())
	}
	if len(r.Costs) > 0 {
		b.WriteString("\n| callers | | p50 µs | p99 µs | syncs per contact | allocations per contact | bytes allocated |\n|---:|---|---:|---:|---:|---:|---:|\n")
	}
	for _, c := range r.Costs {
		syncs := thousands(c.Syncs.median())
		if c.Syncs.median() == 0 {
			syncs = "not counted"
		}
		fmt.Fprintf(&b, "| %d | %s | %v | %v | %s | %s | %s |\n",
			c.Callers, c.Peer, c.P50, c.P99, syncs, thousands(c.Allocs.median()), thousands(c.AllocSize.median()))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func atLeast(ratio float64) string {
	if ratio == 0 {
		return ""
	}
	return "≥ " + strconv.FormatFloat(ratio, 'g', -1, 64)
}
