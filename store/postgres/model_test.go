package postgres_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
	"example.com/contacts/store/postgres"
)

// A model makes the same calls of two stores on one schema, now of one and now of
// the other, and of a store in memory, which is so simple that it is right.
type model struct {
	url, schema string
	stores      [2]*postgres.Store
	memory      *memory.Store
	accounts    []uuid.UUID
	made        []*contacts.ContactRecord // as they were last stored, purged ones included
	now         time.Time
}

func (m *model) open(t *rapid.T) *postgres.Store {
	s, err := postgres.Open(t.Context(), m.url, &postgres.Options{Schema: m.schema, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newModel(t *rapid.T, url, schema string) *model {
	m := &model{url: url, schema: schema, memory: memory.New(), now: noon}
	for i := range m.stores {
		m.stores[i] = m.open(t)
	}
	for range 2 {
		a := newID()
		d := contacts.Directory{
			Accounts: []contacts.Account{{ID: a}},
			Teams:    []contacts.Team{{AccountID: a, ID: 1}, {AccountID: a, ID: 2}},
		}
		for _, s := range []contacts.Store{m.memory, m.stores[0]} {
			if _, err := s.AddToDirectory(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		m.accounts = append(m.accounts, a)
	}
	return m
}

func (m *model) close(t rapid.TB) {
	for _, s := range m.stores {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func (m *model) store(t *rapid.T) *postgres.Store {
	return m.stores[rapid.IntRange(0, len(m.stores)-1).Draw(t, "store")]
}

// contact draws one that was created, or was to be.
func (m *model) contact(t *rapid.T) *contacts.ContactRecord {
	return m.made[rapid.IntRange(0, len(m.made)-1).Draw(t, "contact")]
}

func (m *model) account(t *rapid.T) uuid.UUID {
	return m.accounts[rapid.IntRange(0, len(m.accounts)-1).Draw(t, "account")]
}

var (
	someNames  = []string{"Ada", "ada", "Åsa", "A\u030asa", "Straße", "STRASSE", "Bob"}
	someTexts  = []string{"", "", "new", "Ünit", "unit"}
	someEmails = []string{"", "ada@example.com", "Bob@example.com", "bob@example.com"}
	someTags   = []string{"vip", "VIP", "a \"b\" \\", "é", "all"}
	someTeams  = []int64{0, 0, 1, 2, 3} // 3 does not exist
)

// draw draws all of the record but its ids, its version and its deletion.
func draw(t *rapid.T, r *contacts.ContactRecord) {
	c := &r.Contact
	c.FirstName = rapid.SampledFrom(someNames).Draw(t, "first name")
	c.LastName = rapid.SampledFrom(someNames).Draw(t, "last name")
	c.Company = rapid.SampledFrom(someTexts).Draw(t, "company")
	c.Email = rapid.SampledFrom(someEmails).Draw(t, "email")
	c.Status = rapid.SampledFrom(someTexts).Draw(t, "status")
	c.Stage = rapid.SampledFrom(someTexts).Draw(t, "stage")
	c.TeamID = rapid.SampledFrom(someTeams).Draw(t, "team")
	c.Country = "US"
	c.Tags, c.PhoneNumbers = nil, nil
	for _, tag := range someTags {
		if rapid.Bool().Draw(t, "tag") {
			c.Tags = append(c.Tags, tag)
		}
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "numbers") {
		c.PhoneNumbers = append(c.PhoneNumbers, contacts.PhoneNumber{ID: newID(), PhoneNumber: aNumber(t), Primary: i == 0})
	}
}

func aNumber(t *rapid.T) string {
	return fmt.Sprintf("+155500%02d", rapid.IntRange(0, 5).Draw(t, "number"))
}

// create creates a batch in both and compares the outcomes.
func (m *model) create(t *rapid.T) {
	batch := contacts.ContactBatch{AllOrNothing: rapid.IntRange(0, 3).Draw(t, "all or nothing") == 0}
	idempotent := rapid.Bool().Draw(t, "idempotent")
	for range rapid.IntRange(1, 12).Draw(t, "batch") {
		r := &contacts.ContactRecord{Contact: contacts.Contact{
			ID: newID(), AccountID: m.account(t), CreatedAt: m.now, UpdatedAt: m.now, Version: 1,
		}}
		draw(t, r)
		if len(m.made) > 0 && rapid.IntRange(0, 15).Draw(t, "taken") == 0 {
			r.Contact.ID = m.contact(t).Contact.ID
			r.Contact.TeamID = 1 // which of two failures it is, is not said
		}
		batch.Records = append(batch.Records, r)
		m.made = append(m.made, r)
		if !idempotent {
			continue
		}
		batch.Now = m.now
		if rapid.IntRange(0, 3).Draw(t, "without a key") == 0 {
			batch.Idempotencies = append(batch.Idempotencies, nil)
			continue
		}
		batch.Idempotencies = append(batch.Idempotencies, &contacts.Idempotency{
			Key:    [32]byte{byte(rapid.IntRange(1, 10).Draw(t, "key"))},
			Input:  [32]byte{byte(rapid.IntRange(1, 2).Draw(t, "input"))},
			Result: r.Contact.ID.String(),
			EndsAt: m.now.Add(time.Duration(rapid.IntRange(1, 20).Draw(t, "ends")) * time.Second),
		})
	}
	want := m.memory.CreateContacts(t.Context(), batch)
	got := m.store(t).CreateContacts(t.Context(), batch)
	if len(got) != len(want) {
		t.Fatalf("CreateContacts: %d outcomes, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Result != want[i].Result || !errors.Is(got[i].Err, want[i].Err) {
			t.Fatalf("CreateContacts, record %d of %d: got %v, want %v", i, len(want), got[i], want[i])
		}
	}
}

// update changes, deletes or restores contacts, purged and unknown ones too.
func (m *model) update(t *rapid.T) {
	if len(m.made) == 0 {
		t.Skip("nothing to update")
	}
	var changes []contacts.ContactChange
	for range rapid.IntRange(1, 5).Draw(t, "changes") {
		stored := m.contact(t)
		next := *stored
		switch rapid.IntRange(0, 3).Draw(t, "change") {
		case 0:
			next.Contact.DeletedAt = m.now
		case 1:
			next.Contact.DeletedAt = time.Time{}
		default:
			draw(t, &next)
		}
		version := stored.Contact.Version
		if rapid.IntRange(0, 7).Draw(t, "stale") == 0 {
			version++
		}
		next.Contact.Version = version + 1
		if next.Contact.TeamID == 3 && version != stored.Contact.Version {
			next.Contact.TeamID = 1
		}
		changes = append(changes, contacts.ContactChange{Record: &next, Version: version})
	}
	want := m.memory.UpdateContacts(t.Context(), changes)
	got := m.store(t).UpdateContacts(t.Context(), changes)
	if len(got) != len(want) {
		t.Fatalf("UpdateContacts: %d errors, want %d: %v, %v", len(got), len(want), got, want)
	}
	for i, c := range changes {
		if want != nil && (got[i] == nil) != (want[i] == nil) {
			t.Fatalf("UpdateContacts, change %d: got %v, want %v", i, got[i], want[i])
		}
		if want == nil || want[i] == nil {
			for j, r := range m.made {
				if r.Contact.ID == c.Record.Contact.ID && r.Contact.AccountID == c.Record.Contact.AccountID {
					m.made[j] = c.Record
				}
			}
		}
	}
}

// purge purges as many as there are at most: which of more is not said.
func (m *model) purge(t *rapid.T) {
	q := contacts.PurgeQuery{AccountID: m.account(t), Limit: 1000} // there are more in the schema, of earlier runs
	if len(m.made) > 0 && rapid.Bool().Draw(t, "one contact") {
		q.ContactID = m.contact(t).Contact.ID
	}
	if rapid.Bool().Draw(t, "by time") {
		q.DeletedBefore = m.now.Add(-5 * time.Second)
	}
	want, _ := m.memory.PurgeContacts(t.Context(), q)
	got, err := m.store(t).PurgeContacts(t.Context(), q)
	if err != nil || got != want {
		t.Fatalf("PurgeContacts(%+v): got %d, %v; want %d", q, got, err, want)
	}
}

// reopen closes one of the stores in the middle of whatever it does.
func (m *model) reopen(t *rapid.T) {
	i := rapid.IntRange(0, len(m.stores)-1).Draw(t, "store")
	if err := m.stores[i].Close(); err != nil {
		t.Fatal(err)
	}
	m.stores[i] = m.open(t)
}

// list compares a listing.
func (m *model) list(t *rapid.T) {
	q := contacts.ContactQuery{
		AccountID: m.account(t),
		AllTeams:  rapid.IntRange(0, 2).Draw(t, "all teams") > 0,
		Deleted:   rapid.IntRange(0, 3).Draw(t, "deleted") == 0,
		Limit:     rapid.SampledFrom([]int{1, 3, 1000}).Draw(t, "limit"),
		Skip:      rapid.SampledFrom([]int{0, 0, 2}).Draw(t, "skip"),
		Count:     rapid.Bool().Draw(t, "count"),
	}
	if !q.AllTeams {
		q.Teams = rapid.SliceOfN(rapid.Int64Range(1, 2), 0, 2).Draw(t, "teams")
	}
	optional := func(to *string, name string, from []string) {
		if rapid.IntRange(0, 3).Draw(t, name+"?") == 0 {
			*to = rapid.SampledFrom(from).Draw(t, name)
		}
	}
	optional(&q.Status, "status", someTexts)
	optional(&q.Stage, "stage", someTexts)
	optional(&q.Email, "email", someEmails)
	optional(&q.Tag, "tag", append(someTags, "none"))
	optional(&q.PhoneNumber, "number", []string{aNumber(t)})
	optional(&q.Search, "search", []string{"a", "ada", "å", "strasse", "ss", " ", "bob@", "ada\n", "ünit", "\nunit\n"})
	if rapid.IntRange(0, 3).Draw(t, "team?") == 0 {
		q.TeamID = rapid.SampledFrom(someTeams).Draw(t, "team")
	}
	if len(m.made) > 0 && rapid.IntRange(0, 3).Draw(t, "after?") == 0 {
		q.After = m.contact(t).Contact.ID
	}
	want, _ := m.memory.ListContacts(t.Context(), q)
	for _, s := range m.stores {
		got, err := s.ListContacts(t.Context(), q)
		if err != nil {
			t.Fatalf("ListContacts(%+v): %v", q, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("ListContacts(%+v) (-memory +postgres):\n%s", q, diff)
		}
	}
}

// Whatever is created, changed, deleted, purged and sent again, through two stores
// on one schema, every listing is that of the store in memory.
func TestTwoStoresDoWhatTheStoreInMemoryDoes(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(rt, url, schema)
		defer func() { m.close(rt) }()
		rt.Repeat(map[string]func(*rapid.T){
			"create":  m.create,
			"create2": m.create,
			"update":  m.update,
			"update2": m.update,
			"purge":   m.purge,
			"reopen":  m.reopen,
			"list":    m.list,
			"list2":   m.list,
			"list3":   m.list,
			"wait":    func(*rapid.T) { m.now = m.now.Add(4 * time.Second) },
		})
	})
}
