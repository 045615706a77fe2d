package contacts_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
)

// The policies of these tests.
var (
	returnExisting = contacts.DuplicatePolicy{Action: contacts.DuplicateReturnExisting}
	upsertPolicy   = contacts.DuplicatePolicy{Action: contacts.DuplicateUpsert}
)

// TestAllOrNothingUpserts: one ambiguous upsert refuses the whole batch.
func TestAllOrNothingUpserts(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		stored := w.create(t, ada())
		got, err := w.svc.UpsertContacts(t.Context(), w.writer, contacts.UpsertContactsInput{AllOrNothing: true, Contacts: []contacts.UpsertContactInput{
			{CreateContactInput: contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", City: "Paris"}},
			{CreateContactInput: contacts.CreateContactInput{FirstName: "Bob", Email: "bob@example.com"}},
			{CreateContactInput: contacts.CreateContactInput{FirstName: "Cy", ExternalID: "A-1", Email: "BOB@example.com"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		one := 1
		wantError(t, got[0].Err, contacts.CodeBatchFailed)
		wantError(t, got[1].Err, contacts.CodeBatchFailed)
		wantError(t, got[2].Err, contacts.CodeAmbiguousMatch)
		want := []contacts.Conflict{{Field: "external_id", ContactID: stored.ID}, {Field: "email", Index: &one}}
		if diff := cmp.Diff(want, got[2].Err.(*contacts.Error).Conflicts); diff != "" {
			t.Errorf("conflicts (-want +got):\n%s", diff)
		}
		read, err := w.svc.GetContact(t.Context(), w.writer, stored.ID)
		if diff := cmp.Diff(stored, read); diff != "" || err != nil {
			t.Errorf("the stored contact (-before +after):\n%s%v", diff, err)
		}
	})
}

// TestPolicyChangesCreates: what a create under a policy does, what its key must be
// allowed, and what a replay says.
func TestPolicyChangesCreates(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, &contacts.Options{Permissions: []contacts.Permission{"can_create"}, CreatePermission: "can_create"})
		admin := contacts.NewAdmin(store, &contacts.AdminOptions{Permissions: []contacts.Permission{"can_create"}})
		issue := func(p ...contacts.Permission) string {
			key, _, err := admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: w.acme.ID, Permissions: append(p, "can_create"), AllTeams: true})
			if err != nil {
				t.Fatal(err)
			}
			return key
		}
		creator, reader, writer := issue(), issue(contacts.PermissionReadContacts), issue(contacts.PermissionWriteContacts)
		create := func(key, city, once string) contacts.CreateResult {
			r, _ := w.svc.CreateContactResult(t.Context(), key, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", City: city, IdempotencyKey: once})
			return r
		}
		stored := create(creator, "", "one")
		for _, c := range []struct {
			policy contacts.DuplicatePolicy
			allows string
			want   contacts.Result
			city   string
		}{
			{returnExisting, reader, contacts.ResultExisting, ""},
			{upsertPolicy, writer, contacts.ResultUpdated, "Paris"},
			{upsertPolicy, writer, contacts.ResultUnchanged, "Paris"},
			{contacts.DuplicatePolicy{Action: contacts.DuplicateUpsert, Mode: contacts.UpsertOverwrite}, writer, contacts.ResultUpdated, "London"},
		} {
			w.setPolicy(t, c.policy)
			city := "Paris"
			if c.policy.Mode != "" {
				city = "London"
			}
			answered := false
			for _, key := range []string{creator, reader, writer, creator} {
				once := string(c.want) + string(c.policy.Mode)
				r := create(key, city, once)
				if key != c.allows {
					if answered { // a replay shows no more than the call itself
						wantError(t, r.Err, contacts.CodeIdempotencyConflict)
					} else {
						wantConflicts(t, r.Err, contacts.Conflict{Field: "email", ContactID: stored.Contact.ID})
					}
					continue
				}
				answered = true
				if r.Err != nil || r.Result != c.want || r.Contact.ID != stored.Contact.ID || r.Contact.City != c.city {
					t.Fatalf("%s: got %+v, want %s", c.policy.Action, r, c.want)
				}
				again := create(key, city, once)
				if diff := cmp.Diff(r.Contact, again.Contact); diff != "" || again.Result != c.want || !again.Replayed {
					t.Errorf("%s: replay: %+v\n%s", c.policy.Action, again, diff)
				}
			}
		}
		if again := create(creator, "", "one"); again.Result != contacts.ResultCreated || !again.Replayed || again.Contact.City != "" {
			t.Errorf("the first create again: got %+v", again)
		}
	})
}

// TestPolicyNeedsOneHolder: a create under a policy whose keys belong to two contacts,
// or to one that the key may not see.
func TestPolicyNeedsOneHolder(t *testing.T) {
	t.Parallel()
	for _, policy := range []contacts.DuplicatePolicy{returnExisting, upsertPolicy} {
		w := memoryWorld(t, nil)
		w.setPolicy(t, policy)
		a := w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"})
		b := w.create(t, contacts.CreateContactInput{FirstName: "Bob", ExternalID: "B-1", TeamID: closedTeam})
		in := contacts.CreateContactInput{FirstName: "Cy", Email: a.Email, ExternalID: b.ExternalID}
		_, err := w.svc.CreateContact(t.Context(), w.writer, in)
		wantError(t, err, contacts.CodeAmbiguousMatch)
		want := []contacts.Conflict{{Field: "external_id", ContactID: b.ID}, {Field: "email", ContactID: a.ID}}
		if diff := cmp.Diff(want, err.(*contacts.Error).Conflicts); diff != "" {
			t.Errorf("conflicts (-want +got):\n%s", diff)
		}
		in.Email = ""
		_, err = w.svc.CreateContact(t.Context(), w.limitedWriter, in)
		wantConflicts(t, err, contacts.Conflict{Field: "external_id", Hidden: true})
	}
}

func TestUpsertStreamCountsFromItsStart(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	source := func(yield func(contacts.UpsertContactInput) bool) {
		for i := range 2100 {
			in := contacts.CreateContactInput{FirstName: "Ada", Email: fmt.Sprintf("%d@example.com", i%2050)}
			if i >= 2050 {
				in.Email = "2040@example.com"
			}
			if !yield(contacts.UpsertContactInput{CreateContactInput: in}) {
				return
			}
		}
	}
	n := 0
	for r, err := range w.svc.UpsertContactStream(t.Context(), w.writer, source) {
		if err != nil || r.Err != nil {
			t.Fatal(err, r.Err)
		}
		place := 2040
		matched := []contacts.Conflict{{Field: "email", Index: &place}}
		want := contacts.ResultCreated
		if n >= 2050 {
			want = contacts.ResultUnchanged
			matched[0].ContactID = r.Contact.ID
		} else {
			matched = nil
		}
		if diff := cmp.Diff(matched, r.Matched); diff != "" || r.Index != n || r.Result != want {
			t.Fatalf("%d: got %+v\n%s", n, r, diff)
		}
		n++
	}
	if n != 2100 {
		t.Errorf("got %d results", n)
	}
}

// TestRestoreOfTakenKeys: a contact that an upsert would restore has a number that is
// another's by now.
func TestRestoreOfTakenKeys(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	w.setPolicy(t, reject)
	first := w.create(t, ada())
	if err := w.svc.DeleteContact(t.Context(), w.writer, first.ID, nil); err != nil {
		t.Fatal(err)
	}
	second := w.create(t, contacts.CreateContactInput{FirstName: "Bob", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}}})
	_, err := w.svc.UpsertContact(t.Context(), w.writer, upsertOf(contacts.CreateContactInput{FirstName: "Ada", ExternalID: "A-1"},
		func(u *contacts.UpsertContactInput) { u.RestoreDeleted = true }))
	wantConflicts(t, err, contacts.Conflict{Field: "phone_numbers[1].phone_number", ContactID: second.ID})
}

func TestPolicyModesAreChecked(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	err := w.admin.SetDuplicatePolicy(t.Context(), w.acme.ID, contacts.DuplicatePolicy{
		Action: contacts.DuplicateUpsert, Mode: "merge", TagsMode: contacts.TagsReplace,
	})
	wantError(t, err, contacts.CodeValidationError, wrong("mode", contacts.FieldNotAllowed), wrong("tags_mode", contacts.FieldInvalid))
}

// TestPlanBlocksWhatItIsAsked: a batch that is all or nothing blocks calls to the
// numbers that its contacts say, once each. A number that is listed because of another
// form of it, or because of an earlier contact of the batch, gets no block of its own.
func TestPlanBlocksWhatItIsAsked(t *testing.T) {
	t.Parallel()
	const listed, form, asked = "+5511987654321", "+551187654321", "+15551234567"
	phones := func(number string, block bool) []contacts.PhoneNumberInput {
		return []contacts.PhoneNumberInput{{PhoneNumber: number, DoNotCall: block}}
	}
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", PhoneNumbers: phones(form, false)})
		if _, err := w.svc.BlockCalls(t.Context(), w.writer, contacts.DoNotCallInput{PhoneNumber: listed}); err != nil {
			t.Fatal(err)
		}
		upsert := func(in contacts.CreateContactInput) contacts.UpsertContactInput {
			return contacts.UpsertContactInput{CreateContactInput: in, MatchOn: []contacts.KeyKind{contacts.KeyEmail}}
		}
		results, err := w.svc.UpsertContacts(t.Context(), w.writer, contacts.UpsertContactsInput{AllOrNothing: true, Contacts: []contacts.UpsertContactInput{
			upsert(contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", City: "Paris"}),
			upsert(contacts.CreateContactInput{FirstName: "Bob", Email: "bob@example.com", PhoneNumbers: phones(asked, true)}),
			upsert(contacts.CreateContactInput{FirstName: "Bob", Email: "bob@example.com", City: "Rome"}),
			upsert(contacts.CreateContactInput{FirstName: "Bob", Email: "bob@example.com", PhoneNumbers: phones(asked, true)}),
		}})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []contacts.Result{contacts.ResultUpdated, contacts.ResultCreated, contacts.ResultUpdated, contacts.ResultUnchanged} {
			if r := results[i]; r.Err != nil || r.Result != want || !r.Contact.PhoneNumbers[0].DoNotCall {
				t.Fatalf("%d: got %+v, want %s", i, r, want)
			}
		}
		for number, want := range map[string]int{listed: 1, form: 0, asked: 1} {
			status, err := w.svc.DoNotCallStatus(t.Context(), w.writer, number)
			if err != nil {
				t.Fatal(err)
			}
			if len(status.Entries) != want {
				t.Errorf("%s has the entries %+v, want %d", number, status.Entries, want)
			}
		}
	})
}

// A meddler is a store on which another writer comes before the contacts that match are
// read.
type meddler struct {
	contacts.Store
	meddle func() // once; nil: no more
}

func (m *meddler) ListContacts(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
	if meddle := m.meddle; q.MatchKeys != nil && meddle != nil {
		m.meddle = nil
		meddle()
	}
	return m.Store.ListContacts(ctx, q)
}

// TestUpsertIsRefusedAtOneMoment: what refuses an upsert holds at one moment, although
// another writer changes contacts after the upsert was refused to be a new one.
func TestUpsertIsRefusedAtOneMoment(t *testing.T) {
	t.Parallel()
	const number = "+15551234567"
	type writer struct {
		*world
		ada, bob, cy *contacts.Contact // cy is nil until it is made
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	deleteBob := func(t *testing.T, w *writer) {
		must(t, w.svc.DeleteContact(t.Context(), w.writer, w.bob.ID, nil))
	}
	email := func(t *testing.T, w *writer, c *contacts.Contact, email string) {
		_, err := w.svc.UpdateContact(t.Context(), w.writer, c.ID, contacts.UpdateContactInput{Email: &email}, nil)
		must(t, err)
	}
	for _, c := range []struct {
		name   string
		mode   contacts.UpsertMode
		meddle func(t *testing.T, w *writer)
		holder func(w *writer) *contacts.Contact // nil: the contact is changed
	}{
		{"nothing happens", contacts.UpsertOverwrite, func(*testing.T, *writer) {}, func(w *writer) *contacts.Contact { return w.bob }},
		{"the holder is deleted", contacts.UpsertOverwrite, deleteBob, nil},
		{"the holder is deleted, and then the contact has no address any more", contacts.UpsertFill, func(t *testing.T, w *writer) {
			deleteBob(t, w)
			email(t, w, w.ada, "")
		}, nil},
		{"the contact has no address any more", contacts.UpsertFill, func(t *testing.T, w *writer) {
			email(t, w, w.ada, "")
		}, func(w *writer) *contacts.Contact { return w.bob }},
		{"another one gets the address", contacts.UpsertOverwrite, func(t *testing.T, w *writer) {
			email(t, w, w.bob, "gone@example.com")
			w.cy = w.create(t, contacts.CreateContactInput{FirstName: "Cy", Email: "bob@example.com"})
		}, func(w *writer) *contacts.Contact { return w.cy }},
		{"the holder of the address gets the number", contacts.UpsertOverwrite, func(t *testing.T, w *writer) {
			for _, c := range []*contacts.Contact{w.ada, w.bob} {
				phones := []contacts.UpdatePhoneNumber{}
				if c == w.bob {
					phones = append(phones, contacts.UpdatePhoneNumber{PhoneNumber: new(number)})
				}
				_, err := w.svc.UpdateContact(t.Context(), w.writer, c.ID, contacts.UpdateContactInput{PhoneNumbers: &phones}, nil)
				must(t, err)
			}
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			onEveryStore(t, func(t *testing.T, store contacts.Store) {
				for _, how := range []string{"one", "batch", "all or nothing", "dry run"} {
					w := &writer{world: newWorld(t, store, nil)}
					w.setPolicy(t, reject)
					w.ada = w.create(t, contacts.CreateContactInput{
						FirstName: "Ada", Email: "ada@example.com", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number}},
					})
					w.bob = w.create(t, contacts.CreateContactInput{FirstName: "Bob", Email: "bob@example.com"})
					svc, err := contacts.New(&meddler{store, func() { c.meddle(t, w) }}, &contacts.Options{Now: func() time.Time { return noon }})
					if err != nil {
						t.Fatal(err)
					}
					in := contacts.UpsertContactInput{
						CreateContactInput: contacts.CreateContactInput{
							FirstName: "Ada", Email: "bob@example.com", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number}},
						},
						MatchOn: []contacts.KeyKind{contacts.KeyPhoneNumber}, Mode: c.mode,
					}
					var got contacts.UpsertResult
					if how == "one" || how == "dry run" {
						if how == "dry run" {
							svc = svc.DryRun()
						}
						var r *contacts.UpsertResult
						if r, got.Err = svc.UpsertContact(t.Context(), w.writer, in); r != nil {
							got = *r
						}
					} else {
						results, err := svc.UpsertContacts(t.Context(), w.writer, contacts.UpsertContactsInput{
							Contacts: []contacts.UpsertContactInput{in}, AllOrNothing: how == "all or nothing",
						})
						if err != nil {
							t.Fatal(err)
						}
						got = results[0]
					}
					switch {
					case c.holder != nil:
						wantConflicts(t, got.Err, contacts.Conflict{Field: "email", ContactID: c.holder(w).ID})
					case got.Err != nil || got.Contact.Email != "bob@example.com":
						t.Errorf("%s: got %+v, want the address", how, got)
					}
				}
			})
		})
	}
}

// TestAnswerWithoutAWriteIsOfOneMoment: another writer sets another policy, and then
// changes the contact, before it is read. No moment had the old policy and the contact
// that is read, so the create is decided again.
func TestAnswerWithoutAWriteIsOfOneMoment(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		for _, policy := range []contacts.DuplicatePolicy{returnExisting, upsertPolicy} {
			for _, how := range []string{"one", "batch", "all or nothing"} {
				w := newWorld(t, store, nil)
				w.setPolicy(t, policy)
				ada := w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"})
				meddle := func() {
					w.setPolicy(t, reject)
					if _, err := w.svc.UpdateContact(t.Context(), w.writer, ada.ID, contacts.UpdateContactInput{City: new("Oslo")}, nil); err != nil {
						t.Error(err)
					}
				}
				svc, err := contacts.New(&meddler{store, meddle}, &contacts.Options{Now: func() time.Time { return noon }})
				if err != nil {
					t.Fatal(err)
				}
				in := contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", City: "Oslo"}
				var got contacts.CreateResult
				if how == "one" {
					got, _ = svc.CreateContactResult(t.Context(), w.writer, in) // its error is in the result
				} else {
					results, err := svc.CreateContacts(t.Context(), w.writer, contacts.CreateContactsInput{
						Contacts: []contacts.CreateContactInput{in}, AllOrNothing: how == "all or nothing",
					})
					if err != nil {
						t.Fatal(err)
					}
					got = results[0]
				}
				if got.Err == nil {
					t.Fatalf("%s, %s: got %s of the version %d, under a policy that ended before it", policy.Action, how, got.Result, got.Contact.Version)
				}
				wantConflicts(t, got.Err, contacts.Conflict{Field: "email", ContactID: ada.ID})
			}
		}
	})
}

// An accountCounter counts how often an account is looked up.
type accountCounter struct {
	contacts.Store
	looks int
}

func (a *accountCounter) FindAccount(ctx context.Context, id uuid.UUID) (*contacts.AccountRecord, error) {
	a.looks++
	return a.Store.FindAccount(ctx, id)
}

// TestAnswerWithoutAWriteCostsOneLook: what is written is judged by the store with its
// write, and costs no look at the account.
func TestAnswerWithoutAWriteCostsOneLook(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		counter := &accountCounter{Store: store}
		w := newWorld(t, counter, nil)
		once := 0
		create := func(want contacts.Result, looks int, change func(*contacts.CreateContactInput)) {
			t.Helper()
			in := contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"}
			if change != nil {
				change(&in)
			}
			counter.looks = 0
			r, err := w.svc.CreateContactResult(t.Context(), w.writer, in)
			if err != nil || r.Result != want {
				t.Fatalf("got %s, %v, want %s", r.Result, err, want)
			}
			if counter.looks != looks {
				t.Errorf("%s: %d looks at the account, want %d", want, counter.looks, looks)
			}
		}
		withKey := func(in *contacts.CreateContactInput) {
			once++
			in.IdempotencyKey = fmt.Sprint(once)
		}
		create(contacts.ResultCreated, 0, nil)
		w.setPolicy(t, upsertPolicy)
		create(contacts.ResultUnchanged, 1, nil)
		create(contacts.ResultUnchanged, 0, withKey)
		create(contacts.ResultUpdated, 0, func(in *contacts.CreateContactInput) { in.City = "Oslo" })
		w.setPolicy(t, returnExisting)
		create(contacts.ResultExisting, 1, nil)
		create(contacts.ResultExisting, 0, withKey)
	})
}

// An allOrNothing batch of no contacts asks nobody anything, whatever has become of the
// account since.
func TestEmptyBatchOfAPlanNeedsNoAccount(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	w.setPolicy(t, upsertPolicy)
	svc, err := contacts.New(&shifty{Store: w.store}, nil)
	if err != nil {
		t.Fatal(err)
	}
	results, err := svc.CreateContacts(t.Context(), w.writer, contacts.CreateContactsInput{AllOrNothing: true})
	if err != nil || len(results) > 0 {
		t.Errorf("got %v, %v", results, err)
	}
}

// A shifty store has other settings of an account each time.
type shifty struct {
	contacts.Store
	version int64
}

func (s *shifty) FindAccount(ctx context.Context, id uuid.UUID) (*contacts.AccountRecord, error) {
	account, err := s.Store.FindAccount(ctx, id)
	if err != nil {
		return nil, err
	}
	s.version++
	next := *account
	next.SettingsVersion += s.version
	return &next, nil
}

// A first block needs a setting. If that cannot be stored, the upserts of the batch fail
// with it, those that would only change a contact too.
func TestUpsertsFailWhereTheLedgerCannotBeMade(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	svc, err := contacts.New(&settingless{w.store}, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := contacts.UpsertContactInput{CreateContactInput: contacts.CreateContactInput{
		FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567", DoNotCall: true}},
	}}
	second := contacts.UpsertContactInput{CreateContactInput: contacts.CreateContactInput{FirstName: "Bob", Email: "bob@example.com"}, UpdateOnly: true}
	results, err := svc.UpsertContacts(t.Context(), w.writer, contacts.UpsertContactsInput{Contacts: []contacts.UpsertContactInput{first, second}})
	if err != nil {
		t.Fatal(err)
	}
	var codes []contacts.Code
	for _, r := range results {
		codes = append(codes, contacts.CodeOf(r.Err))
	}
	if diff := cmp.Diff([]contacts.Code{contacts.CodeServerError, contacts.CodeNotFound}, codes); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}

// A settingless store keeps no setting.
type settingless struct{ contacts.Store }

func (s *settingless) AddToDirectory(ctx context.Context, d contacts.Directory) (contacts.Directory, error) {
	if len(d.Settings) > 0 {
		return contacts.Directory{}, errors.New("the disk is full")
	}
	return s.Store.AddToDirectory(ctx, d)
}

// TestBatchSeesWhatItRestores: a contact of a batch comes after one that restores a
// contact with its key, although the two share none.
func TestBatchSeesWhatItRestores(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		for _, others := range []int{0, 1, 2} { // live contacts with the address
			for _, together := range []bool{false, true} {
				w := newWorld(t, store, nil)
				ada := contacts.CreateContactInput{FirstName: "Ada", ExternalID: "1", Email: "ada@example.com"}
				if err := w.svc.DeleteContact(t.Context(), w.writer, w.create(t, ada).ID, nil); err != nil {
					t.Fatal(err)
				}
				for range others {
					w.create(t, contacts.CreateContactInput{FirstName: "Bob", Email: ada.Email})
				}
				batch := contacts.UpsertContactsInput{AllOrNothing: together}
				for _, in := range []contacts.CreateContactInput{{FirstName: "Ada", ExternalID: "1"}, {FirstName: "Ada", Email: ada.Email, City: "Paris"}} {
					batch.Contacts = append(batch.Contacts, contacts.UpsertContactInput{CreateContactInput: in, RestoreDeleted: in.ExternalID != ""})
				}
				want := []string{"restored", "updated"}
				switch {
				case others > 0 && together:
					want = []string{"batch_failed", "ambiguous_match"}
				case others > 0:
					want = []string{"restored", "ambiguous_match"}
				}
				for _, svc := range []*contacts.Service{w.svc.DryRun(), w.svc} {
					results, err := svc.UpsertContacts(t.Context(), w.writer, batch)
					if err != nil {
						t.Fatal(err)
					}
					var got []string
					for _, r := range results {
						got = append(got, string(r.Result)+string(contacts.CodeOf(r.Err)))
						if e, ok := errors.AsType[*contacts.Error](r.Err); ok && e.Code == contacts.CodeAmbiguousMatch && len(e.Conflicts) != others+1 {
							t.Errorf("%d others: got %d conflicts", others, len(e.Conflicts))
						}
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%d others, together %t, dry run %t (-want +got):\n%s", others, together, svc.IsDryRun(), diff)
					}
				}
			}
		}
	})
}

// upsertResults makes the upserts of a batch, and returns what became of each.
func upsertResults(t *testing.T, svc *contacts.Service, key string, batch contacts.UpsertContactsInput) (got []contacts.Result) {
	t.Helper()
	results, err := svc.UpsertContacts(t.Context(), key, batch)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		got = append(got, r.Result)
	}
	return got
}

// TestBatchSeesWhatItRestoresLater: the contact that restores one waits for another, and
// the one after it shares no key with these.
func TestBatchSeesWhatItRestoresLater(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		for _, together := range []bool{false, true} {
			w := newWorld(t, store, nil)
			ada := contacts.CreateContactInput{FirstName: "Ada", ExternalID: "1", Email: "ada@example.com"}
			if err := w.svc.DeleteContact(t.Context(), w.writer, w.create(t, ada).ID, nil); err != nil {
				t.Fatal(err)
			}
			phone := []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}}
			batch := contacts.UpsertContactsInput{AllOrNothing: together}
			for _, in := range []contacts.CreateContactInput{
				{FirstName: "Bob", PhoneNumbers: phone}, {FirstName: "Ada", ExternalID: "1", PhoneNumbers: phone}, {FirstName: "Ada", Email: ada.Email, City: "Paris"},
			} {
				batch.Contacts = append(batch.Contacts, contacts.UpsertContactInput{
					CreateContactInput: in, MatchOn: []contacts.KeyKind{contacts.KeyExternalID, contacts.KeyEmail}, RestoreDeleted: in.ExternalID != "",
				})
			}
			for _, svc := range []*contacts.Service{w.svc.DryRun(), w.svc} {
				want := []contacts.Result{contacts.ResultCreated, contacts.ResultRestored, contacts.ResultUpdated}
				if diff := cmp.Diff(want, upsertResults(t, svc, w.writer, batch)); diff != "" {
					t.Errorf("together %t, dry run %t (-want +got):\n%s", together, svc.IsDryRun(), diff)
				}
			}
		}
	})
}

// TestTwinOfAKeyThatMoves: a contact of a batch gets an address that an earlier one takes
// away from another contact, or from one that it restores. It has the same twin whether
// the contacts are stored as they go, or all together, or not at all.
func TestTwinOfAKeyThatMoves(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		for _, restored := range []bool{false, true} {
			for _, together := range []bool{false, true} {
				w := newWorld(t, store, nil)
				remove := func(c *contacts.Contact) {
					if err := w.svc.DeleteContact(t.Context(), w.writer, c.ID, nil); err != nil {
						t.Fatal(err)
					}
				}
				twin := w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"})
				remove(twin)
				ada := w.create(t, contacts.CreateContactInput{FirstName: "Ada", ExternalID: "1", Email: "ada@example.com"})
				if restored {
					remove(ada)
				}
				w.setPolicy(t, reject)
				batch := contacts.UpsertContactsInput{AllOrNothing: together}
				for _, in := range []contacts.CreateContactInput{
					{FirstName: "Ada", ExternalID: "1", Email: "new@example.com"}, {FirstName: "Bob", ExternalID: "2", Email: "ada@example.com"},
				} {
					batch.Contacts = append(batch.Contacts, contacts.UpsertContactInput{
						CreateContactInput: in, MatchOn: []contacts.KeyKind{contacts.KeyExternalID}, Mode: contacts.UpsertOverwrite, RestoreDeleted: true,
					})
				}
				for _, svc := range []*contacts.Service{w.svc.DryRun(), w.svc} {
					results, err := svc.UpsertContacts(t.Context(), w.writer, batch)
					if err != nil {
						t.Fatal(err)
					}
					if r := results[1]; r.Result != contacts.ResultCreated || r.DeletedTwin != twin.ID {
						t.Errorf("restored %t, together %t, dry run %t: got %s with the twin %v, %v, want %v",
							restored, together, svc.IsDryRun(), r.Result, r.DeletedTwin, r.Err, twin.ID)
					}
				}
			}
		}
	})
}

// TestBatchCountsDeletedContacts: an upsert restores none of several deleted contacts, also
// where an earlier one of the batch restores the newest of them.
func TestBatchCountsDeletedContacts(t *testing.T) {
	t.Parallel()
	for _, together := range []bool{false, true} {
		w := memoryWorld(t, nil)
		for _, id := range []string{"3", "2", "1"} {
			c := w.create(t, contacts.CreateContactInput{FirstName: "Ada", ExternalID: id, Email: "ada@example.com"})
			if err := w.svc.DeleteContact(t.Context(), w.writer, c.ID, nil); err != nil {
				t.Fatal(err)
			}
		}
		batch := contacts.UpsertContactsInput{AllOrNothing: together}
		for _, in := range []contacts.CreateContactInput{{FirstName: "Ada", ExternalID: "1", Email: "new@example.com"}, {FirstName: "Ada", Email: "ada@example.com"}} {
			batch.Contacts = append(batch.Contacts, contacts.UpsertContactInput{CreateContactInput: in, Mode: contacts.UpsertOverwrite, RestoreDeleted: true})
		}
		for _, svc := range []*contacts.Service{w.svc.DryRun(), w.svc} {
			results, err := svc.UpsertContacts(t.Context(), w.writer, batch)
			if err != nil {
				t.Fatal(err)
			}
			if results[0].Result != contacts.ResultRestored || results[1].Result != contacts.ResultCreated {
				t.Errorf("together %t, dry run %t: got %s and %s, want restored and created", together, svc.IsDryRun(), results[0].Result, results[1].Result)
			}
		}
	}
}

// An overwriting is a batch of upserts that overwrite, and its results.
type overwriting struct {
	name   string
	policy contacts.DuplicatePolicy
	on     []contacts.KeyKind
	in     []contacts.CreateContactInput
	want   []contacts.Result
}

// check compares the results, of a dry run and then of the call.
func (o *overwriting) check(t *testing.T, w *world, together bool) {
	t.Helper()
	batch := contacts.UpsertContactsInput{AllOrNothing: together}
	for _, in := range o.in {
		batch.Contacts = append(batch.Contacts, contacts.UpsertContactInput{CreateContactInput: in, MatchOn: o.on, Mode: contacts.UpsertOverwrite})
	}
	for _, svc := range []*contacts.Service{w.svc.DryRun(), w.svc} {
		if diff := cmp.Diff(o.want, upsertResults(t, svc, w.writer, batch)); diff != "" {
			t.Errorf("%s, together %t, dry run %t (-want +got):\n%s", o.name, together, svc.IsDryRun(), diff)
		}
	}
}

// TestBatchKeepsItsOrder: contacts that share no key depend on each other where a stored
// contact has keys of both. They are done in the order of the batch all the same.
func TestBatchKeepsItsOrder(t *testing.T) {
	t.Parallel()
	byID := []contacts.KeyKind{contacts.KeyExternalID}
	phone := []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}}
	for _, c := range []struct {
		overwriting
		city string // of the stored contact
	}{
		{overwriting{
			"the last city stays", contacts.DuplicatePolicy{}, nil, []contacts.CreateContactInput{
				{FirstName: "Ada", ExternalID: "1"}, {FirstName: "Ada", ExternalID: "1", City: "Paris"}, {FirstName: "Ada", Email: "ada@example.com", City: "Rome"},
			},
			[]contacts.Result{contacts.ResultUnchanged, contacts.ResultUpdated, contacts.ResultUpdated},
		}, "Rome"},
		{overwriting{
			"an address moves", reject, byID, []contacts.CreateContactInput{
				{FirstName: "Ada", ExternalID: "1", Email: "new@example.com"}, {FirstName: "Bob", ExternalID: "2", Email: "ada@example.com"},
			},
			[]contacts.Result{contacts.ResultUpdated, contacts.ResultCreated},
		}, ""},
		{overwriting{
			"an address moves later", reject, byID, []contacts.CreateContactInput{
				{FirstName: "Ada", ExternalID: "1"}, {FirstName: "Ada", ExternalID: "1", Email: "new@example.com"}, {FirstName: "Bob", ExternalID: "2", Email: "ada@example.com"},
			},
			[]contacts.Result{contacts.ResultUnchanged, contacts.ResultUpdated, contacts.ResultCreated},
		}, ""},
		{overwriting{
			"an address moves after a wait", contacts.DuplicatePolicy{Action: contacts.DuplicateReject}, byID, []contacts.CreateContactInput{
				{FirstName: "Bob", ExternalID: "2", PhoneNumbers: phone}, {FirstName: "Ada", ExternalID: "1", PhoneNumbers: phone, Email: "new@example.com"},
				{FirstName: "Cy", ExternalID: "3", Email: "ada@example.com"},
			},
			[]contacts.Result{contacts.ResultCreated, contacts.ResultUpdated, contacts.ResultCreated},
		}, ""},
		{overwriting{
			"an address does not move", reject, byID, []contacts.CreateContactInput{
				{FirstName: "Ada", ExternalID: "1", City: "Paris"}, {FirstName: "Bob", ExternalID: "2", Email: "ada@example.com"},
			},
			[]contacts.Result{contacts.ResultUpdated, ""},
		}, "Paris"},
	} {
		onEveryStore(t, func(t *testing.T, store contacts.Store) {
			for _, together := range []bool{false, true} {
				if together && slices.Contains(c.want, "") {
					continue
				}
				w := newWorld(t, store, nil)
				ada := w.create(t, contacts.CreateContactInput{FirstName: "Ada", ExternalID: "1", Email: "ada@example.com"})
				w.setPolicy(t, c.policy)
				c.check(t, w, together)
				if read, err := w.svc.GetContact(t.Context(), w.writer, ada.ID); err != nil || read.City != c.city {
					t.Errorf("%s, together %t: got %+v, %v, want the city %q", c.name, together, read, err, c.city)
				}
			}
		})
	}
}

// TestEachItemOfAChainSeesTheOneBefore: an item that waits for another to give an address
// away sees neither less than that one did, nor what a later item does.
func TestEachItemOfAChainSeesTheOneBefore(t *testing.T) {
	t.Parallel()
	to := func(person, address int) contacts.CreateContactInput {
		return contacts.CreateContactInput{FirstName: "New", ExternalID: fmt.Sprint(person), Email: fmt.Sprintf("%d@example.com", address)}
	}
	for _, c := range []struct {
		people int
		overwriting
	}{
		{3, overwriting{
			"each gets the address of the next", contacts.DuplicatePolicy{}, nil, []contacts.CreateContactInput{to(2, 3), to(1, 2), to(0, 1)},
			[]contacts.Result{contacts.ResultUpdated, contacts.ResultUpdated, contacts.ResultUpdated},
		}},
		{3, overwriting{
			"a new person gets the last address", reject, nil, []contacts.CreateContactInput{to(2, 3), to(1, 2), to(0, 1), {FirstName: "Eve", Email: "0@example.com"}},
			[]contacts.Result{contacts.ResultUpdated, contacts.ResultUpdated, contacts.ResultUpdated, contacts.ResultCreated},
		}},
		{4, overwriting{
			"a later item gives the address away", contacts.DuplicatePolicy{Action: contacts.DuplicateReject}, []contacts.KeyKind{contacts.KeyExternalID},
			[]contacts.CreateContactInput{to(0, 6), to(0, 7), to(2, 3), to(3, 5)},
			[]contacts.Result{contacts.ResultUpdated, contacts.ResultUpdated, "", contacts.ResultUpdated},
		}},
	} {
		onEveryStore(t, func(t *testing.T, store contacts.Store) {
			for _, together := range []bool{false, true} {
				if together && slices.Contains(c.want, "") {
					continue
				}
				w := newWorld(t, store, nil)
				for n := range c.people {
					w.create(t, contacts.CreateContactInput{FirstName: "Old", ExternalID: fmt.Sprint(n), Email: fmt.Sprintf("%d@example.com", n)})
				}
				w.setPolicy(t, c.policy)
				c.check(t, w, together)
			}
		})
	}
}
