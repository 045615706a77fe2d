// Package checkup holds what the Check methods of the stores have in common: how
// their parts follow each other, and what they say of look-ups and numbers.
package checkup

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/google/uuid"

	"example.com/contacts"
)

// errStopped: the caller has seen enough.
var errStopped = errors.New("the caller has stopped the check")

// A Part is a part of a check. It ends with an error of found.
type Part func(found Found) error

// A Found takes what a part has found. Its error says that the caller wants no more.
type Found func(contacts.Finding) error

// Walk yields what the parts find, one after the other, and at last what
// [contacts.CheckStore] finds. A part that cannot go on because something is damaged,
// which isDamage tells from its error, is a finding itself, and the next part follows.
// Any other error ends the walk.
func Walk(ctx context.Context, store contacts.Store, isDamage func(error) bool, parts ...Part) iter.Seq2[contacts.Finding, error] {
	parts = append(parts, func(found Found) error {
		for f, err := range contacts.CheckStore(ctx, store) {
			if err == nil {
				err = found(f)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return func(yield func(contacts.Finding, error) bool) {
		found := func(f contacts.Finding) error {
			if !yield(f, nil) {
				return errStopped
			}
			return nil
		}
		for _, part := range parts {
			err := part(found)
			if err != nil && isDamage(err) {
				err = found(Integrity("a part of the check ended early: " + causeOf(err)))
			}
			switch {
			case errors.Is(err, errStopped):
				return
			case err != nil:
				yield(contacts.Finding{}, err)
				return
			}
		}
	}
}

// causeOf returns the text of an error. Of a server error that is the cause.
func causeOf(err error) string {
	if e, ok := errors.AsType[*contacts.Error](err); ok && errors.Unwrap(e) != nil {
		err = errors.Unwrap(e)
	}
	return err.Error()
}

// Integrity says that the database itself is damaged.
func Integrity(message string) contacts.Finding {
	return contacts.Finding{
		Severity: contacts.SeverityError, Code: "integrity", Message: message,
		Advice: "Restore a backup, and find out what is wrong with the disk or the memory of the machine.",
	}
}

const rebuild = "Rebuild the look-ups: contacts doctor --rebuild-lookups."

// LookupMissing says that the look-ups miss an entry of a contact.
func LookupMissing(account, contact uuid.UUID) contacts.Finding {
	return contacts.Finding{
		Severity: contacts.SeverityError, Code: "lookup_missing", AccountID: account, ContactID: contact,
		Message: "the look-ups miss an entry of the contact, so that searches and duplicate policies do not see it", Advice: rebuild,
	}
}

// LookupExtra says that the look-ups have an entry that the contact does not have.
// There may be no such contact.
func LookupExtra(account, contact uuid.UUID) contacts.Finding {
	return contacts.Finding{
		Severity: contacts.SeverityWarning, Code: "lookup_extra", AccountID: account, ContactID: contact,
		Message: "the look-ups have an entry that no contact has any more", Advice: rebuild,
	}
}

// KeyMissing says that the index of idempotency keys misses one of an account.
func KeyMissing(account uuid.UUID) contacts.Finding {
	return contacts.Finding{
		Severity: contacts.SeverityError, Code: "lookup_missing", AccountID: account,
		Message: "the look-ups miss an idempotency key, so that a call which is sent again with it is done twice", Advice: rebuild,
	}
}

// KeyExtra says that the index of idempotency keys has an entry too many.
func KeyExtra(account uuid.UUID) contacts.Finding {
	return contacts.Finding{
		Severity: contacts.SeverityWarning, Code: "lookup_extra", AccountID: account,
		Message: "the look-ups have an entry of an idempotency key twice, or one that is not stored any more", Advice: rebuild,
	}
}

// A Numbering is the lowest and the highest number of an account's journal, and the
// number of its newest entry, as it is kept apart. The newest entry is never removed, so
// the last two are the same, and 0 if there never was an entry.
type Numbering struct {
	Lowest, Highest, Newest int64
	Lost                    bool // there is no Newest, in a store where every account has one
}

// Wrong says that the numbers of an account are wrong.
func (n Numbering) Wrong(account uuid.UUID) contacts.Finding {
	f := contacts.Finding{
		Severity: contacts.SeverityError, Code: "sequence_wrong", AccountID: account, Sequence: n.Highest,
		Message: fmt.Sprintf("the newest entry of the journal has the number %d, and the account says %d", n.Highest, n.Newest),
		Advice:  "Restore a backup. Until then the changes of this account may not be stored.",
	}
	switch {
	case n.Lowest < 1:
		f.Sequence = n.Lowest
		f.Message = fmt.Sprintf("an entry of the journal has the number %d, which is below 1", n.Lowest)
	case n.Lost:
		f.Message = "the account does not say which number its newest entry has"
	case n.Highest < n.Newest:
		f.Sequence = n.Newest
		f.Message = fmt.Sprintf("the newest entry of the journal, number %d, is gone: the last one that is there has the number %d", n.Newest, n.Highest)
		if n.Highest == 0 {
			f.Message = fmt.Sprintf("the newest entry of the journal, number %d, is gone, and no other is there", n.Newest)
		}
		f.Advice = "Restore a backup. Until then histories, readers of events and the do-not-call list may lack entries."
	}
	return f
}
