package storetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

var batchFaults = []fault{
	{"knows no all or nothing", "batches/all stored", onBatch(func(p *process, ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
		return failAll(batch, contacts.ErrBatchFailed)
	})},
	{"takes all or nothing for each on its own", "batches/none stored", onBatch(func(p *process, ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
		batch.AllOrNothing = false
		return p.data.CreateContacts(ctx, batch)
	})},
	{"says exists for what has failed with others", "batches/none stored", onBatch(func(p *process, ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
		outcomes := p.data.CreateContacts(ctx, batch)
		for i := range outcomes {
			if errors.Is(outcomes[i].Err, contacts.ErrBatchFailed) {
				outcomes[i].Err = contacts.ErrExists
			}
		}
		return outcomes
	})},
	{"says of a single record that another failed", "batches/one record", onBatch(func(p *process, ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
		outcomes := p.data.CreateContacts(ctx, batch)
		if len(outcomes) == 1 && outcomes[0].Err != nil {
			outcomes[0].Err = contacts.ErrBatchFailed
		}
		return outcomes
	})},
	{"stops at the first failure", "batches/several failures", onBatch(func(p *process, ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
		outcomes := p.data.CreateContacts(ctx, batch)
		failed := false
		for i, o := range outcomes {
			if failed {
				outcomes[i].Err = contacts.ErrBatchFailed
			}
			failed = failed || o.Err != nil && !errors.Is(o.Err, contacts.ErrBatchFailed)
		}
		return outcomes
	})},
	{"takes an answer for a failure", "batches/answered again", onBatch(func(p *process, ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
		outcomes := p.data.CreateContacts(ctx, batch)
		if slices.ContainsFunc(outcomes, func(o contacts.ContactOutcome) bool { return o.Result != "" }) {
			return failAll(batch, contacts.ErrBatchFailed)
		}
		return outcomes
	})},
	{"answers though the batch has failed", "batches/answered again in vain", onBatch(func(p *process, ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
		outcomes := p.data.CreateContacts(ctx, batch)
		for i, o := range outcomes {
			if batch.Idempotencies != nil && batch.Idempotencies[i] != nil && errors.Is(o.Err, contacts.ErrBatchFailed) {
				outcomes[i] = contacts.ContactOutcome{Result: batch.Idempotencies[i].Result}
			}
		}
		return outcomes
	})},
	{"keeps the idempotencies of a failed batch", "batches/idempotencies taken back", keepFailedKeys},
	{"does a thousand in one step", "batches/large", onBatch(func(p *process, ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
		outcomes := make([]contacts.ContactOutcome, 0, len(batch.Records))
		for at := 0; at < len(batch.Records); at += 1000 {
			part, end := batch, min(at+1000, len(batch.Records))
			part.Records = batch.Records[at:end]
			if batch.Idempotencies != nil {
				part.Idempotencies = batch.Idempotencies[at:end]
			}
			if some := p.data.CreateContacts(ctx, part); some != nil {
				outcomes = append(outcomes, some...)
			} else {
				outcomes = append(outcomes, make([]contacts.ContactOutcome, end-at)...)
			}
		}
		return outcomes
	})},
	{"takes back one by one", "batches/seen whole", onBatch(func(p *process, ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
		for i, r := range batch.Records {
			outcomes := p.data.CreateContacts(ctx, contacts.ContactBatch{Records: batch.Records[i : i+1]})
			dally()
			if outcomes == nil {
				continue
			}
			for _, done := range batch.Records[:i] {
				purgeAnyway(ctx, p, done)
			}
			failed := failAll(batch, contacts.ErrBatchFailed)
			failed[slices.Index(batch.Records, r)] = outcomes[0]
			return failed
		}
		return nil
	})},
	{"looks before it creates a batch", "batches/one contact in many batches", onBatch(func(p *process, ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
		for i, r := range batch.Records {
			if _, err := p.data.FindContact(ctx, r.Contact.AccountID, r.Contact.ID); err == nil {
				failed := failAll(batch, contacts.ErrBatchFailed)
				failed[i].Err = contacts.ErrExists
				return failed
			}
		}
		dally()
		batch.AllOrNothing = false
		p.data.CreateContacts(ctx, batch)
		return nil
	})},
	{"takes back a contact without its key", "batches/one key in batches that fail", onBatch(func(p *process, ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
		first := batch
		first.AllOrNothing, first.Records, first.Idempotencies = false, batch.Records[:1], batch.Idempotencies[:1]
		if outcomes := p.data.CreateContacts(ctx, first); outcomes == nil {
			dally()
			purgeAnyway(ctx, p, batch.Records[0])
		}
		return []contacts.ContactOutcome{{Err: contacts.ErrBatchFailed}, {Err: contacts.ErrNotFound}}
	})},
	{"loses a batch on reopening", "batches/after reopening", keepToItself},
}

var idempotencyFaults = []fault{
	{"ignores idempotencies", "idempotency/same input", onOnce(func(once contacts.Idempotency) *contacts.Idempotency { return nil })},
	{"answers with the later result", "idempotency/same input", onOutcome(func(once *contacts.Idempotency, o *contacts.ContactOutcome) {
		if o.Result != "" {
			o.Result = once.Result
		}
	})},
	{"stores what it answers again", "idempotency/same input", func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			outcomes := p.data.CreateContacts(ctx, batch)
			for i, o := range outcomes {
				if o.Result != "" {
					p.data.CreateContacts(ctx, contacts.ContactBatch{Records: batch.Records[i : i+1]})
				}
			}
			return outcomes
		}
	}},
	{"compares no inputs", "idempotency/other input", onOnce(func(once contacts.Idempotency) *contacts.Idempotency {
		once.Input = [32]byte{}
		return &once
	})},
	{"compares a part of the input", "idempotency/other input", onOnce(func(once contacts.Idempotency) *contacts.Idempotency {
		clear(once.Input[16:])
		return &once
	})},
	{"compares a part of the key", "idempotency/keys to the bit", onOnce(func(once contacts.Idempotency) *contacts.Idempotency {
		clear(once.Key[16:])
		return &once
	})},
	{"lets them end too late", "idempotency/ended", onNow(-time.Microsecond)},
	{"lets them end too early", "idempotency/ended", onNow(time.Microsecond)},
	{"keeps the end in seconds", "idempotency/ended", onOnce(func(once contacts.Idempotency) *contacts.Idempotency {
		once.EndsAt = once.EndsAt.Truncate(time.Second)
		return &once
	})},
	{"never lets them end", "idempotency/ended", onNow(-1000 * time.Hour)},
	{"has one key for all tenants", "idempotency/scoped by account", func(p *process) {
		var owners sync.Map
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			for i, once := range batch.Idempotencies {
				if owner, _ := owners.LoadOrStore(once.Key, batch.Records[i].Contact.AccountID); owner != batch.Records[i].Contact.AccountID {
					return failAll(batch, contacts.ErrIdempotencyConflict)
				}
			}
			return p.data.CreateContacts(ctx, batch)
		}
	}},
	{"looks at what was there before the batch", "idempotency/within a batch", func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			seen := map[[32]byte]bool{}
			batch.Idempotencies = slices.Clone(batch.Idempotencies)
			for i, once := range batch.Idempotencies {
				if once != nil && seen[once.Key] {
					batch.Idempotencies[i] = nil
				} else if once != nil {
					seen[once.Key] = true
				}
			}
			return p.data.CreateContacts(ctx, batch)
		}
	}},
	{"takes the idempotencies for those of other records", "idempotency/with and without in a batch", func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			all := slices.DeleteFunc(slices.Clone(batch.Idempotencies), func(once *contacts.Idempotency) bool { return once == nil })
			if len(all) > 0 {
				batch.Idempotencies = append(all, make([]*contacts.Idempotency, len(batch.Records)-len(all))...)
			}
			return p.data.CreateContacts(ctx, batch)
		}
	}},
	{"looks at ids before keys", "idempotency/sent again as it was", func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			for _, r := range batch.Records {
				if _, err := p.data.FindContact(ctx, r.Contact.AccountID, r.Contact.ID); err == nil {
					return failAll(batch, contacts.ErrExists)
				}
			}
			return p.data.CreateContacts(ctx, batch)
		}
	}},
	{"looks at teams before keys", "idempotency/sent again as it was", func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			for _, r := range batch.Records {
				if _, err := p.data.FindTeam(ctx, r.Contact.AccountID, r.Contact.TeamID); err != nil && r.Contact.TeamID != 0 {
					return failAll(batch, contacts.ErrNotFound)
				}
			}
			return p.data.CreateContacts(ctx, batch)
		}
	}},
	{"forgets with a change", "idempotency/contact changed meanwhile", func(p *process) {
		forget := forgetfulKeys(p)
		p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
			for _, c := range changes {
				forget(func(r *contacts.ContactRecord) bool { return r.Contact.ID == c.Record.Contact.ID })
			}
			return p.data.UpdateContacts(ctx, changes)
		}
	}},
	{"remembers what has failed", "idempotency/a failure leaves none", keepFailedKeys},
	{"remembers what was cancelled", "idempotency/cancelled leaves none", keepFailedKeys},
	{"trims results", "idempotency/hostile results", onOutcome(func(_ *contacts.Idempotency, o *contacts.ContactOutcome) { o.Result = strings.TrimSpace(o.Result) })},
	{"cuts results", "idempotency/hostile results", onOutcome(func(_ *contacts.Idempotency, o *contacts.ContactOutcome) {
		o.Result = o.Result[:min(4096, len(o.Result))]
	})},
	{"keeps a thousand keys", "idempotency/never forgotten before its end", func(p *process) {
		var mu sync.Mutex
		var order [][32]byte
		old := map[[32]byte]bool{}
		onOnce(func(once contacts.Idempotency) *contacts.Idempotency {
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
	{"looks before it stores a key", "idempotency/one key by many", lookBeforeOnce},
	{"looks before it compares inputs", "idempotency/one key by many inputs", lookBeforeOnce},
	{"locks keys for its own process alone", "idempotency/one key by two processes", func(p *process) {
		lookBeforeOnce(p)
		look := p.createContacts
		var mu sync.Mutex
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			mu.Lock()
			defer mu.Unlock()
			return look(ctx, batch)
		}
	}},
	{"forgets the contact of a result for a while", "idempotency/one key by many", func(p *process) {
		// What is stored together is not seen together.
		var busy sync.Map
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			id := batch.Records[0].Contact.ID
			busy.Store(id, true)
			defer busy.Delete(id)
			outcomes := p.data.CreateContacts(ctx, batch)
			dally()
			return outcomes
		}
		p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
			if _, ok := busy.Load(id); ok {
				return nil, contacts.ErrNotFound
			}
			return p.data.FindContact(ctx, account, id)
		}
	}},
	{"loses idempotencies on reopening", "idempotency/after reopening", keepKeysToItself},
	{"keeps idempotencies from a second process", "idempotency/seen by a second process", keepKeysToItself},
}

// onBatch puts create in the place of CreateContacts for what is all or nothing.
func onBatch(create func(p *process, ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome) func(*process) {
	return func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			if !batch.AllOrNothing {
				return p.data.CreateContacts(ctx, batch)
			}
			return create(p, ctx, batch)
		}
	}
}

// onOnce changes each idempotency that is given.
func onOnce(change func(contacts.Idempotency) *contacts.Idempotency) func(*process) {
	return func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			batch.Idempotencies = slices.Clone(batch.Idempotencies)
			for i, once := range batch.Idempotencies {
				if once != nil {
					batch.Idempotencies[i] = change(*once)
				}
			}
			return p.data.CreateContacts(ctx, batch)
		}
	}
}

// onNow moves the time by which idempotencies are judged.
func onNow(by time.Duration) func(*process) {
	return func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			batch.Now = batch.Now.Add(by)
			return p.data.CreateContacts(ctx, batch)
		}
	}
}

// onOutcome changes the outcome of each record that has an idempotency.
func onOutcome(change func(*contacts.Idempotency, *contacts.ContactOutcome)) func(*process) {
	return func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			outcomes := p.data.CreateContacts(ctx, batch)
			for i, once := range batch.Idempotencies {
				var o contacts.ContactOutcome
				if outcomes != nil {
					o = outcomes[i]
				}
				change(once, &o)
				if outcomes != nil {
					outcomes[i] = o
				}
			}
			return outcomes
		}
	}
}

// keepFailedKeys remembers the keys of what was not stored, and takes a later use
// of one for a conflict.
func keepFailedKeys(p *process) {
	var failed sync.Map
	p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
		for _, once := range batch.Idempotencies {
			if once == nil {
				continue
			}
			if _, ok := failed.Load(once.Key); ok {
				return failAll(batch, contacts.ErrIdempotencyConflict)
			}
		}
		outcomes := p.data.CreateContacts(ctx, batch)
		for i, o := range outcomes {
			if o.Err != nil && batch.Idempotencies != nil && batch.Idempotencies[i] != nil {
				failed.Store(batch.Idempotencies[i].Key, true)
			}
		}
		return outcomes
	}
}

// keepKeysToItself knows only the keys that the process itself has stored.
func keepKeysToItself(p *process) {
	var mine sync.Map
	p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
		without := batch
		without.Idempotencies = nil
		for _, once := range batch.Idempotencies {
			if _, ok := mine.LoadOrStore(once.Key, true); ok {
				return p.data.CreateContacts(ctx, batch)
			}
		}
		if outcomes := p.data.CreateContacts(ctx, batch); outcomes == nil {
			return nil
		}
		return p.data.CreateContacts(ctx, without)
	}
}

// forgetfulKeys returns a function that forgets the keys of some contacts.
func forgetfulKeys(p *process) (forget func(func(*contacts.ContactRecord) bool)) {
	var mu sync.Mutex
	stored := map[[32]byte]*contacts.ContactRecord{}
	forgotten := map[[32]byte]bool{}
	p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
		mu.Lock()
		defer mu.Unlock()
		batch.Idempotencies = slices.Clone(batch.Idempotencies)
		for i, once := range batch.Idempotencies {
			if forgotten[once.Key] {
				batch.Idempotencies[i] = nil
			} else if stored[once.Key] == nil {
				stored[once.Key] = batch.Records[i]
			}
		}
		return p.data.CreateContacts(ctx, batch)
	}
	return func(of func(*contacts.ContactRecord) bool) {
		mu.Lock()
		defer mu.Unlock()
		for key, r := range stored {
			forgotten[key] = forgotten[key] || of(r)
		}
	}
}

// lookBeforeOnce finds out whether a key is taken, and stores it later.
func lookBeforeOnce(p *process) {
	p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
		if len(batch.Records) != 1 || batch.Idempotencies == nil {
			return p.data.CreateContacts(ctx, batch)
		}
		look, nowhere := batch, *batch.Records[0]
		nowhere.Contact.TeamID = -1 // so that the look stores nothing
		look.Records = []*contacts.ContactRecord{&nowhere}
		outcomes := p.data.CreateContacts(ctx, look)
		if !errors.Is(outcomes[0].Err, contacts.ErrNotFound) {
			return outcomes
		}
		dally()
		if outcomes := p.data.CreateContacts(ctx, batch); outcomes == nil {
			return nil
		}
		batch.Idempotencies = nil
		return p.data.CreateContacts(ctx, batch)
	}
}
