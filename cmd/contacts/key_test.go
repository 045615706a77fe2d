//go:build cgo

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/contacts"
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
