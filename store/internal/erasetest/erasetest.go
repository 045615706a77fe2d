// Package erasetest makes a person whose every value can be found again, wherever
// a database has it. It serves the tests that nothing of an erased person is left.
package erasetest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"example.com/contacts"
)

// The numbers of the person. OldNumber is that of earlier times.
const (
	OldNumber = "+15557650911"
	Number    = "+15557650922"
	Second    = "+15557650933"
)

// A World is an account with events on, in a store.
type World struct {
	Store   contacts.Store
	Service *contacts.Service
	Admin   *contacts.Admin
	Account *contacts.Account
	Key     string // may do everything
}

// New returns a new account in the store.
func New(t testing.TB, store contacts.Store) *World {
	t.Helper()
	admin := contacts.NewAdmin(store, nil)
	account, err := admin.CreateAccount(t.Context(), "Acme")
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.SetEvents(t.Context(), account.ID, contacts.EventSettings{On: true}); err != nil {
		t.Fatal(err)
	}
	return join(t, store, account)
}

// Join returns the account that New made, for a store that was opened again or by
// another process. It has a key of its own.
func Join(t testing.TB, store contacts.Store) *World {
	t.Helper()
	for account, err := range contacts.NewAdmin(store, nil).Accounts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		return join(t, store, &account)
	}
	t.Fatal("the store has no account")
	return nil
}

func join(t testing.TB, store contacts.Store, account *contacts.Account) *World {
	t.Helper()
	w := &World{Store: store, Admin: contacts.NewAdmin(store, nil), Account: account}
	var err error
	if w.Service, err = contacts.New(store, nil); err != nil {
		t.Fatal(err)
	}
	w.Key, _, err = w.Admin.IssueKey(t.Context(), contacts.IssueKeyInput{
		AccountID: w.Account.ID, AllTeams: true,
		Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts, contacts.PermissionManageDoNotCall},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// word returns an unmistakable word for a field, at one of two times.
func word(field string, time int) string { return fmt.Sprintf("Qzv%dx%sKjw", time, field) }

// values returns the contact at one of two times, without phone numbers.
func values(time int) contacts.CreateContactInput {
	w := func(field string) string { return word(field, time) }
	return contacts.CreateContactInput{
		FirstName: w("First"), LastName: w("Last"), Email: w("mail") + "@" + strings.ToLower(w("domain")) + ".example", Company: w("Company"),
		Website: "https://" + strings.ToLower(w("site")) + ".example/" + w("path"), Address: w("Street") + "\n" + w("Floor"), City: w("City"), State: w("State"),
		ZipCode: w("Zip"), Country: w("Country"), Status: w("Status"), Stage: w("Stage"), ExternalID: w("External"), Tags: []string{w("Tag"), w("OtherTag")},
		CustomContext:   map[string]any{w("Name"): []any{w("Value"), map[string]any{"deep": w("Deep")}}},
		IndustryContext: map[string]any{"long": strings.Repeat(w("Long")+" ", 900)}, // of several pages
	}
}

// Person creates the person, changes every field, and blocks calls to each number.
func (w *World) Person(t testing.TB) *contacts.Contact {
	t.Helper()
	ctx := contacts.WithEventSource(t.Context(), word("Source", 1))
	in := values(1)
	in.PhoneNumbers = []contacts.PhoneNumberInput{
		{PhoneNumber: OldNumber, PhoneType: word("Type", 1), DoNotCall: true}, {PhoneNumber: Second, PhoneType: word("Second", 1)},
	}
	in.IdempotencyKey = word("Key", 1)
	c, err := w.Service.CreateContact(ctx, w.Key, in)
	if err != nil {
		t.Fatal(err)
	}
	in = values(2)
	in.PhoneNumbers = []contacts.PhoneNumberInput{{PhoneNumber: Number, PhoneType: word("Type", 2)}, {PhoneNumber: Second, PhoneType: word("Second", 2)}}
	if c, err = w.Service.ReplaceContact(ctx, w.Key, c.ID, in, nil); err != nil {
		t.Fatal(err)
	}
	for i, number := range []string{Number, Number, Second} {
		block := contacts.DoNotCallInput{PhoneNumber: number, Source: strconv.Itoa(i), Reason: word("Reason", i), Reference: word("Reference", i)}
		if _, err := w.Service.BlockCalls(ctx, w.Key, block); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// Crowd creates other contacts.
func (w *World) Crowd(t testing.TB, n int) {
	t.Helper()
	in := make([]contacts.CreateContactInput, n)
	for i := range in {
		in[i] = contacts.CreateContactInput{
			FirstName: "Other", Email: fmt.Sprintf("other%d@example.com", i), Tags: []string{"others"},
			PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: fmt.Sprintf("+1555200%04d", i), DoNotCall: i%7 == 0}},
		}
	}
	results, err := w.Service.CreateContacts(t.Context(), w.Key, contacts.CreateContactsInput{Contacts: in, AllOrNothing: true})
	if err != nil || slices.ContainsFunc(results, func(r contacts.CreateResult) bool { return r.Err != nil }) {
		t.Fatal(results, err)
	}
}

// Erase erases the contact.
func (w *World) Erase(t testing.TB, c *contacts.Contact, suppress bool) *contacts.Erasure {
	t.Helper()
	e, err := w.Admin.EraseContact(t.Context(), contacts.EraseInput{AccountID: w.Account.ID, ContactID: c.ID, Suppress: suppress, Reason: "request"})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// WantListed checks that calls to the number are forbidden.
func (w *World) WantListed(t testing.TB, number string) {
	t.Helper()
	if err := w.Service.CanCall(t.Context(), w.Key, number); contacts.CodeOf(err) != contacts.CodeDoNotCall {
		t.Errorf("CanCall: %v, want %s", err, contacts.CodeDoNotCall)
	}
}

// WantErased checks that the database holds nothing of the person, and that calls to
// each number are forbidden.
func (w *World) WantErased(t testing.TB) {
	t.Helper()
	numbers := []string{OldNumber, Number, Second}
	found, err := w.Admin.VerifyErasure(t.Context(), w.Account.ID, contacts.ErasureProbe{PhoneNumbers: numbers, Texts: []string{"qzv"}})
	if found != nil || err != nil {
		t.Errorf("left: %v, %v", found, err)
	}
	for _, number := range numbers {
		w.WantListed(t, number)
	}
}

// Traces returns what data has of the person: words, and numbers as digits and as
// integers.
func Traces(data []byte) (found []string) {
	// Every word begins so. Three letters alone occur in random bytes. In UTF-16 they
	// are looked for in both byte orders.
	for _, prefix := range []string{"Qzv0x", "Qzv1x", "Qzv2x", "qzv0x", "qzv1x", "qzv2x"} {
		units := utf16.Encode([]rune(prefix))
		for name, trace := range map[string][]byte{
			"text": []byte(prefix), "UTF-16LE": encode(binary.LittleEndian, units), "UTF-16BE": encode(binary.BigEndian, units),
		} {
			for rest := data; ; {
				at := bytes.Index(rest, trace)
				if at < 0 {
					break
				}
				rest = rest[at:]
				found = append(found, name+" "+strconv.Quote(string(rest[:min(len(rest), 24)])))
				rest = rest[len(trace):]
			}
		}
	}
	for _, number := range []string{OldNumber, Number, Second} {
		digits := number[1:]
		n, err := strconv.ParseUint(digits, 10, 64)
		if err != nil {
			panic(err)
		}
		// The bytes that are not zero: 8 and 6 bytes have them too.
		big := bytes.TrimLeft(binary.BigEndian.AppendUint64(nil, n), "\x00")
		little := slices.Clone(big)
		slices.Reverse(little)
		for name, trace := range map[string][]byte{
			"digits": []byte(digits), "UTF-16LE": encode(binary.LittleEndian, utf16.Encode([]rune(digits))), "UTF-16BE": encode(binary.BigEndian, utf16.Encode([]rune(digits))),
			"big-endian": big, "little-endian": little,
		} {
			if n := bytes.Count(data, trace); n > 0 {
				found = append(found, fmt.Sprintf("%d times the number %s as %s", n, number, name))
			}
		}
	}
	slices.Sort(found)
	return found
}

func encode(order binary.AppendByteOrder, units []uint16) (b []byte) {
	for _, u := range units {
		b = order.AppendUint16(b, u)
	}
	return b
}
