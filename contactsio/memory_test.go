package contactsio_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/memory"
)

// TestMemory measures the memory of reading, importing and exporting. Its parts run one
// after the other, because they measure the whole process.
func TestMemory(t *testing.T) {
	t.Run("long rows", testMemoryOfLongRows)
	t.Run("refused rows", testMemoryOfRefusedRows)
	t.Run("folded card", testMemoryOfFoldedCard)
	t.Run("custom fields", testMemoryOfCustomFields)
	t.Run("long history", testMemoryOfLongHistory)
	t.Run("many rows", testMemoryOfManyRows)
	t.Run("list of wide rows", testMemoryOfWideList)
}

// testMemoryOfLongRows reads rows and cards that are far longer than a row may be. They
// are read over: the memory of all of it is a few times MaxRow.
func testMemoryOfLongRows(t *testing.T) {
	const maxRow = 64 << 10
	size := int64(longtest.Extent(16<<20, 1<<30))
	for name, tc := range map[string]struct {
		begin string
		rest  repeating
	}{
		"open quote": {"first_name,last_name\nA,\"", "x"}, "one line": {"first_name,last_name\nA,", "x"},
		"photo": {"BEGIN:VCARD\nPHOTO:", "x"}, "note": {"BEGIN:VCARD\nNOTE:", "x"}, "folded name": {"BEGIN:VCARD\nNOTE", repeating(strings.Repeat("x", 70) + "\n ")},
	} {
		file := io.MultiReader(strings.NewReader(tc.begin), io.LimitReader(tc.rest, size), strings.NewReader("\nEND:VCARD\n"))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		rows := read(t, file, &contactsio.ReadOptions{MaxRow: maxRow})
		runtime.ReadMemStats(&after)
		if len(rows) == 0 {
			t.Errorf("%s: no row", name)
		}
		const maxAllocated = 2 << 20
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > maxAllocated {
			t.Errorf("%s: reading %d bytes allocated %d, want %d or less", name, size, allocated, maxAllocated)
		}
	}
}

// testMemoryOfRefusedRows reads rows after an open quote that cannot be parsed, each by
// itself. Memory grows with their number and not with its square.
func testMemoryOfRefusedRows(t *testing.T) {
	const n = 5000
	file := "first_name,last_name\nA,\"\n" + strings.Repeat("a\"\"b\n", n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rows := read(t, strings.NewReader(file), nil)
	runtime.ReadMemStats(&after)
	if len(rows) != 1+n {
		t.Errorf("got %d rows", len(rows))
	}
	const maxAllocated = 64 << 20
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > maxAllocated {
		t.Errorf("reading %d rows allocated %d, want %d or less", n, allocated, maxAllocated)
	}
}

// testMemoryOfFoldedCard reads cards of very many folded lines. Their memory grows with
// the length of the text and not with its square.
func testMemoryOfFoldedCard(t *testing.T) {
	for name, lines := range map[string]string{
		"value": "NOTE:x\n" + strings.Repeat(" x\n", 20_000), "name": "NOTE\n" + strings.Repeat(" =\n", 20_000),
		"quoted-printable": "NOTE;ENCODING=QUOTED-PRINTABLE:x=\n" + strings.Repeat("x=\n", 20_000) + "x\n",
	} {
		file := "BEGIN:VCARD\nVERSION:2.1\nN:Example;Ada\n" + lines + "END:VCARD\n"
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		rows := read(t, strings.NewReader(file), nil)
		runtime.ReadMemStats(&after)
		if len(rows) != 1 || rows[0].Contact.FirstName != "Ada" {
			t.Errorf("%s: got %d rows", name, len(rows))
		}
		const maxAllocated = 4 << 20
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > maxAllocated {
			t.Errorf("%s: reading %d bytes allocated %d, want %d or less", name, len(file), allocated, maxAllocated)
		}
	}
}

// testMemoryOfCustomFields reads a row with very many custom fields of the same name.
// Each gets a name of its own, and the names that are tried grow with their number and
// not with its square.
func testMemoryOfCustomFields(t *testing.T) {
	const fields = 2000
	var header strings.Builder
	for i := range fields {
		fmt.Fprintf(&header, ",Custom Field %d - Value", i)
	}
	file := "First Name" + header.String() + "\nAda" + strings.Repeat(",x", fields) + "\n"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rows := read(t, strings.NewReader(file), nil)
	runtime.ReadMemStats(&after)
	if len(rows) != 1 || len(rows[0].Contact.CustomContext) != fields {
		t.Errorf("got %d rows", len(rows))
	}
	const maxAllocated = 24 << 20
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > maxAllocated {
		t.Errorf("reading %d custom fields allocated %d, want %d or less", fields, allocated, maxAllocated)
	}
}

// A journalGauge measures the memory that is in use when the journal is listed.
type journalGauge struct {
	contacts.Store
	used []int64
}

func (s *journalGauge) ListJournal(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
	s.used = append(s.used, inUse())
	return s.Store.ListJournal(ctx, q)
}

// testMemoryOfLongHistory exports a contact with large contexts and many small changes:
// what it was after each of them is not kept.
func testMemoryOfLongHistory(t *testing.T) {
	store := &journalGauge{Store: memory.New()}
	defer store.Close()
	ctx, admin := t.Context(), contacts.NewAdmin(store, nil)
	account, err := admin.CreateAccount(ctx, "Acme")
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.SetEvents(ctx, account.ID, contacts.EventSettings{On: true}); err != nil {
		t.Fatal(err)
	}
	key, _, err := admin.IssueKey(ctx, contacts.IssueKeyInput{AccountID: account.ID, AllTeams: true, Permissions: []contacts.Permission{
		contacts.PermissionReadContacts, contacts.PermissionWriteContacts, contacts.PermissionReadEvents,
	}})
	if err != nil {
		t.Fatal(err)
	}
	svc, err := contacts.New(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	in := contacts.CreateContactInput{FirstName: "Ada", CustomContext: make(map[string]any)}
	for i := range 2000 {
		in.CustomContext[fmt.Sprint(i)] = "x"
	}
	ada, err := svc.CreateContact(ctx, key, in)
	if err != nil {
		t.Fatal(err)
	}
	const changes = 150
	for range changes {
		if _, err := svc.UpdateContact(ctx, key, ada.ID, contacts.UpdateContactInput{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	store.used = nil
	var file strings.Builder
	if n, err := contactsio.Export(ctx, svc, key, &file, &contactsio.ExportOptions{Format: contactsio.FormatJSONLines, History: true}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n := strings.Count(file.String(), `"contact.updated"`); n != changes || len(store.used) < 2 {
		t.Fatalf("the line has %d changes, and the journal was listed %d times", n, len(store.used))
	}
	const maxKept = 2 << 20
	if kept := store.used[1] - store.used[0]; kept > maxKept {
		t.Errorf("after 100 events %d bytes are kept, want %d or less", kept, maxKept)
	}
}

// repeating is a text again and again, without an end.
type repeating string

func (r repeating) Read(p []byte) (int, error) {
	n := 0
	for n == 0 || n+len(r) <= len(p) {
		n += copy(p[n:], r)
	}
	return n, nil
}

// testMemoryOfManyRows imports and exports ten times as many rows, which takes hardly
// more memory. The store takes none: it keeps nothing.
func testMemoryOfManyRows(t *testing.T) {
	longtest.SkipShort(t)
	rows := longtest.Extent(4_000, 100_000)
	for name, peak := range map[string]func(*testing.T, int) int64{"import": importPeak, "export": exportPeak} {
		t.Run(name, func(t *testing.T) {
			peak(t, rows/10) // what is kept for good is there then
			few, many := peak(t, rows), peak(t, 10*rows)
			t.Logf("%d bytes with %d rows, %d with %d", few, rows, many, 10*rows)
			const maxUse, noise = 64 << 20, 1 << 20
			if many > few+few/10+noise || many > maxUse {
				t.Errorf("%d rows take %d bytes, and %d rows %d", rows, few, 10*rows, many)
			}
		})
	}
}

// testMemoryOfWideList imports a list of numbers whose rows are long. It holds their
// text for the file of refused rows, up to a bound.
func testMemoryOfWideList(t *testing.T) {
	longtest.SkipShort(t)
	const rows, width, refused = 3000, 64 << 10, 1000 // each so many
	f := listing(t)
	junk := strings.Repeat("x", width)
	file, end := io.Pipe()
	defer file.Close()
	go func() {
		fmt.Fprintln(end, "number,junk")
		for i := range rows {
			number := fmt.Sprintf("+1555%07d", i)
			if i%refused == 0 {
				number = "nobody"
			}
			fmt.Fprintf(end, "%s,%s\n", number, junk)
		}
		end.Close()
	}()
	g := newGauge(rows)
	var lines strings.Builder
	s, err := contactsio.ImportDoNotCall(t.Context(), f.Service, f.Key, file, &contactsio.DoNotCallImportOptions{
		Refused: firstCells{&lines}, Progress: func(contactsio.Progress) { g.step() },
	})
	if err != nil || s.Rows != rows || s.Refused != rows/refused || s.Added != rows-s.Refused {
		t.Fatalf("%+v, %v", s, err)
	}
	if want := "2\n1002\n2002\n"; lines.String() != want {
		t.Errorf("refused lines %q, want %q", lines.String(), want)
	}
	const maxUse = 80 << 20
	if g.peak > maxUse {
		t.Errorf("%d rows of %d bytes take %d, want %d or less", rows, width, g.peak, maxUse)
	}
}

// firstCells writes the first cell of each row of CSV alone.
type firstCells struct{ to io.Writer }

func (f firstCells) Write(p []byte) (int, error) {
	for row := range strings.Lines(string(p)) {
		if cell, _, ok := strings.Cut(row, ","); ok && len(cell) < 10 {
			fmt.Fprintln(f.to, cell)
		}
	}
	return len(p), nil
}

// A gauge knows the most memory that was in use.
type gauge struct {
	every  int // thousands of rows
	steps  int
	before int64
	peak   int64
}

// newGauge returns a gauge that measures fifty times.
func newGauge(rows int) *gauge { return &gauge{every: max(1, rows/50_000), before: inUse()} }

// step measures. It is called after each thousand rows.
func (g *gauge) step() {
	if g.steps++; g.steps%g.every == 0 {
		g.peak = max(g.peak, inUse()-g.before)
	}
}

// inUse returns how many bytes are in use.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func importPeak(t *testing.T, rows int) int64 {
	svc, key := (&sink{}).service(t)
	g := newGauge(rows)
	r, err := contactsio.NewReader(&peopleFile{left: rows}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := contactsio.Import(t.Context(), svc, key, r, &contactsio.ImportOptions{Report: io.Discard, Progress: func(contactsio.Progress) { g.step() }})
	if err != nil || s.Created != rows {
		t.Fatalf("%+v, %v", s, err)
	}
	return g.peak
}

func exportPeak(t *testing.T, rows int) int64 {
	svc, key := (&sink{listed: uint64(rows)}).service(t)
	g := newGauge(rows)
	n, err := contactsio.Export(t.Context(), svc, key, io.Discard, &contactsio.ExportOptions{Progress: func(int) { g.step() }})
	if err != nil || n != rows {
		t.Fatal(n, err)
	}
	return g.peak
}

// A peopleFile is a file like people, which is made while it is read.
type peopleFile struct {
	left int
	text []byte
}

func (f *peopleFile) Read(p []byte) (int, error) {
	switch {
	case len(f.text) > 0:
	case f.left == 0:
		return 0, io.EOF
	case f.text == nil:
		f.text = []byte("first_name,last_name,phone_number\r\n")
	default:
		f.left--
		f.text = fmt.Appendf(f.text, "Ann,Example %d,+1555%07d\r\n", f.left, f.left)
	}
	n := copy(p, f.text)
	f.text = f.text[n:]
	return n, nil
}

// A sink is a store that forgets its contacts, and lists others, as many as it is told.
type sink struct {
	contacts.Store
	listed uint64
}

// service returns a service on the sink, with an API key.
func (s *sink) service(t *testing.T) (*contacts.Service, string) {
	t.Helper()
	s.Store = memory.New()
	t.Cleanup(func() { s.Store.Close() })
	admin := contacts.NewAdmin(s.Store, nil)
	account, err := admin.CreateAccount(t.Context(), "Example")
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: account.ID, Permissions: []contacts.Permission{contacts.PermissionReadContacts}, AllTeams: true})
	if err != nil {
		t.Fatal(err)
	}
	svc, err := contacts.New(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return svc, key
}

func (s *sink) Apply(_ context.Context, b contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	return make([]contacts.MutationOutcome, len(b.Mutations)), nil
}

func (s *sink) ListContacts(_ context.Context, q contacts.ContactQuery) (l contacts.ContactList, _ error) {
	next := s.listed // the number of a contact is the end of its id
	if q.After != uuid.Nil {
		next = binary.BigEndian.Uint64(q.After[8:]) - 1
	}
	for ; next > 0 && len(l.Records) < q.Limit; next-- {
		c := contacts.Contact{AccountID: q.AccountID, FirstName: "Ann", LastName: fmt.Sprint("Example ", next), Version: 1}
		binary.BigEndian.PutUint64(c.ID[8:], next)
		l.Records = append(l.Records, &contacts.ContactRecord{Contact: c})
	}
	return l, nil
}
