//go:build cgo && unix

package sqlite_test

import (
	"bufio"
	"fmt"
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
			path := storePath(t)
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
			w.WantErased(t)
			wantNoTraceAfterClose(t, s, path)
		})
	}
}

// Every column that a contact or its journal can reach is known to the test above.
// A new one has to be looked at: does an erasure remove what is in it?
func TestEveryTableIsKnown(t *testing.T) {
	t.Parallel()
	path := storePath(t)
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
		// An id, and what events of other contacts say as well, until the last of them has lost it.
		"event_run": "n account sequence contacts lowest highest at later kept ends_at data replaced",
		// Hashes and ids, until they end.
		"idempotency":        "n hashes records ends_at",
		"idempotency_lookup": "hash n",
		"idempotency_moved":  "part n",
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
	path := storePath(t)
	backup := filepath.Join(t.TempDir(), "backup.db")
	s := open(t, path)
	w := erasetest.New(t, s)
	c := w.Person(t)
	if err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	erasetest.Reapply(t, w, c, func() *erasetest.World {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := sqlite.Restore(t.Context(), backup, path); err != nil {
			t.Fatal(err)
		}
		s = open(t, path)
		return erasetest.Join(t, s)
	})
	wantNoTraceAfterClose(t, s, path)
}

func TestOldNumber(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	erasetest.OldNumberIsErased(t, erasetest.New(t, s), func() { wantNoTraceAfterClose(t, s, path) })
}

// An objection outlives the person's data.
func TestSurvivesErasure(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	erasetest.SurvivesErasure(t, s, func() contacts.Store {
		wantNoTraceAfterClose(t, s, path)
		return open(t, path)
	})
}

func TestErasure(t *testing.T) {
	t.Parallel()
	erasetest.Scenarios(t, open(t, storePath(t)))
}

// One process erases a person while another creates a relative with the same number.
func TestFaultSharedNumber(t *testing.T) {
	t.Parallel()
	if path, yes := inAnotherProcess(); yes {
		createRelatives(t, path)
		return
	}
	path := storePath(t)
	w := erasetest.New(t, open(t, path))
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
	erasetest.SharedNumber(t, w, extent(10, 1000), func(number string) (end func() uuid.UUID) {
		if _, err := fmt.Fprintln(p.stdin, number); err != nil {
			t.Fatal(err)
		}
		return func() uuid.UUID { return uuid.MustParse(says(storedPrefix)) }
	})
	p.end(t)
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
