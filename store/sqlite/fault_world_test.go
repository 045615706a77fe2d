//go:build cgo && unix

package sqlite_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/sqlite"
)

// extent returns how often a fault test does what it does.
func extent(short, full int) int { return longtest.Extent(short, full) }

const againVariable = "SQLITE_TEST_AGAIN"

// again runs the test that calls it once more in another process, where
// inAnotherProcess says so. It ends with the test at the latest.
func again(t *testing.T, path string, change ...func(*exec.Cmd)) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	self := func(cmd *exec.Cmd) {
		cmd.Args = append(cmd.Args, "-test.v", "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
		cmd.Env = append(cmd.Env, againVariable+"=1")
	}
	return startBinary(t, exe, "", path, append([]func(*exec.Cmd){self}, change...)...)
}

// inAnotherProcess returns what again was given, if it started this process.
func inAnotherProcess() (path string, yes bool) {
	return os.Getenv(pathVariable), os.Getenv(againVariable) != ""
}

// relay makes the result of a test in another process that of this one.
func relay(t *testing.T, p *process) {
	t.Helper()
	var lines []string
	for p.out.Scan() {
		lines = append(lines, p.out.Text())
	}
	said := strings.Join(lines, "\n")
	if err := p.Wait(); err != nil {
		t.Fatalf("in the other process: %v\n%s", err, said)
	}
	t.Log(said)
}

// theAccount is the account of all contacts in the fault tests.
var theAccount = uuid.MustParse("01960000-0000-7000-8000-000000000001")

// addTheAccount stores theAccount and its teams 1 and 2, where they are not yet.
func addTheAccount(ctx context.Context, s contacts.Store) error {
	_, err := s.AddToDirectory(ctx, contacts.Directory{
		Accounts: []contacts.Account{{ID: theAccount, Name: "Acme", CreatedAt: noon}},
		Teams: []contacts.Team{
			{AccountID: theAccount, ID: 1, Name: "Sales", CreatedAt: noon},
			{AccountID: theAccount, ID: 2, Name: "Support", CreatedAt: noon},
		},
	})
	if errors.Is(err, contacts.ErrExists) {
		return nil
	}
	return err
}

// faultPlan is the plan of Open, but the look-ups and the index of idempotency keys
// follow so soon that there is always something of them in the middle.
func faultPlan() *sqlite.Plan { return sqlite.NewPlan().RunLength(50).RecentHashes(20) }

// openFault is open by faultPlan.
func openFault(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := faultPlan().Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func openWithAccount(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s := openFault(t, path)
	if err := addTheAccount(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return s
}

// contactOf returns the contact with that id. All of it follows from the id, so
// that the id tells what must be in the file. One in four fills
// more than a page.
func contactOf(id uuid.UUID) *contacts.ContactRecord {
	var seed [32]byte
	copy(seed[:], id[:])
	source := rand.NewChaCha8(seed)
	r := rand.New(source)
	text := func(most int) string {
		b := make([]byte, 1+r.IntN(most))
		for i := range b {
			b[i] = byte('a' + r.IntN(26))
		}
		return string(b)
	}
	record := &contacts.ContactRecord{Contact: contacts.Contact{
		ID: id, AccountID: theAccount, FirstName: text(20), LastName: text(20), Email: text(30) + "@example.com",
		Company: text(40), Website: "https://" + text(20) + ".example", Address: text(60), City: text(20),
		State: text(20), ZipCode: text(9), Country: "US", Status: text(20), Stage: text(20), TeamID: r.Int64N(3),
		CreatedAt: noon, UpdatedAt: noon.Add(time.Duration(r.IntN(1e9)) * time.Microsecond),
	}}
	for range r.IntN(4) {
		record.Contact.PhoneNumbers = append(record.Contact.PhoneNumbers, contacts.PhoneNumber{
			ID: uuid.Must(uuid.NewRandomFromReader(source)), PhoneNumber: fmt.Sprintf("+1555%07d", r.IntN(1e7)), PhoneType: text(8),
			Primary: r.IntN(2) == 0,
		})
	}
	for range r.IntN(4) {
		record.Contact.Tags = append(record.Contact.Tags, text(15))
	}
	if r.IntN(2) == 0 {
		record.CustomContext = `{"note":"` + text(300) + `"}`
	}
	if r.IntN(4) == 0 {
		record.IndustryContext = `{"note":"` + text(8000) + `"}`
	}
	return record
}

// A ledger holds what callers were told of the contacts that they created. All
// methods may be called from many goroutines at once.
type ledger struct {
	mu   sync.Mutex
	told map[uuid.UUID]error
}

func newLedger() *ledger { return &ledger{told: make(map[uuid.UUID]error)} }

func (l *ledger) note(id uuid.UUID, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told[id] = err
}

// create creates a contact, with its id as idempotency key, and notes what comes of it.
func (l *ledger) create(ctx context.Context, s contacts.Store) error {
	id := newID()
	batch := createBatch(contactOf(id))
	batch.Mutations[0].Idempotency = &contacts.IdempotencyRecord{Key: sha256.Sum256(id[:]), Result: id.String(), EndsAt: batch.Now.Add(time.Hour)}
	err := applyBatch(ctx, s, batch)
	l.note(id, err)
	return err
}

// counts returns how many contacts were acknowledged, how many refused, and of
// how many the outcome was said to be unknown.
func (l *ledger) counts() (stored, refused, unknown int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, err := range l.told {
		switch {
		case err == nil:
			stored++
		case errors.Is(err, contacts.ErrOutcomeUnknown):
			unknown++
		default:
			refused++
		}
	}
	return stored, refused, unknown
}

// want checks that the store holds what callers were told: all that was
// acknowledged, nothing that was refused, and whole what is there.
func (l *ledger) want(t testing.TB, s contacts.Store) {
	t.Helper()
	if lost := l.lost(t, s); lost > 0 {
		t.Errorf("%d contacts that were acknowledged are not there", lost)
	}
}

// lost is want, but returns how many of the acknowledged are not there.
func (l *ledger) lost(t testing.TB, s contacts.Store) (n int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, told := range l.told {
		switch there := isWhole(t, s, id); {
		case told == nil && !there:
			n++
		case told != nil && there && !errors.Is(told, contacts.ErrOutcomeUnknown):
			t.Errorf("a contact is there, and its create returned: %v", told)
		}
	}
	return n
}

// isWhole reports whether the contact is there, and checks that it is all there.
func isWhole(t testing.TB, s contacts.Store, id uuid.UUID) bool {
	t.Helper()
	got, err := s.FindContact(t.Context(), theAccount, id)
	if errors.Is(err, contacts.ErrNotFound) {
		return false
	}
	if err != nil {
		t.Errorf("FindContact: %v", err)
		return false
	}
	want := contactOf(id)
	if reflect.DeepEqual(want, got) { // so much faster than cmp that it matters
		return true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a contact is not what was created (-created +found):\n%s", diff)
	}
	return true
}

// wantSoundAndWhole lets SQLite check the file at path, which s has open, and
// checks that each contact in it that skip does not have is whole and is found
// by what it holds. It adds them to skip. Each idempotency record is found, too.
func wantSoundAndWhole(t testing.TB, path string, s *sqlite.Store, skip map[uuid.UUID]bool) {
	t.Helper()
	db := plain(t, path)
	defer db.Close()
	column := func(query string) (all []string) {
		rows, err := db.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var cell string
			if err := rows.Scan(&cell); err != nil {
				t.Fatal(err)
			}
			all = append(all, cell)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return all
	}
	if got := column("PRAGMA integrity_check"); len(got) != 1 || got[0] != "ok" {
		t.Errorf("integrity_check: %q", got)
	}
	if got := column(`SELECT "table" FROM pragma_foreign_key_check`); len(got) != 0 {
		t.Errorf("foreign_key_check: rows of %q", got)
	}
	if got := column(wrongHashesSQL); len(got) != 0 {
		t.Errorf("the records %q are not found by their idempotency keys, or are not there", got)
	}
	for _, text := range column("SELECT id FROM contact") {
		id := uuid.MustParse(text)
		if skip[id] {
			continue
		}
		if !isWhole(t, s, id) {
			t.Errorf("a contact is in the view, and FindContact does not find it")
		}
		wantFound(t, s, id)
		if skip != nil {
			skip[id] = true
		}
	}
}

// wantFound checks that a search finds the contact by its address, its first
// number or its first tag.
func wantFound(t testing.TB, s *sqlite.Store, id uuid.UUID) {
	t.Helper()
	c := contactOf(id).Contact
	search, what := s.SearchEmail, c.Email
	switch rand.IntN(3) {
	case 0:
		if len(c.PhoneNumbers) > 0 {
			search, what = s.SearchPhone, c.PhoneNumbers[0].PhoneNumber
		}
	case 1:
		if len(c.Tags) > 0 {
			search, what = s.SearchTag, c.Tags[0]
		}
	}
	if ids, err := search(t.Context(), theAccount, what); err != nil || !slices.Contains(ids, id) {
		t.Errorf("a search does not find a contact that is there: %d others, %v", len(ids), err)
	}
}

// crowd calls f from n goroutines at once.
func crowd(n int, f func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(f)
	}
	wg.Wait()
}
