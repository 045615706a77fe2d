//go:build cgo

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mattn/go-sqlite3"
)

// ClearLog finishes the look-ups, copies the -wal file into the main file and
// empties it now. Until then the log has earlier states of what was erased or
// changed, and the look-ups may have the digits of its phone numbers. ClearLog
// returns false where a read, a backup or a write is in the way: call it again
// later. It takes as long as copying the file. Close does the same in the
// end, unless the disk is full or others have the file open.
//
// The unused part of a page can have a copy of a row that SQLite has moved since. That is
// seldom, and VACUUM in the sqlite3 shell removes it.
func (s *Store) ClearLog(ctx context.Context) (bool, error) {
	const op = "sqlite: clear the log: %w"
	if err := s.gate.Enter(); err != nil {
		return false, fmt.Errorf(op, err)
	}
	defer s.gate.Leave()

	cleared, err := s.clearLog(ctx)
	if err != nil {
		return false, fmt.Errorf(op, classify(err))
	}
	return cleared, nil
}

func (s *Store) clearLog(ctx context.Context) (cleared bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if finished, err := s.writer.passLookups(ctx); err != nil || !finished {
		return false, err
	}
	defer func() { err = errors.Join(err, s.writer.place.look()) }() // how large is the log?
	db, err := s.writer.place.connect(ctx, s.writer.connector)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// A write is over soon, and a read or a backup may last.
	const longest = 32 * time.Millisecond
	for wait := time.Millisecond; ; wait *= 2 {
		if cleared, err = truncateLog(ctx, db); err != nil || cleared || wait > longest {
			return cleared, err
		}
		if err := pause(ctx, wait); err != nil {
			return false, err
		}
	}
}

// truncateLog copies the -wal file into the main one and cuts it to nothing. It
// returns false if another connection is in the way.
func truncateLog(ctx context.Context, db *sqlite3.SQLiteConn) (bool, error) {
	inTheWay, err := queryValueContext(ctx, db, "PRAGMA wal_checkpoint(TRUNCATE)")
	switch {
	case isBusy(err):
		return false, nil
	case ctx.Err() != nil:
		return false, ctx.Err() // an interrupted statement says so in other words
	case err != nil:
		return false, err
	default:
		return inTheWay == int64(0), nil
	}
}
