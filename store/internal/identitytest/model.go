package identitytest

import (
	"slices"

	"github.com/google/uuid"

	"example.com/contacts"
)

// The keys of a contact are bits: one of the lower 6 for its e-mail address, if it
// has one, and the 4 above for its phone numbers.
type keys uint16

const (
	emails  keys = 1<<6 - 1
	numbers keys = (1<<4 - 1) << 6
	oneLine keys = (1<<2 - 1) << 6 // of the numbers, the two that are forms of each other
)

// A state is what the model knows of an account.
type state struct {
	policy   contacts.DuplicatePolicy
	contacts []contact
}

type contact struct {
	id      uuid.UUID
	keys    keys
	deleted bool
}

func (s state) equal(other state) bool {
	return s.policy.Action == other.policy.Action && s.policy.Mode == other.policy.Mode && s.policy.PhoneForms == other.policy.PhoneForms &&
		slices.Equal(s.policy.Keys, other.policy.Keys) && slices.Equal(s.contacts, other.contacts)
}

// step returns what the call must answer in the state, and the state after it. A
// contact that is created gets the id.
func (s state) step(call call, id uuid.UUID) (answer, state) {
	at := slices.IndexFunc(s.contacts, func(c contact) bool { return c.id == call.id })
	if at < 0 && call.changes() || call.op != opRestore && at >= 0 && s.contacts[at].deleted {
		return answer{code: contacts.CodeNotFound}, s
	}
	switch call.op {
	case opPolicy:
		s.policy = call.policy
		return answer{}, s
	case opCreate, opUpsert:
		return s.create(call, id)
	case opDelete:
		return s.store(at, s.contacts[at].keys, true, "")
	case opUpdate:
		next := s.contacts[at].keys&^call.replaces | call.keys
		return s.store(at, next, false, "")
	default: // opGet, opRestore
		return s.store(at, s.contacts[at].keys, false, "")
	}
}

// create is the step of a create or an upsert.
func (s state) create(call call, id uuid.UUID) (answer, state) {
	on, mode := call.matchOn, call.mode
	if on == 0 {
		on = s.unique()
	}
	if on == 0 { // an upsert without a policy
		on = emails | numbers
	}
	if call.op == opCreate {
		mode = s.policy.Mode
		if s.policy.Action != contacts.DuplicateReturnExisting && s.policy.Action != contacts.DuplicateUpsert {
			on = 0
		}
	}
	switch found := s.holders(s.withForms(call.keys&on), uuid.Nil); {
	case len(found) > 1:
		return answer{code: contacts.CodeAmbiguousMatch, holders: found}, s
	case len(found) == 0:
		s.contacts = append(slices.Clip(s.contacts), contact{id: id, deleted: true})
		a, next := s.store(len(s.contacts)-1, call.keys, false, contacts.ResultCreated)
		if a.code != "" {
			next.contacts = s.contacts[:len(s.contacts)-1]
		}
		return a, next
	default:
		at := slices.IndexFunc(s.contacts, func(c contact) bool { return c.id == found[0] })
		was := s.contacts[at].keys
		if call.op == opCreate && s.policy.Action == contacts.DuplicateReturnExisting {
			return s.store(at, was, false, contacts.ResultExisting)
		}
		merged := was | call.keys&numbers
		if email := call.keys & emails; email != 0 && (mode == contacts.UpsertOverwrite || was&emails == 0) {
			merged = merged&numbers | email
		}
		if merged == was {
			return s.store(at, was, false, contacts.ResultUnchanged)
		}
		return s.store(at, merged, false, contacts.ResultUpdated)
	}
}

// store gives a contact its keys, unless it adds a unique one that another has.
func (s state) store(at int, next keys, deleted bool, result contacts.Result) (answer, state) {
	c := s.contacts[at]
	had := c.keys
	if c.deleted {
		had = 0
	}
	if taken := s.holders(s.withForms(next&^had&s.unique())&^had, c.id); taken != nil && !deleted {
		return answer{code: contacts.CodeDuplicateContact, holders: taken}, s
	}
	s.contacts = slices.Clone(s.contacts)
	s.contacts[at] = contact{c.id, next, deleted}
	return answer{id: c.id, keys: next, result: result}, s
}

// holders returns the live contacts, but for one, that have one of the keys.
func (s state) holders(of keys, but uuid.UUID) (found []uuid.UUID) {
	for _, c := range s.contacts {
		if !c.deleted && c.id != but && c.keys&of != 0 {
			found = append(found, c.id)
		}
	}
	slices.SortFunc(found, compareIDs)
	return found
}

// withForms returns the keys that are the same as one of those under the policy.
func (s state) withForms(of keys) keys {
	if s.policy.PhoneForms && of&oneLine != 0 {
		of |= oneLine
	}
	return of
}

// unique returns the keys that the policy makes unique.
func (s state) unique() (of keys) {
	if s.policy.Action == contacts.DuplicateAllow {
		return 0
	}
	for _, kind := range s.policy.Keys {
		of |= keysOfKind[kind]
	}
	return of
}

var keysOfKind = map[contacts.KeyKind]keys{contacts.KeyEmail: emails, contacts.KeyPhoneNumber: numbers}
