package contactsio_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/contactsio"
)

// utf16Text encodes text in UTF-16.
func utf16Text(text string, order binary.ByteOrder) string {
	var b bytes.Buffer
	if err := binary.Write(&b, order, utf16.Encode([]rune(text))); err != nil {
		panic(err)
	}
	return b.String()
}

// names returns the first names of rows; a refused one is its code.
func names(rows []contactsio.Row) (all []string) {
	for _, row := range rows {
		if row.Problems != nil {
			all = append(all, "!"+row.Problems[0].Code)
			continue
		}
		all = append(all, row.Contact.FirstName)
	}
	return all
}

func TestDialects(t *testing.T) {
	t.Parallel()
	const plain = "first_name,last_name\r\nJürgen,Müller\r\n"
	for name, tc := range map[string]struct {
		text  string
		opts  contactsio.ReadOptions
		want  []string
		comma rune
		code  string
	}{
		"comma":                      {plain, contactsio.ReadOptions{}, []string{"Jürgen"}, ',', "utf-8"},
		"semicolon":                  {"first_name;last_name\nA;1,5\nB;2,5\n", contactsio.ReadOptions{}, []string{"A", "B"}, ';', "utf-8"},
		"tab":                        {"first_name\tlast_name\nA\tB\n", contactsio.ReadOptions{}, []string{"A"}, '\t', "utf-8"},
		"bar":                        {"first_name|last_name\nA|B\n", contactsio.ReadOptions{}, []string{"A"}, '|', "utf-8"},
		"stated":                     {"sep=;\r\nfirst_name;last_name\r\nA,;B\r\n", contactsio.ReadOptions{}, []string{"A,"}, ';', "utf-8"},
		"given":                      {"first_name#last_name\nA#B\n", contactsio.ReadOptions{Comma: '#'}, []string{"A"}, '#', "utf-8"},
		"semicolons in quoted cells": {"first_name,tags\n\"A\",\"x;y;z\"\n\"B\",\"x;y\"\n", contactsio.ReadOptions{}, []string{"A", "B"}, ',', "utf-8"},
		"one column":                 {"first_name\nA\n\nB\n", contactsio.ReadOptions{}, []string{"A", "B"}, ',', "utf-8"},
		"mark":                       {"\ufeff" + plain, contactsio.ReadOptions{}, []string{"Jürgen"}, ',', "utf-8"},
		"utf-16le with a mark":       {"\xff\xfe" + utf16Text(plain, binary.LittleEndian), contactsio.ReadOptions{}, []string{"Jürgen"}, ',', "utf-16le"},
		"utf-16be with a mark":       {"\xfe\xff" + utf16Text(plain, binary.BigEndian), contactsio.ReadOptions{}, []string{"Jürgen"}, ',', "utf-16be"},
		"utf-16le":                   {utf16Text(plain, binary.LittleEndian), contactsio.ReadOptions{}, []string{"Jürgen"}, ',', "utf-16le"},
		"utf-16be":                   {utf16Text(plain, binary.BigEndian), contactsio.ReadOptions{}, []string{"Jürgen"}, ',', "utf-16be"},
		"utf-16le, a byte of it NUL": {utf16Text(strings.Replace(plain, "Müller", "Ā😀", 1), binary.LittleEndian), contactsio.ReadOptions{}, []string{"Jürgen"}, ',', "utf-16le"},
		"utf-16be, a byte of it NUL": {utf16Text(strings.Replace(plain, "Müller", "Ā😀", 1), binary.BigEndian), contactsio.ReadOptions{}, []string{"Jürgen"}, ',', "utf-16be"},
		"windows-1252":               {"first_name,last_name\nJ\xfcrgen,\x80\n", contactsio.ReadOptions{}, []string{"Jürgen"}, ',', "windows-1252"},
		"named":                      {"first_name,last_name\n\xcf\xf0\xe8\xe2\xe5\xf2,x\n", contactsio.ReadOptions{Encoding: "windows-1251"}, []string{"Привет"}, ',', "windows-1251"},
		"titles above the header":    {"My contacts\n\n,,\nfirst_name,last_name\nA,B\n", contactsio.ReadOptions{}, []string{"A"}, ',', "utf-8"},
		"one known name":             {"Email\na@example.com\n", contactsio.ReadOptions{}, []string{"a"}, ',', "utf-8"},
		"no header":                  {"A,B\nC,D\n", contactsio.ReadOptions{NoHeader: true, Map: map[string]string{"1": "first_name", "2": "last_name"}}, []string{"A", "C"}, ',', "utf-8"},
		"other names":                {"Vorname,Nachname\nA,B\n", contactsio.ReadOptions{Map: map[string]string{"Vorname": "first_name", "nachname": "last_name"}}, []string{"A"}, ',', "utf-8"},
		"no line break at the end":   {"first_name,last_name\nA,B", contactsio.ReadOptions{}, []string{"A"}, ',', "utf-8"},
		"header alone":               {"first_name,last_name\n", contactsio.ReadOptions{}, nil, ',', "utf-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := contactsio.NewReader(strings.NewReader(tc.text), &tc.opts)
			if err != nil {
				t.Fatal(err)
			}
			p, err := r.Preview(10)
			if err != nil {
				t.Fatal(err)
			}
			if p.Comma != tc.comma || p.Encoding != tc.code || p.Format != contactsio.FormatCSV {
				t.Errorf("got %q, %s, %s; want %q, %s", p.Comma, p.Encoding, p.Format, tc.comma, tc.code)
			}
			if diff := cmp.Diff(tc.want, names(rowsOf(t, r))); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("csv-spectrum", testSpectrum)
}

func TestFormats(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]contactsio.Format{
		"\ufeff\r\n begin:vcard\nEND:VCARD\n": contactsio.FormatVCard,
		"\n{\"first_name\":\"A\"}\n":          contactsio.FormatJSONLines,
		"first_name\nA\n":                     contactsio.FormatCSV,
	} {
		r, err := contactsio.NewReader(strings.NewReader(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := r.Preview(0); err != nil || p.Format != want {
			t.Errorf("%q: %+v, %v; want %s", text, p, err, want)
		}
	}
}

// TestJSONLinesAreUTF8 refuses the lines of JSON that are not, and no others.
func TestJSONLinesAreUTF8(t *testing.T) {
	t.Parallel()
	const file = "{\"first_name\":\"Müller\"}\n{\"first_name\":\"Bj\xf6rn\"}\n"
	for name, tc := range map[string]struct {
		file string
		opts contactsio.ReadOptions
		want []string
	}{
		"found out":               {file, contactsio.ReadOptions{}, []string{"Müller", "!encoding"}},
		"given":                   {"Jos\xe9\n" + file, contactsio.ReadOptions{Format: contactsio.FormatJSONLines}, []string{"!encoding", "Müller", "!encoding"}},
		"encoding given":          {"{\"first_name\":\"Bj\xf6rn\"}\n", contactsio.ReadOptions{Encoding: "windows-1252"}, []string{"Björn"}},
		"CSV begins with a brace": {"{,first_name\nx,Bj\xf6rn\n", contactsio.ReadOptions{Format: contactsio.FormatCSV}, []string{"Björn"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, names(read(t, strings.NewReader(tc.file), &tc.opts))); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNationalNumbersOfJSONLines reads them as those of a CSV file.
func TestNationalNumbersOfJSONLines(t *testing.T) {
	t.Parallel()
	const file = `{"first_name":"A","phone_numbers":[{"phone_number":"+1 212 736 5000"},{"phone_number":"(212) 736-5001"}]}` + "\n" +
		`{"first_name":"B","phone_numbers":[{"phone_number":"+12127365000"},{"phone_number":"5001"}]}`
	rows := read(t, strings.NewReader(file), &contactsio.ReadOptions{Region: "US"})
	want := []contacts.PhoneNumberInput{{PhoneNumber: "+1 212 736 5000"}, {PhoneNumber: "+12127365001"}}
	if diff := cmp.Diff(want, rows[0].Contact.PhoneNumbers); diff != "" || rows[0].Problems != nil {
		t.Errorf("%v; numbers (-want +got):\n%s", rows[0].Problems, diff)
	}
	if p := rows[1].Problems; len(p) != 1 || p[0].Field != "phone_numbers[1].phone_number" || p[0].Code != "invalid" {
		t.Errorf("got %v", p)
	}
}

// TestStrictCells refuses a cell of JSON by the rules of the API.
func TestStrictCells(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{
		`more_phone_numbers: [{"phone_number":"+15551234567","phone_type":"x","id":"1","dnc_reason":"x"}]`: "",
		`more_phone_numbers: [{"phone_number":"+15551234567"},{"phone":"+15551234568"}]`:                   "more_phone_numbers[1].phone unknown_field",
		`more_phone_numbers: [{"Phone_Number":"+15551234567"}]`:                                            "more_phone_numbers[0].Phone_Number unknown_field",
		`more_phone_numbers: [] []`:          "more_phone_numbers wrong_type",
		`more_phone_numbers: +15551234567`:   "more_phone_numbers wrong_type",
		`custom_context: {"a":1.50,"b":{}}`:  "",
		`custom_context: {"a":1,"a":2}`:      "custom_context wrong_type",
		`custom_context: null`:               "custom_context wrong_type",
		`industry_context: {"a":{"b":1}} x`:  "industry_context wrong_type",
		`industry_context: {"a":[{"b":null}`: "industry_context wrong_type",
	} {
		name, text, _ := strings.Cut(cell, ": ")
		row := read(t, strings.NewReader("first_name,"+name+"\nA,\""+strings.ReplaceAll(text, `"`, `""`)+"\"\n"), nil)[0]
		got := ""
		for _, p := range row.Problems {
			got += p.Field + " " + p.Code
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", cell, got, want)
		}
	}
}

// TestInvalidBytesAreKept keeps the bytes of a refused line or card in Row.Raw.
func TestInvalidBytesAreKept(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"{\"first_name\":\"Bj\xf6rn\"}", "BEGIN:VCARD\r\nN:Bj\xf6rn\r\nEND:VCARD\r\n"} {
		rows := read(t, strings.NewReader(text), &contactsio.ReadOptions{Encoding: "utf-8"})
		if diff := cmp.Diff([]string{"!encoding"}, names(rows)); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{text}, rows[0].Raw); diff != "" {
			t.Errorf("raw (-want +got):\n%s", diff)
		}
	}
}

func TestReaderErrors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		opts contactsio.ReadOptions
		want string
	}{
		"empty":                       {"", contactsio.ReadOptions{}, "the file is empty; its first line must name the columns"},
		"blank":                       {"\r\n \n", contactsio.ReadOptions{}, "the file is empty"},
		"unknown names":               {"Vorname,Nachname\nA,B\n", contactsio.ReadOptions{}, "NoHeader"},
		"unknown encoding":            {"first_name\n", contactsio.ReadOptions{Encoding: "klingon"}, "Encoding is \"klingon\""},
		"unknown format":              {"first_name\n", contactsio.ReadOptions{Format: "xlsx"}, "Format is \"xlsx\""},
		"a quote as comma":            {"first_name\n", contactsio.ReadOptions{Comma: '"'}, "Comma"},
		"unknown region":              {"first_name\n", contactsio.ReadOptions{Region: "usa"}, "Region must be two upper-case letters"},
		"unknown field":               {"a,b\n", contactsio.ReadOptions{Map: map[string]string{"a": "nickname"}}, "\"nickname\"; give a documented field"},
		"reserved field":              {"a,b\n", contactsio.ReadOptions{Map: map[string]string{"a": "variable.x"}}, "reserved"},
		"column named twice":          {"E-Mail\n", contactsio.ReadOptions{Map: map[string]string{"EMail": "email", "e_mail": "city"}}, `"E-Mail" twice, as "EMail" and as "e_mail"`},
		"missing column":              {"first_name\n", contactsio.ReadOptions{Map: map[string]string{"c": "city"}}, "\"c\", which the file does not have"},
		"field given twice":           {"Company,Organization\n", contactsio.ReadOptions{}, "are both the field company"},
		"city given twice":            {"City,Town\n", contactsio.ReadOptions{}, "are both the field city"},
		"open quote in a long header": {"first_name,last_name,\"\n" + strings.Repeat("A,B\n", 500_000), contactsio.ReadOptions{}, "the names of the columns, in line 1, cannot be read: the row has more than 1048576 bytes"},
		"negative row":                {"first_name\n", contactsio.ReadOptions{MaxRow: -1}, "MaxRow"},
		"no vCard":                    {"first_name\nA\n", contactsio.ReadOptions{Format: contactsio.FormatVCard}, "no line of the first 64 KiB of the file is BEGIN:VCARD"},
		"vCard as CSV":                {"BEGIN:VCARD\nN:A;B\nEND:VCARD\n", contactsio.ReadOptions{Format: contactsio.FormatCSV}, "no line of the first 10 names columns"},
		"another file":                {"first_name\nA\n", contactsio.ReadOptions{From: contactsio.Position{Fingerprint: "x"}}, "not the one of ReadOptions.From"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := contactsio.NewReader(strings.NewReader(tc.text), &tc.opts)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "contactsio: ") {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// TestRows checks what becomes of rows that are not as they should be.
func TestRows(t *testing.T) {
	t.Parallel()
	const header = "first_name,last_name\n"
	long := strings.Repeat("x", 3000)
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"blank rows":        {header + ",\n\n  ,\t\nA,B\n", []string{"A"}},
		"padded":            {header + "A\n", []string{"A"}},
		"too many":          {header + "A,B,C\nD,E\n", []string{"!too_many_fields", "D"}},
		"NUL":               {header + "A\x00,B\nC,D\n", []string{"!invalid", "C"}},
		"open quote":        {header + "A,B\nC,\"D\nE,F\nG,H\n", []string{"A", "!csv", "E", "G"}},
		"open quote, long":  {header + "A,\"B\n" + strings.Repeat("E,F\n", 1000) + "G,H\n", append(append([]string{"!too_long"}, slices.Repeat([]string{"E"}, 1000)...), "G")},
		"stray quote":       {header + "\"A\nx\ny\" z,B\nC,D\n", []string{"!csv", "!too_few_fields", "!csv", "C"}},
		"long line":         {header + long + ",B\nC,D\n", []string{"!too_long", "C"}},
		"long row":          {header + "\"" + strings.Repeat("x\n", 1500) + "\",B\nC,D\n", append([]string{"!too_long"}, append(slices.Repeat([]string{"!too_few_fields"}, 1499), "!csv", "C")...)},
		"cell with lines":   {header + "\"A\nB\",C\n", []string{"A\nB"}},
		"lines end with CR": {header + "A,B\r\nC,D\r\n", []string{"A", "C"}},
		"other separator":   {"first_name,last_name,city\nA;B;C\nD;E\nF\n", []string{"!too_few_fields", "D;E", "F"}},
		"header again":      {header + "A,B\n\ufefffirst_name, last_name\nfirst_name,C\n", []string{"A", "!invalid", "first_name"}},
		"formulas of text":  {header + "=\"007\",=\"B, \"\"C\"\"\"\r\n\"A,=\",=\"B\"\nC,=\"D\" E\nF,=\"\"\n=\"G,H\nI,J", []string{"007", "A,=", "!csv", "F", "!csv", "I"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := names(read(t, strings.NewReader(tc.text), &contactsio.ReadOptions{MaxRow: 2000}))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLongHeader reads a header that is longer than what decides about the file.
func TestLongHeader(t *testing.T) {
	t.Parallel()
	names := "first_name,\"last\nname\"" + strings.Repeat(",nickname", 10_000)
	row := strings.Repeat(",", 10_000)
	file := "sep=,\nA title\n\n" + names + ",city\nAnn,B" + row + ",Rome\n"
	rows := read(t, strings.NewReader(file), &contactsio.ReadOptions{Map: map[string]string{"last\nname": "last_name"}})
	if len(rows) != 1 || rows[0].Problems != nil || rows[0].Line != 6 || rows[0].Offset != int64(strings.Index(file, "Ann")) || rows[0].Contact.City != "Rome" || rows[0].Contact.LastName != "B" {
		t.Errorf("got %d rows, the first one in line %d with %v and the city %q", len(rows), rows[0].Line, rows[0].Problems, rows[0].Contact.City)
	}
}

// TestLinesOfOldMacs reads files whose lines end with a carriage return alone.
func TestLinesOfOldMacs(t *testing.T) {
	t.Parallel()
	const table = "sep=;\rfirst_name;city\rA;B\r\rC;D"
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"CSV":                       {table, []string{"A", "C"}},
		"CSV with a mark":           {"\ufeff" + table, []string{"A", "C"}},
		"CSV in UTF-16":             {"\xff\xfe" + utf16Text(table, binary.LittleEndian), []string{"A", "C"}},
		"CSV with line breaks":      {"first_name,city\r\"A\n\n\n\nB\",C\rD,E\r", []string{"A\n\n\n\nB", "D"}},
		"CSV after the head":        {"first_name,city\r" + strings.Repeat(",\r", 40<<10) + "A,B\r", []string{"A"}},
		"vCard":                     {"BEGIN:VCARD\rN:;A\rNOTE:x\r y\rEND:VCARD\rBEGIN:VCARD\rN:;B\rEND:VCARD\r", []string{"A", "B"}},
		"JSON":                      {"{\"first_name\":\"A\"}\r{\"first_name\":\"B\"}\r", []string{"A", "B"}},
		"others, with a return":     {"first_name,city\nA\rB,C\nD,E\n", []string{"A\rB", "D"}},
		"others, with two returns":  {"first_name,city\r\r\nA,B\r\r\nD,E\r\r\n", []string{"A", "D"}},
		"others, returns in quotes": {"first_name,city\n\"A\rB\r\r\",\"C\rD\"\n", []string{"A\rB\r\r"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, names(read(t, strings.NewReader(tc.text), nil))); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

// TestProblemsOfFiles reads a file for each problem that only files have.
func TestProblemsOfFiles(t *testing.T) {
	t.Parallel()
	const header = "first_name,phone_number\n"
	for file, want := range map[string][]string{
		header + "A\"\nB\nC,\n":                           {contactsio.ProblemCSV, contactsio.ProblemTooFewFields, ""},
		header + "A,,B\n":                                 {contactsio.ProblemTooManyFields},
		header + "A,1.5E+10\n":                            {contactsio.ProblemDigitsLost},
		"Record ID,First Name\n1.23457E+10,A\n1E05,B\n":   {contactsio.ProblemDigitsLost, ""},
		"first_name,external_id\nA,1.23457E+10\nB,1E05\n": {contactsio.ProblemDigitsLost, ""},
		"first_name,tags\nA," + strings.Repeat("a;", 1000) + "\nB," + strings.Repeat("a;", 1001) + "\n":          {"", contacts.FieldTooMany},
		"first_name,website\nA,a" + strings.Repeat(" ::: b", 49) + "\nB,a" + strings.Repeat(" ::: b", 50) + "\n": {"", contacts.FieldTooMany},
		"\ufeff" + header + "A\xff,\n":          {contactsio.ProblemEncoding},
		"{}\n[]\n":                              {"", contactsio.ProblemJSON},
		"BEGIN:VCARD\nN:A\n":                    {contactsio.ProblemVCard},
		"BEGIN:VCARD\nEND:VCARD\nBEGIN:VCARD\n": {"", contactsio.ProblemVCard},
	} {
		var got []string
		for _, row := range read(t, strings.NewReader(file), nil) {
			code := ""
			if row.Problems != nil {
				code = row.Problems[0].Code
			}
			got = append(got, code)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", file, diff)
		}
	}
}

func TestInvalidBytesAfterTheHead(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("first_name,last_name\n")
	for b.Len() < 70<<10 {
		b.WriteString("Ann,Example\n")
	}
	b.WriteString("J\xfcrgen,Example\nZoe,Example\n")
	rows := read(t, strings.NewReader(b.String()), nil)
	if got := names(rows[len(rows)-2:]); !slices.Equal(got, []string{"!encoding", "Zoe"}) {
		t.Errorf("got %v", got)
	}
	if message := rows[len(rows)-2].Problems[0].Message; !strings.Contains(message, "Encoding") {
		t.Errorf("no hint: %s", message)
	}
}

// TestPlaces checks the number, the line and the offset of rows.
func TestPlaces(t *testing.T) {
	t.Parallel()
	const text = "\ufeffA title\nfirst_name,last_name\n\n\"A\nB\",C\n,\nD,\"E\nF,G\n"
	type place struct {
		Number, Line int
		Offset       int64
	}
	at := func(s string) int64 { return int64(strings.Index(text, s)) }
	want := []place{{1, 4, at("\"A")}, {2, 7, at("D,")}, {3, 8, at("F,")}}
	var got []place
	for _, row := range read(t, strings.NewReader(text), nil) {
		got = append(got, place{row.Number, row.Line, row.Offset})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
}

// A brokenReader fails after its text.
type brokenReader struct{ io.Reader }

var errBroken = errors.New("broken")

func (r brokenReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = errBroken
	}
	return n, err
}

func TestBrokenFile(t *testing.T) {
	t.Parallel()
	text := "first_name,last_name\n" + strings.Repeat("A,B\n", 20_000)
	r, err := contactsio.NewReader(brokenReader{strings.NewReader(text)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, last := 0, error(nil)
	for _, err := range r.Rows() {
		if last = err; err == nil {
			n++
		}
	}
	if n != 20_000 || !errors.Is(last, errBroken) || !strings.Contains(last.Error(), "after line 20001") {
		t.Errorf("%d rows, then %v", n, last)
	}
}

// TestPhones checks which phone numbers are taken, and what becomes of them.
func TestPhones(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ region, cell, number, code, note string }{
		{"", "+15551234567", "+15551234567", "", ""},
		{"", "+1 (555) 123-4567", "+15551234567", "", ""},
		{"", "'+15551234567", "+15551234567", "", ""},
		{"", `="+15551234567"`, "+15551234567", "", ""},
		{"", "+15551234567.0", "+15551234567", "", ""},
		{"", "15551234567", "", "invalid", ""},
		{"US", "15551234567", "+15551234567", "", ""},
		{"US", "15551234567.0", "+15551234567", "", ""},
		{"US", "(212) 736-5000", "+12127365000", "", ""},
		{"US", "447911123456", "+447911123456", "", ""},
		{"US", "12345", "", "invalid", ""},
		{"DE", "015123456789", "+4915123456789", "", ""},
		{"", "1.55512E+10", "", "digits_lost", ""},
		{"US", "1,55512e10", "", "digits_lost", ""},
		{"", "+1 555 123 4567 x12", "+15551234567", "", "extension"},
		{"", "+1 555 123 4567 ext. 12", "+15551234567", "", "extension"},
		{"", "+1 555 123 4567;ext=12", "+15551234567", "", "extension"},
		{"", "+nonsense", "+nonsense", "", ""}, // the Service says why
	} {
		quoted := `"` + strings.ReplaceAll(tc.cell, `"`, `""`) + `"`
		text := "first_name,phone_number\nA," + quoted + "\n"
		if strings.HasPrefix(tc.cell, "=") {
			text += "B," + tc.cell + "\n" // as some programs write it
		}
		for _, row := range read(t, strings.NewReader(text), &contactsio.ReadOptions{Region: tc.region}) {
			code, note, number := "", "", ""
			if row.Problems != nil {
				code = row.Problems[0].Code
			} else if len(row.Contact.PhoneNumbers) > 0 {
				number = row.Contact.PhoneNumbers[0].PhoneNumber
			}
			if row.Notes != nil {
				note = row.Notes[0].Code
			}
			if number != tc.number || code != tc.code || note != tc.note {
				t.Errorf("%q in %q, line %d: number %q, problem %q, note %q; want %q, %q, %q", tc.cell, tc.region, row.Line, number, code, note, tc.number, tc.code, tc.note)
			}
		}
	}
}

// TestNumbersInOneCell finds two numbers in one cell, in the files of every source. Only
// the types of our own files stay as they are.
func TestNumbersInOneCell(t *testing.T) {
	t.Parallel()
	for header, kind := range map[string]string{
		"First Name,Phone 1 - Label,Phone 1 - Value": "home",
		"Forename,phone_type,Phone":                  "home",
		"first_name,phone_type,phone_number":         "HOME",
	} {
		row := read(t, strings.NewReader(header+"\nA,HOME,+15551230001 ::: +15551230002\n"), nil)[0]
		want := []contacts.PhoneNumberInput{{PhoneNumber: "+15551230001", PhoneType: kind}, {PhoneNumber: "+15551230002", PhoneType: kind}}
		if diff := cmp.Diff(want, row.Contact.PhoneNumbers); diff != "" {
			t.Errorf("%s (-want +got):\n%s", header, diff)
		}
	}
}

// TestExtensionOfARepeatedNumber keeps an extension that only the second cell of a number
// has, and of two the first one.
func TestExtensionOfARepeatedNumber(t *testing.T) {
	t.Parallel()
	for cells, want := range map[string]string{
		"+12127365000,+1 212 736 5000 x12":     "12",
		"+1 212 736 5000 x11,+12127365000":     "11",
		"+1 212 736 5000 x11,+12127365000 x12": "11",
	} {
		row := read(t, strings.NewReader("First Name,Phone,Mobile\nA,"+cells+"\n"), nil)[0]
		var notes []string
		for _, n := range row.Notes {
			notes = append(notes, n.Field+" "+n.Code)
		}
		wantNotes := []string{"phone_numbers[0].phone_number extension", "phone_numbers[1].phone_number repeated_number"}
		if diff := cmp.Diff(map[string]any{"phone_extensions": map[string]any{"+12127365000": want}}, row.Contact.CustomContext); diff != "" || len(row.Contact.PhoneNumbers) != 1 || !slices.Equal(notes, wantNotes) {
			t.Errorf("%s: %d numbers, notes %q; custom context (-want +got):\n%s", cells, len(row.Contact.PhoneNumbers), notes, diff)
		}
	}
}

// TestManyValues reads cells of very many values. What a row says of them is bounded.
func TestManyValues(t *testing.T) {
	t.Parallel()
	many := func(n int, format string) string {
		values := make([]string, n)
		for i := range values {
			values[i] = fmt.Sprintf(format, i)
		}
		return strings.Join(values, " ::: ")
	}
	repeated := strings.Repeat("+15551234567 ::: ", 2000)
	for name, tc := range map[string]struct {
		emails, phones  string
		code            string
		problems, notes int
		numbers         int
	}{
		"50 e-mail addresses":   {many(50, "%d@example.com"), "", "", 0, 49, 0},
		"51 e-mail addresses":   {many(51, "%d@example.com"), "", "too_many", 1, 0, 0},
		"many e-mail addresses": {many(5000, "%d@example.com"), "", "too_many", 1, 0, 0},
		"60 numbers":            {"", many(60, "+1555123%04d"), "", 0, 0, 60}, // the Service knows its limit
		"many numbers":          {"", many(5000, "+1555123%04d"), "too_many", 1, 0, 501},
		"many invalid numbers":  {"", strings.Repeat("1 ::: ", 5000), "invalid", 50, 1, 1},
		"a repeated number":     {"", repeated, "", 0, 1, 1},
		"repeated numbers":      {"", repeated + "+15551234568 ::: " + repeated, "", 0, 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row := read(t, strings.NewReader("First Name,E-mail 1 - Value,Phone 1 - Label,Phone 1 - Value\nA,"+tc.emails+",x,"+tc.phones+"\n"), nil)[0]
			if len(row.Problems) != tc.problems || len(row.Notes) != tc.notes || len(row.Contact.PhoneNumbers) != tc.numbers {
				t.Fatalf("%d problems, %d notes, %d numbers; want %d, %d, %d", len(row.Problems), len(row.Notes), len(row.Contact.PhoneNumbers), tc.problems, tc.notes, tc.numbers)
			}
			if tc.problems > 0 && row.Problems[0].Code != tc.code {
				t.Errorf("got %+v, want %s", row.Problems[0], tc.code)
			}
		})
	}
}

// TestNames checks where a first name comes from.
func TestNames(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ row, first, last string }{
		{"John,Doe,,,,", "John", "Doe"},
		{",,John Q. Doe,,,", "John Q.", "Doe"},
		{",,\"Doe, John Q.\",,,", "John Q.", "Doe"},
		{",,Cher,,,", "Cher", ""},
		{",Smith,John Doe,,,", "John", "Smith"},
		{",,,Acme,a@example.com,+15551234567", "Acme", ""},
		{",,,,a@example.com,+15551234567", "a", ""},
		{",,,,,+15551234567", "+15551234567", ""},
		{",Smith,,,,", "", "Smith"},
		{",Smith,Smith,,,", "Smith", ""},
		{",van Dyke,van Dyke,,,", "van Dyke", ""},
		{",van Dyke,Dick van Dyke,,,", "Dick", "van Dyke"},
		{",,\"Martin King, Jr.\",,,", "Martin", "King, Jr."},
		{",,\"King, Jr.\",,,", "King, Jr.", ""},
		{",,Martin Luther King  Jr.,,,", "Martin Luther", "King  Jr."},
		{",,Martin King III PhD,,,", "Martin", "King III PhD"},
		{",,\"Martin King III, PhD\",,,", "Martin", "King III, PhD"},
		{",,King Jr.,,,", "King", "Jr."},
		{",,Joseph Owona Mba,,,", "Joseph Owona", "Mba"},
		{",,\"Acme, Inc.\",,,", "Acme, Inc.", ""},
		{",,\"Doe, Ann, Ph.D.\",,,", "Ann, Ph.D.", "Doe"},
		{"John,,John Doe,,,", "John", ""}, // the file says that there is no last name
	} {
		rows := read(t, strings.NewReader("First Name,Last Name,Full Name,Company,Email,Phone\n"+tc.row+"\n"), nil)
		if c := rows[0].Contact; c.FirstName != tc.first || c.LastName != tc.last {
			t.Errorf("%s: %q %q, want %q %q", tc.row, c.FirstName, c.LastName, tc.first, tc.last)
		}
	}
	t.Run("without a column for the last name", func(t *testing.T) {
		t.Parallel()
		var got []string
		for _, row := range read(t, strings.NewReader("First Name,Name\nJohn,John van Doe\nAnn,Ann\nBob,Robert Ray\n"), nil) {
			got = append(got, fmt.Sprintf("%s|%s %d", row.Contact.FirstName, row.Contact.LastName, len(row.Notes)))
		}
		if diff := cmp.Diff([]string{"John|van Doe 1", "Ann| 0", "Bob| 0"}, got); diff != "" {
			t.Errorf("names (-want +got):\n%s", diff)
		}
	})
}
