package postgres_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/postgres"
)

// On a standby reads work, and writes say why they fail. When it takes over, the
// same store writes.
func TestFaultStandby(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	primary := ownServer(t)
	if _, err := os.Stat(filepath.Join(primary.bin, "pg_basebackup")); err != nil {
		t.Skip("left out: the program pg_basebackup is not installed")
	}
	s := open(t, primary.url(), "contacts")
	account := addAccount(t, s)
	r := newContact(account)
	if err := create(t.Context(), s, r); err != nil {
		t.Fatal(err)
	}

	standby := &server{bin: primary.bin, dir: filepath.Join(primary.dir, "standby"), attr: primary.attr, log: primary.log}
	if err := os.Mkdir(standby.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if c := primary.attr.Credential; c != nil {
		if err := os.Chown(standby.dir, int(c.Uid), int(c.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	backup := standby.command("pg_basebackup", "-D", standby.data(), "-h", primary.dir, "-U", "postgres", "-R", "-c", "fast", "--no-sync")
	if out, err := backup.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, out)
	}
	if err := standby.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { standby.stop() })

	reader := open(t, standby.url(), "contacts")
	if !isWhole(t, reader, r) {
		t.Error("a contact is not on the standby that was there when it was made")
	}
	update, _ := change(r, func(*contacts.Contact) {})
	dryRun := contacts.MutationBatch{Mutations: []contacts.Mutation{update}, Now: noon, DryRun: true}
	if err := applyBatch(t.Context(), reader, dryRun); err != nil {
		t.Errorf("a dry run on a standby: %v", err)
	}
	for what, err := range map[string]error{
		"a create":        create(t.Context(), reader, newContact(account)),
		"a change":        apply(t.Context(), reader, update),
		"UpdateDirectory": reader.UpdateDirectory(t.Context(), contacts.DirectoryUpdate{AccountID: account, At: noon}),
	} {
		if !errors.Is(err, postgres.ErrReadOnly) || errors.Is(err, contacts.ErrOutcomeUnknown) {
			t.Errorf("%s on a standby: got error %v, want ErrReadOnly", what, err)
		}
	}

	if err := primary.stop(); err != nil {
		t.Fatal(err)
	}
	execute(t, standby.url(), "SELECT pg_promote()")
	late := newContact(account)
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := create(t.Context(), reader, late)
		if err == nil {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("the store does not write after the standby took over: %v", err)
		}
	}
	if !isWhole(t, reader, r) || !isWhole(t, reader, late) {
		t.Error("a contact is not there after the standby took over")
	}
}
