package ledgertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/contacts"
	"example.com/contacts/store/internal/erasetest"
)

// Scenarios makes the calls of each scenario in an account of its own.
func Scenarios(t *testing.T, store contacts.Store) {
	t.Helper()
	for _, s := range []struct {
		name string
		run  func(t *testing.T, s *scene)
	}{
		{"TestPatchFalseIsRefused", patchFalseIsRefused},
		{"TestPutFalseIsKept", putFalseIsKept},
		{"TestPatchNullIsNothing", patchNullIsNothing},
		{"TestListTwice", listTwice},
		{"TestListLeavesGrants", listLeavesGrants},
		{"TestOverGrants", overGrants},
		{"TestExpiry", expiry},
		{"TestGrantExpires", grantExpires},
		{"TestOrderIsByAt", orderIsByAt},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.run(t, newScene(t, store))
		})
	}
}

// A scene is an account with a clock that only the scenario moves.
type scene struct {
	*erasetest.World
	now time.Time
}

func newScene(t testing.TB, store contacts.Store) *scene {
	t.Helper()
	s := &scene{World: erasetest.New(t, store), now: time.Now().UTC().Truncate(time.Microsecond)}
	var err error
	if s.Service, err = contacts.New(store, &contacts.Options{Now: func() time.Time { return s.now }}); err != nil {
		t.Fatal(err)
	}
	return s
}

// create creates a contact with the number.
func (s *scene) create(t testing.TB, doNotCall bool) *contacts.Contact {
	t.Helper()
	c, err := s.Service.CreateContact(t.Context(), s.Key, withNumber(doNotCall))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func withNumber(doNotCall bool) contacts.CreateContactInput {
	return contacts.CreateContactInput{FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number, DoNotCall: doNotCall}}}
}

// patch gives the contact the number, with do_not_call as the JSON says.
func (s *scene) patch(t testing.TB, c *contacts.Contact, doNotCall string) (*contacts.Contact, error) {
	body := `{"phone_numbers": [{"phone_number": "` + number + `", "do_not_call": ` + doNotCall + `}]}`
	return s.Service.UpdateContactJSON(t.Context(), s.Key, c.ID, strings.NewReader(body), nil)
}

func (s *scene) block(t testing.TB, in contacts.DoNotCallInput) *contacts.DoNotCallStatus {
	t.Helper()
	return block(t, s.Service, s.Key, in)
}

// grant opens a number.
func (s *scene) grant(t testing.TB, in contacts.DoNotCallInput) *contacts.DoNotCallStatus {
	t.Helper()
	in.Reason, in.Reference = "asked to be called", "form 12"
	status, err := s.Service.GrantCalls(t.Context(), s.Key, in)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// listed reports what CanCall says.
func (s *scene) listed(t testing.TB, number string) bool {
	t.Helper()
	err := s.Service.CanCall(t.Context(), s.Key, number)
	if err != nil && contacts.CodeOf(err) != contacts.CodeDoNotCall {
		t.Fatal(err)
	}
	return err != nil
}

func patchFalseIsRefused(t *testing.T, s *scene) {
	c := s.create(t, true)
	_, err := s.patch(t, c, "false")
	e, _ := errors.AsType[*contacts.Error](err)
	if e == nil || e.Code != contacts.CodeValidationError || len(e.Details) != 1 || e.Details[0].Field != "phone_numbers[0].do_not_call" || e.Details[0].Code != contacts.FieldDoNotCall {
		t.Errorf("got %v, want the number refused", err)
	}
	s.now = s.now.Add(time.Second)
	s.grant(t, contacts.DoNotCallInput{PhoneNumber: number})
	if got, err := s.patch(t, c, "false"); err != nil || got.PhoneNumbers[0].DoNotCall {
		t.Errorf("after a grant: %v, %v", got, err)
	}
}

func putFalseIsKept(t *testing.T, s *scene) {
	c := s.create(t, true)
	got, err := s.Service.ReplaceContact(t.Context(), s.Key, c.ID, withNumber(false), nil)
	if err != nil || !got.PhoneNumbers[0].DoNotCall || got.Version != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func patchNullIsNothing(t *testing.T, s *scene) {
	for _, listed := range []bool{false, true} {
		c := s.create(t, listed)
		got, err := s.patch(t, c, "null")
		if err != nil || got.PhoneNumbers[0].DoNotCall != listed {
			t.Errorf("listed %t: got %v, %v", listed, got, err)
		}
	}
	n := 0
	for _, e := range ReadJournal(t, s.Store, s.Account.ID) {
		if e.Kind == contacts.JournalDoNotCall {
			n++
		}
	}
	if n != 2 {
		t.Errorf("the ledger has %d entries, want the block and its companion", n)
	}
}

// list returns n numbers of a list.
func list(n int) (in []contacts.DoNotCallInput) {
	for i := range n {
		in = append(in, contacts.DoNotCallInput{PhoneNumber: fmt.Sprintf("+1202555%04d", i), Source: "list:a"})
	}
	return in
}

func listTwice(t *testing.T, s *scene) {
	const n = 50
	given := append(list(n), list(1)[0], contacts.DoNotCallInput{PhoneNumber: "call me"})
	for i, added := range []int{n, 0} {
		r, err := s.Service.BlockCallsBatch(t.Context(), s.Key, contacts.BlockCallsBatchInput{Entries: given, ExpiresAt: s.now.Add(time.Hour)})
		if err != nil || r.Added != added || r.Unchanged != n+1-added || r.Failed != 1 || r.Errors[0].Index != n+1 {
			t.Errorf("batch %d: got %+v, %v", i, r, err)
		}
	}
	for i, added := range []int{n, 0} { // they have no expiry, so they are others
		var total contacts.BlockCallsResult
		for r, err := range s.Service.BlockCallsStream(t.Context(), s.Key, slices.Values(given), nil) {
			if err != nil {
				t.Fatal(err)
			}
			total.Added, total.Unchanged, total.Failed = total.Added+r.Added, total.Unchanged+r.Unchanged, total.Failed+r.Failed
		}
		if total.Added != added || total.Unchanged != n+1-added || total.Failed != 1 {
			t.Errorf("stream %d: got %+v", i, total)
		}
	}
	var listed []int64
	for e, err := range s.Service.DoNotCallEntries(t.Context(), s.Key, contacts.ListDoNotCallInput{Source: "list:a"}) {
		if err != nil || e.Actor.Kind != contacts.ActorKey {
			t.Fatal(e, err)
		}
		listed = append(listed, e.Sequence)
	}
	if len(listed) != 2*n {
		t.Fatalf("the ledger lists %d entries, want %d", len(listed), 2*n)
	}
	page, err := s.Service.ListDoNotCall(t.Context(), s.Key, contacts.ListDoNotCallInput{Limit: 7})
	if err != nil || len(page.Entries) != 7 || page.NextCursor == "" {
		t.Fatalf("got %+v, %v", page, err)
	}
	next, err := s.Service.ListDoNotCall(t.Context(), s.Key, contacts.ListDoNotCallInput{Limit: 7, Cursor: page.NextCursor})
	if err != nil || next.Entries[0].Sequence != listed[7] {
		t.Errorf("got %+v, %v after %+v", next, err, page)
	}
}

func listLeavesGrants(t *testing.T, s *scene) {
	first := list(1)[0].PhoneNumber
	s.block(t, contacts.DoNotCallInput{PhoneNumber: first})
	s.now = s.now.Add(time.Second)
	s.grant(t, contacts.DoNotCallInput{PhoneNumber: first})
	s.now = s.now.Add(time.Second)
	r, err := s.Service.BlockCallsBatch(t.Context(), s.Key, contacts.BlockCallsBatchInput{Entries: list(3)})
	if err != nil || r.Added != 2 || r.Granted != 1 || s.listed(t, first) {
		t.Errorf("got %+v, %v", r, err)
	}
}

func overGrants(t *testing.T, s *scene) {
	s.grant(t, contacts.DoNotCallInput{PhoneNumber: number})
	s.now = s.now.Add(time.Second)
	in := contacts.BlockCallsBatchInput{Entries: []contacts.DoNotCallInput{{PhoneNumber: number}}, OverGrants: true}
	for _, added := range []int{1, 0} {
		r, err := s.Service.BlockCallsBatch(t.Context(), s.Key, in)
		if err != nil || r.Added != added || r.Granted != 0 || !s.listed(t, number) {
			t.Errorf("got %+v, %v", r, err)
		}
	}
}

func expiry(t *testing.T, s *scene) {
	c := s.create(t, false)
	get := func() *contacts.Contact {
		t.Helper()
		got, err := s.Service.GetContact(t.Context(), s.Key, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	end := s.now.Add(time.Hour)
	status := s.block(t, contacts.DoNotCallInput{PhoneNumber: number, ExpiresAt: end})
	if !status.DoNotCall || !status.Until.Equal(end) {
		t.Errorf("got %+v", status)
	}
	if got := get(); !got.PhoneNumbers[0].DoNotCall || !got.DoNotCallChangesAt.Equal(end) {
		t.Errorf("got %+v", got)
	}
	s.now = end
	if got := get(); got.PhoneNumbers[0].DoNotCall || s.listed(t, number) || !got.DoNotCallChangesAt.IsZero() {
		t.Errorf("when it has ended: %+v", got)
	}
	if page, err := s.Service.ListDoNotCall(t.Context(), s.Key, contacts.ListDoNotCallInput{}); err != nil || len(page.Entries) != 0 {
		t.Errorf("the list has %+v, %v", page, err)
	}
}

func grantExpires(t *testing.T, s *scene) {
	s.block(t, contacts.DoNotCallInput{PhoneNumber: number})
	s.now = s.now.Add(time.Second)
	end := s.now.Add(time.Hour)
	if status := s.grant(t, contacts.DoNotCallInput{PhoneNumber: number, ExpiresAt: end}); status.DoNotCall {
		t.Errorf("got %+v", status)
	}
	s.now = end
	if !s.listed(t, number) {
		t.Error("the block does not hold again")
	}
}

func orderIsByAt(t *testing.T, s *scene) {
	hours := func(n int) time.Time { return s.now.Add(time.Duration(n) * time.Hour) }
	s.grant(t, contacts.DoNotCallInput{PhoneNumber: number, At: hours(-1)})
	if status := s.block(t, contacts.DoNotCallInput{PhoneNumber: number, At: hours(-2)}); status.DoNotCall || status.Unchanged {
		t.Errorf("a block that was said before the grant: %+v", status)
	}
	if status := s.block(t, contacts.DoNotCallInput{PhoneNumber: number, At: hours(-1)}); !status.DoNotCall {
		t.Errorf("a block of the time of the grant: %+v", status)
	}
	status, err := s.Service.DoNotCallStatus(t.Context(), s.Key, number)
	if err != nil || len(status.Entries) != 3 || status.Entries[0].Sequence != 3 {
		t.Errorf("got %+v, %v", status, err)
	}
}
