package eventtest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"example.com/contacts"
)

// A past is a World with a clock that only its test moves, and with teams.
type past struct {
	*World
	t   *testing.T
	now time.Time

	ids []uuid.UUID
	was map[uuid.UUID][]snapshot // one for each version
}

const (
	team       int64 = 101
	closedTeam int64 = 102 // to which keys of the team have no access
)

// all are the permissions that a caller of every method needs, who does not manage
// the do-not-call ledger.
var all = []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts, contacts.PermissionReadEvents}

func newPast(t *testing.T, store contacts.Store) *past {
	t.Helper()
	p := &past{t: t, now: time.Date(2026, 1, 2, 11, 0, 0, 123456000, time.UTC), was: make(map[uuid.UUID][]snapshot)}
	now := func() time.Time { return p.now }
	p.World = &World{Store: store, Admin: contacts.NewAdmin(store, &contacts.AdminOptions{Now: now})}
	account, err := p.Admin.CreateAccount(t.Context(), "Acme")
	if err != nil {
		t.Fatal(err)
	}
	p.Account = account.ID
	if p.Service, err = contacts.New(store, &contacts.Options{Now: now}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []int64{team, closedTeam} {
		if _, err := p.Admin.CreateTeam(t.Context(), contacts.Team{AccountID: p.Account, ID: id, Name: "Sales"}); err != nil {
			t.Fatal(err)
		}
	}
	p.setEvents(contacts.EventSettings{On: true})
	p.Key = p.issue(contacts.IssueKeyInput{Permissions: all, AllTeams: true})
	return p
}

// setEvents changes the settings of events.
func (p *past) setEvents(s contacts.EventSettings) {
	p.t.Helper()
	if err := p.Admin.SetEvents(p.t.Context(), p.Account, s); err != nil {
		p.t.Fatal(err)
	}
}

// issue returns a new key of the account.
func (p *past) issue(in contacts.IssueKeyInput) string {
	p.t.Helper()
	in.AccountID = p.Account
	key, _, err := p.Admin.IssueKey(p.t.Context(), in)
	if err != nil {
		p.t.Fatal(err)
	}
	return key
}

// officer returns a new key that may do everything with its teams, and manages the
// do-not-call ledger.
func (p *past) officer(in contacts.IssueKeyInput) string {
	p.t.Helper()
	in.Permissions = append(slices.Clone(all), contacts.PermissionManageDoNotCall)
	return p.issue(in)
}

// create creates a contact that has only a name, in a team.
func (p *past) create(team int64) *contacts.Contact {
	p.t.Helper()
	c, err := p.Service.CreateContact(p.t.Context(), p.Key, contacts.CreateContactInput{FirstName: "Ada", TeamID: team})
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// changeCity is a change that every contact can have.
func (p *past) changeCity(id uuid.UUID, city string) {
	p.t.Helper()
	if _, err := p.Service.UpdateContact(p.t.Context(), p.Key, id, contacts.UpdateContactInput{City: &city}, nil); err != nil {
		p.t.Fatal(err)
	}
}

// eventsAfter returns the events after a sequence, up to the newest, and the error
// that ends them.
func (p *past) eventsAfter(after int64) (events []contacts.Event, err error) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	admin := contacts.NewAdmin(&lastLook{p.Store, cancel}, &contacts.AdminOptions{EventPoll: 1, Now: func() time.Time { return p.now }})
	for e, err := range admin.Events(ctx, p.Account, after) {
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
	return events, nil
}

// events returns all events that are there.
func (p *past) events() []contacts.Event {
	p.t.Helper()
	events, err := p.eventsAfter(0)
	if err != nil {
		p.t.Fatal(err)
	}
	return events
}

// sequencesAfter is eventsAfter without the events.
func (p *past) sequencesAfter(after int64) (sequences []int64, err error) {
	p.t.Helper()
	events, err := p.eventsAfter(after)
	for _, e := range events {
		sequences = append(sequences, e.Sequence)
	}
	return sequences, err
}

// A lastLook is a store that calls end when there is nothing more to read.
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
	wantRefused(t, err, contacts.CodeEventsGone)
	e, _ := errors.AsType[*contacts.Error](err)
	if e.NextSequence != next || !errors.Is(err, contacts.ErrEventsGone) {
		t.Errorf("the next sequence is %d, want %d", e.NextSequence, next)
	}
}

// wantRefused checks the code of an error, and which fields are wrong, where some are
// given.
func wantRefused(t testing.TB, err error, code contacts.Code, wrong ...contacts.FieldError) {
	t.Helper()
	e, _ := errors.AsType[*contacts.Error](err)
	if e == nil || e.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	if wrong == nil {
		return
	}
	if diff := cmp.Diff(wrong, e.Details, cmpopts.IgnoreFields(contacts.FieldError{}, "Message")); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
}
