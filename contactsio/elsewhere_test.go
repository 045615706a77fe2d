package contactsio_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/contactstest"
)

// npmVariable names a folder node_modules. .ci/run sets it, and installs there what is
// not ours to keep.
const npmVariable = "CONTACTS_NPM"

// npmPackage returns the files of a package.
func npmPackage(t *testing.T, name string) fs.FS {
	t.Helper()
	folder := os.Getenv(npmVariable)
	if folder == "" {
		t.Skipf("left out: %s names no folder with the npm package %s", npmVariable, name)
	}
	return os.DirFS(filepath.Join(folder, name))
}

// testSpectrum reads the files of csv-spectrum. Each has its cells in JSON beside it. One
// has a quote inside a cell that is not quoted, and other cells in its JSON: its row is
// refused.
func testSpectrum(t *testing.T) {
	spectrum := npmPackage(t, "csv-spectrum")
	files, err := fs.Glob(spectrum, "csvs/*.csv")
	const least = 10
	if err != nil || len(files) < least {
		t.Fatalf("%d files, want %d or more: %v", len(files), least, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".csv")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := fs.ReadFile(spectrum, file)
			if err != nil {
				t.Fatal(err)
			}
			cells, err := fs.ReadFile(spectrum, "json/"+name+".json")
			if err != nil {
				t.Fatal(err)
			}
			if name == "location_coordinates" {
				if got := names(read(t, bytes.NewReader(text), &contactsio.ReadOptions{Map: map[string]string{"Cities": "city"}})); !slices.Equal(got, []string{"!csv"}) {
					t.Errorf("rows: %q", got)
				}
				return
			}
			var want []map[string]string
			if err := json.Unmarshal(bytes.ReplaceAll(cells, []byte(`\r\n`), []byte(`\n`)), &want); err != nil { // encoding/csv drops that CR
				t.Fatal(err)
			}
			opts := contactsio.ReadOptions{Map: make(map[string]string)}
			for column := range want[0] {
				opts.Map[column] = "custom_context." + column
			}
			r, err := contactsio.NewReader(bytes.NewReader(text), &opts)
			if err != nil {
				t.Fatal(err)
			}
			preview, err := r.Preview(0)
			if err != nil {
				t.Fatal(err)
			}
			var got []map[string]string
			for _, row := range rowsOf(t, r) {
				if row.Problems != nil {
					t.Errorf("row %d is refused: %v", row.Number, row.Problems)
				}
				cells := make(map[string]string)
				for i, cell := range row.Raw {
					column := preview.Columns[i].Name
					cells[column] = cell
					text := strings.TrimSpace(cell)
					if value, ok := row.Contact.CustomContext[column]; ok != (text != "") || ok && value != text {
						t.Errorf("row %d: %s is %q, and its field %q", row.Number, column, cell, value)
					}
				}
				got = append(got, cells)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("cells (-want +got):\n%s", diff)
			}
		})
	}
}

// testNaughtyStrings exports and imports contacts that have the strings of blns wherever
// a Service accepts them.
func testNaughtyStrings(t *testing.T) {
	naughty := npmPackage(t, "blns")
	text, err := fs.ReadFile(naughty, "resources/blns.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, format := range []contactsio.Format{contactsio.FormatCSV, contactsio.FormatJSONLines} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			f := contactstest.New(t, nil)
			kept := make(map[string]int) // how many strings a field took
			for i, s := range all {
				createNaughty(t, f, i, s, kept)
			}
			for field, n := range kept {
				if n < len(all)/3 {
					t.Errorf("the field %s took %d of %d strings", field, n, len(all))
				}
			}
			checkRoundTrip(t, t, f, len(all), &contactsio.ExportOptions{Format: format})
		})
	}
}

// createNaughty creates a contact with a string in every field that takes it.
func createNaughty(t *testing.T, f *contactstest.Fixture, i int, s string, kept map[string]int) {
	t.Helper()
	in := contacts.CreateContactInput{
		FirstName: s, LastName: s, Company: s, Address: s, City: s, State: s, ZipCode: s, Country: s, Status: s, Stage: s,
		ExternalID: fmt.Sprint(i, " ", s), Tags: []string{s},
		PhoneNumbers:    []contacts.PhoneNumberInput{{PhoneNumber: fmt.Sprintf("+1555%07d", i), PhoneType: s}},
		CustomContext:   map[string]any{s: s},
		IndustryContext: map[string]any{"a": []any{s}},
	}
	without := map[string]func(){
		"first_name":       func() { in.FirstName = "A" },
		"last_name":        func() { in.LastName = "" },
		"company":          func() { in.Company = "" },
		"address":          func() { in.Address = "" },
		"city":             func() { in.City = "" },
		"state":            func() { in.State = "" },
		"zip_code":         func() { in.ZipCode = "" },
		"country":          func() { in.Country = "" },
		"status":           func() { in.Status = "" },
		"stage":            func() { in.Stage = "" },
		"external_id":      func() { in.ExternalID = "" },
		"tags":             func() { in.Tags = nil },
		"phone_numbers":    func() { in.PhoneNumbers[0].PhoneType = "" },
		"custom_context":   func() { in.CustomContext = nil },
		"industry_context": func() { in.IndustryContext = nil },
	}
	for {
		_, err := f.Service.CreateContact(t.Context(), f.Key, in)
		if err == nil {
			break
		}
		refused, ok := errors.AsType[*contacts.Error](err)
		if !ok || len(refused.Details) == 0 {
			t.Fatalf("%q: %v", s, err)
		}
		before := len(without)
		for _, detail := range refused.Details {
			for field, leaveOut := range without {
				if strings.HasPrefix(detail.Field, field) {
					leaveOut()
					delete(without, field)
				}
			}
		}
		if len(without) == before {
			t.Fatalf("%q: %v", s, err)
		}
	}
	for field := range without {
		kept[field]++
	}
}
