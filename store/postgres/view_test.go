package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/contacts"
)

// The views for people show entries of the journal with their times in UTC.
func TestViewsShowTheJournal(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := takeSchema(t)
	s := open(t, url, schema)
	account, r := addAccount(t, s), newContact(newID())
	changed, bare := event(r), event(r)
	changed.Data = `{"v":1,"type":"contact.updated","version":3,"actor":{"kind":"key","name":"web"},"source":"import","changes":[{"field":"city"}]}`
	bare.At = time.Time{}
	entry := func(kind contacts.JournalKind, at time.Time, data string) contacts.JournalEntry {
		return contacts.JournalEntry{Kind: kind, At: at, Data: data}
	}
	err := apply(t.Context(), s, contacts.Mutation{AccountID: account, Journal: []contacts.JournalEntry{
		changed,
		bare,
		entry(contacts.JournalDoNotCall, noon, `{"v":1,"type":"block","phone_number":"+15551234567","at":"2026-02-01T00:00:00Z","expires_at":"2027-02-01T00:00:00Z",`+
			`"source":"api","reason":"asked","reference":"call 7","actor":{"kind":"key"},"contact_id":"`+r.Contact.ID.String()+`"}`),
		entry(contacts.JournalDoNotCall, noon.Add(time.Microsecond), `{"v":1,"type":"grant","erased":true,"at":"2026-02-02T00:00:00Z","source":"api"}`),
		entry(contacts.JournalDoNotCall, noon, `{"v":1,"type":"origin"}`),
		entry(contacts.JournalErasure, noon, `{}`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		view, columns string
		want          [][]*string
	}{
		{"contact_event", "account_id, sequence, at, type, contact_id, version, actor, source, changes", [][]*string{
			{new(account.String()), new("1"), new("2026-03-01 12:00:00.123456"), new("contact.updated"), new(r.Contact.ID.String()),
				new("3"), new("web"), new("import"), new(`[{"field":"city"}]`)},
			{new(account.String()), new("2"), new("0001-01-01 00:00:00"), nil, new(r.Contact.ID.String()), nil, nil, nil, nil},
		}},
		{"do_not_call", "account_id, sequence, type, phone_number, dnc_date, expires_at, recorded_at, source, dnc_reason, reference, contact_id, actor", [][]*string{
			{new(account.String()), new("3"), new("block"), new("+15551234567"), new("2026-02-01T00:00:00Z"), new("2027-02-01T00:00:00Z"),
				new("2026-03-01 12:00:00.123456"), new("api"), new("asked"), new("call 7"), new(r.Contact.ID.String()), new(`{"kind": "key"}`)},
			{new(account.String()), new("4"), new("grant"), nil, new("2026-02-02T00:00:00Z"), nil,
				new("2026-03-01 12:00:00.123457"), new("api"), nil, nil, nil, nil},
		}},
	} {
		if diff := cmp.Diff(c.want, rowsOf(t, url, schema, c.view, c.columns)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.view, diff)
		}
	}
}

// rowsOf returns what people read in a view, as text, by sequence.
func rowsOf(t *testing.T, url, schema, view, columns string) [][]*string {
	t.Helper()
	var texts []string
	for column := range strings.SplitSeq(columns, ", ") {
		texts = append(texts, column+"::text")
	}
	rows, err := connect(t, url).Query(t.Context(), "SELECT "+strings.Join(texts, ", ")+" FROM "+pgx.Identifier{schema, view}.Sanitize()+" ORDER BY sequence")
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]*string, error) {
		texts := make([]*string, len(row.FieldDescriptions()))
		into := make([]any, len(texts))
		for i := range texts {
			into[i] = &texts[i]
		}
		return texts, row.Scan(into...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
