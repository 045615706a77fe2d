package eventtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
)

// Scenarios makes the calls of each scenario in an account of its own, and so many
// random lives of contacts. No clock of it moves so far that it would remove what has
// not ended for another.
func Scenarios(t *testing.T, store contacts.Store, lives int) {
	t.Helper()
	for _, s := range []struct {
		name string
		run  func(t *testing.T, store contacts.Store)
	}{
		{"TestEventForEachVersion", func(t *testing.T, store contacts.Store) { eventForEachVersion(t, store, lives) }},
		{"TestUndo", func(t *testing.T, store contacts.Store) { undo(t, store, lives) }},
		{"TestEventsGone", eventsGone},
		{"TestEventsOffLeaveAHole", eventsOffLeaveAHole},
		{"TestHiddenEventsBeforeTheFirst", hiddenBeforeTheFirst},
		{"TestVisibility", visibility},
		{"TestBlocksAndGrantsAreEvents", blocksAndGrantsAreEvents},
		{"TestVisibilityOfBlocks", visibilityOfBlocks},
		{"TestAsOfDoNotCall", asOfDoNotCall},
		{"TestReaderStops", readerStops},
		{"TestEventsRefused", eventsRefused},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.run(t, store)
		})
	}
}

// eventsGone reads before, inside and after events that have ended.
func eventsGone(t *testing.T, store contacts.Store) {
	p := newPast(t, store)
	c := p.create(0) // 1, which is kept
	p.setEvents(contacts.EventSettings{On: true, Keep: time.Hour})
	p.changeCity(c.ID, "Oslo") // 2 and 3, which end
	p.changeCity(c.ID, "Rome")
	p.setEvents(contacts.EventSettings{On: true, Keep: 48 * time.Hour})
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
		page, err := p.Service.Events(t.Context(), p.Key, contacts.EventsInput{After: after})
		if err != nil || len(page.Events) != len(want) || page.HasMore != (after == 0) {
			t.Errorf("page after %d: %+v, %v", after, page, err)
		}
	}
	for _, after := range []int64{1, 2} { // before the hole, and in it
		got, err := p.sequencesAfter(after)
		if wantGone(t, err, 4); got != nil {
			t.Errorf("after %d: got %d", after, got)
		}
		_, err = p.Service.Events(t.Context(), p.Key, contacts.EventsInput{After: after})
		wantGone(t, err, 4)
		page, err := p.Service.Events(t.Context(), p.Key, contacts.EventsInput{After: after, ContactID: c.ID})
		if err != nil || len(page.Events) != 1 || page.LastSequence != 4 {
			t.Errorf("of the contact: %+v, %v", page, err)
		}
	}

	// The chain of versions goes back to the first event that is there.
	var history []int64
	for e, err := range p.Service.History(t.Context(), p.Key, c.ID) {
		if err != nil {
			t.Fatal(err)
		}
		history = append(history, e.Version)
	}
	if diff := cmp.Diff([]int64{4}, history); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if got, err := p.Service.GetContactAsOf(t.Context(), p.Key, c.ID, between); err != nil || got.City != "Bern" {
		t.Errorf("as of: %v, %v", got, err)
	}
	_, err := p.Admin.ContactAfter(t.Context(), contacts.Event{AccountID: p.Account, ContactID: c.ID, Version: 1})
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
	page, err := p.Service.Events(t.Context(), p.Key, contacts.EventsInput{})
	if err != nil || page.LastSequence != 4 || page.HasMore {
		t.Errorf("page from the beginning: %+v, %v", page, err)
	}
	// All changes came at the time of the create, so there is nothing to undo.
	if got, err := p.Service.GetContactAsOf(t.Context(), p.Key, c.ID, c.CreatedAt); err != nil || got.City != "Bern" {
		t.Errorf("as of the create: %v, %v", got, err)
	}
}

// eventsOffLeaveAHole looks back at times when events were off.
func eventsOffLeaveAHole(t *testing.T, store contacts.Store) {
	p := newPast(t, store)
	c := p.create(0)
	const pause = 10 * time.Minute
	times := map[string]time.Time{"": p.now}
	for _, step := range []struct {
		on   bool
		city string
	}{{false, "Oslo"}, {true, "Rome"}, {true, "Bern"}} {
		p.now = p.now.Add(pause)
		times[step.city] = p.now
		p.setEvents(contacts.EventSettings{On: step.on})
		p.changeCity(c.ID, step.city)
	}
	for city, at := range times {
		got, err := p.Service.GetContactAsOf(t.Context(), p.Key, c.ID, at.Add(time.Minute-pause))
		switch want := map[string]string{"Bern": "Rome", "Rome": "Oslo"}[city]; {
		case city == "":
			wantRefused(t, err, contacts.CodeNotFound) // before it was created
		case want == "":
			wantGone(t, err, 0)
		case err != nil || got.City != want:
			t.Errorf("before %s: %v, %v", city, got, err)
		}
	}
	_, err := p.Service.GetContactAsOf(t.Context(), p.Key, c.ID, p.now.Add(time.Microsecond))
	wantRefused(t, err, contacts.CodeValidationError, contacts.FieldError{Field: "as_of", Code: contacts.FieldInvalid})
}

// hiddenBeforeTheFirst reads from the beginning, where events have ended between one
// that the key may not see, or did not ask for, and the first that it gets.
func hiddenBeforeTheFirst(t *testing.T, store contacts.Store) {
	p := newPast(t, store)
	if _, err := p.Service.BlockCalls(t.Context(), p.Key, contacts.DoNotCallInput{PhoneNumber: "+15551234567"}); err != nil { // 1, which never ends
		t.Fatal(err)
	}
	keep := func(hours time.Duration) {
		p.setEvents(contacts.EventSettings{On: true, Keep: hours * time.Hour})
	}
	keep(1)
	p.create(team) // 2, which ends
	keep(48)
	p.create(closedTeam) // 3
	keep(1)
	p.create(team) // 4, which ends
	keep(48)
	mine := p.create(team) // 5
	keep(1)
	p.changeCity(mine.ID, "Oslo") // 6, which ends
	keep(48)
	p.changeCity(mine.ID, "Rome") // 7
	p.now = p.now.Add(time.Hour)

	limited := p.issue(contacts.IssueKeyInput{Permissions: all, TeamIDs: []int64{team}})
	officer := p.officer(contacts.IssueKeyInput{AllTeams: true})
	updated := []contacts.EventType{contacts.EventContactUpdated}
	for _, test := range []struct {
		name string
		key  string
		in   contacts.EventsInput
		want int64 // the one event before the next hole
		gone int64 // there is none: the number after the hole
	}{
		{"all", officer, contacts.EventsInput{}, 1, 0},
		{"no blocks", p.Key, contacts.EventsInput{}, 3, 0},
		{"one team", limited, contacts.EventsInput{}, 5, 0},
		{"one type", officer, contacts.EventsInput{Types: updated}, 7, 0},
		{"after what is hidden", limited, contacts.EventsInput{After: 1}, 0, 3},
		{"after what has ended", limited, contacts.EventsInput{After: 3}, 0, 5},
		{"one type after what is there", officer, contacts.EventsInput{After: 5, Types: updated}, 0, 7},
	} {
		page, err := p.Service.Events(t.Context(), test.key, test.in)
		switch {
		case test.gone != 0:
			wantGone(t, err, test.gone)
		case err != nil:
			t.Errorf("%s: %v", test.name, err)
		case len(page.Events) != 1 || page.Events[0].Sequence != test.want || page.LastSequence != test.want || page.HasMore != (test.want != 7):
			t.Errorf("%s: got %+v, want the event %d", test.name, page, test.want)
		}
	}
}

// visibility reads by a key that may access one team.
func visibility(t *testing.T, store contacts.Store) {
	p := newPast(t, store)
	limited := p.issue(contacts.IssueKeyInput{Permissions: all, TeamIDs: []int64{team}})
	in := func(team int64) uuid.UUID { return p.create(team).ID }
	free, mine, theirs, deleted, purged := in(0), in(team), in(closedTeam), in(team), in(team) // 1 to 5
	for _, id := range []uuid.UUID{deleted, purged} {                                          // 6 and 7
		if err := p.Service.DeleteContact(t.Context(), p.Key, id, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Admin.PurgeContacts(t.Context(), contacts.PurgeInput{AccountID: p.Account, ContactID: purged}); err != nil { // 8
		t.Fatal(err)
	}
	read := func(key string, in contacts.EventsInput) (sequences []int64) {
		for {
			page, err := p.Service.Events(t.Context(), key, in)
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
				if sequences == nil && page.LastSequence != in.After {
					t.Errorf("a contact that the key may not see has something at %d", page.LastSequence)
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
		if _, err := p.Service.UpdateContact(t.Context(), p.Key, id, contacts.UpdateContactInput{TeamID: &team}, nil); err != nil {
			t.Fatal(err)
		}
	}
	officer := p.officer(contacts.IssueKeyInput{AllTeams: true}) // for whom every event is
	for _, limit := range []int{7, 8} {
		page, err := p.Service.Events(t.Context(), officer, contacts.EventsInput{Limit: limit})
		if err != nil || len(page.Events) != limit || page.HasMore != (limit < 8) {
			t.Errorf("of 8 events, a page of %d: got %+v, %v", limit, page, err)
		}
	}
	for _, limit := range []int{1, 2, 100} {
		for _, c := range []struct {
			key  string
			in   contacts.EventsInput
			want []int64
		}{
			{p.Key, contacts.EventsInput{}, []int64{1, 2, 3, 4, 5, 6, 7, 8}},
			{limited, contacts.EventsInput{}, []int64{1, 2, 4, 6}},
			{limited, contacts.EventsInput{After: 4}, []int64{6}},
			{limited, contacts.EventsInput{Types: []contacts.EventType{contacts.EventContactDeleted}}, []int64{6}},
			{p.Key, contacts.EventsInput{Types: []contacts.EventType{contacts.EventContactDeleted, contacts.EventContactPurged}}, []int64{6, 7, 8}},
			{limited, contacts.EventsInput{ContactID: mine}, []int64{2}},
			{limited, contacts.EventsInput{ContactID: theirs}, nil},
			{limited, contacts.EventsInput{ContactID: purged}, nil},
			{p.Key, contacts.EventsInput{ContactID: purged, After: 5}, []int64{7, 8}},
		} {
			c.in.Limit = limit
			if diff := cmp.Diff(c.want, read(c.key, c.in)); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", c.in, diff)
			}
		}
	}
	history := func(id uuid.UUID) error {
		for _, err := range p.Service.History(t.Context(), limited, id) {
			return err
		}
		return nil
	}
	for id, code := range map[uuid.UUID]contacts.Code{free: "", mine: "", deleted: "", theirs: contacts.CodeNotFound, purged: contacts.CodeNotFound, {1}: contacts.CodeNotFound} {
		if err := history(id); contacts.CodeOf(err) != code {
			t.Errorf("history: got %v, want %s", err, code)
		}
		_, err := p.Service.GetContactAsOf(t.Context(), limited, id, p.now)
		if id != deleted && contacts.CodeOf(err) != code {
			t.Errorf("as of: got %v, want %s", err, code)
		}
	}
	move(mine, closedTeam)
	move(theirs, team)
	page, err := p.Service.Events(t.Context(), limited, contacts.EventsInput{Limit: 3})
	if err != nil || len(page.Events) != 3 || page.Events[1].ContactID != theirs {
		t.Errorf("after the moves: %+v, %v", page, err)
	}
	for _, permissions := range [][]contacts.Permission{{contacts.PermissionReadContacts, contacts.PermissionWriteContacts}, nil} { // none for events
		key := p.issue(contacts.IssueKeyInput{Permissions: permissions, AllTeams: true})
		_, err := p.Service.Events(t.Context(), key, contacts.EventsInput{})
		wantRefused(t, err, contacts.CodePermissionDenied)
		for _, id := range []uuid.UUID{free, {}} { // whatever the contact and the time are
			for _, at := range []time.Time{p.now, {}, p.now.AddDate(1, 0, 0)} {
				_, err = p.Service.GetContactAsOf(t.Context(), key, id, at)
				wantRefused(t, err, contacts.CodePermissionDenied)
			}
		}
		for _, err := range p.Service.History(t.Context(), key, free) {
			wantRefused(t, err, contacts.CodePermissionDenied)
		}
	}
	_, err = p.Service.Events(t.Context(), limited, contacts.EventsInput{After: -1, Limit: 1001, Types: []contacts.EventType{"x"}})
	wantRefused(t, err, contacts.CodeValidationError, contacts.FieldError{Field: "after", Code: contacts.FieldInvalid}, contacts.FieldError{Field: "type", Code: contacts.FieldNotAllowed}, contacts.FieldError{Field: "limit", Code: contacts.FieldInvalid})
}

// blocksAndGrantsAreEvents reads entries of the do-not-call ledger among the events,
// whether events are on or off.
func blocksAndGrantsAreEvents(t *testing.T, store contacts.Store) {
	p, officer, c := blocksAndGrants(t, store)
	var entries []contacts.DoNotCallEntry
	for e, err := range p.Service.DoNotCallEntries(t.Context(), officer, contacts.ListDoNotCallInput{All: true}) {
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
			AccountID: p.Account, Sequence: e.Sequence, Type: kind, At: e.RecordedAt, ContactID: e.ContactID, Actor: e.Actor, DoNotCall: e,
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
	wantText := strings.NewReplacer("ACCOUNT", p.Account.String(), "AT", p.now.Format(time.RFC3339Nano), "END", p.now.Add(time.Hour).Format(time.RFC3339Nano), "ACTOR", string(actor)).Replace(
		`{"account_id":"ACCOUNT","sequence":3,"type":"do_not_call.blocked","at":"AT","version":0,"actor":ACTOR,"do_not_call":{"sequence":3,"type":"block",` +
			`"phone_number":"+15557654321","at":"AT","recorded_at":"AT","expires_at":"END","source":"api","reason":"asked","actor":ACTOR}}`)
	if diff := cmp.Diff(wantText, string(text)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	for _, err := range p.Service.History(t.Context(), officer, c.ID) {
		t.Errorf("the history of a contact that was created while events were off has an event, or %v", err)
	}
	if _, err := p.Admin.ContactAfter(t.Context(), got[0]); contacts.CodeOf(err) != contacts.CodeNotFound {
		t.Errorf("the contact after a block: %v", err)
	}

	// They do not end, and are where a reader goes on after events that have.
	p.now = p.now.Add(time.Hour)
	if _, err := p.Service.BlockCalls(t.Context(), officer, contacts.DoNotCallInput{PhoneNumber: "+15550000000"}); err != nil { // 6
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
}

// visibilityOfBlocks reads by keys that do not manage the ledger, which see none of
// its entries. Keys without access to all teams do not see which contact one came
// from.
func visibilityOfBlocks(t *testing.T, store contacts.Store) {
	p, officer, c := blocksAndGrants(t, store)
	limited := p.officer(contacts.IssueKeyInput{TeamIDs: []int64{team}})
	for _, limit := range []int{1, 2, 100} {
		for _, test := range []struct {
			key  string
			in   contacts.EventsInput
			want []int64
			from uuid.UUID // the contact of the first
		}{
			{key: officer, want: []int64{1, 3, 4, 5}, from: c.ID},
			{key: officer, in: contacts.EventsInput{Types: []contacts.EventType{contacts.EventDoNotCallBlocked}}, want: []int64{1, 3}, from: c.ID},
			{key: officer, in: contacts.EventsInput{Types: []contacts.EventType{contacts.EventDoNotCallGranted}}, want: []int64{4}},
			{key: officer, in: contacts.EventsInput{ContactID: c.ID}},
			{key: limited, want: []int64{1, 3, 4}},
			{key: p.Key, in: contacts.EventsInput{After: 4}, want: []int64{5}, from: p.events()[3].ContactID},
			{key: p.Key, in: contacts.EventsInput{Types: []contacts.EventType{contacts.EventDoNotCallBlocked, contacts.EventDoNotCallGranted}}},
		} {
			test.in.Limit = limit
			var got []int64
			for more := true; more; {
				page, err := p.Service.Events(t.Context(), test.key, test.in)
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
}

// asOfDoNotCall looks back at the times of a block, a grant that expires, a grant,
// and a block that was recorded later than it was said.
func asOfDoNotCall(t *testing.T, store contacts.Store) {
	const number = "+15551234567"
	p := newPast(t, store)
	officer := p.officer(contacts.IssueKeyInput{AllTeams: true})
	begin := p.now
	at := func(minutes int) time.Time { return begin.Add(time.Duration(minutes) * time.Minute) }
	record := func(minute int, what func(context.Context, string, contacts.DoNotCallInput) (*contacts.DoNotCallStatus, error), in contacts.DoNotCallInput) {
		t.Helper()
		p.now = at(minute)
		in.PhoneNumber, in.Reference = number, "form 7"
		if _, err := what(t.Context(), officer, in); err != nil {
			t.Fatal(err)
		}
	}
	c, err := p.Service.CreateContact(t.Context(), officer, contacts.CreateContactInput{
		FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number}, {PhoneNumber: "+15557654321"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	record(10, p.Service.BlockCalls, contacts.DoNotCallInput{Reason: "first"})
	record(20, p.Service.GrantCalls, contacts.DoNotCallInput{Reason: "for a while", ExpiresAt: at(30)})
	record(40, p.Service.GrantCalls, contacts.DoNotCallInput{Reason: "for good"})
	record(50, p.Service.BlockCalls, contacts.DoNotCallInput{Reason: "late", At: at(45), ExpiresAt: at(70)})
	record(60, p.Service.BlockCalls, contacts.DoNotCallInput{Reason: "older", At: at(15)}) // the grant comes after it
	p.now = at(80)
	if _, err := p.Service.UpdateContact(t.Context(), officer, c.ID, contacts.UpdateContactInput{PhoneNumbers: &[]contacts.UpdatePhoneNumber{}}, nil); err != nil {
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
		was, err := p.Service.GetContactAsOf(t.Context(), officer, c.ID, test.at)
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Clone(c.PhoneNumbers)
		want[0].DoNotCall, want[0].DoNotCallDate, want[0].DoNotCallReason = !test.date.IsZero(), test.date, test.reason
		if diff := cmp.Diff(want, was.PhoneNumbers); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", test.at.Sub(begin), diff)
		}
	}
	if now, err := p.Service.GetContactAsOf(t.Context(), officer, c.ID, at(80)); err != nil || len(now.PhoneNumbers) != 0 {
		t.Errorf("after the change: %+v, %v", now, err)
	}
}

// readerStops ends the context of a reader that would wait for an hour.
func readerStops(t *testing.T, store contacts.Store) {
	p := newPast(t, store)
	p.create(0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	looked, ended := make(chan struct{}), make(chan struct{})
	admin := contacts.NewAdmin(&lastLook{store, sync.OnceFunc(func() { close(looked) })}, &contacts.AdminOptions{EventPoll: time.Hour, Now: func() time.Time { return p.now }})
	go func() {
		defer close(ended)
		for e, err := range admin.Events(ctx, p.Account, 1) {
			t.Errorf("got %+v, %v", e, err)
		}
	}()
	<-looked
	cancel()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("the reader goes on")
	}
}

// eventsRefused reads what cannot be read.
func eventsRefused(t *testing.T, store contacts.Store) {
	p := newPast(t, store)
	for _, c := range []struct {
		account uuid.UUID
		after   int64
		code    contacts.Code
	}{{uuid.UUID{1}, 0, contacts.CodeNotFound}, {p.Account, -1, contacts.CodeValidationError}} {
		n := 0
		for _, err := range p.Admin.Events(t.Context(), c.account, c.after) {
			n++
			wantRefused(t, err, c.code)
		}
		if n != 1 {
			t.Errorf("the error is yielded %d times", n)
		}
	}
	_, err := p.Admin.LastSequence(t.Context(), uuid.UUID{1})
	wantRefused(t, err, contacts.CodeNotFound)
	wantRefused(t, p.Admin.PruneEvents(t.Context(), uuid.UUID{1}), contacts.CodeNotFound)

	// An entry that this version cannot read ends the loop, and the events before
	// it come first.
	p.create(0)
	for i, data := range []string{`{"v":2,"type":"contact.updated"}`, `{"v":1,"type":"contact.merged"}`, `secret`, `{"v":1,"type":"contact.updated","changes":[{"field":"team_id","before":"secret"}]}`} {
		if _, err := p.Store.Apply(t.Context(), contacts.MutationBatch{Now: p.now, Mutations: []contacts.Mutation{{
			AccountID: p.Account, Settings: 1, Journal: []contacts.JournalEntry{{Kind: contacts.JournalEvent, At: p.now, Data: data}},
		}}}); err != nil {
			t.Fatal(err)
		}
		got, err := p.sequencesAfter(0)
		if wantRefused(t, err, contacts.CodeServerError); len(got) != 1 {
			t.Errorf("before the entry are the events %d, want the first", got)
		}
		_, err = p.sequencesAfter(int64(i) + 1)
		if wantRefused(t, err, contacts.CodeServerError); strings.Contains(fmt.Sprint(err, errors.Unwrap(err)), "secret") {
			t.Errorf("the error tells of the entry: %v, %v", err, errors.Unwrap(err))
		}
	}
}

// blocksAndGrants makes a world whose journal has a block that a create asked for, its
// companion, a block and a grant; then events are on, and a contact is created. The
// contacts are in closedTeam.
func blocksAndGrants(t *testing.T, store contacts.Store) (p *past, officer string, blocked *contacts.Contact) {
	t.Helper()
	p = newPast(t, store)
	p.setEvents(contacts.EventSettings{})
	officer = p.officer(contacts.IssueKeyInput{AllTeams: true})
	in := contacts.CreateContactInput{FirstName: "Ada", TeamID: closedTeam, PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567", DoNotCall: true}}}
	blocked, err := p.Service.CreateContact(t.Context(), officer, in) // 1 and 2
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Service.BlockCalls(t.Context(), officer, contacts.DoNotCallInput{PhoneNumber: "+15557654321", Reason: "asked", ExpiresAt: p.now.Add(time.Hour)}); err != nil { // 3
		t.Fatal(err)
	}
	if _, err := p.Service.GrantCalls(t.Context(), officer, contacts.DoNotCallInput{PhoneNumber: "+15557654321", Reason: "signed", Reference: "form 7"}); err != nil { // 4
		t.Fatal(err)
	}
	p.setEvents(contacts.EventSettings{On: true, Keep: time.Hour})
	if _, err := p.Service.CreateContact(t.Context(), officer, contacts.CreateContactInput{FirstName: "Grace", TeamID: closedTeam}); err != nil { // 5
		t.Fatal(err)
	}
	return p, officer, blocked
}

// Retention lets events end and has them removed. The store has no other account, since
// what has ended is removed from every account.
func Retention(t *testing.T, store contacts.Store) {
	p := newPast(t, store)
	p.setEvents(contacts.EventSettings{On: true, Keep: time.Hour})
	const count = 300
	for range count / 100 {
		in := contacts.CreateContactsInput{Contacts: slices.Repeat([]contacts.CreateContactInput{{FirstName: "Ada"}}, 100), AllOrNothing: true}
		if results, err := p.Service.CreateContacts(t.Context(), p.Key, in); err != nil || results[0].Err != nil {
			t.Fatal(results, err)
		}
	}
	// An entry of another kind stays, whatever it says.
	ended := p.now.Add(time.Hour)
	for _, kind := range []contacts.JournalKind{contacts.JournalErasure, contacts.JournalEvent} {
		account, err := store.FindAccount(t.Context(), p.Account)
		if err != nil {
			t.Fatal(err)
		}
		_, err = store.Apply(t.Context(), contacts.MutationBatch{Now: p.now, Mutations: []contacts.Mutation{{
			AccountID: p.Account, Settings: account.SettingsVersion,
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
		entries, err := store.ListJournal(t.Context(), contacts.JournalQuery{AccountID: p.Account, Limit: 2 * count})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			sequences = append(sequences, e.Sequence)
		}
		return sequences
	}
	if n := len(kept()); n != count+2 {
		t.Errorf("%d entries are there before an hour has passed, want %d", n, count+2)
	}
	p.now = ended.Add(time.Hour)
	if err := p.Admin.PruneEvents(t.Context(), p.Account); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{count + 1, count + 2}, kept()); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if last, err := p.Admin.LastSequence(t.Context(), p.Account); last != count+2 || err != nil {
		t.Errorf("the last sequence is %d, %v", last, err)
	}
}

// LaterWrites changes a few contacts again and again, at regular times, with events
// that end at once. Later writes remove them. The clocks of the accounts differ.
func LaterWrites(t *testing.T, store contacts.Store) {
	const writes = 300
	for _, test := range []struct {
		contacts int
		step     time.Duration
	}{{1, time.Minute}, {2, time.Second}, {3, time.Hour}, {5, 12 * time.Hour}} {
		p := newPast(t, store)
		account, err := store.FindAccount(t.Context(), p.Account)
		if err != nil {
			t.Fatal(err)
		}
		for i := range writes {
			p.now = p.now.Add(test.step)
			e := contacts.JournalEntry{Kind: contacts.JournalEvent, At: p.now, EndsAt: p.now.Add(-time.Hour), Data: "{}"}
			e.Subject[0], e.Subject[15] = 1, byte(1+i%test.contacts)
			m := contacts.Mutation{AccountID: p.Account, Settings: account.SettingsVersion, Journal: []contacts.JournalEntry{e}}
			if outcomes, err := store.Apply(t.Context(), contacts.MutationBatch{Now: p.now, Mutations: []contacts.Mutation{m}}); outcomes != nil || err != nil {
				t.Fatal(outcomes, err)
			}
		}
		left, err := store.ListJournal(t.Context(), contacts.JournalQuery{AccountID: p.Account, Limit: writes})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(left); n == 0 || n > writes/2 || left[n-1].Sequence != writes {
			t.Errorf("of %d events of %d contacts, one each %s, %d are left", writes, test.contacts, test.step, n)
		}
	}
}
