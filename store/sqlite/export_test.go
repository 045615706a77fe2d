//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"math"
	"runtime"
	"time"

	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
)

// A Plan is what opening a store depends on, for tests that bend it.
type Plan struct{ config }

// NewPlan returns the plan of Open.
func NewPlan() *Plan {
	return &Plan{config{
		transaction:    defaultMost,
		run:            defaultRun,
		behind:         defaultBehind,
		found:          defaultFound,
		part:           defaultPart,
		fold:           contacts.FoldSearch,
		now:            time.Now,
		migrations:     migrations(),
		writerSettings: writerSettings(),
		readerSettings: readerSettings(),
	}}
}

// Migrate adds a step.
func (p *Plan) Migrate(name, sql string) *Plan {
	p.migrations = append(p.migrations, migration{name, sql})
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

// Versions returns how many migrations there are.
func Versions() int { return len(migrations()) }

// Writing runs f with the connection that writes, outside a transaction.
func (s *Store) Writing(f func(*sqlite3.SQLiteConn) error) error {
	w := s.writer
	w.mu.Lock()
	for w.leading {
		w.idle.Wait()
	}
	w.leading = true
	w.mu.Unlock()
	defer w.lead(nil)
	return f(w.conn.db)
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

// Queries returns the SQL of every statement that runs once or more a call.
func Queries() map[string]string {
	return map[string]string{
		"find key":        findKeySQL,
		"find team":       findTeamSQL,
		"find contact":    findContactSQL,
		"list accounts":   listAccountsSQL,
		"list teams":      listTeamsSQL,
		"list keys":       listKeysSQL,
		"find account":    findAccountSQL,
		"last team":       lastTeamSQL,
		"revoke key":      revokeKeySQL,
		"disable account": disableAccountSQL,
		"enable account":  enableAccountSQL,
		"insert contact":  insertContactSQL,
		"lookup state":    lookupStateSQL,
		"lookup rows":     lookupRowsSQL,
		"lookup reach":    lookupReachSQL,
		"list living":     listLivingSQL,
		"list deleted":    listDeletedSQL,
		"list found":      listFoundSQL,
		"count living":    countLivingSQL,
		"count deleted":   countDeletedSQL,
		"count found":     countFoundSQL,
		"count all":       countAllSQL,
		"end living":      endLivingSQL,
		"end deleted":     endDeletedSQL,
		"stored contact":  storedContactSQL,
		"update contact":  updateContactSQL,
		"deleted of":      deletedOfSQL,
		"deleted of all":  deletedOfAllSQL,
		"delete contact":  deleteContactSQL,
		"delete lookup":   deleteLookupSQL,
		"find mark":       findMarkSQL,
		"note lookup":     noteLookupSQL,
		"unnote lookup":   unnoteLookupSQL,
		"noted lookups":   notedLookupsSQL,
		"unnote lookups":  unnoteLookupsSQL,

		"find idempotency":    findIdempotencySQL,
		"insert idempotency":  insertIdempotencySQL,
		"prune idempotencies": pruneIdempotenciesSQL,
	}
}

var (
	CommitError  = commitError
	Retry        = retry
	EncodePhones = encodePhones
	DecodePhones = decodePhones
	EncodeTags   = encodeTags
	DecodeTags   = decodeTags
	URI          = uri
)

const ApplicationID = applicationID

// BreakRollback makes the next rollback of the writer fail.
func (s *Store) BreakRollback() error {
	return s.Writing(func(c *sqlite3.SQLiteConn) error {
		bad, err := c.Prepare("ROLLBACK TO nowhere")
		if err != nil {
			return err
		}
		s.writer.conn.rollback.Close()
		s.writer.conn.rollback.SQLiteStmt = bad.(*sqlite3.SQLiteStmt)
		return nil
	})
}

// Transaction sets how many contacts share one at most.
func (p *Plan) Transaction(most int) *Plan {
	p.transaction = most
	return p
}

// AwaitQueue returns when n changes wait for the writer.
func (s *Store) AwaitQueue(n int) {
	for {
		s.writer.mu.Lock()
		waiting := len(s.writer.queue)
		s.writer.mu.Unlock()
		if waiting >= n {
			return
		}
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

// Run sets how many contacts' look-ups are merged together.
func (p *Plan) Run(length int) *Plan {
	p.run = length
	return p
}

// Behind sets from how many contacts on, that are not in the look-ups, a search
// has them merged.
func (p *Plan) Behind(contacts int) *Plan {
	p.behind = contacts
	return p
}

// Found sets of how many entries of the look-ups a page is made at most.
func (p *Plan) Found(entries int) *Plan {
	p.found = entries
	return p
}

// Part sets how many contacts a walk sees in one state of the file at most.
func (p *Plan) Part(contacts int) *Plan {
	p.part = contacts
	return p
}

// Fold sets what a search does to text that is not ASCII.
func (p *Plan) Fold(f func(string) string) *Plan {
	p.fold = f
	return p
}

// Clock sets the clock.
func (p *Plan) Clock(now func() time.Time) *Plan {
	p.now = now
	return p
}

// Quiet is how long no contact was written when a search may have look-ups
// merged.
const Quiet = quiet

// Crowd reports whether the writer looks for others before it begins.
func (s *Store) Crowd() (crowd bool, err error) {
	err = s.Writing(func(*sqlite3.SQLiteConn) error {
		crowd = s.writer.crowd
		return nil
	})
	return crowd, err
}

// ListsAtOnce returns how many lists run at once.
func (s *Store) ListsAtOnce() int { return cap(s.readers.long) }

// Readers sets how many connections read.
func (p *Plan) Readers(n int) *Plan {
	p.readConnections = n
	return p
}

// AwaitCatchUp returns when no search has look-ups merged.
func (s *Store) AwaitCatchUp() {
	x := s.writer.index
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

// PrepareRun has a run ready for the writer, as it is when enough contacts came.
func (s *Store) PrepareRun(ctx context.Context) error {
	x := s.writer.index
	for {
		x.mu.Lock()
		working := x.working
		x.mu.Unlock()
		if !working {
			break
		}
		runtime.Gosched()
	}
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

// Behind returns how many contacts are not in the look-ups yet.
func (s *Store) Behind(ctx context.Context) (int64, error) {
	row, err := s.readers.row(ctx, lookupState)
	if err != nil {
		return 0, err
	}
	return integer(row[1]) - integer(row[0]), nil
}
