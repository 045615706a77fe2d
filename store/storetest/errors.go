package storetest

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"example.com/contacts"
)

var errorCases = []testCase{
	{
		"sentinels",
		"A store says what happened with [ErrNotFound], [ErrTeamNotFound], [ErrExists], [ErrConflict], [ErrDuplicate], [ErrStale], [ErrIdempotencyConflict], [ErrBatchFailed], [ErrClosed] and [ErrOutcomeUnknown], wrapped as it likes. Any other error is a fault.",
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			r := named(a, "", func(c *contacts.Contact) { c.Email = "ada@example.com" })
			s.wantStored(t, createOnce(r, onceAs("key")))
			_, noContact := s.FindContact(t.Context(), a, newID())
			_, noKey := s.FindKey(t.Context(), [32]byte{1})
			_, noAccount := s.FindAccount(t.Context(), newID())
			_, taken := s.AddToDirectory(t.Context(), contacts.Directory{Teams: []contacts.Team{newTeam(a, 1)}})
			batch := errorsOf(s.outcomes(t, allOrNothing(create(newContact(a)), create(r))))
			if len(batch) != 2 {
				t.Fatalf("Apply: got %d outcomes, want 2", len(batch))
			}
			old, stale := changeOf(r, nil), create(newContact(a))
			old.Version, stale.Settings = 99, 9
			of := func(m contacts.Mutation) error { return s.one(t.Context(), m).Err }
			for _, c := range []struct{ got, want error }{
				{noContact, contacts.ErrNotFound},
				{noKey, contacts.ErrNotFound},
				{noAccount, contacts.ErrNotFound},
				{taken, contacts.ErrExists},
				{batch[0], contacts.ErrBatchFailed},
				{batch[1], contacts.ErrExists},
				{of(create(r)), contacts.ErrExists},
				{of(createOnce(newContact(a), otherInput(onceAs("key")))), contacts.ErrIdempotencyConflict},
				{of(update(old)), contacts.ErrConflict},
				{of(update(changeOf(newContact(a), nil))), contacts.ErrNotFound},
				{of(create(newContact(newID()))), contacts.ErrNotFound},
				{of(create(newFullContact(a, 9))), contacts.ErrTeamNotFound},
				{of(claiming(newContact(a), emailKey("ada@example.com"))), contacts.ErrDuplicate},
				{of(stale), contacts.ErrStale},
				{of(journal(a, contacts.JournalEntry{Sequence: 1, Kind: contacts.JournalEvent})), contacts.ErrNotFound},
			} {
				for _, sentinel := range sentinels {
					if errors.Is(c.got, sentinel) != (sentinel == c.want) {
						t.Errorf("got error %v, want one that matches %v and no other", c.got, c.want)
						break
					}
				}
			}
		},
	},
	{
		"an error means not stored",
		notStoredRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			before := s.directory(t)
			r := newFullContact(a, 5)
			team := newTeam(a, 5)
			bad := contacts.Directory{Teams: []contacts.Team{team, team}}
			s.wantRefused(t, create(r), contacts.ErrTeamNotFound)
			_, err := s.AddToDirectory(t.Context(), bad)
			wantErr(t, "AddToDirectory", err, contacts.ErrExists)
			wantSame(t, "the directory afterwards", before, s.directory(t))
			s.wantNoContacts(t, r)
			stored := newFullContact(a, 0)
			s.create(t, stored)
			move := changeOf(stored, func(c *contacts.Contact) { c.TeamID, c.Tags = 5, []string{"moved"} })
			s.wantRefused(t, update(move), contacts.ErrTeamNotFound)
			s.wantContacts(t, stored)

			// Nothing is left that is in the way of another attempt.
			s.add(t, contacts.Directory{Teams: bad.Teams[:1]})
			s.create(t, r)
			s.update(t, move)
			s.wantContacts(t, r, move.Record)
		},
	},
	{
		"no personal data",
		"No error may hold a name, an e-mail address, a number, a context or a hash.",
		func(t *test, s *store) {
			account := newAccount()
			account.Name = telltale("account")
			team := newTeam(account.ID, 1)
			team.Name = telltale("team")
			k := newKey(account.ID)
			k.Name = telltale("key")
			k.Permissions = []contacts.Permission{contacts.Permission(telltale("permission"))}
			r := newFullContact(account.ID, 1)
			r.Contact.FirstName = telltale("first")
			r.Contact.LastName = telltale("last")
			r.Contact.Email = telltale("email") + "@example.com"
			r.Contact.Address = telltale("address")
			r.Contact.PhoneNumbers[0].PhoneNumber = "+15558675309"
			r.CustomContext = `{"secret":"` + telltale("context") + `"}`
			noTeam, noAccount := *r, *r
			noTeam.Contact.ID, noTeam.Contact.TeamID = newID(), 2
			noAccount.Contact.ID, noAccount.Contact.AccountID = newID(), newID()
			sameHash := k
			sameHash.ID = newID()
			foreign := k
			foreign.ID, foreign.Hash, foreign.AccountID = newID(), newKey(account.ID).Hash, newID()

			d := contacts.Directory{Accounts: []contacts.Account{account}, Teams: []contacts.Team{team}, Keys: []contacts.KeyRecord{k}}
			s.add(t, d)
			once := onceAs(telltale("idempotency"))
			once.Result = telltale("result")
			s.wantStored(t, createOnce(r, once))
			conflict := otherInput(once)
			setting := newSetting(account.ID, 5, telltale("setting"), telltale("value"))
			setting.Actor.Name = telltale("actor")
			entry := contacts.JournalEntry{Sequence: 9, Kind: contacts.JournalEvent, Subject: once.Key, Data: telltale("data")}
			gone := copyContact(r)
			gone.Contact.ID, gone.Contact.DeletedAt = newID(), noon
			s.create(t, gone)
			old, unknown, stale, removal := changeOf(r, nil), changeOf(&noTeam, nil), create(newContact(account.ID)), remove(r)
			old.Version++
			stale.Settings = 5
			removal.Contacts[0].Version++
			mutations := append(each(create, r, &noTeam, &noAccount),
				createOnce(&noTeam, conflict), update(old), update(unknown), stale, removal,
				claiming(copyContact(&noTeam), r.MatchKeys()...), journal(account.ID, entry))
			duplicate := claiming(named(account.ID, telltale("first"), nil), r.MatchKeys()...)
			var errs []error
			closed := false
			provoke := func(ctx context.Context) {
				apply := func(batch contacts.MutationBatch) {
					outcomes, err := s.Apply(ctx, batch)
					if err != nil {
						errs = append(errs, err)
						return
					}
					errs = append(errs, errorsOf(outcomes)...)
				}
				apply(batchOf(append(mutations, duplicate)...))
				apply(allOrNothing(append(mutations, create(newContact(account.ID)))...))
				for _, add := range []contacts.Directory{
					d,
					{Accounts: d.Accounts},
					{Teams: d.Teams},
					{Keys: d.Keys},
					{Keys: []contacts.KeyRecord{sameHash}},
					{Keys: []contacts.KeyRecord{foreign}},
					{Settings: []contacts.SettingRecord{setting}},
				} {
					_, err := s.AddToDirectory(ctx, add)
					errs = append(errs, err)
				}
				_, err := s.FindKey(ctx, foreign.Hash)
				errs = append(errs, err)
				_, err = s.FindContact(ctx, account.ID, newID())
				errs = append(errs, err)
				_, err = s.FindAccount(ctx, newID())
				errs = append(errs, err)
				if ctx.Err() == nil && !closed {
					return // nothing else makes the rest fail
				}
				_, err = s.ListContacts(ctx, contacts.ContactQuery{
					AccountID: account.ID, Email: r.Contact.Email, PhoneNumber: "+15558675309", Search: r.Contact.FirstName, Tag: telltale("tag"), Limit: 9,
				})
				errs = append(errs, err)
				_, err = s.ListContacts(ctx, contacts.ContactQuery{AccountID: account.ID, MatchKeys: r.MatchKeys(), Limit: 9})
				errs = append(errs, err)
				_, err = s.ListJournal(ctx, contacts.JournalQuery{AccountID: account.ID, Subjects: [][32]byte{once.Key}, Limit: 9})
				errs = append(errs, err)
			}
			provoke(t.Context())
			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			provoke(cancelled)
			if err := s.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
			closed = true
			provoke(t.Context())

			secrets := []string{"telltale", "5558675309", "@example.com", "lovelace", "london"}
			for _, hash := range [][32]byte{k.Hash, foreign.Hash, once.Key, once.Input, conflict.Input} {
				secrets = append(secrets, hex.EncodeToString(hash[:8]), base64.StdEncoding.EncodeToString(hash[:6]), strings.Trim(fmt.Sprint(hash[:4]), "[]"))
			}
			for _, err := range errs {
				if err == nil {
					t.Error("a call that must fail did not")
					continue
				}
				text := strings.ToLower(fmt.Sprintf("%v %+v", err, err))
				for _, secret := range secrets {
					if strings.Contains(text, strings.ToLower(secret)) {
						t.Errorf("an error holds %q: %v", secret, err)
					}
				}
			}
		},
	},
}

// sentinels are the errors by which a store says what happened.
var sentinels = []error{
	contacts.ErrNotFound, contacts.ErrTeamNotFound, contacts.ErrExists, contacts.ErrConflict, contacts.ErrDuplicate, contacts.ErrStale,
	contacts.ErrIdempotencyConflict, contacts.ErrBatchFailed, contacts.ErrClosed, contacts.ErrOutcomeUnknown,
}

// telltale returns a text that is found nowhere else.
func telltale(what string) string { return fmt.Sprintf("telltale-%s-%s", what, newID()) }
