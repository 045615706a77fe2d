//go:build cgo

package sqlite_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

// However many lists run, and however long, a read that is short finds a
// connection.
func TestListsLeaveAConnectionToShortReads(t *testing.T) {
	t.Parallel()
	for readers, want := range map[int]int{1: 1, 2: 1, 4: 3} {
		t.Run(fmt.Sprint(readers), func(t *testing.T) {
			t.Parallel()
			reading, release := make(chan struct{}), make(chan struct{})
			s := mustOpen(t, sqlite.NewPlan().Readers(readers).Fold(func(text string) string {
				reading <- struct{}{}
				<-release
				return contacts.FoldSearch(text)
			}), storePath(t))
			defer s.Close()
			a := mustAccount(t, s)
			r := newContact(a)
			r.Contact.FirstName = "Zoë" // which SQLite cannot fold
			if err := create(t.Context(), s, r); err != nil {
				t.Fatal(err)
			}
			if got := s.ListsAtOnce(); got != want {
				t.Fatalf("%d lists at once, want %d", got, want)
			}
			q := contacts.ContactQuery{AccountID: a, AllTeams: true, Search: "zoe", Limit: 9}
			var wg sync.WaitGroup
			for range want {
				wg.Go(func() {
					if list, err := s.ListContacts(t.Context(), q); err != nil || len(list.Records) != 1 {
						t.Errorf("a list: %d contacts, %v", len(list.Records), err)
					}
				})
				<-reading
			}
			ctx, cancel := context.WithCancel(t.Context())
			wg.Go(func() {
				_, err := s.ListContacts(ctx, q)
				wantErr(t, "one list more", err, context.Canceled)
			})
			_, err := s.FindKey(t.Context(), sha256.Sum256(nil))
			wantErr(t, "FindKey", err, contacts.ErrNotFound)
			wantContact(t, s, a, r.Contact.ID)
			cancel()
			close(release)
			wg.Wait()
		})
	}
}

// A caller that reads alone uses one connection, and the pages that it keeps.
func TestReadsOneAfterTheOtherUseOneConnection(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := mustOpen(t, sqlite.NewPlan(), path)
	a := mustAccount(t, s)
	r := mustCreate(t, s, a)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, sqlite.NewPlan().Readers(4), path) // which writes nothing: what follows a write reads too
	defer s.Close()
	for range 5 {
		wantContact(t, s, a, r.Contact.ID)
		if _, err := s.ListContacts(t.Context(), contacts.ContactQuery{AccountID: a, AllTeams: true, Limit: 9}); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.OpenReaders(); n != 1 {
		t.Errorf("%d connections are open, want 1", n)
	}
}
