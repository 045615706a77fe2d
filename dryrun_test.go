package contacts_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

// A dump is all that a store has of an account.
type dump struct {
	Contacts []*contacts.ContactRecord
	Journal  []contacts.JournalEntry
	Settings []contacts.SettingRecord
}

// contactsOf returns all contacts of an account, deleted ones last.
func contactsOf(t *testing.T, store contacts.Store, account uuid.UUID) (all []*contacts.ContactRecord) {
	t.Helper()
	for _, deleted := range []bool{false, true} {
		list, err := store.ListContacts(t.Context(), contacts.ContactQuery{AccountID: account, AllTeams: true, Deleted: deleted, Limit: 100_000})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, list.Records...)
	}
	return all
}

func dumpOf(t *testing.T, store contacts.Store, account uuid.UUID) dump {
	t.Helper()
	d, err := store.ListDirectory(t.Context(), contacts.DirectoryQuery{Kind: contacts.DirectorySettings, AccountID: account, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return dump{contactsOf(t, store, account), journalOf(t, store, account), d.Settings}
}

// dryLedgerWays is each method of a Service that writes the do-not-call ledger alone.
var dryLedgerWays = map[string]func(ctx context.Context, p *past, in contacts.DoNotCallInput, body string) error{
	"BlockCalls": func(ctx context.Context, p *past, in contacts.DoNotCallInput, _ string) error {
		_, err := p.svc.BlockCalls(ctx, p.key, in)
		return err
	},
	"BlockCallsJSON": func(ctx context.Context, p *past, _ contacts.DoNotCallInput, body string) error {
		_, err := p.svc.BlockCallsJSON(ctx, p.key, strings.NewReader(body))
		return err
	},
	"BlockCallsBatch": func(ctx context.Context, p *past, in contacts.DoNotCallInput, _ string) error {
		_, err := p.svc.BlockCallsBatch(ctx, p.key, contacts.BlockCallsBatchInput{Entries: []contacts.DoNotCallInput{in}})
		return err
	},
	"BlockCallsBatchJSON": func(ctx context.Context, p *past, _ contacts.DoNotCallInput, body string) error {
		_, err := p.svc.BlockCallsBatchJSON(ctx, p.key, strings.NewReader(`{"entries": [`+body+`]}`))
		return err
	},
	"BlockCallsStream": func(ctx context.Context, p *past, in contacts.DoNotCallInput, _ string) (err error) {
		for _, err = range p.svc.BlockCallsStream(ctx, p.key, slices.Values([]contacts.DoNotCallInput{in}), nil) {
		}
		return err
	},
	"GrantCalls": func(ctx context.Context, p *past, in contacts.DoNotCallInput, _ string) error {
		_, err := p.svc.GrantCalls(ctx, p.key, in)
		return err
	},
	"GrantCallsJSON": func(ctx context.Context, p *past, _ contacts.DoNotCallInput, body string) error {
		_, err := p.svc.GrantCallsJSON(ctx, p.key, strings.NewReader(body))
		return err
	},
}

// readMethods are the methods of a Service that write nothing.
var readMethods = []string{
	"Authorize", "CanCall", "CanCallMany", "CanCallManyJSON", "CheckDoNotCall", "Contacts", "DoNotCallEntries", "DoNotCallStatus", "DryRun", "Duplicates",
	"Events", "FindDuplicates", "GetContact", "GetContactAsOf", "History", "IdempotencyRetention", "IsDryRun", "ListContacts", "ListDoNotCall",
}

// A writing is a call of a method that writes, with a contact or a number of its own.
type writing struct {
	method string
	call   func(p *past) error
}

// writings returns a call of each method of a Service that writes.
func (p *past) writings() (all []writing) {
	p.t.Helper()
	for method := range methodsOf(reflect.TypeFor[*contacts.Service]()) {
		switch {
		case ways[method] != nil:
			c, err := p.svc.CreateContact(p.t.Context(), p.key, name("Ada"))
			if err == nil && method == "RestoreContact" {
				err = p.svc.DeleteContact(p.t.Context(), p.key, c.ID, nil)
			}
			if err != nil {
				p.t.Fatal(err)
			}
			all = append(all, writing{method, func(p *past) error { return ways[method](p.t.Context(), p, c.ID) }})
		case dryLedgerWays[method] != nil:
			in := contacts.DoNotCallInput{PhoneNumber: fmt.Sprintf("+1202555%04d", len(all)), Reason: "asked", Reference: "form 12"}
			body := fmt.Sprintf(`{"phone_number": %q, "reason": "asked", "reference": "form 12"}`, in.PhoneNumber)
			all = append(all, writing{method, func(p *past) error { return dryLedgerWays[method](p.t.Context(), p, in, body) }})
		case !slices.Contains(readMethods, method):
			p.t.Errorf("does Service.%s write? Add it to the lists of this test", method)
		}
	}
	return all
}

// newDryPast returns a past with a key that may do everything.
func newDryPast(t *testing.T, store contacts.Store) *past {
	t.Helper()
	p := newPast(t, store)
	var err error
	p.key, _, err = p.admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: p.acme.ID, AllTeams: true, Permissions: append(slices.Clone(all), contacts.PermissionManageDoNotCall)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// dryRun returns the same with a Service that stores nothing.
func (p *past) dryRun() *past {
	dry, w := *p, *p.world
	w.svc = w.svc.DryRun()
	dry.world = &w
	return &dry
}

// TestEveryMethodHasADryRun makes a dry run of each method that writes, and then the
// real call: the first stores nothing, and the second something.
func TestEveryMethodHasADryRun(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		p := newDryPast(t, store)
		dry := p.dryRun()
		if !dry.svc.IsDryRun() || dry.svc.DryRun() != dry.svc || p.svc.IsDryRun() {
			t.Fatal("a dry run of a dry run is itself, and a Service is none")
		}
		for _, w := range p.writings() {
			before := dumpOf(t, store, p.acme.ID)
			if err := w.call(dry); err != nil {
				t.Errorf("%s, dry: %v", w.method, err)
			}
			if diff := cmp.Diff(before, dumpOf(t, store, p.acme.ID)); diff != "" {
				t.Errorf("%s: a dry run has stored something (-before +after):\n%s", w.method, diff)
			}
			if err := w.call(p); err != nil {
				t.Errorf("%s: %v", w.method, err)
			}
			if cmp.Equal(before, dumpOf(t, store, p.acme.ID)) {
				t.Errorf("%s has stored nothing, so its dry run shows nothing", w.method)
			}
		}
	})
}

// TestDryRunWritesNothing: no dry run changes a byte of a file or of its log.
func TestDryRunWritesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func() *sqlite.Store {
		store, err := sqlite.Open(t.Context(), filepath.Join(dir, "contacts.db"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	store := open()
	p := newDryPast(t, store)
	all := p.writings()
	if err := store.Close(); err != nil { // so that nothing is left to be done later
		t.Fatal(err)
	}
	store = open()
	closing(t, store)
	var err error
	if p.svc, err = contacts.New(store, &contacts.Options{Now: func() time.Time { return p.now }}); err != nil {
		t.Fatal(err)
	}
	files := func() map[string]string { return filesIn(t, dir) }
	before := files()
	dry := p.dryRun()
	for _, w := range all {
		if err := w.call(dry); err != nil {
			t.Errorf("%s: %v", w.method, err)
		}
		if diff := cmp.Diff(before, files()); diff != "" {
			t.Fatalf("%s: a dry run has written (-before +after):\n%s", w.method, diff)
		}
	}
	if err := all[0].call(p); err != nil {
		t.Fatal(err)
	}
	if cmp.Equal(before, files()) {
		t.Error("a real call has written nothing, so the test shows nothing")
	}
}

// filesIn returns what the files of a folder hold, but for the locks of readers.
func filesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	held := make(map[string]string)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "-shm") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		held[e.Name()] = fmt.Sprintf("%d bytes, %x", len(b), sha256.Sum256(b))
	}
	return held
}

// TestUnchangedUpsertWritesNothing: upserts that change nothing change no byte of a file
// or of its log.
func TestUnchangedUpsertWritesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "contacts.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, closing(t, store), nil)
	var in contacts.UpsertContactsInput
	for i := range 100 {
		in.Contacts = append(in.Contacts, contacts.UpsertContactInput{CreateContactInput: contacts.CreateContactInput{
			FirstName: "Ada", Email: fmt.Sprintf("%d@example.com", i), Tags: []string{"vip"},
			PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: fmt.Sprintf("+1202555%04d", i)}},
		}})
	}
	for _, want := range []contacts.Result{contacts.ResultCreated, contacts.ResultUnchanged, contacts.ResultUnchanged} {
		in.AllOrNothing = !in.AllOrNothing
		before := filesIn(t, dir)
		results, err := w.svc.UpsertContacts(t.Context(), w.writer, in)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			if r.Err != nil || r.Result != want {
				t.Fatalf("%d: got %s, %v, want %s", i, r.Result, r.Err, want)
			}
		}
		if same := cmp.Equal(before, filesIn(t, dir)); same != (want == contacts.ResultUnchanged) {
			t.Errorf("%s, all or nothing %t: the files are the same: %t", want, in.AllOrNothing, same)
		}
	}
}

// TestDryRunSeesItsBlocks: contacts of one call have the marks of all its blocks, in a
// dry run as really. The blocks are on the number itself, or on another form of it, and
// come before the contact or after it.
func TestDryRunSeesItsBlocks(t *testing.T) {
	t.Parallel()
	const number, form, other = "+5511987654321", "+551187654321", "+15551234567"
	contact := func(name, number string, block bool) contacts.CreateContactInput {
		return contacts.CreateContactInput{
			FirstName: name, Email: name + "@example.com", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number, DoNotCall: block}},
		}
	}
	inputs := []contacts.CreateContactInput{
		contact("ada", number, false), contact("bob", form, false), contact("cy", other, false),
		contact("di", number, true),
		contact("eve", number, false), contact("fay", form, false), contact("gus", number, true), contact("stored", number, false),
	}
	want := fmt.Sprint([]bool{true, true, false, true, true, true, true, true})
	upserts := make([]contacts.UpsertContactInput, len(inputs))
	for i, in := range inputs {
		upserts[i] = contacts.UpsertContactInput{CreateContactInput: in, MatchOn: []contacts.KeyKind{contacts.KeyEmail}}
	}
	type said = []contacts.CreateResult
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		ctx := t.Context()
		for name, call := range map[string]func(svc *contacts.Service, key string) (said, error){
			"batch": func(svc *contacts.Service, key string) (said, error) {
				return svc.CreateContacts(ctx, key, contacts.CreateContactsInput{Contacts: inputs})
			},
			"batch, all or nothing": func(svc *contacts.Service, key string) (said, error) {
				return svc.CreateContacts(ctx, key, contacts.CreateContactsInput{Contacts: inputs, AllOrNothing: true})
			},
			"upserts": func(svc *contacts.Service, key string) (all said, err error) {
				results, err := svc.UpsertContacts(ctx, key, contacts.UpsertContactsInput{Contacts: upserts})
				for _, r := range results {
					all = append(all, contacts.CreateResult(r))
				}
				return all, err
			},
			"upserts, all or nothing": func(svc *contacts.Service, key string) (all said, err error) {
				results, err := svc.UpsertContacts(ctx, key, contacts.UpsertContactsInput{Contacts: upserts, AllOrNothing: true})
				for _, r := range results {
					all = append(all, contacts.CreateResult(r))
				}
				return all, err
			},
		} {
			w := newWorld(t, store, nil)
			w.create(t, contacts.CreateContactInput{FirstName: "stored", Email: "stored@example.com"})
			for _, svc := range []*contacts.Service{w.svc.DryRun(), w.svc} {
				results, err := call(svc, w.writer)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				var got []bool
				for _, r := range results {
					if r.Err != nil {
						t.Fatalf("%s: %v", name, r.Err)
					}
					got = append(got, r.Contact.PhoneNumbers[0].DoNotCall)
				}
				if fmt.Sprint(got) != want {
					t.Errorf("%s, dry run %t: the marks are %v, want %s", name, svc.IsDryRun(), got, want)
				}
			}
		}
	})
}

// TestDryStreamSeesItsBlocks: a part of a stream has the marks of the blocks of the
// parts before it, also where the contact that blocks is one of those.
func TestDryStreamSeesItsBlocks(t *testing.T) {
	t.Parallel()
	const part = 2
	numbers := []string{"+5511987654321", "+15551234567"}
	upsert := func(name, number string, block bool) contacts.UpsertContactInput {
		in := contacts.UpsertContactInput{
			CreateContactInput: contacts.CreateContactInput{FirstName: name, Email: name + "@example.com"}, MatchOn: []contacts.KeyKind{contacts.KeyEmail},
		}
		if number != "" {
			in.PhoneNumbers = []contacts.PhoneNumberInput{{PhoneNumber: number, DoNotCall: block}}
		}
		return in
	}
	stream := []contacts.UpsertContactInput{
		upsert("ada", numbers[0], true), upsert("bob", "", false),
		upsert("bob", numbers[1], true), upsert("cy", "+551187654321", false), // bob is of an earlier part
		upsert("di", numbers[1], false), upsert("eve", "+15557654321", false),
	}
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, &contacts.Options{Limits: contacts.Limits{Batch: part}})
		for _, svc := range []*contacts.Service{w.svc.DryRun(), w.svc} {
			var got []bool
			for r, err := range svc.UpsertContactStream(t.Context(), w.writer, slices.Values(stream)) {
				if err != nil || r.Err != nil {
					t.Fatal(err, r.Err)
				}
				if r.Index > 2 {
					got = append(got, r.Contact.PhoneNumbers[0].DoNotCall)
				}
			}
			if diff := cmp.Diff([]bool{true, true, false}, got); diff != "" {
				t.Errorf("dry run %t: marks (-want +got):\n%s", svc.IsDryRun(), diff)
			}
		}
	})
}

// TestReplayInADryStream: a contact that matches one of an earlier part of the stream is
// sent again in its own part, and in a later one.
func TestReplayInADryStream(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, &contacts.Options{Limits: contacts.Limits{Batch: 2}})
	upsert := func(city, key string) contacts.UpsertContactInput {
		in := contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", City: city, IdempotencyKey: key}
		return contacts.UpsertContactInput{CreateContactInput: in}
	}
	stream := []contacts.UpsertContactInput{
		upsert("", "one"), upsert("", "one"), upsert("Oslo", "two"), upsert("Oslo", "two"), upsert("Oslo", "two"), upsert("Rome", "two"),
	}
	for _, svc := range []*contacts.Service{w.svc.DryRun(), w.svc} {
		var got []string
		for r, err := range svc.UpsertContactStream(t.Context(), w.writer, slices.Values(stream)) {
			if err != nil {
				t.Fatal(err)
			}
			said := string(r.Result) + string(contacts.CodeOf(r.Err))
			if r.Replayed {
				said += " again"
			}
			if r.Contact != nil && svc.IsDryRun() {
				said += " shown"
			}
			got = append(got, said)
		}
		want := []string{"created", "created again", "updated", "updated again", "updated again", "idempotency_conflict"}
		if svc.IsDryRun() { // it has not kept the contact
			want[0] += " shown"
			want[1] += " shown"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("dry run %t (-want +got):\n%s", svc.IsDryRun(), diff)
		}
	}
}

// TestReplayOfAChangedContactInADryStream: a replay whose contact an earlier part of the
// stream changes says what it says in the real stream, and shows no older contact.
func TestReplayOfAChangedContactInADryStream(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, &contacts.Options{Limits: contacts.Limits{Batch: 1}})
	w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"})
	upsert := func(city, key string) contacts.UpsertContactInput {
		in := contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", City: city, IdempotencyKey: key}
		return contacts.UpsertContactInput{CreateContactInput: in, Mode: contacts.UpsertOverwrite}
	}
	if _, err := w.svc.UpsertContact(t.Context(), w.writer, upsert("Paris", "k")); err != nil {
		t.Fatal(err)
	}
	for _, svc := range []*contacts.Service{w.svc.DryRun(), w.svc} {
		i := 0
		for r, err := range svc.UpsertContactStream(t.Context(), w.writer, slices.Values([]contacts.UpsertContactInput{upsert("Rome", ""), upsert("Paris", "k")})) {
			if err != nil || r.Err != nil || r.Result != contacts.ResultUpdated || r.Replayed != (i == 1) {
				t.Errorf("dry run %t, item %d: got %+v, %v", svc.IsDryRun(), i, r, err)
			}
			if i == 1 && (r.Contact == nil) != svc.IsDryRun() || r.Contact != nil && r.Contact.City != "Rome" {
				t.Errorf("dry run %t, item %d shows %+v", svc.IsDryRun(), i, r.Contact)
			}
			i++
		}
	}
}

// TestDryStreamRefusesTakenKeys: a contact of an earlier part of a stream does not get a
// key that another one has, be that stored or of an earlier part.
func TestDryStreamRefusesTakenKeys(t *testing.T) {
	t.Parallel()
	const created, updated, refused = string(contacts.ResultCreated), string(contacts.ResultUpdated), string(contacts.CodeDuplicateContact)
	by := func(kind contacts.KeyKind, mode contacts.UpsertMode, in contacts.CreateContactInput) contacts.UpsertContactInput {
		return upsertOf(in, func(u *contacts.UpsertContactInput) { u.MatchOn, u.Mode = []contacts.KeyKind{kind}, mode })
	}
	email := func(name, externalID, number string) contacts.UpsertContactInput {
		in := contacts.CreateContactInput{FirstName: name, Email: name + "@example.com", ExternalID: externalID}
		if number != "" {
			in.PhoneNumbers = []contacts.PhoneNumberInput{{PhoneNumber: number}}
		}
		return by(contacts.KeyEmail, "", in)
	}
	number := func(number, email string, mode contacts.UpsertMode) contacts.UpsertContactInput {
		return by(contacts.KeyPhoneNumber, mode, contacts.CreateContactInput{
			FirstName: "Eve", Email: email, PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number}},
		})
	}
	const first, second, form, third, fourth = "+15551234567", "+5511987654321", "+551187654321", "+15557654321", "+12025550100"
	parts := [][]struct {
		in   contacts.UpsertContactInput
		want string
	}{
		{{email("ada", "", first), created}, {email("bob", "2", second), created}},
		{{email("ada", "1", ""), refused}, {email("ada", "2", ""), refused}},
		{{email("ada", "", form), refused}, {email("bob", "", form), updated}},
		{{email("bob", "2", second), updated}, {email("ada", "3", third), updated}},
		{{number(first, "stored@example.com", contacts.UpsertFill), updated}, {number(third, "bob@example.com", contacts.UpsertOverwrite), refused}},
		{{email("cy", "3", ""), refused}, {email("cy", "4", ""), created}},
		{{email("bob", "5", ""), refused}, {number(fourth, "", ""), created}}, // bob has another external id
		{{number(third, "dora@example.com", contacts.UpsertFill), updated}, {number(fourth, "stored@example.com", contacts.UpsertFill), refused}},
		{{email("dora", "5", ""), created}, {number(fourth, "eve@example.com", contacts.UpsertFill), updated}},
		{{email("eve", "6", ""), updated}, {email("dora", "5", ""), updated}},
		{{email("eve", "7", ""), refused}, {email("dora", "5", ""), updated}},
	}
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, &contacts.Options{Limits: contacts.Limits{Batch: len(parts[0])}})
		err := w.admin.SetDuplicatePolicy(t.Context(), w.acme.ID, contacts.DuplicatePolicy{
			Action: contacts.DuplicateReject, Keys: []contacts.KeyKind{contacts.KeyEmail, contacts.KeyPhoneNumber}, PhoneForms: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		w.create(t, contacts.CreateContactInput{FirstName: "stored", Email: "stored@example.com", ExternalID: "1"})
		var stream []contacts.UpsertContactInput
		var want []string
		for _, part := range parts {
			for _, one := range part {
				stream, want = append(stream, one.in), append(want, one.want)
			}
		}
		for _, svc := range []*contacts.Service{w.svc.DryRun(), w.svc} {
			var got []string
			for r, err := range svc.UpsertContactStream(t.Context(), w.writer, slices.Values(stream)) {
				if err != nil {
					t.Fatal(err)
				}
				said := string(r.Result) + string(contacts.CodeOf(r.Err))
				if r.Result == contacts.ResultUnchanged { // which a dry run does not tell apart
					said = updated
				}
				got = append(got, said)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("dry run %t (-want +got):\n%s", svc.IsDryRun(), diff)
			}
		}
	})
}

// TestDryStreamKnowsWhatItHasRestored: a deleted contact that an earlier part of a stream
// would have restored, with another address, is not restored by its old one.
func TestDryStreamKnowsWhatItHasRestored(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, &contacts.Options{Limits: contacts.Limits{Batch: 1}})
		gone := w.create(t, contacts.CreateContactInput{FirstName: "Ada", ExternalID: "1", Email: "old@example.com"})
		if err := w.svc.DeleteContact(t.Context(), w.writer, gone.ID, nil); err != nil {
			t.Fatal(err)
		}
		var stream []contacts.UpsertContactInput
		for _, in := range []contacts.CreateContactInput{
			{FirstName: "Ada", ExternalID: "1", Email: "new@example.com"}, {FirstName: "Bob", Email: "old@example.com"},
		} {
			stream = append(stream, contacts.UpsertContactInput{CreateContactInput: in, Mode: contacts.UpsertOverwrite, RestoreDeleted: true})
		}
		for _, svc := range []*contacts.Service{w.svc.DryRun(), w.svc} {
			var got []contacts.Result
			for r, err := range svc.UpsertContactStream(t.Context(), w.writer, slices.Values(stream)) {
				if err != nil || r.Err != nil {
					t.Fatal(err, r.Err)
				}
				got = append(got, r.Result)
			}
			if diff := cmp.Diff([]contacts.Result{contacts.ResultRestored, contacts.ResultCreated}, got); diff != "" {
				t.Errorf("dry run %t (-want +got):\n%s", svc.IsDryRun(), diff)
			}
		}
	})
}

// Two upserts of one contact of an earlier part are done in their order, also if the
// first has to wait.
func TestDryRunKeepsTheOrderOfUpsertsOfOneContact(t *testing.T) {
	t.Parallel()
	phones := []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}}
	var stream []contacts.UpsertContactInput
	for _, in := range []contacts.CreateContactInput{
		{Email: "ada@example.com", PhoneNumbers: phones}, {}, {},
		{PhoneNumbers: phones}, {ExternalID: "1", PhoneNumbers: phones}, {ExternalID: "2", Email: "ada@example.com"},
	} {
		in.FirstName = "Ada"
		stream = append(stream, contacts.UpsertContactInput{CreateContactInput: in})
	}
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, &contacts.Options{Limits: contacts.Limits{Batch: 3}})
		for _, svc := range []*contacts.Service{w.svc.DryRun(), w.svc} {
			var got []string
			for r, err := range svc.UpsertContactStream(t.Context(), w.writer, slices.Values(stream)) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(r.Result)+string(contacts.CodeOf(r.Err)))
			}
			if diff := cmp.Diff([]string{"updated", string(contacts.CodeDuplicateContact)}, got[4:]); diff != "" {
				t.Errorf("dry run %t (-want +got):\n%s", svc.IsDryRun(), diff)
			}
		}
	})
}
