//go:build cgo

package sqlite_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

// What was purged or changed does not come back to the look-ups with a run that
// was read before, in this process or in another, whether the look-ups had come
// past the contact or not.
func TestRunBringsBackNothingThatWent(t *testing.T) {
	t.Parallel()
	const entries = 5 // of each contact: its address, two numbers, two tags
	path := storePath(t)
	plan := func() *sqlite.Plan { return sqlite.NewPlan().RunLength(1000) } // which no contacts here make full
	s, other := mustOpen(t, plan(), path), mustOpen(t, plan(), path)
	a := mustAccount(t, s)
	var batch []*contacts.ContactRecord
	for i := range 20 {
		r := newContact(a)
		r.Contact.DeletedAt = noon
		r.Contact.PhoneNumbers[0].PhoneNumber = fmt.Sprintf("+1555777%04d", i)
		batch = append(batch, r)
	}
	kept := newContact(a)
	kept.Contact.PhoneNumbers[0].PhoneNumber = "+15557779999"
	if err := create(t.Context(), s, append(batch, kept)...); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*sqlite.Store{s, other} {
		if err := s.PrepareRun(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	db := plain(t, path)
	count := func(query string) (n int) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	want := func(when string, n int, query string) {
		t.Helper()
		if got := count(query); got != n {
			t.Errorf("%s: %s: %d, want %d", when, query, got, n)
		}
	}
	const (
		merged  = "SELECT count(*) FROM lookup"
		mark    = "SELECT seq FROM lookup_state"
		noted   = "SELECT count(*) FROM lookup_gone"
		orphans = "SELECT count(*) FROM lookup WHERE seq NOT IN (SELECT seq FROM contact_data)"
		numbers = "SELECT count(*) FROM lookup WHERE kind = 1 AND value BETWEEN 15557770000 AND 15557779999"
	)
	purgeTen := func(s *sqlite.Store) {
		t.Helper()
		if n := purge(t, s, a, 10); n != 10 {
			t.Fatalf("purged %d", n)
		}
	}

	mustCreate(t, s, a)
	if n := count(merged); n == 0 || n >= len(batch)*entries {
		t.Fatalf("%d entries are merged, want a part", n)
	}
	purgeTen(other) // a part of it is merged, and the rest in two runs
	want("after a purge", 10*entries, noted)
	want("after a purge", 0, orphans)
	// A number that goes, and one that goes and comes again.
	number := kept.Contact.PhoneNumbers
	change(t, s, kept, func(c *contacts.Contact) { c.PhoneNumbers = nil })
	want("after a change", 10*entries+2, noted)
	change(t, s, kept, func(c *contacts.Contact) { c.PhoneNumbers = number[1:] })
	want("after another", 10*entries+1, noted)
	for range 10 {
		mustCreate(t, other, a)
	}
	want("after the run of one store", 21, mark)
	want("after the run of one store", 0, noted)
	want("after the run of one store", 0, orphans)
	purgeTen(s) // the look-ups have come past these, and a run has them yet
	want("after another purge", 0, noted)
	for range 10 {
		mustCreate(t, s, a)
	}
	want("after the run of the other", 21, mark)
	want("after the run of the other", 0, numbers)
	want("after the run of the other", 0, orphans)
	want("after the run of the other", 4, merged) // of the contact that was kept
	for _, s := range []*sqlite.Store{s, other} {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	want("after Close", 4+21*entries, merged)
	want("after Close", 0, orphans)
}

// When the newest contacts are purged, nothing comes after them that would take
// their notes along.
func TestNoNotesAreLeftOfWhatWasPurged(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*sqlite.Store) error{
		"Close": (*sqlite.Store).Close,
		"ClearLog": func(s *sqlite.Store) error {
			t.Cleanup(func() { s.Close() })
			cleared, err := s.ClearLog(t.Context())
			if err == nil && !cleared {
				err = errors.New("the log is not empty")
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := storePath(t)
			s := mustOpen(t, sqlite.NewPlan(), path)
			a := mustAccount(t, s)
			r := newContact(a)
			r.Contact.DeletedAt = noon
			if err := create(t.Context(), s, r); err != nil {
				t.Fatal(err)
			}
			if n := purge(t, s, a, 10); n != 1 {
				t.Fatalf("purged %d", n)
			}
			if err := end(s); err != nil {
				t.Fatal(err)
			}
			var n int
			if err := plain(t, path).QueryRowContext(t.Context(), "SELECT (SELECT count(*) FROM lookup_gone) + (SELECT count(*) FROM lookup)").Scan(&n); err != nil || n != 0 {
				t.Errorf("%d rows are left, %v", n, err)
			}
		})
	}
}

// Once the store is closed, the bytes of the file have nothing of what was purged,
// or was there before a change.
func TestFileKeepsNoBytesOfWhatWasPurged(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	const secret = "Zebraunicorn"
	var batch []*contacts.ContactRecord
	for i := range 600 {
		r := newContact(a)
		switch {
		case i%3 == 0:
			r.Contact.LastName = fmt.Sprint(secret, i)
			r.Contact.DeletedAt = noon
		case i < 20:
			r.CustomContext = `{"of many pages":"` + string(bytes.Repeat([]byte(secret), 2000)) + `"}`
			r.Contact.DeletedAt = noon
		}
		batch = append(batch, r)
	}
	if err := create(t.Context(), s, batch...); err != nil {
		t.Fatal(err)
	}
	changed := newContact(a)
	changed.Contact.Email = secret + "@example.com"
	if err := create(t.Context(), s, changed); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	read := func() int {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(b, []byte(secret))
	}
	if n := read(); n < 200 {
		t.Fatalf("%d in the file before", n)
	}
	s = open(t, path)
	change(t, s, changed, func(c *contacts.Contact) { c.Email = "" })
	purge(t, s, a, 1000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := read(); n > 0 {
		t.Errorf("%d are left in the file", n)
	}
}
