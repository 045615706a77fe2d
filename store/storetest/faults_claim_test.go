package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"example.com/contacts"
)

// claimFaults break claims.
var claimFaults = []fault{
	{"ignores claims", "claims/held or not", onMutation(func(m *contacts.Mutation) { m.Claims = nil })},
	{"judges the first claim alone", "claims/held or not", onMutation(func(m *contacts.Mutation) { m.Claims = m.Claims[:min(1, len(m.Claims))] })},
	{"takes e-mail addresses as they are stored", "claims/held or not", holding(func(key contacts.MatchKey, r *contacts.ContactRecord) bool {
		if key.Kind == contacts.KeyEmail {
			return key.Value == r.Contact.Email
		}
		return slices.Contains(r.MatchKeys(), key)
	})},
	{"knows no external ids", "claims/held or not", holding(func(key contacts.MatchKey, r *contacts.ContactRecord) bool {
		return key.Kind != contacts.KeyExternalID && slices.Contains(r.MatchKeys(), key)
	})},
	{"claims by the first number alone", "claims/held or not", holding(func(key contacts.MatchKey, r *contacts.ContactRecord) bool {
		return slices.Contains(r.MatchKeys()[:min(2, len(r.MatchKeys()))], key)
	})},
	{"takes claims of one kind for another", "claims/held or not", holding(func(key contacts.MatchKey, r *contacts.ContactRecord) bool {
		return slices.ContainsFunc(r.MatchKeys(), func(own contacts.MatchKey) bool { return own.Value == key.Value })
	})},
	{"folds the domain of claims", "claims/held or not", holding(func(key contacts.MatchKey, r *contacts.ContactRecord) bool {
		return slices.ContainsFunc(r.MatchKeys(), func(own contacts.MatchKey) bool {
			return own.Kind == key.Kind && strings.EqualFold(own.Value, key.Value)
		})
	})},
	{"counts the mutation's own contact as a holder", "claims/held or not", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		for i, key := range m.Claims {
			list, _ := a.data.ListContacts(a.ctx, contacts.ContactQuery{AccountID: m.AccountID, AllTeams: true, MatchKeys: []contacts.MatchKey{key}, Limit: 1})
			if len(list.Records) == 1 {
				return contacts.MutationOutcome{Err: contacts.ErrDuplicate, Holders: []contacts.Holder{{Key: i, ContactID: list.Records[0].Contact.ID}}}, nil
			}
		}
		return a.one(m)
	})},
	{"lets deleted contacts hold claims", "claims/held or not", onOutcome(func(_ contacts.Mutation, o *contacts.MutationOutcome) {
		if o.Holders != nil {
			o.Err = contacts.ErrDuplicate
		}
	})},
	{"keeps what is claimed", "claims/held or not", keepClaims(func(o contacts.MutationOutcome) bool { return o.Err == nil })},
	{"claims all keys of what it stores", "claims/held or not", onMutation(func(m *contacts.Mutation) {
		for _, c := range m.Contacts {
			if c.Record != nil {
				m.Claims = append(m.Claims, c.Record.MatchKeys()...)
			}
		}
	})},
	{"keeps what was claimed in vain", "claims/a refusal leaves no key", keepClaims(func(o contacts.MutationOutcome) bool { return o.Err != nil })},
	{"names the first holder of each claim", "claims/holders", onHolders(func(all []contacts.Holder) []contacts.Holder {
		return slices.CompactFunc(all, func(x, y contacts.Holder) bool { return x.Key == y.Key })
	})},
	{"names the holders of the first claim alone", "claims/holders", onHolders(func(all []contacts.Holder) []contacts.Holder {
		return slices.DeleteFunc(all, func(h contacts.Holder) bool { return h.Key != all[0].Key })
	})},
	{"names ten holders in all", "claims/holders", onHolders(func(all []contacts.Holder) []contacts.Holder { return all[:min(10, len(all))] })},
	{"names the newest holder first", "claims/holders", onHolders(func(all []contacts.Holder) []contacts.Holder {
		slices.SortStableFunc(all, func(x, y contacts.Holder) int {
			if x.Key != y.Key {
				return x.Key - y.Key
			}
			return bytes.Compare(y.ContactID[:], x.ContactID[:])
		})
		return all
	})},
	{"names holders without their team", "claims/holders", onHolders(func(all []contacts.Holder) []contacts.Holder {
		for i := range all {
			all[i].TeamID = 0
		}
		return all
	})},
	{"names a contact once", "claims/holders", onHolders(func(all []contacts.Holder) []contacts.Holder {
		seen := map[uuid.UUID]bool{}
		return slices.DeleteFunc(all, func(h contacts.Holder) bool {
			again := seen[h.ContactID]
			seen[h.ContactID] = true
			return again
		})
	})},
	{"names deleted contacts beside holders", "claims/holders", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		o, err := a.one(m)
		for i, key := range m.Claims {
			list, _ := a.data.ListContacts(a.ctx, contacts.ContactQuery{AccountID: m.AccountID, AllTeams: true, Deleted: true, MatchKeys: []contacts.MatchKey{key}, Limit: 1})
			for _, r := range list.Records {
				if o.Err != nil {
					o.Holders = append(o.Holders, contacts.Holder{Key: i, ContactID: r.Contact.ID, Deleted: true})
				}
			}
		}
		return o, err
	})},
	{"names no twin", "claims/deleted twin", onOutcome(func(_ contacts.Mutation, o *contacts.MutationOutcome) {
		if o.Err == nil {
			o.Holders = nil
		}
	})},
	{"names the twin of the first claim", "claims/deleted twin", onTwin(func(all []*contacts.ContactRecord) *contacts.ContactRecord { return all[0] })},
	{"names the twin that was deleted last", "claims/deleted twin", onTwin(func(all []*contacts.ContactRecord) *contacts.ContactRecord {
		return slices.MaxFunc(all, func(x, y *contacts.ContactRecord) int { return x.Contact.DeletedAt.Compare(y.Contact.DeletedAt) })
	})},
	{"names the oldest twin", "claims/deleted twin", onTwin(func(all []*contacts.ContactRecord) *contacts.ContactRecord {
		return slices.MinFunc(all, func(x, y *contacts.ContactRecord) int { return bytes.Compare(x.Contact.ID[:], y.Contact.ID[:]) })
	})},
	{"does not say that a twin is deleted", "claims/deleted twin", onHolders(func(all []contacts.Holder) []contacts.Holder {
		for i := range all {
			all[i].Deleted = false
		}
		return all
	})},
	{"names itself as a twin", "claims/deleted twin", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		var own []contacts.Holder
		for _, c := range m.Contacts {
			stored, err := a.data.FindContact(a.ctx, m.AccountID, c.ID)
			if err == nil && !stored.Contact.DeletedAt.IsZero() && len(m.Claims) > 0 {
				own = []contacts.Holder{{Key: len(m.Claims) - 1, ContactID: c.ID, TeamID: stored.Contact.TeamID, Deleted: true}}
			}
		}
		o, err := a.one(m)
		if err == nil && o.Err == nil && own != nil {
			o.Holders = own
		}
		return o, err
	})},
	{"names a twin with what is refused", "claims/no holders of what is refused otherwise", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		o, err := a.one(m)
		if errors.Is(o.Err, contacts.ErrStale) {
			m.Settings = 0
			look, _ := a.judge(m)
			o.Holders = look.Holders
		}
		return o, err
	})},
	{"judges the claims of records alone", "claims/without a record", onMutation(func(m *contacts.Mutation) {
		if !slices.ContainsFunc(m.Contacts, func(c contacts.ContactChange) bool { return c.Record != nil }) {
			m.Claims = nil
		}
	})},
	{"compares claims by a prefix", "claims/to the byte", holding(func(key contacts.MatchKey, r *contacts.ContactRecord) bool {
		return slices.ContainsFunc(r.MatchKeys(), func(own contacts.MatchKey) bool {
			return own.Kind == key.Kind && own.Value[:min(9, len(own.Value))] == key.Value[:min(9, len(key.Value))]
		})
	})},
	{"trims external ids that are claimed", "claims/to the byte", holding(func(key contacts.MatchKey, r *contacts.ContactRecord) bool {
		return slices.Contains(r.MatchKeys(), key) ||
			key.Kind == contacts.KeyExternalID && r.Contact.ExternalID != "" && strings.TrimSpace(key.Value) == strings.TrimSpace(r.Contact.ExternalID)
	})},
	{"trims claims", "claims/to the byte", holding(func(key contacts.MatchKey, r *contacts.ContactRecord) bool {
		return slices.ContainsFunc(r.MatchKeys(), func(own contacts.MatchKey) bool {
			return own.Kind == key.Kind && strings.TrimSpace(own.Value) == strings.TrimSpace(key.Value)
		})
	})},
	{"judges a hundred claims", "claims/many claims", onMutation(func(m *contacts.Mutation) { m.Claims = m.Claims[:min(100, len(m.Claims))] })},
	{"looks before it claims", "claims/one key by many", lookFirst},
	{"looks before it claims for all or nothing", "claims/one key by many", func(p *process) {
		next := p.apply
		lookFirst(p)
		looking := p.apply
		p.apply = func(ctx context.Context, batch contacts.MutationBatch) (outcomes, error) {
			if batch.AllOrNothing {
				return looking(ctx, batch)
			}
			return next(ctx, batch)
		}
	}},
	{"locks claims for its own process alone", "claims/one key by two processes", lockItself},
	{"judges claims against what was stored before", "claims/one key of several by many", lookFirst},
	{"knows keys of its own process alone", "claims/seen by a second process", keepKeysOfItself},
	{"loses keys on reopening", "claims/after reopening", keepKeysOfItself},
	{"names a twin with what the journal refuses", "claims/no holders of what is refused otherwise", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		o, err := a.one(m)
		if errors.Is(o.Err, contacts.ErrNotFound) && m.Journal != nil {
			m.Journal = nil
			look, _ := a.judge(m)
			o.Holders = look.Holders
		}
		return o, err
	})},
	{"lets go of a number that is there once more", "claims/one number twice", miscounting(func(before, now int) bool { return now > 0 && before <= now })},
	{"holds on to a number that was there twice", "claims/one number twice", miscounting(func(before, now int) bool { return now > 0 || before > 1 })},
}

// onHolders changes the holders of an outcome.
func onHolders(change func([]contacts.Holder) []contacts.Holder) func(*process) {
	return onOutcome(func(_ contacts.Mutation, o *contacts.MutationOutcome) {
		if o.Holders != nil {
			o.Holders = change(o.Holders)
		}
	})
}

// onTwin names the twin that is picked of all.
func onTwin(pick func([]*contacts.ContactRecord) *contacts.ContactRecord) func(*process) {
	return onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		o, err := a.one(m)
		if err != nil || o.Err != nil || o.Holders == nil {
			return o, err
		}
		keys := map[uuid.UUID]int{}
		var twins []*contacts.ContactRecord
		for i, key := range m.Claims {
			list, _ := a.data.ListContacts(a.ctx, contacts.ContactQuery{AccountID: m.AccountID, AllTeams: true, Deleted: true, MatchKeys: []contacts.MatchKey{key}, Limit: 99})
			for _, r := range list.Records {
				keys[r.Contact.ID] = i
				twins = append(twins, r)
			}
		}
		twin := pick(twins)
		o.Holders = []contacts.Holder{{Key: keys[twin.Contact.ID], ContactID: twin.Contact.ID, TeamID: twin.Contact.TeamID, Deleted: true}}
		return o, nil
	})
}

// holding judges claims by who has them.
func holding(has func(contacts.MatchKey, *contacts.ContactRecord) bool) func(*process) {
	return onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		if len(m.Claims) == 0 {
			return a.one(m)
		}
		var holders []contacts.Holder
		all, _ := a.allContacts(a.ctx, m.AccountID)
		for i, key := range m.Claims {
			for _, r := range all {
				own := slices.ContainsFunc(m.Contacts, func(c contacts.ContactChange) bool { return c.ID == r.Contact.ID })
				if !own && r.Contact.DeletedAt.IsZero() && has(key, r) {
					holders = append(holders, contacts.Holder{Key: i, ContactID: r.Contact.ID, TeamID: r.Contact.TeamID})
				}
			}
		}
		if holders != nil {
			return contacts.MutationOutcome{Err: contacts.ErrDuplicate, Holders: holders}, nil
		}
		m.Claims = nil
		return a.one(m)
	})
}

// miscounting judges claims by how often the contact has a number now, and how
// often it had it before its last change.
func miscounting(has func(before, now int) bool) func(*process) {
	return func(p *process) {
		type place struct {
			contact uuid.UUID
			key     contacts.MatchKey
		}
		var before sync.Map
		count := func(r *contacts.ContactRecord, key contacts.MatchKey) (n int) {
			for _, own := range r.MatchKeys() {
				if own == key {
					n++
				}
			}
			return n
		}
		holding(func(key contacts.MatchKey, r *contacts.ContactRecord) bool {
			n, _ := before.Load(place{r.Contact.ID, key})
			was, _ := n.(int)
			return has(was, count(r, key))
		})(p)
		onRecord(func(_, stored *contacts.ContactRecord) {
			before.Range(func(at, _ any) bool {
				if at.(place).contact == stored.Contact.ID {
					before.Delete(at)
				}
				return true
			})
			for _, key := range stored.MatchKeys() {
				before.Store(place{stored.Contact.ID, key}, count(stored, key))
			}
		})(p)
	}
}

// keepClaims takes the claims of some mutations for held.
func keepClaims(kept func(contacts.MutationOutcome) bool) func(*process) {
	return func(p *process) {
		var claims sync.Map
		onOutcome(func(m contacts.Mutation, o *contacts.MutationOutcome) {
			for _, key := range m.Claims {
				if _, taken := claims.Load(key); taken && o.Err == nil {
					o.Err = contacts.ErrDuplicate
				} else if kept(*o) {
					claims.Store(key, true)
				}
			}
		})(p)
	}
}

// keepKeysOfItself sees only holders that the process itself has stored.
func keepKeysOfItself(p *process) {
	var mine sync.Map
	onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		o, err := a.one(m)
		for _, h := range o.Holders {
			if _, ok := mine.Load(h.ContactID); !ok {
				m.Claims = nil
				o, err = a.one(m)
				break
			}
		}
		for _, c := range m.Contacts {
			if err == nil && o.Err == nil {
				mine.Store(c.ID, true)
			}
		}
		return o, err
	})(p)
}
