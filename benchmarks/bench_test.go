package main

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/pocketbase/pocketbase/core"

	"example.com/contacts"
)

func mustWorld(t *testing.T) *world {
	t.Helper()
	w, err := newWorld(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// store writes the contacts with four callers and proves that all are there.
func store(t *testing.T, p peer, w *world, all []*contact) (dir string) {
	t.Helper()
	dir = t.TempDir()
	b := &bench{world: w}
	if _, err := b.write(t.Context(), p, dir, all, 4, new(cost)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// readBack reads a contact with its account and id, as that peer reads it.
func readBack(t *testing.T, p peer, dir string, account, id uuid.UUID) *contacts.ContactRecord {
	t.Helper()
	target, err := p.open(t.Context(), dir, mustWorld(t))
	if err != nil {
		t.Fatal(err)
	}
	defer target.close()
	r, err := target.(bulk).find(t.Context(), account, id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func equal(t *testing.T, got, want *contacts.ContactRecord) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("stored and read back:\n%+v\nwant:\n%+v", got, want)
	}
}

func TestPeersStoreTheSameRows(t *testing.T) {
	w := mustWorld(t)
	all := w.contacts(50)
	want := all[17].record

	t.Run(ours.name, func(t *testing.T) {
		dir := store(t, ours, w, all)
		var text string // the Service chose the id
		query(t, file(dir), "SELECT id FROM contact WHERE email = ?", []any{want.Contact.Email}, &text)
		id := uuid.MustParse(text)
		got := readBack(t, ours, dir, want.Contact.AccountID, id)

		made := *want // with the ids, times and version of the Service
		made.Contact.Version = got.Contact.Version
		made.Contact.ID, made.Contact.CreatedAt, made.Contact.UpdatedAt = got.Contact.ID, got.Contact.CreatedAt, got.Contact.UpdatedAt
		made.Contact.PhoneNumbers = slices.Clone(made.Contact.PhoneNumbers)
		for i := range made.Contact.PhoneNumbers {
			made.Contact.PhoneNumbers[i].ID = got.Contact.PhoneNumbers[i].ID
		}
		equal(t, got, &made)
	})
	for _, p := range []peer{handwritten, gormPeer} {
		t.Run(p.name, func(t *testing.T) {
			dir := store(t, p, w, all)
			equal(t, readBack(t, handwritten, dir, want.Contact.AccountID, want.Contact.ID), want)
		})
	}
	t.Run(pocketbase.name, func(t *testing.T) {
		dir := store(t, pocketbase, w, all)
		app := core.NewBaseApp(core.BaseAppConfig{DataDir: dir})
		if err := app.Bootstrap(); err != nil {
			t.Fatal(err)
		}
		defer app.ResetBootstrapState()
		c, err := app.FindFirstRecordByData("contacts", "email", want.Contact.Email)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(c.Get("account"), c.Get("first_name"), c.Get("stage"), c.Get("custom_context"))
		if want := fmt.Sprint(want.Contact.AccountID, want.Contact.FirstName, want.Contact.Stage, want.CustomContext); got != want {
			t.Errorf("stored and read back: %s, want %s", got, want)
		}
		for _, p := range want.Contact.PhoneNumbers {
			phone, err := app.FindFirstRecordByData("phones", "number", p.PhoneNumber)
			if err != nil {
				t.Fatal(err)
			}
			if phone.GetString("contact") != c.Id || phone.GetString("type") != p.PhoneType || phone.GetBool("do_not_call") != p.DoNotCall {
				t.Errorf("phone %v, want %+v", phone.FieldsData(), p)
			}
		}
	})
}

// TestPostgresPeersStoreTheSameRows compares all rows of the peers that share a
// schema.
func TestPostgresPeersStoreTheSameRows(t *testing.T) {
	folder, err := os.MkdirTemp("", "contacts-benchmarks-") // which the server's user can reach
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	s, err := startPostgres(t.Context(), folder)
	if errors.Is(err, errNoPostgres) {
		t.Skip("left out: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}()
	w := mustWorld(t)
	all := w.contacts(50)
	stored := func(p peer, name string) (rows []string) {
		t.Helper()
		dir := filepath.Join(folder, name)
		target, err := p.open(t.Context(), dir, w)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			err = errors.Join(err, target.create(t.Context(), c))
		}
		if err := errors.Join(err, target.close()); err != nil {
			t.Fatal(err)
		}
		c, err := pgx.Connect(t.Context(), s.url(databaseOf(dir)))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		found, err := c.Query(t.Context(), `SELECT c::text FROM contacts c UNION ALL SELECT p::text FROM phones p UNION ALL SELECT t::text FROM tags t ORDER BY 1`)
		if err != nil {
			t.Fatal(err)
		}
		rows, err = pgx.CollectRows(found, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	byHand, byGORM := stored(s.handwritten(), "pgx"), stored(s.gorm(), "gorm")
	if len(byHand) != 5*len(all) || !slices.Equal(byHand, byGORM) {
		t.Errorf("stored by hand:\n%s\nby GORM:\n%s", strings.Join(byHand, "\n"), strings.Join(byGORM, "\n"))
	}
}

func TestBulkStoresTheSameRows(t *testing.T) {
	w := mustWorld(t)
	all := w.records(2*batchSize + 1)
	want := all[batchSize]
	for _, p := range []peer{ours, handwritten} {
		t.Run(p.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := (&bench{world: w}).writeAll(t.Context(), p, dir, all); err != nil {
				t.Fatal(err)
			}
			equal(t, readBack(t, p, dir, want.Contact.AccountID, want.Contact.ID), want)
		})
	}
}

// TestFloorMakesTheSameFile compares every table of the two files, row by row,
// and all that is in the schema but triggers.
func TestFloorMakesTheSameFile(t *testing.T) {
	w := mustWorld(t)
	source := store(t, ours, w, w.contacts(50))
	f, err := buildFloor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := f.write(t.Context(), source, dir, 8, 50); err != nil {
		t.Fatal(err)
	}

	db := openDB(file(dir), 1, nil)
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "ATTACH ? AS source", file(source)); err != nil {
		t.Fatal(err)
	}
	tables := column(t, db, "SELECT name FROM source.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
	if len(tables) == 0 {
		t.Fatal("the store's file has no tables")
	}
	same := []string{"(SELECT type, name, sql FROM %s.sqlite_schema WHERE type <> 'trigger')"}
	for _, table := range tables {
		same = append(same, `(SELECT * FROM %s."`+table+`")`)
	}
	for _, rows := range same {
		ours, floors := "SELECT * FROM "+fmt.Sprintf(rows, "source"), "SELECT * FROM "+fmt.Sprintf(rows, "main")
		if n := column(t, db, "SELECT count(*) FROM ("+ours+" EXCEPT "+floors+")"); n[0] != "0" {
			t.Errorf("the C program's file lacks %s rows of %s", n[0], rows)
		}
		if n := column(t, db, "SELECT count(*) FROM ("+floors+" EXCEPT "+ours+")"); n[0] != "0" {
			t.Errorf("the C program's file has %s rows too many of %s", n[0], rows)
		}
	}
}

// TestPragmas compares the settings of the peers with those in the store's
// source.
func TestPragmas(t *testing.T) {
	source, err := os.ReadFile(filepath.Join("..", "store", "sqlite", "conn.go"))
	if err != nil {
		t.Fatal(err)
	}
	for function, want := range map[string][]pragma{"writerSettings": writerPragmas, "readerSettings": readerPragmas} {
		_, body, _ := strings.Cut(string(source), "func "+function+"(")
		body, _, _ = strings.Cut(body, "\n}\n")
		got := []pragma{}
		if function == "writerSettings" {
			got = append(got, pragma{"journal_mode", "WAL"}) // set apart, when the file is made
		}
		for _, m := range regexp.MustCompile(`(?m)^\s*\{"(\w+)", "([^"]+)", "[^"]+"\}`).FindAllStringSubmatch(body, -1) {
			got = append(got, pragma{m[1], m[2]})
		}
		byName := func(a, b pragma) int { return cmp.Compare(a.name, b.name) }
		if !slices.Equal(slices.SortedFunc(slices.Values(got), byName), slices.SortedFunc(slices.Values(want), byName)) {
			t.Errorf("%s of the store: %v\nthe peers get: %v", function, got, want)
		}
	}
}

func TestSyncsAreCounted(t *testing.T) {
	w := mustWorld(t)
	c := new(cost)
	if _, err := (&bench{world: w}).write(t.Context(), handwritten, t.TempDir(), w.contacts(20), 1, c); err != nil {
		t.Fatal(err)
	}
	if got := c.Syncs.median(); got < 1 || got > 1.5 {
		t.Errorf("%v syncs for each contact that is a transaction, want 1 and a few at the end", got)
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	var out strings.Builder
	if err := run(t.Context(), []string{"-quick", "-json", "-dir", dir, "-growth", "10000", "-ledger", "10000", "-only", "^(write-1-(hand|floor)|get-|growth|memory|erase|ledger|events|observer|dryrun|files-(read|export)|identity-(claim|upsert))"}, &out); err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Figures {
		if f.Name == "dryrun-memory" {
			continue // of so few contacts the difference of two heaps says nothing
		}
		if f.ratio() <= 0 || f.ratio() > 1e6 {
			t.Errorf("%s: ratio %v", f.Name, f.ratio())
		}
	}
	if len(r.Figures) != 40 {
		t.Errorf("%d rows, want 40", len(r.Figures))
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files that should be gone: %v, %v", left, err)
	}
}

func TestTable(t *testing.T) {
	r := report{
		Environment: []fact{{"Go", "go1"}},
		Figures: []*figure{
			{Name: "a", What: "fast", Reach: 2, Beyond: 3, Ours: samples{1000, 3000, 2000}, Theirs: samples{1000, 500, 2000}},
			{Name: "b", What: "slow", Reach: 2, Ours: samples{1}, Theirs: samples{1}},
			{Name: "c", What: "no matter", Ours: samples{4}, Theirs: samples{1}},
		},
		Costs: []*cost{{Callers: 64, Peer: "p", P50: samples{12}, P99: samples{34567}, Allocs: samples{100}, AllocSize: samples{99.95}}},
	}
	const want = `- Go: go1

| row | what; against what | ours | theirs | unit | ratio | reach | beyond | |
|---|---|---:|---:|---|---:|---:|---:|---|
| a | fast | 2,000 (1,000..3,000) | 1,000 (500..2,000) | contacts/s | 2.00 | ≥ 2 | ≥ 3 | reached |
| b | slow | 1.00 | 1.00 | contacts/s | 1.00 | ≥ 2 |  | **missed** |
| c | no matter | 4.00 | 1.00 | contacts/s | 4.00 |  |  |  |

| callers | | p50 µs | p99 µs | syncs per contact | allocations per contact | bytes allocated |
|---:|---|---:|---:|---:|---:|---:|
| 64 | p | 12.0 | 34,567 | not counted | 100 | 100.0 |
`
	var got strings.Builder
	if err := r.markdown(&got); err != nil || got.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s%v", got.String(), want, err)
	}
}

// query reads one row of the file into dest.
func query(t *testing.T, path, sql string, args []any, dest ...any) {
	t.Helper()
	db := openDB(path, 1, readerPragmas)
	defer db.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := db.QueryRowContext(ctx, sql, args...).Scan(dest...); err != nil {
		t.Fatal(err)
	}
}

// column returns all values of the first column.
func column(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
