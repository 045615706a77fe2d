package erasetest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// Reapply erases a person who is in a backup. restore brings the backup back
// and returns the account in it: the person is there again, until the erasure is
// applied again.
func Reapply(t *testing.T, w *World, person *contacts.Contact, restore func() *World) {
	first := w.Erase(t, person, true)
	kept := w.erasures(t, first.At)
	w = restore()
	if _, err := w.Service.GetContact(t.Context(), w.Key, person.ID); err != nil {
		t.Fatalf("the backup has not brought the person back: %v", err)
	}
	foreign := kept[0]
	foreign.AccountID = uuid.Must(uuid.NewV7()) // of an account that the backup has not
	for _, want := range []int{1, 0} {
		if n, err := w.Admin.Reapply(t.Context(), append([]contacts.Erasure{foreign}, kept...)); n != want || err != nil {
			t.Errorf("Reapply returned %d, %v; want %d", n, err, want)
		}
	}
	list := w.erasures(t, first.At)
	if len(list) != 1 || list[0].Reapplies != first.ID || list[0].ID == first.ID || !list[0].Suppressed || list[0].Reason != first.Reason {
		t.Errorf("erasures after Reapply: %+v; the first was %+v", list, first)
	}
	w.WantErased(t)
}

func (w *World) erasures(t *testing.T, since time.Time) (all []contacts.Erasure) {
	t.Helper()
	for e, err := range w.Admin.Erasures(t.Context(), w.Account.ID, since) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// SharedNumber erases persons, one after the other, while somebody else creates a
// relative with the same number. The number is in the ledger if the relative came
// first, and gone from it otherwise. It is listed for the relative in any case.
//
// relative lets the other one begin, who returns the id of the relative.
func SharedNumber(t *testing.T, w *World, rounds int, relative func(number string) (end func() uuid.UUID)) {
	kept := 0
	for i := range rounds {
		number := fmt.Sprintf("+1555%07d", 2_000_000+i)
		person, err := w.Service.CreateContact(t.Context(), w.Key, contacts.CreateContactInput{
			FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number, DoNotCall: true}},
		})
		if err != nil {
			t.Fatal(err)
		}
		end := relative(number)
		for range rand.IntN(3) { // so that either comes first
			w.WantListed(t, number)
		}
		e := w.Erase(t, person, false)
		id := end()

		shared := e.Removed.Numbers == 0
		if shared {
			kept++
		}
		status, err := w.Service.DoNotCallStatus(t.Context(), w.Key, number)
		if err != nil || !status.DoNotCall || len(status.Entries) != 1 || (status.Entries[0].PhoneNumber == number) != shared || status.Entries[0].ContactID != uuid.Nil {
			t.Errorf("round %d: the number is shared: %t; its status: %+v, %v", i, shared, status, err)
		}
		c, err := w.Service.GetContact(t.Context(), w.Key, id)
		if err != nil || !c.PhoneNumbers[0].DoNotCall {
			t.Errorf("round %d: the relative: %+v, %v", i, c, err)
		}
	}
	t.Logf("%d rounds, in %d of which the number was kept", rounds, kept)
}
