package contacts_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/memory"
	"example.com/contacts/store/sqlite"
)

// TestStoresAnswerAlike lets a service on a memory store and one on a SQLite file
// live through the same random lives of contacts: every answer must be the same,
// but for the ids.
func TestStoresAnswerAlike(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs := 0
	failed := false // then rapid lives on, to find a shorter life
	rapid.Check(t, func(rt *rapid.T) {
		if runs++; runs > 25 && !longtest.Long() && !failed { // .ci/run has all
			return
		}
		defer func() { failed = failed || rt.Failed() }()
		path := filepath.Join(dir, fmt.Sprint(runs, ".db"))
		file, err := sqlite.Open(context.Background(), path, nil)
		if err != nil {
			rt.Fatal(err)
		}
		at := noon
		opts := &contacts.Options{Now: func() time.Time { return at }}
		both := [2]*life{
			{world: newWorld(t, memory.New(), opts), names: make(map[string]string)},
			{world: newWorld(t, file, opts), names: make(map[string]string)},
		}
		defer func() { _ = both[1].store.Close() }()

		// alike does the same on both sides, and compares what they say.
		alike := func(rt *rapid.T, what string, do func(l *life) any) {
			memory, file := both[0].show(do(both[0])), both[1].show(do(both[1]))
			if diff := cmp.Diff(memory, file); diff != "" {
				rt.Fatalf("%s (-memory +sqlite):\n%s", what, diff)
			}
		}
		contact := func(rt *rapid.T) int { return rapid.IntRange(-1, len(both[0].ids)-1).Draw(rt, "contact") }
		options := func(rt *rapid.T) *contacts.ChangeOptions {
			return &contacts.ChangeOptions{Version: rapid.SampledFrom([]int64{0, 0, 0, 1, 2}).Draw(rt, "version")}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"create": func(rt *rapid.T) {
				in, key := lifeInput(rt), lifeKey(rt)
				alike(rt, "create", func(l *life) any { return l.created(l.svc.CreateContact(context.Background(), l.keyOf(key), in)) })
			},
			"batch": func(rt *rapid.T) {
				in := contacts.CreateContactsInput{AllOrNothing: rapid.Bool().Draw(rt, "all or nothing")}
				for range rapid.IntRange(0, 4).Draw(rt, "contacts") {
					in.Contacts = append(in.Contacts, lifeInput(rt))
				}
				key := lifeKey(rt)
				alike(rt, "batch", func(l *life) any {
					results, err := l.svc.CreateContacts(context.Background(), l.keyOf(key), in)
					if err != nil {
						return err
					}
					var said []any
					for _, r := range results {
						said = append(said, l.created(r.Contact, r.Err), r.Replayed)
					}
					return said
				})
			},
			"get": func(rt *rapid.T) {
				i, key := contact(rt), lifeKey(rt)
				alike(rt, "get", func(l *life) any { return answer(l.svc.GetContact(context.Background(), l.keyOf(key), l.id(i))) })
			},
			"update": func(rt *rapid.T) {
				i, key, in, opts := contact(rt), lifeKey(rt), lifeUpdate(rt), options(rt)
				alike(rt, "update", func(l *life) any {
					return answer(l.svc.UpdateContact(context.Background(), l.keyOf(key), l.id(i), in, opts))
				})
			},
			"replace": func(rt *rapid.T) {
				i, key, in, opts := contact(rt), lifeKey(rt), lifeInput(rt), options(rt)
				in.IdempotencyKey = ""
				alike(rt, "replace", func(l *life) any {
					return answer(l.svc.ReplaceContact(context.Background(), l.keyOf(key), l.id(i), in, opts))
				})
			},
			"delete": func(rt *rapid.T) {
				i, key, opts := contact(rt), lifeKey(rt), options(rt)
				alike(rt, "delete", func(l *life) any { return l.svc.DeleteContact(context.Background(), l.keyOf(key), l.id(i), opts) })
			},
			"restore": func(rt *rapid.T) {
				i, key, opts := contact(rt), lifeKey(rt), options(rt)
				alike(rt, "restore", func(l *life) any {
					return answer(l.svc.RestoreContact(context.Background(), l.keyOf(key), l.id(i), opts))
				})
			},
			"purge": func(rt *rapid.T) {
				i, before := contact(rt), rapid.SampledFrom([]time.Time{{}, noon, at, at.Add(1)}).Draw(rt, "before")
				alike(rt, "purge", func(l *life) any {
					return answer(l.admin.PurgeContacts(context.Background(), contacts.PurgeInput{AccountID: l.acme.ID, ContactID: l.id(i), DeletedBefore: before}))
				})
			},
			"list": func(rt *rapid.T) {
				in, key := lifeList(rt), lifeKey(rt)
				in.Page = rapid.IntRange(0, 3).Draw(rt, "page")
				alike(rt, "list", func(l *life) any {
					page, err := l.svc.ListContacts(context.Background(), l.keyOf(key), in)
					if err != nil {
						return err
					}
					return []any{page.Contacts, page.NextCursor != "", page.Count, page.Pages}
				})
			},
			"walk": func(rt *rapid.T) {
				in, key := lifeList(rt), lifeKey(rt)
				alike(rt, "walk", func(l *life) any {
					var all []any
					for c, err := range l.svc.Contacts(context.Background(), l.keyOf(key), in) {
						all = append(all, answer(c, err))
					}
					return all
				})
			},
			"time": func(rt *rapid.T) {
				at = at.Add(rapid.SampledFrom([]time.Duration{time.Microsecond, time.Hour, 24 * time.Hour}).Draw(rt, "passes"))
			},
			"reopen": func(rt *rapid.T) {
				l := both[1]
				if err := l.store.Close(); err != nil {
					rt.Fatal(err)
				}
				store, err := sqlite.Open(context.Background(), path, nil)
				if err != nil {
					rt.Fatal(err)
				}
				l.store, l.admin = store, contacts.NewAdmin(store, nil)
				if l.svc, err = contacts.New(store, opts); err != nil {
					rt.Fatal(err)
				}
			},
		})
	})
}

// A life is a world in which contacts are known by the order of their creation.
type life struct {
	*world
	ids   []uuid.UUID
	names map[string]string // of ids, by their first appearance
}

func (l *life) id(i int) uuid.UUID {
	if i < 0 {
		return uuid.Max // nobody's
	}
	return l.ids[i]
}

func (l *life) keyOf(name string) string {
	return map[string]string{"writer": l.writer, "reader": l.key, "limited": l.limitedWriter, "foreign": l.foreignWriter}[name]
}

func (l *life) created(c *contacts.Contact, err error) any {
	if err == nil {
		l.ids = append(l.ids, c.ID)
	}
	return answer(c, err)
}

// answer is what a call said.
func answer(v any, err error) any {
	if err != nil {
		return err
	}
	return v
}

var anyID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// show returns the JSON of v, with names in the place of ids.
func (l *life) show(v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err.Error()
	}
	return anyID.ReplaceAllStringFunc(string(b), func(id string) string {
		if l.names[id] == "" {
			l.names[id] = fmt.Sprint("id ", len(l.names))
		}
		return l.names[id]
	})
}

// What lives are made of: little, so that much of it is the same.
func lifeKey(t *rapid.T) string {
	return rapid.SampledFrom([]string{"writer", "writer", "writer", "reader", "limited", "foreign"}).Draw(t, "key")
}

var (
	lifeNames  = rapid.SampledFrom([]string{"Ada", "Bob", "ÇELİK", "straße", "O'Neil", "100%", ""})
	lifeEmails = rapid.SampledFrom([]string{"", "ada@example.com", "Ada@example.com", "bob@example.com", "x"})
	lifeTags   = rapid.SliceOfN(rapid.SampledFrom([]string{"vip", "VIP", "100%", "ß"}), 0, 3)
	lifeWords  = rapid.SampledFrom([]string{"", "", "lead", "customer"})
	lifeTeams  = rapid.SampledFrom([]int64{0, 0, 0, team, closedTeam, absentTeam})
	lifePhones = rapid.SampledFrom([]string{"+15551234567", "+1 555 123 4567", "+15557654321", "+393331234567"})
)

func lifeContext(t *rapid.T, name string) map[string]any {
	return rapid.SampledFrom([]map[string]any{nil, {}, {"a": 1}, {"a": map[string]any{"b": "c"}}, {"a": nil, "d": []any{true}}}).Draw(t, name)
}

func lifeInput(t *rapid.T) contacts.CreateContactInput {
	in := contacts.CreateContactInput{
		FirstName: lifeNames.Draw(t, "first name"), LastName: lifeNames.Draw(t, "last name"), Company: lifeNames.Draw(t, "company"),
		Email: lifeEmails.Draw(t, "e-mail"), Stage: lifeWords.Draw(t, "stage"), Status: lifeWords.Draw(t, "status"),
		TeamID: lifeTeams.Draw(t, "team"), Tags: lifeTags.Draw(t, "tags"),
		CustomContext:  lifeContext(t, "context"),
		IdempotencyKey: rapid.SampledFrom([]string{"", "", "", "a", "b"}).Draw(t, "idempotency key"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "phones") {
		in.PhoneNumbers = append(in.PhoneNumbers, contacts.PhoneNumberInput{PhoneNumber: lifePhones.Draw(t, "phone"), DoNotCall: rapid.Bool().Draw(t, "do not call")})
	}
	return in
}

func lifeUpdate(t *rapid.T) contacts.UpdateContactInput {
	var in contacts.UpdateContactInput
	from := lifeInput(t)
	given := func(name string) bool { return rapid.IntRange(0, 3).Draw(t, name+" given") == 0 }
	if given("first name") {
		in.FirstName = &from.FirstName
	}
	if given("e-mail") {
		in.Email = &from.Email
	}
	if given("stage") {
		in.Stage = &from.Stage
	}
	if given("team") {
		in.TeamID = &from.TeamID
	}
	if given("tags") {
		in.Tags = &from.Tags
	}
	if given("context") {
		in.CustomContext = &from.CustomContext
	}
	if given("phones") {
		phones := []contacts.UpdatePhoneNumber{}
		for i := range from.PhoneNumbers {
			phones = append(phones, contacts.UpdatePhoneNumber{PhoneNumber: &from.PhoneNumbers[i].PhoneNumber})
		}
		in.PhoneNumbers = &phones
	}
	return in
}

func lifeList(t *rapid.T) contacts.ListContactsInput {
	var in contacts.ListContactsInput
	for range rapid.IntRange(0, 2).Draw(t, "filters") {
		switch rapid.IntRange(0, 6).Draw(t, "filter") {
		case 0:
			in.Stage = lifeWords.Draw(t, "stage")
		case 1:
			in.Status = lifeWords.Draw(t, "status")
		case 2:
			in.Tag = rapid.SampledFrom([]string{"vip", "VIP", "%"}).Draw(t, "tag")
		case 3:
			in.PhoneNumber = lifePhones.Draw(t, "phone")
		case 4:
			in.Email = lifeEmails.Draw(t, "e-mail")
		case 5:
			in.Search = strings.ToUpper(lifeNames.Draw(t, "search")) + "  " + lifeNames.Draw(t, "second word")
		case 6:
			in.TeamID = lifeTeams.Draw(t, "team")
		}
	}
	in.Deleted = rapid.IntRange(0, 4).Draw(t, "deleted") == 0
	in.Limit = rapid.SampledFrom([]int{0, 1, 2, 100}).Draw(t, "limit")
	return in
}
