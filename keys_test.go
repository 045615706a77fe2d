package contacts_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.com/contacts"
)

func TestKeysHaveTheirFormAndAreAllDifferent(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^acme1_[0-9A-Za-z]{49}$`)
	seen := map[string]bool{}
	for range 1000 {
		key := contacts.NewKey("acme1")
		if !form.MatchString(key) || seen[key] {
			t.Fatalf("key %q", key)
		}
		seen[key] = true
		if _, ok := contacts.HashKey(key); !ok {
			t.Fatalf("its own key %q is refused", key)
		}
	}
}

func TestOneWrongCharacterIsRefusedWithoutTheStore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := []byte(contacts.NewKey("ck"))
		i := rapid.IntRange(0, len(key)-1).Draw(t, "position")
		c := rapid.Byte().Draw(t, "character")
		if key[i] == c {
			return
		}
		key[i] = c
		if _, ok := contacts.HashKey(string(key)); ok {
			t.Fatalf("%q is taken", key)
		}
	})
}

func TestIssueKeyUsesThePrefixOption(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	in := contacts.IssueKeyInput{AccountID: w.acme.ID, Permissions: []contacts.Permission{contacts.PermissionReadContacts}}
	secret, _, err := contacts.NewAdmin(w.store, &contacts.AdminOptions{KeyPrefix: "acme"}).IssueKey(t.Context(), in)
	if err != nil || !strings.HasPrefix(secret, "acme_") {
		t.Fatalf("got %q, %v", secret, err)
	}
	if _, err := w.svc.CreateContact(t.Context(), secret, contacts.CreateContactInput{FirstName: "x"}); err != nil {
		t.Errorf("a key with another prefix: %v", err)
	}
	for _, prefix := range []string{"Acme", "a_b", strings.Repeat("a", 17), "ü"} {
		_, _, err := contacts.NewAdmin(w.store, &contacts.AdminOptions{KeyPrefix: prefix}).IssueKey(t.Context(), in)
		wantError(t, err, contacts.CodeValidationError, wrong("key_prefix", contacts.FieldInvalid))
	}
}

func TestSecretIsInNothingButWhatIssueKeyReturns(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		var log strings.Builder
		w := newWorld(t, store, &contacts.Options{Logger: textLogger(&log)})
		secret, key, err := w.admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: w.acme.ID, Name: "web site"})
		if err != nil {
			t.Fatal(err)
		}
		altered := secret[:len(secret)-2] + "zz"
		texts := []any{key, *key, w.svc, w.admin}
		for _, k := range []string{secret, altered, secret + " "} {
			_, err := w.svc.CreateContact(t.Context(), k, documented())
			texts = append(texts, err)
			_, err = w.svc.CreateContact(cancelled(t), k, documented())
			texts = append(texts, err)
		}
		for k, err := range w.admin.Keys(t.Context(), w.acme.ID) {
			texts = append(texts, k, err)
		}
		random := secret[3 : len(secret)-6]
		for _, v := range texts {
			body, _ := json.Marshal(v)
			for _, text := range []string{fmt.Sprint(v), fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v), string(body), log.String()} {
				if strings.Contains(text, random) || strings.Contains(text, random[:12]) {
					t.Errorf("%T tells the key: %s", v, text)
				}
			}
		}
	})
}

func FuzzHashKey(f *testing.F) {
	f.Add(contacts.NewKey("ck"))
	f.Add("ck_")
	f.Add("_" + strings.Repeat("0", 49))
	f.Add(strings.Repeat("a", 16) + "_" + strings.Repeat("Z", 49))
	f.Fuzz(func(t *testing.T, key string) {
		hash, ok := contacts.HashKey(key)
		if ok != (hash != [32]byte{}) {
			t.Fatalf("%q: %t with hash %x", key, ok, hash)
		}
		if !ok {
			return
		}
		// A key is taken in one spelling alone.
		for _, other := range []string{key + "0", " " + key, strings.ToUpper(key), key[1:]} {
			if h, ok := contacts.HashKey(other); ok && other != key && h == hash {
				t.Fatalf("%q and %q have one hash", key, other)
			}
		}
	})
}

// textLogger logs to b.
func textLogger(b *strings.Builder) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// A narrowing lets no key write. It changes the principals that it gets.
type narrowing struct{ contacts.Authenticator }

func (n narrowing) Authenticate(ctx context.Context, key string) (*contacts.Principal, error) {
	p, err := n.Authenticator.Authenticate(ctx, key)
	if err != nil {
		return nil, err
	}
	p.Permissions = slices.DeleteFunc(p.Permissions, func(p contacts.Permission) bool { return p == contacts.PermissionWriteContacts })
	clear(p.TeamIDs)
	return p, nil
}

// What a host does with a principal changes no key.
func TestPrincipalsBelongToTheHost(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		john := w.create(t, contacts.CreateContactInput{FirstName: "John", TeamID: team})
		narrow, err := contacts.New(store, &contacts.Options{Authenticator: narrowing{contacts.KeyAuthenticator(store, func() time.Time { return noon })}})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_, err := narrow.GetContact(t.Context(), w.limitedWriter, john.ID)
			wantError(t, err, contacts.CodeNotFound)
			p, err := w.svc.Authorize(t.Context(), w.limitedWriter, contacts.OpUpdateContact)
			if err != nil {
				t.Fatal(err)
			}
			clear(p.Permissions)
			clear(p.TeamIDs)
			if _, err := w.svc.UpdateContact(t.Context(), w.limitedWriter, john.ID, contacts.UpdateContactInput{}, nil); err != nil {
				t.Errorf("the key of another program: %v", err)
			}
		}
	})
}

// A keeping keeps the principals that it gets.
type keeping struct {
	contacts.Authenticator
	known map[string]*contacts.Principal
}

func (k keeping) Authenticate(ctx context.Context, key string) (*contacts.Principal, error) {
	if p := k.known[key]; p != nil {
		return p, nil
	}
	p, err := k.Authenticator.Authenticate(ctx, key)
	k.known[key] = p
	return p, err
}

// A principal that a host keeps hides no block that was recorded since, although it was
// the first of the account.
func TestKeptPrincipalHidesNoBlock(t *testing.T) {
	t.Parallel()
	const number = "+15551234567"
	w := memoryWorld(t, nil)
	auth := keeping{contacts.KeyAuthenticator(w.store, func() time.Time { return noon }), make(map[string]*contacts.Principal)}
	svc, err := contacts.New(w.store, &contacts.Options{Authenticator: auth, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{false, true} {
		status, err := svc.DoNotCallStatus(t.Context(), w.key, number)
		if err != nil || status.DoNotCall != want {
			t.Errorf("got %+v, %v, want %t", status, err, want)
		}
		if _, err := w.svc.BlockCalls(t.Context(), w.writer, contacts.DoNotCallInput{PhoneNumber: number}); err != nil {
			t.Fatal(err)
		}
	}
}
