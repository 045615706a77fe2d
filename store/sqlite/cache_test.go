//go:build cgo

package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

// What a store keeps in memory must not outlive what another connection, or a
// person with a shell, does to the file.
func TestChangeByHandIsSeenByTheNextFindKey(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	k := contacts.KeyRecord{APIKey: contacts.APIKey{ID: newID(), AccountID: a, Name: "web"}, Hash: [32]byte{1}}
	if _, err := s.AddToDirectory(t.Context(), contacts.Directory{Keys: []contacts.KeyRecord{k}}); err != nil {
		t.Fatal(err)
	}
	find := func() *contacts.KeyRecord {
		t.Helper()
		got, err := s.FindKey(t.Context(), k.Hash)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if first, second := find(), find(); first != second {
		t.Error("the key was read from the file twice, with no change in between")
	}
	db, err := sql.Open("sqlite3", sqlite.URI(path, "mode=rw"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, change := range []struct {
		sql  string
		want func(*contacts.KeyRecord) bool
	}{
		{"UPDATE api_key SET revoked_at = 1", func(k *contacts.KeyRecord) bool { return !k.RevokedAt.IsZero() }},
		{"UPDATE account SET disabled_at = 1", func(k *contacts.KeyRecord) bool { return !k.Account.DisabledAt.IsZero() }},
		{"INSERT INTO team VALUES (1, 7, 'Sales', 1)", func(*contacts.KeyRecord) bool { return true }},
		{"INSERT INTO setting VALUES (1, 1, 'events', 'true', 1, '{}')", func(k *contacts.KeyRecord) bool { return k.Account.Settings["events"] == "true" }},
		{"UPDATE setting SET value = ''", func(k *contacts.KeyRecord) bool { return k.Account.Settings == nil }},
		{"DELETE FROM setting", func(*contacts.KeyRecord) bool { return true }},
	} {
		before := find()
		if _, err := db.ExecContext(t.Context(), change.sql); err != nil {
			t.Fatal(err)
		}
		if got := find(); got == before || !change.want(got) {
			t.Errorf("%s is not seen: %s", change.sql, cmp.Diff(before, got))
		}
	}
	if _, err := db.ExecContext(t.Context(), "DELETE FROM api_key"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FindKey(t.Context(), k.Hash); !errors.Is(err, contacts.ErrNotFound) {
		t.Errorf("a key that was deleted: got %v", err)
	}
}

// A call that read a key before a change, and is late, does not put it in the
// place of the one that another call has read since.
func TestOlderKeyIsNotKeptOverANewerOne(t *testing.T) {
	t.Parallel()
	s := open(t, storePath(t))
	k := contacts.KeyRecord{APIKey: contacts.APIKey{ID: newID(), AccountID: mustAccount(t, s), Name: "web"}, Hash: [32]byte{1}}
	if _, err := s.AddToDirectory(t.Context(), contacts.Directory{Keys: []contacts.KeyRecord{k}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FindKey(t.Context(), k.Hash); err != nil {
		t.Fatal(err)
	}
	older := k
	older.Name = "older"
	s.KeepKey(0, &older)
	if got, err := s.FindKey(t.Context(), k.Hash); err != nil || got.Name != "web" {
		t.Errorf("got key %v, %v", got, err)
	}
}

func TestFindAccountIsReadOnce(t *testing.T) {
	t.Parallel()
	s := open(t, storePath(t))
	a := mustAccount(t, s)
	find := func() *contacts.AccountRecord {
		t.Helper()
		got, err := s.FindAccount(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if first, second := find(), find(); first != second {
		t.Error("the account was read from the file twice, with no change in between")
	}
}

func TestTeamDeletedByHandTakesNoContact(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	if _, err := s.AddToDirectory(t.Context(), contacts.Directory{Teams: []contacts.Team{{AccountID: a, ID: 7}}}); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", sqlite.URI(path, "mode=rw"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "DELETE FROM team"); err != nil {
		t.Fatal(err)
	}
	r := newContact(a)
	r.Contact.TeamID = 7
	wantErr(t, "Apply", create(t.Context(), s, r), contacts.ErrTeamNotFound)
}

func TestSharedReadBeganAfterItsCallerCame(t *testing.T) {
	t.Parallel()
	s := sqlite.NewSharedRead()
	var clock, reads atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 200 {
				came := clock.Add(1)
				v, err := s.Read(t.Context(), func() (int64, error) {
					reads.Add(1)
					return clock.Load(), nil
				})
				if err != nil || v < came {
					t.Errorf("came at %d and read what was at %d, %v", came, v, err)
				}
			}
		})
	}
	wg.Wait()
	if n := reads.Load(); n > 64*200 {
		t.Errorf("%d reads for %d callers", n, 64*200)
	}
}

func TestSharedReadKeepsNoErrorAndHonoursTheContext(t *testing.T) {
	t.Parallel()
	s := sqlite.NewSharedRead()
	fault := errors.New("fault")
	if _, err := s.Read(t.Context(), func() (int64, error) { return 0, fault }); !errors.Is(err, fault) {
		t.Errorf("got %v", err)
	}
	if v, err := s.Read(t.Context(), func() (int64, error) { return 7, nil }); v != 7 || err != nil {
		t.Errorf("after a fault: got %d, %v", v, err)
	}
	reading, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = s.Read(context.Background(), func() (int64, error) {
			close(reading)
			<-release
			return 8, nil
		})
	})
	<-reading
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Read(ctx, func() (int64, error) { return 9, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("after a read that lasts: got %v", err)
	}
	close(release)
	wg.Wait()
}
