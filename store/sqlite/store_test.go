//go:build cgo && unix

package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

// A batch that does not fit is not stored; what was there is safe and readable;
// and when there is space again, the same store takes it.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	s := open(t, storePath(t))
	a := mustAccount(t, s)
	before := mustCreate(t, s, a)
	limit := func(pages int) {
		t.Helper()
		err := s.Writing(func(c *sqlite3.SQLiteConn) error {
			_, err := c.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages), nil)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // as many as there are
	batch := make([]*contacts.ContactRecord, 1000)
	for i := range batch {
		batch[i] = newContact(a)
	}
	err := create(t.Context(), s, batch...)
	wantErr(t, "Apply on a full disk", err, sqlite.ErrDiskFull)
	if errors.Is(err, contacts.ErrOutcomeUnknown) {
		t.Fatalf("Apply on a full disk: %v", err)
	}
	wantContact(t, s, a, before.Contact.ID)
	for _, r := range batch {
		if _, err := s.FindContact(t.Context(), a, r.Contact.ID); !errors.Is(err, contacts.ErrNotFound) {
			t.Fatalf("FindContact of one that was not stored: %v", err)
		}
	}
	limit(1 << 20)
	if err := create(t.Context(), s, batch...); err != nil {
		t.Fatalf("Apply when there is space again: %v", err)
	}
	wantContact(t, s, a, batch[999].Contact.ID)
}

// A connection that cannot be made sound again is replaced.
func TestRollbackFails(t *testing.T) {
	t.Parallel()
	s := open(t, storePath(t))
	a := mustAccount(t, s)
	if err := s.BreakRollback(); err != nil {
		t.Fatal(err)
	}
	r := newContact(a)
	_, err := s.AddToDirectory(t.Context(), contacts.Directory{
		Accounts: []contacts.Account{{ID: newID()}},
		Teams:    []contacts.Team{{AccountID: newID(), ID: 1}},
	})
	wantErr(t, "AddToDirectory", err, contacts.ErrNotFound)
	if err := create(t.Context(), s, r); err != nil {
		t.Fatalf("Apply after a rollback that failed: %v", err)
	}
	wantContact(t, s, a, r.Contact.ID)
	list, err := s.ListDirectory(t.Context(), contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 9})
	if err != nil || len(list.Accounts) != 1 {
		t.Errorf("%d accounts, %v; want 1", len(list.Accounts), err)
	}
	if v, err := s.WriterPragma("synchronous"); err != nil || v != int64(2) {
		t.Errorf("synchronous of the new connection is %v, %v", v, err)
	}
}

// A commit that is refused leaves the connection ready for the next.
func TestCommitRefused(t *testing.T) {
	t.Parallel()
	s := open(t, storePath(t))
	a := mustAccount(t, s)
	refuse := 1
	s.Writing(func(c *sqlite3.SQLiteConn) error {
		c.RegisterCommitHook(func() int { refuse--; return refuse + 1 })
		return nil
	})
	r := newContact(a)
	err := create(t.Context(), s, r)
	if err == nil || errors.Is(err, contacts.ErrOutcomeUnknown) || errors.Is(err, contacts.ErrExists) {
		t.Errorf("Apply with a commit that is refused: %v", err)
	}
	refuse = 0
	if err := create(t.Context(), s, r); err != nil {
		t.Errorf("Apply after that: %v", err)
	}
}

func TestCommitError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err     sqlite3.Error
		unknown bool
	}{
		{sqlite3.Error{Code: sqlite3.ErrBusy}, false},
		{sqlite3.Error{Code: sqlite3.ErrFull}, false},
		{sqlite3.Error{Code: sqlite3.ErrConstraint, ExtendedCode: sqlite3.ErrConstraintCommitHook}, false},
		{sqlite3.Error{Code: sqlite3.ErrIoErr, ExtendedCode: sqlite3.ErrIoErrFsync}, true},
		{sqlite3.Error{Code: sqlite3.ErrIoErr, ExtendedCode: sqlite3.ErrIoErrWrite}, true},
		{sqlite3.Error{Code: sqlite3.ErrNomem}, true},
	} {
		err := sqlite.CommitError(c.err)
		if got := errors.Is(err, contacts.ErrOutcomeUnknown); got != c.unknown {
			t.Errorf("%v: outcome unknown is %t", c.err, got)
		}
		wantErr(t, "the cause", err, c.err)
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	busy := []error{
		sqlite3.Error{Code: sqlite3.ErrBusy, ExtendedCode: sqlite3.ErrBusyRecovery},
		sqlite3.Error{Code: sqlite3.ErrLocked},
		fmt.Errorf("wrapped: %w", sqlite3.Error{Code: sqlite3.ErrProtocol}),
	}
	n := 0
	last := errors.New("last")
	err := sqlite.Retry(t.Context(), func() error {
		n++
		if n > len(busy) {
			return last
		}
		return busy[n-1]
	})
	wantErr(t, "retry", err, last)
	if n != len(busy)+1 {
		t.Errorf("%d attempts", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = sqlite.Retry(ctx, func() error { cancel(); return busy[0] })
	wantErr(t, "retry with a context that ends", err, context.Canceled)
}

func TestUpdateOfNothingInTheDirectory(t *testing.T) {
	t.Parallel()
	s := open(t, storePath(t))
	for _, d := range []contacts.DirectoryUpdate{
		{At: noon},
		{KeyID: newID(), AccountID: newID(), At: noon},
		{KeyID: newID()},
	} {
		if err := s.UpdateDirectory(t.Context(), d); err == nil {
			t.Errorf("UpdateDirectory(%+v): no error", d)
		}
	}
	wantErr(t, "UpdateDirectory", s.UpdateDirectory(t.Context(), contacts.DirectoryUpdate{KeyID: newID(), At: noon}), contacts.ErrNotFound)
}

func TestLastTeamID(t *testing.T) {
	t.Parallel()
	s := open(t, storePath(t))
	a := mustAccount(t, s)
	for i, id := range []int64{1<<63 - 1, 0} {
		_, err := s.AddToDirectory(t.Context(), contacts.Directory{Teams: []contacts.Team{{AccountID: a, ID: id, Name: "x"}}})
		if (err != nil) != (i == 1) || errors.Is(err, contacts.ErrExists) {
			t.Errorf("AddToDirectory of team %d: %v", id, err)
		}
	}
}

// A file may have been edited by hand.
func TestColumnsDamaged(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	r := mustCreate(t, s, a)
	db := plain(t, path)
	for _, column := range []string{"phones", "tags"} {
		exec1(t, db, `UPDATE contact_data SET phones = NULL, tags = NULL`)
		exec1(t, db, `UPDATE contact_data SET `+column+` = '[["secret"]]'`)
		_, err := s.FindContact(t.Context(), a, r.Contact.ID)
		wantErr(t, "FindContact", err, sqlite.ErrCorrupt)
		if err != nil && (strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), column)) {
			t.Errorf("FindContact: %v", err)
		}
	}
}

func TestViews(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	full := newContact(a)
	full.Contact.Company, full.Contact.Website = `Quote " \ ' `+"\u2028🙂", "https://example.com"
	full.Contact.Address, full.Contact.City = "1 Main St\nFloor 2", "London"
	full.Contact.State, full.Contact.ZipCode, full.Contact.ExternalID = "LDN", "SW1", "A-1"
	full.Contact.Tags = []string{"vip", `a "b" \c` + "\u2028🙂"}
	full.IndustryContext = `{"n":1}`
	bare := &contacts.ContactRecord{Contact: contacts.Contact{
		ID: newID(), AccountID: a, FirstName: "Bob", Country: "US", Status: "new", Stage: "lead", CreatedAt: noon, UpdatedAt: noon,
		Version: 7, DeletedAt: noon.Add(2 * time.Second),
	}}
	if err := create(t.Context(), s, full, bare); err != nil {
		t.Fatal(err)
	}
	const event = `{"v":1,"type":"contact.updated","version":3,"actor":{"kind":"key","name":"web"},"source":"import","changes":[{"field":"city"}]}`
	var subject [32]byte
	copy(subject[:], full.Contact.ID[:])
	record(t, s, noon, a,
		contacts.JournalEntry{Kind: contacts.JournalEvent, Subject: [32]byte{7}, At: noon, EndsAt: noon.Add(time.Second), Data: `{"a":1}`},
		contacts.JournalEntry{Kind: contacts.JournalErasure, At: noon, Data: "{}"},
		contacts.JournalEntry{Kind: contacts.JournalEvent, Subject: subject, At: noon, Data: event},
	)
	c := full.Contact
	want := map[string]string{
		"contact": table([][]any{
			{
				c.ID, a, "Ada", "Lovelace", "ada@example.com", c.Company, c.Website, c.Address, "London", "LDN", "SW1", "US",
				"not_contacted", "lead", c.ExternalID, 2, "Support", full.CustomContext, full.IndustryContext,
				"2026-03-14T12:00:00.123456Z", "2026-03-14T12:00:01.123456Z", 1, nil,
			},
			{
				bare.Contact.ID, a, "Bob", nil, nil, nil, nil, nil, nil, nil, nil, "US",
				"new", "lead", nil, nil, nil, nil, nil,
				"2026-03-14T12:00:00.123456Z", "2026-03-14T12:00:00.123456Z", 7, "2026-03-14T12:00:02.123456Z",
			},
		}),
		"contact_phone": table([][]any{
			{c.ID, 1, c.PhoneNumbers[0].ID, "+15551234567", "mobile", 1},
			{c.ID, 2, c.PhoneNumbers[1].ID, "+442071234567", nil, 0},
		}),
		"contact_tag": table([][]any{{c.ID, 1, "vip"}, {c.ID, 2, c.Tags[1]}}),
		"journal_entry": table([][]any{
			{a, 1, "event", "07" + strings.Repeat("00", 31), "2026-03-14T12:00:00.123456Z", "2026-03-14T12:00:01.123456Z", `{"a":1}`},
			{a, 2, "erasure", strings.Repeat("00", 32), "2026-03-14T12:00:00.123456Z", nil, "{}"},
			{a, 3, "event", strings.ReplaceAll(c.ID.String(), "-", "") + strings.Repeat("00", 16), "2026-03-14T12:00:00.123456Z", nil, event},
		}),
		"contact_event": table([][]any{
			{a, 1, "2026-03-14T12:00:00.123456Z", nil, "07000000-0000-0000-0000-000000000000", nil, nil, nil, nil},
			{a, 3, "2026-03-14T12:00:00.123456Z", "contact.updated", c.ID, 3, "web", "import", `[{"field":"city"}]`},
		}),
	}
	db := plain(t, path)
	for view, want := range want {
		rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+view+" ORDER BY 1, 2")
		if err != nil {
			t.Fatal(err)
		}
		columns, _ := rows.Columns()
		var got [][]any
		for rows.Next() {
			row, dest := make([]any, len(columns)), make([]any, len(columns))
			for i := range row {
				dest[i] = &row[i]
			}
			if err := rows.Scan(dest...); err != nil {
				t.Fatal(err)
			}
			got = append(got, row)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, table(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", view, diff)
		}
	}
}

// table prints rows so that they compare whatever the types of their numbers.
func table(rows [][]any) string {
	var b strings.Builder
	for _, row := range rows {
		for _, v := range row {
			fmt.Fprintf(&b, "%#q ", fmt.Sprint(v))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// The shell that comes with a Linux of some years ago understands the views.
func TestShell(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("there is no sqlite3 shell here")
	}
	path := storePath(t)
	s := open(t, path)
	mustCreate(t, s, mustAccount(t, s))
	out, err := exec.CommandContext(t.Context(), shell, path,
		"SELECT first_name, phone_number, tag FROM contact c JOIN contact_phone p ON p.contact_id = c.id AND is_primary JOIN contact_tag t ON t.contact_id = c.id ORDER BY t.position").CombinedOutput()
	if want := "Ada|+15551234567|math\nAda|+15551234567|poetry\n"; err != nil || string(out) != want {
		t.Errorf("the shell says %q, %v; want %q", out, err, want)
	}
}

// No statement reads more rows than it needs: each searches its table by all that
// it is given. Only what the look-ups name, and the entries about some subjects,
// are sorted. Short lists are walked through: a row's own JSON, and what a query
// gives.
func TestQueryPlans(t *testing.T) {
	t.Parallel()
	s := open(t, storePath(t))
	const (
		byID      = "SEARCH account USING COVERING INDEX sqlite_autoindex_account_1 (id=?)"
		bySeq     = "SEARCH c USING INTEGER PRIMARY KEY (rowid=?)"
		mark      = "SEARCH lookup_state USING INTEGER PRIMARY KEY (rowid=?)"
		afterMark = "SEARCH contact_data USING INTEGER PRIMARY KEY (rowid>?)"
		entry     = "SEARCH lookup USING PRIMARY KEY (account=? AND kind=? AND value=?"
		byPack    = "USING INTEGER PRIMARY KEY (rowid=?)"
		packs     = "SEARCH idempotency USING INTEGER PRIMARY KEY (rowid>?)"
		moved     = "SEARCH idempotency_moved USING INTEGER PRIMARY KEY (rowid=?)"
		gone      = "SEARCH lookup_gone USING PRIMARY KEY (seq"
		living    = "INDEX sqlite_autoindex_contact_data_1 (account=? AND id"
		deleted   = "INDEX contact_deleted (account=? AND id"
		numbered  = "SEARCH journal USING INDEX sqlite_autoindex_journal_1 (account=? AND sequence"
		subject   = "SEARCH journal USING INDEX journal_subject (head=? AND account=? AND kind=?)"
		ofOne     = "SEARCH journal USING INDEX journal_subject (head=? AND account=? AND kind=? AND rowid>? AND rowid<?)"
		byHash    = "SEARCH idempotency_lookup USING PRIMARY KEY (hash=?"

		runs     = "SEARCH event_run USING INDEX sqlite_autoindex_event_run_1 (account=? AND sequence>? AND sequence<?)"
		run      = "SEARCH event_run USING INTEGER PRIMARY KEY (rowid=?)"
		runsNear = "INDEX event_run_contact (lowest>? AND lowest<?)"

		lastBefore  = "SEARCH journal USING COVERING INDEX sqlite_autoindex_journal_1 (account=? AND sequence<?)"
		lastContact = "SCAN sqlite_sequence" // which has two rows
	)
	want := map[string][]string{
		"find key":               {"SEARCH k USING INDEX sqlite_autoindex_api_key_2 (hash=?)"},
		"find account":           {"SEARCH a USING INDEX sqlite_autoindex_account_1 (id=?)", "SEARCH s USING PRIMARY KEY (account=?)"},
		"find contact":           {living + "=?)"},
		"list accounts":          {"(id>?)"},
		"list teams":             {"SEARCH team USING PRIMARY KEY (account=? AND id>?)"},
		"list keys":              {"SEARCH k USING INDEX api_key_account (account=? AND id>?)"},
		"list settings":          {"SEARCH setting USING PRIMARY KEY (account=? AND version>?)"},
		"lookup state":           {mark, lastContact},
		"lookup rows":            {"(rowid>? AND rowid<?)"},
		"lookup reach":           {entry + ")", lastContact},
		"find lookup":            {entry + " AND seq=?)"},
		"find lookups":           {entry + " AND seq=?)"},
		"list lookups":           {"SEARCH lookup USING PRIMARY KEY ((account,kind,value,seq)>(?,?,?,?))"},
		"lookup owner":           {"SEARCH account USING INTEGER PRIMARY KEY (rowid=?)", "SEARCH contact_data USING INTEGER PRIMARY KEY (rowid=?)"},
		"list living":            {living + ">? AND id<?)"},
		"list deleted":           {deleted + ">? AND id<?)"},
		"list found":             {bySeq, entry + ")", afterMark},
		"list chosen":            {bySeq},
		"count living":           {living + ">? AND id<?)"},
		"count deleted":          {deleted + ">? AND id<?)"},
		"count found":            {bySeq, entry + ")", afterMark},
		"count chosen":           {bySeq},
		"count all":              {"COVERING INDEX sqlite_autoindex_contact_data_1 (account=?)", "COVERING INDEX contact_deleted (account=?)"},
		"end living":             {"COVERING " + living + "<?)"},
		"end deleted":            {"COVERING " + deleted + "<?)"},
		"choose ids":             {living + "=?)"},
		"choose keys":            {"SEARCH contact_data USING INTEGER PRIMARY KEY (rowid=?)"},
		"choose expired":         {"COVERING INDEX contact_deleted_at (account=? AND deleted_at>? AND deleted_at<?)"},
		"end shared":             {"SEARCH lookup USING PRIMARY KEY (account=? AND kind=? AND value>?)"},
		"shared values":          {"SEARCH lookup USING PRIMARY KEY (account=? AND kind=? AND value>? AND value<?)"},
		"shared contacts":        {"SEARCH contact_data USING INTEGER PRIMARY KEY (rowid=?)"},
		"list journal":           {numbered + ">? AND sequence<?)", runs},
		"list journal backwards": {numbered + ">? AND sequence<?)", runs},
		"list erasures":          {"SEARCH journal USING INDEX journal_erasure (account=? AND sequence>? AND sequence<?)"},
		"list subjects":          {subject, run, runsNear},

		"list erasures backwards":     {"SEARCH journal USING INDEX journal_erasure (account=? AND sequence>? AND sequence<?)"},
		"list subjects backwards":     {subject, run, runsNear},
		"list few subjects":           {subject},
		"list sole subject":           {ofOne, lastBefore, runsNear},
		"list sole subject backwards": {ofOne, lastBefore, runsNear},

		"judge account":    {"SEARCH account USING INDEX sqlite_autoindex_account_1 (id=?)"},
		"judge contact":    {"SEARCH account USING INDEX sqlite_autoindex_account_1 (id=?)", "SEARCH contact_data USING " + living + "=?)"},
		"find team":        {"SEARCH team USING PRIMARY KEY (account=? AND id=?)"},
		"list packs":       {packs},
		"list hashes":      {"SEARCH l USING PRIMARY KEY ((hash,n)>(?,?))", byPack},
		"find hash":        {byHash + " AND n=?)"},
		"find hash packs":  {byHash + ")"},
		"find used hashes": {byHash + ")"},
		"packs after":      {packs},
		"find pack":        {byPack},
		"ended packs":      {"SEARCH idempotency USING INDEX idempotency_ends_at (ends_at<?)"},
		"delete pack":      {byPack},
		"find moved":       {moved},
		"set moved":        {moved},
		"insert hash":      {byPack},
		"insert hashes":    {byPack},
		"delete hash":      {byHash + " AND n=?)"},
		"least moved":      {"SEARCH idempotency_moved"},
		"find hits":        {entry + ")"},
		"find holder":      {"SEARCH contact_data USING INTEGER PRIMARY KEY (rowid=?)"},
		"find newest":      {"SEARCH journal_state USING INTEGER PRIMARY KEY (rowid=?)"},
		"find journal":     {byID, "SEARCH journal_state USING INTEGER PRIMARY KEY (rowid=?)"},
		"find entry":       {numbered + "=?)"},
		"account number":   {byID},
		"last team":        {"SEARCH team USING PRIMARY KEY (account=?)"},
		"raise settings":   {"(rowid=?)"},
		"revoke key":       {"(id=?)"},
		"disable account":  {"(id=?)"},
		"enable account":   {"(id=?)"},
		"insert contact":   {"SEARCH account USING INDEX sqlite_autoindex_account_1 (id=?)"},
		"update contact":   {"(rowid=?)"},
		"delete contact":   {"(rowid=?)"},
		"delete lookup":    {entry + " AND seq=?)"},
		"set lookup":       {mark},
		"find mark":        {mark},
		"note lookup":      {mark},
		"unnote lookup":    {gone + "=? AND account=? AND kind=? AND value=?)"},
		"noted lookups":    {gone + "<?)"},
		"unnote lookups":   {gone + "<?)"},
		"replace entry":    {numbered + "=?)"},
		"judge key":        {"USING INDEX sqlite_autoindex_account_1 (id=?)", "USING INDEX api_key_account (account=? AND id=?)"},
		"ended entries":    {"SEARCH journal USING INDEX journal_ends_at (ends_at>? AND ends_at<?)", "SEARCH journal_state USING INTEGER PRIMARY KEY (rowid=?)"},
		"delete entry":     {"(rowid=?)"},
		"find run":         {runs},
		"replace run":      {run},
		"ended runs":       {"SEARCH event_run USING INDEX event_run_ends_at (ends_at<?)", "SEARCH journal_state USING INTEGER PRIMARY KEY (rowid=?)"},
		"delete run":       {run},
	}
	sorts := map[string]bool{"list found": true, "list chosen": true, "list subjects": true, "list subjects backwards": true, "list few subjects": true}
	short := strings.NewReplacer(
		"SCAN p VIRTUAL TABLE", "", "SCAN t VIRTUAL TABLE", "", "SCAN w VIRTUAL TABLE", "", "SCAN json_each VIRTUAL TABLE", "", "SCAN e VIRTUAL TABLE", "",
		"SCAN CONSTANT ROW", "", lastContact, "",
		"CO-ROUTINE (subquery-1)", "", "SCAN (subquery-1)", "", "SCAN 16-ROW VALUES CLAUSE", "", // of insert hash
		"SCAN (subquery-4)", "", // of list few subjects
		"SCAN (subquery-5)", "", "SCAN (subquery-6)", "", // of list subjects and list sole subject: a page
		"SCAN s VIRTUAL TABLE", "",
		"SCAN (subquery-2)", "", // of lookup reach: as many entries as it counts at most
		"USE TEMP B-TREE FOR GROUP BY", "", // of find account: its settings
	)
	queries, others := sqlite.Queries()
	const wantOthers = 23 // they begin and end transactions, insert rows, read a table of one row, or count all rows of one
	if others != wantOthers {
		t.Errorf("%d statements search nothing, want %d: add a new one that does to Queries", others, wantOthers)
	}
	for name, query := range queries {
		plan, err := s.Explain(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		rest := short.Replace(plan)
		if sorts[name] {
			rest = strings.Replace(rest, "USE TEMP B-TREE FOR ORDER BY", "", 1)
		}
		bad := want[name] == nil || strings.Contains(rest, "SCAN ") || strings.Contains(rest, "TEMP B-TREE")
		for _, step := range want[name] {
			bad = bad || !strings.Contains(plan, step)
		}
		if bad {
			t.Errorf("%s:\n%s", name, plan)
		}
	}
}

// A build without cgo fails with words that say why.
func TestWithoutCgo(t *testing.T) {
	t.Parallel()
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command here")
	}
	cmd := exec.CommandContext(t.Context(), goTool, "build", ".")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "needs_cgo") || strings.Count(string(out), "\n") > 3 {
		t.Errorf("go build with CGO_ENABLED=0: %v\n%s", err, out)
	}
}

// Times outside of what an int64 of nanoseconds holds are times too.
func TestTimes(t *testing.T) {
	t.Parallel()
	s := open(t, storePath(t))
	a := mustAccount(t, s)
	for _, at := range []time.Time{{}, time.Unix(0, 0).UTC(), time.Unix(-1, 1000).UTC(), time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)} {
		r := newContact(a)
		r.Contact.CreatedAt, r.Contact.UpdatedAt = at, at
		if err := create(t.Context(), s, r); err != nil {
			t.Fatal(err)
		}
		got, err := s.FindContact(t.Context(), a, r.Contact.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
