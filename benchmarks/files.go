package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-vcard"

	"example.com/contacts"
	"example.com/contacts/contactsio"
)

// files measures how files of contacts are read, imported and exported.
func (b *bench) files(ctx context.Context) error {
	for _, f := range []func(context.Context) error{
		func(context.Context) error { return b.reading(b.size(200_000, 2_000), b.size(50_000, 1_000)) },
		b.imports,
		b.exports,
	} {
		if err := f(ctx); err != nil {
			return err
		}
	}
	return nil
}

// columns are those of the CSV files.
var columns = []string{
	"first_name", "last_name", "email", "company", "website", "address", "city", "state", "zip_code", "country",
	"status", "stage", "tags", "phone_number", "phone_type", "phone_number_2",
}

// rowOf returns the contact in row i of the files. It is the same in each run.
func rowOf(i int) contacts.CreateContactInput {
	n := rand.NewPCG(uint64(i), 0).Uint64()
	return contacts.CreateContactInput{
		FirstName: "John", LastName: "Doe", Email: strconv.FormatUint(n, 16) + "@example.com", Company: "Acme Corp", Website: "https://example.com/",
		Address: "123 Main St", City: "San Francisco", State: "CA", ZipCode: "94105", Country: "US", Status: "contacted", Stage: "customer",
		Tags: []string{"tag " + strconv.FormatUint(n%20, 10), "tag " + strconv.FormatUint(20+n/20%20, 10)},
		PhoneNumbers: []contacts.PhoneNumberInput{
			{PhoneNumber: "+1" + strconv.FormatUint(2_000_000_000+n%8_000_000_000, 10), PhoneType: "mobile"},
			{PhoneNumber: "+49" + strconv.FormatUint(3_000_000_000+n/8%7_000_000_000, 10)},
		},
	}
}

// rowsOf yields the first n contacts of the files.
func rowsOf(n int) iter.Seq[contacts.CreateContactInput] {
	return func(yield func(contacts.CreateContactInput) bool) {
		for i := range n {
			if !yield(rowOf(i)) {
				return
			}
		}
	}
}

// writeCSV writes the first n contacts, in the columns.
func writeCSV(w io.Writer, n int) error {
	out := csv.NewWriter(w)
	err := out.Write(columns)
	for in := range rowsOf(n) {
		p := in.PhoneNumbers
		err = errors.Join(err, out.Write([]string{
			in.FirstName, in.LastName, in.Email, in.Company, in.Website, in.Address, in.City, in.State, in.ZipCode, in.Country,
			in.Status, in.Stage, strings.Join(in.Tags, ";"), p[0].PhoneNumber, p[0].PhoneType, p[1].PhoneNumber,
		}))
	}
	out.Flush()
	return errors.Join(err, out.Error())
}

// writeCards writes the first n contacts as vCards 3.0 of 11 lines.
func writeCards(w io.Writer, n int) error {
	out := bufio.NewWriter(w)
	for in := range rowsOf(n) {
		p := in.PhoneNumbers
		fmt.Fprintf(out, "BEGIN:VCARD\r\nVERSION:3.0\r\nN:%s;%s;;;\r\nFN:%s %s\r\nORG:%s\r\nEMAIL;TYPE=INTERNET:%s\r\n"+
			"TEL;TYPE=CELL:%s\r\nTEL;TYPE=WORK:%s\r\nADR;TYPE=WORK:;;%s;%s;%s;%s;%s\r\nURL:%s\r\nEND:VCARD\r\n",
			in.LastName, in.FirstName, in.FirstName, in.LastName, in.Company, in.Email, p[0].PhoneNumber, p[1].PhoneNumber,
			in.Address, in.City, in.State, in.ZipCode, in.Country, in.Website)
	}
	return out.Flush()
}

// csvFile writes the first n contacts into a file.
func csvFile(dir string, n int) (path string, err error) {
	path = filepath.Join(dir, "contacts.csv")
	return path, writeFile(path, func(w io.Writer) error {
		buffered := bufio.NewWriterSize(w, 1<<20)
		return errors.Join(writeCSV(buffered, n), buffered.Flush())
	})
}

// reading reads files from memory: rows of CSV, and vCards.
func (b *bench) reading(rows, cards int) error {
	for _, f := range []struct {
		figure       *figure
		n            int
		write        func(io.Writer, int) error
		ours, theirs func(io.Reader) (int, error)
	}{
		{b.figure("files-read-csv"), rows, writeCSV, readRows, readRecords},
		{b.figure("files-read-vcard"), cards, writeCards, readRows, readCards},
	} {
		if f.figure == nil {
			continue
		}
		var text bytes.Buffer
		if err := f.write(&text, f.n); err != nil {
			return err
		}
		rate := func(read func(io.Reader) (int, error)) (float64, error) {
			runtime.GC()
			start := time.Now()
			n, err := read(bytes.NewReader(text.Bytes()))
			elapsed := time.Since(start)
			if err == nil && n != f.n {
				err = fmt.Errorf("%d rows were read, not %d", n, f.n)
			}
			return float64(n) / elapsed.Seconds(), err
		}
		for range b.reps {
			ours, errOurs := rate(f.ours)
			theirs, errTheirs := rate(f.theirs)
			if err := errors.Join(errOurs, errTheirs); err != nil {
				return err
			}
			f.figure.add(ours, theirs)
		}
	}
	return nil
}

// readRows reads the rows of a file of any format.
func readRows(r io.Reader) (n int, err error) {
	reader, err := contactsio.NewReader(r, nil)
	if err != nil {
		return 0, err
	}
	for row, err := range reader.Rows() {
		if err != nil {
			return n, err
		}
		if row.Problems != nil {
			return n, fmt.Errorf("row %d: %v", row.Number, row.Problems)
		}
		n++
	}
	return n, nil
}

// readRecords reads the records of a CSV file after the header.
func readRecords(r io.Reader) (n int, err error) {
	reader := csv.NewReader(r)
	reader.ReuseRecord = true
	for n = -1; ; n++ {
		_, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// readCards decodes vCards.
func readCards(r io.Reader) (n int, err error) {
	for decoder := vcard.NewDecoder(r); ; n++ {
		_, err := decoder.Decode()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// imports imports b.growth rows of CSV, and the same file again, and creates the same
// contacts from memory. It does so once: it takes long.
func (b *bench) imports(ctx context.Context) error {
	plain, keyed := b.figure("files-import"), b.figure("files-import-keyed")
	again, memory := b.figure("files-import-again"), b.figure("files-import-memory")
	if plain == nil && keyed == nil && again == nil && memory == nil {
		return nil
	}
	var early float64
	if memory != nil {
		_, err := inFolder(b.dir, func(dir string) (rate float64, err error) {
			rate, early, err = b.importRows(ctx, dir, b.growth/10, 0)
			return rate, err
		})
		if err != nil {
			return err
		}
	}
	imported, err := inFolder(b.dir, func(dir string) (float64, error) {
		rate, late, err := b.importRows(ctx, dir, b.growth, 0)
		if err != nil {
			return 0, err
		}
		if memory != nil {
			memory.add(early, late)
		}
		if again != nil {
			replayed, _, err := b.importRows(ctx, dir, b.growth, b.growth)
			if err != nil {
				return 0, err
			}
			again.add(replayed, rate)
		}
		return rate, nil
	})
	if err != nil {
		return err
	}
	for _, row := range []struct {
		figure *figure
		source iter.Seq[contacts.CreateContactInput]
	}{{plain, rowsOf(b.growth)}, {keyed, withKeys(rowsOf(b.growth))}} {
		if row.figure == nil {
			continue
		}
		fromMemory, err := inFolder(b.dir, func(dir string) (float64, error) {
			t, err := openOurs(ctx, dir, b.world)
			if err != nil {
				return 0, err
			}
			key := b.world.keys[b.world.directory.Accounts[0].ID]
			return untilClosed(t, b.growth, func() error {
				return createStream(ctx, t.(*ourTarget).svc, key, b.growth, row.source, nil)
			})
		})
		if err != nil {
			return err
		}
		row.figure.add(imported, fromMemory)
	}
	return nil
}

// withKeys gives each contact an idempotency key, as an import does.
func withKeys(all iter.Seq[contacts.CreateContactInput]) iter.Seq[contacts.CreateContactInput] {
	return func(yield func(contacts.CreateContactInput) bool) {
		i := 0
		for in := range all {
			in.IdempotencyKey = "row " + strconv.Itoa(i)
			if i++; !yield(in) {
				return
			}
		}
	}
}

// importRows imports the first n rows into the first account of the file in a folder,
// where so many of them are stored already. It returns how many a second, until the file
// is closed, and the peak of the memory.
func (b *bench) importRows(ctx context.Context, dir string, n, stored int) (rate, peak float64, err error) {
	path, err := csvFile(dir, n)
	if err != nil {
		return 0, 0, err
	}
	t, err := openOurs(ctx, dir, b.world)
	if err != nil {
		return 0, 0, err
	}
	if err := resetPeakMemory(); err != nil {
		return 0, 0, errors.Join(err, t.close())
	}
	rate, err = untilClosed(t, n, func() error {
		summary, err := b.importFile(ctx, t.(*ourTarget).svc, path)
		if err == nil && (summary.Created != n-stored || summary.Replayed != stored) {
			err = fmt.Errorf("of %d rows %d were created and %d replayed, and %d were stored before", n, summary.Created, summary.Replayed, stored)
		}
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	if peak, err = peakMemory(); err != nil {
		return 0, 0, err
	}
	return rate, peak, os.Remove(path)
}

// importFile imports a file into the first account.
func (b *bench) importFile(ctx context.Context, svc *contacts.Service, path string) (_ *contactsio.Summary, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	reader, err := contactsio.NewReader(f, nil)
	if err != nil {
		return nil, err
	}
	return contactsio.Import(ctx, svc, b.world.keys[b.world.directory.Accounts[0].ID], reader, nil)
}

// exports exports the contacts of the large file, and walks through them.
func (b *bench) exports(ctx context.Context) error {
	export, pages := b.figure("files-export"), b.figure("files-walk")
	if export == nil && pages == nil {
		return nil
	}
	return b.onLarge(ctx, func(_ *largeFile, t *ourTarget) error {
		exported := func(key string) (int, error) { return contactsio.Export(ctx, t.svc, key, io.Discard, nil) }
		for range b.reps {
			walk, err := b.walkRate(walkOf(ctx, t.svc, 0))
			if err != nil {
				return err
			}
			if export != nil {
				rate, err := b.walkRate(exported)
				if err != nil {
					return err
				}
				export.add(rate, walk)
			}
			if pages != nil {
				small, err := b.walkRate(walkOf(ctx, t.svc, 100))
				if err != nil {
					return err
				}
				pages.add(walk, small)
			}
		}
		return nil
	})
}

// walkOf walks through all contacts that a key may see, with pages of that size; 0:
// those of 1,000 that Contacts makes.
func walkOf(ctx context.Context, svc *contacts.Service, page int) func(key string) (int, error) {
	return func(key string) (n int, err error) {
		for _, err := range svc.Contacts(ctx, key, contacts.ListContactsInput{Limit: page}) {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}
}

// walkRate walks through all accounts of the large file, and returns how many contacts
// a second.
func (b *bench) walkRate(walk func(key string) (int, error)) (float64, error) {
	runtime.GC()
	found := 0
	start := time.Now()
	for _, a := range b.world.directory.Accounts {
		n, err := walk(b.world.keys[a.ID])
		if err != nil {
			return 0, err
		}
		found += n
	}
	elapsed := time.Since(start)
	if found != b.growth {
		return 0, fmt.Errorf("a walk found %d contacts, and not %d", found, b.growth)
	}
	return float64(found) / elapsed.Seconds(), nil
}
