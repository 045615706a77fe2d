package contacts_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// name is the input of a contact that has only that.
func name(s string) contacts.CreateContactInput { return contacts.CreateContactInput{FirstName: s} }

// changeCity is a change that every contact can have.
func (p *past) changeCity(id uuid.UUID, city string) {
	p.t.Helper()
	if _, err := p.svc.UpdateContact(p.t.Context(), p.key, id, contacts.UpdateContactInput{City: &city}, nil); err != nil {
		p.t.Fatal(err)
	}
}

// sequencesAfter returns the sequences of the events after one, up to the newest,
// and the error that ends them.
func (p *past) sequencesAfter(after int64) (sequences []int64, err error) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	admin := contacts.NewAdmin(&lastLook{p.store, cancel}, &contacts.AdminOptions{EventPoll: 1, Now: func() time.Time { return p.now }})
	for e, err := range admin.Events(ctx, p.acme.ID, after) {
		if err != nil {
			return sequences, err
		}
		sequences = append(sequences, e.Sequence)
	}
	return sequences, nil
}

// A lastLook is a store whose reader gives up when there is nothing more.
type lastLook struct {
	contacts.Store
	end func()
}

func (s *lastLook) ListJournal(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
	entries, err := s.Store.ListJournal(ctx, q)
	if len(entries) == 0 && !q.Backwards {
		s.end()
	}
	return entries, err
}

// wantGone fails the test unless the events after a sequence are gone, and the
// next one that is there is the given one.
func wantGone(t *testing.T, err error, next int64) {
	t.Helper()
	wantError(t, err, contacts.CodeEventsGone)
	e, _ := errors.AsType[*contacts.Error](err)
	if e.NextSequence != next || !errors.Is(err, contacts.ErrEventsGone) {
		t.Errorf("the next sequence is %d, want %d", e.NextSequence, next)
	}
}

func TestEventsGone(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		p := newPast(t, store)
		setKeep := func(keep time.Duration) {
			if err := p.admin.SetEvents(t.Context(), p.acme.ID, contacts.EventSettings{On: true, Keep: keep}); err != nil {
				t.Fatal(err)
			}
		}
		c, err := p.svc.CreateContact(t.Context(), p.key, name("Ada")) // 1, which is kept
		if err != nil {
			t.Fatal(err)
		}
		setKeep(time.Hour)
		p.changeCity(c.ID, "Oslo") // 2 and 3, which end
		p.changeCity(c.ID, "Rome")
		setKeep(48 * time.Hour)
		p.changeCity(c.ID, "Bern") // 4, which is kept
		between := p.now.Add(time.Minute)
		p.now = p.now.Add(time.Hour)

		for after, want := range map[int64][]int64{0: {1}, 3: {4}, 4: nil} {
			got, err := p.sequencesAfter(after)
			if after == 0 {
				wantGone(t, err, 4)
			} else if err != nil {
				t.Errorf("after %d: %v", after, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("after %d (-want +got):\n%s", after, diff)
			}
			page, err := p.svc.Events(t.Context(), p.key, contacts.EventsInput{After: after})
			if err != nil || len(page.Events) != len(want) || page.HasMore != (after == 0) {
				t.Errorf("page after %d: %+v, %v", after, page, err)
			}
		}
		for _, after := range []int64{1, 2} { // before the hole, and in it
			got, err := p.sequencesAfter(after)
			if wantGone(t, err, 4); got != nil {
				t.Errorf("after %d: got %d", after, got)
			}
			_, err = p.svc.Events(t.Context(), p.key, contacts.EventsInput{After: after})
			wantGone(t, err, 4)
			page, err := p.svc.Events(t.Context(), p.key, contacts.EventsInput{After: after, ContactID: c.ID})
			if err != nil || len(page.Events) != 1 || page.LastSequence != 4 {
				t.Errorf("of the contact: %+v, %v", page, err)
			}
		}

		// The chain of versions goes back to the first event that is there.
		var history []int64
		for e, err := range p.svc.History(t.Context(), p.key, c.ID) {
			if err != nil {
				t.Fatal(err)
			}
			history = append(history, e.Version)
		}
		if diff := cmp.Diff([]int64{4}, history); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
		if got, err := p.svc.GetContactAsOf(t.Context(), p.key, c.ID, between); err != nil || got.City != "Bern" {
			t.Errorf("as of: %v, %v", got, err)
		}
		_, err = p.admin.ContactAfter(t.Context(), contacts.Event{AccountID: p.acme.ID, ContactID: c.ID, Version: 1})
		wantGone(t, err, 0)

		// When all have ended, a reader at the end goes on, and another one is told.
		p.now = p.now.Add(1000 * time.Hour)
		if got, err := p.sequencesAfter(4); got != nil || err != nil {
			t.Errorf("at the end: %d, %v", got, err)
		}
		_, err = p.sequencesAfter(3)
		wantGone(t, err, 5)
		if got, err := p.sequencesAfter(0); got != nil || err != nil {
			t.Errorf("from the beginning: %d, %v", got, err)
		}
		page, err := p.svc.Events(t.Context(), p.key, contacts.EventsInput{})
		if err != nil || page.LastSequence != 4 || page.HasMore {
			t.Errorf("page from the beginning: %+v, %v", page, err)
		}
		_, err = p.svc.GetContactAsOf(t.Context(), p.key, c.ID, c.CreatedAt)
		if got, want := contacts.CodeOf(err), contacts.CodeEventsGone; c.CreatedAt.Equal(between.Add(-time.Minute)) == (got == want) {
			t.Errorf("as of the create: %v", err)
		}
	})
}

func TestEventsOffLeaveAHole(t *testing.T) {
	t.Parallel()
	p := newPast(t, closing(t, memory.New()))
	c, err := p.svc.CreateContact(t.Context(), p.key, name("Ada"))
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]time.Time{"": p.now}
	for _, step := range []struct {
		on   bool
		city string
	}{{false, "Oslo"}, {true, "Rome"}, {true, "Bern"}} {
		p.now = p.now.Add(time.Hour)
		times[step.city] = p.now
		if err := p.admin.SetEvents(t.Context(), p.acme.ID, contacts.EventSettings{On: step.on}); err != nil {
			t.Fatal(err)
		}
		p.changeCity(c.ID, step.city)
	}
	for city, at := range times {
		got, err := p.svc.GetContactAsOf(t.Context(), p.key, c.ID, at.Add(time.Minute-time.Hour))
		switch want := map[string]string{"Bern": "Rome", "Rome": "Oslo"}[city]; {
		case city == "":
			wantError(t, err, contacts.CodeNotFound) // an hour before
		case want == "":
			wantGone(t, err, 0)
		case err != nil || got.City != want:
			t.Errorf("before %s: %v, %v", city, got, err)
		}
	}
	_, err = p.svc.GetContactAsOf(t.Context(), p.key, c.ID, p.now.Add(time.Microsecond))
	wantError(t, err, contacts.CodeValidationError, wrong("as_of", contacts.FieldInvalid))
}

func TestRetention(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		p := newPast(t, store)
		if err := p.admin.SetEvents(t.Context(), p.acme.ID, contacts.EventSettings{On: true, Keep: time.Hour}); err != nil {
			t.Fatal(err)
		}
		const count = 300
		for range count / 100 {
			p.batch(t, contacts.CreateContactsInput{Contacts: slices.Repeat([]contacts.CreateContactInput{name("Ada")}, 100)})
		}
		// An entry of another kind stays, whatever it says.
		ended := p.now.Add(time.Hour)
		for _, kind := range []contacts.JournalKind{contacts.JournalErasure, contacts.JournalEvent} {
			account, err := store.FindAccount(t.Context(), p.acme.ID)
			if err != nil {
				t.Fatal(err)
			}
			_, err = store.Apply(t.Context(), contacts.MutationBatch{Now: p.now, Mutations: []contacts.Mutation{{
				AccountID: p.acme.ID, Settings: account.SettingsVersion,
				Journal: []contacts.JournalEntry{{Kind: kind, At: p.now, EndsAt: ended, Data: `{"v":1,"type":"contact.purged","actor":{"kind":"admin"}}`}},
			}}})
			if err != nil {
				t.Fatal(err)
			}
		}
		p.now = ended
		if got, err := p.sequencesAfter(0); got != nil || err != nil {
			t.Errorf("events that have ended are there: %d, %v", got, err)
		}
		kept := func() (sequences []int64) {
			for _, e := range journalOf(t, store, p.acme.ID) {
				sequences = append(sequences, e.Sequence)
			}
			return sequences
		}
		if n := len(kept()); n != count+2 {
			t.Errorf("%d entries are there before an hour has passed, want %d", n, count+2)
		}
		p.now = ended.Add(time.Hour)
		if err := p.admin.PruneEvents(t.Context(), p.acme.ID); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int64{count + 1, count + 2}, kept()); diff != "" {
			t.Errorf("kept (-want +got):\n%s", diff)
		}
		if last, err := p.admin.LastSequence(t.Context(), p.acme.ID); last != count+2 || err != nil {
			t.Errorf("the last sequence is %d, %v", last, err)
		}
	})
}

func TestVisibility(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		p := newPast(t, store)
		limited, _, err := p.admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: p.acme.ID, Permissions: all, TeamIDs: []int64{team}})
		if err != nil {
			t.Fatal(err)
		}
		in := func(team int64) uuid.UUID {
			c, err := p.svc.CreateContact(t.Context(), p.key, contacts.CreateContactInput{FirstName: "x", TeamID: team})
			if err != nil {
				t.Fatal(err)
			}
			return c.ID
		}
		free, mine, theirs, deleted, purged := in(0), in(team), in(closedTeam), in(team), in(team) // 1 to 5
		for _, id := range []uuid.UUID{deleted, purged} {                                          // 6 and 7
			if err := p.svc.DeleteContact(t.Context(), p.key, id, nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.admin.PurgeContacts(t.Context(), contacts.PurgeInput{AccountID: p.acme.ID, ContactID: purged}); err != nil { // 8
			t.Fatal(err)
		}
		read := func(key string, in contacts.EventsInput) (sequences []int64) {
			for {
				page, err := p.svc.Events(t.Context(), key, in)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range page.Events {
					sequences = append(sequences, e.Sequence)
				}
				if !page.HasMore {
					if page.LastSequence != 8 && in.ContactID == uuid.Nil {
						t.Errorf("the last page ends at %d", page.LastSequence)
					}
					return sequences
				}
				if page.LastSequence <= in.After {
					t.Fatalf("a page does not move on from %d", in.After)
				}
				in.After = page.LastSequence
			}
		}
		move := func(id uuid.UUID, team int64) {
			if _, err := p.svc.UpdateContact(t.Context(), p.key, id, contacts.UpdateContactInput{TeamID: &team}, nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, limit := range []int{1, 2, 100} {
			for _, c := range []struct {
				key  string
				in   contacts.EventsInput
				want []int64
			}{
				{p.key, contacts.EventsInput{}, []int64{1, 2, 3, 4, 5, 6, 7, 8}},
				{limited, contacts.EventsInput{}, []int64{1, 2, 4, 6}},
				{limited, contacts.EventsInput{After: 4}, []int64{6}},
				{limited, contacts.EventsInput{Types: []contacts.EventType{contacts.EventContactDeleted}}, []int64{6}},
				{p.key, contacts.EventsInput{Types: []contacts.EventType{contacts.EventContactDeleted, contacts.EventContactPurged}}, []int64{6, 7, 8}},
				{limited, contacts.EventsInput{ContactID: mine}, []int64{2}},
				{limited, contacts.EventsInput{ContactID: theirs}, nil},
				{limited, contacts.EventsInput{ContactID: purged}, nil},
				{p.key, contacts.EventsInput{ContactID: purged, After: 5}, []int64{7, 8}},
			} {
				c.in.Limit = limit
				if diff := cmp.Diff(c.want, read(c.key, c.in)); diff != "" {
					t.Errorf("%+v (-want +got):\n%s", c.in, diff)
				}
			}
		}
		history := func(id uuid.UUID) error {
			for _, err := range p.svc.History(t.Context(), limited, id) {
				return err
			}
			return nil
		}
		for id, code := range map[uuid.UUID]contacts.Code{free: "", mine: "", deleted: "", theirs: contacts.CodeNotFound, purged: contacts.CodeNotFound, {1}: contacts.CodeNotFound} {
			if err := history(id); contacts.CodeOf(err) != code {
				t.Errorf("history: got %v, want %s", err, code)
			}
			_, err := p.svc.GetContactAsOf(t.Context(), limited, id, p.now)
			if id != deleted && contacts.CodeOf(err) != code {
				t.Errorf("as of: got %v, want %s", err, code)
			}
		}
		move(mine, closedTeam)
		move(theirs, team)
		page, err := p.svc.Events(t.Context(), limited, contacts.EventsInput{Limit: 3})
		if err != nil || len(page.Events) != 3 || page.Events[1].ContactID != theirs {
			t.Errorf("after the moves: %+v, %v", page, err)
		}
		for _, key := range []string{p.writer, p.powerless} { // has no permission for events
			_, err := p.svc.Events(t.Context(), key, contacts.EventsInput{})
			wantError(t, err, contacts.CodePermissionDenied)
			_, err = p.svc.GetContactAsOf(t.Context(), key, free, p.now)
			wantError(t, err, contacts.CodePermissionDenied)
			for _, err := range p.svc.History(t.Context(), key, free) {
				wantError(t, err, contacts.CodePermissionDenied)
			}
		}
		_, err = p.svc.Events(t.Context(), limited, contacts.EventsInput{After: -1, Limit: 1001, Types: []contacts.EventType{"x"}})
		wantError(t, err, contacts.CodeValidationError, wrong("after", contacts.FieldInvalid), wrong("type[0]", contacts.FieldNotAllowed), wrong("limit", contacts.FieldInvalid))
	})
}

// blocksAndGrants makes a world whose journal has a block that a create asked for, its
// companion, a block and a grant; then events are on, and a contact is created. The
// contacts are in closedTeam.
func blocksAndGrants(t *testing.T, store contacts.Store) (p *past, manager string, blocked *contacts.Contact) {
	t.Helper()
	p = newPast(t, store)
	if err := p.admin.SetEvents(t.Context(), p.acme.ID, contacts.EventSettings{}); err != nil {
		t.Fatal(err)
	}
	manager = p.manager(t, contacts.IssueKeyInput{AllTeams: true})
	in := contacts.CreateContactInput{FirstName: "Ada", TeamID: closedTeam, PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567", DoNotCall: true}}}
	blocked, err := p.svc.CreateContact(t.Context(), manager, in) // 1 and 2
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.svc.BlockCalls(t.Context(), manager, contacts.DoNotCallInput{PhoneNumber: "+15557654321", Reason: "asked", ExpiresAt: p.now.Add(time.Hour)}); err != nil { // 3
		t.Fatal(err)
	}
	if _, err := p.svc.GrantCalls(t.Context(), manager, contacts.DoNotCallInput{PhoneNumber: "+15557654321", Reason: "signed", Reference: "form 7"}); err != nil { // 4
		t.Fatal(err)
	}
	if err := p.admin.SetEvents(t.Context(), p.acme.ID, contacts.EventSettings{On: true, Keep: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.svc.CreateContact(t.Context(), manager, contacts.CreateContactInput{FirstName: "Grace", TeamID: closedTeam}); err != nil { // 5
		t.Fatal(err)
	}
	return p, manager, blocked
}

// manager returns a new key of acme that may do everything with its teams.
func (w *world) manager(t testing.TB, in contacts.IssueKeyInput) string {
	t.Helper()
	in.AccountID, in.Permissions = w.acme.ID, append(slices.Clone(all), contacts.PermissionManageDoNotCall)
	key, _, err := w.admin.IssueKey(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// The host and keys that manage the do-not-call ledger get its entries among the
// events, whether events are on or off.
func TestBlocksAndGrantsAreEvents(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		p, manager, c := blocksAndGrants(t, store)
		var entries []contacts.DoNotCallEntry
		for e, err := range p.svc.DoNotCallEntries(t.Context(), manager, contacts.ListDoNotCallInput{All: true}) {
			if err != nil {
				t.Fatal(err)
			}
			entries = append(entries, e)
		}
		if len(entries) != 3 {
			t.Fatalf("the ledger has %v", entries)
		}
		var want []contacts.Event
		for i, kind := range []contacts.EventType{contacts.EventDoNotCallBlocked, contacts.EventDoNotCallBlocked, contacts.EventDoNotCallGranted} {
			e := &entries[i]
			want = append(want, contacts.Event{
				AccountID: p.acme.ID, Sequence: e.Sequence, Type: kind, At: e.RecordedAt, ContactID: e.ContactID, Actor: e.Actor, DoNotCall: e,
			})
		}
		got := p.events()
		if len(got) != 4 || got[3].Type != contacts.EventContactCreated {
			t.Fatalf("events: %+v", got)
		}
		if diff := cmp.Diff(want, got[:3]); diff != "" || got[0].ContactID != c.ID {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		text, err := json.Marshal(got[1])
		if err != nil {
			t.Fatal(err)
		}
		actor, err := json.Marshal(got[1].Actor)
		if err != nil {
			t.Fatal(err)
		}
		wantText := strings.NewReplacer("ACCOUNT", p.acme.ID.String(), "AT", p.now.Format(time.RFC3339Nano), "END", p.now.Add(time.Hour).Format(time.RFC3339Nano), "ACTOR", string(actor)).Replace(
			`{"account_id":"ACCOUNT","sequence":3,"type":"do_not_call.blocked","at":"AT","version":0,"actor":ACTOR,"do_not_call":{"sequence":3,"type":"block",` +
				`"phone_number":"+15557654321","at":"AT","recorded_at":"AT","expires_at":"END","source":"api","reason":"asked","actor":ACTOR}}`)
		if diff := cmp.Diff(wantText, string(text)); diff != "" {
			t.Errorf("JSON (-want +got):\n%s", diff)
		}
		for _, err := range p.svc.History(t.Context(), manager, c.ID) {
			t.Errorf("the history of a contact that was created while events were off has an event, or %v", err)
		}
		if _, err := p.admin.ContactAfter(t.Context(), got[0]); contacts.CodeOf(err) != contacts.CodeNotFound {
			t.Errorf("the contact after a block: %v", err)
		}

		// They do not end, and are where a reader goes on after events that have.
		p.now = p.now.Add(time.Hour)
		if _, err := p.svc.BlockCalls(t.Context(), manager, contacts.DoNotCallInput{PhoneNumber: "+15550000000"}); err != nil { // 6
			t.Fatal(err)
		}
		for after, want := range map[int64][]int64{0: {1, 3, 4}, 4: nil, 5: {6}} {
			got, err := p.sequencesAfter(after)
			if after != 5 {
				wantGone(t, err, 6)
			} else if err != nil {
				t.Errorf("after %d: %v", after, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("after %d (-want +got):\n%s", after, diff)
			}
		}
	})
}

// Keys that do not manage the ledger see none of its entries, and keys without
// access to all teams do not see which contact one came from.
func TestVisibilityOfBlocks(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		p, manager, c := blocksAndGrants(t, store)
		limited := p.manager(t, contacts.IssueKeyInput{TeamIDs: []int64{team}})
		for _, limit := range []int{1, 2, 100} {
			for _, test := range []struct {
				key  string
				in   contacts.EventsInput
				want []int64
				from uuid.UUID // the contact of the first
			}{
				{key: manager, want: []int64{1, 3, 4, 5}, from: c.ID},
				{key: manager, in: contacts.EventsInput{Types: []contacts.EventType{contacts.EventDoNotCallBlocked}}, want: []int64{1, 3}, from: c.ID},
				{key: manager, in: contacts.EventsInput{Types: []contacts.EventType{contacts.EventDoNotCallGranted}}, want: []int64{4}},
				{key: manager, in: contacts.EventsInput{ContactID: c.ID}},
				{key: limited, want: []int64{1, 3, 4}},
				{key: p.key, in: contacts.EventsInput{After: 4}, want: []int64{5}, from: p.events()[3].ContactID},
				{key: p.key, in: contacts.EventsInput{Types: []contacts.EventType{contacts.EventDoNotCallBlocked, contacts.EventDoNotCallGranted}}},
			} {
				test.in.Limit = limit
				var got []int64
				for more := true; more; {
					page, err := p.svc.Events(t.Context(), test.key, test.in)
					if err != nil {
						t.Fatal(err)
					}
					for _, e := range page.Events {
						if got == nil && e.ContactID != test.from || e.DoNotCall != nil && e.DoNotCall.ContactID != e.ContactID {
							t.Errorf("%+v: the event names the contact %s, want %s", test.in, e.ContactID, test.from)
						}
						got = append(got, e.Sequence)
					}
					if more = page.HasMore; more && page.LastSequence <= test.in.After {
						t.Fatalf("a page does not move on from %d", test.in.After)
					}
					test.in.After = page.LastSequence
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("%+v (-want +got):\n%s", test.in, diff)
				}
				if test.in.After != 5 && test.in.ContactID == uuid.Nil {
					t.Errorf("%+v: the last page ends at %d", test.in, test.in.After)
				}
			}
		}
	})
}

// TestAsOfDoNotCall looks back at the times of a block, a grant that expires, a
// grant, and a block that was recorded later than it was said.
func TestAsOfDoNotCall(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		const number = "+15551234567"
		p := newPast(t, store)
		manager := p.manager(t, contacts.IssueKeyInput{AllTeams: true})
		begin := p.now
		at := func(minutes int) time.Time { return begin.Add(time.Duration(minutes) * time.Minute) }
		record := func(minute int, what func(context.Context, string, contacts.DoNotCallInput) (*contacts.DoNotCallStatus, error), in contacts.DoNotCallInput) {
			t.Helper()
			p.now = at(minute)
			in.PhoneNumber, in.Reference = number, "form 7"
			if _, err := what(t.Context(), manager, in); err != nil {
				t.Fatal(err)
			}
		}
		c, err := p.svc.CreateContact(t.Context(), manager, contacts.CreateContactInput{
			FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number}, {PhoneNumber: "+15557654321"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		record(10, p.svc.BlockCalls, contacts.DoNotCallInput{Reason: "first"})
		record(20, p.svc.GrantCalls, contacts.DoNotCallInput{Reason: "for a while", ExpiresAt: at(30)})
		record(40, p.svc.GrantCalls, contacts.DoNotCallInput{Reason: "for good"})
		record(50, p.svc.BlockCalls, contacts.DoNotCallInput{Reason: "late", At: at(45), ExpiresAt: at(70)})
		record(60, p.svc.BlockCalls, contacts.DoNotCallInput{Reason: "older", At: at(15)}) // the grant comes after it
		p.now = at(80)
		if _, err := p.svc.UpdateContact(t.Context(), manager, c.ID, contacts.UpdateContactInput{PhoneNumbers: &[]contacts.UpdatePhoneNumber{}}, nil); err != nil {
			t.Fatal(err)
		}
		p.now = at(1000)
		for _, test := range []struct {
			at     time.Time
			date   time.Time // zero: the number was not listed
			reason string
		}{
			{at: at(0)},
			{at: at(10).Add(-time.Microsecond)},
			{at: at(10), date: at(10), reason: "first"},
			{at: at(19), date: at(10), reason: "first"},
			{at: at(20)},
			{at: at(30).Add(-time.Microsecond)},
			{at: at(30), date: at(10), reason: "first"},
			{at: at(40)},
			{at: at(47)},
			{at: at(50), date: at(45), reason: "late"},
			{at: at(60), date: at(45), reason: "late"},
			{at: at(70)},
			{at: at(79)},
		} {
			was, err := p.svc.GetContactAsOf(t.Context(), manager, c.ID, test.at)
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Clone(c.PhoneNumbers)
			want[0].DoNotCall, want[0].DoNotCallDate, want[0].DoNotCallReason = !test.date.IsZero(), test.date, test.reason
			if diff := cmp.Diff(want, was.PhoneNumbers); diff != "" {
				t.Errorf("after %s (-want +got):\n%s", test.at.Sub(begin), diff)
			}
		}
		if now, err := p.svc.GetContactAsOf(t.Context(), manager, c.ID, at(80)); err != nil || len(now.PhoneNumbers) != 0 {
			t.Errorf("after the change: %+v, %v", now, err)
		}
	})
}

// ways is each method of a Service and of an Admin that writes contacts, and the
// events that one call of it makes.
var ways = map[string]func(ctx context.Context, p *past, id uuid.UUID) error{
	"CreateContact": func(ctx context.Context, p *past, _ uuid.UUID) error {
		_, err := p.svc.CreateContact(ctx, p.key, name("x"))
		return err
	},
	"CreateContactResult": func(ctx context.Context, p *past, _ uuid.UUID) error {
		_, err := p.svc.CreateContactResult(ctx, p.key, name("x"))
		return err
	},
	"CreateContactJSON": func(ctx context.Context, p *past, _ uuid.UUID) error {
		_, err := p.svc.CreateContactJSON(ctx, p.key, strings.NewReader(`{"first_name": "x"}`))
		return err
	},
	"CreateContactResultJSON": func(ctx context.Context, p *past, _ uuid.UUID) error {
		_, err := p.svc.CreateContactResultJSON(ctx, p.key, "", strings.NewReader(`{"first_name": "x"}`))
		return err
	},
	"CreateContacts": func(ctx context.Context, p *past, _ uuid.UUID) error {
		_, err := p.svc.CreateContacts(ctx, p.key, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{name("x")}})
		return err
	},
	"CreateContactsJSON": func(ctx context.Context, p *past, _ uuid.UUID) error {
		_, err := p.svc.CreateContactsJSON(ctx, p.key, strings.NewReader(`{"contacts": [{"first_name": "x"}]}`))
		return err
	},
	"CreateContactsJSONSeq": func(ctx context.Context, p *past, _ uuid.UUID) error {
		_, err := p.svc.CreateContactsJSONSeq(ctx, p.key, strings.NewReader(`{"contacts": [{"first_name": "x"}]}`))
		return err
	},
	"CreateContactStream": func(ctx context.Context, p *past, _ uuid.UUID) (err error) {
		for _, err = range p.svc.CreateContactStream(ctx, p.key, slices.Values([]contacts.CreateContactInput{name("x")})) {
		}
		return err
	},
	"UpsertContact": func(ctx context.Context, p *past, _ uuid.UUID) error {
		_, err := p.svc.UpsertContact(ctx, p.key, contacts.UpsertContactInput{CreateContactInput: name("x")})
		return err
	},
	"UpsertContactJSON": func(ctx context.Context, p *past, _ uuid.UUID) error {
		_, err := p.svc.UpsertContactJSON(ctx, p.key, "", strings.NewReader(`{"first_name": "x"}`))
		return err
	},
	"UpsertContacts": func(ctx context.Context, p *past, _ uuid.UUID) error {
		_, err := p.svc.UpsertContacts(ctx, p.key, contacts.UpsertContactsInput{Contacts: []contacts.UpsertContactInput{{CreateContactInput: name("x")}}})
		return err
	},
	"UpsertContactStream": func(ctx context.Context, p *past, _ uuid.UUID) (err error) {
		for _, err = range p.svc.UpsertContactStream(ctx, p.key, slices.Values([]contacts.UpsertContactInput{{CreateContactInput: name("x")}})) {
		}
		return err
	},
	"UpdateContact": func(ctx context.Context, p *past, id uuid.UUID) error {
		_, err := p.svc.UpdateContact(ctx, p.key, id, contacts.UpdateContactInput{}, nil)
		return err
	},
	"UpdateContactJSON": func(ctx context.Context, p *past, id uuid.UUID) error {
		_, err := p.svc.UpdateContactJSON(ctx, p.key, id, strings.NewReader(`{}`), nil)
		return err
	},
	"ReplaceContact": func(ctx context.Context, p *past, id uuid.UUID) error {
		_, err := p.svc.ReplaceContact(ctx, p.key, id, name("x"), nil)
		return err
	},
	"ReplaceContactJSON": func(ctx context.Context, p *past, id uuid.UUID) error {
		_, err := p.svc.ReplaceContactJSON(ctx, p.key, id, strings.NewReader(`{"first_name": "x"}`), nil)
		return err
	},
	"DeleteContact": func(ctx context.Context, p *past, id uuid.UUID) error {
		return p.svc.DeleteContact(ctx, p.key, id, nil)
	},
	"RestoreContact": func(ctx context.Context, p *past, id uuid.UUID) error {
		_, err := p.svc.RestoreContact(ctx, p.key, id, nil)
		return err
	},
	"PurgeContacts": func(ctx context.Context, p *past, id uuid.UUID) error {
		_, err := p.admin.PurgeContacts(ctx, contacts.PurgeInput{AccountID: p.acme.ID, ContactID: id})
		return err
	},
}

// otherMethods change no contact, or erase one: see TestErasedEvents.
var otherMethods = []string{
	"Accounts", "Authorize", "BlockCalls", "BlockCallsBatch", "BlockCallsBatchJSON", "BlockCallsJSON", "BlockCallsStream", "CanCall", "CanCallMany",
	"CanCallManyJSON", "CheckDoNotCall", "DoNotCallEntries", "DoNotCallStatus", "GrantCalls", "GrantCallsJSON", "ListDoNotCall", "ContactAfter", "Contacts", "CreateAccount", "CreateTeam", "DisableAccount", "DryRun", "DuplicatePolicy",
	"Duplicates", "EnableAccount", "EraseContact", "ErasePerson", "Erasures", "EventSettings", "Events", "FindDuplicates", "GetContact", "GetContactAsOf", "History", "IsDryRun", "IssueKey", "Keys", "LastSequence",
	"ListContacts", "PreviewErasure", "PreviewErasures", "PruneEvents", "Reapply", "RevokeKey", "SetDuplicatePolicy", "SetEvents", "Teams", "VerifyErasure",
}

// TestEveryWay fails if a method of Service or Admin is in neither list: one that
// changes a contact must make an event.
func TestEveryWay(t *testing.T) {
	t.Parallel()
	for _, methods := range []reflect.Type{reflect.TypeFor[*contacts.Service](), reflect.TypeFor[*contacts.Admin]()} {
		for m := range methodsOf(methods) {
			if ways[m] == nil && !slices.Contains(otherMethods, m) {
				t.Errorf("does %s.%s change contacts? Add it to the lists of this test", methods, m)
			}
		}
	}
	for way, call := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			p := newPast(t, closing(t, memory.New()))
			c, err := p.svc.CreateContact(t.Context(), p.key, name("Ada"))
			if err != nil {
				t.Fatal(err)
			}
			if way == "RestoreContact" || way == "PurgeContacts" {
				if err := p.svc.DeleteContact(t.Context(), p.key, c.ID, nil); err != nil {
					t.Fatal(err)
				}
			}
			before := len(p.events())
			if err := call(contacts.WithEventSource(t.Context(), "test"), p, c.ID); err != nil {
				t.Fatal(err)
			}
			events := p.events()[before:]
			if len(events) != 1 {
				t.Fatalf("got %d events, want 1", len(events))
			}
			want := contacts.EventContactUpdated
			switch {
			case strings.HasPrefix(way, "Create"), strings.HasPrefix(way, "Upsert"):
				want = contacts.EventContactCreated
			case way == "DeleteContact":
				want = contacts.EventContactDeleted
			case way == "RestoreContact":
				want = contacts.EventContactRestored
			case way == "PurgeContacts":
				want = contacts.EventContactPurged
			}
			if e := events[0]; e.Type != want || e.Source != "test" || e.Batch != uuid.Nil || (e.Actor.Name == "web <site>") != (want != contacts.EventContactPurged) {
				t.Errorf("got %+v, want %s", e, want)
			}
		})
	}
}

func methodsOf(t reflect.Type) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range t.NumMethod() {
			if !yield(t.Method(i).Name) {
				return
			}
		}
	}
}

func TestEventsOfOneCallHaveOneBatch(t *testing.T) {
	t.Parallel()
	p := newPast(t, closing(t, memory.New()))
	inputs := slices.Repeat([]contacts.CreateContactInput{name("x")}, 2500)
	p.batch(t, contacts.CreateContactsInput{Contacts: inputs})
	for _, err := range p.svc.CreateContactStream(t.Context(), p.key, slices.Values(inputs)) {
		if err != nil {
			t.Fatal(err)
		}
	}
	p.batch(t, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{name("x"), {}}})
	count := make(map[uuid.UUID]int)
	for _, e := range p.events() {
		count[e.Batch]++
	}
	var got []int
	for id, n := range count {
		if got = append(got, n); (id == uuid.Nil) != (n == 1) {
			t.Errorf("%d events have the batch %s", n, id)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff([]int{1, 500, 1000, 1000, 2500}, got); diff != "" {
		t.Errorf("events of a batch (-want +got):\n%s", diff)
	}
}

// TestEventsOff compares what the store is given before events were ever on, and
// after they were switched off.
func TestEventsOff(t *testing.T) {
	t.Parallel()
	store, w := countedWorld(t, nil)
	for _, set := range []bool{false, true} {
		if set {
			w.switchOn(t, 0)
			if err := w.admin.SetEvents(t.Context(), w.acme.ID, contacts.EventSettings{}); err != nil {
				t.Fatal(err)
			}
		}
		store.batches = nil
		c := w.create(t, name("Ada"))
		w.update(t, c.ID, contacts.UpdateContactInput{City: new("Rome")})
		if err := w.svc.DeleteContact(t.Context(), w.writer, c.ID, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := w.admin.PurgeContacts(t.Context(), contacts.PurgeInput{ContactID: c.ID}); err != nil {
			t.Fatal(err)
		}
		if len(store.batches) != 4 {
			t.Errorf("%d calls of the store, want 4", len(store.batches))
		}
		for _, b := range store.batches {
			if m := b.Mutations[0]; m.Journal != nil {
				t.Errorf("events are off, and the store is given %v", m.Journal)
			}
		}
	}
	if entries := journalOf(t, store, w.acme.ID); entries != nil {
		t.Errorf("the journal has %v", entries)
	}
}

func TestReaderStops(t *testing.T) {
	t.Parallel()
	store := memory.New()
	var admin *contacts.Admin
	synctest.Test(t, func(t *testing.T) { // fails where a goroutine is left
		w := newWorld(t, store, nil)
		w.switchOn(t, 0)
		w.admin = contacts.NewAdmin(store, nil)
		admin = w.admin
		ctx, cancel := context.WithCancel(t.Context())
		seen, begin := 0, time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for e, err := range admin.Events(ctx, w.acme.ID, 0) {
				if err != nil || e.Sequence != int64(seen+1) {
					t.Errorf("got %+v, %v", e, err)
				}
				seen++
			}
		}()
		synctest.Wait()
		w.create(t, name("Ada"))
		time.Sleep(250 * time.Millisecond) // the clock of the test
		synctest.Wait()
		if seen != 1 {
			t.Errorf("the reader has seen %d events after one look, want 1", seen)
		}
		cancel()
		<-done
		if waited := time.Since(begin); waited != 250*time.Millisecond {
			t.Errorf("the reader went on until %s", waited)
		}
	})
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, err := range admin.Events(t.Context(), uuid.UUID{1}, 0) {
		wantError(t, err, contacts.CodeServerError)
	}
}

func TestEventsRefused(t *testing.T) {
	t.Parallel()
	p := newPast(t, closing(t, memory.New()))
	for _, c := range []struct {
		account uuid.UUID
		after   int64
		code    contacts.Code
	}{{uuid.UUID{1}, 0, contacts.CodeNotFound}, {p.acme.ID, -1, contacts.CodeValidationError}} {
		n := 0
		for _, err := range p.admin.Events(t.Context(), c.account, c.after) {
			n++
			wantError(t, err, c.code)
		}
		if n != 1 {
			t.Errorf("the error is yielded %d times", n)
		}
	}
	_, err := p.admin.LastSequence(t.Context(), uuid.UUID{1})
	wantError(t, err, contacts.CodeNotFound)
	wantError(t, p.admin.PruneEvents(t.Context(), uuid.UUID{1}), contacts.CodeNotFound)

	// An entry that this version cannot read ends the loop, and the events before
	// it come first.
	if _, err := p.svc.CreateContact(t.Context(), p.key, name("Ada")); err != nil {
		t.Fatal(err)
	}
	for i, data := range []string{`{"v":2,"type":"contact.updated"}`, `{"v":1,"type":"contact.merged"}`, `secret`, `{"v":1,"type":"contact.updated","changes":[{"field":"team_id","before":"secret"}]}`} {
		if _, err := p.store.Apply(t.Context(), contacts.MutationBatch{Now: p.now, Mutations: []contacts.Mutation{{
			AccountID: p.acme.ID, Settings: 1, Journal: []contacts.JournalEntry{{Kind: contacts.JournalEvent, At: p.now, Data: data}},
		}}}); err != nil {
			t.Fatal(err)
		}
		got, err := p.sequencesAfter(0)
		if wantError(t, err, contacts.CodeServerError); len(got) != 1 {
			t.Errorf("before the entry are the events %d, want the first", got)
		}
		_, err = p.sequencesAfter(int64(i) + 1)
		if wantError(t, err, contacts.CodeServerError); strings.Contains(fmt.Sprint(err, errors.Unwrap(err)), "secret") {
			t.Errorf("the error tells of the entry: %v, %v", err, errors.Unwrap(err))
		}
	}
}
