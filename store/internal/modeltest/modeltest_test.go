package modeltest_test

import (
	"context"
	"flag"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/store/internal/modeltest"
	"example.com/contacts/store/memory"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The checks that must fail leave no files and need no smaller example.
	for name, value := range map[string]string{"rapid.nofailfile": "true", "rapid.shrinktime": "0s"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// A shared store is one of several on one data set.
type shared struct{ contacts.Store }

func (shared) Close() error { return nil }

func planOf(s contacts.Store) modeltest.Plan {
	return func(*rapid.T) func(context.Context) (contacts.Store, error) {
		return func(context.Context) (contacts.Store, error) { return shared{s}, nil }
	}
}

func TestMemoryStoreDoesWhatItDoes(t *testing.T) {
	t.Parallel()
	modeltest.Run(t, planOf(memory.New()))
}

// A recorder is a test that must fail.
type recorder struct {
	rapid.TB
	failed bool
}

func (*recorder) Helper()                 {}
func (*recorder) Logf(string, ...any)     {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Fatalf(string, ...any) { r.failed = true }
func (r *recorder) Failed() bool          { return r.failed }
func (r *recorder) Fail()                 { r.failed = true }
func (r *recorder) FailNow()              { r.failed = true }

// broken is a store with one defect.
type broken struct {
	*memory.Store
	spoilBatch   func(*contacts.MutationBatch)
	spoilQuery   func(*contacts.ContactQuery)
	spoilJournal func(*contacts.JournalQuery)
}

func (b broken) Apply(ctx context.Context, batch contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	if b.spoilBatch != nil {
		batch.Mutations = slices.Clone(batch.Mutations)
		b.spoilBatch(&batch)
	}
	return b.Store.Apply(ctx, batch)
}

func (b broken) ListContacts(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
	if b.spoilQuery != nil {
		b.spoilQuery(&q)
	}
	return b.Store.ListContacts(ctx, q)
}

func (b broken) ListJournal(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
	if b.spoilJournal != nil {
		b.spoilJournal(&q)
	}
	return b.Store.ListJournal(ctx, q)
}

// each spoils each mutation.
func each(spoil func(*contacts.Mutation)) func(*contacts.MutationBatch) {
	return func(b *contacts.MutationBatch) {
		for i := range b.Mutations {
			spoil(&b.Mutations[i])
		}
	}
}

func TestEveryDefectIsFound(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]broken{
		"stores dry runs":          {spoilBatch: func(b *contacts.MutationBatch) { b.DryRun = false }},
		"is not all or nothing":    {spoilBatch: func(b *contacts.MutationBatch) { b.AllOrNothing = false }},
		"numbers copied entries":   {spoilBatch: func(b *contacts.MutationBatch) { b.Verbatim = false }},
		"ignores claims":           {spoilBatch: each(func(m *contacts.Mutation) { m.Claims = nil })},
		"ignores idempotency":      {spoilBatch: each(func(m *contacts.Mutation) { m.Idempotency = nil })},
		"ignores settings":         {spoilBatch: each(func(m *contacts.Mutation) { m.Settings = 0 })},
		"drops journal entries":    {spoilBatch: each(func(m *contacts.Mutation) { m.Journal = nil })},
		"drops all but one change": {spoilBatch: each(func(m *contacts.Mutation) { m.Contacts = m.Contacts[:min(len(m.Contacts), 1)] })},
		"ignores versions": {spoilBatch: each(func(m *contacts.Mutation) {
			m.Contacts = slices.Clone(m.Contacts)
			for i := range m.Contacts {
				m.Contacts[i].Version = min(m.Contacts[i].Version, 1)
			}
		})},
		"lists without match keys":    {spoilQuery: func(q *contacts.ContactQuery) { q.MatchKeys = nil }},
		"lists without ids":           {spoilQuery: func(q *contacts.ContactQuery) { q.IDs = nil }},
		"lists without tags":          {spoilQuery: func(q *contacts.ContactQuery) { q.Tag = "" }},
		"lists the wrong teams":       {spoilQuery: func(q *contacts.ContactQuery) { q.AllTeams = true }},
		"lists whenever deleted":      {spoilQuery: func(q *contacts.ContactQuery) { q.DeletedBefore = time.Time{} }},
		"lists from the start":        {spoilQuery: func(q *contacts.ContactQuery) { q.After = uuid.Nil }},
		"lists the journal forwards":  {spoilJournal: func(q *contacts.JournalQuery) { q.Backwards = false }},
		"lists the whole journal":     {spoilJournal: func(q *contacts.JournalQuery) { q.After = 0 }},
		"lists entries of every kind": {spoilJournal: func(q *contacts.JournalQuery) { q.Kind = 0 }},
		"lists every subject":         {spoilJournal: func(q *contacts.JournalQuery) { q.Subjects = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b.Store = memory.New()
			r := &recorder{TB: t}
			const patience = 10 // runs: one finds it nearly always
			for range patience {
				if modeltest.Check(r, planOf(b)); r.failed {
					return
				}
			}
			t.Error("not found")
		})
	}
}
