package contacts

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// A PurgeInput says which of the deleted contacts are removed for good. At least
// one field must be set. A contact must match all that are set.
type PurgeInput struct {
	AccountID     uuid.UUID // zero: of every account
	ContactID     uuid.UUID // zero: every contact
	DeletedBefore time.Time // zero: any time of deletion
}

// PurgeContacts removes deleted contacts for good, and returns how many. It is
// for keeping deleted contacts no longer than allowed. It leaves the events and the
// do-not-call entries of a contact: to erase a person, call [Admin.EraseContact]. A
// live contact is left alone. After an error, those counted are removed.
//
// Its errors: CodeValidationError if no field of in is set or DeletedBefore is not in
// the years 1 to 9999, CodeServerError. An unknown account has no contacts.
func (a *Admin) PurgeContacts(ctx context.Context, in PurgeInput) (int, error) {
	if a.store == nil {
		return 0, noStore()
	}
	if in.AccountID == uuid.Nil && in.ContactID == uuid.Nil && in.DeletedBefore.IsZero() {
		return 0, NewValidationError(FieldError{Field: "deleted_before", Code: FieldRequired, Message: "is required, where neither an account nor a contact is given"})
	}
	q := ContactQuery{AccountID: in.AccountID, AllTeams: true, Deleted: true}
	if in.ContactID != uuid.Nil {
		q.IDs = []uuid.UUID{in.ContactID}
	}
	if !in.DeletedBefore.IsZero() {
		var ok bool
		if q.DeletedBefore, ok = setTime(in.DeletedBefore); !ok {
			return 0, NewValidationError(FieldError{Field: "deleted_before", Code: FieldInvalid, Message: wrongYear})
		}
	}
	if in.AccountID != uuid.Nil {
		return a.purge(ctx, q)
	}
	total := 0
	for account, err := range a.Accounts(ctx) {
		if err != nil {
			return total, err
		}
		q.AccountID = account.ID
		n, err := a.purge(ctx, q)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// purge removes the contacts of one account that match the query, and returns how
// many.
func (a *Admin) purge(ctx context.Context, q ContactQuery) (int, error) {
	q.Limit = 500 // the store's other writers wait no longer than that takes
	for total := 0; ; {
		list, err := a.store.ListContacts(ctx, q)
		if err != nil {
			return total, newServerError(err)
		}
		if len(list.Records) == 0 {
			return total, nil
		}
		q.After = list.Records[len(list.Records)-1].Contact.ID
		n, err := a.remove(ctx, list.Records)
		total += n
		if err != nil {
			return total, err
		}
		if len(list.Records) < q.Limit {
			return total, nil
		}
	}
}

// remove removes the contacts for good if they are still as they were read, and
// returns how many. A contact that was changed, restored or removed meanwhile is
// left alone.
func (a *Admin) remove(ctx context.Context, records []*ContactRecord) (int, error) {
	account, err := a.store.FindAccount(ctx, records[0].Contact.AccountID)
	if err != nil {
		return 0, newServerError(err)
	}
	now, err := a.now()
	if err != nil {
		return 0, err
	}
	events, err := a.eventLog(ctx, account, len(records), now)
	if err != nil {
		return 0, err
	}
	batch := MutationBatch{Now: now, Mutations: make([]Mutation, len(records))}
	for i, r := range records {
		batch.Mutations[i] = Mutation{
			AccountID: account.ID,
			Settings:  account.SettingsVersion,
			Contacts:  []ContactChange{{ID: r.Contact.ID, Version: r.Contact.Version}},
		}
		if events == nil {
			continue
		}
		event, err := events.remove(EventContactPurged, r.Contact.ID, now)
		if err != nil {
			return 0, newServerError(err)
		}
		batch.Mutations[i].Journal = []JournalEntry{event}
	}
	outcomes, err := a.store.Apply(ctx, batch)
	if err != nil {
		return 0, newServerError(err)
	}
	removed := len(records)
	var stale []*ContactRecord
	var fault error
	for i, o := range outcomes {
		switch {
		case o.Err == nil:
			continue
		case errors.Is(o.Err, ErrStale): // the settings changed since FindAccount
			stale = append(stale, records[i])
		case !errors.Is(o.Err, ErrConflict) && !errors.Is(o.Err, ErrNotFound):
			fault = newServerError(o.Err)
		}
		removed--
	}
	if fault != nil || len(stale) == 0 {
		return removed, fault
	}
	n, err := a.remove(ctx, stale)
	return removed + n, err
}
