package main

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/contactsio"
)

// TestRowsOfFiles reads back what the benchmarks of files write.
func TestRowsOfFiles(t *testing.T) {
	const n = 100
	for _, format := range []struct {
		name  string
		write func(io.Writer, int) error
		want  func(contacts.CreateContactInput) contacts.CreateContactInput
	}{
		{"csv", writeCSV, func(in contacts.CreateContactInput) contacts.CreateContactInput { return in }},
		{"vcard", writeCards, func(in contacts.CreateContactInput) contacts.CreateContactInput { // which has less
			in.Status, in.Stage, in.Tags, in.PhoneNumbers[1].PhoneType = "", "", nil, "work"
			return in
		}},
	} {
		t.Run(format.name, func(t *testing.T) {
			var text bytes.Buffer
			if err := format.write(&text, n); err != nil {
				t.Fatal(err)
			}
			reader, err := contactsio.NewReader(&text, nil)
			if err != nil {
				t.Fatal(err)
			}
			i := 0
			for row, err := range reader.Rows() {
				if err != nil || row.Problems != nil {
					t.Fatal(err, row.Problems)
				}
				if diff := cmp.Diff(format.want(rowOf(i)), row.Contact); diff != "" {
					t.Fatalf("row %d (-want +got):\n%s", i, diff)
				}
				i++
			}
			if i != n {
				t.Errorf("%d rows, want %d", i, n)
			}
		})
	}
}
