package contacts_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

func TestDocumentedExampleIsStoredNormalisedAndReadBackEqual(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		created := w.create(t, documented())
		stamp := noon.UTC().Truncate(time.Microsecond)
		want := &contacts.Contact{
			ID: created.ID, AccountID: w.acme.ID,
			FirstName: "John", LastName: "Doe", Email: "john@example.com", Company: "Acme Inc", Website: "https://example.com",
			Address: "123 Main St\nSuite 4", City: "Springfield", State: "IL", ZipCode: "62701", Country: "US",
			Status: "not_contacted", Stage: "lead", TeamID: team,
			Tags: []string{"vip", "newsletter"},
			PhoneNumbers: []contacts.PhoneNumber{
				{ID: created.PhoneNumbers[0].ID, PhoneNumber: "+15551234567", PhoneType: "mobile", Primary: true},
				{ID: created.PhoneNumbers[1].ID, PhoneNumber: "+15557654321", PhoneType: "work", DoNotCall: true, DoNotCallDate: stamp},
			},
			CustomContext: map[string]any{
				"source": "web", "score": json.Number("42"),
				"nested": map[string]any{"list": []any{json.Number("1.5"), true, nil}},
			},
			IndustryContext: map[string]any{"industry": "software"},
			CreatedAt:       stamp, UpdatedAt: stamp, Version: 1, DoNotCallSequence: 1,
		}
		if diff := cmp.Diff(want, created); diff != "" {
			t.Errorf("CreateContact (-want +got):\n%s", diff)
		}
		for _, id := range []uuid.UUID{created.ID, created.PhoneNumbers[0].ID, created.PhoneNumbers[1].ID} {
			if id.Version() != 7 {
				t.Errorf("id %v is of version %d, want 7", id, id.Version())
			}
		}
		got, err := w.svc.GetContact(t.Context(), w.key, created.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("GetContact (-want +got):\n%s", diff)
		}
	})
}

func TestFirstNameAloneIsAContact(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		created := w.create(t, contacts.CreateContactInput{FirstName: " Ann "})
		want := &contacts.Contact{
			ID: created.ID, AccountID: w.acme.ID, FirstName: "Ann", Country: "US", Status: "not_contacted", Stage: "lead",
			CreatedAt: created.CreatedAt, UpdatedAt: created.UpdatedAt, Version: 1,
		}
		got, err := w.svc.GetContact(t.Context(), w.key, created.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestKeyIsCheckedBeforeEverythingElse(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		revoked, revokedKey, err := w.admin.IssueKey(t.Context(), contacts.IssueKeyInput{
			AccountID: w.acme.ID, Permissions: []contacts.Permission{contacts.PermissionReadContacts}, AllTeams: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.svc.CreateContact(t.Context(), revoked, contacts.CreateContactInput{FirstName: "John"}); err != nil {
			t.Fatalf("before the revocation: %v", err)
		}
		if err := w.admin.RevokeKey(t.Context(), revokedKey.ID); err != nil {
			t.Fatal(err)
		}
		altered := []byte(w.key)
		altered[10] ^= 1
		for _, c := range []struct {
			name, key string
			want      contacts.Code
		}{
			{"no key", "", contacts.CodeAuthenticationRequired},
			{"blank key", " \t\n", contacts.CodeAuthenticationRequired},
			{"altered key", string(altered), contacts.CodeInvalidKey},
			{"truncated key", w.key[:len(w.key)-1], contacts.CodeInvalidKey},
			{"key and a space", w.key + " ", contacts.CodeInvalidKey},
			{"unknown key", contacts.NewKey("ck"), contacts.CodeInvalidKey},
			{"another kind of text", "password", contacts.CodeInvalidKey},
			{"expired key", w.expired, contacts.CodeInvalidKey},
			{"revoked key", revoked, contacts.CodeInvalidKey},
			{"no permission", w.powerless, contacts.CodePermissionDenied},
		} {
			t.Run(c.name, func(t *testing.T) {
				body := &countingReader{r: strings.NewReader(`{"first_name":`)}
				_, err := w.svc.CreateContactJSON(t.Context(), c.key, body)
				wantError(t, err, c.want, []contacts.FieldError{}...)
				if body.n != 0 {
					t.Errorf("%d bytes of the body were read", body.n)
				}
				_, err = w.svc.CreateContact(t.Context(), c.key, contacts.CreateContactInput{TeamID: absentTeam})
				wantError(t, err, c.want)
				_, err = w.svc.GetContact(t.Context(), c.key, uuid.New())
				wantError(t, err, c.want)
			})
		}
	})
}

// countingReader counts what was read.
type countingReader struct {
	r io.Reader
	n int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func TestDisabledAccountMakesItsKeysInvalidUntilItIsEnabled(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		create := func(key string) error {
			_, err := w.svc.CreateContact(t.Context(), key, contacts.CreateContactInput{FirstName: "John"})
			return err
		}
		if err := w.admin.DisableAccount(t.Context(), w.acme.ID); err != nil {
			t.Fatal(err)
		}
		wantError(t, create(w.key), contacts.CodeInvalidKey)
		if err := create(w.foreignKey); err != nil {
			t.Errorf("a key of another account: %v", err)
		}
		if err := w.admin.EnableAccount(t.Context(), w.acme.ID); err != nil {
			t.Fatal(err)
		}
		if err := create(w.key); err != nil {
			t.Errorf("after the account was enabled: %v", err)
		}
	})
}

func TestChecksComeInTheDocumentedOrder(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		for _, c := range []struct {
			name, key, body string
			want            contacts.Code
			details         []contacts.FieldError
		}{
			{"broken JSON before missing first name", w.key, `{"email":"x","team_id":104`, contacts.CodeInvalidJSON, []contacts.FieldError{}},
			{"missing first name lists the rest", w.key, `{"phone_numbers":[{"phone_number":"1"}],"email":"x","team_id":104}`, contacts.CodeMissingFirstName,
				[]contacts.FieldError{wrong("first_name", contacts.FieldRequired), wrong("email", contacts.FieldInvalid), wrong("phone_numbers[0].phone_number", contacts.FieldInvalid)}},
			{"wrong fields before the team", w.key, `{"first_name":"John","email":"x","team_id":104}`, contacts.CodeValidationError,
				[]contacts.FieldError{wrong("email", contacts.FieldInvalid)}},
			{"absent team", w.key, `{"first_name":"John","team_id":104}`, contacts.CodeTeamNotFound, nil},
			{"foreign team", w.key, `{"first_name":"John","team_id":103}`, contacts.CodeTeamNotFound, nil},
			{"absent team that the key would have", w.limitedKey, `{"first_name":"John","team_id":104}`, contacts.CodeTeamNotFound, nil},
			{"foreign team that the key would have", w.limitedKey, `{"first_name":"John","team_id":103}`, contacts.CodeTeamNotFound, nil},
			{"ungranted team", w.limitedKey, `{"first_name":"John","team_id":102}`, contacts.CodeTeamAccessDenied, nil},
		} {
			t.Run(c.name, func(t *testing.T) {
				_, err := w.svc.CreateContactJSON(t.Context(), c.key, strings.NewReader(c.body))
				wantError(t, err, c.want, c.details...)
			})
		}
		if _, err := w.svc.CreateContact(t.Context(), w.limitedKey, contacts.CreateContactInput{FirstName: "John", TeamID: team}); err != nil {
			t.Errorf("a granted team: %v", err)
		}
	})
}

func TestWhatAKeyMayNotSeeDoesNotExist(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		open := w.create(t, contacts.CreateContactInput{FirstName: "John"})
		inTeam := w.create(t, contacts.CreateContactInput{FirstName: "John", TeamID: team})
		inClosed := w.create(t, contacts.CreateContactInput{FirstName: "John", TeamID: closedTeam})
		for _, c := range []struct {
			name, key string
			id        uuid.UUID
			found     bool
		}{
			{"no team", w.limitedKey, open.ID, true},
			{"granted team", w.limitedKey, inTeam.ID, true},
			{"ungranted team", w.limitedKey, inClosed.ID, false},
			{"another account", w.foreignKey, open.ID, false},
			{"never was", w.key, uuid.Must(uuid.NewV7()), false},
			{"nil id", w.key, uuid.Nil, false},
			{"phone number's id", w.key, w.create(t, documented()).PhoneNumbers[0].ID, false},
		} {
			t.Run(c.name, func(t *testing.T) {
				_, err := w.svc.GetContact(t.Context(), c.key, c.id)
				if c.found {
					if err != nil {
						t.Error(err)
					}
					return
				}
				wantError(t, err, contacts.CodeNotFound)
				never, _ := w.svc.GetContact(t.Context(), c.key, uuid.New())
				if never != nil {
					t.Fatal("found a contact that never was")
				}
				if want := contacts.ErrNotFound.Error(); err.Error() != want {
					t.Errorf("the words %q tell it from one that never was, %q", err, want)
				}
			})
		}
	})
}

func TestCreatePermissionOptionReplacesTheDocumentedOne(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, &contacts.Options{CreatePermission: contacts.PermissionWriteContacts})
	in := contacts.CreateContactInput{FirstName: "John"}
	_, err := w.svc.CreateContact(t.Context(), w.key, in)
	wantError(t, err, contacts.CodePermissionDenied)
	writer, _, err := w.admin.IssueKey(t.Context(), contacts.IssueKeyInput{
		AccountID: w.acme.ID, Permissions: []contacts.Permission{contacts.PermissionWriteContacts}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.svc.CreateContact(t.Context(), writer, in)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.svc.GetContact(t.Context(), writer, c.ID)
	wantError(t, err, contacts.CodePermissionDenied)
}

func TestDoneContextIsAServerErrorThatErrorsIsSeesThrough(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		c := w.create(t, documented())
		ctx := cancelled(t)
		_, createErr := w.svc.CreateContact(ctx, w.key, documented())
		_, jsonErr := w.svc.CreateContactJSON(ctx, w.key, strings.NewReader(`{"first_name":"John"}`))
		_, getErr := w.svc.GetContact(ctx, w.key, c.ID)
		_, adminErr := w.admin.CreateAccount(ctx, "Acme")
		for _, err := range []error{createErr, jsonErr, getErr, adminErr} {
			wantError(t, err, contacts.CodeServerError)
			if !errors.Is(err, context.Canceled) || errors.Is(err, contacts.ErrOutcomeUnknown) {
				t.Errorf("%v: want context.Canceled and a known outcome", err)
			}
		}
		expired, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		_, err := w.svc.CreateContact(expired, w.key, documented())
		if wantError(t, err, contacts.CodeServerError); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v: want context.DeadlineExceeded", err)
		}
	})
}

func TestClosedStoreIsAServerErrorThatSaysSo(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := w.svc.CreateContact(t.Context(), w.key, documented())
		if wantError(t, err, contacts.CodeServerError); !errors.Is(err, contacts.ErrClosed) {
			t.Errorf("%v: want ErrClosed", err)
		}
		for _, err := range w.admin.Accounts(t.Context()) {
			if wantError(t, err, contacts.CodeServerError); !errors.Is(err, contacts.ErrClosed) {
				t.Errorf("%v: want ErrClosed", err)
			}
		}
	})
}

func TestResultSharesNothingWithTheInput(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	in := documented()
	got := w.create(t, in)
	want, err := w.svc.GetContact(t.Context(), w.key, got.ID)
	if err != nil {
		t.Fatal(err)
	}
	in.Tags[0] = "changed"
	in.PhoneNumbers[0].PhoneNumber = "changed"
	in.CustomContext["nested"].(map[string]any)["list"].([]any)[0] = "changed"
	in.CustomContext["more"] = "changed"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changing the input changed the result (-want +got):\n%s", diff)
	}
}

// brokenStore fails where it is told to.
type brokenStore struct {
	contacts.Store
	findKey, listDirectory, apply, find error
	outcome                             error // of each mutation
}

func (s *brokenStore) FindKey(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
	if s.findKey != nil {
		return nil, s.findKey
	}
	return s.Store.FindKey(ctx, hash)
}

func (s *brokenStore) ListDirectory(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
	if s.listDirectory != nil {
		return contacts.Directory{}, s.listDirectory
	}
	return s.Store.ListDirectory(ctx, q)
}

func (s *brokenStore) Apply(ctx context.Context, b contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	switch {
	case s.apply != nil:
		return nil, s.apply
	case s.outcome != nil:
		return slices.Repeat([]contacts.MutationOutcome{{Err: s.outcome}}, len(b.Mutations)), nil //nolint:nilerr // the call succeeded, its mutations did not
	}
	return s.Store.Apply(ctx, b)
}

func (s *brokenStore) FindContact(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
	if s.find != nil {
		return nil, s.find
	}
	return s.Store.FindContact(ctx, account, id)
}

func TestFaultOfTheStoreIsAServerErrorWithoutItsCause(t *testing.T) {
	t.Parallel()
	fault := errors.New("disk 7 is on fire")
	for _, c := range []struct {
		name string
		arm  func(*brokenStore)
	}{
		{"FindKey", func(s *brokenStore) { s.findKey = fault }},
		{"ListDirectory", func(s *brokenStore) { s.listDirectory = fault }},
		{"Apply", func(s *brokenStore) { s.apply = fault }},
		{"Apply does not know", func(s *brokenStore) { s.apply = errors.Join(fault, contacts.ErrOutcomeUnknown) }},
		{"Apply finds no account", func(s *brokenStore) { s.outcome = errors.Join(fault, contacts.ErrNotFound) }},
		{"Apply finds the id taken", func(s *brokenStore) { s.outcome = errors.Join(fault, contacts.ErrExists) }},
		{"Apply always finds other settings", func(s *brokenStore) { s.outcome = errors.Join(fault, contacts.ErrStale) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var log strings.Builder
			store := &brokenStore{Store: closing(t, memory.New())}
			w := newWorld(t, store, &contacts.Options{Logger: textLogger(&log)})
			c.arm(store)
			in := documented()
			in.TeamID = team
			key := w.key
			if store.listDirectory != nil { // is asked about a team without access alone
				in.TeamID, key = closedTeam, w.limitedKey
			}
			_, err := w.svc.CreateContact(t.Context(), key, in)
			wantError(t, err, contacts.CodeServerError)
			body, jsonErr := json.Marshal(err)
			if jsonErr != nil {
				t.Fatal(jsonErr)
			}
			if strings.Contains(err.Error()+string(body), "fire") {
				t.Errorf("the error tells its cause: %v %s", err, body)
			}
			if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "disk 7 is on fire") {
				t.Errorf("want one log line with the cause, got %q", log.String())
			}
			if errors.Is(err, contacts.ErrNotFound) {
				t.Error("matches ErrNotFound, and is none")
			}
			if unknown := errors.Is(store.apply, contacts.ErrOutcomeUnknown); errors.Is(err, contacts.ErrOutcomeUnknown) != unknown {
				t.Errorf("matches ErrOutcomeUnknown: %t, want %t", !unknown, unknown)
			}
		})
	}
}

func TestTeamThatTheStoreDoesNotFindIsTeamNotFound(t *testing.T) {
	t.Parallel()
	store := &brokenStore{Store: closing(t, memory.New())}
	w := newWorld(t, store, nil)
	store.outcome = contacts.ErrTeamNotFound
	_, err := w.svc.CreateContact(t.Context(), w.key, documented())
	wantError(t, err, contacts.CodeTeamNotFound)
}

func TestBadOptionsAreErrorsThatTeachTheFix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		store contacts.Store
		opts  contacts.Options
		want  string
	}{
		{"nil store", nil, contacts.Options{}, "memory.New()"},
		{"region in lower case", memory.New(), contacts.Options{DefaultRegion: "us"}, `"US"`},
		{"negative limit", memory.New(), contacts.Options{Limits: contacts.Limits{Tag: -1}}, "Options.Limits.Tag is -1"},
		{"context deeper than any body", memory.New(), contacts.Options{Limits: contacts.Limits{ContextDepth: 64}}, "at most 63"},
		{"empty vocabulary", memory.New(), contacts.Options{Stages: []string{}}, "Options.Stages"},
		{"empty word", memory.New(), contacts.Options{PhoneTypes: []string{""}}, "Options.PhoneTypes"},
		{"word that is not trimmed", memory.New(), contacts.Options{Stages: []string{" hot"}}, "Options.Stages"},
		{"word that is not in NFC", memory.New(), contacts.Options{Statuses: []string{"cafe\u0301"}}, "Options.Statuses"},
		{"word with a hidden character", memory.New(), contacts.Options{Stages: []string{"cus\u200btomer"}}, "Options.Stages"},
		{"word over its limit", memory.New(), contacts.Options{Statuses: []string{strings.Repeat("x", 65)}}, "Options.Statuses"},
		{"limit without bounds", memory.New(), contacts.Options{Limits: contacts.Limits{BodyBytes: math.MaxInt}}, "Options.Limits.BodyBytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			svc, err := contacts.New(c.store, &c.opts)
			if svc != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v; want an error with %q", svc, err, c.want)
			}
		})
	}
}

func TestAuthenticatorOfTheHost(t *testing.T) {
	t.Parallel()
	store := closing(t, memory.New())
	w := newWorld(t, store, nil)
	suspended := &contacts.Error{Code: contacts.CodePermissionDenied, Message: "the subscription has ended"}
	const key = "a key of the host's"
	for _, c := range []struct {
		name string
		auth authenticatorFunc
		want contacts.Code
	}{
		{"accepts", func() (*contacts.Principal, error) {
			return &contacts.Principal{AccountID: w.acme.ID, Permissions: []contacts.Permission{contacts.PermissionReadContacts}}, nil
		}, ""},
		{"knows no such key", func() (*contacts.Principal, error) {
			return nil, errors.Join(errors.New("ldap"), contacts.ErrInvalidKey)
		}, contacts.CodeInvalidKey},
		{"says why not", func() (*contacts.Principal, error) { return nil, suspended }, contacts.CodePermissionDenied},
		{"says where events go on", func() (*contacts.Principal, error) {
			return nil, &contacts.Error{Code: contacts.CodeEventsGone, NextSequence: 7}
		}, contacts.CodeEventsGone},
		{"fails", func() (*contacts.Principal, error) { return nil, errors.New("ldap refused " + key) }, contacts.CodeServerError},
		{"forgets the code", func() (*contacts.Principal, error) { return nil, &contacts.Error{Message: "no"} }, contacts.CodeServerError},
		{"returns nothing", func() (*contacts.Principal, error) { return nil, nil }, contacts.CodeServerError},
		{"returns no account", func() (*contacts.Principal, error) { return new(contacts.Principal), nil }, contacts.CodeServerError},
		{"returns an account that is not there", func() (*contacts.Principal, error) {
			return &contacts.Principal{AccountID: uuid.New(), Permissions: []contacts.Permission{contacts.PermissionReadContacts}}, nil
		}, contacts.CodeServerError},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var log strings.Builder
			svc, err := contacts.New(store, &contacts.Options{Authenticator: c.auth, Logger: textLogger(&log)})
			if err != nil {
				t.Fatal(err)
			}
			_, err = svc.CreateContact(t.Context(), key, contacts.CreateContactInput{FirstName: "John"})
			if got := contacts.CodeOf(err); got != c.want {
				t.Errorf("got %q (%v), want %q", got, err, c.want)
			}
			if err != nil {
				wantError(t, err, c.want)
			}
			if e, _ := errors.AsType[*contacts.Error](err); c.want == contacts.CodeEventsGone && e.NextSequence != 7 {
				t.Errorf("got %+v, want all fields of the error", e)
			}
			if strings.Contains(log.String(), key) {
				t.Errorf("the key is in the log: %s", log.String())
			}
		})
	}
}

type authenticatorFunc func() (*contacts.Principal, error)

func (f authenticatorFunc) Authenticate(context.Context, string) (*contacts.Principal, error) {
	return f()
}
