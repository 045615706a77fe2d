package contactsio_test

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync/atomic"
	"testing"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/contactstest"
)

// A watchedStore calls second before its second list is read, and counts the lists that
// are being read.
type watchedStore struct {
	contacts.Store
	second      func(context.Context)
	read, going atomic.Int32
}

func (s *watchedStore) ListContacts(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
	s.going.Add(1)
	defer s.going.Add(-1)
	if s.read.Add(1) == 2 {
		s.second(ctx)
	}
	return s.Store.ListContacts(ctx, q)
}

// newWatched returns a service on a watched store with n contacts.
func newWatched(t *testing.T, n int, second func(context.Context)) (*watchedStore, *contacts.Service, string) {
	t.Helper()
	f := contactstest.New(t, nil)
	all := make([]contacts.CreateContactInput, n)
	for i := range all {
		all[i].FirstName = strconv.Itoa(i)
	}
	if _, err := f.Service.CreateContacts(t.Context(), f.Key, contacts.CreateContactsInput{Contacts: all}); err != nil {
		t.Fatal(err)
	}
	store := &watchedStore{Store: f.Store, second: second}
	svc, err := contacts.New(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	return store, svc, f.Key
}

// writeFunc writes by calling itself.
type writeFunc func(p []byte) (int, error)

func (f writeFunc) Write(p []byte) (int, error) { return f(p) }

// TestExportReadsNothingAfterItsEnd ends exports while the first page is written, and the
// second does not come. Nothing is read any more when they return.
func TestExportReadsNothingAfterItsEnd(t *testing.T) {
	t.Parallel()
	errFull := errors.New("no space left")
	for name, tc := range map[string]struct {
		write func(end context.CancelFunc) error // is called with each 64 KiB
		want  error
	}{
		"writer failed":     {func(context.CancelFunc) error { return errFull }, errFull},
		"context has ended": {func(end context.CancelFunc) error { end(); return nil }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, svc, key := newWatched(t, 2000, func(ctx context.Context) { <-ctx.Done() })
			ctx, end := context.WithCancel(t.Context())
			defer end()
			n, err := contactsio.Export(ctx, svc, key, writeFunc(func(p []byte) (int, error) { return len(p), tc.write(end) }), nil)
			going := store.going.Load()
			if !errors.Is(err, tc.want) || n > 1000 {
				t.Errorf("%d contacts, error %v, want %v", n, err, tc.want)
			}
			if going != 0 {
				t.Error("the second page is still being read")
			}
		})
	}
}

// TestPanicOfTheStoreReachesTheCaller has the second page panic, which is read while the
// first is written.
func TestPanicOfTheStoreReachesTheCaller(t *testing.T) {
	t.Parallel()
	_, svc, key := newWatched(t, 2000, func(context.Context) { panic("the store has gone") })
	defer func() {
		if got := recover(); got != "the store has gone" {
			t.Errorf("recovered %v", got)
		}
	}()
	_, err := contactsio.Export(t.Context(), svc, key, io.Discard, nil)
	t.Errorf("Export returned %v", err)
}
