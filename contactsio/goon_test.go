package contactsio_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/contactstest"
)

// broken has a row that cannot be parsed, and after it what may be the rest of it.
const broken = "first_name,last_name,email\nAnn,\"multi\"x\nrest of cell\nEve,E,eve@example.com\n"

// The rest of a row that cannot be parsed is no contact, also when the import was cut
// off between the two.
func TestGoOnAfterABrokenRow(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	read := &contactsio.ReadOptions{}
	var rows []int
	for range 3 { // each run refuses one row more, and the last one ends
		s, err := importFile(t, f, strings.NewReader(broken), read, &contactsio.ImportOptions{StopAfter: 1})
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, s.Rows)
		if s.Next == nil {
			if diff := cmp.Diff(map[string]int{"csv": 1, "too_few_fields": 1}, s.ByCode); diff != "" || s.Created != 1 {
				t.Errorf("%d created; refused (-want +got):\n%s", s.Created, diff)
			}
			break
		}
		read = &contactsio.ReadOptions{From: *s.Next}
	}
	if diff := cmp.Diff([]int{1, 2, 3}, rows); diff != "" {
		t.Errorf("rows by then (-want +got):\n%s", diff)
	}
}

// A file that has become shorter does not pass for one that is done, and the end of a
// row does not pass for a row.
func TestGoOnInAChangedFile(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	file := people(6000)
	at := strings.Index(file, "Example 5000,")
	file = file[:at] + "\"x\"y," + file[at:]
	s, err := importFile(t, f, strings.NewReader(file), nil, &contactsio.ImportOptions{StopAfter: 1})
	if err != nil || s.Next == nil {
		t.Fatalf("%+v, %v", s, err)
	}
	const same = 64 << 10 // of the beginning, by which a file is known
	if s.Next.Offset <= same {
		t.Fatalf("the import stopped at %d", s.Next.Offset)
	}
	_, err = contactsio.NewReader(strings.NewReader(file[:s.Next.Offset-1]), &contactsio.ReadOptions{From: *s.Next})
	if err == nil || !strings.Contains(err.Error(), "the file ends before the place") {
		t.Errorf("got %v for a file that is shorter", err)
	}
	changed := strings.Replace(file, "Example 4000,", "Example of 4000,", 1)
	for name, file := range map[string]io.Reader{"a file": strings.NewReader(changed), "a pipe": struct{ io.Reader }{strings.NewReader(changed)}} {
		if _, err := contactsio.NewReader(file, &contactsio.ReadOptions{From: *s.Next}); err == nil || !strings.Contains(err.Error(), "inside a line") {
			t.Errorf("got %v for %s in which a row has become longer", err, name)
		}
	}
}

// At a checkpoint the refused rows and the report of the rows before it are written.
func TestCheckpointComesAfterWhatWasWritten(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	file := strings.Replace(people(1500), "Example 7,", "\"x\"y,", 1)
	var refused, report bytes.Buffer
	checkpoints := 0
	_, err := importFile(t, f, strings.NewReader(file), nil, &contactsio.ImportOptions{
		Refused: &refused, Report: &report,
		Checkpoint: func(p contactsio.Position) error {
			checkpoints++
			if got := strings.Count(report.String(), "\n"); got != p.Row || !strings.Contains(refused.String(), "y,") {
				t.Errorf("after %d rows the report has %d, and the refused rows are %q", p.Row, got, refused.String())
			}
			return nil
		},
	})
	if err != nil || checkpoints == 0 {
		t.Errorf("%d checkpoints, %v", checkpoints, err)
	}
}

// Two columns of phone numbers are two numbers, whatever their names.
func TestColumnsOfOneKindAreSeveralValues(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file string
		opts *contactsio.ReadOptions
		want []string
	}{
		"mapped": {
			"Vorname,Handy,Festnetz\nAnn,+15551230001,+15551230002\n",
			&contactsio.ReadOptions{Map: map[string]string{"Vorname": "first_name", "Handy": "phone_number", "Festnetz": "phone_number"}},
			[]string{"+15551230001", "+15551230002"},
		},
		"a name without a number, and numbered ones": {
			"First Name,Phone Number,Phone 1,Phone 2\nAnn,+15551230001,+15551230002,+15551230003\n", nil,
			[]string{"+15551230001", "+15551230002", "+15551230003"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := contactsio.NewReader(strings.NewReader(c.file), c.opts)
			if err != nil {
				t.Fatal(err)
			}
			for row, err := range r.Rows() {
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, p := range row.Contact.PhoneNumbers {
					got = append(got, p.PhoneNumber)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("numbers (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestFurtherValuesAreKept keeps in the custom context what the fields of a contact have
// no room for.
func TestFurtherValuesAreKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header, row string
		mapped      map[string]string
		want        map[string]any
	}{
		"e-mail addresses": {
			"E-mail 1 - Value,E-mail 2 - Value,Email 2,E-mail 4 - Value", "a@example.com,b@example.com,c@example.com,d@example.com ::: e@example.com", nil,
			map[string]any{"other_emails": []any{"b@example.com", "c@example.com", "d@example.com", "e@example.com"}},
		},
		"web sites": {
			"Website 1 - Value,Website 2 - Value,Website 2,Website 3 - Value", "a.example,b.example,c.example,d.example ::: e.example", nil,
			map[string]any{"other_websites": []any{"b.example", "c.example", "d.example", "e.example"}},
		},
		"custom fields": {
			"Custom Field 1 - Label,Custom Field 1 - Value,Custom Field 2 - Label,Custom Field 2 - Value,Custom Field 3 - Label,Custom Field 3 - Value,Custom Field 4 - Value,Custom Field 5 - Value", "Shoe,1,Shoe,2,Shoe 2,3,4,5", nil,
			map[string]any{"Shoe": "1", "Shoe 2": "2", "Shoe 2 2": "3", "custom_field": "4", "custom_field 2": "5"},
		},
		"custom fields with the name of another value": {
			"Custom Field 1 - Label,Custom Field 1 - Value,Custom Field 2 - Label,Custom Field 2 - Value,Email Opt Out,Phone 1 - Value", "email_opt_out,x,phone_extensions,y,yes,+1 212 736 5000 x12", nil,
			map[string]any{"email_opt_out": true, "email_opt_out 2": "x", "phone_extensions": map[string]any{"+12127365000": "12"}, "phone_extensions 2": "y"},
		},
		"a column for the place of the others": {
			"Mail,More,E-mail 2 - Value", "a@example.com,b@example.com,c@example.com", map[string]string{"More": "custom_context.other_emails"},
			map[string]any{"other_emails": []any{"b@example.com", "c@example.com"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows := read(t, strings.NewReader("First Name,"+c.header+"\nAnn,"+c.row+"\n"), &contactsio.ReadOptions{Map: c.mapped})
			if len(rows) != 1 || rows[0].Problems != nil {
				t.Fatalf("got %+v", rows)
			}
			if diff := cmp.Diff(c.want, rows[0].Contact.CustomContext); diff != "" {
				t.Errorf("custom context (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAddressesOfOneLabel takes the first of several addresses in the cells of Google.
func TestAddressesOfOneLabel(t *testing.T) {
	t.Parallel()
	const file = "First Name,Phone 1 - Label,Address 1 - Label,Address 1 - Street,Address 1 - City,Address 1 - Country,Address 2 - Label,Address 2 - City\n" +
		"Ann,,Home,1 Home St ::: 2 Oak St,Hometown ::: Oaktown,US,Other,Elsewhere\nBob,,Home, ::: 2 Oak St,Hometown ::: Oaktown,,,\n"
	rows := read(t, strings.NewReader(file), nil)
	for i, want := range []string{
		"1 Home St, Hometown, US; postal addresses that are left out: 2",
		", Hometown, ; postal addresses that are left out: 1",
	} {
		c := rows[i].Contact
		if got := c.Address + ", " + c.City + ", " + c.Country + "; " + rows[i].Notes[0].Message; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestAddressWithoutALabel takes a business address before one of which nothing is known.
func TestAddressWithoutALabel(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		"First Name,Phone 1 - Label,Address 1 - Label,Address 1 - City,Address 2 - Label,Address 2 - City\nAnn,,,Elsewhere,Work,Worktown\n",
		"BEGIN:VCARD\nN:;Ann\nADR:;;;Elsewhere;;;\nADR;TYPE=WORK:;;;Worktown;;;\nEND:VCARD\n",
	} {
		if got := read(t, strings.NewReader(file), nil)[0].Contact.City; got != "Worktown" {
			t.Errorf("%q: got %s", file, got)
		}
	}
}

// TestGoOnAfterTheRetention warns where the keys of rows may have ended, as long as the
// Service keeps them.
func TestGoOnAfterTheRetention(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		retention, since time.Duration
		upsert           *contacts.UpsertContactInput
		want             int
	}{
		{0, 23 * time.Hour, nil, 0},
		{0, 25 * time.Hour, nil, 1},
		{time.Hour, 2 * time.Hour, nil, 1},
		{72 * time.Hour, 48 * time.Hour, nil, 0},
		{time.Hour, 2 * time.Hour, &contacts.UpsertContactInput{MatchOn: []contacts.KeyKind{contacts.KeyEmail}}, 0},
	} {
		f := contactstest.New(t, &contacts.Options{IdempotencyRetention: tc.retention})
		const file = "first_name,email\n!\x00,\nAnn,ann@example.com\n"
		first, err := importFile(t, f, strings.NewReader(file), nil, &contactsio.ImportOptions{StopAfter: 1})
		if err != nil || first.Next == nil {
			t.Fatalf("%+v, %v", first, err)
		}
		from := *first.Next
		from.At = from.At.Add(-tc.since)
		second, err := importFile(t, f, strings.NewReader(file), &contactsio.ReadOptions{From: from}, &contactsio.ImportOptions{Upsert: tc.upsert})
		if err != nil || second.Created != 1 || second.Notes[contactsio.NoteMayRepeat] != tc.want {
			t.Errorf("%s after the import, with keys of %s: %+v, %v", tc.since, tc.retention, second, err)
		}
	}
}
