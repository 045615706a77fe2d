//go:build cgo

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// Who acts as the admin learns that the API key of the run could not be revoked.
func TestKeyThatIsStillValid(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "contacts.db")
	s := &session{globals: &globals{DB: storeAddress(db)}, errors: new(bytes.Buffer)}
	must(t, s.withNewStore(t.Context(), func(store contacts.Store) error {
		_, err := newAdmin(store).CreateAccount(t.Context(), "Acme")
		return err
	}))
	f := &keyFlags{AsAdmin: true}
	err := f.act(t.Context(), s, mayRead, func(*contacts.Service, string) error {
		return os.Rename(db, db+".away") // the store then refuses to write
	})
	if err == nil {
		t.Fatal("it ended without an error")
	}
	if said := failuresOf(err)[0].text(); !strings.HasPrefix(said, "the API key of this run is still valid: server_error: ") || !strings.Contains(said, "contacts keys revoke ") {
		t.Errorf("it said %s", said)
	}
}

// An interruptedStore is interrupted when it has added something, and then does not know
// whether it has.
type interruptedStore struct {
	contacts.Store
	interrupt func()
}

func (s *interruptedStore) AddToDirectory(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
	added, err := s.Store.AddToDirectory(context.WithoutCancel(ctx), add)
	s.interrupt()
	if ctx.Err() != nil {
		err = contacts.ErrOutcomeUnknown
	}
	return added, err
}

// A signal leaves no valid API key, whenever it comes.
func TestKeyThatIsIssuedAtASignal(t *testing.T) {
	t.Parallel()
	store := memory.New()
	defer store.Close()
	account, err := newAdmin(store).CreateAccount(t.Context(), "Acme")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	err = new(keyFlags).asAdmin(ctx, newAdmin(&interruptedStore{store, cancel}), mayRead, func(string) error { return ctx.Err() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	keys := 0
	for key, err := range newAdmin(store).Keys(t.Context(), account.ID) {
		must(t, err)
		if keys++; key.RevokedAt.IsZero() {
			t.Error("the key is still valid")
		}
	}
	if keys != 1 {
		t.Errorf("there are %d keys", keys)
	}
}
