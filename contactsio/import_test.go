package contactsio_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/contactstest"
	"example.com/contacts/store/memory"
)

// people is a CSV file of n rows that are right.
func people(n int) string {
	var b strings.Builder
	b.WriteString("first_name,last_name,phone_number\r\n")
	for i := range n {
		fmt.Fprintf(&b, "Ann,Example %d,+1555%07d\r\n", i, i)
	}
	return b.String()
}

func importFile(t testing.TB, f *contactstest.Fixture, file io.Reader, read *contactsio.ReadOptions, opts *contactsio.ImportOptions) (*contactsio.Summary, error) {
	t.Helper()
	r, err := contactsio.NewReader(file, read)
	if err != nil {
		t.Fatal(err)
	}
	s, err := contactsio.Import(t.Context(), f.Service, f.Key, r, opts)
	if s == nil {
		t.Fatal("no summary: ", err)
	}
	checkSum(t, s)
	return s, err
}

func checkSum(t testing.TB, s *contactsio.Summary) {
	t.Helper()
	if sum := s.Created + s.Updated + s.Unchanged + s.Existing + s.Restored + s.Replayed + s.Refused + s.NotStored; s.Rows != sum {
		t.Errorf("%d rows, and the sum is %d: %+v", s.Rows, sum, s)
	}
}

func stored(t testing.TB, svc *contacts.Service, key string) map[string]int {
	t.Helper()
	names := make(map[string]int)
	for c, err := range svc.Contacts(t.Context(), key, contacts.ListContactsInput{}) {
		if err != nil {
			t.Fatal(err)
		}
		names[c.LastName]++
	}
	return names
}

// each fails unless each of n people is stored once.
func each(t testing.TB, svc *contacts.Service, key string, n int) {
	t.Helper()
	names := stored(t, svc, key)
	for i := range n {
		if name := fmt.Sprintf("Example %d", i); names[name] != 1 {
			t.Fatalf("%s is stored %d times", name, names[name])
		}
	}
	if len(names) != n {
		t.Errorf("%d people are stored, want %d", len(names), n)
	}
}

func TestImportAgain(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	file := people(1100) + ",,\nAnn,Example 3,+15550000003\n"
	s, err := importFile(t, f, strings.NewReader(file), nil, nil)
	if err != nil || s.Rows != 1101 || s.Created != 1100 || s.Replayed != 1 || s.Blank != 1 || s.Next != nil {
		t.Errorf("first: %+v, %v", s, err)
	}
	if s, err = importFile(t, f, strings.NewReader(file), nil, nil); err != nil || s.Created != 0 || s.Replayed != 1101 {
		t.Errorf("again: %+v, %v", s, err)
	}
	if s, err = importFile(t, f, strings.NewReader(file), nil, &contactsio.ImportOptions{Job: "other"}); err != nil || s.Created != 1100 {
		t.Errorf("another job: %+v, %v", s, err)
	}
}

func TestMendedFile(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	const file = "first_name,phone_number,email\nAnn,+15551230001,\nBob,555 123,\n,,\nCid,+15551230002,nobody\nDan,+15551230003,,x\nEve,\"x\nFay,+15551230004,\n"
	var refused, report bytes.Buffer
	s, err := importFile(t, f, strings.NewReader(file), nil, &contactsio.ImportOptions{Refused: &refused, Report: &report})
	want := &contactsio.Summary{Rows: 6, Created: 2, Refused: 4, Blank: 1, ByCode: map[string]int{"invalid": 2, "too_many_fields": 1, "csv": 1}}
	if diff := cmp.Diff(want, s, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Notes" }, cmp.Ignore())); diff != "" || err != nil {
		t.Errorf("%v; summary (-want +got):\n%s", err, diff)
	}
	const wantRefused = "error_line,error_field,error_code,error_message,first_name,phone_number,email\r\n" +
		"3,phone_numbers[0].phone_number,invalid,\"phone_numbers[0].phone_number: must start with + and the country code, or the option Region must say whose number it is\",Bob,555 123,\r\n" +
		"5,email,invalid,email: must be one bare address such as name@example.com,Cid,+15551230002,nobody\r\n" +
		"6,,too_many_fields,\"the row has 4 fields, and the header 3\",Dan,+15551230003,,x\r\n" +
		"7,,csv,\"the row cannot be parsed: extraneous or missing \"\" in quoted-field\",\"Eve,\"\"x\"\r\n"
	if diff := cmp.Diff(wantRefused, refused.String()); diff != "" {
		t.Errorf("refused rows (-want +got):\n%s", diff)
	}
	var results []string
	for l := range strings.Lines(report.String()) {
		var e struct {
			Number, Line int
			Result       string
		}
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatal(err)
		}
		results = append(results, fmt.Sprint(e.Number, " ", e.Line, " ", e.Result))
	}
	if diff := cmp.Diff([]string{"1 2 created", "2 3 refused", "3 5 refused", "4 6 refused", "5 7 refused", "6 8 created"}, results); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}

	// The refused rows, mended and given again.
	mended := strings.NewReplacer("555 123", "+15551230005", "nobody", "cid@example.com", ",,x", ",", "\"Eve,\"\"x\"", "Eve,,").Replace(refused.String())
	refused.Reset()
	if s, err = importFile(t, f, strings.NewReader(mended), nil, &contactsio.ImportOptions{Refused: &refused}); err != nil || s.Created != 4 || s.Rows != 4 {
		t.Errorf("the mended rows: %+v, %v", s, err)
	}
	if refused.Len() > 0 {
		t.Errorf("refused: %s", &refused)
	}

	// The whole file, mended, with one more line at the top.
	whole := strings.NewReplacer("\nAnn", "\nZoe,,\nAnn", "555 123", "+15551230005", "nobody", "cid@example.com", ",,x", ",", "\"x", ",").Replace(file)
	if s, err = importFile(t, f, strings.NewReader(whole), nil, nil); err != nil || s.Created != 1 || s.Replayed != 6 {
		t.Errorf("the whole file: %+v, %v", s, err)
	}
}

// TestUnmendedRowIsRefusedAgain gives the refused rows of a file again as they are: as
// they were written, and as a spreadsheet saves them.
func TestUnmendedRowIsRefusedAgain(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	const file = "first_name,company,city\nAnn,\"x\ny,z\n\"Bob\nq\nr\" s,t\nEve \"E\",,\nFay,,Rome\n"
	var refused bytes.Buffer
	opts := &contactsio.ImportOptions{Refused: &refused}
	s, err := importFile(t, f, strings.NewReader(file), nil, opts)
	byCode := map[string]int{"csv": 4, "too_few_fields": 2}
	if diff := cmp.Diff(byCode, s.ByCode); diff != "" || err != nil || s.Created != 1 {
		t.Fatalf("%+v, %v; codes (-want +got):\n%s", s, err, diff)
	}
	first := refused.String()
	for name, text := range map[string]string{
		"as it was written":         first,
		"saved by a spreadsheet":    withAllCells(t, first),
		"saved without some quotes": strings.Replace(first, "\"y,z\"", "y,z", 1),
	} {
		refused.Reset()
		s, err = importFile(t, f, strings.NewReader(text), nil, opts)
		if diff := cmp.Diff(byCode, s.ByCode); diff != "" || err != nil || s.Refused != s.Rows {
			t.Errorf("%s: %+v, %v, of\n%s; codes (-want +got):\n%s", name, s, err, text, diff)
		}
		if diff := cmp.Diff(strings.Split(first, "\r\n")[0], strings.Split(refused.String(), "\r\n")[0]); diff != "" {
			t.Errorf("%s: header of the refused rows (-want +got):\n%s", name, diff)
		}
		if !strings.Contains(refused.String(), ",\"Eve \"\"E\"\",,\"") {
			t.Errorf("%s: the text of the last row has changed:\n%s", name, &refused)
		}
	}

	header, _, _ := strings.Cut(first, "\r\n")
	for row, want := range map[string]string{
		`2,,csv,x,Ann,,`:                                      "Ann",
		`2,,csv,x,"Ann ""E""",Sons,`:                          "Ann \"E\"",
		`2,,,x,"Ann ""E""",,`:                                 "Ann \"E\"",
		`2,,too_few_fields,x,y,z,`:                            "y",
		`2,,,x,y`:                                             "y",
		`2,first_name,too_long,x,"Ann ""E""",,`:               "Ann \"E\"",
		`2,,too_many_fields,x,Ann`:                            "Ann",
		"2,,too_few_fields,x,y,,\n3,,invalid,x,Bob":           "!too_few_fields Bob", // a short row is not the rest of a row that is not mended
		"2,,csv,x,\"Ann \"\"E\"\",,\n3,,csv,x,\"Bob,\"\"\",,": "!csv !csv",
	} {
		if got := strings.Join(names(read(t, strings.NewReader(header+"\n"+row+"\n"), nil)), " "); got != want {
			t.Errorf("%s: got %s, want %s", row, got, want)
		}
	}
}

// TestSeparatorOfRefusedRows gives refused rows again that differ in how many fields they
// have, and agree in another separator.
func TestSeparatorOfRefusedRows(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	for file, opts := range map[string]*contactsio.ReadOptions{
		"first_name,tags\nAnn,a;b,1\nBob,a;b,1,2\nCid,a;b,1,2,3\n": {Comma: ','},
		"first_name^tags\nAnn^a;b^1\nBob^a;b^1^2\nCid^a;b^1^2^3\n": {Comma: '^'},
	} {
		text := file
		for range 2 {
			var refused bytes.Buffer
			s, err := importFile(t, f, strings.NewReader(text), opts, &contactsio.ImportOptions{Refused: &refused})
			if err != nil || s.Rows != 3 || s.ByCode["too_many_fields"] != 3 {
				t.Errorf("%+v, %v, of\n%s", s, err, text)
			}
			text, opts = refused.String(), nil
		}
	}
}

// The refused rows of a file without a header have one. They are mended and given again
// with the same options.
func TestMendedFileWithoutAHeader(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	opts := &contactsio.ReadOptions{NoHeader: true, Map: map[string]string{"1": "first_name", "3": "email"}}
	text := "Ann,x,nobody\nBob,x,bob@example.com\n"
	for range 2 {
		var refused bytes.Buffer
		if s, err := importFile(t, f, strings.NewReader(text), opts, &contactsio.ImportOptions{Refused: &refused}); err != nil || s.Refused != 1 {
			t.Errorf("%+v, %v, of\n%s", s, err, text)
		}
		text = refused.String()
	}
	mended := strings.ReplaceAll(text, "nobody", "ann@example.com")
	if s, err := importFile(t, f, strings.NewReader(mended), opts, nil); err != nil || s.Rows != 1 || s.Created != 1 {
		t.Errorf("mended: %+v, %v, of\n%s", s, err, mended)
	}
}

// withAllCells gives each row of a CSV file as many cells as the header has.
func withAllCells(t testing.TB, file string) string {
	t.Helper()
	r := csv.NewReader(strings.NewReader(file))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		rows[i] = append(rows[i], make([]string, len(rows[0])-len(rows[i]))...)
	}
	var b strings.Builder
	if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRefusedCardsAndLines(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	for file, want := range map[string]string{
		"BEGIN:VCARD\nVERSION:3.0\nN:A;B\nEMAIL:nobody\nEND:VCARD\nBEGIN:VCARD\nN:C\n": "BEGIN:VCARD\nVERSION:3.0\nN:A;B\nEMAIL:nobody\n" +
			"X-CONTACTS-ERROR:invalid: email: must be one bare address such as name@example.com\r\nEND:VCARD\r\n" +
			"BEGIN:VCARD\nN:C\r\nX-CONTACTS-ERROR:vcard: the card has no END:VCARD\r\n",
		"{\"first_name\":\"A\"}\n{\"first_name\":\"B\",\"x\":1}\n{\n": "{\"first_name\":\"B\",\"x\":1}\n{\n",
	} {
		var refused bytes.Buffer
		if _, err := importFile(t, f, strings.NewReader(file), nil, &contactsio.ImportOptions{Refused: &refused}); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, refused.String()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", file, diff)
		}
	}
}

// TestUnmendedCardIsRefusedAgain gives refused cards again as they are, and mended.
func TestUnmendedCardIsRefusedAgain(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	const file = "BEGIN:VCARD\nN:;A\nNOTE:END:VCARD\r\nBEGIN:VCARD\nN:;B\nEMAIL:nobody\nEND:VCARD\nBEGIN:VCARD\nN:;C\n"
	long := "BEGIN:VCARD\nN:;D\nNOTE:" + strings.Repeat("x", 300) + "\nEND:VCARD\n"
	var refused bytes.Buffer
	opts := &contactsio.ImportOptions{Refused: &refused}
	text := long + file
	for range 3 {
		s, err := importFile(t, f, strings.NewReader(text), &contactsio.ReadOptions{MaxRow: 200}, opts)
		if err != nil || s.Rows != 4 || s.Refused != 4 {
			t.Errorf("%+v, %v, of\n%s", s, err, text)
		}
		text = refused.String()
		refused.Reset()
	}
	if n := strings.Count(text, "X-CONTACTS-ERROR"); n != 4 {
		t.Errorf("%d reasons for 4 cards:\n%s", n, text)
	}
	mended := strings.ReplaceAll(strings.ReplaceAll(text, "\r\nBEGIN", "\r\nEND:VCARD\r\nBEGIN"), "nobody", "b@example.com") + "END:VCARD\r\n"
	if s, err := importFile(t, f, strings.NewReader(mended), nil, opts); err != nil || s.Created != 4 || len(s.Ignored) > 0 {
		t.Errorf("mended: %+v, %v, of\n%s", s, err, mended)
	}
}

// TestLostTextIsRefusedAgain gives refused rows with text that could not be decoded again
// as they are, and mended. The rows beside them are read as what they are.
func TestLostTextIsRefusedAgain(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"csv":   "first_name,email\nA\xff,\nZoë,nobody\n",
		"vcard": "BEGIN:VCARD\nN:;A\xff\nEND:VCARD\nBEGIN:VCARD\nN:;Zoë\nEMAIL:nobody\nEND:VCARD\n",
		"jsonl": "{\"first_name\":\"A\xff\"}\n{\"first_name\":\"Zoë\",\"email\":\"nobody\"}\n",
	} {
		for _, encoding := range []string{"utf-8", "shift_jis"} {
			t.Run(name+" in "+encoding, func(t *testing.T) {
				t.Parallel()
				f := contactstest.New(t, nil)
				text := file
				if encoding != "utf-8" {
					text = strings.ReplaceAll(file, "Zoë", "\x93\x63")
				}
				var refused bytes.Buffer
				opts := &contactsio.ImportOptions{Refused: &refused}
				read := &contactsio.ReadOptions{Encoding: encoding}
				for range 3 {
					s, err := importFile(t, f, strings.NewReader(text), read, opts)
					if err != nil || s.Refused != 2 || s.ByCode["invalid"] != 1 {
						t.Errorf("%+v, %v, of\n%q", s, err, text)
					}
					text, read = refused.String(), nil
					refused.Reset()
				}
				mended := strings.NewReplacer("\ufffd", "é", "\xff", "é", "nobody", "z@example.com", "\r\nBEGIN", "\r\nEND:VCARD\r\nBEGIN").Replace(text)
				if s, err := importFile(t, f, strings.NewReader(mended), nil, opts); err != nil || s.Created != 2 {
					t.Errorf("mended: %+v, %v, of\n%q", s, err, mended)
				}
				var got []string
				for c, err := range f.Service.Contacts(t.Context(), f.Key, contacts.ListContactsInput{}) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, c.FirstName)
				}
				if want := map[string][]string{"utf-8": {"Zoë", "Aé"}, "shift_jis": {"田", "Aé"}}[encoding]; !slices.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		}
	}
}

// TestRefusedCardsWithCharsets gives cards again whose charsets stand against windows-1252.
func TestRefusedCardsWithCharsets(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	const file = "BEGIN:VCARD\nVERSION:2.1\nN;CHARSET=windows-1251:\xcf\xf0;\n \xc8\xe2\nTITLE:gr\xfc\xdfe\nNOTE;QUOTED-PRINTABLE;CHARSET=UTF-8:a=C3=BC=\n=0D=0Ab\nEMAIL:nobody\nEND:VCARD\n" +
		"BEGIN:VCARD\n N:A\nN;CHARSET=klingon:\xcf;\xc8\nEND:VCARD\n"
	text := file
	for range 3 {
		var refused bytes.Buffer
		if s, err := importFile(t, f, strings.NewReader(text), nil, &contactsio.ImportOptions{Refused: &refused}); err != nil || s.Refused != 2 {
			t.Errorf("%+v, %v, of\n%s", s, err, text)
		}
		text = refused.String()
	}
	rows := read(t, strings.NewReader(strings.Replace(text, "nobody", "iv@example.com", 1)), nil)
	want := contacts.CreateContactInput{
		FirstName: "Ив", LastName: "Пр", Email: "iv@example.com", CustomContext: map[string]any{"title": "grüße", "note": "aü\nb"},
	}
	if diff := cmp.Diff(want, rows[0].Contact); diff != "" || rows[0].Problems != nil {
		t.Errorf("%v, of\n%s\n(-want +got):\n%s", rows[0].Problems, text, diff)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	opts := &contactsio.ImportOptions{
		Tags: []string{"import"},
		Defaults: contacts.CreateContactInput{
			LastName: "Example", Country: "DE", TeamID: f.Team.ID, Tags: []string{"none"}, CustomContext: map[string]any{"from": "file"},
		},
	}
	if s, err := importFile(t, f, strings.NewReader("first_name,last_name,tags\nAnn,,\nBob,Other,vip\n"), nil, opts); err != nil || s.Created != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	var got []string
	for c, err := range f.Service.Contacts(t.Context(), f.Key, contacts.ListContactsInput{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %s %s %t %v %v", c.FirstName, c.LastName, c.Country, c.TeamID == f.Team.ID, c.Tags, c.CustomContext))
	}
	if diff := cmp.Diff([]string{"Bob Other DE true [vip import] map[from:file]", "Ann Example DE true [none import] map[from:file]"}, got); diff != "" {
		t.Errorf("contacts (-want +got):\n%s", diff)
	}
}

var errStop = errors.New("stop")

// TestGoOn ends an import early in every way, and goes on where it ended.
func TestGoOn(t *testing.T) {
	t.Parallel()
	const n = 1100
	utf8File := strings.Replace(people(n), "Example 7,", "\"x,", 1) // row 8 cannot be parsed
	utf8File = strings.Replace(utf8File, "\"x,", "\"x\"y,", 1)
	for name, file := range map[string]string{
		"utf-8":   "\ufeff" + utf8File,
		"utf-16":  "\xff\xfe" + utf16Text(utf8File, binary.LittleEndian),
		"returns": strings.ReplaceAll(utf8File, "\r\n", "\r"),
	} {
		for way, end := range map[string]func(cancel func(), o *contactsio.ImportOptions){
			"context": func(cancel func(), o *contactsio.ImportOptions) {
				o.Progress = func(p contactsio.Progress) {
					if p.Rows == 1000 {
						cancel()
					}
				}
			},
			"checkpoint": func(_ func(), o *contactsio.ImportOptions) {
				o.Checkpoint = func(contactsio.Position) error { return errStop }
			},
			"refused": func(_ func(), o *contactsio.ImportOptions) { o.StopAfter = 1 },
			"report":  func(_ func(), o *contactsio.ImportOptions) { o.Report = failingWriter{} },
		} {
			for _, seeks := range []bool{true, false} {
				t.Run(fmt.Sprint(name, "/", way, "/seeks=", seeks), func(t *testing.T) {
					t.Parallel()
					open := func() io.Reader {
						if seeks {
							return strings.NewReader(file)
						}
						return io.MultiReader(strings.NewReader(file))
					}
					f := contactstest.New(t, nil)
					r, err := contactsio.NewReader(open(), nil)
					if err != nil {
						t.Fatal(err)
					}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					opts := &contactsio.ImportOptions{Job: "job"}
					end(cancel, opts)
					first, err := contactsio.Import(ctx, f.Service, f.Key, r, opts)
					if first == nil || first.Next == nil {
						t.Fatalf("no place to go on: %+v, %v", first, err)
					}
					checkSum(t, first)
					if want := map[string]error{"context": context.Canceled, "checkpoint": errStop, "refused": nil, "report": errStop}[way]; !errors.Is(err, want) {
						t.Errorf("got %v, want %v", err, want)
					}
					text, err := json.Marshal(first.Next)
					if err != nil {
						t.Fatal(err)
					}
					var from contactsio.Position
					if err := json.Unmarshal(text, &from); err != nil {
						t.Fatal(err)
					}
					second, err := importFile(t, f, open(), &contactsio.ReadOptions{From: from}, &contactsio.ImportOptions{Job: "job"})
					if err != nil || second.Next != nil {
						t.Fatalf("%+v, %v", second, err)
					}
					if second.Rows != n || second.Created != n-1 || second.Refused != 1 || second.Replayed != 0 {
						t.Errorf("in all: %+v", second)
					}
				})
			}
		}
	}
}

// A fullDisk takes a number of bytes.
type fullDisk struct {
	bytes.Buffer
	left int
}

func (d *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), d.left)
	d.left -= n
	d.Buffer.Write(p[:n])
	if n < len(p) {
		return n, errStop
	}
	return n, nil
}

// No refused row is lost where they cannot be written: the next import refuses it again.
func TestGoOnAfterALostRefusedRow(t *testing.T) {
	t.Parallel()
	const n = 2500
	file := strings.ReplaceAll(people(n), "+1555", "no ")
	for _, left := range []int{0, 200_000, 1 << 20} {
		for _, checkpoints := range []bool{false, true} {
			f := contactstest.New(t, nil)
			disk := &fullDisk{left: left}
			opts := &contactsio.ImportOptions{Refused: disk}
			if checkpoints {
				opts.Checkpoint = func(contactsio.Position) error { return nil }
			}
			first, err := importFile(t, f, strings.NewReader(file), nil, opts)
			if fits := left > 500_000; fits != (err == nil) {
				t.Fatalf("a disk of %d bytes: %v", left, err)
			}
			checkSum(t, first)
			var rest bytes.Buffer
			if first.Next != nil {
				if _, err := importFile(t, f, strings.NewReader(file), &contactsio.ReadOptions{From: *first.Next}, &contactsio.ImportOptions{Refused: &rest}); err != nil {
					t.Fatal(err)
				}
			}
			rows := make(map[string]bool)
			for _, text := range []string{disk.String(), rest.String()} {
				for line := range strings.Lines(text) {
					if _, row, ok := strings.Cut(line, "Ann,"); ok && strings.HasSuffix(row, "\n") {
						rows[row] = true
					}
				}
			}
			if len(rows) != n {
				t.Errorf("a disk of %d bytes, checkpoints %t: %d rows are in the files, want %d", left, checkpoints, len(rows), n)
			}
		}
	}
}

// A failingWriter takes nothing.
type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errStop }

func TestStopAfterIsNotNegative(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	r, err := contactsio.NewReader(strings.NewReader(people(1)), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := contactsio.Import(t.Context(), f.Service, f.Key, r, &contactsio.ImportOptions{StopAfter: -1})
	if s != nil || !errors.Is(err, contactsio.ErrOption) || !strings.HasPrefix(err.Error(), "contactsio: ImportOptions.StopAfter is -1") {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestGoOnWithAnotherJob(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	file := people(10)
	s, err := importFile(t, f, strings.NewReader(strings.Replace(file, "Example 3", "\"x\"y", 1)), nil, &contactsio.ImportOptions{Job: "a", StopAfter: 1})
	if err != nil || s.Next == nil {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := contactsio.NewReader(strings.NewReader(file), &contactsio.ReadOptions{From: *s.Next}); err == nil {
		t.Error("another file is taken")
	}
	r, err := contactsio.NewReader(strings.NewReader(strings.Replace(file, "Example 3", "\"x\"y", 1)), &contactsio.ReadOptions{From: *s.Next})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := contactsio.Import(t.Context(), f.Service, f.Key, r, &contactsio.ImportOptions{Job: "b"}); err == nil || !strings.Contains(err.Error(), "the same job") {
		t.Errorf("another job: %v", err)
	}
}

// A flakyStore fails its writes from one on. Every other failing write is stored all
// the same, and its answer is lost.
type flakyStore struct {
	contacts.Store
	left, failed int
}

func (s *flakyStore) Apply(ctx context.Context, b contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	if s.left--; s.left >= 0 {
		return s.Store.Apply(ctx, b)
	}
	if s.failed++; s.failed%2 == 1 {
		if _, err := s.Store.Apply(ctx, b); err != nil {
			return nil, err
		}
		return nil, contacts.ErrOutcomeUnknown
	}
	return nil, errStop
}

// TestServerError lets writes of the store fail until the import is through.
func TestServerError(t *testing.T) {
	t.Parallel()
	const n = 27
	file := people(n)
	rapid.Check(t, func(rt *rapid.T) {
		store := &flakyStore{Store: memory.New()}
		defer store.Close()
		admin := contacts.NewAdmin(store, nil)
		account, err := admin.CreateAccount(t.Context(), "Example")
		if err != nil {
			rt.Fatal(err)
		}
		key, _, err := admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: account.ID, Permissions: []contacts.Permission{contacts.PermissionReadContacts}, AllTeams: true})
		if err != nil {
			rt.Fatal(err)
		}
		svc, err := contacts.New(store, &contacts.Options{Limits: contacts.Limits{Batch: 10}})
		if err != nil {
			rt.Fatal(err)
		}
		var from contactsio.Position
		for {
			store.left = rapid.IntRange(0, 4).Draw(rt, "writes")
			r, err := contactsio.NewReader(strings.NewReader(file), &contactsio.ReadOptions{From: from})
			if err != nil {
				rt.Fatal(err)
			}
			s, err := contactsio.Import(t.Context(), svc, key, r, nil)
			checkSum(t, s)
			if s.Next == nil {
				if err != nil || s.Rows != n || s.Created+s.Replayed != n {
					rt.Errorf("%+v, %v", s, err)
				}
				break
			}
			if contacts.CodeOf(err) != contacts.CodeServerError || s.NotStored == 0 {
				rt.Errorf("%+v, %v", s, err)
			}
			if rapid.Bool().Draw(rt, "goes on") {
				from = *s.Next
			}
		}
		each(t, svc, key, n)
	})
}

// An import that stops leaves the rows that it has not given to the Service to the next
// user of the reader.
func TestReaderGoesOnAfterAnImport(t *testing.T) {
	t.Parallel()
	const n = 3500
	f := contactstest.New(t, nil)
	r, err := contactsio.NewReader(strings.NewReader("first_name,email\nAnn,no address\n"+strings.Repeat("Ann,\n", n-1)), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := contactsio.Import(t.Context(), f.Service, f.Key, r, &contactsio.ImportOptions{StopAfter: 1})
	if err != nil || s.Next == nil {
		t.Fatalf("%+v, %v", s, err)
	}
	last := s.Next.Row
	var rest []int
	for row, err := range r.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		rest = append(rest, row.Number)
	}
	if len(rest) != n-last || rest[0] != last+1 || rest[len(rest)-1] != n {
		t.Errorf("the import ended with row %d, and then %d rows came, want %d", last, len(rest), n-last)
	}
}

// A panickingReader panics after its text.
type panickingReader struct{ io.Reader }

func (r panickingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil {
		panic("the file has gone")
	}
	return n, nil
}

// The file is read in a goroutine of the import. A panic there would end the program.
func TestPanicOfTheFileReachesTheCaller(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	r, err := contactsio.NewReader(panickingReader{strings.NewReader(people(20_000))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if got := recover(); got != "the file has gone" {
			t.Errorf("recovered %v", got)
		}
	}()
	_, err = contactsio.Import(t.Context(), f.Service, f.Key, r, nil)
	t.Errorf("Import returned %v", err)
}

// TestCounts imports garbage: every row is counted, and nothing panics.
func TestCounts(t *testing.T) {
	t.Parallel()
	parts := rapid.SampledFrom([]string{
		"a", "Ann", "+15551234567", ",", ";", "\n", "\r\n", "\"", "\"\"", "\x00", "\xff", "=1", "BEGIN:VCARD\n", "END:VCARD\n", "N:A;B\n", "TEL:+15551234567\n",
		"AGENT:\n", "PHOTO:x\n", "{\"first_name\":\"A\"}\n", "{", "[1]", "VERSION:2.1\n", "NOTE;ENCODING=QUOTED-PRINTABLE:=C3=\n", " folded\n", "\ufeff",
	})
	heads := rapid.SampledFrom([]string{"first_name,phone_number\n", "BEGIN:VCARD\n", "{\"first_name\":\"A\"}\n", "Given Name,Phone 1 - Type,Phone 1 - Value\n"})
	f := contactstest.New(t, nil)
	rapid.Check(t, func(rt *rapid.T) {
		file := heads.Draw(rt, "head") + strings.Join(rapid.SliceOfN(parts, 0, 40).Draw(rt, "parts"), "")
		r, err := contactsio.NewReader(strings.NewReader(file), &contactsio.ReadOptions{MaxRow: 50})
		if err != nil {
			return
		}
		rows := 0
		s, err := contactsio.Import(t.Context(), f.Service, f.Key, r, &contactsio.ImportOptions{Progress: func(p contactsio.Progress) { rows = p.Rows }})
		if err != nil || s.Next != nil || rows != s.Rows {
			rt.Errorf("%q: %+v, %v", file, s, err)
		}
		checkSum(t, s)
	})
}

func TestRefusedKey(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	r, err := contactsio.NewReader(strings.NewReader(people(3)), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := contactsio.Import(t.Context(), f.Service, "no key", r, nil)
	if contacts.CodeOf(err) != contacts.CodeInvalidKey || s.Rows != 0 || s.Next == nil || s.Next.Line != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}
