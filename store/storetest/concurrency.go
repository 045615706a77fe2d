package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"example.com/contacts"
)

const concurrencyRule = "Concurrency: all methods may be called from many goroutines at once."

// many is the number of callers at once.
const many = 32

var concurrencyCases = []testCase{
	{
		"different contacts",
		concurrencyRule,
		func(t *test, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 1)
			records := make([]*contacts.ContactRecord, 3*many)
			for i := range records {
				records[i] = newFullContact([]uuid.UUID{a, b}[i%2], 1)
				records[i].Contact.FirstName = fmt.Sprint("Ada ", i)
			}
			errs := make([]error, many)
			together(many, func(i int) {
				outcomes, err := s.Apply(t.Context(), batchOf(each(create, records[3*i:3*i+3]...)...))
				errs[i] = errors.Join(err, errors.Join(errorsOf(outcomes)...))
			})
			for _, err := range errs {
				wantErr(t, "Apply", err, nil)
			}
			if !t.Failed() {
				s.wantContacts(t, records...)
			}
		},
	},
	{
		"one contact by many",
		"ErrExists: the account has a contact of that id.",
		func(t *test, s *store) {
			a := s.tenant(t)
			id := newID()
			records := make([]*contacts.ContactRecord, many)
			for i := range records {
				records[i] = newFullContact(a, 0)
				records[i].Contact.ID = id
				records[i].Contact.FirstName = fmt.Sprint("Ada ", i)
			}
			winner := onlyOne(t, func(i int) error {
				return s.one(t.Context(), create(records[i])).Err
			})
			s.wantContacts(t, records[winner])
		},
	},
	{
		"one team by many",
		existsRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			onlyOne(t, func(int) error {
				_, err := s.AddToDirectory(t.Context(), contacts.Directory{Teams: []contacts.Team{newTeam(a, 7)}})
				return err
			})
		},
	},
	{
		"one account by many",
		existsRule,
		func(t *test, s *store) {
			a := newAccount()
			onlyOne(t, func(int) error {
				_, err := s.AddToDirectory(t.Context(), contacts.Directory{Accounts: []contacts.Account{a}})
				return err
			})
		},
	},
	{
		"one key hash by many",
		existsRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			keys := make([]contacts.KeyRecord, many)
			for i := range keys {
				keys[i] = newKey(a)
				keys[i].Hash = keys[0].Hash
			}
			winner := onlyOne(t, func(i int) error {
				_, err := s.AddToDirectory(t.Context(), contacts.Directory{Keys: keys[i : i+1]})
				return err
			})
			s.wantKey(t, "FindKey", keys[winner])
		},
	},
	{
		"team ids assigned at once",
		teamIDRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			ids, errs := assignTeams(t, a, s)
			var want []int64
			for i := range ids {
				wantErr(t, "AddToDirectory", errs[i], nil)
				want = append(want, int64(i+1))
			}
			wantSame(t, "the ids, sorted", want, slices.Sorted(slices.Values(ids)))
		},
	},
	{
		"contacts seen whole",
		atomicityRule + " No reader ever sees a part of it.",
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			records := make([]*contacts.ContactRecord, 2*many)
			for i := range records {
				records[i] = newFullContact(a, 1)
			}
			var done atomic.Bool
			var readers sync.WaitGroup
			for range 4 {
				readers.Go(func() {
					for last := false; !last; {
						last = done.Load() // one more round, when all must be there
						for _, want := range records {
							got, err := s.FindContact(t.Context(), a, want.Contact.ID)
							if errors.Is(err, contacts.ErrNotFound) && !last {
								continue
							}
							if err != nil {
								t.Errorf("FindContact: %v", err)
								return
							}
							if d := diff(want, got); d != "" {
								t.Errorf("FindContact while contacts are created (-want +got):\n%s", d)
								return
							}
						}
					}
				})
			}
			together(many, func(i int) {
				wantErr(t, "Apply", s.one(t.Context(), create(records[i])).Err, nil)
				wantErr(t, "Apply", s.one(t.Context(), create(records[many+i])).Err, nil)
			})
			done.Store(true)
			readers.Wait()
		},
	},
	{
		"directory seen whole",
		addRule,
		func(t *test, s *store) {
			adds := make(map[uuid.UUID]contacts.Directory, many)
			for range many {
				add := ownedDirectory()
				adds[add.Accounts[0].ID] = add
			}
			var done atomic.Bool
			var readers sync.WaitGroup
			for range 4 {
				readers.Go(func() {
					for last := false; !last && !t.Failed(); {
						last = done.Load() // one more round, when all must be there
						d, err := s.ListDirectory(t.Context(), contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 1000})
						wantErr(t, "ListDirectory", err, nil)
						if last && len(d.Accounts) != many {
							t.Errorf("ListDirectory: got %d accounts of %d", len(d.Accounts), many)
						}
						for _, a := range d.Accounts {
							if !s.hasTeam(t, a.ID, 1) {
								t.Error("ListDirectory: no team that was added with an account that is there")
							}
						}
						for id, add := range adds {
							if s.hasTeam(t, id, 1) {
								_, err = s.FindKey(t.Context(), add.Keys[0].Hash)
								wantErr(t, "FindKey of a key that was added with a team that is there", err, nil)
							}
						}
					}
				})
			}
			all := slices.Collect(maps.Values(adds))
			together(many, func(i int) {
				_, err := s.AddToDirectory(t.Context(), all[i])
				wantErr(t, "AddToDirectory", err, nil)
			})
			done.Store(true)
			readers.Wait()
		},
	},
	{
		"disabled while keys are added",
		findKeyRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			keys := make([]contacts.KeyRecord, 8)
			for i := range keys {
				keys[i] = newKey(a)
			}
			together(len(keys), func(i int) {
				_, err := s.AddToDirectory(t.Context(), contacts.Directory{Keys: keys[i : i+1]})
				wantErr(t, "AddToDirectory", err, nil)
				if i == 0 {
					wantErr(t, "UpdateDirectory", s.UpdateDirectory(t.Context(), contacts.DirectoryUpdate{AccountID: a, At: noon}), nil)
				}
			})
			for _, k := range keys {
				wantSame(t, "DisabledAt of the account that FindKey found", noon, s.key(t, k.Hash).Account.DisabledAt)
			}
		},
	},
	{
		"one revocation of many",
		firstTimeRule,
		func(t *test, s *store) {
			k := s.addKey(t, s.tenant(t))
			found := make([]contacts.KeyRecord, many)
			errs := make([]error, many)
			together(many, func(i int) {
				at := noon.AddDate(0, 0, i)
				if errs[i] = s.UpdateDirectory(t.Context(), contacts.DirectoryUpdate{KeyID: k.ID, At: at}); errs[i] != nil {
					return
				}
				var r *contacts.KeyRecord
				if r, errs[i] = s.FindKey(t.Context(), k.Hash); errs[i] == nil {
					found[i] = *r
				}
			})
			last := s.key(t, k.Hash)
			for i := range found {
				wantErr(t, "UpdateDirectory and FindKey", errs[i], nil)
				wantSame(t, "RevokedAt, now and right after each revocation", last.RevokedAt, found[i].RevokedAt)
			}
		},
	},
	{
		"a walk while others write",
		goesOnRule,
		func(t *test, s *store) { walkWhileWritten(t, s, s) },
	},
	{
		"a walk while another process writes",
		goesOnRule,
		func(t *test, s *store) { walkWhileWritten(t, s, s.second(t)) },
	},
	{
		"a walk over groups while others write",
		groupPagesRule,
		func(t *test, s *store) { walkGroupsWhileWritten(t, s, s) },
	},
	{
		"a walk over groups while another process writes",
		groupPagesRule,
		func(t *test, s *store) { walkGroupsWhileWritten(t, s, s.second(t)) },
	},
}

// together calls f for 0 to n-1, all at once, and returns when all have.
func together(n int, f func(i int)) {
	start := make(chan struct{})
	var callers sync.WaitGroup
	for i := range n {
		callers.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	callers.Wait()
}

// onlyOne is winnerOf for callers that store the same identity.
func onlyOne(t *test, f func(i int) error) (winner int) {
	t.Helper()
	return winnerOf(t, contacts.ErrExists, f)
}

// winnerOf has many callers do the same at once. It checks that one of them
// succeeded, which it returns, and that all others got that error.
func winnerOf(t *test, loss error, f func(i int) error) (winner int) {
	t.Helper()
	errs := make([]error, many)
	together(many, func(i int) { errs[i] = f(i) })
	winners := 0
	for i, err := range errs {
		if err == nil {
			winner = i
			winners++
			continue
		}
		wantErr(t, "one of many that do the same", err, loss)
	}
	if winners != 1 {
		t.Fatalf("%d of %d that do the same succeeded, want 1", winners, many)
	}
	return winner
}

// hasTeam reports whether the account has the team. It may be called in any
// goroutine.
func (s *store) hasTeam(t *test, account uuid.UUID, id int64) bool {
	d, err := s.ListDirectory(t.Context(), contacts.DirectoryQuery{Kind: contacts.DirectoryTeams, AccountID: account, AfterTeam: id - 1, Limit: 1})
	wantErr(t, "ListDirectory of teams", err, nil)
	return len(d.Teams) == 1 && d.Teams[0].ID == id
}

// assignTeams has many callers, spread over the stores, add a team whose id is
// assigned.
func assignTeams(t *test, account uuid.UUID, stores ...*store) ([]int64, []error) {
	ids, errs := make([]int64, many), make([]error, many)
	together(many, func(i int) {
		d, err := stores[i%len(stores)].AddToDirectory(t.Context(), contacts.Directory{Teams: []contacts.Team{newTeam(account, 0)}})
		if errs[i] = err; err == nil && len(d.Teams) == 1 {
			ids[i] = d.Teams[0].ID
		}
	})
	return ids, errs
}
