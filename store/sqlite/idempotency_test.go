//go:build cgo

package sqlite_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

// keyed returns a batch that creates contacts with those idempotency keys.
func keyed(account uuid.UUID, now time.Time, keys ...uint64) contacts.MutationBatch {
	batch := contacts.MutationBatch{Now: now}
	for _, key := range keys {
		m := createOf(newContact(account))
		m.Idempotency = &contacts.IdempotencyRecord{Result: contactIn(m).Contact.ID.String(), EndsAt: now.Add(time.Hour)}
		binary.BigEndian.PutUint64(m.Idempotency.Key[:], key)
		batch.Mutations = append(batch.Mutations, m)
	}
	return batch
}

// contactIn returns the record of the one contact of a mutation.
func contactIn(m contacts.Mutation) *contacts.ContactRecord { return m.Contacts[0].Record }

// outcomesOf applies the batch.
func outcomesOf(t testing.TB, s contacts.Store, batch contacts.MutationBatch) []contacts.MutationOutcome {
	t.Helper()
	outcomes, err := s.Apply(t.Context(), batch)
	if err != nil {
		t.Errorf("Apply: %v", err)
	}
	return outcomes
}

// Idempotencies that have ended an hour ago go as new ones come, and no others.
func TestEndedIdempotenciesGo(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	var first contacts.MutationBatch
	for i := range uint64(100) {
		batch := keyed(a, noon, i)
		if i == 0 {
			batch.Mutations[0].Idempotency.EndsAt = noon.Add(24 * time.Hour)
			first = batch
		}
		if err := applyBatch(t.Context(), s, batch); err != nil {
			t.Fatal(err)
		}
	}
	db := plain(t, path)
	late := noon.Add(2 * time.Hour)
	for n, want := range []int{101, 100, 99, 98, 97} { // one comes, and two go
		now := late
		if n == 0 {
			now = late.Add(-time.Microsecond) // when none goes
		}
		if err := applyBatch(t.Context(), s, keyed(a, now, uint64(1000+n))); err != nil {
			t.Fatal(err)
		}
		var got int
		if err := db.QueryRowContext(t.Context(), "SELECT sum(length(hashes)) / 8 FROM idempotency").Scan(&got); err != nil || got != want {
			t.Errorf("%d idempotencies, %v; want %d", got, err, want)
		}
	}
	var many []uint64
	for i := range uint64(60) {
		many = append(many, 2000+i)
	}
	outcomesOf(t, s, keyed(a, late, many...))
	var got int
	if err := db.QueryRowContext(t.Context(), "SELECT sum(length(hashes)) / 8 FROM idempotency").Scan(&got); err != nil || got != 1+5+60 {
		t.Errorf("%d idempotencies, %v; want those that have not ended", got, err)
	}
	first.Now = late
	if o := outcomesOf(t, s, first); len(o) != 1 || o[0].Result != first.Mutations[0].Idempotency.Result {
		t.Errorf("got %v, want the first result", o)
	}
}

// What another program, whose clock is ahead, takes for ended is there for the
// others as long as it lasts; and of two with one key the later is the answer.
func TestClockThatIsAheadForgetsNothing(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s, ahead := open(t, path), open(t, path)
	a := mustAccount(t, s)
	send := func(s *sqlite.Store, now time.Time, key uint64) (id, result string) {
		t.Helper()
		batch := keyed(a, now, key)
		o := outcomesOf(t, s, batch)
		if err := errors.Join(errorsOf(o)...); err != nil {
			t.Fatal(err)
		}
		if o != nil {
			result = o[0].Result
		}
		return batch.Mutations[0].Idempotency.Result, result
	}
	first, _ := send(s, noon, 1)
	send(ahead, noon.Add(time.Hour), 2)
	if _, got := send(s, noon.Add(time.Hour-1000), 1); got != first {
		t.Errorf("got result %q, want that of the first", got)
	}
	second, got := send(ahead, noon.Add(time.Hour), 1)
	if got != "" {
		t.Errorf("got result %q after the first has ended", got)
	}
	if _, got := send(s, noon.Add(time.Hour-1000), 1); got != second {
		t.Errorf("got result %q, want that of the second", got)
	}
}

// Accounts that begin with the same keys share no entries of the index.
func TestSameKeyInManyAccounts(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	const accounts = 50
	for range accounts {
		if o := outcomesOf(t, s, keyed(mustAccount(t, s), noon, 1)); o != nil {
			t.Errorf("got %v, want a contact of its own", o)
		}
	}
	var hashes int
	if err := plain(t, path).QueryRowContext(t.Context(), "SELECT count(DISTINCT hashes) FROM idempotency").Scan(&hashes); err != nil || hashes != accounts {
		t.Errorf("%d hashes for one key in %d accounts, %v", hashes, accounts, err)
	}
}

// wrongHashesSQL returns the packs whose hashes the table should have and has not, or has
// and should not.
const wrongHashesSQL = `WITH RECURSIVE packed (n, hash, i, hashes) AS (
			SELECT n, '', 0, hex(hashes) FROM idempotency
			UNION ALL SELECT n, substr(hashes, i + 1, 16), i + 16, hashes FROM packed WHERE i < length(hashes)),
		there (n, hash) AS (SELECT n, printf('%016X', hash) FROM idempotency_lookup),
		parts (part, n) AS (SELECT part, n FROM idempotency_moved)
		SELECT n FROM there WHERE (n, hash) NOT IN (SELECT n, hash FROM packed)
		UNION ALL SELECT p.n FROM packed AS p JOIN parts ON part = (instr('0123456789ABCDEF', substr(hash, 1, 1)) - 1) * 4 + (instr('0123456789ABCDEF', substr(hash, 2, 1)) - 1) / 4
			WHERE i > 0 AND p.n <= parts.n AND (p.n, hash) NOT IN (SELECT n, hash FROM there)`

// A record is found while its hash is in its pack alone, and after it has moved to the
// table, also through another store. When it goes, so does its hash.
func TestHashesMove(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s, err := sqlite.NewPlan().RecentHashes(64).Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	other, a, db := open(t, path), mustAccount(t, s), plain(t, path)
	hashes := func() (records, moved, wrong int) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), `SELECT (SELECT sum(length(hashes)) / 8 FROM idempotency), (SELECT count(*) FROM idempotency_lookup),
			(SELECT count(*) FROM (`+wrongHashesSQL+`))`).Scan(&records, &moved, &wrong); err != nil {
			t.Fatal(err)
		}
		return records, moved, wrong
	}
	const batches, size = 10, 100
	var results []string
	batch := func(i int, now time.Time) contacts.MutationBatch {
		b := keyed(a, now, make([]uint64, size)...)
		for j := range b.Mutations {
			b.Mutations[j].Idempotency.Key = sha256.Sum256([]byte{byte(i), byte(j)})
		}
		return b
	}
	for i := range batches {
		b := batch(i, noon)
		if o := outcomesOf(t, s, b); o != nil {
			t.Fatalf("batch %d: got %v", i, o)
		}
		for _, m := range b.Mutations {
			results = append(results, m.Idempotency.Result)
		}
	}
	if records, moved, wrong := hashes(); records != batches*size || moved < records-64 || wrong != 0 {
		t.Errorf("%d records, %d hashes that have moved and %d that are wrong, want %d records", records, moved, wrong, batches*size)
	}
	for i := range batches {
		for _, dry := range []bool{true, false} {
			b := batch(i, noon)
			b.DryRun = dry
			outcomes := outcomesOf(t, other, b)
			if len(outcomes) != size {
				t.Errorf("batch %d, dry run %t: %d outcomes of %d", i, dry, len(outcomes), size)
			}
			for j, o := range outcomes {
				if want := results[i*size+j]; o.Result != want {
					t.Errorf("batch %d, mutation %d, dry run %t: got %+v, want the result %s", i, j, dry, o, want)
				}
			}
		}
	}
	for i := range batches { // two go for each that comes
		outcomesOf(t, other, batch(batches+i, noon.Add(3*time.Hour)))
	}
	if records, _, wrong := hashes(); records != batches*size || wrong != 0 {
		t.Errorf("later: %d records, and %d hashes that are wrong, want %d records", records, wrong, batches*size)
	}
}

// Records of a batch that was undone are forgotten, also where the next ones come into
// the same rows.
func TestKeysOfABatchThatFailedAreFree(t *testing.T) {
	t.Parallel()
	for name, maximum := range map[string]int{"in a shared transaction": 1000, "in its own": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := storePath(t)
			s := mustOpen(t, sqlite.NewPlan().MaxPerTransaction(maximum).RecentHashes(50), path)
			t.Cleanup(func() { _ = s.Close() })
			a := mustAccount(t, s)
			batch := func(first uint64) contacts.MutationBatch {
				var keys []uint64
				for i := range uint64(250) {
					keys = append(keys, first+i)
				}
				b := keyed(a, noon, keys...)
				b.AllOrNothing = true
				return b
			}
			stored, failing, next := batch(0), batch(1000), batch(2000)
			if o := outcomesOf(t, s, stored); o != nil {
				t.Fatalf("got %v", o)
			}
			failing.Mutations[249].Idempotency.Key = failing.Mutations[0].Idempotency.Key // so that all are looked at
			failing.Mutations[249].Idempotency.Input[0] = 1
			wantErr(t, "the last mutation", outcomesOf(t, s, failing)[249].Err, contacts.ErrIdempotencyConflict)
			if o := outcomesOf(t, s, next); o != nil {
				t.Fatalf("got %v", o)
			}
			for _, s := range []*sqlite.Store{s, open(t, path)} {
				for _, b := range []contacts.MutationBatch{stored, next} {
					outcomes := outcomesOf(t, s, b)
					if len(outcomes) != len(b.Mutations) {
						t.Fatalf("%d of %d mutations were done before", len(outcomes), len(b.Mutations))
					}
					for i, o := range outcomes {
						if want := b.Mutations[i].Idempotency.Result; o.Result != want {
							t.Errorf("mutation %d: got %+v, want the result %s", i, o, want)
						}
					}
				}
			}
			if o := outcomesOf(t, s, batch(1000)); o != nil {
				t.Errorf("keys of the batch that failed: got %v", o)
			}
			if codes := checkCodes(t, s, true); codes != nil {
				t.Errorf("found %v", codes)
			}
		})
	}
}

// Batches with the same keys that share a transaction are one, however many keys they
// have.
func TestSameKeysInOneTransaction(t *testing.T) {
	t.Parallel()
	for _, sizes := range [][2]uint64{{2, 2}, {15, 15}, {16, 16}, {40, 40}, {100, 100}, {250, 250}, {1, 150}, {30, 120}} {
		t.Run(fmt.Sprint(sizes), func(t *testing.T) {
			t.Parallel()
			g, a := newGate(t)
			batches := make([]contacts.MutationBatch, 2)
			for i, size := range sizes {
				var keys []uint64
				for k := range size {
					keys = append(keys, size-k) // so that those of a smaller batch come last in a larger one
				}
				batches[i] = keyed(a, noon, keys...)
			}
			outcomes := g.together(t, batches)
			told := make(map[[32]byte]string)
			for i, b := range batches {
				for k, m := range b.Mutations {
					result := m.Idempotency.Result
					if outcomes[i] != nil && outcomes[i][k].Result != "" {
						result = outcomes[i][k].Result
					}
					if before := told[m.Idempotency.Key]; before != "" && before != result {
						t.Errorf("batch %d, mutation %d: told %s and %s", i, k, before, result)
					}
					told[m.Idempotency.Key] = result
				}
			}
			if got, want := len(g.ids(t)), int(max(sizes[0], sizes[1])); got != want {
				t.Errorf("%d contacts for %d keys", got, want)
			}
		})
	}
}

// A store whose calls were all made before does not remember the hashes of what other
// stores have stored since.
func TestHashesOfOtherStoresAreForgotten(t *testing.T) {
	t.Parallel()
	const keep = 64
	path := storePath(t)
	plan := sqlite.NewPlan().RecentHashes(keep)
	s, other := mustOpen(t, plan, path), mustOpen(t, plan, path)
	t.Cleanup(func() { _ = errors.Join(s.Close(), other.Close()) })
	a := mustAccount(t, s)
	again := keyed(a, noon, 1)
	outcomesOf(t, s, again)
	const size = 100
	for i := range uint64(30) {
		b := keyed(a, noon, make([]uint64, size)...)
		for k := range b.Mutations {
			b.Mutations[k].Idempotency.Key = sha256.Sum256([]byte{byte(i), byte(k)})
		}
		outcomesOf(t, other, b)
		if o := outcomesOf(t, s, again); len(o) != 1 || o[0].Result == "" {
			t.Errorf("got %v, want the first result", o)
		}
		if n := s.HashesInMemory(); n > keep+size {
			t.Errorf("%d hashes are remembered, want %d at most", n, keep+size)
		}
	}
}

// Records of a large batch are stored some at a time, and each mutation sees those
// before it all the same.
func TestKeysThatRepeatInALargeBatch(t *testing.T) {
	t.Parallel()
	for name, allOrNothing := range map[string]bool{"each on its own": false, "all or nothing": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, newPath(t))
			a := mustAccount(t, s)
			const keys = 21
			var all []uint64
			for i := range uint64(100) {
				all = append(all, i/3%keys)
			}
			batch := keyed(a, noon, all...)
			batch.AllOrNothing = allOrNothing

			bad := contactIn(batch.Mutations[99])
			bad.Contact.TeamID = 99
			batch.Mutations[99].Idempotency.Key[31] = 1
			o := outcomesOf(t, s, batch)
			wantErr(t, "a team that is not there", o[99].Err, contacts.ErrTeamNotFound)
			bad.Contact.TeamID = 0
			first := make(map[uint64]string)
			if !allOrNothing {
				for i, key := range all[:99] {
					if o[i].Err != nil || o[i].Result != first[key] {
						t.Errorf("mutation %d: got %+v, want the result %q", i, o[i], first[key])
					}
					if first[key] == "" {
						first[key] = batch.Mutations[i].Idempotency.Result
					}
				}
			}
			o = outcomesOf(t, s, batch)
			for i, key := range all[:99] {
				if o[i].Err != nil || o[i].Result != first[key] {
					t.Errorf("again, mutation %d: got %+v, want the result %q", i, o[i], first[key])
				}
				if first[key] == "" {
					first[key] = batch.Mutations[i].Idempotency.Result
				}
			}
			batch.Mutations[99].Idempotency.Input[0] = 1
			o = outcomesOf(t, s, batch)
			wantErr(t, "another input", o[99].Err, contacts.ErrIdempotencyConflict)
			list, err := s.ListContacts(t.Context(), contacts.ContactQuery{AccountID: a, AllTeams: true, Limit: 1000})
			if want := len(first) + 1; err != nil || len(list.Records) != want {
				t.Errorf("%d contacts, %v; want %d", len(list.Records), err, want)
			}
		})
	}
}

// A batch that is all or nothing is one transaction, however large it is.
func TestAllOrNothingIsOneTransaction(t *testing.T) {
	t.Parallel()
	commits := 0
	s, err := sqlite.NewPlan().MaxPerTransaction(3).Connected(func(c *sqlite3.SQLiteConn) error {
		c.RegisterCommitHook(func() int { commits++; return 0 })
		return nil
	}).Open(t.Context(), storePath(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a := mustAccount(t, s)
	batch := keyed(a, noon, 1, 2, 3, 4, 5, 6, 7, 8)
	batch.AllOrNothing = true
	contactIn(batch.Mutations[7]).Contact.TeamID = 99
	before := commits
	for i, o := range outcomesOf(t, s, batch) {
		want := contacts.ErrBatchFailed
		if i == 7 {
			want = contacts.ErrTeamNotFound
		}
		wantErr(t, "Apply", o.Err, want)
	}
	if commits != before {
		t.Errorf("%d commits of a batch that failed", commits-before)
	}
	contactIn(batch.Mutations[7]).Contact.TeamID = 2
	if outcomes := outcomesOf(t, s, batch); outcomes != nil {
		t.Errorf("got %v: the batch that failed has left something", outcomes)
	}
	if commits != before+1 {
		t.Errorf("%d commits, want 1", commits-before)
	}
}

// A batch that is all or nothing shares its transaction as others do, and if it
// fails no other does.
func TestAllOrNothingSharesItsTransaction(t *testing.T) {
	t.Parallel()
	g, a := newGate(t)
	batches := make([]contacts.MutationBatch, 4)
	for i := range batches {
		batches[i] = keyed(a, noon, uint64(10*i), uint64(10*i+1), uint64(10*i+2))
		batches[i].AllOrNothing = i < 3
	}
	contactIn(batches[1].Mutations[1]).Contact.TeamID = 99
	outcomes := g.together(t, batches)
	var want []string
	for i, batch := range batches {
		if i == 1 {
			for j, err := range []error{contacts.ErrBatchFailed, contacts.ErrTeamNotFound, contacts.ErrBatchFailed} {
				wantErr(t, "the batch that fails", outcomes[i][j].Err, err)
			}
			continue
		}
		if outcomes[i] != nil {
			t.Errorf("batch %d: got %v", i, outcomes[i])
		}
		for _, m := range batch.Mutations {
			want = append(want, m.Idempotency.Result)
		}
	}
	if diff := cmp.Diff(want, g.ids(t)); diff != "" {
		t.Errorf("in the file (-want +got):\n%s", diff)
	}
	contactIn(batches[1].Mutations[1]).Contact.TeamID = 2
	if o := outcomesOf(t, g.store, batches[1]); o != nil {
		t.Errorf("got %v: the batch that failed has left something", o)
	}
}

// Of creates with one key, through two stores on one file, one stores its contact,
// and all are told the same.
func TestOneKeyAtTheSameTimeInTwoStores(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	stores := []*sqlite.Store{open(t, path), open(t, path)}
	a := mustAccount(t, stores[0])
	for key := range uint64(20) {
		told := make([]string, 16)
		var wg sync.WaitGroup
		for i := range told {
			wg.Go(func() {
				batch := keyed(a, noon, key)
				told[i] = batch.Mutations[0].Idempotency.Result
				if o := outcomesOf(t, stores[i%2], batch); o != nil {
					if o[0].Err != nil {
						t.Error(o[0].Err)
					}
					told[i] = o[0].Result
				}
			})
		}
		wg.Wait()
		for _, id := range told {
			if id != told[0] {
				t.Errorf("told %s and %s", told[0], id)
			}
		}
	}
	list, err := stores[1].ListContacts(t.Context(), contacts.ContactQuery{AccountID: a, AllTeams: true, Limit: 100})
	if err != nil || len(list.Records) != 20 {
		t.Errorf("%d contacts for 20 keys, %v", len(list.Records), err)
	}
}

// What a caller changes after it has given up changes nothing that is stored.
func TestIdempotencyOfACallerThatHasGoneIsItsFirst(t *testing.T) {
	t.Parallel()
	g, a := newGate(t)
	ctx, cancel := context.WithCancel(t.Context())
	committing, release := g.holdCommit()
	batch := keyed(a, noon, 1)
	id := batch.Mutations[0].Idempotency.Result
	got := make(chan error)
	go func() { got <- applyBatch(ctx, g.store, batch) }()
	<-committing
	cancel()
	wantErr(t, "Apply", <-got, contacts.ErrOutcomeUnknown)
	*batch.Mutations[0].Idempotency = contacts.IdempotencyRecord{}
	close(release)
	if o := outcomesOf(t, g.store, keyed(a, noon, 1)); len(o) != 1 || o[0].Result != id {
		t.Errorf("got %v, want the first result", o)
	}
}
