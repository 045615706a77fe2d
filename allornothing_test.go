package contacts_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
)

// Whatever changes while a batch that is all or nothing is on its way, all of it is
// decided by one state of the account's settings, and stored in one step or not at all.
func TestAllOrNothingIsDecidedByOneState(t *testing.T) {
	t.Parallel()
	upsert := contacts.DuplicatePolicy{Action: contacts.DuplicateUpsert, Mode: contacts.UpsertOverwrite}
	c := func(name, email, key string) contacts.CreateContactInput {
		return contacts.CreateContactInput{FirstName: name, Email: email, IdempotencyKey: key}
	}
	absent := c("Bob", "bob@example.com", "")
	absent.TeamID = absentTeam
	for _, test := range []struct {
		name   string
		policy contacts.DuplicatePolicy
		meddle func(t *testing.T, w *world)
		dryRun int // meddle comes before that dry run of the store; 0: before the write
		in     []contacts.CreateContactInput
		want   []string
		stored []string
	}{
		{
			name: "the policy turns from allow to upsert", meddle: func(t *testing.T, w *world) { w.setPolicy(t, upsert) },
			in:   []contacts.CreateContactInput{c("Eve", "ada@example.com", ""), absent, c("Cy", "cy@example.com", "")},
			want: []string{"batch_failed", "team_not_found", "batch_failed"}, stored: []string{"Ada"},
		}, {
			name: "the policy turns from reject to upsert", policy: reject, meddle: func(t *testing.T, w *world) { w.setPolicy(t, upsert) },
			in:   []contacts.CreateContactInput{c("Eve", "ada@example.com", ""), c("Cy", "cy@example.com", "")},
			want: []string{"", ""}, stored: []string{"Cy", "Eve"},
		}, {
			name: "a key was used for another contact", meddle: func(t *testing.T, w *world) { w.setPolicy(t, reject) },
			in:   []contacts.CreateContactInput{c("Eve", "", "ada"), c("Cy", "", "")},
			want: []string{"idempotency_conflict", "batch_failed"}, stored: []string{"Ada"},
		}, {
			name: "a contact was stored before", meddle: func(t *testing.T, w *world) { w.setPolicy(t, reject) },
			in:   []contacts.CreateContactInput{c("Ada", "ada@example.com", "ada"), c("Cy", "", "")},
			want: []string{"again", ""}, stored: []string{"Ada", "Cy"},
		}, {
			name: "the do-not-call list begins", meddle: func(t *testing.T, w *world) {
				if _, err := w.svc.BlockCalls(t.Context(), w.writer, contacts.DoNotCallInput{PhoneNumber: "+442079460018"}); err != nil {
					t.Error(err)
				}
			},
			in:   []contacts.CreateContactInput{c("Eve", "", "ada"), c("Cy", "", "")},
			want: []string{"idempotency_conflict", "batch_failed"}, stored: []string{"Ada"},
		}, {
			name: "a key is used between the plan and the write", policy: upsert, meddle: func(t *testing.T, w *world) { w.create(t, c("Dan", "", "new")) },
			in:   []contacts.CreateContactInput{c("Eve", "eve@example.com", "new"), c("Cy", "", "")},
			want: []string{"idempotency_conflict", "batch_failed"}, stored: []string{"Ada", "Dan"},
		}, {
			name: "the policy turns to allow before the first is planned", policy: upsert, dryRun: 1, meddle: func(t *testing.T, w *world) { w.setPolicy(t, contacts.DuplicatePolicy{}) },
			in:   []contacts.CreateContactInput{c("Eve", "ada@example.com", ""), c("Cy", "ada@example.com", "")},
			want: []string{"", ""}, stored: []string{"Ada", "Cy", "Eve"},
		}, {
			name: "the policy turns to allow in the middle of the plan", policy: upsert, dryRun: 3, meddle: func(t *testing.T, w *world) { w.setPolicy(t, contacts.DuplicatePolicy{}) },
			in:   []contacts.CreateContactInput{c("Eve", "ada@example.com", ""), c("Cy", "ada@example.com", "")},
			want: []string{"", ""}, stored: []string{"Ada", "Cy", "Eve"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			onEveryStore(t, func(t *testing.T, store contacts.Store) {
				race := &batchRace{Store: store}
				w := newWorld(t, race, nil)
				w.setPolicy(t, test.policy)
				w.create(t, c("Ada", "ada@example.com", "ada"))
				meddled, dryRuns := false, 0
				meddle := func() { meddled = true; test.meddle(t, w) }
				var before func()
				before = func() {
					if dryRuns++; dryRuns == test.dryRun {
						meddle()
					} else {
						race.beforeDryRun = before
					}
				}
				if test.dryRun == 0 {
					race.beforeWrite = meddle
				} else {
					race.beforeDryRun = before
				}
				results, err := w.svc.CreateContacts(t.Context(), w.writer, contacts.CreateContactsInput{AllOrNothing: true, Contacts: test.in})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, outcomes(results)); diff != "" {
					t.Errorf("outcomes (-want +got):\n%s", diff)
				}
				stored := w.names(t, contacts.ListContactsInput{})
				slices.Sort(stored)
				if diff := cmp.Diff(test.stored, stored); diff != "" || !meddled {
					t.Errorf("meddled: %t; stored (-want +got):\n%s", meddled, diff)
				}
			})
		})
	}
}

// TestReplayOfAnotherResultInABatch: a replay of a create that found a stored contact
// shows it as it is now, also in a batch that is all or nothing. If the contact is gone,
// nothing of the batch is stored.
func TestReplayOfAnotherResultInABatch(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		w.setPolicy(t, returnExisting)
		ada := w.create(t, contacts.CreateContactInput{FirstName: "Ada", LastName: "Lovelace", Email: "ada@example.com"})
		sent := contacts.CreateContactInput{FirstName: "Eve", Email: "ada@example.com", IdempotencyKey: "k"}
		w.create(t, sent)
		w.setPolicy(t, reject)
		together := contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{sent, {FirstName: "Bob"}}, AllOrNothing: true}
		for _, key := range []string{w.writer, w.limitedWriter} {
			for _, svc := range []*contacts.Service{w.svc.DryRun(), w.svc} {
				results, err := svc.CreateContacts(t.Context(), key, together)
				if err != nil || !cmp.Equal(outcomes(results), []string{"again", ""}) || results[0].Result != contacts.ResultExisting || !cmp.Equal(results[0].Contact, ada) {
					t.Errorf("dry run %t: got %+v, %v", svc.IsDryRun(), results, err)
				}
			}
		}
		if err := w.svc.DeleteContact(t.Context(), w.writer, ada.ID, nil); err != nil {
			t.Fatal(err)
		}
		before := len(w.names(t, contacts.ListContactsInput{}))
		for _, svc := range []*contacts.Service{w.svc.DryRun(), w.svc} {
			results, err := svc.CreateContacts(t.Context(), w.writer, together)
			if err != nil || !cmp.Equal(outcomes(results), []string{"not_found", "batch_failed"}) {
				t.Errorf("gone, dry run %t: got %+v, %v", svc.IsDryRun(), results, err)
			}
		}
		if after := len(w.names(t, contacts.ListContactsInput{})); after != before {
			t.Errorf("%d contacts are stored, want %d", after, before)
		}
	})
}
