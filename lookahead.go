package contacts

import (
	"context"

	"github.com/google/uuid"
)

// sampled: one in so many contacts of a pass shows whether most match a contact that is
// there. A pass of fewer looks for none.
const sampled = 32

// lookAhead finds the contacts of a pass that match one which is there, without a
// claim, and returns the others. A read is cheaper than a claim that is refused, which
// takes a turn of the writer. It is in vain for a contact that is new. So the first
// contacts of the pass are looked for, and the rest only if most of those were found.
func (p *pass) lookAhead(ctx context.Context, contacts []*newContact) (others []*newContact) {
	first := len(contacts) / sampled
	if first == 0 || p.seen != nil { // an overlay says more than the store
		return contacts
	}
	others = p.lookFor(ctx, contacts[:first])
	if rest := contacts[first:]; 2*len(others) > first {
		others = append(others, rest...)
	} else {
		others = append(others, p.lookFor(ctx, rest)...)
	}
	return others
}

// lookFor finds the contacts that match one which is there, and returns the others.
// What may be refused for a reason that comes before the match is among those: the
// store judges it in the right order.
func (p *pass) lookFor(ctx context.Context, contacts []*newContact) (others []*newContact) {
	keys := make([][]MatchKey, len(contacts))
	var all []MatchKey
	for i, n := range contacts {
		if n.once == nil { // else it may be a replay
			keys[i] = p.keysOf(n)
			all = append(all, keys[i]...)
		}
	}
	if all == nil {
		return contacts
	}
	holders, err := p.readHolders(ctx, all, len(contacts))
	if err != nil {
		p.failAll(contacts, err)
		return nil
	}
	for i, n := range contacts {
		stored, damaged := holders.only(keys[i])
		if stored == nil || !p.mayChange(n, stored) {
			others = append(others, n)
			continue
		}
		p.found = append(p.found, match{newContact: n, on: keys[i], id: stored.Contact.ID, stored: stored, damaged: damaged})
	}
	return others
}

// mayChange reports whether the principal may change the stored contact, or learn of
// it, and the team of the input is known to exist.
func (p *pass) mayChange(n *newContact, stored *ContactRecord) bool {
	how, team := p.howOf(n), n.record.Contact.TeamID
	return p.principal.CanAccessTeam(stored.Contact.TeamID) &&
		(how.needs == "" || p.principal.Can(how.needs)) &&
		(team == 0 || team == stored.Contact.TeamID)
}

// holders are the contacts that have one of some keys.
type holders struct {
	byKey   map[MatchKey][]*ContactRecord
	damaged map[uuid.UUID]*DamagedError
}

// readHolders reads who has the keys of so many contacts. If many others have them too,
// it returns none.
func (p *pass) readHolders(ctx context.Context, keys []MatchKey, contacts int) (h holders, err error) {
	const more = 11 // enough to see that a single contact has others
	limit := 2*contacts + more
	list, err := p.store.ListContacts(ctx, ContactQuery{AccountID: p.principal.AccountID, AllTeams: true, MatchKeys: keys, Limit: limit})
	if err != nil || len(list.Records) == limit {
		return h, err
	}
	h.byKey = make(map[MatchKey][]*ContactRecord, len(keys))
	for _, r := range list.Records {
		if p.seen.hides(r.Contact.ID) {
			continue
		}
		for _, k := range r.MatchKeys() {
			h.byKey[k] = append(h.byKey[k], r)
		}
	}
	for _, d := range list.Damaged {
		if h.damaged == nil {
			h.damaged = make(map[uuid.UUID]*DamagedError)
		}
		h.damaged[d.ContactID] = d
	}
	return h, nil
}

// only returns the one contact that has any of the keys; nil: there is none, or more.
// Damaged says why it could not be read whole.
func (h *holders) only(keys []MatchKey) (one *ContactRecord, damaged error) {
	for _, k := range keys {
		for _, r := range h.byKey[k] {
			if one != nil && one != r {
				return nil, nil
			}
			one = r
		}
	}
	if one != nil {
		if d := h.damaged[one.Contact.ID]; d != nil {
			return one, d
		}
	}
	return one, nil
}
