package contactsio_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/contactstest"
)

var update = flag.Bool("update", false, "write the golden files again")

// read returns all rows of a file.
func read(t testing.TB, file io.Reader, opts *contactsio.ReadOptions) []contactsio.Row {
	t.Helper()
	r, err := contactsio.NewReader(file, opts)
	if err != nil {
		t.Fatal(err)
	}
	return rowsOf(t, r)
}

func rowsOf(t testing.TB, r *contactsio.Reader) (rows []contactsio.Row) {
	t.Helper()
	for row, err := range r.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

// A goldenRow is what a golden file has of a row.
type goldenRow struct {
	Number   int
	Line     int
	Offset   int64
	Contact  contacts.CreateContactInput
	Problems []contacts.FieldError `json:",omitempty"`
	Notes    []contactsio.Note     `json:",omitempty"`
}

// TestGoldenFiles reads a file of each source, contact for contact and note for note.
// go test -run TestGoldenFiles -update writes what is read; compare it by eye.
func TestGoldenFiles(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"google-new.csv": "google", "google-old.csv": "google (before 2024)", "outlook.csv": "outlook", "hubspot.csv": "hubspot",
		"salesforce.csv": "salesforce", "mailchimp.csv": "mailchimp", "apple.vcf": "", "android-21.vcf": "", "ours.csv": "contacts", "ours.jsonl": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			r, err := contactsio.NewReader(bytes.NewReader(text), nil)
			if err != nil {
				t.Fatal(err)
			}
			preview, err := r.Preview(1000)
			if err != nil {
				t.Fatal(err)
			}
			if preview.Source != source {
				t.Errorf("source %q, want %q", preview.Source, source)
			}
			rows := rowsOf(t, r)
			if diff := cmp.Diff(preview.Rows, rows); diff != "" {
				t.Errorf("the preview differs from the rows (-preview +rows):\n%s", diff)
			}
			golden := struct {
				Encoding string
				Columns  []contactsio.Column `json:",omitempty"`
				Notes    []contactsio.Note   `json:",omitempty"`
				Rows     []goldenRow
				Summary  *contactsio.Summary
			}{Encoding: preview.Encoding, Columns: preview.Columns, Notes: preview.Notes}
			for _, row := range rows {
				golden.Rows = append(golden.Rows, goldenRow{row.Number, row.Line, row.Offset, row.Contact, row.Problems, row.Notes})
			}
			if r, err = contactsio.NewReader(bytes.NewReader(text), nil); err != nil {
				t.Fatal(err)
			}
			f := contactstest.New(t, nil)
			if golden.Summary, err = contactsio.Import(t.Context(), f.Service, f.Key, r, nil); err != nil {
				t.Fatal(err)
			}
			compareGolden(t, filepath.Join("testdata", name+".json"), golden)
		})
	}
}

// compareGolden compares the JSON form of got with a file.
func compareGolden(t *testing.T, path string, got any) {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	if err := e.Encode(got); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Fatalf("there is no %s; make it with -update", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
