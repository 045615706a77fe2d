package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// identity measures what unique keys and upserts cost.
func (b *bench) identity(ctx context.Context) error {
	for _, f := range []func(context.Context) error{
		func(ctx context.Context) error { return b.uniqueness(ctx, b.size(20_000, 500)) },
		func(ctx context.Context) error { return b.claims(ctx, b.size(50_000, 2_000)) },
		func(ctx context.Context) error { return b.upserts(ctx, b.size(100_000, 2_000)) },
		func(ctx context.Context) error { return b.uniquenessPostgres(ctx, b.size(20_000, 2_000)) },
	} {
		if err := f(ctx); err != nil {
			return err
		}
	}
	return nil
}

// The policies that are compared.
var (
	allow  = contacts.DuplicatePolicy{}
	reject = contacts.DuplicatePolicy{
		Action: contacts.DuplicateReject,
		Keys:   []contacts.KeyKind{contacts.KeyEmail, contacts.KeyPhoneNumber},
	}
)

// rejecting is the peer with unique addresses and numbers in all accounts.
func rejecting(p peer) peer {
	return withSetting(p, "keys unique", func(ctx context.Context, admin *contacts.Admin, account uuid.UUID) error {
		return admin.SetDuplicatePolicy(ctx, account, reject)
	})
}

// A unique index of the keys that reject makes unique: a row for each key, which a
// trigger writes with each contact. A key that is there already is left alone, because
// the creates are to be compared and not the refusals.
const (
	makeUniqueIndex = `
CREATE TABLE unique_key (
	account INTEGER NOT NULL, kind INTEGER NOT NULL, value TEXT NOT NULL, seq INTEGER NOT NULL,
	PRIMARY KEY (account, kind, value)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO unique_key
SELECT account, 1, p.value ->> 1, seq FROM contact_data, json_each(phones) AS p
UNION ALL SELECT account, 2, email, seq FROM contact_data
ORDER BY 1, 2, 3;`
	writeUniqueIndex = `
CREATE TRIGGER unique_key_written AFTER INSERT ON contact_data BEGIN
	INSERT OR IGNORE INTO unique_key
	SELECT NEW.account, 1, value ->> 1, NEW.seq FROM json_each(NEW.phones)
	UNION ALL SELECT NEW.account, 2, NEW.email, NEW.seq;
END;`
	leaveUniqueIndex = `DROP TRIGGER unique_key_written;`
)

// execute changes a file of the store that nobody has open. It need not be durable.
func execute(ctx context.Context, dir, statements string) error {
	db := openDB(file(dir), 1, []pragma{{"synchronous", "OFF"}, {"cache_size", "-262144"}})
	_, err := db.ExecContext(ctx, statements)
	return errors.Join(err, db.Close())
}

// uniqueness creates n contacts by 64 callers in the large file: with claims that are
// judged, without claims, and without claims and with a unique index.
func (b *bench) uniqueness(ctx context.Context, n int) error {
	claims, index := b.figure("identity-reject-64"), b.figure("identity-unique-index")
	if claims == nil && index == nil {
		return nil
	}
	large, err := b.largeFile(ctx)
	if err != nil {
		return err
	}
	if index != nil {
		if err := execute(ctx, large.dir, makeUniqueIndex); err != nil {
			return err
		}
	}
	for range b.reps {
		judged, err := b.createUnder(ctx, large.dir, reject, n)
		if err != nil {
			return err
		}
		if claims != nil {
			unchecked, err := b.createUnder(ctx, large.dir, allow, n)
			if err != nil {
				return err
			}
			claims.add(judged, unchecked)
		}
		if index != nil {
			if err := execute(ctx, large.dir, writeUniqueIndex); err != nil {
				return err
			}
			indexed, err := b.createUnder(ctx, large.dir, allow, n)
			if err := errors.Join(err, execute(ctx, large.dir, leaveUniqueIndex)); err != nil {
				return err
			}
			index.add(judged, indexed)
		}
	}
	return nil
}

// createUnder creates n contacts under a policy of all accounts, and returns how many
// a second. The clock runs until the file is closed.
func (b *bench) createUnder(ctx context.Context, dir string, policy contacts.DuplicatePolicy, n int) (float64, error) {
	all := b.world.contacts(n)
	t, err := openOurs(ctx, dir, b.world)
	if err != nil {
		return 0, err
	}
	admin := contacts.NewAdmin(storeOf(t), nil)
	for _, a := range b.world.directory.Accounts {
		if err := admin.SetDuplicatePolicy(ctx, a.ID, policy); err != nil {
			return 0, errors.Join(err, t.close())
		}
	}
	// In a large file some random numbers are there already.
	var refused atomic.Int64
	rate, err := untilClosed(t, n, func() error {
		return parallel(64, n, func(i int) error {
			err := t.create(ctx, all[i])
			if contacts.CodeOf(err) == contacts.CodeDuplicateContact {
				refused.Add(1)
				return nil
			}
			return err
		})
	})
	if err == nil && int(refused.Load()) > n/100 {
		err = fmt.Errorf("%d of %d new contacts were refused as duplicates", refused.Load(), n)
	}
	return rate, err
}

// claims judges n claimed keys in the large file, of which every second is held, and
// finds as many contacts there. A batch has 1,000 claims, so that what a transaction
// costs is not measured.
func (b *bench) claims(ctx context.Context, n int) error {
	f := b.figure("identity-claim")
	if f == nil {
		return nil
	}
	return b.onLarge(ctx, func(large *largeFile, t *ourTarget) error {
		settings := make(map[uuid.UUID]int64)
		for _, a := range b.world.directory.Accounts {
			account, err := t.store.FindAccount(ctx, a.ID)
			if err != nil {
				return err
			}
			settings[a.ID] = account.SettingsVersion
		}
		pick := func() knownContact { return large.known[rand.IntN(len(large.known))] }
		judge := func() error {
			batch := contacts.MutationBatch{Now: time.Now().UTC().Truncate(time.Microsecond)}
			for i := range batchSize {
				k := pick()
				if i%2 == 1 {
					k.email = "no." + k.email
				}
				batch.Mutations = append(batch.Mutations, contacts.Mutation{
					AccountID: k.account, Settings: settings[k.account], Claims: []contacts.MatchKey{{Kind: contacts.KeyEmail, Value: k.email}},
				})
			}
			outcomes, err := t.store.Apply(ctx, batch)
			if err != nil {
				return err
			}
			for i, o := range outcomes {
				if held := i%2 == 0; held != errors.Is(o.Err, contacts.ErrDuplicate) {
					return errors.Join(fmt.Errorf("a claimed key is held: %t, and the store says otherwise", held), o.Err)
				}
			}
			return nil
		}
		find := func() error {
			k := pick()
			_, err := t.store.FindContact(ctx, k.account, k.id)
			return err
		}
		for range b.reps {
			batches, errClaims := perSecond(n/batchSize, judge)
			finds, errFinds := perSecond(n, find)
			if err := errors.Join(errClaims, errFinds); err != nil {
				return err
			}
			f.add(batchSize*batches, finds)
		}
		return nil
	})
}

// upserts creates n contacts in batches, and upserts the same, by all of their keys or
// by the address alone.
func (b *bench) upserts(ctx context.Context, n int) error {
	all, email := b.figure("identity-upsert"), b.figure("identity-upsert-email")
	for _, row := range []struct {
		figure  *figure
		matchOn []contacts.KeyKind
	}{{all, nil}, {email, []contacts.KeyKind{contacts.KeyEmail}}} {
		if row.figure == nil {
			continue
		}
		if err := b.upsertsBy(ctx, n, row.figure, row.matchOn); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) upsertsBy(ctx context.Context, n int, f *figure, matchOn []contacts.KeyKind) error {
	for range b.reps {
		all := b.world.contacts(n)
		_, err := inFolder(b.dir, func(dir string) (float64, error) {
			t, err := openOurs(ctx, dir, b.world)
			if err != nil {
				return 0, err
			}
			creates, err := untilClosed(t, n, func() error { return b.createInBatches(ctx, t, all) })
			if err != nil {
				return 0, err
			}
			if t, err = openOurs(ctx, dir, b.world); err != nil {
				return 0, err
			}
			upserts, err := untilClosed(t, n, func() error { return upsertInBatches(ctx, t, all, matchOn) })
			if err != nil {
				return 0, err
			}
			f.add(upserts, creates)
			return 0, checkCounts(ctx, ours, dir, n)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// upsertInBatches upserts what createInBatches has created, which changes nothing.
func upsertInBatches(ctx context.Context, t target, all []*contact, matchOn []contacts.KeyKind) error {
	svc, err := contacts.New(storeOf(t), &contacts.Options{WritePermission: contacts.PermissionReadContacts})
	if err != nil {
		return err
	}
	for part := range slices.Chunk(all, batchSize) {
		var in contacts.UpsertContactsInput
		for _, c := range part {
			in.Contacts = append(in.Contacts, contacts.UpsertContactInput{CreateContactInput: c.input, MatchOn: matchOn})
		}
		results, err := svc.UpsertContacts(ctx, part[0].key, in)
		if err != nil {
			return err
		}
		for _, r := range results {
			if r.Result != contacts.ResultUnchanged {
				return fmt.Errorf("an upsert of what is there: %q, %w", r.Result, r.Err)
			}
		}
	}
	return nil
}

// uniquenessPostgres creates n contacts by 64 callers with keys that are unique, and
// without: over ten accounts, and in one account through two stores.
func (b *bench) uniquenessPostgres(ctx context.Context, n int) error {
	ten, one := b.figure("postgres-identity-64-ten"), b.figure("postgres-identity-64-one")
	if ten == nil && one == nil {
		return nil // there may be no server
	}
	whole, halves := b.postgres.ours(), b.postgres.twoStores()
	return b.compareCreates(ctx, n, []creationRow{
		{ten, accounts, rejecting(whole), whole},
		{one, 1, rejecting(halves), halves},
	})
}

// untilClosed returns how many of n contacts the work does in a second. The clock runs
// until the target is closed, so that nothing can be put off.
func untilClosed(t target, n int, work func() error) (float64, error) {
	runtime.GC()
	start := time.Now()
	err := errors.Join(work(), t.close())
	return float64(n) / time.Since(start).Seconds(), err
}
