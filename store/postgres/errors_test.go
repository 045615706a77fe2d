package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
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

// Which failures of a transaction may be those of one write, and which are of all.
func TestIsOfOneWrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err error
		one bool
	}{
		{said("22021"), true},
		{said("23502"), true},
		{said("42501"), true},
		{said("54000"), true},
		{said("55P03"), true},
		{said("57014"), true},
		{said("P0001"), true},
		{said("XX001"), true},
		{postgres.ErrCorrupt, true},
		{said("08006"), false},
		{said("25006"), false},
		{said("40001"), false},
		{said("53100"), false},
		{said("57P01"), false},
		{io.ErrUnexpectedEOF, false},
		{context.Canceled, false},
		{fmt.Errorf("%w: %w", contacts.ErrOutcomeUnknown, said("22021")), false},
	} {
		if got := postgres.IsOfOneWrite(c.err); got != c.one {
			t.Errorf("%v: it may be of one write: got %t, want %t", c.err, got, c.one)
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
}

// The server's words are shown where they hold no data of contacts. What it says
// beside them is not.
func TestErrorTexts(t *testing.T) {
	t.Parallel()
	for code, shown := range map[string]bool{
		"08P01": true, "26000": true, "28P01": true, "3D000": true, "42501": true, "42P05": true, "53300": true, "54000": true,
		"55P03": true, "56000": true, "57014": true, "58030": true,
		"22021": false, "22P02": false, "23502": false, "23505": false, "23514": false, "40001": false, "P0001": false, "XX000": false,
	} {
		err := &pgconn.PgError{Severity: "ERROR", Code: code, Message: "its words", Detail: "tell-tale", Hint: "tell-tale", Where: "tell-tale", InternalQuery: "tell-tale"}
		text := fmt.Sprintf("%v %+v", postgres.Classify(t.Context(), err), postgres.Classify(t.Context(), fmt.Errorf("commit: %w", err)))
		if strings.Contains(text, "its words") != shown || strings.Contains(text, "tell-tale") || !strings.Contains(text, code) {
			t.Errorf("%s: got %q; the server's words are shown: want %t", code, text, shown)
		}
	}
}
