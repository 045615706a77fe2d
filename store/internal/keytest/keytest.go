// Package keytest checks that a key which a [contacts.Service] goes by is judged by
// the store: what another process changes of it holds for the next call.
package keytest

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"example.com/contacts"
)

// A counted counts how often the store is asked for a key.
type counted struct {
	contacts.KeyJudge
	asked atomic.Int64
}

func (c *counted) FindKey(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
	c.asked.Add(1)
	return c.KeyJudge.FindKey(ctx, hash)
}

// A world is an account with a key that has created a contact.
type world struct {
	log     bytes.Buffer // of the service
	ended   []contacts.Outcome
	store   *counted
	service *contacts.Service
	admin   *contacts.Admin // on the other store
	now     time.Time
	account uuid.UUID
	key     string
	record  *contacts.APIKey
}

func ada() contacts.CreateContactInput {
	return contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", IdempotencyKey: "ada"}
}

func newWorld(t *testing.T, store, other contacts.KeyJudge, permissions ...contacts.Permission) *world {
	t.Helper()
	w := &world{store: &counted{KeyJudge: store}, admin: contacts.NewAdmin(other, nil), now: time.Now()}
	var err error
	if w.service, err = contacts.New(w.store, &contacts.Options{
		Now: func() time.Time { return w.now }, Logger: slog.New(slog.NewTextHandler(&w.log, nil)), Observer: w,
	}); err != nil {
		t.Fatal(err)
	}
	account, err := w.admin.CreateAccount(t.Context(), "Acme")
	if err != nil {
		t.Fatal(err)
	}
	w.account = account.ID
	w.key, w.record, err = w.admin.IssueKey(t.Context(), contacts.IssueKeyInput{
		AccountID: account.ID, AllTeams: true, Permissions: permissions, ExpiresAt: w.now.Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Begin implements [contacts.Observer].
func (w *world) Begin(ctx context.Context, _ contacts.Call) (context.Context, func(contacts.Outcome)) {
	return ctx, func(o contacts.Outcome) { w.ended = append(w.ended, o) }
}

// settings returns how often the settings of the account were changed.
func (w *world) settings(t *testing.T) int64 {
	t.Helper()
	a, err := w.store.FindAccount(t.Context(), w.account)
	if err != nil {
		t.Fatal(err)
	}
	return a.SettingsVersion
}

// contacts returns the first names of the account's contacts.
func (w *world) contacts(t *testing.T) (names []string) {
	t.Helper()
	list, err := w.store.ListContacts(t.Context(), contacts.ContactQuery{AccountID: w.account, AllTeams: true, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list.Records {
		names = append(names, c.Contact.FirstName)
	}
	return names
}

// Run runs all checks. Other is the store as another process has it.
func Run(t *testing.T, store, other contacts.KeyJudge) {
	bob := contacts.CreateContactInput{FirstName: "Bob"}
	revoke := func(t *testing.T, w *world) error { return w.admin.RevokeKey(t.Context(), w.record.ID) }
	disable := func(t *testing.T, w *world) error { return w.admin.DisableAccount(t.Context(), w.account) }
	expire := func(_ *testing.T, w *world) error {
		w.now = w.now.Add(time.Hour)
		return nil
	}
	existing := func(t *testing.T, w *world) error {
		if err := w.admin.SetDuplicatePolicy(t.Context(), w.account, contacts.DuplicatePolicy{
			Action: contacts.DuplicateReturnExisting, Keys: []contacts.KeyKind{contacts.KeyEmail},
		}); err != nil {
			return err
		}
		in := ada()
		in.IdempotencyKey = ""
		if _, err := w.service.CreateContact(t.Context(), w.key, in); err != nil { // it knows the policy
			return err
		}
		return revoke(t, w)
	}
	block := contacts.CreateContactInput{FirstName: "Bob", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567", DoNotCall: true}}}
	blocked := func(t *testing.T, w *world) error {
		first := block
		first.PhoneNumbers = []contacts.PhoneNumberInput{{PhoneNumber: "+15557654321", DoNotCall: true}}
		if _, err := w.service.CreateContact(t.Context(), w.key, first); err != nil {
			return err
		}
		return revoke(t, w)
	}
	again := ada()
	again.IdempotencyKey = ""
	for name, c := range map[string]struct {
		change func(*testing.T, *world) error
		in     contacts.CreateContactInput
	}{
		"revoked":                          {revoke, bob},
		"revoked, and a wrong contact":     {revoke, contacts.CreateContactInput{}},
		"revoked, and a replay":            {revoke, ada()},
		"revoked, and one that matches":    {existing, again},
		"revoked, and a missing team":      {revoke, contacts.CreateContactInput{FirstName: "Bob", TeamID: 9}},
		"revoked, and a block":             {revoke, block},
		"revoked, and a block in a ledger": {blocked, block},
		"account disabled":                 {disable, bob},
		"expired":                          {expire, bob},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, store, other, contacts.PermissionReadContacts)
			if _, err := w.service.CreateContact(t.Context(), w.key, ada()); err != nil {
				t.Fatal(err)
			}
			if err := c.change(t, w); err != nil {
				t.Fatal(err)
			}
			settings, before := w.settings(t), w.contacts(t)
			w.ended = nil
			for range 2 {
				for _, service := range []*contacts.Service{w.service, w.service.DryRun()} {
					if got, err := service.CreateContact(t.Context(), w.key, c.in); contacts.CodeOf(err) != contacts.CodeInvalidKey {
						t.Errorf("CreateContact: got %v, %v, want %s", got, err, contacts.CodeInvalidKey)
					}
				}
			}
			if got := w.settings(t); got != settings {
				t.Errorf("the settings have version %d, want %d as before", got, settings)
			}
			if w.log.Len() > 0 {
				t.Errorf("logged: %s", w.log.String())
			}
			want := slices.Repeat([]contacts.Outcome{{Code: contacts.CodeInvalidKey}}, 4)
			if diff := cmp.Diff(want, w.ended, cmpopts.IgnoreFields(contacts.Outcome{}, "Tries")); diff != "" {
				t.Errorf("what the observer was told (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, w.contacts(t)); diff != "" {
				t.Errorf("contacts (-want +got):\n%s", diff)
			}
		})
	}

	t.Run("asked for once", func(t *testing.T) {
		w := newWorld(t, store, other, contacts.PermissionReadContacts)
		for range 3 {
			if _, err := w.service.CreateContact(t.Context(), w.key, bob); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.store.asked.Load(); got != 1 {
			t.Errorf("the store was asked for the key %d times, want once", got)
		}
		if err := disable(t, w); err != nil {
			t.Fatal(err)
		}
		if _, err := w.service.CreateContact(t.Context(), w.key, bob); contacts.CodeOf(err) != contacts.CodeInvalidKey {
			t.Errorf("in a disabled account: got %v, want %s", err, contacts.CodeInvalidKey)
		}
		if err := w.admin.EnableAccount(t.Context(), w.account); err != nil {
			t.Fatal(err)
		}
		if _, err := w.service.CreateContact(t.Context(), w.key, bob); err != nil {
			t.Errorf("in an account that was enabled again: %v", err)
		}
	})

	t.Run("permission", func(t *testing.T) {
		w := newWorld(t, store, other, contacts.PermissionWriteContacts)
		for _, want := range []contacts.Code{contacts.CodePermissionDenied, contacts.CodePermissionDenied, contacts.CodeInvalidKey} {
			if want == contacts.CodeInvalidKey {
				if err := revoke(t, w); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.service.CreateContact(t.Context(), w.key, bob); contacts.CodeOf(err) != want {
				t.Errorf("got %v, want %s", err, want)
			}
		}
	})

	// A replay shows the do-not-call list as it is now.
	t.Run("replay", func(t *testing.T) {
		w := newWorld(t, store, other, contacts.PermissionReadContacts, contacts.PermissionWriteContacts)
		in := ada()
		in.PhoneNumbers = []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}}
		if _, err := w.service.CreateContact(t.Context(), w.key, in); err != nil {
			t.Fatal(err)
		}
		elsewhere, err := contacts.New(other, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := elsewhere.BlockCalls(t.Context(), w.key, contacts.DoNotCallInput{PhoneNumber: "+15551234567"}); err != nil {
			t.Fatal(err)
		}
		r, err := w.service.CreateContactResult(t.Context(), w.key, in)
		if err != nil || !r.Replayed || !r.Contact.PhoneNumbers[0].DoNotCall {
			t.Errorf("got %+v, %v, want a replay with the mark", r, err)
		}
	})

	t.Run("settings", func(t *testing.T) {
		w := newWorld(t, store, other, contacts.PermissionReadContacts)
		if _, err := w.service.CreateContact(t.Context(), w.key, ada()); err != nil {
			t.Fatal(err)
		}
		err := w.admin.SetDuplicatePolicy(t.Context(), w.account, contacts.DuplicatePolicy{Action: contacts.DuplicateReject, Keys: []contacts.KeyKind{contacts.KeyEmail}})
		if err != nil {
			t.Fatal(err)
		}
		asked := w.store.asked.Load()
		for range 3 {
			if _, err := w.service.CreateContact(t.Context(), w.key, again); contacts.CodeOf(err) != contacts.CodeDuplicateContact {
				t.Errorf("got %v, want %s", err, contacts.CodeDuplicateContact)
			}
			if _, err := w.service.CreateContact(t.Context(), w.key, bob); err != nil {
				t.Error(err)
			}
		}
		if got := w.store.asked.Load() - asked; got != 1 {
			t.Errorf("the store was asked for the key %d times after the settings had changed, want once", got)
		}
	})
}
