package identitytest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
)

// dryRunMakesNoSecret makes the first block of an account, dry. The answer has the mark,
// and the account has no ledger after it.
func dryRunMakesNoSecret(t *testing.T, s *scene) {
	key, _, err := s.admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: s.account, AllTeams: true, Permissions: []contacts.Permission{
		contacts.PermissionReadContacts, contacts.PermissionWriteContacts, contacts.PermissionManageDoNotCall,
	}})
	if err != nil {
		t.Fatal(err)
	}
	in := named("ada")
	in.PhoneNumbers = []contacts.PhoneNumberInput{{PhoneNumber: line, DoNotCall: true}}
	two := []contacts.CreateContactInput{in, withLine(named("bob"))}
	block := contacts.DoNotCallInput{PhoneNumber: line, Reason: "asked", Reference: "form 12"}
	before := s.stored(t)
	for name, call := range map[string]func(dry *contacts.Service) ([]contacts.CreateResult, error){
		"CreateContact": func(dry *contacts.Service) ([]contacts.CreateResult, error) {
			r, err := dry.CreateContactResult(t.Context(), key, in)
			return []contacts.CreateResult{r}, err
		},
		"CreateContacts": func(dry *contacts.Service) ([]contacts.CreateResult, error) {
			return dry.CreateContacts(t.Context(), key, contacts.CreateContactsInput{Contacts: two})
		},
		"CreateContacts, all or nothing": func(dry *contacts.Service) ([]contacts.CreateResult, error) {
			return dry.CreateContacts(t.Context(), key, contacts.CreateContactsInput{Contacts: two, AllOrNothing: true})
		},
		"UpsertContact": func(dry *contacts.Service) ([]contacts.CreateResult, error) {
			r, err := dry.UpsertContact(t.Context(), key, contacts.UpsertContactInput{CreateContactInput: in})
			if err != nil {
				return nil, err
			}
			return []contacts.CreateResult{contacts.CreateResult(*r)}, nil
		},
		"BlockCalls": func(dry *contacts.Service) ([]contacts.CreateResult, error) {
			_, err := dry.BlockCalls(t.Context(), key, block)
			return nil, err
		},
		"BlockCallsBatch": func(dry *contacts.Service) ([]contacts.CreateResult, error) {
			_, err := dry.BlockCallsBatch(t.Context(), key, contacts.BlockCallsBatchInput{Entries: []contacts.DoNotCallInput{block}})
			return nil, err
		},
		"BlockCallsStream": func(dry *contacts.Service) (_ []contacts.CreateResult, err error) {
			for _, err = range dry.BlockCallsStream(t.Context(), key, slices.Values([]contacts.DoNotCallInput{block}), nil) {
			}
			return nil, err
		},
		"GrantCalls": func(dry *contacts.Service) ([]contacts.CreateResult, error) {
			_, err := dry.GrantCalls(t.Context(), key, block)
			return nil, err
		},
	} {
		results, err := call(s.service().DryRun())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, r := range results {
			if r.Err != nil || !r.Contact.PhoneNumbers[0].DoNotCall || r.Contact.PhoneNumbers[0].DoNotCallDate.IsZero() {
				t.Errorf("%s: got %+v, %v, want a number with a mark", name, r.Contact, r.Err)
			}
		}
		if diff := cmp.Diff(before, s.stored(t)); diff != "" {
			t.Fatalf("%s: a dry run has stored something (-before +after):\n%s", name, diff)
		}
	}

	if _, err := s.service().BlockCalls(t.Context(), key, block); err != nil {
		t.Fatal(err)
	}
	if after := s.stored(t).Settings; len(after) != len(before.Settings)+1 || after[len(after)-1].Name != "do_not_call" {
		t.Errorf("the first real block has left the settings %v, so the test shows nothing", after)
	}
}

// pastOverlay: a dry run of a stream that has forgotten some keys says so. It is right
// about what is stored, and about what it has kept.
func pastOverlay(t *testing.T, s *scene) {
	keys := longtest.Size(96, 1000)
	part, each := keys/2, keys/8
	s.use(t, contacts.Options{Limits: contacts.Limits{Batch: part, DryRunKeys: keys}})
	upsert := func(address, city string) contacts.UpsertContactInput {
		in := contacts.UpsertContactInput{CreateContactInput: named(address), MatchOn: []contacts.KeyKind{contacts.KeyEmail}, Mode: contacts.UpsertOverwrite}
		in.City = city
		return in
	}
	var in contacts.CreateContactsInput
	for i := range each {
		in.Contacts = append(in.Contacts, upsert(fmt.Sprint("stored.", i), "Bern").CreateContactInput)
	}
	stored, err := s.service().CreateContacts(t.Context(), s.key, in)
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
	only := upsert(fmt.Sprint("new.", keys+each), "Oslo") // forgotten, so it is not found
	only.UpdateOnly = true
	stream = append(stream, only)
	want := func(i int) contacts.UpsertResult {
		r := contacts.UpsertResult{Index: i, Result: contacts.ResultCreated}
		if i < 3*part {
			return r
		}
		r.PastOverlay = true
		if i == len(stream)-1 {
			r.Result, r.Err = "", contacts.ErrNotFound
			return r
		}
		n, kind := (i-3*part)/4, (i-3*part)%4
		if kind == 1 { // forgotten
			return r
		}
		r.Result, r.Matched = contacts.ResultUpdated, []contacts.Conflict{{Field: "email", ContactID: stored[n].Contact.ID}}
		switch kind {
		case 0:
			r.Matched = []contacts.Conflict{{Field: "email", Index: &n}}
		case 2:
			r.Changes = []contacts.FieldChange{{Field: "city", Before: "Bern", After: "Oslo"}}
		case 3:
			r.Changes = []contacts.FieldChange{{Field: "city", Before: "Oslo", After: "Rome"}}
		}
		return r
	}
	i := 0
	for r, err := range s.service().DryRun().UpsertContactStream(t.Context(), s.key, slices.Values(stream)) {
		if err != nil {
			t.Fatal(err)
		}
		if kept := r.PastOverlay && len(r.Matched) > 0 && r.Matched[0].Index != nil; (r.Contact == nil) != (kept || r.Err != nil) {
			t.Fatalf("%d: the contact is %v", i, r.Contact)
		}
		r.Contact = nil
		if diff := cmp.Diff(want(i), r, cmpopts.EquateErrors()); diff != "" {
			t.Fatalf("%d (-want +got):\n%s", i, diff)
		}
		i++
	}
	if i != len(stream) {
		t.Errorf("%d results, want %d", i, len(stream))
	}
}
