package contacts

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
)

// settle decides what becomes of contacts that are right so far, and stores it. The
// contacts are in the order of the call, and each sees those before it. Where more
// is to do than to create, they are done in passes: a contact waits for every
// earlier one that has a match key or an idempotency key of it, or a match key of the
// contact that it matches.
func (c *call) settle(ctx context.Context, created *creation, contacts []*newContact) {
	var byKey map[MatchKey][]*newContact // nil: the contacts are not in order
	for stale, try := 0, 1; len(contacts) > 0; {
		policy, err := c.policy(ctx)
		if err != nil {
			c.failAll(contacts, err)
			return
		}
		c.others = nil // the pass before may have stored more
		p := pass{call: c, created: created, policy: policy, how: c.matching(&policy)}
		size := len(contacts)
		if p.how != nil || contacts[0].how != nil || c.seen != nil {
			if byKey == nil {
				byKey = putInOrder(contacts, &policy)
			}
			p.byKey = byKey
			size = firstOnes(contacts)
		}
		p.run(ctx, contacts[:size])
		switch {
		case p.stale != nil && created.allOrNothing:
			created.stale = p.stale
			return
		case len(p.again) == 0:
			stale, try = 0, 1
		case p.stale != nil:
			c.tries++
			c.account, byKey = nil, nil
			if err := c.confirm(ctx); err != nil {
				for _, n := range p.again {
					n.err = err
				}
				p.again = nil
			} else if stale++; stale == maxStale {
				c.failAll(p.again, p.stale)
				p.again = nil
			}
		default:
			c.tries++
			stale = 0
			if slices.ContainsFunc(p.again, (*newContact).isWaiting) {
				byKey = nil
			}
			if try++; len(p.again) < size {
				try = 1
			}
			if try > maxTries {
				c.failAll(p.again, errAgain)
				p.again = nil
			}
		}
		contacts = contacts[size-len(p.again):]
		copy(contacts, p.again)
	}
}

// putInOrder puts contacts that wait for others after those. It returns those that have
// a key, in the order of the call.
func putInOrder(contacts []*newContact, policy *DuplicatePolicy) map[MatchKey][]*newContact {
	slices.SortFunc(contacts, func(a, b *newContact) int { return cmp.Compare(a.place, b.place) })
	byKey := make(map[MatchKey][]*newContact)
	once := make(map[[32]byte]int) // for how many passes others wait
	least := 0                     // the same of all that come after one that may restore a contact, with keys that are not known yet
	for _, n := range contacts {
		keys := policy.withForms(n.record.MatchKeys())
		n.wait = least
		for _, k := range keys {
			if before := byKey[k]; len(before) > 0 {
				n.wait = max(n.wait, before[len(before)-1].wait+1)
			}
		}
		if n.isWaiting() {
			n.wait = max(n.wait, n.awaits.wait+1)
		}
		if n.once != nil {
			n.wait = max(n.wait, once[n.once.Key])
			once[n.once.Key] = n.wait + 1
		}
		for _, k := range keys {
			byKey[k] = append(byKey[k], n)
		}
		if n.how != nil && n.how.RestoreDeleted {
			least = n.wait
		}
	}
	slices.SortStableFunc(contacts, func(a, b *newContact) int { return cmp.Compare(a.wait, b.wait) })
	return byKey
}

// isWaiting reports whether the contact waits for another one that has no key of it.
func (n *newContact) isWaiting() bool { return n.awaits != nil && !n.awaits.isDone() }

// isDone reports whether it is known what becomes of the contact.
func (n *newContact) isDone() bool { return n.result != "" || n.err != nil }

// firstOnes returns how many of the contacts wait for none of the others.
func firstOnes(contacts []*newContact) int {
	n := slices.IndexFunc(contacts, func(n *newContact) bool { return n.wait != contacts[0].wait })
	if n < 0 {
		n = len(contacts)
	}
	return min(n, MaxMutations)
}

// failAll makes one fault the error of all.
func (c *call) failAll(contacts []*newContact, err error) {
	c.note(err)
	for _, n := range contacts {
		n.err = newServerError(err)
	}
}

// errAgain: another writer came between a look and a write.
var errAgain = errors.New("contacts: another change came first")

// A pass makes the steps of contacts of which none waits for another. It creates
// first, with a claim on every key: the refusal names the contacts that match. Then
// it reads those that match, and changes them.
type pass struct {
	*call
	created *creation
	policy  DuplicatePolicy
	how     *matching                  // of a create, by the policy; nil: it changes nothing
	byKey   map[MatchKey][]*newContact // those of the call; nil: none waits for another

	found   []match              // each matches one contact
	past    []match              // each matches one of an earlier part of a stream
	refused []match              // each is refused because of contacts that have its keys
	absent  []*newContact        // each matches no live contact, and is not created yet
	again   []*newContact        // are to be done again
	repeats map[*newContact]bool // those of again
	stale   error                // the settings of the account changed meanwhile

	restored map[MatchKey]int // the keys of deleted contacts that are restored, and the place of the first that restores one
}

func (p *pass) run(ctx context.Context, contacts []*newContact) {
	if p.seen == nil && p.how == nil && contacts[0].how == nil {
		p.create(ctx, contacts, false)
		return
	}
	var creates, probes []*newContact
	for _, n := range p.lookAhead(ctx, contacts) {
		how := p.howOf(n)
		switch {
		case how != nil && how.UpdateOnly && len(p.keysOf(n)) == 0:
			n.err = NewValidationError(FieldError{"match_on", FieldRequired, "must name a key that the contact has, because of update_only"})
		case p.replays(n):
		case how.probes():
			probes = append(probes, n)
		default:
			creates = append(creates, n)
		}
	}
	p.create(ctx, probes, true)
	creates = slices.DeleteFunc(append(creates, p.restore(ctx)...), func(n *newContact) bool {
		follows := p.follows(n)
		if follows {
			p.repeat(n, errAgain)
		}
		return follows
	})
	p.create(ctx, creates, false)
	p.change(ctx)
}

// howOf returns how a contact changes the one that it matches; nil: it does not.
func (p *pass) howOf(n *newContact) *matching {
	if n.how != nil {
		return n.how
	}
	return p.how
}

// keysOf returns the keys by which the contact that it matches is found.
func (p *pass) keysOf(n *newContact) []MatchKey {
	how := p.howOf(n)
	if how == nil {
		return nil
	}
	kinds := how.MatchOn
	if kinds == nil {
		kinds = p.policy.uniqueKinds()
	}
	keys := slices.DeleteFunc(n.record.MatchKeys(), func(k MatchKey) bool { return !slices.Contains(kinds, k.Kind) })
	return p.policy.withForms(keys)
}

// create stores the contacts as new ones, if nobody has their keys. A probe is
// judged alone.
func (p *pass) create(ctx context.Context, contacts []*newContact, probe bool) {
	if len(contacts) == 0 {
		return
	}
	batch := p.creates(contacts, probe)
	outcomes, err := p.claim(ctx, p.policy, batch)
	if err != nil {
		p.failAll(contacts, err)
		return
	}
	for i, n := range contacts {
		o := outcomeAt(outcomes, i)
		switch {
		case o.Err == nil && o.Result != "":
			n.draft.record = n.change[0].Record // with its marks
			p.finish(n, o)
		case errors.Is(o.Err, ErrStale):
			p.repeat(n, o.Err)
		case o.Err == nil || errors.Is(o.Err, ErrDuplicate):
			m := match{newContact: n, claims: batch.Mutations[i].Claims}
			if batch.on != nil {
				m.on = batch.on[i]
			}
			if o, ok := p.concludes(ctx, &m, o, probe); ok {
				p.finish(n, o)
				p.seen.add(step{newContact: n, after: n.record, once: n.once, on: m.on, claims: m.claims, at: batch.Now})
			}
		default:
			p.finish(n, o)
		}
	}
}

// creates returns the write that stores the contacts as new ones.
func (p *pass) creates(contacts []*newContact, probe bool) write {
	batch := write{MutationBatch: MutationBatch{
		Mutations:    p.created.room,
		AllOrNothing: p.created.allOrNothing && p.seen == nil,
		DryRun:       probe || p.seen != nil,
	}}
	if cap(batch.Mutations) < len(contacts) {
		batch.Mutations = make([]Mutation, 0, len(contacts))
	}
	if p.how != nil || contacts[0].how != nil {
		batch.on = make([][]MatchKey, 0, len(contacts))
	}
	for _, n := range contacts {
		record := n.record
		if probe && p.seen == nil { // its marks are not of what is stored later
			record = &ContactRecord{}
			*record = *n.record
			record.Contact.PhoneNumbers = slices.Clone(n.record.Contact.PhoneNumbers)
		}
		n.change[0] = ContactChange{ID: record.Contact.ID, Record: record}
		batch.Mutations = append(batch.Mutations, Mutation{Idempotency: n.once, Contacts: n.change[:]})
		batch.Now = n.record.Contact.CreatedAt
		if batch.on != nil {
			batch.on = append(batch.on, p.keysOf(n))
		}
	}
	return batch
}

// concludes reports whether a contact that was judged by its claims is stored, and its
// outcome. If others have a key of it, it says what becomes of it.
func (p *pass) concludes(ctx context.Context, m *match, o MutationOutcome, probe bool) (_ MutationOutcome, ok bool) {
	if o.Err != nil {
		m.holders = o.Holders
	}
	if p.seen != nil {
		m.holders = p.seen.holdersOf(m.claims, m.holders, uuid.Nil)
	}
	switch {
	case len(m.holders) > 0:
		p.decide(ctx, *m)
		return o, false
	case probe:
		p.absent = append(p.absent, m.newContact)
		return o, false
	case p.seen != nil && (o.Err != nil || len(o.Holders) > 0 && p.seen.hides(o.Holders[0].ContactID)):
		// Who holds the keys would do so no more, or the twin is none any more.
		var err error
		if o, err = p.withTwin(ctx, m.claims); err != nil {
			m.err = p.fault(err)
			return o, false
		}
	}
	return o, true
}

// repeat has the contact done again.
func (p *pass) repeat(n *newContact, why error) {
	if errors.Is(why, ErrStale) {
		p.stale = why
	}
	p.again = append(p.again, n)
	if p.repeats == nil {
		p.repeats = make(map[*newContact]bool)
	}
	p.repeats[n] = true
}
