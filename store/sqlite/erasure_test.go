//go:build cgo && unix

package sqlite_test

import (
	"bufio"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/internal/erasetest"
	"example.com/contacts/store/sqlite"
)

// traces returns what the files of a store have of the person, by file.
func traces(t testing.TB, path string) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	for name, content := range folder(t, filepath.Dir(path)) {
		if list := erasetest.Traces([]byte(content)); list != nil {
			found[name] = list
		}
	}
	return found
}

// wantNoTraceAfterClose closes the store and looks at what is left of the person.
func wantNoTraceAfterClose(t *testing.T, s *sqlite.Store, path string) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if found := traces(t, path); len(found) > 0 {
		t.Errorf("left: %q", found)
	}
}

func TestNoByteIsLeft(t *testing.T) {
	t.Parallel()
	for _, suppress := range []bool{false, true} {
		t.Run(fmt.Sprintf("suppress %t", suppress), func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			s := open(t, path)
			w := erasetest.New(t, s)
			w.Crowd(t, 300)
			c := w.Person(t)
			w.Crowd(t, 300)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			before := traces(t, path)["contacts.db"]
			for _, want := range []string{"Qzv1xFirst", "Qzv2xFirst", "Qzv1xReason", "Qzv2xReference", "Qzv2xDeep", "Qzv1xSource", "as digits", "as big-endian"} {
				if !strings.Contains(strings.Join(before, "\n"), want) {
					t.Fatalf("%s is not in the file before: the test would see nothing", want)
				}
			}
			s = open(t, path)
			w = erasetest.Join(t, s)
			w.Erase(t, c, suppress)
			if cleared, err := s.ClearLog(t.Context()); err != nil || !cleared {
				t.Fatalf("ClearLog returned %t, %v", cleared, err)
			}
			if found := traces(t, path); len(found) > 0 {
				t.Errorf("after ClearLog: %q", found)
			}
			for _, number := range []string{erasetest.OldNumber, erasetest.Number, erasetest.Second} {
				w.WantListed(t, number)
			}
			wantNoTraceAfterClose(t, s, path)
		})
	}
}

// Every column that a contact or its journal can reach is known to the test above.
// A new one has to be looked at: does an erasure remove what is in it?
func TestEveryTableIsKnown(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	open(t, path)
	rows, err := plain(t, path).QueryContext(t.Context(), `SELECT m.name, group_concat(c.name, ' ') FROM sqlite_master AS m, pragma_table_xinfo(m.name) AS c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' GROUP BY m.name`)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for rows.Next() {
		var table, columns string
		if err := rows.Scan(&table, &columns); err != nil {
			t.Fatal(err)
		}
		got[table] = columns
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		// Removed with the contact.
		"contact_data": "seq account id first_name last_name email company website address city state zip_code country status stage external_id team_id phones tags " +
			"custom_context industry_context created_at updated_at version deleted_at",
		"lookup":      "account kind value seq",
		"lookup_gone": "seq account kind value",
		// Events and entries of the ledger lose what they say of the person.
		"journal": "n account sequence kind head subject at data ends_at",
		// Hashes and ids, until they end.
		"idempotency": "n hash account key input result ends_at",
		// What the host sets up, and counters.
		"account":           "n id name created_at disabled_at settings_version",
		"team":              "account id name created_at",
		"api_key":           "id account hash name permissions team_ids all_teams created_at expires_at revoked_at",
		"setting":           "account version name value at actor",
		"directory_version": "one version",
		"journal_state":     "account sequence",
		"lookup_state":      "one seq",
		"log_number":        "one number",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the tables are not those that erasure knows (-known +there):\n%s", diff)
	}
}

// A restored backup brings the person back, until Reapply.
func TestReapply(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	backup := filepath.Join(t.TempDir(), "backup.db")
	s := open(t, path)
	w := erasetest.New(t, s)
	c := w.Person(t)
	if err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	first := w.Erase(t, c, true)
	erasures := func() (all []contacts.Erasure) {
		t.Helper()
		for e, err := range w.Admin.Erasures(t.Context(), w.Account.ID, first.At) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
		}
		return all
	}
	kept := erasures()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sqlite.Restore(t.Context(), backup, path); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	w = erasetest.Join(t, s)
	if _, err := w.Service.GetContact(t.Context(), w.Key, c.ID); err != nil {
		t.Fatalf("the backup has not brought the person back: %v", err)
	}
	gone := kept[0]
	gone.AccountID = newID() // of an account that the backup has not
	for _, want := range []int{1, 0} {
		if n, err := w.Admin.Reapply(t.Context(), append([]contacts.Erasure{gone}, kept...)); n != want || err != nil {
			t.Errorf("Reapply returned %d, %v; want %d", n, err, want)
		}
	}
	list := erasures()
	if len(list) != 1 || list[0].Reapplies != first.ID || list[0].ID == first.ID || !list[0].Suppressed || list[0].Reason != first.Reason {
		t.Errorf("erasures after Reapply: %+v; the first was %+v", list, first)
	}
	for _, number := range []string{erasetest.OldNumber, erasetest.Number, erasetest.Second} {
		w.WantListed(t, number)
	}
	wantNoTraceAfterClose(t, s, path)
}

// A number that the person had before is erased too, and stays listed.
func TestOldNumber(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := open(t, path)
	w := erasetest.New(t, s)
	number := func(n string, blocked bool) []contacts.PhoneNumberInput {
		return []contacts.PhoneNumberInput{{PhoneNumber: n, DoNotCall: blocked}}
	}
	c, err := w.Service.CreateContact(t.Context(), w.Key, contacts.CreateContactInput{FirstName: "Qzv", PhoneNumbers: number(erasetest.OldNumber, true)})
	if err != nil {
		t.Fatal(err)
	}
	changed := erasetest.Number
	in := contacts.UpdateContactInput{PhoneNumbers: &[]contacts.UpdatePhoneNumber{{PhoneNumber: &changed}}}
	if _, err := w.Service.UpdateContact(t.Context(), w.Key, c.ID, in, nil); err != nil {
		t.Fatal(err)
	}
	if e := w.Erase(t, c, false); e.Removed.Numbers != 2 {
		t.Errorf("removed %+v", e.Removed)
	}
	w.WantListed(t, erasetest.OldNumber)
	if err := w.Service.CanCall(t.Context(), w.Key, erasetest.Number); err != nil {
		t.Errorf("CanCall of a number that nobody blocked: %v", err)
	}
	wantNoTraceAfterClose(t, s, path)
}

// An objection outlives the person's data.
func TestSurvivesErasure(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	secrets := [][]byte{[]byte("a secret of the host, 32 bytes..")}
	s := open(t, path)
	w := erasetest.New(t, s)
	service := func(secrets [][]byte) *contacts.Service {
		t.Helper()
		svc, err := contacts.New(s, &contacts.Options{DoNotCallSecrets: secrets})
		if err != nil {
			t.Fatal(err)
		}
		return svc
	}
	w.Service, w.Admin = service(secrets), contacts.NewAdmin(s, &contacts.AdminOptions{DoNotCallSecrets: secrets})
	w.Erase(t, w.Person(t), false)
	wantNoTraceAfterClose(t, s, path)
	s = open(t, path)
	w.Service = service(secrets)
	w.WantListed(t, erasetest.Number)
	c, err := w.Service.CreateContact(t.Context(), w.Key, contacts.CreateContactInput{
		FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: erasetest.Number}},
	})
	if err != nil || !c.PhoneNumbers[0].DoNotCall {
		t.Errorf("a new contact with the number: %+v, %v", c, err)
	}
	if err := w.Service.CheckDoNotCall(t.Context()); err != nil {
		t.Errorf("CheckDoNotCall: %v", err)
	}
	if err := service([][]byte{[]byte("another secret of the host, 32 b")}).CheckDoNotCall(t.Context()); contacts.CodeOf(err) != contacts.CodeServerError {
		t.Errorf("CheckDoNotCall with another secret: %v", err)
	}
}

// A write that fails, whichever it is, leaves the person whole.
func TestEraseIsOne(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := open(t, path)
	w := erasetest.New(t, s)
	w.Crowd(t, 10)
	c := w.Person(t)
	db := plain(t, path)
	exec1(t, db, "CREATE TABLE fault (n INTEGER)") // how many writes succeed before one fails
	exec1(t, db, "INSERT INTO fault VALUES (0)")
	for _, table := range []string{"contact_data", "lookup", "lookup_gone", "journal", "journal_state"} {
		for _, write := range []string{"INSERT", "UPDATE", "DELETE"} {
			exec1(t, db, fmt.Sprintf(`CREATE TRIGGER fault_%[1]s_%[2]s BEFORE %[2]s ON %[1]s
				BEGIN UPDATE fault SET n = n - 1; SELECT RAISE(ABORT, 'the disk is broken') FROM fault WHERE n < 0; END`, table, write))
		}
	}
	before := contents(t, db)
	in := contacts.EraseInput{AccountID: w.Account.ID, ContactID: c.ID, Suppress: true}
	for n := 0; ; n++ {
		exec1(t, db, "UPDATE fault SET n = ?", n)
		e, err := w.Admin.EraseContact(t.Context(), in)
		if err == nil {
			if n < 15 {
				t.Errorf("an erasure of %d writes only: %+v", n, e)
			}
			break
		}
		if contacts.CodeOf(err) != contacts.CodeServerError {
			t.Fatalf("write %d: %v", n, err)
		}
		if diff := cmp.Diff(before, contents(t, db)); diff != "" {
			t.Fatalf("write %d failed, and this changed:\n%s", n, diff)
		}
	}
	probe := contacts.ErasureProbe{PhoneNumbers: []string{erasetest.OldNumber, erasetest.Number, erasetest.Second}, Texts: []string{"qzv"}}
	if found, err := w.Admin.VerifyErasure(t.Context(), w.Account.ID, probe); found != nil || err != nil {
		t.Errorf("left: %v, %v", found, err)
	}
}

// contents returns every row that an erasure may change, as text, by table.
func contents(t testing.TB, db *sql.DB) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for table, columns := range map[string]string{
		"contact_data": "seq, hex(id), first_name, version", "journal": "sequence, kind, hex(subject), data", "journal_state": "account, sequence",
	} {
		rows, err := db.QueryContext(t.Context(), fmt.Sprintf("SELECT concat_ws('|', %s) FROM %s ORDER BY 1", columns, table))
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var row string
			if err := rows.Scan(&row); err != nil {
				t.Fatal(err)
			}
			all[table] = append(all[table], row)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// A process that erases one person after another is killed. Each of them is there
// with everything, or gone with everything.
func TestFaultKilledErasure(t *testing.T) {
	t.Parallel()
	if path, yes := inAnotherProcess(); yes {
		eraseUntilKilled(t, path)
		return
	}
	path := newPath(t)
	s := open(t, path)
	w := erasetest.New(t, s)
	erased := make(map[string]bool)
	for range extent(2, 100) {
		killWhileItSays(t, again(t, path), 1+rand.IntN(30), func(id string) { erased[id] = true })
		wantWholeErasures(t, w, erased)
	}
	t.Logf("%d erasures acknowledged", len(erased))
}

// eraseUntilKilled creates and erases persons until it is killed. It prints the id
// of each that was erased.
func eraseUntilKilled(t *testing.T, path string) {
	w := erasetest.Join(t, open(t, path))
	for {
		number := fmt.Sprintf("+1555%07d", 2_000_000+rand.IntN(7_999_999))
		c, err := w.Service.CreateContact(t.Context(), w.Key, contacts.CreateContactInput{
			FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number, DoNotCall: true}},
		})
		if err != nil {
			t.Fatal(err)
		}
		w.Erase(t, c, false)
		os.Stdout.WriteString(storedPrefix + c.ID.String() + "\n")
	}
}

// wantWholeErasures checks that each contact of the journal is there and has lost
// nothing, or is gone and has a receipt.
func wantWholeErasures(t testing.TB, w *erasetest.World, erased map[string]bool) {
	t.Helper()
	list, err := w.Store.ListContacts(t.Context(), contacts.ContactQuery{AccountID: w.Account.ID, AllTeams: true, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	journal, err := w.Store.ListJournal(t.Context(), contacts.JournalQuery{AccountID: w.Account.ID, Limit: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	there, receipts, numbers := make(map[string]bool), make(map[string]bool), 0
	for _, r := range list.Records {
		there[r.Contact.ID.String()] = true
	}
	for _, e := range journal {
		id := uuid.UUID(e.Subject[:16]).String()
		switch {
		case e.Kind == contacts.JournalErasure:
			receipts[id] = true
		case e.Kind == contacts.JournalDoNotCall && strings.Contains(e.Data, `"phone_number"`):
			numbers++
		case e.Kind == contacts.JournalEvent && !strings.Contains(e.Data, string(contacts.EventContactErased)) && there[id] == strings.Contains(e.Data, `"redacted"`):
			t.Errorf("a contact is there: %t; its event: %s", there[id], e.Data)
		}
	}
	if numbers != len(there) {
		t.Errorf("%d contacts, and %d numbers in the ledger", len(there), numbers)
	}
	for id := range erased {
		if there[id] || !receipts[id] {
			t.Errorf("a contact that was erased is there: %t; has a receipt: %t", there[id], receipts[id])
		}
	}
	for id := range receipts {
		if there[id] {
			t.Error("a contact is there and has a receipt")
		}
	}
}

// Two processes: one erases a person while the other creates a relative with the
// same number. The number is in the ledger if the relative came first, and gone
// from it otherwise. It is listed for the relative in any case.
func TestFaultSharedNumber(t *testing.T) {
	t.Parallel()
	if path, yes := inAnotherProcess(); yes {
		createRelatives(t, path)
		return
	}
	path := newPath(t)
	s := open(t, path)
	w := erasetest.New(t, s)
	rounds := extent(10, 1000)
	p := again(t, path)
	says := func(prefix string) string {
		for p.out.Scan() {
			if text, ok := strings.CutPrefix(p.out.Text(), prefix); ok {
				return text
			}
		}
		t.Fatal("the other process has ended")
		return ""
	}
	says("ready")
	kept := 0
	for i := range rounds {
		number := fmt.Sprintf("+1555%07d", 2_000_000+i)
		person, err := w.Service.CreateContact(t.Context(), w.Key, contacts.CreateContactInput{
			FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number, DoNotCall: true}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintln(p.stdin, number); err != nil {
			t.Fatal(err)
		}
		for range rand.IntN(3) { // so that either comes first
			w.WantListed(t, number)
		}
		e := w.Erase(t, person, false)
		id := uuid.MustParse(says(storedPrefix))

		shared := e.Removed.Numbers == 0
		if shared {
			kept++
		}
		status, err := w.Service.DoNotCallStatus(t.Context(), w.Key, number)
		if err != nil || !status.DoNotCall || len(status.Entries) != 1 || (status.Entries[0].PhoneNumber == number) != shared || status.Entries[0].ContactID != uuid.Nil {
			t.Errorf("round %d: the number is shared: %t; its status: %+v, %v", i, shared, status, err)
		}
		relative, err := w.Service.GetContact(t.Context(), w.Key, id)
		if err != nil || !relative.PhoneNumbers[0].DoNotCall {
			t.Errorf("round %d: the relative: %+v, %v", i, relative, err)
		}
	}
	p.end(t)
	t.Logf("%d rounds, in %d of which the number was kept", rounds, kept)
}

// createRelatives creates a contact for each number that it is given.
func createRelatives(t *testing.T, path string) {
	w := erasetest.Join(t, open(t, path))
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		c, err := w.Service.CreateContact(t.Context(), w.Key, contacts.CreateContactInput{
			FirstName: "Bob", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: in.Text()}},
		})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(storedPrefix + c.ID.String())
	}
}
