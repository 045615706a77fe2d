package contacts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// An Erasure is the receipt of one erasure: what was removed, what stays and why.
// It holds nothing of the person but the contact's id. Its JSON form is what a
// host keeps and shows.
type Erasure struct {
	ID         uuid.UUID     `json:"id"` // zero: from [Admin.PreviewErasure]
	AccountID  uuid.UUID     `json:"account_id"`
	ContactID  uuid.UUID     `json:"contact_id"`
	At         time.Time     `json:"at"`
	Actor      Actor         `json:"actor"`
	Reason     string        `json:"reason,omitempty"` // that of [EraseInput]
	Suppressed bool          `json:"suppressed"`       // blocks were appended for the person's numbers
	KeptNotes  bool          `json:"kept_notes"`       // reasons and references of the ledger stay
	Removed    ErasureCounts `json:"removed"`
	Kept       []ErasureKept `json:"kept"`

	// Reapplies is the earlier erasure that this one repeats, because the contact
	// had come back from a backup. Zero: none.
	Reapplies uuid.UUID `json:"reapplies,omitzero"`

	// Digest is the SHA-256, in hexadecimal, of the receipt's JSON in the
	// canonical form of RFC 8785, without its member digest. It changes with every
	// byte of the receipt. "": from [Admin.PreviewErasure].
	Digest string `json:"digest,omitempty"`
}

// ErasureCounts say how much an erasure removed.
type ErasureCounts struct {
	Contacts      int `json:"contacts"`       // 0: only remains of a contact that had been purged
	Events        int `json:"events"`         // whose changes were removed
	LedgerEntries int `json:"ledger_entries"` // do-not-call entries that lost a number, a note or the contact's id
	Numbers       int `json:"numbers"`        // of the person, that no other live contact has
}

// An ErasureKept is one kind of data that an erasure leaves, and why.
type ErasureKept struct {
	// What is "ledger_entries", "shared_numbers", "events", "idempotency_records", or
	// of what was damaged "unreadable_events" or "unread_numbers".
	What  string `json:"what"`
	Why   string `json:"why"`             // a sentence for people
	Count int    `json:"count,omitempty"` // 0: not counted
}

// digest returns what Digest must be.
func (e Erasure) digest() (string, error) {
	e.Digest = ""
	text, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	canonical := jsontext.Value(text)
	if err := canonical.Canonicalize(); err != nil {
		return "", err
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), nil
}

// entry returns the receipt as the journal keeps it.
func (e *Erasure) entry() (JournalEntry, error) {
	text, err := json.Marshal(e)
	return JournalEntry{Kind: JournalErasure, Subject: contactSubject(e.ContactID), At: e.At, Data: string(text)}, err
}

// parseErasure returns the receipt in an entry of the journal.
func parseErasure(entry *JournalEntry) (e Erasure, err error) {
	if err := json.Unmarshal([]byte(entry.Data), &e); err != nil {
		return e, fmt.Errorf("the erasure with the sequence %d: %w", entry.Sequence, err)
	}
	return e, nil
}

// Erasures yields the receipts of an account's erasures that were made at since or
// later, in the order in which they were stored. The zero time is all of them. An
// error ends it: CodeNotFound for an unknown account, CodeServerError.
//
// Keep them where a restored backup does not overwrite them, and give them to
// [Admin.Reapply] after each restore. A walk reads the erasures of the account and
// no other entries of its journal.
func (a *Admin) Erasures(ctx context.Context, accountID uuid.UUID, since time.Time) iter.Seq2[Erasure, error] {
	return func(yield func(Erasure, error) bool) {
		if _, err := a.account(ctx, accountID); err != nil {
			yield(Erasure{}, err)
			return
		}
		for entry, err := range a.journal(ctx, JournalQuery{AccountID: accountID, Kind: JournalErasure}) {
			if err != nil {
				yield(Erasure{}, err)
				return
			}
			if entry.At.Before(since) {
				continue
			}
			e, err := parseErasure(&entry)
			if err != nil {
				yield(Erasure{}, newServerError(err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// journal yields the entries that a query finds, a page at a time. An error ends
// it.
func (a *Admin) journal(ctx context.Context, q JournalQuery) iter.Seq2[JournalEntry, error] {
	const pageSize = 1000
	q.Limit = pageSize
	return func(yield func(JournalEntry, error) bool) {
		q := q // each walk starts at the beginning
		for {
			entries, err := a.store.ListJournal(ctx, q)
			if err != nil {
				yield(JournalEntry{}, newServerError(err))
				return
			}
			for _, e := range entries {
				if !yield(e, nil) {
					return
				}
			}
			if len(entries) < pageSize {
				return
			}
			q.After = entries[len(entries)-1].Sequence
		}
	}
}
