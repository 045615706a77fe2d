package storetest_test

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// idempotencyFaults break idempotency records.
var idempotencyFaults = []fault{
	{"ignores idempotency records", "idempotency/same input", onOnce(func(contacts.IdempotencyRecord) *contacts.IdempotencyRecord { return nil })},
	{"answers with the later result", "idempotency/same input", onOutcome(func(m contacts.Mutation, o *contacts.MutationOutcome) {
		if o.Result != "" {
			o.Result = m.Idempotency.Result
		}
	})},
	{"stores what it answers again", "idempotency/same input", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		o, err := a.one(m)
		if o.Result != "" {
			m.Idempotency = nil
			a.one(m)
		}
		return o, err
	})},
	{"compares no inputs", "idempotency/other input", onOnce(func(once contacts.IdempotencyRecord) *contacts.IdempotencyRecord {
		once.Input = [32]byte{}
		return &once
	})},
	{"compares a part of the input", "idempotency/other input", onOnce(func(once contacts.IdempotencyRecord) *contacts.IdempotencyRecord {
		clear(once.Input[16:])
		return &once
	})},
	{"compares a part of the key", "idempotency/keys to the bit", onOnce(func(once contacts.IdempotencyRecord) *contacts.IdempotencyRecord {
		clear(once.Key[16:])
		return &once
	})},
	{"lets records end too late", "idempotency/ended", onNow(-time.Microsecond)},
	{"lets records end too early", "idempotency/ended", onNow(time.Microsecond)},
	{"keeps the end in seconds", "idempotency/ended", onOnce(func(once contacts.IdempotencyRecord) *contacts.IdempotencyRecord {
		once.EndsAt = once.EndsAt.Truncate(time.Second)
		return &once
	})},
	{"never lets records end", "idempotency/ended", onNow(-1000 * time.Hour)},
	{"has one key for all tenants", "idempotency/scoped by account", func(p *process) {
		var owners sync.Map
		onOutcome(func(m contacts.Mutation, o *contacts.MutationOutcome) {
			if owner, _ := owners.LoadOrStore(m.Idempotency.Key, m.AccountID); owner != m.AccountID {
				*o = contacts.MutationOutcome{Err: contacts.ErrIdempotencyConflict}
			}
		})(p)
	}},
	{"looks at what was there before the batch", "idempotency/within a batch", onBatch(func(batch *contacts.MutationBatch) {
		seen := map[[32]byte]bool{}
		for i, m := range batch.Mutations {
			if m.Idempotency != nil && seen[m.Idempotency.Key] {
				batch.Mutations[i].Idempotency = nil
			} else if m.Idempotency != nil {
				seen[m.Idempotency.Key] = true
			}
		}
	})},
	{"takes the records for those of other mutations", "idempotency/with and without in a batch", onBatch(func(batch *contacts.MutationBatch) {
		next := 0
		for _, m := range batch.Mutations {
			if m.Idempotency != nil {
				batch.Mutations[next].Idempotency = m.Idempotency
				next++
			}
		}
		for i := range batch.Mutations[next:] {
			batch.Mutations[next+i].Idempotency = nil
		}
	})},
	{"judges ids before keys", "idempotency/sent again as it was", judgeFirst(contacts.ErrExists, withoutOnce)},
	{"judges teams before keys", "idempotency/sent again as it was", judgeFirst(contacts.ErrTeamNotFound, withoutOnce)},
	{"judges settings before keys", "idempotency/sent again as it was", judgeFirst(contacts.ErrStale, withoutOnce)},
	{"judges the contact to remove before keys", "idempotency/sent again as it was", judgeFirst(contacts.ErrNotFound, withoutOnce)},
	{"appends entries of what it answers again", "idempotency/sent again as it was", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		o, err := a.one(m)
		if o.Result != "" {
			a.one(contacts.Mutation{AccountID: m.AccountID, Journal: m.Journal})
		}
		return o, err
	})},
	{"forgets with a change", "idempotency/contact changed meanwhile", func(p *process) {
		forget := forgetfulKeys(p)
		onRecord(func(next, _ *contacts.ContactRecord) { forget(next.Contact.ID) })(p)
	}},
	{"remembers what was refused", "idempotency/a refusal leaves none", keepFailedKeys},
	{"remembers what was cancelled", "idempotency/cancelled leaves none", keepFailedKeys},
	{"trims results", "idempotency/hostile results", onOutcome(func(_ contacts.Mutation, o *contacts.MutationOutcome) { o.Result = strings.TrimSpace(o.Result) })},
	{"cuts results", "idempotency/hostile results", onOutcome(func(_ contacts.Mutation, o *contacts.MutationOutcome) {
		o.Result = o.Result[:min(4096, len(o.Result))]
	})},
	{"keeps a thousand keys", "pruning/idempotency records before their end", func(p *process) {
		var mu sync.Mutex
		var order [][32]byte
		old := map[[32]byte]bool{}
		onOnce(func(once contacts.IdempotencyRecord) *contacts.IdempotencyRecord {
			mu.Lock()
			defer mu.Unlock()
			if old[once.Key] {
				return nil
			}
			if order = append(order, once.Key); len(order) > 1000 {
				old[order[0]] = true
				order = order[1:]
			}
			return &once
		})(p)
	}},
	{"looks before it stores a key", "idempotency/one key by many", lookFirst},
	{"looks before it compares inputs", "idempotency/one key by many inputs", lookFirst},
	{"replaces an ended record without a second look", "idempotency/one key by many", replaceEnded},
	{"replaces an ended record of another input without a second look", "idempotency/one key by many inputs", replaceEnded},
	{"locks keys for its own process alone", "idempotency/one key by two processes", lockItself},
	{"forgets the contact of a result for a while", "idempotency/one key by many", func(p *process) {
		// What is stored together is not seen together.
		var busy sync.Map
		onApply(func(a *applying) (outcomes, error) {
			id := a.Mutations[0].Contacts[0].ID
			busy.Store(id, true)
			defer busy.Delete(id)
			all, err := a.do()
			dally()
			return all, err
		})(p)
		p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
			if _, ok := busy.Load(id); ok {
				return nil, contacts.ErrNotFound
			}
			return p.data.FindContact(ctx, account, id)
		}
	}},
	{"loses keys on reopening", "idempotency/after reopening", keepKeysToItself},
	{"keeps keys from a second process", "idempotency/seen by a second process", keepKeysToItself},
}

// replaceEnded looks whether the first record of a key has ended, and replaces it
// later, whatever is there by then.
func replaceEnded(p *process) {
	var ends sync.Map // of the first records, by key
	onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		if m.Idempotency == nil {
			return a.one(m)
		}
		first, _ := ends.LoadOrStore(m.Idempotency.Key, m.Idempotency.EndsAt)
		if a.Now.Before(first.(time.Time)) {
			return a.one(m)
		}
		o, err := a.judge(m)
		if err != nil || o.Err != nil || o.Result != "" {
			return o, err
		}
		dally()
		a.force(m)
		return o, nil
	})(p)
}

func withoutOnce(m *contacts.Mutation) { m.Idempotency = nil }

// onNow moves the time by which idempotency records are judged.
func onNow(by time.Duration) func(*process) {
	return onBatch(func(batch *contacts.MutationBatch) { batch.Now = batch.Now.Add(by) })
}

// keepFailedKeys remembers the keys of what was not stored, and takes a later use
// of one for a conflict.
func keepFailedKeys(p *process) {
	var failed sync.Map
	onApply(func(a *applying) (outcomes, error) {
		for _, m := range a.Mutations {
			if m.Idempotency == nil {
				continue
			}
			if _, ok := failed.Load(m.Idempotency.Key); ok {
				return a.failAll(contacts.ErrIdempotencyConflict), nil
			}
		}
		all, err := a.do()
		for i, m := range a.Mutations {
			if m.Idempotency != nil && (err != nil || all != nil && all[i].Err != nil) {
				failed.Store(m.Idempotency.Key, true)
			}
		}
		return all, err
	})(p)
}

// keepKeysToItself knows only the keys that the process itself has stored.
func keepKeysToItself(p *process) {
	var mine sync.Map
	onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		o, err := a.one(m)
		if m.Idempotency == nil {
			return o, err
		}
		if _, ok := mine.LoadOrStore(m.Idempotency.Key, true); ok || o.Result == "" {
			return o, err
		}
		m.Idempotency = nil
		return a.one(m)
	})(p)
}

// forgetfulKeys returns a function that forgets the key of a contact.
func forgetfulKeys(p *process) (forget func(contact uuid.UUID)) {
	var mu sync.Mutex
	stored := map[[32]byte]uuid.UUID{}
	forgotten := map[uuid.UUID]bool{}
	onMutation(func(m *contacts.Mutation) {
		mu.Lock()
		defer mu.Unlock()
		if m.Idempotency == nil || len(m.Contacts) == 0 {
			return
		}
		if contact, ok := stored[m.Idempotency.Key]; !ok {
			stored[m.Idempotency.Key] = m.Contacts[0].ID
		} else if forgotten[contact] {
			m.Idempotency = nil
		}
	})(p)
	return func(contact uuid.UUID) {
		mu.Lock()
		defer mu.Unlock()
		forgotten[contact] = true
	}
}
