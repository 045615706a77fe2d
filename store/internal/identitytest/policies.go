package identitytest

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
)

// Duplicates from before a policy stay, and can be changed.
func policySwitch(t *testing.T, s *scene) {
	first, twin, third := s.create(t, named("ada")).Contact, s.create(t, named("ada")).Contact, s.create(t, named("bob")).Contact
	s.setPolicy(t, contacts.DuplicatePolicy{Action: contacts.DuplicateReject})
	change := func(in contacts.UpdateContactInput) error {
		_, err := s.service().UpdateContact(t.Context(), s.key, twin.ID, in, nil)
		return err
	}
	if err := change(contacts.UpdateContactInput{City: new("Paris"), Email: new("ADA@example.com")}); err != nil {
		t.Errorf("another field, and the same address in other letters: %v", err)
	}
	wantError(t, change(contacts.UpdateContactInput{Email: &third.Email}), contacts.CodeDuplicateContact, contacts.Conflict{Field: "email", ContactID: third.ID})
	_, err := s.service().ReplaceContact(t.Context(), s.key, twin.ID, named("bob"), nil)
	wantError(t, err, contacts.CodeDuplicateContact, contacts.Conflict{Field: "email", ContactID: third.ID})
	_, err = s.service().CreateContact(t.Context(), s.key, named("ada"))
	wantError(t, err, contacts.CodeDuplicateContact,
		contacts.Conflict{Field: "email", ContactID: first.ID}, contacts.Conflict{Field: "email", ContactID: twin.ID})
	s.delete(t, twin.ID)
	_, err = s.service().RestoreContact(t.Context(), s.key, twin.ID, nil)
	wantError(t, err, contacts.CodeDuplicateContact, contacts.Conflict{Field: "email", ContactID: first.ID})
}

// A late store does something before its next writes, which are decided already.
type late struct {
	contacts.Store
	writes int // before so many of them
	before func()
}

func (l *late) Apply(ctx context.Context, batch contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	if l.writes > 0 {
		l.writes--
		l.before()
	}
	return l.Store.Apply(ctx, batch)
}

// late returns a service whose store rejects duplicates from its next writes on. Each
// time that is another version of the settings.
func (s *scene) late(t testing.TB) (*contacts.Service, *late) {
	t.Helper()
	store := &late{Store: s.stores[len(s.stores)-1], before: func() { s.setPolicy(t, contacts.DuplicatePolicy{Action: contacts.DuplicateReject}) }}
	service, err := contacts.New(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	return service, store
}

// A create that was decided before a policy was set is stored after it. Every store
// refuses it, whether it claims a key or not, and it is decided again.
func decidedByAnOldPolicy(t *testing.T, s *scene) {
	for _, externalID := range []string{"", "1"} {
		s := newScene(t, s.stores)
		first := s.create(t, named("ada")).Contact
		service, store := s.late(t)
		store.writes = 1
		in := named("ada")
		in.ExternalID = externalID
		_, err := service.CreateContact(t.Context(), s.key, in)
		wantError(t, err, contacts.CodeDuplicateContact, contacts.Conflict{Field: "email", ContactID: first.ID})
	}
}

// Settings that change before each of three writes end a call. A replay is judged before
// the settings.
func staleSettings(t *testing.T, s *scene) {
	service, store := s.late(t)
	in := named("ada")
	in.IdempotencyKey = "once"
	first := s.create(t, in).Contact
	store.writes = 3
	again, err := service.CreateContactResult(t.Context(), s.key, in)
	if diff := cmp.Diff(contacts.CreateResult{Contact: first, Result: contacts.ResultCreated, Replayed: true}, again); diff != "" || err != nil {
		t.Errorf("the replay: %v (-want +got):\n%s", err, diff)
	}
	if store.writes != 2 {
		t.Errorf("the settings have changed %d times before the replay, want once", 3-store.writes)
	}

	store.writes = 2
	if _, err := service.CreateContact(t.Context(), s.key, named("bob")); err != nil {
		t.Errorf("the settings have changed twice: %v", err)
	}
	store.writes = 3
	_, err = service.CreateContact(t.Context(), s.key, named("cy"))
	wantError(t, err, contacts.CodeServerError)
	if !errors.Is(err, contacts.ErrStale) {
		t.Errorf("got %v, want ErrStale in it", err)
	}
	if got := len(s.stored(t).Live); got != 2 {
		t.Errorf("%d contacts are stored, want 2", got)
	}
}
