package ledgertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/internal/erasetest"
)

// newNumber returns a phone number that no contact has.
func newNumber() string { return fmt.Sprintf("+4915%011d", rand.Int64N(1e11)) }

// Told is what a caller of Live was told: the contact was created, or erased.
type Told struct {
	ID     uuid.UUID
	Erased bool
}

// String is for ParseTold.
func (s Told) String() string {
	if s.Erased {
		return erasedPrefix + s.ID.String()
	}
	return s.ID.String()
}

const erasedPrefix = "erased "

// ParseTold reads what String has written.
func ParseTold(text string) (Told, error) {
	id, erased := strings.CutPrefix(text, erasedPrefix)
	parsed, err := uuid.Parse(id)
	return Told{parsed, erased}, err
}

// Live creates a contact that asks for a block. It may give it another number that
// asks for one, and it may erase it. After each of these steps may come the end of
// the process or of the server. It tells note what it was told.
func Live(ctx context.Context, w *erasetest.World, note func(Told)) error {
	phones := func() []contacts.PhoneNumberInput {
		return []contacts.PhoneNumberInput{{PhoneNumber: newNumber(), DoNotCall: true}}
	}
	c, err := w.Service.CreateContact(ctx, w.Key, contacts.CreateContactInput{FirstName: "Ada", PhoneNumbers: phones()})
	if err != nil {
		return err
	}
	note(Told{ID: c.ID})
	if rand.IntN(2) == 0 {
		if _, err := w.Service.ReplaceContact(ctx, w.Key, c.ID, contacts.CreateContactInput{FirstName: "Bob", PhoneNumbers: phones()}, nil); err != nil {
			return err
		}
	}
	if rand.IntN(2) == 0 {
		return nil
	}
	if _, err := w.Admin.EraseContact(ctx, contacts.EraseInput{AccountID: w.Account.ID, ContactID: c.ID, Suppress: rand.IntN(2) == 0}); err != nil {
		return err
	}
	note(Told{c.ID, true})
	return nil
}

// CreateAndBlockAreOne creates a contact that asks for a block while writes fail. It
// is there with its block in the end. until makes the call until it succeeds, and
// checks that one that fails changes nothing.
func CreateAndBlockAreOne(t *testing.T, w *erasetest.World, until func(create func() error)) {
	told := make(map[Told]bool)
	create := func(number, key string) error {
		c, err := w.Service.CreateContact(t.Context(), w.Key, contacts.CreateContactInput{
			FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number, DoNotCall: true}}, IdempotencyKey: key,
		})
		if err == nil {
			told[Told{ID: c.ID}] = true
		}
		return err
	}
	if err := create(newNumber(), ""); err != nil { // the first makes the account's secret too
		t.Fatal(err)
	}
	until(func() error { return create(number, "once") })
	w.WantListed(t, number)
	WantWhole(t, w, told)
}

// A life is what a store has of a contact of Live.
type life struct {
	contact *contacts.Contact // nil: it is not there

	blocks, origins int // that name the contact
	number          string
	events          int // with their changes
	redacted        int // without them
	erased          int // events that say so
	receipts        int
}

// isThere reports whether the journal has all of a contact that is there.
func (l *life) isThere() bool {
	return l.blocks > 0 && l.origins == l.blocks && l.events == l.blocks && l.redacted+l.erased+l.receipts == 0
}

// isGone reports whether the journal says that a contact is gone, and has nothing of
// it any more.
func (l *life) isGone() bool {
	return l.blocks+l.origins+l.events == 0 && l.redacted > 0 && l.erased == 1 && l.receipts == 1
}

// livesOf returns what the journal of an account has of each contact. The numbers
// of its entries have no gaps.
func livesOf(t testing.TB, w *erasetest.World) map[uuid.UUID]*life {
	t.Helper()
	lives := make(map[uuid.UUID]*life)
	for i, e := range ReadJournal(t, w.Store, w.Account.ID) {
		if e.Sequence != int64(i)+1 {
			t.Fatalf("entry %d of the journal has the number %d", i+1, e.Sequence)
		}
		if err := note(lives, &e); err != nil {
			t.Fatalf("entry %d of the journal: %v", e.Sequence, err)
		}
	}
	return lives
}

// NoHalfIsSeen lets callers create and erase contacts while a reader looks into the
// journal. It sees all that belongs to a contact or nothing.
func NoHalfIsSeen(t *testing.T, store contacts.Store) {
	const callers, times = 4, 8
	w := erasetest.New(t, store)
	var wg sync.WaitGroup
	var ended atomic.Int32
	for range callers {
		wg.Go(func() {
			defer ended.Add(1)
			for range times {
				if err := Live(t.Context(), w, func(Told) {}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for last := false; !last; {
		last = ended.Load() == callers
		for id, l := range livesOf(t, w) {
			if !l.isThere() && !l.isGone() {
				t.Errorf("a reader sees of the contact %s %+v", id, *l)
				last = true
			}
		}
	}
	wg.Wait()
	WantWhole(t, w, nil)
}

// WantWhole checks that each contact of Live is there with all that was stored with
// it, or gone with all of it. What callers were told must be so.
func WantWhole(t testing.TB, w *erasetest.World, told map[Told]bool) {
	t.Helper()
	lives := livesOf(t, w)
	for c, err := range w.Service.Contacts(t.Context(), w.Key, contacts.ListContactsInput{}) {
		if err != nil {
			t.Fatal(err)
		}
		l := lives[c.ID]
		if l == nil {
			t.Errorf("a contact is there, and the journal has nothing of it: %+v", c)
			continue
		}
		l.contact = c
		if p := c.PhoneNumbers[0]; !l.isThere() || l.blocks != int(c.Version) || l.number != p.PhoneNumber || !p.DoNotCall {
			t.Errorf("a contact of version %d with the number %+v is there with %+v", c.Version, p, *l)
		}
	}
	for id, l := range lives {
		if l.contact == nil && !l.isGone() {
			t.Errorf("the contact %s is gone with %+v", id, *l)
		}
	}
	for s := range told {
		switch l := lives[s.ID]; {
		case l == nil:
			t.Errorf("a contact that was acknowledged is lost: %s", s)
		case s.Erased && l.contact != nil:
			t.Errorf("a contact that was erased is there: %s", s)
		}
	}
}

// note notes an entry of the journal with the contact that it is about.
func note(lives map[uuid.UUID]*life, e *contacts.JournalEntry) error {
	of := func(id uuid.UUID) *life {
		if lives[id] == nil {
			lives[id] = new(life)
		}
		return lives[id]
	}
	var data struct {
		Type      string    `json:"type"`
		Erased    bool      `json:"erased"`
		Redacted  bool      `json:"redacted"`
		Number    string    `json:"phone_number"`
		ContactID uuid.UUID `json:"contact_id"`
	}
	if err := json.Unmarshal([]byte(e.Data), &data); err != nil {
		return err
	}
	id := uuid.UUID(e.Subject[:16])
	switch {
	case e.Kind == contacts.JournalErasure:
		of(id).receipts++
	case e.Kind == contacts.JournalDoNotCall && data.Type == "origin" && !data.Erased:
		of(id).origins++
	case e.Kind == contacts.JournalDoNotCall && data.Type == "block" && data.ContactID != uuid.Nil:
		l := of(data.ContactID)
		l.blocks++
		l.number = data.Number
	case e.Kind == contacts.JournalDoNotCall && data.Type == "block" && !data.Erased:
		return errors.New("a block names no contact, and was not erased")
	case e.Kind != contacts.JournalEvent:
	case data.Type == string(contacts.EventContactErased):
		of(id).erased++
	case strings.HasPrefix(data.Type, "contact.") && data.Redacted:
		of(id).redacted++
	case strings.HasPrefix(data.Type, "contact."):
		of(id).events++
	}
	return nil
}
