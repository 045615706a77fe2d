//go:build cgo

package sqlite_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

func TestDamagedContactLeavesTheOthersToBeListed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	path := storePath(t)
	s := open(t, path)
	account := mustAccount(t, s)
	before, lost, after := newContact(account), newContact(account), newContact(account)
	if err := create(ctx, s, before, lost, after); err != nil {
		t.Fatal(err)
	}
	db := plain(t, path)
	exec1(t, db, "UPDATE contact_data SET phones = '[', tags = 7 WHERE id = ?", lost.Contact.ID[:])

	list, err := s.ListContacts(ctx, contacts.ContactQuery{AccountID: account, AllTeams: true, Limit: 9})
	if err != nil {
		t.Fatal(err)
	}
	rest := *lost
	rest.Contact.PhoneNumbers, rest.Contact.Tags = nil, nil
	if diff := cmp.Diff([]*contacts.ContactRecord{after, &rest, before}, list.Records); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if len(list.Damaged) != 1 || list.Damaged[0].ContactID != lost.Contact.ID || !errors.Is(list.Damaged[0], sqlite.ErrCorrupt) {
		t.Errorf("damaged: got %v, want %s", list.Damaged, lost.Contact.ID)
	}
	_, err = s.FindContact(ctx, account, lost.Contact.ID)
	if damaged, ok := errors.AsType[*contacts.DamagedError](err); !ok || damaged.ContactID != lost.Contact.ID {
		t.Errorf("FindContact: got %v, want a DamagedError", err)
	}
}
