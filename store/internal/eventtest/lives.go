package eventtest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/contacts"
)

// A snapshot is a contact after one of its changes.
type snapshot struct {
	at      time.Time
	deleted bool
	json    string // of a live one
}

// onLives runs the test after so many random lives, at most as many as rapid checks.
func onLives(t *testing.T, store contacts.Store, lives int, test func(t *rapid.T, p *past)) {
	t.Helper()
	failed := false // then rapid lives on, to find a shorter life
	rapid.Check(t, func(rt *rapid.T) {
		if lives--; lives < 0 && !failed {
			return
		}
		defer func() { failed = failed || rt.Failed() }()
		p := newPast(t, store)
		p.live(rt)
		test(rt, p)
	})
}

// look notes what a contact is now.
func (p *past) look(id uuid.UUID) {
	p.t.Helper()
	record, err := p.Store.FindContact(p.t.Context(), p.Account, id)
	if err != nil {
		p.t.Fatal(err)
	}
	s := snapshot{at: record.Contact.UpdatedAt, deleted: !record.Contact.DeletedAt.IsZero()}
	if !s.deleted {
		c, err := p.Service.GetContact(p.t.Context(), p.Key, id)
		s.json = pastJSON(p.t, c, err)
	}
	switch have := int64(len(p.was[id])); {
	case have == 0:
		p.ids = append(p.ids, id)
		fallthrough
	case record.Contact.Version == have+1:
		p.was[id] = append(p.was[id], s)
	case record.Contact.Version != have:
		p.t.Fatalf("version %d follows %d", record.Contact.Version, have)
	}
}

func pastJSON(t *testing.T, c *contacts.Contact, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pastBody is the random body of a create, a change or an upsert.
func pastBody(t *rapid.T, whole bool) map[string]any {
	body := make(map[string]any)
	set := func(name string, values ...any) {
		if v := rapid.SampledFrom(append(values, "absent")).Draw(t, name); v != "absent" {
			body[name] = v
		}
	}
	set("city", "Oslo", "Rome", nil, "")
	set("email", "a@example.com", "b@example.com", nil)
	set("external_id", "A", "B", nil)
	set("team_id", team, closedTeam, nil)
	set("stage", "customer", nil)
	set("tags", []string{"a", "b"}, []string{"b"}, nil)
	number := func(n string, primary bool) any {
		return map[string]any{"phone_number": "+1555123456" + n, "primary": primary}
	}
	set("phone_numbers", []any{number("1", true)}, []any{number("1", false), number("2", true)}, []any{number("3", true)}, nil)
	for _, name := range []string{"custom_context", "industry_context"} {
		if rapid.Bool().Draw(t, name) {
			body[name] = pastContext(t, 0)
		}
	}
	if whole {
		body["first_name"] = rapid.SampledFrom([]string{"Ada", "Grace"}).Draw(t, "name")
	} else {
		set("custom_context", nil)
	}
	return body
}

func pastContext(t *rapid.T, depth int) map[string]any {
	m := make(map[string]any)
	for range rapid.IntRange(0, 3).Draw(t, "members") {
		name := rapid.SampledFrom([]string{"a", "b", "a.b", `c\d`, ""}).Draw(t, "member")
		kinds := []any{nil, true, "text", json.Number("12345678901234567890"), json.Number("1.50"), []any{}, []any{nil, "<x>"}, map[string]any{}}
		if m[name] = rapid.SampledFrom(kinds).Draw(t, "value"); depth < 2 && rapid.Bool().Draw(t, "deeper") {
			m[name] = pastContext(t, depth+1)
		}
	}
	return m
}

// live makes random calls of every kind.
func (p *past) live(t *rapid.T) {
	ctx := p.t.Context()
	reader := func(body map[string]any) *strings.Reader {
		text, err := json.Marshal(body)
		if err != nil {
			p.t.Fatal(err)
		}
		return strings.NewReader(string(text))
	}
	// A call may be refused, for a key that is taken or a contact that is deleted.
	settle := func(c *contacts.Contact, err error) {
		if err == nil && c != nil {
			p.look(c.ID)
		}
		if err != nil && contacts.CodeOf(err) == contacts.CodeServerError {
			p.t.Fatal(err)
		}
	}
	for range rapid.IntRange(1, 12).Draw(t, "calls") {
		p.now = p.now.Add(rapid.SampledFrom([]time.Duration{0, time.Microsecond, time.Second, -time.Second}).Draw(t, "time"))
		call := "create"
		if len(p.ids) > 0 {
			call = rapid.SampledFrom([]string{"create", "batch", "update", "update", "update", "replace", "nothing", "delete", "restore", "upsert"}).Draw(t, "call")
		}
		id := uuid.Nil
		if len(p.ids) > 0 {
			id = rapid.SampledFrom(p.ids).Draw(t, "contact")
		}
		switch call {
		case "create":
			settle(p.Service.CreateContactJSON(ctx, p.Key, reader(pastBody(t, true))))
		case "batch":
			body := map[string]any{"contacts": []any{pastBody(t, true), pastBody(t, true)}, "all_or_nothing": rapid.Bool().Draw(t, "all")}
			results, err := p.Service.CreateContactsJSON(ctx, p.Key, reader(body))
			settle(nil, err)
			for _, r := range results {
				settle(r.Contact, r.Err)
			}
		case "update":
			settle(p.Service.UpdateContactJSON(ctx, p.Key, id, reader(pastBody(t, false)), nil))
		case "replace":
			settle(p.Service.ReplaceContactJSON(ctx, p.Key, id, reader(pastBody(t, true)), nil))
		case "nothing":
			settle(p.Service.UpdateContact(ctx, p.Key, id, contacts.UpdateContactInput{}, nil))
		case "delete":
			if err := p.Service.DeleteContact(ctx, p.Key, id, nil); err == nil {
				p.look(id)
			}
		case "restore":
			settle(p.Service.RestoreContact(ctx, p.Key, id, nil))
		case "upsert":
			body := pastBody(t, true)
			body["mode"] = rapid.SampledFrom([]string{"fill", "overwrite"}).Draw(t, "mode")
			body["restore_deleted"] = rapid.Bool().Draw(t, "restore")
			r, err := p.Service.UpsertContactJSON(ctx, p.Key, "", reader(body))
			if settle(nil, err); err == nil {
				p.look(r.Contact.ID)
			}
		}
	}
}

// eventForEachVersion compares the events of each contact with its versions.
func eventForEachVersion(t *testing.T, store contacts.Store, lives int) {
	onLives(t, store, lives, func(rt *rapid.T, p *past) {
		versions := make(map[uuid.UUID][]int64)
		for i, e := range p.events() {
			if e.Sequence != int64(i+1) {
				rt.Fatalf("event %d has the sequence %d", i, e.Sequence)
			}
			versions[e.ContactID] = append(versions[e.ContactID], e.Version)
			if created := e.Type == contacts.EventContactCreated; created != (e.Version == 1) || created != (e.Changes == nil) {
				rt.Fatalf("%s has version %d and changes %v", e.Type, e.Version, e.Changes)
			}
			if at := p.was[e.ContactID][e.Version-1].at; !e.At.Equal(at) {
				rt.Fatalf("the event of version %d is of %s, and the version of %s", e.Version, e.At, at)
			}
		}
		want := make(map[uuid.UUID][]int64)
		for id, was := range p.was {
			for i := range was {
				want[id] = append(want[id], int64(i+1))
			}
		}
		if diff := cmp.Diff(want, versions); diff != "" {
			rt.Fatalf("versions (-want +got):\n%s", diff)
		}
	})
}

// undo compares what events say of the past with what was seen then.
func undo(t *testing.T, store contacts.Store, lives int) {
	onLives(t, store, lives, func(rt *rapid.T, p *past) {
		p.now = p.now.Add(time.Hour)
		for id, was := range p.was {
			p.checkHistory(rt, id, was)
			p.checkAsOf(rt, id, was)
		}
		for _, e := range p.events() {
			c, err := p.Admin.ContactAfter(t.Context(), e)
			if s := p.was[e.ContactID][e.Version-1]; err != nil || c.Version != e.Version || !s.deleted && pastJSON(t, c, err) != s.json {
				rt.Fatalf("after event %d: %v, %v", e.Sequence, c, err)
			}
		}
	})
}

// checkHistory compares the history of a contact with what it was.
func (p *past) checkHistory(t *rapid.T, id uuid.UUID, was []snapshot) {
	version := int64(len(was))
	for e, err := range p.Service.History(p.t.Context(), p.Key, id) {
		if err != nil {
			t.Fatal(err)
		}
		s := was[version-1]
		if e.Version != version || e.Contact.Version != version || e.Contact.DeletedAt.IsZero() == s.deleted {
			t.Fatalf("version %d of the history is %+v with %+v", version, e, e.Contact)
		}
		if got := pastJSON(p.t, e.Contact, nil); !s.deleted && got != s.json {
			t.Fatalf("version %d (-was +history):\n%s", version, cmp.Diff(s.json, got))
		}
		for name := range e.Contact.CustomContext { // its caller may do so
			delete(e.Contact.CustomContext, name)
		}
		version--
	}
	if version != 0 {
		t.Fatalf("the history ends before version %d", version)
	}
}

// checkAsOf compares the contact at the time of each version, and a moment
// earlier, with what it was.
func (p *past) checkAsOf(t *rapid.T, id uuid.UUID, was []snapshot) {
	for _, s := range was {
		for _, at := range []time.Time{s.at, s.at.Add(-time.Nanosecond)} {
			newest := -1
			for i := range was {
				if !was[i].at.After(at) {
					newest = i
				}
			}
			c, err := p.Service.GetContactAsOf(p.t.Context(), p.Key, id, at)
			switch {
			case newest < 0 || was[newest].deleted:
				if contacts.CodeOf(err) != contacts.CodeNotFound {
					t.Fatalf("at %s: %v, %v", at, c, err)
				}
			case err != nil:
				t.Fatal(err)
			default:
				if got := pastJSON(p.t, c, nil); got != was[newest].json {
					t.Fatalf("at %s (-was +as of):\n%s", at, cmp.Diff(was[newest].json, got))
				}
			}
		}
	}
}
