// Package identitytest makes random calls of concurrent callers that depend on
// match keys. It checks that the answers are those of one call after the other.
package identitytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"

	"example.com/contacts"
)

// Both makes e-mail addresses and phone numbers unique.
func Both(action contacts.DuplicateAction) contacts.DuplicatePolicy {
	return contacts.DuplicatePolicy{Action: action, Keys: []contacts.KeyKind{contacts.KeyEmail, contacts.KeyPhoneNumber}}
}

// WithForms returns the policy with equivalent forms of phone numbers.
func WithForms(p contacts.DuplicatePolicy) contacts.DuplicatePolicy {
	p.PhoneForms = true
	return p
}

// Policies are policies of every action.
func Policies() []contacts.DuplicatePolicy {
	overwriting, families := Both(contacts.DuplicateUpsert), Both(contacts.DuplicateReject)
	overwriting.Mode, families.Keys = contacts.UpsertOverwrite, []contacts.KeyKind{contacts.KeyEmail}
	return []contacts.DuplicatePolicy{
		{Action: contacts.DuplicateAllow}, families, Both(contacts.DuplicateReject), Both(contacts.DuplicateReturnExisting), Both(contacts.DuplicateUpsert), overwriting,
		WithForms(contacts.DuplicatePolicy{Action: contacts.DuplicateAllow}), WithForms(Both(contacts.DuplicateReject)), WithForms(overwriting),
	}
}

// An op is what a caller does.
type op string

const (
	opPolicy  op = "set the policy"
	opCreate  op = "create"
	opUpsert  op = "upsert"
	opUpdate  op = "update"
	opDelete  op = "delete"
	opRestore op = "restore"
	opGet     op = "get"
)

// A call is what a caller asks for.
type call struct {
	op       op
	id       uuid.UUID                // of opUpdate, opDelete, opRestore and opGet
	keys     keys                     // of opCreate, opUpsert and opUpdate
	replaces keys                     // of opUpdate
	matchOn  keys                     // of opUpsert; 0: what the policy makes unique
	mode     contacts.UpsertMode      // of opUpsert
	policy   contacts.DuplicatePolicy // of opPolicy
}

// changes reports whether the call is about a contact that is named.
func (c call) changes() bool { return c.id != uuid.Nil }

// An answer is what a caller was told.
type answer struct {
	code    contacts.Code
	holders []uuid.UUID // that the error names, in ascending order
	id      uuid.UUID   // of the contact
	keys    keys
	result  contacts.Result // of opCreate and opUpsert
}

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }

// Run lets concurrent callers make random calls in one account of the stores after
// the other, and checks each history. The stores have the same data. An account
// begins with the first of the policies, and callers set the others.
func Run(t *testing.T, rounds int, policies []contacts.DuplicatePolicy, stores ...contacts.Store) {
	t.Helper()
	for range rounds {
		w := newWorld(t, policies, stores)
		model := porcupine.Model{
			Init:  func() any { return state{policy: policies[0]} },
			Equal: func(a, b any) bool { return a.(state).equal(b.(state)) },
			Step: func(s, in, out any) (bool, any) {
				got := out.(answer)
				want, next := s.(state).step(in.(call), got.id)
				return got.says(want, in.(call).op), next
			},
		}
		if history := w.history(t); !t.Failed() && !porcupine.CheckOperations(model, history) {
			t.Fatalf("no order of these calls explains the answers:\n%s", describe(history))
		}
	}
}

// says reports whether the answer is the one that is wanted.
func (a answer) says(want answer, of op) bool {
	if of == opDelete || of == opPolicy { // which return no contact
		return a.code == want.code
	}
	return a.code == want.code && a.id == want.id && a.keys == want.keys && a.result == want.result && a.names(want.holders)
}

// names reports whether the error names those contacts. Of a key that more have, it
// names 10.
func (a answer) names(want []uuid.UUID) bool {
	const most = 10
	if len(want) <= most {
		return slices.Equal(a.holders, want)
	}
	return len(a.holders) >= most && !slices.ContainsFunc(a.holders, func(id uuid.UUID) bool { return !slices.Contains(want, id) })
}

// A world is an account with callers.
type world struct {
	admin    *contacts.Admin
	services []*contacts.Service
	account  uuid.UUID
	key      string
	policies []contacts.DuplicatePolicy

	mu  sync.Mutex
	ids []uuid.UUID // of the contacts so far
}

func newWorld(t testing.TB, policies []contacts.DuplicatePolicy, stores []contacts.Store) *world {
	t.Helper()
	w := &world{admin: contacts.NewAdmin(stores[0], nil), policies: policies}
	account, err := w.admin.CreateAccount(t.Context(), "Acme")
	if err != nil {
		t.Fatal(err)
	}
	w.account = account.ID
	if err := w.admin.SetDuplicatePolicy(t.Context(), w.account, policies[0]); err != nil {
		t.Fatal(err)
	}
	w.key, _, err = w.admin.IssueKey(t.Context(), contacts.IssueKeyInput{
		AccountID: w.account, AllTeams: true, Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stores {
		service, err := contacts.New(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.services = append(w.services, service)
	}
	return w
}

// history returns what callers did at the same time, and were told. They begin
// together, over and over. The first sets two policies: a call that meets three of
// them gives up.
func (w *world) history(t *testing.T) []porcupine.Operation {
	const callers, times, calls = 6, 6, 2
	began := time.Now()
	all := make([][]porcupine.Operation, callers)
	for n := range times {
		var wait sync.WaitGroup
		for i := range callers {
			wait.Go(func() {
				for range calls {
					c := w.draw()
					if i == 0 && n%3 == 2 {
						c = call{op: opPolicy, policy: w.policies[rand.IntN(len(w.policies))]}
					}
					o := porcupine.Operation{ClientId: i, Input: c, Call: time.Since(began).Nanoseconds()}
					told, err := w.make(t.Context(), w.services[i%len(w.services)], c)
					if told.code == contacts.CodeServerError {
						t.Errorf("%v: %v", c, err)
					}
					o.Output, o.Return = told, time.Since(began).Nanoseconds()
					all[i] = append(all[i], o)
				}
			})
		}
		wait.Wait()
	}
	return slices.Concat(all...)
}

// draw returns a random call.
func (w *world) draw() call {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := call{op: []op{opCreate, opCreate, opUpsert, opUpsert, opUpdate, opUpdate, opDelete, opRestore, opGet}[rand.IntN(9)]}
	if c.op == opCreate || c.op == opUpsert || len(w.ids) == 0 {
		c.keys = randomEmail() | randomNumbers()
		if c.keys == 0 {
			c.keys = 1
		}
		if c.op != opUpsert {
			c.op = opCreate
			return c
		}
		c.matchOn = []keys{0, 0, emails, numbers}[rand.IntN(4)]
		c.mode = []contacts.UpsertMode{contacts.UpsertFill, contacts.UpsertOverwrite}[rand.IntN(2)]
		return c
	}
	c.id = w.ids[rand.IntN(len(w.ids))]
	if c.op == opUpdate && rand.IntN(2) == 0 {
		c.keys, c.replaces = randomEmail(), emails
	} else if c.op == opUpdate {
		c.keys, c.replaces = randomNumbers(), numbers
	}
	return c
}

// randomEmail returns one e-mail address of 6, or none.
func randomEmail() keys { return keys(1) << rand.IntN(7) & emails }

// randomNumbers returns up to two phone numbers of 4.
func randomNumbers() keys {
	return keys(1<<6)<<rand.IntN(5)&numbers&-keys(rand.IntN(2)) | keys(1<<6)<<rand.IntN(5)&numbers
}

// make makes the call and returns what the caller is told.
func (w *world) make(ctx context.Context, s *contacts.Service, c call) (told answer, err error) {
	var found *contacts.Contact
	input := contacts.CreateContactInput{FirstName: "Ada", Email: c.keys.email()}
	for _, n := range c.keys.numbers() {
		input.PhoneNumbers = append(input.PhoneNumbers, contacts.PhoneNumberInput{PhoneNumber: n})
	}
	switch c.op {
	case opPolicy:
		err = w.admin.SetDuplicatePolicy(ctx, w.account, c.policy)
	case opCreate:
		var r contacts.CreateResult
		r, err = s.CreateContactResult(ctx, w.key, input)
		found, told.result = r.Contact, r.Result
	case opUpsert:
		var r *contacts.UpsertResult
		if r, err = s.UpsertContact(ctx, w.key, contacts.UpsertContactInput{CreateContactInput: input, Mode: c.mode, MatchOn: c.matchOn.kinds()}); err == nil {
			found, told.result = r.Contact, r.Result
		}
	case opUpdate:
		found, err = s.UpdateContact(ctx, w.key, c.id, c.update(), nil)
	case opDelete:
		err = s.DeleteContact(ctx, w.key, c.id, nil)
	case opRestore:
		found, err = s.RestoreContact(ctx, w.key, c.id, nil)
	case opGet:
		found, err = s.GetContact(ctx, w.key, c.id)
	}
	if e, ok := errors.AsType[*contacts.Error](err); ok {
		told.code = e.Code
		for _, conflict := range e.Conflicts {
			told.holders = append(told.holders, conflict.ContactID)
		}
		slices.SortFunc(told.holders, compareIDs)
		told.holders = slices.Compact(told.holders)
	}
	if found != nil {
		told.id, told.keys = found.ID, keysOf(found)
	}
	if told.result == contacts.ResultCreated {
		w.mu.Lock()
		w.ids = append(w.ids, told.id)
		w.mu.Unlock()
	}
	return told, err
}

// update returns the input of opUpdate.
func (c call) update() (in contacts.UpdateContactInput) {
	if c.replaces == emails {
		in.Email = new(c.keys.email())
		return in
	}
	phones := []contacts.UpdatePhoneNumber{}
	for _, n := range c.keys.numbers() {
		phones = append(phones, contacts.UpdatePhoneNumber{PhoneNumber: new(n)})
	}
	in.PhoneNumbers = &phones
	return in
}

// email returns the e-mail address among the keys; "": none.
func (k keys) email() string {
	for i := range 6 {
		if k>>i&1 != 0 {
			return fmt.Sprintf("ada.%d@example.com", i)
		}
	}
	return ""
}

// numbers returns the phone numbers among the keys. The first two reach one line.
func (k keys) numbers() (all []string) {
	for i, number := range []string{"+5511987654321", "+551187654321", "+15551234562", "+15551234563"} {
		if k>>(6+i)&1 != 0 {
			all = append(all, number)
		}
	}
	return all
}

// kinds returns the kinds of the keys; nil: there are none.
func (k keys) kinds() (kinds []contacts.KeyKind) {
	for kind, of := range keysOfKind {
		if k&of != 0 {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

func keysOf(c *contacts.Contact) (k keys) {
	for bit := keys(1); bit <= numbers; bit <<= 1 {
		if e := bit.email(); e != "" && e == c.Email {
			k |= bit
		}
		for _, p := range c.PhoneNumbers {
			if slices.Contains(bit.numbers(), p.PhoneNumber) {
				k |= bit
			}
		}
	}
	return k
}

// describe shows a history in the order in which the calls began.
func describe(history []porcupine.Operation) string {
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, o := range history {
		c, a := o.Input.(call), o.Output.(answer)
		fmt.Fprintf(&b, "%d to %d, caller %d: %s %s, keys %010b, in place of %010b, by %010b, %s, %v: %s %s, keys %010b, %s %s\n",
			o.Call, o.Return, o.ClientId, c.op, c.id, c.keys, c.replaces, c.matchOn, c.mode, c.policy, a.result, a.id, a.keys, a.code, a.holders)
	}
	return b.String()
}
