package identitytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"example.com/contacts"
)

// Racers is how many callers of one process race.
const Racers = 16

// Told is what a caller was told who races.
type Told struct {
	Result  contacts.Result
	ID      uuid.UUID
	Error   string
	Holders []uuid.UUID // that a CodeDuplicateContact names
}

// Race lets callers store the address of the round at the same time, as many others
// may do in other processes. In odd rounds they make upserts, each with its own tag.
func Race(ctx context.Context, s *contacts.Service, key string, round int) []Told {
	all := make([]Told, Racers)
	var wait sync.WaitGroup
	for i := range all {
		wait.Go(func() {
			in := contacts.CreateContactInput{FirstName: "Ada", Email: address(round)}
			if round%2 == 0 {
				r, err := s.CreateContactResult(ctx, key, in)
				all[i] = told(r.Contact, r.Result, err)
				return
			}
			in.Tags = []string{fmt.Sprint("caller ", i)}
			if r, err := s.UpsertContact(ctx, key, contacts.UpsertContactInput{CreateContactInput: in}); err == nil {
				all[i] = told(r.Contact, r.Result, nil)
			} else {
				all[i] = told(nil, "", err)
			}
		})
	}
	wait.Wait()
	return all
}

func address(round int) string { return fmt.Sprintf("ada.%d@example.com", round) }

func told(c *contacts.Contact, result contacts.Result, err error) (t Told) {
	t.Result = result
	if c != nil {
		t.ID = c.ID
	}
	if err == nil {
		return t
	}
	t.Error = err.Error()
	if e, ok := errors.AsType[*contacts.Error](err); ok && e.Code == contacts.CodeDuplicateContact {
		for _, conflict := range e.Conflicts {
			t.Holders = append(t.Holders, conflict.ContactID)
		}
	}
	return t
}

// WantOne checks that one live contact has the address of the round, and that all
// were told of it. One of them created it, who may have been killed.
func WantOne(t testing.TB, s *contacts.Service, key string, round int, all []Told, killed bool) {
	t.Helper()
	page, err := s.ListContacts(t.Context(), key, contacts.ListContactsInput{Email: address(round)})
	if err != nil || len(page.Contacts) != 1 {
		t.Fatalf("round %d: %v, %v; want one contact", round, page, err)
	}
	id, created := page.Contacts[0].ID, 0
	for _, told := range all {
		switch {
		case told.Result == contacts.ResultCreated && told.ID == id:
			created++
		case round%2 == 0 && slices.Equal(told.Holders, []uuid.UUID{id}):
		case round%2 == 1 && (told.Result == contacts.ResultUpdated || told.Result == contacts.ResultUnchanged) && told.ID == id:
		default:
			t.Errorf("round %d: a caller was told %+v, and the contact is %s", round, told, id)
		}
	}
	if created > 1 || created == 0 && !killed {
		t.Errorf("round %d: %d callers were told that they created", round, created)
	}
}

// NewService returns a service on an account that rejects duplicates, and a key of
// it.
func NewService(t testing.TB, store contacts.Store) (*contacts.Service, string) {
	t.Helper()
	w := newWorld(t, []contacts.DuplicatePolicy{Both(contacts.DuplicateReject)}, []contacts.Store{store})
	return w.services[0], w.key
}
