// Package ledgertest has the tests of the do-not-call ledger that every store runs,
// through a Service. Each makes an account of its own in the store.
package ledgertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/store/internal/erasetest"
)

const number = "+15551234567"

// NothingClears does whatever can be done with contacts, except a grant, in another
// order in each round. A number that was blocked stays blocked, for each reader and
// after each step.
func NothingClears(t *testing.T, store contacts.Store, rounds int) {
	w := &clearing{World: erasetest.New(t, store), t: t, random: rand.New(rand.NewPCG(1, 2))}
	c, err := w.Service.CreateContact(t.Context(), w.Key, contacts.CreateContactInput{
		FirstName: "first", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number, DoNotCall: true}},
	})
	w.keep("the first create", c, err)
	for round := range rounds {
		for _, i := range w.random.Perm(len(clearingSteps)) {
			step := &clearingSteps[i]
			name := fmt.Sprintf("round %d, %s", round, step.name)
			step.do(w, name)
			w.WantListed(t, number)
			for c, err := range w.Service.Contacts(t.Context(), w.Key, contacts.ListContactsInput{}) {
				w.keep("a list after "+name, c, err)
			}
			c, err := w.Service.GetContact(t.Context(), w.Key, w.any())
			w.keep("a get after "+name, c, err)
			if t.Failed() {
				t.FailNow()
			}
		}
	}
}

// A clearing is an account in which something tries to clear a number.
type clearing struct {
	*erasetest.World
	t      *testing.T
	random *rand.Rand
	ids    []uuid.UUID // of every contact that ever was
}

// A clearingStep is something that a caller or the host does.
type clearingStep struct {
	name string
	do   func(w *clearing, name string)
}

var clearingSteps = []clearingStep{
	{"a create", func(w *clearing, name string) {
		c, err := w.Service.CreateContactJSON(w.t.Context(), w.Key, w.body(""))
		w.keep(name, c, err)
	}},
	{"a put", func(w *clearing, name string) {
		c, err := w.Service.ReplaceContactJSON(w.t.Context(), w.Key, w.any(), w.body(""), nil)
		w.keep(name, c, err)
	}},
	{"a patch", func(w *clearing, name string) {
		id := w.any()
		_, there := w.Service.GetContact(w.t.Context(), w.Key, id)
		mark := w.mark()
		c, err := w.Service.UpdateContactJSON(w.t.Context(), w.Key, id, strings.NewReader(person("", mark)), nil)
		if there == nil && strings.Contains(mark, "false") {
			if contacts.CodeOf(err) != contacts.CodeValidationError {
				w.t.Errorf("%s to false: %v", name, err)
			}
			return
		}
		w.keep(name, c, err)
	}},
	{"an upsert", func(w *clearing, name string) {
		mode := []contacts.UpsertMode{contacts.UpsertFill, contacts.UpsertOverwrite}[w.random.IntN(2)]
		u, err := w.Service.UpsertContactJSON(w.t.Context(), w.Key, "", w.body(`"match_on": ["external_id"], "external_id": "x", "mode": "`+string(mode)+`", `))
		if err != nil {
			w.keep(name, nil, err)
			return
		}
		w.keep(name, u.Contact, nil)
	}},
	{"a batch", func(w *clearing, name string) {
		one, two := w.text(""), w.text("")
		results, err := w.Service.CreateContactsJSON(w.t.Context(), w.Key, strings.NewReader(`{"contacts": [`+one+`,`+two+`]}`))
		w.keep(name, nil, err)
		for _, r := range results {
			w.keep(name, r.Contact, r.Err)
		}
	}},
	{"a stream", func(w *clearing, name string) {
		in := contacts.CreateContactInput{FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number, DoNotCall: w.random.IntN(2) == 0}}}
		for r, err := range w.Service.CreateContactStream(w.t.Context(), w.Key, slices.Values([]contacts.CreateContactInput{in})) {
			w.keep(name, r.Contact, errors.Join(r.Err, err))
		}
	}},
	{"an import", func(w *clearing, name string) {
		mark := []string{"yes", "no", ""}[w.random.IntN(3)]
		file := "first_name,external_id,phone_number,do_not_call\nAda,x," + number + "," + mark + "\n"
		opts := &contactsio.ImportOptions{Job: name} // else the same row is the same contact
		if w.random.IntN(2) == 0 {
			opts.Upsert = &contacts.UpsertContactInput{MatchOn: []contacts.KeyKind{contacts.KeyExternalID}}
		}
		r, err := contactsio.NewReader(strings.NewReader(file), nil)
		if err != nil {
			w.t.Fatal(err)
		}
		s, err := contactsio.Import(w.t.Context(), w.Service, w.Key, r, opts)
		if err != nil || s.Rows != 1 || s.Refused != s.Ambiguous+s.Duplicate || s.NotStored != 0 {
			w.t.Errorf("%s: %+v, %v", name, s, err)
		}
	}},
	{"a delete", func(w *clearing, name string) {
		w.keep(name, nil, w.Service.DeleteContact(w.t.Context(), w.Key, w.any(), nil))
	}},
	{"a restore", func(w *clearing, name string) {
		c, err := w.Service.RestoreContact(w.t.Context(), w.Key, w.any(), nil)
		w.keep(name, c, err)
	}},
	{"a purge", func(w *clearing, name string) {
		_, err := w.Admin.PurgeContacts(w.t.Context(), contacts.PurgeInput{AccountID: w.Account.ID})
		w.keep(name, nil, err)
	}},
	{"an erasure", func(w *clearing, name string) {
		in := contacts.EraseInput{AccountID: w.Account.ID, ContactID: w.any(), Suppress: w.random.IntN(2) == 0}
		_, err := w.Admin.EraseContact(w.t.Context(), in)
		w.keep(name, nil, err)
	}},
	{"an erasure of all", func(w *clearing, name string) { // so that no entry has the number
		in := contacts.EraseInput{AccountID: w.Account.ID, Suppress: w.random.IntN(2) == 0}
		_, err := w.Admin.ErasePerson(w.t.Context(), contacts.ErasePersonInput{EraseInput: in, PhoneNumber: number, All: true})
		w.keep(name, nil, err)
	}},
}

// mark returns the member do_not_call in one of its forms, or nothing.
func (w *clearing) mark() string {
	return []string{`, "do_not_call": true`, `, "do_not_call": false`, `, "do_not_call": null`, ``}[w.random.IntN(4)]
}

// text returns a contact with the number in JSON, with more members before it.
func (w *clearing) text(more string) string { return person(more, w.mark()) }

func (w *clearing) body(more string) *strings.Reader { return strings.NewReader(w.text(more)) }

func person(more, mark string) string {
	return `{` + more + `"first_name": "Ada", "email": "ada@example.com", "phone_numbers": [{"phone_number": "` + number + `"` + mark + `}]}`
}

// any returns the id of a contact that is or was there.
func (w *clearing) any() uuid.UUID { return w.ids[w.random.IntN(len(w.ids))] }

// keep checks an answer: its contact has the mark. Most steps may meet a contact
// that is gone, an upsert two that match, and a restore one with the external id.
func (w *clearing) keep(name string, c *contacts.Contact, err error) {
	w.t.Helper()
	switch code := contacts.CodeOf(err); {
	case err != nil && code != contacts.CodeNotFound && code != contacts.CodeAmbiguousMatch && code != contacts.CodeDuplicateContact:
		w.t.Errorf("%s: %v", name, err)
	case c == nil:
	case len(c.PhoneNumbers) != 1 || !c.PhoneNumbers[0].DoNotCall:
		w.t.Errorf("%s shows %+v", name, c.PhoneNumbers)
	case !slices.Contains(w.ids, c.ID):
		w.ids = append(w.ids, c.ID)
	}
}

// BornListed creates contacts with a listed number in every way. Each has the mark,
// its date and its reason, in the answer and when it is read.
func BornListed(t *testing.T, store contacts.Store) {
	w := erasetest.New(t, store)
	ctx, said := t.Context(), time.Now().UTC().Add(-time.Hour).Truncate(time.Microsecond)
	block(t, w.Service, w.Key, contacts.DoNotCallInput{PhoneNumber: number, At: said, Reason: "asked on the phone"})
	in := func(name string) contacts.CreateContactInput {
		return contacts.CreateContactInput{FirstName: name, PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number}}}
	}
	one, err := w.Service.CreateContact(ctx, w.Key, in("one"))
	if err != nil {
		t.Fatal(err)
	}
	many, err := w.Service.CreateContacts(ctx, w.Key, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{in("many")}})
	if err != nil {
		t.Fatal(err)
	}
	upserted, err := w.Service.UpsertContact(ctx, w.Key, contacts.UpsertContactInput{CreateContactInput: in("upserted"), MatchOn: []contacts.KeyKind{contacts.KeyEmail}})
	if err != nil {
		t.Fatal(err)
	}
	born := []*contacts.Contact{one, many[0].Contact, upserted.Contact}
	for r, err := range w.Service.CreateContactStream(ctx, w.Key, slices.Values([]contacts.CreateContactInput{in("streamed")})) {
		if err != nil {
			t.Fatal(err)
		}
		born = append(born, r.Contact)
	}
	r, err := contactsio.NewReader(strings.NewReader("first_name,phone_number,do_not_call\nimported,"+number+",no\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := contactsio.Import(ctx, w.Service, w.Key, r, nil); err != nil || s.Created != 1 || s.KeptDoNotCall != 1 {
		t.Fatal(s, err)
	}
	page, err := w.Service.ListContacts(ctx, w.Key, contacts.ListContactsInput{Search: "imported"})
	if err != nil || len(page.Contacts) != 1 {
		t.Fatal(page, err)
	}
	for _, c := range append(born, page.Contacts[0]) {
		p := c.PhoneNumbers[0]
		if !p.DoNotCall || !p.DoNotCallDate.Equal(said) || p.DoNotCallReason != "asked on the phone" {
			t.Errorf("%s was born with %+v", c.FirstName, p)
		}
		read, err := w.Service.GetContact(ctx, w.Key, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, read); diff != "" {
			t.Errorf("%s (-created +read):\n%s", c.FirstName, diff)
		}
	}
	if status, err := w.Service.DoNotCallStatus(ctx, w.Key, number); err != nil || len(status.Entries) != 1 {
		t.Errorf("the ledger has %+v, %v; want the block alone", status, err)
	}
}

// block blocks a number.
func block(t testing.TB, service *contacts.Service, key string, in contacts.DoNotCallInput) *contacts.DoNotCallStatus {
	t.Helper()
	s, err := service.BlockCalls(t.Context(), key, in)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A faulty store fails, or damages what it is asked about the ledger.
type faulty struct {
	contacts.Store
	key, journal error
	data         string
}

func (s *faulty) FindKey(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
	if s.key != nil {
		return nil, s.key
	}
	return s.Store.FindKey(ctx, hash)
}

func (s *faulty) ListJournal(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
	if s.journal != nil {
		return nil, s.journal
	}
	entries, err := s.Store.ListJournal(ctx, q)
	for i := range entries {
		if s.data != "" {
			entries[i].Data = s.data
		}
	}
	return entries, err
}

// FailClosed asks about a number that nobody has blocked, and about one that is
// blocked, while something is wrong. No answer can be taken for "call".
func FailClosed(t *testing.T, store contacts.Store) {
	w := erasetest.New(t, store)
	const open = "+12025550100"
	block(t, w.Service, w.Key, contacts.DoNotCallInput{PhoneNumber: number})
	if err := w.Service.CanCall(t.Context(), w.Key, open); err != nil {
		t.Fatal(err)
	}
	secret := bytes.Repeat([]byte{1}, 32)
	theirs := erasetest.New(t, store) // an account whose secret a host keeps
	block(t, service(t, store, secret), theirs.Key, contacts.DoNotCallInput{PhoneNumber: number})

	done, cancel := context.WithCancel(t.Context())
	cancel()
	fault := errors.New("the disk is gone")
	for _, test := range []struct {
		name    string
		store   contacts.Store
		ctx     context.Context
		key     string
		numbers []string
	}{
		{"the store does not find keys", &faulty{Store: store, key: fault}, t.Context(), w.Key, []string{number, open}},
		{"the store does not list the journal", &faulty{Store: store, journal: fault}, t.Context(), w.Key, []string{number, open}},
		{"an entry is of another version", &faulty{Store: store, data: `{"v":2}`}, t.Context(), w.Key, []string{number}},
		{"an entry is no JSON", &faulty{Store: store, data: `{`}, t.Context(), w.Key, []string{number}},
		{"an entry has another type", &faulty{Store: store, data: `{"v":1,"type":"x"}`}, t.Context(), w.Key, []string{number}},
		{"a secret is missing", store, t.Context(), theirs.Key, []string{number, open}},
		{"the context is done", store, done, w.Key, []string{number, open}},
	} {
		service := service(t, test.store)
		for _, n := range test.numbers {
			wantNoCall(test.ctx, t, test.name, service, test.key, n)
		}
	}
	if err := w.Service.CanCall(t.Context(), w.Key, "call me"); contacts.CodeOf(err) != contacts.CodeValidationError {
		t.Errorf("no phone number: %v", err)
	}
	many, err := w.Service.CanCallMany(t.Context(), w.Key, []string{"call me", open, number})
	if err != nil || !many[0].DoNotCall || many[0].Err == nil || many[1].DoNotCall || !many[2].DoNotCall {
		t.Errorf("CanCallMany: %+v, %v", many, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{number, open} {
		wantNoCall(t.Context(), t, "the store is closed", w.Service, w.Key, n)
	}
}

// service returns a service with secrets of a host.
func service(t testing.TB, store contacts.Store, secrets ...[]byte) *contacts.Service {
	t.Helper()
	s, err := contacts.New(store, &contacts.Options{DoNotCallSecrets: secrets})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wantNoCall checks that the answers about a number are faults, and no verdicts.
func wantNoCall(ctx context.Context, t testing.TB, name string, s *contacts.Service, key, n string) {
	t.Helper()
	if err := s.CanCall(ctx, key, n); contacts.CodeOf(err) != contacts.CodeServerError {
		t.Errorf("%s: CanCall(%s): %v, want %s", name, n, err, contacts.CodeServerError)
	}
	if many, err := s.CanCallMany(ctx, key, []string{n}); contacts.CodeOf(err) != contacts.CodeServerError || many != nil {
		t.Errorf("%s: CanCallMany(%s): %+v, %v, want %s", name, n, many, err, contacts.CodeServerError)
	}
	if status, err := s.DoNotCallStatus(ctx, key, n); contacts.CodeOf(err) != contacts.CodeServerError || status != nil {
		t.Errorf("%s: DoNotCallStatus(%s): %+v, %v, want %s", name, n, status, err, contacts.CodeServerError)
	}
}

// Forms blocks a number, asks for an equivalent form of it, and the other way round.
// A grant opens the form that it names and no other.
func Forms(t *testing.T, store contacts.Store) {
	ago := func(hours int) time.Time {
		return time.Now().UTC().Add(-time.Duration(hours) * time.Hour).Truncate(time.Microsecond)
	}
	for _, test := range []struct{ blocked, asked, form string }{
		{"+5511987654321", "+551187654321", "br_ninth_digit"},
		{"+551187654322", "+5511987654322", "br_ninth_digit"},
		{"+5491123456789", "+541123456789", "ar_mobile_nine"},
		{"+541123456788", "+5491123456788", "ar_mobile_nine"},
		{"+5215512345678", "+525512345678", "mx_mobile_one"},
		{"+525512345677", "+5215512345677", "mx_mobile_one"},
	} {
		w := erasetest.New(t, store)
		said := ago(3)
		block(t, w.Service, w.Key, contacts.DoNotCallInput{PhoneNumber: test.blocked, At: said})
		err := w.Service.CanCall(t.Context(), w.Key, test.asked)
		e, _ := errors.AsType[*contacts.Error](err)
		if e == nil || e.Code != contacts.CodeDoNotCall || e.DoNotCall == nil || e.DoNotCall.Form != test.form || !e.DoNotCall.Date.Equal(said) {
			t.Errorf("%s is blocked, and %s is asked: %v", test.blocked, test.asked, err)
		}
		many, err := w.Service.CanCallMany(t.Context(), w.Key, []string{test.asked, test.blocked})
		if err != nil || !many[0].DoNotCall || many[0].Form != test.form || !many[1].DoNotCall || many[1].Form != "" {
			t.Errorf("%s is blocked: %+v, %v", test.blocked, many, err)
		}
		for _, open := range []struct {
			number string
			listed bool
		}{{test.asked, true}, {test.blocked, false}} {
			in := contacts.DoNotCallInput{PhoneNumber: open.number, At: ago(1), Reason: "asked to be called", Reference: "form 12"}
			if s, err := w.Service.GrantCalls(t.Context(), w.Key, in); err != nil || s.DoNotCall != open.listed || (s.Form == test.form) != open.listed {
				t.Errorf("%s is blocked, and %s is granted: %+v, %v", test.blocked, open.number, s, err)
			}
		}
	}
	w := erasetest.New(t, store)
	block(t, w.Service, w.Key, contacts.DoNotCallInput{PhoneNumber: "+390612345678"})
	if err := w.Service.CanCall(t.Context(), w.Key, "+39612345678"); err != nil {
		t.Errorf("the zero of Italy counts: %v", err)
	}
}

// RotateSecrets makes entries by the secret of the account, by one of the host and
// by a newer one. All are found as long as each secret is given.
func RotateSecrets(t *testing.T, store contacts.Store) {
	w := erasetest.New(t, store)
	first, second := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 40)
	all := service(t, store, second, first)
	numbers := []string{"+12025550101", "+12025550102", "+12025550103"}
	for i, s := range []*contacts.Service{w.Service, service(t, store, first), all} {
		block(t, s, w.Key, contacts.DoNotCallInput{PhoneNumber: numbers[i]})
	}
	for _, n := range numbers {
		if err := all.CanCall(t.Context(), w.Key, n); contacts.CodeOf(err) != contacts.CodeDoNotCall {
			t.Errorf("CanCall(%s) with every secret: %v", n, err)
		}
	}
	if err := all.CheckDoNotCall(t.Context()); err != nil {
		t.Errorf("CheckDoNotCall with every secret: %v", err)
	}
	for name, lacking := range map[string]*contacts.Service{"the older secret": service(t, store, second), "any secret": w.Service} {
		if err := lacking.CheckDoNotCall(t.Context()); contacts.CodeOf(err) != contacts.CodeServerError {
			t.Errorf("CheckDoNotCall without %s: %v", name, err)
		}
		for _, n := range numbers {
			wantNoCall(t.Context(), t, "without "+name, lacking, w.Key, n)
		}
		if _, err := lacking.BlockCalls(t.Context(), w.Key, contacts.DoNotCallInput{PhoneNumber: numbers[0], Source: "another"}); contacts.CodeOf(err) != contacts.CodeServerError {
			t.Errorf("BlockCalls without %s: %v", name, err)
		}
	}
	if _, err := contacts.New(store, &contacts.Options{DoNotCallSecrets: [][]byte{first[:31]}}); err == nil {
		t.Error("New accepts a secret of 31 bytes")
	}
}
