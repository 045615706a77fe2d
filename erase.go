package contacts

import (
	"context"
	"errors"

	"github.com/google/uuid"
)

// An EraseInput says which contact is erased, and how.
type EraseInput struct {
	AccountID, ContactID uuid.UUID

	// Suppress appends a block, with the source "erasure", for each number of the
	// person that no other live contact has. The block has no number, and answers
	// for it all the same. Set it where a person asked to be left alone, and not
	// where a period of retention has ended.
	Suppress bool

	// KeepNotes keeps reasons and references of the do-not-call ledger. They are
	// free text and may name the person, so false removes them.
	KeepNotes bool

	// Reason is one word for the cause, such as "request" or "retention", of at
	// most 100 characters. It stays, so it must not name the person.
	Reason string
}

// maxEraseReason is how long a Reason may be, in characters.
const maxEraseReason = 100

// EraseContact removes a person for good, and returns the receipt. The contact may
// be live or deleted. These go, in one step:
//
//   - the contact;
//   - the changes in its events, and what their source said;
//   - in the do-not-call ledger, the numbers of the person that no other live
//     contact has, with their reasons, references and contact ids; and on numbers
//     that another contact has, those of the entries that came from this contact.
//
// The numbers of the person are those that the contact has, and those that it had
// earlier and blocked itself. An earlier number that others blocked alone stays in
// the ledger.
//
// The receipt says what stays: entries of the ledger without their number, which
// still forbid calls to it, the bare events, and idempotency records until they
// end. It says nothing of the disk: see the package of the store. Backups bring
// the person back until [Admin.Reapply] has been called.
//
// A damaged contact and damaged events do not prevent it. An event that cannot be read
// is emptied, and readers of events still refuse it. Of a contact that cannot be read
// whole, entries of the ledger may be missed. The receipt has both in Kept. A damaged
// entry of the ledger or receipt about the person is CodeServerError.
//
// For a contact that was purged, it removes what is left by the contact's id. A
// second call returns the receipt of the first, unless the contact has come back
// from a backup. No API key can erase.
//
// Its errors: CodeValidationError, CodeNotFound for an account or a contact that
// never was, CodeServerError, also where AdminOptions.DoNotCallSecrets lacks a
// secret of the account's ledger. Nothing was removed then, unless there is a
// receipt with the error or it matches [ErrOutcomeUnknown]; the call can be made
// again.
//
// After the removal it looks for entries of the ledger that came in between, and for
// numbers that nobody else has any more, and removes these numbers too. The end of
// ctx does not stop that. It returns the receipt with the error if that fails. Then,
// and after a crash, such entries may be left: a second call within a week removes
// their numbers.
func (a *Admin) EraseContact(ctx context.Context, in EraseInput) (*Erasure, error) {
	return a.newErasing(in).run(ctx)
}

// PreviewErasure returns the receipt that EraseContact would return, without id
// and digest. It stores nothing. Its errors are those of EraseContact.
func (a *Admin) PreviewErasure(ctx context.Context, in EraseInput) (*Erasure, error) {
	e := a.newErasing(in)
	e.dryRun = true
	return e.run(ctx)
}

// An ErasePersonInput names a person by one of three values.
type ErasePersonInput struct {
	EraseInput // without ContactID

	Email       string // compared in the form of [MatchEmail]
	PhoneNumber string // E.164; with PhoneForms in the account's [DuplicatePolicy], its equivalent forms too
	ExternalID  string

	// All erases every contact that has the value. False: more than one is
	// CodeAmbiguousMatch.
	All bool
}

// ErasePerson erases the live and deleted contacts that have an e-mail address, a
// number or an external id, as EraseContact does. It returns a receipt for each of
// those that were erased, also with an error.
//
// Its errors are those of EraseContact, and CodeAmbiguousMatch with the ids of up to
// 100 of the contacts, of which it erases none. CodeNotFound: no contact has the value, so a
// second call returns no receipt. EraseContact does, by the id of the contact.
func (a *Admin) ErasePerson(ctx context.Context, in ErasePersonInput) ([]Erasure, error) {
	return a.eachOfPerson(ctx, &in, a.EraseContact)
}

// PreviewErasures returns the receipts that ErasePerson would return, without ids and
// digests. It stores nothing. With All, each receipt is as if the other contacts
// stayed: what they share counts as shared. Its errors are those of ErasePerson.
func (a *Admin) PreviewErasures(ctx context.Context, in ErasePersonInput) ([]Erasure, error) {
	return a.eachOfPerson(ctx, &in, a.PreviewErasure)
}

// eachOfPerson erases, or previews, each contact that the input names.
func (a *Admin) eachOfPerson(ctx context.Context, in *ErasePersonInput, erase func(context.Context, EraseInput) (*Erasure, error)) ([]Erasure, error) {
	key, err := in.key()
	if err != nil {
		return nil, err
	}
	policy, err := a.DuplicatePolicy(ctx, in.AccountID)
	if err != nil {
		return nil, err
	}
	var found []Conflict
	seen := make(map[uuid.UUID]bool)
	for r, err := range a.records(ctx, ContactQuery{AccountID: in.AccountID, MatchKeys: policy.withForms([]MatchKey{key})}, nil) {
		if err != nil {
			return nil, newServerError(err)
		}
		if id := r.Contact.ID; !seen[id] {
			seen[id] = true
			_, form := r.Contact.fieldOf(key)
			found = append(found, Conflict{Field: string(key.Kind), ContactID: id, Form: form})
		}
	}
	switch {
	case len(found) == 0:
		return nil, noSuch("contact")
	case len(found) > 1 && !in.All:
		e := newError(ErrAmbiguous)
		e.Message = string(key.Kind) + ": more than one contact has it"
		e.Conflicts = found[:min(len(found), maxConflicts)]
		e.leaveOut(len(found) - len(e.Conflicts))
		return nil, e
	}
	var erasures []Erasure
	for _, f := range found {
		one := in.EraseInput
		one.ContactID = f.ContactID
		e, err := erase(ctx, one)
		if e != nil {
			erasures = append(erasures, *e)
		}
		if err != nil && !errors.Is(err, ErrNotFound) { // it was purged meanwhile
			return erasures, err
		}
	}
	if len(erasures) == 0 {
		return nil, noSuch("contact")
	}
	return erasures, nil
}

// key returns the match key that the input names.
func (in *ErasePersonInput) key() (k MatchKey, err error) {
	var bad problems
	needsAccount(in.AccountID, &bad)
	if in.ContactID != uuid.Nil {
		bad.add("contact_id", FieldInvalid, "must not be given; Admin.EraseContact takes it")
	}
	given := 0
	if in.Email != "" {
		given++
		k = keyOf(KeyEmail, in.Email, "email", &bad)
	}
	if in.PhoneNumber != "" {
		given++
		k = keyOf(KeyPhoneNumber, in.PhoneNumber, "phone_number", &bad)
	}
	if in.ExternalID != "" {
		given++
		k = keyOf(KeyExternalID, in.ExternalID, "external_id", &bad)
	}
	if given != 1 {
		bad.add("email", FieldRequired, "or phone_number or external_id is required, and one of them alone")
	}
	in.Reason = text(in.Reason, "reason", maxEraseReason, &bad)
	return k, bad.err()
}

// keyOf returns the match key that contacts have for a value, as a create stores it.
func keyOf(kind KeyKind, value, field string, bad *problems) MatchKey {
	var found problems
	switch r := (rules{limits: Limits{Email: maxLimit}}); kind { // what is stored may be longer than the limits that hold now
	case KeyEmail:
		value = MatchEmail(r.email(value, &found))
	case KeyPhoneNumber:
		e164, why := r.phones.listed(value)
		if why != "" {
			found.add(field, FieldInvalid, why)
		}
		value = e164
	default:
		value = text(value, field, maxLimit, &found)
	}
	for _, f := range found.list {
		bad.add(field, f.Code, f.Message)
	}
	if value == "" && len(found.list) == 0 {
		bad.add(field, FieldRequired, "must not be empty")
	}
	return MatchKey{kind, value}
}

// Reapply erases the contacts of erasures again that have come back from a backup,
// as they were erased first, and returns how many. The receipts come from
// [Admin.Erasures], before the restore. It can be called as often as one likes:
// contacts that are gone are left alone, and so are accounts that are not there.
//
// Several receipts of one contact are one erasure: with Suppress if one of them has
// it, and with KeepNotes if all have it. It repeats the last of them.
//
// Its errors are those of EraseContact, and CodeValidationError for a receipt that
// is not as it was stored, such as that of a preview; then it erases nothing. After
// another error, those counted are erased.
func (a *Admin) Reapply(ctx context.Context, erasures []Erasure) (int, error) {
	all, err := a.again(erasures)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, e := range all {
		_, err := e.run(ctx)
		if e.removed {
			n++
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return n, err
		}
	}
	return n, nil
}

// again returns the erasures that repeat others, one for each contact.
func (a *Admin) again(erasures []Erasure) (all []*erasing, err error) {
	var bad problems
	type person struct{ account, contact uuid.UUID }
	of := make(map[person]*erasing)
	for i := range erasures {
		receipt := &erasures[i]
		if !receipt.isWhole() {
			bad.add(element("erasures", i), FieldInvalid, "must be a receipt as it was stored")
			continue
		}
		who := person{receipt.AccountID, receipt.ContactID}
		e := of[who]
		if e == nil {
			e = a.newErasing(EraseInput{AccountID: who.account, ContactID: who.contact, KeepNotes: true})
			of[who] = e
			all = append(all, e)
		}
		e.in.Suppress = e.in.Suppress || receipt.Suppressed
		e.in.KeepNotes = e.in.KeepNotes && receipt.KeptNotes
		e.in.Reason, e.repeats = receipt.Reason, receipt.ID
	}
	return all, bad.err()
}
