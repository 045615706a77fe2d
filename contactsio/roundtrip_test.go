package contactsio_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/contactstest"
)

// hostile are texts that get lost or changed between programs.
var hostile = []string{
	"=HYPERLINK(\"https://example.com\")", "+1+1", "-1", "@x", "＝1", "＋1", "－1", "＠1", "'=1", "''", "'", "\"", "\"quoted\"", "a,b", "a;b", "a|b",
	"\\", "\\;", "\\n", "a ::: b", "* a", "null", "true", "1.0", "1e5", "00123", "{}", "[]", "<b>&amp;</b>", "Zoë", "Ω≈ç√", "田中", "🏳️‍🌈", "e\u0301",
	"+15551234567", "x12", "yes", "BEGIN:VCARD", "sep=;", "#", "#N/A", "%s", "${x}",
}

func text(limit int) *rapid.Generator[string] {
	return rapid.OneOf(rapid.Just(""), rapid.SampledFrom(hostile), rapid.StringOfN(rapid.RuneFrom([]rune("=+-@'\";,|\\ :*aZ0éß田")), 0, min(limit, 12), -1))
}

// contact makes a contact that a Service accepts.
func contact(t *rapid.T, f *contactstest.Fixture, n int) contacts.CreateContactInput {
	in := contacts.CreateContactInput{
		ExternalID: fmt.Sprint("id ", n, text(100).Draw(t, "external id")),
		FirstName:  "A" + text(100).Draw(t, "first name"), LastName: text(200).Draw(t, "last name"), Company: text(200).Draw(t, "company"),
		Address: text(500).Draw(t, "address") + rapid.SampledFrom([]string{"", "\nline", "\rline"}).Draw(t, "line"), City: text(100).Draw(t, "city"),
		State: text(100).Draw(t, "state"), ZipCode: text(20).Draw(t, "zip code"), Country: text(64).Draw(t, "country"),
		Status: text(64).Draw(t, "status"), Stage: text(64).Draw(t, "stage"), Tags: rapid.SliceOfN(rapid.Map(text(50), func(s string) string { return s + "." }), 0, 4).Draw(t, "tags"),
	}
	if first := text(10).Draw(t, "first character"); !strings.HasPrefix(first, " ") && first != "" {
		in.FirstName = first + "A"
	}
	if len(in.ZipCode) > 20 {
		in.ZipCode = "1"
	}
	if rapid.Bool().Draw(t, "e-mail") {
		in.Email = fmt.Sprintf("a%d+x@example.com", n)
		in.Website = "https://example.com/?q==1"
	}
	if rapid.Bool().Draw(t, "team") {
		in.TeamID = f.Team.ID
	}
	numbers := rapid.IntRange(0, 6).Draw(t, "numbers")
	for i := range numbers {
		in.PhoneNumbers = append(in.PhoneNumbers, contacts.PhoneNumberInput{
			PhoneNumber: fmt.Sprintf("+1555%03d%04d", n, i), PhoneType: rapid.SampledFrom([]string{"", "mobile", "Fax", "=1", "iPhone"}).Draw(t, "type"),
			DoNotCall: rapid.Bool().Draw(t, "do not call"), Primary: i == 2,
		})
	}
	value := rapid.Custom(func(t *rapid.T) any {
		return rapid.SampledFrom([]any{nil, true, "=1", json.Number("12345678901234567890"), json.Number("1.50"), []any{"a", nil}, map[string]any{"": "'"}}).Draw(t, "value")
	})
	in.CustomContext = rapid.OneOf(rapid.Just(map[string]any(nil)), rapid.MapOfN(text(20), value, 0, 3)).Draw(t, "custom context")
	in.IndustryContext = rapid.OneOf(rapid.Just(map[string]any(nil)), rapid.MapOfN(text(20), value, 0, 3)).Draw(t, "industry context")
	return in
}

// TestRoundTrip exports contacts, imports the file into an empty account, and exports
// again: all is equal but ids, versions, times and the reasons of do-not-call marks.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, format := range []contactsio.Format{contactsio.FormatCSV, contactsio.FormatJSONLines} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				f := contactstest.New(t, nil)
				n := rapid.IntRange(1, 4).Draw(rt, "contacts")
				for i := range n {
					if _, err := f.Service.CreateContact(t.Context(), f.Key, contact(rt, f, i)); err != nil {
						rt.Fatal(err)
					}
				}
				checkRoundTrip(t, rt, f, n, &contactsio.ExportOptions{
					Format: format, PhoneColumns: rapid.IntRange(0, 5).Draw(rt, "columns"), BOM: rapid.Bool().Draw(rt, "mark"),
				})
			})
		})
	}
	t.Run("blns", testNaughtyStrings)
}

// checkRoundTrip exports the n contacts of a fixture, imports them into another, and
// compares what both export. rt is t, or a part of it that fails by itself.
func checkRoundTrip(t *testing.T, rt rapid.TB, f *contactstest.Fixture, n int, opts *contactsio.ExportOptions) {
	rt.Helper()
	other := contactstest.New(t, nil)
	var file, again bytes.Buffer
	if got, err := contactsio.Export(t.Context(), f.Service, f.Key, &file, opts); err != nil || got != n {
		rt.Fatal(got, err)
	}
	s, err := importFile(t, other, bytes.NewReader(file.Bytes()), nil, nil)
	if err != nil || s.Created != n {
		rt.Fatalf("%+v, %v, of\n%s", s, err, &file)
	}
	if got, err := contactsio.Export(t.Context(), other.Service, other.Key, &again, opts); err != nil || got != n {
		rt.Fatal(got, err)
	}
	if diff := cmp.Diff(rowsWithoutAssigned(rt, opts.Format, file.String()), rowsWithoutAssigned(rt, opts.Format, again.String())); diff != "" {
		rt.Errorf("the second export differs (-first +second):\n%s", diff)
	}
}

// rowsWithoutAssigned returns the rows of an export in an order of their own, without what a
// Service assigns.
func rowsWithoutAssigned(t rapid.TB, format contactsio.Format, file string) (rows []string) {
	file = strings.TrimPrefix(file, "\ufeff")
	if format == contactsio.FormatCSV {
		all, err := csv.NewReader(strings.NewReader(file)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range all[1:] {
			cells := make(map[string]string)
			for i, cell := range row {
				if !strings.HasPrefix(all[0][i], "dnc_") { // it was listed again
					cells[all[0][i]] = cell
				}
			}
			for _, assigned := range []string{"id", "created_at", "updated_at", "version"} {
				delete(cells, assigned)
			}
			rows = append(rows, fmt.Sprintf("%q", cells))
		}
	} else {
		for line := range strings.Lines(file) {
			var c map[string]any
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(c, func(name string, _ any) bool {
				return slices.Contains([]string{"id", "account_id", "created_at", "updated_at", "version"}, name)
			})
			phones, _ := c["phone_numbers"].([]any)
			for _, p := range phones {
				maps.DeleteFunc(p.(map[string]any), func(name string, _ any) bool { return name == "id" || strings.HasPrefix(name, "dnc_") })
			}
			text, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, string(text))
		}
	}
	slices.Sort(rows)
	return rows
}

// TestNoFormula checks that no cell of an export starts a formula.
func TestNoFormula(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	starts := []string{"=1", "+1", "-x", "@x", "＝1", "＋1", "－1", "＠1", "'=1", "\"=1"}
	for _, s := range starts {
		in := contacts.CreateContactInput{
			FirstName: s, LastName: s, Company: s, Address: s, City: s, State: s, ZipCode: s, Country: s, Status: s, Stage: s, ExternalID: s, Tags: []string{s},
			PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567", PhoneType: s}},
		}
		if _, err := f.Service.CreateContact(t.Context(), f.Key, in); err != nil {
			t.Fatal(err)
		}
	}
	for _, raw := range []bool{false, true} {
		var file bytes.Buffer
		if _, err := contactsio.Export(t.Context(), f.Service, f.Key, &file, &contactsio.ExportOptions{Raw: raw}); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&file).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		formulas := 0
		for _, cell := range slices.Concat(rows...) {
			if cell != "" && strings.ContainsAny(strings.TrimLeft(cell, "\"")[:1]+string([]rune(cell)[0]), "=+-@＝＋－＠") && cell != "+15551234567" {
				formulas++
			}
		}
		if raw != (formulas > 0) {
			t.Errorf("raw %t: %d formulas", raw, formulas)
		}
	}
}
