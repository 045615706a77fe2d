package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/contacts"
	"example.com/contacts/store/postgres"
)

func said(code string) error {
	return &pgconn.PgError{Severity: "ERROR", Code: code, Message: "tell-tale", Detail: "tell-tale"}
}

// Which failures of a COMMIT leave open how it went.
func TestCommitError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err     error
		unknown bool
	}{
		{said("40001"), false},
		{said("40P01"), false},
		{said("23505"), false},
		{said("25P02"), false},
		{said("40003"), true}, // CockroachDB's ambiguous commit
		{said("57P01"), true},
		{said("58030"), true},
		{said("53100"), true},
		{io.ErrUnexpectedEOF, true},
		{context.Canceled, true},
	} {
		if got := errors.Is(postgres.CommitError(c.err), contacts.ErrOutcomeUnknown); got != c.unknown {
			t.Errorf("COMMIT failed with %v: unknown outcome is %t, want %t", c.err, got, c.unknown)
		}
	}
}

// The context's error is seen, also beside another error, and no data is.
func TestClassify(t *testing.T) {
	t.Parallel()
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx        context.Context
		err        error
		match, not error
	}{
		{t.Context(), said("25006"), postgres.ErrReadOnly, context.Canceled},
		{t.Context(), said("53100"), postgres.ErrDiskFull, contacts.ErrOutcomeUnknown},
		{t.Context(), postgres.CommitError(said("53100")), contacts.ErrOutcomeUnknown, context.Canceled},
		{done, said("57014"), context.Canceled, contacts.ErrOutcomeUnknown},
		{done, io.ErrUnexpectedEOF, context.Canceled, contacts.ErrOutcomeUnknown},
		{done, fmt.Errorf("%w: %w", context.Canceled, said("40001")), context.Canceled, contacts.ErrOutcomeUnknown},
		{done, postgres.CommitError(said("57P01")), context.Canceled, postgres.ErrDiskFull},
		{done, contacts.ErrNotFound, contacts.ErrNotFound, context.Canceled},
	} {
		got := postgres.Classify(c.ctx, c.err)
		if !errors.Is(got, c.match) || errors.Is(got, c.not) {
			t.Errorf("classify(%v): got %v, want one that matches %v, and not %v", c.err, got, c.match, c.not)
		}
	}
	for _, code := range []string{"22021", "23505", "40001", "XX000"} {
		if text := fmt.Sprintf("%+v", postgres.Classify(t.Context(), said(code))); text != "the server says ERROR (SQLSTATE "+code+")" {
			t.Errorf("an error holds what the server quotes: %s", text)
		}
	}
}
