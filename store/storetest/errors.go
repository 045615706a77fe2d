package storetest

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.com/contacts"
)

var errorCases = []testCase{
	{
		"sentinels",
		"A store says what happened with [ErrNotFound], [ErrExists], [ErrConflict], [ErrIdempotencyConflict], [ErrBatchFailed], [ErrClosed] and [ErrOutcomeUnknown], wrapped as it likes; everything else is taken for a fault.",
		func(t *testing.T, s *store) {
			sentinels := []error{
				contacts.ErrNotFound, contacts.ErrExists, contacts.ErrConflict, contacts.ErrIdempotencyConflict,
				contacts.ErrBatchFailed, contacts.ErrClosed, contacts.ErrOutcomeUnknown,
			}
			a := s.tenant(t, 1)
			r := newContact(a)
			once := onceAs("key")
			wantErr(t, "CreateContacts", s.createOnce(t, r, once).Err, nil)
			_, notFound := s.FindContact(t.Context(), a, newID())
			_, taken := s.AddToDirectory(t.Context(), contacts.Directory{Teams: []contacts.Team{newTeam(a, 1)}})
			batch := s.CreateContacts(t.Context(), contacts.ContactBatch{
				Records:      []*contacts.ContactRecord{newContact(a), r},
				AllOrNothing: true,
			})
			wantErrs(t, batch, contacts.ErrBatchFailed, contacts.ErrExists)
			other := *once
			other.Input[0]++
			stale := changeOf(r, nil)
			stale.Version = 99
			changes := s.UpdateContacts(t.Context(), []contacts.ContactChange{stale, changeOf(newContact(a), nil)})
			wantChanged(t, changes, contacts.ErrConflict, contacts.ErrNotFound)
			for _, c := range []struct{ got, want error }{
				{notFound, contacts.ErrNotFound},
				{taken, contacts.ErrExists},
				{s.createOne(t, r), contacts.ErrExists},
				{batch[0].Err, contacts.ErrBatchFailed},
				{batch[1].Err, contacts.ErrExists},
				{s.createOnce(t, newContact(a), &other).Err, contacts.ErrIdempotencyConflict},
				{changes[0], contacts.ErrConflict},
				{changes[1], contacts.ErrNotFound},
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
		"An error of a write means that nothing was stored, unless it matches ErrOutcomeUnknown.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			before := s.directory(t)
			r := newFullContact(a, 5)
			team := newTeam(a, 5)
			bad := contacts.Directory{Teams: []contacts.Team{team, team}}
			wantErr(t, "CreateContacts", s.createOne(t, r), contacts.ErrNotFound)
			_, err := s.AddToDirectory(t.Context(), bad)
			wantErr(t, "AddToDirectory", err, contacts.ErrExists)
			wantSame(t, "the directory afterwards", before, s.directory(t))
			s.wantNoContacts(t, r)
			stored := newFullContact(a, 0)
			s.create(t, stored)
			move := changeOf(stored, func(c *contacts.Contact) { c.TeamID, c.Tags = 5, []string{"moved"} })
			wantChanged(t, s.UpdateContacts(t.Context(), []contacts.ContactChange{move}), contacts.ErrNotFound)
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
		func(t *testing.T, s *store) {
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
			wantErr(t, "CreateContacts", s.createOnce(t, r, once).Err, nil)
			otherInput := *once
			otherInput.Input[0]++
			stale, unknown := changeOf(r, nil), changeOf(&noTeam, nil)
			stale.Version++
			var errs []error
			closed := false
			provoke := func(ctx context.Context) {
				errs = append(errs, errorsOf(s.CreateContacts(ctx, contacts.ContactBatch{Records: []*contacts.ContactRecord{r, &noTeam, &noAccount}}))...)
				for _, add := range []contacts.Directory{
					d,
					{Accounts: d.Accounts},
					{Teams: d.Teams},
					{Keys: d.Keys},
					{Keys: []contacts.KeyRecord{sameHash}},
					{Keys: []contacts.KeyRecord{foreign}},
				} {
					_, err := s.AddToDirectory(ctx, add)
					errs = append(errs, err)
				}
				_, err := s.FindKey(ctx, foreign.Hash)
				errs = append(errs, err)
				_, err = s.FindContact(ctx, account.ID, newID())
				errs = append(errs, err)
				batch := onceBatch(&noTeam, &otherInput)
				batch.Records = append(batch.Records, r, newContact(account.ID))
				batch.Idempotencies = append(batch.Idempotencies, nil, nil)
				batch.AllOrNothing = true
				errs = append(errs, errorsOf(s.CreateContacts(ctx, batch))...)
				errs = append(errs, s.UpdateContacts(ctx, []contacts.ContactChange{stale, unknown})...)
				if ctx.Err() == nil && !closed {
					return // nothing else makes the rest fail
				}
				_, err = s.ListContacts(ctx, contacts.ContactQuery{
					AccountID: account.ID, Email: r.Contact.Email, PhoneNumber: "+15558675309", Search: r.Contact.FirstName, Tag: telltale("tag"), Limit: 9,
				})
				errs = append(errs, err)
				_, err = s.PurgeContacts(ctx, contacts.PurgeQuery{AccountID: account.ID, Limit: 9})
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
			for _, hash := range [][32]byte{k.Hash, foreign.Hash, once.Key, once.Input, otherInput.Input} {
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

// telltale returns a text that is found nowhere else.
func telltale(what string) string { return fmt.Sprintf("telltale-%s-%s", what, newID()) }
