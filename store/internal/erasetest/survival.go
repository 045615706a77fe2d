package erasetest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// OldNumberIsErased erases a person who has had another number. That number is
// erased too, and stays listed. wantNothing checks that the store has nothing of the
// person, and may close it.
func OldNumberIsErased(t *testing.T, w *World, wantNothing func()) {
	phones := func(n string, blocked bool) []contacts.PhoneNumberInput {
		return []contacts.PhoneNumberInput{{PhoneNumber: n, DoNotCall: blocked}}
	}
	c, err := w.Service.CreateContact(t.Context(), w.Key, contacts.CreateContactInput{FirstName: word("First", 1), PhoneNumbers: phones(OldNumber, true)})
	if err != nil {
		t.Fatal(err)
	}
	changed := Number
	in := contacts.UpdateContactInput{PhoneNumbers: &[]contacts.UpdatePhoneNumber{{PhoneNumber: &changed}}}
	if _, err := w.Service.UpdateContact(t.Context(), w.Key, c.ID, in, nil); err != nil {
		t.Fatal(err)
	}
	if e := w.Erase(t, c, false); e.Removed.Numbers != 2 {
		t.Errorf("removed %+v", e.Removed)
	}
	w.WantListed(t, OldNumber)
	if err := w.Service.CanCall(t.Context(), w.Key, Number); err != nil {
		t.Errorf("CanCall of a number that nobody blocked: %v", err)
	}
	wantNothing()
}

// SurvivesErasure erases a person by a secret of the host. The objections to calls
// outlive what the store has of the person. again checks that this is nothing, and
// returns the store, opened again if it can be.
func SurvivesErasure(t *testing.T, store contacts.Store, again func() contacts.Store) {
	secrets := [][]byte{[]byte("a secret of the host, 32 bytes..")}
	service := func(store contacts.Store, secrets [][]byte) *contacts.Service {
		t.Helper()
		s, err := contacts.New(store, &contacts.Options{DoNotCallSecrets: secrets})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	w := New(t, store)
	w.Service, w.Admin = service(store, secrets), contacts.NewAdmin(store, &contacts.AdminOptions{DoNotCallSecrets: secrets})
	w.Erase(t, w.Person(t), false)
	w.WantErased(t)
	store = again()
	w.Service = service(store, secrets)
	w.WantListed(t, Number)
	c, err := w.Service.CreateContact(t.Context(), w.Key, contacts.CreateContactInput{
		FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: Number}},
	})
	if err != nil || !c.PhoneNumbers[0].DoNotCall {
		t.Errorf("a new contact with the number: %+v, %v", c, err)
	}
	if err := w.Service.CheckDoNotCall(t.Context()); err != nil {
		t.Errorf("CheckDoNotCall: %v", err)
	}
	if err := service(store, [][]byte{[]byte("another secret of the host, 32 b")}).CheckDoNotCall(t.Context()); contacts.CodeOf(err) != contacts.CodeServerError {
		t.Errorf("CheckDoNotCall with another secret: %v", err)
	}
}

// Reapply erases a person who is in a backup. restore brings the backup back
// and returns the account in it: the person is there again, until the erasure is
// applied again.
func Reapply(t *testing.T, w *World, person *contacts.Contact, restore func() *World) {
	other := New(t, w.Store) // an account that the backup has not
	foreign := other.Erase(t, other.Person(t), true)
	first := w.Erase(t, person, true)
	kept := w.erasures(t, first.At)
	w = restore()
	if _, err := w.Service.GetContact(t.Context(), w.Key, person.ID); err != nil {
		t.Fatalf("the backup has not brought the person back: %v", err)
	}
	for _, want := range []int{1, 0} {
		if n, err := w.Admin.Reapply(t.Context(), append([]contacts.Erasure{*foreign}, kept...)); n != want || err != nil {
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

// Relative lets a goroutine create a contact with a number. It serves SharedNumber.
func (w *World) Relative(t *testing.T) func(number string) (end func() uuid.UUID) {
	return func(number string) (end func() uuid.UUID) {
		created := make(chan uuid.UUID, 1)
		go func() {
			c, err := w.Service.CreateContact(t.Context(), w.Key, contacts.CreateContactInput{
				FirstName: "Bob", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number}},
			})
			if err != nil {
				t.Error(err)
				c = new(contacts.Contact)
			}
			created <- c.ID
		}()
		return func() uuid.UUID { return <-created }
	}
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
