package contactsio_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/contactstest"
	"example.com/contacts/internal/longtest"
)

func TestImportUpserts(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	upsert := &contactsio.ImportOptions{Upsert: &contacts.UpsertContactInput{MatchOn: []contacts.KeyKind{contacts.KeyEmail}}}
	const file = "first_name,email,city\nAnn,ann@example.com,\nBob,bob@example.com,Here\n"
	s, err := importFile(t, f, strings.NewReader(file), nil, upsert)
	if err != nil || s.Created != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	var report bytes.Buffer
	upsert.Report = &report
	if s, err = importFile(t, f, strings.NewReader(strings.Replace(file, ".com,\n", ".com,There\n", 1)+"Cid,cid@example.com,\nBob,BOB@example.com,\n"), nil, upsert); err != nil ||
		s.Updated != 1 || s.Replayed != 1 || s.Created != 1 || s.Unchanged != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if !strings.Contains(report.String(), `"changes":[{"field":"city","before":"","after":"There"}]`) {
		t.Errorf("no changes in %s", &report)
	}
	// Another mode is another call.
	upsert.Upsert.UpdateOnly = true
	if s, err = importFile(t, f, strings.NewReader(file+"Dan,dan@example.com,\n"), nil, upsert); err != nil || s.Unchanged != 2 || s.Refused != 1 || s.ByCode["not_found"] != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	// The account's policy decides what a create means.
	if err := f.Admin.SetDuplicatePolicy(t.Context(), f.Account.ID, contacts.DuplicatePolicy{Action: contacts.DuplicateReturnExisting}); err != nil {
		t.Fatal(err)
	}
	if s, err = importFile(t, f, strings.NewReader(file), nil, nil); err != nil || s.Existing != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := f.Admin.SetDuplicatePolicy(t.Context(), f.Account.ID, contacts.DuplicatePolicy{Action: contacts.DuplicateReject}); err != nil {
		t.Fatal(err)
	}
	if s, err = importFile(t, f, strings.NewReader(file), nil, &contactsio.ImportOptions{Job: "other"}); err != nil || s.Refused != 2 || s.Duplicate != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

// dirtyRows is a file with rows that repeat, that match, and that are wrong in many
// ways.
func dirtyRows(n int) string {
	var b strings.Builder
	b.WriteString("first_name,email,phone_number,tags,city\n")
	for i := range n {
		switch i % 12 {
		case 3:
			fmt.Fprintf(&b, "Ann,ann.%d@example.com,%d,,\n", i, i)
		case 5:
			fmt.Fprintf(&b, "Ann,ann.%d@example.com,,,City %d\n", i*7%n, i) // may match another one
		case 6:
			fmt.Fprintf(&b, "Ann,nobody %d,,,\n", i)
		case 7:
			b.WriteString("Ann,again@example.com,,,\n")
		case 8:
			fmt.Fprintf(&b, "Ann,\"x\" %d,,\n", i)
		case 9:
			fmt.Fprintf(&b, ",,,,%d\n,,,,\n", i)
		case 10:
			fmt.Fprintf(&b, "Ann,,+1555%07d,,,,\n", i)
		default:
			fmt.Fprintf(&b, "Ann,ann.%d@example.com,+1555%07d,a;b,\n", i, i)
		}
	}
	return b.String()
}

// TestPreviewEqualsImport compares a dry run with the import, row by row.
func TestPreviewEqualsImport(t *testing.T) {
	t.Parallel()
	n := longtest.Size(1200, 10_000)
	file := dirtyRows(n)
	for name, tc := range map[string]struct {
		policy contacts.DuplicateAction
		upsert *contacts.UpsertContactInput
	}{
		"allow":  {contacts.DuplicateAllow, nil},
		"reject": {contacts.DuplicateReject, nil},
		"upsert": {contacts.DuplicateAllow, &contacts.UpsertContactInput{MatchOn: []contacts.KeyKind{contacts.KeyEmail}, Mode: contacts.UpsertOverwrite}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := contactstest.New(t, nil)
			if err := f.Admin.SetDuplicatePolicy(t.Context(), f.Account.ID, contacts.DuplicatePolicy{Action: tc.policy}); err != nil {
				t.Fatal(err)
			}
			type run struct {
				summary *contactsio.Summary
				refused string
				rows    []string
			}
			do := func(svc *contacts.Service) run {
				r, err := contactsio.NewReader(strings.NewReader(file), nil)
				if err != nil {
					t.Fatal(err)
				}
				var refused, report bytes.Buffer
				checkpoints := 0
				s, err := contactsio.Import(t.Context(), svc, f.Key, r, &contactsio.ImportOptions{
					Upsert: tc.upsert, Refused: &refused, Report: &report, Checkpoint: func(contactsio.Position) error { checkpoints++; return nil },
				})
				if err != nil {
					t.Fatal(err)
				}
				checkSum(t, s)
				if svc.IsDryRun() != (checkpoints == 0) {
					t.Errorf("%d checkpoints", checkpoints)
				}
				done := run{summary: s, refused: refused.String()}
				for l := range strings.Lines(report.String()) {
					var e struct {
						Line            int
						Result          string
						ContactID       uuid.UUID `json:"contact_id"`
						Problems, Notes []struct{ Field, Code, Message string }
					}
					if err := json.Unmarshal([]byte(l), &e); err != nil {
						t.Fatal(err)
					}
					e.ContactID = uuid.Nil
					if e.Result == "unchanged" { // a dry run may not know it
						e.Result = "updated"
					}
					done.rows = append(done.rows, fmt.Sprint(e))
				}
				s.Updated, s.Unchanged = s.Updated+s.Unchanged, 0
				return done
			}
			preview := do(f.Service.DryRun())
			if n := len(stored(t, f.Service, f.Key)); n != 0 {
				t.Fatalf("a dry run stored %d contacts", n)
			}
			if diff := cmp.Diff(preview, do(f.Service), cmp.AllowUnexported(run{})); diff != "" {
				t.Errorf("the import differs from its dry run (-dry run +import):\n%s", diff)
			}
		})
	}
}

// A name that is made of something else overwrites no name.
func TestUpsertsDoNotOverwriteNamesByGuesses(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	upsert := &contactsio.ImportOptions{Upsert: &contacts.UpsertContactInput{MatchOn: []contacts.KeyKind{contacts.KeyEmail}, Mode: contacts.UpsertOverwrite}}
	if s, err := importFile(t, f, strings.NewReader("first_name,email\nAnn,ann@example.com\n"), nil, upsert); err != nil || s.Created != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	const guessed = "email,company,city\nann@example.com,Example,Here\nann@example.com,,Here\n"
	s, err := importFile(t, f, strings.NewReader(guessed), nil, upsert)
	if err != nil || s.Refused != 2 || s.ByCode[contacts.FieldRequired] != 2 {
		t.Errorf("overwrite: %+v, %v", s, err)
	}
	s, err = importFile(t, f, strings.NewReader("Name,Email,City\nAnn Example,ann@example.com,There\n"), nil, upsert)
	if err != nil || s.Updated != 1 {
		t.Errorf("overwrite with a full name: %+v, %v", s, err)
	}
	upsert.Upsert.Mode = contacts.UpsertFill
	if s, err = importFile(t, f, strings.NewReader(guessed), nil, upsert); err != nil || s.Updated != 1 || s.Unchanged != 1 {
		t.Errorf("fill: %+v, %v", s, err)
	}
	var names []string
	for c, err := range f.Service.Contacts(t.Context(), f.Key, contacts.ListContactsInput{}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, c.FirstName+" "+c.LastName+", "+c.Company+", "+c.City)
	}
	if diff := cmp.Diff([]string{"Ann Example, Example, There"}, names); diff != "" {
		t.Errorf("contacts (-want +got):\n%s", diff)
	}
}
