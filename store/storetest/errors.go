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
		"A store says what happened with [ErrNotFound], [ErrExists], [ErrClosed] and [ErrOutcomeUnknown], wrapped as it likes; everything else is taken for a fault.",
		func(t *testing.T, s *store) {
			sentinels := []error{contacts.ErrNotFound, contacts.ErrExists, contacts.ErrClosed, contacts.ErrOutcomeUnknown}
			a := s.tenant(t, 1)
			r := newContact(a)
			s.create(t, r)
			_, notFound := s.FindContact(t.Context(), a, newID())
			_, taken := s.AddToDirectory(t.Context(), contacts.Directory{Teams: []contacts.Team{newTeam(a, 1)}})
			exists := s.createOne(t, r)
			for _, c := range []struct{ got, want error }{
				{notFound, contacts.ErrNotFound}, {taken, contacts.ErrExists}, {exists, contacts.ErrExists},
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

			// Nothing is left that is in the way of another attempt.
			s.add(t, contacts.Directory{Teams: bad.Teams[:1]})
			s.create(t, r)
			s.wantContacts(t, r)
		},
	},
	{
		"no personal data",
		"No error may hold a name, an e-mail address, a number, a context or a key hash.",
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
			s.create(t, r)
			var errs []error
			provoke := func(ctx context.Context) {
				errs = append(errs, s.CreateContacts(ctx, contacts.ContactBatch{Records: []*contacts.ContactRecord{r, &noTeam, &noAccount}})...)
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
			}
			provoke(t.Context())
			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			provoke(cancelled)
			if err := s.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
			provoke(t.Context())

			for _, err := range errs {
				if err == nil {
					t.Error("a call that must fail did not")
					continue
				}
				text := strings.ToLower(fmt.Sprintf("%v %+v", err, err))
				for _, secret := range []string{
					"telltale", "5558675309", "@example.com", "lovelace", "london",
					hex.EncodeToString(k.Hash[:8]), hex.EncodeToString(foreign.Hash[:8]),
					base64.StdEncoding.EncodeToString(k.Hash[:6]), base64.StdEncoding.EncodeToString(foreign.Hash[:6]),
					strings.Trim(fmt.Sprint(k.Hash[:4]), "[]"), strings.Trim(fmt.Sprint(foreign.Hash[:4]), "[]"),
				} {
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
