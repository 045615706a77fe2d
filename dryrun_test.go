package contacts_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
	"example.com/contacts/store/sqlite"
)

// TestDryRunIsTheRealRun lives random lives. Each call is made twice, dry and then
// really: the answers must be the same, but for ids that the real call has made, and
// the dry run must have stored nothing.
func TestDryRunIsTheRealRun(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		rounds := 5
		if _, fast := store.(*memory.Store); fast {
			rounds = 40
		}
		if os.Getenv("CONTACTS_FAULTS") != "" { // long or full: .ci/run
			rounds = math.MaxInt
		}
		rapid.Check(t, func(rt *rapid.T) {
			if rounds--; rounds < 0 {
				return
			}
			r := newRehearsal(t, store, rt)
			for range 8 {
				r.act(rt)
			}
		})
	})
}

// A rehearsal is a world in which each call is made dry, and then really.
type rehearsal struct {
	*world
	t      *testing.T
	keys   []string
	shared bool // more than one contact may have a phone number, whatever the policy
}

// partSize is how many contacts a part of a stream has in a rehearsal.
const partSize = 8

func newRehearsal(t *testing.T, store contacts.Store, rt *rapid.T) *rehearsal {
	t.Helper()
	r := &rehearsal{world: newWorld(t, store, &contacts.Options{Limits: contacts.Limits{Batch: partSize}}), t: t}
	r.keys = []string{r.writer, r.writer, r.limitedWriter, r.key}
	external := contacts.DuplicatePolicy{Action: contacts.DuplicateUpsert, Keys: []contacts.KeyKind{contacts.KeyExternalID}}
	p := rapid.SampledFrom([]contacts.DuplicatePolicy{{}, reject, returnExisting, upsertPolicy, external}).Draw(rt, "policy")
	if p.Action != "" {
		r.setPolicy(t, p)
	}
	r.shared = !slices.Contains(p.Keys, contacts.KeyPhoneNumber)
	if err := r.admin.SetEvents(t.Context(), r.acme.ID, contacts.EventSettings{On: rapid.Bool().Draw(rt, "events")}); err != nil {
		t.Fatal(err)
	}
	return r
}

// act makes a random call.
func (r *rehearsal) act(rt *rapid.T) {
	key := rapid.SampledFrom(r.keys).Draw(rt, "key")
	id := uuid.Max // nobody's
	if all := r.contacts(); len(all) > 0 {
		id = rapid.SampledFrom(all).Draw(rt, "contact").Contact.ID
	}
	opts := &contacts.ChangeOptions{Version: rapid.SampledFrom([]int64{0, 0, 0, 1, 2}).Draw(rt, "version")}
	ctx := r.t.Context()
	one := func(c *contacts.Contact, err error) []contacts.CreateResult {
		return []contacts.CreateResult{{Contact: c, Err: err}}
	}
	var do func(svc *contacts.Service) []contacts.CreateResult
	what := rapid.SampledFrom([]string{
		"create", "batch", "batch", "upsert", "upserts", "upserts", "stream", "stream of upserts", "update", "replace", "delete", "restore",
	}).Draw(rt, "call")
	switch what {
	case "create":
		in := dryInput(rt)
		do = func(svc *contacts.Service) []contacts.CreateResult {
			result, err := svc.CreateContactResult(ctx, key, in)
			result.Err = err
			return []contacts.CreateResult{result}
		}
	case "batch":
		in := contacts.CreateContactsInput{Contacts: rapid.SliceOfN(rapid.Custom(dryInput), 0, partSize).Draw(rt, "contacts"), AllOrNothing: rapid.Bool().Draw(rt, "all or nothing")}
		do = func(svc *contacts.Service) []contacts.CreateResult {
			results, err := svc.CreateContacts(ctx, key, in)
			return append(results, contacts.CreateResult{Err: err})
		}
	case "upsert":
		in := dryUpsert(rt)
		do = func(svc *contacts.Service) []contacts.CreateResult {
			result, err := svc.UpsertContact(ctx, key, in)
			if err != nil {
				return one(nil, err)
			}
			return []contacts.CreateResult{contacts.CreateResult(*result)}
		}
	case "upserts":
		in := contacts.UpsertContactsInput{Contacts: rapid.SliceOfN(rapid.Custom(dryUpsert), 0, partSize).Draw(rt, "contacts"), AllOrNothing: rapid.Bool().Draw(rt, "all or nothing")}
		do = func(svc *contacts.Service) (all []contacts.CreateResult) {
			results, err := svc.UpsertContacts(ctx, key, in)
			for _, result := range results {
				all = append(all, contacts.CreateResult(result))
			}
			return append(all, contacts.CreateResult{Err: err})
		}
	case "stream":
		in := rapid.SliceOfN(rapid.Custom(r.streamInput), 0, 3*partSize).Draw(rt, "contacts")
		do = func(svc *contacts.Service) (all []contacts.CreateResult) {
			for result, err := range svc.CreateContactStream(ctx, key, slices.Values(in)) {
				if err != nil {
					result.Err = err
				}
				all = append(all, result)
			}
			return all
		}
	case "stream of upserts":
		in := rapid.SliceOfN(rapid.Custom(r.streamUpsert), 0, 3*partSize).Draw(rt, "contacts")
		do = func(svc *contacts.Service) (all []contacts.CreateResult) {
			for result, err := range svc.UpsertContactStream(ctx, key, slices.Values(in)) {
				if err != nil {
					result.Err = err
				}
				all = append(all, contacts.CreateResult(result))
			}
			return all
		}
	case "update":
		in := lifeUpdate(rt)
		do = func(svc *contacts.Service) []contacts.CreateResult {
			return one(svc.UpdateContact(ctx, key, id, in, opts))
		}
	case "replace":
		in := dryInput(rt)
		in.IdempotencyKey = ""
		do = func(svc *contacts.Service) []contacts.CreateResult {
			return one(svc.ReplaceContact(ctx, key, id, in, opts))
		}
	case "delete":
		do = func(svc *contacts.Service) []contacts.CreateResult {
			return one(nil, svc.DeleteContact(ctx, key, id, opts))
		}
	case "restore":
		do = func(svc *contacts.Service) []contacts.CreateResult {
			return one(svc.RestoreContact(ctx, key, id, opts))
		}
	}
	before := r.dump()
	dry := do(r.svc.DryRun())
	if diff := cmp.Diff(before, r.dump()); diff != "" {
		rt.Fatalf("%s: a dry run has stored something (-before +after):\n%s", what, diff)
	}
	known := make(map[uuid.UUID]bool)
	for _, c := range before.Contacts {
		known[c.Contact.ID] = true
		for _, p := range c.Contact.PhoneNumbers {
			known[p.ID] = true
		}
	}
	stream := what == "stream" || what == "stream of upserts"
	stored := do(r.svc)
	if len(dry) != len(stored) {
		rt.Fatalf("%s: %d results of the dry run, and %d of the real one", what, len(dry), len(stored))
	}
	for i := range stored {
		preview, result := dryAnswer(&dry[i], nil), dryAnswer(&stored[i], known)
		if stream {
			leaveOutParts(&preview, &result)
		}
		if diff := cmp.Diff(preview, result); diff != "" {
			rt.Fatalf("%s, contact %d (-dry +real):\n%s", what, i, diff)
		}
	}
}

// leaveOutParts leaves out what the dry run of a stream does not know of the
// contacts of earlier parts.
func leaveOutParts(dry, stored *drySaid) {
	for _, s := range []*drySaid{dry, stored} {
		for _, conflicts := range [][]contacts.Conflict{s.Matched, s.Error.Conflicts} {
			for i := range conflicts {
				conflicts[i].ContactID, conflicts[i].Index = uuid.Nil, nil
			}
		}
	}
	if dry.Error.Code != "" || dry.Contact != nil {
		return
	}
	stored.Contact, stored.Changes = nil, nil
	if stored.Result == contacts.ResultUnchanged {
		stored.Result = contacts.ResultUpdated
	}
	if dry.Result == contacts.ResultUnchanged { // of a replay
		dry.Result = contacts.ResultUpdated
	}
}

// drySaid is what a call says of one contact.
type drySaid struct {
	contacts.CreateResult
	Error struct {
		Code      contacts.Code
		Message   string
		Details   []contacts.FieldError
		Conflicts []contacts.Conflict
	}
}

// dryAnswer is what a call has said, with zero in place of the ids that are not
// known; nil: all are.
func dryAnswer(r *contacts.CreateResult, known map[uuid.UUID]bool) drySaid {
	said := drySaid{CreateResult: *r}
	shown := func(id uuid.UUID) uuid.UUID {
		if known == nil || known[id] {
			return id
		}
		return uuid.Nil
	}
	withShown := func(conflicts []contacts.Conflict) []contacts.Conflict {
		conflicts = slices.Clone(conflicts)
		for i := range conflicts {
			conflicts[i].ContactID = shown(conflicts[i].ContactID)
		}
		return conflicts
	}
	phones := func(numbers []contacts.PhoneNumber) []contacts.PhoneNumber {
		numbers = slices.Clone(numbers)
		for i := range numbers {
			numbers[i].ID = shown(numbers[i].ID)
		}
		return numbers
	}
	said.Matched, said.Err = withShown(r.Matched), nil
	if r.Contact != nil {
		c := *r.Contact
		c.ID, c.PhoneNumbers = shown(c.ID), phones(c.PhoneNumbers)
		c.DoNotCallSequence = 0 // of an entry that the real call adds
		said.Contact = &c
	}
	said.Changes = slices.Clone(r.Changes)
	for i := range said.Changes {
		c := &said.Changes[i]
		for _, side := range []*any{&c.Before, &c.After} {
			if numbers, ok := (*side).([]contacts.PhoneNumber); ok {
				*side = phones(numbers)
			}
		}
	}
	if e, ok := errors.AsType[*contacts.Error](r.Err); ok {
		said.Error.Code, said.Error.Message, said.Error.Details, said.Error.Conflicts = e.Code, e.Message, e.Details, withShown(e.Conflicts)
	}
	return said
}

// A dump is all that a store has of an account.
type dump struct {
	Contacts []*contacts.ContactRecord
	Journal  []contacts.JournalEntry
	Settings []contacts.SettingRecord
}

func (r *rehearsal) contacts() []*contacts.ContactRecord { return contactsOf(r.t, r.store, r.acme.ID) }

func (r *rehearsal) dump() dump { return dumpOf(r.t, r.store, r.acme.ID) }

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

// dryInput is an input with few keys, so that many contacts have the same. Most are
// right.
func dryInput(t *rapid.T) contacts.CreateContactInput {
	in := contacts.CreateContactInput{
		FirstName:      rapid.SampledFrom([]string{"Ada", "Bob"}).Draw(t, "first name"),
		City:           rapid.SampledFrom([]string{"", "", "Oslo", "Rome"}).Draw(t, "city"),
		Email:          rapid.SampledFrom([]string{"", "a@example.com", "A@example.com", "b@example.com", "c@example.com"}).Draw(t, "e-mail"),
		ExternalID:     rapid.SampledFrom([]string{"", "", "", "1", "2"}).Draw(t, "external id"),
		TeamID:         rapid.SampledFrom([]int64{0, 0, 0, 0, team, team, closedTeam}).Draw(t, "team"),
		Tags:           lifeTags.Draw(t, "tags"),
		CustomContext:  lifeContext(t, "context"),
		IdempotencyKey: rapid.SampledFrom([]string{"", "", "", "", "k", "l"}).Draw(t, "idempotency key"),
	}
	in.PhoneNumbers = dryPhones(t)
	switch rapid.IntRange(0, 29).Draw(t, "wrong") {
	case 1:
		in.Email = "x"
	case 2:
		in.TeamID = absentTeam
	case 3:
		in.FirstName = ""
	}
	return in
}

// dryPhones are phone numbers of which some are to be blocked. Two of them reach one
// line.
func dryPhones(t *rapid.T) (numbers []contacts.PhoneNumberInput) {
	line := rapid.SampledFrom([]string{"+5511987654321", "+551187654321"})
	for range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "phones") {
		numbers = append(numbers, contacts.PhoneNumberInput{
			PhoneNumber: rapid.OneOf(lifePhones, line).Draw(t, "phone"), DoNotCall: rapid.IntRange(0, 5).Draw(t, "do not call") == 1,
		})
	}
	return numbers
}

func dryUpsert(t *rapid.T) contacts.UpsertContactInput {
	in := contacts.UpsertContactInput{
		CreateContactInput: dryInput(t),
		MatchOn: rapid.SampledFrom([][]contacts.KeyKind{
			nil, nil, {contacts.KeyEmail}, {contacts.KeyExternalID}, {contacts.KeyPhoneNumber}, {contacts.KeyPhoneNumber, contacts.KeyEmail},
		}).Draw(t, "match on"),
		Mode:           rapid.SampledFrom([]contacts.UpsertMode{"", contacts.UpsertOverwrite}).Draw(t, "mode"),
		UpdateOnly:     rapid.IntRange(0, 5).Draw(t, "update only") == 1,
		RestoreDeleted: rapid.IntRange(0, 2).Draw(t, "restore deleted") == 1,
	}
	if in.Mode == contacts.UpsertOverwrite && rapid.Bool().Draw(t, "replace tags") {
		in.TagsMode = contacts.TagsReplace
	}
	return in
}

// streamInput is an input with one key that may be unique. What a contact of an earlier
// part has beside the key that it matches by is not known to a dry run.
func (r *rehearsal) streamInput(t *rapid.T) contacts.CreateContactInput {
	in := dryInput(t)
	in.ExternalID, in.TeamID = "", 0
	if !r.shared {
		in.PhoneNumbers = nil
	}
	in.Email = fmt.Sprintf("%d@example.com", rapid.IntRange(0, 2*partSize).Draw(t, "address"))
	return in
}

func (r *rehearsal) streamUpsert(t *rapid.T) contacts.UpsertContactInput {
	in := dryUpsert(t)
	in.CreateContactInput = r.streamInput(t)
	in.MatchOn, in.RestoreDeleted = []contacts.KeyKind{contacts.KeyEmail}, false
	return in
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
	"Events", "FindDuplicates", "GetContact", "GetContactAsOf", "History", "IsDryRun", "ListContacts", "ListDoNotCall",
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
	files := func() map[string]string {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		held := make(map[string]string)
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), "-shm") { // the locks of readers are there
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

// TestPastOverlay: a dry run of a stream that has forgotten some keys says so, and is
// right about what is stored, and about what it has kept.
func TestPastOverlay(t *testing.T) {
	t.Parallel()
	const part, keys, each = 500, 1000, 125
	upsert := func(address, city string) contacts.UpsertContactInput {
		return contacts.UpsertContactInput{
			CreateContactInput: contacts.CreateContactInput{FirstName: "Ada", Email: address + "@example.com", City: city},
			MatchOn:            []contacts.KeyKind{contacts.KeyEmail}, Mode: contacts.UpsertOverwrite,
		}
	}
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, &contacts.Options{Limits: contacts.Limits{Batch: part, DryRunKeys: keys}})
		var in contacts.CreateContactsInput
		for i := range each {
			in.Contacts = append(in.Contacts, upsert(fmt.Sprint("stored.", i), "Bern").CreateContactInput)
		}
		stored, err := w.svc.CreateContacts(t.Context(), w.writer, in)
		if err != nil {
			t.Fatal(err)
		}
		var stream []contacts.UpsertContactInput
		for i := range 3 * part { // the keys of two parts are kept
			stream = append(stream, upsert(fmt.Sprint("new.", i), ""))
		}
		for i := range each {
			stream = append(stream,
				upsert(fmt.Sprint("new.", i), "Oslo"),
				upsert(fmt.Sprint("new.", keys+i), "Oslo"),
				upsert(fmt.Sprint("stored.", i), "Oslo"),
				upsert(fmt.Sprint("stored.", i), "Rome"))
		}
		want := func(i int) contacts.UpsertResult {
			r := contacts.UpsertResult{Index: i, Result: contacts.ResultCreated}
			if i < 3*part {
				return r
			}
			r.PastOverlay = true
			n := (i - 3*part) / 4
			known := contacts.Conflict{Field: "email", ContactID: stored[n].Contact.ID}
			switch (i - 3*part) % 4 {
			case 0:
				r.Result, r.Matched = contacts.ResultUpdated, []contacts.Conflict{{Field: "email", Index: &n}}
			case 2:
				r.Result, r.Matched = contacts.ResultUpdated, []contacts.Conflict{known}
				r.Changes = []contacts.FieldChange{{Field: "city", Before: "Bern", After: "Oslo"}}
			case 3:
				r.Result, r.Matched = contacts.ResultUpdated, []contacts.Conflict{known}
				r.Changes = []contacts.FieldChange{{Field: "city", Before: "Oslo", After: "Rome"}}
			}
			return r
		}
		i := 0
		for r, err := range w.svc.DryRun().UpsertContactStream(t.Context(), w.writer, slices.Values(stream)) {
			if err != nil {
				t.Fatal(err)
			}
			if kept := r.PastOverlay && len(r.Matched) > 0 && r.Matched[0].Index != nil; (r.Contact == nil) != kept {
				t.Fatalf("%d: the contact is %v", i, r.Contact)
			}
			r.Contact = nil
			if diff := cmp.Diff(want(i), r); diff != "" {
				t.Fatalf("%d (-want +got):\n%s", i, diff)
			}
			i++
		}
		if i != len(stream) {
			t.Errorf("%d results, want %d", i, len(stream))
		}
	})
}

// TestDryRunMakesNoSecret: the first block of an account, dry. The answer has the mark,
// and the account has no ledger after it.
func TestDryRunMakesNoSecret(t *testing.T) {
	t.Parallel()
	const number = "+15551234567"
	in := contacts.CreateContactInput{FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number, DoNotCall: true}}}
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		p := newDryPast(t, store)
		dry, ctx := p.dryRun().svc, t.Context()
		before := dumpOf(t, store, p.acme.ID)
		first := func(results []contacts.CreateResult, err error) (*contacts.Contact, error) {
			return results[0].Contact, errors.Join(err, results[0].Err)
		}
		for name, call := range map[string]func() (*contacts.Contact, error){
			"CreateContact": func() (*contacts.Contact, error) { return dry.CreateContact(ctx, p.key, in) },
			"CreateContacts": func() (*contacts.Contact, error) {
				return first(dry.CreateContacts(ctx, p.key, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{in, in}}))
			},
			"CreateContacts, all or nothing": func() (*contacts.Contact, error) {
				return first(dry.CreateContacts(ctx, p.key, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{in, in}, AllOrNothing: true}))
			},
			"UpsertContact": func() (*contacts.Contact, error) {
				r, err := dry.UpsertContact(ctx, p.key, contacts.UpsertContactInput{CreateContactInput: in})
				if err != nil {
					return nil, err
				}
				return r.Contact, nil
			},
		} {
			c, err := call()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if n := c.PhoneNumbers[0]; !n.DoNotCall || n.DoNotCallDate.IsZero() {
				t.Errorf("%s: the number has no mark: %+v", name, n)
			}
		}
		for _, block := range dryLedgerWays {
			if err := block(ctx, p.dryRun(), contacts.DoNotCallInput{PhoneNumber: number, Reason: "asked", Reference: "form 12"},
				`{"phone_number": "`+number+`", "reason": "asked", "reference": "form 12"}`); err != nil {
				t.Error(err)
			}
		}
		after := dumpOf(t, store, p.acme.ID)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("a dry run has stored something (-before +after):\n%s", diff)
		}
		if slices.ContainsFunc(after.Settings, func(s contacts.SettingRecord) bool { return s.Name == "do_not_call" }) {
			t.Error("the account has a ledger")
		}
	})
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
