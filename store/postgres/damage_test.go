package postgres_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/contacts"
)

func TestDamagedContactLeavesTheOthersToBeListed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := serverURL(t)
	schema := takeSchema(t)
	s := open(t, url, schema)
	account := addAccount(t, s)
	before, lost, after := newContact(account), newContact(account), newContact(account)
	if err := create(ctx, s, before, lost, after); err != nil {
		t.Fatal(err)
	}
	execute(t, url, "UPDATE "+pgx.Identifier{schema, "contact"}.Sanitize()+" SET phones = '[' WHERE id = $1", lost.Contact.ID)

	list, err := s.ListContacts(ctx, contacts.ContactQuery{AccountID: account, AllTeams: true, Limit: 9})
	if err != nil {
		t.Fatal(err)
	}
	rest := *lost
	rest.Contact.PhoneNumbers, rest.Contact.Tags = nil, nil
	if diff := cmp.Diff([]*contacts.ContactRecord{after, &rest, before}, list.Records); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if len(list.Damaged) != 1 || list.Damaged[0].ContactID != lost.Contact.ID {
		t.Errorf("damaged: got %v, want %s", list.Damaged, lost.Contact.ID)
	}
	_, err = s.FindContact(ctx, account, lost.Contact.ID)
	if damaged, ok := errors.AsType[*contacts.DamagedError](err); !ok || damaged.ContactID != lost.Contact.ID {
		t.Errorf("FindContact: got %v, want a DamagedError", err)
	}
}
