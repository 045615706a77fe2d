//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
)

// TestCopyOverPostgres copies a SQLite file to a server while others write, cut off
// again and again, and from there to a new file. The files hold the same.
func TestCopyOverPostgres(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	address := newPostgres(t, "fsync=off", "full_page_writes=off").url("postgres", "postgres")
	folder := t.TempDir()
	ctx := t.Context()
	open := func(address string) contacts.Store {
		store, err := storeAddress(address).open(ctx)
		must(t, err)
		t.Cleanup(func() { store.Close() })
		return store
	}
	source, server := open(filepath.Join(folder, "source.db")), open(address)
	const size = 10_000
	w := newWorld(t, source, size)
	w.erase(t)

	// Others write meanwhile, and the copy is cut off at random.
	writing, stop := context.WithCancel(ctx)
	wrote := make(chan error, 1)
	svc := w.service(t)
	go func() { wrote <- w.write(writing, svc) }()
	cuts := 0
	for again := false; ; again = true {
		ctx, cut := context.WithCancel(ctx)
		y := w.copier(&cutStore{Store: server, left: 1 + rand.IntN(3), cut: cut}, false)
		err := y.copy(ctx, again)
		cut()
		if err == nil {
			break
		}
		if !interrupted(ctx, err) {
			t.Fatal(err)
		}
		if cuts++; cuts == 8 {
			stop() // or the copy would never be through
		}
	}
	stop()
	must(t, <-wrote)
	w.wantCopy(t, "when nobody writes", server, true, false)
	wantDump(t, "on the server", source, server)

	// The program brings it back.
	do(t, folder, "copy", address, "back.db")
	do(t, folder, "copy", "source.db", "back.db", "--check")
	back := open(filepath.Join(folder, "back.db"))
	wantDump(t, "in the file", source, back)

	// The copy goes on where the source was.
	copied := &world{store: back, account: w.account, key: w.key, admin: contacts.NewAdmin(back, nil)}
	last, err := w.admin.LastSequence(ctx, w.account)
	must(t, err)
	if _, err := copied.service(t).BlockCalls(ctx, w.key, contacts.DoNotCallInput{PhoneNumber: "+15551230002"}); err != nil {
		t.Errorf("a key of the source on the copy: %v", err)
	}
	if next, err := copied.admin.LastSequence(ctx, w.account); err != nil || next != last+1 {
		t.Errorf("the next sequence is %d, want %d: %v", next, last+1, err)
	}
	if err := copied.service(t).CanCall(ctx, w.key, erasedNumber); contacts.CodeOf(err) != contacts.CodeDoNotCall {
		t.Errorf("the number of who was erased: %v", err)
	}
}

const erasedNumber = "+15551230001"

// erase creates and erases a person whose number must not be called.
func (w *world) erase(t *testing.T) {
	t.Helper()
	c, err := w.service(t).CreateContact(t.Context(), w.key, contacts.CreateContactInput{
		FirstName: "Ann", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: erasedNumber, DoNotCall: true}},
	})
	must(t, err)
	_, err = w.admin.EraseContact(t.Context(), contacts.EraseInput{AccountID: w.account, ContactID: c.ID, Suppress: true})
	must(t, err)
}

// write creates, changes and deletes contacts until ctx is done.
func (w *world) write(ctx context.Context, svc *contacts.Service) error {
	whole := context.WithoutCancel(ctx)
	for i := 0; ctx.Err() == nil; i++ {
		c, err := svc.CreateContact(whole, w.key, contacts.CreateContactInput{
			FirstName: fmt.Sprintf("W%d", i), PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567", DoNotCall: i%7 == 0}},
		})
		if err != nil {
			return err
		}
		of := w.ids[i%len(w.ids)]
		_, err = svc.UpdateContactJSON(whole, w.key, of, strings.NewReader(`{"city": "Paris"}`), nil)
		if err != nil && contacts.CodeOf(err) != contacts.CodeNotFound { // not found: it was deleted
			return err
		}
		if i%5 == 0 {
			if err := svc.DeleteContact(whole, w.key, c.ID, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
