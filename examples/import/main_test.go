package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"example.com/contacts"
	"example.com/contacts/contactstest"
	"example.com/contacts/store/memory"
	"example.com/contacts/store/sqlite"
)

// imported is the result of a run of the program.
type imported struct {
	status         int
	stdout, stderr string
}

func runImport(ctx context.Context, stdin io.Reader, args ...string) imported {
	var stdout, stderr bytes.Buffer
	status := run(ctx, args, stdin, &stdout, &stderr)
	return imported{status, stdout.String(), stderr.String()}
}

func write(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "people.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// stored returns the contacts of a database in the order of creation. It also checks
// that the key of the import is revoked.
func stored(t *testing.T, db string) (all []*contacts.Contact) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), db, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	svc, err := contacts.New(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	admin := contacts.NewAdmin(store, nil)
	for account, err := range admin.Accounts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for key, err := range admin.Keys(t.Context(), account.ID) {
			if err != nil {
				t.Fatal(err)
			}
			if key.Name == "import" && key.RevokedAt.IsZero() {
				t.Error("the key of an import still works")
			}
		}
	}
	key, revoke, err := temporaryKey(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	for c, err := range svc.Contacts(t.Context(), key, contacts.ListContactsInput{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if err := revoke(); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(all)
	return all
}

func firstNames(all []*contacts.Contact) string {
	var names []string
	for _, c := range all {
		names = append(names, c.FirstName)
	}
	return strings.Join(names, " ")
}

// The transcript in the comment of the program.
func TestImportingAgain(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "contacts.db")
	const people = "first_name,last_name,tags,phone_number,phone_number_2,do_not_call_2\n" +
		"Ada,Lovelace,maths;engines,+15551234567,+15559876543,yes\n" +
		"Alan,Turing,,555 1234,,\n"
	for _, c := range []struct {
		name, people string
		want         imported
	}{
		{"at first", people, imported{status: 1, stdout: "line 3: phone_numbers[0].phone_number: must start with + and the country code\n" +
			"2 rows: 1 imported, 0 already imported, 1 refused\n"}},
		{"corrected", strings.Replace(people, "555 1234", "+1 555 123 4567", 1), imported{stdout: "2 rows: 1 imported, 1 already imported, 0 refused\n"}},
		{"again, with the row in another line", strings.Replace(people, "Alan,Turing,,555 1234,,\n", "", 1), imported{stdout: "1 row: 0 imported, 1 already imported, 0 refused\n"}},
	} {
		if got := runImport(t.Context(), nil, "-db", db, write(t, c.people)); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
	all := stored(t, db)
	if firstNames(all) != "Ada Alan" {
		t.Fatalf("stored %s", firstNames(all))
	}
	ada := all[0]
	if !slices.Equal(ada.Tags, []string{"maths", "engines"}) || len(ada.PhoneNumbers) != 2 ||
		!ada.PhoneNumbers[0].Primary || ada.PhoneNumbers[1].PhoneNumber != "+15559876543" || !ada.PhoneNumbers[1].DoNotCall {
		t.Errorf("stored %+v", ada)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	const people = "first_name,email\n"
	const tally = ": %d imported, 0 already imported, %d refused\n"
	long := people + "Ada,\n\"" + strings.Repeat("x", 3*maxRowBytes)
	for _, c := range []struct {
		name   string
		text   string
		args   []string
		status int
		stdout string
		stderr string // a part of it; "": it is empty
		names  string // of the stored contacts
	}{
		{name: "two rows", text: people + "Ada,ada@example.com\nAlan,\n", names: "Ada Alan", stdout: "2 rows" + fmt.Sprintf(tally, 2, 0)},
		{name: "no row", text: people, stdout: "0 rows" + fmt.Sprintf(tally, 0, 0)},
		{name: "no line break at the end", text: people + "Ada,", names: "Ada", stdout: "1 row" + fmt.Sprintf(tally, 1, 0)},
		{name: "Windows line breaks and spaces", text: " first_name , email\r\n Ada , ada@example.com\r\n", names: "Ada", stdout: "1 row" + fmt.Sprintf(tally, 1, 0)},
		{name: "a byte order mark", text: "\ufeff" + people + "Ada,\n", names: "Ada", stdout: "1 row" + fmt.Sprintf(tally, 1, 0)},
		{name: "a byte order mark and a quoted name", text: "\ufeff\"first_name\",email\nAda,\n", names: "Ada", stdout: "1 row" + fmt.Sprintf(tally, 1, 0)},
		{name: "semicolons", text: "first_name;tags\nAda;\"a;b\"\n", args: []string{"-comma", ";"}, names: "Ada", stdout: "1 row" + fmt.Sprintf(tally, 1, 0)},
		{name: "tabs", text: "first_name\temail\nAda\t\n", args: []string{"-comma", `\t`}, names: "Ada", stdout: "1 row" + fmt.Sprintf(tally, 1, 0)},
		{name: "one row twice is one contact", text: people + "Ada,\nAda,\n", names: "Ada", stdout: "2 rows: 1 imported, 1 already imported, 0 refused\n"},
		{name: "empty rows", text: people + ",\n\nAda,\n,\n,,\n", names: "Ada", stdout: "1 row" + fmt.Sprintf(tally, 1, 0)},

		{name: "rows with missing or extra fields", text: people + "Ada\nAlan,,\nGrace,\n", status: 1, names: "Grace",
			stdout: "line 2: must have 2 fields like the first line, but has 1\nline 3: must have 2 fields like the first line, but has 3\n3 rows" + fmt.Sprintf(tally, 1, 2)},
		{name: "the report is in the order of the lines", status: 1, names: "Grace",
			text: "first_name,email,team_id,custom_context\n,,,\nAda,ada,,\nGrace,,,\nAlan,,seven,[]\n,grace@example.com,,\nKen,,7,\n",
			stdout: "line 3: email: must be one bare address such as name@example.com\n" +
				"line 5: team_id: must be an integer\nline 5: custom_context: must be one JSON object, in UTF-8\n" +
				"line 6: first_name: is required\nline 7: team not found\n5 rows" + fmt.Sprintf(tally, 1, 4)},
		{name: "the line of a row is its first line", status: 1, names: "Ada",
			text:   "first_name,address\nAda,\"1 Main St\nLondon\"\n,\"2 Main St\n\"\n",
			stdout: "line 4: first_name: is required\n2 rows" + fmt.Sprintf(tally, 1, 1)},
		{name: "not UTF-8", text: people + "Ad\xe9la\xefde,\n", status: 1, stdout: "line 2: first_name: must be valid UTF-8\n1 row" + fmt.Sprintf(tally, 0, 1)},

		{name: "an empty file", text: "", status: 1, stderr: "people.csv: the file is empty; its first line must name the columns"},
		{name: "only a byte order mark", text: "\ufeff", status: 1, stderr: "the file is empty"},
		{name: "UTF-16", text: "\xff\xfef\x00i\x00", status: 1, stderr: "UTF-16"},
		{name: "an unknown column", text: "first_name,colour\nAda,blue\n", status: 1,
			stderr: `column 2, "colour", is unknown; the known columns are first_name, last_name, email, `},
		{name: "a column without a name", text: "first_name,\nAda,\n", status: 1, stderr: `column 2, "", is unknown`},
		{name: "the documented list phone_numbers is not a column", text: "first_name,phone_numbers\nAda,\n", status: 1, stderr: "phone_number_2, phone_type_2"},
		{name: "columns of too many phone numbers", text: "first_name,phone_number_51\n", status: 1, stderr: `"phone_number_51", is unknown`},
		{name: "another separator", text: "first_name;email\nAda;\n", status: 1, stderr: "add -comma ';'"},
		{name: "a column twice", text: "first_name,email,first_name\n", status: 1, stderr: `the column "first_name" appears twice`},
		{name: "no first name", text: "last_name,email\n", status: 1, stderr: "no column first_name"},
		{name: "a field of a phone number without the number", text: "first_name,phone_number,do_not_call_2\n", status: 1,
			stderr: "the column do_not_call_2 needs a column phone_number_2"},
		{name: "a first line that is not CSV", text: "first_\"name\n", status: 1, stderr: "parse error on line 1"},

		{name: "a line that is not CSV", text: people + "Ada,\n,\nAlan,a\"b\"\nGrace,\n", status: 1, names: "Ada",
			stdout: "1 row" + fmt.Sprintf(tally, 1, 0), stderr: "people.csv: parse error on line 4, column 7: bare \" in non-quoted-field; the import stops there"},
		{name: "an unclosed quote", text: people + "Ada,\nAlan,\"\n", status: 1, names: "Ada",
			stdout: "1 row" + fmt.Sprintf(tally, 1, 0), stderr: "people.csv: parse error on line 3"},
		{name: "an unclosed quote far from the end", text: long, status: 1, names: "Ada",
			stdout: "1 row" + fmt.Sprintf(tally, 1, 0), stderr: "after line 2: the row is longer than 1048576 bytes; is there an unclosed quote?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db := filepath.Join(t.TempDir(), "contacts.db")
			got := runImport(t.Context(), nil, append(append([]string{"-db", db}, c.args...), write(t, c.text))...)
			if got.status != c.status || got.stdout != c.stdout {
				t.Errorf("exit status %d, want %d; printed %q, want %q", got.status, c.status, got.stdout, c.stdout)
			}
			if !strings.Contains(got.stderr, c.stderr) || (got.stderr == "") != (c.stderr == "") {
				t.Errorf("stderr has %q, want %q", got.stderr, c.stderr)
			}
			if c.stdout == "" { // the import has not begun
				if _, err := os.Stat(db); err == nil {
					t.Error("created a database although nothing was imported")
				}
				return
			}
			if got := firstNames(stored(t, db)); got != c.names {
				t.Errorf("stored %q, want %q", got, c.names)
			}
		})
	}
}

// A row with every column is the same contact as the documented JSON.
func TestColumns(t *testing.T) {
	t.Parallel()
	const people = "first_name,last_name,email,company,website,address,city,state,zip_code,country,status,stage,team_id,tags," +
		"custom_context,industry_context,phone_number,phone_type,primary,do_not_call,phone_number_2,phone_type_2,primary_2,do_not_call_2,phone_number_3\n" +
		`John,Doe,john.doe@example.com,Acme Corp,https://example.com,123 Main St,San Francisco,CA,94105,US,not_contacted,lead, 101 ,important; tech;,` +
		`"{""score"": 12345678901234567890}","{""industry"": ""technology""}",,mobile,no,yes,+15551234567,work,TRUE,0,+15559876543` + "\n"
	r, err := newRowReader(strings.NewReader(people), ',')
	if err != nil {
		t.Fatal(err)
	}
	var got []row
	for row := range r.rows() {
		got = append(got, row)
	}
	if len(got) != 1 || got[0].err != nil || r.err != nil {
		t.Fatalf("read %+v, %v", got, r.err)
	}
	f := contactstest.New(t, nil)
	if _, err := f.Admin.CreateTeam(t.Context(), contacts.Team{AccountID: f.Account.ID, ID: 101, Name: "Sales"}); err != nil {
		t.Fatal(err)
	}
	a, err := f.Service.CreateContact(t.Context(), f.Key, got[0].contact)
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.Service.CreateContactJSON(t.Context(), f.Key, strings.NewReader(`{"first_name": "John", "last_name": "Doe", "email": "john.doe@example.com",
		"company": "Acme Corp", "website": "https://example.com", "address": "123 Main St", "city": "San Francisco", "state": "CA", "zip_code": "94105",
		"country": "US", "status": "not_contacted", "stage": "lead", "team_id": 101, "tags": ["important", "tech"],
		"custom_context": {"score": 12345678901234567890}, "industry_context": {"industry": "technology"},
		"phone_numbers": [{"phone_number": "+15551234567", "phone_type": "work", "primary": true}, {"phone_number": "+15559876543"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	a.ID, a.CreatedAt, a.UpdatedAt = b.ID, b.CreatedAt, b.UpdatedAt
	for i := range a.PhoneNumbers {
		a.PhoneNumbers[i].ID = b.PhoneNumbers[i].ID
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("the row is %+v, want %+v", a, b)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	people := write(t, "first_name\nAda\n")
	for _, c := range []struct {
		name   string
		args   []string
		status int
		stderr string
	}{
		{"help", []string{"-h"}, 0, "usage: import"},
		{"an unknown flag", []string{"-colour", people}, 2, "-colour"},
		{"two files", []string{people, people}, 2, "one file"},
		{"a flag after the file", []string{people, "-db"}, 2, "after the flags"},
		{"flags for the demonstration", []string{"-db", "contacts.db"}, 2, "give a file"},
		{"a key for a trial", []string{"-key", "ck_1", people}, 2, "-db"},
		{"two separators", []string{"-comma", ";;", people}, 2, "one character"},
		{"no separator", []string{"-comma", "", people}, 2, "one character"},
		{"a quote as the separator", []string{"-comma", `"`, people}, 2, "not a quote"},
		{"a missing file", []string{filepath.Join(people, "none.csv")}, 1, "none.csv"},
		{"a folder", []string{filepath.Dir(people)}, 1, "is a folder"},
		{"a database that is a text file", []string{"-db", people, people}, 1, "people.csv"},
		{"a database in a missing folder", []string{"-db", filepath.Join(people, "contacts.db"), people}, 1, "contacts.db"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := runImport(t.Context(), nil, c.args...)
			if got.status != c.status || !strings.Contains(got.stderr, c.stderr) || got.stdout != "" {
				t.Errorf("got %+v, want status %d and %q", got, c.status, c.stderr)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "contacts.db")
	people := write(t, "first_name\nAda\n")
	store, err := sqlite.Open(t.Context(), db, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() // the import uses the file at the same time
	admin := contacts.NewAdmin(store, nil)
	var keys []string
	for _, permissions := range [][]contacts.Permission{nil, {contacts.PermissionReadContacts}} {
		account, err := admin.CreateAccount(t.Context(), "Acme Corp")
		if err != nil {
			t.Fatal(err)
		}
		key, _, err := admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: account.ID, Permissions: permissions})
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	for _, c := range []struct {
		name   string
		key    string
		status int
		stderr string
	}{
		{"no key, two accounts", "", 1, "the database has 2 accounts; give an API key"},
		{"an invalid key", "ck_1", 1, "invalid_key"},
		{"a key without the permission", keys[0], 1, "permission_denied"},
		{"a key with the permission", keys[1], 0, ""},
	} {
		got := runImport(t.Context(), nil, "-db", db, "-key", c.key, people)
		if got.status != c.status || !strings.Contains(got.stderr, c.stderr) || c.key != "" && strings.Contains(got.stderr, c.key) {
			t.Errorf("%s: got %+v, want status %d and %q", c.name, got, c.status, c.stderr)
		}
	}
}

// A generatedFile is a CSV file of max rows. It calls then when its last row was
// generated.
type generatedFile struct {
	max, row int
	then     func()
	text     []byte
}

func (r *generatedFile) Read(p []byte) (int, error) {
	if r.row == 0 {
		r.text = append(r.text, "first_name,email\n"...)
	}
	for len(r.text) < len(p) && r.row < r.max {
		r.row++
		r.text = fmt.Appendf(r.text, "Ada,ada%d@example.com\n", r.row)
	}
	if r.row == r.max {
		r.then()
	}
	if len(r.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.text)
	r.text = r.text[n:]
	return n, nil
}

// Ctrl-C in the middle of the third batch of a thousand.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "contacts.db")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := runImport(ctx, &generatedFile{max: 2500, then: cancel}, "-db", db, "-")
	all := stored(t, db)
	want := imported{
		status: 1,
		stdout: fmt.Sprintf("%d rows: %d imported, 0 already imported, 0 refused\n", len(all), len(all)),
		stderr: "import: -: interrupted; the rows read so far are stored, and the same command imports the rest\n",
	}
	if got != want || len(all) <= 2000 || len(all) >= 2500 {
		t.Errorf("stored %d, got %+v, want %+v", len(all), got, want)
	}
	got = runImport(t.Context(), &generatedFile{max: 2500, then: func() {}}, "-db", db, "-")
	want = imported{stdout: fmt.Sprintf("2500 rows: %d imported, %d already imported, 0 refused\n", 2500-len(all), len(all))}
	if got != want {
		t.Errorf("afterwards got %+v, want %+v", got, want)
	}
	if n := len(stored(t, db)); n != 2500 {
		t.Errorf("stored %d in the end, want 2500", n)
	}
}

// A failingStore stores a number of contacts. Then its disk is full.
type failingStore struct {
	contacts.Store
	left int
}

func (s *failingStore) Apply(ctx context.Context, batch contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	if len(batch.Mutations) > s.left {
		return nil, errors.New("the disk is full")
	}
	s.left -= len(batch.Mutations)
	return s.Store.Apply(ctx, batch)
}

func TestStoreFails(t *testing.T) {
	t.Parallel()
	store := &failingStore{memory.New(), 1500}
	defer store.Close()
	svc, err := contacts.New(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := temporaryKey(t.Context(), contacts.NewAdmin(store, nil))
	if err != nil {
		t.Fatal(err)
	}
	in := &generatedFile{max: 100_000, then: func() {}}
	r, err := newRowReader(in, ',')
	if err != nil {
		t.Fatal(err)
	}
	i := &importer{svc: svc, key: key, report: io.Discard}
	err = i.importRows(t.Context(), r)
	if !errors.Is(err, contacts.ErrServer) || !strings.HasPrefix(err.Error(), "line 1002: ") || !strings.HasSuffix(err.Error(), ": the disk is full") {
		t.Errorf("got the error %v", err)
	}
	if want := "2000 rows: 1000 imported, 0 already imported, 0 refused, 1000 not stored"; i.tally.String() != want {
		t.Errorf("got %s, want %s", i.tally, want)
	}
	if in.row > 10_000 {
		t.Errorf("read %d rows after the store had failed", in.row)
	}
}

// A key that is revoked during the import ends it.
func TestKeyIsRevoked(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	r, err := newRowReader(strings.NewReader("first_name\nAda\n"), ',')
	if err != nil {
		t.Fatal(err)
	}
	f.FailNext(contacts.CodeInvalidKey)
	i := &importer{svc: f.Service, key: f.Key, report: io.Discard}
	if err := i.importRows(t.Context(), r); !errors.Is(err, contacts.ErrInvalidKey) || i.tally.rows() != 0 {
		t.Errorf("got %v, %s", err, i.tally)
	}
}

// Refused rows are reported before memory fills up with them.
func TestManyWrongRows(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	text := "first_name,team_id\nAda,\n" + strings.Repeat("Alan,x\n", 2*maxWaiting)
	r, err := newRowReader(strings.NewReader(text), ',')
	if err != nil {
		t.Fatal(err)
	}
	var report bytes.Buffer
	i := &importer{svc: f.Service, key: f.Key, report: &report}
	if err := i.importRows(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(report.String(), ": team_id: must be an integer\n"); n != 2*maxWaiting || i.tally.imported != 1 {
		t.Errorf("reported %d rows, %s", n, i.tally)
	}
}

func TestBar(t *testing.T) {
	t.Parallel()
	var terminal bytes.Buffer
	b := &bar{terminal: &terminal, size: 1000}
	b.clear()
	b.show(100, 1)
	b.show(101, 2) // too soon to be shown
	b.show(500, 100)
	b.clear()
	b.show(1000, 200)
	const half = "[###############---------------]  50 %  100 rows"
	want := "\r[###---------------------------]  10 %  1 rows" + "\r" + half +
		"\r" + strings.Repeat(" ", utf8.RuneCountInString(half)) + "\r" +
		"\r[##############################] 100 %  200 rows"
	if terminal.String() != want {
		t.Errorf("drew %q, want %q", &terminal, want)
	}

	terminal.Reset()
	b = &bar{terminal: &terminal}
	if b.show(1000, 300); terminal.String() != "\r300 rows" {
		t.Errorf("without a size drew %q", &terminal)
	}

	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, w := range []io.Writer{file, &terminal} {
		if b := newBar(w, 1000); b != nil {
			t.Errorf("%T is not a terminal, but has a bar", w)
		}
	}
}

func TestDemonstration(t *testing.T) {
	dir := t.TempDir()
	for _, temp := range []string{"TMPDIR", "TMP", "TEMP"} { // the last two are for Windows
		t.Setenv(temp, dir)
	}
	got := runImport(t.Context(), nil)
	if got.status != 0 || got.stderr != "" {
		t.Errorf("got %+v", got)
	}
	for _, want := range []string{
		"line 17: phone_numbers[0].phone_number: must start with + and the country code\n",
		"\n5000 rows: 4994 imported, 0 already imported, 6 refused\n",
		"\n5000 rows: 0 imported, 4994 already imported, 6 refused\n",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %q in\n%s", want, got.stdout)
		}
	}
	trial := runImport(t.Context(), nil, write(t, "first_name\nAda\n"))
	if trial.status != 0 || !strings.Contains(trial.stdout, "1 imported") || !strings.Contains(trial.stdout, "a trial") {
		t.Errorf("a trial: %+v", trial)
	}
	left, err := os.ReadDir(dir)
	for _, e := range left {
		if strings.HasPrefix(e.Name(), "contacts-") {
			t.Errorf("left in the temporary folder: %s", e.Name())
		}
	}
	if err != nil {
		t.Error(err)
	}
}
