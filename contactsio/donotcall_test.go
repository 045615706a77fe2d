package contactsio_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/contactstest"
)

// listing returns a fixture whose key may keep lists.
func listing(t *testing.T) *contactstest.Fixture {
	t.Helper()
	return contactstest.New(t, &contacts.Options{DoNotCallPermission: contacts.PermissionWriteContacts})
}

func TestListFiles(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		file    string
		opts    contactsio.DoNotCallImportOptions
		want    contactsio.DoNotCallSummary
		refused string
	}{
		"a number on each line": {"+15551230001\n\n+1 555 123 0002\n+15551230001\nnobody 1\n", contactsio.DoNotCallImportOptions{}, contactsio.DoNotCallSummary{Rows: 4, Added: 2, Unchanged: 1, Refused: 1, Blank: 1, ByCode: map[string]int{"invalid": 1}},
			"5,phone_number,invalid,phone_number: must hold no letters and no extension,nobody 1\r\n"},
		"columns": {"name;Telephone;reason;at\nA;+15551230001;asked;2026-01-02\nB;+15551230002;;yesterday\nC;1.5E+10;;\n", contactsio.DoNotCallImportOptions{},
			contactsio.DoNotCallSummary{Rows: 3, Added: 1, Refused: 2, ByCode: map[string]int{"invalid": 1, "digits_lost": 1}},
			"3;at;invalid;at: must be a date such as 2026-11-27, or a time of RFC 3339;B;+15551230002;;yesterday\r\n" +
				"4;phone_number;digits_lost;phone_number: is a number with an exponent, which has lost digits; store phone numbers as text;C;1.5E+10;;\r\n"},
		"a date that would be the same as none": {"phone_number,expires_at\n+15551230001,0001-01-01\n", contactsio.DoNotCallImportOptions{},
			contactsio.DoNotCallSummary{Rows: 1, Refused: 1, ByCode: map[string]int{"invalid": 1}},
			"2,expires_at,invalid,expires_at: must be a date such as 2026-11-27, or a time of RFC 3339,+15551230001,0001-01-01\r\n"},
		"numbers side by side": {"+15551230001,+1 555 123 0002\n+15551230003,asked on 2026-01-02\n+15551230004,+15551230004\n", contactsio.DoNotCallImportOptions{},
			contactsio.DoNotCallSummary{Rows: 3, Added: 2, Refused: 1, ByCode: map[string]int{"invalid": 1}},
			"1,phone_number,invalid,phone_number: is not the only number of the row; give each number a row, or name the column,+15551230001,+1 555 123 0002\r\n"},
		"columns of numbers": {"Phone;Mobile;reference\n+15551230001;+15551230002;x\n+15551230003;;+15551230004\n", contactsio.DoNotCallImportOptions{},
			contactsio.DoNotCallSummary{Rows: 2, Added: 1, Refused: 1, ByCode: map[string]int{"invalid": 1}},
			"2;phone_number;invalid;phone_number: is not the only number of the row; give each number a row, or name the column;+15551230001;+15551230002;x\r\n"},
		"a chosen column of numbers": {"Phone;Mobile\n+15551230001;+15551230002\n", contactsio.DoNotCallImportOptions{Column: "Mobile"}, contactsio.DoNotCallSummary{Rows: 1, Added: 1}, ""},
		"a column of its own":        {"a,b\nx,+15551230001\n", contactsio.DoNotCallImportOptions{Column: "B"}, contactsio.DoNotCallSummary{Rows: 1, Added: 1}, ""},
		"area codes": {"212,7365000\n212,7365001\n+1212,me\n012,0000000\n", contactsio.DoNotCallImportOptions{Region: "US"},
			contactsio.DoNotCallSummary{Rows: 4, Added: 2, Refused: 2, ByCode: map[string]int{"invalid": 2}},
			"4,phone_number,invalid,phone_number: has the digit 0 in front that belongs to no number; leave it out,0120000000\r\n" +
				"3,phone_number,invalid,phone_number: is too short for its country code,+1212,me\r\n"},
		"lost text": {"phone_number,reason\n+15551230001,J\xfcrgen\n+15551230002,Zoë\n+1,Zoë\n", contactsio.DoNotCallImportOptions{Encoding: "utf-8"},
			contactsio.DoNotCallSummary{Rows: 3, Added: 1, Refused: 2, ByCode: map[string]int{"encoding": 1, "invalid": 1}},
			"2,,encoding,holds bytes that are invalid in utf-8; if the file has another encoding, name it in the option Encoding,+15551230001,J\ufffdrgen\r\n" +
				"4,phone_number,invalid,phone_number: is not a phone number,+1,Zoë\r\n"},
		"grants": {"phone_number,reference\n+15551230001,form 1\n+15551230002,\n", contactsio.DoNotCallImportOptions{Grants: true, Reason: "asked for a call"},
			contactsio.DoNotCallSummary{Rows: 2, Added: 1, Refused: 1, ByCode: map[string]int{"required": 1}},
			"3,reference,required,reference: is required, because a consent that cannot be shown is none,+15551230002,\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := listing(t)
			tc.opts.Source, tc.opts.At = "list:test", at
			var refused bytes.Buffer
			tc.opts.Refused = &refused
			got, err := contactsio.ImportDoNotCall(t.Context(), f.Service, f.Key, strings.NewReader(tc.file), &tc.opts)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tc.want, got); diff != "" {
				t.Errorf("summary (-want +got):\n%s", diff)
			}
			file := refused.String()
			_, rows, _ := strings.Cut(file, "\r\n")
			if diff := cmp.Diff(tc.refused, strings.ReplaceAll(rows, `"`, "")); diff != "" {
				t.Errorf("refused rows (-want +got):\n%s", diff)
			}
			if got.Refused > 0 {
				opts := tc.opts
				var still strings.Builder
				opts.Encoding, opts.Refused = "", &still
				second, err := contactsio.ImportDoNotCall(t.Context(), f.Service, f.Key, strings.NewReader(file), &opts)
				if err != nil || second.Refused != second.Rows || !maps.Equal(second.ByCode, got.ByCode) {
					t.Errorf("the refused rows again: %+v, %v", second, err)
				}
				ends := func(file string) (header, last string) {
					header, _, _ = strings.Cut(file, "\r\n")
					return header, file[strings.LastIndexAny(file, ",;"):]
				}
				header, last := ends(file)
				if headerAgain, lastAgain := ends(still.String()); headerAgain != header || lastAgain != last {
					t.Errorf("the refused rows, refused again:\n%s", &still)
				}
			}
			if !tc.opts.Grants {
				again, err := contactsio.ImportDoNotCall(t.Context(), f.Service, f.Key, strings.NewReader(tc.file), &tc.opts)
				if err != nil || again.Added != 0 || again.Unchanged != got.Added+got.Unchanged {
					t.Errorf("the same list again: %+v, %v", again, err)
				}
			}
		})
	}
	t.Run("erased entries", testErasedEntries)
}

// A national number of a list is one of the list's region, whatever region the Service
// has for others.
func TestListHasItsOwnRegion(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, &contacts.Options{DefaultRegion: "DE", DoNotCallPermission: contacts.PermissionWriteContacts})
	const list = "phone,reason\n030 123456,a\n5551234501,b\n(212) 736-5000,c\n+49 30 123457,d\n,e\n"
	var refused bytes.Buffer
	got, err := contactsio.ImportDoNotCall(t.Context(), f.Service, f.Key, strings.NewReader(list), &contactsio.DoNotCallImportOptions{Region: "US", Refused: &refused})
	if err != nil {
		t.Fatal(err)
	}
	want := &contactsio.DoNotCallSummary{Rows: 5, Added: 2, Refused: 3, ByCode: map[string]int{"invalid": 2, "required": 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("summary (-want +got):\n%s\n%s", diff, refused.String())
	}
	var numbers []string
	for e, err := range f.Service.DoNotCallEntries(t.Context(), f.Key, contacts.ListDoNotCallInput{}) {
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, e.PhoneNumber)
	}
	slices.Sort(numbers)
	if diff := cmp.Diff([]string{"+12127365000", "+4930123457"}, numbers); diff != "" {
		t.Errorf("blocked (-want +got):\n%s", diff)
	}
}

// testErasedEntries exports the entries of an erased person. They have no number, so
// they block it here alone.
func testErasedEntries(t *testing.T) {
	t.Parallel()
	f, other := listing(t), listing(t)
	const number = "+15551230001"
	c, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{
		FirstName: "Ann", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number, DoNotCall: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Admin.EraseContact(t.Context(), contacts.EraseInput{AccountID: f.Account.ID, ContactID: c.ID, Suppress: true}); err != nil {
		t.Fatal(err)
	}
	for _, opts := range []contactsio.DoNotCallExportOptions{{}, {All: true}} {
		var file bytes.Buffer
		n, err := contactsio.ExportDoNotCall(t.Context(), f.Service, f.Key, &file, &opts)
		if err != nil || n == 0 || strings.Count(file.String(), "\r\n,block,") != n || strings.Contains(file.String(), number) {
			t.Errorf("%+v: %d entries, %v, in\n%s", opts, n, err, &file)
		}
		s, err := contactsio.ImportDoNotCall(t.Context(), other.Service, other.Key, &file, nil)
		if diff := cmp.Diff(&contactsio.DoNotCallSummary{Rows: n, Refused: n, ByCode: map[string]int{"required": n}}, s); err != nil || diff != "" {
			t.Errorf("%+v: imported elsewhere: %v; summary (-want +got):\n%s", opts, err, diff)
		}
	}
	if err := f.Service.CanCall(t.Context(), f.Key, number); contacts.CodeOf(err) != contacts.CodeDoNotCall {
		t.Errorf("the number here: %v", err)
	}
	if err := other.Service.CanCall(t.Context(), other.Key, number); err != nil {
		t.Errorf("the number elsewhere: %v", err)
	}
}

// TestListIsExported exports a list and imports it elsewhere.
func TestListIsExported(t *testing.T) {
	t.Parallel()
	f, other := listing(t), listing(t)
	const file = "phone_number,reason,expires_at\n+15551230001,=1+1,2100-01-01\n+15551230002,,\n"
	if s, err := contactsio.ImportDoNotCall(t.Context(), f.Service, f.Key, strings.NewReader(file), &contactsio.DoNotCallImportOptions{Source: "list:a"}); err != nil || s.Added != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	export := func(f *contactstest.Fixture) (rows []string) {
		var b bytes.Buffer
		n, err := contactsio.ExportDoNotCall(t.Context(), f.Service, f.Key, &b, nil)
		if err != nil || n != 2 {
			t.Fatal(n, err)
		}
		for l := range strings.Lines(b.String()) {
			cells := strings.Split(l, ",")
			rows = append(rows, strings.Join([]string{cells[0], cells[1], cells[4], cells[5], cells[6]}, ","))
		}
		slices.Sort(rows) // a step records in an order of its own
		return rows
	}
	rows := export(f)
	var b bytes.Buffer
	if _, err := contactsio.ExportDoNotCall(t.Context(), f.Service, f.Key, &b, nil); err != nil {
		t.Fatal(err)
	}
	if s, err := contactsio.ImportDoNotCall(t.Context(), other.Service, other.Key, &b, &contactsio.DoNotCallImportOptions{Source: "list:a"}); err != nil || s.Added != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	if diff := cmp.Diff(rows, export(other)); diff != "" {
		t.Errorf("the list elsewhere (-first +second):\n%s", diff)
	}
	if !strings.Contains(strings.Join(rows, "\n"), ",'=1+1") {
		t.Errorf("a formula is not marked: %q", rows)
	}
}

// TestListWithGrantsIsImportedInTwoParts exports blocks and a grant. Each import takes
// the rows of its own type and refuses the others, so neither turns one into the other.
func TestListWithGrantsIsImportedInTwoParts(t *testing.T) {
	t.Parallel()
	f, other := listing(t), listing(t)
	const allowed, blocked = "+15551230001", "+15551230002"
	for _, number := range []string{allowed, blocked} {
		if _, err := f.Service.BlockCalls(t.Context(), f.Key, contacts.DoNotCallInput{PhoneNumber: number}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Service.GrantCalls(t.Context(), f.Key, contacts.DoNotCallInput{PhoneNumber: allowed, Reason: "asked", Reference: "form 1"}); err != nil {
		t.Fatal(err)
	}
	var file, refused bytes.Buffer
	if _, err := contactsio.ExportDoNotCall(t.Context(), f.Service, f.Key, &file, &contactsio.DoNotCallExportOptions{All: true}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		file string
		opts contactsio.DoNotCallImportOptions
		want contactsio.DoNotCallSummary
	}{
		{file.String(), contactsio.DoNotCallImportOptions{Refused: &refused}, contactsio.DoNotCallSummary{Rows: 3, Added: 2, Refused: 1, ByCode: map[string]int{"invalid": 1}}},
		{file.String(), contactsio.DoNotCallImportOptions{Grants: true}, contactsio.DoNotCallSummary{Rows: 3, Added: 1, Refused: 2, ByCode: map[string]int{"invalid": 2}}},
		{"number,type\n+15551230003,mobile\n", contactsio.DoNotCallImportOptions{}, contactsio.DoNotCallSummary{Rows: 1, Added: 1}},
	} {
		got, err := contactsio.ImportDoNotCall(t.Context(), other.Service, other.Key, strings.NewReader(step.file), &step.opts)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&step.want, got); diff != "" {
			t.Errorf("summary with Grants %v (-want +got):\n%s", step.opts.Grants, diff)
		}
	}
	if !strings.Contains(refused.String(), ",type,invalid,") || !strings.Contains(refused.String(), allowed+",grant,") {
		t.Errorf("refused rows:\n%s", &refused)
	}
	if err := other.Service.CanCall(t.Context(), other.Key, allowed); err != nil {
		t.Errorf("the number with the grant: %v", err)
	}
	if err := other.Service.CanCall(t.Context(), other.Key, blocked); contacts.CodeOf(err) != contacts.CodeDoNotCall {
		t.Errorf("the number with a block: %v", err)
	}
}

// A fillingDisk takes a number of writes.
type fillingDisk struct {
	bytes.Buffer
	room int
}

func (d *fillingDisk) Write(p []byte) (int, error) {
	if d.room--; d.room < 0 {
		return 0, errors.New("no space left on device")
	}
	return d.Buffer.Write(p)
}

// Grants go on after the rows that were counted, so a refused row counts once it is in
// its file.
func TestRefusedGrantThatIsNotWrittenDoesNotCount(t *testing.T) {
	t.Parallel()
	f := listing(t)
	disk := &fillingDisk{room: 1}
	opts := contactsio.DoNotCallImportOptions{Grants: true, Reason: "asked", Refused: disk}
	got, err := contactsio.ImportDoNotCall(t.Context(), f.Service, f.Key, strings.NewReader("phone_number,reference\n+15551230001,a\nx,b\n+15551230002,c\ny,d\n+15551230003,e\n"), &opts)
	if err == nil {
		t.Error("it ended without an error")
	}
	want := &contactsio.DoNotCallSummary{Rows: 4, Added: 2, Refused: 1, ByCode: map[string]int{"invalid": 1}}
	if diff := cmp.Diff(want, got); diff != "" || !strings.HasSuffix(disk.String(), ",x,b\r\n") {
		t.Errorf("the file has %q, summary (-want +got):\n%s", disk, diff)
	}
}

func TestListErrors(t *testing.T) {
	t.Parallel()
	f := listing(t)
	for _, tc := range []struct{ file, column, want string }{
		{"", "", "the list is empty"},
		{"name,city\nA,B\n", "", "names no column of numbers"},
		{"phone,city\n+15551230001,B\n", "mobile", `DoNotCallImportOptions.Column is "mobile", and the first line of the list is "phone,city"`},
	} {
		opts := contactsio.DoNotCallImportOptions{Column: tc.column}
		if _, err := contactsio.ImportDoNotCall(t.Context(), f.Service, f.Key, strings.NewReader(tc.file), &opts); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v, want %q", tc.file, err, tc.want)
		}
	}
	for _, opts := range []contactsio.DoNotCallImportOptions{{Region: "us"}, {Encoding: "klingon"}, {Comma: '"'}} {
		summary, err := contactsio.ImportDoNotCall(t.Context(), f.Service, f.Key, strings.NewReader("+15551230001\n"), &opts)
		if summary != nil || !errors.Is(err, contactsio.ErrOption) || !strings.HasPrefix(err.Error(), "contactsio: DoNotCallImportOptions.") {
			t.Errorf("%+v: got %v, %v, want an error about that option", opts, summary, err)
		}
	}
	if _, err := contactsio.ImportDoNotCall(t.Context(), f.Service, "no key", strings.NewReader("+15551230001\n"), nil); contacts.CodeOf(err) != contacts.CodeInvalidKey {
		t.Errorf("another key: %v", err)
	}
}

// TestKeptDoNotCall imports a contact whose number is listed.
func TestKeptDoNotCall(t *testing.T) {
	t.Parallel()
	f := listing(t)
	if _, err := contactsio.ImportDoNotCall(t.Context(), f.Service, f.Key, strings.NewReader("+15551230001\n"), nil); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{
		"first_name,phone_number,do_not_call\nAnn,+15551230001,no\nBob,+15551230002,no\n",
		"{\"first_name\":\"Cid\",\"phone_numbers\":[{\"phone_number\":\"+1 (555) 123-0001\"},{\"phone_number\":\"+15551230002\"}]}\n",
	} {
		s, err := importFile(t, f, strings.NewReader(file), nil, nil)
		if err != nil || s.KeptDoNotCall != 1 || s.Notes["kept_do_not_call"] != 1 {
			t.Errorf("%+v, %v", s, err)
		}
	}
}

func ExampleImportDoNotCall() {
	ctx := context.Background()
	svc, key := serve(ctx)
	list := strings.NewReader("+15551234567\n+1 555 123 4568\n")
	summary, err := contactsio.ImportDoNotCall(ctx, svc, key, list, &contactsio.DoNotCallImportOptions{Source: "list:2026-11"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(summary.Rows, summary.Added)
	fmt.Println(svc.CanCall(ctx, key, "+15551234567") != nil)
	// Output:
	// 2 2
	// true
}

func ExampleExportDoNotCall() {
	ctx := context.Background()
	svc, key := serve(ctx)
	if _, err := svc.BlockCalls(ctx, key, contacts.DoNotCallInput{PhoneNumber: "+15551234567", Reason: "asked"}); err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer
	n, err := contactsio.ExportDoNotCall(ctx, svc, key, &file, nil)
	if err != nil {
		log.Fatal(err)
	}
	header, _, _ := strings.Cut(file.String(), "\r\n")
	fmt.Println(n, header)
	// Output: 1 phone_number,type,at,recorded_at,expires_at,source,reason,reference,contact_id,sequence
}
