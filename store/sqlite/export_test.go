//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"math"
	"os"
	"runtime"
	"time"

	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
	"example.com/contacts/store/internal/migration"
)

// A Plan is what opening a store depends on, for tests that change it.
type Plan struct{ config }

// NewPlan returns the plan of Open.
func NewPlan() *Plan { return &Plan{defaultConfig()} }

// Migrate adds a step.
func (p *Plan) Migrate(name, sql string) *Plan {
	p.steps = append(p.steps, migration.Step{Name: name, SQL: sql})
	return p
}

// Until leaves out the steps after the first n.
func (p *Plan) Until(n int) *Plan {
	p.steps = p.steps[:n]
	return p
}

// Set adds a setting of the connection that writes, and what it must read back.
func (p *Plan) Set(name, value, reads string) *Plan {
	p.writerSettings = append(p.writerSettings, setting{name, value, reads})
	return p
}

// SetReaders is Set for the connections that read.
func (p *Plan) SetReaders(name, value, reads string) *Plan {
	p.readerSettings = append(p.readerSettings, setting{name, value, reads})
	return p
}

// Connected has f called with every connection that writes.
func (p *Plan) Connected(f func(*sqlite3.SQLiteConn) error) *Plan {
	p.connected = f
	return p
}

// Open opens a store by the plan.
func (p *Plan) Open(ctx context.Context, path string) (*Store, error) {
	return open(ctx, path, p.config)
}

// Restore restores a backup by the plan.
func (p *Plan) Restore(ctx context.Context, backup, path string) error {
	return restore(ctx, backup, path, p.config)
}

// InspectOn is Inspect of a file on a disk that the test makes up: the kind of network
// disk, and how many bytes are free.
func InspectOn(ctx context.Context, path, network string, free int64) (Inspection, error) {
	return inspectFile(ctx, path, func(string) disk { return disk{network, free} })
}

// Versions returns how many migrations there are.
func Versions() int { return len(defaultConfig().steps) }

// Writing runs f with the connection that writes, outside a transaction.
func (s *Store) Writing(f func(*sqlite3.SQLiteConn) error) error {
	return s.writer.doSolo(context.Background(), job{run: func(c *writeConn) error {
		if err := c.exec(rollback); err != nil {
			return err
		}
		return errors.Join(f(c.db), c.exec(beginRead)) // which is no commit to those who count
	}})
}

// WriterPragma and ReaderPragma return the value of a PRAGMA.
func (s *Store) WriterPragma(name string) (v any, err error) {
	err = s.Writing(func(c *sqlite3.SQLiteConn) error {
		v, err = pragma(c, name)
		return err
	})
	return v, err
}

func (s *Store) ReaderPragma(ctx context.Context, name string) (any, error) {
	c, err := s.readers.take(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { s.readers.idle <- c }()
	return pragma(c.db, name)
}

// Explain returns the plan of a query, as a connection that reads has it.
func (s *Store) Explain(ctx context.Context, query string) (plan string, err error) {
	c, err := s.readers.take(ctx)
	if err != nil {
		return "", err
	}
	defer func() { s.readers.idle <- c }()
	prepared, err := c.db.Prepare("EXPLAIN QUERY PLAN " + query)
	if err != nil {
		return "", err
	}
	explain := statement{SQLiteStmt: prepared.(*sqlite3.SQLiteStmt)}
	defer explain.Close()
	rows, err := explain.rows(ctx, make([]driver.Value, explain.NumInput()))
	for _, row := range rows {
		plan += text(row[3]) + "\n"
	}
	return plan, err
}

// Queries returns the SQL of every statement that searches a table, by name, and
// how many other statements there are.
func Queries() (byName map[string]string, others int) {
	byName = make(map[string]string)
	for name, q := range map[string]query{
		"find key":                    findKey,
		"find account":                findAccount,
		"find contact":                findContact,
		"list accounts":               listAccounts,
		"list teams":                  listTeams,
		"list keys":                   listKeys,
		"list settings":               listSettings,
		"lookup state":                lookupState,
		"lookup rows":                 lookupRows,
		"lookup reach":                lookupReach,
		"find lookup":                 findLookup,
		"find lookups":                findLookups,
		"list lookups":                listLookups,
		"lookup owner":                lookupOwner,
		"list living":                 listLiving,
		"list deleted":                listDeleted,
		"list found":                  listFound,
		"list chosen":                 listChosen,
		"count living":                countLiving,
		"count deleted":               countDeleted,
		"count found":                 countFound,
		"count chosen":                countChosen,
		"count all":                   countAll,
		"end living":                  endLiving,
		"end deleted":                 endDeleted,
		"choose ids":                  chooseIDs,
		"choose keys":                 chooseKeys,
		"choose expired":              chooseExpired,
		"end shared":                  endShared,
		"shared values":               sharedValues,
		"shared contacts":             sharedContacts,
		"list journal":                listJournal,
		"list journal backwards":      listJournalBackwards,
		"list erasures":               listErasures,
		"list erasures backwards":     listErasuresBackwards,
		"list subjects":               listSubjects,
		"list subjects backwards":     listSubjectsBackwards,
		"list few subjects":           listFewSubjects,
		"list sole subject":           listSoleSubject,
		"list sole subject backwards": listSoleSubjectBackwards,
		"judge account":               judgeAccount,
		"judge key":                   judgeKey,
		"judge contact":               judgeContact,
		"find team":                   findTeam,
		"list packs":                  listPacks,
		"list hashes":                 listHashes,
		"find hash":                   findHash,
		"find hash packs":             findHashPacks,
		"find used hashes":            findUsedHashes,
		"packs after":                 packsAfter,
		"find pack":                   findPack,
		"ended packs":                 endedPacks,
		"delete pack":                 deletePack,
		"find moved":                  findMoved,
		"set moved":                   setMoved,
		"insert hash":                 insertHash,
		"insert hashes":               insertHashes,
		"delete hash":                 deleteHash,
		"least moved":                 leastMoved,
		"find hits":                   findHits,
		"find holder":                 findHolder,
		"find journal":                findJournal,
		"find entry":                  findEntry,
		"find run":                    findRun,
		"account number":              accountNumber,
		"last team":                   lastTeam,
		"raise settings":              raiseSettings,
		"revoke key":                  revokeKey,
		"disable account":             disableAccount,
		"enable account":              enableAccount,
		"insert contact":              insertContact,
		"update contact":              updateContact,
		"delete contact":              deleteContact,
		"delete lookup":               deleteLookup,
		"set lookup":                  setLookup,
		"find mark":                   findMark,
		"note lookup":                 noteLookup,
		"unnote lookup":               unnoteLookup,
		"noted lookups":               notedLookups,
		"unnote lookups":              unnoteLookups,
		"replace entry":               replaceEntry,
		"ended entries":               endedEntries,
		"delete entry":                deleteEntry,
		"replace run":                 replaceRun,
		"ended runs":                  endedRuns,
		"delete run":                  deleteRun,
	} {
		byName[name] = statementSQL[q]
	}
	return byName, int(queries) - 1 - len(byName)
}

var (
	CommitError = commitError
	Retry       = retry
	URI         = uri
)

const ApplicationID = applicationID

// BreakRollback makes the next rollback of the writer fail.
func (s *Store) BreakRollback() error {
	return s.Writing(func(c *sqlite3.SQLiteConn) error {
		bad, err := c.Prepare("ROLLBACK TO nowhere")
		if err != nil {
			return err
		}
		to := &s.writer.conn.statements[rollback]
		err = to.Close()
		to.SQLiteStmt = bad.(*sqlite3.SQLiteStmt)
		return err
	})
}

// MaxPerTransaction sets how many rows share a transaction at most.
func (p *Plan) MaxPerTransaction(n int) *Plan {
	p.maxPerTransaction = n
	return p
}

// AwaitQueue returns when n jobs wait for the writer.
func (s *Store) AwaitQueue(n int) {
	for s.writer.queue.Waiting() < n {
		runtime.Gosched()
	}
}

// Column returns the ids in the first column of a query.
func Column(c *sqlite3.SQLiteConn, query string) (ids []string, err error) {
	rows, err := c.Query(query, nil)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	row := make([]driver.Value, 1)
	for {
		err := rows.Next(row)
		if errors.Is(err, io.EOF) {
			return ids, nil
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, id(row[0]).String())
	}
}

// A SharedRead is a sharedRead.
type SharedRead struct{ sharedRead }

// NewSharedRead returns a new one.
func NewSharedRead() *SharedRead { return &SharedRead{newSharedRead()} }

// Read is its read.
func (s *SharedRead) Read(ctx context.Context, do func() (int64, error)) (int64, error) {
	return s.read(ctx, do)
}

// RunLength sets how many contacts' look-ups are merged together.
func (p *Plan) RunLength(contacts int) *Plan {
	p.runLength = contacts
	return p
}

// RunLength returns how many contacts the next run has.
func (s *Store) RunLength() int { return s.writer.index.length() }

// RecentHashes sets how many hashes of idempotency records stay in memory before they
// move to the table.
func (p *Plan) RecentHashes(n int) *Plan {
	p.recentHashes = n
	return p
}

// HashesInMemory returns how many hashes of idempotency records the store remembers
// while no call is under way.
func (s *Store) HashesInMemory() int { return s.writer.conn.hashes.count }

// A PackedRecord is an idempotency record.
type PackedRecord struct {
	Account    uuid.UUID
	Key, Input [32]byte
	Result     string
	EndsAt     int64
}

// Pack returns the columns of a pack with the records.
func Pack(records []PackedRecord) (hashes, packed []byte, endsAt int64) {
	var p pack
	for _, r := range records {
		p.add(&idempotency{r.Account, r.Key, r.Input, r.Result, r.EndsAt})
	}
	return p.hashes, p.records, p.endsAt
}

// Unpack returns the records of a pack.
func Unpack(hashes, packed []byte) (records []PackedRecord, err error) {
	all, err := unpack(1, hashes, packed)
	for _, i := range all {
		records = append(records, PackedRecord{i.account, i.key, i.input, i.result, i.endsAt})
	}
	return records, err
}

// CatchUpAfter sets how many contacts must be missing in the look-ups before a
// search has them merged.
func (p *Plan) CatchUpAfter(contacts int) *Plan {
	p.catchUpAfter = contacts
	return p
}

// MaxLookupHits sets of how many hits of the look-ups a page is made at most.
func (p *Plan) MaxLookupHits(entries int) *Plan {
	p.maxLookupHits = entries
	return p
}

// WalkPart sets how many contacts a walk sees in one state of the file at most.
func (p *Plan) WalkPart(contacts int) *Plan {
	p.walkPart = contacts
	return p
}

// Fold sets what a search does to text that is not ASCII.
func (p *Plan) Fold(f func(string) string) *Plan {
	p.fold = f
	return p
}

// Sync sets what a backup does to have its file on the disk.
func (p *Plan) Sync(f func(*os.File) error) *Plan {
	p.sync = f
	return p
}

// Clock sets the clock.
func (p *Plan) Clock(now func() time.Time) *Plan {
	p.now = now
	return p
}

// Quiet is for how long no contact was written when a search may have look-ups
// merged.
const Quiet = quiet

// OpenReaders returns how many connections that read are open. None may be in use.
func (s *Store) OpenReaders() int { return len(s.readers.idle) }

// ListsAtOnce returns how many lists run at once.
func (s *Store) ListsAtOnce() int { return cap(s.readers.long) }

// Readers sets how many connections read.
func (p *Plan) Readers(n int) *Plan {
	p.readConnections = n
	return p
}

// AwaitCatchUp returns when no search has look-ups merged.
func (s *Store) AwaitCatchUp() {
	x := s.index
	for {
		x.mu.Lock()
		catching := x.catching
		x.mu.Unlock()
		if !catching {
			return
		}
		runtime.Gosched()
	}
}

// AwaitRun returns when no run is being prepared.
func (s *Store) AwaitRun() {
	x := s.index
	for {
		x.mu.Lock()
		working := x.working
		x.mu.Unlock()
		if !working {
			return
		}
		runtime.Gosched()
	}
}

// PrepareRun has a run ready for the writer, as it is when enough contacts came.
func (s *Store) PrepareRun(ctx context.Context) error {
	s.AwaitRun()
	x := s.index
	r, err := x.prepare(ctx, 1)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.prepared = r
	return err
}

// SearchPhone, SearchEmail and SearchTag return the ids of an account's contacts
// with that number, address or tag.
func (s *Store) SearchPhone(ctx context.Context, account uuid.UUID, what string) ([]uuid.UUID, error) {
	return s.search(ctx, contacts.ContactQuery{AccountID: account, PhoneNumber: what})
}

func (s *Store) SearchEmail(ctx context.Context, account uuid.UUID, what string) ([]uuid.UUID, error) {
	return s.search(ctx, contacts.ContactQuery{AccountID: account, Email: what})
}

func (s *Store) SearchTag(ctx context.Context, account uuid.UUID, what string) ([]uuid.UUID, error) {
	return s.search(ctx, contacts.ContactQuery{AccountID: account, Tag: what})
}

func (s *Store) search(ctx context.Context, q contacts.ContactQuery) (ids []uuid.UUID, err error) {
	q.AllTeams, q.Limit = true, math.MaxInt
	list, err := s.ListContacts(ctx, q)
	for _, r := range list.Records {
		ids = append(ids, r.Contact.ID)
	}
	return ids, err
}

// Unmerged returns how many contacts are not in the look-ups yet.
func (s *Store) Unmerged(ctx context.Context) (int64, error) {
	row, err := s.readers.row(ctx, lookupState)
	if err != nil {
		return 0, err
	}
	return integer(row[1]) - integer(row[0]), nil
}

// Migrate takes the next step of the schema on a connection.
func Migrate(c *sqlite3.SQLiteConn) error {
	_, err := migrateOnce(c, defaultConfig().steps)
	return err
}

// KeepKey has a key kept that was read at a version of the directory.
func (s *Store) KeepKey(version int64, k *contacts.KeyRecord) {
	s.directory.keep(version, func() { s.directory.keys[k.Hash] = k })
}

// Statements returns the SQL of the statements that the connection which writes
// has needed.
func (s *Store) Statements() (all []string) {
	for q := range s.writer.conn.statements {
		if s.writer.conn.statements[q].SQLiteStmt != nil {
			all = append(all, statementSQL[q])
		}
	}
	return all
}

// KnownKeys returns how many match keys of contacts that are not in the look-ups
// are kept in memory.
func (s *Store) KnownKeys() int {
	s.unmerged.mu.Lock()
	defer s.unmerged.mu.Unlock()
	return len(s.unmerged.keys)
}

// DryRunBefore makes a dry run on the state of the file before f.
func (s *Store) DryRunBefore(ctx context.Context, batch contacts.MutationBatch, f func()) ([]contacts.MutationOutcome, error) {
	batch.DryRun = true
	a := encodeBatch(&batch)
	err := s.readers.snapshot(ctx, func(c *conn) error {
		if _, err := c.number(findMark); err != nil { // from here on the state stays
			return err
		}
		f()
		return a.dryRunOn(ctx, c, s.unmerged)
	})
	return a.outcomes, err
}
