package contacts

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
)

// A matching says by which keys a contact is found, and what becomes of it. It is
// that of an upsert, or of a create under a policy.
type matching struct {
	MatchOn        []KeyKind // nil: the kinds that the policy makes unique
	Mode           UpsertMode
	TagsMode       TagsMode
	UpdateOnly     bool
	RestoreDeleted bool

	needs  Permission // what the key must have to learn of the contact; "": nothing more
	leaves bool       // it is returned as it is
}

// probes reports whether it has to be known that no contact matches before one is
// created.
func (how *matching) probes() bool { return how != nil && (how.UpdateOnly || how.RestoreDeleted) }

// A match is a contact on its way, and those that have a key of it.
type match struct {
	*newContact
	on      []MatchKey // by which a contact is found
	claims  []MatchKey // these, and those that must be unique
	holders []Holder   // of the claims

	id      uuid.UUID      // of the one that it matches
	stored  *ContactRecord // that one, as it is
	damaged error          // why that one cannot be read whole
}

// A finding says what an upsert did with the contact that it found.
type finding struct {
	matched []Conflict
	changes []FieldChange
}

// matches reports whether the contact is found by what the holder has.
func (m *match) matches(h Holder) bool { return slices.Contains(m.on, m.claims[h.Key]) }

// decide says what becomes of a contact of which others have a key.
func (p *pass) decide(ctx context.Context, m match) {
	how := p.howOf(m.newContact)
	var found []uuid.UUID
	hidden := false
	for _, h := range m.holders {
		if how != nil && m.matches(h) && !slices.Contains(found, h.ContactID) {
			found = append(found, h.ContactID)
			hidden = hidden || !p.principal.CanAccessTeam(h.TeamID)
		}
	}
	switch {
	case len(found) == 0: // a key that must be unique is another contact's
		m.err = p.conflict(ctx, ErrDuplicate, m, func(Holder) bool { return true })
	case len(found) > 1:
		m.err = p.conflict(ctx, ErrAmbiguous, m, m.matches)
	case hidden, how.needs != "" && !p.principal.Can(how.needs):
		m.err = p.conflict(ctx, ErrDuplicate, m, m.matches)
	default:
		m.id = found[0]
		p.found = append(p.found, m)
		return
	}
	p.refused = append(p.refused, m)
}

// reconsider has contacts done again that were refused before an earlier one has
// changed a contact: that may lose the key. Others may get one when they are restored.
func (p *pass) reconsider() {
	first := make(map[uuid.UUID]*newContact) // that changes a contact
	for _, m := range p.found {
		if n := first[m.id]; !p.howOf(m.newContact).leaves && (n == nil || m.place < n.place) {
			first[m.id] = m.newContact
		}
	}
	slices.SortStableFunc(p.refused, func(a, b match) int { return cmp.Compare(a.place, b.place) })
	for _, m := range p.refused {
		again := p.follows(m.newContact) || p.awaitsMove(m.newContact, m.claims, m.holders)
		for _, h := range m.holders {
			n := first[h.ContactID]
			if n == nil || n.place > m.place {
				continue
			}
			again = true
			if p.repeats[n] && (m.awaits == nil || m.awaits.isDone() || m.awaits.place < n.place) {
				m.awaits = n
			}
		}
		if !again {
			continue
		}
		m.err = nil
		p.repeat(m.newContact, errAgain)
		how := p.howOf(m.newContact)
		for _, h := range m.holders { // which it may change when it is done again
			if first[h.ContactID] == nil && how != nil && !how.leaves && m.matches(h) {
				first[h.ContactID] = m.newContact
			}
		}
	}
}

// awaitsMove reports whether a contact is refused because of an e-mail address that an
// earlier one of the call, which is in a later pass, may take away from its holder. Then
// it waits for that one. No contact loses a key of another kind.
func (p *pass) awaitsMove(n *newContact, claims []MatchKey, holders []Holder) bool {
	if !slices.ContainsFunc(holders, func(h Holder) bool { return claims[h.Key].Kind == KeyEmail }) {
		return false
	}
	var last *newContact // it waits for the others
	for i := range n.place {
		other := &p.created.contacts[i]
		if !p.isLater(other, n) || last != nil && other.wait < last.wait {
			continue
		}
		if how := p.howOf(other); how != nil && how.Mode == UpsertOverwrite && other.record.Contact.Email != "" {
			last = other
		}
	}
	if last != nil {
		n.awaits = last
	}
	return last != nil
}

// conflict returns an error with the code of a sentinel that names those of the
// holders that are wanted.
func (p *pass) conflict(ctx context.Context, sentinel error, m match, wanted func(Holder) bool) error {
	d := duplicate{sentinel: sentinel, contact: &m.record.Contact, claims: m.claims, created: p.created}
	for _, h := range m.holders {
		if wanted(h) {
			d.holders = append(d.holders, h)
		}
	}
	return p.duplicateError(ctx, d)
}

// restore finds the deleted contacts that are to be restored, and returns those that are
// to be created because there is none.
func (p *pass) restore(ctx context.Context) (creates []*newContact) {
	var others []*newContact
	for _, n := range p.absent {
		on := p.keysOf(n)
		var deleted []*ContactRecord
		if p.howOf(n).RestoreDeleted && len(on) > 0 {
			var err error
			if deleted, err = p.deleted(ctx, on); err != nil {
				n.err = p.fault(err)
				continue
			}
		}
		if len(deleted) != 1 {
			others = append(others, n)
			continue
		}
		p.found = append(p.found, match{newContact: n, on: on, id: deleted[0].Contact.ID, stored: deleted[0]})
		if p.restored == nil {
			p.restored = make(map[MatchKey]int)
		}
		for _, k := range deleted[0].MatchKeys() {
			if place, ok := p.restored[k]; !ok || n.place < place {
				p.restored[k] = n.place
			}
		}
	}
	for _, n := range others {
		if p.howOf(n).UpdateOnly && !p.follows(n) {
			n.err = newError(ErrNotFound)
		} else {
			creates = append(creates, n)
		}
	}
	return creates
}

// follows reports whether an earlier contact of the pass restores one that has a key of
// this one, which is to be done after that.
func (p *pass) follows(n *newContact) bool {
	return p.restored != nil && slices.ContainsFunc(p.policy.withForms(n.record.MatchKeys()), func(k MatchKey) bool {
		place, ok := p.restored[k]
		return ok && place < n.place
	})
}

// deleted returns deleted contacts with one of the keys that the principal may see:
// two, if there are more than one.
func (p *pass) deleted(ctx context.Context, on []MatchKey) ([]*ContactRecord, error) {
	list, err := p.store.ListContacts(ctx, ContactQuery{
		AccountID: p.principal.AccountID, AllTeams: p.principal.AllTeams, Teams: slices.Clone(p.principal.TeamIDs),
		MatchKeys: on, Deleted: true, Limit: 2 + p.seen.size(),
	})
	if err == nil && len(list.Damaged) > 0 {
		err = list.Damaged[0]
	}
	return slices.DeleteFunc(list.Records, func(r *ContactRecord) bool { return p.seen.hides(r.Contact.ID) }), err
}

// withTwin returns the outcome of a contact that is stored with the claims, where a store
// cannot know it.
func (p *pass) withTwin(ctx context.Context, claims []MatchKey) (o MutationOutcome, err error) {
	list, err := p.store.ListContacts(ctx, ContactQuery{
		AccountID: p.principal.AccountID, AllTeams: true, MatchKeys: claims, Deleted: true, Limit: 1 + p.seen.size(),
	})
	for _, r := range list.Records { // the newest first
		if c := &r.Contact; !p.seen.hides(c.ID) {
			o.Holders = []Holder{{ContactID: c.ID, TeamID: c.TeamID, Deleted: true}}
			break
		}
	}
	return o, err
}

// change changes the contacts that were found.
func (p *pass) change(ctx context.Context) {
	if len(p.refused) > 0 {
		p.reconsider()
	}
	if len(p.found) == 0 {
		return
	}
	found, err := p.read(ctx)
	now, clockErr := p.clock.read()
	if err = cmp.Or(err, clockErr); err != nil {
		for _, m := range slices.Concat(found, p.past) {
			m.err = newServerError(err)
		}
		p.note(err)
		return
	}
	var steps []merged
	var read []answer
	for _, m := range found {
		next, err := p.merge(ctx, m, now)
		if err != nil || next.after == nil && next.once == nil {
			read = append(read, answer{next, err})
			continue
		}
		next.at = now
		steps = append(steps, next)
	}
	for _, m := range p.past { // now, because the contacts of a pass do not see each other's blocks
		p.matchPast(ctx, m)
	}
	p.answer(ctx, read)
	for len(steps) > 0 {
		n := len(steps)
		if p.seen != nil { // the mutations of a dry run have nothing in common
			n = p.unlike(steps)
		}
		n = min(n, beforeMoves(steps))
		again := len(p.again)
		p.storeChanges(ctx, steps[:n])
		if steps = steps[n:]; len(p.again) == again {
			continue
		}
		steps = slices.DeleteFunc(steps, func(s merged) bool { // what waits for one that is done again
			if s.awaits = p.earlier(s.newContact, s.before.MatchKeys()); s.awaits == nil {
				return false
			}
			p.repeat(s.newContact, errAgain)
			return true
		})
	}
}

// beforeMoves returns how many of the steps, from the first one on, take no address away
// that an earlier one of them gives to a contact. If it is another's, the earlier one must
// not see that a later one has given it away. No contact loses a key of another kind.
func beforeMoves(steps []merged) int {
	got := make(map[string]bool)
	for i, s := range steps {
		if s.after == nil || s.after.Contact.Email == s.before.Contact.Email {
			continue
		}
		if got[MatchEmail(s.before.Contact.Email)] {
			return i
		}
		got[MatchEmail(s.after.Contact.Email)] = true
	}
	return len(steps)
}

// An answer is what becomes of a contact by what was read, without a write.
type answer struct {
	merged
	err error // why it is refused
}

// answer gives answers without a write. No store has judged them. So what was read, and
// the policy by which it was decided, are of one moment only if the settings of the
// account are the same after the read. A plan is judged when it is stored.
func (p *pass) answer(ctx context.Context, answers []answer) {
	if len(answers) == 0 {
		return
	}
	var fault error
	if p.seen == nil {
		fault = p.checkSettings(ctx)
	}
	for _, a := range answers {
		n := a.newContact
		e, refused := errors.AsType[*Error](a.err)
		switch {
		case errors.Is(fault, ErrStale):
			p.repeat(n, fault)
		case fault != nil:
			n.err = p.fault(fault)
		case refused:
			n.err = e
		case a.err != nil:
			n.err = p.fault(a.err)
		default:
			p.done(a.merged)
		}
	}
}

// unlike returns how many of the steps, from the first one on, have no match key in
// common.
func (p *pass) unlike(steps []merged) int {
	taken := make(map[MatchKey]bool)
	for i, s := range steps {
		if s.after == nil {
			continue
		}
		keys := p.policy.withForms(s.after.MatchKeys())
		if slices.ContainsFunc(keys, func(k MatchKey) bool { return taken[k] }) {
			return i
		}
		for _, k := range keys {
			taken[k] = true
		}
	}
	return len(steps)
}

// storeChanges stores changed contacts. The store judges versions before claims,
// so a refusal is about the version that was read.
func (p *pass) storeChanges(ctx context.Context, steps []merged) {
	batch := write{MutationBatch: MutationBatch{Now: steps[0].at, DryRun: p.seen != nil}}
	for _, next := range steps {
		batch.add(next.step, p.seen.storedVersion(next.step))
	}
	outcomes, err := p.claim(ctx, p.policy, batch)
	if err != nil {
		p.note(err)
	}
	for i, next := range steps {
		o := outcomeAt(outcomes, i)
		next.claims = batch.Mutations[i].Claims
		if p.seen != nil && (o.Err == nil && o.Result == "" || errors.Is(o.Err, ErrDuplicate)) {
			o = MutationOutcome{Holders: p.seen.holdersOf(next.claims, o.Holders, next.before.Contact.ID)}
			if len(o.Holders) > 0 {
				o.Err = ErrDuplicate
			}
		}
		switch {
		case err != nil:
			next.err = newServerError(err)
		case o.Err == nil && o.Result == "":
			p.done(next)
		case errors.Is(o.Err, ErrDuplicate) && p.awaitsMove(next.newContact, next.claims, o.Holders):
			p.repeat(next.newContact, errAgain)
		case errors.Is(o.Err, ErrDuplicate) && p.refuses(&next, o.Holders):
			next.err = p.duplicateError(ctx, duplicate{
				sentinel: ErrDuplicate, contact: next.given(), claims: next.claims, holders: o.Holders, created: p.created,
			})
		case o.Err == nil, comesAgain(o.Err):
			p.repeat(next.newContact, o.Err)
		default:
			next.err = p.refusal(o.Err)
		}
	}
}

// comesAgain reports whether a change is to be made again: another writer came
// first.
func comesAgain(err error) bool {
	for _, known := range []error{ErrConflict, ErrDuplicate, ErrStale, ErrNotFound, ErrExists, errAgain} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// read reads the contacts that were found, and returns those matches. Where another
// writer came between, the contact is done again.
func (p *pass) read(ctx context.Context) ([]match, error) {
	slices.SortStableFunc(p.found, func(a, b match) int { return cmp.Compare(a.place, b.place) })
	var found []match
	var keys []MatchKey
	taken := make(map[uuid.UUID]bool)
	for _, m := range p.found {
		switch {
		case isPastID(m.id):
			if m.awaits = p.earlierOf(m); m.awaits != nil {
				p.repeat(m.newContact, errAgain)
			} else {
				p.past = append(p.past, m)
			}
			continue
		case taken[m.id]: // in this pass another one changes it
			p.repeat(m.newContact, errAgain)
			continue
		}
		taken[m.id] = true
		if m.stored == nil {
			m.stored = p.seen.find(m.id)
		}
		if m.stored == nil {
			keys = append(keys, m.on...)
		}
		found = append(found, m)
	}
	var holders holders
	if keys != nil {
		var err error
		if holders, err = p.readHolders(ctx, keys, len(found)); err != nil {
			return found, err
		}
	}
	matches := found[:0]
	for _, m := range found {
		if m.stored == nil {
			m.stored, m.damaged = holders.only(m.on)
		}
		if m.stored == nil || m.stored.Contact.ID != m.id {
			p.repeat(m.newContact, errAgain)
			continue
		}
		if m.awaits = p.earlier(m.newContact, m.stored.MatchKeys()); m.awaits != nil || p.follows(m.newContact) {
			p.repeat(m.newContact, errAgain)
			continue
		}
		matches = append(matches, m)
	}
	return matches, nil
}

// earlier returns a contact that comes before n in the call, is to be done in a later pass
// and has one of the keys; nil: there is none.
func (p *pass) earlier(n *newContact, keys []MatchKey) *newContact {
	for _, k := range keys {
		for _, other := range p.byKey[k] {
			if other.place >= n.place {
				break
			}
			if p.isLater(other, n) {
				return other
			}
		}
	}
	return nil
}

// earlierOf is earlier for a match of a contact of an earlier part, of which only hashes of
// its keys are known.
func (p *pass) earlierOf(m match) *newContact {
	for i := range m.place {
		other := &p.created.contacts[i]
		if !p.isLater(other, m.newContact) {
			continue
		}
		for _, k := range p.policy.withForms(other.record.MatchKeys()) {
			if slices.Contains(p.seen.past.holders(k), m.id) {
				return other
			}
		}
	}
	return nil
}

// isLater reports whether the other contact is to be done in a later pass than n.
func (p *pass) isLater(other, n *newContact) bool {
	return !other.isDone() && (other.wait > n.wait || p.repeats[other])
}

// A merged is what becomes of a stored contact.
type merged struct {
	step
	draft       draft
	result      Result
	blocksAlone bool // calls to a number are blocked, and the contact stays as it is
	finding
}

// refuses reports whether the contact cannot be changed because others have keys
// that it would get. Where they have keys by which it was found, it is looked for
// again.
func (p *pass) refuses(m *merged, holders []Holder) bool {
	found := m.on
	if m.result == ResultRestored { // no live contact had a key of the input
		found = p.policy.withForms(m.record.MatchKeys())
	}
	return !slices.ContainsFunc(holders, func(h Holder) bool { return slices.Contains(found, m.claims[h.Key]) })
}

// given returns the contact whose fields an error names: the input, which has every
// key that is added, or the one that is restored with its own.
func (m *merged) given() *Contact {
	if m.result == ResultRestored {
		return &m.after.Contact
	}
	return &m.record.Contact
}

// merge returns what becomes of the contact that was found.
func (p *pass) merge(ctx context.Context, m match, now time.Time) (next merged, err error) {
	how, was := p.howOf(m.newContact), &m.stored.Contact
	next = merged{step: step{newContact: m.newContact, before: m.stored, on: m.on}, result: ResultExisting}
	next.matched = p.matched(m, p.dryRun)
	if m.damaged != nil {
		return next, m.damaged
	}
	before := draft{m.stored, m.sameForms(m.stored)}
	if known := p.share(m.stored); !known || !how.leaves { // known ones can be read
		if damaged := p.load(&before); damaged != nil {
			return next, damaged
		}
	}
	if how.leaves {
		next.draft = draft{m.stored.clone(), before.forms}
	} else if err := p.mergeInto(ctx, &next, m, &before); err != nil {
		return next, err
	}
	if next.result != ResultExisting && next.result != ResultUnchanged {
		contact := &next.draft.record.Contact
		if !next.blocksAlone {
			contact.Version, contact.UpdatedAt = was.Version+1, timeOfChange(was, now)
		}
		next.after = next.draft.record
	} else if err := p.mark(ctx, &next.draft.record.Contact); err != nil {
		return next, err
	}
	if m.once != nil {
		next.once = m.once.saying(firstResult{ID: was.ID, CreatedAt: was.CreatedAt, Result: next.result})
	}
	return next, nil
}

// mergeInto changes the contact by the rules of an upsert.
func (p *pass) mergeInto(ctx context.Context, next *merged, m match, before *draft) error {
	how, was, input := p.howOf(m.newContact), &m.stored.Contact, m.record
	if was.ExternalID != "" && input.Contact.ExternalID != "" && was.ExternalID != input.Contact.ExternalID {
		return otherExternalID(p.matched(m, p.hides()))
	}
	made := m.draft // the contexts of a batch in JSON stay text
	if damaged := made.load(); damaged != nil {
		return damaged
	}
	var bad problems
	changed := p.rules.merge(merging{made: &made, defaulted: m.defaults, mode: how.Mode, tagsMode: how.TagsMode, bad: &bad}, before)
	if err := bad.err(); err != nil {
		return err
	}
	next.draft = *changed
	changed.record.Contact.DeletedAt = time.Time{}
	old, is := p.shown(before), p.shown(changed)
	differ, err := p.difference(ctx, &old, &is)
	if err != nil {
		return err
	}
	next.changes, next.blocksAlone = differ.changes, differ.blocks && !differ.record
	switch {
	case !was.DeletedAt.IsZero():
		next.result, next.blocksAlone = ResultRestored, false
	case !differ.record && !differ.blocks:
		next.result = ResultUnchanged
		changed.record.Contact.PhoneNumbers = slices.Clone(was.PhoneNumbers)
	default:
		next.result = ResultUpdated
	}
	return nil
}

// matched returns the fields of the input by which the contact was found.
func (p *pass) matched(m match, hide bool) (matched []Conflict) {
	keys := m.stored.MatchKeys()
	for _, k := range m.on {
		if slices.Contains(keys, k) {
			matched = addMatched(matched, p.created.conflict(&m.record.Contact, k, m.stored.Contact.ID, hide))
		}
	}
	return matched
}

// addMatched adds how a field matched the contact that was found. One that has a number
// in two forms is matched by the first alone.
func addMatched(matched []Conflict, one Conflict) []Conflict {
	if slices.ContainsFunc(matched, func(c Conflict) bool { return c.Field == one.Field }) {
		return matched
	}
	return append(matched, one)
}

// hides reports whether an error must not name the contacts of this call, because
// they are not stored.
func (p *pass) hides() bool { return p.created.allOrNothing || p.dryRun }

// matchPast says what becomes of a contact that matches one of an earlier part of the
// stream, of which nothing is kept but its keys.
func (p *pass) matchPast(ctx context.Context, m match) {
	n, how := m.newContact, p.howOf(m.newContact)
	var had, others []MatchKey
	n.found = new(finding)
	for _, h := range m.holders {
		k := m.claims[h.Key]
		if h.ContactID != m.id {
			others = append(others, k)
			continue
		}
		had = append(had, k)
		if m.matches(h) {
			n.found.matched = addMatched(n.found.matched, p.created.conflict(&n.record.Contact, k, m.id, true))
		}
	}
	n.result = ResultExisting
	if !how.leaves {
		n.result = ResultUpdated
		place, past, keys := pastPlace(m.id), p.seen.past, n.record.MatchKeys()
		isOther := func(k MatchKey) bool { return k.Kind == KeyExternalID && !slices.Contains(had, k) }
		if past.named.has(place) && slices.ContainsFunc(keys, isOther) {
			n.err = otherExternalID(n.found.matched)
			return
		}
		if past.mailed.has(place) && how.Mode != UpsertOverwrite {
			keys = slices.DeleteFunc(keys, func(k MatchKey) bool { return k.Kind == KeyEmail })
		}
		gets := p.policy.added(slices.Clone(keys), had, nil)
		isTaken := func(k MatchKey) bool { return slices.Contains(gets, k) && slices.Contains(others, k) }
		if slices.ContainsFunc(others, isTaken) {
			n.err = p.conflict(ctx, ErrDuplicate, m, func(h Holder) bool { return isTaken(m.claims[h.Key]) })
			return
		}
		past.hold(place, keys)
		p.seen.ask(&n.record.Contact, n.record.Contact.CreatedAt)
	}
	once := n.once
	if once != nil {
		once = once.saying(firstResult{ID: m.id, Result: n.result})
	}
	p.seen.add(step{newContact: n, once: once})
	n.draft = draft{}
}

// otherExternalID is the error of an input whose fields match a contact that has another
// external id.
func otherExternalID(matched []Conflict) *Error {
	e := newError(ErrDuplicate)
	e.Conflicts = matched
	e.Message = matched[0].Field + ": the contact that has it has another external id"
	return e
}

// done says that a contact was changed, or left as it is.
func (p *pass) done(next merged) {
	n := next.newContact
	p.share(next.draft.record)
	if p.many { // the forms take much more memory than the texts, and are made again one at a time
		next.draft.forms = freeformForms{}
	}
	n.draft, n.result, n.found = next.draft, next.result, &next.finding
	p.seen.add(next.step)
}

// sharedContexts are the contexts of the contacts that those of a call match. Many of the
// call may match one, and each of them reads it again.
type sharedContexts struct {
	texts map[uuid.UUID]freeformTexts // as they were seen last
	last  draft                       // of which the forms were read last; no caller gets these
}

// share gives the record the texts of its contexts that the call has already, and reports
// whether it has both.
func (c *call) share(r *ContactRecord) (known bool) {
	if !c.many {
		return false
	}
	if c.shared.texts == nil {
		c.shared.texts = make(map[uuid.UUID]freeformTexts)
	}
	texts, known := c.shared.texts[r.Contact.ID]
	if r.CustomContext == texts.custom {
		r.CustomContext = texts.custom
	}
	if r.IndustryContext == texts.industry {
		r.IndustryContext = texts.industry
	}
	now := freeformTexts{r.CustomContext, r.IndustryContext}
	c.shared.texts[r.Contact.ID] = now
	return known && texts == now
}

// load reads the forms of a contact that is matched. It takes those that the call has read
// last, if they are of the same contexts.
func (c *call) load(d *draft) *DamagedError {
	if last := &c.shared.last; last.record != nil && last.record.Contact.ID == d.record.Contact.ID {
		d.forms = last.sameForms(d.record)
	}
	damaged := d.load()
	switch {
	case damaged != nil:
		delete(c.shared.texts, d.record.Contact.ID)
	case c.many:
		c.shared.last = *d
	}
	return damaged
}

// ownForms gives a new contact the forms of its contexts, which no other result has. Those
// of a contact that many match are copied, which is much quicker than to read them again.
func (c *call) ownForms(n *newContact) *DamagedError {
	if !c.many || n.found == nil {
		return n.load()
	}
	damaged := c.load(&n.draft)
	n.forms.custom, _ = cloneValue(n.forms.custom).(map[string]any)
	n.forms.industry, _ = cloneValue(n.forms.industry).(map[string]any)
	return damaged
}
