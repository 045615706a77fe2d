package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// keyFlags say for whom a command acts. An API key is never an argument: other users of
// the machine can read those.
type keyFlags struct {
	KeyFile string `placeholder:"FILE" xor:"key" help:"The file with the API key to act for; - is standard input. Default: CONTACTS_KEY."`
	AsAdmin bool   `xor:"key" help:"Act without a given API key. One is issued for this run, and revoked at its end."`
	accountFlag
	ledgerFlags
}

// act calls work with a service and an API key that has the permissions.
func (f *keyFlags) act(ctx context.Context, s *session, permissions []contacts.Permission, work func(*contacts.Service, string) error) error {
	key, err := f.given(ctx, s)
	if err != nil {
		return err
	}
	secrets, err := f.secrets()
	if err != nil {
		return err
	}
	return s.withStore(ctx, func(store contacts.Store) error {
		svc, err := contacts.New(store, &contacts.Options{DoNotCallSecrets: secrets})
		if err != nil {
			return err
		}
		if f.AsAdmin {
			return f.asAdmin(ctx, newAdmin(store), permissions, func(key string) error { return work(svc, key) })
		}
		if err := f.checkAccount(ctx, store, key); err != nil {
			return err
		}
		return work(svc, key)
	})
}

// checkAccount refuses another account than that of the API key. A key that is not
// accepted is for the work to judge.
func (f *keyFlags) checkAccount(ctx context.Context, store contacts.Store, key string) error {
	if f.Account == uuid.Nil {
		return nil
	}
	p, err := contacts.KeyAuthenticator(store, nil).Authenticate(ctx, key)
	if err == nil && p.AccountID != f.Account {
		return usage("the API key is one of the account %s, and --account is %s; leave --account out, or give a key of that account", p.AccountID, f.Account)
	}
	return nil
}

// asAdmin calls work with an API key that is valid as long.
func (f *keyFlags) asAdmin(ctx context.Context, admin *contacts.Admin, permissions []contacts.Permission, work func(key string) error) (err error) {
	account, err := f.choose(ctx, admin)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// A signal does not end this: a key that may be there and is not known cannot be
	// revoked.
	whole := context.WithoutCancel(ctx)
	secret, issued, err := admin.IssueKey(whole, contacts.IssueKeyInput{
		AccountID: account, Name: actor(), Permissions: permissions, AllTeams: true, ExpiresAt: time.Now().Add(24 * time.Hour),
	})
	if err != nil {
		return err
	}
	defer func() {
		if failed := admin.RevokeKey(whole, issued.ID); failed != nil {
			err = errors.Join(err, advisedError{failed, "the API key of this run is still valid", "revoke it with contacts keys revoke " + issued.ID.String()})
		}
	}()
	if err = work(secret); !errors.Is(err, contacts.ErrInvalidKey) {
		return err
	}
	disabled, failed := isDisabled(whole, admin, account)
	if disabled {
		err = advisedError{err, "the account is disabled", "enable it with contacts accounts enable " + account.String()}
	}
	return errors.Join(err, failed)
}

// isDisabled reports whether the account is disabled, and so every API key of it invalid.
func isDisabled(ctx context.Context, admin *contacts.Admin, id uuid.UUID) (bool, error) {
	for account, err := range admin.Accounts(ctx) {
		if err != nil || account.ID == id {
			return err == nil && !account.DisabledAt.IsZero(), err
		}
	}
	return false, nil
}

// given returns the API key that was given; "" with --as-admin.
func (f *keyFlags) given(ctx context.Context, s *session) (string, error) {
	var text []byte
	var err error
	switch {
	case f.AsAdmin:
		return "", nil
	case f.KeyFile != "":
		text, err = s.readKey(ctx, f.KeyFile)
	default:
		text = []byte(os.Getenv("CONTACTS_KEY"))
	}
	if err != nil {
		return "", fmt.Errorf("the API key: %w", err)
	}
	key := strings.TrimSpace(string(text))
	switch {
	case key == "":
		return "", usage("no API key was given: set CONTACTS_KEY, or give --key-file or --as-admin")
	case strings.ContainsFunc(key, isNoPartOfKey): // such as two keys, and a file in UTF-16
		return "", usage("an API key has letters, digits and _ alone, and what was given has more: give one key as contacts keys issue prints it, in UTF-8 without a byte order mark")
	}
	return key, nil
}

// isNoPartOfKey reports whether no API key has the character.
func isNoPartOfKey(r rune) bool {
	return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

// readKey returns the beginning of a file, which is longer than any API key.
func (s *session) readKey(ctx context.Context, name string) ([]byte, error) {
	f, _, err := s.open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<10))
}
