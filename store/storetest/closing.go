package storetest

import (
	"errors"
	"sync"

	"example.com/contacts"
)

const closeRule = "Close finishes what was accepted and releases what the store holds."

var closingCases = []testCase{
	{
		"every method",
		"After that every method returns ErrClosed.",
		func(t *test, s *store) {
			calls := s.everyCall(t)
			if err := s.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
			for _, c := range calls {
				wantErr(t, c.name, c.call(t.Context()), contacts.ErrClosed)
			}
		},
	},
	{
		"twice",
		"Close may be called twice; the second call returns nil.",
		func(t *test, s *store) {
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
		func(t *test, s *store) {
			s.tenant(t)
			together(many, func(int) { wantErr(t, "Close", s.Close(), nil) })
		},
	},
	{
		"while calls run",
		closeRule,
		func(t *test, s *store) { closeWhileCalled(t, s) },
	},
}

// closeWhileCalled closes the store while contacts are created, found and listed.
// It checks that each call succeeded or got ErrClosed, and that none succeeded
// that started after Close. It returns the contacts with their errors.
func closeWhileCalled(t *test, s *store) (records []*contacts.ContactRecord, errs []error) {
	t.Helper()
	const callers, calls = 16, 6
	a := s.tenant(t, 1)
	var mu sync.Mutex // guards records and errs
	use := func() error {
		r := newFullContact(a, 1)
		err := s.one(t.Context(), create(r)).Err
		mu.Lock()
		records, errs = append(records, r), append(errs, err)
		mu.Unlock()
		if err == nil {
			_, err = s.FindContact(t.Context(), a, r.Contact.ID)
		}
		if err == nil {
			_, err = s.ListContacts(t.Context(), contacts.ContactQuery{AccountID: a, AllTeams: true, Tag: "vip", Limit: 1})
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
		err := use()
		busy.Done()
		for n := 1; n < calls && err == nil; n++ {
			err = use()
		}
		if <-closed; err == nil && use() == nil {
			t.Error("a call that started after Close succeeded")
		}
	})
	return records, errs
}
