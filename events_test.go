package contacts_test

import (
	"context"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/memory"
)

// A past is a world with events on and a clock that is moved.
type past struct {
	*world
	t   *testing.T
	now time.Time
	key string
}

func newPast(t *testing.T, store contacts.Store) *past {
	t.Helper()
	p := &past{t: t, now: noon.UTC().Truncate(time.Microsecond)}
	p.world = newWorld(t, store, &contacts.Options{Now: func() time.Time { return p.now }})
	p.admin = contacts.NewAdmin(store, &contacts.AdminOptions{Now: func() time.Time { return p.now }})
	p.key, _ = p.switchOn(t, 0)
	return p
}

// events returns all events that are there.
func (p *past) events() (events []contacts.Event) {
	p.t.Helper()
	last, err := p.admin.LastSequence(p.t.Context(), p.acme.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	if last == 0 {
		return nil
	}
	for e, err := range p.admin.Events(p.t.Context(), p.acme.ID, 0) {
		if err != nil {
			p.t.Fatal(err)
		}
		if events = append(events, e); e.Sequence == last {
			break
		}
	}
	return events
}

// name is the input of a contact that has only that.
func name(s string) contacts.CreateContactInput { return contacts.CreateContactInput{FirstName: s} }

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
	"Duplicates", "EnableAccount", "EraseContact", "ErasePerson", "Erasures", "EventSettings", "Events", "FindDuplicates", "GetContact", "GetContactAsOf", "History", "IdempotencyRetention", "IsDryRun", "IssueKey", "Keys", "LastSequence",
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

func TestPageOfLargeEventsIsShort(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	w := newWorld(t, closing(t, memory.New()), nil)
	w.switchOn(t, 0)
	key, _, err := w.admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: w.acme.ID, Permissions: all, AllTeams: true})
	if err != nil {
		t.Fatal(err)
	}
	c := w.create(t, name("Ada"))
	const changes = 100
	for i := range changes {
		large := map[string]any{"a": strconv.Itoa(i) + strings.Repeat("a", 60<<10)}
		w.update(t, c.ID, contacts.UpdateContactInput{CustomContext: &large, IndustryContext: &large})
	}
	pages := 0
	var versions []int64
	for in := (contacts.EventsInput{Limit: 1000}); ; pages++ {
		page, err := w.svc.Events(t.Context(), key, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			versions = append(versions, e.Version)
		}
		if n := len(page.Events); n == 0 || n > 40 {
			t.Fatalf("a page has %d events", n)
		}
		if in.After = page.LastSequence; !page.HasMore {
			break
		}
	}
	want := make([]int64, changes+1)
	for i := range want {
		want[i] = int64(i + 1)
	}
	if diff := cmp.Diff(want, versions); diff != "" {
		t.Errorf("the versions of all pages (-want +got):\n%s", diff)
	}
	seen := 0
	for _, err := range w.admin.Events(t.Context(), w.acme.ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == changes+1 {
			break
		}
	}
}

// A countedJournal counts the lists of the journal, and the entries in them.
type countedJournal struct {
	contacts.Store
	lists, entries int
}

func (s *countedJournal) ListJournal(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
	entries, err := s.Store.ListJournal(ctx, q)
	s.lists++
	s.entries += len(entries)
	return entries, err
}

// append appends events with this data to the journal.
func (p *past) append(events int, data string) {
	p.t.Helper()
	account, err := p.store.FindAccount(p.t.Context(), p.acme.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	outcomes, err := p.store.Apply(p.t.Context(), contacts.MutationBatch{Now: p.now, Mutations: []contacts.Mutation{{
		AccountID: p.acme.ID, Settings: account.SettingsVersion,
		Journal: slices.Repeat([]contacts.JournalEntry{{Kind: contacts.JournalEvent, At: p.now, Data: data}}, events),
	}}})
	if outcomes != nil || err != nil {
		p.t.Fatal(outcomes, err)
	}
}

// However small a page is, what has ended is passed over in few steps.
func TestSmallPagePassesOverWhatHasEndedAtOnce(t *testing.T) {
	t.Parallel()
	store := &countedJournal{Store: closing(t, memory.New())}
	p := newPast(t, store)
	keep := func(d time.Duration) {
		if err := p.admin.SetEvents(t.Context(), p.acme.ID, contacts.EventSettings{On: true, Keep: d}); err != nil {
			t.Fatal(err)
		}
	}
	key, _, err := p.admin.IssueKey(t.Context(), contacts.IssueKeyInput{
		AccountID: p.acme.ID, Permissions: append(slices.Clone(all), contacts.PermissionManageDoNotCall), AllTeams: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	keep(time.Hour)
	const ended = 3000
	p.batch(t, contacts.CreateContactsInput{Contacts: slices.Repeat([]contacts.CreateContactInput{name("x")}, ended)})
	keep(48 * time.Hour)
	if _, err := p.svc.CreateContact(t.Context(), key, name("Ada")); err != nil {
		t.Fatal(err)
	}
	p.now = p.now.Add(time.Hour)
	for after, code := range map[int64]contacts.Code{0: "", 1: contacts.CodeEventsGone} {
		store.lists = 0
		page, err := p.svc.Events(t.Context(), key, contacts.EventsInput{After: after, Limit: 1})
		if contacts.CodeOf(err) != code || err == nil && (len(page.Events) != 1 || page.Events[0].Sequence != ended+1) {
			t.Errorf("after %d: got %+v, %v", after, page, err)
		}
		if store.lists > 10 {
			t.Errorf("after %d: the journal was listed %d times", after, store.lists)
		}
	}
}

// A reader of large events does not read most of them more than once.
func TestLargeEventsAreReadFewAtATime(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	store := &countedJournal{Store: closing(t, memory.New())}
	p := newPast(t, store)
	const events = 100
	p.append(events, `{"v":1,"type":"contact.purged","actor":{"kind":"admin"},"source":"`+strings.Repeat("x", 256<<10)+`"}`)
	if n := len(p.events()); n != events {
		t.Errorf("got %d events", n)
	}
	if store.entries > 2*events {
		t.Errorf("of %d events, %d were read", events, store.entries)
	}
}

// What comes before an entry that cannot be read is a page, and the error is the
// answer to the next one.
func TestPageEndsBeforeAnEntryThatCannotBeRead(t *testing.T) {
	t.Parallel()
	p := newPast(t, closing(t, memory.New()))
	const events = 100 // so many are read first
	p.batch(t, contacts.CreateContactsInput{Contacts: slices.Repeat([]contacts.CreateContactInput{name("x")}, events)})
	p.append(1, "{")
	in := contacts.EventsInput{Limit: 1000}
	page, err := p.svc.Events(t.Context(), p.key, in)
	if err != nil || len(page.Events) != events || page.LastSequence != events || !page.HasMore {
		t.Fatalf("got %+v, %v", page, err)
	}
	in.After = page.LastSequence
	_, err = p.svc.Events(t.Context(), p.key, in)
	wantError(t, err, contacts.CodeServerError)
}

// A long history is read in few steps: each may take a store as long as all that is
// left of it.
func TestLongHistoryIsReadInFewSteps(t *testing.T) {
	t.Parallel()
	store := &countedJournal{Store: closing(t, memory.New())}
	p := newPast(t, store)
	c, err := p.svc.CreateContact(t.Context(), p.key, name("Ada"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2500 {
		p.now = p.now.Add(time.Second)
		if _, err := p.svc.UpdateContact(t.Context(), p.key, c.ID, contacts.UpdateContactInput{City: new(strconv.Itoa(i))}, nil); err != nil {
			t.Fatal(err)
		}
	}
	store.lists = 0
	first, err := p.svc.GetContactAsOf(t.Context(), p.key, c.ID, c.CreatedAt)
	if err != nil || first.Version != 1 || first.City != "" {
		t.Errorf("got %+v, %v", first, err)
	}
	if store.lists > 6 {
		t.Errorf("the journal was listed %d times", store.lists)
	}
}

// Contacts that were removed for good are looked for together, and so is one that is
// restored meanwhile.
func TestPageOfRemovedContactsIsReadInFewSteps(t *testing.T) {
	t.Parallel()
	store := &applies{Store: closing(t, memory.New())}
	p := newPast(t, store)
	limited, _, err := p.admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: p.acme.ID, Permissions: all, TeamIDs: []int64{team}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.batch(t, contacts.CreateContactsInput{Contacts: slices.Repeat([]contacts.CreateContactInput{name("x")}, 90)}) {
		if err := p.svc.DeleteContact(t.Context(), p.key, r.Contact.ID, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.admin.PurgeContacts(t.Context(), contacts.PurgeInput{AccountID: p.acme.ID}); err != nil {
		t.Fatal(err)
	}
	c := p.create(t, name("Ada"))
	if err := p.svc.DeleteContact(t.Context(), p.key, c.ID, nil); err != nil {
		t.Fatal(err)
	}
	store.lists, store.finds = 0, 0
	store.listed = func() { // the live ones
		if _, err := p.svc.RestoreContact(t.Context(), p.key, c.ID, nil); err != nil {
			t.Error(err)
		}
	}
	page, err := p.svc.Events(t.Context(), limited, contacts.EventsInput{After: 270})
	if err != nil || len(page.Events) != 2 || page.Events[0].ContactID != c.ID {
		t.Errorf("got %+v, %v", page, err)
	}
	store.finds = 0 // of the restore
	if page, err = p.svc.Events(t.Context(), limited, contacts.EventsInput{}); err != nil || len(page.Events) != 3 {
		t.Errorf("got %+v, %v", page, err)
	}
	if store.lists > 12 || store.finds > 0 {
		t.Errorf("the store was asked for %d lists and %d contacts", store.lists, store.finds)
	}
}
