package contacts_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
)

// The form of stored entries is kept for good: a change of it needs a version.
func TestLedgerEntriesHaveOneForm(t *testing.T) {
	t.Parallel()
	keyID, contactID := uuid.MustParse("0197a000-0000-7000-8000-000000000001"), uuid.MustParse("0197a000-0000-7000-8000-000000000002")
	whole := contacts.DoNotCallEntry{
		Type: contacts.DoNotCallBlock, PhoneNumber: "+15551234567", At: time.Date(2026, 11, 1, 10, 0, 0, 1000, time.UTC),
		ExpiresAt: time.Date(2026, 12, 2, 0, 0, 0, 0, time.UTC), Source: "api", Reason: "asked on the phone", Reference: "call 4711",
		Actor: contacts.Actor{Kind: contacts.ActorKey, KeyID: keyID, Name: "web site"}, ContactID: contactID,
	}
	erased := contacts.DoNotCallEntry{Type: contacts.DoNotCallGrant, At: whole.At, Source: "api", Actor: contacts.Actor{Kind: contacts.ActorSystem}}
	for name, tt := range map[string]struct {
		entry  contacts.DoNotCallEntry
		erased bool
		want   string
	}{
		"whole": {whole, false, `{"v":1,"type":"block","phone_number":"+15551234567","secret":"9f1c2b3a4d5e6f70","at":"2026-11-01T10:00:00.000001Z",` +
			`"expires_at":"2026-12-02T00:00:00Z","source":"api","reason":"asked on the phone","reference":"call 4711",` +
			`"actor":{"kind":"key","key_id":"` + keyID.String() + `","name":"web site"},"contact_id":"` + contactID.String() + `"}`},
		"erased": {erased, true, `{"v":1,"type":"grant","erased":true,"secret":"9f1c2b3a4d5e6f70","at":"2026-11-01T10:00:00.000001Z","source":"api","actor":{"kind":"system"}}`},
	} {
		tt.entry.RecordedAt, tt.entry.Sequence = noon.UTC(), 7
		j, err := contacts.LedgerJournal(tt.entry, "9f1c2b3a4d5e6f70", tt.erased)
		if err != nil || j.Data != tt.want || j.Kind != contacts.JournalDoNotCall || !j.At.Equal(noon) || j.Sequence != 7 {
			t.Errorf("%s: got %+v, %v; want the data %s", name, j, err, tt.want)
		}
		got, err := contacts.ReadLedger([]contacts.JournalEntry{{Kind: contacts.JournalEvent, Data: "an event"}, j})
		if diff := cmp.Diff([]contacts.DoNotCallEntry{tt.entry}, got); diff != "" || err != nil {
			t.Errorf("%s: %v, (-want +got):\n%s", name, err, diff)
		}
	}

	subject := [32]byte{0xab, 31: 0xcd}
	for _, tt := range []struct {
		erased bool
		want   string
	}{
		{false, `{"v":1,"type":"origin","subject":"ab` + strings.Repeat("00", 30) + `cd"}`},
		{true, `{"v":1,"type":"origin","erased":true}`},
	} {
		j, err := contacts.LedgerOrigin(contactID, subject, tt.erased)
		if err != nil || j.Data != tt.want || !bytes.Equal(j.Subject[:], append(contactID[:], make([]byte, 16)...)) {
			t.Errorf("origin: got %+v, %v; want the data %s", j, err, tt.want)
		}
		if got, err := contacts.ReadLedger([]contacts.JournalEntry{j}); got != nil || err != nil {
			t.Errorf("origin: read as %v, %v; want no block", got, err)
		}
		of, named, err := contacts.ReadOrigins([]contacts.JournalEntry{j})
		if err != nil || len(of) != 1 || of[0] != contactID || (named[0] == subject) == tt.erased {
			t.Errorf("origin: got %v, %v, %v", of, named, err)
		}
	}
}

func TestUnreadableLedgerEntriesAreErrors(t *testing.T) {
	t.Parallel()
	const (
		times  = `"at":"2026-11-01T10:00:00Z","source":"api","secret":"9f1c","actor":{"kind":"key"}`
		number = `"phone_number":"+15551234567"`
	)
	for name, data := range map[string]string{
		"no JSON":                  `{"v":1`,
		"no version":               `{"type":"block",` + number + `,` + times + `}`,
		"a later version":          `{"v":2,"type":"block",` + number + `,` + times + `}`,
		"no type":                  `{"v":1,` + number + `,` + times + `}`,
		"an unknown type":          `{"v":1,"type":"pause",` + number + `,` + times + `}`,
		"no number":                `{"v":1,"type":"block",` + times + `}`,
		"erased, with a number":    `{"v":1,"type":"block","erased":true,` + number + `,` + times + `}`,
		"no time":                  `{"v":1,"type":"grant",` + number + `,"source":"api","secret":"9f1c","actor":{"kind":"key"}}`,
		"no source":                `{"v":1,"type":"grant",` + number + `,"at":"2026-11-01T10:00:00Z","secret":"9f1c","actor":{"kind":"key"}}`,
		"a time that is none":      `{"v":1,"type":"block","expires_at":"soon",` + number + `,` + times + `}`,
		"an origin of no number":   `{"v":1,"type":"origin"}`,
		"an origin of half of one": `{"v":1,"type":"origin","subject":"abcd"}`,
	} {
		got, err := contacts.ReadLedger([]contacts.JournalEntry{{Kind: contacts.JournalDoNotCall, Sequence: 1234, Data: data}})
		if err == nil || got != nil || !strings.Contains(err.Error(), "1234") || strings.Contains(err.Error(), "5551234567") {
			t.Errorf("%s: got %v, %v; want an error that names the entry, and not the number", name, got, err)
		}
	}
}

// day returns noon of a day of March 2026.
func day(n int) time.Time { return time.Date(2026, 3, n, 12, 0, 0, 0, time.UTC) }

func TestVerdict(t *testing.T) {
	t.Parallel()
	type list = []contacts.DoNotCallEntry
	entry := func(sequence int64, of contacts.DoNotCallType, at time.Time, reason string, expires time.Time) contacts.DoNotCallEntry {
		return contacts.DoNotCallEntry{Sequence: sequence, Type: of, At: at, Reason: reason, ExpiresAt: expires}
	}
	block := func(sequence int64, at time.Time, reason string) contacts.DoNotCallEntry {
		return entry(sequence, contacts.DoNotCallBlock, at, reason, time.Time{})
	}
	blockUntil := func(sequence int64, at time.Time, reason string, until time.Time) contacts.DoNotCallEntry {
		return entry(sequence, contacts.DoNotCallBlock, at, reason, until)
	}
	grant := func(sequence int64, at time.Time) contacts.DoNotCallEntry {
		return entry(sequence, contacts.DoNotCallGrant, at, "", time.Time{})
	}
	grantUntil := func(sequence int64, at, until time.Time) contacts.DoNotCallEntry {
		return entry(sequence, contacts.DoNotCallGrant, at, "", until)
	}
	now := day(10)
	for name, tt := range map[string]struct {
		itself, form list
		want         contacts.Verdict
	}{
		"nothing": {},
		"one block": {itself: list{block(1, day(1), "a")},
			want: contacts.Verdict{Listed: true, Date: day(1), Reason: "a", Sequence: 1}},
		"a grant after it":  {itself: list{block(1, day(1), "a"), grant(2, day(2))}, want: contacts.Verdict{Sequence: 2}},
		"a grant before it": {itself: list{block(1, day(3), "a"), grant(2, day(2))}, want: contacts.Verdict{Listed: true, Date: day(3), Reason: "a", Sequence: 2}},
		"recorded later, said earlier": {itself: list{grant(1, day(3)), block(2, day(2), "a")},
			want: contacts.Verdict{Sequence: 2}},
		"at the same time": {itself: list{block(1, day(2), "a"), grant(2, day(2))},
			want: contacts.Verdict{Listed: true, Date: day(2), Reason: "a", Sequence: 2}},
		"the latest says date and reason": {itself: list{block(1, day(3), "b"), block(2, day(2), "a")},
			want: contacts.Verdict{Listed: true, Date: day(3), Reason: "b", Sequence: 2}},
		"ahead": {itself: list{block(1, day(11), "a")}, want: contacts.Verdict{Listed: true, Date: day(11), Reason: "a", Sequence: 1}},
		"expired": {itself: list{blockUntil(1, day(1), "a", day(10))},
			want: contacts.Verdict{Sequence: 1}},
		"expires": {itself: list{blockUntil(1, day(1), "a", day(11))},
			want: contacts.Verdict{Listed: true, Date: day(1), Reason: "a", Until: day(11), ChangesAt: day(11), Sequence: 1}},
		"two expire": {itself: list{blockUntil(1, day(1), "a", day(20)), blockUntil(2, day(2), "b", day(11))},
			want: contacts.Verdict{Listed: true, Date: day(2), Reason: "b", Until: day(20), ChangesAt: day(11), Sequence: 2}},
		"one of two expires": {itself: list{block(1, day(1), "a"), blockUntil(2, day(2), "b", day(11))},
			want: contacts.Verdict{Listed: true, Date: day(2), Reason: "b", ChangesAt: day(11), Sequence: 2}},
		"an expired grant": {itself: list{block(1, day(1), "a"), grantUntil(2, day(2), day(9))},
			want: contacts.Verdict{Listed: true, Date: day(1), Reason: "a", Sequence: 2}},
		"a grant that expires": {itself: list{block(1, day(1), "a"), grantUntil(2, day(2), day(11))},
			want: contacts.Verdict{ChangesAt: day(11), Sequence: 2}},
		"a grant expires while a later block holds": {itself: list{block(1, day(1), "a"), grantUntil(2, day(2), day(12)), blockUntil(3, day(3), "b", day(13))},
			want: contacts.Verdict{Listed: true, Date: day(3), Reason: "b", ChangesAt: day(12), Sequence: 3}},
		"a later block ends before the grant": {itself: list{block(1, day(1), "a"), grantUntil(2, day(2), day(13)), blockUntil(3, day(3), "b", day(12))},
			want: contacts.Verdict{Listed: true, Date: day(3), Reason: "b", Until: day(12), ChangesAt: day(12), Sequence: 3}},
		"a form": {form: list{block(1, day(1), "a")},
			want: contacts.Verdict{Listed: true, Date: day(1), Reason: "a", Form: "form", Sequence: 1}},
		"a form, and a grant on the number": {itself: list{grant(2, day(2))}, form: list{block(1, day(1), "a")},
			want: contacts.Verdict{Listed: true, Date: day(1), Reason: "a", Form: "form", Sequence: 2}},
		"both": {itself: list{block(1, day(1), "a")}, form: list{blockUntil(2, day(2), "b", day(11))},
			want: contacts.Verdict{Listed: true, Date: day(2), Reason: "b", ChangesAt: day(11), Sequence: 2}},
		"a form for longer": {itself: list{blockUntil(1, day(1), "a", day(11))}, form: list{blockUntil(2, day(1), "b", day(12))},
			want: contacts.Verdict{Listed: true, Date: day(1), Reason: "a", Until: day(12), ChangesAt: day(11), Sequence: 2}},
	} {
		got := contacts.JudgeDoNotCall(tt.itself, tt.form, now)
		if name == "a form for longer" { // both are of one time, so either reason is right
			got.Reason = "a"
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The secret is made once, is found by its fingerprint, and makes the subjects.
func TestLedgerSecret(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		ctx := t.Context()
		for range 2 {
			if _, err := w.svc.BlockCalls(ctx, w.writer, contacts.DoNotCallInput{PhoneNumber: "+15551234567"}); err != nil {
				t.Fatal(err)
			}
		}
		d, err := store.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectorySettings, AccountID: w.acme.ID, Limit: 10})
		if err != nil || len(d.Settings) != 1 {
			t.Fatalf("got the settings %v, %v; want one", d.Settings, err)
		}
		var value struct {
			Secret       []byte
			Fingerprints []string
		}
		if err := json.Unmarshal([]byte(d.Settings[0].Value), &value); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(value.Secret)
		if d.Settings[0].Name != "do_not_call" || d.Settings[0].Actor.Kind != contacts.ActorSystem ||
			len(value.Secret) != 32 || len(value.Fingerprints) != 1 || value.Fingerprints[0] != hex.EncodeToString(sum[:8]) {
			t.Errorf("got the setting %+v", d.Settings[0])
		}
		mac := hmac.New(sha256.New, value.Secret)
		mac.Write(w.acme.ID[:])
		mac.Write([]byte("+15551234567"))
		entries := journal(t, store, w.acme.ID)
		if len(entries) != 1 || !bytes.Equal(entries[0].Subject[:], mac.Sum(nil)) {
			t.Errorf("got the entries %v, want one, with the subject of the number", entries)
		}
	})
}

// journal returns the do-not-call entries of an account.
func journal(t testing.TB, store contacts.Store, account uuid.UUID) []contacts.JournalEntry {
	t.Helper()
	entries, err := store.ListJournal(context.WithoutCancel(t.Context()), contacts.JournalQuery{AccountID: account, Kind: contacts.JournalDoNotCall, Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestListedNumbers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ given, region, want string }{
		{"+1 (555) 123-4567", "", "+15551234567"}, // not assigned
		{"(555) 123-4567", "US", "+15551234567"},
		{"+52 1 55 1234 5678", "", "+5215512345678"}, // out of use
		{"+52 55 1234 5678", "", "+525512345678"},
		{"+52 1 55 1234 56789", "", ""},
		{"(555) 123-4567", "", ""},
		{"+1555123456789", "", ""},
		{"call me", "", ""},
		{"", "", ""},
	} {
		got, why := contacts.NormaliseListed(tt.given, tt.region)
		if got != tt.want || (why == "") != (tt.want != "") {
			t.Errorf("%q in %q: got %q, %q; want %q", tt.given, tt.region, got, why, tt.want)
		}
	}
}
