package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/contacts"
)

// What can be wrong with a database, for [errors.Is].
var (
	// ErrForeign: the schema holds tables of another program.
	ErrForeign = errors.New("the schema holds tables of another program: set Options.Schema to one of its own")
	// ErrNewerSchema: a newer version of this package wrote the tables.
	ErrNewerSchema = errors.New("the tables were made by a newer version of this program")
	// ErrOlderSchema: the tables are missing or of an older version, and
	// Options.SkipMigrations forbids to bring them up to date.
	ErrOlderSchema = errors.New("the tables are missing or of an older version: open the store once with a role that may make them, without Options.SkipMigrations")
	// ErrEncoding: the database cannot hold every text.
	ErrEncoding = errors.New("the database's encoding is not UTF8: make one with ENCODING 'UTF8'")
	// ErrNotDurable: synchronous_commit is off and the store cannot turn it on, so
	// that a server that crashes would lose what was acknowledged.
	ErrNotDurable = errors.New("synchronous_commit is off and cannot be turned on: set it to on for the role of the store")
	// ErrReadOnly: the server takes no writes, for example as a standby. Reads work.
	ErrReadOnly = errors.New("the server takes no writes")
	// ErrDiskFull: the server has no space left. What was stored before is safe.
	// Writes succeed again when there is space.
	ErrDiskFull = errors.New("the server's disk is full")
	// ErrCorrupt: the tables hold what this package never writes.
	ErrCorrupt = errors.New("the tables are damaged")
	// ErrPermission: the role lacks a right. The package's comment names those that
	// it needs.
	ErrPermission = errors.New("the role lacks a right that the store needs")
)

// The classes and codes of SQLSTATE that mean something here.
const (
	stateReadOnly         = "25006"
	stateUniqueViolation  = "23505"
	stateDiskFull         = "53100"
	statePermission       = "42501"
	stateDuplicateSchema  = "42P06"
	stateDuplicateTable   = "42P07"
	stateUndefinedFunc    = "42883"
	stateNotSupported     = "0A000"
	stateSerialization    = "40001"
	stateDeadlock         = "40P01"
	stateUnknownOutcome   = "40003" // what CockroachDB says of an ambiguous commit
	stateLockNotAvailable = "55P03"
	stateCancelled        = "57014"
	stateDataCorrupted    = "XX001"
	stateIndexCorrupted   = "XX002"
	classConnection       = "08" // what PgBouncer says when it has lost the server, too
	classData             = "22"
	classLimit            = "54"
	classRaised           = "P0" // by a trigger
	classObjectState      = "55" // such as a lock that was not free in time
	classInternal         = "XX"
	classAccess           = "42"
	classRollback         = "40"
	classConstraint       = "23"
	classTransactionState = "25"
)

// state returns the SQLSTATE of what the server said, or "".
func state(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// isConflict reports whether the transaction lost against others and succeeds
// when it is made again.
func isConflict(err error) bool {
	s := state(err)
	return s == stateSerialization || s == stateDeadlock
}

// isRace reports whether another transaction has stored the same id or key since
// this one looked.
func isRace(err error) bool { return state(err) == stateUniqueViolation }

// isLost reports whether the connection is gone, so that another may do: the
// server went away, or came back, since it was last used.
func isLost(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return false // there is no server to go to
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	said, ok := errors.AsType[*pgconn.PgError](err)
	_, ofNetwork := errors.AsType[net.Error](err)
	return ok && isFatal(said) || ofNetwork || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// isFatal reports whether the server, or a pooler before it, ends the connection
// with what it says: it shuts down, or a connection was idle too long.
func isFatal(e *pgconn.PgError) bool {
	switch cmp.Or(e.SeverityUnlocalized, e.Severity) {
	case "FATAL", "PANIC":
		return true
	default:
		return false
	}
}

// commitError says what a COMMIT that was sent and failed means.
func commitError(err error) error {
	if s := state(err); s != stateUnknownOutcome {
		switch class(s) {
		case classRollback, classConstraint, classTransactionState:
			return err // the server has rolled back
		}
	}
	return fmt.Errorf("%w: %w", contacts.ErrOutcomeUnknown, err)
}

// A serverError is what the server said, without the parts that may hold what
// was sent to it.
type serverError struct{ *pgconn.PgError }

func (e serverError) Error() string {
	text := fmt.Sprintf("the server says %s (SQLSTATE %s)", e.Severity, e.Code)
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

func (e serverError) Unwrap() error { return e.PgError }

func newServerError(e *pgconn.PgError) error {
	kept := &pgconn.PgError{
		Severity: e.Severity, SeverityUnlocalized: e.SeverityUnlocalized, Code: e.Code,
		SchemaName: e.SchemaName, TableName: e.TableName, ColumnName: e.ColumnName, ConstraintName: e.ConstraintName,
	}
	switch class(e.Code) {
	case "08", "26", "28", "3D", "42", "53", "54", "55", "56", "57", "58": // of connections, roles, tables, limits, disks and shutdowns
		kept.Message = e.Message
	}
	var err error = serverError{kept}
	switch e.Code {
	case stateReadOnly:
		err = fmt.Errorf("%w: %w", ErrReadOnly, err)
	case stateDiskFull:
		err = fmt.Errorf("%w: %w", ErrDiskFull, err)
	case statePermission:
		err = fmt.Errorf("%w: %w", ErrPermission, err)
	}
	return err
}

// class returns the first part of a SQLSTATE.
func class(state string) string { return state[:min(2, len(state))] }

// classify makes an error for callers: it matches what the package promises and
// the context's error where that ended the call, and it holds no data. nil stays nil.
func classify(ctx context.Context, err error) error {
	unknown, cause := errors.Is(err, contacts.ErrOutcomeUnknown), ctx.Err()
	ended := cause != nil && (unknown || errors.Is(err, cause) || isLost(err) || state(err) == stateCancelled)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		err = newServerError(e)
	}
	if unknown && !errors.Is(err, contacts.ErrOutcomeUnknown) {
		err = fmt.Errorf("%w: %w", contacts.ErrOutcomeUnknown, err)
	}
	if ended && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// isOfOneWrite reports whether the error of a transaction may be that of one of its
// jobs, so that the others succeed without it: of its data, of a trigger or a right of
// the host, or of a lock, a page or a time that it alone needs.
func isOfOneWrite(err error) bool {
	if errors.Is(err, contacts.ErrOutcomeUnknown) {
		return false
	}
	switch s := state(err); class(s) {
	case classData, classConstraint, classLimit, classRaised, classObjectState, classInternal, classAccess:
		return true
	default:
		return s == stateCancelled || errors.Is(err, ErrCorrupt)
	}
}

// isOfOneSearch is isOfOneWrite for searches. They change nothing, so whatever the
// server says may be about one of them: a page that is damaged, a missing right.
func isOfOneSearch(err error) bool { return state(err) != "" || errors.Is(err, ErrCorrupt) }
