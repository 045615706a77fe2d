package contacts_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// A checkWorld is a store with something of everything.
type checkWorld struct {
	*world
	ann, bob *contacts.Contact // Bob is deleted
	erased   *contacts.ContactRecord
	receipt  *contacts.Erasure
}

func newCheckWorld(t *testing.T, store contacts.Store) *checkWorld {
	t.Helper()
	ctx := t.Context()
	w := &checkWorld{world: newWorld(t, store, nil)}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.admin.SetEvents(ctx, w.acme.ID, contacts.EventSettings{On: true}))
	must(w.admin.SetDuplicatePolicy(ctx, w.acme.ID, contacts.DuplicatePolicy{Action: contacts.DuplicateReject, Keys: []contacts.KeyKind{contacts.KeyPhoneNumber}}))
	w.ann = w.create(t, documented())
	w.create(t, contacts.CreateContactInput{FirstName: "Ann's twin by address alone", Email: "john@Example.com", TeamID: closedTeam})
	w.bob = w.create(t, contacts.CreateContactInput{FirstName: "Bob", Email: "bob@example.com", CustomContext: map[string]any{"a": 1}})
	must(w.svc.DeleteContact(ctx, w.writer, w.bob.ID, nil))
	carol := w.create(t, contacts.CreateContactInput{
		FirstName: "Carol", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15557650988", DoNotCall: true}},
	})
	var err error
	w.erased, err = store.FindContact(ctx, w.acme.ID, carol.ID)
	must(err)
	w.receipt, err = w.admin.EraseContact(ctx, contacts.EraseInput{AccountID: w.acme.ID, ContactID: carol.ID, Suppress: true})
	must(err)
	return w
}

// set stores a value of a setting of Acme.
func (w *checkWorld) set(t *testing.T, name, value string) {
	t.Helper()
	account, err := w.store.FindAccount(t.Context(), w.acme.ID)
	if err == nil {
		_, err = w.store.AddToDirectory(t.Context(), contacts.Directory{Settings: []contacts.SettingRecord{{
			AccountID: w.acme.ID, Version: account.SettingsVersion + 1, Name: name, Value: value, At: noon.UTC().Truncate(time.Microsecond),
		}}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// apply stores a mutation of Acme that no Service would make.
func (w *checkWorld) apply(t *testing.T, m contacts.Mutation) {
	t.Helper()
	account, err := w.store.FindAccount(t.Context(), w.acme.ID)
	if err != nil {
		t.Fatal(err)
	}
	m.AccountID, m.Settings = w.acme.ID, account.SettingsVersion
	outcomes, err := w.store.Apply(t.Context(), contacts.MutationBatch{Mutations: []contacts.Mutation{m}, Now: noon.UTC().Truncate(time.Microsecond)})
	for _, o := range outcomes {
		err = errors.Join(err, o.Err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// record stores a contact as it is given.
func (w *checkWorld) record(t *testing.T, r contacts.ContactRecord) {
	t.Helper()
	r.Contact.AccountID, r.Contact.FirstName, r.Contact.Version = w.acme.ID, "Dora", 1
	if r.Contact.ID == uuid.Nil {
		r.Contact.ID = uuid.Must(uuid.NewV7())
	}
	w.apply(t, contacts.Mutation{Contacts: []contacts.ContactChange{{ID: r.Contact.ID, Record: &r}}})
}

func (w *checkWorld) entry(t *testing.T, kind contacts.JournalKind, data string) {
	t.Helper()
	w.apply(t, contacts.Mutation{Journal: []contacts.JournalEntry{{Kind: kind, Data: data, At: time.Unix(1, 0).UTC()}}})
}

// A liar is a store that changes what it returns.
type liar struct {
	contacts.Store
	account  func(*contacts.AccountRecord)
	journal  func([]contacts.JournalEntry)
	teams    func([]contacts.Team) []contacts.Team
	settings func([]contacts.SettingRecord) []contacts.SettingRecord
}

func (l *liar) FindAccount(ctx context.Context, id uuid.UUID) (*contacts.AccountRecord, error) {
	found, err := l.Store.FindAccount(ctx, id)
	if err != nil || l.account == nil {
		return found, err
	}
	changed := *found
	l.account(&changed)
	return &changed, nil
}

func (l *liar) ListJournal(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
	entries, err := l.Store.ListJournal(ctx, q)
	if l.journal != nil {
		l.journal(entries)
	}
	return entries, err
}

func (l *liar) ListDirectory(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
	d, err := l.Store.ListDirectory(ctx, q)
	if l.teams != nil {
		d.Teams = l.teams(d.Teams)
	}
	if l.settings != nil {
		d.Settings = l.settings(d.Settings)
	}
	return d, err
}

// codesOf returns the codes of findings, each once and sorted. Every finding must say
// how bad it is, what it is and what to do, and nothing of a person.
func codesOf(t *testing.T, findings []contacts.Finding) (codes []string) {
	t.Helper()
	for _, f := range findings {
		if f.Severity == 0 || f.Code == "" || f.Message == "" || f.Advice == "" {
			t.Errorf("a finding does not say how bad it is, what it is and what to do: %+v", f)
		}
		for _, private := range []string{"john", "Springfield", "+1555"} {
			if strings.Contains(f.Message+f.Advice, private) {
				t.Errorf("a finding holds something of a person: %+v", f)
			}
		}
		codes = append(codes, f.Code)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// TestCheckStore plants what CheckStore finds.
func TestCheckStore(t *testing.T) {
	t.Parallel()
	secret := make([]byte, 32)
	for _, test := range []struct {
		name  string
		plant func(t *testing.T, w *checkWorld, l *liar)
		want  contacts.Finding // without its texts
	}{
		{"a setting that is no JSON", func(t *testing.T, w *checkWorld, _ *liar) { w.set(t, "duplicate_policy", "{") }, contacts.Finding{Severity: contacts.SeverityError, Code: "setting_unreadable"}},
		{"a policy with an action that nobody knows", func(t *testing.T, w *checkWorld, _ *liar) { w.set(t, "duplicate_policy", `{"action":"panic"}`) }, contacts.Finding{Severity: contacts.SeverityError, Code: "setting_unreadable"}},
		{"events without a time", func(t *testing.T, w *checkWorld, _ *liar) { w.set(t, "events", `{"on":true,"keep":"soon"}`) }, contacts.Finding{Severity: contacts.SeverityError, Code: "setting_unreadable"}},
		{"a ledger that cannot be read", func(t *testing.T, w *checkWorld, _ *liar) { w.set(t, "do_not_call", `[]`) }, contacts.Finding{Severity: contacts.SeverityError, Code: "setting_unreadable"}},
		{"a setting of another program", func(t *testing.T, w *checkWorld, _ *liar) { w.set(t, "other", "?") }, contacts.Finding{Severity: contacts.SeverityError, Code: "setting_unreadable"}},
		{"a setting that is gone", func(_ *testing.T, _ *checkWorld, l *liar) {
			l.settings = func(all []contacts.SettingRecord) []contacts.SettingRecord {
				return slices.DeleteFunc(all, func(r contacts.SettingRecord) bool { return r.Version == 1 })
			}
		}, contacts.Finding{Severity: contacts.SeverityError, Code: "settings_version_wrong"}},
		{"a settings version without its setting", func(_ *testing.T, _ *checkWorld, l *liar) {
			l.account = func(a *contacts.AccountRecord) { a.SettingsVersion++ }
		}, contacts.Finding{Severity: contacts.SeverityError, Code: "settings_version_wrong"}},
		{"a setting after the newest", func(_ *testing.T, w *checkWorld, l *liar) {
			l.account = func(a *contacts.AccountRecord) {
				if a.ID == w.acme.ID {
					a.SettingsVersion--
				}
			}
		}, contacts.Finding{Severity: contacts.SeverityError, Code: "settings_version_wrong"}},
		{"a context that is no JSON", func(t *testing.T, w *checkWorld, _ *liar) {
			w.record(t, contacts.ContactRecord{CustomContext: `{"street": "Springfield"`})
		}, contacts.Finding{Severity: contacts.SeverityError, Code: "context_unreadable"}},
		{"a deleted contact with such a context", func(t *testing.T, w *checkWorld, _ *liar) {
			w.record(t, contacts.ContactRecord{Contact: contacts.Contact{DeletedAt: noon.UTC().Truncate(time.Microsecond)}, IndustryContext: `[]`})
		}, contacts.Finding{Severity: contacts.SeverityError, Code: "context_unreadable"}},
		{"a time that has no JSON form", func(t *testing.T, w *checkWorld, _ *liar) {
			w.record(t, contacts.ContactRecord{Contact: contacts.Contact{CreatedAt: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)}})
		}, contacts.Finding{Severity: contacts.SeverityError, Code: "contact_unreadable"}},
		{"a team that does not exist", func(_ *testing.T, _ *checkWorld, l *liar) {
			l.teams = func(teams []contacts.Team) []contacts.Team {
				return slices.DeleteFunc(teams, func(t contacts.Team) bool { return t.ID == team })
			}
		}, contacts.Finding{Severity: contacts.SeverityError, Code: "team_missing"}},
		{"twins by number", func(t *testing.T, w *checkWorld, _ *liar) {
			w.record(t, contacts.ContactRecord{Contact: contacts.Contact{PhoneNumbers: []contacts.PhoneNumber{{ID: uuid.New(), PhoneNumber: "+15551234567", Primary: true}}}})
		}, contacts.Finding{Severity: contacts.SeverityWarning, Code: "twins_under_policy"}},
		{"twins by external id, which is always unique", func(t *testing.T, w *checkWorld, _ *liar) {
			for range 2 {
				w.record(t, contacts.ContactRecord{Contact: contacts.Contact{ExternalID: "crm-1"}})
			}
		}, contacts.Finding{Severity: contacts.SeverityWarning, Code: "twins_under_policy"}},
		{"a contact of tomorrow", func(t *testing.T, w *checkWorld, _ *liar) {
			w.record(t, contacts.ContactRecord{Contact: contacts.Contact{UpdatedAt: time.Now().AddDate(0, 0, 1).UTC().Truncate(time.Microsecond)}})
		}, contacts.Finding{Severity: contacts.SeverityWarning, Code: "clock_ahead"}},
		{"numbers that do not ascend", func(_ *testing.T, _ *checkWorld, l *liar) {
			l.journal = slices.Reverse[[]contacts.JournalEntry]
		}, contacts.Finding{Severity: contacts.SeverityError, Code: "sequence_wrong"}},
		{"an event that cannot be read", func(t *testing.T, w *checkWorld, _ *liar) {
			w.entry(t, contacts.JournalEvent, `{"v":1,"type":"contact.created","changes":[{"field":"tags","after":7}]}`)
		}, contacts.Finding{Severity: contacts.SeverityError, Code: "entry_unreadable"}},
		{"a do-not-call entry that cannot be read", func(t *testing.T, w *checkWorld, _ *liar) { w.entry(t, contacts.JournalDoNotCall, `{}`) }, contacts.Finding{Severity: contacts.SeverityError, Code: "entry_unreadable"}},
		{"a receipt that cannot be read", func(t *testing.T, w *checkWorld, _ *liar) { w.entry(t, contacts.JournalErasure, `{`) }, contacts.Finding{Severity: contacts.SeverityError, Code: "entry_unreadable"}},
		{"a receipt that was altered", func(_ *testing.T, _ *checkWorld, l *liar) {
			l.journal = func(entries []contacts.JournalEntry) {
				for i := range entries {
					entries[i].Data = strings.Replace(entries[i].Data, `"suppressed":true`, `"suppressed":false`, 1)
				}
			}
		}, contacts.Finding{Severity: contacts.SeverityError, Code: "entry_unreadable"}},
		{"an entry of a kind that nobody knows", func(_ *testing.T, _ *checkWorld, l *liar) {
			l.journal = func(entries []contacts.JournalEntry) {
				for i := range entries {
					entries[i].Kind = 7
				}
			}
		}, contacts.Finding{Severity: contacts.SeverityError, Code: "entry_unreadable"}},
		{"a contact that was erased", func(t *testing.T, w *checkWorld, _ *liar) { w.record(t, *w.erased) }, contacts.Finding{Severity: contacts.SeverityError, Code: "erased_is_back"}},
		{"a ledger without its setting", func(t *testing.T, w *checkWorld, _ *liar) { w.set(t, "do_not_call", "") }, contacts.Finding{Severity: contacts.SeverityError, Code: "ledger_secret_missing"}},
		{"a ledger with the secret of another one", func(_ *testing.T, _ *checkWorld, l *liar) {
			l.account = func(a *contacts.AccountRecord) {
				if text, ok := a.Settings["do_not_call"]; ok {
					at := strings.Index(text, `"secret":"`) + len(`"secret":"`)
					a.Settings = map[string]string{"do_not_call": text[:at] + "AAAA" + text[at+4:]}
				}
			}
		}, contacts.Finding{Severity: contacts.SeverityError, Code: "ledger_secret_missing"}},
		{"a ledger with a secret of the host", func(t *testing.T, w *checkWorld, _ *liar) {
			svc, err := contacts.New(w.store, &contacts.Options{Now: func() time.Time { return noon }, DoNotCallSecrets: [][]byte{secret}})
			if err == nil {
				_, err = svc.CreateContact(t.Context(), w.foreignKey, contacts.CreateContactInput{FirstName: "Eve", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15557650977", DoNotCall: true}}})
			}
			if err != nil {
				t.Fatal(err)
			}
		}, contacts.Finding{Severity: contacts.SeverityNote, Code: "ledger_secret_missing"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			onEveryStore(t, func(t *testing.T, store contacts.Store) {
				w, l := newCheckWorld(t, store), &liar{Store: store}
				test.plant(t, w, l)
				var found []contacts.Finding
				for f, err := range contacts.CheckStore(t.Context(), l) {
					if err != nil {
						t.Fatal(err)
					}
					found = append(found, f)
				}
				if diff := cmp.Diff([]string{test.want.Code}, codesOf(t, found)); diff != "" {
					t.Fatalf("codes (-want +got):\n%s\n%+v", diff, found)
				}
				if found[0].Severity != test.want.Severity || found[0].AccountID == uuid.Nil {
					t.Errorf("got %+v, want a finding of the severity %s with its account", found[0], test.want.Severity)
				}
			})
		})
	}
}

func TestCheckStoreFindsNothing(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		newCheckWorld(t, store)
		for f, err := range contacts.CheckStore(t.Context(), store) {
			t.Errorf("in a healthy store: %+v, %v", f, err)
		}
	})
}

// A check of many contacts ends when its caller has seen enough, and with its context.
func TestCheckStoreEnds(t *testing.T) {
	t.Parallel()
	w := newCheckWorld(t, closing(t, memory.New()))
	w.set(t, "one", "?")
	w.set(t, "two", "?")
	n := 0
	for range contacts.CheckStore(t.Context(), w.store) {
		n++
		break
	}
	if n != 1 {
		t.Errorf("the body ran %d times", n)
	}
	n = 0
	for f, err := range contacts.CheckStore(cancelled(t), w.store) {
		n++
		if !errors.Is(err, context.Canceled) || f != (contacts.Finding{}) {
			t.Errorf("with a context that is done: %+v, %v", f, err)
		}
	}
	if n != 1 {
		t.Errorf("the context's error came %d times", n)
	}
	for f, err := range contacts.CheckStore(t.Context(), nil) {
		if err == nil {
			t.Errorf("without a store: %+v", f)
		}
	}
}

// A program reads the findings of another one.
func TestFindingsAreReadBack(t *testing.T) {
	t.Parallel()
	for _, severity := range []contacts.Severity{0, contacts.SeverityNote, contacts.SeverityWarning, contacts.SeverityError} {
		want := contacts.Finding{Severity: severity, Code: "clock_ahead", Message: "message", Advice: "advice", ContactID: uuid.New(), Sequence: 7}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got contacts.Finding
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", text, got, err, want)
		}
	}
	var severity contacts.Severity
	if err := json.Unmarshal([]byte(`"fatal"`), &severity); err == nil {
		t.Errorf("got %s for a text that is none", severity)
	}
}
