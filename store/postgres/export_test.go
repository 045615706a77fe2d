package postgres

import (
	"context"
	"net"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts/store/internal/migration"
)

// CommitError is commitError.
func CommitError(err error) error { return commitError(err) }

// Classify is classify.
func Classify(ctx context.Context, err error) error { return classify(ctx, err) }

// IsOfOneWrite is isOfOneWrite.
func IsOfOneWrite(err error) bool { return isOfOneWrite(err) }

// IsAlive is isAlive.
func IsAlive(c net.Conn) bool { return isAlive(c) }

// NewWithStep is New of a later version, whose schema has one more step.
func NewWithStep(ctx context.Context, pool *pgxpool.Pool, opts *Options, sql string) (*Store, error) {
	return newStore(ctx, pool, opts, append(migration.Steps(schema, "schema"), migration.Step{Name: "0002_later.sql", SQL: sql}))
}
