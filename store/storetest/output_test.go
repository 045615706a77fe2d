package storetest_test

import (
	"context"
	"errors"
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/storetest"
)

// outputOf is set in the processes that run the whole suite on a broken store, to
// its name.
const outputOf = "STORETEST_OUTPUT_OF"

// TestOutput checks what the author of a store reads: where to begin, and for one
// fault one failure with its rule. A difference between records is left out.
func TestOutput(t *testing.T) {
	longtest.SkipShort(t)
	stores := map[string]struct {
		harness storetest.Harness
		want    string
	}{
		"empty": {
			storetest.Harness{New: func(testing.TB) contacts.Store { return empty{errors.New("not built yet")} }}, `
--- FAIL: TestOutput
    --- FAIL: TestOutput/directory
        --- FAIL: TestOutput/directory/one_of_each
            directory.go: AddToDirectory: not built yet
            case.go: the rule: AddToDirectory stores all records of add in one atomic step and returns them as stored, in the order given.
    storetest.go: The suite stops here, since later groups build on "directory". ` + buildOrder + `
FAIL
`,
		},
		"empty, without errors": {
			storetest.Harness{New: func(testing.TB) contacts.Store { return empty{} }}, `
--- FAIL: TestOutput
    --- FAIL: TestOutput/directory
        --- FAIL: TestOutput/directory/one_of_each
            directory.go: AddToDirectory returned another number of records than it was given:
            case.go: the rule: AddToDirectory stores all records of add in one atomic step and returns them as stored, in the order given.
    storetest.go: The suite stops here, since later groups build on "directory". ` + buildOrder + `
FAIL
`,
		},
		"drops the external id": {
			harness(faultNamed(t, "drops the external id").in), `
--- FAIL: TestOutput
    --- FAIL: TestOutput/contacts
        --- FAIL: TestOutput/contacts/full_record
            contacts.go: FindContact (-want +got):
            case.go: the rule: Fidelity: a record comes back equal, field by field. Times keep their microseconds, are in UTC, and the zero time stays the zero time.
    storetest.go: The suite stops here, since later groups build on "contacts". ` + buildOrder + `
FAIL
`,
		},
		"names ten holders in all": {
			harness(faultNamed(t, "names ten holders in all").in), `
--- FAIL: TestOutput
    --- FAIL: TestOutput/claims
        --- FAIL: TestOutput/claims/holders
            claims.go: Holders (-want +got):
            case.go: the rule: ErrDuplicate comes with the holders of all claims: at most 10 for each claim, in ascending order of id.
    storetest.go: The suite stops here, since later groups build on "claims". ` + buildOrder + `
FAIL
`,
		},
	}
	if name := os.Getenv(outputOf); name != "" {
		storetest.Run(t, stores[name].harness)
		return
	}
	for name, c := range stores {
		if d := cmp.Diff(c.want, "\n"+tidy(runAgain(t, outputOf, name))); d != "" {
			t.Errorf("output for the store %q (-want +got):\n%s", name, d)
		}
	}
}

const buildOrder = "Build a store in this order: directory, settings, keys, contacts, text, listing, updates, removal, groups, journal, idempotency, " +
	"pruning, claims, mutations, batches, dry run, tenancy, ownership, concurrency, cancellation, errors, durability, closing."

func faultNamed(t *testing.T, name string) fault {
	t.Helper()
	for _, f := range faults {
		if f.name == name {
			return f
		}
	}
	t.Fatalf("there is no fault %q", name)
	return fault{}
}

// tidy leaves out of the output what differs from run to run: times, numbers of
// lines, and all of a message but its first line.
func tidy(output string) string {
	for _, vary := range []struct{ pattern, as string }{
		{`(?m)^ {16}.*\n`, ""},
		{` \(\d+\.\d\ds\)`, ""},
		{`(\w+\.go):\d+: `, "$1: "},
	} {
		output = regexp.MustCompile(vary.pattern).ReplaceAllString(output, vary.as)
	}
	return output
}

// empty is a store with nothing in its methods. They return err.
type empty struct{ err error }

func (e empty) AddToDirectory(context.Context, contacts.Directory) (contacts.Directory, error) {
	return contacts.Directory{}, e.err
}

func (e empty) ListDirectory(context.Context, contacts.DirectoryQuery) (contacts.Directory, error) {
	return contacts.Directory{}, e.err
}

func (e empty) UpdateDirectory(context.Context, contacts.DirectoryUpdate) error { return e.err }

func (e empty) FindKey(context.Context, [32]byte) (*contacts.KeyRecord, error) { return nil, e.err }

func (e empty) FindAccount(context.Context, uuid.UUID) (*contacts.AccountRecord, error) {
	return nil, e.err
}

func (e empty) Apply(context.Context, contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	return nil, e.err
}

func (e empty) FindContact(context.Context, uuid.UUID, uuid.UUID) (*contacts.ContactRecord, error) {
	return nil, e.err
}

func (e empty) ListContacts(context.Context, contacts.ContactQuery) (contacts.ContactList, error) {
	return contacts.ContactList{}, e.err
}

func (e empty) ListJournal(context.Context, contacts.JournalQuery) ([]contacts.JournalEntry, error) {
	return nil, e.err
}

func (e empty) Close() error { return e.err }
