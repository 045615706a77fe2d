package contactsio_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-vcard"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/store/sqlite"
)

// benchRows is how many rows a file of a benchmark has. A million takes -benchtime 1x
// and some minutes.
const benchRows = 100_000

// wideFile is a CSV file with 16 columns.
func wideFile(n int) string {
	var b strings.Builder
	b.WriteString("external_id,first_name,last_name,email,company,website,address,city,state,zip_code,country,status,stage,tags,phone_number,phone_type\r\n")
	for i := range n {
		fmt.Fprintf(&b, "id-%d,John,Doe %d,john.%d@example.com,Acme Inc,https://example.com,123 Main St,Springfield,IL,62701,US,contacted,customer,vip;new,+1555%07d,mobile\r\n", i, i, i, i)
	}
	return b.String()
}

// through reads a file and keeps nothing.
func through(b *testing.B, file string) {
	r, err := contactsio.NewReader(strings.NewReader(file), nil)
	if err != nil {
		b.Fatal(err)
	}
	for row, err := range r.Rows() {
		if err != nil || row.Problems != nil {
			b.Fatal(row.Problems, err)
		}
	}
}

// BenchmarkRead compares reading rows with the parsers alone, in rows a second.
func BenchmarkRead(b *testing.B) {
	file := wideFile(benchRows)
	cards := strings.Repeat("BEGIN:VCARD\r\nVERSION:3.0\r\nN:Doe;John;;;\r\nFN:John Doe\r\nORG:Acme Inc\r\nEMAIL;TYPE=INTERNET:john@example.com\r\n"+
		"TEL;TYPE=CELL;TYPE=VOICE:+15551234567\r\nADR;TYPE=WORK:;;123 Main St;Springfield;IL;62701;US\r\nURL:https://example.com\r\nCATEGORIES:vip,new\r\nEND:VCARD\r\n", benchRows/10)
	rate := func(b *testing.B, rows int) {
		b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	}
	b.Run("csv", func(b *testing.B) {
		for b.Loop() {
			through(b, file)
		}
		rate(b, benchRows)
	})
	b.Run("csv/parser", func(b *testing.B) {
		for b.Loop() {
			r := csv.NewReader(strings.NewReader(file))
			for {
				if _, err := r.Read(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
		}
		rate(b, benchRows)
	})
	b.Run("vcard", func(b *testing.B) {
		for b.Loop() {
			through(b, cards)
		}
		rate(b, benchRows/10)
	})
	b.Run("vcard/parser", func(b *testing.B) {
		for b.Loop() {
			d := vcard.NewDecoder(strings.NewReader(cards))
			for {
				if _, err := d.Decode(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
		}
		rate(b, benchRows/10)
	})
}

// BenchmarkImport compares the import of a file into SQLite with the stream of the same
// contacts from memory, and the export with a walk, in contacts a second.
func BenchmarkImport(b *testing.B) {
	file := wideFile(benchRows)
	rows := read(b, strings.NewReader(file), nil)
	for b.Loop() {
		store, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "contacts.db"), nil)
		if err != nil {
			b.Fatal(err)
		}
		admin := contacts.NewAdmin(store, nil)
		svc, err := contacts.New(store, nil)
		if err != nil {
			b.Fatal(err)
		}
		key := func() string {
			account, err := admin.CreateAccount(b.Context(), "Example")
			if err != nil {
				b.Fatal(err)
			}
			key, _, err := admin.IssueKey(b.Context(), contacts.IssueKeyInput{AccountID: account.ID, Permissions: []contacts.Permission{contacts.PermissionReadContacts}, AllTeams: true})
			if err != nil {
				b.Fatal(err)
			}
			return key
		}
		measure := func(what string, do func() int) {
			start := b.Elapsed()
			if n := do(); n != benchRows {
				b.Fatalf("%s: %d contacts", what, n)
			}
			b.ReportMetric(benchRows/(b.Elapsed()-start).Seconds(), what+"/s")
		}
		one, other := key(), key()
		measure("stream", func() (n int) {
			source := func(yield func(contacts.CreateContactInput) bool) {
				for i := range rows {
					in := rows[i].Contact
					in.IdempotencyKey = fmt.Sprint("row ", i)
					if !yield(in) {
						return
					}
				}
			}
			for r, err := range svc.CreateContactStream(b.Context(), one, source) {
				if err == nil && r.Err == nil {
					n++
				}
			}
			return n
		})
		imported := func() int {
			r, err := contactsio.NewReader(strings.NewReader(file), nil)
			if err != nil {
				b.Fatal(err)
			}
			s, err := contactsio.Import(b.Context(), svc, other, r, nil)
			if err != nil {
				b.Fatal(err)
			}
			return s.Created + s.Replayed
		}
		measure("import", imported)
		measure("again", imported)
		measure("walk", func() (n int) {
			for _, err := range svc.Contacts(b.Context(), other, contacts.ListContactsInput{}) {
				if err == nil {
					n++
				}
			}
			return n
		})
		measure("export", func() int {
			n, err := contactsio.Export(b.Context(), svc, other, io.Discard, nil)
			if err != nil {
				b.Fatal(err)
			}
			return n
		})
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
