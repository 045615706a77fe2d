// Package modeltest makes random calls of a store and of the store in memory, and
// compares what they say. The store in memory is the model: it is so simple that
// it is right.
package modeltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// A Plan draws how a store is opened, and returns what opens it so. Every store
// that it opens in one test keeps the same data.
type Plan func(t *rapid.T) (open func(ctx context.Context) (contacts.Store, error))

// Run makes the same calls of two stores on one data set, now of one and now of
// the other, and of a store in memory. It opens and closes them in the middle of
// it. Every check has accounts of its own in the same data set, so that a check
// costs no new data set. Nobody else may write to it meanwhile.
func Run(t *testing.T, plan Plan) {
	t.Helper()
	s := &stores{plan: plan, memory: memory.New()}
	defer func() {
		if err := s.close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	s.check(t)
}

// The stores of a test last as long as the test.
type stores struct {
	plan   Plan
	memory *memory.Store
	tested [2]contacts.Store // nil: to be opened
}

func (s *stores) close() error {
	var errs []error
	for i, store := range s.tested {
		if store != nil {
			errs = append(errs, store.Close())
			s.tested[i] = nil
		}
	}
	return errors.Join(errs...)
}

// check is Run without opening and closing.
func (s *stores) check(t rapid.TB) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		m := s.newModel(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"accounts": m.findAccounts,
			"apply":    m.apply,
			"apply2":   m.apply,
			"apply3":   m.apply,
			"verbatim": m.applyVerbatim,
			"clean up": m.cleanUp,
			"list":     m.list,
			"list2":    m.list,
			"list3":    m.list,
			"groups":   m.groups,
			"find":     m.find,
			"journal":  m.listJournal,
			"settings": m.addSetting,
			"keys":     m.addKey,
			"teams":    m.addTeams,
			"disable":  m.updateDirectory,
			"page":     m.listDirectory,
			"reopen":   m.reopen,
			"wait":     m.wait,
		})
	})
}

// noon is when every check starts.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// A model is the state of one check.
type model struct {
	*stores
	now      time.Time
	accounts []uuid.UUID
	keys     []contacts.KeyRecord
	contacts []contactID // that were stored or were to be, also removed ones
}

type contactID struct{ account, id uuid.UUID }

func (s *stores) newModel(t *rapid.T) *model {
	m := &model{stores: s, now: noon}
	for i := range s.tested {
		open := s.plan(t) // drawn in any case, so that a check can be repeated
		if s.tested[i] == nil {
			s.open(t, i, open)
		}
	}
	for i := range 2 {
		a := newID()
		m.accounts = append(m.accounts, a)
		m.add(t, contacts.Directory{
			Accounts: []contacts.Account{{ID: a, Name: fmt.Sprint("account ", i), CreatedAt: m.now}},
			Teams:    []contacts.Team{{AccountID: a, ID: 1, CreatedAt: m.now}, {AccountID: a, ID: 2, CreatedAt: m.now}},
		})
	}
	m.populate(t)
	return m
}

func (s *stores) open(t *rapid.T, i int, open func(context.Context) (contacts.Store, error)) {
	store, err := open(t.Context())
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	s.tested[i] = store
}

// reopen closes one of the stores in the middle of what it does.
func (m *model) reopen(t *rapid.T) {
	i := rapid.IntRange(0, len(m.tested)-1).Draw(t, "store")
	open := m.plan(t)
	store := m.tested[i]
	m.tested[i] = nil
	if err := store.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	m.open(t, i, open)
}

// wait lets time pass: a little, or enough for what has ended to be removed.
func (m *model) wait(t *rapid.T) {
	m.now = m.now.Add(rapid.SampledFrom([]time.Duration{4 * time.Second, 4 * time.Second, 90 * time.Minute}).Draw(t, "passes"))
}

// store draws the store that a call is made of.
func (m *model) store(t *rapid.T) contacts.Store {
	return rapid.SampledFrom(m.tested[:]).Draw(t, "store")
}

// account draws an account of the check.
func (m *model) account(t *rapid.T) uuid.UUID {
	return rapid.SampledFrom(m.accounts).Draw(t, "account")
}

// anyAccount draws an account, which seldom does not exist.
func (m *model) anyAccount(t *rapid.T) uuid.UUID {
	if rarely(t, "unknown account") {
		return newID()
	}
	return m.account(t)
}

// stored returns the contact as it is stored; nil: it is not.
func (m *model) stored(c contactID) *contacts.ContactRecord {
	r, err := m.memory.FindContact(context.Background(), c.account, c.id)
	if err != nil {
		return nil
	}
	return r
}

// rarely draws whether something that is seldom happens.
func rarely(t *rapid.T, what string) bool {
	return rapid.IntRange(0, 9).Draw(t, what) == 0
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// sentinels are the errors by which a store says what happened.
var sentinels = []error{
	contacts.ErrTeamNotFound, contacts.ErrNotFound, contacts.ErrExists, contacts.ErrConflict, contacts.ErrDuplicate,
	contacts.ErrStale, contacts.ErrIdempotencyConflict, contacts.ErrBatchFailed,
}

// sentinel returns the one that err matches; nil for nil, and err for a fault.
func sentinel(err error) error {
	for _, s := range sentinels {
		if errors.Is(err, s) {
			return s
		}
	}
	return err
}

// sameError fails the check unless the errors say the same.
func sameError(t *rapid.T, call string, want, got error) {
	t.Helper()
	if !errors.Is(sentinel(got), sentinel(want)) {
		t.Fatalf("%s: got error %v, want %v", call, got, want)
	}
}

// same fails the check unless the errors say the same and, where there is none,
// the results are the same.
func same(t *rapid.T, call string, want, got any, wantErr, gotErr error) {
	t.Helper()
	sameError(t, call, wantErr, gotErr)
	if wantErr != nil {
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s (-memory +tested):\n%s", call, diff)
	}
}

// find compares one contact in both stores.
func (m *model) find(t *rapid.T) {
	if len(m.contacts) == 0 {
		t.Skip("no contacts")
	}
	c := rapid.SampledFrom(m.contacts).Draw(t, "contact")
	a := m.anyAccount(t)
	want, wantErr := m.memory.FindContact(t.Context(), a, c.id)
	for _, s := range m.tested {
		got, err := s.FindContact(t.Context(), a, c.id)
		same(t, "FindContact", want, got, wantErr, err)
	}
}

// list compares a page of contacts in both stores.
func (m *model) list(t *rapid.T) {
	q := m.contactQuery(t)
	want, wantErr := m.memory.ListContacts(t.Context(), q)
	for _, s := range m.tested {
		got, err := s.ListContacts(t.Context(), q)
		same(t, fmt.Sprintf("ListContacts(%+v)", q), want, got, wantErr, err)
	}
}

// groups compares all groups of contacts in both stores. Each has an order of its own.
func (m *model) groups(t *rapid.T) {
	q := m.contactQuery(t)
	q.Shared = rapid.SampledFrom([]contacts.KeyKind{contacts.KeyEmail, contacts.KeyPhoneNumber, contacts.KeyExternalID}).Draw(t, "shared")
	want, wantErr := allGroups(t, m.memory, q)
	for _, s := range m.tested {
		got, err := allGroups(t, s, q)
		same(t, fmt.Sprintf("ListContacts(%+v)", q), want, got, wantErr, err)
	}
}

func allGroups(t *rapid.T, s contacts.Store, q contacts.ContactQuery) (groups []contacts.ContactGroup, err error) {
	for {
		list, err := s.ListContacts(t.Context(), q)
		if err != nil {
			return nil, err
		}
		groups = append(groups, list.Groups...)
		if q.Position = list.Position; q.Position == "" {
			slices.SortFunc(groups, func(a, b contacts.ContactGroup) int { return strings.Compare(a.Key.Value, b.Key.Value) })
			return groups, nil
		}
	}
}

func (m *model) contactQuery(t *rapid.T) contacts.ContactQuery {
	q := contacts.ContactQuery{
		AccountID: m.anyAccount(t),
		AllTeams:  rapid.IntRange(0, 2).Draw(t, "all teams") > 0,
		Deleted:   rapid.IntRange(0, 3).Draw(t, "deleted") == 0,
		Limit:     rapid.SampledFrom([]int{1, 3, 1000}).Draw(t, "limit"),
		Skip:      rapid.SampledFrom([]int{0, 0, 2}).Draw(t, "skip"),
		Count:     rapid.Bool().Draw(t, "count"),
	}
	if !q.AllTeams {
		q.Teams = rapid.SliceOfN(rapid.Int64Range(1, 3), 0, 2).Draw(t, "teams")
	}
	if len(m.contacts) > 0 && rapid.IntRange(0, 4).Draw(t, "later page") == 0 {
		q.After = rapid.SampledFrom(m.contacts).Draw(t, "after").id
	}
	// More than two filters at a time nearly always find nothing.
	for _, filter := range rapid.SliceOfN(rapid.IntRange(0, 10), 0, 2).Draw(t, "filters") {
		switch filter {
		case 0:
			q.Status = rapid.SampledFrom(someTexts).Draw(t, "status")
		case 1:
			q.Stage = rapid.SampledFrom(someTexts).Draw(t, "stage")
		case 2:
			q.Email = rapid.SampledFrom(someEmails).Draw(t, "email")
		case 3:
			q.Tag = rapid.SampledFrom(append(slices.Clone(someTags), "none")).Draw(t, "tag")
		case 4:
			q.PhoneNumber = rapid.SampledFrom(someNumbers).Draw(t, "number")
		case 5:
			q.Search = rapid.SampledFrom(someSearches).Draw(t, "search")
		case 6:
			q.TeamID = rapid.SampledFrom(someTeams).Draw(t, "team")
		case 7:
			q.MatchKeys = rapid.SliceOfNDistinct(someKey(), 1, 3, rapid.ID[contacts.MatchKey]).Draw(t, "match keys")
		case 8:
			q.Deleted = true
			q.DeletedBefore = m.now.Add(-rapid.SampledFrom(someAges).Draw(t, "deleted before"))
		case 9:
			q.IDs = m.ids(t)
		case 10:
			q.UpdatedAfter = m.now.Add(-rapid.SampledFrom(someAges).Draw(t, "updated after"))
		}
	}
	return q
}

// ids draws some ids of contacts, of any account.
func (m *model) ids(t *rapid.T) []uuid.UUID {
	if len(m.contacts) == 0 {
		return nil
	}
	var ids []uuid.UUID
	for _, c := range rapid.SliceOfN(rapid.SampledFrom(m.contacts), 1, 4).Draw(t, "ids") {
		ids = append(ids, c.id)
	}
	return ids
}
