package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// erasures erases contacts that have 100 events and 2 blocked numbers, from stores
// with b.growth others, and looks for them afterwards.
func (b *bench) erasures(ctx context.Context, persons int) error {
	erase, verify := b.figure("erase"), b.figure("erase-verify")
	if erase != nil || verify != nil {
		err := b.onLarge(ctx, func(_ *largeFile, t *ourTarget) error { return b.eraseFrom(ctx, t.store, persons, erase, verify) })
		if err != nil {
			return err
		}
	}
	erase = b.figure("postgres-erase")
	if erase == nil {
		return nil
	}
	return b.onStore(ctx, b.postgres.ours(), func(store contacts.Store) error {
		if err := b.fillStore(ctx, store, func(*contacts.ContactRecord) {}); err != nil {
			return err
		}
		return b.eraseFrom(ctx, store, persons, erase, nil)
	})
}

// eraseFrom measures erasures from one of the ten accounts of a store.
func (b *bench) eraseFrom(ctx context.Context, store contacts.Store, persons int, erase, verify *figure) (err error) {
	e := &eraser{store: store, account: b.world.directory.Accounts[0].ID, admin: contacts.NewAdmin(store, nil)}
	e.key = b.world.keys[e.account]
	if e.svc, err = contacts.New(store, &contacts.Options{WritePermission: contacts.PermissionReadContacts}); err != nil {
		return err
	}
	if err := e.admin.SetEvents(ctx, e.account, contacts.EventSettings{On: true}); err != nil {
		return err
	}
	for range b.reps {
		updates, erasures, err := e.erase(ctx, persons)
		if err != nil {
			return err
		}
		if erase != nil {
			erase.add(erasures, updates)
		}
		if verify == nil {
			continue
		}
		walks, searches, err := e.verify(ctx)
		if err != nil {
			return err
		}
		verify.add(searches, walks)
	}
	return nil
}

// onStore opens a store of the library, and removes it after use.
func (b *bench) onStore(ctx context.Context, p peer, use func(contacts.Store) error) (err error) {
	dir, err := os.MkdirTemp(b.dir, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	t, err := p.open(ctx, dir, b.world)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	return use(storeOf(t))
}

// An eraser erases contacts of one account.
type eraser struct {
	store   contacts.Store
	svc     *contacts.Service
	admin   *contacts.Admin
	account uuid.UUID
	key     string
	numbers int // that it has given to contacts
}

// erase returns how many updates and how many erasures it makes in a second.
func (e *eraser) erase(ctx context.Context, persons int) (updates, erasures float64, err error) {
	const events = 100
	ids := make([]uuid.UUID, persons)
	var updating, erasing time.Duration
	for i := range ids {
		in := contacts.CreateContactInput{FirstName: "Ann", LastName: "Zyxwarth"}
		for range 2 {
			in.PhoneNumbers = append(in.PhoneNumbers, contacts.PhoneNumberInput{PhoneNumber: fmt.Sprintf("+1555%07d", 2_000_000+e.numbers), DoNotCall: true})
			e.numbers++
		}
		c, err := e.svc.CreateContact(ctx, e.key, in)
		if err != nil {
			return 0, 0, err
		}
		ids[i] = c.ID
		start := time.Now()
		for j := range events - 1 {
			city := fmt.Sprint("City ", j)
			if _, err := e.svc.UpdateContact(ctx, e.key, c.ID, contacts.UpdateContactInput{City: &city}, nil); err != nil {
				return 0, 0, err
			}
		}
		updating += time.Since(start)
	}
	start := time.Now()
	for _, id := range ids {
		receipt, err := e.admin.EraseContact(ctx, contacts.EraseInput{AccountID: e.account, ContactID: id})
		if err != nil {
			return 0, 0, err
		}
		if want := (contacts.ErasureCounts{Contacts: 1, Events: events, LedgerEntries: 2, Numbers: 2}); receipt.Removed != want {
			return 0, 0, fmt.Errorf("an erasure removed %+v, and should have removed %+v", receipt.Removed, want)
		}
	}
	erasing = time.Since(start)
	return float64(persons*(events-1)) / updating.Seconds(), float64(persons) / erasing.Seconds(), nil
}

// verify returns how many walks through all contacts and the journal it makes in a
// second, and how many searches for ten texts.
func (e *eraser) verify(ctx context.Context) (walks, searches float64, err error) {
	start := time.Now()
	q := contacts.ContactQuery{AccountID: e.account, AllTeams: true, Limit: 500}
	for {
		list, err := e.store.ListContacts(ctx, q)
		if err != nil {
			return 0, 0, err
		}
		if len(list.Records) < q.Limit {
			break
		}
		q.After = list.Records[len(list.Records)-1].Contact.ID
	}
	j := contacts.JournalQuery{AccountID: e.account, Limit: 1000}
	for {
		entries, err := e.store.ListJournal(ctx, j)
		if err != nil {
			return 0, 0, err
		}
		if len(entries) < j.Limit {
			break
		}
		j.After = entries[len(entries)-1].Sequence
	}
	walks = 1 / time.Since(start).Seconds()

	var probe contacts.ErasureProbe
	for i := range 10 {
		probe.Texts = append(probe.Texts, fmt.Sprint("Zyxwarth", i))
	}
	start = time.Now()
	found, err := e.admin.VerifyErasure(ctx, e.account, probe)
	if err == nil && found != nil {
		err = fmt.Errorf("found %v", found)
	}
	return walks, 1 / time.Since(start).Seconds(), err
}
