package contacts_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
)

func TestDirectoryIsListedInOrderAndInPages(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		admin := contacts.NewAdmin(store, &contacts.AdminOptions{Permissions: []contacts.Permission{"can_dance"}})
		var accounts []contacts.Account
		for i := range 205 { // three pages
			a, err := admin.CreateAccount(t.Context(), " Account "+itoa(i))
			if err != nil {
				t.Fatal(err)
			}
			accounts = append(accounts, *a)
		}
		acme := accounts[0].ID
		var teams []contacts.Team
		for _, team := range []contacts.Team{{Name: "first"}, {ID: 101, Name: "Sales"}, {Name: "next"}, {ID: 50}} {
			team.AccountID = acme
			got, err := admin.CreateTeam(t.Context(), team)
			if err != nil {
				t.Fatal(err)
			}
			teams = append(teams, *got)
		}
		if teams[0].ID != 1 || teams[2].ID != 102 {
			t.Errorf("assigned %d and %d, want 1 and 102", teams[0].ID, teams[2].ID)
		}
		teams = []contacts.Team{teams[0], teams[3], teams[1], teams[2]}
		var keys []contacts.APIKey
		for range 3 {
			_, k, err := admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: acme, Name: "web", TeamIDs: []int64{101, 101, 5},
				Permissions: []contacts.Permission{contacts.PermissionReadContacts, "can_dance", contacts.PermissionReadContacts},
				ExpiresAt:   time.Date(2030, 1, 2, 3, 4, 5, 6789, time.FixedZone("", -3600))})
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, *k)
		}
		if err := admin.RevokeKey(t.Context(), keys[1].ID); err != nil {
			t.Fatal(err)
		}

		var gotAccounts []contacts.Account
		for a, err := range admin.Accounts(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			gotAccounts = append(gotAccounts, a)
		}
		if diff := cmp.Diff(accounts, gotAccounts); diff != "" {
			t.Errorf("accounts (-want +got):\n%s", diff)
		}
		var gotTeams []contacts.Team
		for team, err := range admin.Teams(t.Context(), acme) {
			if err != nil {
				t.Fatal(err)
			}
			gotTeams = append(gotTeams, team)
		}
		if diff := cmp.Diff(teams, gotTeams); diff != "" {
			t.Errorf("teams (-want +got):\n%s", diff)
		}
		var gotKeys []contacts.APIKey
		for k, err := range admin.Keys(t.Context(), acme) {
			if err != nil {
				t.Fatal(err)
			}
			gotKeys = append(gotKeys, k)
		}
		if gotKeys[1].RevokedAt.IsZero() {
			t.Error("the revoked key is not listed as revoked")
		}
		keys[1].RevokedAt = gotKeys[1].RevokedAt
		if diff := cmp.Diff(keys, gotKeys); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
		want := contacts.APIKey{ID: keys[0].ID, AccountID: acme, Name: "web", TeamIDs: []int64{101, 5}, CreatedAt: keys[0].CreatedAt,
			Permissions: []contacts.Permission{contacts.PermissionReadContacts, "can_dance"},
			ExpiresAt:   time.Date(2030, 1, 2, 4, 4, 5, 6000, time.UTC)}
		if diff := cmp.Diff(want, keys[0]); diff != "" {
			t.Errorf("key (-want +got):\n%s", diff)
		}
		for range admin.Teams(t.Context(), uuid.New()) {
			t.Error("an account that does not exist has a team")
		}
		for range admin.Accounts(t.Context()) {
			break // a walk may end early
		}
	})
}

func TestAdminRefusesWrongInputAndSaysWhy(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		ctx := t.Context()
		account := func(name string) error { _, err := w.admin.CreateAccount(ctx, name); return err }
		newTeam := func(team contacts.Team) error { _, err := w.admin.CreateTeam(ctx, team); return err }
		key := func(in contacts.IssueKeyInput) error { _, _, err := w.admin.IssueKey(ctx, in); return err }

		wantError(t, account(" "), contacts.CodeValidationError, wrong("name", contacts.FieldRequired))
		wantError(t, account("a\x00"), contacts.CodeValidationError, wrong("name", contacts.FieldInvalid))
		wantError(t, account(strings.Repeat("x", 201)), contacts.CodeValidationError, wrong("name", contacts.FieldTooLong))
		wantError(t, newTeam(contacts.Team{AccountID: w.acme.ID, ID: -1}), contacts.CodeValidationError, wrong("team_id", contacts.FieldInvalid))
		wantError(t, newTeam(contacts.Team{AccountID: uuid.New()}), contacts.CodeNotFound)
		wantError(t, newTeam(contacts.Team{ID: -1}), contacts.CodeValidationError, wrong("team_id", contacts.FieldInvalid), wrong("account_id", contacts.FieldRequired))
		err := newTeam(contacts.Team{AccountID: w.acme.ID, ID: team})
		if wantError(t, err, contacts.CodeValidationError, wrong("team_id", contacts.FieldDuplicate)); !errors.Is(err, contacts.ErrExists) {
			t.Errorf("%v does not match ErrExists", err)
		}
		if err := newTeam(contacts.Team{AccountID: w.other.ID, ID: team}); err != nil {
			t.Errorf("the same team id in another account: %v", err)
		}
		wantError(t, key(contacts.IssueKeyInput{AccountID: uuid.New()}), contacts.CodeNotFound)
		wantError(t, key(contacts.IssueKeyInput{AccountID: w.acme.ID, Name: "a\nb", Permissions: []contacts.Permission{" "}, TeamIDs: []int64{1, 0}}),
			contacts.CodeValidationError, wrong("name", contacts.FieldInvalid), wrong("permissions[0]", contacts.FieldRequired), wrong("team_ids[1]", contacts.FieldInvalid))
		wantError(t, key(contacts.IssueKeyInput{}), contacts.CodeValidationError, wrong("account_id", contacts.FieldRequired))
		for _, at := range []time.Time{time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{}.Add(5), time.Time{}.Add(-time.Hour)} {
			wantError(t, key(contacts.IssueKeyInput{AccountID: w.acme.ID, ExpiresAt: at}), contacts.CodeValidationError, wrong("expires_at", contacts.FieldInvalid))
		}
		wantError(t, w.admin.RevokeKey(ctx, uuid.New()), contacts.CodeNotFound)
		wantError(t, w.admin.RevokeKey(ctx, uuid.Nil), contacts.CodeNotFound)
		wantError(t, w.admin.DisableAccount(ctx, uuid.New()), contacts.CodeNotFound)

		for what, err := range map[string]error{
			"account": newTeam(contacts.Team{AccountID: uuid.New()}), "account ": key(contacts.IssueKeyInput{AccountID: uuid.New()}),
			"account or key: the id is zero": w.admin.EnableAccount(ctx, uuid.Nil), "account  ": w.admin.DisableAccount(ctx, uuid.New()), "key": w.admin.RevokeKey(ctx, uuid.New()),
		} {
			if want := "contacts: not_found: there is no such " + strings.TrimSpace(what); err.Error() != want {
				t.Errorf("got %q, want %q", err, want)
			}
		}
	})
}

// A misspelt permission would make a key that can do nothing, or a call that no key
// can make.
func TestMisspeltPermissionIsRefused(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	own := []contacts.Permission{"can_dance", "can_sing"}
	admin := contacts.NewAdmin(w.store, &contacts.AdminOptions{Permissions: own})
	for _, c := range []struct {
		permission contacts.Permission
		known, own bool
	}{
		{contacts.PermissionReadContacts, true, true}, {" can_write_contacts ", true, true}, {"can_dance", false, true}, {"can_sing", false, true},
		{"can_read_contact", false, false}, {"Can_Read_Contacts", false, false}, {"can_dance ", false, true}, {"read", false, false}, {"can_sing,can_dance", false, false},
	} {
		in := contacts.IssueKeyInput{AccountID: w.acme.ID, Permissions: []contacts.Permission{contacts.PermissionWriteContacts, c.permission}}
		for _, a := range []struct {
			admin *contacts.Admin
			taken bool
		}{{w.admin, c.known}, {admin, c.own}} {
			_, _, err := a.admin.IssueKey(t.Context(), in)
			if a.taken && err != nil {
				t.Errorf("%q: %v", c.permission, err)
			}
			if !a.taken {
				wantError(t, err, contacts.CodeValidationError, wrong("permissions[1]", contacts.FieldNotAllowed))
			}
		}
		if strings.TrimSpace(string(c.permission)) != string(c.permission) {
			continue
		}
		for name, o := range map[string]contacts.Options{
			"CreatePermission": {CreatePermission: c.permission}, "ReadPermission": {ReadPermission: c.permission}, "WritePermission": {WritePermission: c.permission},
		} {
			_, err := contacts.New(w.store, &o)
			if (err == nil) != c.known || err != nil && (!strings.Contains(err.Error(), "Options."+name) || !strings.Contains(err.Error(), "can_read_contacts, can_write_contacts, ")) {
				t.Errorf("%s %q: %v", name, c.permission, err)
			}
			o.Permissions = own
			if _, err := contacts.New(w.store, &o); (err == nil) != c.own {
				t.Errorf("%s %q, with Permissions: %v", name, c.permission, err)
			}
		}
	}
}

func TestAdminWithoutAStoreIsAnError(t *testing.T) {
	t.Parallel()
	admin := contacts.NewAdmin(nil, nil)
	_, err := admin.CreateAccount(t.Context(), "Acme")
	if wantError(t, err, contacts.CodeServerError); !strings.Contains(err.Error(), "memory.New()") {
		t.Errorf("%v does not say what to do", err)
	}
	wantError(t, admin.RevokeKey(t.Context(), uuid.New()), contacts.CodeServerError)
	_, err = admin.PurgeContacts(t.Context(), contacts.PurgeInput{ContactID: uuid.New()})
	wantError(t, err, contacts.CodeServerError)
	for _, err := range admin.Accounts(t.Context()) {
		wantError(t, err, contacts.CodeServerError)
	}
}
