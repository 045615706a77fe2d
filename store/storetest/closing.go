package storetest

import (
	"errors"
	"sync"
	"testing"

	"example.com/contacts"
)

var closingCases = []testCase{
	{
		"every method",
		"From then on every method returns ErrClosed.",
		func(t *testing.T, s *store) {
			calls := s.everyCall(t)
			if err := s.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
			for _, c := range calls {
				for _, err := range c.call(t.Context()) {
					wantErr(t, c.name, err, contacts.ErrClosed)
				}
			}
		},
	},
	{
		"twice",
		"Close may be called twice; the second call returns nil.",
		func(t *testing.T, s *store) {
			s.tenant(t)
			for range 2 {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
		},
	},
	{
		"by many at once",
		concurrencyRule,
		func(t *testing.T, s *store) {
			s.tenant(t)
			together(many, func(int) { wantErr(t, "Close", s.Close(), nil) })
		},
	},
	{
		"while calls run",
		"Close finishes what was accepted and releases what the store holds.",
		func(t *testing.T, s *store) { closeWhileCalled(t, s) },
	},
}

// closeWhileCalled closes the store while contacts are created, found and
// listed, and checks that each call succeeded or got ErrClosed, and that none succeeded that
// started after Close. It returns the contacts with their errors.
func closeWhileCalled(t *testing.T, s *store) (records []*contacts.ContactRecord, errs []error) {
	t.Helper()
	const callers, calls = 16, 6
	a := s.tenant(t, 1)
	var mu sync.Mutex // guards records and errs
	create := func() error {
		r := newFullContact(a, 1)
		err := s.createOne(t, r)
		mu.Lock()
		records, errs = append(records, r), append(errs, err)
		mu.Unlock()
		if err == nil {
			_, err = s.FindContact(t.Context(), a, r.Contact.ID)
		}
		if err == nil {
			_, err = s.ListContacts(t.Context(), contacts.ContactQuery{AccountID: a, AllTeams: true, Tag: "vip", Deleted: true, Limit: 1})
		}
		if err != nil && !errors.Is(err, contacts.ErrOutcomeUnknown) {
			wantErr(t, "a call while the store is closed", err, contacts.ErrClosed)
		}
		return err
	}
	var busy sync.WaitGroup
	busy.Add(callers)
	closed := make(chan struct{})
	together(callers+1, func(i int) {
		if i == callers {
			busy.Wait() // each of the others has made a call, and now makes more
			wantErr(t, "Close while calls run", s.Close(), nil)
			close(closed)
			return
		}
		err := create()
		busy.Done()
		for n := 1; n < calls && err == nil; n++ {
			err = create()
		}
		if <-closed; err == nil && create() == nil {
			t.Error("a call that started after Close succeeded")
		}
	})
	return records, errs
}
